// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The smaller payloads of IKEv1, built.
#include "controlplane/wire/ikev1.h"

void ikev1_put_ke(struct wire_builder *b, struct view value)
{
	wire_put_raw(b, IKEV1_PAYLOAD_KE, value);
}

void ikev1_put_nonce(struct wire_builder *b, struct view nonce)
{
	wire_put_raw(b, IKEV1_PAYLOAD_NONCE, nonce);
}

static void put_encoded(struct wire_builder *b, uint8_t payload, struct view data)
{
	wire_open(b, payload);
	wr_u8(&b->w, IKEV2_CERT_X509_SIGNATURE); // RFC 2408 3.9: the same number
	wr_view(&b->w, data);
	wire_close(b);
}

void ikev1_put_cert(struct wire_builder *b, struct view der)
{
	put_encoded(b, IKEV1_PAYLOAD_CERT, der);
}

void ikev1_put_certreq(struct wire_builder *b, struct view name)
{
	put_encoded(b, IKEV1_PAYLOAD_CERTREQ, name);
}

void ikev1_put_vendor(struct wire_builder *b, struct view id)
{
	wire_put_raw(b, IKEV1_PAYLOAD_VENDOR, id);
}

void ikev1_put_notify(struct wire_builder *b, const struct ikev1_notification *n)
{
	wire_open(b, IKEV1_PAYLOAD_NOTIFY);
	if (n->spi.len > UINT8_MAX)
		b->w.overflow = true;
	wr_u32(&b->w, n->doi);
	wr_u8(&b->w, n->protocol);
	wr_u8(&b->w, (uint8_t)n->spi.len);
	wr_u16(&b->w, n->type);
	wr_view(&b->w, n->spi);
	wr_view(&b->w, n->data);
	wire_close(b);
}

static void open_delete(struct wire_builder *b, uint8_t protocol, uint8_t spi_len, uint16_t count)
{
	wire_open(b, IKEV1_PAYLOAD_DELETE);
	wr_u32(&b->w, IKEV1_DOI_IPSEC);
	wr_u8(&b->w, protocol);
	wr_u8(&b->w, spi_len);
	wr_u16(&b->w, count);
}

void ikev1_put_delete_isakmp(struct wire_builder *b, uint64_t spi_i, uint64_t spi_r)
{
	open_delete(b, IKEV1_PROTOCOL_ISAKMP, 16, 1);
	wr_u64(&b->w, spi_i);
	wr_u64(&b->w, spi_r);
	wire_close(b);
}

void ikev1_put_delete_esp(struct wire_builder *b, const uint32_t *spis, uint16_t count)
{
	open_delete(b, IKEV1_PROTOCOL_ESP, 4, count);
	for (uint16_t i = 0; i < count; i++)
		wr_u32(&b->w, spis[i]);
	wire_close(b);
}

void ikev1_put_natd(struct wire_builder *b, bool draft, struct view hash)
{
	wire_put_raw(b, draft ? IKEV1_PAYLOAD_NAT_D_DRAFT : IKEV1_PAYLOAD_NAT_D, hash);
}

void ikev1_put_natoa(struct wire_builder *b, bool draft, const struct ip_addr *a)
{
	struct wr *w = &b->w;
	wire_open(b, draft ? IKEV1_PAYLOAD_NAT_OA_DRAFT : IKEV1_PAYLOAD_NAT_OA);
	wr_u8(w, a->family == IP_V4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR);
	wr_zero(w, 3);
	wr_bytes(w, a->bytes, ip_len(a->family));
	wire_close(b);
}
