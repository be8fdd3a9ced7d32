// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// DPDK's environment: command line from the configuration, buffers, and memory that core dumps omit.
#pragma once

#include "dataplane/dp.h"

// Worker i runs on this lcore id; the control thread is lcore 0.
#define DP_LCORE(worker) ((unsigned)(worker) + 1)

// Once per process. 0 or -errno after logging.
MUST_USE int dp_eal_start(const struct cfg *c);
// After EAL's start: what memory_mb must hold, all of it named in the error. -ENOMEM after logging
// where buffers and rings do not fit, 0 with a warning where only the sessions do not.
MUST_USE int dp_memory_check(const struct cfg *c);
// Bytes: buffers and rings, with workers on so many sockets; and max_sessions' SAs and tunnels, which
// are taken as they come. Pure.
uint64_t dp_memory_fixed(const struct cfg *c, unsigned sockets);
uint64_t dp_memory_sessions(const struct cfg *c);
// Receive buffers on each worker's socket, and the control thread's own. 0 or -errno after logging.
MUST_USE int dp_pools_new(struct dp *d);
void dp_pools_free(struct dp *d);
