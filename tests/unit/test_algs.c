// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/algs.h"

static void proposals(void **state)
{
	static const struct {
		const char *text;
		bool esp;
		const char *why; // NULL: good
	} cases[] = {
		{"aes128gcm16-prfsha256-x25519", false, NULL},
		{"aes256-sha256-modp2048", false, NULL},
		{"aes128-aes256-sha256-sha1-modp2048-ecp256", false, NULL},
		{"aes128gcm16", true, NULL},
		{"aes128-sha256", true, NULL},
		{"aes256ctr-sha384-x25519", true, NULL},
		{"chacha20poly1305", true, NULL},
		{"aes128gcm16-x25519", false, "an AEAD cipher needs a PRF (prfsha256, ...)"},
		{"aes128gcm16-aes128-sha256", true,
			"AEAD and other ciphers cannot share one proposal"},
		{"aes128", true, "a cipher that is no AEAD needs an integrity algorithm"},
		{"aes128-sha256", false, "an IKE proposal needs a DH group"},
		{"sha256-modp2048", false, "no encryption algorithm"},
		{"aes512", true, "unknown algorithm \"aes512\""},
		{"aes128--sha1", true, "empty algorithm name"},
		{"null-sha256-x25519", false, "an IKE proposal needs encryption"},
		{"aes128ccm16-aes256ccm128-aes128ccm8-aes256ccm12", true, NULL},
		{"aes128gmac-aes192gmac-aes256gmac", true, NULL},
		{"null-sha1-sha256-sha384-sha512-aesxcbc-aescmac", true, NULL},
		{"aes192ctr-aes128-aesxcbc", true, NULL},
		{"aes128gcm64-aes256gcm96-aes192gcm128", true, NULL},
		{"aes192ccm16", true,
			"unknown algorithm \"aes192ccm16\" (the library has AES-CCM with keys of 128 and "
			"256 bits alone)"},
		{"aes128-prfsha256", true,
			"unknown algorithm \"prfsha256\" (an ESP proposal has no PRF)"},
		{"aes128gmac-aes128gcm16", true,
			"null or GMAC and ciphers that encrypt cannot share one proposal"},
		{"null-aes128-sha256", true,
			"null or GMAC and ciphers that encrypt cannot share one proposal"},
		{"aes128gmac-sha256", true, "an AEAD cipher takes no integrity algorithm"},
		{"aes128gmac-prfsha256-x25519", false, "an IKE proposal needs encryption"},
		{"aes128ccm16-prfsha256-x25519", false, "AES-CCM is for ESP alone"},
		{"aes128-aesxcbc-prfsha256-x25519", false, "aesxcbc and aescmac are for ESP alone"},
		{"null", true, "a cipher that is no AEAD needs an integrity algorithm"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proposal p;
		char why[128] = "";
		int rc = proposal_parse(cases[i].text, cases[i].esp, &p, why, sizeof(why));
		assert_int_equal(rc == 0, cases[i].why == NULL);
		assert_string_equal(why, cases[i].why ? cases[i].why : "");
	}
}

static void details(void **state)
{
	struct proposal p;
	char why[96], text[SUITE_TEXT_MAX];
	(void)state;
	assert_int_equal(proposal_parse("aes256-sha256-modp2048", false, &p, why, sizeof(why)), 0);
	assert_int_equal(p.prf[0], PRF_HMAC_SHA2_256);
	assert_int_equal(p.prf_count, 1);
	assert_null(proposal_legacy(&p, 0));
	assert_int_equal(proposal_parse("3des-md5-modp1024", false, &p, why, sizeof(why)), 0);
	static const char *const weak[] = {"3des", "md5", "md5", "modp1024"}; // md5 as PRF too
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(proposal_legacy(&p, i), weak[i]);
	assert_null(proposal_legacy(&p, 4));
	struct suite s = {{ENCR_AES_GCM_16, 256}, PRF_HMAC_SHA2_384, INTEG_NONE, DH_ECP_384, false};
	assert_string_equal(suite_text(&s, text), "aes256gcm16-prfsha384-ecp384");
	assert_int_equal(alg_encr(ENCR_AES_CBC, 0)->key_len, 16);
	assert_null(alg_encr(ENCR_AES_CBC, 129));
	assert_null(alg_encr(1234, 0));
}

static void weak_suites_are_named(void **state)
{
	static const struct {
		struct suite suite;
		const char *word;
	} cases[] = {
		{{{ENCR_AES_CBC, 128}, PRF_HMAC_SHA1, INTEG_HMAC_SHA1_96, DH_MODP_2048, false},
			NULL},
		{{{ENCR_AES_GCM_16, 128}, 0, INTEG_NONE, DH_NONE, true}, NULL},
		{{{ENCR_DES, 0}, 0, INTEG_HMAC_MD5_96, DH_NONE, false}, "des"},
		{{{ENCR_3DES, 0}, PRF_HMAC_SHA1, INTEG_HMAC_SHA1_96, DH_MODP_1024, false}, "3des"},
		{{{ENCR_AES_CBC, 256}, 0, INTEG_HMAC_MD5_96, DH_NONE, false}, "md5"},
		{{{ENCR_AES_CBC, 256}, PRF_HMAC_MD5, INTEG_NONE, DH_MODP_2048, false}, "md5"},
		{{{ENCR_AES_CBC, 256}, PRF_HMAC_SHA1, INTEG_NONE, DH_MODP_768, false}, "modp768"},
		{{{ENCR_AES_CBC, 256}, PRF_HMAC_SHA1, INTEG_NONE, DH_MODP_1536, false}, "modp1536"},
		{{{1234, 0}, 1234, 1234, 1234, false}, NULL},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *word = suite_legacy(&cases[i].suite);
		assert_int_equal(word == NULL, cases[i].word == NULL);
		if (word)
			assert_string_equal(word, cases[i].word);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proposals),
		cmocka_unit_test(details),
		cmocka_unit_test(weak_suites_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
