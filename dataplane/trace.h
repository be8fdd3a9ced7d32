// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packet trace: what each stage made of the packets that a filter names. While none runs, a worker has
// a NULL pointer to test. Everything a trace needs is mapped before workers see it; they take places in
// it by atomic adds, and a full one takes no more.
//
// A packet that is traced bears a flag and a number in its mbuf (rte_mbuf_dyn), through hand-offs too.
// It is chosen at the first stage whose form of it the filter matches: as it came, or once decrypted.
#pragma once

#include "dataplane/worker.h"

struct dp_trace;

// Reads what the control thread has published, once a poll.
static inline void dp_trace_begin(struct dp_worker *w)
{
	w->trace = atomic_load_explicit(&w->dp->trace, memory_order_acquire);
}

// The bit of ol_flags that marks a packet.
uint64_t dp_trace_flag(const struct dp_trace *t);

// ---- Stages; call them while w->trace is not NULL ----

void dp_trace_rx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n);
// Decrypted and accepted; or (out) about to be encrypted: data begins at the inner IP header.
void dp_trace_inner(struct dp_worker *w, struct rte_mbuf *m, bool out, uint64_t session);
void dp_trace_tx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n);
// The copy that the control thread gets is the same packet.
void dp_trace_punt(
	struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_class class, struct rte_mbuf *copy);
// The record of the taker says who took it.
void dp_trace_handoff(struct dp_worker *w, struct rte_mbuf *m, enum dp_handoff cause);
void dp_trace_taken(struct dp_worker *w, struct rte_mbuf *m);
void dp_trace_held(struct dp_worker *w, struct rte_mbuf *m);
// A packet that to takes the place of from (a fragment of it, a copy) goes on as the same one.
void dp_trace_follow(struct dp_worker *w, const struct rte_mbuf *from, struct rte_mbuf *to);

// ---- Control thread ----

void dp_trace_fini(struct dp *d);
// Has the kernel give the next pages of a trace that has begun, before workers write to them; 1 while
// there are more.
unsigned dp_trace_ready(struct dp *d);
// Frees what workers no longer see.
void dp_trace_tick(struct dp *d);
