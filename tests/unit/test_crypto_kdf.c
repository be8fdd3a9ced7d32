// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/crypto.h"

#define VIEW(bytes, n) ((struct view){(const uint8_t *)(bytes), (n)})

static void prf_vectors(void **state)
{
	FILE *f = vectors_open("hmac.txt");
	assert_non_null(f);
	static struct vector v;
	size_t count = 0;
	while (vectors_next(f, &v)) {
		uint8_t out[IKE_PRF_MAX];
		struct view key = vector_get(&v, "key"), data = vector_get(&v, "data");
		struct view want = vector_get(&v, "out");
		uint16_t prf = (uint16_t)vector_number(&v, "prf");
		// In two parts, one of them empty besides.
		struct view parts[] = {{data.p, 3}, {NULL, 0}, {data.p + 3, data.len - 3}};
		assert_int_equal(alg_prf(prf)->len, want.len);
		assert_int_equal(ike_prf(prf, key, parts, 3, out), IKE_CRYPTO_OK);
		assert_memory_equal(out, want.p, want.len);
		count++;
	}
	assert_int_equal(count, 7);
	fclose(f);
}

// A key of no bytes is a key like any other, not the one of the call before.
static void prf_empty_key(void **state)
{
	uint8_t first[IKE_PRF_MAX], other[IKE_PRF_MAX], again[IKE_PRF_MAX];
	struct view data = VIEW("data", 4);
	assert_int_equal(ike_prf(PRF_HMAC_SHA2_256, VIEW(NULL, 0), &data, 1, first), 0);
	assert_int_equal(ike_prf(PRF_HMAC_SHA2_256, VIEW("key", 3), &data, 1, other), 0);
	assert_int_equal(ike_prf(PRF_HMAC_SHA2_256, VIEW(NULL, 0), &data, 1, again), 0);
	assert_memory_equal(first, again, 32);
	assert_memory_not_equal(first, other, 32);
	assert_int_equal(ike_prf(4, VIEW("key", 3), &data, 1, other), IKE_CRYPTO_UNSUPPORTED);
}

static void prf_plus_limits(void **state)
{
	static uint8_t out[255 * 20 + 1], prefix[33];
	struct view key = VIEW("key", 3), seed = VIEW("seed", 4);
	assert_int_equal(ike_prf_plus(PRF_HMAC_SHA1, key, seed, out, 255 * 20), IKE_CRYPTO_OK);
	assert_int_equal(ike_prf_plus(PRF_HMAC_SHA1, key, seed, prefix, 33), IKE_CRYPTO_OK);
	assert_memory_equal(out, prefix, 33);
	// The last block: T255 = prf(K, T254 | S | 0xff).
	uint8_t last[20];
	struct view parts[] = {{out + 253 * 20, 20}, seed, VIEW("\xff", 1)};
	assert_int_equal(ike_prf(PRF_HMAC_SHA1, key, parts, 3, last), IKE_CRYPTO_OK);
	assert_memory_equal(out + 254 * 20, last, 20);
	assert_int_equal(
		ike_prf_plus(PRF_HMAC_SHA1, key, seed, out, 255 * 20 + 1), IKE_CRYPTO_UNSUPPORTED);
	assert_int_equal(ike_prf_plus(99, key, seed, out, 1), IKE_CRYPTO_UNSUPPORTED);
}

// SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr as one block (RFC 7296 2.14).
static void nist_ikev2(void **state)
{
	static struct vector v;
	FILE *f = vectors_open("ikev2-kdf-nist.txt");
	assert_non_null(f);
	assert_true(vectors_next(f, &v));
	fclose(f);
	assert_string_equal(vector_field(&v, "hashAlg")->text, "SHA-1");
	// 3 x 20 bytes of SK_d, SK_pi, SK_pr, 2 x 20 of SK_a, 2 x 16 of SK_e: all 132 bytes.
	struct suite suite = {
		.encr = {ENCR_AES_CBC, 128}, .prf = PRF_HMAC_SHA1, .integ = INTEG_HMAC_SHA1_96};
	struct ike_keys_input in = {
		.suite = &suite,
		.shared = vector_get(&v, "gir"),
		.ni = vector_get(&v, "nInit"),
		.nr = vector_get(&v, "nResp"),
		.spi_i = vector_number(&v, "spiInit"),
		.spi_r = vector_number(&v, "spiResp"),
	};
	struct view dkm = vector_get(&v, "expect.derivedKeyingMaterial");
	struct ike_keys k;
	assert_int_equal(ike_keys_derive(&in, &k), IKE_CRYPTO_OK);
	assert_int_equal(k.block.len, dkm.len);
	assert_memory_equal(k.block.bytes, dkm.p, dkm.len);
	assert_memory_equal(k.sk_d.p, dkm.p, 20);
	assert_memory_equal(k.sk_ei.p, dkm.p + 60, 16);
	assert_memory_equal(k.sk_pr.p, dkm.p + 112, 20);
	assert_int_equal(k.sk_pr.len, 20);

	// SKEYSEED by itself: first (RFC 7296 2.14) and of a rekeying (2.18).
	uint8_t nonces[16], seed[20];
	memcpy(nonces, in.ni.p, 8);
	memcpy(nonces + 8, in.nr.p, 8);
	assert_int_equal(ike_prf(PRF_HMAC_SHA1, VIEW(nonces, 16), &in.shared, 1, seed), 0);
	assert_memory_equal(seed, vector_get(&v, "expect.sKeySeed").p, 20);
	struct view rekey[] = {vector_get(&v, "girNew"), VIEW(nonces, 16)};
	assert_int_equal(ike_prf(PRF_HMAC_SHA1, k.sk_d, rekey, 2, seed), 0);
	assert_memory_equal(seed, vector_get(&v, "expect.sKeySeedReKey").p, 20);

	// The rekeyed SA's keys follow from that seed.
	struct view sk_d = k.sk_d;
	struct ike_keys_input again = in;
	again.shared = rekey[0];
	again.old_sk_d = &sk_d;
	again.old_prf = PRF_HMAC_SHA1;
	struct ike_keys k2;
	uint8_t seed_input[32], want[132];
	memcpy(seed_input, nonces, 16);
	memcpy(seed_input + 16, vector_get(&v, "spiInit").p, 8);
	memcpy(seed_input + 24, vector_get(&v, "spiResp").p, 8);
	assert_int_equal(ike_keys_derive(&again, &k2), IKE_CRYPTO_OK);
	assert_int_equal(
		ike_prf_plus(PRF_HMAC_SHA1, VIEW(seed, 20), VIEW(seed_input, 32), want, 132), 0);
	assert_memory_equal(k2.block.bytes, want, 132);

	// Child SAs, without and with PFS: cut as i to r, then r to i, cipher before integrity.
	struct suite esp = {.encr = {ENCR_AES_CBC, 128}, .integ = INTEG_HMAC_SHA1_96};
	struct ike_child_input child = {PRF_HMAC_SHA1, k.sk_d, {NULL, 0}, in.ni, in.nr, &esp};
	struct ike_child_keymat m;
	for (int pfs = 0; pfs < 2; pfs++) {
		const uint8_t *km = vector_get(&v, pfs ? "expect.derivedKeyingMaterialDh"
						       : "expect.derivedKeyingMaterialChild")
					    .p;
		child.shared = pfs ? vector_get(&v, "girNew") : VIEW(NULL, 0);
		assert_int_equal(ike_child_keys(&child, &m), IKE_CRYPTO_OK);
		assert_int_equal(m.i_to_r.encr_len, 16);
		assert_int_equal(m.i_to_r.integ_len, 20);
		assert_memory_equal(m.i_to_r.encr, km, 16);
		assert_memory_equal(m.i_to_r.integ, km + 16, 20);
		assert_memory_equal(m.r_to_i.encr, km + 36, 16);
		assert_memory_equal(m.r_to_i.integ, km + 52, 20);
	}
	ike_keys_fini(&k);
	ike_keys_fini(&k2);
	ike_keys_fini(&k2);
	assert_null(k2.block.bytes);
}

static void key_lengths(void **state)
{
	static const struct {
		struct suite suite;
		size_t d, a, e;
	} cases[] = {
		{{.encr = {ENCR_AES_GCM_16, 256}, .prf = PRF_HMAC_SHA2_384}, 48, 0, 36},
		{{.encr = {ENCR_CHACHA20_POLY1305, 0}, .prf = PRF_HMAC_SHA2_256}, 32, 0, 36},
		{{.encr = {ENCR_AES_CTR, 128},
			 .prf = PRF_HMAC_SHA2_512,
			 .integ = INTEG_HMAC_SHA2_512_256},
			64, 64, 20},
		// An integrity algorithm beside an AEAD has no key.
		{{.encr = {ENCR_AES_GCM_8, 128}, .prf = PRF_HMAC_SHA1, .integ = INTEG_HMAC_SHA1_96},
			20, 0, 20},
	};
	struct ike_keys k;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ike_keys_input in = {.suite = &cases[i].suite,
			.shared = VIEW("shared", 6),
			.ni = VIEW("nonce of i", 10),
			.nr = VIEW("nonce of r", 10)};
		assert_int_equal(ike_keys_derive(&in, &k), IKE_CRYPTO_OK);
		assert_int_equal(k.sk_d.len, cases[i].d);
		assert_int_equal(k.sk_pi.len, cases[i].d);
		assert_int_equal(k.sk_ar.len, cases[i].a);
		assert_int_equal(k.sk_er.len, cases[i].e);
		assert_ptr_equal(k.sk_pr.p + k.sk_pr.len, k.block.bytes + k.block.len);
		ike_keys_fini(&k);
	}
}

static void refusals(void **state)
{
	static uint8_t nonce[IKE_NONCE_MAX + 1];
	struct suite good = {.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256};
	struct suite no_integ = {.encr = {ENCR_AES_CBC, 128}, .prf = PRF_HMAC_SHA2_256};
	struct suite no_encr = {.encr = {1025, 128}, .prf = PRF_HMAC_SHA2_256};
	struct suite no_prf = {.encr = {ENCR_AES_GCM_16, 128}, .prf = 1025};
	struct {
		const struct suite *suite;
		size_t nonce_len;
	} cases[] = {{&good, IKE_NONCE_MAX + 1}, {&good, 0}, {&no_integ, 16}, {&no_encr, 16},
		{&no_prf, 16}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ike_keys k;
		struct ike_keys_input in = {.suite = cases[i].suite,
			.shared = VIEW("shared", 6),
			.ni = VIEW(nonce, cases[i].nonce_len),
			.nr = VIEW(nonce, 16)};
		assert_int_equal(ike_keys_derive(&in, &k), IKE_CRYPTO_UNSUPPORTED);
		assert_null(k.block.bytes);
	}
	// CVE-2024-3652: ESP without any keying material for integrity.
	struct suite null_esp = {.encr = {ENCR_NULL, 0}};
	struct ike_child_input child = {PRF_HMAC_SHA2_256, VIEW("d", 1), {NULL, 0}, VIEW(nonce, 16),
		VIEW(nonce, 16), &null_esp};
	struct ike_child_keymat m;
	assert_int_equal(ike_child_keys(&child, &m), IKE_CRYPTO_UNSUPPORTED);
}

static void supported(void **state)
{
	static const uint16_t encrs[] = {ENCR_AES_GCM_8, ENCR_AES_GCM_12, ENCR_AES_GCM_16,
		ENCR_AES_CBC, ENCR_AES_CTR, ENCR_CHACHA20_POLY1305};
	for (size_t i = 0; i < sizeof(encrs) / sizeof(encrs[0]); i++)
		for (uint16_t bits = 128; bits <= 256; bits += 64)
			assert_true(ike_crypto_supports(TRANSFORM_ENCR, encrs[i], bits));
	static const uint16_t dhs[] = {DH_MODP_2048, DH_MODP_3072, DH_MODP_4096, DH_ECP_256,
		DH_ECP_384, DH_ECP_521, DH_X25519, DH_X448, DH_MODP_768, DH_MODP_1024,
		DH_MODP_1536};
	for (size_t i = 0; i < sizeof(dhs) / sizeof(dhs[0]); i++)
		assert_true(ike_crypto_supports(TRANSFORM_DH, dhs[i], 0));
	assert_true(ike_crypto_supports(TRANSFORM_PRF, PRF_HMAC_SHA2_384, 0));
	assert_true(ike_crypto_supports(TRANSFORM_INTEG, INTEG_HMAC_SHA2_512_256, 0));
	// Private numbers, AES-XCBC and nothing at all.
	assert_false(ike_crypto_supports(TRANSFORM_DH, 1025, 0));
	assert_false(ike_crypto_supports(TRANSFORM_DH, DH_NONE, 0));
	assert_false(ike_crypto_supports(TRANSFORM_PRF, 4, 0));
	assert_false(ike_crypto_supports(TRANSFORM_INTEG, 5, 0));
	assert_false(ike_crypto_supports(TRANSFORM_ENCR, ENCR_NULL, 0));
	assert_false(ike_crypto_supports(TRANSFORM_ESN, 0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prf_vectors),
		cmocka_unit_test(prf_empty_key),
		cmocka_unit_test(prf_plus_limits),
		cmocka_unit_test(nist_ikev2),
		cmocka_unit_test(key_lengths),
		cmocka_unit_test(refusals),
		cmocka_unit_test(supported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
