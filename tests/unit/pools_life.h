// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The model of test_pools_life: who has which address, what the journal and the disk know of it.
#pragma once

#include "pools/giver.h"
#include "tests/unit/pools_fixture.h"

enum {
	OWNERS = 24, // owner OWNERS is the anonymous peer
	POOLS = 4,   // a, b: addresses; s: prefixes; d: a giver's
	VARIANTS = 6,
	FIRST_B = 128,      // 10.0.0.0 to .127 before, 10.1.1.0 to .31
	FIRST_DHCP = 160,   // 10.0.3.0 to .31
	FIRST_AAA = 192,    // 172.16.0.0 to .15
	FIRST_PREFIX = 208, // 2001:db8:0:n::/64, 64 of them, the last 16 outside
	ADDRESSES = 272,
	REQUESTS = 512,
	SESSIONS = 2048,
	CHANGES = 1 << 16,
	NOBODY = -1,
};

struct address {
	struct ip_addr addr;
	bool used;
	int owner; // OWNERS and NOBODY (quarantined): without name
	int pool;
	int state, origin;
	bool was_active, revoked, lost, anonymous, row;
	bool acknowledged; // with a durable row
	bool of_last_life; // and anonymous
	uint64_t since_ns;
	unsigned grants; // of sessions and of requests that wait
};

struct session {
	struct lease lease;
	int address;
};

struct request_of_life {
	bool open;
	int owner, pool, want;
	bool exact, adopt;
	int address; // whose row it waits for
};

// What the journal was told and the disk may not know yet.
struct change {
	uint64_t ticket;
	int address, owner;
	bool put;
	int origin, pool;
};

struct row_of_life {
	bool there;
	int owner, origin, pool;
};

struct life {
	struct fixture f;
	struct cfg *variants[VARIANTS];
	int variant;
	struct lease_journal journal;
	struct address_giver giver;
	uint64_t seed, token, ticket, settled;
	uint64_t current; // token of the request whose row comes
	struct address a[ADDRESSES];
	struct session sessions[SESSIONS];
	unsigned session_count;
	struct request_of_life requests[REQUESTS];
	struct {
		uint64_t id, token;
	} asked[REQUESTS];
	unsigned asked_count;
	struct change changes[CHANGES]; // not on the disk yet
	unsigned change_count;
	struct row_of_life disk[ADDRESSES];
	unsigned puts;
	unsigned granted, adopted, refused, exhausted, ended_waiting, given, lost, refusals, clears;
	unsigned reloads, reloads_refused, crashes, restored;
};

static inline uint64_t rnd(struct life *m, uint64_t n)
{
	// xorshift64*
	m->seed ^= m->seed >> 12;
	m->seed ^= m->seed << 25;
	m->seed ^= m->seed >> 27;
	return (m->seed * 0x2545f4914f6cdd1dull >> 33) % n;
}

void life_init(struct life *m);
void life_fini(struct life *m);
void life_acquire(struct life *m, struct request_of_life *q);
// The session's grant has ended, or ends now.
void life_drop_session(struct life *m, struct session *s);
void life_expire(struct life *m);
void life_free(struct life *m, struct address *a);
void life_quarantine(struct life *m, struct address *a);
// Whether the pool may give this address, which is nobody's, to this owner.
bool life_free_for(const struct life *m, int address, int pool, int owner);
// All or some of the tickets are told to be durable, or not.
void life_settle(struct life *m, bool durable);
void life_reload(struct life *m, int variant);
// The process ends at once; another begins with what the disk has.
void life_crash(struct life *m);
// The pools and the model say the same.
void life_compare(struct life *m);
