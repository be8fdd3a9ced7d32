// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Soft lifetimes: when this side begins to rekey. Both ends of a tunnel often have the same lifetimes;
// a part of each is drawn by lot, so that they seldom begin at the same moment (RFC 7296 2.8: "the
// timing of rekeying requests SHOULD be jittered").
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>

#define RETRY_MIN_NS (500 * NS_PER_MS)
#define RETRY_MAX_NS (60 * NS_PER_S)
#define NAMED_MIN_NS (10 * NS_PER_S) // however short a lifetime the peer names: no sooner
#define VOLUME_NS    NS_PER_S        // IKEv1: least time between two rekeyings by bytes or packets

bool ike_may_begin(const struct ike_session *s)
{
	return !s->conn->responder_only && !s->closing && !s->engine->shutting_down;
}

// up to a percentage less
static uint64_t jittered(const struct ike_engine *e, uint64_t ns)
{
	uint64_t part = ns / 100 * IKE_SOFT_JITTER;
	return part ? ns - random_u64(e->p.random) % part : ns;
}

// Each try waits twice as long as the one before, give or take: two that collided part.
static uint64_t retry_ns(const struct ike_engine *e, uint8_t tries)
{
	uint64_t ns = RETRY_MIN_NS << (tries < 7 ? tries : 7);
	if (ns > RETRY_MAX_NS)
		ns = RETRY_MAX_NS;
	return ns / 2 + random_u64(e->p.random) % ns;
}

// ---- IKE SAs ---------------------------------------------------------------------------------

// One of IKEv1 that has expired has left its session without any, which is to get another one.
static bool replaceable(const struct ike_sa *sa)
{
	return sa->state == IKE_SA_ESTABLISHED || sa->state == IKE_SA_EXPIRED;
}

static void sa_due(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_session *s = sa->session;
	if (!s || s->sa != sa || !replaceable(sa))
		return;
	// One that is to end may yet stay (succession.c).
	int rc = ike_may_begin(s) ? ike_sa_rekey(sa) : s->closing ? -EBUSY : -EPERM;
	if (rc == -EBUSY || rc == -ENOMEM)
		ike_sa_rekey_failed(sa, true);
}

// What the peer has agreed on, or told, may end sooner.
static uint64_t agreed_left_ns(const struct ike_sa *sa)
{
	uint64_t life_ns = ikev1_is(sa) ? sa->v1->life_s * NS_PER_S : 0;
	uint64_t passed_ns = sa->engine->now_ns - sa->established_ns;
	if (!life_ns)
		return UINT64_MAX;
	if (life_ns < NAMED_MIN_NS)
		life_ns = NAMED_MIN_NS;
	return life_ns > passed_ns ? (life_ns - passed_ns) / 10 * 9 : 0;
}

void ike_sa_soft_start(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	uint64_t soft_ns = sa->conn->lifetime.ike_rekey_s * NS_PER_S, left_ns = agreed_left_ns(sa);
	bool wanted = soft_ns && !sa->conn->responder_only;
	if (soft_ns > left_ns)
		soft_ns = left_ns;
	sa->soft_tries = 0;
	if (wanted)
		wheel_set(&e->wheel, &sa->soft, e->now_ns + jittered(e, soft_ns), sa_due, sa);
}

void ike_sa_soft_stop(struct ike_sa *sa)
{
	wheel_cancel(&sa->engine->wheel, &sa->soft);
}

void ike_sa_rekey_failed(struct ike_sa *sa, bool again)
{
	struct ike_engine *e = sa->engine;
	if (!again || !replaceable(sa) || !sa->session)
		return;
	wheel_set(&e->wheel, &sa->soft, e->now_ns + retry_ns(e, sa->soft_tries), sa_due, sa);
	if (sa->soft_tries < UINT8_MAX)
		sa->soft_tries++;
}

// ---- child SAs -------------------------------------------------------------------------------

static bool in_use(const struct ike_child *c)
{
	return c->joined && c->session &&
	       (c->state == IKE_CHILD_ACTIVE || c->state == IKE_CHILD_READY ||
		       c->state == IKE_CHILD_INSTALLING);
}

static void child_due(struct wheel_timer *t, void *arg)
{
	struct ike_child *c = arg;
	if (!in_use(c))
		return;
	int rc = ike_may_begin(c->session) ? ike_child_rekey(c)
		 : c->session->closing     ? -EBUSY
					   : -EPERM;
	if ((rc == -EBUSY && !c->rekeying) || rc == -ENOMEM)
		ike_child_rekey_failed(c, true);
}

void ike_child_soft_start(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	const struct cfg_connection *conn = c->session->conn;
	uint64_t soft_ns = conn->lifetime.child_rekey_s * NS_PER_S;
	uint64_t named_ns =
		c->life_s * NS_PER_S > NAMED_MIN_NS ? c->life_s * NS_PER_S : NAMED_MIN_NS;
	// What the peer has agreed on may end sooner.
	if (c->life_s && soft_ns > named_ns / 10 * 9)
		soft_ns = named_ns / 10 * 9;
	c->soft_tries = 0;
	if (soft_ns && !conn->responder_only)
		wheel_set(&e->wheel, &c->soft, e->now_ns + jittered(e, soft_ns), child_due, c);
}

void ike_child_soft_resume(struct ike_child *c, uint64_t due_ns)
{
	struct ike_engine *e = c->engine;
	if (due_ns > e->now_ns && !c->session->conn->responder_only)
		wheel_set(&e->wheel, &c->soft, due_ns, child_due, c);
	else if (due_ns)
		ike_child_rekey_failed(c, true);
}

void ike_child_soft_stop(struct ike_child *c)
{
	wheel_cancel(&c->engine->wheel, &c->soft);
}

void ike_child_soft_reached(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	const struct ike_child *heir = in_use(c) ? ike_child_successor(c) : NULL;
	if (!in_use(c) || c->rekeying || (heir && heir->settle.set) || !ike_may_begin(c->session))
		return;
	// IKEv1's peer may have named a volume that each packet reaches.
	uint64_t soonest = c->joined_ns + (c->session->sa->version == IKE_MAJOR_1 ? VOLUME_NS : 0);
	if (c->soft.set && c->soft.due_ms * NS_PER_MS <= soonest + NS_PER_MS)
		return;
	ike_count(e, IKE_REASON_CHILD_SOFT_LIMIT);
	if (e->now_ns < soonest)
		wheel_set(&e->wheel, &c->soft, soonest, child_due, c);
	else
		child_due(&c->soft, c);
}

void ike_child_rekey_failed(struct ike_child *c, bool again)
{
	struct ike_engine *e = c->engine;
	if (!again || !in_use(c))
		return;
	wheel_set(&e->wheel, &c->soft, e->now_ns + retry_ns(e, c->soft_tries), child_due, c);
	if (c->soft_tries < UINT8_MAX)
		c->soft_tries++;
}
