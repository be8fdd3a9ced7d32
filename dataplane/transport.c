// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/transport.h"

#define IP4_FRAGMENT 0x3fff // more fragments, offset
#define IP6_FRAGMENT 0xfff9
#define TCP_SUM_AT   16 // offset of the checksum
#define UDP_SUM_AT   6
#define ICMP6_SUM_AT 2

// The part of a packet that stays in front of ESP.
struct head {
	uint32_t len;
	uint32_t next_at; // offset of the byte that says what follows it
	const uint8_t *src, *dst;
};

// ---- Outbound ----

static enum dp_drop split_v4(const uint8_t *p, uint32_t len, struct head *h)
{
	if (len < IP4_HDR)
		return DP_DROP_runt;
	h->len = (p[0] & 15u) * 4;
	h->next_at = 9;
	h->src = p + 12;
	h->dst = p + 16;
	if (h->len < IP4_HDR || h->len > len || get_be16(p + 2) != len)
		return DP_DROP_ip_header;
	return get_be16(p + 6) & IP4_FRAGMENT ? DP_DROP_transport_fragment : DP_DROP_NONE;
}

// RFC 4303 3.1.1: ESP "should appear after hop-by-hop, routing, and fragmentation extension headers";
// destination options come behind it, but those that a routing header's hops read.
static enum dp_drop split_v6(const uint8_t *p, uint32_t len, struct head *h)
{
	if (len < IP6_HDR)
		return DP_DROP_runt;
	if ((uint32_t)IP6_HDR + get_be16(p + 4) != len)
		return DP_DROP_ip_header;
	*h = (struct head){IP6_HDR, 6, p + 8, p + 24};
	uint32_t at = IP6_HDR, next_at = 6;
	for (unsigned i = 0; i <= IPV6_EXT_MAX; i++) {
		uint8_t next = p[next_at];
		if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_DST_OPTS &&
			next != IPV6_FRAGMENT)
			return DP_DROP_NONE;
		if (at + 8 > len)
			return DP_DROP_ip_header;
		if (next == IPV6_FRAGMENT && get_be16(p + at + 2) & IP6_FRAGMENT)
			return DP_DROP_transport_fragment;
		next_at = at;
		at += next == IPV6_FRAGMENT ? 8 : (p[at + 1] + 1u) * 8;
		if (at > len)
			return DP_DROP_ip_header;
		if (next != IPV6_DST_OPTS) {
			h->len = at;
			h->next_at = next_at;
		}
	}
	return DP_DROP_ip_options;
}

static enum dp_drop split(const struct dp_tunnel *t, const uint8_t *p, uint32_t len, struct head *h)
{
	uint8_t family = len ? p[0] >> 4 : 0;
	// The header leaves as it is: it must be one between the ends of the tunnel.
	if (family != t->outer_family)
		return DP_DROP_no_selector;
	// RFC 4303 3.3.4: "transport mode ESP is applied only to whole IP datagrams (not to IP
	// fragments)".
	enum dp_drop why = family == IP_V4 ? split_v4(p, len, h) : split_v6(p, len, h);
	if (why != DP_DROP_NONE)
		return why;
	size_t n = ip_len(family);
	bool ends = memcmp(h->src, t->local.addr.bytes, n) == 0 &&
		    memcmp(h->dst, t->remote.addr.bytes, n) == 0;
	return ends ? DP_DROP_NONE : DP_DROP_no_selector;
}

static uint32_t encap_len(const struct dp_tunnel *t)
{
	return t->udp_at ? (uint32_t)t->hdr_len - t->udp_at : 0;
}

// What is put in between.
static uint32_t between(const struct dp_tunnel *t, const struct dp_sa *sa)
{
	return encap_len(t) + ESP_HDR_LEN + sa->iv_len;
}

static uint32_t text_len(const struct dp_sa *sa, uint32_t payload)
{
	return RTE_ALIGN_CEIL(payload + 2, (uint32_t)sa->align);
}

static enum dp_drop fits(
	const struct dp_tunnel *t, struct esp_op *op, const struct head *h, uint32_t limit)
{
	const struct dp_sa *sa = op->sa;
	struct rte_mbuf *m = op->m;
	uint32_t payload = m->data_len - h->len, text = text_len(sa, payload);
	uint32_t around = h->len + between(t, sa) + sa->icv_len;
	if (around + text > limit) {
		uint32_t room = t->mtu > around ? t->mtu - around : 0;
		room = RTE_ALIGN_FLOOR(room, (uint32_t)sa->align);
		op->mtu = (uint16_t)(h->len + (room > 2 ? room - 2 : 0));
		return DP_DROP_too_big;
	}
	if (rte_pktmbuf_headroom(m) < between(t, sa) + RTE_ETHER_HDR_LEN ||
		rte_pktmbuf_tailroom(m) < text - payload + sa->icv_len)
		return DP_DROP_no_room;
	return DP_DROP_NONE;
}

// The header at its new place, with the protocol and length of what follows.
static void put_header(
	uint8_t *to, const uint8_t *from, const struct head *h, uint32_t total, uint8_t proto)
{
	memmove(to, from, h->len);
	to[h->next_at] = proto;
	if (to[0] >> 4 == IP_V6) {
		set_be16(to + 4, (uint16_t)(total - IP6_HDR));
		return;
	}
	set_be16(to + 2, (uint16_t)total);
	set_be16(to + 10, 0);
	set_be16(to + 10, (uint16_t)~ip_fold(ip_sum(to, h->len)));
}

static void put_encap(uint8_t *at, const struct dp_tunnel *t, uint32_t len)
{
	if (!t->udp_at)
		return;
	memcpy(at, t->hdr + t->udp_at, encap_len(t));
	set_be16(at + 4, (uint16_t)len);
}

enum dp_drop dp_transport_wrap(
	struct dp_worker *w, struct esp_op *op, const struct dp_tunnel *t, uint32_t limit)
{
	struct rte_mbuf *m = op->m;
	struct dp_sa *sa = op->sa;
	uint8_t *p = dp_data(m);
	struct head h;

	enum dp_drop why = split(t, p, m->data_len, &h);
	why = why == DP_DROP_NONE ? fits(t, op, &h, limit) : why;
	why = why == DP_DROP_NONE ? dp_next_seq(w, sa, &op->seq) : why;
	if (why != DP_DROP_NONE)
		return why;
	uint8_t *payload = p + h.len, next = p[h.next_at];
	uint32_t len = m->data_len - h.len, text = text_len(sa, len), pad = text - len - 2;
	for (uint32_t i = 0; i < pad; i++)
		payload[len + i] = (uint8_t)(i + 1);
	payload[text - 2] = (uint8_t)pad;
	payload[text - 1] = next;
	uint32_t rest = between(t, sa) + text + sa->icv_len;
	uint8_t *to = p - between(t, sa);
	put_header(to, p, &h, h.len + rest, t->udp_at ? PROTO_UDP : PROTO_ESP);
	put_encap(to + h.len, t, rest);
	op->text_len = (uint16_t)text;
	op->esp = payload - sa->iv_len - ESP_HDR_LEN;
	memcpy(op->esp, &sa->spi, 4);
	set_be32(op->esp + 4, (uint32_t)op->seq);
	return DP_DROP_NONE;
}

void dp_transport_uncover(struct esp_op *op, const struct dp_tunnel *t)
{
	struct rte_mbuf *m = op->m;
	const struct dp_sa *sa = op->sa;
	uint8_t *end = op->esp + ESP_HDR_LEN + sa->iv_len + op->text_len + sa->icv_len;
	m->data_off -= (uint16_t)between(t, sa);
	m->data_len = (uint16_t)(end - dp_data(m));
	m->pkt_len = m->data_len;
}

// ---- Inbound ----

// Where the protocol has a checksum over the addresses; 0: it has none, or is cut off before it.
static uint32_t sum_at(const struct ip_info *ip)
{
	uint32_t at = ip->proto == PROTO_TCP     ? TCP_SUM_AT
		      : ip->proto == PROTO_UDP   ? UDP_SUM_AT
		      : ip->proto == PROTO_ICMP6 ? ICMP6_SUM_AT
						 : 0;
	return at && ip->upper + at + 2u <= ip->total ? ip->upper + at : 0;
}

static uint32_t sum_of_addresses(const struct ip_info *ip)
{
	uint32_t n = (uint32_t)ip_len(ip->family);
	return ip_sum(ip->src, n) + ip_sum(ip->dst, n);
}

static uint16_t sum_anew(const uint8_t *packet, const struct ip_info *ip)
{
	uint32_t len = ip->total - ip->upper;
	uint32_t sum = sum_of_addresses(ip) + ip->proto + len + ip_sum(packet + ip->upper, len);
	if (len & 1)
		sum += (uint32_t)packet[ip->total - 1] << 8;
	return (uint16_t)~ip_fold(sum);
}

// RFC 3948 3.1.2: the peer's checksum is over the addresses that it sees; a NAT has changed those of
// the packet, but could not reach the checksum. By the difference if the peer's view is known (NAT-OA,
// traffic selectors), else anew: the ICV has vouched for the bytes.
static void repair_sum(const struct dp_sa_cold *c, uint8_t *packet, const struct ip_info *ip)
{
	uint32_t at = sum_at(ip);
	bool udp = ip->proto == PROTO_UDP;
	if (!at || (udp && get_be16(packet + at) == 0))
		return;
	if (c->peer_sum_known) {
		ip_sum_fix(packet + at, c->peer_sum, ip_fold(sum_of_addresses(ip)));
	} else {
		set_be16(packet + at, 0);
		set_be16(packet + at, sum_anew(packet, ip));
	}
	// RFC 768: zero stands for none.
	if (udp && get_be16(packet + at) == 0)
		set_be16(packet + at, UINT16_MAX);
}

// What stood before ESP was checked as it came in: no IPv6 extension headers.
static enum dp_drop outer_head(const struct esp_op *op, const uint8_t *p, struct head *h)
{
	bool v4 = p[0] >> 4 == IP_V4;
	*h = (struct head){.len = v4 ? (p[0] & 15u) * 4 : IP6_HDR, .next_at = v4 ? 9 : 6};
	bool plain = p[h->next_at] == PROTO_ESP || p[h->next_at] == PROTO_UDP;
	return plain && h->len <= op->upper ? DP_DROP_NONE : DP_DROP_ip_options;
}

static enum dp_drop check_restored(
	struct esp_op *op, uint8_t *packet, uint32_t total, struct ip_info *ip)
{
	enum dp_drop why = ip_parse_packet(packet, total, false, ip);
	if (why == DP_DROP_ip_options)
		return why;
	if (why != DP_DROP_NONE || ip->total != total)
		return DP_DROP_esp_inner;
	// As outbound: RFC 4303 3.3.4.
	if (ip->fragment)
		return DP_DROP_transport_fragment;
	return dp_sa_selects(op->sa, packet, total) ? DP_DROP_NONE : DP_DROP_selector;
}

enum dp_drop dp_transport_restore(struct esp_op *op, uint8_t next, uint32_t len, struct ip_info *ip)
{
	const uint8_t *outer = op->esp - op->upper;
	uint8_t *payload = op->esp + ESP_HDR_LEN + op->sa->iv_len;
	struct head h;

	if (next == PROTO_NONE)
		return DP_DROP_esp_dummy; // RFC 4303 2.6
	enum dp_drop why = outer_head(op, outer, &h);
	if (why != DP_DROP_NONE)
		return why;
	bool in_udp = op->upper > h.len;
	uint8_t *packet = payload - h.len;
	put_header(packet, outer, &h, h.len + len, next);
	op->esp = packet - ESP_HDR_LEN - op->sa->iv_len;
	why = check_restored(op, packet, h.len + len, ip);
	if (why == DP_DROP_NONE && in_udp)
		repair_sum(dp_sa_cold(op->sa), packet, ip);
	return why;
}

// ---- In clear ----

static bool icmp_error(const uint8_t *packet, const struct ip_info *ip)
{
	if (ip->upper >= ip->total)
		return false;
	uint8_t type = packet[ip->upper];
	if (ip->proto == PROTO_ICMP6 && ip->family == IP_V6)
		return type < 128; // RFC 4443 2.1
	return ip->proto == PROTO_ICMP && ip->family == IP_V4 &&
	       (type == ICMP_UNREACHABLE || type == ICMP_TIME_EXCEEDED);
}

bool dp_transport_guards(const struct dp_worker *w, const uint8_t *packet, const struct ip_info *ip)
{
	struct dp_dst_entry e;
	return dp_dst_lookup(w->dp->dst, ip->family, ip->src, &e) == DP_DST_TUNNEL &&
	       !icmp_error(packet, ip);
}
