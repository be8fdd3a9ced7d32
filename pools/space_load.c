// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A pool's configuration, read into segments, exclusions and reservations.
#include "pools/space.h"

#include <errno.h>
#include <stdlib.h>

#define DENSE_BLOCKS (1u << 16) // of one pool; what is beyond is sparse

static int by_low_end(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;
	return ip_cmp(&x->lo, &y->lo);
}

static uint64_t capped(u128 v)
{
	return v > UINT64_MAX ? UINT64_MAX : (uint64_t)v;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

// The whole units that r touches.
static struct ip_range whole_units(const struct space *s, const struct ip_range *r)
{
	u128 low = ((u128)1 << s->shift) - 1;
	return (struct ip_range){addr_from(r->lo.family, num_of(&r->lo) & ~low),
		addr_from(r->lo.family, num_of(&r->hi) | low)};
}

static int load_excludes(struct space *s, const struct cfg_pool *p)
{
	s->excludes = calloc(p->exclude_count + 1, sizeof(*s->excludes));
	if (!s->excludes)
		return -ENOMEM;
	for (size_t i = 0; i < p->exclude_count; i++)
		s->excludes[i] = whole_units(s, &p->excludes[i]);
	qsort(s->excludes, p->exclude_count, sizeof(*s->excludes), by_low_end);
	for (size_t i = 0; i < p->exclude_count; i++) {
		struct ip_range *last =
			s->exclude_count ? &s->excludes[s->exclude_count - 1] : NULL;
		if (!last || !ip_range_overlaps(last, &s->excludes[i]))
			s->excludes[s->exclude_count++] = s->excludes[i];
		else if (ip_cmp(&s->excludes[i].hi, &last->hi) > 0)
			last->hi = s->excludes[i].hi;
	}
	return 0;
}

static void add_segment(struct space *s, const struct ip_range *r)
{
	u128 low = ((u128)1 << s->shift) - 1, lo = num_of(&r->lo), hi = num_of(&r->hi);
	// A unit that the range holds in part is none of it.
	if ((lo & low) && (lo | low) >= hi)
		return;
	lo = lo & low ? (lo | low) + 1 : lo;
	if ((hi & low) != low) {
		if ((hi & ~low) <= lo)
			return;
		hi = (hi & ~low) - 1;
	}
	struct segment seg = {.lo = lo,
		.hi = hi & ~low,
		.last = hi,
		.family = r->lo.family,
		.shift = s->shift,
		.pool = s->pool,
		.first_block = s->block_count};
	u128 units = (seg.hi - seg.lo) >> s->shift; // less one
	unsigned block_shift = s->shift + 12;
	seg.base = block_shift < 128 ? lo >> block_shift << block_shift : 0;
	u128 blocks = block_shift < 128 ? ((hi - seg.base) >> block_shift) + 1 : 1;
	seg.sparse = units >= SPACE_DENSE || s->block_count + blocks > DENSE_BLOCKS;
	if (seg.sparse) {
		s->sparse[s->sparse_count++] = (uint32_t)s->segment_count;
	} else {
		seg.blocks = (uint32_t)blocks;
		s->block_count += seg.blocks;
	}
	s->size = plus(s->size, plus(capped(units), 1));
	s->segments[s->segment_count++] = seg;
}

static int load_segments(struct space *s, const struct cfg_pool *p)
{
	struct ip_range *sorted = calloc(p->range_count + 1, sizeof(*sorted));
	s->segments = calloc(p->range_count + 1, sizeof(*s->segments));
	s->sparse = calloc(p->range_count + 1, sizeof(*s->sparse));
	if (!sorted || !s->segments || !s->sparse) {
		free(sorted);
		return -ENOMEM;
	}
	if (p->range_count)
		memcpy(sorted, p->ranges, p->range_count * sizeof(*sorted));
	qsort(sorted, p->range_count, sizeof(*sorted), by_low_end);
	for (size_t i = 0; i < p->range_count; i++)
		add_segment(s, &sorted[i]);
	free(sorted);
	return 0;
}

static void subtract_excludes(struct space *s)
{
	for (size_t i = 0; i < s->segment_count; i++)
		for (size_t k = 0; k < s->exclude_count && s->size != UINT64_MAX; k++) {
			const struct segment *seg = &s->segments[i];
			u128 lo = num_of(&s->excludes[k].lo), hi = num_of(&s->excludes[k].hi);
			lo = lo > seg->lo ? lo : seg->lo;
			hi = hi < seg->hi ? hi : seg->hi;
			if (s->excludes[k].lo.family == seg->family && lo <= hi)
				s->size -= (uint64_t)((hi - lo) >> seg->shift) + 1;
		}
}

static bool in_segments(const struct space *s, const struct ip_addr *a)
{
	u128 v = num_of(a);
	for (size_t i = 0; i < s->segment_count; i++)
		if (s->segments[i].family == a->family && s->segments[i].lo <= v &&
			v <= s->segments[i].hi)
			return (v - s->segments[i].lo) % ((u128)1 << s->shift) == 0;
	return false;
}

static int by_address(const void *a, const void *b)
{
	const struct reserved *x = a, *y = b;
	return ip_cmp(&x->addr, &y->addr);
}

static int by_owner(const void *a, const void *b, void *ctx)
{
	const struct reserved *all = ctx, *x = &all[*(const uint32_t *)a],
			      *y = &all[*(const uint32_t *)b];
	int c = strcmp(x->owner, y->owner);
	return c ? c : ip_cmp(&x->addr, &y->addr);
}

static int load_reserved(struct space *s, const struct cfg_pool *p)
{
	s->reserved = calloc(p->reservation_count + 1, sizeof(*s->reserved));
	s->by_owner = calloc(p->reservation_count + 1, sizeof(*s->by_owner));
	if (!s->reserved || !s->by_owner)
		return -ENOMEM;
	for (size_t i = 0; i < p->reservation_count; i++) {
		const struct cfg_reservation *r = &p->reservations[i];
		if (r->owner && in_segments(s, &r->address) && !space_excluded(s, &r->address))
			s->reserved[s->reserved_count++] = (struct reserved){r->address, r->owner};
	}
	qsort(s->reserved, s->reserved_count, sizeof(*s->reserved), by_address);
	for (uint32_t i = 0; i < s->reserved_count; i++)
		s->by_owner[i] = i;
	qsort_r(s->by_owner, s->reserved_count, sizeof(*s->by_owner), by_owner, s->reserved);
	return 0;
}

static int load_shards(struct space *s)
{
	size_t chunks = ((size_t)s->block_count + BITS_SIZE - 1) / BITS_SIZE;
	s->shard_count = s->seams->workers ? s->seams->workers : 1;
	s->shards = calloc(s->shard_count, sizeof(*s->shards));
	s->summaries = calloc(s->shard_count * chunks + 1, sizeof(*s->summaries));
	s->blocks = calloc((size_t)s->block_count + 1, sizeof(struct block *));
	if (!s->shards || !s->summaries || !s->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < s->shard_count; i++)
		s->shards[i].blocks = s->summaries + i * chunks;
	return 0;
}

int space_init(struct space *s, const struct cfg_pool *p, uint16_t pool,
	const struct pools_seams *seams, struct records *records)
{
	unsigned bits = p->range_count ? ip_bits(p->ranges[0].lo.family) : 0;
	unsigned len = p->prefix_len && p->prefix_len < bits ? p->prefix_len : bits;
	*s = (struct space){.seams = seams, .records = records, .pool = pool};
	s->shift = (uint8_t)(bits - len);
	int rc = load_excludes(s, p);
	if (rc == 0)
		rc = load_segments(s, p);
	if (rc == 0) {
		subtract_excludes(s);
		rc = load_reserved(s, p);
	}
	if (rc == 0)
		rc = load_shards(s);
	if (rc)
		space_fini(s);
	return rc;
}

void space_fini(struct space *s)
{
	free(s->blocks);
	free(s->summaries);
	free(s->shards);
	free(s->segments);
	free(s->sparse);
	free(s->excludes);
	free(s->reserved);
	free(s->by_owner);
	*s = (struct space){0};
}
