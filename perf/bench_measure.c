// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Rounds: gateway and library in turn, each over the next slice of the packets, so that none finds
// the keys in a cache which the one before has just used.
#include "perf/bench.h"

#include <rte_launch.h>
#include <rte_pause.h>

#include <stdio.h>
#include <stdlib.h>

#define WARM         2 // rounds
#define PACKETS      65536
#define PER_TUNNEL   4
#define ROUNDS_MAX   64
#define ONE_KEY_OVER 1.03 // a bound with one key is no higher than with many, but for noise
#define ATTEMPTS     3    // at a row that contradicts itself: others use the machine, too

enum outcome { FINE, DOUBTFUL, VOID };

// What a round consists of.
enum variant {
	GATEWAY,
	BOUND,                             // with each prefetch distance
	ONE_KEY = BOUND + BENCH_DISTANCES, // the same under one key
	VARIANTS = ONE_KEY + BENCH_DISTANCES,
};

static unsigned slices(const struct bench *b)
{
	unsigned need = RTE_MAX(PACKETS, PER_TUNNEL * b->tunnel_count) / b->lane_count;
	unsigned n = (need + BENCH_ROUND - 1) / BENCH_ROUND;
	return RTE_MAX(n, b->o.rounds + WARM);
}

// ---- One run on a lane ----

static int port_of(const struct bench_lane *l)
{
	return l->store.direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
}

static void run_gateway(struct bench_lane *l)
{
	int port = port_of(l);
	bench_ports_feed(l, port, l->mbufs, BENCH_ROUND);
	struct bench_rx *rx = &l->rx[port];
	uint64_t t = rte_rdtsc_precise();
	while (rx->next < rx->end)
		dp_worker_poll_once(l->w);
	l->cycles = rte_rdtsc_precise() - t;
	unsigned sent = bench_ports_sent(l, !port);
	bench_ports_idle(l);
	struct rte_mbuf **out = l->sent + !port * BENCH_ROUND;
	l->fault = sent != BENCH_ROUND;
	for (unsigned i = 0; !l->fault && i < BENCH_SAMPLES; i++)
		l->fault = !bench_sample_right(
			l, l->slice, out[i * (BENCH_ROUND / BENCH_SAMPLES) + l->slice % 64]);
}

static void run_bound(struct bench_lane *l)
{
	bool one_key = l->variant >= ONE_KEY;
	unsigned distance = bench_distances[(l->variant - BOUND) % BENCH_DISTANCES];
	bench_bound_prepare(l, l->slice, one_key);
	l->cycles = bench_bound_run(l, distance);
	l->fault = !one_key && !bench_bound_right(l, l->slice);
}

// All lanes begin together.
static void meet(struct bench *b)
{
	unsigned mine = atomic_fetch_add(&b->arrived, 1) / b->lane_count;
	while (atomic_load(&b->arrived) / b->lane_count == mine)
		rte_pause();
}

static int run(void *lane)
{
	struct bench_lane *l = lane;
	bench_write(l, l->slice);
	if (l->variant == GATEWAY) {
		meet(l->b);
		run_gateway(l);
	} else {
		meet(l->b);
		run_bound(l);
	}
	return 0;
}

// Lane 0 on this thread, the others on their lcores.
static void on_all(struct bench *b, int (*f)(void *))
{
	for (unsigned i = 1; i < b->lane_count; i++)
		if (rte_eal_remote_launch(f, b->lanes[i], b->lanes[i]->w->lcore))
			bench_die("lcore %u does not start", b->lanes[i]->w->lcore);
	f(b->lanes[0]);
	for (unsigned i = 1; i < b->lane_count; i++)
		rte_eal_wait_lcore(b->lanes[i]->w->lcore);
}

// ---- Rows ----

struct samples {
	double cycles[VARIANTS][ROUNDS_MAX]; // a packet; the mean of the lanes
	double mpps[ROUNDS_MAX];             // the sum of the lanes, of the gateway
};

static bool one_round(
	struct bench *b, unsigned variant, unsigned slice, double *cycles, double *mpps)
{
	double sum = 0, rate = 0;
	for (unsigned i = 0; i < b->lane_count; i++) {
		b->lanes[i]->variant = variant;
		b->lanes[i]->slice = slice;
	}
	on_all(b, run);
	for (unsigned i = 0; i < b->lane_count; i++) {
		double c = (double)b->lanes[i]->cycles / BENCH_ROUND;
		sum += c;
		rate += (double)rte_get_tsc_hz() / c / 1e6;
		if (b->lanes[i]->fault)
			return false;
	}
	*cycles = sum / b->lane_count;
	*mpps = rate;
	bench_settle(b);
	return true;
}

static bool all_rounds(struct bench *b, struct samples *s)
{
	unsigned n = b->lanes[0]->store.count / BENCH_ROUND;
	unsigned variants = b->tunnel_count > b->lane_count ? VARIANTS : ONE_KEY;
	for (unsigned r = 0; r < WARM + b->o.rounds; r++) {
		for (unsigned v = 0; v < variants; v++) {
			unsigned at = r < WARM ? 0 : r - WARM;
			unsigned slice = (r + v * (n / VARIANTS)) % n;
			double unused, *mpps = v == GATEWAY ? &s->mpps[at] : &unused;
			if (!one_round(b, v, slice, &s->cycles[v][at], mpps)) {
				fprintf(stderr, "esp_bench: %s\n",
					v == GATEWAY ? "the gateway lost packets or made wrong ones"
						     : "the library's packets are wrong");
				return false;
			}
		}
	}
	return true;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

double bench_median(double *values, unsigned n)
{
	qsort(values, n, sizeof(*values), by_value);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

// Of the distances' medians; at the same time of what each round had best, into least[].
static double best(struct samples *s, unsigned from, unsigned rounds, double *least)
{
	double of_all = 0;
	for (unsigned r = 0; r < rounds; r++) {
		least[r] = s->cycles[from][r];
		for (unsigned i = 1; i < BENCH_DISTANCES; i++)
			least[r] = RTE_MIN(least[r], s->cycles[from + i][r]);
	}
	for (unsigned i = 0; i < BENCH_DISTANCES; i++) {
		double m = bench_median(s->cycles[from + i], rounds);
		of_all = i == 0 || m < of_all ? m : of_all;
	}
	return of_all;
}

// Many keys cannot be cheaper than one. Compared round by round, as the machine's speed changes.
static bool plausible(struct bench_row *row, double *many, double *one, unsigned rounds)
{
	for (unsigned r = 0; r < rounds; r++)
		one[r] /= many[r];
	row->one_key_share = bench_median(one, rounds);
	return row->one_key_share <= ONE_KEY_OVER;
}

static enum outcome evaluate(struct bench *b, struct samples *s, struct bench_row *row)
{
	const struct bench_store *st = &b->lanes[0]->store;
	double many[ROUNDS_MAX], one[ROUNDS_MAX];
	unsigned n = b->o.rounds;
	row->gateway = bench_median(s->cycles[GATEWAY], n);
	row->bound = best(s, BOUND, n, many);
	row->mpps = bench_median(s->mpps, n);
	row->gbps = row->mpps * 8e-3 * (double)st->inner_bytes / st->count;
	if (b->tunnel_count <= b->lane_count)
		return FINE;
	row->one_key = best(s, ONE_KEY, n, one);
	return plausible(row, many, one, n) ? FINE : DOUBTFUL;
}

static int fill(void *lane)
{
	struct bench_lane *l = lane;
	bench_store_fill(l, l->b->direction, l->b->size, slices(l->b) * BENCH_ROUND);
	return 0;
}

static enum outcome attempt(struct bench *b, struct bench_row *row)
{
	static struct samples s;
	on_all(b, fill);
	uint64_t lost = bench_lost(b);
	if (!all_rounds(b, &s))
		return VOID;
	lost = bench_lost(b) - lost;
	if (lost == 0)
		return evaluate(b, &s, row);
	fprintf(stderr, "esp_bench: the gateway dropped or punted %lu packets\n",
		(unsigned long)lost);
	return VOID;
}

bool bench_measure(struct bench *b, enum bench_direction d, unsigned size, struct bench_row *row)
{
	enum outcome got = DOUBTFUL;
	*row = (struct bench_row){.direction = d,
		.suite = b->suite.name,
		.size = size,
		.tunnels = b->tunnel_count,
		.workers = b->lane_count,
		.order = b->o.order};
	b->direction = d;
	b->size = size;
	for (unsigned i = 0; i < ATTEMPTS && got == DOUBTFUL; i++)
		got = attempt(b, row);
	if (got == DOUBTFUL)
		fprintf(stderr,
			"esp_bench: the bound with one key takes %.2f times that with many keys: the "
			"measurement is at fault\n",
			row->one_key_share);
	if (got != FINE)
		fprintf(stderr, "esp_bench: void: %s, %s, size %u, %u tunnels\n",
			d == BENCH_OUT ? "out" : "in", b->suite.name, size, b->tunnel_count);
	return got == FINE;
}
