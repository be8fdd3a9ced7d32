// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/starter.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>
#include <stdlib.h>

LOG_SUBSYSTEM("ike");

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
#define LIVED_NS      (60 * NS_PER_S) // one that lasted so long was a success
#define RESTORE_NS    NS_PER_S        // until a missing child SA is asked for
#define RESTORE_UP_NS (5 * NS_PER_S)  // the same where the session has just begun

static const char *const state_texts[] = {"-", "waiting", "connecting", "up", "retry"};

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

bool ike_starter_path(const struct ike_starter *st, struct ike_begin *b)
{
	struct ip_addr peer;
	*b = (struct ike_begin){.conn = st->conn};
	if (!address_at(st->conn, st->next_address, &peer) ||
		!ike_local_for(st->engine->p.cfg, &peer, &b->origin, &b->local))
		return false;
	b->remote = (struct endpoint){peer, IKE_PORT};
	return true;
}

// ---- tries ---------------------------------------------------------------------------------------

static void schedule(struct ike_starter *st, uint64_t after_ns);

static void attempt(struct ike_starter *st)
{
	struct ike_engine *e = st->engine;
	struct ike_begin b;
	char peer[IP_TEXT_MAX];
	st->wanted = false;
	if (st->sessions || st->connecting || e->shutting_down)
		return;
	struct ike_session *s = ike_starter_path(st, &b) ? ike_begin(e, &b) : NULL;
	st->attempts++;
	st->tried_ns = e->now_ns;
	st->next_address++;
	if (!s) {
		st->last = IKE_REASON_NO_PATH;
		ike_count(e, IKE_REASON_NO_PATH);
		if (ike_starter_begins(st))
			schedule(st, AGAIN_MAX_NS);
		return;
	}
	st->peer = b.remote;
	st->connecting = s->id;
	log_notice("%llu: \"%s\" connects to %s, try %u", (unsigned long long)s->id, st->conn->name,
		ip_text(&b.remote.addr, peer), st->attempts);
	st->state = IKE_STARTER_CONNECTING;
	ike_count(e, IKE_REASON_STARTED);
}

static void due(struct wheel_timer *t, void *arg)
{
	struct ike_starter *st = arg;
	if (st->conn->initiate == CFG_INITIATE_START || st->wanted)
		attempt(st);
	else
		st->state = IKE_STARTER_WAITING;
}

static void schedule(struct ike_starter *st, uint64_t after_ns)
{
	struct ike_engine *e = st->engine;
	uint64_t jitter = after_ns > 4 ? random_u64(e->p.random) % (after_ns / 4) : 0;
	st->state = IKE_STARTER_RETRY;
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

// Child SAs that the peer has deleted or refused, or that came to their end, are asked for anew, with
// pauses that grow as long as some are missing. On demand none at all are made before a packet comes.
static void restore_due(struct wheel_timer *t, void *arg)
{
	struct ike_starter *st = arg;
	struct ike_engine *e = st->engine;
	struct ike_session *s = ike_session_by_id(e, st->current);
	if (!s || s->sa->state != IKE_SA_ESTABLISHED || !ike_may_begin(s))
		return;
	bool idle = !s->sa->out_progress && TAILQ_EMPTY(&s->sa->tasks);
	bool asleep =
		st->conn->initiate == CFG_INITIATE_ON_DEMAND && !s->child_count && !st->wanted;
	if (asleep || (idle && !ike_session_restore_children(s)))
		return;
	st->wanted = false;
	uint64_t ns = RESTORE_NS << (st->restore_tries < 6 ? st->restore_tries : 6);
	if (idle && st->restore_tries < UINT8_MAX)
		st->restore_tries++;
	wheel_set(&e->wheel, &st->restore, e->now_ns + ns, restore_due, st);
}

// A packet asks for them: the first time at once.
static void restore_soon(struct ike_starter *st)
{
	st->wanted = true;
	if (!st->restore.set || st->restore_tries == 0)
		restore_due(&st->restore, st);
}

void ike_starter_child_gone(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = ike_starter_of(e, s->conn);
	if (!ike_starter_begins(st) || s->id != st->current || s->closing || st->restore.set)
		return;
	st->restore_tries = s->engine->now_ns - st->restored_ns > LIVED_NS ? 0 : st->restore_tries;
	st->restored_ns = e->now_ns;
	uint64_t ns = RESTORE_NS << (st->restore_tries < 6 ? st->restore_tries : 6);
	wheel_set(&e->wheel, &st->restore, e->now_ns + ns, restore_due, st);
}

void ike_starter_up(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = ike_starter_of(e, s->conn);
	bool tried = st->connecting == s->id;
	st->sessions++;
	st->current = s->id;
	if (tried)
		st->connecting = 0;
	wheel_cancel(&e->wheel, &st->timer);
	st->state = IKE_STARTER_UP;
	st->peer = s->sa->remote;
	st->last = IKE_REASON_NONE;
	st->restore_tries = 0;
	if (ike_starter_begins(st))
		wheel_set(&e->wheel, &st->restore, e->now_ns + RESTORE_UP_NS, restore_due, st);
	// The address that has answered is the first to be tried again.
	if (tried)
		st->next_address--;
}

// A re-authentication that is under way when its session ends is the next try.
static void take_reauthentication(struct ike_starter *st, const struct ike_session *s)
{
	struct ike_session *n =
		s->reauth_attempt ? ike_session_by_id(st->engine, s->reauth_attempt) : NULL;
	if (!n || n->established_ns || st->connecting)
		return;
	st->connecting = n->id;
	st->next_address++;
	st->state = IKE_STARTER_CONNECTING;
}

void ike_starter_down(struct ike_session *s, enum ike_reason why)
{
	struct ike_engine *e = s->engine;
	struct ike_starter *st = ike_starter_of(e, s->conn);
	bool tried = st->connecting == s->id;
	if (s->established_ns)
		st->sessions--;
	if (tried)
		st->connecting = 0;
	if (st->current == s->id)
		st->current = s->successor;
	if (s->established_ns && e->now_ns - s->established_ns >= LIVED_NS)
		st->attempts = 0;
	take_reauthentication(st, s);
	if (e->shutting_down || st->sessions || st->connecting || (!tried && !s->established_ns))
		return;
	st->last = why;
	st->state = IKE_STARTER_IDLE;
	if (!ike_starter_begins(st) || !e->started)
		return;
	if (st->conn->initiate == CFG_INITIATE_ON_DEMAND && s->established_ns) {
		wheel_cancel(&e->wheel, &st->timer);
		st->state = IKE_STARTER_WAITING;
		return;
	}
	schedule(st, pause_ns(st));
	log_notice("\"%s\": %s: connects again in %llu s", st->conn->name, ike_reason_text(why),
		(unsigned long long)((st->timer.due_ms * NS_PER_MS - e->now_ns + NS_PER_S - 1) /
				     NS_PER_S));
}

// Packets do not bring back at once what has ended at once.
static void attempt_soon(struct ike_starter *st)
{
	uint64_t now = st->engine->now_ns, due_ns = st->tried_ns + pause_ns(st);
	if (!st->tried_ns || due_ns <= now) {
		attempt(st);
		return;
	}
	st->wanted = true;
	schedule(st, due_ns - now);
}

void ike_starter_wanted(struct ike_engine *e, const struct sa_event *ev)
{
	size_t i = (size_t)(ev->session & ~IKE_STARTER_OWNER);
	if (!(ev->session & IKE_STARTER_OWNER) || i >= e->p.cfg->connection_count)
		return;
	struct ike_starter *st = &e->starters[i];
	st->asked++;
	if (st->sessions)
		restore_soon(st);
	else if (st->state == IKE_STARTER_WAITING)
		attempt_soon(st);
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
		wheel_cancel(&e->wheel, &e->starters[i].restore);
		ike_wait_over(&e->starters[i]);
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
		if (!ike_starter_begins(st) || st->conn->responder_only)
			continue;
		ike_wait_tunnel(st);
		st->state = IKE_STARTER_WAITING;
		if (st->conn->initiate == CFG_INITIATE_START) {
			st->state = IKE_STARTER_RETRY;
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
	struct ike_starter *st = ike_starter_of(e, conn);
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
		.policy_rules = conn->policy_count,
		.client_to_client = conn->client_to_client,
		.sessions = st->sessions,
		.state = state_texts[st->state],
		.peer = st->peer,
		.attempts = st->state == IKE_STARTER_UP ? 0 : st->attempts,
		.next_try_ns = st->timer.set ? st->timer.due_ms * NS_PER_MS : 0,
		.last_error = st->last == IKE_REASON_NONE ? "" : ike_reason_text(st->last),
		.held = st->asked,
	};
	return true;
}
