// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What strangers and impostors can send to IKEv1's phase 1, and what they get. Row numbers are those
// of the bad-input catalogue.
#include "controlplane/ikev1/phase1.h"
#include "tests/engine/v1_pair.h"

#include <openssl/bn.h>

#define STRANGER "198.51.100.77"

// ---- first messages by hand -------------------------------------------------------------------------

static uint8_t last_bytes[4096];
static size_t last_len;

struct first {
	uint8_t exchange;
	uint16_t auth;
	const char *ike; // proposal; NULL: V1_IKE's
	const char *id;
	size_t ke_len;   // 0: the group's
	uint8_t ke_fill; // of a value that is none; 0: a good one
	bool vendors;    // those that vpnc has
	uint8_t nonce_len;
	uint32_t wait_ms; // for the answer; 0: 50
};

static void put_ke_of(struct wire_builder *b, const struct proposal *p, const struct first *f)
{
	uint8_t value[1024];
	struct ike_dh *dh = ike_dh_new(p->dh[0]);
	size_t len = f->ke_len ? f->ke_len : alg_dh(p->dh[0])->public_len;
	assert_non_null(dh);
	memset(value, f->ke_fill, sizeof(value));
	if (!f->ke_fill) {
		assert_int_equal(ike_dh_generate(dh), IKE_CRYPTO_OK);
		memcpy(value, ike_dh_public(dh).p, ike_dh_public(dh).len);
	}
	ikev1_put_ke(b, (struct view){value, len});
	ike_dh_free(dh);
}

static void put_rest(struct wire_builder *b, const struct proposal *p, const struct first *f)
{
	static const uint8_t nonce[64] = {1, 2, 3};
	static const enum ikev1_vendor vids[] = {IKEV1_VID_XAUTH, IKEV1_VID_UNITY,
		IKEV1_VID_NATT_RFC3947, IKEV1_VID_NATT_03, IKEV1_VID_NATT_02N, IKEV1_VID_NATT_02,
		IKEV1_VID_NATT_00, IKEV1_VID_DPD};
	struct ike_id id;
	if (f->exchange == IKEV1_EXCHANGE_AGGRESSIVE) {
		put_ke_of(b, p, f);
		ikev1_put_nonce(b, (struct view){nonce, f->nonce_len ? f->nonce_len : 20});
		assert_int_equal(ike_id_from_text(f->id, &id), 0);
		wire_put_raw(b, IKEV1_PAYLOAD_ID, ike_id_view(&id));
	}
	for (size_t i = 0; f->vendors && i < sizeof(vids) / sizeof(vids[0]); i++)
		ikev1_put_vendor(b, ikev1_vendor_bytes(vids[i]));
}

// Sends it and returns its length; the answer, if there is one, is the gateway's next message.
static size_t send_first(struct v1 *v, const struct first *f)
{
	static uint64_t cookie = 0x1122334455660000;
	uint8_t bytes[4096];
	char why[128];
	struct proposal mine;
	struct wire_builder b;
	struct ike_header h = {.spi_i = ++cookie, .major = IKE_MAJOR_1, .exchange = f->exchange};
	struct ikev1_ike_offer offer = {
		.mine = &mine, .count = 1, .auths = {f->auth}, .auth_count = 1, .life_s = 3600};
	struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
	assert_int_equal(proposal_parse(f->ike ? f->ike : "aes128-sha256-ecp256", false, &mine, why,
				 sizeof(why)),
		0);
	wire_build_message(&b, bytes, sizeof(bytes), &h);
	ikev1_build_ike(&b, &offer);
	put_rest(&b, &mine, f);
	struct view all = wire_build_done(&b);
	assert_non_null(all.p);
	memcpy(last_bytes, all.p, all.len);
	last_len = all.len;
	v1_watch_forget(v->w);
	bench_inject(v->b, &from, &to, all.p, all.len);
	bench_run(v->b, f->wait_ms ? f->wait_ms : 50);
	return all.len;
}

static void send_again(struct v1 *v)
{
	struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
	bench_inject(v->b, &from, &to, last_bytes, last_len);
	bench_run(v->b, 5);
}

static const struct v1_message *reply_of(struct v1 *v)
{
	return v1_nth(v->w, v->gw, 0, 1);
}

static size_t sas(struct v1 *v)
{
	return v->gw->engine->sa_count;
}

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

// ---- enumeration ---------------------------------------------------------------------------------------

static void same_shape(const struct v1_message *a, const struct v1_message *b)
{
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->h.flags, b->h.flags);
	assert_memory_equal(a->m.count, b->m.count, sizeof(a->m.count));
	assert_int_equal(a->m.hash.len, b->m.hash.len);
	assert_memory_equal(a->m.sa.p, b->m.sa.p, a->m.sa.len);
	assert_memory_equal(a->m.ids[0].p, b->m.ids[0].p, a->m.ids[0].len);
}

// Row 46: ike-scan tells no known group from an unknown one. Names of equal length, since what was
// asked bounds what is answered.
static void unknown_group(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	uint8_t keys[2][IKEV1_STRANGER_KEY];
	struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
		.auth = IKEV1_AUTH_XAUTH_INIT_PSK,
		.id = "group.examplf",
		.vendors = true};
	struct v1 w = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	send_first(&v, &f);
	f.id = V1_GROUP;
	send_first(&w, &f);
	same_shape(reply_of(&v), reply_of(&w));
	bench_expect(v.gw, "ikev1_no_group", 1);
	bench_expect(w.gw, "ikev1_no_group", 0);
	assert_int_equal(v.gw->jobs_run, w.gw->jobs_run);
	v1_free(&w);
	// The key is another each time: not one that could be known.
	for (int i = 0; i < 2; i++) {
		const struct ikev1_phase1 *p = LIST_FIRST(&v1_any_sa(v.gw)->v1->exchanges)->state;
		assert_true(p->stranger);
		memcpy(keys[i], p->stranger_key, IKEV1_STRANGER_KEY);
		f.id = "group.examplf";
		send_first(&v, &f);
	}
	assert_memory_not_equal(keys[0], keys[1], IKEV1_STRANGER_KEY);
	v1_free(&v);
}

// A third message with whatever hash fails alike for a known group and an unknown one.
static void unknown_group_to_the_end(void **state)
{
	static const char *const ids[] = {"group.examplf", V1_GROUP};
	size_t lens[2];
	for (int i = 0; i < 2; i++) {
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
		struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
			.auth = IKEV1_AUTH_PSK,
			.id = ids[i],
			.vendors = true};
		uint8_t hash[32] = {1}, bytes[256];
		struct wire_builder b;
		send_first(&v, &f);
		struct ike_header h = reply_of(&v)->h;
		wire_build_message(&b, bytes, sizeof(bytes), &h);
		wire_put_raw(&b, IKEV1_PAYLOAD_HASH, (struct view){hash, sizeof(hash)});
		struct view all = wire_build_done(&b);
		struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
		bench_inject(v.b, &from, &to, all.p, all.len);
		bench_run(v.b, 50);
		bench_expect(v.gw, "ikev1_bad_hash_auth", 1);
		assert_int_equal(sas(&v), 0);
		lens[i] = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_INFORMATIONAL, 1)->len;
		v1_free(&v);
	}
	assert_int_equal(lens[0], lens[1]);
}

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

// ---- certificates --------------------------------------------------------------------------------------------

#define DAY 86400

static const struct {
	const char *client, *gw, *counter;
	int ca;
	time_t from, to;
} certs[] = {
	{"email:client@example", "DNS:gw.example", "ike_cert_untrusted", OTHER_CA, 0, 0},
	{"email:client@example", "DNS:gw.example", "ike_cert_expired", CA, -20 * DAY, -10 * DAY},
	{"email:client@example", "DNS:gw.example", "ike_cert_expired", CA, 10 * DAY, 20 * DAY},
	{"email:other@example", "DNS:other.example", "ike_cert_name", CA, 0, 0},
};
#define CERTS (sizeof(certs) / sizeof(certs[0]))

// Certificates are on disk. Ours is named, so that it is presented whatever stands in it.
static struct v1 with_issued(struct v1_setup *s)
{
	char gw[256], client[256];
	struct v1 v = {.b = bench_new(), .setup = *s};
	snprintf(gw, sizeof(gw), "id = \"gw.example\"; auth = \"cert\"; cert = \"%s\";",
		pki_path("gw.pem"));
	snprintf(client, sizeof(client), "id = \"client@example\"; auth = \"cert\"; cert = \"%s\";",
		pki_path("client.pem"));
	s->gw_local = gw;
	if (s->method != V1_HYBRID)
		s->client_local = client;
	v.w = v1_watch_new(v.b);
	v.gw = v1_add_gw(v.b, "gw", GW_ADDR, s);
	v.client = v1_add_client(v.b, "client", CLIENT_ADDR, s);
	v1_connect(&v);
	bench_run(v.b, 500);
	return v;
}

static void issue_row(const char *name, size_t i, const char *san)
{
	time_t now = time(NULL);
	pki_issue(name, san, KEY_RSA, certs[i].ca, certs[i].from ? now + certs[i].from : 0,
		certs[i].to ? now + certs[i].to : 0);
}

static void bad_client(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		for (size_t i = 0; i < CERTS; i++) {
			struct v1_setup s = {.method = V1_RSA, .aggressive = aggressive};
			v1_issue(&s);
			issue_row("client", i, certs[i].client);
			struct v1 v = with_issued(&s);
			if (bench_counter(v.gw, certs[i].counter) != 1)
				fail_msg("%zu: %s", i, certs[i].counter);
			assert_int_equal(sas(&v), 0);
			v1_free(&v);
		}
	}
}

// The gateway's certificate counts as well, and in hybrid mode it alone.
static void bad_gateway(void **state)
{
	for (int k = 0; k < 4; k++) {
		for (size_t i = 0; i < CERTS; i++) {
			struct v1_setup s = {
				.method = k & 1 ? V1_HYBRID : V1_RSA, .aggressive = (k & 2) != 0};
			v1_issue(&s);
			issue_row("gw", i, certs[i].gw);
			struct v1 v = with_issued(&s);
			if (bench_counter(v.client, certs[i].counter) != 1)
				fail_msg("%d %zu: %s", k, i, certs[i].counter);
			assert_int_equal(v.client->engine->sa_count, 0);
			v1_free(&v);
		}
	}
}

// It proves who it is, but somebody else was called.
static void other_gateway(void **state)
{
	struct v1_setup s = {
		.method = V1_RSA, .client_remote = "id = \"gw2.example\"; auth = \"cert\";"};
	struct v1 v = v1_new(&s);
	v1_connect(&v);
	bench_run(v.b, 500);
	bench_expect(v.client, "ike_no_peer", 1);
	assert_int_equal(v.client->engine->sa_count, 0);
	v1_free(&v);
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
		cmocka_unit_test(unknown_group),
		cmocka_unit_test(unknown_group_to_the_end),
		cmocka_unit_test(wrong_key_aggressive),
		cmocka_unit_test(wrong_key_main),
		cmocka_unit_test(bad_ke),
		cmocka_unit_test(bad_client),
		cmocka_unit_test(bad_gateway),
		cmocka_unit_test(other_gateway),
		cmocka_unit_test(third_in_clear),
		cmocka_unit_test(malformed_first),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
