// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The end of an ISAKMP SA that is not the end of its session. RFC 2408 says nothing of children that
// outlive it, and peers differ: those that want theirs gone delete them, so they stay until their own
// time is over, or the peer comes back and a new ISAKMP SA takes the session over.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/quick.h"

LOG_SUBSYSTEM("ike");

#define EXPIRED_IDLE_NS (600 * NS_PER_S)
#define LASTED_NS       (60 * NS_PER_S) // an ISAKMP SA that ends sooner has not

bool ikev1_children_in_use(const struct ike_session *s)
{
	const struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->state == IKE_CHILD_ACTIVE)
			return true;
	return false;
}

// What has not been confirmed will not be, the others have their time.
static void settle_children(struct ike_session *s)
{
	struct ike_child *c, *next;
	for (c = LIST_FIRST(&s->children); c; c = next) {
		next = LIST_NEXT(c, link);
		if (c->state == IKE_CHILD_INSTALLING || c->state == IKE_CHILD_READY)
			ike_child_drop(c);
		else
			ike_child_limit(c, IKEV1_LIFE_DEFAULT_S);
	}
}

// Nobody can be asked any more: ESP alone shows that the peer is there. Who does not answer a new phase
// 1 either is as dead as one that does not answer DPD.
static uint64_t idle_ns(const struct ike_sa *sa)
{
	bool asked = sa->v1->unanswered && sa->conn->dpd.delay_s && sa->conn->dpd.timeout_s;
	return asked ? sa->conn->dpd.timeout_s * NS_PER_S : EXPIRED_IDLE_NS;
}

static void idle_due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	uint64_t due = ike_sa_last_sign(sa) + idle_ns(sa);
	if (due > e->now_ns) {
		wheel_set(&e->wheel, &sa->dpd, due, idle_due, sa);
		return;
	}
	ike_refused(e, sa, &sa->remote, IKE_REASON_V1_IDLE);
	ike_sa_close(sa, IKE_REASON_PEER_DEAD);
}

void ikev1_expired_answer(struct ike_sa *sa, bool answered)
{
	struct ike_engine *e = sa->engine;
	if (sa->state != IKE_SA_EXPIRED)
		return;
	sa->v1->unanswered = !answered;
	wheel_set(&e->wheel, &sa->dpd, e->now_ns, idle_due, sa);
}

// Who began the session begins anew, so that there are DPD and DELETE again. Peers that always end their
// ISAKMP SA at once are not called again and again.
static void begin_anew(struct ike_sa *sa)
{
	bool lasted = sa->engine->now_ns - sa->established_ns >= LASTED_NS;
	if (!sa->initiator && !sa->session->initiator)
		return;
	sa->soft_tries = lasted ? 0 : sa->v1->short_lived;
	ike_sa_rekey_failed(sa, ike_may_begin(sa->session));
}

void ikev1_sa_expire(struct ike_sa *sa, enum ike_reason why, bool tell)
{
	struct ike_session *s = sa->session;
	char text[IKE_SA_TEXT_MAX];
	if (sa->state == IKE_SA_DEAD || sa->state == IKE_SA_EXPIRED)
		return;
	if (tell)
		ikev1_tell_deleted(sa);
	if (sa->state != IKE_SA_ESTABLISHED || !s || s->closing || !ikev1_children_in_use(s)) {
		ike_sa_close(sa, why);
		return;
	}
	ike_count(sa->engine, IKE_REASON_V1_EXPIRED);
	log_notice("%s ISAKMP SA over: %s; its child SAs live on", ike_sa_text(sa, text),
		ike_reason_text(why));
	settle_children(s);
	ike_sa_expired(sa);
	sa->last_heard_ns = sa->engine->now_ns;
	begin_anew(sa);
	idle_due(&sa->dpd, sa);
}
