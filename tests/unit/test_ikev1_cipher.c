// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/ikev1.h"
#include "controlplane/crypto/internal.h"

#include <sys/wait.h>
#include <unistd.h>

#define LEN(a) (sizeof(a) / sizeof((a)[0]))

// DES: FIPS 81, appendix C ("Now is the time for all "). AES: NIST SP 800-38A F.2.1, F.2.3 and F.2.5,
// two blocks. 3DES: keys and text of NIST SP 800-67 B.1, which has no CBC, by
// "openssl enc -des-ede3-cbc -nopad -K 0123456789abcdef23456789abcdef01456789abcdef0123 -iv 1234567890abcdef".
static const struct {
	struct proposal_encr encr;
	const char *key, *iv, *plain, *cipher;
} known[] = {
	{{ENCR_DES, 64}, "0123456789abcdef", "1234567890abcdef",
		"4e6f77206973207468652074696d6520666f7220616c6c20",
		"e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6"},
	{{ENCR_3DES, 192}, "0123456789abcdef23456789abcdef01456789abcdef0123", "1234567890abcdef",
		"54686520717566636b2062726f776e20666f78206a756d70",
		"38413d4ba2325cf1141f707471ac2ced57db530f0123b5ac"},
	{{ENCR_AES_CBC, 0}, "2b7e151628aed2a6abf7158809cf4f3c", "000102030405060708090a0b0c0d0e0f",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
		"7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"},
	{{ENCR_AES_CBC, 192}, "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
		"000102030405060708090a0b0c0d0e0f",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
		"4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a"},
	{{ENCR_AES_CBC, 256}, "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
		"000102030405060708090a0b0c0d0e0f",
		"6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
		"f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d"},
};

struct sample {
	struct suite suite;
	uint8_t key[32], iv[IKEV1_IV_MAX], plain[64], cipher[64];
	size_t key_len, len;
};

static struct sample sample_of(size_t i)
{
	struct sample s = {.suite = {.encr = known[i].encr}};
	s.key_len = hex_to(known[i].key, s.key, sizeof(s.key));
	hex_to(known[i].iv, s.iv, sizeof(s.iv));
	s.len = hex_to(known[i].plain, s.plain, sizeof(s.plain));
	assert_int_equal(hex_to(known[i].cipher, s.cipher, sizeof(s.cipher)), s.len);
	return s;
}

static void known_answers(void **state)
{
	for (size_t i = 0; i < LEN(known); i++) {
		struct sample s = sample_of(i);
		size_t block = alg_encr(known[i].encr.id, known[i].encr.key_bits)->block;
		struct view key = {s.key, s.key_len};
		uint8_t data[64], apart[64], iv[IKEV1_IV_MAX];
		memcpy(data, s.plain, s.len);
		memcpy(iv, s.iv, sizeof(iv));
		assert_int_equal(ikev1_encrypt(&s.suite, key, iv, data, s.len), IKE_CRYPTO_OK);
		assert_memory_equal(data, s.cipher, s.len);
		assert_memory_equal(iv, s.cipher + s.len - block, block);

		memcpy(iv, s.iv, sizeof(iv));
		struct view v = {data, s.len};
		assert_int_equal(ikev1_decrypt(&s.suite, key, iv, v, apart), IKE_CRYPTO_OK);
		assert_memory_equal(apart, s.plain, s.len);
		assert_memory_equal(iv, s.cipher + s.len - block, block);
		assert_memory_equal(data, s.cipher, s.len);

		memcpy(iv, s.iv, sizeof(iv));
		assert_int_equal(ikev1_decrypt(&s.suite, key, iv, v, data), IKE_CRYPTO_OK);
		assert_memory_equal(data, s.plain, s.len);
		assert_memory_equal(iv, s.cipher + s.len - block, block);
	}
}

// Where OpenSSL's legacy module is not installed DES is refused like any other unknown cipher, and all
// else works. In a process of its own, since the module is looked for once.
static void without_module(void **state)
{
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct suite des = {.encr = {ENCR_DES, 64}};
		uint8_t data[8] = {0}, iv[IKEV1_IV_MAX] = {0};
		struct view v = {data, sizeof(data)};
		setenv("OPENSSL_MODULES", "/nonexistent", 1);
		bool ok = !ike_crypto_supports(TRANSFORM_ENCR, ENCR_DES, 0) &&
			  ike_crypto_supports(TRANSFORM_ENCR, ENCR_3DES, 0) &&
			  ikev1_encrypt(&des, v, iv, data, 8) == IKE_CRYPTO_UNSUPPORTED &&
			  ikev1_decrypt(&des, v, iv, v, data) == IKE_CRYPTO_UNSUPPORTED;
		_exit(ok ? 0 : 1);
	}
	int status = -1;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

// A message in two pieces with the IV carried on is the message in one.
static void iv_chains(void **state)
{
	for (size_t i = 0; i < LEN(known); i++) {
		struct sample s = sample_of(i);
		size_t block = alg_encr(known[i].encr.id, known[i].encr.key_bits)->block;
		struct view key = {s.key, s.key_len};
		assert_int_equal(ikev1_encrypt(&s.suite, key, s.iv, s.plain, block), 0);
		assert_int_equal(
			ikev1_encrypt(&s.suite, key, s.iv, s.plain + block, s.len - block), 0);
		assert_memory_equal(s.plain, s.cipher, s.len);
	}
}

// Every length up to three blocks and a bit, in memory of exactly that size.
static void lengths(void **state)
{
	for (size_t i = 0; i < LEN(known); i++) {
		struct sample s = sample_of(i);
		size_t block = alg_encr(known[i].encr.id, known[i].encr.key_bits)->block;
		struct view key = {s.key, s.key_len};
		for (size_t n = 0; n <= 3 * block + 1; n++) {
			bool good = n && n % block == 0;
			uint8_t *data = calloc(1, n ? n : 1), *out = calloc(1, n ? n : 1);
			uint8_t iv[IKEV1_IV_MAX];
			memcpy(iv, s.iv, sizeof(iv));
			assert_int_equal(
				ikev1_decrypt(&s.suite, key, iv, (struct view){data, n}, out),
				good ? IKE_CRYPTO_OK : IKE_CRYPTO_SHORT);
			if (!good)
				assert_memory_equal(iv, s.iv, sizeof(iv));
			memcpy(iv, s.iv, sizeof(iv));
			assert_int_equal(ikev1_encrypt(&s.suite, key, iv, data, n),
				good ? IKE_CRYPTO_OK : IKE_CRYPTO_INTERNAL);
			if (!good)
				assert_memory_equal(iv, s.iv, sizeof(iv));
			free(data);
			free(out);
		}
	}
}

static void wrong_key(void **state)
{
	for (size_t i = 0; i < LEN(known); i++) {
		struct sample s = sample_of(i);
		uint8_t out[64], iv[IKEV1_IV_MAX];
		struct view data = {s.cipher, s.len};
		// Not its length: nothing is touched.
		for (size_t len = 0; len <= s.key_len; len += s.key_len - 1) {
			memcpy(iv, s.iv, sizeof(iv));
			assert_int_equal(
				ikev1_decrypt(&s.suite, (struct view){s.key, len}, iv, data, out),
				IKE_CRYPTO_INTERNAL);
			assert_memory_equal(iv, s.iv, sizeof(iv));
		}
		// Another one: something comes out, and it is not the plaintext. (DES leaves out
		// the lowest bit of each byte.)
		s.key[0] ^= 2;
		assert_int_equal(
			ikev1_decrypt(&s.suite, (struct view){s.key, s.key_len}, iv, data, out), 0);
		assert_memory_not_equal(out, s.plain, s.len);
	}
}

static void not_cbc(void **state)
{
	static const struct proposal_encr encrs[] = {{ENCR_NULL, 0}, {ENCR_AES_GCM_16, 128},
		{ENCR_AES_CTR, 128}, {ENCR_CHACHA20_POLY1305, 256}, {ENCR_AES_CBC, 512}, {1, 0}};
	uint8_t data[32] = {0}, iv[IKEV1_IV_MAX] = {0}, key[36] = {0};
	for (size_t i = 0; i < LEN(encrs); i++) {
		struct suite suite = {.encr = encrs[i]};
		struct view k = {key, 16}, v = {data, 32};
		assert_int_equal(ikev1_encrypt(&suite, k, iv, data, 32), IKE_CRYPTO_UNSUPPORTED);
		assert_int_equal(ikev1_decrypt(&suite, k, iv, v, data), IKE_CRYPTO_UNSUPPORTED);
	}
}

// ---- The recorded conversation: tests/vectors/ikev1-recorded.txt ----

static struct {
	struct vector v;
	struct suite suite;
	struct ikev1_keys keys;
	struct view x, ke_i, ke_r, ni, nr;
} talk;

static int talk_setup(void **state)
{
	talk.suite = (struct suite){
		.encr = {ENCR_AES_CBC, 128}, .prf = PRF_HMAC_SHA1, .dh = DH_MODP_1024};
	FILE *f = vectors_open("ikev1-recorded.txt");
	assert_non_null(f);
	assert_true(vectors_next(f, &talk.v));
	fclose(f);
	talk.ke_i = vector_get(&talk.v, "y");
	talk.ke_r = vector_get(&talk.v, "ke_r");
	talk.ni = vector_get(&talk.v, "ni");
	talk.nr = vector_get(&talk.v, "nr");
	struct secret shared;
	struct ike_dh *dh = ike_dh_new(DH_MODP_1024);
	assert_int_equal(ike_dh_import(dh, vector_get(&talk.v, "x"), talk.ke_i), 0);
	assert_int_equal(ike_dh_derive(dh, talk.ke_r, &shared), IKE_CRYPTO_OK);
	struct ikev1_keys_input in = {
		.suite = &talk.suite,
		.psk = vector_get(&talk.v, "psk"),
		.shared = secret_view(&shared),
		.ni = talk.ni,
		.nr = talk.nr,
		.spi_i = vector_number(&talk.v, "cky_i"),
		.spi_r = vector_number(&talk.v, "cky_r"),
	};
	assert_int_equal(ikev1_keys_derive(&in, &talk.keys), IKE_CRYPTO_OK);
	secret_fini(&shared);
	ike_dh_free(dh);
	return 0;
}

static int talk_teardown(void **state)
{
	ikev1_keys_fini(&talk.keys);
	return 0;
}

// The payload at the front of *r: its body, the type of the next one, and the bytes of it and all
// that follow it up to the padding.
static struct view payload(struct rd *r, uint8_t *next)
{
	uint8_t zero = 1;
	uint16_t len = 0;
	struct view body = {0};
	assert_true(rd_u8(r, next) && rd_u8(r, &zero) && rd_u16(r, &len));
	assert_int_equal(zero, 0);
	assert_true(len >= 4 && rd_bytes(r, len - 4u, &body));
	return body;
}

static void recorded_phase1(uint8_t last[static IKEV1_IV_MAX])
{
	assert_int_equal(ikev1_iv_phase1(&talk.suite, talk.ke_i, talk.ke_r, last), 0);
	for (int m = 5; m <= 6; m++) {
		uint8_t plain[128], want[IKEV1_HASH_MAX], next;
		struct view data = vector_get(&talk.v, m == 5 ? "m5" : "m6");
		assert_int_equal(ikev1_decrypt(&talk.suite, talk.keys.encr, last, data, plain), 0);
		struct rd r = rd_of(plain, data.len);
		struct view id = payload(&r, &next);
		assert_int_equal(next, 8); // HASH
		struct view hash = payload(&r, &next);
		assert_int_equal(next, 0);
		struct ikev1_hash_input in = {
			.prf = talk.suite.prf,
			.skeyid = talk.keys.skeyid,
			.ke_i = talk.ke_i,
			.ke_r = talk.ke_r,
			.spi_i = vector_number(&talk.v, "cky_i"),
			.spi_r = vector_number(&talk.v, "cky_r"),
			.sa_i = vector_get(&talk.v, "sa"),
			.id_body = id,
		};
		assert_int_equal(ikev1_hash_auth(&in, m == 5, want), 0);
		assert_int_equal(hash.len, 20);
		assert_memory_equal(hash.p, want, 20);
		// The other side's would not do.
		assert_int_equal(ikev1_hash_auth(&in, m == 6, want), 0);
		assert_memory_not_equal(hash.p, want, 20);
	}
}

// Up to the end of the last payload.
static struct view without_padding(struct rd r, uint8_t next)
{
	struct rd at = r;
	while (next)
		(void)payload(&at, &next);
	return (struct view){r.p, (size_t)(at.p - r.p)};
}

static void recorded(void **state)
{
	uint8_t iv[IKEV1_IV_MAX], zero = 0;
	recorded_phase1(iv);
	struct view mid = vector_get(&talk.v, "mid");
	uint32_t id = (uint32_t)vector_number(&talk.v, "mid");
	assert_int_equal(ikev1_iv_phase2(&talk.suite, iv, id, iv), 0);
	uint8_t kept[2][64]; // Ni_b, Nr_b
	struct view nonces[2] = {{0}, {0}};
	for (int q = 1; q <= 3; q++) {
		uint8_t plain[256], want[IKE_PRF_MAX], next;
		struct view data = vector_get(&talk.v, q == 1 ? "q1" : q == 2 ? "q2" : "q3");
		assert_int_equal(ikev1_decrypt(&talk.suite, talk.keys.encr, iv, data, plain), 0);
		struct rd r = rd_of(plain, data.len);
		struct view hash = payload(&r, &next);
		struct view rest = without_padding(r, next);
		// RFC 2409 5.5: HASH(1) over M-ID and the rest, HASH(2) over Ni_b as well.
		struct view parts[] = {mid, q == 2 ? nonces[0] : (struct view){0}, rest};
		assert_int_equal(hash.len, 20);
		// HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b)
		struct view third[] = {{&zero, 1}, mid, nonces[0], nonces[1]};
		assert_int_equal(ike_prf(talk.suite.prf, talk.keys.skeyid_a, q < 3 ? parts : third,
					 q < 3 ? 3 : 4, want),
			0);
		assert_memory_equal(hash.p, want, 20);
		if (q == 3)
			break;
		assert_int_equal(next, 1); // SA
		(void)payload(&r, &next);
		assert_int_equal(next, 10); // NONCE
		struct view nonce = payload(&r, &next);
		assert_true(nonce.len <= sizeof(kept[0]));
		memcpy(kept[q - 1], nonce.p, nonce.len);
		nonces[q - 1] = (struct view){kept[q - 1], nonce.len};
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_module), // first, before this process asks for DES
		cmocka_unit_test(known_answers),
		cmocka_unit_test(iv_chains),
		cmocka_unit_test(lengths),
		cmocka_unit_test(wrong_key),
		cmocka_unit_test(not_cbc),
		cmocka_unit_test_setup_teardown(recorded, talk_setup, talk_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
