// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A recorded connection of another implementation, parsed, answered and built again.
#include "tests/unit/wire_cases.h"
#include "tests/unit/wire_recorded.h"

static const struct recorded *find(const char *name)
{
	for (size_t i = 0; i < COUNT(recorded); i++)
		if (strcmp(recorded[i].name, name) == 0)
			return &recorded[i];
	fail_msg("no recording %s", name);
	return NULL;
}

static struct ike_message parse(const struct recorded *r)
{
	static struct ike_message m;
	struct view bytes = {r->bytes, r->len};
	uint8_t first = r->first;
	if (!first) {
		struct ike_header h;
		assert_int_equal(wire_header_parse(bytes, &h), WIRE_OK);
		assert_int_equal(h.exchange, r->exchange);
		assert_int_equal(ike_header_response(&h), r->response);
		first = h.next_payload;
		bytes = (struct view){bytes.p + IKE_HEADER_LEN, bytes.len - IKE_HEADER_LEN};
	}
	assert_int_equal(wire_message_parse(bytes, first, &m), WIRE_OK);
	return m;
}

static void all_pass_the_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(recorded); i++) {
		struct ike_message m = parse(&recorded[i]);
		assert_int_equal(m.payload_count, recorded[i].payloads);
		assert_int_equal(
			wire_rules_check(&m, recorded[i].exchange, recorded[i].response, NULL),
			WIRE_OK);
	}
}

// Payload by payload through the builder, the bytes are the same (charon sets no reserved bits).
static void rebuilt(void **state)
{
	uint8_t buf[1024];
	(void)state;
	for (size_t i = 0; i < COUNT(recorded); i++) {
		const struct recorded *r = &recorded[i];
		struct view bytes = {r->bytes, r->len};
		struct wire_builder b;
		struct ike_header h = {0};
		if (r->first) {
			wire_build_begin(&b, buf, sizeof(buf));
			h.next_payload = r->first;
		} else {
			assert_int_equal(wire_header_parse(bytes, &h), WIRE_OK);
			wire_build_message(&b, buf, sizeof(buf), &h);
			bytes = (struct view){bytes.p + IKE_HEADER_LEN, bytes.len - IKE_HEADER_LEN};
		}
		struct wire_chain c = wire_chain_of(bytes, h.next_payload);
		while (c.next) {
			struct wire_payload p;
			assert_int_equal(wire_chain_next(&c, &p), WIRE_OK);
			wire_put_raw(&b, p.type, p.body);
		}
		assert_true(view_eq(wire_build_done(&b), (struct view){r->bytes, r->len}));
	}
}

// Our choice from charon's offer, with the SPI it took itself, is the very payload it answered.
static void same_choice(void **state)
{
	static const struct {
		const char *request, *response;
		const char *mine[2];
		uint8_t protocol, spi_len;
		enum wire_pfs pfs;
		const char *suite;
	} cases[] = {
		{"init_request", "init_response",
			{"aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"},
			IKEV2_PROTOCOL_IKE, 0, WIRE_PFS_NO, "aes128gcm16-prfsha256-x25519"},
		{"auth_request", "auth_response", {"aes128gcm16-x25519", "aes256-sha256"},
			IKEV2_PROTOCOL_ESP, 4, WIRE_PFS_IGNORE, "aes128gcm16"},
		{"child_rekey_request", "child_rekey_response",
			{"aes128gcm16-x25519", "aes256-sha256"}, IKEV2_PROTOCOL_ESP, 4,
			WIRE_PFS_OPTIONAL, "aes128gcm16-x25519"},
		{"ike_rekey_request", "ike_rekey_response",
			{"aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"},
			IKEV2_PROTOCOL_IKE, 8, WIRE_PFS_NO, "aes128gcm16-prfsha256-x25519"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		static struct wire_proposals offer, answer;
		bool esp = cases[i].protocol == IKEV2_PROTOCOL_ESP;
		struct proposal mine[] = {
			proposal_of(cases[i].mine[0], esp), proposal_of(cases[i].mine[1], esp)};
		struct wire_sa_policy policy = {.protocol = cases[i].protocol,
			.spi_len = cases[i].spi_len,
			.prefer_mine = true,
			.pfs = cases[i].pfs};
		struct wire_choice c, theirs;
		struct wire_builder b;
		uint8_t buf[256];
		char text[SUITE_TEXT_MAX];
		struct ike_message request = parse(find(cases[i].request));
		struct ike_message response = parse(find(cases[i].response));
		assert_int_equal(wire_sa_parse(request.sa, &offer), WIRE_OK);
		assert_int_equal(wire_sa_parse(response.sa, &answer), WIRE_OK);
		assert_int_equal(wire_select(mine, 2, &policy, &offer, &c), WIRE_OK);
		assert_string_equal(suite_text(&c.suite, text), cases[i].suite);
		wire_build_begin(&b, buf, sizeof(buf));
		wire_build_choice(&b, &c, answer.items[0].spi);
		assert_true(view_eq(first_body(&b), response.sa));
		assert_int_equal(wire_check_choice(mine, 2, &policy, &answer, &theirs), WIRE_OK);
	}
}

static void first_messages(void **state)
{
	struct ike_message m = parse(find("init_request"));
	struct wire_ke ke;
	struct view nonce;
	(void)state;
	assert_int_equal(wire_ke_parse(m.ke, &ke), WIRE_OK);
	assert_int_equal(ke.group, DH_X25519);
	assert_int_equal(ke.value.len, 32);
	assert_int_equal(wire_nonce_parse(m.nonce, &nonce), WIRE_OK);
	assert_int_equal(nonce.len, 32);
	const struct wire_notify *n = wire_notify_find(&m, IKEV2_NOTIFY_SIGNATURE_HASH_ALGORITHMS);
	assert_true(n && n->data.len % 2 == 0);
	n = wire_notify_find(&m, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP);
	assert_true(n && n->data.len == 20);
	assert_non_null(wire_notify_find(&m, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED));
	assert_null(wire_notify_error(&m));
}

static void authentication(void **state)
{
	static struct wire_cp cp;
	struct wire_ts ts;
	struct wire_id id;
	struct wire_auth auth;
	char text[SELECTOR_TEXT_MAX];
	(void)state;
	struct ike_message m = parse(find("auth_request"));
	assert_int_equal(wire_id_parse(m.id_i, &id), WIRE_OK);
	assert_string_equal(wire_id_text(&id, text, sizeof(text)), "client.example");
	assert_int_equal(wire_auth_parse(m.auth, &auth), WIRE_OK);
	assert_int_equal(auth.method, IKEV2_AUTH_SHARED_KEY);
	assert_int_equal(wire_cp_parse(m.cp, &cp), WIRE_OK);
	assert_int_equal(cp.type, IKEV2_CP_REQUEST);
	assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_ADDRESS));
	assert_int_equal(wire_ts_parse(m.ts_i, &ts), WIRE_OK);
	assert_int_equal(ts.count, 2);
	assert_string_equal(selector_text(&ts.items[1], text), "::/0");

	m = parse(find("auth_response"));
	assert_int_equal(wire_cp_parse(m.cp, &cp), WIRE_OK);
	const struct wire_cp_attr *a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_ADDRESS);
	assert_string_equal(ip_text(&a->addr, text), "10.9.0.1");
	a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_ADDRESS);
	assert_string_equal(ip_text(&a->addr, text), "2001:db8:9::1");
	assert_int_equal(a->value.len, 17);
	a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_DNS);
	assert_string_equal(ip_text(&a->addr, text), "10.9.0.53");
	assert_int_equal(wire_ts_parse(m.ts_i, &ts), WIRE_OK);
	assert_string_equal(selector_text(&ts.items[0], text), "10.9.0.1/32");
}

static void rekeys_and_deletes(void **state)
{
	(void)state;
	struct ike_message m = parse(find("child_rekey_request"));
	const struct wire_notify *n = wire_notify_find(&m, IKEV2_NOTIFY_REKEY_SA);
	assert_true(n && n->protocol == IKEV2_PROTOCOL_ESP && n->spi.len == 4);
	assert_int_equal(wire_variant(&m, 36, false), WIRE_V_CHILD);
	struct rd r = rd_view(n->spi);
	uint32_t old;
	assert_true(rd_u32(&r, &old));
	m = parse(find("child_delete"));
	assert_int_equal(m.delete_count, 1);
	assert_int_equal(wire_delete_spi(&m.deletes[0], 0), old);
	m = parse(find("ike_rekey_request"));
	assert_int_equal(wire_variant(&m, 36, false), WIRE_V_IKE_REKEY);
	m = parse(find("ike_delete"));
	assert_int_equal(m.deletes[0].protocol, IKEV2_PROTOCOL_IKE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_pass_the_rules),
		cmocka_unit_test(rebuilt),
		cmocka_unit_test(same_choice),
		cmocka_unit_test(first_messages),
		cmocka_unit_test(authentication),
		cmocka_unit_test(rekeys_and_deletes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
