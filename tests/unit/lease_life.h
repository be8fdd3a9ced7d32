// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Random logins, releases, expiries, reloads and clears by one who uses pools, and what he says of them
// (crash_model.h). Who is told, and what becomes durable when, is the test's.
#pragma once

#include "tests/unit/crash_model.h"

#define GRANTS_MAX 48
#define ASKS_MAX   24

struct held {
	struct lease lease;
	int owner; // NOBODY: none
	bool ending;
};

struct life {
	// A report is heard before what it is about is done.
	void (*say)(struct life *l, const struct report *r);
	void (*failed)(struct life *l); // after R_FAILED; does not return
	void (*settle)(
		struct life *l, bool wait); // what is durable by now; or waits for some of it
	uint64_t random, now_s;
	bool small;
	struct cfg *cfgs[2];
	struct lease_journal journal;
	struct pools *pools;
	struct address_source source;
	struct clock_source clock;
	struct held held[GRANTS_MAX];
	uint32_t tokens, asked; // asked: without an answer yet
	int owner_of[TOKENS];
	bool adopts[TOKENS];       // a lease that may be in use already
	unsigned waiting[OWNERS];  // of asked
	uint64_t forgot_s[OWNERS]; // when a grant of his was forgotten
};

// splitmix64
uint64_t life_draw(uint64_t *state);
unsigned life_pick(struct life *l, unsigned n);
// At a time of its own, with one of the two configurations.
void life_init(struct life *l, uint64_t seed);
// The rows of the last life, then R_READY and the pools: load() calls row() for each.
void life_open(struct life *l,
	int (*load)(void *ctx, int (*row)(void *, const struct lease_row *), void *user),
	void *ctx);
void life_operate(struct life *l);
void life_close(struct life *l);
// Reports the error and ends, unless rc is 0.
void life_need(struct life *l, int rc);
