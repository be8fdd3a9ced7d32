// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/admission.h"

#include "controlplane/owners.h"
#include "controlplane/starter.h"
#include "controlplane/succession.h"

static const struct ike_place *place_of(const struct ike_admission *a)
{
	return ike_place_find(a->sa->engine, &a->peer, &a->sa->remote);
}

// Sessions of the owner that stay beside the new one.
// Of those from the same place one is re-authenticated by the new one; more of them are none that it
// replaces.
static uint32_t sessions_beside(const struct ike_admission *a)
{
	const struct ike_owner *o = ike_owner_find(a->sa->engine, &a->peer);
	const struct ike_place *p = o ? place_of(a) : NULL;
	uint32_t all = o ? o->live_count : 0, here = p ? p->live_count : 0;
	return a->conn->unique == CFG_UNIQUE_NO && here > 1 ? all - 1 : all - here;
}

// It takes the place of one that it re-authenticates: there are two for a moment, and no more.
static bool takes_a_place(const struct ike_admission *a)
{
	const struct ike_place *p = ike_peer_anonymous(&a->peer) ? NULL : place_of(a);
	return p && p->count == 1;
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
// Each that comes ends one, so that more than these are there only if an operator has ended many.
static void end_oldest(const struct ike_session *s)
{
	struct ike_session *oldest = NULL;
	struct ike_look left = IKE_LOOK_FEW;
	struct ike_session *o = TAILQ_LAST(&s->owner->closing, ike_session_list);
	unsigned ending = 0;
	for (; ike_look(o, &left); o = TAILQ_PREV(o, ike_session_list, of_owner)) {
		if (o == s || !o->successor)
			continue;
		ending++;
		oldest = !oldest || o->id < oldest->id ? o : oldest;
	}
	if (ending > ENDING_MAX)
		end_at_once(oldest, IKE_REASON_REPLACED);
}

static void supersede(struct ike_session *s, struct ike_session *o, bool initial_contact)
{
	enum cfg_unique unique = s->conn->unique;
	// It may stand in several lists, and in another one since it was looked at.
	if (o == s || o->looked_at == s->engine->supersedings)
		return;
	o->looked_at = s->engine->supersedings;
	// What was begun before the other one was there knows nothing of it.
	if (ike_duplicate_settle(o, s))
		return;
	// Nor does IKEv1's INITIAL_CONTACT, which may come late, of what has come up meanwhile.
	if (o->established_ns > s->established_ns)
		return;
	bool same = endpoint_eq(&o->sa->remote, &s->sa->remote);
	bool dead = initial_contact && (same || unique != CFG_UNIQUE_NO);
	// What had given way to it then gives way to s, and is not revived by its end.
	if (dead || same || unique == CFG_UNIQUE_REPLACE)
		ike_session_give_way(o, s);
	if (dead) {
		ike_count(s->engine, IKE_REASON_INITIAL_CONTACT);
		end_at_once(o, IKE_REASON_INITIAL_CONTACT);
	} else if (!o->closing &&
		   (unique == CFG_UNIQUE_REPLACE || (unique == CFG_UNIQUE_KEEP && same) ||
			   o->initiator != s->initiator)) {
		ike_session_end(o, same ? IKE_REAUTH_GRACE_S : 0);
	}
}

// One that is ended leaves its list. Beside it s alone may go to another one or to the end of its own, as
// the one of two that is given up.
static void supersede_listed(struct ike_session *s, struct ike_session_list *list,
	bool initial_contact, struct ike_look left)
{
	struct ike_session *next, *o = TAILQ_FIRST(list);
	for (; ike_look(o, &left); o = next) {
		next = TAILQ_NEXT(o, of_owner);
		supersede(s, o, initial_contact);
	}
}

static void supersede_here(struct ike_session *s, bool initial_contact, struct ike_look left)
{
	struct ike_session *next, *o = s->place ? TAILQ_FIRST(&s->place->sessions) : NULL;
	for (; ike_look(o, &left); o = next) {
		next = TAILQ_NEXT(o, of_place);
		next = next == s ? TAILQ_NEXT(s, of_place) : next;
		supersede(s, o, initial_contact);
	}
}

void ike_supersede(struct ike_session *s, bool initial_contact)
{
	struct ike_owner *owner = s->owner;
	enum cfg_unique unique = s->conn->unique;
	struct ike_look live = IKE_LOOK_LIVE, few = IKE_LOOK_FEW, all = IKE_LOOK_ALL;
	if (!owner || s->closing) // others go on then
		return;
	s->engine->supersedings++;
	// Whoever is looked at without a limit is ended by it.
	if (unique == CFG_UNIQUE_REPLACE || (initial_contact && unique != CFG_UNIQUE_NO)) {
		supersede_listed(s, &owner->closing, initial_contact, initial_contact ? all : few);
		supersede_listed(s, &owner->live[s->initiator], initial_contact, live);
	} else {
		bool ends = initial_contact || unique == CFG_UNIQUE_KEEP;
		supersede_here(s, initial_contact, initial_contact ? all : ends ? live : few);
	}
	supersede_listed(s, &owner->live[!s->initiator], initial_contact, live);
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
