// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Traffic selectors, RFC 7296 3.13 and 2.9.
#include "controlplane/wire/wire.h"

#define TS_FIXED_LEN 8 // bytes of a selector before its addresses

static bool ports_fit(const struct selector *s)
{
	return s->port_lo <= s->port_hi || selector_opaque(s);
}

static bool parse_range(struct rd *r, uint8_t family, struct selector *s)
{
	struct view lo, hi;
	if (!rd_u16(r, &s->port_lo) || !rd_u16(r, &s->port_hi) ||
		!rd_bytes(r, ip_len(family), &lo) || !rd_bytes(r, ip_len(family), &hi) ||
		!rd_empty(r))
		return false;
	s->range.lo = ip_from_bytes(family, lo.p);
	s->range.hi = ip_from_bytes(family, hi.p);
	return ip_cmp(&s->range.lo, &s->range.hi) <= 0 && ports_fit(s);
}

static bool parse_selector(struct rd *r, struct wire_ts *out)
{
	struct selector s = {0};
	struct rd body;
	uint16_t length;
	uint8_t type;
	if (!rd_u8(r, &type) || !rd_u8(r, &s.proto) || !rd_u16(r, &length) || length < 4 ||
		!rd_sub(r, (size_t)length - 4, &body))
		return false;
	uint8_t family = type == IKEV2_TS_IPV4_ADDR_RANGE   ? IP_V4
			 : type == IKEV2_TS_IPV6_ADDR_RANGE ? IP_V6
							    : 0;
	if (family && !parse_range(&body, family, &s))
		return false;
	if (!family || out->count == SA_SELECTORS_MAX)
		out->skipped++;
	else
		out->items[out->count++] = s;
	return true;
}

enum wire_error wire_ts_parse(struct view body, struct wire_ts *out)
{
	struct rd r = rd_view(body);
	uint8_t count;
	out->count = 0;
	out->skipped = 0;
	if (!rd_u8(&r, &count) || !rd_skip(&r, 3) || count == 0)
		return WIRE_MALFORMED_TS;
	for (unsigned i = 0; i < count; i++)
		if (!parse_selector(&r, out))
			return WIRE_MALFORMED_TS;
	return rd_empty(&r) ? WIRE_OK : WIRE_MALFORMED_TS;
}

static bool any_port(const struct selector *s)
{
	return s->port_lo == 0 && s->port_hi == 65535;
}

// RFC 4301 4.4.1.1: ANY includes OPAQUE; OPAQUE has nothing in common with numbers.
static bool intersect(const struct selector *a, const struct selector *b, struct selector *out)
{
	if (!selector_opaque(a) && !selector_opaque(b))
		return selector_intersect(a, b, out);
	if ((!selector_opaque(a) && !any_port(a)) || (!selector_opaque(b) && !any_port(b)))
		return false;
	struct selector wide_a = *a, wide_b = *b;
	wide_a.port_lo = wide_b.port_lo = 0;
	wide_a.port_hi = wide_b.port_hi = 65535;
	if (!selector_intersect(&wide_a, &wide_b, out))
		return false;
	out->port_lo = 65535;
	out->port_hi = 0;
	return true;
}

static bool covered(const struct selector *a, const struct selector *b)
{
	if (selector_opaque(a) && !selector_opaque(b) && !any_port(b))
		return false;
	return selector_within(a, b);
}

// Adds s, in the place of the first one it covers; further ones it covers go.
static void add(struct selector *list, uint8_t *count, const struct selector *s)
{
	uint8_t kept = 0;
	bool placed = false;
	for (uint8_t i = 0; i < *count; i++)
		if (covered(s, &list[i]))
			return;
	for (uint8_t i = 0; i < *count; i++) {
		bool goes = covered(&list[i], s);
		if (goes && placed)
			continue;
		list[kept++] = goes ? *s : list[i];
		placed = placed || goes;
	}
	if (!placed && kept < SA_SELECTORS_MAX)
		list[kept++] = *s;
	*count = kept;
}

enum wire_error wire_ts_narrow(const struct selector *offered, size_t n,
	const struct selector *policy, size_t m, struct selector *out, uint8_t *count)
{
	struct selector s;
	*count = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < m; j++)
			if (intersect(&offered[i], &policy[j], &s))
				add(out, count, &s);
	return *count ? WIRE_OK : WIRE_TS_UNACCEPTABLE;
}

void wire_put_ts(struct wire_builder *b, uint8_t payload, const struct selector *ts, uint8_t count)
{
	struct wr *w = &b->w;
	wire_open(b, payload);
	wr_u8(w, count);
	wr_zero(w, 3);
	for (uint8_t i = 0; i < count; i++) {
		size_t len = ip_len(ts[i].range.lo.family);
		wr_u8(w, len == 4 ? IKEV2_TS_IPV4_ADDR_RANGE : IKEV2_TS_IPV6_ADDR_RANGE);
		wr_u8(w, ts[i].proto);
		wr_u16(w, (uint16_t)(TS_FIXED_LEN + 2 * len));
		wr_u16(w, ts[i].port_lo);
		wr_u16(w, ts[i].port_hi);
		wr_bytes(w, ts[i].range.lo.bytes, len);
		wr_bytes(w, ts[i].range.hi.bytes, len);
	}
	wire_close(b);
}
