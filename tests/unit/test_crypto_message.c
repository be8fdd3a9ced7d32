// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/crypto.h"

#define HEADER  32 // an IKE header and a payload header
#define MESSAGE 1024
#define SUITES  12

static const struct suite suites[SUITES] = {
	{.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256},
	{.encr = {ENCR_AES_GCM_16, 256}, .prf = PRF_HMAC_SHA2_384},
	{.encr = {ENCR_AES_GCM_12, 192}, .prf = PRF_HMAC_SHA2_256},
	{.encr = {ENCR_AES_GCM_8, 128}, .prf = PRF_HMAC_SHA2_256},
	{.encr = {ENCR_CHACHA20_POLY1305, 0}, .prf = PRF_HMAC_SHA2_256},
	{.encr = {ENCR_AES_CBC, 128}, .prf = PRF_HMAC_SHA1, .integ = INTEG_HMAC_SHA1_96},
	{.encr = {ENCR_AES_CBC, 256}, .prf = PRF_HMAC_SHA2_256, .integ = INTEG_HMAC_SHA2_256_128},
	{.encr = {ENCR_AES_CBC, 192}, .prf = PRF_HMAC_SHA2_512, .integ = INTEG_HMAC_SHA2_512_256},
	{.encr = {ENCR_AES_CTR, 128}, .prf = PRF_HMAC_SHA2_384, .integ = INTEG_HMAC_SHA2_384_192},
	{.encr = {ENCR_AES_CTR, 256}, .prf = PRF_HMAC_SHA2_256, .integ = INTEG_HMAC_SHA2_256_128},
	{.encr = {ENCR_3DES, 0}, .prf = PRF_HMAC_SHA1, .integ = INTEG_HMAC_SHA1_96},
	{.encr = {ENCR_DES, 0}, .prf = PRF_HMAC_MD5, .integ = INTEG_HMAC_MD5_96},
};

struct pair {
	struct ike_keys keys;
	struct ike_crypt i, r;
};

static void pair_make(struct pair *p, const struct suite *s)
{
	static const uint8_t nonce[16] = {7};
	struct ike_keys_input in = {.suite = s,
		.shared = {(const uint8_t *)"shared", 6},
		.ni = {nonce, 16},
		.nr = {nonce, 16},
		.spi_i = 1,
		.spi_r = 2};
	assert_int_equal(ike_keys_derive(&in, &p->keys), IKE_CRYPTO_OK);
	assert_int_equal(ike_crypt_init(&p->i, s, &p->keys, true), IKE_CRYPTO_OK);
	assert_int_equal(ike_crypt_init(&p->r, s, &p->keys, false), IKE_CRYPTO_OK);
}

// A message with plain_len bytes of plaintext; its length.
static size_t sealed(struct ike_crypt *c, uint8_t message[static MESSAGE], size_t plain_len)
{
	memset(message, 0xee, MESSAGE);
	for (size_t i = 0; i < HEADER; i++)
		message[i] = (uint8_t)(0xc0 + i);
	for (size_t i = 0; i < plain_len; i++)
		message[HEADER + ike_seal_iv_len(c) + i] = (uint8_t)i;
	assert_int_equal(ike_seal(c, message, HEADER, plain_len), IKE_CRYPTO_OK);
	return HEADER + ike_sealed_len(c, plain_len);
}

static void round_trip(void **state)
{
	uint8_t message[MESSAGE], out[MESSAGE];
	for (size_t s = 0; s < SUITES; s++) {
		struct pair p;
		pair_make(&p, &suites[s]);
		for (size_t n = 0; n < 300; n += n < 40 ? 1 : 37) {
			size_t len = sealed(&p.i, message, n), out_len;
			assert_int_equal(message[len], 0xee);
			struct view v = {message, len};
			assert_int_equal(ike_open(&p.r, v, HEADER, out, &out_len), IKE_CRYPTO_OK);
			assert_int_equal(out_len, n);
			for (size_t i = 0; i < n; i++)
				assert_int_equal(out[i], (uint8_t)i);
			// Nobody takes its own message for the peer's.
			assert_int_equal(
				ike_open(&p.i, v, HEADER, out, &out_len), IKE_CRYPTO_BAD_ICV);
			assert_int_equal(out_len, 0);
			// In place.
			uint8_t *at = message + HEADER + ike_seal_iv_len(&p.i);
			assert_int_equal(ike_open(&p.r, v, HEADER, at, &out_len), IKE_CRYPTO_OK);
			assert_int_equal(out_len, n);
			if (n)
				assert_int_equal(at[n - 1], (uint8_t)(n - 1));
		}
		ike_keys_fini(&p.keys);
	}
}

// Each single bit, of header, IV, ciphertext and ICV.
static void every_bit(void **state)
{
	uint8_t message[MESSAGE], out[MESSAGE];
	for (size_t s = 0; s < SUITES; s++) {
		struct pair p;
		pair_make(&p, &suites[s]);
		size_t len = sealed(&p.r, message, 21), out_len;
		for (size_t bit = 0; bit < len * 8; bit++) {
			message[bit / 8] ^= (uint8_t)(1 << bit % 8);
			memset(out, 0x11, sizeof(out));
			assert_int_equal(
				ike_open(&p.i, (struct view){message, len}, HEADER, out, &out_len),
				IKE_CRYPTO_BAD_ICV);
			assert_int_equal(out_len, 0);
			// Nothing of the plaintext comes out: 0..20 would be it.
			assert_int_not_equal(out[7], 7);
			message[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		assert_int_equal(
			ike_open(&p.i, (struct view){message, len}, HEADER, out, &out_len), 0);
		ike_keys_fini(&p.keys);
	}
}

// Cut at any place. Memory of exactly that size, for the address sanitizer.
static void every_length(void **state)
{
	uint8_t message[MESSAGE];
	for (size_t s = 0; s < SUITES; s++) {
		struct pair p;
		pair_make(&p, &suites[s]);
		size_t len = sealed(&p.i, message, 40), out_len;
		for (size_t n = 0; n < len; n++) {
			uint8_t *cut = malloc(n ? n : 1),
				*out = malloc(n > HEADER ? n - HEADER : 1);
			memcpy(cut, message, n);
			enum ike_crypto_error e =
				ike_open(&p.r, (struct view){cut, n}, HEADER, out, &out_len);
			assert_true(e == IKE_CRYPTO_SHORT || e == IKE_CRYPTO_BAD_ICV);
			if (n < HEADER)
				assert_int_equal(e, IKE_CRYPTO_SHORT);
			free(cut);
			free(out);
		}
		ike_keys_fini(&p.keys);
	}
}

static void sizes(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct pair p;
		pair_make(&p, &suites[s]);
		assert_int_equal(ike_sealed_room(&p.i, 0), 0);
		for (size_t n = 1; n < 200; n++) {
			size_t room = ike_sealed_len(&p.i, n);
			assert_true(ike_sealed_room(&p.i, room) >= n);
			assert_true(ike_sealed_len(&p.i, ike_sealed_room(&p.i, room)) <= room);
			assert_true(ike_sealed_room(&p.i, room - 1) < ike_sealed_room(&p.i, room));
		}
		ike_keys_fini(&p.keys);
	}
}

static void iv_never_repeats(void **state)
{
	uint8_t a[MESSAGE], b[MESSAGE];
	for (size_t s = 0; s < SUITES; s++) {
		struct pair p;
		pair_make(&p, &suites[s]);
		sealed(&p.i, a, 8);
		sealed(&p.i, b, 8);
		assert_memory_not_equal(a + HEADER, b + HEADER, ike_seal_iv_len(&p.i));
		// CBC's may not be foreseen: it is no count.
		assert_int_equal(p.i.seal_count, p.i.encr->block > 1 ? 0 : 2);
		ike_keys_fini(&p.keys);
	}
	struct pair p;
	pair_make(&p, &suites[0]);
	p.i.seal_count = UINT64_MAX;
	assert_int_equal(ike_seal(&p.i, a, HEADER, 8), IKE_CRYPTO_IV_EXHAUSTED);
	assert_int_equal(ike_seal(&p.i, a, HEADER, 8), IKE_CRYPTO_IV_EXHAUSTED);
	ike_keys_fini(&p.keys);
}

// Gives message[0, len) a valid ICV, as the holder of the keys can; the length with it. Suites with
// an integrity algorithm: with an AEAD that takes GCM's insides.
static size_t icv_forged(const struct ike_crypt *c, uint8_t *message, size_t len)
{
	uint8_t full[IKE_PRF_MAX];
	struct view covered = {message, len};
	uint16_t prf = c->integ->id == INTEG_HMAC_MD5_96         ? PRF_HMAC_MD5
		       : c->integ->id == INTEG_HMAC_SHA1_96      ? PRF_HMAC_SHA1
		       : c->integ->id == INTEG_HMAC_SHA2_256_128 ? PRF_HMAC_SHA2_256
		       : c->integ->id == INTEG_HMAC_SHA2_384_192 ? PRF_HMAC_SHA2_384
								 : PRF_HMAC_SHA2_512;
	assert_int_equal(ike_prf(prf, c->seal_integ, &covered, 1, full), 0);
	memcpy(message + len, full, c->integ->icv_len);
	return len + c->integ->icv_len;
}

// Nothing between IV and ICV, and a pad length that says all and one that says more than there is,
// each under a valid ICV.
static void padding(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		uint8_t message[MESSAGE] = {0}, *out = malloc(MESSAGE);
		struct pair p;
		size_t out_len, len;
		pair_make(&p, &suites[s]);
		size_t block = p.i.encr->block > 1 ? p.i.encr->block : 16;
		size_t body = HEADER + ike_seal_iv_len(&p.i);
		for (int bad = 0; p.i.integ && bad < 2; bad++) {
			// A whole block is sealed as plaintext, its last octet the pad length that
			// is wanted. Cut behind it, the message lacks the real padding.
			memset(message + body, 0, block);
			message[body + block - 1] = (uint8_t)(bad ? block : block - 1);
			assert_int_equal(ike_seal(&p.i, message, HEADER, block), 0);
			len = icv_forged(&p.i, message, body + block);
			assert_int_equal(
				ike_open(&p.r, (struct view){message, len}, HEADER, out, &out_len),
				bad ? IKE_CRYPTO_BAD_PADDING : IKE_CRYPTO_OK);
			assert_int_equal(out_len, 0);
		}
		if (p.i.integ) {
			len = icv_forged(&p.i, message, body);
			assert_int_equal(
				ike_open(&p.r, (struct view){message, len}, HEADER, out, &out_len),
				IKE_CRYPTO_SHORT);
			// No whole number of blocks.
			len = icv_forged(&p.i, message, body + block + 1);
			if (p.i.encr->block > 1)
				assert_int_equal(ike_open(&p.r, (struct view){message, len}, HEADER,
							 out, &out_len),
					IKE_CRYPTO_SHORT);
		}
		free(out);
		ike_keys_fini(&p.keys);
	}
}

// Published ciphertexts, opened.
static void vectors(void **state)
{
	static const uint8_t integ_key[32] = {1, 2, 3};
	static struct vector v;
	FILE *f = vectors_open("ike-sealed.txt");
	size_t count = 0;
	assert_non_null(f);
	while (vectors_next(f, &v)) {
		struct view key = vector_get(&v, "key"), pt = vector_get(&v, "pt"),
			    tag = vector_get(&v, "tag"), aad = vector_get(&v, "aad");
		struct ike_crypt c = {
			.encr = alg_encr((uint16_t)vector_number(&v, "encr"),
				(uint16_t)vector_number(&v, "key_bits")),
			.open_encr = key,
			.open_integ = {integ_key, sizeof(integ_key)},
		};
		uint8_t message[MESSAGE], out[MESSAGE], icv[IKE_PRF_MAX];
		struct wr w = wr_of(message, sizeof(message));
		wr_view(&w, aad);
		wr_view(&w, vector_get(&v, "iv"));
		wr_view(&w, vector_get(&v, "ct"));
		if (!tag.len) {
			struct view covered = wr_done(&w);
			c.integ = alg_integ(INTEG_HMAC_SHA2_256_128);
			assert_int_equal(
				ike_prf(PRF_HMAC_SHA2_256, c.open_integ, &covered, 1, icv), 0);
			tag = (struct view){icv, 16};
		}
		wr_view(&w, tag);
		size_t out_len;
		assert_int_equal(key.len, c.encr->key_len + c.encr->salt_len);
		assert_int_equal(ike_open(&c, wr_done(&w), aad.len, out, &out_len), IKE_CRYPTO_OK);
		assert_memory_equal(out, pt.p, pt.len);
		assert_int_equal(out_len, pt.len - 1 - pt.p[pt.len - 1]);
		count++;
	}
	fclose(f);
	assert_int_equal(count, 5);
}

static void unsupported(void **state)
{
	struct pair p;
	struct ike_crypt c;
	struct suite null = {.encr = {ENCR_NULL, 0}, .integ = INTEG_HMAC_SHA1_96};
	struct suite longer = {.encr = {ENCR_AES_GCM_16, 256}};
	pair_make(&p, &suites[0]);
	assert_int_equal(ike_crypt_init(&c, &null, &p.keys, true), IKE_CRYPTO_UNSUPPORTED);
	// Keys of another suite.
	assert_int_equal(ike_crypt_init(&c, &longer, &p.keys, true), IKE_CRYPTO_INTERNAL);
	ike_keys_fini(&p.keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(every_bit),
		cmocka_unit_test(every_length),
		cmocka_unit_test(sizes),
		cmocka_unit_test(iv_never_repeats),
		cmocka_unit_test(padding),
		cmocka_unit_test(vectors),
		cmocka_unit_test(unsupported),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
