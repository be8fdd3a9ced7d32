// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/dataplane/esp_oracle.h"

#include "base/clock.h"
#include "tests/cmocka_all.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/provider.h>

static bool is_aead(const struct sa_spec *s)
{
	return s->integ == INTEG_NONE;
}

static bool is_cbc(const struct sa_spec *s)
{
	return s->encr.id == ENCR_AES_CBC || s->encr.id == ENCR_DES || s->encr.id == ENCR_3DES;
}

size_t oracle_iv_len(const struct sa_spec *s)
{
	return s->encr.id == ENCR_AES_CBC ? 16 : s->encr.id == ENCR_NULL ? 0 : 8;
}

// RFC 4303 2.4: four bytes at least.
static size_t align_of(const struct sa_spec *s)
{
	return is_cbc(s) ? oracle_iv_len(s) : 4;
}

size_t oracle_icv_len(const struct sa_spec *s)
{
	if (!is_aead(s))
		return alg_integ(s->integ)->icv_len;
	return s->encr.id == ENCR_AES_GCM_8 ? 8 : s->encr.id == ENCR_AES_GCM_12 ? 12 : 16;
}

// Single DES is in OpenSSL's legacy provider only, here in a library context of its own. Kept for
// the life of the process.
static const EVP_CIPHER *des_cbc(void)
{
	static OSSL_LIB_CTX *ctx;
	static EVP_CIPHER *des;
	if (des)
		return des;
	ctx = OSSL_LIB_CTX_new();
	assert_non_null(ctx);
	if (!OSSL_PROVIDER_load(ctx, "legacy"))
		fail_msg("OpenSSL's legacy provider, which alone has single DES, does not load: "
			 "these tests need its module legacy.so");
	des = EVP_CIPHER_fetch(ctx, "DES-CBC", NULL);
	assert_non_null(des);
	return des;
}

static const EVP_CIPHER *cipher_of(const struct sa_spec *s)
{
	unsigned bits = s->encr.key_bits;
	switch (s->encr.id) {
	case ENCR_AES_CBC:
		return bits == 256   ? EVP_aes_256_cbc()
		       : bits == 192 ? EVP_aes_192_cbc()
				     : EVP_aes_128_cbc();
	case ENCR_AES_CTR:
		return bits == 256   ? EVP_aes_256_ctr()
		       : bits == 192 ? EVP_aes_192_ctr()
				     : EVP_aes_128_ctr();
	case ENCR_CHACHA20_POLY1305:
		return EVP_chacha20_poly1305();
	case ENCR_3DES:
		return EVP_des_ede3_cbc();
	case ENCR_DES:
		return des_cbc();
	default:
		return bits == 256   ? EVP_aes_256_gcm()
		       : bits == 192 ? EVP_aes_192_gcm()
				     : EVP_aes_128_gcm();
	}
}

static const EVP_MD *md_of(const struct sa_spec *s)
{
	switch (s->integ) {
	case INTEG_HMAC_MD5_96:
		return EVP_md5();
	case INTEG_HMAC_SHA1_96:
		return EVP_sha1();
	case INTEG_HMAC_SHA2_256_128:
		return EVP_sha256();
	case INTEG_HMAC_SHA2_384_192:
		return EVP_sha384();
	default:
		return EVP_sha512();
	}
}

static void be32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (24 - 8 * i));
}

// RFC 4106 5: SPI and sequence number, 32 or 64 bits.
static int aad_of(const struct sa_spec *s, const uint8_t *esp, uint32_t hi, uint8_t *aad)
{
	memcpy(aad, esp, 4);
	if (!s->esn) {
		memcpy(aad + 4, esp + 4, 4);
		return 8;
	}
	be32(aad + 4, hi);
	memcpy(aad + 8, esp + 4, 4);
	return 12;
}

// Salt and IV, then the block counter for CTR (RFC 3686 4).
static void nonce_of(const struct sa_spec *s, const uint8_t *iv, uint8_t *nonce)
{
	size_t key = alg_encr(s->encr.id, s->encr.key_bits)->key_len;
	memset(nonce, 0, 16);
	if (is_cbc(s)) {
		memcpy(nonce, iv, oracle_iv_len(s));
		return;
	}
	memcpy(nonce, s->encr_key + key, 4);
	memcpy(nonce + 4, iv, 8);
	if (s->encr.id == ENCR_AES_CTR)
		nonce[15] = 1;
}

static bool crypt(const struct sa_spec *s, bool seal, const uint8_t *esp, uint32_t hi,
	const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
	uint8_t nonce[16], aad[12];
	int n, ok = 1;
	if (s->encr.id == ENCR_NULL) {
		memcpy(out, in, len);
		return true;
	}
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	nonce_of(s, esp + 8, nonce);
	ok &= EVP_CipherInit_ex(c, cipher_of(s), NULL, s->encr_key, nonce, seal);
	EVP_CIPHER_CTX_set_padding(c, 0);
	if (is_aead(s)) {
		if (!seal)
			ok &= EVP_CIPHER_CTX_ctrl(
				c, EVP_CTRL_AEAD_SET_TAG, (int)oracle_icv_len(s), tag);
		ok &= EVP_CipherUpdate(c, NULL, &n, aad, aad_of(s, esp, hi, aad));
	}
	ok &= EVP_CipherUpdate(c, out, &n, in, (int)len);
	ok &= EVP_CipherFinal_ex(c, out + n, &n);
	if (is_aead(s) && seal)
		ok &= EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, (int)oracle_icv_len(s), tag);
	EVP_CIPHER_CTX_free(c);
	return ok == 1;
}

static void hmac(const struct sa_spec *s, const uint8_t *esp, size_t len, uint32_t hi, uint8_t *out)
{
	uint8_t copy[20000], md[64];
	unsigned n;
	assert_true(len + 4 <= sizeof(copy));
	memcpy(copy, esp, len);
	if (s->esn) {
		be32(copy + len, hi);
		len += 4;
	}
	assert_non_null(HMAC(md_of(s), s->integ_key, s->integ_key_len, copy, len, md, &n));
	memcpy(out, md, oracle_icv_len(s));
}

size_t oracle_seal(const struct sa_spec *s, uint64_t seq, const uint8_t *plain, size_t len,
	const uint8_t *iv, uint8_t *out)
{
	size_t iv_len = oracle_iv_len(s);
	uint8_t *text = out + 8 + iv_len;
	be32(out, s->spi);
	be32(out + 4, (uint32_t)seq);
	if (iv) {
		memcpy(out + 8, iv, iv_len);
	} else if (iv_len == 8 && !is_cbc(s)) {
		be32(out + 8, (uint32_t)(seq >> 32));
		be32(out + 12, (uint32_t)seq);
	} else {
		random_fill(&random_system, out + 8, iv_len);
	}
	assert_true(crypt(s, true, out, (uint32_t)(seq >> 32), plain, len, text, text + len));
	if (!is_aead(s))
		hmac(s, out, 8 + iv_len + len, (uint32_t)(seq >> 32), text + len);
	return 8 + iv_len + len + oracle_icv_len(s);
}

size_t oracle_wrap(const struct sa_spec *s, uint64_t seq, const uint8_t *inner, size_t len,
	uint8_t next, uint8_t *out)
{
	uint8_t plain[20000];
	size_t align = align_of(s), pad = 0;
	assert_true(len + 32 < sizeof(plain));
	memcpy(plain, inner, len);
	while ((len + pad + 2) % align) {
		plain[len + pad] = (uint8_t)(pad + 1);
		pad++;
	}
	plain[len + pad] = (uint8_t)pad;
	plain[len + pad + 1] = next;
	return oracle_seal(s, seq, plain, len + pad + 2, NULL, out);
}

size_t oracle_open(
	const struct sa_spec *s, uint32_t seq_hi, const uint8_t *esp, size_t len, uint8_t *out)
{
	size_t head = 8 + oracle_iv_len(s), icv = oracle_icv_len(s);
	uint8_t tag[64], sent[64];
	if (len < head + icv)
		return 0;
	size_t text = len - head - icv;
	memcpy(sent, esp + head + text, icv);
	if (!is_aead(s)) {
		hmac(s, esp, head + text, seq_hi, tag);
		if (memcmp(tag, sent, icv) != 0)
			return 0;
	}
	return crypt(s, false, esp, seq_hi, esp + head, text, out, sent) ? text : 0;
}
