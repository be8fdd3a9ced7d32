// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One record an address in the whole process, found by index: 32 bits, block and place in it. A block
// of a pool's range stands for 4096 addresses (or prefixes) in a row; what lies in a sparse range, or
// in no pool's, has a record in a loose block, found by hash. Private to pools/.
#pragma once

#include "base/addr.h"
#include "pools/bits.h"
#include "pools/itab.h"
#include "pools/pools.h"

#define NONE       0u // an index; block 0 is never used
#define INDEX_BITS 28 // a fence has the index in its low bits
#define MAX_BLOCKS (1u << (INDEX_BITS - 12))

__extension__ typedef unsigned __int128 u128;

static inline u128 num_of(const struct ip_addr *a)
{
	uint64_t half[2];
	uint32_t v4;
	memcpy(&v4, a->bytes, sizeof(v4));
	if (a->family == IP_V4)
		return __builtin_bswap32(v4);
	memcpy(half, a->bytes, sizeof(half));
	return (u128)__builtin_bswap64(half[0]) << 64 | __builtin_bswap64(half[1]);
}

static inline void addr_put(struct ip_addr *a, uint8_t family, u128 v)
{
	uint64_t half[2] = {__builtin_bswap64((uint64_t)(v >> 64)), __builtin_bswap64((uint64_t)v)};
	if (family == IP_V4) {
		half[0] = __builtin_bswap32((uint32_t)v);
		half[1] = 0;
	}
	a->family = family;
	memcpy(a->bytes, half, sizeof(half));
}

static inline struct ip_addr addr_from(uint8_t family, u128 v)
{
	struct ip_addr a;
	addr_put(&a, family, v);
	return a;
}

// A further grant of a lease that is shared.
struct grant {
	struct grant *next;
	uint64_t fence;
};

enum record_queue {
	QUEUE_NONE,
	QUEUE_RELEASED, // free again, of one shard
	QUEUE_OFFERED,  // from here on by time, and of one pool
	QUEUE_LINGERING,
	QUEUE_QUARANTINE,
	QUEUE_RESTORED, // quarantined for linger_s
	QUEUE_LOST,     // quarantined for QUARANTINE_LOST_S
	QUEUE_COUNT,
};

// A cache line. All zero: an address that was never used.
struct record {
	uint64_t fence; // of the first grant; 0: it has ended
	uint64_t since_ns;
	uint64_t session;
	struct grant *more;
	uint32_t next, prev; // in a queue
	uint32_t next_owned,
		prev_owned; // ring of the owner's leases; of a free loose record the next one
	uint32_t hash;      // of owner and pool
	uint32_t ticket;    // of the row, its low bits
	uint16_t pool;
	uint16_t shard;
	uint8_t prefix_len;
	// A byte each, so that what is written is read in the same size.
	uint8_t queue : 3; // enum record_queue
	uint8_t state : 2; // enum lease_state
	uint8_t origin : 2;
	uint8_t used : 1;     // a lease
	uint8_t reserved : 1; // for somebody, by the pool
	uint8_t outside : 1;  // not one of the addresses that the pool gives out by itself
	uint8_t anonymous : 1;
	uint8_t was_active : 1;
	uint8_t row : 1;     // has one in the journal
	uint8_t waiting : 1; // it is not durable yet
	uint8_t head : 1;    // of the owner's ring, what the table of owners names
	uint8_t revoked : 1; // ends with its holder, in no ring any longer
	uint8_t far : 1;     // its ident is
	uint8_t lost : 1;    // its server has given it to somebody else
	uint8_t left : 1;    // a reload has taken its address out of all ranges
};
_Static_assert(sizeof(struct record) == 64, "a cache line");

// The owner's key and text, beside the record: most are short.
#define IDENT_BYTES 29
#define IDENT_FAR   UINT8_MAX
struct ident {
	uint8_t key_len; // IDENT_FAR: at far
	uint8_t name_at, name_len;
	uint8_t bytes[IDENT_BYTES];
};
_Static_assert(sizeof(struct ident) == 32, "half a cache line");

struct ident_far {
	uint16_t key_len, name_at, name_len;
	uint8_t bytes[];
};

// What both say.
struct ident_view {
	struct view key, name;
};

struct block {
	struct record *records;
	struct ident *idents;
	struct ip_addr *addrs; // of a loose block, one a record
	uint32_t number;       // the index of record i is number << 12 | i
	uint32_t ordinal;      // among its pool's
	uint32_t used;         // leases
	uint16_t pool;
	bool plain;            // single addresses of IPv4
	bool stays;            // while a reload is planned: it is taken over
	bool planned;          // it is of the new configuration
	uint8_t prefix_len;    // not of a loose block
	uint8_t family, shift; // record i is that of base + (i << shift)
	u128 base;
	struct bits fresh[]; // one a shard: never used. None in a loose block
};

#define ARENA_BLOCKS 16u

struct arena {
	struct arena *next;
	uint8_t *bytes;
};

struct records {
	uint8_t key[16];       // of all hashes
	struct block **blocks; // by number
	uint32_t count, room;
	uint32_t *free_numbers; // of blocks that are gone; as much room
	uint32_t free_count;
	struct arena *arenas; // the latest first
	uint32_t arena_count;
	uint32_t arena_used; // blocks of the latest
	void **free_chunks;  // as much room as blocks
	uint32_t chunk_count;
	uint32_t loose_free, loose_block, loose_used;
	struct itab by_addr; // of loose records
};

MUST_USE int records_init(struct records *t);
void records_fini(struct records *t);
// A block with a number, zeroed; NULL without memory.
struct block *block_new(struct records *t, size_t shards, bool loose);
// None of its records is a lease or in a queue.
void block_free(struct records *t, struct block *b);

static inline struct block *block_at(const struct records *t, uint32_t index)
{
	return t->blocks[index / BITS_SIZE];
}

// NULL: there is none. For an index that somebody remembers.
static inline struct record *record_if(const struct records *t, uint64_t index)
{
	uint64_t n = index / BITS_SIZE;
	const struct block *b = n < t->count && t->blocks ? t->blocks[n] : NULL;
	return b ? &b->records[index % BITS_SIZE] : NULL;
}

static inline struct record *record_at(const struct records *t, uint32_t index)
{
	return &t->blocks[index / BITS_SIZE]->records[index % BITS_SIZE];
}

static inline void record_addr_put(const struct records *t, uint32_t index, struct ip_addr *out)
{
	const struct block *b = block_at(t, index);
	uint32_t i = index % BITS_SIZE;
	if (b->plain)
		addr_put(out, IP_V4, (uint32_t)b->base + i);
	else if (b->addrs)
		*out = b->addrs[i];
	else
		addr_put(out, b->family, b->base + ((u128)i << b->shift));
}

static inline struct ip_addr record_addr(const struct records *t, uint32_t index)
{
	struct ip_addr a;
	record_addr_put(t, index, &a);
	return a;
}

uint32_t record_tag(const struct records *t, const struct ip_addr *a);
// A loose record for this address, whose tag is `tag`; NONE without memory.
uint32_t loose_new(struct records *t, const struct ip_addr *a, uint32_t tag);
void loose_free(struct records *t, uint32_t index, uint32_t tag);
uint32_t loose_find(const struct records *t, const struct ip_addr *a, uint32_t tag);

// Where a name stands: mostly in the key, as its user or its end; at key.len: apart from it.
size_t ident_name_at(struct view key, const char *name, size_t len);
// 0 or -ENOMEM. The key may be empty.
MUST_USE int ident_set(struct records *t, uint32_t index, struct view key, const char *name,
	size_t name_len, size_t name_at);
void ident_far_free(struct records *t, uint32_t index);
static inline void ident_clear(struct records *t, uint32_t index)
{
	if (record_at(t, index)->far)
		ident_far_free(t, index);
}
struct ident_view ident_of(const struct records *t, uint32_t index);

struct queue {
	uint32_t first, last;
	uint64_t count;
};

static inline void queue_push(struct records *t, struct queue *q, uint32_t index)
{
	struct record *r = record_at(t, index);
	r->prev = q->last;
	r->next = NONE;
	if (q->last)
		record_at(t, q->last)->next = index;
	else
		q->first = index;
	q->last = index;
	q->count++;
}

static inline void queue_remove(struct records *t, struct queue *q, uint32_t index)
{
	const struct record *r = record_at(t, index);
	if (r->prev)
		record_at(t, r->prev)->next = r->next;
	else
		q->first = r->next;
	if (r->next)
		record_at(t, r->next)->prev = r->prev;
	else
		q->last = r->prev;
	q->count--;
}
