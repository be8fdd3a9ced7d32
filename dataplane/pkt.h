// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets as bytes: what the control thread parses and builds (ARP, ND, ICMP, UDP, fragments).
// Pure functions without DPDK, so that tests and fuzzers link them alone. Everything parsed comes
// from outside: lengths first, each refusal a named drop.
#pragma once

#include "base/addr.h"
#include "dataplane/drops.h"

#define ETH_TYPE_IPV4   0x0800
#define ETH_TYPE_ARP    0x0806
#define ETH_TYPE_IPV6   0x86dd
#define ETH_HDR_LEN     14
#define IPV4_HDR_LEN    20
#define IPV6_HDR_LEN    40
#define IPV6_FRAG_LEN   8
#define UDP_HDR_LEN     8
#define IP_PROTO_ICMP   1
#define IP_PROTO_UDP    17
#define IP_PROTO_ESP    50
#define IP_PROTO_ICMPV6 58
#define IPV6_HOP_BY_HOP 0
#define IPV6_ROUTING    43
#define IPV6_FRAGMENT   44
#define IPV6_DST_OPTS   60
#define IPV4_MTU_MIN    576
#define IPV6_MTU_MIN    1280
#define IPV6_EXT_MAX    8 // extension headers that are walked before a packet is dropped

struct pkt_mac {
	uint8_t bytes[6];
};

struct pkt_eth {
	struct pkt_mac dst, src;
	uint16_t type;
	struct view payload; // padding included
};

// RFC 826, Ethernet and IPv4 only.
struct pkt_arp {
	uint16_t op; // 1 request, 2 reply
	struct pkt_mac sender_mac, target_mac;
	struct ip_addr sender, target;
};

#define ARP_REQUEST 1
#define ARP_REPLY   2

// An IP packet cut out of what carried it: padding behind it is gone.
struct pkt_ip {
	uint8_t family;
	uint8_t proto; // behind IPv6 extension headers; of a fragment: of its first part
	uint8_t ttl;   // hop limit
	uint8_t tos;   // traffic class
	bool df;       // IPv4
	bool options;  // IPv4 options, or IPv6 extension headers other than the fragment header
	bool fragment; // offset is not 0 or more follow
	bool more;
	uint16_t offset; // of the payload in the whole, bytes
	uint32_t id;     // IPv4: 16 bits; IPv6: 0 without a fragment header
	struct ip_addr src, dst;
	struct view head;    // header with options or with extension headers before the payload
	struct view payload; // behind head and the fragment header
	struct view whole;
};

struct pkt_udp {
	uint16_t src_port, dst_port;
	struct view payload;
};

struct pkt_icmp {
	uint8_t type, code;
	uint32_t rest;    // the four bytes behind the checksum, host order
	struct view body; // behind them
};

#define ICMP_ECHO_REPLY     0
#define ICMP_UNREACHABLE    3
#define ICMP_FRAG_NEEDED    4 // code of ICMP_UNREACHABLE
#define ICMP_ECHO_REQUEST   8
#define ICMP_TIME_EXCEEDED  11
#define ICMP6_UNREACHABLE   1
#define ICMP6_TOO_BIG       2
#define ICMP6_TIME_EXCEEDED 3
#define ICMP6_ECHO_REQUEST  128
#define ICMP6_ECHO_REPLY    129
#define ICMP6_NS            135
#define ICMP6_NA            136

// Neighbour solicitation or advertisement, RFC 4861 4.3, 4.4.
struct pkt_nd {
	uint8_t type; // ICMP6_NS, ICMP6_NA
	bool solicited, override, router;
	struct ip_addr target;
	bool mac_set; // NS: source, NA: target link-layer address option
	struct pkt_mac mac;
};

// What an ICMP error quotes: the packet that it is about, cut short by the sender.
struct pkt_quote {
	struct ip_addr src, dst;
	uint8_t proto;
	uint16_t src_port, dst_port; // UDP, else 0
	uint32_t spi;                // ESP, plain or (UDP ports 4500, 500) encapsulated; else 0
	bool seq_set;                // the ESP sequence number was quoted too
	uint32_t seq;                // its low 32 bits
	uint32_t total;              // bytes of the quoted packet, as its header says
	uint32_t mtu;                // too-big messages: the next hop's MTU; 0: not told
	bool too_big;
};

// Parse. DP_DROP_NONE, or why not; then *out is undefined. Views borrow from the input.
MUST_USE enum dp_drop pkt_parse_eth(struct view frame, struct pkt_eth *out);
MUST_USE enum dp_drop pkt_parse_arp(struct view payload, struct pkt_arp *out);
// Checks version, lengths, IPv4's header checksum; walks IPv6 extension headers up to the fragment
// header or the upper layer.
MUST_USE enum dp_drop pkt_parse_ip(struct view packet, struct pkt_ip *out);
// Of a whole packet or a reassembled payload. Checksum verified: IPv4 takes 0 as none, IPv6 does
// not (RFC 8200 8.1).
MUST_USE enum dp_drop pkt_parse_udp(const struct pkt_ip *ip, struct pkt_udp *out);
// Checksum verified; a fragment is refused.
MUST_USE enum dp_drop pkt_parse_icmp(const struct pkt_ip *ip, struct pkt_icmp *out);
// RFC 4861 7.1.1, 7.1.2 validity.
MUST_USE enum dp_drop pkt_parse_nd(
	const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct pkt_nd *out);
// Unreachable, too big, time exceeded; of both families.
MUST_USE enum dp_drop pkt_parse_quote(
	const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct pkt_quote *out);

// The Internet checksum (RFC 1071) in pieces: add in any number of runs, of which all but the last
// have an even length, then fold.
uint32_t pkt_sum(uint32_t sum, const void *bytes, size_t len);
uint16_t pkt_sum_fold(uint32_t sum); // host order, complemented
uint32_t pkt_sum_pseudo(
	const struct ip_addr *src, const struct ip_addr *dst, uint8_t proto, uint32_t len);

// Build: append to w; w->overflow says if it did not fit.
void pkt_build_eth(
	struct wr *w, const struct pkt_mac *dst, const struct pkt_mac *src, uint16_t type);
// Request to the broadcast address when dst is NULL.
void pkt_build_arp(struct wr *w, const struct pkt_mac *eth_dst, const struct pkt_arp *arp);

struct pkt_ip_head {
	struct ip_addr src, dst;
	uint8_t proto, ttl, tos;
	bool df;
	uint16_t id; // IPv4
};

// Header for a payload of that many bytes.
void pkt_build_ip(struct wr *w, const struct pkt_ip_head *h, size_t payload_len);
// UDP header and payload, checksum filled in; src and dst for the pseudo header.
void pkt_build_udp(struct wr *w, const struct endpoint *src, const struct endpoint *dst,
	struct view marker, struct view payload);
// Whole ICMP message behind an IP header of h: type, code, the four bytes, body; with checksum.
void pkt_build_icmp(struct wr *w, const struct pkt_ip_head *h, const struct pkt_icmp *icmp);
// NS for target, from an own address; to its solicited-node group, or to dst_mac (a probe).
void pkt_build_ns(struct wr *w, const struct pkt_mac *src_mac, const struct ip_addr *src,
	const struct pkt_mac *dst_mac, const struct ip_addr *target);

// Unspecified, multicast, broadcast and loopback are no hosts.
bool pkt_is_unicast(const struct ip_addr *a);
// ff02::1:ffXX:XXXX of an address, and the Ethernet group of an IPv6 multicast address.
struct ip_addr pkt_solicited_node(const struct ip_addr *a);
struct pkt_mac pkt_group_mac(const struct ip_addr *group);
bool pkt_mac_usable(const struct pkt_mac *m); // not a group, not zero
