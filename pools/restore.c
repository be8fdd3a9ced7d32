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

static void key_of_row(const struct lease_row *row, struct owner_key *key)
{
	const char *name = row->name ? row->name : "";
	owner_key_read(row->anonymous ? (struct view){0} : row->owner,
		(struct view){(const uint8_t *)name, strnlen(name, POOL_OWNER_MAX)}, key);
}

static int restore(
	struct pools *all, struct pool *p, const struct lease_row *row, struct record **out)
{
	const struct segment *seg = map_find(all, &row->addr);
	struct owner_key key;
	key_of_row(row, &key);
	bool owned = !key.anonymous;
	uint16_t number = (uint16_t)(p - all->pools);
	struct place at = {NULL, space_shard_of(&p->space, &row->addr), row->addr};
	struct occupation o = {
		.pool = p,
		.place = &at,
		.key = &key,
		.origin = row->origin,
		.state = owned ? LEASE_LINGERING : LEASE_QUARANTINED,
		.queue = owned ? QUEUE_LINGERING : QUEUE_RESTORED,
		.reserved = seg && space_reserved(&p->space, &row->addr),
		.outside = !seg || space_excluded(&p->space, &row->addr),
		.now_ns = pools_now(all),
	};
	if (row->origin == LEASE_OF_DHCP && !p->from_giver)
		o.origin = LEASE_OF_POOL;
	if (seg && space_take_this(&p->space, seg, &row->addr, &at))
		return -ENOMEM;
	if (owned) {
		o.hash = owner_hash(all, number, &key);
		o.head = owner_find(all, number, o.hash, &key);
	}
	struct record *r = lease_occupy(all, &o);
	if (!r)
		return -ENOMEM;
	r->was_active = true;
	*out = r;
	p->stats.restored++;
	return 0;
}

int pools_restore(struct pools *all, const struct lease_row *row)
{
	struct pool *p = pool_for(all, row, map_find(all, &row->addr));
	struct record *r;
	if (lease_find(all, &row->addr))
		return 0;
	if (!p || row->owner.len > POOL_OWNER_MAX + 4 ||
		(p->from_giver && !giver_knows(all, p, row))) {
		forget(all, row);
		return 0;
	}
	int rc = restore(all, p, row, &r);
	if (rc == 0)
		r->row = all->seams.journal != NULL;
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
	const struct reserved *reserved = space_reserved(&p->space, &row->addr);
	struct record *r = lease_find(all, &row->addr);
	struct owner_key key;
	key_of_row(row, &key);
	if (r)
		return owner_is(all, r, seg->pool, owner_hash(all, seg->pool, &key), &key)
			       ? 0
			       : -EEXIST;
	if (reserved && !reserved_for(reserved, &key))
		return -EEXIST;
	if (p->from_giver)
		return -EOPNOTSUPP;
	if (check)
		return 0;
	int rc = restore(all, p, row, &r);
	if (rc == 0)
		journal_rewrite(all, r, row->extra);
	p->stats.memory_only += rc == 0 && all->seams.journal && !r->row;
	return rc;
}
