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

// RFC 5739: a network, and the link that it is for.
static void networks(void **state)
{
	static const uint8_t one[8] = {[7] = 1}, other[8] = {1, 2, 3, 4, 5, 6, 7, 8};
	static const struct cfg_pool pool;
	uint8_t link[24], buf[512];
	const struct {
		struct view link;
		bool asked, same_iid, id;
	} rows[] = {
		{{NULL, 0}, false, false, false}, // the network alone
		{{NULL, 0}, true, false, false}, {{other, 8}, true, false, false},
		{{one, 8}, true, true, false},             // our own identifier is another one then
		{{link, sizeof(link)}, true, false, true}, // the client has been here
	};
	struct lease lease = {.pool = &pool, .addr = addr("2001:db8:100:300::"), .prefix_len = 56};
	struct cfg_connection conn = {0};
	(void)state;
	memcpy(link, other, 8);
	memcpy(link + 8, lease.addr.bytes, 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct wire_cp request = {.type = IKEV2_CP_REQUEST, .count = 1}, cp;
		struct wire_builder b;
		struct ike_message m;
		struct ike_cp_state st;
		request.attrs[0] =
			(struct wire_cp_attr){.type = rows[i].asked ? IKEV2_CP_INTERNAL_IP6_LINK
								    : IKEV2_CP_INTERNAL_IP6_PREFIX,
				.valid = true,
				.value = rows[i].link};
		ike_cp_read(&request, &st);
		assert_true(st.want_prefix);
		assert_int_equal(st.link, rows[i].asked);
		assert_int_equal(ip_eq(&st.hint_prefix, &lease.addr), rows[i].id);
		wire_build_begin(&b, buf, sizeof(buf));
		ike_cp_reply(&b, &st, &conn, &lease, 1);
		assert_int_equal(wire_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
		assert_int_equal(wire_cp_parse(m.cp, &cp), WIRE_OK);
		const struct wire_cp_attr *a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_PREFIX);
		assert_non_null(a);
		assert_int_equal(a->value.len, 17);
		assert_int_equal(a->prefix_bits, 56);
		assert_true(ip_eq(&a->addr, &lease.addr));
		assert_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_ADDRESS));
		a = wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_LINK);
		assert_int_equal(a != NULL, rows[i].asked);
		if (!a)
			continue;
		assert_int_equal(a->value.len, sizeof(link));
		assert_memory_equal(a->value.p + 8, link + 8, 16);
		assert_int_equal(memcmp(a->value.p, one, 8) != 0, rows[i].same_iid);
	}
}

// Lengths that these attributes may have.
static void lengths(void **state)
{
	static const struct {
		uint16_t type;
		uint8_t len;
		bool valid;
	} rows[] = {
		{IKEV2_CP_INTERNAL_IP6_PREFIX, 0, true},
		{IKEV2_CP_INTERNAL_IP6_PREFIX, 16, false},
		{IKEV2_CP_INTERNAL_IP6_PREFIX, 17, true},
		{IKEV2_CP_INTERNAL_IP6_PREFIX, 18, false},
		{IKEV2_CP_INTERNAL_IP6_LINK, 0, true},
		{IKEV2_CP_INTERNAL_IP6_LINK, 7, false},
		{IKEV2_CP_INTERNAL_IP6_LINK, 8, true},
		{IKEV2_CP_INTERNAL_IP6_LINK, 9, true},
		{IKEV2_CP_INTERNAL_IP6_LINK, 200, true},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t body[4 + 4 + 200] = {IKEV2_CP_REQUEST};
		struct wire_cp cp;
		body[5] = (uint8_t)rows[i].type;
		body[7] = rows[i].len;
		assert_int_equal(
			wire_cp_parse((struct view){body, 8u + rows[i].len}, &cp), WIRE_OK);
		assert_int_equal(cp.count, 1);
		assert_int_equal(cp.attrs[0].valid, rows[i].valid);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(networks),
		cmocka_unit_test(lengths),
		cmocka_unit_test(domain_and_version_only_where_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
