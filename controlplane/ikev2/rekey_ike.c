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

// The session and what is queued go to the new IKE SA.
static void succeed(struct ike_sa *old, struct ike_sa *sa)
{
	struct ike_engine *e = old->engine;
	struct ike_session *s = old->session;
	ike_session_move(s, sa);
	ikev2_inherit(sa, old);
	s->rekeying = false;
	if (!TAILQ_EMPTY(&old->tasks)) {
		TAILQ_CONCAT(&sa->tasks, &old->tasks, link);
		ike_sa_has_work(sa);
	}
	// A DELETE that waited has moved as well, and ends the session there; the old one gets its own.
	sa->delete_queued = old->delete_queued;
	old->delete_queued = false;
	ike_sa_established(sa);
	ike_sa_soft_stop(old);
	wheel_cancel(&e->wheel, &old->reauth);
	wheel_cancel(&e->wheel, &old->dpd);
	wheel_cancel(&e->wheel, &old->keepalive);
	wheel_set(&e->wheel, &old->life, e->now_ns + IKE_REKEYED_GRACE_S * NS_PER_S, old_fire, old);
	ike_count(e, IKE_REASON_IKE_REKEYED);
}

static bool set_nonces(struct ike_sa *sa, struct view ni, struct view nr)
{
	return secret_copy(&sa->nonce_i, ni.p, ni.len) == 0 &&
	       secret_copy(&sa->nonce_r, nr.p, nr.len) == 0;
}

// ---- responder -------------------------------------------------------------------------------

// RFC 7296 2.25.2: while we make or rekey SAs ourselves, "a peer [...] SHOULD respond with
// TEMPORARY_FAILURE".
static bool creating(const struct ike_sa *sa)
{
	return sa->out_progress && sa->out_progress->type != IKEV2_EXCHANGE_INFORMATIONAL;
}

static void apply_rekeyed(struct ike_exchange *x, void *arg)
{
	succeed(x->sa, arg);
}

static enum ike_verdict finish(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_sa *old = x->sa;
	struct wire_builder *b = &x->out.b;
	if (!old->session || old->session->closing || old->state != IKE_SA_ESTABLISHED ||
		creating(old)) // meanwhile begun by us
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_sa *sa = ike_sa_new(c->engine, IKE_MAJOR_2, false);
	if (!sa)
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	c->new_spi = sa->spi_r;
	inherit(sa, old);
	sa->spi_i = c->plan.choice.spi;
	sa->suite = c->plan.choice.suite;
	if (!set_nonces(sa, c->terms.nonce_i, c->terms.nonce_r) ||
		ike_sa_keys(sa, c->terms.shared, old) != IKE_CRYPTO_OK ||
		ike_effect_add(x, apply_rekeyed, NULL, sa) < 0)
		return ike_fail(x, IKE_REASON_CRYPTO, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_dh *dh = IKE_JOB_AS(ike_dh_job, x->job)->dh;
	wire_build_choice(b, &c->plan.choice, sa->spi_r);
	wire_put_nonce(b, c->terms.nonce_r);
	wire_put_ke(b, ike_dh_group(dh), ike_dh_public(dh));
	ikev2_rekey_read(x, sa);
	ikev2_rekey_put(x, sa);
	ike_next_state(x, IKE_SA_REKEYED);
	return IKE_DONE;
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	const struct cfg_connection *conn = x->sa->session->conn;
	struct wire_ke ke;
	if (creating(x->sa))
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

static enum ike_verdict put_request(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	const struct cfg_connection *conn = x->sa->conn;
	struct wire_sa_policy policy = ike_policy(c->group);
	struct ike_sa *sa = ike_sa_new(c->engine, IKE_MAJOR_2, true);
	if (!sa)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
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
	struct ike_create *c = x->sa->session ? ike_create_new(x) : NULL;
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	c->rekey_ike = true;
	c->group = want->group ? want->group : x->sa->suite.dh;
	return ike_create_generate(x, c->group, KE_DONE);
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
	if (!old->session || !set_nonces(sa, c->terms.nonce_i, c->terms.nonce_r) ||
		ike_sa_keys(sa, c->terms.shared, old) != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	ikev2_rekey_read(x, sa);
	succeed(old, sa);
	ike_sa_state_set(old, IKE_SA_REKEYED);
	(void)ikev2_delete_ike_sa(old); // without memory its time ends it
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
		ike_create_retry_group(x, conn->ike_proposals, conn->ike_proposal_count);
		((struct ike_want *)x->task->arg)->refused =
			!wire_notify_find(&x->in, IKEV2_NOTIFY_TEMPORARY_FAILURE);
		return ike_fail(x, IKE_REASON_REKEY_REFUSED, 0);
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
