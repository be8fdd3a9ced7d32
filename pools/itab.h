// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Open-addressed table of 32-bit tags (of a keyed hash) and 32-bit indices: eight bytes an entry, eight
// entries a cache line. An entry stands in the line that its tag names, or, where that is full, in the next
// one that is not: a look-up reads one line as a rule and does not ask which of its places are taken, which
// nobody could predict. Grows a line or so with each insert. Private to pools/.
#pragma once

#include "base/cursor.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define ITAB_LINE 8u

struct itab_line {
	_Alignas(64) uint32_t tags[ITAB_LINE];
	uint32_t indices[ITAB_LINE]; // 0: empty
};

struct itab {
	struct itab_line *lines;
	struct itab_line *old; // being emptied after a growth
	uint64_t mask;         // lines - 1
	uint64_t old_mask;
	uint64_t old_at;      // the line emptied last: no run of full lines crosses it
	uint64_t old_left;    // lines that are still to be emptied
	uint64_t count, most; // entries: with more than that it grows
};

// Where a look-up goes on.
struct itab_cursor {
	uint64_t at;
	unsigned seen; // places of this line
	bool in_old;
};

// 0 or -ENOMEM.
MUST_USE int itab_init(struct itab *t);
void itab_fini(struct itab *t);

// For so many inserts; takes the time that it takes.
MUST_USE int itab_reserve_all(struct itab *t, uint64_t n);
// False: it is not there.
bool itab_replace(struct itab *t, uint32_t tag, uint32_t index, uint32_t with);

static inline void itab_prefetch(const struct itab *t, uint32_t tag)
{
	__builtin_prefetch(&t->lines[tag & t->mask]);
}

// And the line behind it, which who finds the first one full reads as well.
static inline void itab_prefetch_run(const struct itab *t, uint32_t tag)
{
	itab_prefetch(t, tag);
	itab_prefetch(t, tag + 1);
}

// Bit i: v[i] is x.
static inline unsigned itab_equal(const uint32_t v[static ITAB_LINE], uint32_t x)
{
#ifdef __SSE2__
	__m128i all = _mm_set1_epi32((int)x);
	__m128i lo = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(const void *)v), all);
	__m128i hi = _mm_cmpeq_epi32(_mm_load_si128((const __m128i *)(const void *)(v + 4)), all);
	return (unsigned)_mm_movemask_ps(_mm_castsi128_ps(lo)) |
	       (unsigned)_mm_movemask_ps(_mm_castsi128_ps(hi)) << 4;
#else
	unsigned equal = 0;
	for (unsigned i = 0; i < ITAB_LINE; i++)
		equal |= (unsigned)(v[i] == x) << i;
	return equal;
#endif
}

// Its empty places.
static inline unsigned itab_empty(const struct itab_line *l)
{
	return itab_equal(l->indices, 0);
}

static inline struct itab_cursor itab_start(const struct itab *t, uint32_t tag)
{
	return (struct itab_cursor){.at = tag & t->mask};
}

// The next index with this tag, 0 at the end. The caller compares keys. No change meanwhile.
static inline uint32_t itab_next(const struct itab *t, uint32_t tag, struct itab_cursor *c)
{
	for (;;) {
		const struct itab_line *l = &(c->in_old ? t->old : t->lines)[c->at];
		unsigned empty = itab_empty(l);
		unsigned found = itab_equal(l->tags, tag) & ~empty & ~c->seen;
		if (found) {
			c->seen |= found & -found;
			return l->indices[__builtin_ctz(found)];
		}
		c->seen = 0;
		if (!empty) {
			c->at = (c->at + 1) & (c->in_old ? t->old_mask : t->mask);
			continue;
		}
		if (c->in_old || !t->old)
			return 0;
		*c = (struct itab_cursor){.at = tag & t->old_mask, .in_old = true};
	}
}

// What most look-ups find, in one line: no index has this tag.
static inline bool itab_absent(const struct itab *t, uint32_t tag)
{
	const struct itab_line *l = &t->lines[tag & t->mask];
	unsigned empty = itab_empty(l);
	return empty && !(itab_equal(l->tags, tag) & ~empty) && !t->old;
}

MUST_USE int itab_make_room(struct itab *t);
// Makes sure that the next insert finds room. 0 or -ENOMEM.
MUST_USE static inline int itab_reserve(struct itab *t)
{
	return t->count < t->most ? 0 : itab_make_room(t);
}

void itab_insert_far(struct itab *t, uint32_t tag, uint32_t index);
// Equal tags may stand beside each other. After itab_reserve(); index is not 0.
static inline void itab_insert(struct itab *t, uint32_t tag, uint32_t index)
{
	struct itab_line *l = &t->lines[tag & t->mask];
	unsigned empty = itab_empty(l);
	t->count++;
	if (!empty || t->old) {
		itab_insert_far(t, tag, index);
		return;
	}
	unsigned i = (unsigned)__builtin_ctz(empty);
	l->tags[i] = tag;
	l->indices[i] = index;
}

bool itab_remove_far(struct itab *t, uint32_t tag, uint32_t index);
// False: it is not there.
static inline bool itab_remove(struct itab *t, uint32_t tag, uint32_t index)
{
	struct itab_line *l = &t->lines[tag & t->mask];
	unsigned found = itab_equal(l->indices, index) & itab_equal(l->tags, tag);
	if (!found || !itab_empty(l))
		return itab_remove_far(t, tag, index);
	l->indices[__builtin_ctz(found)] = 0;
	t->count--;
	return true;
}

// Memory of zeroes by the page: large arrays in huge pages where the system has them. NULL: none.
void *pages_new(size_t bytes);
void pages_free(void *p, size_t bytes);
// Addresses without memory, aligned to huge pages. NULL: the process may not have so many.
void *pages_reserve(size_t bytes);
// Gives zeroed memory to some of them. 0 or -ENOMEM.
MUST_USE int pages_back(void *p, size_t bytes, bool huge);
