// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A set of 4096 bits that finds its first member in two steps. Private to pools/.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define BITS_SIZE 4096u

struct bits {
	uint64_t summary; // bit i: words[i] is not empty
	uint64_t words[64];
};

static inline void bits_set(struct bits *b, unsigned i)
{
	b->words[i / 64] |= 1ull << (i % 64);
	b->summary |= 1ull << (i / 64);
}

static inline void bits_clear(struct bits *b, unsigned i)
{
	b->words[i / 64] &= ~(1ull << (i % 64));
	if (!b->words[i / 64])
		b->summary &= ~(1ull << (i / 64));
}

static inline bool bits_test(const struct bits *b, unsigned i)
{
	return b->words[i / 64] >> (i % 64) & 1;
}

static inline bool bits_empty(const struct bits *b)
{
	return b->summary == 0;
}

// The set is not empty.
static inline unsigned bits_first(const struct bits *b)
{
	unsigned w = (unsigned)__builtin_ctzll(b->summary);
	return w * 64 + (unsigned)__builtin_ctzll(b->words[w]);
}

// All from `from` to `to`.
static inline void bits_fill(struct bits *b, unsigned from, unsigned to)
{
	for (unsigned w = from / 64; w <= to / 64; w++) {
		uint64_t lo = w == from / 64 ? ~0ull << (from % 64) : ~0ull;
		uint64_t hi = w == to / 64 ? ~0ull >> (63 - to % 64) : ~0ull;
		b->words[w] |= lo & hi;
		b->summary |= 1ull << w;
	}
}

static inline void bits_wipe(struct bits *b, unsigned from, unsigned to)
{
	for (unsigned w = from / 64; w <= to / 64; w++) {
		uint64_t lo = w == from / 64 ? ~0ull << (from % 64) : ~0ull;
		uint64_t hi = w == to / 64 ? ~0ull >> (63 - to % 64) : ~0ull;
		b->words[w] &= ~(lo & hi);
		if (!b->words[w])
			b->summary &= ~(1ull << w);
	}
}

static inline unsigned bits_count(const struct bits *b)
{
	unsigned n = 0;
	for (unsigned w = 0; w < 64; w++)
		n += (unsigned)__builtin_popcountll(b->words[w]);
	return n;
}
