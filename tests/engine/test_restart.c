// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The gateway's process dies and comes back with the leases of its last life: clients have their
// addresses again, whether they ask for them or not, and nobody else has.
#include "pools/journal.h"
#include "tests/engine/lease_ways.h"

#define POOL_OF_TWO "{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.2\" ]; linger_s = 60; }"
#define ROWS_MAX    8

struct kept {
	struct lease_row row;
	uint8_t owner[POOL_OWNER_MAX];
	char name[POOL_OWNER_MAX];
};

// What a journal has at this moment.
static size_t keep(struct bench_node *gw, struct kept kept[static ROWS_MAX])
{
	struct lease_info info;
	uint64_t cursor = 0;
	size_t n = 0;
	while (pools_lease_next(gw->pools, 0, &cursor, &info)) {
		struct kept *k = &kept[n++];
		assert_true(n <= ROWS_MAX && info.key.len <= sizeof(k->owner));
		if (info.key.len)
			memcpy(k->owner, info.key.p, info.key.len);
		snprintf(k->name, sizeof(k->name), "%s", info.owner);
		k->row = (struct lease_row){.addr = info.addr,
			.prefix_len = info.prefix_len,
			.origin = info.origin,
			.anonymous = info.anonymous,
			.pool = gw->cfg->pools[0].name,
			.owner = {k->owner, info.key.len},
			.name = k->name};
	}
	return n;
}

static void restart(struct bench_node *gw)
{
	struct kept *kept = calloc(ROWS_MAX, sizeof(*kept));
	assert_non_null(kept);
	size_t n = keep(gw, kept);
	bench_kill(gw);
	bench_start(gw);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(pools_restore(gw->pools, &kept[i].row), 0);
	free(kept);
}

static void client_anew(struct ways *w)
{
	bench_kill(w->client);
	bench_start(w->client);
}

static void claims(struct bench_node *n, const char *addr)
{
	struct ip_addr a;
	struct cfg_connection *c = &n->cfg->connections[0];
	assert_int_equal(ip_parse(addr, &a), 0);
	c->request_v4 = c->request_push = false;
	c->children[0].local_ts[0] = selector_of_addr(&a);
}

// ---- who comes back ----------------------------------------------------------------------------------

enum again { ASKS_ANY, ASKS_ITS_OWN, CLAIMS, AGAINS };

// Another client was there first, so that the next free one is not his by chance.
static void his_own(void **state)
{
	for (int i = 0; i < WAYS * AGAINS; i++) {
		struct way_setup s = {
			.way = (enum way)(i % WAYS), .pools = POOL_OF_TWO, .xauth = true};
		enum again again = (enum again)(i / WAYS);
		if ((again == CLAIMS && s.way == WAY_V2) ||
			(again == ASKS_ITS_OWN && s.way >= WAY_PUSH))
			continue;
		struct way_setup other = s;
		other.user = "user2";
		other.password = "another one";
		struct ways w = ways_new(&s);
		char had[IP_TEXT_MAX], has[IP_TEXT_MAX];
		ways_connect(&w, w.client);
		bench_run(w.b, 3000);
		assert_true(ways_inner(w.gw, had)[0]);
		restart(w.gw);
		assert_int_equal(ways_pool(&w, 0).lingering, 1);
		client_anew(&w);
		if (w.ikev2) {
			assert_int_equal(ways_in_use(&w), 0);
		} else {
			struct bench_node *n = way_client(&w, "other", "198.51.100.3", &other);
			ways_connect(&w, n);
			bench_run(w.b, 3000);
			assert_string_not_equal(ways_inner(w.gw, has), had);
		}
		if (again == ASKS_ITS_OWN)
			assert_int_equal(
				ip_parse(had, &w.client->cfg->connections[0].request_hint_v4), 0);
		if (again == CLAIMS)
			claims(w.client, had);
		ways_connect(&w, w.client);
		bench_run(w.b, 5000);
		struct ike_session_info mine;
		assert_true(ike_session_get(w.gw->engine, w.ikev2 ? 1 : 2, &mine));
		assert_int_equal(mine.inner_count, 1);
		assert_string_equal(ip_text(&mine.inner[0], has), had);
		assert_int_equal(mine.child_count, 1);
		assert_true(bench_traffic(w.client, w.gw, had, "10.99.0.7"));
		assert_int_equal(ways_pool(&w, 0).lingering, 0);
		ways_free(&w);
	}
}

// An owner's lingering address is nobody else's, by no way.
static void not_anothers(void **state)
{
	for (int i = 0; i < 3 * AGAINS; i++) {
		struct way_setup s = {.way = (enum way)(WAY_PULL + i % 3),
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 60; }",
			.xauth = true};
		enum again again = (enum again)(i / 3);
		struct way_setup other = s;
		other.user = "user2";
		other.password = "another one";
		struct ways w = ways_new(&s);
		ways_connect(&w, w.client);
		bench_run(w.b, 3000);
		assert_int_equal(ways_pool(&w, 0).in_use, 1);
		restart(w.gw);
		client_anew(&w);
		struct bench_node *n = way_client(&w, "other", "198.51.100.3", &other);
		if (again == ASKS_ITS_OWN)
			assert_int_equal(
				ip_parse("10.1.0.1", &n->cfg->connections[0].request_hint_v4), 0);
		if (again == CLAIMS)
			claims(n, "10.1.0.1");
		ways_connect(&w, n);
		bench_run(w.b, 5000);
		struct pool_stats st = ways_pool(&w, 0);
		assert_int_equal(st.in_use, 0);
		assert_int_equal(st.lingering, 1);
		assert_int_equal(v1_child_count(w.gw), 0);
		assert_true(bench_counter(w.gw, "ike_pool_exhausted") +
				    bench_counter(w.gw, "ike_ts_pool") +
				    bench_counter(w.gw, "ike_ts") >
			    0);
		bench_run(w.b, 40000);
		bench_run(w.b, 30000); // nobody came for it
		assert_int_equal(ways_pool(&w, 0).lingering, 0);
		ways_free(&w);
	}
}

// ---- anonymous ones ----------------------------------------------------------------------------------

// Under a key of all nobody can be told from others: their addresses are nobody's for a while.
static void nobodys(void **state)
{
	for (int again = ASKS_ANY; again < AGAINS; again++) {
		struct v1_setup s = {.config = V1_PULL,
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 60; }",
			.client_more = "dpd = { delay_s = 0; };",
			.gw_credentials =
				"psk = ( { id = \"*\"; secret = \"a secret of them both\"; } );"};
		struct v1 v = v1_new(&s);
		struct pool_stats st;
		v1_need_up(&v);
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		restart(v.gw);
		assert_true(pools_stats(v.gw->pools, 0, &st));
		assert_int_equal(st.quarantined, 1);
		bench_kill(v.client);
		bench_start(v.client);
		if (again == ASKS_ITS_OWN)
			assert_int_equal(ip_parse("10.1.0.1",
						 &v.client->cfg->connections[0].request_hint_v4),
				0);
		if (again == CLAIMS)
			claims(v.client, "10.1.0.1");
		v1_connect(&v);
		bench_run(v.b, 5000);
		assert_int_equal(v1_child_count(v.gw), 0);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		bench_run(v.b, 80000);
		if (again != CLAIMS) {
			v1_connect(&v);
			bench_run(v.b, 3000);
			assert_int_equal(v1_child_count(v.gw), 1);
		}
		v1_free(&v);
	}
}

// ---- a journal that takes its time -------------------------------------------------------------------

struct slow_journal {
	struct lease_journal journal;
	uint64_t ticket;
};

static uint64_t put(void *ctx, const struct lease_row *row)
{
	struct slow_journal *j = ctx;
	return ++j->ticket;
}

static uint64_t drop(void *ctx, const struct ip_addr *addr)
{
	struct slow_journal *j = ctx;
	return ++j->ticket;
}

static struct slow_journal *journal_new(struct bench_node *gw)
{
	struct slow_journal *j = calloc(1, sizeof(*j));
	assert_non_null(j);
	j->journal = (struct lease_journal){j, put, drop};
	gw->journal = &j->journal;
	bench_kill(gw);
	bench_start(gw);
	return j;
}

// The client goes on with its address while the push for it still waits for the disk: it is the one.
// rows: it claims that address, another one, a network.
static void claim_while_the_push_waits(void **state)
{
	for (int row = 0; row < 2; row++) {
		struct way_setup s = {.way = WAY_PUSH, .pools = POOL_OF_TWO, .xauth = true};
		struct ways w = ways_new(&s);
		struct slow_journal *j = journal_new(w.gw);
		struct lease_info info;
		char addr[IP_TEXT_MAX];
		uint64_t cursor = 0;
		claims(w.client, "10.99.99.99");
		ways_connect(&w, w.client);
		assert_true(pools_lease_next(w.gw->pools, 0, &cursor, &info));
		ip_text(&info.addr, addr);
		assert_int_equal(v1_child_count(w.gw), 0);
		// The first quick mode has ended the push: once more from the beginning.
		pools_settled(w.gw->pools, j->ticket, true);
		bench_run(w.b, 40000);
		pools_settled(w.gw->pools, j->ticket, true);
		client_anew(&w);
		claims(w.client, row ? "10.1.0.2" : "10.1.0.1");
		ways_connect(&w, w.client);
		cursor = 0;
		assert_true(pools_lease_next(w.gw->pools, 0, &cursor, &info));
		assert_int_equal(v1_child_count(w.gw), 0);
		for (int i = 0; i < 4; i++) {
			pools_settled(w.gw->pools, j->ticket, true);
			bench_run(w.b, 1000);
		}
		assert_int_equal(v1_child_count(w.gw), 1);
		ip_text(&bench_session(w.gw).inner[0], addr);
		assert_string_equal(addr, row ? "10.1.0.2" : "10.1.0.1");
		assert_true(bench_traffic(w.client, w.gw, addr, "10.99.0.7"));
		assert_int_equal(ways_in_use(&w), 1);
		bench_expect(w.gw, "ikev1_reclaimed", 1);
		ways_free(&w);
		free(j);
	}
}

// A request that crosses the push gets what the push has drawn, in a pool of one.
static void request_while_the_push_waits(void **state)
{
	struct v1_setup s = {.config = V1_BOTH,
		.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 60; }",
		.gw_more = "push_delay_ms = 100;"};
	struct v1 v = v1_new(&s);
	struct slow_journal *j = journal_new(v.gw);
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
	v1_connect(&v);
	bench_run(v.b, 200);
	v1_release(v.w);
	bench_run(v.b, 50);
	assert_int_equal(v1_child_count(v.gw), 0);
	pools_settled(v.gw->pools, j->ticket, true);
	bench_run(v.b, 1000);
	assert_int_equal(v1_child_count(v.gw), 1);
	bench_expect(v.gw, "ikev1_cfg_crossed", 1);
	bench_expect(v.gw, "ike_pool_exhausted", 0);
	v1_free(&v);
	free(j);
}

// A client that has given up while the disk was slow, and begins anew: nothing is lost, nobody else's is
// taken.
static void gives_up_while_it_waits(void **state)
{
	for (int way = WAY_V2; way < WAYS; way++) {
		struct way_setup s = {.way = (enum way)way,
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 60; }"};
		struct ways w = ways_new(&s);
		struct slow_journal *j = journal_new(w.gw);
		ways_connect(&w, w.client);
		client_anew(&w);
		ways_connect(&w, w.client);
		pools_settled(w.gw->pools, j->ticket, true);
		for (int i = 0; i < 5; i++) {
			bench_run(w.b, 60000);
			pools_settled(w.gw->pools, j->ticket, true);
		}
		struct ike_session_info info;
		for (uint64_t id = 0; ike_session_next(w.client->engine, id, &info);) {
			assert_int_equal(ike_delete_session(w.client->engine, info.id), 0);
			bench_run(w.b, 500);
		}
		bench_run(w.b, 100000);
		pools_settled(w.gw->pools, j->ticket, true);
		assert_int_equal(ways_in_use(&w), 0);
		ways_connect(&w, w.client);
		pools_settled(w.gw->pools, j->ticket, true);
		bench_run(w.b, 3000);
		assert_int_equal(ways_in_use(&w), 1);
		ways_free(&w);
		free(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(his_own),
		cmocka_unit_test(not_anothers),
		cmocka_unit_test(nobodys),
		cmocka_unit_test(claim_while_the_push_waits),
		cmocka_unit_test(request_while_the_push_waits),
		cmocka_unit_test(gives_up_while_it_waits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
