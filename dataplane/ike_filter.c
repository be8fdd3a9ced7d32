// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/ike_filter.h"

#include <errno.h>
#include <stdlib.h>

#define SPIS_A_BUCKET 2
#define BUCKETS_MIN   16

int ike_filter_init(struct ike_filter *f, uint32_t spis)
{
	uint64_t n = BUCKETS_MIN;
	while (n * SPIS_A_BUCKET < spis && n < 1ull << IKE_FILTER_SHIFT)
		n *= 2;
	f->buckets = aligned_alloc(IKE_FILTER_LINE, n * sizeof(*f->buckets));
	if (!f->buckets)
		return -ENOMEM;
	f->mask = n - 1;
	for (uint64_t b = 0; b < n; b++)
		for (unsigned i = 0; i < IKE_FILTER_WAYS; i++)
			atomic_init(&f->buckets[b].tags[i], 0);
	return 0;
}

void ike_filter_fini(struct ike_filter *f)
{
	free(f->buckets);
	f->buckets = NULL;
}

// The first slot of the SPI's bucket that holds one value gets another.
static bool change(struct ike_filter *f, uint64_t spi, uint32_t from, uint32_t to)
{
	struct ike_filter_bucket *b = &f->buckets[spi & f->mask];
	for (unsigned i = 0; i < IKE_FILTER_WAYS; i++)
		if (atomic_load_explicit(&b->tags[i], memory_order_relaxed) == from) {
			atomic_store_explicit(&b->tags[i], to, memory_order_relaxed);
			return true;
		}
	return false;
}

bool ike_filter_add(struct ike_filter *f, uint64_t spi)
{
	return change(f, spi, 0, ike_filter_tag(spi));
}

// Two SPIs with one tag in one bucket take two slots, and either is as good.
bool ike_filter_remove(struct ike_filter *f, uint64_t spi)
{
	return change(f, spi, ike_filter_tag(spi), 0);
}
