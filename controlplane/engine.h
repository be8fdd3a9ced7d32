// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Inside the control plane: IKE SAs, exchanges, sessions, and how a message becomes actions.
//
//   datagram -> wire/ (parse) -> rules -> state table -> exchange handler -> ike_out -> commit
//
// A handler reads x->in, appends to x->out, and says DONE, FAIL or PENDING. Nothing of what it
// appended is visible before it says DONE; after FAIL only the error reply leaves.
#pragma once

#include <sys/queue.h>

#include "base/htab.h"
#include "base/log.h"
#include "base/wheel.h"
#include "controlplane/controlplane.h"
#include "controlplane/crypto/crypto.h"
#include "controlplane/ikev1/part.h"
#include "controlplane/reasons.h"
#include "controlplane/wire/wire.h"

struct ike_sa;
struct ike_session;
struct ike_child;
struct ike_exchange;
struct ike_row;

// ---- states -----------------------------------------------------------------------------------

// State table: engine_table.c. Only ike_sa_state_set() writes the state; it logs "A -> B".
#define IKE_SA_STATES(X)                                                               \
	X(NEW, "new")                                                                  \
	X(INIT_SENT, "init-sent") /* initiator: IKE_SA_INIT request sent */            \
	X(INIT_DONE, "init-done") /* keys exist; responder: half-open */               \
	X(AUTH_SENT, "auth-sent") /* initiator */                                      \
	X(PHASE1, "phase1")       /* IKEv1: main or aggressive mode */                 \
	X(LOGIN, "login")         /* IKEv1: phase 1 is over, XAUTH or AAA is not */    \
	X(ESTABLISHED, "established")                                                  \
	X(REKEYED, "rekeyed")   /* its successor has the children: waits for DELETE */ \
	X(DELETING, "deleting") /* our DELETE is under way */                          \
	X(EXPIRED, "expired")   /* IKEv1: without keys; the session's children live */ \
	X(DEAD, "dead")         /* over; perhaps kept a while to repeat its last reply */

enum ike_sa_state {
#define X(name, text) IKE_SA_##name,
	IKE_SA_STATES(X)
#undef X
};

// ---- exchanges -------------------------------------------------------------------------------

enum ike_verdict {
	IKE_DONE,    // commit x->out
	IKE_FAIL,    // ike_fail() was called: reason counted, error reply alone
	IKE_PENDING, // the handler is called again when what it waits for has come (x->got)
	IKE_IGNORE,  // IKEv1: the message is nobody's, the exchange stands where it stood
};

typedef enum ike_verdict (*ike_handler)(struct ike_exchange *x);

// What a pending exchange was waiting for. TIMEOUT: it did not come in time; x->waited says what,
// and a result that still comes is released by the engine.
enum ike_got { IKE_GOT_NOTHING, IKE_GOT_JOB, IKE_GOT_ADDRESS, IKE_GOT_AAA, IKE_GOT_TIMEOUT };

// Something to do if, and only if, the handler succeeds; in order, before the message is sent.
struct ike_effect {
	void (*apply)(struct ike_exchange *x, void *arg);
	void (*drop)(void *arg); // releases arg, after apply or instead of it; NULL: nothing to do
	void *arg;
};

#define IKE_OUT_MAX 60000 // bytes of payloads in one message

struct ike_out {
	// Payloads of the reply or request, in clear; ready when a handler runs. What a PENDING
	// handler has built is there again when it goes on.
	struct wire_builder b;
	uint8_t *saved; // the engine's: what was built, while the handler waits
	struct ike_effect *effects;
	uint16_t effect_count, effect_cap;
	// The message leaves when this child's inbound SA is installed (SA_EVENT_INSTALLED); 0: now.
	uint32_t await_child;
	// Called when await_child was not installed in time, before the reply has left: takes the
	// effects back, rewrites the reply (wire_builder and all) and says DONE, or FAIL. NULL: fails
	// with TEMPORARY_FAILURE.
	ike_handler await_failed;
	bool close_sa; // after the message was sent (or, as initiator, at once) the IKE SA ends
	enum ike_reason close_reason;
};

// Where an exchange stands.
enum ike_phase {
	IKE_PHASE_HANDLER,  // responder: the handler runs or waits. Initiator: the request is built
	IKE_PHASE_INSTALL,  // responder: the reply waits for await_child
	IKE_PHASE_SENT,     // initiator: waits for the response
	IKE_PHASE_RESPONSE, // initiator: the response handler runs or waits
	IKE_PHASE_OVER,
};

// One exchange in progress, either as responder to a request or as initiator from our request's
// build to its response. Freed when its IKE SA goes; what completes later is dropped.
struct ike_exchange {
	struct ike_sa *sa;
	uint8_t type; // IKEV2_EXCHANGE_*
	bool initiator;
	uint32_t message_id;
	enum ike_phase phase;
	ike_handler handler;
	enum ike_sa_state next_state; // taken when the handler succeeds; NEW: unchanged
	const struct ike_row *row;    // of the state table, for a message that has arrived
	uint64_t token;               // of the completion that is waited for; 0: none
	struct htab_node by_token;
	struct htab_node by_child; // while in IKE_PHASE_INSTALL
	int step;                  // the handler's: where to go on. 0 at first
	enum ike_got got, waited;
	struct ike_job
		*job; // IKE_GOT_JOB: belongs to the exchange now; the handler may take it (NULL)
	// IKE_GOT_ADDRESS: the handler takes the lease and clears lease_held; else it is released.
	struct lease lease;
	bool lease_held;
	enum address_status address_status;
	enum ike_aaa_status aaa_status;
	struct ike_aaa_addresses aaa_addresses;
	union {
		struct ike_message in;    // views into in_buf. As initiator: of the response
		struct ikev1_message in1; // IKEv1: of the present message
	};
	uint8_t *in_buf; // owned: decrypted payloads; of IKE_SA_INIT the whole message
	size_t in_len;
	struct ike_datagram from; // addresses and origin of the request; its bytes are not valid
	size_t from_len;          // bytes of the request as received
	uint64_t peer_spi;        // of an IKE_SA_INIT response
	uint64_t hash;            // of the request's (first) datagram, to know it again
	struct ike_out out;
	// On failure
	enum ike_reason reason;
	uint16_t notify; // 0: no error notify
	uint8_t notify_data[32];
	uint8_t notify_len;
	bool fatal; // the IKE SA ends with it
	// As initiator, with fatal: the peer has ended the IKE SA itself, a DELETE would find nobody.
	bool peer_ended;
	// The exchange's own memory, freed by state_free.
	void *state;
	void (*state_free)(void *state);
	struct ike_task *task; // as initiator
	struct wheel_timer deadline;
	struct ikev1_part v1;
};

// Something that we start: queued, and begun when the window (1) is free.
struct ike_task {
	TAILQ_ENTRY(ike_task) link;
	const char *name;
	uint8_t type;         // exchange
	ike_handler build;    // fills x->out with the request; may be PENDING (DH)
	ike_handler response; // x->in holds the response
	// The exchange failed for good: timeout, ike_fail(), or the IKE SA went. Called once, may be
	// NULL; not called after response said DONE.
	void (*failed)(struct ike_sa *sa, struct ike_task *t);
	void *arg;
	void (*arg_free)(void *arg);
	bool first; // goes to the head of the queue
	bool probe; // DPD: given up at the connection's DPD timeout
};
TAILQ_HEAD(ike_tasks, ike_task);

// Count reason, remember the error notify (0: none) for the reply; returns IKE_FAIL.
enum ike_verdict ike_fail(struct ike_exchange *x, enum ike_reason reason, uint16_t notify);
enum ike_verdict ike_fail_data(struct ike_exchange *x, enum ike_reason reason, uint16_t notify,
	const void *data, size_t len);
// The same, and the IKE SA ends with the reply.
enum ike_verdict ike_fail_fatal(struct ike_exchange *x, enum ike_reason reason, uint16_t notify);

// The state that the IKE SA takes when the handler succeeds.
void ike_next_state(struct ike_exchange *x, enum ike_sa_state s);

// Hand a job (of crypto.h) to the helpers; the handler returns what this returns (PENDING, or FAIL
// where the queue is full or job is NULL, the job then freed). It comes back in x->job.
enum ike_verdict ike_wait_job(struct ike_exchange *x, struct ike_job *job, int next_step);
// Ask the address source; rq->token is filled in. PENDING, or DONE with x->lease, x->lease_held and
// x->address_status set at once (x->got is IKE_GOT_ADDRESS in both cases; then x->step is
// next_step too).
enum ike_verdict ike_wait_address(
	struct ike_exchange *x, const struct address_request *rq, int next_step);
// A grant goes back.
void ike_lease_release(struct ike_engine *e, const struct lease *l);
// leases.c: the source takes an address back.
void ike_lease_revoked(void *user, const struct ip_addr *addr);
// PENDING, or DONE with x->aaa_status set at once; without a server: ACCEPT.
enum ike_verdict ike_wait_aaa(
	struct ike_exchange *x, const struct ike_aaa_request *rq, int next_step);

// 0 or -ENOMEM; on error the argument was dropped.
MUST_USE int ike_effect_add(struct ike_exchange *x, void (*apply)(struct ike_exchange *, void *),
	void (*drop)(void *), void *arg);

// Queue something to do as initiator on this IKE SA; the task is copied. 0 or -ENOMEM, -ESHUTDOWN
// (the IKE SA is ending); on error arg was freed.
MUST_USE int ike_task_add(struct ike_sa *sa, const struct ike_task *t);

// ---- IKE SAs ---------------------------------------------------------------------------------

struct ike_sa {
	struct ike_engine *engine;
	uint8_t version;          // IKE_MAJOR_1 or _2
	struct ikev1_sa *v1;      // IKEv1's own; NULL with IKEv2
	struct htab_node by_spi;  // our SPI
	struct htab_node by_init; // half-open responder: peer's SPI and address
	bool in_init_table;
	LIST_ENTRY(ike_sa) all;
	uint64_t spi_i, spi_r; // as numbers of the header's bytes
	bool initiator;        // of the IKE SA: decides SK_*i and SK_*r, and the header's flag
	bool spi_known;        // the sink has been told of our SPI
	enum ike_sa_state state;
	// Where the peer is: followed only on authenticated messages (or in IKE_SA_INIT, before keys).
	struct endpoint local, remote;
	struct sa_origin origin;           // port and worker of the last request
	bool nat_local, nat_remote;        // NAT detected on that side
	bool floated;                      // on port 4500
	const struct cfg_connection *conn; // provisional until the identity is known
	struct ike_session *session;       // NULL until authenticated

	struct suite suite;
	struct ike_keys keys;
	struct ike_crypt crypt;
	bool has_keys;
	// Nonces and IKE_SA_INIT messages as sent, for AUTH; freed when established.
	struct secret nonce_i, nonce_r, init_i, init_r;

	// RFC 4478: who was authenticated when, over all rekeyings, and until when that holds (0: no limit)
	uint64_t authenticated_ns, reauth_ns;
	struct wheel_timer reauth;
	uint64_t reauth_session;   // as initiator: the session that this one is to follow, or 0
	struct ike_mobike *mobike; // mobike.c; NULL: the peer has none
	struct secret qcd_token;   // RFC 6290: the peer's, to be shown when it has crashed
	// rekey_ike.c: of an IKE SA that both sides rekey the peer's new one, which is held aside until
	// our request is settled; and of that one, the old one
	struct ike_sa *rival;

	// What the peer announced
	bool peer_fragments, peer_childless, peer_initial_contact, peer_message_id_sync;
	uint32_t peer_hashes; // RFC 7427, IKE_HASH_BIT()s

	// Message ids, RFC 7296 2.2 and 2.3, window 1
	uint32_t next_in;                  // request expected next
	uint32_t next_out;                 // id of our next request
	struct ike_exchange *in_progress;  // request of the peer that is being answered
	struct ike_exchange *out_progress; // ours
	struct ike_tasks tasks;
	struct ike_sent *last_response; // datagrams of the last response, for its retransmission
	uint32_t last_response_id;
	uint64_t last_request_hash;   // of the request that last_response answers
	uint8_t elsewhere_left;       // times that last_response may go to another address yet
	uint64_t first_fragment_hash; // of fragment 1 of the message being put together
	bool keep;                    // once DEAD, to repeat last_response
	bool delete_queued;
	bool ends_later; // in the engine's list of those whose DELETE is due
	TAILQ_ENTRY(ike_sa) ending;
	struct ike_sent *request; // datagrams of our outstanding request
	uint32_t request_tries;
	uint64_t give_up_ns; // of a probe; UINT64_MAX: when the tries are used up
	struct wheel_timer retransmit;
	bool has_work; // in the engine's list of SAs with tasks to begin
	TAILQ_ENTRY(ike_sa) work;
	struct ike_fragments *fragments; // RFC 7383 reassembly under way

	struct wheel_timer life; // half-open timeout; then the hard lifetime
	struct wheel_timer soft; // we begin to rekey or, IKEv1, to re-authenticate (lifetime.c)
	uint8_t soft_tries;
	struct wheel_timer dpd;
	struct wheel_timer keepalive; // NAT on our side, RFC 3948 4
	uint64_t created_ns, established_ns;
	uint64_t last_heard_ns; // an authenticated message
	bool cookie_proved;
	uint16_t source_slot; // half-open responder: its source's budget
	bool half_open;

	// Initiator only
	struct secret cookie;
	uint16_t ke_group; // tried in IKE_SA_INIT
	uint8_t init_tries;
	bool init_refused; // by somebody: an answer in clear
	struct ike_dh *dh; // our key pair, from the request to the response
	const struct cfg_child *first_child;
};

// The state's only writer.
void ike_sa_state_set(struct ike_sa *sa, enum ike_sa_state s);
// ESTABLISHED: frees what only authentication needed, and starts the hard lifetime, DPD and
// keepalives by sa->conn. In an effect of the exchange that authenticates, and for a new IKE SA of
// a rekey.
void ike_sa_established(struct ike_sa *sa);

// A new IKE SA with an SPI of ours; in the table by that SPI. version: IKE_MAJOR_*. NULL: no memory.
struct ike_sa *ike_sa_new(struct ike_engine *e, uint8_t version, bool initiator);
// Ends it at once without a message; the session too if this was its current IKE SA. Keys are wiped
// at once, the memory stays until the present input is done. A DEAD one is left alone.
void ike_sa_close(struct ike_sa *sa, enum ike_reason why);
uint64_t ike_sa_our_spi(const struct ike_sa *sa);
// Among those that are not DEAD.
struct ike_sa *ike_sa_by_spi(struct ike_engine *e, uint64_t our_spi);
// Keys and protection from the shared secret, the nonces, SPIs and suite of sa. For a rekeyed IKE
// SA old is the one that it replaces, else NULL. 0 or the reason.
MUST_USE enum ike_crypto_error ike_sa_keys(
	struct ike_sa *sa, struct view shared, const struct ike_sa *old);

uint64_t ike_sa_our_spi(const struct ike_sa *sa);
// Among those that are not DEAD.
struct ike_sa *ike_sa_by_spi(struct ike_engine *e, uint64_t our_spi);

// "spi_i_spi_r peer" for the start of log lines; returns buf.
#define IKE_SA_TEXT_MAX 128
const char *ike_sa_text(const struct ike_sa *sa, char buf[static IKE_SA_TEXT_MAX]);

// ---- the engine --------------------------------------------------------------------------------

struct ike_engine {
	struct ike_params p;
	struct wheel wheel;
	uint64_t now_ns; // of the present input
	uint8_t hash_key[16];
	struct htab sas_by_spi, sas_by_init, sessions_by_id, children_by_spi;
	struct htab owners, places; // of sessions (owners.h)
	uint64_t looked; // sessions and routes, for what was asked about an owner's others
	uint64_t supersedings;
	struct htab routes, route_rings; // of sessions and starters (routes.c)
	struct htab leases_by_addr;      // of sessions
	struct htab waiting;             // exchanges by token
	uint64_t next_token, next_session;
	uint64_t half_open, half_open_ikev1, sa_count, child_count, jobs_pending, kept_dead;
	struct ike_cookies *cookies;
	struct ike_index *index;       // of p.cfg
	struct ike_users *users;       // of p.cfg
	struct ike_throttle *throttle; // of failed logins
	struct ike_pool_names *pools;  // of p.cfg
	uint64_t counters[IKE_REASON_COUNT];
	struct log_limit refusals; // log lines that outsiders can cause
	LIST_HEAD(, ike_sa) all_sas;
	LIST_HEAD(, ike_sa) dead;  // freed or kept when the input is done
	LIST_HEAD(, ike_sa) kept;  // to repeat their last reply
	TAILQ_HEAD(, ike_sa) work; // SAs that may begin a task
	struct htab installing;    // exchanges by the child that they await
	uint8_t *scratch;          // one message being built or opened, DATAGRAM_MAX bytes each
	uint8_t *plain;
	size_t fragment_bytes;        // of all reassemblies
	struct ike_exchange *running; // whose handler or effects run now
	struct log_limit version_replies;
	struct log_limit qcd_replies;    // RFC 6290
	struct log_limit larger_replies; // IKEv1: than the question, to who has proven nothing
	unsigned depth;                  // of ike_enter()
	// Sessions by ascending id, NULL where one has gone: order_len slots, order_gone of them NULL.
	struct ike_session **order;
	size_t order_len, order_cap, order_gone;
	size_t session_count;
	struct ike_starter *starters; // by index of the connection (starter.c)
	TAILQ_HEAD(, ike_sa) ending;  // to be deleted, some at a time
	struct wheel_timer pace;
	bool ikev1;   // some connection speaks it
	bool started; // ike_start()
	bool shutting_down;
	uint64_t shutdown_deadline_ns;
};

// Around everything that the outside calls: sets now_ns; at the last leave tasks begin that were
// queued, and what has ended is freed.
void ike_enter(struct ike_engine *e);
void ike_leave(struct ike_engine *e);

void ike_count(struct ike_engine *e, enum ike_reason reason);
// Counts it, and logs "SPIs peer: reason" rate-limited. sa and peer may be NULL.
void ike_refused(struct ike_engine *e, const struct ike_sa *sa, const struct endpoint *peer,
	enum ike_reason reason);

// ---- what both versions can do (versions.c) --------------------------------------------------------

// Ends the IKE SA and its session with a DELETE. 0; -EALREADY: under way.
int ike_sa_delete(struct ike_sa *sa);
// Asks whether the peer is there. 0, -EALREADY.
int ike_sa_probe(struct ike_sa *sa);
int ike_child_delete(struct ike_child *child);
// Our own rekeying, and one more child SA. 0 or -errno.
int ike_sa_rekey(struct ike_sa *sa);
// A new IKE SA that replaces it. -ENOTSUP: it is the peer's to begin.
int ike_sa_reauthenticate(struct ike_sa *sa);
int ike_child_rekey(struct ike_child *child);
int ike_child_add(struct ike_sa *sa, const struct cfg_child *conf);

// ---- handlers by exchange ----------------------------------------------------------------------

// ikev2/sa_init.c
enum ike_verdict ikev2_sa_init_request(struct ike_exchange *x);  // responder
enum ike_verdict ikev2_sa_init_build(struct ike_exchange *x);    // initiator
enum ike_verdict ikev2_sa_init_response(struct ike_exchange *x); // initiator
// ikev2/informational.c
enum ike_verdict ikev2_informational_request(struct ike_exchange *x);
// Queues the DELETE; the IKE SA and its session end with the response, or without one when the
// retransmissions are used up. 0; -EALREADY: under way. An IKE SA without keys is closed at once.
int ikev2_delete_ike_sa(struct ike_sa *sa);
bool ikev2_is_delete(const struct ike_task *t); // that of the IKE SA
int ikev2_probe(struct ike_sa *sa); // queues a DPD. 0, -EALREADY (an exchange is under way)
// Answers TEMPORARY_FAILURE, alone.
enum ike_verdict ikev2_refuse_request(struct ike_exchange *x);
// ikev2/auth.c
enum ike_verdict ikev2_auth_request(struct ike_exchange *x);
enum ike_verdict ikev2_auth_build(struct ike_exchange *x);
enum ike_verdict ikev2_auth_response(struct ike_exchange *x);
// ikev2/create_child.c
enum ike_verdict ikev2_create_child_request(struct ike_exchange *x); // new, rekey child, rekey IKE
int ikev2_rekey_ike(struct ike_sa *sa);
// One of two rivals ends: if it is the old IKE SA the session moves to the peer's new one.
void ikev2_rival_close(struct ike_sa *sa);
int ikev2_rekey_child(struct ike_sa *sa, struct ike_child *child);
int ikev2_add_child(struct ike_sa *sa, const struct cfg_child *conf);
// One more of a child that exists, for this worker (RFC 9611).
int ikev2_add_resource(struct ike_sa *sa, const struct cfg_child *conf, uint16_t worker);
// ikev2/delete.c: DELETE of child SAs, both ways
int ikev2_delete_child(struct ike_sa *sa, struct ike_child *child);
// The same for one that the peer has made on our request and that we could not make.
int ikev2_disown_child(struct ike_sa *sa, uint32_t spi_in);
// The DELETE payloads of a request that name child SAs: deletes them, appends the answer's payload.
enum ike_verdict ikev2_children_deleted(struct ike_exchange *x);

// session.c
struct ike_session *ike_session_by_id(struct ike_engine *e, uint64_t id); // or NULL
// A session of sa, in the tables; id = next_session, sa->session is set. NULL: no memory.
struct ike_session *ike_session_new(struct ike_sa *sa, const struct cfg_connection *conn);
void ike_session_close(struct ike_session *s, enum ike_reason why); // children, leases, tunnel
// sa is over: the session ends with it if it is the current one.
void ike_session_sa_gone(struct ike_session *s, struct ike_sa *sa, enum ike_reason why);
// All of them, for ike_engine_free(), before the IKE SAs go.
void ike_sessions_fini(struct ike_engine *e);
// child.c: an event of the data plane
void ike_child_event(struct ike_engine *e, const struct sa_event *ev);
