// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One thread writes the filter of IKE SPIs while others read it: who is known all the time is always
// found, who never was never, whatever comes and goes in the same buckets.
#include "tests/cmocka_all.h"

#include "dataplane/ike_filter.h"

#include <pthread.h>

#define READERS 2
#define KEPT    64
#define ROUNDS  20000

static struct ike_filter f;
static atomic_bool over;
static atomic_uint started;

struct reader {
	pthread_t thread;
	uint64_t rounds, lost, forged, seen;
};

// 16 buckets: four kept ones, up to eight that come and go.
static uint64_t spi_of(uint64_t kind, uint64_t n)
{
	return kind << 56 | n << 40 | n % 16;
}

static void *reading(void *arg)
{
	struct reader *r = arg;
	atomic_fetch_add(&started, 1);
	do {
		for (uint64_t n = 0; n < KEPT; n++) {
			r->lost += !ike_filter_has(&f, spi_of(1, n));
			r->forged += ike_filter_has(&f, spi_of(2, n));
			r->seen += ike_filter_has(&f, spi_of(3, n));
		}
		r->rounds++;
	} while (!atomic_load(&over));
	return NULL;
}

static void writer_and_readers(void **state)
{
	(void)state;
	struct reader readers[READERS] = {0};
	assert_int_equal(ike_filter_init(&f, 1), 0);
	assert_int_equal(f.mask, 15);
	for (uint64_t n = 0; n < KEPT; n++)
		assert_true(ike_filter_add(&f, spi_of(1, n)));
	for (unsigned i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i].thread, NULL, reading, &readers[i]), 0);
	while (atomic_load(&started) < READERS)
		continue;
	for (uint64_t i = 0; i < ROUNDS; i++) {
		// Another order each time, so that slots change hands.
		for (uint64_t n = 0; n < 2 * KEPT; n++)
			assert_true(ike_filter_add(&f, spi_of(3, (n * 5 + i) % (2 * KEPT))));
		for (uint64_t n = 0; n < 2 * KEPT; n++)
			assert_true(ike_filter_remove(&f, spi_of(3, (n * 3 + i) % (2 * KEPT))));
	}
	atomic_store(&over, true);
	for (unsigned i = 0; i < READERS; i++) {
		assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
		assert_true(readers[i].rounds > 0);
		assert_int_equal(readers[i].lost, 0);
		assert_int_equal(readers[i].forged, 0);
		assert_true(readers[i].seen <= readers[i].rounds * KEPT);
	}
	for (uint64_t n = 0; n < 2 * KEPT; n++)
		assert_false(ike_filter_has(&f, spi_of(3, n)));
	ike_filter_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(writer_and_readers)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
