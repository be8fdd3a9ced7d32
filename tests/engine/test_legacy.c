// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Weak algorithms: negotiated where "legacy" names them, and marked in what is shown.
#include "tests/engine/pair.h"

#define ALL_WORDS \
	"legacy = [ \"des\", \"3des\", \"md5\", \"modp768\", \"modp1024\", \"modp1536\" ];\n"

#define CHILD(where, esp) "{ name = \"lan\"; " where " esp_proposals = [ \"" esp "\" ]; }"
#define GW_TS             "local_ts = [ \"10.99.0.0/24\" ];"
#define CLIENT_TS         "local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ];"
#define BOTH(esp)         CHILD(GW_TS, esp), CHILD(CLIENT_TS, esp)

static const struct {
	const char *ike, *gw_child, *client_child;
	bool ike_legacy, esp_legacy;
} suites[] = {
	{"\"aes128-sha256-modp2048\"", BOTH("aes128gcm16"), false, false},
	{"\"aes128-sha256-modp2048\"", BOTH("3des-sha1"), false, true},
	{"\"aes128-sha256-modp2048\"", BOTH("aes128-md5"), false, true},
	{"\"3des-sha1-modp1024\"", BOTH("aes128-sha256"), true, false},
	{"\"3des-md5-modp1536\"", BOTH("3des-md5"), true, true},
	{"\"des-sha1-modp768\"", BOTH("des-sha1"), true, true},
	{"\"des-md5-modp768\"", BOTH("des-md5"), true, true},
};

static void weak_suites_are_marked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		struct side gw = {.ike = suites[i].ike,
			.children = suites[i].gw_child,
			.more = ALL_WORDS "mode_config = [ \"respond\" ]; pools = [ \"p4\" ];"};
		struct side client = {.ike = suites[i].ike,
			.children = suites[i].client_child,
			.more = ALL_WORDS};
		struct pair p = pair_new(&gw, &client);
		print_message("# %s, %s\n", suites[i].ike, suites[i].gw_child);
		assert_true(pair_up(&p));
		struct ike_session_info s = bench_session(p.gw);
		assert_int_equal(s.ike_version, 2);
		assert_int_equal(s.legacy, suites[i].ike_legacy);
		assert_int_equal(s.child_count, 1);
		assert_int_equal(s.children[0].legacy, suites[i].esp_legacy);
		assert_string_equal(s.mode_config, "pull");
		assert_string_equal(s.group, "");
		assert_true(pair_traffic(&p));
		pair_down(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weak_suites_are_marked),
	};
	return cmocka_run_group_tests_name("legacy", tests, NULL, NULL);
}
