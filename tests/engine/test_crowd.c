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
#define GATEWAY "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; unique = \""

struct crowd {
	struct bench *b;
	struct bench_node *gw, *nodes[NODES];
	uint64_t ids[CROWD]; // of the nodes' engines
	unsigned count;
};

static void crowd_new(struct crowd *c, const char *unique)
{
	char more[128], addr[32];
	snprintf(more, sizeof(more), GATEWAY "%s\";", unique);
	struct side gw = {.pools = POOL, .more = more}, client = {0};
	*c = (struct crowd){.b = bench_new()};
	struct pair p = pair_on(c->b, &gw, &client);
	c->gw = p.gw;
	c->nodes[0] = p.client;
	for (unsigned i = 1; i < NODES; i++) {
		snprintf(addr, sizeof(addr), "198.51.100.%u", 10 + i);
		c->nodes[i] = side_add(c->b, addr, addr, &client, false);
		c->nodes[i]->cfg->connections[0].request_v4 = true;
	}
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
	unsigned i = CROWD - c->count--; // the eldest
	assert_int_equal(ike_delete_session(c->nodes[i % NODES]->engine, c->ids[i]), 0);
	bench_run(c->b, 100);
	return c->gw->engine->looked - before;
}

static void a_shared_account_costs_each_of_its_users_the_same(void **state)
{
	struct crowd c;
	uint64_t most[2] = {0}, most_end = 0;
	crowd_new(&c, "no");
	while (c.count < CROWD) {
		uint64_t looked = join(&c);
		uint64_t *m = &most[c.count > SMALL];
		*m = looked > *m ? looked : *m;
		assert_int_equal(bench_session_count(c.gw), c.count);
	}
	while (c.count) {
		uint64_t looked = leave(&c);
		most_end = looked > most_end ? looked : most_end;
		assert_int_equal(bench_session_count(c.gw), c.count);
	}
	print_message("# at most %llu with %u sessions, %llu with %u, an end %llu\n",
		(unsigned long long)most[0], SMALL, (unsigned long long)most[1], CROWD,
		(unsigned long long)most_end);
	assert_true(most[1] > 0 && most[1] <= LOOKED);
	assert_true(most_end <= LOOKED);
	assert_int_equal(pool_in_use(c.gw, 0), 0);
	assert_true(bench_empty(c.gw));
	bench_free(c.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_shared_account_costs_each_of_its_users_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
