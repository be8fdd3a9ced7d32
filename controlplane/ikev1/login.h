// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// From phase 1's end to a session with its addresses: XAUTH, authorization, Mode Configuration.
//
//   phase 1 -> [XAUTH: REQUEST, REPLY, again where wrong] -> AAA -> [push before the status]
//           -> [XAUTH: SET status, ACK] -> session -> [push, or the peer's requests]
//
// Each of our steps is a task of its own, so that one transaction is open at a time (vpnc keeps one
// IV only).
#pragma once

#include "controlplane/addresses.h"
#include "controlplane/admission.h"
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

#define IKEV1_XAUTH_ATTEMPTS 3     // passwords in all
#define IKEV1_XAUTH_TRIES    9     // of the request, 127 s: somebody may be typing the password
#define IKEV1_STATUS_TRIES   2     // of the status that refuses
#define IKEV1_PUSH_TRIES     3     // of the SET: 3.5 s
#define IKEV1_LIFE_SAID_S    86400 // where neither side limits the ISAKMP SA, but must be told

// XAUTH and authorization, until the session stands.
struct ikev1_login {
	uint16_t identifier;         // of all XAUTH messages, draft-beaulieu-ike-xauth-02 6
	uint8_t attempts;            // as server: wrong passwords; as client: requests answered
	const struct cfg_user *user; // whose password was right; borrowed from the configuration
	struct ike_aaa_addresses
		*addresses; // what AAA said of them, until there is a session. Owned
	bool accepted;      // XAUTH_STATUS ok was sent: what the peer says next acknowledges it
};

// Mode Configuration, from the session's beginning on.
struct ikev1_config {
	struct wheel_timer hold; // a push waits for a request
	bool held;
	bool pushing;     // a push is queued or under way
	bool unconfirmed; // the session's leases were pushed, and nobody has said yes
	bool child_begun; // as client: the first child has been asked for
};

// ---- login.c -----------------------------------------------------------------------------------

// Who phase 1 and XAUTH have shown the peer to be.
struct ike_peer ikev1_login_peer(const struct ike_sa *sa);
// The user is authenticated: authorization, then the status. Queues it; false: no memory.
MUST_USE bool ikev1_login_authorize(struct ike_sa *sa);
// Nothing is left to wait for: the session begins or is taken over, the state is ESTABLISHED. Or the
// IKE SA ends.
void ikev1_login_over(struct ike_sa *sa);
void ikev1_login_apply(struct ike_exchange *x, void *unused); // the same, as an effect
// Seconds that the ISAKMP SA has left; 0: no limit.
uint32_t ikev1_life_left(const struct ike_sa *sa);
// Ends it with a DELETE, as an effect.
void ikev1_login_end(struct ike_exchange *x, void *unused);

// The exchange of ours under way that this handler began, or NULL.
static inline struct ike_exchange *ikev1_ours(const struct ike_sa *sa, ike_handler build)
{
	struct ike_exchange *x = sa->out_progress;
	return x && x->task && x->task->build == build ? x : NULL;
}

// ---- xauth.c: as server ------------------------------------------------------------------------

// The request for name and password. False: no memory.
MUST_USE bool ikev1_xauth_ask(struct ike_sa *sa);
// SET of the status; the login is over, or the IKE SA ends, with its ACK. False: no memory.
MUST_USE bool ikev1_xauth_status(struct ike_sa *sa, bool ok);
void ikev1_xauth_fail(struct ike_exchange *x, void *unused); // effect: the status that says no
// Is this the exchange of a status.
bool ikev1_xauth_is_status(const struct ike_exchange *x);

// ---- xauth_client.c: as client, of the gateway's messages ----------------------------------------

bool ikev1_xauth_attribute(uint16_t type);
enum ike_verdict ikev1_xauth_answer(struct ike_exchange *x, const struct ikev1_cfg *cfg);
enum ike_verdict ikev1_xauth_told(struct ike_exchange *x, const struct ikev1_cfg *cfg);

// ---- config.c: requests of the peer; config_push.c; config_client.c ------------------------------

// The session stands.
void ikev1_config_begin(struct ike_sa *sa);
// Made where there is none yet. NULL: no memory.
struct ikev1_config *ikev1_config_of(struct ike_sa *sa);
// Pushes come before the status with this connection, and there is something to push.
bool ikev1_push_first(const struct ike_sa *sa);
// Queues the push. False: no memory.
MUST_USE bool ikev1_push(struct ike_sa *sa);
// The push that waits for the pools, or NULL.
struct ike_exchange *ikev1_push_waits(const struct ike_sa *sa);
// A search for the session's peer, which wants nothing yet.
struct ike_addresses ikev1_addresses(const struct ike_sa *sa);
// No push any more: held, queued or under way. True: one was.
bool ikev1_push_stop(struct ike_sa *sa);
// The session got an address, or goes on without one; for the log.
void ikev1_config_note(const struct ike_sa *sa);
// What the session's connection is to tell a client. asked NULL: pushed.
struct ikev1_asked;
void ikev1_config_put(struct wire_builder *b, const struct ike_sa *sa,
	const struct ikev1_asked *asked, const struct lease *leases, uint8_t count);

void ikev1_client_begin(struct ike_sa *sa);
// The connection's child SAs that the session has not yet, where this one was begun for them.
void ikev1_client_child(struct ike_sa *sa);
enum ike_verdict ikev1_client_pushed(struct ike_exchange *x, const struct ikev1_cfg *cfg);

// ---- attributes.c --------------------------------------------------------------------------------

// What a request asks for.
struct ikev1_asked {
	uint64_t types;                  // bit per attribute that we know
	struct ip_addr hint_v4, hint_v6; // of the first address attribute; family 0: any
};
void ikev1_asked_read(const struct ikev1_cfg *cfg, struct ikev1_asked *out);
bool ikev1_asked_for(const struct ikev1_asked *a, uint16_t type);

// What is told to a client.
struct ikev1_told {
	const struct cfg_connection *conn;
	const struct lease *leases;
	uint8_t lease_count;
	const struct ikev1_asked *asked; // NULL: nothing, it is pushed
	bool unity;                      // the peer announced Cisco's Unity
	uint32_t expiry_s;               // of the addresses; 0: none
};
// The attributes, between ikev1_open_cfg() and wire_close().
void ikev1_put_told(struct wire_builder *b, const struct ikev1_told *t);
