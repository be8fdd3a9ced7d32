// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/htab.h"

#include <stdlib.h>

struct item {
	struct htab_node node;
	unsigned id;
};

static unsigned found(struct htab *t, uint64_t hash, unsigned id)
{
	unsigned n = 0;
	for (struct htab_node *h = htab_first(t, hash); h; h = htab_next(h))
		n += container_of(h, struct item, node)->id == id;
	return n;
}

// Every hash stands twice, across several growths; each is found once at every step.
static void finds_all_while_it_grows(void **state)
{
	enum { N = 5000 };
	struct item *items = calloc(N, sizeof(*items));
	struct htab t;
	(void)state;
	assert_int_equal(htab_init(&t, 8), 0);
	for (unsigned i = 0; i < N; i++) {
		items[i].id = i;
		htab_insert(&t, &items[i].node, (i / 2) * 0x9e3779b97f4a7c15ull >> 7);
		unsigned back = i > 300 ? i - 300 : 0;
		for (unsigned k = back; k <= i; k += 7)
			assert_int_equal(found(&t, items[k].node.hash, k), 1);
	}
	assert_int_equal(t.count, N);
	unsigned seen = 0;
	size_t cursor = 0;
	for (struct htab_node *n = htab_walk(&t, &cursor, NULL); n; n = htab_walk(&t, &cursor, n))
		seen++;
	assert_int_equal(seen, N);
	for (unsigned i = 0; i < N; i += 2)
		htab_remove(&t, &items[i].node);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(found(&t, items[i].node.hash, i), i % 2);
	assert_int_equal(t.count, N / 2);
	htab_fini(&t);
	free(items);
}

// So many stand under one hash as may: the insert that begins a growth leaves none of them behind.
static void finds_equal_hashes_while_it_grows(void **state)
{
	enum { N = 600, EQUAL = 3 };
	struct item *items = calloc(N, sizeof(*items));
	for (unsigned equal = 1; equal <= N; equal *= EQUAL) {
		struct htab t;
		assert_int_equal(htab_init(&t, 8), 0);
		for (unsigned i = 0; i < N; i++) {
			items[i].id = i;
			htab_insert(&t, &items[i].node, (i / equal) * 0x9e3779b97f4a7c15ull >> 7);
			for (unsigned k = i < equal ? 0 : i - equal; k <= i; k++)
				assert_int_equal(found(&t, items[k].node.hash, k), 1);
		}
		htab_fini(&t);
	}
	free(items);
}

// The vectors of Aumasson and Bernstein's reference implementation (siphash 2-4, 64 bits).
static void siphash_vectors(void **state)
{
	static const uint64_t expect[] = {
		0x726fdb47dd0e0e31ull, 0x74f839c593dc67fdull, 0x0d6c8009d9a94f5aull};
	uint8_t key[16], in[16];
	(void)state;
	for (int i = 0; i < 16; i++)
		key[i] = in[i] = (uint8_t)i;
	for (size_t n = 0; n < 3; n++)
		assert_true(siphash(key, in, n) == expect[n]);
	assert_true(siphash(key, in, 15) == 0xa129ca6149be45e5ull);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_all_while_it_grows),
		cmocka_unit_test(finds_equal_hashes_while_it_grows),
		cmocka_unit_test(siphash_vectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
