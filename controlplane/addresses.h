// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The addresses of a peer from its connection's pools: pool after pool, family after family, each
// possibly a wait. The same in both IKE versions. Control thread.
#pragma once

#include "controlplane/session.h"

// The first members are the caller's; the rest is zero at first.
struct ike_addresses {
	struct ike_engine *engine;
	const struct cfg_connection *conn;
	struct ike_peer peer; // what it borrows outlives the search
	bool gone;            // INITIAL_CONTACT: the owner's older sessions are
	bool want_v4, want_v6;
	struct ip_addr hint_v4, hint_v6; // family 0: any
	uint16_t worker;                 // shard to draw from as long as there is no lease

	struct lease leases[IKE_LEASES_MAX]; // held
	uint8_t lease_count;
	enum ike_reason refusal; // of the pool that was asked last and had none
	uint8_t family;          // being asked for
	size_t pool_index;       // next pool to ask
};

// One address of each family that is wanted. DONE: all pools were asked, a->leases and a->refusal say
// with what success; PENDING: go on with ike_addresses_got() at next_step.
enum ike_verdict ike_addresses_get(struct ike_exchange *x, struct ike_addresses *a, int next_step);
enum ike_verdict ike_addresses_got(struct ike_exchange *x, struct ike_addresses *a, int next_step);
// What was got becomes the session's, as far as it has room.
void ike_addresses_give(struct ike_addresses *a, struct ike_session *s);
// What is still held goes back.
void ike_addresses_release(struct ike_addresses *a);

// Who the peer is to the pools; borrows from it.
struct pool_owner ike_pool_owner(const struct ike_peer *p);

// The next pool of this family at or behind *index; NULL: no more. *index is behind it then.
const struct cfg_pool *ike_pool_next(
	const struct cfg_connection *conn, uint8_t family, size_t *index);
