// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Signatures of AUTH payloads. What our own ike_sign() never makes is made with the library here.
#include "tests/certs.h"
#include "tests/cmocka_all.h"

#include "controlplane/crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#define H(x)   IKE_HASH_BIT(IKE_HASH_##x)
#define H_ALL  IKE_HASHES_OURS
#define LEN(a) (sizeof(a) / sizeof((a)[0]))

static EVP_PKEY *keys[KEY_COUNT], *others[KEY_COUNT];
static const struct view octets = {(const uint8_t *)"what one side signs", 19};
static const struct view altered = {(const uint8_t *)"what one side Signs", 19};

static int setup(void **state)
{
	for (int i = 0; i < KEY_COUNT; i++) {
		keys[i] = test_key_new((enum test_key)i);
		others[i] = test_key_new((enum test_key)i);
	}
	return 0;
}

static int teardown(void **state)
{
	for (int i = 0; i < KEY_COUNT; i++) {
		EVP_PKEY_free(keys[i]);
		EVP_PKEY_free(others[i]);
	}
	return 0;
}

static const struct {
	enum test_key key;
	uint32_t hashes;
	bool sha1;
	enum ike_crypto_error want;
	uint8_t method;
	uint16_t len; // 0: not fixed
	uint8_t algid_len;
} cases[] = {
	{KEY_RSA, H_ALL, false, IKE_CRYPTO_OK, 14, 1 + 67 + 256, 67},
	{KEY_RSA, H(SHA2_384), false, IKE_CRYPTO_OK, 14, 1 + 67 + 256, 67},
	{KEY_RSA, H(SHA2_512) | H(SHA1), false, IKE_CRYPTO_OK, 14, 1 + 67 + 256, 67},
	{KEY_RSA, 0, true, IKE_CRYPTO_OK, 1, 256, 0},
	{KEY_RSA, 0, false, IKE_CRYPTO_AUTH_SHA1, 0, 0, 0},
	{KEY_RSA, H(SHA1), false, IKE_CRYPTO_AUTH_SHA1, 0, 0, 0},
	{KEY_RSA, H(SHA1), true, IKE_CRYPTO_OK, 1, 256, 0},
	{KEY_RSA_PSS, H_ALL, false, IKE_CRYPTO_OK, 14, 1 + 67 + 256, 67},
	{KEY_RSA_PSS, 0, true, IKE_CRYPTO_AUTH_HASH, 0, 0, 0},
	{KEY_P256, H_ALL, false, IKE_CRYPTO_OK, 14, 0, 12},
	{KEY_P256, H(SHA2_512), false, IKE_CRYPTO_OK, 14, 0, 12},
	{KEY_P256, 0, false, IKE_CRYPTO_OK, 9, 64, 0},
	{KEY_P384, H_ALL, false, IKE_CRYPTO_OK, 14, 0, 12},
	{KEY_P384, 0, false, IKE_CRYPTO_OK, 10, 96, 0},
	{KEY_P521, H_ALL, false, IKE_CRYPTO_OK, 14, 0, 12},
	{KEY_P521, H(SHA1), false, IKE_CRYPTO_OK, 11, 132, 0},
	{KEY_ED25519, H_ALL, false, IKE_CRYPTO_OK, 14, 1 + 7 + 64, 7},
	{KEY_ED25519, H(SHA2_256), true, IKE_CRYPTO_AUTH_HASH, 0, 0, 0},
	{KEY_ED25519, 0, true, IKE_CRYPTO_AUTH_HASH, 0, 0, 0},
	{KEY_ED448, H_ALL, false, IKE_CRYPTO_OK, 14, 1 + 7 + 114, 7},
	{KEY_RSA_1024, H_ALL, true, IKE_CRYPTO_CERT_WEAK_KEY, 0, 0, 0},
};

static void every_method(void **state)
{
	for (size_t i = 0; i < LEN(cases); i++) {
		EVP_PKEY *key = keys[cases[i].key], *other = others[cases[i].key];
		struct ike_auth_value v;
		bool sha1 = cases[i].sha1;
		assert_int_equal(ike_sign(key, cases[i].hashes, sha1, octets, &v), cases[i].want);
		if (cases[i].want) {
			assert_int_equal(v.len, 0);
			continue;
		}
		struct view auth = {v.bytes, v.len};
		assert_int_equal(v.method, cases[i].method);
		if (cases[i].len)
			assert_int_equal(v.len, cases[i].len);
		if (cases[i].algid_len)
			assert_int_equal(v.bytes[0], cases[i].algid_len);
		assert_int_equal(ike_verify(key, v.method, auth, octets, sha1), IKE_CRYPTO_OK);
		assert_int_equal(
			ike_verify(key, v.method, auth, altered, sha1), IKE_CRYPTO_AUTH_SIGNATURE);
		assert_int_not_equal(ike_verify(other, v.method, auth, octets, sha1), 0);
		// The last byte is the signature's in every form.
		v.bytes[v.len - 1] ^= 1;
		assert_int_equal(
			ike_verify(key, v.method, auth, octets, sha1), IKE_CRYPTO_AUTH_SIGNATURE);
	}
}

// The curve's own hash comes first, where the peer has it.
static void hash_by_curve(void **state)
{
	static const struct {
		enum test_key key;
		uint32_t hashes;
		uint8_t oid_end; // ecdsa-with-SHA256, 384, 512: 2, 3, 4
	} rows[] = {{KEY_P256, H_ALL, 2}, {KEY_P384, H_ALL, 3}, {KEY_P521, H_ALL, 4},
		{KEY_P521, H(SHA2_256) | H(SHA2_384), 2}};
	for (size_t i = 0; i < LEN(rows); i++) {
		struct ike_auth_value v;
		assert_int_equal(ike_sign(keys[rows[i].key], rows[i].hashes, false, octets, &v), 0);
		assert_int_equal(v.bytes[12], rows[i].oid_end);
	}
}

// Every length of AUTH data, in memory of exactly that size.
static void cut_anywhere(void **state)
{
	for (size_t i = 0; i < LEN(cases); i++) {
		struct ike_auth_value v;
		EVP_PKEY *key = keys[cases[i].key];
		if (ike_sign(key, cases[i].hashes, cases[i].sha1, octets, &v) != IKE_CRYPTO_OK)
			continue;
		for (size_t n = 0; n < v.len; n += n < 90 ? 1 : 19) {
			uint8_t *cut = malloc(n ? n : 1);
			memcpy(cut, v.bytes, n);
			assert_int_not_equal(
				ike_verify(key, v.method, (struct view){cut, n}, octets, true), 0);
			free(cut);
		}
		// Something behind it.
		v.bytes[v.len] = 0;
		struct view longer = {v.bytes, v.len + 1u};
		assert_int_not_equal(ike_verify(key, v.method, longer, octets, true), 0);
	}
}

struct own_signature {
	const char *md;
	int padding;  // 0: none to set
	int salt_len; // PSS
	const char *mgf1;
};

// AUTH data of method 14 from an AlgorithmIdentifier and a signature of the library's.
static size_t own_auth(
	EVP_PKEY *key, const struct own_signature *o, X509_ALGOR *alg, uint8_t out[static 2048])
{
	EVP_PKEY_CTX *pctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *p = out + 1;
	int alg_len = alg ? i2d_X509_ALGOR(alg, &p) : 0;
	size_t sig_len = 1024, head = alg ? 1 + (size_t)alg_len : 0;
	out[0] = (uint8_t)alg_len;
	assert_int_equal(EVP_DigestSignInit_ex(ctx, &pctx, o->md, NULL, NULL, key, NULL), 1);
	if (o->padding)
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(pctx, o->padding), 1);
	if (o->padding == RSA_PKCS1_PSS_PADDING) {
		assert_int_equal(EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, o->salt_len), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_mgf1_md_name(pctx, o->mgf1, NULL), 1);
	}
	assert_int_equal(EVP_DigestSign(ctx, out + head, &sig_len, octets.p, octets.len), 1);
	EVP_MD_CTX_free(ctx);
	X509_ALGOR_free(alg);
	return head + sig_len;
}

static X509_ALGOR *algor(int nid, int parameter)
{
	X509_ALGOR *a = X509_ALGOR_new();
	X509_ALGOR_set0(a, OBJ_nid2obj(nid), parameter, NULL);
	return a;
}

// Parameters as named; hash NID_undef: left out; salt < 0: left out.
static X509_ALGOR *pss_algor(int hash, int mgf1_hash, long salt, long trailer)
{
	RSA_PSS_PARAMS *p = RSA_PSS_PARAMS_new();
	X509_ALGOR *a = X509_ALGOR_new();
	ASN1_STRING *packed = NULL;
	if (hash != NID_undef)
		p->hashAlgorithm = algor(hash, V_ASN1_NULL);
	if (mgf1_hash != NID_undef) {
		X509_ALGOR *inner = algor(mgf1_hash, V_ASN1_NULL);
		assert_non_null(ASN1_item_pack(inner, ASN1_ITEM_rptr(X509_ALGOR), &packed));
		p->maskGenAlgorithm = X509_ALGOR_new();
		X509_ALGOR_set0(
			p->maskGenAlgorithm, OBJ_nid2obj(NID_mgf1), V_ASN1_SEQUENCE, packed);
		packed = NULL;
		X509_ALGOR_free(inner);
	}
	if (salt >= 0) {
		p->saltLength = ASN1_INTEGER_new();
		ASN1_INTEGER_set(p->saltLength, salt);
	}
	if (trailer) {
		p->trailerField = ASN1_INTEGER_new();
		ASN1_INTEGER_set(p->trailerField, trailer);
	}
	assert_non_null(ASN1_item_pack(p, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &packed));
	X509_ALGOR_set0(a, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, packed);
	RSA_PSS_PARAMS_free(p);
	return a;
}

static enum ike_crypto_error check(EVP_PKEY *key, const struct own_signature *o, X509_ALGOR *a)
{
	uint8_t auth[2048];
	size_t len = own_auth(key, o, a, auth);
	return ike_verify(key, IKE_AUTH_SIGNATURE, (struct view){auth, len}, octets, true);
}

// CVE-2018-17540 and others: parameters that the signature does not keep, are absent, or huge.
static void pss_parameters(void **state)
{
	const int sha256 = NID_sha256, pss = RSA_PKCS1_PSS_PADDING;
	EVP_PKEY *key = keys[KEY_RSA];
	struct own_signature good = {"SHA256", pss, 32, "SHA256"}, salt20 = good, mgf384 = good;
	struct own_signature sha1 = {"SHA1", pss, 20, "SHA1"}, salt0 = good;
	salt20.salt_len = 20;
	salt0.salt_len = 0;
	mgf384.mgf1 = "SHA384";
	assert_int_equal(check(key, &good, pss_algor(sha256, sha256, 32, 0)), IKE_CRYPTO_OK);
	assert_int_equal(check(key, &good, pss_algor(sha256, sha256, 32, 1)), IKE_CRYPTO_OK);
	// Right parameters, another salt in the signature.
	assert_int_equal(
		check(key, &salt20, pss_algor(sha256, sha256, 32, 0)), IKE_CRYPTO_AUTH_SIGNATURE);
	assert_int_equal(
		check(key, &salt0, pss_algor(sha256, sha256, 32, 0)), IKE_CRYPTO_AUTH_SIGNATURE);
	// The signature agrees with its parameters, but they are not ours.
	assert_int_equal(
		check(key, &salt20, pss_algor(sha256, sha256, 20, 0)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &salt20, pss_algor(sha256, sha256, -1, 0)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &salt0, pss_algor(sha256, sha256, 0, 0)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(check(key, &good, pss_algor(sha256, sha256, 0x7fffffff, 0)),
		IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(check(key, &mgf384, pss_algor(sha256, NID_sha384, 32, 0)),
		IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &good, pss_algor(sha256, NID_undef, 32, 0)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &good, pss_algor(sha256, sha256, 32, 2)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &good, pss_algor(NID_md5, NID_md5, 16, 0)), IKE_CRYPTO_AUTH_ALGORITHM);
	// Defaults mean SHA-1.
	assert_int_equal(
		check(key, &sha1, pss_algor(NID_undef, NID_undef, -1, 0)), IKE_CRYPTO_AUTH_SHA1);
	assert_int_equal(
		check(key, &sha1, pss_algor(NID_sha1, NID_sha1, 20, 0)), IKE_CRYPTO_AUTH_SHA1);
	// Another mask generation function, with the right parameters.
	X509_ALGOR *mask = pss_algor(sha256, sha256, 32, 0);
	RSA_PSS_PARAMS *inner =
		ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(RSA_PSS_PARAMS), mask->parameter);
	ASN1_STRING *packed = NULL;
	ASN1_OBJECT_free(inner->maskGenAlgorithm->algorithm);
	inner->maskGenAlgorithm->algorithm = OBJ_nid2obj(NID_commonName);
	assert_non_null(ASN1_item_pack(inner, ASN1_ITEM_rptr(RSA_PSS_PARAMS), &packed));
	X509_ALGOR_set0(mask, OBJ_nid2obj(NID_rsassaPss), V_ASN1_SEQUENCE, packed);
	RSA_PSS_PARAMS_free(inner);
	assert_int_equal(check(key, &good, mask), IKE_CRYPTO_AUTH_ALGORITHM);
	// No parameters at all, and some of another type.
	assert_int_equal(
		check(key, &good, algor(NID_rsassaPss, V_ASN1_UNDEF)), IKE_CRYPTO_AUTH_ALGORITHM);
	assert_int_equal(
		check(key, &good, algor(NID_rsassaPss, V_ASN1_NULL)), IKE_CRYPTO_AUTH_ALGORITHM);
}

static void rfc7427_algorithms(void **state)
{
	static const struct {
		enum test_key key;
		const char *md;
		int nid, parameter;
		enum ike_crypto_error want;
	} rows[] = {
		{KEY_RSA, "SHA256", NID_sha256WithRSAEncryption, V_ASN1_NULL, IKE_CRYPTO_OK},
		{KEY_RSA, "SHA384", NID_sha384WithRSAEncryption, V_ASN1_NULL, IKE_CRYPTO_OK},
		{KEY_RSA, "SHA512", NID_sha512WithRSAEncryption, V_ASN1_UNDEF, IKE_CRYPTO_OK},
		{KEY_RSA, "SHA256", NID_sha384WithRSAEncryption, V_ASN1_NULL,
			IKE_CRYPTO_AUTH_SIGNATURE},
		{KEY_RSA, "SHA1", NID_sha1WithRSAEncryption, V_ASN1_NULL, IKE_CRYPTO_AUTH_SHA1},
		{KEY_RSA, "MD5", NID_md5WithRSAEncryption, V_ASN1_NULL, IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_RSA, "SHA256", NID_rsaEncryption, V_ASN1_NULL, IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_RSA, "SHA224", NID_sha224WithRSAEncryption, V_ASN1_NULL,
			IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_RSA, "SHA256", NID_ecdsa_with_SHA256, V_ASN1_UNDEF, IKE_CRYPTO_AUTH_METHOD},
		{KEY_RSA, "SHA256", NID_commonName, V_ASN1_UNDEF, IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_P256, "SHA256", NID_ecdsa_with_SHA256, V_ASN1_UNDEF, IKE_CRYPTO_OK},
		{KEY_P256, "SHA512", NID_ecdsa_with_SHA512, V_ASN1_UNDEF, IKE_CRYPTO_OK},
		{KEY_P384, "SHA256", NID_ecdsa_with_SHA256, V_ASN1_UNDEF, IKE_CRYPTO_OK},
		{KEY_P256, "SHA256", NID_ecdsa_with_SHA256, V_ASN1_NULL, IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_P256, "SHA1", NID_ecdsa_with_SHA1, V_ASN1_UNDEF, IKE_CRYPTO_AUTH_SHA1},
		{KEY_P256, "SHA256", NID_sha256WithRSAEncryption, V_ASN1_NULL,
			IKE_CRYPTO_AUTH_METHOD},
		{KEY_ED25519, NULL, NID_ED25519, V_ASN1_UNDEF, IKE_CRYPTO_OK},
		{KEY_ED25519, NULL, NID_ED25519, V_ASN1_NULL, IKE_CRYPTO_AUTH_ALGORITHM},
		{KEY_ED25519, NULL, NID_ED448, V_ASN1_UNDEF, IKE_CRYPTO_AUTH_METHOD},
		{KEY_ED448, NULL, NID_ED448, V_ASN1_UNDEF, IKE_CRYPTO_OK},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		struct own_signature o = {.md = rows[i].md,
			.padding = rows[i].key == KEY_RSA ? RSA_PKCS1_PADDING : 0};
		assert_int_equal(
			check(keys[rows[i].key], &o, algor(rows[i].nid, rows[i].parameter)),
			rows[i].want);
	}
	// One byte more in the length octet's reach than the identifier has.
	struct ike_auth_value v;
	assert_int_equal(ike_sign(keys[KEY_ED25519], H_ALL, false, octets, &v), IKE_CRYPTO_OK);
	memmove(v.bytes + 9, v.bytes + 8, v.len - 8u);
	v.bytes[0]++;
	assert_int_equal(
		ike_verify(keys[KEY_ED25519], 14, (struct view){v.bytes, v.len + 1u}, octets, true),
		IKE_CRYPTO_AUTH_ALGORITHM);
	// A key that is for PSS alone.
	struct own_signature pkcs1 = {.md = "SHA256", .padding = RSA_PKCS1_PADDING};
	uint8_t auth[2048];
	size_t len = own_auth(
		keys[KEY_RSA], &pkcs1, algor(NID_sha256WithRSAEncryption, V_ASN1_NULL), auth);
	assert_int_equal(ike_verify(keys[KEY_RSA_PSS], 14, (struct view){auth, len}, octets, true),
		IKE_CRYPTO_AUTH_METHOD);
}

// RSA signatures of method 1: SHA-1 only where it is permitted, SHA-2 always.
static void rsa_method_1(void **state)
{
	static const struct {
		const char *md;
		int padding;
		bool sha1;
		enum ike_crypto_error want;
	} rows[] = {
		{"SHA1", RSA_PKCS1_PADDING, true, IKE_CRYPTO_OK},
		{"SHA1", RSA_PKCS1_PADDING, false, IKE_CRYPTO_AUTH_SHA1},
		{"SHA256", RSA_PKCS1_PADDING, false, IKE_CRYPTO_OK},
		{"SHA512", RSA_PKCS1_PADDING, false, IKE_CRYPTO_OK},
		{"MD5", RSA_PKCS1_PADDING, true, IKE_CRYPTO_AUTH_SIGNATURE},
		{"SHA256", RSA_PKCS1_PSS_PADDING, true, IKE_CRYPTO_AUTH_SIGNATURE},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		struct own_signature o = {rows[i].md, rows[i].padding, 32, "SHA256"};
		uint8_t auth[2048];
		size_t len = own_auth(keys[KEY_RSA], &o, NULL, auth);
		assert_int_equal(ike_verify(keys[KEY_RSA], 1, (struct view){auth, len}, octets,
					 rows[i].sha1),
			rows[i].want);
	}
}

static void wrong_methods(void **state)
{
	struct ike_auth_value v;
	struct view auth = {v.bytes, 64}, empty = {v.bytes, 0};
	memset(&v, 0, sizeof(v));
	for (int m = 0; m < 256; m++) {
		for (int k = KEY_RSA_PSS; k < KEY_COUNT; k++)
			assert_int_not_equal(
				ike_verify(keys[k], (uint8_t)m, auth, octets, true), 0);
		// CVE-2013-2944: an empty signature is none.
		for (int k = 0; k < KEY_COUNT; k++)
			assert_int_not_equal(
				ike_verify(keys[k], (uint8_t)m, empty, octets, true), 0);
	}
	// r = s = 0 in each form.
	assert_int_equal(
		ike_verify(keys[KEY_P256], 9, auth, octets, false), IKE_CRYPTO_AUTH_SIGNATURE);
	assert_int_equal(
		ike_verify(keys[KEY_P384], 9, auth, octets, false), IKE_CRYPTO_AUTH_METHOD);
	assert_int_equal(
		ike_verify(keys[KEY_ED25519], 9, auth, octets, false), IKE_CRYPTO_AUTH_METHOD);
	auth.len = 63;
	assert_int_equal(
		ike_verify(keys[KEY_P256], 9, auth, octets, false), IKE_CRYPTO_AUTH_FORMAT);
	static const uint8_t empty_ecdsa[] = {
		12, 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2, 0x30, 0};
	auth = (struct view){empty_ecdsa, sizeof(empty_ecdsa)};
	assert_int_equal(
		ike_verify(keys[KEY_P256], 14, auth, octets, false), IKE_CRYPTO_AUTH_SIGNATURE);
	auth.len = 13; // nothing behind the identifier
	assert_int_equal(
		ike_verify(keys[KEY_P256], 14, auth, octets, false), IKE_CRYPTO_AUTH_FORMAT);
}

// Keys with an even exponent, one of 3, one of 1, and a modulus of one bit too few.
static void bad_rsa_keys(void **state)
{
	static const struct {
		unsigned long e;
		int n_bits;
		enum ike_crypto_error want;
	} rows[] = {{65537, 2048, IKE_CRYPTO_OK}, {0, 2048, IKE_CRYPTO_CERT_KEY},
		{1, 2048, IKE_CRYPTO_CERT_KEY}, {3, 2048, IKE_CRYPTO_CERT_KEY},
		{65536, 2048, IKE_CRYPTO_CERT_KEY}, {65538, 2048, IKE_CRYPTO_CERT_KEY},
		{65537, 2047, IKE_CRYPTO_CERT_WEAK_KEY}, {65537, 16, IKE_CRYPTO_CERT_WEAK_KEY},
		{65537, 8200, IKE_CRYPTO_CERT_KEY}};
	for (size_t i = 0; i < LEN(rows); i++) {
		BIGNUM *n = BN_new(), *e = BN_new();
		BN_set_bit(n, rows[i].n_bits - 1);
		BN_set_bit(n, 0);
		BN_set_word(e, rows[i].e);
		OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
		OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA", NULL);
		EVP_PKEY *key = NULL;
		assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
		// What the library refuses by itself never gets here.
		if (EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) == 1)
			assert_int_equal(crypto_key_check(key), rows[i].want);
		else
			assert_int_not_equal(rows[i].want, IKE_CRYPTO_OK);
		EVP_PKEY_free(key);
		EVP_PKEY_CTX_free(ctx);
		OSSL_PARAM_free(params);
		OSSL_PARAM_BLD_free(bld);
		BN_free(n);
		BN_free(e);
	}
	// Other curves and other kinds of keys.
	EVP_PKEY *k1 = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "secp256k1");
	EVP_PKEY *x = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	assert_int_equal(crypto_key_check(k1), IKE_CRYPTO_CERT_KEY);
	assert_int_equal(crypto_key_check(x), IKE_CRYPTO_CERT_KEY);
	EVP_PKEY_free(k1);
	EVP_PKEY_free(x);
}

static void hash_lists(void **state)
{
	static const uint8_t data[] = {0, 1, 0, 2, 0, 5, 0, 6, 0xff, 0xff, 0, 0};
	uint32_t set;
	assert_true(ike_hashes_parse((struct view){data, sizeof(data)}, &set));
	assert_int_equal(set, H(SHA1) | H(SHA2_256) | H(IDENTITY));
	assert_true(ike_hashes_parse((struct view){NULL, 0}, &set));
	assert_int_equal(set, 0);
	assert_false(ike_hashes_parse((struct view){data, 3}, &set));
}

// AUTH by a shared key, against the definition in RFC 7296 2.15 written out.
static void psk(void **state)
{
	static const uint8_t id[] = {2, 0, 0, 0, 'g', 'w'};
	struct ike_auth_input in = {.prf = PRF_HMAC_SHA2_256,
		.sk_p = {(const uint8_t *)"sk_p", 4},
		.message = {(const uint8_t *)"message", 7},
		.nonce = {(const uint8_t *)"nonce", 5},
		.id_body = {id, sizeof(id)}};
	struct view key = {(const uint8_t *)"a secret of some length", 23};
	struct view pad = {(const uint8_t *)"Key Pad for IKEv2", 17};
	uint8_t flat[12 + 32], inner[IKE_PRF_MAX], want[IKE_PRF_MAX], got[IKE_PRF_MAX];
	memcpy(flat, "messagenonce", 12);
	assert_int_equal(ike_prf(in.prf, in.sk_p, &in.id_body, 1, flat + 12), 0);
	struct secret octets_made;
	assert_int_equal(ike_signed_octets(&in, &octets_made), IKE_CRYPTO_OK);
	assert_int_equal(octets_made.len, sizeof(flat));
	assert_memory_equal(octets_made.bytes, flat, sizeof(flat));
	secret_fini(&octets_made);

	struct view flat_view = {flat, sizeof(flat)};
	assert_int_equal(ike_prf(in.prf, key, &pad, 1, inner), 0);
	assert_int_equal(ike_prf(in.prf, (struct view){inner, 32}, &flat_view, 1, want), 0);
	assert_int_equal(ike_auth_psk(&in, key, got), IKE_CRYPTO_OK);
	assert_memory_equal(got, want, 32);
	struct view auth = {got, 32};
	assert_int_equal(ike_auth_psk_verify(&in, key, auth), IKE_CRYPTO_OK);
	auth.len = 31;
	assert_int_equal(ike_auth_psk_verify(&in, key, auth), IKE_CRYPTO_AUTH_FORMAT);
	auth.len = 0;
	assert_int_equal(ike_auth_psk_verify(&in, key, auth), IKE_CRYPTO_AUTH_FORMAT);
	auth.len = 32;
	for (size_t bit = 0; bit < 256; bit++) {
		got[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(ike_auth_psk_verify(&in, key, auth), IKE_CRYPTO_AUTH_PSK);
		got[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	// Each input counts.
	for (int i = 0; i < 4; i++) {
		struct ike_auth_input other = in;
		struct view *fields[] = {&other.sk_p, &other.message, &other.nonce, &other.id_body};
		fields[i]->len--;
		assert_int_equal(ike_auth_psk_verify(&other, key, auth), IKE_CRYPTO_AUTH_PSK);
	}
	in.int_auth = (struct view){id, 1};
	assert_int_equal(ike_auth_psk_verify(&in, key, auth), IKE_CRYPTO_AUTH_PSK);
	key.len = 0;
	assert_int_equal(ike_auth_psk(&in, key, got), IKE_CRYPTO_NO_PSK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method),
		cmocka_unit_test(hash_by_curve),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(pss_parameters),
		cmocka_unit_test(rfc7427_algorithms),
		cmocka_unit_test(rsa_method_1),
		cmocka_unit_test(wrong_methods),
		cmocka_unit_test(bad_rsa_keys),
		cmocka_unit_test(hash_lists),
		cmocka_unit_test(psk),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
