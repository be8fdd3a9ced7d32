// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// INFORMATIONAL (RFC 7296 1.4): liveness, DELETE of the IKE SA, and whatever else, which is answered
// without effect.
#include "controlplane/exchange.h"
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/extension.h"

#include <errno.h>

static bool deletes_ike_sa(const struct ike_message *m)
{
	for (uint8_t i = 0; i < m->delete_count; i++)
		if (m->deletes[i].protocol == IKEV2_PROTOCOL_IKE)
			return true;
	return false;
}

enum ike_verdict ikev2_informational_request(struct ike_exchange *x)
{
	if (deletes_ike_sa(&x->in)) {
		// RFC 7296 1.4.1: the children go with it, the response is empty.
		x->out.close_sa = true;
		x->out.close_reason = IKE_REASON_DELETED_BY_PEER;
		ike_count(x->sa->engine, IKE_REASON_DELETED_BY_PEER);
		// The peer closes its side with our answer: by then nothing is sent that way.
		if (x->sa->session)
			ike_routes_leave(x->sa->session);
		return IKE_DONE;
	}
	ikev2_rival_heard(x->sa);
	if (wire_notify_find(&x->in, IKEV2_NOTIFY_AUTHENTICATION_FAILED)) {
		// RFC 7296 2.21.2: an initiator that does not accept our AUTH says so in a request of its
		// own; it has given up the IKE SA with that.
		x->out.close_sa = true;
		x->out.close_reason = IKE_REASON_AUTH_REFUSED;
		ike_count(x->sa->engine, IKE_REASON_AUTH_REFUSED);
		return IKE_DONE;
	}
	if (x->in.delete_count)
		return ikev2_children_deleted(x);
	return ikev2_informational_extensions(x);
}

enum ike_verdict ikev2_refuse_request(struct ike_exchange *x)
{
	return ike_fail(x, IKE_REASON_WRONG_STATE, IKEV2_NOTIFY_TEMPORARY_FAILURE);
}

// ---- DELETE ----

static enum ike_verdict delete_build(struct ike_exchange *x)
{
	wire_put_delete_ike(&x->out.b);
	ike_next_state(x, IKE_SA_DELETING);
	return IKE_DONE;
}

static enum ike_verdict delete_response(struct ike_exchange *x)
{
	x->out.close_sa = true;
	x->out.close_reason = IKE_REASON_DELETED;
	ike_count(x->sa->engine, IKE_REASON_DELETED);
	return IKE_DONE;
}

bool ikev2_is_delete(const struct ike_task *t)
{
	return t->build == delete_build;
}

int ikev2_delete_ike_sa(struct ike_sa *sa)
{
	if (sa->state == IKE_SA_DEAD || sa->delete_queued)
		return -EALREADY;
	if (!sa->has_keys || sa->state < IKE_SA_AUTH_SENT) {
		ike_count(sa->engine, IKE_REASON_CLOSED);
		ike_sa_close(sa, IKE_REASON_CLOSED);
		return 0;
	}
	struct ike_task t = {.name = "delete",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = delete_build,
		.response = delete_response,
		.first = true};
	sa->delete_queued = true;
	if (ike_task_add(sa, &t) < 0)
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
	return 0;
}

// ---- liveness ----

static enum ike_verdict probe_build(struct ike_exchange *x)
{
	ike_count(x->sa->engine, IKE_REASON_PROBE_SENT);
	ikev2_probe_put(x); // an empty request asks for an empty response
	return IKE_DONE;
}

static enum ike_verdict probe_response(struct ike_exchange *x)
{
	ikev2_probe_read(x);
	return IKE_DONE;
}

int ikev2_probe(struct ike_sa *sa)
{
	struct ike_task t = {.name = "probe",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = probe_build,
		.response = probe_response,
		.probe = true};
	if (sa->out_progress || !TAILQ_EMPTY(&sa->tasks))
		return -EALREADY;
	return ike_task_add(sa, &t);
}
