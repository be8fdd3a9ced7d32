// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The ATTRIBUTES payload, draft-dukes-ike-mode-cfg-02 3.2, and Cisco's lists of networks.
#include "controlplane/wire/ikev1_parts.h"

#define ATTRIBUTE_TV 0x8000 // RFC 2408 3.3: the value stands in the length's place

bool ikev1_attr_read(struct rd *r, struct ikev1_attr *a)
{
	uint16_t type, length;
	if (!rd_u16(r, &type))
		return false;
	*a = (struct ikev1_attr){
		.type = type & (uint16_t)~ATTRIBUTE_TV, .basic = type & ATTRIBUTE_TV};
	if (a->basic)
		return rd_bytes(r, 2, &a->value);
	return rd_u16(r, &length) && rd_bytes(r, length, &a->value);
}

bool ikev1_attr_value(const struct ikev1_attr *a, uint64_t *out)
{
	uint64_t value = 0;
	if (a->value.len == 0 || a->value.len > sizeof(value))
		return false;
	for (size_t i = 0; i < a->value.len; i++)
		value = value << 8 | a->value.p[i];
	*out = value;
	return true;
}

enum wire_error ikev1_cfg_parse(struct view body, struct ikev1_cfg *out)
{
	struct rd r = rd_view(body);
	out->count = 0;
	out->skipped = 0;
	if (!rd_u8(&r, &out->type) || !rd_skip(&r, 1) || !rd_u16(&r, &out->identifier))
		return WIRE_MALFORMED_CP;
	while (!rd_empty(&r)) {
		struct ikev1_attr a;
		if (!ikev1_attr_read(&r, &a))
			return WIRE_MALFORMED_CP;
		if (out->count == IKEV1_ATTRS_MAX)
			out->skipped++;
		else
			out->attrs[out->count++] = a;
	}
	return WIRE_OK;
}

const struct ikev1_attr *ikev1_cfg_find(const struct ikev1_cfg *c, uint16_t type)
{
	for (uint8_t i = 0; i < c->count; i++)
		if (c->attrs[i].type == type)
			return &c->attrs[i];
	return NULL;
}

bool ikev1_attr_number(const struct ikev1_attr *a, uint32_t *out)
{
	struct rd r = rd_view(a->value);
	uint16_t small;
	if (a->value.len == 4)
		return rd_u32(&r, out);
	if (a->value.len != 2 || !rd_u16(&r, &small))
		return false;
	*out = small;
	return true;
}

bool ikev1_attr_address(const struct ikev1_attr *a, uint8_t family, struct ip_addr *out)
{
	size_t len = ip_len(family);
	bool with_prefix = a->type == IKEV1_CFG_IP6_ADDRESS && a->value.len == 17;
	if (a->basic || len == 0 || a->value.len < len || (a->value.len != len && !with_prefix))
		return false;
	if (with_prefix && family != IP_V6)
		return false;
	*out = ip_from_bytes(family, a->value.p);
	return true;
}

void ikev1_open_cfg(struct wire_builder *b, uint8_t type, uint16_t identifier)
{
	wire_open(b, IKEV1_PAYLOAD_ATTRIBUTES);
	wr_u8(&b->w, type);
	wr_u8(&b->w, 0);
	wr_u16(&b->w, identifier);
}

void ikev1_put_attr(struct wire_builder *b, uint16_t type, struct view value)
{
	if (value.len > UINT16_MAX) {
		b->w.overflow = true;
		return;
	}
	wr_u16(&b->w, type & (uint16_t)~ATTRIBUTE_TV);
	wr_u16(&b->w, (uint16_t)value.len);
	wr_view(&b->w, value);
}

void ikev1_put_attr_basic(struct wire_builder *b, uint16_t type, uint16_t value)
{
	wr_u16(&b->w, type | ATTRIBUTE_TV);
	wr_u16(&b->w, value);
}

void ikev1_put_unity_nets(
	struct wire_builder *b, uint16_t type, const struct ip_prefix *nets, size_t count)
{
	size_t start = wr_mark(&b->w);
	wr_u16(&b->w, type & (uint16_t)~ATTRIBUTE_TV);
	wr_u16(&b->w, 0);
	for (size_t i = 0; i < count; i++) {
		if (nets[i].addr.family != IP_V4)
			continue;
		wr_bytes(&b->w, nets[i].addr.bytes, 4);
		wr_u32(&b->w, nets[i].bits ? UINT32_MAX << (32 - nets[i].bits) : 0);
		wr_zero(&b->w, IKEV1_UNITY_NET_LEN - 8);
	}
	if (b->w.overflow)
		return;
	size_t len = wr_mark(&b->w) - start - 4;
	if (len > UINT16_MAX)
		b->w.overflow = true;
	wr_patch_u16(&b->w, start + 2, (uint16_t)len);
	if (len == 0)
		b->w.len = start; // an empty one would ask
}
