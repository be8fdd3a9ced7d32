// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Outer packets that come in fragments: ESP is put together at a worker, all fragments of one packet
// at the same one, and classified as if it had come whole. What turns out to be IKE goes on to the
// control thread as it came, which has its own caps (reasm.h).
#include "dataplane/frag.h"
#include "dataplane/gather.h"
#include "dataplane/ike_io.h"
#include "dataplane/trace.h"
#include "dataplane/vlan.h"

#include "base/htab.h"

#include <string.h>

// The first fragment shows the UDP header and what tells ESP from IKE. RFC 1858: one that is smaller has
// something to hide.
#define FIRST_MIN (UDP_HDR + NON_IKE_MARKER)

// By addresses and id, which all fragments have.
static struct gather_key key_of(const struct ip_info *ip, uint32_t id)
{
	struct gather_key k;
	memset(&k, 0, sizeof(k)); // padding too
	k.src = ip_from_bytes(ip->family, ip->src);
	k.dst = ip_from_bytes(ip->family, ip->dst);
	k.id = id;
	k.proto = ip->family == IP_V4 ? ip->proto : 0;
	return k;
}

// A share of the workers by a hash, without a division.
static uint16_t home_of(const struct dp_worker *w, const struct gather_key *k)
{
	uint64_t hash = siphash(w->dp->frag_key, k, sizeof(*k));
	return (uint16_t)((hash >> 32) * w->dp->worker_count >> 32);
}

// The fragment header right behind IPv6's: nothing else stands before ESP.
static bool in_place(const uint8_t *p, const struct ip_info *ip)
{
	return ip->family == IP_V4 ||
	       (p[6] == IPV6_FRAGMENT && ip->upper == IP6_HDR + IPV6_FRAG_LEN);
}

static uint32_t id_of(const uint8_t *p, const struct ip_info *ip)
{
	return ip->family == IP_V4 ? get_be16(p + 4) : get_be32(p + IP6_HDR + 4);
}

static struct gather_part part_of(
	struct rte_mbuf *m, const uint8_t *p, const struct ip_info *ip, bool *more)
{
	bool v4 = ip->family == IP_V4;
	uint16_t field = get_be16(p + (v4 ? 6 : IP6_HDR + 2));
	*more = field & (v4 ? 0x2000 : 1);
	return (struct gather_part){.packet = m,
		.at = v4 ? (field & 0x1fffu) * 8 : field & 0xfff8u,
		.len = (uint32_t)(ip->total - ip->upper)};
}

// UDP, but not ESP in it.
static bool is_foreign(const uint8_t *upper, const struct ip_info *ip)
{
	if (ip->proto != PROTO_UDP)
		return false;
	switch (get_be16(upper + 2)) {
	case IKE_NATT_PORT:
		return get_be32(upper + UDP_HDR) == 0;
	case IKE_PORT:
		return get_be64(upper + UDP_HDR) != 0;
	default:
		return true;
	}
}

// ---- Whole again ----

// RFC 3168 5.3: congestion that one fragment met, the whole has met; unless one cannot say so.
static bool merge_ecn(const struct gather_result *r, uint8_t *ecn)
{
	bool marked = false, silent = false;
	for (unsigned i = 0; i < r->count; i++) {
		struct rte_mbuf *m = r->parts[i].packet;
		const uint8_t *p = dp_data(m) + m->l2_len;
		uint8_t tos = p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[1] >> 4);
		marked |= (tos & ECN_MASK) == ECN_CE;
		silent |= (tos & ECN_MASK) == ECN_NOT_ECT;
		if (i == 0)
			*ecn = tos & ECN_MASK;
	}
	if (marked)
		*ecn = ECN_CE;
	return !(marked && silent);
}

static void finish_head(uint8_t *p, uint32_t total, uint8_t ecn)
{
	if (p[0] >> 4 == 4) {
		set_be16(p + 2, (uint16_t)(IP4_HDR + total));
		set_be16(p + 6, 0);
		p[1] = (uint8_t)((p[1] & ~ECN_MASK) | ecn);
		set_be16(p + 10, 0);
		set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
		return;
	}
	set_be16(p + 4, (uint16_t)total);
	ip_set_ecn(p, IP_V6, ecn);
}

static struct rte_mempool *pool_for(const struct dp_worker *w, uint32_t len)
{
	struct rte_mempool *usual = dp_frag_pool(w);
	bool fits = RTE_PKTMBUF_HEADROOM + len <= rte_pktmbuf_data_room_size(usual);
	return fits ? usual : w->dp->join_pool;
}

// One frame with the first fragment's headers. NULL: it would not fit into a buffer, or there is none.
static struct rte_mbuf *join(struct dp_worker *w, const struct gather_result *r, uint8_t ecn)
{
	struct rte_mbuf *first = r->parts[0].packet;
	const uint8_t *from = dp_data(first);
	bool v4 = from[first->l2_len] >> 4 == 4;
	uint32_t head = first->l2_len + (v4 ? IP4_HDR : IP6_HDR), len = head + r->total;
	struct rte_mbuf *m = len <= UINT16_MAX ? rte_pktmbuf_alloc(pool_for(w, len)) : NULL;
	uint8_t *to = m ? (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len) : NULL;
	if (!to) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memcpy(to, from, head);
	if (!v4)
		to[first->l2_len + 6] = from[head]; // what the fragment header says
	for (unsigned i = 0; i < r->count; i++) {
		struct rte_mbuf *part = r->parts[i].packet;
		memcpy(to + head + r->parts[i].at, dp_data(part) + part->l2_len + part->l3_len,
			r->parts[i].len);
	}
	finish_head(to + first->l2_len, r->total, ecn);
	*dp_meta(m) = *dp_meta(first);
	if (unlikely(w->trace))
		dp_trace_follow(w, first, m);
	return m;
}

static void whole(struct dp_worker *w, const struct gather_result *r)
{
	const struct dp_port *port = &w->dp->ports[dp_meta(r->parts[0].packet)->port];
	uint8_t ecn = 0;
	bool ecn_fits = merge_ecn(r, &ecn);
	struct rte_mbuf *m = ecn_fits ? join(w, r, ecn) : NULL;
	if (!m)
		dp_add(&w->stats.drops[ecn_fits ? DP_DROP_outer_fragment : DP_DROP_esp_ecn], 1);
	for (unsigned i = 0; i < r->count; i++)
		rte_pktmbuf_free(r->parts[i].packet);
	if (!m)
		return;
	dp_add(&w->stats.joined, 1);
	if (port->vlans)
		dp_vlan_mark(port, m);
	dp_classify(w, port, &m, 1, DP_HANDOFF_FRAGMENT);
}

// ---- Taking them ----

static void release(void *packet)
{
	rte_pktmbuf_free(packet);
}

static enum dp_drop gather(struct dp_worker *w, const struct gather_key *k,
	const struct gather_part *part, bool more, bool foreign)
{
	struct gather_result r;
	if (!w->gather && gather_new(w->dp->frag_key, release, &w->gather))
		return DP_DROP_fragment_limit;
	enum dp_drop why = gather_add(w->gather, k, part, more, foreign, w->now_ns, &r);
	w->gather_due_ns = gather_next_ns(w->gather);
	dp_add(&w->stats.drops[DP_DROP_fragment_limit], r.evicted);
	if (why != DP_DROP_NONE)
		return why;
	if (r.verdict == GATHER_WHOLE)
		whole(w, &r);
	for (unsigned i = 0; r.verdict == GATHER_PASS && i < r.count; i++)
		dp_punt(w, r.parts[i].packet, DP_PUNT_FRAGMENT);
	return DP_DROP_NONE;
}

enum dp_drop dp_frag_in(struct dp_worker *w, struct rte_mbuf *m, const struct ip_info *ip)
{
	const uint8_t *p = dp_data(m) + m->l2_len;
	bool more, foreign = false;
	if (ip->proto != PROTO_UDP && ip->proto != PROTO_ESP)
		return DP_DROP_outer_fragment;
	if (!in_place(p, ip))
		return DP_DROP_ip_options;
	struct gather_part part = part_of(m, p, ip, &more);
	if (part.at == 0) {
		if (part.len < FIRST_MIN)
			return DP_DROP_fragment_bad;
		foreign = is_foreign(p + ip->upper, ip);
	}
	struct gather_key k = key_of(ip, id_of(p, ip));
	uint16_t home = home_of(w, &k);
	if (home == w->id)
		return gather(w, &k, &part, more, foreign);
	dp_handoff(w, home, m, DP_CARRY_FRAGMENT, DP_HANDOFF_FRAGMENT);
	return DP_DROP_NONE;
}

// It has been looked at where it came in.
void dp_frag_taken(struct dp_worker *w, struct rte_mbuf *m)
{
	struct ip_info ip;
	enum dp_drop why =
		ip_parse_packet(dp_data(m) + m->l2_len, m->data_len - m->l2_len, false, &ip);
	if (why == DP_DROP_NONE)
		why = dp_frag_in(w, m, &ip);
	if (why != DP_DROP_NONE)
		dp_drop(w, m, why);
}

unsigned dp_frag_expire(struct dp_worker *w)
{
	unsigned n = gather_expire(w->gather, w->now_ns);
	dp_add(&w->stats.drops[DP_DROP_fragment_timeout], n);
	w->gather_due_ns = gather_next_ns(w->gather);
	return n;
}
