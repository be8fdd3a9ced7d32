// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions: their tables, owners, leases, routes and end.
#include "controlplane/session.h"

#include "controlplane/exchange.h"
#include "controlplane/owners.h"
#include "controlplane/starter.h"
#include "controlplane/succession.h"

#include <errno.h>
#include <stdlib.h>

LOG_SUBSYSTEM("session");

// ---- tables ----------------------------------------------------------------------------------

// Closes the gaps once they are most of the array: amortised O(1) per session that goes.
static void order_compact(struct ike_engine *e)
{
	size_t n = 0;
	for (size_t i = 0; i < e->order_len; i++) {
		if (!e->order[i])
			continue;
		e->order[n] = e->order[i];
		e->order[n]->order = n;
		n++;
	}
	e->order_len = n;
	e->order_gone = 0;
}

static bool order_append(struct ike_engine *e, struct ike_session *s)
{
	if (e->order_len == e->order_cap) {
		size_t cap = e->order_cap ? e->order_cap * 2 : 64;
		struct ike_session **grown = realloc(e->order, cap * sizeof(*grown));
		if (!grown)
			return false;
		e->order = grown;
		e->order_cap = cap;
	}
	s->order = e->order_len;
	e->order[e->order_len++] = s;
	return true;
}

static void order_remove(struct ike_engine *e, struct ike_session *s)
{
	e->order[s->order] = NULL;
	e->order_gone++;
	if (e->order_gone * 2 > e->order_len)
		order_compact(e);
}

static uint64_t id_hash(const struct ike_engine *e, uint64_t id)
{
	return siphash(e->hash_key, &id, sizeof(id));
}

struct ike_session *ike_session_by_id(struct ike_engine *e, uint64_t id)
{
	struct htab_node *n = htab_first(&e->sessions_by_id, id_hash(e, id));
	for (; n; n = htab_next(n)) {
		struct ike_session *s = container_of(n, struct ike_session, by_id);
		if (s->id == id)
			return s;
	}
	return NULL;
}

struct ike_peer ike_session_peer(const struct ike_session *s)
{
	return (struct ike_peer){
		.id = secret_view(&s->identity),
		.text = s->identity_text ? s->identity_text : "",
		.proven = s->proven,
		.user = s->user,
		.group = s->group,
		.groups = s->groups,
		.in_group = s->in_group,
	};
}

// ---- life ------------------------------------------------------------------------------------

struct ike_session *ike_session_new(struct ike_sa *sa, const struct cfg_connection *conn)
{
	struct ike_engine *e = sa->engine;
	struct ike_session *s = calloc(1, sizeof(*s));
	if (!s || !order_append(e, s)) {
		free(s);
		return NULL;
	}
	s->engine = e;
	s->id = ++e->next_session;
	s->conn = conn;
	s->sa = sa;
	s->initiator = sa->initiator;
	s->begun_ns = sa->created_ns;
	s->tunnel = TUNNEL_NONE;
	s->anonymous = true;
	LIST_INIT(&s->children);
	LIST_INIT(&s->lingering);
	LIST_INIT(&s->routes);
	htab_insert(&e->sessions_by_id, &s->by_id, id_hash(e, s->id));
	e->session_count++;
	ike_starter_of(e, conn)->all++;
	sa->session = s;
	return s;
}

// text NULL is copied to NULL.
static bool copy_text(char **to, const char *text)
{
	free(*to);
	*to = text ? strdup(text) : NULL;
	return !text || *to;
}

int ike_session_identify(struct ike_session *s, const struct ike_peer *peer)
{
	char text[IKE_ID_TEXT_MAX];
	if (!copy_text(&s->identity_text, ike_id_text(peer->id, text)) ||
		!copy_text(&s->user, peer->user) || !copy_text(&s->group, peer->group) ||
		secret_copy(&s->identity, peer->id.p, peer->id.len) < 0)
		return -ENOMEM;
	s->proven = peer->proven;
	s->groups = peer->groups;
	s->in_group = peer->in_group;
	s->anonymous = ike_peer_anonymous(peer);
	return ike_owner_join(s);
}

// Given by us or by the peer; IKEv1's peer gives it later.
static const char *inner_text(const struct ike_session *s, char out[IP_TEXT_MAX])
{
	if (s->lease_count)
		return ike_lease_text(&s->leases[0], out);
	return s->assigned_count ? ip_text(&s->assigned[0], out) : "none";
}

void ike_session_established(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	char peer[EP_TEXT_MAX], addr[IP_TEXT_MAX], user[256];
	s->established_ns = e->now_ns;
	s->spi_i = s->sa->spi_i;
	s->spi_r = s->sa->spi_r;
	ike_starter_up(s);
	ike_idle_start(s);
	if (e->p.aaa.account && !s->accounted) {
		e->p.aaa.account(e->p.aaa.ctx, s->id, true);
		s->accounted = true;
	}
	log_notice("%llu: %s%s%s from %s established on \"%s\", address %s, worker %u",
		(unsigned long long)s->id,
		s->user ? log_printable(s->user, strlen(s->user), user, sizeof(user)) : "",
		s->user ? " as " : "", s->identity_text ? s->identity_text : "",
		endpoint_text(&s->sa->remote, peer), s->conn->name, inner_text(s, addr), s->worker);
}

// Its children go one by one, so that each SA comes back with its counters; the tunnel follows.
static void release_traffic(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	struct ike_child *c;
	bool kept = ike_starter_tunnel_give(s);
	ike_routes_leave(s);
	while ((c = LIST_FIRST(&s->children))) {
		if (s->successor) // what it counts until it comes back
			c->session_id = s->successor;
		ike_child_drop(c);
	}
	ike_children_linger_end(s);
	ike_routes_end(s);
	if (s->tunnel != TUNNEL_NONE && !kept)
		e->p.sink->tunnel_del(e->p.sink->ctx, s->tunnel);
	s->tunnel = TUNNEL_NONE;
}

static void session_free(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	wheel_cancel(&e->wheel, &s->end);
	wheel_cancel(&e->wheel, &s->anew);
	wheel_cancel(&e->wheel, &s->idle);
	wheel_cancel(&e->wheel, &s->resources_due);
	while (s->lease_count)
		ike_lease_drop(s, (uint8_t)(s->lease_count - 1));
	free(s->aaa);
	ike_owner_leave(s);
	ike_session_give_way(s, NULL);
	ike_session_forsake(s);
	htab_remove(&e->sessions_by_id, &s->by_id);
	order_remove(e, s);
	ike_starter_of(e, s->conn)->all--;
	e->session_count--;
	secret_fini(&s->identity);
	free(s->identity_text);
	free(s->user);
	free(s->group);
	free(s);
}

void ike_session_close(struct ike_session *s, enum ike_reason why)
{
	struct ike_engine *e = s->engine;
	ike_leases_ending(s);
	ike_session_lost(s);
	ike_starter_down(s, why);
	release_traffic(s);
	ike_session_bequeath(s);
	ike_starter_wait(s);
	if (s->accounted)
		e->p.aaa.account(e->p.aaa.ctx, s->id, false);
	if (s->established_ns)
		log_notice("%llu: ended: %s", (unsigned long long)s->id, ike_reason_text(why));
	if (s->sa && s->sa->session == s)
		s->sa->session = NULL;
	session_free(s);
}

void ike_session_sa_gone(struct ike_session *s, struct ike_sa *sa, enum ike_reason why)
{
	if (s->sa == sa)
		ike_session_close(s, why);
}

void ike_sessions_fini(struct ike_engine *e)
{
	size_t cursor = 0;
	struct htab_node *n, *next;
	for (size_t i = e->order_len; i-- > 0;)
		if (i < e->order_len && e->order[i])
			ike_session_close(e->order[i], IKE_REASON_CLOSED);
	free(e->order);
	e->order = NULL;
	e->order_len = e->order_cap = e->order_gone = 0;
	// What the sink has not returned yet, or what was being negotiated.
	for (n = htab_walk(&e->children_by_spi, &cursor, NULL); n; n = next) {
		struct ike_child *c = container_of(n, struct ike_child, by_spi);
		next = htab_walk(&e->children_by_spi, &cursor, n);
		if (c->spi_held)
			e->p.sink->spi_release(e->p.sink->ctx, c->spi_in);
		htab_remove(&e->children_by_spi, n);
		if (!c->lingering)
			e->child_count--;
		free(c);
	}
}

void ike_session_moved(struct ike_session *s)
{
	const struct sa_sink *sink = s->engine->p.sink;
	struct tunnel_path path = ike_path(s->sa);
	if (s->tunnel != TUNNEL_NONE)
		sink->tunnel_move(sink->ctx, s->tunnel, &path);
	ike_transport_moved(s);
	ike_owner_moved(s);
}

void ike_session_move(struct ike_session *s, struct ike_sa *to)
{
	struct ike_sa *from = s->sa;
	s->sa = to;
	to->session = s;
	from->session = NULL;
	ike_owner_moved(s);
	if (from->ends_later) // the session was meant
		ike_sa_end_later(to);
}

// ---- ends by time ----------------------------------------------------------------------------

static void end_now(struct ike_session *s)
{
	ike_session_closing(s, true);
	ike_routes_leave(s);
	(void)ike_sa_delete(s->sa); // -EALREADY: it is under way
}

static void end_fire(struct wheel_timer *t, void *arg)
{
	struct ike_session *s = arg;
	struct ike_engine *e = s->engine;
	if (ike_session_superseded_early(s)) {
		wheel_set(&e->wheel, &s->end, e->now_ns + NS_PER_S, end_fire, s);
		return;
	}
	if (s->child_count == 0 && !s->closing)
		ike_refused(e, s->sa, &s->sa->remote, IKE_REASON_CHILDLESS);
	end_now(s);
}

void ike_session_end(struct ike_session *s, uint32_t delay_s)
{
	struct ike_engine *e = s->engine;
	if (delay_s == 0) {
		end_now(s);
		return;
	}
	ike_session_closing(s, true);
	wheel_set(&e->wheel, &s->end, e->now_ns + delay_s * NS_PER_S, end_fire, s);
}

void ike_session_end_soon(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	ike_session_closing(s, true);
	wheel_set(&e->wheel, &s->end, e->now_ns, end_fire, s);
}

void ike_session_watch(struct ike_session *s)
{
	struct ike_engine *e = s->engine;
	if (s->closing)
		return;
	if (s->child_count > 0 || s->conn->childless)
		wheel_cancel(&e->wheel, &s->end);
	else
		wheel_set(&e->wheel, &s->end, e->now_ns + IKE_CHILDLESS_S * NS_PER_S, end_fire, s);
}
