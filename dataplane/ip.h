// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IP headers as the workers check them: lengths first, no allocation, one reason for each refusal.
// Pure: no DPDK.
#pragma once

#include "dataplane/pkt.h"

#define IP4_HDR     IPV4_HDR_LEN
#define IP6_HDR     IPV6_HDR_LEN
#define UDP_HDR     UDP_HDR_LEN
#define ESP_HDR_LEN 8
#define PROTO_ICMP  IP_PROTO_ICMP
#define PROTO_TCP   6
#define PROTO_UDP   IP_PROTO_UDP
#define PROTO_IPV6  41
#define PROTO_ESP   IP_PROTO_ESP
#define PROTO_ICMP6 IP_PROTO_ICMPV6
#define PROTO_NONE  59
#define PROTO_SCTP  132
#define ECN_MASK    3
#define ECN_NOT_ECT 0
#define ECN_ECT1    1
#define ECN_ECT0    2
#define ECN_CE      3

// draft-ietf-ipsec-udp-encaps-00 and -01: zero bytes before ESP on port 500, where IKE has its
// initiator's SPI, which is never 0.
#define NON_IKE_MARKER 8

// Views into the packet.
struct ip_info {
	const uint8_t *src, *dst; // 4 or 16 bytes
	uint8_t family;
	uint8_t proto;  // upper protocol, behind extension headers
	uint8_t tos;    // or traffic class
	uint8_t ttl;    // or hop limit
	uint16_t total; // bytes, header included
	uint16_t upper; // offset of the upper protocol's header, bytes
	bool fragment;  // any fragment
	bool later;     // not the first one
	bool extended;  // IPv6 extension headers
};

static inline uint16_t get_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t get_be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint64_t get_be64(const uint8_t *p)
{
	return (uint64_t)get_be32(p) << 32 | get_be32(p + 4);
}

static inline void set_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void set_be32(uint8_t *p, uint32_t v)
{
	set_be16(p, (uint16_t)(v >> 16));
	set_be16(p + 2, (uint16_t)v);
}

// Ones' complement sum of len bytes (even), not folded.
static inline uint32_t ip_sum(const uint8_t *p, uint32_t len)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += get_be16(p + i);
	return sum;
}

static inline uint16_t ip_fold(uint32_t sum)
{
	sum = (sum >> 16) + (sum & 0xffff);
	sum += sum >> 16;
	return (uint16_t)sum;
}

// RFC 1624: the checksum after a 16-bit word changed from old to now.
static inline void ip_sum_fix(uint8_t *check, uint16_t old, uint16_t now)
{
	uint32_t sum = (uint16_t)~get_be16(check) + (uint32_t)(uint16_t)~old + now;
	set_be16(check, (uint16_t)~ip_fold(sum));
}

// Check the header at p with len bytes behind it. check: verify the IPv4 checksum. Returns
// DP_DROP_NONE if all is well. IPv4 options are refused (row 92 of every list of bad input:
// source routes), and so is IPv6's routing header of type 0 (RFC 5095).
enum dp_drop ip_parse_packet(const uint8_t *p, uint32_t len, bool check, struct ip_info *out);

// The same of an IPv4 packet that has no options and has been checked.
static inline void ip_info_of_v4(const uint8_t *p, struct ip_info *out)
{
	uint16_t frag = get_be16(p + 6);
	*out = (struct ip_info){.src = p + 12,
		.dst = p + 16,
		.family = IP_V4,
		.proto = p[9],
		.tos = p[1],
		.ttl = p[8],
		.total = get_be16(p + 2),
		.upper = IP4_HDR,
		.fragment = (frag & 0x3fff) != 0,
		.later = (frag & 0x1fff) != 0};
}

// What a selector calls ports: of the source and of the destination; for ICMP type and code in
// both (RFC 7296 3.13.1). 0 where a later fragment hides them.
void ip_ports(const uint8_t *p, const struct ip_info *ip, uint16_t *src, uint16_t *dst);

// An address that no packet may come from, or that a router does not forward to: unspecified,
// loopback, multicast, broadcast, link local.
bool ip_bad_source(uint8_t family, const uint8_t *a);
bool ip_bad_destination(uint8_t family, const uint8_t *a);

// One hop less, RFC 1812 5.3.1; ip->ttl > 1.
static inline void ip_hop(uint8_t *p, uint8_t family)
{
	if (family == IP_V6) {
		p[7]--;
		return;
	}
	uint16_t old = get_be16(p + 8);
	p[8]--;
	ip_sum_fix(p + 10, old, get_be16(p + 8));
}

// Write the ECN field.
static inline void ip_set_ecn(uint8_t *p, uint8_t family, uint8_t ecn)
{
	if (family == IP_V6) {
		p[1] = (uint8_t)((p[1] & ~(ECN_MASK << 4)) | ecn << 4);
		return;
	}
	uint16_t old = get_be16(p);
	p[1] = (uint8_t)((p[1] & ~ECN_MASK) | ecn);
	ip_sum_fix(p + 10, old, get_be16(p));
}
