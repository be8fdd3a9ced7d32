// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// SipHash (Aumasson and Bernstein, 2012), to be compiled in where a call is too much. Else siphash() and
// siphash13() of base/htab.h.
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t rotl(uint64_t v, int n)
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
