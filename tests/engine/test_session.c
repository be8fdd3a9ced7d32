// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions: who counts as the same owner, what becomes of older sessions, leases that move, and how
// they are shown and cleared.
#include "tests/engine/pair.h"

#include <errno.h>

static const struct side defaults;

#define UNIQUE(policy) "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; unique = \"" policy "\";"

struct trio {
	struct bench *b;
	struct bench_node *gw, *a, *z; // two clients of one identity
};

static struct trio trio_new(const char *more, const char *credentials)
{
	struct side gw = {.more = more, .credentials = credentials};
	struct side c = {.credentials = credentials};
	struct trio t = {.b = bench_new()};
	t.gw = side_add(t.b, "gw", GW_ADDR, &gw, true);
	t.a = side_add(t.b, "a", CLIENT_ADDR, &c, false);
	t.z = side_add(t.b, "z", "198.51.100.9", &c, false);
	t.a->cfg->connections[0].request_v4 = true;
	t.z->cfg->connections[0].request_v4 = true;
	return t;
}

// A session of the client that takes the notify INITIAL_CONTACT out of its later ones.
static void connect(struct trio *t, struct bench_node *n)
{
	assert_true(bench_connect(n, t->gw, "c") > 0);
	bench_run(t->b, 300);
}

static struct ip_addr inner_of(struct bench_node *n)
{
	return bench_session(n).inner[0];
}

static bool same_inner(struct bench_node *a, struct bench_node *z)
{
	struct ip_addr x = inner_of(a), y = inner_of(z);
	return ip_eq(&x, &y);
}

static void replace_with_initial_contact(void **state)
{
	struct trio t = trio_new(UNIQUE("replace"), NULL);
	connect(&t, t.a);
	connect(&t, t.z); // says INITIAL_CONTACT: what the first one had is taken over
	bench_expect(t.gw, "ike_initial_contact", 1);
	assert_int_equal(bench_session_count(t.gw), 1);
	assert_true(bench_established(t.z));
	assert_true(same_inner(t.a, t.z));
	assert_int_equal(pool_in_use(t.gw, 0), 1);
	struct pair p = {t.b, t.gw, t.z};
	assert_true(pair_traffic(&p));
	bench_free(t.b);
}

// INITIAL_CONTACT of a group's member says nothing, and "unique" does not apply to it.
static void anonymous_peers_replace_nobody(void **state)
{
	static const char *policies[] = {UNIQUE("replace"), UNIQUE("keep"), UNIQUE("no")};
	for (int i = 0; i < 3; i++) {
		struct trio t = trio_new(policies[i], PSK_GROUP);
		connect(&t, t.a);
		connect(&t, t.z);
		assert_int_equal(bench_session_count(t.gw), 2);
		assert_false(same_inner(t.a, t.z));
		assert_int_equal(pool_in_use(t.gw, 0), 2);
		bench_expect(t.gw, "ike_initial_contact", 0);
		bench_free(t.b);
	}
}

static void no_keeps_both(void **state)
{
	struct trio t = trio_new(UNIQUE("no"), NULL);
	connect(&t, t.a);
	connect(&t, t.z);
	assert_int_equal(bench_session_count(t.gw), 2);
	assert_false(same_inner(t.a, t.z));
	assert_true(bench_established(t.a));
	bench_free(t.b);
}

// A second IKE SA of the same client; only the first one says INITIAL_CONTACT.
static uint64_t reauthenticate(struct trio *t, struct bench_node *n, const char *hint)
{
	struct ip_addr *want = &n->cfg->connections[0].request_hint_v4;
	memset(want, 0, sizeof(*want));
	if (hint)
		assert_int_equal(ip_parse(hint, want), 0);
	uint64_t id = bench_connect(n, t->gw, "c");
	bench_run(t->b, 300);
	return id;
}

static void reauthentication_adopts_the_lease(void **state)
{
	struct trio t = trio_new(UNIQUE("no"), NULL);
	struct ike_session_info first, second;
	connect(&t, t.a);
	uint64_t id = reauthenticate(&t, t.a, NULL);
	bench_expect(t.gw, "ike_lease_adopted", 1);
	assert_int_equal(bench_session_count(t.gw), 2);
	assert_true(ike_session_get(t.a->engine, 1, &first));
	assert_true(ike_session_get(t.a->engine, id, &second));
	assert_true(ip_eq(&first.inner[0], &second.inner[0]));
	assert_int_equal(pool_in_use(t.gw, 0), 1);
	// The older one goes; address and route stay with the younger one.
	assert_int_equal(ike_delete_session(t.a->engine, 1), 0);
	bench_run(t.b, 300);
	assert_int_equal(bench_session_count(t.gw), 1);
	assert_int_equal(pool_in_use(t.gw, 0), 1);
	struct pair p = {t.b, t.gw, t.a};
	assert_true(pair_traffic(&p));
	struct bench_tunnel *tunnel = LIST_FIRST(&t.gw->sink.tunnels);
	assert_non_null(tunnel);
	assert_int_equal(tunnel->route_count, 1);
	assert_int_equal(ike_delete_session(t.a->engine, id), 0);
	bench_run(t.b, 300);
	assert_int_equal(pool_in_use(t.gw, 0), 0);
	bench_free(t.b);
}

static void replace_lets_a_reauthentication_finish(void **state)
{
	struct trio t = trio_new(UNIQUE("replace"), NULL);
	connect(&t, t.a);
	uint64_t id = reauthenticate(&t, t.a, NULL);
	assert_int_equal(bench_session_count(t.gw), 2);
	bench_run(t.b, (IKE_REAUTH_GRACE_S + 1) * 1000);
	assert_int_equal(bench_session_count(t.gw), 1);
	assert_int_equal(bench_session_count(t.a), 1);
	assert_int_equal(bench_session(t.a).id, id);
	struct pair p = {t.b, t.gw, t.a};
	assert_true(pair_traffic(&p));
	bench_free(t.b);
}

// From elsewhere, with and without a wish for the address that is held.
static void another_place_adopts_only_what_it_asks_for(void **state)
{
	struct trio t = trio_new(UNIQUE("no"), NULL);
	char text[IP_TEXT_MAX];
	connect(&t, t.a);
	struct ip_addr held = inner_of(t.a);
	uint64_t other = bench_connect_from(t.a, t.gw, "c", 1500, 500);
	bench_run(t.b, 300);
	struct ike_session_info s;
	assert_true(ike_session_get(t.a->engine, other, &s));
	assert_int_equal(s.inner_count, 1);
	assert_false(ip_eq(&s.inner[0], &held));
	ip_text(&held, text);
	assert_int_equal(ip_parse(text, &t.a->cfg->connections[0].request_hint_v4), 0);
	other = bench_connect_from(t.a, t.gw, "c", 1501, 500);
	bench_run(t.b, 300);
	assert_true(ike_session_get(t.a->engine, other, &s));
	assert_true(ip_eq(&s.inner[0], &held));
	assert_int_equal(pool_in_use(t.gw, 0), 2);
	bench_free(t.b);
}

// With several sessions of one owner a re-authentication goes on with its own address, not with that
// of the session that came last.
static void reauthentication_among_several(void **state)
{
	struct trio t = trio_new(UNIQUE("no"), NULL);
	struct ike_session_info s[3], again;
	uint64_t id[3];
	for (uint16_t i = 0; i < 3; i++) {
		id[i] = bench_connect_from(t.a, t.gw, "c", (uint16_t)(1500 + i), 500);
		bench_run(t.b, 300);
		assert_true(ike_session_get(t.a->engine, id[i], &s[i]));
		assert_int_equal(s[i].inner_count, 1);
	}
	assert_int_equal(pool_in_use(t.gw, 0), 3);
	for (uint16_t i = 0; i < 3; i++) {
		uint64_t n = bench_connect_from(t.a, t.gw, "c", (uint16_t)(1500 + i), 500);
		bench_run(t.b, 300);
		assert_true(ike_session_get(t.a->engine, n, &again));
		assert_true(ip_eq(&again.inner[0], &s[i].inner[0]));
	}
	assert_int_equal(pool_in_use(t.gw, 0), 3);
	bench_expect(t.gw, "ike_lease_adopted", 3);
	bench_free(t.b);
}

static void keep_refuses_the_younger(void **state)
{
	struct trio t = trio_new(UNIQUE("keep"), NULL);
	connect(&t, t.a);
	uint64_t other = bench_connect_from(t.a, t.gw, "c", 1500, 500);
	bench_run(t.b, 300);
	bench_expect(t.gw, "ike_kept", 1);
	assert_int_equal(bench_session_count(t.gw), 1);
	struct ike_session_info s;
	assert_false(ike_session_get(t.a->engine, other, &s));
	assert_true(bench_established(t.a));
	assert_int_equal(pool_in_use(t.gw, 0), 1);
	bench_free(t.b);
}

static void limit_per_owner(void **state)
{
	struct trio t = trio_new(UNIQUE("no") " max_sessions = 2;", NULL);
	connect(&t, t.a);
	for (uint16_t port = 1500; port < 1503; port++)
		assert_true(bench_connect_from(t.a, t.gw, "c", port, 500) > 0);
	bench_run(t.b, 300);
	assert_int_equal(bench_session_count(t.gw), 2);
	bench_expect(t.gw, "ike_max_sessions", 2);
	assert_int_equal(pool_in_use(t.gw, 0), 2);
	bench_free(t.b);
}

static void killed_client_returns_to_its_address(void **state)
{
	struct trio t = trio_new(UNIQUE("replace"), NULL);
	connect(&t, t.a);
	struct ip_addr held = inner_of(t.a);
	bench_kill(t.a);
	bench_start(t.a);
	connect(&t, t.a);
	assert_true(bench_established(t.a));
	struct ip_addr now = inner_of(t.a);
	assert_true(ip_eq(&held, &now));
	assert_int_equal(bench_session_count(t.gw), 1);
	bench_free(t.b);
}

static void clients_behind_one_nat(void **state)
{
	struct side gw = {.credentials = PSK_GROUP}, c = {.credentials = PSK_GROUP};
	struct bench *b = bench_new();
	struct pair p = {
		b, side_add(b, "gw", GW_ADDR, &gw, true), side_add(b, "a", "10.5.0.2", &c, false)};
	struct pair q = {b, p.gw, side_add(b, "z", "10.5.0.3", &c, false)};
	bench_nat_add(b, "10.5.0.2", "198.51.100.1");
	bench_nat_add(b, "10.5.0.3", "198.51.100.1");
	p.client->cfg->connections[0].request_v4 = true;
	q.client->cfg->connections[0].request_v4 = true;
	p.gw->origin.worker = 1;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	assert_true(bench_connect(q.client, p.gw, "c") > 0);
	bench_run(b, 500);
	assert_int_equal(bench_session_count(p.gw), 2);
	struct ike_session_info s = bench_session(p.gw);
	assert_true(s.nat);
	assert_int_equal(s.local.port, 4500);
	// The queue that brought IKE on port 4500 names the worker, and the address is of its shard.
	assert_int_equal(s.worker, 1);
	assert_int_equal(p.gw->sink.sink.worker_of(p.gw->sink.sink.ctx, &s.inner[0]), 1);
	assert_true(LIST_FIRST(&p.gw->sink.tunnels)->spec.path.encap);
	assert_true(pair_traffic(&p));
	assert_true(pair_traffic(&q));
	bench_free(b);
}

static void peer_moves_behind_its_nat(void **state)
{
	struct bench *b = bench_new();
	struct pair p = {b, side_add(b, "gw", GW_ADDR, &defaults, true),
		side_add(b, "a", "10.5.0.2", &defaults, false)};
	bench_nat_add(b, "10.5.0.2", "198.51.100.1");
	p.client->cfg->connections[0].request_v4 = true;
	p.client->cfg->connections[0].mobike = false;
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	struct sa_event ev = {.type = SA_EVENT_PEER_MOVED,
		.child = s.children[0].spi_in,
		.session = s.id,
		.tunnel = LIST_FIRST(&p.gw->sink.tunnels)->id,
		.remote = s.remote};
	unsigned before = p.gw->sink.moves;
	bench_sink_event(&p.gw->sink, &ev); // where it is: nothing happens
	bench_run(b, 5);
	assert_int_equal(p.gw->sink.moves, before);
	ev.remote.port++;
	bench_sink_event(&p.gw->sink, &ev);
	bench_run(b, 5);
	bench_expect(p.gw, "ike_peer_moved", 1);
	assert_int_equal(p.gw->sink.moves, before + 1);
	assert_int_equal(bench_session(p.gw).remote.port, ev.remote.port);
	bench_free(b);
}

static void peer_without_nat_does_not_move(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	struct sa_event ev = {
		.type = SA_EVENT_PEER_MOVED, .child = s.children[0].spi_in, .remote = s.remote};
	ev.remote.port++;
	bench_sink_event(&p.gw->sink, &ev);
	bench_run(p.b, 5);
	bench_expect(p.gw, "ike_peer_moved", 0);
	pair_down(&p);
}

static size_t clear(struct pair *p, struct ike_clearing c)
{
	size_t n = 0;
	while (!c.done)
		n += ike_clear(p->gw->engine, &c);
	return n;
}

static void walk_and_clear(void **state)
{
	struct side s = {.credentials = PSK_GROUP,
		.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.200\" ]; }"};
	struct side c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&s, &c);
	struct ike_session_info info;
	for (uint16_t i = 0; i < 100; i++)
		assert_true(bench_connect_from(p.client, p.gw, "c", (uint16_t)(2000 + i), 500) > 0);
	bench_run(p.b, 3000);
	assert_int_equal(bench_session_count(p.gw), 100);
	uint64_t after = 0, n = 0;
	while (ike_session_next(p.gw->engine, after, &info)) {
		assert_true(info.id > after);
		after = info.id;
		n++;
	}
	assert_int_equal(n, 100);
	// Every second one goes: the walk skips the gaps, from an id that is gone, too.
	for (uint64_t id = 1; id <= 100; id += 2)
		assert_int_equal(
			clear(&p, (struct ike_clearing){.what = IKE_CLEAR_ID, .id = id}), 1);
	bench_run(p.b, 1000);
	assert_int_equal(bench_session_count(p.gw), 50);
	assert_true(ike_session_next(p.gw->engine, 31, &info));
	assert_int_equal(info.id, 32);
	assert_false(ike_session_next(p.gw->engine, 100, &info));
	assert_false(ike_session_get(p.gw->engine, 31, &info));
	assert_true(ike_session_get(p.gw->engine, 32, &info));
	struct ip_addr inner = info.inner[0];
	assert_int_equal(
		clear(&p, (struct ike_clearing){.what = IKE_CLEAR_ADDRESS, .address = &inner}), 1);
	assert_int_equal(
		clear(&p, (struct ike_clearing){.what = IKE_CLEAR_USER, .user = "nobody"}), 0);
	bench_run(p.b, 1000);
	assert_int_equal(bench_session_count(p.gw), 49);
	assert_int_equal(
		clear(&p, (struct ike_clearing){.what = IKE_CLEAR_USER, .user = "client@example"}),
		49);
	bench_run(p.b, 1000);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	assert_int_equal(clear(&p, (struct ike_clearing){.what = IKE_CLEAR_ALL}), 0);
	assert_int_equal(ike_rekey_ike(p.gw->engine, 1), -ENOENT);
	assert_int_equal(pool_in_use(p.gw, 0), 0);
	bench_free(p.b);
}

static void headend_is_full(void **state)
{
	struct side s = {.credentials = PSK_GROUP}, c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&s, &c);
	p.gw->cfg->main.max_sessions = 2;
	for (uint16_t i = 0; i < 3; i++)
		assert_true(bench_connect_from(p.client, p.gw, "c", (uint16_t)(2000 + i), 500) > 0);
	bench_run(p.b, 500);
	assert_int_equal(bench_session_count(p.gw), 2);
	bench_expect(p.gw, "ike_sessions_full", 1);
	assert_int_equal(pool_in_use(p.gw, 0), 2);
	bench_free(p.b);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(replace_with_initial_contact),
		T(anonymous_peers_replace_nobody),
		T(no_keeps_both),
		T(reauthentication_adopts_the_lease),
		T(replace_lets_a_reauthentication_finish),
		T(another_place_adopts_only_what_it_asks_for),
		T(reauthentication_among_several),
		T(keep_refuses_the_younger),
		T(limit_per_owner),
		T(killed_client_returns_to_its_address),
		T(clients_behind_one_nat),
		T(peer_moves_behind_its_nat),
		T(peer_without_nat_does_not_move),
		T(walk_and_clear),
		T(headend_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
