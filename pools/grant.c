// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The address source in memory: who is given what, and until when.
#include "pools/hot.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

static enum address_status failed(struct pool *p)
{
	p->stats.failed++;
	return ADDRESS_FAILED;
}

HOT void put_lease(const struct pools *all, const struct record *r, uint64_t fence, bool adopted,
	struct lease *out)
{
	out->pool = all->pools[r->pool].cfg;
	record_addr_put(&all->records, r, &out->addr);
	out->prefix_len = r->prefix_len;
	out->fence = fence;
	out->worker = r->shard;
	out->adopted = adopted;
}

void lease_out(const struct pools *all, const struct record *r, uint64_t fence, bool adopted,
	struct lease *out)
{
	put_lease(all, r, fence, adopted, out);
}

// ---- the owner's own

static void drop_more(struct record *r, uint64_t fence)
{
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
	grant_end(all, r, fence);
	return failed(p);
}

#define SHARED_MAX 64u // grants of one lease: who ends one finds it in a list

static bool shared_by_all(const struct record *r)
{
	const struct grant *g = r->more;
	unsigned n = 1;
	for (; g && n < SHARED_MAX; g = g->next)
		n++;
	return n == SHARED_MAX;
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

HOT int pick(struct pools *all, const struct request *q, struct place *out, bool *reserved)
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

HOT enum address_status occupy(
	struct pools *all, const struct request *q, const struct occupation *o, struct lease *out)
{
	struct record *r = occupy_place(all, o);
	if (!r)
		return failed(q->pool);
	r->fence = new_fence(all, r);
	q->pool->stats.allocated++;
	put_lease(all, r, r->fence, false, out);
	if (all->seams.journal)
		journal_put(all, r, (struct view){0}, q->rq->token);
	return r->waiting ? ADDRESS_PENDING : ADDRESS_OK;
}

HOT struct occupation offer_of(const struct request *q)
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

HOT enum address_status allocate(struct pools *all, const struct request *q, struct lease *out)
{
	struct pool *p = q->pool;
	struct place at;
	bool reserved;
	int rc = pick(all, q, &at, &reserved);
	if (rc == 0)
		return ADDRESS_EXHAUSTED;
	if (rc < 0)
		return failed(p);
	p->stats.borrowed += rc == DRAWN && at.shard != q->rq->worker;
	struct occupation o = offer_of(q);
	o.place = &at;
	o.reserved = reserved;
	return occupy(all, q, &o, out);
}

// Many may be due that free nothing by their end: offers that linger then, reserved addresses, those outside
// the ranges. Nobody is refused for these. His own may be among them.
static enum address_status allocate_late(
	struct pools *all, const struct request *q, struct lease *out)
{
	struct request again = *q;
	enum address_status s = ADDRESS_EXHAUSTED;
	for (unsigned left = EXPIRE_PER_TICK; s == ADDRESS_EXHAUSTED && left;
		left -= EXPIRE_AT_ONCE) {
		if (pool_expire(all, q->pool, q->now_ns, EXPIRE_AT_ONCE) == 0 &&
			!space_undecided(&q->pool->space) && !reload_brings_back(all, q->pool))
			break;
		if (!q->key->anonymous)
			again.head = owner_find(all, q->pool->space.pool, q->hash, q->key);
		struct record *his =
			again.head ? record_at(&all->records, again.head->prev_owned) : NULL;
		s = his && lingers(his) ? revive(all, &again, his, out)
					: allocate(all, &again, out);
	}
	q->pool->stats.exhausted += s == ADDRESS_EXHAUSTED;
	return s;
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
	if (seg ? !segment_begins(seg, a)
		: !map_clear(all, q->pool, a) || prefix_covers(all, a) ||
				prefix_holds(all, q->pool, a))
		return refused(q->pool);
	if (r && (q->key->anonymous || !reserved_for(r, q->key)))
		return refused(q->pool);
	o.reserved = r;
	o.outside = !seg || space_excluded(s, a);
	o.origin = LEASE_OF_AAA;
	struct place at = {NULL, space_shard_of(s, a), *a};
	o.place = &at;
	if (seg && space_take_this(s, seg, a, &at))
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
	if (!q->rq->adopt || shared_by_all(r))
		return refused(q->pool);
	return share(all, q, r, out);
}

// ---- the source

// False if it does not fit.
HOT bool owner_key_of(const struct pool_owner *o, struct owner_key *key)
{
	size_t user = o->user ? strlen(o->user) : 0;
	const char *name = o->name ? o->name : o->user ? o->user : "";
	if (user > POOL_OWNER_MAX || o->identity.len > POOL_OWNER_MAX - user)
		return false;
	*key = (struct owner_key){.anonymous = owner_anonymous(o)};
	if (!key->anonymous) {
		uint16_t first = o->user ? (uint16_t)(user + 1) : 0;
		key->head = htobe16(first);
		key->head_len = sizeof(key->head);
		key->user = (struct view){(const uint8_t *)o->user, user};
		key->identity = o->identity;
	}
	key->len = (uint16_t)(key->head_len + key->user.len + key->identity.len);
	bool is_user = name == o->user;
	key->name = (struct view){
		(const uint8_t *)name, is_user ? user : strnlen(name, POOL_OWNER_MAX)};
	key->name_at = is_user ? key->head_len : owner_name_at(key);
	return true;
}

HOT enum address_status acquire_any(struct pools *all, const struct request *q, struct lease *out)
{
	if (q->head) {
		struct record *tail = record_at(&all->records, q->head->prev_owned);
		struct record *live = q->rq->adopt && !lingers(q->head)
					      ? wanted_or(all, q, false, q->head)
					      : NULL;
		if (live && !shared_by_all(live))
			return share(all, q, live, out);
		if (lingers(tail))
			return revive(all, q, wanted_or(all, q, true, tail), out);
	}
	if (q->pool->from_giver)
		return giver_ask(all, q);
	enum address_status s = allocate(all, q, out);
	return s == ADDRESS_EXHAUSTED ? allocate_late(all, q, out) : s;
}

// It may be due and not have had its turn yet.
static void expire_wanted(struct pools *all, const struct address_request *rq, uint64_t now_ns)
{
	struct record *r = lease_find(all, &rq->want);
	if (r)
		(void)lease_expire(all, r, now_ns);
}

static enum address_status acquire(void *ctx, const struct address_request *rq, struct lease *out)
{
	struct pools *all = ctx;
	struct owner_key key;
	uint64_t now_ns = pools_now(all);
	struct request q = {
		.rq = rq, .pool = pool_of(all, rq->pool), .key = &key, .now_ns = now_ns};
	const struct segment *seg = rq->exact ? map_find(all, &rq->want) : NULL;
	if (!q.pool)
		return ADDRESS_FAILED;
	if (seg)
		q.pool = &all->pools[seg->pool];
	if (!owner_key_of(&rq->owner, &key))
		return failed(q.pool);
	if (!key.anonymous) {
		q.hash = hash_owner(all, q.pool->space.pool, &key);
		itab_prefetch(&all->owners, q.hash);
	}
	pool_expire(all, q.pool, now_ns, EXPIRE_AT_ONCE);
	if (rq->exact)
		expire_wanted(all, rq, now_ns);
	if (!key.anonymous)
		q.head = owner_find(all, q.pool->space.pool, q.hash, &key);
	return rq->exact ? acquire_exact(all, &q, seg, out) : acquire_any(all, &q, out);
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
HOT struct record *held(struct pools *all, const struct lease *l)
{
	struct record *r = record_if(&all->records, fence_index(l->fence));
	if (r && l->fence && r->fence == l->fence)
		return r;
	return held_elsewhere(all, l);
}

HOT void end_grant(struct pools *all, struct record *r, uint64_t fence)
{
	if (r->fence == fence)
		r->fence = 0;
	else
		drop_more(r, fence);
	if (!r->fence && !r->more)
		end_record(all, r);
}

void grant_end(struct pools *all, struct record *r, uint64_t fence)
{
	end_grant(all, r, fence);
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
		leave_queue(all, pool_of_record(all, r), r); // what counts it stays
		r->state = LEASE_ACTIVE;
		r->was_active = true;
		// For people: the time of the latest acquire or tick is near enough.
		r->since_ns = all->now_ns;
	}
	r->session = session;
	return true;
}

static void release(void *ctx, const struct lease *l)
{
	struct record *r = held(ctx, l);
	if (r)
		end_grant(ctx, r, l->fence);
}

static void expect_release(void *ctx, const struct lease *l)
{
	const struct pools *all = ctx;
	const struct record *r = record_if(&all->records, fence_index(l->fence));
	if (r)
		slot_prefetch(r);
}

void pools_source(struct pools *p, struct address_source *out)
{
	*out = (struct address_source){
		.ctx = p,
		.acquire = acquire,
		.renew = renew,
		.release = release,
		.expect_release = expect_release,
	};
	p->source = out;
}
