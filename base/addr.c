// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct ip_addr ip_from_v4(uint32_t host_order)
{
	struct ip_addr a = {.family = IP_V4};
	a.bytes[0] = (uint8_t)(host_order >> 24);
	a.bytes[1] = (uint8_t)(host_order >> 16);
	a.bytes[2] = (uint8_t)(host_order >> 8);
	a.bytes[3] = (uint8_t)host_order;
	return a;
}

uint32_t ip_to_v4(const struct ip_addr *a)
{
	if (a->family != IP_V4)
		return 0;
	return (uint32_t)a->bytes[0] << 24 | (uint32_t)a->bytes[1] << 16 |
	       (uint32_t)a->bytes[2] << 8 | a->bytes[3];
}

struct ip_addr ip_from_bytes(uint8_t family, const uint8_t *bytes)
{
	struct ip_addr a = {.family = family};
	memcpy(a.bytes, bytes, ip_len(family));
	return a;
}

int ip_cmp(const struct ip_addr *a, const struct ip_addr *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

bool ip_add(const struct ip_addr *a, uint64_t n, struct ip_addr *out)
{
	struct ip_addr r = *a;
	uint64_t carry = n;
	for (int i = (int)ip_len(a->family) - 1; i >= 0 && carry; i--) {
		uint64_t sum = (carry & 0xff) + r.bytes[i];
		r.bytes[i] = (uint8_t)sum;
		carry = (carry >> 8) + (sum >> 8);
	}
	if (carry)
		return false;
	*out = r;
	return true;
}

uint64_t ip_distance(const struct ip_addr *lo, const struct ip_addr *hi)
{
	size_t len = ip_len(lo->family);
	uint8_t diff[16] = {0};
	int borrow = 0;
	for (size_t i = len; i-- > 0;) {
		int d = hi->bytes[i] - lo->bytes[i] - borrow;
		borrow = d < 0;
		diff[16 - len + i] = (uint8_t)(d + (borrow ? 256 : 0));
	}
	for (size_t i = 0; i < 8; i++)
		if (diff[i])
			return UINT64_MAX;
	uint64_t v = 0;
	for (size_t i = 8; i < 16; i++)
		v = v << 8 | diff[i];
	return v;
}

int ip_parse(const char *text, struct ip_addr *out)
{
	struct ip_addr a = {0};
	if (inet_pton(AF_INET, text, a.bytes) == 1)
		a.family = IP_V4;
	else if (inet_pton(AF_INET6, text, a.bytes) == 1)
		a.family = IP_V6;
	else
		return -EINVAL;
	*out = a;
	return 0;
}

static void mask_low(struct ip_addr *a, unsigned bits, bool ones)
{
	size_t len = ip_len(a->family);
	for (size_t i = 0; i < len; i++) {
		unsigned keep = bits > i * 8 ? bits - (unsigned)i * 8 : 0;
		uint8_t low = keep >= 8 ? 0 : (uint8_t)(0xff >> keep);
		if (ones)
			a->bytes[i] |= low;
		else
			a->bytes[i] &= (uint8_t)~low;
	}
}

int ip_prefix_parse(const char *text, bool keep_host, struct ip_prefix *out)
{
	char buf[IP_TEXT_MAX + 8];
	size_t len = strlen(text);
	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len + 1);
	char *slash = strchr(buf, '/');
	if (slash)
		*slash++ = '\0';
	struct ip_prefix p = {0};
	if (ip_parse(buf, &p.addr) != 0)
		return -EINVAL;
	unsigned long bits = ip_bits(p.addr.family);
	if (slash) {
		char *end;
		if (*slash < '0' || *slash > '9')
			return -EINVAL;
		unsigned long v = strtoul(slash, &end, 10);
		if (*end || v > bits)
			return -EINVAL;
		bits = v;
	}
	p.bits = (uint8_t)bits;
	if (!keep_host) {
		struct ip_addr masked = p.addr;
		mask_low(&masked, p.bits, false);
		if (!ip_eq(&masked, &p.addr))
			return -EINVAL;
	}
	*out = p;
	return 0;
}

int ip_range_parse(const char *text, struct ip_range *out)
{
	char buf[2 * IP_TEXT_MAX + 8];
	size_t len = strlen(text);
	if (len >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, len + 1);
	char *dash = strchr(buf, '-');
	if (!dash) {
		struct ip_prefix p;
		if (ip_prefix_parse(buf, false, &p) != 0)
			return -EINVAL;
		*out = ip_prefix_range(&p);
		return 0;
	}
	*dash++ = '\0';
	char *lo_end = dash - 1;
	while (lo_end > buf && lo_end[-1] == ' ')
		*--lo_end = '\0';
	while (*dash == ' ')
		dash++;
	struct ip_range r;
	if (ip_parse(buf, &r.lo) != 0 || ip_parse(dash, &r.hi) != 0)
		return -EINVAL;
	if (r.lo.family != r.hi.family || ip_cmp(&r.lo, &r.hi) > 0)
		return -EINVAL;
	*out = r;
	return 0;
}

const char *ip_text(const struct ip_addr *a, char buf[static IP_TEXT_MAX])
{
	if (a->family == IP_V4)
		inet_ntop(AF_INET, a->bytes, buf, IP_TEXT_MAX);
	else if (a->family == IP_V6)
		inet_ntop(AF_INET6, a->bytes, buf, IP_TEXT_MAX);
	else
		strcpy(buf, "-");
	return buf;
}

const char *ip_prefix_text(const struct ip_prefix *p, char buf[static IP_TEXT_MAX])
{
	ip_text(&p->addr, buf);
	size_t n = strlen(buf);
	snprintf(buf + n, IP_TEXT_MAX - n, "/%u", p->bits);
	return buf;
}

const char *endpoint_text(const struct endpoint *e, char buf[static EP_TEXT_MAX])
{
	char a[IP_TEXT_MAX];
	ip_text(&e->addr, a);
	snprintf(buf, EP_TEXT_MAX, e->addr.family == IP_V6 ? "[%s]:%u" : "%s:%u", a, e->port);
	return buf;
}

const char *selector_text(const struct selector *s, char buf[static SELECTOR_TEXT_MAX])
{
	struct ip_prefix p;
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];
	int n;
	if (ip_range_is_prefix(&s->range, &p))
		n = snprintf(buf, SELECTOR_TEXT_MAX, "%s", ip_prefix_text(&p, a));
	else
		n = snprintf(buf, SELECTOR_TEXT_MAX, "%s-%s", ip_text(&s->range.lo, a),
			ip_text(&s->range.hi, b));
	size_t at = (size_t)n;
	bool any_port = s->port_lo == 0 && s->port_hi == 65535;
	if (s->proto == 0 && any_port)
		return buf;
	if (any_port)
		snprintf(buf + at, SELECTOR_TEXT_MAX - at, "[%u]", s->proto);
	else if (s->port_lo == s->port_hi)
		snprintf(buf + at, SELECTOR_TEXT_MAX - at, "[%u/%u]", s->proto, s->port_lo);
	else
		snprintf(buf + at, SELECTOR_TEXT_MAX - at, "[%u/%u-%u]", s->proto, s->port_lo,
			s->port_hi);
	return buf;
}

bool ip_prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b)
{
	return a->bits == b->bits && ip_eq(&a->addr, &b->addr);
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a)
{
	if (p->addr.family != a->family)
		return false;
	unsigned full = p->bits / 8, rest = p->bits % 8;
	if (memcmp(p->addr.bytes, a->bytes, full) != 0)
		return false;
	if (!rest)
		return true;
	uint8_t mask = (uint8_t)(0xff << (8 - rest));
	return ((p->addr.bytes[full] ^ a->bytes[full]) & mask) == 0;
}

struct ip_range ip_prefix_range(const struct ip_prefix *p)
{
	struct ip_range r = {p->addr, p->addr};
	mask_low(&r.lo, p->bits, false);
	mask_low(&r.hi, p->bits, true);
	return r;
}

bool ip_range_contains(const struct ip_range *r, const struct ip_addr *a)
{
	return r->lo.family == a->family && ip_cmp(&r->lo, a) <= 0 && ip_cmp(a, &r->hi) <= 0;
}

bool ip_range_overlaps(const struct ip_range *a, const struct ip_range *b)
{
	return a->lo.family == b->lo.family && ip_cmp(&a->lo, &b->hi) <= 0 &&
	       ip_cmp(&b->lo, &a->hi) <= 0;
}

bool ip_range_is_prefix(const struct ip_range *r, struct ip_prefix *out)
{
	unsigned bits = ip_bits(r->lo.family), same = 0;
	while (same < bits &&
		((r->lo.bytes[same / 8] ^ r->hi.bytes[same / 8]) & (0x80 >> (same % 8))) == 0)
		same++;
	struct ip_prefix p = {.addr = r->lo, .bits = (uint8_t)same};
	struct ip_range full = ip_prefix_range(&p);
	if (!ip_eq(&full.lo, &r->lo) || !ip_eq(&full.hi, &r->hi))
		return false;
	*out = p;
	return true;
}

bool ip_range_cut(struct ip_range *r, struct ip_prefix *out)
{
	struct ip_range whole;
	unsigned bits = 0;
	for (;; bits++) {
		*out = (struct ip_prefix){.addr = r->lo, .bits = (uint8_t)bits};
		whole = ip_prefix_range(out);
		if (ip_eq(&whole.lo, &r->lo) && ip_cmp(&whole.hi, &r->hi) <= 0)
			break;
	}
	return !ip_eq(&whole.hi, &r->hi) && ip_add(&whole.hi, 1, &r->lo);
}

struct selector selector_of_range(const struct ip_range *r)
{
	return (struct selector){.range = *r, .port_hi = 65535};
}

struct selector selector_of_addr(const struct ip_addr *a)
{
	return selector_of_range(&(struct ip_range){*a, *a});
}

bool selector_intersect(const struct selector *a, const struct selector *b, struct selector *out)
{
	if (a->range.lo.family != b->range.lo.family || !ip_range_overlaps(&a->range, &b->range))
		return false;
	if (a->proto && b->proto && a->proto != b->proto)
		return false;
	struct selector s = {
		.range.lo = ip_cmp(&a->range.lo, &b->range.lo) > 0 ? a->range.lo : b->range.lo,
		.range.hi = ip_cmp(&a->range.hi, &b->range.hi) < 0 ? a->range.hi : b->range.hi,
		.proto = a->proto ? a->proto : b->proto,
		.port_lo = a->port_lo > b->port_lo ? a->port_lo : b->port_lo,
		.port_hi = a->port_hi < b->port_hi ? a->port_hi : b->port_hi,
	};
	if (s.port_lo > s.port_hi)
		return false;
	*out = s;
	return true;
}

bool selector_within(const struct selector *a, const struct selector *b)
{
	return ip_range_contains(&b->range, &a->range.lo) &&
	       ip_range_contains(&b->range, &a->range.hi) &&
	       (b->proto == 0 || a->proto == b->proto) && a->port_lo >= b->port_lo &&
	       a->port_hi <= b->port_hi;
}

bool selector_matches(
	const struct selector *s, const struct ip_addr *addr, uint8_t proto, uint16_t port)
{
	return ip_range_contains(&s->range, addr) && (s->proto == 0 || s->proto == proto) &&
	       port >= s->port_lo && port <= s->port_hi;
}
