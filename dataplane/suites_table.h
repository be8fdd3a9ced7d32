// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The suites' tables and the shape of their expanded keys: between suites.c, which expands, and
// suites_run.c, which runs.
#pragma once

#include "dataplane/suites.h"

struct keys_aes {
	uint8_t enc[16 * 15] __attribute__((aligned(16)));
	uint8_t dec[16 * 15] __attribute__((aligned(16)));
};

// Three for 3DES, which the library finds by an array of pointers; DES has the first alone.
struct keys_des {
	uint64_t schedule[3][IMB_DES_KEY_SCHED_SIZE / 8] __attribute__((aligned(16)));
	const void *pass[3];
};

// What follows the cipher's keys where integrity is a separate algorithm. The states of SHA-384
// and SHA-512 are the longest: 64 bytes.
struct keys_hmac {
	uint8_t inner[64] __attribute__((aligned(16)));
	uint8_t outer[64] __attribute__((aligned(16)));
};

// For the MACs of AES-128: the key's schedule, and what the last block is mixed with where it is whole or
// padded (RFC 3566's K1, K2 and K3; RFC 4493's K, K1 and K2).
struct keys_block_mac {
	uint32_t schedule[44] __attribute__((aligned(16)));
	uint8_t whole[16] __attribute__((aligned(16)));
	uint8_t padded[16] __attribute__((aligned(16)));
};

struct keys_split {
	union {
		struct keys_aes aes;
		struct keys_des des;
	};
	union {
		struct keys_hmac hmac;
		struct keys_block_mac block_mac;
	};
};

union keys {
	struct gcm_key_data gcm;
	struct keys_split split;
	uint8_t chacha[32];
};

enum how { HOW_GCM, HOW_GMAC, HOW_CHACHA, HOW_CCM, HOW_SPLIT };

struct cipher_row {
	uint16_t id, key_bits;
	enum how how;
	IMB_CIPHER_MODE mode; // of a job
	uint8_t key_len, salt_len, iv_len, icv_len;
	uint8_t align;
};

struct auth_row {
	uint16_t id;
	IMB_HASH_ALG alg;
	uint8_t key_len, icv_len;
	uint8_t keys_len; // bytes of the expanded key
};

// In the order of struct dp_sa's cipher and auth.
extern const struct cipher_row dp_ciphers[];
extern const struct auth_row dp_auths[];
extern const uint8_t dp_cipher_count, dp_auth_count;

// By a function for each packet, not by a job.
static inline bool cipher_is_direct(const struct cipher_row *c)
{
	return c->how == HOW_GCM || c->how == HOW_GMAC;
}

static inline bool cipher_is_des(const struct cipher_row *c)
{
	return c->mode == IMB_CIPHER_DES || c->mode == IMB_CIPHER_DES3;
}

// Workers get copies of the library (suites_copy.c).
bool dp_mb_copies(void);

void dp_expand_aes(IMB_MGR *mgr, const uint8_t *key, size_t len, struct keys_aes *out);
