// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a lease goes through, from the address that nobody holds and back to it.
#include "pools/lease.h"

#include <stdlib.h>

static uint64_t *counter_of(struct pool *p, const struct record *r)
{
	if (r->outside)
		return &p->stats.outside;
	if (r->state == LEASE_LINGERING)
		return &p->stats.lingering;
	return r->state == LEASE_QUARANTINED ? &p->stats.quarantined : &p->stats.in_use;
}

void lease_count(struct pool *p, const struct record *r, int n)
{
	*counter_of(p, r) += (uint64_t)(int64_t)n;
	if (p->stats.in_use > p->stats.high_water)
		p->stats.high_water = p->stats.in_use;
}

static void leave_queue(struct pools *all, struct pool *p, struct record *r)
{
	if (r->queue > QUEUE_RELEASED)
		queue_remove(&all->records, &p->queues[r->queue], r);
	r->queue = QUEUE_NONE;
}

static uint64_t seconds_of(const struct pool *p, unsigned queue)
{
	switch (queue) {
	case QUEUE_LINGERING:
	case QUEUE_RESTORED:
		return p->cfg->linger_s;
	case QUEUE_QUARANTINE:
		return p->cfg->quarantine_s;
	default:
		return QUARANTINE_LOST_S;
	}
}

uint64_t lease_until_ns(const struct pools *all, const struct record *r)
{
	if (r->queue == QUEUE_NONE)
		return 0;
	if (r->queue == QUEUE_OFFERED)
		return r->since_ns + all->offer_ns;
	return r->since_ns + seconds_of(&all->pools[r->pool], r->queue) * NS_PER_S;
}

// The first of a queue is the next that ends.
static void join_queue(struct pools *all, struct pool *p, struct record *r, enum record_queue q)
{
	r->queue = (unsigned)q & 7u;
	if (q == QUEUE_NONE)
		return;
	queue_push(&all->records, &p->queues[q], r);
	if (p->queues[q].count == 1) {
		uint64_t until = lease_until_ns(all, r);
		p->due_ns = until < p->due_ns ? until : p->due_ns;
	}
}

void lease_enter(struct pools *all, struct record *r, enum lease_state state, enum record_queue q,
	uint64_t now_ns)
{
	struct pool *p = pool_of_record(all, r);
	leave_queue(all, p, r);
	lease_count(p, r, -1);
	r->state = (unsigned)state & 3u;
	r->since_ns = now_ns;
	lease_count(p, r, 1);
	join_queue(all, p, r, q);
}

void lease_activate(struct pools *all, struct record *r, uint64_t now_ns)
{
	leave_queue(all, pool_of_record(all, r), r);
	r->state = LEASE_ACTIVE;
	r->since_ns = now_ns;
}

void lease_drop_grants(struct record *r)
{
	r->fence = 0;
	while (r->more) {
		struct grant *g = r->more;
		r->more = g->next;
		free(g);
	}
}

static void leave_owner(struct pools *all, struct record *r)
{
	if (!r->anonymous && !r->revoked)
		owner_leave(all, r);
}

// The journal and the giver, that the address is free.
static void tell_others(struct pools *all, const struct record *r)
{
	struct address_giver *giver = all->seams.giver;
	struct ip_addr a = record_addr(&all->records, r);
	if (r->row)
		journal_drop(all, &a);
	if (giver && r->origin == LEASE_OF_DHCP && !r->lost)
		giver->give_back(giver->ctx, &a);
}

static void free_of(struct pools *all, struct pool *p, struct record *r)
{
	leave_queue(all, p, r);
	leave_owner(all, r);
	lease_count(p, r, -1);
	lease_drop_grants(r);
	if (r->row || r->origin == LEASE_OF_DHCP)
		tell_others(all, r);
	if (r->far)
		ident_far_free(&all->records, r);
	if (r->reserved)
		p->reserved_idle++;
	if (r->loose) {
		loose_free(&all->records, r);
		return;
	}
	bool to_space = !r->reserved && !r->outside;
	*r = (struct record){.pool = r->pool, .shard = r->shard};
	if (to_space)
		space_give_back(&p->space, r);
}

void lease_free(struct pools *all, struct record *r)
{
	free_of(all, pool_of_record(all, r), r);
}

static void quarantine(struct pools *all, struct record *r, enum record_queue q, uint64_t now_ns)
{
	leave_owner(all, r);
	r->revoked = true;
	lease_enter(all, r, LEASE_QUARANTINED, q, now_ns);
}

void lease_end(struct pools *all, struct record *r)
{
	struct pool *p = pool_of_record(all, r);
	r->session = 0;
	p->stats.released++;
	if (r->lost)
		quarantine(all, r, QUEUE_LOST, pools_now(all));
	else if (r->revoked || !r->was_active)
		free_of(all, p, r);
	else if (!r->anonymous && p->cfg->linger_s) {
		lease_enter(all, r, LEASE_LINGERING, QUEUE_LINGERING, pools_now(all));
		owner_move(all, r);
	} else if (p->cfg->quarantine_s)
		quarantine(all, r, QUEUE_QUARANTINE, pools_now(all));
	else
		free_of(all, p, r);
}

void lease_revoke(struct pools *all, struct record *r)
{
	struct ip_addr a = record_addr(&all->records, r);
	leave_owner(all, r);
	r->revoked = true;
	if (all->source && all->source->revoked)
		all->source->revoked(all->source->user, &a);
}

void lease_lose(struct pools *all, struct record *r, uint64_t now_ns)
{
	r->lost = true;
	bool idle = r->state == LEASE_LINGERING || r->state == LEASE_QUARANTINED;
	if (idle && r->queue != QUEUE_LOST)
		quarantine(all, r, QUEUE_LOST, now_ns);
	else if (!idle && !r->revoked)
		lease_revoke(all, r);
}

// The next that ends, or NULL.
static struct record *first_of(const struct pools *all, const struct pool *p, unsigned q)
{
	return p->queues[q].count ? record_at(&all->records, p->queues[q].first) : NULL;
}

static bool end_first(struct pools *all, struct pool *p, unsigned q, uint64_t now_ns)
{
	struct record *r = first_of(all, p, q);
	if (!r || lease_until_ns(all, r) > now_ns)
		return false;
	if (q == QUEUE_OFFERED) {
		lease_drop_grants(r);
		p->stats.expired++;
		lease_end(all, r);
	} else {
		lease_free(all, r);
	}
	return true;
}

unsigned pool_expire_due(struct pools *all, struct pool *p, uint64_t now_ns, unsigned most)
{
	unsigned n = 0;
	uint64_t due = UINT64_MAX;
	p->due_ns = UINT64_MAX;
	for (unsigned q = QUEUE_OFFERED; q < QUEUE_COUNT; q++)
		while (n < most && end_first(all, p, q, now_ns))
			n++;
	for (unsigned q = QUEUE_OFFERED; q < QUEUE_COUNT; q++) {
		const struct record *first = first_of(all, p, q);
		uint64_t until = first ? lease_until_ns(all, first) : due;
		due = until < due ? until : due;
	}
	p->due_ns = due;
	return n;
}

static struct record *place_record(struct pools *all, const struct place *at)
{
	return at->r ? at->r
		     : loose_new(&all->records, &at->addr, record_tag(&all->records, &at->addr));
}

// What was taken and cannot be used.
static void undo(struct pools *all, const struct occupation *o, struct record *r)
{
	if (r && r->loose)
		loose_free(&all->records, r);
	else if (r && !o->reserved && !o->outside)
		space_give_back(&o->pool->space, r);
}

struct record *lease_occupy(struct pools *all, const struct occupation *o)
{
	struct records *t = &all->records;
	struct record *r = place_record(all, &o->place);
	bool owned = !o->key->anonymous;
	if (r) {
		r->pool = o->pool->space.pool;
		r->shard = o->place.shard;
	}
	if (!r || (owned && !o->head && itab_reserve(&all->owners)) || ident_set(t, r, o->key)) {
		undo(all, o, r);
		return NULL;
	}
	struct block *b = block_of(t, r);
	b->used = true;
	// As a whole: one field after the other would be a chain of reads and writes of the same bytes.
	*r = (struct record){
		.since_ns = o->now_ns,
		.hash = o->hash,
		.pool = r->pool,
		.shard = r->shard,
		.prefix_len =
			b->addrs ? (uint8_t)(ip_bits(o->place.addr.family) - o->pool->space.shift)
				 : b->prefix_len,
		.state = (unsigned)o->state & 3u,
		.origin = (unsigned)o->origin & 3u,
		.used = true,
		.reserved = o->reserved,
		.outside = o->outside,
		.anonymous = !owned,
		.far = r->far,
		.loose = r->loose,
	};
	if (o->reserved)
		o->pool->reserved_idle--;
	lease_count(o->pool, r, 1);
	join_queue(all, o->pool, r, o->queue);
	if (owned)
		owner_join(all, o->head, r);
	return r;
}
