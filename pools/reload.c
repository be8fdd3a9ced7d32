// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Another configuration under leases that live. First all that needs memory or can be refused, beside
// what is there; then the change, which cannot fail. Blocks whose addresses stay what they were are
// taken over as they are, so that a pool costs what changes in it.
#include "pools/hot.h"

#include <errno.h>
#include <stdlib.h>

// A record, free or not, that will live in another place.
struct move {
	struct record *from, *to;
};

struct reload {
	struct pools *all;
	const struct cfg *cfg;
	struct pool *pools;         // spaces alone
	const struct segment **map; // the new one, and once that is in place the old one
	size_t map_count;
	struct move *moves;
	size_t count, room;
};

static const struct segment *new_segment(const struct reload *rl, const struct ip_addr *a)
{
	return map_search(rl->map, rl->map_count, a);
}

// ---- what stays

// The first and the last address of a block that its segment holds.
static void clip(const struct segment *seg, u128 base, u128 *lo, u128 *hi)
{
	u128 last = base + (((u128)BITS_SIZE << seg->shift) - 1);
	*lo = base > seg->lo ? base : seg->lo;
	*hi = last < seg->last ? last : seg->last;
}

static bool same_blocks(const struct space *old, uint32_t at, const struct space *new, uint32_t to)
{
	const struct segment *x = space_segment_of(old, at), *y = space_segment_of(new, to);
	struct block_plan a, b;
	u128 lo[2], hi[2];
	space_plan(old, at, &a);
	space_plan(new, to, &b);
	clip(x, a.base, &lo[0], &hi[0]);
	clip(y, b.base, &lo[1], &hi[1]);
	return a.base == b.base && x->shift == y->shift && lo[0] == lo[1] && hi[0] == hi[1] &&
	       memcmp(&a.usable, &b.usable, sizeof(a.usable)) == 0 &&
	       memcmp(&a.reserved, &b.reserved, sizeof(a.reserved)) == 0;
}

static void adopt_block(struct reload *rl, const struct space *old, struct block *b)
{
	struct space *new = &rl->pools[b->pool].space;
	const struct segment *x = space_segment_of(old, b->ordinal);
	u128 lo, hi;
	clip(x, b->base, &lo, &hi);
	struct ip_addr first = addr_from(b->family, lo);
	const struct segment *y = new_segment(rl, &first);
	if (!y || y->sparse || y->pool != b->pool || y->shift != b->shift)
		return;
	uint32_t to = y->first_block + (uint32_t)((lo - y->base) >> y->shift >> 12);
	if (!same_blocks(old, b->ordinal, new, to))
		return;
	new->blocks[to] = b;
	b->stays = true;
}

// ---- what moves

static int add_move(struct reload *rl, struct record *from, struct record *to)
{
	if (rl->count == rl->room) {
		size_t room = rl->room ? rl->room * 2 : 256;
		struct move *grown = reallocarray(rl->moves, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		rl->moves = grown;
		rl->room = room;
	}
	rl->moves[rl->count++] = (struct move){from, to};
	return 0;
}

// A lease keeps its prefix length, and its prefix must be a unit of the range that it is in now.
static bool fits(const struct reload *rl, const struct segment *seg, const struct record *r)
{
	struct ip_addr a = record_addr(&rl->all->records, r);
	unsigned shift = ip_bits(a.family) - r->prefix_len;
	if (!seg)
		return !map_touches(rl->map, rl->map_count, &a, shift);
	return segment_begins(seg, &a) && seg->shift == shift;
}

static int plan_lease(struct reload *rl, struct record *r)
{
	struct records *t = &rl->all->records;
	struct ip_addr a = record_addr(t, r);
	const struct segment *seg = new_segment(rl, &a);
	struct place to = {0};
	if (!fits(rl, seg, r))
		return -EINVAL;
	if (seg && space_take_this(&rl->pools[seg->pool].space, seg, &a, &to))
		return -ENOMEM;
	if (!to.r && r->loose)
		return 0; // it stays where it is
	if (!to.r)
		to.r = loose_new(t, &a);
	if (!to.r)
		return -ENOMEM;
	int rc = add_move(rl, r, to.r);
	if (rc && to.r->loose)
		loose_free(t, to.r);
	return rc;
}

// A released address is released still, if its pool has it.
static int plan_released(struct reload *rl, struct record *r)
{
	const struct records *t = &rl->all->records;
	struct ip_addr a = record_addr(t, r);
	const struct segment *seg = new_segment(rl, &a);
	struct place to = {0};
	if (!seg || seg->sparse || seg->pool != r->pool || !segment_begins(seg, &a) ||
		seg->shift != block_of(t, r)->shift)
		return 0;
	struct space *s = &rl->pools[seg->pool].space;
	if (space_excluded(s, &a) || space_reserved(s, &a))
		return 0;
	if (space_take_this(s, seg, &a, &to))
		return -ENOMEM;
	return add_move(rl, r, to.r);
}

static int plan_block(struct reload *rl, const struct block *b)
{
	int rc = 0;
	for (uint32_t i = 0; rc == 0 && i < BITS_SIZE; i++) {
		struct record *r = &b->records[i];
		if (r->used)
			rc = plan_lease(rl, r);
		else if (r->queue == QUEUE_RELEASED)
			rc = plan_released(rl, r);
	}
	return rc;
}

static int plan(struct reload *rl)
{
	const struct records *t = &rl->all->records;
	uint32_t count = t->count; // blocks that are made meanwhile need no plan
	int rc = 0;
	for (uint32_t n = 1; n < count; n++) {
		struct block *b = t->blocks[n];
		if (b && !b->addrs)
			adopt_block(rl, &rl->all->pools[b->pool].space, b);
	}
	for (uint32_t n = 1; rc == 0 && n < count; n++)
		if (t->blocks[n] && !t->blocks[n]->stays && !t->blocks[n]->planned)
			rc = plan_block(rl, t->blocks[n]);
	return rc;
}

// ---- the change

static struct queue *queue_of(struct pools *all, const struct record *r)
{
	struct pool *p = &all->pools[r->pool];
	return r->queue == QUEUE_RELEASED ? &p->space.shards[r->shard].released
					  : &p->queues[r->queue];
}

// All that names it names its new place.
static void relink(struct pools *all, const struct record *old, struct record *r)
{
	struct records *t = &all->records;
	uint32_t from = record_index(t, old), to = record_index(t, r);
	if (r->queue != QUEUE_NONE) {
		struct queue *q = queue_of(all, r);
		*(q->first == from ? &q->first : &record_at(t, r->prev)->next) = to;
		*(q->last == from ? &q->last : &record_at(t, r->next)->prev) = to;
	}
	if (!r->used || r->anonymous || r->revoked)
		return;
	if (r->next_owned == from) {
		r->next_owned = r->prev_owned = to;
	} else {
		record_at(t, r->prev_owned)->next_owned = to;
		record_at(t, r->next_owned)->prev_owned = to;
	}
	if (r->head)
		itab_replace(&all->owners, r->hash, from, to);
}

static void move_record(struct pools *all, struct record *old, struct record *new)
{
	struct records *t = &all->records;
	bool loose = new->loose;
	*new = *old;
	new->loose = loose;
	*ident_at(t, new) = *ident_at(t, old);
	*ident_at(t, old) = (struct ident){0};
	block_of(t, new)->used |= new->used;
	relink(all, old, new);
	if (old->loose)
		loose_free(t, old);
	else
		*old = (struct record){0};
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
		queue_remove(&all->records, queue_of(all, r), r);
		r->since_ns = pools_now(all);
	}
	r->pool = pool;
	if (r->queue != QUEUE_NONE)
		queue_push(&all->records, queue_of(all, r), r);
	if (!owned)
		return;
	owner_key_read(v.key, v.name, &key);
	r->hash = owner_hash(all, pool, &key);
	join_owner(all, owner_find(all, pool, r->hash, &key), r);
}

// What the configuration says of a lease's address now. Its new space is in place already.
static void rehome(const struct reload *rl, struct record *r)
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

static void drop_released(struct pools *all, const struct block *b)
{
	for (uint32_t i = 0; i < BITS_SIZE; i++)
		if (b->records[i].queue == QUEUE_RELEASED)
			queue_remove(&all->records, queue_of(all, &b->records[i]), &b->records[i]);
}

static void take_over_block(struct space *s, uint32_t ordinal)
{
	struct block *b = s->blocks[ordinal];
	b->ordinal = ordinal;
	b->stays = false;
	for (size_t w = 0; w < s->shard_count; w++) {
		if (bits_empty(&b->fresh[w]))
			continue;
		s->shards[w].fresh += bits_count(&b->fresh[w]);
		bits_set(&s->shards[w].blocks[ordinal / BITS_SIZE], ordinal % BITS_SIZE);
	}
}

static void swap_space(struct reload *rl, size_t i)
{
	struct pool *p = &rl->all->pools[i];
	struct space old = p->space;
	p->space = rl->pools[i].space;
	p->space.planned = false;
	rl->pools[i].space = old;
	for (size_t w = 0; w < old.shard_count; w++)
		p->space.shards[w].released = old.shards[w].released;
	for (uint32_t k = 0; k < p->space.block_count; k++) {
		struct block *b = p->space.blocks[k];
		if (b && b->stays)
			take_over_block(&p->space, k);
		else if (b)
			b->planned = false;
	}
}

// What is in the old spaces and in no new one has nothing left.
static void free_old_blocks(struct reload *rl, size_t i)
{
	struct space *old = &rl->pools[i].space;
	const struct space *new = &rl->all->pools[i].space;
	for (uint32_t k = 0; k < old->block_count; k++) {
		struct block *b = old->blocks[k];
		if (!b || (b->ordinal < new->block_count &&new->blocks[b->ordinal] == b))
			continue;
		drop_released(rl->all, b);
		block_free(&rl->all->records, b);
	}
	space_fini(old);
}

static void rehome_loose(const struct reload *rl)
{
	const struct records *t = &rl->all->records;
	for (uint32_t n = 1; n < t->count; n++) {
		const struct block *b = t->blocks[n];
		for (uint32_t i = 0; b && b->addrs && b->used && i < BITS_SIZE; i++)
			if (b->records[i].used)
				rehome(rl, &b->records[i]);
	}
}

static void count_reserved(const struct pools *all, struct pool *p)
{
	p->reserved_idle = 0;
	for (size_t i = 0; i < p->space.reserved_count; i++)
		p->reserved_idle += !lease_find(all, &p->space.reserved[i].addr);
}

static void take_snapshot(struct pools *all, const struct cfg *c)
{
	if (all->snapshots[0] != c->pools) {
		memmove(&all->snapshots[1], &all->snapshots[0],
			(SNAPSHOTS - 1) * sizeof(*all->snapshots));
		all->snapshots[0] = c->pools;
	}
	all->cfg = c;
	all->offer_ns = lease_offer_ns(c);
	for (size_t i = 0; i < all->count; i++) {
		all->pools[i].cfg = &c->pools[i];
		all->pools[i].due_ns = 0;
		all->pools[i].from_giver = all->seams.giver && c->pools[i].from_dhcp.server_count;
	}
}

static void commit(struct reload *rl)
{
	struct pools *all = rl->all;
	const struct segment **old_map = all->map;
	size_t old_count = all->map_count;
	take_snapshot(all, rl->cfg);
	for (size_t i = 0; i < all->count; i++)
		swap_space(rl, i);
	units_remember(all);
	all->map = rl->map; // nothing was found in it yet
	all->map_count = rl->map_count;
	rl->map = old_map;
	rl->map_count = old_count;
	for (size_t i = 0; i < rl->count; i++)
		move_record(all, rl->moves[i].from, rl->moves[i].to);
	for (size_t i = 0; i < rl->count; i++)
		if (rl->moves[i].to->used && !rl->moves[i].to->loose)
			rehome(rl, rl->moves[i].to);
	rehome_loose(rl);
	for (size_t i = 0; i < all->count; i++) {
		free_old_blocks(rl, i);
		count_reserved(all, &all->pools[i]);
	}
}

static void abandon(struct reload *rl)
{
	struct records *t = &rl->all->records;
	for (size_t i = 0; i < rl->count; i++)
		if (rl->moves[i].to->loose)
			loose_free(t, rl->moves[i].to);
	for (size_t i = 0; rl->pools && i < rl->all->count; i++) {
		struct space *s = &rl->pools[i].space;
		for (uint32_t k = 0; s->blocks && k < s->block_count; k++) {
			struct block *b = s->blocks[k];
			if (b && b->stays)
				b->stays = false;
			else if (b)
				block_free(t, b);
		}
		space_fini(s);
	}
}

static bool same_pools(const struct pools *all, const struct cfg *c)
{
	if (c->pool_count != all->count)
		return false;
	for (size_t i = 0; i < all->count; i++)
		if (strcmp(all->pools[i].cfg->name, c->pools[i].name) != 0)
			return false;
	return true;
}

static int prepare(struct reload *rl)
{
	struct pools *all = rl->all;
	int rc = 0;
	rl->pools = calloc(all->count + 1, sizeof(*rl->pools));
	if (!rl->pools)
		return -ENOMEM;
	for (size_t i = 0; rc == 0 && i < all->count; i++) {
		rc = space_init(&rl->pools[i].space, &rl->cfg->pools[i], (uint16_t)i, &all->seams,
			&all->records);
		rl->pools[i].space.planned = true;
	}
	if (rc == 0)
		rc = map_load(rl->pools, all->count, &rl->map, &rl->map_count);
	if (rc == 0)
		rc = plan(rl);
	// An owner whose leases part needs one more head for each of them.
	return rc ? rc : itab_reserve_all(&all->owners, rl->count + all->records.by_addr.count);
}

int pools_reload(struct pools *all, const struct cfg *c)
{
	struct reload rl = {.all = all, .cfg = c};
	if (!same_pools(all, c))
		return -EINVAL;
	owner_forget_all(all);
	int rc = prepare(&rl);
	if (rc)
		abandon(&rl);
	else
		commit(&rl);
	free(rl.moves);
	free(rl.pools);
	free(rl.map);
	return rc;
}
