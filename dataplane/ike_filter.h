// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which IKE SPIs of ours are known: a set with one writer, the control thread, and any number of
// readers, the workers, without locks. A look-up reads one cache line. Needs no DPDK.
//
// Our SPIs are 60 random bits under the node's four (sa.c of the control plane), so that their bits
// are the hash, and no outsider chooses them: the low bits name a bucket, 32 higher ones stand in
// it as the tag. A forged SPI is taken for a known one with less than 16 in 2^32. Tags are values,
// not pointers: nothing is published through them, relaxed order serves, and a slot may be used
// again at once. A reader that runs beside the writer sees the set before or after the change.
#pragma once

#include "base/cursor.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define IKE_FILTER_LINE  64 // bytes, a cache line
#define IKE_FILTER_WAYS  16 // tags a bucket
#define IKE_FILTER_SHIFT 28 // bits of the SPI below the tag, of which the bucket's index is made

struct ike_filter_bucket {
	_Atomic uint32_t tags[IKE_FILTER_WAYS]; // 0: free
} __attribute__((aligned(IKE_FILTER_LINE)));

struct ike_filter {
	struct ike_filter_bucket *buckets;
	uint64_t mask; // buckets - 1
};

// For so many SPIs, and twice as many while rekeying overlaps: with 2 SPIs a bucket
// one that is full is met less than once in 2^30, with 4 less than once in 2^17. 0 or -ENOMEM.
MUST_USE int ike_filter_init(struct ike_filter *f, uint32_t spis);
void ike_filter_fini(struct ike_filter *f);

// The writer alone. Each SPI is added once, and removed once if it was added. False: its bucket is
// full; the caller does without, and does not remove it.
MUST_USE bool ike_filter_add(struct ike_filter *f, uint64_t spi);
// False: it was not there.
bool ike_filter_remove(struct ike_filter *f, uint64_t spi);

static inline uint32_t ike_filter_tag(uint64_t spi)
{
	uint32_t tag = (uint32_t)(spi >> IKE_FILTER_SHIFT);
	return tag ? tag : 1;
}

// Any thread.
static inline bool ike_filter_has(const struct ike_filter *f, uint64_t spi)
{
	const struct ike_filter_bucket *b = &f->buckets[spi & f->mask];
	uint32_t tag = ike_filter_tag(spi);
	for (unsigned i = 0; i < IKE_FILTER_WAYS; i++)
		if (atomic_load_explicit(&b->tags[i], memory_order_relaxed) == tag)
			return true;
	return false;
}
