// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Bad input before and around authentication, row by row: header, IKE_SA_INIT, protection. Each row
// says what is sent, what the gateway may answer, and which counter names it. Whatever it is, no
// state stays and an established session is not harmed.
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include <stdlib.h>

// A gateway with one established session as the innocent bystander, and a real IKE_SA_INIT of
// another client, kept and never delivered.
static struct bench_pair bystander(void)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	struct bench_node *other = bench_add(p.b, "other", "198.51.100.77", BENCH_CLIENT);
	p.gw->deaf = true;
	bench_keep(p.b, 1);
	bench_connect(other, p.gw, "home");
	bench_run(p.b, 5);
	bench_kill(other);
	p.gw->deaf = false;
	return p;
}

static void innocent(struct bench_pair *p)
{
	struct ike_status st;
	ike_status(p->gw->engine, &st);
	assert_int_equal(st.half_open, 0);
	assert_int_equal(st.ike_sas, 1);
	assert_true(bench_established(p->gw));
	assert_int_equal(ikev2_probe(p->client_sa), 0);
	ike_tick(p->client->engine);
	assert_true(bench_run_until(p->b, bench_quiet, p->client, 300));
	bench_free(p->b);
}

// Sends what is in b->kept; the number of datagrams that came back.
static unsigned put(struct bench_pair *p)
{
	uint64_t sent = p->gw->sent;
	bench_replay(p->b);
	bench_run(p->b, 10);
	return (unsigned)(p->gw->sent - sent);
}

static uint16_t notify_in_clear(const struct bench_packet *p)
{
	struct ike_header h = bench_header(p);
	struct ike_message m;
	struct view v = {p->bytes + IKE_HEADER_LEN, p->len - IKE_HEADER_LEN};
	assert_int_equal(wire_message_parse(v, h.next_payload, &m), WIRE_OK);
	assert_int_equal(m.notify_count, 1);
	assert_int_equal(h.spi_r, 0);
	return m.notifies[0].type;
}

// Every length from nothing to one byte short.
static void short_datagrams(void **state)
{
	struct bench_pair p = bystander();
	size_t len = p.b->kept->len;
	for (size_t n = 0; n < len; n++) {
		p.b->kept->len = n;
		assert_int_equal(put(&p), 0);
	}
	bench_expect(p.gw, "ike_short", IKE_HEADER_LEN);
	bench_expect(p.gw, "ike_bad_length", len - IKE_HEADER_LEN);
	innocent(&p);
}

static void header_fields(void **state)
{
	static const struct {
		unsigned offset;
		uint8_t value;
		const char *counter;
	} rows[] = {
		{17, 0x00, "ike_bad_version"}, // major 0
		{17, 0x10, "ike_bad_version"}, // IKEv1: other payloads, CVE-2015-3991
		{24, 0xde, "ike_bad_length"},  // VPP verify_bad_packet_length
		{27, 0x00, "ike_bad_length"},  // and shorter
		{18, 0, "ike_unknown_spi"},    // libreswan ikev2-07: no IKE SA, no answer
		{18, 38, "ike_unknown_spi"},   //
		{18, 255, "ike_unknown_spi"},  //
		{19, 0x00, "ike_bad_flags"},   // not from an initiator
		{23, 1, "ike_bad_message_id"}, //
		{19, 0x28, "ike_unknown_spi"}, // a response that nobody waits for
		{15, 7, "ike_zero_spi"},       // a request with the SPI of a responder
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench_pair p = bystander();
		p.b->kept->bytes[rows[i].offset] = rows[i].value;
		assert_int_equal(put(&p), 0);
		if (bench_counter(p.gw, rows[i].counter) != 1)
			fail_msg("row %zu: %s was not counted", i, rows[i].counter);
		innocent(&p);
	}
}

static void higher_version(void **state)
{
	struct bench_pair p = bystander();
	unsigned answers = 0;
	p.b->kept->bytes[17] = 0x30;
	for (int i = 0; i < 100; i++) {
		answers += put(&p);
		if (answers == 1) {
			assert_int_equal(
				notify_in_clear(p.b->last), IKEV2_NOTIFY_INVALID_MAJOR_VERSION);
			assert_true(p.b->last->len <= p.b->kept->len);
		}
	}
	assert_in_range(answers, 1, 10); // rate-limited
	bench_expect(p.gw, "ike_bad_version", 100);
	p.b->kept->bytes[17] = 0xf0;
	p.b->kept->bytes[19] |= IKE_FLAG_RESPONSE; // never an answer to an answer
	bench_run(p.b, 10000);
	assert_int_equal(put(&p), 0);
	innocent(&p);
}

static void zero_initiator_spi(void **state)
{
	struct bench_pair p = bystander();
	memset(p.b->kept->bytes, 0, 8);
	assert_int_equal(put(&p), 0);
	bench_expect(p.gw, "ike_zero_spi", 1);
	innocent(&p);
}

// Payload offset of a type in the kept message, or 0.
static size_t payload_at(const struct bench_packet *p, uint8_t type)
{
	uint8_t next = p->bytes[16];
	size_t at = IKE_HEADER_LEN;
	while (next && at + 4 <= p->len) {
		if (next == type)
			return at;
		next = p->bytes[at];
		at += (size_t)(p->bytes[at + 2] << 8 | p->bytes[at + 3]);
	}
	fail_msg("no payload %u", type);
	return 0;
}

// Rows 4, 5, 19: each payload's length field through all that is wrong about it.
static void payload_lengths(void **state)
{
	static const uint16_t lengths[] = {0, 1, 2, 3, 0xdead, 0xffff};
	static const uint8_t types[] = {
		IKEV2_PAYLOAD_SA, IKEV2_PAYLOAD_KE, IKEV2_PAYLOAD_NONCE, IKEV2_PAYLOAD_NOTIFY};
	struct bench_pair p = bystander();
	uint64_t bad = 0;
	for (size_t t = 0; t < sizeof(types); t++) {
		size_t at = payload_at(p.b->kept, types[t]);
		uint8_t hi = p.b->kept->bytes[at + 2], lo = p.b->kept->bytes[at + 3];
		for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			p.b->kept->bytes[at + 2] = (uint8_t)(lengths[i] >> 8);
			p.b->kept->bytes[at + 3] = (uint8_t)lengths[i];
			assert_int_equal(put(&p), 0);
			bad++;
		}
		p.b->kept->bytes[at + 2] = hi;
		p.b->kept->bytes[at + 3] = lo;
	}
	bench_expect(p.gw, "ike_malformed", bad);
	innocent(&p);
}

// Row 48: every byte of the message, with each of a few values. Whatever the answer: it is not
// larger than the question, nothing breaks and nothing stays for longer than a half-open one may.
static void every_byte(void **state)
{
	static const uint8_t values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
	struct bench_pair p = bystander();
	for (size_t at = 0; at < p.b->kept->len; at++) {
		uint8_t good = p.b->kept->bytes[at];
		for (size_t v = 0; v < sizeof(values); v++) {
			uint64_t bytes = p.gw->sent_bytes;
			p.b->kept->bytes[at] = values[v];
			assert_true(put(&p) <= 1);
			assert_true(p.gw->sent_bytes - bytes <= p.b->kept->len);
		}
		p.b->kept->bytes[at] = good;
	}
	bench_run(p.b, 31000);
	innocent(&p);
}

// ---- IKE_SA_INIT built by hand ----

struct init {
	const char *proposal; // of the SA payload; NULL: none
	uint16_t ke_group;    // 0: no KE payload
	size_t ke_len;
	uint8_t ke_fill;
	size_t nonce_len; // 0: no nonce
	uint8_t extra;    // another payload of this type; 0: none
	bool critical;
	unsigned times; // of the extra payload
};

static unsigned put_init(struct bench_pair *p, const struct init *in)
{
	struct wire_builder b;
	struct proposal prop;
	char why[100];
	static uint8_t fill[2000];
	struct wire_sa_policy policy = {.protocol = IKEV2_PROTOCOL_IKE, .pfs = WIRE_PFS_REQUIRED};
	struct ike_header h = {.spi_i = 0xabcd,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_IKE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR};
	wire_build_message(&b, p->b->kept->bytes, DATAGRAM_MAX, &h);
	for (unsigned i = 0; i < in->times; i++) {
		size_t at = b.w.len;
		wire_put_raw(&b, in->extra, (struct view){fill, 8});
		if (in->critical)
			b.w.base[at + 1] = IKE_CRITICAL;
	}
	if (in->proposal) {
		assert_int_equal(proposal_parse(in->proposal, false, &prop, why, sizeof(why)), 0);
		wire_build_sa(&b, &prop, 1, &policy, 0);
	}
	memset(fill, in->ke_fill, sizeof(fill));
	if (in->ke_group)
		wire_put_ke(&b, in->ke_group, (struct view){fill, in->ke_len});
	if (in->nonce_len)
		wire_put_nonce(&b, (struct view){fill, in->nonce_len});
	memset(fill, 0, sizeof(fill));
	wire_put_vendor(&b, (struct view){fill, 300}); // room for any answer
	struct view v = wire_build_done(&b);
	assert_true(v.len > 0);
	p->b->kept->len = v.len;
	p->b->kept->number = 1;
	return put(p);
}

static void init_contents(void **state)
{
	static const char good[] = "aes128gcm16-prfsha256-x25519";
	static const struct {
		struct init in;
		uint16_t notify; // 0: silence
		const char *counter;
	} rows[] = {
		// Row 6, CVE-2014-9221: groups of no registry or of private use.
		{{good, 1025, 32, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_KE_PAYLOAD,
			"ike_invalid_ke"},
		{{good, 0xffff, 32, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_KE_PAYLOAD,
			"ike_invalid_ke"},
		// Row 7: small order.
		{{good, DH_X25519, 32, 0, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		// Row 8: absent, empty, short, long.
		{{good, 0, 0, 0, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_rules"},
		{{good, DH_X25519, 0, 0, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		{{good, DH_X25519, 31, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		{{good, DH_X25519, 33, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		{{good, DH_X25519, 1500, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX,
			"ike_bad_ke"},
		// Nonces: absent, short, long.
		{{good, DH_X25519, 32, 1, 0, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_rules"},
		{{good, DH_X25519, 32, 1, 15, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX,
			"ike_bad_nonce"},
		{{good, DH_X25519, 32, 1, 257, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX,
			"ike_bad_nonce"},
		// No SA payload, nothing in common.
		{{NULL, DH_X25519, 32, 1, 32, 0, 0, 0}, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_rules"},
		{{"aes256-sha512-ecp521", DH_X25519, 32, 1, 32, 0, 0, 0},
			IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN, "ike_no_proposal"},
		// Row 15: unknown payloads, critical or not; a payload of IKEv1.
		{{good, DH_X25519, 32, 1, 32, 200, true, 1},
			IKEV2_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD, "ike_critical_payload"},
		{{good, DH_X25519, 32, 1, 32, 5, true, 1},
			IKEV2_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD, "ike_critical_payload"},
		// Row 18: more payloads than anyone needs.
		{{good, DH_X25519, 32, 1, 32, 200, false, WIRE_PAYLOADS_MAX}, 0, "ike_malformed"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct bench_pair p = bystander();
		unsigned answers = put_init(&p, &rows[i].in);
		if (bench_counter(p.gw, rows[i].counter) != 1)
			fail_msg("row %zu: %s was not counted", i, rows[i].counter);
		assert_int_equal(answers, rows[i].notify ? 1 : 0);
		if (rows[i].notify)
			assert_int_equal(notify_in_clear(p.b->last), rows[i].notify);
		innocent(&p);
	}
}

// An unknown payload without the critical bit changes nothing.
static void unknown_payload(void **state)
{
	static const struct init in = {
		"aes128gcm16-prfsha256-x25519", DH_X25519, 32, 9, 32, 200, false, 3};
	struct bench_pair p = bystander();
	assert_int_equal(put_init(&p, &in), 1);
	struct ike_header h = bench_header(p.b->last);
	assert_int_equal(h.exchange, IKEV2_EXCHANGE_IKE_SA_INIT);
	assert_true(h.spi_r != 0);
	bench_run(p.b, 31000);
	bench_expect(p.gw, "ike_half_open_timeout", 1);
	innocent(&p);
}

// Row 9, CVE-2016-5391: a proposal without a DH transform.
static void proposal_without_group(void **state)
{
	static const struct init in = {
		"aes128gcm16-prfsha256-x25519", DH_X25519, 32, 9, 32, 0, false, 0};
	struct bench_pair p = bystander();
	(void)put_init(&p, &in);
	bench_run(p.b, 31000);
	// The transform of type 4 becomes one of a type that nobody knows, then one of INTEG.
	size_t sa = payload_at(p.b->kept, IKEV2_PAYLOAD_SA);
	size_t end = sa + (size_t)(p.b->kept->bytes[sa + 2] << 8 | p.b->kept->bytes[sa + 3]);
	size_t at = end - 8 + 4;
	assert_int_equal(p.b->kept->bytes[at], TRANSFORM_DH);
	for (uint8_t type = 6; type < 9; type++) {
		p.b->kept->bytes[at] = type;
		assert_int_equal(put(&p), 1);
		assert_int_equal(notify_in_clear(p.b->last), IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN);
	}
	bench_expect(p.gw, "ike_no_proposal", 3);
	innocent(&p);
}

// ---- around a half-open or established IKE SA ----

static unsigned sealed(struct bench_pair *p, uint8_t exchange, const struct wire_builder *b)
{
	uint64_t sent = p->gw->sent;
	bench_send_sealed(p->client, p->client_sa, exchange, p->gw_sa->next_in, false, b);
	bench_run(p->b, 10);
	return (unsigned)(p->gw->sent - sent);
}

static bool auth_sent(void *arg)
{
	struct bench_node *n = arg;
	struct ike_sa *sa = LIST_FIRST(&n->engine->all_sas);
	return sa && sa->state == IKE_SA_AUTH_SENT;
}

// A pair whose IKE_SA_INIT is done and whose IKE_AUTH got lost.
static struct bench_pair half_open_pair(void)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_connect(p.client, p.gw, "home");
	assert_true(bench_run_until(p.b, auth_sent, p.client, 1000));
	p.gw->deaf = true;
	bench_run(p.b, 5);
	p.gw->deaf = false;
	p.client->deaf = true;
	p.gw_sa = LIST_FIRST(&p.gw->engine->all_sas);
	p.client_sa = LIST_FIRST(&p.client->engine->all_sas);
	assert_int_equal(p.gw_sa->state, IKE_SA_INIT_DONE);
	return p;
}

// Rows 13 and 14, CVE-2014-2338, CVE-2019-12312: another exchange instead of IKE_AUTH.
static void other_exchange_before_auth(void **state)
{
	static const uint8_t exchanges[] = {IKEV2_EXCHANGE_CREATE_CHILD_SA,
		IKEV2_EXCHANGE_INFORMATIONAL, IKEV2_EXCHANGE_IKE_INTERMEDIATE};
	for (size_t i = 0; i < sizeof(exchanges); i++) {
		struct bench_pair p = half_open_pair();
		struct wire_builder b;
		uint8_t buf[64];
		wire_build_begin(&b, buf, sizeof(buf));
		wire_put_delete_ike(&b);
		assert_int_equal(sealed(&p, exchanges[i], &b), 0);
		bench_expect(p.gw, "ike_wrong_state", 1);
		assert_int_equal(p.gw_sa->state, IKE_SA_INIT_DONE);
		assert_int_equal(p.gw_sa->next_in, 1);
		bench_free(p.b);
	}
}

// Row 12: IKE_AUTH with nothing in it, with rubbish: refused under protection, and forgotten.
static void empty_auth(void **state)
{
	struct bench_pair p = half_open_pair();
	struct wire_builder b;
	uint8_t buf[64];
	wire_build_begin(&b, buf, sizeof(buf));
	assert_int_equal(sealed(&p, IKEV2_EXCHANGE_IKE_AUTH, &b), 1);
	bench_expect(p.gw, "ike_rules", 1);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

// A request of an established peer is always answered, also one that makes no sense.
static void always_answered(void **state)
{
	static const uint8_t exchanges[] = {
		IKEV2_EXCHANGE_IKE_AUTH, IKEV2_EXCHANGE_IKE_INTERMEDIATE, 99, 255};
	for (size_t i = 0; i < sizeof(exchanges); i++) {
		struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
		struct wire_builder b;
		uint8_t buf[64];
		bench_pair_up(&p);
		p.client->deaf = true;
		wire_build_begin(&b, buf, sizeof(buf));
		assert_int_equal(sealed(&p, exchanges[i], &b), 1);
		// RFC 7296 2.21.3: INVALID_SYNTAX is the end for both sides.
		assert_true(bench_empty(p.gw));
		bench_free(p.b);
	}
}

static void critical_payload_inside(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct wire_builder b;
	uint8_t buf[64];
	bench_pair_up(&p);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_raw(&b, 200, (struct view){NULL, 0});
	buf[1] = IKE_CRITICAL;
	assert_int_equal(sealed(&p, IKEV2_EXCHANGE_INFORMATIONAL, &b), 1);
	bench_expect(p.gw, "ike_critical_payload", 1);
	assert_true(bench_established(p.gw)); // not fatal
	bench_free(p.b);
}

// Unprotected errors, wrong ICVs, wrong SPIs: counted, silent, harmless.
static void outside_of_protection(void **state)
{
	static const uint16_t errors[] = {IKEV2_NOTIFY_INVALID_IKE_SPI, IKEV2_NOTIFY_INVALID_SYNTAX,
		IKEV2_NOTIFY_AUTHENTICATION_FAILED, IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN};
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct wire_builder b;
	uint8_t buf[128];
	struct endpoint from = {p.client->addr, 500}, to = {p.gw->addr, 500};
	bench_pair_up(&p);
	uint64_t sent = p.gw->sent;
	for (size_t i = 0; i < 8; i++) {
		struct ike_header h = {.spi_i = p.gw_sa->spi_i,
			.spi_r = p.gw_sa->spi_r,
			.major = 2,
			.exchange = IKEV2_EXCHANGE_INFORMATIONAL,
			.flags = IKE_FLAG_INITIATOR | (i & 4 ? IKE_FLAG_RESPONSE : 0),
			.message_id = p.gw_sa->next_in};
		wire_build_message(&b, buf, sizeof(buf), &h);
		wire_put_notify(&b, errors[i % 4], (struct view){NULL, 0});
		struct view v = wire_build_done(&b);
		bench_inject(p.b, &from, &to, v.p, v.len);
	}
	bench_run(p.b, 10);
	bench_expect(p.gw, "ike_ignored_notify", 8);
	assert_int_equal(p.gw->sent, sent);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

// Each bit of a protected message, and each way to cut it.
static void mangled_ciphertext(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct wire_builder b;
	uint8_t buf[64];
	bench_pair_up(&p);
	p.gw->deaf = true;
	bench_keep(p.b, 1);
	wire_build_begin(&b, buf, sizeof(buf));
	bench_send_sealed(
		p.client, p.client_sa, IKEV2_EXCHANGE_INFORMATIONAL, p.gw_sa->next_in, false, &b);
	bench_run(p.b, 5);
	p.gw->deaf = false;
	for (size_t bit = 0; bit < p.b->kept->len * 8; bit++) {
		p.b->kept->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		// A higher major version (byte 17) may be told ours, in clear.
		assert_true(put(&p) <= (bit / 8 == 17 ? 1 : 0));
		p.b->kept->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	assert_true(bench_counter(p.gw, "ike_decrypt") > 100);
	assert_int_equal(put(&p), 1); // the good one still counts
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(short_datagrams),
		cmocka_unit_test(header_fields),
		cmocka_unit_test(higher_version),
		cmocka_unit_test(zero_initiator_spi),
		cmocka_unit_test(payload_lengths),
		cmocka_unit_test(every_byte),
		cmocka_unit_test(init_contents),
		cmocka_unit_test(unknown_payload),
		cmocka_unit_test(proposal_without_group),
		cmocka_unit_test(other_exchange_before_auth),
		cmocka_unit_test(empty_auth),
		cmocka_unit_test(always_answered),
		cmocka_unit_test(critical_payload_inside),
		cmocka_unit_test(outside_of_protection),
		cmocka_unit_test(mangled_ciphertext),
	};
	return cmocka_run_group_tests_name("engine_bad_input_init", tests, NULL, NULL);
}
