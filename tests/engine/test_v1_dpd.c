// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Dead peer detection of IKEv1 (RFC 3706): questions answered, unanswered, repeated and forged.
#include "tests/engine/v1_say.h"

#include <errno.h>

#define DPD "dpd: { delay_s = 10; timeout_s = 30; };"

static uint32_t sequence_of(const struct v1_message *m)
{
	uint32_t n = 0;
	assert_non_null(m);
	struct rd r = rd_view(m->m.notifies[0].data);
	assert_true(rd_u32(&r, &n) && rd_empty(&r));
	return n;
}

static void idle_peers_ask(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	struct v1_ready r = v1_ready_child(&v);
	bench_run(v.b, 35000);
	uint64_t asked = bench_counter(v.gw, "ike_probe_sent");
	assert_in_range(asked, 2, 4);
	bench_expect(v.client, "ikev1_dpd_answered", asked);
	bench_expect(v.gw, "ikev1_dpd_bad", 0);
	assert_false(r.gw->v1->dpd.waiting);
	// RFC 3706: one more each time.
	const struct v1_message *one = v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_R_U_THERE, 1);
	const struct v1_message *two = v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_R_U_THERE, 2);
	assert_int_equal(sequence_of(two), sequence_of(one) + 1);
	assert_int_equal(sequence_of(v1_nth_notify(v.w, v.client, IKEV1_NOTIFY_R_U_THERE_ACK, 1)),
		sequence_of(one));
	assert_true(one->hash_ok);
	assert_int_equal(one->m.notifies[0].spi.len, 16);
	assert_int_equal(one->m.notifies[0].protocol, IKEV1_PROTOCOL_ISAKMP);
	v1_down(&v);
}

static void traffic_is_life(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	v1_ready_child(&v);
	for (int i = 0; i < 12; i++) {
		bench_run(v.b, 5000);
		assert_true(v1_traffic(&v));
	}
	bench_expect(v.gw, "ike_probe_sent", 0);
	v1_down(&v);
}

static void dead_peer(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.gw_more = DPD});
	struct v1_ready r = v1_ready_child(&v);
	v.client->deaf = true;
	bench_run(v.b, 12000);
	bench_expect(v.gw, "ike_probe_sent", 1);
	bench_run(v.b, 16000);
	assert_int_equal(bench_session_count(v.gw), 1);
	assert_true(r.gw->v1->dpd.waiting);
	// The same question, again and again.
	uint32_t first = sequence_of(v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_R_U_THERE, 1));
	unsigned asked = 1;
	for (; v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_R_U_THERE, asked + 1); asked++)
		assert_int_equal(
			sequence_of(v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_R_U_THERE, asked + 1)),
			first);
	assert_in_range(asked, 5, 9);
	bench_run(v.b, 5000);
	bench_expect(v.gw, "ike_peer_dead", 1);
	assert_true(bench_empty(v.gw));
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	v.client->deaf = false;
	ike_enter(v.client->engine);
	ike_sa_close(r.client, IKE_REASON_CLOSED);
	ike_leave(v.client->engine);
	bench_run(v.b, 10);
	v1_free(&v);
}

static void an_answer_is_lost(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	struct v1_ready r = v1_ready_child(&v);
	v1_drop(v.w, v.client, IKEV1_EXCHANGE_INFORMATIONAL, 1);
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), 0);
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), -EBUSY);
	bench_run(v.b, 100);
	assert_true(r.gw->v1->dpd.waiting);
	bench_run(v.b, 1000);
	assert_false(r.gw->v1->dpd.waiting);
	bench_expect(v.gw, "ike_retransmitted", 1);
	bench_expect(v.client, "ikev1_dpd_answered", 2);
	v1_down(&v);
}

// A peer that sends ESP lives, whatever becomes of its answers.
static enum bench_fate lose_informational(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->h.exchange == IKEV1_EXCHANGE_INFORMATIONAL && m->from == arg ? BENCH_DROP
									       : BENCH_PASS;
}

static void traffic_answers(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	struct v1_ready r = v1_ready_child(&v);
	v1_filter_add(v.w, lose_informational, v.client);
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), 0);
	bench_run(v.b, 6000);
	assert_true(v1_traffic(&v));
	bench_run(v.b, 7000);
	assert_false(r.gw->v1->dpd.waiting);
	bench_expect(v.gw, "ike_peer_dead", 0);
	v1_filters_clear(v.w);
	v1_down(&v);
}

static void who_announced_nothing_is_not_asked(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	struct v1_ready r = v1_ready_child(&v);
	r.gw->v1->peer_dpd = false;
	bench_run(v.b, 100000);
	bench_expect(v.gw, "ike_probe_sent", 0);
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), -ENOTSUP);
	assert_int_equal(bench_session_count(v.gw), 1);
	v1_down(&v);
}

static void forged(void **state)
{
	static const struct {
		const char *what;
		uint16_t type;
		uint8_t data[8];
		size_t len;
		bool other_cookies, answered;
	} rows[] = {
		{"question", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 0}, 4, false, true},
		{"the next", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 1}, 4, false, true},
		{"the same again", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 1}, 4, false, true},
		{"older", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 0}, 4, false, false},
		{"far ahead", IKEV1_NOTIFY_R_U_THERE, {0, 9, 4, 2}, 4, false, false},
		{"short", IKEV1_NOTIFY_R_U_THERE, {0, 4, 2}, 3, false, false},
		{"long", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 2, 0}, 5, false, false},
		{"empty", IKEV1_NOTIFY_R_U_THERE, {0}, 0, false, false},
		{"of another ISAKMP SA", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 2}, 4, true, false},
		{"an answer to nothing", IKEV1_NOTIFY_R_U_THERE_ACK, {0, 0, 4, 2}, 4, false, false},
		{"after some were lost", IKEV1_NOTIFY_R_U_THERE, {0, 0, 4, 9}, 4, false, true},
	};
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	unsigned answered = 0, bad = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		uint8_t cookies[16];
		struct view spi = ikev1_cookies(r.client, cookies);
		print_message("# %s\n", rows[i].what);
		cookies[15] ^= rows[i].other_cookies;
		ikev1_put_notify(&s->b, &(struct ikev1_notification){.doi = IKEV1_DOI_IPSEC,
						.protocol = IKEV1_PROTOCOL_ISAKMP,
						.type = rows[i].type,
						.spi = spi,
						.data = {rows[i].data, rows[i].len}});
		v1_say(s);
		answered += rows[i].answered;
		bad += !rows[i].answered;
		bench_expect(v.gw, "ikev1_dpd_answered", answered);
		bench_expect(v.gw, "ikev1_dpd_bad", bad);
	}
	v1_down(&v);
}

// An answer with another number does not count.
static void wrong_answer(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.gw_more = DPD, .client_more = "dpd: { delay_s = 0; };"});
	struct v1_ready r = v1_ready_child(&v);
	uint8_t data[4];
	v1_filter_add(v.w, lose_informational, v.gw);
	assert_int_equal(ike_probe(v.gw->engine, r.gw_session->id), 0);
	for (int off = 1; off >= 0; off--) {
		struct wr w = wr_of(data, sizeof(data));
		wr_u32(&w, r.gw->v1->dpd.sent + (uint32_t)off);
		struct v1_say *s = v1_say_begin(&v, v.client, r.client);
		v1_say_notify(s, IKEV1_NOTIFY_R_U_THERE_ACK, data, 4);
		v1_say(s);
		assert_int_equal(r.gw->v1->dpd.waiting, off);
	}
	bench_expect(v.gw, "ikev1_dpd_bad", 1);
	v1_filters_clear(v.w);
	v1_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(idle_peers_ask),
		cmocka_unit_test(traffic_is_life),
		cmocka_unit_test(dead_peer),
		cmocka_unit_test(an_answer_is_lost),
		cmocka_unit_test(traffic_answers),
		cmocka_unit_test(who_announced_nothing_is_not_asked),
		cmocka_unit_test(forged),
		cmocka_unit_test(wrong_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
