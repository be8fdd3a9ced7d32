// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/ikev1_cases.h"
#include "tests/unit/wire_cases.h"

static struct ikev1_cfg parsed;

static enum wire_error parse(struct view body)
{
	return ikev1_cfg_parse(body, &parsed);
}

static void vpnc_request(void **state)
{
	const struct ikev1_attr *a;
	uint32_t number;
	struct ip_addr addr;
	(void)state;
	struct view body = exact_copy((struct view){vpnc_cfg_request, sizeof(vpnc_cfg_request)});
	assert_int_equal(parse(body), WIRE_OK);
	assert_int_equal(parsed.type, IKEV1_CFG_REQUEST);
	assert_int_equal(parsed.identifier, 20);
	assert_int_equal(parsed.count, 13);
	assert_int_equal(parsed.skipped, 0);
	a = ikev1_cfg_find(&parsed, IKEV1_CFG_IP4_ADDRESS);
	assert_non_null(a);
	assert_true(!a->basic && a->value.len == 0);
	assert_false(ikev1_attr_address(a, IP_V4, &addr));
	assert_false(ikev1_attr_number(a, &number));
	a = ikev1_cfg_find(&parsed, IKEV1_CFG_UNITY_FW_TYPE);
	assert_true(a && a->basic && ikev1_attr_number(a, &number) && number == 0);
	a = ikev1_cfg_find(&parsed, IKEV1_CFG_APPLICATION_VERSION);
	assert_true(a && view_eq(a->value, VS("Cisco Syst")));
	assert_null(ikev1_cfg_find(&parsed, IKEV1_CFG_IP6_ADDRESS));
	free_view(body);
}

static void malformed(void **state)
{
	static const struct {
		uint8_t body[16];
		size_t len;
		enum wire_error error;
		uint8_t count;
	} cases[] = {
		{{0}, 0, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0}, 3, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0}, 4, WIRE_OK, 0},
		{{99, 0xff, 0xff, 0xff}, 4, WIRE_OK, 0},
		{{1, 0, 0, 0, 0, 1, 0, 0}, 8, WIRE_OK, 1},
		{{1, 0, 0, 0, 0, 1, 0}, 7, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0, 0}, 5, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0, 0, 1, 0, 1}, 8, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0, 0, 1, 0xff, 0xff, 1, 2, 3, 4}, 12, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0, 0, 1, 0, 3, 1, 2, 3, 4}, 12, WIRE_MALFORMED_CP, 0},
		{{1, 0, 0, 0, 0x80, 1, 0xff, 0xff}, 8, WIRE_OK, 1},
		{{1, 0, 0, 0, 0x80, 1, 0xff}, 7, WIRE_MALFORMED_CP, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view v = exact_copy((struct view){cases[i].body, cases[i].len});
		assert_int_equal(parse(v), cases[i].error);
		if (cases[i].error == WIRE_OK)
			assert_int_equal(parsed.count, cases[i].count);
		free_view(v);
	}
	struct view good = {vpnc_cfg_request, sizeof(vpnc_cfg_request)};
	refuse_truncated(good, 4, parse, WIRE_MALFORMED_CP);
}

// Catalogue row 73: 255 attributes, empty ones, unknown ones, the other family's, two addresses.
static void abundance(void **state)
{
	uint8_t buf[4 + 4 + 255 * 8];
	struct wire_builder b;
	struct ip_addr addr;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_SET, 0xbeef);
	for (unsigned i = 0; i < 255; i++)
		ikev1_put_attr(&b, (uint16_t)(i ? i : 1), i ? V(10, 0, 0, 2) : V(10, 0, 0, 1));
	wire_close(&b);
	struct view body = exact_copy(first_body(&b));
	assert_int_equal(parse(body), WIRE_OK);
	assert_int_equal(parsed.count, IKEV1_ATTRS_MAX);
	assert_int_equal(parsed.skipped, 255 - IKEV1_ATTRS_MAX);
	assert_int_equal(parsed.identifier, 0xbeef);
	// Of two addresses the first; none of the other family.
	const struct ikev1_attr *a = ikev1_cfg_find(&parsed, IKEV1_CFG_IP4_ADDRESS);
	assert_true(a && ikev1_attr_address(a, IP_V4, &addr));
	assert_int_equal(addr.bytes[3], 1);
	assert_false(ikev1_attr_address(a, IP_V6, &addr));
	a = ikev1_cfg_find(&parsed, IKEV1_CFG_IP6_ADDRESS);
	assert_false(ikev1_attr_address(a, IP_V6, &addr));
	free_view(body);
}

static void values(void **state)
{
	static const uint8_t bytes[32] = {0x20, 1, 0xd, 0xb8};
	static const struct {
		uint16_t type;
		bool basic;
		size_t len;
		bool number, v4, v6;
	} cases[] = {
		{IKEV1_CFG_IP4_ADDRESS, true, 2, true, false, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 0, false, false, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 1, false, false, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 2, true, false, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 3, false, false, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 4, true, true, false},
		{IKEV1_CFG_IP4_ADDRESS, false, 5, false, false, false},
		{IKEV1_CFG_IP6_ADDRESS, false, 15, false, false, false},
		{IKEV1_CFG_IP6_ADDRESS, false, 16, false, false, true},
		{IKEV1_CFG_IP6_ADDRESS, false, 17, false, false, true},
		{IKEV1_CFG_IP6_ADDRESS, false, 18, false, false, false},
		{IKEV1_CFG_IP6_DNS, false, 16, false, false, true},
		{IKEV1_CFG_IP6_DNS, false, 17, false, false, false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view value = exact_copy((struct view){bytes, cases[i].len});
		struct ikev1_attr a = {cases[i].type, cases[i].basic, value};
		struct ip_addr addr;
		uint32_t number = 0;
		assert_int_equal(ikev1_attr_number(&a, &number), cases[i].number);
		if (cases[i].number)
			assert_int_equal(number, cases[i].len == 2 ? 0x2001 : 0x20010db8);
		assert_int_equal(ikev1_attr_address(&a, IP_V4, &addr), cases[i].v4);
		assert_int_equal(ikev1_attr_address(&a, IP_V6, &addr), cases[i].v6);
		assert_false(ikev1_attr_address(&a, 0, &addr));
		if (cases[i].v6)
			assert_true(addr.family == IP_V6 && addr.bytes[3] == 0xb8);
		free_view(value);
	}
}

static void unity_networks(void **state)
{
	static const uint8_t expected[] = {2, 0, 0, 7, 0x70, 4, 0, 28, //
		10, 1, 0, 0, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0,         //
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
	struct ip_prefix nets[] = {
		{addr_of("10.1.0.0"), 16}, {addr_of("2001:db8::"), 32}, {addr_of("0.0.0.0"), 0}};
	uint8_t buf[64];
	struct wire_builder b;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REPLY, 7);
	ikev1_put_unity_nets(&b, IKEV1_CFG_UNITY_SPLIT_INCLUDE, nets, 3);
	ikev1_put_unity_nets(&b, IKEV1_CFG_UNITY_LOCAL_LAN, nets + 1, 1); // nothing to say
	wire_close(&b);
	struct view body = first_body(&b);
	assert_int_equal(body.len, sizeof(expected));
	assert_memory_equal(body.p, expected, sizeof(expected));
	// What does not fit is an overflow, whole.
	wire_build_begin(&b, buf, 30);
	ikev1_open_cfg(&b, IKEV1_CFG_REPLY, 7);
	ikev1_put_unity_nets(&b, IKEV1_CFG_UNITY_SPLIT_INCLUDE, nets, 3);
	wire_close(&b);
	assert_null(wire_build_done(&b).p);
}

// vpnc takes PFS and the status as TV alone, addresses as TLV alone.
static void forms(void **state)
{
	uint8_t buf[64];
	static uint8_t huge[UINT16_MAX + 1];
	struct wire_builder b;
	(void)state;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_SET, 0);
	ikev1_put_attr_basic(&b, IKEV1_CFG_XAUTH_STATUS, IKEV1_XAUTH_STATUS_OK);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, V(10, 0, 0, 1));
	ikev1_put_attr(&b, IKEV1_CFG_IP4_DNS, (struct view){NULL, 0});
	wire_close(&b);
	assert_true(view_eq(first_body(&b),
		V(3, 0, 0, 0, 0xc0, 0x8f, 0, 1, 0, 1, 0, 4, 10, 0, 0, 1, 0, 3, 0, 0)));
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_attr(&b, IKEV1_CFG_UNITY_BANNER, (struct view){huge, sizeof(huge)});
	assert_null(wire_build_done(&b).p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vpnc_request),
		cmocka_unit_test(malformed),
		cmocka_unit_test(abundance),
		cmocka_unit_test(values),
		cmocka_unit_test(unity_networks),
		cmocka_unit_test(forms),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
