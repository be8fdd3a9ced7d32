// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE SAs without a child SA (RFC 6023), and connections with several children: all that an initiating
// connection names are made, in IKE_AUTH or after it.
#include "controlplane/exchange.h"
#include "tests/engine/pair.h"

#define SITE_GW                                                                                \
	"{ name = \"a\"; local_ts = [ \"10.99.0.0/25\" ]; remote_ts = [ \"10.7.0.0/24\" ]; "   \
	"esp_proposals = [ \"aes128gcm16\" ]; }, "                                             \
	"{ name = \"b\"; local_ts = [ \"10.99.0.128/25\" ]; remote_ts = [ \"10.7.0.0/24\" ]; " \
	"esp_proposals = [ \"aes256gcm16-x25519\" ]; pfs = \"required\"; }"
#define SITE_CLIENT                                                                            \
	"{ name = \"a\"; local_ts = [ \"10.7.0.0/24\" ]; remote_ts = [ \"10.99.0.0/25\" ]; "   \
	"esp_proposals = [ \"aes128gcm16\" ]; }, "                                             \
	"{ name = \"b\"; local_ts = [ \"10.7.0.0/24\" ]; remote_ts = [ \"10.99.0.128/25\" ]; " \
	"esp_proposals = [ \"aes256gcm16-x25519\" ]; pfs = \"required\"; }"
// The second one is of another kind.
#define SITE_ODD                                                                               \
	"{ name = \"a\"; local_ts = [ \"10.7.0.0/24\" ]; remote_ts = [ \"10.99.0.0/25\" ]; "   \
	"esp_proposals = [ \"aes128gcm16\" ]; }, "                                             \
	"{ name = \"b\"; local_ts = [ \"10.7.0.0/24\" ]; remote_ts = [ \"10.99.0.128/25\" ]; " \
	"esp_proposals = [ \"chacha20poly1305\" ]; }"

static struct pair site_pair(const char *gw_more, const char *client_more, const char *children)
{
	struct side gw = {.more = gw_more, .children = SITE_GW, .pools = ""};
	struct side client = {.more = client_more, .children = children};
	struct pair p = {.b = bench_new()};
	p.gw = side_add(p.b, "gw", GW_ADDR, &gw, true);
	p.client = side_add(p.b, "client", CLIENT_ADDR, &client, false);
	return p;
}

// Requests of the client, by exchange.
struct sent {
	unsigned auth, create;
};

static enum bench_fate count_sent(struct bench *b, struct bench_packet *p, void *arg)
{
	struct sent *s = arg;
	struct ike_header h = bench_header(p);
	if (ike_header_response(&h) || p->to.addr.bytes[0] != 192)
		return BENCH_PASS;
	s->auth += h.exchange == IKEV2_EXCHANGE_IKE_AUTH;
	s->create += h.exchange == IKEV2_EXCHANGE_CREATE_CHILD_SA;
	return BENCH_PASS;
}

static bool all_carry(struct pair *p)
{
	return bench_traffic(p->client, p->gw, "10.7.0.1", "10.99.0.1") &&
	       bench_traffic(p->gw, p->client, "10.99.0.1", "10.7.0.1") &&
	       bench_traffic(p->client, p->gw, "10.7.0.1", "10.99.0.200") &&
	       bench_traffic(p->gw, p->client, "10.99.0.200", "10.7.0.1");
}

// Both must want it; then every child SA has an exchange, and with PFS a key exchange, of its own.
static void children_come_later(void **state)
{
	for (int row = 0; row < 4; row++) {
		bool both = row == 3;
		struct pair p = site_pair(row & 1 ? "childless = true;" : "",
			row & 2 ? "childless = true;" : "", SITE_CLIENT);
		struct sent sent = {0};
		bench_filter_add(p.b, count_sent, &sent);
		assert_true(pair_up(&p));
		bench_run(p.b, 100);
		assert_int_equal(sent.auth, 1);
		assert_int_equal(sent.create, both ? 2 : 1);
		assert_int_equal(bench_session(p.gw).child_count, 2);
		assert_int_equal(bench_session(p.client).child_count, 2);
		assert_true(all_carry(&p));
		bench_run(p.b, 100000);
		assert_int_equal(bench_session(p.gw).child_count, 2);
		bench_expect(p.gw, "ike_childless", 0);
		pair_down(&p);
	}
}

static enum bench_fate no_create(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_header h = bench_header(p);
	return h.exchange == IKEV2_EXCHANGE_CREATE_CHILD_SA ? BENCH_DROP : BENCH_PASS;
}

// The IKE SA lives without any, as long as it has to, on both sides; children may come and go.
static void lives_without(void **state)
{
	struct pair p = site_pair("childless = true;", "childless = true;", SITE_CLIENT);
	assert_true(pair_up(&p));
	bench_run(p.b, 100);
	for (int i = 0; i < 2; i++) {
		struct ike_session_info s = bench_session(p.client);
		assert_int_equal(ike_delete_child(p.client->engine, s.id, s.children[0].spi_in), 0);
		bench_run(p.b, 100);
	}
	assert_int_equal(bench_session(p.gw).child_count, 0);
	bench_run(p.b, 10 * IKE_CHILDLESS_S * 1000);
	bench_expect(p.gw, "ike_childless", 0);
	bench_expect(p.client, "ike_childless", 0);
	assert_true(bench_established(p.gw));
	assert_int_equal(ike_rekey_ike(p.gw->engine, 1), 0);
	bench_run(p.b, 1000);
	assert_int_equal(ike_add_child(p.client->engine, 1, "b"), 0);
	bench_run(p.b, 100);
	assert_true(bench_traffic(p.client, p.gw, "10.7.0.1", "10.99.0.200"));
	pair_down(&p);
}

// One without leave is refused with INVALID_SYNTAX and leaves nothing behind.
static void not_allowed(void **state)
{
	struct pair p = site_pair("", "childless = true;", SITE_CLIENT);
	bench_filter_add(p.b, no_create, NULL);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	// As if the responder had announced it.
	struct ike_sa *sa = LIST_FIRST(&p.client->engine->all_sas);
	p.client->job_delay_ns = 5 * NS_PER_MS;
	bench_run(p.b, 3);
	sa->peer_childless = true;
	bench_run(p.b, 500);
	bench_expect(p.gw, "ike_auth_payloads", 1);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// The peer refuses one of two: the other one is not affected, and it is not asked for all the time.
static void one_is_refused(void **state)
{
	for (int childless = 0; childless < 2; childless++) {
		const char *more = childless ? "childless = true;" : "";
		struct pair p = site_pair(more, more, SITE_ODD);
		struct sent sent = {0};
		bench_filter_add(p.b, count_sent, &sent);
		assert_true(pair_up(&p));
		bench_run(p.b, 60000);
		assert_int_equal(sent.create, childless ? 2 : 1);
		bench_expect(p.gw, "ike_no_esp_proposal", 1);
		assert_int_equal(bench_session(p.gw).child_count, 1);
		assert_true(bench_traffic(p.client, p.gw, "10.7.0.1", "10.99.0.1"));
		pair_down(&p);
	}
}

// TEMPORARY_FAILURE passes: it is asked for again.
static void one_comes_later(void **state)
{
	struct pair p = site_pair("", "", SITE_CLIENT);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 2);
	p.gw->fail_jobs = 1; // the child's DH finds no helper: TEMPORARY_FAILURE
	bench_run(p.b, 20);
	bench_expect(p.gw, "ike_job_queue_full", 1);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	bench_run(p.b, 5000);
	assert_int_equal(bench_session(p.gw).child_count, 2);
	assert_int_equal(bench_session(p.client).child_count, 2);
	assert_true(all_carry(&p));
	pair_down(&p);
}

// Where an address is asked for it comes with a child SA, childless or not.
static void address_needs_a_child(void **state)
{
	struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
				  "childless = true;"};
	struct side client = {.more = "childless = true;"};
	struct pair p = pair_new(&gw, &client);
	struct sent sent = {0};
	bench_filter_add(p.b, count_sent, &sent);
	assert_true(pair_up(&p));
	bench_run(p.b, 100);
	assert_int_equal(sent.create, 0);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(children_come_later),
		T(lives_without),
		T(not_allowed),
		T(one_is_refused),
		T(one_comes_later),
		T(address_needs_a_child),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
