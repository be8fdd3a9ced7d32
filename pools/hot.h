// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What each allocation and each release goes through, to be compiled into one function of each: a miss in the
// owners' table or on a record takes as long as some hundred instructions, and is hidden as far as the
// processor sees the next one before these are done. Private to pools/.
#pragma once

#include "base/siphash.h"
#include "pools/lease.h"

#define HOT static inline __attribute__((always_inline))

// ---- queues by time

HOT void leave_queue(struct pools *all, struct pool *p, struct record *r)
{
	if (r->queue <= QUEUE_RELEASED)
		return;
	queue_remove(&all->records, &p->queues[r->queue], r);
	r->queue = QUEUE_NONE;
}

// The first of a queue is the next that ends. The record says which one already.
HOT void join_queue(struct pools *all, struct pool *p, struct record *r, enum record_queue q)
{
	queue_push(&all->records, &p->queues[q], r);
	if (p->queues[q].count == 1) {
		uint64_t until = lease_until_ns(all, r);
		p->due_ns = until < p->due_ns ? until : p->due_ns;
	}
}

HOT void count_begun(struct pool *p, const struct record *r)
{
	bool live = !r->outside && r->state <= LEASE_ACTIVE;
	++*(live ? &p->stats.in_use : lease_counter(p, r));
	if (p->stats.in_use > p->stats.high_water)
		p->stats.high_water = p->stats.in_use;
}

// ---- owners

// Into the ring of this head, NULL: a new one (after itab_reserve()).
HOT void join_owner(struct pools *all, struct record *head, struct record *r)
{
	if (head) {
		owner_join(all, head, r);
		return;
	}
	uint32_t index = record_index(&all->records, r);
	r->next_owned = r->prev_owned = index;
	r->head = true;
	itab_insert(&all->owners, r->hash, index);
}

HOT void leave_owner(struct pools *all, struct record *r)
{
	uint32_t index = record_index(&all->records, r);
	if (r->anonymous || r->revoked)
		return;
	if (r->next_owned != index) {
		owner_leave(all, r);
		return;
	}
	struct left *l = &all->left[all->left_at++ % LEFT_OWNERS];
	if (l->index)
		itab_remove(&all->owners, l->hash, l->index);
	*l = (struct left){r->hash, index};
	itab_prefetch(&all->owners, r->hash);
	r->head = false;
}

// Of user and identity where they stand: to read what was put together just now would have to wait until it
// is written, and that for all writes before it.
HOT uint32_t hash_owner(const struct pools *all, uint16_t pool, const struct owner_key *key)
{
	uint64_t h = pool * 0x9e3779b97f4a7c15ull;
	if (key->user.len)
		h += sip(all->records.key, key->user.p, key->user.len, 1, 3);
	if (key->identity.len)
		h = h * 0xd6e8feb86659fd93ull +
		    siphash13(all->records.key, key->identity.p, key->identity.len);
	return (uint32_t)(h ^ h >> 32);
}

// ---- leases

HOT struct record *occupy_place(struct pools *all, const struct occupation *o)
{
	struct records *t = &all->records;
	struct record *r = o->place->r ? o->place->r : loose_new(t, &o->place->addr);
	bool owned = !o->key->anonymous;
	if (!r || (owned && !o->head && itab_reserve(&all->owners)) || ident_set(t, r, o->key)) {
		lease_undo(all, o->pool, r, o->place->shard, !o->reserved && !o->outside);
		return NULL;
	}
	struct block *b = block_of(t, r);
	b->used = true;
	// As a whole: one field after the other would be a chain of reads and writes of the same bytes.
	*r = (struct record){
		.since_ns = o->now_ns,
		.hash = o->hash,
		.pool = o->pool->space.pool,
		.shard = o->place->shard,
		.prefix_len =
			b->addrs ? (uint8_t)(ip_bits(o->place->addr.family) - o->pool->space.shift)
				 : b->prefix_len,
		.queue = (unsigned)o->queue & 7u,
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
	count_begun(o->pool, r);
	join_queue(all, o->pool, r, o->queue);
	if (owned)
		join_owner(all, o->head, r);
	return r;
}

HOT void free_record(struct pools *all, struct pool *p, struct record *r)
{
	if (__builtin_expect(all->records.settling, false))
		p = lease_settle(all, r);
	bool plain = !record_rare(r) && !r->more && r->state == LEASE_ACTIVE;
	leave_queue(all, p, r);
	leave_owner(all, r);
	if (!plain) {
		lease_free_rest(all, p, r);
		return;
	}
	p->stats.in_use--;
	*r = (struct record){.pool = r->pool, .shard = r->shard};
	space_give_back(&p->space, r);
}

// The last reference is gone.
HOT void end_record(struct pools *all, struct record *r)
{
	struct pool *p = pool_of_record(all, r);
	r->session = 0;
	p->stats.released++;
	bool stays = r->anonymous ? p->cfg->quarantine_s : p->cfg->linger_s | p->cfg->quarantine_s;
	if (r->lost || (stays && r->was_active && !r->revoked))
		lease_keep(all, p, r);
	else
		free_record(all, p, r);
}
