// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// CREATE_CHILD_SA as responder (RFC 7296 1.3, 2.8, 2.25): new child SAs and their rekeying.
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/resource.h"

#include <stdlib.h>

enum step { BEGIN, KE_DONE };

static void create_free(void *arg)
{
	struct ike_create *c = arg;
	struct ike_child *child = c->spi_in ? ike_child_by_spi_in(c->engine, c->spi_in) : NULL;
	if (child && !child->joined && child->state != IKE_CHILD_GONE)
		ike_child_drop(child);
	struct ike_sa *sa = c->new_spi ? ike_sa_by_spi(c->engine, c->new_spi) : NULL;
	if (sa && sa->state == IKE_SA_NEW)
		ike_sa_close(sa, IKE_REASON_REKEY_REFUSED);
	ike_dh_free(c->dh);
	secret_fini(&c->shared);
	free(c);
}

struct ike_create *ike_create_new(struct ike_exchange *x)
{
	struct ike_create *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->engine = x->sa->engine;
	random_fill(c->engine->p.random, c->nonce, sizeof(c->nonce));
	x->state = c;
	x->state_free = create_free;
	return c;
}

enum ike_verdict ike_create_ke(struct ike_exchange *x, uint16_t group, struct wire_ke *out)
{
	uint8_t wanted[2] = {(uint8_t)(group >> 8), (uint8_t)group};
	if (x->in.ke.p && wire_ke_parse(x->in.ke, out) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	// RFC 7296 1.3: "the responder MUST reject the request and indicate its preferred
	// Diffie-Hellman group in the INVALID_KE_PAYLOAD Notify payload".
	if (!x->in.ke.p || out->group != group)
		return ike_fail_data(x, IKE_REASON_CHILD_INVALID_KE,
			IKEV2_NOTIFY_INVALID_KE_PAYLOAD, wanted, sizeof(wanted));
	return IKE_DONE;
}

enum ike_verdict ike_create_shared(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	if (x->got != IKE_GOT_JOB || !x->job)
		return ike_fail(x, IKE_REASON_JOB_TIMEOUT, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	struct ike_dh_job *job = IKE_JOB_AS(ike_dh_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return ike_fail_fatal(x, IKE_REASON_BAD_KE, IKEV2_NOTIFY_INVALID_SYNTAX);
	secret_move(&c->shared, &job->shared);
	c->terms.shared = secret_view(&c->shared);
	return IKE_DONE;
}

// ---- the end: child, reply -------------------------------------------------------------------

static enum ike_verdict install_late(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_child *child = ike_child_by_spi_in(c->engine, c->spi_in);
	if (child)
		ike_child_drop(child);
	return ike_fail(x, IKE_REASON_INSTALL_TIMEOUT, IKEV2_NOTIFY_TEMPORARY_FAILURE);
}

static uint16_t notify_of(enum ike_reason why)
{
	switch (why) {
	case IKE_REASON_ROUTE_TAKEN:
	case IKE_REASON_ROUTE_LIMIT:
		return IKEV2_NOTIFY_TS_UNACCEPTABLE;
	case IKE_REASON_SPI_EXHAUSTED:
		return IKEV2_NOTIFY_NO_ADDITIONAL_SAS;
	default:
		return IKEV2_NOTIFY_TEMPORARY_FAILURE;
	}
}

static void put_reply(
	struct ike_exchange *x, const struct ike_create *c, const struct ike_child *child)
{
	struct wire_builder *b = &x->out.b;
	ike_transport_put(b, child->mode);
	wire_build_choice(b, &c->plan.choice, child->spi_in);
	wire_put_nonce(b, (struct view){c->nonce, sizeof(c->nonce)});
	if (x->job) {
		struct ike_dh *dh = IKE_JOB_AS(ike_dh_job, x->job)->dh;
		wire_put_ke(b, ike_dh_group(dh), ike_dh_public(dh));
	}
	wire_put_ts(b, IKEV2_PAYLOAD_TSI, child->ts_remote, child->ts_remote_count);
	wire_put_ts(b, IKEV2_PAYLOAD_TSR, child->ts_local, child->ts_local_count);
	if (child->conf->per_resource && ike_resource_named(&x->in)) {
		ike_resource_put(b);
		ike_resources_agreed(x->sa->session, true);
	}
}

// The peer names the inbound SPI that it has no longer.
static enum ike_verdict not_found(struct ike_exchange *x, uint32_t spi)
{
	ike_refused(x->sa->engine, x->sa, &x->sa->remote, IKE_REASON_CHILD_UNKNOWN);
	wire_put_notify_esp(
		&x->out.b, IKEV2_NOTIFY_CHILD_SA_NOT_FOUND, spi, (struct view){NULL, 0});
	return IKE_DONE;
}

// RFC 7296 2.25.1: "If a peer receives a request to rekey a Child SA that it is currently trying to
// close, it SHOULD reply with TEMPORARY_FAILURE." That includes one whose successor is in use, or of our
// making.
static bool is_ending(const struct ike_child *c)
{
	const struct ike_child *next = ike_child_successor(c);
	return c->state == IKE_CHILD_DELETING || c->state == IKE_CHILD_REKEYED ||
	       (next && next->ours);
}

// RFC 7296 2.25.1: "a request to rekey a Child SA that it is currently rekeying, it SHOULD reply as
// usual, and SHOULD prepare to close redundant SAs later based on the nonces".
static void note_collision(struct ike_sa *sa, const struct ike_create *theirs, uint32_t spi_in)
{
	struct ike_create *ours = ike_create_sent(sa);
	if (!ours || ours->rekey_ike || ours->old_spi != theirs->old_spi)
		return;
	ike_count(sa->engine, IKE_REASON_REKEY_SIMULTANEOUS);
	ike_rival_note(ours, &theirs->terms, spi_in);
}

// RFC 9611: one that the peer wants for a resource of its own is one of ours too.
static uint16_t worker_of(const struct ike_exchange *x, const struct ike_child *old)
{
	const struct ike_create *c = x->state;
	const struct ike_session *s = x->sa->session;
	if (old)
		return old->worker;
	if (c->plan.conf->per_resource && ike_resource_named(&x->in))
		return ike_resource_worker(s, c->plan.conf);
	return s->worker;
}

static enum ike_verdict finish(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_session *s = x->sa->session;
	struct ike_child *old = NULL;
	enum ike_reason why;
	if (!s || s->closing || x->sa->state != IKE_SA_ESTABLISHED)
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	if (c->old_spi) {
		old = ike_child_by_spi_in(c->engine, c->old_spi);
		if (!old || old->session != s)
			return not_found(x, c->peer_spi);
		if (is_ending(old))
			return ike_fail(
				x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	}
	struct ike_child *child = ike_child_new_on(s, worker_of(x, old), &why);
	if (!child)
		return ike_fail(x, why, notify_of(why));
	ike_child_set(child, &c->plan, (uint32_t)c->plan.choice.spi);
	why = ike_child_install(child, &c->terms, false);
	if (why != IKE_REASON_NONE) {
		ike_child_drop(child);
		return ike_fail(x, why, notify_of(why));
	}
	c->spi_in = child->spi_in;
	put_reply(x, c, child);
	child->switch_at_install = !old;
	ike_child_join(child, old);
	if (old)
		note_collision(x->sa, c, child->spi_in);
	ike_session_watch(s);
	x->out.await_child = child->spi_in;
	x->out.await_failed = install_late;
	return IKE_DONE;
}

// ---- the beginning: what is asked for --------------------------------------------------------

// Rekeying must not narrow what is in use (RFC 7296 2.9.2).
static bool covers(const struct selector *now, uint8_t n, const struct selector *before, uint8_t m)
{
	for (uint8_t i = 0; i < m; i++) {
		bool within = false;
		for (uint8_t k = 0; k < n && !within; k++)
			within = selector_within(&before[i], &now[k]);
		if (!within)
			return false;
	}
	return true;
}

static enum ike_verdict decide(struct ike_exchange *x, const struct ike_child *old)
{
	struct ike_create *c = x->state;
	struct ike_session *s = x->sa->session;
	struct wire_ke ke = {0};
	if (x->in.ke.p && wire_ke_parse(x->in.ke, &ke) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	struct ike_child_ask ask = {
		.cfg = c->engine->p.cfg,
		.conn = s->conn,
		.only = old ? old->conf : NULL,
		.sa = x->sa,
		.peer = ike_peer_side(s, x->sa),
		.ke_group = ke.group,
	};
	uint16_t notify;
	enum ike_reason why = ike_child_decide(&ask, &c->terms, &c->plan, &notify);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, notify);
	if (!old && ike_resource_named(&x->in) && !ike_resource_room(s, c->plan.conf))
		return ike_fail(x, IKE_REASON_MAX_QUEUE, IKEV2_NOTIFY_TS_MAX_QUEUE);
	if (old && (!covers(c->plan.ts_local, c->plan.ts_local_count, old->ts_local,
			    old->ts_local_count) ||
			   !covers(c->plan.ts_remote, c->plan.ts_remote_count, old->ts_remote,
				   old->ts_remote_count)))
		return ike_fail(x, IKE_REASON_TS_REKEY, IKEV2_NOTIFY_TS_UNACCEPTABLE);
	uint16_t group = c->plan.choice.suite.dh;
	if (group == DH_NONE)
		return finish(x);
	enum ike_verdict v = ike_create_ke(x, group, &ke);
	if (v != IKE_DONE)
		return v;
	struct ike_dh_job *job = ike_dh_job_respond(group, ke.value);
	return ike_wait_job(x, job ? &job->base.job : NULL, KE_DONE);
}

static enum ike_verdict create_child(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	const struct wire_notify *rekey = wire_notify_find(&x->in, IKEV2_NOTIFY_REKEY_SA);
	struct ike_child *old = NULL;
	if (rekey) {
		struct rd r = rd_view(rekey->spi);
		uint32_t spi;
		// RFC 7296 3.10: the notify names the child SA by its protocol and SPI.
		if (rekey->protocol != IKEV2_PROTOCOL_ESP || !rd_u32(&r, &spi) || !rd_empty(&r))
			return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
		old = ike_child_by_spi_out(s, spi);
		// It may be the one that our own request asks for: the response is not here yet.
		if (!old && ike_create_sent(x->sa))
			return ike_fail(
				x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
		if (!old)
			return not_found(x, spi);
		if (is_ending(old))
			return ike_fail(
				x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	}
	if ((!old && ike_children_live(s) >= ike_children_max(s)) ||
		s->child_count >= 2 * ike_children_max(s))
		return ike_fail(x, IKE_REASON_CHILD_LIMIT, IKEV2_NOTIFY_NO_ADDITIONAL_SAS);
	struct ike_create *c = ike_create_new(x);
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	if (ike_child_terms_parse(&x->in, &c->terms) != IKE_REASON_NONE ||
		wire_nonce_parse(x->in.nonce, &c->terms.nonce_i) != WIRE_OK)
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	c->terms.nonce_r = (struct view){c->nonce, sizeof(c->nonce)};
	c->old_spi = old ? old->spi_in : 0;
	c->peer_spi = old ? old->spi_out : 0;
	return decide(x, old);
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	ikev2_rival_heard(x->sa);
	struct ike_session *s = x->sa->session;
	if (!s || s->closing || x->sa->state != IKE_SA_ESTABLISHED)
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	if (ike_child_rate_exceeded(s))
		return ike_fail(x, IKE_REASON_REKEY_RATE, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	if (wire_variant(&x->in, IKEV2_EXCHANGE_CREATE_CHILD_SA, false) == WIRE_V_IKE_REKEY)
		return ikev2_rekey_ike_request(x);
	// RFC 7296 2.25.2: "If a peer receives a request to create or rekey a Child SA when it is
	// currently rekeying the IKE SA, it SHOULD reply with TEMPORARY_FAILURE."
	const struct ike_create *ours = ike_create_sent(x->sa);
	if (ours && ours->rekey_ike)
		return ike_fail(x, IKE_REASON_REKEY_COLLISION, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	return create_child(x);
}

enum ike_verdict ikev2_create_child_request(struct ike_exchange *x)
{
	if (x->step == BEGIN)
		return begin(x);
	if (((struct ike_create *)x->state)->rekey_ike)
		return ikev2_rekey_ike_request(x);
	enum ike_verdict v = ike_create_shared(x);
	return v == IKE_DONE ? finish(x) : v;
}
