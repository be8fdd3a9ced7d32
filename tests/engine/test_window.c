// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Message ids, the window of 1, repeated requests, retransmission (RFC 7296 2.1 to 2.3).
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

// An INFORMATIONAL request with one vendor payload, from the client's side, by hand.
static void request_by_hand(struct bench_pair *p, uint32_t message_id, const char *text)
{
	uint8_t buf[512];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_vendor(&b, (struct view){(const uint8_t *)text, strlen(text)});
	bench_send_sealed(
		p->client, p->client_sa, IKEV2_EXCHANGE_INFORMATIONAL, message_id, false, &b);
	bench_run(p->b, 50);
}

static void repeat_gets_the_same_answer(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct bench_packet first;
	bench_pair_up(&p);
	bench_keep(p.b, 1);
	request_by_hand(&p, p.gw_sa->next_in, "one");
	first = *p.b->last;
	uint64_t sent = p.gw->sent;
	bench_replay(p.b);
	bench_run(p.b, 50);
	assert_int_equal(p.gw->sent, sent + 1);
	bench_expect(p.gw, "ike_repeated_request", 1);
	assert_int_equal(p.b->last->len, first.len);
	assert_memory_equal(p.b->last->bytes, first.bytes, first.len);
	bench_free(p.b);
}

static void old_id_with_other_bytes(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	uint32_t id = p.gw_sa->next_in;
	request_by_hand(&p, id, "one");
	uint64_t sent = p.gw->sent;
	request_by_hand(&p, id, "two");
	bench_expect(p.gw, "ike_repeat_differs", 1);
	request_by_hand(&p, id - 1, "older");
	bench_expect(p.gw, "ike_message_id_old", 1);
	assert_int_equal(p.gw->sent, sent);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

static void ids_ahead(void **state)
{
	static const uint32_t ahead[] = {1, 2, 100, 0x7fffffff, 0xffffff00};
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	uint64_t sent = p.gw->sent;
	for (size_t i = 0; i < 5; i++)
		request_by_hand(&p, p.gw_sa->next_in + ahead[i], "early");
	bench_expect(p.gw, "ike_message_id_ahead", 5);
	assert_int_equal(p.gw->sent, sent);
	request_by_hand(&p, p.gw_sa->next_in, "in time");
	assert_int_equal(p.gw->sent, sent + 1);
	bench_free(p.b);
}

static enum bench_fate drop_from(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct bench_node *n = arg;
	return ip_eq(&p->from.addr, &n->addr) ? BENCH_DROP : BENCH_PASS;
}

// Own requests are repeated with growing pauses, seven times in all, and then the peer is dead.
static void backoff(void **state)
{
	static const uint64_t after_ms[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	bench_filter_add(p.b, drop_from, p.gw);
	uint64_t sent = p.client->sent, start = bench_now_ms(p.b);
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	for (unsigned i = 0; i < 7; i++) {
		bench_run(p.b, start + after_ms[i] + 10 - bench_now_ms(p.b));
		assert_int_equal(p.client->sent, sent + i + 1);
		bench_run(p.b, 400);
		assert_int_equal(p.client->sent, sent + i + 1);
	}
	assert_false(bench_empty(p.client));
	bench_run(p.b, start + 63600 - bench_now_ms(p.b));
	assert_int_equal(p.client->sent, sent + 7);
	bench_expect(p.client, "ike_peer_dead", 1);
	bench_expect(p.client, "ike_retransmitted", 6);
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// A responder sends one datagram for each that it gets, and nothing by itself.
static void responder_is_silent(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_connect(p.client, p.gw, "home");
	p.client->deaf = true;
	bench_run(p.b, 100);
	uint64_t sent = p.gw->sent;
	assert_int_equal(sent, 1);
	bench_kill(p.client);
	bench_run(p.b, 29000);
	assert_int_equal(p.gw->sent, sent);
	bench_start(p.client);
	bench_free(p.b);
}

static void answers_to_nothing(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct wire_builder b;
	uint8_t buf[16];
	bench_pair_up(&p);
	wire_build_begin(&b, buf, sizeof(buf));
	bench_send_sealed(
		p.client, p.client_sa, IKEV2_EXCHANGE_INFORMATIONAL, p.gw_sa->next_out, true, &b);
	bench_run(p.b, 50);
	bench_expect(p.gw, "ike_repeated_response", 1);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

// The response to our request must be of its exchange.
static void answer_of_another_exchange(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct wire_builder b;
	uint8_t buf[16];
	bench_pair_up(&p);
	p.client->deaf = true;
	uint32_t id = p.gw_sa->next_out;
	assert_int_equal(ike_probe(p.gw->engine, bench_session(p.gw).id), 0);
	wire_build_begin(&b, buf, sizeof(buf));
	bench_send_sealed(p.client, p.client_sa, IKEV2_EXCHANGE_CREATE_CHILD_SA, id, true, &b);
	bench_run(p.b, 50);
	bench_expect(p.gw, "ike_response_exchange", 1);
	p.client->deaf = false;
	assert_true(bench_run_until(p.b, bench_quiet, p.gw, 3000));
	bench_free(p.b);
}

// Everything twice, late and out of order: still one IKE SA, one child, one answer a request.
static void everything_twice(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_lossy(p.b, 0, 100, 50);
	p.gw->job_delay_ns = 30 * NS_PER_MS;
	bench_pair_up(&p);
	assert_int_equal(ike_rekey_child(p.client->engine, bench_session(p.client).id,
				 bench_session(p.client).children[0].spi_in),
		0);
	assert_true(bench_run_until(p.b, bench_quiet, p.client, 20000));
	bench_run(p.b, 3000);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	assert_int_equal(p.gw->sink.adds, 4);
	assert_true(bench_counter(p.gw, "ike_repeated_request") +
			    bench_counter(p.gw, "ike_repeated_pending") >=
		    2);
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(repeat_gets_the_same_answer),
		cmocka_unit_test(old_id_with_other_bytes),
		cmocka_unit_test(ids_ahead),
		cmocka_unit_test(backoff),
		cmocka_unit_test(responder_is_silent),
		cmocka_unit_test(answers_to_nothing),
		cmocka_unit_test(answer_of_another_exchange),
		cmocka_unit_test(everything_twice),
	};
	return cmocka_run_group_tests_name("engine_window", tests, NULL, NULL);
}
