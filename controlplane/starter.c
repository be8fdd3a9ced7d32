// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/starter.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>
#include <stdlib.h>

// ---- one IKE SA --------------------------------------------------------------------------------

static const struct ike_task *first_task(const struct cfg_connection *conn)
{
	static const struct ike_task init = {.name = "ike-sa-init",
		.type = IKEV2_EXCHANGE_IKE_SA_INIT,
		.build = ikev2_sa_init_build,
		.response = ikev2_sa_init_response};
	static const struct ike_task main_mode = {
		.name = "main-mode", .type = IKEV1_EXCHANGE_MAIN, .build = ikev1_main_build};
	static const struct ike_task aggressive = {.name = "aggressive-mode",
		.type = IKEV1_EXCHANGE_AGGRESSIVE,
		.build = ikev1_aggressive_build};
	if (conn->ikev2)
		return &init;
	return conn->aggressive ? &aggressive : &main_mode;
}

struct ike_session *ike_begin(struct ike_engine *e, const struct ike_begin *b)
{
	const struct cfg_connection *conn = b->conn;
	struct ike_sa *sa = ike_sa_new(e, conn->ikev2 ? IKE_MAJOR_2 : IKE_MAJOR_1, true);
	if (!sa)
		return NULL;
	sa->conn = conn;
	sa->origin = b->origin;
	sa->local = b->local;
	sa->remote = b->remote;
	sa->floated = b->local.port == IKE_NAT_T_PORT;
	sa->reauth_session = b->follows;
	sa->first_child = conn->child_count ? &conn->children[0] : NULL;
	struct ike_session *s = ike_session_new(sa, conn);
	if (s)
		s->worker = ike_starter_worker(e, conn, (uint16_t)(sa->spi_i % e->p.sink->workers));
	if (!s || ike_task_add(sa, first_task(conn)) < 0) {
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
		return NULL;
	}
	s->follows = b->follows;
	return s;
}

static const struct cfg_connection *connection_by_name(const struct cfg *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->connection_count; i++)
		if (strcmp(cfg->connections[i].name, name) == 0)
			return &cfg->connections[i];
	return NULL;
}

uint64_t ike_initiate(struct ike_engine *e, const char *connection, const struct sa_origin *origin,
	const struct endpoint *local, const struct endpoint *remote)
{
	const struct cfg_connection *conn = connection_by_name(e->p.cfg, connection);
	if (!conn || conn->responder_only || e->shutting_down)
		return 0;
	// Who is asked for a user by XAUTH is never called.
	if (!conn->ikev2 && conn->remote.user_auth != CFG_USER_NONE)
		return 0;
	struct ike_begin b = {.conn = conn, .origin = *origin, .local = *local, .remote = *remote};
	ike_enter(e);
	struct ike_session *s = ike_begin(e, &b);
	uint64_t id = s ? s->id : 0;
	ike_leave(e);
	return id;
}

// ---- connections that connect by themselves ------------------------------------------------------

#define SPREAD_NS     (2 * NS_PER_MS) // between two connections at start
#define AGAIN_NS      NS_PER_S        // after the first failure, or when one that was up ended
#define AGAIN_MAX_NS  (60 * NS_PER_S)
#define STARTER_OWNER (1ull << 63) // in tunnel_spec.session: the rest is a connection's index

enum starter_state { IDLE, WAITING, CONNECTING, UP, RETRY };

static const char *const state_texts[] = {"-", "waiting", "connecting", "up", "retry"};

// One for each connection of the configuration.
struct ike_starter {
	struct ike_engine *engine;
	const struct cfg_connection *conn;
	enum starter_state state;
	bool wanted;         // on_demand: a packet came while a retry is awaited
	uint64_t connecting; // our session that is not established yet, or 0
	uint64_t sessions;   // established ones
	uint64_t current;    // the one that was established last
	struct endpoint peer;
	size_t next_address;
	uint32_t attempts;
	struct wheel_timer timer;
	enum ike_reason last;
	uint64_t asked;
	// The tunnel that waits for a session
	uint32_t tunnel;
	uint16_t worker;
	LIST_HEAD(, ike_route) routes;
	uint32_t route_count;
};

static bool begins(const struct ike_starter *st)
{
	return st->conn->initiate != CFG_INITIATE_NONE;
}

static struct ike_starter *starter_of(const struct ike_engine *e, const struct cfg_connection *conn)
{
	return &e->starters[conn - e->p.cfg->connections];
}

// The i-th address, counted round; false: no address can be called.
static bool address_at(const struct cfg_connection *conn, size_t i, struct ip_addr *out)
{
	for (size_t k = 0; k < conn->remote.address_count; k++) {
		const struct ip_prefix *p =
			&conn->remote.addresses[(i + k) % conn->remote.address_count];
		if (p->bits == ip_bits(p->addr.family)) {
			*out = p->addr;
			return true;
		}
	}
	return false;
}

static const struct ip_prefix *network_of(const struct cfg_port *p, const struct ip_addr *peer)
{
	const struct ip_prefix *found = NULL;
	for (size_t i = 0; i < p->address_count; i++) {
		const struct ip_prefix *a = &p->addresses[i];
		if (a->addr.family != peer->family)
			continue;
		if (ip_prefix_contains(a, peer))
			return a;
		found = found ? found : a;
	}
	return found;
}

// One in the peer's own network is better than any other.
bool ike_local_for(const struct cfg *cfg, const struct ip_addr *peer, struct sa_origin *origin,
	struct endpoint *local)
{
	bool found = false;
	for (size_t i = 0; i < cfg->port_count; i++) {
		const struct cfg_port *p = &cfg->ports[i];
		const struct ip_prefix *a = p->role == CFG_OUTSIDE ? network_of(p, peer) : NULL;
		if (!a || (found && !ip_prefix_contains(a, peer)))
			continue;
		*origin = (struct sa_origin){.port = (uint16_t)i};
		*local = (struct endpoint){a->addr, IKE_PORT};
		if (ip_prefix_contains(a, peer))
			return true;
		found = true;
	}
	return found;
}

static bool path_of(struct ike_starter *st, struct ike_begin *b)
{
	struct ip_addr peer;
	*b = (struct ike_begin){.conn = st->conn};
	if (!address_at(st->conn, st->next_address, &peer) ||
		!ike_local_for(st->engine->p.cfg, &peer, &b->origin, &b->local))
		return false;
	b->remote = (struct endpoint){peer, IKE_PORT};
	return true;
}

// ---- the tunnel that waits -----------------------------------------------------------------------

static bool route_known(const struct ike_starter *st, const struct ip_prefix *dst)
{
	const struct ike_route *r;
	LIST_FOREACH (r, &st->routes, link)
		if (ip_prefix_eq(&r->dst, dst))
			return true;
	return false;
}

static void wait_route(struct ike_starter *st, const struct ip_prefix *dst)
{
	const struct sa_sink *sink = st->engine->p.sink;
	struct ike_route *r = calloc(1, sizeof(*r));
	if (!r || sink->route_add(sink->ctx, st->tunnel, dst) < 0) {
		ike_count(st->engine, r ? IKE_REASON_ROUTE_TAKEN : IKE_REASON_NO_MEMORY);
		free(r);
		return;
	}
	r->dst = *dst;
	r->users = 1;
	LIST_INSERT_HEAD(&st->routes, r, link);
	st->route_count++;
}

// Those that are not there yet. Children of a connection may share some.
static void wait_routes(struct ike_starter *st)
{
	const struct cfg_connection *conn = st->conn;
	bool fresh = LIST_EMPTY(&st->routes);
	if (conn->tunnel_interface) {
		for (size_t i = 0; i < conn->tunnel_route_count; i++)
			if (fresh || !route_known(st, &conn->tunnel_routes[i]))
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

static void wait_tunnel(struct ike_starter *st)
{
	struct ike_engine *e = st->engine;
	const struct sa_sink *sink = e->p.sink;
	struct ike_begin b;
	if (st->tunnel != TUNNEL_NONE || !path_of(st, &b))
		return;
	st->worker = (uint16_t)((size_t)(st - e->starters) % sink->workers);
	struct tunnel_spec spec = {
		.worker = st->worker,
		.path = {.local = b.local, .remote = b.remote, .port = b.origin.port},
		.session = STARTER_OWNER | (uint64_t)(st - e->starters),
		.reverse_path = st->conn->tunnel_interface,
		.hold = true,
		.per_worker = ike_per_resource(st->conn),
	};
	if (sink->tunnel_add(sink->ctx, &spec, &st->tunnel) < 0) {
		st->tunnel = TUNNEL_NONE;
		return;
	}
	wait_routes(st);
}

static void wait_over(struct ike_starter *st)
{
	const struct sa_sink *sink = st->engine->p.sink;
	struct ike_route *r;
	while ((r = LIST_FIRST(&st->routes))) {
		sink->route_del(sink->ctx, st->tunnel, &r->dst);
		LIST_REMOVE(r, link);
		free(r);
	}
	st->route_count = 0;
	if (st->tunnel != TUNNEL_NONE)
		sink->tunnel_del(sink->ctx, st->tunnel);
	st->tunnel = TUNNEL_NONE;
}

uint16_t ike_starter_worker(
	const struct ike_engine *e, const struct cfg_connection *conn, uint16_t other)
{
	const struct ike_starter *st = starter_of(e, conn);
	return st->tunnel != TUNNEL_NONE ? st->worker : other;
}

bool ike_starter_tunnel_take(struct ike_session *s)
{
	struct ike_starter *st = starter_of(s->engine, s->conn);
	const struct sa_sink *sink = s->engine->p.sink;
	struct tunnel_path path = ike_path(s->sa);
	struct ike_route *r;
	if (st->tunnel == TUNNEL_NONE)
		return false;
	if (st->worker != s->worker) {
		wait_over(st); // an SA never moves, and so no tunnel does
		return false;
	}
	s->tunnel = st->tunnel;
	s->tunnel_waited = true;
	s->tunnel_routed = s->conn->tunnel_interface;
	while ((r = LIST_FIRST(&st->routes))) {
		LIST_REMOVE(r, link);
		LIST_INSERT_HEAD(&s->routes, r, link);
	}
	s->route_count += st->route_count;
	st->route_count = 0;
	st->tunnel = TUNNEL_NONE;
	sink->tunnel_move(sink->ctx, s->tunnel, &path);
	return true;
}

static bool wanted_route(const struct cfg_connection *conn, const struct ip_prefix *dst)
{
	if (conn->tunnel_interface) {
		for (size_t i = 0; i < conn->tunnel_route_count; i++)
			if (ip_prefix_eq(&conn->tunnel_routes[i], dst))
				return true;
		return false;
	}
	for (size_t i = 0; i < conn->child_count; i++) {
		struct ip_prefix all[IKE_ROUTES_MAX];
		uint8_t n = 0;
		const struct cfg_child *c = &conn->children[i];
		if (!ike_selectors_prefixes(c->remote_ts, (uint8_t)c->remote_ts_count, all, &n))
			continue;
		for (uint8_t k = 0; k < n; k++)
			if (ip_prefix_eq(&all[k], dst))
				return true;
	}
	return false;
}

bool ike_starter_tunnel_give(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = starter_of(e, s->conn);
	const struct sa_sink *sink = e->p.sink;
	struct ike_route *r, *next;
	if (!begins(st) || st->tunnel != TUNNEL_NONE || e->shutting_down || !e->started ||
		st->sessions || s->tunnel == TUNNEL_NONE || LIST_EMPTY(&s->routes))
		return false;
	for (r = LIST_FIRST(&s->routes); r; r = next) {
		next = LIST_NEXT(r, link);
		LIST_REMOVE(r, link);
		s->route_count--;
		if (r->pending || !wanted_route(s->conn, &r->dst)) {
			if (!r->pending)
				sink->route_del(sink->ctx, s->tunnel, &r->dst);
			free(r);
			continue;
		}
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
	struct ike_starter *st = starter_of(e, s->conn);
	if (begins(st) && !st->sessions && e->started && !e->shutting_down)
		wait_tunnel(st);
}

uint64_t ike_tunnel_owner(const struct ike_session *s)
{
	const struct ike_starter *st = starter_of(s->engine, s->conn);
	return begins(st) ? STARTER_OWNER | (uint64_t)(st - s->engine->starters) : s->id;
}

// ---- tries ---------------------------------------------------------------------------------------

static void schedule(struct ike_starter *st, uint64_t after_ns);

static void attempt(struct ike_starter *st)
{
	struct ike_engine *e = st->engine;
	struct ike_begin b;
	st->wanted = false;
	if (st->sessions || st->connecting || e->shutting_down)
		return;
	struct ike_session *s = path_of(st, &b) ? ike_begin(e, &b) : NULL;
	st->attempts++;
	st->next_address++;
	if (!s) {
		st->last = IKE_REASON_NO_PATH;
		ike_count(e, IKE_REASON_NO_PATH);
		schedule(st, AGAIN_MAX_NS);
		return;
	}
	st->peer = b.remote;
	st->connecting = s->id;
	st->state = CONNECTING;
	ike_count(e, IKE_REASON_STARTED);
}

static void due(struct wheel_timer *t, void *arg)
{
	struct ike_starter *st = arg;
	if (st->conn->initiate == CFG_INITIATE_START || st->wanted)
		attempt(st);
	else
		st->state = WAITING;
}

static void schedule(struct ike_starter *st, uint64_t after_ns)
{
	struct ike_engine *e = st->engine;
	uint64_t jitter = after_ns > 4 ? random_u64(e->p.random) % (after_ns / 4) : 0;
	st->state = RETRY;
	wheel_set(&e->wheel, &st->timer, e->now_ns + after_ns - jitter, due, st);
}

// Each address is tried once before the pauses begin to grow.
static uint64_t pause_ns(const struct ike_starter *st)
{
	size_t addresses = st->conn->remote.address_count ? st->conn->remote.address_count : 1;
	uint64_t rounds = st->attempts / addresses;
	uint64_t ns = AGAIN_NS << (rounds < 6 ? rounds : 6);
	return ns < AGAIN_MAX_NS ? ns : AGAIN_MAX_NS;
}

void ike_starter_up(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = starter_of(e, s->conn);
	bool tried = st->connecting == s->id;
	st->sessions++;
	st->current = s->id;
	if (tried)
		st->connecting = 0;
	if (!begins(st))
		return;
	wheel_cancel(&e->wheel, &st->timer);
	st->state = UP;
	st->attempts = 0;
	st->peer = s->sa->remote;
	st->last = IKE_REASON_NONE;
	// The address that has answered is the first to be tried again.
	if (tried)
		st->next_address--;
}

void ike_starter_down(struct ike_session *s, enum ike_reason why)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = starter_of(e, s->conn);
	bool tried = st->connecting == s->id;
	if (s->established_ns)
		st->sessions--;
	if (tried)
		st->connecting = 0;
	if (!begins(st) || e->shutting_down || !e->started || st->sessions || st->connecting ||
		(!tried && !s->established_ns))
		return;
	st->last = why;
	if (st->conn->initiate == CFG_INITIATE_ON_DEMAND && s->established_ns) {
		wheel_cancel(&e->wheel, &st->timer);
		st->state = WAITING;
		return;
	}
	schedule(st, pause_ns(st));
}

// The peer has deleted its child SAs, or they came to their end, and there is traffic for them.
static void restore_children(struct ike_starter *st)
{
	struct ike_session *s = ike_session_by_id(st->engine, st->current);
	if (!s || s->child_count || !ike_may_begin(s) || s->sa->state != IKE_SA_ESTABLISHED ||
		s->sa->out_progress || !TAILQ_EMPTY(&s->sa->tasks))
		return;
	for (size_t i = 0; i < s->conn->child_count; i++)
		(void)ike_child_add(s->sa, &s->conn->children[i]);
}

void ike_starter_wanted(struct ike_engine *e, const struct sa_event *ev)
{
	size_t i = (size_t)(ev->session & ~STARTER_OWNER);
	if (!(ev->session & STARTER_OWNER) || i >= e->p.cfg->connection_count)
		return;
	struct ike_starter *st = &e->starters[i];
	st->asked++;
	if (st->sessions)
		restore_children(st);
	else if (st->state == WAITING)
		attempt(st);
	else
		st->wanted = true;
}

// ---- life ----------------------------------------------------------------------------------------

int ike_starters_new(struct ike_engine *e)
{
	const struct cfg *cfg = e->p.cfg;
	e->starters =
		calloc(cfg->connection_count ? cfg->connection_count : 1, sizeof(*e->starters));
	if (!e->starters)
		return -ENOMEM;
	for (size_t i = 0; i < cfg->connection_count; i++) {
		e->starters[i].engine = e;
		e->starters[i].conn = &cfg->connections[i];
		LIST_INIT(&e->starters[i].routes);
	}
	return 0;
}

void ike_starters_free(struct ike_engine *e)
{
	for (size_t i = 0; i < e->p.cfg->connection_count; i++) {
		wheel_cancel(&e->wheel, &e->starters[i].timer);
		wait_over(&e->starters[i]);
	}
	free(e->starters);
	e->starters = NULL;
}

void ike_start(struct ike_engine *e)
{
	uint64_t n = 0;
	ike_enter(e);
	e->started = true;
	for (size_t i = 0; i < e->p.cfg->connection_count; i++) {
		struct ike_starter *st = &e->starters[i];
		if (!begins(st) || st->conn->responder_only)
			continue;
		wait_tunnel(st);
		st->state = WAITING;
		if (st->conn->initiate == CFG_INITIATE_START) {
			st->state = RETRY;
			wheel_set(&e->wheel, &st->timer, e->now_ns + n++ * SPREAD_NS, due, st);
		}
	}
	ike_leave(e);
}

uint64_t ike_connect(struct ike_engine *e, const char *connection, const char **why)
{
	const struct cfg_connection *conn = connection_by_name(e->p.cfg, connection);
	struct ip_addr any;
	*why = "no such connection";
	if (!conn)
		return 0;
	*why = "the connection only responds";
	if (conn->responder_only || (!conn->ikev2 && conn->remote.user_auth != CFG_USER_NONE))
		return 0;
	*why = "the connection names no single address of the peer";
	if (!address_at(conn, 0, &any))
		return 0;
	struct ike_starter *st = starter_of(e, conn);
	*why = "it is up or connecting already";
	if (st->sessions || st->connecting)
		return 0;
	*why = "no outside port has an address of that family";
	ike_enter(e);
	wheel_cancel(&e->wheel, &st->timer);
	attempt(st);
	uint64_t id = st->connecting;
	ike_leave(e);
	return id;
}

bool ike_connection_get(const struct ike_engine *e, size_t i, struct ike_connection_info *out)
{
	if (i >= e->p.cfg->connection_count)
		return false;
	const struct ike_starter *st = &e->starters[i];
	const struct cfg_connection *conn = st->conn;
	*out = (struct ike_connection_info){
		.name = conn->name,
		.ikev1 = conn->ikev1,
		.ikev2 = conn->ikev2,
		.initiate = conn->initiate,
		.responder_only = conn->responder_only,
		.tunnel_interface = conn->tunnel_interface,
		.sessions = st->sessions,
		.state = state_texts[st->state],
		.peer = st->peer,
		.attempts = st->attempts,
		.next_try_ns = st->timer.set ? st->timer.due_ms * NS_PER_MS : 0,
		.last_error = st->last == IKE_REASON_NONE ? "" : ike_reason_text(st->last),
		.held = st->asked,
	};
	return true;
}
