// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/ip.h"
#include "dataplane/suites_table.h"

#include "base/secret.h"

#include <errno.h>

// RFC 4303 2.4: plaintext and trailer end on a 4-byte boundary at least. A cipher with a salt is a
// counter mode, one with an IV alone is CBC.
const struct cipher_row dp_ciphers[] = {
	{ENCR_AES_GCM_16, 128, HOW_GCM, 0, 16, 4, 8, 16, 4},
	{ENCR_AES_GCM_16, 192, HOW_GCM, 0, 24, 4, 8, 16, 4},
	{ENCR_AES_GCM_16, 256, HOW_GCM, 0, 32, 4, 8, 16, 4},
	{ENCR_AES_GCM_12, 128, HOW_GCM, 0, 16, 4, 8, 12, 4},
	{ENCR_AES_GCM_12, 192, HOW_GCM, 0, 24, 4, 8, 12, 4},
	{ENCR_AES_GCM_12, 256, HOW_GCM, 0, 32, 4, 8, 12, 4},
	{ENCR_AES_GCM_8, 128, HOW_GCM, 0, 16, 4, 8, 8, 4},
	{ENCR_AES_GCM_8, 192, HOW_GCM, 0, 24, 4, 8, 8, 4},
	{ENCR_AES_GCM_8, 256, HOW_GCM, 0, 32, 4, 8, 8, 4},
	{ENCR_CHACHA20_POLY1305, 0, HOW_CHACHA, IMB_CIPHER_CHACHA20_POLY1305, 32, 4, 8, 16, 4},
	{ENCR_AES_CCM_16, 128, HOW_CCM, IMB_CIPHER_CCM, 16, 3, 8, 16, 4},
	{ENCR_AES_CCM_16, 256, HOW_CCM, IMB_CIPHER_CCM, 32, 3, 8, 16, 4},
	{ENCR_AES_CCM_12, 128, HOW_CCM, IMB_CIPHER_CCM, 16, 3, 8, 12, 4},
	{ENCR_AES_CCM_12, 256, HOW_CCM, IMB_CIPHER_CCM, 32, 3, 8, 12, 4},
	{ENCR_AES_CCM_8, 128, HOW_CCM, IMB_CIPHER_CCM, 16, 3, 8, 8, 4},
	{ENCR_AES_CCM_8, 256, HOW_CCM, IMB_CIPHER_CCM, 32, 3, 8, 8, 4},
	{ENCR_NULL_AUTH_AES_GMAC, 128, HOW_GMAC, 0, 16, 4, 8, 16, 4},
	{ENCR_NULL_AUTH_AES_GMAC, 192, HOW_GMAC, 0, 24, 4, 8, 16, 4},
	{ENCR_NULL_AUTH_AES_GMAC, 256, HOW_GMAC, 0, 32, 4, 8, 16, 4},
	{ENCR_AES_CBC, 128, HOW_SPLIT, IMB_CIPHER_CBC, 16, 0, 16, 0, 16},
	{ENCR_AES_CBC, 192, HOW_SPLIT, IMB_CIPHER_CBC, 24, 0, 16, 0, 16},
	{ENCR_AES_CBC, 256, HOW_SPLIT, IMB_CIPHER_CBC, 32, 0, 16, 0, 16},
	{ENCR_AES_CTR, 128, HOW_SPLIT, IMB_CIPHER_CNTR, 16, 4, 8, 0, 4},
	{ENCR_AES_CTR, 192, HOW_SPLIT, IMB_CIPHER_CNTR, 24, 4, 8, 0, 4},
	{ENCR_AES_CTR, 256, HOW_SPLIT, IMB_CIPHER_CNTR, 32, 4, 8, 0, 4},
	{ENCR_3DES, 0, HOW_SPLIT, IMB_CIPHER_DES3, 24, 0, 8, 0, 8},
	{ENCR_DES, 0, HOW_SPLIT, IMB_CIPHER_DES, 8, 0, 8, 0, 8},
	{ENCR_NULL, 0, HOW_SPLIT, IMB_CIPHER_NULL, 0, 0, 0, 0, 4},
};

const struct auth_row dp_auths[] = {
	{INTEG_NONE, IMB_AUTH_NULL, 0, 0, 0},
	{INTEG_HMAC_SHA1_96, IMB_AUTH_HMAC_SHA_1, 20, 12, sizeof(struct keys_hmac)},
	{INTEG_HMAC_SHA2_256_128, IMB_AUTH_HMAC_SHA_256, 32, 16, sizeof(struct keys_hmac)},
	{INTEG_HMAC_SHA2_384_192, IMB_AUTH_HMAC_SHA_384, 48, 24, sizeof(struct keys_hmac)},
	{INTEG_HMAC_SHA2_512_256, IMB_AUTH_HMAC_SHA_512, 64, 32, sizeof(struct keys_hmac)},
	{INTEG_AES_XCBC_96, IMB_AUTH_AES_XCBC, 16, 12, sizeof(struct keys_block_mac)},
	{INTEG_AES_CMAC_96, IMB_AUTH_AES_CMAC, 16, 12, sizeof(struct keys_block_mac)},
	{INTEG_HMAC_MD5_96, IMB_AUTH_MD5, 16, 12, sizeof(struct keys_hmac)},
};

const uint8_t dp_cipher_count = RTE_DIM(dp_ciphers);
const uint8_t dp_auth_count = RTE_DIM(dp_auths);

static const struct cipher_row *cipher_find(const struct proposal_encr *e)
{
	for (size_t i = 0; i < RTE_DIM(dp_ciphers); i++) {
		const struct cipher_row *c = &dp_ciphers[i];
		if (c->id == e->id && (c->key_bits == 0 || c->key_bits == e->key_bits ||
					      (e->key_bits == 0 && c->key_bits == 128)))
			return c;
	}
	return NULL;
}

static const struct auth_row *auth_find(uint16_t id)
{
	for (size_t i = 0; i < RTE_DIM(dp_auths); i++)
		if (dp_auths[i].id == id)
			return &dp_auths[i];
	return NULL;
}

static_assert(sizeof(union keys) <= DP_SA_COLD - DP_SA_KEYS, "AES-GCM's are the longest");

size_t dp_sa_stride(void)
{
	return RTE_ALIGN_CEIL(DP_SA_SIZE, DP_LINES) | DP_LINES;
}

// ---- Key expansion ----

static void expand_gcm(IMB_MGR *mgr, const uint8_t *key, size_t len, struct gcm_key_data *out)
{
	if (len == 16)
		IMB_AES128_GCM_PRE(mgr, key, out);
	else if (len == 24)
		IMB_AES192_GCM_PRE(mgr, key, out);
	else
		IMB_AES256_GCM_PRE(mgr, key, out);
}

void dp_expand_aes(IMB_MGR *mgr, const uint8_t *key, size_t len, struct keys_aes *out)
{
	if (len == 16)
		IMB_AES_KEYEXP_128(mgr, key, out->enc, out->dec);
	else if (len == 24)
		IMB_AES_KEYEXP_192(mgr, key, out->enc, out->dec);
	else if (len == 32)
		IMB_AES_KEYEXP_256(mgr, key, out->enc, out->dec);
}

// One key, or three; their parity bits are not looked at.
static void expand_des(IMB_MGR *mgr, const uint8_t *key, size_t len, struct keys_des *out)
{
	for (size_t i = 0; i < len / IMB_DES_BLOCK_SIZE; i++) {
		IMB_DES_KEYSCHED(mgr, out->schedule[i], key + i * IMB_DES_BLOCK_SIZE);
		out->pass[i] = out->schedule[i];
	}
}

static void expand_cipher(
	IMB_MGR *mgr, const struct cipher_row *c, const uint8_t *key, struct keys_split *out)
{
	if (cipher_is_des(c))
		expand_des(mgr, key, c->key_len, &out->des);
	else
		dp_expand_aes(mgr, key, c->key_len, &out->aes);
}

static void one_block(IMB_MGR *mgr, IMB_HASH_ALG alg, const uint8_t *block, uint8_t *state)
{
	switch (alg) {
	case IMB_AUTH_MD5:
		IMB_MD5_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_1:
		IMB_SHA1_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_256:
		IMB_SHA256_ONE_BLOCK(mgr, block, state);
		break;
	case IMB_AUTH_HMAC_SHA_384:
		IMB_SHA384_ONE_BLOCK(mgr, block, state);
		break;
	default:
		IMB_SHA512_ONE_BLOCK(mgr, block, state);
		break;
	}
}

// RFC 2104: the hash states after the key's block, so that a packet costs two blocks less.
static void expand_hmac(
	IMB_MGR *mgr, const struct auth_row *a, const uint8_t *key, struct keys_hmac *out)
{
	uint8_t block[128];
	memset(block, 0x36, sizeof(block));
	for (size_t i = 0; i < a->key_len; i++)
		block[i] ^= key[i];
	one_block(mgr, a->alg, block, out->inner);
	for (size_t i = 0; i < sizeof(block); i++)
		block[i] ^= 0x36 ^ 0x5c;
	one_block(mgr, a->alg, block, out->outer);
	secret_wipe(block, sizeof(block));
}

static void expand_cmac(IMB_MGR *mgr, const uint8_t *key, struct keys_block_mac *out)
{
	uint32_t decrypting[44] __attribute__((aligned(16)));
	IMB_AES_KEYEXP_128(mgr, key, out->schedule, decrypting);
	IMB_AES_CMAC_SUBKEY_GEN_128(mgr, out->schedule, out->whole, out->padded);
	secret_wipe(decrypting, sizeof(decrypting));
}

static void expand_mac(
	IMB_MGR *mgr, const struct auth_row *a, const uint8_t *key, struct keys_split *out)
{
	struct keys_block_mac *b = &out->block_mac;
	if (a->alg == IMB_AUTH_AES_XCBC)
		IMB_AES_XCBC_KEYEXP(mgr, key, b->schedule, b->whole, b->padded);
	else if (a->alg == IMB_AUTH_AES_CMAC)
		expand_cmac(mgr, key, b);
	else
		expand_hmac(mgr, a, key, &out->hmac);
}

bool dp_suite_plain(const struct dp_sa *sa)
{
	return dp_ciphers[sa->cipher].how == HOW_GCM && sa->icv_len == 16 && sa->align == 4;
}

int dp_keys_expand(IMB_MGR *mgr, const struct sa_spec *spec, struct dp_sa *sa)
{
	const struct cipher_row *c = cipher_find(&spec->encr);
	const struct auth_row *a = auth_find(spec->integ);
	if (!c || !a || (c->how == HOW_SPLIT) != (a->id != INTEG_NONE))
		return -ENOTSUP;
	if (spec->encr_key_len != c->key_len + c->salt_len || spec->integ_key_len != a->key_len)
		return -EINVAL;

	union keys *k = dp_sa_keys(sa);
	if (cipher_is_direct(c)) {
		expand_gcm(mgr, spec->encr_key, c->key_len, &k->gcm);
	} else if (c->how == HOW_CHACHA) {
		memcpy(k->chacha, spec->encr_key, sizeof(k->chacha));
	} else {
		expand_cipher(mgr, c, spec->encr_key, &k->split);
		if (c->how == HOW_SPLIT)
			expand_mac(mgr, a, spec->integ_key, &k->split);
	}
	memcpy(&sa->salt, spec->encr_key + c->key_len, c->salt_len);
	sa->cipher = (uint8_t)(c - dp_ciphers);
	sa->auth = (uint8_t)(a - dp_auths);
	sa->iv_len = c->iv_len;
	sa->icv_len = c->icv_len + a->icv_len;
	sa->align = c->align;
	sa->around = (uint8_t)(ESP_HDR_LEN + sa->iv_len + sa->icv_len);
	return 0;
}
