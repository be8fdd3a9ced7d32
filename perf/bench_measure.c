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
#define SPARE        2 // times the slices that undisturbed rounds take
#define PACKETS      65536
#define ENOUGH       7 // rounds make a median
#define PER_TUNNEL   4
#define ROUNDS_MAX   64
#define ONE_KEY_OVER 1.03 // a bound with one key is no higher than with many, but for noise
#define ATTEMPTS     3    // at a row that contradicts itself: others use the machine, too

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
	return RTE_MAX(n, SPARE * (b->o.rounds + WARM));
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
	l->sent_count = bench_ports_sent(l, !port);
	bench_ports_idle(l);
}

static unsigned distance_of(const struct bench_lane *l)
{
	return (l->variant - BOUND) % BENCH_DISTANCES;
}

static void run_bound(struct bench_lane *l)
{
	l->cycles = bench_bound_run(l, bench_distances[distance_of(l)]);
}

static bool gateway_right(const struct bench_lane *l)
{
	struct rte_mbuf *const *out = l->sent + !port_of(l) * BENCH_ROUND;
	unsigned step = BENCH_ROUND / BENCH_SAMPLES;
	if (l->sent_count != BENCH_ROUND)
		return false;
	for (unsigned i = l->slice % step; i < BENCH_ROUND; i += step)
		if (!bench_sample_right(l, l->slice, out[i]))
			return false;
	return true;
}

// One key for all is that of few of them.
static void check(struct bench_lane *l)
{
	if (l->variant == GATEWAY)
		l->fault = !gateway_right(l);
	else
		l->fault = l->variant < ONE_KEY && !bench_bound_right(l, l->slice);
}

// All lanes begin together.
void bench_meet(struct bench *b)
{
	unsigned mine = atomic_fetch_add(&b->arrived, 1) / b->lane_count;
	while (atomic_load(&b->arrived) / b->lane_count == mine)
		rte_pause();
}

static int run(void *lane)
{
	struct bench_lane *l = lane;
	if (l->variant == GATEWAY)
		bench_write(l, l, l->slice);
	else
		bench_bound_write(l, l->slice, distance_of(l), l->variant >= ONE_KEY);
	bench_meet(l->b);
	bool quiet = bench_quiet(l);
	if (l->variant == GATEWAY)
		run_gateway(l);
	else
		run_bound(l);
	l->disturbed = !quiet || !bench_quiet(l);
	check(l);
	return 0;
}

// Lane 0 on this thread, the others on their lcores.
void bench_on_all(struct bench *b, int (*f)(void *))
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
	bool loud[VARIANTS][ROUNDS_MAX];     // disturbed at last
	unsigned next[VARIANTS];             // slices taken
	unsigned runs, disturbed;
	unsigned patience; // repetitions that are left
};

// A run that was disturbed is repeated, while the gateway has slices left for the rounds to come.
static bool again(const struct bench *b, struct samples *s, unsigned r, unsigned variant)
{
	unsigned left = b->lanes[0]->store.count / BENCH_ROUND - s->next[GATEWAY];
	if (r < WARM || s->patience == 0 || (!variant && left < WARM + b->o.rounds - r))
		return false;
	s->patience--;
	return true;
}

static bool any_disturbed(const struct bench *b)
{
	for (unsigned i = 0; i < b->lane_count; i++)
		if (b->lanes[i]->disturbed)
			return true;
	return false;
}

static bool run_once(struct bench *b, double *cycles, double *mpps)
{
	double sum = 0, rate = 0;
	bench_on_all(b, run);
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

// The gateway takes each slice once: what it decrypts has its sequence number but once. The bound begins
// again when it has been through; no run, be it a repetition, finds the keys of the slice that was last.
static bool one_round(struct bench *b, unsigned variant, unsigned r, struct samples *s)
{
	unsigned n = b->lanes[0]->store.count / BENCH_ROUND;
	unsigned at = r < WARM ? 0 : r - WARM;
	double unused;
	do {
		unsigned slice = (variant * (n / VARIANTS) + s->next[variant]++) % n;
		for (unsigned i = 0; i < b->lane_count; i++) {
			b->lanes[i]->variant = variant;
			b->lanes[i]->slice = slice;
		}
		if (!run_once(b, &s->cycles[variant][at], variant ? &unused : &s->mpps[at])) {
			fprintf(stderr, "esp_bench: %s\n",
				variant ? "the library's packets are wrong"
					: "the gateway lost packets or made wrong ones");
			return false;
		}
		s->runs++;
		s->disturbed += s->loud[variant][at] = any_disturbed(b);
	} while (s->loud[variant][at] && again(b, s, r, variant));
	return true;
}

static bool all_rounds(struct bench *b, struct samples *s)
{
	unsigned variants = b->tunnel_count > b->lane_count ? VARIANTS : ONE_KEY;
	for (unsigned r = 0; r < WARM + b->o.rounds; r++)
		for (unsigned v = 0; v < variants; v++)
			if (!one_round(b, v, r, s))
				return false;
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

// The median of the rounds that nobody disturbed, or where they are too few, of all.
static double median_of(
	const struct samples *s, unsigned variant, const double *from, unsigned rounds)
{
	double quiet[ROUNDS_MAX], all[ROUNDS_MAX];
	unsigned n = 0;
	for (unsigned r = 0; r < rounds; r++) {
		all[r] = from[r];
		if (!s->loud[variant][r])
			quiet[n++] = from[r];
	}
	return n >= ENOUGH ? bench_median(quiet, n) : bench_median(all, rounds);
}

// Of the distances' medians; at the same time of what each round had best, into least[].
static double best(const struct samples *s, unsigned from, unsigned rounds, double *least)
{
	double of_all = 0;
	for (unsigned r = 0; r < rounds; r++) {
		least[r] = s->cycles[from][r];
		for (unsigned i = 1; i < BENCH_DISTANCES; i++)
			least[r] = RTE_MIN(least[r], s->cycles[from + i][r]);
	}
	for (unsigned i = 0; i < BENCH_DISTANCES; i++) {
		double m = median_of(s, from + i, s->cycles[from + i], rounds);
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

static enum bench_outcome evaluate(struct bench *b, struct samples *s, struct bench_row *row)
{
	const struct bench_store *st = &b->lanes[0]->store;
	double many[ROUNDS_MAX], one[ROUNDS_MAX];
	unsigned n = b->o.rounds;
	row->gateway = median_of(s, GATEWAY, s->cycles[GATEWAY], n);
	row->bound = best(s, BOUND, n, many);
	row->mpps = median_of(s, GATEWAY, s->mpps, n);
	row->gbps = row->mpps * 8e-3 * (double)st->inner_bytes / st->count;
	if (b->tunnel_count <= b->lane_count)
		return BENCH_FINE;
	row->one_key = best(s, ONE_KEY, n, one);
	return plausible(row, many, one, n) ? BENCH_FINE : BENCH_DOUBTFUL;
}

static int fill(void *lane)
{
	struct bench_lane *l = lane;
	bench_store_fill(l, l->b->direction, l->b->size, slices(l->b) * BENCH_ROUND);
	return 0;
}

void bench_introduce(struct bench *b)
{
	enum bench_order order = b->o.order;
	b->o.order = BENCH_ROUNDROBIN;
	for (unsigned i = 0; i < b->lane_count; i++) {
		struct bench_lane *l = b->lanes[i];
		unsigned tunnels = b->tunnel_count / b->lane_count + 1;
		bench_store_fill(
			l, BENCH_IN, BENCH_SIZE_MIN, RTE_ALIGN_MUL_CEIL(tunnels, BENCH_ROUND));
		for (unsigned slice = 0; slice < l->store.count / BENCH_ROUND; slice++) {
			l->slice = slice;
			bench_write(l, l, slice);
			run_gateway(l);
			bench_settle(b);
		}
	}
	b->o.order = order;
}

static void stage_counts(struct bench *b, uint64_t cycles[static DP_STAGES], uint64_t *packets)
{
	struct dp_worker_info info;
	memset(cycles, 0, DP_STAGES * sizeof(*cycles));
	*packets = 0;
	for (size_t i = 0; dp_worker_info(b->dp, i, &info); i++) {
		for (unsigned k = 0; k < DP_STAGES; k++)
			cycles[k] += info.stage_cycles[k];
		*packets += info.stage_packets;
	}
}

// The mean of the polls that the workers themselves have measured, all rounds of the gateway.
static void stages(
	struct bench_row *row, const uint64_t *before, const uint64_t *after, uint64_t packets)
{
	for (unsigned k = 0; packets && k < DP_STAGES; k++)
		row->stages[row->stage_count++] = (struct bench_stage){
			dp_stage_name[k], (double)(after[k] - before[k]) / (double)packets};
}

static enum bench_outcome attempt(struct bench *b, struct bench_row *row)
{
	static struct samples s;
	unsigned times = bench_hurries(b) ? 0 : b->o.rounds < BENCH_ROUNDS ? 1 : 3;
	s = (struct samples){.patience = b->o.rounds * VARIANTS * times};
	bench_on_all(b, fill);
	uint64_t lost = bench_lost(b), before[DP_STAGES], after[DP_STAGES], first, last;
	stage_counts(b, before, &first);
	if (!all_rounds(b, &s))
		return BENCH_LOST;
	stage_counts(b, after, &last);
	row->stage_count = 0;
	if (b->o.stages)
		stages(row, before, after, last - first);
	lost = bench_lost(b) - lost;
	row->disturbed = (double)s.disturbed / s.runs;
	if (lost == 0)
		return evaluate(b, &s, row);
	fprintf(stderr, "esp_bench: the gateway dropped or punted %lu packets\n",
		(unsigned long)lost);
	return BENCH_LOST;
}

enum bench_outcome bench_measure(struct bench *b, struct bench_row *row)
{
	enum bench_outcome got = BENCH_DOUBTFUL;
	char size[16];
	*row = (struct bench_row){.direction = b->direction,
		.suite = b->suite.name,
		.size = b->size,
		.tunnels = b->tunnel_count,
		.workers = b->lane_count,
		.order = b->o.order};
	for (unsigned i = 0; i < ATTEMPTS && got == BENCH_DOUBTFUL && !(i && bench_hurries(b)); i++)
		got = attempt(b, row);
	if (got == BENCH_DOUBTFUL)
		fprintf(stderr,
			"esp_bench: the bound with one key takes %.2f times that with many keys: the "
			"measurement is at fault\n",
			row->one_key_share);
	if (got != BENCH_FINE)
		fprintf(stderr, "esp_bench: void: %s, %s, size %s, %u tunnels\n",
			b->direction == BENCH_OUT ? "out" : "in", b->suite.name,
			bench_size_text(b->size, "", size), b->tunnel_count);
	return got;
}
