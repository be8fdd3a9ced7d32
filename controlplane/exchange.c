// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Exchanges: running handlers, committing what they produced, replying, retransmitting.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/ikev2/mobike.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// ---- memory ----

struct ike_exchange *ike_exchange_new(
	struct ike_sa *sa, uint8_t type, bool initiator, uint32_t message_id)
{
	struct ike_exchange *x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->sa = sa;
	x->type = type;
	x->initiator = initiator;
	x->message_id = message_id;
	if (ikev1_is(sa))
		ikev1_exchange_begin(x);
	if (initiator)
		sa->out_progress = x;
	else if (!ikev1_is(sa))
		sa->in_progress = x;
	return x;
}

void ike_effects_drop(struct ike_exchange *x)
{
	for (uint16_t i = 0; i < x->out.effect_count; i++)
		if (x->out.effects[i].drop)
			x->out.effects[i].drop(x->out.effects[i].arg);
	x->out.effect_count = 0;
}

void ike_task_free(struct ike_task *t)
{
	if (t->arg_free)
		t->arg_free(t->arg);
	free(t);
}

static void task_failed(struct ike_sa *sa, struct ike_task *t)
{
	if (t->failed)
		t->failed(sa, t);
	ike_task_free(t);
}

// What the last wait brought and the handler has not taken.
static void got_drop(struct ike_exchange *x)
{
	ike_job_free(x->job);
	x->job = NULL;
	if (x->lease_held)
		ike_lease_release(x->sa->engine, &x->lease);
	x->lease_held = false;
}

static void await_cancel(struct ike_exchange *x)
{
	struct ike_engine *e = x->sa->engine;
	if (x->phase == IKE_PHASE_INSTALL)
		htab_remove(&e->installing, &x->by_child);
	wheel_cancel(&e->wheel, &x->deadline);
}

static void exchange_free(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (sa->in_progress == x)
		sa->in_progress = NULL;
	if (sa->out_progress == x)
		sa->out_progress = NULL;
	ike_wait_cancel(x);
	await_cancel(x);
	ike_effects_drop(x);
	got_drop(x);
	if (ikev1_is(sa))
		ikev1_exchange_release(x);
	if (x->state_free)
		x->state_free(x->state);
	if (x->in_buf)
		secret_wipe(x->in_buf, x->in_len);
	free(x->in_buf);
	free(x->out.effects);
	if (x->out.saved)
		secret_wipe(x->out.saved, x->out.b.w.len);
	free(x->out.saved);
	free(x);
	ike_sa_has_work(sa);
}

void ike_exchange_end(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_task *t = x->task;
	x->task = NULL;
	exchange_free(x);
	if (t)
		task_failed(sa, t);
}

// ---- what handlers use ----

enum ike_verdict ike_fail_data(struct ike_exchange *x, enum ike_reason reason, uint16_t notify,
	const void *data, size_t len)
{
	x->reason = reason;
	x->notify = notify;
	x->notify_len = (uint8_t)(len < sizeof(x->notify_data) ? len : sizeof(x->notify_data));
	if (x->notify_len)
		memcpy(x->notify_data, data, x->notify_len);
	return IKE_FAIL;
}

enum ike_verdict ike_fail(struct ike_exchange *x, enum ike_reason reason, uint16_t notify)
{
	return ike_fail_data(x, reason, notify, NULL, 0);
}

enum ike_verdict ike_fail_fatal(struct ike_exchange *x, enum ike_reason reason, uint16_t notify)
{
	x->fatal = true;
	return ike_fail(x, reason, notify);
}

int ike_effect_add(struct ike_exchange *x, void (*apply)(struct ike_exchange *, void *),
	void (*drop)(void *), void *arg)
{
	struct ike_out *o = &x->out;
	if (o->effect_count == o->effect_cap) {
		uint16_t cap = o->effect_cap ? (uint16_t)(o->effect_cap * 2) : 8;
		struct ike_effect *grown = realloc(o->effects, cap * sizeof(*grown));
		if (!grown) {
			if (drop)
				drop(arg);
			return -ENOMEM;
		}
		o->effects = grown;
		o->effect_cap = cap;
	}
	o->effects[o->effect_count++] = (struct ike_effect){apply, drop, arg};
	return 0;
}

void ike_next_state(struct ike_exchange *x, enum ike_sa_state s)
{
	x->next_state = s;
}

int ike_task_add(struct ike_sa *sa, const struct ike_task *t)
{
	struct ike_task *copy = sa->state == IKE_SA_DEAD ? NULL : malloc(sizeof(*copy));
	if (!copy) {
		if (t->arg_free)
			t->arg_free(t->arg);
		return sa->state == IKE_SA_DEAD ? -ESHUTDOWN : -ENOMEM;
	}
	*copy = *t;
	if (t->first)
		TAILQ_INSERT_HEAD(&sa->tasks, copy, link);
	else
		TAILQ_INSERT_TAIL(&sa->tasks, copy, link);
	ike_sa_has_work(sa);
	return 0;
}

void ike_sa_has_work(struct ike_sa *sa)
{
	bool task = !sa->out_progress && !TAILQ_EMPTY(&sa->tasks);
	if (sa->has_work || sa->state == IKE_SA_DEAD || !(task || ikev1_queue_due(sa)))
		return;
	sa->has_work = true;
	TAILQ_INSERT_TAIL(&sa->engine->work, sa, work);
}

void ike_tasks_drop(struct ike_sa *sa)
{
	struct ike_task *t;
	while ((t = TAILQ_FIRST(&sa->tasks))) {
		TAILQ_REMOVE(&sa->tasks, t, link);
		task_failed(sa, t);
	}
}

// ---- the output's memory ----

// All handlers build in one buffer of the engine; what a waiting one has built so far is put aside.
static void out_begin(struct ike_exchange *x)
{
	wire_build_begin(&x->out.b, x->sa->engine->scratch, IKE_OUT_MAX);
}

static bool out_save(struct ike_exchange *x)
{
	struct wr *w = &x->out.b.w;
	if (w->len == 0)
		return true;
	x->out.saved = malloc(w->len);
	if (!x->out.saved)
		return false;
	memcpy(x->out.saved, w->base, w->len);
	return true;
}

static void out_resume(struct ike_exchange *x)
{
	struct wr *w = &x->out.b.w;
	if (!w->base) {
		out_begin(x);
		return;
	}
	w->base = x->sa->engine->scratch;
	if (x->out.saved) {
		memcpy(w->base, x->out.saved, w->len);
		secret_wipe(x->out.saved, w->len);
	}
	free(x->out.saved);
	x->out.saved = NULL;
}

// ---- responder: the reply ----

static void remember_init(struct ike_sa *sa, const struct ike_sent *s, bool ours_is_request)
{
	struct view v = s->datagrams[0];
	struct secret *copy = ours_is_request ? &sa->init_i : &sa->init_r;
	secret_fini(copy);
	if (secret_copy(copy, v.p, v.len) < 0)
		ike_count(sa->engine, IKE_REASON_NO_MEMORY); // AUTH will not verify
}

// The exchange's payloads leave as its response, which is kept for repeated requests.
static void respond(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	enum ike_reason why;
	struct ike_sent *s = ike_message_seal(sa, x->type, x->message_id, true, &x->out.b, &why);
	bool over = x->out.close_sa;
	enum ike_reason reason = x->out.close_reason;
	if (s) {
		ike_sent_free(sa->last_response);
		sa->last_response = s;
		sa->last_response_id = x->message_id;
		sa->elsewhere_left = ikev2_mobike_answers(x);
		sa->last_request_hash = x->hash;
		sa->next_in = x->message_id + 1;
		if (x->type == IKEV2_EXCHANGE_IKE_SA_INIT)
			remember_init(sa, s, false);
		ike_sent_send(e, s, &x->from);
	} else {
		// Without keys or IVs there is no way to go on; the peer finds out by itself.
		ike_refused(e, sa, &x->from.remote, why);
		over = true;
		reason = why;
	}
	// RFC 7296 2.2: message ids do not wrap: "the IKE SA MUST be closed or rekeyed".
	if (x->message_id == UINT32_MAX && !over) {
		over = true;
		reason = IKE_REASON_MESSAGE_IDS;
	}
	x->phase = IKE_PHASE_OVER;
	sa->keep = over && s;
	if (over)
		ike_sa_close(sa, reason);
}

static void await_late(struct wheel_timer *t, void *arg)
{
	struct ike_exchange *x = arg;
	await_cancel(x);
	x->phase = IKE_PHASE_HANDLER;
	x->got = IKE_GOT_TIMEOUT;
	x->out.await_child = 0;
	x->handler = x->out.await_failed;
	x->out.await_failed = NULL;
	ike_count(x->sa->engine, IKE_REASON_INSTALL_TIMEOUT);
	if (x->handler)
		ike_exchange_run(x);
	else
		ike_exchange_act(
			x, ike_fail(x, IKE_REASON_INSTALL_TIMEOUT, IKEV2_NOTIFY_TEMPORARY_FAILURE));
}

void ike_exchange_await(struct ike_exchange *x)
{
	struct ike_engine *e = x->sa->engine;
	if (!out_save(x)) {
		x->out.await_child = 0;
		ike_exchange_act(
			x, ike_fail_fatal(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE));
		return;
	}
	x->phase = IKE_PHASE_INSTALL;
	htab_insert(&e->installing, &x->by_child, x->out.await_child);
	wheel_set(&e->wheel, &x->deadline, e->now_ns + IKE_INSTALL_NS, await_late, x);
}

static void settle(struct ike_exchange *x);

void ike_child_installed(struct ike_engine *e, uint32_t child)
{
	struct htab_node *n = htab_first(&e->installing, child);
	if (!n)
		return;
	struct ike_exchange *x = container_of(n, struct ike_exchange, by_child);
	await_cancel(x);
	x->phase = IKE_PHASE_HANDLER;
	x->out.await_child = 0;
	x->out.await_failed = NULL;
	out_resume(x);
	e->running = x;
	if (ikev1_is(x->sa)) {
		ikev1_exchange_reply(x);
		settle(x);
		return;
	}
	respond(x);
	e->running = NULL;
	exchange_free(x);
}

// ---- initiator: request, retransmission, response ----

bool ike_several_addresses(const struct cfg_connection *conn)
{
	return conn->initiate != CFG_INITIATE_NONE && conn->remote.address_count > 1;
}

static unsigned request_tries(const struct ike_sa *sa)
{
	if (sa->init_refused)
		return IKE_REFUSED_TRIES;
	bool others = sa->state == IKE_SA_INIT_SENT && ike_several_addresses(sa->conn);
	if (sa->mobike && !sa->mobike->initiator && sa->state == IKE_SA_ESTABLISHED)
		return IKE_MOBIKE_TRIES;
	return others ? IKE_SEVERAL_TRIES : IKE_RETRANSMIT_TRIES;
}

static void retransmit_due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	struct ike_datagram to = ike_sa_path(sa);
	// A probe goes on until the connection's DPD timeout, others until the tries are used up.
	bool probe = sa->give_up_ns != UINT64_MAX;
	unsigned tries = request_tries(sa);
	if (probe ? e->now_ns >= sa->give_up_ns : sa->request_tries >= tries) {
		if (!sa->init_refused)
			ike_refused(e, sa, &sa->remote, IKE_REASON_PEER_DEAD);
		ike_sa_close(sa, IKE_REASON_PEER_DEAD);
		return;
	}
	uint64_t next = IKE_RETRANSMIT_BASE_NS << (sa->request_tries < 6 ? sa->request_tries : 6);
	sa->request_tries++;
	ike_count(e, IKE_REASON_RETRANSMITTED);
	ike_sent_send(e, sa->request, &to);
	if (sa->mobike)
		ikev2_mobike_resend(sa);
	uint64_t longest = probe ? IKE_PROBE_PAUSE_NS : IKE_RETRANSMIT_MAX_NS;
	uint64_t due = e->now_ns + (next < longest ? next : longest);
	wheel_set(&e->wheel, &sa->retransmit, due < sa->give_up_ns ? due : sa->give_up_ns,
		retransmit_due, sa);
}

void ike_request_again(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	struct ike_datagram to = ike_sa_path(sa);
	if (!sa->request || !sa->out_progress || sa->out_progress->phase != IKE_PHASE_SENT)
		return;
	sa->request_tries = 1;
	ike_count(e, IKE_REASON_RETRANSMITTED);
	ike_sent_send(e, sa->request, &to);
	wheel_set(
		&e->wheel, &sa->retransmit, e->now_ns + IKE_RETRANSMIT_BASE_NS, retransmit_due, sa);
}

// The DPD timeout counts from the last message that was heard, but a probe gets some seconds.
static uint64_t probe_give_up(const struct ike_sa *sa)
{
	uint64_t due = sa->last_heard_ns + sa->conn->dpd.timeout_s * NS_PER_S;
	uint64_t soonest = sa->engine->now_ns + IKE_PROBE_MIN_NS;
	return due > soonest ? due : soonest;
}

static void request(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	struct ike_datagram to = ike_sa_path(sa);
	enum ike_reason why;
	struct ike_sent *s = ike_message_seal(sa, x->type, x->message_id, false, &x->out.b, &why);
	if (!s) {
		ike_refused(e, sa, &sa->remote, why);
		ike_sa_close(sa, why);
		return;
	}
	if (x->type == IKEV2_EXCHANGE_IKE_SA_INIT)
		remember_init(sa, s, true);
	else if (x->type == IKEV2_EXCHANGE_IKE_AUTH)
		ike_sa_state_set(sa, IKE_SA_AUTH_SENT);
	ike_sent_free(sa->request);
	sa->request = s;
	sa->request_tries = 1;
	sa->give_up_ns = UINT64_MAX;
	if (x->task->probe && sa->conn->dpd.timeout_s)
		sa->give_up_ns = probe_give_up(sa);
	x->phase = IKE_PHASE_SENT;
	ike_sent_send(e, s, &to);
	wheel_set(
		&e->wheel, &sa->retransmit, e->now_ns + IKE_RETRANSMIT_BASE_NS, retransmit_due, sa);
}

// RFC 7296 2.2: message ids do not wrap; the last one is that of the DELETE.
static void last_message_id(struct ike_sa *sa)
{
	if (sa->next_out != UINT32_MAX || sa->delete_queued)
		return;
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_MESSAGE_IDS);
	(void)ikev2_delete_ike_sa(sa);
}

void ike_sa_pump(struct ike_sa *sa)
{
	if (ikev1_is(sa))
		ikev1_queue_run(sa);
	if (sa->state == IKE_SA_DEAD || sa->out_progress || TAILQ_EMPTY(&sa->tasks))
		return;
	if (!ikev1_is(sa))
		last_message_id(sa);
	struct ike_task *t = TAILQ_FIRST(&sa->tasks);
	if (!t)
		return;
	TAILQ_REMOVE(&sa->tasks, t, link);
	struct ike_exchange *x = ike_exchange_new(
		sa, t->type, true, ikev1_is(sa) ? ikev1_message_id(sa, t->type) : sa->next_out);
	if (!x) {
		ike_count(sa->engine, IKE_REASON_NO_MEMORY);
		task_failed(sa, t);
		ike_sa_has_work(sa);
		return;
	}
	x->task = t;
	x->handler = t->build;
	ike_exchange_run(x);
}

// ---- verdicts ----

bool ike_exchange_apply(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	for (uint16_t i = 0; i < x->out.effect_count; i++)
		x->out.effects[i].apply(x, x->out.effects[i].arg);
	ike_effects_drop(x);
	if (sa->state == IKE_SA_DEAD)
		return false;
	if (x->next_state)
		ike_sa_state_set(sa, x->next_state);
	x->next_state = IKE_SA_NEW;
	return true;
}

void ike_exchange_task_done(struct ike_exchange *x)
{
	if (x->task)
		ike_task_free(x->task);
	x->task = NULL;
}

static void commit(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	enum ike_sa_state before = sa->state;
	if (!ike_exchange_apply(x))
		return;
	assert(!x->row || sa->state == before || (x->row->next & (1u << sa->state)));
	if (x->initiator && x->phase == IKE_PHASE_HANDLER) {
		request(x);
	} else if (x->initiator) {
		x->phase = IKE_PHASE_OVER;
		ike_exchange_task_done(x);
		if (x->out.close_sa)
			ike_sa_close(sa, x->out.close_reason);
	} else if (x->out.await_child) {
		ike_exchange_await(x);
	} else {
		respond(x);
	}
}

static void fail_initiator(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	bool over = x->fatal || sa->state < IKE_SA_ESTABLISHED;
	bool tell = sa->has_keys && sa->state >= IKE_SA_AUTH_SENT && !x->peer_ended;
	enum ike_reason reason = x->reason;
	x->phase = IKE_PHASE_OVER;
	if (!over)
		return;
	// The peer may take the IKE SA for established: it is told.
	if (!tell || ikev2_delete_ike_sa(sa) < 0)
		ike_sa_close(sa, reason);
}

static void fail_responder(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	bool clear = x->type == IKEV2_EXCHANGE_IKE_SA_INIT;
	struct view data = {x->notify_data, x->notify_len};
	if (clear) {
		// RFC 7296 2.6, CVE-2023-30570: the error names no SPI of ours, and no state stays.
		struct ike_header h = {.spi_i = sa->spi_i,
			.exchange = x->type,
			.flags = IKE_FLAG_INITIATOR,
			.message_id = x->message_id};
		struct ike_datagram from = x->from;
		from.bytes = (struct view){x->in_buf, x->from_len};
		// A want of our own is not told in clear: the peer asks again.
		if (x->notify && x->notify != IKEV2_NOTIFY_TEMPORARY_FAILURE)
			ike_send_notify(sa->engine, &from, &h, x->notify, data);
		ike_sa_close(sa, x->reason);
		return;
	}
	if (!x->notify && sa->state < IKE_SA_ESTABLISHED) {
		x->phase = IKE_PHASE_OVER;
		if (x->fatal)
			ike_sa_close(sa, x->reason);
		return;
	}
	out_begin(x);
	if (x->notify)
		wire_put_notify(&x->out.b, x->notify, data);
	x->out.close_sa = x->fatal;
	x->out.close_reason = x->reason;
	respond(x);
}

static void fail(struct ike_exchange *x)
{
	struct ike_engine *e = x->sa->engine;
	ike_effects_drop(x);
	x->out.await_child = 0;
	x->next_state = IKE_SA_NEW;
	ike_refused(e, x->sa, x->initiator ? &x->sa->remote : &x->from.remote, x->reason);
	if (x->initiator)
		fail_initiator(x);
	else
		fail_responder(x);
}

// x is freed here unless it goes on.
static void settle(struct ike_exchange *x)
{
	x->sa->engine->running = NULL;
	if (x->phase == IKE_PHASE_OVER || x->sa->state == IKE_SA_DEAD)
		ike_exchange_end(x);
}

void ike_exchange_act(struct ike_exchange *x, enum ike_verdict v)
{
	struct ike_exchange *outer = x->sa->engine->running;
	x->sa->engine->running = x;
	if (v == IKE_PENDING && !out_save(x))
		v = ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	if (v != IKE_PENDING && ikev1_is(x->sa))
		ikev1_exchange_act(x, v);
	else if (v == IKE_DONE)
		commit(x);
	else if (v == IKE_FAIL)
		fail(x);
	if (!outer)
		settle(x);
}

void ike_exchange_run(struct ike_exchange *x)
{
	assert(!x->sa->engine->running);
	x->sa->engine->running = x;
	out_resume(x);
	enum ike_verdict v = x->handler(x);
	got_drop(x);
	if (x->sa->state != IKE_SA_DEAD)
		ike_exchange_act(x, v);
	settle(x);
}
