// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ECN and DSCP by RFC 6040 and RFC 2983: whole packets, each pair of families.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define PEER6  "2001:db8:2::7"
#define INNER6 "2001:db8:77::2"
#define HOST6  "2001:db8:99::5"

#define DROP 4

static const struct {
	const char *inner, *host, *peer;
} families[] = {
	{EC_INNER, EC_HOST, EC_PEER},
	{EC_INNER, EC_HOST, PEER6},
	{INNER6, HOST6, EC_PEER},
	{INNER6, HOST6, PEER6},
};

static bool is_v6(const char *addr)
{
	return strchr(addr, ':');
}

static size_t packet(uint8_t *p, const char *src, const char *dst, uint8_t tos)
{
	size_t len = is_v6(src) ? fx_ipv6(p, src, dst, PROTO_UDP, 32)
				: fx_ipv4(p, src, dst, PROTO_UDP, 32);
	if (is_v6(src)) {
		p[0] = (uint8_t)(0x60 | tos >> 4);
		p[1] = (uint8_t)(tos << 4 | 0xa); // of the flow label
	} else {
		ip_sum_fix(p + 10, get_be16(p), (uint16_t)(0x4500 | tos));
		p[1] = tos;
	}
	return len;
}

static uint8_t tos_of(const uint8_t *p)
{
	return p[0] >> 4 == 6 ? (uint8_t)(p[0] << 4 | p[1] >> 4) : p[1];
}

static bool checksum_right(const uint8_t *p)
{
	return p[0] >> 4 == 6 || ip_fold(ip_sum(p, IP4_HDR)) == 0xffff;
}

static uint64_t counter(const char *wanted)
{
	const char *name, *help;
	uint64_t value;
	for (size_t i = 0; dp_counter(fx.dp, i, &name, &value, &help); i++)
		if (strcmp(name, wanted) == 0)
			return value;
	fail_msg("no counter %s", wanted);
	return 0;
}

// RFC 6040 4.2, figure 4: by inner field, then by outer field (Not-ECT, ECT(1), ECT(0), CE); what leaves,
// and whether it is "(!!!)" or "(!)".
static const struct {
	uint8_t out, alarm, suspect;
} figure4[4][4] = {
	{{0, 0, 0}, {0, 1, 0}, {0, 1, 0}, {DROP, 1, 0}},
	{{1, 0, 0}, {1, 0, 0}, {1, 0, 1}, {3, 0, 0}},
	{{2, 0, 0}, {1, 0, 0}, {2, 0, 0}, {3, 0, 0}},
	{{3, 0, 0}, {3, 1, 0}, {3, 0, 0}, {3, 0, 0}},
};

// The DSCP of the inner header stays as it is, whatever the outer one says (RFC 2983 3.2, pipe).
static void one_in(unsigned family, uint64_t seq, uint8_t inner, uint8_t outer)
{
	uint8_t p[256], esp[512], got[512];
	uint64_t alarms = counter("dp_ecn_alarms"), suspect = counter("dp_ecn_suspect");
	uint64_t drops = fx_drops(DP_DROP_esp_ecn);
	size_t len = packet(p, families[family].inner, families[family].host, 0xb8 | inner);
	uint8_t next = is_v6(families[family].inner) ? PROTO_IPV6 : 4;
	size_t n = oracle_wrap(&ec.in, seq, p, len, next, esp);
	fx_input_esp(families[family].peer, 4500, (uint8_t)(0x28 | outer), esp, n);
	fx_run();
	n = fx_output(FX_INSIDE, got, sizeof(got));
	bool drop = figure4[inner][outer].out == DROP;
	assert_int_equal(n, drop ? 0 : len);
	if (n) {
		assert_int_equal(tos_of(got), 0xb8 | figure4[inner][outer].out);
		assert_true(checksum_right(got));
		if (is_v6(families[family].inner))
			assert_int_equal(got[1] & 0xf, 0xa);
	}
	assert_int_equal(counter("dp_ecn_alarms") - alarms, figure4[inner][outer].alarm);
	assert_int_equal(counter("dp_ecn_suspect") - suspect, figure4[inner][outer].suspect);
	assert_int_equal(fx_drops(DP_DROP_esp_ecn) - drops, drop);
}

static void on_the_way_in(void **state)
{
	(void)state;
	for (unsigned f = 0; f < RTE_DIM(families); f++) {
		EC_MAKE(families[f].inner, families[f].peer, 4500, .mss = 0);
		for (unsigned i = 0; i < 16; i++)
			one_in(f, i + 1, (uint8_t)(i / 4), i % 4);
		fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, ec.tunnel);
		fx_run();
	}
}

// RFC 6040 4.1: normal mode copies, compatibility mode clears.
static void on_the_way_out(void **state)
{
	(void)state;
	static const struct {
		struct tunnel_treatment treat;
		uint8_t inner, outer;
	} rows[] = {
		{{0}, 0x00, 0x00},
		{{0}, 0xb9, 0xb9},
		{{0}, 0xff, 0xff},
		{{.ecn_off = true}, 0xb9, 0xb8},
		{{.ecn_off = true}, 0xbb, 0xb8},
		{{.ecn_off = true}, 0x02, 0x00},
		{{.dscp_set = true, .dscp = 46}, 0x00, 0xb8},
		{{.dscp_set = true, .dscp = 46}, 0x2b, 0xbb},
		{{.dscp_set = true, .dscp = 0}, 0xfe, 0x02},
		{{.dscp_set = true, .dscp = 63, .ecn_off = true}, 0x03, 0xfc},
	};
	uint8_t p[256], got[512];
	for (unsigned f = 0; f < RTE_DIM(families); f++)
		for (size_t i = 0; i < RTE_DIM(rows); i++) {
			ec_make(&(struct ec_way){.inner = families[f].inner,
				.peer = families[f].peer,
				.treat = rows[i].treat});
			size_t n = packet(p, families[f].host, families[f].inner, rows[i].inner);
			fx_input(FX_INSIDE, p, n);
			fx_run();
			assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
			assert_int_equal(tos_of(got), rows[i].outer);
			assert_true(checksum_right(got));
			fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, ec.tunnel);
			fx_run();
		}
}

// The peer moves, from one family to the other: what is set stays.
static void a_move_keeps_the_marks(void **state)
{
	(void)state;
	uint8_t p[256], got[512];
	EC_MAKE(EC_INNER, EC_PEER, 0, .dscp_set = true, .dscp = 10, .ecn_off = true);
	struct tunnel_path path = fx_path(PEER6, 4501);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, ec.tunnel, &path);
	fx_run();
	fx_input(FX_INSIDE, p, packet(p, EC_HOST, EC_INNER, 0xff));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	assert_int_equal(got[0] >> 4, 6);
	assert_int_equal(tos_of(got), 10 << 2);
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
		ONE(on_the_way_in),
		TWO(on_the_way_in),
		ONE(on_the_way_out),
		TWO(on_the_way_out),
		ONE(a_move_keeps_the_marks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
