// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

static struct wire_cp parsed;

static enum wire_error parse(struct view body)
{
	return wire_cp_parse(body, &parsed);
}

// What a client asks for with empty attributes, then the answer of RFC 7296 2.19.
static void request_and_reply(void **state)
{
	uint8_t buf[256];
	struct wire_builder b;
	struct ip_prefix subnet, v6;
	(void)state;
	assert_int_equal(ip_prefix_parse("192.0.2.0/24", false, &subnet), 0);
	assert_int_equal(ip_prefix_parse("2001:db8::7/64", true, &v6), 0);
	struct ip_addr addr = addr_of("192.0.2.202"), mask = addr_of("255.255.255.0");
	struct ip_addr dns = addr_of("2001:db8::53"), none = {0};
	wire_build_begin(&b, buf, sizeof(buf));
	wire_open_cp(&b, IKEV2_CP_REQUEST);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP4_ADDRESS, &none);
	wire_cp_put(&b, IKEV2_CP_APPLICATION_VERSION, VS("client 1"));
	wire_close(&b);
	assert_int_equal(parse(first_body(&b)), WIRE_OK);
	assert_int_equal(parsed.type, IKEV2_CP_REQUEST);
	assert_int_equal(parsed.count, 2);
	assert_true(parsed.attrs[0].valid && parsed.attrs[0].addr.family == 0);
	assert_true(view_eq(parsed.attrs[1].value, VS("client 1")));

	wire_build_begin(&b, buf, sizeof(buf));
	wire_open_cp(&b, IKEV2_CP_REPLY);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP4_ADDRESS, &addr);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP4_NETMASK, &mask);
	wire_cp_put_prefix(&b, IKEV2_CP_INTERNAL_IP4_SUBNET, &subnet);
	wire_cp_put_prefix(&b, IKEV2_CP_INTERNAL_IP6_ADDRESS, &v6);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP6_DNS, &dns);
	wire_close(&b);
	struct view body = exact_copy(first_body(&b));
	assert_int_equal(parse(body), WIRE_OK);
	assert_int_equal(parsed.type, IKEV2_CP_REPLY);
	assert_int_equal(parsed.count, 5);
	assert_true(ip_eq(&parsed.attrs[0].addr, &addr));
	assert_int_equal(parsed.attrs[2].value.len, 8);
	assert_memory_equal(parsed.attrs[2].value.p, "\xc0\0\2\0\xff\xff\xff\0", 8);
	assert_int_equal(parsed.attrs[2].prefix_bits, 24);
	assert_true(ip_eq(&parsed.attrs[3].addr, &v6.addr) && parsed.attrs[3].prefix_bits == 64);
	assert_int_equal(parsed.attrs[3].value.len, 17);
	const struct wire_cp_attr *a = wire_cp_find(&parsed, IKEV2_CP_INTERNAL_IP6_DNS);
	assert_true(a && ip_eq(&a->addr, &dns));
	assert_null(wire_cp_find(&parsed, IKEV2_CP_INTERNAL_IP4_DNS));
	free_view(body);
}

// Row 73.
static void attribute_forms(void **state)
{
	static const struct {
		uint16_t type, len;
		uint8_t last; // value of the last byte; others are 1
		bool valid;
		uint8_t family, bits;
	} cases[] = {
		{1, 0, 0, true, 0, 0},
		{1, 4, 1, true, IP_V4, 32},
		{1, 3, 1, false, 0, 0},
		{1, 5, 1, false, 0, 0},
		{1, 16, 1, false, 0, 0}, // IPv6 in an IPv4 attribute
		{1, 0x100, 1, false, 0, 0},
		{2, 4, 0, true, IP_V4, 32},
		{3, 4, 1, true, IP_V4, 32},
		{4, 4, 1, true, IP_V4, 32},
		{8, 0, 0, true, 0, 0},
		{8, 16, 1, true, IP_V6, 128}, // without the prefix length
		{8, 17, 64, true, IP_V6, 64},
		{8, 17, 128, true, IP_V6, 128},
		{8, 17, 129, false, 0, 0},
		{8, 17, 255, false, 0, 0},
		{8, 18, 1, false, 0, 0},
		{8, 4, 1, false, 0, 0},
		{10, 16, 1, true, IP_V6, 128},
		{10, 17, 1, false, 0, 0},
		{15, 17, 0, true, IP_V6, 0},
		{15, 16, 0, false, 0, 0},
		{13, 8, 1, false, 0, 0}, // mask 1.1.1.1
		{13, 7, 0, false, 0, 0},
		{13, 0, 0, true, 0, 0},
		{25, 11, 'x', true, 0, 0},
		{7, 3, 'x', true, 0, 0},
		{14, 4, 1, true, 0, 0},
		{23456, 4, 1, true, 0, 0}, // Windows
		{0x7fff, 300, 1, true, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[512];
		struct wr w = wr_of(buf, sizeof(buf));
		wr_u8(&w, IKEV2_CP_REQUEST);
		wr_zero(&w, 3);
		wr_u16(&w, cases[i].type | 0x8000); // the reserved bit is ignored
		wr_u16(&w, cases[i].len);
		for (uint16_t j = 0; j < cases[i].len; j++)
			wr_u8(&w, j + 1 == cases[i].len ? cases[i].last : 1);
		struct view body = exact_copy(wr_done(&w));
		assert_int_equal(parse(body), WIRE_OK);
		assert_int_equal(parsed.count, 1);
		const struct wire_cp_attr *a = &parsed.attrs[0];
		if (a->valid != cases[i].valid)
			print_error("case %zu\n", i);
		assert_int_equal(a->type, cases[i].type);
		assert_int_equal(a->valid, cases[i].valid);
		assert_int_equal(a->addr.family, cases[i].family);
		assert_int_equal(a->prefix_bits, cases[i].bits);
		assert_int_equal(a->value.len, cases[i].len);
		assert_true((wire_cp_find(&parsed, cases[i].type) != NULL) == cases[i].valid);
		free_view(body);
	}
}

static void masks(void **state)
{
	static const struct {
		uint32_t mask;
		int bits; // -1: none
	} cases[] = {{0, 0}, {0xffffffff, 32}, {0xffffff00, 24}, {0x80000000, 1}, {0xff00ff00, -1},
		{1, -1}, {0x7fffffff, -1}, {0xfffffffe, 31}};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[16];
		struct wr w = wr_of(buf, sizeof(buf));
		wr_u32(&w, 0x01000000);
		wr_u32(&w, 0x000d0008);
		wr_u32(&w, 0x0a000000);
		wr_u32(&w, cases[i].mask);
		assert_int_equal(parse(wr_done(&w)), WIRE_OK);
		assert_int_equal(parsed.attrs[0].valid, cases[i].bits >= 0);
		if (cases[i].bits >= 0)
			assert_int_equal(parsed.attrs[0].prefix_bits, cases[i].bits);
	}
}

static void damage(void **state)
{
	const struct view good = V(1, 0, 0, 0, 0, 1, 0, 4, 10, 0, 0, 1);
	static uint8_t many[4 + 255 * 4] = {1};
	(void)state;
	assert_int_equal(parse(V(1, 0, 0, 0)), WIRE_OK); // empty is well
	for (size_t len = 0; len < good.len; len++) {
		struct view cut = exact_copy((struct view){good.p, len});
		assert_int_equal(parse(cut), len == 4 ? WIRE_OK : WIRE_MALFORMED_CP);
		free_view(cut);
	}
	refuse_lengths(good, 6, parse);
	for (size_t i = 0; i < 255; i++)
		many[4 + i * 4 + 1] = 1;
	assert_int_equal(parse((struct view){many, sizeof(many)}), WIRE_OK);
	assert_int_equal(parsed.count, WIRE_CP_ATTRS_MAX);
	assert_int_equal(parsed.skipped, 255 - WIRE_CP_ATTRS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_and_reply),
		cmocka_unit_test(attribute_forms),
		cmocka_unit_test(masks),
		cmocka_unit_test(damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
