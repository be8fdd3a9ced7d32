// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What ends or begins in the middle of something else: IKE SAs during their rekeying, limits that are
// met while others wait, leases of sessions without a child, message ids at their end.
#include "tests/engine/pair.h"

static const struct side defaults;

static int rekey_ike(struct bench_node *n)
{
	return ike_rekey_ike(n->engine, bench_session(n).id);
}

// The engine shuts down while its request to rekey is under way: the IKE SA that was being made
// belongs to that request, and the peer hears of the end whichever IKE SA it uses by then.
static void shutdown_while_rekeying(void **state)
{
	for (int ms = 0; ms < 6; ms++) {
		struct pair p = pair_new(&defaults, &defaults);
		p.gw->job_delay_ns = 2 * NS_PER_MS;
		assert_true(pair_up(&p));
		assert_int_equal(rekey_ike(p.gw), 0);
		bench_run(p.b, (uint64_t)ms);
		ike_shutdown(p.gw->engine, p.b->now_ns + 60 * NS_PER_S);
		bench_run(p.b, 500);
		assert_true(ike_drained(p.gw->engine));
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
		bench_free(p.b);
	}
}

// Both sides begin to rekey the IKE SA, one while the other's request waits for DH here: its own is not
// needed any more, and gone when its key pair is there.
static void rekeyings_that_overlap(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	p.gw->job_delay_ns = 400 * NS_PER_MS;
	assert_int_equal(rekey_ike(p.client), 0);
	bench_run(p.b, 100);
	assert_int_equal(rekey_ike(p.gw), 0);
	bench_run(p.b, 5000);
	bench_expect(p.gw, "ike_late_result", 1);
	bench_expect(p.gw, "ike_ike_rekeyed", 1);
	bench_expect(p.client, "ike_ike_rekeyed", 1);
	assert_int_equal(p.gw->engine->sa_count, 1);
	assert_int_equal(p.client->engine->sa_count, 1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// ---- message ids -------------------------------------------------------------------------------

// RFC 7296 2.2: they do not wrap. Our last request is a DELETE.
static void last_request_is_a_delete(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_sa *gw = bench_sa_of(p.gw, bench_session(p.gw).id);
	struct ike_sa *client = bench_sa_of(p.client, bench_session(p.client).id);
	client->next_out = gw->next_in = UINT32_MAX - 1;
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	assert_true(bench_established(p.gw));
	assert_int_equal(ike_probe(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	bench_expect(p.client, "ike_message_ids", 1);
	bench_expect(p.gw, "ike_deleted_by_peer", 1);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// A peer that goes on to the last id gets its answer, and the IKE SA ends before 0 comes again.
static void last_request_of_the_peer(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	uint8_t buf[64];
	struct wire_builder b;
	assert_true(pair_up(&p));
	struct ike_sa *gw = bench_sa_of(p.gw, bench_session(p.gw).id);
	struct ike_sa *client = bench_sa_of(p.client, bench_session(p.client).id);
	gw->next_in = UINT32_MAX;
	wire_build_begin(&b, buf, sizeof(buf));
	bench_send_sealed(p.client, client, IKEV2_EXCHANGE_INFORMATIONAL, UINT32_MAX, false, &b);
	bench_run(p.b, 20);
	assert_true(bench_header(p.b->last).flags & IKE_FLAG_RESPONSE);
	assert_int_equal(bench_header(p.b->last).message_id, UINT32_MAX);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

// ---- limits and leases -------------------------------------------------------------------------

struct slow_aaa {
	uint64_t tokens[4];
	unsigned asked;
};

static enum ike_aaa_status authorize_later(
	void *ctx, const struct ike_aaa_request *rq, struct ike_aaa_addresses *out)
{
	struct slow_aaa *a = ctx;
	assert_true(a->asked < 4);
	a->tokens[a->asked++] = rq->token;
	return IKE_AAA_PENDING;
}

struct slow_pool {
	struct bench_node *node;
	struct address_source inner;
	struct address_request rq[4];
	unsigned asked;
};

static enum address_status acquire_later(
	void *ctx, const struct address_request *rq, struct lease *out)
{
	struct slow_pool *s = ctx;
	assert_true(s->asked < 4);
	s->rq[s->asked] = *rq;
	s->rq[s->asked++].owner = (struct pool_owner){.anonymous = true};
	return ADDRESS_PENDING;
}

static bool renew_it(void *ctx, const struct lease *l, uint64_t session)
{
	struct slow_pool *s = ctx;
	return s->inner.renew(s->inner.ctx, l, session);
}

static void release_it(void *ctx, const struct lease *l)
{
	struct slow_pool *s = ctx;
	s->inner.release(s->inner.ctx, l);
}

// Two IKE SAs of one identity that wait at the same time: the limit holds when both go on.
static void limits_hold_for_those_that_wait(void **state)
{
	static const char *const limits[] = {
		"unique = \"keep\";", "unique = \"no\"; max_sessions = 1;"};
	for (int i = 0; i < 2; i++) {
		char more[256];
		snprintf(more, sizeof(more),
			"mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; %s", limits[i]);
		struct side gw = {.more = more};
		struct pair p = pair_new(&gw, &defaults);
		struct slow_pool slow = {.node = p.gw, .inner = p.gw->addresses};
		p.gw->addresses.ctx = &slow;
		p.gw->addresses.acquire = acquire_later;
		p.gw->addresses.renew = renew_it;
		p.gw->addresses.release = release_it;
		p.gw->addresses.expect_release = NULL;
		assert_true(bench_connect_from(p.client, p.gw, "c", 1500, 500) > 0);
		assert_true(bench_connect_from(p.client, p.gw, "c", 1501, 500) > 0);
		bench_run(p.b, 300);
		assert_int_equal(slow.asked, 2);
		for (unsigned k = 0; k < 2; k++) {
			struct lease l;
			assert_int_equal(
				slow.inner.acquire(slow.inner.ctx, &slow.rq[k], &l), ADDRESS_OK);
			p.gw->addresses.done(
				p.gw->addresses.user, slow.rq[k].token, ADDRESS_OK, &l);
			bench_run(p.b, 100);
		}
		assert_int_equal(bench_session_count(p.gw), 1);
		bench_expect(p.gw, i ? "ike_max_sessions" : "ike_kept", 1);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		bench_free(p.b);
	}
}

// The same for the headend's own limit, with an AAA server that takes its time.
static void headend_limit_holds_for_those_that_wait(void **state)
{
	struct side s = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&s, &s);
	struct slow_aaa aaa = {.asked = 0};
	p.gw->engine->p.aaa = (struct ike_aaa){.ctx = &aaa, .authorize = authorize_later};
	p.gw->cfg->main.max_sessions = 1;
	p.b->allow_reply_before_install = true; // the refusal of the other one
	assert_true(bench_connect_from(p.client, p.gw, "c", 1500, 500) > 0);
	assert_true(bench_connect_from(p.client, p.gw, "c", 1501, 500) > 0);
	bench_run(p.b, 300);
	assert_int_equal(aaa.asked, 2);
	for (unsigned k = 0; k < 2; k++)
		ike_aaa_done(p.gw->engine, aaa.tokens[k], IKE_AAA_ACCEPT, NULL);
	bench_run(p.b, 100);
	assert_int_equal(bench_session_count(p.gw), 1);
	bench_expect(p.gw, "ike_sessions_full", 1);
	bench_free(p.b);
}

// The peer was told its address although its child SA was refused: nobody else gets it meanwhile.
static void address_without_a_child_stays(void **state)
{
	struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
				  "childless = true;",
		.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; }",
		.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "
			    "esp_proposals = [ \"aes256gcm16\" ]; }"};
	struct side client = {.more = "childless = true;"};
	struct pair p = pair_new(&gw, &client);
	struct pool_stats st;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 200000);
	bench_expect(p.gw, "ike_no_esp_proposal", 1);
	assert_int_equal(bench_session(p.gw).inner_count, 1);
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	assert_true(pools_stats(p.gw->pools, 0, &st));
	assert_int_equal(st.expired, 0);
	pair_down(&p);
}

static bool renew_none(void *ctx, const struct lease *l, uint64_t session)
{
	return false;
}

// The grant has ended before the child SA was installed, or before the peer was told that it gets
// none: the address is used no longer, and the session ends.
static void lease_that_is_lost(void **state)
{
	for (int childless = 0; childless < 2; childless++) {
		struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
					  "childless = true;",
			.children = childless
					    ? "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "
					      "esp_proposals = [ \"aes256gcm16\" ]; }"
					    : NULL};
		struct side client = {.more = "childless = true;"};
		struct pair p = pair_new(&gw, &client);
		p.gw->addresses.renew = renew_none;
		assert_true(bench_connect(p.client, p.gw, "c") > 0);
		bench_run(p.b, 1000);
		bench_expect(p.gw, "ike_lease_lost", 1);
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
		bench_run(p.b, 310000); // the pool takes it back by itself
		assert_int_equal(pool_in_use(p.gw, 0), 0);
		bench_free(p.b);
	}
}

static unsigned routes_of(struct bench_node *n)
{
	struct bench_tunnel *t;
	unsigned count = 0;
	LIST_FOREACH (t, &n->sink.tunnels, link)
		count += t->route_count;
	return count;
}

// A second IKE SA takes address and route over, and is given up: the first one has its route back,
// whether the data plane never installed the younger one's SAs or the peer has deleted it.
static void route_returns_to_the_older_session(void **state)
{
	for (int fails = 0; fails < 2; fails++) {
		struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
					  "unique = \"no\";"};
		struct pair p = pair_new(&gw, &defaults);
		assert_true(pair_up(&p));
		struct bench_tunnel *first = LIST_FIRST(&p.gw->sink.tunnels);
		assert_int_equal(first->route_count, 1);
		p.gw->sink.hold_installs = fails;
		uint64_t id = bench_connect(p.client, p.gw, "c");
		bench_run(p.b, 300);
		bench_expect(p.gw, "ike_lease_adopted", 1);
		// Until the peer uses it the older one has the route.
		assert_int_equal(first->route_count, 1);
		assert_int_equal(routes_of(p.gw), 1);
		if (!fails) {
			assert_true(pair_traffic(&p));
			bench_run(p.b, 5);
			assert_int_equal(first->route_count, 0);
			assert_int_equal(routes_of(p.gw), 1);
		}
		if (!fails)
			assert_int_equal(ike_delete_session(p.client->engine, id), 0);
		bench_run(p.b, 5000);
		p.gw->sink.hold_installs = false;
		bench_run(p.b, 1000);
		assert_int_equal(bench_session_count(p.gw), 1);
		assert_int_equal(first->route_count, 1);
		assert_int_equal(routes_of(p.gw), 1);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_true(pair_traffic(&p));
		pair_down(&p);
	}
}

// What the pools heard, and how many routes there were.
struct heard {
	struct bench_node *node;
	struct address_source inner;
	uint64_t expected, released; // fences
	unsigned routes[2];
};
static struct heard heard;

static void hear_expected(void *ctx, const struct lease *l)
{
	heard.expected = l->fence;
	heard.routes[0] = routes_of(heard.node);
	heard.inner.expect_release(ctx, l);
}

static void hear_release(void *ctx, const struct lease *l)
{
	heard.released = l->fence;
	heard.routes[1] = routes_of(heard.node);
	heard.inner.release(ctx, l);
}

// Before all else that ends with a session, for that takes the time in which a record is fetched.
static void pools_expect_what_ends(void **state)
{
	for (int by_peer = 0; by_peer < 2; by_peer++) {
		struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ];"};
		struct pair p = pair_new(&gw, &defaults);
		heard = (struct heard){.node = p.gw, .inner = p.gw->addresses};
		p.gw->addresses.expect_release = hear_expected;
		p.gw->addresses.release = hear_release;
		uint64_t id = bench_connect(p.client, p.gw, "c");
		bench_run(p.b, 300);
		assert_int_equal(pool_in_use(p.gw, 0), 1);
		assert_int_equal(heard.expected, 0);
		struct bench_node *by = by_peer ? p.client : p.gw;
		id = by_peer ? id : p.gw->engine->next_session;
		assert_int_equal(ike_delete_session(by->engine, id), 0);
		bench_run(p.b, 1000);
		assert_true(heard.expected != 0);
		assert_int_equal(heard.released, heard.expected);
		assert_int_equal(heard.routes[0], 1);
		assert_int_equal(heard.routes[1], 0);
		assert_int_equal(pool_in_use(p.gw, 0), 0);
		bench_free(p.b);
	}
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(shutdown_while_rekeying),
		T(pools_expect_what_ends),
		T(rekeyings_that_overlap),
		T(last_request_is_a_delete),
		T(last_request_of_the_peer),
		T(limits_hold_for_those_that_wait),
		T(headend_limit_holds_for_those_that_wait),
		T(address_without_a_child_stays),
		T(lease_that_is_lost),
		T(route_returns_to_the_older_session),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
