// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ISAKMP SAs one after another, and two at a time. Phase 1 is run again by us or by the peer; the session
// goes on with the new ISAKMP SA, and the old one is kept for a moment, retired: it still understands
// DELETE, and should the peer go on with it, it is in use again.
//
// Where both sides began at the same time the one of the two counts whose cookies are the higher number;
// the other one is deleted by its initiator. Peers that do not know that rule go on with the one that
// they finished last (strongSwan's children follow that), which is the one for which our proof left last.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/login.h"
#include "controlplane/ikev1/quick.h"
#include "controlplane/owners.h"
#include "controlplane/starter.h"

#include <errno.h>

LOG_SUBSYSTEM("ike");

#define COLLIDED_NS    (100 * NS_PER_MS) // between two that may have been begun at the same time
#define RETIRED_S      3                 // until its DELETE, where that is ours to send
#define DELETE_AGAIN_S 1
#define PUT_OFF_NS     (2 * NS_PER_S)
#define PUT_OFF_MAX    10
#define WAITS          6 // for a phase 1 of the peer's, half a minute in all

// ---- whose session -----------------------------------------------------------------------------

// Each was begun before its initiator could know of the other.
static bool collided(const struct ike_sa *fresh, const struct ike_sa *present)
{
	return present->state == IKE_SA_ESTABLISHED && fresh->initiator != present->initiator &&
	       fresh->created_ns <= present->established_ns + COLLIDED_NS;
}

// Who says INITIAL_CONTACT has forgotten the session; unless he began before it was there, or it is our
// quick mode that has met his re-authentication: strongSwan drops the old ISAKMP SA for it, says so, and
// goes on with the child SAs.
static bool forgotten(const struct ike_sa *fresh, const struct ike_sa *present)
{
	const struct ike_exchange *ours = present->out_progress;
	bool crossed = ours && ours->type == IKEV1_EXCHANGE_QUICK;
	return fresh->v1->initial_contact && !crossed && !collided(fresh, present);
}

static bool may_follow(const struct ike_sa *sa, const struct ike_session *o)
{
	bool alive = o->sa->state == IKE_SA_ESTABLISHED || o->sa->state == IKE_SA_EXPIRED;
	// Calls of ours from several addresses are meant to be several sessions.
	bool ours_too = !sa->initiator || ip_eq(&o->sa->local.addr, &sa->local.addr);
	return o->sa != sa && ikev1_is(o->sa) && alive && !o->closing && o->established_ns &&
	       o->conn == sa->conn && ours_too;
}

// The one that we re-authenticate: the peer has to be who it was.
static struct ike_session *named(const struct ike_sa *sa)
{
	struct ike_session *s = ike_session_by_id(sa->engine, sa->reauth_session);
	struct view id = ike_id_view(&sa->v1->peer.id);
	bool same = s && may_follow(sa, s) && view_eq(secret_view(&s->identity), id) &&
		    (!s->proven || sa->v1->peer.proven);
	return same ? s : NULL;
}

// Nobody's identity is proven by a key that several have. Still, who has the key, the name and the very
// endpoint of a site to which no address was lent is that site, as far as such a key can tell.
static bool same_site(const struct ike_sa *sa, const struct ike_session *o)
{
	return !o->lease_count && o->sa->v1->psk == sa->v1->psk;
}

static struct ike_session *latest_at(
	const struct ike_sa *sa, const struct ike_peer *peer, const struct endpoint *remote)
{
	const struct ike_place *p = ike_place_find(sa->engine, peer, remote);
	struct ike_session *o = p ? TAILQ_FIRST(&p->sessions) : NULL, *found = NULL;
	struct ike_look left = IKE_LOOK_FEW;
	for (; ike_look(o, &left); o = TAILQ_NEXT(o, of_place))
		if (may_follow(sa, o) && !forgotten(sa, o->sa) &&
			(!ike_peer_anonymous(peer) || same_site(sa, o)) &&
			(!found || o->id > found->id))
			found = o;
	return found;
}

// Of the same connection, from where the peer was: vpnc begins from its old socket and goes on, where
// there is a NAT, from another one.
struct ike_session *ikev1_session_before(const struct ike_sa *sa)
{
	struct ike_peer peer = ikev1_login_peer(sa);
	if (sa->reauth_session)
		return named(sa);
	struct ike_session *here = latest_at(sa, &peer, &sa->remote);
	if (ike_peer_anonymous(&peer) || endpoint_eq(&sa->v1->began, &sa->remote))
		return here;
	struct ike_session *there = latest_at(sa, &peer, &sa->v1->began);
	return !here || (there && there->id > here->id) ? there : here;
}

// ---- the old one ---------------------------------------------------------------------------------

// As responder we are done with phase 1 before the peer is, which may never hear our last message.
static struct ike_sa *unheard_heir(const struct ike_sa *sa)
{
	struct ike_session *s = ike_session_by_id(sa->engine, sa->v1->retired_from);
	struct ike_sa *heir = s && ikev1_is(s->sa) ? s->sa : NULL;
	bool unheard = heir && heir != sa && heir->state == IKE_SA_ESTABLISHED &&
		       !heir->initiator && heir->last_heard_ns <= heir->established_ns;
	return unheard ? heir : NULL;
}

static void retired_over(struct wheel_timer *t, void *arg);

// It asks, and the old one waits. Who would answer and does not has not got that far.
static bool put_off(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	struct ike_sa *heir = sa->v1->told ? NULL : unheard_heir(sa);
	if (!heir)
		return false;
	if (++sa->v1->put_off > PUT_OFF_MAX)
		return heir->v1->peer_dpd && ikev1_revive(sa);
	(void)ikev1_probe(heir);
	wheel_set(&e->wheel, &sa->life, e->now_ns + PUT_OFF_NS, retired_over, sa);
	return true;
}

static void retired_over(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	if (put_off(sa))
		return;
	if (sa->v1->told) {
		(void)ike_sa_delete(sa);
		return;
	}
	// DELETE has no answer: it leaves twice.
	sa->v1->told = true;
	ikev1_tell_deleted(sa);
	wheel_set(&e->wheel, &sa->life, e->now_ns + DELETE_AGAIN_S * NS_PER_S, retired_over, sa);
}

// What we began on it and is not there yet is begun anew; a quick mode that the peer has heard of ends.
static bool ends_with(const struct ike_sa *old)
{
	const struct ike_exchange *x = old->out_progress;
	return x && x != old->engine->running && (x->type != IKEV1_EXCHANGE_QUICK || !x->v1.began);
}

// Should both sides wait for each other's DELETE, because they saw things in another order, one of them
// is the first to send one, and the other one's ISAKMP SA is in use again.
static uint64_t patience_ns(const struct ike_engine *e)
{
	uint64_t ns = IKE_REAUTH_GRACE_S * NS_PER_S;
	return ns + random_u64(e->p.random) % ns;
}

// It stays a while for the peer's own DELETE, or until ours.
static void retire(struct ike_sa *old, struct ike_sa *heir, bool ours)
{
	struct ike_engine *e = old->engine;
	if (old->state != IKE_SA_ESTABLISHED || old->v1->deleted) {
		ike_sa_close(old, IKE_REASON_V1_REAUTHENTICATED);
		return;
	}
	ikev1_config_free(old);
	ike_sa_rest(old);
	wheel_cancel(&e->wheel, &old->v1->dpd.again);
	old->v1->dpd.waiting = false;
	old->v1->life_ns = old->life.set ? old->life.due_ms * NS_PER_MS : 0;
	old->v1->retired_from = heir->session->id;
	old->v1->told = false;
	old->v1->put_off = 0;
	heir->v1->spare = ike_sa_our_spi(old);
	ike_sa_state_set(old, IKE_SA_REKEYED);
	ike_tasks_drop(old);
	if (ends_with(old))
		ike_exchange_end(old->out_progress);
	uint64_t after_ns = ours ? RETIRED_S * NS_PER_S : patience_ns(e);
	wheel_set(&e->wheel, &old->life, e->now_ns + after_ns, retired_over, old);
}

struct ike_session *ikev1_session_of(const struct ike_sa *sa)
{
	if (sa->session || !sa->v1->retired_from)
		return sa->session;
	struct ike_session *s = ike_session_by_id(sa->engine, sa->v1->retired_from);
	return s && ikev1_is(s->sa) ? s : NULL;
}

struct ike_sa *ikev1_spare_of(const struct ike_sa *sa)
{
	struct ike_sa *o = sa->v1->spare ? ike_sa_by_spi(sa->engine, sa->v1->spare) : NULL;
	// Who logs in has forgotten his old one.
	bool spare = o && !sa->v1->user_auth && ikev1_is(o) && o->state == IKE_SA_REKEYED &&
		     !o->v1->told && sa->session && o->v1->retired_from == sa->session->id;
	return spare ? o : NULL;
}

bool ikev1_revive(struct ike_sa *sa)
{
	struct ike_session *s = ike_session_by_id(sa->engine, sa->v1->retired_from);
	char text[IKE_SA_TEXT_MAX];
	if (sa->state != IKE_SA_REKEYED || sa->v1->deleted || sa->v1->told || !s || s->closing ||
		!ikev1_is(s->sa))
		return false;
	struct ike_sa *other = s->sa;
	ike_count(sa->engine, IKE_REASON_V1_REVIVED);
	log_debug("%s in use again", ike_sa_text(sa, text));
	ike_session_move(s, sa);
	ike_sa_state_set(sa, IKE_SA_ESTABLISHED);
	ike_sa_resume(sa, sa->v1->life_ns);
	sa->v1->retired_from = 0;
	retire(other, sa, other->initiator);
	ike_session_moved(s);
	return true;
}

// ---- the new one ---------------------------------------------------------------------------------

static bool wins(const struct ike_sa *fresh, const struct ike_sa *present)
{
	if (!collided(fresh, present))
		return true;
	if (!fresh->v1->peer_settles || !present->v1->peer_settles)
		return fresh->v1->proof_ns >= present->v1->proof_ns;
	return fresh->spi_i != present->spi_i ? fresh->spi_i > present->spi_i
					      : fresh->spi_r > present->spi_r;
}

// One that we made on the old ISAKMP SA while the peer was at the new one: it may go with the old one,
// without a word.
static bool doubtful(const struct ike_child *c, const struct ike_sa *sa)
{
	return !sa->initiator && !sa->v1->peer_settles && c->initiated &&
	       c->joined_ns + COLLIDED_NS >= sa->created_ns;
}

// strongSwan's child SAs belong to one of its ISAKMP SAs. Ours has adopted them; the one that it has begun
// meanwhile in place of the one before ours leaves them there, and they go with it.
static bool left_behind(const struct ike_sa *sa, const struct ike_sa *old)
{
	return !sa->initiator && !sa->v1->peer_settles && old->initiator &&
	       sa->created_ns <= old->established_ns + (RETIRED_S + DELETE_AGAIN_S) * NS_PER_S;
}

// Those that came to their time while there was no ISAKMP SA, too. all: the peer may have given them up.
static void wake_children(struct ike_sa *sa, bool all)
{
	struct ike_session *s = sa->session;
	bool by_time = s->conn->lifetime.child_rekey_s;
	struct ike_child *c;
	if (s->conn->responder_only)
		return;
	LIST_FOREACH (c, &s->children, link)
		if (c->state == IKE_CHILD_ACTIVE && !c->rekeying &&
			(all || (by_time && (!c->soft.set || doubtful(c, sa)))))
			ike_child_rekey_failed(c, true);
}

static void follow(struct ike_sa *sa, struct ike_session *s, bool both)
{
	struct ike_sa *old = s->sa;
	bool expired = old->state == IKE_SA_EXPIRED;
	// strongSwan adopts the child SAs of one old ISAKMP SA; those that were made on another one go with that.
	bool others = !sa->v1->peer_settles && ikev1_spare_of(old);
	ike_session_move(s, sa);
	sa->v1->took_over_ns = sa->engine->now_ns;
	ike_sa_established(sa);
	bool all = (expired && sa->initiator) || left_behind(sa, old) || others;
	retire(old, sa, both ? old->initiator : sa->initiator);
	ike_session_moved(s);
	wake_children(sa, all);
	if (expired)
		ike_starter_child_gone(s);
}

static void stand_back(struct ike_sa *sa, struct ike_session *s)
{
	ike_sa_established(sa);
	retire(sa, s->sa, sa->initiator);
}

struct ike_sa *ikev1_take_over(struct ike_sa *sa, struct ike_session *s)
{
	struct ike_engine *e = sa->engine;
	struct ike_session *own = sa->session;
	struct ike_sa *present = s->sa;
	bool both = collided(sa, present), first = wins(sa, present);
	if (sa->reauth_session)
		s->rekeying = false;
	sa->reauth_session = 0;
	if (own) // that of a connection which is up by now
		ike_session_close(own, IKE_REASON_V1_REAUTHENTICATED);
	ike_count(e, IKE_REASON_V1_REAUTHENTICATED);
	if (both)
		ike_count(e, IKE_REASON_V1_REDUNDANT);
	if (first)
		follow(sa, s, both);
	else
		stand_back(sa, s);
	return s->sa;
}

// ---- ours to begin -------------------------------------------------------------------------------

// Who is asked for a user has to type a password, perhaps; and who called to get an address of us is a
// client. Both come again by themselves.
bool ikev1_reauth_is_ours(const struct ike_sa *sa)
{
	const struct ike_session *s = sa->session;
	if (s->conn->remote.user_auth != CFG_USER_NONE)
		return false;
	return sa->initiator || (!s->user && !s->lease_count);
}

// RFC 3947 4: "if the responder needs to rekey the phase 1 SA, then the rekey negotiation MUST be started
// by using UDP(4500,Y)": where the peer is now.
static struct ike_sa *begin(const struct ike_sa *old)
{
	struct ike_sa *sa = ike_sa_new(old->engine, IKE_MAJOR_1, true);
	struct ike_task t = {.name = "re-authentication", .type = IKEV1_EXCHANGE_MAIN};
	if (!sa)
		return NULL;
	t.build = ikev1_main_build;
	if (old->conn->aggressive) {
		t.type = IKEV1_EXCHANGE_AGGRESSIVE;
		t.build = ikev1_aggressive_build;
	}
	sa->conn = old->conn;
	sa->origin = old->origin;
	sa->local = old->local;
	sa->remote = old->remote;
	sa->floated = old->floated;
	sa->v1->psk = old->v1->psk;
	sa->v1->short_lived = old->state == IKE_SA_EXPIRED ? old->soft_tries : 0;
	if (ike_task_add(sa, &t) == 0)
		return sa;
	ike_sa_close(sa, IKE_REASON_NO_MEMORY);
	return NULL;
}

bool ikev1_peer_begins(const struct ike_sa *sa, uint8_t tries)
{
	return tries < WAITS && ike_half_open_ikev1(sa->engine, &sa->remote.addr);
}

int ikev1_reauthenticate(struct ike_sa *sa)
{
	struct ike_session *s = sa->session;
	if (!s || s->sa != sa || (sa->state != IKE_SA_ESTABLISHED && sa->state != IKE_SA_EXPIRED))
		return -ENOTCONN;
	if (s->closing || s->rekeying || ikev1_peer_begins(sa, sa->soft_tries))
		return -EBUSY;
	if (!ike_may_begin(s))
		return -EPERM;
	if (!ikev1_reauth_is_ours(sa))
		return -ENOTSUP;
	struct ike_sa *fresh = begin(sa);
	if (!fresh)
		return -ENOMEM;
	fresh->reauth_session = s->id;
	s->rekeying = true;
	return 0;
}

void ikev1_reauth_over(struct ike_sa *sa)
{
	struct ike_session *s =
		sa->reauth_session ? ike_session_by_id(sa->engine, sa->reauth_session) : NULL;
	sa->reauth_session = 0;
	if (!s)
		return;
	s->rekeying = false;
	// Unless the peer has done it meanwhile.
	if (!ikev1_is(s->sa) || s->sa->established_ns >= sa->created_ns)
		return;
	ike_sa_rekey_failed(s->sa, true);
	ikev1_expired_answer(s->sa, sa->spi_r != 0);
}
