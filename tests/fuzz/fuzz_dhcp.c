// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A DHCP client's life as its input tells it: questions, answers that fit and are then spoiled, any
// bytes, time, restarts. Each question is answered once, and no address is given twice.
#include "pools/dhcp.h"
#include "pools/dhcp_net.h"
#include "pools/dhcp_wire.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#define QUESTIONS 8 // the last ones, to be answered
#define ASKED_MAX 64
#define SERVER    0xc0000201u // 192.0.2.1
#define RELAY     0xc0000209u

struct life {
	struct dhcp *d;
	struct address_giver *giver;
	uint64_t now_ns, chance;
	uint8_t questions[QUESTIONS][DHCP_BUILT_MAX];
	size_t question_len[QUESTIONS];
	size_t asked_last;
	struct dhcp_datagram arrived;
	bool waiting;
	uint64_t open;    // bit i: token i waits for its answer
	uint64_t held[4]; // bit i: 10.0.0.i is a lease
	uint8_t extra[LEASE_EXTRA_MAX];
	size_t extra_len;
};

static uint64_t life_now(void *ctx)
{
	return ((struct life *)ctx)->now_ns;
}

static time_t life_wall(void *ctx)
{
	return (time_t)(1700000000 + ((struct life *)ctx)->now_ns / NS_PER_S);
}

static void life_chance(void *ctx, void *buf, size_t len)
{
	struct life *l = ctx;
	for (size_t i = 0; i < len; i++) {
		l->chance = l->chance * 6364136223846793005ull + 1442695040888963407ull;
		((uint8_t *)buf)[i] = (uint8_t)(l->chance >> 56);
	}
}

static int life_open(void *ctx, const struct ip_addr *at)
{
	(void)ctx;
	CHECK(ip_to_v4(at) == RELAY);
	return 0;
}

static void life_close(void *ctx, int socket)
{
	(void)ctx;
	CHECK(socket == 0);
}

static int life_send(void *ctx, int socket, const struct ip_addr *to, struct view m)
{
	struct life *l = ctx;
	(void)to;
	CHECK(socket == 0 && m.len >= 300 && m.len <= DHCP_BUILT_MAX);
	l->asked_last = (l->asked_last + 1) % QUESTIONS;
	memcpy(l->questions[l->asked_last], m.p, m.len);
	l->question_len[l->asked_last] = m.len;
	return 0;
}

static int life_receive(void *ctx, struct dhcp_datagram *out)
{
	struct life *l = ctx;
	if (!l->waiting)
		return -EAGAIN;
	*out = l->arrived;
	l->waiting = false;
	return 0;
}

static int life_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

// ---- what the pools see

static bool ours(uint32_t addr)
{
	return addr >> 8 == 0x0a0000;
}

static bool holds(const struct life *l, uint32_t addr)
{
	return l->held[(addr & 0xff) / 64] >> (addr % 64) & 1;
}

static void hold(struct life *l, uint32_t addr, bool on)
{
	CHECK(holds(l, addr) != on);
	l->held[(addr & 0xff) / 64] ^= 1ull << (addr % 64);
}

static void on_given(void *user, uint64_t token, enum address_status s, const struct ip_addr *addr,
	struct view extra)
{
	struct life *l = user;
	CHECK(token < ASKED_MAX && l->open >> token & 1);
	l->open &= ~(1ull << token);
	CHECK((s == ADDRESS_OK) == (addr != NULL));
	if (!addr)
		return;
	CHECK(extra.len > 0 && extra.len <= LEASE_EXTRA_MAX);
	memcpy(l->extra, extra.p, extra.len);
	l->extra_len = extra.len;
	if (ours(ip_to_v4(addr)))
		hold(l, ip_to_v4(addr), true);
	else
		l->giver->refuse(l->giver->ctx, addr);
}

static void on_changed(void *user, const struct ip_addr *addr, struct view extra)
{
	struct life *l = user;
	CHECK(holds(l, ip_to_v4(addr)));
	CHECK(extra.len == l->extra_len || l->extra_len == 0);
}

static void on_lost(void *user, const struct ip_addr *addr)
{
	hold(user, ip_to_v4(addr), false);
}

// ---- what happens

static const struct cfg *config(void)
{
	static struct ip_addr servers[2];
	static struct cfg_pool pool;
	static struct cfg cfg;
	static char name[] = "p";
	servers[0] = ip_from_v4(SERVER);
	servers[1] = ip_from_v4(SERVER + 1);
	pool.name = name;
	pool.from_dhcp.servers = servers;
	pool.from_dhcp.server_count = 2;
	pool.from_dhcp.relay = ip_from_v4(RELAY);
	pool.from_dhcp.subnet = ip_from_v4(0x0a000000);
	pool.from_dhcp.timeout_s = 3;
	cfg.pools = &pool;
	cfg.pool_count = 1;
	return &cfg;
}

static void begin(struct life *l)
{
	struct clock_source clock = {life_now, life_wall, l};
	struct random_source random = {life_chance, l};
	struct dhcp_net net = {
		.ctx = l,
		.open = life_open,
		.close = life_close,
		.send = life_send,
		.receive = life_receive,
		.fd = life_fd,
	};
	struct dhcp_seams seams = {&clock, &random, &net};
	CHECK(dhcp_new(config(), &seams, NULL, &l->d) == 0);
	l->giver = dhcp_giver(l->d);
	l->giver->given = on_given;
	l->giver->changed = on_changed;
	l->giver->lost = on_lost;
	l->giver->user = l;
	l->open = 0;
	memset(l->held, 0, sizeof(l->held));
}

static void ask(struct life *l, uint8_t who)
{
	uint8_t owner = who & 3;
	if (l->open == UINT64_MAX)
		return;
	uint64_t token = (uint64_t)__builtin_ctzll(~l->open);
	struct giver_request rq = {
		.pool = config()->pools,
		.want = who & 4 ? ip_from_v4(0x0a000000u + who) : (struct ip_addr){0},
		.owner = {&owner, 1},
		.name = who & 8 ? "host" : "no host",
		.token = token,
	};
	l->open |= 1ull << token;
	CHECK(l->giver->ask(l->giver->ctx, &rq) == 0);
}

// The answer to one of the last questions, as a server would give it, and then the faults.
static void reply(struct life *l, struct rd *r)
{
	uint8_t which, type, host, lease, at_hi, at, with;
	uint8_t *m = l->arrived.bytes;
	if (!rd_u8(r, &which) || !rd_u8(r, &type) || !rd_u8(r, &host) || !rd_u8(r, &lease))
		return;
	size_t q = which % QUESTIONS;
	struct wr w = wr_of(m, sizeof(l->arrived.bytes));
	if (!l->question_len[q])
		return;
	wr_bytes(&w, l->questions[q], 240);
	m[0] = 2;
	wr_patch_u32(&w, 16, 0x0a000000u + host);
	wr_bytes(&w,
		(uint8_t[]){53, 1, (uint8_t)(2 + type % 5), 54, 4, 192, 0, 2,
			(uint8_t)(1 + (which >> 7)), 51, 4},
		11);
	wr_u32(&w, lease == 255 ? DHCP_INFINITE : lease);
	wr_bytes(&w, l->questions[q] + 243, 25); // the client identifier
	wr_u8(&w, 255);
	while (type >= 128 && rd_u8(r, &at_hi) && rd_u8(r, &at) && rd_u8(r, &with)) {
		size_t i = (size_t)(at_hi & 1) << 8 | at;
		m[i] ^= with;
		w.len += with == 0 && w.len < 400;
		if (at_hi & 0x80)
			break;
	}
	l->arrived.from = (struct endpoint){ip_from_v4(SERVER + (which >> 7)), DHCP_PORT};
	l->arrived.len = w.len;
	l->waiting = true;
	dhcp_turn(l->d);
}

static void any_bytes(struct life *l, struct rd *r)
{
	uint8_t len;
	struct view v;
	if (!rd_u8(r, &len) || !rd_bytes(r, len < rd_left(r) ? len : rd_left(r), &v))
		return;
	l->arrived.len = v.len;
	memcpy(l->arrived.bytes, v.p, v.len);
	l->arrived.from = (struct endpoint){ip_from_v4(SERVER), DHCP_PORT};
	l->waiting = true;
	dhcp_turn(l->d);
}

static void give_up(struct life *l, uint8_t host, bool refuse)
{
	struct ip_addr a = ip_from_v4(0x0a000000u + host);
	if (holds(l, host))
		hold(l, host, false);
	if (refuse)
		l->giver->refuse(l->giver->ctx, &a);
	else
		l->giver->give_back(l->giver->ctx, &a);
}

static void restart(struct life *l, uint8_t host)
{
	struct ip_addr a = ip_from_v4(0x0a000000u + host);
	dhcp_free(l->d);
	begin(l);
	struct view extra = {l->extra, l->extra_len};
	l->extra[0] ^= host & 0x80 && host & 0x40;
	if (l->giver->resume(l->giver->ctx, config()->pools, &a, (struct view){0}, extra) == 0)
		hold(l, host, true);
}

static void step(struct life *l, uint8_t what, struct rd *r)
{
	uint8_t arg;
	if (what % 8 == 1) {
		reply(l, r);
	} else if (what % 8 == 2) {
		any_bytes(l, r);
	} else if (rd_u8(r, &arg)) {
		if (what % 8 == 3) {
			l->now_ns += NS_PER_MS << arg % 14;
			dhcp_tick(l->d, l->now_ns);
		} else if (what % 8 == 4 || what % 8 == 5) {
			give_up(l, arg, what % 8 == 4);
		} else if (what % 8 == 6) {
			restart(l, arg);
		} else {
			ask(l, arg);
		}
	}
}

static void end(struct life *l)
{
	const char *name;
	uint64_t value = 0, leases = 0, asking = 0;
	for (size_t i = 0; dhcp_counter(l->d, i, &name, &value, NULL); i++) {
		if (strcmp(name, "dhcp_leases") == 0)
			leases = value;
		if (strcmp(name, "dhcp_asking") == 0)
			asking = value;
	}
	CHECK(asking == (uint64_t)__builtin_popcountll(l->open));
	for (size_t i = 0; i < 4; i++)
		leases -= (uint64_t)__builtin_popcountll(l->held[i]);
	CHECK(leases == 0);
	l->now_ns += 4 * NS_PER_S; // by then each question has its answer
	dhcp_tick(l->d, l->now_ns);
	CHECK(l->open == 0);
	dhcp_free(l->d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct life l;
	struct rd r = rd_of(data, size);
	uint8_t what;
	memset(&l, 0, sizeof(l));
	l.now_ns = NS_PER_S;
	begin(&l);
	for (int i = 0; i < 48 && rd_u8(&r, &what); i++)
		step(&l, what, &r);
	end(&l);
	return 0;
}
