// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools from a few lines of configuration, a clock that the test moves, and a hash that it counts.
#pragma once

#include "tests/cmocka_all.h"

#include "pools/pools.h"

#include <stdlib.h>

struct fixture {
	struct cfg *cfg;
	struct pools *pools;
	struct address_source source;
	struct clock_source clock;
	uint64_t now_ns;
	uint64_t hashes; // how often worker_of() was asked
	uint16_t workers;
};

static inline uint64_t fixture_now(void *ctx)
{
	return ((struct fixture *)ctx)->now_ns;
}

static inline uint16_t fixture_worker_of(void *ctx, const struct ip_addr *a)
{
	struct fixture *f = ctx;
	uint32_t h = 2166136261u;
	for (size_t i = 0; i < 16; i++)
		h = (h ^ a->bytes[i]) * 16777619u;
	f->hashes++;
	return (uint16_t)((h >> 7) % f->workers);
}

// pools is the text inside "pools = ( ... )".
static inline void fixture_init(struct fixture *f, const char *pools, uint16_t workers)
{
	char *text;
	assert_true(asprintf(&text, "pools = ( %s );\n", pools) > 0);
	*f = (struct fixture){.now_ns = 1000 * NS_PER_S, .workers = workers};
	int rc = cfg_load_text("pools", text, NULL, &f->cfg);
	if (rc)
		rc = cfg_load_text("pools", text, stderr, &f->cfg);
	free(text);
	assert_int_equal(rc, 0);
	f->clock = (struct clock_source){.now_ns = fixture_now, .ctx = f};
	struct pools_seams seams = {
		.clock = &f->clock,
		.random = &random_system,
		.workers = workers,
		.worker_of = fixture_worker_of,
		.ctx = f,
	};
	assert_int_equal(pools_new(f->cfg, &seams, &f->pools), 0);
	pools_source(f->pools, &f->source);
}

static inline void fixture_fini(struct fixture *f)
{
	pools_free(f->pools);
	cfg_free(f->cfg);
}

// Seconds pass, and what they end, ends.
static inline void fixture_wait(struct fixture *f, uint64_t seconds)
{
	f->now_ns += seconds * NS_PER_S;
	pools_tick(f->pools, f->now_ns);
}

static inline struct address_request request_of(struct fixture *f, const char *user)
{
	return (struct address_request){
		.pool = &f->cfg->pools[0],
		.owner = {.user = user, .name = user ? user : "anyone", .anonymous = !user},
	};
}

static inline struct ip_addr ip_of(const char *text)
{
	struct ip_addr a = {0};
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}
