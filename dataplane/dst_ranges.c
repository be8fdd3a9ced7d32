// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/dst_ranges.h"

#include <stdlib.h>
#include <sys/mman.h>

// Pieces and ranges as they come together.
struct build {
	struct dst_piece *pieces;
	size_t piece_count, cap;
	size_t kept;
	bool failed; // no memory
};

static struct ip_addr before(struct ip_addr a)
{
	for (size_t i = ip_len(a.family); i-- && a.bytes[i]-- == 0;)
		;
	return a;
}

// The last address is nobody's: then a itself.
static struct ip_addr after(struct ip_addr a)
{
	struct ip_addr next = a;
	return ip_add(&a, 1, &next) ? next : a;
}

static struct ip_addr later(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) > 0 ? *a : *b;
}

static struct ip_addr earlier(const struct ip_addr *a, const struct ip_addr *b)
{
	return ip_cmp(a, b) < 0 ? *a : *b;
}

// ---- Arrays ----

static struct dst_array *array_new(uint64_t count)
{
	struct dst_array *a = calloc(1, sizeof(*a) + (count / DST_BLOCK + 1) * sizeof(a->live[0]));
	if (!a)
		return NULL;
	// Untouched pages cost nothing.
	void *p = mmap(NULL, count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		free(a);
		return NULL;
	}
	a->values = p;
	a->count = count;
	return a;
}

static void array_put(struct dst_array *a)
{
	if (--a->pieces)
		return;
	munmap(a->values, a->count * sizeof(uint64_t));
	free(a);
}

// Whether any of the values first to last is a tunnel's.
static bool array_live(const struct dst_array *a, uint64_t first, uint64_t last)
{
	uint64_t i = first;
	while (i <= last) {
		bool whole = i % DST_BLOCK == 0 && last - i >= DST_BLOCK - 1;
		bool none = a->live[i / DST_BLOCK] == 0;
		if (none || whole) {
			if (!none)
				return true;
			i = (i / DST_BLOCK + 1) * DST_BLOCK;
			continue;
		}
		if (atomic_load_explicit(&a->values[i], memory_order_relaxed))
			return true;
		i++;
	}
	return false;
}

// ---- Pieces ----

static bool follows(const struct dst_piece *p, const struct dst_piece *q)
{
	return p->array == q->array &&
	       p->first + ip_distance(&p->range.lo, &p->range.hi) + 1 == q->first;
}

static void piece_add(struct build *b, const struct dst_piece *p)
{
	if (b->piece_count && follows(&b->pieces[b->piece_count - 1], p)) {
		b->pieces[b->piece_count - 1].range.hi = p->range.hi;
		return;
	}
	if (b->piece_count == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 16;
		struct dst_piece *more = reallocarray(b->pieces, cap, sizeof(*more));
		if (!more) {
			b->failed = true;
			return;
		}
		b->pieces = more;
		b->cap = cap;
	}
	p->array->pieces++;
	b->pieces[b->piece_count++] = *p;
}

static struct dst_piece part_of(const struct dst_piece *p, struct ip_addr lo, struct ip_addr hi)
{
	return (struct dst_piece){{lo, hi}, p->array, p->first + ip_distance(&p->range.lo, &lo)};
}

// No pool's any longer: goes, unless a tunnel has an address of it.
static void piece_leave(
	struct build *b, const struct dst_piece *p, struct ip_addr lo, struct ip_addr hi)
{
	struct dst_piece part = part_of(p, lo, hi);
	if (!array_live(part.array, part.first, part.first + ip_distance(&lo, &hi)))
		return;
	b->kept++;
	piece_add(b, &part);
}

static bool flat(const struct dp_pool_range *r)
{
	uint64_t count = ip_distance(&r->range.lo, &r->range.hi) + 1;
	if (r->bits != ip_bits(r->range.lo.family))
		return false;
	return r->range.lo.family == IP_V4 || (count != 0 && count <= DP_DST_DENSE_V6);
}

// What was one, cut by the ranges. Both are sorted.
static void pieces_take_over(
	struct build *b, const struct dst_map *old, const struct dp_pool_range *r, size_t count)
{
	size_t k = 0;
	for (size_t i = 0; old && i < old->piece_count; i++) {
		const struct dst_piece *p = &old->pieces[i];
		struct ip_addr at = p->range.lo;
		bool rest = true;
		while (k < count && ip_cmp(&r[k].range.hi, &at) < 0)
			k++;
		for (size_t n = k; n < count && ip_cmp(&r[n].range.lo, &p->range.hi) <= 0; n++) {
			struct ip_addr lo = later(&at, &r[n].range.lo);
			struct ip_addr hi = earlier(&p->range.hi, &r[n].range.hi);
			struct dst_piece part = part_of(p, lo, hi);
			if (ip_cmp(&at, &lo) < 0)
				piece_leave(b, p, at, before(lo));
			if (r[n].bits == ip_bits(lo.family))
				piece_add(b, &part);
			else
				piece_leave(b, p, lo, hi);
			rest = ip_cmp(&hi, &p->range.hi) < 0;
			at = after(hi);
		}
		if (rest)
			piece_leave(b, p, at, p->range.hi);
	}
}

static void piece_new(struct build *b, struct ip_addr lo, struct ip_addr hi)
{
	struct dst_piece p = {{lo, hi}, array_new(ip_distance(&lo, &hi) + 1), 0};
	if (!p.array) {
		b->failed = true;
		return;
	}
	p.array->pieces = 1;
	piece_add(b, &p);
	array_put(p.array);
}

// What the ranges have beyond the pieces that there are.
static void pieces_make(struct build *b, const struct dp_pool_range *r, size_t count)
{
	size_t there = b->piece_count, k = 0;
	for (size_t i = 0; i < count && !b->failed; i++) {
		struct ip_addr at = r[i].range.lo;
		bool rest = true;
		if (!flat(&r[i]))
			continue;
		while (k < there && ip_cmp(&b->pieces[k].range.hi, &at) < 0)
			k++;
		for (size_t n = k; n < there; n++) {
			struct ip_range in = b->pieces[n].range;
			if (ip_cmp(&in.lo, &r[i].range.hi) > 0)
				break;
			if (ip_cmp(&at, &in.lo) < 0)
				piece_new(b, at, before(in.lo));
			rest = ip_cmp(&in.hi, &r[i].range.hi) < 0;
			at = after(in.hi);
		}
		if (rest)
			piece_new(b, at, r[i].range.hi);
	}
}

// ---- Maps ----

static int piece_order(const void *a, const void *b)
{
	return ip_cmp(
		&((const struct dst_piece *)a)->range.lo, &((const struct dst_piece *)b)->range.lo);
}

static int range_order(const void *a, const void *b)
{
	return ip_cmp(&((const struct dp_pool_range *)a)->range.lo,
		&((const struct dp_pool_range *)b)->range.lo);
}

// Sorted, and those that overlap are one. Where they want prefixes of different lengths, the shorter
// ones may be right.
static size_t merge(struct dp_pool_range *r, size_t count)
{
	size_t n = 0;
	qsort(r, count, sizeof(*r), range_order);
	for (size_t i = 0; i < count; i++) {
		struct dp_pool_range *last = n ? &r[n - 1] : NULL;
		if (!last || !ip_range_overlaps(&last->range, &r[i].range)) {
			r[n++] = r[i];
			continue;
		}
		last->range.hi = later(&last->range.hi, &r[i].range.hi);
		last->bits = r[i].bits < last->bits ? r[i].bits : last->bits;
	}
	return n;
}

static struct dst_map *map_of(struct build *b, struct dp_pool_range *r, size_t count)
{
	struct dst_map *m = calloc(1, sizeof(*m) + (b->piece_count + 1) * sizeof(m->seen.flat[0]));
	if (!m)
		return NULL;
	if (b->piece_count)
		qsort(b->pieces, b->piece_count, sizeof(*b->pieces), piece_order);
	m->pieces = b->pieces;
	m->piece_count = b->piece_count;
	m->kept = b->kept;
	for (size_t i = 0; i < b->piece_count; i++) {
		const struct dst_piece *p = &b->pieces[i];
		if (p->range.lo.family == IP_V4)
			m->seen.flat[m->piece_v4++] = (struct dp_dst_flat){ip_to_v4(&p->range.lo),
				ip_to_v4(&p->range.hi), p->array->values + p->first};
	}
	m->seen.flat_count = m->piece_v4;
	for (size_t i = 0; i < count; i++)
		if (!flat(&r[i]))
			r[m->sparse_count++] = r[i];
	m->sparse = r;
	return m;
}

static void pieces_put(struct dst_piece *p, size_t count)
{
	for (size_t i = 0; i < count; i++)
		array_put(p[i].array);
	free(p);
}

struct dst_map *dst_map_new(const struct dst_map *old, const struct dp_pool_range *r, size_t count)
{
	struct build b = {0};
	struct dst_map *m = NULL;
	struct dp_pool_range *sorted = calloc(count + 1, sizeof(*sorted));
	if (!sorted)
		return NULL;
	if (count)
		memcpy(sorted, r, count * sizeof(*r));
	count = merge(sorted, count);
	pieces_take_over(&b, old, sorted, count);
	pieces_make(&b, sorted, count);
	if (!b.failed)
		m = map_of(&b, sorted, count);
	if (!m) {
		pieces_put(b.pieces, b.piece_count);
		free(sorted);
	}
	return m;
}

void dst_map_free(struct dst_map *m)
{
	if (!m)
		return;
	pieces_put(m->pieces, m->piece_count);
	free(m->sparse);
	free(m);
}

const struct dst_piece *dst_map_find(const struct dst_map *m, uint8_t family, const uint8_t *addr)
{
	size_t lo = family == IP_V4 ? 0 : m->piece_v4;
	size_t hi = family == IP_V4 ? m->piece_v4 : m->piece_count;
	if (lo == hi)
		return NULL;
	struct ip_addr a = ip_from_bytes(family, addr);
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct ip_range *r = &m->pieces[mid].range;
		if (ip_cmp(&a, &r->lo) < 0)
			hi = mid;
		else if (ip_cmp(&a, &r->hi) > 0)
			lo = mid + 1;
		else
			return &m->pieces[mid];
	}
	return NULL;
}

static unsigned sparse_bits(const struct dst_map *m, const struct ip_addr *a)
{
	size_t lo = 0, hi = m->sparse_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct dp_pool_range *r = &m->sparse[mid];
		if (ip_cmp(a, &r->range.lo) < 0)
			hi = mid;
		else if (ip_cmp(a, &r->range.hi) > 0)
			lo = mid + 1;
		else
			return r->bits;
	}
	return 0;
}

unsigned dst_map_bits(const struct dst_map *m, uint8_t family, const uint8_t *addr)
{
	if (m->sparse_count) {
		struct ip_addr a = ip_from_bytes(family, addr);
		unsigned bits = sparse_bits(m, &a);
		if (bits)
			return bits;
	}
	return dst_map_find(m, family, addr) ? ip_bits(family) : 0;
}
