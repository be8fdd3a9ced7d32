// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The cryptography of IKE over OpenSSL's EVP: key derivation, message protection, Diffie-Hellman,
// authentication, certificates, and the jobs that carry the slow parts to a crypto helper.
//
// Unless said otherwise a function may run on any thread as long as no other thread uses the same
// object, borrows its arguments, and returns IKE_CRYPTO_OK (0) or the reason of its failure.
#pragma once

#include "base/sa_msg.h"
#include "base/secret.h"
#include "controlplane/controlplane.h"

#include <openssl/types.h>

#include <time.h>

// name, counter, text. The text fits "... failed: %s".
#define IKE_CRYPTO_ERRORS(X)                                                                   \
	X(OK, "ike_crypto_ok", "no error")                                                     \
	X(NO_MEMORY, "ike_crypto_no_memory", "out of memory")                                  \
	X(INTERNAL, "ike_crypto_internal", "the crypto library failed")                        \
	X(UNSUPPORTED, "ike_crypto_unsupported", "algorithm not supported")                    \
	X(SHORT, "ike_crypto_short", "encrypted payload too short")                            \
	X(BAD_ICV, "ike_crypto_bad_icv", "integrity check failed")                             \
	X(BAD_PADDING, "ike_crypto_bad_padding", "bad padding")                                \
	X(IV_EXHAUSTED, "ike_crypto_iv_exhausted", "no unused IV left under this key")         \
	X(DH_LENGTH, "ike_crypto_dh_length", "DH public value of wrong length")                \
	X(DH_VALUE, "ike_crypto_dh_value", "DH public value out of range or not on the curve") \
	X(DH_ZERO, "ike_crypto_dh_zero", "DH shared secret is zero")                           \
	X(AUTH_METHOD, "ike_crypto_auth_method", "authentication method does not fit the key") \
	X(AUTH_ALGORITHM, "ike_crypto_auth_algorithm",                                         \
		"signature algorithm unknown, malformed or refused")                           \
	X(AUTH_FORMAT, "ike_crypto_auth_format", "malformed AUTH data")                        \
	X(AUTH_SHA1, "ike_crypto_auth_sha1", "SHA-1 signature refused")                        \
	X(AUTH_HASH, "ike_crypto_auth_hash", "no signature hash in common")                    \
	X(AUTH_SIGNATURE, "ike_crypto_auth_signature", "signature does not verify")            \
	X(AUTH_PSK, "ike_crypto_auth_psk", "pre-shared key does not match")                    \
	X(NO_PSK, "ike_crypto_no_psk", "no pre-shared key")                                    \
	X(NO_CERTIFICATE, "ike_crypto_no_certificate", "no certificate")                       \
	X(NO_CA, "ike_crypto_no_ca", "no CA configured")                                       \
	X(CERT_COUNT, "ike_crypto_cert_count", "too many certificates")                        \
	X(CERT_SIZE, "ike_crypto_cert_size", "certificate too large")                          \
	X(CERT_FORMAT, "ike_crypto_cert_format", "malformed certificate")                      \
	X(CERT_KEY, "ike_crypto_cert_key", "certificate's public key is unusable")             \
	X(CERT_WEAK_KEY, "ike_crypto_cert_weak_key",                                           \
		"key too small or signature hash too weak in the chain")                       \
	X(CERT_USAGE, "ike_crypto_cert_usage", "certificate is not for signatures")            \
	X(CERT_UNTRUSTED, "ike_crypto_cert_untrusted",                                         \
		"certificate chain does not lead to a configured CA")                          \
	X(CERT_EXPIRED, "ike_crypto_cert_expired", "certificate has expired")                  \
	X(CERT_NOT_YET_VALID, "ike_crypto_cert_not_yet_valid", "certificate is not yet valid") \
	X(CERT_CONSTRAINTS, "ike_crypto_cert_constraints",                                     \
		"certificate violates a constraint of its issuer")                             \
	X(CERT_CHAIN, "ike_crypto_cert_chain", "certificate chain is not valid")               \
	X(CERT_NAME, "ike_crypto_cert_name", "certificate does not hold the peer's identity")

enum ike_crypto_error {
#define X(name, counter, text) IKE_CRYPTO_##name,
	IKE_CRYPTO_ERRORS(X)
#undef X
		IKE_CRYPTO_ERROR_COUNT
};

const char *ike_crypto_error_text(enum ike_crypto_error e);
// "ike_crypto_bad_icv", ...
const char *ike_crypto_error_name(enum ike_crypto_error e);

// True where the crypto library can do the algorithm. The first calls in a process try each: hashes
// and ciphers on a known answer, DH groups by making a key pair (some 20 ms in all, so call it once
// before the control thread runs); later ones are look-ups. Nothing that this denies may be offered
// or accepted. DES is in a module of OpenSSL's ("legacy") that need not be installed, and which the
// first question for it loads. key_bits as in alg_encr(); ignored for other types. ESP's algorithms are the data
// plane's matter.
bool ike_crypto_supports(enum transform_type type, uint16_t id, uint16_t key_bits);

// ---- PRF and key derivation ----

#define IKE_PRF_MAX    64  // bytes of output
#define IKE_SHARED_MAX 512 // bytes of a DH shared secret
#define IKE_NONCE_MAX  256 // bytes, RFC 7296 2.10

// prf(key, parts[0] | parts[1] | ...); out holds alg_prf(prf)->len bytes.
MUST_USE enum ike_crypto_error ike_prf(
	uint16_t prf, struct view key, const struct view *parts, size_t n, uint8_t *out);

// RFC 7296 2.13: prf+(key, seed), out_len bytes, at most 255 blocks (else UNSUPPORTED).
MUST_USE enum ike_crypto_error ike_prf_plus(
	uint16_t prf, struct view key, struct view seed, uint8_t *out, size_t out_len);

// RFC 7296 2.14. The views point into block; moving the struct keeps them valid. SK_e* hold the
// cipher's key, then its salt; SK_a* are empty with an AEAD.
struct ike_keys {
	struct secret block;
	struct view sk_d, sk_ai, sk_ar, sk_ei, sk_er, sk_pi, sk_pr;
};

struct ike_keys_input {
	const struct suite *suite;
	struct view shared; // g^ir
	struct view ni, nr;
	uint64_t spi_i, spi_r; // host order
	// Rekeying of an IKE SA (RFC 7296 2.18): the old SA's SK_d and PRF; NULL for a first one.
	const struct view *old_sk_d;
	uint16_t old_prf;
};

// The caller releases *out with ike_keys_fini(). On failure *out is empty.
MUST_USE enum ike_crypto_error ike_keys_derive(
	const struct ike_keys_input *in, struct ike_keys *out);
void ike_keys_fini(struct ike_keys *k); // wipes; an empty or zeroed struct is fine

struct ike_esp_keys {
	uint8_t encr[SA_ENCR_KEY_MAX]; // key, then salt
	uint8_t integ[SA_INTEG_KEY_MAX];
	uint8_t encr_len, integ_len;
};

// Directions by who sends: the initiator of the exchange that made the child SA is "i".
struct ike_child_keymat {
	struct ike_esp_keys i_to_r, r_to_i;
};

struct ike_child_input {
	uint16_t prf;       // of the IKE SA
	struct view sk_d;   // of the IKE SA
	struct view shared; // g^ir (new) with PFS, else empty
	struct view ni, nr; // of the exchange that makes the child SA
	const struct suite *esp;
};

// RFC 7296 2.17. Wipe *out (secret_wipe) after use.
MUST_USE enum ike_crypto_error ike_child_keys(
	const struct ike_child_input *in, struct ike_child_keymat *out);

// ---- Protection of messages: the SK payload (RFC 7296 3.14, 5282, 5930) and SKF (RFC 7383) ----

// One IKE SA's two directions. The keys are borrowed from ike_keys.block.
struct ike_crypt {
	const struct alg_encr *encr;
	const struct alg_integ *integ; // NULL with AEAD
	struct view seal_encr, seal_integ, open_encr, open_integ;
	uint64_t seal_count; // IVs used by us with AEAD and CTR: the next IV
};

// initiator: whether we are the IKE SA's original initiator.
MUST_USE enum ike_crypto_error ike_crypt_init(struct ike_crypt *c, const struct suite *suite,
	const struct ike_keys *keys, bool initiator);

// Bytes that plain_len bytes of inner payloads take from the IV to the ICV, both included.
size_t ike_sealed_len(const struct ike_crypt *c, size_t plain_len);
// Largest plain_len whose ike_sealed_len() does not exceed room; 0 if none.
size_t ike_sealed_room(const struct ike_crypt *c, size_t room);
// Where the plaintext is to stand, behind the payload header.
static inline size_t ike_seal_iv_len(const struct ike_crypt *c)
{
	return c->encr->iv_len;
}

// message[0, aad_len) is the message from the IKE header to the last byte of the SK payload's
// generic header (SKF: of its fragment numbers), all lengths in it final. The plaintext stands at
// message + aad_len + ike_seal_iv_len(). Writes IV, padding and ICV and encrypts in place; the
// message is then aad_len + ike_sealed_len(plain_len) bytes, and that room must exist.
MUST_USE enum ike_crypto_error ike_seal(
	struct ike_crypt *c, uint8_t *message, size_t aad_len, size_t plain_len);

// The reverse: message is a whole received message that ends with the SK or SKF payload, aad_len as
// above. The ICV is verified first, in constant time; SHORT, BAD_ICV, BAD_PADDING. out has room for
// message.len - aad_len bytes and is no part of message, unless it is exactly the ciphertext
// (message.p + aad_len + ike_seal_iv_len()). *out_len gets the inner payloads' bytes.
MUST_USE enum ike_crypto_error ike_open(const struct ike_crypt *c, struct view message,
	size_t aad_len, uint8_t *out, size_t *out_len);

// ---- Diffie-Hellman ----

struct ike_dh;

// NULL: group not known or no memory. Cheap.
struct ike_dh *ike_dh_new(uint16_t group);
void ike_dh_free(struct ike_dh *dh); // wipes; NULL is fine
// Slow: on a crypto helper.
MUST_USE enum ike_crypto_error ike_dh_generate(struct ike_dh *dh);
// As in the KE payload: modp padded to the prime's length, ECP x | y (RFC 5903), x25519 and x448
// (RFC 8031). Empty before ike_dh_generate(). Borrowed from dh.
struct view ike_dh_public(const struct ike_dh *dh);
uint16_t ike_dh_group(const struct ike_dh *dh);
// Slow. Checks peer_public first: exact length, 1 < y < p - 1, a point on the curve; a shared
// secret of zeros is refused (RFC 8031 2). *shared is the caller's to release; ECP: x alone.
MUST_USE enum ike_crypto_error ike_dh_derive(
	struct ike_dh *dh, struct view peer_public, struct secret *shared);

// ---- AUTH payload ----

enum ike_auth_method {
	IKE_AUTH_RSA_SHA1 = 1, // RSASSA-PKCS1-v1_5; verification also takes SHA-2
	IKE_AUTH_PSK = 2,
	IKE_AUTH_ECDSA_256 = 9,
	IKE_AUTH_ECDSA_384 = 10,
	IKE_AUTH_ECDSA_521 = 11,
	IKE_AUTH_NULL = 13,
	IKE_AUTH_SIGNATURE = 14, // RFC 7427
};

// SIGNATURE_HASH_ALGORITHMS, RFC 7427 4 and 8420 2, in our order of preference of no meaning.
enum ike_signature_hash {
	IKE_HASH_SHA1 = 1,
	IKE_HASH_SHA2_256 = 2,
	IKE_HASH_SHA2_384 = 3,
	IKE_HASH_SHA2_512 = 4,
	IKE_HASH_IDENTITY = 5,
};

#define IKE_HASH_BIT(hash) (1u << (hash))
// What we announce.
#define IKE_HASHES_OURS                                                      \
	(IKE_HASH_BIT(IKE_HASH_SHA2_256) | IKE_HASH_BIT(IKE_HASH_SHA2_384) | \
		IKE_HASH_BIT(IKE_HASH_SHA2_512) | IKE_HASH_BIT(IKE_HASH_IDENTITY))

// The notification's data (16-bit numbers) to a set of IKE_HASH_BIT(); unknown ones are left out.
// False if the length is odd.
MUST_USE bool ike_hashes_parse(struct view data, uint32_t *hashes);

// One side's signed octets, RFC 7296 2.15: message | nonce | prf(sk_p, id_body) | int_auth.
struct ike_auth_input {
	uint16_t prf;
	struct view sk_p;     // of the side that authenticates
	struct view message;  // its first message, IKE header to end, without a non-ESP marker
	struct view nonce;    // the other side's
	struct view id_body;  // its ID payload behind the generic header: type, reserved, data
	struct view int_auth; // RFC 9242; empty without IKE_INTERMEDIATE
};

MUST_USE enum ike_crypto_error ike_signed_octets(
	const struct ike_auth_input *in, struct secret *out);

// prf(prf(psk, "Key Pad for IKEv2"), signed octets), alg_prf(prf)->len bytes. NO_PSK if psk is
// empty. psk may be an EAP method's MSK.
MUST_USE enum ike_crypto_error ike_auth_psk(
	const struct ike_auth_input *in, struct view psk, uint8_t out[static IKE_PRF_MAX]);
// AUTH_FORMAT (length), AUTH_PSK. Constant time.
MUST_USE enum ike_crypto_error ike_auth_psk_verify(
	const struct ike_auth_input *in, struct view psk, struct view auth);

#define IKE_AUTH_MAX 1152 // bytes of AUTH data: RSA 8192 and an AlgorithmIdentifier

struct ike_auth_value {
	uint8_t method; // IKEv1: 0
	uint16_t len;
	uint8_t bytes[IKE_AUTH_MAX];
};

// Slow. hashes: the peer's set, 0 if it sent none: then method 1 (only with allow_sha1) or 9 to 11
// by the curve. Otherwise method 14: RSASSA-PSS (PKCS#1 v1.5 never is chosen), ECDSA, Ed25519, Ed448.
MUST_USE enum ike_crypto_error ike_sign(EVP_PKEY *key, uint32_t hashes, bool allow_sha1,
	struct view octets, struct ike_auth_value *out);
// Slow. auth is the AUTH payload's data.
MUST_USE enum ike_crypto_error ike_verify(
	EVP_PKEY *key, uint8_t method, struct view auth, struct view octets, bool allow_sha1);

// ---- Certificates ----

#define IKE_CHAIN_MAX       8            // intermediates taken from a peer
#define IKE_CERT_MAX        65536        // bytes of DER
#define IKE_CHAIN_BYTES_MAX (128 * 1024) // of leaf and intermediates together
#define IKE_DN_TEXT_MAX     512

// RFC 7296 3.5
enum ike_id_type {
	IKE_ID_IPV4 = 1,
	IKE_ID_FQDN = 2,
	IKE_ID_RFC822 = 3,
	IKE_ID_IPV6 = 5,
	IKE_ID_DN = 9,
	IKE_ID_GN = 10,
	IKE_ID_KEY_ID = 11,
};

// One of ours. Lives as long as the credentials; immutable, so any thread may use it.
struct ike_certificate {
	const char *path;         // as configured
	struct view leaf;         // DER
	const struct view *chain; // DER, leaf's issuer first
	size_t chain_count;
	EVP_PKEY *key;       // private
	struct view subject; // DER of the Name
};

// ike_credentials_new() and _free() are in controlplane.h.

// The certificate to present: the one of path, or (path NULL) the first that holds the identity and
// was issued below a CA in hashes (n x 20 bytes, SHA-1 of the SPKI; empty: any CA), then the first
// that holds the identity. NULL: none. own_id: local.id's text. O(number of certificates).
const struct ike_certificate *ike_credentials_find(
	const struct ike_credentials *c, const char *path, struct view hashes, const char *own_id);

// CERTREQ's Certification Authority field: SHA-1 of each CA's SPKI; empty without CAs.
struct view ike_credentials_certreq(const struct ike_credentials *c);
// Number of CAs; 0: no peer can prove itself by a certificate.
size_t ike_credentials_ca_count(const struct ike_credentials *c);

struct ike_peer_chain {
	struct view leaf;                 // DER, the first CERT payload
	const struct view *intermediates; // DER, in any order
	size_t intermediate_count;
	uint8_t id_type; // the peer's ID payload
	struct view id_data;
	time_t wall_s; // now
};

// Slow. Verifies the chain against the configured CAs, and that the ID stands in the leaf: as a SAN
// (FQDN: dNSName, RFC822: rfc822Name, addresses: iPAddress), or as its whole subject. Fetches
// nothing. *key is the caller's to free (EVP_PKEY_free).
MUST_USE enum ike_crypto_error ike_peer_verify(
	const struct ike_credentials *c, const struct ike_peer_chain *chain, EVP_PKEY **key);

// "C=CH, O=example, CN=gw" of a DER Name, escaped per RFC 2253, cut to fit; "" and false if it is
// not one.
bool ike_dn_text(struct view der, char buf[static IKE_DN_TEXT_MAX]);
// The reverse, for identities in the configuration. DER into *out. AUTH_FORMAT if it is no DN.
MUST_USE enum ike_crypto_error ike_dn_from_text(const char *text, struct secret *out);
// Equal for equal Names in the sense of ike_dn_equal(); 0 if it is not one.
uint64_t ike_dn_hash(struct view der);
// The same Name, compared the way X.509 does (case, spaces, string types); false if either is none.
bool ike_dn_equal(struct view a_der, struct view b_der);

// ---- Jobs ----

// Every job below begins with this. error is the result, set by run(). All hold copies of their
// inputs; constructors return NULL where there is no memory (or the group is not supported).
struct ike_crypto_job {
	struct ike_job job;
	enum ike_crypto_error error;
	void (*release)(struct ike_crypto_job *job);
};

// A job as its own kind; job was made by the matching constructor.
#define IKE_JOB_AS(type, job_ptr) ((struct type *)(void *)(job_ptr))

// Not while it is submitted. NULL is fine. Only jobs of this header.
void ike_job_free(struct ike_job *job);

// Generates dh's key pair unless it has one, then derives unless peer_public is empty.
struct ike_dh_job {
	struct ike_crypto_job base;
	struct ike_dh *dh;         // ike_dh_public(dh) once it ran
	struct secret peer_public; // input
	struct secret shared;      // result; secret_move() it out
};

struct ike_dh_job *ike_dh_job_generate(uint16_t group);
struct ike_dh_job *ike_dh_job_respond(uint16_t group, struct view peer_public);
// dh is taken, also on failure.
struct ike_dh_job *ike_dh_job_derive(struct ike_dh *dh, struct view peer_public);
// The key pair back from a generate job; the caller's to free.
struct ike_dh *ike_dh_job_take(struct ike_dh_job *job);

struct ike_sign_job {
	struct ike_crypto_job base;
	EVP_PKEY *key; // a reference of its own
	uint32_t hashes;
	bool allow_sha1;
	struct secret octets; // IKEv1: HASH_I or HASH_R
	bool ikev1;
	uint16_t ikev1_auth;         // enum ikev1_auth
	struct ike_auth_value value; // result
};

struct ike_sign_job *ike_sign_job_new(
	const struct ike_certificate *cert, uint32_t hashes, bool allow_sha1, struct view octets);

// Chain check, then signature.
struct ike_verify_job {
	struct ike_crypto_job base;
	const struct ike_credentials *credentials; // borrowed, outlives the job
	struct secret copies;                      // of everything that views below point to
	struct ike_peer_chain chain;
	struct view intermediates[IKE_CHAIN_MAX];
	uint8_t method;
	struct view auth, octets; // IKEv1: signature, HASH_I or HASH_R
	bool allow_sha1;
	bool ikev1;
	uint16_t ikev1_auth; // enum ikev1_auth
};

struct ike_verify_input {
	struct ike_peer_chain chain;
	uint8_t method;
	struct view auth;   // AUTH payload's data
	struct view octets; // signed octets
	bool allow_sha1;
};

// More than IKE_CHAIN_MAX intermediates or too many bytes: the job fails with that reason when run.
struct ike_verify_job *ike_verify_job_new(
	const struct ike_credentials *credentials, const struct ike_verify_input *in);
