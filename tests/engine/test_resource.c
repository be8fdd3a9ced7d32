// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Per-resource child SAs (RFC 9611) between two gateways: one for each worker, on both sides.
#include "tests/engine/pair.h"

#include "controlplane/ikev2/resource.h"

#define SITE_GW                                                                                \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.7.0.0/16\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; per_resource = %s; }"
#define SITE_CLIENT                                                                            \
	"{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; per_resource = %s; }"

static struct pair sites(const char *gw_wants, const char *client_wants, const char *gw_more)
{
	char *gw_child, *client_child;
	assert_true(asprintf(&gw_child, SITE_GW, gw_wants) > 0);
	assert_true(asprintf(&client_child, SITE_CLIENT, client_wants) > 0);
	struct side gw = {.pools = "", .more = gw_more, .children = gw_child};
	struct side client = {.more = "", .children = client_child};
	struct pair p = {.b = bench_new()};
	p.gw = side_add(p.b, "gw", GW_ADDR, &gw, true);
	p.client = side_add(p.b, "client", CLIENT_ADDR, &client, false);
	free(gw_child);
	free(client_child);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
	bench_run(p.b, 5000);
	return p;
}

static unsigned on_worker(struct bench_node *n, uint16_t worker)
{
	struct ike_session_info s = bench_session(n);
	unsigned count = 0;
	for (uint8_t i = 0; i < s.child_count; i++)
		count += s.children[i].worker == worker;
	return count;
}

static void expect_one_each(struct pair *p)
{
	for (uint16_t w = 0; w < BENCH_WORKERS; w++) {
		assert_int_equal(on_worker(p->gw, w), 1);
		assert_int_equal(on_worker(p->client, w), 1);
	}
	assert_true(bench_traffic(p->client, p->gw, "10.7.1.1", "10.99.0.7"));
	assert_true(bench_traffic(p->gw, p->client, "10.99.0.7", "10.7.1.1"));
}

static void one_for_each_worker(void **state)
{
	struct pair p = sites("true", "true", "");
	expect_one_each(&p);
	assert_true(LIST_FIRST(&p.gw->sink.tunnels)->spec.per_worker);
	assert_int_equal(p.gw->sink.tunnel_count, 1);
	pair_down(&p);
}

// The successor of each is its worker's, whoever rekeys it.
static void rekeying_keeps_the_worker(void **state)
{
	struct pair p = sites("true", "true", "");
	for (int i = 0; i < 8; i++) {
		struct bench_node *n = i & 1 ? p.gw : p.client;
		struct ike_session_info s = bench_session(n);
		uint32_t spi = s.children[i / 2 % s.child_count].spi_in;
		assert_int_equal(ike_rekey_child(n->engine, s.id, spi), 0);
		bench_run(p.b, 10 * 1000);
		expect_one_each(&p);
	}
	pair_down(&p);
}

// One that goes is made again.
static void lost_one_comes_back(void **state)
{
	struct pair p = sites("true", "true", "");
	struct ike_session_info s = bench_session(p.gw);
	assert_int_equal(ike_delete_child(p.gw->engine, s.id, s.children[0].spi_in), 0);
	bench_run(p.b, 10 * 1000);
	expect_one_each(&p);
	pair_down(&p);
}

static void peer_that_does_not_know_it(void **state)
{
	struct pair p = sites("false", "true", "");
	assert_int_equal(bench_session(p.gw).child_count, 1);
	assert_int_equal(bench_session(p.client).child_count, 1);
	assert_false(LIST_FIRST(&p.gw->sink.tunnels)->spec.per_worker);
	pair_down(&p);
	p = sites("true", "false", "");
	assert_int_equal(bench_session(p.gw).child_count, 1);
	pair_down(&p);
}

static void responder_only_takes_them(void **state)
{
	struct pair p = sites("true", "true", "responder_only = true;");
	expect_one_each(&p);
	pair_down(&p);
}

// The peer says TEMPORARY_FAILURE, or deletes each one as soon as it is there: it sets no pace.
static void no_storm(void **state)
{
	for (int deletes = 0; deletes < 2; deletes++) {
		struct pair p = sites("true", "true", "");
		struct ike_session *s = bench_sa_of(p.gw, bench_session(p.gw).id)->session;
		uint64_t tried = bench_counter(p.client, "ike_child_created");
		s->rekey_window_ns = p.b->now_ns;
		s->rekey_count = deletes ? 0 : 1000;
		for (int i = 0; i < 900; i++) {
			struct ike_session_info now = bench_session(p.gw);
			for (uint8_t k = 0; k < now.child_count && (deletes || i == 0); k++)
				if (now.children[k].worker != s->worker)
					(void)!ike_delete_child(
						p.gw->engine, now.id, now.children[k].spi_in);
			bench_run(p.b, 10);
		}
		tried = bench_counter(p.client, "ike_child_created") - tried +
			bench_counter(p.gw, "ike_rekey_rate");
		assert_in_range(tried, 1, 10);
		bench_run(p.b, 40 * 1000);
		expect_one_each(&p);
		pair_down(&p);
	}
}

static void too_many(void **state)
{
	struct pair p = sites("true", "true", "");
	struct ike_sa *sa = bench_sa_of(p.client, bench_session(p.client).id);
	const struct cfg_child *conf = &p.client->cfg->connections[0].children[0];
	for (int i = 0; i < IKE_RESOURCES_MAX + 4; i++) {
		ike_enter(p.client->engine);
		assert_int_equal(ikev2_add_resource(sa, conf, (uint16_t)(i & 1)), 0);
		ike_leave(p.client->engine);
		bench_run(p.b, 1000);
	}
	assert_int_equal(p.gw->engine->child_count, IKE_RESOURCES_MAX);
	assert_true(bench_counter(p.gw, "ike_max_queue") >= 4);
	assert_false(sa->session->resources);
	pair_down(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_for_each_worker),
		cmocka_unit_test(rekeying_keeps_the_worker),
		cmocka_unit_test(lost_one_comes_back),
		cmocka_unit_test(peer_that_does_not_know_it),
		cmocka_unit_test(responder_only_takes_them),
		cmocka_unit_test(no_storm),
		cmocka_unit_test(too_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
