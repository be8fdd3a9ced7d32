// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What main and aggressive mode share: which connection, which keys, who is who. Private to main.c,
// aggressive.c, phase1.c, proof.c and natt.c.
#pragma once

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/session.h"

#define IKEV1_GENERIC_LEN  4    // bytes of a payload's header
#define IKEV1_STRANGER_KEY 32   // bytes
#define IKEV1_WANTED_BYTES 2048 // of the CA names in the peer's CERTREQs

// A message of phase 1, step by step.
enum ikev1_step { IKEV1_START, IKEV1_DH, IKEV1_VERIFIED, IKEV1_SIGNED };

// The state of a phase 1 exchange (x->state), over all its messages.
struct ikev1_phase1 {
	struct ikev1_choice choice;   // responder: what was chosen of the peer's offer
	struct ikev1_ike_offer offer; // initiator: what was offered
	struct ike_dh *dh;            // initiator: our key pair, until the peer's value comes
	enum ikev1_vendor natt;       // responder: the variant that our answer names
	struct ike_id own;
	struct ike_id peer; // as the peer wrote it, protocol and port too: its HASH covers that
	// No key is known for the peer, or nobody fits its identity: it gets the same answers, made
	// with a key that nobody has, and fails at its proof.
	bool stranger;
	uint8_t stranger_key[IKEV1_STRANGER_KEY];
	const struct ike_certificate *certificate; // ours
	struct ike_auth_value proof;               // ours: HASH or SIG
	size_t nonce_len;                          // of ours
	// CA names of the peer's CERTREQs
	uint8_t wanted_bytes[IKEV1_WANTED_BYTES];
	size_t wanted_len;
	struct view wanted[WIRE_CERTREQS_MAX];
	uint8_t wanted_count;
};

static inline struct ikev1_phase1 *ikev1_phase1_of(const struct ike_exchange *x)
{
	return x->state;
}

// ---- phase1.c ----------------------------------------------------------------------------------

// The exchange's state; v1->mode is x's exchange. NULL: no memory.
struct ikev1_phase1 *ikev1_phase1_new(struct ike_exchange *x);
// Phase 1 has failed for the peer: AUTHENTICATION_FAILED whatever the reason, the IKE SA ends.
enum ike_verdict ikev1_refuse(struct ike_exchange *x, enum ike_reason why);

// Responder, first message: the provisional connection, by address and SA payload; the suite, the
// method and SAi_b. IKE_REASON_NONE or why not, with the notify of the answer (0: silence).
enum ike_reason ikev1_choose(struct ike_exchange *x, uint16_t *notify);
// The same for aggressive mode, where v1->peer is known already: its connection and key. Where either
// is missing the peer is a stranger, and has one of all the connections that its offer and address
// fit, by a secret hash of the identity: so no answer tells that one is not known.
enum ike_reason ikev1_choose_aggressive(struct ike_exchange *x, uint16_t *notify);
// The peer's ID payload: v1->peer's id and text. False: unusable.
MUST_USE bool ikev1_take_id(struct ike_exchange *x);
// Responder, main mode: the connection anew, by v1->peer. False: nobody fits; sa->conn stays.
MUST_USE bool ikev1_choose_by_id(struct ike_exchange *x);
// Initiator: what conn offers, and the certificate that goes with it. False: nothing.
MUST_USE bool ikev1_set_offer(struct ike_exchange *x);
// Initiator: our SA payload, and SAi_b. False: no memory.
MUST_USE bool ikev1_put_offer(struct ike_exchange *x);
// Initiator: the answer's SA payload: suite and method.
enum ike_reason ikev1_take_choice(struct ike_exchange *x);

// The peer's KE and nonce payloads, checked and kept. Length of KE by the suite's group.
enum ike_reason ikev1_take_ke(struct ike_exchange *x);
// Our KE and nonce payloads; public value and nonce are kept. False: no memory.
MUST_USE bool ikev1_own_ke(struct ike_exchange *x, struct view public_value);
// The keys from what the DH job brought (ike_dh_reason() says NONE); phase 1's IV.
enum ike_verdict ikev1_take_shared(struct ike_exchange *x);

// The key by what is known of the peer: v1->psk, or a stranger. Methods without a PSK: nothing.
void ikev1_find_psk(struct ike_exchange *x);

// The vendor IDs of the present message.
void ikev1_read_vendors(struct ike_exchange *x);
// Responder: the NAT-T variant, then others of use as long as the message stays within room bytes.
void ikev1_put_vendors(struct ike_exchange *x, size_t room);
void ikev1_offer_vendors(struct ike_exchange *x); // initiator
void ikev1_put_settles(struct ike_exchange *x);

// INITIAL_CONTACT of the peer, and ours where it is true.
void ikev1_read_contact(struct ike_exchange *x);
void ikev1_put_contact(struct ike_exchange *x);

// The peer is authenticated: the exchange ends phase 1 when its handler has succeeded.
enum ike_verdict ikev1_authenticated(struct ike_exchange *x);

// ---- proof.c -----------------------------------------------------------------------------------

// Whether that side (the phase 1 initiator or the responder) proves itself by a signature.
bool ikev1_signs(uint16_t auth, bool initiator);
bool ikev1_uses_psk(uint16_t auth);
// May a peer that begins phase 1 use this method on this connection.
bool ikev1_method_ok(
	const struct ike_credentials *creds, const struct cfg_connection *conn, uint16_t auth);
// All of those as a set, so that what stands in an offer costs no look at certificates each time.
uint32_t ikev1_methods_ok(const struct ike_credentials *creds, const struct cfg_connection *conn);
bool ikev1_method_among(uint32_t ok, uint16_t auth);
// The methods to offer, at most 4, and our certificate for them. Their number.
uint8_t ikev1_methods_to_offer(struct ike_exchange *x, uint16_t out[static 4]);

// The peer's HASH or SIG. DONE; PENDING: ikev1_proof_verified() at IKEV1_VERIFIED; FAIL.
enum ike_verdict ikev1_proof_verify(struct ike_exchange *x);
enum ike_verdict ikev1_proof_verified(struct ike_exchange *x);
// Our certificate and identity under sa->conn. IKE_REASON_NONE or what is missing.
enum ike_reason ikev1_proof_self(struct ike_exchange *x);
// Our HASH or SIG into p->proof. DONE; PENDING: ikev1_proof_signed() at IKEV1_SIGNED; FAIL.
enum ike_verdict ikev1_proof_make(struct ike_exchange *x);
enum ike_verdict ikev1_proof_signed(struct ike_exchange *x);

void ikev1_put_id(struct ike_exchange *x);
// CERTs, then HASH or SIG. Certificates leave with or without CERTREQ: Apple's clients send none.
void ikev1_put_proof(struct ike_exchange *x);
// Keeps the CA names of the peer's CERTREQs.
void ikev1_read_certreqs(struct ike_exchange *x);
// The CAs that the peer's certificate may come from.
void ikev1_put_certreqs(struct ike_exchange *x);

// ---- natt.c ------------------------------------------------------------------------------------

// The best variant among these bits (1 << enum ikev1_vendor), and the vendor ID that stands for it
// (UNKNOWN: none).
enum ikev1_natt ikev1_natt_best(uint32_t vendors, enum ikev1_vendor *vid);
// The two NAT-D payloads, where a variant was agreed on.
void ikev1_natt_put(struct ike_exchange *x);
// The peer's.
void ikev1_natt_detect(struct ike_exchange *x);
// Effect: as initiator, with a NAT in between, the rest goes by port 4500.
void ikev1_natt_float(struct ike_exchange *x, void *unused);
