// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mode Configuration: pull, push, both, and peers that decline, talk nonsense or say nothing.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"
#include "tests/engine/v1_pair.h"

static struct v1 config_with(enum v1_config config, const char *gw_more)
{
	return v1_new(&(struct v1_setup){.config = config, .gw_more = gw_more});
}

static const struct v1_message *set_of(struct v1 *v, unsigned n)
{
	return v1_nth_cfg(v->w, v->gw, IKEV1_CFG_SET, IKEV1_CFG_IP4_ADDRESS, n);
}

// ---- pull ------------------------------------------------------------------------------------------

static void pull(void **state)
{
	struct v1 v = config_with(V1_PULL, NULL);
	char inner[IP_TEXT_MAX];
	v1_need_up(&v);
	assert_true(v1_lease(&v, inner));
	assert_true(v1_traffic(&v));
	const struct v1_message *rq =
		v1_nth_cfg(v.w, v.client, IKEV1_CFG_REQUEST, IKEV1_CFG_IP4_ADDRESS, 1);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 1);
	assert_non_null(rq);
	assert_non_null(reply);
	assert_int_equal(reply->h.message_id, rq->h.message_id);
	assert_int_equal(reply->cfg.identifier, rq->cfg.identifier);
	assert_int_equal(reply->m.payload_count, 2); // HASH and ATTRIBUTES
	assert_non_null(ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP4_DNS));
	assert_null(set_of(&v, 1));
	assert_string_equal(bench_session(v.gw).mode_config, "pull");
	v1_down(&v);
}

// A second request in the same session gets the same again.
static void same_address_again(void **state)
{
	struct v1 v = config_with(V1_PULL, NULL);
	uint8_t buf[64];
	struct wire_builder b;
	struct ip_addr a;
	v1_need_up(&v);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REQUEST, 7);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){NULL, 0});
	wire_close(&b);
	v1_make(v.w, &(struct v1_made){.from = v.client,
			     .sa = v1_sa(v.client),
			     .exchange = IKEV1_EXCHANGE_TRANSACTION,
			     .payloads = &b});
	bench_run(v.b, 50);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 2);
	assert_non_null(reply);
	assert_int_equal(reply->cfg.identifier, 7);
	assert_true(
		ikev1_attr_address(ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP4_ADDRESS), IP_V4, &a));
	struct ike_session_info s = bench_session(v.gw);
	assert_int_equal(s.inner_count, 1);
	assert_true(ip_eq(&a, &s.inner[0]));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	v1_down(&v);
}

// Both families; the address is of 16 bytes, as the draft has it.
static void both_families(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.config = V1_NONE,
		.pools = POOL4 ", " POOL6,
		.gw_more = "mode_config = [ \"respond\" ]; pools = [ \"p4\", \"p6\" ];"});
	struct cfg_connection *c = &v.client->cfg->connections[0];
	c->request_v4 = c->request_v6 = true;
	v1_connect(&v);
	bench_run(v.b, 200);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP6_ADDRESS, 1);
	assert_non_null(reply);
	assert_non_null(ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP4_ADDRESS));
	assert_int_equal(ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP6_ADDRESS)->value.len, 16);
	struct ike_session_info s = bench_session(v.gw), k = bench_session(v.client);
	assert_int_equal(s.inner_count, 2);
	assert_int_equal(k.inner_count, 2);
	assert_true(ip_eq(&s.inner[1], &k.inner[1]));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	assert_int_equal(pool_in_use(v.gw, 1), 1);
	v1_free(&v);
}

// Networks of both families: IPv6 ones are told to who asks for IP6_SUBNET, Unity's list has
// IPv4 alone.
static void subnets_where_asked(void **state)
{
	static const uint8_t six[] = {
		0x20, 0x01, 0x0d, 0xb8, 0, 0x99, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 48};
	static const uint8_t four[] = {10, 99, 0, 0, 255, 255, 255, 0};
	static const uint8_t unity[IKEV1_UNITY_NET_LEN] = {10, 99, 0, 0, 255, 255, 255, 0};
	static const struct {
		uint16_t asked;
		const uint8_t *value;
		size_t len;
	} rows[] = {{IKEV1_CFG_IP6_SUBNET, six, sizeof(six)},
		{IKEV1_CFG_IP4_SUBNET, four, sizeof(four)},
		{IKEV1_CFG_UNITY_SPLIT_INCLUDE, unity, sizeof(unity)}};
	struct v1 v =
		config_with(V1_PULL, "split_include = [ \"10.99.0.0/24\", \"2001:db8:99::/48\" ];");
	v1_need_up(&v);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t buf[64];
		struct wire_builder b;
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_open_cfg(&b, IKEV1_CFG_REQUEST, 7);
		ikev1_put_attr(&b, rows[i].asked, (struct view){NULL, 0});
		wire_close(&b);
		v1_make(v.w, &(struct v1_made){.from = v.client,
				     .sa = v1_sa(v.client),
				     .exchange = IKEV1_EXCHANGE_TRANSACTION,
				     .payloads = &b});
		bench_run(v.b, 50);
		const struct v1_message *reply = v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, 0, 2 + i);
		assert_non_null(reply);
		for (unsigned k = 0; k < 3; k++) {
			const struct ikev1_attr *a = ikev1_cfg_find(&reply->cfg, rows[k].asked);
			assert_int_equal(a != NULL, k == i);
			if (a)
				assert_true(view_eq(
					a->value, (struct view){rows[k].value, rows[k].len}));
		}
	}
	v1_down(&v);
}

// A connection without "respond" answers with nothing, and the client ends.
static void not_answered(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.config = V1_NONE});
	v.client->cfg->connections[0].request_v4 = true;
	assert_false(v1_up_within(&v, 3000));
	bench_expect(v.gw, "ikev1_cfg_off", 1);
	const struct v1_message *reply = v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, 0, 1);
	assert_non_null(reply);
	assert_int_equal(reply->cfg.count, 0);
	v1_free(&v);
}

// Row 73 of the catalogue.
static void hostile_request(void **state)
{
	static uint8_t buf[4096];
	static const uint8_t v6[16] = {0x20, 0x01};
	struct v1 v = config_with(V1_PULL, NULL);
	struct wire_builder b;
	v1_need_up(&v);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REQUEST, 1);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){v6, 16}); // IPv6 in an IPv4 one
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){NULL, 0});
	ikev1_put_attr(&b, IKEV1_CFG_IP6_ADDRESS, (struct view){v6, 4});
	ikev1_put_attr(&b, IKEV1_CFG_UNITY_PFS, (struct view){v6, 9});
	for (unsigned i = 0; i < 251; i++)
		ikev1_put_attr(&b, (uint16_t)(0x5000 + i * 7), (struct view){NULL, 0});
	wire_close(&b);
	v1_make(v.w, &(struct v1_made){.from = v.client,
			     .sa = v1_sa(v.client),
			     .exchange = IKEV1_EXCHANGE_TRANSACTION,
			     .payloads = &b});
	bench_run(v.b, 50);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 2);
	unsigned addresses = 0;
	if (!reply)
		v1_print(v.w);
	assert_non_null(reply);
	for (uint8_t i = 0; i < reply->cfg.count; i++)
		addresses += reply->cfg.attrs[i].type == IKEV1_CFG_IP4_ADDRESS ||
			     reply->cfg.attrs[i].type == IKEV1_CFG_IP6_ADDRESS;
	assert_int_equal(addresses, 1);
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	v1_down(&v);
}

// Transactions that nobody waits for, from an authenticated peer: each is counted, none is answered
// but as it must be, and the session goes on.
static void transactions_out_of_place(void **state)
{
	static const struct {
		const char *bytes; // of the ATTRIBUTES payload
		size_t len;
		const char *counter;
		uint8_t answer; // IKEV1_CFG_*, 0: none
	} cases[] = {
		{"", 0, "ikev1_cfg_bad", 0},
		{"\1\0\0", 3, "ikev1_cfg_bad", 0},
		{"\1\0\0\0\0\1\0\4\1\2", 10, "ikev1_cfg_bad", 0}, // an attribute cut short
		{"\1\0\0\0\0\1\xff\xff", 8, "ikev1_cfg_bad", 0},
		{"\0\0\0\0", 4, "ikev1_cfg_bad", 0},
		{"\2\0\0\0", 4, "ikev1_cfg_bad", 0},
		{"\4\0\0\0", 4, "ikev1_cfg_bad", 0},
		{"\xff\0\0\0", 4, "ikev1_cfg_bad", 0},
		{"\1\0\0\0\x40\x89\0\0\x40\x8a\0\0", 12, "ikev1_xauth_unexpected", 0},
		{"\3\0\0\0\xc0\x8f\0\1", 8, "ikev1_xauth_unexpected", 0},
		{"\3\0\0\0\0\1\0\4\x0a\1\0\5", 12, "ikev1_cfg_off", IKEV1_CFG_ACK},
		{"\3\0\0\0", 4, "ikev1_cfg_off", IKEV1_CFG_ACK},
		{"\1\0\0\0", 4, "ikev1_cfg_pulled", IKEV1_CFG_REPLY},
	};
	struct v1 v = config_with(V1_PULL, NULL);
	v1_need_up(&v);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t before = bench_counter(v.gw, cases[i].counter);
		uint8_t buf[64];
		struct wire_builder b;
		v1_watch_forget(v.w);
		wire_build_begin(&b, buf, sizeof(buf));
		wire_put_raw(&b, IKEV1_PAYLOAD_ATTRIBUTES,
			(struct view){(const uint8_t *)cases[i].bytes, cases[i].len});
		v1_make(v.w, &(struct v1_made){.from = v.client,
				     .sa = v1_sa(v.client),
				     .exchange = IKEV1_EXCHANGE_TRANSACTION,
				     .payloads = &b});
		bench_run(v.b, 20);
		assert_int_equal(bench_counter(v.gw, cases[i].counter), before + 1);
		const struct v1_message *m = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 1);
		assert_int_equal(m ? m->cfg.type : 0, cases[i].answer);
		assert_true(v1_sent(v.w, v.gw, 0) <= 1);
	}
	assert_true(v1_traffic(&v));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	v1_down(&v);
}

static void pool_used_up(void **state)
{
	static const char one[] = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 0; }";
	static const enum v1_config cases[] = {V1_PULL, V1_PUSH};
	for (size_t i = 0; i < 2; i++) {
		struct v1_setup s = {.config = cases[i], .pools = one};
		struct v1 v = v1_new(&s);
		struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
		v1_need_up(&v);
		assert_true(bench_connect(other, v.gw, "c") > 0);
		bench_run(v.b, 5000);
		assert_true(bench_empty(other));
		assert_int_equal(bench_counter(v.gw, "ike_pool_exhausted"), 1);
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

// ---- push ------------------------------------------------------------------------------------------

static void push(void **state)
{
	for (int before = 0; before < 2; before++) {
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = true,
			.xauth = true,
			.config = V1_PUSH,
			.before_status = before});
		v1_need_up(&v);
		assert_true(v1_traffic(&v));
		const struct v1_message *set = set_of(&v, 1);
		const struct v1_message *status =
			v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, IKEV1_CFG_XAUTH_STATUS, 1);
		assert_non_null(set);
		assert_int_equal(set->at_ms < status->at_ms, before);
		bench_expect(v.gw, "ikev1_cfg_pushed", 1);
		assert_string_equal(bench_session(v.gw).mode_config, "push");
		assert_string_equal(bench_session(v.gw).user, V1_USER);
		v1_down(&v);
	}
}

// The SET or its ACK lost, once and always.
static void push_retransmitted(void **state)
{
	for (unsigned n = 1; n <= 2; n++)
		for (int side = 0; side < 2; side++) {
			struct v1 v = config_with(V1_PUSH, NULL);
			for (unsigned i = 1; i <= n; i++)
				v1_drop(v.w, side ? v.gw : v.client, IKEV1_EXCHANGE_TRANSACTION, i);
			v1_need_up(&v);
			assert_true(v1_traffic(&v));
			v1_down(&v);
		}
}

static enum bench_fate lose(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->cfg.type == *(uint8_t *)arg ? BENCH_DROP : BENCH_PASS;
}

// The ACK never arrives, but quick mode claims the address: it is kept.
static void push_acknowledged_by_quick_mode(void **state)
{
	uint8_t ack = IKEV1_CFG_ACK;
	struct v1 v = config_with(V1_PUSH, NULL);
	v1_filter_add(v.w, lose, &ack);
	v1_need_up(&v);
	assert_true(v1_traffic(&v));
	bench_expect(v.gw, "ikev1_cfg_pushed", 1);
	bench_expect(v.gw, "ikev1_cfg_silent", 0);
	v1_down(&v);
}

static bool has_counted_silent(void *arg)
{
	return bench_counter(arg, "ikev1_cfg_silent") == 1;
}

// A silent peer: three SETs, then the connection goes on without a lease, or ends.
static void silent(void **state)
{
	for (int required = 0; required < 2; required++) {
		uint8_t set = IKEV1_CFG_SET;
		struct v1 v = config_with(V1_PUSH, required ? "address_required = true;" : NULL);
		v1_filter_add(v.w, lose, &set);
		v1_connect(&v);
		assert_true(bench_run_until(v.b, has_counted_silent, v.gw, 10000));
		const struct v1_message *first = set_of(&v, 1);
		uint64_t delay = v.b->now_ns / NS_PER_MS - first->at_ms;
		// 0.5 s, 1 s and 2 s
		assert_in_range(delay % 100000, 3499, 3505);
		assert_int_equal(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION), 3);
		bench_run(v.b, 100);
		assert_int_equal(bench_empty(v.gw), required);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		bench_expect(v.gw, "ikev1_no_config", !required);
		v1_free(&v);
	}
}

// A peer that does not want an address goes on with its own.
static void declined(void **state)
{
	for (int required = 0; required < 2; required++) {
		struct v1 v = config_with(V1_PUSH, required ? "address_required = true;" : NULL);
		v.client->cfg->connections[0].request_push = false;
		bool up = v1_up_within(&v, 3000);
		bench_expect(v.gw, "ikev1_cfg_declined", 1);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		assert_int_equal(v1_child_count(v.gw), !required);
		if (required) { // and nothing comes of it
			bench_run(v.b, (IKE_CHILDLESS_S + 2) * 1000);
			assert_true(v1_are_empty(&v));
		} else {
			assert_true(up);
			assert_int_equal(bench_session(v.gw).inner_count, 0);
			assert_string_equal(bench_session(v.gw).mode_config, "none");
			assert_true(bench_traffic(v.client, v.gw, CLIENT_ADDR, "10.99.0.7"));
		}
		v1_free(&v);
	}
}

struct ack {
	uint8_t type;
	const char *address; // "": empty; NULL: no such attribute
};

static enum bench_fate lose_sets(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->cfg.type == IKEV1_CFG_SET ? BENCH_DROP : BENCH_PASS;
}

static void send_ack(struct v1 *v, const struct ack *a)
{
	const struct v1_message *set = set_of(v, 1);
	uint8_t buf[64];
	struct wire_builder b;
	struct ip_addr addr = {0};
	assert_non_null(set);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, a->type, set->cfg.identifier);
	if (a->address && a->address[0])
		assert_int_equal(ip_parse(a->address, &addr), 0);
	if (a->address)
		ikev1_put_attr(
			&b, IKEV1_CFG_IP4_ADDRESS, (struct view){addr.bytes, ip_len(addr.family)});
	wire_close(&b);
	v1_make(v->w, &(struct v1_made){.from = v->client,
			      .sa = v1_any_sa(v->client),
			      .exchange = IKEV1_EXCHANGE_TRANSACTION,
			      .message_id = set->h.message_id,
			      .payloads = &b});
	bench_run(v->b, 50);
}

// libreswan acknowledges with the values, strongSwan and vpnc with empty attributes, others nothing.
static void forms_of_ack(void **state)
{
	static const struct {
		struct ack ack;
		const char *counter;
	} cases[] = {
		{{.type = IKEV1_CFG_ACK, .address = ""}, "ikev1_cfg_pushed"},
		{{.type = IKEV1_CFG_ACK, .address = "10.1.0.1"}, "ikev1_cfg_pushed"},
		{{.type = IKEV1_CFG_ACK, .address = "10.1.0.5"}, "ikev1_cfg_declined"},
		{{.type = IKEV1_CFG_ACK, .address = "2001:db8::1"}, "ikev1_cfg_declined"},
		{{.type = IKEV1_CFG_ACK}, "ikev1_cfg_declined"},
		{{.type = IKEV1_CFG_REPLY, .address = ""}, "ikev1_cfg_bad"},
		{{.type = 77}, "ikev1_cfg_bad"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){.config = V1_PUSH,
			.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 0; }"});
		v1_filter_add(v.w, lose_sets, NULL);
		v1_connect(&v);
		bench_run(v.b, 200);
		send_ack(&v, &cases[i].ack);
		bench_expect(v.gw, cases[i].counter, 1);
		bool kept = strcmp(cases[i].counter, "ikev1_cfg_declined") != 0;
		assert_int_equal(pool_in_use(v.gw, 0), kept);
		v1_free(&v);
	}
}

// ---- both ------------------------------------------------------------------------------------------

// A request in time cancels the push.
static void request_cancels_the_push(void **state)
{
	struct v1 v = config_with(V1_BOTH, NULL);
	v1_need_up(&v);
	bench_run(v.b, 2000);
	assert_null(set_of(&v, 1));
	assert_string_equal(bench_session(v.gw).mode_config, "pull");
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// Who waits is pushed an address after the delay.
static void held_push(void **state)
{
	struct v1 v = config_with(V1_BOTH_WAIT, "push_delay_ms = 700;");
	v1_need_up(&v);
	const struct v1_message *set = set_of(&v, 1);
	const struct v1_message *mm6 = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_MAIN, 3);
	assert_non_null(set);
	assert_in_range(set->at_ms - mm6->at_ms, 699, 705);
	assert_string_equal(bench_session(v.gw).mode_config, "push");
	// A request that comes late all the same gets what was pushed.
	uint8_t buf[64];
	struct wire_builder b;
	struct ip_addr pushed, pulled;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REQUEST, 7);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){NULL, 0});
	wire_close(&b);
	v1_make(v.w, &(struct v1_made){.from = v.client,
			     .sa = v1_sa(v.client),
			     .exchange = IKEV1_EXCHANGE_TRANSACTION,
			     .payloads = &b});
	bench_run(v.b, 50);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 1);
	assert_non_null(reply);
	assert_true(ikev1_attr_address(
		ikev1_cfg_find(&set->cfg, IKEV1_CFG_IP4_ADDRESS), IP_V4, &pushed));
	assert_true(ikev1_attr_address(
		ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP4_ADDRESS), IP_V4, &pulled));
	assert_true(ip_eq(&pushed, &pulled));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	v1_down(&v);
}

// A request that was late, or crosses the SET, gets the same address.
static void crossing_request(void **state)
{
	struct v1 v = config_with(V1_BOTH, "push_delay_ms = 300;");
	v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
	v1_connect(&v);
	bench_run(v.b, 350);
	const struct v1_message *set = set_of(&v, 1);
	struct ip_addr pushed, pulled;
	assert_non_null(set);
	assert_true(ikev1_attr_address(
		ikev1_cfg_find(&set->cfg, IKEV1_CFG_IP4_ADDRESS), IP_V4, &pushed));
	v1_release(v.w);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 3000));
	bench_expect(v.gw, "ikev1_cfg_crossed", 1);
	const struct v1_message *reply =
		v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 1);
	assert_non_null(reply);
	assert_true(ikev1_attr_address(
		ikev1_cfg_find(&reply->cfg, IKEV1_CFG_IP4_ADDRESS), IP_V4, &pulled));
	assert_true(ip_eq(&pushed, &pulled));
	assert_int_equal(pool_in_use(v.gw, 0), 1);
	// No SET was left open: it is not sent again.
	bench_run(v.b, 5000);
	assert_int_equal(bench_counter(v.gw, "ikev1_cfg_silent"), 0);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// Quick mode during the hold ends the push: a peer that wants no address is not asked later.
static void quick_mode_ends_the_push(void **state)
{
	struct v1 v = config_with(V1_BOTH_WAIT, "push_delay_ms = 700;");
	v.client->cfg->connections[0].request_push = false;
	v1_need_up(&v);
	bench_run(v.b, 3000);
	assert_null(set_of(&v, 1));
	assert_int_equal(bench_session(v.gw).inner_count, 0);
	v1_down(&v);
}

// ---- before the login is over ------------------------------------------------------------------------

// Nothing but XAUTH is answered before its end, and nothing is taken from a pool.
static void early_request(void **state)
{
	struct v1 v =
		v1_new(&(struct v1_setup){.aggressive = true, .xauth = true, .password = "wrong"});
	uint8_t buf[64];
	struct wire_builder b;
	v1_drop(v.w, v.gw, IKEV1_EXCHANGE_TRANSACTION, 1);
	v1_connect(&v);
	bench_run(v.b, 200);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REQUEST, 7);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, (struct view){NULL, 0});
	wire_close(&b);
	v1_make(v.w, &(struct v1_made){.from = v.client,
			     .sa = v1_any_sa(v.client),
			     .exchange = IKEV1_EXCHANGE_TRANSACTION,
			     .payloads = &b});
	bench_run(v.b, 20);
	bench_expect(v.gw, "ikev1_cfg_early", 1);
	assert_null(v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, 0, 1));
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pull),
		cmocka_unit_test(same_address_again),
		cmocka_unit_test(both_families),
		cmocka_unit_test(subnets_where_asked),
		cmocka_unit_test(not_answered),
		cmocka_unit_test(hostile_request),
		cmocka_unit_test(transactions_out_of_place),
		cmocka_unit_test(pool_used_up),
		cmocka_unit_test(push),
		cmocka_unit_test(push_retransmitted),
		cmocka_unit_test(push_acknowledged_by_quick_mode),
		cmocka_unit_test(silent),
		cmocka_unit_test(declined),
		cmocka_unit_test(forms_of_ack),
		cmocka_unit_test(request_cancels_the_push),
		cmocka_unit_test(held_push),
		cmocka_unit_test(crossing_request),
		cmocka_unit_test(quick_mode_ends_the_push),
		cmocka_unit_test(early_request),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
