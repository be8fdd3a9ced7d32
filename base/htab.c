// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/htab.h"

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
	if (t->old)
		move_some(t, hash);
	else if (t->count > t->mask)
		grow(t);
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

static uint64_t rotl(uint64_t v, int n)
{
	return v << n | v >> (64 - n);
}

static void sip_round(uint64_t v[static 4])
{
	v[0] += v[1];
	v[1] = rotl(v[1], 13) ^ v[0];
	v[0] = rotl(v[0], 32);
	v[2] += v[3];
	v[3] = rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = rotl(v[1], 17) ^ v[2];
	v[2] = rotl(v[2], 32);
}

static uint64_t load_le(const uint8_t *p, size_t len)
{
	uint64_t v = 0;
	for (size_t i = 0; i < len; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint64_t k0 = load_le(key, 8), k1 = load_le(key + 8, 8);
	uint64_t v[4] = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
	size_t left = len;
	for (; left >= 8; left -= 8, p += 8) {
		uint64_t m = load_le(p, 8);
		v[3] ^= m;
		sip_round(v);
		sip_round(v);
		v[0] ^= m;
	}
	uint64_t last = load_le(p, left) | (uint64_t)len << 56;
	v[3] ^= last;
	sip_round(v);
	sip_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < 4; i++)
		sip_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}
