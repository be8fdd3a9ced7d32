// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Who a session belongs to: re-authentication, INITIAL_CONTACT, several users behind one NAT, an
// address that is claimed after a restart, and what is limited per owner.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"
#include "tests/engine/v1_pair.h"

// The peer's second ISAKMP SA, as vpnc makes it: without Mode Configuration and quick mode.
static void connect_again(struct v1 *v)
{
	struct cfg_connection *c = &v->client->cfg->connections[0];
	size_t children = c->child_count;
	bool request = c->request_v4;
	c->child_count = 0;
	c->request_v4 = false;
	v1_connect(v);
	bench_run(v->b, 1000);
	c->child_count = children;
	c->request_v4 = request;
}

static void expect_taken_over(struct v1 *v, const struct ike_session_info *before)
{
	struct ike_session_info after = bench_session(v->gw);
	struct ike_status st;
	ike_status(v->gw->engine, &st);
	bench_expect(v->gw, "ikev1_reauthenticated", 1);
	assert_int_equal(st.sessions, 1);
	assert_int_equal(after.id, before->id);
	assert_int_equal(after.established_ns, before->established_ns);
	assert_true(after.spi_r != before->spi_r);
	assert_int_equal(after.child_count, 1);
	assert_int_equal(after.children[0].spi_in, before->children[0].spi_in);
	assert_int_equal(after.inner_count, 1);
	assert_true(ip_eq(&after.inner[0], &before->inner[0]));
	assert_int_equal(pool_in_use(v->gw, 0), 1);
}

// vpnc waits for one more packet behind the ACK of the status, and leaves if none comes.
static void reauthentication(void **state)
{
	static const struct v1_setup cases[] = {
		{.aggressive = true, .xauth = true},
		{.xauth = true},
		{.method = V1_RSA},
		{.method = V1_HYBRID},
		{.aggressive = true, .xauth = true, .config = V1_PUSH},
		{.aggressive = true, .xauth = true, .config = V1_PUSH, .before_status = true},
		{.xauth = true, .nat = true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = v1_new(&cases[i]);
		v1_need_up(&v);
		struct ike_session_info before = bench_session(v.gw);
		assert_null(v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_RESPONDER_LIFETIME, 1));
		connect_again(&v);
		expect_taken_over(&v, &before);
		const struct v1_message *n =
			v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_RESPONDER_LIFETIME, 1);
		assert_non_null(n);
		assert_true(n->hash_ok);
		assert_int_equal(v1_sa_count(v.gw), 2); // the old one waits for its DELETE
		assert_true(v1_traffic(&v));
		bench_run(v.b, (IKE_REAUTH_GRACE_S + 1) * 1000);
		assert_int_equal(v1_sa_count(v.gw), 1);
		assert_int_equal(bench_session(v.gw).id, before.id);
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		v1_free(&v);
	}
}

static enum bench_fate another_socket(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct v1 *v = arg;
	bool last = bench_header(p).flags & IKEV1_FLAG_ENCRYPTED;
	bool new = bench_header(p).spi_i != bench_session(v->gw).spi_i;
	if (ip_eq(&p->from.addr, &v->client->addr) && last && new)
		p->from.port = 4501;
	return BENCH_PASS;
}

// vpnc with a random local port: aggressive mode's third message comes from another one than the first.
static void reauthentication_from_another_socket(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true, .nat = true});
	struct cfg_connection *c = &v.client->cfg->connections[0];
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	bench_filter_add(v.b, another_socket, &v);
	c->child_count = 0;
	c->request_v4 = false;
	assert_true(bench_connect_from(v.client, v.gw, "c", 4500, 4500) > 0);
	bench_run(v.b, 1000);
	expect_taken_over(&v, &before);
	assert_true(bench_session(v.gw).remote.port != before.remote.port);
	c->child_count = 1;
	v1_free(&v);
}

// vpnc deletes the ISAKMP SA that it has replaced, but names the new one; the next DELETE is meant.
static void reauthentication_and_the_wrong_delete(void **state)
{
	uint8_t buf[64];
	struct wire_builder b;
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	connect_again(&v);
	struct ike_sa *gw = v1_sa(v.gw);
	struct ike_sa *client = ike_sa_find(v.client->engine, gw->spi_i);
	struct v1_made made = {.from = v.client,
		.sa = client,
		.exchange = IKEV1_EXCHANGE_INFORMATIONAL,
		.payloads = &b};
	gw->v1->peer_unity = true;
	for (int i = 0; i < 2; i++) {
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_put_delete_isakmp(&b, gw->spi_i, gw->spi_r);
		v1_make(v.w, &made);
		bench_run(v.b, 10);
		assert_int_equal(gw->v1->deleted, i);
		bench_expect(v.gw, "ikev1_delete_unknown", 1);
	}
	expect_taken_over(&v, &before);
	v1_free(&v);
}

// The session whose ISAKMP SA has gone is taken over as well.
static void expired_session(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true,
		.gw_more = "lifetime = { ike_hard_s = 60; }; dpd = { delay_s = 0; };",
		.client_more = "dpd = { delay_s = 0; };"});
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	v.client->cfg->connections[0].responder_only = true; // else it is back before that
	bench_run(v.b, 67000);
	v.client->cfg->connections[0].responder_only = false;
	bench_expect(v.gw, "ikev1_expired", 1);
	assert_int_equal(bench_session(v.gw).id, before.id);
	connect_again(&v);
	// The child SA is made anew: the client cannot know whether the gateway has kept it.
	bench_expect(v.gw, "ike_child_rekeyed", 1);
	struct ike_session_info after = bench_session(v.gw);
	bench_expect(v.gw, "ikev1_reauthenticated", 1);
	assert_int_equal(bench_session_count(v.gw), 1);
	assert_int_equal(after.id, before.id);
	assert_int_equal(after.established_ns, before.established_ns);
	assert_true(after.spi_r != before.spi_r);
	assert_true(ip_eq(&after.inner[0], &before.inner[0]));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_int_equal(v1_sa_count(v.gw), 1);
	v1_free(&v);
}

// A group's key proves nobody: each ISAKMP SA is a session of its own.
static void group_key_takes_over_nothing(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.gw_credentials =
			"psk = ( { id = \"*\"; secret = \"a secret of them both\"; } );"});
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	connect_again(&v);
	struct ike_status st;
	ike_status(v.gw->engine, &st);
	assert_int_equal(st.sessions, 2);
	bench_expect(v.gw, "ikev1_reauthenticated", 0);
	assert_int_equal(bench_session(v.gw).spi_r, before.spi_r);
	assert_string_equal(bench_session(v.gw).group, "client@example");
	v1_free(&v);
}

static bool v1_gw_two(void *arg)
{
	struct v1 *v = arg;
	struct ike_status st;
	ike_status(v->gw->engine, &st);
	return st.sessions == 2 && st.children == 2;
}

// With INITIAL_CONTACT the client has forgotten all: a new session, the same address.
static void initial_contact(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	bench_kill(v.client);
	bench_start(v.client);
	v1_need_up(&v);
	struct ike_session_info after = bench_session(v.gw);
	struct ike_status st;
	ike_status(v.gw->engine, &st);
	assert_int_equal(st.sessions, 1);
	assert_true(after.id != before.id);
	assert_true(ip_eq(&after.inner[0], &before.inner[0]));
	bench_expect(v.gw, "ike_initial_contact", 1);
	bench_expect(v.gw, "ikev1_reauthenticated", 0);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// INITIAL_CONTACT of somebody who then does not know the password ends nothing.
static void initial_contact_waits_for_the_user(void **state)
{
	struct v1_setup s = {.aggressive = true, .xauth = true, .nat = true};
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	struct ike_session_info before = bench_session(v.gw);
	s.password = "wrong";
	bench_nat_add(v.b, "198.51.100.3", "203.0.113.9");
	struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
	assert_true(bench_connect(other, v.gw, "c") > 0);
	bench_run(v.b, 5000);
	bench_expect(v.gw, "ikev1_xauth_failed", 3);
	bench_expect(v.gw, "ike_initial_contact", 0);
	assert_int_equal(bench_session(v.gw).id, before.id);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// One group, one NAT, two users: two sessions with an address each.
static void two_users_behind_one_nat(void **state)
{
	struct v1_setup s = {.aggressive = true, .xauth = true, .nat = true};
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	s.user = "user2";
	s.password = "another one";
	bench_nat_add(v.b, "198.51.100.3", "203.0.113.9");
	struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
	assert_true(bench_connect(other, v.gw, "c") > 0);
	assert_true(bench_run_until(v.b, v1_gw_two, &v, 5000));
	bench_run(v.b, 100);
	struct ike_session_info a = bench_session(v.client), b = bench_session(other);
	assert_int_equal(a.inner_count, 1);
	assert_int_equal(b.inner_count, 1);
	assert_false(ip_eq(&a.inner[0], &b.inner[0]));
	assert_int_equal(pool_in_use(v.gw, 0), 2);
	assert_true(v1_traffic(&v));
	assert_int_equal(ike_delete_session(other->engine, b.id), 0);
	bench_run(v.b, 500);
	v1_down(&v);
}

// The same user from elsewhere: what "unique" and "max_sessions" say.
static void same_user_elsewhere(void **state)
{
	static const struct {
		const char *more, *counter;
		uint64_t sessions;
	} cases[] = {
		{"unique = \"replace\";", NULL, 1},
		{"unique = \"keep\";", "ike_kept", 1},
		{"unique = \"no\";", NULL, 2},
		{"unique = \"no\"; max_sessions = 1;", "ike_max_sessions", 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1_setup s = {.aggressive = true, .xauth = true, .gw_more = cases[i].more};
		struct v1 v = v1_new(&s);
		struct ike_status st;
		v1_need_up(&v);
		uint64_t first = bench_session(v.gw).id;
		struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
		v1_hold(v.w, other, IKEV1_EXCHANGE_TRANSACTION);
		assert_true(bench_connect(other, v.gw, "c") > 0);
		bench_run(v.b, 20);
		v1_any_sa(v.gw)->v1->initial_contact = false; // which would end the older one
		v1_release(v.w);
		bench_run(v.b, 5000);
		ike_status(v.gw->engine, &st);
		assert_int_equal(st.sessions, cases[i].sessions);
		assert_int_equal(pool_in_use(v.gw, 0), cases[i].sessions);
		if (cases[i].counter)
			assert_true(bench_counter(v.gw, cases[i].counter) > 0);
		bool stays = cases[i].counter || cases[i].sessions == 2;
		assert_int_equal(bench_session(v.gw).id == first, stays);
		v1_free(&v);
	}
}

// ---- a claim after a restart ---------------------------------------------------------------------

#define CLAIM(address)                                                                         \
	"{ name = \"lan\"; local_ts = [ \"" address "\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"

static struct v1 claim_with(const char *children, bool xauth)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = xauth,
		.client_children = children,
		.gw_credentials =
			xauth ? NULL
			      : "psk = ( { id = \"*\"; secret = \"a secret of them both\"; } );"});
	v.client->cfg->connections[0].request_v4 = false;
	return v;
}

static void restart_claim(void **state)
{
	struct v1 v = claim_with(CLAIM("10.1.0.4"), true);
	v1_need_up(&v);
	struct ike_session_info s = bench_session(v.gw);
	bench_expect(v.gw, "ikev1_reclaimed", 1);
	assert_int_equal(s.inner_count, 1);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_true(bench_traffic(v.client, v.gw, "10.1.0.4", "10.99.0.7"));
	assert_true(bench_traffic(v.gw, v.client, "10.99.0.7", "10.1.0.4"));
	v1_down(&v);
}

static void claim_of_nobody(void **state)
{
	struct v1 v = claim_with(CLAIM("10.1.0.4"), false);
	assert_false(v1_up_within(&v, 3000));
	bench_expect(v.gw, "ikev1_reclaimed", 0);
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	v1_free(&v);
}

// Another one has it, live or lingering: it stays his.
static void claim_of_anothers(void **state)
{
	for (int live = 0; live < 2; live++) {
		struct v1_setup s = {.xauth = true,
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.4\" ]; linger_s = "
				 "60; }"};
		struct v1 v = v1_new(&s);
		v1_need_up(&v);
		char inner[IP_TEXT_MAX];
		assert_true(v1_lease(&v, inner));
		s.user = "user2";
		s.password = "another one";
		char *children;
		assert_true(asprintf(&children,
				    "{ name = \"lan\"; local_ts = [ \"%s\" ]; remote_ts = [ "
				    "\"10.99.0.0/24\" ]; esp_proposals = [ " V1_ESP " ]; }",
				    inner) > 0);
		s.client_children = children;
		struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
		other->cfg->connections[0].request_v4 = false;
		free(children);
		if (!live) {
			assert_int_equal(
				ike_delete_session(v.client->engine, bench_session(v.client).id),
				0);
			bench_run(v.b, 200);
		}
		assert_true(bench_connect(other, v.gw, "c") > 0);
		bench_run(v.b, 2000);
		bench_expect(v.gw, "ikev1_reclaimed", 0);
		assert_int_equal(v1_child_count(other), 0);
		assert_int_equal(pool_in_use(v.gw, 0), live);
		v1_free(&v);
	}
}

// An address that is no pool's is none of this.
static void claim_elsewhere(void **state)
{
	struct v1 v = claim_with(CLAIM("10.8.0.4"), true);
	assert_false(v1_up_within(&v, 3000));
	bench_expect(v.gw, "ikev1_reclaimed", 0);
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reauthentication),
		cmocka_unit_test(reauthentication_from_another_socket),
		cmocka_unit_test(reauthentication_and_the_wrong_delete),
		cmocka_unit_test(expired_session),
		cmocka_unit_test(group_key_takes_over_nothing),
		cmocka_unit_test(initial_contact),
		cmocka_unit_test(initial_contact_waits_for_the_user),
		cmocka_unit_test(two_users_behind_one_nat),
		cmocka_unit_test(same_user_elsewhere),
		cmocka_unit_test(restart_claim),
		cmocka_unit_test(claim_of_nobody),
		cmocka_unit_test(claim_of_anothers),
		cmocka_unit_test(claim_elsewhere),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
