// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// SA updates while traffic runs: the control thread, on a CPU of its own, adds children to the very
// tunnels that carry the packets, switches to them and deletes them again, by messages through the
// rings; rounds with and without it in turn. Its pace is that of the worker's clock, which stands
// still between rounds.
#include "perf/bench.h"

#include <rte_launch.h>
#include <rte_pause.h>

#include <stdio.h>

#define ALIVE      32 // children at a time
#define PER_CHILD  5  // messages: two adds, a switch, two deletes
#define ROUNDS_MAX 64

static struct {
	struct {
		uint32_t spi;
	} alive[ALIVE];
	unsigned next;           // tunnel
	uint64_t children;       // made so far
	double owed;             // messages, from round to round
	_Atomic uint64_t worked; // cycles of the worker's running round
	_Atomic bool done;
} state;

static int run(void *lane)
{
	struct bench_lane *l = lane;
	int in = l->store.direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
	bench_write(l, l, l->slice);
	bench_ports_feed(l, in, l->mbufs, BENCH_ROUND);
	struct bench_rx *rx = &l->rx[in];
	uint64_t t = rte_rdtsc();
	while (rx->next < rx->end) {
		dp_worker_poll_once(l->w);
		atomic_store_explicit(&state.worked, rte_rdtsc() - t, memory_order_relaxed);
	}
	l->cycles = rte_rdtsc() - t;
	l->sent_count = bench_ports_sent(l, !in);
	bench_ports_idle(l);
	atomic_store(&state.done, true);
	return 0;
}

static void child_del(struct bench *b, uint32_t spi)
{
	const struct sa_sink *s = dp_sink(b->dp);
	if (!spi)
		return;
	s->sa_del(s->ctx, spi, SA_OUT);
	s->sa_del(s->ctx, spi, SA_IN);
}

// One child comes, the oldest goes.
static void replace(struct bench *b)
{
	uint32_t *place = &state.alive[state.children++ % ALIVE].spi;
	struct bench_tunnel t = b->tunnels[state.next];
	child_del(b, *place);
	bench_child_add(b, state.next, &t);
	*place = t.spi;
	state.next = (state.next + 1) % b->tunnel_count;
}

// While the round runs. Returns the messages.
static unsigned update(struct bench *b, unsigned rate)
{
	double per_cycle = (double)rate / (double)rte_get_tsc_hz();
	uint64_t seen = 0;
	unsigned n = 0;
	while (!atomic_load(&state.done)) {
		uint64_t worked = atomic_load_explicit(&state.worked, memory_order_relaxed);
		state.owed += per_cycle * (double)(worked - seen);
		seen = worked;
		// What a round could not have made good is for the next one that has updates.
		if (rate && state.owed >= PER_CHILD) {
			replace(b);
			state.owed -= PER_CHILD;
			n += PER_CHILD;
		}
		(void)dp_poll(b->dp, clock_now_ns(&clock_system));
		rte_pause();
	}
	// What the round's end cut off is for the next one.
	state.owed += per_cycle * (double)(atomic_load(&state.worked) - seen);
	return n;
}

static bool one_run(
	struct bench *b, unsigned slice, unsigned rate, double *cycles, uint64_t *updates)
{
	struct bench_lane *l = b->lanes[0];
	l->slice = slice;
	atomic_store(&state.worked, 0);
	atomic_store(&state.done, false);
	if (rte_eal_remote_launch(run, l, l->w->lcore))
		bench_die("lcore %u does not start", l->w->lcore);
	*updates += update(b, rate);
	rte_eal_wait_lcore(l->w->lcore);
	*cycles = (double)l->cycles / BENCH_ROUND;
	bench_settle(b);
	return l->sent_count == BENCH_ROUND;
}

static void report(const struct bench *b, double without, double with, double share, double rate)
{
	char size[16];
	double hz = (double)rte_get_tsc_hz();
	if (b->o.json) {
		bench_json_head(b);
		printf("\"updates_per_s\":%.0f,\"mpps_without\":%.4f,\"mpps_with\":%.4f,"
		       "\"share\":%.4f,\"lost\":0}",
			rate, hz / without / 1e6, hz / with / 1e6, share);
	} else {
		printf("%-3s %s %s B %u tunnels: %.0f updates/s, %.2f Mpps without, %.2f with (%.1f "
		       "%%), none lost\n",
			b->direction == BENCH_OUT ? "out" : "in", b->suite.name,
			bench_size_text(b->size, "", size), b->tunnel_count, rate,
			hz / without / 1e6, hz / with / 1e6, 100 * share);
	}
}

static void clear(struct bench *b)
{
	for (unsigned i = 0; i < ALIVE; i++)
		child_del(b, state.alive[i].spi);
	memset(state.alive, 0, sizeof(state.alive));
	bench_settle(b);
}

enum bench_outcome bench_updates(struct bench *b)
{
	double without[ROUNDS_MAX], with[ROUNDS_MAX], share[ROUNDS_MAX], total = 0, warm;
	uint64_t updates = 0, none = 0;
	unsigned n = b->o.rounds;
	bench_store_fill(b->lanes[0], b->direction, b->size, 2 * (n + 1) * BENCH_ROUND);
	uint64_t lost = bench_lost(b);
	bool ok = one_run(b, 0, 0, &warm, &none) && one_run(b, 1, b->o.rate, &warm, &none);
	for (unsigned r = 0; ok && r < n; r++) {
		ok = one_run(b, 2 * r + 2, 0, &without[r], &none) &&
		     one_run(b, 2 * r + 3, b->o.rate, &with[r], &updates);
		total += ok ? with[r] : 0;
		// Of two rounds that come one after the other, as the machine's speed changes.
		share[r] = ok ? without[r] / with[r] : 0;
	}
	ok = ok && bench_lost(b) == lost;
	clear(b);
	if (!ok) {
		fprintf(stderr, "esp_bench: void: packets were lost under updates\n");
		return BENCH_LOST;
	}
	double seconds = total * BENCH_ROUND / (double)rte_get_tsc_hz();
	report(b, bench_median(without, n), bench_median(with, n), bench_median(share, n),
		(double)updates / seconds);
	return BENCH_FINE;
}
