// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/itab.h"

#include <errno.h>
#include <sys/mman.h>

#define MIN_SLOTS 512u
#define MAX_SLOTS (1ull << 32)
#define MOVE_AT_ONCE \
	8u // slots emptied by one insert, and the rest of a run: ends before the next growth
#define HUGE      ((size_t)2 << 20)
#define HUGE_FROM ((size_t)8 << 20) // below that, what huge pages waste is not worth their speed

// Huge pages need an alignment that mmap() does not give: more is mapped, and the ends go back.
static void *pages_aligned(size_t bytes)
{
	uint8_t *p = mmap(
		NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	size_t head = (HUGE - (uintptr_t)p % HUGE) % HUGE;
	if (head)
		munmap(p, head);
	if (HUGE - head)
		munmap(p + head + bytes, HUGE - head);
	(void)madvise(p + head, bytes, MADV_HUGEPAGE); // without, only slower
	return p + head;
}

void *pages_new(size_t bytes)
{
	if (bytes >= HUGE_FROM && bytes % HUGE == 0)
		return pages_aligned(bytes);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

void pages_free(void *p, size_t bytes)
{
	if (p)
		munmap(p, bytes);
}

int itab_init(struct itab *t)
{
	*t = (struct itab){.mask = MIN_SLOTS - 1};
	t->slots = pages_new(MIN_SLOTS * sizeof(*t->slots));
	return t->slots ? 0 : -ENOMEM;
}

void itab_fini(struct itab *t)
{
	pages_free(t->slots, (t->mask + 1) * sizeof(*t->slots));
	pages_free(t->old, (t->old_mask + 1) * sizeof(*t->old));
	*t = (struct itab){0};
}

static void put(uint64_t *slots, uint64_t mask, uint64_t slot)
{
	uint64_t at = (slot >> 32) & mask;
	while (slots[at])
		at = (at + 1) & mask;
	slots[at] = slot;
}

// Always whole runs: a look-up that starts in what is left finds all that it would have found.
static void move_some(struct itab *t)
{
	for (unsigned n = 0; t->old_left; n++) {
		uint64_t at = (t->old_at + 1) & t->old_mask, slot = t->old[at];
		if (n >= MOVE_AT_ONCE && !slot)
			return;
		t->old_at = at;
		t->old_left--;
		t->old[at] = 0;
		if (slot)
			put(t->slots, t->mask, slot);
	}
	pages_free(t->old, (t->old_mask + 1) * sizeof(*t->old));
	t->old = NULL;
}

static bool grow(struct itab *t)
{
	uint64_t n = (t->mask + 1) * 2;
	uint64_t *slots = n <= MAX_SLOTS ? pages_new(n * sizeof(*slots)) : NULL;
	if (!slots)
		return false;
	t->old = t->slots;
	t->old_mask = t->mask;
	t->old_left = t->mask + 1;
	t->old_at = 0;
	while (t->old[t->old_at])
		t->old_at++;
	t->slots = slots;
	t->mask = n - 1;
	return true;
}

int itab_reserve(struct itab *t)
{
	uint64_t slots = t->mask + 1;
	if (t->old || t->count < slots / 4 * 3 || grow(t))
		return 0;
	return t->count < slots / 8 * 7 ? 0 : -ENOMEM;
}

int itab_reserve_all(struct itab *t, uint64_t n)
{
	while ((t->mask + 1) / 8 * 7 < t->count + n) {
		while (t->old)
			move_some(t);
		if (!grow(t))
			return -ENOMEM;
	}
	return 0;
}

void itab_insert(struct itab *t, uint32_t tag, uint32_t index)
{
	if (t->old)
		move_some(t);
	put(t->slots, t->mask, (uint64_t)tag << 32 | index);
	t->count++;
}

static uint64_t *find(uint64_t *slots, uint64_t mask, uint64_t slot)
{
	uint64_t at = (slot >> 32) & mask;
	for (; slots[at]; at = (at + 1) & mask)
		if (slots[at] == slot)
			return &slots[at];
	return NULL;
}

// Closes the gap: what stands behind it and belongs at it or before moves up.
static void close_gap(uint64_t *slots, uint64_t mask, uint64_t gap)
{
	for (uint64_t at = (gap + 1) & mask; slots[at]; at = (at + 1) & mask) {
		uint64_t home = (slots[at] >> 32) & mask;
		if (((at - home) & mask) >= ((at - gap) & mask)) {
			slots[gap] = slots[at];
			gap = at;
		}
	}
	slots[gap] = 0;
}

bool itab_remove(struct itab *t, uint32_t tag, uint32_t index)
{
	uint64_t slot = (uint64_t)tag << 32 | index;
	uint64_t *at = find(t->slots, t->mask, slot);
	if (at) {
		close_gap(t->slots, t->mask, (uint64_t)(at - t->slots));
	} else {
		at = t->old ? find(t->old, t->old_mask, slot) : NULL;
		if (!at)
			return false;
		close_gap(t->old, t->old_mask, (uint64_t)(at - t->old));
	}
	t->count--;
	return true;
}

bool itab_replace(struct itab *t, uint32_t tag, uint32_t index, uint32_t with)
{
	uint64_t slot = (uint64_t)tag << 32 | index;
	uint64_t *at = find(t->slots, t->mask, slot);
	if (!at && t->old)
		at = find(t->old, t->old_mask, slot);
	if (at)
		*at = (uint64_t)tag << 32 | with;
	return at;
}
