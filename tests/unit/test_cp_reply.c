// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "controlplane/session.h"

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

// What a request that holds these attribute types, all empty, is answered with.
static void reply_to(
	const uint16_t *types, size_t n, const struct cfg_pool *pool, struct wire_cp *out)
{
	static uint8_t buf[512];
	struct cfg_connection conn = {0};
	struct lease lease = {.pool = pool, .addr = addr("10.1.0.7"), .prefix_len = 32};
	struct wire_cp request = {.type = IKEV2_CP_REQUEST, .count = (uint8_t)n};
	struct wire_builder b;
	struct ike_message m;
	struct ike_cp_state state;
	for (size_t i = 0; i < n; i++)
		request.attrs[i] = (struct wire_cp_attr){.type = types[i], .valid = true};
	ike_cp_read(&request, &state);
	wire_build_begin(&b, buf, sizeof(buf));
	ike_cp_reply(&b, &state, &conn, &lease, 1);
	assert_int_equal(wire_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
	assert_int_equal(wire_cp_parse(m.cp, out), WIRE_OK);
	assert_int_equal(out->type, IKEV2_CP_REPLY);
}

static void domain_and_version_only_where_asked(void **state)
{
	static const uint16_t plain[] = {IKEV2_CP_INTERNAL_IP4_ADDRESS};
	static const uint16_t all[] = {IKEV2_CP_INTERNAL_IP4_ADDRESS, IKEV2_CP_INTERNAL_DNS_DOMAIN,
		IKEV2_CP_APPLICATION_VERSION};
	struct ip_addr dns = addr("10.0.0.53");
	struct cfg_pool pool = {.domain = (char *)(uintptr_t) "corp.example",
		.dns = &dns,
		.dns_count = 1,
		.netmask = addr("255.255.255.255")};
	struct wire_cp cp;
	(void)state;
	reply_to(plain, 1, &pool, &cp);
	assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_ADDRESS));
	assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_NETMASK));
	assert_true(ip_eq(&wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_DNS)->addr, &dns));
	assert_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_DNS_DOMAIN));
	assert_null(wire_cp_find(&cp, IKEV2_CP_APPLICATION_VERSION));
	reply_to(all, 3, &pool, &cp);
	const struct wire_cp_attr *a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_DNS_DOMAIN);
	assert_non_null(a);
	assert_int_equal(a->value.len, 12);
	assert_memory_equal(a->value.p, "corp.example", 12);
	assert_non_null(wire_cp_find(&cp, IKEV2_CP_APPLICATION_VERSION));
	pool.domain = NULL;
	reply_to(all, 3, &pool, &cp);
	assert_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_DNS_DOMAIN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(domain_and_version_only_where_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
