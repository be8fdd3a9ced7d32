// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Intrusive hash table that grows a few buckets with each insert, so that no single operation
// costs more than O(1). One thread. And SipHash-2-4 for keys that outsiders choose.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct htab_node {
	struct htab_node *next;
	uint64_t hash;
};

struct htab {
	struct htab_node **buckets;
	struct htab_node **old; // being emptied after a growth
	size_t mask;            // buckets - 1
	size_t old_mask;
	size_t moved; // old buckets that are already empty
	size_t count;
};

// min_buckets is rounded up to a power of two. 0 or -ENOMEM. Entries stay the caller's.
int htab_init(struct htab *t, size_t min_buckets);
void htab_fini(struct htab *t);

// Equal hashes may stand beside each other. A growth that finds no memory is skipped: lookups get
// longer, nothing fails.
void htab_insert(struct htab *t, struct htab_node *n, uint64_t hash);
// n is in the table.
void htab_remove(struct htab *t, struct htab_node *n);

// The first entry with this hash, then the next one; NULL at the end. The caller compares keys.
struct htab_node *htab_first(const struct htab *t, uint64_t hash);
struct htab_node *htab_next(const struct htab_node *n);

// Walk over everything in no order; start with *cursor = 0 and after = NULL, then hand in what was
// returned; ends with NULL. No insert during a walk; to remove a node, ask for its successor first.
struct htab_node *htab_walk(const struct htab *t, size_t *cursor, struct htab_node *after);

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t len);
// SipHash-1-3: fewer rounds, for tables alone, where nobody sees a hash.
uint64_t siphash13(const uint8_t key[static 16], const void *bytes, size_t len);

#ifndef container_of // DPDK has the same
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#endif
