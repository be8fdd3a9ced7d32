// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Networks that are given to sites: by INTERNAL_IP6_PREFIX (RFC 5739), in IPv4 and in IKEv1 by what the
// peer names as its own side.
#include "tests/engine/lease_ways.h"

#define NETS4 \
	"{ name = \"n4\"; ranges = [ \"10.128.0.0/22\" ]; prefix_length = 24; linger_s = 60; }"
#define NETS6 \
	"{ name = \"n6\"; ranges = [ \"2001:db8:100::/54\" ]; prefix_length = 56; linger_s = 60; }"
#define SITES "unique = \"no\"; "

#define CHILD46_GW                                                                  \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"
#define CHILD46_CLIENT                                                             \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\", \"::/0\" ]; remote_ts = [ " \
	"\"10.99.0.0/24\", \"2001:db8:99::/64\" ]; esp_proposals = [ \"aes128gcm16\" ]; }"

static const struct side client_side = {.children = CHILD46_CLIENT};

static struct pair sites(const char *more, const char *pools)
{
	struct side gw = {.more = more, .pools = pools, .children = CHILD46_GW};
	struct pair p = pair_new(&gw, &client_side);
	p.client->cfg->connections[0].request_v4 = false;
	return p;
}

static uint64_t connect(struct pair *p, struct bench_node *n)
{
	uint64_t id = bench_connect(n, p->gw, "c");
	assert_true(id > 0);
	bench_run(p->b, 500);
	return id;
}

static struct bench_node *other_site(struct pair *p)
{
	static const struct side side = {.children = CHILD46_CLIENT,
		.credentials = PSK_GROUP,
		.local = "id = \"other@example\"; auth = \"psk\";"};
	struct bench_node *n = side_add(p->b, "other", "198.51.100.3", &side, false);
	n->cfg->connections[0].request_v4 = false;
	return n;
}

#define PSKS                                                                          \
	"psk = ( { id = \"client@example\"; secret = \"a secret of the client\"; }, " \
	"{ id = \"*\"; secret = \"a secret of everybody\"; } );"

static struct pair two_sites(const char *more, const char *pools)
{
	struct side gw = {
		.more = more, .pools = pools, .children = CHILD46_GW, .credentials = PSKS};
	struct pair p = pair_new(&gw, &client_side);
	p.client->cfg->connections[0].request_v4 = false;
	return p;
}

static const char *network(struct bench_node *n, uint64_t id, char text[IP_TEXT_MAX])
{
	struct ike_session_info s;
	text[0] = '\0';
	for (uint8_t i = 0; ike_session_get(n->engine, id, &s) && i < s.inner_count; i++)
		if (s.inner_bits[i] != ip_bits(s.inner[i].family)) {
			struct ip_prefix p = {s.inner[i], s.inner_bits[i]};
			ip_prefix_text(&p, text);
		}
	return text;
}

static const char *selector_of(struct bench_node *n, char text[SELECTOR_TEXT_MAX])
{
	struct ike_session_info s = bench_session(n);
	text[0] = '\0';
	if (s.child_count)
		selector_text(&s.children[0].ts_remote[0], text);
	return text;
}

static bool routed(struct bench_node *gw, const char *addr)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(addr, &a), 0);
	return bench_sink_route(&gw->sink, &a) != TUNNEL_NONE;
}

// ---- RFC 5739 --------------------------------------------------------------------------------------

static void ipv6_by_attribute(void **state)
{
	struct pair p =
		two_sites(SITES "mode_config = [ \"respond\" ]; pools = [ \"n6\" ];", NETS6);
	struct bench_node *o = other_site(&p);
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX], c[IP_TEXT_MAX], ts[SELECTOR_TEXT_MAX], first[64],
		second[64];
	p.client->cfg->connections[0].request_prefix = true;
	o->cfg->connections[0].request_prefix = true;
	uint64_t id = connect(&p, p.client), oid = connect(&p, o);
	assert_string_equal(network(p.gw, 1, a), network(p.client, id, b));
	assert_non_null(strstr(a, "/56"));
	assert_string_equal(selector_of(p.gw, ts), a);
	network(o, oid, c);
	assert_non_null(strstr(c, "/56"));
	assert_string_not_equal(a, c);
	// An address of each, by its text: the prefixes end in "::/56".
	snprintf(first, sizeof(first), "%.*s77", (int)(strlen(a) - 3), a);
	snprintf(second, sizeof(second), "%.*s77", (int)(strlen(c) - 3), c);
	assert_true(bench_traffic(p.client, p.gw, first, "2001:db8:99::7"));
	assert_true(bench_traffic(p.gw, p.client, "2001:db8:99::7", first));
	assert_true(bench_traffic(o, p.gw, second, "2001:db8:99::7"));
	assert_false(bench_traffic(o, p.gw, first, "2001:db8:99::7"));
	assert_false(bench_traffic(p.client, p.gw, second, "2001:db8:99::7"));
	assert_true(routed(p.gw, first));
	assert_int_equal(pool_in_use(p.gw, 0), 2);
	assert_int_equal(ike_delete_session(p.client->engine, id), 0);
	bench_run(p.b, 500);
	assert_false(routed(p.gw, first));
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	id = connect(&p, p.client);
	assert_string_equal(network(p.client, id, b), a); // it lingered for him
	assert_int_equal(ike_reauthenticate(p.client->engine, id), 0);
	bench_run(p.b, 5000);
	id = bench_session(p.client).id;
	assert_string_equal(network(p.client, id, b), a);
	assert_int_equal(pool_in_use(p.gw, 0), 2);
	assert_true(bench_traffic(p.gw, p.client, "2001:db8:99::7", first));
	bench_free(p.b);
}

static void ipv6_beside_an_address(void **state)
{
	struct pair p = sites("mode_config = [ \"respond\" ]; pools = [ \"p6\", \"n6\", \"p4\" ];",
		POOL6 ", " NETS6 ", " POOL4);
	struct cfg_connection *c = &p.client->cfg->connections[0];
	c->request_v4 = c->request_v6 = c->request_prefix = true;
	connect(&p, p.client);
	struct ike_session_info s = bench_session(p.gw), mine = bench_session(p.client);
	assert_int_equal(s.inner_count, 3);
	assert_int_equal(mine.inner_count, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(pool_in_use(p.gw, i), 1);
	assert_int_equal(s.children[0].ts_remote_count, 3);
	pair_down(&p);
}

// Who asks for a network where there are none gets what there is.
static void ipv6_without_a_pool(void **state)
{
	struct pair p = sites("mode_config = [ \"respond\" ]; pools = [ \"p6\" ];", POOL6);
	struct cfg_connection *c = &p.client->cfg->connections[0];
	c->request_v6 = c->request_prefix = true;
	connect(&p, p.client);
	assert_int_equal(bench_session(p.gw).inner_count, 1);
	assert_int_equal(bench_session(p.gw).inner_bits[0], 128);
	pair_down(&p);
}

static void used_up(void **state)
{
	struct pair p = two_sites(SITES "mode_config = [ \"respond\" ]; pools = [ \"n6\" ];",
		"{ name = \"n6\"; ranges = [ \"2001:db8:100::/56\" ]; prefix_length = 56; }");
	struct bench_node *o = other_site(&p);
	char a[IP_TEXT_MAX];
	p.client->cfg->connections[0].request_prefix = true;
	o->cfg->connections[0].request_prefix = true;
	connect(&p, p.client);
	uint64_t id = connect(&p, o);
	assert_string_equal(network(o, id, a), "");
	bench_expect(p.gw, "ike_pool_exhausted", 1);
	bench_expect(o, "ike_child_refused", 1);
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	bench_free(p.b);
}

// AAA's Delegated-IPv6-Prefix-Pool.
static void of_aaa(void **state)
{
	struct pair p = sites("mode_config = [ \"respond\" ]; pools = [ \"n6\" ];", NETS6
		", { name = \"o6\"; ranges = [ \"2001:db8:200::/48\" ]; prefix_length = 60; }");
	struct fake_aaa aaa = {.say = {.prefix_pool = "o6"}};
	char a[IP_TEXT_MAX];
	fake_aaa_init(&aaa, p.gw);
	p.client->cfg->connections[0].request_prefix = true;
	connect(&p, p.client);
	assert_non_null(strstr(network(p.gw, 1, a), "/60"));
	assert_int_equal(pool_in_use(p.gw, 1), 1);
	pair_down(&p);
}

// ---- IPv4, IKEv2 -----------------------------------------------------------------------------------

static void client_names(struct bench_node *n, const char *net)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(net, true, &p), 0);
	struct ip_range r = ip_prefix_range(&p);
	n->cfg->connections[0].children[0].local_ts[0] = selector_of_range(&r);
}

static void ipv4_by_selectors(void **state)
{
	struct pair p = two_sites(SITES "pools = [ \"n4\" ];", NETS4);
	struct bench_node *o = other_site(&p);
	char a[IP_TEXT_MAX], c[IP_TEXT_MAX], ts[SELECTOR_TEXT_MAX], first[64];
	uint64_t id = connect(&p, p.client);
	network(p.gw, 1, a);
	assert_non_null(strstr(a, "/24"));
	assert_string_equal(selector_of(p.gw, ts), a);
	snprintf(first, sizeof(first), "%.*s77", (int)(strlen(a) - 4), a);
	assert_true(bench_traffic(p.client, p.gw, first, "10.99.0.7"));
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", first));
	// Somebody else names it, a part of it, or leaves the choice to us.
	static const char *const part[] = {"/24", "/28"};
	for (size_t i = 0; i < 2; i++) {
		char his[64];
		snprintf(his, sizeof(his), "%.*s%s", (int)(strlen(a) - 3), a, part[i]);
		client_names(o, his);
		uint64_t oid = connect(&p, o);
		assert_int_equal(bench_session(o).child_count, 0);
		bench_expect(p.gw, "ike_ts_pool", i + 1);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_int_equal(ike_delete_session(o->engine, oid), 0);
		bench_run(p.b, 500);
	}
	client_names(o, "10.0.0.0/8");
	connect(&p, o);
	assert_int_equal(bench_session(o).child_count, 1);
	assert_int_equal(pool_in_use(p.gw, 0), 2);
	assert_string_not_equal(network(p.gw, 4, c), a);
	assert_false(bench_traffic(o, p.gw, first, "10.99.0.7"));
	// The first one comes again, naming its own, or not.
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(ike_delete_session(p.client->engine, id), 0);
		bench_run(p.b, 500);
		client_names(p.client, i == 0 ? "0.0.0.0/0" : a);
		if (i == 2) // its host part alone
			client_names(p.client, first);
		id = connect(&p, p.client);
		assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", first));
		assert_int_equal(pool_in_use(p.gw, 0), 2);
	}
	bench_free(p.b);
}

// Who asks for an address gets one, and no network; whose own networks are no pool's, neither.
static void ipv4_not_wanted(void **state)
{
	static const struct {
		bool asks;
		const char *own, *net;
	} cases[] = {{true, "0.0.0.0/0", ""}, {false, "10.7.0.0/16", ""}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pair p = sites("mode_config = [ \"respond\" ]; pools = [ \"p4\", \"n4\" ];",
			POOL4 ", " NETS4);
		char a[IP_TEXT_MAX];
		p.client->cfg->connections[0].request_v4 = cases[i].asks;
		client_names(p.client, cases[i].own);
		connect(&p, p.client);
		assert_string_equal(network(p.gw, 1, a), cases[i].net);
		assert_int_equal(pool_in_use(p.gw, 0), cases[i].asks);
		assert_int_equal(pool_in_use(p.gw, 1), 0);
		pair_down(&p);
	}
}

// ---- IKEv1 -----------------------------------------------------------------------------------------

static struct v1 v1_sites(const char *own, struct slow_source *slow)
{
	struct v1_setup s = {.config = V1_NONE,
		.pools = NETS4,
		.gw_more = "pools = [ \"n4\" ];",
		.keep_childless = true};
	struct v1 v = v1_new(&s);
	client_names(v.client, own);
	if (slow)
		slow_init(slow, v.gw);
	v1_connect(&v);
	bench_run(v.b, 1000);
	return v;
}

static void ikev1_by_id(void **state)
{
	struct v1 v = v1_sites("0.0.0.0/0", NULL);
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX], ts[SELECTOR_TEXT_MAX], first[64];
	network(v.gw, 1, a);
	assert_non_null(strstr(a, "/24"));
	assert_string_equal(selector_of(v.gw, ts), a);
	bench_expect(v.gw, "ikev1_reclaimed", 1);
	snprintf(first, sizeof(first), "%.*s77", (int)(strlen(a) - 4), a);
	assert_true(bench_traffic(v.client, v.gw, first, "10.99.0.7"));
	assert_true(bench_traffic(v.gw, v.client, "10.99.0.7", first));
	assert_false(bench_traffic(v.client, v.gw, "10.128.9.1", "10.99.0.7"));
	// Another one names it: main mode's key is that of all, by address.
	struct bench_node *o = v1_add_client(v.b, "other", "198.51.100.3", &v.setup);
	client_names(o, a);
	assert_true(bench_connect(o, v.gw, "c") > 0);
	bench_run(v.b, 1000);
	bench_expect(v.gw, "ike_ts_pool", 1);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	// It comes again, and names its own.
	assert_int_equal(ike_delete_session(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 500);
	client_names(v.client, first);
	v1_connect(&v);
	bench_run(v.b, 1000);
	assert_string_equal(network(v.gw, bench_session(v.gw).id == 1 ? 1 : 3, b), a);
	assert_true(bench_traffic(v.gw, v.client, "10.99.0.7", first));
	v1_free(&v);
}

// The network is there a moment later, and quick mode waits for it; or too late.
static void ikev1_waits(void **state)
{
	for (int late = 0; late < 2; late++) {
		struct slow_source slow;
		struct v1 v = v1_sites("0.0.0.0/0", &slow);
		assert_int_equal(slow.asked, 1);
		assert_int_equal(v1_child_count(v.gw), 0);
		bench_run(v.b, late ? 6000 : 100);
		slow_answer(&slow, ADDRESS_OK);
		bench_run(v.b, 1000);
		assert_int_equal(v1_child_count(v.gw), !late);
		assert_int_equal(pool_in_use(v.gw, 0), !late);
		bench_expect(v.gw, "ike_late_result", late);
		v1_free(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv6_by_attribute),
		cmocka_unit_test(ipv6_beside_an_address),
		cmocka_unit_test(ipv6_without_a_pool),
		cmocka_unit_test(used_up),
		cmocka_unit_test(of_aaa),
		cmocka_unit_test(ipv4_by_selectors),
		cmocka_unit_test(ipv4_not_wanted),
		cmocka_unit_test(ikev1_by_id),
		cmocka_unit_test(ikev1_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
