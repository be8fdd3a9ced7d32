// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP inbound, RFC 4303 3.4: a burst in stages, so that the memory of one packet's SA and keys
// arrives while the others are looked at.
#include "dataplane/replay.h"
#include "dataplane/trace.h"
#include "dataplane/transport.h"
#include "dataplane/treat.h"
#include "dataplane/unwrap.h"

static void count_cold(dp_counter_t *c)
{
	dp_add(c, 1);
}

// Stage 1: SPI to SA; the SA's two lines are on their way.
void dp_esp_in_add(struct dp_worker *w, struct rte_mbuf *m)
{
	uint32_t before = m->l2_len + m->l3_len;
	dp_take_esp(w, m, dp_data(m) + before, m->data_len - before, m->l3_len, dp_meta(m)->port);
}

// Bytes of ciphertext, or 0: too short, or not whole blocks.
static inline uint32_t text_of(const struct dp_sa *sa, uint32_t esp_len)
{
	uint32_t text = esp_len - sa->around;
	return esp_len < sa->around + 2u || (text & (sa->align - 1u)) ? 0 : text;
}

// The sequence number that lo stands for where it is above the newest one by less than 2^31, as it mostly
// is: what replay_esn() finds with whatever window. Else 0, or none above top.
static inline uint64_t newer_seq(const struct dp_sa *sa, uint64_t top, uint32_t lo)
{
	uint32_t ahead = lo - (uint32_t)top;
	uint64_t seq = top + ahead;
	bool there = ahead < 1u << 31 && (sa->flags & DP_SA_ESN || seq >> 32 == 0);
	return likely(there) ? seq : 0;
}

static __rte_noinline enum dp_drop check_late(struct esp_op *op, uint64_t top, uint32_t lo)
{
	struct dp_sa *sa = op->sa;
	op->seq = sa->flags & DP_SA_ESN ? replay_esn(top, sa->window, lo) : lo;
	if (sa->window &&
		!replay_check(dp_sa_replay(sa), sa->word_mask, sa->window, top, op->seq)) {
		count_cold(&dp_sa_cold(sa)->replayed);
		return DP_DROP_esp_replay;
	}
	return DP_DROP_NONE;
}

// Stage 2: SPI, state, length, replay.
static inline enum dp_drop check(struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	// A slot that is not in use has SPI 0, which is never one (RFC 4303 2.1).
	if (unlikely(!sa || sa->spi == 0 || sa->spi != dp_load32(op->esp)))
		return DP_DROP_esp_no_sa;
	if (unlikely(sa->flags & DP_SA_STOPPED))
		return DP_DROP_esp_stopped;
	uint32_t text = text_of(sa, op->len);
	if (unlikely(!text)) {
		count_cold(&dp_sa_cold(sa)->malformed);
		return DP_DROP_esp_runt;
	}
	op->text_len = (uint16_t)text;
	uint32_t lo = get_be32(op->esp + 4);
	uint64_t top = dp_get(&sa->seq);
	op->seq = newer_seq(sa, top, lo);
	return likely(op->seq > top) ? DP_DROP_NONE : check_late(op, top, lo);
}

__rte_noinline bool dp_not_seen(struct esp_op *op, uint64_t top, uint32_t lo)
{
	struct dp_sa *sa = op->sa;
	op->seq = sa->flags & DP_SA_ESN ? replay_esn(top, sa->window, lo) : lo;
	return replay_check(sa->replay, sa->word_mask, sa->window, top, op->seq);
}

// Those that have not been checked yet. What stays moves up.
static unsigned check_burst(struct dp_worker *w, struct esp_op *ops, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		enum dp_drop why = check(&ops[i]);
		if (unlikely(why != DP_DROP_NONE)) {
			dp_drop(w, ops[i].m, why);
			continue;
		}
		if (unlikely(kept != i))
			memcpy(&ops[kept], &ops[i], offsetof(struct esp_op, iv));
		kept++;
	}
	return kept;
}

// RFC 4303 2.4: the padding is 1, 2, 3, ...; "the receiver SHOULD inspect the Padding field".
static inline enum dp_drop strip_trailer(const struct esp_op *op, uint8_t *next, uint32_t *len)
{
	const uint8_t *text = op->esp + ESP_HDR_LEN + op->sa->iv_len;
	uint32_t pad = text[op->text_len - 2u];
	*next = text[op->text_len - 1u];
	if (unlikely(pad + 2 > op->text_len))
		return DP_DROP_esp_padding;
	*len = op->text_len - 2u - pad;
	// Behind two bytes of padding there are two of trailer.
	if (likely(pad <= 3)) {
		uint32_t mask = (1u << 8 * pad) - 1;
		return likely(((dp_load32(text + *len) ^ 0x030201) & mask) == 0)
			       ? DP_DROP_NONE
			       : DP_DROP_esp_padding;
	}
	for (uint32_t i = 0; i < pad; i++)
		if (text[*len + i] != i + 1)
			return DP_DROP_esp_padding;
	return DP_DROP_NONE;
}

static inline const uint8_t *outer_ip(const struct esp_op *op)
{
	return op->esp - op->upper;
}

static inline uint8_t outer_tos(const struct esp_op *op)
{
	const uint8_t *p = outer_ip(op);
	return p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
}

// Where a packet came from. False: not in the tunnel's own encapsulation. That is taken as well, but
// does not tell by which ports a NAT lets our packets in.
static bool outer_source(const struct esp_op *op, const struct dp_tunnel *t, struct endpoint *from)
{
	const uint8_t *p = outer_ip(op);
	bool v4 = p[0] >> 4 == 4;
	uint32_t ip_hdr = v4 ? IP4_HDR : IP6_HDR;
	bool udp = op->upper > ip_hdr;
	from->addr = ip_from_bytes(v4 ? IP_V4 : IP_V6, p + (v4 ? 12 : 8));
	from->port = udp ? get_be16(p + ip_hdr) : 0;
	if (udp)
		return t->udp_at && get_be16(p + ip_hdr + 2) == t->local.port;
	return t->udp_at == 0;
}

// A place is told once more as long as the peer's packets come from there and ours go elsewhere: what the
// control plane could not use when it was told it may later. A peer that changes with every packet is
// told as often as it may.
static bool worth_telling(
	const struct dp_worker *w, const struct dp_sa_cold *c, const struct endpoint *from)
{
	bool told = endpoint_eq(from, &c->moved_to);
	return c->moved_ns == 0 ||
	       w->now_ns - c->moved_ns >= (told ? DP_MOVED_NS : DP_MOVED_MIN_NS);
}

// Only a packet that is authentic and the newest can move the peer (RFC 7296 2.23): an old one
// that was kept back cannot.
static __rte_noinline void see_peer(struct dp_worker *w, struct esp_op *op)
{
	struct dp_tunnel *t = dp_slab_at(&w->tunnels, op->sa->tunnel_slot);
	struct endpoint from;
	struct dp_sa_cold *c = dp_sa_cold(op->sa);
	if (!outer_source(op, t, &from))
		return;
	// Plain ESP has no port to compare.
	if (ip_eq(&from.addr, &t->remote.addr) && (!t->udp_at || from.port == t->remote.port)) {
		return;
	}
	if (!worth_telling(w, c, &from))
		return;
	c->moved_to = from;
	c->moved_ns = w->now_ns;
	// What comes by another worker until the control plane has followed is no error of the NIC's.
	if (t->udp_at)
		atomic_store_explicit(
			&w->uplink_cause[c->slot], DP_HANDOFF_ROAMING, memory_order_relaxed);
	dp_pend(w, &c->pending, SA_EVENT_PEER_MOVED);
}

// Both ports of an outer IPv4 header without options, as they stand in the packet; 0: plain ESP.
static inline uint32_t ports_of(uint32_t upper, const uint8_t *p)
{
	return upper == IP4_HDR ? 0 : dp_load32(p + IP4_HDR);
}

// From where the tunnel's packets go.
static inline bool same_peer(const struct dp_sa *sa, const struct esp_op *op)
{
	const uint8_t *p = outer_ip(op);
	if (unlikely(p[0] != 0x45 || dp_load32(p + 12) != sa->peer_v4))
		return false;
	return ports_of(op->upper, p) == sa->peer_ports;
}

// The packet is authentic. RFC 4303 3.4.3: "The receive window is updated only if the integrity
// verification succeeds."; a duplicate may stand in the same burst.
static __rte_noinline enum dp_drop accept_late(struct esp_op *op, uint64_t top)
{
	struct dp_sa *sa = op->sa;
	uint64_t *bits = dp_sa_replay(sa);
	if (!sa->window)
		return DP_DROP_NONE;
	if (!replay_check(bits, sa->word_mask, sa->window, top, op->seq)) {
		count_cold(&dp_sa_cold(sa)->replayed);
		return DP_DROP_esp_replay;
	}
	(void)replay_mark(bits, sa->word_mask, top, op->seq);
	return DP_DROP_NONE;
}

static inline enum dp_drop accept_seq(struct dp_worker *w, struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	uint64_t top = dp_get(&sa->seq);
	if (unlikely(op->seq <= top)) {
		enum dp_drop why = accept_late(op, top);
		if (why != DP_DROP_NONE)
			return why;
	} else {
		if (likely(sa->window))
			(void)replay_mark(dp_sa_replay(sa), sa->word_mask, top, op->seq);
		dp_set(&sa->seq, op->seq);
		if (unlikely(!same_peer(sa, op)))
			see_peer(w, op);
	}
	if (unlikely(!(sa->flags & DP_SA_FIRST_TOLD))) {
		sa->flags |= DP_SA_FIRST_TOLD;
		sa->special &= (uint8_t)~DP_SPECIAL_FIRST;
		dp_pend(w, &dp_sa_cold(sa)->pending, SA_EVENT_FIRST_IN);
	}
	return DP_DROP_NONE;
}

static inline uint8_t *inner_of(const struct esp_op *op)
{
	return op->esp + ESP_HDR_LEN + op->sa->iv_len;
}

static __rte_noinline enum dp_drop parse_other(
	const uint8_t *inner, uint8_t next, uint32_t len, struct ip_info *ip)
{
	uint8_t family = next == 4 ? IP_V4 : next == PROTO_IPV6 ? IP_V6 : 0;
	if (next == PROTO_NONE)
		return DP_DROP_esp_dummy; // RFC 4303 2.6: "MUST be prepared to discard"
	if (!family)
		return DP_DROP_esp_next_header;
	if (len == 0 || inner[0] >> 4 != family)
		return DP_DROP_esp_inner;
	enum dp_drop why = ip_parse_packet(inner, len, true, ip);
	if (why == DP_DROP_NONE || why == DP_DROP_ip_options || why == DP_DROP_ip_checksum)
		return why;
	return DP_DROP_esp_inner;
}

// The inner packet: whole, of the family that next header says, within the SA's selectors.
static enum dp_drop check_inner(
	struct dp_worker *w, struct esp_op *op, uint8_t next, uint32_t len, struct ip_info *ip)
{
	uint8_t *inner = inner_of(op);
	if (likely(next == 4 && dp_plain_v4(inner, len, false))) {
		ip_info_of_v4(inner, ip);
	} else {
		enum dp_drop why = parse_other(inner, next, len, ip);
		if (why != DP_DROP_NONE)
			return why;
	}
	if (unlikely(!dp_sa_selects_fast(op->sa, inner, ip->total)))
		return DP_DROP_selector;
	return dp_ecn_in(w, inner, ip, outer_tos(op) & ECN_MASK);
}

static uint64_t family_of(const struct dp_worker *w, uint32_t index)
{
	return atomic_load_explicit(dp_tunnel_family(w->dp, index), memory_order_acquire);
}

// The destination's tunnel may have gone since it was looked up, and its slot may be another's: whose
// family then is asked for makes no difference: no two families have the same number.
static bool same_family(
	const struct dp_worker *w, const struct dp_tunnel *t, const struct dp_dst_entry *e)
{
	uint64_t family = family_of(w, t->index);
	return family && family == family_of(w, e->index);
}

// The inner source must lead back into the same tunnel, or into one that takes its routes over, or
// from which it has them.
static enum dp_drop check_way_back(
	const struct dp_worker *w, const struct dp_tunnel *t, const struct ip_info *ip)
{
	struct dp_dst_entry e;
	if (dp_dst_lookup(w->dp->dst, ip->family, ip->src, &e) != DP_DST_TUNNEL)
		return DP_DROP_reverse_path;
	bool back = (e.index == t->index && e.generation == t->generation) || same_family(w, t, &e);
	return back ? DP_DROP_NONE : DP_DROP_reverse_path;
}

static void count_refusal(struct dp_sa *sa, enum dp_drop why)
{
	struct dp_sa_cold *c = dp_sa_cold(sa);
	if (why == DP_DROP_esp_auth)
		count_cold(&c->auth_failed);
	else if (why == DP_DROP_selector || why == DP_DROP_reverse_path)
		count_cold(&c->selector_mismatch);
	else if (why != DP_DROP_esp_dummy && why != DP_DROP_esp_replay &&
		 why != DP_DROP_esp_stopped && why != DP_DROP_policed_in &&
		 why != DP_DROP_policy_discard)
		count_cold(&c->malformed);
}

// What few SAs need.
static __rte_noinline enum dp_drop check_special(
	struct dp_worker *w, struct esp_op *op, uint8_t next, uint32_t len, struct ip_info *ip)
{
	struct dp_sa *sa = op->sa;
	struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	enum dp_drop why = sa->special & DP_SPECIAL_TRANSPORT
				   ? dp_transport_restore(op, next, len, ip)
				   : check_inner(w, op, next, len, ip);
	if (why == DP_DROP_NONE && (sa->special & DP_SPECIAL_REVERSE))
		why = check_way_back(w, t, ip);
	if (why == DP_DROP_NONE && (sa->special & DP_SPECIAL_TREAT))
		why = dp_treat_in(w, t, sa, inner_of(op), ip);
	return why;
}

// What lies behind the inner packet (traffic flow confidentiality padding, RFC 4303 2.7, trailer,
// ICV) is cut off; the outer headers too.
static inline struct dp_inner *uncover(
	struct dp_worker *w, const struct esp_op *op, uint8_t *inner, uint16_t total)
{
	struct rte_mbuf *m = op->m;
	struct dp_inner *r = &w->route.p[w->route.n++];
	m->data_off = (uint16_t)(inner - (uint8_t *)m->buf_addr);
	m->data_len = total;
	m->pkt_len = total;
	r->m = m;
	r->ip = inner;
	r->from = op->sa;
	r->len = total;
	r->port = op->port;
	r->made = 0;
	return r;
}

// An IPv4 packet to where others have gone, while no trace runs.
static inline bool leave(
	struct dp_worker *w, uint64_t state, struct rte_mbuf *m, uint8_t *inner, uint32_t len)
{
	const struct dp_exit *x = dp_exit_v4(w, state, inner, len);
	if (unlikely(!x))
		return false;
	dp_hop_v4(inner);
	dp_tx_frame_untraced(x->hop, m, inner, len);
	dp_tx_put(w, x->tx, x->port, m);
	return true;
}

// Most packets: IPv4 without options, with nothing to be done but to look whether it is right. True: it
// is counted and on its way. False: nothing is decided, finish_other() looks once more.
static inline bool finish_plain(struct dp_worker *w, struct esp_op *op, uint8_t next, uint32_t len)
{
	struct dp_sa *sa = op->sa;
	uint8_t *inner = inner_of(op), ecn = outer_tos(op) & ECN_MASK;
	if (unlikely((sa->special & DP_SPECIAL_TREATED) || next != 4 ||
		     !dp_plain_v4(inner, len, false)))
		return false;
	uint16_t total = get_be16(inner + 2);
	if (unlikely(!dp_sa_selects_fast(sa, inner, total) ||
		     (ecn != ECN_NOT_ECT && ecn != (inner[1] & ECN_MASK))))
		return false;
	dp_sa_count(w, sa, total);
	// In their order: behind one that has to be looked up so have the others.
	if (likely(w->route.n == 0) && likely(w->straight) &&
		leave(w, dp_exit_state(w), op->m, inner, total))
		return true;
	struct dp_inner *r = uncover(w, op, inner, total);
	r->flat = dp_flat_prefetch(w, get_be32(inner + 16));
	r->upper = IP4_HDR;
	r->family = IP_V4;
	return true;
}

static __rte_noinline enum dp_drop finish_other(
	struct dp_worker *w, struct esp_op *op, uint8_t next, uint32_t len)
{
	struct dp_sa *sa = op->sa;
	struct ip_info ip;
	enum dp_drop why = sa->special & DP_SPECIAL_TREATED ? check_special(w, op, next, len, &ip)
							    : check_inner(w, op, next, len, &ip);
	// A limit of packets under one key is about all of them.
	uint64_t used = dp_get(&sa->last_used_ns);
	dp_sa_count(w, sa, why == DP_DROP_NONE ? ip.total : 0);
	// A dummy packet hides that there is no traffic: no session lives on it.
	if (why == DP_DROP_esp_dummy)
		dp_set(&sa->last_used_ns, used);
	if (why != DP_DROP_NONE)
		return why;
	struct dp_inner *r = uncover(w, op, inner_of(op), ip.total);
	r->flat = ip.family == IP_V4 ? dp_flat_prefetch(w, get_be32(ip.dst)) : NULL;
	r->upper = ip.upper;
	r->family = ip.family;
	return DP_DROP_NONE;
}

// Stage 4, for one packet.
static inline enum dp_drop settle(struct dp_worker *w, struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	uint32_t len;
	uint8_t next;

	// An SA stops within a burst, too.
	if (unlikely(sa->flags & DP_SA_STOPPED))
		return DP_DROP_esp_stopped;
	if (unlikely(!op->ok))
		return DP_DROP_esp_auth;
	enum dp_drop why = accept_seq(w, op);
	if (unlikely(why != DP_DROP_NONE))
		return why;
	why = strip_trailer(op, &next, &len);
	if (unlikely(why != DP_DROP_NONE)) {
		dp_sa_count(w, sa, 0);
		return why;
	}
	return likely(finish_plain(w, op, next, len)) ? DP_DROP_NONE
						      : finish_other(w, op, next, len);
}

static uint64_t session_of(const struct dp_worker *w, const struct dp_sa *sa)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	return t->session;
}

static __rte_noinline void refuse(struct dp_worker *w, struct esp_op *op, enum dp_drop why)
{
	count_refusal(op->sa, why);
	dp_drop(w, op->m, why);
}

// False: it is dropped.
static bool finish(struct dp_worker *w, struct esp_op *op)
{
	enum dp_drop why = settle(w, op);
	if (unlikely(why != DP_DROP_NONE)) {
		refuse(w, op, why);
		return false;
	}
	if (unlikely(w->trace))
		dp_trace_inner(w, op->m, false, session_of(w, op->sa));
	return true;
}

// Stages 3 and 4, for packets whose first two are behind them.
static unsigned finish_burst(struct dp_worker *w, struct esp_op *ops, unsigned n)
{
	unsigned good = 0;
	for (unsigned i = 0; i < n; i++)
		good += finish(w, &ops[i]);
	return good;
}

// ---- Plain SAs (no bit of enum dp_sa_special), whose packets have been checked (unwrap.h) ----

// Behind a packet's text, by the bytes of padding, up to three: those, their number, and next header: IPv4.
static const struct {
	uint64_t bytes, count; // the last eight, and which of them
} trailers[] = {
	{0x0400000000000000, 0xffff000000000000},
	{0x0401010000000000, 0xffffff0000000000},
	{0x0402020100000000, 0xffffffff00000000},
	{0x0403030201000000, 0xffffffffff000000},
};

// The text is a plain IPv4 packet of the SA's, total bytes as its header says, with its trailer and no more.
static inline bool plain_text(
	const struct dp_sa *sa, const uint8_t *text, uint32_t len, uint32_t total)
{
	uint32_t pad = len - 2 - total;
	static_assert(GCM_TEXT - 2 - (RTE_DIM(trailers) - 1) >= IP4_HDR, "all of the header");
	if (unlikely(pad >= RTE_DIM(trailers)) || unlikely(text[0] != 0x45))
		return false;
	uint64_t end = (dp_load64(text + len - 8) ^ trailers[pad].bytes) & trailers[pad].count;
	return likely(end == 0) && likely(dp_v4_sum_ok(text)) && likely(dp_sa_holds_v4(sa, text));
}

static inline bool ecn_agrees(const uint8_t *outer, const uint8_t *inner)
{
	return likely((outer[1] & ECN_MASK) == ECN_NOT_ECT) ||
	       ((outer[1] ^ inner[1]) & ECN_MASK) == 0;
}

static __rte_noinline void send_late(struct dp_worker *w, struct esp_op *op)
{
	uint8_t *inner = op->esp + ESP_HDR_LEN + GCM_IV_LEN;
	op->port = w->esp_in.port;
	struct dp_inner *r = uncover(w, op, inner, get_be16(inner + 2));
	r->flat = dp_flat_prefetch(w, get_be32(inner + 16));
	r->upper = IP4_HDR;
	r->family = IP_V4;
}

// Mark a number above the newest one, in the hot words.
static inline void move_window(struct dp_sa *sa, uint64_t top, uint64_t seq)
{
	uint64_t *own = &sa->replay[(seq >> 6) & sa->word_mask];
	if (unlikely((seq ^ top) >> 6))
		replay_clear(sa->replay, sa->word_mask, seq, (seq >> 6) - (top >> 6));
	*own |= 1ull << (seq & 63);
	dp_set(&sa->seq, seq);
}

// The packet is authentic and what it seems to be. False: nothing is decided. state: dp_exit_state(), as long
// as none has to be looked up: behind it so have the others, in their order.
static __rte_always_inline bool finish_quick(
	struct dp_worker *w, struct esp_op *op, uint64_t *state)
{
	struct dp_sa *sa = op->sa;
	struct rte_mbuf *m = op->m;
	uint8_t *inner = op->esp + ESP_HDR_LEN + GCM_IV_LEN;
	uint32_t len = op->text_len, upper = op->upper;
	const uint8_t *outer = op->esp - upper;
	uint64_t top = dp_get(&sa->seq), seq = op->seq;
	if (unlikely(!dp_tag_equal(op->tag, inner + len)) || unlikely(sa->special) ||
		unlikely(seq <= top))
		return false;
	// (text_len has room for an IPv4 header, so that total cannot be less.)
	uint32_t total = rte_bswap32(dp_load32(inner)) & UINT16_MAX;
	if (unlikely(!plain_text(sa, inner, len, total)) || unlikely(!ecn_agrees(outer, inner)))
		return false;
	move_window(sa, top, seq);
	if (unlikely(dp_load32(outer + 12) != sa->peer_v4) ||
		unlikely(ports_of(upper, outer) != sa->peer_ports))
		see_peer(w, op);
	dp_sa_count(w, sa, total);
	if (unlikely(!leave(w, *state, m, inner, total))) {
		send_late(w, op);
		*state = DP_EXIT_NONE;
	}
	return true;
}

static __rte_noinline bool finish_slow(struct dp_worker *w, struct esp_op *op)
{
	op->ok = dp_tag_equal(op->tag, op->esp + ESP_HDR_LEN + GCM_IV_LEN + op->text_len);
	op->port = w->esp_in.port;
	return finish(w, op);
}

// What comes next is not from outside.
static __rte_noinline void warm_other(struct dp_warm *x)
{
	dp_warm_step(x);
}

static inline void warm(struct dp_warm *x)
{
	if (!dp_warm_due(x))
		return;
	if (likely(x->outside))
		dp_warm_step_outside(x);
	else
		warm_other(x);
}

static inline void open_one(struct dp_crypto *c, struct gcm_row *g, struct esp_op *op)
{
	if (unlikely(dp_gcm_kind(op->sa) != g->kind))
		dp_gcm_choose(c, op->sa, false, g);
	warm(c->warm);
	dp_gcm_open(c, g, op, op->tag);
}

static void open_plain(struct dp_crypto *c, struct esp_op *ops, unsigned n)
{
	struct gcm_row g = {.kind = DP_GCM_NO_KIND};
	unsigned i = 0;
	dp_gcm_begin(c, ops, n);
	for (; i + DP_KEYS_AHEAD < n; i++) {
		dp_gcm_keys(&g, &ops[i + DP_KEYS_AHEAD]);
		open_one(c, &g, &ops[i]);
	}
	for (; i < n; i++) {
		dp_warm_keys(c->warm, i + DP_KEYS_AHEAD - n);
		open_one(c, &g, &ops[i]);
	}
}

static unsigned plain_burst(struct dp_worker *w, struct esp_op *ops, unsigned n)
{
	uint64_t state = w->route.n ? DP_EXIT_NONE : dp_exit_state(w);
	unsigned bad = 0;
	open_plain(&w->crypto, ops, n);
	for (unsigned i = 0; i < n; i++)
		if (unlikely(!finish_quick(w, &ops[i], &state))) {
			bad += !finish_slow(w, &ops[i]);
			state = w->route.n ? DP_EXIT_NONE : state;
		}
	return n - bad;
}

void dp_esp_in(struct dp_worker *w)
{
	struct dp_ops *b = &w->esp_in;
	unsigned plain = b->ready, good = plain ? plain_burst(w, b->op, plain) : 0;
	struct esp_op *ops = b->op + plain;
	unsigned n = check_burst(w, ops, b->n - plain);
	b->n = b->ready = 0;
	if (n) {
		dp_open_burst(&w->crypto, ops, n);
		good += finish_burst(w, ops, n);
	}
	dp_add(&w->stats.esp_in_packets, good);
}
