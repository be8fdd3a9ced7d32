// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/frag.h"

#include "dataplane/trace.h"
#include "dataplane/treat.h"

#define IP4_DF      0x4000
#define IP4_MF      0x2000
#define IP4_OFFSET  0x1fff
#define IP4_CUT_MIN (IP4_HDR + 8u) // a header and the least part of a payload

// ---- One packet in parts ----

// How a packet is cut: the header that each part has, and the fragment header behind it (IPv6).
struct cut {
	uint8_t family;
	uint16_t head_len, frag_len;
	uint16_t room;  // payload bytes of a part but the last, a multiple of 8
	uint16_t total; // payload bytes
	uint16_t frag;  // IPv4: flags and offset of the packet itself, which may be a fragment
	uint32_t id;    // IPv6
	uint8_t next;   // IPv6: upper protocol
};

struct rte_mempool *dp_frag_pool(const struct dp_worker *w)
{
	unsigned socket = (unsigned)w->socket;
	struct rte_mempool *p = socket < RTE_DIM(w->dp->rx_pool) ? w->dp->rx_pool[socket] : NULL;
	return p ? p : w->dp->rx_pool[0];
}

static enum dp_drop cut_init(
	struct dp_worker *w, const uint8_t *p, uint16_t len, uint16_t mtu, struct cut *c)
{
	bool v4 = p[0] >> 4 == 4;
	*c = (struct cut){.family = v4 ? IP_V4 : IP_V6,
		.head_len = v4 ? IP4_HDR : IP6_HDR,
		.frag_len = v4 ? 0 : IPV6_FRAG_LEN};
	// In transport mode the header is a host's own.
	bool plain = v4 ? p[0] == 0x45 : p[6] == PROTO_ESP || p[6] == PROTO_UDP;
	if (!plain || mtu < c->head_len + c->frag_len + 8u)
		return DP_DROP_too_big;
	c->total = (uint16_t)(len - c->head_len);
	c->room = (uint16_t)((mtu - c->head_len - c->frag_len) & ~7u);
	if (v4) {
		c->frag = get_be16(p + 6) & (IP4_MF | IP4_OFFSET);
		// RFC 791: a packet has 65535 bytes at most, its header included.
		if ((c->frag & IP4_OFFSET) * 8u + len > UINT16_MAX)
			return DP_DROP_fragment_bad;
	} else {
		c->id = w->frag_id++;
		c->next = p[6];
	}
	return c->total <= c->room * (DP_FRAG_MAX - 1u) ? DP_DROP_NONE : DP_DROP_too_big;
}

static void head_v4(uint8_t *p, const struct cut *c, uint16_t at, uint16_t len, bool more)
{
	uint16_t mf = more || c->frag & IP4_MF ? IP4_MF : 0;
	set_be16(p + 2, (uint16_t)(IP4_HDR + len));
	set_be16(p + 6, (uint16_t)(((c->frag & IP4_OFFSET) + at / 8) | mf));
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// RFC 8200 4.5.
static void head_v6(uint8_t *p, const struct cut *c, uint16_t at, uint16_t len, bool more)
{
	uint8_t *f = p + IP6_HDR;
	set_be16(p + 4, (uint16_t)(IPV6_FRAG_LEN + len));
	p[6] = IPV6_FRAGMENT;
	f[0] = c->next;
	f[1] = 0;
	set_be16(f + 2, (uint16_t)(at | more));
	set_be32(f + 4, c->id);
}

static void head(uint8_t *p, const struct cut *c, uint16_t at, uint16_t len, bool more)
{
	if (c->family == IP_V4)
		head_v4(p, c, at, len, more);
	else
		head_v6(p, c, at, len, more);
}

// A copy of the part that begins at byte at of the payload. NULL: no buffer, or too small a one.
static struct rte_mbuf *part(
	struct dp_worker *w, struct rte_mbuf *m, const struct cut *c, uint16_t at, uint16_t len)
{
	const uint8_t *p = dp_data(m);
	uint16_t heads = (uint16_t)(c->head_len + c->frag_len);
	struct rte_mbuf *o = rte_pktmbuf_alloc(dp_frag_pool(w));
	uint8_t *to = o ? (uint8_t *)rte_pktmbuf_append(o, (uint16_t)(heads + len)) : NULL;
	if (!to) {
		rte_pktmbuf_free(o);
		return NULL;
	}
	memcpy(to, p, c->head_len);
	memcpy(to + heads, p + c->head_len + at, len);
	head(to, c, at, len, at + len < c->total);
	*dp_meta(o) = *dp_meta(m);
	o->l3_len = heads;
	if (unlikely(w->trace))
		dp_trace_follow(w, m, o);
	return o;
}

// The packet's own buffer holds the first part. IPv6: its header moves to make room for another one.
static void first_part(struct rte_mbuf *m, const struct cut *c)
{
	uint8_t *p = dp_data(m);
	m->data_len = (uint16_t)(c->head_len + c->room);
	if (c->frag_len) {
		memmove(p - c->frag_len, p, c->head_len);
		m->data_off -= c->frag_len;
		m->data_len += c->frag_len;
	}
	m->pkt_len = m->data_len;
	head(dp_data(m), c, 0, c->room, true);
}

static enum dp_drop later_parts(struct dp_worker *w, struct rte_mbuf *m, const struct cut *c,
	struct rte_mbuf **out, unsigned *n)
{
	*n = 1;
	for (uint16_t at = c->room; at < c->total; at += c->room) {
		struct rte_mbuf *o = part(w, m, c, at, RTE_MIN(c->room, (uint16_t)(c->total - at)));
		if (!o) {
			rte_pktmbuf_free_bulk(out + 1, *n - 1);
			return DP_DROP_fragment_no_mbuf;
		}
		out[(*n)++] = o;
	}
	return DP_DROP_NONE;
}

// Takes m, which is larger than mtu. Parts in out, returns how many; 0: m was dropped by name.
static unsigned cut(struct dp_worker *w, struct rte_mbuf *m, uint16_t mtu, struct rte_mbuf **out)
{
	struct cut c;
	unsigned n = 0;
	enum dp_drop why = cut_init(w, dp_data(m), m->data_len, mtu, &c);
	if (why == DP_DROP_NONE && rte_pktmbuf_headroom(m) < c.frag_len + RTE_ETHER_HDR_LEN)
		why = DP_DROP_no_room;
	if (why == DP_DROP_NONE)
		why = later_parts(w, m, &c, out, &n);
	if (why != DP_DROP_NONE) {
		dp_drop(w, m, why);
		return 0;
	}
	first_part(m, &c);
	out[0] = m;
	return n;
}

// ---- Into a tunnel ----

// RFC 4301 8.1, 8.2.1; RFC 2473 7.1, 7.2. What is not cut before encryption is the ESP packet, whose
// source is the gateway: it may be cut whatever is within, where its DF bit is not to be set.
static enum dp_frag_how how_for(const struct dp_tunnel *t, const struct dp_sa *sa,
	const struct rte_mbuf *m, const uint8_t *p)
{
	// RFC 4303 3.3.4: "If necessary, fragmentation is performed after ESP processing".
	if (sa->flags & DP_SA_TRANSPORT)
		return p[0] >> 4 == 6 || dp_frag_may(p) ? DP_FRAG_AFTER : DP_FRAG_NOT;
	if (p[0] >> 4 == 6)
		// RFC 2473 7.1 (b): "if the original IPv6 packet is equal or smaller than the IPv6
		// minimum link MTU, the tunnel entry-point node encapsulates the original packet,
		// and subsequently fragments the resulting IPv6 tunnel packet".
		return m->pkt_len <= IPV6_MTU_MIN ? DP_FRAG_AFTER : DP_FRAG_NOT;
	if (!dp_frag_may(p))
		return t->df == SA_DF_CLEAR ? DP_FRAG_AFTER : DP_FRAG_NOT;
	if (t->treatment.fragment == SA_FRAGMENT_AFTER && t->df != SA_DF_SET)
		return DP_FRAG_AFTER;
	return dp_inner_mtu(t, sa) >= IP4_CUT_MIN ? DP_FRAG_BEFORE : DP_FRAG_AFTER;
}

bool dp_frag_take(struct dp_worker *w, const struct esp_op *op)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, op->sa->tunnel_slot);
	enum dp_frag_how how = how_for(t, op->sa, op->m, dp_data(op->m));
	if (how == DP_FRAG_NOT || w->big.n == RTE_DIM(w->big.at))
		return false;
	op->m->data_len = (uint16_t)op->m->pkt_len; // without padding
	w->big.at[w->big.n++] = (struct dp_big){.m = op->m,
		.sa = op->sa,
		.to = op->to,
		.generation = op->generation,
		.from = op->from,
		.port = op->port,
		.upper = op->upper,
		.how = how};
	return true;
}

static void before(struct dp_worker *w, struct dp_big *b)
{
	struct rte_mbuf *parts[DP_FRAG_MAX];
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, b->sa->tunnel_slot);
	unsigned n = cut(w, b->m, dp_inner_mtu(t, b->sa), parts);
	if (n == 0)
		return;
	dp_add(&w->stats.cut_before, 1);
	if (t->treat & DP_TREAT_TFC)
		for (unsigned i = 0; i < n; i++)
			dp_tfc_pad(w, t, b->sa, parts[i]);
	dp_esp_out_as(w, b, parts, n, false);
}

void dp_frag_run(struct dp_worker *w)
{
	unsigned n = w->big.n;
	w->big.n = 0;
	for (unsigned i = 0; i < n; i++) {
		struct dp_big *b = &w->big.at[i];
		if (b->how == DP_FRAG_BEFORE)
			before(w, b);
		else
			dp_esp_out_as(w, b, &b->m, 1, true);
	}
}

static void send_parts(struct dp_worker *w, const struct dp_port *port, const struct ip_addr *hop,
	struct rte_mbuf **parts, unsigned n)
{
	uint8_t family = dp_data(parts[0])[0] >> 4;
	for (unsigned i = 0; i < n; i++)
		dp_tx_ip(w, port, hop, family, parts[i]);
}

void dp_frag_outer(struct dp_worker *w, const struct dp_tunnel *t, struct rte_mbuf *m)
{
	struct rte_mbuf *parts[DP_FRAG_MAX];
	unsigned n = cut(w, m, t->mtu, parts);
	if (n == 0)
		return;
	dp_add(&w->stats.cut_after, 1);
	send_parts(w, &w->dp->ports[t->port], &t->next_hop, parts, n);
}

// ---- To the inside ----

void dp_frag_clear(struct dp_worker *w, const struct dp_port *port, const struct ip_addr *hop,
	struct rte_mbuf *m)
{
	struct rte_mbuf *parts[DP_FRAG_MAX];
	unsigned n = cut(w, m, port->mtu, parts);
	if (n == 0)
		return;
	dp_add(&w->stats.cut_clear, 1);
	send_parts(w, port, hop, parts, n);
}
