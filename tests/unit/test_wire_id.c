// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

#include <errno.h>

static void text_of_ids(void **state)
{
	const struct {
		struct wire_id id;
		const char *text;
	} cases[] = {
		{{IKEV2_ID_IPV4_ADDR, V(192, 0, 2, 1)}, "192.0.2.1"},
		{{IKEV2_ID_IPV6_ADDR, V(0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)},
			"2001:db8::1"},
		{{IKEV2_ID_FQDN, VS("vpn.example.org")}, "vpn.example.org"},
		{{IKEV2_ID_RFC822_ADDR, VS("road@example.org")}, "road@example.org"},
		{{IKEV2_ID_KEY_ID, VS("group 1")}, "keyid:group\\x201"},
		{{IKEV2_ID_NULL_ID, VS("")}, "type13:"},
		{{IKEV2_ID_DER_ASN1_DN, V(0x30, 0)}, "dn:3000"},
		{{77, V(1, 0xff)}, "type77:01ff"},
		// rows 32, 35: what must not reach a log as it is
		{{IKEV2_ID_FQDN, VS("a\n\x1b[2J\0b\\c\xff")}, "a\\x0a\\x1b[2J\\x00b\\x5cc\\xff"},
		// one text, one identity
		{{IKEV2_ID_FQDN, VS("192.0.2.1")}, "@192.0.2.1"},
		{{IKEV2_ID_FQDN, VS("2001:db8::1")}, "@2001\\x3adb8\\x3a\\x3a1"},
		{{IKEV2_ID_FQDN, VS("road@example.org")}, "road\\x40example.org"},
		{{IKEV2_ID_RFC822_ADDR, VS("example.org")}, "mail:example.org"},
		{{IKEV2_ID_FQDN, VS("keyid:x")}, "keyid\\x3ax"},
		{{IKEV2_ID_RFC822_ADDR, VS("keyid:x@y")}, "keyid\\x3ax@y"},
	};
	char buf[WIRE_ID_TEXT_MAX], small[8];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_string_equal(wire_id_text(&cases[i].id, buf, sizeof(buf)), cases[i].text);
	assert_string_equal(
		wire_id_text(&(struct wire_id){IKEV2_ID_FQDN, VS("abcdefghij")}, small, 8),
		"abcdefg");
	assert_string_equal(
		wire_id_text(&(struct wire_id){IKEV2_ID_FQDN, VS("abcd\nxy")}, small, 8), "abcd");
	assert_string_equal(
		wire_id_text(&(struct wire_id){IKEV2_ID_FQDN, VS("abcd")}, small, 1), "");
	// The longest fits.
	static uint8_t zeros[WIRE_ID_MAX];
	wire_id_text(&(struct wire_id){IKEV2_ID_KEY_ID, {zeros, WIRE_ID_MAX}}, buf, sizeof(buf));
	assert_int_equal(strlen(buf), 6 + 4 * WIRE_ID_MAX);
}

static void ids_of_text(void **state)
{
	const struct {
		const char *text;
		int rc;
		struct wire_id id;
	} cases[] = {
		{"192.0.2.1", 0, {IKEV2_ID_IPV4_ADDR, V(192, 0, 2, 1)}},
		{"::1", 0, {IKEV2_ID_IPV6_ADDR, V(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1)}},
		{"vpn.example.org", 0, {IKEV2_ID_FQDN, VS("vpn.example.org")}},
		{"@vpn", 0, {IKEV2_ID_FQDN, VS("vpn")}},
		{"@192.0.2.1", 0, {IKEV2_ID_FQDN, VS("192.0.2.1")}},
		{"a@b.example", 0, {IKEV2_ID_RFC822_ADDR, VS("a@b.example")}},
		{"keyid:group=1", 0, {IKEV2_ID_KEY_ID, VS("group=1")}},
		{"C=CH, O=x, CN=y", -ENOTSUP, {0, VS("")}},
		{"", -EINVAL, {0, VS("")}},
		{"@", -EINVAL, {0, VS("")}},
		{"keyid:", -EINVAL, {0, VS("")}},
		{"a-name-that-is-longer-than-the-store", -ENOSPC, {0, VS("")}},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t store[20];
		struct wire_id id;
		assert_int_equal(
			wire_id_from_text(cases[i].text, store, sizeof(store), &id), cases[i].rc);
		if (cases[i].rc == 0)
			assert_true(
				id.type == cases[i].id.type && view_eq(id.data, cases[i].id.data));
	}
}

static void matching(void **state)
{
	const struct wire_id vpn = {IKEV2_ID_FQDN, VS("Vpn.Example.org")};
	const struct wire_id dot = {IKEV2_ID_FQDN, VS(".example.org")};
	const struct wire_id mail = {IKEV2_ID_RFC822_ADDR, VS("Road@Example.org")};
	const struct wire_id v4 = {IKEV2_ID_IPV4_ADDR, V(10, 1, 2, 3)};
	const struct wire_id key = {IKEV2_ID_KEY_ID, VS("group")};
	const struct wire_id dn = {IKEV2_ID_DER_ASN1_DN, V(0x30, 0)};
	const struct wire_id sneaky = {IKEV2_ID_FQDN, VS("evil.example\0.example.org")};
	const struct {
		const char *pattern;
		const struct wire_id *id;
		bool match;
	} cases[] = {
		{"*", &vpn, true},
		{"*", &dn, true},
		{"*", &key, true},
		{"vpn.example.org", &vpn, true},
		{"@vpn.example.ORG", &vpn, true},
		{"vpn.example.or", &vpn, false},
		{"xvpn.example.org", &vpn, false},
		{"*.example.org", &vpn, true},
		{"*.org", &vpn, true},
		{"*.vpn.example.org", &vpn, false}, // not the name itself
		{"*.ample.org", &vpn, false},
		{"*.example.org", &dot, false}, // nothing before the dot
		{"*example.org", &vpn, false},  // no such form
		{"*.example.org", &mail, false},
		{"*@example.org", &mail, true},
		{"*@ample.org", &mail, false},
		{"*@example.org", &vpn, false},
		{"Road@example.ORG", &mail, true},
		{"road@example.org", &mail, false}, // the local part has case
		{"vpn.example.org", &mail, false},
		{"10.1.2.3", &v4, true},
		{"10.0.0.0/8", &v4, true},
		{"11.0.0.0/8", &v4, false},
		{"10.1.2.4", &v4, false},
		{"::/0", &v4, false},
		{"keyid:group", &key, true},
		{"keyid:Group", &key, false},
		{"keyid:grou", &key, false},
		{"group", &key, false},
		{"CN=x", &dn, false},
		{"", &vpn, false},
		{"evil.example", &sneaky, false},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (wire_id_match(cases[i].pattern, cases[i].id) != cases[i].match)
			print_error("case %zu: %s\n", i, cases[i].pattern);
		assert_int_equal(wire_id_match(cases[i].pattern, cases[i].id), cases[i].match);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_of_ids),
		cmocka_unit_test(ids_of_text),
		cmocka_unit_test(matching),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
