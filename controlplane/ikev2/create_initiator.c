// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// CREATE_CHILD_SA as initiator: new child SAs and their rekeying.
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/resource.h"

#include <errno.h>
#include <stdlib.h>

enum step { BEGIN, GENERATED };

// ---- shared with the rekeying of IKE SAs -----------------------------------------------------

enum ike_verdict ike_create_generate(struct ike_exchange *x, uint16_t group, int next_step)
{
	struct ike_dh_job *job = ike_dh_job_generate(group);
	return ike_wait_job(x, job ? &job->base.job : NULL, next_step);
}

enum ike_verdict ike_create_generated(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	if (x->got != IKE_GOT_JOB || !x->job)
		return ike_fail(x, IKE_REASON_JOB_TIMEOUT, 0);
	struct ike_dh_job *job = IKE_JOB_AS(ike_dh_job, x->job);
	if (job->base.error != IKE_CRYPTO_OK)
		return ike_fail(x, IKE_REASON_CRYPTO, 0);
	c->dh = ike_dh_job_take(job);
	return IKE_DONE;
}

enum ike_verdict ike_create_peer_ke(struct ike_exchange *x, uint16_t group, int next_step)
{
	struct ike_create *c = x->state;
	struct wire_ke ke;
	if (wire_nonce_parse(x->in.nonce, &c->terms.nonce_r) != WIRE_OK)
		return ike_fail(x, IKE_REASON_MALFORMED, 0);
	c->terms.nonce_i = (struct view){c->nonce, sizeof(c->nonce)};
	if (group == DH_NONE)
		return IKE_DONE;
	if (!c->dh || !x->in.ke.p || wire_ke_parse(x->in.ke, &ke) != WIRE_OK || ke.group != group)
		return ike_fail(x, IKE_REASON_CHILD_INVALID_KE, 0);
	struct ike_dh_job *job = ike_dh_job_derive(c->dh, ke.value);
	c->dh = NULL;
	return ike_wait_job(x, job ? &job->base.job : NULL, next_step);
}

static bool allowed(const struct proposal *mine, size_t count, uint16_t group)
{
	for (size_t i = 0; i < count; i++)
		for (uint8_t k = 0; k < mine[i].dh_count; k++)
			if (mine[i].dh[k] == group)
				return true;
	return false;
}

bool ike_create_retry_group(struct ike_exchange *x, const struct proposal *mine, size_t count)
{
	const struct wire_notify *n = wire_notify_find(&x->in, IKEV2_NOTIFY_INVALID_KE_PAYLOAD);
	struct ike_want *want = x->task->arg;
	struct ike_task t = *x->task;
	uint16_t group;
	if (!n || want->tries >= IKE_KE_TRIES)
		return false;
	struct rd r = rd_view(n->data);
	if (!rd_u16(&r, &group) || !rd_empty(&r) || !allowed(mine, count, group))
		return false;
	struct ike_want *again = malloc(sizeof(*again));
	if (!again)
		return false;
	*again = *want;
	again->group = group;
	again->tries++;
	t.arg = again;
	t.first = true;
	want->again = ike_task_add(x->sa, &t) == 0;
	return want->again;
}

// ---- request ---------------------------------------------------------------------------------

static struct ike_child *old_child(const struct ike_exchange *x)
{
	const struct ike_want *want = x->task->arg;
	struct ike_child *c =
		want->old_spi ? ike_child_by_spi_in(x->sa->engine, want->old_spi) : NULL;
	return c && c->session && c->session == x->sa->session ? c : NULL;
}

static const struct cfg_child *conf_of(const struct ike_exchange *x)
{
	return ((const struct ike_want *)x->task->arg)->conf;
}

static void set_offer(struct ike_create *c, const struct ike_exchange *x, struct ike_child *old)
{
	struct ike_session *s = x->sa->session;
	struct ike_peer_side peer = ike_peer_side(s, x->sa);
	if (!old) {
		c->offered_mode =
			ike_child_offer(conf_of(x), &peer, &c->offered_local, &c->offered_remote);
		ike_session_own_side(s, &c->offered_local);
		return;
	}
	memcpy(c->offered_local.items, old->ts_local, sizeof(old->ts_local));
	memcpy(c->offered_remote.items, old->ts_remote, sizeof(old->ts_remote));
	c->offered_local.count = old->ts_local_count;
	c->offered_remote.count = old->ts_remote_count;
	c->offered_mode = old->mode;
}

static struct wire_sa_policy offer_policy(const struct ike_create *c, const struct cfg_child *conf)
{
	struct wire_sa_policy p = ike_child_policy(conf, false, c->group);
	if (c->group == DH_NONE)
		p.pfs = WIRE_PFS_NO;
	return p;
}

// While it waited: the session may have ended, the old child SA too, or the peer has rekeyed it.
static bool still_wanted(const struct ike_exchange *x, const struct ike_child *old)
{
	const struct ike_want *want = x->task->arg;
	struct ike_session *s = x->sa->session;
	if (!s || !ike_may_begin(s))
		return false;
	return !want->old_spi ||
	       (old && old->state != IKE_CHILD_DELETING && old->state != IKE_CHILD_REKEYED &&
		       !ike_child_successor(old));
}

// A child SA's successor has the same worker.
static uint16_t worker_of(
	const struct ike_session *s, const struct ike_want *want, const struct ike_child *old)
{
	if (old)
		return old->worker;
	return want->resource ? want->worker : s->worker;
}

static enum ike_verdict put_request(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_session *s = x->sa->session;
	const struct cfg_child *conf = conf_of(x);
	struct ike_child *old = old_child(x);
	struct wire_builder *b = &x->out.b;
	const struct ike_want *want = x->task->arg;
	enum ike_reason why = IKE_REASON_REKEY_OVERTAKEN;
	struct ike_child *child = NULL;
	if (still_wanted(x, old))
		child = ike_child_new_on(s, worker_of(s, want, old), &why);
	if (!child)
		return ike_fail(x, why, 0);
	c->spi_in = child->spi_in;
	set_offer(c, x, old);
	struct wire_sa_policy policy = offer_policy(c, conf);
	if (old)
		wire_put_notify_esp(b, IKEV2_NOTIFY_REKEY_SA, old->spi_in, (struct view){NULL, 0});
	ike_transport_put(b, c->offered_mode);
	wire_build_sa(b, conf->esp_proposals, conf->esp_proposal_count, &policy, child->spi_in);
	wire_put_nonce(b, (struct view){c->nonce, sizeof(c->nonce)});
	if (c->dh)
		wire_put_ke(b, c->group, ike_dh_public(c->dh));
	wire_put_ts(b, IKEV2_PAYLOAD_TSI, c->offered_local.items, c->offered_local.count);
	wire_put_ts(b, IKEV2_PAYLOAD_TSR, c->offered_remote.items, c->offered_remote.count);
	if (conf->per_resource)
		ike_resource_put(b);
	return IKE_DONE;
}

static uint16_t first_group(const struct cfg_child *conf)
{
	for (size_t i = 0; i < conf->esp_proposal_count && conf->pfs != CFG_PFS_NO; i++)
		if (conf->esp_proposals[i].dh_count)
			return conf->esp_proposals[i].dh[0];
	return DH_NONE;
}

static enum ike_verdict child_build(struct ike_exchange *x)
{
	const struct ike_want *want = x->task->arg;
	if (x->step == GENERATED) {
		enum ike_verdict v = ike_create_generated(x);
		return v == IKE_DONE ? put_request(x) : v;
	}
	if (!still_wanted(x, old_child(x)))
		return ike_fail(x, IKE_REASON_REKEY_OVERTAKEN, 0);
	struct ike_create *c = ike_create_new(x);
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	c->old_spi = want->old_spi;
	c->group = want->group ? want->group : first_group(want->conf);
	if (c->group == DH_NONE)
		return put_request(x);
	return ike_create_generate(x, c->group, GENERATED);
}

// ---- response --------------------------------------------------------------------------------

// Would another try end like this one.
static bool is_lasting(enum ike_reason why)
{
	return why == IKE_REASON_MALFORMED || why == IKE_REASON_PROPOSAL_ALTERED ||
	       why == IKE_REASON_NOT_TRANSPORT || why == IKE_REASON_TS ||
	       why == IKE_REASON_CHILD_INVALID_KE;
}

// The peer has made the child SA and we will not have it: it is told.
static enum ike_verdict disown(struct ike_exchange *x, enum ike_reason why)
{
	const struct ike_create *c = x->state;
	((struct ike_want *)x->task->arg)->refused = is_lasting(why);
	(void)ikev2_disown_child(x->sa, c->spi_in); // without memory the peer's lifetime ends it
	return ike_fail(x, why, 0);
}

// The peer's new child SA for the same old one, unless it has deleted that by now.
static struct ike_child *rival_of(const struct ike_create *c, const struct ike_session *s)
{
	struct ike_child *r = c->rival.met ? ike_child_by_spi_in(c->engine, c->rival.spi_in) : NULL;
	bool there = r && s && r->session == s && r->joined && r->state != IKE_CHILD_DELETING;
	return there ? r : NULL;
}

// RFC 7296 2.8.1: "the node that initiated the surviving rekeyed SA [...] deletes the old one"; the
// other one deletes what it has made itself. That one is installed all the same: until its DELETE
// is there the peer may send by it.
static void settle(struct ike_exchange *x, struct ike_child *child, struct ike_child *old)
{
	const struct ike_create *c = x->state;
	struct ike_child *rival = rival_of(c, x->sa->session);
	x->sa->session->anew_tries = 0;
	if (old)
		old->rekeying = false;
	if (rival && ike_rival_prevails(c)) {
		ike_count(c->engine, IKE_REASON_REKEY_REDUNDANT);
		ike_child_redundant(child);
		(void)ikev2_delete_child(x->sa, child); // else its grace ends it
		return;
	}
	if (rival)
		ike_child_redundant(rival);
	child->switch_at_install = true; // the peer answers by the new one what it gets by it
}

static enum ike_verdict install(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_session *s = x->sa->session;
	struct ike_child *child = ike_child_by_spi_in(c->engine, c->spi_in);
	struct ike_child *old = old_child(x);
	uint32_t spi_out = (uint32_t)c->plan.choice.spi;
	if (!child || child->state == IKE_CHILD_GONE || !s || ike_create_is_gone(c, spi_out))
		return ike_fail(x, IKE_REASON_CHILD_UNKNOWN, 0);
	ike_child_set(child, &c->plan, spi_out);
	enum ike_reason why = ike_child_install(child, &c->terms, true);
	if (why != IKE_REASON_NONE)
		return disown(x, why);
	child->ours = true;
	ike_child_join(child, old);
	if (conf_of(x)->per_resource && !old && ike_resource_named(&x->in))
		ike_resources_agreed(s, true);
	ike_session_watch(s);
	settle(x, child, old);
	return IKE_DONE;
}

// RFC 7296 2.25: "A peer that receives a CHILD_SA_NOT_FOUND notification SHOULD silently delete the
// Child SA (if it still exists) and send a request to create a new Child SA from scratch". Where the
// peer has rekeyed it meanwhile there is one (2.8.1: "it can ignore the error message").
static void not_found(struct ike_exchange *x, struct ike_child *old)
{
	if (old)
		ike_child_retire(old);
	if (x->sa->session)
		ike_child_anew(x->sa->session, conf_of(x), true);
}

static void want_again(struct ike_session *s, const struct ike_want *want)
{
	if (want->resource)
		ike_resources_put_off(s);
	else
		ike_child_again(s, want->conf);
}

static enum ike_verdict refused(struct ike_exchange *x)
{
	const struct ike_create *c = x->state;
	const struct cfg_child *conf = conf_of(x);
	struct ike_want *want = x->task->arg;
	bool later = wire_notify_find(&x->in, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	want->refused = !later;
	if (want->old_spi && wire_notify_find(&x->in, IKEV2_NOTIFY_CHILD_SA_NOT_FOUND))
		not_found(x, old_child(x));
	else if (later && !want->old_spi && x->sa->session)
		want_again(x->sa->session, want);
	else if (!later && !rival_of(c, x->sa->session))
		ike_create_retry_group(x, conf->esp_proposals, conf->esp_proposal_count);
	if (wire_notify_find(&x->in, IKEV2_NOTIFY_TS_MAX_QUEUE) && x->sa->session)
		ike_resources_agreed(x->sa->session, false);
	return ike_fail(x, later ? IKE_REASON_REKEY_LATER : IKE_REASON_REKEY_REFUSED, 0);
}

static enum ike_verdict child_response(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	const struct cfg_child *conf = conf_of(x);
	enum ike_verdict v;
	if (c->terms.nonce_r.p) {
		v = ike_create_shared(x);
		return v == IKE_DONE ? install(x) : disown(x, x->reason);
	}
	if (wire_notify_error(&x->in) || !x->in.sa.p)
		return refused(x);
	if (ike_child_terms_parse(&x->in, &c->terms) != IKE_REASON_NONE)
		return disown(x, IKE_REASON_MALFORMED);
	struct wire_sa_policy policy = offer_policy(c, conf);
	if (wire_check_choice(conf->esp_proposals, conf->esp_proposal_count, &policy, &c->terms.sa,
		    &c->plan.choice) != WIRE_OK ||
		(uint32_t)c->plan.choice.spi == 0 ||
		(c->plan.choice.suite.dh != DH_NONE && c->plan.choice.suite.dh != c->group))
		return disown(x, IKE_REASON_PROPOSAL_ALTERED);
	enum ike_reason why =
		ike_transport_settle(conf, c->offered_mode, c->terms.transport, &c->plan.mode);
	if (why != IKE_REASON_NONE)
		return disown(x, why);
	if (c->plan.mode == SA_TRANSPORT)
		ike_transport_translate(x->sa, &c->terms.ts_i, &c->terms.ts_r, &c->plan.seen);
	if (!ike_selectors_within(&c->terms.ts_i, &c->offered_local) ||
		!ike_selectors_within(&c->terms.ts_r, &c->offered_remote))
		return disown(x, IKE_REASON_TS);
	c->plan.conf = conf;
	ike_plan_from_answer(&c->plan, &c->terms);
	v = ike_create_peer_ke(x, c->plan.choice.suite.dh, GENERATED);
	if (v == IKE_FAIL)
		return disown(x, x->reason);
	return v == IKE_DONE ? install(x) : v;
}

static void child_failed(struct ike_sa *sa, struct ike_task *t)
{
	const struct ike_want *want = t->arg;
	struct ike_child *old =
		want->old_spi ? ike_child_by_spi_in(sa->engine, want->old_spi) : NULL;
	if (want->again)
		return;
	if (!want->old_spi && want->refused && sa->session)
		ike_session_child_refused(sa->session, want->conf);
	if (!old)
		return;
	old->rekeying = false;
	ike_child_rekey_failed(old, !want->refused);
}

static int queue(struct ike_sa *sa, const struct ike_want *what)
{
	struct ike_want *want = malloc(sizeof(*want));
	struct ike_task t = {
		.name = what->old_spi ? "rekey of a child SA" : "new child SA",
		.type = IKEV2_EXCHANGE_CREATE_CHILD_SA,
		.build = child_build,
		.response = child_response,
		.failed = child_failed,
		.arg = want,
		.arg_free = free,
	};
	if (!want)
		return -ENOMEM;
	*want = *what;
	return ike_task_add(sa, &t);
}

int ikev2_rekey_child(struct ike_sa *sa, struct ike_child *child)
{
	// One that is READY may not be there yet at the peer: our response may be under way, or lost.
	if (sa->state != IKE_SA_ESTABLISHED || child->rekeying || ike_child_successor(child) ||
		child->state != IKE_CHILD_ACTIVE)
		return -EBUSY;
	child->rekeying = true;
	int rc = queue(sa, &(struct ike_want){.old_spi = child->spi_in, .conf = child->conf});
	if (rc < 0)
		child->rekeying = false;
	return rc;
}

static int add(struct ike_sa *sa, const struct ike_want *what)
{
	if (sa->state != IKE_SA_ESTABLISHED || !sa->session || sa->session->closing)
		return -EBUSY;
	return queue(sa, what);
}

int ikev2_add_child(struct ike_sa *sa, const struct cfg_child *conf)
{
	return add(sa, &(struct ike_want){.conf = conf});
}

int ikev2_add_resource(struct ike_sa *sa, const struct cfg_child *conf, uint16_t worker)
{
	return add(sa, &(struct ike_want){.conf = conf, .resource = true, .worker = worker});
}
