// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whole packets through the workers, every suite against OpenSSL: ESP from the peer to the inside,
// inside to ESP, and what must not pass.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include <stdio.h>

#define PEER  "198.51.100.7"
#define INNER "10.1.0.2"
#define HOST  "10.99.0.5"

struct suite_row {
	uint16_t encr, bits, integ;
};

static const struct suite_row suites[] = {
	{ENCR_AES_GCM_16, 128, 0},
	{ENCR_AES_GCM_16, 192, 0},
	{ENCR_AES_GCM_16, 256, 0},
	{ENCR_AES_GCM_12, 128, 0},
	{ENCR_AES_GCM_12, 256, 0},
	{ENCR_AES_GCM_8, 128, 0},
	{ENCR_AES_GCM_8, 256, 0},
	{ENCR_CHACHA20_POLY1305, 0, 0},
	{ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96},
	{ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128},
	{ENCR_AES_CBC, 192, INTEG_HMAC_SHA2_384_192},
	{ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_512_256},
	{ENCR_AES_CTR, 128, INTEG_HMAC_SHA1_96},
	{ENCR_AES_CTR, 192, INTEG_HMAC_SHA2_256_128},
	{ENCR_AES_CTR, 256, INTEG_HMAC_SHA2_512_256},
	{ENCR_NULL, 0, INTEG_HMAC_SHA2_256_128},
	{ENCR_NULL, 0, INTEG_HMAC_SHA1_96},
	{ENCR_DES, 0, INTEG_HMAC_MD5_96}, // esp-des esp-md5-hmac
	{ENCR_DES, 0, INTEG_HMAC_SHA1_96},
	{ENCR_DES, 64, INTEG_HMAC_SHA2_256_128},
	{ENCR_DES, 0, INTEG_HMAC_SHA2_384_192},
	{ENCR_DES, 0, INTEG_HMAC_SHA2_512_256},
	{ENCR_3DES, 0, INTEG_HMAC_MD5_96},
	{ENCR_3DES, 0, INTEG_HMAC_SHA1_96},
	{ENCR_3DES, 192, INTEG_HMAC_SHA2_256_128},
	{ENCR_3DES, 0, INTEG_HMAC_SHA2_384_192},
	{ENCR_3DES, 0, INTEG_HMAC_SHA2_512_256},
	{ENCR_AES_CBC, 128, INTEG_HMAC_MD5_96},
	{ENCR_AES_CBC, 256, INTEG_HMAC_MD5_96},
	{ENCR_AES_CTR, 128, INTEG_HMAC_MD5_96},
	{ENCR_NULL, 0, INTEG_HMAC_MD5_96},
};

static struct sa_spec in, out;
static uint32_t tunnel;

static int start(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	tunnel = fx_tunnel(0, INNER, PEER, 4500);
	fx_child(tunnel, 0, ENCR_AES_GCM_16, 128, 0, INNER, &in, &out);
	return 0;
}

// The reference configuration's suite: esp-des esp-md5-hmac.
static int start_legacy(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	tunnel = fx_tunnel(0, INNER, PEER, 4500);
	fx_child(tunnel, 0, ENCR_DES, 0, INTEG_HMAC_MD5_96, INNER, &in, &out);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

static int start_bare(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

static void esp_in(uint64_t seq, const uint8_t *inner, size_t len, uint8_t next)
{
	uint8_t esp[4096];
	size_t n = oracle_wrap(&in, seq, inner, len, next, esp);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
}

static void ping_in(uint64_t seq)
{
	uint8_t p[256];
	esp_in(seq, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 64), 4);
}

static size_t inside_packets(void)
{
	uint8_t buf[4096];
	size_t n = 0;
	while (fx_output(FX_INSIDE, buf, sizeof(buf)))
		n++;
	return n;
}

// ---- Suites ----

static void forwarded(const uint8_t *sent, size_t len)
{
	uint8_t got[4096], want[4096];
	size_t n = fx_output(FX_INSIDE, got, sizeof(got));
	assert_int_equal(n, len);
	memcpy(want, sent, len);
	ip_hop(want, want[0] >> 4);
	assert_memory_equal(got, want, len);
}

static void in_one(const struct sa_spec *spec, uint64_t seq, size_t payload, uint16_t port)
{
	uint8_t p[4096], esp[4096];
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, payload);
	fx_input_esp(PEER, port, 0, esp, oracle_wrap(spec, seq, p, n, 4, esp));
	fx_run();
	forwarded(p, n);
}

// Outer header of what left: addresses, lengths, checksum; returns the offset of ESP.
static size_t check_outer(const uint8_t *p, size_t n, bool udp)
{
	assert_int_equal(p[0], 0x45);
	assert_int_equal(get_be16(p + 2), n);
	assert_int_equal(ip_fold(ip_sum(p, IP4_HDR)), 0xffff);
	assert_int_equal(p[9], udp ? PROTO_UDP : PROTO_ESP);
	if (!udp)
		return IP4_HDR;
	assert_int_equal(get_be16(p + IP4_HDR), 4500);
	assert_int_equal(get_be16(p + IP4_HDR + 2), 4500);
	assert_int_equal(get_be16(p + IP4_HDR + 4), n - IP4_HDR);
	assert_int_equal(get_be16(p + IP4_HDR + 6), 0);
	return IP4_HDR + UDP_HDR;
}

static void out_one(const struct sa_spec *spec, uint64_t seq, size_t payload, bool udp)
{
	uint8_t p[4096], got[4096], plain[4096];
	size_t n = fx_ipv4(p, HOST, INNER, PROTO_UDP, payload);
	fx_input(FX_INSIDE, p, n);
	fx_run();
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > 0);
	size_t at = check_outer(got, len, udp);
	assert_int_equal(get_be32(got + at), FX_PEER_SPI);
	assert_int_equal(get_be32(got + at + 4), (uint32_t)seq);
	size_t text = oracle_open(spec, (uint32_t)(seq >> 32), got + at, len - at, plain);
	assert_true(text >= n + 2);
	ip_hop(p, IP_V4);
	assert_memory_equal(plain, p, n);
	assert_int_equal(plain[text - 1], 4);
	assert_int_equal(plain[text - 2], text - n - 2);
	for (size_t i = n; i < text - 2; i++)
		assert_int_equal(plain[i], i - n + 1);
}

static void one_suite(const struct suite_row *r, bool esn, uint16_t port)
{
	static const size_t sizes[] = {0, 1, 2, 3, 13, 14, 15, 16, 17, 63, 64, 100, 255, 512, 1300};
	uint64_t base = esn ? 0xfffffff8ull : 0;
	struct sa_spec i, o;
	uint32_t t = fx_tunnel(0, INNER, PEER, port), spi;
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path(PEER, port);

	assert_int_equal(s->spi_reserve(s->ctx, 0, &path, &spi), 0);
	i = fx_spec(t, SA_IN, r->encr, r->bits, r->integ, INNER);
	o = fx_spec(t, SA_OUT, r->encr, r->bits, r->integ, INNER);
	i.child = i.spi = o.child = spi;
	o.spi = FX_PEER_SPI;
	i.esn = o.esn = esn;
	i.seq = o.seq = base;
	assert_int_equal(s->sa_add(s->ctx, &i), 0);
	assert_int_equal(s->sa_add(s->ctx, &o), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
	for (size_t k = 0; k < RTE_DIM(sizes); k++) {
		in_one(&i, base + k + 1, sizes[k], port);
		out_one(&o, base + k + 1, sizes[k], port != 0);
	}
	s->tunnel_del(s->ctx, t);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_auth), 0);
}

static void every_suite_agrees_with_openssl(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(suites); i++)
		for (int k = 0; k < 4; k++)
			one_suite(&suites[i], k & 1, k & 2 ? 4500 : 0);
}

// Many packets of several suites in one burst.
static void a_burst_of_all_suites(void **state)
{
	(void)state;
	struct sa_spec specs[RTE_DIM(suites)], o;
	uint8_t p[256], esp[512], got[4096];
	char inner[32];
	for (size_t i = 0; i < RTE_DIM(suites); i++) {
		snprintf(inner, sizeof(inner), "10.1.1.%zu", i);
		uint32_t t = fx_tunnel(0, inner, PEER, 0);
		fx_child(t, 0, suites[i].encr, suites[i].bits, suites[i].integ, inner, &specs[i],
			&o);
	}
	for (unsigned k = 1; k <= 3; k++) {
		for (size_t i = 0; i < RTE_DIM(suites); i++) {
			snprintf(inner, sizeof(inner), "10.1.1.%zu", i);
			size_t n = fx_ipv4(p, inner, HOST, PROTO_UDP, 20 + 11 * i % 64);
			fx_input_esp(PEER, 0, 0, esp, oracle_wrap(&specs[i], k, p, n, 4, esp));
		}
		fx_step(0);
		for (size_t i = 0; i < RTE_DIM(suites); i++) {
			size_t n = fx_output(FX_INSIDE, got, sizeof(got));
			assert_int_equal(n, 40 + 11 * i % 64);
			assert_int_equal(got[15], i);
		}
	}
}

// The IVs of 256 packets: none comes twice, and each of their bits is 1 in about half of them, so
// that they are no counter.
static void ivs_of(const struct suite_row *r, size_t iv_len)
{
	static uint8_t ivs[256][16];
	uint8_t p[128], got[512];
	uint32_t t = fx_tunnel(0, "10.1.0.9", PEER, 0);
	fx_child(t, 0, r->encr, r->bits, r->integ, "10.1.0.9", &in, &out);
	for (int i = 0; i < 256; i++) {
		fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, "10.1.0.9", PROTO_UDP, 8));
		fx_run();
		assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
		memcpy(ivs[i], got + IP4_HDR + 8, iv_len);
		for (int k = 0; k < i; k++)
			assert_memory_not_equal(ivs[k], ivs[i], iv_len);
	}
	for (size_t bit = 0; bit < iv_len * 8; bit++) {
		unsigned ones = 0;
		for (int i = 0; i < 256; i++)
			ones += ivs[i][bit / 8] >> bit % 8 & 1;
		assert_in_range(ones, 64, 192); // eight standard deviations
	}
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, t);
	fx_run();
}

static void cbc_ivs_are_unpredictable(void **state)
{
	(void)state;
	static const struct suite_row aes = {ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96};
	static const struct suite_row one = {ENCR_DES, 0, INTEG_HMAC_MD5_96};
	static const struct suite_row three = {ENCR_3DES, 0, INTEG_HMAC_MD5_96};
	ivs_of(&aes, 16);
	ivs_of(&one, 8);
	ivs_of(&three, 8);
}

// ---- IPv6 ----

static void ipv6_inside_and_outside(void **state)
{
	(void)state;
	static const char *const inner = "2001:db8:77::2", *const host = "2001:db8:99::5";
	static const char *const peers[] = {PEER, "2001:db8:5::7"};
	uint8_t p[2048], esp[2048], got[2048], plain[2048];
	static const struct suite_row rows[] = {
		{ENCR_AES_GCM_16, 256, 0}, {ENCR_DES, 0, INTEG_HMAC_MD5_96}};
	for (int i = 0; i < 8; i++) {
		const struct suite_row *r = &rows[i / 4];
		int k = i % 4;
		uint16_t port = k & 1 ? 4500 : 0;
		const char *peer = peers[k / 2];
		uint32_t t = fx_tunnel(0, inner, peer, port);
		fx_child(t, 0, r->encr, r->bits, r->integ, inner, &in, &out);
		size_t n = fx_ipv6(p, inner, host, PROTO_UDP, 200);
		fx_input_esp(peer, port, 0, esp, oracle_wrap(&in, 1, p, n, PROTO_IPV6, esp));
		fx_run();
		forwarded(p, n);
		n = fx_ipv6(p, host, inner, PROTO_UDP, 99);
		fx_input(FX_INSIDE, p, n);
		fx_run();
		size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
		size_t at = (k / 2 ? IP6_HDR : IP4_HDR) + (port ? UDP_HDR : 0u);
		assert_true(len > at);
		if (k / 2)
			assert_int_equal(get_be16(got + 4), len - IP6_HDR);
		assert_true(oracle_open(&out, 0, got + at, len - at, plain) > n);
		ip_hop(p, IP_V6);
		assert_memory_equal(plain, p, n);
		fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, t);
		fx_run();
	}
}

// ---- Replay (rows 81, 82) ----

static void replays_are_dropped(void **state)
{
	(void)state;
	static const struct {
		uint32_t seq;
		bool pass;
	} rows[] = {{0, false}, {1, true}, {1, false}, {100, true}, {36, false}, {37, true},
		{37, false}, {99, true}, {100, false}, {1000, true}, {936, false}, {937, true}};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		ping_in(rows[i].seq);
		assert_int_equal(inside_packets(), rows[i].pass);
	}
	struct sa_counters c;
	const struct sa_sink *s = &fx.dp->sa_sink;
	assert_true(s->sa_stats(s->ctx, in.child, SA_IN, &c));
	assert_int_equal(c.replayed, 6);
	assert_int_equal(c.packets, 6);
	assert_int_equal(c.seq, 1000);
}

static void duplicates_in_one_burst(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t n = oracle_wrap(&in, 5, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_step(0);
	assert_int_equal(inside_packets(), 1);
	assert_int_equal(fx_drops(DP_DROP_esp_replay), 1);
}

// Row 82: what is not authentic moves nothing.
static void a_forged_number_moves_no_window(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	ping_in(1);
	size_t n = oracle_wrap(&in, 4000000, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	esp[n - 1] ^= 1;
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	ping_in(2);
	assert_int_equal(inside_packets(), 2);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), 1);
}

// ---- Bad input (rows 78 to 93) ----

// Row 80: each bit of a packet counts.
static void every_flipped_bit_fails(void **state)
{
	(void)state;
	uint8_t p[64], esp[256], bad[256];
	size_t n = oracle_wrap(&in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 4), 4, esp);
	for (size_t bit = 32; bit < n * 8; bit++) {
		memcpy(bad, esp, n);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		fx_input_esp(PEER, 4500, 0, bad, n);
		fx_run();
	}
	assert_int_equal(inside_packets(), 0);
	assert_int_equal(fx_drops(DP_DROP_esp_auth) + fx_drops(DP_DROP_esp_replay), n * 8 - 32);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	assert_int_equal(inside_packets(), 1);
}

// Row 78: every length from nothing up.
static void short_esp_is_dropped(void **state)
{
	(void)state;
	uint8_t p[64], esp[256];
	size_t n = oracle_wrap(&in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 4), 4, esp);
	for (size_t len = 0; len < n; len++) {
		fx_input_esp(PEER, 0, 0, esp, len);
		fx_run();
	}
	assert_int_equal(inside_packets(), 0);
	uint64_t runts = fx_drops(DP_DROP_esp_runt);
	assert_int_equal(runts + fx_drops(DP_DROP_esp_auth), n);
	// Header, IV, ICV, trailer at least, and whole blocks.
	size_t least = 16 + oracle_icv_len(&in) + 2, block = in.encr.id == ENCR_DES ? 8 : 4;
	size_t text_max = n - 1 - 16 - oracle_icv_len(&in);
	assert_true(runts >= least);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), text_max / block);
}

static void one_trailer(uint64_t seq, const uint8_t *plain, size_t len, enum dp_drop why)
{
	uint8_t esp[4096];
	uint64_t before = fx_drops(why);
	size_t n = oracle_seal(&in, seq, plain, len, NULL, esp);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	assert_int_equal(inside_packets(), 0);
	assert_int_equal(fx_drops(why), before + 1);
}

// Row 79.
static void eight_byte_blocks_trailers_are_checked(void **state)
{
	(void)state;
	uint8_t p[256] = {0};
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	memcpy(p + n, (uint8_t[]){1, 2, 2, 99}, 4);
	one_trailer(1, p, 32, DP_DROP_esp_next_header);
	p[31] = 4;
	p[30] = 31; // more padding than packet
	one_trailer(2, p, 32, DP_DROP_esp_padding);
	p[30] = 2;
	p[29] = 3; // padding is 1, 2, ...
	one_trailer(3, p, 32, DP_DROP_esp_padding);
	memcpy(p, (uint8_t[]){1, 2, 3, 4, 5, 6, 6, 4}, 8); // nothing but a trailer
	one_trailer(4, p, 8, DP_DROP_esp_inner);
	// Whole words, but no whole blocks.
	uint8_t esp[256];
	size_t len = oracle_wrap(&in, 5, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	uint64_t before = fx_drops(DP_DROP_esp_runt);
	fx_input_esp(PEER, 4500, 0, esp, len - 4);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_runt), before + 1);
	ping_in(6);
	assert_int_equal(inside_packets(), 1);
}

static void trailers_are_checked(void **state)
{
	(void)state;
	uint8_t p[256] = {0};
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	assert_int_equal(n, 28);
	memcpy(p + n, (uint8_t[]){1, 2, 2, 99}, 4);
	one_trailer(1, p, 32, DP_DROP_esp_next_header);
	p[31] = 4;
	p[30] = 31; // more padding than packet
	one_trailer(2, p, 32, DP_DROP_esp_padding);
	p[30] = 255;
	one_trailer(3, p, 32, DP_DROP_esp_padding);
	p[30] = 2;
	p[28] = 2; // padding is 1, 2, ...
	one_trailer(4, p, 32, DP_DROP_esp_padding);
	p[28] = 1;
	p[31] = PROTO_IPV6; // says IPv6, is IPv4
	one_trailer(5, p, 32, DP_DROP_esp_inner);
	p[31] = PROTO_NONE; // RFC 4303 2.6
	one_trailer(6, p, 32, DP_DROP_esp_dummy);
	memset(p, 0, 4);
	p[3] = 4; // nothing but a trailer
	p[2] = 2;
	p[0] = 1;
	p[1] = 2;
	one_trailer(7, p, 4, DP_DROP_esp_inner);
	ping_in(8);
	assert_int_equal(inside_packets(), 1);
}

// RFC 4303 2.7: what lies between the packet and its trailer is traffic flow confidentiality
// padding.
static void tfc_padding_is_cut(void **state)
{
	(void)state;
	uint8_t p[512] = {0};
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	memset(p + n, 0xaa, 300);
	esp_in(1, p, n + 300, 4);
	uint8_t got[512];
	assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), n);
}

// Row 92, inside the tunnel.
static void inner_headers_are_checked(void **state)
{
	(void)state;
	uint8_t p[256];
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	uint64_t seq = 1;
	p[0] = 0x46; // options
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, 24)));
	esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ip_options), 1);
	p[0] = 0x44;
	esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_esp_inner), 1);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	set_be16(p + 2, 61); // one more than there is
	esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_esp_inner), 2);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	p[10] ^= 0x55;
	esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ip_checksum), 1);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	ip_sum_fix(p + 10, get_be16(p + 8), 0x0111);
	p[8] = 1;
	esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ttl), 1);
	n = fx_ipv4(p, INNER, "224.0.0.5", PROTO_UDP, 40);
	esp_in(seq++, p, n, 4);
	assert_int_equal(inside_packets(), 0);
}

// Row 87, and the destination side.
static void selectors_bind_the_inner_source(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"10.1.0.3", HOST}, {"10.99.0.5", HOST},
		{INNER, "10.98.0.5"}, {"192.0.2.1", HOST}, {INNER, "8.8.8.8"}};
	uint8_t p[256];
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		esp_in(i + 1, p, fx_ipv4(p, rows[i][0], rows[i][1], PROTO_UDP, 20), 4);
	// IPv6 on an SA whose selectors are IPv4.
	esp_in(10, p, fx_ipv6(p, "2001:db8:77::9", "2001:db8:99::5", PROTO_UDP, 20), PROTO_IPV6);
	assert_int_equal(inside_packets(), 0);
	assert_int_equal(fx_drops(DP_DROP_selector), 6);
	struct sa_counters c;
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, in.child, SA_IN, &c));
	assert_int_equal(c.selector_mismatch, 6);
}

// Row 88.
static void port_4500_oddities(void **state)
{
	(void)state;
	static const uint8_t keepalive[] = {0xff}, zero[64] = {0};
	fx_input_esp(PEER, 4500, 0, keepalive, 1);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_keepalive), 1);
	for (size_t len = 0; len < 4; len++)
		fx_input_esp(PEER, 4500, 0, zero, len);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_udp), 4);
	fx_input_esp(PEER, 4500, 0, zero, 20); // non-ESP marker, garbage
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ike_short), 1);
	fx_input_esp(PEER, 0, 0, zero, 60); // SPI 0
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 1);
}

// Row 90: stale and guessed SPIs miss.
static void unknown_spis_miss(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t n = oracle_wrap(&in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	for (uint32_t x = 1; x != 0; x <<= 1) {
		set_be32(esp, in.spi ^ x);
		fx_input_esp(PEER, 4500, 0, esp, n);
		fx_run();
	}
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 32);
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, in.child, SA_IN);
	fx_run();
	ping_in(1);
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 33);
	assert_int_equal(inside_packets(), 0);
}

// Row 89: the address of an authentic, newest packet is reported, once a change.
static void moves_are_reported_when_authentic(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t len = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	ping_in(10);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	size_t n = oracle_wrap(&in, 11, p, len, 4, esp);
	esp[n - 1] ^= 1;
	fx_input_esp("203.0.113.9", 1234, 0, esp, n);
	n = oracle_wrap(&in, 5, p, len, 4, esp); // authentic but old
	fx_input_esp("203.0.113.9", 1234, 0, esp, n);
	fx_run();
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
	for (unsigned i = 0; i < 3; i++) {
		n = oracle_wrap(&in, 12 + i, p, len, 4, esp);
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
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 8));
	fx_run();
	uint8_t got[512];
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	assert_memory_equal(got + 16, path.remote.addr.bytes, 4);
	assert_int_equal(get_be16(got + 22), 1234);
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
		size_t n = oracle_wrap(&in, i + 1, p, len, 4, esp);
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
			struct tunnel_spec spec = {.path = fx_path(PEER, 0), .df = (enum sa_df)df};
			struct ip_prefix dst = fx_prefix("10.1.7.7");
			uint32_t t;
			assert_int_equal(s->tunnel_add(s->ctx, &spec, &t), 0);
			assert_int_equal(s->route_add(s->ctx, t, &dst), 0);
			fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, "10.1.7.7", &in, &out);
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

static struct sa_spec child_with(struct sa_spec spec, enum sa_dir dir)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path(PEER, 4500);
	uint32_t spi;
	assert_int_equal(s->spi_reserve(s->ctx, 0, &path, &spi), 0);
	spec.child = spi;
	spec.spi = dir == SA_IN ? spi : FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &spec), 0);
	if (dir == SA_OUT)
		s->sa_switch(s->ctx, spi);
	fx_run();
	return spec;
}

static void limits_of_packets_and_bytes(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.soft_packets = 3;
	spec.hard_packets = 5;
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, in.child, SA_OUT);
	spec = child_with(spec, SA_OUT);
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
	spec = child_with(spec, SA_OUT);
	send_out(10);
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, spec.child, SA_OUT, &c));
	assert_int_equal(c.bytes, 400);
	assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT), 2);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 2);
}

static void an_inbound_sa_stops_at_its_limit(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.hard_packets = 2;
	in = child_with(spec, SA_IN);
	for (unsigned i = 1; i <= 4; i++)
		ping_in(i);
	assert_int_equal(inside_packets(), 2);
	assert_int_equal(fx_drops(DP_DROP_esp_stopped), 2);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
}

static void sequence_numbers_never_wrap(void **state)
{
	(void)state;
	struct sa_spec spec = fx_spec(tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, in.child, SA_OUT);
	spec.seq = 0xffffffffu - 2;
	spec = child_with(spec, SA_OUT);
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
	spec = child_with(spec, SA_OUT);
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
		struct sa_spec spec = fx_spec(tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
		uint64_t top = 0x100000000ull + windows[i] / 2;
		spec.esn = true;
		spec.replay_window = windows[i];
		spec.seq = 0xfffff000u;
		in = child_with(spec, SA_IN);
		ping_in(0xfffff001u); // below 2^32
		ping_in(top);
		ping_in(top - windows[i] + 1); // the oldest that is in
		assert_int_equal(inside_packets(), 3);
		ping_in(top - windows[i] + 1);
		assert_int_equal(inside_packets(), 0);
	}
}

// ---- Size (rows 85, 92) ----

static void what_does_not_fit_is_told(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	// 1500 - 20 - 8 - 8 - 8 - 16 = 1440, less 2 of trailer: 1438 (NAT-T)
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1438 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1500);
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1439 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 1);
	fx.dp->sa_sink.tunnel_pmtu(fx.dp->sa_sink.ctx, tunnel, 1400);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1338 - 20));
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1339 - 20));
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 1400);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 2);
	// Row 91: never below 576.
	fx.dp->sa_sink.tunnel_pmtu(fx.dp->sa_sink.ctx, tunnel, 68);
	fx_run();
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 480));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
}

static void eight_byte_blocks_fill_the_mtu(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	// 1500 - 20 - 8 - 8 - 8 - 12 = 1444, of which 1440 are whole blocks, less 2 of trailer.
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1438 - 20));
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, INNER, PROTO_UDP, 1439 - 20));
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
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, tunnel);
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
	struct sa_spec spec = fx_spec(tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	uint8_t p[256];
	spec.ts_local[0].proto = PROTO_UDP;
	spec.ts_local[0].port_lo = 1000;
	spec.ts_local[0].port_hi = 1001;
	for (int i = 1; i < 5; i++) {
		spec.ts_local[i] = spec.ts_local[0];
		spec.ts_local[i].port_lo = spec.ts_local[i].port_hi = (uint16_t)(2000 + i);
	}
	spec.ts_local_count = 5;
	in = child_with(spec, SA_IN);
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
		esp_in(i + 1, p, n, 4);
		assert_int_equal(inside_packets(), rows[i].pass);
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
	out2 = child_with(spec, SA_OUT);
	spec = fx_spec(tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	spec.ts_local[0] = selector_of_range(&any);
	in = child_with(spec, SA_IN);
	size_t n = fx_ipv4(p, INNER, "10.1.0.3", PROTO_UDP, 60);
	esp_in(1, p, n, 4);
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > 0);
	assert_true(oracle_open(&out2, 0, got + 20, len - 20, plain) > n);
	ip_hop(p, IP_V4);
	assert_memory_equal(plain, p, n);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
#define BARE(f) cmocka_unit_test_setup_teardown(f, start_bare, stop)
#define LEGACY(f)                                             \
	{                                                     \
#f " (DES, MD5)", f, start_legacy, stop, NULL \
	}
	const struct CMUnitTest tests[] = {
		BARE(every_suite_agrees_with_openssl),
		BARE(a_burst_of_all_suites),
		BARE(cbc_ivs_are_unpredictable),
		BARE(ipv6_inside_and_outside),
		WITH(replays_are_dropped),
		LEGACY(replays_are_dropped),
		LEGACY(duplicates_in_one_burst),
		LEGACY(a_forged_number_moves_no_window),
		LEGACY(every_flipped_bit_fails),
		LEGACY(short_esp_is_dropped),
		LEGACY(eight_byte_blocks_trailers_are_checked),
		LEGACY(tfc_padding_is_cut),
		LEGACY(eight_byte_blocks_fill_the_mtu),
		WITH(duplicates_in_one_burst),
		WITH(a_forged_number_moves_no_window),
		WITH(every_flipped_bit_fails),
		WITH(short_esp_is_dropped),
		WITH(trailers_are_checked),
		WITH(tfc_padding_is_cut),
		WITH(inner_headers_are_checked),
		WITH(selectors_bind_the_inner_source),
		WITH(port_4500_oddities),
		WITH(unknown_spis_miss),
		WITH(moves_are_reported_when_authentic),
		WITH(ecn_on_the_way_in),
		WITH(marks_on_the_way_out),
		WITH(limits_of_packets_and_bytes),
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
