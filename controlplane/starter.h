// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What this side begins: IKE SAs of our own, connections that connect by themselves (initiate =
// "start") or when a packet asks for it ("on_demand"), and their tries one after another. Control
// thread.
#pragma once

#include "controlplane/session.h"

// A new IKE SA towards a peer.
struct ike_begin {
	const struct cfg_connection *conn;
	struct sa_origin origin;
	struct endpoint local, remote;
	uint64_t follows; // session that the new one re-authenticates and is to replace, or 0
};

// Its session, connecting; NULL: no memory.
struct ike_session *ike_begin(struct ike_engine *e, const struct ike_begin *b);

// The connections' states, one each; 0 or -ENOMEM.
MUST_USE int ike_starters_new(struct ike_engine *e);
void ike_starters_free(struct ike_engine *e);
// A session of a connection is established, or has ended (why), or was never established.
void ike_starter_up(struct ike_session *s);
void ike_starter_down(struct ike_session *s, enum ike_reason why);
// SA_EVENT_NO_CHILD of a tunnel that of such a connection: there is traffic for it.
void ike_starter_wanted(struct ike_engine *e, const struct sa_event *ev);
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
