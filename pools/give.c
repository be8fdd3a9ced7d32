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
	struct owner_key key;
	uint8_t bytes[POOL_OWNER_MAX + 4]; // what it points to
	size_t len;
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

static void copy_key(struct asked *a, const struct owner_key *key)
{
	struct view name = {(const uint8_t *)a->name, key->name.len};
	memcpy(a->name, key->name.p, key->name.len);
	a->len = (size_t)(owner_key_put(key, a->bytes) - a->bytes);
	owner_key_read((struct view){a->bytes, a->len}, name, &a->key);
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
	copy_key(a, q->key);
	struct giver_request rq = {
		.pool = q->pool->cfg,
		.want = q->rq->want,
		.owner = {a->bytes, a->len},
		.name = a->name,
		.token = a->id,
	};
	if (a->key.anonymous) {
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
	struct record *r = lease_find(all, addr);
	if (r && r->queue == QUEUE_LOST) {
		lease_free(all, r);
		return false;
	}
	return r;
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
	return !r || (!a->key.anonymous && reserved_for(r, &a->key));
}

static struct record *take(
	struct pools *all, const struct asked *a, const struct ip_addr *addr, bool reserved)
{
	struct pool *p = &all->pools[a->pool];
	struct place at;
	struct occupation o = {
		.pool = p,
		.place = &at,
		.key = &a->key,
		.hash = a->hash,
		.head = a->key.anonymous ? NULL : owner_find(all, a->pool, a->hash, &a->key),
		.origin = LEASE_OF_DHCP,
		.state = LEASE_OFFERED,
		.queue = QUEUE_OFFERED,
		.reserved = reserved,
		.now_ns = pools_now(all),
	};
	if (space_take_this(&p->space, map_find(all, addr), addr, &at))
		return NULL;
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
	struct record *r = take(all, a, addr, reserved);
	if (!r) {
		p->stats.failed++;
		giver->give_back(giver->ctx, addr);
		return ADDRESS_FAILED;
	}
	r->fence = new_fence(all, r);
	p->stats.allocated++;
	lease_out(all, r, r->fence, false, out);
	journal_put(all, r, extra, a->token);
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

static struct record *find_given(const struct pools *all, const struct ip_addr *addr)
{
	struct record *r = lease_find(all, addr);
	return r && r->origin == LEASE_OF_DHCP ? r : NULL;
}

static void changed(void *user, const struct ip_addr *addr, struct view extra)
{
	struct record *r = find_given(user, addr);
	if (r)
		journal_rewrite(user, r, extra);
}

static void lost(void *user, const struct ip_addr *addr)
{
	struct pools *all = user;
	struct record *r = find_given(all, addr);
	if (r)
		lease_lose(all, r, pools_now(all));
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
