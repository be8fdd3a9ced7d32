// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which of several child SAs with the same selectors counts. Quick mode does not say what it replaces,
// both sides may begin it at the same moment, and DELETE has no answer. So that nothing is lost and
// nothing multiplies:
// - Of those with the same selectors one is in use and has a soft lifetime; the others are REKEYED,
//   stay installed, and are there again should that one go.
// - A younger one replaces an older one. Of two that were made at the same time the one with the lowest
//   nonce is redundant (as RFC 7296 2.8.1 has it), which both sides see alike.
// - What is replaced is deleted by the initiator of what replaces it, what is redundant by its own
//   initiator, and sooner. The other side does so much later, if at all: it may have seen it in another
//   order, and must not delete the one while its peer deletes the other.
// - Outbound, a DELETE follows when nothing has been sent on the SA for a while. Inbound, the SA stays for
//   a moment behind its DELETE, which is sent twice.
#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>

#define COLLIDED_NS    NS_PER_S // between two that may have been begun at the same time
#define REDUNDANT_S    5        // until its initiator deletes it
#define SETTLE_NS      (250 * NS_PER_MS)
#define ORPHANED_S     10 // without its quick mode: until it is given up if nobody uses it
#define DELETE_AGAIN_S 1
#define DELETES        2
#define DELETES_MAX    10 // while the peer goes on to use it
#define USED_NS        (500 * NS_PER_MS)
#define LINGER_S       3 // an inbound SA behind its first DELETE
#define TOGETHER_NS    (100 * NS_PER_MS)

bool ike_selectors_equal(const struct selector *a, uint8_t n, const struct selector *b, uint8_t m)
{
	if (n != m)
		return false;
	for (uint8_t i = 0; i < n; i++)
		if (!selector_within(&a[i], &b[i]) || !selector_within(&b[i], &a[i]))
			return false;
	return true;
}

static bool same_ts(const struct ike_child *a, const struct ike_child *b)
{
	return ike_selectors_equal(
		       a->ts_local, a->ts_local_count, b->ts_local, b->ts_local_count) &&
	       ike_selectors_equal(
		       a->ts_remote, a->ts_remote_count, b->ts_remote, b->ts_remote_count);
}

struct ike_child *ikev1_child_of_ids(
	const struct ike_session *s, const struct selector *local, const struct selector *remote)
{
	struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (c->state == IKE_CHILD_ACTIVE &&
			ike_selectors_equal(&c->id_local, 1, local, 1) &&
			ike_selectors_equal(&c->id_remote, 1, remote, 1))
			return c;
	return NULL;
}

// ---- who counts --------------------------------------------------------------------------------

// The peer's was there while ours was under way, or a moment later.
static bool collided(const struct ike_child *c, const struct ike_child *r)
{
	const struct ike_child *ours = c->initiated ? c : r, *theirs = c->initiated ? r : c;
	return c->initiated != r->initiated && theirs->joined_ns >= ours->began_ns &&
	       theirs->joined_ns <= ours->joined_ns + COLLIDED_NS;
}

static void replaced_fire(struct wheel_timer *t, void *arg)
{
	(void)ike_child_delete(arg);
}

static uint64_t due_ns(const struct wheel_timer *t)
{
	return t->set ? t->due_ms * NS_PER_MS : 0;
}

// Behind another one, deleted by us after that, unless its hard lifetime is over before.
static void demote(struct ike_child *c, uint64_t after_ns)
{
	struct ike_engine *e = c->engine;
	uint64_t due = e->now_ns + after_ns;
	if (c->state != IKE_CHILD_ACTIVE)
		return;
	c->state = IKE_CHILD_REKEYED;
	c->own_soft_ns = due_ns(&c->soft);
	c->own_hard_ns = due_ns(&c->hard);
	ike_child_soft_stop(c);
	if (c->own_hard_ns && c->own_hard_ns < due)
		due = c->own_hard_ns;
	wheel_set(&e->wheel, &c->hard, due, replaced_fire, c);
}

// Of who is not to delete: never at the same moment as a peer that is not either.
static uint64_t patience_ns(const struct ike_engine *e)
{
	uint64_t grace_ns = IKE_REKEYED_GRACE_S * NS_PER_S;
	return 2 * grace_ns + random_u64(e->p.random) % grace_ns;
}

static void replace(struct ike_child *c, struct ike_child *old)
{
	demote(old, c->initiated ? IKE_REKEYED_GRACE_S * NS_PER_S : patience_ns(c->engine));
}

static void redundant(struct ike_child *c)
{
	ike_count(c->engine, IKE_REASON_V1_REDUNDANT_CHILD);
	demote(c, c->initiated ? REDUNDANT_S * NS_PER_S : patience_ns(c->engine));
}

static void hard_fire(struct wheel_timer *t, void *arg)
{
	struct ike_child *c = arg;
	ike_count(c->engine, IKE_REASON_CHILD_HARD_LIMIT);
	(void)ike_child_delete(c);
}

static void hard_again(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	wheel_cancel(&e->wheel, &c->hard);
	if (c->own_hard_ns)
		wheel_set(&e->wheel, &c->hard, c->own_hard_ns, hard_fire, c);
	c->own_hard_ns = 0;
}

bool ikev1_child_used(struct ike_child *c)
{
	struct sa_counters in, out;
	ike_child_counters(c, &in, &out);
	if (c->state == IKE_CHILD_READY && in.packets)
		ike_child_switch(c);
	return c->state == IKE_CHILD_ACTIVE;
}

static void unconfirmed(struct wheel_timer *t, void *arg)
{
	struct ike_child *c = arg;
	if (ikev1_child_used(c))
		return;
	ike_refused(
		c->engine, c->session->sa, &c->session->sa->remote, IKE_REASON_V1_QUICK_TIMEOUT);
	(void)ike_child_delete(c);
}

static void settled(struct wheel_timer *t, void *arg)
{
	struct ike_child *c = arg;
	if (c->state == IKE_CHILD_READY)
		ike_child_switch(c);
	else
		c->switch_at_install = true;
}

// The third message has no answer, and ESP right behind it may be looked at before it: the peer has no SA
// for that yet. What the peer sends by the new SA says that it has; who sends nothing had time enough.
void ikev1_child_settles(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	wheel_set(&e->wheel, &c->settle, e->now_ns + SETTLE_NS, settled, c);
}

void ikev1_child_orphaned(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	if (c->orphaned || c->settle.set ||
		(c->state != IKE_CHILD_READY && c->state != IKE_CHILD_INSTALLING))
		return;
	c->orphaned = true;
	c->own_hard_ns = due_ns(&c->hard);
	wheel_set(&e->wheel, &c->hard, e->now_ns + ORPHANED_S * NS_PER_S, unconfirmed, c);
}

void ikev1_child_switched(struct ike_child *c, struct ike_child *old)
{
	const struct sa_sink *sink = c->engine->p.sink;
	struct ike_child *r, *winner = c;
	if (c->orphaned)
		hard_again(c);
	c->orphaned = false;
	wheel_cancel(&c->engine->wheel, &c->settle);
	LIST_FOREACH (r, &c->session->children, link) {
		if (r == c || r->state != IKE_CHILD_ACTIVE || (r != old && !same_ts(r, c)))
			continue;
		if ((r == old && c->initiated) || !collided(c, r)) {
			replace(c, r);
		} else if (r->lower_nonce < winner->lower_nonce) {
			redundant(r);
		} else {
			redundant(winner);
			winner = r;
		}
	}
	if (winner != c)
		sink->sa_switch(sink->ctx, winner->spi_in);
}

// ---- the end -----------------------------------------------------------------------------------

static void revive(struct ike_child *c)
{
	c->state = IKE_CHILD_ACTIVE;
	hard_again(c);
	ike_child_soft_resume(c, c->own_soft_ns);
}

void ikev1_child_left(struct ike_session *s, const struct ike_child *c)
{
	struct ike_child *o, *heir = NULL;
	if (s->closing || c->state != IKE_CHILD_ACTIVE)
		return;
	LIST_FOREACH (o, &s->children, link) {
		if (!same_ts(o, c))
			continue;
		if (o->state == IKE_CHILD_ACTIVE)
			return;
		if (o->state == IKE_CHILD_REKEYED && (!heir || o->joined_ns > heir->joined_ns))
			heir = o;
	}
	if (heir)
		revive(heir);
}

// The peer sends on it all the same: it has not heard.
static bool unheard(const struct ike_child *c)
{
	struct sa_counters in, out;
	ike_child_counters(c, &in, &out);
	return in.last_used_ns + USED_NS > c->engine->now_ns;
}

static void delete_again(struct wheel_timer *t, void *arg);

static bool told_enough(const struct ike_child *c)
{
	return c->told >= DELETES && (c->told == DELETES_MAX || !unheard(c));
}

static void told(struct ike_child *c)
{
	struct ike_engine *e = c->engine;
	uint64_t after_s = ++c->told < DELETES ? DELETE_AGAIN_S : LINGER_S - DELETE_AGAIN_S;
	wheel_set(&e->wheel, &c->hard, e->now_ns + after_s * NS_PER_S, delete_again, c);
}

// Whose DELETE is due soon goes along.
static bool goes_along(const struct ike_child *c)
{
	return c->state == IKE_CHILD_DELETING && !told_enough(c) &&
	       due_ns(&c->hard) <= c->engine->now_ns + TOGETHER_NS;
}

// In one message: strongSwan follows three exchanges of phase 2 at a time (max_ikev1_exchanges). With the
// fourth it forgets the IV of the first, and cannot read the answer to its own quick mode.
static void delete_again(struct wheel_timer *t, void *arg)
{
	struct ike_child *c = arg, *o;
	uint32_t spis[IKEV1_TOLD_MAX];
	uint16_t n = 0;
	if (told_enough(c)) {
		ike_child_drop(c);
		return;
	}
	spis[n++] = c->spi_in;
	told(c);
	LIST_FOREACH (o, &c->session->children, link) {
		if (o == c || n == IKEV1_TOLD_MAX || !goes_along(o))
			continue;
		spis[n++] = o->spi_in;
		told(o);
	}
	(void)ikev1_tell_children_deleted(c->session->sa, spis, n);
}

int ikev1_delete_child(struct ike_sa *sa, struct ike_child *child)
{
	struct ike_engine *e = sa->engine;
	bool softly = child->state == IKE_CHILD_REKEYED ||
		      (child->state == IKE_CHILD_READY && child->orphaned);
	if (child->state == IKE_CHILD_GONE || child->state == IKE_CHILD_DELETING)
		return -EALREADY;
	ike_count(e, IKE_REASON_CHILD_DELETED);
	if (softly && sa->state == IKE_SA_ESTABLISHED) {
		child->state = IKE_CHILD_DELETING;
		wheel_set(&e->wheel, &child->hard, e->now_ns + TOGETHER_NS, delete_again, child);
		return 0;
	}
	// No answer follows. Without the peer's knowledge it ends all the same.
	int rc = sa->state == IKE_SA_ESTABLISHED
			 ? ikev1_tell_children_deleted(sa, &child->spi_in, 1)
			 : 0;
	ike_child_drop(child);
	return rc;
}
