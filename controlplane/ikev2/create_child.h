// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// CREATE_CHILD_SA, what its parts share.
#pragma once

#include "controlplane/session.h"

#define CREATE_NONCE_LEN 32 // bytes of our nonces

// The exchange's memory in either role.
struct ike_create {
	struct ike_engine *engine;
	struct ike_child_terms terms; // its nonces and shared are views into the members below
	struct ike_child_plan plan;
	uint8_t nonce[CREATE_NONCE_LEN]; // ours
	struct secret shared;
	uint32_t old_spi; // our inbound SPI of the child that is rekeyed, or 0
	bool rekey_ike;
	// Initiator
	struct ike_dh *dh;
	uint32_t spi_in;  // of the child that is being made, or 0
	uint64_t new_spi; // ours of the IKE SA that is being made, or 0
	uint16_t group;
	struct wire_ts offered_local, offered_remote;
};

// x->state from now on. NULL: no memory.
struct ike_create *ike_create_new(struct ike_exchange *x);

// The KE payload of x->in must be of this group. IKE_DONE and *out; else INVALID_KE_PAYLOAD with
// the group, or INVALID_SYNTAX.
enum ike_verdict ike_create_ke(struct ike_exchange *x, uint16_t group, struct wire_ke *out);
// The result of a DH job, into c->shared and c->terms.shared. IKE_DONE or FAIL.
enum ike_verdict ike_create_shared(struct ike_exchange *x);

// rekey_ike.c
enum ike_verdict ikev2_rekey_ike_request(struct ike_exchange *x);

// create_initiator.c: what both kinds of request share.

// Generate a key pair for the request: PENDING, its job comes back at next_step.
enum ike_verdict ike_create_generate(struct ike_exchange *x, uint16_t group, int next_step);
// That job's key pair, into c->dh. IKE_DONE or FAIL.
enum ike_verdict ike_create_generated(struct ike_exchange *x);
// The response's nonce and, with a group, its KE: PENDING with the job that derives, DONE without a
// group, or FAIL.
enum ike_verdict ike_create_peer_ke(struct ike_exchange *x, uint16_t group, int next_step);

// As initiator: what is to be done, kept by the task. Freed with free().
struct ike_want {
	uint32_t old_spi; // our inbound SPI of the child to rekey, or 0
	const struct cfg_child *conf;
	uint16_t group; // that the peer asked for; 0: our first
	uint8_t tries;
	bool again;    // another task goes on with it
	bool refused;  // by the peer, for good
	bool resource; // RFC 9611: of this worker
	uint16_t worker;
};

// If the response names another group that we allow, the task is queued again with it.
bool ike_create_retry_group(struct ike_exchange *x, const struct proposal *mine, size_t count);

#define IKE_KE_TRIES 2 // with groups that INVALID_KE_PAYLOAD names
