// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// tests/vectors/ikev1-made.txt says how it was made; the other vectors are published.
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/ikev1.h"
#include "controlplane/crypto/internal.h"

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static void assert_view(struct view got, struct view want)
{
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.p, want.p, want.len);
}

static void nist(void **state)
{
	static struct vector v;
	FILE *f = vectors_open("ikev1-kdf-nist.txt");
	assert_non_null(f);
	size_t count = 0;
	while (vectors_next(f, &v)) {
		bool psk = strcmp(v.section, "ikev1_psk") == 0;
		assert_string_equal(vector_field(&v, "hashAlg")->text, "SHA-1");
		struct suite suite = {.encr = {ENCR_AES_CBC, 128}, .prf = PRF_HMAC_SHA1};
		struct ikev1_keys_input in = {
			.suite = &suite,
			.psk = psk ? vector_get(&v, "preSharedKey") : (struct view){0},
			.shared = vector_get(&v, "gxy"),
			.ni = vector_get(&v, "nInit"),
			.nr = vector_get(&v, "nResp"),
			.spi_i = vector_number(&v, "ckyInit"),
			.spi_r = vector_number(&v, "ckyResp"),
		};
		struct ikev1_keys k;
		assert_int_equal(ikev1_keys_derive(&in, &k), IKE_CRYPTO_OK);
		assert_view(k.skeyid, vector_get(&v, "expect.sKeyId"));
		assert_view(k.skeyid_d, vector_get(&v, "expect.sKeyIdD"));
		assert_view(k.skeyid_a, vector_get(&v, "expect.sKeyIdA"));
		assert_view(k.skeyid_e, vector_get(&v, "expect.sKeyIdE"));
		ikev1_keys_fini(&k);
		assert_int_equal(k.skeyid.len, 0);
		count++;
	}
	assert_int_equal(count, 2);
	fclose(f);
}

static struct suite suite_of(const struct vector *v)
{
	return (struct suite){
		.encr = {(uint16_t)vector_number(v, "encr"),
			(uint16_t)vector_number(v, "key_bits")},
		.prf = (uint16_t)vector_number(v, "prf"),
	};
}

static void check_keys(const struct vector *v, const struct suite *suite, struct ikev1_keys *k)
{
	struct ikev1_keys_input in = {
		.suite = suite,
		.psk = vector_get(v, "psk"),
		.shared = vector_get(v, "gxy"),
		.ni = vector_get(v, "ni"),
		.nr = vector_get(v, "nr"),
		.spi_i = vector_number(v, "cky_i"),
		.spi_r = vector_number(v, "cky_r"),
	};
	assert_int_equal(ikev1_keys_derive(&in, k), IKE_CRYPTO_OK);
	struct view want = vector_get(v, "skeyids");
	assert_int_equal(k->skeyid.len, want.len / 4);
	assert_memory_equal(k->skeyid.p, want.p, want.len);
	assert_view(k->skeyid_e, (struct view){want.p + 3 * want.len / 4, want.len / 4});
	assert_view(k->encr, vector_get(v, "key"));
}

static void check_ivs(const struct vector *v, const struct suite *suite)
{
	uint8_t iv[IKEV1_IV_MAX] = {0}, last[IKEV1_IV_MAX];
	struct view want = vector_get(v, "iv"), last_v = vector_get(v, "last");
	assert_int_equal(ikev1_iv_phase1(suite, vector_get(v, "ke_i"), vector_get(v, "ke_r"), iv),
		IKE_CRYPTO_OK);
	assert_memory_equal(iv, want.p, want.len);
	// What lies behind the block is no part of it.
	memset(last, 0xaa, sizeof(last));
	memcpy(last, last_v.p, last_v.len);
	want = vector_get(v, "iv2");
	uint32_t mid = (uint32_t)vector_number(v, "mid");
	assert_int_equal(ikev1_iv_phase2(suite, last, mid, iv), IKE_CRYPTO_OK);
	assert_memory_equal(iv, want.p, want.len);
	assert_int_equal(ikev1_iv_phase2(suite, last, mid, last), IKE_CRYPTO_OK); // in place
	assert_memory_equal(last, want.p, want.len);
}

static void check_hashes(const struct vector *v, uint16_t prf, struct view skeyid)
{
	uint8_t out[IKEV1_HASH_MAX];
	struct ikev1_hash_input in = {
		.prf = prf,
		.skeyid = skeyid,
		.ke_i = vector_get(v, "ke_i"),
		.ke_r = vector_get(v, "ke_r"),
		.spi_i = vector_number(v, "cky_i"),
		.spi_r = vector_number(v, "cky_r"),
		.sa_i = vector_get(v, "sa"),
		.id_body = vector_get(v, "id_i"),
	};
	assert_int_equal(ikev1_hash_auth(&in, true, out), IKE_CRYPTO_OK);
	assert_memory_equal(out, vector_get(v, "hash_i").p, alg_prf(prf)->len);
	in.id_body = vector_get(v, "id_r");
	assert_int_equal(ikev1_hash_auth(&in, false, out), IKE_CRYPTO_OK);
	assert_memory_equal(out, vector_get(v, "hash_r").p, alg_prf(prf)->len);

	struct endpoint ep = {.port = 500};
	assert_int_equal(ip_parse("192.0.2.1", &ep.addr), 0);
	size_t len = ikev1_natd_hash(prf, in.spi_i, in.spi_r, &ep, out);
	assert_view((struct view){out, len}, vector_get(v, "natd_4"));
	ep.port = 4500;
	assert_int_equal(ip_parse("2001:db8::1", &ep.addr), 0);
	len = ikev1_natd_hash(prf, in.spi_i, in.spi_r, &ep, out);
	assert_view((struct view){out, len}, vector_get(v, "natd_6"));
}

// What each suite of ESP takes from the front of KEYMAT.
static const struct {
	struct suite esp;
	uint8_t encr_len, integ_len;
} takes[] = {
	{{.encr = {ENCR_DES, 64}, .integ = INTEG_HMAC_MD5_96}, 8, 16},
	{{.encr = {ENCR_3DES, 192}, .integ = INTEG_HMAC_SHA1_96}, 24, 20},
	{{.encr = {ENCR_AES_CBC, 0}, .integ = INTEG_HMAC_SHA1_96}, 16, 20},
	{{.encr = {ENCR_AES_CBC, 256}, .integ = INTEG_HMAC_SHA2_512_256}, 32, 64},
	{{.encr = {ENCR_AES_CTR, 128}, .integ = INTEG_HMAC_SHA2_256_128}, 20, 32},
	{{.encr = {ENCR_AES_GCM_16, 128}}, 20, 0},
	{{.encr = {ENCR_AES_GCM_8, 256}}, 36, 0},
	// An AEAD needs no other algorithm's key.
	{{.encr = {ENCR_AES_GCM_16, 256}, .integ = INTEG_HMAC_SHA1_96}, 36, 0},
	{{.encr = {ENCR_CHACHA20_POLY1305, 256}}, 36, 0},
	{{.encr = {ENCR_NULL, 0}, .integ = INTEG_HMAC_SHA1_96}, 0, 20},
	{{.encr = {ENCR_NULL, 0}, .integ = INTEG_HMAC_MD5_96}, 0, 16},
};

static void check_keymat(const struct vector *v, uint16_t prf, struct view skeyid_d)
{
	for (size_t i = 0; i < 2 * LEN(takes); i++) {
		bool pfs = i & 1;
		struct ikev1_child_input in = {
			.prf = prf,
			.skeyid_d = skeyid_d,
			.shared = pfs ? vector_get(v, "pfs") : (struct view){0},
			.spi = (uint32_t)vector_number(v, "spi"),
			.ni = vector_get(v, "ni"),
			.nr = vector_get(v, "nr"),
			.esp = &takes[i / 2].esp,
		};
		struct view want = vector_get(v, pfs ? "keymat_pfs" : "keymat");
		struct ike_esp_keys k;
		memset(&k, 0xee, sizeof(k));
		assert_int_equal(ikev1_child_keys(&in, &k), IKE_CRYPTO_OK);
		assert_int_equal(k.encr_len, takes[i / 2].encr_len);
		assert_int_equal(k.integ_len, takes[i / 2].integ_len);
		assert_memory_equal(k.encr, want.p, k.encr_len);
		assert_memory_equal(k.integ, want.p + k.encr_len, k.integ_len);
	}
}

static void made(void **state)
{
	static struct vector v;
	FILE *f = vectors_open("ikev1-made.txt");
	assert_non_null(f);
	size_t count = 0;
	while (vectors_next(f, &v)) {
		struct suite suite = suite_of(&v);
		struct ikev1_keys k;
		check_keys(&v, &suite, &k);
		check_ivs(&v, &suite);
		check_hashes(&v, suite.prf, k.skeyid);
		check_keymat(&v, suite.prf, k.skeyid_d);
		ikev1_keys_fini(&k);
		count++;
	}
	assert_int_equal(count, 9);
	fclose(f);
}

static void keys_refused(void **state)
{
	static const uint8_t bytes[IKE_NONCE_MAX + 1];
	static const struct {
		struct suite suite;
		size_t shared, ni, nr;
		enum ike_crypto_error want;
	} rows[] = {
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 96, 8, 256, IKE_CRYPTO_OK},
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 96, 8, 257, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 96, 257, 8, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 96, 0, 8, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 96, 8, 0, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_DES, 64}, .prf = PRF_HMAC_MD5}, 0, 8, 8, IKE_CRYPTO_INTERNAL},
		{{.encr = {ENCR_DES, 64}, .prf = 3}, 96, 8, 8, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {99, 64}, .prf = PRF_HMAC_MD5}, 96, 8, 8, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_NULL, 0}, .prf = PRF_HMAC_MD5}, 96, 8, 8, IKE_CRYPTO_UNSUPPORTED},
		{{.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA1}, 96, 8, 8,
			IKE_CRYPTO_UNSUPPORTED},
	};
	for (size_t i = 0; i < 2 * LEN(rows); i++) {
		size_t row = i / 2;
		struct ikev1_keys k;
		struct ikev1_keys_input in = {
			.suite = &rows[row].suite,
			.psk = {(const uint8_t *)"x", i & 1},
			.shared = {bytes, rows[row].shared},
			.ni = {bytes, rows[row].ni},
			.nr = {bytes, rows[row].nr},
		};
		assert_int_equal(ikev1_keys_derive(&in, &k), rows[row].want);
		assert_int_equal(k.block.len, rows[row].want ? 0 : 4 * 16 + 8);
		ikev1_keys_fini(&k);
	}
}

static void rest_refused(void **state)
{
	static const uint8_t bytes[IKE_NONCE_MAX + 1];
	uint8_t iv[IKEV1_IV_MAX] = {0}, out[IKEV1_HASH_MAX];
	struct suite aead = {.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA1};
	struct suite no_prf = {.encr = {ENCR_AES_CBC, 128}, .prf = 9};
	struct view v = {bytes, 16};
	assert_int_equal(ikev1_iv_phase1(&aead, v, v, iv), IKE_CRYPTO_UNSUPPORTED);
	assert_int_equal(ikev1_iv_phase1(&no_prf, v, v, iv), IKE_CRYPTO_UNSUPPORTED);
	assert_int_equal(ikev1_iv_phase2(&aead, iv, 1, iv), IKE_CRYPTO_UNSUPPORTED);
	assert_int_equal(ikev1_iv_phase2(&no_prf, iv, 1, iv), IKE_CRYPTO_UNSUPPORTED);
	struct endpoint ep = {.port = 500};
	assert_int_equal(ikev1_natd_hash(9, 1, 2, &ep, out), 0);
	struct ikev1_hash_input hash = {.prf = 9};
	assert_int_equal(ikev1_hash_auth(&hash, true, out), IKE_CRYPTO_UNSUPPORTED);

	struct suite esp = {.encr = {ENCR_AES_CBC, 128}, .integ = INTEG_HMAC_SHA1_96};
	struct suite bare = {.encr = {ENCR_AES_CBC, 128}};
	struct suite null_bare = {.encr = {ENCR_NULL, 0}};
	struct suite bad_integ = {.encr = {ENCR_AES_CBC, 128}, .integ = 77};
	const struct {
		const struct suite *esp;
		uint16_t prf;
		size_t ni, nr;
	} rows[] = {{&bare, PRF_HMAC_SHA1, 8, 8}, {&null_bare, PRF_HMAC_SHA1, 8, 8},
		{&bad_integ, PRF_HMAC_SHA1, 8, 8}, {&esp, 9, 8, 8}, {&esp, PRF_HMAC_SHA1, 0, 8},
		{&esp, PRF_HMAC_SHA1, 8, 257}};
	for (size_t i = 0; i < LEN(rows); i++) {
		struct ikev1_child_input in = {.prf = rows[i].prf,
			.skeyid_d = v,
			.ni = {bytes, rows[i].ni},
			.nr = {bytes, rows[i].nr},
			.esp = rows[i].esp};
		struct ike_esp_keys k;
		memset(&k, 0xee, sizeof(k));
		assert_int_equal(ikev1_child_keys(&in, &k), IKE_CRYPTO_UNSUPPORTED);
		assert_int_equal(k.encr_len + k.integ_len, 0);
	}
}

// RFC 4754 3: each curve has its hash; everything else follows the negotiation.
static void hash_prf(void **state)
{
	static const struct {
		uint16_t auth, want;
	} rows[] = {{1, PRF_HMAC_MD5}, {3, PRF_HMAC_MD5}, {9, PRF_HMAC_SHA2_256},
		{10, PRF_HMAC_SHA2_384}, {11, PRF_HMAC_SHA2_512}, {64221, PRF_HMAC_MD5},
		{65001, PRF_HMAC_MD5}, {65006, PRF_HMAC_MD5}};
	for (size_t i = 0; i < LEN(rows); i++)
		assert_int_equal(ikev1_hash_prf(rows[i].auth, PRF_HMAC_MD5), rows[i].want);
}

// What the reference's configurations ask for, by the crypto library.
static void legacy_supported(void **state)
{
	static const struct {
		enum transform_type type;
		uint16_t id;
	} rows[] = {{TRANSFORM_ENCR, ENCR_DES}, {TRANSFORM_ENCR, ENCR_3DES},
		{TRANSFORM_PRF, PRF_HMAC_MD5}, {TRANSFORM_PRF, PRF_HMAC_SHA1},
		{TRANSFORM_INTEG, INTEG_HMAC_MD5_96}, {TRANSFORM_INTEG, INTEG_HMAC_SHA1_96},
		{TRANSFORM_DH, DH_MODP_768}, {TRANSFORM_DH, DH_MODP_1024},
		{TRANSFORM_DH, DH_MODP_1536}};
	EVP_CIPHER *before = EVP_CIPHER_fetch(NULL, "DES-CBC", NULL);
	for (size_t i = 0; i < LEN(rows); i++)
		assert_true(ike_crypto_supports(rows[i].type, rows[i].id, 0));
	// The default library context is as it was.
	EVP_CIPHER *after = EVP_CIPHER_fetch(NULL, "DES-CBC", NULL);
	assert_int_equal(before != NULL, after != NULL);
	EVP_CIPHER_free(before);
	EVP_CIPHER_free(after);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nist),
		cmocka_unit_test(made),
		cmocka_unit_test(keys_refused),
		cmocka_unit_test(rest_refused),
		cmocka_unit_test(hash_prf),
		cmocka_unit_test(legacy_supported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
