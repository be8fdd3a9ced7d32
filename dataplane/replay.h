// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Anti-replay: a bitmap of 64-bit words used as a ring (the idea of RFC 6479), so that moving the
// window clears whole words and never shifts. Pure; knows nothing of SAs.
//
// The words number a power of two and hold at least one more than the window needs, because the
// word of the newest packet is only partly past.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_WINDOW_MAX 4096

// Words for a window of so many packets.
static inline uint32_t replay_words(uint32_t window)
{
	uint32_t need = (window + 63) / 64 + 1;
	uint32_t words = 2;
	while (words < need)
		words *= 2;
	return words;
}

// True if seq may still be accepted: not zero, not older than the window, not seen. top: highest
// sequence number accepted so far, 0: none. RFC 4303 3.4.3.
static inline bool replay_check(
	const uint64_t *words, uint32_t word_mask, uint32_t window, uint64_t top, uint64_t seq)
{
	if (seq == 0)
		return false;
	if (seq > top)
		return true;
	if (top - seq >= window)
		return false;
	return !(words[(seq >> 6) & word_mask] >> (seq & 63) & 1);
}

// The window moves by so many words to seq's: those become empty.
static inline void replay_clear(uint64_t *words, uint32_t word_mask, uint64_t seq, uint64_t steps)
{
	if (steps > (uint64_t)word_mask + 1)
		steps = (uint64_t)word_mask + 1;
	// The last words before seq's own are the ones that matter: clear those.
	for (uint64_t i = 0; i < steps; i++)
		words[((seq >> 6) - i) & word_mask] = 0;
}

// Mark an authenticated seq, which replay_check() has allowed, as seen; returns the new top.
static inline uint64_t replay_mark(uint64_t *words, uint32_t word_mask, uint64_t top, uint64_t seq)
{
	uint64_t *own = &words[(seq >> 6) & word_mask];
	if (seq > top) {
		uint64_t steps = (seq >> 6) - (top >> 6);
		if (__builtin_expect(steps != 0, 0))
			replay_clear(words, word_mask, seq, steps);
		top = seq;
	}
	*own |= 1ull << (seq & 63);
	return top;
}

// The 64-bit sequence number that the 32 bits on the wire stand for. RFC 4303 A2.2. Returns 0,
// which is never valid, for what would lie before the first packet.
static inline uint64_t replay_esn(uint64_t top, uint32_t window, uint32_t seq_lo)
{
	uint64_t w = window ? window : 1ull << 31;
	uint32_t top_lo = (uint32_t)top;
	uint64_t top_hi = top >> 32;
	uint32_t bottom = (uint32_t)(top_lo - (w - 1));

	if (top_lo >= w - 1) // case A: the window lies within one subspace
		return (seq_lo >= bottom ? top_hi : top_hi + 1) << 32 | seq_lo;
	// case B: it spans two
	if (seq_lo < bottom)
		return top_hi << 32 | seq_lo;
	return top_hi == 0 ? 0 : (top_hi - 1) << 32 | seq_lo;
}
