// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/pkt.h"

#define ND_OPT_SOURCE 1
#define ND_OPT_TARGET 2
#define IKE_PORT      500
#define NATT_PORT     4500

uint32_t pkt_sum(uint32_t sum, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t s = sum;
	for (; len >= 2; len -= 2, p += 2)
		s += (uint32_t)p[0] << 8 | p[1];
	if (len)
		s += (uint32_t)p[0] << 8;
	while (s >> 32)
		s = (s & 0xffffffff) + (s >> 32);
	return (uint32_t)s;
}

uint16_t pkt_sum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint32_t pkt_sum_pseudo(
	const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto, uint32_t len)
{
	size_t n = ip_len(src->family);
	uint32_t sum = pkt_sum(0, src->bytes, n);
	sum = pkt_sum(sum, dst->bytes, n);
	uint8_t tail[8] = {(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8),
		(uint8_t)len, 0, 0, 0, proto};
	return pkt_sum(sum, tail, sizeof(tail));
}

bool pkt_is_unicast(const struct ip_addr *a)
{
	if (a->family == IP_V4) // 0/8, 127/8, 224/4 and 240/4
		return a->bytes[0] != 0 && a->bytes[0] != 127 && a->bytes[0] < 224;
	if (a->family != IP_V6 || a->bytes[0] == 0xff)
		return false;
	static const uint8_t zero[15];
	return memcmp(a->bytes, zero, 15) != 0 || a->bytes[15] > 1; // :: and ::1
}

struct ip_addr pkt_solicited_node(const struct ip_addr *a)
{
	struct ip_addr g = {.family = IP_V6, .bytes = {0xff, 0x02}};
	g.bytes[11] = 1;
	g.bytes[12] = 0xff;
	memcpy(g.bytes + 13, a->bytes + 13, 3);
	return g;
}

struct pkt_mac pkt_group_mac(const struct ip_addr *group)
{
	struct pkt_mac m = {{0x33, 0x33}};
	memcpy(m.bytes + 2, group->bytes + 12, 4);
	return m;
}

bool pkt_mac_usable(const struct pkt_mac *m)
{
	static const uint8_t zero[6];
	return (m->bytes[0] & 1) == 0 && memcmp(m->bytes, zero, 6) != 0;
}

enum dp_drop pkt_parse_eth(struct view frame, struct pkt_eth *out)
{
	struct rd r = rd_view(frame);
	if (!rd_copy(&r, out->dst.bytes, 6) || !rd_copy(&r, out->src.bytes, 6) ||
		!rd_u16(&r, &out->type))
		return DP_DROP_runt;
	out->payload = rd_rest(&r);
	return DP_DROP_NONE;
}

enum dp_drop pkt_parse_arp(struct view payload, struct pkt_arp *out)
{
	struct rd r = rd_view(payload);
	uint16_t hw, proto;
	uint8_t hw_len, proto_len;
	*out = (struct pkt_arp){.sender.family = IP_V4, .target.family = IP_V4};
	if (!rd_u16(&r, &hw) || !rd_u16(&r, &proto) || !rd_u8(&r, &hw_len) ||
		!rd_u8(&r, &proto_len) || !rd_u16(&r, &out->op))
		return DP_DROP_arp;
	if (hw != 1 || proto != ETH_TYPE_IPV4 || hw_len != 6 || proto_len != 4)
		return DP_DROP_arp;
	if (!rd_copy(&r, out->sender_mac.bytes, 6) || !rd_copy(&r, out->sender.bytes, 4) ||
		!rd_copy(&r, out->target_mac.bytes, 6) || !rd_copy(&r, out->target.bytes, 4))
		return DP_DROP_arp;
	if (out->op != ARP_REQUEST && out->op != ARP_REPLY)
		return DP_DROP_arp;
	return DP_DROP_NONE;
}

static enum dp_drop parse_ipv4(struct view packet, struct pkt_ip *out)
{
	struct rd r = rd_view(packet);
	uint8_t version_ihl, tos, ttl, proto;
	uint16_t total, id, frag, sum;
	if (!rd_u8(&r, &version_ihl) || !rd_u8(&r, &tos) || !rd_u16(&r, &total) ||
		!rd_u16(&r, &id) || !rd_u16(&r, &frag) || !rd_u8(&r, &ttl) || !rd_u8(&r, &proto) ||
		!rd_u16(&r, &sum))
		return DP_DROP_ip_truncated;
	size_t head_len = (version_ihl & 15) * 4u;
	if (head_len < IPV4_HDR_LEN || total < head_len)
		return DP_DROP_ip_header;
	if (total > packet.len)
		return DP_DROP_ip_truncated;
	if (pkt_sum_fold(pkt_sum(0, packet.p, head_len)) != 0)
		return DP_DROP_ip_checksum;
	out->family = IP_V4;
	out->proto = proto;
	out->ttl = ttl;
	out->tos = tos;
	out->df = frag & 0x4000;
	out->options = head_len > IPV4_HDR_LEN;
	out->more = frag & 0x2000;
	out->offset = (uint16_t)((frag & 0x1fff) * 8);
	out->fragment = out->more || out->offset;
	out->id = id;
	out->src = ip_from_bytes(IP_V4, packet.p + 12);
	out->dst = ip_from_bytes(IP_V4, packet.p + 16);
	out->whole = (struct view){packet.p, total};
	out->head = (struct view){packet.p, head_len};
	out->payload = (struct view){packet.p + head_len, total - head_len};
	return DP_DROP_NONE;
}

// The fragment header ends the walk: what follows it is whole only after reassembly.
static enum dp_drop parse_ipv6_fragment(struct rd *r, struct pkt_ip *out)
{
	uint8_t next, reserved;
	uint16_t offset;
	uint32_t id;
	if (!rd_u8(r, &next) || !rd_u8(r, &reserved) || !rd_u16(r, &offset) || !rd_u32(r, &id))
		return DP_DROP_ip_truncated;
	out->proto = next;
	out->more = offset & 1;
	out->offset = offset & 0xfff8;
	out->id = id;
	// An atomic fragment (RFC 6946) is a whole packet, processed by itself.
	out->fragment = out->more || out->offset;
	return DP_DROP_NONE;
}

static enum dp_drop walk_ipv6_extensions(struct rd *r, uint8_t next, struct pkt_ip *out)
{
	const uint8_t *start = out->whole.p;
	out->proto = next;
	out->head = (struct view){start, IPV6_HDR_LEN};
	for (unsigned n = 0; n < IPV6_EXT_MAX; n++) {
		if (next == IPV6_FRAGMENT) {
			enum dp_drop why = parse_ipv6_fragment(r, out);
			if (why != DP_DROP_NONE || out->fragment) {
				out->payload = rd_rest(r);
				return why;
			}
			next = out->proto;
			continue;
		}
		if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_DST_OPTS) {
			out->payload = rd_rest(r);
			return DP_DROP_NONE;
		}
		// RFC 8200 4.1: Hop-by-Hop Options "is restricted to appear immediately after an
		// IPv6 header only".
		if (next == IPV6_HOP_BY_HOP && n > 0)
			return DP_DROP_ip_header;
		bool routing = next == IPV6_ROUTING;
		uint8_t len, kind, segments_left;
		if (!rd_u8(r, &next) || !rd_u8(r, &len) || !rd_u8(r, &kind) ||
			!rd_u8(r, &segments_left) || !rd_skip(r, 4 + len * 8u))
			return DP_DROP_ip_truncated;
		// RFC 8200 4.4, RFC 5095: an unrecognised routing type with segments left is
		// discarded, one without is ignored.
		if (routing && segments_left)
			return DP_DROP_ip_extensions;
		out->options = true;
		out->proto = next;
		out->head.len = (size_t)(r->p - start);
	}
	return DP_DROP_ip_extensions;
}

static enum dp_drop parse_ipv6(struct view packet, struct pkt_ip *out)
{
	struct rd r = rd_view(packet);
	uint32_t first;
	uint16_t len;
	uint8_t next;
	if (!rd_u32(&r, &first) || !rd_u16(&r, &len) || !rd_u8(&r, &next) || !rd_u8(&r, &out->ttl))
		return DP_DROP_ip_truncated;
	if (packet.len < IPV6_HDR_LEN || len > packet.len - IPV6_HDR_LEN)
		return DP_DROP_ip_truncated;
	out->family = IP_V6;
	out->tos = (uint8_t)(first >> 20);
	out->src = ip_from_bytes(IP_V6, packet.p + 8);
	out->dst = ip_from_bytes(IP_V6, packet.p + 24);
	out->whole = (struct view){packet.p, IPV6_HDR_LEN + (size_t)len};
	r = rd_of(packet.p + IPV6_HDR_LEN, len);
	return walk_ipv6_extensions(&r, next, out);
}

enum dp_drop pkt_parse_ip(struct view packet, struct pkt_ip *out)
{
	*out = (struct pkt_ip){0};
	if (packet.len < 1)
		return DP_DROP_ip_truncated;
	switch (packet.p[0] >> 4) {
	case 4:
		return parse_ipv4(packet, out);
	case 6:
		return parse_ipv6(packet, out);
	default:
		return DP_DROP_ip_header;
	}
}

enum dp_drop pkt_parse_udp(const struct pkt_ip *ip, struct pkt_udp *out)
{
	struct rd r = rd_view(ip->payload);
	uint16_t len, sum;
	if (!rd_u16(&r, &out->src_port) || !rd_u16(&r, &out->dst_port) || !rd_u16(&r, &len) ||
		!rd_u16(&r, &sum))
		return DP_DROP_udp;
	if (len < UDP_HDR_LEN || len > ip->payload.len)
		return DP_DROP_udp;
	if (sum == 0 && ip->family == IP_V6)
		return DP_DROP_udp_checksum;
	if (sum != 0) {
		uint32_t s = pkt_sum_pseudo(&ip->src, &ip->dst, IP_PROTO_UDP, len);
		if (pkt_sum_fold(pkt_sum(s, ip->payload.p, len)) != 0)
			return DP_DROP_udp_checksum;
	}
	out->payload = (struct view){ip->payload.p + UDP_HDR_LEN, len - UDP_HDR_LEN};
	return DP_DROP_NONE;
}

enum dp_drop pkt_parse_icmp(const struct pkt_ip *ip, struct pkt_icmp *out)
{
	struct rd r = rd_view(ip->payload);
	uint16_t sum;
	if (ip->fragment)
		return DP_DROP_icmp_fragment;
	if (!rd_u8(&r, &out->type) || !rd_u8(&r, &out->code) || !rd_u16(&r, &sum) ||
		!rd_u32(&r, &out->rest))
		return DP_DROP_icmp_malformed;
	uint32_t s = 0;
	if (ip->family == IP_V6)
		s = pkt_sum_pseudo(&ip->src, &ip->dst, IP_PROTO_ICMPV6, (uint32_t)ip->payload.len);
	if (pkt_sum_fold(pkt_sum(s, ip->payload.p, ip->payload.len)) != 0)
		return DP_DROP_icmp_checksum;
	out->body = rd_rest(&r);
	return DP_DROP_NONE;
}

static enum dp_drop parse_nd_options(struct rd *r, struct pkt_nd *out)
{
	uint8_t wanted = out->type == ICMP6_NS ? ND_OPT_SOURCE : ND_OPT_TARGET;
	while (!rd_empty(r)) {
		uint8_t type, len;
		struct rd body;
		// RFC 4861 4.6: "Nodes MUST silently discard an ND packet that contains an
		// option with length zero."
		if (!rd_u8(r, &type) || !rd_u8(r, &len) || len == 0 ||
			!rd_sub(r, len * 8u - 2, &body))
			return DP_DROP_nd;
		if (type != wanted || len != 1)
			continue;
		if (!rd_copy(&body, out->mac.bytes, 6))
			return DP_DROP_nd;
		out->mac_set = true;
	}
	return DP_DROP_NONE;
}

static bool nd_addresses_valid(const struct pkt_ip *ip, const struct pkt_nd *nd)
{
	static const uint8_t unspecified[16];
	bool no_source = memcmp(ip->src.bytes, unspecified, 16) == 0;
	if (nd->target.bytes[0] == 0xff)
		return false;
	if (nd->type == ICMP6_NA)
		return !no_source && !(ip->dst.bytes[0] == 0xff && nd->solicited);
	if (!no_source)
		return true;
	// RFC 4861 7.1.1: from the unspecified address only to a solicited-node group, and
	// without a source link-layer address.
	struct ip_addr group = pkt_solicited_node(&nd->target);
	return ip_eq(&ip->dst, &group) && !nd->mac_set;
}

enum dp_drop pkt_parse_nd(const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct pkt_nd *out)
{
	*out = (struct pkt_nd){.type = icmp->type, .target.family = IP_V6};
	struct rd r = rd_view(icmp->body);
	// RFC 4861 7.1: the hop limit of 255 shows that no router has forwarded it.
	if (ip->family != IP_V6 || ip->ttl != 255 || icmp->code != 0)
		return DP_DROP_nd;
	if (icmp->type != ICMP6_NS && icmp->type != ICMP6_NA)
		return DP_DROP_nd;
	if (!rd_copy(&r, out->target.bytes, 16))
		return DP_DROP_nd;
	if (icmp->type == ICMP6_NA) {
		out->router = icmp->rest & 0x80000000;
		out->solicited = icmp->rest & 0x40000000;
		out->override = icmp->rest & 0x20000000;
	}
	enum dp_drop why = parse_nd_options(&r, out);
	if (why != DP_DROP_NONE)
		return why;
	return nd_addresses_valid(ip, out) ? DP_DROP_NONE : DP_DROP_nd;
}

static bool is_error(const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct pkt_quote *out)
{
	if (ip->family == IP_V4) {
		out->too_big = icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_FRAG_NEEDED;
		out->mtu = out->too_big ? icmp->rest & 0xffff : 0;
		return icmp->type == ICMP_UNREACHABLE || icmp->type == ICMP_TIME_EXCEEDED;
	}
	out->too_big = icmp->type == ICMP6_TOO_BIG;
	out->mtu = out->too_big ? icmp->rest : 0;
	return icmp->type >= ICMP6_UNREACHABLE && icmp->type <= ICMP6_TIME_EXCEEDED;
}

// Of extension headers only the fragment header is one that we write (frag.c).
static bool parse_quoted_ipv6(struct rd *r, struct pkt_quote *out)
{
	struct view h;
	if (!rd_bytes(r, IPV6_HDR_LEN, &h) || h.p[0] >> 4 != 6)
		return false;
	out->total = IPV6_HDR_LEN + ((uint32_t)h.p[4] << 8 | h.p[5]);
	out->proto = h.p[6];
	out->src = ip_from_bytes(IP_V6, h.p + 8);
	out->dst = ip_from_bytes(IP_V6, h.p + 24);
	if (out->proto != IPV6_FRAGMENT)
		return true;
	if (!rd_bytes(r, IPV6_FRAG_LEN, &h) || h.p[2] || h.p[3] & 0xf8)
		return false; // a later fragment shows no ports
	out->proto = h.p[0];
	return true;
}

// The quoted header, whose total length usually exceeds what is quoted.
static bool parse_quoted_ip(struct rd *r, uint8_t family, struct pkt_quote *out)
{
	struct view h;
	if (family == IP_V6)
		return parse_quoted_ipv6(r, out);
	if (!rd_bytes(r, IPV4_HDR_LEN, &h) || h.p[0] >> 4 != 4)
		return false;
	out->total = (uint32_t)h.p[2] << 8 | h.p[3];
	size_t head_len = (h.p[0] & 15) * 4u;
	if (head_len < IPV4_HDR_LEN || !rd_skip(r, head_len - IPV4_HDR_LEN))
		return false;
	if ((h.p[6] & 0x1f) || h.p[7]) // a later fragment shows no ports
		return false;
	out->proto = h.p[9];
	out->src = ip_from_bytes(IP_V4, h.p + 12);
	out->dst = ip_from_bytes(IP_V4, h.p + 16);
	return true;
}

// The SPI of quoted ESP in UDP, on port 500 behind eight zero bytes; 0: none, or not quoted. RFC 792
// promises 8 bytes only, which are the UDP header.
static uint32_t quoted_spi(struct rd *r, const struct pkt_quote *q)
{
	uint64_t marker = 0;
	uint32_t spi;
	bool natt = q->src_port == NATT_PORT || q->dst_port == NATT_PORT;
	bool ike = q->src_port == IKE_PORT || q->dst_port == IKE_PORT;
	if (!natt && !(ike && rd_u64(r, &marker) && marker == 0))
		return 0;
	return rd_u32(r, &spi) ? spi : 0;
}

enum dp_drop pkt_parse_quote(
	const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct pkt_quote *out)
{
	*out = (struct pkt_quote){0};
	struct rd r = rd_view(icmp->body);
	if (!is_error(ip, icmp, out))
		return DP_DROP_icmp;
	if (!parse_quoted_ip(&r, ip->family, out))
		return DP_DROP_icmp_malformed;
	if (out->proto == IP_PROTO_ESP && !rd_u32(&r, &out->spi))
		return DP_DROP_icmp_malformed;
	if (out->proto == IP_PROTO_UDP) {
		if (!rd_u16(&r, &out->src_port) || !rd_u16(&r, &out->dst_port) || !rd_skip(&r, 4))
			return DP_DROP_icmp_malformed;
		out->spi = quoted_spi(&r, out);
	}
	out->seq_set = out->spi && rd_u32(&r, &out->seq);
	return DP_DROP_NONE;
}
