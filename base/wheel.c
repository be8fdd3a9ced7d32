// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/wheel.h"

#include <stddef.h>

#define NS_PER_TICK 1000000ull
#define SLOT_BITS   8
#define SPAN(level) (1ull << (SLOT_BITS * ((level) + 1)))

void wheel_init(struct wheel *w, uint64_t now_ns)
{
	*w = (struct wheel){.now_ms = now_ns / NS_PER_TICK};
	for (int l = 0; l < WHEEL_LEVELS; l++)
		for (int s = 0; s < WHEEL_SLOTS; s++)
			LIST_INIT(&w->slots[l][s]);
}

static unsigned slot_of(uint64_t ms, int level)
{
	return (unsigned)(ms >> (SLOT_BITS * level)) & (WHEEL_SLOTS - 1);
}

// A timer lies at the lowest level whose present revolution contains its time, so that a slot of
// a level never mixes revolutions.
static void insert(struct wheel *w, struct wheel_timer *t)
{
	uint64_t due = t->due_ms;
	int level = 0;
	while (level < WHEEL_LEVELS - 1 && (due / SPAN(level)) != (w->now_ms / SPAN(level)))
		level++;
	if (level == WHEEL_LEVELS - 1 && due - w->now_ms >= SPAN(level))
		due = w->now_ms + SPAN(level) - 1; // beyond 49 days: looked at again then
	t->near = level == 0;
	w->near += t->near;
	LIST_INSERT_HEAD(&w->slots[level][slot_of(due, level)], t, link);
}

void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ns,
	void (*fire)(struct wheel_timer *, void *), void *arg)
{
	wheel_cancel(w, t);
	uint64_t due = (due_ns + NS_PER_TICK - 1) / NS_PER_TICK;
	t->due_ms = due > w->now_ms ? due : w->now_ms + 1;
	t->fire = fire;
	t->arg = arg;
	t->set = true;
	w->armed++;
	insert(w, t);
}

void wheel_cancel(struct wheel *w, struct wheel_timer *t)
{
	if (!t->set)
		return;
	LIST_REMOVE(t, link);
	t->set = false;
	w->armed--;
	w->near -= t->near;
}

// At the start of a revolution of the level below, what waits one level up moves down.
static void cascade(struct wheel *w)
{
	for (int level = 1; level < WHEEL_LEVELS; level++) {
		struct wheel_slot *slot = &w->slots[level][slot_of(w->now_ms, level)];
		struct wheel_slot moving;
		LIST_INIT(&moving);
		struct wheel_timer *t;
		while ((t = LIST_FIRST(slot))) {
			LIST_REMOVE(t, link);
			LIST_INSERT_HEAD(&moving, t, link);
		}
		while ((t = LIST_FIRST(&moving))) {
			LIST_REMOVE(t, link);
			insert(w, t);
		}
		if (slot_of(w->now_ms, level) != 0)
			break;
	}
}

void wheel_advance(struct wheel *w, uint64_t now_ns)
{
	uint64_t now = now_ns / NS_PER_TICK;
	while (w->now_ms < now) {
		if (w->armed == 0) {
			w->now_ms = now;
			return;
		}
		if (w->near == 0) {
			uint64_t last = w->now_ms | (WHEEL_SLOTS - 1);
			if (last >= now) {
				w->now_ms = now;
				return;
			}
			w->now_ms = last;
		}
		w->now_ms++;
		if (slot_of(w->now_ms, 0) == 0)
			cascade(w);
		struct wheel_slot *slot = &w->slots[0][slot_of(w->now_ms, 0)];
		struct wheel_timer *t;
		while ((t = LIST_FIRST(slot))) {
			wheel_cancel(w, t);
			if (t->due_ms > w->now_ms) {
				t->set = true;
				w->armed++;
				insert(w, t);
				continue;
			}
			t->fire(t, t->arg);
		}
	}
}

uint64_t wheel_next_ns(const struct wheel *w)
{
	if (w->armed == 0)
		return UINT64_MAX;
	for (uint64_t ms = w->now_ms + 1; w->near && slot_of(ms, 0) != 0; ms++)
		if (!LIST_EMPTY(&w->slots[0][slot_of(ms, 0)]))
			return ms * NS_PER_TICK;
	return ((w->now_ms / WHEEL_SLOTS + 1) * WHEEL_SLOTS) * NS_PER_TICK;
}
