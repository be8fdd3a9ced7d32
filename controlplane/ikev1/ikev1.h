// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1 in the engine. Private to the control plane; control thread only.
//
//   datagram -> input.c (fragments, repeats, decryption, HASH) -> table.c -> handler
//            -> exchange.c (HASH, encryption, sending, retransmission)
//
// One struct ike_exchange is one ISAKMP exchange with all its messages, known by its message id (0:
// phase 1). A handler takes one message of it in x->in1, appends the payloads of the answer to
// x->out.b (none: nothing is sent) without their HASH, and says
//   ikev1_send_as(x, form)         what the answer is, which decides HASH and encryption
//   ikev1_expect(x, handler, form) who takes the peer's next message; without it the exchange is over
// and then DONE, PENDING (ike_wait_*: the handler is called again, step by step, as in IKEv2), FAIL
// (ike_fail() with an ikev1_notify number: the notify leaves, protected as soon as there are keys;
// the exchange is over, with ike_fail_fatal() the IKE SA too), or ikev1_ignore(): the message was
// none of the peer's, nothing has changed.
//
// What we begin is a struct ike_task, as in IKEv2: type is the exchange, build makes the first
// message; response and probe are not used. One at a time per IKE SA: vpnc keeps one IV only. A
// build handler that appends nothing and expects nothing is a step of our own that may wait.
//
// Retransmission: the last message of ours is sent again when the peer repeats the one that it
// answers. By itself it is sent again (after 0.5, 1, 2 ... s) only where an answer is expected and
// the peer is proven, or we are phase 1's initiator: never by a responder in phase 1.
#pragma once

#include "controlplane/crypto/ikev1.h"
#include "controlplane/exchange.h"
#include "controlplane/ikev1/part.h"
#include "controlplane/session.h"

#define IKEV1_EXCHANGES_MAX 16 // at a time and IKE SA
#define IKEV1_DONE_MAX      4  // exchanges that are over whose last message can be repeated
#define IKEV1_SEEN_MAX      64 // message ids that are not taken again, of INFORMATIONAL and of others
#define IKEV1_TRIES         5   // messages sent in all: given up after 15.5 s
#define IKEV1_LOGIN_S       120 // for XAUTH, from the end of phase 1

// Phase 1's IDs and how far they are proven; filled in when phase 1 has authenticated the peer.
struct ikev1_peer {
	struct ike_id id; // type, 3 zero bytes, data: as IKEv2's, whatever protocol and port were
	char text[IKE_ID_TEXT_MAX];
	bool proven; // by a certificate, or by a PSK bound to this very ID or this one address
};

enum ikev1_natt {
	IKEV1_NATT_NONE,
	IKEV1_NATT_DRAFT_00, // and 01: port 500, marker of eight bytes
	IKEV1_NATT_DRAFT_02, // and 03: port 4500, payload numbers 130 and 131, encapsulation mode 61443
	IKEV1_NATT_RFC3947,
};

struct ikev1_done {
	uint32_t message_id;
	uint64_t last_in; // hash of the last message that was taken
	struct ike_sent *sent;
};

struct ikev1_seen {
	uint32_t ids[IKEV1_SEEN_MAX]; // 0: none
	uint8_t next;
};

struct ikev1_datagram {
	struct ike_datagram from; // bytes: owned, or p NULL
};

struct ikev1_fragments;

struct ikev1_sa {
	// Phase 1
	uint8_t mode;          // IKEV1_EXCHANGE_MAIN or _AGGRESSIVE
	uint64_t took_over_ns; // its session, when the peer re-authenticated; 0: it is its own
	uint64_t proof_ns;     // when our HASH or SIG was made, with which the peer is done
	// reauth.c: of a retired one, the session that it had, and until when it would have lived
	uint64_t retired_from, life_ns;
	uint64_t spare;        // our SPI of the one retired last in favour of this one, or 0
	bool told;             // its DELETE has left once
	uint8_t put_off;       // times that its end was put off
	struct endpoint began; // as responder: where the peer's first message came from
	uint16_t auth;         // negotiated, enum ikev1_auth
	struct ikev1_keys keys;
	uint8_t iv[IKEV1_IV_MAX];       // last ciphertext block of phase 1
	struct secret sa_i, ke_i, ke_r; // for HASH_I and HASH_R; nonces are in struct ike_sa
	uint32_t life_s; // negotiated, but not above lifetime.ike_hard_s; 0: not said
	bool life_cut;   // the peer said more: RESPONDER-LIFETIME tells it
	struct ikev1_peer peer;
	const struct cfg_psk *psk; // in use; NULL: signatures
	bool user_auth;            // XAUTH follows, by the negotiated method or the connection
	bool initial_contact;      // was said, perhaps before the login ended
	// What the peer's vendor ids say
	bool peer_xauth, peer_unity, peer_dpd, peer_fragments;
	bool peer_settles; // settles duplicates as we do
	enum ikev1_natt natt;
	uint32_t vendors; // bit per enum ikev1_vendor, all that were recognized

	// Aggressive mode's third message has no answer: sent again until something is heard.
	struct wheel_timer third;
	uint8_t third_tries;

	// Exchanges
	LIST_HEAD(, ike_exchange) exchanges; // all under way, ours too
	uint8_t exchange_count;
	struct ikev1_done phase1_done, done[IKEV1_DONE_MAX];
	uint8_t done_next;
	// Message ids of exchanges that are over. INFORMATIONAL ones, of which DPD makes many, do not
	// push the others out.
	struct ikev1_seen seen, seen_informational;
	// One that came before phase 1 or the login was over.
	struct ikev1_datagram queued;
	struct ikev1_fragments *fragments;

	bool deleted; // by the peer: only DELETE of its children is still taken, for a moment
	// expire.c: those before it that did not last, and what they tried in vain; of an expired one,
	// nobody has answered our phase 1
	uint8_t short_lived;
	bool unanswered;
	// After phase 1; each owned by the file of its name
	struct ikev1_login *login;   // until established: XAUTH and authorization
	struct ikev1_config *config; // Mode Configuration under way
	struct {
		uint32_t sent, heard; // sequence numbers, RFC 3706 5.3
		bool heard_any, waiting;
		uint64_t began_ns, give_up_ns;
		uint8_t tries;
		struct wheel_timer again;
	} dpd;
};

static inline bool ikev1_is(const struct ike_sa *sa)
{
	return sa->version == IKE_MAJOR_1;
}

// ---- what handlers use (exchange.c) ---------------------------------------------------------------

void ikev1_send_as(struct ike_exchange *x, enum ikev1_form form);
void ikev1_expect(struct ike_exchange *x, ike_handler handler, enum ikev1_form form);
// With ikev1_expect(): tries messages in all; when no answer came expired() is called as a handler
// (its verdict counts; it may send nothing). NULL: the exchange fails (its task's failed() is called)
// and an IKE SA that is not established ends.
void ikev1_expect_tries(struct ike_exchange *x, unsigned tries, ike_handler expired);
enum ike_verdict ikev1_ignore(struct ike_exchange *x, enum ike_reason reason);
// The nonces of a quick mode exchange, copied: HASH(2) and (3) need them. 0 or -ENOMEM.
MUST_USE int ikev1_nonces(struct ike_exchange *x, struct view ni, struct view nr);

// One INFORMATIONAL of ours with these payloads, at once, without an answer. 0 or -errno (no keys).
int ikev1_inform(struct ike_sa *sa, const struct wire_builder *payloads);
// The same with one notify; protocol and SPI as in n.
void ikev1_notify(struct ike_sa *sa, const struct ikev1_notification *n);
// The ISAKMP SPI (both cookies) of a notify about phase 1; returns a view of buf.
struct view ikev1_cookies(const struct ike_sa *sa, uint8_t buf[static 16]);

// ---- exchange.c, for the engine -------------------------------------------------------------------

// A new exchange is one of its IKE SA's; what it holds is released.
void ikev1_exchange_begin(struct ike_exchange *x);
void ikev1_exchange_release(struct ike_exchange *x);
// Act on a verdict other than PENDING.
void ikev1_exchange_act(struct ike_exchange *x, enum ike_verdict v);
// Its message leaves, and what follows.
void ikev1_exchange_reply(struct ike_exchange *x);
// The id of an exchange that we begin.
uint32_t ikev1_message_id(struct ike_sa *sa, uint8_t type);
// The peer has repeated the last message that was taken: ours once more, if it may.
void ikev1_resend(struct ike_exchange *x, const struct ike_datagram *d);

// ---- message.c --------------------------------------------------------------------------------------

// x's payloads in x->out.b as datagrams, with HASH and encryption as x->v1.out asks; x->v1.iv moves
// on. NULL with the reason.
struct ike_sent *ikev1_seal(struct ike_exchange *x, enum ike_reason *why);

// What a message of sa says: the payloads behind the header, decrypted into e->plain where it is
// encrypted, parsed to m, its HASH verified where form has one. x: the exchange that it belongs to,
// NULL with a new one. *iv_out: the IV that follows. Reason, or NONE.
struct ikev1_opening {
	struct ike_sa *sa;
	const struct ike_exchange *x;
	const struct ike_header *h;
	enum ikev1_form form;
	struct view plain;        // result
	uint8_t iv[IKEV1_IV_MAX]; // result
};
MUST_USE enum ike_reason ikev1_open(
	struct ikev1_opening *o, const struct ike_datagram *d, struct ikev1_message *m);

// ---- fragments.c ------------------------------------------------------------------------------------

// A datagram whose payload is a FRAGMENT. Whole: the message, the caller's to free (.p); else empty.
struct view ikev1_fragment_in(struct ike_sa *sa, const struct ike_datagram *d);
void ikev1_fragments_drop(struct ike_sa *sa);
// A sealed message cut for a peer that takes fragments; else s itself. s is taken. NULL: no memory.
struct ike_sent *ikev1_fragments_out(struct ike_sa *sa, struct ike_sent *s);

// ---- input.c, for the engine ------------------------------------------------------------------------

void ikev1_input(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h);
// What was queued, if its time has come.
bool ikev1_queue_due(const struct ike_sa *sa); // false with IKEv2
void ikev1_queue_run(struct ike_sa *sa);
// 0 or -ENOMEM.
MUST_USE int ikev1_sa_init(struct ike_sa *sa);
// Ends all exchanges (not the one that runs) and forgets what is secret; the struct stays.
void ikev1_sa_stop(struct ike_sa *sa);
void ikev1_sa_free(struct ike_sa *sa);
// Wipes keys and what phase 1 needed.
void ikev1_sa_forget(struct ike_sa *sa);
// The part of it that is of no use once it is established.
void ikev1_phase1_forget(struct ike_sa *sa);

// ---- table.c ------------------------------------------------------------------------------------------

struct ikev1_row {
	enum ike_sa_state state;
	uint8_t exchange;
	enum ikev1_form form;
	ike_handler handler;
};
// For the first message of an exchange that the peer begins. NULL: not allowed.
const struct ikev1_row *ikev1_row_find(const struct ike_sa *sa, uint8_t exchange);

// ---- phase 1 (main.c, aggressive.c, phase1.c, proof.c, natt.c) ------------------------------------------

enum ike_verdict ikev1_main_request(struct ike_exchange *x); // responder's first message
enum ike_verdict ikev1_main_build(struct ike_exchange *x);   // initiator
enum ike_verdict ikev1_aggressive_request(struct ike_exchange *x);
enum ike_verdict ikev1_aggressive_build(struct ike_exchange *x);
// May an answer leave now that is larger than what it answers: always where the peer's address was
// proven; aggressive mode's second message is one of some in a while, over all peers.
bool ikev1_larger_reply(struct ike_sa *sa);
// When the peer is authenticated, phase 1 calls, as an effect, ikev1_phase1_over(x, NULL): v1->peer,
// user_auth, psk, natt and so on are set, sa->conn is final. It sets the state LOGIN and begins what
// the connection asks for: XAUTH, authorization, or nothing.

// ---- login.c, xauth.c: from phase 1 to the session -------------------------------------------------------

void ikev1_phase1_over(struct ike_exchange *x, void *unused);
void ikev1_login_free(struct ike_sa *sa);
// The peer goes on: in state LOGIN, where the status of XAUTH was sent, its ACK was lost. True: the
// login is over now, and the state ESTABLISHED.
bool ikev1_login_implied(struct ike_sa *sa);
// Whether the status was sent and waits for that.
bool ikev1_login_accepted(const struct ike_sa *sa);

// ---- config.c: Mode Configuration ---------------------------------------------------------------------------

enum ike_verdict ikev1_transaction_request(
	struct ike_exchange *x); // XAUTH (client) and configuration
void ikev1_config_free(struct ike_sa *sa);
// Quick mode has begun, with this host as IDci (NULL: none, or a network): a push that is held or
// under way ends (design: "Quick Mode during it ends it"). Its address stays the session's if the peer
// claims it here; who declines one, or never answers, goes on without. Requests stay possible.
void ikev1_config_quick(struct ike_sa *sa, const struct ip_addr *claimed);

// ---- quick.c, quick_initiator.c ------------------------------------------------------------------------------

enum ike_verdict ikev1_quick_request(struct ike_exchange *x);
// 0, -ENOMEM, -EBUSY, -ENOTCONN (no established ISAKMP SA).
int ikev1_add_child(struct ike_sa *sa, const struct cfg_child *conf);
// Of a child with several pairs of selectors: there is no child SA for one of them.
bool ikev1_child_missing(struct ike_session *s, const struct cfg_child *conf);
int ikev1_rekey_child(struct ike_sa *sa, struct ike_child *child);

// ---- children.c: which of several child SAs with the same selectors counts -------------------------------

// c is in use from now on; old: the one that it replaces, or NULL.
void ikev1_child_switched(struct ike_child *c, struct ike_child *old);
// Is it in use; whoever has sent on one that waits for quick mode's third message has confirmed it.
bool ikev1_child_used(struct ike_child *c);
// Ours, its third message is on its way: outbound it replaces the old one as soon as the peer has used it.
void ikev1_child_settles(struct ike_child *c);
// The quick mode that makes it has ended before its time: if it is not used either, it goes.
void ikev1_child_orphaned(struct ike_child *c);
// c has left its session: if it was in use, the one that it had replaced is again.
void ikev1_child_left(struct ike_session *s, const struct ike_child *c);
// One with these IDs that is in use, or NULL: what quick mode with them rekeys.
struct ike_child *ikev1_child_of_ids(
	const struct ike_session *s, const struct selector *local, const struct selector *remote);
// DELETE of the child; a rekeyed one goes a moment later, any other at once. 0 or -errno.
int ikev1_delete_child(struct ike_sa *sa, struct ike_child *child);

// ---- reauth.c: ISAKMP SAs one after another ----------------------------------------------------------------

// Phase 1 once more, begun by us; the session goes on with the new ISAKMP SA. 0, -EBUSY (under way, or
// the session ends), -ENOTCONN, -ENOTSUP (it is the peer's to begin), -EPERM, -ENOMEM.
int ikev1_reauthenticate(struct ike_sa *sa);
// Is phase 1 of this session ours to run again.
bool ikev1_reauth_is_ours(const struct ike_sa *sa);
// The peer is at it: phase 1 has begun anew and will take the session over. strongSwan's child SAs belong
// to the new ISAKMP SA from its first message on: what is made on the old one is lost. tries: that this
// was said before; it is not said for ever.
bool ikev1_peer_begins(const struct ike_sa *sa, uint8_t tries);
// It will not be established: the session that it was for goes on as it is.
void ikev1_reauth_over(struct ike_sa *sa);
// The owner's session that an authenticated ISAKMP SA is to go on with, or NULL.
struct ike_session *ikev1_session_before(const struct ike_sa *sa);
// It does. The ISAKMP SA that counts from now on: the new one, or the present one, if they collided.
struct ike_sa *ikev1_take_over(struct ike_sa *sa, struct ike_session *s);
// The peer speaks on a retired ISAKMP SA, or has deleted the one that was to replace it: it is in use
// again. False: it is not one, or its session has gone.
bool ikev1_revive(struct ike_sa *sa);
// Of an ISAKMP SA; of a retired one that which it had, whose quick modes still end on it. Or NULL.
struct ike_session *ikev1_session_of(const struct ike_sa *sa);
struct ike_sa *ikev1_spare_of(const struct ike_sa *sa); // or NULL

// ---- informational.c, dpd.c -------------------------------------------------------------------------------------

enum ike_verdict ikev1_informational(struct ike_exchange *x);
#define IKEV1_TOLD_MAX (2 * IKE_CHILDREN_MAX)
// DELETE of children leaves, and no more. spis: their inbound ones, IKEV1_TOLD_MAX at the most. 0 or -errno.
int ikev1_tell_children_deleted(struct ike_sa *sa, const uint32_t *spis, uint16_t count);
// DELETE of all children and of the ISAKMP SA; the session ends at once. 0.
int ikev1_delete_sa(struct ike_sa *sa);
// R-U-THERE. 0, -EALREADY (one is under way), -ENOTSUP (the peer did not announce DPD).
int ikev1_probe(struct ike_sa *sa);
// The ISAKMP SA's time is over or the peer has deleted it. With children its session stays: state
// EXPIRED, without keys, and ends with its last child; else it ends now. tell: a DELETE leaves first.
void ikev1_sa_expire(struct ike_sa *sa, enum ike_reason why, bool tell);
// The phase 1 that was to follow it has failed; answered: the peer is there, though.
void ikev1_expired_answer(struct ike_sa *sa, bool answered);
