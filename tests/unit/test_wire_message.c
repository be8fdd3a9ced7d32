// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

static const struct ike_header init_request = {
	.spi_i = 0x1122334455667788,
	.next_payload = IKEV2_PAYLOAD_SA,
	.major = 2,
	.exchange = IKEV2_EXCHANGE_IKE_SA_INIT,
	.flags = IKE_FLAG_INITIATOR,
	.length = IKE_HEADER_LEN,
};

static void header_round_trip(void **state)
{
	// RFC 7296 3.1, by hand.
	static const uint8_t bytes[] = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0, 0, 0, 0,
		0, 0, 0, 0, 33, 0x20, 34, 0x08, 0, 0, 0, 0, 0, 0, 0, 28};
	uint8_t buf[IKE_HEADER_LEN];
	struct wr w = wr_of(buf, sizeof(buf));
	struct ike_header h;
	(void)state;
	wire_header_build(&w, &init_request);
	assert_int_equal(w.len, sizeof(bytes));
	assert_memory_equal(buf, bytes, sizeof(bytes));
	assert_int_equal(wire_header_parse((struct view){bytes, sizeof(bytes)}, &h), WIRE_OK);
	assert_true(h.spi_i == 0x1122334455667788 && h.spi_r == 0);
	assert_int_equal(h.next_payload, 33);
	assert_int_equal(h.major, 2);
	assert_int_equal(h.minor, 0);
	assert_true(ike_header_initiator(&h) && !ike_header_response(&h));
}

// Catalogue rows 1, 2, 3, 16, 17.
static void header_refusals(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum wire_error error;
	} cases[] = {
		{17, 0x00, WIRE_BAD_MAJOR}, {17, 0x30, WIRE_BAD_MAJOR}, {17, 0xf0, WIRE_BAD_MAJOR},
		{17, 0x2f, WIRE_OK},           // 2.5: a higher minor version is as 2.0
		{17, 0x10, WIRE_BAD_EXCHANGE}, // 34 is none of IKEv1's
		{18, 0, WIRE_BAD_EXCHANGE}, {18, 33, WIRE_BAD_EXCHANGE},
		{18, 38, WIRE_BAD_EXCHANGE}, {18, 255, WIRE_BAD_EXCHANGE},
		{18, 35, WIRE_BAD_SPI}, // any later exchange needs the responder's SPI
		{18, 37, WIRE_BAD_SPI}, {15, 1, WIRE_BAD_SPI}, // responder SPI in the first request
		{24, 0xde, WIRE_BAD_LENGTH},                   // 0xde00001c
		{26, 0xad, WIRE_BAD_LENGTH}, {27, 0, WIRE_BAD_LENGTH}, {27, 27, WIRE_BAD_LENGTH},
		{27, 29, WIRE_BAD_LENGTH},
		{19, 0xc7 | IKE_FLAG_INITIATOR, WIRE_OK}, // reserved flags are ignored
	};
	struct ike_header h;
	uint8_t good[IKE_HEADER_LEN], bad[IKE_HEADER_LEN];
	struct wr w = wr_of(good, sizeof(good));
	(void)state;
	wire_header_build(&w, &init_request);
	for (size_t i = 0; i < COUNT(cases); i++) {
		memcpy(bad, good, sizeof(bad));
		bad[cases[i].at] = cases[i].value;
		enum wire_error e = wire_header_parse((struct view){bad, sizeof(bad)}, &h);
		assert_int_equal(e, cases[i].error);
	}
	memset(good, 0, 8);
	assert_int_equal(wire_header_parse((struct view){good, sizeof(good)}, &h), WIRE_BAD_SPI);
	for (size_t len = 0; len < sizeof(good); len++) {
		struct view cut = exact_copy((struct view){good, len});
		assert_int_equal(wire_header_parse(cut, &h), WIRE_SHORT_HEADER);
		free_view(cut);
	}
}

static void chain_refusals(void **state)
{
	static const struct {
		uint8_t first;
		uint8_t bytes[16];
		size_t len;
		enum wire_error error;
		uint8_t culprit;
	} cases[] = {
		{0, {0}, 0, WIRE_OK, 0},
		{0, {0}, 1, WIRE_TRAILING, 0},
		{40, {0, 0, 0, 4}, 4, WIRE_OK, 0},
		{40, {0, 0, 0, 4}, 0, WIRE_TRUNCATED, 40},
		{40, {0, 0, 0, 4}, 3, WIRE_TRUNCATED, 40},
		{40, {0, 0, 0, 0}, 4, WIRE_PAYLOAD_LENGTH, 40}, // row 5
		{40, {0, 0, 0, 1}, 4, WIRE_PAYLOAD_LENGTH, 40},
		{33, {0, 0, 0, 3}, 4, WIRE_PAYLOAD_LENGTH, 33}, // row 4
		{33, {0, 0, 0xde, 0xad}, 8, WIRE_TRUNCATED, 33},
		{40, {0, 0, 0, 5}, 4, WIRE_TRUNCATED, 40},
		{40, {0, 0, 0, 4, 9}, 5, WIRE_TRAILING, 0},
		{40, {43, 0, 0, 4}, 4, WIRE_TRUNCATED, 43}, // names one more than there is
		{40, {0, 0x7f, 0, 4}, 4, WIRE_OK, 0},       // reserved bits
		{99, {0, 0, 0, 4}, 4, WIRE_OK, 0},          // unknown, skipped
		{99, {40, 0, 0, 6, 1, 2, 0, 0, 0, 4}, 10, WIRE_OK, 0},
		{99, {0, 0x80, 0, 4}, 4, WIRE_UNSUPPORTED_CRITICAL, 99},
		{1, {0, 0x80, 0, 4}, 4, WIRE_UNSUPPORTED_CRITICAL, 1}, // row 15: an IKEv1 payload
		{1, {0, 0, 0, 4}, 4, WIRE_OK, 0},
		{255, {0, 0x80, 0, 4}, 4, WIRE_UNSUPPORTED_CRITICAL, 255},
		{40, {0, 0x80, 0, 4}, 4, WIRE_OK, 0}, // critical and known
		// SK names the first payload inside and ends the chain.
		{46, {35, 0, 0, 5, 7}, 5, WIRE_OK, 0},
		{46, {35, 0, 0, 5, 7, 0, 0, 0, 4}, 9, WIRE_TRAILING, 0},
		{53, {35, 0, 0, 5, 7}, 5, WIRE_OK, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_message m;
		struct view v = exact_copy((struct view){cases[i].bytes, cases[i].len});
		enum wire_error e = wire_message_parse(v, cases[i].first, &m);
		assert_int_equal(e, cases[i].error);
		assert_int_equal(m.culprit, cases[i].culprit);
		if (e == WIRE_UNSUPPORTED_CRITICAL)
			assert_int_equal(m.unsupported, cases[i].culprit);
		free_view(v);
	}
}

// Row 18: exactly the limit is well, one more is refused; so with every array that is filled.
static void payload_limit(void **state)
{
	static const uint8_t types[] = {IKEV2_PAYLOAD_CERT, IKEV2_PAYLOAD_CERTREQ,
		IKEV2_PAYLOAD_VENDOR, IKEV2_PAYLOAD_NOTIFY, IKEV2_PAYLOAD_DELETE, 99};
	uint8_t buf[4096];
	(void)state;
	for (size_t i = 0; i < COUNT(types); i++)
		for (size_t n = WIRE_PAYLOADS_MAX - 1; n <= WIRE_PAYLOADS_MAX + 1; n++) {
			struct wire_builder b;
			struct ike_message m;
			wire_build_begin(&b, buf, sizeof(buf));
			for (size_t j = 0; j < n; j++)
				wire_put_raw(&b, types[i], V(1, 0, 0, 0));
			enum wire_error e = wire_message_parse(wire_build_done(&b), b.first, &m);
			assert_int_equal(
				e, n <= WIRE_PAYLOADS_MAX ? WIRE_OK : WIRE_TOO_MANY_PAYLOADS);
			assert_int_equal(m.count[types[i] < 63 ? types[i] : 63],
				n < WIRE_PAYLOADS_MAX ? n : WIRE_PAYLOADS_MAX);
			assert_true(m.cert_count <= WIRE_CERTS_MAX &&
				    m.notify_count <= WIRE_NOTIFIES_MAX);
		}
}

static struct view build_auth_request(struct wire_builder *b, uint8_t *buf, size_t cap)
{
	struct ike_header h = {.spi_i = 1,
		.spi_r = 2,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_IKE_AUTH,
		.flags = IKE_FLAG_INITIATOR,
		.message_id = 1};
	struct wire_id id = {IKEV2_ID_FQDN, VS("client.example")};
	wire_build_message(b, buf, cap, &h);
	wire_put_id(b, IKEV2_PAYLOAD_IDI, &id);
	wire_put_cert(b, IKEV2_CERT_X509_SIGNATURE, VS("certificate"));
	wire_put_certreq(b, IKEV2_CERT_X509_SIGNATURE, VS("01234567890123456789"));
	wire_put_auth(b, IKEV2_AUTH_SHARED_KEY, VS("0123456789abcdef0123456789abcdef"));
	wire_put_notify(b, IKEV2_NOTIFY_INITIAL_CONTACT, (struct view){NULL, 0});
	wire_put_notify_esp(b, IKEV2_NOTIFY_REKEY_SA, 0xdeadbeef, (struct view){NULL, 0});
	wire_put_delete_esp(b, (uint32_t[]){0x10000001, 0x10000002}, 2);
	wire_put_vendor(b, VS("vendor"));
	return wire_build_done(b);
}

static void message_round_trip(void **state)
{
	uint8_t buf[512];
	struct wire_builder b;
	struct ike_message m;
	struct ike_header h;
	(void)state;
	struct view msg = exact_copy(build_auth_request(&b, buf, sizeof(buf)));
	assert_int_equal(wire_header_parse(msg, &h), WIRE_OK);
	assert_int_equal(h.next_payload, IKEV2_PAYLOAD_IDI);
	struct view rest = {msg.p + IKE_HEADER_LEN, msg.len - IKE_HEADER_LEN};
	assert_int_equal(wire_message_parse(rest, h.next_payload, &m), WIRE_OK);
	assert_int_equal(m.payload_count, 8);
	assert_int_equal(m.cert_count, 1);
	assert_int_equal(m.vendor_count, 1);
	assert_true(view_eq(m.vendors[0], VS("vendor")));
	assert_int_equal(m.notify_count, 2);
	assert_non_null(wire_notify_find(&m, IKEV2_NOTIFY_INITIAL_CONTACT));
	assert_null(wire_notify_find(&m, IKEV2_NOTIFY_COOKIE));
	assert_null(wire_notify_error(&m));
	const struct wire_notify *n = wire_notify_find(&m, IKEV2_NOTIFY_REKEY_SA);
	assert_true(
		n->protocol == IKEV2_PROTOCOL_ESP && view_eq(n->spi, V(0xde, 0xad, 0xbe, 0xef)));
	assert_int_equal(wire_delete_spi(&m.deletes[0], 1), 0x10000002);
	assert_int_equal(wire_delete_spi(&m.deletes[0], 2), 0);
	// Cut anywhere, it is refused.
	for (size_t len = 0; len < rest.len; len++) {
		struct view cut = exact_copy((struct view){rest.p, len});
		assert_int_equal(wire_message_parse(cut, h.next_payload, &m), WIRE_TRUNCATED);
		free_view(cut);
	}
	free_view(msg);
	// A buffer that is a byte too small gives nothing.
	assert_int_equal(build_auth_request(&b, buf, msg.len).len, msg.len);
	assert_int_equal(build_auth_request(&b, buf, msg.len - 1).len, 0);
}

static void encrypted_outside(void **state)
{
	uint8_t buf[128];
	struct wire_builder b;
	struct ike_message m;
	struct ike_header h = {.spi_i = 1, .spi_r = 2, .major = 2, .exchange = 37};
	(void)state;
	wire_build_message(&b, buf, sizeof(buf), &h);
	uint8_t *room = wire_put_sk(&b, IKEV2_PAYLOAD_NOTIFY, 40);
	assert_non_null(room);
	assert_ptr_equal(room, buf + IKE_HEADER_LEN + IKE_PAYLOAD_HDR);
	memset(room, 0x5a, 40);
	struct view msg = wire_build_done(&b);
	assert_int_equal(msg.len, 72);
	assert_int_equal(wire_header_parse(msg, &h), WIRE_OK);
	assert_int_equal(h.next_payload, IKEV2_PAYLOAD_SK);
	assert_int_equal(
		wire_message_parse((struct view){msg.p + 28, msg.len - 28}, 46, &m), WIRE_OK);
	assert_int_equal(m.sk_first, IKEV2_PAYLOAD_NOTIFY);
	assert_int_equal(m.sk.len, 40);
	assert_int_equal(wire_rules_check_outer(&m), WIRE_OK);

	wire_build_message(&b, buf, sizeof(buf), &h);
	assert_non_null(wire_put_skf(&b, IKEV2_PAYLOAD_IDI, 2, 3, 8));
	msg = wire_build_done(&b);
	struct wire_skf f;
	assert_int_equal(
		wire_message_parse((struct view){msg.p + 28, msg.len - 28}, 53, &m), WIRE_OK);
	assert_int_equal(m.sk_first, 0); // only fragment 1 names it
	assert_int_equal(wire_skf_parse(m.skf, &f), WIRE_OK);
	assert_int_equal(f.number, 2);
	assert_int_equal(f.total, 3);
	assert_int_equal(f.content.len, 8);

	wire_build_message(&b, buf, sizeof(buf), &h);
	assert_null(wire_put_sk(&b, 41, sizeof(buf)));
	assert_int_equal(wire_build_done(&b).len, 0);
}

// Payload types of a message, 0-terminated; bodies that the message parser accepts.
static void build_types(struct wire_builder *b, uint8_t *buf, size_t cap, const uint8_t *types)
{
	wire_build_begin(b, buf, cap);
	for (; *types; types++)
		wire_put_raw(b, *types, V(1, 0, 0, 0));
}

enum { SA = 33, KE, IDI, IDR, CERT, CERTREQ, AUTH, NO, N, D, VID, TSI, TSR, SK, CP, EAP };
static const struct {
	uint8_t exchange;
	bool response;
	uint8_t types[12];
	enum wire_error error;
	uint8_t culprit;
} payload_rules_cases[] = {
	{34, false, {SA, KE, NO, N, N, VID}, WIRE_OK, 0},
	{34, false, {KE, NO, SA}, WIRE_OK, 0},           // any order
	{34, false, {SA, KE, NO, 200}, WIRE_OK, 0},      // unknown
	{34, false, {SA, NO}, WIRE_PAYLOAD_MISSING, KE}, // row 8
	{34, false, {KE, NO}, WIRE_PAYLOAD_MISSING, SA},
	{34, false, {SA, KE}, WIRE_PAYLOAD_MISSING, NO},
	{34, false, {SA, SA, KE, NO}, WIRE_PAYLOAD_REPEATED, SA},
	{34, false, {SA, KE, NO, NO}, WIRE_PAYLOAD_REPEATED, NO},
	{34, false, {SA, KE, NO, AUTH}, WIRE_PAYLOAD_UNEXPECTED, AUTH},
	{34, false, {SA, KE, NO, CERTREQ}, WIRE_PAYLOAD_UNEXPECTED, CERTREQ},
	{34, false, {N}, WIRE_PAYLOAD_MISSING, SA},
	{34, false, {0}, WIRE_PAYLOAD_MISSING, SA},
	{34, true, {SA, KE, NO, CERTREQ, N, VID}, WIRE_OK, 0},
	{34, true, {N}, WIRE_OK, 0},
	{34, true, {N, KE}, WIRE_PAYLOAD_UNEXPECTED, KE},
	{34, true, {VID}, WIRE_PAYLOAD_MISSING, SA},

	{35, false, {IDI, CERT, CERT, N, CERTREQ, IDR, AUTH, CP, SA, TSI, TSR}, WIRE_OK, 0},
	{35, false, {IDI, SA, TSI, TSR}, WIRE_OK, 0},                 // asks for EAP
	{35, false, {IDI, AUTH}, WIRE_OK, 0},                         // childless
	{35, false, {IDI, AUTH, SA, TSI}, WIRE_PAYLOAD_MISSING, TSR}, // row 12
	{35, false, {IDI, AUTH, SA, TSR}, WIRE_PAYLOAD_MISSING, TSI},
	{35, false, {IDI, AUTH, TSI, TSR}, WIRE_PAYLOAD_MISSING, SA},
	{35, false, {AUTH, SA, TSI, TSR}, WIRE_PAYLOAD_MISSING, IDI},
	{35, false, {SA, TSI, TSR}, WIRE_PAYLOAD_MISSING, IDI},
	{35, false, {IDI, IDI, AUTH, SA, TSI, TSR}, WIRE_PAYLOAD_REPEATED, IDI},
	{35, false, {IDI, AUTH, AUTH, SA, TSI, TSR}, WIRE_PAYLOAD_REPEATED, AUTH},
	{35, false, {IDI, IDR, IDR, AUTH, SA, TSI, TSR}, WIRE_PAYLOAD_REPEATED, IDR},
	{35, false, {IDI, AUTH, KE, SA, TSI, TSR}, WIRE_PAYLOAD_UNEXPECTED, KE},
	{35, false, {IDI, AUTH, D}, WIRE_PAYLOAD_UNEXPECTED, D},
	{35, false, {EAP}, WIRE_OK, 0},
	{35, false, {EAP, SA}, WIRE_PAYLOAD_UNEXPECTED, SA},
	{35, false, {AUTH}, WIRE_OK, 0},
	{35, false, {N}, WIRE_PAYLOAD_MISSING, IDI},
	{35, true, {IDR, CERT, AUTH, CP, SA, TSI, TSR, N}, WIRE_OK, 0},
	{35, true, {IDR, AUTH, N}, WIRE_OK, 0}, // child refused
	{35, true, {IDR, AUTH, SA}, WIRE_PAYLOAD_MISSING, TSR},
	{35, true, {IDR, CERT, AUTH, EAP}, WIRE_OK, 0},
	{35, true, {IDR, SA, TSI, TSR}, WIRE_PAYLOAD_MISSING, AUTH},
	{35, true, {IDI, IDR, AUTH}, WIRE_PAYLOAD_UNEXPECTED, IDI},
	{35, true, {EAP}, WIRE_OK, 0},
	{35, true, {AUTH, CP, SA, TSI, TSR}, WIRE_OK, 0},
	{35, true, {N}, WIRE_OK, 0},
	{35, true, {0}, WIRE_PAYLOAD_MISSING, IDR},

	{36, false, {SA, NO, KE}, WIRE_OK, 0},
	{36, false, {SA, NO}, WIRE_PAYLOAD_MISSING, KE},
	{36, false, {SA, NO, TSI, TSR}, WIRE_OK, 0},
	{36, false, {N, SA, NO, KE, TSI, TSR}, WIRE_OK, 0},
	{36, false, {SA, NO, TSI}, WIRE_PAYLOAD_MISSING, TSR},
	{36, false, {NO, TSI, TSR}, WIRE_PAYLOAD_MISSING, SA},
	{36, false, {SA, TSI, TSR}, WIRE_PAYLOAD_MISSING, NO},
	{36, false, {N}, WIRE_PAYLOAD_MISSING, SA},
	{36, true, {SA, NO, KE, TSI, TSR}, WIRE_OK, 0},
	{36, true, {SA, NO, KE}, WIRE_OK, 0},
	{36, true, {N}, WIRE_OK, 0},
	{36, true, {0}, WIRE_PAYLOAD_MISSING, SA},

	{37, false, {0}, WIRE_OK, 0},
	{37, false, {N, D, D, CP}, WIRE_OK, 0},
	{37, true, {0}, WIRE_OK, 0},
	{37, false, {SA}, WIRE_PAYLOAD_UNEXPECTED, SA},
	{37, false, {AUTH}, WIRE_PAYLOAD_UNEXPECTED, AUTH},
	{37, false, {D, CP, CP}, WIRE_PAYLOAD_REPEATED, CP},
};

static void payload_rules(void **state)
{
	uint8_t buf[256];
	(void)state;
	for (size_t i = 0; i < COUNT(payload_rules_cases); i++) {
		struct wire_builder b;
		struct ike_message m;
		uint8_t culprit = 77;
		build_types(&b, buf, sizeof(buf), payload_rules_cases[i].types);
		assert_int_equal(wire_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
		enum wire_error e = wire_rules_check(&m, payload_rules_cases[i].exchange,
			payload_rules_cases[i].response, &culprit);
		if (e != payload_rules_cases[i].error || culprit != payload_rules_cases[i].culprit)
			print_error("case %zu: %s at %s\n", i, wire_error_text(e),
				ikev2_payload_name(culprit));
		assert_int_equal(e, payload_rules_cases[i].error);
		assert_int_equal(culprit, payload_rules_cases[i].culprit);
	}
}

static void outer_rules(void **state)
{
	static const struct {
		uint8_t types[4];
		enum wire_error error;
	} cases[] = {
		{{46}, WIRE_OK},
		{{53}, WIRE_OK},
		{{41, 46}, WIRE_OK},
		{{99, 46}, WIRE_OK},
		{{35, 46}, WIRE_PAYLOAD_UNEXPECTED},
		{{39, 33, 46}, WIRE_PAYLOAD_UNEXPECTED},
		{{41}, WIRE_PAYLOAD_MISSING},
		{{0}, WIRE_PAYLOAD_MISSING},
	};
	uint8_t buf[64];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_builder b;
		struct ike_message m;
		build_types(&b, buf, sizeof(buf), cases[i].types);
		// The builder knows no payload behind SK; its own next field is 0 here.
		assert_int_equal(wire_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
		assert_int_equal(wire_rules_check_outer(&m), cases[i].error);
	}
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(ikev2_notify_name(17), "INVALID_KE_PAYLOAD");
	assert_string_equal(ikev2_notify_name(16430), "IKEV2_FRAGMENTATION_SUPPORTED");
	assert_string_equal(ikev2_payload_name(53), "SKF");
	assert_string_equal(ikev2_exchange_name(38), "unknown");
	assert_true(ikev2_notify_is_error(16383) && !ikev2_notify_is_error(16384));
	for (unsigned e = 0; e < WIRE_ERROR_COUNT; e++) {
		assert_non_null(wire_error_counter(e));
		assert_true(strlen(wire_error_text(e)) > 1);
	}
	assert_int_equal(wire_error_notify(WIRE_UNSUPPORTED_CRITICAL),
		IKEV2_NOTIFY_UNSUPPORTED_CRITICAL_PAYLOAD);
	assert_int_equal(wire_error_notify(WIRE_NO_PROPOSAL), IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN);
	assert_int_equal(wire_error_notify(WIRE_TS_UNACCEPTABLE), IKEV2_NOTIFY_TS_UNACCEPTABLE);
	assert_int_equal(wire_error_notify(WIRE_TRUNCATED), IKEV2_NOTIFY_INVALID_SYNTAX);
	assert_int_equal(wire_error_notify(WIRE_BAD_MAJOR), IKEV2_NOTIFY_INVALID_MAJOR_VERSION);
	assert_int_equal(wire_error_notify(WIRE_BAD_LENGTH), 0);
}

// Each registry gives a name for what it lists and "unknown" for the rest.
static void registries(void **state)
{
	static const struct {
		const char *(*name)(unsigned n);
		unsigned n;
		const char *text;
	} cases[] = {
		{ikev2_exchange_name, 34, "IKE_SA_INIT"},
		{ikev2_payload_name, 48, "EAP"},
		{ikev2_protocol_name, 3, "ESP"},
		{ikev2_id_type_name, 9, "DER_ASN1_DN"},
		{ikev2_auth_method_name, 14, "DIGITAL_SIGNATURE"},
		{ikev2_hash_name, 5, "IDENTITY"},
		{ikev2_cert_encoding_name, 4, "X509_SIGNATURE"},
		{ikev2_cp_type_name, 4, "ACK"},
		{ikev2_cp_attribute_name, 25, "INTERNAL_DNS_DOMAIN"},
		{ikev2_ts_type_name, 8, "IPV6_ADDR_RANGE"},
		{ikev2_notify_name, 16393, "REKEY_SA"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_string_equal(cases[i].name(cases[i].n), cases[i].text);
		assert_string_equal(cases[i].name(40000), "unknown");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header_round_trip),
		cmocka_unit_test(header_refusals),
		cmocka_unit_test(chain_refusals),
		cmocka_unit_test(payload_limit),
		cmocka_unit_test(message_round_trip),
		cmocka_unit_test(encrypted_outside),
		cmocka_unit_test(payload_rules),
		cmocka_unit_test(outer_rules),
		cmocka_unit_test(names),
		cmocka_unit_test(registries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
