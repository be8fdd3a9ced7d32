// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP inbound, RFC 4303 3.4: a burst in stages, so that the memory of one packet's SA and keys
// arrives while the others are looked at.
#include "dataplane/replay.h"
#include "dataplane/trace.h"
#include "dataplane/transport.h"
#include "dataplane/treat.h"

#include <rte_prefetch.h>

static struct dp_sa *find_slot(struct dp_worker *w, uint32_t spi)
{
	return dp_slab_at(&w->in, dp_spi_slot(&w->layout, spi));
}

static uint8_t *esp_header(struct rte_mbuf *m)
{
	return dp_data(m) + m->l2_len + m->l3_len;
}

static uint64_t *replay_bits(struct dp_sa *sa)
{
	return sa->wide ? sa->wide : sa->replay;
}

static void count_cold(dp_counter_t *c)
{
	dp_add(c, 1);
}

// Stage 1: SPI to SA; the SA's two lines are on their way.
static unsigned lookup(struct dp_worker *w)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < w->esp_in.n; i++) {
		struct rte_mbuf *m = w->esp_in.m[i];
		struct dp_sa *sa = find_slot(w, get_be32(esp_header(m)));
		if (!sa) {
			dp_drop(w, m, DP_DROP_esp_no_sa);
			continue;
		}
		rte_prefetch0(sa);
		rte_prefetch0((uint8_t *)sa + 64);
		w->ops[kept].m = m;
		w->ops[kept++].sa = sa;
	}
	return kept;
}

static enum dp_drop check_lengths(struct esp_op *op, uint32_t esp_len)
{
	struct dp_sa *sa = op->sa;
	uint32_t least = ESP_HDR_LEN + sa->iv_len + sa->icv_len + 2u;
	if (esp_len < least)
		return DP_DROP_esp_runt;
	uint32_t text = esp_len - ESP_HDR_LEN - sa->iv_len - sa->icv_len;
	if (text & (sa->align - 1u))
		return DP_DROP_esp_runt;
	op->text_len = (uint16_t)text;
	return DP_DROP_NONE;
}

// Stage 2: SPI, state, length, replay.
static enum dp_drop check(struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	struct rte_mbuf *m = op->m;
	op->esp = esp_header(m);
	// A slot that is not in use has SPI 0, which is never one (RFC 4303 2.1).
	if (sa->spi == 0 || sa->spi != get_be32(op->esp))
		return DP_DROP_esp_no_sa;
	if (sa->flags & DP_SA_STOPPED)
		return DP_DROP_esp_stopped;
	enum dp_drop why = check_lengths(op, m->data_len - m->l2_len - m->l3_len);
	if (why != DP_DROP_NONE) {
		count_cold(&dp_sa_cold(sa)->malformed);
		return why;
	}
	uint32_t lo = get_be32(op->esp + 4);
	uint64_t top = dp_get(&sa->seq);
	op->seq = sa->flags & DP_SA_ESN ? replay_esn(top, sa->window, lo) : lo;
	if (sa->window && !replay_check(replay_bits(sa), sa->word_mask, sa->window, top, op->seq)) {
		count_cold(&dp_sa_cold(sa)->replayed);
		return DP_DROP_esp_replay;
	}
	return DP_DROP_NONE;
}

static unsigned check_burst(struct dp_worker *w, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &w->ops[i];
		enum dp_drop why = check(op);
		if (why != DP_DROP_NONE) {
			dp_drop(w, op->m, why);
			continue;
		}
		dp_keys_prefetch(op->sa, op->text_len);
		rte_prefetch0(op->esp + op->text_len);
		rte_prefetch0(dp_slab_at(&w->tunnels, op->sa->tunnel_slot));
		if (kept != i)
			memcpy(&w->ops[kept], op, offsetof(struct esp_op, ok));
		kept++;
	}
	return kept;
}

// RFC 4303 2.4: the padding is 1, 2, 3, ...; "the receiver SHOULD inspect the Padding field".
static enum dp_drop strip_trailer(const struct esp_op *op, uint8_t *next, uint32_t *len)
{
	const uint8_t *text = op->esp + ESP_HDR_LEN + op->sa->iv_len;
	uint32_t pad = text[op->text_len - 2u];
	*next = text[op->text_len - 1u];
	if (pad + 2 > op->text_len)
		return DP_DROP_esp_padding;
	*len = op->text_len - 2u - pad;
	for (uint32_t i = 0; i < pad; i++)
		if (text[*len + i] != i + 1)
			return DP_DROP_esp_padding;
	return DP_DROP_NONE;
}

static uint8_t outer_tos(struct rte_mbuf *m)
{
	const uint8_t *p = dp_data(m) + m->l2_len;
	return p[0] >> 4 == 4 ? p[1] : (uint8_t)(p[0] << 4 | p[1] >> 4);
}

// Where a packet came from. False: not in the tunnel's own encapsulation. That is taken as well, but
// does not tell by which ports a NAT lets our packets in.
static bool outer_source(struct rte_mbuf *m, const struct dp_tunnel *t, struct endpoint *from)
{
	const uint8_t *p = dp_data(m) + m->l2_len;
	bool v4 = p[0] >> 4 == 4;
	uint32_t ip_hdr = v4 ? IP4_HDR : IP6_HDR;
	bool udp = m->l3_len > ip_hdr;
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
static void see_peer(struct dp_worker *w, struct esp_op *op, struct dp_tunnel *t)
{
	struct endpoint from;
	struct dp_sa_cold *c = dp_sa_cold(op->sa);
	if (!outer_source(op->m, t, &from))
		return;
	// Plain ESP has no port to compare.
	if (ip_eq(&from.addr, &t->remote.addr) && (!t->udp_at || from.port == t->remote.port))
		return;
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

// The packet is authentic. RFC 4303 3.4.3: "The receive window is updated only if the integrity
// verification succeeds."; a duplicate may stand in the same burst.
static enum dp_drop accept_seq(struct dp_worker *w, struct esp_op *op, struct dp_tunnel *t)
{
	struct dp_sa *sa = op->sa;
	uint64_t top = dp_get(&sa->seq);
	bool newest = op->seq > top;
	if (sa->window) {
		uint64_t *bits = replay_bits(sa);
		if (!replay_check(bits, sa->word_mask, sa->window, top, op->seq)) {
			count_cold(&dp_sa_cold(sa)->replayed);
			return DP_DROP_esp_replay;
		}
		dp_set(&sa->seq, replay_mark(bits, sa->word_mask, top, op->seq));
	} else if (newest) {
		dp_set(&sa->seq, op->seq);
	}
	if (newest)
		see_peer(w, op, t);
	if (!(sa->flags & DP_SA_FIRST_TOLD)) {
		sa->flags |= DP_SA_FIRST_TOLD;
		dp_pend(w, &dp_sa_cold(sa)->pending, SA_EVENT_FIRST_IN);
	}
	return DP_DROP_NONE;
}

// The inner packet: whole, of the family that next header says, within the SA's selectors.
static enum dp_drop check_inner(
	struct dp_worker *w, struct esp_op *op, uint8_t next, uint32_t len, struct ip_info *ip)
{
	uint8_t *inner = op->esp + ESP_HDR_LEN + op->sa->iv_len;
	uint8_t family = next == 4 ? IP_V4 : next == PROTO_IPV6 ? IP_V6 : 0;
	if (next == PROTO_NONE)
		return DP_DROP_esp_dummy; // RFC 4303 2.6: "MUST be prepared to discard"
	if (!family)
		return DP_DROP_esp_next_header;
	if (len == 0 || inner[0] >> 4 != family)
		return DP_DROP_esp_inner;
	enum dp_drop why = ip_parse_packet(inner, len, true, ip);
	if (why != DP_DROP_NONE)
		return why == DP_DROP_ip_options || why == DP_DROP_ip_checksum ? why
									       : DP_DROP_esp_inner;
	if (!dp_sa_selects(op->sa, inner, ip->total))
		return DP_DROP_selector;
	return dp_ecn_in(w, inner, ip, outer_tos(op->m) & ECN_MASK);
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
		 why != DP_DROP_esp_stopped && why != DP_DROP_policed_in)
		count_cold(&c->malformed);
}

// What lies behind the inner packet (traffic flow confidentiality padding, RFC 4303 2.7, trailer,
// ICV) is cut off; the outer headers too.
static void uncover(struct esp_op *op, const struct ip_info *ip)
{
	struct rte_mbuf *m = op->m;
	uint8_t *inner = op->esp + ESP_HDR_LEN + op->sa->iv_len;
	m->data_off += (uint16_t)(inner - dp_data(m));
	m->data_len = ip->total;
	m->pkt_len = ip->total;
	m->l2_len = 0;
	m->l3_len = ip->upper;
}

// Stage 4, for one packet.
static enum dp_drop finish(struct dp_worker *w, struct esp_op *op)
{
	struct dp_sa *sa = op->sa;
	struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	struct ip_info ip;
	uint32_t len;
	uint8_t next;

	if (!op->ok)
		return DP_DROP_esp_auth;
	enum dp_drop why = accept_seq(w, op, t);
	if (why != DP_DROP_NONE)
		return why;
	why = strip_trailer(op, &next, &len);
	if (why == DP_DROP_NONE)
		why = unlikely(sa->flags & DP_SA_TRANSPORT)
			      ? dp_transport_restore(op, next, len, &ip)
			      : check_inner(w, op, next, len, &ip);
	if (why == DP_DROP_NONE && unlikely(t->flags & DP_TUNNEL_REVERSE_PATH))
		why = check_way_back(w, t, &ip);
	if (why == DP_DROP_NONE && unlikely(t->treat))
		why = dp_treat_in(w, t, sa, op->esp + ESP_HDR_LEN + sa->iv_len, &ip);
	if (why != DP_DROP_NONE) {
		// A limit of packets under one key is about all of them.
		dp_sa_count(w, sa, 0);
		return why;
	}
	dp_sa_count(w, sa, ip.total);
	uncover(op, &ip);
	struct dp_meta *meta = dp_meta(op->m);
	meta->tunnel = dp_tunnel_id(t->index, t->generation);
	meta->worker = w->id;
	return DP_DROP_NONE;
}

static uint64_t tunnel_session(const struct dp_worker *w, const struct dp_sa *sa)
{
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, sa->tunnel_slot);
	return t->session;
}

void dp_esp_in(struct dp_worker *w)
{
	unsigned n = lookup(w);
	w->esp_in.n = 0;
	n = check_burst(w, n);
	dp_open_burst(&w->crypto, w->ops, n);
	for (unsigned i = 0; i < n; i++) {
		struct esp_op *op = &w->ops[i];
		// An SA stops within a burst, too.
		enum dp_drop why =
			op->sa->flags & DP_SA_STOPPED ? DP_DROP_esp_stopped : finish(w, op);
		if (why != DP_DROP_NONE) {
			count_refusal(op->sa, why);
			dp_drop(w, op->m, why);
			continue;
		}
		if (unlikely(w->trace))
			dp_trace_inner(w, op->m, false, tunnel_session(w, op->sa));
		dp_add(&w->stats.esp_in_packets, 1);
		dp_batch_add(&w->route, op->m);
	}
}
