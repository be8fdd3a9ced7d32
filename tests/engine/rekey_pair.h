// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What tests of colliding rekeyings share: exchanges begun on both sides at once, single messages that
// are lost, and what must be true when it is over.
#pragma once

#include "tests/engine/pair.h"

static const struct side rekey_defaults;

static inline int rekey_child(struct bench_node *n)
{
	struct ike_session_info s = bench_session(n);
	return ike_rekey_child(n->engine, s.id, s.children[0].spi_in);
}

static inline int rekey_ike(struct bench_node *n)
{
	return ike_rekey_ike(n->engine, bench_session(n).id);
}

static inline int delete_child(struct bench_node *n)
{
	struct ike_session_info s = bench_session(n);
	return ike_delete_child(n->engine, s.id, s.children[0].spi_in);
}

static inline struct pair rekey_pair(
	uint64_t seed, const struct side *gw, const struct side *client)
{
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	struct pair p = pair_on(bench_new_seeded(seed), gw, client);
	p.b->allow_reply_before_install = true; // both sides' exchanges cross
	assert_true(pair_up(&p));
	assert_true(pair_traffic(&p));
	return p;
}

// Messages to lose.
struct loss {
	struct bench_node *from; // NULL: of either
	uint8_t exchange;        // 0: any
	int response;            // 1, 0; -1: either
	unsigned first, count;   // of those that fit, from the first-th on (0: the next) so many
	unsigned seen;
};

#define LOSE_ALL 1000000u

static inline enum bench_fate lose(struct bench *b, struct bench_packet *p, void *arg)
{
	struct loss *l = arg;
	struct ike_header h = bench_header(p);
	if ((l->from && !ip_eq(&p->from.addr, &l->from->addr)) ||
		(l->exchange && h.exchange != l->exchange) ||
		(l->response >= 0 && ike_header_response(&h) != (l->response == 1)))
		return BENCH_PASS;
	unsigned n = l->seen++;
	return n >= l->first && n < l->first + l->count ? BENCH_DROP : BENCH_PASS;
}

// Time passes, and at each step a packet each way finds an SA at both ends.
static inline void run_with_traffic(struct pair *p, unsigned ms, unsigned step)
{
	for (unsigned i = 0; i < ms; i += step) {
		bench_run(p->b, step);
		if (!pair_traffic(p))
			fail_msg("no way for packets %u ms after the start (seed %llu)", i + step,
				(unsigned long long)p->b->seed);
	}
}

// One IKE SA and one child SA on each side, the same, and nothing besides.
static inline void expect_one(struct pair *p)
{
	struct bench_node *nodes[] = {p->gw, p->client};
	struct ike_session_info g = bench_session(p->gw), c = bench_session(p->client);
	for (int i = 0; i < 2; i++) {
		struct bench_sa *sa;
		unsigned in = 0, out = 0;
		assert_int_equal(bench_session_count(nodes[i]), 1);
		assert_int_equal(nodes[i]->engine->sa_count, 1);
		assert_int_equal(nodes[i]->engine->child_count, 1);
		assert_true(bench_quiet(nodes[i]));
		LIST_FOREACH (sa, &nodes[i]->sink.sas, link)
			sa->spec.dir == SA_IN ? in++ : out++;
		assert_int_equal(in, 1);
		assert_int_equal(out, 1);
	}
	assert_int_equal(g.spi_i, c.spi_i);
	assert_int_equal(g.spi_r, c.spi_r);
	assert_int_equal(g.children[0].spi_in, c.children[0].spi_out);
	assert_int_equal(g.children[0].spi_out, c.children[0].spi_in);
	assert_int_equal(g.inner_count, 1);
	assert_true(pair_traffic(p));
}

// Both can still do everything, and the end is clean.
static inline void expect_alive_and_end(struct pair *p)
{
	bench_filters_clear(p->b);
	expect_one(p);
	struct bench_node *nodes[] = {p->gw, p->client};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(rekey_child(nodes[i]), 0);
		run_with_traffic(p, 500, 50);
		assert_int_equal(rekey_ike(nodes[i]), 0);
		run_with_traffic(p, 500, 50);
	}
	bench_run(p->b, IKE_LINGER_S * 1000 + 500);
	expect_one(p);
	pair_down(p);
}
