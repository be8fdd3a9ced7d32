// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a frame is: ESP for one of our SAs, IKE, something for the gateway itself, or a clear packet
// from the inside. Every length is checked before what it covers is read.
#include "dataplane/exception.h"
#include "dataplane/frag.h"
#include "dataplane/frame.h"
#include "dataplane/ike_io.h"
#include "dataplane/policy.h"
#include "dataplane/transport.h"
#include "dataplane/unwrap.h"
#include "dataplane/vlan.h"
#include "dataplane/wrap.h"

#define IKE_RESPONDER   8 // offset of the responder's SPI; the initiator's is at 0
#define IKE_VERSION     17
#define IKE_FLAGS       19
#define IKE_INITIATOR   0x08 // RFC 7296 3.1: the sender is the IKE SA's original initiator
#define NON_ESP_MARKER  4    // RFC 3948 2.2: four zero bytes before IKE on port 4500
#define ND_FIRST        133  // router solicitation; ICMPv6 types up to redirect are ND
#define ND_LAST         137
#define ETH_MULTICAST   1
#define IP6_LINK_LOCAL0 0xfe

// The frame's destination is ours, or a group's.
static bool eth_for_us(const struct dp_port *port, const uint8_t *p)
{
	return (p[0] & ETH_MULTICAST) || memcmp(p, port->mac.addr_bytes, RTE_ETHER_ADDR_LEN) == 0;
}

static enum dp_drop punt(struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_class class)
{
	dp_punt(w, m, class);
	return DP_DROP_NONE;
}

// The SPI of ours that an IKE message names. IKEv2: from the original initiator it is the
// responder's, which is 0 in a first message; else the initiator's. IKEv1 has no such flag (RFC 2408
// 3.1): it is the responder's cookie if we know that one, else the initiator's, but in a first
// message, where the responder's is 0, it is none.
static uint64_t our_spi(const struct ike_filter *known, const uint8_t *ike)
{
	uint64_t responder = get_be64(ike + IKE_RESPONDER);
	if (ike[IKE_VERSION] >> 4 != 1)
		return ike[IKE_FLAGS] & IKE_INITIATOR ? responder : get_be64(ike);
	return responder == 0 || ike_filter_has(known, responder) ? responder : get_be64(ike);
}

// IKE header at offset at of the frame. Only what names an SPI that is known gets into the ring of
// the established: anybody can write one that is not 0.
static enum dp_drop punt_ike(struct dp_worker *w, struct rte_mbuf *m, uint32_t at, uint32_t len)
{
	if (len < IKE_HEADER_LEN)
		return DP_DROP_ike_short;
	uint64_t ours = our_spi(&w->dp->known_spis, dp_data(m) + at);
	if (ours == 0)
		return punt(w, m, DP_PUNT_IKE_NEW);
	if (ike_filter_has(&w->dp->known_spis, ours))
		return punt(w, m, DP_PUNT_IKE_KNOWN);
	dp_add(&w->stats.ike_unknown, 1);
	return punt(w, m, DP_PUNT_IKE_NEW);
}

// ESP at offset l2 + l3: to this worker's batch, or to its owner.
static enum dp_drop take_esp(struct dp_worker *w, struct rte_mbuf *m, uint32_t len)
{
	if (len < ESP_HDR_LEN)
		return DP_DROP_esp_runt;
	// What stands behind UDP's end is none of it.
	m->data_len = (uint16_t)(m->l2_len + m->l3_len + len);
	m->pkt_len = m->data_len;
	uint32_t spi = get_be32(dp_data(m) + m->l2_len + m->l3_len);
	uint32_t owner = dp_spi_worker(&w->layout, spi);
	if (dp_spi_node(spi) != w->layout.node || owner >= w->dp->worker_count)
		return DP_DROP_esp_no_sa;
	if (owner == w->id) {
		dp_esp_in_add(w, m);
		return DP_DROP_NONE;
	}
	const struct dp_worker *o = w->dp->workers[owner];
	enum dp_handoff cause = dp_meta(m)->cause;
	if (cause != DP_HANDOFF_FRAGMENT)
		cause = atomic_load_explicit(
			&o->uplink_cause[dp_spi_slot(&w->layout, spi)], memory_order_relaxed);
	dp_handoff(w, (uint16_t)owner, m, DP_CARRY_ESP, cause);
	return DP_DROP_NONE;
}

// Port 500: IKE, or ESP behind eight zero bytes (the first drafts of NAT-T). Like any ESP it is taken
// in whatever encapsulation it comes: that it is authentic decides.
static enum dp_drop take_ike(struct dp_worker *w, struct rte_mbuf *m, uint32_t at, uint32_t len)
{
	const uint8_t *p = dp_data(m) + at;
	if (len == 1 && p[0] == 0xff)
		return DP_DROP_keepalive;
	if (len < NON_IKE_MARKER + ESP_HDR_LEN || get_be64(p) != 0)
		return punt_ike(w, m, at, len);
	m->l3_len += UDP_HDR + NON_IKE_MARKER;
	return take_esp(w, m, len - NON_IKE_MARKER);
}

static enum dp_drop take_natt(struct dp_worker *w, struct rte_mbuf *m, uint32_t at, uint32_t len)
{
	const uint8_t *p = dp_data(m) + at;
	if (len == 1 && p[0] == 0xff)
		return DP_DROP_keepalive; // RFC 3948 2.3
	if (len < NON_ESP_MARKER)
		return DP_DROP_udp;
	if (get_be32(p) == 0)
		return punt_ike(w, m, at + NON_ESP_MARKER, len - NON_ESP_MARKER);
	m->l3_len += UDP_HDR;
	return take_esp(w, m, len);
}

// For an own address, and neither IKE nor ESP: what the control thread does not answer is the kernel's,
// where the port has an interface for it.
static enum dp_drop answer_local(struct dp_worker *w, struct rte_mbuf *m, const struct ip_info *ip)
{
	bool exception = w->dp->ports[dp_meta(m)->port].exception_share != 0;
	if (exception && dp_exception_wants(ip, dp_data(m) + m->l2_len))
		return DP_DROP_local_proto;
	return punt(w, m, DP_PUNT_LOCAL);
}

// The same on an outside port: whom transport mode protects does not come in clear.
static enum dp_drop take_local(struct dp_worker *w, struct rte_mbuf *m, const struct ip_info *ip)
{
	if (dp_transport_guards(w, dp_data(m) + m->l2_len, ip))
		return DP_DROP_clear_refused;
	return answer_local(w, m, ip);
}

// UDP to one of our addresses, whole.
static enum dp_drop take_udp(struct dp_worker *w, struct rte_mbuf *m, const struct ip_info *ip)
{
	uint32_t at = m->l2_len + ip->upper, left = ip->total - ip->upper;
	const uint8_t *u = dp_data(m) + at;
	if (left < UDP_HDR)
		return DP_DROP_udp;
	uint16_t port = get_be16(u + 2), len = get_be16(u + 4);
	if (len < UDP_HDR || len > left)
		return DP_DROP_udp;
	if (port == IKE_NATT_PORT)
		return take_natt(w, m, at + UDP_HDR, len - UDP_HDR);
	if (port == IKE_PORT)
		return take_ike(w, m, at + UDP_HDR, len - UDP_HDR);
	return take_local(w, m, ip);
}

static bool is_nd(const struct ip_info *ip, const uint8_t *packet)
{
	return ip->family == IP_V6 && ip->proto == PROTO_ICMP6 && !ip->fragment &&
	       ip->upper < ip->total && packet[ip->upper] >= ND_FIRST &&
	       packet[ip->upper] <= ND_LAST;
}

static enum dp_drop for_gateway(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m,
	const struct ip_info *ip)
{
	if (port->role != CFG_OUTSIDE)
		return ip->fragment ? punt(w, m, DP_PUNT_FRAGMENT) : answer_local(w, m, ip);
	if (ip->fragment)
		return dp_frag_in(w, m, ip);
	if (ip->extended)
		return DP_DROP_ip_options;
	if (ip->proto == PROTO_UDP)
		return take_udp(w, m, ip);
	if (ip->proto == PROTO_ESP)
		return take_esp(w, m, ip->total - ip->upper);
	return take_local(w, m, ip);
}

static bool link_local(const struct ip_info *ip)
{
	return ip->family == IP_V6 && ip->dst[0] == IP6_LINK_LOCAL0 && (ip->dst[1] & 0xc0) == 0x80;
}

// A clear packet that is not for the gateway: only the inside is routed.
static enum dp_drop transit(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m,
	const struct ip_info *ip)
{
	struct dp_inner *r;
	if (port->role != CFG_INSIDE && !dp_policy_lets_in(w, dp_data(m) + m->l2_len, ip))
		return DP_DROP_outside_clear;
	// RFC 1812 5.3.4: what came as a link-layer broadcast is not forwarded.
	if (dp_data(m)[0] & ETH_MULTICAST || ip_bad_destination(ip->family, ip->dst))
		return DP_DROP_ip_destination;
	if (ip_bad_source(ip->family, ip->src))
		return DP_DROP_ip_source;
	m->data_off += (uint16_t)m->l2_len;
	m->data_len -= (uint16_t)m->l2_len;
	m->pkt_len -= m->l2_len;
	r = &w->route.p[w->route.n++];
	*r = (struct dp_inner){.m = m,
		.ip = dp_data(m),
		.len = ip->total,
		.upper = ip->upper,
		.port = port->index,
		.family = ip->family};
	if (ip->family == IP_V4)
		r->flat = dp_flat_prefetch(w, get_be32(ip->dst));
	return DP_DROP_NONE;
}

static enum dp_drop take_ip(
	struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m, uint8_t family)
{
	const uint8_t *p = dp_data(m) + RTE_ETHER_HDR_LEN;
	uint32_t len = m->data_len - RTE_ETHER_HDR_LEN;
	bool sure = (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	struct ip_info ip;

	enum dp_drop why = ip_parse_packet(p, len, !sure, &ip);
	if (why != DP_DROP_NONE)
		return why;
	if (ip.family != family)
		return DP_DROP_ip_header;
	// Ethernet's padding goes.
	m->data_len = (uint16_t)(RTE_ETHER_HDR_LEN + ip.total);
	m->pkt_len = m->data_len;
	m->l2_len = RTE_ETHER_HDR_LEN;
	m->l3_len = ip.upper;
	if (is_nd(&ip, p))
		return punt(w, m, DP_PUNT_ND);
	if (dp_local_lookup(&w->dp->routes, ip.family, ip.dst))
		return for_gateway(w, port, m, &ip);
	if (link_local(&ip) && !ip.fragment)
		return punt(w, m, DP_PUNT_LOCAL);
	return transit(w, port, m, &ip);
}

static enum dp_drop take_frame(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m);

// A frame with a tag, or by a device that has several ports.
static enum dp_drop take_vlan(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m)
{
	enum dp_drop why;
	port = dp_vlan_rx(w, port, m, &why);
	return port ? take_frame(w, port, m) : why;
}

static enum dp_drop take_frame(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m)
{
	const uint8_t *p = dp_data(m);
	uint16_t type = get_be16(p + 12);
	if (!eth_for_us(port, p))
		return DP_DROP_not_for_us;
	switch (type) {
	case RTE_ETHER_TYPE_IPV4:
		return take_ip(w, port, m, IP_V4);
	case RTE_ETHER_TYPE_IPV6:
		return take_ip(w, port, m, IP_V6);
	case RTE_ETHER_TYPE_ARP:
		m->l2_len = RTE_ETHER_HDR_LEN;
		return punt(w, m, DP_PUNT_ARP);
	default: // behind a tag that is taken off no other follows
		return dp_vlan_type(type) ? take_vlan(w, port, m) : DP_DROP_ethertype;
	}
}

static enum dp_drop take(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m)
{
	if (m->nb_segs > 1 && rte_pktmbuf_linearize(m) != 0)
		return DP_DROP_chained;
	if (m->data_len < RTE_ETHER_HDR_LEN)
		return DP_DROP_runt;
	return unlikely(port->vlans) ? take_vlan(w, port, m) : take_frame(w, port, m);
}

static __rte_noinline void take_other(
	struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m, enum dp_handoff cause)
{
	dp_meta_begin(w, m, port->index)->cause = (uint8_t)cause;
	enum dp_drop why = take(w, port, m);
	if (why != DP_DROP_NONE && !dp_exception_take(w, m, why))
		dp_drop(w, m, why);
}

// ---- As most frames are ----

// To this port's own MAC, IPv4 without options, in one segment.
static inline bool plain_frame(
	const struct dp_port_view *v, const struct rte_mbuf *m, const uint8_t *p)
{
	return likely(m->nb_segs == 1 && m->data_len >= RTE_ETHER_HDR_LEN + IP4_HDR) &&
	       likely(dp_plain_head(v, p)) &&
	       dp_plain_v4(
		       p + RTE_ETHER_HDR_LEN, m->data_len - RTE_ETHER_HDR_LEN, dp_checksum_seen(m));
}

// Is this address the gateway's? Of the last one that was, the next packets need not ask again.
static inline bool for_us(struct dp_worker *w, uint32_t dst, const uint8_t *at)
{
	if (likely(dst == w->own_v4))
		return true;
	if (!dp_local_lookup(&w->dp->routes, IP_V4, at))
		return false;
	w->own_v4 = dst;
	return true;
}

// ESP for an SA of this worker's, plain or behind UDP's port 4500; all that is not quite so goes the
// long way.
static inline bool quick_esp(
	struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf *m, struct dp_sa *sa)
{
	uint8_t *p = dp_data(m), *ip = p + RTE_ETHER_HDR_LEN;
	if (unlikely(!plain_frame(v, m, p)))
		return false;
	uint32_t left = get_be16(ip + 2) - (uint32_t)IP4_HDR, upper = IP4_HDR;
	if (unlikely((ip[6] & 0x3f) | ip[7] || !for_us(w, dp_load32(ip + 16), ip + 16)))
		return false;
	if (likely(ip[9] == PROTO_UDP)) {
		uint32_t len = left < UDP_HDR + ESP_HDR_LEN ? 0 : get_be16(ip + IP4_HDR + 4);
		if (unlikely(len < UDP_HDR + ESP_HDR_LEN || len > left ||
			     get_be16(ip + IP4_HDR + 2) != IKE_NATT_PORT))
			return false;
		upper += UDP_HDR;
		left = len - UDP_HDR;
	} else if (ip[9] != PROTO_ESP || left < ESP_HDR_LEN) {
		return false;
	}
	uint32_t spi = get_be32(ip + upper);
	// Zero is no SPI, but IKE's marker.
	if (unlikely(!dp_spi_ours(w, spi) || spi == 0))
		return spi != 0 && dp_handoff_esp(w, m, v->port->index, upper, left, spi);
	struct esp_op *op = dp_ops_add(&w->esp_in);
	op->m = m;
	op->sa = sa;
	op->esp = ip + upper;
	op->len = (uint16_t)left;
	op->upper = (uint16_t)upper;
	op->port = v->port->index;
	return true;
}

// The same where the packet's SA is plain, too: it is checked at once, as dp_esp_in() would. False:
// nothing is decided.
static inline bool quick_plain(const struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf *m, struct dp_sa *sa, struct esp_op *op)
{
	struct dp_sealed p;
	return likely(sa) && likely(dp_sealed_v4(w, v, m, &p)) && dp_unwrap_plain(op, sa, &p);
}

// How many of them are such, from the first on.
static __rte_noinline unsigned plain_run(struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf **m, unsigned n, const struct dp_found *found)
{
	struct dp_ops *b = &w->esp_in;
	struct esp_op *op = &b->op[b->n];
	unsigned i = 0;
	while (i < n && likely(quick_plain(w, v, m[i], found[i].sa, op + i)))
		i++;
	b->port = v->index;
	b->ready = b->n += i;
	return i;
}

// Plain ones as long as there is nothing before them that is not.
static void outside_burst(struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found)
{
	for (unsigned i = 0; i < n; i++) {
		if (w->straight && w->esp_in.ready == w->esp_in.n)
			i += plain_run(w, v, m + i, n - i, found + i);
		if (i < n && !found[i].sa)
			i += dp_give_sealed(w, v, m + i, n - i);
		if (unlikely(i < n && !quick_esp(w, v, m[i], found[i].sa)))
			take_other(w, v->port, m[i], DP_HANDOFF_MISPREDICTED);
	}
}

// RFC 1122 3.2.1.3: addresses that begin so are nobody's: 0, 127, 224 and above.
const uint8_t dp_nobodys[256] = {[0] = 1, [127] = 1, [224 ... 255] = 1};

// The addresses of a packet from the inside are such that it can be routed, and it is not for the gateway.
static inline bool quick_way(const struct dp_worker *w, const uint8_t *ip)
{
	bool link_local_dst = dp_load32(ip + 16) << 16 == 0xfea90000;
	return likely((dp_nobodys[ip[12]] | dp_nobodys[ip[16]] | link_local_dst) == 0) &&
	       likely(!dp_local_maybe_v4(&w->dp->routes, ip + 16));
}

// The newest SA of the tunnel whose client's address stands there, if this worker has it.
static inline struct dp_sa *quick_sa(
	const struct dp_worker *w, const _Atomic uint64_t *flat, struct dp_dst_entry *e)
{
	uint64_t v = atomic_load_explicit(flat, memory_order_acquire);
	dp_dst_entry_of(v, e);
	if (unlikely(dp_tunnel_worker(e->index) != w->id))
		return NULL;
	return dp_way_sa(w->ways[dp_tunnel_slot(e->index)], e->generation);
}

// To the worker that has the tunnel, where nothing else has to be decided. In their order, too.
static __rte_noinline bool quick_owner(struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf *m, const _Atomic uint64_t *flat)
{
	uint64_t e_of = atomic_load_explicit(flat, memory_order_acquire);
	struct dp_dst_entry e;
	dp_dst_entry_of(e_of, &e);
	uint8_t *ip = dp_data(m);
	if (e_of == 0 || dp_tunnel_worker(e.index) == w->id || ip[8] <= 1 || !w->straight ||
		w->route.n || dp_tunnel_shared(&w->layout, e.index))
		return false;
	dp_hop_v4(ip);
	dp_handoff_inner(w, m, v->port->index, &e);
	return true;
}

// A clear packet from the inside that is to be routed: into the tunnel at once where nothing has to be
// decided about it. In their order: behind one that has to be looked up so have the others.
static inline bool quick_inner(struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf *m, const _Atomic uint64_t *flat)
{
	uint8_t *p = dp_data(m), *ip = p + RTE_ETHER_HDR_LEN;
	if (unlikely(!plain_frame(v, m, p) || !quick_way(w, ip)))
		return false;
	uint32_t total = get_be16(ip + 2);
	struct dp_dst_entry e;
	struct dp_sa *sa = likely(flat && w->straight && w->route.n == 0 && ip[8] > 1)
				   ? quick_sa(w, flat, &e)
				   : NULL;
	m->data_off += RTE_ETHER_HDR_LEN;
	m->data_len = (uint16_t)total;
	m->pkt_len = total;
	if (sa && RTE_MAX(w->esp_out.found, w->esp_out.ready) == w->esp_out.n) {
		dp_hop_v4(ip);
		struct esp_op *op = dp_ops_add(&w->esp_out);
		w->esp_out.found = w->esp_out.n;
		op->m = m;
		op->sa = sa;
		op->esp = ip;
		op->len = (uint16_t)total;
		op->upper = IP4_HDR;
		op->to = e.index;
		op->generation = e.generation;
		op->from = TUNNEL_NONE;
		op->port = v->port->index;
		return true;
	}
	if (likely(flat) && quick_owner(w, v, m, flat))
		return true;
	struct dp_inner *r = &w->route.p[w->route.n++];
	r->m = m;
	r->ip = ip;
	r->from = NULL;
	r->flat = flat;
	r->len = (uint16_t)total;
	r->upper = IP4_HDR;
	r->port = v->port->index;
	r->family = IP_V4;
	r->made = 0;
	return true;
}

// A packet for a client whose tunnel's newest SA is found: all but its cipher is done at once where it
// is plain. False: nothing has been done. What has a place in a flat array is no address of the gateway.
static inline bool quick_wrap(struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf *m,
	struct dp_sa *sa, struct esp_op *op)
{
	uint32_t off = m->data_off;
	uint8_t *p = (uint8_t *)m->buf_addr + off, *ip = p + RTE_ETHER_HDR_LEN;
	struct dp_plain plain = {.m = m,
		.ip = ip,
		.at = off + RTE_ETHER_HDR_LEN,
		.len = get_be16(ip + 2),
		.hop = true};
	return likely(sa) && likely(dp_plain_head(v, p)) &&
	       likely(plain.len >= IP4_HDR && plain.len + RTE_ETHER_HDR_LEN <= m->data_len) &&
	       likely(dp_plain_mbuf(v, m) || (m->nb_segs == 1 && dp_v4_sum_ok(ip))) &&
	       likely(ip[8] > 1) && likely(!(dp_nobodys[ip[12]] | dp_nobodys[ip[16]])) &&
	       dp_wrap_plain(w, op, sa, &plain);
}

// How many of them are such, from the first on. Lines of the first WARM_AROUND are on their way.
static __rte_noinline unsigned wrap_run(struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf **m, unsigned n, const struct dp_found *found)
{
	struct dp_ops *b = &w->esp_out;
	struct rte_mbuf **at = m, **end = m + n;
	struct esp_op *op = &b->op[b->n];
	for (; at < end && likely(quick_wrap(w, v, *at, found->sa, op)); at++, found++) {
		op++;
		if (likely(at + WARM_AROUND < end))
			dp_warm_around(at[WARM_AROUND]);
	}
	b->ready = b->n += (unsigned)(at - m);
	return (unsigned)(at - m);
}

// In their order: behind one that has yet to be looked up, or to be wrapped, so have the others.
static void inside_burst(struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found)
{
	if (n && found[0].sa)
		dp_warm_first(m, n);
	for (unsigned i = 0; i < n; i++) {
		if (w->straight && w->route.n == 0 && w->esp_out.ready == w->esp_out.n)
			i += wrap_run(w, v, m + i, n - i, found + i);
		if (i < n && !found[i].sa)
			i += dp_give_clear(w, v, m + i, n - i, found + i);
		if (likely(i >= n))
			break;
		if (i + WARM_AROUND < n)
			dp_warm_around(m[i + WARM_AROUND]);
		if (unlikely(!quick_inner(w, v, m[i], found[i].flat)))
			take_other(w, v->port, m[i], DP_HANDOFF_MISPREDICTED);
	}
}

void dp_classify(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n,
	enum dp_handoff cause)
{
	for (unsigned i = 0; i < n; i++)
		take_other(w, port, m[i], cause);
}

void dp_classify_burst(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found)
{
	struct dp_port_view v = dp_port_view_of(port);
	if (unlikely(port->vlans)) {
		dp_classify(w, port, m, n, DP_HANDOFF_MISPREDICTED);
	} else if (port->role == CFG_OUTSIDE) {
		outside_burst(w, &v, m, n, found);
	} else {
		inside_burst(w, &v, m, n, found);
	}
}
