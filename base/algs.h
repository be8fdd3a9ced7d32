// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The algorithms by their IKEv2 transform ids (IANA "Internet Key Exchange Version 2 Parameters"),
// with the sizes and keywords that every part needs. The wire's number is the only number.
#pragma once

#include "base/cursor.h"

enum transform_type {
	TRANSFORM_ENCR = 1,
	TRANSFORM_PRF = 2,
	TRANSFORM_INTEG = 3,
	TRANSFORM_DH = 4,
	TRANSFORM_ESN = 5,
};

enum encr_id {
	ENCR_DES = 2,
	ENCR_3DES = 3,
	ENCR_NULL = 11,
	ENCR_AES_CBC = 12,
	ENCR_AES_CTR = 13,
	ENCR_AES_CCM_8 = 14,
	ENCR_AES_CCM_12 = 15,
	ENCR_AES_CCM_16 = 16,
	ENCR_AES_GCM_8 = 18,
	ENCR_AES_GCM_12 = 19,
	ENCR_AES_GCM_16 = 20,
	ENCR_NULL_AUTH_AES_GMAC = 21,
	ENCR_CHACHA20_POLY1305 = 28,
};

enum prf_id {
	PRF_HMAC_MD5 = 1,
	PRF_HMAC_SHA1 = 2,
	PRF_HMAC_SHA2_256 = 5,
	PRF_HMAC_SHA2_384 = 6,
	PRF_HMAC_SHA2_512 = 7,
};

enum integ_id {
	INTEG_NONE = 0,
	INTEG_HMAC_MD5_96 = 1,
	INTEG_HMAC_SHA1_96 = 2,
	INTEG_AES_XCBC_96 = 5,
	INTEG_AES_CMAC_96 = 8,
	INTEG_HMAC_SHA2_256_128 = 12,
	INTEG_HMAC_SHA2_384_192 = 13,
	INTEG_HMAC_SHA2_512_256 = 14,
};

enum dh_id {
	DH_NONE = 0,
	DH_MODP_768 = 1,
	DH_MODP_1024 = 2,
	DH_MODP_1536 = 5,
	DH_MODP_2048 = 14,
	DH_MODP_3072 = 15,
	DH_MODP_4096 = 16,
	DH_ECP_256 = 19,
	DH_ECP_384 = 20,
	DH_ECP_521 = 21,
	DH_X25519 = 31,
	DH_X448 = 32,
};

// One row a cipher and key length, and the keyword that names both ("aes128gcm16").
struct alg_encr {
	uint16_t id;
	uint16_t key_bits; // 0 in the transform's attribute where the length is fixed
	uint8_t key_len;   // bytes, without the salt
	uint8_t salt_len;  // bytes of keying material behind the key
	uint8_t iv_len;    // bytes on the wire
	uint8_t icv_len;   // bytes; 0: not an AEAD
	uint8_t block;     // bytes
	bool fixed_key;    // no key length attribute on the wire
	const char *keyword;
	const char *legacy; // the name that "legacy" must list, or NULL
};

struct alg_integ {
	uint16_t id;
	uint8_t key_len; // bytes
	uint8_t icv_len; // bytes
	const char *keyword;
	const char *legacy;
};

struct alg_prf {
	uint16_t id;
	uint8_t len; // bytes of output, and of a preferred key
	const char *keyword;
	const char *legacy;
};

struct alg_dh {
	uint16_t id;
	uint16_t public_len; // bytes on the wire
	uint16_t secret_len; // bytes
	const char *keyword;
	const char *legacy;
};

// NULL where the algorithm is not known. key_bits 0 with AES means 128 (peers that leave the
// attribute out); it is ignored for ciphers of one key length.
const struct alg_encr *alg_encr(uint16_t id, uint16_t key_bits);
const struct alg_integ *alg_integ(uint16_t id);
const struct alg_prf *alg_prf(uint16_t id);
const struct alg_dh *alg_dh(uint16_t id);

// False for ENCR_NULL and AES-GMAC: what they protect can be read by everybody.
bool alg_encr_conceals(uint16_t id);

const struct alg_encr *alg_encr_keyword(const char *keyword);
const struct alg_integ *alg_integ_keyword(const char *keyword);
const struct alg_prf *alg_prf_keyword(const char *keyword);
const struct alg_dh *alg_dh_keyword(const char *keyword);

#define PROPOSAL_MAX 8 // algorithms of one type in one proposal

struct proposal_encr {
	uint16_t id;
	uint16_t key_bits;
};

// What one keyword string allows, each list in order of preference. An IKE proposal names a PRF
// (or gets that of its hash); an ESP proposal with a DH group asks for PFS.
struct proposal {
	struct proposal_encr encr[PROPOSAL_MAX];
	uint16_t prf[PROPOSAL_MAX];
	uint16_t integ[PROPOSAL_MAX]; // empty with AEAD ciphers
	uint16_t dh[PROPOSAL_MAX];
	uint8_t encr_count, prf_count, integ_count, dh_count;
	bool aead; // all ciphers are; a mixture is not a proposal
};

// swanctl's keywords joined by "-": "aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048".
// 0, or -EINVAL and a sentence in why[cap]. An unknown keyword is named.
MUST_USE int proposal_parse(
	const char *text, bool esp, struct proposal *out, char *why, size_t cap);

// The n-th algorithm in p, from 0, that "legacy" would have to name, or NULL past the last; a word
// may come more than once.
const char *proposal_legacy(const struct proposal *p, size_t n);

// What a negotiation ended with.
struct suite {
	struct proposal_encr encr;
	uint16_t prf;   // IKE only
	uint16_t integ; // INTEG_NONE with AEAD
	uint16_t dh;    // DH_NONE: no PFS
	bool esn;       // ESP only
};

// The word of "legacy" for the first weak algorithm in s, or NULL.
const char *suite_legacy(const struct suite *s);

// "aes128gcm16-prfsha256-x25519", for show and log; returns buf.
#define SUITE_TEXT_MAX 80
const char *suite_text(const struct suite *s, char buf[static SUITE_TEXT_MAX]);
