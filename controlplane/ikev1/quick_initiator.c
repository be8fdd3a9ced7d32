// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode as initiator: new child SAs and their rekeying. An IKEv1 offer has one ID a side: of
// several selectors each pair of one address family is a child SA of its own.
#include "controlplane/ikev1/quick.h"

#include <errno.h>
#include <stdlib.h>

#define REKEY_TRIES 9

enum step { BEGIN, GENERATED };

// The IDs of one quick mode.
struct pair {
	struct selector own, other;
	enum sa_mode mode;
};

struct pairs {
	struct pair items[IKE_CHILDREN_MAX];
	size_t count;
};

// What is to be done, kept by the task.
struct want {
	uint32_t old_spi; // our inbound SPI of the child to rekey, or 0
	const struct cfg_child *conf;
	struct pair pair; // of a new one
	bool paired;      // there is such a pair
	bool missing;     // one of several: only if nobody has made it meanwhile
	bool refused;     // by the peer
};

static const struct cfg_child *conf_of(const struct ike_exchange *x)
{
	return ((const struct want *)x->task->arg)->conf;
}

static struct ike_child *old_child(const struct ike_exchange *x)
{
	const struct want *w = x->task->arg;
	struct ike_child *c = w->old_spi ? ike_child_by_spi_in(x->sa->engine, w->old_spi) : NULL;
	return c && c->session && c->session == ikev1_session_of(x->sa) ? c : NULL;
}

// ---- pairs of selectors ------------------------------------------------------------------------

static void pairs_of(struct ike_session *s, const struct cfg_child *conf, struct pairs *out)
{
	struct ike_peer_side peer = ike_peer_side(s, s->sa);
	struct wire_ts own, other;
	out->count = 0;
	enum sa_mode mode = ike_child_offer(conf, &peer, &own, &other);
	ike_session_own_side(s, &own);
	for (uint8_t i = 0; i < other.count; i++)
		for (uint8_t k = 0; k < own.count && out->count < IKE_CHILDREN_MAX; k++)
			if (own.items[k].range.lo.family == other.items[i].range.lo.family)
				out->items[out->count++] =
					(struct pair){own.items[k], other.items[i], mode};
}

// One is a part of the other: either side may have narrowed it.
static bool alike(const struct selector *a, const struct selector *b)
{
	return selector_within(a, b) || selector_within(b, a);
}

static bool is_there(
	const struct ike_session *s, const struct cfg_child *conf, const struct pair *p)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->conf == conf && c->state != IKE_CHILD_REKEYED &&
			c->state != IKE_CHILD_DELETING && alike(&c->id_local, &p->own) &&
			alike(&c->id_remote, &p->other))
			return true;
	return false;
}

bool ikev1_child_missing(struct ike_session *s, const struct cfg_child *conf)
{
	struct pairs pairs;
	pairs_of(s, conf, &pairs);
	for (size_t i = 0; i < pairs.count && pairs.count > 1; i++)
		if (!is_there(s, conf, &pairs.items[i]))
			return true;
	return false;
}

// The peer has made or rekeyed it meanwhile, or what was to be rekeyed has gone.
static bool superfluous(const struct ike_exchange *x)
{
	const struct want *w = x->task->arg;
	const struct ike_child *c = old_child(x);
	const struct ike_session *s = ikev1_session_of(x->sa);
	if (!w->old_spi)
		return w->missing && s && is_there(s, w->conf, &w->pair);
	return !c || (c->state != IKE_CHILD_ACTIVE && c->state != IKE_CHILD_READY);
}

// ---- first message -----------------------------------------------------------------------------

static bool set_offer(struct ike_exchange *x, struct ikev1_quick *q)
{
	const struct want *w = x->task->arg;
	const struct ike_child *old = old_child(x);
	q->own = old ? old->id_local : w->pair.own;
	q->other = old ? old->id_remote : w->pair.other;
	return old || w->paired;
}

static uint16_t encap_of(const struct ike_sa *sa, enum sa_mode mode)
{
	bool draft = sa->v1->natt != IKEV1_NATT_RFC3947;
	if (!sa->nat_local && !sa->nat_remote)
		return mode == SA_TRANSPORT ? IKEV1_ENCAP_TRANSPORT : IKEV1_ENCAP_TUNNEL;
	if (mode == SA_TRANSPORT)
		return draft ? IKEV1_ENCAP_UDP_TRANSPORT_DRAFT : IKEV1_ENCAP_UDP_TRANSPORT;
	return draft ? IKEV1_ENCAP_UDP_TUNNEL_DRAFT : IKEV1_ENCAP_UDP_TUNNEL;
}

static enum sa_mode mode_of(const struct ike_exchange *x)
{
	const struct ike_child *old = old_child(x);
	return old ? old->mode : ((const struct want *)x->task->arg)->pair.mode;
}

// A new one may be in either mode: then transport mode is preferred.
static uint16_t second_encap(const struct ike_exchange *x)
{
	bool either = !old_child(x) && conf_of(x)->mode == CFG_MODE_ANY;
	return either && mode_of(x) == SA_TRANSPORT ? encap_of(x->sa, SA_TUNNEL) : 0;
}

// Who called as a client gets one proposal with one transform, the suite in use: vpnc takes nothing else
// from the gateway, and what it refuses has broken its tunnel already.
static bool towards_client(const struct ike_sa *sa)
{
	const struct ike_session *s = ikev1_session_of(sa);
	return !sa->initiator && s && (sa->v1->user_auth || sa->v1->peer_unity || s->lease_count);
}

static void set_exact(struct ikev1_quick *q, const struct ike_child *old)
{
	const struct suite *s = &old->suite;
	q->exact = (struct proposal){.encr = {s->encr}, .encr_count = 1};
	q->exact.aead = s->integ == INTEG_NONE;
	q->exact.integ[0] = s->integ;
	q->exact.integ_count = s->integ != INTEG_NONE;
	q->exact_esn = s->esn;
	q->group = s->dh;
}

static struct ikev1_esp_offer offer_of(const struct ike_exchange *x)
{
	const struct ikev1_quick *q = x->state;
	const struct cfg_child *conf = conf_of(x);
	bool exact = q->exact.encr_count > 0;
	return (struct ikev1_esp_offer){
		.mine = exact ? &q->exact : conf->esp_proposals,
		.count = exact ? 1 : conf->esp_proposal_count,
		.dh = q->group,
		.esn = exact ? q->exact_esn : conf->esn,
		.encap = encap_of(x->sa, mode_of(x)),
		.encap_else = second_encap(x),
		.life_s = x->sa->conn->lifetime.child_hard_s,
		.spi = q->spi_in,
	};
}

static bool put_id(struct wire_builder *b, const struct selector *s)
{
	wire_open(b, IKEV1_PAYLOAD_ID);
	bool ok = ikev1_selector_id(&b->w, s);
	wire_close(b);
	return ok;
}

static enum ike_verdict put_first(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	const struct want *want = x->task->arg;
	struct wire_builder *b = &x->out.b;
	enum ike_reason why = IKE_REASON_CHILD_UNKNOWN;
	struct ike_child *c = NULL;
	if (s && !s->closing && (old_child(x) || !want->old_spi))
		c = ike_child_new(s, &why);
	if (!c)
		return ike_fail(x, why, 0);
	q->spi_in = c->spi_in;
	q->began_ns = q->engine->now_ns;
	if (ikev1_quick_nonces(
		    x, (struct view){q->nonce, sizeof(q->nonce)}, (struct view){NULL, 0}) < 0)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	struct ikev1_esp_offer offer = offer_of(x);
	ikev1_build_esp(b, &offer);
	ikev1_put_nonce(b, (struct view){q->nonce, sizeof(q->nonce)});
	if (q->dh)
		ikev1_put_ke(b, ike_dh_public(q->dh));
	if (!set_offer(x, q) || !put_id(b, &q->own) || !put_id(b, &q->other))
		return ike_fail(x, IKE_REASON_TS, 0);
	ikev1_quick_put_addrs(x, mode_of(x));
	ikev1_send_as(x, IKEV1_FORM_QUICK_1);
	return IKE_DONE;
}

static enum ike_verdict second(struct ike_exchange *x);

static enum ike_verdict nothing_to_do(struct ike_exchange *x)
{
	struct ike_child *old = old_child(x);
	if (old)
		old->rekeying = false;
	return IKE_DONE;
}

static enum ike_verdict later(struct ike_exchange *x)
{
	old_child(x)->rekeying = false;
	ike_child_rekey_failed(old_child(x), true);
	return IKE_DONE;
}

static enum ike_verdict first(struct ike_exchange *x)
{
	if (superfluous(x))
		return nothing_to_do(x);
	enum ike_verdict v = put_first(x);
	if (v == IKE_DONE)
		ikev1_expect(x, second, IKEV1_FORM_QUICK_2);
	return v;
}

// Of the first proposal that has one: RFC 2409 5.5 wants one group in all of them.
static uint16_t first_group(const struct cfg_child *conf)
{
	for (size_t i = 0; i < conf->esp_proposal_count && conf->pfs != CFG_PFS_NO; i++)
		if (conf->esp_proposals[i].dh_count)
			return conf->esp_proposals[i].dh[0];
	return DH_NONE;
}

static enum ike_verdict generated(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	if (x->got != IKE_GOT_JOB || !x->job)
		return ike_fail(x, IKE_REASON_JOB_TIMEOUT, 0);
	struct ike_dh_job *job = IKE_JOB_AS(ike_dh_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	q->dh = ike_dh_job_take(job);
	return first(x);
}

static enum ike_verdict build(struct ike_exchange *x)
{
	if (x->step == GENERATED)
		return generated(x);
	if (superfluous(x))
		return nothing_to_do(x);
	if (old_child(x) && ikev1_peer_begins(x->sa, old_child(x)->soft_tries))
		return later(x);
	struct ikev1_quick *q = ikev1_quick_new(x);
	if (!q)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	q->group = first_group(conf_of(x));
	if (old_child(x) && towards_client(x->sa))
		set_exact(q, old_child(x));
	if (q->group == DH_NONE)
		return first(x);
	struct ike_dh_job *job = ike_dh_job_generate(q->group);
	return ike_wait_job(x, job ? &job->base.job : NULL, GENERATED);
}

// ---- second message, and the third -------------------------------------------------------------

static enum ike_verdict install_late(struct ike_exchange *x)
{
	struct ike_child *c = ikev1_quick_child(x->state);
	if (c)
		ike_child_drop(c);
	return ike_fail(x, IKE_REASON_INSTALL_TIMEOUT, 0);
}

// RFC 2407 4.6.3.1: the responder's own lifetime.
static void read_lifetime(const struct ikev1_message *m, struct ike_child *c)
{
	const struct ikev1_notification *n = ikev1_notify_find(m, IKEV1_NOTIFY_RESPONDER_LIFETIME);
	struct ikev1_lifetime life;
	if (n && n->protocol == IKEV1_PROTOCOL_ESP && ikev1_lifetime_parse(n->data, false, &life))
		ikev1_quick_limits(c, life.seconds, life.kilobytes);
}

static void put_third(struct ike_exchange *x, struct ike_child *c)
{
	ikev1_send_as(x, IKEV1_FORM_QUICK_3); // HASH alone
	// Cisco's clients may forget the old one at once.
	if (old_child(x) && !x->sa->v1->peer_unity)
		ikev1_child_settles(c);
	else
		c->switch_at_install = true;
	x->out.await_child = c->spi_in;
	x->out.await_failed = install_late;
}

static enum ike_verdict install(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = ikev1_session_of(x->sa);
	struct ike_child *c = ikev1_quick_child(q), *old = old_child(x);
	if (!c || !s || s->closing)
		return ike_fail(x, IKE_REASON_CHILD_UNKNOWN, 0);
	ike_child_set(c, &q->plan, (uint32_t)q->plan.choice.spi);
	c->id_local = q->terms.ts_i.items[0];
	c->id_remote = q->terms.ts_r.items[0];
	ikev1_quick_mark(x, c);
	enum ike_reason why = ike_child_install(c, &q->terms, true);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, 0);
	put_third(x, c);
	ike_child_join(c, old);
	ike_session_watch(s);
	if (old)
		old->rekeying = false;
	return IKE_DONE;
}

// What we offered comes back, or less of it.
static bool read_ids(const struct ikev1_message *m, struct ikev1_quick *q)
{
	struct wire_ts *own = &q->terms.ts_i, *other = &q->terms.ts_r;
	own->count = other->count = 1;
	return m->id_count == 2 && ikev1_id_selector(m->ids[0], &own->items[0]) == WIRE_OK &&
	       ikev1_id_selector(m->ids[1], &other->items[0]) == WIRE_OK &&
	       selector_within(&own->items[0], &q->own) &&
	       selector_within(&other->items[0], &q->other);
}

static bool read_choice(struct ike_exchange *x, struct ikev1_quick *q)
{
	struct ikev1_esp_offer offer = offer_of(x);
	if (ikev1_sa_parse(x->in1.sa, false, &q->offer) != WIRE_OK ||
		ikev1_check_esp(&offer, &q->offer, &q->choice) != WIRE_OK)
		return false;
	ikev1_quick_chosen(q);
	q->plan.mode = ikev1_encap_transport(q->choice.transform.encap) ? SA_TRANSPORT : SA_TUNNEL;
	return (uint32_t)q->plan.choice.spi != 0;
}

static enum ike_verdict derive(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	if (q->choice.transform.suite.dh == DH_NONE)
		return install(x);
	if (!q->dh || !x->in1.ke.p)
		return ike_fail(
			x, IKE_REASON_CHILD_INVALID_KE, IKEV1_NOTIFY_INVALID_KEY_INFORMATION);
	struct ike_dh_job *job = ike_dh_job_derive(q->dh, x->in1.ke);
	q->dh = NULL;
	q->deriving = true;
	return ike_wait_job(x, job ? &job->base.job : NULL, GENERATED);
}

static enum ike_verdict second(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct view nonce;
	if (q->deriving) {
		enum ike_verdict v = ikev1_quick_shared(x);
		return v == IKE_DONE ? install(x) : v;
	}
	if (!read_choice(x, q))
		return ike_fail(x, IKE_REASON_PROPOSAL_ALTERED, IKEV1_NOTIFY_BAD_PROPOSAL_SYNTAX);
	if (ikev1_nonce_parse(x->in1.nonce, &nonce) != WIRE_OK)
		return ike_fail(x, IKE_REASON_BAD_NONCE, IKEV1_NOTIFY_PAYLOAD_MALFORMED);
	if (!read_ids(&x->in1, q))
		return ike_fail(x, IKE_REASON_V1_QUICK_ID, IKEV1_NOTIFY_INVALID_ID_INFORMATION);
	struct ike_child *c = ikev1_quick_child(q);
	if (!c)
		return ike_fail(x, IKE_REASON_CHILD_UNKNOWN, 0);
	if (ikev1_quick_nonces(x, (struct view){q->nonce, sizeof(q->nonce)}, nonce) < 0)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_quick_limits(c, q->choice.transform.life_s, q->choice.transform.life_kb);
	read_lifetime(&x->in1, c);
	q->plan.conf = conf_of(x);
	ike_plan_from_answer(&q->plan, &q->terms);
	ike_transport_plan(x->sa, &q->plan);
	ikev1_quick_read_addrs(x, &q->plan);
	struct ike_child *old = old_child(x);
	if (old && ike_selectors_equal(q->terms.ts_i.items, 1, &old->id_local, 1) &&
		ike_selectors_equal(q->terms.ts_r.items, 1, &old->id_remote, 1))
		ikev1_plan_again(&q->plan, old);
	return derive(x);
}

// ---- tasks -------------------------------------------------------------------------------------

void ikev1_quick_refused(struct ike_exchange *x)
{
	struct want *want = x->task ? x->task->arg : NULL;
	if (want)
		want->refused = true;
	ike_exchange_end(x);
}

static int may_begin(const struct ike_sa *sa)
{
	if (sa->state != IKE_SA_ESTABLISHED || sa->v1->deleted || !sa->session)
		return -ENOTCONN;
	if (sa->session->closing)
		return -EBUSY;
	return ike_may_begin(sa->session) ? 0 : -EPERM;
}

static int queue(struct ike_sa *sa, const struct want *what);

// Some peers never answer a gateway's quick mode: after some tries the child SA stays as it is until its
// hard limit.
static void failed(struct ike_sa *sa, struct ike_task *t)
{
	const struct want *want = t->arg;
	struct ike_child *old =
		want->old_spi ? ike_child_by_spi_in(sa->engine, want->old_spi) : NULL;
	if (old && old->session) {
		old->rekeying = false;
		ike_child_rekey_failed(old, !want->refused && old->soft_tries < REKEY_TRIES);
	}
	struct ike_session *s = ikev1_session_of(sa);
	// A new one that was begun on an ISAKMP SA which has been replaced.
	if (s && s->sa != sa && !want->old_spi && !want->refused && may_begin(s->sa) == 0 &&
		queue(s->sa, want) == 0)
		return;
	if (s && !want->old_spi)
		ike_session_child_refused(s, want->conf);
	if (s && s->sa->state == IKE_SA_ESTABLISHED)
		ike_session_watch(s);
}

static int queue(struct ike_sa *sa, const struct want *what)
{
	struct want *want = malloc(sizeof(*want));
	struct ike_task t = {
		.name = what->old_spi ? "rekey of a child SA" : "new child SA",
		.type = IKEV1_EXCHANGE_QUICK,
		.build = build,
		.failed = failed,
		.arg = want,
		.arg_free = free,
	};
	if (!want)
		return -ENOMEM;
	*want = *what;
	return ike_task_add(sa, &t);
}

// Of several pairs those that are missing, or all.
int ikev1_add_child(struct ike_sa *sa, const struct cfg_child *conf)
{
	int rc = may_begin(sa);
	if (rc < 0)
		return rc;
	struct pairs pairs;
	struct want want = {.conf = conf, .missing = ikev1_child_missing(sa->session, conf)};
	pairs_of(sa->session, conf, &pairs);
	if (!pairs.count)
		return queue(sa, &want); // and is refused there
	want.paired = true;
	for (size_t i = 0; i < pairs.count && rc == 0; i++) {
		want.pair = pairs.items[i];
		if (!want.missing || !is_there(sa->session, conf, &want.pair))
			rc = queue(sa, &want);
	}
	return rc;
}

int ikev1_rekey_child(struct ike_sa *sa, struct ike_child *child)
{
	int rc = may_begin(sa);
	// Without an ISAKMP SA there must be one first; the child SA waits.
	if (rc == -ENOTCONN && sa->session && !sa->session->closing) {
		rc = ikev1_reauthenticate(sa);
		return rc == 0 ? -EBUSY : rc;
	}
	if (rc == 0 && (child->rekeying || (child->state != IKE_CHILD_ACTIVE &&
						   child->state != IKE_CHILD_READY)))
		rc = -EBUSY;
	if (rc < 0)
		return rc;
	child->rekeying = true;
	rc = queue(sa, &(struct want){.old_spi = child->spi_in, .conf = child->conf});
	if (rc < 0)
		child->rekeying = false;
	return rc;
}
