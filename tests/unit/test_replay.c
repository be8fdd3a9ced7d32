// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/replay.h"
#include "tests/cmocka_all.h"

#include <stdlib.h>
#include <string.h>

struct window {
	uint64_t words[128];
	uint32_t mask, size;
	uint64_t top;
};

static struct window window(uint32_t size)
{
	struct window w = {.mask = replay_words(size) - 1, .size = size};
	return w;
}

static bool receive(struct window *w, uint64_t seq)
{
	if (!replay_check(w->words, w->mask, w->size, w->top, seq))
		return false;
	w->top = replay_mark(w->words, w->mask, w->top, seq);
	return true;
}

static void words_are_enough(void **state)
{
	(void)state;
	static const struct {
		uint32_t window, words;
	} rows[] = {
		{32, 2}, {64, 2}, {65, 4}, {128, 4}, {192, 4}, {193, 8}, {1024, 32}, {4096, 128}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(replay_words(rows[i].window), rows[i].words);
}

// In order: sequence number, whether it is accepted, with a window of 64.
static void table(void **state)
{
	(void)state;
	static const struct {
		uint64_t seq;
		bool accepted;
	} rows[] = {
		{0, false},
		{1, true},
		{1, false},
		{9, true},
		{8, true},
		{7, true},
		{7, false},
		{64, true},
		{65, true},
		{65, false},
		{2, true}, // 65 - 2 = 63: the oldest
		{1, false},
		{66, true},
		{2, false}, // now too old
		{3, true},
		{130, true}, // over a whole word
		{66, false},
		{67, true},
		{129, true},
		{130, false},
		{100000, true}, // far ahead: all of the window is cleared
		{99936, false},
		{99937, true},
		{99999, true},
		{99999, false},
		{0, false},
		{UINT64_MAX - 1, true},
		{UINT64_MAX, true},
		{UINT64_MAX, false},
		{UINT64_MAX - 63, true},
		{UINT64_MAX - 64, false},
	};
	struct window w = window(64);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (receive(&w, rows[i].seq) != rows[i].accepted)
			fail_msg("row %zu: %llu", i, (unsigned long long)rows[i].seq);
}

// Against a model that remembers everything.
static void agrees_with_a_model(void **state)
{
	(void)state;
	static const uint32_t sizes[] = {32, 33, 64, 100, 128, 192, 256, 1000, 1024, 4096};
	static bool seen[40000];
	srandom(7);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct window w = window(sizes[i]);
		uint64_t top = 0, center = 1;
		memset(seen, 0, sizeof(seen));
		for (int n = 0; n < 20000; n++) {
			if (random() % 400 == 0)
				center += (uint64_t)random() % (sizes[i] / 4 + 2);
			uint64_t spread = sizes[i] + 200;
			uint64_t seq = center + (uint64_t)random() % spread;
			if (seq >= sizeof(seen))
				break;
			bool want = seq != 0 && !seen[seq] && (seq > top || top - seq < sizes[i]);
			assert_int_equal(receive(&w, seq), want);
			seen[seq] |= want;
			top = want && seq > top ? seq : top;
			assert_int_equal(w.top, top);
		}
	}
}

// RFC 4303 A2.2: which 64 bits do the 32 on the wire stand for.
static void esn_high_half(void **state)
{
	(void)state;
	static const struct {
		uint64_t top;
		uint32_t window, lo;
		uint64_t seq;
	} rows[] = {
		{0, 64, 1, 1},
		{0, 64, 0xffffffff, 0}, // before the first packet
		{10, 64, 5, 5},
		{10, 64, 0xfffffff0, 0},
		{100, 64, 100, 100},
		{100, 64, 37, 37},
		{100, 64, 36, 0x100000024}, // below the window: the next subspace
		{0xffffffff, 64, 0, 0x100000000},
		{0xffffffff, 64, 5, 0x100000005},
		{0xffffffff, 64, 0xffffffc0, 0xffffffc0},
		{0x100000000, 64, 0xffffffff, 0xffffffff},
		{0x10000003e, 64, 0xffffffff, 0xffffffff},
		{0x10000003f, 64, 0xffffffff, 0x1ffffffff},
		{0x500000002, 4096, 0xfffff800, 0x4fffff800},
		{0x500000002, 4096, 0x800, 0x500000800},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		uint64_t got = replay_esn(rows[i].top, rows[i].window, rows[i].lo);
		if (got != rows[i].seq)
			fail_msg("row %zu: %llx", i, (unsigned long long)got);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_enough),
		cmocka_unit_test(table),
		cmocka_unit_test(agrees_with_a_model),
		cmocka_unit_test(esn_high_half),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
