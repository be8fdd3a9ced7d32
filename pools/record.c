// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/record.h"

#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#define CHUNK_BYTES (BITS_SIZE * (sizeof(struct record) + sizeof(struct ident)))
#define ARENA_BYTES (ARENA_BLOCKS * CHUNK_BYTES) // three huge pages
#define SMALL_ARENAS \
	1u // of ordinary pages: a pool of some thousand leases takes no more than it needs

int records_init(struct records *t)
{
	*t = (struct records){.count = 1}; // no index is 0
	return itab_init(&t->by_addr);
}

static void free_idents(struct records *t, const struct block *b)
{
	for (uint32_t i = 0; b->used && i < BITS_SIZE; i++)
		if (b->records[i].used)
			ident_clear(t, b->number * BITS_SIZE + i);
}

void records_fini(struct records *t)
{
	for (uint32_t i = 1; i < t->count && t->blocks; i++) {
		struct block *b = t->blocks[i];
		if (!b)
			continue;
		free_idents(t, b);
		free(b->addrs);
		free(b);
	}
	while (t->arenas) {
		struct arena *a = t->arenas;
		t->arenas = a->next;
		pages_free(a->bytes, ARENA_BYTES);
		free(a);
	}
	free(t->blocks);
	free(t->free_numbers);
	free(t->free_chunks);
	itab_fini(&t->by_addr);
	*t = (struct records){0};
}

// ---- blocks

static bool room_for_block(struct records *t)
{
	if (t->free_count || t->count < t->room)
		return true;
	uint32_t room = t->room ? t->room * 2 : 64;
	if (room > MAX_BLOCKS)
		return false;
	struct block **blocks = reallocarray(t->blocks, room, sizeof(struct block *));
	if (blocks)
		t->blocks = blocks;
	uint32_t *numbers = reallocarray(t->free_numbers, room, sizeof(*numbers));
	if (numbers)
		t->free_numbers = numbers;
	void **chunks = reallocarray(t->free_chunks, room, sizeof(void *));
	if (chunks)
		t->free_chunks = chunks;
	if (!blocks || !numbers || !chunks)
		return false;
	t->blocks[0] = NULL;
	t->room = room;
	return true;
}

static bool new_arena(struct records *t)
{
	struct arena *a = calloc(1, sizeof(*a));
	if (!a)
		return false;
	a->bytes = pages_new(ARENA_BYTES);
	if (!a->bytes) {
		free(a);
		return false;
	}
	if (t->arena_count++ < SMALL_ARENAS)
		(void)madvise(a->bytes, ARENA_BYTES, MADV_NOHUGEPAGE);
	a->next = t->arenas;
	t->arenas = a;
	t->arena_used = 0;
	return true;
}

static void *chunk_get(struct records *t)
{
	if (t->chunk_count)
		return t->free_chunks[--t->chunk_count];
	if ((!t->arenas || t->arena_used == ARENA_BLOCKS) && !new_arena(t))
		return NULL;
	return t->arenas->bytes + t->arena_used++ * CHUNK_BYTES;
}

struct block *block_new(struct records *t, size_t shards, bool loose)
{
	struct block *b = NULL;
	uint8_t *chunk = room_for_block(t) ? chunk_get(t) : NULL;
	if (!chunk)
		return NULL;
	b = calloc(1, sizeof(*b) + (loose ? 0 : shards) * sizeof(struct bits));
	if (b && loose)
		b->addrs = calloc(BITS_SIZE, sizeof(*b->addrs));
	if (!b || (loose && !b->addrs)) {
		free(b);
		t->free_chunks[t->chunk_count++] = chunk;
		return NULL;
	}
	b->number = t->free_count ? t->free_numbers[--t->free_count] : t->count++;
	b->records = (struct record *)(void *)chunk;
	b->idents = (struct ident *)(void *)(chunk + BITS_SIZE * sizeof(struct record));
	t->blocks[b->number] = b;
	return b;
}

void block_free(struct records *t, struct block *b)
{
	memset(b->records, 0, CHUNK_BYTES);
	t->free_chunks[t->chunk_count++] = b->records;
	t->free_numbers[t->free_count++] = b->number;
	t->blocks[b->number] = NULL;
	free(b->addrs);
	free(b);
}

// ---- loose records

uint32_t record_tag(const struct records *t, const struct ip_addr *a)
{
	return (uint32_t)siphash13(t->key, a, sizeof(*a));
}

uint32_t loose_new(struct records *t, const struct ip_addr *a, uint32_t tag)
{
	uint32_t index = t->loose_free;
	if (itab_reserve(&t->by_addr))
		return NONE;
	if (index) {
		t->loose_free = record_at(t, index)->next_owned;
		*record_at(t, index) = (struct record){0};
	} else {
		if (!t->loose_block || t->loose_used == BITS_SIZE) {
			struct block *b = block_new(t, 0, true);
			if (!b)
				return NONE;
			t->loose_block = b->number;
			t->loose_used = 0;
		}
		index = t->loose_block * BITS_SIZE + t->loose_used++;
	}
	block_at(t, index)->addrs[index % BITS_SIZE] = *a;
	itab_insert(&t->by_addr, tag, index);
	return index;
}

void loose_free(struct records *t, uint32_t index, uint32_t tag)
{
	itab_remove(&t->by_addr, tag, index);
	*record_at(t, index) = (struct record){.next_owned = t->loose_free};
	t->loose_free = index;
}

uint32_t loose_find(const struct records *t, const struct ip_addr *a, uint32_t tag)
{
	struct itab_cursor c = itab_start(&t->by_addr, tag);
	uint32_t index;
	while ((index = itab_next(&t->by_addr, tag, &c)))
		if (ip_eq(&block_at(t, index)->addrs[index % BITS_SIZE], a))
			break;
	return index;
}

// ---- who holds it

static struct ident *ident_at(const struct records *t, uint32_t index)
{
	return &t->blocks[index / BITS_SIZE]->idents[index % BITS_SIZE];
}

// In a far ident the pointer stands where the bytes were.
static struct ident_far *far_of(const struct ident *id)
{
	struct ident_far *far;
	memcpy(&far, id->bytes, sizeof(far));
	return far;
}

size_t ident_name_at(struct view key, const char *name, size_t len)
{
	if (len == 0 || key.len == 0)
		return key.len;
	if (key.len >= len + 2 && memcmp(key.p + 2, name, len) == 0)
		return 2;
	if (key.len >= len && memcmp(key.p + key.len - len, name, len) == 0)
		return key.len - len;
	return key.len;
}

int ident_set(struct records *t, uint32_t index, struct view key, const char *name, size_t name_len,
	size_t name_at)
{
	struct ident *id = ident_at(t, index);
	size_t apart = name_at == key.len ? name_len : 0, total = key.len + apart;
	uint8_t *bytes = id->bytes;
	if (total <= IDENT_BYTES) {
		id->key_len = (uint8_t)key.len;
		id->name_at = (uint8_t)name_at;
		id->name_len = (uint8_t)name_len;
	} else {
		struct ident_far *far = malloc(sizeof(*far) + total);
		if (!far)
			return -ENOMEM;
		*far = (struct ident_far){(uint16_t)key.len, (uint16_t)name_at, (uint16_t)name_len};
		id->key_len = IDENT_FAR;
		memcpy(id->bytes, &far, sizeof(far));
		bytes = far->bytes;
		record_at(t, index)->far = true;
	}
	if (key.len)
		memcpy(bytes, key.p, key.len);
	if (apart)
		memcpy(bytes + key.len, name, name_len);
	return 0;
}

void ident_far_free(struct records *t, uint32_t index)
{
	struct ident *id = ident_at(t, index);
	free(far_of(id));
	id->key_len = 0;
	record_at(t, index)->far = false;
}

struct ident_view ident_of(const struct records *t, uint32_t index)
{
	const struct ident *id = ident_at(t, index);
	if (id->key_len == IDENT_FAR) {
		const struct ident_far *far = far_of(id);
		return (struct ident_view){
			{far->bytes, far->key_len}, {far->bytes + far->name_at, far->name_len}};
	}
	return (struct ident_view){
		{id->bytes, id->key_len}, {id->bytes + id->name_at, id->name_len}};
}
