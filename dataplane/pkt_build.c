// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/pkt.h"

#define ND_OPT_SOURCE 1

void pkt_build_eth(
	struct wr *w, const struct pkt_mac *dst, const struct pkt_mac *src, uint16_t type)
{
	wr_bytes(w, dst->bytes, 6);
	wr_bytes(w, src->bytes, 6);
	wr_u16(w, type);
}

void pkt_build_arp(struct wr *w, const struct pkt_mac *eth_dst, const struct pkt_arp *arp)
{
	static const struct pkt_mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	pkt_build_eth(w, eth_dst ? eth_dst : &broadcast, &arp->sender_mac, ETH_TYPE_ARP);
	wr_u16(w, 1); // Ethernet
	wr_u16(w, ETH_TYPE_IPV4);
	wr_u8(w, 6);
	wr_u8(w, 4);
	wr_u16(w, arp->op);
	wr_bytes(w, arp->sender_mac.bytes, 6);
	wr_bytes(w, arp->sender.bytes, 4);
	wr_bytes(w, arp->target_mac.bytes, 6);
	wr_bytes(w, arp->target.bytes, 4);
}

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void build_ipv4(struct wr *w, const struct pkt_ip_head *h, size_t payload_len)
{
	size_t total = IPV4_HDR_LEN + payload_len;
	uint8_t *p = total <= UINT16_MAX ? wr_room(w, IPV4_HDR_LEN) : NULL;
	if (!p) {
		w->overflow = true;
		return;
	}
	memset(p, 0, IPV4_HDR_LEN);
	p[0] = 0x45;
	p[1] = h->tos;
	put_u16(p + 2, (uint16_t)total);
	put_u16(p + 4, h->id);
	put_u16(p + 6, h->df ? 0x4000 : 0);
	p[8] = h->ttl;
	p[9] = h->proto;
	memcpy(p + 12, h->src.bytes, 4);
	memcpy(p + 16, h->dst.bytes, 4);
	put_u16(p + 10, pkt_sum_fold(pkt_sum(0, p, IPV4_HDR_LEN)));
}

void pkt_build_ip(struct wr *w, const struct pkt_ip_head *h, size_t payload_len)
{
	if (h->src.family == IP_V4) {
		build_ipv4(w, h, payload_len);
		return;
	}
	if (payload_len > UINT16_MAX) {
		w->overflow = true;
		return;
	}
	wr_u32(w, 6u << 28 | (uint32_t)h->tos << 20);
	wr_u16(w, (uint16_t)payload_len);
	wr_u8(w, h->proto);
	wr_u8(w, h->ttl);
	wr_bytes(w, h->src.bytes, 16);
	wr_bytes(w, h->dst.bytes, 16);
}

void pkt_build_udp(struct wr *w, const struct endpoint *src, const struct endpoint *dst,
	struct view marker, struct view payload)
{
	size_t len = UDP_HDR_LEN + marker.len + payload.len;
	size_t start = w->len;
	if (len > UINT16_MAX) {
		w->overflow = true;
		return;
	}
	wr_u16(w, src->port);
	wr_u16(w, dst->port);
	wr_u16(w, (uint16_t)len);
	wr_u16(w, 0);
	wr_view(w, marker);
	wr_view(w, payload);
	if (w->overflow)
		return;
	uint32_t s = pkt_sum_pseudo(&src->addr, &dst->addr, IP_PROTO_UDP, (uint32_t)len);
	uint16_t sum = pkt_sum_fold(pkt_sum(s, w->base + start, len));
	// RFC 768: a computed zero is sent as all ones, zero means none.
	put_u16(w->base + start + 6, sum ? sum : 0xffff);
}

void pkt_build_icmp(struct wr *w, const struct pkt_ip_head *h, const struct pkt_icmp *icmp)
{
	size_t len = 8 + icmp->body.len;
	pkt_build_ip(w, h, len);
	size_t start = w->len;
	wr_u8(w, icmp->type);
	wr_u8(w, icmp->code);
	wr_u16(w, 0);
	wr_u32(w, icmp->rest);
	wr_view(w, icmp->body);
	if (w->overflow)
		return;
	uint32_t s = 0;
	if (h->src.family == IP_V6)
		s = pkt_sum_pseudo(&h->src, &h->dst, IP_PROTO_ICMPV6, (uint32_t)len);
	put_u16(w->base + start + 2, pkt_sum_fold(pkt_sum(s, w->base + start, len)));
}

void pkt_build_ns(struct wr *w, const struct pkt_mac *src_mac, const struct ip_addr *src,
	const struct pkt_mac *dst_mac, const struct ip_addr *target)
{
	struct ip_addr group = pkt_solicited_node(target);
	struct pkt_mac group_mac = pkt_group_mac(&group);
	uint8_t body[24];
	memcpy(body, target->bytes, 16);
	body[16] = ND_OPT_SOURCE;
	body[17] = 1;
	memcpy(body + 18, src_mac->bytes, 6);
	struct pkt_ip_head h = {
		.src = *src,
		.dst = dst_mac ? *target : group,
		.proto = IP_PROTO_ICMPV6,
		.ttl = 255,
	};
	struct pkt_icmp icmp = {.type = ICMP6_NS, .body = {body, sizeof(body)}};
	pkt_build_eth(w, dst_mac ? dst_mac : &group_mac, src_mac, ETH_TYPE_IPV6);
	pkt_build_icmp(w, &h, &icmp);
}
