// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions of IKEv1 from the first message on: child SAs behind real logins, ISAKMP SAs that end and
// peers that come back, addresses that are claimed.
#include "tests/engine/v1_say.h"

#include <errno.h>

static struct ike_session *gw_session(struct v1 *v)
{
	return ike_session_by_id(v->gw->engine, bench_session(v->gw).id);
}

// All that it has ends without a word.
static void forget(struct bench_node *n)
{
	struct ike_sa *sa;
	ike_enter(n->engine);
	while ((sa = v1_any_sa(n)))
		ike_sa_close(sa, IKE_REASON_CLOSED);
	ike_leave(n->engine);
}

static void expect_end(struct v1 *v)
{
	struct ike_clearing c = {.what = IKE_CLEAR_ALL};
	while (!c.done)
		ike_clear(v->gw->engine, &c);
	bench_run(v->b, 100);
	assert_true(bench_empty(v->gw));
	assert_int_equal(pool_in_use(v->gw, 0), 0);
	forget(v->client);
	bench_run(v->b, 100);
	v1_free(v);
}

// With the cookies of an ISAKMP SA that is alive, or none.
static void expect_expired(struct bench_node *n, bool expired)
{
	struct ike_session_info s = bench_session(n);
	assert_int_equal(s.state == IKE_SESSION_EXPIRED, expired);
	assert_true(s.established_ns > 0);
	assert_int_equal(s.spi_i, expired ? 0 : v1_sa(n)->spi_i);
	assert_int_equal(s.spi_r, expired ? 0 : v1_sa(n)->spi_r);
}

static void quick_mode_behind_each_login(void **state)
{
	static const struct v1_setup rows[] = {
		{.aggressive = true, .xauth = true},
		{.xauth = true, .nat = true},
		{.config = V1_PUSH},
		{.site = true},
		{.site = true, .nat = true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&rows[i]);
		v1_need_up(&v);
		bench_run(v.b, 20);
		assert_true(v1_traffic(&v));
		struct ike_session_info s = bench_session(v.client);
		assert_int_equal(ike_rekey_child(v.client->engine, s.id, s.children[0].spi_in), 0);
		bench_run(v.b, 300);
		bench_expect(v.gw, "ike_child_rekeyed", 1);
		assert_true(v1_traffic(&v));
		if (rows[i].nat) {
			struct ike_session_info g = bench_session(v.gw);
			assert_true(g.nat);
			assert_int_equal(
				LIST_FIRST(&v.gw->sink.tunnels)->spec.path.encap, SA_ENCAP_UDP);
		}
		v1_down(&v);
	}
}

// A client that lets its ISAKMP SA expire, as some do: sallyport would begin anew.
static void lets_expire(struct v1 *v, bool lets)
{
	v->client->cfg->connections[0].responder_only = lets;
}

// The ISAKMP SA's time is over; the client comes back. The session goes on with its lease and its
// child SAs, unless the client says that it has forgotten everything (INITIAL_CONTACT): then it is a
// new one with the old lease.
static void return_after_expiry(void **state)
{
	for (int i = 0; i < 4; i++) {
		bool aggressive = i & 1, forgets = i & 2;
		struct v1 v = v1_new(&(struct v1_setup){.xauth = true,
			.aggressive = aggressive,
			.gw_more = "lifetime: { ike_hard_s = 300; ike_rekey_s = 200; };"});
		v1_need_up(&v);
		expect_expired(v.gw, false);
		uint64_t session = bench_session(v.gw).id;
		struct ip_addr lease = bench_session(v.gw).inner[0];
		lets_expire(&v, true);
		bench_run(v.b, 335000);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_EXPIRED);
		bench_expect(v.gw, "ikev1_expired", 1);
		expect_expired(v.gw, true);
		assert_true(v1_traffic(&v));
		if (forgets)
			forget(v.client);
		lets_expire(&v, false);
		v1_connect(&v);
		bench_run(v.b, 3000);
		bench_expect(v.gw, "ikev1_reauthenticated", !forgets);
		bench_expect(v.gw, "ike_initial_contact", forgets);
		assert_int_equal(bench_session_count(v.gw), 1);
		assert_int_equal(bench_session(v.gw).id == session, !forgets);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
		assert_int_equal(v1_sa_count(v.gw), 1);
		expect_expired(v.gw, false);
		assert_true(ip_eq(&bench_session(v.gw).inner[0], &lease));
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		assert_true(v1_traffic(&v));
		expect_end(&v);
	}
}

// Without ISAKMP SAs the client still keeps the NAT's mapping open for ESP.
static void keepalives_after_expiry(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true,
		.nat = true,
		.gw_more = "lifetime: { ike_hard_s = 300; ike_rekey_s = 200; };"});
	v1_need_up(&v);
	lets_expire(&v, true);
	bench_run(v.b, 335000);
	assert_int_equal(v1_sa(v.client)->state, IKE_SA_EXPIRED);
	uint64_t before = v.client->sent;
	bench_run(v.b, 100000);
	assert_in_range(v.client->sent - before, 4, 6);
	assert_true(v1_traffic(&v));
	expect_end(&v);
}

// It has deleted its ISAKMP SA and is back, before or after the gateway has given that up.
static void return_after_delete(void **state)
{
	for (int wait = 0; wait < 2; wait++) {
		struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
		v1_need_up(&v);
		uint64_t session = bench_session(v.gw).id;
		struct v1_say *s = v1_say_begin(&v, v.client, v1_sa(v.client));
		v1_say_isakmp(s);
		v1_say(s);
		bench_run(v.b, wait ? 3000 : 10);
		assert_int_equal(v1_sa(v.gw)->state, wait ? IKE_SA_EXPIRED : IKE_SA_ESTABLISHED);
		v1_connect(&v);
		bench_run(v.b, 20000);
		bench_expect(v.gw, "ikev1_reauthenticated", 1);
		assert_int_equal(bench_session(v.gw).id, session);
		assert_int_equal(bench_session_count(v.gw), 1);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
		assert_int_equal(v1_sa_count(v.gw), 1);
		assert_false(v1_sa(v.gw)->v1->deleted);
		assert_true(v1_traffic(&v));
		expect_end(&v);
	}
}

// After a restart of the gateway the client goes on with its address without asking for it again.
static void claim_after_restart(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
	v1_need_up(&v);
	struct ip_addr lease = bench_session(v.gw).inner[0];
	char text[IP_TEXT_MAX];
	bench_kill(v.gw);
	forget(v.client);
	bench_run(v.b, 100);
	bench_start(v.gw);
	// It goes on with what it has and does not ask again.
	v.client->cfg->connections[0].request_v4 = false;
	ip_text(&lease, text);
	struct cfg_child *child = &v.client->cfg->connections[0].children[0];
	child->local_ts[0] = selector_of_addr(&lease);
	v1_connect(&v);
	bench_run(v.b, 3000);
	bench_expect(v.gw, "ikev1_reclaimed", 1);
	assert_int_equal(bench_session(v.gw).inner_count, 1);
	assert_true(ip_eq(&bench_session(v.gw).inner[0], &lease));
	assert_true(bench_traffic(v.client, v.gw, text, "10.99.0.7"));
	assert_true(bench_traffic(v.gw, v.client, "10.99.0.7", text));
	expect_end(&v);
}

// The address that somebody else has is not his.
static void claim_of_a_taken_address(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
	v1_need_up(&v);
	struct ip_addr lease = bench_session(v.gw).inner[0];
	struct v1_setup other = v.setup;
	struct v1 o = v;
	other.user = "user2";
	other.password = "another one";
	o.client = v1_add_client(v.b, "other", "198.51.100.9", &other);
	o.client->cfg->connections[0].request_v4 = false;
	o.client->cfg->connections[0].children[0].local_ts[0] = selector_of_addr(&lease);
	v1_connect(&o);
	bench_run(v.b, 3000);
	bench_expect(v.gw, "ikev1_reclaimed", 0);
	assert_true(bench_counter(v.gw, "ike_ts") + bench_counter(v.gw, "ike_ts_pool") == 1);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_true(v1_traffic(&v));
	assert_int_equal(v1_child_count(v.gw), 1);
	forget(o.client);
	expect_end(&v);
}

// INITIAL_CONTACT and questions may come while the login goes on.
static void during_the_login(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
	v1_connect(&v);
	bench_run(v.b, 500);
	struct ike_sa *gw = v1_any_sa(v.gw), *client = v1_any_sa(v.client);
	assert_int_equal(gw->state, IKE_SA_LOGIN);
	struct v1_say *s = v1_say_begin(&v, v.client, client);
	v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, "\0\0\1\1", 4);
	v1_say_notify(s, IKEV1_NOTIFY_INITIAL_CONTACT, NULL, 0);
	v1_say(s);
	bench_expect(v.gw, "ikev1_dpd_answered", 1);
	bench_expect(v.client, "ikev1_dpd_bad", 1); // it had not asked
	assert_true(gw->v1->initial_contact);
	assert_int_equal(gw->state, IKE_SA_LOGIN);
	v1_release(v.w);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// A peer that gives up during the login is gone.
static void deleted_during_the_login(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
	v1_connect(&v);
	bench_run(v.b, 500);
	struct v1_say *s = v1_say_begin(&v, v.client, v1_any_sa(v.client));
	v1_say_isakmp(s);
	v1_say(s);
	bench_expect(v.gw, "ike_deleted_by_peer", 1);
	assert_true(bench_empty(v.gw));
	forget(v.client);
	bench_run(v.b, 10);
	v1_release(v.w);
	bench_run(v.b, 10);
	v1_free(&v);
}

// The gateway may not do without an address.
static void address_required(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.xauth = true, .gw_more = "address_required = true;"});
	v.client->cfg->connections[0].request_v4 = false;
	v1_connect(&v);
	bench_run(v.b, 3000);
	assert_int_equal(v1_child_count(v.gw), 0);
	bench_expect(v.gw, "ike_cp_required", 1);
	expect_end(&v);
}

static void silent_gateway_is_noticed(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.client_more = "dpd: { delay_s = 5; timeout_s = 20; };"});
	v1_need_up(&v);
	assert_true(v1_sa(v.client)->v1->peer_dpd);
	assert_true(gw_session(&v)->sa->v1->peer_dpd);
	v.gw->deaf = true;
	bench_run(v.b, 40000);
	bench_expect(v.client, "ike_peer_dead", 1);
	assert_true(bench_empty(v.client));
	v.gw->deaf = false;
	expect_end(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quick_mode_behind_each_login),
		cmocka_unit_test(return_after_expiry),
		cmocka_unit_test(keepalives_after_expiry),
		cmocka_unit_test(return_after_delete),
		cmocka_unit_test(claim_after_restart),
		cmocka_unit_test(claim_of_a_taken_address),
		cmocka_unit_test(during_the_login),
		cmocka_unit_test(deleted_during_the_login),
		cmocka_unit_test(address_required),
		cmocka_unit_test(silent_gateway_is_noticed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
