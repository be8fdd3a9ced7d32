// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Signatures in the AUTH payload: methods 1 and 9 to 11 of RFC 7296 and 4754, 14 of RFC 7427.
#include "controlplane/crypto/internal.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>

#define RSA_BITS_MIN 2048
#define RSA_BITS_MAX 8192 // bounds what one verification costs
#define RSA_E_MIN    65537
#define RSA_E_BITS   64

// One way to sign. pss: RSASSA-PSS with a salt as long as the hash and MGF1 over the same hash.
struct scheme {
	int key_type;     // EVP_PKEY_*
	const char *hash; // NULL: the scheme's own
	uint8_t hash_id;  // of SIGNATURE_HASH_ALGORITHMS
	bool pss;
	int salt_len; // bytes
	uint8_t algid_len;
	uint8_t algid
		[68]; // DER AlgorithmIdentifier, as RFC 7427 appendix A and RFC 8420 A print it
};

#define ALGID_RSA(last)                                                            \
	15,                                                                        \
	{                                                                          \
		0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, last, 5, 0 \
	}
#define ALGID_ECDSA(last)                                                \
	12,                                                              \
	{                                                                \
		0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, last \
	}
#define HASH_ALGID(hash) 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hash, 5, 0
#define ALGID_PSS(hash, salt)                                                                     \
	67,                                                                                       \
	{                                                                                         \
		0x30, 65, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 13, 1, 1, 10, 0x30, 52, 0xa0, 15,   \
			HASH_ALGID(hash), 0xa1, 28, 0x30, 26, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, \
			13, 1, 1, 8, HASH_ALGID(hash), 0xa2, 3, 2, 1, salt                        \
	}

// In our order of preference among those of one key type.
static const struct scheme schemes[] = {
	{EVP_PKEY_RSA, "SHA256", IKE_HASH_SHA2_256, true, 32, ALGID_PSS(1, 32)},
	{EVP_PKEY_RSA, "SHA384", IKE_HASH_SHA2_384, true, 48, ALGID_PSS(2, 48)},
	{EVP_PKEY_RSA, "SHA512", IKE_HASH_SHA2_512, true, 64, ALGID_PSS(3, 64)},
	{EVP_PKEY_RSA, "SHA256", IKE_HASH_SHA2_256, false, 0, ALGID_RSA(11)},
	{EVP_PKEY_RSA, "SHA384", IKE_HASH_SHA2_384, false, 0, ALGID_RSA(12)},
	{EVP_PKEY_RSA, "SHA512", IKE_HASH_SHA2_512, false, 0, ALGID_RSA(13)},
	{EVP_PKEY_EC, "SHA256", IKE_HASH_SHA2_256, false, 0, ALGID_ECDSA(2)},
	{EVP_PKEY_EC, "SHA384", IKE_HASH_SHA2_384, false, 0, ALGID_ECDSA(3)},
	{EVP_PKEY_EC, "SHA512", IKE_HASH_SHA2_512, false, 0, ALGID_ECDSA(4)},
	{EVP_PKEY_ED25519, NULL, IKE_HASH_IDENTITY, false, 0, 7, {0x30, 5, 6, 3, 0x2b, 0x65, 0x70}},
	{EVP_PKEY_ED448, NULL, IKE_HASH_IDENTITY, false, 0, 7, {0x30, 5, 6, 3, 0x2b, 0x65, 0x71}},
};
#define SCHEME_COUNT (sizeof(schemes) / sizeof(schemes[0]))

static const struct crypto_curve curves[] = {
	{"prime256v1", IKE_AUTH_ECDSA_256, IKE_HASH_SHA2_256, "SHA256", 32},
	{"secp384r1", IKE_AUTH_ECDSA_384, IKE_HASH_SHA2_384, "SHA384", 48},
	{"secp521r1", IKE_AUTH_ECDSA_521, IKE_HASH_SHA2_512, "SHA512", 66},
};

const struct crypto_curve *crypto_curve_of(const EVP_PKEY *key)
{
	char name[32];
	size_t len;
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC)
		return NULL;
	if (EVP_PKEY_get_group_name(key, name, sizeof(name), &len) != 1)
		return NULL;
	for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
		if (strcmp(curves[i].name, name) == 0)
			return &curves[i];
	return NULL;
}

static enum ike_crypto_error rsa_check(const EVP_PKEY *key)
{
	BIGNUM *n = NULL, *e = NULL;
	enum ike_crypto_error rc = IKE_CRYPTO_CERT_KEY;
	if (EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
		EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_RSA_E, &e) == 1) {
		if (BN_num_bits(n) < RSA_BITS_MIN)
			rc = IKE_CRYPTO_CERT_WEAK_KEY;
		else if (BN_num_bits(n) <= RSA_BITS_MAX && BN_is_odd(n) && BN_is_odd(e) &&
			 BN_num_bits(e) <= RSA_E_BITS && BN_get_word(e) >= RSA_E_MIN)
			rc = IKE_CRYPTO_OK;
	}
	BN_free(n);
	BN_free(e);
	return rc;
}

enum ike_crypto_error crypto_key_check(const EVP_PKEY *key)
{
	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		return rsa_check(key);
	case EVP_PKEY_EC:
		return crypto_curve_of(key) ? IKE_CRYPTO_OK : IKE_CRYPTO_CERT_KEY;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return IKE_CRYPTO_OK;
	default:
		return IKE_CRYPTO_CERT_KEY;
	}
}

// A key that is marked for PSS signs with nothing else.
static bool scheme_fits(const struct scheme *s, int key_type)
{
	return s->key_type == key_type || (key_type == EVP_PKEY_RSA_PSS && s->pss);
}

static bool padding_set(const struct scheme *s, EVP_PKEY_CTX *ctx)
{
	if (s->key_type != EVP_PKEY_RSA)
		return true;
	if (!s->pss)
		return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PSS_PADDING) == 1 &&
	       EVP_PKEY_CTX_set_rsa_mgf1_md_name(ctx, s->hash, NULL) == 1 &&
	       EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, s->salt_len) == 1;
}

static enum ike_crypto_error scheme_sign(
	const struct scheme *s, EVP_PKEY *key, struct view octets, uint8_t *out, size_t *len)
{
	EVP_PKEY_CTX *pctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestSignInit_ex(ctx, &pctx, s->hash, NULL, NULL, key, NULL) == 1 &&
		  padding_set(s, pctx) && EVP_DigestSign(ctx, out, len, octets.p, octets.len) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? IKE_CRYPTO_OK : IKE_CRYPTO_INTERNAL;
}

static enum ike_crypto_error scheme_verify(
	const struct scheme *s, EVP_PKEY *key, struct view signature, struct view octets)
{
	EVP_PKEY_CTX *pctx = NULL;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	enum ike_crypto_error e = IKE_CRYPTO_INTERNAL;
	if (ctx && EVP_DigestVerifyInit_ex(ctx, &pctx, s->hash, NULL, NULL, key, NULL) == 1 &&
		padding_set(s, pctx))
		e = EVP_DigestVerify(ctx, signature.p, signature.len, octets.p, octets.len) == 1
			    ? IKE_CRYPTO_OK
			    : IKE_CRYPTO_AUTH_SIGNATURE;
	EVP_MD_CTX_free(ctx);
	return e;
}

// The scheme of method 14 that key and peer have in common: with EC keys the curve's own hash
// comes first. NULL: none.
static const struct scheme *scheme_choose(EVP_PKEY *key, uint32_t hashes)
{
	int type = EVP_PKEY_get_base_id(key);
	const struct crypto_curve *curve = crypto_curve_of(key);
	const struct scheme *best = NULL;
	for (size_t i = 0; i < SCHEME_COUNT; i++) {
		const struct scheme *s = &schemes[i];
		if (!scheme_fits(s, type) || !(hashes & IKE_HASH_BIT(s->hash_id)))
			continue;
		if (!best || (curve && curve->hash_id == s->hash_id))
			best = s;
	}
	return best;
}

static enum ike_crypto_error sign_rfc7427(
	const struct scheme *s, EVP_PKEY *key, struct view octets, struct ike_auth_value *out)
{
	size_t head = 1 + (size_t)s->algid_len, len = sizeof(out->bytes) - head;
	out->method = IKE_AUTH_SIGNATURE;
	out->bytes[0] = s->algid_len;
	memcpy(out->bytes + 1, s->algid, s->algid_len);
	enum ike_crypto_error e = scheme_sign(s, key, octets, out->bytes + head, &len);
	out->len = (uint16_t)(e ? 0 : head + len);
	return e;
}

// RFC 4754 7: r | s, each of the field's length.
bool crypto_ecdsa_raw(struct view der, uint8_t coord_len, uint8_t *out)
{
	const uint8_t *p = der.p;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &p, (long)der.len);
	bool ok = sig && BN_bn2binpad(ECDSA_SIG_get0_r(sig), out, coord_len) == coord_len &&
		  BN_bn2binpad(ECDSA_SIG_get0_s(sig), out + coord_len, coord_len) == coord_len;
	ECDSA_SIG_free(sig);
	return ok;
}

size_t crypto_ecdsa_der(struct view raw, uint8_t **der)
{
	int half = (int)(raw.len / 2), len = 0;
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r = BN_bin2bn(raw.p, half, NULL);
	BIGNUM *s = BN_bin2bn(raw.p + half, half, NULL);
	*der = NULL;
	if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
		r = s = NULL;
		len = i2d_ECDSA_SIG(sig, der);
	}
	ECDSA_SIG_free(sig);
	BN_free(r);
	BN_free(s);
	return len > 0 ? (size_t)len : 0;
}

static enum ike_crypto_error sign_ecdsa(
	const struct crypto_curve *c, EVP_PKEY *key, struct view octets, struct ike_auth_value *out)
{
	const struct scheme s = {.key_type = EVP_PKEY_EC, .hash = c->hash};
	uint8_t der[CRYPTO_ECDSA_DER_MAX];
	size_t len = sizeof(der);
	enum ike_crypto_error e = scheme_sign(&s, key, octets, der, &len);
	if (e)
		return e;
	if (!crypto_ecdsa_raw((struct view){der, len}, c->coord_len, out->bytes))
		return IKE_CRYPTO_INTERNAL;
	out->method = c->method;
	out->len = (uint16_t)(2 * c->coord_len);
	return IKE_CRYPTO_OK;
}

enum ike_crypto_error ike_sign(EVP_PKEY *key, uint32_t hashes, bool allow_sha1, struct view octets,
	struct ike_auth_value *out)
{
	static const struct scheme rsa_sha1 = {.key_type = EVP_PKEY_RSA, .hash = "SHA1"};
	int type = EVP_PKEY_get_base_id(key);
	out->len = 0;
	enum ike_crypto_error e = crypto_key_check(key);
	if (e)
		return e;
	const struct scheme *s = scheme_choose(key, hashes);
	if (s)
		return sign_rfc7427(s, key, octets, out);
	if (type == EVP_PKEY_EC)
		return sign_ecdsa(crypto_curve_of(key), key, octets, out);
	if (type != EVP_PKEY_RSA)
		return IKE_CRYPTO_AUTH_HASH;
	if (!allow_sha1)
		return IKE_CRYPTO_AUTH_SHA1;
	size_t len = sizeof(out->bytes);
	out->method = IKE_AUTH_RSA_SHA1;
	e = scheme_sign(&rsa_sha1, key, octets, out->bytes, &len);
	out->len = (uint16_t)(e ? 0 : len);
	return e;
}

// RFC 7296 2.15 leaves the hash of method 1 open, and the signature itself names it.
static enum ike_crypto_error verify_rsa(
	EVP_PKEY *key, struct view auth, struct view octets, bool allow_sha1)
{
	static const char *const hashes[] = {"SHA256", "SHA384", "SHA512", "SHA1"};
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA)
		return IKE_CRYPTO_AUTH_METHOD;
	for (size_t i = 0; i < sizeof(hashes) / sizeof(hashes[0]); i++) {
		const struct scheme s = {.key_type = EVP_PKEY_RSA, .hash = hashes[i]};
		if (scheme_verify(&s, key, auth, octets) == IKE_CRYPTO_OK)
			return i < 3 || allow_sha1 ? IKE_CRYPTO_OK : IKE_CRYPTO_AUTH_SHA1;
	}
	return IKE_CRYPTO_AUTH_SIGNATURE;
}

static enum ike_crypto_error verify_ecdsa(
	EVP_PKEY *key, uint8_t method, struct view auth, struct view octets)
{
	const struct crypto_curve *c = crypto_curve_of(key);
	if (!c || c->method != method)
		return IKE_CRYPTO_AUTH_METHOD;
	if (auth.len != 2 * (size_t)c->coord_len)
		return IKE_CRYPTO_AUTH_FORMAT;
	const struct scheme s = {.key_type = EVP_PKEY_EC, .hash = c->hash};
	uint8_t *der;
	size_t len = crypto_ecdsa_der(auth, &der);
	enum ike_crypto_error e = len ? scheme_verify(&s, key, (struct view){der, len}, octets)
				      : IKE_CRYPTO_NO_MEMORY;
	OPENSSL_free(der);
	return e;
}

// The schemes' own AlgorithmIdentifiers, parsed, are what a peer's is compared with.
static const struct scheme *scheme_by(int key_type, bool pss, int hash_nid)
{
	for (size_t i = 0; i < SCHEME_COUNT; i++) {
		const struct scheme *s = &schemes[i];
		int nid = s->hash ? EVP_MD_get_type(EVP_get_digestbyname(s->hash)) : NID_undef;
		if (s->key_type == key_type && s->pss == pss && nid == hash_nid)
			return s;
	}
	return NULL;
}

static int algor_nid(const X509_ALGOR *a)
{
	const ASN1_OBJECT *object = NULL;
	X509_ALGOR_get0(&object, NULL, NULL, a);
	return object ? OBJ_obj2nid(object) : NID_undef;
}

static bool mgf1_with(const X509_ALGOR *mask, int hash_nid)
{
	if (!mask || algor_nid(mask) != NID_mgf1 || !mask->parameter)
		return false;
	X509_ALGOR *hash = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(X509_ALGOR), mask->parameter);
	bool ok = hash && algor_nid(hash) == hash_nid;
	X509_ALGOR_free(hash);
	return ok;
}

// RFC 4055 3.1: what is left out means SHA-1, MGF1 with SHA-1 and a salt of 20 bytes.
static enum ike_crypto_error pss_scheme(const X509_ALGOR *a, const struct scheme **out)
{
	RSA_PSS_PARAMS *p = a->parameter ? ASN1_TYPE_unpack_sequence(
						   ASN1_ITEM_rptr(RSA_PSS_PARAMS), a->parameter)
					 : NULL;
	enum ike_crypto_error e = IKE_CRYPTO_AUTH_ALGORITHM;
	if (p && (!p->hashAlgorithm || algor_nid(p->hashAlgorithm) == NID_sha1)) {
		e = IKE_CRYPTO_AUTH_SHA1;
	} else if (p) {
		int hash = algor_nid(p->hashAlgorithm);
		const struct scheme *s = scheme_by(EVP_PKEY_RSA, true, hash);
		if (s && mgf1_with(p->maskGenAlgorithm, hash) && p->saltLength &&
			ASN1_INTEGER_get(p->saltLength) == s->salt_len &&
			(!p->trailerField || ASN1_INTEGER_get(p->trailerField) == 1)) {
			*out = s;
			e = IKE_CRYPTO_OK;
		}
	}
	RSA_PSS_PARAMS_free(p);
	return e;
}

static enum ike_crypto_error algor_scheme(const X509_ALGOR *a, const struct scheme **out)
{
	int parameter = 0, hash = NID_undef, type = NID_undef, nid = algor_nid(a);
	X509_ALGOR_get0(NULL, &parameter, NULL, a);
	if (nid == NID_rsassaPss)
		return pss_scheme(a, out);
	if (nid == NID_sha1WithRSAEncryption || nid == NID_ecdsa_with_SHA1)
		return IKE_CRYPTO_AUTH_SHA1;
	if (nid == EVP_PKEY_ED25519 || nid == EVP_PKEY_ED448)
		type = nid;
	else if (OBJ_find_sigid_algs(nid, &hash, &type) != 1)
		return IKE_CRYPTO_AUTH_ALGORITHM;
	if (type == NID_X9_62_id_ecPublicKey)
		type = EVP_PKEY_EC;
	// RFC 4055 5: NULL, and absent is to be taken too; RFC 5758 3.2, 8410 3: absent.
	bool null_ok = type == EVP_PKEY_RSA && parameter == V_ASN1_NULL;
	if (parameter != V_ASN1_UNDEF && !null_ok)
		return IKE_CRYPTO_AUTH_ALGORITHM;
	*out = scheme_by(type, false, hash);
	return *out ? IKE_CRYPTO_OK : IKE_CRYPTO_AUTH_ALGORITHM;
}

// RFC 7427 3: one octet of length, the AlgorithmIdentifier, the signature.
static enum ike_crypto_error verify_rfc7427(EVP_PKEY *key, struct view auth, struct view octets)
{
	struct rd r = rd_view(auth);
	uint8_t len;
	struct view algid;
	if (!rd_u8(&r, &len) || len == 0 || !rd_bytes(&r, len, &algid) || rd_empty(&r))
		return IKE_CRYPTO_AUTH_FORMAT;
	const uint8_t *p = algid.p;
	const struct scheme *s = NULL;
	X509_ALGOR *a = d2i_X509_ALGOR(NULL, &p, len);
	enum ike_crypto_error e = IKE_CRYPTO_AUTH_ALGORITHM;
	if (a && p == algid.p + len)
		e = algor_scheme(a, &s);
	X509_ALGOR_free(a);
	if (e)
		return e;
	if (!scheme_fits(s, EVP_PKEY_get_base_id(key)))
		return IKE_CRYPTO_AUTH_METHOD;
	return scheme_verify(s, key, rd_rest(&r), octets);
}

enum ike_crypto_error ike_verify(
	EVP_PKEY *key, uint8_t method, struct view auth, struct view octets, bool allow_sha1)
{
	enum ike_crypto_error e = crypto_key_check(key);
	if (e)
		return e;
	switch (method) {
	case IKE_AUTH_RSA_SHA1:
		e = verify_rsa(key, auth, octets, allow_sha1);
		break;
	case IKE_AUTH_ECDSA_256:
	case IKE_AUTH_ECDSA_384:
	case IKE_AUTH_ECDSA_521:
		e = verify_ecdsa(key, method, auth, octets);
		break;
	case IKE_AUTH_SIGNATURE:
		e = verify_rfc7427(key, auth, octets);
		break;
	default:
		e = IKE_CRYPTO_AUTH_METHOD;
	}
	// The library notes down each failure, which costs memory until the next one.
	ERR_clear_error();
	return e;
}
