// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Fragments of outer packets that wait at a worker for each other. Unlike reasm.h's nothing is copied
// or allocated: what is kept are the packets themselves, as their owner's pointers. Hard caps; an
// overlap ends the whole datagram (RFC 5722). One thread for one instance; no DPDK.
#pragma once

#include "dataplane/pkt.h"

#define GATHER_PARTS     24 // fragments of one datagram
#define GATHER_DATAGRAMS 128
#define GATHER_SOURCE    16  // datagrams of one source (by a hash that outsiders cannot aim at)
#define GATHER_HELD      512 // fragments in all
#define GATHER_NS        (3 * NS_PER_S)

struct gather;

// Where a fragment belongs. Everything is set: keys are compared as bytes.
struct gather_key {
	struct ip_addr src, dst;
	uint32_t id;
	uint32_t proto; // IPv4; 0 with IPv6 (RFC 8200 4.5)
};

struct gather_part {
	void *packet;
	uint32_t at, len; // of the payload in the whole, bytes
};

enum gather_verdict {
	GATHER_WAITS, // for others
	GATHER_WHOLE, // parts are all of it, in order
	GATHER_PASS,  // parts go to whom foreign ones belong
};

struct gather_result {
	enum gather_verdict verdict;
	unsigned count;
	unsigned
		evicted; // older datagrams that ended for this one, with whatever verdict or reason
	uint32_t total;  // WHOLE: bytes
	struct gather_part parts[GATHER_PARTS + 1];
};

// key: an unpredictable hash key, copied. release is called for packets whose datagram has ended
// without them. 0 or -ENOMEM.
MUST_USE int gather_new(
	const uint8_t key[static 16], void (*release)(void *packet), struct gather **out);
void gather_free(struct gather *g);

// Take a fragment; more: others follow it. foreign: the datagram's first one, which shows that another
// one is to put it together: it and all others are passed. DP_DROP_NONE: the packet is taken, or in
// the result, whose packets are the caller's. Otherwise it is still the caller's, and what else of the
// datagram had come is released, unless it is a duplicate.
MUST_USE enum dp_drop gather_add(struct gather *g, const struct gather_key *k,
	const struct gather_part *part, bool more, bool foreign, uint64_t now_ns,
	struct gather_result *r);

// Release what is overdue; returns how many datagrams that were, passed ones not counted.
unsigned gather_expire(struct gather *g, uint64_t now_ns);
// When gather_expire() has something to do; UINT64_MAX: never.
uint64_t gather_next_ns(const struct gather *g);
// Fragments and datagrams that wait.
unsigned gather_held(const struct gather *g);
unsigned gather_datagrams(const struct gather *g);
