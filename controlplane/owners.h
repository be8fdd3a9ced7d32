// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The sessions of one owner, and those of them at one outer address and port. An account that thousands
// share, or an anonymous crowd behind one NAT, is looked at in parts: what a message asks of the owner's
// other sessions is counted, or looked for among a few. Control thread.
#pragma once

#include "controlplane/session.h"

#include <limits.h>

// Sessions of a list that one message looks at, if it does not end them: those that came last.
#define IKE_OWNER_LOOK 16

struct ike_owner {
	struct htab_node by_key;
	struct ike_session_list live[2]; // not closing: begun by the peer, by us. The latest first
	struct ike_session_list closing; // the latest first
	uint32_t live_count;
};

// Of one owner, or anonymous with one claimed identity.
struct ike_place {
	struct htab_node by_key;
	struct endpoint remote;
	struct ike_session_list sessions; // those that are not closing first, the latest first
	uint32_t count, live_count;
};

// NULL: he has no session (there).
struct ike_owner *ike_owner_find(struct ike_engine *e, const struct ike_peer *peer);
struct ike_place *ike_place_find(
	struct ike_engine *e, const struct ike_peer *peer, const struct endpoint *remote);

// In both tables from now on. 0 or -ENOMEM.
MUST_USE int ike_owner_join(struct ike_session *s);
void ike_owner_leave(struct ike_session *s);
// s->sa is another one, or has another remote address.
void ike_owner_moved(struct ike_session *s);

// How many more may be looked at.
struct ike_look {
	unsigned live, closing;
};
#define IKE_LOOK_FEW ((struct ike_look){IKE_OWNER_LOOK, IKE_OWNER_LOOK})
// Only for who ends each that is live, so that nobody meets it there again.
#define IKE_LOOK_LIVE ((struct ike_look){UINT_MAX, IKE_OWNER_LOOK})
#define IKE_LOOK_ALL  ((struct ike_look){UINT_MAX, UINT_MAX})
// s, the first or the next of a list, if it may be looked at; else NULL. Counted in the engine.
struct ike_session *ike_look(struct ike_session *s, struct ike_look *left);
