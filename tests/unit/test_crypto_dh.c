// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/internal.h"

#include <openssl/bn.h>

static const uint16_t all[] = {DH_X25519, DH_X448, DH_ECP_256, DH_ECP_384, DH_ECP_521, DH_MODP_768,
	DH_MODP_1024, DH_MODP_1536, DH_MODP_2048, DH_MODP_3072, DH_MODP_4096};
#define ALL (sizeof(all) / sizeof(all[0]))

static struct ike_dh *generated(uint16_t group)
{
	struct ike_dh *dh = ike_dh_new(group);
	assert_non_null(dh);
	assert_int_equal(ike_dh_public(dh).len, 0);
	assert_int_equal(ike_dh_generate(dh), IKE_CRYPTO_OK);
	return dh;
}

static void agreement(void **state)
{
	for (size_t i = 0; i < ALL; i++) {
		struct ike_dh *a = generated(all[i]), *b = generated(all[i]);
		struct secret x, y;
		assert_int_equal(ike_dh_group(a), all[i]);
		assert_int_equal(ike_dh_public(a).len, alg_dh(all[i])->public_len);
		assert_false(view_eq(ike_dh_public(a), ike_dh_public(b)));
		assert_int_equal(ike_dh_derive(a, ike_dh_public(b), &x), IKE_CRYPTO_OK);
		assert_int_equal(ike_dh_derive(b, ike_dh_public(a), &y), IKE_CRYPTO_OK);
		assert_int_equal(x.len, alg_dh(all[i])->secret_len);
		assert_true(view_eq(secret_view(&x), secret_view(&y)));
		secret_fini(&x);
		secret_fini(&y);
		ike_dh_free(a);
		ike_dh_free(b);
	}
	assert_null(ike_dh_new(1025));
	assert_null(ike_dh_new(DH_NONE));
	ike_dh_free(NULL);
}

static void vectors(void **state)
{
	static struct vector v;
	FILE *f = vectors_open("dh.txt");
	size_t count = 0;
	assert_non_null(f);
	while (vectors_next(f, &v)) {
		struct view gi = vector_get(&v, "gi"), gr = vector_get(&v, "gr");
		struct view gir = vector_get(&v, "gir");
		struct ike_dh *i = ike_dh_new((uint16_t)vector_number(&v, "group"));
		struct ike_dh *r = ike_dh_new((uint16_t)vector_number(&v, "group"));
		struct secret s;
		assert_int_equal(ike_dh_import(i, vector_get(&v, "i"), gi), IKE_CRYPTO_OK);
		assert_int_equal(ike_dh_import(r, vector_get(&v, "r"), gr), IKE_CRYPTO_OK);
		assert_true(view_eq(ike_dh_public(i), gi));
		assert_int_equal(ike_dh_derive(i, gr, &s), IKE_CRYPTO_OK);
		assert_true(view_eq(secret_view(&s), gir));
		secret_fini(&s);
		assert_int_equal(ike_dh_derive(r, gi, &s), IKE_CRYPTO_OK);
		assert_true(view_eq(secret_view(&s), gir));
		secret_fini(&s);
		ike_dh_free(i);
		ike_dh_free(r);
		count++;
	}
	fclose(f);
	assert_int_equal(count, 5);
}

static const struct {
	uint16_t group;
	BIGNUM *(*prime)(BIGNUM *);
} modp[] = {
	{DH_MODP_768, BN_get_rfc2409_prime_768},
	{DH_MODP_1024, BN_get_rfc2409_prime_1024},
	{DH_MODP_1536, BN_get_rfc3526_prime_1536},
	{DH_MODP_2048, BN_get_rfc3526_prime_2048},
	{DH_MODP_3072, BN_get_rfc3526_prime_3072},
	{DH_MODP_4096, BN_get_rfc3526_prime_4096},
};
#define MODP (sizeof(modp) / sizeof(modp[0]))

// RFC 7296 appendix B and RFC 3526: the secret is y^x mod p. With y = 2^k for a small k and
// y = -(2^k), and padded to the prime's length whatever its value.
static void modp_arithmetic(void **state)
{
	for (size_t i = 0; i < MODP; i++) {
		size_t len = alg_dh(modp[i].group)->public_len;
		uint8_t peer[512] = {0}, x[32], y[512], want[512];
		BN_CTX *ctx = BN_CTX_new();
		BIGNUM *p = modp[i].prime(NULL), *bx = BN_new(), *by = BN_new(), *two = BN_new();
		memset(x, 0x5a, sizeof(x));
		BN_bin2bn(x, sizeof(x), bx);
		BN_set_word(two, 2);
		assert_int_equal(BN_num_bits(p), len * 8);
		assert_int_equal(BN_mod_exp(by, two, bx, p, ctx), 1);
		assert_int_equal(BN_bn2binpad(by, y, (int)len), len);
		struct ike_dh *dh = ike_dh_new(modp[i].group);
		assert_int_equal(
			ike_dh_import(dh, (struct view){x, sizeof(x)}, (struct view){y, len}),
			IKE_CRYPTO_OK);
		peer[len - 1] = 4;
		BN_bin2bn(peer, (int)len, by);
		assert_int_equal(BN_mod_exp(by, by, bx, p, ctx), 1);
		assert_int_equal(BN_bn2binpad(by, want, (int)len), len);
		struct secret s;
		assert_int_equal(ike_dh_derive(dh, (struct view){peer, len}, &s), IKE_CRYPTO_OK);
		assert_int_equal(s.len, len);
		assert_memory_equal(s.bytes, want, len);
		secret_fini(&s);
		ike_dh_free(dh);
		BN_free(p);
		BN_free(bx);
		BN_free(by);
		BN_free(two);
		BN_CTX_free(ctx);
	}
}

// A secret that happens to be small keeps its leading zeros: (2^(1/x))^x is hard to come by, so
// the exponent is one.
static void modp_padding(void **state)
{
	uint8_t one = 1, two[256] = {0}, peer[256] = {0};
	struct secret s;
	struct ike_dh *dh = ike_dh_new(DH_MODP_2048);
	two[255] = 2;
	peer[254] = 9;
	assert_int_equal(
		ike_dh_import(dh, (struct view){&one, 1}, (struct view){two, 256}), IKE_CRYPTO_OK);
	enum ike_crypto_error e = ike_dh_derive(dh, (struct view){peer, 256}, &s);
	assert_int_equal(e, IKE_CRYPTO_OK);
	assert_int_equal(s.len, 256);
	assert_memory_equal(s.bytes, peer, 256);
	secret_fini(&s);
	ike_dh_free(dh);
}

// Short private exponents, and not too short: RFC 7919 5.2, RFC 3526 8.
static void modp_exponents(void **state)
{
	static const int most[MODP] = {160, 160, 200, 225, 275, 325};
	for (size_t i = 0; i < MODP; i++) {
		struct ike_dh *dh = generated(modp[i].group);
		assert_in_range(ike_dh_private_bits(dh), most[i] - 32, most[i]);
		ike_dh_free(dh);
	}
}

static void refused(struct ike_dh *dh, const uint8_t *value, size_t len, enum ike_crypto_error want)
{
	struct secret s = {(uint8_t *)1, 1};
	assert_int_equal(ike_dh_derive(dh, (struct view){value, len}, &s), want);
	assert_null(s.bytes);
	assert_int_equal(s.len, 0);
}

static void modp_refusals(void **state)
{
	for (size_t i = 0; i < MODP; i++) {
		size_t len = alg_dh(modp[i].group)->public_len;
		uint8_t value[513] = {0};
		struct ike_dh *dh = generated(modp[i].group);
		BIGNUM *p = modp[i].prime(NULL);
		refused(dh, value, len, IKE_CRYPTO_DH_VALUE);
		value[len - 1] = 1;
		refused(dh, value, len, IKE_CRYPTO_DH_VALUE);
		BN_bn2binpad(p, value, (int)len);
		refused(dh, value, len, IKE_CRYPTO_DH_VALUE);
		value[len - 1]--;
		refused(dh, value, len, IKE_CRYPTO_DH_VALUE);
		memset(value, 0xff, sizeof(value));
		refused(dh, value, len, IKE_CRYPTO_DH_VALUE);
		BN_free(p);
		ike_dh_free(dh);
	}
}

static void lengths(void **state)
{
	for (size_t i = 0; i < ALL; i++) {
		uint8_t value[600];
		struct ike_dh *dh = generated(all[i]), *none = ike_dh_new(all[i]);
		struct view pub = ike_dh_public(dh);
		memset(value, 0, sizeof(value));
		memcpy(value + 1, pub.p, pub.len);
		refused(dh, value, 0, IKE_CRYPTO_DH_LENGTH);
		refused(dh, value + 1, pub.len - 1, IKE_CRYPTO_DH_LENGTH);
		refused(dh, value + 1, pub.len + 1, IKE_CRYPTO_DH_LENGTH);
		refused(dh, value, pub.len + 1, IKE_CRYPTO_DH_LENGTH);
		// Before a key pair was made.
		refused(none, pub.p, pub.len, IKE_CRYPTO_INTERNAL);
		ike_dh_free(dh);
		ike_dh_free(none);
	}
}

static void ecp_refusals(void **state)
{
	for (size_t i = 2; i < 5; i++) {
		uint8_t value[132] = {0};
		struct ike_dh *dh = generated(all[i]);
		struct view pub = ike_dh_public(dh);
		refused(dh, value, pub.len, IKE_CRYPTO_DH_VALUE); // (0, 0)
		memset(value, 0xff, sizeof(value));
		refused(dh, value, pub.len, IKE_CRYPTO_DH_VALUE); // beyond the field
		for (size_t bit = 0; bit < 8; bit++) {            // beside the curve
			memcpy(value, pub.p, pub.len);
			value[pub.len - 1] ^= (uint8_t)(1 << bit);
			refused(dh, value, pub.len, IKE_CRYPTO_DH_VALUE);
		}
		memcpy(value, pub.p + pub.len / 2, pub.len / 2); // y | x
		memcpy(value + pub.len / 2, pub.p, pub.len / 2);
		refused(dh, value, pub.len, IKE_CRYPTO_DH_VALUE);
		ike_dh_free(dh);
	}
}

// Points of small order, RFC 7748 6.1 and 6.2: the secret would be zero.
static void x_refusals(void **state)
{
	static const char *const x25519[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	};
	struct ike_dh *dh = generated(DH_X25519);
	uint8_t value[56] = {0};
	for (size_t i = 0; i < sizeof(x25519) / sizeof(x25519[0]); i++) {
		assert_int_equal(hex_to(x25519[i], value, sizeof(value)), 32);
		refused(dh, value, 32, IKE_CRYPTO_DH_ZERO);
	}
	ike_dh_free(dh);
	dh = generated(DH_X448);
	memset(value, 0, sizeof(value));
	refused(dh, value, 56, IKE_CRYPTO_DH_ZERO);
	value[0] = 1;
	refused(dh, value, 56, IKE_CRYPTO_DH_ZERO);
	memset(value, 0xff, sizeof(value)); // p - 1 = 2^448 - 2^224 - 2
	value[0] = 0xfe;
	value[28] = 0xfe;
	refused(dh, value, 56, IKE_CRYPTO_DH_ZERO);
	ike_dh_free(dh);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(agreement),
		cmocka_unit_test(vectors),
		cmocka_unit_test(modp_arithmetic),
		cmocka_unit_test(modp_padding),
		cmocka_unit_test(modp_exponents),
		cmocka_unit_test(modp_refusals),
		cmocka_unit_test(lengths),
		cmocka_unit_test(ecp_refusals),
		cmocka_unit_test(x_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
