// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Another configuration under leases that live. First all that needs memory or can be refused, beside
// what is there; then the change, which cannot fail. Blocks whose addresses stay what they were are
// taken over as they are, so that a pool costs what changes in it. So are those that no range has any longer:
// their leases stay in their places, and so they do when a range has them again. What they say of themselves is
// looked at later, some at a time (reload_steps.c), or when one ends. The same goes for loose records, unless a range
// has grown.
#include "pools/reload_parts.h"

#include <errno.h>
#include <stdlib.h>

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

// A block that no range had comes back as it is, if all that it had comes with it. Nothing moves, so that
// nobody can get what somebody has; what else there is of its addresses is known when it is settled, and given to
// nobody before but who asks for the very one. Loose leases would have to move into it.
static void return_block(struct reload *rl, struct block *b)
{
	struct space *new = &rl->pools[b->pool].space;
	u128 lo = b->base + ((u128)b->first << b->shift);
	u128 last = b->base + (((u128)b->last + 1) << b->shift) - 1;
	struct ip_addr first = addr_from(b->family, lo);
	const struct segment *seg = new_segment(rl, &first);
	if (!seg || seg->sparse || seg->pool != b->pool || seg->shift != b->shift ||
		last > seg->last || !segment_begins(seg, &first))
		return;
	uint32_t to = seg->first_block + (uint32_t)((lo - seg->base) >> seg->shift >> 12);
	u128 end = b->base + (((u128)BITS_SIZE << b->shift) - 1);
	if (new->blocks[to] || loose_near(&rl->all->records, b->family, b->base, end))
		return;
	memset(b->fresh, 0, new->shard_count * sizeof(*b->fresh));
	new->blocks[to] = b;
	b->stays = b->returns = true;
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
		struct record *r = &b->slots[i].record;
		if (r->used)
			rc = plan_lease(rl, r);
		else if (r->queue == QUEUE_RELEASED)
			rc = plan_released(rl, r);
	}
	return rc;
}

// No new range has an address of it.
static bool leaves(const struct reload *rl, const struct block *b)
{
	struct ip_addr first = addr_from(b->family, b->base);
	unsigned shift = b->shift + 12u;
	return shift < 128 && !map_touches(rl->map, rl->map_count, &first, shift);
}

// Whether all of a new range was in old ones of its kind.
static bool was_inside(const struct pools *all, const struct segment *seg)
{
	u128 v = seg->lo;
	do {
		struct ip_addr a = addr_from(seg->family, v);
		const struct segment *old = map_search(all->map, all->map_count, &a);
		if (!old || old->sparse != seg->sparse || old->shift != seg->shift)
			return false;
		v = old->last + 1;
	} while (v && v <= seg->last);
	return true;
}

// A prefix reaches further than its first address. A single one in a sparse range of such has its place already.
static bool near_loose(const struct pools *all, const struct segment *seg)
{
	const uint64_t *units = all->units[seg->family == IP_V6];
	if (units[0] || units[1])
		return true;
	return (!seg->sparse || seg->shift) &&
	       loose_near(&all->records, seg->family, seg->lo, seg->last);
}

// Whether a loose lease may have come into another range.
static bool grows(const struct reload *rl)
{
	for (size_t i = 0; i < rl->map_count; i++)
		if (near_loose(rl->all, rl->map[i]) && !was_inside(rl->all, rl->map[i]))
			return true;
	return false;
}

static int plan_rest(struct reload *rl, struct block *b)
{
	if (b->stays || b->planned || (b->addrs && !rl->grows))
		return 0;
	b->leaves = !b->addrs && leaves(rl, b);
	rl->leave += b->leaves && !b->gone;
	return b->leaves ? 0 : plan_block(rl, b);
}

static int plan(struct reload *rl)
{
	const struct records *t = &rl->all->records;
	uint32_t count = t->count; // blocks that are made meanwhile need no plan
	int rc = 0;
	rl->grows = grows(rl);
	for (uint32_t n = 1; n < count; n++) {
		struct block *b = t->blocks[n];
		if (b && !b->addrs && !b->gone)
			adopt_block(rl, &rl->all->pools[b->pool].space, b);
	}
	for (uint32_t n = 1; n < count; n++)
		if (t->blocks[n] && t->blocks[n]->gone)
			return_block(rl, t->blocks[n]);
	for (uint32_t n = 1; rc == 0 && n < count; n++)
		if (t->blocks[n])
			rc = plan_rest(rl, t->blocks[n]);
	return rc;
}

// ---- the change

// All that names it names its new place.
static void relink(struct pools *all, const struct record *old, struct record *r)
{
	struct records *t = &all->records;
	uint32_t from = record_index(t, old), to = record_index(t, r);
	if (r->queue != QUEUE_NONE) {
		struct queue *q = reload_queue_of(all, r);
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
	*ident_at(new) = *ident_at(old);
	*ident_at(old) = (struct ident){0};
	block_of(t, new)->used |= new->used;
	relink(all, old, new);
	if (old->loose)
		loose_free(t, old);
	else
		*old = (struct record){0};
}

static void drop_released(struct pools *all, const struct block *b)
{
	for (uint32_t i = 0; i < BITS_SIZE; i++)
		if (b->slots[i].record.queue == QUEUE_RELEASED)
			queue_remove(&all->records, reload_queue_of(all, &b->slots[i].record),
				&b->slots[i].record);
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

// What is in the old spaces and in no new one has nothing left, unless it stays where it is.
static void free_old_blocks(const struct reload *rl, size_t i)
{
	const struct space *old = &rl->pools[i].space;
	const struct space *new = &rl->all->pools[i].space;
	for (uint32_t k = 0; k < old->block_count; k++) {
		struct block *b = old->blocks[k];
		if (!b || b->gone || (b->ordinal < new->block_count &&new->blocks[b->ordinal] == b))
			continue;
		drop_released(rl->all, b);
		block_free(&rl->all->records, b);
	}
}

static void leave_block(struct records *t, struct block *b)
{
	b->unsettled = b->leaves || b->returns || b->addrs;
	if (b->returns) {
		gone_forget(t, b);
	} else if (b->leaves && !b->gone) {
		gone_add(t, b);
	} else if (b->gone && !b->leaves) {
		gone_forget(t, b); // all that it had has moved
		block_free(t, b);
	}
	b->leaves = false;
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
			reload_rehome(rl, rl->moves[i].to);
	rl->blocks = all->records.count;
	for (uint32_t n = 1; n < rl->blocks; n++)
		if (all->records.blocks[n])
			leave_block(&all->records, all->records.blocks[n]);
	all->records.settling = true;
	for (size_t i = 0; i < all->count; i++) {
		free_old_blocks(rl, i);
		count_reserved(all, &all->pools[i]);
	}
}

static void abandon(struct reload *rl)
{
	struct records *t = &rl->all->records;
	for (uint32_t n = 1; n < t->count; n++)
		t->heads[n].leaves = false;
	for (size_t i = 0; i < rl->count; i++)
		if (rl->moves[i].to->loose)
			loose_free(t, rl->moves[i].to);
	for (size_t i = 0; rl->pools && i < rl->all->count; i++) {
		struct space *s = &rl->pools[i].space;
		for (uint32_t k = 0; s->blocks && k < s->block_count; k++) {
			struct block *b = s->blocks[k];
			if (b && b->stays)
				b->stays = b->returns = false;
			else if (b)
				block_free(t, b);
		}
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
	if (rc == 0)
		rc = itab_reserve_all(&all->records.by_base, rl->leave);
	// An owner whose leases part needs one more head for each of them.
	return rc ? rc : itab_reserve_all(&all->owners, rl->count);
}

// False: no memory.
static bool finish(struct pools *all)
{
	for (uint32_t at = 0; pools_reload_goes_on(all); at = all->reload->at)
		if (all->reload->at == at)
			return false;
	return true;
}

int pools_reload(struct pools *all, const struct cfg *c)
{
	if (!same_pools(all, c))
		return -EINVAL;
	struct reload *rl = finish(all) ? calloc(1, sizeof(*rl)) : NULL;
	if (!rl)
		return -ENOMEM;
	*rl = (struct reload){.all = all, .cfg = c};
	owner_forget_all(all);
	int rc = prepare(rl);
	if (rc) {
		abandon(rl);
		reload_free(rl);
		return rc;
	}
	commit(rl);
	free(rl->moves);
	rl->moves = NULL;
	all->reload = rl;
	return 0;
}
