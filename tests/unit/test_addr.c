// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/addr.h"

static struct ip_range range(const char *text)
{
	struct ip_range r;
	assert_int_equal(ip_range_parse(text, &r), 0);
	return r;
}

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static void prefixes(void **state)
{
	static const struct {
		const char *text;
		bool keep_host;
		int rc;
		const char *back;
	} cases[] = {
		{"10.0.0.0/8", false, 0, "10.0.0.0/8"},
		{"10.0.0.1/8", false, -22, NULL},
		{"10.0.0.1/8", true, 0, "10.0.0.1/8"},
		{"0.0.0.0/0", false, 0, "0.0.0.0/0"},
		{"192.0.2.7", false, 0, "192.0.2.7/32"},
		{"2001:db8::/32", false, 0, "2001:db8::/32"},
		{"2001:db8::1/64", false, -22, NULL},
		{"10.0.0.0/33", false, -22, NULL},
		{"10.0.0.0/", false, -22, NULL},
		{"10.0.0.0/-1", false, -22, NULL},
		{"10.0.0.0/8x", false, -22, NULL},
		{"host.example/8", false, -22, NULL},
		{"", false, -22, NULL},
	};
	char buf[IP_TEXT_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ip_prefix p;
		assert_int_equal(
			ip_prefix_parse(cases[i].text, cases[i].keep_host, &p), cases[i].rc);
		if (cases[i].back)
			assert_string_equal(ip_prefix_text(&p, buf), cases[i].back);
	}
}

static void ranges(void **state)
{
	struct ip_range r;
	struct ip_prefix p;
	(void)state;
	assert_int_equal(ip_range_parse("10.0.0.9-10.0.0.1", &r), -22);
	assert_int_equal(ip_range_parse("10.0.0.9-2001:db8::", &r), -22);
	r = range("10.0.0.0 - 10.0.1.255");
	assert_true(ip_range_is_prefix(&r, &p) && p.bits == 23);
	r = range("10.0.0.1-10.0.0.2");
	assert_false(ip_range_is_prefix(&r, &p));
	r = range("2001:db8::/64");
	assert_true(ip_distance(&r.lo, &r.hi) == UINT64_MAX);
	r = range("10.0.0.0/8");
	assert_true(ip_distance(&r.lo, &r.hi) == 0xffffff);
	struct ip_addr a;
	assert_true(ip_add(&r.lo, 0x10203, &a));
	struct ip_addr want = addr("10.1.2.3");
	assert_true(ip_eq(&a, &want));
	a = addr("255.255.255.255");
	assert_false(ip_add(&a, 1, &a));
	a = addr("2001:db8::ffff:ffff:ffff:ffff");
	want = addr("2001:db8:0:1::");
	assert_true(ip_add(&a, 1, &a) && ip_eq(&a, &want));
}

static void selectors(void **state)
{
	struct ip_range wide = range("10.0.0.0/8"), one = range("10.1.2.3"),
			other = range("11.0.0.0/8");
	struct selector a = selector_of_range(&wide), b = selector_of_range(&one), out;
	char buf[SELECTOR_TEXT_MAX];
	(void)state;
	assert_true(selector_intersect(&a, &b, &out));
	assert_string_equal(selector_text(&out, buf), "10.1.2.3/32");
	assert_true(selector_within(&b, &a) && !selector_within(&a, &b));
	struct selector c = selector_of_range(&other);
	assert_false(selector_intersect(&a, &c, &out));
	a.proto = 6;
	a.port_lo = 80;
	a.port_hi = 90;
	b.port_lo = 85;
	assert_true(selector_intersect(&a, &b, &out));
	assert_string_equal(selector_text(&out, buf), "10.1.2.3/32[6/85-90]");
	b.proto = 17;
	assert_false(selector_intersect(&a, &b, &out));
	struct ip_addr dst = addr("10.9.9.9");
	assert_true(selector_matches(&a, &dst, 6, 80));
	assert_false(selector_matches(&a, &dst, 6, 91));
	assert_false(selector_matches(&a, &dst, 17, 80));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(ranges),
		cmocka_unit_test(selectors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
