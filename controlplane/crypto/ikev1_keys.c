// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What IKEv1 derives by its PRF and hash: RFC 2409 5 and appendix B, RFC 3947 3.2.
#include "controlplane/crypto/ikev1.h"

#include "controlplane/crypto/internal.h"
#include "controlplane/wire/ikev1_numbers.h"

#define COOKIE_LEN 8 // bytes

static enum ike_crypto_error digest(
	uint16_t prf, const struct view *parts, size_t n, uint8_t out[static IKEV1_HASH_MAX])
{
	const EVP_MD *md = crypto_md(crypto_hash_of_prf(prf));
	if (!md)
		return IKE_CRYPTO_UNSUPPORTED;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx && EVP_DigestInit_ex2(ctx, md, NULL) == 1;
	for (size_t i = 0; ok && i < n; i++)
		ok = parts[i].len == 0 || EVP_DigestUpdate(ctx, parts[i].p, parts[i].len) == 1;
	ok = ok && EVP_DigestFinal_ex(ctx, out, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok ? IKE_CRYPTO_OK : IKE_CRYPTO_INTERNAL;
}

static void cookie_put(uint64_t spi, uint8_t out[static COOKIE_LEN])
{
	struct wr w = wr_of(out, COOKIE_LEN);
	wr_u64(&w, spi);
}

// RFC 2409 5: "For signatures: SKEYID = prf(Ni_b | Nr_b, g^xy)", "For pre-shared keys: SKEYID =
// prf(pre-shared-key, Ni_b | Nr_b)".
static enum ike_crypto_error skeyid_derive(const struct ikev1_keys_input *in, uint8_t *out)
{
	uint8_t nonces[2 * IKE_NONCE_MAX];
	struct wr w = wr_of(nonces, sizeof(nonces));
	wr_view(&w, in->ni);
	wr_view(&w, in->nr);
	struct view both = wr_done(&w);
	if (in->psk.len)
		return ike_prf(in->suite->prf, in->psk, &both, 1, out);
	return ike_prf(in->suite->prf, both, &in->shared, 1, out);
}

// RFC 2409 5: SKEYID_d = prf(SKEYID, g^xy | CKY-I | CKY-R | 0), SKEYID_a = prf(SKEYID, SKEYID_d |
// g^xy | CKY-I | CKY-R | 1), SKEYID_e = prf(SKEYID, SKEYID_a | g^xy | CKY-I | CKY-R | 2)
static enum ike_crypto_error skeyids_derive(
	const struct ikev1_keys_input *in, struct view skeyid, uint8_t *out)
{
	uint8_t cookie_i[COOKIE_LEN], cookie_r[COOKIE_LEN];
	cookie_put(in->spi_i, cookie_i);
	cookie_put(in->spi_r, cookie_r);
	struct view before = {0};
	for (uint8_t number = 0; number < 3; number++) {
		struct view parts[] = {before, in->shared, {cookie_i, COOKIE_LEN},
			{cookie_r, COOKIE_LEN}, {&number, 1}};
		enum ike_crypto_error e = ike_prf(in->suite->prf, skeyid, parts, 5, out);
		if (e)
			return e;
		before = (struct view){out, skeyid.len};
		out += skeyid.len;
	}
	return IKE_CRYPTO_OK;
}

// RFC 2409 appendix B: the cipher's key is the first bytes of SKEYID_e, or where it has not enough
// of them, of Ka = K1 | K2 | ..., K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1), ... For 3DES it
// names Ka alone; with the hashes of its time, all too short for 24 bytes, this is the same, and
// with longer ones SKEYID_e is what implementations take.
// It also passes over DES's weak keys, 16 in 2^56, without saying which bytes come instead. They
// are left as they are: two sides that guess differently would not understand each other.
static enum ike_crypto_error cipher_key_derive(
	uint16_t prf, struct view skeyid_e, uint8_t *out, size_t len)
{
	uint8_t block[IKE_PRF_MAX] = {0};
	struct view seed = {block, 1};
	enum ike_crypto_error e = IKE_CRYPTO_OK;
	if (len <= skeyid_e.len) {
		memcpy(out, skeyid_e.p, len);
		return IKE_CRYPTO_OK;
	}
	for (size_t done = 0; done < len && e == IKE_CRYPTO_OK; done += skeyid_e.len) {
		size_t part = len - done < skeyid_e.len ? len - done : skeyid_e.len;
		e = ike_prf(prf, skeyid_e, &seed, 1, block);
		if (e == IKE_CRYPTO_OK)
			memcpy(out + done, block, part);
		seed.len = skeyid_e.len;
	}
	secret_wipe(block, sizeof(block));
	return e;
}

enum ike_crypto_error ikev1_keys_derive(const struct ikev1_keys_input *in, struct ikev1_keys *out)
{
	*out = (struct ikev1_keys){0};
	const struct suite *s = in->suite;
	const struct alg_encr *encr = alg_encr(s->encr.id, s->encr.key_bits);
	const struct alg_prf *prf = alg_prf(s->prf);
	if (!encr || encr->block == 1 || !prf || !crypto_nonces_fit(in->ni, in->nr))
		return IKE_CRYPTO_UNSUPPORTED;
	if (in->shared.len == 0)
		return IKE_CRYPTO_INTERNAL;
	size_t p = prf->len;
	if (secret_init(&out->block, 4 * p + encr->key_len) != 0)
		return IKE_CRYPTO_NO_MEMORY;
	uint8_t *at = out->block.bytes;
	out->skeyid = (struct view){at, p};
	out->skeyid_d = (struct view){at + p, p};
	out->skeyid_a = (struct view){at + 2 * p, p};
	out->skeyid_e = (struct view){at + 3 * p, p};
	out->encr = (struct view){at + 4 * p, encr->key_len};
	enum ike_crypto_error e = skeyid_derive(in, at);
	if (e == IKE_CRYPTO_OK)
		e = skeyids_derive(in, out->skeyid, at + p);
	if (e == IKE_CRYPTO_OK)
		e = cipher_key_derive(s->prf, out->skeyid_e, at + 4 * p, encr->key_len);
	if (e)
		ikev1_keys_fini(out);
	return e;
}

void ikev1_keys_fini(struct ikev1_keys *k)
{
	secret_fini(&k->block);
	*k = (struct ikev1_keys){0};
}

// The first bytes of hash(a | b), as many as the cipher's block.
static enum ike_crypto_error iv_derive(
	const struct suite *suite, struct view a, struct view b, uint8_t iv[static IKEV1_IV_MAX])
{
	const struct alg_encr *encr = alg_encr(suite->encr.id, suite->encr.key_bits);
	uint8_t hash[IKEV1_HASH_MAX];
	struct view parts[] = {a, b};
	memset(iv, 0, IKEV1_IV_MAX);
	if (!encr || encr->block == 1)
		return IKE_CRYPTO_UNSUPPORTED;
	enum ike_crypto_error e = digest(suite->prf, parts, 2, hash);
	if (e == IKE_CRYPTO_OK)
		memcpy(iv, hash, encr->block);
	return e;
}

enum ike_crypto_error ikev1_iv_phase1(const struct suite *suite, struct view ke_i, struct view ke_r,
	uint8_t iv[static IKEV1_IV_MAX])
{
	return iv_derive(suite, ke_i, ke_r, iv);
}

enum ike_crypto_error ikev1_iv_phase2(const struct suite *suite,
	const uint8_t last[static IKEV1_IV_MAX], uint32_t message_id,
	uint8_t iv[static IKEV1_IV_MAX])
{
	const struct alg_encr *encr = alg_encr(suite->encr.id, suite->encr.key_bits);
	uint8_t block[IKEV1_IV_MAX], id[4];
	struct wr w = wr_of(id, sizeof(id));
	wr_u32(&w, message_id);
	// last may be iv itself.
	memcpy(block, last, sizeof(block));
	return iv_derive(suite, (struct view){block, encr ? encr->block : 0}, wr_done(&w), iv);
}

uint16_t ikev1_hash_prf(uint16_t auth, uint16_t prf)
{
	switch (auth) {
	case IKEV1_AUTH_ECDSA_256:
		return PRF_HMAC_SHA2_256;
	case IKEV1_AUTH_ECDSA_384:
		return PRF_HMAC_SHA2_384;
	case IKEV1_AUTH_ECDSA_521:
		return PRF_HMAC_SHA2_512;
	default:
		return prf;
	}
}

enum ike_crypto_error ikev1_hash_auth(
	const struct ikev1_hash_input *in, bool of_initiator, uint8_t out[static IKEV1_HASH_MAX])
{
	uint8_t own[COOKIE_LEN], other[COOKIE_LEN];
	cookie_put(of_initiator ? in->spi_i : in->spi_r, own);
	cookie_put(of_initiator ? in->spi_r : in->spi_i, other);
	// RFC 2409 5: HASH_I = prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b ), HASH_R =
	// prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b )
	struct view parts[] = {of_initiator ? in->ke_i : in->ke_r,
		of_initiator ? in->ke_r : in->ke_i, {own, COOKIE_LEN}, {other, COOKIE_LEN},
		in->sa_i, in->id_body};
	return ike_prf(in->prf, in->skeyid, parts, 6, out);
}

size_t ikev1_natd_hash(uint16_t prf, uint64_t spi_i, uint64_t spi_r, const struct endpoint *ep,
	uint8_t out[static IKEV1_HASH_MAX])
{
	// RFC 3947 3.2: HASH = HASH(CKY-I | CKY-R | IP | Port)
	uint8_t text[2 * COOKIE_LEN + sizeof(ep->addr.bytes) + 2];
	struct wr w = wr_of(text, sizeof(text));
	wr_u64(&w, spi_i);
	wr_u64(&w, spi_r);
	wr_bytes(&w, ep->addr.bytes, ip_len(ep->addr.family));
	wr_u16(&w, ep->port);
	struct view part = wr_done(&w);
	return digest(prf, &part, 1, out) == IKE_CRYPTO_OK ? alg_prf(prf)->len : 0;
}

enum ike_crypto_error ikev1_child_keys(const struct ikev1_child_input *in, struct ike_esp_keys *out)
{
	const struct alg_prf *prf = alg_prf(in->prf);
	bool sized = crypto_esp_keys_size(in->esp, out);
	size_t len = (size_t)out->encr_len + out->integ_len;
	uint8_t keymat[SA_ENCR_KEY_MAX + SA_INTEG_KEY_MAX + IKE_PRF_MAX];
	uint8_t head[5];
	enum ike_crypto_error e = IKE_CRYPTO_OK;
	if (!sized || !prf || !crypto_nonces_fit(in->ni, in->nr)) {
		*out = (struct ike_esp_keys){0};
		return IKE_CRYPTO_UNSUPPORTED;
	}
	struct wr w = wr_of(head, sizeof(head));
	wr_u8(&w, IKEV1_PROTOCOL_ESP);
	wr_u32(&w, in->spi);
	// RFC 2409 5.5: KEYMAT = K1 | K2 | K3 | ..., K1 = prf(SKEYID_d, [ g(qm)^xy | ] protocol | SPI
	// | Ni_b | Nr_b), K2 = prf(SKEYID_d, K1 | [ g(qm)^xy | ] protocol | SPI | Ni_b | Nr_b), ...
	struct view before = {0};
	for (size_t done = 0; done < len && e == IKE_CRYPTO_OK; done += prf->len) {
		struct view parts[] = {before, in->shared, wr_done(&w), in->ni, in->nr};
		e = ike_prf(in->prf, in->skeyid_d, parts, 5, keymat + done);
		before = (struct view){keymat + done, prf->len};
	}
	struct rd r = rd_of(keymat, len);
	if (e)
		*out = (struct ike_esp_keys){0};
	else
		crypto_esp_keys_cut(out, &r);
	secret_wipe(keymat, sizeof(keymat));
	return e;
}
