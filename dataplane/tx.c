// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The way out of a worker: to a port, or to the control thread.
#include "dataplane/fast.h"
#include "dataplane/vlan.h"

#include <rte_ethdev.h>

#include <sys/eventfd.h>

// Whose queue a worker without one uses. The largest power of two that the queues hold shares them
// out, as a division would cost more than the even spread is worth.
uint16_t dp_port_sender(uint16_t queues, uint16_t worker)
{
	if (worker < queues)
		return worker;
	return worker & ((1u << (31 - __builtin_clz(queues))) - 1);
}

void dp_tx_frame(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m)
{
	uint16_t queues = atomic_load_explicit(&port->tx_queues, memory_order_acquire);
	if (w->id >= queues) {
		if (queues == 0) {
			dp_drop(w, m, DP_DROP_port_down);
			return;
		}
		dp_meta(m)->port = port->index;
		dp_handoff(w, dp_port_sender(queues, w->id), m, DP_CARRY_FRAME, DP_HANDOFF_TX);
		return;
	}
	if (unlikely(port->vlans) && !dp_vlan_tx(w, port, m)) {
		dp_drop(w, m, DP_DROP_no_room);
		return;
	}
	struct dp_batch *b = &w->tx[port->index];
	dp_batch_add(b, m);
	if (b->n == RTE_DIM(b->m))
		dp_tx_flush(w);
}

static void flush_port(struct dp_worker *w, const struct dp_port *port)
{
	struct dp_batch *b = &w->tx[port->index];
	if (b->n == 0)
		return;
	if (unlikely(port->tx_queues == 0)) { // its device was removed meanwhile
		while (b->n)
			dp_drop(w, b->m[--b->n], DP_DROP_port_down);
		return;
	}
	if (unlikely(w->trace))
		dp_trace_tx(w, port, b->m, b->n);
	uint16_t sent = rte_eth_tx_burst(port->port_id, w->id, b->m, (uint16_t)b->n);
	dp_add(&w->stats.tx_packets, sent);
	for (unsigned i = sent; i < b->n; i++)
		dp_drop(w, b->m[i], DP_DROP_tx_full);
	b->n = 0;
}

void dp_tx_flush(struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->port_count; i++)
		flush_port(w, &w->dp->ports[i]);
}

#define KEEP_NS (20 * NS_PER_MS)

void dp_ports_keep(struct dp_worker *w)
{
	w->keep_ns = w->now_ns + KEEP_NS;
	for (uint16_t i = 0; i < w->dp->port_count; i++) {
		const struct dp_port *p = &w->dp->ports[i];
		if (p->lacp && p->tx_queues)
			(void)rte_eth_tx_burst(p->port_id, w->id, w->tx[i].m, 0);
	}
}

uint64_t dp_ports_keep_first(const struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->port_count; i++)
		if (w->id == 0 && w->dp->ports[i].lacp)
			return 0;
	return DP_NONE_NS;
}

void dp_tx_ip(struct dp_worker *w, const struct dp_port *port, const struct ip_addr *next_hop,
	uint8_t family, struct rte_mbuf *m)
{
	const struct dp_neigh *n = dp_neigh_find(w, port->index, next_hop);
	if (!n) {
		dp_meta(m)->port = port->index;
		dp_meta(m)->next_hop = *next_hop;
		dp_punt(w, m, DP_PUNT_UNRESOLVED);
		return;
	}
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(m, RTE_ETHER_HDR_LEN);
	if (!p) {
		dp_drop(w, m, DP_DROP_no_room);
		return;
	}
	memcpy(p, n->eth, RTE_ETHER_HDR_LEN);
	// What the port is asked to do for us: nothing. A mark of the trace stays.
	m->ol_flags &= DP_MBUF_KEEPS | (likely(!w->trace) ? 0 : dp_trace_flag(w->trace));
	dp_tx_frame(w, port, m);
}

// ---- To the control thread ----

static enum dp_punt_ring ring_of(enum dp_punt_class class)
{
	if (class == DP_PUNT_IKE_KNOWN)
		return DP_RING_IKE_KNOWN;
	if (class == DP_PUNT_EXCEPTION)
		return DP_RING_EXCEPTION;
	return class == DP_PUNT_IKE_NEW ? DP_RING_IKE_NEW : DP_RING_REST;
}

static struct rte_mbuf *copy_for_control(
	struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_ring ring)
{
	struct rte_mbuf *c = rte_pktmbuf_alloc(w->dp->punt_pool[ring]);
	if (!c)
		return NULL;
	void *p = rte_pktmbuf_append(c, m->data_len);
	if (!p) {
		rte_pktmbuf_free(c);
		return NULL;
	}
	memcpy(p, dp_data(m), m->data_len);
	c->l2_len = m->l2_len;
	c->l3_len = m->l3_len;
	*dp_meta(c) = *dp_meta(m);
	return c;
}

void dp_punt(struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_class class)
{
	static const enum dp_drop full[DP_PUNT_RINGS] = {
		[DP_RING_IKE_KNOWN] = DP_DROP_punt_ike_full,
		[DP_RING_IKE_NEW] = DP_DROP_punt_ike_new_full,
		[DP_RING_REST] = DP_DROP_punt_full,
		[DP_RING_EXCEPTION] = DP_DROP_exception_full,
	};
	enum dp_punt_ring ring = ring_of(class);
	// Looked at first, so that a flood does not pay for a copy that is thrown away.
	struct rte_mbuf *c =
		rte_ring_full(w->punt_ring[ring]) ? NULL : copy_for_control(w, m, ring);
	if (!c) {
		dp_drop(w, m, full[ring]);
		return;
	}
	if (unlikely(w->trace))
		dp_trace_punt(w, m, class, c);
	rte_pktmbuf_free(m);
	dp_meta(c)->kind = (uint8_t) class;
	dp_meta(c)->worker = w->id;
	if (rte_ring_sp_enqueue(w->punt_ring[ring], c)) {
		dp_drop(w, c, full[ring]);
		return;
	}
	dp_add(&w->stats.punts, 1);
	dp_tell_control(w);
}
