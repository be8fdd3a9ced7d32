// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/rss_learn.h"

#include <string.h>

static bool bit_of(const uint64_t *row, unsigned bit)
{
	return row[bit / 64] >> (bit % 64) & 1;
}

static void flip(uint64_t *row, unsigned bit)
{
	row[bit / 64] ^= 1ull << (bit % 64);
}

static void add_row(uint64_t *to, const uint64_t *row)
{
	for (unsigned i = 0; i < RSS_ROW; i++)
		to[i] ^= row[i];
}

// The lowest key bit of the row, or RSS_KEY_BITS.
static unsigned first_bit(const uint64_t *row)
{
	for (unsigned i = 0; i < RSS_ROW; i++)
		if (row[i]) {
			unsigned bit = i * 64 + (unsigned)__builtin_ctzll(row[i]);
			return bit < RSS_KEY_BITS ? bit : RSS_KEY_BITS;
		}
	return RSS_KEY_BITS;
}

void rss_system_init(struct rss_system *s)
{
	memset(s, 0, sizeof(*s));
}

// Gauss: the row is reduced by those that begin as it does until it begins where none does.
static bool add_equation(struct rss_system *s, uint64_t row[RSS_ROW])
{
	for (;;) {
		unsigned bit = first_bit(row);
		if (bit == RSS_KEY_BITS)
			return !bit_of(row, RSS_KEY_BITS); // 0 = 0, or 0 = 1
		if (first_bit(s->rows[bit]) == RSS_KEY_BITS) {
			memcpy(s->rows[bit], row, sizeof(s->rows[bit]));
			s->rank++;
			return true;
		}
		add_row(row, s->rows[bit]);
	}
}

bool rss_system_add(struct rss_system *s, const struct rss_sample *x)
{
	for (unsigned j = 0; j < 32; j++) {
		uint64_t row[RSS_ROW] = {0};
		for (unsigned i = 0; i < x->len * 8u; i++)
			if (x->input[i / 8] >> (7 - i % 8) & 1)
				flip(row, i + j);
		if (x->hash >> (31 - j) & 1)
			flip(row, RSS_KEY_BITS);
		if (!add_equation(s, row))
			return false;
	}
	return true;
}

static bool key_bit(const uint8_t *key, unsigned bit)
{
	return key[bit / 8] >> (7 - bit % 8) & 1;
}

// From the last bit on, each of which its equation gives from those behind it.
void rss_system_solve(const struct rss_system *s, uint8_t key[RSS_KEY_BITS / 8])
{
	for (unsigned bit = RSS_KEY_BITS; bit-- > 0;) {
		const uint64_t *row = s->rows[bit];
		if (first_bit(row) != bit)
			continue;
		bool value = bit_of(row, RSS_KEY_BITS);
		for (unsigned k = bit + 1; k < RSS_KEY_BITS; k++)
			value ^= bit_of(row, k) && key_bit(key, k);
		uint8_t mask = (uint8_t)(0x80 >> bit % 8);
		key[bit / 8] = (uint8_t)(value ? key[bit / 8] | mask : key[bit / 8] & ~mask);
	}
}
