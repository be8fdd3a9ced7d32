// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// CREATE_CHILD_SA: new child SAs, rekeying of child and IKE SAs from either side, and what is refused.
#include "tests/engine/pair.h"

#include <errno.h>

static const struct side defaults;

#define PFS_CHILD_GW(pfs, proposals)                                      \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; pfs = \"" pfs \
	"\"; esp_proposals = [ " proposals " ]; }"
#define PFS_CHILD_CLIENT(pfs, proposals)                                                     \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"pfs = \"" pfs "\"; esp_proposals = [ " proposals " ]; }"

// One child on each side, in use, and all that was replaced is gone.
static void expect_one_child(struct pair *p)
{
	bench_run(p->b, 500);
	assert_true(pair_traffic(p));
	bench_run(p->b, 500);
	struct ike_session_info g = bench_session(p->gw), c = bench_session(p->client);
	assert_int_equal(g.child_count, 1);
	assert_int_equal(c.child_count, 1);
	assert_int_equal(g.children[0].spi_in, c.children[0].spi_out);
	assert_int_equal(g.children[0].spi_out, c.children[0].spi_in);
	assert_int_equal(p->gw->engine->child_count, 1);
	assert_int_equal(p->client->engine->child_count, 1);
	assert_true(pair_traffic(p));
}

static int rekey_child(struct bench_node *n)
{
	struct ike_session_info s = bench_session(n);
	return ike_rekey_child(n->engine, s.id, s.children[0].spi_in);
}

static int rekey_ike(struct bench_node *n)
{
	return ike_rekey_ike(n->engine, bench_session(n).id);
}

static void child_by_either_side(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = pair_new(&defaults, &defaults);
		assert_true(pair_up(&p));
		assert_true(pair_traffic(&p));
		for (int i = 0; i < 3; i++) {
			uint32_t before = bench_session(p.gw).children[0].spi_in;
			assert_int_equal(rekey_child(by_gw ? p.gw : p.client), 0);
			expect_one_child(&p);
			assert_int_not_equal(bench_session(p.gw).children[0].spi_in, before);
		}
		bench_expect(p.gw, "ike_child_rekeyed", 3);
		bench_expect(p.client, "ike_child_rekeyed", 3);
		// 1 + 3 * 2 packets each way, over present and past children, none counted twice.
		assert_int_equal(bench_session(p.gw).packets_in, 7);
		assert_int_equal(bench_session(p.gw).packets_out, 7);
		pair_down(&p);
	}
}

// The responder of a rekeying goes on with the old outbound SA until the new inbound one is used.
static void responder_switches_at_the_first_packet(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	uint32_t old = bench_session(p.gw).children[0].spi_in;
	assert_int_equal(rekey_child(p.client), 0);
	bench_run(p.b, 2); // request and reply; the DELETE is on its way
	struct ike_child *c, *fresh = NULL;
	struct ike_session *s = ike_session_by_id(p.gw->engine, bench_session(p.gw).id);
	LIST_FOREACH (c, &s->children, link)
		if (c->spi_in != old)
			fresh = c;
	assert_non_null(fresh);
	assert_int_equal(fresh->state, IKE_CHILD_READY);
	assert_false(bench_sink_find(&p.gw->sink, fresh->spi_in, SA_OUT)->switched);
	struct sa_event ev = {.type = SA_EVENT_FIRST_IN, .child = fresh->spi_in, .dir = SA_IN};
	p.gw->deaf = true; // so that it is not the DELETE
	bench_run(p.b, 5);
	assert_int_equal(fresh->state, IKE_CHILD_READY);
	bench_sink_event(&p.gw->sink, &ev);
	bench_run(p.b, 5);
	assert_int_equal(fresh->state, IKE_CHILD_ACTIVE);
	assert_true(bench_sink_find(&p.gw->sink, fresh->spi_in, SA_OUT)->switched);
	p.gw->deaf = false;
	bench_run(p.b, 1000);
	expect_one_child(&p);
	pair_down(&p);
}

static void ike_by_either_side(void **state)
{
	for (int by_gw = 0; by_gw < 2; by_gw++) {
		struct pair p = pair_new(&defaults, &defaults);
		assert_true(pair_up(&p));
		for (int i = 0; i < 3; i++) {
			struct ike_session_info before = bench_session(p.gw);
			assert_int_equal(rekey_ike(by_gw ? p.gw : p.client), 0);
			bench_run(p.b, 500);
			struct ike_session_info s = bench_session(p.gw);
			assert_int_equal(s.id, before.id);
			assert_int_not_equal(s.spi_r, before.spi_r);
			assert_int_equal(s.spi_i, bench_session(p.client).spi_i);
			assert_int_equal(p.gw->engine->sa_count, 1);
			assert_int_equal(p.client->engine->sa_count, 1);
			// The new one works in both directions, the children too.
			assert_int_equal(rekey_child(by_gw ? p.client : p.gw), 0);
			expect_one_child(&p);
		}
		bench_expect(p.gw, "ike_ike_rekeyed", 3);
		pair_down(&p);
	}
}

static void pfs_variants(void **state)
{
	static const struct {
		const char *gw, *client;
		bool works, dh;
	} rows[] = {
		// as Apple does: a group is offered, and none
		{PFS_CHILD_GW("optional", "\"aes128gcm16-x25519\""),
			PFS_CHILD_CLIENT("optional", "\"aes128gcm16-x25519\""), true, true},
		{PFS_CHILD_GW("optional", "\"aes128gcm16-x25519\""),
			PFS_CHILD_CLIENT("no", "\"aes128gcm16-x25519\""), true, false},
		{PFS_CHILD_GW("required", "\"aes128gcm16-ecp256\""),
			PFS_CHILD_CLIENT("required", "\"aes128gcm16-ecp256\""), true, true},
		{PFS_CHILD_GW("required", "\"aes128gcm16-ecp256\""),
			PFS_CHILD_CLIENT("no", "\"aes128gcm16-ecp256\""), false, false},
		{PFS_CHILD_GW("no", "\"aes128gcm16\""),
			PFS_CHILD_CLIENT("optional", "\"aes128gcm16-ecp256\""), true, false},
		// INVALID_KE_PAYLOAD, then the right group
		{PFS_CHILD_GW("required", "\"aes128gcm16-ecp384\""),
			PFS_CHILD_CLIENT("required", "\"aes128gcm16-x25519-ecp384\""), true, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct side gw = {.children = rows[i].gw}, client = {.children = rows[i].client};
		struct pair p = pair_new(&gw, &client);
		assert_true(pair_up(&p));
		// RFC 7296 1.2: the first child SA has no exchange of its own.
		assert_int_equal(bench_session(p.gw).children[0].esp.dh, DH_NONE);
		assert_int_equal(rekey_child(p.client), 0);
		expect_one_child(&p);
		bench_expect(p.gw, "ike_child_rekeyed", rows[i].works);
		assert_int_equal(bench_session(p.gw).children[0].esp.dh != DH_NONE, rows[i].dh);
		if (!rows[i].works)
			bench_expect(p.gw, "ike_no_esp_proposal", 1);
		pair_down(&p);
	}
}

#define TWO_GW                                                                                      \
	"{ name = \"a\"; local_ts = [ \"10.99.0.0/25\" ]; esp_proposals = [ \"aes128gcm16\" ]; }, " \
	"{ name = \"b\"; local_ts = [ \"10.99.0.128/25\" ]; esp_proposals = [ \"aes256gcm16\" ]; }"
#define TWO_CLIENT                                                                           \
	"{ name = \"a\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/25\" ]; "   \
	"esp_proposals = [ \"aes128gcm16\" ]; }, "                                           \
	"{ name = \"b\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.128/25\" ]; " \
	"esp_proposals = [ \"aes256gcm16\" ]; }"

static void several_children(void **state)
{
	struct side gw = {.children = TWO_GW}, client = {.children = TWO_CLIENT};
	struct pair p = pair_new(&gw, &client);
	char inner[IP_TEXT_MAX];
	assert_true(pair_up(&p));
	ip_text(&bench_session(p.client).inner[0], inner);
	bench_run(p.b, 100); // the second one has an exchange of its own
	assert_int_equal(bench_session(p.gw).child_count, 2);
	assert_true(bench_traffic(p.client, p.gw, inner, "10.99.0.200"));
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.200", inner));
	assert_true(bench_traffic(p.client, p.gw, inner, "10.99.0.2"));
	assert_int_equal(p.gw->sink.tunnel_count, 1);
	// The newest is shown first; it is deleted alone.
	struct ike_session_info s = bench_session(p.gw);
	assert_string_equal(s.children[0].name, "b");
	assert_int_equal(ike_delete_child(p.gw->engine, s.id, s.children[0].spi_in), 0);
	assert_int_equal(ike_delete_child(p.gw->engine, s.id, s.children[0].spi_in), -EBUSY);
	bench_run(p.b, 100);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	assert_int_equal(bench_session(p.client).child_count, 1);
	assert_false(bench_traffic(p.client, p.gw, inner, "10.99.0.200"));
	assert_true(bench_traffic(p.client, p.gw, inner, "10.99.0.2"));
	assert_int_equal(ike_add_child(p.client->engine, bench_session(p.client).id, "c"), -ENOENT);
	pair_down(&p);
}

static void too_many_children(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	for (int i = 0; i < IKE_CHILDREN_MAX; i++) {
		assert_int_equal(
			ike_add_child(p.client->engine, bench_session(p.client).id, "lan"), 0);
		bench_run(p.b, 50);
	}
	bench_expect(p.gw, "ike_child_limit", 1);
	assert_int_equal(bench_session(p.gw).child_count, IKE_CHILDREN_MAX);
	assert_int_equal(p.client->engine->child_count, IKE_CHILDREN_MAX);
	pair_down(&p);
}

// Both sides at once: nobody crashes or waits for ever, and one more try succeeds.
static void collisions_are_survived(void **state)
{
	for (int what = 0; what < 4; what++) {
		struct pair p = pair_new(&defaults, &defaults);
		p.b->allow_reply_before_install = true;
		assert_true(pair_up(&p));
		assert_int_equal(what & 1 ? rekey_ike(p.client) : rekey_child(p.client), 0);
		assert_int_equal(what & 2 ? rekey_ike(p.gw) : rekey_child(p.gw), 0);
		bench_run(p.b, 70000);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(bench_session_count(p.client), 1);
		assert_int_equal(p.gw->engine->sa_count, 1);
		assert_int_equal(p.client->engine->sa_count, 1);
		assert_int_equal(rekey_child(p.client), 0);
		bench_run(p.b, 500);
		assert_int_equal(rekey_ike(p.gw), 0);
		expect_one_child(&p);
		pair_down(&p);
	}
}

static void deletes_that_cross(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_session_info g = bench_session(p.gw), c = bench_session(p.client);
	assert_int_equal(ike_delete_child(p.gw->engine, g.id, g.children[0].spi_in), 0);
	assert_int_equal(ike_delete_child(p.client->engine, c.id, c.children[0].spi_in), 0);
	bench_run(p.b, 200);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	assert_int_equal(bench_session(p.client).child_count, 0);
	assert_int_equal(p.gw->engine->child_count, 0);
	// A session that had a child stays, with its address, and gets another one (Windows does so).
	bench_run(p.b, 60000);
	assert_int_equal(ike_add_child(p.client->engine, c.id, "lan"), 0);
	expect_one_child(&p);
	pair_down(&p);
}

static void hard_limits_end_in_a_delete(void **state)
{
	struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
				  "lifetime = { child_rekey_s = 0; child_hard_s = 200;"
				  " ike_rekey_s = 0; ike_hard_s = 600; };"};
	struct pair p = pair_new(&gw, &defaults);
	assert_true(pair_up(&p));
	bench_run(p.b, 199 * 1000);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	bench_run(p.b, 2 * 1000);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	assert_int_equal(bench_session(p.client).child_count, 0);
	bench_expect(p.gw, "ike_child_hard_limit", 1);
	assert_int_equal(ike_add_child(p.client->engine, bench_session(p.client).id, "lan"), 0);
	bench_run(p.b, 100);
	struct sa_event ev = {.type = SA_EVENT_HARD_LIMIT,
		.child = bench_session(p.gw).children[0].spi_in,
		.dir = SA_OUT};
	bench_sink_event(&p.gw->sink, &ev);
	bench_run(p.b, 100);
	assert_int_equal(bench_session(p.client).child_count, 0);
	bench_expect(p.gw, "ike_child_hard_limit", 2);
	bench_run(p.b, 400 * 1000);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

static void soft_limit(struct bench_node *n, uint32_t child, enum sa_dir dir)
{
	struct sa_event ev = {.type = SA_EVENT_SOFT_LIMIT, .child = child, .dir = dir};
	bench_sink_event(&n->sink, &ev);
}

// Each direction reaches its limit once: at the same moment, while the child is rekeyed for the other
// one, or afterwards. It is rekeyed once; also where the peer's workers tell the same of theirs.
static void soft_limits_of_both_directions(void **state)
{
	static const unsigned gaps_ms[] = {0, 1, 2, 3, 5, 100, 5000};
	for (size_t i = 0; i < sizeof(gaps_ms) / sizeof(gaps_ms[0]); i++)
		for (int both = 0; both < 2; both++) {
			struct pair p = pair_new(&defaults, &defaults);
			assert_true(pair_up(&p));
			uint32_t gw = bench_session(p.gw).children[0].spi_in;
			uint32_t client = bench_session(p.client).children[0].spi_in;
			for (int dir = SA_IN; dir <= SA_OUT; dir++) {
				soft_limit(p.gw, gw, (enum sa_dir)dir);
				if (both)
					soft_limit(p.client, client, (enum sa_dir)dir);
				bench_run(p.b, gaps_ms[i]);
			}
			bench_run(p.b, 20 * 1000);
			expect_one_child(&p);
			assert_int_not_equal(bench_session(p.gw).children[0].spi_in, gw);
			bench_expect(p.gw, "ike_child_soft_limit", 1);
			if (!both)
				bench_expect(p.gw, "ike_child_rekeyed", 1);
			pair_down(&p);
		}
}

static void installs_that_fail(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	p.gw->sink.fail_spi = 1;
	assert_int_equal(rekey_child(p.client), 0);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_spi_exhausted", 1);
	for (int i = 1; i <= 2; i++) {
		p.gw->sink.fail_add = 1;
		assert_int_equal(rekey_child(p.client), 0);
		bench_run(p.b, 100);
		bench_expect(p.gw, "ike_sa_refused", (uint64_t)i);
	}
	p.gw->sink.hold_installs = true;
	assert_int_equal(rekey_child(p.client), 0);
	bench_run(p.b, 5000);
	bench_expect(p.gw, "ike_install_timeout", 2); // by the engine, and as the reason
	p.gw->sink.hold_installs = false;
	bench_run(p.b, 90 * 1000); // it is tried again by itself
	expect_one_child(&p);
	assert_int_equal(rekey_child(p.client), 0);
	expect_one_child(&p);
	pair_down(&p);
}

static bool one_child(void *node)
{
	struct bench_node *n = node;
	return bench_session_count(n) == 1 && n->engine->child_count == 1 && bench_quiet(n);
}

static void lossy_round(uint64_t seed)
{
	struct bench *b = bench_new_seeded(seed);
	struct pair p = pair_on(b, &defaults, &defaults);
	bench_lossy(b, 15, 10, 20);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	assert_true(bench_run_until(b, bench_established, p.client, 60000));
	assert_true(bench_run_until(b, one_child, p.gw, 60000));
	struct bench_node *nodes[] = {p.client, p.gw};
	for (int i = 0; i < 4; i++) {
		struct bench_node *n = nodes[(seed + (uint64_t)i) % 2];
		uint64_t before = n->engine->counters[i < 2 ? IKE_REASON_CHILD_REKEYED
							    : IKE_REASON_IKE_REKEYED];
		assert_int_equal(i < 2 ? rekey_child(n) : rekey_ike(n), 0);
		assert_true(bench_run_until(b, bench_quiet, n, 70000));
		assert_true(n->engine->counters[i < 2 ? IKE_REASON_CHILD_REKEYED
						      : IKE_REASON_IKE_REKEYED] == before + 1);
		assert_true(bench_run_until(b, one_child, p.gw, 70000));
		assert_true(bench_run_until(b, one_child, p.client, 70000));
	}
	bench_lossy(b, 0, 0, 0);
	assert_true(pair_traffic(&p));
	bench_lossy(b, 15, 10, 20);
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	assert_true(bench_run_until(b, bench_empty, p.client, 70000));
	assert_true(bench_run_until(b, bench_empty, p.gw, 70000));
	bench_free(b);
}

static void a_hundred_lossy_wires(void **state)
{
	for (uint64_t seed = 1; seed <= 120; seed++) {
		print_message("# seed %llu\n", (unsigned long long)seed);
		lossy_round(seed);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(child_by_either_side),
		T(responder_switches_at_the_first_packet),
		T(ike_by_either_side),
		T(pfs_variants),
		T(several_children),
		T(too_many_children),
		T(collisions_are_survived),
		T(deletes_that_cross),
		T(hard_limits_end_in_a_delete),
		T(soft_limits_of_both_directions),
		T(installs_that_fail),
		T(a_hundred_lossy_wires),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
