// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The algorithms as the crypto library knows them. A fetch by name takes locks and string compares,
// so each is fetched once a process; a context costs several allocations, so each thread keeps one
// for each algorithm and rekeys it. A context holds the last key until the next, or its thread's end.
#include "controlplane/crypto/internal.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/params.h>
#include <openssl/provider.h>

#include <pthread.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct {
	const char *counter;
	const char *text;
} errors[] = {
#define X(name, counter, text) [IKE_CRYPTO_##name] = {counter, text},
	IKE_CRYPTO_ERRORS(X)
#undef X
};

const char *ike_crypto_error_text(enum ike_crypto_error e)
{
	return (unsigned)e < IKE_CRYPTO_ERROR_COUNT ? errors[e].text : "?";
}

const char *ike_crypto_error_name(enum ike_crypto_error e)
{
	return (unsigned)e < IKE_CRYPTO_ERROR_COUNT ? errors[e].counter : "?";
}

// The test on a known answer: HMAC of RFC 2202 and 4231, case 2.
static const struct {
	const char *name;
	uint8_t known[8]; // first bytes
} hashes[CRYPTO_HASH_COUNT] = {
	[CRYPTO_HASH_MD5] = {"MD5", {0x75, 0x0c, 0x78, 0x3e, 0x6a, 0xb0, 0xb5, 0x03}},
	[CRYPTO_HASH_SHA1] = {"SHA1", {0xef, 0xfc, 0xdf, 0x6a, 0xe5, 0xeb, 0x2f, 0xa2}},
	[CRYPTO_HASH_SHA256] = {"SHA256", {0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e}},
	[CRYPTO_HASH_SHA384] = {"SHA384", {0xaf, 0x45, 0xd2, 0xe3, 0x76, 0x48, 0x40, 0x31}},
	[CRYPTO_HASH_SHA512] = {"SHA512", {0x16, 0x4b, 0x7a, 0x7b, 0xfc, 0xf8, 0x19, 0xe2}},
};

// The test on a known answer: key, IV and 16 bytes of input all zero. AEADs: the tag of no input.
// GCM with three tag lengths is one cipher to the library.
static const struct {
	uint16_t id;
	uint16_t key_bits;
	const char *name;
	uint8_t known[8]; // first bytes
} ciphers[] = {
	{ENCR_AES_GCM_16, 128, "AES-128-GCM", {0x58, 0xe2, 0xfc, 0xce, 0xfa, 0x7e, 0x30, 0x61}},
	{ENCR_AES_GCM_16, 192, "AES-192-GCM", {0xcd, 0x33, 0xb2, 0x8a, 0xc7, 0x73, 0xf7, 0x4b}},
	{ENCR_AES_GCM_16, 256, "AES-256-GCM", {0x53, 0x0f, 0x8a, 0xfb, 0xc7, 0x45, 0x36, 0xb9}},
	{ENCR_CHACHA20_POLY1305, 256, "ChaCha20-Poly1305",
		{0x4e, 0xb9, 0x72, 0xc9, 0xa8, 0xfb, 0x3a, 0x1b}},
	{ENCR_AES_CBC, 128, "AES-128-CBC", {0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b}},
	{ENCR_AES_CBC, 192, "AES-192-CBC", {0xaa, 0xe0, 0x69, 0x92, 0xac, 0xbf, 0x52, 0xa3}},
	{ENCR_AES_CBC, 256, "AES-256-CBC", {0xdc, 0x95, 0xc0, 0x78, 0xa2, 0x40, 0x89, 0x89}},
	{ENCR_AES_CTR, 128, "AES-128-CTR", {0x66, 0xe9, 0x4b, 0xd4, 0xef, 0x8a, 0x2c, 0x3b}},
	{ENCR_AES_CTR, 192, "AES-192-CTR", {0xaa, 0xe0, 0x69, 0x92, 0xac, 0xbf, 0x52, 0xa3}},
	{ENCR_AES_CTR, 256, "AES-256-CTR", {0xdc, 0x95, 0xc0, 0x78, 0xa2, 0x40, 0x89, 0x89}},
	{ENCR_3DES, 192, "DES-EDE3-CBC", {0x8c, 0xa6, 0x4d, 0xe9, 0xc1, 0xb1, 0x23, 0xa7}},
	{ENCR_DES, 64, "DES-CBC", {0x8c, 0xa6, 0x4d, 0xe9, 0xc1, 0xb1, 0x23, 0xa7}},
};
#define CIPHER_COUNT COUNT(ciphers)

// Filled once and read by all threads; it lives as long as the process.
static struct {
	EVP_MAC *hmac;
	EVP_MD *md[CRYPTO_HASH_COUNT];
	EVP_CIPHER *cipher[CIPHER_COUNT];
	pthread_key_t key;
	bool usable; // the thread contexts can be kept
	OSSL_LIB_CTX *legacy;
} table;
static pthread_once_t table_once = PTHREAD_ONCE_INIT;
static pthread_once_t legacy_once = PTHREAD_ONCE_INIT;

struct thread_contexts {
	EVP_MAC_CTX *hmac[CRYPTO_HASH_COUNT];
	EVP_CIPHER_CTX *cipher[CIPHER_COUNT];
};
static _Thread_local struct thread_contexts *mine;

static void contexts_free(void *p)
{
	struct thread_contexts *t = p;
	for (size_t i = 0; i < CRYPTO_HASH_COUNT; i++)
		EVP_MAC_CTX_free(t->hmac[i]);
	for (size_t i = 0; i < CIPHER_COUNT; i++)
		EVP_CIPHER_CTX_free(t->cipher[i]);
	free(t);
	mine = NULL;
}

static EVP_MAC_CTX *hmac_ctx_new(enum crypto_hash hash)
{
	char name[16];
	snprintf(name, sizeof(name), "%s", hashes[hash].name);
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(table.hmac);
	if (ctx && EVP_MAC_CTX_set_params(ctx, params) != 1) {
		EVP_MAC_CTX_free(ctx);
		ctx = NULL;
	}
	return ctx;
}

static bool hmac_known(enum crypto_hash hash)
{
	static const char text[] = "what do ya want for nothing?";
	uint8_t out[EVP_MAX_MD_SIZE];
	size_t len = 0;
	EVP_MAC_CTX *ctx = hmac_ctx_new(hash);
	bool ok = ctx && EVP_MAC_init(ctx, (const uint8_t *)"Jefe", 4, NULL) == 1 &&
		  EVP_MAC_update(ctx, (const uint8_t *)text, sizeof(text) - 1) == 1 &&
		  EVP_MAC_final(ctx, out, &len, sizeof(out)) == 1 &&
		  memcmp(out, hashes[hash].known, sizeof(hashes[hash].known)) == 0;
	EVP_MAC_CTX_free(ctx);
	return ok;
}

static bool cipher_known(size_t i, const EVP_CIPHER *cipher)
{
	static const uint8_t zero[EVP_MAX_KEY_LENGTH];
	uint8_t out[32];
	int len;
	bool aead = EVP_CIPHER_get_flags(cipher) & EVP_CIPH_FLAG_AEAD_CIPHER;
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	bool ok = ctx && EVP_EncryptInit_ex2(ctx, cipher, zero, zero, NULL) == 1;
	if (ok && aead)
		ok = EVP_EncryptFinal_ex(ctx, out, &len) == 1 &&
		     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, out) == 1;
	else if (ok)
		ok = EVP_EncryptUpdate(ctx, out, &len, zero, 16) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok && memcmp(out, ciphers[i].known, sizeof(ciphers[i].known)) == 0;
}

static bool is_legacy(size_t i)
{
	return ciphers[i].id == ENCR_DES;
}

static void cipher_fetch(size_t i, OSSL_LIB_CTX *from)
{
	EVP_CIPHER *cipher = EVP_CIPHER_fetch(from, ciphers[i].name, NULL);
	if (cipher && cipher_known(i, cipher))
		table.cipher[i] = cipher;
	else
		EVP_CIPHER_free(cipher);
}

static void table_fill(void)
{
	table.usable = pthread_key_create(&table.key, contexts_free) == 0;
	table.hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	for (size_t i = 0; table.hmac && i < CRYPTO_HASH_COUNT; i++) {
		EVP_MD *md = EVP_MD_fetch(NULL, hashes[i].name, NULL);
		if (md && hmac_known((enum crypto_hash)i))
			table.md[i] = md;
		else
			EVP_MD_free(md);
	}
	for (size_t i = 0; i < CIPHER_COUNT; i++)
		if (!is_legacy(i))
			cipher_fetch(i, NULL);
}

// The module is a file, which not every system has installed, and nobody pays for it who does not
// ask for DES. A library context of its own keeps its algorithms away from all other fetches.
static void legacy_fill(void)
{
	table.legacy = OSSL_LIB_CTX_new();
	if (table.legacy && OSSL_PROVIDER_load(table.legacy, "legacy"))
		for (size_t i = 0; i < CIPHER_COUNT; i++)
			if (is_legacy(i))
				cipher_fetch(i, table.legacy);
	ERR_clear_error();
}

// NULL: not supported.
static const EVP_CIPHER *cipher_at(size_t i)
{
	pthread_once(&table_once, table_fill);
	if (i < CIPHER_COUNT && is_legacy(i))
		pthread_once(&legacy_once, legacy_fill);
	return i < CIPHER_COUNT ? table.cipher[i] : NULL;
}

static struct thread_contexts *contexts(void)
{
	if (mine)
		return mine;
	pthread_once(&table_once, table_fill);
	if (!table.usable)
		return NULL;
	mine = calloc(1, sizeof(*mine));
	if (mine && pthread_setspecific(table.key, mine) != 0) {
		free(mine);
		mine = NULL;
	}
	return mine;
}

const EVP_MD *crypto_md(enum crypto_hash hash)
{
	pthread_once(&table_once, table_fill);
	return hash < CRYPTO_HASH_COUNT ? table.md[hash] : NULL;
}

EVP_MAC_CTX *crypto_hmac_ctx(enum crypto_hash hash)
{
	struct thread_contexts *t = contexts();
	if (!t || hash >= CRYPTO_HASH_COUNT || !table.md[hash])
		return NULL;
	if (!t->hmac[hash])
		t->hmac[hash] = hmac_ctx_new(hash);
	return t->hmac[hash];
}

// CIPHER_COUNT: none.
static size_t cipher_index(const struct alg_encr *encr)
{
	uint16_t id = encr->id;
	if (id == ENCR_AES_GCM_8 || id == ENCR_AES_GCM_12)
		id = ENCR_AES_GCM_16;
	size_t i = 0;
	while (i < CIPHER_COUNT && (ciphers[i].id != id || ciphers[i].key_bits != encr->key_bits))
		i++;
	return i;
}

EVP_CIPHER_CTX *crypto_cipher_ctx(const struct alg_encr *encr)
{
	struct thread_contexts *t = contexts();
	size_t i = cipher_index(encr);
	const EVP_CIPHER *cipher = cipher_at(i);
	if (!t || !cipher)
		return NULL;
	if (!t->cipher[i]) {
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		if (!ctx || EVP_EncryptInit_ex2(ctx, cipher, NULL, NULL, NULL) != 1) {
			EVP_CIPHER_CTX_free(ctx);
			return NULL;
		}
		t->cipher[i] = ctx;
	}
	return t->cipher[i];
}

enum crypto_hash crypto_hash_of_prf(uint16_t prf)
{
	switch (prf) {
	case PRF_HMAC_MD5:
		return CRYPTO_HASH_MD5;
	case PRF_HMAC_SHA1:
		return CRYPTO_HASH_SHA1;
	case PRF_HMAC_SHA2_256:
		return CRYPTO_HASH_SHA256;
	case PRF_HMAC_SHA2_384:
		return CRYPTO_HASH_SHA384;
	case PRF_HMAC_SHA2_512:
		return CRYPTO_HASH_SHA512;
	default:
		return CRYPTO_HASH_COUNT;
	}
}

enum crypto_hash crypto_hash_of_integ(uint16_t integ)
{
	switch (integ) {
	case INTEG_HMAC_MD5_96:
		return CRYPTO_HASH_MD5;
	case INTEG_HMAC_SHA1_96:
		return CRYPTO_HASH_SHA1;
	case INTEG_HMAC_SHA2_256_128:
		return CRYPTO_HASH_SHA256;
	case INTEG_HMAC_SHA2_384_192:
		return CRYPTO_HASH_SHA384;
	case INTEG_HMAC_SHA2_512_256:
		return CRYPTO_HASH_SHA512;
	default:
		return CRYPTO_HASH_COUNT;
	}
}

bool ike_crypto_supports(enum transform_type type, uint16_t id, uint16_t key_bits)
{
	const struct alg_encr *encr;
	switch (type) {
	case TRANSFORM_ENCR:
		encr = alg_encr(id, key_bits);
		return encr && cipher_at(cipher_index(encr));
	case TRANSFORM_PRF:
		return crypto_md(crypto_hash_of_prf(id)) != NULL;
	case TRANSFORM_INTEG:
		return crypto_md(crypto_hash_of_integ(id)) != NULL;
	case TRANSFORM_DH:
		return crypto_dh_usable(id);
	default:
		return false;
	}
}

void crypto_pkey_cleanup(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

void crypto_pkey_ctx_cleanup(EVP_PKEY_CTX **p)
{
	EVP_PKEY_CTX_free(*p);
}

void crypto_x509_cleanup(X509 **p)
{
	X509_free(*p);
}
