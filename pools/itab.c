// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "pools/itab.h"

#include <errno.h>
#include <sys/mman.h>

#define MIN_LINES 64u
#define MAX_LINES (1ull << 29)
#define HUGE      ((size_t)2 << 20)
#define HUGE_FROM ((size_t)6 << 20) // below that, what huge pages waste is not worth their speed

// Huge pages need an alignment that mmap() does not give: more is mapped, and the ends go back.
static void *map_aligned(size_t bytes, int prot, int flags)
{
	uint8_t *p = mmap(NULL, bytes + HUGE, prot, flags | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	size_t head = (HUGE - (uintptr_t)p % HUGE) % HUGE;
	if (head)
		munmap(p, head);
	if (HUGE - head)
		munmap(p + head + bytes, HUGE - head);
	return p + head;
}

void *pages_reserve(size_t bytes)
{
	return map_aligned(bytes, PROT_NONE, MAP_NORESERVE);
}

int pages_back(void *p, size_t bytes, bool huge)
{
	if (mprotect(p, bytes, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	// Without, only slower.
	(void)madvise(p, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return 0;
}

void *pages_new(size_t bytes)
{
	if (bytes >= HUGE_FROM && bytes % HUGE == 0) {
		void *p = map_aligned(bytes, PROT_READ | PROT_WRITE, 0);
		if (p)
			(void)madvise(p, bytes, MADV_HUGEPAGE);
		return p;
	}
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
	*t = (struct itab){.mask = MIN_LINES - 1, .most = MIN_LINES * ITAB_LINE / 4 * 3};
	t->lines = pages_new(MIN_LINES * sizeof(*t->lines));
	return t->lines ? 0 : -ENOMEM;
}

void itab_fini(struct itab *t)
{
	pages_free(t->lines, (t->mask + 1) * sizeof(*t->lines));
	pages_free(t->old, (t->old_mask + 1) * sizeof(*t->old));
	*t = (struct itab){0};
}

static void put(struct itab_line *lines, uint64_t mask, uint32_t tag, uint32_t index)
{
	uint64_t at = tag & mask;
	unsigned empty;
	while (!(empty = itab_empty(&lines[at])))
		at = (at + 1) & mask;
	unsigned i = (unsigned)__builtin_ctz(empty);
	lines[at].tags[i] = tag;
	lines[at].indices[i] = index;
}

// At least one line, and always whole runs: a look-up that starts in what is left finds all that it would
// have found. Ends before the next growth.
static void move_some(struct itab *t)
{
	while (t->old_left) {
		t->old_at = (t->old_at + 1) & t->old_mask;
		t->old_left--;
		struct itab_line *l = &t->old[t->old_at];
		unsigned used = ~itab_empty(l) & ((1u << ITAB_LINE) - 1);
		bool full = used == (1u << ITAB_LINE) - 1;
		for (; used; used &= used - 1) {
			unsigned i = (unsigned)__builtin_ctz(used);
			put(t->lines, t->mask, l->tags[i], l->indices[i]);
		}
		*l = (struct itab_line){0};
		if (!full && t->old_left)
			return;
	}
	pages_free(t->old, (t->old_mask + 1) * sizeof(*t->old));
	t->old = NULL;
}

static bool grow(struct itab *t)
{
	uint64_t n = (t->mask + 1) * 2;
	struct itab_line *lines = n <= MAX_LINES ? pages_new(n * sizeof(*lines)) : NULL;
	if (!lines)
		return false;
	t->old = t->lines;
	t->old_mask = t->mask;
	t->old_left = t->mask + 1;
	t->old_at = 0;
	while (!itab_empty(&t->old[t->old_at]))
		t->old_at++;
	t->lines = lines;
	t->mask = n - 1;
	t->most = n * ITAB_LINE / 4 * 3;
	return true;
}

int itab_make_room(struct itab *t)
{
	if (t->old || grow(t))
		return 0;
	return t->count < (t->mask + 1) * (ITAB_LINE - 1) ? 0 : -ENOMEM;
}

int itab_reserve_all(struct itab *t, uint64_t n)
{
	while ((t->mask + 1) * (ITAB_LINE - 1) < t->count + n) {
		while (t->old)
			move_some(t);
		if (!grow(t))
			return -ENOMEM;
	}
	return 0;
}

void itab_insert_far(struct itab *t, uint32_t tag, uint32_t index)
{
	if (t->old)
		move_some(t);
	put(t->lines, t->mask, tag, index);
}

// A place, by its line and its number in it.
struct place_at {
	uint64_t at;
	unsigned i;
};

static bool find(const struct itab_line *lines, uint64_t mask, uint32_t tag, uint32_t index,
	struct place_at *out)
{
	uint64_t at = tag & mask;
	for (;; at = (at + 1) & mask) {
		const struct itab_line *l = &lines[at];
		unsigned found = itab_equal(l->indices, index) & itab_equal(l->tags, tag);
		if (found) {
			*out = (struct place_at){at, (unsigned)__builtin_ctz(found)};
			return true;
		}
		if (itab_empty(l))
			return false;
	}
}

// Whether any entry of this line had to go on to it from another one.
static bool has_others(const struct itab_line *l, uint64_t mask, uint64_t at)
{
	uint32_t other = 0;
	for (unsigned i = 0; i < ITAB_LINE; i++)
		other |= (l->tags[i] ^ (uint32_t)at) & (uint32_t)mask & (l->indices[i] ? ~0u : 0);
	return other;
}

// A full line has got a gap, which what had to go on to a later line may fill, and then leaves one there.
static void close_gap(struct itab_line *lines, uint64_t mask, struct place_at gap)
{
	for (uint64_t at = (gap.at + 1) & mask;; at = (at + 1) & mask) {
		struct itab_line *l = &lines[at];
		unsigned empty = itab_empty(l);
		for (unsigned i = has_others(l, mask, at) ? 0 : ITAB_LINE; i < ITAB_LINE; i++) {
			uint64_t home = l->tags[i] & mask;
			if (!l->indices[i] || ((at - home) & mask) < ((at - gap.at) & mask))
				continue;
			lines[gap.at].tags[gap.i] = l->tags[i];
			lines[gap.at].indices[gap.i] = l->indices[i];
			l->indices[i] = 0;
			gap = (struct place_at){at, i};
			break;
		}
		if (empty)
			return;
	}
}

static void empty_place(struct itab_line *lines, uint64_t mask, struct place_at p)
{
	bool full = !itab_empty(&lines[p.at]);
	lines[p.at].indices[p.i] = 0;
	if (full)
		close_gap(lines, mask, p);
}

bool itab_remove_far(struct itab *t, uint32_t tag, uint32_t index)
{
	struct place_at p;
	if (find(t->lines, t->mask, tag, index, &p))
		empty_place(t->lines, t->mask, p);
	else if (t->old && find(t->old, t->old_mask, tag, index, &p))
		empty_place(t->old, t->old_mask, p);
	else
		return false;
	t->count--;
	return true;
}

bool itab_replace(struct itab *t, uint32_t tag, uint32_t index, uint32_t with)
{
	struct place_at p;
	if (find(t->lines, t->mask, tag, index, &p))
		t->lines[p.at].indices[p.i] = with;
	else if (t->old && find(t->old, t->old_mask, tag, index, &p))
		t->old[p.at].indices[p.i] = with;
	else
		return false;
	return true;
}
