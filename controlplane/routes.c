// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Routes into a session's tunnel. Sessions of one owner may want the same destination: a peer that
// re-authenticates, or that both sides called at once. One of them has it, the others wait for it; it
// goes from one tunnel to the other when the other one's child SA can carry it, so that there is
// always a child SA for its packets.
#include "controlplane/owners.h"
#include "controlplane/succession.h"

#include <errno.h>
#include <stdlib.h>

// ---- tables ------------------------------------------------------------------------------------

// whose: a session, a starter or an owner of sessions.
static uint64_t hash_of(const struct ike_engine *e, const void *whose, const struct ip_prefix *dst)
{
	uint8_t key[18 + sizeof(whose)] = {dst->addr.family, dst->bits};
	memcpy(key + 2, dst->addr.bytes, ip_len(dst->addr.family));
	memcpy(key + 18, &whose, sizeof(whose));
	return siphash(e->hash_key, key, sizeof(key));
}

struct ike_route *ike_route_find(
	struct ike_engine *e, const void *owner, const struct ip_prefix *dst)
{
	struct htab_node *n = htab_first(&e->routes, hash_of(e, owner, dst));
	for (; n; n = htab_next(n)) {
		struct ike_route *r = container_of(n, struct ike_route, by_owner);
		e->looked++;
		if (r->owner == owner && ip_prefix_eq(&r->dst, dst))
			return r;
	}
	return NULL;
}

// Those of one owner's sessions that want the same destination are a ring. The first one is in the
// engine's table; if any of them has the destination it is that one. Behind it the latest stands before
// the others, and what is about to end behind them.
static struct ike_route *ring_first(const struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_engine *e = s->engine;
	struct htab_node *n =
		s->owner ? htab_first(&e->route_rings, hash_of(e, s->owner, dst)) : NULL;
	for (; n; n = htab_next(n)) {
		struct ike_route *r = container_of(n, struct ike_route, by_ring);
		e->looked++;
		if (r->session->owner == s->owner && ip_prefix_eq(&r->dst, dst))
			return r;
	}
	return NULL;
}

static void ring_lead(struct ike_route *r, bool leads)
{
	struct ike_engine *e = r->session->engine;
	r->leads = leads;
	if (leads)
		htab_insert(&e->route_rings, &r->by_ring, hash_of(e, r->session->owner, &r->dst));
	else
		htab_remove(&e->route_rings, &r->by_ring);
}

static void ring_insert(struct ike_route *r, struct ike_route *before)
{
	r->next = before;
	r->prev = before->prev;
	r->prev->next = before->prev = r;
}

static void ring_remove(struct ike_route *r)
{
	struct ike_route *next = r->next;
	if (!next) // an anonymous session's, or a starter's
		return;
	if (r->leads) {
		ring_lead(r, false);
		if (next != r)
			ring_lead(next, true);
	}
	next->prev = r->prev;
	r->prev->next = next;
	r->next = r->prev = NULL;
}

// Where those that wait begin, or at their end.
static void ring_join(struct ike_route *r, bool last)
{
	struct ike_route *first = ring_first(r->session, &r->dst);
	if (first) {
		ring_insert(r, last ? first : first->next);
	} else if (r->session->owner) {
		r->next = r->prev = r;
		ring_lead(r, true);
	}
}

static void set_last(struct ike_route *r)
{
	ring_remove(r);
	ring_join(r, true);
}

static void set_first(struct ike_route *r)
{
	set_last(r);
	if (!r->next || r->leads)
		return;
	ring_lead(r->next, false);
	ring_lead(r, true);
}

struct ike_route *ike_route_make(
	struct ike_engine *e, const void *owner, const struct ip_prefix *dst)
{
	struct ike_route *r = calloc(1, sizeof(*r));
	if (!r)
		return NULL;
	r->owner = owner;
	r->dst = *dst;
	r->users = 1;
	htab_insert(&e->routes, &r->by_owner, hash_of(e, owner, dst));
	return r;
}

void ike_route_free(struct ike_engine *e, struct ike_route *r)
{
	ring_remove(r);
	LIST_REMOVE(r, link);
	htab_remove(&e->routes, &r->by_owner);
	free(r);
}

void ike_route_pass(
	struct ike_engine *e, struct ike_route *r, const void *to, struct ike_session *s)
{
	ring_remove(r);
	LIST_REMOVE(r, link);
	htab_remove(&e->routes, &r->by_owner);
	r->owner = to;
	r->session = s;
	htab_insert(&e->routes, &r->by_owner, hash_of(e, to, &r->dst));
	if (s)
		set_first(r);
}

// ---- who has it --------------------------------------------------------------------------------

static struct ike_route *find(const struct ike_session *s, const struct ip_prefix *dst)
{
	return ike_route_find(s->engine, s, dst);
}

// An anonymous session shares only with one that we know to be the same, by having begun it: i 0 or 1.
static struct ike_route *related(
	const struct ike_session *s, const struct ip_prefix *dst, unsigned i)
{
	uint64_t id = i ? s->successor : s->follows;
	struct ike_session *o = s->anonymous && id ? ike_session_by_id(s->engine, id) : NULL;
	return o && o != s ? find(o, dst) : NULL;
}

static struct ike_session *holder(const struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_route *r = ring_first(s, dst);
	for (unsigned i = 0; (!r || r->pending) && i < 2; i++)
		r = related(s, dst, i);
	return r && !r->pending && r->session != s ? r->session : NULL;
}

static struct ike_session *better(struct ike_session *a, struct ike_session *b)
{
	if (!a || a->closing != b->closing)
		return !a || a->closing ? b : a;
	return a->id > b->id ? a : b;
}

// The youngest of those that wait for it, of the latest ones; one that is about to end only if there is
// no other.
static struct ike_session *heir(const struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_route *first = ring_first(s, dst), *r = first ? first->next : NULL;
	struct ike_look left = IKE_LOOK_FEW;
	struct ike_session *best = NULL;
	for (; r != first && ike_look(r->session, &left); r = r->next)
		if (r->pending && r->session != s)
			best = better(best, r->session);
	for (unsigned i = 0; i < 2; i++)
		if ((r = related(s, dst, i)) && r->pending)
			best = better(best, r->session);
	return best;
}

// ---- from one to the other ---------------------------------------------------------------------

// From one tunnel to the other at once, so that no packet finds none. Without success the first one keeps
// it.
static void hand_over(struct ike_session *from, struct ike_session *to, const struct ip_prefix *dst)
{
	const struct sa_sink *sink = to->engine->p.sink;
	struct ike_route *mine = find(to, dst), *theirs = find(from, dst);
	if (sink->route_move(sink->ctx, from->tunnel, to->tunnel, dst) < 0)
		return;
	theirs->pending = true;
	mine->pending = false;
	set_first(mine);
	if (from->closing)
		set_last(theirs);
}

// One that nobody has.
static void claim(struct ike_session *s, struct ike_route *r)
{
	const struct sa_sink *sink = s->engine->p.sink;
	if (sink->route_add(sink->ctx, s->tunnel, &r->dst) < 0)
		return;
	r->pending = false;
	set_first(r);
}

// Where the peer began and speaks from where the older session is, it goes on with the older child
// SAs until it has our answer.
static bool may_take(const struct ike_session *s, const struct ike_session *from)
{
	return s->initiator || !ip_eq(&from->sa->remote.addr, &s->sa->remote.addr);
}

void ike_routes_take(struct ike_session *s, bool heard)
{
	struct ike_route *r;
	if (s->successor && !ike_session_stands_in(s))
		return;
	LIST_FOREACH (r, &s->routes, link) {
		struct ike_session *from = r->pending ? holder(s, &r->dst) : NULL;
		if (from && (heard || may_take(s, from)))
			hand_over(from, s, &r->dst);
		else if (r->pending && !from)
			claim(s, r);
	}
}

void ike_routes_leave(struct ike_session *s)
{
	struct ike_route *r;
	LIST_FOREACH (r, &s->routes, link) {
		struct ike_session *to = r->pending ? NULL : heir(s, &r->dst);
		if (to)
			hand_over(s, to, &r->dst);
		else if (r->pending)
			set_last(r);
	}
}

static void route_end(struct ike_session *s, struct ike_route *r)
{
	const struct sa_sink *sink = s->engine->p.sink;
	struct ike_session *to = r->pending ? NULL : heir(s, &r->dst);
	if (to)
		hand_over(s, to, &r->dst);
	if (!r->pending)
		sink->route_del(sink->ctx, s->tunnel, &r->dst);
	s->route_count--;
	ike_route_free(s->engine, r);
}

void ike_routes_end(struct ike_session *s)
{
	struct ike_route *r;
	while ((r = LIST_FIRST(&s->routes)))
		route_end(s, r);
}

static void family_set(struct ike_session *s, uint64_t family)
{
	const struct sa_sink *sink = s->engine->p.sink;
	if (s->family == family)
		return;
	s->family = family;
	sink->tunnel_family(sink->ctx, s->tunnel, family);
}

// Who waits for another one's route may send from there at once, and the other one still when it has
// given the route away: the data plane must not take either for a stranger. All of an owner have one
// number, under the engine's secret key; anonymous ones that of the eldest.
static void family_join(struct ike_session *s, struct ike_session *from)
{
	uint64_t family = from->family ? from->family : s->family ? s->family : from->id;
	if (!s->anonymous)
		family = s->owner->by_key.hash | 1;
	family_set(from, family);
	family_set(s, family);
}

// One that the session does not have yet.
static enum ike_reason route_new(struct ike_session *s, const struct ip_prefix *dst, bool kept)
{
	const struct sa_sink *sink = s->engine->p.sink;
	struct ike_route *r = ike_route_make(s->engine, s, dst);
	if (!r)
		return IKE_REASON_NO_MEMORY;
	LIST_INSERT_HEAD(&s->routes, r, link);
	r->session = s;
	struct ike_session *from = holder(s, dst);
	if (from)
		family_join(s, from);
	r->pending = from != NULL;
	if (r->pending)
		ring_join(r, false);
	else
		set_first(r);
	r->kept = kept;
	int rc = r->pending ? 0 : sink->route_add(sink->ctx, s->tunnel, dst);
	if (rc < 0) {
		ike_route_free(s->engine, r);
		return rc == -EEXIST ? IKE_REASON_ROUTE_TAKEN : IKE_REASON_SA_REFUSED;
	}
	s->route_count++;
	return IKE_REASON_NONE;
}

enum ike_reason ike_route_get(struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_route *r = find(s, dst);
	if (r) {
		r->users++;
		return IKE_REASON_NONE;
	}
	if (s->route_count >= IKE_ROUTES_MAX + s->conn->tunnel_route_count)
		return IKE_REASON_ROUTE_LIMIT;
	return route_new(s, dst, false);
}

void ike_route_put(struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_route *r = find(s, dst);
	if (r && --r->users == 0)
		route_end(s, r);
}

static void tunnel_routes_end(struct ike_session *s, size_t n)
{
	while (n-- > 0)
		ike_route_put(s, &s->conn->tunnel_routes[n]);
}

enum ike_reason ike_tunnel_routes(struct ike_session *s)
{
	if (s->tunnel_routed)
		return IKE_REASON_NONE;
	for (size_t i = 0; i < s->conn->tunnel_route_count; i++) {
		enum ike_reason why = route_new(s, &s->conn->tunnel_routes[i], true);
		if (why != IKE_REASON_NONE) {
			tunnel_routes_end(s, i);
			return why;
		}
	}
	s->tunnel_routed = true;
	return IKE_REASON_NONE;
}
