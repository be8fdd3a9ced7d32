// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The management socket: one JSON object a line in each direction, served by a thread of its own.
// That thread owns sockets, parsing and formatting. What it must know of the headend it asks of the
// control thread in bounded portions, so that a long list or a slow client never holds up IKE.
//
// Requests:  {"command":"show",
//              "what":"sessions|sa|connections|pools|ports|counters|workers|status"}
//            {"command":"clear","what":"session","by":"id|user|address|all","value":...}
//            {"command":"initiate","connection":"...","address":"..."}, the address may be left out
//            {"command":"rekey","session":n,"spi":"0x..."}, without an SPI the IKE SA
//            {"command":"reauthenticate","session":n}
//            {"command":"trace","what":"start","match":"...","count":n,"whole":true}, a packet trace of
//            up to n packets that match an expression of pcap-filter(7); all may be left out
//            {"command":"trace","what":"stop"}
//            {"command":"trace","what":"show","bytes":true}, with the packets' bytes in hexadecimal digits
// Replies:   {"sessions":[...]}, {"sas":[...]}, {"connections":[...]}, {"pools":[...]},
//            {"ports":[...]}, {"workers":[...]}, {"counters":{...}}, {"status":{...}},
//            {"cleared":n}, {"initiated":session}, {"rekeying":session},
//            {"reauthenticating":session}, {"tracing":n}, {"traced":n}, {"trace":[...]},
//            {"error":"..."}
// What a request begins goes on after its reply.
#pragma once

#include "controlplane/controlplane.h"
#include "dataplane/dataplane.h"
#include "pools/pools.h"

#define MGMT_SOCKET      "control.sock"
#define MGMT_REQUEST_MAX 4096 // bytes of one request with its newline
#define MGMT_CLIENTS_MAX 16

struct mgmt;

struct mgmt_status {
	struct ike_status ike;
	uint16_t workers;
	uint32_t node_id;
	uint64_t started_ns; // monotonic
	bool congested;      // new sessions wait because SA rings are backed up
	bool stopping;
};

// What the control thread answers. Every function is called in mgmt_turn(), on its thread.
struct mgmt_provider {
	void *ctx;
	bool (*session_next)(void *ctx, uint64_t after, struct ike_session_info *out);
	bool (*connection)(void *ctx, size_t i, struct ike_connection_info *out);
	bool (*pool)(void *ctx, size_t i, struct pool_stats *out);
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

// Control thread: answers at most one portion. Returns how many were answered (0 or 1).
unsigned mgmt_turn(struct mgmt *m);

// Counters of the management socket itself by index, for the provider's counter(); any thread.
bool mgmt_counter(const struct mgmt *m, size_t i, const char **name, uint64_t *value);
