// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A lease goes back on every path on which a login fails, is abandoned or ends: the pool has one address,
// and somebody else gets it afterwards.
#include "tests/engine/lease_ways.h"

#define POOL_OF_ONE "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 0; }"

struct path {
	struct ways w;
	struct slow_source slow;
	bool late;         // the source answers after the exit
	struct ike_sa *sa; // the gateway's
};

static enum bench_fate nothing(struct bench *b, struct bench_packet *p, void *arg)
{
	return BENCH_DROP;
}

static void sa_closes(struct path *p)
{
	ike_enter(p->w.gw->engine);
	ike_sa_close(p->sa, IKE_REASON_CLOSED);
	ike_leave(p->w.gw->engine);
}

static void in_time(struct path *p)
{
	slow_answer(&p->slow, ADDRESS_OK);
}

static void is_refused(struct path *p)
{
	slow_answer(&p->slow, ADDRESS_EXHAUSTED);
}

static void fails(struct path *p)
{
	slow_answer(&p->slow, ADDRESS_FAILED);
}

static void deadline(struct path *p)
{
	bench_run(p->w.b, 6000);
}

static void peer_deletes(struct path *p)
{
	struct ike_session_info s = bench_session(p->w.client);
	if (p->w.ikev2)
		sa_closes(p); // its window is full
	else
		assert_int_equal(ike_delete_session(p->w.client->engine, s.id), 0);
}

static void operator_ends(struct path *p)
{
	struct ike_session_info s;
	if (!ike_session_next(p->w.gw->engine, 0, &s))
		sa_closes(p);
	else
		assert_int_equal(ike_delete_session(p->w.gw->engine, s.id), 0);
}

static void stops(struct path *p)
{
	ike_shutdown(p->w.gw->engine, p->w.b->now_ns + 60 * NS_PER_S);
}

// The client's process dies; what it knew is gone.
static void peer_dies(struct path *p)
{
	bench_kill(p->w.client);
	bench_start(p->w.client);
}

static void silence(struct path *p)
{
	bench_filter_add(p->w.b, nothing, NULL);
	slow_answer(&p->slow, ADDRESS_OK);
}

// The same peer is there again while the first one waits.
static void peer_comes_twice(struct path *p)
{
	struct slow_source first = p->slow;
	bench_kill(p->w.client);
	bench_start(p->w.client);
	ways_connect(&p->w, p->w.client);
	if (p->slow.rq.token != first.rq.token)
		slow_answer(&p->slow, ADDRESS_EXHAUSTED);
	p->slow = first;
}

static const struct {
	const char *name;
	void (*leave)(struct path *p);
	bool late;   // the answer comes behind it
	bool closes; // the gateway itself is not there for another one
} waits[] = {
	{"in time", in_time, false, false},
	{"refused", is_refused, false, false},
	{"failed", fails, false, false},
	{"deadline", deadline, true, false},
	{"closed", sa_closes, true, false},
	{"deleted by the peer", peer_deletes, true, false},
	{"ended by the operator", operator_ends, true, false},
	{"shutdown", stops, true, true},
	{"the peer dies", peer_dies, true, false},
	{"silence", silence, false, false},
	{"twice", peer_comes_twice, true, false},
};

static void source_is_fast(struct path *p)
{
	p->w.gw->addresses.ctx = p->slow.inner.ctx;
	p->w.gw->addresses.acquire = p->slow.inner.acquire;
	p->w.gw->addresses.renew = p->slow.inner.renew;
	p->w.gw->addresses.release = p->slow.inner.release;
}

// All is given back, and somebody else gets the only address there is.
static void expect_free(struct path *p, const struct way_setup *s, const char *what)
{
	struct way_setup other = *s;
	struct pool_stats st = ways_pool(&p->w, 0);
	char inner[IP_TEXT_MAX];
	if (st.in_use || st.outside || st.lingering)
		fail_msg("%s, %s: %u in use, %u linger", way_names[s->way], what,
			(unsigned)st.in_use, (unsigned)st.lingering);
	bench_filters_clear(p->w.b);
	if (!p->w.ikev2)
		v1_watch_free(p->w.v.w), p->w.v.w = v1_watch_new(p->w.b);
	other.user = "user2";
	other.password = "another one";
	struct bench_node *n = way_client(&p->w, "other", "198.51.100.3", &other);
	ways_connect(&p->w, n);
	bench_run(p->w.b, 3000);
	if (strcmp(ways_inner(p->w.gw, inner), "10.1.0.1") != 0)
		fail_msg("%s, %s: the other one has \"%s\"", way_names[s->way], what, inner);
}

static void while_it_waits(void **state)
{
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]) * WAYS; i++) {
		struct way_setup s = {.way = (enum way)(i % WAYS), .pools = POOL_OF_ONE};
		struct path p = {.w = ways_new(&s)};
		size_t row = i / WAYS;
		slow_init(&p.slow, p.w.gw);
		ways_connect(&p.w, p.w.client);
		bench_run(p.w.b, 1000);
		assert_int_equal(p.slow.asked, 1);
		p.sa = LIST_FIRST(&p.w.gw->engine->all_sas);
		waits[row].leave(&p);
		bench_run(p.w.b, 100);
		if (waits[row].late)
			slow_answer(&p.slow, ADDRESS_OK);
		bench_run(p.w.b, 500);
		if (waits[row].leave == in_time) {
			assert_int_equal(ways_pool(&p.w, 0).in_use, 1);
			assert_int_equal(ike_delete_session(
						 p.w.client->engine, bench_session(p.w.client).id),
				0);
		}
		bench_run(p.w.b, 400000);
		assert_int_equal(ways_in_use(&p.w), 0);
		source_is_fast(&p);
		if (!waits[row].closes)
			expect_free(&p, &s, waits[row].name);
		ways_free(&p.w);
	}
}

// One family's address is there, the other one's is waited for.
static void half_way(void **state)
{
	for (int i = 0; i < WAYS * 2; i++) {
		struct way_setup s = {.way = (enum way)(i / 2),
			.pools = POOL_OF_ONE ", " POOL6,
			.names = "\"p4\", \"p6\""};
		struct path p = {.w = ways_new(&s)};
		p.w.client->cfg->connections[0].request_v6 = s.way < WAY_PUSH;
		slow_init(&p.slow, p.w.gw);
		ways_connect(&p.w, p.w.client);
		p.sa = LIST_FIRST(&p.w.gw->engine->all_sas);
		slow_answer(&p.slow, ADDRESS_OK);
		assert_int_equal(p.slow.asked, 2);
		assert_int_equal(ways_pool(&p.w, 0).in_use, 1);
		if (i & 1)
			stops(&p);
		else
			sa_closes(&p);
		slow_answer(&p.slow, ADDRESS_OK);
		bench_run(p.w.b, 5000);
		assert_int_equal(ways_in_use(&p.w), 0);
		source_is_fast(&p);
		ways_free(&p.w);
	}
}

// The operator clears what an exchange has and no session yet: it is used no more, though all else goes well.
static void cleared_half_way(void **state)
{
	for (int way = WAY_V2; way < WAYS; way++) {
		struct way_setup s = {.way = (enum way)way,
			.pools = POOL_OF_ONE ", " POOL6,
			.names = "\"p4\", \"p6\""};
		struct path p = {.w = ways_new(&s)};
		struct lease_clearing c = {.pool = "p4"};
		p.w.client->cfg->connections[0].request_v6 = way < WAY_PUSH;
		slow_init(&p.slow, p.w.gw);
		ways_connect(&p.w, p.w.client);
		slow_answer(&p.slow, ADDRESS_OK);
		assert_int_equal(p.slow.asked, 2);
		assert_int_equal(ways_pool(&p.w, 0).in_use, 1);
		assert_int_equal(pools_clear(p.w.gw->pools, &c), 1);
		slow_answer(&p.slow, ADDRESS_OK);
		bench_run(p.w.b, 5000);
		bench_expect(p.w.gw, "ike_lease_lost", 1);
		assert_true(bench_empty(p.w.gw));
		assert_true(bench_empty(p.w.client)); // it was told
		assert_int_equal(ways_in_use(&p.w), 0);
		source_is_fast(&p);
		ways_free(&p.w);
	}
}

// The client runs phase 1 again while its request waits: that is over, the one on the new ISAKMP SA counts.
static void replaced_meanwhile(void **state)
{
	struct way_setup s = {.way = WAY_PULL, .pools = POOL_OF_ONE, .xauth = true};
	struct path p = {.w = ways_new(&s)};
	slow_init(&p.slow, p.w.gw);
	ways_connect(&p.w, p.w.client);
	struct slow_source first = p.slow;
	assert_int_equal(first.asked, 1);
	ways_connect(&p.w, p.w.client);
	bench_expect(p.w.gw, "ikev1_reauthenticated", 1);
	assert_int_equal(p.slow.asked, 2);
	slow_answer(&first, ADDRESS_OK);
	assert_int_equal(ways_pool(&p.w, 0).allocated, 1);
	assert_int_equal(ways_in_use(&p.w), 0);
	slow_answer(&p.slow, ADDRESS_OK);
	bench_run(p.w.b, 3000);
	assert_int_equal(ways_in_use(&p.w), 1);
	assert_int_equal(bench_session(p.w.gw).child_count, 1);
	source_is_fast(&p);
	ways_free(&p.w);
}

// A request that is repeated while it waits is neither answered nor worked on twice.
static void repeated_while_it_waits(void **state)
{
	for (int way = WAY_V2; way <= WAY_PULL; way++) {
		struct way_setup s = {.way = (enum way)way, .pools = POOL_OF_ONE};
		struct path p = {.w = ways_new(&s)};
		slow_init(&p.slow, p.w.gw);
		ways_connect(&p.w, p.w.client);
		uint64_t sent = p.w.gw->sent;
		bench_run(p.w.b, 3000);
		assert_int_equal(p.slow.asked, 1);
		assert_true(p.w.gw->sent == sent);
		assert_true(bench_counter(p.w.client, "ike_retransmitted") > 0);
		slow_answer(&p.slow, ADDRESS_OK);
		bench_run(p.w.b, 500);
		assert_int_equal(ways_pool(&p.w, 0).allocated, 1);
		assert_true(bench_established(p.w.client));
		source_is_fast(&p);
		ways_free(&p.w);
	}
}

// The engine has gone when the answer comes.
static void behind_the_engine(void **state)
{
	for (int way = WAY_V2; way < WAYS; way++) {
		struct way_setup s = {.way = (enum way)way, .pools = POOL_OF_ONE};
		struct path p = {.w = ways_new(&s)};
		slow_init(&p.slow, p.w.gw);
		ways_connect(&p.w, p.w.client);
		ike_engine_free(p.w.gw->engine);
		p.w.gw->engine = NULL;
		slow_answer(&p.slow, ADDRESS_OK);
		assert_int_equal(ways_pool(&p.w, 0).allocated, 1);
		assert_int_equal(ways_in_use(&p.w), 0);
		p.w.gw->addresses.revoked(p.w.gw->addresses.user, &p.w.gw->addr);
		bench_sink_fini(&p.w.gw->sink, true);
		pools_free(p.w.gw->pools);
		ways_free(&p.w);
	}
}

// ---- after the grant ---------------------------------------------------------------------------------

static void no_spi(struct path *p)
{
	p->w.gw->sink.fail_spi = 1;
}

static void no_sa(struct path *p)
{
	p->w.gw->sink.fail_add = 1;
}

static void no_route(struct path *p)
{
	p->w.gw->sink.fail_route = 1;
}

static void no_install(struct path *p)
{
	p->w.gw->sink.hold_installs = true;
}

static void no_selector(struct path *p)
{
	struct ip_prefix other;
	assert_int_equal(ip_prefix_parse("10.98.0.0/24", false, &other), 0);
	struct ip_range r = ip_prefix_range(&other);
	p->w.client->cfg->connections[0].children[0].remote_ts[0] = selector_of_range(&r);
}

static void no_proposal(struct path *p)
{
	struct cfg_child *c = &p->w.client->cfg->connections[0].children[0];
	char why[128];
	c->esp_proposal_count = 1;
	assert_int_equal(
		proposal_parse("aes256-sha512", true, &c->esp_proposals[0], why, sizeof(why)), 0);
}

static enum bench_fate no_quick(struct bench *b, struct bench_packet *p, void *arg)
{
	uint8_t exchange = bench_header(p).exchange;
	return exchange == IKEV1_EXCHANGE_QUICK ? BENCH_DROP : BENCH_PASS;
}

static void no_child(struct path *p)
{
	bench_filter_add(p->w.b, no_quick, NULL);
}

// The client declines what is pushed to it, and asks for nothing.
static void declined(struct path *p)
{
	p->w.client->cfg->connections[0].request_push = false;
}

static enum bench_fate no_answers(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_node *n = arg;
	bool transaction = bench_header(p).exchange == IKEV1_EXCHANGE_TRANSACTION;
	return transaction && ip_eq(&p->from.addr, &n->addr) ? BENCH_DROP : BENCH_PASS;
}

static void unanswered(struct path *p)
{
	bench_filter_add(p->w.b, no_answers, p->w.client);
}

static void nobody_hears(struct path *p)
{
	p->w.client->deaf = true;
}

static const struct {
	const char *name;
	void (*prepare)(struct path *p);
	unsigned ways; // a bit each
} after[] = {
	{"no SPI", no_spi, 15},
	{"no SA", no_sa, 15},
	{"no route", no_route, 15},
	{"no installation", no_install, 15},
	{"no selector in common", no_selector, 15},
	{"no proposal in common", no_proposal, 15},
	{"no quick mode", no_child, 14},
	{"declined", declined, 1 << WAY_PUSH | 1 << WAY_BEFORE},
	{"unanswered", unanswered, 1 << WAY_PUSH},
	{"nobody hears", nobody_hears, 15},
};

static void after_the_grant(void **state)
{
	for (size_t i = 0; i < sizeof(after) / sizeof(after[0]) * WAYS; i++) {
		struct way_setup s = {.way = (enum way)(i % WAYS), .pools = POOL_OF_ONE};
		size_t row = i / WAYS;
		if (!(after[row].ways & 1u << s.way))
			continue;
		struct path p = {.w = ways_new(&s)};
		after[row].prepare(&p);
		ways_connect(&p.w, p.w.client);
		bench_run(p.w.b, 5000);
		p.w.gw->sink.hold_installs = false;
		struct ike_session_info info;
		if (ike_session_next(p.w.client->engine, 0, &info))
			(void)!ike_delete_session(p.w.client->engine, info.id);
		bench_run(p.w.b, 400000);
		expect_free(&p, &s, after[row].name);
		ways_free(&p.w);
	}
}

// Who does not know the password gets no address, not even for a moment; nor does the pool run dry of
// many that try.
static void no_login_no_lease(void **state)
{
	for (int way = WAY_PULL; way < WAYS; way++) {
		struct way_setup s = {.way = (enum way)way,
			.pools = POOL_OF_ONE,
			.xauth = true,
			.password = "not the password"};
		struct path p = {.w = ways_new(&s)};
		for (int i = 0; i < 5; i++)
			ways_connect(&p.w, p.w.client);
		bench_run(p.w.b, 30000);
		assert_true(bench_counter(p.w.gw, "ikev1_xauth_failed") +
				    bench_counter(p.w.gw, "ikev1_xauth_throttled") >=
			    5);
		assert_int_equal(ways_pool(&p.w, 0).allocated, 0);
		expect_free(&p, &s, "wrong password");
		ways_free(&p.w);
	}
}

// ---- taken back --------------------------------------------------------------------------------------

static void revoked(void **state)
{
	for (int way = WAY_V2; way < WAYS; way++) {
		struct way_setup s = {.way = (enum way)way};
		struct path p = {.w = ways_new(&s)};
		char inner[IP_TEXT_MAX];
		struct ip_addr a, other;
		ways_connect(&p.w, p.w.client);
		bench_run(p.w.b, 3000);
		assert_int_equal(ip_parse(ways_inner(p.w.gw, inner), &a), 0);
		assert_int_equal(ip_parse("10.1.0.77", &other), 0);
		p.w.gw->addresses.revoked(p.w.gw->addresses.user, &other);
		bench_run(p.w.b, 1000);
		bench_expect(p.w.gw, "ike_lease_revoked", 0);
		assert_true(bench_sink_route(&p.w.gw->sink, &a) != TUNNEL_NONE);
		struct lease_clearing c = {.pool = "p4", .addr = a};
		assert_int_equal(pools_clear(p.w.gw->pools, &c), 1);
		assert_true(bench_sink_route(&p.w.gw->sink, &a) == TUNNEL_NONE);
		bench_run(p.w.b, 1000);
		bench_expect(p.w.gw, "ike_lease_revoked", 1);
		assert_true(bench_empty(p.w.gw));
		assert_true(bench_empty(p.w.client)); // it was told
		struct pool_stats st = ways_pool(&p.w, 0);
		assert_int_equal(st.in_use + st.lingering, 0);
		ways_free(&p.w);
	}
}

// Both sessions that share it end; one that was not yet in use does, too.
static void revoked_of_two(void **state)
{
	struct way_setup s = {.more = "unique = \"no\";"};
	struct path p = {.w = ways_new(&s)};
	ways_connect(&p.w, p.w.client);
	ways_connect(&p.w, p.w.client);
	assert_int_equal(bench_session_count(p.w.gw), 2);
	assert_int_equal(ways_pool(&p.w, 0).in_use, 1);
	struct lease_clearing c = {.owner = "client@example"};
	assert_int_equal(pools_clear(p.w.gw->pools, &c), 1);
	bench_run(p.w.b, 1000);
	bench_expect(p.w.gw, "ike_lease_revoked", 2);
	assert_true(bench_empty(p.w.gw));
	ways_free(&p.w);
}

static void revoked_before_use(void **state)
{
	struct way_setup s = {.pools = POOL_OF_ONE};
	struct path p = {.w = ways_new(&s)};
	struct lease_clearing c = {.pool = "p4"};
	p.w.gw->sink.install_delay_ns = 500 * NS_PER_MS;
	assert_true(bench_connect(p.w.client, p.w.gw, "c") > 0);
	bench_run(p.w.b, 200);
	assert_int_equal(pools_clear(p.w.gw->pools, &c), 1);
	bench_run(p.w.b, 5000);
	bench_expect(p.w.gw, "ike_lease_revoked", 1);
	assert_true(bench_empty(p.w.gw));
	assert_int_equal(ways_in_use(&p.w), 0);
	ways_free(&p.w);
}

// ---- one too many ------------------------------------------------------------------------------------

#define CLIENTS 4

static void one_too_many(void **state)
{
	for (int way = WAY_V2; way < WAYS; way++) {
		static const char *const names[CLIENTS] = {"c1", "c2", "c3", "c4"};
		struct way_setup s = {.way = (enum way)way,
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.3\" ]; }",
			.more = "unique = \"no\";",
			.credentials = PSK_GROUP};
		struct path p = {.w = ways_new(&s)};
		struct bench_node *n[CLIENTS];
		for (int i = 0; i < CLIENTS; i++) {
			char addr[32], id[64];
			snprintf(addr, sizeof(addr), "198.51.100.%d", 10 + i);
			n[i] = way_client(&p.w, names[i], addr, &s);
			struct cfg_connection *c = &n[i]->cfg->connections[0];
			snprintf(id, sizeof(id), "c%d@example", i);
			free(c->local.id);
			assert_non_null(c->local.id = strdup(id));
			ways_connect(&p.w, n[i]);
			bench_run(p.w.b, 1000);
		}
		assert_int_equal(ways_pool(&p.w, 0).in_use, CLIENTS - 1);
		bench_expect(p.w.gw, "ike_pool_exhausted", 1);
		bench_run(p.w.b, 40000);
		for (int i = 0; i < CLIENTS; i++) {
			struct ike_session_info info = {0};
			bool up = ike_session_next(n[i]->engine, 0, &info) && info.child_count;
			assert_int_equal(up, i < CLIENTS - 1);
		}
		assert_int_equal(ways_pool(&p.w, 0).in_use, CLIENTS - 1);
		ways_free(&p.w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(while_it_waits),
		cmocka_unit_test(half_way),
		cmocka_unit_test(cleared_half_way),
		cmocka_unit_test(replaced_meanwhile),
		cmocka_unit_test(repeated_while_it_waits),
		cmocka_unit_test(behind_the_engine),
		cmocka_unit_test(after_the_grant),
		cmocka_unit_test(no_login_no_lease),
		cmocka_unit_test(revoked),
		cmocka_unit_test(revoked_of_two),
		cmocka_unit_test(revoked_before_use),
		cmocka_unit_test(one_too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
