// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The addresses of one pool that nobody holds, by shard: never used ones in bitmaps, released ones
// in the order of their release. Private to pools/.
//
// Ranges of up to 2^24 addresses are dense: blocks of 4096, each hashed into its shards when it is
// first needed (at once in pools of up to SPACE_EAGER addresses). Larger ranges are sparse: an
// address is drawn at random, then hashed; nothing is remembered of it once it is given back.
#pragma once

#include "pools/bits.h"
#include "pools/pools.h"

#define SPACE_EAGER (1u << 18)
#define SPACE_DENSE (1u << 24)
#define SPACE_NONE  UINT32_MAX

// The neighbours in the shard's queue of released addresses.
struct space_link {
	uint32_t prev, next;
};

struct space_block {
	uint32_t segment;
	struct space_link *links; // one an address
	struct bits fresh[];      // one a shard: never used
};

struct space_segment {
	struct ip_range range;
	bool sparse;
	uint32_t count; // addresses, dense only
	uint32_t first_block;
};

struct space_shard {
	uint64_t fresh;    // never used, in the blocks that are hashed
	uint64_t released; // in the queue
	uint32_t oldest, newest;
	struct bits *blocks; // with fresh addresses of this shard, 4096 blocks each
};

struct space {
	const struct pools_seams *seams;
	// Whether somebody holds an address or has it reserved; asked for sparse ranges only.
	bool (*busy)(void *ctx, const struct ip_addr *a);
	void *ctx;
	struct space_segment *segments; // by address
	size_t segment_count;
	uint32_t *sparse; // indices of segments
	size_t sparse_count;
	struct ip_range *excludes; // by address, merged
	size_t exclude_count;
	struct ip_addr *reserved; // by address, inside the ranges and not excluded
	size_t reserved_count;
	struct space_block **blocks;
	uint32_t block_count;
	uint32_t next_block; // all before are hashed
	struct space_shard *shards;
	struct bits *summaries; // what shards[].blocks point into
	uint64_t size;          // addresses in all, UINT64_MAX: more
};

// 0 or -ENOMEM. The seams and the configuration must outlive it.
MUST_USE int space_init(struct space *s, const struct cfg_pool *p, const struct pools_seams *seams);
void space_fini(struct space *s);

uint16_t space_shard_of(const struct space *s, const struct ip_addr *a);
// Inside the ranges and not excluded.
bool space_has(const struct space *s, const struct ip_addr *a);
bool space_reserved(const struct space *s, const struct ip_addr *a);

// 1 and *out, 0 if there is none, or -ENOMEM. In this order: never used of the shard, least
// recently released of the shard, any shard that has most.
MUST_USE int space_take(struct space *s, uint16_t shard, struct ip_addr *out);
// Takes exactly this one, which space has, nobody holds and nobody reserved. 0 or -ENOMEM.
MUST_USE int space_take_this(struct space *s, const struct ip_addr *a);
// a was taken; it becomes the most recently released.
void space_give_back(struct space *s, const struct ip_addr *a);
