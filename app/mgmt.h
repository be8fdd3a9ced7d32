// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The management socket: one JSON object a line in each direction, served by a thread of its own.
// That thread owns sockets, parsing and formatting. What it must know of the headend it asks of the
// control thread in bounded portions, so that a long list or a slow client never holds up IKE.
//
// Requests:  {"command":"show",
//              "what":"sessions|sa|connections|pools|ports|counters|workers|status"}
//            {"command":"show","what":"leases","pool":"...","state":"...","owner":"...","limit":n,
//              "cursor":n,"keys":true}: a pool's leases; the filters may be left out. At most limit rows,
//              from the reply's "next" on; keys: each as [address, prefix length, state, owner, owner's
//              key in hexadecimal digits, origin, since]
//            {"command":"clear","what":"session","by":"id|user|address|all","value":...}
//            {"command":"clear","what":"lease","address":"...","owner":"...","pool":"...","all":true}:
//              all that match what is given; of a pool alone those that nobody uses, unless all
//            {"command":"import","check":true,"leases":[["pool","address",prefix length,"owner",
//              "key in hexadecimal digits"],...]}: each lingers for its owner; check: only say whether
//            {"command":"reload","check":true}: the file anew, check: only say what has changed
//            {"command":"initiate","connection":"...","address":"..."}, the address may be left out
//            {"command":"rekey","session":n,"spi":"0x..."}, without an SPI the IKE SA
//            {"command":"reauthenticate","session":n}
//            {"command":"trace","what":"start","match":"...","count":n,"whole":true}, a packet trace of
//            up to n packets that match an expression of pcap-filter(7); all may be left out
//            {"command":"trace","what":"stop"}
//            {"command":"trace","what":"show","bytes":true}, with the packets' bytes in hexadecimal digits
// Replies:   {"sessions":[...]}, {"sas":[...]}, {"connections":[...]}, {"pools":[...]},
//            {"leases":[...],"next":n}, without next at the end, {"imported":n,"refused":[[i,"..."],...]},
//            {"reloaded":bool,"changes":[{"option":"...","live":bool},...],"messages":[...]},
//            {"ports":[...]}, {"workers":[...]}, {"counters":{...}}, {"status":{...}},
//            {"cleared":n}, {"initiated":session}, {"rekeying":session},
//            {"reauthenticating":session}, {"tracing":n}, {"traced":n}, {"trace":[...]},
//            {"error":"..."}
// What a request begins goes on after its reply.
#pragma once

#include "controlplane/controlplane.h"
#include "dataplane/dataplane.h"
#include "pools/store.h"

#define MGMT_SOCKET      "control.sock"
#define MGMT_REQUEST_MAX 16384 // bytes of one request with its newline
#define MGMT_CLIENTS_MAX 16

struct mgmt;

struct mgmt_status {
	struct ike_status ike;
	uint16_t workers;
	uint32_t node_id;
	uint64_t started_ns; // monotonic
	bool congested;      // new sessions wait because SA rings are backed up
	bool stopping;
	bool leases_stored; // what follows is
	struct lease_store_stats leases;
};

#define MGMT_CHANGES_MAX 256

// A file that is to take the place of the running configuration. Made by reload_read() on the management
// thread, then the control thread's until reload_apply() has done with it, then the former's again.
struct mgmt_reload {
	bool check; // only say what would change
	struct cfg *cfg;
	size_t fixed; // differences that need a restart
	size_t more;  // differences beyond changes[]
	size_t change_count;
	struct mgmt_change {
		char path[160];
		bool live;
	} changes[MGMT_CHANGES_MAX];
	char *messages;    // of the loader, a line each, or NULL
	const char *error; // static; NULL: done
	unsigned step;     // reload_apply()'s own
};

// What the control thread answers. Every function is called in mgmt_turn(), on its thread.
struct mgmt_provider {
	void *ctx;
	bool (*session_next)(void *ctx, uint64_t after, struct ike_session_info *out);
	bool (*connection)(void *ctx, size_t i, struct ike_connection_info *out);
	bool (*pool)(void *ctx, size_t i, struct pool_stats *out);
	// Range k of pool i.
	bool (*pool_range)(void *ctx, size_t i, size_t k, struct ip_range *out);
	// As pools_lease_look(), pools_clear() and pools_import(); prefix_len 0: what the pool gives out.
	bool (*lease_next)(void *ctx, size_t pool, struct lease_walk *w, struct lease_info *out);
	size_t (*lease_clear)(void *ctx, const struct lease_clearing *c);
	int (*lease_import)(void *ctx, const struct lease_row *row, bool check);
	// Management thread, one at a time, and not while one is applied. error says why it is refused.
	void (*reload_read)(void *ctx, struct mgmt_reload *r);
	// True: it has ended, r->error says how. Else it is called again.
	bool (*reload_apply)(void *ctx, struct mgmt_reload *r);
	bool (*port)(void *ctx, size_t i, struct dp_port_info *out);
	bool (*worker)(void *ctx, size_t i, struct dp_worker_info *out);
	bool (*counter)(void *ctx, size_t i, const char **name, uint64_t *value);
	void (*status)(void *ctx, struct mgmt_status *out);
	size_t (*clear)(void *ctx, struct ike_clearing *c); // as ike_clear()
	// The session's id, or 0 after a static sentence in *why. peer NULL: the connection's own
	// addresses in turn.
	uint64_t (*initiate)(
		void *ctx, const char *connection, const struct ip_addr *peer, const char **why);
	// child: our inbound SPI, or 0: the IKE SA. 0, -ENOENT, -EBUSY, -EPERM, -ENOTSUP, -ENOMEM.
	int (*rekey)(void *ctx, uint64_t session, uint32_t child);
	int (*reauthenticate)(void *ctx, uint64_t session);
	// As dp_trace_start(), dp_trace_stop() and dp_trace_row().
	int (*trace_start)(void *ctx, const struct dp_trace_spec *spec);
	int (*trace_stop)(void *ctx);
	bool (*trace_row)(void *ctx, size_t i, struct dp_trace_row *out);
	const char *const *handoff_names; // DP_HANDOFF_CAUSES of them
	const struct clock_source *clock;
};

// Creates run_dir (0750) if it is missing, takes its lock, listens on run_dir/control.sock (0600)
// and starts the thread. wake_fd, an eventfd, is written whenever mgmt_turn() has work; the caller
// keeps it open until mgmt_free(). The provider is copied. 0 or -errno after the problem was
// logged: -EBUSY where another process holds run_dir.
MUST_USE int mgmt_new(
	const char *run_dir, const struct mgmt_provider *p, int wake_fd, struct mgmt **out);

// Ends the thread, drops all clients, removes the socket. NULL is fine.
void mgmt_free(struct mgmt *m);

// Control thread: a reload that nobody waits for; what comes of it is logged.
void mgmt_reload(struct mgmt *m);

// Control thread: answers at most one portion. Returns how many were answered (0 or 1).
unsigned mgmt_turn(struct mgmt *m);

// Counters of the management socket itself by index, for the provider's counter(); any thread.
bool mgmt_counter(const struct mgmt *m, size_t i, const char **name, uint64_t *value);
