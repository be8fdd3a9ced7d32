// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Fragments that wait for each other: order, overlaps, caps, timeouts, and who gets them.
#include "base/clock.h"
#include "dataplane/gather.h"
#include "tests/cmocka_all.h"

#include <stdlib.h>

static struct gather *gather;
static unsigned live; // packets that somebody has

static void release(void *packet)
{
	live--;
	free(packet);
}

static int start(void **state)
{
	static const uint8_t key[16] = {7};
	assert_int_equal(gather_new(key, release, &gather), 0);
	live = 0;
	return 0;
}

static int stop(void **state)
{
	gather_free(gather);
	assert_int_equal(live, 0);
	return 0;
}

static struct gather_key key_of(uint32_t source, uint32_t id)
{
	struct gather_key k;
	memset(&k, 0, sizeof(k));
	k.src = ip_from_v4(source);
	k.dst = ip_from_v4(0xc0000201);
	k.id = id;
	k.proto = IP_PROTO_ESP;
	return k;
}

static struct gather_result result;

struct step {
	uint32_t at, len;
	bool more, foreign;
	enum dp_drop why;
	enum gather_verdict verdict;
};

static enum dp_drop add_as(const struct gather_key *k, const struct step *s, uint64_t now)
{
	struct gather_part part = {.packet = malloc(1), .at = s->at, .len = s->len};
	live++;
	enum dp_drop why = gather_add(gather, k, &part, s->more, s->foreign, now, &result);
	if (why != DP_DROP_NONE)
		release(part.packet);
	for (unsigned i = 0; why == DP_DROP_NONE && i < result.count; i++)
		release(result.parts[i].packet);
	return why;
}

#define NONE  DP_DROP_NONE
#define WAITS GATHER_WAITS
#define WHOLE GATHER_WHOLE
#define PASS  GATHER_PASS

// Each a datagram's story; len 0: its end.
static const struct story {
	const char *what;
	struct step steps[6];
	unsigned left; // fragments that still wait
} stories[] = {
	{"in order",
		{{0, 16, true, 0, NONE, WAITS}, {16, 8, true, 0, NONE, WAITS},
			{24, 5, false, 0, NONE, WHOLE}},
		0},
	{"backwards",
		{{24, 5, false, 0, NONE, WAITS}, {16, 8, true, 0, NONE, WAITS},
			{0, 16, true, 0, NONE, WHOLE}},
		0},
	{"a copy",
		{{0, 16, true, 0, NONE, WAITS}, {0, 16, true, 0, DP_DROP_fragment_duplicate, 0},
			{16, 8, false, 0, NONE, WHOLE}},
		0},
	{"a copy of the last",
		{{16, 8, false, 0, NONE, WAITS}, {16, 8, false, 0, DP_DROP_fragment_duplicate, 0},
			{0, 16, true, 0, NONE, WHOLE}},
		0},
	{"overlap by one",
		{{0, 16, true, 0, NONE, WAITS}, {8, 16, true, 0, DP_DROP_fragment_overlap, 0},
			{16, 8, false, 0, NONE, WAITS}},
		1},
	{"one over two",
		{{0, 8, true, 0, NONE, WAITS}, {16, 8, true, 0, NONE, WAITS},
			{0, 24, true, 0, DP_DROP_fragment_overlap, 0}},
		0},
	{"same place, other length",
		{{0, 16, true, 0, NONE, WAITS}, {0, 8, true, 0, DP_DROP_fragment_overlap, 0}}, 0},
	{"behind the end",
		{{16, 8, false, 0, NONE, WAITS}, {24, 8, true, 0, DP_DROP_fragment_bad, 0}}, 0},
	{"end before what came",
		{{32, 8, true, 0, NONE, WAITS}, {16, 8, false, 0, DP_DROP_fragment_bad, 0}}, 0},
	{"two ends", {{16, 8, false, 0, NONE, WAITS}, {0, 8, false, 0, DP_DROP_fragment_bad, 0}},
		0},
	{"empty", {{0, 16, true, 0, NONE, WAITS}, {16, 0, false, 0, DP_DROP_fragment_bad, 0}}, 0},
	{"not eights", {{0, 12, true, 0, DP_DROP_fragment_bad, 0}}, 0},
	{"beyond 65535", {{65528, 8, true, 0, DP_DROP_fragment_bad, 0}}, 0},
	{"up to 65535", {{65528, 7, false, 0, NONE, WAITS}}, 1},
	{"foreign, first",
		{{0, 16, true, true, NONE, PASS}, {16, 8, true, 0, NONE, PASS},
			{24, 8, false, 0, NONE, PASS}, {0, 8, true, 0, NONE, WAITS}},
		1},
	{"foreign, last",
		{{16, 8, true, 0, NONE, WAITS}, {24, 8, false, 0, NONE, WAITS},
			{0, 16, true, true, NONE, PASS}},
		0},
	{"foreign, overlapping",
		{{8, 16, true, 0, NONE, WAITS}, {0, 16, true, true, NONE, PASS},
			{0, 16, true, true, NONE, PASS}},
		0},
};

static void stories_of_datagrams(void **state)
{
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++) {
		struct gather_key k = key_of(0x0a000001, 1);
		start(NULL);
		print_message("# %s\n", stories[i].what);
		for (const struct step *s = stories[i].steps; s->len || s->why; s++) {
			assert_int_equal(add_as(&k, s, 1), s->why);
			if (s->why == NONE)
				assert_int_equal(result.verdict, s->verdict);
			if (s->why == NONE && s->verdict == WHOLE) {
				uint32_t at = 0;
				for (unsigned p = 0; p < result.count; at += result.parts[p++].len)
					assert_int_equal(result.parts[p].at, at);
				assert_int_equal(at, result.total);
			}
		}
		assert_int_equal(gather_held(gather), stories[i].left);
		assert_int_equal(live, stories[i].left);
		stop(NULL);
	}
}

static const struct step first = {0, 16, true, false, NONE, WAITS};

// Neither another source's nor another id's.
static void datagrams_are_apart(void **state)
{
	struct step last = {16, 8, false, false, NONE, WAITS};
	struct gather_key a = key_of(1, 1), b = key_of(1, 2), c = key_of(2, 1), d = key_of(1, 1);
	d.proto = IP_PROTO_UDP;
	assert_int_equal(add_as(&a, &first, 1), NONE);
	assert_int_equal(add_as(&b, &last, 1), NONE);
	assert_int_equal(add_as(&c, &last, 1), NONE);
	assert_int_equal(add_as(&d, &last, 1), NONE);
	assert_int_equal(gather_datagrams(gather), 4);
	assert_int_equal(add_as(&a, &last, 1), NONE);
	assert_int_equal(result.verdict, WHOLE);
}

static void caps(void **state)
{
	struct step part = first;
	unsigned taken = 0, refused = 0;
	for (uint32_t id = 0; id < 2 * GATHER_SOURCE; id++) {
		struct gather_key k = key_of(1, id);
		enum dp_drop why = add_as(&k, &first, 1);
		taken += why == NONE;
		refused += why == DP_DROP_fragment_limit;
	}
	assert_int_equal(taken, GATHER_SOURCE);
	assert_int_equal(refused, GATHER_SOURCE);
	for (uint32_t source = 2; gather_datagrams(gather) < GATHER_DATAGRAMS; source++) {
		struct gather_key k = key_of(source, 1);
		(void)add_as(&k, &first, 1);
		assert_int_equal(result.evicted, 0);
	}
	assert_int_equal(gather_expire(gather, 1 + GATHER_NS), GATHER_DATAGRAMS);
	// Of one datagram.
	struct gather_key k = key_of(1, 1);
	for (unsigned i = 0; i < GATHER_PARTS; i++, part.at += 16)
		assert_int_equal(add_as(&k, &part, 1), NONE);
	assert_int_equal(add_as(&k, &part, 1), DP_DROP_fragment_limit);
	assert_int_equal(live, 0);
	// Of all.
	for (uint32_t source = 1; gather_held(gather) < GATHER_HELD; source++) {
		k = key_of(source, 2);
		part.at = 0;
		for (unsigned i = 0; i < GATHER_PARTS && gather_held(gather) < GATHER_HELD;
			i++, part.at += 16)
			assert_int_equal(add_as(&k, &part, 1), NONE);
	}
	k = key_of(77777, 1);
	assert_int_equal(add_as(&k, &first, 1), NONE);
	assert_int_equal(result.evicted, 1);
	assert_int_equal(live, GATHER_HELD - GATHER_PARTS + 1);
}

// Whatever comes from elsewhere meanwhile, the newest can still be put together.
static void a_flood_ends_the_oldest(void **state)
{
	struct step last = {16, 8, false, false, NONE, WAITS};
	struct gather_key k, mine = key_of(0x0a000001, 1);
	unsigned evicted = 0;
	for (uint32_t source = 1; source < 2000; source++) {
		k = key_of(source, 1);
		if (add_as(&k, &first, source) == NONE)
			evicted += result.evicted;
	}
	assert_int_equal(gather_datagrams(gather), GATHER_DATAGRAMS);
	assert_true(evicted > 1000);
	assert_int_equal(add_as(&mine, &first, 2000), NONE);
	assert_int_equal(result.evicted, 1);
	k = key_of(5000, 1);
	assert_int_equal(add_as(&k, &first, 2001), NONE);
	assert_int_equal(add_as(&mine, &last, 2002), NONE);
	assert_int_equal(result.verdict, WHOLE);
	assert_int_equal(live, gather_held(gather));
}

static void timeouts(void **state)
{
	struct step foreign = {0, 16, true, true, NONE, PASS};
	struct gather_key a = key_of(1, 1), b = key_of(1, 2);
	assert_true(gather_next_ns(gather) == UINT64_MAX);
	assert_int_equal(add_as(&a, &first, 100), NONE);
	assert_int_equal(add_as(&b, &foreign, 200), NONE);
	assert_true(gather_next_ns(gather) == 100 + GATHER_NS);
	assert_int_equal(gather_expire(gather, 99 + GATHER_NS), 0);
	assert_int_equal(gather_expire(gather, 100 + GATHER_NS), 1);
	assert_int_equal(live, 0);
	assert_true(gather_next_ns(gather) == 200 + GATHER_NS);
	assert_int_equal(gather_expire(gather, 200 + GATHER_NS), 0); // not ours
	assert_int_equal(gather_datagrams(gather), 0);
}

int main(void)
{
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stories_of_datagrams),
		WITH(datagrams_are_apart),
		WITH(caps),
		WITH(a_flood_ends_the_oldest),
		WITH(timeouts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
