// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What it costs that a packet comes to the wrong worker: two workers at once get their own packets,
// then each other's. So each gives and takes one for every packet, and what this takes longer is the
// cost of both. Polls that move nothing are not counted.
#include "perf/bench.h"

#include <stdio.h>

#define AHEAD      256           // packets that the other one may be behind; less than a ring
#define TOO_LONG   4000000000ull // cycles
#define ROUNDS_MAX 64

static unsigned sent_by(const struct bench_lane *l, int port)
{
	struct rte_mbuf **at = __atomic_load_n(&l->tx[port].at, __ATOMIC_RELAXED);
	return at ? (unsigned)(at - (l->sent + port * BENCH_ROUND)) : 0;
}

// variant: 0 own packets, 1 the other one's.
static int run(void *lane)
{
	struct bench_lane *l = lane, *other = l->b->lanes[!l->id];
	int in = l->store.direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
	const struct bench_lane *from = l->variant ? other : l;
	bench_write(l, from, l->slice);
	bench_ports_feed(l, in, l->mbufs, 0);
	bench_meet(l->b);
	uint64_t begin = rte_rdtsc(), t = begin, cycles = 0;
	// Until all of its own are out, and all of the other's handed over.
	struct rte_mbuf **all = l->mbufs + BENCH_ROUND;
	while ((sent_by(l, !in) < BENCH_ROUND || l->rx[in].next < all) && t - begin < TOO_LONG) {
		unsigned may = RTE_MIN((unsigned)BENCH_ROUND, sent_by(from, !in) + AHEAD);
		l->rx[in].end = l->mbufs + may;
		unsigned moved = dp_worker_poll_once(l->w);
		uint64_t now = rte_rdtsc();
		cycles += moved ? now - t : 0;
		t = now;
	}
	l->cycles = cycles;
	l->sent_count = sent_by(l, !in);
	bench_meet(l->b);
	bench_ports_idle(l);
	return 0;
}

static bool one_run(struct bench *b, unsigned slice, unsigned crossed, double *cycles)
{
	for (unsigned i = 0; i < 2; i++) {
		b->lanes[i]->slice = slice;
		b->lanes[i]->variant = crossed;
	}
	bench_on_all(b, run);
	*cycles = 0;
	for (unsigned i = 0; i < 2; i++) {
		if (b->lanes[i]->sent_count != BENCH_ROUND)
			return false;
		*cycles += (double)b->lanes[i]->cycles / BENCH_ROUND / 2;
	}
	bench_settle(b);
	return true;
}

static int fill(void *lane)
{
	struct bench_lane *l = lane;
	bench_store_fill(l, l->b->direction, l->b->size, 2 * (l->b->o.rounds + 1) * BENCH_ROUND);
	return 0;
}

static void report(const struct bench *b, double own, double crossed)
{
	char size[16];
	if (b->o.json) {
		bench_json_head(b);
		printf("\"own_cycles\":%.1f,\"crossed_cycles\":%.1f,\"handoff_cycles\":%.1f}", own,
			crossed, crossed - own);
	} else {
		printf("%-3s %s %s B %u tunnels: own packets %.1f cycles, the other's %.1f, a hand-off "
		       "%.1f\n",
			b->direction == BENCH_OUT ? "out" : "in", b->suite.name,
			bench_size_text(b->size, "", size), b->tunnel_count, own, crossed,
			crossed - own);
	}
}

enum bench_outcome bench_handoff(struct bench *b)
{
	double own[ROUNDS_MAX], crossed[ROUNDS_MAX], warm;
	bench_on_all(b, fill);
	uint64_t lost = bench_lost(b);
	bool ok = one_run(b, 0, 0, &warm) && one_run(b, 1, 1, &warm);
	for (unsigned r = 0; ok && r < b->o.rounds; r++)
		ok = one_run(b, 2 * r + 2, 0, &own[r]) && one_run(b, 2 * r + 3, 1, &crossed[r]);
	if (!ok || bench_lost(b) != lost) {
		fprintf(stderr,
			"esp_bench: void: of two times %d packets, %u and %u came out, %lu were lost\n",
			BENCH_ROUND, b->lanes[0]->sent_count, b->lanes[1]->sent_count,
			(unsigned long)(bench_lost(b) - lost));
		return BENCH_LOST;
	}
	report(b, bench_median(own, b->o.rounds), bench_median(crossed, b->o.rounds));
	return BENCH_FINE;
}
