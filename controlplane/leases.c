// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The leases of sessions: their routes, their use, their end; and who holds an address.
#include "controlplane/exchange.h"
#include "controlplane/owners.h"
#include "controlplane/session.h"

LOG_SUBSYSTEM("session");

struct ip_prefix ike_lease_prefix(const struct lease *l)
{
	return (struct ip_prefix){l->addr, l->prefix_len};
}

struct selector ike_lease_selector(const struct lease *l)
{
	struct ip_prefix p = ike_lease_prefix(l);
	struct ip_range r = ip_prefix_range(&p);
	return selector_of_range(&r);
}

const char *ike_lease_text(const struct lease *l, char buf[static IP_TEXT_MAX])
{
	struct ip_prefix p = ike_lease_prefix(l);
	return ike_lease_is_prefix(l) ? ip_prefix_text(&p, buf) : ip_text(&l->addr, buf);
}

bool ike_lease_is_prefix(const struct lease *l)
{
	return l->prefix_len < ip_bits(l->addr.family);
}

// ---- who holds an address --------------------------------------------------------------------

static uint64_t addr_hash(const struct ike_engine *e, const struct ip_addr *addr)
{
	return siphash(e->hash_key, addr, sizeof(*addr));
}

static void index_add(struct ike_session *s, uint8_t i)
{
	struct ike_engine *e = s->engine;
	s->lease_use[i].session = s;
	htab_insert(&e->leases_by_addr, &s->lease_use[i].by_addr, addr_hash(e, &s->leases[i].addr));
}

static void index_remove(struct ike_session *s, uint8_t i)
{
	htab_remove(&s->engine->leases_by_addr, &s->lease_use[i].by_addr);
}

// Walk the sessions of any owner that hold it; begin with NULL.
static struct ike_lease_use *next_holder(
	struct ike_engine *e, const struct ip_addr *addr, struct ike_lease_use *after)
{
	struct htab_node *n = after ? htab_next(&after->by_addr)
				    : htab_first(&e->leases_by_addr, addr_hash(e, addr));
	for (; n; n = htab_next(n)) {
		struct ike_lease_use *use = container_of(n, struct ike_lease_use, by_addr);
		size_t i = (size_t)(use - use->session->lease_use);
		if (ip_eq(&use->session->leases[i].addr, addr))
			return use;
	}
	return NULL;
}

bool ike_session_holds(const struct ike_session *s, const struct ip_addr *addr)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (ip_eq(&s->leases[i].addr, addr))
			return true;
	return false;
}

struct ike_session *ike_session_holder(
	struct ike_engine *e, const struct ike_peer *owner, const struct ip_addr *addr)
{
	const struct ike_owner *o = ike_owner_find(e, owner);
	struct ike_lease_use *use = NULL;
	while (o && (use = next_holder(e, addr, use))) {
		e->looked++;
		if (use->session->owner == o)
			return use->session;
	}
	return NULL;
}

// ---- routes ----------------------------------------------------------------------------------

static void unroute(struct ike_session *s, uint8_t i)
{
	struct ip_prefix p = ike_lease_prefix(&s->leases[i]);
	if (s->lease_use[i].routed)
		ike_route_put(s, &p);
	s->lease_use[i].routed = false;
}

enum ike_reason ike_lease_routes(struct ike_session *s)
{
	bool fresh[IKE_LEASES_MAX] = {false};
	enum ike_reason why = IKE_REASON_NONE;
	for (uint8_t i = 0; i < s->lease_count && why == IKE_REASON_NONE; i++) {
		struct ip_prefix p = ike_lease_prefix(&s->leases[i]);
		if (s->lease_use[i].routed)
			continue;
		why = ike_route_get(s, &p);
		fresh[i] = s->lease_use[i].routed = why == IKE_REASON_NONE;
	}
	for (uint8_t i = 0; i < s->lease_count && why != IKE_REASON_NONE; i++)
		if (fresh[i])
			unroute(s, i);
	return why;
}

// ---- come and go -----------------------------------------------------------------------------

void ike_lease_add(struct ike_session *s, const struct lease *l)
{
	s->lease_use[s->lease_count] = (struct ike_lease_use){.active = false};
	s->leases[s->lease_count] = *l;
	index_add(s, s->lease_count++);
	if (s->tunnel == TUNNEL_NONE)
		s->worker = s->leases[0].worker;
}

static void forget(struct ike_session *s, uint8_t i)
{
	unroute(s, i);
	index_remove(s, i);
	s->lease_count--;
	for (; i < s->lease_count; i++) {
		index_remove(s, i + 1);
		s->leases[i] = s->leases[i + 1];
		s->lease_use[i] = s->lease_use[i + 1];
		index_add(s, i);
	}
}

void ike_leases_ending(const struct ike_session *s)
{
	const struct address_source *src = s->engine->p.addresses;
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (src->expect_release)
			src->expect_release(src->ctx, &s->leases[i]);
}

void ike_lease_drop(struct ike_session *s, uint8_t i)
{
	struct lease l = s->leases[i];
	forget(s, i);
	ike_lease_release(s->engine, &l);
}

// The address may be another's already. The peer was told that it is his, and neither version can take
// that back: he has to come again. Not at once: others are at work on the session.
static void lost(struct ike_session *s, uint8_t i)
{
	struct ike_engine *e = s->engine;
	forget(s, i);
	ike_refused(e, s->sa, &s->sa->remote, IKE_REASON_LEASE_LOST);
	ike_session_end_soon(s);
}

void ike_session_keep_leases(struct ike_session *s)
{
	const struct address_source *src = s->engine->p.addresses;
	s->leases_in_use = true;
	for (uint8_t i = s->lease_count; i-- > 0;) {
		if (s->lease_use[i].active)
			continue;
		s->lease_use[i].active = src->renew(src->ctx, &s->leases[i], s->id);
		if (!s->lease_use[i].active)
			lost(s, i);
	}
}

void ike_session_leased(struct ike_session *s)
{
	if (s->leases_in_use || s->conn->childless)
		ike_session_keep_leases(s);
}

// ---- taken back ------------------------------------------------------------------------------

// Its packets stop at once; the DELETE takes its turn, for an operator may clear a whole pool.
static void revoke(struct ike_session *s, uint8_t i)
{
	char addr[IP_TEXT_MAX];
	ike_count(s->engine, IKE_REASON_LEASE_REVOKED);
	log_notice("%llu: ends: %s was taken back", (unsigned long long)s->id,
		ike_lease_text(&s->leases[i], addr));
	unroute(s, i);
	ike_session_closing(s, true);
	ike_sa_end_later(s->sa);
}

void ike_lease_revoked(void *user, const struct ip_addr *addr)
{
	struct ike_engine *e = user;
	struct ike_lease_use *use = NULL;
	ike_enter(e);
	while ((use = next_holder(e, addr, use)))
		revoke(use->session, (uint8_t)(use - use->session->lease_use));
	ike_leave(e);
}
