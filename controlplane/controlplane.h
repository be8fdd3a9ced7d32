// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The IKE engine. It has no globals and does no I/O: datagrams, completions and time go in;
// datagrams, SA messages and jobs come out through the seams below. One thread (the control
// thread) calls everything here, except ike_job.run, which runs on a crypto helper.
#pragma once

#include "base/clock.h"
#include "base/sa_msg.h"
#include "config/config.h"
#include "pools/pools.h"

struct ike_engine;
struct ike_credentials;

// A piece of pure cryptography (DH, signature, chain check). run() touches the job's own memory
// only. The job belongs to the runner from submit() until ike_job_done(), then to the engine.
struct ike_job {
	void (*run)(struct ike_job *job);
	struct ike_job *next; // the runner's, for its queue
	uint64_t token;       // the engine's: which exchange waits
};

struct ike_jobs {
	void *ctx;
	// 0, or -EAGAIN where the queue is full (the job stays the engine's).
	int (*submit)(void *ctx, struct ike_job *job);
};

struct ike_transport {
	void *ctx;
	// Copies the bytes. Losing it is fine: IKE retransmits.
	void (*send)(void *ctx, const struct ike_datagram *d);
};

// What an AAA server says of an authenticated peer. The seam is asynchronous; without one
// (authorize == NULL) the configuration alone decides.
enum ike_aaa_status { IKE_AAA_ACCEPT, IKE_AAA_REJECT, IKE_AAA_PENDING };

struct ike_aaa_request {
	const struct cfg_connection *connection;
	const char *user;     // or NULL
	const char *identity; // text of the IKE identity
	struct endpoint remote;
	uint64_t token;
};

// What AAA says of the address of who it accepted; all zero: nothing. Copied; strings end within.
struct ike_aaa_addresses {
	struct ip_addr
		v4; // Framed-IP-Address (RFC 2865 5.8); family 0: none or the gateway's choice
	struct ip_addr v6;    // Framed-IPv6-Address (RFC 6911)
	bool v4_of_peer;      // 255.255.255.255: the address that the peer asks for
	char pool_v4[64];     // Framed-Pool (RFC 2869 5.18): instead of the connection's pools
	char pool_v6[64];     // Framed-IPv6-Pool (RFC 3162), Stateful-IPv6-Address-Pool (RFC 6911)
	char prefix_pool[64]; // Delegated-IPv6-Prefix-Pool (RFC 6911)
};

struct ike_aaa {
	void *ctx;
	// PENDING: ike_aaa_done() follows, once.
	enum ike_aaa_status (*authorize)(
		void *ctx, const struct ike_aaa_request *rq, struct ike_aaa_addresses *out);
	// A session began or ended. Never blocks.
	void (*account)(void *ctx, uint64_t session, bool begin);
};

struct ike_params {
	const struct cfg *cfg;                     // outlives the engine
	const struct ike_credentials *credentials; // outlives the engine
	const struct clock_source *clock;
	const struct random_source *random;
	struct ike_transport transport;
	struct ike_jobs jobs;
	struct address_source *addresses; // done and user are set by the engine
	const struct sa_sink *sink;
	struct ike_aaa aaa;
	// RFC 6290: survives restarts. Empty: no tokens are made.
	struct view qcd_secret;
};

// Load certificates, keys and CAs that the configuration names. Reads files: before the control
// thread runs. 0 or -EINVAL; every problem is a line on errors.
MUST_USE int ike_credentials_new(const struct cfg *cfg, FILE *errors, struct ike_credentials **out);
void ike_credentials_free(struct ike_credentials *c);

// 0 or -ENOMEM.
MUST_USE int ike_engine_new(const struct ike_params *p, struct ike_engine **out);
// Forgets everything at once, sending nothing. Jobs must have come back before.
void ike_engine_free(struct ike_engine *e);

// Inputs.
void ike_input(struct ike_engine *e, const struct ike_datagram *d);
void ike_job_done(struct ike_engine *e, struct ike_job *job);
// addresses: NULL is nothing said.
void ike_aaa_done(struct ike_engine *e, uint64_t token, enum ike_aaa_status status,
	const struct ike_aaa_addresses *addresses);
void ike_sa_event(struct ike_engine *e, const struct sa_event *ev);
void ike_tick(struct ike_engine *e);
// Absolute monotonic time of the next timer; UINT64_MAX: none.
uint64_t ike_next_ns(const struct ike_engine *e);

// DELETE to every peer, some at a time: the last leaves IKE SAs / IKE_ENDS_PER_S seconds later.
// ike_drained() once all have answered or the time is up.
#define IKE_ENDS_PER_S 5000
void ike_shutdown(struct ike_engine *e, uint64_t deadline_ns);
bool ike_drained(const struct ike_engine *e);

#define IKE_UDP_PORT 500

// The address of ours from which a peer is called: one of an outside port whose network the peer is in,
// else the first of its family. False: there is none.
bool ike_local_for(const struct cfg *cfg, const struct ip_addr *peer, struct sa_origin *origin,
	struct endpoint *local);

// Connections with initiate = "start" connect from now on, some at a time; those with "on_demand"
// wait for a packet. Once, when everything runs.
void ike_start(struct ike_engine *e);

// Initiator. Starts the connection's IKE SA and its children towards remote. The session's id,
// or 0 (no such connection, one that only responds, no memory).
uint64_t ike_initiate(struct ike_engine *e, const char *connection, const struct sa_origin *origin,
	const struct endpoint *local, const struct endpoint *remote);
// The same, towards the connection's own addresses, which it goes on trying in turn where initiate says
// so. The session's id; 0 and *why, static text.
uint64_t ike_connect(struct ike_engine *e, const char *connection, const char **why);
// For an established session; 0, -ENOENT, -EBUSY, -EPERM (the connection only responds). child is our
// inbound SPI.
MUST_USE int ike_rekey_ike(struct ike_engine *e, uint64_t session);
MUST_USE int ike_rekey_child(struct ike_engine *e, uint64_t session, uint32_t child);
MUST_USE int ike_add_child(struct ike_engine *e, uint64_t session, const char *child_name);
MUST_USE int ike_delete_child(struct ike_engine *e, uint64_t session, uint32_t child);
// DELETE of the IKE SA, the session ends.
MUST_USE int ike_delete_session(struct ike_engine *e, uint64_t session);
// DPD now.
MUST_USE int ike_probe(struct ike_engine *e, uint64_t session);
// A session whose peer speaks MOBIKE goes on from this address of ours (RFC 4555). 0, -ENOENT,
// -ENOTSUP (no MOBIKE, or we are not the IKE SA's initiator), -EBUSY, -EPERM.
MUST_USE int ike_move(struct ike_engine *e, uint64_t session, const struct sa_origin *origin,
	const struct endpoint *local);
// Anew from IKE_SA_INIT or phase 1, the old session is replaced without a gap. 0, -ENOENT, -EBUSY,
// -EPERM, -ENOTSUP (it is the peer's to begin).
MUST_USE int ike_reauthenticate(struct ike_engine *e, uint64_t session);

// Show. Strings are borrowed until the engine is called again.
enum ike_session_state {
	IKE_SESSION_CONNECTING,
	IKE_SESSION_ESTABLISHED,
	IKE_SESSION_REKEYING,
	IKE_SESSION_EXPIRED, // IKEv1: its ISAKMP SA is over, its child SAs live on
	IKE_SESSION_DELETING,
};

struct ike_child_info {
	const char *name;
	uint32_t spi_in, spi_out;
	struct suite esp;
	enum sa_mode mode;
	bool legacy; // esp holds an algorithm that is refused unless "legacy" names it
	const struct selector *ts_local, *ts_remote;
	uint8_t ts_local_count, ts_remote_count;
	struct sa_counters in, out;
	uint64_t installed_ns; // monotonic
	uint64_t rekey_ns,
		expires_ns; // monotonic, when we begin to rekey it, when it ends; 0: never
	uint16_t worker;
	uint16_t path_mtu; // of its tunnel's outer packets, bytes; 0: no tunnel
};

#define IKE_CHILDREN_SHOWN 16

struct ike_session_info {
	uint64_t id;
	const char *connection;
	uint8_t ike_version;
	enum ike_session_state state;
	const char *remote_id;            // text
	const char *user;                 // or ""
	const char *group;                // of the user, or the IKE group; or ""
	const struct cfg_strings *groups; // all of the user's; NULL: none
	const char *mode_config; // who began: "pull" (the client), "push" (we), "none"; static
	struct endpoint local, remote;
	bool nat; // a NAT lies between
	struct ip_addr inner[4];
	uint8_t inner_bits[4]; // of inner[i]: 32 or 128 of an address, less of a network
	uint8_t inner_count;
	uint16_t worker;
	uint64_t established_ns; // monotonic; 0: not yet
	bool initiator;          // we began its IKE SA
	bool responder_only;     // its connection never begins anything
	bool mobike;
	// monotonic, 0: never: we rekey (IKEv1: re-authenticate) the IKE SA, somebody has to
	// re-authenticate it, it ends
	uint64_t rekey_ns, reauth_ns, expires_ns;
	uint64_t spi_i, spi_r; // 0 once it has expired
	struct suite ike;
	bool legacy;                                           // as in ike_child_info
	uint64_t bytes_in, bytes_out, packets_in, packets_out; // over all children, past ones too
	uint64_t policed_in, policed_out; // packets dropped above the connection's rates, the same
	uint64_t used_ns;                 // monotonic: last packet, or established; 0: not yet
	uint16_t path_mtu;                // as in ike_child_info
	struct ike_child_info children[IKE_CHILDREN_SHOWN];
	uint8_t child_count;
};

// Walk in order of ids: the first session with an id above after (start with 0); false at the end.
// O(1) amortised, so that a long list can be read in portions between other work.
bool ike_session_next(struct ike_engine *e, uint64_t after, struct ike_session_info *out);
bool ike_session_get(struct ike_engine *e, uint64_t id, struct ike_session_info *out);

// Connections of the configuration, as they stand.
struct ike_connection_info {
	const char *name;
	bool ikev1, ikev2;
	enum cfg_initiate initiate;
	bool responder_only, tunnel_interface;
	uint64_t sessions;    // established ones
	const char *state;    // of initiating: "-", "waiting", "connecting", "up", "retry"; static
	struct endpoint peer; // address that is tried or in use; family 0: none
	uint32_t attempts;    // without success since the last one
	uint64_t next_try_ns; // monotonic; 0: none is due
	const char *last_error; // text of why the last one failed, or ""
	uint64_t held;          // times that a packet asked for it (on_demand)
	size_t policy_rules;    // 0: no policy
	bool client_to_client;
};
// The i-th; false past the last.
bool ike_connection_get(const struct ike_engine *e, size_t i, struct ike_connection_info *out);

enum ike_clear { IKE_CLEAR_ALL, IKE_CLEAR_ID, IKE_CLEAR_USER, IKE_CLEAR_ADDRESS };

// What is to end. Zeroed but for the first members; the rest is the engine's, between portions.
struct ike_clearing {
	enum ike_clear what;
	uint64_t id;
	const char *user;              // user name or identity text
	const struct ip_addr *address; // inner or outer
	bool done;
	uint64_t cursor, last;
};
// Ends the sessions that match and are there at the first call; call it until done is set, each call
// looks at a portion. By id: O(1), one call. Returns how many it found; their DELETEs follow some at
// a time, as at shutdown.
size_t ike_clear(struct ike_engine *e, struct ike_clearing *c);

struct ike_status {
	uint64_t sessions, children, half_open, ike_sas;
	bool cookies; // asked for at present
	uint64_t jobs_pending;
};
void ike_status(const struct ike_engine *e, struct ike_status *out);

// Counter i by its name ("ike_bad_length", ...); false past the last. Help text may be NULL.
bool ike_counter(const struct ike_engine *e, size_t i, const char **name, uint64_t *value,
	const char **help);

// The crypto helpers: threads that run jobs. Finished jobs are fetched on the control thread.
struct ike_helpers;
// One thread a core in cores[count] (none pinned where count is 0: one thread); one whose core this
// machine does not have shares the caller's, and a warning says so. wake_fd is an
// eventfd that gets written when a job is finished.
MUST_USE int ike_helpers_new(
	const uint16_t *cores, size_t count, int wake_fd, struct ike_helpers **out);
struct ike_jobs ike_helpers_jobs(struct ike_helpers *h);
// The next finished job or NULL.
struct ike_job *ike_helpers_done(struct ike_helpers *h);
// Waits for running jobs; those that have not begun come back unrun through ike_helpers_done().
void ike_helpers_stop(struct ike_helpers *h);
void ike_helpers_free(struct ike_helpers *h);
