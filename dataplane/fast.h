// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the stages do to every packet, inline: headers as they mostly are, and prefetching.
#pragma once

#include "dataplane/trace.h"
#include "dataplane/worker.h"

#include <rte_prefetch.h>

static inline uint64_t dp_load64(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t dp_load32(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}

static inline void dp_store64(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void dp_store32(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

// The checksum of an IPv4 header without options is right: the sum of its 16-bit words, in whatever byte
// order, is a multiple of 2^16 - 1, and so is that of words of 64 bits, whose carries count as 1.
static inline bool dp_v4_sum_ok(const uint8_t *p)
{
	// x is such a multiple if x / (2^16 - 1), modulo 2^64, is none too large: the inverse of 2^16 - 1
	// is -once.
	const uint64_t once = 0x0001000100010001ull;
	uint64_t sum = dp_load64(p), more = dp_load64(p + 8), rest = dp_load32(p + 16);
	__asm__("addq %1, %0\n\tadcq %2, %0\n\tadcq $0, %0"
		: "+&r"(sum)
		: "rm"(more), "r"(rest)
		: "cc");
	return sum * -once <= once;
}

// One hop less of an IPv4 packet whose TTL is above 1. RFC 1624: the word of TTL and protocol changes by
// the same whatever it is, so the checksum does: by one, as it stands in the packet, and by one more for
// the carry. One word holds all that changes.
static inline void dp_hop_v4(uint8_t *p)
{
	uint32_t word = dp_load32(p + 8); // TTL, protocol, checksum
	word += unlikely(word >= 0xfffe0000) ? 0x1ffff : 0xffff;
	dp_store32(p + 8, word);
}

// An IPv4 header without options that is whole and right, in len bytes: what ip_parse_packet() would
// let pass. sure: its checksum has been seen to.
static inline bool dp_plain_v4(const uint8_t *p, uint32_t len, bool sure)
{
	if (unlikely(len < IP4_HDR || p[0] != 0x45))
		return false;
	uint32_t total = get_be16(p + 2);
	return likely(total >= IP4_HDR && total <= len) && (sure || likely(dp_v4_sum_ok(p)));
}

// A line that will be written: one that another core wrote last, and that was asked for to be read, would
// be fetched a second time.
static inline void dp_prefetch_write(const void *p)
{
	__asm__ volatile("prefetchw %0" : : "m"(*(const char *)p));
}

static inline void dp_sa_prefetch(const struct dp_sa *sa)
{
	rte_prefetch0(sa);
	rte_prefetch0((const uint8_t *)sa + 64);
}

// False: it is none of the own addresses.
static inline bool dp_local_maybe_v4(const struct dp_route_table *t, const uint8_t *addr)
{
	return t->local_slots[dp_local_hash(get_be32(addr))] != 0;
}

// What a packet's private area is to say where somebody else goes on with it: the control thread,
// another worker, or this one later.
static inline struct dp_meta *dp_meta_begin(
	const struct dp_worker *w, struct rte_mbuf *m, uint16_t port)
{
	struct dp_meta *meta = dp_meta(m);
	memset(meta, 0, sizeof(*meta));
	meta->port = port;
	meta->worker = w->id;
	return meta;
}

static inline uint32_t dp_sa_tunnel_id(struct dp_sa *sa)
{
	const struct dp_sa_cold *c = dp_sa_cold(sa);
	return dp_tunnel_id(c->tunnel_index, c->generation);
}

// A packet's destination in a flat array, on its way.
static inline const _Atomic uint64_t *dp_flat_prefetch(const struct dp_worker *w, uint32_t dst)
{
	const _Atomic uint64_t *at = dp_dst_flat_v4(w->dp->dst, dst);
	if (at)
		rte_prefetch0((const void *)(uintptr_t)at);
	return at;
}

static inline struct esp_op *dp_ops_add(struct dp_ops *b)
{
	return &b->op[b->n++];
}

// ESP at offset upper of the outer IP header, len bytes, to this worker's batch.
static inline void dp_take_esp(struct dp_worker *w, struct rte_mbuf *m, uint8_t *esp, uint32_t len,
	uint32_t upper, uint16_t port)
{
	struct esp_op *op = dp_ops_add(&w->esp_in);
	op->m = m;
	op->esp = esp;
	op->len = (uint16_t)len;
	op->upper = (uint16_t)upper;
	op->port = port;
	op->sa = dp_sa_of_spi(w, get_be32(esp));
	if (likely(op->sa))
		dp_sa_prefetch(op->sa);
}

// Count a packet and see to the limits.
static inline void dp_sa_count(struct dp_worker *w, struct dp_sa *sa, uint32_t bytes)
{
	uint64_t packets_now = dp_get(&sa->packets) + 1;
	uint64_t bytes_now = dp_get(&sa->bytes) + bytes;
	dp_set(&sa->packets, packets_now);
	dp_set(&sa->bytes, bytes_now);
	dp_set(&sa->last_used_ns, w->now_ns);
	if (unlikely(packets_now >= sa->next_packets || bytes_now >= sa->next_bytes))
		dp_sa_limit_reached(w, sa);
}

// DP_SA_FAST_V4: an IPv4 packet's addresses are the SA's.
static inline bool dp_sa_holds_v4(const struct dp_sa *sa, const uint8_t *packet)
{
	return ((dp_load64(packet + 12) ^ sa->ts_net) & sa->ts_mask) == 0;
}

// The IP packet, whose header has been checked, lies within the SA's selectors.
static inline bool dp_sa_selects_fast(struct dp_sa *sa, const uint8_t *packet, uint32_t len)
{
	if (unlikely(packet[0] >> 4 != IP_V4 || !(sa->flags & DP_SA_FAST_V4)))
		return dp_sa_selects(sa, packet, len);
	return dp_sa_holds_v4(sa, packet);
}

// ---- The way out ----

static_assert(offsetof(struct rte_mbuf, vlan_tci) == offsetof(struct rte_mbuf, data_len) + 2,
	"length and tag are one word");

// Whose memory a packet lies in: some drivers receive into buffers that are not their mbufs' own (mlx5 with
// mprq_en). Without these flags that memory is not given back, and the mbuf's next user gets it.
#define DP_MBUF_KEEPS (RTE_MBUF_F_INDIRECT | RTE_MBUF_F_EXTERNAL)

// An Ethernet header at eth, which is at bytes into the mbuf's buffer; the mbuf is the frame from there on,
// len bytes behind it.
static inline void dp_tx_frame_at(
	const struct dp_neigh *n, struct rte_mbuf *m, uint8_t *eth, uint32_t at, uint32_t len)
{
	uint32_t frame = len + RTE_ETHER_HDR_LEN;
	dp_store64(eth, dp_load64(n->eth));
	dp_store64(eth + 6, dp_load64(n->eth + 6));
	m->data_off = (uint16_t)at;
	m->pkt_len = frame;
	dp_store32(&m->data_len, frame);
	m->ol_flags &= DP_MBUF_KEEPS; // what the port is asked to do for us: nothing
}

// The same in front of p.
static inline void dp_tx_frame_untraced(
	const struct dp_neigh *n, struct rte_mbuf *m, uint8_t *p, uint32_t len)
{
	uint8_t *eth = p - RTE_ETHER_HDR_LEN;
	dp_tx_frame_at(n, m, eth, (uint32_t)(eth - (uint8_t *)m->buf_addr), len);
}

// The same; a mark of the trace stays.
static inline void dp_tx_frame_of(const struct dp_worker *w, const struct dp_neigh *n,
	struct rte_mbuf *m, uint8_t *p, uint32_t len)
{
	uint64_t mark = likely(!w->trace) ? 0 : m->ol_flags & dp_trace_flag(w->trace);
	dp_tx_frame_untraced(n, m, p, len);
	m->ol_flags |= mark;
}

// A finished frame to the port, whose batch that is.
static inline void dp_tx_put(
	struct dp_worker *w, struct dp_batch *b, unsigned port, struct rte_mbuf *m)
{
	unsigned n = b->n;
	if (unlikely(n >= b->below)) {
		dp_tx_frame(w, &w->dp->ports[port], m);
		return;
	}
	b->m[n] = m;
	b->n = n + 1;
}

static inline void dp_tx_add(struct dp_worker *w, unsigned port, struct rte_mbuf *m)
{
	dp_tx_put(w, &w->tx[port], port, m);
}

static inline void dp_tx_eth(struct dp_worker *w, unsigned port, const struct dp_neigh *n,
	struct rte_mbuf *m, uint8_t *p, uint32_t len)
{
	dp_tx_frame_of(w, n, m, p, len);
	dp_tx_add(w, port, m);
}

// ---- In clear ----

// What is remembered of an IPv4 address, in network order.
static inline struct dp_exit *dp_exit_slot(struct dp_worker *w, uint32_t dst)
{
	uint32_t h = dst * 0x9e3779b1u >> (32 - DP_EXIT_BITS);
	return &w->exits[h];
}

// As long as that is the same, so is what is remembered; not while messages are taken.
#define DP_EXIT_NONE UINT64_MAX // of nothing that is remembered

static inline uint64_t dp_exit_state(const struct dp_worker *w)
{
	return dp_load64(&w->neigh_gen);
}

// What other packets found out not long ago of an IPv4 packet's destination: it is no address of the
// gateway, in no pool and no tunnel, and its next hop is known. NULL: it has to be looked up.
static inline const struct dp_exit *dp_exit_v4(
	struct dp_worker *w, uint64_t state, const uint8_t *ip, uint32_t len)
{
	uint32_t dst = dp_load32(ip + 16);
	const struct dp_exit *x = dp_exit_slot(w, dst);
	return likely(x->v4 == dst) && likely(dp_load64(&x->gen) == state) &&
			       likely(len <= x->mtu) && likely(ip[8] > 1)
		       ? x
		       : NULL;
}
