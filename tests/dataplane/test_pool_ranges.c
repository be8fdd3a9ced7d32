// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The pools' ranges change while tunnels have addresses of them: whose packets go on, and no address of
// a pool ever leaves in clear.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RANGES_MAX 8

// The ranges by their text, "/n" behind the last blank: what is given out of it.
static int set(const char *const *texts, size_t count)
{
	struct dp_pool_range r[RANGES_MAX];
	for (size_t i = 0; i < count; i++) {
		char text[64];
		unsigned bits = 0;
		assert_in_range(sscanf(texts[i], "%63s %u", text, &bits), 1, 2);
		assert_int_equal(ip_range_parse(text, &r[i].range), 0);
		r[i].bits = (uint8_t)(bits ? bits : ip_bits(r[i].range.lo.family));
	}
	int rc = dp_set_pools(fx.dp, r, count);
	assert_false(dp_pools_known(fx.dp));
	for (int i = 0; i < 3; i++)
		fx_run();
	assert_true(dp_pools_known(fx.dp));
	return rc;
}
#define SET(...)                                \
	set((const char *const[]){__VA_ARGS__}, \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

#define POOL UINT32_MAX

static uint32_t found(const char *text)
{
	struct ip_addr a = fx_ip(text);
	struct dp_dst_entry e = {0};
	enum dp_dst_result r = dp_dst_lookup(fx.dp->dst, a.family, a.bytes, &e);
	return r == DP_DST_POOL ? POOL : r == DP_DST_TUNNEL ? e.index : 0;
}

static int add(const char *prefix, uint32_t index)
{
	struct ip_prefix p = fx_prefix(prefix);
	return dp_dst_add(fx.dp->dst, &p, &(struct dp_dst_entry){.index = index, .generation = 1});
}

static void del(const char *prefix, uint32_t index)
{
	struct ip_prefix p = fx_prefix(prefix);
	dp_dst_del(fx.dp->dst, &p, index, 1);
}

static int move(const char *prefix, uint32_t from, uint32_t to)
{
	struct ip_prefix p = fx_prefix(prefix);
	return dp_dst_move(
		fx.dp->dst, &p, from, 1, &(struct dp_dst_entry){.index = to, .generation = 1});
}

static void ranges_grow(void **state)
{
	(void)state;
	assert_int_equal(SET("10.1.0.0/24"), 0);
	assert_int_equal(add("10.1.0.5", 1), 0);
	assert_int_equal(add("10.1.1.5", 2), 0); // AAA's, of no pool
	assert_int_equal(found("10.1.1.6"), 0);
	assert_int_equal(SET("10.1.0.0/23", "10.0.255.0-10.0.255.9"), 0);
	assert_int_equal(found("10.1.0.5"), 1);
	assert_int_equal(found("10.1.1.5"), 2);
	assert_int_equal(found("10.1.1.6"), POOL);
	assert_int_equal(found("10.0.255.9"), POOL);
	assert_int_equal(found("10.0.255.10"), 0);
	// One that came before its range is its tunnel's as any other.
	assert_int_equal(add("10.1.1.5", 3), -EEXIST);
	assert_int_equal(add("10.1.1.5", 2), 0);
	assert_int_equal(move("10.1.1.5", 2, 4), 0);
	assert_int_equal(found("10.1.1.5"), 4);
	del("10.1.1.5", 2); // no longer its
	assert_int_equal(found("10.1.1.5"), 4);
	del("10.1.1.5", 4);
	assert_int_equal(found("10.1.1.5"), POOL);
	assert_int_equal(add("10.1.1.5", 5), 0);
	assert_int_equal(found("10.1.1.5"), 5);
	assert_int_equal(move("10.1.1.5", 4, 5), -ENOENT);
}

static void ranges_shrink(void **state)
{
	(void)state;
	assert_int_equal(SET("10.1.0.0/16"), 0);
	assert_int_equal(add("10.1.0.5", 1), 0);
	assert_int_equal(add("10.1.9.5", 2), 0);
	assert_int_equal(SET("10.1.0.0/24"), 1);
	assert_int_equal(found("10.1.9.5"), 2);
	assert_int_equal(found("10.1.9.6"), POOL); // of the part that stays
	del("10.1.9.5", 2);
	assert_int_equal(found("10.1.9.5"), POOL);
	assert_int_equal(SET("10.1.0.0/24"), 0);
	assert_int_equal(found("10.1.9.5"), 0);
	assert_int_equal(found("10.1.0.5"), 1);
	assert_int_equal(found("10.1.0.6"), POOL);
	assert_int_equal(SET("10.2.0.0/24"), 1);
	assert_int_equal(found("10.1.0.5"), 1);
	// It comes back as it was.
	assert_int_equal(SET("10.2.0.0/24", "10.1.0.0/24"), 0);
	assert_int_equal(found("10.1.0.5"), 1);
	del("10.1.0.5", 1);
	assert_int_equal(set(NULL, 0), 0);
	assert_int_equal(found("10.1.0.5"), 0);
	assert_int_equal(found("10.2.0.5"), 0);
}

static void the_largest(void **state)
{
	(void)state;
	assert_int_equal(SET("0.0.0.0/0", "::/0"), 0);
	assert_int_equal(found("255.255.255.255"), POOL);
	assert_int_equal(add("255.255.255.255", 1), 0);
	assert_int_equal(SET("0.0.0.0-255.255.255.254", "::/1"), 1);
	assert_int_equal(found("255.255.255.255"), 1);
	assert_int_equal(found("8000::"), 0);
	del("255.255.255.255", 1);
	assert_int_equal(SET("255.255.255.255", "ffff::/16"), 0);
	assert_int_equal(found("255.255.255.255"), POOL);
	assert_int_equal(found("255.255.255.254"), 0);
	assert_int_equal(found("ffff::1"), POOL);
	assert_int_equal(found("::1"), 0);
}

// Between a flat array and none, both ways.
// Workers do not ask of what stands in a flat array whether it is the gateway's own, or of a link.
static void own_addresses_are_not_flat(void **state)
{
	static const struct {
		const char *address;
		bool flat;
	} rows[] = {{"192.0.2.1", false}, {"192.0.2.2", true}, {"10.99.0.1", false},
		{"169.254.0.0", false}, {"169.254.255.255", false}, {"169.253.255.255", true},
		{"169.255.0.0", true}};
	(void)state;
	assert_int_equal(SET("10.99.0.0/24", "169.0.0.0/8", "192.0.2.0/24"), 0);
	for (uint32_t i = 0; i < RTE_DIM(rows); i++) {
		struct ip_addr a = fx_ip(rows[i].address);
		const _Atomic uint64_t *at = dp_dst_flat_v4(fx.dp->dst, ip_to_v4(&a));
		assert_non_null(at);
		assert_int_equal(add(rows[i].address, i + 1), 0);
		assert_int_equal(atomic_load(at) != 0, rows[i].flat);
		assert_int_equal(found(rows[i].address), i + 1);
		del(rows[i].address, i + 1);
		assert_int_equal(found(rows[i].address), POOL);
	}
}

static void ipv6_changes_its_kind(void **state)
{
	(void)state;
	assert_int_equal(SET("2001:db8:77::/64"), 0);
	assert_int_equal(add("2001:db8:77::5", 1), 0);
	assert_int_equal(SET("2001:db8:77::/112"), 0);
	assert_int_equal(add("2001:db8:77::6", 2), 0);
	assert_int_equal(found("2001:db8:77::5"), 1);
	assert_int_equal(found("2001:db8:77::6"), 2);
	assert_int_equal(found("2001:db8:77::7"), POOL);
	assert_int_equal(SET("2001:db8:77::/64"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(found("2001:db8:77::5"), 1);
		assert_int_equal(found("2001:db8:77::6"), 2);
		assert_int_equal(found("2001:db8:77::7"), POOL);
		assert_int_equal(found("2001:db8:77::1:7"), POOL);
		assert_int_equal(SET("2001:db8:77::/64", "2001:db8:77::/112"), 0);
	}
	del("2001:db8:77::5", 1);
	del("2001:db8:77::6", 2);
	assert_int_equal(found("2001:db8:77::5"), POOL);
	assert_int_equal(found("2001:db8:77::6"), POOL);
}

// RFC 5739: a site has a prefix of the pool; one around it gets nothing of the pool.
static void prefixes_of_a_pool(void **state)
{
	(void)state;
	assert_int_equal(SET("2001:db8:100::/40 56", "10.4.0.0/16 28"), 0);
	assert_int_equal(add("2001:db8:100:100::/56", 1), 0);
	assert_int_equal(add("10.4.0.16/28", 2), 0);
	assert_int_equal(add("2001:db8::/32", 3), 0);
	assert_int_equal(add("10.0.0.0/8", 3), 0);
	static const struct {
		const char *addr;
		uint32_t index;
	} rows[] = {{"2001:db8:100:1ff::1", 1}, {"2001:db8:100:200::1", POOL},
		{"2001:db8:200::1", 3}, {"10.4.0.31", 2}, {"10.4.0.32", POOL}, {"10.5.0.1", 3}};
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		assert_int_equal(found(rows[i].addr), rows[i].index);
	// From single addresses to prefixes: whoever has one keeps it.
	assert_int_equal(SET("10.4.0.0/16", "10.6.0.0/16"), 0);
	assert_int_equal(add("10.6.0.1", 4), 0);
	assert_int_equal(SET("10.4.0.0/16 28", "10.6.0.0/16 30"), 1);
	assert_int_equal(found("10.6.0.1"), 4);
	assert_int_equal(add("10.6.0.4/30", 5), 0);
	assert_int_equal(found("10.6.0.5"), 5);
	assert_int_equal(found("10.6.0.9"), POOL);
	assert_int_equal(found("10.4.0.31"), 2);
}

// ---- Against a plain model: 512 addresses of each family ----

#define SPAN   512u
#define ROUNDS 4000u

static struct {
	uint32_t tunnel[2][SPAN];
	bool pool[2][SPAN];
	uint32_t next;
} model;

static struct ip_addr at(unsigned family, uint32_t i)
{
	struct ip_addr a = fx_ip(family ? "2001:db8:55::" : "10.77.0.0"), out = a;
	assert_true(i == 0 || ip_add(&a, i, &out));
	return out;
}

static size_t draw(struct dp_pool_range *r)
{
	size_t n = (size_t)rand() % RANGES_MAX;
	memset(model.pool, 0, sizeof(model.pool));
	for (size_t i = 0; i < n; i++) {
		unsigned f = (unsigned)rand() % 2;
		uint32_t lo = (uint32_t)rand() % SPAN, hi = lo + (uint32_t)rand() % (SPAN - lo);
		r[i] = (struct dp_pool_range){
			{at(f, lo), at(f, hi)}, (uint8_t)ip_bits(f ? IP_V6 : IP_V4)};
		for (uint32_t k = lo; k <= hi; k++)
			model.pool[f][k] = true;
	}
	return n;
}

static void step(void)
{
	unsigned f = (unsigned)rand() % 2;
	uint32_t i = (uint32_t)rand() % SPAN;
	struct ip_prefix p = {at(f, i), (uint8_t)ip_bits(f ? IP_V6 : IP_V4)};
	uint32_t *t = &model.tunnel[f][i];
	struct dp_dst_entry e = {.index = ++model.next, .generation = 1};
	if (rand() % 3 == 0 && *t) {
		assert_int_equal(dp_dst_move(fx.dp->dst, &p, *t, 1, &e), 0);
		*t = e.index;
	} else if (*t) {
		assert_int_equal(dp_dst_add(fx.dp->dst, &p, &e), -EEXIST);
		dp_dst_del(fx.dp->dst, &p, *t, 1);
		*t = 0;
	} else {
		assert_int_equal(dp_dst_add(fx.dp->dst, &p, &e), 0);
		*t = e.index;
	}
}

// Where parts stay for tunnels, an address of none may be guarded as well.
static void check(bool kept)
{
	for (unsigned f = 0; f < 2; f++)
		for (uint32_t i = 0; i < SPAN; i++) {
			struct ip_addr a = at(f, i);
			struct dp_dst_entry e = {0};
			enum dp_dst_result r = dp_dst_lookup(fx.dp->dst, a.family, a.bytes, &e);
			if (model.tunnel[f][i]) {
				assert_int_equal(r, DP_DST_TUNNEL);
				assert_int_equal(e.index, model.tunnel[f][i]);
			} else if (model.pool[f][i]) {
				assert_int_equal(r, DP_DST_POOL);
			} else if (!kept) {
				assert_int_equal(r, DP_DST_NONE);
			} else {
				assert_int_not_equal(r, DP_DST_TUNNEL);
			}
		}
}

static void as_the_model(void **state)
{
	unsigned seed = (unsigned)time(NULL), stayed = 0;
	(void)state;
	printf("# seed %u\n", seed);
	srand(seed);
	memset(&model, 0, sizeof(model));
	assert_int_equal(set(NULL, 0), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct dp_pool_range r[RANGES_MAX];
		size_t n = draw(r);
		int kept = dp_set_pools(fx.dp, r, n);
		assert_true(kept >= 0);
		stayed += kept > 0;
		for (unsigned i = 0; i < 8; i++)
			step();
		check(kept > 0);
		if (round % 16 == 0)
			fx_run();
	}
	assert_in_range(stayed, ROUNDS / 10, ROUNDS);
}

// ---- Packets ----

// A packet of the inside's to this address: who drops it, or where it leaves.
static size_t reply(const char *dst)
{
	uint8_t p[256];
	size_t len = fx_ipv4(p, EC_HOST, dst, PROTO_UDP, 32);
	fx_input(FX_INSIDE, p, len);
	fx_run();
	return fx_output(FX_OUTSIDE, p, sizeof(p));
}

static void traffic_goes_on(void **state)
{
	uint64_t dropped = fx_drops(DP_DROP_no_tunnel);
	(void)state;
	assert_int_not_equal(reply(EC_INNER), 0);
	assert_int_equal(SET("10.1.0.0/16", "10.2.0.0/16"), 0);
	assert_int_not_equal(reply(EC_INNER), 0);
	assert_int_equal(reply("10.2.0.1"), 0);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), ++dropped);
	assert_int_equal(SET("10.2.0.0/16"), 1);
	assert_int_not_equal(reply(EC_INNER), 0);
	assert_int_equal(reply("10.1.0.9"), 0);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), ++dropped);
	ec_ping_in(1);
	assert_int_equal(ec_inside_packets(), 1);
	const struct sa_sink *s = &fx.dp->sa_sink;
	s->tunnel_del(s->ctx, ec.tunnel);
	fx_run();
	assert_int_equal(SET("10.2.0.0/16"), 0);
	(void)reply("10.1.0.9"); // anybody's now: by a route, if there is one
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), dropped);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(ranges_grow, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(ranges_shrink, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(the_largest, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(own_addresses_are_not_flat, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(ipv6_changes_its_kind, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(prefixes_of_a_pool, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(as_the_model, ec_start_one, ec_stop),
		cmocka_unit_test_setup_teardown(traffic_goes_on, ec_start, ec_stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
