// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Next hops: which MAC an address on a link has (ARP, RFC 826; ND, RFC 4861), and the packets that
// wait to learn it. Control thread; what it does to the world goes through seams, so it needs no
// DPDK. Only addresses that somebody wants to send to are ever learned.
#pragma once

#include "dataplane/pkt.h"

struct neigh_table;

#define NEIGH_WAITING_MAX 16 // packets of one entry

struct neigh_limits {
	uint32_t entries;
	uint32_t unresolved;     // of them without an answer yet
	uint32_t waiting;        // packets, in all
	uint32_t tries;          // probes before giving up
	uint64_t retry_ns;       // between probes
	uint64_t reachable_ns;   // until an entry is confirmed anew
	uint64_t unreachable_ns; // how long a silent next hop's packets are dropped at once
	uint64_t
		idle_ns; // a nearly full table lets go of entries that nobody has asked for this long
	uint64_t
		spare_ns; // and a full one, for a new entry, of the longest unasked after this long
};

extern const struct neigh_limits neigh_limits_default;

struct neigh_seams {
	void *ctx;
	// Ask for target; to mac alone if it is not NULL.
	void (*probe)(
		void *ctx, uint16_t port, const struct ip_addr *target, const struct pkt_mac *mac);
	// Tell the workers; mac NULL: withdrawn.
	void (*publish)(
		void *ctx, uint16_t port, const struct ip_addr *addr, const struct pkt_mac *mac);
	// Send a packet that waited, or drop it; both take it.
	void (*send)(void *ctx, uint16_t port, const struct pkt_mac *mac, void *packet);
	void (*drop)(void *ctx, enum dp_drop why, void *packet);
};

// key: unpredictable, copied. 0 or -ENOMEM.
MUST_USE int neigh_new(const struct neigh_limits *l, const struct neigh_seams *s,
	const uint8_t key[static 16], uint64_t now_ns, struct neigh_table **out);
// Drops what waits.
void neigh_free(struct neigh_table *t);

// Send a packet to this next hop, now or when it is known. Takes the packet in any case.
void neigh_send(struct neigh_table *t, uint16_t port, const struct ip_addr *addr, void *packet,
	uint64_t now_ns);

struct neigh_news {
	uint16_t port;
	struct ip_addr addr;
	bool mac_set;
	struct pkt_mac mac;
	bool override;  // ARP: true. ND: the flag; a solicitation's source option counts as set
	bool confirmed; // an answer to a question (ARP reply, solicited advertisement)
};

// Somebody said who they are. DP_DROP_arp_unasked if nobody wanted to know.
MUST_USE enum dp_drop neigh_learn(
	struct neigh_table *t, const struct neigh_news *news, uint64_t now_ns);

// The port's own MAC has changed, which workers keep with each entry: they are told of those that may be used.
void neigh_again(struct neigh_table *t, uint16_t port);

void neigh_tick(struct neigh_table *t, uint64_t now_ns);
uint64_t neigh_next_ns(const struct neigh_table *t);

// Look, for tests and show: true and the MAC if the entry may be used.
bool neigh_lookup(const struct neigh_table *t, uint16_t port, const struct ip_addr *addr,
	struct pkt_mac *mac);

struct neigh_usage {
	uint32_t entries, unresolved, waiting;
};
struct neigh_usage neigh_usage(const struct neigh_table *t);
