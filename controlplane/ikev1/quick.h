// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode, what both roles share.
#pragma once

#include "controlplane/ikev1/ikev1.h"

#define QUICK_NONCE_LEN 32 // bytes of our nonces
#define QUICK_ID_MAX    64 // bytes of an ID payload's body of ours

// The exchange's memory in either role.
struct ike_addresses;
struct ikev1_quick {
	struct ike_engine *engine;
	struct ike_child_terms terms; // nonces and shared are views into x->v1 and shared
	struct ike_child_plan plan;
	struct ikev1_choice choice;     // its attributes are a view of the peer's message
	uint8_t nonce[QUICK_NONCE_LEN]; // ours
	struct secret shared;
	uint32_t spi_in; // of the child that is being made, or 0
	// Responder
	struct ikev1_sa_offer offer;
	struct ike_addresses *claim; // reclaim.c
	// Initiator
	struct ike_dh *dh;
	uint16_t group;
	uint64_t began_ns;
	struct proposal exact; // rekeying towards a client: the suite in use alone
	bool exact_esn;
	bool deriving;              // the shared secret is being computed
	struct selector own, other; // as offered
};

// ---- reclaim.c: an address or network that is claimed in quick mode without asking ----

// May what the peer names as its own be such a claim: then q->claim is to be searched for. The session has
// no lease; for an address its owner is proven, and the connection gives out addresses, this one among
// them.
bool ikev1_claim(struct ike_exchange *x, const struct ip_range *client);
// True: a push was asking the pools for the same peer, the claim waits for its answer.
bool ikev1_claim_pushed(struct ike_exchange *x, int next_step);
// The search is over: what it found is the session's; else nothing is held. Why there is no network; an
// address is refused later, for being a pool's.
enum ike_reason ikev1_claimed(struct ike_exchange *x);
void ikev1_claim_free(struct ikev1_quick *q);

// ---- quick.c ----

// x->state from now on. NULL: no memory.
struct ikev1_quick *ikev1_quick_new(struct ike_exchange *x);
// Both nonces are known: for HASH, and for the keys. 0 or -ENOMEM.
MUST_USE int ikev1_quick_nonces(struct ike_exchange *x, struct view ni, struct view nr);
// The result of a DH job, into q->shared and q->terms.shared. IKE_DONE or FAIL.
enum ike_verdict ikev1_quick_shared(struct ike_exchange *x);
// The plan's part that follows from q->choice.
void ikev1_quick_chosen(struct ikev1_quick *q);
// The peer's limits, 0: none.
void ikev1_quick_limits(struct ike_child *c, uint64_t life_s, uint64_t life_kb);
// The child is made by this exchange: its nonces, when it began.
void ikev1_quick_mark(const struct ike_exchange *x, struct ike_child *c);
// The selectors of a child SA that is rekeyed with the same IDs.
void ikev1_plan_again(struct ike_child_plan *plan, const struct ike_child *old);
// NAT-OA of transport mode in UDP (RFC 3947 5.2): ours, and the peer's into the plan.
void ikev1_quick_put_addrs(struct ike_exchange *x, enum sa_mode mode);
void ikev1_quick_read_addrs(const struct ike_exchange *x, struct ike_child_plan *plan);
// Our quick mode was refused by the peer's notify, and ends.
void ikev1_quick_refused(struct ike_exchange *x);
// The child that is being made, or NULL if it has gone meanwhile.
struct ike_child *ikev1_quick_child(const struct ikev1_quick *q);

// ---- informational.c, dpd.c, expire.c --------------------------------------------------------------

// R-U-THERE or its answer.
void ikev1_dpd_notify(struct ike_exchange *x, const struct ikev1_notification *n);
// No more questions of ours.
void ikev1_dpd_stop(struct ike_sa *sa);
// Has it children that can do without an ISAKMP SA: confirmed, not replaced.
bool ikev1_children_in_use(const struct ike_session *s);
// A DELETE of this very ISAKMP SA leaves, if there are keys.
void ikev1_tell_deleted(struct ike_sa *sa);

#define IKEV1_DELETE_GRACE_S 2 // that an ISAKMP SA which the peer deleted is still understood
// Children that would stay for ever without an ISAKMP SA. RFC 2407 4.5: "If unspecified, the default
// value shall be assumed to be 28800 seconds".
#define IKEV1_LIFE_DEFAULT_S 28800
