// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The addresses and networks of a peer: what AAA says of them, else from its connection's pools, pool
// after pool, each possibly a wait. The same in both IKE versions. Control thread.
#pragma once

#include "controlplane/session.h"

// What a peer may get, one of each.
enum ike_address_kind {
	IKE_ADDRESS_V4,
	IKE_ADDRESS_V6,
	IKE_PREFIX_V4,
	IKE_PREFIX_V6,
	IKE_ADDRESS_KINDS,
};
_Static_assert((int)IKE_ADDRESS_KINDS <= IKE_LEASES_MAX, "a session has room for all");

// The first members are the caller's; the rest is zero at first.
struct ike_addresses {
	struct ike_engine *engine;
	const struct cfg_connection *conn;
	struct ike_peer peer; // what it borrows outlives the search
	bool gone;            // INITIAL_CONTACT: the owner's older sessions are
	struct ike_aaa_addresses aaa;
	bool want[IKE_ADDRESS_KINDS];
	struct ip_addr hint[IKE_ADDRESS_KINDS]; // family 0: any; of a prefix an address in it
	bool claim[IKE_ADDRESS_KINDS];          // the hint or nothing
	uint16_t worker;                        // shard to draw from as long as there is no lease

	struct lease leases[IKE_LEASES_MAX]; // held
	uint8_t lease_count;
	enum ike_reason refusal; // of the last kind that was wanted and not got
	enum ike_reason why;     // of the present kind's last pool
	uint8_t kind;            // being asked for
	bool exact;              // of the present request: AAA's address
	bool asked;              // AAA's address or pool, or the pool of the hint, was asked
	const struct cfg_pool *preferred; // that one
	size_t pool_index;                // next pool of the connection to ask
};

// One of each kind that is wanted. DONE: all pools were asked, a->leases and a->refusal say with what
// success; PENDING: go on with ike_addresses_got() at next_step.
enum ike_verdict ike_addresses_get(struct ike_exchange *x, struct ike_addresses *a, int next_step);
enum ike_verdict ike_addresses_got(struct ike_exchange *x, struct ike_addresses *a, int next_step);
// What was got becomes the session's, as far as it has room.
void ike_addresses_give(struct ike_addresses *a, struct ike_session *s);
// What is still held goes back.
void ike_addresses_release(struct ike_addresses *a);

// Who the peer is to the pools; borrows from it.
struct pool_owner ike_pool_owner(const struct ike_peer *p);
// Who the configuration's users say that a proven identity is, where nobody has logged in as one: his
// groups. text is the identity's.
void ike_peer_groups(const struct ike_engine *e, struct ike_peer *p);

// The pool of the connection that may give the peer this kind of thing from a range that holds addr;
// NULL: none.
const struct cfg_pool *ike_pool_holding(
	const struct ike_addresses *a, enum ike_address_kind kind, const struct ip_addr *addr);
// The same for one of whose ranges the selector holds a part.
const struct cfg_pool *ike_pool_within(
	const struct ike_addresses *a, enum ike_address_kind kind, const struct ip_range *range);
// The kind's networks in this pool are so long; is the range a part of one of them.
bool ike_pool_one_network(const struct cfg_pool *pool, const struct ip_range *range);
// Has the session a lease of that kind.
bool ike_session_has(const struct ike_session *s, enum ike_address_kind kind);
// What AAA says, to be kept; NULL where it says nothing, or there is no memory (*oom).
struct ike_aaa_addresses *ike_aaa_keep(const struct ike_aaa_addresses *said, bool *oom);
