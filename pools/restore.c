// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases of the last life.
#include "pools/lease.h"

#include <errno.h>

static struct pool *pool_named(struct pools *all, const char *name)
{
	for (size_t i = 0; name && i < all->count; i++)
		if (strcmp(all->pools[i].cfg->name, name) == 0)
			return &all->pools[i];
	return NULL;
}

// Whose address it is now: of the pool that has it in its ranges, or, if AAA chose one outside all
// of them, of the pool that it was given from.
static struct pool *pool_for(
	struct pools *all, const struct lease_row *row, const struct segment *seg)
{
	struct pool *p = seg ? &all->pools[seg->pool] : pool_named(all, row->pool);
	bool fits = p && (seg ? segment_begins(seg, &row->addr)
			      : row->origin == LEASE_OF_AAA && map_clear(all, p, &row->addr));
	return fits && row->prefix_len + p->space.shift == (int)ip_bits(row->addr.family) ? p
											  : NULL;
}

// What the pool gave out by itself before it had a giver, that one may have given to somebody since.
static bool giver_knows(struct pools *all, const struct pool *p, const struct lease_row *row)
{
	struct address_giver *giver = all->seams.giver;
	if (row->origin != LEASE_OF_DHCP)
		return row->origin == LEASE_OF_AAA;
	return giver->resume(giver->ctx, p->cfg, &row->addr, row->owner, row->extra) == 0;
}

static void forget(struct pools *all, const struct lease_row *row)
{
	journal_drop(all, &row->addr);
}

static int restore(struct pools *all, struct pool *p, const struct lease_row *row, uint32_t *index)
{
	const struct segment *seg = map_find(all, &row->addr);
	bool owned = !row->anonymous && row->owner.len;
	uint16_t number = (uint16_t)(p - all->pools);
	struct occupation o = {
		.pool = p,
		.place = {NONE, space_shard_of(&p->space, &row->addr), row->addr},
		.key = owned ? row->owner : (struct view){0},
		.name = row->name ? row->name : "",
		.origin = row->origin,
		.state = owned ? LEASE_LINGERING : LEASE_QUARANTINED,
		.queue = owned ? QUEUE_LINGERING : QUEUE_RESTORED,
		.reserved = seg && space_reserved(&p->space, &row->addr),
		.outside = !seg || space_excluded(&p->space, &row->addr),
		.now_ns = pools_now(all),
	};
	o.name_len = strnlen(o.name, POOL_OWNER_MAX);
	o.name_at = ident_name_at(o.key, o.name, o.name_len);
	if (row->origin == LEASE_OF_DHCP && !p->from_giver)
		o.origin = LEASE_OF_POOL;
	if (seg && space_take_this(&p->space, seg, &row->addr, &o.place))
		return -ENOMEM;
	if (owned) {
		o.hash = owner_key_hash(all, number, o.key);
		o.head = owner_find(all, number, o.hash, o.key);
	}
	*index = lease_occupy(all, &o);
	if (!*index)
		return -ENOMEM;
	record_at(&all->records, *index)->was_active = true;
	p->stats.restored++;
	return 0;
}

int pools_restore(struct pools *all, const struct lease_row *row)
{
	struct pool *p = pool_for(all, row, map_find(all, &row->addr));
	uint32_t index;
	if (lease_find(all, &row->addr))
		return 0;
	if (!p || row->owner.len > POOL_OWNER_MAX + 4 ||
		(p->from_giver && !giver_knows(all, p, row))) {
		forget(all, row);
		return 0;
	}
	int rc = restore(all, p, row, &index);
	if (rc == 0)
		record_at(&all->records, index)->row = all->seams.journal != NULL;
	return rc;
}

int pools_import(struct pools *all, const struct lease_row *row, bool check)
{
	const struct segment *seg = map_find(all, &row->addr);
	struct pool *p = pool_for(all, row, seg);
	if (!seg || !p || space_excluded(&p->space, &row->addr))
		return -ERANGE;
	if (row->anonymous || row->owner.len < 2 || row->owner.len > POOL_OWNER_MAX + 4)
		return -EINVAL;
	const struct reserved *r = space_reserved(&p->space, &row->addr);
	uint32_t index = lease_find(all, &row->addr);
	uint32_t hash = owner_key_hash(all, seg->pool, row->owner);
	if (index)
		return owner_is(all, index, seg->pool, hash, row->owner) ? 0 : -EEXIST;
	if (r && !reserved_for(r, row->owner, row->name))
		return -EEXIST;
	if (p->from_giver)
		return -EOPNOTSUPP;
	if (check)
		return 0;
	int rc = restore(all, p, row, &index);
	if (rc == 0)
		journal_rewrite(all, index, row->extra);
	return rc;
}
