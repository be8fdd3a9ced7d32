// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode's messages as an attacker, a broken peer or another school writes them, with the real
// keys: first messages to the gateway, answers to the client.
#include "tests/engine/v1_say.h"

#define SPI_IN 0xc0ffee01u

struct transform {
	uint8_t id;
	uint16_t encap, auth, group, key_bits;
	uint16_t life_kb;
};

#define AES128_SHA256                                                    \
	{                                                                \
		12, IKEV1_ENCAP_TUNNEL, IKEV1_ESP_AUTH_SHA256, 0, 128, 0 \
	}
#define WITH_ECP256                                                               \
	{                                                                         \
		12, IKEV1_ENCAP_TUNNEL, IKEV1_ESP_AUTH_SHA256, DH_ECP_256, 128, 0 \
	}

struct quick_row {
	const char *what;
	// SA payload; no transform: the first one above
	struct transform transforms[3];
	uint8_t protocol, spi_len; // 0: ESP, 4 (255: none)
	uint32_t spi;              // 0: SPI_IN (1: zero)
	unsigned no_sa, no_nonce;
	size_t nonce_len; // 0: 32
	size_t ke_len;    // of a KE payload full of fill
	uint8_t fill;
	uint8_t ids[3][20]; // bodies: type, protocol, port, data
	size_t id_len[3];   // 0: none
	bool own_ids;       // none of those: the lease and the LAN
	struct v1_made how;
	const char *counter; // NULL: the child is made
	uint16_t notify;     // 0: no answer
};

#define OWN .own_ids = true

static void put_attr(struct wire_builder *b, uint16_t type, uint16_t value)
{
	if (value)
		ikev1_put_attr_basic(b, type, value);
}

static void put_transform(struct wr *w, const struct transform *t, uint8_t number, bool last)
{
	uint8_t attrs[64];
	struct wire_builder b;
	wire_build_begin(&b, attrs, sizeof(attrs));
	put_attr(&b, IKEV1_ESP_ENCAP, t->encap);
	put_attr(&b, IKEV1_ESP_AUTH, t->auth);
	put_attr(&b, IKEV1_ESP_GROUP, t->group);
	put_attr(&b, IKEV1_ESP_KEY_LENGTH, t->key_bits);
	put_attr(&b, IKEV1_ESP_LIFE_TYPE, t->life_kb ? IKEV1_LIFE_KILOBYTES : 0);
	put_attr(&b, IKEV1_ESP_LIFE_DURATION, t->life_kb);
	struct view v = wr_done(&b.w);
	wr_u8(w, last ? 0 : IKEV1_PAYLOAD_TRANSFORM);
	wr_u8(w, 0);
	wr_u16(w, (uint16_t)(8 + v.len));
	wr_u8(w, number);
	wr_u8(w, t->id);
	wr_u16(w, 0);
	wr_view(w, v);
}

static void put_sa(struct wire_builder *b, const struct quick_row *q)
{
	static const struct transform fallback = AES128_SHA256;
	uint8_t transforms[256];
	struct wr t = wr_of(transforms, sizeof(transforms));
	uint8_t n = 0, spi_len = q->spi_len == 255 ? 0 : q->spi_len ? q->spi_len : 4;
	while (n < 3 && q->transforms[n].id)
		n++;
	for (uint8_t i = 0; i < n; i++)
		put_transform(&t, &q->transforms[i], (uint8_t)(i + 1), i + 1 == n);
	if (!n)
		put_transform(&t, &fallback, 1, true);
	struct view list = wr_done(&t);
	wire_open(b, IKEV1_PAYLOAD_SA);
	wr_u32(&b->w, IKEV1_DOI_IPSEC);
	wr_u32(&b->w, IKEV1_SIT_IDENTITY_ONLY);
	wr_u16(&b->w, 0);
	wr_u16(&b->w, (uint16_t)(8 + spi_len + list.len));
	wr_u8(&b->w, 1);
	wr_u8(&b->w, q->protocol ? q->protocol : IKEV1_PROTOCOL_ESP);
	wr_u8(&b->w, spi_len);
	wr_u8(&b->w, n ? n : 1);
	for (uint8_t i = 0; i < spi_len; i++)
		wr_u8(&b->w, q->spi == 1 ? 0 : (uint8_t)(SPI_IN >> (8 * (3 - i % 4))));
	wr_view(&b->w, list);
	wire_close(b);
}

static void put_selector(struct wire_builder *b, const struct selector *s)
{
	wire_open(b, IKEV1_PAYLOAD_ID);
	assert_true(ikev1_selector_id(&b->w, s));
	wire_close(b);
}

static void put_ids(struct wire_builder *b, const struct quick_row *q, const struct ip_addr *lease)
{
	struct ip_prefix lan;
	for (int i = 0; i < 3; i++)
		if (q->id_len[i])
			wire_put_raw(b, IKEV1_PAYLOAD_ID, (struct view){q->ids[i], q->id_len[i]});
	if (!q->own_ids)
		return;
	assert_int_equal(ip_prefix_parse("10.99.0.0/24", false, &lan), 0);
	struct ip_range range = ip_prefix_range(&lan);
	struct selector own = selector_of_addr(lease), other = selector_of_range(&range);
	put_selector(b, &own);
	put_selector(b, &other);
}

static uint32_t say_first(struct v1 *v, struct v1_ready *r, const struct quick_row *q)
{
	static const uint8_t nonce[300] = "not very random";
	uint8_t ke[600];
	struct v1_say *s = v1_say_begin(v, v->client, r->client);
	struct v1_made how = q->how;
	struct ip_addr none = ip_from_v4(0xc6336402);
	memset(ke, q->fill, sizeof(ke));
	if (!q->no_sa)
		put_sa(&s->b, q);
	if (!q->no_nonce)
		wire_put_raw(&s->b, IKEV1_PAYLOAD_NONCE,
			(struct view){nonce, q->nonce_len ? q->nonce_len : 32});
	if (q->ke_len)
		wire_put_raw(&s->b, IKEV1_PAYLOAD_KE, (struct view){ke, q->ke_len});
	put_ids(&s->b, q, r->gw_session->lease_count ? &r->gw_session->leases[0].addr : &none);
	how.exchange = IKEV1_EXCHANGE_QUICK;
	return v1_say_as(s, &how);
}

#define ID4(type, a, b, c, d)             \
	{                                 \
		type, 0, 0, 0, a, b, c, d \
	}
#define ID8(type, a, b, c, d, e, f, g, h)             \
	{                                             \
		type, 0, 0, 0, a, b, c, d, e, f, g, h \
	}
#define LAN_ID      ID8(IKEV1_ID_IPV4_SUBNET, 10, 99, 0, 0, 255, 255, 255, 0)
#define INVALID_ID  .counter = "ikev1_quick_id", .notify = IKEV1_NOTIFY_INVALID_ID_INFORMATION
#define NO_PROPOSAL .counter = "ike_no_esp_proposal", .notify = IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN

static const struct quick_row firsts[] = {
	{"good", OWN},
	{"good one after unknown ones", OWN,
		.transforms = {{200, 1, 2, 0, 0, 0}, {12, 1, 77, 0, 128, 0}, AES128_SHA256}},
	{"AES without key length is 128 bits", OWN,
		.transforms = {{12, IKEV1_ENCAP_TUNNEL, IKEV1_ESP_AUTH_SHA256, 0, 0, 0}}},
	{"bytes behind the last payload", OWN, .how = {.trailing = "extra", .trailing_len = 5}},
	// CVE-2023-38711: names where addresses are expected
	{"IDcr is a name", .ids = {ID4(1, 10, 1, 0, 1), {2, 0, 0, 0, 'g', 'w'}}, .id_len = {8, 6},
		INVALID_ID},
	{"IDci is a name", .ids = {{2, 0, 0, 0, 'm', 'e'}, LAN_ID}, .id_len = {6, 12}, INVALID_ID},
	{"IDci is a key id", .ids = {{11, 0, 0, 0, 'm', 'e'}, LAN_ID}, .id_len = {6, 12},
		INVALID_ID},
	{"IDci is a DN", .ids = {{9, 0, 0, 0, 0x30, 0}, LAN_ID}, .id_len = {6, 12}, INVALID_ID},
	{"IDci of an unknown type", .ids = {ID4(77, 1, 2, 3, 4), LAN_ID}, .id_len = {8, 12},
		INVALID_ID},
	{"address too short", .ids = {ID4(1, 10, 1, 0, 1), LAN_ID}, .id_len = {7, 12}, INVALID_ID},
	{"address too long", .ids = {ID8(1, 10, 1, 0, 1, 0, 0, 0, 0), LAN_ID}, .id_len = {9, 12},
		INVALID_ID},
	{"ID without an address", .ids = {ID4(1, 0, 0, 0, 0), LAN_ID}, .id_len = {4, 12},
		INVALID_ID},
	{"ID of two bytes", .ids = {{1, 0}, LAN_ID}, .id_len = {2, 12}, INVALID_ID},
	{"mask with a hole",
		.ids = {ID4(1, 10, 1, 0, 1),
			ID8(IKEV1_ID_IPV4_SUBNET, 10, 99, 0, 0, 255, 0, 255, 0)},
		.id_len = {8, 12}, INVALID_ID},
	{"range upside down",
		.ids = {ID4(1, 10, 1, 0, 1), ID8(IKEV1_ID_IPV4_RANGE, 10, 99, 0, 9, 10, 99, 0, 1)},
		.id_len = {8, 12}, INVALID_ID},
	{"two families", .ids = {ID4(1, 10, 1, 0, 1), {5, 0, 0, 0, 0x20, 1, 0xd, 0xb8}},
		.id_len = {8, 20}, INVALID_ID},
	{"a network of others",
		.ids = {ID4(1, 10, 1, 0, 1),
			ID8(IKEV1_ID_IPV4_SUBNET, 10, 55, 0, 0, 255, 255, 255, 0)},
		.id_len = {8, 12}, .counter = "ike_ts",
		.notify = IKEV1_NOTIFY_INVALID_ID_INFORMATION},
	{"no IDs in spite of a lease", .counter = "ike_ts",
		.notify = IKEV1_NOTIFY_INVALID_ID_INFORMATION},
	{"one ID", .ids = {ID4(1, 10, 1, 0, 1)}, .id_len = {8}, .counter = "ike_rules"},
	{"three IDs", .ids = {ID4(1, 10, 1, 0, 1), LAN_ID, LAN_ID}, .id_len = {8, 12, 12},
		.counter = "ike_rules"},
	{"no SA", OWN, .no_sa = 1, .counter = "ike_rules"},
	{"no nonce", OWN, .no_nonce = 1, .counter = "ike_rules"},
	{"no hash", OWN, .how = {.no_hash = true}, .counter = "ikev1_hash"},
	{"bad hash", OWN, .how = {.bad_hash = true}, .counter = "ikev1_hash"},
	{"in clear", OWN, .how = {.clear = true}, .counter = "ike_not_protected"},
	{"nonce of 7 bytes", OWN, .nonce_len = 7, .counter = "ike_bad_nonce",
		.notify = IKEV1_NOTIFY_PAYLOAD_MALFORMED},
	{"nonce of 257 bytes", OWN, .nonce_len = 257, .counter = "ike_bad_nonce",
		.notify = IKEV1_NOTIFY_PAYLOAD_MALFORMED},
	// CVE-2024-3652: no keys at all
	{"GMAC and NULL", OWN, .transforms = {{23, 1, 0, 0, 128, 0}, {11, 1, 0, 0, 0, 0}},
		NO_PROPOSAL},
	{"NULL with SHA-1", OWN, .transforms = {{11, 1, IKEV1_ESP_AUTH_SHA1, 0, 0, 0}},
		NO_PROPOSAL},
	{"AES without integrity", OWN, .transforms = {{12, 1, 0, 0, 128, 0}}, NO_PROPOSAL},
	{"DES, which is not configured", OWN, .transforms = {{2, 1, IKEV1_ESP_AUTH_MD5, 0, 0, 0}},
		NO_PROPOSAL},
	{"transport mode", OWN,
		.transforms = {{12, IKEV1_ENCAP_TRANSPORT, IKEV1_ESP_AUTH_SHA256, 0, 128, 0}},
		NO_PROPOSAL},
	{"UDP mode without a NAT", OWN,
		.transforms = {{12, IKEV1_ENCAP_UDP_TUNNEL, IKEV1_ESP_AUTH_SHA256, 0, 128, 0}},
		NO_PROPOSAL},
	{"AH", OWN, .protocol = IKEV1_PROTOCOL_AH, NO_PROPOSAL},
	{"IPComp", OWN, .protocol = IKEV1_PROTOCOL_IPCOMP, NO_PROPOSAL},
	{"SPI zero", OWN, .spi = 1, NO_PROPOSAL},
	{"no SPI", OWN, .spi_len = 255, NO_PROPOSAL},
	{"SPI of 16 bytes", OWN, .spi_len = 16, NO_PROPOSAL},
	{"group without KE", OWN, .transforms = {WITH_ECP256}, NO_PROPOSAL},
	{"KE without group", OWN, .ke_len = 64, .counter = "ike_child_invalid_ke",
		.notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"KE of another length", OWN, .transforms = {WITH_ECP256}, .ke_len = 63,
		.counter = "ike_child_invalid_ke", .notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"KE no point of the curve", OWN, .transforms = {WITH_ECP256}, .ke_len = 64, .fill = 7,
		.counter = "ike_bad_ke", .notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"KE of zeros", OWN, .transforms = {WITH_ECP256}, .ke_len = 64, .counter = "ike_bad_ke",
		.notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"KE of zeros, modp", OWN,
		.transforms = {{12, 1, IKEV1_ESP_AUTH_SHA256, DH_MODP_2048, 128, 0}}, .ke_len = 256,
		.counter = "ike_bad_ke", .notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"KE beyond the prime", OWN,
		.transforms = {{12, 1, IKEV1_ESP_AUTH_SHA256, DH_MODP_2048, 128, 0}}, .ke_len = 256,
		.fill = 255, .counter = "ike_bad_ke",
		.notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
	{"unknown group", OWN, .transforms = {{12, 1, IKEV1_ESP_AUTH_SHA256, 1025, 128, 0}},
		.ke_len = 64, .counter = "ike_child_invalid_ke",
		.notify = IKEV1_NOTIFY_INVALID_KEY_INFORMATION},
};

#define BAD_CHILD                                                         \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "             \
	"esp_proposals = [ \"aes128-sha256\", \"aes128-sha256-ecp256\", " \
	"\"aes128-sha256-modp2048\" ]; }"

static void first_messages(void **state)
{
	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		const struct quick_row *q = &firsts[i];
		struct v1 v = v1_new(&(struct v1_setup){.gw_children = BAD_CHILD});
		struct v1_ready r = v1_ready(&v);
		print_message("# %s\n", q->what);
		say_first(&v, &r, q);
		bench_run(v.b, 300);
		const struct v1_message *answer = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_QUICK, 1);
		assert_int_equal(answer == NULL, q->counter != NULL);
		assert_int_equal(v.gw->engine->child_count, q->counter == NULL);
		if (q->counter)
			bench_expect(v.gw, q->counter, 1);
		if (q->notify)
			assert_non_null(v1_nth_notify(v.w, v.gw, q->notify, 1));
		else if (q->counter)
			assert_int_equal(v1_sent(v.w, v.gw, 0), 0);
		assert_int_equal(bench_session_count(v.gw), 1);
		// What was refused leaves nothing behind: the client's own works.
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 200);
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

// The peer's limit in kilobytes is ours as well.
static void limit_in_bytes(void **state)
{
	static const struct quick_row row = {.what = "100 kB",
		.own_ids = true,
		.transforms = {{12, IKEV1_ENCAP_TUNNEL, IKEV1_ESP_AUTH_SHA256, 0, 128, 100}}};
	struct v1 v = v1_new(&(struct v1_setup){.gw_children = BAD_CHILD});
	struct v1_ready r = v1_ready(&v);
	say_first(&v, &r, &row);
	struct ike_child *c = LIST_FIRST(&r.gw_session->children);
	assert_non_null(c);
	for (enum sa_dir dir = SA_IN; dir <= SA_OUT; dir++)
		assert_int_equal(
			bench_sink_find(&v.gw->sink, c->spi_in, dir)->spec.hard_bytes, 102400);
	v1_down(&v);
}

// RFC 2409 5.5: the outer addresses stand in for the IDs.
static void without_ids(void **state)
{
	static const struct quick_row plain = {.what = "no IDs"};
	struct v1 v = v1_new(&(struct v1_setup){.config = V1_NONE,
		.gw_children = "{ name = \"host\"; local_ts = [ \"" GW_ADDR
			       "/32\" ]; esp_proposals = [ " V1_ESP " ]; }"});
	struct v1_ready r = v1_ready(&v);
	say_first(&v, &r, &plain);
	const struct v1_message *answer = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_QUICK, 1);
	assert_non_null(answer);
	assert_int_equal(answer->m.id_count, 0);
	struct ike_child *c = LIST_FIRST(&r.gw_session->children);
	char text[SELECTOR_TEXT_MAX];
	assert_non_null(c);
	assert_non_null(strstr(selector_text(&c->ts_remote[0], text), CLIENT_ADDR));
	assert_non_null(strstr(selector_text(&c->ts_local[0], text), GW_ADDR));
	v1_down(&v);
}

// The same bytes again are answered with the same bytes; other bytes under the same id by nothing.
static void repeated_and_replaced(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.gw_children = BAD_CHILD});
	struct v1_ready r = v1_ready(&v);
	struct quick_row other = firsts[0];
	bench_keep(v.b, 1);
	uint32_t id = say_first(&v, &r, &firsts[0]);
	for (int i = 0; i < 3; i++) {
		bench_replay(v.b);
		bench_run(v.b, 20);
	}
	bench_expect(v.gw, "ike_repeated_request", 3);
	bench_expect(v.gw, "ikev1_resent", 3);
	assert_int_equal(v.gw->engine->child_count, 1);
	other.how.message_id = id;
	other.nonce_len = 40;
	say_first(&v, &r, &other);
	assert_int_equal(v.gw->engine->child_count, 1);
	assert_int_equal(r.gw_session->child_count, 1);
	// It is never finished: gone, and the peer is told.
	bench_run(v.b, 20000);
	bench_expect(v.gw, "ikev1_quick_timeout", 1);
	assert_int_equal(v.gw->engine->child_count, 0);
	// A repeat comes too late then.
	bench_replay(v.b);
	bench_run(v.b, 20);
	assert_int_equal(v.gw->engine->child_count, 0);
	v1_down(&v);
}

// As many as there may be, none of them finished; then they are forgotten.
static void unfinished_ones_are_bounded(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.gw_children = BAD_CHILD});
	struct v1_ready r = v1_ready(&v);
	for (int i = 0; i < IKEV1_EXCHANGES_MAX + 5; i++)
		say_first(&v, &r, &firsts[0]);
	assert_int_equal(r.gw->v1->exchange_count, IKEV1_EXCHANGES_MAX);
	assert_true(bench_counter(v.gw, "ikev1_exchanges") >= 5);
	assert_true(v.gw->engine->child_count <= IKEV1_EXCHANGES_MAX);
	bench_run(v.b, 20000);
	assert_int_equal(v.gw->engine->child_count, 0);
	assert_int_equal(r.gw->v1->exchange_count, 0);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 200);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// A third message that does not verify changes nothing; the right one still counts.
static void forged_third_message(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready(&v);
	v1_hold(v.w, v.gw, IKEV1_EXCHANGE_QUICK);
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	bench_run(v.b, 50);
	uint32_t id = v1_nth(v.w, v.client, IKEV1_EXCHANGE_QUICK, 1)->h.message_id;
	struct v1_say *s = v1_say_begin(&v, v.client, r.client);
	v1_say_as(s, &(struct v1_made){
			     .exchange = IKEV1_EXCHANGE_QUICK, .message_id = id, .bad_hash = true});
	struct ike_child *c = LIST_FIRST(&r.gw_session->children);
	assert_int_equal(c->state, IKE_CHILD_READY);
	assert_true(bench_counter(v.gw, "ikev1_hash") + bench_counter(v.gw, "ikev1_garbled") == 1);
	v1_release(v.w);
	bench_run(v.b, 200);
	assert_int_equal(c->state, IKE_CHILD_ACTIVE);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

static void not_while_it_ends(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.gw_children = BAD_CHILD});
	struct v1_ready r = v1_ready(&v);
	r.gw_session->closing = true;
	say_first(&v, &r, &firsts[0]);
	bench_expect(v.gw, "ike_wrong_state", 1);
	assert_int_equal(v.gw->engine->child_count, 0);
	r.gw_session->closing = false;
	struct v1_say *s = v1_say_begin(&v, v.client, r.client);
	v1_say_isakmp(s);
	r.gw->v1->deleted = true; // as between its DELETE and that of its children
	say_first(&v, &r, &firsts[0]);
	bench_expect(v.gw, "ike_wrong_state", 2);
	r.gw->v1->deleted = false;
	v1_say(s);
	assert_true(bench_empty(v.gw));
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	assert_int_equal(ike_delete_session(v.client->engine, r.client_session->id), 0);
	bench_run(v.b, 10);
	v1_free(&v);
}

// ---- answers to the client ---------------------------------------------------------------------

struct answer_row {
	struct quick_row q;
	const char *at_client;
};

static const struct answer_row answers[] = {
	{{"good", OWN}, NULL},
	{{"two transforms", OWN, .transforms = {AES128_SHA256, AES128_SHA256}},
		"ike_proposal_altered"},
	{{"another cipher", OWN, .transforms = {{12, 1, IKEV1_ESP_AUTH_SHA256, 0, 256, 0}}},
		"ike_proposal_altered"},
	{{"another mode", OWN, .transforms = {{12, 3, IKEV1_ESP_AUTH_SHA256, 0, 128, 0}}},
		"ike_proposal_altered"},
	{{"a group", OWN, .transforms = {WITH_ECP256}, .ke_len = 64}, "ike_proposal_altered"},
	{{"SPI zero", OWN, .spi = 1}, "ike_proposal_altered"},
	{{"nonce of 7 bytes", OWN, .nonce_len = 7}, "ike_bad_nonce"},
	{{.what = "no IDs"}, "ikev1_quick_id"},
	{{"IDcr is a name", .ids = {ID4(1, 10, 1, 0, 1), {2, 0, 0, 0, 'g', 'w'}}, .id_len = {8, 6}},
		"ikev1_quick_id"},
	{{"wider IDs",
		 .ids = {ID4(1, 10, 1, 0, 1), ID8(IKEV1_ID_IPV4_SUBNET, 10, 0, 0, 0, 255, 0, 0, 0)},
		 .id_len = {8, 12}},
		"ikev1_quick_id"},
	{{"bad hash", OWN, .how = {.bad_hash = true}}, "ikev1_hash"},
	{{"no nonce", OWN, .no_nonce = 1}, "ike_rules"},
};

// The gateway is silent; what the client gets in its place.
static void second_messages(void **state)
{
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct answer_row *a = &answers[i];
		struct quick_row q = a->q;
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		print_message("# %s\n", q.what);
		v.gw->deaf = true;
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 20);
		const struct v1_message *one = v1_nth(v.w, v.client, IKEV1_EXCHANGE_QUICK, 1);
		struct v1_ready swapped = {.gw_session = r.gw_session, .client = r.gw};
		struct v1 from_gw = v;
		from_gw.client = v.gw;
		q.how.message_id = one->h.message_id;
		q.how.hash_prefix = one->m.nonce;
		say_first(&from_gw, &swapped, &q);
		bench_run(v.b, 50);
		if (a->at_client)
			bench_expect(v.client, a->at_client, 1);
		assert_int_equal(r.client_session->child_count, a->at_client == NULL);
		assert_int_equal(v1_nth(v.w, v.client, IKEV1_EXCHANGE_QUICK, 2) != NULL,
			a->at_client == NULL);
		v.gw->deaf = false;
		bench_run(v.b, 20000);
		if (a->at_client) {
			assert_int_equal(
				v.client->engine->child_count, r.client_session->child_count);
			assert_int_equal(v.client->engine->child_count, v1_child_count(v.gw));
		}
		v1_down(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_messages),
		cmocka_unit_test(limit_in_bytes),
		cmocka_unit_test(without_ids),
		cmocka_unit_test(repeated_and_replaced),
		cmocka_unit_test(unfinished_ones_are_bounded),
		cmocka_unit_test(forged_third_message),
		cmocka_unit_test(not_while_it_ends),
		cmocka_unit_test(second_messages),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
