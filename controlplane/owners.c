// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/owners.h"

#include <errno.h>
#include <stdlib.h>

// ---- keys ------------------------------------------------------------------------------------

// Each part by itself under the engine's secret key, so that no two owners can be made to meet.
static uint64_t owner_hash(const struct ike_engine *e, const struct ike_peer *p)
{
	uint64_t parts[2] = {0, 0};
	if (p->user)
		parts[0] = siphash(e->hash_key, p->user, strlen(p->user)) | 1;
	if (p->proven)
		parts[1] = siphash(e->hash_key, p->id.p, p->id.len) | 1;
	return siphash(e->hash_key, parts, sizeof(parts));
}

static uint64_t place_hash(
	const struct ike_engine *e, const struct ike_peer *p, const struct endpoint *remote)
{
	uint64_t parts[3] = {
		siphash(e->hash_key, remote->addr.bytes, ip_len(remote->addr.family)),
		remote->port,
		ike_peer_anonymous(p) ? siphash(e->hash_key, p->id.p, p->id.len) : owner_hash(e, p),
	};
	return siphash(e->hash_key, parts, sizeof(parts));
}

static bool same_owner(const struct ike_peer *a, const struct ike_peer *b)
{
	if (a->proven != b->proven || !a->user != !b->user)
		return false;
	return (!a->user || strcmp(a->user, b->user) == 0) && (!a->proven || view_eq(a->id, b->id));
}

static bool same_peer(const struct ike_peer *a, const struct ike_peer *b)
{
	if (ike_peer_anonymous(a) || ike_peer_anonymous(b))
		return ike_peer_anonymous(a) && ike_peer_anonymous(b) && view_eq(a->id, b->id);
	return same_owner(a, b);
}

// One of them, of which there is always one.
static const struct ike_session *any_of(const struct ike_owner *o)
{
	const struct ike_session_list *lists[] = {&o->live[0], &o->live[1], &o->closing};
	size_t i = 0;
	while (TAILQ_EMPTY(lists[i]))
		i++;
	return TAILQ_FIRST(lists[i]);
}

static struct ike_owner *owner_at(
	const struct ike_engine *e, const struct ike_peer *peer, uint64_t hash)
{
	struct htab_node *n = htab_first(&e->owners, hash);
	for (; n; n = htab_next(n)) {
		struct ike_owner *o = container_of(n, struct ike_owner, by_key);
		struct ike_peer has = ike_session_peer(any_of(o));
		if (same_owner(peer, &has))
			return o;
	}
	return NULL;
}

static struct ike_place *place_at(const struct ike_engine *e, const struct ike_peer *peer,
	const struct endpoint *remote, uint64_t hash)
{
	struct htab_node *n = htab_first(&e->places, hash);
	for (; n; n = htab_next(n)) {
		struct ike_place *p = container_of(n, struct ike_place, by_key);
		struct ike_peer has = ike_session_peer(TAILQ_FIRST(&p->sessions));
		if (endpoint_eq(&p->remote, remote) && same_peer(peer, &has))
			return p;
	}
	return NULL;
}

struct ike_owner *ike_owner_find(struct ike_engine *e, const struct ike_peer *peer)
{
	return ike_peer_anonymous(peer) ? NULL : owner_at(e, peer, owner_hash(e, peer));
}

struct ike_place *ike_place_find(
	struct ike_engine *e, const struct ike_peer *peer, const struct endpoint *remote)
{
	return place_at(e, peer, remote, place_hash(e, peer, remote));
}

struct ike_session *ike_look(struct ike_session *s, struct ike_look *left)
{
	unsigned *n = s && s->closing ? &left->closing : &left->live;
	if (!s || !*n)
		return NULL;
	--*n;
	s->engine->looked++;
	return s;
}

// ---- who is where ------------------------------------------------------------------------------

static void put_in_owner(struct ike_owner *o, struct ike_session *s)
{
	TAILQ_INSERT_HEAD(s->closing ? &o->closing : &o->live[s->initiator], s, of_owner);
	o->live_count += !s->closing;
}

static void take_from_owner(struct ike_owner *o, struct ike_session *s)
{
	TAILQ_REMOVE(s->closing ? &o->closing : &o->live[s->initiator], s, of_owner);
	o->live_count -= !s->closing;
}

static void put_in_place(struct ike_place *p, struct ike_session *s)
{
	if (s->closing)
		TAILQ_INSERT_TAIL(&p->sessions, s, of_place);
	else
		TAILQ_INSERT_HEAD(&p->sessions, s, of_place);
	p->live_count += !s->closing;
	p->count++;
}

static void take_from_place(struct ike_place *p, struct ike_session *s)
{
	TAILQ_REMOVE(&p->sessions, s, of_place);
	p->live_count -= !s->closing;
	p->count--;
}

static int join_owner(struct ike_session *s, const struct ike_peer *peer)
{
	struct ike_engine *e = s->engine;
	uint64_t hash = owner_hash(e, peer);
	struct ike_owner *o = owner_at(e, peer, hash);
	if (!o) {
		o = calloc(1, sizeof(*o));
		if (!o)
			return -ENOMEM;
		TAILQ_INIT(&o->live[0]);
		TAILQ_INIT(&o->live[1]);
		TAILQ_INIT(&o->closing);
		htab_insert(&e->owners, &o->by_key, hash);
	}
	put_in_owner(o, s);
	s->owner = o;
	return 0;
}

static int join_place(struct ike_session *s, const struct ike_peer *peer)
{
	struct ike_engine *e = s->engine;
	uint64_t hash = place_hash(e, peer, &s->sa->remote);
	struct ike_place *p = place_at(e, peer, &s->sa->remote, hash);
	if (!p) {
		p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->remote = s->sa->remote;
		TAILQ_INIT(&p->sessions);
		htab_insert(&e->places, &p->by_key, hash);
	}
	put_in_place(p, s);
	s->place = p;
	return 0;
}

static void leave_place(struct ike_session *s)
{
	struct ike_place *p = s->place;
	if (!p)
		return;
	s->place = NULL;
	take_from_place(p, s);
	if (p->count)
		return;
	htab_remove(&s->engine->places, &p->by_key);
	free(p);
}

int ike_owner_join(struct ike_session *s)
{
	struct ike_peer peer = ike_session_peer(s);
	int rc = s->anonymous ? 0 : join_owner(s, &peer);
	if (rc == 0)
		rc = join_place(s, &peer);
	if (rc)
		ike_owner_leave(s);
	return rc;
}

void ike_owner_leave(struct ike_session *s)
{
	struct ike_owner *o = s->owner;
	leave_place(s);
	s->owner = NULL;
	if (!o)
		return;
	take_from_owner(o, s);
	if (o->live_count || !TAILQ_EMPTY(&o->closing))
		return;
	htab_remove(&s->engine->owners, &o->by_key);
	free(o);
}

void ike_owner_moved(struct ike_session *s)
{
	struct ike_peer peer = ike_session_peer(s);
	if (!s->place || endpoint_eq(&s->place->remote, &s->sa->remote))
		return;
	leave_place(s);
	// Without memory it counts as one that is elsewhere.
	if (join_place(s, &peer) < 0)
		ike_count(s->engine, IKE_REASON_NO_MEMORY);
}

void ike_session_closing(struct ike_session *s, bool closing)
{
	if (s->closing == closing)
		return;
	if (s->owner)
		take_from_owner(s->owner, s);
	if (s->place)
		take_from_place(s->place, s);
	s->closing = closing;
	if (s->owner)
		put_in_owner(s->owner, s);
	if (s->place)
		put_in_place(s->place, s);
}
