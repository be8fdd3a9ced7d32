// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's encryption: CBC over the whole body, the IV from the message before (RFC 2409 appendix B).
// What protects the contents from alteration is the hash inside.
#include "controlplane/crypto/ikev1.h"

#include "controlplane/crypto/internal.h"

#include <limits.h>

// NULL: not one of CBC's.
static const struct alg_encr *cbc(const struct suite *suite)
{
	const struct alg_encr *encr = alg_encr(suite->encr.id, suite->encr.key_bits);
	return encr && encr->block > 1 && encr->block <= IKEV1_IV_MAX ? encr : NULL;
}

static bool whole_blocks(const struct alg_encr *encr, size_t len)
{
	return len != 0 && len <= INT_MAX && len % encr->block == 0;
}

static enum ike_crypto_error crypt(const struct alg_encr *encr, struct view key, const uint8_t *iv,
	struct view in, uint8_t *out, int encrypt)
{
	EVP_CIPHER_CTX *ctx = crypto_cipher_ctx(encr);
	int len;
	if (!ctx)
		return IKE_CRYPTO_UNSUPPORTED;
	if (key.len != encr->key_len)
		return IKE_CRYPTO_INTERNAL;
	// The padding is IKE's, not the library's.
	if (EVP_CipherInit_ex2(ctx, NULL, key.p, iv, encrypt, NULL) != 1 ||
		EVP_CIPHER_CTX_set_padding(ctx, 0) != 1 ||
		EVP_CipherUpdate(ctx, out, &len, in.p, (int)in.len) != 1 || (size_t)len != in.len)
		return IKE_CRYPTO_INTERNAL;
	return IKE_CRYPTO_OK;
}

enum ike_crypto_error ikev1_encrypt(const struct suite *suite, struct view key,
	uint8_t iv[static IKEV1_IV_MAX], uint8_t *data, size_t len)
{
	const struct alg_encr *encr = cbc(suite);
	if (!encr)
		return IKE_CRYPTO_UNSUPPORTED;
	if (!whole_blocks(encr, len))
		return IKE_CRYPTO_INTERNAL;
	enum ike_crypto_error e = crypt(encr, key, iv, (struct view){data, len}, data, 1);
	if (e == IKE_CRYPTO_OK)
		memcpy(iv, data + len - encr->block, encr->block);
	return e;
}

enum ike_crypto_error ikev1_decrypt(const struct suite *suite, struct view key,
	uint8_t iv[static IKEV1_IV_MAX], struct view data, uint8_t *out)
{
	const struct alg_encr *encr = cbc(suite);
	uint8_t last[IKEV1_IV_MAX];
	if (!encr)
		return IKE_CRYPTO_UNSUPPORTED;
	if (!whole_blocks(encr, data.len))
		return IKE_CRYPTO_SHORT;
	memcpy(last, data.p + data.len - encr->block, encr->block);
	enum ike_crypto_error e = crypt(encr, key, iv, data, out, 0);
	if (e == IKE_CRYPTO_OK)
		memcpy(iv, last, encr->block);
	return e;
}
