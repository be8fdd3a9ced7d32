// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/htab.h"

#include <endian.h>
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

struct sip {
	uint64_t v0, v1, v2, v3;
};

static inline void sip_round(struct sip *s)
{
	s->v0 += s->v1;
	s->v1 = rotl(s->v1, 13) ^ s->v0;
	s->v0 = rotl(s->v0, 32);
	s->v2 += s->v3;
	s->v3 = rotl(s->v3, 16) ^ s->v2;
	s->v0 += s->v3;
	s->v3 = rotl(s->v3, 21) ^ s->v0;
	s->v2 += s->v1;
	s->v1 = rotl(s->v1, 17) ^ s->v2;
	s->v2 = rotl(s->v2, 32);
}

static inline uint64_t load_le64(const uint8_t *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return le64toh(v);
}

// The last `left` of len bytes, fewer than eight, which end at end.
static inline uint64_t load_rest(const uint8_t *end, size_t left, size_t len)
{
	uint64_t v = 0;
	if (left && len >= 8) // in one step, with bytes before them that are shifted out
		return load_le64(end - 8) >> (64 - 8 * left);
	for (size_t i = 0; i < left; i++)
		v |= (uint64_t)end[i - left] << (8 * i);
	return v;
}

static inline void sip_word(struct sip *s, uint64_t m, int c)
{
	s->v3 ^= m;
	for (int i = 0; i < c; i++)
		sip_round(s);
	s->v0 ^= m;
}

// c rounds a word and d at the end; both are constant where it is called.
static inline uint64_t sip(const uint8_t key[static 16], const uint8_t *p, size_t len, int c, int d)
{
	uint64_t k0 = load_le64(key), k1 = load_le64(key + 8);
	struct sip s = {k0 ^ 0x736f6d6570736575ull, k1 ^ 0x646f72616e646f6dull,
		k0 ^ 0x6c7967656e657261ull, k1 ^ 0x7465646279746573ull};
	size_t left = len;
	for (; left >= 8; left -= 8, p += 8)
		sip_word(&s, load_le64(p), c);
	sip_word(&s, load_rest(p + left, left, len) | (uint64_t)len << 56, c);
	s.v2 ^= 0xff;
	for (int i = 0; i < d; i++)
		sip_round(&s);
	return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t siphash(const uint8_t key[static 16], const void *bytes, size_t len)
{
	return sip(key, bytes, len, 2, 4);
}

uint64_t siphash13(const uint8_t key[static 16], const void *bytes, size_t len)
{
	return sip(key, bytes, len, 1, 3);
}
