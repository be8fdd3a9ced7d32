// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/session.h"
#include "tests/cmocka_all.h"

#include <errno.h>

static struct view body_of(const char *text, struct ike_id *id)
{
	assert_int_equal(ike_id_from_text(text, id), 0);
	return ike_id_view(id);
}

static void text_to_body_and_back(void **state)
{
	static const struct {
		const char *text;
		uint8_t type;
		const char *shown;
	} rows[] = {
		{"gw.example", IKEV2_ID_FQDN, "gw.example"},
		{"@gw.example", IKEV2_ID_FQDN, "gw.example"},
		{"user@example", IKEV2_ID_RFC822_ADDR, "user@example"},
		{"192.0.2.1", IKEV2_ID_IPV4_ADDR, "192.0.2.1"},
		{"2001:db8::1", IKEV2_ID_IPV6_ADDR, "2001:db8::1"},
		{"C=CH, O=example, CN=gw", IKEV2_ID_DER_ASN1_DN, "C=CH, O=example, CN=gw"},
	};
	char buf[IKE_ID_TEXT_MAX];
	struct ike_id id;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct view v = body_of(rows[i].text, &id);
		assert_int_equal(v.p[0], rows[i].type);
		assert_string_equal(ike_id_text(v, buf), rows[i].shown);
		assert_int_equal(ike_id_fit(rows[i].text, v), 3);
	}
	assert_int_equal(ike_id_from_text("", &id), -EINVAL);
	assert_int_equal(ike_id_from_text("CN=a, nonsense", &id), -EINVAL);
	assert_string_equal(ike_id_text((struct view){(const uint8_t *)"", 0}, buf), "");
}

static void patterns(void **state)
{
	static const struct {
		const char *pattern, *id;
		int fit;
	} rows[] = {
		{"*", "gw.example", 1},
		{"*", "192.0.2.1", 1},
		{"*.example", "gw.example", 2},
		{"*.example", "example", 0},
		{"*.example", "gw.example.org", 0},
		{"gw.example", "GW.Example", 3},
		{"gw.example", "gw2.example", 0},
		{"user@example", "user@example", 3},
		{"*@example", "user@example", 2},
		{"192.0.2.0/24", "192.0.2.9", 2},
		{"192.0.2.9", "192.0.2.9", 3},
		{"192.0.2.9", "192.0.2.8", 0},
		{"CN=gw, C=CH", "C=CH, CN=gw", 0},
		{"C=CH, CN=gw", "C=CH, CN=gw", 3},
		{"C=CH, CN=GW", "C=CH, CN=gw", 3}, // X.509 compares without case
		{"gw.example", "C=CH, CN=gw.example", 0},
	};
	struct ike_id id;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			ike_id_fit(rows[i].pattern, body_of(rows[i].id, &id)), rows[i].fit);
	static const uint8_t group[] = {IKEV2_ID_KEY_ID, 0, 0, 0, 'g', 'r', 'p'};
	struct view key_id = {group, sizeof(group)};
	assert_int_equal(ike_id_fit("grp", key_id), 3);
	assert_int_equal(ike_id_fit("gr", key_id), 0);
	assert_int_equal(ike_id_fit("*", (struct view){group, 3}), 0); // malformed
}

// What one configured text can mean has one hash.
static void hashes(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} cases[] = {
		{"hq.example", "HQ.Example", true},
		{"hq.example", "keyid:hq.example", true},
		{"keyid:hq", "keyid:HQ", false},
		{"user@hq.example", "user@HQ.example", true},
		{"user@hq.example", "User@hq.example", false},
		{"CN=hq", "CN=HQ", true},
		{"10.1.2.3", "10.1.2.3", true},
		{"10.1.2.3", "10.1.2.4", false},
		{"hq.example", "hr.example", false},
	};
	static const uint8_t key[16] = {1}, other[16] = {2};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ike_id a, b;
		assert_int_equal(ike_id_from_text(cases[i].a, &a), 0);
		assert_int_equal(ike_id_from_text(cases[i].b, &b), 0);
		uint64_t hash = ike_id_hash(key, ike_id_view(&a));
		if ((hash == ike_id_hash(key, ike_id_view(&b))) != cases[i].same)
			fail_msg("%s, %s", cases[i].a, cases[i].b);
		assert_true(hash != ike_id_hash(other, ike_id_view(&a)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_to_body_and_back),
		cmocka_unit_test(patterns),
		cmocka_unit_test(hashes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
