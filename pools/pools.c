// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/lease.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#define EXPIRE_AT_ONCE 16 // leases that one request ends at most; pools_tick() ends all
// With IKEv1 an address may be offered during the login, which takes two minutes at most, and its
// session then has half a minute until the first child SA. The time may be long, as it is only the
// last resort: who asked for an address gives it back on each way on which he fails.
#define OFFER_LEAST_S 300

struct reservation {
	const char *owner;
	struct ip_addr addr;
};

struct pool {
	const struct cfg_pool *cfg;
	struct pools *all;
	struct space space;
	struct htab by_addr;
	struct htab owners;
	struct reservation *reservations; // by owner
	size_t reservation_count;
	struct slab slab;
	struct record_queue offered, lingering;
	struct pool_stats stats;
	uint64_t reserved_idle;
};

struct pools {
	const struct cfg *cfg;
	struct pools_seams seams;
	uint8_t key[16];
	uint64_t fence;
	uint64_t offer_ns;
	struct pool *pools;
	size_t count;
};

// A pool holds addresses of one family.
static uint8_t family_of(const struct pool *p)
{
	return p->cfg->range_count ? p->cfg->ranges[0].lo.family : 0;
}

static struct ip_addr addr_of(const struct pool *p, const struct record *r)
{
	return ip_from_bytes(family_of(p), r->addr);
}

static uint64_t addr_hash(const struct pool *p, const struct ip_addr *a)
{
	return siphash(p->all->key, a->bytes, sizeof(a->bytes));
}

static struct record *find_record(const struct pool *p, const struct ip_addr *a)
{
	if (a->family != family_of(p))
		return NULL;
	uint64_t hash = addr_hash(p, a);
	for (struct htab_node *n = htab_first(&p->by_addr, hash); n; n = htab_next(n)) {
		struct record *r = container_of(n, struct record, by_addr);
		if (memcmp(r->addr, a->bytes, sizeof(r->addr)) == 0)
			return r;
	}
	return NULL;
}

static bool busy(void *ctx, const struct ip_addr *a)
{
	const struct pool *p = ctx;
	return find_record(p, a) || space_reserved(&p->space, a);
}

// ---- states

static void leave_queue(struct pool *p, struct record *r)
{
	if (r->state == LEASE_OFFERED)
		TAILQ_REMOVE(&p->offered, r, queue);
	else if (r->state == LEASE_LINGERING)
		TAILQ_REMOVE(&p->lingering, r, queue);
}

static void enter_state(struct pool *p, struct record *r, enum lease_state state)
{
	r->state = (uint8_t)state;
	r->since_ns = clock_now_ns(p->all->seams.clock);
	if (state == LEASE_OFFERED)
		TAILQ_INSERT_TAIL(&p->offered, r, queue);
	else if (state == LEASE_LINGERING)
		TAILQ_INSERT_TAIL(&p->lingering, r, queue);
}

static void count_live(struct pool *p)
{
	p->stats.in_use++;
	if (p->stats.in_use > p->stats.high_water)
		p->stats.high_water = p->stats.in_use;
}

static void free_record(struct pool *p, struct record *r)
{
	struct ip_addr a = addr_of(p, r);
	leave_queue(p, r);
	LIST_REMOVE(r, of_owner);
	owner_put(&p->owners, r->owner);
	htab_remove(&p->by_addr, &r->by_addr);
	if (r->reserved)
		p->reserved_idle++;
	else
		space_give_back(&p->space, &a);
	slab_put(&p->slab, r);
}

static void drop_grants(struct record *r)
{
	r->fence = 0;
	while (r->more) {
		struct grant *g = r->more;
		r->more = g->next;
		free(g);
	}
}

// The last reference is gone.
static void end_lease(struct pool *p, struct record *r)
{
	p->stats.in_use--;
	p->stats.released++;
	if (!r->was_active || r->owner->anonymous || p->cfg->linger_s == 0) {
		free_record(p, r);
		return;
	}
	leave_queue(p, r);
	LIST_REMOVE(r, of_owner);
	LIST_INSERT_HEAD(&r->owner->lingering, r, of_owner);
	enter_state(p, r, LEASE_LINGERING);
	p->stats.lingering++;
}

static uint64_t until_ns(const struct pool *p, const struct record *r)
{
	if (r->state == LEASE_OFFERED)
		return r->since_ns + p->all->offer_ns;
	if (r->state == LEASE_LINGERING)
		return r->since_ns + p->cfg->linger_s * NS_PER_S;
	return 0;
}

static void expire(struct pool *p, uint64_t now_ns, unsigned most)
{
	struct record *r;
	for (; most && (r = TAILQ_FIRST(&p->offered)) && until_ns(p, r) <= now_ns; most--) {
		drop_grants(r);
		p->stats.expired++;
		end_lease(p, r);
	}
	for (; most && (r = TAILQ_FIRST(&p->lingering)) && until_ns(p, r) <= now_ns; most--) {
		p->stats.lingering--;
		free_record(p, r);
	}
}

// ---- grants

static enum address_status granted(
	struct pool *p, struct record *r, uint64_t fence, bool adopted, struct lease *out)
{
	struct ip_addr a = addr_of(p, r);
	*out = (struct lease){
		.pool = p->cfg,
		.addr = a,
		.prefix_len = ip_bits(a.family),
		.fence = fence,
		.worker = space_shard_of(&p->space, &a),
		.adopted = adopted,
	};
	p->stats.adopted += adopted;
	return ADDRESS_OK;
}

static uint64_t next_fence(const struct pool *p)
{
	return ++p->all->fence;
}

// One more holder of a live lease.
static enum address_status share(struct pool *p, struct record *r, struct lease *out)
{
	struct grant *g = malloc(sizeof(*g));
	if (!g) {
		p->stats.failed++;
		return ADDRESS_FAILED;
	}
	*g = (struct grant){r->more, next_fence(p)};
	r->more = g;
	if (r->state == LEASE_OFFERED) {
		leave_queue(p, r);
		enter_state(p, r, LEASE_OFFERED);
	}
	return granted(p, r, g->fence, true, out);
}

// The owner is back for a lingering lease.
static enum address_status revive(struct pool *p, struct record *r, struct lease *out)
{
	leave_queue(p, r);
	LIST_REMOVE(r, of_owner);
	LIST_INSERT_HEAD(&r->owner->live, r, of_owner);
	enter_state(p, r, LEASE_OFFERED);
	p->stats.lingering--;
	p->stats.allocated++;
	count_live(p);
	r->fence = next_fence(p);
	return granted(p, r, r->fence, true, out);
}

// The wanted one of the owner's, else the latest.
static struct record *one_of(const struct pool *p, const struct record_list *list,
	const struct owner *o, const struct ip_addr *want)
{
	struct record *first = LIST_FIRST(list);
	struct record *r = first && want->family ? find_record(p, want) : NULL;
	bool lives = first && first->state != LEASE_LINGERING;
	if (r && r->owner == o && (r->state != LEASE_LINGERING) == lives)
		return r;
	return first;
}

// ---- a new lease

static size_t first_reservation(const struct pool *p, const char *owner)
{
	size_t lo = 0, hi = p->reservation_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (strcmp(p->reservations[mid].owner, owner) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

// A reserved address of this name that nobody holds.
static bool take_reserved(const struct pool *p, const char *name, struct ip_addr *out)
{
	size_t i = name ? first_reservation(p, name) : p->reservation_count;
	for (; i < p->reservation_count && strcmp(p->reservations[i].owner, name) == 0; i++)
		if (!find_record(p, &p->reservations[i].addr)) {
			*out = p->reservations[i].addr;
			return true;
		}
	return false;
}

static bool may_want(const struct pool *p, const struct ip_addr *a)
{
	return a->family && space_has(&p->space, a) && !space_reserved(&p->space, a) &&
	       !find_record(p, a);
}

// 1, 0 if there is none, or -ENOMEM.
static int pick(
	struct pool *p, const struct address_request *rq, struct ip_addr *out, bool *reserved)
{
	const struct pool_owner *o = &rq->owner;
	*reserved = !owner_anonymous(o) &&
		    (take_reserved(p, o->name, out) || take_reserved(p, o->user, out));
	if (*reserved)
		return 1;
	if (may_want(p, &rq->want)) {
		int rc = space_take_this(&p->space, &rq->want);
		*out = rq->want;
		return rc ? rc : 1;
	}
	uint16_t shard = rq->worker < p->all->seams.workers ? rq->worker : 0;
	return space_take(&p->space, shard, out);
}

static void occupy(struct pool *p, struct record *r, const struct ip_addr *a, bool reserved)
{
	memcpy(r->addr, a->bytes, sizeof(r->addr));
	r->used = true;
	r->reserved = reserved;
	if (reserved)
		p->reserved_idle--;
	htab_insert(&p->by_addr, &r->by_addr, addr_hash(p, a));
	LIST_INSERT_HEAD(&r->owner->live, r, of_owner);
	enter_state(p, r, LEASE_OFFERED);
	p->stats.allocated++;
	count_live(p);
}

static enum address_status allocate(
	struct pool *p, const struct address_request *rq, struct owner *o, struct lease *out)
{
	struct record *r = slab_get(&p->slab);
	struct ip_addr a = {0};
	bool reserved = false;
	int rc = r ? pick(p, rq, &a, &reserved) : -ENOMEM;
	if (rc != 1) {
		if (r)
			slab_put(&p->slab, r);
		owner_put(&p->owners, o);
		p->stats.exhausted += rc == 0;
		p->stats.failed += rc != 0;
		return rc == 0 ? ADDRESS_EXHAUSTED : ADDRESS_FAILED;
	}
	r->owner = o;
	occupy(p, r, &a, reserved);
	r->fence = next_fence(p);
	enum address_status s = granted(p, r, r->fence, false, out);
	p->stats.borrowed += !reserved && out->worker != rq->worker && !ip_eq(&a, &rq->want);
	return s;
}

// The pools stand in the snapshot's order. NULL for a pool of another snapshot.
static struct pool *pool_of(const struct pools *all, const struct cfg_pool *cfg)
{
	uintptr_t offset = (uintptr_t)cfg - (uintptr_t)all->cfg->pools;
	size_t i = offset / sizeof(*cfg);
	return i < all->count && all->pools[i].cfg == cfg ? &all->pools[i] : NULL;
}

static enum address_status acquire(void *ctx, const struct address_request *rq, struct lease *out)
{
	struct pools *all = ctx;
	struct pool *p = pool_of(all, rq->pool);
	struct owner_key key;
	if (!p)
		return ADDRESS_FAILED;
	expire(p, clock_now_ns(all->seams.clock), EXPIRE_AT_ONCE);
	if (!owner_key_of(&rq->owner, &key)) {
		p->stats.failed++;
		return ADDRESS_FAILED;
	}
	uint64_t hash = siphash(all->key, key.bytes, key.len);
	struct owner *o = NULL;
	if (!owner_anonymous(&rq->owner))
		o = owner_find(&p->owners, hash, &key);
	if (o && rq->adopt && !LIST_EMPTY(&o->live))
		return share(p, one_of(p, &o->live, o, &rq->want), out);
	if (o && !LIST_EMPTY(&o->lingering))
		return revive(p, one_of(p, &o->lingering, o, &rq->want), out);
	if (!o)
		o = owner_new(&p->owners, hash, &key, &rq->owner);
	if (!o) {
		p->stats.failed++;
		return ADDRESS_FAILED;
	}
	return allocate(p, rq, o, out);
}

// The lease that this grant still holds, or NULL.
static struct record *held(struct pool *p, const struct lease *l)
{
	struct record *r = p && l->fence ? find_record(p, &l->addr) : NULL;
	if (r && r->fence == l->fence)
		return r;
	for (struct grant *g = r ? r->more : NULL; g; g = g->next)
		if (g->fence == l->fence)
			return r;
	if (p)
		p->stats.stale++;
	return NULL;
}

static bool renew(void *ctx, const struct lease *l, uint64_t session)
{
	(void)session;
	struct pool *p = pool_of(ctx, l->pool);
	struct record *r = held(p, l);
	if (r && r->state == LEASE_OFFERED) {
		leave_queue(p, r);
		enter_state(p, r, LEASE_ACTIVE);
		r->was_active = true;
	}
	return r;
}

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

static void release(void *ctx, const struct lease *l)
{
	struct pool *p = pool_of(ctx, l->pool);
	struct record *r = held(p, l);
	if (!r)
		return;
	drop_grant(r, l->fence);
	if (!r->fence && !r->more)
		end_lease(p, r);
}

// ---- all pools

static int by_owner(const void *a, const void *b)
{
	const struct reservation *x = a, *y = b;
	int c = strcmp(x->owner, y->owner);
	return c ? c : ip_cmp(&x->addr, &y->addr);
}

static int load_reservations(struct pool *p)
{
	p->reservations = calloc(p->cfg->reservation_count + 1, sizeof(*p->reservations));
	if (!p->reservations)
		return -ENOMEM;
	for (size_t i = 0; i < p->cfg->reservation_count; i++) {
		const struct cfg_reservation *r = &p->cfg->reservations[i];
		if (r->owner && space_reserved(&p->space, &r->address))
			p->reservations[p->reservation_count++] =
				(struct reservation){r->owner, r->address};
	}
	qsort(p->reservations, p->reservation_count, sizeof(*p->reservations), by_owner);
	p->reserved_idle = p->reservation_count;
	return 0;
}

static int pool_init(struct pool *p, struct pools *all, const struct cfg_pool *cfg)
{
	*p = (struct pool){.cfg = cfg, .all = all, .stats.name = cfg->name};
	TAILQ_INIT(&p->offered);
	TAILQ_INIT(&p->lingering);
	int rc = space_init(&p->space, cfg, &all->seams);
	if (rc == 0) {
		p->space.busy = busy;
		p->space.ctx = p;
		rc = load_reservations(p);
	}
	if (rc == 0)
		rc = htab_init(&p->by_addr, 64);
	if (rc == 0)
		rc = htab_init(&p->owners, 64);
	return rc;
}

static void pool_fini(struct pool *p)
{
	for (uint32_t i = 0; i < p->slab.used; i++) {
		struct record *r = slab_at(&p->slab, i);
		if (!r->used)
			continue;
		drop_grants(r);
		LIST_REMOVE(r, of_owner);
		owner_put(&p->owners, r->owner);
	}
	slab_fini(&p->slab);
	htab_fini(&p->by_addr);
	htab_fini(&p->owners);
	free(p->reservations);
	space_fini(&p->space);
}

int pools_new(const struct cfg *c, const struct pools_seams *s, struct pools **out)
{
	if (!s->clock || !s->random || s->workers == 0 || (s->workers > 1 && !s->worker_of))
		return -EINVAL;
	struct pools *p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->cfg = c;
	p->seams = *s;
	random_fill(s->random, p->key, sizeof(p->key));
	// No grant ends while its session is being set up.
	p->offer_ns = 2ull * c->main.half_open_timeout_s * NS_PER_S;
	if (p->offer_ns < OFFER_LEAST_S * NS_PER_S)
		p->offer_ns = OFFER_LEAST_S * NS_PER_S;
	p->pools = calloc(c->pool_count + 1, sizeof(*p->pools));
	int rc = p->pools ? 0 : -ENOMEM;
	for (size_t i = 0; rc == 0 && i < c->pool_count; i++) {
		rc = pool_init(&p->pools[i], p, &c->pools[i]);
		p->count++;
	}
	if (rc) {
		pools_free(p);
		return rc;
	}
	*out = p;
	return 0;
}

void pools_free(struct pools *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->count; i++)
		pool_fini(&p->pools[i]);
	free(p->pools);
	secret_wipe(p->key, sizeof(p->key));
	free(p);
}

void pools_source(struct pools *p, struct address_source *out)
{
	*out = (struct address_source){
		.ctx = p, .acquire = acquire, .renew = renew, .release = release};
}

void pools_tick(struct pools *p, uint64_t now_ns)
{
	for (size_t i = 0; i < p->count; i++)
		expire(&p->pools[i], now_ns, UINT_MAX);
}

bool pools_stats(const struct pools *all, size_t i, struct pool_stats *out)
{
	if (i >= all->count)
		return false;
	const struct pool *p = &all->pools[i];
	*out = p->stats;
	out->size = p->space.size;
	out->reserved = p->reserved_idle;
	out->free = out->size == UINT64_MAX
			    ? UINT64_MAX
			    : out->size - out->in_use - out->lingering - out->reserved;
	return true;
}

bool pools_lease_next(const struct pools *all, size_t i, uint64_t *cursor, struct lease_info *out)
{
	if (i >= all->count)
		return false;
	const struct pool *p = &all->pools[i];
	while (*cursor < p->slab.used) {
		const struct record *r = slab_at(&p->slab, (uint32_t)(*cursor)++);
		if (!r->used)
			continue;
		*out = (struct lease_info){
			.addr = addr_of(p, r),
			.prefix_len = ip_bits(family_of(p)),
			.state = r->state,
			.owner = owner_name(r->owner),
			.since_ns = r->since_ns,
			.until_ns = until_ns(p, r),
			.references = r->fence != 0,
		};
		for (const struct grant *g = r->more; g; g = g->next)
			out->references++;
		return true;
	}
	return false;
}
