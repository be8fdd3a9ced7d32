// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a pool remembers of leases and their owners. Private to pools/.
#pragma once

#include <sys/queue.h>

#include "base/htab.h"
#include "pools/space.h"

// A further grant of a lease that is shared.
struct grant {
	struct grant *next;
	uint64_t fence;
};

// Lives in a slab, so that a walk can go on by index whatever happens in between.
struct record {
	struct htab_node by_addr;
	LIST_ENTRY(record) of_owner; // live or lingering; while free: next free record
	TAILQ_ENTRY(record) queue;   // offered or lingering, by time
	struct owner *owner;
	struct grant *more;
	uint64_t fence; // of the first grant; 0: it has ended
	uint64_t since_ns;
	uint8_t addr[16];
	uint32_t index; // in the slab
	uint8_t state;  // enum lease_state
	bool used;      // a lease, not a free slot
	bool was_active;
	bool reserved;
};
_Static_assert(sizeof(struct record) <= 128, "a pool may have a million of them");

LIST_HEAD(record_list, record);
TAILQ_HEAD(record_queue, record);

// One (authenticated user, identity) with leases in this pool; an anonymous peer has one a lease,
// in no table.
struct owner {
	struct htab_node node;
	struct record_list live;
	struct record_list lingering;
	uint16_t key_len;
	bool anonymous;
	char bytes[]; // key_len bytes of the key, then the name and NUL
};

static inline const char *owner_name(const struct owner *o)
{
	return o->bytes + o->key_len;
}

#define SLAB_CHUNK 256u // records

struct slab {
	struct record **chunks;
	uint32_t chunk_count;
	uint32_t used; // slots ever used
	struct record_list free;
};

// NULL without memory. slab_put() keeps the slot for the next get.
struct record *slab_get(struct slab *s);
void slab_put(struct slab *s, struct record *r);
struct record *slab_at(const struct slab *s, uint32_t index);
void slab_fini(struct slab *s);

// The owner's key: user, then identity, each with its length, so that no two pairs read alike.
// False if it does not fit.
struct owner_key {
	uint8_t bytes[POOL_OWNER_MAX + 4];
	size_t len;
};
bool owner_key_of(const struct pool_owner *o, struct owner_key *key);
bool owner_anonymous(const struct pool_owner *o);

struct owner *owner_find(const struct htab *t, uint64_t hash, const struct owner_key *key);
// In t unless anonymous. NULL without memory.
struct owner *owner_new(
	struct htab *t, uint64_t hash, const struct owner_key *key, const struct pool_owner *o);
// Releases an owner without leases.
void owner_put(struct htab *t, struct owner *o);
