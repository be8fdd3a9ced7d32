// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Traffic flow confidentiality: what leaves is padded, what comes padded is cut, dummy packets end here.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include "dataplane/treat.h"

#define MTU UINT16_MAX

struct row {
	uint16_t tfc;
	uint16_t len;  // of the inner packet
	uint16_t want; // padded, without ESP's own padding and trailer
};

// Plain ESP with AES-GCM around 1446 bytes.
static const struct row rows[] = {
	{0, 100, 100},
	{64, 28, 64},
	{64, 64, 64},
	{64, 65, 128},
	{100, 28, 100},
	{100, 100, 100},
	{100, 101, 200},
	{1000, 300, 1000},
	{1000, 1001, 1446},
	{1024, 1446, 1446},
	{8192, 40, 1446},
	{3, 30, 30},
	{3, 31, 33},
	{7, 1441, 1442},
	{1, 99, 99},
	{MTU, 40, 1446},
	{MTU, 1446, 1446},
	{MTU, 1445, 1446},
};

static size_t send(uint8_t *p, size_t len, uint8_t *got, size_t cap)
{
	fx_ipv4_df(p, EC_HOST, EC_INNER, PROTO_UDP, len - IP4_HDR);
	fx_input(FX_INSIDE, p, len);
	fx_run();
	return fx_output(FX_OUTSIDE, got, cap);
}

// The peer finds the packet, zeros up to the length that was asked for, and a right trailer.
static void expect_padded(const uint8_t *p, const struct row *r, const uint8_t *got, size_t n)
{
	uint8_t plain[2048], sent[2048];
	uint32_t text = RTE_ALIGN_CEIL(r->want + 2u, 4u);
	assert_int_equal(n, IP4_HDR + ESP_HDR_LEN + 8 + text + 16);
	assert_int_equal(oracle_open(&ec.out, 0, got + IP4_HDR, n - IP4_HDR, plain), text);
	memcpy(sent, p, r->len);
	ip_hop(sent, IP_V4);
	assert_memory_equal(plain, sent, r->len);
	for (uint32_t i = r->len; i < r->want; i++)
		assert_int_equal(plain[i], 0);
	for (uint32_t i = r->want; i < text - 2; i++)
		assert_int_equal(plain[i], i - r->want + 1);
	assert_int_equal(plain[text - 2], text - 2 - r->want);
	assert_int_equal(plain[text - 1], 4);
}

static void out(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint8_t p[2048], got[2048];
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		ec_make(&(struct ec_way){.inner = EC_INNER, .peer = EC_PEER, .tfc = rows[i].tfc});
		size_t n = send(p, rows[i].len, got, sizeof(got));
		expect_padded(p, &rows[i], got, n);
		// The session's bytes are its own.
		struct sa_counters c;
		assert_true(s->sa_stats(s->ctx, ec.out.child, SA_OUT, &c));
		assert_int_equal(c.bytes, rows[i].len);
		s->tunnel_del(s->ctx, ec.tunnel);
		fx_run();
	}
}

// Too big stays too big, and is told as without padding.
static void at_the_mtu(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint8_t p[2048], got[2048];
	ec_make(&(struct ec_way){.inner = EC_INNER, .peer = EC_PEER, .tfc = MTU});
	assert_int_equal(send(p, 1447, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(DP_DROP_too_big), 1);
	s->tunnel_pmtu(s->ctx, ec.tunnel, 1400);
	fx_run();
	size_t n = send(p, 60, got, sizeof(got));
	expect_padded(p, &(struct row){MTU, 60, 1346}, got, n);
	assert_int_equal(n, 1400);
}

// Only the SAs that are to: a rekeying may change it. In transport mode nothing says how long a packet is.
static void by_sa(void **state)
{
	(void)state;
	uint8_t p[2048], got[2048];
	size_t n;
	ec_make(&(struct ec_way){.inner = EC_INNER, .peer = EC_PEER, .tfc = 256});
	struct sa_spec first = ec.out,
		       next = fx_spec(ec.tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, EC_INNER);
	n = send(p, 60, got, sizeof(got));
	expect_padded(p, &(struct row){256, 60, 256}, got, n);
	ec.out = ec_child_with(next, SA_OUT);
	n = send(p, 60, got, sizeof(got));
	expect_padded(p, &(struct row){0, 60, 60}, got, n);
	first.seq = 0;
	first.tfc = 512;
	ec.out = ec_child_with(first, SA_OUT);
	n = send(p, 60, got, sizeof(got));
	expect_padded(p, &(struct row){512, 60, 512}, got, n);
	uint64_t padded = dp_get(&fx.dp->workers[0]->stats.tfc_padded);
	assert_int_equal(padded, 2);
	first.mode = SA_TRANSPORT;
	(void)ec_child_with(first, SA_OUT);
	(void)send(p, 60, got, sizeof(got));
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.tfc_padded), padded);
}

// Whatever stands behind the inner packet is cut; a dummy packet of any content is consumed, and counts
// as a packet of its SA, but is no use of it.
static void in(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint8_t p[2048];
	struct sa_counters c;
	uint64_t seq = 0;
	ec_make(&(struct ec_way){.inner = EC_INNER, .peer = EC_PEER, .port = 4500});
	static const uint16_t behind[] = {0, 1, 2, 3, 4, 100, 255, 256, 300, 1000};
	for (size_t i = 0; i < RTE_DIM(behind); i++) {
		size_t len = fx_ipv4(p, EC_INNER, EC_HOST, PROTO_UDP, 60);
		memset(p + len, 0xa5, behind[i]);
		ec_esp_in(++seq, p, len + behind[i], 4);
		ec_forwarded(p, len);
	}
	assert_true(s->sa_stats(s->ctx, ec.in.child, SA_IN, &c));
	assert_int_equal(c.bytes, 80 * RTE_DIM(behind));
	uint64_t used = c.last_used_ns;
	assert_int_equal(used, fx.now_ns);
	fx.now_ns += 100 * NS_PER_S;
	for (size_t i = 0; i < RTE_DIM(behind); i++) {
		memset(p, 0x45, sizeof(p));
		ec_esp_in(++seq, p, behind[i], PROTO_NONE);
		assert_int_equal(ec_inside_packets(), 0);
		assert_int_equal(fx_drops(DP_DROP_esp_dummy), i + 1);
	}
	assert_true(s->sa_stats(s->ctx, ec.in.child, SA_IN, &c));
	assert_int_equal(c.bytes, 80 * RTE_DIM(behind));
	assert_int_equal(c.packets, 2 * RTE_DIM(behind));
	assert_int_equal(c.last_used_ns, used);
	ec_esp_in(++seq, p, fx_ipv4(p, EC_INNER, EC_HOST, PROTO_UDP, 60), 4);
	assert_true(s->sa_stats(s->ctx, ec.in.child, SA_IN, &c));
	assert_int_equal(c.last_used_ns, fx.now_ns);
	assert_int_equal(c.malformed, 0);
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
		ONE(out),
		TWO(out),
		ONE(at_the_mtu),
		ONE(by_sa),
		ONE(in),
		TWO(in),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
