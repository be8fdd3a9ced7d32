// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A peer's certificate chain.
#include "controlplane/crypto/internal.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>

// 112 bits of strength for every key and signature below the trust anchor: RSA of 2048 bits, and
// neither MD5 nor SHA-1.
#define AUTH_LEVEL 2

X509 *crypto_x509(struct view der)
{
	if (der.len == 0 || der.len > IKE_CERT_MAX)
		return NULL;
	const uint8_t *p = der.p;
	X509 *cert = d2i_X509(NULL, &p, (long)der.len);
	ERR_clear_error();
	if (cert && p != der.p + der.len) {
		X509_free(cert);
		cert = NULL;
	}
	return cert;
}

static enum ike_crypto_error chain_size(const struct ike_peer_chain *chain)
{
	size_t total = chain->leaf.len;
	if (chain->leaf.len == 0)
		return IKE_CRYPTO_NO_CERTIFICATE;
	if (chain->intermediate_count > IKE_CHAIN_MAX)
		return IKE_CRYPTO_CERT_COUNT;
	if (chain->leaf.len > IKE_CERT_MAX)
		return IKE_CRYPTO_CERT_SIZE;
	for (size_t i = 0; i < chain->intermediate_count; i++) {
		if (chain->intermediates[i].len > IKE_CERT_MAX)
			return IKE_CRYPTO_CERT_SIZE;
		total += chain->intermediates[i].len;
	}
	return total <= IKE_CHAIN_BYTES_MAX ? IKE_CRYPTO_OK : IKE_CRYPTO_CERT_SIZE;
}

static enum ike_crypto_error verify_reason(int error)
{
	switch (error) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_UNTRUSTED:
		return IKE_CRYPTO_CERT_UNTRUSTED;
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return IKE_CRYPTO_CERT_EXPIRED;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return IKE_CRYPTO_CERT_NOT_YET_VALID;
	case X509_V_ERR_EE_KEY_TOO_SMALL:
	case X509_V_ERR_CA_KEY_TOO_SMALL:
	case X509_V_ERR_CA_MD_TOO_WEAK:
		return IKE_CRYPTO_CERT_WEAK_KEY;
	case X509_V_ERR_PERMITTED_VIOLATION:
	case X509_V_ERR_EXCLUDED_VIOLATION:
	case X509_V_ERR_SUBTREE_MINMAX:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_TYPE:
	case X509_V_ERR_UNSUPPORTED_CONSTRAINT_SYNTAX:
	case X509_V_ERR_UNSUPPORTED_NAME_SYNTAX:
	case X509_V_ERR_PATH_LENGTH_EXCEEDED:
		return IKE_CRYPTO_CERT_CONSTRAINTS;
	case X509_V_ERR_OUT_OF_MEM:
		return IKE_CRYPTO_NO_MEMORY;
	default:
		return IKE_CRYPTO_CERT_CHAIN;
	}
}

static enum ike_crypto_error chain_verify(
	X509_STORE *store, X509 *leaf, STACK_OF(X509) * untrusted, time_t wall_s)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	enum ike_crypto_error e = IKE_CRYPTO_NO_MEMORY;
	if (ctx && X509_STORE_CTX_init(ctx, store, leaf, untrusted) == 1) {
		X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
		// What the administrator lists as a CA is trusted, be it a root or not.
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_PARTIAL_CHAIN);
		X509_VERIFY_PARAM_set_time(param, wall_s);
		X509_VERIFY_PARAM_set_depth(param, IKE_CHAIN_MAX);
		X509_VERIFY_PARAM_set_auth_level(param, AUTH_LEVEL);
		e = X509_verify_cert(ctx) == 1 ? IKE_CRYPTO_OK
					       : verify_reason(X509_STORE_CTX_get_error(ctx));
	}
	X509_STORE_CTX_free(ctx);
	return e;
}

// RFC 4945 5.1.3.2: with a KeyUsage, digitalSignature or nonRepudiation is set.
static bool usage_fits(X509 *leaf)
{
	return X509_get_key_usage(leaf) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION);
}

static enum ike_crypto_error leaf_check(X509 *leaf, const struct ike_peer_chain *chain)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	if (!key)
		return IKE_CRYPTO_CERT_KEY;
	enum ike_crypto_error e = crypto_key_check(key);
	if (e)
		return e;
	if (!usage_fits(leaf))
		return IKE_CRYPTO_CERT_USAGE;
	return crypto_cert_has_id(leaf, chain->id_type, chain->id_data) ? IKE_CRYPTO_OK
									: IKE_CRYPTO_CERT_NAME;
}

static enum ike_crypto_error intermediates_parse(
	const struct ike_peer_chain *chain, STACK_OF(X509) * out)
{
	for (size_t i = 0; i < chain->intermediate_count; i++) {
		X509 *cert = crypto_x509(chain->intermediates[i]);
		if (!cert)
			return IKE_CRYPTO_CERT_FORMAT;
		if (sk_X509_push(out, cert) <= 0) {
			X509_free(cert);
			return IKE_CRYPTO_NO_MEMORY;
		}
	}
	return IKE_CRYPTO_OK;
}

enum ike_crypto_error ike_peer_verify(
	const struct ike_credentials *c, const struct ike_peer_chain *chain, EVP_PKEY **key)
{
	*key = NULL;
	if (ike_credentials_ca_count(c) == 0)
		return IKE_CRYPTO_NO_CA;
	enum ike_crypto_error e = chain_size(chain);
	if (e)
		return e;
	X509_CLEANUP X509 *leaf = crypto_x509(chain->leaf);
	if (!leaf)
		return IKE_CRYPTO_CERT_FORMAT;
	STACK_OF(X509) *untrusted = sk_X509_new_null();
	e = untrusted ? intermediates_parse(chain, untrusted) : IKE_CRYPTO_NO_MEMORY;
	// The cheap checks come first, and nothing counts before the chain is verified.
	if (e == IKE_CRYPTO_OK)
		e = leaf_check(leaf, chain);
	if (e == IKE_CRYPTO_OK)
		e = chain_verify(ike_credentials_store(c), leaf, untrusted, chain->wall_s);
	if (e == IKE_CRYPTO_OK)
		*key = X509_get_pubkey(leaf);
	if (e == IKE_CRYPTO_OK && !*key)
		e = IKE_CRYPTO_CERT_KEY;
	sk_X509_pop_free(untrusted, X509_free);
	ERR_clear_error();
	return e;
}
