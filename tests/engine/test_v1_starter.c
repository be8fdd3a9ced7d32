// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1 connections that connect by themselves: when started, or when a packet asks for it; with several
// addresses, several child SAs, several selectors, and over a tunnel interface.
#include "tests/engine/v1_sites.h"

#include "controlplane/starter.h"

#define PEER_ADDR  CLIENT_ADDR
#define OTHER_ADDR "198.51.100.9"
#define DPD        "dpd = { delay_s = 5; timeout_s = 20; };"

#define CHILD(name, local, remote)                                                      \
	"{ name = \"" name "\"; local_ts = [ " local " ]; remote_ts = [ " remote " ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"
#define TWO_GW                                              \
	CHILD("lan", "\"10.99.0.0/24\"", "\"10.7.0.0/16\"") \
	", " CHILD("two", "\"10.99.0.0/24\"", "\"10.8.0.0/16\"")
#define TWO_CLIENT                                          \
	CHILD("lan", "\"10.7.0.0/16\"", "\"10.99.0.0/24\"") \
	", " CHILD("two", "\"10.8.0.0/16\"", "\"10.99.0.0/24\"")

struct start {
	enum cfg_initiate initiate;
	const char *addresses; // NULL: the peer's
	const char *gw_more, *client_more;
	const char *gw_children, *client_children;
};

// The gateway begins; the client only answers.
static struct v1 begun(const struct start *t)
{
	char *remote, *more;
	assert_true(
		asprintf(&remote, "id = \"client@example\"; auth = \"psk\"; addresses = [ %s ];",
			t->addresses ? t->addresses : "\"" PEER_ADDR "\"") > 0);
	assert_true(asprintf(&more, DPD "%s", t->gw_more ? t->gw_more : "") > 0);
	struct v1 v = v1_new(&(struct v1_setup){.site = true,
		.gw_credentials = SITES_PSK("client@example", PEER_ADDR),
		.client_credentials = SITES_PSK("gw.example", GW_ADDR),
		.gw_remote = remote,
		.gw_more = more,
		.client_more = t->client_more,
		.gw_children = t->gw_children,
		.client_children = t->client_children});
	free(remote);
	free(more);
	v.gw->cfg->connections[0].initiate = t->initiate;
	ike_start(v.gw->engine);
	return v;
}

static struct ike_connection_info info(struct v1 *v)
{
	struct ike_connection_info i;
	assert_true(ike_connection_get(v->gw->engine, 0, &i));
	return i;
}

static void need_up(struct v1 *v, uint64_t max_ms)
{
	assert_true(bench_run_until(v->b, v1_is_up, v, max_ms));
	bench_run(v->b, 300); // all of its child SAs
	assert_string_equal(info(v).state, "up");
	assert_true(site_session(v->gw)->initiator);
}

static bool both_ways(struct v1 *v, const char *ours, const char *theirs)
{
	return bench_traffic(v->gw, v->client, ours, theirs) &&
	       bench_traffic(v->client, v->gw, theirs, ours);
}

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

// ---- start ---------------------------------------------------------------------------------------

static void starts_and_comes_again(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START});
	need_up(&v, 3000);
	struct bench_tunnel *tunnel = tunnel_of(v.gw);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	// The peer deletes it.
	assert_int_equal(ike_delete_session(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 100);
	assert_string_equal(info(&v).state, "retry");
	assert_ptr_equal(tunnel_of(v.gw), tunnel);
	need_up(&v, 5000);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	// It dies, and is noticed by DPD.
	bench_kill(v.client);
	bench_run(v.b, 40 * 1000);
	bench_expect(v.gw, "ike_peer_dead", 1);
	assert_int_equal(info(&v).sessions, 0);
	assert_ptr_equal(tunnel_of(v.gw), tunnel);
	bench_start(v.client);
	need_up(&v, 140 * 1000);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	v1_free(&v);
}

static void addresses_in_turn(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START,
		.addresses = "\"" OTHER_ADDR "\", \"" PEER_ADDR "\""});
	need_up(&v, 9500); // packets wait for ten seconds
	bench_expect(v.gw, "ike_started", 2);
	assert_int_equal(ike_delete_session(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 100);
	need_up(&v, 5000); // the one that has answered
	bench_expect(v.gw, "ike_started", 3);
	// A re-authentication has no other address to go to: all tries.
	v1_watch_forget(v.w);
	v.client->deaf = true;
	assert_int_equal(ike_rekey_ike(v.gw->engine, bench_session(v.gw).id), 0);
	bench_run(v.b, 14 * 1000);
	assert_int_equal(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_MAIN), 5);
	v1_free(&v);
}

static void on_demand(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_ON_DEMAND});
	bench_run(v.b, 60 * 1000);
	assert_string_equal(info(&v).state, "waiting");
	bench_expect(v.gw, "ike_started", 0);
	packet_for(v.gw);
	need_up(&v, 3000);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	assert_int_equal(ike_delete_session(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 60 * 1000);
	assert_string_equal(info(&v).state, "waiting");
	packet_for(v.gw);
	need_up(&v, 3000);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	v1_free(&v);
}

// ---- several child SAs ---------------------------------------------------------------------------

static void all_children(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START,
		.gw_children = TWO_GW,
		.client_children = TWO_CLIENT});
	need_up(&v, 3000);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(bench_session(v.gw).child_count, 2);
		assert_int_equal(bench_session(v.client).child_count, 2);
		assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
		assert_true(both_ways(&v, "10.99.0.7", "10.8.1.1"));
		if (i == 2)
			break;
		// The peer deletes one: it comes again.
		struct ike_session_info s = bench_session(v.client);
		assert_int_equal(ike_delete_child(v.client->engine, s.id, s.children[i].spi_in), 0);
		bench_run(v.b, 100);
		assert_int_equal(bench_session(v.gw).child_count, 1);
		bench_run(v.b, 10000);
	}
	bench_expect(v.gw, "ike_child_created", 4);
	v1_free(&v);
}

// The peer wants one of them alone.
static void one_is_refused(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START, .gw_children = TWO_GW});
	need_up(&v, 3000);
	assert_int_equal(bench_session(v.gw).child_count, 1);
	assert_true(both_ways(&v, "10.99.0.7", "10.7.1.1"));
	bench_run(v.b, 300 * 1000);
	assert_in_range(bench_counter(v.gw, "ike_child_refused"), 1, 15);
	assert_int_equal(bench_session(v.gw).child_count, 1);
	bench_expect(v.gw, "ike_established", 1);
	v1_free(&v);
}

// ---- several selectors ---------------------------------------------------------------------------

#define ANY "\"0.0.0.0/0\", \"::/0\""

// Each pair of one address family is a child SA.
static void each_pair(void **state)
{
	static const struct {
		const char *gw, *client;
		unsigned children;
		const char *hosts[4][2]; // ours, theirs
	} rows[] = {
		{CHILD("lan", "\"10.99.0.0/24\", \"10.98.0.0/24\"",
			 "\"10.7.0.0/16\", \"10.8.0.0/16\""),
			CHILD("lan", "\"10.7.0.0/16\", \"10.8.0.0/16\"",
				"\"10.99.0.0/24\", \"10.98.0.0/24\""),
			4,
			{{"10.99.0.7", "10.7.1.1"}, {"10.99.0.7", "10.8.1.1"},
				{"10.98.0.7", "10.7.1.1"}, {"10.98.0.7", "10.8.1.1"}}},
		{CHILD("lan", ANY, ANY), CHILD("lan", ANY, ANY), 2,
			{{"10.98.0.7", "10.7.1.1"}, {"2001:db8:98::7", "2001:db8:7::1"}}},
		// A peer that knows only the first
		{CHILD("lan", "\"10.99.0.0/24\", \"10.98.0.0/24\"", "\"10.7.0.0/16\""),
			V1_SITE_CLIENT, 1, {{"10.99.0.7", "10.7.1.1"}}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START,
			.gw_more = i == 1 ? "tunnel_interface = { routes = [ \"10.7.0.0/16\", "
					    "\"2001:db8:7::/48\" ]; };"
					  : "",
			.client_more = i == 1 ? "tunnel_interface = { routes = [ \"10.98.0.0/24\", "
						"\"2001:db8:98::/48\" ]; };"
					      : "",
			.gw_children = rows[i].gw,
			.client_children = rows[i].client});
		need_up(&v, 3000);
		for (int again = 0; again < 3; again++) {
			assert_int_equal(bench_session(v.gw).child_count, rows[i].children);
			for (int k = 0; k < 4 && rows[i].hosts[k][0]; k++)
				assert_true(
					both_ways(&v, rows[i].hosts[k][0], rows[i].hosts[k][1]));
			struct ike_session_info s = bench_session(v.client);
			if (again == 0) // one of them goes, and comes again
				assert_int_equal(ike_delete_child(v.client->engine, s.id,
							 s.children[0].spi_in),
					0);
			if (again == 1) // rekeyed, it is the same one
				for (unsigned k = 0; k < s.child_count; k++)
					assert_int_equal(ike_rekey_child(v.client->engine, s.id,
								 s.children[k].spi_in),
						0);
			bench_run(v.b, again == 1 ? 250 * 1000 : 10000);
		}
		v1_free(&v);
	}
}

// ---- tunnel interfaces -----------------------------------------------------------------------------

#define TUNNEL(route) "tunnel_interface = { routes = [ \"" route "\" ]; };"
#define ANY_ANY       CHILD("any", "\"0.0.0.0/0\"", "\"0.0.0.0/0\"")

static void tunnel_interface(void **state)
{
	struct v1 v = begun(&(struct start){.initiate = CFG_INITIATE_START,
		.gw_more = TUNNEL("10.7.0.0/16"),
		.client_more = TUNNEL("10.98.0.0/24"),
		.gw_children = ANY_ANY,
		.client_children = ANY_ANY});
	char text[SELECTOR_TEXT_MAX];
	need_up(&v, 3000);
	struct bench_tunnel *t = tunnel_of(v.gw);
	for (int i = 0; i < 4; i++) {
		struct ike_session_info s = bench_session(v.gw);
		assert_string_equal(selector_text(&s.children[0].ts_local[0], text), "0.0.0.0/0");
		assert_string_equal(selector_text(&s.children[0].ts_remote[0], text), "0.0.0.0/0");
		assert_ptr_equal(tunnel_of(v.gw), t);
		assert_true(t->spec.reverse_path);
		assert_int_equal(t->route_count, 1);
		assert_int_equal(tunnel_of(v.client)->route_count, 1);
		assert_true(both_ways(&v, "10.98.0.7", "10.7.1.1"));
		if (i == 0)
			assert_int_equal(
				ike_rekey_child(v.gw->engine, s.id, s.children[0].spi_in), 0);
		else if (i == 1)
			assert_int_equal(ike_rekey_ike(v.gw->engine, s.id), 0);
		else if (i == 2)
			assert_int_equal(
				ike_delete_session(v.client->engine, bench_session(v.client).id),
				0);
		bench_run(v.b, 5000);
	}
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	bench_expect(v.gw, "ikev1_reauthenticated", 1);
	bench_expect(v.gw, "ike_started", 2);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starts_and_comes_again),
		cmocka_unit_test(addresses_in_turn),
		cmocka_unit_test(on_demand),
		cmocka_unit_test(all_children),
		cmocka_unit_test(one_is_refused),
		cmocka_unit_test(each_pair),
		cmocka_unit_test(tunnel_interface),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
