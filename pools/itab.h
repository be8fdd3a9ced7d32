// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Open-addressed table of 32-bit tags (of a keyed hash) and 32-bit indices: eight bytes an entry, a
// look-up reads one cache line of it. Grows a few slots with each insert. Private to pools/.
#pragma once

#include "base/cursor.h"

struct itab {
	uint64_t *slots; // tag << 32 | index; 0: empty
	uint64_t *old;   // being emptied after a growth
	uint64_t mask;   // slots - 1
	uint64_t old_mask;
	uint64_t old_at;   // the slot emptied last: no run of entries crosses it
	uint64_t old_left; // slots that are still to be emptied
	uint64_t count;
};

// Where a look-up goes on.
struct itab_cursor {
	uint64_t at;
	bool in_old;
};

// 0 or -ENOMEM.
MUST_USE int itab_init(struct itab *t);
void itab_fini(struct itab *t);

// Makes sure that the next insert finds room. 0 or -ENOMEM.
MUST_USE int itab_reserve(struct itab *t);
// For so many inserts; takes the time that it takes.
MUST_USE int itab_reserve_all(struct itab *t, uint64_t n);
// Equal tags may stand beside each other. After itab_reserve(); index is not 0.
void itab_insert(struct itab *t, uint32_t tag, uint32_t index);
// False: it is not there.
bool itab_remove(struct itab *t, uint32_t tag, uint32_t index);
bool itab_replace(struct itab *t, uint32_t tag, uint32_t index, uint32_t with);

static inline void itab_prefetch(const struct itab *t, uint32_t tag)
{
	__builtin_prefetch(&t->slots[tag & t->mask]);
}

static inline struct itab_cursor itab_start(const struct itab *t, uint32_t tag)
{
	return (struct itab_cursor){.at = tag & t->mask};
}

// The next index with this tag, 0 at the end. The caller compares keys. No change meanwhile.
static inline uint32_t itab_next(const struct itab *t, uint32_t tag, struct itab_cursor *c)
{
	for (;;) {
		const uint64_t *slots = c->in_old ? t->old : t->slots;
		uint64_t mask = c->in_old ? t->old_mask : t->mask;
		uint64_t slot;
		while ((slot = slots[c->at])) {
			c->at = (c->at + 1) & mask;
			if (slot >> 32 == tag)
				return (uint32_t)slot;
		}
		if (c->in_old || !t->old)
			return 0;
		*c = (struct itab_cursor){.at = tag & t->old_mask, .in_old = true};
	}
}

// Memory of zeroes by the page: large arrays in huge pages where the system has them. NULL: none.
void *pages_new(size_t bytes);
void pages_free(void *p, size_t bytes);
