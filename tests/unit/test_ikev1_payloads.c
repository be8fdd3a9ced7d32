// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

#include "controlplane/wire/ikev1.h"

static void nonces(void **state)
{
	static const struct {
		size_t len;
		enum wire_error error;
	} cases[] = {{0, WIRE_MALFORMED_NONCE}, {7, WIRE_MALFORMED_NONCE}, {8, WIRE_OK},
		{20, WIRE_OK}, {256, WIRE_OK}, {257, WIRE_MALFORMED_NONCE}};
	static const uint8_t bytes[257];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view out;
		assert_int_equal(ikev1_nonce_parse((struct view){bytes, cases[i].len}, &out),
			cases[i].error);
	}
}

// Phase 1: protocol and port are not looked at.
static void identities(void **state)
{
	static const struct {
		uint8_t body[28];
		size_t len;
		enum wire_error error;
	} cases[] = {
		{{11, 17, 1, 0xf4, 'h', 'q'}, 6, WIRE_OK},
		{{1, 17, 0x11, 0x94, 10, 0, 0, 1}, 8, WIRE_OK},
		{{1, 6, 0xff, 0xff, 10, 0, 0, 1}, 8, WIRE_OK},
		{{2, 0, 0, 0, 'a'}, 5, WIRE_OK},
		{{2, 0, 0, 0, 'a', 0}, 6, WIRE_MALFORMED_ID},
		{{3, 0, 0, 0, 'a', '@', 'b'}, 7, WIRE_OK},
		{{9, 0, 0, 0, 0x30, 0}, 6, WIRE_OK},
		{{1, 0, 0, 0, 10, 0, 0}, 7, WIRE_MALFORMED_ID},
		{{1, 0, 0, 0, 10, 0, 0, 1, 0}, 9, WIRE_MALFORMED_ID},
		{{4, 0, 0, 0, 10, 0, 0, 0, 255, 0, 0, 0}, 12, WIRE_OK},
		{{4, 0, 0, 0, 10, 0, 0, 0}, 8, WIRE_MALFORMED_ID},
		{{5, 0, 0, 0, 10}, 5, WIRE_MALFORMED_ID},
		{{11, 0, 0, 0}, 4, WIRE_MALFORMED_ID},
		{{13, 0, 0, 0}, 4, WIRE_MALFORMED_ID}, // IKEv2's ID_NULL
		{{11, 0, 0}, 3, WIRE_MALFORMED_ID},
		{{0}, 0, WIRE_MALFORMED_ID},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_id id;
		struct view v = exact_copy((struct view){cases[i].body, cases[i].len});
		assert_int_equal(ikev1_id_parse(v, &id), cases[i].error);
		if (cases[i].error == WIRE_OK)
			assert_true(id.type == cases[i].body[0] && id.data.len == v.len - 4);
		free_view(v);
	}
}

// Catalogue row 60, and what its kin would be.
static void selectors(void **state)
{
	static const struct {
		uint8_t body[40];
		size_t len;
		const char *range; // NULL: refused
		uint8_t proto;
		uint16_t lo, hi;
	} cases[] = {
		{{1, 0, 0, 0, 10, 1, 2, 3}, 8, "10.1.2.3", 0, 0, 65535},
		{{1, 17, 6, 0xa5, 10, 1, 2, 3}, 8, "10.1.2.3", 17, 1701, 1701},
		{{1, 6, 0, 0, 10, 1, 2, 3}, 8, "10.1.2.3", 6, 0, 65535},
		{{1, 0, 6, 0xa5, 10, 1, 2, 3}, 8, NULL, 0, 0, 0}, // a port of nothing
		{{4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, 12, "0.0.0.0/0", 0, 0, 65535},
		{{4, 0, 0, 0, 10, 1, 0, 0, 255, 255, 0, 0}, 12, "10.1.0.0/16", 0, 0, 65535},
		{{4, 0, 0, 0, 10, 1, 2, 3, 255, 255, 0, 0}, 12, "10.1.0.0/16", 0, 0, 65535},
		{{4, 0, 0, 0, 10, 1, 2, 3, 255, 255, 255, 255}, 12, "10.1.2.3", 0, 0, 65535},
		{{4, 0, 0, 0, 10, 1, 0, 0, 255, 0, 255, 0}, 12, NULL, 0, 0, 0}, // holes
		{{4, 0, 0, 0, 10, 1, 0, 0, 0, 0, 0, 255}, 12, NULL, 0, 0, 0},
		{{4, 0, 0, 0, 10, 1, 0, 0, 255, 255, 0}, 11, NULL, 0, 0, 0},
		{{4, 0, 0, 0, 10, 1, 0, 0, 255, 255, 0, 0, 0}, 13, NULL, 0, 0, 0},
		{{7, 0, 0, 0, 10, 0, 0, 1, 10, 0, 0, 9}, 12, "10.0.0.1-10.0.0.9", 0, 0, 65535},
		{{7, 0, 0, 0, 10, 0, 0, 9, 10, 0, 0, 1}, 12, NULL, 0, 0, 0}, // upside down
		{{5, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 20,
			"2001:db8::1", 0, 0, 65535},
		{{6, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255,
			 255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
			36, "2001:db8::/32", 0, 0, 65535},
		{{8, 0, 0, 0, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20, 1, 0xd,
			 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9},
			36, "2001:db8::1-2001:db8::9", 0, 0, 65535},
		{{5, 0, 0, 0, 10, 1, 2, 3}, 8, NULL, 0, 0, 0},
		{{2, 0, 0, 0, 'a', '.', 'b', 'c'}, 8, NULL, 0, 0, 0}, // CVE-2023-38711
		{{3, 0, 0, 0, 'a', '@', 'b', 'c'}, 8, NULL, 0, 0, 0},
		{{9, 0, 0, 0, 0x30, 2, 5, 0}, 8, NULL, 0, 0, 0},
		{{11, 0, 0, 0, 10, 1, 2, 3}, 8, NULL, 0, 0, 0},
		{{0, 0, 0, 0, 10, 1, 2, 3}, 8, NULL, 0, 0, 0},
		{{255, 0, 0, 0, 10, 1, 2, 3}, 8, NULL, 0, 0, 0},
		{{1, 0, 0}, 3, NULL, 0, 0, 0},
		{{1, 0, 0, 0}, 4, NULL, 0, 0, 0},
		{{0}, 0, NULL, 0, 0, 0},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct selector s = {0};
		struct ip_range r;
		struct view v = exact_copy((struct view){cases[i].body, cases[i].len});
		enum wire_error e = ikev1_id_selector(v, &s);
		free_view(v);
		assert_int_equal(e, cases[i].range ? WIRE_OK : WIRE_MALFORMED_ID);
		if (!cases[i].range)
			continue;
		assert_int_equal(ip_range_parse(cases[i].range, &r), 0);
		assert_true(ip_eq(&s.range.lo, &r.lo) && ip_eq(&s.range.hi, &r.hi));
		assert_int_equal(s.proto, cases[i].proto);
		assert_true(s.port_lo == cases[i].lo && s.port_hi == cases[i].hi);
	}
}

static void selector_round_trip(void **state)
{
	static const struct {
		const char *range;
		uint8_t proto;
		uint16_t lo, hi;
		uint8_t type; // 0: cannot be said
	} cases[] = {
		{"10.1.2.3", 0, 0, 65535, 1},
		{"10.1.2.3", 17, 1701, 1701, 1},
		{"10.1.2.3", 17, 0, 65535, 1},
		{"10.1.2.3", 17, 1, 2, 0},
		{"10.1.2.3", 17, 0, 0, 0},
		{"10.1.2.3", 17, 65535, 0, 0}, // OPAQUE
		{"10.1.2.3", 0, 5, 5, 0},
		{"0.0.0.0/0", 0, 0, 65535, 4},
		{"10.1.0.0/16", 6, 22, 22, 4},
		{"10.0.0.2/31", 0, 0, 65535, 4},
		{"10.0.0.1-10.0.0.9", 0, 0, 65535, 7},
		{"2001:db8::1", 0, 0, 65535, 5},
		{"2001:db8::/33", 0, 0, 65535, 6},
		{"::/0", 0, 0, 65535, 6},
		{"2001:db8::1-2001:db8::9", 0, 0, 65535, 8},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[64];
		struct wr w = wr_of(buf, sizeof(buf));
		struct selector s = {
			.proto = cases[i].proto, .port_lo = cases[i].lo, .port_hi = cases[i].hi};
		struct selector again;
		assert_int_equal(ip_range_parse(cases[i].range, &s.range), 0);
		assert_int_equal(ikev1_selector_id(&w, &s), cases[i].type != 0);
		if (!cases[i].type) {
			assert_int_equal(w.len, 0);
			continue;
		}
		assert_int_equal(buf[0], cases[i].type);
		assert_int_equal(ikev1_id_selector(wr_done(&w), &again), WIRE_OK);
		assert_memory_equal(&again.range, &s.range, sizeof(s.range));
		assert_int_equal(again.proto, s.proto);
		assert_true(again.port_lo == s.port_lo && again.port_hi == s.port_hi);
	}
}

// Catalogue rows 19, 22, 24: a header first, a number that is one, something behind it.
static void fragments(void **state)
{
	static const struct {
		uint8_t body[8];
		size_t len;
		enum wire_error error;
		bool last;
	} cases[] = {
		{{0, 1, 1, 1, 'x'}, 5, WIRE_OK, true},
		{{0, 1, 1, 0, 'x'}, 5, WIRE_OK, false},
		{{0xff, 0xff, 64, 0xfe, 'x'}, 5, WIRE_OK, false},
		{{0, 1, 65, 1, 'x'}, 5, WIRE_TOO_MANY_FRAGMENTS, false},
		{{0, 1, 255, 1, 'x'}, 5, WIRE_TOO_MANY_FRAGMENTS, false},
		{{0, 1, 0, 1, 'x'}, 5, WIRE_BAD_FRAGMENT, false},
		{{0, 1, 1, 1}, 4, WIRE_BAD_FRAGMENT, false},
		{{0, 1, 1}, 3, WIRE_BAD_FRAGMENT, false},
		{{0}, 0, WIRE_BAD_FRAGMENT, false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ikev1_fragment f;
		struct view v = exact_copy((struct view){cases[i].body, cases[i].len});
		assert_int_equal(ikev1_fragment_parse(v, &f), cases[i].error);
		if (cases[i].error == WIRE_OK) {
			assert_int_equal(f.id, cases[i].body[0] << 8 | cases[i].body[1]);
			assert_int_equal(f.number, cases[i].body[2]);
			assert_int_equal(f.last, cases[i].last);
			assert_true(view_eq(f.content, VS("x")));
		}
		free_view(v);
	}
}

// Row 19 whole: the payload's own length below its header's, and below the fragment's.
static void fragment_payloads(void **state)
{
	(void)state;
	for (uint8_t len = 0; len < 9; len++) {
		struct ikev1_message m;
		struct ikev1_fragment f;
		struct view v = exact_copy(V(0, 0, 0, len, 0, 1, 1, 1));
		enum wire_error e = ikev1_message_parse(v, IKEV1_PAYLOAD_FRAGMENT, &m);
		assert_int_equal(e, len < 4   ? WIRE_PAYLOAD_LENGTH
				    : len > 8 ? WIRE_TRUNCATED
					      : WIRE_OK);
		if (e == WIRE_OK)
			assert_int_equal(ikev1_fragment_parse(m.fragment, &f), WIRE_BAD_FRAGMENT);
		free_view(v);
	}
}

static void lifetimes(void **state)
{
	static const struct {
		uint8_t data[24];
		size_t len;
		bool phase1, ok;
		uint64_t life_s, life_kb;
	} cases[] = {
		{{0x80, 11, 0, 1, 0x80, 12, 0x0e, 0x10}, 8, true, true, 3600, 0},
		{{0x80, 1, 0, 1, 0x80, 2, 0x0e, 0x10}, 8, false, true, 3600, 0},
		{{0x80, 1, 0, 1, 0, 2, 0, 4, 0, 1, 0x51, 0x80}, 12, false, true, 86400, 0},
		{{0x80, 1, 0, 2, 0, 2, 0, 4, 0, 1, 0x51, 0x80}, 12, false, true, 0, 86400},
		{{0x80, 1, 0, 2, 0x80, 2, 0, 9, 0x80, 1, 0, 1, 0x80, 2, 0, 8}, 16, false, true, 8,
			9},
		{{0x80, 11, 0, 1, 0x80, 12, 0x0e, 0x10}, 8, false, false, 0,
			0}, // the other phase's
		{{0x80, 2, 0x0e, 0x10, 0x80, 1, 0, 1}, 8, false, false, 0, 0},
		{{0x80, 1, 0, 1}, 4, false, false, 0, 0},
		{{0x80, 1, 0, 1, 0x80, 2, 0x0e}, 7, false, false, 0, 0},
		{{0x80, 1, 0, 1, 0, 2, 0, 5, 1, 2, 3, 4}, 12, false, false, 0, 0},
		{{0x80, 1, 0, 1, 0, 2, 0, 0}, 8, false, false, 0, 0},
		{{0x80, 1, 0, 1, 0, 2, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 17, false, false, 0, 0},
		{{0x80, 1, 0, 3, 0x80, 2, 0, 1}, 8, false, false, 0, 0},
		{{0}, 0, false, false, 0, 0},
	};
	static const uint32_t built[] = {1, 65535, 65536, UINT32_MAX};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ikev1_lifetime life = {99, 99};
		struct view v = exact_copy((struct view){cases[i].data, cases[i].len});
		assert_int_equal(ikev1_lifetime_parse(v, cases[i].phase1, &life), cases[i].ok);
		assert_true(life.seconds == (cases[i].ok ? cases[i].life_s : 99));
		assert_true(life.kilobytes == (cases[i].ok ? cases[i].life_kb : 99));
		free_view(v);
	}
	for (size_t i = 0; i < 8 * COUNT(built); i++) {
		uint8_t buf[24];
		struct ikev1_lifetime life = {99, 99}, said = {0, 0};
		bool phase1 = i & 1, seconds = i & 2, kilobytes = i & 4;
		uint32_t value = built[i / 8];
		said.seconds = seconds ? value : 0;
		said.kilobytes = kilobytes ? value : 0;
		size_t len = ikev1_lifetime_data(buf, sizeof(buf), phase1, &said);
		assert_int_equal(len, (seconds + kilobytes) * (value > 65535 ? 12 : 8));
		assert_int_equal(
			ikev1_lifetime_parse((struct view){buf, len}, phase1, &life), len > 0);
		if (len == 0)
			continue;
		assert_true(life.seconds == said.seconds && life.kilobytes == said.kilobytes);
		assert_int_equal(ikev1_lifetime_data(buf, 7, phase1, &said), 0);
	}
	uint8_t buf[24];
	struct ikev1_lifetime life, more = {UINT64_MAX, 1ull << 32};
	size_t len = ikev1_lifetime_data(buf, sizeof(buf), false, &more);
	assert_true(ikev1_lifetime_parse((struct view){buf, len}, false, &life));
	assert_true(life.seconds == UINT32_MAX && life.kilobytes == UINT32_MAX);
}

static void vendors(void **state)
{
	static const struct {
		struct view id;
		enum ikev1_vendor vendor;
	} cases[] = {
#define HEX(text, vid) {{(const uint8_t *)(text), sizeof(text) - 1}, vid}
		HEX("\x09\x00\x26\x89\xdf\xd6\xb7\x12", IKEV1_VID_XAUTH),
		HEX("\x09\x00\x26\x89\xdf\xd6\xb7", IKEV1_VID_UNKNOWN),
		HEX("\x09\x00\x26\x89\xdf\xd6\xb7\x12\x00", IKEV1_VID_UNKNOWN),
		HEX("\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x01\x00",
			IKEV1_VID_UNITY),
		HEX("\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc\x02\x07",
			IKEV1_VID_UNITY),
		HEX("\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc", IKEV1_VID_UNITY),
		HEX("\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74", IKEV1_VID_UNKNOWN),
		HEX("\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00",
			IKEV1_VID_DPD),
		HEX("\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x07",
			IKEV1_VID_DPD),
		HEX("\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x02\x00",
			IKEV1_VID_UNKNOWN),
		HEX("\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3",
			IKEV1_VID_FRAGMENTATION),
		HEX("\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\xc0\0\0\0",
			IKEV1_VID_FRAGMENTATION),
		HEX("\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3\x80\0\0\0",
			IKEV1_VID_FRAGMENTATION),
		HEX("\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f",
			IKEV1_VID_NATT_RFC3947),
		HEX("\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56",
			IKEV1_VID_NATT_03),
		HEX("\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f",
			IKEV1_VID_NATT_02N),
		HEX("\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48",
			IKEV1_VID_NATT_02),
		HEX("\x16\xf6\xca\x16\xe4\xa4\x06\x6d\x83\x82\x1a\x0f\x0a\xea\xa8\x62",
			IKEV1_VID_NATT_01),
		HEX("\x44\x85\x15\x2d\x18\xb6\xbb\xcd\x0b\xe8\xa8\x46\x95\x79\xdd\xcc",
			IKEV1_VID_NATT_00),
		HEX("\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\0\0\0\x09",
			IKEV1_VID_MS_NT5),
		HEX("\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb",
			IKEV1_VID_STRONGSWAN),
		HEX("\x16\x6f\x93\x2d\x55\xeb\x64\xd8\xe4\xdf\x4f\xd3\x7e\x23\x13\xf0\xd0\xfd\x84"
		    "\x51\0\0\0\0\0\0\0\0",
			IKEV1_VID_NETSCREEN),
		HEX("\x16\x6f\x93\x2d\x55\xeb\x64\xd8\xe4\xdf\x4f\xd3\x7e\x23\x13\xf0",
			IKEV1_VID_UNKNOWN),
		HEX("", IKEV1_VID_UNKNOWN),
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct view v = exact_copy(cases[i].id);
		assert_int_equal(ikev1_vendor_of(v), cases[i].vendor);
		free_view(v);
	}
	for (int v = 0; v < IKEV1_VID_COUNT; v++) {
		struct view bytes = ikev1_vendor_bytes((enum ikev1_vendor)v);
		bool sent = (v >= IKEV1_VID_XAUTH && v <= IKEV1_VID_NATT_00) ||
			    v == IKEV1_VID_SALLYPORT;
		assert_int_equal(bytes.len != 0, sent);
		if (sent)
			assert_int_equal(ikev1_vendor_of(bytes), v);
		assert_non_null(ikev1_vendor_name((enum ikev1_vendor)v));
	}
	assert_string_equal(ikev1_vendor_name(IKEV1_VID_UNKNOWN), "unknown");
	assert_string_equal(ikev1_vendor_name(IKEV1_VID_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nonces),
		cmocka_unit_test(identities),
		cmocka_unit_test(selectors),
		cmocka_unit_test(selector_round_trip),
		cmocka_unit_test(fragments),
		cmocka_unit_test(fragment_payloads),
		cmocka_unit_test(lifetimes),
		cmocka_unit_test(vendors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
