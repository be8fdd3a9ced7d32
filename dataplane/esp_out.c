// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP outbound, RFC 4303 3.3: tunnel, SA, keys, one prefetch stage each; then all are encrypted back
// to back and sent.
#include "dataplane/frag.h"
#include "dataplane/trace.h"
#include "dataplane/transport.h"
#include "dataplane/treat.h"

#include <rte_prefetch.h>

#define IP4_DF 0x40

// From a worker's copy of a shared tunnel to the tunnel's worker, which has another SA for the packet, or
// keeps it until there is one.
static void to_owner(struct dp_worker *w, uint16_t owner, struct rte_mbuf *m)
{
	bool client = dp_meta(m)->tunnel != TUNNEL_NONE;
	dp_handoff(w, owner, m, DP_CARRY_INNER, client ? DP_HANDOFF_CLIENT : DP_HANDOFF_PREFIX);
}

// The message that makes the copy may still be on its way.
static void without_tunnel(struct dp_worker *w, struct rte_mbuf *m)
{
	uint16_t owner = (uint16_t)dp_tunnel_worker(dp_meta(m)->to);
	if (owner != w->id)
		to_owner(w, owner, m);
	else
		dp_drop(w, m, DP_DROP_stale_tunnel);
}

// Stage 1: tunnels that are still there.
static unsigned find_tunnels(struct dp_worker *w, struct dp_tunnel **tunnels)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < w->esp_out.n; i++)
		rte_prefetch0(
			dp_slab_at(&w->tunnels, dp_tunnel_slot(dp_meta(w->esp_out.m[i])->to)));
	for (unsigned i = 0; i < w->esp_out.n; i++) {
		struct rte_mbuf *m = w->esp_out.m[i];
		struct dp_tunnel *t = dp_tunnel_at(w, dp_meta(m)->to, dp_meta(m)->generation);
		if (!t) {
			without_tunnel(w, m);
			continue;
		}
		if (unlikely(w->trace))
			dp_trace_inner(w, m, true, t->session);
		if (t->out) {
			rte_prefetch0(t->out);
			rte_prefetch0((uint8_t *)t->out + 64);
		}
		w->ops[kept].m = m;
		tunnels[kept++] = t;
	}
	return kept;
}

static void ask_for_child(struct dp_worker *w, struct dp_tunnel *t)
{
	if (t->no_child_ns && w->now_ns - t->no_child_ns < DP_NO_CHILD_NS)
		return;
	t->no_child_ns = w->now_ns;
	dp_pend(w, &t->pending, SA_EVENT_NO_CHILD);
}

// Newest first whose selectors hold the packet (RFC 4301 4.4.1). Usually the first one; the next
// one's lines are asked for while this one is looked at.
static enum dp_drop choose_sa(struct esp_op *op, const struct dp_tunnel *t)
{
	bool any = false;
	for (struct dp_sa *sa = t->out; sa; sa = sa->out.next) {
		if (sa->out.next)
			rte_prefetch0((uint8_t *)sa->out.next + 64);
		if (sa->flags & DP_SA_STOPPED)
			continue;
		any = true;
		if (dp_sa_selects(sa, dp_data(op->m), op->m->data_len)) {
			op->sa = sa;
			return DP_DROP_NONE;
		}
	}
	return any ? DP_DROP_no_selector : DP_DROP_no_child;
}

static void without_sa(
	struct dp_worker *w, struct dp_tunnel *t, struct rte_mbuf *m, enum dp_drop why)
{
	uint16_t owner = (uint16_t)dp_tunnel_worker(t->index);
	if (owner != w->id) {
		to_owner(w, owner, m);
		return;
	}
	if (why == DP_DROP_no_child)
		ask_for_child(w, t);
	if (why == DP_DROP_no_child && t->flags & DP_TUNNEL_HOLD)
		dp_hold_packet(w, t, m);
	else
		dp_drop(w, m, why);
}

static uint32_t text_len(const struct dp_sa *sa, uint32_t inner)
{
	return RTE_ALIGN_CEIL(inner + 2, (uint32_t)sa->align);
}

// The sequence number never wraps (RFC 4303 3.3.3): without ESN 2^32 - 1 is the last one. That it comes
// near its end is among the limits of packets (sink_sa.c).
enum dp_drop dp_next_seq(struct dp_worker *w, struct dp_sa *sa, uint64_t *seq)
{
	uint64_t last = dp_get(&sa->seq);
	if (last >= (sa->flags & DP_SA_ESN ? UINT64_MAX : UINT32_MAX)) {
		sa->flags |= DP_SA_STOPPED;
		dp_pend(w, &dp_sa_cold(sa)->pending, SA_EVENT_HARD_LIMIT);
		return DP_DROP_seq_end;
	}
	*seq = last + 1;
	dp_set(&sa->seq, *seq);
	return DP_DROP_NONE;
}

// Room before and behind, padding and trailer, ESP header. RFC 4303 2.4: padding is 1, 2, 3, ...
// limit: of the outer packet, bytes.
static enum dp_drop wrap(
	struct dp_worker *w, struct esp_op *op, const struct dp_tunnel *t, uint32_t limit)
{
	struct rte_mbuf *m = op->m;
	struct dp_sa *sa = op->sa;
	uint32_t inner = m->data_len, text = text_len(sa, inner);
	uint32_t tail = text - inner + sa->icv_len;
	uint8_t *p = dp_data(m), next = p[0] >> 4 == 4 ? 4 : PROTO_IPV6;

	if (dp_overhead(t, sa) + text > limit) {
		dp_meta(m)->mtu = dp_inner_mtu(t, sa);
		return DP_DROP_too_big;
	}
	if (rte_pktmbuf_headroom(m) < dp_overhead(t, sa) + RTE_ETHER_HDR_LEN ||
		rte_pktmbuf_tailroom(m) < tail)
		return DP_DROP_no_room;
	enum dp_drop why = dp_next_seq(w, sa, &op->seq);
	if (why != DP_DROP_NONE)
		return why;
	uint32_t pad = text - inner - 2;
	for (uint32_t i = 0; i < pad; i++)
		p[inner + i] = (uint8_t)(i + 1);
	p[text - 2] = (uint8_t)pad;
	p[text - 1] = next;
	op->text_len = (uint16_t)text;
	op->esp = p - sa->iv_len - ESP_HDR_LEN;
	memcpy(op->esp, &sa->spi, 4);
	set_be32(op->esp + 4, (uint32_t)op->seq);
	return DP_DROP_NONE;
}

static inline enum dp_drop wrap_as(
	struct dp_worker *w, struct esp_op *op, const struct dp_tunnel *t, uint32_t limit)
{
	return unlikely(op->sa->flags & DP_SA_TRANSPORT) ? dp_transport_wrap(w, op, t, limit)
							 : wrap(w, op, t, limit);
}

static void refuse(
	struct dp_worker *w, struct dp_tunnel *t, const struct esp_op *op, enum dp_drop why)
{
	if (why != DP_DROP_too_big) {
		dp_drop(w, op->m, why);
		return;
	}
	if (dp_frag_take(w, t, op->sa, op->m))
		return;
	dp_add(&w->stats.drops[why], 1);
	dp_punt(w, op->m, DP_PUNT_TOO_BIG);
}

// Stages 2 and 3: SA, then header and trailer, while the keys come.
static unsigned prepare(struct dp_worker *w, struct dp_tunnel **tunnels, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &w->ops[i];
		struct dp_tunnel *t = tunnels[i];
		enum dp_drop why = choose_sa(op, t);
		if (unlikely(why != DP_DROP_NONE)) {
			without_sa(w, t, op->m, why);
			continue;
		}
		if (unlikely(t->treat))
			why = dp_treat_out(w, t, op->sa, op->m);
		if (why == DP_DROP_NONE)
			why = wrap_as(w, op, t, t->mtu);
		if (why != DP_DROP_NONE) {
			refuse(w, t, op, why);
			continue;
		}
		dp_keys_prefetch(op->sa, op->text_len);
		// Counted here, so that the limit that this packet reaches holds for the next.
		// What TFC has added is in data_len alone.
		dp_sa_count(w, op->sa, op->m->pkt_len);
		tunnels[kept] = t;
		if (kept != i)
			memcpy(&w->ops[kept], op, offsetof(struct esp_op, ok));
		kept++;
	}
	return kept;
}

struct inner_marks {
	uint8_t tos;
	bool df;
};

static struct inner_marks marks_of(const uint8_t *inner)
{
	if (inner[0] >> 4 == 4)
		return (struct inner_marks){inner[1], inner[6] & IP4_DF};
	// IPv6 is never fragmented on its way, so its outer packet is not either.
	return (struct inner_marks){(uint8_t)(inner[0] << 4 | inner[1] >> 4), true};
}

// RFC 6040 4.1: the ECN field goes along as it is; RFC 4301 8.1: DF copied, set or cleared.
static void outer_v4(const struct dp_tunnel *t, uint8_t *h, uint16_t total,
	struct inner_marks marks, uint16_t id)
{
	bool df = t->df == SA_DF_SET || (t->df == SA_DF_COPY && marks.df);
	uint16_t frag = df ? IP4_DF << 8 : 0;
	h[1] = marks.tos;
	set_be16(h + 2, total);
	set_be16(h + 4, id);
	set_be16(h + 6, frag);
	set_be16(h + 10, (uint16_t)~ip_fold(t->sum + marks.tos + total + id + frag));
}

static void outer_v6(uint8_t *h, uint16_t total, struct inner_marks marks)
{
	h[0] = (uint8_t)(0x60 | marks.tos >> 4);
	h[1] = (uint8_t)(marks.tos << 4);
	set_be16(h + 4, total - IP6_HDR);
}

static void put_outer(struct esp_op *op, const struct dp_tunnel *t, struct inner_marks marks)
{
	struct rte_mbuf *m = op->m;
	uint16_t total = (uint16_t)(dp_overhead(t, op->sa) + op->text_len);
	uint8_t *h = op->esp - t->hdr_len;

	m->data_off -= (uint16_t)(dp_data(m) - h);
	m->data_len = total;
	m->pkt_len = total;
	memcpy(h, t->hdr, t->hdr_len);
	marks.tos = (uint8_t)((marks.tos & t->tos_keep) | t->tos_set);
	if (t->outer_family == IP_V4)
		outer_v4(t, h, total, marks, (uint16_t)op->seq);
	else
		outer_v6(h, total, marks);
	if (t->udp_at)
		set_be16(h + t->udp_at + 4, (uint16_t)(total - t->udp_at));
}

// The last stages, for what is prepared. whole: any size, which may be above the path's MTU.
static inline __attribute__((always_inline)) void seal_and_send(
	struct dp_worker *w, struct dp_tunnel **tunnels, unsigned n, bool whole)
{
	struct inner_marks marks[2 * DP_BURST];
	// The inner header is about to be encrypted.
	for (unsigned i = 0; i < n; i++)
		marks[i] = marks_of(dp_data(w->ops[i].m));
	dp_seal_burst(&w->crypto, w->ops, n);
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &w->ops[i];
		const struct dp_tunnel *t = tunnels[i];
		if (!op->ok) {
			dp_drop(w, op->m, DP_DROP_crypto);
			continue;
		}
		if (unlikely(op->sa->flags & DP_SA_TRANSPORT))
			dp_transport_uncover(op, t);
		else
			put_outer(op, t, marks[i]);
		dp_add(&w->stats.esp_out_packets, 1);
		if (whole && op->m->data_len > t->mtu)
			dp_frag_outer(w, t, op->m);
		else
			dp_tx_ip(w, &w->dp->ports[t->port], &t->next_hop, t->outer_family, op->m);
	}
}

void dp_esp_out(struct dp_worker *w)
{
	struct dp_tunnel *tunnels[2 * DP_BURST];
	unsigned n = find_tunnels(w, tunnels);
	w->esp_out.n = 0;
	n = prepare(w, tunnels, n);
	seal_and_send(w, tunnels, n, false);
	if (unlikely(w->big.n))
		dp_frag_run(w);
}

void dp_esp_out_as(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa, struct rte_mbuf **m,
	unsigned n, bool whole)
{
	struct dp_tunnel *tunnels[2 * DP_BURST];
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &w->ops[kept];
		op->m = m[i];
		op->sa = sa;
		enum dp_drop why = sa->flags & DP_SA_STOPPED
					   ? DP_DROP_esp_stopped
					   : wrap_as(w, op, t, whole ? UINT16_MAX : t->mtu);
		if (why != DP_DROP_NONE) {
			dp_drop(w, m[i], why);
			continue;
		}
		dp_sa_count(w, sa, m[i]->pkt_len);
		tunnels[kept++] = t;
	}
	seal_and_send(w, tunnels, kept, whole);
}
