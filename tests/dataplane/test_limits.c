// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Limits of an SA, in both directions: told once, in time, and a hard one stops it.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define SIZE 100 // bytes of each inner packet

static const struct sa_sink *sink(void)
{
	return &fx.dp->sa_sink;
}

// The tunnel has no other outbound SA than the one that is looked at.
static int start(void **state)
{
	int rc = ec_start(state);
	sink()->sa_del(sink()->ctx, ec.in.child, SA_OUT);
	fx_run();
	memset(fx.events, 0, sizeof(fx.events));
	fx.event_count = 0;
	return rc;
}

// The n-th packet of the SA; true: it arrived.
static bool pass(const struct sa_spec *sa, uint64_t seq)
{
	uint8_t p[SIZE], out[512];
	if (sa->dir == SA_IN) {
		ec.in = *sa;
		ec_esp_in(seq, p, fx_ipv4(p, EC_INNER, EC_HOST, PROTO_UDP, SIZE - IP4_HDR), 4);
		return ec_inside_packets() == 1;
	}
	fx_input(FX_INSIDE, p, fx_ipv4(p, EC_HOST, EC_INNER, PROTO_UDP, SIZE - IP4_HDR));
	fx_run();
	return fx_output(FX_OUTSIDE, out, sizeof(out)) > 0;
}

#define NEVER 100

// The SA passes packets until the one with the number hard, and tells with soft and hard.
static void expect(struct sa_spec sa, enum sa_dir dir, unsigned soft, unsigned hard)
{
	unsigned softs = fx_event_count(SA_EVENT_SOFT_LIMIT);
	unsigned hards = fx_event_count(SA_EVENT_HARD_LIMIT);
	sa.dir = dir;
	sa = ec_child_with(sa, dir);
	for (unsigned i = 1; i <= 20; i++) {
		assert_int_equal(pass(&sa, sa.seq + i), i <= hard);
		assert_int_equal(fx_event_count(SA_EVENT_SOFT_LIMIT) - softs, i >= soft);
		assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT) - hards, i >= hard);
	}
	if (soft != NEVER) {
		assert_int_equal(fx_event(SA_EVENT_SOFT_LIMIT)->child, sa.child);
		assert_int_equal(fx_event(SA_EVENT_SOFT_LIMIT)->dir, dir);
	}
	sink()->sa_del(sink()->ctx, sa.child, dir);
	fx_run();
}

static void bytes_and_packets(void **state)
{
	(void)state;
	static const struct {
		uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
		unsigned soft, hard;
	} rows[] = {
		{300, 500, 0, 0, 3, 5},
		{0, 0, 3, 5, 3, 5},
		{250, 0, 0, 0, 3, NEVER},
		{0, 450, 0, 0, NEVER, 5},
		{0, 0, 7, 0, 7, NEVER},
		{0, 0, 0, 2, NEVER, 2},
		{0, 0, 0, 0, NEVER, NEVER},
		{300, 0, 5, 8, 3, 8}, // the first one that is reached, and once
		{700, 0, 5, 8, 5, 8},
		{300, 900, 5, 6, 3, 6},
		// A soft limit behind the hard one, as where the peer asked for fewer bytes.
		{0, 0, 20, 16, 13, 16},
		{0, 0, 8, 8, 6, 8},
		{5000, 1600, 0, 0, 14, 16},
		{5000, 1600, 4, 0, 4, 16},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++) {
			struct sa_spec sa =
				fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, EC_INNER);
			sa.soft_bytes = rows[i].soft_bytes;
			sa.hard_bytes = rows[i].hard_bytes;
			sa.soft_packets = rows[i].soft_packets;
			sa.hard_packets = rows[i].hard_packets;
			expect(sa, (enum sa_dir)dir, rows[i].soft, rows[i].hard);
		}
}

// Half of the sequence numbers are left when their end is told.
static void before_sequence_numbers_end(void **state)
{
	(void)state;
	static const struct {
		bool esn;
		uint64_t seq, soft_packets;
		unsigned soft;
	} rows[] = {
		{false, 0, 0, NEVER},
		{false, (1ull << 31) - 3, 0, 3},
		{false, (1ull << 31) - 30, 0, NEVER},
		{false, (1ull << 31) - 5, 3, 3},
		{false, (1ull << 31) - 5, 1ull << 40, 5},
		{false, 0xfffff000u, 0, 1},
		{true, (1ull << 31) - 3, 0, NEVER},
		{true, 0xfffffff0u, 0, NEVER},
		{true, (1ull << 63) - 3, 0, 3},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++) {
			struct sa_spec sa =
				fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, EC_INNER);
			sa.esn = rows[i].esn;
			sa.seq = rows[i].seq;
			sa.soft_packets = rows[i].soft_packets;
			expect(sa, (enum sa_dir)dir, rows[i].soft, NEVER);
		}
}

// The last number is used, or taken, and none comes behind it: an outbound SA stops and says so; what
// would be an inbound packet's number once more is refused as seen.
static void the_last_sequence_numbers(void **state)
{
	(void)state;
	static const struct {
		bool esn;
		uint64_t seq;
		unsigned passes;
	} rows[] = {
		{false, UINT32_MAX - 3ull, 3},
		{false, UINT32_MAX - 1ull, 1},
		{false, UINT32_MAX, 0},
		{true, UINT32_MAX - 3ull, 20},
		{true, UINT32_MAX, 20},
		{true, 0x8ffffffffull, 20},
		{true, UINT64_MAX - 3, 3},
		{true, UINT64_MAX - 1, 1},
		{true, UINT64_MAX, 0},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++) {
			enum dp_drop why = dir == SA_IN ? DP_DROP_esp_replay : DP_DROP_seq_end;
			uint64_t drops = fx_drops(why);
			unsigned hards = fx_event_count(SA_EVENT_HARD_LIMIT);
			struct sa_spec sa =
				fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, EC_INNER);
			struct sa_counters c;
			bool ends = rows[i].passes < 20;
			sa.esn = rows[i].esn;
			sa.seq = rows[i].seq;
			sa.dir = (enum sa_dir)dir;
			sa = ec_child_with(sa, (enum sa_dir)dir);
			for (unsigned n = 1; n <= 20; n++)
				assert_int_equal(pass(&sa, sa.seq + n), n <= rows[i].passes);
			assert_true(sink()->sa_stats(sink()->ctx, sa.child, (enum sa_dir)dir, &c));
			assert_int_equal(c.seq, rows[i].seq + rows[i].passes);
			assert_int_equal(c.packets, rows[i].passes);
			// Once stopped, an outbound SA is no choice any more.
			assert_int_equal(fx_drops(why) - drops, !ends ? 0
								: dir == SA_OUT
									? 1
									: 20 - rows[i].passes);
			assert_int_equal(
				fx_event_count(SA_EVENT_HARD_LIMIT) - hards, ends && dir == SA_OUT);
			sink()->sa_del(sink()->ctx, sa.child, (enum sa_dir)dir);
			fx_run();
		}
}

// Both directions of a child have limits of their own, and each is told of once.
static void each_direction_once(void **state)
{
	(void)state;
	struct tunnel_path path = fx_path(EC_PEER, 4500);
	struct sa_spec sa[2];
	uint32_t spi;
	assert_int_equal(sink()->spi_reserve(sink()->ctx, (uint16_t)fx.owner, &path, &spi), 0);
	for (int dir = SA_IN; dir <= SA_OUT; dir++) {
		sa[dir] = fx_spec(ec.tunnel, (enum sa_dir)dir, ENCR_AES_GCM_16, 128, 0, EC_INNER);
		sa[dir].child = spi;
		sa[dir].spi = dir == SA_IN ? spi : FX_PEER_SPI;
		sa[dir].soft_bytes = 300;
		sa[dir].soft_packets = 4;
		assert_int_equal(sink()->sa_add(sink()->ctx, &sa[dir]), 0);
	}
	sink()->sa_switch(sink()->ctx, spi);
	fx_run();
	for (unsigned i = 1; i <= 10; i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++)
			assert_true(pass(&sa[dir], i));
	unsigned told[2] = {0};
	for (unsigned i = 0; i < fx.event_count; i++)
		if (fx.events[i].type == SA_EVENT_SOFT_LIMIT) {
			assert_int_equal(fx.events[i].child, spi);
			told[fx.events[i].dir]++;
		}
	assert_int_equal(told[SA_IN], 1);
	assert_int_equal(told[SA_OUT], 1);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, ec_stop)
	const struct CMUnitTest tests[] = {
		WITH(bytes_and_packets),
		WITH(before_sequence_numbers_end),
		WITH(the_last_sequence_numbers),
		WITH(each_direction_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
