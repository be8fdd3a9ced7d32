// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/crypto/internal.h"

bool ike_hashes_parse(struct view data, uint32_t *hashes)
{
	struct rd r = rd_view(data);
	uint16_t id;
	uint32_t set = 0;
	while (rd_u16(&r, &id))
		if (id >= IKE_HASH_SHA1 && id <= IKE_HASH_IDENTITY)
			set |= IKE_HASH_BIT(id);
	*hashes = set;
	return rd_empty(&r);
}

// message | nonce | prf(sk_p, id_body) | int_auth as parts; maced holds the third.
#define OCTET_PARTS 4

static enum ike_crypto_error octet_parts(const struct ike_auth_input *in,
	uint8_t maced[static IKE_PRF_MAX], struct view parts[static OCTET_PARTS])
{
	const struct alg_prf *prf = alg_prf(in->prf);
	if (!prf)
		return IKE_CRYPTO_UNSUPPORTED;
	parts[0] = in->message;
	parts[1] = in->nonce;
	parts[2] = (struct view){maced, prf->len};
	parts[3] = in->int_auth;
	return ike_prf(in->prf, in->sk_p, &in->id_body, 1, maced);
}

enum ike_crypto_error ike_signed_octets(const struct ike_auth_input *in, struct secret *out)
{
	uint8_t maced[IKE_PRF_MAX];
	struct view parts[OCTET_PARTS];
	size_t len = 0;
	*out = (struct secret){0};
	enum ike_crypto_error e = octet_parts(in, maced, parts);
	if (e)
		return e;
	for (size_t i = 0; i < OCTET_PARTS; i++)
		len += parts[i].len;
	if (secret_init(out, len) != 0)
		return IKE_CRYPTO_NO_MEMORY;
	struct wr w = wr_of(out->bytes, len);
	for (size_t i = 0; i < OCTET_PARTS; i++)
		wr_view(&w, parts[i]);
	return IKE_CRYPTO_OK;
}

enum ike_crypto_error ike_auth_psk(
	const struct ike_auth_input *in, struct view psk, uint8_t out[static IKE_PRF_MAX])
{
	static const struct view pad = {(const uint8_t *)"Key Pad for IKEv2", 17};
	const struct alg_prf *prf = alg_prf(in->prf);
	uint8_t maced[IKE_PRF_MAX], key[IKE_PRF_MAX];
	struct view parts[OCTET_PARTS];
	if (psk.len == 0)
		return IKE_CRYPTO_NO_PSK;
	enum ike_crypto_error e = octet_parts(in, maced, parts);
	if (e == IKE_CRYPTO_OK)
		e = ike_prf(in->prf, psk, &pad, 1, key);
	if (e == IKE_CRYPTO_OK)
		e = ike_prf(in->prf, (struct view){key, prf->len}, parts, OCTET_PARTS, out);
	secret_wipe(key, sizeof(key));
	return e;
}

enum ike_crypto_error ike_auth_psk_verify(
	const struct ike_auth_input *in, struct view psk, struct view auth)
{
	const struct alg_prf *prf = alg_prf(in->prf);
	uint8_t want[IKE_PRF_MAX];
	enum ike_crypto_error e = ike_auth_psk(in, psk, want);
	if (e)
		return e;
	if (auth.len != prf->len)
		e = IKE_CRYPTO_AUTH_FORMAT;
	else if (!secret_equal(want, auth.p, auth.len))
		e = IKE_CRYPTO_AUTH_PSK;
	secret_wipe(want, sizeof(want));
	return e;
}
