// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What this side begins: IKE SAs of our own, connections that connect by themselves (initiate =
// "start") or when a packet asks for it ("on_demand"), and their tries one after another. Control
// thread.
#pragma once

#include "controlplane/session.h"

enum ike_starter_state {
	IKE_STARTER_IDLE,
	IKE_STARTER_WAITING,
	IKE_STARTER_CONNECTING,
	IKE_STARTER_UP,
	IKE_STARTER_RETRY,
};

// One for each connection of the configuration.
struct ike_starter {
	struct ike_engine *engine;
	const struct cfg_connection *conn;
	enum ike_starter_state state;
	bool wanted;         // on_demand: a packet came while a retry is awaited
	uint64_t connecting; // our session that is not established yet, or 0
	uint64_t sessions;   // established ones
	uint64_t all;        // all of them
	uint64_t current;    // the one that was established last, or has taken its place
	struct endpoint peer;
	size_t next_address;
	uint32_t attempts; // since one has lived for a while
	uint64_t tried_ns; // the last of them
	struct wheel_timer timer;
	enum ike_reason last;
	uint64_t asked;
	struct wheel_timer restore; // child SAs that are missing
	uint8_t restore_tries;
	uint64_t restored_ns; // when one was missed last
	// The tunnel that waits for a session (waiting.c)
	uint32_t tunnel;
	uint16_t worker;
	LIST_HEAD(, ike_route) routes;
	uint32_t route_count;
};

static inline struct ike_starter *ike_starter_of(
	const struct ike_engine *e, const struct cfg_connection *conn)
{
	return &e->starters[conn - e->p.cfg->connections];
}

// It connects by itself.
static inline bool ike_starter_begins(const struct ike_starter *st)
{
	return st->conn->initiate != CFG_INITIATE_NONE;
}

// A new IKE SA towards a peer.
struct ike_begin {
	const struct cfg_connection *conn;
	struct sa_origin origin;
	struct endpoint local, remote;
	uint64_t follows; // session that the new one re-authenticates and is to replace, or 0
};

// Its session, connecting; NULL: no memory.
struct ike_session *ike_begin(struct ike_engine *e, const struct ike_begin *b);

// The way to its present address; false: there is none.
bool ike_starter_path(const struct ike_starter *st, struct ike_begin *b);

// The connections' states, one each; 0 or -ENOMEM.
MUST_USE int ike_starters_new(struct ike_engine *e);
void ike_starters_free(struct ike_engine *e);
// A session of a connection is established, or has ended (why), or was never established.
void ike_starter_up(struct ike_session *s);
void ike_starter_down(struct ike_session *s, enum ike_reason why);
// SA_EVENT_NO_CHILD of a tunnel that of such a connection: there is traffic for it.
void ike_starter_wanted(struct ike_engine *e, const struct sa_event *ev);
// In tunnel_spec.session: the rest is a connection's index.
#define IKE_STARTER_OWNER (1ull << 63)

// One of its sessions has lost a child SA.
void ike_starter_child_gone(struct ike_session *s);

// ---- waiting.c ----

// Makes the tunnel that waits, if there is none and there is something to route; ends it.
void ike_wait_tunnel(struct ike_starter *st);
void ike_wait_over(struct ike_starter *st);
// The worker of the connection's waiting tunnel, which its next session should have too; else other.
uint16_t ike_starter_worker(
	const struct ike_engine *e, const struct cfg_connection *conn, uint16_t other);
// The tunnel that waits for this session, with its routes, becomes the session's: true. False: there is
// none.
bool ike_starter_tunnel_take(struct ike_session *s);
// And back, when the session ends: the tunnel is kept, without child SAs, with the routes that it has
// for traffic. False: it goes.
bool ike_starter_tunnel_give(struct ike_session *s);
// The session has gone: its connection's tunnel waits, if none does.
void ike_starter_wait(const struct ike_session *s);
// What a tunnel of this connection is known by in SA_EVENT_NO_CHILD: the session, unless the tunnel
// outlives it.
uint64_t ike_tunnel_owner(const struct ike_session *s);
