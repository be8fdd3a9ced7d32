// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Many sessions that end at once: every peer is told, and the DELETEs leave some at a time.
#include "tests/engine/pair.h"

#define SESSIONS    5000
#define AT_ONCE_MAX 64 // datagrams of the gateway at one time
#define INJECT_RING 512

struct watch {
	uint64_t now_ns;
	unsigned at_once, most, deletes;
	bool cut; // nothing arrives at the clients any more
};

static enum bench_fate count_deletes(struct bench *b, struct bench_packet *p, void *arg)
{
	struct watch *w = arg;
	struct ike_header h = bench_header(p);
	bool from_gw = p->from.port == 500 && ip_eq(&p->from.addr, &b->nodes[0]->addr);
	if (!from_gw)
		return BENCH_PASS;
	if (h.exchange == IKEV2_EXCHANGE_INFORMATIONAL && !ike_header_response(&h)) {
		w->deletes++;
		w->at_once = w->now_ns == b->now_ns ? w->at_once + 1 : 1;
		w->now_ns = b->now_ns;
		w->most = w->at_once > w->most ? w->at_once : w->most;
	}
	return w->cut ? BENCH_DROP : BENCH_PASS;
}

static struct pair crowd(unsigned sessions, struct watch *w)
{
	struct side gw = {.credentials = PSK_GROUP,
		.pools = "{ name = \"p4\"; ranges = [ \"10.64.0.0/16\" ]; }"};
	struct side c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	p.gw->cfg->connections[0].dpd.delay_s = 0;
	p.client->cfg->connections[0].dpd.delay_s = 0;
	p.b->allow_reply_before_install = true; // whose check costs a walk over all SAs
	for (unsigned i = 0; i < sessions; i++) {
		assert_true(bench_connect_from(p.client, p.gw, "c", (uint16_t)(2000 + i), 500) > 0);
		if (i % 4 == 3)
			bench_run(p.b, 10);
	}
	bench_run(p.b, 200);
	assert_int_equal(bench_session_count(p.gw), sessions);
	memset(w, 0, sizeof(*w));
	bench_filter_add(p.b, count_deletes, w);
	return p;
}

static void shutdown_tells_everybody(void **state)
{
	struct watch w;
	struct pair p = crowd(SESSIONS, &w);
	uint64_t begin = p.b->now_ns;
	uint64_t deadline = begin + 3 * NS_PER_S + SESSIONS * (NS_PER_S / IKE_ENDS_PER_S);
	ike_shutdown(p.gw->engine, deadline);
	assert_in_range(w.deletes, 1, AT_ONCE_MAX);
	while (!ike_drained(p.gw->engine))
		bench_run(p.b, 10);
	assert_true(
		p.b->now_ns <= begin + SESSIONS * (NS_PER_S / IKE_ENDS_PER_S) + 100 * NS_PER_MS);
	assert_int_equal(w.deletes, SESSIONS);
	assert_in_range(w.most, 1, AT_ONCE_MAX);
	assert_true(w.most < INJECT_RING);
	bench_expect(p.gw, "ike_deleted", SESSIONS);
	bench_run(p.b, 100);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// Peers that are silent are told again and again, not all at once either, until the time is up.
static void shutdown_does_not_wait_for_the_silent(void **state)
{
	struct watch w;
	struct pair p = crowd(200, &w);
	w.cut = true;
	ike_shutdown(p.gw->engine, p.b->now_ns + 3 * NS_PER_S);
	bench_run(p.b, 2900);
	assert_false(ike_drained(p.gw->engine));
	assert_true(w.deletes >= 2 * 200);
	assert_in_range(w.most, 1, AT_ONCE_MAX);
	bench_run(p.b, 200);
	assert_true(ike_drained(p.gw->engine));
	bench_free(p.b);
}

static void clear_in_portions(void **state)
{
	struct watch w;
	struct pair p = crowd(1500, &w);
	struct ike_clearing c = {IKE_CLEAR_USER, .user = "client@example"};
	size_t found = ike_clear(p.gw->engine, &c);
	assert_false(c.done);
	assert_in_range(found, 1, 1024);
	// One that comes up meanwhile is not meant.
	assert_true(bench_connect_from(p.client, p.gw, "c", 60000, 500) > 0);
	bench_run(p.b, 30);
	while (!c.done)
		found += ike_clear(p.gw->engine, &c);
	assert_int_equal(found, 1500);
	bench_run(p.b, 1000);
	assert_int_equal(w.deletes, 1500);
	assert_in_range(w.most, 1, AT_ONCE_MAX);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_int_equal(bench_session(p.gw).remote.port, 60000);
	bench_free(p.b);
}

// A session whose IKE SA is rekeyed while its end waits does not survive in the successor.
static void rekeyed_before_its_end(void **state)
{
	struct watch w;
	struct pair p = crowd(200, &w);
	struct ike_session_info info;
	struct ike_clearing c = {.what = IKE_CLEAR_ALL};
	uint64_t last = bench_session_count(p.client);
	assert_true(ike_session_get(p.client->engine, last, &info));
	assert_int_equal(ike_rekey_ike(p.client->engine, last), 0);
	bench_run(p.b, 1); // on its way
	assert_int_equal(ike_clear(p.gw->engine, &c), 200);
	bench_run(p.b, 3000);
	bench_expect(p.gw, "ike_ike_rekeyed", 1);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shutdown_tells_everybody),
		cmocka_unit_test(shutdown_does_not_wait_for_the_silent),
		cmocka_unit_test(clear_in_portions),
		cmocka_unit_test(rekeyed_before_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
