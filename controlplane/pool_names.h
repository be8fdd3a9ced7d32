// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The pools of the configuration by their name, for AAA. Made once, when the engine begins: a reload
// changes what is in a pool, not which there are. Control thread.
#pragma once

#include "base/clock.h"
#include "config/config.h"

struct ike_pool_names;

// 0 or -ENOMEM. cfg outlives it.
MUST_USE int ike_pool_names_new(
	const struct cfg *cfg, const struct random_source *random, struct ike_pool_names **out);
void ike_pool_names_free(struct ike_pool_names *p); // NULL is fine

// By exactly this name; NULL: none.
const struct cfg_pool *ike_pool_named(const struct ike_pool_names *p, const char *name);
