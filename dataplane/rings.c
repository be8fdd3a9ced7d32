// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every ring between threads: single producer, single consumer.
#include "dataplane/fast.h"

#include "base/log.h"

#include <rte_errno.h>
#include <rte_malloc.h>

#include <stdio.h>

LOG_SUBSYSTEM("dataplane");

struct rte_ring *dp_ring_new(
	const char *what, unsigned a, unsigned b, unsigned size, size_t element, int socket)
{
	static unsigned serial;
	char name[RTE_RING_NAMESIZE];
	snprintf(name, sizeof(name), "sp_%s_%u_%u_%u", what, a, b, serial++);
	struct rte_ring *r = rte_ring_create_elem(name, (unsigned)element, size, socket,
		RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (!r)
		log_error("no memory for ring %s: %s", name, rte_strerror(rte_errno));
	return r;
}

// ---- Memory that comes from another core ----

static const uint8_t *place(const struct rte_ring *r, uint32_t i, size_t element)
{
	return (const uint8_t *)&r[1] + (i & r->mask) * element;
}

void dp_ring_warm_put(const struct rte_ring *r, size_t element, unsigned n)
{
	const uint8_t *at = place(r, r->prod.head, element);
	rte_prefetch0(&r->cons);
	dp_prefetch_write(&r->prod);
	for (size_t i = 0; i < n * element; i += RTE_CACHE_LINE_SIZE)
		dp_prefetch_write(at + i);
}

void dp_ring_warm_get(const struct rte_ring *r, size_t element, unsigned n)
{
	const uint8_t *at = place(r, r->cons.head, element);
	rte_prefetch0(&r->prod);
	dp_prefetch_write(&r->cons);
	for (size_t i = 0; i < n * element; i += RTE_CACHE_LINE_SIZE)
		rte_prefetch0(at + i);
}

int dp_worker_rings_new(struct dp_worker *w)
{
	int s = w->socket;
	unsigned id = w->id;
	static const char *const punt[DP_PUNT_RINGS] = {"known", "new", "rest", "exc"};

	w->sa_ring = dp_ring_new("sa", id, 0, DP_SA_RING, DP_MSG_HEAD, s);
	w->sa_rest_ring = dp_ring_new("rest", id, 0, DP_SA_RING, DP_MSG_REST, s);
	w->event_ring = dp_ring_new("event", id, 0, DP_EVENT_RING, sizeof(struct sa_event), s);
	w->return_ring = dp_ring_new("return", id, 0, DP_RETURN_RING, sizeof(struct dp_return), s);
	w->inject_ring = dp_ring_new("inject", id, 0, DP_INJECT_RING, sizeof(void *), s);
	if (!w->sa_ring || !w->sa_rest_ring || !w->event_ring || !w->return_ring || !w->inject_ring)
		return -ENOMEM;
	for (unsigned i = 0; i < DP_PUNT_RINGS; i++) {
		w->punt_ring[i] = dp_ring_new(punt[i], id, 0, DP_PUNT_RING, sizeof(void *), s);
		if (!w->punt_ring[i])
			return -ENOMEM;
	}
	return 0;
}

// Of these there are too many for DPDK's table of memory zones (2560; 64 workers have 4032 rings), so that
// they are no rings that it has a list of.
static struct rte_ring *handoff_ring_new(unsigned size, int socket)
{
	ssize_t bytes = rte_ring_get_memsize(rte_align32pow2(size + 1));
	struct rte_ring *r = bytes < 0 ? NULL
				       : rte_zmalloc_socket("sallyport_handoff", (size_t)bytes,
						 RTE_CACHE_LINE_SIZE, socket);
	if (!r || rte_ring_init(
			  r, "handoff", size, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ)) {
		log_error("no memory for a hand-off ring of %u packets", size);
		rte_free(r);
		return NULL;
	}
	return r;
}

// Of many workers each pair's ring is smaller.
int dp_handoff_init(struct dp *d)
{
	unsigned size = dp_handoff_ring_size(d->worker_count);
	for (uint16_t to = 0; to < d->worker_count; to++)
		for (uint16_t from = 0; from < d->worker_count; from++) {
			struct dp_worker *w = d->workers[to];
			if (from == to)
				continue;
			w->handoff_in[from] = handoff_ring_new(size, w->socket);
			if (!w->handoff_in[from])
				return -ENOMEM;
		}
	return 0;
}

// Packets that are still in a ring go back to their pools.
static void packets_free(struct rte_ring *r)
{
	void *m;
	while (r && rte_ring_sc_dequeue(r, &m) == 0)
		rte_pktmbuf_free(m);
}

static void packet_ring_free(struct rte_ring *r)
{
	packets_free(r);
	rte_ring_free(r);
}

void dp_worker_rings_free(struct dp_worker *w)
{
	rte_ring_free(w->sa_ring);
	rte_ring_free(w->sa_rest_ring);
	rte_ring_free(w->event_ring);
	rte_ring_free(w->return_ring);
	packet_ring_free(w->inject_ring);
	for (unsigned i = 0; i < DP_PUNT_RINGS; i++)
		packet_ring_free(w->punt_ring[i]);
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		packets_free(w->handoff_in[i]);
		rte_free(w->handoff_in[i]);
	}
}
