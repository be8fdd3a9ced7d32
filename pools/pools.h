// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Address pools and leases, behind the asynchronous address source.
#pragma once

#include "base/clock.h"
#include "config/config.h"

#define POOL_OWNER_MAX 512 // bytes

// Who holds a lease: the authenticated user and IKE identity. An anonymous peer (a group PSK, whose
// identity is a mere claim) has no owner: no stickiness, no reservation.
struct pool_owner {
	const char *user;     // or NULL
	struct view identity; // IKE ID payload body (type octet, then data); empty: anonymous
	bool anonymous;
	const char *name; // text of identity or user for reservations and show; borrowed
};

enum lease_state { LEASE_OFFERED, LEASE_ACTIVE, LEASE_LINGERING };

// What the address source granted. Copied by value; fence names this very grant, so that a late
// renew or release of an older one does nothing.
struct lease {
	const struct cfg_pool *pool; // borrowed from the snapshot
	struct ip_addr addr;
	uint64_t fence;
	uint16_t worker; // shard
	bool adopted;    // the owner had it already (live or lingering)
};

struct address_request {
	const struct cfg_pool *pool;
	struct pool_owner owner;
	struct ip_addr want; // family 0: any. Granted if the owner may have it
	uint16_t worker;     // shard to draw from
	// The same owner's live lease is adopted (shared, by reference) only if this is true: the peer
	// asked for the held address, or re-authenticates from the same outer address and port.
	bool adopt;
	uint64_t token; // handed back with the result
};

enum address_status { ADDRESS_OK, ADDRESS_PENDING, ADDRESS_EXHAUSTED, ADDRESS_FAILED };

// The address source: a seam. Control thread. acquire() either answers at once (OK, EXHAUSTED,
// FAILED) or with PENDING, and then calls done() later on the control thread, exactly once.
struct address_source {
	void *ctx;
	enum address_status (*acquire)(
		void *ctx, const struct address_request *rq, struct lease *out);
	// offered -> active: it is in use until it is released. False: the grant has ended, the address
	// may be another's, and there is nothing to release.
	MUST_USE bool (*renew)(void *ctx, const struct lease *l);
	// Drops one reference; the last one makes an owned lease linger, an anonymous or a merely
	// offered one free (an offered one that lingered before lingers again).
	void (*release)(void *ctx, const struct lease *l);
	// Set by the user of the source before the first acquire().
	void (*done)(void *user, uint64_t token, enum address_status s, const struct lease *l);
	void *user;
};

// All pools of one snapshot, in memory.
struct pools;

struct pools_seams {
	const struct clock_source *clock;
	const struct random_source *random;
	uint16_t workers; // shards
	// Which shard an address belongs to; < workers.
	uint16_t (*worker_of)(void *ctx, const struct ip_addr *inner);
	void *ctx;
};

// The snapshot must outlive the pools. 0 or -ENOMEM, -EINVAL.
MUST_USE int pools_new(const struct cfg *c, const struct pools_seams *s, struct pools **out);
void pools_free(struct pools *p);

// The in-memory address source over p; done/user are to be set by its user.
void pools_source(struct pools *p, struct address_source *out);

// Ends linger times; call every second or so. Costs only what expires.
void pools_tick(struct pools *p, uint64_t now_ns);

struct pool_stats {
	const char *name;
	uint64_t size; // addresses that can be given out; UINT64_MAX: more
	uint64_t free, in_use, lingering, reserved;
	uint64_t high_water; // most in use at once
	uint64_t allocated, released, exhausted, borrowed, adopted;
	uint64_t expired; // offered leases that were neither renewed nor released in time
	uint64_t stale;   // renew or release by a grant that has ended
	uint64_t failed;  // no memory, or an owner of more than POOL_OWNER_MAX bytes
};

// Pool i in the configuration's order; false past the last.
bool pools_stats(const struct pools *p, size_t i, struct pool_stats *out);

struct lease_info {
	struct ip_addr addr;
	enum lease_state state;
	const char *owner; // text, borrowed until the next call
	uint64_t since_ns; // of this state, monotonic
	uint64_t until_ns; // LINGERING and OFFERED; 0: none
	uint32_t references;
};

// Walk the leases of pool i in no order: start with *cursor = 0; false at the end.
bool pools_lease_next(const struct pools *p, size_t i, uint64_t *cursor, struct lease_info *out);
