// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode as responder (RFC 2409 5.5): new child SAs and their rekeying, which is the same.
//
// The IDs go back as they came, while what is installed is narrowed to the policy: vpnc, racoon and
// whoever speaks Cisco's Unity ask for 0.0.0.0/0 and narrow by themselves, and refuse other IDs than
// theirs.
#include "controlplane/ikev1/quick.h"

#include "controlplane/ikev1/login.h"

#include <errno.h>
#include <stdlib.h>

enum step { BEGIN, RECLAIMED, KE_DONE };

// ---- shared with the initiator -----------------------------------------------------------------

static void quick_free(void *arg)
{
	struct ikev1_quick *q = arg;
	struct ike_child *c = ikev1_quick_child(q);
	if (c && !c->joined)
		ike_child_drop(c);
	else if (c)
		ikev1_child_orphaned(c);
	ikev1_claim_free(q);
	ike_dh_free(q->dh);
	secret_fini(&q->shared);
	free(q);
}

struct ikev1_quick *ikev1_quick_new(struct ike_exchange *x)
{
	struct ikev1_quick *q = calloc(1, sizeof(*q));
	if (!q)
		return NULL;
	q->engine = x->sa->engine;
	q->terms.by = x->sa;
	q->began_ns = q->engine->now_ns;
	random_fill(q->engine->p.random, q->nonce, sizeof(q->nonce));
	x->state = q;
	x->state_free = quick_free;
	return q;
}

int ikev1_quick_nonces(struct ike_exchange *x, struct view ni, struct view nr)
{
	struct ikev1_quick *q = x->state;
	int rc = ikev1_nonces(x, ni, nr);
	q->terms.nonce_i = secret_view(&x->v1.ni);
	q->terms.nonce_r = secret_view(&x->v1.nr);
	return rc;
}

enum ike_verdict ikev1_quick_shared(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	if (x->got != IKE_GOT_JOB || !x->job)
		return ike_fail(x, IKE_REASON_JOB_TIMEOUT, 0);
	struct ike_dh_job *job = IKE_JOB_AS(ike_dh_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_BAD_KE, IKEV1_NOTIFY_INVALID_KEY_INFORMATION);
	secret_move(&q->shared, &job->shared);
	q->terms.shared = secret_view(&q->shared);
	return IKE_DONE;
}

void ikev1_quick_chosen(struct ikev1_quick *q)
{
	q->plan.choice.suite = q->choice.transform.suite;
	q->plan.choice.spi = q->choice.proposal.spi;
}

void ikev1_quick_limits(struct ike_child *c, uint64_t life_s, uint64_t life_kb)
{
	if (life_s && life_s <= UINT32_MAX && (!c->life_s || life_s < c->life_s))
		c->life_s = (uint32_t)life_s;
	if (life_kb && life_kb <= UINT64_MAX / 1024 &&
		(!c->life_bytes || life_kb * 1024 < c->life_bytes))
		c->life_bytes = life_kb * 1024;
}

static uint64_t beginning(struct view nonce) // of 8 bytes at least
{
	struct rd r = rd_view(nonce);
	uint64_t n = 0;
	return rd_u64(&r, &n) ? n : 0;
}

void ikev1_quick_mark(const struct ike_exchange *x, struct ike_child *c)
{
	const struct ikev1_quick *q = x->state;
	uint64_t i = beginning(q->terms.nonce_i), r = beginning(q->terms.nonce_r);
	c->lower_nonce = i < r ? i : r;
	c->initiated = x->initiator;
	c->began_ns = q->began_ns;
}

void ikev1_plan_again(struct ike_child_plan *plan, const struct ike_child *old)
{
	plan->conf = old->conf;
	memcpy(plan->ts_local, old->ts_local, sizeof(plan->ts_local));
	memcpy(plan->ts_remote, old->ts_remote, sizeof(plan->ts_remote));
	plan->ts_local_count = old->ts_local_count;
	plan->ts_remote_count = old->ts_remote_count;
}

static bool has_nat(const struct ike_sa *sa)
{
	return sa->nat_local || sa->nat_remote;
}

// RFC 3947 5.2: first the initiator's address, then the responder's, both as the sender sees them.
void ikev1_quick_put_addrs(struct ike_exchange *x, enum sa_mode mode)
{
	const struct ike_sa *sa = x->sa;
	bool draft = sa->v1->natt != IKEV1_NATT_RFC3947;
	if (mode != SA_TRANSPORT || !has_nat(sa))
		return;
	const struct ip_addr *own = &sa->local.addr, *peer = &sa->remote.addr;
	ikev1_put_natoa(&x->out.b, draft, x->initiator ? own : peer);
	ikev1_put_natoa(&x->out.b, draft, x->initiator ? peer : own);
}

// Without them the IDs tell, if they are addresses. What is not known costs the data plane a sum.
void ikev1_quick_read_addrs(const struct ike_exchange *x, struct ike_child_plan *plan)
{
	const struct ikev1_message *m = &x->in1;
	struct ip_addr addrs[2];
	if (plan->mode != SA_TRANSPORT || !has_nat(x->sa))
		return;
	if (m->id_count == 0)
		plan->seen = (struct ike_seen_addrs){0};
	if (m->natoa_count != 2 || ikev1_natoa_parse(m->natoa[0], &addrs[0]) != WIRE_OK ||
		ikev1_natoa_parse(m->natoa[1], &addrs[1]) != WIRE_OK ||
		addrs[0].family != addrs[1].family || addrs[0].family != x->sa->remote.addr.family)
		return;
	plan->seen.own = addrs[x->initiator ? 0 : 1];
	plan->seen.peer = addrs[x->initiator ? 1 : 0];
}

struct ike_child *ikev1_quick_child(const struct ikev1_quick *q)
{
	struct ike_child *c = q->spi_in ? ike_child_by_spi_in(q->engine, q->spi_in) : NULL;
	return c && c->session ? c : NULL;
}

// ---- the third message -------------------------------------------------------------------------

// It proves that the peer has ours: the new SA is used from now on.
static enum ike_verdict third(struct ike_exchange *x)
{
	struct ike_child *c = ikev1_quick_child(x->state);
	if (c && c->state == IKE_CHILD_READY)
		ike_child_switch(c);
	return IKE_DONE;
}

// The peer has ours all the same if it has used it.
static enum ike_verdict third_missing(struct ike_exchange *x)
{
	struct ike_child *c = ikev1_quick_child(x->state);
	if (!c || c->state != IKE_CHILD_READY || ikev1_child_used(c))
		return IKE_DONE;
	struct ike_session *s = c->session;
	(void)ike_child_delete(c);
	ike_session_watch(s);
	return ike_fail(x, IKE_REASON_V1_QUICK_TIMEOUT, 0);
}

// ---- the end: child, second message ------------------------------------------------------------

static enum ike_verdict install_late(struct ike_exchange *x)
{
	struct ike_child *c = ikev1_quick_child(x->state);
	struct ike_session *s = c ? c->session : NULL;
	if (c)
		ike_child_drop(c);
	if (s)
		ike_session_watch(s);
	return ike_fail(x, IKE_REASON_INSTALL_TIMEOUT, 0);
}

static uint16_t notify_of(enum ike_reason why)
{
	switch (why) {
	case IKE_REASON_TS:
	case IKE_REASON_TS_POOL:
	case IKE_REASON_ROUTE_TAKEN:
	case IKE_REASON_ROUTE_LIMIT:
		return IKEV1_NOTIFY_INVALID_ID_INFORMATION;
	default:
		return IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN;
	}
}

// What ends the child SA here before it ends over there.
static struct ikev1_lifetime shorter(
	const struct ikev1_transform *theirs, const struct ike_child *c)
{
	uint64_t ours_s = c->session->conn->lifetime.child_hard_s;
	uint64_t ours_kb = ike_child_hard_bytes(c) / 1024;
	uint64_t theirs_s = theirs->life_s ? theirs->life_s : IKEV1_LIFE_DEFAULT_S;
	bool told_kb = theirs->life_kb && theirs->life_kb <= ours_kb;
	return (struct ikev1_lifetime){
		.seconds = ours_s < theirs_s ? ours_s : 0,
		.kilobytes = told_kb ? 0 : ours_kb,
	};
}

// RFC 2407 4.6.3.1: the initiator is told where our lifetime is shorter than its own. It rekeys by that,
// before we do or where we never would.
static void put_lifetime(struct ike_exchange *x, const struct ike_child *c)
{
	const struct ikev1_quick *q = x->state;
	struct ikev1_lifetime ours = shorter(&q->choice.transform, c);
	uint8_t spi[4], data[32];
	if (!ours.seconds && !ours.kilobytes)
		return;
	struct wr w = wr_of(spi, sizeof(spi));
	wr_u32(&w, c->spi_in);
	ikev1_put_notify(&x->out.b,
		&(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
			.protocol = IKEV1_PROTOCOL_ESP,
			.type = IKEV1_NOTIFY_RESPONDER_LIFETIME,
			.spi = wr_done(&w),
			.data = {data, ikev1_lifetime_data(data, sizeof(data), false, &ours)}});
}

static void put_second(struct ike_exchange *x, const struct ike_child *c)
{
	const struct ikev1_quick *q = x->state;
	struct wire_builder *b = &x->out.b;
	ikev1_build_choice(b, &q->choice, c->spi_in);
	ikev1_put_nonce(b, (struct view){q->nonce, sizeof(q->nonce)});
	if (x->job)
		ikev1_put_ke(b, ike_dh_public(IKE_JOB_AS(ike_dh_job, x->job)->dh));
	for (uint8_t i = 0; i < x->in1.id_count; i++)
		wire_put_raw(b, IKEV1_PAYLOAD_ID, x->in1.ids[i]);
	ikev1_quick_put_addrs(x, c->mode);
	put_lifetime(x, c);
	ikev1_send_as(x, IKEV1_FORM_QUICK_2);
	ikev1_expect(x, third, IKEV1_FORM_QUICK_3);
	ikev1_expect_tries(x, IKEV1_TRIES, third_missing);
}

// The child SA that a new one with the same selectors replaces: IKEv1 names none. One that the peer
// has not confirmed is none of them: it may be a lost attempt, and goes by itself.
static struct ike_child *replaced_by(struct ike_session *s, const struct ike_child_plan *p)
{
	struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->state == IKE_CHILD_ACTIVE &&
			ike_selectors_equal(
				c->ts_local, c->ts_local_count, p->ts_local, p->ts_local_count) &&
			ike_selectors_equal(
				c->ts_remote, c->ts_remote_count, p->ts_remote, p->ts_remote_count))
			return c;
	return NULL;
}

static enum ike_verdict finish(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	enum ike_reason why;
	if (!s || s->closing)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	struct ike_child *old = replaced_by(s, &q->plan);
	if ((!old && ike_children_live(s) >= IKE_CHILDREN_MAX) ||
		s->child_count >= 2 * IKE_CHILDREN_MAX)
		return ike_fail(x, IKE_REASON_CHILD_LIMIT, notify_of(IKE_REASON_CHILD_LIMIT));
	if (ikev1_quick_nonces(x, q->terms.nonce_i, (struct view){q->nonce, QUICK_NONCE_LEN}) < 0)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	struct ike_child *c = ike_child_new(s, &why);
	if (!c)
		return ike_fail(x, why, notify_of(why));
	q->spi_in = c->spi_in;
	ike_child_set(c, &q->plan, (uint32_t)q->plan.choice.spi);
	c->id_local = q->terms.ts_r.items[0];
	c->id_remote = q->terms.ts_i.items[0];
	ikev1_quick_mark(x, c);
	ikev1_quick_limits(c, q->choice.transform.life_s, q->choice.transform.life_kb);
	why = ike_child_install(c, &q->terms, false);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, notify_of(why));
	put_second(x, c);
	ike_child_join(c, old);
	ike_session_watch(s);
	x->out.await_child = c->spi_in;
	x->out.await_failed = install_late;
	return IKE_DONE;
}

// ---- what is asked for -------------------------------------------------------------------------

// The KE payload names no group: that of the transforms which it fits. RFC 2409 5.5: all offers of
// one quick mode have the same.
static uint16_t group_of(const struct ikev1_sa_offer *o, struct view ke)
{
	for (uint8_t i = 0; i < o->transform_count; i++) {
		const struct alg_dh *dh = alg_dh(o->transforms[i].suite.dh);
		if (!o->transforms[i].unusable && dh && dh->public_len == ke.len)
			return dh->id;
	}
	return DH_NONE;
}

static bool choose(void *ctx, const struct cfg_child *conf, struct ike_child_plan *plan)
{
	struct ike_exchange *x = ctx;
	struct ikev1_quick *q = x->state;
	struct ikev1_esp_policy policy = {
		.esn = conf->esn,
		.pfs = ike_child_policy(conf, false, DH_NONE).pfs,
		.ke_group = q->group,
		.encap_udp = has_nat(x->sa),
		.transport = plan->mode == SA_TRANSPORT,
	};
	if (ikev1_select_esp(conf->esp_proposals, conf->esp_proposal_count, &policy, &q->offer,
		    &q->choice) != WIRE_OK)
		return false;
	ikev1_quick_chosen(q);
	return true;
}

// The IDs of a child SA that is in use are rekeyed as they are, whatever the policy would make of them
// now: it may have been made for the outer address, before a lease came.
static bool rekeys(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	const struct ike_child *old = ikev1_child_of_ids(
		ikev1_session_of(x->sa), &q->terms.ts_r.items[0], &q->terms.ts_i.items[0]);
	if (!old)
		return false;
	q->plan.mode = old->mode;
	q->plan.seen = old->seen;
	if (!choose(x, old->conf, &q->plan) || (uint32_t)q->plan.choice.spi == 0)
		return false;
	ikev1_plan_again(&q->plan, old);
	return true;
}

static enum ike_reason plan(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	uint16_t ikev2_notify;
	struct ike_child_ask ask = {
		.cfg = q->engine->p.cfg,
		.conn = s->conn,
		.sa = x->sa,
		.peer = ike_peer_side(s, x->sa),
		.choose = choose,
		.ctx = x,
	};
	return rekeys(x) ? IKE_REASON_NONE
			 : ike_child_decide(&ask, &q->terms, &q->plan, &ikev2_notify);
}

static enum ike_verdict decide(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	if (!s || s->closing)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	if (s->conn->address_required && s->conn->pool_count && !s->lease_count)
		return ike_fail(x, IKE_REASON_CP_REQUIRED, IKEV1_NOTIFY_INVALID_ID_INFORMATION);
	enum ike_reason why = plan(x);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, notify_of(why));
	ikev1_quick_read_addrs(x, &q->plan);
	if (q->group == DH_NONE)
		return finish(x);
	struct ike_dh_job *job = ike_dh_job_respond(q->group, x->in1.ke);
	return ike_wait_job(x, job ? &job->base.job : NULL, KE_DONE);
}

// The one address that IDci names, or NULL.
static const struct ip_addr *claimed(const struct ike_exchange *x)
{
	const struct ikev1_quick *q = x->state;
	const struct ip_range *r = &q->terms.ts_i.items[0].range;
	return x->in1.id_count && ip_eq(&r->lo, &r->hi) ? &r->lo : NULL;
}

static enum ike_verdict after_claim(struct ike_exchange *x)
{
	enum ike_reason why = ikev1_claimed(x);
	ikev1_claim_free(x->state);
	return why == IKE_REASON_NONE ? decide(x)
				      : ike_fail(x, why, IKEV1_NOTIFY_INVALID_ID_INFORMATION);
}

static bool claims(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	return s && !s->closing && s == x->sa->session && x->in1.id_count &&
	       ikev1_claim(x, &q->terms.ts_i.items[0].range);
}

// Quick mode ends a push; what that has of the pools is the claim's.
static enum ike_verdict claim(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	bool early = ikev1_push_waits(x->sa) && claims(x), waits = false;
	if (early)
		waits = ikev1_claim_pushed(x, RECLAIMED);
	ikev1_config_quick(x->sa, claimed(x));
	if (waits)
		return IKE_PENDING;
	if (!early && !claims(x))
		return decide(x);
	enum ike_verdict v = ike_addresses_get(x, q->claim, RECLAIMED);
	return v == IKE_DONE ? after_claim(x) : v;
}

static enum ike_verdict claim_goes_on(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	if (!x->sa->session) // the lease is released by the engine
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	enum ike_verdict v = ike_addresses_got(x, q->claim, RECLAIMED);
	return v == IKE_DONE ? after_claim(x) : v;
}

// RFC 2409 5.5: without IDs "the identities of the SAs negotiated in Quick Mode are implicitly
// assumed to be the IP addresses of the ISAKMP peers".
static bool read_ids(struct ike_exchange *x, struct wire_ts *client, struct wire_ts *server)
{
	const struct ikev1_message *m = &x->in1;
	client->count = server->count = 1;
	if (m->id_count == 0) {
		client->items[0] = selector_of_addr(&x->sa->remote.addr);
		server->items[0] = selector_of_addr(&x->sa->local.addr);
		return true;
	}
	return m->id_count == 2 && ikev1_id_selector(m->ids[0], &client->items[0]) == WIRE_OK &&
	       ikev1_id_selector(m->ids[1], &server->items[0]) == WIRE_OK &&
	       client->items[0].range.lo.family == server->items[0].range.lo.family;
}

static bool offers_transport(const struct ikev1_sa_offer *o)
{
	for (uint8_t i = 0; i < o->transform_count; i++)
		if (!o->transforms[i].unusable && ikev1_encap_transport(o->transforms[i].encap))
			return true;
	return false;
}

static enum ike_verdict read_first(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct view nonce;
	if (ikev1_sa_parse(x->in1.sa, false, &q->offer) != WIRE_OK)
		return ike_fail(x, IKE_REASON_MALFORMED, IKEV1_NOTIFY_BAD_PROPOSAL_SYNTAX);
	if (ikev1_nonce_parse(x->in1.nonce, &nonce) != WIRE_OK)
		return ike_fail(x, IKE_REASON_BAD_NONCE, IKEV1_NOTIFY_PAYLOAD_MALFORMED);
	if (!read_ids(x, &q->terms.ts_i, &q->terms.ts_r))
		return ike_fail(x, IKE_REASON_V1_QUICK_ID, IKEV1_NOTIFY_INVALID_ID_INFORMATION);
	if (x->in1.ke.p)
		q->group = group_of(&q->offer, x->in1.ke);
	if (x->in1.ke.p && q->group == DH_NONE)
		return ike_fail(
			x, IKE_REASON_CHILD_INVALID_KE, IKEV1_NOTIFY_INVALID_KEY_INFORMATION);
	q->terms.nonce_i = nonce;
	q->terms.transport = offers_transport(&q->offer);
	return IKE_DONE;
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	struct ike_session *s = ikev1_session_of(x->sa);
	if (!x->sa->v1->peer_settles)
		(void)ikev1_revive(x->sa);
	if (!s || s->closing || x->sa->v1->deleted)
		return ike_fail(x, IKE_REASON_WRONG_STATE, 0);
	if (ike_child_rate_exceeded(s))
		return ike_fail(x, IKE_REASON_REKEY_RATE, 0);
	if (!ikev1_quick_new(x))
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	enum ike_verdict v = read_first(x);
	if (v != IKE_DONE)
		return v;
	return claim(x);
}

enum ike_verdict ikev1_quick_request(struct ike_exchange *x)
{
	enum ike_verdict v;
	switch (x->step) {
	case BEGIN:
		return begin(x);
	case RECLAIMED:
		return claim_goes_on(x);
	default:
		v = ikev1_quick_shared(x);
		return v == IKE_DONE ? finish(x) : v;
	}
}
