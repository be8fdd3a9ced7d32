// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A tunnel over any-to-any selectors, where routes decide: what comes out of it must come from where
// the routes lead into it.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define OTHER "172.22.9.9" // behind another tunnel

// The tunnels around the one that is looked at, and how many workers there are.
static uint32_t other, longer;
static unsigned workers = 1;

static int start(void **state)
{
	bool checked = *state != NULL;
	struct ip_range any[2];
	fx_start(workers, NIC_HASH_NONE, NIC_HASH_NONE);
	struct tunnel_spec spec = {
		.path = fx_path(EC_PEER, 4500), .session = 77, .reverse_path = checked};
	ec.tunnel = fx_tunnel_of(&spec, "172.20.0.0/16");
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix v6 = fx_prefix("2001:db8:20::/48"), leased = fx_prefix("10.1.0.2");
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &v6), 0);
	assert_int_equal(s->route_add(s->ctx, ec.tunnel, &leased), 0);
	other = fx_tunnel(workers - 1, "172.22.0.0/16", "198.51.100.8", 4500);
	longer = fx_tunnel(0, "172.20.128.0/17", "198.51.100.9", 4500);
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

static int start_two(void **state)
{
	workers = 2;
	int rc = start(state);
	workers = 1;
	return rc;
}

static void family(uint32_t tunnel, uint64_t number)
{
	fx.dp->sa_sink.tunnel_family(fx.dp->sa_sink.ctx, tunnel, number);
}

// Whether a packet from there passes, the next one by the SA.
static bool passes(const char *source)
{
	static uint64_t seq;
	uint8_t p[128];
	size_t len = packet(p, source);
	ec_esp_in(++seq, p, len, strchr(source, ':') ? PROTO_IPV6 : 4);
	return ec_inside_packets() == 1;
}

// Neither half of a family, nor another family, nor those that have none.
static void a_family_is_let_in(void **state)
{
	(void)state;
	static const struct {
		uint64_t mine, others, longers;
		bool other, longer;
	} cases[] = {
		{0, 0, 0, false, false},
		{5, 0, 0, false, false},
		{0, 5, 5, false, false},
		{5, 5, 0, true, false},
		{5, 5, 6, true, false},
		{6, 5, 6, false, true},
		{1ull << 63, 1ull << 63, 1, true, false},
		{1ull << 63, 1ull << 31, 1ull << 63, false, true},
		{0, 0, 0, false, false},
	};
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		family(ec.tunnel, cases[i].mine);
		family(other, cases[i].others);
		family(longer, cases[i].longers);
		assert_true(passes("172.20.0.1"));
		assert_int_equal(passes(OTHER), cases[i].other);
		assert_int_equal(passes("172.20.128.1"), cases[i].longer);
		assert_false(passes("8.8.8.8"));
		assert_false(passes("10.1.0.3"));
	}
}

// All that leads into a tunnel goes to its successor's and back, one after the other.
static void routes_move_within_a_family(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	static const char *const nets[] = {"172.20.0.0/16", "2001:db8:20::/48", "10.1.0.2"};
	static const char *const sources[] = {"172.20.0.1", "2001:db8:20::1", "10.1.0.2"};
	family(ec.tunnel, 5);
	family(other, 5);
	for (unsigned round = 0; round < 4; round++)
		for (size_t i = 0; i < RTE_DIM(nets); i++) {
			struct ip_prefix net = fx_prefix(nets[i]);
			uint32_t from = round % 2 ? other : ec.tunnel;
			uint32_t to = round % 2 ? ec.tunnel : other;
			assert_int_equal(s->route_move(s->ctx, from, to, &net), 0);
			for (size_t k = 0; k < RTE_DIM(sources); k++)
				assert_true(passes(sources[k]));
			assert_false(passes("172.20.128.1"));
		}
	assert_int_equal(fx_drops(DP_DROP_reverse_path), 4 * RTE_DIM(nets));
}

// A tunnel that has gone leaves no family to the next one in its place.
static void it_ends_with_its_tunnel(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	uint32_t index = other & ((1u << DP_TUNNEL_INDEX_BITS) - 1), next;
	struct tunnel_spec spec = {
		.worker = (uint16_t)dp_tunnel_worker(index), .path = fx_path("198.51.100.8", 4500)};
	family(ec.tunnel, 5);
	family(other, 5);
	assert_true(passes(OTHER));
	s->tunnel_del(s->ctx, other);
	fx_run();
	assert_false(passes(OTHER));
	family(other, 5); // is not there
	do {
		assert_int_equal(s->tunnel_add(s->ctx, &spec, &next), 0);
		fx_run();
		if ((next & ((1u << DP_TUNNEL_INDEX_BITS) - 1)) == index)
			break;
		s->tunnel_del(s->ctx, next);
		fx_run();
	} while (true);
	assert_int_not_equal(next, other);
	struct ip_prefix net = fx_prefix("172.22.0.0/16");
	assert_int_equal(s->route_add(s->ctx, next, &net), 0);
	assert_false(passes(OTHER));
	family(next, 5);
	assert_true(passes(OTHER));
}

// All workers have a copy of both, and one family.
static void of_shared_tunnels(void **state)
{
	(void)state;
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_prefix net = fx_prefix("172.23.0.0/16");
	struct tunnel_spec spec = {.worker = 1,
		.path = fx_path(EC_PEER, 4500),
		.per_worker = true,
		.reverse_path = true};
	uint32_t shared[2];
	for (int i = 0; i < 2; i++)
		assert_int_equal(s->tunnel_add(s->ctx, &spec, &shared[i]), 0);
	assert_int_equal(s->route_add(s->ctx, shared[1], &net), 0);
	struct sa_spec sa = ec.in;
	sa.tunnel = shared[0];
	ec.in = ec_child_with(sa, SA_IN);
	assert_false(passes("172.23.0.1"));
	family(shared[0], 9);
	family(shared[1], 9);
	assert_true(passes("172.23.0.1"));
	assert_false(passes(OTHER));
}

#define CHECKED(f, s) cmocka_unit_test_prestate_setup_teardown(f, s, ec_stop, &checked)

int main(void)
{
	static int checked = 1;
	const struct CMUnitTest tests[] = {
		CHECKED(only_what_leads_back, start),
		CHECKED(the_table_of_now_decides, start),
		cmocka_unit_test_setup_teardown(not_where_not_asked_for, start, ec_stop),
		CHECKED(a_family_is_let_in, start),
		CHECKED(a_family_is_let_in, start_two),
		CHECKED(routes_move_within_a_family, start),
		CHECKED(routes_move_within_a_family, start_two),
		CHECKED(it_ends_with_its_tunnel, start),
		CHECKED(of_shared_tunnels, start_two),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
