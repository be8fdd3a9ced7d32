// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The quick ways of packets against the long ones: two lives of the same data plane get the same bursts of
// random packets, good ones and all kinds of others, and in the second one every packet goes the long way.
// What leaves, what is dropped and why, what is counted and what is told must be the same. The seed is
// printed, and may be given as SEED.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include "base/htab.h"
#include "dataplane/punt.h"

#include <rte_ethdev.h>

#include <stdio.h>
#include <stdlib.h>

#define BURSTS 400
#define MOST   40 // packets of a burst

// ---- the same draws in both lives ----

static struct {
	uint8_t key[16];
	uint64_t n;
} dice;

static uint64_t draw64(void)
{
	uint64_t n = dice.n++;
	return siphash13(dice.key, &n, sizeof(n));
}

static uint32_t draw(uint32_t below)
{
	return (uint32_t)(draw64() % below);
}

static bool chance(uint32_t in)
{
	return draw(in) == 0;
}

static void draw_bytes(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)draw64();
}

// ---- what a life has seen: lines of text ----

static FILE *seen;

static void note(const char *what, unsigned i, const void *bytes, size_t n)
{
	const uint8_t *p = bytes;
	fprintf(seen, "%s %u:", what, i);
	for (size_t k = 0; k < n; k++)
		fprintf(seen, "%s%02x", k % 4 ? "" : " ", p[k]);
	fputc('\n', seen);
}

static void note_number(const char *what, unsigned i, uint64_t v)
{
	if (v)
		fprintf(seen, "%s %u: %llu\n", what, i, (unsigned long long)v);
}

// ---- tunnels of all kinds ----

#define WAY(i, p, n) .inner = (i), .peer = (p), .port = (n)

static const struct kind {
	const char *inner, *ts, *peer;
	uint16_t port;
	uint16_t encr, bits, integ;
	uint16_t window;
	bool esn;
	uint64_t seq; // that it has come to
	uint64_t soft_packets, hard_packets, hard_bytes;
	enum sa_df df;
	struct tunnel_treatment treat;
	bool reverse, any;
} kinds[] = {
	{WAY("10.1.0.2", "198.51.100.7", 4500), .window = 128, .esn = true, .any = true},
	{WAY("10.1.0.3", "198.51.100.8", 0), .bits = 256, .window = 64},
	{WAY("10.1.0.4", "198.51.100.9", 1024), .window = 64, .esn = true, .seq = UINT32_MAX - 60,
		.df = SA_DF_SET},
	{WAY("10.1.0.5", "198.51.100.9", 1025), .window = 192, .seq = UINT32_MAX - 200,
		.df = SA_DF_CLEAR},
	{WAY("10.1.0.6", "198.51.100.10", 4500), .window = 1024, .esn = true},
	{WAY("10.1.0.7", "198.51.100.11", 4500), .encr = ENCR_AES_CBC, .window = 64, .esn = true,
		.integ = INTEG_HMAC_SHA2_256_128},
	{WAY("10.1.0.8", "198.51.100.12", 4500), .encr = ENCR_AES_GCM_12, .window = 64},
	{WAY("10.1.0.9", "198.51.100.13", 4500), .window = 64, .soft_packets = 20,
		.hard_packets = 90},
	{WAY("10.1.0.10", "198.51.100.14", 4500), .window = 64, .hard_bytes = 20000,
		.treat = {.dscp_set = true, .dscp = 10, .ecn_off = true}},
	{WAY("10.1.0.11", "198.51.100.15", 4500), .window = 64, .ts = "10.1.0.10-10.1.0.11"},
	{WAY("10.1.0.12", "2001:db8:5::1", 4500), .window = 64, .esn = true},
	{WAY("10.1.0.13", "198.51.100.16", 4500), .esn = true},
	{WAY("10.1.0.14", "198.51.100.17", 4500), .window = 64, .reverse = true},
	{WAY("172.20.0.0/16", "198.51.100.18", 4500), .window = 64, .any = true},
};
#define KINDS RTE_DIM(kinds)

static struct side {
	struct sa_spec in, out;
	uint64_t seq; // of the peer
} sides[KINDS];

static void make_sas(const struct kind *k, struct side *s, uint32_t tunnel, uint16_t worker)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	const char *ts = k->ts ? k->ts : k->inner;
	struct tunnel_path path = fx_path(k->peer, k->port);
	struct ip_range any = {fx_ip("0.0.0.0"), fx_ip("255.255.255.255")};
	uint32_t spi;
	assert_int_equal(sink->spi_reserve(sink->ctx, worker, &path, &spi), 0);
	s->in = fx_spec(tunnel, SA_IN, k->encr ? k->encr : ENCR_AES_GCM_16, k->bits ? k->bits : 128,
		k->integ, ts);
	if (k->any)
		s->in.ts_local[0] = s->in.ts_remote[0] = selector_of_range(&any);
	draw_bytes(s->in.encr_key, s->in.encr_key_len);
	draw_bytes(s->in.integ_key, s->in.integ_key_len);
	s->in.replay_window = k->window;
	s->in.esn = k->esn;
	s->in.seq = s->seq = k->seq;
	s->in.soft_packets = k->soft_packets;
	s->in.hard_packets = k->hard_packets;
	s->in.hard_bytes = k->hard_bytes;
	s->out = s->in;
	s->out.dir = SA_OUT;
	s->in.child = s->in.spi = s->out.child = spi;
	s->out.spi = FX_PEER_SPI;
	assert_int_equal(sink->sa_add(sink->ctx, &s->in), 0);
	assert_int_equal(sink->sa_add(sink->ctx, &s->out), 0);
	sink->sa_switch(sink->ctx, spi);
}

static void make_tunnels(void)
{
	for (size_t i = 0; i < KINDS; i++) {
		const struct kind *k = &kinds[i];
		struct tunnel_spec spec = {.worker = (uint16_t)(i % fx.dp->worker_count),
			.path = fx_path(k->peer, k->port),
			.session = i + 1,
			.df = k->df,
			.treat = k->treat,
			.reverse_path = k->reverse};
		make_sas(k, &sides[i], fx_tunnel_of(&spec, k->inner), spec.worker);
	}
	fx_run();
}

// ---- packets ----

static const char *const inside_hosts[] = {"10.99.0.5", "10.99.0.5", "10.99.0.5", "10.99.0.77",
	"10.99.0.1", "192.0.2.1", "8.8.8.8", "127.0.0.1", "224.0.0.5", "169.254.1.1", "0.0.0.1",
	"10.1.0.2", "10.1.0.3", "10.1.200.1", "172.20.3.4", "255.255.255.255"};
static const char *const clients[] = {"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6",
	"10.1.0.7", "10.1.0.8", "10.1.0.9", "10.1.0.10", "10.1.0.11", "10.1.0.12", "10.1.0.13",
	"10.1.0.14", "172.20.9.9", "10.1.77.7", "172.21.0.1"};

static void sum_v4(uint8_t *p)
{
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

static size_t draw_inner(uint8_t *p, const char *src, const char *dst)
{
	static const uint8_t protos[] = {PROTO_UDP, PROTO_TCP, PROTO_ICMP, PROTO_ESP, PROTO_UDP};
	size_t n = fx_ipv4(
		p, src, dst, protos[draw(RTE_DIM(protos))], chance(4) ? draw(1460) : draw(120));
	p[1] = (uint8_t)(chance(3) ? draw64() : 0);
	p[6] = chance(3) ? 0x40 : chance(10) ? 0x20 : 0;
	p[7] = (uint8_t)(chance(20) ? draw(4) : 0);
	p[8] = (uint8_t)(chance(12) ? draw(3) : 64);
	sum_v4(p);
	if (chance(25)) // a wrong header, as it may be
		p[draw(IP4_HDR)] ^= (uint8_t)(1u << draw(8));
	return n;
}

static bool limited(unsigned i)
{
	return kinds[i].hard_packets || kinds[i].hard_bytes;
}

// Which of two reasons counts for a packet that is neither authentic nor new, or comes to an SA that has
// stopped, is a matter of how its burst is cut: such are not drawn. Nor is with ESN what lies before the
// window, which reads as a number far ahead and then is not authentic.
static uint64_t draw_seq(unsigned i, bool forged)
{
	struct side *s = &sides[i];
	switch (forged || limited(i) ? 3 : draw(12)) {
	case 0:
		return s->seq; // once more
	case 1:
		return s->seq - RTE_MIN(s->seq, (uint64_t)draw(kinds[i].esn ? 60 : 300));
	case 2:
		return s->seq += draw(200);
	default:
		return ++s->seq;
	}
}

static size_t add_trailer(uint8_t *plain, size_t n, size_t align)
{
	size_t pad = (align - (n + 2) % align) % align;
	pad += chance(8) ? align * draw(6) : 0;
	for (size_t k = 1; k <= pad; k++)
		plain[n++] = (uint8_t)k;
	plain[n++] = (uint8_t)pad;
	plain[n++] = chance(20) ? (uint8_t)draw64() : 4;
	if (chance(25))
		plain[n - 1 - draw(6)] ^= (uint8_t)(1u << draw(8));
	return n;
}

static size_t forge(uint8_t *esp, size_t len)
{
	if (chance(2))
		return len - draw((uint32_t)len - ESP_HDR_LEN);
	esp[ESP_HDR_LEN + draw((uint32_t)len - ESP_HDR_LEN)] ^= (uint8_t)(1u << draw(8));
	return len;
}

// From a client.
static void esp_of(unsigned i)
{
	uint8_t plain[2048], esp[4096];
	bool forged = !limited(i) && chance(12), v6 = strchr(kinds[i].peer, ':');
	const char *src = strchr(kinds[i].inner, '/') ? "172.20.1.1" : kinds[i].inner;
	const char *dst = chance(3) ? inside_hosts[draw(RTE_DIM(inside_hosts))] : EC_HOST;
	size_t n = draw_inner(plain, chance(15) ? clients[draw(RTE_DIM(clients))] : src, dst);
	memset(plain + n, 0, 8);
	n = add_trailer(
		plain, n + (chance(12) ? draw(9) : 0), kinds[i].encr == ENCR_AES_CBC ? 16 : 4);
	size_t len = oracle_seal(&sides[i].in, draw_seq(i, forged), plain, n, NULL, esp);
	len = forged ? forge(esp, len) : len;
	fx_input_esp(chance(15) && !v6 ? "198.51.100.99" : kinds[i].peer,
		chance(15) ? (uint16_t)draw(3) : kinds[i].port,
		(uint8_t)(chance(4) ? draw(256) : 0), esp, len);
}

// From the inside.
static void inner_of(void)
{
	uint8_t p[2048];
	size_t n = draw_inner(p, chance(12) ? inside_hosts[draw(RTE_DIM(inside_hosts))] : EC_HOST,
		chance(12) ? inside_hosts[draw(RTE_DIM(inside_hosts))]
			   : clients[draw(RTE_DIM(clients))]);
	memset(p + n, 0xee, 32);
	n += chance(6) ? draw(32) : 0; // Ethernet's padding
	n -= chance(30) ? draw((uint32_t)n) : 0;
	fx_input(FX_INSIDE, p, n);
}

// ---- a life ----

static void note_output(const char *what, int port)
{
	uint8_t buf[4096];
	size_t n;
	for (unsigned i = 0; (n = fx_output(port, buf, sizeof(buf))); i++) {
		// IVs of CBC are drawn.
		bool cbc = port == FX_OUTSIDE && memcmp(buf + 16, "\xc6\x33\x64\x0b", 4) == 0;
		note(what, i, buf, cbc ? 36 : n);
	}
}

static void note_sas(void)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	struct sa_counters c;
	for (unsigned i = 0; i < KINDS; i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++) {
			memset(&c, 0, sizeof(c));
			assert_true(
				sink->sa_stats(sink->ctx, sides[i].in.child, (enum sa_dir)dir, &c));
			note(dir == SA_IN ? "sa in" : "sa out", i, &c, sizeof(c));
		}
}

// Several of one burst: which of them is told first, of packets in one direction and in the other, depends on the way.
static int by_sa(const void *a, const void *b)
{
	const struct sa_event *x = a, *y = b;
	if (x->session != y->session)
		return x->session < y->session ? -1 : 1;
	return x->dir != y->dir ? (int)x->dir - (int)y->dir : (int)x->type - (int)y->type;
}

static void note_events(void)
{
	qsort(fx.events, fx.event_count, sizeof(fx.events[0]), by_sa);
	for (unsigned i = 0; i < fx.event_count; i++) {
		const struct sa_event *ev = &fx.events[i];
		fprintf(seen, "event %u: %llu %u %u\n", i, (unsigned long long)ev->session,
			ev->type, ev->dir);
		if (ev->type == SA_EVENT_PEER_MOVED)
			note("from", ev->remote.port, &ev->remote.addr, sizeof(ev->remote.addr));
	}
	fx.event_count = 0;
}

static void note_worker(const struct dp_worker *w)
{
	const struct dp_stats *s = &w->stats;
	note_number("esp in", w->id, dp_get(&s->esp_in_packets));
	note_number("esp out", w->id, dp_get(&s->esp_out_packets));
	note_number("punts", w->id, dp_get(&s->punts));
	note_number("ECN alarms", w->id, dp_get(&s->ecn_alarms));
	note_number("handed over", w->id, dp_get(&s->handoff_in));
	for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++)
		note_number(dp_handoff_name[i], w->id, dp_get(&s->handoff_out[i]));
}

static void note_all(unsigned burst)
{
	fprintf(seen, "burst %u\n", burst);
	note_output("outside", FX_OUTSIDE);
	note_output("inside", FX_INSIDE);
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		note_number(dp_drop_name[i], i, fx_drops((enum dp_drop)i));
	note_sas();
	note_events();
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		note_worker(fx.dp->workers[i]);
}

static void burst(unsigned number)
{
	unsigned n = 1 + draw(MOST), one = draw(KINDS);
	bool trains = chance(3);
	for (unsigned i = 0; i < n; i++) {
		if (chance(2))
			esp_of(trains ? one : draw(KINDS));
		else
			inner_of();
	}
	fx.now_ns += draw(1000000);
	fx_run();
	note_all(number);
}

static char *live(const uint8_t key[16], unsigned workers, bool long_way)
{
	char *text;
	size_t len;
	seen = open_memstream(&text, &len);
	assert_non_null(seen);
	memcpy(dice.key, key, sizeof(dice.key));
	dice.n = 0;
	fx_start(workers, NIC_HASH_NONE, NIC_HASH_NONE);
	// No connection lets packets by, so that this changes nothing but the way that they take.
	fx.dp->bypass = long_way;
	memset(fx.dp->local->key, 0,
		sizeof(fx.dp->local->key)); // whose ICMP errors are limited together
	make_tunnels();
	for (unsigned i = 0; i < BURSTS; i++)
		burst(i);
	fx_stop();
	fclose(seen);
	return text;
}

// The first lines that differ.
static void compare(char *a, char *b)
{
	char *in_a, *in_b, *x = strtok_r(a, "\n", &in_a), *y = strtok_r(b, "\n", &in_b);
	const char *number = "";
	while (x && y && strcmp(x, y) == 0) {
		number = strncmp(x, "burst", 5) ? number : x;
		x = strtok_r(NULL, "\n", &in_a);
		y = strtok_r(NULL, "\n", &in_b);
	}
	if (x || y)
		fail_msg("%s, quick and long way:\n# %.200s\n# %.200s", number, x ? x : "nothing",
			y ? y : "nothing");
}

static void agree(unsigned workers)
{
	uint8_t key[16] = {0};
	const char *given = getenv("SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : random_u64(&random_system);
	memcpy(key, &seed, sizeof(seed));
	printf("# seed 0x%llx\n", (unsigned long long)seed);
	char *a = live(key, workers, false), *b = live(key, workers, true);
	compare(a, b);
	free(a);
	free(b);
}

static void the_ways_agree(void **state)
{
	agree(1);
}

// All packets come to the first one.
static void of_two_workers_too(void **state)
{
	agree(2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_ways_agree), cmocka_unit_test(of_two_workers_too)};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
