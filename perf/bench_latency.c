// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Time from rx to tx under a load that does not wait for the gateway: another CPU writes packets at
// fixed times into a queue as long as a NIC's. A packet's time runs from when it was due, so that
// what the generator itself was late, and what waited in the queue, are in it.
#include "perf/bench.h"

#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_mbuf_dyn.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include <stdio.h>
#include <stdlib.h>

#define QUEUE       1024
#define FINE_NS     16 // steps up to FINE * FINE_NS
#define FINE        4096
#define COARSE_NS   4096
#define COARSE      65536
#define TAIL_CYCLES 4000000000ull // after the last packet, at most

static struct {
	struct rte_ring *arrived, *back; // to the worker, and its buffers to the generator
	int due;                         // offset of the time in a buffer
	unsigned bins[FINE + COARSE];
	_Atomic unsigned seen;
	double ns_per_cycle;
	_Atomic bool stop;
} q;

// ---- The queue ----

static uint64_t *due_of(struct rte_mbuf *m)
{
	return RTE_MBUF_DYNFIELD(m, q.due, uint64_t *);
}

static uint16_t burst_rx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	(void)queue;
	return (uint16_t)rte_ring_sc_dequeue_burst(q.arrived, (void **)m, n, NULL);
}

static uint16_t burst_none(void *queue, struct rte_mbuf **m, uint16_t n)
{
	(void)queue;
	(void)m;
	(void)n;
	return 0;
}

static unsigned bin_of(uint64_t cycles)
{
	uint64_t ns = (uint64_t)((double)cycles * q.ns_per_cycle);
	if (ns < (uint64_t)FINE * FINE_NS)
		return (unsigned)(ns / FINE_NS);
	uint64_t coarse = ns / COARSE_NS;
	return FINE + (unsigned)RTE_MIN(coarse, (uint64_t)COARSE - 1);
}

static uint16_t burst_tx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	uint64_t now = rte_rdtsc();
	(void)queue;
	for (unsigned i = 0; i < n; i++)
		q.bins[bin_of(now - *due_of(m[i]))]++;
	atomic_fetch_add_explicit(&q.seen, n, memory_order_relaxed);
	// All buffers together have room there.
	return (uint16_t)rte_ring_sp_enqueue_burst(q.back, (void **)m, n, NULL);
}

static struct rte_ring *ring(const char *name, unsigned size)
{
	struct rte_ring *r = rte_ring_lookup(name);
	r = r ? r : rte_ring_create(name, size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
	if (!r)
		bench_die("no ring");
	return r;
}

static void prepare(struct bench *b)
{
	static const struct rte_mbuf_dynfield field = {
		.name = "esp_bench_due", .size = sizeof(uint64_t), .align = 8};
	int in = b->direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
	struct rte_eth_fp_ops *ops = rte_eth_fp_ops;
	uint16_t from = b->dp->ports[in].port_id, to = b->dp->ports[!in].port_id;
	q.arrived = ring("bench_arrived", QUEUE);
	q.back = ring("bench_back", 2 * BENCH_ROUND);
	q.due = rte_mbuf_dynfield_register(&field);
	if (q.due < 0)
		bench_die("no room for a time in a buffer");
	q.ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
	ops[from].rx_pkt_burst = burst_rx;
	ops[to].rx_pkt_burst = burst_none;
	ops[to].tx_pkt_burst = burst_tx;
}

// ---- Worker and generator ----

static int work(void *lane)
{
	struct bench_lane *l = lane;
	while (!atomic_load_explicit(&q.stop, memory_order_relaxed))
		dp_worker_poll_once(l->w);
	return 0;
}

struct load {
	double interval; // cycles between two packets; 0: as fast as they are taken
	unsigned count, missed;
	uint64_t took; // cycles from the first to the last
};

// A free buffer; waits for the worker only where there is none, which the missed ones show.
static struct rte_mbuf *buffer(struct bench_lane *l, unsigned *fresh)
{
	void *m;
	if (*fresh < BENCH_ROUND)
		return l->mbufs[(*fresh)++];
	while (rte_ring_sc_dequeue(q.back, &m))
		rte_pause();
	return m;
}

static void generate(struct bench_lane *l, struct load *load)
{
	unsigned fresh = 0;
	uint64_t begin = rte_rdtsc() + 100000, t = begin;
	struct rte_mbuf *m = NULL;
	for (unsigned i = 0; i < load->count; i++) {
		m = m ? m : buffer(l, &fresh);
		bench_write_one(l, m, &l->store.packets[i]);
		uint64_t due = begin + (uint64_t)(load->interval * i);
		while ((t = rte_rdtsc()) < due)
			rte_pause();
		*due_of(m) = load->interval > 0 ? due : t;
		bool full = rte_ring_sp_enqueue(q.arrived, m) != 0;
		while (full && load->interval <= 0 && rte_ring_sp_enqueue(q.arrived, m))
			rte_pause();
		load->missed += full && load->interval > 0;
		// Sent again with the next packet's bytes where nobody took it.
		m = full && load->interval > 0 ? m : NULL;
	}
	load->took = t - begin;
}

static bool run(struct bench *b, struct load *load)
{
	struct bench_lane *l = b->lanes[0];
	bench_store_fill(l, b->direction, b->size,
		(load->count + BENCH_ROUND - 1) / BENCH_ROUND * BENCH_ROUND);
	bench_settle(b);
	prepare(b);
	memset(q.bins, 0, sizeof(q.bins));
	q.seen = 0;
	uint64_t lost = bench_lost(b);
	atomic_store(&q.stop, false);
	if (rte_eal_remote_launch(work, l, l->w->lcore))
		bench_die("lcore %u does not start", l->w->lcore);
	generate(l, load);
	for (uint64_t t = rte_rdtsc();
		atomic_load(&q.seen) + load->missed < load->count && rte_rdtsc() - t < TAIL_CYCLES;)
		(void)dp_poll(b->dp, clock_now_ns(&clock_system));
	atomic_store(&q.stop, true);
	rte_eal_wait_lcore(l->w->lcore);
	bench_ports_take(b);
	bool ok = q.seen + load->missed == load->count && bench_lost(b) == lost;
	struct rte_mbuf *m;
	while (rte_ring_dequeue(q.back, (void **)&m) == 0)
		;
	return ok;
}

// ---- Answers ----

// Microseconds below which that share of all packets was; the missed ones count as the slowest.
static double percentile(double share, unsigned count)
{
	double want = share * count, sum = 0;
	for (unsigned i = 0; i < FINE + COARSE; i++) {
		sum += q.bins[i];
		if (sum >= want)
			return (i < FINE ? (i + 1) * (double)FINE_NS
					 : (i - FINE + 1) * (double)COARSE_NS) /
			       1e3;
	}
	return -1;
}

// A percentile that lies among the missed ones has no value.
static const char *text(double us, char buf[static 16], const char *none)
{
	snprintf(buf, 16, "%.2f", us);
	return us < 0 ? none : buf;
}

static void report(const struct bench *b, const struct load *load, double share, double capacity)
{
	char size[16];
	static const double shares[3] = {0.5, 0.99, 0.999};
	const char *none = b->o.json ? "null" : "-", *p[3];
	char buf[3][16];
	for (int i = 0; i < 3; i++)
		p[i] = text(percentile(shares[i], load->count), buf[i], none);
	if (b->o.json) {
		bench_json_head(b);
		printf("\"load\":%.2f,\"capacity_mpps\":%.4f,\"mpps\":%.4f,\"p50_us\":%s,\"p99_us\":%s,"
		       "\"p999_us\":%s,\"packets\":%u,\"missed\":%u}",
			share, capacity, capacity * share, p[0], p[1], p[2], load->count,
			load->missed);
	} else {
		printf("%-3s %s %s B %u tunnels, %2.0f %% of %.2f Mpps: p50 %s us, p99 %s us, p99.9 %s "
		       "us, %u of %u missed\n",
			b->direction == BENCH_OUT ? "out" : "in", b->suite.name,
			bench_size_text(b->size, "", size), b->tunnel_count, share * 100, capacity,
			p[0], p[1], p[2], load->missed, load->count);
	}
	fflush(stdout);
}

enum bench_outcome bench_latency(struct bench *b)
{
	static const double shares[] = {0.1, 0.5, 0.9};
	struct load full = {.count = b->o.rounds < BENCH_ROUNDS ? 40000 : 200000};
	if (!run(b, &full)) {
		fprintf(stderr, "esp_bench: void: packets were lost at full load\n");
		return BENCH_LOST;
	}
	double capacity = full.count / ((double)full.took * q.ns_per_cycle) * 1e3;
	for (unsigned i = 0; i < RTE_DIM(shares); i++) {
		struct load load = {.count = full.count,
			.interval = (double)full.took / full.count / shares[i]};
		if (!run(b, &load)) {
			fprintf(stderr, "esp_bench: void: packets were lost in the gateway\n");
			return BENCH_LOST;
		}
		report(b, &load, shares[i], capacity);
	}
	return BENCH_FINE;
}
