// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP outbound, RFC 4303 3.3: tunnel, SA, keys, one prefetch stage each; then all are encrypted back
// to back and sent.
#include "dataplane/frag.h"
#include "dataplane/trace.h"
#include "dataplane/transport.h"
#include "dataplane/treat.h"
#include "dataplane/udp6.h"
#include "dataplane/wrap.h"

void dp_esp_out_add(struct dp_worker *w, struct rte_mbuf *m)
{
	const struct dp_meta *meta = dp_meta(m);
	struct esp_op *op = dp_ops_add(&w->esp_out);
	op->m = m;
	op->esp = dp_data(m);
	op->len = m->data_len;
	op->upper = (uint16_t)m->l3_len;
	op->to = meta->to;
	op->generation = meta->generation;
	op->from = meta->tunnel;
	op->port = meta->port;
}

// What the control thread, another worker, or this one later has to know.
static struct dp_meta *describe(const struct dp_worker *w, const struct esp_op *op)
{
	struct dp_meta *meta = dp_meta_begin(w, op->m, op->port);
	meta->tunnel = op->from;
	meta->to = op->to;
	meta->generation = op->generation;
	op->m->l2_len = 0;
	op->m->l3_len = op->upper;
	return meta;
}

// ---- Where the usual way ends ----

// From a worker's copy of a shared tunnel to the tunnel's worker, which has another SA for the packet, or
// keeps it until there is one.
static void to_owner(struct dp_worker *w, uint16_t owner, const struct esp_op *op)
{
	bool client = op->from != TUNNEL_NONE;
	(void)describe(w, op);
	dp_handoff(w, owner, op->m, DP_CARRY_INNER, client ? DP_HANDOFF_CLIENT : DP_HANDOFF_PREFIX);
}

// The message that makes the copy may still be on its way.
static void without_tunnel(struct dp_worker *w, const struct esp_op *op)
{
	uint16_t owner = (uint16_t)dp_tunnel_worker(op->to);
	if (owner != w->id)
		to_owner(w, owner, op);
	else
		dp_drop(w, op->m, DP_DROP_stale_tunnel);
}

static void ask_for_child(struct dp_worker *w, struct dp_tunnel *t)
{
	if (t->no_child_ns && w->now_ns - t->no_child_ns < DP_NO_CHILD_NS)
		return;
	t->no_child_ns = w->now_ns;
	dp_pend(w, &t->pending, SA_EVENT_NO_CHILD);
}

static void without_sa(
	struct dp_worker *w, struct dp_tunnel *t, const struct esp_op *op, enum dp_drop why)
{
	uint16_t owner = (uint16_t)dp_tunnel_worker(t->index);
	if (owner != w->id) {
		to_owner(w, owner, op);
		return;
	}
	if (why == DP_DROP_no_child)
		ask_for_child(w, t);
	if (why == DP_DROP_no_child && t->flags & DP_TUNNEL_HOLD) {
		(void)describe(w, op);
		dp_hold_packet(w, t, op->m);
	} else {
		dp_drop(w, op->m, why);
	}
}

// Newest first whose selectors hold the packet (RFC 4301 4.4.1).
static enum dp_drop choose_sa(struct esp_op *op, const struct dp_tunnel *t)
{
	bool any = false;
	struct dp_sa *next;
	for (struct dp_sa *sa = t->out; sa; sa = next) {
		next = dp_sa_cold(sa)->out_next;
		if (next) {
			rte_prefetch0((uint8_t *)next + 64);
			rte_prefetch0(dp_sa_cold(next));
		}
		if (sa->flags & DP_SA_STOPPED)
			continue;
		any = true;
		if (dp_sa_selects(sa, op->esp, op->len)) {
			op->sa = sa;
			return DP_DROP_NONE;
		}
	}
	return any ? DP_DROP_no_selector : DP_DROP_no_child;
}

// The newest SA of the tunnel will not do. False: the packet is taken care of.
static __rte_noinline bool choose_other(struct dp_worker *w, struct esp_op *op)
{
	struct dp_tunnel *t = dp_tunnel_at(w, op->to, op->generation);
	if (!t) {
		without_tunnel(w, op);
		return false;
	}
	enum dp_drop why = choose_sa(op, t);
	if (why == DP_DROP_NONE)
		return true;
	without_sa(w, t, op, why);
	return false;
}

static uint32_t overhead(const struct dp_sa *sa)
{
	return (uint32_t)sa->out.lead + sa->icv_len;
}

static uint8_t *outer_of(const struct esp_op *op)
{
	return op->esp - (op->sa->out.lead - ESP_HDR_LEN - op->sa->iv_len);
}

// Largest inner packet that fits, for the ICMP answer.
static uint16_t inner_mtu(const struct dp_sa *sa)
{
	uint32_t around = overhead(sa), mtu = sa->out.mtu;
	uint32_t room = mtu > around ? mtu - around : 0;
	room = RTE_ALIGN_FLOOR(room, (uint32_t)sa->align);
	return (uint16_t)(room > 2 ? room - 2 : 0);
}

static __rte_noinline void refuse(struct dp_worker *w, const struct esp_op *op, enum dp_drop why)
{
	if (why != DP_DROP_too_big) {
		dp_drop(w, op->m, why);
		return;
	}
	if (dp_frag_take(w, op))
		return;
	describe(w, op)->mtu = op->mtu;
	dp_add(&w->stats.drops[why], 1);
	dp_punt(w, op->m, DP_PUNT_TOO_BIG);
}

// The sequence number never wraps (RFC 4303 3.3.3): without ESN 2^32 - 1 is the last one. That it comes
// near its end is among the limits of packets (sink_sa.c).
static __rte_noinline enum dp_drop seq_end(struct dp_worker *w, struct dp_sa *sa)
{
	dp_sa_stop(sa);
	dp_pend(w, &dp_sa_cold(sa)->pending, SA_EVENT_HARD_LIMIT);
	return DP_DROP_seq_end;
}

static inline enum dp_drop next_seq(struct dp_worker *w, struct dp_sa *sa, uint64_t *seq)
{
	uint64_t last = dp_get(&sa->seq);
	if (unlikely(last >= (sa->flags & DP_SA_ESN ? UINT64_MAX : UINT32_MAX)))
		return seq_end(w, sa);
	*seq = last + 1;
	dp_set(&sa->seq, last + 1);
	return DP_DROP_NONE;
}

enum dp_drop dp_next_seq(struct dp_worker *w, struct dp_sa *sa, uint64_t *seq)
{
	return next_seq(w, sa, seq);
}

// ---- Stage 1: the newest SA of each one's tunnel; its lines are on their way ----

static void find_sas(struct dp_worker *w, struct esp_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		ops[i].sa = dp_way_sa(w->ways[dp_tunnel_slot(ops[i].to)], ops[i].generation);
		if (likely(ops[i].sa))
			dp_sa_prefetch(ops[i].sa);
	}
}

// ---- Stage 2: padding and trailer, headers ----

// The same where there is no room for more than what is needed. room: bytes behind the packet.
static void put_trailer(uint8_t *p, uint32_t inner, uint32_t text, uint32_t room, uint8_t next)
{
	uint32_t pad = text - inner - 2;
	if (likely(room >= PAD_BLOCK)) {
		dp_put_trailer(p, inner, text, next);
		return;
	}
	for (uint32_t i = 0; i < pad; i++)
		p[inner + i] = (uint8_t)(i + 1);
	p[text - 2] = (uint8_t)pad;
	p[text - 1] = next;
}

// What of the inner header, which is about to be encrypted, may go into the outer one.
static inline void note_marks(struct esp_op *op, const uint8_t *inner, bool v4)
{
	op->tos = v4 ? inner[1] : (uint8_t)(inner[0] << 4 | inner[1] >> 4);
	// IPv6 is never fragmented on its way, so its outer packet is not either.
	op->df = v4 ? inner[6] & DP_OUTER_DF : DP_OUTER_DF;
}

// As the first eight bytes of an IPv4 header hold them.
static inline uint64_t marks_of(const struct esp_op *op)
{
	return (uint64_t)op->tos << DP_TOS_BIT | (uint64_t)op->df << DP_FLAG_BIT;
}

static void put_v6(uint8_t *h, uint16_t total, uint8_t tos)
{
	h[0] = (uint8_t)(0x60 | tos >> 4);
	h[1] = (uint8_t)(tos << 4);
	set_be16(h + 4, total - IP6_HDR);
}

// From the tunnel's template, which takes two lines more.
static void put_template(struct dp_worker *w, const struct esp_op *op, const struct dp_tunnel *t,
	uint8_t *h, uint16_t total)
{
	uint8_t tos = (uint8_t)((op->tos & t->tos_keep) | t->tos_set);
	memcpy(h, t->hdr, t->hdr_len);
	if (t->outer_family == IP_V4) {
		// RFC 4301 8.1: DF is copied, set or cleared.
		h[1] = tos;
		set_be16(h + 2, total);
		h[6] = t->df == SA_DF_COPY ? op->df : t->df == SA_DF_SET ? DP_OUTER_DF : 0;
		dp_store32(h + 4, (uint32_t)h[6] << 16 | dp_next_id(&w->ids, dp_load64(h)));
		set_be16(h + 10, (uint16_t)~ip_fold(t->sum + ip_sum(h, 8) - 0x4500));
	} else {
		put_v6(h, total, tos);
	}
	if (t->udp_at)
		set_be16(h + t->udp_at + 4, (uint16_t)(total - t->udp_at));
}

// Room before and behind, padding and trailer, ESP header; the outer one where the SA has all of it.
// limit: of the outer packet, bytes.
static __rte_always_inline enum dp_drop wrap(struct dp_worker *w, struct esp_op *op, uint32_t limit)
{
	struct rte_mbuf *m = op->m;
	struct dp_sa *sa = op->sa;
	uint8_t *p = op->esp;
	uint32_t inner = op->len, text = RTE_ALIGN_CEIL(inner + 2, (uint32_t)sa->align);
	uint32_t around = overhead(sa);

	if (unlikely(around + text > limit)) {
		op->mtu = inner_mtu(sa);
		return DP_DROP_too_big;
	}
	uint32_t room = rte_pktmbuf_tailroom(m);
	if (unlikely(rte_pktmbuf_headroom(m) < around + RTE_ETHER_HDR_LEN ||
		     room < text - inner + sa->icv_len))
		return DP_DROP_no_room;
	enum dp_drop why = next_seq(w, sa, &op->seq);
	if (unlikely(why != DP_DROP_NONE))
		return why;
	bool v4 = p[0] >> 4 == 4;
	uint64_t seq_be = rte_cpu_to_be_64(op->seq);
	note_marks(op, p, v4);
	put_trailer(p, inner, text, room, v4 ? 4 : PROTO_IPV6);
	op->text_len = (uint16_t)text;
	op->esp = p - sa->iv_len - ESP_HDR_LEN;
	if (likely(sa->out.first))
		dp_put_v4(&w->ids, &sa->out, outer_of(op), marks_of(op), around + text);
	else
		rte_prefetch0(dp_slab_at(&w->tunnels, sa->tunnel_slot));
	dp_put_esp(op->esp, sa->spi, seq_be);
	return DP_DROP_NONE;
}

// What few SAs need.
static __rte_noinline enum dp_drop wrap_special(struct dp_worker *w, struct esp_op *op)
{
	struct dp_tunnel *t = dp_slab_at(&w->tunnels, op->sa->tunnel_slot);
	if (op->sa->special & DP_SPECIAL_TREAT) {
		enum dp_drop why = dp_treat_out(w, t, op->sa, op->m);
		if (why != DP_DROP_NONE)
			return why;
		op->len = op->m->data_len; // TFC adds to it
	}
	return op->sa->special & DP_SPECIAL_TRANSPORT ? dp_transport_wrap(w, op, t, t->mtu)
						      : wrap(w, op, t->mtu);
}

// Most of those that classify could not take in one go are plain as well.
static inline bool prepare_plain(struct dp_worker *w, struct esp_op *op)
{
	struct rte_mbuf *m = op->m;
	struct dp_plain p = {.m = m, .ip = op->esp, .at = m->data_off, .len = op->len};
	uint64_t mark = likely(!w->trace) ? 0 : m->ol_flags & dp_trace_flag(w->trace);
	if (unlikely(!op->sa || p.ip[0] >> 4 != IP_V4 || !dp_wrap_plain(w, op, op->sa, &p)))
		return false;
	m->ol_flags |= mark;
	return true;
}

static __rte_noinline bool prepare_other(struct dp_worker *w, struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	op->framed = false;
	if (unlikely(!sa || (sa->flags & DP_SA_STOPPED) ||
		     !dp_sa_selects_fast(sa, op->esp, op->len)) &&
		!choose_other(w, op))
		return false;
	enum dp_drop why = !op->sa->special ? wrap(w, op, op->sa->out.mtu) : wrap_special(w, op);
	if (unlikely(why != DP_DROP_NONE)) {
		refuse(w, op, why);
		return false;
	}
	// Counted here, so that the limit that this packet reaches holds for the next. What TFC has
	// added is in data_len alone.
	dp_sa_count(w, op->sa, op->m->pkt_len);
	return true;
}

// What stays moves up. The first so many are ready.
static __rte_noinline unsigned prepare_burst(
	struct dp_worker *w, struct esp_op *ops, unsigned ready, unsigned n)
{
	unsigned kept = ready;
	for (unsigned i = ready; i < n; i++) {
		if (unlikely(!prepare_plain(w, &ops[i]) && !prepare_other(w, &ops[i])))
			continue;
		if (unlikely(kept != i))
			memcpy(&ops[kept], &ops[i], offsetof(struct esp_op, icv));
		kept++;
	}
	return kept;
}

// ---- Stage 4: the way out ----

// The next hop is not known where it was, or not yet; or the packet is not for it as it is.
static __rte_noinline void send_slowly(
	struct dp_worker *w, const struct esp_op *op, uint8_t *h, uint32_t total)
{
	struct dp_sa *sa = op->sa;
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	struct rte_mbuf *m = op->m;
	dp_sa_set_hop(w, sa, t);
	(void)describe(w, op);
	m->data_off = (uint16_t)(h - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	if (unlikely(total > t->mtu))
		dp_frag_outer(w, t, m);
	else
		dp_tx_ip(w, &w->dp->ports[t->port], &t->next_hop, t->outer_family, m);
}

// The outer header that was not written before the encryption.
static __rte_noinline void cover(
	struct dp_worker *w, struct esp_op *op, uint8_t **h, uint32_t *total)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, op->sa->tunnel_slot);
	if (op->sa->special & DP_SPECIAL_TRANSPORT) {
		dp_transport_uncover(op, t);
		*h = dp_data(op->m);
		*total = op->m->data_len;
	} else {
		put_template(w, op, t, *h, (uint16_t)*total);
	}
	if (t->udp_at && t->outer_family == IP_V6) {
		uint8_t *udp = op->esp - (t->hdr_len - t->udp_at);
		dp_udp6_sum(*h, udp, (uint16_t)(*total - (uint32_t)(udp - *h)));
	}
}

static __rte_noinline void finish(struct dp_worker *w, struct esp_op *op, bool slowly)
{
	const struct dp_sa_out *o = &op->sa->out;
	uint32_t total = overhead(op->sa) + op->text_len;
	uint8_t *h = outer_of(op);
	if (!o->first)
		cover(w, op, &h, &total);
	if (slowly || (o->hop_gen & ~DP_HOP_OTHER) != w->neigh_gen)
		send_slowly(w, op, h, total);
	else
		dp_tx_eth(w, o->port, &w->neighs[o->hop], op->m, h, total);
}

static __rte_noinline void trace_burst(struct dp_worker *w, const struct esp_op *ops, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct dp_tunnel *t = dp_tunnel_at(w, ops[i].to, ops[i].generation);
		if (t)
			dp_trace_inner(w, ops[i].m, true, t->session);
	}
}

// Frames that stand and leave by one port, as all of a burst do mostly. Returns how many.
static inline unsigned send_alike(struct dp_worker *w, const struct esp_op *ops, unsigned n)
{
	struct dp_batch *b = &w->tx[ops->out];
	unsigned room = b->below > b->n ? b->below - b->n : 0, most = RTE_MIN(n, room), i = 0;
	for (; i < most && likely(ops[i].ok && ops[i].framed && ops[i].out == ops->out); i++)
		b->m[b->n + i] = ops[i].m;
	b->n += i;
	return i;
}

static unsigned send_burst(struct dp_worker *w, struct esp_op *ops, unsigned n)
{
	unsigned sent = ops->framed ? send_alike(w, ops, n) : 0;
	for (unsigned i = sent; i < n; i++) {
		if (unlikely(!ops[i].ok)) {
			dp_drop(w, ops[i].m, DP_DROP_crypto);
			continue;
		}
		if (likely(ops[i].framed))
			dp_tx_add(w, ops[i].out, ops[i].m);
		else
			finish(w, &ops[i], false);
		sent++;
	}
	return sent;
}

void dp_esp_out(struct dp_worker *w)
{
	struct esp_op *ops = w->esp_out.op;
	unsigned n = w->esp_out.n, ready = w->esp_out.ready;
	unsigned found = RTE_MAX(w->esp_out.found, ready);
	w->esp_out.n = w->esp_out.found = w->esp_out.ready = 0;
	if (unlikely(w->trace))
		trace_burst(w, ops, n);
	if (unlikely(ready < n)) {
		find_sas(w, ops + found, n - found);
		n = prepare_burst(w, ops, ready, n);
	}
	if (likely(n)) {
		dp_seal_burst(&w->crypto, ops, n);
		dp_add(&w->stats.esp_out_packets, send_burst(w, ops, n));
	}
	if (unlikely(w->big.n))
		dp_frag_run(w);
}

// ---- Packets that are, or will be, fragments ----

static enum dp_drop wrap_as(struct dp_worker *w, struct esp_op *op, bool whole)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, op->sa->tunnel_slot);
	uint32_t limit = whole ? UINT16_MAX : t->mtu;
	if (op->sa->flags & DP_SA_STOPPED)
		return DP_DROP_esp_stopped;
	return op->sa->special & DP_SPECIAL_TRANSPORT ? dp_transport_wrap(w, op, t, limit)
						      : wrap(w, op, limit);
}

void dp_esp_out_as(
	struct dp_worker *w, const struct dp_big *as, struct rte_mbuf **m, unsigned n, bool whole)
{
	struct esp_op *ops = w->esp_out.op;
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &ops[kept];
		op->m = m[i];
		op->sa = as->sa;
		op->esp = dp_data(m[i]);
		op->len = m[i]->data_len;
		op->upper = as->upper;
		op->to = as->to;
		op->generation = as->generation;
		op->from = as->from;
		op->port = as->port;
		op->framed = false;
		enum dp_drop why = wrap_as(w, op, whole);
		if (why != DP_DROP_NONE) {
			dp_drop(w, m[i], why);
			continue;
		}
		dp_sa_count(w, as->sa, m[i]->pkt_len);
		kept++;
	}
	dp_seal_burst(&w->crypto, ops, kept);
	for (unsigned i = 0; i < kept; i++) {
		if (!ops[i].ok) {
			dp_drop(w, ops[i].m, DP_DROP_crypto);
			continue;
		}
		finish(w, &ops[i], true);
		dp_add(&w->stats.esp_out_packets, 1);
	}
}
