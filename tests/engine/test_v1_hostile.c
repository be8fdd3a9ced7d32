// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1: what a peer says wrongly before it falls silent, and what an old message can still do.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"
#include "tests/engine/v1_say.h"

static enum bench_fate lose_config(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	struct v1 *v = arg;
	bool config =
		m->cfg.type == IKEV1_CFG_SET && ikev1_cfg_find(&m->cfg, IKEV1_CFG_IP4_ADDRESS);
	return m->from == v->gw && config ? BENCH_DROP : BENCH_PASS;
}

static void answer_nonsense(struct v1 *v)
{
	const struct v1_message *set =
		v1_nth_cfg(v->w, v->gw, IKEV1_CFG_SET, IKEV1_CFG_IP4_ADDRESS, 1);
	uint8_t buf[64];
	struct wire_builder b;
	assert_non_null(set);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REPLY, set->cfg.identifier);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){NULL, 0});
	wire_close(&b);
	v1_make(v->w, &(struct v1_made){.from = v->client,
			      .sa = v1_any_sa(v->client),
			      .exchange = IKEV1_EXCHANGE_TRANSACTION,
			      .message_id = set->h.message_id,
			      .payloads = &b});
	bench_run(v->b, 50);
}

// A peer that answers garbage, and then nothing, goes on as one that never answers.
static void nonsense_then_silence(void **state)
{
	for (int before = 0; before < 2; before++) {
		struct v1 v = v1_new(&(struct v1_setup){.config = V1_PUSH,
			.xauth = before,
			.before_status = before,
			.gw_more = before ? NULL : "address_required = true;"});
		v1_filter_add(v.w, lose_config, &v);
		v1_connect(&v);
		bench_run(v.b, 300);
		answer_nonsense(&v);
		bench_expect(v.gw, "ikev1_cfg_bad", 1);
		bench_run(v.b, 5000);
		bench_expect(v.gw, "ikev1_cfg_silent", 1);
		assert_int_equal(bench_established(v.gw), before);
		v1_free(&v);
	}
}

struct kept {
	uint8_t bytes[2048];
	size_t len;
	struct endpoint from, to;
};

static enum bench_fate keep_quick(struct bench *b, struct bench_packet *p, void *arg)
{
	struct kept *k = arg;
	struct ike_header h = bench_header(p);
	if (h.exchange == IKEV1_EXCHANGE_QUICK && !k->len) {
		memcpy(k->bytes, p->bytes, p->len);
		k->len = p->len;
		k->from = p->from;
		k->to = p->to;
	}
	return BENCH_PASS;
}

// The client makes a new child SA in place of its one, and deletes that.
static void rekey_and_delete(struct v1 *v)
{
	struct ike_session *s = v1_sa(v->client)->session;
	uint32_t old = LIST_FIRST(&s->children)->spi_in;
	assert_int_equal(ike_rekey_child(v->client->engine, s->id, old), 0);
	bench_run(v->b, 300);
	assert_int_equal(ike_delete_child(v->client->engine, s->id, old), 0);
	bench_run(v->b, 300);
}

// An old first message of quick mode makes a child SA that nobody confirms: traffic never goes there,
// also where the child SA that it would replace is deleted meanwhile.
static void old_quick_mode(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct kept *k = calloc(1, sizeof(*k));
	bench_filter_add(v.b, keep_quick, k);
	v1_need_up(&v);
	assert_true(k->len > 0);
	rekey_and_delete(&v);
	// INFORMATIONAL messages do not make it forgotten, others do.
	for (int i = 1; i <= IKEV1_SEEN_MAX + 4; i++) {
		uint8_t sequence[4] = {0, 0, 1, (uint8_t)i};
		struct v1_say *s = v1_say_begin(&v, v.client, v1_sa(v.client));
		v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE, sequence, 4);
		v1_say(s);
	}
	assert_int_equal(v1_child_count(v.gw), 1);
	bench_inject(v.b, &k->from, &k->to, k->bytes, k->len);
	bench_run(v.b, 100);
	assert_int_equal(v1_child_count(v.gw), 1);
	for (int i = 1; i <= IKEV1_SEEN_MAX + 4; i++) {
		struct v1_say *s = v1_say_begin(&v, v.client, v1_sa(v.client));
		ikev1_open_cfg(&s->b, IKEV1_CFG_REQUEST, (uint16_t)i);
		ikev1_put_attr(&s->b, IKEV1_CFG_APPLICATION_VERSION, (struct view){NULL, 0});
		wire_close(&s->b);
		v1_say_as(s, &(struct v1_made){.exchange = IKEV1_EXCHANGE_TRANSACTION});
	}
	bench_inject(v.b, &k->from, &k->to, k->bytes, k->len);
	bench_run(v.b, 100);
	assert_int_equal(v1_child_count(v.gw), 2);
	assert_true(v1_traffic(&v));
	rekey_and_delete(&v);
	assert_true(v1_traffic(&v));
	free(k);
	v1_free(&v);
}

static enum bench_fate lose_third(struct bench *b, struct bench_packet *p, void *arg)
{
	unsigned *seen = arg;
	struct ike_header h = bench_header(p);
	if (h.exchange != IKEV1_EXCHANGE_QUICK || p->to.addr.bytes[0] != 192)
		return BENCH_PASS;
	return ++*seen > 1 ? BENCH_DROP : BENCH_PASS;
}

// The third message of a rekeying is lost, and the peer deletes the old child SA: that is gone for
// good, and no timer of it is left.
static void third_lost_and_old_deleted(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	unsigned seen = 0;
	v1_need_up(&v);
	bench_run(v.b, 1000);
	bench_filter_add(v.b, lose_third, &seen);
	rekey_and_delete(&v);
	assert_true(seen > 1);
	bench_filters_clear(v.b);
	bench_run(v.b, 120000);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// Aggressive mode's second message with certificates is what needs fragments most.
static void fragmented_second_message(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.aggressive = true, .method = V1_RSA, .gw_more = "fragment_size = 576;"});
	bool is_up = v1_up_within(&v, 5000);
	assert_true(is_up);
	v1_free(&v);
}

// It was on its way while another client of the same owner came: that one lives on.
static void late_initial_contact(void **state)
{
	struct v1_setup setup = {.gw_more = "unique = \"replace\";"};
	struct v1 v = v1_new(&setup), o = v;
	struct v1_ready first = v1_ready_child(&v);
	bench_run(v.b, 1000);
	o.client = v1_add_client(v.b, "other", "198.51.100.9", &setup);
	struct v1_ready other = v1_ready_child(&o);
	struct v1_say *s = v1_say_begin(&v, v.client, first.client);
	v1_say_notify(s, IKEV1_NOTIFY_INITIAL_CONTACT, NULL, 0);
	v1_say(s);
	bench_expect(v.gw, "ike_initial_contact", 0);
	assert_int_equal(bench_session_count(v.gw), 2);
	assert_int_equal(ike_delete_session(o.client->engine, other.client_session->id), 0);
	assert_int_equal(ike_delete_session(v.client->engine, first.client_session->id), 0);
	bench_run(v.b, 100);
	assert_int_equal(bench_session_count(v.gw), 0);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonsense_then_silence),
		cmocka_unit_test(old_quick_mode),
		cmocka_unit_test(third_lost_and_old_deleted),
		cmocka_unit_test(late_initial_contact),
		cmocka_unit_test_setup_teardown(fragmented_second_message, pki_setup, pki_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
