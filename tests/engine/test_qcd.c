// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick crash detection (RFC 6290): tokens are given under protection, shown in clear only for an IKE
// SA that is not here, and believed only if they are the right ones.
#include "controlplane/exchange.h"
#include "tests/engine/pair.h"

static const struct side defaults;

static const uint8_t secrets[3][32] = {"the gateway's secret, 32 bytes .",
	"the client's secret, 32 bytes ..", "a secret of somebody else ......"};

static void set_secret(struct bench_node *n, int which)
{
	n->engine->p.qcd_secret = (struct view){secrets[which], sizeof(secrets[which])};
}

static struct pair qcd_pair(const struct side *gw, const struct side *client)
{
	struct pair p = pair_new(gw, client);
	set_secret(p.gw, 0);
	set_secret(p.client, 1);
	return p;
}

static void restart(struct bench_node *n, int which)
{
	bench_kill(n);
	bench_start(n);
	if (which >= 0)
		set_secret(n, which);
}

// Sizes of the last request and of the last answer in clear.
struct sizes {
	size_t request, answer;
};

static enum bench_fate note_sizes(struct bench *b, struct bench_packet *p, void *arg)
{
	struct sizes *s = arg;
	struct ike_header h = bench_header(p);
	if (!ike_header_response(&h))
		s->request = p->len;
	else if (h.next_payload == IKEV2_PAYLOAD_NOTIFY)
		s->answer = p->len;
	return BENCH_PASS;
}

// Either side forgets everything; the other one asks, and knows at once. Also after the IKE SA was
// rekeyed by either, and whatever protects the messages.
static void crash_is_noticed(void **state)
{
	static const char *const suites[] = {"\"aes128gcm16-prfsha256-x25519\"",
		"\"aes128-sha256-prfsha256-x25519\"", "\"aes256-sha1-x25519\""};
	for (int row = 0; row < 2 * 3 * 3; row++) {
		int who = row % 2, rekeyed_by = row / 2 % 3;
		struct side gw = {.ike = suites[row / 6]}, client = {.ike = suites[row / 6]};
		struct pair p = qcd_pair(&gw, &client);
		struct sizes sizes = {0};
		assert_true(pair_up(&p));
		if (rekeyed_by) {
			struct bench_node *n = rekeyed_by == 1 ? p.gw : p.client;
			assert_int_equal(ike_rekey_ike(n->engine, 1), 0);
			bench_run(p.b, 500);
			bench_expect(p.gw, "ike_ike_rekeyed", 1);
		}
		struct bench_node *lost = who ? p.client : p.gw, *other = who ? p.gw : p.client;
		restart(lost, who);
		bench_filter_add(p.b, note_sizes, &sizes);
		assert_int_equal(ike_probe(other->engine, 1), 0);
		uint64_t sent = other->sent;
		bench_run(p.b, 10);
		bench_expect(lost, "ike_qcd_shown", 1);
		bench_expect(other, "ike_qcd_crashed", 1);
		assert_true(bench_empty(other)); // RFC 6290 3: "silently"
		assert_int_equal(other->sent, sent);
		assert_true(sizes.answer > 0 && sizes.answer <= sizes.request);
		bench_free(p.b);
	}
}

// Without a secret on one side there is nothing to give or to show; with another one it is not
// believed.
static void not_for_everybody(void **state)
{
	static const struct {
		int gw, client, gw_later;
		const char *client_counts;
	} rows[] = {{-1, 1, -1, NULL}, {0, -1, 0, NULL}, {-1, -1, 0, NULL},
		{0, 1, 2, "ike_qcd_bad"}, {0, 1, -1, NULL}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = pair_new(&defaults, &defaults);
		if (rows[i].gw >= 0)
			set_secret(p.gw, rows[i].gw);
		if (rows[i].client >= 0)
			set_secret(p.client, rows[i].client);
		assert_true(pair_up(&p));
		restart(p.gw, rows[i].gw_later);
		assert_int_equal(ike_rekey_child(p.client->engine, 1,
					 bench_session(p.client).children[0].spi_in),
			0);
		bench_run(p.b, 5000);
		bench_expect(p.client, "ike_qcd_crashed", 0);
		bench_expect(p.gw, "ike_qcd_shown", rows[i].gw_later >= 0 ? 4 : 0);
		bench_expect(p.client, "ike_qcd_bad", rows[i].client_counts ? 4 : 0);
		assert_int_equal(bench_session_count(p.client), 1);
		bench_free(p.b);
	}
}

// A request that could be protected, of so many bytes in all.
static void ask(struct pair *p, struct ike_header h, uint8_t payload, size_t len)
{
	uint8_t buf[256] = {0};
	struct endpoint from = {p->client->addr, 500}, to = {p->gw->addr, 500};
	struct wire_builder w;
	wire_build_message(&w, buf, sizeof(buf), &h);
	wire_put_raw(&w, payload, (struct view){buf + 100, len - IKE_HEADER_LEN - IKE_PAYLOAD_HDR});
	struct view v = wire_build_done(&w);
	bench_inject(p->b, &from, &to, v.p, v.len);
	bench_run(p->b, 2);
}

#define NODE     5
#define OURS     ((uint64_t)NODE << 60 | 0x123456)
#define ANOTHERS ((uint64_t)6 << 60 | 0x123456)

static void only_for_what_is_lost(void **state)
{
	static const struct {
		uint64_t spi_i, spi_r;
		uint8_t flags, exchange, payload;
		size_t len;
		bool shown;
	} rows[] = {
		{77, OURS, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 60,
			true},
		{77, OURS, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_CREATE_CHILD_SA, IKEV2_PAYLOAD_SKF,
			90, true},
		{OURS, 77, 0, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 60, true},
		// smaller than the answer
		{77, OURS, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 59,
			false},
		// not ours
		{77, ANOTHERS, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK,
			60, false},
		{ANOTHERS, 77, 0, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 60, false},
		{OURS, 77, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 60,
			false},
		{77, 0, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_SK, 60,
			false},
		// no request, or none that is protected
		{77, OURS, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE, IKEV2_EXCHANGE_INFORMATIONAL,
			IKEV2_PAYLOAD_SK, 60, false},
		{77, OURS, IKE_FLAG_INITIATOR, IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_PAYLOAD_VENDOR,
			60, false},
		{77, OURS, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE, IKEV2_EXCHANGE_IKE_SA_INIT,
			IKEV2_PAYLOAD_SK, 60, false},
	};
	struct pair p = qcd_pair(&defaults, &defaults);
	p.gw->cfg->main.node_id = NODE;
	uint64_t shown = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ike_header h = {.spi_i = rows[i].spi_i,
			.spi_r = rows[i].spi_r,
			.major = 2,
			.exchange = rows[i].exchange,
			.flags = rows[i].flags,
			.message_id = 3};
		uint64_t sent = p.gw->sent;
		ask(&p, h, rows[i].payload, rows[i].len);
		shown += rows[i].shown;
		bench_expect(p.gw, "ike_qcd_shown", shown);
		assert_int_equal(p.gw->sent, sent + rows[i].shown);
	}
	bench_expect(p.gw, "ike_no_reply_amplify", 1);
	bench_free(p.b);
}

// RFC 6290 9.1: never for an IKE SA that exists: half-open, established, rekeyed, ended but kept.
static void never_for_one_that_is_here(void **state)
{
	struct pair p = qcd_pair(&defaults, &defaults);
	p.gw->hold_jobs = true;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 20);
	struct ike_sa *sa = LIST_FIRST(&p.gw->engine->all_sas);
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
		.flags = IKE_FLAG_INITIATOR,
		.message_id = 3};
	ask(&p, h, IKEV2_PAYLOAD_SK, 100); // half-open
	p.gw->hold_jobs = false;
	assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
	bench_run(p.b, 20);
	struct ike_header other = h;
	ask(&p, h, IKEV2_PAYLOAD_SK, 100); // established
	other.spi_i++;
	ask(&p, other, IKEV2_PAYLOAD_SK, 100);
	other = h;
	other.flags = 0; // as if we had begun it
	other.spi_i = h.spi_r;
	other.spi_r = h.spi_i;
	ask(&p, other, IKEV2_PAYLOAD_SK, 100);
	assert_int_equal(ike_rekey_ike(p.gw->engine, 1), 0);
	bench_run(p.b, 2);
	ask(&p, h, IKEV2_PAYLOAD_SK, 100);
	assert_int_equal(ike_delete_session(p.client->engine, 1), 0);
	bench_run(p.b, 500);
	assert_true(bench_empty(p.gw));
	assert_int_equal(p.gw->engine->kept_dead, 1); // the new one: the client has deleted it
	sa = LIST_FIRST(&p.gw->engine->kept);
	h.spi_i = sa->spi_i;
	h.spi_r = sa->spi_r;
	h.flags = sa->initiator ? 0 : IKE_FLAG_INITIATOR;
	ask(&p, h, IKEV2_PAYLOAD_SK, 100);
	bench_expect(p.gw, "ike_qcd_shown", 0);
	bench_run(p.b, 60000); // no longer kept
	ask(&p, h, IKEV2_PAYLOAD_SK, 100);
	bench_expect(p.gw, "ike_qcd_shown", 1);
	bench_free(p.b);
}

struct shown {
	const struct bench_node *by;
	struct bench_packet answer;
};

static enum bench_fate keep_answer(struct bench *b, struct bench_packet *p, void *arg)
{
	struct shown *s = arg;
	struct ike_header h = bench_header(p);
	if (ip_eq(&p->from.addr, &s->by->addr) && h.next_payload == IKEV2_PAYLOAD_NOTIFY)
		memcpy(&s->answer, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_PASS;
}

// The very SPIs of an IKE SA that is here, as if their owners had the other roles: there is none by that
// SPI of ours, and what is shown for it ends nothing.
static void roles_exchanged(void **state)
{
	static struct shown s;
	for (int by_client = 0; by_client < 2; by_client++) {
		struct pair p = qcd_pair(&defaults, &defaults);
		assert_true(pair_up(&p));
		struct bench_node *n = by_client ? p.client : p.gw,
				  *peer = by_client ? p.gw : p.client;
		struct ike_sa *sa = bench_sa_of(n, 1);
		struct ike_header h = {.spi_i = sa->spi_i,
			.spi_r = sa->spi_r,
			.major = 2,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.flags = sa->initiator ? IKE_FLAG_INITIATOR : 0};
		uint8_t buf[100] = {0};
		struct endpoint from = bench_at("203.0.113.99", 500), to = {n->addr, 500};
		struct wire_builder w;
		memset(&s, 0, sizeof(s));
		s.by = n;
		bench_filter_add(p.b, keep_answer, &s);
		wire_build_message(&w, buf, sizeof(buf), &h);
		wire_put_raw(&w, IKEV2_PAYLOAD_SK, (struct view){buf + 32, 60});
		struct view v = wire_build_done(&w);
		bench_inject(p.b, &from, &to, v.p, v.len);
		bench_run(p.b, 2);
		assert_true(s.answer.len > 0);
		// From the peer's point of view an answer of the role that n has.
		s.answer.bytes[19] ^= IKE_FLAG_INITIATOR;
		struct endpoint victim = {peer->addr, 500};
		bench_inject(p.b, &from, &victim, s.answer.bytes, s.answer.len);
		bench_run(p.b, 2);
		bench_expect(peer, "ike_qcd_crashed", 0);
		bench_expect(peer, "ike_qcd_bad", 1);
		pair_down(&p);
	}
}

static void not_too_often(void **state)
{
	struct pair p = qcd_pair(&defaults, &defaults);
	struct ike_header h = {.spi_i = 77,
		.spi_r = 0x0123456789abcdef,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
		.flags = IKE_FLAG_INITIATOR};
	p.gw->cfg->main.node_id = 0;
	for (int i = 0; i < 400; i++) // 2 ms each
		ask(&p, h, IKEV2_PAYLOAD_SK, 80);
	bench_expect(p.gw, "ike_qcd_shown", 200);
	bench_expect(p.gw, "ike_qcd_limited", 200);
	bench_run(p.b, 1000);
	ask(&p, h, IKEV2_PAYLOAD_SK, 80);
	bench_expect(p.gw, "ike_qcd_shown", 201);
	bench_free(p.b);
}

// ---- what is shown to us ----

static void put_token(struct wire_builder *b, const void *token, size_t len)
{
	wire_put_notify(b, IKEV2_NOTIFY_QUICK_CRASH_DETECTION, (struct view){token, len});
}

static void show(struct pair *p, const struct ike_sa *sa, uint8_t flags, const uint8_t *tokens[],
	unsigned count, const char *from)
{
	uint8_t buf[512];
	struct wire_builder b;
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
		.flags = flags,
		.message_id = 9};
	struct endpoint source = bench_at(from, 4500), to = {p->client->addr, 500};
	wire_build_message(&b, buf, sizeof(buf), &h);
	wire_put_notify(&b, IKEV2_NOTIFY_INVALID_IKE_SPI, (struct view){NULL, 0});
	for (unsigned i = 0; i < count; i++)
		put_token(&b, tokens[i], 32);
	struct view v = wire_build_done(&b);
	bench_inject(p->b, &source, &to, v.p, v.len);
	bench_run(p->b, 5);
}

static void tell(struct pair *p, const void *token, size_t len)
{
	uint8_t buf[256];
	struct wire_builder b;
	struct ike_sa *sa = bench_sa_of(p->gw, 1);
	wire_build_begin(&b, buf, sizeof(buf));
	put_token(&b, token, len);
	bench_send_sealed(p->gw, sa, IKEV2_EXCHANGE_INFORMATIONAL, sa->next_out++, false, &b);
	bench_run(p->b, 10);
}

// A token of any length between 16 and 128 bytes, replaced under protection; shown from any address
// (RFC 6290 3), alone or as one of four.
static void only_the_right_one(void **state)
{
	static const uint8_t good[129] = "this is a token that the gateway has given.....",
			     bad[129] = "this is no token that the gateway has given....";
	static const uint8_t *shown[] = {bad, bad, bad, bad, good};
	struct pair p = qcd_pair(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_sa *sa = bench_sa_of(p.client, 1);
	assert_int_equal(sa->qcd_token.len, 16);
	tell(&p, good, 15);
	tell(&p, good, 129);
	bench_expect(p.client, "ike_qcd_length", 2);
	assert_int_equal(sa->qcd_token.len, 16);
	show(&p, sa, IKE_FLAG_RESPONSE, (const uint8_t *[]){good}, 1, GW_ADDR);
	bench_expect(p.client, "ike_qcd_bad", 1);
	tell(&p, good, 32);
	show(&p, sa, IKE_FLAG_RESPONSE, shown, 4, GW_ADDR);
	show(&p, sa, IKE_FLAG_RESPONSE, shown, 5, GW_ADDR);     // the fifth is not looked at
	show(&p, sa, 0, (const uint8_t *[]){good}, 1, GW_ADDR); // no answer
	show(&p, sa, IKE_FLAG_RESPONSE, shown, 0, GW_ADDR);     // no token
	bench_expect(p.client, "ike_qcd_bad", 3);
	bench_expect(p.client, "ike_qcd_crashed", 0);
	uint64_t sent = p.client->sent;
	assert_true(bench_established(p.client));
	assert_true(pair_traffic(&p));
	show(&p, sa, IKE_FLAG_RESPONSE, shown + 1, 4, "203.0.113.99");
	bench_expect(p.client, "ike_qcd_crashed", 1);
	assert_true(bench_empty(p.client));
	assert_int_equal(p.client->sent, sent);
	bench_free(p.b);
}

// What is half-open has no token: nothing in clear ends it.
static void half_open_is_not_ended(void **state)
{
	static const uint8_t zeros[32];
	struct pair p = qcd_pair(&defaults, &defaults);
	p.gw->sink.install_delay_ns = 500 * NS_PER_MS;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 130);
	struct ike_sa *sa = LIST_FIRST(&p.client->engine->all_sas);
	assert_int_equal(sa->state, IKE_SA_AUTH_SENT);
	show(&p, sa, IKE_FLAG_RESPONSE, (const uint8_t *[]){zeros}, 1, GW_ADDR);
	bench_expect(p.client, "ike_wrong_state", 1);
	assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
	pair_down(&p);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(crash_is_noticed),
		T(not_for_everybody),
		T(only_for_what_is_lost),
		T(never_for_one_that_is_here),
		T(roles_exchanged),
		T(not_too_often),
		T(only_the_right_one),
		T(half_open_is_not_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
