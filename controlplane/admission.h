// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whether an authenticated peer may have a session, what becomes of the owner's older ones, and the
// making of it: the same in both IKE versions. Control thread.
#pragma once

#include "controlplane/session.h"

struct ike_admission {
	struct ike_sa *sa; // the new one
	const struct cfg_connection *conn;
	struct ike_peer peer;
	bool initial_contact; // the peer said so
};

// IKE_REASON_NONE, or why not. To be asked anew after each wait: others of the same owner may have
// come in.
enum ike_reason ike_admit(const struct ike_admission *a);

// A session of a->sa, with its identity. worker: that of its traffic as long as it has no lease.
// NULL: no memory.
struct ike_session *ike_session_admit(const struct ike_admission *a, uint16_t worker);

// What becomes of the owner's other sessions once s is established. INITIAL_CONTACT (RFC 7296 2.4,
// RFC 2407 4.6.3.3) says that older IKE SAs of this identity are gone; from a peer that has proven
// nothing it says nothing. Where several sessions of one owner are wanted it concerns only the one at
// the same outer address and port.
void ike_supersede(struct ike_session *s, bool initial_contact);

// The worker that a new session's traffic should have: the one whose queue brought IKE on port 4500
// gets the ESP of the same 4-tuple too, others are spread.
uint16_t ike_worker_hint(const struct ike_sa *sa, const struct ike_datagram *from);
