// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A tunnel over any-to-any selectors, where routes decide: what comes out of it must come from where
// the routes lead into it.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define OTHER "172.22.9.9" // behind another tunnel

static int start(void **state)
{
	bool checked = *state != NULL;
	struct ip_range any[2];
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	struct tunnel_spec spec = {
		.path = fx_path(EC_PEER, 4500), .session = 77, .reverse_path = checked};
	ec.tunnel = fx_tunnel_of(&spec, "172.20.0.0/16");
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix v6 = fx_prefix("2001:db8:20::/48"), leased = fx_prefix("10.1.0.2");
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &v6), 0);
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &leased), 0);
	(void)fx_tunnel(0, "172.22.0.0/16", "198.51.100.8", 4500);
	(void)fx_tunnel(0, "172.20.128.0/17", "198.51.100.9", 4500);
	assert_int_equal(ip_range_parse("0.0.0.0-255.255.255.255", &any[0]), 0);
	assert_int_equal(ip_range_parse("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", &any[1]), 0);
	struct sa_spec sa = fx_spec(ec.tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, "0.0.0.0/0");
	for (int i = 0; i < 2; i++)
		sa.ts_local[i] = sa.ts_remote[i] = selector_of_range(&any[i]);
	sa.ts_local_count = sa.ts_remote_count = 2;
	ec.in = ec_child_with(sa, SA_IN);
	return 0;
}

static const struct {
	const char *source;
	bool pass; // where it is checked; else all do
} rows[] = {
	{"172.20.0.1", true},
	{"172.20.127.255", true},
	{"172.20.128.1", false}, // a longer prefix leads elsewhere
	{"10.1.0.2", true},
	{"10.1.0.3", false}, // a pool's address that nobody has
	{OTHER, false},
	{EC_HOST, false},   // the inside's
	{"8.8.8.8", false}, // no route at all
	{"2001:db8:20::1", true},
	{"2001:db8:21::1", false},
	{"2001:db8:99::5", false},
};

static size_t packet(uint8_t *p, const char *source)
{
	return strchr(source, ':') ? fx_ipv6(p, source, "2001:db8:99::5", PROTO_UDP, 16)
				   : fx_ipv4(p, source, EC_HOST, PROTO_UDP, 16);
}

static unsigned passed(bool checked)
{
	uint8_t p[128];
	unsigned refused = 0;
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t len = packet(p, rows[i].source);
		ec_esp_in(i + 1, p, len, strchr(rows[i].source, ':') ? PROTO_IPV6 : 4);
		bool pass = rows[i].pass || !checked;
		assert_int_equal(ec_inside_packets(), pass);
		refused += !pass;
	}
	assert_int_equal(fx_drops(DP_DROP_reverse_path), refused);
	return refused;
}

static void only_what_leads_back(void **state)
{
	(void)state;
	unsigned refused = passed(true);
	struct sa_counters c;
	assert_true(fx.dp->sa_sink.sa_stats(fx.dp->sa_sink.ctx, ec.in.child, SA_IN, &c));
	assert_int_equal(c.selector_mismatch, refused);
	assert_int_equal(c.packets, RTE_DIM(rows)); // each one used the key
}

static void the_table_of_now_decides(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix net = fx_prefix("172.20.0.0/16");
	uint8_t p[128];
	size_t len = packet(p, "172.20.0.1");
	s->route_del(s->ctx, ec.tunnel, &net);
	ec_esp_in(1, p, len, 4);
	assert_int_equal(ec_inside_packets(), 0);
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &net), 0);
	ec_esp_in(2, p, len, 4);
	assert_int_equal(ec_inside_packets(), 1);
}

static void not_where_not_asked_for(void **state)
{
	(void)state;
	assert_int_equal(passed(false), 0);
}

int main(void)
{
	static int checked = 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_prestate_setup_teardown(
			only_what_leads_back, start, ec_stop, &checked),
		cmocka_unit_test_prestate_setup_teardown(
			the_table_of_now_decides, start, ec_stop, &checked),
		cmocka_unit_test_setup_teardown(not_where_not_asked_for, start, ec_stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
