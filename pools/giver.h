// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Who else chooses an address: a seam, behind it a DHCP server (pools/dhcp.h). The pool keeps the lease
// all the same: its state, its owner, its row in the journal. Control thread; asynchronous.
#pragma once

#include "pools/journal.h"

struct giver_request {
	const struct cfg_pool *pool;
	struct ip_addr want; // family 0: any
	struct view owner;   // the pools' key of the owner; of an anonymous peer 16 random bytes
	const char *name;    // for people and for the server's log
	uint64_t token;
};

struct address_giver {
	void *ctx;
	// 0: given() follows within a bounded time, exactly once. -EAGAIN: too many at once, -ENOMEM.
	int (*ask)(void *ctx, const struct giver_request *rq);
	// The address is kept alive from given() or resume() on, for as long as it is not given back.
	// After a restart, for each row of this origin. 0, or -EINVAL if extra does not read.
	int (*resume)(void *ctx, const struct cfg_pool *pool, const struct ip_addr *addr,
		struct view owner, struct view extra);
	// Linger time is over.
	void (*give_back)(void *ctx, const struct ip_addr *addr);
	// The server gave what it should not have: outside the ranges, or another's here.
	void (*refuse)(void *ctx, const struct ip_addr *addr);

	// Set by the pools. OK: addr and extra; EXHAUSTED: the server says no; FAILED: it is silent.
	void (*given)(void *user, uint64_t token, enum address_status s, const struct ip_addr *addr,
		struct view extra);
	// What must be remembered over a restart has changed.
	void (*changed)(void *user, const struct ip_addr *addr, struct view extra);
	// The server took it back or its time ran out: nobody may use it.
	void (*lost)(void *user, const struct ip_addr *addr);
	void *user;
};
