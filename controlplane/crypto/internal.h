// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the files of controlplane/crypto/ share. Nobody else but their tests includes this.
#pragma once

#include "controlplane/crypto/crypto.h"

#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

enum crypto_hash {
	CRYPTO_HASH_MD5,
	CRYPTO_HASH_SHA1,
	CRYPTO_HASH_SHA256,
	CRYPTO_HASH_SHA384,
	CRYPTO_HASH_SHA512,
	CRYPTO_HASH_COUNT,
};

enum crypto_hash crypto_hash_of_prf(uint16_t prf);     // _COUNT: none
enum crypto_hash crypto_hash_of_integ(uint16_t integ); // _COUNT: none

// From a table fetched once a process; NULL where the library cannot do it.
const EVP_MD *crypto_md(enum crypto_hash hash);

// This thread's context, the algorithm set, the key not: EVP_*Init with a key and a NULL algorithm
// makes it ready. Valid until the thread ends; one use at a time. NULL: not supported or no memory.
EVP_MAC_CTX *crypto_hmac_ctx(enum crypto_hash hash);
EVP_CIPHER_CTX *crypto_cipher_ctx(const struct alg_encr *encr);

// HMAC of the parts; out holds the hash's length.
MUST_USE enum ike_crypto_error crypto_hmac(
	enum crypto_hash hash, struct view key, const struct view *parts, size_t n, uint8_t *out);

// The library can make a key pair in this group: tried once a process, all groups in some 20 ms.
bool crypto_dh_usable(uint16_t group);

// dh gets this key pair instead of a random one: for published vectors. x25519, x448: public_value
// may be empty. In wire format; big endian where the group has numbers.
MUST_USE enum ike_crypto_error ike_dh_import(
	struct ike_dh *dh, struct view private_value, struct view public_value);
// Bits of the private exponent; 0 where the group has none.
int ike_dh_private_bits(const struct ike_dh *dh);

bool crypto_nonces_fit(struct view ni, struct view nr);
// An ESP SA's keys: their lengths, false where the suite has none; then the bytes, cipher's first.
MUST_USE bool crypto_esp_keys_size(const struct suite *esp, struct ike_esp_keys *k);
void crypto_esp_keys_cut(struct ike_esp_keys *k, struct rd *r);

// RFC 4754: methods 9 to 11 bind curve and hash.
struct crypto_curve {
	const char *name;
	uint8_t method;
	uint8_t hash_id; // of SIGNATURE_HASH_ALGORITHMS
	const char *hash;
	uint8_t coord_len; // bytes
};

// NULL: not an EC key on one of them.
const struct crypto_curve *crypto_curve_of(const EVP_PKEY *key);

#define CRYPTO_ECDSA_DER_MAX 160

// An ECDSA signature: the library's DER to r | s (out: 2 x coord_len bytes), and back. *der is for
// OPENSSL_free(), its length returned, 0: out of memory.
MUST_USE bool crypto_ecdsa_raw(struct view der, uint8_t coord_len, uint8_t *out);
size_t crypto_ecdsa_der(struct view raw, uint8_t **der);

// Whether a public (or our own) key may be used: RSA 2048 to 8192 bits with an odd exponent of at
// least 65537, P-256/384/521, Ed25519, Ed448. CERT_KEY, CERT_WEAK_KEY.
MUST_USE enum ike_crypto_error crypto_key_check(const EVP_PKEY *key);

// One whole certificate, nothing behind it. NULL: it is not one.
X509 *crypto_x509(struct view der);

// The identity stands in the certificate: a SAN of the ID's type, or the whole subject.
bool crypto_cert_has_id(X509 *cert, uint8_t id_type, struct view id_data);
// The same for the configuration's text: an address, a DN (has '='), a mail address (has '@'), a name.
bool crypto_cert_has_text_id(X509 *cert, const char *id);

X509_STORE *ike_credentials_store(const struct ike_credentials *c);

void crypto_pkey_cleanup(EVP_PKEY **p);
void crypto_pkey_ctx_cleanup(EVP_PKEY_CTX **p);
void crypto_x509_cleanup(X509 **p);
#define PKEY_CLEANUP     __attribute__((cleanup(crypto_pkey_cleanup)))
#define PKEY_CTX_CLEANUP __attribute__((cleanup(crypto_pkey_ctx_cleanup)))
#define X509_CLEANUP     __attribute__((cleanup(crypto_x509_cleanup)))
