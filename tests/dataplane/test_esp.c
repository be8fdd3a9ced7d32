// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP itself: every suite against OpenSSL, ESP from the peer to the inside, inside to ESP, replays,
// and what must not pass.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include "dataplane/suites_table.h"

#include <stdio.h>

#define PEER  EC_PEER
#define INNER EC_INNER
#define HOST  EC_HOST

struct suite_row {
	uint16_t encr, bits, integ;
};

// All that the tables allow.
static struct suite_row suites[96];
static size_t suite_count;

static void list_suites(void)
{
	for (size_t i = 0; i < dp_cipher_count; i++)
		for (size_t k = 0; k < dp_auth_count; k++) {
			const struct cipher_row *c = &dp_ciphers[i];
			const struct auth_row *a = &dp_auths[k];
			if ((c->how == HOW_SPLIT) != (a->id != INTEG_NONE))
				continue;
			assert_true(suite_count < RTE_DIM(suites));
			suites[suite_count++] = (struct suite_row){c->id, c->key_bits, a->id};
		}
}

// ---- Suites ----

static void in_one(const struct sa_spec *spec, uint64_t seq, size_t payload, uint16_t port)
{
	uint8_t p[4096], esp[4096];
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, payload);
	fx_input_esp(PEER, port, 0, esp, oracle_wrap(spec, seq, p, n, 4, esp));
	fx_run();
	ec_forwarded(p, n);
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

	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)fx.owner, &path, &spi), 0);
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
	for (size_t i = 0; i < suite_count; i++)
		for (int k = 0; k < 4; k++)
			one_suite(&suites[i], k & 1, k & 2 ? 4500 : 0);
}

// One packet of each of these suites in one burst.
static void burst_of(const struct sa_spec *specs, size_t from, size_t count, uint64_t seq)
{
	uint8_t p[256], esp[512], got[4096];
	char inner[32];
	for (size_t i = from; i < from + count; i++) {
		snprintf(inner, sizeof(inner), "10.1.1.%zu", i);
		size_t n = fx_ipv4(p, inner, HOST, PROTO_UDP, 20 + 11 * i % 64);
		fx_input_esp(PEER, 0, 0, esp, oracle_wrap(&specs[i], seq, p, n, 4, esp));
	}
	fx_step(0);
	for (size_t i = from; i < from + count; i++) {
		size_t n = fx_output(FX_INSIDE, got, sizeof(got));
		assert_int_equal(n, 40 + 11 * i % 64);
		assert_int_equal(got[15], i);
	}
}

// Many packets of several suites in one burst.
static void a_burst_of_all_suites(void **state)
{
	(void)state;
	struct sa_spec specs[RTE_DIM(suites)], o;
	char inner[32];
	for (size_t i = 0; i < suite_count; i++) {
		snprintf(inner, sizeof(inner), "10.1.1.%zu", i);
		uint32_t t = fx_tunnel(0, inner, PEER, 0);
		fx_child(t, 0, suites[i].encr, suites[i].bits, suites[i].integ, inner, &specs[i],
			&o);
	}
	for (unsigned k = 1; k <= 3; k++)
		for (size_t i = 0; i < suite_count; i += DP_BURST)
			burst_of(specs, i, RTE_MIN(suite_count - i, (size_t)DP_BURST), k);
}

// The IVs of 256 packets: none comes twice, and each of their bits is 1 in about half of them, so
// that they are no counter.
static void ivs_of(const struct suite_row *r, size_t iv_len)
{
	static uint8_t ivs[256][16];
	uint8_t p[128], got[512];
	uint32_t t = fx_tunnel(0, "10.1.0.9", PEER, 0);
	fx_child(t, 0, r->encr, r->bits, r->integ, "10.1.0.9", &ec.in, &ec.out);
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
		fx_child(t, 0, r->encr, r->bits, r->integ, inner, &ec.in, &ec.out);
		size_t n = fx_ipv6(p, inner, host, PROTO_UDP, 200);
		fx_input_esp(peer, port, 0, esp, oracle_wrap(&ec.in, 1, p, n, PROTO_IPV6, esp));
		fx_run();
		ec_forwarded(p, n);
		n = fx_ipv6(p, host, inner, PROTO_UDP, 99);
		fx_input(FX_INSIDE, p, n);
		fx_run();
		size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
		size_t at = (k / 2 ? IP6_HDR : IP4_HDR) + (port ? UDP_HDR : 0u);
		assert_true(len > at);
		if (k / 2)
			assert_int_equal(get_be16(got + 4), len - IP6_HDR);
		assert_true(oracle_open(&ec.out, 0, got + at, len - at, plain) > n);
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
		ec_ping_in(rows[i].seq);
		assert_int_equal(ec_inside_packets(), rows[i].pass);
	}
	struct sa_counters c;
	const struct sa_sink *s = &fx.dp->sa_sink;
	assert_true(s->sa_stats(s->ctx, ec.in.child, SA_IN, &c));
	assert_int_equal(c.replayed, 6);
	assert_int_equal(c.packets, 6);
	assert_int_equal(c.seq, 1000);
}

static void duplicates_in_one_burst(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	size_t n = oracle_wrap(&ec.in, 5, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_step(0);
	assert_int_equal(ec_inside_packets(), 1);
	assert_int_equal(fx_drops(DP_DROP_esp_replay), 1);
}

// Row 82: what is not authentic moves nothing.
static void a_forged_number_moves_no_window(void **state)
{
	(void)state;
	uint8_t p[128], esp[512];
	ec_ping_in(1);
	size_t n = oracle_wrap(&ec.in, 4000000, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	esp[n - 1] ^= 1;
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	ec_ping_in(2);
	assert_int_equal(ec_inside_packets(), 2);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), 1);
}

// ---- Bad input (rows 78 to 93) ----

// Row 80: each bit of a packet counts.
static void every_flipped_bit_fails(void **state)
{
	(void)state;
	uint8_t p[64], esp[256], bad[256];
	size_t n = oracle_wrap(&ec.in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 4), 4, esp);
	for (size_t bit = 32; bit < n * 8; bit++) {
		memcpy(bad, esp, n);
		bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
		fx_input_esp(PEER, 4500, 0, bad, n);
		fx_run();
	}
	assert_int_equal(ec_inside_packets(), 0);
	assert_int_equal(fx_drops(DP_DROP_esp_auth) + fx_drops(DP_DROP_esp_replay), n * 8 - 32);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	assert_int_equal(ec_inside_packets(), 1);
}

// Row 78: every length from nothing up.
static void short_esp_is_dropped(void **state)
{
	(void)state;
	uint8_t p[64], esp[256];
	size_t n = oracle_wrap(&ec.in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 4), 4, esp);
	for (size_t len = 0; len < n; len++) {
		fx_input_esp(PEER, 0, 0, esp, len);
		fx_run();
	}
	assert_int_equal(ec_inside_packets(), 0);
	uint64_t runts = fx_drops(DP_DROP_esp_runt);
	assert_int_equal(runts + fx_drops(DP_DROP_esp_auth), n);
	// Header, IV, ICV, trailer at least, and whole blocks.
	size_t least = 16 + oracle_icv_len(&ec.in) + 2, block = ec.in.encr.id == ENCR_DES ? 8 : 4;
	size_t text_max = n - 1 - 16 - oracle_icv_len(&ec.in);
	assert_true(runts >= least);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), text_max / block);
}

static void one_trailer(uint64_t seq, const uint8_t *plain, size_t len, enum dp_drop why)
{
	uint8_t esp[4096];
	uint64_t before = fx_drops(why);
	size_t n = oracle_seal(&ec.in, seq, plain, len, NULL, esp);
	fx_input_esp(PEER, 4500, 0, esp, n);
	fx_run();
	assert_int_equal(ec_inside_packets(), 0);
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
	size_t len = oracle_wrap(&ec.in, 5, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	uint64_t before = fx_drops(DP_DROP_esp_runt);
	fx_input_esp(PEER, 4500, 0, esp, len - 4);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_runt), before + 1);
	ec_ping_in(6);
	assert_int_equal(ec_inside_packets(), 1);
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
	ec_ping_in(8);
	assert_int_equal(ec_inside_packets(), 1);
}

// RFC 4303 2.7: what lies between the packet and its trailer is traffic flow confidentiality
// padding.
static void tfc_padding_is_cut(void **state)
{
	(void)state;
	uint8_t p[512] = {0};
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 8);
	memset(p + n, 0xaa, 300);
	ec_esp_in(1, p, n + 300, 4);
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
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ip_options), 1);
	p[0] = 0x44;
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_esp_inner), 1);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	set_be16(p + 2, 61); // one more than there is
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_esp_inner), 2);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	p[10] ^= 0x55;
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ip_checksum), 1);
	n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	ip_sum_fix(p + 10, get_be16(p + 8), 0x0111);
	p[8] = 1;
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(fx_drops(DP_DROP_ttl), 1);
	n = fx_ipv4(p, INNER, "224.0.0.5", PROTO_UDP, 40);
	ec_esp_in(seq++, p, n, 4);
	assert_int_equal(ec_inside_packets(), 0);
}

// Row 87, and the destination side.
static void selectors_bind_the_inner_source(void **state)
{
	(void)state;
	static const char *const rows[][2] = {{"10.1.0.3", HOST}, {"10.99.0.5", HOST},
		{INNER, "10.98.0.5"}, {"192.0.2.1", HOST}, {INNER, "8.8.8.8"}};
	uint8_t p[256];
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		ec_esp_in(i + 1, p, fx_ipv4(p, rows[i][0], rows[i][1], PROTO_UDP, 20), 4);
	// IPv6 on an SA whose selectors are IPv4.
	ec_esp_in(10, p, fx_ipv6(p, "2001:db8:77::9", "2001:db8:99::5", PROTO_UDP, 20), PROTO_IPV6);
	assert_int_equal(ec_inside_packets(), 0);
	assert_int_equal(fx_drops(DP_DROP_selector), 6);
	struct sa_counters c;
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, ec.in.child, SA_IN, &c));
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
	size_t n = oracle_wrap(&ec.in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 8), 4, esp);
	for (uint32_t x = 1; x != 0; x <<= 1) {
		set_be32(esp, ec.in.spi ^ x);
		fx_input_esp(PEER, 4500, 0, esp, n);
		fx_run();
	}
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 32);
	fx.dp->sa_sink.sa_del(fx.dp->sa_sink.ctx, ec.in.child, SA_IN);
	fx_run();
	ec_ping_in(1);
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 33);
	assert_int_equal(ec_inside_packets(), 0);
}

int main(void)
{
	fx_eal();
	list_suites();
#define WITH(f) cmocka_unit_test_setup_teardown(f, ec_start, ec_stop)
#define BARE(f) cmocka_unit_test_setup_teardown(f, ec_start_bare, ec_stop)
#define LEGACY(f)                                                \
	(struct CMUnitTest)                                      \
	{                                                        \
		"legacy: " #f, f, ec_start_legacy, ec_stop, NULL \
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
