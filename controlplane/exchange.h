// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Private to the engine's own files: how exchanges run, and how messages are protected, cut into
// fragments, put together and sent. Control thread.
#pragma once

#include "controlplane/engine.h"

#define IKE_RETRANSMIT_BASE_NS (500 * NS_PER_MS)
#define IKE_RETRANSMIT_MAX_NS  (32 * NS_PER_S)
#define IKE_RETRANSMIT_TRIES   7              // requests sent in all: given up after 63.5 s
#define IKE_SEVERAL_TRIES      4              // of the first where another address is next: 7.5 s
#define IKE_REFUSED_TRIES      3              // of IKE_SA_INIT if it was refused: 3.5 s
#define IKE_PROBE_MIN_NS       (8 * NS_PER_S) // that a probe is tried at least
#define IKE_PROBE_PAUSE_NS     (5 * NS_PER_S) // between two tries of it at most
#define IKE_JOB_DEADLINE_NS    (10 * NS_PER_S)
#define IKE_ADDR_DEADLINE_NS   (5 * NS_PER_S)
#define IKE_AAA_DEADLINE_NS    (15 * NS_PER_S)
#define IKE_INSTALL_NS         (2 * NS_PER_S)
#define IKE_KEEPALIVE_NS       (20 * NS_PER_S) // RFC 3948 4
#define IKE_FRAGMENT_NS        (30 * NS_PER_S) // a reassembly that does not end
#define IKE_FRAGMENT_BYTES_MAX (64u * 1024)    // of one message
#define IKE_FRAGMENTS_ALL_MAX  (32u << 20)     // bytes of all reassemblies under way
#define IKE_INIT_BYTES_MAX     4096 // of an IKE_SA_INIT request, kept until AUTH is verified
#define IKE_REPEAT_NS          (30 * NS_PER_S) // how long an ended IKE SA repeats its last reply
#define IKE_REPEAT_MAX         4096            // such IKE SAs
#define IKE_NONCE_LEN          32              // bytes of our nonces
#define IKE_INIT_TRIES         5               // IKE_SA_INIT with other cookies and groups

// The datagrams of one message. One allocation.
struct ike_sent {
	uint16_t count;
	struct view datagrams[];
};

// ---- input.c ----

// The reason that stands for a wire error.
enum ike_reason ike_reason_of(enum wire_error err);

// ---- engine_table.c ----

// The state table's row for a message that arrives. handler is NULL for responses: the task's.
struct ike_row {
	enum ike_sa_state state;
	uint8_t exchange;
	char role; // of us in the IKE SA: 'i', 'r' or '*'
	bool is_response;
	ike_handler handler;
	unsigned next; // 1 << state; staying and DEAD are always allowed
};

// NULL: not allowed in this state.
const struct ike_row *ike_row_find(const struct ike_sa *sa, uint8_t exchange, bool is_response);
// May the IKE SA go from a to b at all.
bool ike_transition_allowed(enum ike_sa_state a, enum ike_sa_state b);

// ---- message.c ----

// A message of sa with these payloads, protected unless exchange is IKE_SA_INIT, and in fragments
// where the peer takes them and it is large. NULL with the reason in *why.
struct ike_sent *ike_message_seal(struct ike_sa *sa, uint8_t exchange, uint32_t message_id,
	bool is_response, const struct wire_builder *payloads, enum ike_reason *why);
// Room for count datagrams of bytes in all, from *data on; the datagrams' views are to be set. NULL:
// no memory.
struct ike_sent *ike_sent_new(uint16_t count, size_t bytes, uint8_t **data);
void ike_sent_free(struct ike_sent *s);
// To the other end of to (an incoming datagram's local is our side).
void ike_sent_send(struct ike_engine *e, const struct ike_sent *s, const struct ike_datagram *to);
void ike_send(struct ike_engine *e, const struct ike_datagram *to, struct view bytes);
// Where sa's peer is.
struct ike_datagram ike_sa_path(const struct ike_sa *sa);
// A message in clear without an IKE SA, spi_r as given: one notify. Withheld if it is larger than
// the request (from->bytes).
void ike_send_notify(struct ike_engine *e, const struct ike_datagram *from,
	const struct ike_header *h, uint16_t type, struct view data);

enum ike_opened { IKE_OPENED, IKE_OPEN_MORE, IKE_OPEN_DROP };

// Verify and decrypt d, a message of sa whose outside was parsed to outer. IKE_OPENED: *plain are
// the inner payloads, in e->plain, the first of type *first. MORE: a fragment, kept. DROP: counted.
enum ike_opened ike_message_open(struct ike_sa *sa, struct view d, const struct ike_header *h,
	const struct ike_message *outer, struct view *plain, uint8_t *first);

// ---- fragments.c ----

// Would this fragment be of use; else counted. Before its ICV is verified: changes nothing.
bool ike_fragment_wanted(struct ike_sa *sa, const struct ike_header *h, const struct wire_skf *f);
// A verified fragment's content. OPENED: the message is whole, in e->plain.
enum ike_opened ike_fragment_add(struct ike_sa *sa, const struct ike_header *h,
	const struct wire_skf *f, uint8_t first_payload, struct view content, struct view *plain,
	uint8_t *first);
void ike_fragments_drop(struct ike_sa *sa);

// ---- exchange.c ----

// The new exchange is sa's in_progress or out_progress. NULL: no memory.
struct ike_exchange *ike_exchange_new(
	struct ike_sa *sa, uint8_t type, bool initiator, uint32_t message_id);
// Run the handler and act on its verdict; x may be gone afterwards.
void ike_exchange_run(struct ike_exchange *x);
// Act on a verdict that the engine itself has reached.
void ike_exchange_act(struct ike_exchange *x, enum ike_verdict v);
// Ends it without a word: what it waits for is forgotten, a task has failed.
void ike_exchange_end(struct ike_exchange *x);
// Its effects, once, and the state that they lead to. False: the IKE SA is DEAD.
MUST_USE bool ike_exchange_apply(struct ike_exchange *x);
void ike_effects_drop(struct ike_exchange *x);
// The message of ours waits for x->out.await_child.
void ike_exchange_await(struct ike_exchange *x);
// Our outstanding request, if there is one, to where the peer is now; its tries begin anew.
void ike_request_again(struct ike_sa *sa);
// Where the connection is begun by us and more than one address of the peer may be called.
bool ike_several_addresses(const struct cfg_connection *conn);
// Its task has done what it was for.
void ike_exchange_task_done(struct ike_exchange *x);
// Begin the next task if nothing of ours is under way.
void ike_sa_pump(struct ike_sa *sa);
void ike_sa_has_work(struct ike_sa *sa);
void ike_tasks_drop(struct ike_sa *sa);
// One that is in no queue, without a word to whoever queued it.
void ike_task_free(struct ike_task *t);
// SA_EVENT_INSTALLED of a child.
void ike_child_installed(struct ike_engine *e, uint32_t child);

// ---- wait.c ----

void ike_wait_cancel(struct ike_exchange *x);
// The address source answers the engine from now on. And no longer: what it still grants is given back.
void ike_address_source_begin(struct ike_engine *e);
void ike_address_source_end(struct ike_engine *e);
// What from waits for comes to to, at next_step.
void ike_wait_move(struct ike_exchange *from, struct ike_exchange *to, int next_step);

// ---- sa.c ----

void ike_sa_free(struct ike_sa *sa); // it is DEAD and in no list
// A new responder, known by the first message's SPI and source (key), half-open from now on.
void ike_sa_half_open(struct ike_sa *sa, const struct ike_datagram *d, uint64_t key);
// The half-open one of that key and peer's SPI, or NULL.
struct ike_sa *ike_sa_by_init(struct ike_engine *e, uint64_t key, uint64_t peer_spi);
uint64_t ike_init_key(const struct ike_engine *e, const struct ike_datagram *d, uint64_t peer_spi);
// Its datagrams come by the way of the established from now on.
void ike_sa_spi_known(struct ike_sa *sa);
// Of any state, DEAD ones too.
struct ike_sa *ike_sa_find(struct ike_engine *e, uint64_t our_spi);
// IKEv1: over for good, without keys; its memory stays for the session, and the NAT keepalive.
void ike_sa_expired(struct ike_sa *sa);
// NAT keepalives by what is known of NATs now: begun, or ended.
void ike_sa_keepalive(struct ike_sa *sa);
// Its timers but the hard lifetime's stop, and go on: until life_ns, 0: without limit.
void ike_sa_rest(struct ike_sa *sa);
void ike_sa_resume(struct ike_sa *sa, uint64_t life_ns);
// IKEv1: of an established one, v1->life_s is less than it was.
void ike_sa_shortened(struct ike_sa *sa);
// IKEv1: how long it stays behind its announced lifetime.
uint32_t ike_sa_grace_s(uint32_t life_s);
// When the peer was heard of last, by a message or by ESP.
uint64_t ike_sa_last_sign(const struct ike_sa *sa);
// An authenticated, new message from there.
void ike_sa_heard(struct ike_sa *sa, const struct ike_datagram *d);

// ---- cookies.c ----

#define IKE_COOKIE_LEN 17

struct ike_cookies;
struct ike_cookies *ike_cookies_new(struct ike_engine *e);
void ike_cookies_free(struct ike_cookies *c);
// The budget that a source shares: an IPv4 address, an IPv6 /64.
uint16_t ike_source_slot(const struct ike_engine *e, const struct ip_addr *source);
// +1, -1: a half-open IKE SA of this version and source began or ended.
void ike_half_open_count(struct ike_engine *e, uint8_t version, uint16_t slot, int delta);
// Must a new IKE_SA_INIT from this source show a cookie first.
bool ike_cookie_needed(struct ike_engine *e, uint16_t slot);
// May one more half-open IKE SA of this source begin (path proven by a cookie or not); else why.
enum ike_reason ike_half_open_room(const struct ike_engine *e, uint16_t slot);
// The same for IKEv1, whose half-open ones have budgets of their own: it has no cookie.
enum ike_reason ike_half_open_room_ikev1(const struct ike_engine *e, uint16_t slot);
// Has this source, or one that shares its budget, begun IKEv1's phase 1 and not ended it.
bool ike_half_open_ikev1(const struct ike_engine *e, const struct ip_addr *source);
void ike_cookie_make(struct ike_engine *e, const struct ike_datagram *d, uint64_t spi_i,
	struct view nonce, uint8_t out[static IKE_COOKIE_LEN]);
MUST_USE bool ike_cookie_check(struct ike_engine *e, const struct ike_datagram *d, uint64_t spi_i,
	struct view nonce, struct view cookie);
bool ike_cookies_on(const struct ike_engine *e);
// The demand for one.
void ike_cookie_demand(struct ike_engine *e, const struct ike_datagram *d,
	const struct ike_header *h, struct view nonce);

// ---- ending.c ----

// Its DELETE leaves soon, among others that are to end. Forgotten when it goes by itself.
void ike_sa_end_later(struct ike_sa *sa);
void ike_sa_end_forget(struct ike_sa *sa);
