// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a packet carries from one worker to another, and the giver's half of it, inline.
#pragma once

#include "dataplane/fast.h"

// In fields of the mbuf's first line that nobody needs between receiving and sending.
struct dp_carried {
	uint8_t carry;  // enum dp_carry
	uint8_t cause;  // enum dp_handoff
	uint8_t port;   // came in by, or FRAME leaves by, index
	uint8_t l2_len; // ESP
	uint16_t
		upper; // ESP: bytes of the outer IP header and what follows it; INNER: of the IP header
	uint32_t to, generation; // ESP: SPI, 0
};
static_assert(DP_PORTS_MAX <= UINT8_MAX && sizeof(((struct rte_mbuf *)0)->packet_type) == 4,
	"packet_type holds carry, cause, port and l2_len");

static inline void dp_carry_put(struct rte_mbuf *m, const struct dp_carried *c)
{
	m->packet_type = (uint32_t)c->carry | (uint32_t)c->cause << 8 | (uint32_t)c->port << 16 |
			 (uint32_t)c->l2_len << 24;
	m->vlan_tci = c->upper;
	m->hash.fdir.lo = c->to;
	m->hash.fdir.hi = c->generation;
}

static inline struct dp_carried dp_carry_get(const struct rte_mbuf *m)
{
	return (struct dp_carried){.carry = (uint8_t)m->packet_type,
		.cause = (uint8_t)(m->packet_type >> 8),
		.port = (uint8_t)(m->packet_type >> 16),
		.l2_len = (uint8_t)(m->packet_type >> 24),
		.upper = m->vlan_tci,
		.to = m->hash.fdir.lo,
		.generation = m->hash.fdir.hi};
}

// What has been collected for it is the taker's; what finds no room is dropped.
void dp_handoff_flush_to(struct dp_worker *w, uint16_t to);

// To another worker. No trace runs, or it has been told.
static inline void dp_give(
	struct dp_worker *w, uint16_t to, struct rte_mbuf *m, const struct dp_carried *c)
{
	struct dp_given *g = &w->handoff[to];
	dp_carry_put(m, c);
	if (unlikely(g->n == 0))
		dp_ring_warm_put(w->dp->workers[to]->handoff_in[w->id], sizeof(void *), DP_BURST);
	g->by[c->cause]++;
	g->m[g->n++] = m;
	if (unlikely(g->n == RTE_DIM(g->m)))
		dp_handoff_flush_to(w, to);
}
