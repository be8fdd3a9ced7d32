// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a peer that has keys, but means harm, can send from IKE_AUTH on: missing, malformed and
// contradicting payloads. Each is refused by name and leaves nothing behind.
#include "tests/engine/pair.h"

static const struct side defaults;
static const struct view empty = {NULL, 0};

// ---- IKE_AUTH by hand --------------------------------------------------------------------------

static enum bench_fate drop_auth(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_IKE_AUTH ? BENCH_DROP : BENCH_PASS;
}

struct by_hand {
	struct pair p;
	struct ike_sa *sa; // the client's
	uint8_t buf[32768];
	struct wire_builder b;
	const char *skip; // a letter a payload that is left out
	struct ike_id id;
	struct view cert;
	uint8_t method;
	const char *ts; // NULL: a good TSr
	size_t ts_len;
	struct view cp;
	uint32_t spi;
};

static void hand_begin(struct by_hand *h, const struct side *gw, const struct side *client)
{
	memset(h, 0, sizeof(*h));
	h->p = pair_new(gw, client);
	bench_filter_add(h->p.b, drop_auth, NULL);
	assert_true(bench_connect(h->p.client, h->p.gw, "c") > 0);
	bench_run(h->p.b, 20);
	bench_filters_clear(h->p.b);
	h->sa = LIST_FIRST(&h->p.client->engine->all_sas);
	assert_non_null(h->sa);
	assert_int_equal(h->sa->state, IKE_SA_AUTH_SENT);
	assert_int_equal(ike_id_from_text("client@example", &h->id), 0);
	h->method = IKE_AUTH_PSK;
	h->skip = "";
	h->spi = 0x1234;
	wire_build_begin(&h->b, h->buf, sizeof(h->buf));
}

static bool with(const struct by_hand *h, char c)
{
	return !strchr(h->skip, c);
}

static void put_auth(struct by_hand *h)
{
	uint8_t mac[IKE_PRF_MAX];
	const struct cfg_psk *psk = &h->p.client->cfg->psks[0];
	struct ike_auth_input in = {
		.prf = h->sa->suite.prf,
		.sk_p = h->sa->keys.sk_pi,
		.message = secret_view(&h->sa->init_i),
		.nonce = secret_view(&h->sa->nonce_r),
		.id_body = ike_id_view(&h->id),
	};
	assert_int_equal(ike_auth_psk(&in, secret_view(&psk->secret), mac), 0);
	wire_put_auth(&h->b, h->method, (struct view){mac, alg_prf(in.prf)->len});
}

// The request that the client would send, but for what the test has changed.
static void hand_send(struct by_hand *h)
{
	const struct cfg_child *child = &h->p.client->cfg->connections[0].children[0];
	struct wire_sa_policy policy = ike_child_policy(child, true, DH_NONE);
	struct wire_builder *b = &h->b;
	if (with(h, 'i'))
		wire_put_raw(b, IKEV2_PAYLOAD_IDI, ike_id_view(&h->id));
	if (h->cert.p)
		wire_put_cert(b, IKEV2_CERT_X509_SIGNATURE, h->cert);
	if (with(h, 'a'))
		put_auth(h);
	if (h->cp.p)
		wire_put_raw(b, IKEV2_PAYLOAD_CP, h->cp);
	if (with(h, 's'))
		wire_build_sa(b, child->esp_proposals, child->esp_proposal_count, &policy, h->spi);
	if (with(h, 't'))
		wire_put_ts(b, IKEV2_PAYLOAD_TSI, child->local_ts, (uint8_t)child->local_ts_count);
	if (with(h, 'r') && h->ts)
		wire_put_raw(
			b, IKEV2_PAYLOAD_TSR, (struct view){(const uint8_t *)h->ts, h->ts_len});
	else if (with(h, 'r'))
		wire_put_ts(
			b, IKEV2_PAYLOAD_TSR, child->remote_ts, (uint8_t)child->remote_ts_count);
	bench_send_sealed(h->p.client, h->sa, IKEV2_EXCHANGE_IKE_AUTH, 1, false, b);
	bench_run(h->p.b, 20);
}

// Then an honest client connects as if nothing had been.
static void hand_end(struct by_hand *h)
{
	bench_run(h->p.b, 70000);
	assert_true(bench_empty(h->p.client));
	assert_true(bench_empty(h->p.gw));
	assert_int_equal(pool_in_use(h->p.gw, 0), 0);
	assert_true(pair_up(&h->p));
	assert_true(pair_traffic(&h->p));
	pair_down(&h->p);
}

static void complete_request_is_accepted(void **state)
{
	struct by_hand h;
	hand_begin(&h, &defaults, &defaults);
	hand_send(&h);
	bench_expect(h.p.gw, "ike_established", 1);
	bench_free(h.p.b);
}

// Row 12 (CVE-2013-6467): INVALID_SYNTAX in a protected reply, the IKE SA is dropped.
static void payloads_withheld(void **state)
{
	static const char *missing[] = {"s", "t", "r", "st", "tr", "sr", "ia"};
	for (size_t i = 0; i < sizeof(missing) / sizeof(missing[0]); i++) {
		struct by_hand h;
		hand_begin(&h, &defaults, &defaults);
		h.skip = missing[i];
		hand_send(&h);
		assert_true(bench_counter(h.p.gw, "ike_auth_payloads") +
				    bench_counter(h.p.gw, "ike_rules") ==
			    1);
		assert_int_equal(h.p.gw->engine->sa_count, 0);
		assert_true(bench_counter(h.p.client, "ike_peer_syntax") == 1);
		hand_end(&h);
	}
}

// A peer that wants EAP leaves AUTH out, and understands AUTHENTICATION_FAILED.
static void peer_that_wants_eap(void **state)
{
	struct by_hand h;
	hand_begin(&h, &defaults, &defaults);
	h.skip = "a";
	hand_send(&h);
	bench_expect(h.p.gw, "ike_eap_wanted", 1);
	bench_expect(h.p.client, "ike_auth_refused", 1);
	bench_expect(h.p.client, "ike_peer_syntax", 0);
	assert_int_equal(h.p.gw->engine->sa_count, 0);
	hand_end(&h);
}

// Row 14 (CVE-2014-2338): what needs an established IKE SA does not make one.
static void rekeying_before_authentication(void **state)
{
	struct by_hand h;
	struct wire_builder b;
	static const uint8_t exchanges[] = {
		IKEV2_EXCHANGE_CREATE_CHILD_SA, IKEV2_EXCHANGE_INFORMATIONAL};
	for (size_t i = 0; i < 2; i++) {
		hand_begin(&h, &defaults, &defaults);
		wire_build_begin(&b, h.buf, sizeof(h.buf));
		wire_put_nonce(&b, (struct view){h.buf + 1000, 32});
		bench_send_sealed(h.p.client, h.sa, exchanges[i], 1, false, &b);
		bench_run(h.p.b, 20);
		bench_expect(h.p.gw, "ike_established", 0);
		assert_int_equal(bench_session_count(h.p.gw), 0);
		bench_free(h.p.b);
	}
}

static void set_id(struct by_hand *h, uint8_t type, const void *data, size_t len)
{
	assert_true(4 + len <= sizeof(h->id.body));
	memset(h->id.body, 0, 4);
	h->id.body[0] = type;
	if (len)
		memcpy(h->id.body + 4, data, len);
	h->id.len = 4 + len;
}

// Rows 33 to 36: identities of all kinds and sizes.
static void hostile_identities(void **state)
{
	static const uint8_t zeros[WIRE_ID_MAX];
	static const struct {
		uint8_t type;
		const char *data;
		size_t len;
		const char *reason;
	} rows[] = {
		{IKEV2_ID_DER_ASN1_DN, "\x30", 1, "ike_no_psk"},
		{IKEV2_ID_DER_ASN1_DN, "\x30\x84\xff\xff\xff\xff", 6, "ike_no_psk"},
		{IKEV2_ID_DER_ASN1_DN, "\x30\x00trailing", 10, "ike_no_psk"},
		{IKEV2_ID_IPV4_ADDR, "\x01", 1, "ike_bad_id"},
		{IKEV2_ID_IPV6_ADDR, "\x01\x02\x03\x04", 4, "ike_bad_id"},
		{IKEV2_ID_FQDN, "", 0, "ike_bad_id"},
		{IKEV2_ID_FQDN, (const char *)zeros, sizeof(zeros), "ike_bad_id"},
		{IKEV2_ID_KEY_ID, "\x30\x82%n%s", 6, "ike_no_psk"},
		{0, "x", 1, "ike_no_psk"},
		{255, "x", 1, "ike_no_psk"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct by_hand h;
		hand_begin(&h, &defaults, &defaults);
		set_id(&h, rows[i].type, rows[i].data, rows[i].len);
		hand_send(&h);
		bench_expect(h.p.gw, rows[i].reason, 1);
		assert_int_equal(h.p.gw->engine->sa_count, 0);
		hand_end(&h);
	}
}

static void identity_beyond_the_limit(void **state)
{
	struct by_hand h;
	uint8_t huge[20000] = {IKEV2_ID_FQDN};
	memset(huge + 4, 'a', sizeof(huge) - 4);
	hand_begin(&h, &defaults, &defaults);
	h.skip = "i";
	wire_put_raw(&h.b, IKEV2_PAYLOAD_IDI, (struct view){huge, sizeof(huge)});
	hand_send(&h);
	bench_expect(h.p.gw, "ike_bad_id", 1);
	assert_int_equal(h.p.gw->engine->sa_count, 0);
	hand_end(&h);
}

// A name under a group PSK is opaque, and logged without its control characters.
static void identity_is_shown_escaped(void **state)
{
	struct side s = {.credentials = PSK_GROUP};
	struct by_hand h;
	hand_begin(&h, &s, &s);
	set_id(&h, IKEV2_ID_KEY_ID, "a\n\x1b[31mb", 8);
	hand_send(&h);
	bench_expect(h.p.gw, "ike_established", 1);
	for (const char *c = bench_session(h.p.gw).remote_id; *c; c++)
		assert_true(*c >= 0x20 && *c < 0x7f);
	bench_free(h.p.b);
}

static void methods_that_are_none(void **state)
{
	static const uint8_t methods[] = {0, IKEV2_AUTH_DSS_SIGNATURE, IKEV2_AUTH_SECURE_PASSWORD,
		IKEV2_AUTH_NULL_AUTH, 99, 255, IKE_AUTH_RSA_SHA1, IKE_AUTH_SIGNATURE};
	for (size_t i = 0; i < sizeof(methods); i++) {
		struct by_hand h;
		hand_begin(&h, &defaults, &defaults);
		h.method = methods[i];
		hand_send(&h);
		bench_expect(h.p.gw, "ike_established", 0);
		assert_int_equal(h.p.gw->engine->sa_count, 0);
		hand_end(&h);
	}
}

// Row 58 (CVE-2023-23009).
static void malformed_selectors(void **state)
{
	static const struct {
		const char *ts;
		size_t len;
	} rows[] = {
		{"", 0}, {"\1\0\0", 3}, {"\1\0\0\0", 4},                          // one, absent
		{"\0\0\0\0", 4},                                                  // none
		{"\1\0\0\0\7\0\0\0\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff", 20},     // length 0
		{"\1\0\0\0\7\0\0\x0f\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff", 20},   // length 15
		{"\1\0\0\0\7\0\xff\xff\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff", 20}, // length 65535
		{"\2\0\0\0\7\0\0\x10\0\0\xff\xff\0\0\0\0\xff\xff\xff\xff", 20},   // two, one absent
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct by_hand h;
		hand_begin(&h, &defaults, &defaults);
		h.ts = rows[i].ts;
		h.ts_len = rows[i].len;
		hand_send(&h);
		bench_expect(h.p.gw, "ike_malformed", 1);
		assert_int_equal(h.p.gw->engine->sa_count, 0);
		assert_int_equal(bench_counter(h.p.client, "ike_peer_syntax"), 1);
		hand_end(&h);
	}
}

// Row 73: many attributes, empty, unknown, of wrong lengths; two addresses asked for.
static void configuration_requests(void **state)
{
	struct by_hand h;
	uint8_t cp[4 + 255 * 8] = {IKEV2_CP_REQUEST};
	struct wr w = wr_of(cp + 4, sizeof(cp) - 4);
	wr_u16(&w, IKEV2_CP_INTERNAL_IP4_ADDRESS);
	wr_u16(&w, 0);
	wr_u16(&w, IKEV2_CP_INTERNAL_IP4_ADDRESS);
	wr_u16(&w, 0);
	for (uint16_t i = 0; i < 250; i++) {
		wr_u16(&w, (uint16_t)(i * 100));
		wr_u16(&w, 3);
		wr_zero(&w, 3);
	}
	hand_begin(&h, &defaults, &defaults);
	h.cp = (struct view){cp, 4 + w.len};
	hand_send(&h);
	bench_expect(h.p.gw, "ike_established", 1);
	assert_int_equal(bench_session(h.p.gw).inner_count, 1);
	assert_int_equal(pool_in_use(h.p.gw, 0), 1);
	bench_free(h.p.b);
	hand_begin(&h, &defaults, &defaults);
	h.cp = (struct view){cp, 7}; // cut in the middle of an attribute
	hand_send(&h);
	bench_expect(h.p.gw, "ike_malformed", 1);
	hand_end(&h);
}

static void esp_spi_of_zero(void **state)
{
	struct by_hand h;
	hand_begin(&h, &defaults, &defaults);
	h.spi = 0;
	hand_send(&h);
	bench_expect(h.p.gw, "ike_no_esp_proposal", 1);
	assert_int_equal(bench_session(h.p.gw).child_count, 0);
	bench_free(h.p.b);
}

// ---- established -------------------------------------------------------------------------------

struct talk {
	struct pair p;
	struct ike_sa *client, *gw;
	uint8_t buf[8192];
	struct wire_builder b;
	struct ike_message reply; // views into plain
	uint8_t plain[8192];
};

static void talk_begin(struct talk *t)
{
	memset(t, 0, sizeof(*t));
	t->p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&t->p));
	t->client = bench_sa_of(t->p.client, bench_session(t->p.client).id);
	t->gw = bench_sa_of(t->p.gw, bench_session(t->p.gw).id);
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
}

// Sends the request and opens the reply.
static void talk(struct talk *t, uint8_t exchange)
{
	size_t len;
	uint32_t id = t->gw->next_in;
	bench_send_sealed(t->p.client, t->client, exchange, id, false, &t->b);
	bench_run(t->p.b, 20);
	const struct bench_packet *last = t->p.b->last;
	struct ike_header h = bench_header(last);
	assert_true(ike_header_response(&h));
	assert_int_equal(h.message_id, id);
	struct view d = {last->bytes, last->len};
	uint8_t first = d.p[IKE_HEADER_LEN];
	assert_int_equal(ike_open(&t->client->crypt, d, IKE_HEADER_LEN + 4, t->plain, &len), 0);
	assert_int_equal(
		wire_message_parse((struct view){t->plain, len}, first, &t->reply), WIRE_OK);
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
}

static void put_child(struct talk *t, bool sa, bool nonce, bool ts)
{
	static const uint8_t n[32] = {1};
	const struct cfg_child *child = &t->p.client->cfg->connections[0].children[0];
	struct wire_sa_policy policy = ike_child_policy(child, false, DH_NONE);
	if (sa)
		wire_build_sa(
			&t->b, child->esp_proposals, child->esp_proposal_count, &policy, 0x77);
	if (nonce)
		wire_put_nonce(&t->b, (struct view){n, sizeof(n)});
	if (ts) {
		wire_put_ts(&t->b, IKEV2_PAYLOAD_TSI, child->local_ts, 1);
		wire_put_ts(&t->b, IKEV2_PAYLOAD_TSR, child->remote_ts, 1);
	}
}

// Row 59 (CVE-2023-38710): REKEY_SA that names no ESP SA.
static void rekey_of_the_wrong_protocol(void **state)
{
	static const uint8_t protocols[] = {0, 1, 2, 4, 255};
	for (size_t i = 0; i < sizeof(protocols); i++) {
		static struct talk t;
		talk_begin(&t);
		wire_open(&t.b, IKEV2_PAYLOAD_NOTIFY);
		wr_u8(&t.b.w, protocols[i]);
		wr_u8(&t.b.w, 4);
		wr_u16(&t.b.w, IKEV2_NOTIFY_REKEY_SA);
		wr_u32(&t.b.w, 1);
		wire_close(&t.b);
		put_child(&t, true, true, true);
		talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
		assert_true(wire_notify_find(&t.reply, IKEV2_NOTIFY_INVALID_SYNTAX) ||
			    wire_notify_find(&t.reply, IKEV2_NOTIFY_CHILD_SA_NOT_FOUND));
		bench_free(t.p.b);
	}
}

static void rekey_of_an_unknown_child(void **state)
{
	static struct talk t;
	talk_begin(&t);
	wire_put_notify_esp(&t.b, IKEV2_NOTIFY_REKEY_SA, 0xdeadbeef, empty);
	put_child(&t, true, true, true);
	talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
	const struct wire_notify *n = wire_notify_find(&t.reply, IKEV2_NOTIFY_CHILD_SA_NOT_FOUND);
	assert_non_null(n);
	assert_int_equal(n->spi.len, 4);
	assert_memory_equal(n->spi.p, "\xde\xad\xbe\xef", 4);
	bench_expect(t.p.gw, "ike_child_unknown", 1);
	assert_int_equal(bench_session(t.p.gw).child_count, 1);
	bench_free(t.p.b);
}

static void child_requests_that_are_incomplete(void **state)
{
	for (int i = 0; i < 7; i++) {
		static struct talk t;
		talk_begin(&t);
		put_child(&t, i & 1, i & 2, i & 4);
		talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
		assert_non_null(wire_notify_error(&t.reply));
		assert_int_equal(t.p.gw->engine->child_count, bench_session_count(t.p.gw) ? 1 : 0);
		bench_free(t.p.b);
	}
}

static void child_request_with_a_short_nonce(void **state)
{
	static struct talk t;
	talk_begin(&t);
	put_child(&t, true, false, true);
	wire_put_raw(&t.b, IKEV2_PAYLOAD_NONCE, (struct view){t.buf, 15});
	talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
	assert_non_null(wire_notify_find(&t.reply, IKEV2_NOTIFY_INVALID_SYNTAX));
	bench_free(t.p.b);
}

static void put_ike_rekey(struct talk *t, uint64_t spi, uint16_t group, const void *ke, size_t len)
{
	static const uint8_t n[32] = {1};
	const struct cfg_connection *conn = &t->p.client->cfg->connections[0];
	struct wire_sa_policy policy = {.protocol = IKEV2_PROTOCOL_IKE, .spi_len = 8};
	wire_build_sa(&t->b, conn->ike_proposals, conn->ike_proposal_count, &policy, spi);
	wire_put_nonce(&t->b, (struct view){n, sizeof(n)});
	wire_put_ke(&t->b, group, (struct view){ke, len});
}

static void ike_rekeys_that_are_wrong(void **state)
{
	static const uint8_t zeros[64], junk[64] = {9, 9, 9};
	static const struct {
		uint64_t spi;
		uint16_t group;
		const uint8_t *ke;
		size_t len;
		uint16_t notify;
		const char *reason;
	} rows[] = {
		{7, DH_ECP_256, junk, 64, IKEV2_NOTIFY_INVALID_KE_PAYLOAD, "ike_child_invalid_ke"},
		{7, 1025, junk, 64, IKEV2_NOTIFY_INVALID_KE_PAYLOAD, "ike_child_invalid_ke"},
		{7, DH_X25519, zeros, 32, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		{7, DH_X25519, junk, 31, IKEV2_NOTIFY_INVALID_SYNTAX, "ike_bad_ke"},
		{0, DH_X25519, junk, 32, IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN, "ike_no_proposal"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		static struct talk t;
		talk_begin(&t);
		put_ike_rekey(&t, rows[i].spi, rows[i].group, rows[i].ke, rows[i].len);
		talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
		const struct wire_notify *n = wire_notify_find(&t.reply, rows[i].notify);
		assert_non_null(n);
		if (rows[i].notify == IKEV2_NOTIFY_INVALID_KE_PAYLOAD) {
			assert_int_equal(n->data.len, 2);
			assert_int_equal(n->data.p[0] << 8 | n->data.p[1], DH_X25519);
		}
		bench_expect(t.p.gw, rows[i].reason, 1);
		assert_true(t.p.gw->engine->sa_count <= 1);
		bench_free(t.p.b);
	}
}

// Row 61 (CVE-2023-38712): DELETE twice, with notifies, of children and the IKE SA at once.
static void deletes_in_one_message(void **state)
{
	static struct talk t;
	talk_begin(&t);
	uint32_t spi = bench_session(t.p.client).children[0].spi_in;
	uint32_t twice[] = {spi, spi, 0, 0xffffffff};
	wire_put_delete_esp(&t.b, twice, 4);
	wire_put_notify_esp(&t.b, IKEV2_NOTIFY_INVALID_SELECTORS, spi, empty);
	wire_put_delete_esp(&t.b, twice, 2);
	talk(&t, IKEV2_EXCHANGE_INFORMATIONAL);
	assert_int_equal(t.reply.delete_count, 1);
	assert_int_equal(t.reply.deletes[0].count, 1);
	assert_int_equal(bench_session(t.p.gw).child_count, 0);
	bench_expect(t.p.gw, "ike_child_deleted", 1);
	wire_put_delete_esp(&t.b, twice, 4); // again: nothing there
	talk(&t, IKEV2_EXCHANGE_INFORMATIONAL);
	assert_int_equal(t.reply.delete_count, 0);
	wire_put_delete_esp(&t.b, twice, 1);
	wire_put_delete_ike(&t.b);
	wire_put_delete_ike(&t.b);
	talk(&t, IKEV2_EXCHANGE_INFORMATIONAL);
	assert_int_equal(bench_session_count(t.p.gw), 0);
	bench_run(t.p.b, 100);
	assert_int_equal(pool_in_use(t.p.gw, 0), 0);
	bench_free(t.p.b);
}

// An initiator that does not accept our AUTH tells so by itself and forgets the IKE SA.
static void peer_does_not_accept_us(void **state)
{
	static struct talk t;
	talk_begin(&t);
	wire_put_notify(&t.b, IKEV2_NOTIFY_AUTHENTICATION_FAILED, empty);
	talk(&t, IKEV2_EXCHANGE_INFORMATIONAL);
	assert_int_equal(t.reply.payload_count, 0);
	bench_expect(t.p.gw, "ike_auth_refused", 1);
	assert_int_equal(bench_session_count(t.p.gw), 0);
	bench_run(t.p.b, 100);
	assert_int_equal(pool_in_use(t.p.gw, 0), 0);
	bench_free(t.p.b);
}

// Row 74: a rate of rekeying that serves nobody.
static void rekeying_without_end(void **state)
{
	static struct talk t;
	talk_begin(&t);
	uint64_t refused = 0;
	for (int i = 0; i < 2 * IKE_REKEY_BURST; i++) {
		put_child(&t, true, true, true);
		talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA);
		refused += wire_notify_find(&t.reply, IKEV2_NOTIFY_TEMPORARY_FAILURE) != NULL;
	}
	assert_int_equal(refused, IKE_REKEY_BURST);
	bench_expect(t.p.gw, "ike_rekey_rate", IKE_REKEY_BURST);
	assert_true(t.p.gw->engine->child_count <= IKE_CHILDREN_MAX);
	bench_free(t.p.b);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(complete_request_is_accepted),
		T(payloads_withheld),
		T(peer_that_wants_eap),
		T(rekeying_before_authentication),
		T(hostile_identities),
		T(identity_beyond_the_limit),
		T(identity_is_shown_escaped),
		T(methods_that_are_none),
		T(malformed_selectors),
		T(configuration_requests),
		T(esp_spi_of_zero),
		T(rekey_of_the_wrong_protocol),
		T(rekey_of_an_unknown_child),
		T(child_requests_that_are_incomplete),
		T(child_request_with_a_short_nonce),
		T(ike_rekeys_that_are_wrong),
		T(deletes_in_one_message),
		T(peer_does_not_accept_us),
		T(rekeying_without_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
