// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/crypto/internal.h"

#define PRF_PLUS_BLOCKS_MAX 255 // the block number is one octet
#define PRF_PLUS_SEED_MAX   (IKE_SHARED_MAX + 2 * IKE_NONCE_MAX + 16)

enum ike_crypto_error crypto_hmac(
	enum crypto_hash hash, struct view key, const struct view *parts, size_t n, uint8_t *out)
{
	EVP_MAC_CTX *ctx = crypto_hmac_ctx(hash);
	if (!ctx)
		return IKE_CRYPTO_UNSUPPORTED;
	// A NULL key would mean "the key of before".
	const uint8_t *bytes = key.p ? key.p : (const uint8_t *)"";
	size_t len = 0;
	if (EVP_MAC_init(ctx, bytes, key.len, NULL) != 1)
		return IKE_CRYPTO_INTERNAL;
	for (size_t i = 0; i < n; i++)
		if (parts[i].len && EVP_MAC_update(ctx, parts[i].p, parts[i].len) != 1)
			return IKE_CRYPTO_INTERNAL;
	return EVP_MAC_final(ctx, out, &len, EVP_MAX_MD_SIZE) == 1 ? IKE_CRYPTO_OK
								   : IKE_CRYPTO_INTERNAL;
}

enum ike_crypto_error ike_prf(
	uint16_t prf, struct view key, const struct view *parts, size_t n, uint8_t *out)
{
	return crypto_hmac(crypto_hash_of_prf(prf), key, parts, n, out);
}

enum ike_crypto_error ike_prf_plus(
	uint16_t prf, struct view key, struct view seed, uint8_t *out, size_t out_len)
{
	const struct alg_prf *alg = alg_prf(prf);
	if (!alg || out_len > (size_t)alg->len * PRF_PLUS_BLOCKS_MAX)
		return IKE_CRYPTO_UNSUPPORTED;
	uint8_t block[IKE_PRF_MAX];
	uint8_t number = 0;
	enum ike_crypto_error e = IKE_CRYPTO_OK;
	// T1 = prf (K, S | 0x01), T2 = prf (K, T1 | S | 0x02), ...
	for (size_t done = 0; done < out_len && e == IKE_CRYPTO_OK;) {
		size_t part = out_len - done < alg->len ? out_len - done : alg->len;
		struct view parts[] = {{block, number ? alg->len : 0}, seed, {&number, 1}};
		number++;
		e = ike_prf(prf, key, parts, 3, block);
		if (e == IKE_CRYPTO_OK)
			memcpy(out + done, block, part);
		done += part;
	}
	secret_wipe(block, sizeof(block));
	if (e)
		secret_wipe(out, out_len);
	return e;
}

// RFC 7296 2.14: SKEYSEED = prf(Ni | Nr, g^ir); 2.18: prf(SK_d (old), g^ir (new) | Ni | Nr).
static enum ike_crypto_error skeyseed(const struct ike_keys_input *in, uint8_t *out)
{
	if (in->old_sk_d) {
		struct view parts[] = {in->shared, in->ni, in->nr};
		return ike_prf(in->old_prf, *in->old_sk_d, parts, 3, out);
	}
	uint8_t nonces[2 * IKE_NONCE_MAX];
	struct wr w = wr_of(nonces, sizeof(nonces));
	wr_view(&w, in->ni);
	wr_view(&w, in->nr);
	return ike_prf(in->suite->prf, wr_done(&w), &in->shared, 1, out);
}

bool crypto_nonces_fit(struct view ni, struct view nr)
{
	return ni.len && nr.len && ni.len <= IKE_NONCE_MAX && nr.len <= IKE_NONCE_MAX;
}

static struct view cut(const uint8_t **p, size_t len)
{
	struct view v = {*p, len};
	*p += len;
	return v;
}

enum ike_crypto_error ike_keys_derive(const struct ike_keys_input *in, struct ike_keys *out)
{
	*out = (struct ike_keys){0};
	const struct suite *s = in->suite;
	const struct alg_encr *encr = alg_encr(s->encr.id, s->encr.key_bits);
	const struct alg_integ *integ = alg_integ(s->integ);
	const struct alg_prf *prf = alg_prf(s->prf);
	const struct alg_prf *seed_prf = in->old_sk_d ? alg_prf(in->old_prf) : prf;
	if (!encr || !prf || !seed_prf || !crypto_nonces_fit(in->ni, in->nr))
		return IKE_CRYPTO_UNSUPPORTED;
	if (!encr->icv_len && !integ)
		return IKE_CRYPTO_UNSUPPORTED;
	size_t a = encr->icv_len ? 0 : integ->key_len, e = encr->key_len + encr->salt_len;
	size_t p = prf->len;

	if (secret_init(&out->block, 3 * p + 2 * a + 2 * e) != 0)
		return IKE_CRYPTO_NO_MEMORY;
	uint8_t seed[IKE_PRF_MAX], rest[2 * IKE_NONCE_MAX + 16];
	struct wr w = wr_of(rest, sizeof(rest));
	wr_view(&w, in->ni);
	wr_view(&w, in->nr);
	wr_u64(&w, in->spi_i);
	wr_u64(&w, in->spi_r);
	enum ike_crypto_error rc = skeyseed(in, seed);
	if (rc == IKE_CRYPTO_OK)
		rc = ike_prf_plus(s->prf, (struct view){seed, seed_prf->len}, wr_done(&w),
			out->block.bytes, out->block.len);
	secret_wipe(seed, sizeof(seed));
	if (rc) {
		ike_keys_fini(out);
		return rc;
	}
	const uint8_t *at = out->block.bytes;
	out->sk_d = cut(&at, p);
	out->sk_ai = cut(&at, a);
	out->sk_ar = cut(&at, a);
	out->sk_ei = cut(&at, e);
	out->sk_er = cut(&at, e);
	out->sk_pi = cut(&at, p);
	out->sk_pr = cut(&at, p);
	return IKE_CRYPTO_OK;
}

void ike_keys_fini(struct ike_keys *k)
{
	secret_fini(&k->block);
	*k = (struct ike_keys){0};
}

bool crypto_esp_keys_size(const struct suite *esp, struct ike_esp_keys *k)
{
	const struct alg_encr *encr = alg_encr(esp->encr.id, esp->encr.key_bits);
	const struct alg_integ *integ = alg_integ(esp->integ);
	*k = (struct ike_esp_keys){0};
	if (!encr || (esp->integ != INTEG_NONE && !integ))
		return false;
	size_t encr_len = (size_t)encr->key_len + encr->salt_len;
	size_t integ_len = encr->icv_len || !integ ? 0 : integ->key_len;
	if (encr_len > SA_ENCR_KEY_MAX || integ_len > SA_INTEG_KEY_MAX ||
		(!encr->icv_len && !integ_len))
		return false;
	k->encr_len = (uint8_t)encr_len;
	k->integ_len = (uint8_t)integ_len;
	return true;
}

void crypto_esp_keys_cut(struct ike_esp_keys *k, struct rd *r)
{
	// The reader holds exactly this.
	(void)!rd_copy(r, k->encr, k->encr_len);
	(void)!rd_copy(r, k->integ, k->integ_len);
}

enum ike_crypto_error ike_child_keys(const struct ike_child_input *in, struct ike_child_keymat *out)
{
	*out = (struct ike_child_keymat){0};
	struct ike_esp_keys sized;
	if (!crypto_esp_keys_size(in->esp, &sized) || !crypto_nonces_fit(in->ni, in->nr) ||
		in->shared.len > IKE_SHARED_MAX)
		return IKE_CRYPTO_UNSUPPORTED;
	out->i_to_r = out->r_to_i = sized;

	// RFC 7296 2.17: KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr)
	uint8_t seed[PRF_PLUS_SEED_MAX], keymat[2 * (SA_ENCR_KEY_MAX + SA_INTEG_KEY_MAX)];
	struct wr w = wr_of(seed, sizeof(seed));
	wr_view(&w, in->shared);
	wr_view(&w, in->ni);
	wr_view(&w, in->nr);
	size_t len = 2 * ((size_t)sized.encr_len + sized.integ_len);
	enum ike_crypto_error rc = ike_prf_plus(in->prf, in->sk_d, wr_done(&w), keymat, len);
	if (rc == IKE_CRYPTO_OK) {
		struct rd r = rd_of(keymat, len);
		crypto_esp_keys_cut(&out->i_to_r, &r);
		crypto_esp_keys_cut(&out->r_to_i, &r);
	}
	secret_wipe(seed, sizeof(seed));
	secret_wipe(keymat, sizeof(keymat));
	if (rc)
		*out = (struct ike_child_keymat){0};
	return rc;
}
