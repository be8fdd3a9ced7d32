// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An IP packet as the workers take it, in clear or decrypted: what is accepted lies within its
// bytes, the control thread's parser agrees, and what is rewritten has a good checksum.
#include "dataplane/mss.h"
#include "dataplane/pkt.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool sum_good(const uint8_t *p, const struct ip_info *ip)
{
	return ip->family == IP_V6 || ip_fold(ip_sum(p, IP4_HDR)) == 0xffff;
}

// The hop and the congestion mark that a packet gets on its way.
static void rewrite(const uint8_t *data, uint32_t len)
{
	uint8_t *p = malloc(len);
	struct ip_info ip, after;
	must(p);
	memcpy(p, data, len);
	must(ip_parse_packet(p, len, true, &ip) == DP_DROP_NONE);
	for (uint8_t ecn = 0; ecn <= ECN_MASK; ecn++) {
		ip_set_ecn(p, ip.family, ecn);
		must(sum_good(p, &ip));
	}
	if (ip.ttl > 1)
		ip_hop(p, ip.family);
	must(sum_good(p, &ip));
	must(ip_parse_packet(p, len, true, &after) == DP_DROP_NONE);
	must((after.tos & ECN_MASK) == ECN_CE && (after.tos | ECN_MASK) == (ip.tos | ECN_MASK));
	must(after.ttl == (ip.ttl > 1 ? ip.ttl - 1 : ip.ttl) && after.upper == ip.upper);
	free(p);
}

// Ones' complement sums are equal where their rests are.
static uint32_t rest(const uint8_t *p, const struct ip_info *ip)
{
	uint32_t sum = ip_sum(p + ip->upper, ip->total - ip->upper);
	if ((ip->total - ip->upper) & 1)
		sum += (uint32_t)p[ip->total - 1] << 8;
	return sum % 0xffff;
}

// Of a SYN only the MSS and the checksum change, and the one makes up for the other.
static void clamp(const uint8_t *data, uint32_t len)
{
	uint8_t *p = malloc(len);
	struct ip_info ip;
	must(p);
	memcpy(p, data, len);
	must(ip_parse_packet(p, len, true, &ip) == DP_DROP_NONE);
	bool lowered = mss_clamp(p, &ip, 1200);
	must(rest(p, &ip) == rest(data, &ip));
	must(memcmp(p, data, ip.upper) == 0);
	must(lowered ? ip.proto == PROTO_TCP && !ip.fragment : memcmp(p, data, len) == 0);
	must(!mss_clamp(p, &ip, 1200));
	free(p);
}

static void compare(const uint8_t *data, size_t len, const struct ip_info *ip)
{
	struct pkt_ip other;
	if (pkt_parse_ip((struct view){data, len}, &other) != DP_DROP_NONE) {
		must(ip->family == IP_V6); // it refuses more routing headers
		return;
	}
	must(other.family == ip->family && other.ttl == ip->ttl && other.tos == ip->tos);
	must(other.whole.len == ip->total && other.fragment == ip->fragment);
	must(memcmp(other.src.bytes, ip->src, ip_len(ip->family)) == 0);
	must(memcmp(other.dst.bytes, ip->dst, ip_len(ip->family)) == 0);
	must(ip->family == IP_V6 || other.proto == ip->proto);
	// Behind an atomic fragment's header it follows no further ones.
	bool ends = other.proto != 0 && other.proto != 43 && other.proto != 44 && other.proto != 60;
	if (!ip->fragment && ends)
		must(other.proto == ip->proto && other.payload.p == data + ip->upper);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct ip_info ip;
	uint16_t src, dst;
	if (len > UINT16_MAX)
		return 0;
	enum dp_drop unchecked = ip_parse_packet(data, (uint32_t)len, false, &ip);
	if (unchecked == DP_DROP_NONE) {
		must(ip.upper <= ip.total && ip.total <= len && (!ip.later || ip.fragment));
		must(ip.src >= data && ip.dst + ip_len(ip.family) <= data + len);
		ip_ports(data, &ip, &src, &dst);
		(void)ip_bad_source(ip.family, ip.src);
		(void)ip_bad_destination(ip.family, ip.dst);
	}
	if (ip_parse_packet(data, (uint32_t)len, true, &ip) != DP_DROP_NONE)
		return 0;
	must(unchecked == DP_DROP_NONE);
	compare(data, len, &ip);
	rewrite(data, (uint32_t)len);
	clamp(data, (uint32_t)len);
	return 0;
}
