// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The pools' ranges behind the destination map: a map of them is immutable, and another one takes its
// place when the pools change. What stays a pool's keeps its flat array, so that a change costs the
// control thread no look at the entries. Private to the destination map.
#pragma once

#include "dataplane/dst.h"

#define DST_BLOCK 4096u // values that are counted together

// Of one or more pieces of one or more maps.
struct dst_array {
	_Atomic uint64_t *values;
	uint64_t count;
	uint32_t pieces;
	uint16_t live[]; // how many values of each block are a tunnel's
};

struct dst_piece {
	struct ip_range range;
	struct dst_array *array;
	uint64_t first; // the value of range.lo
};

struct dst_map {
	struct dst_map *retired_next;
	uint64_t retired_at;
	struct dst_piece *pieces; // sorted, apart, IPv4 first
	size_t piece_count, piece_v4;
	struct dp_pool_range *sparse; // the same
	size_t sparse_count;
	size_t kept; // pieces that are no pool's any longer, but have tunnels
	struct dp_dst_ranges seen;
};

static inline const struct dst_map *dst_map_of(const struct dp_dst_ranges *r)
{
	return (const struct dst_map *)(const void *)((const char *)r -
						      offsetof(struct dst_map, seen));
}

// From an old map (or NULL) and the ranges that are the pools' from now on. NULL: no memory.
struct dst_map *dst_map_new(const struct dst_map *old, const struct dp_pool_range *r, size_t count);
void dst_map_free(struct dst_map *m);

// The piece with this address, or NULL.
const struct dst_piece *dst_map_find(const struct dst_map *m, uint8_t family, const uint8_t *addr);
// The length that a tunnel's prefix must have at least to be right for an address of a pool; 0: it is no
// pool's.
unsigned dst_map_bits(const struct dst_map *m, uint8_t family, const uint8_t *addr);
