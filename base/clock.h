// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Time and randomness as seams, so that tests own both.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define NS_PER_S  1000000000ull
#define NS_PER_MS 1000000ull

// Monotonic nanoseconds, and wall-clock seconds for certificates and logs only.
struct clock_source {
	uint64_t (*now_ns)(void *ctx);
	time_t (*wall_s)(void *ctx);
	void *ctx;
};

// CLOCK_MONOTONIC and CLOCK_REALTIME. Any thread.
extern const struct clock_source clock_system;
// The same clocks as of the last timer interrupt, some milliseconds ago at most: a quarter of the cost,
// and no wait for what the processor has under way. Any thread.
extern const struct clock_source clock_coarse;

static inline uint64_t clock_now_ns(const struct clock_source *c)
{
	return c->now_ns(c->ctx);
}

// Unpredictable bytes. fill never fails: a system without randomness ends the process.
struct random_source {
	void (*fill)(void *ctx, void *buf, size_t len);
	void *ctx;
};

// getrandom(2). Any thread.
extern const struct random_source random_system;

static inline void random_fill(const struct random_source *r, void *buf, size_t len)
{
	r->fill(r->ctx, buf, len);
}

static inline uint64_t random_u64(const struct random_source *r)
{
	uint64_t v;
	r->fill(r->ctx, &v, sizeof(v));
	return v;
}
