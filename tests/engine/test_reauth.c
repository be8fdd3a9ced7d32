// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Re-authentication (RFC 4478): who begins it and when, what goes over to the new session, and that
// there is a child SA for the traffic at every moment.
#include "tests/engine/carried.h"
#include "tests/engine/pair.h"

#include <errno.h>

static const struct side defaults;

static struct cfg_connection *conn(struct bench_node *n)
{
	return &n->cfg->connections[0];
}

// Both directions of the pair between the client's address and the network behind the gateway.
struct line {
	char inner[IP_TEXT_MAX];
	struct carried items[2];
	struct carried_set set;
};

static void line_of(struct pair *p, struct line *l)
{
	*l = (struct line){.set = {l->items, 2}};
	ip_text(&bench_session(p->client).inner[0], l->inner);
	l->items[0] = (struct carried){.from = p->client, .to = p->gw, .dst = "10.99.0.7"};
	l->items[1] = (struct carried){.from = p->gw, .to = p->client, .dst = l->inner};
}

static void line_run(struct pair *p, struct line *l, uint64_t ms)
{
	carried_run(p->b, &l->set, ms);
	assert_int_equal(l->items[0].lost, 0);
	assert_int_equal(l->items[1].lost, 0);
}

// The youngest session.
static struct ike_session_info youngest(struct bench_node *n)
{
	struct ike_session_info s = bench_session(n), next;
	while (ike_session_next(n->engine, s.id, &next))
		s = next;
	return s;
}

static bool traffic(struct pair *p, const char *inner)
{
	return bench_traffic(p->client, p->gw, inner, "10.99.0.7") &&
	       bench_traffic(p->gw, p->client, "10.99.0.7", inner);
}

static void by_either_limit(void **state)
{
	static const struct {
		uint32_t gw_s, client_s;
		bool packets; // sent all the time
	} rows[] = {{0, 60, true}, {60, 0, true}, {0, 60, false}, {60, 0, false}, {3600, 60, true},
		{60, 3600, true}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = pair_new(&defaults, &defaults);
		struct line l;
		uint64_t packets = 0;
		conn(p.gw)->lifetime.reauth_s = rows[i].gw_s;
		conn(p.client)->lifetime.reauth_s = rows[i].client_s;
		assert_true(pair_up(&p));
		line_of(&p, &l);
		for (unsigned s = 0; s < 200; s++) {
			if (rows[i].packets || s == 0) {
				assert_true(traffic(&p, l.inner));
				packets++;
			}
			line_run(&p, &l, 1000);
		}
		struct ike_session_info g = youngest(p.gw), c = youngest(p.client);
		uint64_t times = bench_counter(p.client, "ike_reauthenticated");
		assert_true(times >= 3 && times <= 4);
		bench_expect(p.client, "ike_reauth_begun", times);
		bench_expect(p.gw, "ike_reauth_missed", 0);
		bench_expect(p.gw, "ike_initial_contact", 0);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(bench_session_count(p.client), 1);
		assert_int_equal(g.id, times + 1);
		assert_int_equal(g.packets_in, packets);
		assert_int_equal(g.packets_out, packets);
		assert_int_equal(c.packets_out, packets);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_true(c.reauth_ns > p.b->now_ns);
		assert_true(traffic(&p, l.inner)); // the same address
		pair_down(&p);
	}
}

// A peer that was told, and does not come: also when the IKE SA was rekeyed meanwhile, by either.
static void peer_that_does_not_come(void **state)
{
	for (int rekeys = 0; rekeys < 3; rekeys++) {
		struct pair p = pair_new(&defaults, &defaults);
		conn(p.gw)->lifetime.reauth_s = 60;
		assert_true(pair_up(&p));
		conn(p.client)->responder_only = true;
		bench_run(p.b, 20000);
		if (rekeys) {
			struct bench_node *n = rekeys == 1 ? p.gw : p.client;
			conn(p.client)->responder_only = false;
			assert_int_equal(ike_rekey_ike(n->engine, bench_session(n).id), 0);
			bench_run(p.b, 1000);
			conn(p.client)->responder_only = true;
			bench_expect(p.gw, "ike_ike_rekeyed", 1);
		}
		assert_true(bench_session(p.gw).reauth_ns > p.b->now_ns);
		assert_int_equal(bench_session(p.gw).reauth_ns,
			bench_session(p.gw).established_ns + 60 * NS_PER_S);
		bench_run(p.b, 45000);
		bench_expect(p.gw, "ike_reauth_missed", 0);
		bench_run(p.b, 10000);
		bench_expect(p.gw, "ike_reauth_missed", 1);
		bench_expect(p.client, "ike_reauth_begun", 0);
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
		bench_free(p.b);
	}
}

static void tell_lifetime(struct pair *p, const void *data, size_t len)
{
	struct wire_builder b;
	uint8_t buf[64];
	struct ike_sa *sa = bench_sa_of(p->gw, bench_session(p->gw).id);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_notify(&b, IKEV2_NOTIFY_AUTH_LIFETIME, (struct view){data, len});
	bench_send_sealed(p->gw, sa, IKEV2_EXCHANGE_INFORMATIONAL, sa->next_out++, false, &b);
	bench_run(p->b, 10);
}

// In a message of its own; zero means now, but not all the time.
static void told_later(void **state)
{
	static const uint8_t now[] = {0, 0, 0, 0}, hour[] = {0, 0, 0x0e, 0x10};
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	assert_int_equal(bench_session(p.client).reauth_ns, 0);
	tell_lifetime(&p, hour, 3);
	bench_expect(p.client, "ike_malformed", 1);
	assert_int_equal(bench_session(p.client).reauth_ns, 0);
	tell_lifetime(&p, hour, 4);
	assert_true(bench_session(p.client).reauth_ns > p.b->now_ns + 3500 * NS_PER_S);
	tell_lifetime(&p, now, 4);
	bench_run(p.b, 5000);
	bench_expect(p.client, "ike_reauth_begun", 0);
	bench_run(p.b, 9000);
	bench_expect(p.client, "ike_reauthenticated", 1);
	bench_run(p.b, 100000);
	bench_expect(p.client, "ike_reauth_begun", 1);
	assert_int_equal(bench_session_count(p.gw), 1);
	// Who has not begun the session is not told anything.
	struct wire_builder b;
	uint8_t buf[64];
	struct ike_sa *sa = bench_sa_of(p.client, bench_session(p.client).id);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_notify(&b, IKEV2_NOTIFY_AUTH_LIFETIME, (struct view){now, 4});
	bench_send_sealed(p.client, sa, IKEV2_EXCHANGE_INFORMATIONAL, sa->next_out++, false, &b);
	bench_run(p.b, 100);
	assert_int_equal(bench_session(p.gw).reauth_ns, 0);
	pair_down(&p);
}

static enum bench_fate no_new_ones(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == *(const uint8_t *)arg ? BENCH_DROP : BENCH_PASS;
}

// The new IKE SA comes to nothing: the old one stays, and it is tried again.
static void peer_is_busy(void **state)
{
	static const uint8_t exchanges[] = {IKEV2_EXCHANGE_IKE_SA_INIT, IKEV2_EXCHANGE_IKE_AUTH};
	for (int i = 0; i < 2; i++) {
		struct pair p = pair_new(&defaults, &defaults);
		struct line l;
		conn(p.client)->lifetime.reauth_s = 60;
		assert_true(pair_up(&p));
		line_of(&p, &l);
		bench_filter_add(p.b, no_new_ones, (void *)(uintptr_t)&exchanges[i]);
		line_run(&p, &l, 280000);
		assert_true(bench_counter(p.client, "ike_reauth_failed") >= 2);
		bench_expect(p.client, "ike_reauthenticated", 0);
		assert_true(traffic(&p, l.inner));
		bench_filters_clear(p.b);
		line_run(&p, &l, 70000);
		assert_true(bench_counter(p.client, "ike_reauthenticated") >= 1);
		bench_run(p.b, 3000);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(bench_session_count(p.client), 1);
		pair_down(&p);
	}
}

static void by_the_operator(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	struct line l;
	assert_true(pair_up(&p));
	line_of(&p, &l);
	assert_int_equal(ike_reauthenticate(p.gw->engine, bench_session(p.gw).id), -ENOTSUP);
	assert_int_equal(ike_reauthenticate(p.client->engine, 77), -ENOENT);
	assert_int_equal(ike_reauthenticate(p.client->engine, bench_session(p.client).id), 0);
	assert_int_equal(ike_reauthenticate(p.client->engine, bench_session(p.client).id), -EBUSY);
	line_run(&p, &l, 5000);
	bench_expect(p.client, "ike_reauthenticated", 1);
	assert_int_equal(bench_session(p.client).id, 2);
	conn(p.client)->responder_only = true;
	assert_int_equal(ike_reauthenticate(p.client->engine, 2), -EPERM);
	pair_down(&p);
}

// Lost messages delay it, no more.
static void lossy_wire(void **state)
{
	for (uint64_t seed = 1; seed <= 40; seed++) {
		struct bench *b = bench_new_seeded(seed);
		struct pair p = pair_on(b, &defaults, &defaults);
		struct line l;
		conn(p.client)->lifetime.reauth_s = 60;
		assert_true(pair_up(&p));
		line_of(&p, &l);
		assert_true(traffic(&p, l.inner));
		bench_lossy(b, 20, 10, 10);
		line_run(&p, &l, 65000);
		bench_lossy(b, 0, 0, 0);
		line_run(&p, &l, 50000);
		assert_true(bench_counter(p.client, "ike_reauth_begun") >= 1);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(bench_session_count(p.client), 1);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		pair_down(&p);
	}
}

#define TWO_GW                                                                                      \
	"{ name = \"a\"; local_ts = [ \"10.99.0.0/25\" ]; esp_proposals = [ \"aes128gcm16\" ]; }, " \
	"{ name = \"b\"; local_ts = [ \"10.99.0.128/25\" ]; esp_proposals = [ \"aes256gcm16\" ]; }"
#define TWO_CLIENT                                                                           \
	"{ name = \"a\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/25\" ]; "   \
	"esp_proposals = [ \"aes128gcm16\" ]; }, "                                           \
	"{ name = \"b\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.128/25\" ]; " \
	"esp_proposals = [ \"aes256gcm16\" ]; }"

// All child SAs are there before the old ones go.
static void several_children(void **state)
{
	struct side gw = {.children = TWO_GW}, client = {.children = TWO_CLIENT};
	struct pair p = pair_new(&gw, &client);
	struct line l;
	assert_true(pair_up(&p));
	bench_run(p.b, 100);
	line_of(&p, &l);
	struct carried more[] = {
		l.items[0], l.items[1], {.from = p.client, .to = p.gw, .dst = "10.99.0.200"}};
	struct carried_set set = {more, 3};
	assert_int_equal(ike_reauthenticate(p.client->engine, 1), 0);
	carried_run(p.b, &set, 5000);
	assert_int_equal(more[0].lost + more[1].lost + more[2].lost, 0);
	assert_int_equal(bench_session_count(p.client), 1);
	assert_int_equal(bench_session(p.client).child_count, 2);
	assert_int_equal(bench_session(p.gw).child_count, 2);
	assert_true(bench_traffic(p.client, p.gw, l.inner, "10.99.0.200"));
	pair_down(&p);
}

// Nobody that is known by more than a group's key: the routes of the old session are taken all the
// same, because we have begun both; the address is a new one.
static void anonymous_gateway(void **state)
{
	struct side gw = {.credentials = PSK_GROUP}, client = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &client);
	assert_true(pair_up(&p));
	struct carried c = {.from = p.client, .to = p.gw, .dst = "10.99.0.7"};
	struct carried_set set = {&c, 1};
	assert_int_equal(ike_reauthenticate(p.client->engine, 1), 0);
	carried_run(p.b, &set, 5000);
	assert_int_equal(c.lost, 0);
	assert_int_equal(bench_session_count(p.client), 1);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// The new one goes at once: the old one is still there and goes on.
static void new_one_is_deleted(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	struct line l;
	assert_true(pair_up(&p));
	line_of(&p, &l);
	assert_int_equal(ike_reauthenticate(p.client->engine, 1), 0);
	line_run(&p, &l, 500);
	assert_int_equal(ike_delete_session(p.client->engine, 2), 0);
	line_run(&p, &l, 30000);
	bench_expect(p.gw, "ike_revived", 1);
	assert_int_equal(bench_session_count(p.client), 1);
	assert_int_equal(bench_session(p.client).id, 1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

static void new_one_of_an_anonymous_gateway_is_deleted(void **state)
{
	struct side gw = {.credentials = PSK_GROUP}, client = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &client);
	assert_true(pair_up(&p));
	assert_int_equal(ike_reauthenticate(p.client->engine, 1), 0);
	bench_run(p.b, 500);
	assert_int_equal(ike_delete_session(p.client->engine, 2), 0);
	bench_run(p.b, 30000);
	bench_expect(p.client, "ike_revived", 1);
	assert_int_equal(bench_session_count(p.client), 1);
	assert_int_equal(bench_session(p.client).id, 1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// Who is called says all the time that his authentication is over, and refuses the next one: he sets no pace.
static void told_all_the_time(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	bench_run(p.b, 11 * 1000);
	p.client->fail_jobs = 1000;
	for (int i = 0; i < 500; i++) {
		tell_lifetime(&p, (const uint8_t[4]){0}, 4);
		bench_run(p.b, 10);
	}
	assert_in_range(bench_counter(p.client, "ike_reauth_begun"), 1, 3);
	p.client->fail_jobs = 0;
	uint64_t old = bench_session(p.client).id;
	bench_run(p.b, 120 * 1000);
	assert_int_equal(bench_session_count(p.client), 1);
	assert_true(bench_session(p.client).id > old);
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(by_either_limit),
		T(peer_that_does_not_come),
		T(told_later),
		T(peer_is_busy),
		T(by_the_operator),
		T(lossy_wire),
		T(several_children),
		T(anonymous_gateway),
		T(new_one_is_deleted),
		T(new_one_of_an_anonymous_gateway_is_deleted),
		T(told_all_the_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
