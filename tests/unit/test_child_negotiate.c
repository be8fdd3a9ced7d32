// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/session.h"
#include "tests/cmocka_all.h"

#include <stdio.h>

static struct selector ts(const char *range)
{
	struct ip_range r;
	assert_int_equal(ip_range_parse(range, &r), 0);
	return selector_of_range(&r);
}

static void ranges_to_prefixes(void **state)
{
	static const struct {
		const char *range;
		const char *prefixes[8];
	} rows[] = {
		{"10.7.0.0/16", {"10.7.0.0/16"}},
		{"10.7.0.1", {"10.7.0.1/32"}},
		{"0.0.0.0-255.255.255.255", {"0.0.0.0/0"}},
		{"::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", {"::/0"}},
		{"10.0.0.1-10.0.0.6", {"10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"}},
		{"10.0.0.255-10.0.1.0", {"10.0.0.255/32", "10.0.1.0/32"}},
		{"255.255.255.254-255.255.255.255", {"255.255.255.254/31"}},
		{"128.0.0.0-255.255.255.255", {"128.0.0.0/1"}},
		{"2001:db8::1-2001:db8::2", {"2001:db8::1/128", "2001:db8::2/128"}},
	};
	struct ip_prefix out[IKE_ROUTES_MAX];
	char text[IP_TEXT_MAX];
	uint8_t n;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct selector s = ts(rows[i].range);
		assert_true(ike_selectors_prefixes(&s, 1, out, &n));
		for (uint8_t k = 0; k < n; k++) {
			assert_non_null(rows[i].prefixes[k]);
			assert_string_equal(ip_prefix_text(&out[k], text), rows[i].prefixes[k]);
		}
		assert_null(rows[i].prefixes[n]);
	}
	// 62 prefixes cover this one; twice that many are too many.
	struct selector wide[2] = {ts("0.0.0.1-255.255.255.254"), ts("0.0.0.1-255.255.255.254")};
	assert_true(ike_selectors_prefixes(wide, 1, out, &n));
	assert_int_equal(n, 62);
	assert_false(ike_selectors_prefixes(wide, 2, out, &n));
}

static void pools_are_not_claimed(void **state)
{
	struct ip_range range;
	assert_int_equal(ip_range_parse("10.1.0.0-10.1.0.255", &range), 0);
	struct cfg_pool pool = {.ranges = &range, .range_count = 1};
	struct cfg cfg = {.pools = &pool, .pool_count = 1};
	static const struct {
		const char *range;
		const char *left; // "": refused
	} rows[] = {
		{"10.1.0.7", ""},
		{"10.1.0.0/24", ""},
		{"10.1.0.128/25", ""},
		{"10.0.255.0-10.1.0.127", ""}, // claims the pool's first half
		{"10.1.0.255-10.2.0.0", ""},
		{"10.0.0.0/8", "10.0.0.0/16 10.1.1.0-10.255.255.255 "},
		{"10.1.0.0/16", "10.1.1.0-10.1.255.255 "},
		{"10.0.0.0-10.1.0.255", "10.0.0.0/16 "},
		{"0.0.0.0/0", "0.0.0.0-10.0.255.255 10.1.1.0-255.255.255.255 "},
		{"10.2.0.0/24", "10.2.0.0/24 "},
		{"2001:db8::/64", "2001:db8::/64 "},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct selector s = ts(rows[i].range), left[SA_SELECTORS_MAX];
		char text[4 * SELECTOR_TEXT_MAX] = "", one[SELECTOR_TEXT_MAX];
		uint8_t n = 0;
		bool fine = ike_selectors_without_pools(&cfg, &s, 1, left, &n);
		assert_int_equal(fine, rows[i].left[0] != 0);
		for (uint8_t k = 0; fine && k < n; k++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
				selector_text(&left[k], one));
		assert_string_equal(text, rows[i].left);
	}
}

// Ports and protocol stay; pools side by side leave no gap; what does not fit is refused.
static void pools_within_any(void **state)
{
	struct ip_range ranges[SA_SELECTORS_MAX];
	struct cfg_pool pool = {.ranges = ranges, .range_count = 2};
	struct cfg cfg = {.pools = &pool, .pool_count = 1};
	struct selector any = ts("0.0.0.0/0"), left[SA_SELECTORS_MAX];
	uint8_t n;
	any.proto = 17;
	any.port_lo = any.port_hi = 53;
	assert_int_equal(ip_range_parse("10.1.0.128-10.1.0.255", &ranges[0]), 0);
	assert_int_equal(ip_range_parse("10.1.0.0-10.1.0.127", &ranges[1]), 0);
	assert_true(ike_selectors_without_pools(&cfg, &any, 1, left, &n));
	assert_int_equal(n, 2);
	assert_int_equal(left[1].proto, 17);
	assert_int_equal(left[1].port_hi, 53);
	for (unsigned i = 0; i < SA_SELECTORS_MAX; i++) {
		ranges[i].lo = ip_from_v4(0x0a000000 + i * 256);
		ranges[i].hi = ip_from_v4(0x0a000000 + i * 256 + 127);
	}
	pool.range_count = SA_SELECTORS_MAX - 1;
	assert_true(ike_selectors_without_pools(&cfg, &any, 1, left, &n));
	assert_int_equal(n, SA_SELECTORS_MAX);
	pool.range_count = SA_SELECTORS_MAX;
	assert_false(ike_selectors_without_pools(&cfg, &any, 1, left, &n));
	ranges[0] = ts("0.0.0.0/0").range;
	pool.range_count = 1;
	assert_false(ike_selectors_without_pools(&cfg, &any, 1, left, &n));
}

static void the_peer_side(void **state)
{
	struct selector policy = ts("10.7.0.0/16"), local_ts = ts("10.99.0.0/24");
	struct lease lease = {0};
	struct ip_addr outer, own;
	struct wire_ts local, remote;
	char text[SELECTOR_TEXT_MAX];
	assert_int_equal(ip_parse("198.51.100.2", &outer), 0);
	assert_int_equal(ip_parse("192.0.2.1", &own), 0);
	assert_int_equal(ip_parse("10.1.0.5", &lease.addr), 0);
	lease.prefix_len = 32;
	struct cfg_child conf = {.local_ts = &local_ts, .local_ts_count = 1};
	struct ike_peer_side peer = {NULL, 0, &outer, &own};
	ike_child_offer(&conf, &peer, &local, &remote);
	assert_int_equal(remote.count, 1);
	assert_string_equal(selector_text(&remote.items[0], text), "198.51.100.2/32");
	assert_string_equal(selector_text(&local.items[0], text), "10.99.0.0/24");
	conf.remote_ts = &policy;
	conf.remote_ts_count = 1;
	ike_child_offer(&conf, &peer, &local, &remote);
	assert_string_equal(selector_text(&remote.items[0], text), "10.7.0.0/16");
	peer.leases = &lease;
	peer.lease_count = 1;
	ike_child_offer(&conf, &peer, &local, &remote);
	assert_int_equal(remote.count, 1);
	assert_string_equal(selector_text(&remote.items[0], text), "10.1.0.5/32");
}

static void answers_within_the_offer(void **state)
{
	struct wire_ts offer = {.items = {ts("10.0.0.0/8"), ts("192.0.2.0/24")}, .count = 2};
	struct wire_ts answer = {.items = {ts("192.0.2.7"), ts("10.1.0.0/16")}, .count = 2};
	assert_true(ike_selectors_within(&answer, &offer));
	answer.items[1] = ts("10.0.0.0-11.0.0.0");
	assert_false(ike_selectors_within(&answer, &offer));
	answer.count = 0;
	assert_false(ike_selectors_within(&answer, &offer));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_to_prefixes),
		cmocka_unit_test(pools_are_not_claimed),
		cmocka_unit_test(pools_within_any),
		cmocka_unit_test(the_peer_side),
		cmocka_unit_test(answers_within_the_offer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
