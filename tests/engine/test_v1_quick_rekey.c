// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode, both roles against each other: rekeying, what is shown meanwhile, and messages that are
// lost.
#include "tests/engine/v1_quick.h"

static enum bench_fate lose_quick(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	const struct bench_node *from = arg;
	return m->h.exchange == IKEV1_EXCHANGE_QUICK && m->from == from ? BENCH_DROP : BENCH_PASS;
}

// ---- rekeying ----------------------------------------------------------------------------------

static void rekey(struct v1 *v, struct v1_ready *r)
{
	ike_enter(v->client->engine);
	assert_int_equal(ikev1_rekey_child(r->client, v1_child_of(r->client_session, 0)), 0);
	ike_leave(v->client->engine);
	bench_run(v->b, 500);
}

static void rekey_replaces(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	for (int i = 0; i < 3; i++) {
		uint32_t before = v1_child_of(r.gw_session, 0)->spi_in;
		rekey(&v, &r);
		v1_expect_fit(&r);
		assert_int_not_equal(v1_child_of(r.gw_session, 0)->spi_in, before);
		assert_int_equal(v1_child_of(r.gw_session, 1)->state, IKE_CHILD_REKEYED);
		assert_int_equal(v1_child_of(r.client_session, 1)->state, IKE_CHILD_REKEYED);
		assert_true(v1_traffic(&v));
		// Nobody deletes the old one: each side does so by itself after a while.
		bench_run(v.b, IKE_REKEYED_GRACE_S * 1000 + 5000);
		assert_int_equal(r.gw_session->child_count, 1);
		assert_int_equal(r.client_session->child_count, 1);
		assert_int_equal(v.gw->engine->child_count, 1);
		v1_expect_fit(&r);
		assert_true(v1_traffic(&v));
	}
	bench_expect(v.gw, "ike_child_rekeyed", 3);
	v1_down(&v);
}

#define TWO_CHILDREN(local1, remote1, local2, remote2)                                       \
	"{ name = \"a\"; local_ts = [ \"" local1 "\" ]; remote_ts = [ \"" remote1 "\" ]; "   \
	"esp_proposals = [ " V1_ESP " ]; }, { name = \"b\"; local_ts = [ \"" local2 "\" ]; " \
	"remote_ts = [ \"" remote2 "\" ]; esp_proposals = [ " V1_ESP " ]; }"

// What is deleted at about the same time is told in one message, and that twice: a peer that follows three
// exchanges at a time would lose another one over them.
static void deletes_go_together(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.site = true,
		.gw_children =
			TWO_CHILDREN("10.99.0.0/24", "10.7.0.0/16", "10.98.0.0/24", "10.6.0.0/16"),
		.client_children = TWO_CHILDREN(
			"10.7.0.0/16", "10.99.0.0/24", "10.6.0.0/16", "10.98.0.0/24")});
	struct v1_ready r = v1_ready(&v);
	for (int i = 0; i < 2; i++)
		assert_int_equal(v1_ready_add(&v, &r, i), 0);
	bench_run(v.b, 1000);
	struct ike_child *one = v1_child_of(r.client_session, 0);
	struct ike_child *two = v1_child_of(r.client_session, 1);
	ike_enter(v.client->engine);
	assert_int_equal(ikev1_rekey_child(r.client, one), 0);
	assert_int_equal(ikev1_rekey_child(r.client, two), 0);
	ike_leave(v.client->engine);
	bench_run(v.b, 1000);
	assert_int_equal(r.client_session->child_count, 4);
	v1_watch_forget(v.w);
	bench_run(v.b, IKE_REKEYED_GRACE_S * 1000 + 10000);
	assert_int_equal(r.client_session->child_count, 2);
	assert_int_equal(r.gw_session->child_count, 2);
	for (unsigned n = 1; n <= 2; n++) {
		const struct v1_message *m = v1_nth_delete(v.w, v.client, IKEV1_PROTOCOL_ESP, n);
		assert_non_null(m);
		assert_int_equal(m->m.delete_count, 1);
		assert_int_equal(m->m.deletes[0].count, 2);
	}
	assert_null(v1_nth_delete(v.w, v.client, IKEV1_PROTOCOL_ESP, 3));
	v1_down(&v);
}

// The gateway goes on with the old outbound SA until the third message, or the first packet.
static void switch_at_the_third_message_or_the_first_packet(void **state)
{
	for (int by_packet = 0; by_packet < 2; by_packet++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		uint32_t old = v1_child_of(r.gw_session, 0)->spi_in;
		v1_drop(v.w, v.client, IKEV1_EXCHANGE_QUICK, 2);
		ike_enter(v.client->engine);
		assert_int_equal(ikev1_rekey_child(r.client, v1_child_of(r.client_session, 0)), 0);
		ike_leave(v.client->engine);
		bench_run(v.b, 100);
		struct ike_child *fresh = v1_child_of(r.gw_session, 0);
		assert_int_not_equal(fresh->spi_in, old);
		assert_int_equal(fresh->state, IKE_CHILD_READY);
		assert_false(bench_sink_find(&v.gw->sink, fresh->spi_in, SA_OUT)->switched);
		if (by_packet) { // the client has waited for one of ours
			bench_run(v.b, 200);
			assert_true(v1_traffic(&v));
		}
		// else QM2 is sent again, and QM3 with it
		bench_run(v.b, by_packet ? 50 : 1000);
		assert_int_equal(fresh->state, IKE_CHILD_ACTIVE);
		assert_true(bench_sink_find(&v.gw->sink, fresh->spi_in, SA_OUT)->switched);
		v1_down(&v);
	}
}

// The peer may look at ESP before the third message: the initiator waits for its first packet, or a moment.
static void initiator_waits_for_a_sign(void **state)
{
	for (int by_packet = 0; by_packet < 2; by_packet++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready_child(&v);
		ike_enter(v.client->engine);
		assert_int_equal(ikev1_rekey_child(r.client, v1_child_of(r.client_session, 0)), 0);
		ike_leave(v.client->engine);
		bench_run(v.b, 100);
		struct ike_child *fresh = v1_child_of(r.client_session, 0);
		const struct bench_sa *out =
			bench_sink_find(&v.client->sink, fresh->spi_in, SA_OUT);
		assert_int_equal(fresh->state, IKE_CHILD_READY);
		assert_false(out->switched);
		assert_int_equal(v1_child_of(r.gw_session, 0)->state, IKE_CHILD_ACTIVE);
		if (by_packet)
			assert_true(v1_traffic(&v));
		bench_run(v.b, by_packet ? 20 : 250);
		assert_int_equal(fresh->state, IKE_CHILD_ACTIVE);
		assert_true(out->switched);
		v1_expect_fit(&r);
		v1_down(&v);
	}
}

static enum ike_session_state shown(struct bench_node *n)
{
	return bench_session(n).state;
}

// A child SA that replaces another is a rekeying, on either side until it is in use; a new one is not.
static void rekeying_is_shown(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready(&v);
	for (int again = 0; again < 2; again++) {
		enum ike_session_state meanwhile =
			again ? IKE_SESSION_REKEYING : IKE_SESSION_ESTABLISHED;
		v1_hold(v.w, v.client, IKEV1_EXCHANGE_QUICK);
		ike_enter(v.client->engine);
		assert_int_equal(
			again ? ikev1_rekey_child(r.client, v1_child_of(r.client_session, 0))
			      : ikev1_add_child(r.client, &r.client->conn->children[0]),
			0);
		ike_leave(v.client->engine);
		bench_run(v.b, 20);
		assert_int_equal(shown(v.client), meanwhile);
		assert_int_equal(shown(v.gw), IKE_SESSION_ESTABLISHED);
		v1_release(v.w);
		v1_hold(v.w, v.client, IKEV1_EXCHANGE_QUICK); // the third message
		bench_run(v.b, 300);
		assert_int_equal(v1_held(v.w), 1);
		assert_int_equal(shown(v.gw), meanwhile);
		assert_int_equal(shown(v.client), IKE_SESSION_ESTABLISHED);
		v1_release(v.w);
		bench_run(v.b, 100);
		assert_int_equal(shown(v.gw), IKE_SESSION_ESTABLISHED);
	}
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	v1_down(&v);
}

// One that fails leaves nothing of it.
static void failed_rekeying_is_not_shown(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	v1_filter_add(v.w, lose_quick, v.client);
	ike_enter(v.client->engine);
	assert_int_equal(ikev1_rekey_child(r.client, v1_child_of(r.client_session, 0)), 0);
	ike_leave(v.client->engine);
	bench_run(v.b, 1000);
	assert_int_equal(shown(v.client), IKE_SESSION_REKEYING);
	bench_run(v.b, 20000);
	bench_expect(v.client, "ikev1_no_answer", 1);
	v1_filters_clear(v.w);
	bench_run(v.b, 5000); // it is tried again
	assert_int_equal(shown(v.client), IKE_SESSION_ESTABLISHED);
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	v1_down(&v);
}

// ---- losses ------------------------------------------------------------------------------------

static void each_message_is_lost(void **state)
{
	for (unsigned n = 1; n <= 3; n++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		v1_drop(v.w, n == 2 ? v.gw : v.client, IKEV1_EXCHANGE_QUICK, n == 3 ? 2 : 1);
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
		bench_run(v.b, 3000);
		v1_expect_fit(&r);
		assert_int_equal(r.gw_session->child_count, 1);
		assert_int_equal(r.client_session->child_count, 1);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

static void third_message_never_comes(void **state)
{
	for (int traffic = 0; traffic < 2; traffic++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		v1_hold(v.w, v.gw, IKEV1_EXCHANGE_QUICK);
		bench_run(v.b, 100);
		assert_int_equal(r.gw_session->child_count, 1);
		v1_filter_add(v.w, lose_quick, v.client);
		v1_release(v.w);
		bench_run(v.b, 100);
		assert_int_equal(v1_child_of(r.gw_session, 0)->state, IKE_CHILD_READY);
		if (traffic) {
			char lease[IP_TEXT_MAX];
			assert_true(v1_lease(&v, lease));
			assert_true(bench_traffic(v.client, v.gw, lease, "10.99.0.1"));
		}
		bench_run(v.b, 20000);
		bench_expect(v.gw, "ikev1_quick_timeout", !traffic);
		assert_int_equal(r.gw_session->child_count, traffic);
		// The client is told.
		assert_int_equal(r.client_session->child_count, traffic);
		v1_filters_clear(v.w);
		if (!traffic) {
			assert_int_equal(v1_ready_add(&v, &r, 0), 0);
			bench_run(v.b, 500);
		}
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

static void no_answer_at_all(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready(&v);
	v1_filter_add(v.w, lose_quick, v.client);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 20000);
	bench_expect(v.client, "ikev1_no_answer", 1);
	assert_int_equal(v.client->engine->child_count, 0);
	assert_int_equal(v1_sent(v.w, v.client, IKEV1_EXCHANGE_QUICK), IKEV1_TRIES);
	v1_filters_clear(v.w);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 500);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

static void lossy(void **state)
{
	unsigned ups = 0;
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		v.b->random ^= seed * 0x9e3779b97f4a7c15u;
		struct v1_ready r = v1_ready(&v);
		bench_lossy(v.b, 20, 20, 20);
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bool up = bench_run_until(v.b, v1_is_up, &v, 16000);
		bench_lossy(v.b, 0, 0, 0);
		bench_run(v.b, 5000);
		if (up)
			assert_true(v1_traffic(&v));
		else
			assert_true(bench_counter(v.client, "ikev1_no_answer") > 0);
		ups += up;
		v1_down(&v);
	}
	assert_true(ups >= 18);
}

// The reply leaves after the data plane has the inbound SA; if it does not take it there is none.
static void install_never_comes(void **state)
{
	for (int at_gw = 0; at_gw < 2; at_gw++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		struct bench_node *n = at_gw ? v.gw : v.client;
		n->sink.hold_installs = true;
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 1000);
		assert_null(v1_quick(&v, n, at_gw ? 1 : 2));
		bench_run(v.b, 30000);
		bench_expect(n, "ike_install_timeout", 2);
		assert_int_equal(n->engine->child_count, 0);
		n->sink.hold_installs = false;
		v1_down(&v);
	}
}

static void data_plane_refuses(void **state)
{
	static const struct {
		int spi, add, route;
		const char *counter;
	} rows[] = {{1, 0, 0, "ike_spi_exhausted"}, {0, 1, 0, "ike_sa_refused"},
		{0, 0, 1, "ike_sa_refused"}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		v.gw->sink.fail_spi = rows[i].spi;
		v.gw->sink.fail_add = rows[i].add;
		v.gw->sink.fail_route = rows[i].route;
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 1000);
		bench_expect(v.gw, rows[i].counter, 1);
		bench_expect(v.client, "ike_child_refused", 1);
		assert_int_equal(v.gw->engine->child_count, 0);
		assert_int_equal(v.client->engine->child_count, 0);
		v1_down(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rekey_replaces),
		cmocka_unit_test(deletes_go_together),
		cmocka_unit_test(switch_at_the_third_message_or_the_first_packet),
		cmocka_unit_test(initiator_waits_for_a_sign),
		cmocka_unit_test(rekeying_is_shown),
		cmocka_unit_test(failed_rekeying_is_not_shown),
		cmocka_unit_test(each_message_is_lost),
		cmocka_unit_test(third_message_never_comes),
		cmocka_unit_test(no_answer_at_all),
		cmocka_unit_test(lossy),
		cmocka_unit_test(install_never_comes),
		cmocka_unit_test(data_plane_refuses),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
