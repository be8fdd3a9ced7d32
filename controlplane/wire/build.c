// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The builder, and the smaller payloads.
#include "controlplane/wire/wire.h"

void wire_build_begin(struct wire_builder *b, void *buf, size_t cap)
{
	*b = (struct wire_builder){.w = wr_of(buf, cap), .next_mark = SIZE_MAX};
}

void wire_build_message(struct wire_builder *b, void *buf, size_t cap, const struct ike_header *h)
{
	struct ike_header empty = *h;
	wire_build_begin(b, buf, cap);
	empty.next_payload = 0;
	empty.length = 0;
	wire_header_build(&b->w, &empty);
	b->next_mark = 16; // the header's next payload field, RFC 7296 3.1
	b->header = true;
}

struct view wire_build_done(struct wire_builder *b)
{
	if (b->w.overflow)
		return (struct view){NULL, 0};
	if (b->header)
		wr_patch_u32(&b->w, 24, (uint32_t)b->w.len);
	return wr_done(&b->w);
}

static void chain(struct wire_builder *b, uint8_t type)
{
	if (b->next_mark != SIZE_MAX)
		wr_patch_u8(&b->w, b->next_mark, type);
	if (!b->first)
		b->first = type;
	b->open = wr_mark(&b->w);
	b->next_mark = b->open;
}

void wire_open(struct wire_builder *b, uint8_t type)
{
	chain(b, type);
	wr_u32(&b->w, 0);
}

void wire_close(struct wire_builder *b)
{
	size_t len = wr_mark(&b->w) - b->open;
	if (len > UINT16_MAX)
		b->w.overflow = true;
	wr_patch_u16(&b->w, b->open + 2, (uint16_t)len);
}

void wire_put_raw(struct wire_builder *b, uint8_t type, struct view body)
{
	wire_open(b, type);
	wr_view(&b->w, body);
	wire_close(b);
}

void wire_put_ke(struct wire_builder *b, uint16_t group, struct view value)
{
	wire_open(b, IKEV2_PAYLOAD_KE);
	wr_u16(&b->w, group);
	wr_u16(&b->w, 0);
	wr_view(&b->w, value);
	wire_close(b);
}

void wire_put_nonce(struct wire_builder *b, struct view nonce)
{
	wire_put_raw(b, IKEV2_PAYLOAD_NONCE, nonce);
}

// One byte, three reserved ones, data: the form of ID and AUTH.
static void put_typed(struct wr *w, uint8_t type, struct view data)
{
	wr_u8(w, type);
	wr_zero(w, 3);
	wr_view(w, data);
}

void wire_id_body(struct wr *w, const struct wire_id *id)
{
	put_typed(w, id->type, id->data);
}

void wire_put_id(struct wire_builder *b, uint8_t payload, const struct wire_id *id)
{
	wire_open(b, payload);
	wire_id_body(&b->w, id);
	wire_close(b);
}

void wire_put_auth(struct wire_builder *b, uint8_t method, struct view data)
{
	wire_open(b, IKEV2_PAYLOAD_AUTH);
	put_typed(&b->w, method, data);
	wire_close(b);
}

void wire_put_signature(struct wire_builder *b, struct view algorithm, struct view signature)
{
	wire_open(b, IKEV2_PAYLOAD_AUTH);
	put_typed(&b->w, IKEV2_AUTH_DIGITAL_SIGNATURE, (struct view){NULL, 0});
	if (algorithm.len > UINT8_MAX)
		b->w.overflow = true;
	wr_u8(&b->w, (uint8_t)algorithm.len);
	wr_view(&b->w, algorithm);
	wr_view(&b->w, signature);
	wire_close(b);
}

static void put_encoded(struct wire_builder *b, uint8_t payload, uint8_t encoding, struct view data)
{
	wire_open(b, payload);
	wr_u8(&b->w, encoding);
	wr_view(&b->w, data);
	wire_close(b);
}

void wire_put_cert(struct wire_builder *b, uint8_t encoding, struct view data)
{
	put_encoded(b, IKEV2_PAYLOAD_CERT, encoding, data);
}

void wire_put_certreq(struct wire_builder *b, uint8_t encoding, struct view data)
{
	put_encoded(b, IKEV2_PAYLOAD_CERTREQ, encoding, data);
}

void wire_put_notify(struct wire_builder *b, uint16_t type, struct view data)
{
	wire_open(b, IKEV2_PAYLOAD_NOTIFY);
	wr_u8(&b->w, IKEV2_PROTOCOL_NONE);
	wr_u8(&b->w, 0);
	wr_u16(&b->w, type);
	wr_view(&b->w, data);
	wire_close(b);
}

void wire_put_notify_esp(struct wire_builder *b, uint16_t type, uint32_t spi, struct view data)
{
	wire_open(b, IKEV2_PAYLOAD_NOTIFY);
	wr_u8(&b->w, IKEV2_PROTOCOL_ESP);
	wr_u8(&b->w, 4);
	wr_u16(&b->w, type);
	wr_u32(&b->w, spi);
	wr_view(&b->w, data);
	wire_close(b);
}

void wire_put_delete_ike(struct wire_builder *b)
{
	wire_open(b, IKEV2_PAYLOAD_DELETE);
	wr_u8(&b->w, IKEV2_PROTOCOL_IKE);
	wr_zero(&b->w, 3);
	wire_close(b);
}

void wire_put_delete_esp(struct wire_builder *b, const uint32_t *spis, uint16_t count)
{
	wire_open(b, IKEV2_PAYLOAD_DELETE);
	wr_u8(&b->w, IKEV2_PROTOCOL_ESP);
	wr_u8(&b->w, 4);
	wr_u16(&b->w, count);
	for (uint16_t i = 0; i < count; i++)
		wr_u32(&b->w, spis[i]);
	wire_close(b);
}

void wire_put_vendor(struct wire_builder *b, struct view id)
{
	wire_put_raw(b, IKEV2_PAYLOAD_VENDOR, id);
}

void wire_put_eap(struct wire_builder *b, struct view message)
{
	wire_put_raw(b, IKEV2_PAYLOAD_EAP, message);
}

// The generic header of SK or SKF names the first payload inside, so it is written at once and
// nothing may follow.
static uint8_t *put_encrypted(struct wire_builder *b, uint8_t first, size_t body_len)
{
	uint8_t *room = wr_room(&b->w, body_len);
	wr_patch_u8(&b->w, b->open, first);
	wire_close(b);
	return b->w.overflow ? NULL : room;
}

uint8_t *wire_put_sk(struct wire_builder *b, uint8_t first, size_t body_len)
{
	wire_open(b, IKEV2_PAYLOAD_SK);
	return put_encrypted(b, first, body_len);
}

uint8_t *wire_put_skf(
	struct wire_builder *b, uint8_t first, uint16_t number, uint16_t total, size_t body_len)
{
	wire_open(b, IKEV2_PAYLOAD_SKF);
	wr_u16(&b->w, number);
	wr_u16(&b->w, total);
	return put_encrypted(b, number == 1 ? first : 0, body_len);
}
