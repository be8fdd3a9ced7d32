// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Between the pools and what keeps their leases: a seam. Control thread.
//
// A row is written when a lease is first offered and dropped when its address is free again. What
// happens in between (active, lingering, back again) is not written: after a restart every row is a
// lingering lease whose time begins anew, or, if its holder was anonymous, a quarantined one.
#pragma once

#include "pools/pools.h"

#define LEASE_EXTRA_MAX 64 // bytes

struct lease_row {
	struct ip_addr addr; // the key: no two rows have one
	uint8_t prefix_len;
	enum lease_origin origin;
	bool anonymous;
	const char *pool;  // its name
	struct view owner; // the pools' key of the owner, at most POOL_OWNER_MAX + 4 bytes
	const char *name;  // the owner for people, at most POOL_OWNER_MAX bytes
	struct view extra; // what its giver needs after a restart, at most LEASE_EXTRA_MAX bytes
	int64_t written_s; // since 1970, for people alone: clocks step. Filled in by the journal
};

struct lease_journal {
	void *ctx;
	// Both copy what they are given, never block, and return a ticket: larger than each before, and
	// what it stands for is durable when pools_settled() has said so. put() replaces.
	// 0: not taken (out of memory); the lease is in memory only.
	uint64_t (*put)(void *ctx, const struct lease_row *row);
	uint64_t (*drop)(void *ctx, const struct ip_addr *addr);
};
