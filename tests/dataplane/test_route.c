// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "dataplane/dp.h"

#include <errno.h>
#include <stdlib.h>

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

#define IP_BITS 128

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

// All of a side's routes are of one port, and too many to go through: another port has none of them.
static void a_port_without_routes(void **state)
{
	static struct cfg_route routes[DP_ROUTES_LINEAR + 1];
	static struct ip_prefix v4, v6;
	struct dp_route_table t;
	assert_int_equal(ip_prefix_parse("10.99.0.1/24", true, &v4), 0);
	assert_int_equal(ip_prefix_parse("2001:db8:98::1/64", true, &v6), 0);
	for (unsigned i = 0; i < RTE_DIM(routes); i++)
		routes[i] = (struct cfg_route){.prefix = {ip_from_v4(0x0a640000 + (i << 8)), 24},
			.via = addr("10.99.0.254")};
	struct cfg_port two[] = {{.name = "a",
					 .role = CFG_INSIDE,
					 .addresses = &v4,
					 .address_count = 1,
					 .routes = routes,
					 .route_count = RTE_DIM(routes)},
		{.name = "b", .role = CFG_INSIDE, .addresses = &v6, .address_count = 1}};
	struct cfg c = {.ports = two, .port_count = 2};
	struct ip_addr to = addr("10.100.3.1");
	assert_int_equal(dp_routes_build(&c, &t), 0);
	assert_non_null(dp_route_lookup(&t, CFG_INSIDE, IP_V4, to.bytes));
	assert_non_null(dp_route_lookup_port(&t, CFG_INSIDE, 0, IP_V4, to.bytes));
	assert_null(dp_route_lookup_port(&t, CFG_INSIDE, 1, IP_V4, to.bytes));
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

// The definition of longest match: the first of the longest that contain the address.
static const struct dp_route *scan(
	const struct dp_route_table *t, enum cfg_role side, int port, const struct ip_addr *a)
{
	const struct dp_route *best = NULL, *r = t->routes[side][a->family == IP_V6];
	for (uint32_t i = 0; i < t->route_count[side][a->family == IP_V6]; i++)
		if ((port < 0 || r[i].port == port) && ip_prefix_contains(&r[i].prefix, a) &&
			(!best || r[i].prefix.bits > best->prefix.bits))
			best = &r[i];
	return best;
}

// mask: how many values a byte has, that prefixes meet.
static struct ip_addr random_addr(uint32_t *x, bool v6, uint8_t mask)
{
	struct ip_addr a = {.family = v6 ? IP_V6 : IP_V4};
	for (size_t k = 0; k < ip_len(a.family); k++)
		a.bytes[k] = (uint8_t)(rnd(x) & mask);
	return a;
}

static void random_routes(struct cfg_route *routes, size_t n, uint32_t *x, uint8_t mask,
	const char *via4, const char *via6)
{
	for (size_t i = 0; i < n; i++) {
		bool v6 = i % 2;
		struct ip_addr a = random_addr(x, v6, mask);
		struct ip_prefix p = {a, (uint8_t)(rnd(x) % (ip_bits(a.family) + 1))};
		routes[i] = (struct cfg_route){
			{ip_prefix_range(&p).lo, p.bits}, addr(v6 ? via6 : via4)};
	}
}

// Random prefixes of both families on two ports, all sizes of table.
static void against_a_scan(void **state)
{
	static const struct {
		size_t n;
		uint8_t mask;
		unsigned looks;
	} cases[] = {{1, 1, 200}, {12, 1, 2000}, {13, 1, 2000}, {14, 3, 2000}, {16, 3, 2000},
		{200, 3, 20000}, {200, 0x88, 20000}, {3000, 7, 3000}, {100000, 255, 300}};
	static struct ip_prefix second[2];
	uint32_t x = 7;
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		size_t n = cases[c].n;
		struct dp_route_table t;
		struct cfg_route *routes = calloc(2 * n, sizeof(*routes));
		configure();
		random_routes(routes, n, &x, cases[c].mask, "10.99.0.2", "2001:db8:99::2");
		random_routes(routes + n, n, &x, cases[c].mask, "10.98.0.2", "2001:db8:98::2");
		second[0] = prefix("10.98.0.1/24");
		second[1] = prefix("2001:db8:98::1/64");
		ports[1].routes = routes;
		ports[2].routes = routes + n;
		ports[1].route_count = ports[2].route_count = n;
		ports[2].addresses = second;
		ports[2].address_count = 2;
		assert_int_equal(dp_routes_build(&cfg, &t), 0);
		assert_int_equal(t.lpm[CFG_INSIDE][0] != NULL,
			t.route_count[CFG_INSIDE][0] > DP_ROUTES_LINEAR);
		for (unsigned i = 0; i < cases[c].looks; i++) {
			struct ip_addr a = random_addr(&x, i % 2, cases[c].mask);
			// Half of them within some prefix.
			if (i % 4 > 1)
				a = routes[i % 2 + (rnd(&x) % n & ~1u)].prefix.addr;
			assert_ptr_equal(dp_route_lookup(&t, CFG_INSIDE, a.family, a.bytes),
				scan(&t, CFG_INSIDE, -1, &a));
			for (uint16_t port = 1; port <= 2; port++)
				assert_ptr_equal(dp_route_lookup_port(
							 &t, CFG_INSIDE, port, a.family, a.bytes),
					scan(&t, CFG_INSIDE, port, &a));
		}
		dp_routes_free(&t);
		free(routes);
	}
}

// Every length, around its first and last address and one beyond.
static void every_length(void **state)
{
	static struct cfg_route routes[IP_BITS];
	for (unsigned v6 = 0; v6 < 2; v6++) {
		struct dp_route_table t;
		uint32_t x = 99;
		unsigned bits = v6 ? 128 : 32;
		configure();
		for (unsigned b = 1; b <= bits; b++) {
			struct ip_addr a = random_addr(&x, v6, 255);
			struct ip_prefix p = {a, (uint8_t)b};
			routes[b - 1] = (struct cfg_route){{ip_prefix_range(&p).lo, (uint8_t)b},
				addr(v6 ? "2001:db8:99::2" : "10.99.0.2")};
		}
		ports[1].routes = routes;
		ports[1].route_count = bits;
		assert_int_equal(dp_routes_build(&cfg, &t), 0);
		for (unsigned b = 1; b <= bits; b++) {
			struct ip_range r = ip_prefix_range(&routes[b - 1].prefix);
			struct ip_addr look[4] = {r.lo, r.hi, r.lo, r.hi};
			look[2].bytes[(b - 1) / 8] ^= (uint8_t)(0x80 >> (b - 1) % 8);
			look[3].bytes[(b - 1) / 8] ^= (uint8_t)(0x80 >> (b - 1) % 8);
			for (unsigned i = 0; i < 4; i++)
				assert_ptr_equal(dp_route_lookup(&t, CFG_INSIDE, look[i].family,
							 look[i].bytes),
					scan(&t, CFG_INSIDE, -1, &look[i]));
		}
		dp_routes_free(&t);
	}
}

// What a lookup costs, told and not judged.
static void cost(void **state)
{
	static const size_t sizes[] = {8, 16, 64, 1000, 100000};
	for (size_t c = 0; c < RTE_DIM(sizes); c++)
		for (unsigned v6 = 0; v6 < 2; v6++) {
			enum { ADDRS = 4096 };
			static struct ip_addr look[ADDRS];
			size_t n = sizes[c];
			struct dp_route_table t;
			struct cfg_route *routes = calloc(n, sizeof(*routes));
			uint32_t x = 5;
			unsigned found = 0;
			configure();
			for (size_t i = 0; i < n; i++) {
				struct ip_prefix p = {
					random_addr(&x, v6, 255), v6 ? 48 : 16 + rnd(&x) % 9};
				p.addr.bytes[0] = v6 ? 0x20 : 10;
				routes[i] = (struct cfg_route){{ip_prefix_range(&p).lo, p.bits},
					addr(v6 ? "2001:db8:99::2" : "10.99.0.2")};
			}
			for (unsigned i = 0; i < ADDRS; i++)
				look[i] = routes[rnd(&x) % n].prefix.addr;
			ports[1].routes = routes;
			ports[1].route_count = n;
			assert_int_equal(dp_routes_build(&cfg, &t), 0);
			uint64_t from = clock_now_ns(&clock_system);
			for (unsigned i = 0; i < 4 * ADDRS; i++) {
				const struct ip_addr *a = &look[i % ADDRS];
				found += dp_route_lookup(&t, CFG_INSIDE, a->family, a->bytes) !=
					 NULL;
			}
			uint64_t ns = clock_now_ns(&clock_system) - from;
			print_message("# IPv%u, %zu routes: %.1f ns a lookup\n", v6 ? 6 : 4, n,
				(double)ns / (4 * ADDRS));
			assert_int_equal(found, 4 * ADDRS);
			dp_routes_free(&t);
			free(routes);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(a_port_without_routes),
		cmocka_unit_test(locals),
		cmocka_unit_test(refused),
		cmocka_unit_test(against_a_scan),
		cmocka_unit_test(every_length),
		cmocka_unit_test(cost),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
