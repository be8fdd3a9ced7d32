// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The end of many IKE SAs: at shutdown, and by the operator. Their DELETEs leave some at a time, so
// that neither sealing them holds up the control thread nor their number overflows what carries
// datagrams to the workers.
#include "controlplane/exchange.h"
#include "controlplane/session.h"

#include <errno.h>

#define PACE_NS    (10 * NS_PER_MS)
#define PACE_COUNT 64                // IKE SAs that end at one time; 6400 a second
#define AGAIN_NS   (500 * NS_PER_MS) // at shutdown: look for IKE SAs that came up meanwhile
#define CLEAR_LOOK 1024              // sessions that one portion of ike_clear() looks at

static void pace(struct ike_engine *e);

static void pace_due(struct wheel_timer *t, void *arg)
{
	pace(arg);
}

void ike_sa_end_later(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	if (sa->ends_later || sa->delete_queued || sa->state == IKE_SA_DEAD)
		return;
	sa->ends_later = true;
	TAILQ_INSERT_TAIL(&e->ending, sa, ending);
	if (!e->pace.set)
		wheel_set(&e->wheel, &e->pace, e->now_ns, pace_due, e);
}

void ike_sa_end_forget(struct ike_sa *sa)
{
	if (sa->ends_later)
		TAILQ_REMOVE(&sa->engine->ending, sa, ending);
	sa->ends_later = false;
}

static void end_all(struct ike_engine *e)
{
	struct ike_sa *sa;
	LIST_FOREACH (sa, &e->all_sas, all) {
		// One that a rekeying is making goes with the IKE SA that it replaces.
		bool in_the_making = sa->state == IKE_SA_NEW && !sa->session && !sa->in_progress;
		if (!in_the_making)
			ike_sa_end_later(sa);
	}
}

static void pace(struct ike_engine *e)
{
	struct ike_sa *sa;
	if (e->shutting_down && TAILQ_EMPTY(&e->ending))
		end_all(e);
	for (int i = 0; i < PACE_COUNT && (sa = TAILQ_FIRST(&e->ending)); i++) {
		ike_sa_end_forget(sa);
		(void)ike_sa_delete(sa); // -EALREADY: its DELETE is under way
	}
	if (!TAILQ_EMPTY(&e->ending))
		wheel_set(&e->wheel, &e->pace, e->now_ns + PACE_NS, pace_due, e);
	else if (e->shutting_down && e->sa_count)
		wheel_set(&e->wheel, &e->pace, e->now_ns + AGAIN_NS, pace_due, e);
}

void ike_shutdown(struct ike_engine *e, uint64_t deadline_ns)
{
	ike_enter(e);
	e->shutting_down = true;
	e->shutdown_deadline_ns = deadline_ns;
	end_all(e);
	wheel_cancel(&e->wheel, &e->pace);
	pace(e);
	ike_leave(e);
}

bool ike_drained(const struct ike_engine *e)
{
	return e->shutting_down &&
	       (e->sa_count == 0 || clock_now_ns(e->p.clock) >= e->shutdown_deadline_ns);
}

// ---- by the operator -------------------------------------------------------------------------

static bool has_address(const struct ike_session *s, const struct ip_addr *a)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (ip_eq(&s->leases[i].addr, a))
			return true;
	return ip_eq(&s->sa->remote.addr, a);
}

static bool has_name(const struct ike_session *s, const char *name)
{
	return (s->user && strcmp(s->user, name) == 0) ||
	       (s->identity_text && strcmp(s->identity_text, name) == 0);
}

static bool clear_matches(const struct ike_session *s, const struct ike_clearing *c)
{
	switch (c->what) {
	case IKE_CLEAR_USER:
		return c->user && has_name(s, c->user);
	case IKE_CLEAR_ADDRESS:
		return c->address && has_address(s, c->address);
	default:
		return c->what == IKE_CLEAR_ALL;
	}
}

static size_t clear_one(struct ike_session *s)
{
	if (!s)
		return 0;
	ike_session_closing(s, true);
	ike_sa_end_later(s->sa);
	return 1;
}

static size_t clear_portion(struct ike_engine *e, struct ike_clearing *c)
{
	size_t n = 0, looked = 0, i = ike_session_first(e, c->cursor);
	for (; i < e->order_len && looked < CLEAR_LOOK; i++) {
		struct ike_session *s = e->order[i];
		if (!s)
			continue;
		// Who came after the order was given stays.
		if (s->id > c->last)
			break;
		c->cursor = s->id;
		looked++;
		if (clear_matches(s, c))
			n += clear_one(s);
	}
	c->done = looked < CLEAR_LOOK;
	return n;
}

size_t ike_clear(struct ike_engine *e, struct ike_clearing *c)
{
	size_t n;
	ike_enter(e);
	if (!c->last)
		c->last = e->next_session;
	if (c->what == IKE_CLEAR_ID) {
		n = clear_one(ike_session_by_id(e, c->id));
		c->done = true;
	} else {
		n = clear_portion(e, c);
	}
	ike_leave(e);
	return n;
}
