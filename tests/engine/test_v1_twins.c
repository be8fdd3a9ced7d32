// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1, begun by both sides at the same time: ISAKMP SAs and child SAs of which one is to be left.
#include "tests/engine/v1_sites.h"

#include <errno.h>

#define TIMES "lifetime: { child_rekey_s = 1000; child_hard_s = 2000; };"

static void expect_settled(struct v1 *v)
{
	unsigned timed;
	bench_run(v->b, 20000);
	assert_int_equal(site_children(v->gw, &timed), 1);
	assert_int_equal(timed, 1);
	assert_int_equal(site_children(v->client, &timed), 1);
	assert_int_equal(timed, 1);
	bench_run(v->b, 200000);
	sites_agree(v);
}

static void both_connect(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct v1 v = sites_new(TIMES, TIMES);
		v.b->random ^= seed * 0x9e3779b97f4a7c15u;
		assert_true(bench_connect(v.client, v.gw, "c") > 0);
		bench_run(v.b, seed % 6);
		assert_true(bench_connect(v.gw, v.client, "c") > 0);
		bench_run(v.b, 2000);
		assert_true(v1_traffic(&v));
		expect_settled(&v);
		assert_true(bench_counter(v.gw, "ikev1_redundant") +
				    bench_counter(v.client, "ikev1_redundant") >
			    0);
		v1_down(&v);
	}
}

// What stands on the session stays: its id, its child SAs, its counters.
static void both_reauthenticate(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct v1 v = sites_new(TIMES, TIMES);
		v.b->random ^= seed * 0x9e3779b97f4a7c15u;
		v1_need_up(&v);
		bench_run(v.b, 1000);
		assert_true(v1_traffic(&v));
		struct ike_session_info g = bench_session(v.gw), c = bench_session(v.client);
		assert_int_equal(ike_rekey_ike(v.gw->engine, g.id), 0);
		bench_run(v.b, seed % 3 ? 0 : 1);
		int rc = ike_rekey_ike(v.client->engine, c.id);
		assert_true(rc == 0 || rc == -EBUSY); // it has seen the other one begin
		bench_run(v.b, 40000);
		sites_agree(&v);
		assert_int_equal(bench_session(v.gw).id, g.id);
		assert_int_equal(bench_session(v.client).id, c.id);
		assert_true(bench_session(v.gw).spi_i != g.spi_i);
		assert_int_equal(bench_session(v.gw).children[0].spi_in, g.children[0].spi_in);
		assert_true(bench_session(v.gw).packets_in >= 1);
		v1_down(&v);
	}
}

static void both_rekey_a_child(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct v1 v = sites_new(TIMES, TIMES);
		v.b->random ^= seed * 0x9e3779b97f4a7c15u;
		v1_need_up(&v);
		for (int round = 0; round < 3; round++) {
			struct ike_child *g = site_child(v.gw), *c = site_child(v.client);
			assert_int_equal(
				ike_rekey_child(v.gw->engine, bench_session(v.gw).id, g->spi_in),
				0);
			bench_run(v.b, seed % 3);
			int rc = ike_rekey_child(
				v.client->engine, bench_session(v.client).id, c->spi_in);
			assert_true(rc == 0 || rc == -EBUSY);
			bench_run(v.b, 100);
			assert_true(v1_traffic(&v));
			expect_settled(&v);
		}
		v1_down(&v);
	}
}

// The one that was to replace it is deleted: the old one is in use again, and rekeyed at its time.
static void a_replacement_goes(void **state)
{
	struct v1 v = sites_new(TIMES, "");
	unsigned timed;
	v1_need_up(&v);
	uint32_t old = site_child(v.gw)->spi_in;
	uint64_t due = bench_session(v.gw).children[0].rekey_ns;
	assert_true(due > 0);
	assert_int_equal(ike_rekey_child(v.client->engine, bench_session(v.client).id,
				 site_child(v.client)->spi_in),
		0);
	bench_run(v.b, 1000);
	assert_int_not_equal(site_child(v.gw)->spi_in, old);
	assert_int_equal(site_children(v.gw, &timed), 1);
	assert_int_equal(timed, 1);
	assert_int_equal(ike_delete_child(v.client->engine, bench_session(v.client).id,
				 site_child(v.client)->spi_in),
		0);
	bench_run(v.b, 100);
	assert_int_equal(site_child(v.gw)->spi_in, old);
	assert_int_equal(bench_session(v.gw).children[0].rekey_ns, due);
	assert_true(v1_traffic(&v));
	bench_run(v.b, 220000);
	sites_agree(&v);
	assert_int_equal(site_child(v.gw)->spi_in, old);
	v1_down(&v);
}

// Main mode's last message is lost: one side has a new ISAKMP SA, the other one goes on with the old one
// meanwhile, and is understood.
static void an_old_one_is_spoken_on(void **state)
{
	struct v1 v = sites_new("", "");
	v1_need_up(&v);
	v1_drop(v.w, v.client, IKEV1_EXCHANGE_MAIN, 3);
	assert_int_equal(ike_rekey_ike(v.gw->engine, bench_session(v.gw).id), 0);
	bench_run(v.b, 100);
	assert_int_equal(v1_sa_count(v.client), 2);
	assert_int_equal(
		ike_rekey_child(v.gw->engine, bench_session(v.gw).id, site_child(v.gw)->spi_in), 0);
	bench_run(v.b, 100);
	bench_expect(v.client, "ike_child_rekeyed", 1);
	assert_true(v1_traffic(&v));
	bench_run(v.b, 220000);
	sites_agree(&v);
	v1_down(&v);
}

// INITIAL_CONTACT that meets our quick mode is no reason to forget the child SAs.
static void contact_meets_quick_mode(void **state)
{
	struct v1 v = sites_new(TIMES, "");
	v1_need_up(&v);
	uint64_t session = bench_session(v.gw).id;
	v1_hold(v.w, v.gw, IKEV1_EXCHANGE_QUICK);
	assert_int_equal(ike_rekey_child(v.gw->engine, session, site_child(v.gw)->spi_in), 0);
	bench_run(v.b, 50);
	struct ike_sa *old = v1_sa(v.gw);
	// strongSwan's: it has forgotten the old ISAKMP SA, not the child SAs
	assert_int_equal(ike_rekey_ike(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 3);
	v1_any_sa(v.gw)->v1->initial_contact = true;
	assert_true(v1_any_sa(v.gw) != old);
	bench_run(v.b, 100);
	bench_expect(v.gw, "ike_initial_contact", 0);
	assert_int_equal(bench_session(v.gw).id, session);
	assert_true(v1_traffic(&v));
	v1_filters_clear(v.w);
	v1_release(v.w);
	bench_run(v.b, 20000); // quick mode on the new one, if not on the old one
	assert_true(bench_counter(v.gw, "ike_child_rekeyed") > 0);
	bench_run(v.b, 220000);
	sites_agree(&v);
	v1_down(&v);
}

// While the peer is at phase 1 nothing is begun on the old one.
static void quick_mode_waits_for_phase_1(void **state)
{
	struct v1 v = sites_new(TIMES, "");
	v1_need_up(&v);
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_MAIN);
	assert_int_equal(ike_rekey_ike(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 20);
	v1_release(v.w);
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_MAIN); // the third message
	bench_run(v.b, 20);
	unsigned before = v1_sent(v.w, v.gw, IKEV1_EXCHANGE_QUICK);
	assert_int_equal(
		ike_rekey_child(v.gw->engine, bench_session(v.gw).id, site_child(v.gw)->spi_in), 0);
	assert_int_equal(ike_rekey_ike(v.gw->engine, bench_session(v.gw).id), -EBUSY);
	bench_run(v.b, 400);
	assert_int_equal(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_QUICK), before);
	v1_release(v.w);
	bench_run(v.b, 5000);
	assert_true(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_QUICK) > before);
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	bench_run(v.b, 220000);
	sites_agree(&v);
	v1_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_connect),
		cmocka_unit_test(both_reauthenticate),
		cmocka_unit_test(both_rekey_a_child),
		cmocka_unit_test(a_replacement_goes),
		cmocka_unit_test(an_old_one_is_spoken_on),
		cmocka_unit_test(contact_meets_quick_mode),
		cmocka_unit_test(quick_mode_waits_for_phase_1),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
