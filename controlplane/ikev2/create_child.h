// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// CREATE_CHILD_SA, what its parts share.
#pragma once

#include "controlplane/session.h"

#define CREATE_NONCE_LEN 32 // bytes of our nonces

#define CREATE_GONE_MAX 4

// What the peer has done to the SA that our request, which has left, is to rekey: the same.
struct ike_rival {
	bool met;
	uint32_t spi_in;                // of its new child SA; an IKE SA is sa->rival
	uint8_t nonce[IKEV2_NONCE_MAX]; // the lower one of its exchange
	size_t nonce_len;
};

// The exchange's memory in either role.
struct ike_create {
	struct ike_engine *engine;
	struct ike_child_terms terms; // its nonces and shared are views into the members below
	struct ike_child_plan plan;
	uint8_t nonce[CREATE_NONCE_LEN]; // ours
	struct secret shared;
	uint32_t old_spi;  // our inbound SPI of the child that is rekeyed, or 0
	uint32_t peer_spi; // the peer's, by which it named that one
	bool rekey_ike;
	// Initiator
	struct ike_dh *dh;
	uint32_t spi_in;  // of the child that is being made, or 0
	uint64_t new_spi; // ours of the IKE SA that is being made, or 0
	uint16_t group;
	struct wire_ts offered_local, offered_remote;
	enum sa_mode offered_mode;
	struct ike_rival rival;
	// SPIs of the peer that it has deleted and we did not know: the response may still bring them.
	uint32_t gone[CREATE_GONE_MAX];
	uint8_t gone_count;
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
// A request on an IKE SA that the peer has made and that we hold aside because we rekey the same one:
// the peer has settled on it, and the session moves there.
void ikev2_rival_heard(struct ike_sa *sa);

// ---- collide.c: both sides at once (RFC 7296 2.8.1, 2.25) --------------------------------------

// Our own CREATE_CHILD_SA whose request has left on this IKE SA and is not settled; or NULL.
struct ike_create *ike_create_sent(const struct ike_sa *sa);
// The peer's exchange, which we have answered, rekeys what ours does.
void ike_rival_note(struct ike_create *ours, const struct ike_child_terms *theirs, uint32_t spi_in);
// Ours has got its response. RFC 7296 2.8.1: "the SA created with the lowest of the four nonces used in
// the two exchanges SHOULD be closed by the endpoint that created it". True: that is ours.
bool ike_rival_prevails(const struct ike_create *ours);
// The peer has deleted a child SA that we do not know.
void ike_create_gone(struct ike_sa *sa, uint32_t spi_out);
bool ike_create_is_gone(const struct ike_create *c, uint32_t spi_out);
// A child SA is missing: another one is made unless there is one by then. soon: at once; else after a
// while, later at each call.
void ike_child_anew(struct ike_session *s, const struct cfg_child *conf, bool soon);
// One that was asked for could not be made now: after a while, whatever there is.
void ike_child_again(struct ike_session *s, const struct cfg_child *conf);

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
