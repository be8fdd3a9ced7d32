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

static bool is_ccm(const struct sa_spec *s)
{
	return s->encr.id == ENCR_AES_CCM_8 || s->encr.id == ENCR_AES_CCM_12 ||
	       s->encr.id == ENCR_AES_CCM_16;
}

static bool is_gmac(const struct sa_spec *s)
{
	return s->encr.id == ENCR_NULL_AUTH_AES_GMAC;
}

static bool is_cbc(const struct sa_spec *s)
{
	return s->encr.id == ENCR_AES_CBC || s->encr.id == ENCR_DES || s->encr.id == ENCR_3DES;
}

size_t oracle_iv_len(const struct sa_spec *s)
{
	return alg_encr(s->encr.id, s->encr.key_bits)->iv_len;
}

// RFC 4303 2.4: four bytes at least.
static size_t align_of(const struct sa_spec *s)
{
	return is_cbc(s) ? oracle_iv_len(s) : 4;
}

size_t oracle_icv_len(const struct sa_spec *s)
{
	return is_aead(s) ? alg_encr(s->encr.id, s->encr.key_bits)->icv_len
			  : alg_integ(s->integ)->icv_len;
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
	case ENCR_AES_CCM_8:
	case ENCR_AES_CCM_12:
	case ENCR_AES_CCM_16:
		return bits == 256 ? EVP_aes_256_ccm() : EVP_aes_128_ccm();
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

// RFC 4106 5, RFC 4309 5: SPI and sequence number, 32 or 64 bits.
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
	const struct alg_encr *e = alg_encr(s->encr.id, s->encr.key_bits);
	memset(nonce, 0, 16);
	if (is_cbc(s)) {
		memcpy(nonce, iv, oracle_iv_len(s));
		return;
	}
	memcpy(nonce, s->encr_key + e->key_len, e->salt_len);
	memcpy(nonce + e->salt_len, iv, 8);
	if (s->encr.id == ENCR_AES_CTR)
		nonce[15] = 1;
}

// What the AEADs but GMAC do with the text.
static int run_aead(EVP_CIPHER_CTX *c, const struct sa_spec *s, bool seal, const uint8_t *esp,
	uint32_t hi, const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t aad[12];
	int n, ok = 1;
	if (is_ccm(s)) // it must know the length first
		ok &= EVP_CipherUpdate(c, NULL, &n, NULL, (int)len);
	ok &= EVP_CipherUpdate(c, NULL, &n, aad, aad_of(s, esp, hi, aad));
	return ok & EVP_CipherUpdate(c, out, &n, in, (int)len);
}

// RFC 4543 3.3: everything is AAD.
static int run_gmac(EVP_CIPHER_CTX *c, const struct sa_spec *s, const uint8_t *esp, uint32_t hi,
	const uint8_t *in, size_t len, uint8_t *out)
{
	uint8_t aad[12];
	int n, ok = EVP_CipherUpdate(c, NULL, &n, aad, aad_of(s, esp, hi, aad));
	ok &= EVP_CipherUpdate(c, NULL, &n, esp + 8, 8);
	ok &= EVP_CipherUpdate(c, NULL, &n, in, (int)len);
	memcpy(out, in, len);
	return ok;
}

static bool crypt_aead(const struct sa_spec *s, bool seal, const uint8_t *esp, uint32_t hi,
	const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
	uint8_t nonce[16];
	int n, ok = 1, icv = (int)oracle_icv_len(s);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	nonce_of(s, esp + 8, nonce);
	ok &= EVP_CipherInit_ex(c, cipher_of(s), NULL, NULL, NULL, seal);
	ok &= EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, is_ccm(s) ? 11 : 12, NULL);
	if (!seal || is_ccm(s))
		ok &= EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, icv, seal ? NULL : tag);
	ok &= EVP_CipherInit_ex(c, NULL, NULL, s->encr_key, nonce, seal);
	ok &= is_gmac(s) ? run_gmac(c, s, esp, hi, in, len, out)
			 : run_aead(c, s, seal, esp, hi, in, len, out);
	// CCM's text is not given out before it is verified.
	if (!is_ccm(s))
		ok &= EVP_CipherFinal_ex(c, out + len, &n);
	if (seal)
		ok &= EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, icv, tag);
	EVP_CIPHER_CTX_free(c);
	return ok == 1;
}

static bool crypt(const struct sa_spec *s, bool seal, const uint8_t *esp, uint32_t hi,
	const uint8_t *in, size_t len, uint8_t *out, uint8_t *tag)
{
	uint8_t nonce[16];
	int n, ok = 1;
	if (is_aead(s))
		return crypt_aead(s, seal, esp, hi, in, len, out, tag);
	if (s->encr.id == ENCR_NULL) {
		memcpy(out, in, len);
		return true;
	}
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	nonce_of(s, esp + 8, nonce);
	ok &= EVP_CipherInit_ex(c, cipher_of(s), NULL, s->encr_key, nonce, seal);
	EVP_CIPHER_CTX_set_padding(c, 0);
	ok &= EVP_CipherUpdate(c, out, &n, in, (int)len);
	ok &= EVP_CipherFinal_ex(c, out + n, &n);
	EVP_CIPHER_CTX_free(c);
	return ok == 1;
}

// One block or more of AES-128 in CBC mode, from an IV of zeros; returns nothing but the last block.
static void cbc_mac(const uint8_t *key, const uint8_t *in, size_t len, uint8_t *last)
{
	static const uint8_t zero[16];
	uint8_t out[20000];
	int n;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	assert_int_equal(EVP_EncryptInit_ex(c, EVP_aes_128_cbc(), NULL, key, zero), 1);
	EVP_CIPHER_CTX_set_padding(c, 0);
	assert_int_equal(EVP_EncryptUpdate(c, out, &n, in, (int)len), 1);
	EVP_CIPHER_CTX_free(c);
	memcpy(last, out + len - 16, 16);
}

// RFC 3566 4: K1, K2 and K3 are a block of 01, 02 or 03 under the key; the last block, padded with a bit
// 1 and zeros where it is short, is mixed with K2 where it is whole, else with K3. OpenSSL does the AES.
static void xcbc(const uint8_t *key, uint8_t *text, size_t len, uint8_t *mac)
{
	uint8_t k[3][16];
	bool whole = len && len % 16 == 0;
	for (int i = 0; i < 3; i++) {
		uint8_t block[16];
		memset(block, i + 1, sizeof(block));
		cbc_mac(key, block, sizeof(block), k[i]);
	}
	if (!whole)
		text[len++] = 0x80;
	while (len % 16)
		text[len++] = 0;
	for (int i = 0; i < 16; i++)
		text[len - 16 + (size_t)i] ^= k[whole ? 1 : 2][i];
	cbc_mac(k[0], text, len, mac);
}

static void cmac(const struct sa_spec *s, const uint8_t *text, size_t len, uint8_t *mac)
{
	size_t n;
	assert_non_null(EVP_Q_mac(NULL, "CMAC", NULL, "AES-128-CBC", NULL, s->integ_key,
		s->integ_key_len, text, len, mac, 16, &n));
}

static void mac_of(
	const struct sa_spec *s, const uint8_t *esp, size_t len, uint32_t hi, uint8_t *out)
{
	uint8_t copy[20000], md[64];
	unsigned n;
	assert_true(len + 4 + 16 <= sizeof(copy));
	memcpy(copy, esp, len);
	if (s->esn) {
		be32(copy + len, hi);
		len += 4;
	}
	if (s->integ == INTEG_AES_XCBC_96)
		xcbc(s->integ_key, copy, len, md);
	else if (s->integ == INTEG_AES_CMAC_96)
		cmac(s, copy, len, md);
	else
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
		mac_of(s, out, 8 + iv_len + len, (uint32_t)(seq >> 32), text + len);
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
		mac_of(s, esp, head + text, seq_hi, tag);
		if (memcmp(tag, sent, icv) != 0)
			return 0;
	}
	return crypt(s, false, esp, seq_hi, esp + head, text, out, sent) ? text : 0;
}
