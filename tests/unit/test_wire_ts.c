// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

#include <stdio.h>

static struct wire_ts parsed;

static enum wire_error parse(struct view body)
{
	return wire_ts_parse(body, &parsed);
}

// "10.0.0.0/8 17 53-53", "10.0.0.1-10.0.0.9 0 0-65535"
static struct selector selector_of(const char *text)
{
	struct selector s = {0};
	char range[96];
	unsigned proto, lo, hi;
	assert_int_equal(sscanf(text, "%95s %u %u-%u", range, &proto, &lo, &hi), 4);
	assert_int_equal(ip_range_parse(range, &s.range), 0);
	s.proto = (uint8_t)proto;
	s.port_lo = (uint16_t)lo;
	s.port_hi = (uint16_t)hi;
	return s;
}

static const uint8_t example[] = {
	2, 9, 9, 9,                                                // two selectors
	7, 17, 0, 16, 0, 100, 0, 100,                              // UDP, port 100
	198, 51, 100, 66, 198, 51, 100, 66,                        //
	8, 0, 0, 40, 0, 0, 0xff, 0xff,                             // any, IPv6
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,    //
	0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, //
};

static void codec(void **state)
{
	struct wire_builder b;
	uint8_t buf[128];
	char text[SELECTOR_TEXT_MAX];
	(void)state;
	struct view body = {example, sizeof(example)};
	assert_int_equal(parse(body), WIRE_OK);
	assert_int_equal(parsed.count, 2);
	assert_string_equal(selector_text(&parsed.items[0], text), "198.51.100.66/32[17/100]");
	assert_string_equal(selector_text(&parsed.items[1], text), "2001:db8::1-2001:db8::ff");
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_ts(&b, IKEV2_PAYLOAD_TSI, parsed.items, parsed.count);
	struct view again = first_body(&b);
	assert_int_equal(again.len, body.len);
	assert_memory_equal(again.p + 4, body.p + 4, body.len - 4);
}

// Row 58.
static void damage(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
	} bytes[] = {
		{0, 0}, {0, 1}, {0, 3}, {0, 255}, {4, 8}, // an IPv6 type on an IPv4 length
		{20, 7},                                  // and the reverse
		{12, 199},                                // first address above the last
		{8, 1},                                   // first port above the last
		{24, 0xff},                               // likewise
	};
	(void)state;
	struct view good = {example, sizeof(example)};
	refuse_truncated(good, good.len, parse, WIRE_MALFORMED_TS);
	refuse_lengths(good, 6, parse);
	refuse_lengths(good, 22, parse);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		struct view bad = exact_copy(good);
		((uint8_t *)(uintptr_t)bad.p)[bytes[i].at] = bytes[i].value;
		if (bytes[i].at == 24) // start port ff00 above an end of 00ff
			((uint8_t *)(uintptr_t)bad.p)[26] = 0;
		if (parse(bad) != WIRE_MALFORMED_TS)
			print_error("case %zu\n", i);
		assert_int_equal(parse(bad), WIRE_MALFORMED_TS);
		free_view(bad);
	}
}

static void peculiar(void **state)
{
	uint8_t buf[4096];
	struct wire_builder b;
	struct selector many[SA_SELECTORS_MAX + 3];
	(void)state;
	// OPAQUE, and ICMP type 8 code 0
	assert_int_equal(
		parse(V(1, 0, 0, 0, 7, 6, 0, 16, 0xff, 0xff, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1)),
		WIRE_OK);
	assert_true(selector_opaque(&parsed.items[0]));
	assert_int_equal(
		parse(V(1, 0, 0, 0, 7, 1, 0, 16, 8, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1, 1)), WIRE_OK);
	assert_int_equal(parsed.items[0].port_lo, 0x0800);
	// unknown types are skipped, whatever their length
	assert_int_equal(parse(V(3, 0, 0, 0, 10, 0, 0, 5, 1, 99, 0, 0, 4, 7, 0, 0, 16, 0, 0, 0xff,
				 0xff, 1, 1, 1, 1, 1, 1, 1, 1)),
		WIRE_OK);
	assert_int_equal(parsed.count, 1);
	assert_int_equal(parsed.skipped, 2);
	assert_int_equal(parse(V(1, 0, 0, 0, 99, 0, 0, 3)), WIRE_MALFORMED_TS);
	assert_int_equal(parse(V(1, 0, 0, 0, 99, 0, 0, 0)), WIRE_MALFORMED_TS);
	assert_int_equal(parse(V(0, 0, 0, 0)), WIRE_MALFORMED_TS);
	// more than are kept
	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = selector_of("10.0.0.0/8 0 0-65535");
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_ts(&b, IKEV2_PAYLOAD_TSR, many, COUNT(many));
	assert_int_equal(parse(first_body(&b)), WIRE_OK);
	assert_int_equal(parsed.count, SA_SELECTORS_MAX);
	assert_int_equal(parsed.skipped, 3);
}

static const struct {
	const char *offered[4], *policy[4], *result[4];
} narrowing_cases[] = {
	// RFC 7296 2.9's kind of offer: the packet that triggered it, then the whole subnet
	{{"198.51.100.66 17 100-100", "198.51.100.0/24 0 0-65535"}, {"198.51.100.0/24 0 0-65535"},
		{"198.51.100.0/24 0 0-65535"}},
	{{"198.51.100.66 17 100-100", "198.51.100.0/24 0 0-65535"}, {"198.51.100.64/26 17 0-65535"},
		{"198.51.100.64/26 17 0-65535"}},
	{{"198.51.100.66 17 100-100", "198.51.100.0/24 0 0-65535"},
		{"198.51.100.66 17 0-65535", "198.51.100.128/25 0 0-65535"},
		{"198.51.100.66 17 0-65535", "198.51.100.128/25 0 0-65535"}},
	// the first choice is covered even where policy lists it last
	{{"198.51.100.200 6 80-80", "198.51.100.0/24 0 0-65535"},
		{"198.51.100.0/26 0 0-65535", "198.51.100.192/26 0 0-65535"},
		{"198.51.100.192/26 0 0-65535", "198.51.100.0/26 0 0-65535"}},
	// a client's any-to-any meets its assigned address (2.19)
	{{"0.0.0.0/0 0 0-65535", "::/0 0 0-65535"}, {"192.0.2.202 0 0-65535"},
		{"192.0.2.202 0 0-65535"}},
	{{"0.0.0.0/0 0 0-65535"}, {"10.1.0.0/16 0 0-65535", "10.2.0.0/16 0 0-65535"},
		{"10.1.0.0/16 0 0-65535", "10.2.0.0/16 0 0-65535"}},
	// Windows: split tunnel with the broadcast address
	{{"255.255.255.255 0 0-65535", "0.0.0.0/0 0 0-65535"},
		{"10.0.0.0/8 0 0-65535", "255.255.255.255 0 0-65535"},
		{"255.255.255.255 0 0-65535", "10.0.0.0/8 0 0-65535"}},
	{{"10.0.0.5-10.0.0.20 0 0-65535"}, {"10.0.0.10-10.0.0.30 6 1000-2000"},
		{"10.0.0.10-10.0.0.20 6 1000-2000"}},
	{{"10.0.0.0/8 6 100-200"}, {"10.0.0.0/8 6 200-300"}, {"10.0.0.0/8 6 200-200"}},
	{{"10.0.0.0/8 6 100-200"}, {"10.0.0.0/8 6 201-300"}, {NULL}},
	{{"10.0.0.0/8 6 0-65535"}, {"10.0.0.0/8 17 0-65535"}, {NULL}},
	{{"10.0.0.0/8 0 0-65535"}, {"11.0.0.0/8 0 0-65535"}, {NULL}},
	{{"10.0.0.0/8 0 0-65535"}, {"::/0 0 0-65535"}, {NULL}},
	// duplicates and contained ones go
	{{"10.0.0.0/8 0 0-65535", "10.0.0.0/8 0 0-65535", "10.1.0.0/16 6 0-65535"},
		{"0.0.0.0/0 0 0-65535"}, {"10.0.0.0/8 0 0-65535"}},
	{{"10.1.0.0/16 0 0-65535", "10.2.0.0/16 0 0-65535", "192.0.2.0/24 0 0-65535",
		 "10.0.0.0/8 0 0-65535"},
		{"0.0.0.0/0 0 0-65535"}, {"10.0.0.0/8 0 0-65535", "192.0.2.0/24 0 0-65535"}},
	// OPAQUE with OPAQUE and ANY only
	{{"10.0.0.0/8 6 65535-0"}, {"10.0.0.0/8 0 0-65535"}, {"10.0.0.0/8 6 65535-0"}},
	{{"10.0.0.0/8 6 65535-0"}, {"10.0.0.0/8 6 65535-0"}, {"10.0.0.0/8 6 65535-0"}},
	{{"10.0.0.0/8 6 65535-0"}, {"10.0.0.0/8 6 80-80"}, {NULL}},
	{{"10.0.0.0/8 6 80-80", "10.0.0.0/8 6 65535-0"}, {"10.0.0.0/8 6 0-65535"},
		{"10.0.0.0/8 6 80-80", "10.0.0.0/8 6 65535-0"}},
};

static void narrowing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(narrowing_cases); i++) {
		struct selector offered[4], policy[4], out[SA_SELECTORS_MAX];
		size_t n = 0, m = 0, want = 0;
		uint8_t count;
		for (; n < 4 && narrowing_cases[i].offered[n]; n++)
			offered[n] = selector_of(narrowing_cases[i].offered[n]);
		for (; m < 4 && narrowing_cases[i].policy[m]; m++)
			policy[m] = selector_of(narrowing_cases[i].policy[m]);
		while (want < 4 && narrowing_cases[i].result[want])
			want++;
		enum wire_error e = wire_ts_narrow(offered, n, policy, m, out, &count);
		if (count != want)
			print_error("case %zu: %u\n", i, count);
		assert_int_equal(e, want ? WIRE_OK : WIRE_TS_UNACCEPTABLE);
		assert_int_equal(count, want);
		for (size_t j = 0; j < want; j++) {
			struct selector s = selector_of(narrowing_cases[i].result[j]);
			char got[SELECTOR_TEXT_MAX], expected[SELECTOR_TEXT_MAX];
			assert_string_equal(
				selector_text(&out[j], got), selector_text(&s, expected));
			assert_int_equal(out[j].port_lo, s.port_lo);
		}
	}
}

// 16 by 16 disjoint pieces: the output is full, and begins with the first offer's.
static void narrowing_is_bounded(void **state)
{
	struct selector offered[SA_SELECTORS_MAX], policy[SA_SELECTORS_MAX];
	struct selector out[SA_SELECTORS_MAX];
	uint8_t count;
	(void)state;
	for (uint16_t i = 0; i < SA_SELECTORS_MAX; i++) {
		offered[i] = selector_of("10.0.0.0/8 6 0-65535");
		offered[i].range.lo.bytes[3] = offered[i].range.hi.bytes[3] = (uint8_t)(i * 2);
		offered[i].range.hi.bytes[1] = offered[i].range.hi.bytes[2] = 0;
		policy[i] = selector_of("10.0.0.0/8 0 0-65535");
		policy[i].port_lo = policy[i].port_hi = (uint16_t)(i * 100);
	}
	assert_int_equal(
		wire_ts_narrow(offered, SA_SELECTORS_MAX, policy, SA_SELECTORS_MAX, out, &count),
		WIRE_OK);
	assert_int_equal(count, SA_SELECTORS_MAX);
	for (uint16_t i = 0; i < SA_SELECTORS_MAX; i++)
		assert_int_equal(out[i].port_lo, i * 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(codec),
		cmocka_unit_test(damage),
		cmocka_unit_test(peculiar),
		cmocka_unit_test(narrowing),
		cmocka_unit_test(narrowing_is_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
