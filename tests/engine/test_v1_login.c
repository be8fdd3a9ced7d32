// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's login where it has to wait: for AAA, for the address source, for the wire.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"
#include "tests/engine/slow_source.h"
#include "tests/engine/v1_pair.h"

// ---- AAA -------------------------------------------------------------------------------------------

struct fake_aaa {
	enum ike_aaa_status answer;
	uint64_t token;
	unsigned asked;
	char identity[64], user[64];
};

static enum ike_aaa_status aaa_authorize(
	void *ctx, const struct ike_aaa_request *rq, struct ike_aaa_addresses *out)
{
	struct fake_aaa *a = ctx;
	a->asked++;
	a->token = rq->token;
	snprintf(a->identity, sizeof(a->identity), "%s", rq->identity);
	snprintf(a->user, sizeof(a->user), "%s", rq->user ? rq->user : "-");
	return a->answer;
}

static struct v1 with_aaa(const struct v1_setup *s, struct fake_aaa *a)
{
	struct v1 v = v1_new(s);
	v.gw->engine->p.aaa = (struct ike_aaa){.ctx = a, .authorize = aaa_authorize};
	return v;
}

static const struct v1_setup ways[] = {
	{.aggressive = true, .xauth = true},
	{.config = V1_PUSH},
};

static void aaa_accepts_later(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct fake_aaa a = {.answer = IKE_AAA_PENDING};
		struct v1 v = with_aaa(&ways[i], &a);
		v1_connect(&v);
		bench_run(v.b, 1000);
		assert_int_equal(a.asked, 1);
		assert_string_equal(a.user, i ? "-" : V1_USER);
		assert_string_equal(a.identity, i ? "client@example" : V1_GROUP);
		assert_false(bench_established(v.gw));
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		ike_aaa_done(v.gw->engine, a.token, IKE_AAA_ACCEPT, NULL);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

static void aaa_refuses(void **state)
{
	for (int late = 0; late < 2; late++)
		for (size_t i = 0; i < 2; i++) {
			struct fake_aaa a = {.answer = late ? IKE_AAA_PENDING : IKE_AAA_REJECT};
			struct v1 v = with_aaa(&ways[i], &a);
			v1_connect(&v);
			bench_run(v.b, 20000);
			bench_expect(v.gw, late ? "ike_aaa_timeout" : "ike_aaa_rejected", 1);
			assert_int_equal(bench_counter(v.gw, "ike_established"), 0);
			const struct v1_message *set =
				v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, IKEV1_CFG_XAUTH_STATUS, 1);
			assert_int_equal(set != NULL, i == 0);
			if (set)
				assert_memory_equal(set->cfg.attrs[0].value.p, "\0\0", 2);
			assert_true(v1_are_empty(&v));
			v1_free(&v);
		}
}

// Who leaves while the server thinks leaves nothing behind.
static void peer_leaves_while_aaa_thinks(void **state)
{
	struct fake_aaa a = {.answer = IKE_AAA_PENDING};
	struct v1 v = with_aaa(&ways[0], &a);
	v1_connect(&v);
	bench_run(v.b, 500);
	ike_sa_close(v1_any_sa(v.gw), IKE_REASON_CLOSED);
	bench_run(v.b, 20);
	ike_aaa_done(v.gw->engine, a.token, IKE_AAA_ACCEPT, NULL);
	bench_expect(v.gw, "ike_late_result", 1);
	assert_true(bench_empty(v.gw));
	v1_free(&v);
}

// ---- the user --------------------------------------------------------------------------------------

static enum bench_fate mute(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->h.exchange == IKEV1_EXCHANGE_TRANSACTION && m->from == arg ? BENCH_DROP
									     : BENCH_PASS;
}

static size_t largest(const struct v1_watch *w, const struct bench_node *from, uint8_t exchange)
{
	size_t len = 0;
	for (unsigned n = 1; v1_nth(w, from, exchange, n); n++)
		if (v1_nth(w, from, exchange, n)->len > len)
			len = v1_nth(w, from, exchange, n)->len;
	return len;
}

// Who has passed phase 1 and never answers is asked some times, and forgotten when the login's time
// is over: what he is sent is the question, none larger than what he sent himself, and no more comes.
static void nobody_logs_in(void **state)
{
	static const struct v1_setup cases[] = {
		{.xauth = true}, {.aggressive = true, .xauth = true}, {.method = V1_HYBRID}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = v1_new(&cases[i]);
		uint8_t mode =
			cases[i].aggressive ? IKEV1_EXCHANGE_AGGRESSIVE : IKEV1_EXCHANGE_MAIN;
		v1_filter_add(v.w, mute, v.client);
		v1_connect(&v);
		bench_run(v.b, IKEV1_LOGIN_S * 1000 - 100);
		assert_int_equal(v1_any_sa(v.gw)->state, IKE_SA_LOGIN);
		bench_expect(v.gw, "ikev1_login_timeout", 0);
		bench_run(v.b, 1000);
		bench_expect(v.gw, "ikev1_login_timeout", 1);
		assert_true(bench_empty(v.gw));
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		// The question over and over.
		assert_non_null(v1_nth(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 1));
		assert_null(v1_nth(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 2));
		assert_in_range(
			v1_sent(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION), 2, IKEV1_XAUTH_TRIES);
		assert_true(largest(v.w, v.gw, 0) <= largest(v.w, v.gw, mode));
		assert_true(largest(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION) <=
			    largest(v.w, v.client, mode));
		// Aggressive mode's third message has been heard.
		assert_int_equal(v1_sent(v.w, v.client, mode), cases[i].aggressive ? 2 : 3);
		unsigned sent = v1_sent_datagrams(v.w, v.gw);
		bench_run(v.b, 300000);
		assert_int_equal(v1_sent_datagrams(v.w, v.gw), sent);
		assert_true(v1_are_empty(&v));
		v1_free(&v);
	}
}

// ---- addresses -------------------------------------------------------------------------------------

static const enum v1_config directions[] = {V1_PULL, V1_PUSH, V1_BOTH, V1_BOTH_WAIT};

static void slow_addresses(void **state)
{
	for (size_t i = 0; i < 4; i++) {
		struct slow_source s;
		struct v1 v = v1_new(&(struct v1_setup){
			.config = directions[i], .gw_more = "push_delay_ms = 200;"});
		slow_init(&s, v.gw);
		v1_connect(&v);
		bench_run(v.b, 700); // the request is repeated meanwhile
		assert_int_equal(s.asked, 1);
		slow_answer(&s, ADDRESS_OK);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
		assert_int_equal(s.asked, 1);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

// The lease that comes for who has left goes back.
static void late_address(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct slow_source s;
		struct v1 v = v1_new(&(struct v1_setup){.config = directions[i]});
		slow_init(&s, v.gw);
		v1_connect(&v);
		bench_run(v.b, 100);
		assert_int_equal(ike_delete_session(v.gw->engine, bench_session(v.gw).id), 0);
		bench_run(v.b, 20);
		slow_answer(&s, ADDRESS_OK);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		bench_run(v.b, 2000);
		assert_true(v1_are_empty(&v));
		v1_free(&v);
	}
}

static void address_source_silent(void **state)
{
	for (size_t i = 0; i < 2; i++) {
		struct slow_source s;
		struct v1 v = v1_new(&(struct v1_setup){.config = directions[i]});
		slow_init(&s, v.gw);
		v1_connect(&v);
		bench_run(v.b, 8000);
		bench_expect(v.gw, "ike_address_timeout", 1);
		assert_true(v1_are_empty(&v));
		slow_answer(&s, ADDRESS_OK);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		v1_free(&v);
	}
}

// A request while the push still waits for its address: that is its answer, and no other one is drawn.
static void request_while_the_push_waits(void **state)
{
	struct slow_source s;
	struct v1 v =
		v1_new(&(struct v1_setup){.config = V1_BOTH, .gw_more = "push_delay_ms = 100;"});
	slow_init(&s, v.gw);
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
	v1_connect(&v);
	bench_run(v.b, 200);
	assert_int_equal(s.asked, 1);
	uint64_t token = s.rq.token;
	v1_release(v.w);
	bench_run(v.b, 50);
	assert_int_equal(s.asked, 1);
	assert_true(s.rq.token == token);
	slow_answer(&s, ADDRESS_OK);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
	assert_null(v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, 0, 1));
	bench_expect(v.gw, "ikev1_cfg_crossed", 1);
	bench_expect(v.gw, "ike_late_result", 0);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// ---- lifetimes -------------------------------------------------------------------------------------

// RFC 2407 4.6.3.1: who offered more than we give is told; so is a client that waits for one more
// packet behind aggressive mode.
static void responder_lifetime(void **state)
{
	static const struct {
		struct v1_setup setup;
		uint64_t said; // 0: not
	} cases[] = {
		{{.xauth = true}, 0},
		{{.config = V1_PULL}, 0},
		{{.gw_more = "lifetime = { ike_hard_s = 600; };"}, 600},
		{{.xauth = true, .gw_more = "lifetime = { ike_hard_s = 600; };"}, 600},
		{{.client_more = "lifetime = { ike_hard_s = 600; };"}, 0},
		{{.aggressive = true, .gw_more = "lifetime = { ike_hard_s = 600; };"}, 600},
		{{.aggressive = true, .client_more = "lifetime = { ike_hard_s = 600; };"}, 600},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = v1_new(&cases[i].setup);
		struct ikev1_lifetime life;
		v1_need_up(&v);
		const struct v1_message *m =
			v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_RESPONDER_LIFETIME, 1);
		assert_int_equal(m != NULL, cases[i].said != 0);
		if (m) {
			const struct ikev1_notification *n =
				ikev1_notify_find(&m->m, IKEV1_NOTIFY_RESPONDER_LIFETIME);
			assert_true(m->hash_ok);
			assert_int_equal(n->protocol, IKEV1_PROTOCOL_ISAKMP);
			assert_int_equal(n->spi.len, 16);
			assert_true(ikev1_lifetime_parse(n->data, true, &life));
			assert_int_equal(life.seconds, cases[i].said);
		}
		v1_down(&v);
	}
}

// ---- the wire --------------------------------------------------------------------------------------

// Whatever is lost, doubled and overtaken: up in the end, or nothing is left.
static void bad_wire(void **state)
{
	static const struct v1_setup cases[] = {
		{.aggressive = true, .xauth = true},
		{.xauth = true, .config = V1_PUSH},
		{.xauth = true, .config = V1_PUSH, .before_status = true},
		{.xauth = true, .config = V1_BOTH},
		{.config = V1_BOTH_WAIT},
		{.method = V1_PSK, .config = V1_PULL},
	};
	unsigned up = 0, all = 0;
	for (uint64_t seed = 1; seed <= 20; seed++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++, all++) {
			struct v1 v = v1_new(&cases[i]);
			v.b->random = seed * 7919 + i;
			bench_lossy(v.b, 20, 10, 10);
			up += v1_up_within(&v, 40000);
			bench_lossy(v.b, 0, 0, 0);
			struct ike_session_info info;
			for (uint64_t id = 0; ike_session_next(v.client->engine, id, &info);
				id = info.id)
				assert_int_equal(ike_delete_session(v.client->engine, info.id), 0);
			bench_run(v.b, 200000);
			assert_true(v1_are_empty(&v));
			if (v.gw->cfg->pool_count)
				assert_int_equal(pool_in_use(v.gw, 0), 0);
			v1_free(&v);
		}
	// Nothing repeats a quick mode's third message when it is lost thrice; nearly all come up.
	assert_true(up * 10 >= all * 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(aaa_accepts_later),
		cmocka_unit_test(aaa_refuses),
		cmocka_unit_test(peer_leaves_while_aaa_thinks),
		cmocka_unit_test(nobody_logs_in),
		cmocka_unit_test(slow_addresses),
		cmocka_unit_test(late_address),
		cmocka_unit_test(address_source_silent),
		cmocka_unit_test(request_while_the_push_waits),
		cmocka_unit_test(responder_lifetime),
		cmocka_unit_test(bad_wire),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
