// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/dst.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

// A value is generation | cause | index: 32, 6 and 26 bits. Generations begin at 1 and so do indices,
// so that these are never a tunnel's.
#define VALUE_EMPTY  0ull
#define VALUE_GONE   1ull // removed; a search goes on past it
#define VALUE_INSIDE (1ull << 32)

#define BITS_MAX 129

struct slot {
	_Atomic uint64_t hi, lo, tag; // address and prefix length
	_Atomic uint64_t value;
};

struct table {
	uint32_t mask;
	uint32_t used; // slots that are not empty, removed ones included
	uint32_t live;
	struct table *retired_next;
	uint64_t retired_at;
	struct slot slots[];
};

struct dense {
	struct ip_range range;
	uint64_t count;
	_Atomic uint64_t *values;
};

struct dp_dst {
	struct dp_dst_head head; // first
	struct dp_dst_flat *flat;
	struct dense *dense; // sorted by range.lo, IPv4 first
	size_t dense_count, dense_v4;
	struct ip_range *pools; // those without a flat array
	size_t pool_count;
	_Atomic(struct table *) table;
	struct table *retired;
	struct dp_grace grace;
	// How many entries each prefix length has, [0]: IPv4, [1]: IPv6; workers read the lengths
	// in use, longest first, from the bitmaps.
	uint32_t bits_count[2][BITS_MAX];
	_Atomic uint64_t bits_used[2][3]; // bit b of word w: length 64 w + b
	// The lengths of the inside's own networks. They matter to those alone whose tunnel has a
	// prefix around them: they are in use while there is one of any length.
	uint64_t inside_bits[2][3];
	uint32_t prefix_count[2]; // of tunnels, single addresses not counted
};

struct key {
	uint64_t hi, lo, tag;
};

static struct key key_of(uint8_t family, const uint8_t *addr, unsigned bits)
{
	uint64_t hi = 0, lo = 0;
	if (family == IP_V4) {
		uint32_t v;
		memcpy(&v, addr, 4);
		hi = (uint64_t)rte_be_to_cpu_32(v) << 32;
	} else {
		memcpy(&hi, addr, 8);
		memcpy(&lo, addr + 8, 8);
		hi = rte_be_to_cpu_64(hi);
		lo = rte_be_to_cpu_64(lo);
	}
	if (bits < 64)
		hi &= bits ? ~0ull << (64 - bits) : 0;
	if (bits <= 64)
		lo = 0;
	else if (bits < 128)
		lo &= ~0ull << (128 - bits);
	return (struct key){hi, lo, (uint64_t)family << 8 | bits};
}

static uint32_t key_hash(const struct key *k)
{
	uint64_t h = (k->hi ^ k->tag) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 29 ^ k->lo) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 32);
}

static uint64_t value_of(const struct dp_dst_entry *e)
{
	return (uint64_t)e->generation << 32 | (uint64_t)e->cause << DP_TUNNEL_INDEX_BITS |
	       e->index;
}

static bool same_tunnel(uint64_t v, uint32_t index, uint32_t generation)
{
	struct dp_dst_entry e;
	dp_dst_entry_of(v, &e);
	return e.index == index && e.generation == generation;
}

// ---- Hash ----

static struct table *table_new(uint32_t slots)
{
	struct table *t = calloc(1, sizeof(*t) + (size_t)slots * sizeof(struct slot));
	if (t)
		t->mask = slots - 1;
	return t;
}

static uint64_t load(const _Atomic uint64_t *p)
{
	return atomic_load_explicit(p, memory_order_acquire);
}

static void store(_Atomic uint64_t *p, uint64_t v)
{
	atomic_store_explicit(p, v, memory_order_release);
}

// The value of a key, or VALUE_EMPTY. A slot may be given to another key while it is read: then its
// value has changed by the second look, as it is taken away before the key is written.
static uint64_t table_get(const struct table *t, const struct key *k)
{
	for (uint32_t i = key_hash(k), n = 0; n <= t->mask; i++) {
		const struct slot *s = &t->slots[i & t->mask];
		uint64_t v = load(&s->value);
		if (v == VALUE_EMPTY)
			return VALUE_EMPTY;
		bool match = v != VALUE_GONE && load(&s->hi) == k->hi && load(&s->lo) == k->lo &&
			     load(&s->tag) == k->tag;
		if (!match) {
			n++;
			continue;
		}
		if (load(&s->value) == v)
			return v;
		i--; // look again
	}
	return VALUE_EMPTY;
}

// The slot with this key, or the first that could take it (NULL: full).
static struct slot *table_find(struct table *t, const struct key *k, bool *found)
{
	struct slot *room = NULL;
	*found = false;
	for (uint32_t i = key_hash(k), n = 0; n <= t->mask; i++, n++) {
		struct slot *s = &t->slots[i & t->mask];
		uint64_t v = load(&s->value);
		if (v <= VALUE_GONE && !room)
			room = s;
		if (v == VALUE_EMPTY)
			break;
		if (v != VALUE_GONE && load(&s->hi) == k->hi && load(&s->lo) == k->lo &&
			load(&s->tag) == k->tag) {
			*found = true;
			return s;
		}
	}
	return room;
}

static void table_put(struct table *t, struct slot *s, const struct key *k, uint64_t value)
{
	t->used += load(&s->value) == VALUE_EMPTY;
	t->live++;
	store(&s->hi, k->hi);
	store(&s->lo, k->lo);
	store(&s->tag, k->tag);
	store(&s->value, value);
}

static void table_retire(struct dp_dst *d, struct table *t)
{
	if (!d->grace.passed) { // no worker runs yet
		free(t);
		return;
	}
	t->retired_at = d->grace.passed(d->grace.ctx);
	t->retired_next = d->retired;
	d->retired = t;
}

// Room for one more: at most half of the slots hold something.
static int table_reserve(struct dp_dst *d)
{
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	if ((t->used + 1) * 2 <= t->mask + 1)
		return 0;
	uint32_t slots = t->mask + 1;
	if ((t->live + 1) * 4 > slots)
		slots *= 2;
	struct table *bigger = table_new(slots);
	if (!bigger)
		return -ENOMEM;
	for (uint32_t i = 0; i <= t->mask; i++) {
		struct slot *s = &t->slots[i];
		uint64_t v = load(&s->value);
		if (v <= VALUE_GONE)
			continue;
		struct key k = {load(&s->hi), load(&s->lo), load(&s->tag)};
		bool found;
		table_put(bigger, table_find(bigger, &k, &found), &k, v);
	}
	atomic_store_explicit(&d->table, bigger, memory_order_release);
	table_retire(d, t);
	return 0;
}

// ---- Pools ----

static int range_order(const void *a, const void *b)
{
	return ip_cmp(&((const struct dense *)a)->range.lo, &((const struct dense *)b)->range.lo);
}

static int pool_add(struct dp_dst *d, const struct ip_range *r)
{
	uint64_t count = ip_distance(&r->lo, &r->hi) + 1;
	if (r->lo.family == IP_V6 && (count == 0 || count > DP_DST_DENSE_V6)) {
		d->pools[d->pool_count++] = *r;
		return 0;
	}
	// Untouched pages cost nothing.
	void *p = mmap(NULL, count * sizeof(uint64_t), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return -errno;
	d->dense[d->dense_count++] = (struct dense){*r, count, p};
	d->dense_v4 += r->lo.family == IP_V4;
	return 0;
}

// ---- Inside ----

static int inside_add(struct dp_dst *d, const struct ip_prefix *p)
{
	// A default route is what any tunnel's may replace.
	if (p->bits == 0)
		return 0;
	int rc = table_reserve(d);
	if (rc)
		return rc;
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	bool found;
	struct slot *s = table_find(t, &k, &found);
	if (!found)
		table_put(t, s, &k, VALUE_INSIDE);
	d->inside_bits[p->addr.family == IP_V6][p->bits / 64] |= 1ull << p->bits % 64;
	return 0;
}

static int inside_add_all(struct dp_dst *d, const struct cfg *c)
{
	int rc = 0;
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		for (size_t k = 0; !rc && p->role == CFG_INSIDE && k < p->address_count; k++)
			rc = inside_add(d, &p->addresses[k]);
		for (size_t k = 0; !rc && p->role == CFG_INSIDE && k < p->route_count; k++)
			rc = inside_add(d, &p->routes[k].prefix);
	}
	return rc;
}

int dp_dst_new(const struct cfg *c, struct dp_dst **out)
{
	struct dp_dst *d = calloc(1, sizeof(*d));
	size_t ranges = 0;
	int rc = -ENOMEM;

	for (size_t i = 0; i < c->pool_count; i++)
		ranges += c->pools[i].range_count;
	if (!d)
		return -ENOMEM;
	d->dense = calloc(ranges + 1, sizeof(*d->dense));
	d->flat = calloc(ranges + 1, sizeof(*d->flat));
	d->pools = calloc(ranges + 1, sizeof(*d->pools));
	d->table = table_new(1024);
	if (!d->dense || !d->flat || !d->pools || !d->table)
		goto fail;
	for (size_t i = 0; i < c->pool_count; i++)
		for (size_t j = 0; j < c->pools[i].range_count; j++) {
			rc = pool_add(d, &c->pools[i].ranges[j]);
			if (rc)
				goto fail;
		}
	qsort(d->dense, d->dense_count, sizeof(*d->dense), range_order);
	for (size_t i = 0; i < d->dense_v4; i++)
		d->flat[i] = (struct dp_dst_flat){ip_to_v4(&d->dense[i].range.lo),
			ip_to_v4(&d->dense[i].range.hi), d->dense[i].values};
	d->head.flat = d->flat;
	d->head.flat_count = d->dense_v4;
	rc = inside_add_all(d, c);
	if (rc)
		goto fail;
	*out = d;
	return 0;
fail:
	dp_dst_free(d);
	return rc;
}

void dp_dst_free(struct dp_dst *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->dense_count; i++)
		munmap(d->dense[i].values, d->dense[i].count * sizeof(uint64_t));
	free(d->dense);
	free(d->flat);
	free(d->pools);
	free(d->table);
	while (d->retired) {
		struct table *t = d->retired;
		d->retired = t->retired_next;
		free(t);
	}
	free(d);
}

void dp_dst_set_grace(struct dp_dst *d, const struct dp_grace *g)
{
	d->grace = *g;
}

static _Atomic uint64_t *dense_v4_at(const struct dp_dst *d, const uint8_t *addr)
{
	uint32_t a;
	memcpy(&a, addr, 4);
	// The arrays are the control thread's to write.
	return (_Atomic uint64_t *)(uintptr_t)dp_dst_flat_v4(d, rte_be_to_cpu_32(a));
}

// The place of an address in a flat array, or NULL. Pools are few, and sorted.
static _Atomic uint64_t *dense_at(const struct dp_dst *d, uint8_t family, const uint8_t *addr)
{
	if (family == IP_V4)
		return dense_v4_at(d, addr);
	size_t lo = d->dense_v4, hi = d->dense_count;
	if (lo == hi)
		return NULL;
	struct ip_addr a = ip_from_bytes(family, addr);
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct ip_range *r = &d->dense[mid].range;
		if (ip_cmp(&a, &r->lo) < 0)
			hi = mid;
		else if (ip_cmp(&a, &r->hi) > 0)
			lo = mid + 1;
		else
			return &d->dense[mid].values[ip_distance(&r->lo, &a)];
	}
	return NULL;
}

static bool in_sparse_pool(const struct dp_dst *d, uint8_t family, const uint8_t *addr)
{
	if (d->pool_count == 0)
		return false;
	struct ip_addr a = ip_from_bytes(family, addr);
	for (size_t i = 0; i < d->pool_count; i++)
		if (ip_range_contains(&d->pools[i], &a))
			return true;
	return false;
}

// ---- Writer ----

// What workers remember of addresses outside the flat arrays holds no longer.
static void changed(struct dp_dst *d)
{
	atomic_fetch_add_explicit(&d->head.version, 1, memory_order_release);
}

static void bits_update(struct dp_dst *d, unsigned f, unsigned bits)
{
	_Atomic uint64_t *word = &d->bits_used[f][bits / 64];
	uint64_t bit = 1ull << bits % 64, old = load(word);
	bool inside = d->prefix_count[f] && (d->inside_bits[f][bits / 64] & bit);
	store(word, inside || d->bits_count[f][bits] ? old | bit : old & ~bit);
}

static void bits_add(struct dp_dst *d, unsigned f, unsigned bits, int n)
{
	d->bits_count[f][bits] += (uint32_t)n;
	bits_update(d, f, bits);
}

static void inside_matters(struct dp_dst *d, unsigned f, int n)
{
	bool before = d->prefix_count[f] > 0;
	d->prefix_count[f] += (uint32_t)n;
	for (unsigned b = 0; b < BITS_MAX && before != (d->prefix_count[f] > 0); b++)
		bits_update(d, f, b);
}

// The inside's lengths are in use before a prefix that may lie around them is, and longer.
static void length_add(struct dp_dst *d, const struct ip_prefix *p)
{
	unsigned f = p->addr.family == IP_V6;
	if (p->bits < ip_bits(p->addr.family))
		inside_matters(d, f, 1);
	bits_add(d, f, p->bits, 1);
}

static void length_del(struct dp_dst *d, const struct ip_prefix *p)
{
	unsigned f = p->addr.family == IP_V6;
	bits_add(d, f, p->bits, -1);
	if (p->bits < ip_bits(p->addr.family))
		inside_matters(d, f, -1);
}

int dp_dst_add(struct dp_dst *d, const struct ip_prefix *p, const struct dp_dst_entry *e)
{
	uint64_t value = value_of(e);
	if (p->bits == ip_bits(p->addr.family)) {
		_Atomic uint64_t *at = dense_at(d, p->addr.family, p->addr.bytes);
		if (at) {
			uint64_t old = load(at);
			if (old && !same_tunnel(old, e->index, e->generation))
				return -EEXIST;
			store(at, value);
			return 0;
		}
	}
	int rc = table_reserve(d);
	if (rc)
		return rc;
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	bool found;
	struct slot *s = table_find(t, &k, &found);
	if (found) {
		if (!same_tunnel(load(&s->value), e->index, e->generation))
			return -EEXIST;
		store(&s->value, value);
		changed(d);
		return 0;
	}
	table_put(t, s, &k, value);
	length_add(d, p);
	changed(d);
	return 0;
}

void dp_dst_del(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation)
{
	if (p->bits == ip_bits(p->addr.family)) {
		_Atomic uint64_t *at = dense_at(d, p->addr.family, p->addr.bytes);
		if (at) {
			if (same_tunnel(load(at), index, generation))
				store(at, VALUE_EMPTY);
			return;
		}
	}
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	bool found;
	struct slot *s = table_find(t, &k, &found);
	if (!found || !same_tunnel(load(&s->value), index, generation))
		return;
	store(&s->value, VALUE_GONE);
	t->live--;
	length_del(d, p);
	changed(d);
}

// Where the value of an address or prefix stands, or NULL.
static _Atomic uint64_t *value_at(struct dp_dst *d, const struct ip_prefix *p)
{
	_Atomic uint64_t *at = NULL;
	bool found;
	if (p->bits == ip_bits(p->addr.family))
		at = dense_at(d, p->addr.family, p->addr.bytes);
	if (at)
		return at;
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	struct slot *s = table_find(t, &k, &found);
	return found ? &s->value : NULL;
}

int dp_dst_move(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation,
	const struct dp_dst_entry *e)
{
	_Atomic uint64_t *at = value_at(d, p);
	if (!at || !same_tunnel(load(at), index, generation))
		return -ENOENT;
	store(at, value_of(e));
	changed(d);
	return 0;
}

void dp_dst_tick(struct dp_dst *d)
{
	struct table **at = &d->retired;
	while (*at) {
		struct table *t = *at;
		if (!d->grace.reached(d->grace.ctx, t->retired_at)) {
			at = &t->retired_next;
			continue;
		}
		*at = t->retired_next;
		free(t);
	}
}

// ---- Readers ----

// *bits gets the length of the prefix that was found.
static uint64_t find_prefix(const struct dp_dst *d, const struct table *t, uint8_t family,
	const uint8_t *addr, unsigned *bits)
{
	const _Atomic uint64_t *used = d->bits_used[family == IP_V6];
	for (int w = 2; w >= 0; w--) {
		uint64_t word = load(&used[w]);
		while (word) {
			int b = 63 - __builtin_clzll(word);
			struct key k = key_of(family, addr, (unsigned)(w * 64 + b));
			uint64_t v = table_get(t, &k);
			*bits = (unsigned)(w * 64 + b);
			if (v)
				return v;
			word &= ~(1ull << b);
		}
	}
	return VALUE_EMPTY;
}

enum dp_dst_result dp_dst_lookup(
	const struct dp_dst *d, uint8_t family, const uint8_t *addr, struct dp_dst_entry *out)
{
	const _Atomic uint64_t *at = dense_at(d, family, addr);
	uint64_t v = at ? load(at) : VALUE_EMPTY;
	unsigned bits = ip_bits(family);
	if (!at) {
		const struct table *t = atomic_load_explicit(&d->table, memory_order_acquire);
		v = find_prefix(d, t, family, addr, &bits);
	}
	// A pool's address belongs to whom it is leased, never to a prefix around it.
	if ((at && !v) || ((!v || bits < ip_bits(family)) && in_sparse_pool(d, family, addr)))
		return DP_DST_POOL;
	if (!v || v == VALUE_INSIDE)
		return DP_DST_NONE;
	dp_dst_entry_of(v, out);
	return DP_DST_TUNNEL;
}
