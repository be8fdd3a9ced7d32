// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE_AUTH as responder (RFC 7296 1.2): who the peer is, who we are, its addresses, and the first
// child SA. Each step below is one wait; the last one does everything that others can see.
#include "controlplane/ikev2/extension.h"
#include "controlplane/ikev2/mobike.h"
#include "controlplane/ikev2/proof.h"
#include "controlplane/ikev2/resource.h"

#include "controlplane/addresses.h"
#include "controlplane/admission.h"
#include "controlplane/index.h"

#include <stdlib.h>

enum step { BEGIN, VERIFIED, AUTHORIZED, ADDRESS, SIGNED };

struct auth {
	struct ike_engine *engine;
	struct ike_proof proof;
	struct ike_child_terms terms;
	bool wants_child, initial_contact;
	struct ike_cp_state cp;
	struct ike_addresses addresses;
	// Why there will be no child SA; the IKE SA is established all the same.
	enum ike_reason refusal;
	uint16_t refusal_notify;
};

static void auth_free(void *arg)
{
	struct auth *a = arg;
	ike_addresses_release(&a->addresses);
	free(a);
}

static enum ike_verdict refuse(struct ike_exchange *x, enum ike_reason why)
{
	return ike_fail_fatal(x, why, IKEV2_NOTIFY_AUTHENTICATION_FAILED);
}

static enum ike_verdict syntax(struct ike_exchange *x, enum ike_reason why)
{
	return ike_fail_fatal(x, why, IKEV2_NOTIFY_INVALID_SYNTAX);
}

// ---- the last step: reply, session, child ------------------------------------------------------

static void apply_established(struct ike_exchange *x, void *arg)
{
	struct auth *a = x->state;
	struct ike_session *s = x->sa->session;
	ike_sa_established(x->sa);
	ike_session_established(s);
	if (!x->out.await_child)
		ike_session_keep_leases(s);
	ike_supersede(s, a->initial_contact);
	ike_session_watch(s);
}

// The data plane has not taken the SA in time: nothing of this was seen by the peer yet.
static enum ike_verdict install_late(struct ike_exchange *x)
{
	if (x->sa->session)
		ike_session_close(x->sa->session, IKE_REASON_INSTALL_TIMEOUT);
	return refuse(x, IKE_REASON_INSTALL_TIMEOUT);
}

static void refuse_child(struct auth *a, enum ike_reason why, uint16_t notify)
{
	a->refusal = why;
	a->refusal_notify = notify;
}

static struct ike_child *make_child(
	struct ike_exchange *x, struct ike_session *s, struct ike_child_plan *plan)
{
	struct auth *a = x->state;
	struct ike_child_ask ask = {
		.cfg = s->engine->p.cfg,
		.conn = s->conn,
		.sa = x->sa,
		.peer = ike_peer_side(s, x->sa),
		.in_auth = true,
	};
	uint16_t notify = IKEV2_NOTIFY_NO_ADDITIONAL_SAS;
	struct ike_child *c = NULL;
	enum ike_reason why = ike_child_decide(&ask, &a->terms, plan, &notify);
	if (why == IKE_REASON_NONE)
		c = ike_child_new(s, &why);
	if (c) {
		ike_child_set(c, plan, (uint32_t)plan->choice.spi);
		why = ike_child_install(c, &a->terms, false);
	}
	if (why == IKE_REASON_NONE)
		return c;
	if (c)
		ike_child_drop(c);
	if (why == IKE_REASON_ROUTE_TAKEN || why == IKE_REASON_ROUTE_LIMIT)
		notify = IKEV2_NOTIFY_TS_UNACCEPTABLE;
	refuse_child(a, why, notify);
	return NULL;
}

static void put_reply(
	struct ike_exchange *x, const struct ike_child *c, const struct ike_child_plan *plan)
{
	struct auth *a = x->state;
	struct ike_session *s = x->sa->session;
	struct wire_builder *b = &x->out.b;
	ike_proof_put_id(x, &a->proof);
	ike_proof_put_certs(x, &a->proof);
	ike_proof_put_auth(x, &a->proof);
	if (a->cp.asked && s->lease_count)
		ike_cp_reply(b, &a->cp, s->conn, s->leases, s->lease_count);
	if (c) {
		ike_transport_put(b, c->mode);
		wire_build_choice(b, &plan->choice, c->spi_in);
		wire_put_ts(b, IKEV2_PAYLOAD_TSI, c->ts_remote, c->ts_remote_count);
		wire_put_ts(b, IKEV2_PAYLOAD_TSR, c->ts_local, c->ts_local_count);
		if (c->conf->per_resource && ike_resource_named(&x->in)) {
			ike_resource_put(b);
			ike_resources_agreed(s, true);
		}
	} else if (a->refusal != IKE_REASON_NONE) {
		ike_refused(x->sa->engine, x->sa, &x->sa->remote, a->refusal);
		wire_put_notify(b, a->refusal_notify, (struct view){NULL, 0});
	}
	ikev2_auth_put(x);
}

// ---- admission -------------------------------------------------------------------------------

static struct ike_peer peer_of(const struct auth *a)
{
	struct ike_peer peer = {.id = ike_id_view(&a->proof.peer),
		.text = a->proof.text,
		.proven = a->proof.proven};
	ike_peer_groups(a->engine, &peer);
	return peer;
}

static struct ike_admission admission_of(const struct ike_exchange *x)
{
	const struct auth *a = x->state;
	return (struct ike_admission){.sa = x->sa,
		.conn = a->proof.conn,
		.peer = peer_of(a),
		.initial_contact = a->initial_contact};
}

static enum ike_reason admission(struct ike_exchange *x)
{
	struct ike_admission admission = admission_of(x);
	return ike_admit(&admission);
}

static struct ike_session *make_session(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_admission admission = admission_of(x);
	struct ike_session *s = ike_session_admit(&admission, ike_worker_hint(x->sa, &x->from));
	if (s)
		ike_addresses_give(&a->addresses, s);
	return s;
}

static enum ike_verdict finish(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_child_plan plan;
	struct ike_child *c = NULL;
	// While this one waited, others of the same peer may have come in.
	enum ike_reason why = admission(x);
	if (why != IKE_REASON_NONE)
		return refuse(x, why);
	x->sa->conn = a->proof.conn;
	struct ike_session *s = make_session(x);
	if (!s)
		return refuse(x, IKE_REASON_NO_MEMORY);
	if (a->wants_child && a->refusal == IKE_REASON_NONE)
		c = make_child(x, s, &plan);
	ikev2_auth_read(x);
	put_reply(x, c, &plan);
	if (x->out.b.w.overflow || ike_effect_add(x, apply_established, NULL, NULL) < 0) {
		if (c)
			ike_child_drop(c);
		ike_session_close(s, IKE_REASON_NO_MEMORY);
		return refuse(x, IKE_REASON_NO_MEMORY);
	}
	if (!c)
		return IKE_DONE;
	c->switch_at_install = true;
	ike_child_join(c, NULL);
	x->out.await_child = c->spi_in;
	x->out.await_failed = install_late;
	return IKE_DONE;
}

// ---- own AUTH --------------------------------------------------------------------------------

static enum ike_verdict sign(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_verdict v = ike_proof_make(x, &a->proof, SIGNED);
	return v == IKE_DONE ? finish(x) : v;
}

// ---- addresses -------------------------------------------------------------------------------

static enum ike_verdict judge_addresses(struct ike_exchange *x)
{
	struct auth *a = x->state;
	const struct ike_addresses *got = &a->addresses;
	if (got->lease_count) {
		// one family is enough
	} else if (got->refusal == IKE_REASON_TS_POOL) {
		refuse_child(a, got->refusal, IKEV2_NOTIFY_TS_UNACCEPTABLE);
	} else if (a->cp.want_v4 || a->cp.want_v6 || got->refusal != IKE_REASON_NONE) {
		refuse_child(a,
			got->refusal == IKE_REASON_NONE ? IKE_REASON_POOL_EXHAUSTED : got->refusal,
			IKEV2_NOTIFY_INTERNAL_ADDRESS_FAILURE);
	} else if (a->proof.conn->address_required) {
		refuse_child(a, IKE_REASON_CP_REQUIRED, IKEV2_NOTIFY_FAILED_CP_REQUIRED);
	}
	return sign(x);
}

// A site has no attribute to ask for an IPv4 network by: its selectors have room for one, and it asks for
// no address. The very network is asked for again by naming it.
static void want_network(struct auth *a)
{
	struct ike_addresses *w = &a->addresses;
	const struct wire_ts *ts = &a->terms.ts_i;
	for (uint8_t i = 0; i < ts->count && !a->cp.want_v4; i++) {
		const struct ip_range *r = &ts->items[i].range;
		const struct cfg_pool *p =
			r->lo.family == IP_V4 ? ike_pool_within(w, IKE_PREFIX_V4, r) : NULL;
		if (!p)
			continue;
		// One that leaves us the choice beside it does so for both.
		bool one = ike_pool_one_network(p, r);
		w->claim[IKE_PREFIX_V4] =
			one && (!w->want[IKE_PREFIX_V4] || w->claim[IKE_PREFIX_V4]);
		w->want[IKE_PREFIX_V4] = true;
		if (one && !w->hint[IKE_PREFIX_V4].family)
			w->hint[IKE_PREFIX_V4] = r->lo;
	}
}

static enum ike_verdict addresses(struct ike_exchange *x)
{
	static const struct ip_range any_v6 = {{.family = IP_V6},
		{.family = IP_V6,
			.bytes = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
				0xff, 0xff, 0xff, 0xff, 0xff}}};
	struct auth *a = x->state;
	const struct ike_cp_state *cp = &a->cp;
	struct ike_addresses *w = &a->addresses;
	*w = (struct ike_addresses){
		.engine = a->engine,
		.conn = a->proof.conn,
		.peer = peer_of(a),
		.gone = a->initial_contact,
		.aaa = x->aaa_addresses,
		.want = {[IKE_ADDRESS_V4] = cp->want_v4,
			[IKE_ADDRESS_V6] = cp->want_v6,
			[IKE_PREFIX_V6] = cp->want_prefix},
		.hint = {[IKE_ADDRESS_V4] = cp->hint_v4,
			[IKE_ADDRESS_V6] = cp->hint_v6,
			[IKE_PREFIX_V6] = cp->hint_prefix},
		.worker = ike_worker_hint(x->sa, &x->from),
	};
	// RFC 5739 4.1: on a link the client makes addresses of the prefix, one that it also asks for is
	// ignored; unless there is no prefix for it.
	if (cp->link && ike_pool_within(w, IKE_PREFIX_V6, &any_v6))
		w->want[IKE_ADDRESS_V6] = false;
	if (a->wants_child)
		want_network(a);
	enum ike_verdict v = ike_addresses_get(x, &a->addresses, ADDRESS);
	return v == IKE_DONE ? judge_addresses(x) : v;
}

static enum ike_verdict got_address(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_verdict v = ike_addresses_got(x, &a->addresses, ADDRESS);
	return v == IKE_DONE ? judge_addresses(x) : v;
}

// ---- authorization ---------------------------------------------------------------------------

static enum ike_verdict read_cp(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct wire_cp cp;
	if (!x->in.cp.p || !a->proof.conn->mode_config_respond)
		return IKE_DONE;
	if (wire_cp_parse(x->in.cp, &cp) != WIRE_OK)
		return syntax(x, IKE_REASON_MALFORMED);
	if (cp.type == IKEV2_CP_REQUEST && a->wants_child)
		ike_cp_read(&cp, &a->cp);
	return IKE_DONE;
}

static enum ike_verdict authorized(struct ike_exchange *x)
{
	if (x->aaa_status != IKE_AAA_ACCEPT || x->got == IKE_GOT_TIMEOUT)
		return refuse(x, x->got == IKE_GOT_TIMEOUT ? IKE_REASON_AAA_TIMEOUT
							   : IKE_REASON_AAA_REJECTED);
	enum ike_reason why = admission(x);
	if (why != IKE_REASON_NONE)
		return refuse(x, why);
	enum ike_verdict v = read_cp(x);
	return v == IKE_DONE ? addresses(x) : v;
}

static enum ike_verdict authorize(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_aaa_request rq = {
		.connection = a->proof.conn,
		.identity = a->proof.text,
		.remote = x->sa->remote,
	};
	if (!ikev2_mobike_no_nat(x, a->proof.conn))
		return ike_fail_fatal(
			x, IKE_REASON_MOBIKE_NAT, IKEV2_NOTIFY_UNEXPECTED_NAT_DETECTED);
	enum ike_verdict v = ike_wait_aaa(x, &rq, AUTHORIZED);
	return v == IKE_DONE ? authorized(x) : v;
}

// ---- the peer --------------------------------------------------------------------------------

static enum ike_verdict verified(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_verdict v = ike_proof_verified(x, &a->proof);
	return v == IKE_DONE ? authorize(x) : v;
}

static bool copy_id(struct view body, struct ike_id *out)
{
	struct wire_id id;
	if (body.len > sizeof(out->body) || wire_id_parse(body, &id) != WIRE_OK)
		return false;
	memcpy(out->body, body.p, body.len);
	out->len = body.len;
	return true;
}

// Chosen anew, now that the identity and the method are known.
static void choose_connection(struct ike_exchange *x, struct auth *a)
{
	struct wire_auth auth;
	struct view id = ike_id_view(&a->proof.peer);
	struct ike_match m = {
		.remote = &x->sa->remote,
		.remote_id = &id,
		.local_id = x->in.id_r.p ? &x->in.id_r : NULL,
		.suite = &x->sa->suite,
		.auth = -1,
	};
	if (wire_auth_parse(x->in.auth, &auth) == WIRE_OK)
		m.auth = ike_proof_kind(auth.method);
	if (m.auth >= 0)
		a->proof.conn = ike_connection_match(a->engine->index, &m);
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	const struct ike_message *m = &x->in;
	struct wire_id id;
	bool sa = m->sa.p, tsi = m->ts_i.p, tsr = m->ts_r.p;
	if (!m->id_i.p || sa != tsi || sa != tsr)
		return syntax(x, IKE_REASON_AUTH_PAYLOADS);
	// RFC 7296 2.16: without AUTH the peer wants EAP, which no connection has.
	if (!m->auth.p)
		return refuse(x, IKE_REASON_EAP_WANTED);
	struct auth *a = calloc(1, sizeof(*a));
	if (!a)
		return refuse(x, IKE_REASON_NO_MEMORY);
	a->engine = x->sa->engine;
	x->state = a;
	x->state_free = auth_free;
	a->wants_child = sa;
	a->initial_contact = wire_notify_find(m, IKEV2_NOTIFY_INITIAL_CONTACT) != NULL;
	if (!copy_id(m->id_i, &a->proof.peer) ||
		(m->id_r.p && wire_id_parse(m->id_r, &id) != WIRE_OK))
		return syntax(x, IKE_REASON_BAD_ID);
	if (sa && ike_child_terms_parse(m, &a->terms) != IKE_REASON_NONE)
		return syntax(x, IKE_REASON_MALFORMED);
	a->terms.nonce_i = secret_view(&x->sa->nonce_i);
	a->terms.nonce_r = secret_view(&x->sa->nonce_r);
	ike_id_text(ike_id_view(&a->proof.peer), a->proof.text);
	choose_connection(x, a);
	if (a->proof.conn && !sa && !a->proof.conn->childless)
		return syntax(x, IKE_REASON_AUTH_PAYLOADS);
	enum ike_verdict v = ike_proof_verify(x, &a->proof, VERIFIED);
	return v == IKE_DONE ? authorize(x) : v;
}

static enum ike_verdict signed_(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_verdict v = ike_proof_signed(x, &a->proof);
	return v == IKE_DONE ? finish(x) : v;
}

enum ike_verdict ikev2_auth_request(struct ike_exchange *x)
{
	switch ((enum step)x->step) {
	case VERIFIED:
		return verified(x);
	case AUTHORIZED:
		return authorized(x);
	case ADDRESS:
		return got_address(x);
	case SIGNED:
		return signed_(x);
	case BEGIN:
		break;
	}
	return begin(x);
}
