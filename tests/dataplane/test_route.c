// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "dataplane/dp.h"

#include <errno.h>

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(text, true, &p), 0);
	return p;
}

static struct ip_prefix out_addrs[2], in_addrs[2], in2_addrs[1];
static struct ip_addr out_gws[2];
static struct cfg_route in_routes[3], in2_routes[1];
static struct cfg_port ports[3];
static struct cfg cfg;

static void configure(void)
{
	out_addrs[0] = prefix("192.0.2.1/24");
	out_addrs[1] = prefix("2001:db8:1::1/64");
	out_gws[0] = addr("192.0.2.254");
	out_gws[1] = addr("fe80::1");
	in_addrs[0] = prefix("10.99.0.1/24");
	in_addrs[1] = prefix("2001:db8:99::1/64");
	in_routes[0] = (struct cfg_route){prefix("10.0.0.0/8"), addr("10.99.0.254")};
	in_routes[1] = (struct cfg_route){prefix("10.7.0.0/16"), addr("10.99.0.253")};
	in_routes[2] = (struct cfg_route){prefix("2001:db8::/33"), addr("2001:db8:99::2")};
	in2_addrs[0] = prefix("10.98.0.1/24");
	in2_routes[0] = (struct cfg_route){prefix("10.7.0.0/16"), addr("10.98.0.2")};
	ports[0] = (struct cfg_port){.name = "outside",
		.role = CFG_OUTSIDE,
		.addresses = out_addrs,
		.address_count = 2,
		.gateways = out_gws,
		.gateway_count = 2};
	ports[1] = (struct cfg_port){.name = "inside",
		.role = CFG_INSIDE,
		.addresses = in_addrs,
		.address_count = 2,
		.routes = in_routes,
		.route_count = 3};
	ports[2] = (struct cfg_port){.name = "inside2",
		.role = CFG_INSIDE,
		.addresses = in2_addrs,
		.address_count = 1,
		.routes = in2_routes,
		.route_count = 1};
	cfg = (struct cfg){.ports = ports, .port_count = 3};
}

static void lookups(void **state)
{
	static const struct {
		enum cfg_role side;
		const char *to;
		int port;        // -1: no route
		const char *via; // NULL: on link
	} cases[] = {
		{CFG_OUTSIDE, "192.0.2.77", 0, NULL},
		{CFG_OUTSIDE, "192.0.3.1", 0, "192.0.2.254"},
		{CFG_OUTSIDE, "10.99.0.5", 0,
			"192.0.2.254"}, // the sides know nothing of each other
		{CFG_OUTSIDE, "2001:db8:1::ffff", 0, NULL},
		{CFG_OUTSIDE, "2001:db8:1:1::1", 0, "fe80::1"},
		{CFG_INSIDE, "10.99.0.5", 1, NULL},
		{CFG_INSIDE, "10.98.0.5", 2, NULL},
		{CFG_INSIDE, "10.1.0.5", 1, "10.99.0.254"},
		{CFG_INSIDE, "10.7.0.5", 1, "10.99.0.253"}, // the first of equals
		{CFG_INSIDE, "11.0.0.1", -1, NULL},
		{CFG_INSIDE, "2001:db8:7fff::1", 1, "2001:db8:99::2"},
		{CFG_INSIDE, "2001:db8:8000::1", -1, NULL},
	};
	struct dp_route_table t;
	configure();
	assert_int_equal(dp_routes_build(&cfg, &t), 0);
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		struct ip_addr to = addr(cases[i].to);
		const struct dp_route *r = dp_route_lookup(&t, cases[i].side, to.family, to.bytes);
		print_message("# %s\n", cases[i].to);
		assert_int_equal(r ? r->port : -1, cases[i].port);
		if (!r)
			continue;
		struct ip_addr via = {0};
		if (cases[i].via)
			via = addr(cases[i].via);
		assert_true(ip_eq(&r->via, &via));
	}
	struct ip_addr to = addr("10.7.0.5");
	const struct dp_route *r = dp_route_lookup_port(&t, CFG_INSIDE, 2, IP_V4, to.bytes);
	assert_non_null(r);
	assert_int_equal(r->port, 2);
	assert_null(dp_route_lookup_port(&t, CFG_INSIDE, 0, IP_V4, to.bytes));
	dp_routes_free(&t);
}

static void locals(void **state)
{
	struct dp_route_table t;
	configure();
	assert_int_equal(dp_routes_build(&cfg, &t), 0);
	assert_int_equal(t.local_count, 5);
	struct ip_addr a = addr("2001:db8:99::1"), b = addr("10.99.0.2");
	const struct dp_local *l = dp_local_lookup(&t, IP_V6, a.bytes);
	assert_non_null(l);
	assert_int_equal(l->port, 1);
	assert_int_equal(l->subnet.bits, 64);
	assert_null(dp_local_lookup(&t, IP_V4, b.bytes));
	dp_routes_free(&t);
}

static void refused(void **state)
{
	struct dp_route_table t;
	configure();
	out_gws[0] = addr("198.51.100.1"); // not on link
	assert_int_equal(dp_routes_build(&cfg, &t), -EINVAL);
	configure();
	in_routes[0].via = addr("2001:db8:99::2"); // another family
	assert_int_equal(dp_routes_build(&cfg, &t), -EINVAL);
}

static uint32_t rnd(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return *x >> 8;
}

// Random prefixes of both families against the definition of longest match.
static void against_a_scan(void **state)
{
	enum { N = 200 };
	static struct cfg_route routes[N];
	uint32_t x = 7;
	struct dp_route_table t;
	configure();
	for (size_t i = 0; i < N; i++) {
		bool v6 = i % 2;
		struct ip_addr a = {.family = v6 ? IP_V6 : IP_V4};
		for (size_t k = 0; k < ip_len(a.family); k++)
			a.bytes[k] = (uint8_t)(rnd(&x) & 3);
		struct ip_prefix p = {a, (uint8_t)(rnd(&x) % (ip_bits(a.family) + 1))};
		routes[i] = (struct cfg_route){{ip_prefix_range(&p).lo, p.bits},
			v6 ? addr("2001:db8:99::2") : addr("10.99.0.2")};
	}
	ports[1].routes = routes;
	ports[1].route_count = N;
	cfg.port_count = 2;
	assert_int_equal(dp_routes_build(&cfg, &t), 0);
	for (unsigned i = 0; i < 20000; i++) {
		struct ip_addr a = {.family = i % 2 ? IP_V6 : IP_V4};
		int best = -1;
		for (size_t k = 0; k < ip_len(a.family); k++)
			a.bytes[k] = (uint8_t)(rnd(&x) & 3);
		for (size_t k = 0; k < N; k++)
			if (ip_prefix_contains(&routes[k].prefix, &a) &&
				routes[k].prefix.bits > best)
				best = routes[k].prefix.bits;
		const struct dp_route *r = dp_route_lookup(&t, CFG_INSIDE, a.family, a.bytes);
		assert_int_equal(r ? r->prefix.bits : -1, best);
	}
	dp_routes_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(locals),
		cmocka_unit_test(refused),
		cmocka_unit_test(against_a_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
