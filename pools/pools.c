// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/lease.h"

#include <errno.h>
#include <stdlib.h>

struct pool *pool_look(struct pools *all, const struct cfg_pool *cfg)
{
	for (size_t k = 0; k < SNAPSHOTS && all->snapshots[k]; k++) {
		uintptr_t offset = (uintptr_t)cfg - (uintptr_t)all->snapshots[k];
		size_t i = offset / sizeof(*cfg);
		if (i < all->count && cfg == &all->snapshots[k][i])
			return all->asked_last = &all->pools[i];
	}
	return NULL;
}

// ---- which pool has an address

static int by_address(const void *a, const void *b)
{
	const struct segment *const *x = a, *const *y = b;
	if ((*x)->family != (*y)->family)
		return (*x)->family < (*y)->family ? -1 : 1;
	return ((*x)->lo > (*y)->lo) - ((*x)->lo < (*y)->lo);
}

int map_load(const struct pool *pools, size_t count, const struct segment ***out, size_t *n)
{
	size_t total = 0;
	*n = 0;
	for (size_t i = 0; i < count; i++)
		total += pools[i].space.segment_count;
	*out = calloc(total + 1, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++)
		for (size_t k = 0; k < pools[i].space.segment_count; k++)
			(*out)[(*n)++] = &pools[i].space.segments[k];
	qsort(*out, *n, sizeof(**out), by_address);
	return 0;
}

// The first range that ends at or behind v.
static const struct segment *first_behind(
	const struct segment *const *map, size_t count, uint8_t family, u128 v)
{
	size_t lo = 0, hi = count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct segment *seg = map[mid];
		if (seg->family < family || (seg->family == family && seg->last < v))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < count && map[lo]->family == family ? map[lo] : NULL;
}

const struct segment *map_search(
	const struct segment *const *map, size_t count, const struct ip_addr *a)
{
	u128 v = num_of(a);
	const struct segment *seg = first_behind(map, count, a->family, v);
	return seg && seg->lo <= v ? seg : NULL;
}

bool map_touches(
	const struct segment *const *map, size_t count, const struct ip_addr *a, unsigned shift)
{
	u128 v = num_of(a), last = v | (((u128)1 << shift) - 1);
	const struct segment *seg = first_behind(map, count, a->family, v);
	return seg && seg->lo <= last;
}

const struct segment *map_look(const struct pools *all, const struct ip_addr *a)
{
	const struct segment *seg = map_search(all->map, all->map_count, a);
	if (seg)
		all->map[all->map_count] = seg;
	return seg;
}

bool map_clear(const struct pools *all, const struct pool *p, const struct ip_addr *a)
{
	unsigned shift = p->space.shift;
	if (a->family == 0 || shift >= ip_bits(a->family))
		return false;
	return (num_of(a) & (((u128)1 << shift) - 1)) == 0 &&
	       !map_touches(all->map, all->map_count, a, shift);
}

static uint64_t *units_of(struct pools *all, uint8_t family)
{
	return all->units[family == IP_V6];
}

void units_remember(struct pools *all)
{
	for (size_t i = 0; i < all->count; i++) {
		const struct space *s = &all->pools[i].space;
		for (size_t k = 0; s->shift && k < s->segment_count; k++) {
			unsigned bit = ip_bits(s->segments[k].family) - s->shift - 1;
			units_of(all, s->segments[k].family)[bit / 64] |= 1ull << bit % 64;
		}
	}
}

// By hash, once for each length that there was.
bool prefix_covers(const struct pools *all, const struct ip_addr *a)
{
	unsigned bits = ip_bits(a->family);
	for (unsigned len = 1; len < bits; len++) {
		if (!(all->units[a->family == IP_V6][(len - 1) / 64] & 1ull << (len - 1) % 64))
			continue;
		u128 low = ((u128)1 << (bits - len)) - 1;
		struct ip_addr first = addr_from(a->family, num_of(a) & ~low);
		const struct record *r = lease_find(all, &first);
		if (r && r->prefix_len == len)
			return true;
	}
	return false;
}

bool prefix_holds(const struct pools *all, const struct pool *p, const struct ip_addr *a)
{
	u128 lo = num_of(a);
	return p->space.shift &&
	       outside_within(&all->records, a->family, lo, lo | (((u128)1 << p->space.shift) - 1));
}

// ---- all pools

static int pool_init(struct pools *all, struct pool *p, const struct cfg_pool *cfg)
{
	*p = (struct pool){
		.cfg = cfg, .from_giver = all->seams.giver && cfg->from_dhcp.server_count};
	int rc = space_init(&p->space, cfg, (uint16_t)(p - all->pools), &all->seams, &all->records);
	p->reserved_idle = p->space.reserved_count;
	return rc;
}

// No grant ends while its session is being set up.
uint64_t lease_offer_ns(const struct cfg *c)
{
	uint64_t s = 2ull * c->main.half_open_timeout_s;
	return (s < OFFER_LEAST_S ? OFFER_LEAST_S : s) * NS_PER_S;
}

static int load(struct pools *p, const struct cfg *c)
{
	p->pools = calloc(c->pool_count + 1, sizeof(*p->pools));
	p->text = malloc(POOL_OWNER_MAX + 1);
	int rc = p->pools && p->text && c->pool_count <= UINT16_MAX ? 0 : -ENOMEM;
	if (rc == 0)
		rc = records_init(&p->records);
	if (rc == 0)
		rc = itab_init(&p->owners);
	if (rc == 0)
		rc = htab_init(&p->asked, 64);
	random_fill(p->seams.random, p->records.key, sizeof(p->records.key));
	for (size_t i = 0; rc == 0 && i < c->pool_count; i++) {
		rc = pool_init(p, &p->pools[i], &c->pools[i]);
		p->count++;
	}
	units_remember(p);
	return rc ? rc : map_load(p->pools, p->count, &p->map, &p->map_count);
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
	p->snapshots[0] = c->pools;
	p->offer_ns = lease_offer_ns(c);
	int rc = load(p, c);
	if (rc) {
		pools_free(p);
		return rc;
	}
	giver_attach(p);
	*out = p;
	return 0;
}

static void drop_all_grants(struct pools *p)
{
	for (uint32_t n = 1; n < p->records.count; n++) {
		struct block *b = p->records.blocks[n];
		for (uint32_t i = 0; b && b->used && i < BITS_SIZE; i++)
			if (b->slots[i].record.used)
				lease_drop_grants(&b->slots[i].record);
	}
}

void pools_free(struct pools *p)
{
	if (!p)
		return;
	drop_all_grants(p);
	reload_fini(p);
	waits_fini(p);
	giver_fini(p);
	for (size_t i = 0; i < p->count; i++)
		space_fini(&p->pools[i].space);
	itab_fini(&p->owners);
	secret_wipe(p->records.key, sizeof(p->records.key));
	records_fini(&p->records);
	free(p->map);
	free(p->pools);
	free(p->text);
	free(p);
}

void pools_tick(struct pools *p, uint64_t now_ns)
{
	unsigned left = EXPIRE_PER_TICK;
	p->now_ns = now_ns > p->now_ns ? now_ns : p->now_ns;
	for (size_t i = 0; i < p->count && left; i++)
		left -= pool_expire(p, &p->pools[(p->tick_from + i) % p->count], now_ns, left);
	(void)pools_reload_goes_on(p);
	if (p->count)
		p->tick_from = (p->tick_from + 1) % p->count;
}
