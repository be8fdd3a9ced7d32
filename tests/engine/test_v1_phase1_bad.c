// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What strangers and impostors can send to IKEv1's phase 1, and what they get. Row numbers are those
// of the bad-input catalogue.
#include "controlplane/ikev1/phase1.h"
#include "tests/engine/v1_first.h"

#include <openssl/bn.h>

// Row 28: the refusal names no cookie of ours, is no larger than the question, and leaves nothing.
static void need_refusal(struct v1 *v, size_t asked, const char *counter)
{
	const struct v1_message *m = reply_of(v);
	bench_expect(v->gw, counter, 1);
	assert_int_equal(sas(v), 0);
	assert_non_null(m);
	assert_int_equal(m->h.exchange, IKEV1_EXCHANGE_INFORMATIONAL);
	assert_true(m->h.spi_r == 0);
	assert_false(m->encrypted);
	assert_true(m->len <= asked);
	assert_int_equal(m->m.notify_count, 1);
	assert_int_equal(m->m.notifies[0].type, IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN);
	bench_run(v->b, 40000);
	assert_int_equal(v1_sent(v->w, v->gw, 0), 1);
}

// ---- methods -----------------------------------------------------------------------------------------

// Row 45, CVE-2018-0131: RSA encryption is not implemented; nor are DSS, the XAUTH and hybrid forms
// with the sides exchanged, and XAUTH where nobody is to log in.
static void methods_refused(void **state)
{
	static const uint16_t auths[] = {IKEV1_AUTH_DSS, IKEV1_AUTH_RSA_ENCRYPTION,
		IKEV1_AUTH_RSA_ENCRYPTION_REVISED, IKEV1_AUTH_XAUTH_RESP_PSK,
		IKEV1_AUTH_HYBRID_RESP_RSA, IKEV1_AUTH_XAUTH_RESP_RSA, IKEV1_AUTH_XAUTH_INIT_PSK,
		IKEV1_AUTH_HYBRID_INIT_RSA, IKEV1_AUTH_RSA, IKEV1_AUTH_ECDSA_256, 777};
	for (size_t i = 0; i < sizeof(auths) / sizeof(auths[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){.config = V1_PULL});
		size_t asked = send_first(
			&v, &(struct first){.exchange = IKEV1_EXCHANGE_MAIN, .auth = auths[i]});
		need_refusal(&v, asked, "ikev1_auth_method");
		v1_free(&v);
	}
}

// Where a user is asked the plain method does too: clients that announce XAUTH by vendor ID alone.
static void plain_method_with_user(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
	send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_MAIN, .auth = IKEV1_AUTH_PSK});
	assert_int_equal(reply_of(&v)->h.exchange, IKEV1_EXCHANGE_MAIN);
	assert_int_equal(v1_any_sa(v.gw)->v1->auth, IKEV1_AUTH_PSK);
	v1_free(&v);
}

static void aggressive_not_allowed(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.config = V1_PULL});
	size_t asked = send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
					      .auth = IKEV1_AUTH_PSK,
					      .id = V1_GROUP});
	need_refusal(&v, asked, "ikev1_no_aggressive");
	assert_int_equal(v.gw->jobs_run, 0);
	v1_free(&v);
}

static void other_group(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
	size_t asked = send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
					      .auth = IKEV1_AUTH_PSK,
					      .id = V1_GROUP,
					      .ike = "aes128-sha256-modp2048"});
	need_refusal(&v, asked, "ike_no_proposal");
	v1_free(&v);
}

static void not_configured(void **state)
{
	struct v1_setup s = {.gw_remote = "id = \"*\"; auth = \"psk\"; addresses = [ "
					  "\"203.0.113.0/24\" ];"};
	struct v1 v = v1_new(&s);
	size_t asked = send_first(
		&v, &(struct first){.exchange = IKEV1_EXCHANGE_MAIN, .auth = IKEV1_AUTH_PSK});
	need_refusal(&v, asked, "ikev1_not_configured");
	v1_free(&v);
}

// ---- amplification -------------------------------------------------------------------------------------

// Row 41, VU#419128: main mode's answer is never larger, whatever the question leaves out, and is
// said once.
static void main_answer_not_larger(void **state)
{
	for (int vendors = 0; vendors < 2; vendors++) {
		struct v1 v = v1_new(&(struct v1_setup){.xauth = true});
		size_t asked = send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_MAIN,
						      .auth = IKEV1_AUTH_XAUTH_INIT_PSK,
						      .vendors = vendors});
		assert_non_null(reply_of(&v));
		assert_true(reply_of(&v)->len <= asked);
		// Row 44: no DH for who has not shown that it is there.
		assert_int_equal(v.gw->jobs_run, 0);
		bench_run(v.b, 40000);
		assert_int_equal(v1_sent_datagrams(v.w, v.gw), 1);
		assert_int_equal(sas(&v), 0);
		v1_free(&v);
	}
}

// Of what it announces the peer gets back what is of use.
static void vendors_answered(void **state)
{
	for (int vendors = 0; vendors < 2; vendors++) {
		struct v1 v = v1_new(&(struct v1_setup){.config = V1_PULL});
		send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_MAIN,
				       .auth = IKEV1_AUTH_PSK,
				       .vendors = vendors});
		uint32_t said = 0;
		const struct v1_message *m = reply_of(&v);
		for (uint8_t i = 0; i < m->m.vendor_count; i++)
			said |= 1u << ikev1_vendor_of(m->m.vendors[i]);
		assert_int_equal(said, vendors ? 1u << IKEV1_VID_NATT_RFC3947 |
							 1u << IKEV1_VID_DPD | 1u << IKEV1_VID_UNITY
					       : 0);
		v1_free(&v);
	}
}

static void aggressive_answer_not_larger(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	size_t asked = send_first(&v, &(struct first){.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
					      .auth = IKEV1_AUTH_XAUTH_INIT_PSK,
					      .id = V1_GROUP,
					      .vendors = true});
	assert_non_null(reply_of(&v));
	assert_true(reply_of(&v)->len <= asked);
	// What fits and was announced is there.
	assert_true(reply_of(&v)->m.vendor_count >= 2);
	bench_run(v.b, 40000);
	assert_int_equal(v1_sent_datagrams(v.w, v.gw), 1);
	v1_free(&v);
}

// A peer that has nothing to say beside its key gets a slightly larger answer, but few of those leave
// in a second, whoever asks.
static void larger_answers_are_few(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
	struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
		.auth = IKEV1_AUTH_PSK,
		.id = V1_GROUP,
		.nonce_len = 8,
		.wait_ms = 5};
	unsigned answers = 0;
	for (int i = 0; i < 40; i++) {
		size_t asked = send_first(&v, &f);
		const struct v1_message *m = reply_of(&v);
		answers += m != NULL;
		if (m) {
			assert_true(m->len > asked && m->len < asked * 3 / 2);
			assert_int_equal(m->m.nonce.len, 16);
			// The budget is that of repeats, too.
			send_again(&v);
		}
	}
	assert_true(answers < 20);
	assert_int_equal(bench_counter(v.gw, "ikev1_resent") + answers, 20);
	// Before any DH.
	assert_int_equal(v.gw->jobs_run, answers);
	bench_run(v.b, 1000);
	send_first(&v, &f);
	assert_non_null(reply_of(&v));
	v1_free(&v);
}

// ---- keys that differ ----------------------------------------------------------------------------

// The initiator learns from HASH_R that the keys differ.
static void wrong_key_aggressive(void **state)
{
	struct v1_setup s = {.aggressive = true,
		.client_credentials = "psk = ( { id = \"gw.example\"; secret = \"not the gateway's "
				      "one\"; } );"};
	struct v1 v = v1_new(&s);
	v1_connect(&v);
	bench_run(v.b, 20);
	bench_expect(v.client, "ikev1_bad_hash_auth", 1);
	assert_int_equal(v.client->engine->sa_count, 0);
	bench_run(v.b, 40000);
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

// ---- keys ------------------------------------------------------------------------------------------------

static void wrong_key_main(void **state)
{
	static const char *const credentials[] = {"psk = ( { addresses = [ \"" GW_ADDR
						  "/32\" ]; secret = \"not the gateway's "
						  "one\"; } );",
		NULL};
	struct v1_setup s = {.client_credentials = credentials[0]};
	struct v1 v = v1_new(&s);
	v1_refused(&v, "ikev1_garbled");
	// No key for this address: the same answers, and the same end.
	struct v1_setup none = {.gw_credentials = "psk = ( { id = \"somebody@else\"; secret = "
						  "\"a secret of them both\"; } );"};
	v = v1_new(&none);
	v1_connect(&v);
	bench_run(v.b, 20);
	assert_int_equal(v1_sent(v.w, v.gw, IKEV1_EXCHANGE_MAIN), 2);
	bench_run(v.b, 150000);
	bench_expect(v.gw, "ikev1_garbled", 5);
	assert_true(v1_are_empty(&v));
	v1_free(&v);
}

// ---- KE ----------------------------------------------------------------------------------------------------

enum ke_fault { KE_ZERO, KE_ONE, KE_MINUS_ONE, KE_MAX, KE_SHORT, KE_LONG, KE_EMPTY, NONCE_SHORT };
struct fault {
	enum ke_fault kind;
	bool done;
};

// RFC 3526 3: the prime of 2048 bits is 2^2048 - 2^1984 - 1 + 2^64 * { [2^1918 pi] + 124476 }; its
// last 64 bits are ones, so p - 1 ends in ...fe and otherwise is p, which the engine's table has.
static void prime_minus_one(uint8_t out[256])
{
	BIGNUM *p = BN_get_rfc3526_prime_2048(NULL);
	assert_non_null(p);
	assert_int_equal(BN_bn2binpad(p, out, 256), 256);
	out[255] -= 1;
	BN_free(p);
}

static void faulty_value(enum ke_fault kind, uint8_t value[512])
{
	memset(value, kind == KE_MAX ? 0xff : 0, 512);
	if (kind == KE_ONE)
		value[255] = 1;
	if (kind == KE_MINUS_ONE)
		prime_minus_one(value);
	if (kind >= KE_SHORT)
		memset(value, 2, 512);
}

// The first message with a KE payload is written anew with another one.
static enum bench_fate spoil_ke(struct bench *b, struct bench_packet *p, void *arg)
{
	struct fault *f = arg;
	struct ikev1_message m;
	struct ike_header h = bench_header(p);
	struct view payloads = {p->bytes + IKE_HEADER_LEN, p->len - IKE_HEADER_LEN};
	static const size_t lens[] = {
		[KE_SHORT] = 255, [KE_LONG] = 257, [KE_EMPTY] = 0, [NONCE_SHORT] = 256};
	uint8_t value[512], bytes[2048];
	struct wire_builder out;
	if (f->done || h.flags & IKEV1_FLAG_ENCRYPTED ||
		ikev1_message_parse(payloads, h.next_payload, &m) != WIRE_OK || !m.ke.p)
		return BENCH_PASS;
	f->done = true;
	faulty_value(f->kind, value);
	wire_build_message(&out, bytes, sizeof(bytes), &h);
	if (m.sa.p)
		wire_put_raw(&out, IKEV1_PAYLOAD_SA, m.sa);
	ikev1_put_ke(&out, (struct view){value, f->kind >= KE_SHORT ? lens[f->kind] : 256});
	if (f->kind == NONCE_SHORT)
		m.nonce.len = 7;
	ikev1_put_nonce(&out, m.nonce);
	if (m.id_count)
		wire_put_raw(&out, IKEV1_PAYLOAD_ID, m.ids[0]);
	struct view all = wire_build_done(&out);
	memcpy(p->bytes, all.p, all.len);
	p->len = all.len;
	return BENCH_PASS;
}

// Rows 7 and 8.
static void bad_ke(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		for (enum ke_fault k = KE_ZERO; k <= NONCE_SHORT; k++) {
			struct v1_setup s = {
				.aggressive = aggressive, .ike = "\"aes128-sha256-modp2048\""};
			struct fault f = {k, false};
			struct v1 v = v1_new(&s);
			bench_filter_add(v.b, spoil_ke, &f);
			v1_connect(&v);
			bench_run(v.b, 100);
			assert_true(f.done);
			bench_expect(v.gw, k == NONCE_SHORT ? "ike_bad_nonce" : "ike_bad_ke", 1);
			assert_int_equal(sas(&v), 0);
			v1_free(&v);
		}
	}
}

// ---- the last message ------------------------------------------------------------------------------------------

struct third {
	struct ike_header h;
	struct endpoint from, to;
	uint8_t bytes[2048];
	size_t len;
};

static enum bench_fate keep_third(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	struct third *t = arg;
	if (m->h.exchange != IKEV1_EXCHANGE_AGGRESSIVE || !m->encrypted)
		return BENCH_PASS;
	assert_true(m->opened);
	t->h = m->h;
	t->from = m->src;
	t->to = m->dst;
	t->len = m->m.end;
	memcpy(t->bytes, m->plain, t->len);
	return BENCH_DROP;
}

static void send_third(struct v1 *v, struct third *t)
{
	uint8_t bytes[IKE_HEADER_LEN + sizeof(t->bytes)];
	struct wr w = wr_of(bytes, sizeof(bytes));
	t->h.flags = 0;
	t->h.length = (uint32_t)(IKE_HEADER_LEN + t->len);
	wire_header_build(&w, &t->h);
	wr_bytes(&w, t->bytes, t->len);
	bench_inject(v->b, &t->from, &t->to, bytes, w.len);
	bench_run(v->b, 20);
}

// RFC 2409 5.4 shows it in clear; a wrong hash in it ends phase 1.
static void third_in_clear(void **state)
{
	for (int good = 0; good < 2; good++) {
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
		struct third t = {.len = 0};
		v1_filter_add(v.w, keep_third, &t);
		v1_connect(&v);
		bench_run(v.b, 100);
		assert_true(t.len > 36);
		assert_int_equal(v1_any_sa(v.gw)->state, IKE_SA_PHASE1);
		t.bytes[10] ^= (uint8_t)!good;
		send_third(&v, &t);
		bench_expect(v.gw, "ikev1_bad_hash_auth", !good);
		struct ike_sa *sa = v1_any_sa(v.gw);
		if (good)
			assert_true(sa && sa->state >= IKE_SA_LOGIN);
		else
			assert_null(sa);
		v1_free(&v);
	}
}

// Rows 27 and 30: before there is a state.
static void malformed_first(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
	struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
		.auth = IKEV1_AUTH_PSK,
		.id = V1_GROUP,
		.ke_len = 63};
	send_first(&v, &f);
	bench_expect(v.gw, "ike_bad_ke", 1);
	assert_null(reply_of(&v));
	f.ke_len = 0;
	f.nonce_len = 7;
	send_first(&v, &f);
	bench_expect(v.gw, "ike_bad_nonce", 1);
	assert_null(reply_of(&v));
	f.nonce_len = 0;
	f.ke_fill = 0xff; // no point of the curve
	send_first(&v, &f);
	bench_expect(v.gw, "ike_bad_ke", 2);
	assert_null(reply_of(&v));
	assert_int_equal(sas(&v), 0);
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(methods_refused),
		cmocka_unit_test(plain_method_with_user),
		cmocka_unit_test(aggressive_not_allowed),
		cmocka_unit_test(other_group),
		cmocka_unit_test(not_configured),
		cmocka_unit_test(main_answer_not_larger),
		cmocka_unit_test(vendors_answered),
		cmocka_unit_test(aggressive_answer_not_larger),
		cmocka_unit_test(larger_answers_are_few),
		cmocka_unit_test(wrong_key_aggressive),
		cmocka_unit_test(wrong_key_main),
		cmocka_unit_test(bad_ke),
		cmocka_unit_test(third_in_clear),
		cmocka_unit_test(malformed_first),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
