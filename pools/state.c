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
	uint64_t *counter = counter_of(p, r);
	*counter += (uint64_t)(int64_t)n;
	if (r->left)
		p->stats.left += (uint64_t)(int64_t)n;
	if (counter == &p->stats.in_use && *counter > p->stats.high_water)
		p->stats.high_water = *counter;
}

static void leave_queue(struct pools *all, uint32_t index)
{
	struct record *r = record_at(&all->records, index);
	if (r->queue > QUEUE_RELEASED)
		queue_remove(&all->records, &pool_of_record(all, r)->queues[r->queue], index);
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
static void join_queue(struct pools *all, uint32_t index, enum record_queue q)
{
	struct record *r = record_at(&all->records, index);
	struct pool *p = pool_of_record(all, r);
	r->queue = (unsigned)q & 7u;
	if (q == QUEUE_NONE)
		return;
	queue_push(&all->records, &p->queues[q], index);
	if (p->queues[q].first == index) {
		uint64_t until = lease_until_ns(all, r);
		p->due_ns = until < p->due_ns ? until : p->due_ns;
	}
}

void lease_begin(struct pools *all, uint32_t index, enum lease_state state, enum record_queue q,
	uint64_t now_ns)
{
	struct record *r = record_at(&all->records, index);
	r->used = true;
	r->state = (unsigned)state & 3u;
	r->since_ns = now_ns;
	block_at(&all->records, index)->used++;
	lease_count(pool_of_record(all, r), r, 1);
	join_queue(all, index, q);
}

void lease_enter(struct pools *all, uint32_t index, enum lease_state state, enum record_queue q,
	uint64_t now_ns)
{
	struct record *r = record_at(&all->records, index);
	struct pool *p = pool_of_record(all, r);
	leave_queue(all, index);
	lease_count(p, r, -1);
	r->state = (unsigned)state & 3u;
	r->since_ns = now_ns;
	lease_count(p, r, 1);
	join_queue(all, index, q);
}

void lease_activate(struct pools *all, uint32_t index, uint64_t now_ns)
{
	struct record *r = record_at(&all->records, index);
	leave_queue(all, index);
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

static void leave_owner(struct pools *all, uint32_t index)
{
	struct record *r = record_at(&all->records, index);
	if (!r->anonymous && !r->revoked)
		owner_leave(all, index);
}

// The journal and the giver, that the address is free.
static void tell_others(struct pools *all, uint32_t index)
{
	const struct record *r = record_at(&all->records, index);
	struct address_giver *giver = all->seams.giver;
	struct ip_addr a = record_addr(&all->records, index);
	if (r->row)
		journal_drop(all, &a);
	if (giver && r->origin == LEASE_OF_DHCP && !r->lost)
		giver->give_back(giver->ctx, &a);
}

void lease_free(struct pools *all, uint32_t index)
{
	struct records *t = &all->records;
	struct record *r = record_at(t, index);
	struct block *b = block_at(t, index);
	struct pool *p = pool_of_record(all, r);
	leave_queue(all, index);
	leave_owner(all, index);
	lease_count(p, r, -1);
	lease_drop_grants(r);
	if (r->row || r->origin == LEASE_OF_DHCP)
		tell_others(all, index);
	ident_clear(t, index);
	b->used--;
	if (r->reserved)
		p->reserved_idle++;
	if (b->addrs) {
		loose_free(t, index, record_tag(t, &b->addrs[index % BITS_SIZE]));
		return;
	}
	bool to_space = !r->reserved && !r->outside;
	*r = (struct record){.pool = r->pool, .shard = r->shard};
	if (to_space)
		space_give_back(&p->space, index);
}

static void quarantine(struct pools *all, uint32_t index, enum record_queue q, uint64_t now_ns)
{
	struct record *r = record_at(&all->records, index);
	leave_owner(all, index);
	r->revoked = true;
	lease_enter(all, index, LEASE_QUARANTINED, q, now_ns);
}

void lease_end(struct pools *all, uint32_t index)
{
	struct record *r = record_at(&all->records, index);
	struct pool *p = pool_of_record(all, r);
	r->session = 0;
	p->stats.released++;
	if (r->lost)
		quarantine(all, index, QUEUE_LOST, pools_now(all));
	else if (r->revoked || !r->was_active)
		lease_free(all, index);
	else if (!r->anonymous && p->cfg->linger_s) {
		lease_enter(all, index, LEASE_LINGERING, QUEUE_LINGERING, pools_now(all));
		owner_move(all, index);
	} else if (p->cfg->quarantine_s)
		quarantine(all, index, QUEUE_QUARANTINE, pools_now(all));
	else
		lease_free(all, index);
}

void lease_revoke(struct pools *all, uint32_t index)
{
	struct record *r = record_at(&all->records, index);
	struct ip_addr a = record_addr(&all->records, index);
	leave_owner(all, index);
	r->revoked = true;
	if (all->source && all->source->revoked)
		all->source->revoked(all->source->user, &a);
}

void lease_lose(struct pools *all, uint32_t index, uint64_t now_ns)
{
	struct record *r = record_at(&all->records, index);
	r->lost = true;
	bool idle = r->state == LEASE_LINGERING || r->state == LEASE_QUARANTINED;
	if (idle && r->queue != QUEUE_LOST)
		quarantine(all, index, QUEUE_LOST, now_ns);
	else if (!idle && !r->revoked)
		lease_revoke(all, index);
}

static bool end_first(struct pools *all, struct pool *p, unsigned q, uint64_t now_ns)
{
	uint32_t index = p->queues[q].first;
	struct record *r = index ? record_at(&all->records, index) : NULL;
	if (!r || lease_until_ns(all, r) > now_ns)
		return false;
	if (q == QUEUE_OFFERED) {
		lease_drop_grants(r);
		p->stats.expired++;
		lease_end(all, index);
	} else {
		lease_free(all, index);
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
		uint32_t first = p->queues[q].first;
		uint64_t until = first ? lease_until_ns(all, record_at(&all->records, first)) : due;
		due = until < due ? until : due;
	}
	p->due_ns = due;
	return n;
}

static uint32_t place_record(struct pools *all, const struct place *at)
{
	return at->index
		       ? at->index
		       : loose_new(&all->records, &at->addr, record_tag(&all->records, &at->addr));
}

// What was taken and cannot be used.
static void undo(struct pools *all, const struct occupation *o, uint32_t index)
{
	struct records *t = &all->records;
	if (o->place.index == NONE && index)
		loose_free(t, index, record_tag(t, &o->place.addr));
	else if (index && !o->reserved && !o->outside)
		space_give_back(&o->pool->space, index);
}

uint32_t lease_occupy(struct pools *all, const struct occupation *o)
{
	struct records *t = &all->records;
	uint32_t index = place_record(all, &o->place);
	bool owned = o->key.len && o->state != LEASE_QUARANTINED;
	if (index) {
		struct record *r = record_at(t, index);
		r->pool = (uint16_t)(o->pool - all->pools);
		r->shard = o->place.shard;
	}
	if (!index || (owned && !o->head && itab_reserve(&all->owners)) ||
		ident_set(t, index, o->key, o->name, o->name_len, o->name_at)) {
		undo(all, o, index);
		return NONE;
	}
	const struct block *b = block_at(t, index);
	struct record *r = &b->records[index % BITS_SIZE];
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
		.anonymous = o->key.len == 0,
		.revoked = o->key.len && !owned,
		.far = r->far,
	};
	if (o->reserved)
		o->pool->reserved_idle--;
	lease_begin(all, index, o->state, o->queue, o->now_ns);
	if (owned)
		owner_join(all, o->head, index);
	return index;
}
