// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE SAs that both sides rekey at the same time (RFC 7296 2.8.2), and their rekeying against all else
// that may be under way (2.25.2), with messages lost in between.
#include "tests/engine/rekey_pair.h"

#define SEEDS 12

// Which one survives is drawn by the nonces; over all seeds either side's. The child SA, the lease and
// the counters are the session's.
static void both_at_once(void **state)
{
	unsigned redundant[2] = {0, 0};
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct pair p = rekey_pair(seed, &rekey_defaults, &rekey_defaults);
		uint64_t id = bench_session(p.gw).id;
		uint32_t child = bench_session(p.gw).children[0].spi_in;
		assert_int_equal(rekey_ike(p.client), 0);
		assert_int_equal(rekey_ike(p.gw), 0);
		run_with_traffic(&p, 1000, 10);
		assert_int_equal(bench_session(p.gw).id, id);
		assert_int_equal(bench_session(p.gw).children[0].spi_in, child);
		bench_expect(p.gw, "ike_rekey_simultaneous", 1);
		bench_expect(p.client, "ike_rekey_simultaneous", 1);
		bench_expect(p.gw, "ike_ike_rekeyed", 1);
		bench_expect(p.client, "ike_ike_rekeyed", 1);
		uint64_t g = bench_counter(p.gw, "ike_rekey_redundant");
		uint64_t c = bench_counter(p.client, "ike_rekey_redundant");
		assert_int_equal(g + c, 1);
		redundant[0] += (unsigned)g;
		redundant[1] += (unsigned)c;
		expect_alive_and_end(&p);
	}
	assert_true(redundant[0] > 0 && redundant[1] > 0);
}

static void both_at_once_with_one_lost(void **state)
{
	for (int slow = 0; slow < 3; slow++) {
		for (unsigned n = 0; n < 8; n++) {
			struct loss l = {.response = -1, .first = n, .count = 1};
			struct pair p = rekey_pair(200 + n, &rekey_defaults, &rekey_defaults);
			p.gw->job_delay_ns = slow == 1 ? 7 * NS_PER_MS : 0;
			p.client->job_delay_ns = slow == 2 ? 700 * NS_PER_MS : 0;
			bench_filter_add(p.b, lose, &l);
			assert_int_equal(rekey_ike(p.gw), 0);
			assert_int_equal(rekey_ike(p.client), 0);
			run_with_traffic(&p, IKE_REKEYED_GRACE_S * 1000 + 5000, 50);
			p.gw->job_delay_ns = p.client->job_delay_ns = 0;
			expect_alive_and_end(&p);
		}
	}
}

// RFC 7296 2.8.2: "one peer finishes its rekey before it even notices that the other peer is doing a
// rekey". What the slow one hears of it first: the DELETE of the old IKE SA, or TEMPORARY_FAILURE.
static void one_has_finished(void **state)
{
	for (int n = 0; n < 4; n++) {
		struct pair p = rekey_pair(20, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = n & 1 ? p.gw : p.client, *quick = n & 1 ? p.client : p.gw;
		struct loss l = {
			.from = slow, .exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA, .count = 1};
		struct loss del = {.from = quick,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.count = n & 2 ? 2 : 0};
		bench_filter_add(p.b, lose, &l);
		bench_filter_add(p.b, lose, &del);
		assert_int_equal(rekey_ike(slow), 0);
		bench_run(p.b, 1);
		assert_int_equal(rekey_ike(quick), 0);
		run_with_traffic(&p, 5000, 10);
		bench_expect(slow, "ike_rekey_simultaneous", 1);
		bench_expect(quick, "ike_rekey_simultaneous", 0);
		bench_expect(slow, "ike_rekey_later", n & 2 ? 1 : 0);
		bench_expect(slow, "ike_ike_rekeyed", 1);
		expect_alive_and_end(&p);
	}
}

// It settles on the new IKE SA and uses it, while the old one's DELETE and our request are lost.
static void message_on_the_one_held_aside(void **state)
{
	for (int n = 0; n < 4; n++) {
		struct pair p = rekey_pair(21, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = n & 1 ? p.gw : p.client, *quick = n & 1 ? p.client : p.gw;
		struct loss l = {
			.from = slow, .exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA, .count = 4};
		struct loss del = {
			.from = quick, .exchange = IKEV2_EXCHANGE_INFORMATIONAL, .count = 1};
		bench_filter_add(p.b, lose, &l);
		bench_filter_add(p.b, lose, &del);
		assert_int_equal(rekey_ike(slow), 0);
		bench_run(p.b, 1);
		assert_int_equal(rekey_ike(quick), 0);
		bench_run(p.b, 20);
		uint64_t old = bench_session(slow).spi_i;
		// The response to it is of those that are lost.
		assert_int_equal(n & 2 ? delete_child(quick) : rekey_child(quick), 0);
		bench_run(p.b, 10);
		assert_int_not_equal(bench_session(slow).spi_i, old);
		bench_expect(slow, "ike_ike_rekeyed", 1);
		bench_run(p.b, 9000);
		if (n & 2)
			assert_int_equal(ike_add_child(quick->engine, 1, "lan"), 0);
		bench_run(p.b, 9000);
		expect_alive_and_end(&p);
	}
}

// The peer falls silent on the old IKE SA: our request is given up, and the session lives on.
static void own_request_times_out(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(22, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = by_gw ? p.gw : p.client, *quick = by_gw ? p.client : p.gw;
		struct loss l = {.from = slow,
			.exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA,
			.response = 0,
			.count = LOSE_ALL};
		struct loss del = {.from = quick,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.response = 0,
			.count = LOSE_ALL};
		bench_filter_add(p.b, lose, &l);
		bench_filter_add(p.b, lose, &del);
		assert_int_equal(rekey_ike(slow), 0);
		bench_run(p.b, 1);
		assert_int_equal(rekey_ike(quick), 0);
		run_with_traffic(&p, 420000, 1000); // a peer with MOBIKE is waited for longer
		bench_expect(slow, "ike_peer_dead", 1);
		bench_expect(slow, "ike_ike_rekeyed", 1);
		bench_filters_clear(p.b);
		bench_run(p.b, 60000);
		expect_alive_and_end(&p);
	}
}

// Our own attempt waits for its key pair, or in the queue: the peer's is taken, ours never leaves, and
// what was queued behind it moves.
static void overtaken(void **state)
{
	for (int queued = 0; queued < 2; queued++) {
		struct pair p = rekey_pair(23, &rekey_defaults, &rekey_defaults);
		p.client->job_delay_ns = queued ? 0 : 40 * NS_PER_MS;
		struct loss l = {.from = p.client,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.count = queued};
		bench_filter_add(p.b, lose, &l);
		if (queued)
			assert_int_equal(ike_probe(p.client->engine, 1), 0);
		assert_int_equal(rekey_ike(p.gw), 0);
		if (!queued)
			bench_run(p.b, 1);
		assert_int_equal(rekey_ike(p.client), 0);
		assert_int_equal(rekey_child(p.client), 0);
		run_with_traffic(&p, 8000, 20);
		bench_expect(p.gw, "ike_rekey_simultaneous", 0);
		bench_expect(p.client, "ike_rekey_overtaken", 1);
		bench_expect(p.gw, "ike_ike_rekeyed", 1);
		bench_expect(p.client, "ike_child_rekeyed", 1);
		p.client->job_delay_ns = 0;
		expect_alive_and_end(&p);
	}
}

static void queue_moves_with_the_session(void **state)
{
	for (uint64_t seed = 1; seed <= 6; seed++) {
		struct pair p = rekey_pair(seed, &rekey_defaults, &rekey_defaults);
		assert_int_equal(rekey_ike(p.client), 0);
		assert_int_equal(rekey_ike(p.gw), 0);
		assert_int_equal(rekey_child(p.client), 0);
		assert_int_equal(rekey_child(p.gw), 0);
		run_with_traffic(&p, 7000, 10);
		assert_true(bench_counter(p.client, "ike_child_rekeyed") >= 1);
		bench_expect(p.client, "ike_ike_rekeyed", 1);
		expect_alive_and_end(&p);
	}
}

// ---- against all else ----------------------------------------------------------------------------

static int add_child(struct bench_node *n)
{
	return ike_add_child(n->engine, bench_session(n).id, "lan");
}

// Something of a child SA on one side, the rekeying of the IKE SA on the other, with one message lost.
static void against_child_exchanges(void **state)
{
	static int (*const begin[])(struct bench_node *) = {rekey_child, add_child, delete_child};
	for (unsigned what = 0; what < 3; what++) {
		for (unsigned n = 0; n < 16; n++) {
			struct pair p = rekey_pair(300 + n, &rekey_defaults, &rekey_defaults);
			struct bench_node *ike = n & 1 ? p.gw : p.client;
			struct bench_node *child = n & 1 ? p.client : p.gw;
			struct loss l = {.response = -1, .first = n / 2, .count = n / 2 < 7};
			bench_filter_add(p.b, lose, &l);
			assert_int_equal(begin[what](child), 0);
			assert_int_equal(rekey_ike(ike), 0);
			bench_run(p.b, 70000);
			bench_expect(ike, "ike_ike_rekeyed", 1);
			unsigned left = (unsigned[]){1, 2, 0}[what];
			assert_int_equal(bench_session(p.gw).child_count, left);
			assert_int_equal(bench_session(p.client).child_count, left);
			assert_int_equal(p.gw->engine->child_count, left);
			if (left == 0)
				assert_int_equal(add_child(ike), 0);
			if (left == 2)
				assert_int_equal(delete_child(ike), 0);
			bench_run(p.b, 6000);
			expect_alive_and_end(&p);
		}
	}
}

static bool both_empty(void *arg)
{
	struct pair *p = arg;
	return bench_empty(p->gw) && bench_empty(p->client);
}

// RFC 7296 2.25.2: "a request to close an IKE SA that it is currently rekeying, it SHOULD reply as usual,
// and forget about its own rekeying request".
static void against_the_end(void **state)
{
	for (unsigned n = 0; n < 32; n++) {
		struct pair p = rekey_pair(400 + n, &rekey_defaults, &rekey_defaults);
		struct bench_node *rekeys = n & 1 ? p.gw : p.client;
		struct bench_node *ends = n & 1 ? p.client : p.gw;
		struct loss l = {.response = -1, .first = n / 8, .count = n / 8 < 3};
		bench_filter_add(p.b, lose, &l);
		if (n & 2)
			assert_int_equal(rekey_ike(ends), 0); // its own is under way as well
		assert_int_equal(rekey_ike(rekeys), 0);
		if (n & 4)
			bench_run(p.b, 1 + n / 8);
		assert_int_equal(ike_delete_session(ends->engine, bench_session(ends).id), 0);
		assert_true(
			bench_run_until(p.b, both_empty, &p, (IKE_REKEYED_GRACE_S + 70) * 1000));
		bench_free(p.b);
	}
}

static void end_against_end(void **state)
{
	for (unsigned n = 0; n < 5; n++) {
		struct pair p = rekey_pair(n, &rekey_defaults, &rekey_defaults);
		struct loss l = {.response = -1, .first = n, .count = n < 4};
		bench_filter_add(p.b, lose, &l);
		assert_int_equal(ike_delete_session(p.gw->engine, 1), 0);
		assert_int_equal(ike_delete_session(p.client->engine, 1), 0);
		assert_true(bench_run_until(p.b, both_empty, &p, 70000));
		bench_free(p.b);
	}
}

// The end of the old one's own time does not follow the session.
static void hard_lifetime_while_rekeying(void **state)
{
	struct pair p = rekey_pair(30, &rekey_defaults, &rekey_defaults);
	assert_int_equal(rekey_ike(p.client), 0);
	assert_int_equal(ikev2_delete_ike_sa(bench_sa_of(p.client, 1)), 0);
	run_with_traffic(&p, 1000, 10);
	bench_expect(p.client, "ike_ike_rekeyed", 1);
	expect_alive_and_end(&p);
}

// At shutdown both IKE SAs of a collision are told.
static void shutdown_in_between(void **state)
{
	for (unsigned n = 0; n < 6; n++) {
		struct pair p = rekey_pair(500 + n, &rekey_defaults, &rekey_defaults);
		assert_int_equal(rekey_ike(p.client), 0);
		assert_int_equal(rekey_ike(p.gw), 0);
		bench_run(p.b, n);
		ike_shutdown(p.gw->engine, p.b->now_ns + 10 * NS_PER_S);
		assert_true(
			bench_run_until(p.b, both_empty, &p, (IKE_REKEYED_GRACE_S + 70) * 1000));
		assert_true(ike_drained(p.gw->engine));
		bench_free(p.b);
	}
}

// What is held aside is freed with the engine.
static void engine_ends_in_between(void **state)
{
	for (unsigned n = 0; n < 6; n++) {
		struct pair p = rekey_pair(600 + n, &rekey_defaults, &rekey_defaults);
		assert_int_equal(rekey_child(p.gw), 0);
		bench_run(p.b, 20);
		assert_int_equal(rekey_ike(p.client), 0);
		assert_int_equal(rekey_ike(p.gw), 0);
		bench_run(p.b, n);
		bench_free(p.b);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_at_once),
		T(both_at_once_with_one_lost),
		T(one_has_finished),
		T(message_on_the_one_held_aside),
		T(own_request_times_out),
		T(overtaken),
		T(queue_moves_with_the_session),
		T(against_child_exchanges),
		T(against_the_end),
		T(end_against_end),
		T(hard_lifetime_while_rekeying),
		T(shutdown_in_between),
		T(engine_ends_in_between),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
