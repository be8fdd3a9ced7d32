// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/crypto/internal.h"

#include <openssl/rand.h>

#include <limits.h>

#define NONCE_MAX 16 // bytes the cipher takes: salt, IV, and CTR's block counter

enum ike_crypto_error ike_crypt_init(
	struct ike_crypt *c, const struct suite *suite, const struct ike_keys *keys, bool initiator)
{
	*c = (struct ike_crypt){
		.encr = alg_encr(suite->encr.id, suite->encr.key_bits),
		.seal_encr = initiator ? keys->sk_ei : keys->sk_er,
		.seal_integ = initiator ? keys->sk_ai : keys->sk_ar,
		.open_encr = initiator ? keys->sk_er : keys->sk_ei,
		.open_integ = initiator ? keys->sk_ar : keys->sk_ai,
	};
	if (!c->encr || !crypto_cipher_ctx(c->encr))
		return IKE_CRYPTO_UNSUPPORTED;
	if (c->seal_encr.len != (size_t)c->encr->key_len + c->encr->salt_len)
		return IKE_CRYPTO_INTERNAL;
	if (c->encr->icv_len)
		return IKE_CRYPTO_OK;
	c->integ = alg_integ(suite->integ);
	if (!c->integ || !crypto_md(crypto_hash_of_integ(suite->integ)))
		return IKE_CRYPTO_UNSUPPORTED;
	return c->seal_integ.len == c->integ->key_len ? IKE_CRYPTO_OK : IKE_CRYPTO_INTERNAL;
}

static size_t icv_len(const struct ike_crypt *c)
{
	return c->integ ? c->integ->icv_len : c->encr->icv_len;
}

// Plaintext, padding and the pad length octet.
static size_t padded_len(const struct ike_crypt *c, size_t plain_len)
{
	size_t block = c->encr->block;
	return (plain_len + 1 + block - 1) / block * block;
}

size_t ike_sealed_len(const struct ike_crypt *c, size_t plain_len)
{
	return c->encr->iv_len + padded_len(c, plain_len) + icv_len(c);
}

size_t ike_sealed_room(const struct ike_crypt *c, size_t room)
{
	size_t fixed = c->encr->iv_len + icv_len(c);
	if (room <= fixed)
		return 0;
	size_t blocks = (room - fixed) / c->encr->block * c->encr->block;
	return blocks ? blocks - 1 : 0;
}

// salt | IV, and for CTR the block counter, which starts at one (RFC 5930 3.1, RFC 3686 4).
static void nonce_make(const struct alg_encr *encr, struct view key, const uint8_t *iv,
	uint8_t nonce[static NONCE_MAX])
{
	struct wr w = wr_of(nonce, NONCE_MAX);
	wr_bytes(&w, key.p + encr->key_len, encr->salt_len);
	wr_bytes(&w, iv, encr->iv_len);
	if (encr->id == ENCR_AES_CTR)
		wr_u32(&w, 1);
}

static EVP_CIPHER_CTX *cipher_ready(
	const struct alg_encr *encr, struct view key, const uint8_t *iv, int encrypt)
{
	uint8_t nonce[NONCE_MAX] = {0};
	nonce_make(encr, key, iv, nonce);
	EVP_CIPHER_CTX *ctx = crypto_cipher_ctx(encr);
	if (!ctx || EVP_CipherInit_ex2(ctx, NULL, key.p, nonce, encrypt, NULL) != 1)
		return NULL;
	// The padding is IKE's, not the library's.
	return EVP_CIPHER_CTX_set_padding(ctx, 0) == 1 ? ctx : NULL;
}

static enum ike_crypto_error iv_make(struct ike_crypt *c, uint8_t *iv)
{
	// CBC's may not be foreseen; the others' may not be used twice.
	if (c->encr->block > 1)
		return RAND_bytes(iv, c->encr->iv_len) == 1 ? IKE_CRYPTO_OK : IKE_CRYPTO_INTERNAL;
	if (c->seal_count == UINT64_MAX)
		return IKE_CRYPTO_IV_EXHAUSTED;
	struct wr w = wr_of(iv, c->encr->iv_len);
	wr_u64(&w, c->seal_count++);
	return IKE_CRYPTO_OK;
}

static enum ike_crypto_error integ_compute(
	const struct ike_crypt *c, struct view key, struct view covered, uint8_t *icv)
{
	return crypto_hmac(crypto_hash_of_integ(c->integ->id), key, &covered, 1, icv);
}

enum ike_crypto_error ike_seal(
	struct ike_crypt *c, uint8_t *message, size_t aad_len, size_t plain_len)
{
	size_t body_len = padded_len(c, plain_len);
	if (body_len < plain_len || body_len > INT_MAX || aad_len > INT_MAX)
		return IKE_CRYPTO_INTERNAL;
	uint8_t *iv = message + aad_len, *body = iv + c->encr->iv_len, *icv = body + body_len;
	memset(body + plain_len, 0, body_len - plain_len);
	body[body_len - 1] = (uint8_t)(body_len - plain_len - 1);
	enum ike_crypto_error e = iv_make(c, iv);
	if (e)
		return e;
	EVP_CIPHER_CTX *ctx = cipher_ready(c->encr, c->seal_encr, iv, 1);
	int len;
	if (!ctx)
		return IKE_CRYPTO_INTERNAL;
	if (!c->integ && EVP_EncryptUpdate(ctx, NULL, &len, message, (int)aad_len) != 1)
		return IKE_CRYPTO_INTERNAL;
	if (EVP_EncryptUpdate(ctx, body, &len, body, (int)body_len) != 1 ||
		EVP_EncryptFinal_ex(ctx, body + len, &len) != 1)
		return IKE_CRYPTO_INTERNAL;
	if (!c->integ)
		return EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, c->encr->icv_len, icv) == 1
			       ? IKE_CRYPTO_OK
			       : IKE_CRYPTO_INTERNAL;
	uint8_t full[EVP_MAX_MD_SIZE];
	struct view covered = {message, (size_t)(icv - message)};
	e = integ_compute(c, c->seal_integ, covered, full);
	if (e == IKE_CRYPTO_OK)
		memcpy(icv, full, c->integ->icv_len);
	return e;
}

// A received message, cut at IV, ciphertext and ICV.
struct sealed {
	struct view aad;
	const uint8_t *iv;
	struct view body;
	struct view icv;
};

static enum ike_crypto_error open_aead(
	const struct ike_crypt *c, const struct sealed *s, uint8_t *out)
{
	EVP_CIPHER_CTX *ctx = cipher_ready(c->encr, c->open_encr, s->iv, 0);
	uint8_t icv[EVP_MAX_MD_SIZE];
	int len;
	if (!ctx)
		return IKE_CRYPTO_INTERNAL;
	memcpy(icv, s->icv.p, s->icv.len);
	if (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, (int)s->icv.len, icv) != 1 ||
		EVP_DecryptUpdate(ctx, NULL, &len, s->aad.p, (int)s->aad.len) != 1 ||
		EVP_DecryptUpdate(ctx, out, &len, s->body.p, (int)s->body.len) != 1)
		return IKE_CRYPTO_INTERNAL;
	if (EVP_DecryptFinal_ex(ctx, out + len, &len) == 1)
		return IKE_CRYPTO_OK;
	// What was decrypted is the sender's guess: nobody may look at it.
	secret_wipe(out, s->body.len);
	return IKE_CRYPTO_BAD_ICV;
}

static enum ike_crypto_error open_integ(
	const struct ike_crypt *c, const struct sealed *s, uint8_t *out)
{
	uint8_t full[EVP_MAX_MD_SIZE];
	struct view covered = {s->aad.p, (size_t)(s->icv.p - s->aad.p)};
	int len;
	if (s->body.len % c->encr->block != 0)
		return IKE_CRYPTO_SHORT;
	enum ike_crypto_error e = integ_compute(c, c->open_integ, covered, full);
	if (e)
		return e;
	if (!secret_equal(full, s->icv.p, s->icv.len))
		return IKE_CRYPTO_BAD_ICV;
	EVP_CIPHER_CTX *ctx = cipher_ready(c->encr, c->open_encr, s->iv, 0);
	if (!ctx || EVP_DecryptUpdate(ctx, out, &len, s->body.p, (int)s->body.len) != 1 ||
		EVP_DecryptFinal_ex(ctx, out + len, &len) != 1)
		return IKE_CRYPTO_INTERNAL;
	return IKE_CRYPTO_OK;
}

enum ike_crypto_error ike_open(const struct ike_crypt *c, struct view message, size_t aad_len,
	uint8_t *out, size_t *out_len)
{
	*out_len = 0;
	size_t fixed = c->encr->iv_len + icv_len(c);
	// At least the pad length octet, in a whole block.
	if (message.len < aad_len || message.len - aad_len < fixed + c->encr->block ||
		message.len > INT_MAX)
		return IKE_CRYPTO_SHORT;
	struct sealed s = {
		.aad = {message.p, aad_len},
		.iv = message.p + aad_len,
		.body = {message.p + aad_len + c->encr->iv_len, message.len - aad_len - fixed},
		.icv = {message.p + message.len - icv_len(c), icv_len(c)},
	};
	enum ike_crypto_error e = c->integ ? open_integ(c, &s, out) : open_aead(c, &s, out);
	if (e)
		return e;
	size_t pad = out[s.body.len - 1];
	if (pad + 1 > s.body.len)
		return IKE_CRYPTO_BAD_PADDING;
	*out_len = s.body.len - pad - 1;
	return IKE_CRYPTO_OK;
}
