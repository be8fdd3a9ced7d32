// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What an IKEv1 initiator is told of the ISAKMP SA's lifetime, and what it does when there is none any
// more though its child SAs live.
#include "tests/engine/v1_say.h"
#include "tests/engine/v1_sites.h"

#define DPD "dpd: { delay_s = 5; timeout_s = 20; };"

static uint64_t rekey_in_s(struct bench_node *n)
{
	return (bench_session(n).rekey_ns - n->bench->now_ns) / NS_PER_S;
}

// ---- agreed and told -----------------------------------------------------------------------------

static void never_expires(struct v1 *v, unsigned times)
{
	for (int i = 0; i < 200; i++) {
		bench_run(v->b, 5000);
		assert_int_equal(v1_sa(v->client)->state, IKE_SA_ESTABLISHED);
		assert_int_equal(v1_sa(v->gw)->state, IKE_SA_ESTABLISHED);
		assert_true(v1_traffic(v));
	}
	assert_true(bench_counter(v->client, "ikev1_reauthenticated") >= times);
	bench_expect(v->gw, "ike_hard_lifetime", 0);
	bench_expect(v->client, "ike_hard_lifetime", 0);
}

// The hub never begins, and says how long its ISAKMP SA lives.
static void told(void **state)
{
	static const struct v1_setup rows[] = {
		{.gw_more = "responder_only = true; lifetime: { ike_hard_s = 300; };"},
		{.gw_more = "responder_only = true; lifetime: { ike_hard_s = 300; };",
			.client_more = "lifetime: { ike_hard_s = 100000; };"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = sites_with(&rows[i]);
		v1_need_up(&v);
		assert_int_equal(v1_sa(v.client)->v1->life_s, 300);
		assert_in_range(rekey_in_s(v.client), 240, 270);
		never_expires(&v, 3);
		v1_down(&v);
	}
}

// The initiator's lifetime is the lesser one; it is the gateway that re-authenticates.
static void agreed(void **state)
{
	struct v1 v = sites_new("", "lifetime: { ike_hard_s = 300; ike_rekey_s = 0; };");
	v1_need_up(&v);
	assert_in_range(rekey_in_s(v.gw), 240, 270);
	assert_int_equal(bench_session(v.client).rekey_ns, 0);
	never_expires(&v, 3);
	v1_down(&v);
}

// Late, longer, for another ISAKMP SA, or to who has not begun: and never less than a little.
static void told_by_hand(void **state)
{
	static const uint8_t ten_minutes[] = {0x80, 11, 0, 1, 0x80, 12, 2, 0x58},
			     two_minutes[] = {0x80, 11, 0, 1, 0x80, 12, 0, 120},
			     a_second[] = {0x80, 11, 0, 1, 0x80, 12, 0, 1},
			     unreadable[] = {0x80, 11, 0, 1};
	struct v1 v = sites_new("", "lifetime: { ike_hard_s = 100000; };");
	v1_need_up(&v);
	bench_run(v.b, 400000);
	assert_true(rekey_in_s(v.client) > 3000);
	struct v1_say *s = v1_say_begin(&v, v.gw, v1_sa(v.gw));
	v1_say_notify(s, IKEV1_NOTIFY_RESPONDER_LIFETIME, ten_minutes, sizeof(ten_minutes));
	v1_say(s);
	assert_in_range(rekey_in_s(v.client), 150, 180); // counted from the beginning
	bench_expect(v.client, "ikev1_notify_ignored", 0);
	s = v1_say_begin(&v, v.gw, v1_sa(v.gw));
	v1_say_notify(s, IKEV1_NOTIFY_RESPONDER_LIFETIME, unreadable, sizeof(unreadable));
	v1_say(s);
	bench_expect(v.client, "ikev1_notify_ignored", 1);
	uint64_t before = rekey_in_s(v.gw);
	s = v1_say_begin(&v, v.client, v1_sa(v.client));
	v1_say_notify(s, IKEV1_NOTIFY_RESPONDER_LIFETIME, a_second, sizeof(a_second));
	v1_say(s);
	bench_expect(v.gw, "ikev1_notify_ignored", 1);
	assert_int_equal(rekey_in_s(v.gw), before);
	// It is over already: at once.
	s = v1_say_begin(&v, v.gw, v1_sa(v.gw));
	v1_say_notify(s, IKEV1_NOTIFY_RESPONDER_LIFETIME, two_minutes, sizeof(two_minutes));
	v1_say(s);
	bench_run(v.b, 5000);
	bench_expect(v.client, "ikev1_reauthenticated", 1);
	bench_expect(v.client, "ikev1_expired", 0);
	s = v1_say_begin(&v, v.gw, v1_sa(v.gw));
	v1_say_notify(s, IKEV1_NOTIFY_RESPONDER_LIFETIME, a_second, sizeof(a_second));
	v1_say(s);
	assert_int_equal(v1_sa(v.client)->v1->life_s, 10);
	bench_run(v.b, 30000);
	bench_expect(v.client, "ikev1_reauthenticated", 2);
	bench_expect(v.client, "ikev1_expired", 0);
	assert_int_equal(v1_sa(v.client)->state, IKE_SA_ESTABLISHED);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// The other side's wish for a very short life is not ours to fulfil all the time.
static void very_short(void **state)
{
	struct v1 v = sites_new("lifetime: { child_rekey_s = 3000; };",
		"lifetime: { ike_hard_s = 1; ike_rekey_s = 0; child_hard_s = 1; child_rekey_s = 0; };");
	v1_need_up(&v);
	assert_int_equal(v1_sa(v.gw)->v1->life_s, 1);
	assert_in_range(rekey_in_s(v.gw), 7, 9);
	assert_int_equal(site_child(v.gw)->life_s, 1);
	assert_in_range((site_child(v.gw)->soft.due_ms * NS_PER_MS - v.b->now_ns) / NS_PER_S, 7, 9);
	v1_down(&v);
}

// ---- under way without one -----------------------------------------------------------------------

static void over(struct bench_node *n)
{
	ike_enter(n->engine);
	ikev1_sa_expire(v1_sa(n), IKE_REASON_HARD_LIFETIME, true);
	ike_leave(n->engine);
}

// Its initiator begins anew at once, and makes the child SAs anew: the peer may have lost them.
static void begun_anew(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct v1 v = sites_new("", "");
		v1_need_up(&v);
		uint64_t session = bench_session(v.client).id;
		uint32_t spi = site_child(v.client)->spi_in;
		bench_run(v.b, 100000);
		over(by_gw ? v.gw : v.client);
		bench_run(v.b, 5000);
		assert_int_equal(v1_sa(v.client)->state, IKE_SA_ESTABLISHED);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
		assert_int_equal(bench_session(v.client).id, session);
		assert_int_not_equal(site_child(v.client)->spi_in, spi);
		bench_expect(v.client, "ikev1_reauthenticated", 1);
		bench_run(v.b, 250000);
		sites_agree(&v);
		v1_down(&v);
	}
}

// The peer has forgotten the child SAs, and says nothing of them.
static void forgotten_children(void **state)
{
	struct v1 v = sites_new("", "");
	v1_need_up(&v);
	bench_run(v.b, 100000);
	struct v1_say *s = v1_say_begin(&v, v.gw, v1_sa(v.gw));
	v1_say_isakmp(s);
	v1_say(s);
	ike_enter(v.gw->engine);
	ike_sa_close(v1_sa(v.gw), IKE_REASON_CLOSED);
	ike_leave(v.gw->engine);
	assert_int_equal(bench_session_count(v.gw), 0);
	bench_run(v.b, 6000);
	assert_int_equal(bench_session_count(v.gw), 1);
	assert_true(v1_traffic(&v));
	bench_run(v.b, 250000);
	sites_agree(&v);
	v1_down(&v);
}

// Some end each ISAKMP SA as soon as the child SAs stand: they are asked less and less often.
static void short_lived(void **state)
{
	struct v1 v = sites_new("", "");
	v1_need_up(&v);
	for (int i = 0; i < 600; i++) {
		struct ike_sa *sa = v1_sa(v.gw);
		if (sa->state == IKE_SA_ESTABLISHED && site_session(v.gw)->child_count &&
			bench_quiet(v.gw) && bench_quiet(v.client))
			over(v.gw);
		bench_run(v.b, 1000);
	}
	assert_in_range(bench_counter(v.client, "ikev1_reauthenticated"), 6, 25);
	assert_true(v1_traffic(&v));
	// One that lasts, and the next is begun at once.
	bench_run(v.b, 200000);
	assert_int_equal(v1_sa(v.client)->state, IKE_SA_ESTABLISHED);
	uint64_t before = bench_counter(v.client, "ikev1_reauthenticated");
	over(v.gw);
	bench_run(v.b, 5000);
	bench_expect(v.client, "ikev1_reauthenticated", before + 1);
	v1_down(&v);
}

// A peer that has died together with its ISAKMP SA is noticed about as soon as by DPD.
static void dead_without_one(void **state)
{
	struct v1 v = sites_new("", DPD);
	v1_need_up(&v);
	bench_run(v.b, 100000);
	over(v.gw);
	bench_kill(v.gw);
	bench_run(v.b, 10000);
	assert_int_equal(bench_session_count(v.client), 1);
	bench_run(v.b, 30000);
	assert_int_equal(bench_session_count(v.client), 0);
	bench_expect(v.client, "ikev1_idle", 1);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told),
		cmocka_unit_test(agreed),
		cmocka_unit_test(told_by_hand),
		cmocka_unit_test(very_short),
		cmocka_unit_test(begun_anew),
		cmocka_unit_test(forgotten_children),
		cmocka_unit_test(short_lived),
		cmocka_unit_test(dead_without_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
