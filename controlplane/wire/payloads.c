// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bodies of the smaller payloads.
#include "controlplane/wire/wire.h"

enum wire_error wire_ke_parse(struct view body, struct wire_ke *out)
{
	struct rd r = rd_view(body);
	uint16_t reserved;
	if (!rd_u16(&r, &out->group) || !rd_u16(&r, &reserved) || rd_empty(&r))
		return WIRE_MALFORMED_KE;
	out->value = rd_rest(&r);
	return WIRE_OK;
}

enum wire_error wire_nonce_parse(struct view body, struct view *out)
{
	// RFC 7296 3.9: "The size of the Nonce Data MUST be between 16 and 256 octets, inclusive."
	if (body.len < IKEV2_NONCE_MIN || body.len > IKEV2_NONCE_MAX)
		return WIRE_MALFORMED_NONCE;
	*out = body;
	return WIRE_OK;
}

static bool id_length_fits(uint8_t type, size_t len)
{
	switch (type) {
	case IKEV2_ID_IPV4_ADDR:
		return len == 4;
	case IKEV2_ID_IPV6_ADDR:
		return len == 16;
	case IKEV2_ID_NULL_ID:
		return len == 0;
	default:
		return len >= 1 && len <= WIRE_ID_MAX;
	}
}

// RFC 7296 3.5, of FQDN and mail addresses: "The string MUST NOT contain any terminators (e.g.,
// NULL, CR, etc.)."
static bool has_control(struct view v)
{
	for (size_t i = 0; i < v.len; i++)
		if (v.p[i] < ' ' || v.p[i] == 0x7f)
			return true;
	return false;
}

enum wire_error wire_id_parse(struct view body, struct wire_id *out)
{
	struct rd r = rd_view(body);
	struct wire_id id;
	if (!rd_u8(&r, &id.type) || !rd_skip(&r, 3))
		return WIRE_MALFORMED_ID;
	id.data = rd_rest(&r);
	if (!id_length_fits(id.type, id.data.len))
		return WIRE_MALFORMED_ID;
	if ((id.type == IKEV2_ID_FQDN || id.type == IKEV2_ID_RFC822_ADDR) && has_control(id.data))
		return WIRE_MALFORMED_ID;
	*out = id;
	return WIRE_OK;
}

enum wire_error wire_auth_parse(struct view body, struct wire_auth *out)
{
	struct rd r = rd_view(body);
	struct wire_auth a = {0};
	uint8_t algorithm_len;
	if (!rd_u8(&r, &a.method) || !rd_skip(&r, 3) || rd_empty(&r))
		return WIRE_MALFORMED_AUTH;
	a.data = rd_rest(&r);
	a.signature = a.data;
	if (a.method == IKEV2_AUTH_DIGITAL_SIGNATURE) {
		struct rd d = rd_view(a.data);
		if (!rd_u8(&d, &algorithm_len) || algorithm_len == 0 ||
			!rd_bytes(&d, algorithm_len, &a.algorithm) || rd_empty(&d))
			return WIRE_MALFORMED_AUTH;
		a.signature = rd_rest(&d);
	}
	*out = a;
	return WIRE_OK;
}

enum wire_error wire_cert_parse(struct view body, struct wire_cert *out)
{
	struct rd r = rd_view(body);
	if (!rd_u8(&r, &out->encoding) || rd_empty(&r))
		return WIRE_MALFORMED_CERT;
	out->data = rd_rest(&r);
	return WIRE_OK;
}

enum wire_error wire_certreq_parse(struct view body, struct wire_cert *out)
{
	struct rd r = rd_view(body);
	if (!rd_u8(&r, &out->encoding))
		return WIRE_MALFORMED_CERTREQ;
	out->data = rd_rest(&r);
	return WIRE_OK;
}

enum wire_error wire_notify_parse(struct view body, struct wire_notify *out)
{
	struct rd r = rd_view(body);
	struct wire_notify n;
	uint8_t spi_len;
	if (!rd_u8(&r, &n.protocol) || !rd_u8(&r, &spi_len) || !rd_u16(&r, &n.type) ||
		!rd_bytes(&r, spi_len, &n.spi))
		return WIRE_MALFORMED_NOTIFY;
	n.data = rd_rest(&r);
	// RFC 7296 1.3.3: REKEY_SA "is included with the SPI of the SA being rekeyed".
	if (n.type == IKEV2_NOTIFY_REKEY_SA &&
		((n.protocol != IKEV2_PROTOCOL_ESP && n.protocol != IKEV2_PROTOCOL_AH) ||
			spi_len != 4))
		return WIRE_MALFORMED_NOTIFY;
	*out = n;
	return WIRE_OK;
}

enum wire_error wire_delete_parse(struct view body, struct wire_delete *out)
{
	struct rd r = rd_view(body);
	struct wire_delete d;
	if (!rd_u8(&r, &d.protocol) || !rd_u8(&r, &d.spi_len) || !rd_u16(&r, &d.count) ||
		!rd_bytes(&r, (size_t)d.spi_len * d.count, &d.spis) || !rd_empty(&r))
		return WIRE_MALFORMED_DELETE;
	// RFC 7296 3.11: "It MUST be zero for IKE (SPI is in message header) or four for AH and ESP."
	bool esp = d.protocol == IKEV2_PROTOCOL_ESP || d.protocol == IKEV2_PROTOCOL_AH;
	if (esp && d.spi_len != 4)
		return WIRE_MALFORMED_DELETE;
	if (d.protocol == IKEV2_PROTOCOL_IKE && (d.spi_len || d.count))
		return WIRE_MALFORMED_DELETE;
	*out = d;
	return WIRE_OK;
}

uint32_t wire_delete_spi(const struct wire_delete *d, uint16_t i)
{
	uint32_t spi;
	if (d->spi_len != 4 || i >= d->count)
		return 0;
	struct rd r = rd_of(d->spis.p + (size_t)i * 4, 4);
	return rd_u32(&r, &spi) ? spi : 0;
}

enum wire_error wire_eap_parse(struct view body, struct view *out)
{
	struct rd r = rd_view(body);
	uint16_t length;
	// RFC 3748 4: code, identifier, length of the whole.
	if (!rd_skip(&r, 2) || !rd_u16(&r, &length) || length != body.len)
		return WIRE_MALFORMED_EAP;
	*out = body;
	return WIRE_OK;
}

enum wire_error wire_sk_split(
	struct view body, size_t iv_len, size_t icv_len, size_t block, struct wire_sk *out)
{
	struct rd r = rd_view(body);
	if (rd_left(&r) < iv_len + icv_len + 1)
		return WIRE_MALFORMED_SK;
	size_t cipher_len = rd_left(&r) - iv_len - icv_len;
	if (block > 1 && cipher_len % block)
		return WIRE_MALFORMED_SK;
	if (!rd_bytes(&r, iv_len, &out->iv) || !rd_bytes(&r, cipher_len, &out->ciphertext) ||
		!rd_bytes(&r, icv_len, &out->icv))
		return WIRE_MALFORMED_SK;
	return WIRE_OK;
}

enum wire_error wire_sk_unpad(struct view plaintext, struct view *out)
{
	if (plaintext.len == 0)
		return WIRE_BAD_PADDING;
	size_t pad_len = plaintext.p[plaintext.len - 1];
	if (pad_len + 1 > plaintext.len)
		return WIRE_BAD_PADDING;
	*out = (struct view){plaintext.p, plaintext.len - pad_len - 1};
	return WIRE_OK;
}

enum wire_error wire_skf_parse(struct view body, struct wire_skf *out)
{
	struct rd r = rd_view(body);
	struct wire_skf f;
	if (!rd_u16(&r, &f.number) || !rd_u16(&r, &f.total) || rd_empty(&r))
		return WIRE_BAD_FRAGMENT;
	// RFC 7383 2.6: both fields not zero, the number not above the total.
	if (f.number == 0 || f.total == 0 || f.number > f.total)
		return WIRE_BAD_FRAGMENT;
	if (f.total > WIRE_FRAGMENTS_MAX)
		return WIRE_TOO_MANY_FRAGMENTS;
	f.content = rd_rest(&r);
	*out = f;
	return WIRE_OK;
}
