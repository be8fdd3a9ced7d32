// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/space.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_AT_ONCE 4u  // blocks of addresses that one request hashes at most
#define HASH_LEAST   64u // addresses that a block counts for, however few it has

uint16_t space_shard_of(const struct space *s, const struct ip_addr *a)
{
	if (s->shard_count <= 1)
		return 0;
	uint16_t w = s->seams->worker_of(s->seams->ctx, a);
	return w < s->shard_count ? w : 0;
}

// The first exclusion that ends at or behind a.
static size_t first_exclude(const struct space *s, const struct ip_addr *a)
{
	size_t lo = 0, hi = s->exclude_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (ip_cmp(&s->excludes[mid].hi, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

// The first reservation at or behind a.
static size_t first_reserved(const struct space *s, const struct ip_addr *a)
{
	size_t lo = 0, hi = s->reserved_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (ip_cmp(&s->reserved[mid].addr, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool space_excluded(const struct space *s, const struct ip_addr *a)
{
	size_t i = first_exclude(s, a);
	return i < s->exclude_count && ip_range_contains(&s->excludes[i], a);
}

const struct reserved *space_reserved(const struct space *s, const struct ip_addr *a)
{
	if (s->reserved_count == 0)
		return NULL;
	size_t i = first_reserved(s, a);
	return i < s->reserved_count && ip_eq(&s->reserved[i].addr, a) ? &s->reserved[i] : NULL;
}

size_t space_first_of(const struct space *s, const char *owner)
{
	size_t lo = 0, hi = s->reserved_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (strcmp(s->reserved[s->by_owner[mid]].owner, owner) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

// ---- blocks

// The last segment that starts at or before this block; sparse ones own no block, so that a dense one
// that starts at the same block stands behind them.
const struct segment *space_segment_of(const struct space *s, uint32_t ordinal)
{
	size_t lo = 0, hi = s->segment_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (s->segments[mid].first_block <= ordinal)
			lo = mid + 1;
		else
			hi = mid;
	}
	while (lo && s->segments[lo - 1].sparse)
		lo--;
	return lo ? &s->segments[lo - 1] : NULL;
}

// The units of the block that lie in gone.
static void find_units(const struct segment *seg, u128 base, const struct ip_range *r,
	uint32_t *from, uint32_t *to)
{
	u128 lo = num_of(&r->lo), hi = (num_of(&r->hi) - base) >> seg->shift;
	*from = lo > base ? (uint32_t)((lo - base) >> seg->shift) : 0;
	*to = hi < BITS_SIZE ? (uint32_t)hi : BITS_SIZE - 1;
}

void space_plan(const struct space *s, uint32_t ordinal, struct block_plan *out)
{
	const struct segment *seg = space_segment_of(s, ordinal);
	u128 span = (u128)BITS_SIZE << seg->shift;
	*out = (struct block_plan){.base = seg->base + (ordinal - seg->first_block) * span};
	u128 base = out->base, lo = base > seg->lo ? base : seg->lo;
	u128 hi = span - 1 < seg->hi - base ? base + (span - 1) : seg->hi;
	struct ip_range r = {addr_from(seg->family, lo), addr_from(seg->family, hi)};
	uint32_t from, to;
	find_units(seg, base, &r, &from, &to);
	bits_fill(&out->usable, from, to);
	out->first = (uint16_t)from;
	out->last = (uint16_t)to;
	for (size_t k = first_exclude(s, &r.lo);
		k < s->exclude_count && ip_range_overlaps(&s->excludes[k], &r); k++) {
		find_units(seg, base, &s->excludes[k], &from, &to);
		bits_wipe(&out->usable, from, to);
	}
	for (size_t k = first_reserved(s, &r.lo);
		k < s->reserved_count && ip_cmp(&s->reserved[k].addr, &r.hi) <= 0; k++) {
		struct ip_range one = {s->reserved[k].addr, s->reserved[k].addr};
		find_units(seg, base, &one, &from, &to);
		bits_clear(&out->usable, from);
		bits_set(&out->reserved, from);
	}
}

void space_hash_unit(struct space *s, struct block *b, unsigned i)
{
	struct ip_addr a;
	addr_put(&a, b->family, b->base + ((u128)i << b->shift));
	uint16_t shard = space_shard_of(s, &a);
	if (bits_empty(&b->fresh[shard]))
		bits_set(&s->shards[shard].blocks[b->ordinal / BITS_SIZE], b->ordinal % BITS_SIZE);
	bits_set(&b->fresh[shard], i);
	s->shards[shard].fresh++;
}

int space_hash_block(struct space *s, uint32_t ordinal)
{
	const struct segment *seg = space_segment_of(s, ordinal);
	struct block_plan plan;
	if (s->blocks[ordinal])
		return 0;
	struct block *b = block_new(s->records, s->shard_count, false);
	if (!b)
		return -ENOMEM;
	space_plan(s, ordinal, &plan);
	b->ordinal = ordinal;
	b->pool = s->pool;
	b->family = seg->family;
	b->shift = seg->shift;
	b->base = plan.base;
	b->prefix_len = (uint8_t)(ip_bits(seg->family) - seg->shift);
	b->plain = seg->family == IP_V4 && seg->shift == 0;
	b->planned = s->planned;
	b->first = plan.first;
	b->last = plan.last;
	for (unsigned w = 0; w < 64; w++)
		for (uint64_t left = plan.usable.words[w]; left; left &= left - 1)
			space_hash_unit(s, b, w * 64 + (unsigned)__builtin_ctzll(left));
	s->blocks[ordinal] = b;
	return 0;
}

// ---- never used

static void use_fresh(struct space *s, uint16_t shard, struct block *b, unsigned i)
{
	struct space_shard *h = &s->shards[shard];
	bits_clear(&b->fresh[shard], i);
	if (bits_empty(&b->fresh[shard]))
		bits_clear(&h->blocks[b->ordinal / BITS_SIZE], b->ordinal % BITS_SIZE);
	h->fresh--;
}

// The block behind the exclusion that covers this one, or this one.
static uint32_t behind_excluded(const struct space *s, uint32_t ordinal)
{
	const struct segment *seg = space_segment_of(s, ordinal);
	u128 span = (u128)BITS_SIZE << seg->shift;
	u128 base = seg->base + (ordinal - seg->first_block) * span;
	struct ip_addr lo = addr_from(seg->family, base > seg->lo ? base : seg->lo);
	size_t i = first_exclude(s, &lo);
	if (i == s->exclude_count || !ip_range_contains(&s->excludes[i], &lo))
		return ordinal;
	u128 end = num_of(&s->excludes[i].hi);
	if (end >= seg->last)
		return seg->first_block + seg->blocks;
	return seg->first_block + (uint32_t)((end + 1 - seg->base) / span);
}

// The next block that is to be hashed and has an address for everybody, or the end. What lies before it has
// none for good: it is passed once, so that all requests together pay for each exclusion and reservation once.
static uint32_t next_usable(const struct space *s, unsigned *units)
{
	uint32_t at = s->next_block;
	while (at < s->block_count) {
		struct block_plan plan;
		uint32_t behind = s->blocks[at] ? at + 1 : behind_excluded(s, at);
		if (behind != at) {
			at = behind;
			continue;
		}
		space_plan(s, at, &plan);
		*units = bits_count(&plan.usable);
		if (*units)
			break;
		at++;
	}
	return at;
}

// Hash on until the shard has an address, a bounded number of addresses each time. Each block that is hashed
// has one: of this shard, or of one that lends it.
static int hash_more(struct space *s, uint16_t shard)
{
	unsigned hashed = 0, units = 0;
	while (s->shards[shard].fresh == 0 && hashed < HASH_AT_ONCE * BITS_SIZE) {
		s->next_block = next_usable(s, &units);
		if (s->next_block == s->block_count)
			return 0;
		int rc = space_hash_block(s, s->next_block);
		if (rc)
			return rc;
		s->next_block++;
		hashed += units < HASH_LEAST ? HASH_LEAST : units;
	}
	return 0;
}

static int take_fresh(struct space *s, uint16_t shard, struct place *out)
{
	struct space_shard *h = &s->shards[shard];
	if (h->fresh == 0) {
		int rc = hash_more(s, shard);
		if (rc || h->fresh == 0)
			return rc;
	}
	uint32_t chunk = 0;
	while (bits_empty(&h->blocks[chunk]))
		chunk++;
	struct block *b = s->blocks[chunk * BITS_SIZE + bits_first(&h->blocks[chunk])];
	unsigned i = bits_first(&b->fresh[shard]);
	out->r = &b->slots[i].record;
	out->shard = shard;
	use_fresh(s, shard, b, i);
	return 1;
}

// ---- drawn

static uint64_t draw_u64(struct space *s)
{
	if (s->drawn_left == 0) {
		random_fill(s->seams->random, s->drawn, sizeof(s->drawn));
		s->drawn_left = sizeof(s->drawn) / sizeof(s->drawn[0]);
	}
	return s->drawn[--s->drawn_left];
}

// Uniform in the range: bits beyond its size are masked away, what is still too large is refused.
static bool draw(struct space *s, const struct segment *seg, struct ip_addr *out)
{
	u128 span = (seg->hi - seg->lo) >> seg->shift, mask = span;
	for (unsigned shift = 1; shift < 128; shift *= 2)
		mask |= mask >> shift;
	u128 v = draw_u64(s);
	if (mask >> 64)
		v |= (u128)draw_u64(s) << 64;
	v &= mask;
	if (v > span)
		return false;
	*out = addr_from(seg->family, seg->lo + (v << seg->shift));
	return true;
}

static bool take_sparse(struct space *s, uint16_t shard, bool any_shard, struct place *out)
{
	unsigned tries = 32u + 16u * (unsigned)s->shard_count;
	while (s->sparse_count && tries--) {
		uint64_t pick = s->sparse_count > 1 ? draw_u64(s) : 0;
		struct ip_addr a;
		if (!draw(s, &s->segments[s->sparse[pick % s->sparse_count]], &a))
			continue;
		uint16_t of = space_shard_of(s, &a);
		if ((!any_shard && of != shard) || space_excluded(s, &a) || space_reserved(s, &a) ||
			loose_find(s->records, &a))
			continue;
		*out = (struct place){NULL, of, a};
		return true;
	}
	return false;
}

// Of what no exclusion covers, the unit with this number; *units says how many there are.
static u128 between(const struct space *s, const struct segment *seg, u128 number, u128 *units)
{
	struct ip_addr first = addr_from(seg->family, seg->lo);
	u128 at = seg->lo, found = 0;
	bool over = false;
	*units = 0;
	for (size_t k = first_exclude(s, &first); !over; k++) {
		bool more = k < s->exclude_count && s->excludes[k].lo.family == seg->family &&
			    num_of(&s->excludes[k].lo) <= seg->last;
		u128 end = more ? num_of(&s->excludes[k].lo) : seg->last + 1;
		// As a difference: a range may end with the last address that there is.
		u128 here = more && end < at ? 0 : (end - at) >> seg->shift;
		if (number >= *units && number - *units < here)
			found = at + ((number - *units) << seg->shift);
		*units += here;
		over = !more || num_of(&s->excludes[k].hi) >= seg->last;
		at = over ? at : num_of(&s->excludes[k].hi) + 1;
	}
	return found;
}

#define BETWEEN_STEPS 16384u // over exclusions, by one request

// From one that is drawn on, as many as may be looked at, which are all where there are few.
static bool probe_between(
	struct space *s, const struct segment *seg, unsigned *tries, struct place *out)
{
	u128 units, v = (u128)draw_u64(s) << 64;
	v |= draw_u64(s);
	(void)between(s, seg, 0, &units);
	for (u128 n = 0; n < units && *tries; n++, --*tries) {
		u128 none;
		struct ip_addr a =
			addr_from(seg->family, between(s, seg, (v % units + n) % units, &none));
		if (space_reserved(s, &a) || loose_find(s->records, &a))
			continue;
		*out = (struct place){NULL, space_shard_of(s, &a), a};
		return true;
	}
	return false;
}

// Where little is left between exclusions nothing of it may have been drawn.
static bool take_between(struct space *s, struct place *out)
{
	unsigned tries = 1 + BETWEEN_STEPS / (64u + (unsigned)s->exclude_count);
	uint64_t first = s->sparse_count && s->exclude_count ? draw_u64(s) : 0;
	for (size_t n = 0; s->exclude_count && n < s->sparse_count && tries; n++, tries -= !!tries)
		if (probe_between(
			    s, &s->segments[s->sparse[(first + n) % s->sparse_count]], &tries, out))
			return true;
	return false;
}

// ---- taking and giving back

#define SKIP_AT_ONCE 4096u

bool space_skip_gone(struct space *s, struct queue *q)
{
	for (unsigned n = 0; n < SKIP_AT_ONCE && q->count; n++) {
		struct record *r = record_at(s->records, q->first);
		if (!block_of(s->records, r)->gone)
			return true;
		queue_remove(s->records, q, r);
		*r = (struct record){0};
	}
	return false;
}

bool space_undecided(const struct space *s)
{
	for (size_t w = 0; s->records->settling && w < s->shard_count; w++)
		if (s->shards[w].released.count)
			return true;
	return false;
}

// Without memory for more blocks there are those that it has.
static int take_of_shard(struct space *s, uint16_t shard, struct place *out)
{
	int rc = 0;
	if (s->shards[shard].fresh || s->next_block < s->block_count)
		rc = take_fresh(s, shard, out);
	if (rc == 1 || (s->sparse_count && take_sparse(s, shard, false, out)) ||
		space_take_released(s, shard, out))
		return 1;
	return rc;
}

int space_take_any(struct space *s, uint16_t shard, struct place *out)
{
	uint16_t most = 0;
	int rc = take_of_shard(s, shard, out);
	if (rc == 1)
		return 1;
	for (uint16_t w = 0; w < s->shard_count; w++)
		if (s->shards[w].fresh + s->shards[w].released.count >
			s->shards[most].fresh + s->shards[most].released.count)
			most = w;
	if ((most != shard && take_of_shard(s, most, out) == 1) ||
		take_sparse(s, shard, true, out) || take_between(s, out))
		return 1;
	return rc;
}

int space_take_this(
	struct space *s, const struct segment *seg, const struct ip_addr *a, struct place *out)
{
	*out = (struct place){NULL, space_shard_of(s, a), *a};
	if (seg->sparse)
		return 0;
	uint32_t ordinal =
		seg->first_block + (uint32_t)((num_of(a) - seg->base) >> seg->shift >> 12);
	int rc = space_hash_block(s, ordinal);
	if (rc)
		return rc;
	struct block *b = s->blocks[ordinal];
	unsigned i = (unsigned)((num_of(a) - b->base) >> b->shift);
	out->r = &b->slots[i].record;
	if (bits_test(&b->fresh[out->shard], i))
		use_fresh(s, out->shard, b, i);
	else if (out->r->queue == QUEUE_RELEASED) {
		queue_remove(s->records, &s->shards[out->shard].released, out->r);
		out->r->queue = QUEUE_NONE;
	}
	return 0;
}
