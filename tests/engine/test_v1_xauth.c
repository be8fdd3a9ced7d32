// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// XAUTH, both roles: right, wrong, several rounds, throttled, lost messages, hybrid.
#include "tests/cmocka_all.h"

#include "controlplane/throttle.h"
#include "tests/engine/v1_pair.h"

static struct v1 xauth_with(const char *user, const char *password)
{
	return v1_new(&(struct v1_setup){
		.aggressive = true, .xauth = true, .user = user, .password = password});
}

static void right_password(void **state)
{
	struct v1 v = xauth_with(NULL, NULL);
	v1_need_up(&v);
	struct ike_session_info s = bench_session(v.gw);
	assert_string_equal(s.user, V1_USER);
	assert_string_equal(s.group, "staff");
	assert_string_equal(s.mode_config, "pull");
	assert_int_equal(s.ike_version, 1);
	assert_true(v1_traffic(&v));
	bench_expect(v.gw, "ikev1_xauth_ok", 1);
	// Exactly the status, as TV; the request has no XAUTH_TYPE.
	const struct v1_message *set =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, IKEV1_CFG_XAUTH_STATUS, 1);
	assert_non_null(set);
	assert_int_equal(set->cfg.count, 1);
	assert_true(set->cfg.attrs[0].basic);
	const struct v1_message *rq =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REQUEST, IKEV1_CFG_XAUTH_USER_NAME, 1);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.client, IKEV1_CFG_REPLY, IKEV1_CFG_XAUTH_USER_NAME, 1);
	assert_int_equal(rq->cfg.count, 2);
	assert_int_equal(reply->cfg.identifier, rq->cfg.identifier);
	v1_down(&v);
}

static void user_without_groups_has_the_ids_group(void **state)
{
	struct v1 v = xauth_with("user2", "another one");
	v1_need_up(&v);
	assert_string_equal(bench_session(v.gw).user, "user2");
	assert_string_equal(bench_session(v.gw).group, V1_GROUP);
	v1_down(&v);
}

// Three rounds, then the status "fail" and the end.
static void wrong_password(void **state)
{
	static const struct {
		const char *user, *password;
	} cases[] = {
		{V1_USER, "a passwore"},
		{V1_USER, "a passwor"},
		{V1_USER, "a password "},
		{"user3", V1_PASSWORD},
		{"user2", V1_PASSWORD},
		{"DOMAIN\\\\nobody", V1_PASSWORD},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = xauth_with(cases[i].user, cases[i].password);
		assert_false(v1_up_within(&v, 5000));
		bench_expect(v.gw, "ikev1_xauth_failed", 3);
		assert_int_equal(bench_counter(v.gw, "ikev1_xauth_sent"), 3);
		const struct v1_message *set =
			v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, IKEV1_CFG_XAUTH_STATUS, 1);
		uint32_t value;
		assert_non_null(set);
		assert_true(ikev1_attr_number(&set->cfg.attrs[0], &value));
		assert_int_equal(value, IKEV1_XAUTH_STATUS_FAIL);
		bench_run(v.b, 5000);
		assert_true(v1_are_empty(&v));
		v1_free(&v);
	}
}

static void domain_before_the_user(void **state)
{
	struct v1 v = xauth_with("CORP\\\\" V1_USER, NULL);
	v1_need_up(&v);
	assert_string_equal(bench_session(v.gw).user, V1_USER);
	v1_down(&v);
}

// Row 47 of the catalogue: passwords cannot be sprayed, and all of it is given back.
static void throttled(void **state)
{
	struct v1 v = xauth_with(NULL, "wrong");
	unsigned tries = 0;
	while (bench_counter(v.gw, "ikev1_xauth_throttled") == 0 && tries < 10) {
		v1_connect(&v);
		bench_run(v.b, 1000);
		tries++;
	}
	assert_int_equal(bench_counter(v.gw, "ikev1_xauth_failed"), IKE_THROTTLE_USER);
	bench_run(v.b, 5000);
	assert_true(v1_are_empty(&v));
	// The right password does not help until the window is over.
	struct cfg_connection *c = &v.client->cfg->connections[0];
	secret_fini(&c->local.password);
	assert_int_equal(secret_copy(&c->local.password, V1_PASSWORD, strlen(V1_PASSWORD)), 0);
	uint64_t before = bench_counter(v.gw, "ikev1_xauth_throttled");
	assert_false(v1_up_within(&v, 3000));
	assert_int_equal(bench_counter(v.gw, "ikev1_xauth_throttled"), before + 1);
	bench_run(v.b, IKE_THROTTLE_WINDOW_S * 1000);
	assert_int_equal(ike_throttle_count(v.gw->engine->throttle), 0);
	v1_need_up(&v);
	assert_int_equal(ike_throttle_count(v.gw->engine->throttle), 0);
	v1_down(&v);
}

// A domain in front makes no other name of it, and unknown names are counted as known ones are:
// what is throttled tells nobody who exists.
static void throttled_by_name(void **state)
{
	static const char *const names[] = {V1_USER, "nobody"};
	for (size_t i = 0; i < 2; i++) {
		struct v1 v = xauth_with(NULL, "wrong");
		struct cfg_connection *c = &v.client->cfg->connections[0];
		unsigned tries = 0;
		for (; bench_counter(v.gw, "ikev1_xauth_throttled") == 0 && tries < 8; tries++) {
			free(c->local.user);
			assert_true(asprintf(&c->local.user, "D%u\\%s", tries, names[i]) > 0);
			v1_connect(&v);
			bench_run(v.b, 1000);
		}
		assert_int_equal(tries, IKE_THROTTLE_USER / 3 + 1);
		v1_free(&v);
	}
}

static void client_without_a_user_gives_up(void **state)
{
	struct v1 v = xauth_with("", NULL);
	v1_refused(&v, "ikev1_xauth_refused");
}

// Each message of the login lost once.
static void lost_messages(void **state)
{
	for (unsigned n = 1; n <= 6; n++)
		for (int side = 0; side < 2; side++) {
			struct v1 v = xauth_with(NULL, NULL);
			v1_drop(v.w, side ? v.gw : v.client, IKEV1_EXCHANGE_TRANSACTION, n);
			if (!v1_up_within(&v, 10000)) {
				v1_print(v.w);
				fail_msg("message %u of side %d", n, side);
			}
			assert_true(v1_traffic(&v));
			v1_down(&v);
		}
}

// Every ACK of the status is lost: what the client says next counts as one.
static enum bench_fate lose_acks(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->cfg.type == IKEV1_CFG_ACK ? BENCH_DROP : BENCH_PASS;
}

static void lost_ack(void **state)
{
	static const enum v1_config cases[] = {V1_PULL, V1_NONE};
	for (size_t i = 0; i < 2; i++) {
		struct v1 v = v1_new(
			&(struct v1_setup){.aggressive = true, .xauth = true, .config = cases[i]});
		v1_filter_add(v.w, lose_acks, NULL);
		v1_need_up(&v);
		assert_string_equal(bench_session(v.gw).user, V1_USER);
		v1_down(&v);
	}
}

// A reply that is none: retransmission goes on, the right one is taken.
static void garbage_reply(void **state)
{
	struct v1 v = xauth_with(NULL, NULL);
	v1_drop(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 1);
	v1_connect(&v);
	bench_run(v.b, 200);
	const struct v1_message *rq =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REQUEST, IKEV1_CFG_XAUTH_USER_NAME, 1);
	uint8_t buf[64];
	struct wire_builder b;
	assert_non_null(rq);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_ACK, rq->cfg.identifier);
	wire_close(&b);
	v1_make(v.w, &(struct v1_made){.from = v.client,
			     .sa = v1_any_sa(v.client),
			     .exchange = IKEV1_EXCHANGE_TRANSACTION,
			     .message_id = rq->h.message_id,
			     .payloads = &b});
	bench_run(v.b, 50);
	bench_expect(v.gw, "ikev1_cfg_bad", 1);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 3000));
	v1_down(&v);
}

// What no client sends: each is a wrong password, or the end, and nothing more. Rows 35 and 73.
static void hostile_replies(void **state)
{
	static const uint8_t xs[600] = "";
	static const struct {
		struct {
			uint16_t type;
			const void *bytes;
			size_t len;
		} attrs[3];
		const char *counter;
	} cases[] = {
		{{{0}}, "ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, V1_USER, 5}}, "ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 10}}, "ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, V1_USER, 5}, {IKEV1_CFG_XAUTH_USER_PASSWORD, "", 0}},
			"ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, xs, 600},
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 10}},
			"ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, V1_USER, 5},
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, xs, 600}},
			"ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, "\x30\x82\xff\xff\x31\x0b", 6},
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 10}},
			"ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, "user1\0x", 7},
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 10}},
			"ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_STATUS, "\0\1", 2}}, "ikev1_xauth_failed"},
		{{{IKEV1_CFG_XAUTH_STATUS, "\0\0", 2}, {IKEV1_CFG_XAUTH_USER_NAME, V1_USER, 5},
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 10}},
			"ikev1_xauth_refused"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, "user1", 6}, // racoon's NUL, name and password
			 {IKEV1_CFG_XAUTH_USER_PASSWORD, V1_PASSWORD, 11}},
			"ikev1_xauth_ok"},
		{{{IKEV1_CFG_XAUTH_USER_NAME, V1_USER, 5},
			 {IKEV1_CFG_XAUTH_PASSCODE, V1_PASSWORD, 10}},
			"ikev1_xauth_ok"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = xauth_with(NULL, NULL);
		v1_drop(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 1);
		v1_connect(&v);
		bench_run(v.b, 200);
		const struct v1_message *rq =
			v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REQUEST, IKEV1_CFG_XAUTH_USER_NAME, 1);
		uint8_t buf[2048];
		struct wire_builder b;
		assert_non_null(rq);
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_open_cfg(&b, IKEV1_CFG_REPLY, rq->cfg.identifier);
		for (size_t k = 0; k < 3 && cases[i].attrs[k].type; k++)
			ikev1_put_attr(&b, cases[i].attrs[k].type,
				(struct view){cases[i].attrs[k].bytes, cases[i].attrs[k].len});
		wire_close(&b);
		v1_make(v.w, &(struct v1_made){.from = v.client,
				     .sa = v1_any_sa(v.client),
				     .exchange = IKEV1_EXCHANGE_TRANSACTION,
				     .message_id = rq->h.message_id,
				     .payloads = &b});
		bench_run(v.b, 1);
		assert_int_equal(bench_counter(v.gw, "ikev1_xauth_ok"),
			strcmp(cases[i].counter, "ikev1_xauth_ok") == 0);
		assert_int_equal(bench_counter(v.gw, cases[i].counter), 1);
		v1_free(&v);
	}
}

static void hybrid(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.method = V1_HYBRID});
	v1_need_up(&v);
	assert_string_equal(bench_session(v.gw).user, V1_USER);
	assert_true(v1_traffic(&v));
	v1_down(&v);
	v = v1_new(&(struct v1_setup){.method = V1_HYBRID, .password = "wrong"});
	assert_false(v1_up_within(&v, 3000));
	bench_expect(v.gw, "ikev1_xauth_failed", 3);
	v1_free(&v);
}

static void with_certificates(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.method = V1_RSA, .xauth = true});
	v1_need_up(&v);
	assert_string_equal(bench_session(v.gw).user, V1_USER);
	v1_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_password),
		cmocka_unit_test(user_without_groups_has_the_ids_group),
		cmocka_unit_test(wrong_password),
		cmocka_unit_test(domain_before_the_user),
		cmocka_unit_test(throttled),
		cmocka_unit_test(throttled_by_name),
		cmocka_unit_test(client_without_a_user_gives_up),
		cmocka_unit_test(lost_messages),
		cmocka_unit_test(lost_ack),
		cmocka_unit_test(garbage_reply),
		cmocka_unit_test(hostile_replies),
		cmocka_unit_test(hybrid),
		cmocka_unit_test(with_certificates),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
