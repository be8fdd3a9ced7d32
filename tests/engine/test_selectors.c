// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Peers without a lease whose selectors meet the addresses of a pool.
#include "tests/engine/pair.h"

#define SITE(ts)                                       \
	"{ name = \"lan\"; local_ts = [ \"" ts "\" ];" \
	" remote_ts = [ \"10.99.0.0/24\" ];"           \
	" esp_proposals = [ \"aes128gcm16\" ]; }"
#define GATEWAY(ts)                                          \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];" \
	" remote_ts = [ \"" ts "\" ]; esp_proposals = [ \"aes128gcm16\" ]; }"

// The gateway has the pool 10.1.0.1-10.1.0.6, from which this client does not lease.
static struct pair site_pair(const char *policy, const char *site)
{
	struct side gw = {.children = policy}, c = {.children = site};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	return p;
}

static void a_part_of_a_pool_is_refused(void **state)
{
	static const struct {
		const char *policy, *site;
	} rows[] = {
		{GATEWAY("0.0.0.0/0"), SITE("10.1.0.5/32")},
		{GATEWAY("0.0.0.0/0"), SITE("10.1.0.4/30")},
		{GATEWAY("10.0.0.0/8"), SITE("10.1.0.5/32")},
		{GATEWAY("10.1.0.4-10.1.0.9"), SITE("10.0.0.0/8")},
		{GATEWAY("10.1.0.1-10.1.0.6"), SITE("10.0.0.0/8")},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = site_pair(rows[i].policy, rows[i].site);
		bench_expect(p.gw, "ike_ts_pool", 1);
		bench_expect(p.client, "ike_child_refused", 1);
		assert_int_equal(p.gw->sink.adds, 0);
		pair_down(&p);
	}
}

// A policy around the whole pool: the selectors stand as agreed, but no packet of the peer may have
// a pool's address, nor does one to it go to the peer.
static void a_wide_policy_leaves_the_pool_out(void **state)
{
	static const char *const wide[][2] = {
		{GATEWAY("10.0.0.0/8"), SITE("10.0.0.0/8")},
		{GATEWAY("0.0.0.0/0"), SITE("0.0.0.0/0")},
		{GATEWAY("0.0.0.0/0"), SITE("10.0.0.0/8")},
	};
	for (size_t i = 0; i < sizeof(wide) / sizeof(wide[0]); i++) {
		struct pair p = site_pair(wide[i][0], wide[i][1]);
		struct ike_session_info s = bench_session(p.gw);
		assert_int_equal(s.child_count, 1);
		assert_int_equal(s.children[0].ts_remote_count, 1);
		assert_true(bench_traffic(p.client, p.gw, "10.2.0.1", "10.99.0.7"));
		assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", "10.1.0.7"));
		assert_false(bench_traffic(p.client, p.gw, "10.1.0.5", "10.99.0.7"));
		assert_false(bench_traffic(p.gw, p.client, "10.99.0.7", "10.1.0.5"));
		// So it is after rekeying.
		assert_int_equal(ike_rekey_child(p.client->engine, 1,
					 bench_session(p.client).children[0].spi_in),
			0);
		bench_run(p.b, 500);
		bench_expect(p.gw, "ike_child_rekeyed", 1);
		assert_true(bench_traffic(p.client, p.gw, "10.2.0.1", "10.99.0.7"));
		assert_false(bench_traffic(p.client, p.gw, "10.1.0.5", "10.99.0.7"));
		pair_down(&p);
	}
}

// Its outer address is the peer's selector where nothing else is configured: not if it is a pool's.
static void an_outer_address_in_a_pool(void **state)
{
	struct side gw = {.pools = "{ name = \"p4\"; ranges = [ \"198.51.100.0/24\" ]; }"};
	struct side c = {.children = SITE(CLIENT_ADDR "/32")};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_ts_pool", 1);
	pair_down(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_part_of_a_pool_is_refused),
		cmocka_unit_test(a_wide_policy_leaves_the_pool_out),
		cmocka_unit_test(an_outer_address_in_a_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
