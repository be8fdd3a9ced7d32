// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// MOBIKE against peers and strangers that mean harm, and messages that no peer of ours sends.
#include "tests/engine/mobike_pair.h"

static const struct view nothing = {NULL, 0};

// ---- requests by hand ------------------------------------------------------------------------------

struct talk {
	struct bench_pair p;
	struct wire_builder b; // of the next request
	uint8_t buf[8192];
	struct bench_packet answer; // the gateway's last response
	struct ike_message reply;   // views into plain
	uint8_t plain[8192];
	uint64_t gw_bytes, client_bytes;
};

static enum bench_fate watch(struct bench *b, struct bench_packet *p, void *arg)
{
	struct talk *t = arg;
	struct ike_header h = bench_header(p);
	bool from_gw = ip_eq(&p->from.addr, &t->p.gw->addr);
	*(from_gw ? &t->gw_bytes : &t->client_bytes) += p->len;
	if (from_gw && ike_header_response(&h))
		memcpy(&t->answer, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_PASS;
}

static void talk_begin(struct talk *t)
{
	memset(t, 0, sizeof(*t));
	t->p = mobike_up();
	bench_filter_add(t->p.b, watch, t);
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
}

// From this address of the client; the answer goes back there.
static void say(struct talk *t, const char *from)
{
	struct ike_sa *sa = t->p.client_sa;
	struct endpoint was = sa->local, local = bench_at(from, IKE_NAT_T_PORT);
	size_t len;
	uint32_t id = t->p.gw_sa->next_in;
	sa->local = local;
	t->answer.len = 0;
	bench_send_sealed(t->p.client, sa, IKEV2_EXCHANGE_INFORMATIONAL, id, false, &t->b);
	sa->local = was;
	bench_run(t->p.b, 20);
	struct ike_header h = bench_header(&t->answer);
	struct view d = {t->answer.bytes, t->answer.len};
	assert_int_equal(h.message_id, id);
	assert_true(endpoint_eq(&t->answer.to, &local));
	assert_int_equal(ike_open(&sa->crypt, d, IKE_HEADER_LEN + 4, t->plain, &len), 0);
	assert_int_equal(
		wire_message_parse((struct view){t->plain, len}, d.p[IKE_HEADER_LEN], &t->reply),
		WIRE_OK);
	sa->next_out = id + 1;
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
}

static void put(struct talk *t, uint16_t type)
{
	wire_put_notify(&t->b, type, nothing);
}

static void put_nat_detection(struct talk *t)
{
	static const uint8_t hash[IKEV2_NAT_HASH_LEN];
	struct view v = {hash, sizeof(hash)};
	wire_put_notify(&t->b, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP, v);
	wire_put_notify(&t->b, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP, v);
}

static bool said(const struct talk *t, uint16_t type)
{
	return wire_notify_find(&t->reply, type) != NULL;
}

// ---- strangers -------------------------------------------------------------------------------------

static enum bench_fate keep_update(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_packet *kept = arg;
	struct ike_header h = bench_header(p);
	if (kept->len == 0 && h.exchange == IKEV2_EXCHANGE_INFORMATIONAL &&
		is_at(&p->from, CLIENT_2) && !ike_header_response(&h))
		memcpy(kept, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_PASS;
}

static void resend(struct bench_pair *p, const struct bench_packet *kept, const char *from)
{
	struct endpoint thief = bench_at(from, 4500);
	bench_inject(p->b, &thief, &kept->to, kept->bytes, kept->len);
	bench_run(p->b, 100);
}

// Who captures an update and sends it again, at once or later, moves nobody.
static void captured_update(void **state)
{
	static struct bench_packet kept;
	struct bench_pair p = mobike_up();
	memset(&kept, 0, sizeof(kept));
	bench_filter_add(p.b, keep_update, &kept);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 100);
	assert_true(kept.len > 0);
	for (int i = 0; i < 3; i++) {
		unsigned moved = p.gw->sink.moves;
		uint64_t bytes = p.gw->sent_bytes;
		resend(&p, &kept, "203.0.113.66");
		assert_int_equal(p.gw->sink.moves, moved);
		assert_true(p.gw->sent_bytes - bytes <= kept.len);
		assert_false(is_at(&p.gw_sa->remote, "203.0.113.66"));
		bench_expect(p.gw, "ike_mobike_update", i ? 2 : 1);
		if (i == 0)
			assert_int_equal(move_node(p.client, CLIENT_1), 0);
		bench_run(p.b, 100);
	}
	expect_path(p.gw, GW_1, CLIENT_1);
	expect_one_session(&p);
	bench_free(p.b);
}

static enum bench_fate keep_probe(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_packet *kept = arg;
	struct ike_header h = bench_header(p);
	if (kept->len == 0 && h.exchange == IKEV2_EXCHANGE_INFORMATIONAL &&
		is_at(&p->from, INSIDE) && !ike_header_response(&h))
		memcpy(kept, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_PASS;
}

static void probe(struct bench_pair *p)
{
	assert_int_equal(ike_probe(p->client->engine, bench_session(p->client).id), 0);
	bench_run(p->b, 50);
}

// Without MOBIKE a fresh message moves a peer behind a NAT (RFC 7296 2.23), a repeated one does not, and
// without a NAT none does.
static void messages_without_mobike(void **state)
{
	static struct bench_packet kept;
	struct bench_pair p = bench_pair_new(
		BENCH_GATEWAY_WITH(BENCH_PROPOSAL, " mobike = false;"), BENCH_CLIENT);
	memset(&kept, 0, sizeof(kept));
	bench_address_add(p.client, INSIDE);
	bench_nat_add(p.b, INSIDE, OUTSIDE);
	bench_pair_up(&p);
	bench_run(p.b, 50);
	struct endpoint was = p.client_sa->local;
	p.client_sa->local.addr = bench_at(INSIDE, 0).addr;
	probe(&p);
	assert_true(is_at(&p.gw_sa->remote, CLIENT_1));
	p.gw_sa->nat_remote = true;
	bench_filter_add(p.b, keep_probe, &kept);
	probe(&p);
	assert_true(is_at(&p.gw_sa->remote, OUTSIDE));
	assert_true(is_at(&path_of(p.gw)->remote, OUTSIDE));
	assert_true(kept.len > 0);
	for (int i = 0; i < 3; i++) {
		resend(&p, &kept, "203.0.113.66");
		assert_true(is_at(&p.gw_sa->remote, OUTSIDE));
		assert_true(is_at(&path_of(p.gw)->remote, OUTSIDE));
		probe(&p); // the captured one is older from now on
	}
	p.client_sa->local = was;
	probe(&p);
	assert_true(is_at(&path_of(p.gw)->remote, CLIENT_1));
	bench_free(p.b);
}

// Changed on the way it is nothing.
static void forged_update(void **state)
{
	static struct bench_packet kept;
	struct bench_pair p = mobike_up();
	memset(&kept, 0, sizeof(kept));
	bench_filter_add(p.b, keep_update, &kept);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	kept.bytes[kept.len - 20] ^= 1;
	uint64_t before = p.gw->sent;
	struct ike_datagram d = {.local = kept.to,
		.remote = bench_at("203.0.113.66", 4500),
		.bytes = {kept.bytes, kept.len}};
	ike_input(p.gw->engine, &d);
	assert_int_equal(p.gw->sent, before);
	bench_expect(p.gw, "ike_decrypt", 1);
	assert_true(is_at(&p.gw_sa->remote, CLIENT_1));
	bench_run(p.b, 100);
	expect_path(p.gw, GW_1, CLIENT_2);
	bench_free(p.b);
}

static enum bench_fate hold_update(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_packet *kept = arg;
	struct ike_header h = bench_header(p);
	if (!is_at(&p->from, CLIENT_2) || ike_header_response(&h))
		return BENCH_PASS;
	memcpy(kept, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_DROP;
}

// Who stands in the way and lets an update through from an address of his own gets no traffic, and the
// client's next update repairs it.
static void stolen_update(void **state)
{
	static struct bench_packet kept;
	struct bench_pair p = mobike_up();
	bench_filter_add(p.b, hold_update, &kept);
	assert_int_equal(move_node(p.client, CLIENT_2), 0);
	bench_run(p.b, 10);
	bench_filters_clear(p.b);
	uint64_t bytes = p.gw->sent_bytes;
	resend(&p, &kept, "203.0.113.66");
	assert_true(is_at(&p.gw_sa->remote, "203.0.113.66"));
	expect_path(p.gw, GW_1, CLIENT_1);
	assert_true(p.gw->sent_bytes - bytes <= 2 * kept.len);
	bench_run(p.b, 500);
	assert_int_equal(move_node(p.client, CLIENT_3), 0);
	bench_run(p.b, 1000);
	expect_path(p.gw, GW_1, CLIENT_3);
	expect_one_session(&p);
	bench_free(p.b);
}

// ---- the peer --------------------------------------------------------------------------------------

// RFC 4555 3.8: "an INFORMATIONAL exchange that does not contain UPDATE_SA_ADDRESSES does not cause any
// changes, allowing it to be used for, e.g., testing whether a particular path works".
static void path_test(void **state)
{
	static struct talk t;
	talk_begin(&t);
	unsigned moved = t.p.gw->sink.moves;
	say(&t, CLIENT_2);
	assert_int_equal(t.reply.payload_count, 0);
	put_nat_detection(&t);
	wire_put_notify(&t.b, IKEV2_NOTIFY_COOKIE2, (struct view){t.buf, 8});
	say(&t, CLIENT_2);
	assert_int_equal(t.reply.notify_count, 3);
	assert_true(said(&t, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP));
	assert_true(said(&t, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP));
	assert_true(said(&t, IKEV2_NOTIFY_COOKIE2));
	assert_int_equal(t.p.gw->sink.moves, moved);
	assert_true(is_at(&t.p.gw_sa->remote, CLIENT_1));
	assert_false(t.p.gw_sa->nat_remote);
	bench_free(t.p.b);
}

static void update_without_nat_detection(void **state)
{
	static struct talk t;
	talk_begin(&t);
	put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
	say(&t, CLIENT_2);
	assert_int_equal(t.reply.payload_count, 0);
	expect_path(t.p.gw, GW_1, CLIENT_2);
	assert_false(t.p.gw_sa->nat_remote || t.p.gw_sa->nat_local);
	bench_free(t.p.b);
}

// NATs on both sides, by its word.
static void update_between_nats(void **state)
{
	static struct talk t;
	talk_begin(&t);
	put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
	put_nat_detection(&t);
	say(&t, CLIENT_2);
	expect_path(t.p.gw, GW_1, CLIENT_2);
	assert_int_equal(path_of(t.p.gw)->encap, SA_ENCAP_UDP);
	assert_true(t.p.gw_sa->nat_remote && t.p.gw_sa->nat_local);
	assert_true(t.p.gw_sa->keepalive.set);
	bench_free(t.p.b);
}

// A check is answered from the address in question or not at all, wherever else the peer is heard.
static void check_goes_nowhere_else(void **state)
{
	static struct talk t;
	talk_begin(&t);
	put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
	say(&t, "203.0.113.66"); // where nobody is
	say(&t, CLIENT_2);
	bench_run(t.p.b, 10000);
	expect_path(t.p.gw, GW_1, CLIENT_1);
	assert_true(t.p.gw_sa->mobike->checking);
	bench_free(t.p.b);
}

static void cookie_lengths(void **state)
{
	static const struct {
		size_t len;
		bool good;
	} cases[] = {{8, true}, {64, true}, {0, false}, {7, false}, {65, false}};
	static uint8_t cookie[65];
	static struct talk t;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct view v = {cookie, cases[i].len};
		talk_begin(&t);
		cookie[0] = (uint8_t)i;
		put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
		wire_put_notify(&t.b, IKEV2_NOTIFY_COOKIE2, v);
		say(&t, CLIENT_2);
		const struct wire_notify *n = wire_notify_find(&t.reply, IKEV2_NOTIFY_COOKIE2);
		assert_int_equal(n != NULL, cases[i].good);
		assert_true(!n || view_eq(n->data, v));
		assert_int_equal(said(&t, IKEV2_NOTIFY_INVALID_SYNTAX), !cases[i].good);
		bench_expect(t.p.gw, "ike_malformed", !cases[i].good);
		bench_expect(t.p.gw, "ike_mobike_update", cases[i].good);
		bench_free(t.p.b);
	}
}

static void put_no_nats(struct talk *t, const char *source, uint16_t port, size_t len)
{
	uint8_t data[12];
	struct ip_addr from = bench_at(source, 0).addr, to = bench_at(GW_1, 0).addr;
	struct wr w = wr_of(data, sizeof(data));
	wr_bytes(&w, from.bytes, 4);
	wr_bytes(&w, to.bytes, 4);
	wr_u16(&w, port);
	wr_u16(&w, IKE_NAT_T_PORT);
	wire_put_notify(&t->b, IKEV2_NOTIFY_NO_NATS_ALLOWED, (struct view){data, len});
}

static void no_nats_allowed(void **state)
{
	static const struct {
		const char *source;
		uint16_t port;
		size_t len;
		bool good;
	} cases[] = {
		{CLIENT_2, 4500, 12, true},
		{CLIENT_3, 4500, 12, false},
		{CLIENT_2, 4501, 12, false},
		{CLIENT_2, 4500, 11, false},
		{CLIENT_2, 4500, 0, false},
	};
	static struct talk t;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		talk_begin(&t);
		put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
		put_no_nats(&t, cases[i].source, cases[i].port, cases[i].len);
		wire_put_notify(&t.b, IKEV2_NOTIFY_COOKIE2, (struct view){t.buf, 16});
		say(&t, CLIENT_2);
		assert_true(said(&t, IKEV2_NOTIFY_COOKIE2));
		assert_int_equal(said(&t, IKEV2_NOTIFY_UNEXPECTED_NAT_DETECTED), !cases[i].good);
		bench_expect(t.p.gw, "ike_mobike_nat", !cases[i].good);
		expect_path(t.p.gw, GW_1, cases[i].good ? CLIENT_2 : CLIENT_1);
		bench_free(t.p.b);
	}
}

// Each update costs us one check at most, and more than anybody needs are refused.
static void many_updates(void **state)
{
	static struct talk t;
	unsigned refused = 0;
	talk_begin(&t);
	for (int i = 0; i < 60; i++) {
		put_nat_detection(&t);
		put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
		say(&t, i % 2 ? CLIENT_2 : CLIENT_3);
		refused += said(&t, IKEV2_NOTIFY_UNACCEPTABLE_ADDRESSES);
	}
	assert_int_equal(refused, 60 - IKE_MOBIKE_MOVES);
	bench_expect(t.p.gw, "ike_mobike_rate", 60 - IKE_MOBIKE_MOVES);
	assert_true(bench_counter(t.p.gw, "ike_mobike_check") <= IKE_MOBIKE_MOVES);
	assert_true(t.p.gw->sink.moves <= IKE_MOBIKE_MOVES + 1);
	assert_true(t.gw_bytes <= 2 * t.client_bytes);
	bench_run(t.p.b, 11000);
	put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
	say(&t, CLIENT_2);
	assert_false(said(&t, IKEV2_NOTIFY_UNACCEPTABLE_ADDRESSES));
	expect_path(t.p.gw, GW_1, CLIENT_2);
	bench_free(t.p.b);
}

static void addresses_flood(void **state)
{
	static struct talk t;
	static const char *const bad[] = {
		"0.0.0.0", "127.0.0.1", "224.0.0.5", "255.255.255.255", "::", "::1", "ff02::1"};
	talk_begin(&t);
	const struct ike_mobike *m = t.p.gw_sa->mobike;
	for (uint32_t i = 0; i < 30; i++) {
		struct ip_addr a = ip_from_v4(0x0a000001 + i);
		wire_put_notify(
			&t.b, IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS, (struct view){a.bytes, 4});
	}
	say(&t, CLIENT_1);
	assert_int_equal(t.reply.payload_count, 0);
	assert_int_equal(m->peer_count, IKE_MOBIKE_ADDRESSES);
	put(&t, IKEV2_NOTIFY_NO_ADDITIONAL_ADDRESSES);
	say(&t, CLIENT_1);
	assert_int_equal(m->peer_count, 1);
	uint64_t before = bench_counter(t.p.gw, "ike_mobike_address");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct ip_addr a = bench_at(bad[i], 0).addr;
		bool v4 = a.family == IP_V4;
		wire_put_notify(&t.b,
			v4 ? IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS
			   : IKEV2_NOTIFY_ADDITIONAL_IP6_ADDRESS,
			(struct view){a.bytes, ip_len(a.family)});
	}
	for (size_t len = 0; len < 8; len++) // of no family
		wire_put_notify(
			&t.b, IKEV2_NOTIFY_ADDITIONAL_IP6_ADDRESS, (struct view){t.plain, len});
	say(&t, CLIENT_1);
	assert_int_equal(m->peer_count, 1);
	bench_expect(t.p.gw, "ike_mobike_address", before + 7 + 8);
	assert_true(is_at(&t.p.gw_sa->remote, CLIENT_1));
	expect_one_session(&t.p);
	bench_free(t.p.b);
}

// Whatever stands in an INFORMATIONAL request, the gateway goes on.
static void soup(void **state)
{
	static struct talk t;
	static const char *const froms[] = {CLIENT_1, CLIENT_2, CLIENT_3};
	uint8_t data[80];
	talk_begin(&t);
	for (int round = 0; round < 3000; round++) {
		struct random_source *r = &t.p.b->random_source;
		for (uint64_t n = random_u64(r) % 6; n > 0; n--) {
			uint16_t type =
				(uint16_t)(IKEV2_NOTIFY_MOBIKE_SUPPORTED + random_u64(r) % 7);
			size_t len = random_u64(r) % 72;
			if (type == IKEV2_NOTIFY_COOKIE2)
				len = 8 + len % 57;
			random_fill(r, data, sizeof(data));
			wire_put_notify(&t.b, type, (struct view){data, len});
		}
		if (random_u64(r) % 2)
			put_nat_detection(&t);
		say(&t, froms[random_u64(r) % 3]);
		if (round % 16 == 0)
			bench_run(t.p.b, 2000);
	}
	assert_true(bench_counter(t.p.gw, "ike_mobike_update") > 50);
	assert_true(bench_counter(t.p.gw, "ike_mobike_nat") > 50);
	assert_int_equal(bench_session_count(t.p.gw), 1);
	put(&t, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES);
	bench_run(t.p.b, 11000);
	say(&t, CLIENT_2);
	expect_path(t.p.gw, GW_1, CLIENT_2);
	bench_free(t.p.b);
}

// ---- answers ---------------------------------------------------------------------------------------

static enum bench_fate drop_responses_of(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_node *n = arg;
	struct ike_header h = bench_header(p);
	bool theirs = bench_node_at(b, &p->from.addr) == n && ike_header_response(&h);
	return theirs ? BENCH_DROP : BENCH_PASS;
}

static void answer_by_hand(struct bench_node *from, struct ike_sa *sa, uint32_t id, size_t len)
{
	static uint8_t cookie[IKE_MOBIKE_COOKIE_LEN];
	uint8_t buf[256];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	if (len)
		wire_put_notify(&b, IKEV2_NOTIFY_COOKIE2, (struct view){cookie, len});
	bench_send_sealed(from, sa, IKEV2_EXCHANGE_INFORMATIONAL, id, true, &b);
	bench_run(from->bench, 50);
}

// RFC 4555 3.7: "If the values do not match, the IKE_SA MUST be closed."
static void wrong_cookie(void **state)
{
	static const size_t lens[] = {0, 8, IKE_MOBIKE_COOKIE_LEN};
	for (size_t i = 0; i < 6; i++) {
		struct bench_pair p = mobike_up();
		bool at_gw = i % 2;
		bench_filter_add(p.b, drop_responses_of, at_gw ? p.client : p.gw);
		assert_int_equal(move_node(p.client, CLIENT_2), 0);
		bench_run(p.b, 20);
		struct ike_sa *asks = at_gw ? p.gw_sa : p.client_sa;
		assert_non_null(asks->out_progress);
		uint32_t id = asks->out_progress->message_id;
		bench_filters_clear(p.b);
		answer_by_hand(
			at_gw ? p.client : p.gw, at_gw ? p.client_sa : p.gw_sa, id, lens[i / 2]);
		bench_expect(at_gw ? p.gw : p.client, "ike_mobike_cookie", 1);
		bench_run(p.b, 2000);
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
		bench_free(p.b);
	}
}

// Only the initiator decides.
static void responder_sends_an_update(void **state)
{
	struct bench_pair p = mobike_up();
	uint8_t buf[256];
	struct wire_builder b;
	unsigned moved = p.client->sink.moves;
	bench_address_add(p.gw, GW_2);
	p.gw_sa->local.addr = bench_at(GW_2, 0).addr;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_notify(&b, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES, nothing);
	bench_send_sealed(
		p.gw, p.gw_sa, IKEV2_EXCHANGE_INFORMATIONAL, p.client_sa->next_in, false, &b);
	bench_run(p.b, 50);
	bench_expect(p.client, "ike_mobike_unacceptable", 1);
	assert_int_equal(p.client->sink.moves, moved);
	assert_true(is_at(&p.client_sa->remote, GW_1));
	bench_free(p.b);
}

// RFC 4555 3.6: a responder that is not to be reached at its address any more sends its list from
// another one; the initiator goes there.
static void responder_lists_from_elsewhere(void **state)
{
	struct bench_pair p = mobike_up();
	uint8_t buf[256];
	struct wire_builder b;
	bench_address_add(p.gw, GW_2);
	p.gw_sa->local.addr = bench_at(GW_2, 0).addr;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_notify(&b, IKEV2_NOTIFY_NO_ADDITIONAL_ADDRESSES, nothing);
	bench_send_sealed(
		p.gw, p.gw_sa, IKEV2_EXCHANGE_INFORMATIONAL, p.client_sa->next_in, false, &b);
	bench_run(p.b, 1);
	expect_path(p.client, CLIENT_1, GW_1); // it has not answered there yet
	bench_run(p.b, 100);
	expect_path(p.client, CLIENT_1, GW_2);
	expect_path(p.gw, GW_2, CLIENT_1);
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(captured_update),
		cmocka_unit_test(messages_without_mobike),
		cmocka_unit_test(forged_update),
		cmocka_unit_test(stolen_update),
		cmocka_unit_test(path_test),
		cmocka_unit_test(update_without_nat_detection),
		cmocka_unit_test(update_between_nats),
		cmocka_unit_test(check_goes_nowhere_else),
		cmocka_unit_test(cookie_lengths),
		cmocka_unit_test(no_nats_allowed),
		cmocka_unit_test(many_updates),
		cmocka_unit_test(addresses_flood),
		cmocka_unit_test(soup),
		cmocka_unit_test(wrong_cookie),
		cmocka_unit_test(responder_sends_an_update),
		cmocka_unit_test(responder_lists_from_elsewhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
