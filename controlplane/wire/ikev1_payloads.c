// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bodies of IKEv1's smaller payloads.
#include "controlplane/wire/ikev1.h"

enum wire_error ikev1_nonce_parse(struct view body, struct view *out)
{
	// RFC 2409 5: "The length of nonce payload MUST be between 8 and 256 bytes inclusive."
	if (body.len < IKEV1_NONCE_MIN || body.len > IKEV1_NONCE_MAX)
		return WIRE_MALFORMED_NONCE;
	*out = body;
	return WIRE_OK;
}

// ---- Identities ----

// An ID of an address, subnet or range: how many addresses of which family it holds.
struct id_form {
	uint8_t type, family, addresses;
};

static const struct id_form id_forms[] = {
	{IKEV2_ID_IPV4_ADDR, IP_V4, 1},
	{IKEV1_ID_IPV4_SUBNET, IP_V4, 2},
	{IKEV1_ID_IPV4_RANGE, IP_V4, 2},
	{IKEV2_ID_IPV6_ADDR, IP_V6, 1},
	{IKEV1_ID_IPV6_SUBNET, IP_V6, 2},
	{IKEV1_ID_IPV6_RANGE, IP_V6, 2},
};

static const struct id_form *id_form_of(uint8_t type)
{
	for (size_t i = 0; i < sizeof(id_forms) / sizeof(id_forms[0]); i++)
		if (id_forms[i].type == type)
			return &id_forms[i];
	return NULL;
}

enum wire_error ikev1_id_parse(struct view body, struct wire_id *out)
{
	struct wire_id id;
	enum wire_error e = wire_id_parse(body, &id);
	if (e != WIRE_OK)
		return e;
	const struct id_form *f = id_form_of(id.type);
	// IKEv2's ID_NULL (RFC 7619) is nobody's identity here.
	if (id.data.len == 0 || (f && id.data.len != f->addresses * ip_len(f->family)))
		return WIRE_MALFORMED_ID;
	*out = id;
	return WIRE_OK;
}

// Number of leading ones of a mask; false if ones follow a zero.
static bool mask_bits(const struct ip_addr *mask, uint8_t *bits)
{
	unsigned n = 0, all = ip_bits(mask->family);
	while (n < all && (mask->bytes[n / 8] & (0x80u >> n % 8)))
		n++;
	*bits = (uint8_t)n;
	for (; n < all; n++)
		if (mask->bytes[n / 8] & (0x80u >> n % 8))
			return false;
	return true;
}

// Bits of a subnet's address behind its mask have no meaning, and some peers set them.
static bool subnet_range(const struct ip_addr *mask, struct ip_range *range)
{
	struct ip_prefix p = {range->lo, 0};
	if (!mask_bits(mask, &p.bits))
		return false;
	for (size_t i = 0; i < ip_len(mask->family); i++)
		p.addr.bytes[i] &= mask->bytes[i];
	*range = ip_prefix_range(&p);
	return true;
}

static bool id_range(const struct id_form *f, struct rd *r, struct ip_range *out)
{
	struct view lo, hi;
	size_t len = ip_len(f->family);
	if (!rd_bytes(r, len, &lo))
		return false;
	out->lo = out->hi = ip_from_bytes(f->family, lo.p);
	if (f->addresses == 1)
		return true;
	if (!rd_bytes(r, len, &hi))
		return false;
	struct ip_addr second = ip_from_bytes(f->family, hi.p);
	if (f->type == IKEV1_ID_IPV4_SUBNET || f->type == IKEV1_ID_IPV6_SUBNET)
		return subnet_range(&second, out);
	out->hi = second;
	return ip_cmp(&out->lo, &out->hi) <= 0;
}

enum wire_error ikev1_id_selector(struct view body, struct selector *out)
{
	struct rd r = rd_view(body);
	uint8_t type;
	uint16_t port;
	struct selector s = {0};
	if (!rd_u8(&r, &type) || !rd_u8(&r, &s.proto) || !rd_u16(&r, &port))
		return WIRE_MALFORMED_ID;
	const struct id_form *f = id_form_of(type);
	if (!f || !id_range(f, &r, &s.range) || !rd_empty(&r))
		return WIRE_MALFORMED_ID;
	// RFC 2407 4.6.2: zero means that the field is ignored. A port of no protocol has no meaning.
	if (port && !s.proto)
		return WIRE_MALFORMED_ID;
	s.port_lo = port;
	s.port_hi = port ? port : 65535;
	*out = s;
	return WIRE_OK;
}

static bool one_port(const struct selector *s, uint16_t *port)
{
	*port = s->port_lo;
	if (s->port_lo == 0 && s->port_hi == 65535)
		return true;
	// A port of 0 alone cannot be said, nor one without protocol.
	return s->port_lo == s->port_hi && s->port_lo != 0 && s->proto != 0;
}

bool ikev1_selector_id(struct wr *w, const struct selector *s)
{
	bool v4 = s->range.lo.family == IP_V4;
	size_t len = ip_len(s->range.lo.family);
	struct ip_prefix prefix;
	uint16_t port;
	if (len == 0 || !one_port(s, &port))
		return false;
	bool host = ip_eq(&s->range.lo, &s->range.hi);
	bool subnet = !host && ip_range_is_prefix(&s->range, &prefix);
	wr_u8(w, host     ? (v4 ? IKEV2_ID_IPV4_ADDR : IKEV2_ID_IPV6_ADDR)
		 : subnet ? (v4 ? IKEV1_ID_IPV4_SUBNET : IKEV1_ID_IPV6_SUBNET)
			  : (v4 ? IKEV1_ID_IPV4_RANGE : IKEV1_ID_IPV6_RANGE));
	wr_u8(w, s->proto);
	wr_u16(w, port);
	wr_bytes(w, s->range.lo.bytes, len);
	for (size_t i = 0; i < len && subnet; i++)
		wr_u8(w, (uint8_t) ~(s->range.lo.bytes[i] ^ s->range.hi.bytes[i]));
	if (!host && !subnet)
		wr_bytes(w, s->range.hi.bytes, len);
	return true;
}

// ---- Fragments ----

#define FRAGMENT_LAST 0x01

enum wire_error ikev1_fragment_parse(struct view body, struct ikev1_fragment *out)
{
	struct rd r = rd_view(body);
	struct ikev1_fragment f;
	uint8_t flags;
	if (!rd_u16(&r, &f.id) || !rd_u8(&r, &f.number) || !rd_u8(&r, &flags) || rd_empty(&r) ||
		f.number == 0)
		return WIRE_BAD_FRAGMENT;
	if (f.number > IKEV1_FRAGMENTS_MAX)
		return WIRE_TOO_MANY_FRAGMENTS;
	f.last = flags & FRAGMENT_LAST;
	f.content = rd_rest(&r);
	*out = f;
	return WIRE_OK;
}

enum wire_error ikev1_natoa_parse(struct view body, struct ip_addr *out)
{
	struct rd r = rd_view(body);
	struct view addr;
	uint8_t type;
	if (!rd_u8(&r, &type) || !rd_skip(&r, 3))
		return WIRE_MALFORMED_ID;
	uint8_t family = type == IKEV2_ID_IPV4_ADDR   ? IP_V4
			 : type == IKEV2_ID_IPV6_ADDR ? IP_V6
						      : 0;
	if (!family || !rd_bytes(&r, ip_len(family), &addr) || !rd_empty(&r))
		return WIRE_MALFORMED_ID;
	*out = ip_from_bytes(family, addr.p);
	return WIRE_OK;
}
