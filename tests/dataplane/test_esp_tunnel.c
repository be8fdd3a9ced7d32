// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whole packets through a tunnel: where they go, how they are marked, what limits them.
#include "dataplane/punt.h"

#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define PEER  EC_PEER
#define INNER EC_INNER
#define HOST  EC_HOST

// ---- Moves (row 89) ----

// The address of an authentic, newest packet is reported, once a change.
static void moves_are_reported_when_authentic(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	ec_ping_in(10);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	size_t n = oracle_wrap(&ec.in, 11, p, len, 4, esp);
	esp[n - 1] ^= 1;
	fx_input_esp("203.0.113.9", 1234, 0, esp, n);
	n = oracle_wrap(&ec.in, 5, p, len, 4, esp); // authentic but old
	fx_input_esp("203.0.113.9", 1234, 0, esp, n);
	fx_run();
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	for (unsigned i = 0; i < 3; i++) {
		n = oracle_wrap(&ec.in, 12 + i, p, len, 4, esp);
		fx_input_esp("203.0.113.9", 1234, 0, esp, n);
		fx_run();
	}
	const struct sa_event *ev = fx_event(SA_EVENT_PEER_MOVED);
	assert_non_null(ev);
	assert_int_equal(fx_event_count(SA_EVENT_PEER_MOVED), 1);
	assert_int_equal(ev->remote.port, 1234);
	struct ip_addr from = fx_ip("203.0.113.9");
	assert_true(ip_eq(&ev->remote.addr, &from));
	assert_int_equal(ev->session, 77);
	struct tunnel_path path = fx_path("203.0.113.9", 1234);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	uint8_t got[512];
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	assert_memory_equal(got + 16, path.remote.addr.bytes, 4);
	assert_int_equal(get_be16(got + 22), 1234);
}

// In another encapsulation than the tunnel's ESP is taken too, from anywhere, but moves nothing: its
// ports are not those that are sent to.
static void other_encapsulations_are_taken(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	fx_input_esp("203.0.113.9", 0, 0, esp, oracle_wrap(&ec.in, 1, p, len, 4, esp));
	fx_run();
	assert_int_equal(ec_inside_packets(), 1);
	fx_input_marked("203.0.113.9", 500, esp, oracle_wrap(&ec.in, 2, p, len, 4, esp));
	fx_run();
	assert_int_equal(ec_inside_packets(), 1);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	struct tunnel_path path = fx_path_marked(PEER, 500);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input_esp("203.0.113.9", 4500, 0, esp, oracle_wrap(&ec.in, 3, p, len, 4, esp));
	fx_input_esp("203.0.113.9", 0, 0, esp, oracle_wrap(&ec.in, 4, p, len, 4, esp));
	fx_run();
	assert_int_equal(ec_inside_packets(), 2);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
}

// ---- ECN, DSCP, DF (RFC 6040, RFC 4301 5.1.2) ----

static void set_tos(uint8_t *p, uint8_t tos)
{
	ip_sum_fix(p + 10, get_be16(p), (uint16_t)(0x4500 | tos));
	p[1] = tos;
}

static void ecn_on_the_way_in(void **state)
{
	(void)state;
	// inner, outer, what comes out (4: dropped)
	static const uint8_t rows[][3] = {{0, 0, 0}, {0, 1, 0}, {0, 2, 0}, {0, 3, 4}, {1, 0, 1},
		{1, 1, 1}, {1, 2, 1}, {1, 3, 3}, {2, 0, 2}, {2, 1, 1}, {2, 2, 2}, {2, 3, 3},
		{3, 0, 3}, {3, 1, 3}, {3, 2, 3}, {3, 3, 3}};
	uint8_t p[128], esp[512], got[512];
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
		set_tos(p, 0xb8 | rows[i][0]);
		size_t n = oracle_wrap(&ec.in, i + 1, p, len, 4, esp);
		fx_input_esp(PEER, 4500, rows[i][1], esp, n);
		fx_run();
		len = fx_output(FX_INSIDE, got, sizeof(got));
		assert_int_equal(len == 0, rows[i][2] == 4);
		if (len) {
			assert_int_equal(got[1], 0xb8 | rows[i][2]);
			assert_int_equal(ip_fold(ip_sum(got, IP4_HDR)), 0xffff);
		}
	}
	assert_int_equal(fx_drops(DP_DROP_esp_ecn), 1);
}

static void marks_on_the_way_out(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint8_t p[128], got[512];
	for (int df = SA_DF_COPY; df <= SA_DF_CLEAR; df++)
		for (int inner_df = 0; inner_df < 2; inner_df++) {
			struct tunnel_spec spec = {.worker = (uint16_t)fx.owner,
				.path = fx_path(PEER, 0),
				.df = (enum sa_df)df};
			struct ip_prefix dst = fx_prefix("10.1.7.7");
			uint32_t t;
			assert_int_equal(s->tunnel_add(s->ctx, &spec, &t), 0);
			assert_int_equal(s->route_add(s->ctx, t, &dst), 0);
			fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, "10.1.7.7", &ec.in, &ec.out);
			size_t n = fx_ipv4(p, HOST, "10.1.7.7", PROTO_UDP, 8);
			set_tos(p, 0xb9);
			p[6] = inner_df ? 0x40 : 0;
			ip_sum_fix(p + 10, 0, get_be16(p + 6));
			fx_input(FX_INSIDE, p, n);
			fx_run();
			assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
			assert_int_equal(got[1], 0xb9);
			bool want = df == SA_DF_SET || (df == SA_DF_COPY && inner_df);
			assert_int_equal(got[6], want ? 0x40 : 0);
			s->tunnel_del(s->ctx, t);
			fx_run();
		}
}

// RFC 6864 4.2: "Sources of non-atomic IPv4 datagrams ... MUST NOT repeat IPv4 ID values within one MDL for a
// given source address/destination address/protocol triple"; here as far as 16 bits go. Several SAs of two
// workers have the same ends, one of them with the drafts' marker, and so has IKE; every other packet has DF,
// and is atomic.
static void ids_are_not_repeated(void **state)
{
	static const char *const inner[] = {"10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5"};
	static bool seen[1 << 16];
	static const uint8_t message[64];
	struct tunnel_path plain = fx_path(PEER, 0), marked = fx_path_marked(PEER, 500);
	struct ike_datagram ike = {.local = {fx_ip("192.0.2.1"), 500},
		.remote = {fx_ip(PEER), 500},
		.bytes = {message, sizeof(message)}};
	uint8_t p[128], got[512];
	unsigned atomic = 0, others = 0;
	(void)state;
	memset(seen, 0, sizeof(seen));
	fx.dp->local->ip_id = 0;
	// Whoever asks for the router gets an answer.
	struct neigh_news router = {.addr = fx_ip("192.0.2.254"),
		.port = FX_OUTSIDE,
		.mac_set = true,
		.mac = {{2, 0, 0, 0, 9, 9}},
		.confirmed = true};
	dp_send(fx.dp, &ike);
	assert_int_equal(neigh_learn(fx.dp->local->neigh, &router, fx.now_ns), DP_DROP_NONE);
	for (unsigned i = 0; i < RTE_DIM(inner); i++) {
		uint32_t t = fx_tunnel_on(i % 2, inner[i], i < 3 ? &plain : &marked);
		fx_child(t, i % 2, ENCR_AES_GCM_16, 128, 0, inner[i], &ec.in, &ec.out);
	}
	for (unsigned i = 0; i < 64 * RTE_DIM(inner); i++) {
		const char *to = inner[i % RTE_DIM(inner)];
		fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, to, PROTO_UDP, 8));
		fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, to, PROTO_UDP, 8));
		dp_send(fx.dp, &ike);
		fx_run();
		while (fx_output(FX_OUTSIDE, got, sizeof(got))) {
			uint16_t id = get_be16(got + 4);
			assert_int_equal(ip_fold(ip_sum(got, IP4_HDR)), 0xffff);
			if (got[6] & 0x40) {
				assert_int_equal(id, 0);
				atomic++;
				continue;
			}
			assert_false(seen[id]);
			seen[id] = true;
			others++;
		}
	}
	assert_int_equal(atomic, 64 * RTE_DIM(inner));
	assert_int_equal(others, 1 + 2 * 64 * RTE_DIM(inner));
}

// ---- Limits and sequence numbers (row 83) ----

static void send_out(unsigned n)
{
	uint8_t p[128], got[512];
	for (unsigned i = 0; i < n; i++) {
		fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 80));
		fx_run();
	}
	while (fx_output(FX_OUTSIDE, got, sizeof(got)))
		;
}

static void limits_of_packets_and_bytes(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(ec.tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.soft_packets = 3;
	spec.hard_packets = 5;
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, ec.in.child, SA_OUT);
	spec = ec_child_with(spec, SA_OUT);
	send_out(2);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 0);
	send_out(2);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 1);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 0);
	send_out(4);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 1);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
	struct sa_counters c;
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, spec.child, SA_OUT, &c));
	assert_int_equal(c.packets, 5);
	assert_int_equal(c.bytes, 500);
	assert_int_equal(fx_drops(DP_DROP_no_child), 3);
	assert_non_null(fx_event(SA_EVENT_NO_CHILD));

	spec.soft_packets = spec.hard_packets = 0;
	spec.soft_bytes = 250;
	spec.hard_bytes = 400;
	spec = ec_child_with(spec, SA_OUT);
	send_out(10);
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, spec.child, SA_OUT, &c));
	assert_int_equal(c.bytes, 400);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 2);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 2);
}

static void a_limit_within_a_burst(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(ec.tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	uint8_t p[128], got[512];
	unsigned left = 0;
	spec.hard_packets = 5;
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, ec.in.child, SA_OUT);
	spec = ec_child_with(spec, SA_OUT);
	for (unsigned i = 0; i < 8; i++)
		fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 80));
	fx_run();
	while (fx_output(FX_OUTSIDE, got, sizeof(got)))
		left++;
	assert_int_equal(left, 5);
	assert_int_equal(fx_drops(DP_DROP_no_child), 3);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
}

// Those that are wrapped at once, around one that has to be cut and one without a hop left.
static void numbers_leave_in_their_order(void **state)
{
	static const struct {
		size_t payload;
		uint8_t ttl;
	} rows[] = {{80, 64}, {1480, 64}, {80, 64}, {80, 1}, {80, 2}};
	(void)state;
	uint8_t p[1600], got[1600];
	uint32_t seq = 0;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t n = fx_ipv4(p, HOST, INNER, PROTO_UDP, rows[i].payload);
		uint16_t old = get_be16(p + 8);
		p[8] = rows[i].ttl;
		ip_sum_fix(p + 10, old, get_be16(p + 8));
		fx_input(FX_INSIDE, p, n);
	}
	fx_run();
	while (fx_output(FX_OUTSIDE, got, sizeof(got)))
		assert_int_equal(get_be32(got + IP4_HDR + UDP_HDR + 4), ++seq);
	assert_int_equal(seq, 5);
	assert_int_equal(fx_drops(DP_DROP_ttl), 1);
}

static void an_inbound_sa_stops_at_its_limit(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.hard_packets = 2;
	ec.in = ec_child_with(spec, SA_IN);
	for (unsigned i = 1; i <= 4; i++)
		ec_ping_in(i);
	assert_int_equal(ec_inside_packets(), 2);
	assert_int_equal(fx_drops(DP_DROP_esp_stopped), 2);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
}

static void sequence_numbers_never_wrap(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(ec.tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, ec.in.child, SA_OUT);
	spec.seq = 0xffffffffu - 2;
	spec = ec_child_with(spec, SA_OUT);
	send_out(5);
	struct sa_counters c;
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, spec.child, SA_OUT, &c));
	assert_int_equal(c.seq, 0xffffffffu);
	assert_int_equal(c.packets, 2);
	assert_int_equal(fx_drops(DP_DROP_seq_end), 1);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 1);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
	// ESN goes on.
	spec.esn = true;
	spec.seq = 0xffffffffu - 2;
	spec = ec_child_with(spec, SA_OUT);
	send_out(5);
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, spec.child, SA_OUT, &c));
	assert_int_equal(c.seq, 0x100000002ull);
}

// A window above the hot part's, across the wrap of the low half.
static void wide_windows_and_esn(void **state)
{
	(void)state;
	static const uint16_t windows[] = {32, 64, 128, 256, 1024, 4096};
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		struct sa_spec spec = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
		uint64_t top = 0x100000000ull + windows[i] / 2;
		spec.esn = true;
		spec.replay_window = windows[i];
		spec.seq = 0xfffff000u;
		ec.in = ec_child_with(spec, SA_IN);
		ec_ping_in(0xfffff001u); // below 2^32
		ec_ping_in(top);
		ec_ping_in(top - windows[i] + 1); // the oldest that is in
		assert_int_equal(ec_inside_packets(), 3);
		ec_ping_in(top - windows[i] + 1);
		assert_int_equal(ec_inside_packets(), 0);
	}
}

// ---- Size (rows 85, 92) ----

static void what_does_not_fit_is_told(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	// 1500 - 20 - 8 - 8 - 8 - 16 = 1440, less 2 of trailer: 1438 (NAT-T)
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1438 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1500);
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1439 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 1);
	fx.dp->sa_sink.tunnel_pmtu(fx.dp->sa_sink.ctx, ec.tunnel, 1400);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1338 - 20));
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1339 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1400);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 2);
	// Row 91: never below 576.
	fx.dp->sa_sink.tunnel_pmtu(fx.dp->sa_sink.ctx, ec.tunnel, 68);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 480));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
}

static void eight_byte_blocks_fill_the_mtu(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	// 1500 - 20 - 8 - 8 - 8 - 12 = 1444, of which 1440 are whole blocks, less 2 of trailer.
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1438 - 20));
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1439 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1496);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 1);
	// What the sender is told fits: ICMP's next-hop MTU.
	size_t len = fx_output(FX_INSIDE, got, sizeof(got));
	assert_true(len > IP4_HDR + 8);
	assert_int_equal(got[IP4_HDR], ICMP_UNREACHABLE);
	assert_int_equal(get_be16(got + IP4_HDR + 6), 1438);
}

// ---- Where packets go ----

static void nothing_leaves_in_clear(void **state)
{
	(void)state;
	uint8_t p[256], got[256];
	// A pool's address that nobody has; an address outside without a route; clear from outside.
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, "10.1.200.1", PROTO_UDP, 8));
	fx_input(FX_INSIDE, p, fx_ipv6(p, "2001:db8:99::5", "2001:db8:77::1234", PROTO_UDP, 8));
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, "8.8.8.8", PROTO_UDP, 8));
	fx_input(FX_OUTSIDE, p, fx_ipv4(p, PEER, HOST, PROTO_UDP, 8));
	fx_input(FX_OUTSIDE, p, fx_ipv4(p, PEER, INNER, PROTO_UDP, 8));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), 2);
	assert_int_equal(fx_drops(DP_DROP_no_route), 1);
	assert_int_equal(fx_drops(DP_DROP_outside_clear), 2);
	// Nor after the tunnel has gone.
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, ec.tunnel);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), 3);
}

static void outbound_selectors_hold(void **state)
{
	(void)state;
	uint8_t p[256], got[256];
	fx_input(FX_INSIDE, p, fx_ipv4(p, "10.98.0.5", INNER, PROTO_UDP, 8));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_no_selector), 1);
}

// Selectors with protocol and ports, several a side: the slow way.
static void selectors_of_ports(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	uint8_t p[256];
	spec.ts_local[0].proto = PROTO_UDP;
	spec.ts_local[0].port_lo = 1000;
	spec.ts_local[0].port_hi = 1001;
	for (int i = 1; i < 5; i++) {
		spec.ts_local[i] = spec.ts_local[0];
		spec.ts_local[i].port_lo = spec.ts_local[i].port_hi = (uint16_t)(2000 + i);
	}
	spec.ts_local_count = 5;
	ec.in = ec_child_with(spec, SA_IN);
	static const struct {
		uint8_t proto;
		uint16_t port;
		bool pass;
	} rows[] = {{PROTO_UDP, 1000, true}, {PROTO_UDP, 999, false}, {PROTO_UDP, 1001, true},
		{PROTO_UDP, 1002, false}, {PROTO_TCP, 1000, false}, {PROTO_UDP, 2004, true},
		{PROTO_UDP, 2005, false}};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t n = fx_ipv4(p, INNER, HOST, rows[i].proto, 40);
		set_be16(p + 22, rows[i].port);
		ec_esp_in(i + 1, p, n, 4);
		assert_int_equal(ec_inside_packets(), rows[i].pass);
	}
}

// One client to another, both on this gateway.
static void client_to_client(void **state)
{
	(void)state;
	struct sa_spec in2, out2, spec;
	uint8_t p[256], got[512], plain[512];
	uint32_t t2 = fx_tunnel(0, "10.1.0.3", "198.51.100.8", 0);
	struct ip_range any;
	assert_int_equal(ip_range_parse("0.0.0.0-255.255.255.255", &any), 0);
	fx_child(t2, 0, ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128, "10.1.0.3", &in2, &out2);
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, in2.child, SA_OUT);
	spec = fx_spec(t2, SA_OUT, ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128, "10.1.0.3");
	spec.ts_local[0] = selector_of_range(&any);
	out2 = ec_child_with(spec, SA_OUT);
	spec = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.ts_local[0] = selector_of_range(&any);
	ec.in = ec_child_with(spec, SA_IN);
	size_t n = fx_ipv4(p, INNER, "10.1.0.3", PROTO_UDP, 60);
	ec_esp_in(1, p, n, 4);
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > 0);
	assert_true(oracle_open(&out2, 0, got + 20, len - 20, plain) > n);
	ip_hop(p, IP_V4);
	assert_memory_equal(plain, p, n);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, ec_start, ec_stop)
#define LEGACY(f)                                                   \
	{                                                           \
#f " (DES, MD5)", f, ec_start_legacy, ec_stop, NULL \
	}
	const struct CMUnitTest tests[] = {
		LEGACY(eight_byte_blocks_fill_the_mtu),
		WITH(moves_are_reported_when_authentic),
		WITH(other_encapsulations_are_taken),
		WITH(ecn_on_the_way_in),
		WITH(marks_on_the_way_out),
		cmocka_unit_test_setup_teardown(ids_are_not_repeated, ec_start_two, ec_stop),
		WITH(limits_of_packets_and_bytes),
		WITH(a_limit_within_a_burst),
		WITH(numbers_leave_in_their_order),
		WITH(an_inbound_sa_stops_at_its_limit),
		WITH(sequence_numbers_never_wrap),
		WITH(wide_windows_and_esn),
		WITH(what_does_not_fit_is_told),
		WITH(nothing_leaves_in_clear),
		WITH(outbound_selectors_hold),
		WITH(selectors_of_ports),
		WITH(client_to_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
