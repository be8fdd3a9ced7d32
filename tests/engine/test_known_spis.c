// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which of our SPIs the data plane is told: whose messages pass a flood of new and forged ones.
#include "controlplane/exchange.h"
#include "controlplane/session.h"
#include "tests/engine/pair.h"

static const struct side plain;

static size_t known(const struct bench_node *n)
{
	return n->sink.ike_spis.count;
}

static struct ike_sa *sa_of(struct bench_node *n)
{
	return bench_sa_of(n, bench_session(n).id);
}

static enum bench_fate no_auth(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_IKE_AUTH ? BENCH_DROP : BENCH_PASS;
}

// Whoever calls is known at once, who is called only when the caller has proved who it is.
static void half_open(void **state)
{
	struct pair p = pair_new(&plain, &plain);
	struct ike_status st;
	bench_filter_add(p.b, no_auth, NULL);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 1000);
	ike_status(p.gw->engine, &st);
	assert_int_equal(st.half_open, 1);
	assert_int_equal(known(p.gw), 0);
	assert_int_equal(known(p.client), 1);
	bench_filters_clear(p.b);
	assert_true(bench_run_until(p.b, bench_established, p.client, 60000));
	assert_int_equal(known(p.gw), 1);
	assert_true(bench_sink_knows(&p.gw->sink, sa_of(p.gw)->spi_r));
	assert_true(bench_sink_knows(&p.client->sink, sa_of(p.client)->spi_i));
	pair_down(&p);
}

static void never_established(void **state)
{
	struct pair p = pair_new(&plain, &plain);
	bench_filter_add(p.b, no_auth, NULL);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 1000 * 1000);
	assert_int_equal(known(p.gw), 0);
	assert_int_equal(known(p.client), 0);
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// The successor is known, and its predecessor until it has ended for good.
static void rekeyed(void **state)
{
	struct bench_node *by[2];
	for (unsigned i = 0; i < 2; i++) {
		struct pair p = pair_new(&plain, &plain);
		assert_true(pair_up(&p));
		by[0] = p.gw;
		by[1] = p.client;
		struct ike_sa *old = sa_of(p.gw);
		uint64_t old_spi = ike_sa_our_spi(old);
		assert_true(bench_sink_knows(&p.gw->sink, old_spi));
		assert_int_equal(ikev2_rekey_ike(sa_of(by[i])), 0);
		bench_run(p.b, 1000);
		struct ike_sa *fresh = sa_of(p.gw);
		assert_true(bench_sink_knows(&p.gw->sink, ike_sa_our_spi(fresh)));
		assert_true(ike_sa_our_spi(fresh) != old_spi);
		bench_run(p.b, 120 * 1000);
		assert_false(bench_sink_knows(&p.gw->sink, old_spi));
		assert_int_equal(known(p.gw), 1);
		assert_int_equal(known(p.client), 1);
		pair_down(&p);
	}
}

// An IKE SA that the peer has ended repeats its answer for a while, and is known as long.
static void ended(void **state)
{
	struct pair p = pair_new(&plain, &plain);
	assert_true(pair_up(&p));
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 500);
	assert_true(bench_empty(p.gw));
	assert_int_equal(known(p.gw), 1);
	bench_run(p.b, IKE_REPEAT_NS / NS_PER_MS);
	assert_int_equal(known(p.gw), 0);
	assert_int_equal(known(p.client), 0);
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(half_open),
		cmocka_unit_test(never_established),
		cmocka_unit_test(rekeyed),
		cmocka_unit_test(ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
