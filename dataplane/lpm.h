// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Longest prefix match over many routes: a first step over 16 bits, then nodes of 4 bits, each a cache
// line. Built once, then read by any thread. A lookup takes at most 5 loads for IPv4 and 29 for IPv6,
// one for every 4 bits behind the 16th of the longest prefix around the address.
//
// (A DIR-24-8 table, as rte_fib has it, needs 32 to 64 MiB for its first step alone, and there is one
// for each side, family and port. This one has 256 KiB and 64 bytes for every 4 bits of a prefix that
// no other shares.)
#pragma once

#include "dataplane/dp.h"

#define LPM_ROOT_BITS 16
#define LPM_NODE      16 // entries, of 4 bits

// An entry: the route's index + 1, or a node's index with the highest bit; 0: no route.
#define LPM_CHILD 0x80000000u

struct dp_lpm {
	const struct dp_route *routes; // borrowed
	uint32_t *root;
	uint32_t (*nodes)[LPM_NODE];
	uint32_t node_count, node_cap;
};

// Over those of n routes of one family, longest first, whose port is this; UINT16_MAX: all. Of equal
// prefixes the first holds. NULL: no memory.
struct dp_lpm *dp_lpm_new(const struct dp_route *routes, uint32_t n, uint16_t port);
void dp_lpm_free(struct dp_lpm *l);
uint64_t dp_lpm_size(const struct dp_lpm *l); // bytes

// addr: in network order. NULL: no route.
static inline const struct dp_route *dp_lpm_lookup(const struct dp_lpm *l, const uint8_t *addr)
{
	uint32_t e = l->root[(uint32_t)addr[0] << 8 | addr[1]];
	for (unsigned at = 2; e & LPM_CHILD; at++) {
		e = l->nodes[e & ~LPM_CHILD][addr[at] >> 4];
		if (e & LPM_CHILD)
			e = l->nodes[e & ~LPM_CHILD][addr[at] & 15];
	}
	return e ? &l->routes[e - 1] : NULL;
}
