// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The next burst's memory, asked for while the last one's packets are worked on: what a packet needs is
// known only from what came before it (mbuf, packet, SPI or destination, SA), and each of these is a
// wait for memory that the work on a packet covers. A processor waits for some 16 lines at once (those of
// its L1 cache), so they are asked for in small portions, between one packet's cipher and the next's.
// Nothing depends on it that is not checked by who uses a packet: what is found (dp_warm.found) is what
// the packet's bytes say if it is plain IPv4.
#pragma once

#include "dataplane/fast.h"

// Packets from one question to the next. Two packets a step, and a step between two ciphers, so that a
// burst is through before the one before it is.
#define WARM_PAIR 2u
#define WARM_DATA 6u
#define WARM_SLOT 12u // inbound the SA; outbound the destination's entry
#define WARM_WAY  16u
#define WARM_SA   20u
static_assert(
	DP_BURST + WARM_SA + WARM_PAIR <= DP_BURST * WARM_PAIR, "a full burst covers the next one");

#define WARM_TAIL 24 // bytes that a packet grows by at its end, with AES-GCM
#define WARM_HEAD 50 // and before its Ethernet header

// Two lines, inbound the packet's end, too: the processor goes on by itself, and each line more that is
// asked for between two ciphers keeps the cipher from its own.
static inline void dp_warm_data(struct dp_warm *x, unsigned i, bool outside)
{
	const struct rte_mbuf *m = x->m[i];
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
	rte_prefetch0(p);
	rte_prefetch0(p + 64);
	x->at[i] = p;
	if (outside)
		rte_prefetch0(p + m->data_len - 1);
}

// Outbound, of a burst whose turn has come: what is written and not read before, headers and a trailer,
// which may stand in two lines. So many packets ahead of the one that is wrapped.
#define WARM_AROUND 4u
static inline void dp_warm_around(const struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *), *end = p + m->data_len;
	rte_prefetch0(p - WARM_HEAD);
	rte_prefetch0(end);
	rte_prefetch0(end + WARM_TAIL - 1);
}

static inline void dp_warm_first(struct rte_mbuf **m, unsigned n)
{
	for (unsigned i = 0; i < RTE_MIN(n, WARM_AROUND); i++)
		dp_warm_around(m[i]);
}

// IPv4 without options: there are at least so many bytes in any buffer of ours.
static inline void dp_warm_slot(struct dp_warm *x, unsigned i)
{
	const struct dp_worker *w = x->w;
	const uint8_t *ip = (const uint8_t *)x->at[i] + RTE_ETHER_HDR_LEN;
	const uint8_t *esp = ip + (ip[9] == PROTO_UDP ? IP4_HDR + UDP_HDR : IP4_HDR);
	struct dp_sa *sa = dp_sa_of_spi(w, get_be32(esp));
	x->found[i].sa = sa;
	if (sa)
		dp_sa_prefetch(sa);
}

// Most packets of a burst go to one range.
static inline void dp_warm_dst(struct dp_warm *x, unsigned i)
{
	const uint8_t *ip = (const uint8_t *)x->at[i] + RTE_ETHER_HDR_LEN;
	uint32_t dst = get_be32(ip + 16), off = dst - x->flat.lo;
	if (unlikely(off > x->flat.hi - x->flat.lo)) {
		x->found[i].flat = dp_flat_prefetch(x->w, dst);
		return;
	}
	x->found[i].flat = &x->flat.values[off];
	rte_prefetch0((const void *)(uintptr_t)x->found[i].flat);
}

static inline void dp_warm_way(struct dp_warm *x, unsigned i)
{
	const _Atomic uint64_t *flat = x->found[i].flat;
	struct dp_dst_entry e;
	x->at[i] = &x->none;
	if (unlikely(!flat))
		return;
	dp_dst_entry_of(atomic_load_explicit(flat, memory_order_relaxed), &e);
	if (likely(dp_tunnel_worker(e.index) == x->w->id)) {
		x->at[i] = &x->w->ways[dp_tunnel_slot(e.index)];
		rte_prefetch0(x->at[i]);
	}
}

// The same, if it is of the tunnel that the destination's entry names. Ways change between two polls alone,
// so that it is still true when the packet's turn comes.
static inline void dp_warm_found(struct dp_warm *x, unsigned i)
{
	const struct dp_way *way = x->at[i];
	struct dp_found *f = &x->found[i];
	f->sa = NULL;
	if (unlikely(!way->v))
		return;
	f->sa = dp_way_sa(
		*way, (uint32_t)(atomic_load_explicit(f->flat, memory_order_relaxed) >> 32));
	if (likely(f->sa))
		dp_sa_prefetch(f->sa);
}

// The two packets that come so many after those which the step begins with.
#define WARM_EACH(x, i, question)         \
	do {                              \
		if ((i) < (x)->n) {       \
			unsigned k = (i); \
			question;         \
			k++;              \
			question;         \
		}                         \
	} while (0)

// Packets from other workers (handoff.c): the two that come so many after those which the step begins with.
void dp_warm_taken(struct dp_warm *x, unsigned i);
void dp_warm_taken_all(struct dp_warm *x);

static inline bool dp_warm_due(const struct dp_warm *x)
{
	return x->step < x->end;
}

static inline void dp_warm_step_outside(struct dp_warm *x)
{
	unsigned i = x->step;
	x->step = i + WARM_PAIR;
	WARM_EACH(x, i, rte_prefetch0(x->m[k]));
	WARM_EACH(x, i - WARM_DATA, dp_warm_data(x, k, true));
	WARM_EACH(x, i - WARM_SLOT, dp_warm_slot(x, k));
}

static inline void dp_warm_step(struct dp_warm *x)
{
	unsigned i = x->step;
	if (x->outside) {
		dp_warm_step_outside(x);
		return;
	}
	x->step = i + WARM_PAIR;
	if (unlikely(x->taken)) {
		dp_warm_taken(x, i);
		return;
	}
	WARM_EACH(x, i, rte_prefetch0(x->m[k]));
	WARM_EACH(x, i - WARM_DATA, dp_warm_data(x, k, false));
	WARM_EACH(x, i - WARM_SLOT, dp_warm_dst(x, k));
	WARM_EACH(x, i - WARM_WAY, dp_warm_way(x, k));
	WARM_EACH(x, i - WARM_SA, dp_warm_found(x, k));
}

// The i-th of its packets will need its keys next, if their SA is known by now. Those of the packet before it
// have been asked for.
static inline void dp_warm_keys(struct dp_warm *x, unsigned i)
{
	const struct dp_sa *sa = x->found[i].sa;
	if (i >= x->n || dp_warm_due(x) || !sa)
		return;
	x->keys |= 1u << i;
	if (i == 0 || sa != x->found[i - 1].sa || x->m[i]->data_len > x->m[i - 1]->data_len)
		dp_keys_prefetch(sa, x->m[i]->data_len);
}

// A burst is there: its turn comes after the one before it. m has room for one more.
static inline void dp_warm_begin(struct dp_warm *x, struct rte_mbuf **m, unsigned n, bool outside)
{
	x->m = m;
	x->n = n;
	x->step = 0;
	x->end = n ? n + (outside ? WARM_SLOT : WARM_SA) + WARM_PAIR : 0;
	x->outside = outside;
	x->taken = false;
	if (n & 1)
		m[n] = m[n - 1];
}

static inline void dp_warm_head(struct dp_warm *x, unsigned i)
{
	x->at[i] = rte_pktmbuf_mtod(x->m[i], const uint8_t *);
	rte_prefetch0(x->at[i]);
}

// For a burst that nothing went before: one question of all packets after the other, and only what the
// next question needs, as nothing covers the wait.
static inline void dp_warm_all(struct dp_warm *x)
{
	for (unsigned i = 0; i < x->n; i++)
		rte_prefetch0(x->m[i]);
	for (unsigned i = 0; i < x->n; i++)
		dp_warm_head(x, i);
	if (x->outside) {
		for (unsigned i = 0; i < x->n; i++)
			dp_warm_slot(x, i);
		return;
	}
	for (unsigned i = 0; i < x->n; i++)
		dp_warm_dst(x, i);
	for (unsigned i = 0; i < x->n; i++)
		dp_warm_way(x, i);
	for (unsigned i = 0; i < x->n; i++)
		dp_warm_found(x, i);
}

// Its turn has come. What has not been asked for yet is.
static inline void dp_warm_end(struct dp_warm *x)
{
	if (x->step == 0 && x->taken)
		dp_warm_taken_all(x);
	else if (x->step == 0)
		dp_warm_all(x);
	else
		while (dp_warm_due(x))
			dp_warm_step(x);
	x->had = x->keys;
	x->keys = 0;
	x->n = x->step = x->end = 0;
}
