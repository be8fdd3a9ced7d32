// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Child SAs that both sides rekey or delete at the same time (RFC 7296 2.8.1, 2.25.1), with messages
// lost in between.
#include "tests/engine/rekey_pair.h"

#define SEEDS 12

#define PFS_GW                                                                    \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; pfs = \"required\"; " \
	"esp_proposals = [ \"aes128gcm16-x25519\" ]; }"
#define PFS_CLIENT                                                                           \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"pfs = \"required\"; esp_proposals = [ \"aes128gcm16-x25519\" ]; }"

static const struct side pfs_gw = {.children = PFS_GW}, pfs_client = {.children = PFS_CLIENT};

// Which one survives is drawn by the nonces; over all seeds either side's.
static void both_at_once(void **state)
{
	unsigned redundant[2] = {0, 0};
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct pair p = rekey_pair(seed, &rekey_defaults, &rekey_defaults);
		assert_int_equal(rekey_child(p.client), 0);
		assert_int_equal(rekey_child(p.gw), 0);
		if (seed % 2)
			run_with_traffic(&p, 40, 1);
		bench_run(p.b, 6000);
		bench_expect(p.gw, "ike_rekey_simultaneous", 1);
		bench_expect(p.client, "ike_rekey_simultaneous", 1);
		uint64_t g = bench_counter(p.gw, "ike_rekey_redundant");
		uint64_t c = bench_counter(p.client, "ike_rekey_redundant");
		assert_int_equal(g + c, 1);
		redundant[0] += (unsigned)g;
		redundant[1] += (unsigned)c;
		// The old one and the redundant one, each by its DELETE.
		bench_expect(p.gw, "ike_child_deleted", 2);
		bench_expect(p.client, "ike_child_deleted", 2);
		bench_expect(p.gw, "ike_rekey_later", 0);
		bench_expect(p.gw, "ike_rekey_refused", 0);
		expect_alive_and_end(&p);
	}
	assert_true(redundant[0] > 0 && redundant[1] > 0);
}

// Each single message of it is lost once, with and without DH, at different speeds.
static void both_at_once_with_one_lost(void **state)
{
	for (int pfs = 0; pfs < 3; pfs++) {
		for (unsigned n = 0; n < 8; n++) {
			struct loss l = {.response = -1, .first = n, .count = 1};
			struct pair p = rekey_pair(100 + n, pfs ? &pfs_gw : &rekey_defaults,
				pfs ? &pfs_client : &rekey_defaults);
			p.gw->job_delay_ns = pfs == 1 ? 7 * NS_PER_MS : 0;
			p.client->job_delay_ns = pfs == 2 ? 700 * NS_PER_MS : 0;
			bench_filter_add(p.b, lose, &l);
			assert_int_equal(rekey_child(p.gw), 0);
			assert_int_equal(rekey_child(p.client), 0);
			run_with_traffic(&p, 50, 1);
			run_with_traffic(&p, 12000, 50);
			assert_true(l.seen > n);
			p.gw->job_delay_ns = p.client->job_delay_ns = 0;
			expect_alive_and_end(&p);
		}
	}
}

// RFC 7296 2.8.1: "A's first packet (req1) is lost", and B is done before it hears of it.
static void one_has_finished(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(7, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = by_gw ? p.gw : p.client, *quick = by_gw ? p.client : p.gw;
		struct loss l = {
			.from = slow, .exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA, .count = 1};
		bench_filter_add(p.b, lose, &l);
		assert_int_equal(rekey_child(slow), 0);
		bench_run(p.b, 1);
		assert_int_equal(rekey_child(quick), 0);
		run_with_traffic(&p, 1000, 10);
		bench_expect(quick, "ike_child_unknown", 1);
		bench_expect(slow, "ike_rekey_refused", 1);
		bench_expect(slow, "ike_child_created", 1); // the first one: none was made anew
		bench_expect(quick, "ike_rekey_simultaneous", 0);
		bench_run(p.b, 6000);
		expect_alive_and_end(&p);
	}
}

// The same, but its DELETE is not answered yet: TEMPORARY_FAILURE, and the peer's stands.
static void one_is_about_to_finish(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(8, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = by_gw ? p.gw : p.client, *quick = by_gw ? p.client : p.gw;
		struct loss l = {
			.from = slow, .exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA, .count = 1};
		struct loss del = {
			.from = quick, .exchange = IKEV2_EXCHANGE_INFORMATIONAL, .count = 3};
		bench_filter_add(p.b, lose, &l);
		bench_filter_add(p.b, lose, &del);
		assert_int_equal(rekey_child(slow), 0);
		bench_run(p.b, 1);
		assert_int_equal(rekey_child(quick), 0);
		run_with_traffic(&p, 20000, 50);
		bench_expect(slow, "ike_rekey_later", 1);
		bench_expect(slow, "ike_child_rekeyed", 1);
		expect_alive_and_end(&p);
	}
}

// Ours is done but for its inbound SA, which takes its time, when the peer's request comes again: the old
// one is as good as deleted, and nothing is sent by what the peer does not have.
static void one_waits_for_its_install(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(14, &rekey_defaults, &rekey_defaults);
		struct bench_node *slow = by_gw ? p.gw : p.client, *quick = by_gw ? p.client : p.gw;
		struct loss l = {.from = slow,
			.exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA,
			.response = 0,
			.count = 1};
		bench_filter_add(p.b, lose, &l);
		assert_int_equal(rekey_child(slow), 0);
		bench_run(p.b, 400);
		quick->sink.install_delay_ns = 300 * NS_PER_MS;
		assert_int_equal(rekey_child(quick), 0);
		run_with_traffic(&p, 3000, 10);
		quick->sink.install_delay_ns = 0;
		bench_expect(slow, "ike_rekey_later", 1);
		bench_expect(slow, "ike_child_rekeyed", 1);
		bench_run(p.b, 6000);
		expect_alive_and_end(&p);
	}
}

// Ours waits in the queue, or for its key pair, while the peer rekeys the same: it never leaves.
static void overtaken(void **state)
{
	for (int queued = 0; queued < 2; queued++) {
		struct pair p = rekey_pair(9, &pfs_gw, &pfs_client);
		p.client->job_delay_ns = queued ? 0 : 40 * NS_PER_MS;
		struct loss l = {.from = p.client,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.response = 0,
			.count = queued ? 1 : 0};
		bench_filter_add(p.b, lose, &l);
		if (queued)
			assert_int_equal(ike_probe(p.client->engine, 1), 0);
		assert_int_equal(rekey_child(p.gw), 0);
		if (!queued)
			bench_run(p.b, 1);
		assert_int_equal(rekey_child(p.client), 0);
		run_with_traffic(&p, 8000, 20);
		bench_expect(p.gw, "ike_rekey_simultaneous", 0);
		bench_expect(p.client, "ike_rekey_overtaken", 1);
		bench_expect(p.gw, "ike_child_rekeyed", 1);
		p.client->job_delay_ns = 0;
		expect_alive_and_end(&p);
	}
}

// One rekeys, the other deletes. Both orders, each message lost once; what was to be rekeyed was wanted,
// so there is one in the end.
static void rekey_against_delete(void **state)
{
	for (unsigned n = 0; n < 24; n++) {
		struct pair p = rekey_pair(n, &rekey_defaults, &rekey_defaults);
		struct bench_node *rekeys = n & 1 ? p.gw : p.client;
		struct bench_node *deletes = n & 1 ? p.client : p.gw;
		struct loss l = {.response = -1, .first = n / 4, .count = n / 4 < 5};
		bench_filter_add(p.b, lose, &l);
		if (n & 2) {
			assert_int_equal(delete_child(deletes), 0);
			assert_int_equal(rekey_child(rekeys), 0);
		} else {
			assert_int_equal(rekey_child(rekeys), 0);
			assert_int_equal(delete_child(deletes), 0);
		}
		bench_run(p.b, 20000);
		expect_alive_and_end(&p);
	}
}

static void delete_against_delete(void **state)
{
	for (unsigned n = 0; n < 5; n++) {
		struct pair p = rekey_pair(n, &rekey_defaults, &rekey_defaults);
		struct loss l = {.response = -1, .first = n, .count = n < 4};
		bench_filter_add(p.b, lose, &l);
		assert_int_equal(delete_child(p.gw), 0);
		assert_int_equal(delete_child(p.client), 0);
		bench_run(p.b, 10000);
		assert_int_equal(bench_session(p.gw).child_count, 0);
		assert_int_equal(bench_session(p.client).child_count, 0);
		assert_int_equal(p.gw->engine->child_count, 0);
		assert_int_equal(p.client->engine->child_count, 0);
		pair_down(&p);
	}
}

// A DELETE alone is meant.
static void nothing_is_made_anew_after_a_plain_delete(void **state)
{
	struct pair p = rekey_pair(3, &rekey_defaults, &rekey_defaults);
	assert_int_equal(delete_child(p.gw), 0);
	bench_run(p.b, 20000);
	assert_int_equal(bench_session(p.client).child_count, 0);
	// Nor does it linger: nothing has replaced it.
	assert_true(LIST_EMPTY(&p.gw->sink.sas));
	assert_true(LIST_EMPTY(&p.client->sink.sas));
	pair_down(&p);
}

static struct ike_child *only_child(struct bench_node *n)
{
	return LIST_FIRST(&ike_session_by_id(n->engine, bench_session(n).id)->children);
}

// RFC 7296 2.25: CHILD_SA_NOT_FOUND means that another one is wanted.
static void peer_has_lost_it(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(4, &rekey_defaults, &rekey_defaults);
		struct bench_node *n = by_gw ? p.gw : p.client;
		ike_child_drop(only_child(by_gw ? p.client : p.gw));
		bench_run(p.b, 10);
		assert_int_equal(rekey_child(n), 0);
		bench_run(p.b, 100);
		bench_expect(n, "ike_child_created", 2);
		bench_run(p.b, 6000);
		expect_alive_and_end(&p);
	}
}

// A child SA that we cannot make is taken back at the peer, too, and tried again.
static void own_install_fails(void **state)
{
	struct pair p = rekey_pair(5, &rekey_defaults, &rekey_defaults);
	p.client->sink.fail_add = 1;
	assert_int_equal(rekey_child(p.client), 0);
	run_with_traffic(&p, 100, 1);
	bench_expect(p.client, "ike_sa_refused", 1);
	bench_expect(p.gw, "ike_child_deleted", 1);
	run_with_traffic(&p, 8000, 50);
	expect_alive_and_end(&p);
}

// Ours fails, but the peer has rekeyed the same: its one stands.
static void own_install_fails_where_both_rekey(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(6, &rekey_defaults, &rekey_defaults);
		struct bench_node *n = by_gw ? p.gw : p.client;
		assert_int_equal(rekey_child(p.client), 0);
		assert_int_equal(rekey_child(p.gw), 0);
		bench_run(p.b, 1); // both have answered; the responses are on their way
		n->sink.fail_add = 1;
		run_with_traffic(&p, 20000, 20);
		bench_expect(n, "ike_sa_refused", 1);
		expect_alive_and_end(&p);
	}
}

// Packets that the peer sent before its DELETE, or before its answer to ours, still get in; none leave.
static void old_one_lingers(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = rekey_pair(10, &rekey_defaults, &rekey_defaults);
		struct bench_node *nodes[] = {p.gw, p.client};
		uint32_t old[2] = {bench_session(p.gw).children[0].spi_in,
			bench_session(p.client).children[0].spi_in};
		assert_int_equal(rekey_child(nodes[by_gw]), 0);
		run_with_traffic(&p, 100, 1);
		for (int i = 0; i < 2; i++) {
			struct bench_sa *in = bench_sink_find(&nodes[i]->sink, old[i], SA_IN);
			assert_non_null(in);
			assert_null(bench_sink_find(&nodes[i]->sink, old[i], SA_OUT));
			assert_int_equal(nodes[i]->engine->child_count, 1);
			assert_int_equal(bench_session(nodes[i]).child_count, 1);
			in->counters.packets += 5; // late ones
		}
		uint64_t before = bench_session(p.gw).packets_in;
		bench_run(p.b, IKE_LINGER_S * 1000 + 100);
		assert_int_equal(bench_session(p.gw).packets_in, before + 5);
		expect_one(&p);
		// A session that ends meanwhile takes them along.
		assert_int_equal(rekey_child(nodes[by_gw]), 0);
		bench_run(p.b, 100);
		pair_down(&p);
	}
}

// Many at a time: the data plane's room for one tunnel is not used up by those that have gone.
static void lingering_is_bounded(void **state)
{
	struct pair p = rekey_pair(11, &rekey_defaults, &rekey_defaults);
	for (int i = 0; i < 60; i++) {
		unsigned n = 0;
		struct bench_sa *sa;
		assert_int_equal(rekey_child(p.client), 0);
		run_with_traffic(&p, 20, 5);
		LIST_FOREACH (sa, &p.gw->sink.sas, link)
			n += sa->spec.dir == SA_IN;
		assert_true(n <= 26);
	}
	bench_run(p.b, 10000);
	expect_alive_and_end(&p);
}

// The peer never deletes what it has replaced.
static void grace_ends_the_old_one(void **state)
{
	struct pair p = rekey_pair(12, &rekey_defaults, &rekey_defaults);
	struct ike_child *old = only_child(p.client);
	assert_int_equal(rekey_child(p.client), 0);
	old->state = IKE_CHILD_DELETING; // as if its DELETE were under way
	run_with_traffic(&p, 1000, 10);
	assert_int_equal(bench_session(p.gw).child_count, 2);
	run_with_traffic(&p, IKE_REKEYED_GRACE_S * 1000, 500);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	bench_run(p.b, 6000);
	expect_alive_and_end(&p);
}

static void responder_only_lets_nothing_out(void **state)
{
	for (int ike = 0; ike < 3; ike++) {
		struct pair p = rekey_pair(13, &rekey_defaults, &rekey_defaults);
		struct loss l = {.from = p.client,
			.exchange = IKEV2_EXCHANGE_CREATE_CHILD_SA,
			.count = LOSE_ALL};
		bench_filter_add(p.b, lose, &l);
		assert_int_equal(ike_probe(p.client->engine, 1), 0);
		assert_int_equal(ike == 0   ? rekey_child(p.client)
				 : ike == 1 ? rekey_ike(p.client)
					    : ike_add_child(p.client->engine, 1, "lan"),
			0);
		p.client->cfg->connections[0].responder_only = true;
		bench_run(p.b, 5000);
		assert_int_equal(l.seen, 0);
		bench_expect(p.client, "ike_rekey_overtaken", 1);
		bench_filters_clear(p.b);
		p.client->cfg->connections[0].responder_only = false;
		bench_run(p.b, 5000);
		expect_alive_and_end(&p);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(both_at_once),
		T(both_at_once_with_one_lost),
		T(one_has_finished),
		T(one_is_about_to_finish),
		T(one_waits_for_its_install),
		T(overtaken),
		T(rekey_against_delete),
		T(delete_against_delete),
		T(nothing_is_made_anew_after_a_plain_delete),
		T(peer_has_lost_it),
		T(own_install_fails),
		T(own_install_fails_where_both_rekey),
		T(old_one_lingers),
		T(lingering_is_bounded),
		T(grace_ends_the_old_one),
		T(responder_only_lets_nothing_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
