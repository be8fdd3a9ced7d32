// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Sessions that give way to a younger one, more of them than a login looks at: none of them is back when
// the younger one has given way itself, and INITIAL_CONTACT meets each.
#include "controlplane/succession.h"
#include "tests/engine/pair.h"

#define MANY 20 // above IKE_OWNER_LOOK

static const struct side defaults;

static void set_unique(struct pair *p, enum cfg_unique unique)
{
	p->gw->cfg->connections[0].unique = unique;
}

static struct pair begin(enum cfg_unique unique)
{
	struct pair p = pair_new(&defaults, &defaults);
	set_unique(&p, unique);
	return p;
}

// The same owner at another place.
static struct bench_node *another(struct pair *p, const char *addr)
{
	struct bench_node *n = side_add(p->b, addr, addr, &defaults, false);
	n->cfg->connections[0].request_v4 = true;
	return n;
}

static uint64_t connect(struct pair *p, struct bench_node *from)
{
	uint64_t id = bench_connect(from, p->gw, "c");
	assert_true(id > 0);
	bench_run(p->b, 100);
	return id;
}

static void many(struct pair *p)
{
	set_unique(p, CFG_UNIQUE_NO);
	for (int i = 0; i < MANY; i++)
		(void)connect(p, p->client);
	assert_int_equal(bench_session_count(p->gw), MANY);
	set_unique(p, CFG_UNIQUE_REPLACE);
}

static enum bench_fate no_informational(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_header h = bench_header(p);
	return h.exchange == IKEV2_EXCHANGE_INFORMATIONAL ? BENCH_DROP : BENCH_PASS;
}

// The heir of all has an heir of its own, who has met some of them. It goes, and they stay given up.
static void an_heir_hands_on(void **state)
{
	struct pair p = begin(CFG_UNIQUE_NO);
	many(&p);
	uint64_t first = connect(&p, p.client);
	(void)connect(&p, p.client);
	assert_int_equal(ike_delete_session(p.client->engine, first), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_revived", 0);
	bench_run(p.b, (IKE_REAUTH_GRACE_S + 1) * 1000);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_int_equal(bench_session(p.gw).id, MANY + 2);
	assert_true(pair_traffic(&p));
	bench_free(p.b);
}

// Both heirs go within the grace: what was given up for them is back, as far as it was handed on.
static void both_heirs_go(void **state)
{
	struct pair p = begin(CFG_UNIQUE_REPLACE);
	uint64_t eldest = connect(&p, p.client);
	uint64_t first = connect(&p, p.client), second = connect(&p, p.client);
	assert_int_equal(ike_delete_session(p.client->engine, first), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_revived", 0);
	assert_int_equal(ike_delete_session(p.client->engine, second), 0);
	bench_run(p.b, (2 * IKE_REAUTH_GRACE_S) * 1000);
	bench_expect(p.gw, "ike_revived", 1);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_int_equal(bench_session(p.client).id, eldest);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// One that closes has others that gave way to it; its end must not hide those behind it in the list.
static void initial_contact_meets_each(void **state)
{
	struct pair p = begin(CFG_UNIQUE_NO);
	struct bench_node *fresh = another(&p, "198.51.100.7");
	struct bench_node *elsewhere = another(&p, "198.51.100.8");
	(void)connect(&p, p.client);
	(void)connect(&p, elsewhere);
	assert_int_equal(bench_session_count(p.gw), 2);
	bench_filter_add(p.b, no_informational, NULL);
	struct ike_clearing last = {.what = IKE_CLEAR_ID, .id = 2};
	assert_int_equal(ike_clear(p.gw->engine, &last), 1);
	set_unique(&p, CFG_UNIQUE_KEEP);
	(void)connect(&p, p.client); // in place of the first one
	last = (struct ike_clearing){.what = IKE_CLEAR_ID, .id = 3};
	assert_int_equal(ike_clear(p.gw->engine, &last), 1);
	assert_int_equal(bench_session_count(p.gw), 3);
	uint64_t id = connect(&p, fresh);
	bench_expect(p.gw, "ike_initial_contact", 3);
	bench_expect(p.gw, "ike_revived", 0);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	assert_int_equal(bench_session(fresh).id, id);
	bench_free(p.b);
}

static struct ike_session *session_of(struct pair *p, uint64_t id)
{
	struct ike_session *s = ike_session_by_id(p->gw->engine, id);
	assert_non_null(s);
	return s;
}

static enum bench_fate none_of(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct ike_session *s = arg;
	return bench_header(p).spi_i == s->spi_i ? BENCH_DROP : BENCH_PASS;
}

// The operator ends both, and the younger one's peer answers first: the older one goes on ending.
static void cleared_for_good(void **state)
{
	struct pair p = begin(CFG_UNIQUE_REPLACE);
	(void)connect(&p, p.client);
	(void)connect(&p, p.client);
	bench_filter_add(p.b, none_of, session_of(&p, 1));
	struct ike_clearing all = {.what = IKE_CLEAR_ALL};
	assert_int_equal(ike_clear(p.gw->engine, &all), 2);
	bench_run(p.b, 100);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_true(session_of(&p, 1)->closing);
	bench_expect(p.gw, "ike_revived", 0);
	bench_free(p.b);
}

// Where the way of the heirs is a ring, its end does not make a smaller one of it: one of them is free.
static void a_ring_of_heirs(void **state)
{
	struct pair p = begin(CFG_UNIQUE_NO);
	struct bench_node *second = another(&p, "198.51.100.7");
	struct bench_node *third = another(&p, "198.51.100.8");
	(void)connect(&p, p.client);
	(void)connect(&p, second);
	uint64_t last = connect(&p, third);
	for (uint64_t id = 1; id <= 3; id++)
		ike_session_give_way(session_of(&p, id), session_of(&p, id % 3 + 1));
	assert_int_equal(ike_delete_session(third->engine, last), 0);
	bench_run(p.b, 100);
	assert_int_equal(session_of(&p, 1)->successor, 2);
	assert_int_equal(session_of(&p, 2)->successor, 0);
	bench_free(p.b);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(an_heir_hands_on),
		T(both_heirs_go),
		T(initial_contact_meets_each),
		T(cleared_for_good),
		T(a_ring_of_heirs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
