// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/space.h"

#include <errno.h>
#include <stdlib.h>

#define HASH_AT_ONCE 4u // blocks that one request hashes at most

// Stands for blocks whose addresses are all excluded or reserved.
static struct space_block no_block = {.segment = SPACE_NONE};

__extension__ typedef unsigned __int128 u128;

uint16_t space_shard_of(const struct space *s, const struct ip_addr *a)
{
	if (s->seams->workers <= 1)
		return 0;
	uint16_t w = s->seams->worker_of(s->seams->ctx, a);
	return w < s->seams->workers ? w : 0;
}

// The segment that holds a, or NULL.
static const struct space_segment *find_segment(const struct space *s, const struct ip_addr *a)
{
	size_t lo = 0, hi = s->segment_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (ip_cmp(&s->segments[mid].range.hi, a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < s->segment_count && ip_range_contains(&s->segments[lo].range, a)
		       ? &s->segments[lo]
		       : NULL;
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
		if (ip_cmp(&s->reserved[mid], a) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool excluded(const struct space *s, const struct ip_addr *a)
{
	size_t i = first_exclude(s, a);
	return i < s->exclude_count && ip_range_contains(&s->excludes[i], a);
}

bool space_has(const struct space *s, const struct ip_addr *a)
{
	return find_segment(s, a) && !excluded(s, a);
}

bool space_reserved(const struct space *s, const struct ip_addr *a)
{
	size_t i = first_reserved(s, a);
	return i < s->reserved_count && ip_eq(&s->reserved[i], a);
}

// ---- loading

static int by_low_end(const void *a, const void *b)
{
	const struct ip_range *x = a, *y = b;
	return ip_cmp(&x->lo, &y->lo);
}

static int by_address(const void *a, const void *b)
{
	return ip_cmp(a, b);
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t range_size(const struct ip_range *r)
{
	return plus(ip_distance(&r->lo, &r->hi), 1);
}

static int load_excludes(struct space *s, const struct cfg_pool *p)
{
	s->excludes = calloc(p->exclude_count + 1, sizeof(*s->excludes));
	if (!s->excludes)
		return -ENOMEM;
	if (p->exclude_count)
		memcpy(s->excludes, p->excludes, p->exclude_count * sizeof(*s->excludes));
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

static int load_reserved(struct space *s, const struct cfg_pool *p)
{
	s->reserved = calloc(p->reservation_count + 1, sizeof(*s->reserved));
	if (!s->reserved)
		return -ENOMEM;
	for (size_t i = 0; i < p->reservation_count; i++)
		if (space_has(s, &p->reservations[i].address))
			s->reserved[s->reserved_count++] = p->reservations[i].address;
	qsort(s->reserved, s->reserved_count, sizeof(*s->reserved), by_address);
	return 0;
}

static void add_segment(struct space *s, const struct ip_range *r)
{
	uint64_t size = range_size(r);
	struct space_segment seg = {
		.range = *r, .sparse = size > SPACE_DENSE, .first_block = s->block_count};
	uint32_t blocks = seg.sparse ? 0 : (uint32_t)((size + BITS_SIZE - 1) / BITS_SIZE);
	// Numbers of addresses in the queues have 32 bits.
	if (!seg.sparse && (uint64_t)s->block_count + blocks >= SPACE_NONE / BITS_SIZE)
		seg.sparse = true;
	if (seg.sparse) {
		s->sparse[s->sparse_count++] = (uint32_t)s->segment_count;
	} else {
		seg.count = (uint32_t)size;
		s->block_count += blocks;
	}
	s->size = plus(s->size, size);
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
	for (size_t i = 0; i < s->segment_count; i++) {
		const struct ip_range *r = &s->segments[i].range;
		for (size_t k = first_exclude(s, &r->lo);
			k < s->exclude_count && ip_range_overlaps(&s->excludes[k], r); k++) {
			struct ip_range common = {
				.lo = ip_cmp(&r->lo, &s->excludes[k].lo) > 0 ? r->lo
									     : s->excludes[k].lo,
				.hi = ip_cmp(&r->hi, &s->excludes[k].hi) < 0 ? r->hi
									     : s->excludes[k].hi,
			};
			uint64_t n = range_size(&common);
			if (s->size != UINT64_MAX)
				s->size -= n;
		}
	}
}

static int load_shards(struct space *s)
{
	size_t shards = s->seams->workers ? s->seams->workers : 1;
	size_t chunks = (s->block_count + BITS_SIZE - 1) / BITS_SIZE;
	s->shards = calloc(shards, sizeof(*s->shards));
	s->summaries = calloc(shards * chunks + 1, sizeof(*s->summaries));
	s->blocks = calloc((size_t)s->block_count + 1, sizeof(*s->blocks));
	if (!s->shards || !s->summaries || !s->blocks)
		return -ENOMEM;
	for (size_t i = 0; i < shards; i++) {
		s->shards[i].oldest = s->shards[i].newest = SPACE_NONE;
		s->shards[i].blocks = s->summaries + i * chunks;
	}
	return 0;
}

// ---- blocks

// The last segment that starts at or before block b; sparse ones own no block, so that a dense one
// that starts at the same block stands behind them.
static const struct space_segment *segment_of_block(const struct space *s, uint32_t b)
{
	size_t lo = 0, hi = s->segment_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		if (s->segments[mid].first_block <= b)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? &s->segments[lo - 1] : NULL;
}

static void clear_excluded(const struct space *s, const struct ip_range *r, struct bits *usable)
{
	for (size_t k = first_exclude(s, &r->lo);
		k < s->exclude_count && ip_range_overlaps(&s->excludes[k], r); k++) {
		const struct ip_range *e = &s->excludes[k];
		uint64_t from = ip_cmp(&e->lo, &r->lo) > 0 ? ip_distance(&r->lo, &e->lo) : 0;
		uint64_t to = ip_distance(&r->lo, ip_cmp(&e->hi, &r->hi) < 0 ? &e->hi : &r->hi);
		for (uint64_t i = from; i <= to; i++)
			bits_clear(usable, (unsigned)i);
	}
	for (size_t k = first_reserved(s, &r->lo);
		k < s->reserved_count && ip_cmp(&s->reserved[k], &r->hi) <= 0; k++)
		bits_clear(usable, (unsigned)ip_distance(&r->lo, &s->reserved[k]));
}

static unsigned usable_of_block(const struct space *s, const struct space_segment *seg, uint32_t b,
	struct ip_range *range, struct bits *usable)
{
	uint32_t offset = (b - seg->first_block) * BITS_SIZE;
	unsigned n = seg->count - offset < BITS_SIZE ? seg->count - offset : BITS_SIZE;
	if (!ip_add(&seg->range.lo, offset, &range->lo) || !ip_add(&range->lo, n - 1, &range->hi))
		return 0;
	for (unsigned i = 0; i < n; i++)
		bits_set(usable, i);
	clear_excluded(s, range, usable);
	return n;
}

// Hash a block's addresses into the shards, once. 0 or -ENOMEM.
static int hash_block(struct space *s, uint32_t b)
{
	size_t shards = s->seams->workers ? s->seams->workers : 1;
	struct bits usable = {0};
	struct ip_range range = {0};
	if (s->blocks[b])
		return 0;
	const struct space_segment *seg = segment_of_block(s, b);
	unsigned n = seg ? usable_of_block(s, seg, b, &range, &usable) : 0;
	if (bits_empty(&usable)) {
		s->blocks[b] = &no_block;
		return 0;
	}
	struct space_block *block = calloc(1, sizeof(*block) + shards * sizeof(struct bits));
	struct space_link *links = malloc(n * sizeof(*links));
	if (!block || !links) {
		free(block);
		free(links);
		return -ENOMEM;
	}
	block->segment = (uint32_t)(seg - s->segments);
	block->links = links;
	for (; !bits_empty(&usable); bits_clear(&usable, bits_first(&usable))) {
		unsigned i = bits_first(&usable);
		struct ip_addr a = range.lo;
		if (!ip_add(&range.lo, i, &a))
			continue;
		uint16_t w = space_shard_of(s, &a);
		bits_set(&block->fresh[w], i);
		bits_set(&s->shards[w].blocks[b / BITS_SIZE], b % BITS_SIZE);
		s->shards[w].fresh++;
	}
	s->blocks[b] = block;
	return 0;
}

int space_init(struct space *s, const struct cfg_pool *p, const struct pools_seams *seams)
{
	*s = (struct space){.seams = seams};
	int rc = load_excludes(s, p);
	if (rc == 0)
		rc = load_segments(s, p);
	if (rc == 0) {
		subtract_excludes(s);
		rc = load_reserved(s, p);
	}
	if (rc == 0)
		rc = load_shards(s);
	if (rc == 0 && (uint64_t)s->block_count * BITS_SIZE <= SPACE_EAGER)
		for (; rc == 0 && s->next_block < s->block_count; s->next_block++)
			rc = hash_block(s, s->next_block);
	if (rc)
		space_fini(s);
	return rc;
}

void space_fini(struct space *s)
{
	for (uint32_t b = 0; s->blocks && b < s->block_count; b++)
		if (s->blocks[b] && s->blocks[b] != &no_block) {
			free(s->blocks[b]->links);
			free(s->blocks[b]);
		}
	free(s->blocks);
	free(s->summaries);
	free(s->shards);
	free(s->segments);
	free(s->sparse);
	free(s->excludes);
	free(s->reserved);
	*s = (struct space){0};
}

// ---- the queue of released addresses

static struct ip_addr address_of(const struct space *s, uint32_t number)
{
	const struct space_block *block = s->blocks[number / BITS_SIZE];
	const struct space_segment *seg = &s->segments[block->segment];
	struct ip_addr a = seg->range.lo;
	bool fits = ip_add(&seg->range.lo, number - seg->first_block * BITS_SIZE, &a);
	(void)fits; // a block lies inside its segment
	return a;
}

static struct space_link *link_of(struct space *s, uint32_t number)
{
	return &s->blocks[number / BITS_SIZE]->links[number % BITS_SIZE];
}

static void enqueue(struct space *s, struct space_shard *h, uint32_t number)
{
	*link_of(s, number) = (struct space_link){h->newest, SPACE_NONE};
	if (h->newest == SPACE_NONE)
		h->oldest = number;
	else
		link_of(s, h->newest)->next = number;
	h->newest = number;
	h->released++;
}

static void dequeue(struct space *s, struct space_shard *h, uint32_t number)
{
	struct space_link at = *link_of(s, number);
	if (at.prev == SPACE_NONE)
		h->oldest = at.next;
	else
		link_of(s, at.prev)->next = at.next;
	if (at.next == SPACE_NONE)
		h->newest = at.prev;
	else
		link_of(s, at.next)->prev = at.prev;
	h->released--;
}

static bool take_released(struct space *s, uint16_t shard, struct ip_addr *out)
{
	struct space_shard *h = &s->shards[shard];
	if (h->released == 0)
		return false;
	*out = address_of(s, h->oldest);
	dequeue(s, h, h->oldest);
	return true;
}

// ---- never used

static void use_fresh(struct space *s, uint16_t shard, uint32_t b, unsigned i)
{
	struct space_shard *h = &s->shards[shard];
	bits_clear(&s->blocks[b]->fresh[shard], i);
	if (bits_empty(&s->blocks[b]->fresh[shard]))
		bits_clear(&h->blocks[b / BITS_SIZE], b % BITS_SIZE);
	h->fresh--;
}

// Hash on until the shard has an address, a bounded number of blocks each time.
static int hash_more(struct space *s, uint16_t shard)
{
	unsigned hashed = 0;
	while (s->shards[shard].fresh == 0 && s->next_block < s->block_count &&
		hashed < HASH_AT_ONCE) {
		int rc = hash_block(s, s->next_block);
		if (rc)
			return rc;
		hashed += s->blocks[s->next_block++] != &no_block;
	}
	return 0;
}

static int take_fresh(struct space *s, uint16_t shard, struct ip_addr *out)
{
	struct space_shard *h = &s->shards[shard];
	int rc = hash_more(s, shard);
	if (rc)
		return rc;
	if (h->fresh == 0)
		return 0;
	uint32_t chunk = 0;
	while (bits_empty(&h->blocks[chunk]))
		chunk++;
	uint32_t b = chunk * BITS_SIZE + bits_first(&h->blocks[chunk]);
	unsigned i = bits_first(&s->blocks[b]->fresh[shard]);
	*out = address_of(s, b * BITS_SIZE + i);
	use_fresh(s, shard, b, i);
	return 1;
}

static u128 to_number(const struct ip_addr *a)
{
	u128 v = 0;
	for (size_t i = 0; i < ip_len(a->family); i++)
		v = v << 8 | a->bytes[i];
	return v;
}

static struct ip_addr from_number(uint8_t family, u128 v)
{
	struct ip_addr a = {.family = family};
	for (size_t i = ip_len(family); i-- > 0; v >>= 8)
		a.bytes[i] = (uint8_t)v;
	return a;
}

// Uniform in the range: bits beyond its size are masked away, what is still too large is refused.
static bool draw(const struct space *s, const struct ip_range *r, struct ip_addr *out)
{
	u128 lo = to_number(&r->lo), span = to_number(&r->hi) - lo, mask = span;
	for (unsigned shift = 1; shift < 128; shift *= 2)
		mask |= mask >> shift;
	u128 v;
	random_fill(s->seams->random, &v, sizeof(v));
	v &= mask;
	if (v > span)
		return false;
	*out = from_number(r->lo.family, lo + v);
	return true;
}

static bool take_sparse(struct space *s, uint16_t shard, bool any_shard, struct ip_addr *out)
{
	unsigned tries = 32u + 16u * s->seams->workers;
	while (s->sparse_count && tries--) {
		uint64_t pick = s->sparse_count > 1 ? random_u64(s->seams->random) : 0;
		const struct space_segment *seg = &s->segments[s->sparse[pick % s->sparse_count]];
		struct ip_addr a;
		if (!draw(s, &seg->range, &a) || (!any_shard && space_shard_of(s, &a) != shard) ||
			excluded(s, &a) || s->busy(s->ctx, &a))
			continue;
		*out = a;
		return true;
	}
	return false;
}

static int take_of_shard(struct space *s, uint16_t shard, struct ip_addr *out)
{
	int rc = take_fresh(s, shard, out);
	if (rc)
		return rc;
	return take_sparse(s, shard, false, out) || take_released(s, shard, out);
}

int space_take(struct space *s, uint16_t shard, struct ip_addr *out)
{
	uint16_t most = 0;
	int rc = take_of_shard(s, shard, out);
	if (rc)
		return rc;
	for (uint16_t w = 0; w < s->seams->workers; w++)
		if (s->shards[w].fresh + s->shards[w].released >
			s->shards[most].fresh + s->shards[most].released)
			most = w;
	rc = take_of_shard(s, most, out);
	if (rc)
		return rc;
	return take_sparse(s, shard, true, out);
}

int space_take_this(struct space *s, const struct ip_addr *a)
{
	const struct space_segment *seg = find_segment(s, a);
	if (!seg || seg->sparse)
		return 0;
	uint32_t offset = (uint32_t)ip_distance(&seg->range.lo, a);
	uint32_t b = seg->first_block + offset / BITS_SIZE;
	unsigned i = offset % BITS_SIZE;
	int rc = hash_block(s, b);
	if (rc)
		return rc;
	uint16_t shard = space_shard_of(s, a);
	if (bits_test(&s->blocks[b]->fresh[shard], i))
		use_fresh(s, shard, b, i);
	else
		dequeue(s, &s->shards[shard], b * BITS_SIZE + i);
	return 0;
}

void space_give_back(struct space *s, const struct ip_addr *a)
{
	const struct space_segment *seg = find_segment(s, a);
	if (!seg || seg->sparse)
		return;
	uint32_t number = seg->first_block * BITS_SIZE + (uint32_t)ip_distance(&seg->range.lo, a);
	enqueue(s, &s->shards[space_shard_of(s, a)], number);
}
