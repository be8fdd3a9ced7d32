// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Rekeying of the IKE SA in both roles (RFC 7296 1.3.2, 2.18). The session moves to the new IKE SA
// with its children, leases and queued tasks; the old one waits for its DELETE.
#include "controlplane/exchange.h"
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/extension.h"

#include <errno.h>
#include <stdlib.h>

enum step { BEGIN, KE_DONE };

static struct wire_sa_policy ike_policy(uint16_t ke_group)
{
	return (struct wire_sa_policy){
		.protocol = IKEV2_PROTOCOL_IKE,
		.spi_len = 8,
		.prefer_mine = true,
		.ke_group = ke_group,
	};
}

// What does not change by rekeying.
static void inherit(struct ike_sa *sa, const struct ike_sa *old)
{
	sa->local = old->local;
	sa->remote = old->remote;
	sa->origin = old->origin;
	sa->nat_local = old->nat_local;
	sa->nat_remote = old->nat_remote;
	sa->floated = old->floated;
	sa->conn = old->conn;
	sa->peer_fragments = old->peer_fragments;
	sa->peer_childless = old->peer_childless;
	sa->peer_message_id_sync = old->peer_message_id_sync;
	sa->peer_hashes = old->peer_hashes;
	sa->last_heard_ns = old->last_heard_ns;
	sa->authenticated_ns = old->authenticated_ns;
	sa->reauth_ns = old->reauth_ns;
}

static void old_fire(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	ike_count(sa->engine, IKE_REASON_REPLACED);
	ike_sa_close(sa, IKE_REASON_REPLACED);
}

static enum ike_verdict rekey_build(struct ike_exchange *x);

// A rekeying, or a DELETE because its own time is over, is the old IKE SA's alone. A DELETE that is to
// end the session does so on the new one.
static bool stays_behind(const struct ike_session *s, const struct ike_task *t)
{
	if (t->build == rekey_build)
		return true;
	return ikev2_is_delete(t) && !s->closing && !s->engine->shutting_down;
}

// What is queued goes on with the new IKE SA; the old one gets its own DELETE from who owes it.
static void move_tasks(struct ike_sa *old, struct ike_sa *sa)
{
	struct ike_task *t;
	while ((t = TAILQ_FIRST(&old->tasks))) {
		TAILQ_REMOVE(&old->tasks, t, link);
		if (stays_behind(sa->session, t)) {
			ike_count(sa->engine, IKE_REASON_REKEY_OVERTAKEN);
			ike_task_free(t);
			continue;
		}
		sa->delete_queued |= ikev2_is_delete(t);
		TAILQ_INSERT_TAIL(&sa->tasks, t, link);
	}
	ike_sa_has_work(sa);
	old->delete_queued = false;
}

static void rivals_part(struct ike_sa *sa)
{
	if (sa->rival)
		sa->rival->rival = NULL;
	sa->rival = NULL;
}

// It has no session, or no longer: the peer will delete it.
static void retire(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	if (sa->state == IKE_SA_ESTABLISHED)
		ike_sa_state_set(sa, IKE_SA_REKEYED);
	ike_sa_soft_stop(sa);
	wheel_cancel(&e->wheel, &sa->reauth);
	wheel_cancel(&e->wheel, &sa->dpd);
	wheel_cancel(&e->wheel, &sa->keepalive);
	wheel_set(&e->wheel, &sa->life, e->now_ns + IKE_REKEYED_GRACE_S * NS_PER_S, old_fire, sa);
}

// Where the peer moved to while the new one was being made, by whichever it was heard last. True: the
// tunnel has to follow.
static bool take_place(const struct ike_sa *old, struct ike_sa *sa)
{
	if (endpoint_eq(&old->remote, &sa->remote) && endpoint_eq(&old->local, &sa->local))
		return false;
	// Only a NAT's new mapping is learned by any message.
	if (sa->nat_remote && old->last_heard_ns <= sa->last_heard_ns)
		return true;
	sa->local = old->local;
	sa->remote = old->remote;
	sa->origin = old->origin;
	sa->floated = old->floated;
	sa->nat_local = old->nat_local;
	sa->nat_remote = old->nat_remote;
	return false;
}

// The session goes to the new IKE SA, whoever has made it. Once.
static void succeed(struct ike_sa *old, struct ike_sa *sa)
{
	struct ike_session *s = old->session;
	rivals_part(old);
	bool moved = take_place(old, sa);
	ike_session_move(s, sa);
	if (moved)
		ike_session_moved(s);
	ikev2_inherit(sa, old);
	s->rekeying = false;
	move_tasks(old, sa);
	ike_sa_established(sa);
	retire(old);
	ike_count(old->engine, IKE_REASON_IKE_REKEYED);
}

static bool set_nonces(struct ike_sa *sa, struct view ni, struct view nr)
{
	return secret_copy(&sa->nonce_i, ni.p, ni.len) == 0 &&
	       secret_copy(&sa->nonce_r, nr.p, nr.len) == 0;
}

// ---- responder -------------------------------------------------------------------------------

// RFC 7296 2.25.2: "If a peer receives a request to rekey the IKE SA [...] when it is currently creating,
// rekeying, or closing a Child SA of that IKE SA, it SHOULD reply with TEMPORARY_FAILURE." What of ours
// is only queued moves; a probe may end on the old one; and of two rekeyings of the IKE SA 2.8.2 says
// what becomes.
static bool is_busy(const struct ike_sa *sa)
{
	const struct ike_exchange *ours = sa->out_progress;
	return ours && !ours->task->probe && ours->task->build != rekey_build;
}

static void apply_rekeyed(struct ike_exchange *x, void *arg)
{
	succeed(x->sa, arg);
}

// RFC 7296 2.25.2: "a request to rekey an IKE SA that it is currently rekeying, it SHOULD reply as usual,
// and SHOULD prepare to close redundant SAs and move inherited Child SAs later based on the nonces". The
// peer may use the new one at once: it knows of no collision if our request is lost.
static void apply_aside(struct ike_exchange *x, void *arg)
{
	struct ike_sa *old = x->sa, *sa = arg, *before = old->rival;
	const struct ike_create *theirs = x->state;
	rivals_part(old);
	if (before) // the peer has tried again
		ike_sa_close(before, IKE_REASON_REPLACED);
	ike_rival_note(ike_create_sent(old), &theirs->terms, 0);
	old->rival = sa;
	sa->rival = old;
	ike_sa_state_set(sa, IKE_SA_ESTABLISHED);
	ike_sa_spi_known(sa);
	ike_count(old->engine, IKE_REASON_REKEY_SIMULTANEOUS);
}

void ikev2_rival_heard(struct ike_sa *sa)
{
	if (sa->rival && !sa->session && sa->rival->session)
		succeed(sa->rival, sa);
}

void ikev2_rival_close(struct ike_sa *sa)
{
	struct ike_sa *other = sa->rival;
	rivals_part(sa);
	if (other->session)
		return; // the peer's new one has gone, ours stays
	if (sa->session && sa->state != IKE_SA_DELETING)
		succeed(sa, other);
	else
		(void)ikev2_delete_ike_sa(other);
}

static enum ike_verdict finish(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_sa *old = x->sa;
	struct wire_builder *b = &x->out.b;
	if (!old->session || old->session->closing || old->state != IKE_SA_ESTABLISHED ||
		is_busy(old)) // meanwhile begun by us
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_sa *sa = ike_sa_new(c->engine, IKE_MAJOR_2, false);
	if (!sa)
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	c->new_spi = sa->spi_r;
	inherit(sa, old);
	sa->spi_i = c->plan.choice.spi;
	sa->suite = c->plan.choice.suite;
	bool collides = ike_create_sent(old) != NULL;
	if (!set_nonces(sa, c->terms.nonce_i, c->terms.nonce_r) ||
		ike_sa_keys(sa, c->terms.shared, old) != IKE_CRYPTO_OK ||
		ike_effect_add(x, collides ? apply_aside : apply_rekeyed, NULL, sa) < 0)
		return ike_fail(x, IKE_REASON_CRYPTO, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_dh *dh = IKE_JOB_AS(ike_dh_job, x->job)->dh;
	wire_build_choice(b, &c->plan.choice, sa->spi_r);
	wire_put_nonce(b, c->terms.nonce_r);
	wire_put_ke(b, ike_dh_group(dh), ike_dh_public(dh));
	ikev2_rekey_read(x, sa);
	ikev2_rekey_put(x, sa);
	return IKE_DONE;
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	const struct cfg_connection *conn = x->sa->session->conn;
	struct wire_ke ke;
	if (is_busy(x->sa))
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_create *c = ike_create_new(x);
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	c->rekey_ike = true;
	if (wire_sa_parse(x->in.sa, &c->terms.sa) != WIRE_OK ||
		wire_nonce_parse(x->in.nonce, &c->terms.nonce_i) != WIRE_OK ||
		wire_ke_parse(x->in.ke, &ke) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	c->terms.nonce_r = (struct view){c->nonce, sizeof(c->nonce)};
	struct wire_sa_policy policy = ike_policy(ke.group);
	if (wire_select(conn->ike_proposals, conn->ike_proposal_count, &policy, &c->terms.sa,
		    &c->plan.choice) != WIRE_OK ||
		c->plan.choice.spi == 0)
		return ike_fail(x, IKE_REASON_NO_PROPOSAL, IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN);
	enum ike_verdict v = ike_create_ke(x, c->plan.choice.suite.dh, &ke);
	if (v != IKE_DONE)
		return v;
	struct ike_dh_job *job = ike_dh_job_respond(ke.group, ke.value);
	return ike_wait_job(x, job ? &job->base.job : NULL, KE_DONE);
}

enum ike_verdict ikev2_rekey_ike_request(struct ike_exchange *x)
{
	if (x->step == BEGIN)
		return begin(x);
	enum ike_verdict v = ike_create_shared(x);
	return v == IKE_DONE ? finish(x) : v;
}

// ---- initiator -------------------------------------------------------------------------------

// While it waited: the session may have ended, or moved by a rekeying of the peer's.
static bool is_wanted(const struct ike_sa *sa)
{
	return sa->session && sa->state == IKE_SA_ESTABLISHED && ike_may_begin(sa->session);
}

static enum ike_verdict put_request(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	const struct cfg_connection *conn = x->sa->conn;
	struct wire_sa_policy policy = ike_policy(c->group);
	bool wanted = is_wanted(x->sa);
	enum ike_reason why = wanted ? IKE_REASON_NO_MEMORY : IKE_REASON_REKEY_OVERTAKEN;
	struct ike_sa *sa = wanted ? ike_sa_new(c->engine, IKE_MAJOR_2, true) : NULL;
	if (!sa)
		return ike_fail(x, why, 0);
	c->new_spi = sa->spi_i;
	inherit(sa, x->sa);
	wire_build_sa(&x->out.b, conn->ike_proposals, conn->ike_proposal_count, &policy, sa->spi_i);
	wire_put_nonce(&x->out.b, (struct view){c->nonce, sizeof(c->nonce)});
	wire_put_ke(&x->out.b, c->group, ike_dh_public(c->dh));
	ikev2_rekey_put(x, sa);
	return IKE_DONE;
}

// The group in use is one that both sides have.
static enum ike_verdict rekey_build(struct ike_exchange *x)
{
	struct ike_want *want = x->task->arg;
	if (x->step == KE_DONE) {
		enum ike_verdict v = ike_create_generated(x);
		return v == IKE_DONE ? put_request(x) : v;
	}
	if (!is_wanted(x->sa))
		return ike_fail(x, IKE_REASON_REKEY_OVERTAKEN, 0);
	struct ike_create *c = ike_create_new(x);
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	c->rekey_ike = true;
	c->group = want->group ? want->group : x->sa->suite.dh;
	return ike_create_generate(x, c->group, KE_DONE);
}

// RFC 7296 2.8.2: "The new IKE SA containing the lowest nonce SHOULD be deleted by the node that created
// it, and the other surviving new IKE SA MUST inherit all the Child SAs."
static void settle(struct ike_create *c, struct ike_sa *old, struct ike_sa *sa)
{
	struct ike_sa *rival = old->rival;
	if (old->session && !(rival && ike_rival_prevails(c))) {
		rivals_part(old);
		succeed(old, sa);
		(void)ikev2_delete_ike_sa(old); // without memory its time ends it
		if (rival)
			retire(rival);
		return;
	}
	if (old->session)
		succeed(old, rival);
	ike_count(c->engine, IKE_REASON_REKEY_REDUNDANT);
	ike_sa_state_set(sa, IKE_SA_ESTABLISHED);
	(void)ikev2_delete_ike_sa(sa);
}

static enum ike_verdict take_over(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_sa *sa = ike_sa_by_spi(c->engine, c->new_spi), *old = x->sa;
	if (!sa)
		return ike_fail(x, IKE_REASON_CLOSED, 0);
	sa->spi_r = c->plan.choice.spi;
	sa->suite = c->plan.choice.suite;
	// A session that is about to end goes on there too: its DELETE is among the queued tasks.
	if (!set_nonces(sa, c->terms.nonce_i, c->terms.nonce_r) ||
		ike_sa_keys(sa, c->terms.shared, old) != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	ikev2_rekey_read(x, sa);
	settle(c, old, sa);
	return IKE_DONE;
}

static enum ike_verdict rekey_response(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	const struct cfg_connection *conn = x->sa->conn;
	if (c->terms.nonce_r.p) {
		enum ike_verdict v = ike_create_shared(x);
		return v == IKE_DONE ? take_over(x) : v;
	}
	if (wire_notify_error(&x->in) || !x->in.sa.p) {
		bool later = wire_notify_find(&x->in, IKEV2_NOTIFY_TEMPORARY_FAILURE);
		if (!x->sa->rival && x->sa->session)
			ike_create_retry_group(x, conn->ike_proposals, conn->ike_proposal_count);
		((struct ike_want *)x->task->arg)->refused = !later;
		return ike_fail(x, later ? IKE_REASON_REKEY_LATER : IKE_REASON_REKEY_REFUSED, 0);
	}
	struct wire_sa_policy policy = ike_policy(c->group);
	if (wire_sa_parse(x->in.sa, &c->terms.sa) != WIRE_OK ||
		wire_check_choice(conn->ike_proposals, conn->ike_proposal_count, &policy,
			&c->terms.sa, &c->plan.choice) != WIRE_OK ||
		c->plan.choice.suite.dh != c->group || c->plan.choice.spi == 0)
		return ike_fail(x, IKE_REASON_PROPOSAL_ALTERED, 0);
	return ike_create_peer_ke(x, c->group, 0);
}

static void rekey_failed(struct ike_sa *sa, struct ike_task *t)
{
	const struct ike_want *want = t->arg;
	if (!sa->session || want->again)
		return;
	if (sa->rival && sa->state != IKE_SA_DEAD) {
		succeed(sa, sa->rival); // the peer's has not failed
		return;
	}
	sa->session->rekeying = false;
	ike_sa_rekey_failed(sa, !want->refused);
}

int ikev2_rekey_ike(struct ike_sa *sa)
{
	struct ike_want *want = calloc(1, sizeof(*want));
	struct ike_task t = {
		.name = "rekey of the IKE SA",
		.type = IKEV2_EXCHANGE_CREATE_CHILD_SA,
		.build = rekey_build,
		.response = rekey_response,
		.failed = rekey_failed,
		.arg = want,
		.arg_free = free,
	};
	if (!want)
		return -ENOMEM;
	if (!sa->session || sa->session->rekeying || sa->state != IKE_SA_ESTABLISHED) {
		free(want);
		return -EBUSY;
	}
	sa->session->rekeying = true;
	int rc = ike_task_add(sa, &t);
	if (rc < 0)
		sa->session->rekeying = false;
	return rc;
}
