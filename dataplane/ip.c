// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/ip.h"

static enum dp_drop parse_v4(const uint8_t *p, uint32_t len, bool check, struct ip_info *out)
{
	if (len < IP4_HDR)
		return DP_DROP_runt;
	uint32_t ihl = (p[0] & 15u) * 4;
	uint16_t frag = get_be16(p + 6);

	out->total = get_be16(p + 2);
	if (ihl < IP4_HDR || out->total < ihl || out->total > len)
		return DP_DROP_ip_header;
	if (check && ip_fold(ip_sum(p, ihl)) != 0xffff)
		return DP_DROP_ip_checksum;
	if (ihl > IP4_HDR)
		return DP_DROP_ip_options;
	out->family = IP_V4;
	out->tos = p[1];
	out->ttl = p[8];
	out->proto = p[9];
	out->src = p + 12;
	out->dst = p + 16;
	out->upper = IP4_HDR;
	out->fragment = (frag & 0x3fff) != 0;
	out->later = (frag & 0x1fff) != 0;
	out->extended = false;
	return DP_DROP_NONE;
}

// Follow extension headers to the upper protocol; RFC 8200 4.1.
static enum dp_drop walk_v6(const uint8_t *p, struct ip_info *out)
{
	uint32_t at = IP6_HDR;
	bool cut = false; // RFC 8200 4.1: a fragment header at most once
	for (unsigned i = 0; i <= IPV6_EXT_MAX; i++) {
		uint8_t next = out->proto;
		if (next != IPV6_HOP_BY_HOP && next != IPV6_ROUTING && next != IPV6_DST_OPTS &&
			next != IPV6_FRAGMENT) {
			out->upper = (uint16_t)at;
			return DP_DROP_NONE;
		}
		out->extended = true;
		if (out->later)
			break;
		if (at + 8 > out->total)
			return DP_DROP_ip_header;
		if (next == IPV6_ROUTING && p[at + 2] == 0)
			return DP_DROP_ip_options;
		if (next == IPV6_FRAGMENT && cut)
			return DP_DROP_ip_options;
		if (next == IPV6_FRAGMENT) {
			cut = true;
			uint16_t f = get_be16(p + at + 2);
			// An atomic fragment (RFC 6946) is a whole packet.
			out->fragment = (f & 0xfff9) != 0;
			out->later = (f & 0xfff8) != 0;
		}
		out->proto = p[at];
		at += next == IPV6_FRAGMENT ? 8 : (p[at + 1] + 1u) * 8;
		if (at > out->total)
			return DP_DROP_ip_header;
	}
	if (out->later) {
		out->upper = (uint16_t)at;
		return DP_DROP_NONE;
	}
	return DP_DROP_ip_options;
}

static enum dp_drop parse_v6(const uint8_t *p, uint32_t len, struct ip_info *out)
{
	if (len < IP6_HDR)
		return DP_DROP_runt;
	uint32_t total = IP6_HDR + get_be16(p + 4);
	if (total > len || total > UINT16_MAX)
		return DP_DROP_ip_header;
	out->family = IP_V6;
	out->total = (uint16_t)total;
	out->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	out->ttl = p[7];
	out->proto = p[6];
	out->src = p + 8;
	out->dst = p + 24;
	out->fragment = out->later = out->extended = false;
	return walk_v6(p, out);
}

enum dp_drop ip_parse_packet(const uint8_t *p, uint32_t len, bool check, struct ip_info *out)
{
	if (len < 1)
		return DP_DROP_runt;
	if (p[0] >> 4 == 4)
		return parse_v4(p, len, check, out);
	if (p[0] >> 4 == 6)
		return parse_v6(p, len, out);
	return DP_DROP_ip_header;
}

void ip_ports(const uint8_t *p, const struct ip_info *ip, uint16_t *src, uint16_t *dst)
{
	const uint8_t *u = p + ip->upper;
	*src = *dst = 0;
	if (ip->later || ip->upper + 4u > ip->total)
		return;
	if (ip->proto == PROTO_TCP || ip->proto == PROTO_UDP || ip->proto == PROTO_SCTP) {
		*src = get_be16(u);
		*dst = get_be16(u + 2);
	} else if (ip->proto == PROTO_ICMP || ip->proto == PROTO_ICMP6) {
		*src = *dst = get_be16(u);
	}
}

static bool v6_zero_but_last(const uint8_t *a)
{
	static const uint8_t zero[15];
	return memcmp(a, zero, sizeof(zero)) == 0;
}

bool ip_bad_source(uint8_t family, const uint8_t *a)
{
	if (family == IP_V4)
		return a[0] == 0 || a[0] == 127 || a[0] >= 224;
	return a[0] == 0xff || (v6_zero_but_last(a) && a[15] <= 1);
}

bool ip_bad_destination(uint8_t family, const uint8_t *a)
{
	if (family == IP_V4)
		return a[0] == 0 || a[0] == 127 || a[0] >= 224 || (a[0] == 169 && a[1] == 254);
	return a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80) ||
	       (v6_zero_but_last(a) && a[15] <= 1);
}
