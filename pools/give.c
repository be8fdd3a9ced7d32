// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Addresses that somebody else chooses: asked for, checked, and kept as any other.
#include "pools/lease.h"

#include <stdlib.h>

// A request that waits for its giver.
struct asked {
	struct htab_node by_id;
	uint64_t id;
	uint64_t token; // of the request
	uint32_t hash;
	uint16_t pool;
	bool anonymous;
	struct owner_key key;
	char name[POOL_OWNER_MAX + 1];
};

static struct asked *asked_find(struct pools *all, uint64_t id)
{
	for (struct htab_node *n = htab_first(&all->asked, id); n; n = htab_next(n)) {
		struct asked *a = container_of(n, struct asked, by_id);
		if (a->id == id)
			return a;
	}
	return NULL;
}

static void asked_free(struct pools *all, struct asked *a)
{
	htab_remove(&all->asked, &a->by_id);
	free(a);
}

enum address_status giver_ask(struct pools *all, const struct request *q)
{
	struct address_giver *giver = all->seams.giver;
	struct asked *a = calloc(1, sizeof(*a));
	uint8_t nobody[16];
	if (!a) {
		q->pool->stats.failed++;
		return ADDRESS_FAILED;
	}
	a->id = ++all->asked_id;
	a->token = q->rq->token;
	a->hash = q->hash;
	a->pool = (uint16_t)(q->pool - all->pools);
	a->anonymous = q->anonymous;
	a->key = *q->key;
	memcpy(a->name, a->key.name, a->key.name_len);
	a->key.name = a->name;
	struct giver_request rq = {
		.pool = q->pool->cfg,
		.want = q->rq->want,
		.owner = {a->key.bytes, a->key.len},
		.name = a->name,
		.token = a->id,
	};
	if (a->anonymous) {
		random_fill(all->seams.random, nobody, sizeof(nobody));
		rq.owner = (struct view){nobody, sizeof(nobody)};
	}
	htab_insert(&all->asked, &a->by_id, a->id);
	if (giver->ask(giver->ctx, &rq) == 0)
		return ADDRESS_PENDING;
	asked_free(all, a);
	q->pool->stats.failed++;
	return ADDRESS_FAILED;
}

// What a server took back is in quarantine so that nobody gives it to anybody; the server may again.
static bool is_held(struct pools *all, const struct ip_addr *addr)
{
	uint32_t index = lease_find(all, addr);
	if (index && record_at(&all->records, index)->queue == QUEUE_LOST) {
		lease_free(all, index);
		return false;
	}
	return index;
}

static bool may_take(
	struct pools *all, const struct asked *a, const struct ip_addr *addr, bool *reserved)
{
	const struct segment *seg = map_find(all, addr);
	const struct space *s = &all->pools[a->pool].space;
	if (!seg || seg->pool != a->pool || !segment_begins(seg, addr) || space_excluded(s, addr) ||
		is_held(all, addr))
		return false;
	const struct reserved *r = space_reserved(s, addr);
	*reserved = r;
	return !r ||
	       (!a->anonymous && reserved_for(r, (struct view){a->key.bytes, a->key.len}, a->name));
}

static uint32_t take(
	struct pools *all, const struct asked *a, const struct ip_addr *addr, bool reserved)
{
	struct pool *p = &all->pools[a->pool];
	struct view key = {a->key.bytes, a->anonymous ? 0 : a->key.len};
	struct occupation o = {
		.pool = p,
		.key = key,
		.hash = a->hash,
		.head = a->anonymous ? NONE : owner_find(all, a->pool, a->hash, key),
		.name = a->name,
		.name_len = a->key.name_len,
		.name_at = a->key.name_at,
		.origin = LEASE_OF_DHCP,
		.state = LEASE_OFFERED,
		.queue = QUEUE_OFFERED,
		.reserved = reserved,
		.now_ns = pools_now(all),
	};
	if (space_take_this(&p->space, map_find(all, addr), addr, &o.place))
		return NONE;
	return lease_occupy(all, &o);
}

static enum address_status took(struct pools *all, const struct asked *a,
	const struct ip_addr *addr, struct view extra, struct lease *out)
{
	struct address_giver *giver = all->seams.giver;
	struct pool *p = &all->pools[a->pool];
	bool reserved = false;
	if (!may_take(all, a, addr, &reserved)) {
		p->stats.giver_bad++;
		giver->refuse(giver->ctx, addr);
		return ADDRESS_FAILED;
	}
	uint32_t index = take(all, a, addr, reserved);
	if (!index) {
		p->stats.failed++;
		giver->give_back(giver->ctx, addr);
		return ADDRESS_FAILED;
	}
	struct record *r = record_at(&all->records, index);
	r->fence = new_fence(all, index);
	p->stats.allocated++;
	lease_out(all, index, r->fence, false, out);
	journal_put(all, index, extra, a->token);
	return r->waiting ? ADDRESS_PENDING : ADDRESS_OK;
}

static void given(void *user, uint64_t id, enum address_status s, const struct ip_addr *addr,
	struct view extra)
{
	struct pools *all = user;
	struct asked *a = asked_find(all, id);
	struct lease l = {0};
	if (!a)
		return;
	struct pool *p = &all->pools[a->pool];
	uint64_t token = a->token;
	if (s == ADDRESS_OK)
		s = took(all, a, addr, extra, &l);
	else if (s == ADDRESS_EXHAUSTED)
		p->stats.giver_refused++;
	else
		p->stats.giver_silent++;
	asked_free(all, a);
	if (s != ADDRESS_PENDING)
		grant_tell(all, token, s, &l);
}

static uint32_t find_given(const struct pools *all, const struct ip_addr *addr)
{
	uint32_t index = lease_find(all, addr);
	return index && record_at(&all->records, index)->origin == LEASE_OF_DHCP ? index : NONE;
}

static void changed(void *user, const struct ip_addr *addr, struct view extra)
{
	uint32_t index = find_given(user, addr);
	if (index)
		journal_rewrite(user, index, extra);
}

static void lost(void *user, const struct ip_addr *addr)
{
	struct pools *all = user;
	uint32_t index = find_given(all, addr);
	if (index)
		lease_lose(all, index, pools_now(all));
}

void giver_attach(struct pools *all)
{
	struct address_giver *giver = all->seams.giver;
	if (!giver)
		return;
	giver->given = given;
	giver->changed = changed;
	giver->lost = lost;
	giver->user = all;
}

void giver_fini(struct pools *all)
{
	size_t cursor = 0;
	struct htab_node *n = htab_walk(&all->asked, &cursor, NULL);
	while (n) {
		struct htab_node *next = htab_walk(&all->asked, &cursor, n);
		free(container_of(n, struct asked, by_id));
		n = next;
	}
	htab_fini(&all->asked);
}
