// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/wheel.h"

#include <stdlib.h>

#define MS 1000000ull

struct probe {
	struct wheel_timer timer;
	struct wheel *wheel;
	uint64_t due_ms;
	unsigned fired;
};

static void fired(struct wheel_timer *t, void *arg)
{
	struct probe *p = arg;
	(void)t;
	assert_int_equal(p->wheel->now_ms, p->due_ms);
	p->fired++;
}

// Timers at many distances and from many starting points each fire once, in their millisecond.
static void fires_when_due(void **state)
{
	static const uint64_t distance[] = {
		1, 2, 255, 256, 257, 511, 65535, 65536, 65537, 70000, 131072, 16777216, 16777300};
	static const uint64_t start[] = {
		0, 1, 255, 256, 65535, 65536, 100000, 16777215, 4294967290ull};
	(void)state;
	for (size_t s = 0; s < sizeof(start) / sizeof(start[0]); s++) {
		struct wheel *w = malloc(sizeof(*w));
		struct probe p[13] = {0};
		wheel_init(w, start[s] * MS);
		for (int i = 0; i < 13; i++) {
			p[i].wheel = w;
			p[i].due_ms = start[s] + distance[i];
			wheel_set(w, &p[i].timer, p[i].due_ms * MS, fired, &p[i]);
		}
		wheel_cancel(w, &p[5].timer);
		uint64_t end = start[s] + distance[12];
		while (w->armed) {
			uint64_t next = wheel_next_ns(w);
			assert_true(next <= end * MS);
			wheel_advance(w, next);
		}
		for (int i = 0; i < 13; i++)
			assert_int_equal(p[i].fired, i == 5 ? 0 : 1);
		free(w);
	}
}

static void again(struct wheel_timer *t, void *arg)
{
	struct probe *p = arg;
	if (++p->fired < 5)
		wheel_set(p->wheel, t, (p->wheel->now_ms + 300) * MS, again, p);
}

static void callback_may_set_itself(void **state)
{
	struct wheel *w = malloc(sizeof(*w));
	struct probe p = {.wheel = w};
	(void)state;
	wheel_init(w, 17 * MS);
	wheel_set(w, &p.timer, 20 * MS, again, &p);
	wheel_advance(w, 2000 * MS);
	assert_int_equal(p.fired, 5);
	assert_int_equal(w->armed, 0);
	free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fires_when_due),
		cmocka_unit_test(callback_may_set_itself),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
