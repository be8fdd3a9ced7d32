// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One session takes another's place: re-authentication, and IKE SAs that both sides began at once. The
// older one lives on for a moment, without beginning anything; its routes and counters go to the
// younger one.
#include "controlplane/succession.h"

#include "controlplane/exchange.h"
#include "controlplane/owners.h"

#define CHILDREN_S 60 // that an old session waits for the child SAs of the new one
#define UNHEARD_S  70 // that it waits for a sign of the peer on the new one

void ike_session_give_way(struct ike_session *old, struct ike_session *heir)
{
	if (old->in_succession)
		LIST_REMOVE(old, of_successor);
	old->in_succession = heir != NULL;
	old->successor = heir ? heir->id : 0;
	if (heir)
		LIST_INSERT_HEAD(&heir->predecessors, old, of_successor);
}

void ike_session_forsake(struct ike_session *heir)
{
	struct ike_session *old;
	while ((old = LIST_FIRST(&heir->predecessors))) {
		LIST_REMOVE(old, of_successor);
		old->in_succession = false;
	}
}

void ike_session_succeed(struct ike_session *old, struct ike_session *s, uint32_t delay_s)
{
	ike_session_give_way(old, s);
	if (!old->closing)
		ike_session_end(old, delay_s);
}

void ike_session_bequeath(struct ike_session *s)
{
	struct ike_session *heir = s->successor ? ike_session_by_id(s->engine, s->successor) : NULL;
	if (!heir)
		return;
	heir->bytes_in += s->bytes_in;
	heir->bytes_out += s->bytes_out;
	heir->packets_in += s->packets_in;
	heir->packets_out += s->packets_out;
	heir->policed_in += s->policed_in;
	heir->policed_out += s->policed_out;
	ike_idle_inherit(heir, s);
}

void ike_session_follow(struct ike_session *s)
{
	struct ike_session *old = s->follows ? ike_session_by_id(s->engine, s->follows) : NULL;
	s->sa->reauth_session = 0;
	if (!old || old->closing)
		return;
	ike_count(s->engine, IKE_REASON_REAUTHENTICATED);
	ike_session_succeed(old, s, IKE_FOLLOWED_S);
}

// The peer has begun s, and nothing shows yet that it has our answer: it may still wait for it.
static bool unheard(const struct ike_session *s)
{
	return !s->initiator && ike_sa_last_sign(s->sa) <= s->established_ns &&
	       s->engine->now_ns < s->established_ns + UNHEARD_S * NS_PER_S;
}

bool ike_session_superseded_early(struct ike_session *s)
{
	struct ike_session *n = s->successor ? ike_session_by_id(s->engine, s->successor) : NULL;
	if (!n || s->sa->delete_queued || s->engine->shutting_down)
		return false;
	bool making = !s->duplicate && s->initiator && ike_session_making_children(n) &&
		      s->engine->now_ns < n->established_ns + CHILDREN_S * NS_PER_S;
	if (unheard(n))
		(void)ike_sa_probe(n->sa); // -EALREADY: one is under way
	return making || unheard(n);
}

bool ike_session_stands_in(const struct ike_session *s)
{
	const struct ike_session *n = ike_session_by_id(s->engine, s->successor);
	return s->duplicate && s->initiator && n && unheard(n);
}

// ---- duplicates --------------------------------------------------------------------------------

// Each side began one, before the other one was there.
static bool crossed(const struct ike_session *a, const struct ike_session *b)
{
	return a->initiator != b->initiator && a->conn == b->conn && a->established_ns &&
	       b->established_ns && !a->closing && !b->closing &&
	       ip_eq(&a->sa->remote.addr, &b->sa->remote.addr) &&
	       a->begun_ns <= b->established_ns && b->begun_ns <= a->established_ns;
}

// Both sides know both pairs of SPIs, and come to the same.
static bool precedes(const struct ike_session *a, const struct ike_session *b)
{
	return a->spi_i != b->spi_i ? a->spi_i < b->spi_i : a->spi_r < b->spi_r;
}

bool ike_duplicate_settle(struct ike_session *a, struct ike_session *b)
{
	if (!crossed(a, b))
		return false;
	struct ike_session *winner = precedes(a, b) ? a : b;
	struct ike_session *loser = winner == a ? b : a;
	ike_count(a->engine, IKE_REASON_DUPLICATE);
	loser->duplicate = true;
	ike_session_succeed(
		loser, winner, loser->initiator ? IKE_DUPLICATE_OURS_S : IKE_DUPLICATE_THEIRS_S);
	if (ike_children_ready(winner))
		ike_routes_take(winner, false);
	return true;
}

void ike_duplicates_settle(struct ike_session *s)
{
	struct ike_look left = IKE_LOOK_FEW;
	struct ike_session *o = s->owner ? TAILQ_FIRST(&s->owner->live[!s->initiator]) : NULL;
	for (; ike_look(o, &left); o = TAILQ_NEXT(o, of_owner))
		if (ike_duplicate_settle(o, s))
			return;
}

// What was to be given up for s is what is left: the other side may have decided otherwise. Whether the
// peer still has it shows.
static void revive(struct ike_session *o)
{
	struct ike_engine *e = o->engine;
	ike_session_give_way(o, NULL);
	o->duplicate = false;
	// Or its DELETE is under way, or due.
	if (!o->closing || !o->end.set || o->sa->ends_later || o->sa->delete_queued)
		return;
	wheel_cancel(&e->wheel, &o->end);
	ike_session_closing(o, false);
	ike_count(e, IKE_REASON_REVIVED);
	ike_session_watch(o);
	(void)ike_sa_probe(o->sa); // -EALREADY: an exchange under way shows it as well
}

// Does the way from one heir to the next one come back to o. Where both sides called at once, and several
// sessions are wanted, it may.
static bool leads_back(const struct ike_session *heir, const struct ike_session *o)
{
	for (unsigned n = 0; heir && n < IKE_OWNER_LOOK; n++) {
		if (heir == o)
			return true;
		heir = heir->successor ? ike_session_by_id(o->engine, heir->successor) : NULL;
	}
	return false;
}

// s has gone, and who took its place takes this one's as well. So many at a time; others end as they were
// about to, or go on.
static void hand_on(struct ike_session *o, struct ike_session *heir, unsigned *left)
{
	if (*left) {
		--*left;
		ike_session_give_way(o, heir);
	} else if (o->closing) {
		LIST_REMOVE(o, of_successor);
		o->in_succession = false;
	} else {
		ike_session_give_way(o, NULL);
	}
}

void ike_session_lost(struct ike_session *s)
{
	struct ike_session *o,
		*heir = s->successor ? ike_session_by_id(s->engine, s->successor) : NULL;
	unsigned left = IKE_OWNER_LOOK;
	if (s->engine->shutting_down)
		return;
	while ((o = LIST_FIRST(&s->predecessors))) {
		if (heir && !leads_back(heir, o))
			hand_on(o, heir, &left);
		else
			revive(o);
	}
}
