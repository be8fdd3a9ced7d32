// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/handshake.h"

#include "controlplane/starter.h"

bool ike_suite_supported(const struct suite *s)
{
	return ike_crypto_supports(TRANSFORM_ENCR, s->encr.id, s->encr.key_bits) &&
	       ike_crypto_supports(TRANSFORM_PRF, s->prf, 0) &&
	       (s->integ == INTEG_NONE || ike_crypto_supports(TRANSFORM_INTEG, s->integ, 0)) &&
	       ike_crypto_supports(TRANSFORM_DH, s->dh, 0);
}

bool ike_nonce_draw(struct ike_sa *sa, struct secret *nonce, size_t len)
{
	if (nonce->len)
		return true;
	if (secret_init(nonce, len) < 0)
		return false;
	random_fill(sa->engine->p.random, nonce->bytes, nonce->len);
	return true;
}

enum ike_reason ike_dh_reason(const struct ike_exchange *x)
{
	if (x->got != IKE_GOT_JOB || !x->job)
		return IKE_REASON_JOB_TIMEOUT;
	switch (IKE_JOB_AS(ike_dh_job, x->job)->base.error) {
	case IKE_CRYPTO_OK:
		return IKE_REASON_NONE;
	case IKE_CRYPTO_DH_LENGTH:
	case IKE_CRYPTO_DH_VALUE:
	case IKE_CRYPTO_DH_ZERO:
		return IKE_REASON_BAD_KE;
	default:
		return IKE_REASON_CRYPTO;
	}
}

size_t ike_cert_chain(const struct view *certs, uint8_t count, struct view *chain)
{
	size_t n = 0;
	for (uint8_t i = 0; i < count; i++) {
		struct wire_cert c;
		if (wire_cert_parse(certs[i], &c) == WIRE_OK &&
			c.encoding == IKEV2_CERT_X509_SIGNATURE)
			chain[n++] = c.data;
	}
	return n;
}

enum ike_reason ike_cert_reason(enum ike_crypto_error error)
{
	switch (error) {
	case IKE_CRYPTO_CERT_EXPIRED:
	case IKE_CRYPTO_CERT_NOT_YET_VALID:
		return IKE_REASON_CERT_EXPIRED;
	case IKE_CRYPTO_CERT_UNTRUSTED:
	case IKE_CRYPTO_NO_CA:
		return IKE_REASON_CERT_UNTRUSTED;
	case IKE_CRYPTO_CERT_NAME:
		return IKE_REASON_CERT_NAME;
	case IKE_CRYPTO_AUTH_METHOD:
	case IKE_CRYPTO_AUTH_ALGORITHM:
	case IKE_CRYPTO_AUTH_FORMAT:
	case IKE_CRYPTO_AUTH_SHA1:
	case IKE_CRYPTO_AUTH_HASH:
	case IKE_CRYPTO_AUTH_SIGNATURE:
		return IKE_REASON_BAD_SIGNATURE;
	default:
		return IKE_REASON_CERT_INVALID;
	}
}

bool ike_own_identity(const struct ike_sa *sa, const struct cfg_connection *conn,
	const struct ike_certificate *certificate, struct ike_id *out)
{
	struct wire_id id;
	const struct ip_addr *a = &sa->local.addr;
	struct wr w = wr_of(out->body, sizeof(out->body));
	if (conn->local.id && conn->local.id[0])
		return ike_id_from_text(conn->local.id, out) == 0;
	if (certificate)
		id = (struct wire_id){IKEV2_ID_DER_ASN1_DN, certificate->subject};
	else
		id = (struct wire_id){
			a->family == IP_V6 ? IKEV2_ID_IPV6_ADDR : IKEV2_ID_IPV4_ADDR,
			{a->bytes, ip_len(a->family)},
		};
	wire_id_body(&w, &id);
	out->len = wr_done(&w).len;
	return out->len > 0;
}

bool ike_session_only(const struct ike_session *s)
{
	return ike_starter_of(s->engine, s->conn)->all == 1;
}
