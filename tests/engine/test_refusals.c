// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What IKE_AUTH waits for and does not get: addresses and AAA that answer late, never or no, helpers
// and a data plane that fail; and child SAs that are refused while the IKE SA stands.
#include "tests/engine/pair.h"
#include "tests/engine/slow_source.h"

static const struct side defaults;

// ---- an address source that takes its time -----------------------------------------------------

static void address_comes_late(void **state)
{
	struct slow_source slow;
	struct pair p = pair_new(&defaults, &defaults);
	slow_init(&slow, p.gw);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 3000); // the client repeats its request meanwhile
	assert_int_equal(slow.asked, 1);
	assert_true(bench_counter(p.gw, "ike_repeated_pending") > 0);
	assert_false(bench_established(p.gw));
	slow_answer(&slow, ADDRESS_OK);
	bench_run(p.b, 100);
	assert_true(bench_established(p.client));
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

static void address_never_comes(void **state)
{
	struct slow_source slow;
	struct pair p = pair_new(&defaults, &defaults);
	slow_init(&slow, p.gw);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 7000);
	bench_expect(p.gw, "ike_address_timeout", 1);
	bench_expect(p.client, "ike_child_refused", 1);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	slow_answer(&slow, ADDRESS_OK); // nobody waits any more: it is given back
	bench_expect(p.gw, "ike_late_result", 1);
	assert_int_equal(pool_in_use(p.gw, 0), 0);
	pair_down(&p);
}

static void address_comes_when_the_peer_has_gone(void **state)
{
	struct slow_source slow;
	struct pair p = pair_new(&defaults, &defaults);
	slow_init(&slow, p.gw);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 100);
	struct ike_sa *sa = LIST_FIRST(&p.gw->engine->all_sas);
	assert_non_null(sa);
	ike_enter(p.gw->engine);
	ike_sa_close(sa, IKE_REASON_CLOSED);
	ike_leave(p.gw->engine);
	slow_answer(&slow, ADDRESS_OK);
	assert_int_equal(pool_in_use(p.gw, 0), 0);
	bench_free(p.b);
}

static void address_source_fails(void **state)
{
	struct slow_source slow;
	struct pair p = pair_new(&defaults, &defaults);
	slow_init(&slow, p.gw);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 100);
	slow_answer(&slow, ADDRESS_FAILED);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_address_failed", 1);
	bench_expect(p.client, "ike_child_refused", 1);
	pair_down(&p);
}

// ---- AAA ---------------------------------------------------------------------------------------

struct fake_aaa {
	enum ike_aaa_status answer;
	uint64_t token;
	unsigned asked;
	int sessions;
	char identity[64];
};

static enum ike_aaa_status aaa_authorize(
	void *ctx, const struct ike_aaa_request *rq, struct ike_aaa_addresses *out)
{
	struct fake_aaa *a = ctx;
	a->asked++;
	a->token = rq->token;
	snprintf(a->identity, sizeof(a->identity), "%s", rq->identity);
	return a->answer;
}

static void aaa_account(void *ctx, uint64_t session, bool begin)
{
	struct fake_aaa *a = ctx;
	a->sessions += begin ? 1 : -1;
}

static void aaa_set(struct bench_node *n, struct fake_aaa *a)
{
	n->engine->p.aaa = (struct ike_aaa){a, aaa_authorize, aaa_account};
}

static void aaa_accepts_later(void **state)
{
	struct fake_aaa a = {.answer = IKE_AAA_PENDING};
	struct pair p = pair_new(&defaults, &defaults);
	aaa_set(p.gw, &a);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 1000);
	assert_int_equal(a.asked, 1);
	assert_string_equal(a.identity, "client@example");
	assert_int_equal(pool_in_use(p.gw, 0), 0); // no address before all is proven
	ike_aaa_done(p.gw->engine, a.token, IKE_AAA_ACCEPT, NULL);
	bench_run(p.b, 100);
	assert_true(bench_established(p.client));
	assert_int_equal(a.sessions, 1);
	pair_down(&p);
	assert_int_equal(a.sessions, 0);
}

static void aaa_refuses(void **state)
{
	static const enum ike_aaa_status answers[] = {IKE_AAA_REJECT, IKE_AAA_PENDING};
	for (int i = 0; i < 2; i++) {
		struct fake_aaa a = {.answer = answers[i]};
		struct pair p = pair_new(&defaults, &defaults);
		aaa_set(p.gw, &a);
		assert_false(pair_up(&p));
		bench_run(p.b, 20000);
		bench_expect(p.gw, i ? "ike_aaa_timeout" : "ike_aaa_rejected", 1);
		assert_int_equal(p.gw->engine->sa_count, 0);
		assert_int_equal(pool_in_use(p.gw, 0), 0);
		assert_int_equal(a.sessions, 0);
		bench_free(p.b);
	}
}

// ---- the data plane ----------------------------------------------------------------------------

static void first_child_cannot_be_installed(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct pair p = pair_new(&defaults, &defaults);
		p.gw->sink.fail_spi = i == 0;
		p.gw->sink.fail_add = i == 1;
		p.gw->sink.fail_route = i == 2;
		p.gw->sink.hold_installs = i == 3;
		bool up = pair_up(&p);
		if (i == 3) {
			// Nothing was promised yet: all is refused.
			assert_false(up);
			assert_int_equal(bench_session_count(p.gw), 0);
			bench_expect(p.client, "ike_auth_refused", 1);
			p.gw->sink.hold_installs = false;
			bench_run(p.b, 70000);
		} else {
			assert_true(up);
			bench_expect(p.client, "ike_child_refused", 1);
			assert_int_equal(bench_session(p.gw).child_count, 0);
			assert_int_equal(p.gw->engine->child_count, 0);
			// The peer may try again on the same IKE SA: its address has been kept.
			assert_int_equal(
				ike_add_child(p.client->engine, bench_session(p.client).id, "lan"),
				0);
			bench_run(p.b, 100);
			assert_int_equal(bench_session(p.gw).child_count, 1);
			assert_int_equal(ike_delete_session(p.gw->engine, 1), 0);
			bench_run(p.b, 500);
		}
		assert_true(bench_empty(p.gw));
		assert_int_equal(pool_in_use(p.gw, 0), 0);
		bench_free(p.b);
	}
}

static void reply_waits_for_the_installation(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	p.gw->sink.install_delay_ns = 700 * NS_PER_MS;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 600);
	assert_false(bench_established(p.client));
	bench_run(p.b, 400);
	assert_true(bench_established(p.client));
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// ---- child SAs that do not fit -----------------------------------------------------------------

static void expect_no_child(const struct side *gw, const struct side *client, const char *reason)
{
	struct pair p = pair_new(gw, client);
	p.client->cfg->connections[0].request_v4 = p.gw->cfg->pool_count > 0;
	assert_true(pair_up(&p));
	bench_expect(p.gw, reason, 1);
	bench_expect(p.client, "ike_child_refused", 1);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	assert_int_equal(p.gw->sink.adds, 0);
	pair_down(&p);
}

static void no_selector_in_common(void **state)
{
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
				     " remote_ts = [ \"10.98.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	expect_no_child(&defaults, &c, "ike_ts");
}

static void no_esp_proposal_in_common(void **state)
{
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
				     " remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes256-sha512\" ]; }"};
	expect_no_child(&defaults, &c, "ike_no_esp_proposal");
}

static void foreign_site(void **state)
{
	struct side gw = {.more = "",
		.pools = "",
		.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
			    " remote_ts = [ \"10.7.0.0/16\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"10.8.0.0/16\" ];"
				     " remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	expect_no_child(&gw, &c, "ike_ts");
}

// Another peer's network is not taken over, whatever the policy allows.
static void destination_of_another_session(void **state)
{
	struct side gw = {.more = "",
		.pools = "",
		.credentials = PSK_GROUP,
		.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
			    " remote_ts = [ \"10.7.0.0/16\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {.credentials = PSK_GROUP,
		.children = "{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ];"
			    " remote_ts = [ \"10.99.0.0/24\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	struct bench_node *o = side_add(p.b, "other", "198.51.100.3", &c, false);
	assert_true(bench_connect(o, p.gw, "c") > 0);
	bench_run(p.b, 500);
	bench_expect(p.gw, "ike_route_taken", 1);
	assert_int_equal(bench_session(o).child_count, 0);
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.9", "10.7.1.1"));
	bench_free(p.b);
}

// A site whose process died comes back under its proven name and has its network again.
static void site_comes_back(void **state)
{
	struct side gw = {.more = "",
		.pools = "",
		.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
			    " remote_ts = [ \"10.7.0.0/16\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ];"
				     " remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	bench_kill(p.client);
	bench_start(p.client);
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_route_taken", 0);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.9", "10.7.1.1"));
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(address_comes_late),
		T(address_never_comes),
		T(address_comes_when_the_peer_has_gone),
		T(address_source_fails),
		T(aaa_accepts_later),
		T(aaa_refuses),
		T(first_child_cannot_be_installed),
		T(reply_waits_for_the_installation),
		T(no_selector_in_common),
		T(no_esp_proposal_in_common),
		T(foreign_site),
		T(destination_of_another_session),
		T(site_comes_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
