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
// Receive buffers on each worker's socket, and the control thread's own. 0 or -errno after logging.
MUST_USE int dp_pools_new(struct dp *d);
void dp_pools_free(struct dp *d);
