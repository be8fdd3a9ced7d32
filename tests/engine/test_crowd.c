// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One account that many share: what a login, a deletion and a lookup cost is counted, in sessions (and
// routes, leases) of the owner that were looked at, and does not grow with them.
#include "tests/engine/pair.h"

#define NODES   4
#define CROWD   320 // sessions, as many at each node
#define SMALL   64
#define LOOKED  200 // at most, by one login with its child SA, or one end
#define POOL    "{ name = \"p4\"; ranges = [ \"10.1.0.0/20\" ]; }"
#define GATEWAY "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; unique = \"no\";"
#define SITE_GW                                                                                 \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.77.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"
#define SITE_CLIENT                                                                             \
	"{ name = \"lan\"; local_ts = [ \"10.77.0.0/24\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

struct crowd {
	struct bench *b;
	struct bench_node *gw, *nodes[NODES];
	uint64_t ids[CROWD]; // of the nodes' engines
	unsigned count;
	bool youngest_first;   // they leave
	struct ip_addr wanted; // by all; family 0: nothing is
};

static void crowd_new(struct crowd *c, const struct side *gw, const struct side *client)
{
	char addr[32];
	*c = (struct crowd){.b = bench_new()};
	struct pair p = pair_on(c->b, gw, client);
	c->gw = p.gw;
	c->nodes[0] = p.client;
	for (unsigned i = 1; i < NODES; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%u", 10 + i);
		c->nodes[i] = side_add(c->b, addr, addr, client, false);
	}
	for (unsigned i = 0; i < NODES; i++)
		c->nodes[i]->cfg->connections[0].request_v4 = !client->children;
}

static uint64_t join(struct crowd *c)
{
	uint64_t before = c->gw->engine->looked;
	struct bench_node *n = c->nodes[c->count % NODES];
	uint64_t id = bench_connect(n, c->gw, "c");
	assert_true(id > 0);
	bench_run(c->b, 100);
	c->ids[c->count++] = id;
	return c->gw->engine->looked - before;
}

static uint64_t leave(struct crowd *c)
{
	uint64_t before = c->gw->engine->looked;
	unsigned i = c->youngest_first ? c->count - 1 : CROWD - c->count;
	c->count--;
	assert_int_equal(ike_delete_session(c->nodes[i % NODES]->engine, c->ids[i]), 0);
	bench_run(c->b, 100);
	return c->gw->engine->looked - before;
}

static bool has_route(const struct crowd *c)
{
	return bench_sink_route(&c->gw->sink, &c->wanted) != TUNNEL_NONE;
}

// All of them come and all of them go.
static void come_and_go(struct crowd *c)
{
	uint64_t most[2] = {0}, most_end = 0;
	while (c->count < CROWD) {
		uint64_t looked = join(c);
		uint64_t *m = &most[c->count > SMALL];
		*m = looked > *m ? looked : *m;
		assert_int_equal(bench_session_count(c->gw), c->count);
	}
	while (c->count) {
		uint64_t looked = leave(c);
		most_end = looked > most_end ? looked : most_end;
		assert_int_equal(bench_session_count(c->gw), c->count);
		if (c->count && c->wanted.family)
			assert_true(has_route(c));
	}
	print_message("# at most %llu with %u sessions, %llu with %u, an end %llu\n",
		(unsigned long long)most[0], SMALL, (unsigned long long)most[1], CROWD,
		(unsigned long long)most_end);
	assert_true(most[1] > 0 && most[1] <= LOOKED);
	assert_true(most_end <= LOOKED);
	assert_true(bench_empty(c->gw));
}

static void a_shared_account_costs_each_of_its_users_the_same(void **state)
{
	struct side gw = {.pools = POOL, .more = GATEWAY}, client = {0};
	struct crowd c;
	crowd_new(&c, &gw, &client);
	come_and_go(&c);
	assert_int_equal(pool_in_use(c.gw, 0), 0);
	bench_free(c.b);
}

// All want the same destination: one has it, and whichever goes, another one takes it at once.
static void a_destination_that_all_want_costs_each_the_same(void **state)
{
	struct side gw = {.pools = "", .more = "unique = \"no\";", .children = SITE_GW};
	struct side client = {.children = SITE_CLIENT};
	for (int i = 0; i < 2; i++) {
		struct crowd c;
		crowd_new(&c, &gw, &client);
		assert_int_equal(ip_parse("10.77.0.7", &c.wanted), 0);
		c.youngest_first = i == 1;
		come_and_go(&c);
		bench_free(c.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_account_costs_each_of_its_users_the_same),
		cmocka_unit_test(a_destination_that_all_want_costs_each_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
