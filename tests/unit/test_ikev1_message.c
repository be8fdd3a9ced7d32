// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/ikev1_cases.h"
#include "tests/unit/wire_cases.h"

static const struct view none = {NULL, 0};

static void header(void **state)
{
	static const struct {
		uint8_t at, value;
		enum wire_error error;
	} cases[] = {
		{18, 2, WIRE_OK},
		{18, 5, WIRE_OK},
		{18, 6, WIRE_OK},
		{18, 32, WIRE_OK},
		{18, 0, WIRE_BAD_EXCHANGE},
		{18, 1, WIRE_BAD_EXCHANGE},  // base mode
		{18, 33, WIRE_BAD_EXCHANGE}, // new group mode
		{18, 34, WIRE_BAD_EXCHANGE}, // IKEv2's
		{18, 255, WIRE_BAD_EXCHANGE},
		{15, 1, WIRE_OK}, // the responder's cookie is known
		{0, 0, WIRE_BAD_SPI},
		{17, 0x1f, WIRE_OK},
		{19, 0xff, WIRE_OK},
		{27, 0, WIRE_BAD_LENGTH},
		{27, 29, WIRE_BAD_LENGTH},
		{24, 0x80, WIRE_BAD_LENGTH},
	};
	static const struct ike_header h = {
		.spi_i = 0x11ull << 56, .major = 1, .exchange = 4, .length = IKE_HEADER_LEN};
	uint8_t bytes[IKE_HEADER_LEN];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_header out;
		struct wr w = wr_of(bytes, sizeof(bytes));
		wire_header_build(&w, &h);
		bytes[cases[i].at] = cases[i].value;
		assert_int_equal(wire_header_parse(wr_done(&w), &out), cases[i].error);
	}
}

// Catalogue rows 4, 5, 15, 26, and bytes behind the last payload.
static void chain(void **state)
{
	static const struct {
		uint8_t first, bytes[16];
		size_t len;
		enum wire_error error;
		uint8_t culprit, payloads;
		size_t end;
	} cases[] = {
		{0, {0}, 0, WIRE_OK, 0, 0, 0},
		{0, {0}, 3, WIRE_OK, 0, 0, 0},
		{13, {0, 0, 0, 4}, 4, WIRE_OK, 0, 1, 4},
		{13, {0, 0, 0, 4}, 7, WIRE_OK, 0, 1, 4},
		{13, {0, 0xff, 0, 4}, 4, WIRE_OK, 0, 1,
			4}, // reserved bits; there is no critical one
		{13, {0, 0, 0, 4}, 0, WIRE_TRUNCATED, 13, 0, 0},
		{13, {0, 0, 0, 4}, 3, WIRE_TRUNCATED, 13, 0, 0},
		{13, {0, 0, 0, 0}, 4, WIRE_PAYLOAD_LENGTH, 13, 0, 0},
		{1, {0, 0, 0, 1}, 4, WIRE_PAYLOAD_LENGTH, 1, 0, 0},
		{1, {0, 0, 0, 3}, 4, WIRE_PAYLOAD_LENGTH, 1, 0, 0},
		{1, {0, 0, 0xde, 0xad}, 8, WIRE_TRUNCATED, 1, 0, 0},
		{13, {8, 0, 0, 4}, 4, WIRE_TRUNCATED, 8, 1, 4},
		{33, {34, 0x80, 0, 4, 0, 0x80, 0, 4}, 8, WIRE_OK, 0, 2, 8},
		{46, {53, 0, 0, 4, 8, 0, 0, 4, 0, 0, 0, 4}, 12, WIRE_OK, 0, 3, 12},
		{15, {0, 0, 0, 6, 1, 2}, 6, WIRE_OK, 0, 1, 6}, // SAK
		{255, {0, 0, 0, 4}, 4, WIRE_OK, 0, 1, 4},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ikev1_message m;
		struct view v = exact_copy((struct view){cases[i].bytes, cases[i].len});
		assert_int_equal(ikev1_message_parse(v, cases[i].first, &m), cases[i].error);
		assert_int_equal(m.culprit, cases[i].culprit);
		assert_int_equal(m.payload_count, cases[i].payloads);
		assert_int_equal(m.end, cases[i].end);
		free_view(v);
	}
	assert_string_equal(ikev1_payload_name(15), "unknown");
}

// Catalogue row 18: as many payloads as the limit, and one more; of each kind more than is kept.
static void payload_limit(void **state)
{
	static const uint8_t types[] = {99, 5, 6, 7, 13, 20, 21, 1};
	uint8_t bytes[(WIRE_PAYLOADS_MAX + 1) * 4];
	(void)state;
	for (size_t t = 0; t < COUNT(types); t++)
		for (size_t n = WIRE_PAYLOADS_MAX; n <= WIRE_PAYLOADS_MAX + 1; n++) {
			static struct ikev1_message m;
			for (size_t i = 0; i < n; i++)
				memcpy(bytes + i * 4,
					(uint8_t[]){i + 1 < n ? types[t] : 0, 0, 0, 4}, 4);
			struct view v = exact_copy((struct view){bytes, n * 4});
			enum wire_error e = ikev1_message_parse(v, types[t], &m);
			assert_int_equal(
				e, n > WIRE_PAYLOADS_MAX ? WIRE_TOO_MANY_PAYLOADS : WIRE_OK);
			assert_int_equal(m.count[types[t]], WIRE_PAYLOADS_MAX);
			free_view(v);
		}
}

static void put_vpnc_vendors(struct wire_builder *b)
{
	static const enum ikev1_vendor sent[] = {IKEV1_VID_XAUTH, IKEV1_VID_UNITY,
		IKEV1_VID_NATT_RFC3947, IKEV1_VID_NATT_03, IKEV1_VID_NATT_02N, IKEV1_VID_NATT_02,
		IKEV1_VID_NATT_01, IKEV1_VID_NATT_00, IKEV1_VID_DPD};
	for (size_t i = 0; i < COUNT(sent); i++)
		ikev1_put_vendor(b, ikev1_vendor_bytes(sent[i]));
}

// vpnc's first message: group 2, a nonce of 20 bytes, the group's name as KEY_ID with UDP and 500.
static void vpnc_aggressive(void **state)
{
	uint8_t buf[1024], ke[128] = {1};
	struct ike_header h = {.spi_i = 1, .major = 1, .exchange = IKEV1_EXCHANGE_AGGRESSIVE};
	struct wire_builder b;
	struct ikev1_message m;
	struct wire_id id;
	(void)state;
	wire_build_message(&b, buf, sizeof(buf), &h);
	wire_put_raw(&b, 1, (struct view){vpnc_phase1_sa, sizeof(vpnc_phase1_sa)});
	ikev1_put_ke(&b, (struct view){ke, sizeof(ke)});
	ikev1_put_nonce(&b, VS("0123456789abcdefghij"));
	wire_put_raw(&b, 5, V(11, 17, 1, 0xf4, 'h', 'q'));
	put_vpnc_vendors(&b);
	struct view msg = wire_build_done(&b);
	assert_int_equal(wire_header_parse(msg, &h), WIRE_OK);
	struct view rest = exact_copy((struct view){msg.p + 28, msg.len - 28});
	assert_int_equal(ikev1_message_parse(rest, h.next_payload, &m), WIRE_OK);
	assert_int_equal(m.first, 1);
	assert_int_equal(m.after_hash, 0);
	assert_int_equal(m.end, rest.len);
	assert_int_equal(m.ke.len, 128);
	assert_int_equal(m.nonce.len, 20);
	assert_int_equal(m.vendor_count, 9);
	assert_int_equal(ikev1_rules_check(&m, IKEV1_FORM_AGGRESSIVE_1, NULL), WIRE_OK);
	assert_int_equal(ikev1_id_parse(m.ids[0], &id), WIRE_OK);
	assert_true(id.type == IKEV2_ID_KEY_ID && view_eq(id.data, VS("hq")));
	free_view(rest);
}

enum {
	SA = IKEV1_PAYLOAD_SA,
	KE = IKEV1_PAYLOAD_KE,
	ID = IKEV1_PAYLOAD_ID,
	CERT = IKEV1_PAYLOAD_CERT,
	CERTREQ = IKEV1_PAYLOAD_CERTREQ,
	HASH = IKEV1_PAYLOAD_HASH,
	SIG = IKEV1_PAYLOAD_SIG,
	NONCE = IKEV1_PAYLOAD_NONCE,
	NOTIFY = IKEV1_PAYLOAD_NOTIFY,
	DELETE = IKEV1_PAYLOAD_DELETE,
	VENDOR = IKEV1_PAYLOAD_VENDOR,
	ATTRS = IKEV1_PAYLOAD_ATTRIBUTES,
	NAT_D = IKEV1_PAYLOAD_NAT_D,
	DRAFT_D = IKEV1_PAYLOAD_NAT_D_DRAFT,
	NAT_OA = IKEV1_PAYLOAD_NAT_OA,
	FRAGMENT = IKEV1_PAYLOAD_FRAGMENT,
};

static struct view body_of(uint8_t type)
{
	switch (type) {
	case NOTIFY:
		return VS("\0\0\0\1\1\0\140\2");
	case DELETE:
		return VS("\0\0\0\1\3\4\0\1spi4");
	default:
		return VS("body");
	}
}

static enum wire_error check(const uint8_t *types, enum ikev1_form form, uint8_t *culprit)
{
	static struct ikev1_message m;
	uint8_t buf[512];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	for (; *types; types++)
		wire_put_raw(&b, *types, body_of(*types));
	assert_int_equal(ikev1_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
	return ikev1_rules_check(&m, form, culprit);
}

static void rules_take(void **state)
{
	static const struct {
		uint8_t form, types[12];
	} cases[] = {
		{IKEV1_FORM_SA, {SA}},
		{IKEV1_FORM_SA, {SA, VENDOR, VENDOR, 200}}, // 200: private
		{IKEV1_FORM_KE, {KE, NONCE}},
		{IKEV1_FORM_KE, {KE, NONCE, NAT_D, NAT_D, VENDOR}},
		{IKEV1_FORM_KE, {NONCE, KE, CERTREQ, CERTREQ, DRAFT_D, DRAFT_D, DRAFT_D}},
		{IKEV1_FORM_AUTH, {ID, HASH}},
		{IKEV1_FORM_AUTH, {ID, CERT, CERT, CERTREQ, SIG, NOTIFY}},
		{IKEV1_FORM_AGGRESSIVE_1, {SA, KE, NONCE, ID, VENDOR}},
		{IKEV1_FORM_AGGRESSIVE_2, {SA, KE, NONCE, ID, HASH, VENDOR, NAT_D, NAT_D}},
		{IKEV1_FORM_AGGRESSIVE_2, {SA, KE, NONCE, ID, CERT, SIG, CERTREQ}},
		{IKEV1_FORM_AGGRESSIVE_3, {HASH, NOTIFY, VENDOR, VENDOR, DRAFT_D, DRAFT_D}}, // vpnc
		{IKEV1_FORM_AGGRESSIVE_3, {CERT, SIG}},
		{IKEV1_FORM_QUICK_1, {HASH, SA, NONCE}},
		{IKEV1_FORM_QUICK_1, {HASH, SA, NONCE, KE, ID, ID, NAT_OA, NAT_OA}},
		{IKEV1_FORM_QUICK_2, {HASH, SA, NONCE, ID, ID, NOTIFY}}, // RESPONDER-LIFETIME
		{IKEV1_FORM_QUICK_3, {HASH}},
		{IKEV1_FORM_QUICK_3, {HASH, NOTIFY}}, // Windows' fourth: CONNECTED
		{IKEV1_FORM_TRANSACTION, {HASH, ATTRS}},
		{IKEV1_FORM_TRANSACTION, {HASH, ATTRS, VENDOR}},
		{IKEV1_FORM_INFORMATIONAL, {HASH, NOTIFY}},
		{IKEV1_FORM_INFORMATIONAL, {HASH, DELETE, DELETE, NOTIFY, VENDOR}},
		{IKEV1_FORM_CLEAR, {NOTIFY}},
		{IKEV1_FORM_CLEAR, {DELETE}},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t culprit = 99;
		assert_int_equal(check(cases[i].types, cases[i].form, &culprit), WIRE_OK);
		assert_int_equal(culprit, 0);
	}
}

#define MISSING    WIRE_PAYLOAD_MISSING
#define REPEATED   WIRE_PAYLOAD_REPEATED
#define UNEXPECTED WIRE_PAYLOAD_UNEXPECTED

static void rules_refuse(void **state)
{
	static const struct {
		uint8_t form, types[12];
		enum wire_error error;
		uint8_t culprit;
	} cases[] = {
		{IKEV1_FORM_SA, {VENDOR}, MISSING, SA},
		{IKEV1_FORM_SA, {SA, SA}, REPEATED, SA},
		{IKEV1_FORM_SA, {SA, KE}, UNEXPECTED, KE},
		{IKEV1_FORM_SA, {SA, HASH}, UNEXPECTED, HASH},
		{IKEV1_FORM_SA, {SA, 15}, UNEXPECTED, 15},  // row 26: SAK
		{IKEV1_FORM_SA, {SA, 33}, UNEXPECTED, 33},  // row 15: an IKEv2 payload
		{IKEV1_FORM_SA, {33, 34, 40}, MISSING, SA}, // row 15: nothing but
		{IKEV1_FORM_SA, {SA, FRAGMENT}, UNEXPECTED, FRAGMENT},
		{IKEV1_FORM_SA, {SA, 2}, UNEXPECTED, 2},
		{IKEV1_FORM_KE, {KE}, MISSING, NONCE},
		{IKEV1_FORM_KE, {KE, KE, NONCE}, REPEATED, KE},
		{IKEV1_FORM_KE, {KE, NONCE, SA}, UNEXPECTED, SA},
		{IKEV1_FORM_AUTH, {HASH}, MISSING, ID},
		{IKEV1_FORM_AUTH, {ID}, MISSING, HASH},
		{IKEV1_FORM_AUTH, {ID, HASH, SIG}, UNEXPECTED, SIG},
		{IKEV1_FORM_AUTH, {ID, ID, HASH}, REPEATED, ID},
		{IKEV1_FORM_AGGRESSIVE_1, {SA, KE, NONCE}, MISSING, ID},
		{IKEV1_FORM_AGGRESSIVE_1, {SA, KE, NONCE, ID, HASH}, UNEXPECTED, HASH},
		{IKEV1_FORM_AGGRESSIVE_1, {SA, KE, NONCE, ID, NAT_D}, UNEXPECTED, NAT_D},
		{IKEV1_FORM_AGGRESSIVE_2, {SA, KE, NONCE, ID}, MISSING, HASH},
		{IKEV1_FORM_AGGRESSIVE_3, {VENDOR}, MISSING, HASH},
		{IKEV1_FORM_AGGRESSIVE_3, {HASH, SA}, UNEXPECTED, SA},
		{IKEV1_FORM_QUICK_1, {SA, NONCE}, MISSING, HASH},
		{IKEV1_FORM_QUICK_1, {SA, HASH, NONCE}, UNEXPECTED, HASH}, // not first
		{IKEV1_FORM_QUICK_1, {HASH, SA, SA, NONCE}, REPEATED, SA},
		{IKEV1_FORM_QUICK_1, {HASH, SA, NONCE, ID}, MISSING, ID},
		{IKEV1_FORM_QUICK_1, {HASH, SA, NONCE, ID, ID, ID}, REPEATED, ID},
		{IKEV1_FORM_QUICK_2, {HASH, SA}, MISSING, NONCE},
		{IKEV1_FORM_QUICK_3, {HASH, SA}, UNEXPECTED, SA},
		{IKEV1_FORM_TRANSACTION, {HASH}, MISSING, ATTRS},
		{IKEV1_FORM_TRANSACTION, {ATTRS, HASH}, UNEXPECTED, HASH},
		{IKEV1_FORM_TRANSACTION, {HASH, VENDOR, ATTRS}, UNEXPECTED, ATTRS},
		{IKEV1_FORM_TRANSACTION, {HASH, ATTRS, ATTRS}, REPEATED, ATTRS},
		{IKEV1_FORM_TRANSACTION, {HASH, ATTRS, SA}, UNEXPECTED, SA},
		{IKEV1_FORM_INFORMATIONAL, {NOTIFY}, MISSING, HASH},
		{IKEV1_FORM_INFORMATIONAL, {HASH}, MISSING, NOTIFY},
		{IKEV1_FORM_INFORMATIONAL, {HASH, NOTIFY, ATTRS}, UNEXPECTED, ATTRS},
		{IKEV1_FORM_CLEAR, {HASH, NOTIFY}, UNEXPECTED, HASH},
		{IKEV1_FORM_CLEAR, {VENDOR}, MISSING, NOTIFY},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t culprit = 0;
		assert_int_equal(check(cases[i].types, cases[i].form, &culprit), cases[i].error);
		assert_int_equal(culprit, cases[i].culprit);
	}
}

// What HASH covers begins behind it, and ends with the last payload.
static void hashed_part(void **state)
{
	// HASH of 4 bytes, a NAT-D of the draft, one of the RFC, 3 bytes of padding
	static const uint8_t bytes[] = {
		130, 0, 0, 8, 1, 2, 3, 4, 20, 0, 0, 5, 6, 0, 0, 0, 5, 7, 0, 0, 0};
	struct ikev1_message m;
	(void)state;
	assert_int_equal(
		ikev1_message_parse((struct view){bytes, sizeof(bytes)}, HASH, &m), WIRE_OK);
	assert_int_equal(m.after_hash, 8);
	assert_int_equal(m.end, 18);
	assert_true(m.natd_draft && m.natd_count == 2);
	assert_true(m.natd[0].p[0] == 6 && m.natd[1].p[0] == 7);
	assert_int_equal(ikev1_message_parse((struct view){bytes + 8, 10}, 130, &m), WIRE_OK);
	assert_int_equal(m.after_hash, 0);
}

static void notifies_and_deletes(void **state)
{
	static const struct {
		uint8_t type, body[32];
		size_t len;
		enum wire_error error;
	} cases[] = {
		{NOTIFY, {0, 0, 0, 1, 1, 0, 0x60, 2}, 8, WIRE_OK},
		{NOTIFY, {0, 0, 0, 1, 1, 0, 0x60}, 7, WIRE_MALFORMED_NOTIFY},
		{NOTIFY, {0, 0, 0, 1, 1, 1, 0x60, 2}, 8, WIRE_MALFORMED_NOTIFY}, // SPI not there
		{NOTIFY, {0, 0, 0, 1, 1, 255, 0x60, 2}, 20, WIRE_MALFORMED_NOTIFY},
		{NOTIFY, {0xde, 0xad, 0xbe, 0xef, 9, 4, 0xff, 0xff, 1, 2, 3, 4}, 12, WIRE_OK}, // 26
		{NOTIFY, {0}, 0, WIRE_MALFORMED_NOTIFY},
		{DELETE, {0, 0, 0, 1, 3, 4, 0, 1, 1, 2, 3, 4}, 12, WIRE_OK},
		{DELETE, {0, 0, 0, 1, 3, 4, 0, 2, 1, 2, 3, 4}, 12, WIRE_MALFORMED_DELETE},
		{DELETE, {0, 0, 0, 1, 3, 4, 0, 1, 1, 2, 3, 4}, 13, WIRE_MALFORMED_DELETE},
		{DELETE, {0, 0, 0, 1, 3, 8, 0, 1}, 16, WIRE_MALFORMED_DELETE},
		{DELETE, {0, 0, 0, 1, 3, 255, 0xff, 0xff}, 32, WIRE_MALFORMED_DELETE},
		{DELETE, {0, 0, 0, 1, 1, 16, 0, 1}, 24, WIRE_OK},
		{DELETE, {0, 0, 0, 1, 1, 16, 0, 0}, 8, WIRE_OK},
		{DELETE, {0, 0, 0, 1, 1, 0, 0, 1}, 8, WIRE_MALFORMED_DELETE},
		{DELETE, {0, 0, 0, 1, 99, 0, 0xff, 0xff}, 8, WIRE_OK},
		{DELETE, {0, 0, 0, 1, 3, 4, 0}, 7, WIRE_MALFORMED_DELETE},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[64];
		struct ikev1_message m;
		struct wire_builder b;
		wire_build_begin(&b, buf, sizeof(buf));
		wire_put_raw(&b, cases[i].type, (struct view){cases[i].body, cases[i].len});
		struct view v = exact_copy(wire_build_done(&b));
		assert_int_equal(ikev1_message_parse(v, b.first, &m), cases[i].error);
		assert_int_equal(m.culprit, cases[i].error ? cases[i].type : 0);
		free_view(v);
	}
}

static void information_round_trip(void **state)
{
	static const struct ikev1_notification sent[] = {
		{IKEV1_DOI_IPSEC, IKEV1_PROTOCOL_ISAKMP, IKEV1_NOTIFY_R_U_THERE,
			{(const uint8_t *)"0123456789abcdef", 16},
			{(const uint8_t *)"\0\0\0\7", 4}},
		{IKEV1_DOI_IPSEC, IKEV1_PROTOCOL_ESP, IKEV1_NOTIFY_RESPONDER_LIFETIME,
			{(const uint8_t *)"abcd", 4}, {NULL, 0}},
	};
	uint8_t buf[256], long_spi[256] = {0};
	struct ikev1_message m;
	struct wire_builder b;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_notify(&b, &sent[0]);
	ikev1_put_notify(&b, &sent[1]);
	ikev1_put_delete_isakmp(&b, 0x0102030405060708, 0x1112131415161718);
	ikev1_put_delete_esp(&b, (uint32_t[]){0xc0ffee01, 0xc0ffee02}, 2);
	assert_int_equal(ikev1_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
	assert_int_equal(m.notify_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct ikev1_notification *n = ikev1_notify_find(&m, sent[i].type);
		assert_non_null(n);
		assert_true(n->doi == sent[i].doi && n->protocol == sent[i].protocol);
		assert_true(view_eq(n->spi, sent[i].spi) && view_eq(n->data, sent[i].data));
	}
	assert_null(ikev1_notify_find(&m, IKEV1_NOTIFY_INITIAL_CONTACT));
	assert_int_equal(m.delete_count, 2);
	assert_true(m.deletes[0].protocol == 1 && m.deletes[0].spis.len == 16);
	assert_true(m.deletes[0].spis.p[7] == 8 && m.deletes[0].spis.p[15] == 0x18);
	assert_int_equal(ikev1_delete_spi(&m.deletes[0], 0), 0);
	assert_int_equal(ikev1_delete_spi(&m.deletes[1], 1), 0xc0ffee02);
	assert_int_equal(ikev1_delete_spi(&m.deletes[1], 2), 0);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_notify(&b, &(struct ikev1_notification){.spi = {long_spi, sizeof(long_spi)}});
	assert_null(wire_build_done(&b).p);
}

static void payload_round_trip(void **state)
{
	uint8_t buf[256];
	struct ikev1_message m;
	struct wire_builder b;
	struct wire_cert cert;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_ke(&b, VS("ke"));
	ikev1_put_nonce(&b, VS("nonce567"));
	ikev1_put_cert(&b, VS("der"));
	ikev1_put_certreq(&b, none);
	ikev1_put_certreq(&b, VS("name"));
	ikev1_put_vendor(&b, VS("vendor"));
	ikev1_put_natd(&b, false, VS("remote"));
	ikev1_put_natd(&b, false, VS("local"));
	assert_int_equal(ikev1_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
	assert_true(view_eq(m.ke, VS("ke")) && view_eq(m.nonce, VS("nonce567")));
	assert_int_equal(wire_cert_parse(m.certs[0], &cert), WIRE_OK);
	assert_true(cert.encoding == IKEV2_CERT_X509_SIGNATURE && view_eq(cert.data, VS("der")));
	assert_int_equal(wire_certreq_parse(m.certreqs[0], &cert), WIRE_OK);
	assert_int_equal(cert.data.len, 0);
	assert_int_equal(wire_certreq_parse(m.certreqs[1], &cert), WIRE_OK);
	assert_true(view_eq(cert.data, VS("name")));
	assert_true(view_eq(m.vendors[0], VS("vendor")));
	assert_true(!m.natd_draft && m.natd_count == 2 && view_eq(m.natd[1], VS("local")));
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_natd(&b, true, VS("remote"));
	assert_int_equal(b.first, IKEV1_PAYLOAD_NAT_D_DRAFT);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(ikev1_exchange_name(4), "AGGRESSIVE");
	assert_string_equal(ikev1_payload_name(20), "NAT_D");
	assert_string_equal(ikev1_auth_name(65001), "XAUTH_INIT_PSK");
	assert_string_equal(ikev1_notify_name(24578), "INITIAL_CONTACT");
	assert_string_equal(ikev1_cfg_attribute_name(28676), "UNITY_SPLIT_INCLUDE");
	assert_string_equal(ikev1_notify_name(0xffffffff), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(header),
		cmocka_unit_test(chain),
		cmocka_unit_test(payload_limit),
		cmocka_unit_test(vpnc_aggressive),
		cmocka_unit_test(rules_take),
		cmocka_unit_test(rules_refuse),
		cmocka_unit_test(hashed_part),
		cmocka_unit_test(notifies_and_deletes),
		cmocka_unit_test(information_round_trip),
		cmocka_unit_test(payload_round_trip),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
