// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which ICMP messages from outside lower a tunnel's path MTU, how far, and for how long.
#include "tests/cmocka_all.h"
#include "tests/dataplane/fixture.h"

#define HOST   "10.99.0.5"
#define SENT   5 // packets before the reports
#define MOVED  "198.51.100.99"
#define NO_MTU 0

// A tunnel of each kind, and an attacker or router that reports.
static const struct kind {
	const char *name, *inner, *peer, *gateway, *router;
	uint16_t port; // the peer's; 0: plain ESP
} kinds[] = {
	{"plain IPv4", "10.1.0.2", "198.51.100.7", "192.0.2.1", "203.0.113.9", 0},
	{"UDP, IPv4", "10.1.0.3", "198.51.100.8", "192.0.2.1", "203.0.113.9", 61000},
	{"plain IPv6", "10.1.0.4", "2001:db8:5::1", "2001:db8:1::1", "2001:db8:6::9", 0},
	{"UDP, IPv6", "10.1.0.5", "2001:db8:5::2", "2001:db8:1::1", "2001:db8:6::9", 61000},
};

static uint32_t tunnels[RTE_DIM(kinds)];
static struct sa_spec in[RTE_DIM(kinds)], out[RTE_DIM(kinds)];

// What is wrong with a report.
enum wrong {
	RIGHT,
	OTHER_SPI,
	OTHER_PEER,
	OTHER_SOURCE,
	OTHER_PORT,
	FUTURE,
	ANCIENT, // the SA is far beyond the quoted number
	SHORT,   // 4 bytes of ESP
	DELETED,
	INSIDE, // by the inside port
	OTHER_CODE,
	OTHER_PROTO,
};

struct report {
	enum wrong wrong;
	uint32_t mtu;
	uint16_t total; // of the quoted packet
};

static bool is_v6(const struct kind *k)
{
	return strchr(k->peer, ':') != NULL;
}

// The first bytes of a packet of ours, as a router quotes them. Returns how many.
static size_t quote(uint8_t *p, const struct kind *k, const struct report *r)
{
	const char *peer = r->wrong == OTHER_PEER ? (is_v6(k) ? "2001:db8:5::9" : MOVED) : k->peer;
	const char *src = r->wrong == OTHER_SOURCE ? k->router : k->gateway;
	uint8_t proto = r->wrong == OTHER_PROTO ? PROTO_TCP : k->port ? PROTO_UDP : PROTO_ESP;
	uint32_t seq = r->wrong == FUTURE ? SENT + 1 : SENT;
	size_t head = is_v6(k) ? IP6_HDR : IP4_HDR, at = head;
	if (is_v6(k))
		fx_ipv6(p, src, peer, proto, 32);
	else
		fx_ipv4(p, src, peer, proto, 32);
	set_be16(p + (is_v6(k) ? 4 : 2), (uint16_t)(r->total - (is_v6(k) ? head : 0)));
	if (k->port) {
		set_be16(p + at, 4500);
		set_be16(p + at + 2, (uint16_t)(k->port + (r->wrong == OTHER_PORT)));
		at += UDP_HDR;
	}
	set_be32(p + at, FX_PEER_SPI + (r->wrong == OTHER_SPI));
	set_be32(p + at + 4, seq);
	return at + (r->wrong == SHORT ? 4 : 8);
}

static void report(const struct kind *k, const struct report *r)
{
	uint8_t q[128], p[256];
	struct wr w = wr_of(p, sizeof(p));
	struct pkt_ip_head h = {.src = fx_ip(k->router),
		.dst = fx_ip(k->gateway),
		.proto = is_v6(k) ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP,
		.ttl = 60};
	struct pkt_icmp icmp = {.type = is_v6(k) ? ICMP6_TOO_BIG : ICMP_UNREACHABLE,
		.code = is_v6(k) ? 0 : ICMP_FRAG_NEEDED,
		.rest = r->mtu,
		.body = {q, quote(q, k, r)}};
	if (r->wrong == OTHER_CODE) {
		icmp.type = is_v6(k) ? ICMP6_UNREACHABLE : ICMP_UNREACHABLE;
		icmp.code = 3;
	}
	pkt_build_icmp(&w, &h, &icmp);
	assert_false(w.overflow);
	fx_input(r->wrong == INSIDE ? FX_INSIDE : FX_OUTSIDE, p, w.len);
	fx_run();
}

static uint16_t mtu_of(size_t i)
{
	return fx.dp->sa_sink.tunnel_mtu(fx.dp->sa_sink.ctx, tunnels[i]);
}

static struct dp_sa *sa_of(size_t i)
{
	struct dp_worker *w = fx.dp->workers[fx.owner];
	return dp_slab_at(&w->out, dp_spi_slot(&w->layout, out[i].child));
}

static int start(void **state)
{
	(void)state;
	uint8_t p[256];
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		tunnels[i] = fx_tunnel(0, kinds[i].inner, kinds[i].peer, kinds[i].port);
		fx_child(tunnels[i], 0, ENCR_AES_GCM_16, 128, 0, kinds[i].inner, &in[i], &out[i]);
		for (int n = 0; n < SENT; n++)
			fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, kinds[i].inner, PROTO_UDP, 40));
	}
	fx_run();
	for (size_t i = 0; i < RTE_DIM(kinds); i++)
		assert_int_equal(dp_get(&sa_of(i)->seq), SENT);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

// Only this counter has moved, by one; DP_PMTU_COUNT: none.
static void moved(const uint64_t before[DP_PMTU_COUNT], enum dp_pmtu what)
{
	for (unsigned i = 0; i < DP_PMTU_COUNT; i++)
		if (fx.dp->pmtu[i] != before[i] + (i == what))
			fail_msg("%s is %u", dp_pmtu_name[i], (unsigned)fx.dp->pmtu[i]);
}

static void which_are_believed(void **state)
{
	static const struct {
		const char *what;
		struct report report;
		enum dp_pmtu v4, v6;
		uint16_t mtu4, mtu6; // afterwards
	} rows[] = {
		{"good", {RIGHT, 1400, 1500}, DP_PMTU_lowered, DP_PMTU_lowered, 1400, 1400},
		{"another SPI", {OTHER_SPI, 1400, 1500}, DP_PMTU_refused_sa, DP_PMTU_refused_sa,
			1500, 1500},
		{"another destination", {OTHER_PEER, 1400, 1500}, DP_PMTU_refused_sa,
			DP_PMTU_refused_sa, 1500, 1500},
		{"another source", {OTHER_SOURCE, 1400, 1500}, DP_PMTU_refused_sa,
			DP_PMTU_refused_sa, 1500, 1500},
		{"not sent yet", {FUTURE, 1400, 1500}, DP_PMTU_refused_sequence,
			DP_PMTU_refused_sequence, 1500, 1500},
		{"sent long ago", {ANCIENT, 1400, 1500}, DP_PMTU_refused_sequence,
			DP_PMTU_refused_sequence, 1500, 1500},
		{"cut short", {SHORT, 1400, 1500}, DP_PMTU_refused_short, DP_PMTU_refused_short,
			1500, 1500},
		{"SA deleted", {DELETED, 1400, 1500}, DP_PMTU_refused_sa, DP_PMTU_refused_sa, 1500,
			1500},
		// Row 91: "clamp to >= 576/1280".
		{"below the least", {RIGHT, 68, 1500}, DP_PMTU_lowered,
			DP_PMTU_refused_below_minimum, 576, 1500},
		{"just the least", {RIGHT, 1280, 1500}, DP_PMTU_lowered, DP_PMTU_lowered, 1280,
			1280},
		{"what is in use", {RIGHT, 1500, 1600}, DP_PMTU_refused_not_lower,
			DP_PMTU_refused_not_lower, 1500, 1500},
		{"more", {RIGHT, 9000, 1500}, DP_PMTU_refused_not_lower, DP_PMTU_refused_not_lower,
			1500, 1500},
		{"64 bits", {RIGHT, 0x10578, 1500}, DP_PMTU_lowered, DP_PMTU_refused_not_lower,
			1400, 1500},
		{"not told", {RIGHT, NO_MTU, 1500}, DP_PMTU_lowered, DP_PMTU_refused_below_minimum,
			1492, 1500},
		{"not told, small", {RIGHT, NO_MTU, 1300}, DP_PMTU_lowered,
			DP_PMTU_refused_below_minimum, 1006, 1500},
		{"by the inside", {INSIDE, 1400, 1500}, DP_PMTU_COUNT, DP_PMTU_COUNT, 1500, 1500},
		{"unreachable", {OTHER_CODE, 1400, 1500}, DP_PMTU_COUNT, DP_PMTU_COUNT, 1500, 1500},
		{"TCP", {OTHER_PROTO, 1400, 1500}, DP_PMTU_COUNT, DP_PMTU_COUNT, 1500, 1500},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		for (size_t k = 0; k < RTE_DIM(kinds); k++) {
			uint64_t before[DP_PMTU_COUNT], ignored;
			bool v6 = is_v6(&kinds[k]);
			start(state);
			ignored = fx_drops(DP_DROP_icmp_error);
			memcpy(before, fx.dp->pmtu, sizeof(before));
			if (rows[i].report.wrong == ANCIENT)
				dp_set(&sa_of(k)->seq, SENT + DP_PMTU_SEQ);
			if (rows[i].report.wrong == DELETED)
				fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, out[k].child, SA_OUT);
			report(&kinds[k], &rows[i].report);
			enum dp_pmtu want = v6 ? rows[i].v6 : rows[i].v4;
			moved(before, want);
			assert_int_equal(
				fx_drops(DP_DROP_icmp_error), ignored + (want == DP_PMTU_COUNT));
			if (mtu_of(k) != (v6 ? rows[i].mtu6 : rows[i].mtu4))
				fail_msg("%s, %s: %u", kinds[k].name, rows[i].what, mtu_of(k));
			for (size_t o = 0; o < RTE_DIM(kinds); o++)
				assert_true(o == k || mtu_of(o) == 1500);
			fx_stop();
		}
	}
}

static void the_port_must_match_behind_udp(void **state)
{
	(void)state;
	static const struct report r = {OTHER_PORT, 1400, 1500};
	report(&kinds[1], &r);
	report(&kinds[3], &r);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_refused_sa], 2);
	assert_int_equal(mtu_of(1), 1500);
	assert_int_equal(mtu_of(3), 1500);
}

// The outer size of what carries an inner packet of so many bytes; 0: none left.
static size_t outer_of(size_t i, size_t inner, bool df)
{
	uint8_t p[2048], got[2048];
	size_t n = fx_ipv4(p, HOST, kinds[i].inner, PROTO_UDP, inner - IP4_HDR);
	if (df)
		p[6] = 0x40;
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
	while (fx_output(FX_OUTSIDE, got, sizeof(got)))
		;
	fx_input(FX_INSIDE, p, n);
	fx_run();
	return fx_output(FX_OUTSIDE, got, sizeof(got));
}

// The workers follow, and the packet that fits is the one that senders are told of.
static void workers_follow(void **state)
{
	(void)state;
	static const struct report r = {RIGHT, 1400, 1500};
	for (size_t k = 0; k < RTE_DIM(kinds); k++) {
		size_t over = 8 + 8 + 16 + (kinds[k].port ? 8 : 0) + (is_v6(&kinds[k]) ? 40 : 20);
		size_t most = (1400 - over) / 4 * 4 - 2;
		assert_in_range(outer_of(k, 1402, true), 1401, 1500);
		report(&kinds[k], &r);
		assert_in_range(outer_of(k, most, true), 1397, 1400);
		assert_int_equal(outer_of(k, most + 1, true), 0);
	}
}

// RFC 1191 6.3: after ten minutes the path is tried again.
static void it_ages(void **state)
{
	(void)state;
	static const struct report low = {RIGHT, 1400, 1500}, lower = {RIGHT, 1300, 1400};
	report(&kinds[0], &low);
	fx.now_ns += 300 * NS_PER_S;
	report(&kinds[1], &low);
	report(&kinds[0], &lower);
	assert_int_equal(mtu_of(0), 1300);
	assert_int_equal(dp_next_ns(fx.dp) <= fx.now_ns + DP_PMTU_NS, true);
	fx.now_ns += DP_PMTU_NS - 1;
	fx_run();
	assert_int_equal(mtu_of(0), 1300);
	assert_int_equal(mtu_of(1), 1400);
	fx.now_ns += 1;
	fx_run();
	assert_int_equal(mtu_of(0), 1500);
	assert_int_equal(mtu_of(1), 1500);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_raised], 2);
	assert_in_range(outer_of(0, 1402, true), 1401, 1500);
	// One that is gone ages no more.
	report(&kinds[0], &low);
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, tunnels[0]);
	fx_run();
	assert_int_equal(mtu_of(0), 0);
	fx.now_ns += DP_PMTU_NS;
	fx_run();
	assert_int_equal(fx.dp->pmtu[DP_PMTU_raised], 2);
}

// A peer that moves has another path; reports about the old one are no longer believed.
static void it_ends_with_the_path(void **state)
{
	(void)state;
	static const struct report r = {RIGHT, 1400, 1500};
	struct tunnel_path path = fx_path(MOVED, 0);
	struct kind now_at = kinds[0];
	report(&kinds[0], &r);
	assert_int_equal(mtu_of(0), 1400);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, tunnels[0], &path);
	fx_run();
	assert_int_equal(mtu_of(0), 1500);
	report(&kinds[0], &r);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_refused_sa], 1);
	now_at.peer = MOVED;
	report(&now_at, &r);
	assert_int_equal(mtu_of(0), 1400);
}

static void a_flood_finds_the_limit(void **state)
{
	(void)state;
	static const struct report forged = {OTHER_SPI, 1400, 1500}, good = {RIGHT, 1400, 1500},
				   no_less = {RIGHT, 1500, 1500};
	// Forged ones do not use up the share of what a router says.
	for (unsigned i = 0; i < 1000; i++)
		report(&kinds[0], &forged);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_refused_sa], 1000);
	for (unsigned i = 0; i < 1000; i++)
		report(&kinds[0], &no_less);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_refused_not_lower], 200);
	assert_int_equal(fx.dp->pmtu[DP_PMTU_refused_rate], 800);
	report(&kinds[0], &good);
	assert_int_equal(mtu_of(0), 1500);
	fx.now_ns += NS_PER_S;
	report(&kinds[0], &good);
	assert_int_equal(mtu_of(0), 1400);
}

// The configured ceiling, which the least of the family and the port's MTU bound.
static void the_configured_ceiling(void **state)
{
	static const struct {
		uint16_t max, want4, want6;
	} rows[] = {{0, 1500, 1500}, {1400, 1400, 1400}, {600, 600, 1280}, {9000, 1500, 1500}};
	static const struct report r = {RIGHT, 1450, 1500};
	(void)state;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		for (size_t k = 0; k < RTE_DIM(kinds); k++) {
			struct tunnel_spec spec = {.path = fx_path(kinds[k].peer, kinds[k].port),
				.treat = {.mtu_max = rows[i].max}};
			uint16_t want = is_v6(&kinds[k]) ? rows[i].want6 : rows[i].want4;
			uint32_t id;
			const struct sa_sink *s = &fx.dp->sa_sink;
			assert_int_equal(s->tunnel_add(s->ctx, &spec, &id), 0);
			assert_int_equal(s->tunnel_mtu(s->ctx, id), want);
			s->tunnel_pmtu(s->ctx, id, 1350);
			assert_int_equal(s->tunnel_mtu(s->ctx, id), RTE_MIN(want, 1350));
			s->tunnel_pmtu(s->ctx, id, UINT16_MAX);
			assert_int_equal(s->tunnel_mtu(s->ctx, id), want);
			s->tunnel_del(s->ctx, id);
			fx_run();
		}
	}
	report(&kinds[0], &r);
	assert_int_equal(mtu_of(0), 1450);
}

static void plateaus(void **state)
{
	static const struct {
		uint32_t total;
		uint16_t want;
	} rows[] = {{65535, 32000}, {9000, 8166}, {1500, 1492}, {1492, 1006}, {1006, 576},
		{577, 576}, {576, 576}, {0, 576}};
	(void)state;
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		assert_int_equal(dp_pmtu_plateau(rows[i].total), rows[i].want);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(which_are_believed),
		WITH(the_port_must_match_behind_udp),
		WITH(workers_follow),
		WITH(it_ages),
		WITH(it_ends_with_the_path),
		WITH(a_flood_finds_the_limit),
		WITH(the_configured_ceiling),
		cmocka_unit_test(plateaus),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
