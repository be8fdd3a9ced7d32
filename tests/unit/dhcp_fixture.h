// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A DHCP client on a network, with a clock and with chance that the test owns, and what a server
// says to it.
#pragma once

#include "tests/cmocka_all.h"

#include "pools/dhcp.h"
#include "pools/dhcp_net.h"

#include <errno.h>
#include <stdlib.h>

#define SENT_MAX  16384
#define GIVEN_MAX 8192
#define SERVER1   "192.0.2.1"
#define SERVER2   "192.0.2.2"
#define RELAY     "192.0.2.9"
#define POOL_TEXT                                                       \
	"{ name = \"p\"; ranges = [ \"10.1.0.0/16\" ];\n"               \
	"from_dhcp: { servers = [ \"" SERVER1 "\", \"" SERVER2 "\" ]; " \
	"relay = \"" RELAY "\"; subnet = \"10.1.0.1\"; timeout_s = 3; }; }"

struct sent {
	int socket;
	uint32_t to;
	uint8_t type;
	size_t len;
	uint8_t bytes[400];
};

struct given {
	uint64_t token;
	enum address_status status;
	uint32_t addr;
};

struct fixture {
	struct cfg *cfg;
	struct dhcp *d;
	struct address_giver *giver;
	struct clock_source clock;
	struct random_source random;
	struct dhcp_net net;
	uint64_t now_ns, chance;
	int64_t wall_s;
	bool repeat; // chance says everything three times
	unsigned said;
	uint32_t bound[8]; // socket i's address
	int sockets, closed, fail_open;
	struct sent *sent; // since the last look
	size_t sent_count;
	int fail_send;
	struct dhcp_datagram queue[4];
	size_t queued;
	bool flood; // the queue does not get shorter
	struct given *given;
	size_t given_count;
	uint8_t extra[LEASE_EXTRA_MAX];
	size_t extra_len;
	unsigned changed, lost;
	uint32_t lost_addr;
};

static inline uint32_t v4(const char *text)
{
	struct ip_addr a = {0};
	assert_int_equal(ip_parse(text, &a), 0);
	return ip_to_v4(&a);
}

static inline uint64_t fixture_now(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

static inline time_t fixture_wall(void *ctx)
{
	return (time_t)((struct fixture *)ctx)->wall_s;
}

static inline void fixture_chance(void *ctx, void *buf, size_t len)
{
	struct fixture *f = ctx;
	uint8_t *p = buf;
	if (!f->repeat || f->said++ % 3 == 0)
		f->chance = f->chance * 6364136223846793005ull + 1442695040888963407ull;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(f->chance >> (8 * (i % 4) + 24));
}

static inline int fixture_open(void *ctx, const struct ip_addr *at)
{
	struct fixture *f = ctx;
	if (f->fail_open)
		return f->fail_open;
	assert_in_range(f->sockets, 0, 7);
	f->bound[f->sockets] = ip_to_v4(at);
	return f->sockets++;
}

static inline void fixture_close(void *ctx, int socket)
{
	struct fixture *f = ctx;
	assert_in_range(socket, 0, f->sockets - 1);
	assert_int_not_equal(f->bound[socket], 0);
	f->bound[socket] = 0;
	f->closed++;
}

// The value of an option, or NULL; *len gets its length.
static inline const uint8_t *option_of(const struct sent *s, uint8_t code, size_t *len)
{
	for (size_t i = 240; i + 1 < s->len && s->bytes[i] != 255; i += 2u + s->bytes[i + 1]) {
		*len = s->bytes[i + 1];
		assert_true(i + 2 + *len <= s->len);
		if (s->bytes[i] == code)
			return s->bytes + i + 2;
	}
	*len = 0;
	return NULL;
}

static inline uint32_t u32_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

// 0: none
static inline uint32_t option_u32(const struct sent *s, uint8_t code)
{
	size_t len;
	const uint8_t *p = option_of(s, code, &len);
	assert_true(!p || len == 4);
	return p ? u32_at(p) : 0;
}

static inline int fixture_send(void *ctx, int socket, const struct ip_addr *to, struct view m)
{
	struct fixture *f = ctx;
	size_t len;
	if (f->fail_send)
		return f->fail_send;
	assert_true(f->sent_count < SENT_MAX && m.len <= sizeof(f->sent[0].bytes));
	assert_true(m.len >= 300);
	struct sent *s = &f->sent[f->sent_count++];
	*s = (struct sent){.socket = socket, .to = ip_to_v4(to), .len = m.len};
	memcpy(s->bytes, m.p, m.len);
	const uint8_t *type = option_of(s, 53, &len);
	assert_non_null(type);
	s->type = *type;
	assert_int_equal(u32_at(s->bytes + 24), f->bound[socket]); // giaddr, in each message
	return 0;
}

static inline int fixture_receive(void *ctx, struct dhcp_datagram *out)
{
	struct fixture *f = ctx;
	if (!f->queued)
		return -EAGAIN;
	*out = f->queue[f->queued - 1];
	f->queued -= !f->flood;
	return 0;
}

static inline int fixture_fd(void *ctx)
{
	(void)ctx;
	return -1;
}

static inline void on_given(void *user, uint64_t token, enum address_status s,
	const struct ip_addr *addr, struct view extra)
{
	struct fixture *f = user;
	assert_true(f->given_count < GIVEN_MAX && extra.len <= LEASE_EXTRA_MAX);
	f->given[f->given_count++] = (struct given){token, s, addr ? ip_to_v4(addr) : 0};
	assert_int_equal(s == ADDRESS_OK, addr != NULL);
	if (extra.len)
		memcpy(f->extra, extra.p, extra.len);
	f->extra_len = extra.len;
}

static inline void on_changed(void *user, const struct ip_addr *addr, struct view extra)
{
	struct fixture *f = user;
	assert_int_equal(addr->family, IP_V4);
	f->changed++;
	memcpy(f->extra, extra.p, extra.len);
	f->extra_len = extra.len;
}

static inline void on_lost(void *user, const struct ip_addr *addr)
{
	struct fixture *f = user;
	f->lost++;
	f->lost_addr = ip_to_v4(addr);
}

static inline struct cfg *config_of(const char *pools)
{
	struct cfg *cfg;
	char *text;
	assert_true(asprintf(&text, "pools = ( %s );\n", pools) > 0);
	int rc = cfg_load_text("pools", text, NULL, &cfg);
	if (rc)
		rc = cfg_load_text("pools", text, stderr, &cfg);
	free(text);
	assert_int_equal(rc, 0);
	return cfg;
}

// The daemon starts, or starts anew: what the network saw stays.
static inline void fixture_start(struct fixture *f)
{
	struct dhcp_seams seams = {.clock = &f->clock, .random = &f->random, .net = &f->net};
	f->sockets = 0;
	assert_int_equal(dhcp_new(f->cfg, &seams, NULL, &f->d), 0);
	f->giver = dhcp_giver(f->d);
	f->giver->given = on_given;
	f->giver->changed = on_changed;
	f->giver->lost = on_lost;
	f->giver->user = f;
}

static inline void fixture_init(struct fixture *f, const char *pools)
{
	*f = (struct fixture){.now_ns = 1000 * NS_PER_S, .wall_s = 1700000000, .chance = 1};
	f->sent = calloc(SENT_MAX, sizeof(*f->sent));
	f->given = calloc(GIVEN_MAX, sizeof(*f->given));
	assert_true(f->sent && f->given);
	f->clock = (struct clock_source){fixture_now, fixture_wall, f};
	f->random = (struct random_source){fixture_chance, f};
	f->net = (struct dhcp_net){
		.ctx = f,
		.open = fixture_open,
		.close = fixture_close,
		.send = fixture_send,
		.receive = fixture_receive,
		.fd = fixture_fd,
	};
	f->cfg = config_of(pools);
	fixture_start(f);
}

static inline void fixture_stop(struct fixture *f)
{
	dhcp_free(f->d);
	f->d = NULL;
}

static inline void fixture_fini(struct fixture *f)
{
	fixture_stop(f);
	cfg_free(f->cfg);
	free(f->sent);
	free(f->given);
}

static inline uint64_t counter(const struct fixture *f, const char *wanted)
{
	const char *name, *help;
	uint64_t value;
	for (size_t i = 0; dhcp_counter(f->d, i, &name, &value, &help); i++)
		if (strcmp(name, wanted) == 0)
			return value;
	fail_msg("no counter %s", wanted);
	return 0;
}

// Milliseconds pass one by one, so that each timer fires in its own.
static inline void pass_ms(struct fixture *f, uint64_t ms)
{
	for (; ms; ms--) {
		f->now_ns += NS_PER_MS;
		dhcp_tick(f->d, f->now_ns);
	}
}

static inline void pass_s(struct fixture *f, uint64_t s)
{
	f->wall_s += (int64_t)s;
	pass_ms(f, s * 1000);
}

static inline int ask_for(struct fixture *f, const char *owner, uint64_t token, uint32_t want)
{
	struct giver_request rq = {
		.pool = &f->cfg->pools[0],
		.want = want ? ip_from_v4(want) : (struct ip_addr){0},
		.owner = {(const uint8_t *)owner, strlen(owner)},
		.name = owner,
		.token = token,
	};
	return f->giver->ask(f->giver->ctx, &rq);
}

static inline const struct sent *last_sent(const struct fixture *f)
{
	assert_true(f->sent_count > 0);
	return &f->sent[f->sent_count - 1];
}

// ---- the server's side

struct reply {
	uint8_t type;
	uint32_t yiaddr;
	uint32_t lease, t1, t2; // 0: not told
	const char *from;       // NULL: SERVER1
	const char *id;         // NULL: from
};

struct datagram {
	struct dhcp_datagram m;
	size_t at; // where the next option goes
};

static inline void put_u32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static inline void add_option(struct dhcp_datagram *m, uint8_t code, const void *value, size_t len)
{
	m->bytes[m->len++] = code;
	m->bytes[m->len++] = (uint8_t)len;
	memcpy(m->bytes + m->len, value, len);
	m->len += len;
}

static inline void add_u32(struct dhcp_datagram *m, uint8_t code, uint32_t v)
{
	uint8_t bytes[4];
	put_u32(bytes, v);
	if (v)
		add_option(m, code, bytes, 4);
}

// The answer to a question; its options end with END.
static inline void make_reply(const struct sent *q, const struct reply *r, struct dhcp_datagram *m)
{
	const char *from = r->from ? r->from : SERVER1;
	size_t len;
	*m = (struct dhcp_datagram){.socket = q->socket, .len = 240};
	m->from = (struct endpoint){ip_from_v4(v4(from)), 67};
	memcpy(m->bytes, q->bytes, 240);
	m->bytes[0] = 2;
	put_u32(m->bytes + 12, 0);
	put_u32(m->bytes + 16, r->yiaddr);
	add_option(m, 53, &r->type, 1);
	add_u32(m, 54, v4(r->id ? r->id : from));
	add_u32(m, 51, r->lease);
	add_u32(m, 58, r->t1);
	add_u32(m, 59, r->t2);
	add_u32(m, 1, 0xffff0000u);
	const uint8_t *id = option_of(q, 61, &len);
	assert_non_null(id);
	add_option(m, 61, id, len);
	m->bytes[m->len++] = 255;
}

static inline void deliver(struct fixture *f, const struct dhcp_datagram *m)
{
	f->queue[f->queued++] = *m;
	assert_int_equal(dhcp_turn(f->d), 1);
}

static inline void answer(struct fixture *f, const struct sent *q, const struct reply *r)
{
	struct dhcp_datagram m;
	make_reply(q, r, &m);
	deliver(f, &m);
}

// From the question to the lease.
static inline void get_lease(struct fixture *f, const char *owner, uint32_t addr, uint32_t lease_s)
{
	size_t before = f->given_count;
	assert_int_equal(ask_for(f, owner, addr, 0), 0);
	assert_int_equal(last_sent(f)->type, 1);
	answer(f, last_sent(f), &(struct reply){2, addr, .lease = lease_s});
	assert_int_equal(last_sent(f)->type, 3);
	answer(f, last_sent(f), &(struct reply){5, addr, .lease = lease_s});
	assert_int_equal(f->given_count, before + 1);
	assert_int_equal(f->given[before].status, ADDRESS_OK);
	assert_int_equal(f->given[before].addr, addr);
	assert_int_equal(f->given[before].token, addr);
}

#define ADDR1 0x0a010005u // 10.1.0.5

// Of each case: a network, servers and a client of its own.
static inline int fixture_begin(void **state)
{
	static struct fixture fixture;
	*state = &fixture;
	fixture_init(&fixture, POOL_TEXT);
	return 0;
}

static inline int fixture_finish(void **state)
{
	fixture_fini(*state);
	return 0;
}
