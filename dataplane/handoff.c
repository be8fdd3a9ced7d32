// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets between workers, and from the control thread to a worker. A packet carries ids and a
// generation, never a pointer to an SA; the taker looks again.
#include "dataplane/fast.h"
#include "dataplane/frag.h"
#include "dataplane/trace.h"

#include <sys/eventfd.h>

const char *const dp_handoff_name[DP_HANDOFF_CAUSES] = {
	[DP_HANDOFF_MISPREDICTED] = "mispredicted",
	[DP_HANDOFF_STICKY] = "sticky",
	[DP_HANDOFF_ROAMING] = "roaming",
	[DP_HANDOFF_PREFIX] = "prefix",
	[DP_HANDOFF_FRAGMENT] = "fragment",
	[DP_HANDOFF_CLIENT] = "client",
	[DP_HANDOFF_TX] = "tx",
};

// A wake that is missed by a hair costs no more than the longest sleep, which is a millisecond.
void dp_worker_wake(struct dp_worker *w)
{
	if (!atomic_load_explicit(&w->sleeping, memory_order_acquire))
		return;
	if (atomic_exchange(&w->sleeping, false))
		(void)eventfd_write(w->wake_fd, 1);
}

static void flush_to(struct dp_worker *w, uint16_t to)
{
	struct dp_batch *b = &w->handoff[to];
	struct dp_worker *o = w->dp->workers[to];
	uint64_t sent_by[DP_HANDOFF_CAUSES] = {0};

	// What is enqueued is the taker's.
	uint8_t causes[2 * DP_BURST];
	for (unsigned i = 0; i < b->n; i++)
		causes[i] = dp_meta(b->m[i])->cause;
	unsigned sent = rte_ring_sp_enqueue_burst(o->handoff_in[w->id], (void **)b->m, b->n, NULL);
	for (unsigned i = 0; i < sent; i++)
		sent_by[causes[i]]++;
	for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++)
		if (sent_by[i])
			dp_add(&w->stats.handoff_out[i], sent_by[i]);
	for (unsigned i = sent; i < b->n; i++)
		dp_drop(w, b->m[i], DP_DROP_handoff_full);
	b->n = 0;
	dp_worker_wake(o);
}

void dp_handoff(struct dp_worker *w, uint16_t to, struct rte_mbuf *m, enum dp_carry carry,
	enum dp_handoff cause)
{
	struct dp_batch *b = &w->handoff[to];
	dp_meta(m)->kind = (uint8_t)carry;
	dp_meta(m)->cause = (uint8_t)cause;
	if (unlikely(w->trace))
		dp_trace_handoff(w, m, cause);
	dp_batch_add(b, m);
	if (b->n == RTE_DIM(b->m))
		flush_to(w, to);
}

void dp_handoff_flush(struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->worker_count; i++)
		if (w->handoff[i].n)
			flush_to(w, i);
}

void dp_route_made(struct dp_worker *w, struct rte_mbuf *m)
{
	w->route.p[w->route.n++] = (struct dp_inner){.m = m,
		.ip = dp_data(m),
		.len = m->data_len,
		.upper = (uint16_t)m->l3_len,
		.port = dp_meta(m)->port,
		.family = dp_data(m)[0] >> 4,
		.made = true,
		.side = dp_meta(m)->cause};
}

static void take(struct dp_worker *w, struct rte_mbuf *m)
{
	const struct dp_port *port = &w->dp->ports[dp_meta(m)->port];
	if (unlikely(w->trace))
		dp_trace_taken(w, m);
	switch ((enum dp_carry)dp_meta(m)->kind) {
	case DP_CARRY_ESP:
		dp_esp_in_add(w, m);
		break;
	case DP_CARRY_INNER:
		dp_esp_out_add(w, m);
		break;
	case DP_CARRY_FRAME:
		dp_tx_frame(w, port, m);
		break;
	case DP_CARRY_FRAGMENT:
		dp_frag_taken(w, m);
		break;
	case DP_CARRY_ROUTE:
		dp_route_made(w, m);
		break;
	}
}

// Another core has written all of it: mbuf, private area and packet are asked for before the first of
// them is looked at.
static void prefetch_taken(struct rte_mbuf **m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(m[i]);
		rte_prefetch0(&m[i]->tx_offload);
		rte_prefetch0(dp_meta(m[i]));
	}
	for (unsigned i = 0; i < n; i++) {
		rte_prefetch0(dp_data(m[i]));
		rte_prefetch0(dp_data(m[i]) + 64);
	}
}

static unsigned take_from(struct dp_worker *w, struct rte_ring *r)
{
	struct rte_mbuf *m[DP_BURST];
	unsigned n = rte_ring_sc_dequeue_burst(r, (void **)m, DP_BURST, NULL);
	prefetch_taken(m, n);
	for (unsigned i = 0; i < n; i++)
		take(w, m[i]);
	if (n)
		dp_run_stages(w);
	return n;
}

unsigned dp_handoff_poll(struct dp_worker *w)
{
	unsigned n = 0;
	for (uint16_t i = 0; i < w->dp->worker_count; i++)
		if (w->handoff_in[i])
			n += take_from(w, w->handoff_in[i]);
	if (n)
		dp_add(&w->stats.handoff_in, n);
	return n + take_from(w, w->inject_ring);
}
