// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#pragma once

#include "pools/pools.h"

// Leases a second that are granted with durable rows, with 4,096 clients waiting at once; the store
// is made below dir, and removed. Negative: not measured.
double bench_durable(const char *dir);
