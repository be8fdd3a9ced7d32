// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

static enum wire_error ke(struct view body)
{
	struct wire_ke out;
	return wire_ke_parse(body, &out);
}

static enum wire_error nonce(struct view body)
{
	struct view out;
	return wire_nonce_parse(body, &out);
}

static enum wire_error id(struct view body)
{
	struct wire_id out;
	return wire_id_parse(body, &out);
}

static enum wire_error auth(struct view body)
{
	struct wire_auth out;
	return wire_auth_parse(body, &out);
}

static enum wire_error cert(struct view body)
{
	struct wire_cert out;
	return wire_cert_parse(body, &out);
}

static enum wire_error certreq(struct view body)
{
	struct wire_cert out;
	return wire_certreq_parse(body, &out);
}

static enum wire_error notify(struct view body)
{
	struct wire_notify out;
	return wire_notify_parse(body, &out);
}

static enum wire_error delete (struct view body) {
	struct wire_delete out; return wire_delete_parse(body, &out);
}

static enum wire_error eap(struct view body)
{
	struct view out;
	return wire_eap_parse(body, &out);
}

static enum wire_error skf(struct view body)
{
	struct wire_skf out;
	return wire_skf_parse(body, &out);
}

static enum wire_error unpad(struct view body)
{
	struct view out;
	return wire_sk_unpad(body, &out);
}

#define NONE            \
	(struct view)   \
	{               \
		NULL, 0 \
	}

struct body_case {
	body_fn parse;
	struct view body;
	enum wire_error error;
};

static void check_bodies(const struct body_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct view body = exact_copy(cases[i].body);
		enum wire_error e = cases[i].parse(body);
		if (e != cases[i].error)
			print_error("case %zu: %s\n", i, wire_error_text(e));
		assert_int_equal(e, cases[i].error);
		free_view(body);
	}
}

static void identity_and_auth_bodies(void **state)
{
	const struct body_case cases[] = {
		{ke, V(0, 31, 0xff, 0xff, 1), WIRE_OK},
		{ke, V(0, 31, 0, 0), WIRE_MALFORMED_KE}, // row 8: empty
		{id, V(1, 9, 9, 9, 10, 0, 0, 1), WIRE_OK},
		{id, V(1, 0, 0, 0, 10, 0, 0), WIRE_MALFORMED_ID},
		{id, V(1, 0, 0, 0, 10, 0, 0, 1, 1), WIRE_MALFORMED_ID},
		{id, V(5, 0, 0, 0, 10, 0, 0, 1), WIRE_MALFORMED_ID},
		{id, V(2, 0, 0, 0), WIRE_MALFORMED_ID},
		{id, V(2, 0, 0, 0, 'a'), WIRE_OK},
		{id, V(2, 0, 0, 0, 'a', 0), WIRE_MALFORMED_ID},
		{id, V(3, 0, 0, 0, 'a', '\n', 'b'), WIRE_MALFORMED_ID},
		{id, V(11, 0, 0, 0, 'a', 0), WIRE_OK},
		{id, V(11, 0, 0, 0), WIRE_MALFORMED_ID},
		{id, V(13, 0, 0, 0), WIRE_OK}, // RFC 7619: ID_NULL is empty
		{id, V(13, 0, 0, 0, 1), WIRE_MALFORMED_ID},
		{auth, V(2, 0, 0, 0, 1), WIRE_OK},
		{auth, V(2, 0, 0, 0), WIRE_MALFORMED_AUTH},
		{auth, V(14, 0, 0, 0, 0, 1, 2), WIRE_MALFORMED_AUTH}, // no algorithm
		{auth, V(14, 0, 0, 0, 2, 1, 2), WIRE_MALFORMED_AUTH}, // row 54: no signature
		{auth, V(14, 0, 0, 0, 3, 1, 2), WIRE_MALFORMED_AUTH},
		{auth, V(14, 0, 0, 0, 255, 1, 2), WIRE_MALFORMED_AUTH},
		{auth, V(14, 0, 0, 0, 1, 1, 2), WIRE_OK},
		{cert, V(4), WIRE_MALFORMED_CERT},
		{cert, V(4, 0x30), WIRE_OK},
		{certreq, V(4), WIRE_OK},
	};
	(void)state;
	check_bodies(cases, COUNT(cases));
}

static void notify_and_delete_bodies(void **state)
{
	const struct body_case cases[] = {
		{notify, V(0, 0, 0x40, 4), WIRE_OK},
		{notify, V(3, 4, 0x40, 4, 1, 2, 3), WIRE_MALFORMED_NOTIFY},
		{notify, V(3, 255, 0x40, 4, 1, 2, 3, 4), WIRE_MALFORMED_NOTIFY},
		{notify, V(200, 2, 0xff, 0xff, 1, 2), WIRE_OK},
		// row 59: REKEY_SA (16393) of protocol 0 or 1, or with another SPI size
		{notify, V(3, 4, 0x40, 9, 1, 2, 3, 4), WIRE_OK},
		{notify, V(2, 4, 0x40, 9, 1, 2, 3, 4), WIRE_OK},
		{notify, V(0, 4, 0x40, 9, 1, 2, 3, 4), WIRE_MALFORMED_NOTIFY},
		{notify, V(1, 4, 0x40, 9, 1, 2, 3, 4), WIRE_MALFORMED_NOTIFY},
		{notify, V(3, 0, 0x40, 9), WIRE_MALFORMED_NOTIFY},
		{notify, V(3, 8, 0x40, 9, 1, 2, 3, 4, 5, 6, 7, 8), WIRE_MALFORMED_NOTIFY},
		{delete, V(1, 0, 0, 0), WIRE_OK},
		{delete, V(1, 8, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8), WIRE_MALFORMED_DELETE},
		{delete, V(1, 0, 0, 1), WIRE_MALFORMED_DELETE},
		{delete, V(3, 4, 0, 1, 1, 2, 3, 4), WIRE_OK}, {delete, V(3, 4, 0, 0), WIRE_OK},
		{delete, V(3, 4, 0, 2, 1, 2, 3, 4), WIRE_MALFORMED_DELETE},
		{delete, V(3, 4, 0xff, 0xff, 1, 2, 3, 4), WIRE_MALFORMED_DELETE},
		{delete, V(3, 4, 0, 0, 1, 2, 3, 4), WIRE_MALFORMED_DELETE},
		{delete, V(3, 2, 0, 2, 1, 2, 3, 4), WIRE_MALFORMED_DELETE},
		{delete, V(3, 0, 0xff, 0xff), WIRE_MALFORMED_DELETE},
		{delete, V(77, 2, 0, 1, 1, 2), WIRE_OK}, // for the handler to ignore
	};
	(void)state;
	check_bodies(cases, COUNT(cases));
}

static void eap_fragment_and_padding_bodies(void **state)
{
	const struct body_case cases[] = {
		{eap, V(1, 2, 0, 5, 1), WIRE_OK},
		{eap, V(3, 2, 0, 4), WIRE_OK},
		{eap, V(1, 2, 0, 0, 1), WIRE_MALFORMED_EAP},
		{eap, V(1, 2, 0, 6, 1), WIRE_MALFORMED_EAP},
		{eap, V(1, 2, 0, 4, 1), WIRE_MALFORMED_EAP},
		// rows 19, 20, 25: fragment 0, behind the total, of none, too short
		{skf, V(0, 1, 0, 1, 9), WIRE_OK},
		{skf, V(0, 2, 0, 2, 9), WIRE_OK},
		{skf, V(0, 0, 0, 1, 9), WIRE_BAD_FRAGMENT},
		{skf, V(0, 2, 0, 1, 9), WIRE_BAD_FRAGMENT},
		{skf, V(0, 0, 0, 0, 9), WIRE_BAD_FRAGMENT},
		{skf, V(0, 1, 0, 0, 9), WIRE_BAD_FRAGMENT},
		{skf, V(0xff, 0xff, 0, 9, 9), WIRE_BAD_FRAGMENT},
		{skf, V(0, 1, 0, 1), WIRE_BAD_FRAGMENT},
		{skf, V(0, 1, 0, WIRE_FRAGMENTS_MAX, 9), WIRE_OK},
		{skf, V(0, 1, 0, WIRE_FRAGMENTS_MAX + 1, 9), WIRE_TOO_MANY_FRAGMENTS},
		{skf, V(0, 1, 0xff, 0xff, 9), WIRE_TOO_MANY_FRAGMENTS},
		{unpad, NONE, WIRE_BAD_PADDING},
		{unpad, V(0), WIRE_OK},
		{unpad, V(1), WIRE_BAD_PADDING},
		{unpad, V(7, 7, 2), WIRE_OK},
		{unpad, V(7, 7, 3), WIRE_BAD_PADDING},
		{unpad, V(7, 7, 255), WIRE_BAD_PADDING},
	};
	(void)state;
	check_bodies(cases, COUNT(cases));
}

static void truncated(void **state)
{
	(void)state;
	refuse_truncated(V(0, 31, 0, 0, 1, 2), 5, ke, WIRE_MALFORMED_KE);
	refuse_truncated(V(1, 0, 0, 0, 10, 0, 0, 1), 8, id, WIRE_MALFORMED_ID);
	refuse_truncated(V(14, 0, 0, 0, 2, 1, 2, 3), 8, auth, WIRE_MALFORMED_AUTH);
	refuse_truncated(V(4, 1), 2, cert, WIRE_MALFORMED_CERT);
	refuse_truncated(V(4, 1), 1, certreq, WIRE_MALFORMED_CERTREQ);
	refuse_truncated(V(3, 4, 0, 11, 1, 2, 3, 4, 5), 8, notify, WIRE_MALFORMED_NOTIFY);
	refuse_truncated(V(3, 4, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8), 12, delete, WIRE_MALFORMED_DELETE);
	refuse_truncated(V(1, 2, 0, 5, 1), 5, eap, WIRE_MALFORMED_EAP);
	refuse_truncated(V(0, 1, 0, 1, 9), 5, skf, WIRE_BAD_FRAGMENT);
}

static void lengths_with_bounds(void **state)
{
	static const struct {
		size_t len;
		enum wire_error nonce, id;
	} cases[] = {
		{0, WIRE_MALFORMED_NONCE, WIRE_MALFORMED_ID},
		{15, WIRE_MALFORMED_NONCE, WIRE_OK},
		{16, WIRE_OK, WIRE_OK},
		{256, WIRE_OK, WIRE_OK},
		{257, WIRE_MALFORMED_NONCE, WIRE_OK},
		// row 33: the limit counts the data, behind four bytes
		{4 + WIRE_ID_MAX, WIRE_MALFORMED_NONCE, WIRE_OK},
		{4 + WIRE_ID_MAX + 1, WIRE_MALFORMED_NONCE, WIRE_MALFORMED_ID},
		{65531, WIRE_MALFORMED_NONCE, WIRE_MALFORMED_ID},
	};
	static uint8_t bytes[65536] = {IKEV2_ID_KEY_ID};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view body = exact_copy((struct view){bytes, cases[i].len});
		assert_int_equal(nonce(body), cases[i].nonce);
		assert_int_equal(id(body), cases[i].id);
		free_view(body);
	}
}

// RFC 5903 8.1: the KEi payload of the 256-bit group, generic header and all.
static void rfc5903_ke(void **state)
{
	static const uint8_t payload[] = {0x00, 0x00, 0x00, 0x48, 0x00, 0x13, 0x00, 0x00, 0xda,
		0xd0, 0xb6, 0x53, 0x94, 0x22, 0x1c, 0xf9, 0xb0, 0x51, 0xe1, 0xfe, 0xca, 0x57, 0x87,
		0xd0, 0x98, 0xdf, 0xe6, 0x37, 0xfc, 0x90, 0xb9, 0xef, 0x94, 0x5d, 0x0c, 0x37, 0x72,
		0x58, 0x11, 0x80, 0x52, 0x71, 0xa0, 0x46, 0x1c, 0xdb, 0x82, 0x52, 0xd6, 0x1f, 0x1c,
		0x45, 0x6f, 0xa3, 0xe5, 0x9a, 0xb1, 0xf4, 0x5b, 0x33, 0xac, 0xcf, 0x5f, 0x58, 0x38,
		0x9e, 0x05, 0x77, 0xb8, 0x99, 0x0b, 0xb3};
	struct ike_message m;
	struct wire_ke k;
	struct wire_builder b;
	uint8_t buf[128];
	(void)state;
	struct view bytes = {payload, sizeof(payload)};
	assert_int_equal(wire_message_parse(bytes, IKEV2_PAYLOAD_KE, &m), WIRE_OK);
	assert_int_equal(wire_ke_parse(m.ke, &k), WIRE_OK);
	assert_int_equal(k.group, DH_ECP_256);
	assert_int_equal(k.value.len, alg_dh(DH_ECP_256)->public_len);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_ke(&b, k.group, k.value);
	assert_true(view_eq(wire_build_done(&b), bytes));
}

static void signatures(void **state)
{
	// RFC 7427 A.1.2: sha256WithRSAEncryption.
	const struct view algorithm = V(0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d,
		0x01, 0x01, 0x0b, 0x05, 0x00);
	const struct view signature = VS("signature");
	uint8_t buf[512], big[256] = {0};
	struct wire_builder b;
	struct wire_auth a;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_signature(&b, algorithm, signature);
	assert_int_equal(wire_auth_parse(first_body(&b), &a), WIRE_OK);
	assert_int_equal(a.method, IKEV2_AUTH_DIGITAL_SIGNATURE);
	assert_true(view_eq(a.algorithm, algorithm) && view_eq(a.signature, signature));
	assert_int_equal(a.data.len, 1 + algorithm.len + signature.len);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_auth(&b, IKEV2_AUTH_RSA_SIGNATURE, signature);
	assert_int_equal(wire_auth_parse(first_body(&b), &a), WIRE_OK);
	assert_true(view_eq(a.signature, signature) && a.algorithm.len == 0);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_signature(&b, (struct view){big, 256}, signature);
	assert_int_equal(wire_build_done(&b).len, 0);
}

static void encrypted_body(void **state)
{
	static const struct {
		size_t len, iv, icv, block;
		enum wire_error error;
	} cases[] = {
		{0, 8, 16, 1, WIRE_MALFORMED_SK},
		{24, 8, 16, 1, WIRE_MALFORMED_SK}, // no pad length
		{25, 8, 16, 1, WIRE_OK},
		{28, 16, 12, 16, WIRE_MALFORMED_SK},
		{44, 16, 12, 16, WIRE_OK},
		{45, 16, 12, 16, WIRE_MALFORMED_SK},
		{59, 16, 12, 16, WIRE_MALFORMED_SK},
		{60, 16, 12, 16, WIRE_OK},
	};
	static const uint8_t bytes[64];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_sk sk;
		struct view body = {bytes, cases[i].len};
		assert_int_equal(
			wire_sk_split(body, cases[i].iv, cases[i].icv, cases[i].block, &sk),
			cases[i].error);
		if (cases[i].error != WIRE_OK)
			continue;
		assert_ptr_equal(sk.iv.p, bytes);
		assert_ptr_equal(sk.ciphertext.p, bytes + cases[i].iv);
		assert_ptr_equal(sk.icv.p, bytes + cases[i].len - cases[i].icv);
		assert_int_equal(sk.iv.len + sk.ciphertext.len + sk.icv.len, cases[i].len);
	}
}

// The builders that no other test here calls, byte for byte.
static void small_builders(void **state)
{
	static const uint8_t expected[] = {48, 0, 0, 8, 1, 0, 0, 0, // DELETE of the IKE SA
		40, 0, 0, 9, 1, 2, 0, 5, 1,                         // EAP
		0, 0, 0, 20, 'n', 'o', 'n', 'c', 'e', '-',          // NONCE
		'0', '1', '2', '3', '4', '5', '6', '7', '8', '9'};
	uint8_t buf[64];
	struct wire_builder b;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_delete_ike(&b);
	wire_put_eap(&b, V(1, 2, 0, 5, 1));
	wire_put_nonce(&b, VS("nonce-0123456789"));
	assert_int_equal(b.first, IKEV2_PAYLOAD_DELETE);
	assert_true(view_eq(wire_build_done(&b), (struct view){expected, sizeof(expected)}));
}

static void too_long_for_a_payload(void **state)
{
	static uint8_t big[65536], buf[70000];
	struct wire_builder b;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_vendor(&b, (struct view){big, 65531});
	assert_int_equal(wire_build_done(&b).len, 65535);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_vendor(&b, (struct view){big, 65532});
	assert_int_equal(wire_build_done(&b).len, 0);
	wire_build_begin(&b, buf, sizeof(buf));
	wire_open_cp(&b, IKEV2_CP_REPLY);
	wire_cp_put(&b, IKEV2_CP_APPLICATION_VERSION, (struct view){big, 65536});
	wire_close(&b);
	assert_int_equal(wire_build_done(&b).len, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(identity_and_auth_bodies),
		cmocka_unit_test(notify_and_delete_bodies),
		cmocka_unit_test(eap_fragment_and_padding_bodies),
		cmocka_unit_test(truncated),
		cmocka_unit_test(lengths_with_bounds),
		cmocka_unit_test(rfc5903_ke),
		cmocka_unit_test(signatures),
		cmocka_unit_test(encrypted_body),
		cmocka_unit_test(small_builders),
		cmocka_unit_test(too_long_for_a_payload),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
