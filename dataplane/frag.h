// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets that are too large for where they go, and may be cut: before encryption, after it, or on
// their way to the inside. All of it is off the fast path. Worker threads.
#pragma once

#include "dataplane/worker.h"

// Fragments of one packet: DP_PACKET_MAX in parts of the smallest MTU that a path can have.
#define DP_FRAG_MAX 20

// The packet, for which an SA has been chosen and which does not fit the path, may be cut: then it is
// taken, and leaves by dp_frag_run(). Else (false) its sender is to be told.
bool dp_frag_take(struct dp_worker *w, const struct esp_op *op);
// What dp_frag_take() has taken. w->esp_out is free.
void dp_frag_run(struct dp_worker *w);
// An outer packet (data at its IP header) above the tunnel's path MTU: leaves in fragments.
void dp_frag_outer(struct dp_worker *w, const struct dp_tunnel *t, struct rte_mbuf *m);

// RFC 791: a router may cut it. Data at the IP header.
static inline bool dp_frag_may(const uint8_t *p)
{
	return p[0] >> 4 == 4 && !(p[6] & 0x40);
}

// A packet in clear above the port's MTU that dp_frag_may() be cut, to the next hop.
void dp_frag_clear(struct dp_worker *w, const struct dp_port *port, const struct ip_addr *hop,
	struct rte_mbuf *m);

// Where buffers for what is made here come from.
struct rte_mempool *dp_frag_pool(const struct dp_worker *w);

// (esp_out.c) Encrypt and send n packets, up to DP_FRAG_MAX, by the SA that was chosen and the treatment
// that was given to the one that they are parts of. whole: of whatever size, those above the path's
// MTU by dp_frag_outer(). w->esp_out is free.
void dp_esp_out_as(
	struct dp_worker *w, const struct dp_big *as, struct rte_mbuf **m, unsigned n, bool whole);

// ---- Fragments from outside (frag_in.c) ----

// A fragment for one of our addresses by an outside port; m->l2_len and m->l3_len are set. Taken
// (DP_DROP_NONE): it waits at its worker for the others.
enum dp_drop dp_frag_in(struct dp_worker *w, struct rte_mbuf *m, const struct ip_info *ip);
// The same for one that another worker has handed over. Takes the mbuf.
void dp_frag_taken(struct dp_worker *w, struct rte_mbuf *m);
// w->gather_due_ns is over.
unsigned dp_frag_expire(struct dp_worker *w);
