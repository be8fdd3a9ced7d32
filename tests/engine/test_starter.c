// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Connections that connect by themselves, when started or when a packet asks for it, and their tunnels
// that wait.
#include "tests/engine/pair.h"

#include "controlplane/starter.h"

#define PEER_ADDR  "198.51.100.2"
#define OTHER_ADDR "198.51.100.9"

#define SITE_A                                                                                 \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.7.0.0/16\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"
#define SITE_B                                                                                 \
	"{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

// a initiates; b only waits.
struct sites {
	struct bench *b;
	struct bench_node *a, *z;
};

static struct sites sites_new(enum cfg_initiate initiate, const char *addresses, const char *more)
{
	struct sites t = {.b = bench_new()};
	char *remote, *options;
	assert_true(
		asprintf(&remote, "id = \"client@example\"; auth = \"psk\"; addresses = [ %s ];",
			addresses) > 0);
	assert_true(asprintf(&options, "dpd = { delay_s = 5; timeout_s = 20; }; %s", more) > 0);
	struct side a = {.remote = remote, .pools = "", .more = options, .children = SITE_A};
	struct side z = {.pools = "", .more = "", .children = SITE_B};
	t.a = side_add(t.b, "a", GW_ADDR, &a, true);
	t.z = side_add(t.b, "z", PEER_ADDR, &z, false);
	t.a->cfg->connections[0].initiate = initiate;
	free(remote);
	free(options);
	ike_start(t.a->engine);
	return t;
}

static struct ike_connection_info info_of(struct bench_node *n)
{
	struct ike_connection_info info;
	assert_true(ike_connection_get(n->engine, 0, &info));
	assert_false(ike_connection_get(n->engine, 1, &info) && info.name == NULL);
	assert_true(ike_connection_get(n->engine, 0, &info));
	return info;
}

static bool traffic(struct sites *t)
{
	return bench_traffic(t->a, t->z, "10.99.0.7", "10.7.1.1") &&
	       bench_traffic(t->z, t->a, "10.7.1.1", "10.99.0.7");
}

// The only tunnel of a.
static struct bench_tunnel *tunnel_of(struct bench_node *n)
{
	assert_int_equal(n->sink.tunnel_count, 1);
	return LIST_FIRST(&n->sink.tunnels);
}

static void packet_for(struct bench_node *n)
{
	struct bench_tunnel *t = tunnel_of(n);
	struct sa_event ev = {
		.type = SA_EVENT_NO_CHILD, .tunnel = t->id, .session = t->spec.session};
	bench_sink_event(&n->sink, &ev);
	bench_settle(n->bench);
}

static void sites_free(struct sites *t)
{
	bench_free(t->b);
}

// ---- start -------------------------------------------------------------------------------------

static void starts_by_itself(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	struct bench_tunnel *waits = tunnel_of(t.a);
	assert_true(waits->spec.hold);
	assert_int_equal(waits->route_count, 1);
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	assert_ptr_equal(tunnel_of(t.a), waits); // the same, moved to the peer
	assert_int_equal(waits->moves, 1);
	struct ike_connection_info info = info_of(t.a);
	assert_string_equal(info.state, "up");
	assert_int_equal(info.sessions, 1);
	bench_expect(t.a, "ike_started", 1);
	sites_free(&t);
}

static void peer_deletes_and_it_comes_again(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	struct bench_tunnel *tunnel = tunnel_of(t.a);
	assert_int_equal(ike_delete_session(t.z->engine, bench_session(t.z).id), 0);
	bench_run(t.b, 100);
	assert_string_equal(info_of(t.a).state, "retry");
	// What the peer's network is for never leaves in clear meanwhile.
	assert_ptr_equal(tunnel_of(t.a), tunnel);
	assert_int_equal(tunnel->route_count, 1);
	assert_true(bench_run_until(t.b, bench_established, t.a, 3000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	sites_free(&t);
}

static void dead_peer_is_called_again(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_kill(t.z);
	bench_run(t.b, 40 * 1000);
	bench_expect(t.a, "ike_peer_dead", 1);
	assert_int_equal(info_of(t.a).sessions, 0);
	bench_start(t.z);
	assert_true(bench_run_until(t.b, bench_established, t.a, 130 * 1000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	sites_free(&t);
}

static void pauses_grow(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" OTHER_ADDR "\"", "");
	uint64_t last_ns = 0, longest_ns = 0;
	for (unsigned i = 0; i < 3600; i++) {
		bench_run(t.b, 1000);
		struct ike_connection_info info = info_of(t.a);
		assert_int_equal(info.sessions, 0);
		if (info.next_try_ns && info.next_try_ns != last_ns) {
			last_ns = info.next_try_ns;
			if (last_ns - t.b->now_ns > longest_ns)
				longest_ns = last_ns - t.b->now_ns;
		}
	}
	struct ike_connection_info info = info_of(t.a);
	// Each try lasts 63 s, and the pauses up to a minute.
	assert_in_range(info.attempts, 25, 45);
	assert_in_range(longest_ns / NS_PER_S, 40, 60);
	assert_string_equal(info.last_error, ike_reason_text(IKE_REASON_PEER_DEAD));
	sites_free(&t);
}

static void addresses_in_turn(void **state)
{
	struct sites t = sites_new(
		CFG_INITIATE_START, "\"" OTHER_ADDR "\", \"198.51.100.8\", \"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 30 * 1000));
	assert_int_equal(bench_counter(t.a, "ike_started"), 3);
	bench_run(t.b, 50);
	// The one that has answered is called first the next time.
	assert_int_equal(ike_delete_session(t.z->engine, bench_session(t.z).id), 0);
	bench_run(t.b, 100);
	assert_true(bench_run_until(t.b, bench_established, t.a, 3000));
	assert_int_equal(bench_counter(t.a, "ike_started"), 4);
	sites_free(&t);
}

static void peer_came_first(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_ON_DEMAND, "\"" PEER_ADDR "\"", "");
	struct bench_tunnel *waits = tunnel_of(t.a);
	assert_true(bench_connect(t.z, t.a, "c") > 0);
	assert_true(bench_run_until(t.b, bench_established, t.z, 2000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	assert_ptr_equal(tunnel_of(t.a), waits);
	assert_string_equal(info_of(t.a).state, "up");
	packet_for(t.a);
	bench_run(t.b, 1000);
	bench_expect(t.a, "ike_started", 0);
	sites_free(&t);
}

// ---- on demand ---------------------------------------------------------------------------------

static void packet_starts_it(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_ON_DEMAND, "\"" PEER_ADDR "\"", "");
	struct bench_tunnel *waits = tunnel_of(t.a);
	bench_run(t.b, 60 * 1000);
	assert_string_equal(info_of(t.a).state, "waiting");
	bench_expect(t.a, "ike_started", 0);
	packet_for(t.a);
	assert_string_equal(info_of(t.a).state, "connecting");
	packet_for(t.a); // one is enough
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	bench_expect(t.a, "ike_started", 1);
	assert_true(traffic(&t));
	assert_ptr_equal(tunnel_of(t.a), waits);
	assert_int_equal(info_of(t.a).held, 2);
	// It ends, and waits for the next packet.
	assert_int_equal(ike_delete_session(t.z->engine, bench_session(t.z).id), 0);
	bench_run(t.b, 60 * 1000);
	assert_string_equal(info_of(t.a).state, "waiting");
	bench_expect(t.a, "ike_started", 1);
	assert_ptr_equal(tunnel_of(t.a), waits);
	packet_for(t.a);
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	sites_free(&t);
}

static void failed_demand_waits_for_the_next_packet(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_ON_DEMAND, "\"" OTHER_ADDR "\"", "");
	packet_for(t.a);
	bench_run(t.b, 200 * 1000);
	assert_int_equal(bench_counter(t.a, "ike_started"), 1);
	assert_string_equal(info_of(t.a).state, "waiting");
	packet_for(t.a);
	assert_int_equal(bench_counter(t.a, "ike_started"), 2);
	sites_free(&t);
}

static void child_that_the_peer_deleted(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	struct ike_session_info s = bench_session(t.z);
	assert_int_equal(ike_delete_child(t.z->engine, s.id, s.children[0].spi_in), 0);
	bench_run(t.b, 100);
	assert_int_equal(bench_session(t.a).child_count, 0);
	packet_for(t.a);
	bench_run(t.b, 100);
	assert_int_equal(bench_session(t.a).child_count, 1);
	assert_true(traffic(&t));
	sites_free(&t);
}

static void child_comes_back_without_a_packet(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	for (int i = 0; i < 2; i++) {
		struct ike_session_info s = bench_session(t.z);
		assert_int_equal(ike_delete_child(t.z->engine, s.id, s.children[0].spi_in), 0);
		bench_run(t.b, 100);
		assert_int_equal(bench_session(t.a).child_count, 0);
		bench_run(t.b, 5000);
		assert_int_equal(bench_session(t.a).child_count, 1);
		assert_true(traffic(&t));
	}
	sites_free(&t);
}

#define SECOND                                                                                      \
	", { name = \"second\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.8.0.0/16\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; df = \"clear\"; }"
#define SECOND_Z                                                                                    \
	", { name = \"second\"; local_ts = [ \"10.8.0.0/16\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

static void one_of_two_children_comes_back(void **state)
{
	struct sites t = {.b = bench_new()};
	struct side a = {
		.remote = "id = \"client@example\"; auth = \"psk\"; addresses = [ \"" PEER_ADDR
			  "\" ];",
		.pools = "",
		.more = "initiate = \"start\";",
		.children = SITE_A SECOND};
	struct side z = {.pools = "", .more = "", .children = SITE_B SECOND_Z};
	t.a = side_add(t.b, "a", GW_ADDR, &a, true);
	t.z = side_add(t.b, "z", PEER_ADDR, &z, false);
	ike_start(t.a->engine);
	assert_int_equal(tunnel_of(t.a)->route_count, 2);
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 500);
	struct ike_session_info s = bench_session(t.z);
	assert_int_equal(s.child_count, 2);
	for (int i = 0; i < 2; i++) {
		s = bench_session(t.z);
		assert_int_equal(ike_delete_child(t.z->engine, s.id, s.children[i].spi_in), 0);
		bench_run(t.b, 10 * 1000);
		assert_int_equal(bench_session(t.a).child_count, 2);
		assert_true(traffic(&t));
		assert_true(bench_traffic(t.a, t.z, "10.99.0.7", "10.8.1.1"));
	}
	sites_free(&t);
}

// The peer lets us in and throws us out at once.
static void no_storm_where_sessions_do_not_last(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	for (int i = 0; i < 600 * 10; i++) {
		bench_run(t.b, 100);
		if (bench_session_count(t.z))
			(void)!ike_delete_session(t.z->engine, bench_session(t.z).id);
	}
	assert_in_range(bench_counter(t.a, "ike_started"), 8, 30);
	// One that lasts makes good for it.
	assert_true(bench_run_until(t.b, bench_established, t.a, 70 * 1000));
	bench_run(t.b, 61 * 1000);
	assert_int_equal(ike_delete_session(t.z->engine, bench_session(t.z).id), 0);
	bench_run(t.b, 100);
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	sites_free(&t);
}

// The same on demand, with a packet at every moment.
static void no_storm_on_demand(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_ON_DEMAND, "\"" PEER_ADDR "\"", "");
	for (int i = 0; i < 600 * 10; i++) {
		packet_for(t.a);
		bench_run(t.b, 100);
		if (bench_session_count(t.z))
			(void)!ike_delete_session(t.z->engine, bench_session(t.z).id);
	}
	assert_in_range(bench_counter(t.a, "ike_started"), 8, 30);
	sites_free(&t);
}

// The peer ends the session while it is being authenticated anew: that is the next one.
static void reauthentication_is_the_next_try(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_START, "\"" PEER_ADDR "\"", "");
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	for (int i = 0; i < 8; i++) {
		uint64_t a = bench_session(t.a).id, z = bench_session(t.z).id;
		t.a->job_delay_ns = 3 * NS_PER_S;
		assert_int_equal(ike_reauthenticate(t.a->engine, a), 0);
		bench_run(t.b, 10);
		assert_int_equal(ike_delete_session(t.z->engine, z), 0);
		bench_run(t.b, 12 * 1000);
		t.a->job_delay_ns = 0;
		bench_run(t.b, 20 * 1000);
		assert_int_equal(bench_session_count(t.a), 1);
		assert_int_equal(bench_session_count(t.z), 1);
		assert_true(traffic(&t));
	}
	sites_free(&t);
}

static void sizes_of_the_tunnel_that_waits(void **state)
{
	static const struct {
		const char *text;
		enum sa_df df;
		enum sa_fragment fragment;
		uint16_t mtu;
	} rows[] = {{"df = \"copy\"; fragment = \"before\";", SA_DF_COPY, SA_FRAGMENT_BEFORE, 0},
		{"df = \"set\"; mtu = 1400;", SA_DF_SET, SA_FRAGMENT_BEFORE, 1400},
		{"df = \"clear\"; fragment = \"after\"; mtu = 576;", SA_DF_CLEAR, SA_FRAGMENT_AFTER,
			576}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench *b = bench_new();
		char *child;
		assert_true(
			asprintf(&child,
				"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = "
				"[ \"10.7.0.0/16\" ]; esp_proposals = [ \"aes128gcm16\" ]; "
				"%s }",
				rows[i].text) > 0);
		struct side a = {.remote = "id = \"client@example\"; auth = \"psk\"; addresses = "
					   "[ \"" PEER_ADDR "\" ];",
			.pools = "",
			.more = "initiate = \"on_demand\";",
			.children = child};
		struct bench_node *n = side_add(b, "a", GW_ADDR, &a, true);
		ike_start(n->engine);
		const struct tunnel_spec *spec = &tunnel_of(n)->spec;
		assert_int_equal(spec->df, rows[i].df);
		assert_int_equal(spec->treat.fragment, rows[i].fragment);
		assert_int_equal(spec->treat.mtu_max, rows[i].mtu);
		free(child);
		bench_free(b);
	}
}

static void never_where_it_only_responds(void **state)
{
	struct sites t =
		sites_new(CFG_INITIATE_NONE, "\"" PEER_ADDR "\"", "responder_only = true;");
	const char *why;
	bench_run(t.b, 1000);
	assert_int_equal(t.a->sink.tunnel_count, 0);
	assert_int_equal(ike_connect(t.a->engine, "c", &why), 0);
	assert_string_equal(why, "the connection only responds");
	assert_int_equal(t.a->sent, 0);
	sites_free(&t);
}

static void connect_by_hand(void **state)
{
	struct sites t = sites_new(CFG_INITIATE_NONE, "\"" PEER_ADDR "\"", "");
	const char *why;
	assert_int_equal(ike_connect(t.a->engine, "x", &why), 0);
	assert_string_equal(why, "no such connection");
	assert_true(ike_connect(t.a->engine, "c", &why) > 0);
	assert_int_equal(ike_connect(t.a->engine, "c", &why), 0);
	assert_true(bench_run_until(t.b, bench_established, t.a, 2000));
	bench_run(t.b, 50);
	assert_true(traffic(&t));
	assert_int_equal(info_of(t.a).sessions, 1);
	assert_string_equal(info_of(t.a).state, "up");
	assert_int_equal(ike_delete_session(t.z->engine, bench_session(t.z).id), 0);
	bench_run(t.b, 5000);
	struct ike_connection_info info = info_of(t.a);
	assert_string_equal(info.state, "-");
	assert_string_equal(info.last_error, ike_reason_text(IKE_REASON_DELETED_BY_PEER));
	assert_int_equal(bench_session_count(t.a), 0);
	sites_free(&t);
}

// ---- beside another connection ------------------------------------------------------------------

#define CONNECTION(name, addr, more)                                                             \
	"{ name = \"" name "\"; ike_versions = [ 2 ]; ike_proposals = [ "                        \
	"\"aes128gcm16-prfsha256-x25519\" ]; local = { id = \"gw.example\"; auth = \"psk\"; }; " \
	"remote = { id = \"client@example\"; auth = \"psk\"; addresses = [ \"" addr              \
	"\" ]; }; " more " children = ( " SITE_A " ); }"

#define PART_OF_B                                                                              \
	"{ name = \"lan\"; local_ts = [ \"10.7.1.0/24\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

// By the tunnel of this peer, in a's data plane.
static bool leads_to(struct bench_node *n, const char *dst, const char *peer)
{
	struct bench_tunnel *t;
	struct ip_prefix p;
	struct ip_addr a;
	assert_int_equal(ip_prefix_parse(dst, true, &p), 0);
	assert_int_equal(ip_parse(peer, &a), 0);
	LIST_FOREACH (t, &n->sink.tunnels, link)
		for (unsigned i = 0; i < t->route_count; i++)
			if (ip_prefix_eq(&t->routes[i], &p) && ip_eq(&t->spec.path.remote.addr, &a))
				return true;
	return false;
}

// Two connections lead to one peer, at two addresses; both sessions want the network that it has, and one
// gets it. That one's tunnel begins to wait with what the file says, which is another network.
static void what_waits_keeps_nothing_from_another_connection(void **state)
{
	struct sites t = {.b = bench_new()};
	struct side z = {.pools = "", .more = "", .children = PART_OF_B};
	t.a = bench_add(t.b, "a", GW_ADDR,
		"credentials: { " PSK_BOUND " };\nconnections = ( " CONNECTION("c", PEER_ADDR,
			"initiate = \"on_demand\"; dpd = { delay_s = 5; timeout_s = 20; };") ", " CONNECTION("d",
			OTHER_ADDR, "") " );\n");
	t.z = side_add(t.b, "z", PEER_ADDR, &z, false);
	struct bench_node *other = side_add(t.b, "other", OTHER_ADDR, &z, false);
	ike_start(t.a->engine);
	assert_true(bench_connect(t.a, other, "d") > 0);
	assert_true(bench_run_until(t.b, bench_established, other, 2000));
	bench_run(t.b, 100);
	assert_true(leads_to(t.a, "10.7.1.0/24", OTHER_ADDR));
	assert_true(bench_connect(t.a, t.z, "c") > 0);
	assert_true(bench_run_until(t.b, bench_established, t.z, 2000));
	bench_run(t.b, 100);
	assert_int_equal(bench_session_count(t.a), 2);
	assert_true(leads_to(t.a, "10.7.1.0/24", PEER_ADDR));
	t.z->deaf = true;
	bench_run(t.b, 40 * 1000);
	bench_expect(t.a, "ike_peer_dead", 1);
	assert_int_equal(bench_session_count(t.a), 1);
	assert_true(leads_to(t.a, "10.7.1.0/24", OTHER_ADDR));
	assert_true(leads_to(t.a, "10.7.0.0/16", PEER_ADDR)); // waits
	sites_free(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_by_itself),
		cmocka_unit_test(peer_deletes_and_it_comes_again),
		cmocka_unit_test(dead_peer_is_called_again),
		cmocka_unit_test(pauses_grow),
		cmocka_unit_test(addresses_in_turn),
		cmocka_unit_test(peer_came_first),
		cmocka_unit_test(packet_starts_it),
		cmocka_unit_test(failed_demand_waits_for_the_next_packet),
		cmocka_unit_test(child_that_the_peer_deleted),
		cmocka_unit_test(child_comes_back_without_a_packet),
		cmocka_unit_test(one_of_two_children_comes_back),
		cmocka_unit_test(no_storm_where_sessions_do_not_last),
		cmocka_unit_test(no_storm_on_demand),
		cmocka_unit_test(reauthentication_is_the_next_try),
		cmocka_unit_test(sizes_of_the_tunnel_that_waits),
		cmocka_unit_test(never_where_it_only_responds),
		cmocka_unit_test(connect_by_hand),
		cmocka_unit_test(what_waits_keeps_nothing_from_another_connection),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
