// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Signatures of IKEv1: over HASH_I or HASH_R, which stands where a digest would.
#include "controlplane/crypto/ikev1.h"

#include "controlplane/crypto/internal.h"
#include "controlplane/wire/ikev1_numbers.h"

#include <openssl/err.h>
#include <openssl/rsa.h>

static bool is_rsa(uint16_t auth)
{
	switch (auth) {
	case IKEV1_AUTH_RSA:
	case IKEV1_AUTH_XAUTH_INIT_RSA:
	case IKEV1_AUTH_XAUTH_RESP_RSA:
	case IKEV1_AUTH_HYBRID_INIT_RSA:
	case IKEV1_AUTH_HYBRID_RESP_RSA:
		return true;
	default:
		return false;
	}
}

// The numbers of ECDSA's methods are those of IKEv2 (RFC 4754 6).
_Static_assert((int)IKEV1_AUTH_ECDSA_256 == (int)IKE_AUTH_ECDSA_256, "struct crypto_curve");
_Static_assert((int)IKEV1_AUTH_ECDSA_384 == (int)IKE_AUTH_ECDSA_384, "struct crypto_curve");
_Static_assert((int)IKEV1_AUTH_ECDSA_521 == (int)IKE_AUTH_ECDSA_521, "struct crypto_curve");

uint16_t ikev1_key_auth(const EVP_PKEY *key)
{
	const struct crypto_curve *curve = crypto_curve_of(key);
	if (curve)
		return curve->method;
	// A key that is marked for PSS signs with nothing else.
	return EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA ? IKEV1_AUTH_RSA : 0;
}

bool ikev1_key_fits(const EVP_PKEY *key, uint16_t auth)
{
	uint16_t own = ikev1_key_auth(key);
	return own && own == (is_rsa(auth) ? IKEV1_AUTH_RSA : auth);
}

static const struct alg_prf *prf_by_len(size_t len)
{
	static const uint16_t prfs[] = {PRF_HMAC_MD5, PRF_HMAC_SHA1, PRF_HMAC_SHA2_256,
		PRF_HMAC_SHA2_384, PRF_HMAC_SHA2_512};
	for (size_t i = 0; i < sizeof(prfs) / sizeof(prfs[0]); i++)
		if (alg_prf(prfs[i])->len == len)
			return alg_prf(prfs[i]);
	return NULL;
}

// The key, and that the hash has the length of one: ECDSA's is given by the curve (RFC 4754 3).
static enum ike_crypto_error inputs_check(const EVP_PKEY *key, uint16_t auth, struct view hash)
{
	enum ike_crypto_error e = crypto_key_check(key);
	if (e)
		return e;
	if (!ikev1_key_fits(key, auth))
		return IKE_CRYPTO_AUTH_METHOD;
	const struct alg_prf *prf = prf_by_len(hash.len);
	return prf && prf->id == ikev1_hash_prf(auth, prf->id) ? IKE_CRYPTO_OK
							       : IKE_CRYPTO_INTERNAL;
}

// md NULL: what is signed is the hash as it is, without a DigestInfo around it.
static bool padding_set(EVP_PKEY_CTX *ctx, const EVP_MD *md)
{
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_PADDING) == 1 &&
	       (!md || EVP_PKEY_CTX_set_signature_md(ctx, md) == 1);
}

static enum ike_crypto_error sign(EVP_PKEY *key, struct view hash, uint8_t *signature, size_t *len)
{
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	if (!ctx || EVP_PKEY_sign_init(ctx) != 1 || (rsa && !padding_set(ctx, NULL)) ||
		EVP_PKEY_sign(ctx, signature, len, hash.p, hash.len) != 1)
		return IKE_CRYPTO_INTERNAL;
	return IKE_CRYPTO_OK;
}

static enum ike_crypto_error sign_ecdsa(EVP_PKEY *key, struct view hash, struct ike_auth_value *out)
{
	const struct crypto_curve *c = crypto_curve_of(key);
	uint8_t der[CRYPTO_ECDSA_DER_MAX];
	size_t len = sizeof(der);
	enum ike_crypto_error e = sign(key, hash, der, &len);
	if (e == IKE_CRYPTO_OK &&
		!crypto_ecdsa_raw((struct view){der, len}, c->coord_len, out->bytes))
		e = IKE_CRYPTO_INTERNAL;
	out->len = (uint16_t)(e ? 0 : 2 * c->coord_len);
	return e;
}

enum ike_crypto_error ikev1_sign(
	EVP_PKEY *key, uint16_t auth, struct view hash, struct ike_auth_value *out)
{
	out->method = 0;
	out->len = 0;
	enum ike_crypto_error e = inputs_check(key, auth, hash);
	if (e)
		return e;
	if (!is_rsa(auth))
		return sign_ecdsa(key, hash, out);
	size_t len = sizeof(out->bytes);
	e = sign(key, hash, out->bytes, &len);
	out->len = (uint16_t)(e ? 0 : len);
	return e;
}

static enum ike_crypto_error verify(
	EVP_PKEY *key, const EVP_MD *md, struct view signature, struct view hash)
{
	PKEY_CTX_CLEANUP EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	bool rsa = EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	if (!ctx || EVP_PKEY_verify_init(ctx) != 1 || (rsa && !padding_set(ctx, md)))
		return IKE_CRYPTO_INTERNAL;
	return EVP_PKEY_verify(ctx, signature.p, signature.len, hash.p, hash.len) == 1
		       ? IKE_CRYPTO_OK
		       : IKE_CRYPTO_AUTH_SIGNATURE;
}

// RFC 2409 5.1: "RSA signatures MUST be encoded as a private key encryption in PKCS #1 format and
// not as a signature in PKCS #1 format (which includes the OID of the hash algorithm)." The other
// format is taken as well: the hash it names has to be the one whose length ours has.
static enum ike_crypto_error verify_rsa(EVP_PKEY *key, struct view signature, struct view hash)
{
	if (signature.len != (size_t)EVP_PKEY_get_size(key))
		return IKE_CRYPTO_AUTH_FORMAT;
	enum ike_crypto_error e = verify(key, NULL, signature, hash);
	const EVP_MD *md = crypto_md(crypto_hash_of_prf(prf_by_len(hash.len)->id));
	return e == IKE_CRYPTO_OK || !md ? e : verify(key, md, signature, hash);
}

static enum ike_crypto_error verify_ecdsa(EVP_PKEY *key, struct view signature, struct view hash)
{
	if (signature.len != 2 * (size_t)crypto_curve_of(key)->coord_len)
		return IKE_CRYPTO_AUTH_FORMAT;
	uint8_t *der;
	size_t len = crypto_ecdsa_der(signature, &der);
	enum ike_crypto_error e =
		len ? verify(key, NULL, (struct view){der, len}, hash) : IKE_CRYPTO_NO_MEMORY;
	OPENSSL_free(der);
	return e;
}

enum ike_crypto_error ikev1_verify(EVP_PKEY *key, uint16_t auth, struct view sig, struct view hash)
{
	enum ike_crypto_error e = inputs_check(key, auth, hash);
	if (e)
		return e;
	e = is_rsa(auth) ? verify_rsa(key, sig, hash) : verify_ecdsa(key, sig, hash);
	// The library notes down each failure, which costs memory until the next one.
	ERR_clear_error();
	return e;
}
