// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the gateway begins with IKEv1 by itself: quick mode when a child SA's time is up, phase 1 anew; what
// it never begins; and how long that which nobody rekeys lives.
#include "tests/engine/v1_sites.h"

#include <errno.h>

#define REKEYS "lifetime: { child_rekey_s = 60; child_hard_s = 90; ike_rekey_s = 5000; };"
#define WAITS  "lifetime: { child_rekey_s = 0; child_hard_s = 1000; ike_rekey_s = 0; };"

static enum bench_fate lose_quick(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->h.exchange == IKEV1_EXCHANGE_QUICK && m->from == arg ? BENCH_DROP : BENCH_PASS;
}

// ---- child SAs -----------------------------------------------------------------------------------

static void by_time(void **state)
{
	struct v1 v = sites_new(REKEYS, WAITS);
	unsigned timed;
	v1_need_up(&v);
	for (int i = 1; i <= 60; i++) {
		bench_run(v.b, 10000);
		assert_true(v1_traffic(&v));
		assert_int_equal(site_children(v.gw, &timed), 1);
		assert_true(site_session(v.gw)->child_count <= 3);
	}
	// each after 54 to 60 seconds
	assert_in_range(bench_counter(v.gw, "ike_child_rekeyed"), 9, 11);
	assert_int_equal(bench_counter(v.client, "ike_child_rekeyed"),
		bench_counter(v.gw, "ike_child_rekeyed"));
	bench_expect(v.gw, "ike_child_hard_limit", 0);
	v1_down(&v);
}

static void by_bytes(void **state)
{
	struct v1 v = sites_new(WAITS, WAITS);
	v1_need_up(&v);
	uint32_t before = site_child(v.gw)->spi_in;
	struct sa_event ev = {.type = SA_EVENT_SOFT_LIMIT, .child = before, .dir = SA_OUT};
	ike_sa_event(v.gw->engine, &ev);
	ike_sa_event(v.gw->engine, &ev); // the other direction's
	bench_run(v.b, 1500);
	assert_int_not_equal(site_child(v.gw)->spi_in, before);
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	bench_expect(v.gw, "ike_child_soft_limit", 1);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// A peer may name a volume that each packet reaches.
static void by_every_packet(void **state)
{
	struct v1 v = sites_new(WAITS, WAITS);
	v1_need_up(&v);
	for (int i = 0; i < 1000; i++) {
		struct sa_event ev = {.type = SA_EVENT_SOFT_LIMIT,
			.child = site_child(v.gw)->spi_in,
			.dir = SA_OUT};
		ike_sa_event(v.gw->engine, &ev);
		bench_run(v.b, 5);
		assert_true(v1_traffic(&v));
	}
	assert_in_range(bench_counter(v.gw, "ike_child_rekeyed"), 4, 5);
	bench_run(v.b, 70 * 1000);
	v1_down(&v);
}

// A client is offered the suite in use, and no other.
static void towards_a_client(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true,
		.aggressive = true,
		.gw_more = REKEYS,
		.client_more = WAITS,
		.gw_children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; esp_proposals = "
			       "[ \"aes256-sha512\", \"aes128-sha256\" ]; }"});
	struct ikev1_sa_offer offer;
	v1_need_up(&v);
	v1_watch_forget(v.w);
	bench_run(v.b, 62000);
	const struct v1_message *m = v1_quick(&v, v.gw, 1);
	assert_non_null(m);
	assert_true(m->opened);
	assert_int_equal(ikev1_sa_parse(m->m.sa, false, &offer), WIRE_OK);
	assert_in_range(offer.transform_count, 1, 2); // with and without ESN
	for (uint8_t i = 0; i < offer.transform_count; i++)
		assert_int_equal(offer.transforms[i].suite.encr.key_bits, 128);
	bench_expect(v.client, "ike_child_rekeyed", 1);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// Without an answer, or refused: the child SA stays to its hard limit, the session lives on.
static void refused_or_silent(void **state)
{
	for (int refused = 0; refused < 2; refused++) {
		struct v1 v = sites_new(REKEYS, WAITS);
		v1_need_up(&v);
		uint32_t spi = site_child(v.gw)->spi_in;
		uint64_t session = bench_session(v.gw).id;
		if (refused)
			v.client->cfg->connections[0]
				.children[0]
				.esp_proposals[0]
				.encr[0]
				.key_bits = 256;
		else
			v1_filter_add(v.w, lose_quick, v.client);
		v1_watch_forget(v.w);
		bench_run(v.b, 88000);
		assert_int_equal(site_child(v.gw)->spi_in, spi);
		assert_true(v1_traffic(&v));
		assert_true(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_QUICK) >= 1);
		bench_expect(v.gw, "ike_child_rekeyed", 0);
		if (refused) // once is enough
			assert_int_equal(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_QUICK), 1);
		bench_run(v.b, 10000);
		bench_expect(v.gw, "ike_child_hard_limit", 1);
		assert_non_null(v1_nth_delete(v.w, v.gw, IKEV1_PROTOCOL_ESP, 1));
		assert_int_equal(bench_session(v.gw).id, session);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
		v1_filters_clear(v.w);
		bench_run(v.b, 1000);
		v1_down(&v);
	}
}

// The ISAKMP SA is over when the child SA's time comes: first the one, then the other.
static void without_an_isakmp_sa(void **state)
{
	struct v1 v = sites_new(REKEYS, WAITS);
	v1_need_up(&v);
	uint32_t spi = site_child(v.gw)->spi_in;
	uint64_t session = bench_session(v.gw).id;
	v.client->cfg->connections[0].responder_only = true; // it would begin anew at once
	ike_enter(v.gw->engine);
	ikev1_sa_expire(v1_sa(v.gw), IKE_REASON_HARD_LIFETIME, true);
	ike_leave(v.gw->engine);
	bench_run(v.b, 5000);
	assert_int_equal(v1_sa(v.gw)->state, IKE_SA_EXPIRED);
	assert_int_equal(v1_sa(v.client)->state, IKE_SA_EXPIRED);
	bench_run(v.b, 60000);
	assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
	assert_int_equal(bench_session(v.gw).id, session);
	assert_int_not_equal(site_child(v.gw)->spi_in, spi);
	bench_expect(v.gw, "ikev1_reauthenticated", 1);
	bench_expect(v.client, "ikev1_reauthenticated", 1);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// A child SA that was made for the outer address, before a lease came, is rekeyed as it is.
static void older_than_the_lease(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		struct lease lease = r.gw_session->leases[0];
		uint8_t assigned = r.client_session->assigned_count;
		r.gw_session->lease_count = r.client_session->assigned_count = 0;
		v.client->cfg->connections[0].children[0].local_ts[0] =
			selector_of_addr(&v.client->addr);
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 500);
		assert_int_equal(r.gw_session->child_count, 1);
		r.gw_session->leases[0] = lease;
		r.gw_session->lease_count = 1;
		r.client_session->assigned_count = assigned;
		struct bench_node *n = by_gw ? v.gw : v.client;
		struct ike_session *s = by_gw ? r.gw_session : r.client_session;
		assert_int_equal(ike_rekey_child(n->engine, s->id, v1_child_of(s, 0)->spi_in), 0);
		bench_run(v.b, 500);
		bench_expect(v.gw, "ike_child_rekeyed", 1);
		v1_expect_fit(&r);
		assert_true(bench_traffic(v.client, v.gw, CLIENT_ADDR, "10.99.0.7"));
		bench_run(v.b, 250000); // the old one and its routes have gone
		assert_int_equal(r.gw_session->child_count, 1);
		assert_true(bench_traffic(v.gw, v.client, "10.99.0.7", CLIENT_ADDR));
		v1_down(&v);
	}
}

// ---- phase 1 -------------------------------------------------------------------------------------

static void reauthenticated_by(struct v1 *v, struct bench_node *who)
{
	struct ike_session_info g = bench_session(v->gw), c = bench_session(v->client);
	uint64_t taken = bench_counter(v->gw, "ikev1_reauthenticated");
	assert_int_equal(ike_rekey_ike(who->engine, bench_session(who).id), 0);
	assert_int_equal(ike_rekey_ike(who->engine, bench_session(who).id), -EBUSY);
	bench_run(v->b, 1000);
	assert_true(v1_traffic(v));
	bench_run(v->b, 30000);
	bench_expect(v->gw, "ikev1_reauthenticated", taken + 1);
	assert_int_equal(bench_session(v->gw).id, g.id);
	assert_int_equal(bench_session(v->client).id, c.id);
	assert_true(bench_session(v->gw).spi_i != g.spi_i);
	assert_int_equal(v1_sa(who)->initiator, true);
	assert_int_equal(v1_sa_count(v->gw), 1);
	assert_int_equal(v1_sa_count(v->client), 1);
	assert_int_equal(bench_session(v->gw).children[0].spi_in, g.children[0].spi_in);
	assert_int_equal(bench_session(v->gw).packets_in, g.packets_in + 1);
	assert_int_equal(bench_session(v->gw).remote.port, g.remote.port);
	assert_true(v1_traffic(v));
}

static void either_side_reauthenticates(void **state)
{
	static const struct v1_setup rows[] = {
		{0},
		{.nat = true},
		{.method = V1_RSA},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1_setup s = rows[i];
		s.site = true;
		struct v1 v = rows[i].method == V1_PSK && !rows[i].nat ? sites_with(&rows[i])
								       : v1_new(&s);
		v1_need_up(&v);
		assert_true(v1_traffic(&v));
		reauthenticated_by(&v, v.client);
		reauthenticated_by(&v, v.gw); // behind a NAT: to the mapped port
		reauthenticated_by(&v, v.gw);
		reauthenticated_by(&v, v.client);
		v1_down(&v);
	}
}

// Clients come again by themselves: theirs is a password, or an address of ours. Where we are the client
// it is ours, and the address is kept.
static void clients_begin_it(void **state)
{
	static const struct v1_setup rows[] = {
		{.xauth = true},
		{.xauth = true, .aggressive = true, .nat = true},
		{.method = V1_RSA, .config = V1_PUSH},
		{.method = V1_HYBRID},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&rows[i]);
		char before[IP_TEXT_MAX], after[IP_TEXT_MAX];
		v1_need_up(&v);
		bench_run(v.b, 100);
		assert_true(v1_lease(&v, before));
		assert_true(v1_traffic(&v));
		assert_int_equal(ike_rekey_ike(v.gw->engine, bench_session(v.gw).id), -ENOTSUP);
		reauthenticated_by(&v, v.client);
		assert_true(v1_lease(&v, after));
		assert_string_equal(before, after);
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		v1_down(&v);
	}
}

static void by_lifetime(void **state)
{
	struct v1 v = sites_new("lifetime: { ike_rekey_s = 100; ike_hard_s = 130; };",
		"lifetime: { ike_rekey_s = 0; ike_hard_s = 130; };");
	v1_need_up(&v);
	uint64_t session = bench_session(v.client).id;
	for (int i = 0; i < 100; i++) {
		bench_run(v.b, 10000);
		assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
		assert_true(v1_traffic(&v));
	}
	assert_in_range(bench_counter(v.gw, "ikev1_reauthenticated"), 9, 11);
	assert_int_equal(bench_session(v.client).id, session);
	bench_expect(v.gw, "ike_hard_lifetime", 0);
	v1_down(&v);
}

// The peer does not answer: tried again and again, to the end of the lifetime; the child SAs live on.
static enum bench_fate lose_main(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->h.exchange == IKEV1_EXCHANGE_MAIN ? BENCH_DROP : BENCH_PASS;
}

static void reauthentication_fails(void **state)
{
	struct v1 v = sites_new("lifetime: { ike_rekey_s = 100; ike_hard_s = 200; };",
		"lifetime: { ike_rekey_s = 0; };");
	v1_need_up(&v);
	v1_filter_add(v.w, lose_main, NULL);
	bench_run(v.b, 190000);
	assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
	assert_true(v1_traffic(&v));
	assert_true(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_MAIN) > 8);
	v1_filters_clear(v.w);
	bench_run(v.b, 25000);
	bench_expect(v.gw, "ikev1_reauthenticated", 1);
	assert_int_equal(v1_sa(v.gw)->state, IKE_SA_ESTABLISHED);
	assert_true(v1_traffic(&v));
	bench_run(v.b, 10000);
	v1_down(&v);
}

// ---- responder_only ------------------------------------------------------------------------------

// The first message of each exchange but the informational ones comes from the client.
static enum bench_fate who_begins(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	struct v1 *v = arg;
	static uint32_t begun[1024];
	static unsigned count;
	bool known = m->h.message_id == 0 ? m->h.spi_r != 0 : false;
	for (unsigned i = 0; i < count && !known; i++)
		known = begun[i] == m->h.message_id;
	if (m->h.exchange == IKEV1_EXCHANGE_INFORMATIONAL || known)
		return BENCH_PASS;
	assert_ptr_equal(m->from, v->client);
	if (m->h.message_id && count < 1024)
		begun[count++] = m->h.message_id;
	return BENCH_PASS;
}

#define ONLY                                                                                           \
	"responder_only = true; lifetime: { child_rekey_s = 20; child_hard_s = 40; ike_rekey_s = 30; " \
	"ike_hard_s = 100; child_rekey_bytes = 1000; };"

static void responder_only(void **state)
{
	struct v1 v = sites_new(ONLY,
		"lifetime: { child_rekey_s = 3000; child_hard_s = 4000; ike_rekey_s = 70; "
		"ike_hard_s = 5000; };");
	struct ike_session_info s;
	v1_filter_add(v.w, who_begins, &v);
	assert_int_equal(bench_connect(v.gw, v.client, "c"), 0);
	v1_need_up(&v);
	// It tells what it will not rekey.
	const struct v1_message *isakmp =
		v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_RESPONDER_LIFETIME, 1);
	assert_non_null(isakmp);
	assert_non_null(v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_RESPONDER_LIFETIME, 2));
	assert_int_equal(site_child(v.client)->life_s, 40);
	for (int i = 0; i < 60; i++) {
		bench_run(v.b, 5000);
		struct sa_event ev = {.type = SA_EVENT_SOFT_LIMIT,
			.child = site_child(v.gw)->spi_in,
			.dir = SA_IN};
		ike_sa_event(v.gw->engine, &ev);
		s = bench_session(v.gw);
		assert_int_equal(ike_rekey_ike(v.gw->engine, s.id), -EPERM);
		assert_int_equal(ike_rekey_child(v.gw->engine, s.id, s.children[0].spi_in), -EPERM);
		assert_int_equal(ike_add_child(v.gw->engine, s.id, "lan"), -EPERM);
		assert_true(v1_traffic(&v));
	}
	// The peer was told in time: nothing came to its end.
	assert_true(bench_counter(v.gw, "ike_child_rekeyed") >= 7);
	assert_true(bench_counter(v.gw, "ikev1_reauthenticated") >= 3);
	bench_expect(v.gw, "ike_child_hard_limit", 0);
	bench_expect(v.gw, "ike_hard_lifetime", 0);
	v1_filters_clear(v.w);
	v1_down(&v);
}

// What the peer lets expire is deleted with a DELETE.
static void responder_only_expires(void **state)
{
	struct v1 v = sites_new(ONLY, WAITS);
	v1_filter_add(v.w, who_begins, &v);
	v1_need_up(&v);
	struct ike_child *c = site_child(v.client);
	ike_enter(v.client->engine);
	ike_child_soft_stop(c);
	c->life_s = 0; // it has not listened
	wheel_cancel(&v.client->engine->wheel, &c->hard);
	ike_leave(v.client->engine);
	bench_run(v.b, 42000);
	bench_expect(v.gw, "ike_child_hard_limit", 1);
	assert_non_null(v1_nth_delete(v.w, v.gw, IKEV1_PROTOCOL_ESP, 1));
	assert_int_equal(v1_child_count(v.client), 0);
	bench_run(v.b, 70000);
	bench_expect(v.gw, "ike_hard_lifetime", 1);
	assert_non_null(v1_nth_delete(v.w, v.gw, IKEV1_PROTOCOL_ISAKMP, 1));
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

// ---- the end -------------------------------------------------------------------------------------

// Nobody can be asked without an ISAKMP SA: the session ends when nothing has been heard for a while.
static void expired_and_idle(void **state)
{
	struct v1 v = sites_new(WAITS, WAITS);
	v.gw->cfg->connections[0].lifetime.child_hard_s = 20000;
	v.client->cfg->connections[0].lifetime.child_hard_s = 20000;
	v1_need_up(&v);
	v.client->cfg->connections[0].responder_only = true;
	ike_enter(v.gw->engine);
	ikev1_sa_expire(v1_sa(v.gw), IKE_REASON_HARD_LIFETIME, true);
	ike_leave(v.gw->engine);
	for (int i = 0; i < 20; i++) {
		bench_run(v.b, 100000);
		assert_true(v1_traffic(&v));
	}
	assert_int_equal(bench_session(v.gw).state, IKE_SESSION_EXPIRED);
	bench_run(v.b, 590000);
	assert_int_equal(bench_session_count(v.gw), 1);
	bench_run(v.b, 20000);
	bench_expect(v.gw, "ikev1_idle", 1);
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

// The timeout counts from the last sign, ESP too, in either role.
static void silence_counts_from_esp(void **state)
{
	struct v1 v = sites_new("dpd: { delay_s = 10; timeout_s = 60; };",
		"dpd: { delay_s = 10; timeout_s = 60; };");
	v1_need_up(&v);
	for (int i = 0; i < 40; i++) {
		bench_run(v.b, 5000);
		assert_true(v1_traffic(&v));
	}
	bench_expect(v.gw, "ike_probe_sent", 0);
	bench_expect(v.client, "ike_probe_sent", 0);
	v.gw->deaf = v.client->deaf = true;
	bench_run(v.b, 55000);
	assert_int_equal(bench_session_count(v.gw), 1);
	assert_int_equal(bench_session_count(v.client), 1);
	bench_run(v.b, 10000);
	bench_expect(v.gw, "ike_peer_dead", 1);
	bench_expect(v.client, "ike_peer_dead", 1);
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_time),
		cmocka_unit_test(by_bytes),
		cmocka_unit_test(by_every_packet),
		cmocka_unit_test(towards_a_client),
		cmocka_unit_test(refused_or_silent),
		cmocka_unit_test(without_an_isakmp_sa),
		cmocka_unit_test(older_than_the_lease),
		cmocka_unit_test(either_side_reauthenticates),
		cmocka_unit_test(clients_begin_it),
		cmocka_unit_test(by_lifetime),
		cmocka_unit_test(reauthentication_fails),
		cmocka_unit_test(responder_only),
		cmocka_unit_test(responder_only_expires),
		cmocka_unit_test(expired_and_idle),
		cmocka_unit_test(silence_counts_from_esp),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
