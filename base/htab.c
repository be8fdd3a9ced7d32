// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/htab.h"

#include "base/siphash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MOVE_PER_INSERT 4 // old buckets emptied by one insert: the growth ends long before the next

int htab_init(struct htab *t, size_t min_buckets)
{
	size_t n = 8;
	while (n < min_buckets)
		n *= 2;
	*t = (struct htab){.mask = n - 1};
	t->buckets = calloc(n, sizeof(*t->buckets));
	return t->buckets ? 0 : -ENOMEM;
}

void htab_fini(struct htab *t)
{
	free(t->buckets);
	free(t->old);
	*t = (struct htab){0};
}

static void link_in(struct htab_node **buckets, size_t mask, struct htab_node *n)
{
	struct htab_node **b = &buckets[n->hash & mask];
	n->next = *b;
	*b = n;
}

static void move_bucket(struct htab *t, size_t i)
{
	struct htab_node *n = t->old[i];
	t->old[i] = NULL;
	while (n) {
		struct htab_node *next = n->next;
		link_in(t->buckets, t->mask, n);
		n = next;
	}
}

// The bucket that the insert would share goes first: equal hashes are always in one place.
static void move_some(struct htab *t, uint64_t hash)
{
	move_bucket(t, hash & t->old_mask);
	for (int i = 0; i < MOVE_PER_INSERT && t->old; i++) {
		move_bucket(t, t->moved);
		if (t->moved++ == t->old_mask) {
			free(t->old);
			t->old = NULL;
		}
	}
}

static void grow(struct htab *t)
{
	size_t n = (t->mask + 1) * 2;
	struct htab_node **b = calloc(n, sizeof(*b));
	if (!b)
		return;
	t->old = t->buckets;
	t->old_mask = t->mask;
	t->moved = 0;
	t->buckets = b;
	t->mask = n - 1;
}

void htab_insert(struct htab *t, struct htab_node *n, uint64_t hash)
{
	if (!t->old && t->count > t->mask)
		grow(t);
	if (t->old)
		move_some(t, hash);
	n->hash = hash;
	link_in(t->buckets, t->mask, n);
	t->count++;
}

static bool unlink_from(struct htab_node **b, struct htab_node *n)
{
	for (; *b; b = &(*b)->next)
		if (*b == n) {
			*b = n->next;
			n->next = NULL;
			return true;
		}
	return false;
}

void htab_remove(struct htab *t, struct htab_node *n)
{
	bool found = (t->old && unlink_from(&t->old[n->hash & t->old_mask], n)) ||
		     unlink_from(&t->buckets[n->hash & t->mask], n);
	if (found)
		t->count--;
}

static struct htab_node *match(struct htab_node *n, uint64_t hash)
{
	while (n && n->hash != hash)
		n = n->next;
	return n;
}

struct htab_node *htab_first(const struct htab *t, uint64_t hash)
{
	// While a growth lasts, equal hashes all lie in the old bucket or all in the new one.
	if (t->old) {
		struct htab_node *n = match(t->old[hash & t->old_mask], hash);
		if (n)
			return n;
	}
	return match(t->buckets[hash & t->mask], hash);
}

struct htab_node *htab_next(const struct htab_node *n)
{
	return match(n->next, n->hash);
}

struct htab_node *htab_walk(const struct htab *t, size_t *cursor, struct htab_node *after)
{
	if (after && after->next)
		return after->next;
	size_t olds = t->old ? t->old_mask + 1 : 0;
	for (; *cursor < olds + t->mask + 1; (*cursor)++) {
		size_t i = *cursor;
		struct htab_node *n = i < olds ? t->old[i] : t->buckets[i - olds];
		if (n) {
			(*cursor)++;
			return n;
		}
	}
	return NULL;
}

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t len)
{
	return sip(key, bytes, len, 2, 4);
}

uint64_t siphash13(const uint8_t key[static 16], const void *bytes, size_t len)
{
	return sip(key, bytes, len, 1, 3);
}
