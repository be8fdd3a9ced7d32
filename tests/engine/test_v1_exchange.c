// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's exchanges as such: who repeats what to whom, message ids that were used, junk on a known
// message id, messages before their time, and the caps.
#include "tests/engine/v1_pair.h"

#include <stdlib.h>

static struct v1 up(const struct v1_setup *s)
{
	struct v1 v = v1_new(s);
	v1_need_up(&v);
	bench_run(v.b, 1000);
	return v;
}

static void inject(struct v1 *v, const void *bytes, size_t len)
{
	struct endpoint from = bench_at(CLIENT_ADDR, IKE_PORT), to = bench_at(GW_ADDR, IKE_PORT);
	bench_inject(v->b, &from, &to, bytes, len);
	bench_run(v->b, 5);
}

// ---- repeats -------------------------------------------------------------------------------------

static bool by_client(const struct bench_packet *p)
{
	struct endpoint client = bench_at(CLIENT_ADDR, 0);
	return ip_eq(&p->from.addr, &client.addr);
}

// Lets so many datagrams of the client pass.
static enum bench_fate mute(struct bench *b, struct bench_packet *p, void *arg)
{
	unsigned *left = arg;
	if (!by_client(p))
		return BENCH_PASS;
	return *left ? --*left, BENCH_PASS : BENCH_DROP;
}

// VU#419128: a responder whose peer is silent says each message once; only the peer's repeats get
// it again.
static void responder_is_silent_in_phase1(void **state)
{
	static const struct {
		bool aggressive;
		unsigned heard; // messages of the client
		unsigned sent;  // by the gateway
	} cases[] = {
		{false, 1, 1},
		{false, 2, 2},
		{true, 1, 1},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = cases[i].aggressive});
		unsigned heard = cases[i].heard;
		bench_filter_add(v.b, mute, &heard);
		v1_connect(&v);
		bench_run(v.b, 28000);
		assert_int_equal(v1_sent_datagrams(v.w, v.gw), cases[i].sent);
		bench_expect(v.gw, "ike_retransmitted", 0);
		assert_int_equal(v.gw->engine->half_open_ikev1, 1);
		bench_run(v.b, 4000);
		bench_expect(v.gw, "ike_half_open_timeout", 1);
		assert_int_equal(v.gw->engine->half_open_ikev1, 0);
		assert_true(bench_empty(v.gw));
		v1_free(&v);
	}
}

// A copy of a message, sent from elsewhere, gets no more than it has itself, whoever says it.
static void repeats_from_elsewhere(void **state)
{
	struct v1 v = up(&(struct v1_setup){.config = V1_NONE});
	struct endpoint thief = bench_at("203.0.113.77", IKE_PORT),
			gw = bench_at(GW_ADDR, IKE_PORT);
	uint64_t sent;
	bench_keep(v.b, 1);
	assert_int_equal(ike_add_child(v.client->engine, bench_session(v.client).id, "lan"), 0);
	bench_run(v.b, 2000);
	assert_non_null(v.b->kept);
	sent = v.gw->sent;
	bench_inject(v.b, &thief, &gw, v.b->kept->bytes, v.b->kept->len);
	bench_run(v.b, 10);
	// The first message of a quick mode that is over.
	assert_int_equal(v.gw->sent, sent);
	bench_expect(v.gw, "ikev1_quick_fourth", 1);
	v1_down(&v);
}

// ---- message ids -----------------------------------------------------------------------------------

#define KEPT_MAX 32

struct kept {
	unsigned count;
	struct {
		uint8_t bytes[2048];
		size_t len;
	} packets[KEPT_MAX];
};

static enum bench_fate keep_all(struct bench *b, struct bench_packet *p, void *arg)
{
	struct kept *k = arg;
	if (!by_client(p) || k->count == KEPT_MAX)
		return BENCH_PASS;
	assert_true(p->len <= sizeof(k->packets[0].bytes));
	memcpy(k->packets[k->count].bytes, p->bytes, p->len);
	k->packets[k->count++].len = p->len;
	return BENCH_PASS;
}

// A recorded message is taken once, whatever it was.
static void replays(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	struct kept *kept = calloc(1, sizeof(*kept));
	assert_non_null(kept);
	bench_filter_add(v.b, keep_all, kept);
	v1_need_up(&v);
	bench_run(v.b, 1000);
	bench_filters_clear(v.b);
	assert_true(kept->count >= 6);
	unsigned children = v1_child_count(v.gw), sas = v1_sa_count(v.gw);
	uint64_t established = bench_counter(v.gw, "ike_child_created");
	for (unsigned i = 0; i < kept->count; i++)
		inject(&v, kept->packets[i].bytes, kept->packets[i].len);
	bench_run(v.b, 40000);
	assert_int_equal(bench_counter(v.gw, "ike_child_created"), established);
	assert_int_equal(v1_child_count(v.gw), children);
	assert_int_equal(v1_sa_count(v.gw), sas);
	assert_true(v1_traffic(&v));
	free(kept);
	v1_down(&v);
}

// A copy of an old message from somebody else's address, after more exchanges than are remembered,
// moves nobody there, though a NAT lets the peer move.
static void old_copies_move_nobody(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true, .nat = true});
	struct endpoint thief = bench_at("203.0.113.77", 4500), gw = bench_at(GW_ADDR, 4500);
	struct kept *kept = calloc(1, sizeof(*kept));
	assert_non_null(kept);
	v1_need_up(&v);
	bench_run(v.b, 1000);
	bench_filter_add(v.b, keep_all, kept);
	// R-U-THERE, and a DELETE of a child that is long gone.
	assert_int_equal(ike_probe(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 100);
	assert_int_equal(kept->count, 1);
	for (unsigned i = 0; i < IKEV1_SEEN_MAX + 2; i++) {
		assert_int_equal(ike_probe(v.client->engine, bench_session(v.client).id), 0);
		bench_run(v.b, 100);
	}
	struct ike_sa *sa = v1_sa(v.gw);
	struct endpoint before = sa->remote;
	uint64_t heard = sa->last_heard_ns;
	assert_true(sa->nat_remote);
	bench_run(v.b, 10);
	bench_inject(v.b, &thief, &gw, kept->packets[0].bytes, kept->packets[0].len);
	bench_run(v.b, 10);
	bench_expect(v.gw, "ikev1_dpd_bad", 1);
	assert_true(endpoint_eq(&sa->remote, &before));
	assert_int_equal(sa->last_heard_ns, heard);
	// The peer itself may: its next question is new.
	bench_nat_forget(v.b);
	assert_int_equal(ike_probe(v.client->engine, bench_session(v.client).id), 0);
	bench_run(v.b, 100);
	assert_false(endpoint_eq(&sa->remote, &before));
	assert_true(sa->last_heard_ns > heard);
	bench_filters_clear(v.b);
	free(kept);
	v1_down(&v);
}

static void message_id_zero(void **state)
{
	struct v1 v = up(&(struct v1_setup){.config = V1_NONE});
	struct ike_sa *sa = v1_sa(v.client);
	uint8_t buf[IKE_HEADER_LEN + 32] = {0};
	static const uint8_t exchanges[] = {IKEV1_EXCHANGE_QUICK, IKEV1_EXCHANGE_TRANSACTION};
	for (size_t i = 0; i < sizeof(exchanges); i++) {
		struct wr w = wr_of(buf, sizeof(buf));
		struct ike_header h = {.spi_i = sa->spi_i,
			.spi_r = sa->spi_r,
			.next_payload = IKEV1_PAYLOAD_HASH,
			.major = IKE_MAJOR_1,
			.exchange = exchanges[i],
			.flags = IKEV1_FLAG_ENCRYPTED,
			.length = sizeof(buf)};
		wire_header_build(&w, &h);
		inject(&v, buf, sizeof(buf));
		bench_expect(v.gw, "ikev1_message_id", i + 1);
	}
	v1_down(&v);
}

// ---- junk --------------------------------------------------------------------------------------------

struct junk {
	unsigned sent;
};

// Before each message of the client: noise with the same cookies, exchange and message id. IKEv1 has
// no integrity check before decryption: what is not the peer's must leave no trace in the IV.
static enum bench_fate noise_first(struct bench *b, struct bench_packet *p, void *arg)
{
	struct junk *j = arg;
	struct endpoint from = p->from, to = p->to;
	struct ike_header h = bench_header(p);
	static bool inside;
	if (inside || h.spi_r == 0 || from.port != IKE_PORT || !(h.flags & IKEV1_FLAG_ENCRYPTED))
		return BENCH_PASS;
	uint8_t noise[512];
	size_t len = p->len < sizeof(noise) ? p->len : sizeof(noise);
	memcpy(noise, p->bytes, len);
	for (size_t i = IKE_HEADER_LEN; i < len; i++)
		noise[i] = (uint8_t)(i * 37 + j->sent);
	noise[24] = noise[25] = 0;
	noise[26] = (uint8_t)(len >> 8);
	noise[27] = (uint8_t)len;
	inside = true;
	bench_inject(b, &from, &to, noise, len);
	inside = false;
	j->sent++;
	return BENCH_PASS;
}

static void junk_changes_nothing(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		struct junk j = {0};
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = aggressive, .xauth = true});
		bench_filter_add(v.b, noise_first, &j);
		v1_need_up(&v);
		assert_true(j.sent >= 5);
		assert_true(
			bench_counter(v.gw, "ikev1_garbled") + bench_counter(v.gw, "ikev1_hash") >
			0);
		assert_true(v1_traffic(&v));
		bench_filters_clear(v.b);
		v1_free(&v);
	}
}

// A message of ours with a wrong HASH, without one, in clear: nothing of it counts.
static void unproven_informationals(void **state)
{
	struct v1 v = up(&(struct v1_setup){.config = V1_PULL});
	struct ike_sa *sa = v1_sa(v.client);
	struct {
		bool bad_hash, no_hash, clear;
		const char *counter;
	} cases[] = {
		{true, false, false, "ikev1_hash"},
		{false, true, false, "ikev1_hash"},
		{false, false, true, "ikev1_clear_informational"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[64];
		struct wire_builder b;
		uint64_t before = bench_counter(v.gw, cases[i].counter);
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_put_delete_isakmp(&b, sa->spi_i, sa->spi_r);
		v1_make(v.w, &(struct v1_made){.from = v.client,
				     .sa = sa,
				     .exchange = IKEV1_EXCHANGE_INFORMATIONAL,
				     .payloads = &b,
				     .bad_hash = cases[i].bad_hash,
				     .no_hash = cases[i].no_hash,
				     .clear = cases[i].clear});
		bench_run(v.b, 3000);
		bench_expect(v.gw, cases[i].counter, before + 1);
		assert_true(v1_traffic(&v));
	}
	v1_down(&v);
}

// Old Cisco clients send zeros behind the message that the header knows of.
static enum bench_fate append(struct bench *b, struct bench_packet *p, void *arg)
{
	memset(p->bytes + p->len, 0, 16);
	p->len += 16;
	return BENCH_PASS;
}

static void bytes_behind_the_message(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	v1_connect(&v);
	bench_filter_add(v.b, append, NULL);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 8000));
	assert_true(v1_traffic(&v));
	assert_true(bench_counter(v.gw, "ikev1_trailing") >= 5);
	v1_down(&v);
}

// After the good status, before its ACK: what looks like quick mode and is not proves nothing.
static void quick_noise_is_no_ack(void **state)
{
	for (uint8_t flags = 0; flags <= IKEV1_FLAG_ENCRYPTED; flags++) {
		struct v1 v = v1_new(
			&(struct v1_setup){.aggressive = true, .xauth = true, .config = V1_NONE});
		v1_hold(v.w, v.client, IKEV1_EXCHANGE_QUICK);
		// Of the client's transactions: the reply with the password, then the ACK, which is lost.
		v1_drop(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION, 2);
		v1_connect(&v);
		while (!v1_nth_cfg(v.w, v.gw, IKEV1_CFG_SET, IKEV1_CFG_XAUTH_STATUS, 1))
			bench_run(v.b, 1);
		bench_run(v.b, 5);
		struct ike_sa *sa = v1_any_sa(v.gw);
		assert_int_equal(sa->state, IKE_SA_LOGIN);
		uint8_t buf[IKE_HEADER_LEN + 16] = {0};
		struct wr w = wr_of(buf, sizeof(buf));
		struct ike_header h = {.spi_i = sa->spi_i,
			.spi_r = sa->spi_r,
			.next_payload = IKEV1_PAYLOAD_HASH,
			.major = IKE_MAJOR_1,
			.exchange = IKEV1_EXCHANGE_QUICK,
			.flags = flags,
			.message_id = 99,
			.length = sizeof(buf)};
		wire_header_build(&w, &h);
		inject(&v, buf, sizeof(buf));
		assert_int_equal(sa->state, IKE_SA_LOGIN);
		v1_release(v.w);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 8000));
		v1_down(&v);
	}
}

// ---- before their time ---------------------------------------------------------------------------------

// While the gateway's helpers look at the client's signature, the client, which lost nothing, may
// already say that it is new: that is kept, and heard when main mode is over.
static void informational_before_main_is_over(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.method = V1_RSA, .keep_childless = true});
	v.gw->job_delay_ns = 50 * NS_PER_MS;
	v1_connect(&v);
	while (v1_sent(v.w, v.client, IKEV1_EXCHANGE_MAIN) < 3)
		bench_run(v.b, 1);
	bench_run(v.b, 5);
	struct ike_sa *sa = v1_any_sa(v.client);
	assert_true(sa && sa->has_keys && v1_any_sa(v.gw)->state == IKE_SA_PHASE1);
	// One is kept, the next one is not.
	uint8_t noise[IKE_HEADER_LEN + 16] = {0};
	for (uint8_t i = 1; i <= 2; i++) {
		struct wr w = wr_of(noise, sizeof(noise));
		struct ike_header h = {.spi_i = sa->spi_i,
			.spi_r = sa->spi_r,
			.next_payload = IKEV1_PAYLOAD_HASH,
			.major = IKE_MAJOR_1,
			.exchange = IKEV1_EXCHANGE_INFORMATIONAL,
			.flags = IKEV1_FLAG_ENCRYPTED,
			.message_id = i,
			.length = sizeof(noise)};
		wire_header_build(&w, &h);
		inject(&v, noise, sizeof(noise));
	}
	bench_expect(v.gw, "ikev1_queued", 1);
	bench_expect(v.gw, "ikev1_queue_full", 1);
	bench_expect(v.gw, "ikev1_garbled", 0);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 8000));
	// It was looked at once phase 1 was over, and found to be noise.
	assert_int_equal(
		bench_counter(v.gw, "ikev1_garbled") + bench_counter(v.gw, "ikev1_hash"), 1);
	v1_down(&v);
}

// ---- caps -------------------------------------------------------------------------------------------------

static void first_message(struct wr *w, uint64_t spi)
{
	// One transform: AES-128, SHA2-256, PSK, group 19
	static const uint8_t sa[] = {0x00, 0x00, 0x00, 0x38, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0x2c,
		1, 1, 0, 1, 0, 0, 0, 0x24, 1, 1, 0, 0, 0x80, 1, 0, 7, 0x80, 14, 0, 128, 0x80, 2, 0,
		4, 0x80, 3, 0, 1, 0x80, 4, 0, 19, 0x80, 11, 0, 1, 0x80, 12, 0x70, 0x80};
	struct ike_header h = {.spi_i = spi,
		.next_payload = IKEV1_PAYLOAD_SA,
		.major = IKE_MAJOR_1,
		.exchange = IKEV1_EXCHANGE_MAIN,
		.length = IKE_HEADER_LEN + sizeof(sa)};
	wire_header_build(w, &h);
	wr_bytes(w, sa, sizeof(sa));
}

// IKEv1's half-open ones have a cap and a budget a source of their own; IKEv2's are not touched.
static void half_open_caps(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.config = V1_NONE});
	struct endpoint gw = bench_at(GW_ADDR, IKE_PORT);
	unsigned max = v.gw->cfg->main.half_open_max_ikev1, one = max / 4 + 1;
	for (unsigned i = 0; i < 2 * max; i++) {
		uint8_t buf[128];
		char from_text[32];
		struct wr w = wr_of(buf, sizeof(buf));
		// The first half from one source, then from many.
		snprintf(from_text, sizeof(from_text), "198.51.100.%u",
			i < max ? 9 : 10 + (i - max) % 240);
		struct endpoint from = bench_at(from_text, IKE_PORT);
		first_message(&w, 0x1000 + i);
		bench_inject(v.b, &from, &gw, buf, w.len);
		bench_settle(v.b);
		if (i == max - 1) {
			bench_run(v.b, 2);
			assert_int_equal(v.gw->engine->half_open_ikev1, one);
			bench_expect(v.gw, "ike_half_open_source", max - one);
		}
	}
	bench_run(v.b, 2);
	assert_int_equal(v.gw->engine->half_open_ikev1, max);
	bench_expect(v.gw, "ikev1_half_open_full", one);
	assert_int_equal(v.gw->engine->half_open, 0);
	assert_false(ike_cookies_on(v.gw->engine));
	bench_run(v.b, 32000);
	assert_int_equal(v.gw->engine->half_open_ikev1, 0);
	v1_need_up(&v);
	v1_down(&v);
}

// What IKEv1 cannot be told about: other exchanges, other cookies, a zero cookie.
static void strangers(void **state)
{
	struct v1 v = up(&(struct v1_setup){.config = V1_NONE});
	struct ike_sa *sa = v1_sa(v.client);
	struct {
		uint64_t spi_i, spi_r;
		uint8_t exchange;
		uint32_t message_id;
		const char *counter;
	} cases[] = {
		{0, 0, IKEV1_EXCHANGE_MAIN, 0, "ike_zero_spi"},
		{5, 6, IKEV1_EXCHANGE_QUICK, 7, "ike_unknown_spi"},
		{5, sa->spi_r, IKEV1_EXCHANGE_QUICK, 7, "ike_unknown_spi"},
		{sa->spi_i, 6, IKEV1_EXCHANGE_QUICK, 7, "ike_unknown_spi"},
		{sa->spi_r, sa->spi_i, IKEV1_EXCHANGE_QUICK, 7, "ike_unknown_spi"},
		{5, 0, IKEV1_EXCHANGE_QUICK, 7, "ike_unknown_spi"},
		{5, 0, IKEV1_EXCHANGE_INFORMATIONAL, 7, "ikev1_clear_informational"},
		{sa->spi_i, sa->spi_r, IKEV1_EXCHANGE_MAIN, 0, "ikev1_out_of_turn"},
		{sa->spi_i, sa->spi_r, IKEV1_EXCHANGE_AGGRESSIVE, 0, "ikev1_out_of_turn"},
		{sa->spi_i, sa->spi_r, IKEV1_EXCHANGE_QUICK, 9, "ike_not_protected"},
		{sa->spi_i, sa->spi_r, IKEV1_EXCHANGE_TRANSACTION, 9, "ike_not_protected"},
		{sa->spi_i, sa->spi_r, 33, 9, "ike_wrong_state"}, // new group mode
		{sa->spi_i, sa->spi_r, 255, 9, "ike_wrong_state"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t buf[IKE_HEADER_LEN + 8] = {0};
		struct wr w = wr_of(buf, sizeof(buf));
		uint64_t before = bench_counter(v.gw, cases[i].counter), sent = v.gw->sent;
		struct ike_header h = {.spi_i = cases[i].spi_i,
			.spi_r = cases[i].spi_r,
			.next_payload = IKEV1_PAYLOAD_VENDOR,
			.major = IKE_MAJOR_1,
			.exchange = cases[i].exchange,
			.message_id = cases[i].message_id,
			.length = sizeof(buf)};
		wire_header_build(&w, &h);
		wr_u32(&w, 8);
		print_message("# case %zu\n", i);
		inject(&v, buf, sizeof(buf));
		bench_expect(v.gw, cases[i].counter, before + 1);
		assert_int_equal(v.gw->sent, sent);
	}
	assert_true(v1_child_count(v.gw) == 1);
	v1_down(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(responder_is_silent_in_phase1),
		cmocka_unit_test(repeats_from_elsewhere),
		cmocka_unit_test(replays),
		cmocka_unit_test(old_copies_move_nobody),
		cmocka_unit_test(message_id_zero),
		cmocka_unit_test(junk_changes_nothing),
		cmocka_unit_test(unproven_informationals),
		cmocka_unit_test(bytes_behind_the_message),
		cmocka_unit_test(quick_noise_is_no_ack),
		cmocka_unit_test(informational_before_main_is_over),
		cmocka_unit_test(half_open_caps),
		cmocka_unit_test(strangers),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
