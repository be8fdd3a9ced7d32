// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/addresses.h"

static bool pool_has_family(const struct cfg_pool *p, uint8_t family)
{
	for (size_t i = 0; i < p->range_count; i++)
		if (p->ranges[i].lo.family == family)
			return true;
	return false;
}

const struct cfg_pool *ike_pool_next(
	const struct cfg_connection *conn, uint8_t family, size_t *index)
{
	while (*index < conn->pool_count) {
		const struct cfg_pool *p = conn->pools[(*index)++];
		if (pool_has_family(p, family))
			return p;
	}
	return NULL;
}

// ---- one pool --------------------------------------------------------------------------------

static const struct ip_addr *lease_in(
	const struct ike_session *s, const struct cfg_pool *pool, uint8_t family)
{
	for (uint8_t i = 0; i < s->lease_count; i++)
		if (s->leases[i].pool == pool && s->leases[i].addr.family == family)
			return &s->leases[i].addr;
	return NULL;
}

// The lease that is shared with an older session of the owner: the one that the peer asks for, or of
// the session that it re-authenticates from where it was, or of one that it says is gone. NULL: none;
// other sessions' addresses are theirs.
static const struct ip_addr *adoptable(const struct ike_sa *sa, const struct ike_addresses *a,
	const struct cfg_pool *pool, const struct ip_addr *hint)
{
	const struct ip_addr *of_gone = NULL;
	bool gone = a->gone && a->conn->unique != CFG_UNIQUE_NO;
	struct ike_session *o = NULL;
	if (hint->family && ike_session_holder(a->engine, &a->peer, hint))
		return hint;
	while ((o = ike_session_of_owner(a->engine, &a->peer, o))) {
		const struct ip_addr *held = lease_in(o, pool, a->family);
		if (o == sa->session)
			continue;
		if (held && endpoint_eq(&o->sa->remote, &sa->remote))
			return held;
		if (held && gone && !of_gone)
			of_gone = held;
	}
	return of_gone;
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

static enum ike_verdict ask(
	struct ike_exchange *x, struct ike_addresses *a, const struct cfg_pool *pool, int next_step)
{
	const struct ip_addr *hint = a->family == IP_V4 ? &a->hint_v4 : &a->hint_v6;
	const struct ip_addr *adopt = adoptable(x->sa, a, pool, hint);
	struct address_request rq = {
		.pool = pool,
		.owner = ike_pool_owner(&a->peer),
		.want = adopt ? *adopt : *hint,
		.worker = a->lease_count ? a->leases[0].worker : a->worker,
		.adopt = adopt != NULL,
	};
	return ike_wait_address(x, &rq, next_step);
}

static void take_lease(struct ike_exchange *x, struct ike_addresses *a)
{
	if (x->got != IKE_GOT_ADDRESS || x->address_status != ADDRESS_OK || !x->lease_held) {
		a->refusal = IKE_REASON_ADDRESS_FAILED;
		if (x->got == IKE_GOT_TIMEOUT)
			a->refusal = IKE_REASON_ADDRESS_TIMEOUT;
		else if (x->address_status == ADDRESS_EXHAUSTED)
			a->refusal = IKE_REASON_POOL_EXHAUSTED;
		return;
	}
	a->leases[a->lease_count++] = x->lease;
	x->lease_held = false;
	if (x->lease.adopted)
		ike_count(a->engine, IKE_REASON_LEASE_ADOPTED);
	a->pool_index = SIZE_MAX; // this family has its address
}

// ---- all of them -----------------------------------------------------------------------------

// The next pool of the present family, then the next family; NULL when all were asked.
static const struct cfg_pool *next_pool(struct ike_addresses *a)
{
	const struct cfg_pool *pool = NULL;
	while (!pool) {
		bool wanted = a->family == IP_V4 ? a->want_v4 : a->want_v6;
		if (a->family && wanted)
			pool = ike_pool_next(a->conn, a->family, &a->pool_index);
		if (pool)
			break;
		if (a->family == IP_V6)
			return NULL;
		a->family = a->family == IP_V4 ? IP_V6 : IP_V4;
		a->pool_index = 0;
	}
	return pool;
}

enum ike_verdict ike_addresses_get(struct ike_exchange *x, struct ike_addresses *a, int next_step)
{
	const struct cfg_pool *pool;
	while ((pool = next_pool(a))) {
		enum ike_verdict v = ask(x, a, pool, next_step);
		if (v != IKE_DONE)
			return v;
		take_lease(x, a);
	}
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
	struct address_source *src = a->engine ? a->engine->p.addresses : NULL;
	for (uint8_t i = 0; i < a->lease_count; i++)
		src->release(src->ctx, &a->leases[i]);
	a->lease_count = 0;
}
