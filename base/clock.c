// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

static uint64_t mono_ns(void *ctx)
{
	struct timespec ts;
	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t coarse_ns(void *ctx)
{
	struct timespec ts;
	(void)ctx;
	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static time_t wall_s(void *ctx)
{
	(void)ctx;
	return time(NULL);
}

static void system_fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;
	(void)ctx;
	while (len) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0) {
			if (errno == EINTR)
				continue;
			abort(); // no kernel that runs DPDK lacks getrandom
		}
		p += n;
		len -= (size_t)n;
	}
}

const struct clock_source clock_system = {.now_ns = mono_ns, .wall_s = wall_s};
const struct clock_source clock_coarse = {.now_ns = coarse_ns, .wall_s = wall_s};
const struct random_source random_system = {.fill = system_fill};
