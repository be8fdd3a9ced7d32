// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The addresses (or prefixes) of one pool that nobody holds, by shard: never used ones in bitmaps,
// released ones in the order of their release. Private to pools/.
//
// Ranges of up to 2^24 of them are dense: blocks of 4096, each hashed into its shards when it is
// first needed. Larger ranges are sparse: one is drawn at random, then hashed; nothing is remembered
// of it once it is given back.
#pragma once

#include "pools/record.h"

#define SPACE_DENSE (1u << 24)

struct segment {
	u128 lo, hi; // first addresses of the first and the last unit
	u128 last;   // address of the last unit
	u128 base;   // of the first block, dense only
	uint8_t family, shift;
	bool sparse;
	uint16_t pool;
	uint32_t first_block; // ordinal
	uint32_t blocks;
};

// a lies in it.
static inline bool segment_begins(const struct segment *seg, const struct ip_addr *a)
{
	return ((num_of(a) - seg->lo) & (((u128)1 << seg->shift) - 1)) == 0;
}

struct reserved {
	struct ip_addr addr;
	const char *owner; // of the configuration
};

#define FETCH_AHEAD 4u // allocations from a shard; so many at once

struct space_shard {
	uint64_t fresh; // never used, in the blocks that are hashed
	struct queue released;
	uint32_t latest[FETCH_AHEAD]; // that were released
	unsigned gone, given;         // how many, modulo 2^32
	struct bits *blocks;          // with fresh addresses of this shard, 4096 blocks each
};

struct space {
	const struct pools_seams *seams;
	struct records *records;
	uint16_t pool;
	uint8_t shift;            // log2 of a unit's addresses
	struct segment *segments; // by address
	size_t segment_count;
	uint32_t *sparse; // indices of segments
	size_t sparse_count;
	struct ip_range *excludes; // whole units, by address, merged
	size_t exclude_count;
	struct reserved *reserved; // by address, inside the ranges and not excluded
	uint32_t *by_owner;        // indices of reserved
	size_t reserved_count;
	struct block **blocks; // by ordinal; NULL: not hashed yet
	uint32_t block_count;
	uint32_t next_block; // all before are hashed
	struct space_shard *shards;
	size_t shard_count;
	struct bits *summaries; // what shards[].blocks point into
	uint64_t size;          // units in all, UINT64_MAX: more
	bool planned;           // of a reload that is not done: so are its blocks
	uint64_t drawn[16];     // random
	unsigned drawn_left;
};

// What was taken: a record, or of a sparse range an address that has none yet.
struct place {
	struct record *r; // NULL: a loose record is to be made
	uint16_t shard;
	struct ip_addr addr; // of that
};

// 0 or -ENOMEM. All that it is given must outlive it; `pool` is its number.
MUST_USE int space_init(struct space *s, const struct cfg_pool *p, uint16_t pool,
	const struct pools_seams *seams, struct records *records);
// The blocks are the records'.
void space_fini(struct space *s);

uint16_t space_shard_of(const struct space *s, const struct ip_addr *a);
bool space_excluded(const struct space *s, const struct ip_addr *a);
// The reservation of this address, or NULL.
const struct reserved *space_reserved(const struct space *s, const struct ip_addr *a);
// The first in the order of owners that is not before this one: an index of by_owner.
size_t space_first_of(const struct space *s, const char *owner);

// The record that seg, which is dense and holds a, has of a: NULL if none begins there or its block is not
// hashed.
static inline struct record *segment_find(
	const struct space *s, const struct segment *seg, const struct ip_addr *a)
{
	u128 offset = num_of(a) - seg->base;
	uint64_t unit = (uint64_t)(offset >> seg->shift);
	const struct block *b = s->blocks[seg->first_block + unit / BITS_SIZE];
	if (!b || (u128)unit << seg->shift != offset)
		return NULL;
	return &b->slots[unit % BITS_SIZE].record;
}

// Nobody has looked for long at those that will be given out some allocations later. To ask for a line far
// away takes a page walk, which the processor waits for; several walks at once take no longer than one.
// Inline, as a compiler takes a function that does nothing else for one without effect.
static inline __attribute__((always_inline)) void space_fetch_released(
	const struct space *s, const struct queue *q)
{
	uint32_t at = q->first;
	for (unsigned i = 0; i < FETCH_AHEAD && i < q->count; i++) {
		struct record *r = record_at(s->records, at);
		const struct record *later = record_at(s->records, *record_later(r));
		slot_prefetch(later);
		at = r->next;
	}
}

// Whether the first of the queue is one of the present ranges', once some that are not have left it.
bool space_skip_gone(struct space *s, struct queue *q);
static inline bool space_take_released(struct space *s, uint16_t shard, struct place *out)
{
	struct space_shard *h = &s->shards[shard];
	struct queue *q = &h->released;
	if (!q->count || (__builtin_expect(s->records->settling, false) && !space_skip_gone(s, q)))
		return false;
	out->r = record_at(s->records, q->first);
	out->shard = shard;
	out->r->queue = QUEUE_NONE;
	queue_remove(s->records, q, out->r);
	if (h->given++ % FETCH_AHEAD == 0)
		space_fetch_released(s, q);
	return true;
}

MUST_USE int space_take_any(struct space *s, uint16_t shard, struct place *out);
// 1 and *out, 0 if there is none, or -ENOMEM. In this order: never used of the shard, least
// recently released of the shard, any shard that has most.
MUST_USE static inline int space_take(struct space *s, uint16_t shard, struct place *out)
{
	bool used_up =
		!s->shards[shard].fresh && s->next_block == s->block_count && !s->sparse_count;
	if (used_up && space_take_released(s, shard, out))
		return 1;
	return space_take_any(s, shard, out);
}
// After a 0 it may find one when it is called again, in a bounded number of calls.
bool space_undecided(const struct space *s);
// Takes exactly this one of seg, which nobody holds and which begins a unit; it may be reserved or
// excluded. 0 or -ENOMEM.
MUST_USE int space_take_this(
	struct space *s, const struct segment *seg, const struct ip_addr *a, struct place *out);
// It was taken; it becomes the most recently released. Neither reserved nor excluded nor loose.
static inline void space_give_back(struct space *s, struct record *r)
{
	struct space_shard *h = &s->shards[r->shard];
	uint32_t *earlier = &h->latest[h->gone++ % FETCH_AHEAD];
	struct record *e = record_at(s->records, *earlier);
	if (e->queue == QUEUE_RELEASED)
		*record_later(e) = record_index(s->records, r);
	*earlier = record_index(s->records, r);
	r->queue = QUEUE_RELEASED;
	queue_push(s->records, &h->released, r);
}

// What of a block's addresses the pool can give out by itself, and what it has reserved.
struct block_plan {
	u128 base; // the first
	struct bits usable, reserved;
	uint16_t first, last; // that the range has
};
void space_plan(const struct space *s, uint32_t ordinal, struct block_plan *out);
// Never used, of a block that is hashed.
void space_hash_unit(struct space *s, struct block *b, unsigned i);
// 0 or -ENOMEM.
MUST_USE int space_hash_block(struct space *s, uint32_t ordinal);
const struct segment *space_segment_of(const struct space *s, uint32_t ordinal);
