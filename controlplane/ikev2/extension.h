// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Extensions of IKEv2 that add notifies to its exchanges: each is a file with one table of functions,
// and the exchanges call them all in order. Control thread.
#pragma once

#include "controlplane/session.h"

struct ikev2_extension {
	const char *name;
	// All may be NULL.
	// Payloads for the IKE_AUTH message with our AUTH that is being built: x->initiator says whether
	// it is the request. The session exists, the IKE SA is not established yet.
	void (*auth_put)(struct ike_exchange *x);
	// The peer's IKE_AUTH message in x->in, once it has proven its identity.
	void (*auth_read)(struct ike_exchange *x);
	// Payloads for our message in the rekeying of x->sa by the new IKE SA sa, whose SPI of ours is
	// set and, where x answers, the peer's too.
	void (*rekey_put)(struct ike_exchange *x, struct ike_sa *sa);
	// The peer's in x->in; sa has both SPIs.
	void (*rekey_read)(struct ike_exchange *x, struct ike_sa *sa);
	// sa takes old's place: what does not change by rekeying is copied or moved.
	void (*inherit)(struct ike_sa *sa, struct ike_sa *old);
	// An INFORMATIONAL request in x->in that deletes nothing: acts on its notifies and appends the
	// answer's payloads. IKE_DONE, IKE_FAIL, or IKE_PENDING, and then it is called again.
	enum ike_verdict (*informational)(struct ike_exchange *x);
	// A liveness probe of ours is being built, and its response is there.
	void (*probe_put)(struct ike_exchange *x);
	void (*probe_read)(struct ike_exchange *x);
	// The IKE SA goes.
	void (*release)(struct ike_sa *sa);
};

void ikev2_auth_put(struct ike_exchange *x);
void ikev2_auth_read(struct ike_exchange *x);
void ikev2_rekey_put(struct ike_exchange *x, struct ike_sa *sa);
void ikev2_rekey_read(struct ike_exchange *x, struct ike_sa *sa);
void ikev2_inherit(struct ike_sa *sa, struct ike_sa *old);
enum ike_verdict ikev2_informational_extensions(struct ike_exchange *x);
void ikev2_probe_put(struct ike_exchange *x);
void ikev2_probe_read(struct ike_exchange *x);
void ikev2_extensions_release(struct ike_sa *sa);
