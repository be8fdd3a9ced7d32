// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Tunnel interfaces: any-to-any selectors, and routes that decide what enters.
#include "tests/engine/pair.h"

#define BRANCH1 "198.51.100.2"
#define BRANCH2 "198.51.100.3"

#define ANY_ANY                                                                           \
	"{ name = \"any\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"0.0.0.0/0\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

static char *psks(void)
{
	return "credentials: { psk = ( { id = \"branch1.example\"; secret = \"the first branch's\"; }, "
	       "{ id = \"branch2.example\"; secret = \"the second branch's\"; }, "
	       "{ id = \"gw.example\"; addresses = [ \"" GW_ADDR "/32\" ]; "
	       "secret = \"unused by the hub\"; } ); };\n";
}

static char *hub_connection(const char *name, const char *routes, const char *more)
{
	char *text;
	assert_true(asprintf(&text,
			    "{ name = \"%s\"; ike_versions = [ 2 ]; "
			    "ike_proposals = [ \"aes128gcm16-prfsha256-x25519\" ]; "
			    "local = { id = \"gw.example\"; auth = \"psk\"; }; "
			    "remote = { id = \"%s.example\"; auth = \"psk\"; }; "
			    "tunnel_interface = { routes = [ %s ]; }; %s "
			    "children = ( " ANY_ANY " ); }",
			    name, name, routes, more) > 0);
	return text;
}

static struct bench_node *hub_add(struct bench *b, const char *more1)
{
	char *text, *one = hub_connection("branch1", "\"10.7.0.0/16\", \"10.8.0.0/24\"", more1);
	char *two = hub_connection("branch2", "\"10.9.0.0/16\"", "");
	assert_true(asprintf(&text, "%sconnections = ( %s, %s );", psks(), one, two) > 0);
	struct bench_node *n = bench_add(b, "hub", GW_ADDR, text);
	free(one);
	free(two);
	free(text);
	return n;
}

static struct bench_node *branch_add(struct bench *b, int i, const char *secret)
{
	char *text;
	assert_true(
		asprintf(&text,
			"credentials: { psk = ( { id = \"gw.example\"; secret = \"%s\"; } ); };\n"
			"connections = ( { name = \"hub\"; ike_versions = [ 2 ]; "
			"ike_proposals = [ \"aes128gcm16-prfsha256-x25519\" ]; "
			"local = { id = \"branch%d.example\"; auth = \"psk\"; }; "
			"remote = { id = \"gw.example\"; auth = \"psk\"; }; "
			"tunnel_interface = { routes = [ \"10.98.0.0/24\" ]; }; "
			"children = ( " ANY_ANY " ); } );",
			secret, i) > 0);
	struct bench_node *n =
		bench_add(b, i == 1 ? "branch1" : "branch2", i == 1 ? BRANCH1 : BRANCH2, text);
	free(text);
	return n;
}

struct hub {
	struct bench *b;
	struct bench_node *hub, *one, *two;
};

static struct hub hub_new(const char *more1)
{
	struct hub h = {.b = bench_new()};
	h.hub = hub_add(h.b, more1);
	h.one = branch_add(h.b, 1, "the first branch's");
	h.two = branch_add(h.b, 2, "the second branch's");
	assert_true(bench_connect(h.one, h.hub, "hub") > 0);
	assert_true(bench_connect(h.two, h.hub, "hub") > 0);
	assert_true(bench_run_until(h.b, bench_established, h.one, 3000));
	assert_true(bench_run_until(h.b, bench_established, h.two, 3000));
	bench_run(h.b, 100);
	return h;
}

static struct bench_tunnel *tunnel_to(struct bench_node *n, const char *peer)
{
	struct ip_addr a = bench_at(peer, 0).addr;
	struct bench_tunnel *t;
	LIST_FOREACH (t, &n->sink.tunnels, link)
		if (ip_eq(&t->spec.path.remote.addr, &a))
			return t;
	fail_msg("no tunnel to %s", peer);
	return NULL;
}

static bool has_route(const struct bench_tunnel *t, const char *text)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(text, false, &p), 0);
	for (unsigned i = 0; i < t->route_count; i++)
		if (ip_prefix_eq(&t->routes[i], &p))
			return true;
	return false;
}

static void routes_lead_to_their_branch(void **state)
{
	struct hub h = hub_new("");
	struct bench_tunnel *one = tunnel_to(h.hub, BRANCH1), *two = tunnel_to(h.hub, BRANCH2);
	assert_int_equal(one->route_count, 2);
	assert_true(has_route(one, "10.7.0.0/16") && has_route(one, "10.8.0.0/24"));
	assert_int_equal(two->route_count, 1);
	assert_true(has_route(two, "10.9.0.0/16"));
	assert_true(one->spec.reverse_path && two->spec.reverse_path);
	// Selectors are any to any.
	struct ike_session_info s = bench_session(h.hub);
	char text[SELECTOR_TEXT_MAX];
	assert_string_equal(selector_text(&s.children[0].ts_local[0], text), "0.0.0.0/0");
	assert_string_equal(selector_text(&s.children[0].ts_remote[0], text), "0.0.0.0/0");
	assert_true(bench_traffic(h.one, h.hub, "10.7.1.1", "10.9.1.1"));
	bench_free(h.b);
}

static void rekeying_leaves_the_routes(void **state)
{
	struct hub h = hub_new("");
	struct bench_tunnel *one = tunnel_to(h.hub, BRANCH1);
	for (int i = 0; i < 5; i++) {
		struct ike_session_info s = bench_session(h.one);
		assert_int_equal(ike_rekey_child(h.one->engine, s.id, s.children[0].spi_in), 0);
		bench_run(h.b, 300);
		assert_int_equal(bench_session(h.hub).child_count, 1);
		assert_ptr_equal(tunnel_to(h.hub, BRANCH1), one);
		assert_int_equal(one->route_count, 2);
	}
	// They stay as long as the session, not as long as a child SA.
	struct ike_session_info s = bench_session(h.one);
	assert_int_equal(ike_delete_child(h.one->engine, s.id, s.children[0].spi_in), 0);
	bench_run(h.b, 300);
	assert_int_equal(one->route_count, 2);
	bench_free(h.b);
}

static void younger_session_takes_them_over(void **state)
{
	struct hub h = hub_new("");
	struct bench_tunnel *old = tunnel_to(h.hub, BRANCH1);
	assert_true(bench_connect(h.one, h.hub, "hub") > 0);
	bench_run(h.b, 500);
	assert_int_equal(old->route_count, 2);
	assert_true(bench_traffic(h.one, h.hub, "10.7.1.1", "10.9.1.1"));
	bench_run(h.b, 20 * 1000);
	struct bench_tunnel *now = tunnel_to(h.hub, BRANCH1);
	assert_int_equal(now->route_count, 2);
	assert_int_equal(h.hub->sink.tunnel_count, 2);
	bench_free(h.b);
}

#define CLIENT_ROUTES                                                                       \
	"mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; tunnel_interface = { routes = " \
	"[ \"10.7.0.0/16\" ]; };"
#define CHILD_ANY                                                                               \
	"{ name = \"any\"; local_ts = [ \"0.0.0.0/0\" ]; esp_proposals = [ \"aes128gcm16\" ]; " \
	"remote_ts = [ \"0.0.0.0/0\" ]; }"

static void client_has_its_address_as_a_route(void **state)
{
	struct side gw = {.more = CLIENT_ROUTES, .children = CHILD_ANY}, client = {0};
	struct pair p = pair_new(&gw, &client);
	assert_true(pair_up(&p));
	struct bench_tunnel *t = LIST_FIRST(&p.gw->sink.tunnels);
	struct ike_session_info s = bench_session(p.gw);
	char lease[IP_TEXT_MAX];
	assert_int_equal(s.inner_count, 1);
	assert_int_equal(t->route_count, 2);
	assert_true(has_route(t, "10.7.0.0/16"));
	assert_true(has_route(t, ip_text(&s.inner[0], lease)));
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// More than a session has room for otherwise.
static void many_routes(void **state)
{
	struct bench *b = bench_new();
	char *routes = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&routes, &len);
	assert_non_null(f);
	for (int i = 0; i < 200; i++)
		fprintf(f, "%s\"10.7.%d.0/24\"", i ? ", " : "", i);
	fclose(f);
	char *text, *one = hub_connection("branch1", routes, "");
	assert_true(asprintf(&text, "%sconnections = ( %s );", psks(), one) > 0);
	struct bench_node *hub = bench_add(b, "hub", GW_ADDR, text);
	struct bench_node *branch = branch_add(b, 1, "the first branch's");
	assert_true(bench_connect(branch, hub, "hub") > 0);
	assert_true(bench_run_until(b, bench_established, branch, 3000));
	bench_run(b, 100);
	assert_int_equal(tunnel_to(hub, BRANCH1)->route_count, 200);
	bench_free(b);
	free(routes);
	free(one);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routes_lead_to_their_branch),
		cmocka_unit_test(rekeying_leaves_the_routes),
		cmocka_unit_test(younger_session_takes_them_over),
		cmocka_unit_test(client_has_its_address_as_a_route),
		cmocka_unit_test(many_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
