// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP on port 500 behind a marker, as the first drafts of NAT-T had it; and what else comes there.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define PEER     EC_PEER
#define INNER    EC_INNER
#define HOST     EC_HOST
#define NAT_PORT 61000

static void leaves(const char *peer, const char *host, const char *inner, size_t payload)
{
	static const uint8_t marker[NON_IKE_MARKER];
	bool outer6 = strchr(peer, ':'), inner6 = strchr(inner, ':');
	uint8_t p[2048], got[2048], plain[2048];
	size_t n = inner6 ? fx_ipv6(p, host, inner, PROTO_UDP, payload)
			  : fx_ipv4(p, host, inner, PROTO_UDP, payload);
	fx_input(FX_INSIDE, p, n);
	fx_run();
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got)), udp = outer6 ? IP6_HDR : IP4_HDR;
	size_t at = udp + UDP_HDR + NON_IKE_MARKER;
	assert_true(len > at);
	if (outer6) {
		assert_int_equal(get_be16(got + 4), len - IP6_HDR);
		assert_int_equal(got[6], PROTO_UDP);
	} else {
		assert_int_equal(get_be16(got + 2), len);
		assert_int_equal(ip_fold(ip_sum(got, IP4_HDR)), 0xffff);
		assert_int_equal(got[9], PROTO_UDP);
	}
	assert_int_equal(get_be16(got + udp), 500);
	assert_int_equal(get_be16(got + udp + 2), NAT_PORT);
	assert_int_equal(get_be16(got + udp + 4), len - udp);
	fx_udp_sum_ok(got, udp, len);
	assert_memory_equal(got + udp + UDP_HDR, marker, sizeof(marker));
	assert_int_equal(get_be32(got + at), FX_PEER_SPI);
	assert_true(oracle_open(&ec.out, 0, got + at, len - at, plain) >= n + 2);
	ip_hop(p, inner6 ? IP_V6 : IP_V4);
	assert_memory_equal(plain, p, n);
}

static void arrives(
	uint64_t seq, const char *peer, const char *host, const char *inner, size_t payload)
{
	bool inner6 = strchr(inner, ':');
	uint8_t p[2048], esp[2048];
	size_t n = inner6 ? fx_ipv6(p, inner, host, PROTO_UDP, payload)
			  : fx_ipv4(p, inner, host, PROTO_UDP, payload);
	uint8_t next = inner6 ? PROTO_IPV6 : 4;
	fx_input_marked(peer, NAT_PORT, esp, oracle_wrap(&ec.in, seq, p, n, next, esp));
	fx_run();
	ec_forwarded(p, n);
}

static void both_ways(void **state)
{
	(void)state;
	static const struct {
		const char *peer, *host, *inner;
		uint16_t encr, bits, integ;
	} rows[] = {
		{PEER, HOST, INNER, ENCR_DES, 0, INTEG_HMAC_MD5_96},
		{PEER, HOST, INNER, ENCR_3DES, 0, INTEG_HMAC_SHA1_96},
		{PEER, HOST, INNER, ENCR_AES_CBC, 256, INTEG_HMAC_SHA1_96},
		{PEER, HOST, INNER, ENCR_AES_GCM_16, 128, 0},
		{PEER, "2001:db8:99::5", "2001:db8:77::2", ENCR_DES, 0, INTEG_HMAC_MD5_96},
		{"2001:db8:5::7", HOST, INNER, ENCR_DES, 0, INTEG_HMAC_MD5_96},
		{"2001:db8:5::7", "2001:db8:99::5", "2001:db8:77::2", ENCR_AES_GCM_16, 256, 0},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct tunnel_path path = fx_path_marked(rows[i].peer, NAT_PORT);
		uint32_t t = fx_tunnel_on(0, rows[i].inner, &path);
		fx_child(t, 0, rows[i].encr, rows[i].bits, rows[i].integ, rows[i].inner, &ec.in,
			&ec.out);
		for (size_t n = 0; n < 20; n++) {
			arrives(n + 1, rows[i].peer, rows[i].host, rows[i].inner, n * n * 3);
			leaves(rows[i].peer, rows[i].host, rows[i].inner, n * n * 3);
		}
		assert_null(fx_event(SA_EVENT_PEER_MOVED));
		fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, t);
		fx_run();
	}
}

static int start(void **state)
{
	(void)ec_start_bare(state);
	struct tunnel_path path = fx_path_marked(PEER, NAT_PORT);
	ec.tunnel = fx_tunnel_on(0, INNER, &path);
	fx_child(ec.tunnel, 0, ENCR_AES_GCM_16, 128, 0, INNER, &ec.in, &ec.out);
	return 0;
}

static void mtu(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	// 1500 - 20 - 8 - 8 - 8 - 8 - 16 = 1432, less 2 of trailer
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1430 - 20));
	fx_input(FX_INSIDE, p, fx_ipv4_df(p, HOST, INNER, PROTO_UDP, 1431 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1500);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 1);
	assert_true(fx_output(FX_INSIDE, got, sizeof(got)) > IP4_HDR + 8);
	assert_int_equal(get_be16(got + IP4_HDR + 6), 1430);
}

static void moves(void **state)
{
	(void)state;
	uint8_t p[128], esp[512], got[512];
	size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	fx_input_marked(PEER, NAT_PORT, esp, oracle_wrap(&ec.in, 1, p, len, 4, esp));
	fx_run();
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	size_t n = oracle_wrap(&ec.in, 2, p, len, 4, esp);
	esp[n - 1] ^= 1; // not authentic
	fx_input_marked(PEER, 1234, esp, n);
	fx_run();
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	fx_input_marked(PEER, 1234, esp, oracle_wrap(&ec.in, 3, p, len, 4, esp));
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_PEER_MOVED), 1);
	const struct sa_event *ev = fx_event(SA_EVENT_PEER_MOVED);
	struct tunnel_path path = fx_path_marked(PEER, 1234);
	assert_true(endpoint_eq(&ev->remote, &path.remote));
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	assert_int_equal(get_be16(got + IP4_HDR), 500);
	assert_int_equal(get_be16(got + IP4_HDR + 2), 1234);
	// To the encapsulation of the standard, which is shorter, and to none.
	path = fx_path(PEER, 4500);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	assert_int_equal(get_be16(got + IP4_HDR), 4500);
	assert_int_equal(get_be32(got + IP4_HDR + UDP_HDR), FX_PEER_SPI);
	path = fx_path(PEER, 0);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > IP4_HDR);
	assert_int_equal(get_be32(got + IP4_HDR), FX_PEER_SPI);
	assert_true(oracle_open(&ec.out, 0, got + IP4_HDR, len - IP4_HDR, esp) > 28);
}

// The same ESP, replayed, forged, cut short.
static void bad_input(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	size_t n = oracle_wrap(&ec.in, 1, p, len, 4, esp);
	// Below 8 bytes it is too short for ESP behind a marker.
	for (size_t cut = 8; cut < n; cut++) {
		fx_input_marked(PEER, NAT_PORT, esp, cut);
		fx_run();
	}
	assert_int_equal(fx_drops(DP_DROP_esp_runt) + fx_drops(DP_DROP_esp_auth), n - 8);
	esp[n - 1] ^= 1;
	fx_input_marked(PEER, NAT_PORT, esp, n);
	esp[n - 1] ^= 1;
	fx_run();
	assert_int_equal(ec_inside_packets(), 0);
	fx_input_marked(PEER, NAT_PORT, esp, n);
	fx_input_marked(PEER, NAT_PORT, esp, n);
	fx_run();
	assert_int_equal(ec_inside_packets(), 1);
	assert_int_equal(fx_drops(DP_DROP_esp_replay), 1);
}

static void port_500_oddities(void **state)
{
	(void)state;
	static const uint8_t keepalive[] = {0xff}, zero[64];
	fx_input_500(PEER, 500, keepalive, 1);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_keepalive), 1);
	for (size_t len = 0; len < 16; len++)
		fx_input_500(PEER, 500, zero, len);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ike_short), 16);
	fx_input_500(PEER, 500, zero, 16); // SPI 0
	fx_input_500(PEER, 500, zero, sizeof(zero));
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 2);
	// Any other first eight bytes are IKE's.
	for (unsigned bit = 0; bit < 64; bit++) {
		uint8_t ike[64] = {0};
		ike[bit / 8] = (uint8_t)(1 << bit % 8);
		fx_input_500(PEER, 500, ike, sizeof(ike));
		fx_run();
	}
	assert_int_equal(fx.ike_count, 64);
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_ways, ec_start_bare, ec_stop),
		cmocka_unit_test_setup_teardown(mtu, start, ec_stop),
		cmocka_unit_test_setup_teardown(moves, start, ec_stop),
		cmocka_unit_test_setup_teardown(bad_input, start, ec_stop),
		cmocka_unit_test_setup_teardown(port_500_oddities, ec_start, ec_stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
