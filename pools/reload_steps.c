// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a reload leaves to be done afterwards, a block at a time, or when a lease ends.
#include "pools/reload_parts.h"

#include <stdlib.h>

struct queue *reload_queue_of(struct pools *all, const struct record *r)
{
	struct pool *p = &all->pools[r->pool];
	return r->queue == QUEUE_RELEASED ? &p->space.shards[r->shard].released
					  : &p->queues[r->queue];
}

// A queue is in the order of time: who joins another pool's begins anew.
static void change_pool(struct pools *all, struct record *r, uint16_t pool)
{
	bool owned = !r->anonymous && !r->revoked;
	struct ident_view v = ident_of(&all->records, r);
	struct owner_key key;
	if (owned)
		leave_owner(all, r);
	if (r->queue != QUEUE_NONE) {
		queue_remove(&all->records, reload_queue_of(all, r), r);
		r->since_ns = pools_now(all);
	}
	r->pool = pool;
	if (r->queue != QUEUE_NONE) {
		queue_push(&all->records, reload_queue_of(all, r), r);
		all->pools[pool].due_ns = 0;
	}
	if (!owned)
		return;
	owner_key_read(v.key, v.name, &key);
	r->hash = owner_hash(all, pool, &key);
	join_owner(all, owner_find(all, pool, r->hash, &key), r);
}

// What the configuration says of a lease's address now. Its new space is in place already.
void reload_rehome(const struct reload *rl, struct record *r)
{
	struct pools *all = rl->all;
	struct ip_addr a = record_addr(&all->records, r);
	const struct segment *seg = map_find(all, &a);
	lease_count(&all->pools[r->pool], r, -1);
	if (seg && seg->pool != r->pool)
		change_pool(all, r, seg->pool);
	const struct space *s = &all->pools[r->pool].space;
	// Excluded ones were in a range as well.
	r->left = !seg && (r->left || map_search(rl->map, rl->map_count, &a));
	r->reserved = seg && space_reserved(s, &a);
	r->outside = !seg || space_excluded(s, &a);
	lease_count(&all->pools[r->pool], r, 1);
}

// ---- afterwards

#define SETTLE_AT_ONCE 1u // blocks

// False: no memory for its owner's ring in another pool.
static bool settle(struct pools *all, struct record *r)
{
	bool may_change = !block_of(&all->records, r)->gone;
	if (may_change && itab_reserve(&all->owners))
		return false;
	reload_rehome(all->reload, r);
	return true;
}

// To settle one twice changes nothing.
struct pool *lease_settle(struct pools *all, struct record *r)
{
	if (block_of(&all->records, r)->unsettled)
		(void)settle(all, r);
	return pool_of_record(all, r);
}

static void drop_gone(struct pools *all, struct record *r)
{
	queue_remove(&all->records, reload_queue_of(all, r), r);
	*r = (struct record){0};
}

// What of a block that has come back nobody has counts as never used, but for what was released since.
static void settle_free(struct pools *all, struct block *b)
{
	struct space *s = &all->pools[b->pool].space;
	struct block_plan plan;
	space_plan(s, b->ordinal, &plan);
	b->first = plan.first;
	b->last = plan.last;
	for (uint32_t i = 0; i < BITS_SIZE; i++) {
		struct record *r = &b->slots[i].record;
		if (!r->used && r->queue == QUEUE_NONE && bits_test(&plan.usable, i))
			space_hash_unit(s, b, i);
	}
	b->returns = false;
}

// False: once more, later.
static bool settle_block(struct pools *all, struct block *b)
{
	uint32_t leases = 0;
	for (uint32_t i = 0; i < BITS_SIZE; i++) {
		struct record *r = &b->slots[i].record;
		if (b->gone && r->queue == QUEUE_RELEASED)
			drop_gone(all, r);
		if (!r->used)
			continue;
		if (!settle(all, r))
			return false;
		leases++;
	}
	b->unsettled = false;
	if (b->returns)
		settle_free(all, b);
	if (leases || !b->gone)
		return true;
	owner_forget_all(all);
	gone_forget(&all->records, b);
	block_free(&all->records, b);
	return true;
}

void reload_free(struct reload *rl)
{
	for (size_t i = 0; rl->pools && i < rl->all->count; i++)
		space_fini(&rl->pools[i].space);
	free(rl->moves);
	free(rl->pools);
	free(rl->map);
	free(rl);
}

void reload_fini(struct pools *all)
{
	if (all->reload)
		reload_free(all->reload);
	all->reload = NULL;
	all->records.settling = false;
}

bool reload_brings_back(struct pools *all, const struct pool *p)
{
	struct reload *rl = all->reload;
	bool first = true;
	for (uint32_t n = rl ? rl->back : 0; rl && n < rl->blocks; n++) {
		struct block *b = all->records.blocks[n];
		bool returns = b && b->returns;
		if (returns && b->pool == p->space.pool)
			return settle_block(all, b);
		first = first && !returns;
		rl->back += first;
	}
	return false;
}

bool pools_reload_goes_on(struct pools *all)
{
	struct reload *rl = all->reload;
	unsigned n = 0;
	if (!rl)
		return false;
	for (; rl->at < rl->blocks && n < SETTLE_AT_ONCE; rl->at++) {
		struct block *b = all->records.blocks[rl->at];
		if (!b || !b->unsettled)
			continue;
		if (!settle_block(all, b))
			return true;
		n++;
	}
	if (rl->at < rl->blocks)
		return true;
	reload_fini(all);
	return false;
}
