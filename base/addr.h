// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IP addresses, prefixes, ranges, endpoints and traffic selectors of both families.
#pragma once

#include "base/cursor.h"

#define IP_V4       4
#define IP_V6       6
#define IP_TEXT_MAX 48 // longest text of an address with prefix length, and NUL
#define EP_TEXT_MAX 56 // "[address]:port" and NUL

// family is IP_V4, IP_V6 or 0 (none). bytes in network order; IPv4 uses the first 4, the rest zero,
// so that memcmp() of the whole struct is equality.
struct ip_addr {
	uint8_t family;
	uint8_t bytes[16];
};

struct ip_prefix {
	struct ip_addr addr; // host bits zero
	uint8_t bits;
};

// Inclusive at both ends, one family.
struct ip_range {
	struct ip_addr lo;
	struct ip_addr hi;
};

// A UDP endpoint; port in host order.
struct endpoint {
	struct ip_addr addr;
	uint16_t port;
};

// RFC 7296 3.13.1. Ports in host order; proto 0: any; any port: 0..65535.
struct selector {
	struct ip_range range;
	uint8_t proto;
	uint16_t port_lo;
	uint16_t port_hi;
};

static inline size_t ip_len(uint8_t family)
{
	return family == IP_V4 ? 4 : family == IP_V6 ? 16 : 0;
}

static inline unsigned ip_bits(uint8_t family)
{
	return (unsigned)ip_len(family) * 8;
}

static inline bool ip_eq(const struct ip_addr *a, const struct ip_addr *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline bool endpoint_eq(const struct endpoint *a, const struct endpoint *b)
{
	return a->port == b->port && ip_eq(&a->addr, &b->addr);
}

struct ip_addr ip_from_v4(uint32_t host_order);
uint32_t ip_to_v4(const struct ip_addr *a); // host order; 0 for other families
struct ip_addr ip_from_bytes(uint8_t family, const uint8_t *bytes);

// <0, 0, >0: by family, then as numbers.
int ip_cmp(const struct ip_addr *a, const struct ip_addr *b);

// a + n within the family; false on overflow, and then *out is unchanged.
MUST_USE bool ip_add(const struct ip_addr *a, uint64_t n, struct ip_addr *out);

// Number of addresses between lo and hi less one (hi - lo), UINT64_MAX if it does not fit; the
// families are equal and lo <= hi.
uint64_t ip_distance(const struct ip_addr *lo, const struct ip_addr *hi);

// Text to value. 0 or -EINVAL; *out untouched on error. Never resolves names.
MUST_USE int ip_parse(const char *text, struct ip_addr *out);
// "a.b.c.d/n"; without "/n" the full length. Host bits are kept out: -EINVAL if any is set, unless
// keep_host, which then returns the address as written (an interface's address).
MUST_USE int ip_prefix_parse(const char *text, bool keep_host, struct ip_prefix *out);
// "lo-hi", a prefix, or one address.
MUST_USE int ip_range_parse(const char *text, struct ip_range *out);

// Value to text in buf (IP_TEXT_MAX, EP_TEXT_MAX); returns buf.
const char *ip_text(const struct ip_addr *a, char buf[static IP_TEXT_MAX]);
const char *ip_prefix_text(const struct ip_prefix *p, char buf[static IP_TEXT_MAX]);
const char *endpoint_text(const struct endpoint *e, char buf[static EP_TEXT_MAX]);
#define SELECTOR_TEXT_MAX 128
// "prefix" where the range is one, else "lo-hi"; "[proto/port]" follows where it is not any.
const char *selector_text(const struct selector *s, char buf[static SELECTOR_TEXT_MAX]);

bool ip_prefix_eq(const struct ip_prefix *a, const struct ip_prefix *b);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
struct ip_range ip_prefix_range(const struct ip_prefix *p);
bool ip_range_contains(const struct ip_range *r, const struct ip_addr *a);
bool ip_range_overlaps(const struct ip_range *a, const struct ip_range *b);
// True and the prefix if the range is exactly one.
bool ip_range_is_prefix(const struct ip_range *r, struct ip_prefix *out);

// Cut the prefix off that r begins with, as large as it may be; false: that was all of r.
MUST_USE bool ip_range_cut(struct ip_range *r, struct ip_prefix *out);

struct selector selector_of_range(const struct ip_range *r);
struct selector selector_of_addr(const struct ip_addr *a);
// The common part, RFC 7296 2.9; false if there is none.
MUST_USE bool selector_intersect(
	const struct selector *a, const struct selector *b, struct selector *out);
// a lies wholly within b.
bool selector_within(const struct selector *a, const struct selector *b);
// A packet's address, protocol and port (0 where the protocol has none or a fragment hides it).
bool selector_matches(
	const struct selector *s, const struct ip_addr *addr, uint8_t proto, uint16_t port);
