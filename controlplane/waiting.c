// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The tunnel that waits: a connection that connects by itself has its routes, and a place for packets,
// without a session. What is meant for the peer is held or dropped there, and never leaves in clear.
#include "controlplane/starter.h"

static bool route_known(const struct ike_starter *st, const struct ip_prefix *dst)
{
	return ike_route_find(st->engine, st, dst) != NULL;
}

static void wait_route(struct ike_starter *st, const struct ip_prefix *dst)
{
	const struct sa_sink *sink = st->engine->p.sink;
	struct ike_route *r = ike_route_make(st->engine, st, dst);
	if (!r) {
		ike_count(st->engine, IKE_REASON_NO_MEMORY);
		return;
	}
	LIST_INSERT_HEAD(&st->routes, r, link);
	if (sink->route_add(sink->ctx, st->tunnel, dst) < 0) {
		ike_count(st->engine, IKE_REASON_ROUTE_TAKEN);
		ike_route_free(st->engine, r);
		return;
	}
	r->kept = true;
	st->route_count++;
}

// Those that are not there yet. Children of a connection may share some.
static void wait_routes(struct ike_starter *st)
{
	const struct cfg_connection *conn = st->conn;
	if (conn->tunnel_interface) {
		for (size_t i = 0; i < conn->tunnel_route_count; i++)
			if (!route_known(st, &conn->tunnel_routes[i]))
				wait_route(st, &conn->tunnel_routes[i]);
		return;
	}
	for (size_t i = 0; i < conn->child_count; i++) {
		const struct cfg_child *c = &conn->children[i];
		struct ip_prefix all[IKE_ROUTES_MAX];
		uint8_t n = 0;
		if (!ike_selectors_prefixes(c->remote_ts, (uint8_t)c->remote_ts_count, all, &n))
			continue;
		for (uint8_t k = 0; k < n; k++)
			if (!route_known(st, &all[k]))
				wait_route(st, &all[k]);
	}
}

void ike_wait_tunnel(struct ike_starter *st)
{
	struct ike_engine *e = st->engine;
	const struct sa_sink *sink = e->p.sink;
	struct ike_begin b;
	if (st->tunnel != TUNNEL_NONE || !ike_starter_path(st, &b))
		return;
	st->worker = (uint16_t)((size_t)(st - e->starters) % sink->workers);
	struct tunnel_spec spec = ike_tunnel_spec(st->conn, &st->conn->children[0]);
	spec.worker = st->worker;
	spec.path =
		(struct tunnel_path){.local = b.local, .remote = b.remote, .port = b.origin.port};
	spec.session = IKE_STARTER_OWNER | (uint64_t)(st - e->starters);
	if (sink->tunnel_add(sink->ctx, &spec, &st->tunnel) < 0) {
		st->tunnel = TUNNEL_NONE;
		return;
	}
	wait_routes(st);
}

void ike_wait_over(struct ike_starter *st)
{
	const struct sa_sink *sink = st->engine->p.sink;
	struct ike_route *r;
	while ((r = LIST_FIRST(&st->routes))) {
		sink->route_del(sink->ctx, st->tunnel, &r->dst);
		ike_route_free(st->engine, r);
	}
	st->route_count = 0;
	if (st->tunnel != TUNNEL_NONE)
		sink->tunnel_del(sink->ctx, st->tunnel);
	st->tunnel = TUNNEL_NONE;
}

uint16_t ike_starter_worker(
	const struct ike_engine *e, const struct cfg_connection *conn, uint16_t other)
{
	const struct ike_starter *st = ike_starter_of(e, conn);
	return st->tunnel != TUNNEL_NONE ? st->worker : other;
}

bool ike_starter_tunnel_take(struct ike_session *s)
{
	struct ike_starter *st = ike_starter_of(s->engine, s->conn);
	const struct sa_sink *sink = s->engine->p.sink;
	struct tunnel_path path = ike_path(s->sa);
	struct ike_route *r;
	if (st->tunnel == TUNNEL_NONE)
		return false;
	if (st->worker != s->worker) {
		ike_wait_over(st); // an SA never moves, and so no tunnel does
		return false;
	}
	s->tunnel = st->tunnel;
	s->tunnel_routed = s->conn->tunnel_interface;
	while ((r = LIST_FIRST(&st->routes))) {
		ike_route_pass(s->engine, r, s, s);
		LIST_INSERT_HEAD(&s->routes, r, link);
	}
	s->route_count += st->route_count;
	st->route_count = 0;
	st->tunnel = TUNNEL_NONE;
	sink->tunnel_move(sink->ctx, s->tunnel, &path);
	return true;
}

// Is it one that the waiting tunnel has. Those of a tunnel interface are marked.
static bool wanted_route(const struct cfg_connection *conn, const struct ike_route *r)
{
	if (r->kept || conn->tunnel_interface)
		return r->kept;
	for (size_t i = 0; i < conn->child_count; i++) {
		struct ip_prefix all[IKE_ROUTES_MAX];
		uint8_t n = 0;
		const struct cfg_child *c = &conn->children[i];
		if (!ike_selectors_prefixes(c->remote_ts, (uint8_t)c->remote_ts_count, all, &n))
			continue;
		for (uint8_t k = 0; k < n; k++)
			if (ip_prefix_eq(&all[k], &r->dst))
				return true;
	}
	return false;
}

bool ike_starter_tunnel_give(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = ike_starter_of(e, s->conn);
	const struct sa_sink *sink = e->p.sink;
	struct ike_route *r, *next;
	if (!ike_starter_begins(st) || st->tunnel != TUNNEL_NONE || e->shutting_down ||
		!e->started || st->sessions || s->tunnel == TUNNEL_NONE || LIST_EMPTY(&s->routes))
		return false;
	for (r = LIST_FIRST(&s->routes); r; r = next) {
		next = LIST_NEXT(r, link);
		// Others end with the session: sessions of another connection may wait for them.
		if (r->pending || !wanted_route(s->conn, r))
			continue;
		s->route_count--;
		ike_route_pass(e, r, st, NULL);
		r->kept = true;
		r->users = 1;
		LIST_INSERT_HEAD(&st->routes, r, link);
		st->route_count++;
	}
	sink->tunnel_family(sink->ctx, s->tunnel, 0);
	st->tunnel = s->tunnel;
	st->worker = s->worker;
	wait_routes(st);
	return true;
}

void ike_starter_wait(const struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = ike_starter_of(e, s->conn);
	if (ike_starter_begins(st) && !st->sessions && e->started && !e->shutting_down)
		ike_wait_tunnel(st);
}

uint64_t ike_tunnel_owner(const struct ike_session *s)
{
	const struct ike_starter *st = ike_starter_of(s->engine, s->conn);
	return ike_starter_begins(st) ? IKE_STARTER_OWNER | (uint64_t)(st - s->engine->starters)
				      : s->id;
}
