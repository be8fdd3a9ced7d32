// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Hierarchical timer wheel: O(1) set and cancel, 1 ms ticks, up to 2^32 ms. One thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#define WHEEL_LEVELS 4
#define WHEEL_SLOTS  256

// Embedded in what it belongs to. Zeroed memory is a timer that is not set.
struct wheel_timer {
	LIST_ENTRY(wheel_timer) link;
	uint64_t due_ms;
	bool set;
	bool near; // private: in the lowest level
	void (*fire)(struct wheel_timer *t, void *arg);
	void *arg;
};

LIST_HEAD(wheel_slot, wheel_timer);

struct wheel {
	uint64_t now_ms; // every timer due at or before this has fired
	uint32_t armed;
	uint32_t near; // of them in the lowest level
	struct wheel_slot slots[WHEEL_LEVELS][WHEEL_SLOTS];
};

void wheel_init(struct wheel *w, uint64_t now_ns);

// Fire once at due_ns or up to 1 ms later; a timer that is already set is moved. The callback may
// set or cancel any timer, its own too, and free its owner.
void wheel_set(struct wheel *w, struct wheel_timer *t, uint64_t due_ns,
	void (*fire)(struct wheel_timer *, void *), void *arg);
void wheel_cancel(struct wheel *w, struct wheel_timer *t);

// Fire everything due. Costs what fires, and the milliseconds passed since the last call, but of a
// stretch of 256 of them without a timer only one.
void wheel_advance(struct wheel *w, uint64_t now_ns);

// Nanoseconds, absolute, of a moment not later than the next timer; UINT64_MAX if none is set.
uint64_t wheel_next_ns(const struct wheel *w);
