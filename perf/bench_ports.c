// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Ports that cost next to nothing and the same for everybody: null devices whose bursts are replaced
// by a copy of pointers. What is received was written before; what is sent is kept.
#include "perf/bench.h"

#include <rte_ethdev.h>

static uint16_t burst_rx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	struct bench_rx *q = queue;
	size_t left = (size_t)(q->end - q->next);
	if (n > left)
		n = (uint16_t)left;
	if (n == 0) // also where nothing has been prepared yet
		return 0;
	memcpy(m, q->next, n * sizeof(*m));
	q->next += n;
	return n;
}

static uint16_t burst_tx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	struct bench_tx *q = queue;
	if (!q->at) {
		rte_pktmbuf_free_bulk(m, n);
		return n;
	}
	size_t room = (size_t)(q->end - q->at);
	if (n > room)
		n = (uint16_t)room;
	memcpy(q->at, m, n * sizeof(*m));
	q->at += n;
	return n;
}

void bench_ports_take(struct bench *b)
{
	static void *rx[2][BENCH_LANES], *tx[2][BENCH_LANES];
	for (int port = 0; port < 2; port++) {
		struct rte_eth_fp_ops *ops = &rte_eth_fp_ops[b->dp->ports[port].port_id];
		for (unsigned i = 0; i < b->lane_count; i++) {
			rx[port][i] = &b->lanes[i]->rx[port];
			tx[port][i] = &b->lanes[i]->tx[port];
		}
		ops->rxq.data = rx[port];
		ops->txq.data = tx[port];
		ops->rx_pkt_burst = burst_rx;
		ops->tx_pkt_burst = burst_tx;
		// As a NIC does that says so in each packet's flags.
		b->dp->ports[port].rx_ip_checksum = true;
	}
}

void bench_ports_feed(struct bench_lane *l, int port, struct rte_mbuf **m, unsigned n)
{
	l->rx[port] = (struct bench_rx){m, m + n};
	for (int i = 0; i < 2; i++) {
		struct rte_mbuf **at = l->sent + i * BENCH_ROUND;
		l->tx[i] = (struct bench_tx){at, at + BENCH_ROUND};
	}
}

void bench_ports_idle(struct bench_lane *l)
{
	memset(l->rx, 0, sizeof(l->rx));
	memset(l->tx, 0, sizeof(l->tx));
}

unsigned bench_ports_sent(const struct bench_lane *l, int port)
{
	return (unsigned)(l->tx[port].at - (l->sent + port * BENCH_ROUND));
}
