// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What operators see of the leases, and what they end.
#include "pools/lease.h"

bool pools_stats(const struct pools *all, size_t i, struct pool_stats *out)
{
	if (i >= all->count)
		return false;
	const struct pool *p = &all->pools[i];
	*out = p->stats;
	out->name = p->cfg->name;
	out->size = p->space.size;
	out->reserved = p->reserved_idle;
	// More for a moment after a reload: see pools_reload_goes_on().
	uint64_t taken = out->in_use + out->lingering + out->quarantined + out->reserved;
	out->free = out->size == UINT64_MAX ? UINT64_MAX
		    : taken < out->size     ? out->size - taken
					    : 0;
	return true;
}

static void fill_info(const struct pools *all, const struct record *r, struct lease_info *out)
{
	*out = (struct lease_info){
		.addr = record_addr(&all->records, r),
		.prefix_len = (uint8_t)r->prefix_len,
		.state = r->state,
		.origin = r->origin,
		.reserved = r->reserved,
		.anonymous = r->anonymous,
		.owner = lease_text(all, r),
		.key = ident_of(&all->records, r).key,
		.session = r->session,
		.since_ns = r->since_ns,
		.until_ns = lease_until_ns(all, r),
		.references = r->fence != 0,
	};
	for (const struct grant *g = r->more; g; g = g->next)
		out->references++;
}

// The first lease of pool i (-1: of any pool) at *index or behind it, of so many records.
static bool next_lease(const struct pools *all, long pool, uint64_t *index, unsigned *looks)
{
	const struct records *t = &all->records;
	for (; *index / BITS_SIZE < t->count && *looks; (*index)++, (*looks)--) {
		const struct block *b = t->blocks[*index / BITS_SIZE];
		bool none = !b || !b->used || (pool >= 0 && !b->addrs && b->pool != pool);
		if (none) {
			*index |= BITS_SIZE - 1;
			continue;
		}
		const struct record *r = &b->slots[*index % BITS_SIZE].record;
		if (r->used && (pool < 0 || r->pool == pool))
			return true;
	}
	return false;
}

bool pools_lease_look(
	const struct pools *all, size_t i, struct lease_walk *w, struct lease_info *out)
{
	if (i < all->count && next_lease(all, (long)i, &w->cursor, &w->looks)) {
		fill_info(all, record_at(&all->records, (uint32_t)w->cursor), out);
		w->cursor++;
		w->looks -= w->looks > 0;
		return true;
	}
	w->end = i >= all->count || w->cursor / BITS_SIZE >= all->records.count;
	return false;
}

bool pools_lease_next(const struct pools *all, size_t i, uint64_t *cursor, struct lease_info *out)
{
	struct lease_walk w = {.cursor = *cursor};
	bool found;
	do {
		w.looks = BITS_SIZE;
		found = pools_lease_look(all, i, &w, out);
	} while (!found && !w.end);
	*cursor = w.cursor;
	return found;
}

static bool matches(const struct pools *all, const struct record *r, const struct lease_clearing *c)
{
	struct view name = ident_of(&all->records, r).name;
	if (c->pool && strcmp(all->pools[r->pool].cfg->name, c->pool) != 0)
		return false;
	return !c->owner ||
	       (name.len == strlen(c->owner) && memcmp(name.p, c->owner, name.len) == 0);
}

static bool clear(struct pools *all, struct record *r)
{
	if (r->state == LEASE_LINGERING || r->state == LEASE_QUARANTINED)
		lease_free(all, r);
	else if (r->revoked)
		return false; // its holder has been told
	else
		lease_revoke(all, r);
	return true;
}

size_t pools_clear(struct pools *all, const struct lease_clearing *c)
{
	size_t n = 0;
	if (c->addr.family) {
		struct record *r = lease_find(all, &c->addr);
		return r && matches(all, r, c) && clear(all, r);
	}
	for (uint64_t index = 0; index / BITS_SIZE < all->records.count; index++) {
		unsigned looks = BITS_SIZE;
		if (!next_lease(all, -1, &index, &looks))
			continue;
		struct record *r = record_at(&all->records, (uint32_t)index);
		if (matches(all, r, c))
			n += clear(all, r);
	}
	return n;
}
