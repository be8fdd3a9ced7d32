// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Signatures of IKEv1, and our certificate for a CERTREQ. What ikev1_sign() never makes is made with
// the library here.
#include "tests/certs.h"
#include "tests/cmocka_all.h"
#include "tests/vectors.h"

#include "controlplane/crypto/ikev1.h"
#include "controlplane/crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/rsa.h>

#include <unistd.h>

#define LEN(a)   (sizeof(a) / sizeof((a)[0]))
#define RSA_LEN  256
#define HASH_MAX 64

static EVP_PKEY *keys[KEY_COUNT], *others[KEY_COUNT];
static const uint8_t hash_bytes[HASH_MAX + 2] =
	"what stands for a hash, of which there are five lengths in all.";
static const uint16_t hash_lens[] = {16, 20, 32, 48, 64};

static struct view hash_of(size_t len)
{
	return (struct view){hash_bytes, len};
}

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

static EVP_PKEY *ec_public(const char *curve, struct view xy)
{
	EVP_PKEY *key = NULL;
	uint8_t point[1 + 132] = {4};
	char name[16];
	memcpy(point + 1, xy.p, xy.len);
	snprintf(name, sizeof(name), "%s", curve);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, name, 0),
		OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, point, 1 + xy.len),
		OSSL_PARAM_construct_end(),
	};
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	assert_int_equal(EVP_PKEY_fromdata_init(ctx), 1);
	assert_int_equal(EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void rfc4754(void **state)
{
	static const char *const curves[] = {"P-256", "P-384", "P-521"};
	static struct vector v;
	FILE *f = vectors_open("rfc4754.txt");
	assert_non_null(f);
	size_t count = 0;
	while (vectors_next(f, &v)) {
		uint16_t auth = (uint16_t)vector_number(&v, "method");
		assert_int_equal(auth, 9 + count);
		EVP_PKEY *key = ec_public(curves[count], vector_get(&v, "g_w"));
		struct view sig = vector_get(&v, "signature"), hash = vector_get(&v, "hash");
		assert_int_equal(ikev1_verify(key, auth, sig, hash), IKE_CRYPTO_OK);
		uint8_t altered[HASH_MAX];
		memcpy(altered, hash.p, hash.len);
		altered[0] ^= 1;
		struct view other = {altered, hash.len};
		assert_int_equal(ikev1_verify(key, auth, sig, other), IKE_CRYPTO_AUTH_SIGNATURE);
		EVP_PKEY_free(key);
		count++;
	}
	assert_int_equal(count, 3);
	fclose(f);
}

static const struct {
	enum test_key key;
	uint16_t auth;
	size_t hash_len;
	enum ike_crypto_error want;
	uint16_t len;
} cases[] = {
	{KEY_RSA, 3, 16, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 3, 20, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 3, 32, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 3, 48, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 3, 64, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 65005, 20, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 65006, 20, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 64221, 20, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_RSA, 64222, 20, IKE_CRYPTO_OK, RSA_LEN},
	{KEY_P256, 9, 32, IKE_CRYPTO_OK, 64},
	{KEY_P384, 10, 48, IKE_CRYPTO_OK, 96},
	{KEY_P521, 11, 64, IKE_CRYPTO_OK, 132},
	// Not a hash's length, or not the curve's.
	{KEY_RSA, 3, 0, IKE_CRYPTO_INTERNAL, 0},
	{KEY_RSA, 3, 15, IKE_CRYPTO_INTERNAL, 0},
	{KEY_RSA, 3, 33, IKE_CRYPTO_INTERNAL, 0},
	{KEY_RSA, 3, 65, IKE_CRYPTO_INTERNAL, 0},
	{KEY_P256, 9, 20, IKE_CRYPTO_INTERNAL, 0},
	{KEY_P384, 10, 32, IKE_CRYPTO_INTERNAL, 0},
	{KEY_P521, 11, 0, IKE_CRYPTO_INTERNAL, 0},
	// The method is another key's, or none with a signature.
	{KEY_RSA, 9, 32, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_P256, 3, 32, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_P256, 10, 48, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_P384, 9, 32, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_P521, 65005, 64, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 0, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 1, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 2, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 4, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 5, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA, 65001, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA_PSS, 3, 20, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_ED25519, 0, 64, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_ED25519, 3, 64, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_ED448, 9, 32, IKE_CRYPTO_AUTH_METHOD, 0},
	{KEY_RSA_1024, 3, 20, IKE_CRYPTO_CERT_WEAK_KEY, 0},
};

static void every_method(void **state)
{
	for (size_t i = 0; i < LEN(cases); i++) {
		EVP_PKEY *key = keys[cases[i].key], *other = others[cases[i].key];
		uint16_t auth = cases[i].auth;
		struct view hash = hash_of(cases[i].hash_len);
		struct ike_auth_value v;
		assert_int_equal(ikev1_sign(key, auth, hash, &v), cases[i].want);
		assert_int_equal(v.len, cases[i].len);
		struct view sig = {v.bytes, cases[i].want ? 64 : v.len};
		assert_int_equal(ikev1_verify(key, auth, sig, hash), cases[i].want);
		if (cases[i].want)
			continue;
		uint8_t altered[HASH_MAX];
		memcpy(altered, hash.p, hash.len);
		altered[hash.len - 1] ^= 1;
		struct view wrong = {altered, hash.len};
		assert_int_equal(ikev1_verify(key, auth, sig, wrong), IKE_CRYPTO_AUTH_SIGNATURE);
		assert_int_not_equal(ikev1_verify(other, auth, sig, hash), IKE_CRYPTO_OK);
		v.bytes[v.len - 1] ^= 1;
		assert_int_equal(ikev1_verify(key, auth, sig, hash), IKE_CRYPTO_AUTH_SIGNATURE);
	}
}

// Every length of signature, in memory of exactly that size.
static void cut_anywhere(void **state)
{
	for (size_t i = 0; i < LEN(cases) && cases[i].want == IKE_CRYPTO_OK; i++) {
		EVP_PKEY *key = keys[cases[i].key];
		struct view hash = hash_of(cases[i].hash_len);
		struct ike_auth_value v;
		assert_int_equal(ikev1_sign(key, cases[i].auth, hash, &v), IKE_CRYPTO_OK);
		for (size_t n = 0; n < v.len; n += n < 8 || n + 8 > v.len ? 1 : 7) {
			uint8_t *cut = malloc(n ? n : 1);
			memcpy(cut, v.bytes, n);
			assert_int_equal(
				ikev1_verify(key, cases[i].auth, (struct view){cut, n}, hash),
				IKE_CRYPTO_AUTH_FORMAT);
			free(cut);
		}
		v.bytes[v.len] = 0;
		struct view longer = {v.bytes, v.len + 1u}, none = {NULL, 0};
		assert_int_equal(
			ikev1_verify(key, cases[i].auth, longer, hash), IKE_CRYPTO_AUTH_FORMAT);
		assert_int_equal(
			ikev1_verify(key, cases[i].auth, none, hash), IKE_CRYPTO_AUTH_FORMAT);
	}
}

// The library's signature over tbs, with that padding and hash (NULL: tbs as it is).
static struct view rsa_own(int padding, const EVP_MD *md, struct view tbs, uint8_t out[RSA_LEN])
{
	size_t len = RSA_LEN;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[KEY_RSA], NULL);
	assert_int_equal(EVP_PKEY_sign_init(ctx), 1);
	assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, padding), 1);
	if (md)
		assert_int_equal(EVP_PKEY_CTX_set_signature_md(ctx, md), 1);
	assert_int_equal(EVP_PKEY_sign(ctx, out, &len, tbs.p, tbs.len), 1);
	EVP_PKEY_CTX_free(ctx);
	return (struct view){out, len};
}

// RFC 2409 5.1: the padding, and the hash alone.
static void rsa_is_bare(void **state)
{
	for (size_t i = 0; i < LEN(hash_lens); i++) {
		size_t len = hash_lens[i], out_len = RSA_LEN;
		uint8_t block[RSA_LEN], want[RSA_LEN];
		struct ike_auth_value v;
		assert_int_equal(ikev1_sign(keys[KEY_RSA], 3, hash_of(len), &v), 0);
		EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, keys[KEY_RSA], NULL);
		assert_int_equal(EVP_PKEY_verify_recover_init(ctx), 1);
		assert_int_equal(EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_NO_PADDING), 1);
		assert_int_equal(EVP_PKEY_verify_recover(ctx, block, &out_len, v.bytes, v.len), 1);
		EVP_PKEY_CTX_free(ctx);
		memset(want, 0xff, sizeof(want));
		want[0] = 0;
		want[1] = 1;
		want[RSA_LEN - len - 1] = 0;
		memcpy(want + RSA_LEN - len, hash_bytes, len);
		assert_int_equal(out_len, RSA_LEN);
		assert_memory_equal(block, want, RSA_LEN);
	}
}

static void rsa_digest_info(void **state)
{
	static const char *const names[] = {"MD5", "SHA1", "SHA256", "SHA384", "SHA512"};
	uint8_t sig[RSA_LEN];
	for (size_t i = 0; i < LEN(hash_lens); i++) {
		struct view hash = hash_of(hash_lens[i]);
		struct view s =
			rsa_own(RSA_PKCS1_PADDING, EVP_get_digestbyname(names[i]), hash, sig);
		assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash), IKE_CRYPTO_OK);
		assert_int_equal(ikev1_verify(keys[KEY_RSA], 65006, s, hash), IKE_CRYPTO_OK);
		// The hash in it is one, not any of that length.
		struct view other = {hash_bytes + 1, hash.len};
		assert_int_equal(
			ikev1_verify(keys[KEY_RSA], 3, s, other), IKE_CRYPTO_AUTH_SIGNATURE);
	}
	// As long as another hash of ours is, but not ours.
	struct view hash = hash_of(32);
	struct view s = rsa_own(RSA_PKCS1_PADDING, EVP_get_digestbyname("SHA3-256"), hash, sig);
	assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash), IKE_CRYPTO_AUTH_SIGNATURE);
	s = rsa_own(RSA_PKCS1_PSS_PADDING, EVP_sha256(), hash, sig);
	assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash), IKE_CRYPTO_AUTH_SIGNATURE);
}

// Contents of a block whose padding is right, and which are nearly the hash of 20 bytes.
static void rsa_contents(void **state)
{
#define SHA1_INFO 0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04
	static const struct {
		uint8_t before[16];
		size_t before_len, from, len, after_len;
		enum ike_crypto_error want;
	} rows[] = {
		{{0}, 0, 0, 20, 0, IKE_CRYPTO_OK},
		{{0}, 0, 0, 19, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{0}, 0, 0, 0, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{0}, 0, 1, 19, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{0}, 0, 0, 20, 1, IKE_CRYPTO_AUTH_SIGNATURE},
		{{0}, 1, 0, 20, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{SHA1_INFO, 0x14}, 15, 0, 20, 0, IKE_CRYPTO_OK},
		{{SHA1_INFO, 0x14}, 15, 0, 20, 1, IKE_CRYPTO_AUTH_SIGNATURE},
		{{SHA1_INFO, 0x14}, 15, 0, 19, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{SHA1_INFO, 0x13}, 15, 0, 20, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{{SHA1_INFO, 0x14}, 15, 1, 20, 0, IKE_CRYPTO_AUTH_SIGNATURE},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t content[64], sig[RSA_LEN];
		struct wr w = wr_of(content, sizeof(content));
		wr_bytes(&w, rows[i].before, rows[i].before_len);
		wr_bytes(&w, hash_bytes + rows[i].from, rows[i].len);
		wr_zero(&w, rows[i].after_len);
		struct view s = rsa_own(RSA_PKCS1_PADDING, NULL, wr_done(&w), sig);
		assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash_of(20)), rows[i].want);
	}
}

// Whole blocks, the padding made by hand: 0 | type | fill x 0xff | 0 | hash | rest of zeros.
static void rsa_padding(void **state)
{
	static const struct {
		uint8_t first, type, fill_byte, separator;
		size_t fill; // 0: up to the separator before the hash at the end
		enum ike_crypto_error want;
	} rows[] = {
		{0, 1, 0xff, 0, 0, IKE_CRYPTO_OK},
		{0, 1, 0xff, 1, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{0, 1, 0xfe, 0, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{0, 2, 0xff, 0, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		{0, 0, 0xff, 0, 0, IKE_CRYPTO_AUTH_SIGNATURE},
		// The hash stands early, and what follows is the forger's.
		{0, 1, 0xff, 0, 8, IKE_CRYPTO_AUTH_SIGNATURE},
		{0, 1, 0xff, 0, 100, IKE_CRYPTO_AUTH_SIGNATURE},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t block[RSA_LEN] = {0}, sig[RSA_LEN];
		size_t fill = rows[i].fill ? rows[i].fill : RSA_LEN - 3 - 20;
		block[0] = rows[i].first;
		block[1] = rows[i].type;
		memset(block + 2, rows[i].fill_byte, fill);
		block[2 + fill] = rows[i].separator;
		memcpy(block + 3 + fill, hash_bytes, 20);
		struct view s = rsa_own(RSA_NO_PADDING, NULL, (struct view){block, RSA_LEN}, sig);
		assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash_of(20)), rows[i].want);
	}
	// No number below the modulus, zero and one.
	uint8_t sig[RSA_LEN];
	struct view s = {sig, RSA_LEN};
	memset(sig, 0xff, RSA_LEN);
	assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash_of(20)), IKE_CRYPTO_AUTH_SIGNATURE);
	memset(sig, 0, RSA_LEN);
	assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash_of(20)), IKE_CRYPTO_AUTH_SIGNATURE);
	sig[RSA_LEN - 1] = 1;
	assert_int_equal(ikev1_verify(keys[KEY_RSA], 3, s, hash_of(20)), IKE_CRYPTO_AUTH_SIGNATURE);
}

// r and s out of range: 0, the group's order (a P-256 one) and all bits set; one at a time and both.
static void ecdsa_range(void **state)
{
	static const char order[] =
		"ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
	static const struct {
		enum test_key key;
		uint16_t auth;
		size_t half, hash_len;
	} rows[] = {{KEY_P256, 9, 32, 32}, {KEY_P384, 10, 48, 48}, {KEY_P521, 11, 66, 64}};
	for (size_t i = 0; i < LEN(rows) * 9; i++) {
		size_t k = i / 9, half = rows[k].half;
		int kind = (int)(i % 3), where = (int)(i / 3 % 3) + 1;
		EVP_PKEY *key = keys[rows[k].key];
		struct view hash = hash_of(rows[k].hash_len);
		struct ike_auth_value v;
		uint8_t bad[66];
		assert_int_equal(ikev1_sign(key, rows[k].auth, hash, &v), IKE_CRYPTO_OK);
		memset(bad, kind == 1 ? 0xff : 0, sizeof(bad));
		if (kind == 2 && rows[k].key == KEY_P256)
			hex_to(order, bad, sizeof(bad));
		if (where & 1)
			memcpy(v.bytes, bad, half);
		if (where & 2)
			memcpy(v.bytes + half, bad, half);
		assert_int_equal(
			ikev1_verify(key, rows[k].auth, (struct view){v.bytes, v.len}, hash),
			IKE_CRYPTO_AUTH_SIGNATURE);
	}
}

static void key_auth(void **state)
{
	static const uint16_t want[KEY_COUNT] = {[KEY_RSA] = 3,
		[KEY_RSA_1024] = 3,
		[KEY_P256] = 9,
		[KEY_P384] = 10,
		[KEY_P521] = 11};
	static const uint16_t auths[] = {0, 1, 2, 3, 4, 5, 9, 10, 11, 64221, 64222, 65001, 65005};
	for (int k = 0; k < KEY_COUNT; k++) {
		assert_int_equal(ikev1_key_auth(keys[k]), want[k]);
		for (size_t i = 0; i < LEN(auths); i++) {
			bool rsa = auths[i] == 3 || auths[i] == 64221 || auths[i] == 64222 ||
				   auths[i] == 65005;
			bool fits = want[k] && (want[k] == 3 ? rsa : auths[i] == want[k]);
			assert_int_equal(ikev1_key_fits(keys[k], auths[i]), fits);
		}
	}
}

// ---- Our certificates, and jobs with them ----

enum { CA1, CA2, SUB, GW_RSA, GW_EC, GW_CA2, CERTS };

static struct {
	char dir[64], paths[CERTS][96], key_paths[CERTS][96];
	EVP_PKEY *keys[CERTS];
	X509 *certs[CERTS];
	struct ike_credentials *creds;
} pki;

// CA1 above SUB above GW_RSA (its file has SUB) and GW_EC (its file has not); CA2 above GW_CA2.
static int pki_setup(void **state)
{
	static const struct {
		struct test_cert cert;
		enum test_key key;
		int issuer;
	} rows[CERTS] = {
		[CA1] = {{.cn = "ca1", .ca = true, .path_len = -1}, KEY_P256, CA1},
		[CA2] = {{.cn = "ca2", .ca = true, .path_len = -1}, KEY_P256, CA2},
		[SUB] = {{.cn = "sub", .ca = true, .path_len = -1}, KEY_P256, CA1},
		[GW_RSA] = {{.cn = "rsa", .san = "DNS:gw.example"}, KEY_RSA, SUB},
		[GW_EC] = {{.cn = "ec", .san = "DNS:gw.example,DNS:ec.example"}, KEY_P256, SUB},
		[GW_CA2] = {{.cn = "two", .san = "DNS:gw.example,DNS:ec.example"}, KEY_RSA, CA2},
	};
	snprintf(pki.dir, sizeof(pki.dir), "/tmp/test_ikev1_sign.XXXXXX");
	assert_non_null(mkdtemp(pki.dir));
	for (int i = 0; i < CERTS; i++) {
		int by = rows[i].issuer;
		pki.keys[i] = test_key_new(rows[i].key);
		pki.certs[i] = test_cert_new(
			&rows[i].cert, pki.keys[i], by == i ? NULL : pki.certs[by], pki.keys[by]);
		snprintf(pki.paths[i], sizeof(pki.paths[i]), "%s/%d.pem", pki.dir, i);
		snprintf(pki.key_paths[i], sizeof(pki.key_paths[i]), "%s/%d.key", pki.dir, i);
		X509 *chain[] = {pki.certs[i], i == GW_RSA ? pki.certs[SUB] : NULL, NULL};
		test_certs_write(pki.paths[i], chain);
		test_key_write(pki.key_paths[i], pki.keys[i]);
	}
	char *cas[] = {pki.paths[CA1], pki.paths[CA2]};
	struct cfg_certificate certs[] = {{pki.paths[GW_CA2], pki.key_paths[GW_CA2]},
		{pki.paths[GW_RSA], pki.key_paths[GW_RSA]},
		{pki.paths[GW_EC], pki.key_paths[GW_EC]}};
	struct cfg cfg = {.ca = {cas, 2}, .certificates = certs, .certificate_count = 3};
	assert_int_equal(ike_credentials_new(&cfg, stderr, &pki.creds), 0);
	return 0;
}

static int pki_teardown(void **state)
{
	ike_credentials_free(pki.creds);
	for (int i = 0; i < CERTS; i++) {
		EVP_PKEY_free(pki.keys[i]);
		X509_free(pki.certs[i]);
		unlink(pki.paths[i]);
		unlink(pki.key_paths[i]);
	}
	return rmdir(pki.dir);
}

static struct view name_of(int i)
{
	const uint8_t *der;
	size_t len;
	assert_int_equal(X509_NAME_get0_der(X509_get_subject_name(pki.certs[i]), &der, &len), 1);
	return (struct view){der, len};
}

static void ca_names(void **state)
{
	assert_true(view_eq(ike_credentials_ca_name(pki.creds, 0), name_of(CA1)));
	assert_true(view_eq(ike_credentials_ca_name(pki.creds, 1), name_of(CA2)));
	assert_int_equal(ike_credentials_ca_name(pki.creds, 2).len, 0);
	assert_int_equal(ike_credentials_ca_name(pki.creds, SIZE_MAX).len, 0);
}

static void find_by_name(void **state)
{
	enum { ANY = -1, EMPTY = -2, JUNK = -3, TRAILING = -4 };
	static const struct {
		uint16_t auth;
		size_t count;
		int names[3];
		int path; // ANY: none
		const char *id;
		int want; // ANY: none
	} rows[] = {
		// GW_CA2 is the first in the configuration.
		{0, 0, {0}, ANY, "gw.example", GW_CA2},
		{3, 0, {0}, ANY, "gw.example", GW_CA2},
		{65005, 0, {0}, ANY, "gw.example", GW_CA2},
		{9, 0, {0}, ANY, "gw.example", GW_EC},
		{10, 0, {0}, ANY, "gw.example", ANY},
		{3, 0, {0}, ANY, "other.example", ANY},
		{3, 1, {CA1}, ANY, "gw.example", GW_RSA},
		{3, 1, {SUB}, ANY, "gw.example", GW_RSA},
		{64222, 1, {CA1}, ANY, "gw.example", GW_RSA},
		{3, 1, {CA2}, ANY, "gw.example", GW_CA2},
		// The issuer that no file has.
		{0, 1, {SUB}, ANY, "ec.example", GW_EC},
		{0, 1, {CA1}, ANY, "ec.example", GW_CA2},
		// The peer's first choice is ours.
		{3, 2, {CA2, CA1}, ANY, "gw.example", GW_CA2},
		{3, 2, {CA1, CA2}, ANY, "gw.example", GW_RSA},
		// Nobody has it: the first that fits.
		{3, 1, {GW_EC}, ANY, "gw.example", GW_CA2},
		{9, 1, {CA2}, ANY, "gw.example", GW_EC},
		{3, 3, {EMPTY, JUNK, TRAILING}, ANY, "gw.example", GW_CA2},
		{3, 3, {EMPTY, JUNK, CA1}, ANY, "gw.example", GW_RSA},
		// The configured one, and no other.
		{3, 1, {CA2}, GW_RSA, "gw.example", GW_RSA},
		{3, 0, {0}, GW_RSA, "not its name", GW_RSA},
		{9, 0, {0}, GW_CA2, "gw.example", ANY},
		{3, 0, {0}, SUB, "gw.example", ANY},
	};
	for (size_t i = 0; i < LEN(rows); i++) {
		static const uint8_t junk[] = {0x30, 0x80, 0x00};
		uint8_t longer[256];
		struct view names[3], ca1 = name_of(CA1);
		memcpy(longer, ca1.p, ca1.len);
		longer[ca1.len] = 0;
		for (size_t n = 0; n < rows[i].count; n++) {
			int name = rows[i].names[n];
			names[n] = name == EMPTY      ? (struct view){0}
				   : name == JUNK     ? (struct view){junk, sizeof(junk)}
				   : name == TRAILING ? (struct view){longer, ca1.len + 1}
						      : name_of(name);
		}
		struct ikev1_cert_wanted want = {
			.path = rows[i].path == ANY ? NULL : pki.paths[rows[i].path],
			.own_id = rows[i].id,
			.auth = rows[i].auth,
			.names = names,
			.name_count = rows[i].count,
		};
		const struct ike_certificate *cert = ikev1_credentials_find(pki.creds, &want);
		assert_string_equal(cert ? cert->path : "none",
			rows[i].want == ANY ? "none" : pki.paths[rows[i].want]);
	}
}

static const struct ike_certificate *ours(int i)
{
	struct ikev1_cert_wanted want = {.path = pki.paths[i]};
	return ikev1_credentials_find(pki.creds, &want);
}

static enum ike_crypto_error job_verify(
	const struct ike_certificate *cert, uint16_t auth, struct view sig, struct view hash)
{
	struct view sub = test_cert_der(pki.certs[SUB]);
	struct ikev1_verify_input in = {
		.chain = {.leaf = cert->leaf,
			.intermediates = &sub,
			.intermediate_count = 1,
			.id_type = IKE_ID_FQDN,
			.id_data = {(const uint8_t *)"gw.example", 10},
			.wall_s = time(NULL)},
		.auth = auth,
		.sig = sig,
		.hash = hash,
	};
	struct ike_verify_job *j = ikev1_verify_job_new(pki.creds, &in);
	test_der_free(&sub); // the job has its own
	assert_int_equal(j->base.error, IKE_CRYPTO_INTERNAL);
	j->base.job.run(&j->base.job);
	enum ike_crypto_error e = j->base.error;
	ike_job_free(&j->base.job);
	return e;
}

static void jobs(void **state)
{
	static const struct {
		int cert;
		uint16_t auth, other;
		size_t len;
	} rows[] = {{GW_RSA, 3, 9, 20}, {GW_RSA, 65005, 1, 16}, {GW_EC, 9, 3, 32}};
	for (size_t i = 0; i < LEN(rows); i++) {
		uint8_t hash[HASH_MAX], sig[IKE_AUTH_MAX];
		struct view h = {hash, rows[i].len};
		const struct ike_certificate *cert = ours(rows[i].cert);
		memcpy(hash, hash_bytes, h.len);
		struct ike_sign_job *s = ikev1_sign_job_new(cert, rows[i].auth, h);
		memset(hash, 0, sizeof(hash)); // the job has its own
		assert_int_equal(s->base.error, IKE_CRYPTO_INTERNAL);
		s->base.job.run(&s->base.job);
		assert_int_equal(s->base.error, IKE_CRYPTO_OK);
		struct view v = {sig, s->value.len};
		memcpy(sig, s->value.bytes, s->value.len);
		ike_job_free(&s->base.job);

		memcpy(hash, hash_bytes, h.len);
		assert_int_equal(job_verify(cert, rows[i].auth, v, h), IKE_CRYPTO_OK);
		assert_int_equal(job_verify(cert, rows[i].other, v, h), IKE_CRYPTO_AUTH_METHOD);
		// Never one of IKEv2's.
		assert_int_equal(job_verify(cert, 0, v, h), IKE_CRYPTO_AUTH_METHOD);
		hash[0] ^= 1;
		assert_int_equal(job_verify(cert, rows[i].auth, v, h), IKE_CRYPTO_AUTH_SIGNATURE);
		hash[0] ^= 1;
		v.len--;
		assert_int_equal(job_verify(cert, rows[i].auth, v, h), IKE_CRYPTO_AUTH_FORMAT);

		s = ikev1_sign_job_new(cert, rows[i].other, h);
		s->base.job.run(&s->base.job);
		assert_int_equal(s->base.error, IKE_CRYPTO_AUTH_METHOD);
		assert_int_equal(s->value.len, 0);
		ike_job_free(&s->base.job);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc4754),
		cmocka_unit_test(every_method),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(rsa_is_bare),
		cmocka_unit_test(rsa_digest_info),
		cmocka_unit_test(rsa_contents),
		cmocka_unit_test(rsa_padding),
		cmocka_unit_test(ecdsa_range),
		cmocka_unit_test(key_auth),
		cmocka_unit_test_setup_teardown(ca_names, pki_setup, pki_teardown),
		cmocka_unit_test_setup_teardown(find_by_name, pki_setup, pki_teardown),
		cmocka_unit_test_setup_teardown(jobs, pki_setup, pki_teardown),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
