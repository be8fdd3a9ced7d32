// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// TCP's MSS: the option in SYN and SYN/ACK is lowered in both directions, everything else is left as it is.
#include "tests/cmocka_all.h"
#include "dataplane/treat.h"
#include "tests/dataplane/esp_cases.h"

#define INNER6 "2001:db8:77::2"
#define HOST6  "2001:db8:99::5"
#define SYN    0x02
#define ACK    0x10

// Of the segment behind its pseudo-header: all ones where it is right.
static uint16_t tcp_sum(const uint8_t *p, uint32_t upper, uint32_t total)
{
	uint32_t len = total - upper, addrs = p[0] >> 4 == 6 ? 32 : 8;
	const uint8_t *a = p + (p[0] >> 4 == 6 ? 8 : 12);
	uint32_t sum = ip_sum(a, addrs) + PROTO_TCP + len + ip_sum(p + upper, len & ~1u);
	if (len & 1)
		sum += (uint32_t)p[total - 1] << 8;
	return ip_fold(sum);
}

// A segment with these options behind an IP header that is there already.
static uint32_t put_tcp(uint8_t *p, uint32_t upper, uint32_t total, uint8_t flags,
	const uint8_t *options, uint32_t len)
{
	uint8_t *tcp = p + upper;
	tcp[12] = (uint8_t)((20 + len) / 4 << 4);
	tcp[13] = flags;
	memcpy(tcp + 20, options, len);
	set_be16(tcp + 16, 0);
	set_be16(tcp + 16, (uint16_t)~tcp_sum(p, upper, total));
	return total;
}

struct segment {
	const char *what;
	uint8_t flags;
	uint8_t options[40];
	uint8_t len; // of the options, a multiple of four
	uint16_t ceiling;
	uint8_t at; // where the MSS stands in the options; 0: there is none
	uint16_t want;
};

static const struct segment segments[] = {
	{"first", SYN, {2, 4, 0x05, 0xb4}, 4, 1360, 2, 1360},
	{"SYN/ACK", SYN | ACK, {2, 4, 0x05, 0xb4}, 4, 1360, 2, 1360},
	{"no SYN", ACK, {2, 4, 0x05, 0xb4}, 4, 1360, 2, 1460},
	{"never raised", SYN, {2, 4, 0x02, 0x00}, 4, 1360, 2, 512},
	{"equal", SYN, {2, 4, 0x05, 0x50}, 4, 1360, 2, 1360},
	{"one above", SYN, {2, 4, 0x05, 0x51}, 4, 1360, 2, 1360},
	{"largest", SYN, {2, 4, 0xff, 0xff}, 4, 1360, 2, 1360},
	{"Linux", SYN, {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 3, 3, 7}, 20,
		1300, 2, 1300},
	{"behind a NOP, at an odd place", SYN, {1, 2, 4, 0x05, 0xb4, 0, 0, 0}, 8, 1360, 3, 1360},
	{"behind others, at an odd place", SYN, {3, 3, 7, 2, 4, 0x05, 0xb4, 0}, 8, 1234, 5, 1234},
	{"last of forty", SYN,
		{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,
			1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 0x05, 0xb4},
		40, 1360, 38, 1360},
	{"behind the end", SYN, {0, 2, 4, 0x05, 0xb4, 0, 0, 0}, 8, 1360, 3, 1460},
	{"cut", SYN, {1, 1, 2, 4}, 4, 1360, 0, 0},
	{"length 0", SYN, {8, 0, 2, 4, 0x05, 0xb4, 0, 0}, 8, 1360, 4, 1460},
	{"length 1", SYN, {8, 1, 2, 4, 0x05, 0xb4, 0, 0}, 8, 1360, 4, 1460},
	{"length beyond", SYN, {8, 9, 2, 4, 0x05, 0xb4, 0, 0}, 8, 1360, 4, 1460},
	{"an MSS of length 3", SYN, {2, 3, 0x05, 0xb4}, 4, 1360, 2, 1460},
	{"an MSS of length 6", SYN, {2, 6, 0x05, 0xb4, 0, 0, 1, 1}, 8, 1360, 2, 1460},
	{"twice", SYN, {2, 4, 0x05, 0xb4, 2, 4, 0x05, 0xb4}, 8, 1360, 6, 1360},
	{"a kind alone at the end", SYN, {1, 1, 1, 2}, 4, 1360, 0, 0},
	{"no options", SYN, {0}, 0, 1360, 0, 0},
};

// IPv6 with these extension headers, 0 to 2.
static uint32_t put_v6(
	uint8_t *p, const char *src, const char *dst, unsigned extensions, uint32_t payload)
{
	uint32_t len = (uint32_t)fx_ipv6(p, src, dst, PROTO_TCP, payload + 8 * extensions);
	static const uint8_t types[] = {IPV6_HOP_BY_HOP, IPV6_DST_OPTS};
	uint8_t *next = p + 6;
	for (unsigned i = 0; i < extensions; i++) {
		uint8_t *h = p + IP6_HDR + 8 * i;
		memcpy(h, (uint8_t[]){0, 0, 1, 4, 0, 0, 0, 0}, 8);
		*next = types[i];
		next = h;
	}
	*next = PROTO_TCP;
	return len;
}

static void clamp_one(const struct segment *s, unsigned shape)
{
	uint8_t p[512], before[512];
	struct ip_info ip;
	uint32_t payload = 20u + s->len + 7;
	uint32_t len = shape == 3 ? (uint32_t)fx_ipv4(p, EC_HOST, EC_INNER, PROTO_TCP, payload)
				  : put_v6(p, HOST6, INNER6, shape, payload);
	uint32_t upper = shape == 3 ? IP4_HDR : IP6_HDR + 8 * shape;
	put_tcp(p, upper, len, s->flags, s->options, s->len);
	memcpy(before, p, len);
	assert_int_equal(ip_parse_packet(p, len, true, &ip), DP_DROP_NONE);
	bool lowered = mss_clamp(p, &ip, s->ceiling);
	uint32_t at = upper + 20 + s->at;
	bool wanted = s->at && get_be16(before + at) != s->want;
	assert_int_equal(lowered, wanted);
	assert_int_equal(tcp_sum(p, upper, len), 0xffff);
	if (s->at)
		assert_int_equal(get_be16(p + at), s->want);
	// Of all other bytes none has changed.
	memcpy(before + upper + 16, p + upper + 16, 2);
	if (wanted)
		memcpy(before + upper + 20, p + upper + 20, s->len);
	assert_memory_equal(p, before, len);
}

static void segments_of_all_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(segments); i++)
		for (unsigned shape = 0; shape < 4; shape++)
			clamp_one(&segments[i], shape);
}

// Headers that say more than there is, and pieces of segments.
static void not_touched(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		uint16_t frag, total;
		uint8_t proto, offset;
	} rows[] = {
		{"TCP's header cut", 0, IP4_HDR + 19, PROTO_TCP, 6},
		{"header longer than the packet", 0, IP4_HDR + 23, PROTO_TCP, 6},
		{"header shorter than itself", 0, IP4_HDR + 24, PROTO_TCP, 4},
		{"first fragment", 0x2000, IP4_HDR + 24, PROTO_TCP, 6},
		{"later fragment", 0x0001, IP4_HDR + 24, PROTO_TCP, 6},
		{"UDP", 0, IP4_HDR + 24, PROTO_UDP, 6},
	};
	static const uint8_t option[] = {2, 4, 0x05, 0xb4};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		uint8_t p[128], before[128];
		struct ip_info ip;
		uint32_t len = (uint32_t)fx_ipv4(p, EC_HOST, EC_INNER, PROTO_TCP, 24);
		put_tcp(p, IP4_HDR, len, SYN, option, 4);
		p[IP4_HDR + 12] = (uint8_t)(rows[i].offset << 4);
		p[9] = rows[i].proto;
		set_be16(p + 2, rows[i].total);
		set_be16(p + 6, rows[i].frag);
		memcpy(before, p, len);
		assert_int_equal(ip_parse_packet(p, len, false, &ip), DP_DROP_NONE);
		assert_false(mss_clamp(p, &ip, 1000));
		assert_memory_equal(p, before, len);
	}
}

// ---- Through the tunnel ----

static const uint8_t option_mss[] = {2, 4, 0xff, 0xff};

static uint32_t syn(uint8_t *p, const char *src, const char *dst, uint8_t flags)
{
	bool v6 = strchr(src, ':');
	uint32_t len =
		v6 ? put_v6(p, src, dst, 1, 24) : (uint32_t)fx_ipv4(p, src, dst, PROTO_TCP, 24);
	return put_tcp(p, v6 ? IP6_HDR + 8 : IP4_HDR, len, flags, option_mss, 4);
}

// What is left of 65535 in the packet, whose checksum is right.
static uint16_t mss_of(const uint8_t *p, uint32_t len)
{
	uint32_t upper = p[0] >> 4 == 6 ? IP6_HDR + 8 : IP4_HDR;
	assert_true(len >= upper + 24);
	assert_int_equal(tcp_sum(p, upper, upper + 24), 0xffff);
	return get_be16(p + upper + 22);
}

// A SYN and a SYN/ACK into the tunnel and out of it get the same.
static void expect_mss(
	const char *inner, const char *host, const char *peer, uint16_t port, uint16_t want)
{
	static uint64_t seq;
	uint8_t p[256], esp[512], got[512], plain[512];
	bool v6 = strchr(inner, ':');
	uint32_t outer = (strchr(peer, ':') ? IP6_HDR : IP4_HDR) + (port ? UDP_HDR : 0u);
	for (unsigned ack = 0; ack < 2; ack++) {
		uint32_t len = syn(p, host, inner, ack ? SYN | ACK : SYN);
		fx_input(FX_INSIDE, p, len);
		fx_run();
		size_t n = fx_output(FX_OUTSIDE, got, sizeof(got));
		assert_true(n > outer);
		assert_true(oracle_open(&ec.out, 0, got + outer, n - outer, plain) > len);
		assert_int_equal(mss_of(plain, len), want);
		len = syn(p, inner, host, ack ? SYN | ACK : SYN);
		n = oracle_wrap(&ec.in, ++seq, p, len, v6 ? PROTO_IPV6 : 4, esp);
		fx_input_esp(peer, port, 0, esp, n);
		fx_run();
		assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), len);
		assert_int_equal(mss_of(got, len), want);
	}
}

struct way_row {
	struct ec_way way;
	uint16_t mtu; // of the path; 0: the port's 1500
	uint16_t want;
};

// Plain ESP with AES-GCM around 1446 bytes over IPv4, in UDP 1438, over IPv6 1426.
static const struct way_row ways[] = {
	{EC_WAY(EC_INNER, EC_PEER, 0, .mss = SA_MSS_AUTO), 0, 1446 - 40},
	{EC_WAY(EC_INNER, EC_PEER, 4500, .mss = SA_MSS_AUTO), 0, 1438 - 40},
	{EC_WAY(EC_INNER, "2001:db8:2::7", 0, .mss = SA_MSS_AUTO), 0, 1426 - 40},
	{EC_WAY(INNER6, EC_PEER, 0, .mss = SA_MSS_AUTO), 0, 1446 - 60},
	{EC_WAY(INNER6, "2001:db8:2::7", 4500, .mss = SA_MSS_AUTO), 0, 1418 - 60},
	// 20 + 8 + 16 + 16 leave 1440, which is 90 blocks
	{{.inner = EC_INNER,
		 .peer = EC_PEER,
		 .treat = {.mss = SA_MSS_AUTO},
		 .encr = ENCR_AES_CBC,
		 .bits = 128,
		 .integ = INTEG_HMAC_SHA2_256_128},
		0, 1438 - 40},
	{EC_WAY(EC_INNER, EC_PEER, 0, .mss = SA_MSS_AUTO), 1400, 1346 - 40},
	{EC_WAY(INNER6, EC_PEER, 0, .mss = SA_MSS_AUTO), 1400, 1346 - 60},
	// never below what is assumed without the option
	{EC_WAY(EC_INNER, EC_PEER, 0, .mss = SA_MSS_AUTO), 576, 536},
	{EC_WAY(INNER6, EC_PEER, 0, .mss = SA_MSS_AUTO), 576, 1220},
	{EC_WAY(INNER6, "2001:db8:2::7", 0, .mss = SA_MSS_AUTO), 1280, 1220},
	{EC_WAY(EC_INNER, EC_PEER, 0, .mss = 1200), 0, 1200},
	{EC_WAY(INNER6, EC_PEER, 0, .mss = 1300), 0, 1300},
	{EC_WAY(INNER6, EC_PEER, 0, .mss = 600), 0, 1220},
	{EC_WAY(EC_INNER, EC_PEER, 0, .mss = 0), 0, 65535},
};

static void by_tunnel(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	for (size_t i = 0; i < RTE_DIM(ways); i++) {
		const struct ec_way *w = &ways[i].way;
		const char *host = strchr(w->inner, ':') ? HOST6 : EC_HOST;
		ec_make(w);
		if (ways[i].mtu)
			s->tunnel_pmtu(s->ctx, ec.tunnel, ways[i].mtu);
		fx_run();
		expect_mss(w->inner, host, w->peer, w->port, ways[i].want);
		s->tunnel_del(s->ctx, ec.tunnel);
		fx_run();
	}
}

// With one IP header there is more room.
static void in_transport_mode(void **state)
{
	(void)state;
	struct dp_tunnel t = {.hdr_len = IP4_HDR, .mtu = 1500, .treatment = {.mss = SA_MSS_AUTO}};
	struct dp_sa sa = {.iv_len = 8, .icv_len = 16, .align = 4};
	assert_int_equal(dp_mss_ceiling(&t, &sa, IP_V4), 1446 - 40);
	sa.flags = DP_SA_TRANSPORT;
	assert_int_equal(dp_mss_ceiling(&t, &sa, IP_V4), 1446 - 20);
	t.hdr_len = IP6_HDR;
	assert_int_equal(dp_mss_ceiling(&t, &sa, IP_V6), 1426 - 20);
}

// It follows the path's MTU and the peer's place; the packets are counted.
static void follows_the_path(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	EC_MAKE(EC_INNER, EC_PEER, 0, .mss = SA_MSS_AUTO);
	expect_mss(EC_INNER, EC_HOST, EC_PEER, 0, 1406);
	s->tunnel_pmtu(s->ctx, ec.tunnel, 1300);
	fx_run();
	expect_mss(EC_INNER, EC_HOST, EC_PEER, 0, 1206);
	struct tunnel_path path = fx_path(EC_PEER, 4500);
	s->tunnel_move(s->ctx, ec.tunnel, &path);
	fx_run();
	expect_mss(EC_INNER, EC_HOST, EC_PEER, 4500, 1398);
	struct dp_worker *w = fx.dp->workers[fx.dp->worker_count - 1];
	assert_int_equal(dp_get(&w->stats.mss_clamped), 12);
}

int main(void)
{
	fx_eal();
#define ONE(f) cmocka_unit_test_setup_teardown(f, ec_start_one, ec_stop)
#define TWO(f)                                                    \
	{                                                         \
#f " (2 workers)", f, ec_start_two, ec_stop, NULL \
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_of_all_kinds),
		cmocka_unit_test(not_touched),
		cmocka_unit_test(in_transport_mode),
		ONE(by_tunnel),
		TWO(by_tunnel),
		ONE(follows_the_path),
		TWO(follows_the_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
