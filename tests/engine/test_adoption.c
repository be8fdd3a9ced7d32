// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Clients that make before they break: a second IKE SA of the same identity, while the first one lives,
// gets the same address; whichever of them goes, the lease stays as long as one holds it.
#include "tests/engine/carried.h"
#include "tests/engine/pair.h"

static const struct side defaults;

#define CLIENTS "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "

static const char *const policies[] = {
	CLIENTS "unique = \"replace\";", CLIENTS "unique = \"keep\";", CLIENTS "unique = \"no\";"};

static struct cfg_connection *conn(struct bench_node *n)
{
	return &n->cfg->connections[0];
}

static struct ip_addr inner_of(struct bench_node *n, uint64_t id)
{
	struct ike_session_info s;
	assert_true(ike_session_get(n->engine, id, &s));
	assert_int_equal(s.inner_count, 1);
	return s.inner[0];
}

static uint64_t connect(struct pair *p)
{
	uint64_t id = bench_connect(p->client, p->gw, "c");
	assert_true(id > 0);
	bench_run(p->b, 300);
	return id;
}

enum breaks { AT_ONCE, LATE, NEVER, BREAKS };

// Several in a row, with and without a wish for the address; the old one is deleted at once, after the
// gateway would have done so, or not at all.
static void several_in_a_row(void **state)
{
	for (int row = 0; row < 3 * BREAKS * 2; row++) {
		struct side gw = {.more = policies[row / (2 * BREAKS)]};
		struct pair p = pair_new(&gw, &defaults);
		enum breaks breaks = (enum breaks)(row / 2 % BREAKS);
		uint64_t id = connect(&p);
		struct ip_addr held = inner_of(p.client, id);
		if (row & 1)
			conn(p.client)->request_hint_v4 = held;
		for (int i = 0; i < 4; i++) {
			uint64_t old = id;
			id = connect(&p);
			struct ip_addr now = inner_of(p.client, id);
			assert_true(ip_eq(&held, &now));
			assert_int_equal(pool_in_use(p.gw, 0), 1);
			if (breaks == LATE)
				bench_run(p.b, (IKE_REAUTH_GRACE_S + 1) * 1000);
			// The gateway may have been first.
			if (breaks != NEVER && ike_delete_session(p.client->engine, old) < 0)
				assert_int_equal(breaks, LATE);
			bench_run(p.b, 300);
			assert_int_equal(pool_in_use(p.gw, 0), 1);
			if (breaks != NEVER)
				assert_int_equal(bench_session_count(p.gw), 1);
			char text[IP_TEXT_MAX];
			ip_text(&held, text);
			assert_true(bench_traffic(p.client, p.gw, text, "10.99.0.7"));
			assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", text));
		}
		bench_expect(p.gw, "ike_lease_adopted", 4);
		bench_expect(p.gw, "ike_initial_contact", 0);
		bench_run(p.b, (IKE_REAUTH_GRACE_S + 1) * 1000);
		// Unless several are wanted the gateway has ended those that were left, also where they
		// came faster than it ends them.
		if (row / (2 * BREAKS) < 2)
			assert_int_equal(bench_session_count(p.gw), 1);
		struct ike_session_info s;
		while (ike_session_next(p.client->engine, 0, &s)) {
			assert_int_equal(pool_in_use(p.gw, 0), 1);
			assert_int_equal(ike_delete_session(p.client->engine, s.id), 0);
			bench_run(p.b, 300);
		}
		assert_int_equal(pool_in_use(p.gw, 0), 0);
		assert_true(bench_empty(p.gw));
		bench_free(p.b);
	}
}

// The younger one goes first: the older one has address and route still.
static void the_younger_goes_first(void **state)
{
	for (int row = 0; row < 3; row++) {
		struct side gw = {.more = policies[row]};
		struct pair p = pair_new(&gw, &defaults);
		char text[IP_TEXT_MAX];
		uint64_t first = connect(&p), second = connect(&p);
		struct ip_addr held = inner_of(p.client, first);
		struct carried lines[] = {{.from = p.client, .to = p.gw, .dst = "10.99.0.7"},
			{.from = p.gw, .to = p.client, .dst = ip_text(&held, text)}};
		struct carried_set set = {lines, 2};
		assert_true(bench_traffic(p.client, p.gw, text, "10.99.0.7"));
		carried_run(p.b, &set, 100);
		assert_int_equal(ike_delete_session(p.client->engine, second), 0);
		carried_run(p.b, &set, 2 * IKE_REAUTH_GRACE_S * 1000);
		assert_int_equal(lines[1].lost, 0);
		assert_int_equal(lines[0].lost, 0);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(bench_session(p.client).id, first);
		assert_true(pair_traffic(&p));
		pair_down(&p);
	}
}

// Break before make, and a client that has forgotten all: the same address too.
static void first_broken_then_made(void **state)
{
	for (int row = 0; row < 6; row++) {
		struct side gw = {.more = policies[row / 2]};
		struct pair p = pair_new(&gw, &defaults);
		uint64_t id = connect(&p);
		struct ip_addr held = inner_of(p.client, id);
		if (row & 1) {
			bench_kill(p.client);
			bench_start(p.client);
		} else {
			assert_int_equal(ike_delete_session(p.client->engine, id), 0);
			bench_run(p.b, 300);
			assert_int_equal(pool_in_use(p.gw, 0), 0);
		}
		struct ip_addr now = inner_of(p.client, connect(&p));
		assert_true(ip_eq(&held, &now));
		bench_expect(p.gw, "ike_initial_contact", row & 1);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_true(pair_traffic(&p));
		pair_down(&p);
	}
}

// Limits do not stand in the way of who only re-authenticates; nor are they stretched by it.
static void limits(void **state)
{
	static const struct {
		const char *more;
		uint32_t headend;
		const char *refused;
	} rows[] = {
		{CLIENTS "unique = \"no\"; max_sessions = 1;", 0, "ike_max_sessions"},
		{CLIENTS "unique = \"no\";", 1, "ike_sessions_full"},
		{CLIENTS "unique = \"keep\"; max_sessions = 1;", 1, "ike_sessions_full"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct side gw = {.more = rows[i].more};
		struct pair p = pair_new(&gw, &defaults);
		p.gw->cfg->main.max_sessions = rows[i].headend;
		uint64_t id = connect(&p);
		for (int k = 0; k < 3; k++) {
			uint64_t old = id;
			id = connect(&p);
			bench_expect(p.gw, rows[i].refused, 0);
			assert_int_equal(bench_session_count(p.gw), 2);
			assert_int_equal(ike_delete_session(p.client->engine, old), 0);
			bench_run(p.b, 300);
		}
		connect(&p); // two that it does not end
		connect(&p);
		bench_expect(p.gw, rows[i].refused, 1);
		assert_int_equal(bench_session_count(p.gw), 2);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		bench_free(p.b);
	}
}

// Addresses of both families are adopted together.
static void both_families(void **state)
{
	struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\", \"p6\" ];",
		.pools = POOL4 ", " POOL6,
		.children =
			"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; "
			"esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side client = {.children =
				      "{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\", \"::/0\" ]; "
				      "remote_ts = [ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; "
				      "esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &client);
	struct ike_session_info first, second;
	conn(p.client)->request_v6 = true;
	assert_true(ike_session_get(p.client->engine, connect(&p), &first));
	assert_int_equal(first.inner_count, 2);
	assert_int_equal(ike_reauthenticate(p.client->engine, first.id), 0);
	bench_run(p.b, 5000);
	second = bench_session(p.client);
	assert_int_not_equal(first.id, second.id);
	assert_int_equal(second.inner_count, 2);
	assert_true(ip_eq(&first.inner[0], &second.inner[0]));
	assert_true(ip_eq(&first.inner[1], &second.inner[1]));
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	assert_int_equal(pool_in_use(p.gw, 1), 1);
	pair_down(&p);
}

static enum bench_fate no_informational(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_header h = bench_header(p);
	return h.exchange == IKEV2_EXCHANGE_INFORMATIONAL ? BENCH_DROP : BENCH_PASS;
}

// Who authenticates again and again, and answers no DELETE, leaves a few behind and no more.
static void does_not_pile_up(void **state)
{
	for (int row = 0; row < 2; row++) {
		struct side gw = {.more = policies[row]};
		struct pair p = pair_new(&gw, &defaults);
		bench_filter_add(p.b, no_informational, NULL);
		for (int i = 0; i < 60; i++) {
			assert_true(bench_connect(p.client, p.gw, "c") > 0);
			bench_run(p.b, 100);
			assert_in_range(bench_session_count(p.gw), 1, 9);
			assert_int_equal(pool_in_use(p.gw, 0), 1);
		}
		struct ip_addr addr = bench_session(p.gw).inner[0];
		char text[IP_TEXT_MAX];
		ip_text(&addr, text);
		assert_true(bench_traffic(p.client, p.gw, text, "10.99.0.7"));
		assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", text));
		bench_free(p.b);
	}
}

static enum bench_fate no_rekeying_of(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct bench_node *n = arg;
	struct ike_header h = bench_header(p);
	bool asks = h.exchange == IKEV2_EXCHANGE_CREATE_CHILD_SA && !ike_header_response(&h);
	return asks && ip_eq(&p->from.addr, &n->addr) ? BENCH_DROP : BENCH_PASS;
}

// INITIAL_CONTACT ends the whole of a session, also where both sides are rekeying its IKE SA.
static void forgotten_while_rekeying(void **state)
{
	struct side gw = {.more = policies[0]};
	struct pair p = pair_new(&gw, &defaults);
	assert_true(pair_up(&p));
	bench_filter_add(p.b, no_rekeying_of, p.gw);
	bench_filter_add(p.b, no_informational, NULL);
	assert_int_equal(ike_rekey_ike(p.gw->engine, 1), 0);
	bench_run(p.b, 20);
	assert_int_equal(ike_rekey_ike(p.client->engine, 1), 0);
	bench_run(p.b, 2);
	assert_non_null(bench_sa_of(p.gw, 1)->rival);
	bench_kill(p.client);
	bench_start(p.client);
	(void)connect(&p);
	bench_expect(p.gw, "ike_initial_contact", 1);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_int_equal(p.gw->engine->sa_count, 1);
	bench_filters_clear(p.b);
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(several_in_a_row),
		T(the_younger_goes_first),
		T(first_broken_then_made),
		T(limits),
		T(both_families),
		T(does_not_pile_up),
		T(forgotten_while_rekeying),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
