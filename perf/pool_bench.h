// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#pragma once

#include "pools/pools.h"

// Leases a second that are granted with durable rows, from the pools of this configuration; negative:
// not measured.
double bench_durable(const struct cfg *c);
