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

// Offered until its child SA is installed, active until it is released, lingering for its owner.
// Quarantined: nobody's, and given to nobody until its time is over (a lease of the last life whose
// holder was anonymous, an address that a server or an operator says is somebody else's).
enum lease_state { LEASE_OFFERED, LEASE_ACTIVE, LEASE_LINGERING, LEASE_QUARANTINED };

// Who chose the address.
enum lease_origin { LEASE_OF_POOL, LEASE_OF_AAA, LEASE_OF_DHCP };

// What the address source granted. Copied by value; fence names this very grant, so that a late
// renew or release of an older one does nothing.
struct lease {
	const struct cfg_pool *pool; // whose dns, domain and netmask go with it; borrowed
	struct ip_addr addr;         // of a prefix the first one
	uint8_t prefix_len;          // 32 and 128: one address
	uint64_t fence;
	uint16_t worker; // shard
	bool adopted;    // the owner had it already (live or lingering)
};

struct address_request {
	const struct cfg_pool *pool;
	struct pool_owner owner;
	struct ip_addr want; // family 0: any. Granted if the owner may have it
	// AAA has decided (Framed-IP-Address, RFC 2865 section 5.8): `want` or nothing. It may be excluded,
	// lie in another pool or outside all of them; never one that somebody else has or has reserved.
	bool exact;
	uint16_t worker; // shard to draw from
	// The same owner's live lease is adopted (shared, by reference) only if this is true: the peer
	// asked for the held address, or re-authenticates from the same outer address and port. Where
	// 64 share it already he gets one of his own.
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
	// offered -> active: it is in use by that session until it is released. False: the grant has
	// ended, the address may be another's, and there is nothing to release.
	MUST_USE bool (*renew)(void *ctx, const struct lease *l, uint64_t session);
	// Drops one reference; the last one makes an owned lease linger, an anonymous or a merely
	// offered one free (an offered one that lingered before lingers again).
	void (*release)(void *ctx, const struct lease *l);
	// Set by the user of the source before the first acquire().
	void (*done)(void *user, uint64_t token, enum address_status s, const struct lease *l);
	// The address must not be used any longer (its server took it back, an operator cleared it):
	// whoever holds it ends, and releases it as always. Set as done is.
	void (*revoked)(void *user, const struct ip_addr *addr);
	void *user;
};

// All pools of one snapshot, in memory.
struct pools;
struct lease_journal; // pools/journal.h
struct lease_row;
struct address_giver; // pools/giver.h

struct pools_seams {
	const struct clock_source *clock;
	const struct random_source *random;
	uint16_t workers; // shards
	// Which shard an address belongs to; < workers.
	uint16_t (*worker_of)(void *ctx, const struct ip_addr *inner);
	void *ctx;
	// Both may be NULL and outlive the pools. With a journal an address is granted (done()) only when
	// its row is durable, or when pools_settled() says that it cannot be made so.
	const struct lease_journal *journal;
	struct address_giver *giver; // for pools with from_dhcp
};

// The snapshot must outlive the pools. 0 or -ENOMEM, -EINVAL.
MUST_USE int pools_new(const struct cfg *c, const struct pools_seams *s, struct pools **out);
void pools_free(struct pools *p);

// The in-memory address source over p; done/user are to be set by its user.
void pools_source(struct pools *p, struct address_source *out);

// A row of the last life, before the first acquire(): a lingering lease, or a quarantined one if its
// holder was anonymous. One that no pool has any longer is dropped from the journal. 0 or -ENOMEM.
MUST_USE int pools_restore(struct pools *p, const struct lease_row *row);

// The same of a row from elsewhere, at any time: written to the journal. 0, also if this owner has the
// address already; -EEXIST: somebody else has it or has reserved it; -ERANGE: no pool gives it out;
// -EINVAL: no owner, or too long; -EOPNOTSUPP: a giver chooses the pool's addresses; -ENOMEM. row->pool is not looked at. check: only say whether.
MUST_USE int pools_import(struct pools *p, const struct lease_row *row, bool check);

// All rows up to this ticket are durable, or are not (the disk is full): then the leases that wait for
// them are granted from memory, and counted.
void pools_settled(struct pools *p, uint64_t ticket, bool durable);

// The pools of another snapshot with as many pools of the same names: ranges, exclusions, reservations
// and times from now on. A lease outside the new ranges stays with its session and its owner and is
// not given again afterwards. The struct cfg_pool that leases point to are the new snapshot's;
// requests and leases that still name the old one's are understood as long as both live.
// 0, or -ENOMEM or -EINVAL and nothing is changed.
//
// All requests from then on are answered by the new configuration. What leases that are outside of it, or
// in ranges without a place for each address, count for (outside, left, free, and of which pool they are) is
// right when pools_reload_goes_on(), which looks at some thousand of them, has said false. pools_tick() calls
// it, too. Another reload ends the first.
MUST_USE int pools_reload(struct pools *p, const struct cfg *c);
bool pools_reload_goes_on(struct pools *p);

// What an operator ends: leases that match all that is set. A lingering or quarantined one is free at
// once; the holder of a live one is told by revoked(), and it does not linger. Returns how many.
struct lease_clearing {
	const char *pool;    // NULL: any
	struct ip_addr addr; // family 0: any
	const char *owner;   // text as in show; NULL: any
};
size_t pools_clear(struct pools *p, const struct lease_clearing *c);

// Ends linger times; call every second or so. Costs only what expires.
void pools_tick(struct pools *p, uint64_t now_ns);

struct pool_stats {
	const char *name;
	uint64_t size; // addresses that can be given out; UINT64_MAX: more
	uint64_t free, in_use, lingering, reserved;
	uint64_t high_water; // most in use at once
	uint64_t allocated, released, exhausted, borrowed, adopted;
	uint64_t expired;     // offered leases that were neither renewed nor released in time
	uint64_t stale;       // renew or release by a grant that has ended
	uint64_t failed;      // no memory, or an owner of more than POOL_OWNER_MAX bytes
	uint64_t quarantined; // now
	uint64_t outside;     // leases now whose address is outside the ranges
	uint64_t left;        // of them those whose address a reload has taken out of the ranges
	uint64_t refused;     // AAA's address is somebody else's
	uint64_t memory_only; // granted without a durable row
	uint64_t restored;    // of the last life
	uint64_t giver_silent, giver_refused, giver_bad; // DHCP: no answer, a no, a wrong address
};

// Pool i in the configuration's order; false past the last.
bool pools_stats(const struct pools *p, size_t i, struct pool_stats *out);

struct lease_info {
	struct ip_addr addr;
	uint8_t prefix_len;
	enum lease_state state;
	enum lease_origin origin;
	bool reserved, anonymous;
	const char *owner; // text, borrowed until the next call
	struct view key;   // the owner's; empty: anonymous. Borrowed as well
	uint64_t session;  // 0: none
	uint64_t since_ns; // of this state, monotonic
	uint64_t until_ns; // OFFERED, LINGERING and QUARANTINED; 0: none
	uint32_t references;
};

// Walk the leases of pool i in no order, with a zeroed walk but for `looks`: how many records, with or without a
// lease, are looked at until it returns at the latest. False: none was found among these; end: nor is there one
// behind them. The cursor stays good whatever comes and goes.
struct lease_walk {
	uint64_t cursor;
	unsigned looks; // is counted down
	bool end;
};
bool pools_lease_look(
	const struct pools *p, size_t i, struct lease_walk *w, struct lease_info *out);
// The same for a walk that may take its time: start with *cursor = 0; false at the end.
bool pools_lease_next(const struct pools *p, size_t i, uint64_t *cursor, struct lease_info *out);
