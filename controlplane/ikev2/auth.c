// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE_AUTH as responder (RFC 7296 1.2): who the peer is, who we are, its addresses, and the first
// child SA. Each step below is one wait; the last one does everything that others can see.
#include "controlplane/ikev2/proof.h"

#include "controlplane/index.h"

#include <stdlib.h>

enum step { BEGIN, VERIFIED, AUTHORIZED, ADDRESS, SIGNED };

struct auth {
	struct ike_engine *engine;
	struct ike_proof proof;
	struct ike_child_terms terms;
	bool wants_child, initial_contact;
	struct ike_cp_state cp;
	struct lease leases[IKE_LEASES_MAX];
	uint8_t lease_count;
	uint8_t family;    // being asked for
	size_t pool_index; // next pool to ask
	// Why there will be no child SA; the IKE SA is established all the same.
	enum ike_reason refusal;
	uint16_t refusal_notify;
};

static void auth_free(void *arg)
{
	struct auth *a = arg;
	struct address_source *src = a->engine->p.addresses;
	for (uint8_t i = 0; i < a->lease_count; i++)
		src->release(src->ctx, &a->leases[i]);
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

// RFC 7296 2.4: INITIAL_CONTACT says that older IKE SAs of this identity are gone; from a peer that
// did not prove its identity it says nothing. Where several sessions of one identity are wanted it
// concerns only the one at the same outer address and port.
static void supersede(struct ike_session *s, bool initial_contact)
{
	struct ike_engine *e = s->engine;
	struct view owner = secret_view(&s->identity);
	enum cfg_unique unique = s->conn->unique;
	struct ike_session *o, *next;
	if (s->anonymous)
		return;
	for (o = ike_session_of_owner(e, owner, NULL); o; o = next) {
		next = ike_session_of_owner(e, owner, o);
		if (o == s)
			continue;
		bool same = endpoint_eq(&o->sa->remote, &s->sa->remote);
		if (initial_contact && (same || unique != CFG_UNIQUE_NO)) {
			ike_count(e, IKE_REASON_INITIAL_CONTACT);
			ike_sa_close(o->sa, IKE_REASON_INITIAL_CONTACT);
		} else if (unique == CFG_UNIQUE_REPLACE) {
			ike_session_end(o, same ? IKE_REAUTH_GRACE_S : 0);
		}
	}
}

static void apply_established(struct ike_exchange *x, void *arg)
{
	struct auth *a = x->state;
	struct ike_session *s = x->sa->session;
	ike_sa_established(x->sa);
	ike_session_established(s);
	if (!x->out.await_child)
		ike_session_keep_leases(s);
	supersede(s, a->initial_contact);
	ike_session_watch(s);
}

// The data plane has not taken the SA in time: nothing of this was seen by the peer yet.
static enum ike_verdict install_late(struct ike_exchange *x)
{
	if (x->sa->session)
		ike_session_close(x->sa->session, IKE_REASON_INSTALL_TIMEOUT);
	return refuse(x, IKE_REASON_INSTALL_TIMEOUT);
}

static uint16_t any_worker(const struct ike_exchange *x)
{
	return (uint16_t)(x->sa->spi_r % x->sa->engine->p.sink->workers);
}

// The worker whose queue brought IKE on port 4500 gets the ESP of the same 4-tuple too.
static uint16_t worker_hint(const struct ike_exchange *x)
{
	const struct sa_sink *sink = x->sa->engine->p.sink;
	if (x->from.local.port == IKE_NAT_T_PORT)
		return x->from.origin.worker % sink->workers;
	return any_worker(x);
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
		.peer = {s->leases, s->lease_count, &x->sa->remote.addr},
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
	if (s->lease_count)
		ike_cp_reply(b, &a->cp, s->conn, s->leases, s->lease_count);
	if (c) {
		wire_build_choice(b, &plan->choice, c->spi_in);
		wire_put_ts(b, IKEV2_PAYLOAD_TSI, c->ts_remote, c->ts_remote_count);
		wire_put_ts(b, IKEV2_PAYLOAD_TSR, c->ts_local, c->ts_local_count);
	} else if (a->refusal != IKE_REASON_NONE) {
		ike_refused(x->sa->engine, x->sa, &x->sa->remote, a->refusal);
		wire_put_notify(b, a->refusal_notify, (struct view){NULL, 0});
	}
}

static struct ike_session *make_session(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_session *s = ike_session_new(x->sa, a->proof.conn);
	if (!s)
		return NULL;
	if (ike_session_identify(s, ike_id_view(&a->proof.peer), !a->proof.proven) < 0) {
		ike_session_close(s, IKE_REASON_NO_MEMORY);
		return NULL;
	}
	memcpy(s->leases, a->leases, sizeof(s->leases));
	s->lease_count = a->lease_count;
	a->lease_count = 0;
	s->worker = s->lease_count ? s->leases[0].worker : worker_hint(x);
	return s;
}

// ---- admission -------------------------------------------------------------------------------

// Sessions of the owner that stay beside the new one.
static uint32_t sessions_beside(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_session *o = NULL;
	uint32_t n = 0;
	while ((o = ike_session_of_owner(a->engine, ike_id_view(&a->proof.peer), o)))
		n += !o->closing && !endpoint_eq(&o->sa->remote, &x->sa->remote);
	return n;
}

static enum ike_reason admission(struct ike_exchange *x)
{
	struct auth *a = x->state;
	const struct cfg_connection *conn = a->proof.conn;
	uint32_t limit = a->engine->p.cfg->main.max_sessions;
	if (limit && a->engine->session_count >= limit)
		return IKE_REASON_SESSIONS_FULL;
	if (!a->proof.proven || conn->unique == CFG_UNIQUE_REPLACE)
		return IKE_REASON_NONE;
	bool dead = a->initial_contact && conn->unique == CFG_UNIQUE_KEEP;
	uint32_t beside = dead ? 0 : sessions_beside(x);
	if (beside && conn->unique == CFG_UNIQUE_KEEP)
		return IKE_REASON_KEPT;
	if (conn->max_sessions && beside >= conn->max_sessions)
		return IKE_REASON_MAX_SESSIONS;
	return IKE_REASON_NONE;
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

static const struct ip_addr *lease_in(
	const struct ike_session *s, const struct cfg_pool *pool, uint8_t family)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (s->leases[i].pool == pool && s->leases[i].addr.family == family)
			return &s->leases[i].addr;
	return NULL;
}

// The lease that is shared with an older session of the owner: the one that the peer asks for, or of
// the session that it re-authenticates from where it was, or of one that it says is gone. NULL: none;
// other sessions' addresses are theirs.
static const struct ip_addr *adoptable(
	struct ike_exchange *x, const struct cfg_pool *pool, const struct ip_addr *hint)
{
	struct auth *a = x->state;
	struct view owner = ike_id_view(&a->proof.peer);
	const struct ip_addr *of_gone = NULL;
	bool gone = a->initial_contact && a->proof.conn->unique != CFG_UNIQUE_NO;
	struct ike_session *o = NULL;
	if (!a->proof.proven)
		return NULL;
	if (hint->family && ike_session_holder(a->engine, owner, hint))
		return hint;
	while ((o = ike_session_of_owner(a->engine, owner, o))) {
		const struct ip_addr *held = lease_in(o, pool, a->family);
		if (held && endpoint_eq(&o->sa->remote, &x->sa->remote))
			return held;
		if (held && gone && !of_gone)
			of_gone = held;
	}
	return of_gone;
}

static enum ike_verdict ask(struct ike_exchange *x, const struct cfg_pool *pool)
{
	struct auth *a = x->state;
	const struct ip_addr *hint = a->family == IP_V4 ? &a->cp.hint_v4 : &a->cp.hint_v6;
	const struct ip_addr *adopt = adoptable(x, pool, hint);
	struct view body = ike_id_view(&a->proof.peer);
	struct address_request rq = {
		.pool = pool,
		.owner = {.identity = a->proof.proven ? body : (struct view){NULL, 0},
			.anonymous = !a->proof.proven,
			.name = a->proof.text},
		.want = adopt ? *adopt : *hint,
		.worker = a->lease_count ? a->leases[0].worker : worker_hint(x),
		.adopt = adopt != NULL,
	};
	return ike_wait_address(x, &rq, ADDRESS);
}

static void note_failure(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_reason why = IKE_REASON_ADDRESS_FAILED;
	if (x->got == IKE_GOT_TIMEOUT)
		why = IKE_REASON_ADDRESS_TIMEOUT;
	else if (x->address_status == ADDRESS_EXHAUSTED)
		why = IKE_REASON_POOL_EXHAUSTED;
	refuse_child(a, why, IKEV2_NOTIFY_INTERNAL_ADDRESS_FAILURE);
}

static void take_lease(struct ike_exchange *x)
{
	struct auth *a = x->state;
	if (x->got != IKE_GOT_ADDRESS || x->address_status != ADDRESS_OK || !x->lease_held) {
		note_failure(x);
		return;
	}
	a->leases[a->lease_count++] = x->lease;
	x->lease_held = false;
	if (x->lease.adopted)
		ike_count(a->engine, IKE_REASON_LEASE_ADOPTED);
	a->pool_index = SIZE_MAX; // this family has its address
}

// The next pool of the present family, then the next family; NULL when all were asked.
static const struct cfg_pool *next_pool(struct auth *a)
{
	const struct cfg_pool *pool = NULL;
	while (!pool) {
		bool wanted = a->family == IP_V4 ? a->cp.want_v4 : a->cp.want_v6;
		if (a->family && wanted)
			pool = ike_cp_pool(a->proof.conn, a->family, &a->pool_index);
		if (pool)
			break;
		if (a->family == IP_V6)
			return NULL;
		a->family = a->family == IP_V4 ? IP_V6 : IP_V4;
		a->pool_index = 0;
	}
	return pool;
}

static enum ike_verdict addresses(struct ike_exchange *x)
{
	struct auth *a = x->state;
	const struct cfg_pool *pool;
	while ((pool = next_pool(a))) {
		enum ike_verdict v = ask(x, pool);
		if (v != IKE_DONE)
			return v;
		take_lease(x);
	}
	if (a->lease_count) {
		a->refusal = IKE_REASON_NONE; // one family is enough
	} else if (a->cp.want_v4 || a->cp.want_v6) {
		if (a->refusal == IKE_REASON_NONE)
			refuse_child(a, IKE_REASON_POOL_EXHAUSTED,
				IKEV2_NOTIFY_INTERNAL_ADDRESS_FAILURE);
	} else if (a->proof.conn->address_required) {
		refuse_child(a, IKE_REASON_CP_REQUIRED, IKEV2_NOTIFY_FAILED_CP_REQUIRED);
	}
	return sign(x);
}

static enum ike_verdict got_address(struct ike_exchange *x)
{
	take_lease(x);
	return addresses(x);
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
