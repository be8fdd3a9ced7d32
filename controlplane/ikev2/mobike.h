// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// MOBIKE (RFC 4555): the addresses of an IKE SA and its child SAs change. Only the initiator decides
// that; the responder follows once it has seen that the peer can be reached there. mobike.c is what
// both do and the responder, mobike_initiator.c the initiator. Private to the control plane.
#pragma once

#include "controlplane/ikev2/nat.h"
#include "controlplane/session.h"

#define IKE_MOBIKE_ADDRESSES  8 // of one side: more are not told, and not remembered
#define IKE_MOBIKE_COOKIE_LEN 16
#define IKE_MOBIKE_MOVES      16 // changes of address of one session in IKE_MOBIKE_WINDOW_S
#define IKE_MOBIKE_WINDOW_S   10
#define IKE_MOBIKE_PATHS      8 // that a request is tried on at a time, besides its own
#define IKE_MOBIKE_PATIENCE   4 // times that a request was sent when other paths are tried: 3.5 s
// As responder a request of ours is given up after 350 s. RFC 4555 3.11: "it is suggested that
// responders continue retransmitting IKEv2 requests for at least five minutes before giving up".
#define IKE_MOBIKE_TRIES   16
#define IKE_MOBIKE_ANSWERS 3 // of one response, larger than the request, to other addresses

// Of an IKE SA on which both sides know MOBIKE.
struct ike_mobike {
	bool initiator; // of the first IKE SA in the row of rekeyings: this side decides
	// Where the peer may be reached, the address that it used last among them.
	struct ip_addr peers[IKE_MOBIKE_ADDRESSES];
	uint8_t peer_count;
	struct ip_addr proven; // the peer's address that has been shown to lead to it
	bool checking;         // our check of another one is queued or under way
	struct endpoint esp; // where ESP is sent instead of the IKE SA's remote; family 0: nowhere
	struct ike_datagram
		seen;       // responder: an authentic message came by another path last; or none
	uint64_t window_ns; // start of the present window
	uint32_t moves;     // in it

	// Initiator
	bool updating;                      // UPDATE_SA_ADDRESSES is queued or under way
	bool probing;                       // the request under way was tried on other paths
	uint32_t generation;                // of the path
	uint32_t next_path;                 // where trying goes on
	struct ike_datagram good;           // the path that was agreed on last
	uint8_t mapped[IKEV2_NAT_HASH_LEN]; // how the peer saw us there
	bool mapped_known;
};

extern const struct ikev2_extension ikev2_mobike_extension;

// False: the peer allows no NAT on the way of its request (NO_NATS_ALLOWED), and there is one.
bool ikev2_mobike_no_nat(const struct ike_exchange *x, const struct cfg_connection *conn);
// How often the response may go to another address than the peer's, although it is larger than the request
// that is repeated from there: one that moves repeats what was not answered (RFC 4555 3.5).
uint8_t ikev2_mobike_answers(const struct ike_exchange *x);
// An authentic, new message came.
void ikev2_mobike_heard(struct ike_sa *sa, const struct ike_datagram *d);
// The request under way was just sent once more; now by other paths.
void ikev2_mobike_resend(struct ike_sa *sa);
// The newest ESP packet came from there, behind a NAT whose mapping changes.
void ikev2_mobike_esp_from(struct ike_session *s, const struct endpoint *from);
// Where the peer's traffic goes.
struct endpoint ikev2_mobike_remote(const struct ike_sa *sa);

// ---- between the two files -----------------------------------------------------------------------

void ikev2_mobike_path_set(struct ike_sa *sa, const struct ike_datagram *path);
// The tunnel goes where the IKE SA is.
void ikev2_mobike_follow(struct ike_sa *sa);
bool ikev2_mobike_same_path(const struct ike_datagram *a, const struct ike_datagram *b);
bool ikev2_mobike_usable(const struct ip_addr *a);
// An exchange of ours is checking where the peer can be reached.
bool ikev2_mobike_check_under_way(const struct ike_sa *sa);
void ikev2_mobike_cookie_put(struct ike_exchange *x, uint8_t cookie[static IKE_MOBIKE_COOKIE_LEN]);
// The response has it.
bool ikev2_mobike_cookie_back(
	const struct ike_exchange *x, const uint8_t cookie[static IKE_MOBIKE_COOKIE_LEN]);

// The IKE SA goes on by this path, and the peer is told. resend: a request under way is sent there now.
void ikev2_mobike_go(struct ike_sa *sa, const struct ike_datagram *path, bool resend);
// Tells the peer the present path.
void ikev2_mobike_update(struct ike_sa *sa);
// An exchange of ours is telling it.
bool ikev2_mobike_update_under_way(const struct ike_sa *sa);
void ikev2_mobike_probe_put(struct ike_exchange *x);
void ikev2_mobike_probe_read(struct ike_exchange *x);
