// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The cryptography that is IKEv1's own: keys, IVs, CBC without integrity, hashes that authenticate,
// and signatures over them. Conventions as in crypto.h.
#pragma once

#include "controlplane/crypto/crypto.h"

#define IKEV1_IV_MAX   16
#define IKEV1_HASH_MAX IKE_PRF_MAX

// RFC 2409 5 and appendix B. Views into block; moving the struct keeps them valid. The hash is that
// of suite.prf: HMAC with it is the PRF.
struct ikev1_keys {
	struct secret block;
	struct view skeyid, skeyid_d, skeyid_a, skeyid_e;
	struct view encr; // of the negotiated cipher's length, from SKEYID_e
};

struct ikev1_keys_input {
	const struct suite *suite; // encr, prf
	struct view psk;           // authentication by a pre-shared key: not empty
	struct view shared;        // g^xy
	struct view ni, nr;        // Ni_b, Nr_b
	uint64_t spi_i, spi_r;     // the cookies, host order
};
// NO_PSK is not returned: an empty psk means signatures (SKEYID = prf(Ni_b | Nr_b, g^xy)).
MUST_USE enum ike_crypto_error ikev1_keys_derive(
	const struct ikev1_keys_input *in, struct ikev1_keys *out);
void ikev1_keys_fini(struct ikev1_keys *k);

// hash(g^xi | g^xr), as many bytes as the cipher's block, zeros behind them.
MUST_USE enum ike_crypto_error ikev1_iv_phase1(const struct suite *suite, struct view ke_i,
	struct view ke_r, uint8_t iv[static IKEV1_IV_MAX]);
// hash(last ciphertext block of phase 1 | M-ID).
MUST_USE enum ike_crypto_error ikev1_iv_phase2(const struct suite *suite,
	const uint8_t last[static IKEV1_IV_MAX], uint32_t message_id,
	uint8_t iv[static IKEV1_IV_MAX]); // may be last itself

// CBC in place over data, len a multiple of the block; iv becomes the last ciphertext block.
MUST_USE enum ike_crypto_error ikev1_encrypt(const struct suite *suite, struct view key,
	uint8_t iv[static IKEV1_IV_MAX], uint8_t *data, size_t len);
// Into out (may be data.p itself). SHORT where data is empty or no multiple of the block. iv as above.
MUST_USE enum ike_crypto_error ikev1_decrypt(const struct suite *suite, struct view key,
	uint8_t iv[static IKEV1_IV_MAX], struct view data, uint8_t *out);

// The PRF of HASH_I and HASH_R: the negotiated one, but with ECDSA that of the hash which the method
// names (RFC 2409 5: "this can be overridden for construction of the signature if the signature
// algorithm is tied to a particular hash algorithm"; RFC 4754 3). SKEYID stays what it is.
uint16_t ikev1_hash_prf(uint16_t auth, uint16_t prf);

// HASH_I and HASH_R, alg_prf(in->prf)->len bytes. of_initiator: which. id_body: of that side.
struct ikev1_hash_input {
	uint16_t prf; // ikev1_hash_prf()
	struct view skeyid;
	struct view ke_i, ke_r;
	uint64_t spi_i, spi_r;
	struct view sa_i;    // SAi_b: the initiator's SA payload body
	struct view id_body; // of the side that authenticates
};
MUST_USE enum ike_crypto_error ikev1_hash_auth(
	const struct ikev1_hash_input *in, bool of_initiator, uint8_t out[static IKEV1_HASH_MAX]);

// HASH(1), (2), (3) and the informational one are ike_prf(prf, skeyid_a, parts): the caller's.

// hash(cookies | address | port) of NAT-D, RFC 3947 3.2. Returns its length, 0 on failure.
size_t ikev1_natd_hash(uint16_t prf, uint64_t spi_i, uint64_t spi_r, const struct endpoint *ep,
	uint8_t out[static IKEV1_HASH_MAX]);

// KEYMAT of one ESP SA (RFC 2409 5.5): of the direction whose receiver chose spi.
struct ikev1_child_input {
	uint16_t prf;
	struct view skeyid_d;
	struct view shared; // PFS, else empty
	uint32_t spi;       // host order
	struct view ni, nr;
	const struct suite *esp;
};
MUST_USE enum ike_crypto_error ikev1_child_keys(
	const struct ikev1_child_input *in, struct ike_esp_keys *out);

// Signatures over HASH_I or HASH_R. RSA: PKCS#1 v1.5 over the bare hash without DigestInfo (RFC 2409
// 5.1; verification takes a DigestInfo too, which some peers write). ECDSA: RFC 4754, r | s. The hash
// stands in for the digest. auth: enum ikev1_auth of the negotiation, its XAUTH and hybrid forms too.
// Slow: jobs below.
MUST_USE enum ike_crypto_error ikev1_sign(
	EVP_PKEY *key, uint16_t auth, struct view hash, struct ike_auth_value *out);
MUST_USE enum ike_crypto_error ikev1_verify(
	EVP_PKEY *key, uint16_t auth, struct view sig, struct view hash);

// As ike_sign_job_new() and ike_verify_job_new(); the results are in the same structs
// (struct ike_sign_job's value, base.error). cert's key, and auth, as for ikev1_sign().
struct ike_sign_job *ikev1_sign_job_new(
	const struct ike_certificate *cert, uint16_t auth, struct view hash);
struct ikev1_verify_input {
	struct ike_peer_chain chain;
	uint16_t auth;
	struct view sig, hash;
};
struct ike_verify_job *ikev1_verify_job_new(
	const struct ike_credentials *credentials, const struct ikev1_verify_input *in);

// The authentication that a key is for, without XAUTH: IKEV1_AUTH_RSA, IKEV1_AUTH_ECDSA_*; 0: IKEv1
// has none for it.
uint16_t ikev1_key_auth(const EVP_PKEY *key);
// The key signs with auth, its XAUTH and hybrid forms too.
bool ikev1_key_fits(const EVP_PKEY *key, uint16_t auth);

// DER Names of the configured CAs, for CERTREQ: name i, empty past the last.
struct view ike_credentials_ca_name(const struct ike_credentials *c, size_t i);

struct ikev1_cert_wanted {
	const char *path;   // as configured; NULL: by own_id
	const char *own_id; // local.id's text
	uint16_t auth;      // that the key is to fit; 0: any
	// The CERTREQs' contents: DER Names of CAs, the peer's first choice first. An empty one and
	// one that is no Name ask for nothing.
	const struct view *names;
	size_t name_count;
};
// As ike_credentials_find() for IKEv1, whose peers name CAs and not their keys. O(certificates x
// names).
const struct ike_certificate *ikev1_credentials_find(
	const struct ike_credentials *c, const struct ikev1_cert_wanted *want);
