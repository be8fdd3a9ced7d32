// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// How much more several workers do than one: rounds in which all run at once, and rounds in which one
// after the other does, in turn, as the machine's speed changes. The same for the library alone, which
// says what is possible on these CPUs.
#include "perf/bench.h"

#include <stdio.h>

#define ROUNDS_MAX 64
#define DISTANCE   2 // of bench_distances, and so which of the keys' copies

enum what { GATEWAY, BOUND, WHATS };

static void work(struct bench_lane *l, enum what what)
{
	int in = l->store.direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
	if (what == BOUND) {
		l->cycles = bench_bound_run(l, bench_distances[DISTANCE]);
		l->fault = !bench_bound_right(l, l->slice);
		return;
	}
	bench_ports_feed(l, in, l->mbufs, BENCH_ROUND);
	struct bench_rx *rx = &l->rx[in];
	uint64_t t = rte_rdtsc_precise();
	while (rx->next < rx->end)
		dp_worker_poll_once(l->w);
	l->cycles = rte_rdtsc_precise() - t;
	l->sent_count = bench_ports_sent(l, !in);
	l->fault = l->sent_count != BENCH_ROUND;
	bench_ports_idle(l);
}

// variant: what, and WHATS more where the lanes take turns.
static int run(void *lane)
{
	struct bench_lane *l = lane;
	enum what what = (enum what)(l->variant % WHATS);
	bool together = l->variant < WHATS;
	if (what == GATEWAY)
		bench_write(l, l, l->slice);
	else
		bench_bound_write(l, l->slice, DISTANCE, false);
	for (unsigned turn = 0; turn < (together ? 1 : l->b->lane_count); turn++) {
		bench_meet(l->b);
		if (together || turn == l->id)
			work(l, what);
	}
	return 0;
}

// Packets a cycle, of all lanes that run at once. 0: some were lost or wrong.
static double one_run(struct bench *b, unsigned slice, unsigned variant)
{
	double speed = 0;
	for (unsigned i = 0; i < b->lane_count; i++) {
		b->lanes[i]->slice = slice;
		b->lanes[i]->variant = variant;
	}
	bench_on_all(b, run);
	for (unsigned i = 0; i < b->lane_count; i++) {
		if (b->lanes[i]->fault)
			return 0;
		speed += (double)BENCH_ROUND / (double)b->lanes[i]->cycles;
	}
	bench_settle(b);
	return variant < WHATS ? speed : speed / b->lane_count;
}

static int fill(void *lane)
{
	struct bench_lane *l = lane;
	bench_store_fill(l, l->b->direction, l->b->size, 2 * (l->b->o.rounds + 1) * BENCH_ROUND);
	return 0;
}

static void report(const struct bench *b, const double *times, double mpps)
{
	char size[16];
	if (b->o.json) {
		bench_json_head(b);
		printf("\"mpps\":%.4f,\"times_one\":%.4f,\"crypto_times_one\":%.4f}", mpps,
			times[GATEWAY], times[BOUND]);
	} else {
		printf("%-3s %s %s B %u tunnels: %u workers %.2f Mpps, %.2f times one; crypto alone "
		       "%.2f times\n",
			b->direction == BENCH_OUT ? "out" : "in", b->suite.name,
			bench_size_text(b->size, "", size), b->tunnel_count, b->lane_count, mpps,
			times[GATEWAY], times[BOUND]);
	}
}

enum bench_outcome bench_scale(struct bench *b)
{
	double share[WHATS][ROUNDS_MAX], mpps[ROUNDS_MAX], times[WHATS];
	unsigned n = b->o.rounds;
	bench_on_all(b, fill);
	uint64_t lost = bench_lost(b);
	bool ok = true;
	for (unsigned r = 0; ok && r <= n; r++) {
		unsigned at = r ? r - 1 : 0; // the first one warms
		for (unsigned what = 0; ok && what < WHATS; what++) {
			double all = one_run(b, 2 * r, what);
			double one = one_run(b, 2 * r + 1, WHATS + what);
			ok = all > 0 && one > 0;
			share[what][at] = ok ? all / one : 0;
			if (what == GATEWAY)
				mpps[at] = all * (double)rte_get_tsc_hz() / 1e6;
		}
	}
	if (!ok || bench_lost(b) != lost) {
		fprintf(stderr, "esp_bench: void: packets were lost, or wrong\n");
		return BENCH_LOST;
	}
	for (unsigned what = 0; what < WHATS; what++)
		times[what] = bench_median(share[what], n);
	report(b, times, bench_median(mpps, n));
	return BENCH_FINE;
}
