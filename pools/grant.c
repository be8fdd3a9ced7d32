// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The address source in memory: who is given what, and until when.
#include "pools/lease.h"

#include <errno.h>
#include <stdlib.h>

static enum address_status failed(struct pool *p)
{
	p->stats.failed++;
	return ADDRESS_FAILED;
}

void lease_out(const struct pools *all, const struct record *r, uint64_t fence, bool adopted,
	struct lease *out)
{
	out->pool = all->pools[r->pool].cfg;
	record_addr_put(&all->records, r, &out->addr);
	out->prefix_len = r->prefix_len;
	out->fence = fence;
	out->worker = r->shard;
	out->adopted = adopted;
}

// ---- the owner's own

static void drop_grant(struct record *r, uint64_t fence)
{
	if (r->fence == fence) {
		r->fence = 0;
		return;
	}
	for (struct grant **g = &r->more; *g; g = &(*g)->next)
		if ((*g)->fence == fence) {
			struct grant *gone = *g;
			*g = gone->next;
			free(gone);
			return;
		}
}

// Granted now, or when the row is durable.
static enum address_status adopted(struct pools *all, const struct request *q, struct record *r,
	uint64_t fence, struct lease *out)
{
	struct pool *p = pool_of_record(all, r);
	lease_out(all, r, fence, true, out);
	p->stats.adopted++;
	if (!r->waiting)
		return ADDRESS_OK;
	if (journal_wait(all, r, fence, q->rq->token))
		return ADDRESS_PENDING;
	drop_grant(r, fence);
	if (!r->fence && !r->more)
		lease_end(all, r);
	return failed(p);
}

// One more holder of a live lease.
static enum address_status share(
	struct pools *all, const struct request *q, struct record *r, struct lease *out)
{
	struct grant *g = malloc(sizeof(*g));
	if (!g)
		return failed(q->pool);
	*g = (struct grant){r->more, new_fence(all, r)};
	r->more = g;
	if (r->state == LEASE_OFFERED)
		lease_enter(all, r, LEASE_OFFERED, QUEUE_OFFERED, q->now_ns);
	return adopted(all, q, r, g->fence, out);
}

// The owner is back for a lingering lease.
static enum address_status revive(
	struct pools *all, const struct request *q, struct record *r, struct lease *out)
{
	lease_enter(all, r, LEASE_OFFERED, QUEUE_OFFERED, q->now_ns);
	owner_move(all, r);
	pool_of_record(all, r)->stats.allocated++;
	r->fence = new_fence(all, r);
	return adopted(all, q, r, r->fence, out);
}

static bool lingers(const struct record *r)
{
	return r->state == LEASE_LINGERING;
}

// The wanted one of the owner's if it is in the state asked for, else `other`.
static struct record *wanted_or(
	const struct pools *all, const struct request *q, bool lingering, struct record *other)
{
	struct record *r = q->rq->want.family ? lease_find(all, &q->rq->want) : NULL;
	bool his = r && owner_is(all, r, (uint16_t)(q->pool - all->pools), q->hash, q->key);
	return his && lingers(r) == lingering ? r : other;
}

// ---- an address that was nobody's

// 1, 0 if there is none, or -ENOMEM.
static int take_reserved(
	struct pools *all, const struct request *q, const char *name, struct place *out)
{
	struct space *s = &q->pool->space;
	size_t i = name ? space_first_of(s, name) : s->reserved_count;
	for (; i < s->reserved_count; i++) {
		const struct reserved *r = &s->reserved[s->by_owner[i]];
		const struct segment *seg = map_find(all, &r->addr);
		if (strcmp(r->owner, name) != 0)
			break;
		if (!seg || lease_find(all, &r->addr))
			continue;
		int rc = space_take_this(s, seg, &r->addr, out);
		return rc ? rc : 1;
	}
	return 0;
}

static int take_wanted(struct pools *all, const struct request *q, struct place *out)
{
	const struct ip_addr *a = &q->rq->want;
	struct space *s = &q->pool->space;
	const struct segment *seg = map_find(all, a);
	if (!seg || &all->pools[seg->pool] != q->pool || !segment_begins(seg, a) ||
		space_excluded(s, a) || space_reserved(s, a) || lease_find(all, a))
		return 0;
	int rc = space_take_this(s, seg, a, out);
	return rc ? rc : 1;
}

enum { DRAWN = 2 }; // neither reserved nor wanted

static int pick(struct pools *all, const struct request *q, struct place *out, bool *reserved)
{
	const struct pool_owner *o = &q->rq->owner;
	int rc = 0;
	if (!q->key->anonymous && q->pool->space.reserved_count) {
		rc = take_reserved(all, q, o->name, out);
		if (rc == 0)
			rc = take_reserved(all, q, o->user, out);
	}
	*reserved = rc == 1;
	if (rc == 0 && q->rq->want.family)
		rc = take_wanted(all, q, out);
	uint16_t shard = q->rq->worker < all->seams.workers ? q->rq->worker : 0;
	if (rc)
		return rc;
	rc = space_take(&q->pool->space, shard, out);
	return rc == 1 ? DRAWN : rc;
}

static enum address_status occupy(
	struct pools *all, const struct request *q, const struct occupation *o, struct lease *out)
{
	struct record *r = lease_occupy(all, o);
	if (!r)
		return failed(q->pool);
	r->fence = new_fence(all, r);
	q->pool->stats.allocated++;
	lease_out(all, r, r->fence, false, out);
	if (all->seams.journal)
		journal_put(all, r, (struct view){0}, q->rq->token);
	return r->waiting ? ADDRESS_PENDING : ADDRESS_OK;
}

static struct occupation offer_of(const struct request *q)
{
	return (struct occupation){
		.pool = q->pool,
		.key = q->key,
		.hash = q->hash,
		.head = q->head,
		.state = LEASE_OFFERED,
		.queue = QUEUE_OFFERED,
		.now_ns = q->now_ns,
	};
}

static enum address_status allocate(struct pools *all, const struct request *q, struct lease *out)
{
	struct occupation o = offer_of(q);
	struct pool *p = q->pool;
	int rc = pick(all, q, &o.place, &o.reserved);
	if (rc == 0) {
		p->stats.exhausted++;
		return ADDRESS_EXHAUSTED;
	}
	if (rc < 0)
		return failed(p);
	p->stats.borrowed += rc == DRAWN && o.place.shard != q->rq->worker;
	return occupy(all, q, &o, out);
}

// ---- an address that AAA has decided

static enum address_status refused(struct pool *p)
{
	p->stats.refused++;
	return ADDRESS_EXHAUSTED;
}

static enum address_status allocate_exact(
	struct pools *all, const struct request *q, const struct segment *seg, struct lease *out)
{
	struct occupation o = offer_of(q);
	const struct ip_addr *a = &q->rq->want;
	struct space *s = &q->pool->space;
	const struct reserved *r = seg ? space_reserved(s, a) : NULL;
	if (seg ? !segment_begins(seg, a) : !map_clear(all, q->pool, a) || prefix_covers(all, a))
		return refused(q->pool);
	if (r && (q->key->anonymous || !reserved_for(r, q->key)))
		return refused(q->pool);
	o.reserved = r;
	o.outside = !seg || space_excluded(s, a);
	o.origin = LEASE_OF_AAA;
	o.place = (struct place){NULL, space_shard_of(s, a), *a};
	if (seg && space_take_this(s, seg, a, &o.place))
		return failed(q->pool);
	return occupy(all, q, &o, out);
}

static enum address_status acquire_exact(
	struct pools *all, const struct request *q, const struct segment *seg, struct lease *out)
{
	struct record *r = lease_find(all, &q->rq->want);
	// A network of another pool's is not the address that was asked for.
	if (seg && seg->shift != pool_of(all, q->rq->pool)->space.shift)
		return refused(q->pool);
	if (!r)
		return allocate_exact(all, q, seg, out);
	uint16_t pool = (uint16_t)(q->pool - all->pools);
	if (q->key->anonymous || !owner_is(all, r, pool, q->hash, q->key))
		return refused(q->pool);
	if (lingers(r))
		return revive(all, q, r, out);
	return q->rq->adopt ? share(all, q, r, out) : refused(q->pool);
}

// ---- the source

static enum address_status acquire(void *ctx, const struct address_request *rq, struct lease *out)
{
	struct pools *all = ctx;
	struct owner_key key;
	struct request q = {.rq = rq, .pool = pool_of(all, rq->pool), .key = &key};
	const struct segment *seg = rq->exact ? map_find(all, &rq->want) : NULL;
	if (!q.pool)
		return ADDRESS_FAILED;
	if (seg)
		q.pool = &all->pools[seg->pool];
	if (!owner_key_of(&rq->owner, &key))
		return failed(q.pool);
	uint16_t pool = q.pool->space.pool;
	if (!key.anonymous) {
		q.hash = owner_hash(all, pool, &key);
		itab_prefetch(&all->owners, q.hash);
	}
	q.now_ns = pools_now(all);
	pool_expire(all, q.pool, q.now_ns, EXPIRE_AT_ONCE);
	q.head = key.anonymous ? NULL : owner_find(all, pool, q.hash, &key);
	if (rq->exact)
		return acquire_exact(all, &q, seg, out);
	if (q.head) {
		struct record *tail = record_at(&all->records, q.head->prev_owned);
		if (rq->adopt && !lingers(q.head))
			return share(all, &q, wanted_or(all, &q, false, q.head), out);
		if (lingers(tail))
			return revive(all, &q, wanted_or(all, &q, true, tail), out);
	}
	return q.pool->from_giver ? giver_ask(all, &q) : allocate(all, &q, out);
}

// A further grant, or one whose record was moved.
static struct record *held_elsewhere(struct pools *all, const struct lease *l)
{
	struct record *r = l->fence ? lease_find(all, &l->addr) : NULL;
	if (r && r->fence == l->fence)
		return r;
	for (const struct grant *g = r ? r->more : NULL; g; g = g->next)
		if (g->fence == l->fence)
			return r;
	struct pool *p = pool_of(all, l->pool);
	if (p)
		p->stats.stale++;
	return NULL;
}

// The lease that this grant still holds, or NULL.
static struct record *held(struct pools *all, const struct lease *l)
{
	struct record *r = record_if(&all->records, l->fence & ((1u << INDEX_BITS) - 1));
	if (r && r->used && r->fence == l->fence && l->fence)
		return r;
	return held_elsewhere(all, l);
}

void grant_end(struct pools *all, struct record *r, uint64_t fence)
{
	drop_grant(r, fence);
	if (!r->fence && !r->more)
		lease_end(all, r);
}

static bool renew(void *ctx, const struct lease *l, uint64_t session)
{
	struct pools *all = ctx;
	struct record *r = held(all, l);
	if (!r)
		return false;
	if (r->revoked) {
		grant_end(all, r, l->fence);
		return false;
	}
	if (r->state == LEASE_OFFERED) {
		// Since when is for people: the time of the latest acquire or tick is near enough.
		lease_activate(all, r, all->now_ns);
		r->was_active = true;
	}
	r->session = session;
	return true;
}

static void release(void *ctx, const struct lease *l)
{
	struct record *r = held(ctx, l);
	if (r)
		grant_end(ctx, r, l->fence);
}

void pools_source(struct pools *p, struct address_source *out)
{
	*out = (struct address_source){
		.ctx = p, .acquire = acquire, .renew = renew, .release = release};
	p->source = out;
}
