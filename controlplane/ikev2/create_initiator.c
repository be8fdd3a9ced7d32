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
	struct ike_peer_side peer = {s->leases, s->lease_count, &x->sa->remote.addr};
	if (!old) {
		ike_child_offer(conf_of(x), &peer, &c->offered_local, &c->offered_remote);
		ike_session_own_side(s, &c->offered_local);
		return;
	}
	memcpy(c->offered_local.items, old->ts_local, sizeof(old->ts_local));
	memcpy(c->offered_remote.items, old->ts_remote, sizeof(old->ts_remote));
	c->offered_local.count = old->ts_local_count;
	c->offered_remote.count = old->ts_remote_count;
}

static struct wire_sa_policy offer_policy(const struct ike_create *c, const struct cfg_child *conf)
{
	struct wire_sa_policy p = ike_child_policy(conf, false, c->group);
	if (c->group == DH_NONE)
		p.pfs = WIRE_PFS_NO;
	return p;
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
	const struct ike_want *want = x->task->arg;
	struct ike_child *old = old_child(x);
	struct wire_builder *b = &x->out.b;
	enum ike_reason why = IKE_REASON_CHILD_UNKNOWN;
	struct ike_child *child = NULL;
	if (s && !s->closing && (old || !want->old_spi))
		child = ike_child_new_on(s, worker_of(s, want, old), &why);
	if (!child)
		return ike_fail(x, why, 0);
	c->spi_in = child->spi_in;
	set_offer(c, x, old);
	struct wire_sa_policy policy = offer_policy(c, conf);
	if (old)
		wire_put_notify_esp(b, IKEV2_NOTIFY_REKEY_SA, old->spi_in, (struct view){NULL, 0});
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
	struct ike_create *c = ike_create_new(x);
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	c->group = want->group ? want->group : first_group(want->conf);
	if (c->group == DH_NONE)
		return put_request(x);
	return ike_create_generate(x, c->group, GENERATED);
}

// ---- response --------------------------------------------------------------------------------

static enum ike_verdict install(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	struct ike_child *child = ike_child_by_spi_in(c->engine, c->spi_in);
	struct ike_child *old = old_child(x);
	if (!child || child->state == IKE_CHILD_GONE || !x->sa->session)
		return ike_fail(x, IKE_REASON_CHILD_UNKNOWN, 0);
	ike_child_set(child, &c->plan, (uint32_t)c->plan.choice.spi);
	enum ike_reason why = ike_child_install(child, &c->terms, true);
	if (why != IKE_REASON_NONE)
		return ike_fail(x, why, 0);
	ike_child_join(child, old);
	if (conf_of(x)->per_resource && !old && ike_resource_named(&x->in))
		ike_resources_agreed(x->sa->session, true);
	ike_session_watch(x->sa->session);
	ike_child_switch(child);
	if (old) {
		old->rekeying = false;
		(void)ikev2_delete_child(x->sa, old); // without memory its hard lifetime ends it
	}
	return IKE_DONE;
}

// RFC 7296 2.25.1: the peer does not have it: it need not be deleted there.
static enum ike_verdict refused(struct ike_exchange *x)
{
	const struct cfg_child *conf = conf_of(x);
	struct ike_child *old = old_child(x);
	if (old && wire_notify_find(&x->in, IKEV2_NOTIFY_CHILD_SA_NOT_FOUND))
		ike_child_drop(old);
	else
		ike_create_retry_group(x, conf->esp_proposals, conf->esp_proposal_count);
	if (wire_notify_find(&x->in, IKEV2_NOTIFY_TS_MAX_QUEUE) && x->sa->session)
		ike_resources_agreed(x->sa->session, false);
	((struct ike_want *)x->task->arg)->refused =
		!wire_notify_find(&x->in, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	return ike_fail(x, IKE_REASON_REKEY_REFUSED, 0);
}

static enum ike_verdict child_response(struct ike_exchange *x)
{
	struct ike_create *c = x->state;
	const struct cfg_child *conf = conf_of(x);
	enum ike_verdict v;
	if (c->terms.nonce_r.p) {
		v = ike_create_shared(x);
		return v == IKE_DONE ? install(x) : v;
	}
	if (wire_notify_error(&x->in) || !x->in.sa.p)
		return refused(x);
	if (ike_child_terms_parse(&x->in, &c->terms) != IKE_REASON_NONE)
		return ike_fail(x, IKE_REASON_MALFORMED, 0);
	struct wire_sa_policy policy = offer_policy(c, conf);
	if (wire_check_choice(conf->esp_proposals, conf->esp_proposal_count, &policy, &c->terms.sa,
		    &c->plan.choice) != WIRE_OK ||
		(uint32_t)c->plan.choice.spi == 0 ||
		(c->plan.choice.suite.dh != DH_NONE && c->plan.choice.suite.dh != c->group))
		return ike_fail(x, IKE_REASON_PROPOSAL_ALTERED, 0);
	if (!ike_selectors_within(&c->terms.ts_i, &c->offered_local) ||
		!ike_selectors_within(&c->terms.ts_r, &c->offered_remote))
		return ike_fail(x, IKE_REASON_TS, 0);
	c->plan.conf = conf;
	ike_plan_from_answer(&c->plan, &c->terms);
	v = ike_create_peer_ke(x, c->plan.choice.suite.dh, GENERATED);
	return v == IKE_DONE ? install(x) : v;
}

static void child_failed(struct ike_sa *sa, struct ike_task *t)
{
	const struct ike_want *want = t->arg;
	struct ike_child *old =
		want->old_spi ? ike_child_by_spi_in(sa->engine, want->old_spi) : NULL;
	if (!old || want->again)
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
	if (sa->state != IKE_SA_ESTABLISHED || child->rekeying ||
		(child->state != IKE_CHILD_ACTIVE && child->state != IKE_CHILD_READY))
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
