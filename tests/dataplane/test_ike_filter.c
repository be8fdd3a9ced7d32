// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "dataplane/ike_filter.h"

#define SPIS 4096

static struct ike_filter f;

static int make(void **state)
{
	(void)state;
	return ike_filter_init(&f, SPIS);
}

static int end(void **state)
{
	(void)state;
	for (uint64_t b = 0; b <= f.mask; b++) // what was added was removed
		for (unsigned i = 0; i < IKE_FILTER_WAYS; i++)
			assert_int_equal(f.buckets[b].tags[i], 0);
	ike_filter_fini(&f);
	return 0;
}

// splitmix64: SPIs as random as ours, and the same in each run.
static uint64_t spi_of(uint64_t n)
{
	uint64_t z = (n + 1) * 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void size(void **state)
{
	(void)state;
	assert_int_equal(f.mask + 1, SPIS / 2);
	assert_int_equal((uintptr_t)f.buckets % IKE_FILTER_LINE, 0);
	assert_int_equal(sizeof(struct ike_filter_bucket), IKE_FILTER_LINE);
}

// Twice what it is made for, as while every IKE SA is being rekeyed.
static void add_and_remove(void **state)
{
	(void)state;
	for (uint64_t n = 0; n < 2 * SPIS; n++) {
		assert_false(ike_filter_has(&f, spi_of(n)));
		assert_true(ike_filter_add(&f, spi_of(n)));
	}
	for (uint64_t n = 0; n < 2 * SPIS; n += 2)
		assert_true(ike_filter_remove(&f, spi_of(n)));
	for (uint64_t n = 0; n < 2 * SPIS; n++)
		assert_int_equal(ike_filter_has(&f, spi_of(n)), n & 1);
	for (uint64_t n = 2 * SPIS; n < 100 * SPIS; n++) // forged
		assert_false(ike_filter_has(&f, spi_of(n)));
	for (uint64_t n = 1; n < 2 * SPIS; n += 2)
		assert_true(ike_filter_remove(&f, spi_of(n)));
	assert_false(ike_filter_remove(&f, spi_of(1)));
}

// SPIs whose tag and bucket are the same cannot be told apart, but each counts.
static void same_tag(void **state)
{
	(void)state;
	uint64_t a = 0x1234567890abcdefull, b = a ^ 0x3ull << 60, c = a ^ 1ull << 27;
	assert_true(ike_filter_add(&f, a));
	assert_true(ike_filter_add(&f, b));
	assert_true(ike_filter_has(&f, c)); // a bit between index and tag
	assert_true(ike_filter_remove(&f, a));
	assert_true(ike_filter_has(&f, b));
	assert_true(ike_filter_remove(&f, b));
	assert_false(ike_filter_has(&f, b));
	// One bit elsewhere is another SPI.
	assert_true(ike_filter_add(&f, a));
	assert_false(ike_filter_has(&f, a ^ 1));
	assert_false(ike_filter_has(&f, a ^ 1ull << 28));
	assert_false(ike_filter_has(&f, a ^ 1ull << 59));
	assert_true(ike_filter_remove(&f, a));
}

// A tag of 0 is no free slot.
static void zero_tag(void **state)
{
	(void)state;
	uint64_t zero = 0xf000000000000005ull;
	assert_false(ike_filter_has(&f, zero));
	assert_true(ike_filter_add(&f, zero));
	assert_true(ike_filter_has(&f, zero));
	assert_true(ike_filter_remove(&f, zero));
	assert_false(ike_filter_has(&f, zero));
}

static void full_bucket(void **state)
{
	(void)state;
	uint64_t at = 77, step = 1ull << 30;
	for (unsigned i = 0; i < IKE_FILTER_WAYS; i++)
		assert_true(ike_filter_add(&f, at + (i + 1) * step));
	uint64_t more = at + (IKE_FILTER_WAYS + 1) * step;
	assert_false(ike_filter_add(&f, more));
	assert_false(ike_filter_has(&f, more));
	assert_false(ike_filter_remove(&f, more));
	assert_true(ike_filter_add(&f, more + 1)); // the next bucket is not concerned
	// A hole in the middle is used again, and the others stay.
	assert_true(ike_filter_remove(&f, at + 8 * step));
	assert_true(ike_filter_add(&f, more));
	for (unsigned i = 0; i <= IKE_FILTER_WAYS; i++)
		assert_int_equal(ike_filter_has(&f, at + (i + 1) * step), i != 7);
	for (unsigned i = 0; i <= IKE_FILTER_WAYS; i++)
		if (i != 7)
			assert_true(ike_filter_remove(&f, at + (i + 1) * step));
	assert_true(ike_filter_remove(&f, more + 1));
}

static void smallest(void **state)
{
	(void)state;
	struct ike_filter small;
	assert_int_equal(ike_filter_init(&small, 1), 0);
	assert_int_equal(small.mask + 1, 16);
	for (uint64_t n = 0; n < 32; n++)
		assert_true(ike_filter_add(&small, spi_of(n)));
	for (uint64_t n = 0; n < 64; n++)
		assert_int_equal(ike_filter_has(&small, spi_of(n)), n < 32);
	ike_filter_fini(&small);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(size, make, end),
		cmocka_unit_test_setup_teardown(add_and_remove, make, end),
		cmocka_unit_test_setup_teardown(same_tag, make, end),
		cmocka_unit_test_setup_teardown(zero_tag, make, end),
		cmocka_unit_test_setup_teardown(full_bucket, make, end),
		cmocka_unit_test(smallest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
