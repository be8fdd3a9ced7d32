// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/record.h"

#include "base/htab.h"
#include "base/sanitize.h"

#include <errno.h>
#include <stdlib.h>

#define MAX_BLOCKS     (1u << (INDEX_BITS - 12))
#define LEAST_BLOCKS   (1u << 8)
#define BLOCKS_AT_ONCE 16u  // that get memory: three huge pages
#define BLOCKS_SMALL   128u // at first without huge pages, of which the last ones are not full
#define SLOTS_SIZE     (BITS_SIZE * sizeof(struct slot))

// Addresses for as many as the process may have; they cost nothing.
static int reserve(struct records *t)
{
	for (t->room = MAX_BLOCKS; t->room >= LEAST_BLOCKS; t->room /= 2) {
		t->at = pages_reserve(t->room * SLOTS_SIZE);
		if (t->at) {
			pages_hold_pointers(t->at, t->room * SLOTS_SIZE);
			return 0;
		}
	}
	return -ENOMEM;
}

int records_init(struct records *t)
{
	*t = (struct records){.count = 1}; // no index is 0
	int rc = reserve(t);
	if (rc)
		return rc;
	t->blocks = pages_new(t->room * sizeof(struct block *));
	t->free_numbers = pages_new(t->room * sizeof(*t->free_numbers));
	t->heads = pages_new(t->room * sizeof(*t->heads));
	if (t->heads)
		pages_hold_pointers(t->heads, t->room * sizeof(*t->heads));
	rc = t->blocks && t->free_numbers && t->heads ? itab_init(&t->by_addr) : -ENOMEM;
	return rc ? rc : itab_init(&t->by_base);
}

static void free_idents(struct records *t, const struct block *b)
{
	for (uint32_t i = 0; b->used && i < BITS_SIZE; i++)
		if (b->slots[i].record.far)
			ident_far_free(t, &b->slots[i].record);
}

void records_fini(struct records *t)
{
	for (uint32_t i = 1; t->blocks && i < t->count; i++) {
		struct block *b = t->blocks[i];
		if (!b)
			continue;
		free_idents(t, b);
		free(b->addrs);
		free(b->fresh);
	}
	if (t->at)
		pages_hold_none(t->at, t->room * SLOTS_SIZE);
	if (t->heads)
		pages_hold_none(t->heads, t->room * sizeof(*t->heads));
	pages_free(t->at, t->room * SLOTS_SIZE);
	pages_free(t->heads, t->room * sizeof(*t->heads));
	pages_free(t->blocks, t->room * sizeof(struct block *));
	pages_free(t->free_numbers, t->room * sizeof(*t->free_numbers));
	itab_fini(&t->by_addr);
	itab_fini(&t->by_base);
	*t = (struct records){0};
}

// ---- blocks

// Few leases take no more memory than they need.
static bool back_more(struct records *t)
{
	size_t first = (size_t)t->backed * BITS_SIZE;
	bool huge = t->backed >= BLOCKS_SMALL;
	if (t->backed + BLOCKS_AT_ONCE > t->room ||
		pages_back(t->at + first, BLOCKS_AT_ONCE * SLOTS_SIZE, huge))
		return false;
	t->backed += BLOCKS_AT_ONCE;
	t->end = t->backed * BITS_SIZE;
	return true;
}

struct block *block_new(struct records *t, size_t shards, bool loose)
{
	if (!t->free_count && t->count >= t->backed && !back_more(t))
		return NULL;
	struct ip_addr *addrs = loose ? calloc(BITS_SIZE, sizeof(*addrs)) : NULL;
	struct bits *fresh = loose ? NULL : calloc(shards, sizeof(*fresh));
	if (!addrs && !fresh)
		return NULL;
	uint32_t number = t->free_count ? t->free_numbers[--t->free_count] : t->count++;
	struct block *b = t->blocks[number] = &t->heads[number];
	*b = (struct block){.slots = t->at + (size_t)number * BITS_SIZE,
		.addrs = addrs,
		.fresh = fresh,
		.number = number};
	return b;
}

void block_free(struct records *t, struct block *b)
{
	memset(b->slots, 0, SLOTS_SIZE);
	t->free_numbers[t->free_count++] = b->number;
	t->blocks[b->number] = NULL;
	free(b->addrs);
	free(b->fresh);
}

// ---- loose records

static uint32_t tag_of(const struct records *t, const struct ip_addr *a)
{
	return (uint32_t)siphash13(t->key, a, sizeof(*a));
}

static void widen(struct records *t, const struct ip_addr *a)
{
	struct loose_bounds *b = &t->loose_bounds[a->family == IP_V6];
	u128 v = num_of(a);
	b->lo = !b->any || v < b->lo ? v : b->lo;
	b->hi = !b->any || v > b->hi ? v : b->hi;
	b->any = true;
}

bool loose_near(const struct records *t, uint8_t family, u128 lo, u128 hi)
{
	const struct loose_bounds *b = &t->loose_bounds[family == IP_V6];
	return b->any && lo <= b->hi && b->lo <= hi;
}

struct record *loose_new(struct records *t, const struct ip_addr *a)
{
	uint32_t index = t->loose_free;
	if (itab_reserve(&t->by_addr))
		return NULL;
	if (index) {
		t->loose_free = record_at(t, index)->next_owned;
	} else {
		if (!t->loose_block || t->loose_used == BITS_SIZE) {
			struct block *b = block_new(t, 0, true);
			if (!b)
				return NULL;
			t->loose_block = b->number;
			t->loose_used = 0;
		}
		index = t->loose_block * BITS_SIZE + t->loose_used++;
	}
	struct record *r = record_at(t, index);
	*r = (struct record){.loose = true};
	block_of(t, r)->addrs[index % BITS_SIZE] = *a;
	widen(t, a);
	itab_insert(&t->by_addr, tag_of(t, a), index);
	return r;
}

void loose_free(struct records *t, struct record *r)
{
	struct ip_addr a = record_addr(t, r);
	itab_remove(&t->by_addr, tag_of(t, &a), record_index(t, r));
	*r = (struct record){.next_owned = t->loose_free};
	t->loose_free = record_index(t, r);
}

struct record *loose_find(const struct records *t, const struct ip_addr *a)
{
	uint32_t tag = tag_of(t, a);
	struct itab_cursor c = itab_start(&t->by_addr, tag);
	uint32_t index;
	while ((index = itab_next(&t->by_addr, tag, &c)))
		if (ip_eq(&t->blocks[index / BITS_SIZE]->addrs[index % BITS_SIZE], a))
			return record_at(t, index);
	return NULL;
}

// ---- blocks outside all ranges

static uint32_t base_tag(const struct records *t, uint8_t family, unsigned shift, u128 base)
{
	uint64_t key[3] = {(uint64_t)base, (uint64_t)(base >> 64), family | shift << 8};
	return (uint32_t)siphash13(t->key, key, sizeof(key));
}

void gone_add(struct records *t, struct block *b)
{
	b->gone = true;
	t->gone_shifts |= (u128)1 << b->shift;
	itab_insert(&t->by_base, base_tag(t, b->family, b->shift, b->base), b->number);
}

void gone_forget(struct records *t, struct block *b)
{
	b->gone = false;
	itab_remove(&t->by_base, base_tag(t, b->family, b->shift, b->base), b->number);
	if (t->by_base.count == 0)
		t->gone_shifts = 0;
}

// Of a unit's first address. Ranges that lay beside each other may have had a block each, of the same base.
static struct record *gone_unit(
	const struct records *t, const struct ip_addr *a, unsigned shift, uint32_t unit)
{
	u128 base = num_of(a) - ((u128)unit << shift);
	uint32_t tag = base_tag(t, a->family, shift, base), number;
	struct itab_cursor c = itab_start(&t->by_base, tag);
	while ((number = itab_next(&t->by_base, tag, &c))) {
		const struct block *b = t->blocks[number];
		bool same = b->base == base && b->family == a->family && b->shift == shift;
		if (same && b->slots[unit].record.used)
			return &b->slots[unit].record;
	}
	return NULL;
}

// Mostly there are single addresses alone: one look.
static struct record *gone_find(const struct records *t, const struct ip_addr *a)
{
	struct record *r = NULL;
	for (unsigned shift = 0; !r && shift < 128 && t->gone_shifts >> shift; shift++) {
		u128 in = num_of(a) & (((u128)BITS_SIZE << shift) - 1);
		bool begins = !(in & (((u128)1 << shift) - 1));
		if ((t->gone_shifts >> shift & 1) && begins)
			r = gone_unit(t, a, shift, (uint32_t)(in >> shift));
	}
	return r;
}

struct record *outside_find(const struct records *t, const struct ip_addr *a)
{
	struct record *r = loose_find(t, a);
	return r || !t->gone_shifts ? r : gone_find(t, a);
}

static bool loose_within(const struct block *b, uint8_t family, u128 lo, u128 hi)
{
	for (uint32_t i = 0; i < BITS_SIZE; i++) {
		u128 v = num_of(&b->addrs[i]);
		if (b->slots[i].record.used && b->addrs[i].family == family && lo <= v && v <= hi)
			return true;
	}
	return false;
}

static bool gone_within(const struct block *b, uint8_t family, u128 lo, u128 hi)
{
	u128 last = b->base + (((u128)BITS_SIZE << b->shift) - 1);
	if (b->family != family || hi < b->base || last < lo)
		return false;
	for (uint32_t i = 0; i < BITS_SIZE; i++) {
		u128 v = b->base + ((u128)i << b->shift);
		if (b->slots[i].record.used && lo <= v && v <= hi)
			return true;
	}
	return false;
}

bool outside_within(const struct records *t, uint8_t family, u128 lo, u128 hi)
{
	bool loose = loose_near(t, family, lo, hi), found = false;
	for (uint32_t n = 1; !found && (loose || t->gone_shifts) && n < t->count; n++) {
		const struct block *b = t->blocks[n];
		if (b && b->addrs)
			found = loose && loose_within(b, family, lo, hi);
		else if (b && b->gone)
			found = gone_within(b, family, lo, hi);
	}
	return found;
}

// ---- who holds it

// In a far ident the pointer stands where the bytes were.
static struct ident_far *far_of(const struct ident *id)
{
	struct ident_far *far;
	memcpy(&far, id->bytes, sizeof(far));
	return far;
}

int ident_set_far(struct records *t, struct record *r, const struct owner_key *k)
{
	struct ident *id = ident_at(r);
	size_t apart = k->name_at == k->len ? k->name.len : 0;
	struct ident_far *far = malloc(sizeof(*far) + k->len + apart);
	if (!far)
		return -ENOMEM;
	*far = (struct ident_far){k->len, k->name_at, (uint16_t)k->name.len};
	id->key_len = IDENT_FAR;
	memcpy(id->bytes, &far, sizeof(far));
	append(owner_key_put(k, far->bytes), k->name.p, apart);
	r->far = true;
	return 0;
}

void ident_far_free(struct records *t, struct record *r)
{
	struct ident *id = ident_at(r);
	free(far_of(id));
	id->key_len = 0;
	r->far = false;
}

struct ident_view ident_of(const struct records *t, const struct record *r)
{
	const struct ident *id = ident_at(r);
	if (id->key_len == IDENT_FAR) {
		const struct ident_far *far = far_of(id);
		return (struct ident_view){
			{far->bytes, far->key_len}, {far->bytes + far->name_at, far->name_len}};
	}
	return (struct ident_view){
		{id->bytes, id->key_len}, {id->bytes + id->name_at, id->name_len}};
}
