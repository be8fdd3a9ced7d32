// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Refusals and ends that have a reason of their own, each brought about once.
#include "controlplane/exchange.h"
#include "tests/engine/configs.h"
#include "tests/engine/pair.h"

static const struct side defaults;
static const struct view empty = {NULL, 0};

// ---- before the IKE SA -------------------------------------------------------------------------

static void address_of_no_connection(void **state)
{
	struct side gw = {
		.remote = "id = \"*\"; auth = \"psk\"; addresses = [ \"203.0.113.0/24\" ];"};
	struct pair p = pair_new(&gw, &defaults);
	assert_false(pair_up(&p));
	bench_expect(p.gw, "ike_no_connection", IKE_REFUSED_TRIES);
	bench_expect(p.client, "ike_init_refused", IKE_REFUSED_TRIES);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

static enum bench_fate drop_auth(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_IKE_AUTH ? BENCH_DROP : BENCH_PASS;
}

// A source that proves its address by cookies has half of the room at most.
static void one_source_does_not_fill_the_room(void **state)
{
	struct bench_pair p = bench_pair_new(
		"main: { half_open_timeout_s = 30; cookie_threshold = 1000; half_open_max = 32; };" BENCH_GATEWAY,
		BENCH_CLIENT);
	bench_filter_add(p.b, drop_auth, NULL);
	for (uint16_t i = 0; i < 30; i++)
		assert_true(
			bench_connect_from(p.client, p.gw, "home", (uint16_t)(2000 + i), 500) > 0);
	bench_run(p.b, 300);
	assert_int_equal(p.gw->engine->half_open, 17);
	assert_true(bench_counter(p.gw, "ike_half_open_source") >= 13);
	bench_filters_clear(p.b);
	// Another source comes in.
	struct bench_node *other = bench_add(p.b, "other", "198.51.100.77", BENCH_CLIENT);
	bench_connect(other, p.gw, "home");
	assert_true(bench_run_until(p.b, bench_established, other, 3000));
	bench_free(p.b);
}

// ---- around the keys ---------------------------------------------------------------------------

static void send_clear(struct bench *b, struct bench_node *from, struct bench_node *to,
	const struct ike_header *h, uint8_t payload, struct view body)
{
	uint8_t buf[512];
	struct wire_builder w;
	struct endpoint source = {from->addr, 500}, target = {to->addr, 500};
	wire_build_message(&w, buf, sizeof(buf), h);
	wire_put_raw(&w, payload, body);
	struct view v = wire_build_done(&w);
	bench_inject(b, &source, &target, v.p, v.len);
	bench_run(b, 5);
}

static void protected_before_there_are_keys(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	p.gw->job_delay_ns = NS_PER_S;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 100);
	struct ike_sa *sa = LIST_FIRST(&p.gw->engine->all_sas);
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_IKE_AUTH,
		.flags = IKE_FLAG_INITIATOR,
		.message_id = 1};
	uint64_t sent = p.gw->sent;
	send_clear(p.b, p.client, p.gw, &h, IKEV2_PAYLOAD_VENDOR, empty);
	bench_expect(p.gw, "ike_no_keys", 1);
	assert_int_equal(p.gw->sent, sent);
	assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
	bench_free(p.b);
}

static void outside_of_the_protection(void **state)
{
	static const uint8_t payloads[] = {IKEV2_PAYLOAD_DELETE, IKEV2_PAYLOAD_VENDOR};
	static const uint8_t delete_ike[] = {1, 0, 0, 0};
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	uint64_t sent = p.gw->sent;
	for (size_t i = 0; i < 2; i++) {
		struct ike_header h = {.spi_i = p.gw_sa->spi_i,
			.spi_r = p.gw_sa->spi_r,
			.major = 2,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.flags = IKE_FLAG_INITIATOR,
			.message_id = p.gw_sa->next_in};
		send_clear(p.b, p.client, p.gw, &h, payloads[i],
			(struct view){delete_ike, sizeof(delete_ike)});
	}
	bench_expect(p.gw, "ike_not_protected", 2);
	assert_int_equal(p.gw->sent, sent);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

// The last IV has been used: nothing more is sealed under this key, and the IKE SA ends.
static void no_iv_is_left(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	p.gw_sa->crypt.seal_count = UINT64_MAX;
	uint64_t sent = p.gw->sent;
	assert_int_equal(ike_probe(p.client->engine, 1), 0); // wants an answer
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_iv_exhausted", 1);
	bench_expect(p.gw, "ike_crypto", 0);
	assert_int_equal(p.gw->sent, sent);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

// ---- as initiator ------------------------------------------------------------------------------

// Something that asks for another cookie every time.
static enum bench_fate always_a_cookie(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_pair *pair = arg;
	struct ike_header h = bench_header(p);
	if (ike_header_response(&h))
		return BENCH_PASS;
	uint8_t buf[128], cookie[8];
	struct wire_builder w;
	memcpy(cookie, &b->packet_count, 8);
	h.flags = IKE_FLAG_RESPONSE;
	wire_build_message(&w, buf, sizeof(buf), &h);
	wire_put_notify(&w, IKEV2_NOTIFY_COOKIE, (struct view){cookie, 8});
	struct view v = wire_build_done(&w);
	bench_inject(b, &p->to, &p->from, v.p, v.len);
	return pair->gw ? BENCH_DROP : BENCH_PASS;
}

static void cookies_without_end(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_filter_add(p.b, always_a_cookie, &p);
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 2000);
	bench_expect(p.client, "ike_init_loop", 1);
	assert_true(p.client->sent < 10);
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// The first key length attribute of the answer becomes 256 bits: that was not offered.
static enum bench_fate longer_key(struct bench *b, struct bench_packet *p, void *arg)
{
	static const uint8_t from[] = {0x80, 0x0e, 0x00, 0x80};
	struct ike_header h = bench_header(p);
	uint8_t *at = memmem(p->bytes, p->len, from, sizeof(from));
	if (ike_header_response(&h) && at)
		memcpy(at + 2, "\x01\x00", 2);
	return BENCH_PASS;
}

static void answer_that_was_not_offered(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_filter_add(p.b, longer_key, NULL);
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 1000);
	bench_expect(p.client, "ike_proposal_altered", 1);
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

// ---- ends --------------------------------------------------------------------------------------

static void ends_have_names(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	p.client->cfg->connections[0].lifetime.ike_hard_s = 100;
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_child_created", 1);
	bench_run(p.b, 101000);
	bench_expect(p.client, "ike_hard_lifetime", 1);
	bench_expect(p.client, "ike_deleted", 1);
	bench_expect(p.gw, "ike_deleted_by_peer", 1);
	assert_true(bench_empty(p.gw));
	// Half-open ones are closed without a word.
	p.gw->hold_jobs = true;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 50);
	ike_shutdown(p.client->engine, p.b->now_ns + NS_PER_S);
	bench_expect(p.client, "ike_closed", 1);
	bench_run(p.b, 200000);
	bench_free(p.b);
}

static void no_child_comes(void **state)
{
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ];"
				     " remote_ts = [ \"10.98.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&defaults, &c);
	assert_true(pair_up(&p));
	bench_run(p.b, IKE_CHILDLESS_S * 1000 + 500);
	assert_true(
		bench_counter(p.gw, "ike_childless") + bench_counter(p.client, "ike_childless") >
		0);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

static enum bench_fate drop_client_informational(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_INFORMATIONAL ? BENCH_DROP : BENCH_PASS;
}

// The peer that rekeyed never deletes the old IKE SA.
static void rekeyed_and_left(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	bench_filter_add(p.b, drop_client_informational, NULL);
	assert_int_equal(ike_rekey_ike(p.client->engine, 1), 0);
	bench_run(p.b, IKE_REKEYED_GRACE_S * 1000 + 500);
	bench_expect(p.gw, "ike_replaced", 1);
	assert_int_equal(p.gw->engine->sa_count, 1);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

// ---- child SAs ---------------------------------------------------------------------------------

// Both rekey the same child at once: one of the two new ones is too many.
static void rekeying_that_collides(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	p.b->allow_reply_before_install = true;
	uint32_t a = bench_session(p.client).children[0].spi_in;
	uint32_t b = bench_session(p.gw).children[0].spi_in;
	assert_int_equal(ike_rekey_child(p.client->engine, 1, a), 0);
	assert_int_equal(ike_rekey_child(p.gw->engine, 1, b), 0);
	bench_run(p.b, 1000);
	bench_expect(p.gw, "ike_rekey_simultaneous", 1);
	bench_expect(p.client, "ike_rekey_simultaneous", 1);
	assert_int_equal(bench_counter(p.gw, "ike_rekey_redundant") +
				 bench_counter(p.client, "ike_rekey_redundant"),
		1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// One rekeys the child, the other the IKE SA: both have to wait.
static void rekeying_that_waits(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	uint32_t a = bench_session(p.client).children[0].spi_in;
	assert_int_equal(ike_rekey_child(p.client->engine, 1, a), 0);
	assert_int_equal(ike_rekey_ike(p.gw->engine, 1), 0);
	bench_run(p.b, 50);
	bench_expect(p.gw, "ike_rekey_collision", 1);
	bench_expect(p.client, "ike_rekey_collision", 1);
	bench_expect(p.gw, "ike_rekey_later", 1);
	bench_expect(p.client, "ike_rekey_later", 1);
	bench_run(p.b, 5000);
	bench_expect(p.gw, "ike_ike_rekeyed", 1);
	bench_expect(p.client, "ike_child_rekeyed", 1);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// A client whose policy has shrunk would lose traffic by the rekeying.
static void rekeying_that_narrows(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_session *s = ike_session_by_id(p.client->engine, 1);
	struct ike_child *c = LIST_FIRST(&s->children);
	c->ts_remote[0].range.hi = c->ts_remote[0].range.lo;
	assert_int_equal(ike_rekey_child(p.client->engine, 1, c->spi_in), 0);
	bench_run(p.b, 500);
	bench_expect(p.gw, "ike_ts_rekey", 1);
	bench_expect(p.client, "ike_rekey_refused", 1);
	assert_int_equal(bench_session(p.gw).child_count, 1);
	pair_down(&p);
}

// More destinations than one session may have.
static void too_many_destinations(void **state)
{
#define SITE_TS "[ \"0.0.0.1-127.255.255.254\", \"128.0.0.1-255.255.255.254\" ]"
	struct side gw = {.more = "",
		.pools = "",
		.children =
			"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = " SITE_TS
			"; esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {.children = "{ name = \"lan\"; local_ts = " SITE_TS
				     "; remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_route_limit", 1);
	bench_expect(p.client, "ike_child_refused", 1);
	assert_int_equal(p.gw->engine->child_count, 0);
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(address_of_no_connection),
		T(one_source_does_not_fill_the_room),
		T(protected_before_there_are_keys),
		T(outside_of_the_protection),
		T(no_iv_is_left),
		T(cookies_without_end),
		T(answer_that_was_not_offered),
		T(ends_have_names),
		T(no_child_comes),
		T(rekeyed_and_left),
		T(rekeying_that_collides),
		T(rekeying_that_waits),
		T(rekeying_that_narrows),
		T(too_many_destinations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
