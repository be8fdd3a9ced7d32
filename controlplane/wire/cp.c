// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The configuration payload, RFC 7296 3.15.
#include "controlplane/wire/wire.h"

// The attributes that hold addresses. An empty value is always allowed: it asks.
static const struct form {
	uint16_t type;
	uint8_t family;
	uint8_t len;     // bytes
	uint8_t alt_len; // another length that peers send; 0: none
	bool mask;       // an IPv4 mask follows the address
} forms[] = {
	{IKEV2_CP_INTERNAL_IP4_ADDRESS, IP_V4, 4, 0, false},
	{IKEV2_CP_INTERNAL_IP4_NETMASK, IP_V4, 4, 0, false},
	{IKEV2_CP_INTERNAL_IP4_DNS, IP_V4, 4, 0, false},
	{IKEV2_CP_INTERNAL_IP4_NBNS, IP_V4, 4, 0, false},
	{IKEV2_CP_INTERNAL_IP4_DHCP, IP_V4, 4, 0, false},
	{IKEV2_CP_INTERNAL_IP4_SUBNET, IP_V4, 8, 0, true},
	// 16 bytes, without the prefix length, come from older clients.
	{IKEV2_CP_INTERNAL_IP6_ADDRESS, IP_V6, 17, 16, false},
	{IKEV2_CP_INTERNAL_IP6_DNS, IP_V6, 16, 0, false},
	{IKEV2_CP_INTERNAL_IP6_DHCP, IP_V6, 16, 0, false},
	{IKEV2_CP_INTERNAL_IP6_SUBNET, IP_V6, 17, 0, false},
	{IKEV2_CP_INTERNAL_IP6_PREFIX, IP_V6, 17, 0, false}, // RFC 5739 6.3
};

static const struct form *form_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		if (forms[i].type == type)
			return &forms[i];
	return NULL;
}

// Number of leading ones of a mask; false if ones follow a zero.
static bool mask_bits(uint32_t mask, uint8_t *bits)
{
	uint8_t n = 0;
	while (n < 32 && (mask & (0x80000000u >> n)))
		n++;
	*bits = n;
	return n == 32 || (mask << n) == 0;
}

static bool interpret(struct wire_cp_attr *a, const struct form *f)
{
	struct rd r = rd_view(a->value);
	struct view addr;
	uint32_t mask;
	if (a->value.len == 0)
		return true;
	if (a->value.len != f->len && (f->alt_len == 0 || a->value.len != f->alt_len))
		return false;
	if (!rd_bytes(&r, ip_len(f->family), &addr))
		return false;
	uint8_t bits = (uint8_t)ip_bits(f->family);
	if (f->mask && (!rd_u32(&r, &mask) || !mask_bits(mask, &bits)))
		return false;
	if (!rd_empty(&r) && (!rd_u8(&r, &bits) || bits > ip_bits(f->family)))
		return false;
	a->addr = ip_from_bytes(f->family, addr.p);
	a->prefix_bits = bits;
	return true;
}

static bool parse_attr(struct rd *r, struct wire_cp_attr *a)
{
	uint16_t type, length;
	*a = (struct wire_cp_attr){0};
	if (!rd_u16(r, &type) || !rd_u16(r, &length) || !rd_bytes(r, length, &a->value))
		return false;
	a->type = type & 0x7fff; // RFC 7296 3.15.1: the reserved bit is ignored
	const struct form *f = form_of(a->type);
	a->valid = f ? interpret(a, f) : true;
	// RFC 5739 6.1: an interface identifier, then a link ID of any length.
	if (a->type == IKEV2_CP_INTERNAL_IP6_LINK)
		a->valid = length == 0 || length >= WIRE_CP_IID_LEN;
	return true;
}

enum wire_error wire_cp_parse(struct view body, struct wire_cp *out)
{
	struct rd r = rd_view(body);
	out->count = 0;
	out->skipped = 0;
	if (!rd_u8(&r, &out->type) || !rd_skip(&r, 3))
		return WIRE_MALFORMED_CP;
	while (!rd_empty(&r)) {
		struct wire_cp_attr a;
		if (!parse_attr(&r, &a))
			return WIRE_MALFORMED_CP;
		if (out->count == WIRE_CP_ATTRS_MAX)
			out->skipped++;
		else
			out->attrs[out->count++] = a;
	}
	return WIRE_OK;
}

const struct wire_cp_attr *wire_cp_find(const struct wire_cp *cp, uint16_t type)
{
	for (uint8_t i = 0; i < cp->count; i++)
		if (cp->attrs[i].type == type && cp->attrs[i].valid)
			return &cp->attrs[i];
	return NULL;
}

void wire_open_cp(struct wire_builder *b, uint8_t cp_type)
{
	wire_open(b, IKEV2_PAYLOAD_CP);
	wr_u8(&b->w, cp_type);
	wr_zero(&b->w, 3);
}

void wire_cp_put(struct wire_builder *b, uint16_t type, struct view value)
{
	if (value.len > UINT16_MAX) {
		b->w.overflow = true;
		return;
	}
	wr_u16(&b->w, type);
	wr_u16(&b->w, (uint16_t)value.len);
	wr_view(&b->w, value);
}

void wire_cp_put_addr(struct wire_builder *b, uint16_t type, const struct ip_addr *a)
{
	wire_cp_put(b, type, (struct view){a->bytes, ip_len(a->family)});
}

void wire_cp_put_prefix(struct wire_builder *b, uint16_t type, const struct ip_prefix *p)
{
	size_t len = ip_len(p->addr.family);
	wr_u16(&b->w, type);
	wr_u16(&b->w, (uint16_t)(len == 4 ? 8 : 17));
	wr_bytes(&b->w, p->addr.bytes, len);
	if (len == 4)
		wr_u32(&b->w, p->bits ? UINT32_MAX << (32 - p->bits) : 0);
	else
		wr_u8(&b->w, p->bits);
}
