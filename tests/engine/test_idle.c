// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Idle sessions: ended with a DELETE when no packet has passed for long enough, in either version.
#include "tests/engine/pair.h"
#include "tests/engine/v1_say.h"

#include "controlplane/session.h"

#define IDLE_S 60

static const struct side defaults;

#define MODE_CONFIG "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "

static struct pair up(const char *more)
{
	struct side gw = {.more = more};
	struct pair p = pair_new(&gw, &defaults);
	assert_true(pair_up(&p));
	return p;
}

static uint64_t idle_ms(struct bench_node *n)
{
	return (n->bench->now_ns - bench_session(n).used_ns) / NS_PER_MS;
}

// The gateway's session has ended by itself, and told the client.
static void expect_ended(struct pair *p)
{
	bench_expect(p->gw, "ike_idle", 1);
	bench_expect(p->gw, "ike_deleted", 1);
	assert_true(bench_empty(p->gw));
	assert_true(bench_empty(p->client));
	assert_int_equal(pool_in_use(p->gw, 0), 0);
}

// A packet into the data plane of the gateway alone, one way.
static void one_way(struct pair *p, enum sa_dir dir)
{
	char inner[IP_TEXT_MAX];
	struct ike_session_info s = bench_session(p->client);
	ip_text(&s.inner[0], inner);
	assert_true(dir == SA_IN ? bench_traffic(p->client, p->gw, inner, "10.99.0.7")
				 : bench_traffic(p->gw, p->client, "10.99.0.7", inner));
}

static void ends_when_idle(void **state)
{
	static const char *const more[] = {
		MODE_CONFIG "idle_s = 60;",
		MODE_CONFIG "idle_s = 60; responder_only = true;",
		MODE_CONFIG "idle_s = 60; dpd = { delay_s = 5; timeout_s = 20; };",
	};
	for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++) {
		struct pair p = up(more[i]);
		bench_run(p.b, (IDLE_S - 1) * 1000);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_in_range(idle_ms(p.gw), (IDLE_S - 1) * 1000, (IDLE_S - 1) * 1000 + 500);
		bench_run(p.b, 2000);
		expect_ended(&p);
		bench_free(p.b);
	}
}

// A packet in either direction is use, whenever it comes; what IKE says is none.
static void use_puts_it_off(void **state)
{
	for (int dir = SA_IN; dir <= SA_OUT; dir++) {
		struct pair p = up(MODE_CONFIG "idle_s = 60; dpd = { delay_s = 7; };");
		for (unsigned i = 0; i < 10; i++) {
			bench_run(p.b, (IDLE_S - 2) * 1000);
			one_way(&p, (enum sa_dir)dir);
			assert_int_equal(idle_ms(p.gw), 0);
		}
		bench_run(p.b, (IDLE_S - 1) * 1000);
		assert_int_equal(bench_session_count(p.gw), 1);
		bench_run(p.b, 2000);
		expect_ended(&p);
		bench_free(p.b);
	}
}

// New child SAs and a new IKE SA have not been used yet, and what the old ones were counts.
static void rekeying_is_no_use(void **state)
{
	struct pair p = up(MODE_CONFIG "idle_s = 60;");
	bench_run(p.b, 20 * 1000);
	one_way(&p, SA_IN);
	for (unsigned i = 0; i < 5; i++) {
		struct ike_session_info s = bench_session(p.gw);
		bench_run(p.b, 10 * 1000);
		assert_int_equal(ike_rekey_child(p.gw->engine, s.id, s.children[0].spi_in), 0);
		bench_run(p.b, 100);
		assert_int_equal(ike_rekey_ike(p.gw->engine, s.id), 0);
		bench_run(p.b, 100);
	}
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_in_range(idle_ms(p.gw), 51000, 51500);
	bench_run(p.b, 10 * 1000);
	bench_expect(p.gw, "ike_idle", 1);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// Nor is it when we authenticate anew: the session that takes the old one's place is as idle.
static void reauthentication_is_no_use(void **state)
{
	struct side client = {.more = "idle_s = 60; lifetime = { reauth_s = 25; };"};
	struct pair p = pair_new(&defaults, &client);
	assert_true(pair_up(&p));
	bench_run(p.b, 58 * 1000);
	assert_true(bench_counter(p.client, "ike_reauthenticated") >= 2);
	bench_expect(p.client, "ike_idle", 0);
	bench_run(p.b, 20 * 1000);
	bench_expect(p.client, "ike_idle", 1);
	assert_true(bench_empty(p.client));
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

static void never_unless_configured(void **state)
{
	struct pair p = up(MODE_CONFIG);
	bench_run(p.b, 3000 * 1000);
	assert_int_equal(bench_session_count(p.gw), 1);
	bench_expect(p.gw, "ike_idle", 0);
	assert_in_range(idle_ms(p.gw), 2999 * 1000, 3001 * 1000);
	pair_down(&p);
}

// The DELETE is lost for ever: the session ends all the same.
static enum bench_fate drop_all(struct bench *b, struct bench_packet *p, void *arg)
{
	return BENCH_DROP;
}

static void a_silent_peer(void **state)
{
	struct pair p = up(MODE_CONFIG "idle_s = 60; dpd = { delay_s = 0; };");
	bench_filter_add(p.b, drop_all, NULL);
	bench_run(p.b, 300 * 1000);
	bench_expect(p.gw, "ike_idle", 1);
	assert_true(bench_empty(p.gw));
	assert_int_equal(pool_in_use(p.gw, 0), 0);
	bench_filters_clear(p.b);
	bench_free(p.b);
}

// A connection that connects on demand or at start does so again.
static void connects_again(void **state)
{
	static const enum cfg_initiate how[] = {CFG_INITIATE_ON_DEMAND, CFG_INITIATE_START};
	for (size_t i = 0; i < 2; i++) {
		struct side a = {.remote = "id = \"client@example\"; auth = \"psk\"; "
					   "addresses = [ \"" CLIENT_ADDR "\" ];",
			.pools = "",
			.more = "idle_s = 60;",
			.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "
				    "remote_ts = [ \"10.7.0.0/16\" ]; "
				    "esp_proposals = [ \"aes128gcm16\" ]; }"};
		struct side z = {.more = "",
			.children = "{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ]; "
				    "remote_ts = [ \"10.99.0.0/24\" ]; "
				    "esp_proposals = [ \"aes128gcm16\" ]; }"};
		struct bench *b = bench_new();
		struct bench_node *gw = side_add(b, "a", GW_ADDR, &a, true);
		struct bench_node *peer = side_add(b, "z", CLIENT_ADDR, &z, false);
		gw->cfg->connections[0].initiate = how[i];
		ike_start(gw->engine);
		for (unsigned n = 1; n <= 3; n++) {
			struct bench_tunnel *t = LIST_FIRST(&gw->sink.tunnels);
			struct sa_event ev = {.type = SA_EVENT_NO_CHILD,
				.tunnel = t->id,
				.session = t->spec.session};
			if (how[i] == CFG_INITIATE_ON_DEMAND)
				bench_sink_event(&gw->sink, &ev);
			bench_run(b, 5000);
			assert_true(bench_established(gw));
			assert_true(bench_traffic(gw, peer, "10.99.0.7", "10.7.1.1"));
			assert_true(bench_run_until(b, bench_empty, peer, IDLE_S * 1000 + 100));
			bench_run(b, 100);
			bench_expect(gw, "ike_idle", n);
		}
		bench_free(b);
	}
}

static void ikev1_ends_when_idle(void **state)
{
	static const struct v1_setup rows[] = {
		{.gw_more = "idle_s = 60;"},
		{.gw_more = "idle_s = 60;", .aggressive = true, .xauth = true},
		{.gw_more = "idle_s = 60; responder_only = true;", .site = true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&rows[i]);
		v1_need_up(&v);
		bench_run(v.b, 40 * 1000);
		assert_true(v1_traffic(&v));
		bench_run(v.b, (IDLE_S - 1) * 1000);
		assert_int_equal(bench_session_count(v.gw), 1);
		bench_run(v.b, 3000);
		bench_expect(v.gw, "ike_idle", 1);
		assert_true(bench_empty(v.gw));
		assert_true(bench_empty(v.client));
		v1_free(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ends_when_idle),
		cmocka_unit_test(use_puts_it_off),
		cmocka_unit_test(rekeying_is_no_use),
		cmocka_unit_test(reauthentication_is_no_use),
		cmocka_unit_test(never_unless_configured),
		cmocka_unit_test(a_silent_peer),
		cmocka_unit_test(connects_again),
		cmocka_unit_test(ikev1_ends_when_idle),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
