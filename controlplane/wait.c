// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What exchanges wait for: crypto jobs, addresses, AAA. Each has a token and a deadline; a result
// whose exchange has gone is released.
#include "controlplane/exchange.h"

void ike_wait_cancel(struct ike_exchange *x)
{
	struct ike_engine *e = x->sa->engine;
	wheel_cancel(&e->wheel, &x->deadline);
	if (x->token)
		htab_remove(&e->waiting, &x->by_token);
	x->token = 0;
}

static void timed_out(struct wheel_timer *t, void *arg)
{
	struct ike_exchange *x = arg;
	ike_wait_cancel(x);
	x->got = IKE_GOT_TIMEOUT;
	ike_exchange_run(x);
}

static uint64_t wait_begin(
	struct ike_exchange *x, enum ike_got what, int next_step, uint64_t deadline_ns)
{
	struct ike_engine *e = x->sa->engine;
	ike_wait_cancel(x);
	x->step = next_step;
	x->got = IKE_GOT_NOTHING;
	x->waited = what;
	x->token = ++e->next_token;
	htab_insert(&e->waiting, &x->by_token, x->token);
	wheel_set(&e->wheel, &x->deadline, e->now_ns + deadline_ns, timed_out, x);
	return x->token;
}

// The exchange that waits for this kind of thing under the token, no longer waiting; or NULL.
static struct ike_exchange *wait_over(struct ike_engine *e, uint64_t token, enum ike_got what)
{
	struct htab_node *n = htab_first(&e->waiting, token);
	if (!n) {
		ike_count(e, IKE_REASON_LATE_RESULT);
		return NULL;
	}
	struct ike_exchange *x = container_of(n, struct ike_exchange, by_token);
	ike_wait_cancel(x);
	x->got = what;
	return x;
}

enum ike_verdict ike_wait_job(struct ike_exchange *x, struct ike_job *job, int next_step)
{
	struct ike_engine *e = x->sa->engine;
	if (!job)
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	job->token = wait_begin(x, IKE_GOT_JOB, next_step, IKE_JOB_DEADLINE_NS);
	if (e->p.jobs.submit(e->p.jobs.ctx, job) < 0) {
		ike_wait_cancel(x);
		ike_job_free(job);
		return ike_fail(x, IKE_REASON_JOB_QUEUE_FULL, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	}
	e->jobs_pending++;
	return IKE_PENDING;
}

void ike_job_done(struct ike_engine *e, struct ike_job *job)
{
	ike_enter(e);
	e->jobs_pending--;
	struct ike_exchange *x = wait_over(e, job->token, IKE_GOT_JOB);
	if (x) {
		x->job = job;
		ike_exchange_run(x);
	} else {
		ike_job_free(job);
	}
	ike_leave(e);
}

enum ike_verdict ike_wait_address(
	struct ike_exchange *x, const struct address_request *rq, int next_step)
{
	struct ike_engine *e = x->sa->engine;
	struct address_source *source = e->p.addresses;
	struct address_request r = *rq;
	r.token = wait_begin(x, IKE_GOT_ADDRESS, next_step, IKE_ADDR_DEADLINE_NS);
	x->address_status = source->acquire(source->ctx, &r, &x->lease);
	if (x->address_status == ADDRESS_PENDING)
		return IKE_PENDING;
	ike_wait_cancel(x);
	x->got = IKE_GOT_ADDRESS;
	x->lease_held = x->address_status == ADDRESS_OK;
	return IKE_DONE;
}

static void address_done(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct ike_engine *e = user;
	ike_enter(e);
	struct ike_exchange *x = wait_over(e, token, IKE_GOT_ADDRESS);
	if (x) {
		x->address_status = s;
		x->lease_held = s == ADDRESS_OK;
		if (x->lease_held)
			x->lease = *l;
		ike_exchange_run(x);
	} else if (s == ADDRESS_OK) {
		ike_lease_release(e, l);
	}
	ike_leave(e);
}

void ike_lease_release(struct ike_engine *e, const struct lease *l)
{
	e->p.addresses->release(e->p.addresses->ctx, l);
}

void ike_wait_move(struct ike_exchange *from, struct ike_exchange *to, int next_step)
{
	struct ike_engine *e = from->sa->engine;
	uint64_t token = from->token, due_ns = from->deadline.due_ms * NS_PER_MS;
	enum ike_got waited = from->waited;
	ike_wait_cancel(from);
	ike_wait_cancel(to);
	to->step = next_step;
	to->got = IKE_GOT_NOTHING;
	to->waited = waited;
	to->token = token;
	htab_insert(&e->waiting, &to->by_token, token);
	wheel_set(&e->wheel, &to->deadline, due_ns, timed_out, to);
}

// ---- the source's other end ------------------------------------------------------------------

void ike_address_source_begin(struct ike_engine *e)
{
	struct address_source *source = e->p.addresses;
	if (!source)
		return;
	source->done = address_done;
	source->revoked = ike_lease_revoked;
	source->user = e;
}

// The engine has gone.
static void done_late(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct address_source *source = user;
	if (s == ADDRESS_OK)
		source->release(source->ctx, l);
}

static void revoked_late(void *user, const struct ip_addr *addr)
{
}

void ike_address_source_end(struct ike_engine *e)
{
	struct address_source *source = e->p.addresses;
	if (!source)
		return;
	source->done = done_late;
	source->revoked = revoked_late;
	source->user = source;
}

enum ike_verdict ike_wait_aaa(
	struct ike_exchange *x, const struct ike_aaa_request *rq, int next_step)
{
	struct ike_aaa *aaa = &x->sa->engine->p.aaa;
	struct ike_aaa_request r = *rq;
	r.token = wait_begin(x, IKE_GOT_AAA, next_step, IKE_AAA_DEADLINE_NS);
	x->aaa_status =
		aaa->authorize ? aaa->authorize(aaa->ctx, &r, &x->aaa_addresses) : IKE_AAA_ACCEPT;
	if (x->aaa_status == IKE_AAA_PENDING)
		return IKE_PENDING;
	ike_wait_cancel(x);
	x->got = IKE_GOT_AAA;
	return IKE_DONE;
}

void ike_aaa_done(struct ike_engine *e, uint64_t token, enum ike_aaa_status status,
	const struct ike_aaa_addresses *addresses)
{
	ike_enter(e);
	struct ike_exchange *x = wait_over(e, token, IKE_GOT_AAA);
	if (x) {
		x->aaa_status = status;
		if (addresses)
			x->aaa_addresses = *addresses;
		ike_exchange_run(x);
	}
	ike_leave(e);
}
