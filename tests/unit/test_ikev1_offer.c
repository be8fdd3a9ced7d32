// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// As IKEv1 initiator: what is offered, and which answers fit it.
#include "tests/unit/ikev1_cases.h"
#include "tests/unit/wire_cases.h"

static struct ikev1_sa_offer parsed;

static enum wire_error parse_ike(struct view body)
{
	return ikev1_sa_parse(body, true, &parsed);
}

static enum wire_error parse_esp(struct view body)
{
	return ikev1_sa_parse(body, false, &parsed);
}

static bool any_auth(void *ctx, uint16_t auth)
{
	(void)ctx;
	(void)auth;
	return true;
}

static void ike_round_trip(void **state)
{
	struct proposal mine[] = {proposal_of("aes256-aes128-sha256-sha1-modp2048-ecp256", false),
		proposal_of("3des-md5-modp1024", false)};
	struct ikev1_ike_offer offer = {.mine = mine,
		.count = 2,
		.auths = {IKEV1_AUTH_XAUTH_INIT_PSK, IKEV1_AUTH_PSK},
		.auth_count = 2,
		.life_s = 86400};
	static const struct {
		uint16_t group;
		uint8_t transforms;
	} cases[] = {{0, 18}, {DH_MODP_2048, 8}, {DH_MODP_1024, 2}};
	uint8_t buf[2048], answer[256];
	struct ikev1_choice c, checked;
	struct wire_builder b;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		offer.group = cases[i].group;
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_build_ike(&b, &offer);
		assert_int_equal(parse_ike(first_body(&b)), WIRE_OK);
		assert_int_equal(parsed.count, 1);
		assert_int_equal(parsed.transform_count, cases[i].transforms);
		for (uint8_t j = 0; j < parsed.transform_count; j++) {
			const struct ikev1_transform *t = &parsed.transforms[j];
			assert_true(!t->unusable && t->life_s == 86400);
			assert_true(t->number == j + 1 && t->id == IKEV1_TRANSFORM_KEY_IKE);
			assert_true(!offer.group || t->suite.dh == offer.group);
		}
		assert_int_equal(parsed.transforms[0].auth, IKEV1_AUTH_XAUTH_INIT_PSK);
		assert_int_equal(ikev1_check_ike(&offer, &parsed, &c), WIRE_BAD_CHOICE);
		assert_int_equal(ikev1_select_ike(mine, 2, &parsed, any_auth, NULL, &c), WIRE_OK);
		wire_build_begin(&b, answer, sizeof(answer));
		ikev1_build_choice(&b, &c, 0);
		assert_int_equal(parse_ike(first_body(&b)), WIRE_OK);
		assert_int_equal(ikev1_check_ike(&offer, &parsed, &checked), WIRE_OK);
		assert_int_equal(checked.mine, c.mine);
		char text[2][SUITE_TEXT_MAX];
		assert_string_equal(suite_text(&checked.transform.suite, text[0]),
			suite_text(&c.transform.suite, text[1]));
	}
}

static void ike_answers(void **state)
{
	// Our offer's transform is AES-256, SHA1, modp2048, PSK, 3600 s.
	static const struct {
		uint8_t attrs[32];
		size_t len;
		bool ok;
	} cases[] = {
		{{B(1, 7), B(14, 256), IKE_REST, B(11, 1), B(12, 3600)}, 28, true},
		{{IKE_REST, B(11, 1), B(12, 3600), B(14, 256), B(1, 7)}, 28, true}, // another order
		{{B(11, 1), 0, 12, 0, 4, 0, 0, 0x0e, 0x10, IKE_REST, B(1, 7), B(14, 256)}, 32,
			true},
		{{B(1, 7), B(14, 256), IKE_REST, B(11, 1), B(12, 60)}, 28, true}, // shorter
		{{B(1, 7), B(14, 256), IKE_REST, B(11, 1), B(12, 3601)}, 28, false},
		{{B(1, 7), B(14, 256), IKE_REST}, 20, true},
		{{B(1, 7), IKE_REST}, 16, false}, // 128 bits
		{{B(1, 7), B(14, 128), IKE_REST}, 20, false},
		{{B(1, 7), B(14, 256), B(2, 1), B(3, 1), B(4, 14)}, 20, false},
		{{B(1, 7), B(14, 256), B(2, 2), B(3, 3), B(4, 14)}, 20, false}, // RSA
		{{B(1, 7), B(14, 256), B(2, 2), B(3, 1), B(4, 2)}, 20, false},
		{{B(1, 7), B(14, 256), IKE_REST, B(14, 256)}, 24, false},
		{{B(1, 5), IKE_REST}, 16, false},
	};
	struct proposal mine = proposal_of("aes256-sha1-modp2048", false);
	struct ikev1_ike_offer offer = {.mine = &mine,
		.count = 1,
		.auths = {IKEV1_AUTH_PSK},
		.auth_count = 1,
		.life_s = 3600};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[256];
		struct ikev1_choice c;
		struct view body =
			one_transform(buf, true, 1, (struct view){cases[i].attrs, cases[i].len});
		assert_int_equal(parse_ike(body), WIRE_OK);
		assert_int_equal(ikev1_check_ike(&offer, &parsed, &c),
			cases[i].ok ? WIRE_OK : WIRE_BAD_CHOICE);
		offer.group = DH_MODP_1536;
		assert_int_equal(ikev1_check_ike(&offer, &parsed, &c), WIRE_BAD_CHOICE);
		offer.group = 0;
	}
}

static void esp_round_trip(void **state)
{
	struct proposal mine[] = {proposal_of("aes128gcm16-modp2048", true),
		proposal_of("chacha20poly1305-modp2048", true), // has no number
		proposal_of("aes256-aes128-sha256-modp2048", true), proposal_of("des-md5", true)};
	struct ikev1_esp_offer offer = {.mine = mine,
		.count = 4,
		.encap = IKEV1_ENCAP_TUNNEL,
		.life_s = 100000,
		.spi = 0xc0ffee01};
	static const struct {
		uint16_t dh;
		bool esn;
		uint8_t proposals, transforms;
	} cases[] = {{0, false, 3, 4}, {0, true, 3, 8}, {14, false, 2, 3}, {14, true, 2, 6}};
	uint8_t buf[2048], answer[256];
	struct ikev1_choice c, checked;
	struct wire_builder b;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ikev1_esp_policy policy = {
			.esn = cases[i].esn, .pfs = WIRE_PFS_OPTIONAL, .ke_group = cases[i].dh};
		offer.dh = cases[i].dh;
		offer.esn = cases[i].esn;
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_build_esp(&b, &offer);
		assert_int_equal(parse_esp(first_body(&b)), WIRE_OK);
		assert_int_equal(parsed.count, cases[i].proposals);
		assert_int_equal(parsed.transform_count, cases[i].transforms);
		for (uint8_t j = 0; j < parsed.count; j++)
			assert_true(parsed.items[j].number == j + 1 && !parsed.items[j].unusable &&
				    parsed.items[j].spi == 0xc0ffee01);
		for (uint8_t j = 0; j < parsed.transform_count; j++)
			assert_true(!parsed.transforms[j].unusable &&
				    parsed.transforms[j].life_s == 100000);
		assert_int_equal(ikev1_check_esp(&offer, &parsed, &c), WIRE_BAD_CHOICE);
		assert_int_equal(ikev1_select_esp(&mine[2], 1, &policy, &parsed, &c), WIRE_OK);
		assert_int_equal(c.transform.suite.esn, cases[i].esn);
		wire_build_begin(&b, answer, sizeof(answer));
		ikev1_build_choice(&b, &c, 0x11223344);
		assert_int_equal(parse_esp(first_body(&b)), WIRE_OK);
		assert_int_equal(ikev1_check_esp(&offer, &parsed, &checked), WIRE_OK);
		assert_true(checked.mine == 2 && checked.proposal.spi == 0x11223344);
	}
	offer.dh = DH_ECP_521;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_esp(&b, &offer);
	assert_null(wire_build_done(&b).p);
}

static void esp_answers(void **state)
{
	// Our offer is AES-256, SHA1, modp2048, tunnel, 3600 s.
	static const struct {
		uint8_t attrs[32];
		size_t len;
		bool ok;
	} cases[] = {
		{{B(6, 256), B(5, 2), B(4, 1), B(3, 14), B(1, 1), B(2, 3600)}, 24, true},
		{{0, 3, 0, 2, 0, 14, B(1, 1), B(2, 60), B(4, 1), B(5, 2), B(6, 256)}, 26, true},
		{{B(6, 256), B(5, 2), B(4, 1), B(3, 14), B(1, 1), B(2, 3601)}, 24, false},
		{{B(6, 256), B(5, 2), B(4, 1)}, 12, false}, // PFS left out
		{{B(6, 256), B(5, 2), B(4, 1), B(3, 19)}, 16, false},
		{{B(6, 256), B(5, 2), B(4, 3), B(3, 14)}, 16, false}, // another mode
		{{B(6, 256), B(5, 2), B(3, 14)}, 12, false},
		{{B(6, 256), B(5, 2), B(4, 1), B(3, 14), B(11, 1)}, 20, false}, // ESN
		{{B(6, 256), B(5, 1), B(4, 1), B(3, 14)}, 16, false},
		{{B(5, 2), B(4, 1), B(3, 14)}, 12, false},
	};
	struct proposal mine = proposal_of("aes256-sha1-modp2048", true);
	struct ikev1_esp_offer offer = {.mine = &mine,
		.count = 1,
		.dh = DH_MODP_2048,
		.encap = IKEV1_ENCAP_TUNNEL,
		.life_s = 3600,
		.spi = 1};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[256];
		struct ikev1_choice c;
		struct view body =
			one_transform(buf, false, 12, (struct view){cases[i].attrs, cases[i].len});
		assert_int_equal(parse_esp(body), WIRE_OK);
		assert_int_equal(ikev1_check_esp(&offer, &parsed, &c),
			cases[i].ok ? WIRE_OK : WIRE_BAD_CHOICE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ike_round_trip),
		cmocka_unit_test(ike_answers),
		cmocka_unit_test(esp_round_trip),
		cmocka_unit_test(esp_answers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
