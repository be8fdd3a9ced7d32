// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A session's rates: a burst passes at once, then as much as the time that has gone by allows.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define SIZE 500 // bytes of each inner packet

static uint64_t seq;

// So many packets one way at this moment; how many arrive.
static unsigned arrive(enum sa_dir dir, unsigned n)
{
	uint8_t p[SIZE], got[2048];
	unsigned passed = 0;
	for (unsigned i = 0; i < n; i++)
		if (dir == SA_IN) {
			fx_ipv4(p, EC_INNER, EC_HOST, PROTO_UDP, SIZE - IP4_HDR);
			ec_esp_in(++seq, p, SIZE, 4);
			passed += (unsigned)ec_inside_packets();
		} else {
			fx_input(FX_INSIDE, p,
				fx_ipv4(p, EC_HOST, EC_INNER, PROTO_UDP, SIZE - IP4_HDR));
			fx_run();
			passed += fx_output(FX_OUTSIDE, got, sizeof(got)) > 0;
		}
	return passed;
}

static uint64_t policed(enum sa_dir dir)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct sa_counters c;
	assert_true(s->sa_stats(s->ctx, ec.in.child, dir, &c));
	assert_int_equal(c.malformed, 0);
	return c.policed;
}

static void make(struct sa_rate in, struct sa_rate out, bool per_worker)
{
	seq = 0;
	ec_make(&(struct ec_way){.inner = EC_INNER,
		.peer = EC_PEER,
		.port = 4500,
		.treat = {.rate_in = in, .rate_out = out},
		.per_worker = per_worker});
}

static void unmake(void)
{
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, ec.tunnel);
	fx_run();
}

// About as many as wanted: a meter of integers is up to a hundredth off.
static void about(unsigned got, unsigned want)
{
	if (got + want / 50 + 1 < want || got > want + want / 50 + 1)
		fail_msg("%u packets, not about %u", got, want);
}

static void one_direction(enum sa_dir dir)
{
	static const struct {
		uint64_t bytes_per_s, burst_bytes;
		uint64_t after_ns;
		unsigned burst, then;
	} rows[] = {
		{100000, 20000, NS_PER_S / 10, 40, 20},
		{100000, 20000, 10 * NS_PER_S, 40, 40},
		{1000, 20000, NS_PER_S, 40, 2},
		{1000000, 100000, NS_PER_S / 100, 200, 20},
		{125000000, 100000, NS_PER_MS / 10, 200, 25},
		{12500000000ull, 100000, 4000, 200, 100},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct sa_rate r = {rows[i].bytes_per_s, rows[i].burst_bytes}, none = {0};
		enum dp_drop why = dir == SA_IN ? DP_DROP_policed_in : DP_DROP_policed_out;
		uint64_t drops = fx_drops(why);
		make(dir == SA_IN ? r : none, dir == SA_IN ? none : r, false);
		about(arrive(dir, rows[i].burst + 30), rows[i].burst);
		fx.now_ns += rows[i].after_ns;
		about(arrive(dir, rows[i].then + 30), rows[i].then);
		// The other way is free.
		assert_int_equal(arrive((enum sa_dir) !dir, 300), 300);
		assert_int_equal(policed(dir), fx_drops(why) - drops);
		assert_true(policed(dir) > 50);
		assert_int_equal(policed((enum sa_dir) !dir), 0);
		unmake();
	}
	assert_int_equal(fx_drops(dir == SA_IN ? DP_DROP_policed_out : DP_DROP_policed_in), 0);
}

static void inbound(void **state)
{
	(void)state;
	one_direction(SA_IN);
}

static void outbound(void **state)
{
	(void)state;
	one_direction(SA_OUT);
}

static void without_rates(void **state)
{
	(void)state;
	make((struct sa_rate){0}, (struct sa_rate){0, 5000}, false);
	assert_int_equal(arrive(SA_IN, 500), 500);
	assert_int_equal(arrive(SA_OUT, 500), 500);
	assert_int_equal(policed(SA_IN) + policed(SA_OUT), 0);
}

// A burst that is too small for a packet is as large as one.
static void a_packet_passes(void **state)
{
	(void)state;
	make((struct sa_rate){100000, 1}, (struct sa_rate){0}, false);
	about(arrive(SA_IN, 50), DP_PACKET_MAX / SIZE);
}

// An hour of silence is one burst, and a change of path or MTU none.
static void not_forgotten(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	make((struct sa_rate){100000, 20000}, (struct sa_rate){100000, 20000}, false);
	for (int dir = SA_IN; dir <= SA_OUT; dir++)
		about(arrive((enum sa_dir)dir, 60), 40);
	struct tunnel_path path = fx_path(EC_PEER, 4500);
	s->tunnel_move(s->ctx, ec.tunnel, &path);
	s->tunnel_pmtu(s->ctx, ec.tunnel, 1400);
	fx_run();
	for (int dir = SA_IN; dir <= SA_OUT; dir++)
		assert_int_equal(arrive((enum sa_dir)dir, 10), 0);
	fx.now_ns += 3600 * NS_PER_S;
	for (int dir = SA_IN; dir <= SA_OUT; dir++)
		about(arrive((enum sa_dir)dir, 60), 40);
}

// Each worker's copy has its share.
static void shared_by_workers(void **state)
{
	(void)state;
	make((struct sa_rate){100000, 40000}, (struct sa_rate){200000, 60000}, true);
	about(arrive(SA_IN, 100), 40);
	about(arrive(SA_OUT, 100), 60);
	fx.now_ns += NS_PER_S / 10;
	about(arrive(SA_IN, 30), 10);
	about(arrive(SA_OUT, 40), 20);
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
		ONE(inbound),
		TWO(inbound),
		ONE(outbound),
		TWO(outbound),
		ONE(without_rates),
		ONE(a_packet_passes),
		ONE(not_forgotten),
		TWO(shared_by_workers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
