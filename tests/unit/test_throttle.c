// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/clock.h"
#include "controlplane/throttle.h"

#include <stdio.h>

#define WINDOW_NS (IKE_THROTTLE_WINDOW_S * NS_PER_S)

static const uint8_t key[16] = {1, 2, 3};

static struct view text(const char *s)
{
	return (struct view){(const uint8_t *)s, strlen(s)};
}

static struct ip_addr addr(const char *s)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(s, &a), 0);
	return a;
}

static void by_user(void **state)
{
	struct wheel w;
	wheel_init(&w, 0);
	struct ike_throttle *t = ike_throttle_new(&w, key);
	for (unsigned i = 0; i < IKE_THROTTLE_USER; i++) {
		struct ip_addr from = ip_from_v4(0x0a000000 + i);
		assert_false(ike_throttled(t, text("user1"), &from, 0));
		ike_throttle_failed(t, text("user1"), &from, 0);
	}
	struct ip_addr elsewhere = addr("192.0.2.7");
	assert_true(ike_throttled(t, text("user1"), &elsewhere, 0));
	assert_false(ike_throttled(t, text("user2"), &elsewhere, 0));
	assert_true(ike_throttled(t, text("user1"), &elsewhere, WINDOW_NS - 1));
	assert_false(ike_throttled(t, text("user1"), &elsewhere, WINDOW_NS));
	assert_int_equal(ike_throttle_count(t), 0);
	ike_throttle_free(t);
}

static void by_source(void **state)
{
	static const struct {
		const char *from, *other;
		bool same;
	} cases[] = {
		{"192.0.2.7", "192.0.2.7", true},
		{"192.0.2.7", "192.0.2.8", false},
		{"2001:db8::1", "2001:db8::ffff:1", true}, // of one /64
		{"2001:db8::1", "2001:db8:0:1::1", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wheel w;
		wheel_init(&w, 0);
		struct ike_throttle *t = ike_throttle_new(&w, key);
		struct ip_addr from = addr(cases[i].from), other = addr(cases[i].other);
		char name[32];
		for (unsigned n = 0; n < IKE_THROTTLE_SOURCE; n++) {
			snprintf(name, sizeof(name), "user%u", n);
			assert_false(ike_throttled(t, text("somebody"), &from, 0));
			ike_throttle_failed(t, text(name), &from, 0);
		}
		assert_int_equal(ike_throttled(t, text("somebody"), &other, 0), cases[i].same);
		ike_throttle_free(t);
	}
}

static void success_forgets(void **state)
{
	struct wheel w;
	wheel_init(&w, 0);
	struct ike_throttle *t = ike_throttle_new(&w, key);
	struct ip_addr from = addr("192.0.2.7");
	for (unsigned i = 0; i < IKE_THROTTLE_USER - 1; i++)
		ike_throttle_failed(t, text("user1"), &from, 0);
	ike_throttle_forget(t, text("user1"));
	ike_throttle_forget(t, text("nobody"));
	ike_throttle_failed(t, text("user1"), &from, 0);
	assert_false(ike_throttled(t, text("user1"), &from, 0));
	ike_throttle_free(t);
}

// The timer alone empties it.
static void nothing_stays(void **state)
{
	struct wheel w;
	wheel_init(&w, 0);
	struct ike_throttle *t = ike_throttle_new(&w, key);
	struct ip_addr from = addr("192.0.2.7");
	ike_throttle_failed(t, text("user1"), &from, 0);
	ike_throttle_failed(t, text("user2"), &from, WINDOW_NS / 2);
	assert_int_equal(ike_throttle_count(t), 3);
	wheel_advance(&w, WINDOW_NS + NS_PER_MS);
	assert_int_equal(ike_throttle_count(t), 1);
	wheel_advance(&w, 2 * WINDOW_NS);
	assert_int_equal(ike_throttle_count(t), 0);
	assert_int_equal(wheel_next_ns(&w), UINT64_MAX);
	ike_throttle_free(t);
}

// A spray over many names makes room for itself alone.
static void bounded(void **state)
{
	struct wheel w;
	wheel_init(&w, 0);
	struct ike_throttle *t = ike_throttle_new(&w, key);
	char name[32];
	for (uint32_t i = 0; i < 3 * IKE_THROTTLE_MAX; i++) {
		struct ip_addr from = ip_from_v4(0x0a000000 + i);
		snprintf(name, sizeof(name), "user%u", i);
		ike_throttle_failed(t, text(name), &from, 0);
		assert_true(ike_throttle_count(t) <= IKE_THROTTLE_MAX);
	}
	struct ip_addr from = addr("192.0.2.7");
	assert_false(ike_throttled(t, text("somebody"), &from, 0));
	ike_throttle_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_user),
		cmocka_unit_test(by_source),
		cmocka_unit_test(success_forgets),
		cmocka_unit_test(nothing_stays),
		cmocka_unit_test(bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
