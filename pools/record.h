// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One record an address in the whole process, in one array, by index: 28 bits, block and place in it. A
// block of a pool's range stands for 4096 addresses (or prefixes) in a row; what lies in a sparse range, or
// in no pool's, has a record in a loose block, found by hash. Private to pools/.
#pragma once

#include "base/addr.h"
#include "pools/bits.h"
#include "pools/itab.h"
#include "pools/pools.h"

#define NONE       0u // an index; block 0 is never used
#define INDEX_BITS 28 // a fence has the index in its low bits

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

// All zero: an address that was never used.
struct record {
	uint64_t fence; // of the first grant; 0: it has ended
	uint64_t since_ns;
	uint64_t session;
	struct grant *more;
	uint32_t next, prev; // in a queue
	uint32_t next_owned,
		prev_owned; // ring of the owner's leases; of a free loose record the next one; see
			    // record_later()
	uint32_t hash;      // of owner and pool
	uint32_t ticket;    // of the row, its low bits
	uint16_t pool;
	uint16_t shard;
	uint8_t prefix_len;
	// A byte for what changes together, so that what is written is read in the same size.
	uint8_t queue : 3; // enum record_queue
	uint8_t state : 2; // enum lease_state
	uint8_t used : 1;  // a lease
	uint8_t was_active : 1;
	uint8_t anonymous : 1;
	// What takes more steps at the end, see record_rare().
	uint8_t origin : 2;   // enum lease_origin
	uint8_t reserved : 1; // for somebody, by the pool
	uint8_t outside : 1;  // not one of the addresses that the pool gives out by itself
	uint8_t row : 1;      // has one in the journal
	uint8_t far : 1;      // its ident is
	uint8_t lost : 1;     // its server has given it to somebody else
	uint8_t loose : 1;    // it is of a loose block
	uint8_t waiting : 1;  // its row is not durable yet
	uint8_t head : 1;     // of the owner's ring, what the table of owners names
	uint8_t revoked : 1;  // ends with its holder, in no ring any longer
	uint8_t left : 1;     // a reload has taken its address out of all ranges; it is outside
};
_Static_assert(sizeof(struct record) == 64, "a cache line");

static inline bool record_rare(const struct record *r)
{
	return r->origin || r->reserved || r->outside || r->row || r->far || r->lost || r->loose;
}

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

// Side by side: who needs both waits for one page walk, which costs as much as the memory. Two lie in three
// cache lines, of which each touches two.
struct slot {
	struct record record;
	struct ident ident;
};
_Static_assert(sizeof(struct slot) == 96, "two in three cache lines");

static inline void slot_prefetch(const struct record *r)
{
	__builtin_prefetch(r, 1);
	__builtin_prefetch((const uint8_t *)r + sizeof(struct slot) - 1, 1);
}

// What both say.
struct ident_view {
	struct view key, name;
};

struct block {
	struct slot *slots;
	struct ip_addr *addrs; // of a loose block, one a record
	uint32_t number;       // the index of record i is number << 12 | i
	uint32_t ordinal;      // among its pool's
	uint16_t pool;
	bool used;        // there were leases
	bool plain;       // single addresses of IPv4
	bool gone;        // no range has it: its leases stay where they are, and no other comes
	bool unsettled;   // what its records say of themselves is what was before the reload
	bool returns : 1; // it was gone and is of a range again: what is free of it is not known yet
	bool stays : 1;   // while a reload is planned: it is taken over
	bool planned : 1;      // it is of the new configuration
	bool leaves : 1;       // while a reload is planned: no range has it any longer
	uint8_t prefix_len;    // not of a loose block
	uint8_t family, shift; // record i is that of base + (i << shift)
	uint16_t first, last;  // records that its range has, or had
	struct bits *fresh;    // one a shard: never used. None in a loose block
	u128 base;
};
_Static_assert(sizeof(struct block) == 64, "a cache line");

struct records {
	uint8_t key[16]; // of all hashes
	struct slot *at; // by index: addresses for `room` blocks, memory for `backed`
	uint32_t room, backed;
	uint32_t end;          // backed * BITS_SIZE
	struct block *heads;   // by number as well, beside each other: few pages
	struct block **blocks; // those that are there, else NULL
	uint32_t count;
	uint32_t *free_numbers; // of blocks that are gone
	uint32_t free_count;
	uint32_t loose_free, loose_block, loose_used;
	struct loose_bounds {
		u128 lo, hi;
		bool any;
	} loose_bounds[2];   // of all loose addresses that there were, IPv4 and IPv6
	struct itab by_addr; // of loose records
	struct itab by_base; // of blocks that are gone
	u128 gone_shifts;    // theirs, a bit each
	bool settling;       // a reload has still something to do
};

MUST_USE int records_init(struct records *t);
void records_fini(struct records *t);
// A block with a number, zeroed; NULL without memory.
struct block *block_new(struct records *t, size_t shards, bool loose);
// None of its records is a lease or in a queue.
void block_free(struct records *t, struct block *b);

static inline struct record *record_at(const struct records *t, uint32_t index)
{
	return &t->at[index].record;
}

// Of a released one, which about will be given out some allocations later: a hint, of a record that is.
static inline uint32_t *record_later(struct record *r)
{
	return &r->next_owned;
}

// NULL: it has no memory. For an index that somebody remembers; of a block that is gone it is all zero.
static inline struct record *record_if(const struct records *t, uint64_t index)
{
	return index < t->end ? &t->at[index].record : NULL;
}

static inline uint32_t record_index(const struct records *t, const struct record *r)
{
	return (uint32_t)((const struct slot *)(const void *)r - t->at);
}

static inline struct ident *ident_at(const struct record *r)
{
	return &((struct slot *)(uintptr_t)r)->ident;
}

static inline struct block *block_of(const struct records *t, const struct record *r)
{
	return &t->heads[record_index(t, r) / BITS_SIZE];
}

static inline void record_addr_put(
	const struct records *t, const struct record *r, struct ip_addr *out)
{
	const struct block *b = block_of(t, r);
	uint32_t i = record_index(t, r) % BITS_SIZE;
	if (b->plain)
		addr_put(out, IP_V4, (uint32_t)b->base + i);
	else if (b->addrs)
		*out = b->addrs[i];
	else
		addr_put(out, b->family, b->base + ((u128)i << b->shift));
}

static inline struct ip_addr record_addr(const struct records *t, const struct record *r)
{
	struct ip_addr a;
	record_addr_put(t, r, &a);
	return a;
}

// A loose record for this address; NULL without memory.
struct record *loose_new(struct records *t, const struct ip_addr *a);
void loose_free(struct records *t, struct record *r);
// False: none was in that range.
bool loose_near(const struct records *t, uint8_t family, u128 lo, u128 hi);
// A block that is gone is found by address from now on, after room was made in by_base; or no longer.
void gone_add(struct records *t, struct block *b);
void gone_forget(struct records *t, struct block *b);
// The lease of an address outside all ranges, NULL if there is none.
struct record *outside_find(const struct records *t, const struct ip_addr *a);
// Or NULL.
struct record *loose_find(const struct records *t, const struct ip_addr *a);
// Whether a lease outside all ranges begins with one of these addresses. Looks at each loose record if there was
// one near.
bool outside_within(const struct records *t, uint8_t family, u128 lo, u128 hi);

// Whom a lease is for. His key is his user's length and one in two bytes (0: no user), user and identity,
// so that no two pairs read alike. The parts are borrowed and stay where they are: what was put together
// just now cannot be read in other sizes until it and all writes before it are done.
struct owner_key {
	uint16_t head;    // high byte first
	uint8_t head_len; // 2, or 0 of a row whose key does not read as one: that is all identity
	bool anonymous;   // and so without a key
	uint16_t len;     // of all
	uint16_t name_at; // where the name stands in the key; at its end: apart from it
	struct view user, identity;
	struct view name;
};

static inline uint8_t *append(uint8_t *to, const void *from, size_t len)
{
	if (len)
		memcpy(to, from, len);
	return to + len;
}

// Its bytes; returns where they end.
static inline uint8_t *owner_key_put(const struct owner_key *k, uint8_t *bytes)
{
	if (k->head_len)
		memcpy(bytes, &k->head, sizeof(k->head));
	bytes = append(bytes + k->head_len, k->user.p, k->user.len);
	return append(bytes, k->identity.p, k->identity.len);
}

MUST_USE int ident_set_far(struct records *t, struct record *r, const struct owner_key *k);
// 0 or -ENOMEM.
MUST_USE static inline int ident_set(struct records *t, struct record *r, const struct owner_key *k)
{
	struct ident *id = ident_at(r);
	size_t apart = k->name_at == k->len ? k->name.len : 0;
	if (k->len + apart > IDENT_BYTES)
		return ident_set_far(t, r, k);
	id->key_len = (uint8_t)k->len;
	id->name_at = (uint8_t)k->name_at;
	id->name_len = (uint8_t)k->name.len;
	append(owner_key_put(k, id->bytes), k->name.p, apart);
	return 0;
}
void ident_far_free(struct records *t, struct record *r);
struct ident_view ident_of(const struct records *t, const struct record *r);

struct queue {
	uint32_t first, last;
	uint64_t count;
};

// prev of the first and next of the last one mean nothing.
static inline void queue_push(struct records *t, struct queue *q, struct record *r)
{
	uint32_t index = record_index(t, r);
	if (q->count++) {
		r->prev = q->last;
		record_at(t, q->last)->next = index;
	} else {
		q->first = index;
	}
	q->last = index;
}

static inline void queue_remove(struct records *t, struct queue *q, const struct record *r)
{
	uint32_t index = record_index(t, r);
	if (q->first == index)
		q->first = r->next;
	else
		record_at(t, r->prev)->next = r->next;
	if (q->last == index)
		q->last = r->prev;
	else
		record_at(t, r->next)->prev = r->prev;
	if (--q->count == 0)
		q->first = NONE;
}
