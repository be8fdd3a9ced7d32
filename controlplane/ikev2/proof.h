// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Who the peer is and who we are, in IKE_AUTH of either role: the ID, CERT and AUTH payloads.
#pragma once

#include "controlplane/session.h"

struct ike_proof {
	const struct cfg_connection *conn;
	struct ike_id peer, own;
	bool proven; // by a certificate or a PSK bound to the ID; else the ID is a mere claim
	const struct ike_certificate *certificate; // ours
	struct ike_auth_value value;               // our AUTH
	char text[IKE_ID_TEXT_MAX];                // of peer
};

// The kind of authentication of an AUTH method, enum cfg_auth; -1: none that we know.
int ike_proof_kind(uint8_t method);

// Check the peer's AUTH in x->in under p->conn and p->peer. conn NULL: nobody fits; it takes as
// long as a wrong key, and fails. DONE: proven or claimed; PENDING: go on with
// ike_proof_verified() at next_step; FAIL: AUTHENTICATION_FAILED, the IKE SA ends.
enum ike_verdict ike_proof_verify(struct ike_exchange *x, struct ike_proof *p, int next_step);
enum ike_verdict ike_proof_verified(struct ike_exchange *x, struct ike_proof *p);

// Our identity under p->conn, and our AUTH. DONE: p->value is it; PENDING: ike_proof_signed() at
// next_step.
enum ike_verdict ike_proof_make(struct ike_exchange *x, struct ike_proof *p, int next_step);
enum ike_verdict ike_proof_signed(struct ike_exchange *x, struct ike_proof *p);

// ID payload of ours (IDi or IDr by the role), and CERT payloads.
void ike_proof_put_id(struct ike_exchange *x, const struct ike_proof *p);
// RFC 7296 3.6: certificates leave with or without CERTREQ, since some clients send none.
void ike_proof_put_certs(struct ike_exchange *x, const struct ike_proof *p);
void ike_proof_put_auth(struct ike_exchange *x, const struct ike_proof *p);
