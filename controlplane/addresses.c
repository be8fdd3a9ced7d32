// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/addresses.h"

#include "controlplane/owners.h"
#include "controlplane/pool_names.h"
#include "controlplane/users.h"

#include <stdlib.h>

LOG_SUBSYSTEM("address");

// ---- pools -----------------------------------------------------------------------------------

static uint8_t family_of(enum ike_address_kind kind)
{
	return kind == IKE_ADDRESS_V4 || kind == IKE_PREFIX_V4 ? IP_V4 : IP_V6;
}

static bool is_prefix(enum ike_address_kind kind)
{
	return kind == IKE_PREFIX_V4 || kind == IKE_PREFIX_V6;
}

static bool gives(const struct cfg_pool *p, enum ike_address_kind kind)
{
	uint8_t family = family_of(kind);
	bool prefixes = p->prefix_len && p->prefix_len < ip_bits(family);
	if (prefixes != is_prefix(kind))
		return false;
	for (size_t i = 0; i < p->range_count; i++)
		if (p->ranges[i].lo.family == family)
			return true;
	return false;
}

static bool is_one_of(const struct cfg_strings *list, const char *name)
{
	for (size_t i = 0; list && name && i < list->count; i++)
		if (strcmp(list->items[i], name) == 0)
			return true;
	return false;
}

// A group's own key proves its name, which is the peer's identity then.
static bool serves(const struct cfg_pool *p, const struct ike_peer *peer)
{
	bool served = !p->groups.count;
	for (size_t i = 0; !served && i < p->groups.count; i++)
		served = is_one_of(peer->groups, p->groups.items[i]);
	return served || ((peer->proven || peer->in_group) && is_one_of(&p->groups, peer->text));
}

// The next pool of the connection at or behind *index that may give this kind to the peer; *skipped:
// others would, but not to him.
static const struct cfg_pool *pool_next(
	const struct ike_addresses *a, enum ike_address_kind kind, size_t *index, bool *skipped)
{
	while (*index < a->conn->pool_count) {
		const struct cfg_pool *p = a->conn->pools[(*index)++];
		if (!gives(p, kind))
			continue;
		if (serves(p, &a->peer))
			return p;
		*skipped = true;
	}
	return NULL;
}

// AAA's, instead of the connection's; "": it says none.
static const char *aaa_pool_of(const struct ike_addresses *a, enum ike_address_kind kind)
{
	if (kind == IKE_PREFIX_V6)
		return a->aaa.prefix_pool;
	return family_of(kind) == IP_V4 ? a->aaa.pool_v4 : a->aaa.pool_v6;
}

static bool has_part_of(const struct cfg_pool *pool, const struct ip_range *range)
{
	for (size_t i = 0; i < pool->range_count; i++)
		if (ip_range_overlaps(&pool->ranges[i], range))
			return true;
	return false;
}

const struct cfg_pool *ike_pool_within(
	const struct ike_addresses *a, enum ike_address_kind kind, const struct ip_range *range)
{
	const char *name = aaa_pool_of(a, kind);
	const struct cfg_pool *p = name[0] ? ike_pool_named(a->engine->pools, name) : NULL;
	bool skipped;
	if (name[0])
		return p && gives(p, kind) && has_part_of(p, range) ? p : NULL;
	for (size_t i = 0; (p = pool_next(a, kind, &i, &skipped));)
		if (has_part_of(p, range))
			return p;
	return NULL;
}

const struct cfg_pool *ike_pool_holding(
	const struct ike_addresses *a, enum ike_address_kind kind, const struct ip_addr *addr)
{
	struct ip_range one = {*addr, *addr};
	return ike_pool_within(a, kind, &one);
}

// ---- one request -----------------------------------------------------------------------------

static bool lease_is(const struct lease *l, enum ike_address_kind kind)
{
	return l->addr.family == family_of(kind) && ike_lease_is_prefix(l) == is_prefix(kind);
}

bool ike_session_has(const struct ike_session *s, enum ike_address_kind kind)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (lease_is(&s->leases[i], kind))
			return true;
	return false;
}

static const struct ip_addr *lease_in(
	const struct ike_session *s, const struct ike_addresses *a, const struct cfg_pool *pool)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (s->leases[i].pool == pool && lease_is(&s->leases[i], a->kind))
			return &s->leases[i].addr;
	return NULL;
}

static bool believes_gone(const struct ike_addresses *a)
{
	return a->gone && a->conn->unique != CFG_UNIQUE_NO && !ike_peer_anonymous(&a->peer);
}

static const struct ip_addr *held_by_one_of(const struct ike_sa *sa, const struct ike_addresses *a,
	const struct cfg_pool *pool, const struct ike_session_list *list)
{
	const struct ip_addr *held = NULL;
	struct ike_look left = IKE_LOOK_FEW;
	struct ike_session *o = TAILQ_FIRST(list);
	for (; !held && ike_look(o, &left); o = TAILQ_NEXT(o, of_owner))
		held = o == sa->session ? NULL : lease_in(o, a, pool);
	return held;
}

// The lease that is shared with an older session of the owner: the one that the peer asks for, or of
// the session that it re-authenticates from where it was, or of one that it says is gone. NULL: none;
// other sessions' addresses are theirs.
static const struct ip_addr *adoptable(const struct ike_sa *sa, const struct ike_addresses *a,
	const struct cfg_pool *pool, const struct ip_addr *hint)
{
	const struct ike_owner *owner = ike_owner_find(a->engine, &a->peer);
	const struct ip_addr *held = NULL;
	if (!owner)
		return NULL;
	if (hint->family && ike_session_holder(a->engine, &a->peer, hint))
		return hint;
	if (a->claim[a->kind])
		return NULL;
	const struct ike_place *place = ike_place_find(a->engine, &a->peer, &sa->remote);
	struct ike_session *o = place ? TAILQ_FIRST(&place->sessions) : NULL;
	struct ike_look left = IKE_LOOK_FEW;
	for (; !held && ike_look(o, &left); o = TAILQ_NEXT(o, of_place))
		held = o == sa->session ? NULL : lease_in(o, a, pool);
	if (held || !believes_gone(a))
		return held;
	const struct ike_session_list *lists[] = {
		&owner->live[0], &owner->live[1], &owner->closing};
	for (size_t i = 0; !held && i < sizeof(lists) / sizeof(lists[0]); i++)
		held = held_by_one_of(sa, a, pool, lists[i]);
	return held;
}

// AAA's address is shared with an older session of the owner that ends for this one; with others that
// live on it is not.
static bool exact_adopted(
	const struct ike_sa *sa, const struct ike_addresses *a, const struct ip_addr *exact)
{
	if (ip_eq(&a->hint[a->kind], exact) || a->conn->unique == CFG_UNIQUE_REPLACE)
		return true;
	const struct ike_place *here = ike_peer_anonymous(&a->peer)
					       ? NULL
					       : ike_place_find(a->engine, &a->peer, &sa->remote);
	bool mine = here && sa->session && sa->session->place == here;
	return (here && here->count > mine) || believes_gone(a);
}

struct pool_owner ike_pool_owner(const struct ike_peer *p)
{
	return (struct pool_owner){
		.user = p->user,
		.identity = p->proven ? p->id : (struct view){NULL, 0},
		.anonymous = ike_peer_anonymous(p),
		.name = p->user && !p->proven ? p->user : p->text,
	};
}

void ike_peer_groups(const struct ike_engine *e, struct ike_peer *p)
{
	struct view name = {(const uint8_t *)p->text, p->text ? strlen(p->text) : 0};
	const struct cfg_user *user = p->user || !p->proven ? NULL : ike_user_find(e->users, name);
	if (!user || !user->groups.count)
		return;
	p->groups = &user->groups;
	p->group = user->groups.items[0];
}

// The network that an address lies in.
static struct ip_addr network_of(const struct ip_addr *addr, unsigned bits)
{
	struct ip_addr net = *addr;
	for (unsigned i = bits; i < ip_bits(addr->family); i++)
		net.bytes[i / 8] &= (uint8_t) ~(0x80u >> i % 8);
	return net;
}

bool ike_pool_one_network(const struct cfg_pool *pool, const struct ip_range *range)
{
	struct ip_addr lo = network_of(&range->lo, pool->prefix_len);
	struct ip_addr hi = network_of(&range->hi, pool->prefix_len);
	return ip_eq(&lo, &hi);
}

static const struct ip_addr *exact_of(const struct ike_addresses *a)
{
	const struct ip_addr *said = a->kind == IKE_ADDRESS_V4   ? &a->aaa.v4
				     : a->kind == IKE_ADDRESS_V6 ? &a->aaa.v6
								 : NULL;
	return said && said->family == family_of(a->kind) ? said : NULL;
}

static enum ike_verdict ask(
	struct ike_exchange *x, struct ike_addresses *a, const struct cfg_pool *pool, int next_step)
{
	const struct ip_addr *exact = a->exact ? exact_of(a) : NULL;
	struct ip_addr hint = exact ? *exact : a->hint[a->kind];
	if (hint.family && is_prefix(a->kind))
		hint = network_of(&hint, pool->prefix_len);
	const struct ip_addr *adopt = exact ? NULL : adoptable(x->sa, a, pool, &hint);
	struct address_request rq = {
		.pool = pool,
		.owner = ike_pool_owner(&a->peer),
		.want = adopt ? *adopt : hint,
		.exact = exact != NULL,
		.worker = a->lease_count ? a->leases[0].worker : a->worker,
		// A login of his that is not over yet may hold one, too.
		.adopt = adopt || (exact ? exact_adopted(x->sa, a, exact)
					 : believes_gone(a) && !a->claim[a->kind]),
	};
	return ike_wait_address(x, &rq, next_step);
}

static enum ike_reason refusal_of(const struct ike_exchange *x, const struct ike_addresses *a)
{
	if (x->got == IKE_GOT_TIMEOUT)
		return IKE_REASON_ADDRESS_TIMEOUT;
	if (x->got != IKE_GOT_ADDRESS || x->address_status != ADDRESS_EXHAUSTED)
		return IKE_REASON_ADDRESS_FAILED;
	return a->exact ? IKE_REASON_AAA_ADDRESS : IKE_REASON_POOL_EXHAUSTED;
}

// Of a claim another one is not what was asked for.
static bool fits(const struct ike_addresses *a, const struct lease *l)
{
	const struct ip_addr *hint = &a->hint[a->kind];
	struct ip_prefix p = ike_lease_prefix(l);
	return !a->claim[a->kind] || ip_prefix_contains(&p, hint);
}

static void take_lease(struct ike_exchange *x, struct ike_addresses *a)
{
	bool got = x->got == IKE_GOT_ADDRESS && x->address_status == ADDRESS_OK && x->lease_held;
	if (!got) {
		a->why = refusal_of(x, a);
		return;
	}
	x->lease_held = false;
	if (!fits(a, &x->lease)) {
		ike_lease_release(a->engine, &x->lease);
		a->why = IKE_REASON_TS_POOL;
		return;
	}
	a->leases[a->lease_count++] = x->lease;
	if (x->lease.adopted)
		ike_count(a->engine, IKE_REASON_LEASE_ADOPTED);
	a->want[a->kind] = false;
	a->why = IKE_REASON_NONE;
}

// ---- all of them -----------------------------------------------------------------------------

// Instead of the connection's pools. One that is not there is none of them.
static const struct cfg_pool *aaa_pool(
	const struct ike_exchange *x, struct ike_addresses *a, const char *name)
{
	char sa[IKE_SA_TEXT_MAX], text[128];
	const struct cfg_pool *p = ike_pool_named(a->engine->pools, name);
	if (p && gives(p, a->kind))
		return p;
	log_notice("%s AAA names the pool \"%s\", which has nothing of the kind",
		ike_sa_text(x->sa, sa), log_printable(name, strlen(name), text, sizeof(text)));
	a->why = IKE_REASON_AAA_POOL;
	return NULL;
}

// Behind whose pool AAA's address stands to the client: what goes with it is told.
static const struct cfg_pool *any_pool(struct ike_addresses *a)
{
	const struct cfg *c = a->engine->p.cfg;
	bool skipped;
	const struct cfg_pool *p = ike_pool_holding(a, a->kind, exact_of(a));
	size_t first = 0;
	if (!p)
		p = pool_next(a, a->kind, &first, &skipped);
	for (size_t i = 0; !p && i < c->pool_count; i++)
		if (gives(&c->pools[i], a->kind))
			p = &c->pools[i];
	if (!p)
		a->why = IKE_REASON_AAA_ADDRESS;
	return p;
}

// The pool that is asked first, or alone (*alone).
static const struct cfg_pool *first_pool(
	const struct ike_exchange *x, struct ike_addresses *a, bool *alone)
{
	const char *name = aaa_pool_of(a, a->kind);
	*alone = name[0] || exact_of(a);
	a->exact = exact_of(a) != NULL;
	if (name[0])
		return aaa_pool(x, a, name);
	if (a->exact)
		return any_pool(a);
	return a->hint[a->kind].family ? ike_pool_holding(a, a->kind, &a->hint[a->kind]) : NULL;
}

// Of the present kind; NULL: all were asked.
static const struct cfg_pool *next_of_kind(const struct ike_exchange *x, struct ike_addresses *a)
{
	bool alone = false, skipped = false;
	const struct cfg_pool *p = NULL;
	if (!a->asked) {
		a->asked = true;
		p = a->preferred = first_pool(x, a, &alone);
		if (alone)
			a->pool_index = SIZE_MAX;
		if (p)
			return p;
	}
	while (!a->claim[a->kind] && (p = pool_next(a, a->kind, &a->pool_index, &skipped)) &&
		p == a->preferred)
		;
	if (!p && skipped && a->why == IKE_REASON_NONE)
		a->why = IKE_REASON_POOL_GROUP;
	return p;
}

// The next pool of the present kind, then the next kind; NULL when all were asked.
static const struct cfg_pool *next_pool(const struct ike_exchange *x, struct ike_addresses *a)
{
	for (; a->kind < IKE_ADDRESS_KINDS; a->kind++) {
		const struct cfg_pool *pool = a->want[a->kind] ? next_of_kind(x, a) : NULL;
		if (pool)
			return pool;
		if (a->want[a->kind] && a->why != IKE_REASON_NONE)
			a->refusal = a->why;
		a->why = IKE_REASON_NONE;
		a->asked = a->exact = false;
		a->preferred = NULL;
		a->pool_index = 0;
	}
	return NULL;
}

enum ike_verdict ike_addresses_get(struct ike_exchange *x, struct ike_addresses *a, int next_step)
{
	const struct cfg_pool *pool;
	while ((pool = next_pool(x, a))) {
		enum ike_verdict v = ask(x, a, pool, next_step);
		if (v != IKE_DONE)
			return v;
		take_lease(x, a);
	}
	// The rest of what was wanted is refused; where nothing was got the caller says so.
	if (a->lease_count && a->refusal != IKE_REASON_NONE)
		ike_refused(a->engine, x->sa, &x->sa->remote, a->refusal);
	return IKE_DONE;
}

enum ike_verdict ike_addresses_got(struct ike_exchange *x, struct ike_addresses *a, int next_step)
{
	take_lease(x, a);
	return ike_addresses_get(x, a, next_step);
}

void ike_addresses_give(struct ike_addresses *a, struct ike_session *s)
{
	uint8_t given = 0;
	while (given < a->lease_count && s->lease_count < IKE_LEASES_MAX)
		ike_lease_add(s, &a->leases[given++]);
	for (uint8_t i = given; i < a->lease_count; i++)
		a->leases[i - given] = a->leases[i];
	a->lease_count -= given;
}

void ike_addresses_release(struct ike_addresses *a)
{
	while (a->lease_count)
		ike_lease_release(a->engine, &a->leases[--a->lease_count]);
}

// ---- what AAA says ---------------------------------------------------------------------------

struct ike_aaa_addresses *ike_aaa_keep(const struct ike_aaa_addresses *said, bool *oom)
{
	*oom = false;
	if (!said->v4.family && !said->v6.family && !said->v4_of_peer && !said->pool_v4[0] &&
		!said->pool_v6[0] && !said->prefix_pool[0])
		return NULL;
	struct ike_aaa_addresses *kept = malloc(sizeof(*kept));
	*oom = !kept;
	if (kept)
		*kept = *said;
	return kept;
}
