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

static uint64_t dst_hash(const struct ike_engine *e, const struct ip_prefix *dst)
{
	uint8_t key[18] = {dst->addr.family, dst->bits};
	memcpy(key + 2, dst->addr.bytes, ip_len(dst->addr.family));
	return siphash(e->hash_key, key, sizeof(key));
}

struct ike_route *ike_route_find(
	const struct ike_engine *e, const void *owner, const struct ip_prefix *dst)
{
	struct htab_node *n = htab_first(&e->routes_by_dst, dst_hash(e, dst));
	for (; n; n = htab_next(n)) {
		struct ike_route *r = container_of(n, struct ike_route, by_dst);
		if (r->owner == owner && ip_prefix_eq(&r->dst, dst))
			return r;
	}
	return NULL;
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
	htab_insert(&e->routes_by_dst, &r->by_dst, dst_hash(e, dst));
	return r;
}

void ike_route_free(struct ike_engine *e, struct ike_route *r)
{
	LIST_REMOVE(r, link);
	htab_remove(&e->routes_by_dst, &r->by_dst);
	free(r);
}

static struct ike_route *find(const struct ike_session *s, const struct ip_prefix *dst)
{
	return ike_route_find(s->engine, s, dst);
}

// s may share with its owner's sessions; with an anonymous one only if we know it to be the same, by
// having begun it.
static bool kin(const struct ike_session *s, const struct ike_session *o)
{
	if (s == o)
		return false;
	return s->anonymous ? o->id == s->follows || o->id == s->successor
			    : s->owner && s->owner == o->owner;
}

// The next that wants dst and with which s may share; begin with NULL.
static struct ike_route *next_kin(
	const struct ike_session *s, const struct ip_prefix *dst, struct ike_route *after)
{
	struct ike_engine *e = s->engine;
	struct htab_node *n =
		after ? htab_next(&after->by_dst) : htab_first(&e->routes_by_dst, dst_hash(e, dst));
	for (; n; n = htab_next(n)) {
		struct ike_route *r = container_of(n, struct ike_route, by_dst);
		e->looked++;
		if (r->session && kin(s, r->session) && ip_prefix_eq(&r->dst, dst))
			return r;
	}
	return NULL;
}

static struct ike_session *holder(const struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_route *r = NULL;
	while ((r = next_kin(s, dst, r)))
		if (!r->pending)
			return r->session;
	return NULL;
}

// The youngest of those that wait for it; one that is about to end only if there is no other.
static struct ike_session *heir(const struct ike_session *s, const struct ip_prefix *dst)
{
	struct ike_session *best = NULL;
	struct ike_route *r = NULL;
	while ((r = next_kin(s, dst, r))) {
		struct ike_session *o = r->session;
		if (!r->pending)
			continue;
		if (!best || (best->closing && !o->closing) ||
			(best->closing == o->closing && o->id > best->id))
			best = o;
	}
	return best;
}

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
}

// One that nobody has.
static void claim(struct ike_session *s, struct ike_route *r)
{
	const struct sa_sink *sink = s->engine->p.sink;
	if (sink->route_add(sink->ctx, s->tunnel, &r->dst) == 0)
		r->pending = false;
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
