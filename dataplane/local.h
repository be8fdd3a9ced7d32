// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the gateway answers for itself: ARP and ND for its own addresses and, where a port is a
// proxy, for inner addresses in use; ICMP echo; ICMP errors to inner senders. Pure: the answer is
// appended to a writer. Control thread; no DPDK.
#pragma once

#include "dataplane/pkt.h"

#define LOCAL_TTL 64 // of what the gateway says itself

// A port as its neighbours see it. addresses: borrowed, host bits kept.
struct local_port {
	struct pkt_mac mac;
	const struct ip_prefix *addresses;
	size_t address_count;
	bool proxy;                                             // answer for inner addresses too
	bool (*in_use)(void *ctx, const struct ip_addr *inner); // a tunnel has it now
	void *ctx;
};

// The frame that answers an ARP request. DP_DROP_NONE with nothing written: there is nothing to
// answer (a reply). arp_foreign: not our business.
MUST_USE enum dp_drop local_arp(
	const struct local_port *p, const struct pkt_arp *arp, struct wr *frame);
// The same for a neighbour solicitation; eth_src is the frame's source, for askers that give no
// address of theirs.
MUST_USE enum dp_drop local_nd(const struct local_port *p, const struct pkt_mac *eth_src,
	const struct pkt_ip *ip, const struct pkt_nd *nd, struct wr *frame);
// "This address is here": a gratuitous ARP request or an unsolicited advertisement to all nodes.
void local_announce(const struct local_port *p, const struct ip_addr *addr, struct wr *frame);

// The IP packet that answers an echo request; icmp otherwise.
MUST_USE enum dp_drop local_echo(
	const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct wr *packet);

enum local_error { LOCAL_TOO_BIG, LOCAL_TIME_EXCEEDED };

// An ICMP error from src about a packet; mtu in bytes, raised to the least that the family allows.
// Refused (icmp) where RFC 1122 3.2.2 and RFC 4443 2.4 forbid one: about ICMP errors, later
// fragments, and what was not from one host to one host.
MUST_USE enum dp_drop local_icmp_error(enum local_error what, uint16_t mtu,
	const struct ip_addr *src, const struct pkt_ip *about, struct wr *packet);

// A token bucket.
struct local_rate {
	uint32_t per_s, burst;
	// private
	uint64_t credit_ns; // time saved up
	uint64_t last_ns;
};

bool local_rate_pass(struct local_rate *r, uint64_t now_ns);
