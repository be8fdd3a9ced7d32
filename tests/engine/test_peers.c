// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What honest peers of other makes send and this headend does not use: it is ignored, without a word
// that would promise it, and never a reason to refuse.
#include "tests/engine/pair.h"

static const struct side defaults;
static const struct view empty = {NULL, 0};

// Announcements and wishes of strongSwan, Windows, Apple, Android and Cisco, and types of no registry.
static const uint16_t notifies[] = {IKEV2_NOTIFY_MOBIKE_SUPPORTED,
	IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS, IKEV2_NOTIFY_NO_ADDITIONAL_ADDRESSES,
	IKEV2_NOTIFY_MULTIPLE_AUTH_SUPPORTED, IKEV2_NOTIFY_EAP_ONLY_AUTHENTICATION,
	IKEV2_NOTIFY_IKEV2_MESSAGE_ID_SYNC_SUPPORTED, IKEV2_NOTIFY_REDIRECT_SUPPORTED,
	IKEV2_NOTIFY_HTTP_CERT_LOOKUP_SUPPORTED, IKEV2_NOTIFY_ADDITIONAL_TS_POSSIBLE,
	IKEV2_NOTIFY_IPCOMP_SUPPORTED, IKEV2_NOTIFY_USE_TRANSPORT_MODE,
	IKEV2_NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED, IKEV2_NOTIFY_NON_FIRST_FRAGMENTS_ALSO,
	IKEV2_NOTIFY_SET_WINDOW_SIZE, IKEV2_NOTIFY_MS_STATUS, 8000, 16383, 40000, 65535};

#define UNKNOWN_PAYLOAD 200

static void put_extras(struct wire_builder *b)
{
	static const uint8_t data[4] = {0, 1, 2, 3};
	for (size_t i = 0; i < sizeof(notifies) / sizeof(notifies[0]); i++)
		wire_put_notify(b, notifies[i], (struct view){data, i % 2 ? sizeof(data) : 0});
	wire_put_vendor(b, (struct view){data, sizeof(data)});
	wire_put_vendor(b, empty);
	wire_put_raw(b, UNKNOWN_PAYLOAD, (struct view){data, sizeof(data)});
}

struct talk {
	struct pair p;
	struct ike_sa *sa; // the client's
	uint8_t buf[8192];
	struct wire_builder b;
	struct ike_message reply; // views into plain
	uint8_t plain[8192];
};

// Sends the request and opens the reply.
static void talk(struct talk *t, uint8_t exchange, uint32_t id)
{
	size_t len;
	bench_send_sealed(t->p.client, t->sa, exchange, id, false, &t->b);
	bench_run(t->p.b, 20);
	const struct bench_packet *last = t->p.b->last;
	struct ike_header h = bench_header(last);
	struct view d = {last->bytes, last->len};
	assert_true(ike_header_response(&h));
	assert_int_equal(h.message_id, id);
	assert_int_equal(ike_open(&t->sa->crypt, d, IKE_HEADER_LEN + 4, t->plain, &len), 0);
	assert_int_equal(
		wire_message_parse((struct view){t->plain, len}, d.p[IKE_HEADER_LEN], &t->reply),
		WIRE_OK);
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
}

static enum bench_fate drop_auth(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_IKE_AUTH ? BENCH_DROP : BENCH_PASS;
}

static void put_auth(struct talk *t, const struct ike_id *id)
{
	uint8_t mac[IKE_PRF_MAX];
	struct ike_auth_input in = {.prf = t->sa->suite.prf,
		.sk_p = t->sa->keys.sk_pi,
		.message = secret_view(&t->sa->init_i),
		.nonce = secret_view(&t->sa->nonce_r),
		.id_body = ike_id_view(id)};
	struct view psk = secret_view(&t->p.client->cfg->psks[0].secret);
	assert_int_equal(ike_auth_psk(&in, psk, mac), 0);
	wire_put_auth(&t->b, IKE_AUTH_PSK, (struct view){mac, alg_prf(in.prf)->len});
}

// An address of each family, the IPv6 one as 17 bytes of zeros, and attributes of Windows.
static void put_cp(struct wire_builder *b)
{
	static const uint8_t zeros[17];
	static const uint16_t asked[] = {IKEV2_CP_INTERNAL_IP4_ADDRESS, IKEV2_CP_INTERNAL_IP4_DNS,
		IKEV2_CP_INTERNAL_IP4_NBNS, IKEV2_CP_MS_INTERNAL_IP4_SERVER,
		IKEV2_CP_INTERNAL_IP6_DNS, IKEV2_CP_MS_INTERNAL_IP6_SERVER,
		IKEV2_CP_INTERNAL_DNS_DOMAIN, 0x7abc};
	wire_open_cp(b, IKEV2_CP_REQUEST);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		wire_cp_put(b, asked[i], empty);
	wire_cp_put(b, IKEV2_CP_INTERNAL_IP6_ADDRESS, (struct view){zeros, 17});
	wire_close(b);
}

static void put_certs(struct wire_builder *b)
{
	static const uint8_t junk[40] = {0x30, 0x26};
	wire_put_cert(b, IKEV2_CERT_HASH_AND_URL_BUNDLE, (struct view){junk, sizeof(junk)});
	wire_put_cert(b, 99, (struct view){junk, sizeof(junk)});
	wire_put_certreq(b, 99, (struct view){junk, 3});
	wire_put_certreq(b, IKEV2_CERT_X509_SIGNATURE, empty);
}

// The first message of IKE_AUTH with all of it, and without IDr.
static void talk_auth(struct talk *t, void (*put)(struct wire_builder *b))
{
	const struct side gw = {.pools = POOL4 ", " POOL6,
		.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\", \"p6\" ];"};
	struct ike_id id;
	memset(t, 0, sizeof(*t));
	t->p = pair_new(&gw, &defaults);
	const struct cfg_child *child = &t->p.client->cfg->connections[0].children[0];
	struct wire_sa_policy policy = ike_child_policy(child, true, DH_NONE);
	bench_filter_add(t->p.b, drop_auth, NULL);
	assert_true(bench_connect(t->p.client, t->p.gw, "c") > 0);
	bench_run(t->p.b, 20);
	bench_filters_clear(t->p.b);
	t->sa = LIST_FIRST(&t->p.client->engine->all_sas);
	assert_int_equal(ike_id_from_text("client@example", &id), 0);
	wire_build_begin(&t->b, t->buf, sizeof(t->buf));
	put(&t->b);
	wire_put_raw(&t->b, IKEV2_PAYLOAD_IDI, ike_id_view(&id));
	put_certs(&t->b);
	put_auth(t, &id);
	put_cp(&t->b);
	wire_build_sa(&t->b, child->esp_proposals, child->esp_proposal_count, &policy, 0x1234);
	wire_put_ts(&t->b, IKEV2_PAYLOAD_TSI, child->local_ts, 1);
	wire_put_ts(&t->b, IKEV2_PAYLOAD_TSR, child->remote_ts, 1);
	t->p.client->deaf = true; // the answers are read here
	talk(t, IKEV2_EXCHANGE_IKE_AUTH, 1);
}

static void talk_begin(struct talk *t)
{
	talk_auth(t, put_extras);
}

// RFC 4555 3.9: as the message is sent, and from another address.
static void put_no_nats(struct wire_builder *b)
{
	static const uint8_t data[12] = {
		198, 51, 100, 2, 192, 0, 2, 1, 4500 >> 8, 4500 & 0xff, 4500 >> 8, 4500 & 0xff};
	wire_put_notify(b, IKEV2_NOTIFY_NO_NATS_ALLOWED, (struct view){data, sizeof(data)});
}

static void put_wrong_no_nats(struct wire_builder *b)
{
	static const uint8_t data[12] = {
		198, 51, 100, 3, 192, 0, 2, 1, 4500 >> 8, 4500 & 0xff, 4500 >> 8, 4500 & 0xff};
	wire_put_notify(b, IKEV2_NOTIFY_NO_NATS_ALLOWED, (struct view){data, sizeof(data)});
}

static void auth_with_no_nats_allowed(void **state)
{
	static struct talk t;
	for (int wrong = 0; wrong < 2; wrong++) {
		talk_auth(&t, wrong ? put_wrong_no_nats : put_no_nats);
		const struct wire_notify *n =
			wire_notify_find(&t.reply, IKEV2_NOTIFY_UNEXPECTED_NAT_DETECTED);
		assert_int_equal(n != NULL, wrong);
		bench_expect(t.p.gw, "ike_mobike_nat", wrong);
		bench_expect(t.p.gw, "ike_established", !wrong);
		bench_free(t.p.b);
	}
}

static void auth_with_everything(void **state)
{
	static struct talk t;
	struct wire_cp cp;
	talk_begin(&t);
	bench_expect(t.p.gw, "ike_established", 1);
	// Nothing else of it is promised.
	assert_int_equal(t.reply.notify_count, 1);
	assert_int_equal(t.reply.notifies[0].type, IKEV2_NOTIFY_MOBIKE_SUPPORTED);
	assert_non_null(t.reply.id_r.p);
	assert_non_null(t.reply.sa.p);
	assert_int_equal(bench_session(t.p.gw).child_count, 1);
	assert_int_equal(bench_session(t.p.gw).inner_count, 2);
	assert_int_equal(wire_cp_parse(t.reply.cp, &cp), WIRE_OK);
	assert_int_equal(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_ADDRESS)->value.len, 17);
	assert_null(wire_cp_find(&cp, IKEV2_CP_MS_INTERNAL_IP4_SERVER));
	bench_free(t.p.b);
}

static void put_delete(struct wire_builder *b, uint8_t protocol, uint8_t spi_len, uint16_t count)
{
	wire_open(b, IKEV2_PAYLOAD_DELETE);
	wr_u8(&b->w, protocol);
	wr_u8(&b->w, spi_len);
	wr_u16(&b->w, count);
	wr_zero(&b->w, (size_t)spi_len * count);
	wire_close(b);
}

// Each gets an empty answer, and the session stays as it is.
static void informational_with_everything(void **state)
{
	static struct talk t;
	talk_begin(&t);
	for (uint32_t i = 0; i < 7; i++) {
		if (i == 1 || i == 6)
			put_extras(&t.b);
		if (i == 2 || i == 6)
			put_delete(&t.b, IKEV2_PROTOCOL_AH, 4, 2);
		if (i == 3 || i == 6)
			put_delete(&t.b, 77, 6, 3);
		if (i == 4 || i == 6)
			put_delete(&t.b, IKEV2_PROTOCOL_ESP, 4, 5);
		if (i == 5 || i == 6)
			put_cp(&t.b);
		talk(&t, IKEV2_EXCHANGE_INFORMATIONAL, 2 + i);
		assert_int_equal(t.reply.payload_count, 0);
		assert_int_equal(bench_session(t.p.gw).child_count, 1);
	}
	bench_free(t.p.b);
}

static void put_create(struct talk *t, uint8_t number, uint16_t group)
{
	static uint8_t zeros[32] = {9};
	const struct cfg_child *child = &t->p.client->cfg->connections[0].children[0];
	struct wire_choice c = {.number = number, .protocol = IKEV2_PROTOCOL_ESP, .spi_len = 4};
	c.transforms[0] = (struct wire_transform){TRANSFORM_ENCR, 20, 128, true, false};
	c.transforms[1] = (struct wire_transform){.type = TRANSFORM_ESN};
	c.transform_count = 2;
	if (group)
		c.transforms[c.transform_count++] =
			(struct wire_transform){.type = TRANSFORM_DH, .id = group};
	put_extras(&t->b);
	wire_put_notify_esp(&t->b, IKEV2_NOTIFY_REKEY_SA, 0x1234, empty);
	wire_build_choice(&t->b, &c, 0x5678);
	wire_put_nonce(&t->b, (struct view){zeros, 32});
	if (group)
		wire_put_ke(&t->b, group, (struct view){zeros, 32});
	wire_put_ts(&t->b, IKEV2_PAYLOAD_TSI, child->local_ts, 1);
	wire_put_ts(&t->b, IKEV2_PAYLOAD_TSR, child->remote_ts, 1);
}

// Apple: the rekeying with PFS is refused here, the one without, its proposal being number 3, is not.
static void rekeying_with_then_without_pfs(void **state)
{
	static struct talk t;
	struct wire_proposals answer;
	talk_begin(&t);
	put_create(&t, 1, DH_X25519);
	talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA, 2);
	assert_non_null(wire_notify_find(&t.reply, IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN));
	put_create(&t, 3, DH_NONE);
	talk(&t, IKEV2_EXCHANGE_CREATE_CHILD_SA, 3);
	assert_int_equal(t.reply.notify_count, 0);
	assert_int_equal(wire_sa_parse(t.reply.sa, &answer), WIRE_OK);
	assert_int_equal(answer.items[0].number, 3);
	bench_expect(t.p.gw, "ike_child_rekeyed", 1);
	bench_free(t.p.b);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(auth_with_everything),
		T(auth_with_no_nats_allowed),
		T(informational_with_everything),
		T(rekeying_with_then_without_pfs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
