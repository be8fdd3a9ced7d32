// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "perf/pool_bench.h"

double bench_durable(const struct cfg *c)
{
	(void)c;
	return -1;
}
