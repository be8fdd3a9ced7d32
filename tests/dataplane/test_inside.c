// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A tunnel whose routes lie around the inside's own networks: those stay where they are.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include <errno.h>

static const char *const routes[] = {
	"0.0.0.0/0", "10.0.0.0/8", "10.99.0.0/16", "::/0", "2001:db8::/32"};

static int start(void **state)
{
	struct ip_range any[2];
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	struct tunnel_spec spec = {.path = fx_path(EC_PEER, 4500), .session = 77};
	ec.tunnel = fx_tunnel_of(&spec, "172.20.0.0/16");
	assert_int_equal(ip_range_parse("0.0.0.0/0", &any[0]), 0);
	assert_int_equal(ip_range_parse("::/0", &any[1]), 0);
	struct sa_spec sa = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, "0.0.0.0/0");
	for (int i = 0; i < 2; i++)
		sa.ts_local[i] = sa.ts_remote[i] = selector_of_range(&any[i]);
	sa.ts_local_count = sa.ts_remote_count = 2;
	ec.in = ec_child_with(sa, SA_IN);
	return 0;
}

// A packet out of the tunnel to dst leaves by the inside port.
static bool goes_inside(uint64_t seq, const char *dst)
{
	uint8_t p[128];
	bool v6 = strchr(dst, ':');
	size_t len = v6 ? fx_ipv6(p, "2001:db8:20::1", dst, PROTO_UDP, 16)
			: fx_ipv4(p, "172.20.0.1", dst, PROTO_UDP, 16);
	ec_esp_in(seq, p, len, v6 ? PROTO_IPV6 : 4);
	return ec_inside_packets() == 1;
}

static void the_insides_own_is_not_taken(void **state)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint64_t seq = 0;
	(void)state;
	for (size_t i = 0; i < RTE_DIM(routes); i++) {
		struct ip_prefix p = fx_prefix(routes[i]);
		assert_int_equal(s->route_add(s->ctx, ec.tunnel, &p), 0);
		assert_true(goes_inside(++seq, EC_HOST));
		assert_true(goes_inside(++seq, "2001:db8:99::5"));
	}
	for (size_t i = 0; i < RTE_DIM(routes); i++) {
		struct ip_prefix p = fx_prefix(routes[i]);
		s->route_del(s->ctx, ec.tunnel, &p);
		assert_true(goes_inside(++seq, EC_HOST));
		assert_true(goes_inside(++seq, "2001:db8:99::5"));
	}
}

// What lies outside of it, and what is a client's within, go as before.
static void what_is_not_its_own_goes_on(void **state)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix all = fx_prefix("0.0.0.0/0"), client = fx_prefix("10.99.0.5");
	(void)state;
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &all), 0);
	assert_true(goes_inside(1, EC_HOST));
	assert_false(goes_inside(2, "10.98.0.5"));
	assert_false(goes_inside(3, "8.8.8.8"));
	assert_false(goes_inside(4, "10.1.0.9")); // a pool's that nobody has
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &client), 0);
	assert_false(goes_inside(5, EC_HOST));
	s->route_del(s->ctx, ec.tunnel, &client);
	assert_true(goes_inside(6, EC_HOST));
}

static void nobody_gets_the_insides_own_prefix(void **state)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix v4 = fx_prefix("10.99.0.0/24"), v6 = fx_prefix("2001:db8:99::/64");
	(void)state;
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &v4), -EEXIST);
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &v6), -EEXIST);
	s->route_del(s->ctx, ec.tunnel, &v4);
	assert_true(goes_inside(1, EC_HOST));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_insides_own_is_not_taken, start, ec_stop),
		cmocka_unit_test_setup_teardown(what_is_not_its_own_goes_on, start, ec_stop),
		cmocka_unit_test_setup_teardown(nobody_gets_the_insides_own_prefix, start, ec_stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
