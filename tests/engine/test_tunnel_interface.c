// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Tunnel interfaces: any-to-any selectors, and routes that decide what enters.
#include "tests/engine/pair.h"

#define BRANCH1 "198.51.100.2"
#define BRANCH2 "198.51.100.3"

#define ANY_ANY                                                                    \
	"{ name = \"any\"; local_ts = [ \"0.0.0.0/0\", \"::/0\" ]; remote_ts = [ " \
	"\"0.0.0.0/0\", \"::/0\" ]; esp_proposals = [ \"aes128gcm16\" ]; }"
#define ROUTES1 "\"10.7.0.0/16\", \"10.8.0.0/24\", \"2001:db8:7::/48\""

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
	char *text, *one = hub_connection("branch1", ROUTES1, more1);
	char *two = hub_connection("branch2", "\"10.9.0.0/16\", \"2001:db8:9::/48\"", "");
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
			"remote = { id = \"gw.example\"; auth = \"psk\"; addresses = [ "
			"\"" GW_ADDR "\" ]; }; "
			"tunnel_interface = { routes = [ \"10.98.0.0/24\", \"2001:db8:98::/64\" ]; "
			"}; "
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

static struct hub hub_idle(struct bench *b, const char *more1)
{
	struct hub h = {.b = b};
	h.hub = hub_add(b, more1);
	h.one = branch_add(b, 1, "the first branch's");
	h.two = branch_add(b, 2, "the second branch's");
	return h;
}

static struct hub hub_new(const char *more1)
{
	struct hub h = hub_idle(bench_new(), more1);
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
	assert_int_equal(one->route_count, 3);
	assert_true(has_route(one, "10.7.0.0/16") && has_route(one, "10.8.0.0/24"));
	assert_true(has_route(one, "2001:db8:7::/48"));
	assert_int_equal(two->route_count, 2);
	assert_true(has_route(two, "10.9.0.0/16") && has_route(two, "2001:db8:9::/48"));
	assert_true(one->spec.reverse_path && two->spec.reverse_path);
	// Selectors are any to any.
	struct ike_session_info s = bench_session(h.hub);
	char text[SELECTOR_TEXT_MAX];
	assert_string_equal(selector_text(&s.children[0].ts_local[0], text), "0.0.0.0/0");
	assert_string_equal(selector_text(&s.children[0].ts_remote[0], text), "0.0.0.0/0");
	assert_string_equal(selector_text(&s.children[0].ts_local[1], text), "::/0");
	assert_string_equal(selector_text(&s.children[0].ts_remote[1], text), "::/0");
	bench_free(h.b);
}

// By the selectors all of it might pass.
static void only_from_where_the_routes_lead(void **state)
{
	static const struct {
		const char *src, *dst;
		bool pass;
	} rows[] = {
		{"10.7.1.1", "10.98.0.7", true},
		{"10.8.0.9", "10.98.0.7", true},
		{"10.8.1.9", "10.98.0.7", false},
		{"10.9.1.1", "10.98.0.7", false},  // the other branch's
		{"10.98.0.7", "10.98.0.8", false}, // the hub's
		{"2001:db8:7:1::1", "2001:db8:98::7", true},
		{"2001:db8:9::1", "2001:db8:98::7", false},
		{"2001:db8:1::1", "2001:db8:98::7", false},
	};
	struct hub h = hub_new("");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			bench_traffic(h.one, h.hub, rows[i].src, rows[i].dst), rows[i].pass);
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
		assert_int_equal(one->route_count, 3);
	}
	// They stay as long as the session, not as long as a child SA.
	struct ike_session_info s = bench_session(h.one);
	assert_int_equal(ike_delete_child(h.one->engine, s.id, s.children[0].spi_in), 0);
	bench_run(h.b, 300);
	assert_int_equal(one->route_count, 3);
	bench_free(h.b);
}

// Who begins one more session, or both at once.
enum anew { REAUTHENTICATED, PEER_ANEW, OTHER_ANEW, BOTH };

static uint64_t call(struct hub *h, bool hub_begins)
{
	return hub_begins ? bench_connect(h->hub, h->one, "branch1")
			  : bench_connect(h->one, h->hub, "hub");
}

static bool one_carries(void *arg)
{
	struct hub *h = arg;
	return bench_traffic(h->one, h->hub, "10.7.1.1", "10.98.0.7") &&
	       bench_traffic(h->hub, h->one, "10.98.0.7", "10.7.1.1");
}

static void begin(struct hub *h, enum anew anew, bool hub_began)
{
	struct bench_node *n = hub_began ? h->hub : h->one;
	assert_true(call(h, hub_began) > 0);
	if (anew == BOTH)
		assert_true(call(h, !hub_began) > 0);
	assert_true(bench_run_until(h->b, one_carries, h, 3000));
	if (anew == REAUTHENTICATED)
		assert_int_equal(ike_reauthenticate(n->engine, bench_session(n).id), 0);
	else if (anew != BOTH)
		assert_true(call(h, hub_began == (anew == PEER_ANEW)) > 0);
}

// What becomes of a session's tunnels in the data plane: one that is left has all the routes.
static void one_is_left(struct hub *h)
{
	struct bench_tunnel *t = LIST_FIRST(&h->hub->sink.tunnels);
	assert_int_equal(bench_session_count(h->hub), 1);
	assert_int_equal(bench_session_count(h->one), 1);
	assert_int_equal(h->hub->sink.tunnel_count, 1);
	assert_int_equal(h->one->sink.tunnel_count, 1);
	assert_int_equal(t->route_count, 3);
	assert_int_equal(LIST_FIRST(&h->one->sink.tunnels)->route_count, 2);
	assert_true(one_carries(h));
}

// The routes go from tunnel to tunnel; what is on its way leads back at every moment, whether it comes
// by the older one or by the younger one.
static void nothing_is_lost_between_tunnels(void **state)
{
	static const char *const inner[2][2] = {
		{"10.7.1.1", "10.98.0.7"}, {"2001:db8:7::1", "2001:db8:98::7"}};
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	for (unsigned row = 0; row < 4 * 2 * 2 * 2; row++) {
		enum anew anew = (enum anew)(row / 8);
		bool hub_began = row & 4, v6 = row & 2, silent = row & 1;
		struct hub h = hub_idle(bench_new_seeded(500 + row), "");
		h.b->allow_reply_before_install = true; // both sides' exchanges cross
		begin(&h, anew, hub_began);
		bench_traffic_watch(h.b, h.one, inner[v6][0], h.hub, inner[v6][1]);
		h.b->traffic.silent = silent;
		bench_run(h.b, 90 * 1000);
		if (h.b->traffic.lost)
			fail_msg("row %u: lost %llu of %llu, first by %08x of %s", row,
				(unsigned long long)h.b->traffic.lost,
				(unsigned long long)h.b->traffic.sent, h.b->traffic.lost_spi,
				h.b->traffic.node[h.b->traffic.lost_from]->name);
		assert_true(h.b->traffic.sent > 50);
		one_is_left(&h);
		bench_expect(h.hub, "ike_duplicate", anew == BOTH);
		bench_expect(
			hub_began ? h.hub : h.one, "ike_reauthenticated", anew == REAUTHENTICATED);
		bench_traffic_watch(h.b, NULL, NULL, NULL, NULL);
		bench_free(h.b);
	}
}

// Another one's packets are no better while routes move.
static void strangers_stay_strangers(void **state)
{
	struct hub h = hub_new("");
	struct bench_tunnel *old = tunnel_to(h.hub, BRANCH1);
	assert_true(call(&h, false) > 0);
	bench_run(h.b, 500);
	assert_int_equal(old->route_count, 3); // nothing was heard by the younger one yet
	assert_false(bench_traffic(h.one, h.hub, "10.9.1.1", "10.98.0.7"));
	assert_false(bench_traffic(h.two, h.hub, "10.7.1.1", "10.98.0.7"));
	assert_true(bench_traffic(h.one, h.hub, "10.7.1.1", "10.98.0.7"));
	assert_true(bench_traffic(h.two, h.hub, "10.9.1.1", "10.98.0.7"));
	bench_run(h.b, 20 * 1000);
	assert_int_equal(tunnel_to(h.hub, BRANCH1)->route_count, 3);
	assert_int_equal(h.hub->sink.tunnel_count, 2);
	assert_false(bench_traffic(h.one, h.hub, "10.9.1.1", "10.98.0.7"));
	assert_false(bench_traffic(h.two, h.hub, "10.7.1.1", "10.98.0.7"));
	bench_free(h.b);
}

// All that a node receives by, with a packet from there.
static bool all_lead_back(struct bench_node *n, const char *source)
{
	struct ip_addr from;
	struct bench_sa *sa;
	assert_int_equal(ip_parse(source, &from), 0);
	LIST_FOREACH (sa, &n->sink.sas, link)
		if (sa->spec.dir == SA_IN && !bench_sink_leads_back(&n->sink, sa, &from))
			return false;
	return true;
}

#define CHILD_ANY                                                                               \
	"{ name = \"any\"; local_ts = [ \"0.0.0.0/0\" ]; esp_proposals = [ \"aes128gcm16\" ]; " \
	"remote_ts = [ \"0.0.0.0/0\" ]; }"

// A gateway that is known by a group's key only: those are of one family that we have begun in each
// other's place, again and again.
static void family_of_an_anonymous_gateway(void **state)
{
	struct side gw = {.credentials = PSK_GROUP};
	struct side client = {.credentials = PSK_GROUP,
		.more = "tunnel_interface = { routes = [ \"10.97.0.0/24\" ]; };",
		.children = CHILD_ANY};
	struct pair p = pair_new(&gw, &client);
	assert_true(pair_up(&p));
	uint64_t family = 0;
	for (uint64_t id = 1; id < 4; id++) {
		assert_int_equal(ike_reauthenticate(p.client->engine, id), 0);
		bench_run(p.b, 300);
		assert_int_equal(p.client->sink.tunnel_count, 2);
		assert_true(all_lead_back(p.client, "10.97.0.7"));
		assert_false(all_lead_back(p.client, "10.98.0.7"));
		bench_run(p.b, 20000);
		assert_int_equal(p.client->sink.tunnel_count, 1);
		const struct bench_tunnel *t = LIST_FIRST(&p.client->sink.tunnels);
		assert_true(t->family && (!family || t->family == family));
		family = t->family;
	}
	pair_down(&p);
}

// A tunnel that waits for its next session has none.
static void waiting_tunnel_has_no_family(void **state)
{
	struct hub h = hub_idle(bench_new(), "");
	h.one->cfg->connections[0].initiate = CFG_INITIATE_ON_DEMAND;
	ike_start(h.one->engine);
	assert_true(call(&h, false) > 0);
	assert_true(bench_run_until(h.b, bench_established, h.one, 3000));
	bench_run(h.b, 100);
	assert_int_equal(ike_reauthenticate(h.one->engine, bench_session(h.one).id), 0);
	bench_run(h.b, 20000);
	assert_int_equal(h.one->sink.tunnel_count, 1);
	assert_int_not_equal(LIST_FIRST(&h.one->sink.tunnels)->family, 0);
	assert_int_equal(ike_delete_session(h.hub->engine, bench_session(h.hub).id), 0);
	bench_run(h.b, 500);
	assert_int_equal(bench_session_count(h.one), 0);
	assert_int_equal(h.one->sink.tunnel_count, 1);
	assert_int_equal(LIST_FIRST(&h.one->sink.tunnels)->route_count, 2);
	assert_int_equal(LIST_FIRST(&h.one->sink.tunnels)->family, 0);
	bench_free(h.b);
}

#define CLIENT_ROUTES                                                                       \
	"mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; tunnel_interface = { routes = " \
	"[ \"10.7.0.0/16\" ]; };"
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
		cmocka_unit_test(only_from_where_the_routes_lead),
		cmocka_unit_test(rekeying_leaves_the_routes),
		cmocka_unit_test(nothing_is_lost_between_tunnels),
		cmocka_unit_test(strangers_stay_strangers),
		cmocka_unit_test(family_of_an_anonymous_gateway),
		cmocka_unit_test(waiting_tunnel_has_no_family),
		cmocka_unit_test(client_has_its_address_as_a_route),
		cmocka_unit_test(many_routes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
