// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/dst_ranges.h"

#include <errno.h>
#include <stdlib.h>

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

struct dp_dst {
	struct dp_dst_head head; // first
	struct dst_map *map;     // what head.ranges is of
	_Atomic(struct table *) table;
	struct table *retired;
	struct dst_map *retired_maps;
	struct dp_grace grace;
	// How many entries each prefix length has, [0]: IPv4, [1]: IPv6; workers read the lengths
	// in use, longest first, from the bitmaps.
	uint32_t bits_count[2][BITS_MAX];
	_Atomic uint64_t bits_used[2][3]; // bit b of word w: length 64 w + b
	// The lengths of the inside's own networks. They matter to those alone whose tunnel has a
	// prefix around them: they are in use while there is one of any length.
	uint64_t inside_bits[2][3];
	uint32_t prefix_count[2];   // of tunnels, single addresses not counted
	uint32_t own[DP_ADDRS_MAX]; // the gateway's IPv4 addresses, network order
	unsigned own_count;
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

// Returns the number of the grace period after which it goes.
static uint64_t map_retire(struct dp_dst *d, struct dst_map *m)
{
	if (!m || !d->grace.passed) { // no worker runs yet
		dst_map_free(m);
		return 0;
	}
	m->retired_at = d->grace.passed(d->grace.ctx);
	m->retired_next = d->retired_maps;
	d->retired_maps = m;
	return m->retired_at;
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

static void own_add_all(struct dp_dst *d, const struct cfg *c)
{
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		for (size_t k = 0; k < p->address_count && d->own_count < DP_ADDRS_MAX; k++)
			if (p->addresses[k].addr.family == IP_V4)
				memcpy(&d->own[d->own_count++], p->addresses[k].addr.bytes, 4);
	}
}

// The pools' ranges as the configuration has them, *count of them.
static struct dp_pool_range *ranges_of(const struct cfg *c, size_t *count)
{
	size_t n = 0;
	for (size_t i = 0; i < c->pool_count; i++)
		n += c->pools[i].range_count;
	struct dp_pool_range *r = calloc(n + 1, sizeof(*r));
	*count = 0;
	for (size_t i = 0; r && i < c->pool_count; i++)
		for (size_t k = 0; k < c->pools[i].range_count; k++)
			r[(*count)++] = dp_pool_range(&c->pools[i], k);
	return r;
}

static int set_pools_of(struct dp_dst *d, const struct cfg *c)
{
	size_t count;
	uint64_t seen;
	struct dp_pool_range *r = ranges_of(c, &count);
	int rc = r ? dp_dst_set_pools(d, r, count, &seen) : -ENOMEM;
	free(r);
	return rc;
}

int dp_dst_new(const struct cfg *c, struct dp_dst **out)
{
	struct dp_dst *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->table = table_new(1024);
	int rc = d->table ? set_pools_of(d, c) : -ENOMEM;
	own_add_all(d, c);
	if (rc == 0)
		rc = inside_add_all(d, c);
	if (rc) {
		dp_dst_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

void dp_dst_free(struct dp_dst *d)
{
	if (!d)
		return;
	dst_map_free(d->map);
	while (d->retired_maps) {
		struct dst_map *m = d->retired_maps;
		d->retired_maps = m->retired_next;
		dst_map_free(m);
	}
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

// ---- Writer ----

int dp_dst_set_pools(struct dp_dst *d, const struct dp_pool_range *r, size_t count, uint64_t *seen)
{
	struct dst_map *old = d->map, *m = dst_map_new(old, r, count);
	if (!m)
		return -ENOMEM;
	d->map = m;
	atomic_store_explicit(&d->head.ranges, &m->seen, memory_order_release);
	dp_dst_changed(d);
	*seen = map_retire(d, old);
	return (int)m->kept;
}

// A place in a flat array.
struct place {
	_Atomic uint64_t *at; // NULL: none
	uint16_t *live;
};

static struct place place_of(const struct dp_dst *d, const struct ip_prefix *p)
{
	const struct dst_piece *in = NULL;
	if (p->bits == ip_bits(p->addr.family))
		in = dst_map_find(d->map, p->addr.family, p->addr.bytes);
	if (!in)
		return (struct place){NULL, NULL};
	uint64_t i = in->first + ip_distance(&in->range.lo, &p->addr);
	return (struct place){&in->array->values[i], &in->array->live[i / DST_BLOCK]};
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

// The slot of an address or prefix in the hash, or NULL.
static struct slot *slot_of(const struct dp_dst *d, const struct ip_prefix *p)
{
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	bool found;
	struct slot *s = table_find(t, &k, &found);
	return found ? s : NULL;
}

// Its place, if that is where it goes: one that came before its pool is in the hash, and stays there.
static _Atomic uint64_t *value_of_owner(struct dp_dst *d, const struct ip_prefix *p)
{
	struct place flat = place_of(d, p);
	if (flat.at && load(flat.at))
		return flat.at;
	struct slot *s = slot_of(d, p);
	return s ? &s->value : NULL;
}

static int add_to_hash(struct dp_dst *d, const struct ip_prefix *p, uint64_t value)
{
	int rc = table_reserve(d);
	if (rc)
		return rc;
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct key k = key_of(p->addr.family, p->addr.bytes, p->bits);
	bool found;
	table_put(t, table_find(t, &k, &found), &k, value);
	length_add(d, p);
	return 0;
}

// What stands in IPv4's flat arrays is neither the gateway's own nor of a link (169.254/16), which workers
// need not ask then; such addresses are in the hash.
static bool may_be_flat(const struct dp_dst *d, const struct ip_addr *a)
{
	bool own = a->family == IP_V4 && a->bytes[0] == 169 && a->bytes[1] == 254;
	for (unsigned i = 0; i < d->own_count && a->family == IP_V4 && !own; i++)
		own = memcmp(&d->own[i], a->bytes, sizeof(d->own[i])) == 0;
	return !own;
}

int dp_dst_add(struct dp_dst *d, const struct ip_prefix *p, const struct dp_dst_entry *e)
{
	uint64_t value = value_of(e);
	_Atomic uint64_t *at = value_of_owner(d, p);
	struct place flat = place_of(d, p);
	int rc = 0;
	if (at && !same_tunnel(load(at), e->index, e->generation))
		return -EEXIST;
	if (at) {
		store(at, value);
	} else if (flat.at && may_be_flat(d, &p->addr)) {
		store(flat.at, value);
		++*flat.live;
		return 0; // what nobody remembers
	} else {
		rc = add_to_hash(d, p, value);
	}
	dp_dst_changed(d);
	return rc;
}

void dp_dst_del(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation)
{
	struct place flat = place_of(d, p);
	if (flat.at && load(flat.at)) {
		if (same_tunnel(load(flat.at), index, generation)) {
			store(flat.at, VALUE_EMPTY);
			--*flat.live;
		}
		return;
	}
	struct slot *s = slot_of(d, p);
	if (!s || !same_tunnel(load(&s->value), index, generation))
		return;
	store(&s->value, VALUE_GONE);
	atomic_load_explicit(&d->table, memory_order_relaxed)->live--;
	length_del(d, p);
	dp_dst_changed(d);
}

int dp_dst_move(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation,
	const struct dp_dst_entry *e)
{
	_Atomic uint64_t *at = value_of_owner(d, p);
	if (!at || !same_tunnel(load(at), index, generation))
		return -ENOENT;
	store(at, value_of(e));
	dp_dst_changed(d);
	return 0;
}

static void free_maps(struct dp_dst *d)
{
	struct dst_map **at = &d->retired_maps;
	while (*at) {
		struct dst_map *m = *at;
		if (!d->grace.reached(d->grace.ctx, m->retired_at)) {
			at = &m->retired_next;
			continue;
		}
		*at = m->retired_next;
		dst_map_free(m);
	}
}

void dp_dst_tick(struct dp_dst *d)
{
	free_maps(d);
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

static const _Atomic uint64_t *flat_at(
	const struct dp_dst_ranges *r, uint8_t family, const uint8_t *addr)
{
	if (family == IP_V4) {
		uint32_t v;
		memcpy(&v, addr, 4);
		return dp_dst_flat_in(r, rte_be_to_cpu_32(v));
	}
	const struct dst_piece *p = dst_map_find(dst_map_of(r), family, addr);
	if (!p)
		return NULL;
	struct ip_addr a = ip_from_bytes(family, addr);
	return &p->array->values[p->first + ip_distance(&p->range.lo, &a)];
}

enum dp_dst_result dp_dst_lookup(
	const struct dp_dst *d, uint8_t family, const uint8_t *addr, struct dp_dst_entry *out)
{
	const struct dp_dst_ranges *r = dp_dst_ranges(d);
	const _Atomic uint64_t *at = flat_at(r, family, addr);
	uint64_t v = at ? load(at) : VALUE_EMPTY;
	if (v) {
		dp_dst_entry_of(v, out);
		return DP_DST_TUNNEL;
	}
	const struct table *t = atomic_load_explicit(&d->table, memory_order_acquire);
	unsigned bits = 0, least = dst_map_bits(dst_map_of(r), family, addr, at != NULL);
	v = find_prefix(d, t, family, addr, &bits);
	// A pool's address or prefix belongs to whom it is leased, never to a prefix around it.
	if (least && (v <= VALUE_GONE || v == VALUE_INSIDE || bits < least))
		return DP_DST_POOL;
	if (!v || v == VALUE_INSIDE)
		return DP_DST_NONE;
	dp_dst_entry_of(v, out);
	return DP_DST_TUNNEL;
}
