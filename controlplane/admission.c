// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/admission.h"

#include "controlplane/starter.h"
#include "controlplane/succession.h"

// Sessions of the owner that stay beside the new one.
// Of those from the same place one is re-authenticated by the new one; more of them are none that it
// replaces.
static uint32_t sessions_beside(const struct ike_admission *a)
{
	struct ike_session *o = NULL;
	uint32_t elsewhere = 0, here = 0;
	while ((o = ike_session_of_owner(a->sa->engine, &a->peer, o))) {
		bool same = endpoint_eq(&o->sa->remote, &a->sa->remote);
		elsewhere += !o->closing && !same;
		here += !o->closing && same;
	}
	return a->conn->unique == CFG_UNIQUE_NO && here > 1 ? elsewhere + here - 1 : elsewhere;
}

// It takes the place of one that it re-authenticates: there are two for a moment, and no more.
static bool takes_a_place(const struct ike_admission *a)
{
	struct ike_session *o = NULL;
	uint32_t here = 0;
	while ((o = ike_session_of_owner(a->sa->engine, &a->peer, o)))
		here += endpoint_eq(&o->sa->remote, &a->sa->remote);
	return here == 1;
}

enum ike_reason ike_admit(const struct ike_admission *a)
{
	const struct ike_engine *e = a->sa->engine;
	uint32_t limit = e->p.cfg->main.max_sessions;
	if (limit && e->session_count >= limit && !takes_a_place(a))
		return IKE_REASON_SESSIONS_FULL;
	if (ike_peer_anonymous(&a->peer) || a->conn->unique == CFG_UNIQUE_REPLACE)
		return IKE_REASON_NONE;
	bool dead = a->initial_contact && a->conn->unique == CFG_UNIQUE_KEEP;
	uint32_t beside = dead ? 0 : sessions_beside(a);
	if (beside && a->conn->unique == CFG_UNIQUE_KEEP)
		return IKE_REASON_KEPT;
	if (a->conn->max_sessions && beside >= a->conn->max_sessions)
		return IKE_REASON_MAX_SESSIONS;
	return IKE_REASON_NONE;
}

struct ike_session *ike_session_admit(const struct ike_admission *a, uint16_t worker)
{
	struct ike_session *s = ike_session_new(a->sa, a->conn);
	if (!s)
		return NULL;
	if (ike_session_identify(s, &a->peer) < 0) {
		ike_session_close(s, IKE_REASON_NO_MEMORY);
		return NULL;
	}
	s->worker = ike_starter_worker(a->sa->engine, a->conn, worker);
	return s;
}

// Sessions of one owner that wait for the answer to their DELETE, or for its time.
#define ENDING_MAX 8

static void end_at_once(struct ike_session *o, enum ike_reason why)
{
	if (o->sa->rival) // the session would go on with that
		ike_sa_close(o->sa->rival, why);
	ike_sa_close(o->sa, why);
}

// A peer that authenticates again and again, and answers nothing, does not pile up what it leaves behind.
static void end_oldest(struct ike_session *s)
{
	struct ike_peer owner = ike_session_peer(s);
	struct ike_session *o = NULL, *oldest = NULL;
	unsigned ending = 0;
	while ((o = ike_session_of_owner(s->engine, &owner, o))) {
		if (o == s || !o->closing || !o->successor)
			continue;
		ending++;
		oldest = !oldest || o->id < oldest->id ? o : oldest;
	}
	if (ending > ENDING_MAX)
		end_at_once(oldest, IKE_REASON_REPLACED);
}

void ike_supersede(struct ike_session *s, bool initial_contact)
{
	struct ike_engine *e = s->engine;
	struct ike_peer owner = ike_session_peer(s);
	enum cfg_unique unique = s->conn->unique;
	struct ike_session *o, *next;
	for (o = ike_session_of_owner(e, &owner, NULL); o; o = next) {
		next = ike_session_of_owner(e, &owner, o);
		// What was begun before the other one was there knows nothing of it.
		if (o == s || ike_duplicate_settle(o, s))
			continue;
		bool same = endpoint_eq(&o->sa->remote, &s->sa->remote);
		if (same || unique == CFG_UNIQUE_REPLACE)
			o->successor = s->id;
		if (initial_contact && (same || unique != CFG_UNIQUE_NO)) {
			ike_count(e, IKE_REASON_INITIAL_CONTACT);
			end_at_once(o, IKE_REASON_INITIAL_CONTACT);
		} else if (!o->closing &&
			   (unique == CFG_UNIQUE_REPLACE || (unique == CFG_UNIQUE_KEEP && same) ||
				   o->initiator != s->initiator)) {
			ike_session_end(o, same ? IKE_REAUTH_GRACE_S : 0);
		}
	}
	if (unique != CFG_UNIQUE_NO)
		end_oldest(s);
}

uint16_t ike_worker_hint(const struct ike_sa *sa, const struct ike_datagram *from)
{
	uint16_t workers = sa->engine->p.sink->workers;
	if (from->local.port == IKE_NAT_T_PORT)
		return from->origin.worker % workers;
	return (uint16_t)(ike_sa_our_spi(sa) % workers);
}
