// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What an IKEv1 client is told by Mode Configuration.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"

static uint8_t out_bytes[8192];

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(text, false, &p), 0);
	return p;
}

static char *str(const char *s)
{
	return (char *)(uintptr_t)s;
}

struct policy {
	struct ip_addr dns[2], nbns[1], dhcp[1];
	struct cfg_pool pool4, pool6;
	struct ip_prefix include[3], lan[1];
	char *domains[2], *backups[2];
	struct cfg_child child;
	struct cfg_connection conn;
	struct lease leases[2];
};

static void policy_init(struct policy *p)
{
	*p = (struct policy){
		.dns = {addr("9.9.9.9"), addr("2001:db8::53")},
		.nbns = {addr("10.0.0.5")},
		.dhcp = {addr("10.0.0.6")},
		.include = {prefix("10.99.0.0/24"), prefix("10.0.0.0/9"),
			prefix("2001:db8:99::/48")},
		.lan = {prefix("192.168.1.0/24")},
		.domains = {str("corp.example"), str("lab.example")},
		.backups = {str("gw2.example"), str("192.0.2.9")},
		.child = {.pfs = CFG_PFS_REQUIRED},
	};
	p->pool4 = (struct cfg_pool){.dns = p->dns,
		.dns_count = 2,
		.nbns = p->nbns,
		.nbns_count = 1,
		.dhcp = p->dhcp,
		.dhcp_count = 1,
		.domain = str("corp.example"),
		.netmask = addr("255.255.255.0")};
	p->conn = (struct cfg_connection){.split_include = p->include,
		.split_include_count = 3,
		.local_lan = p->lan,
		.local_lan_count = 1,
		.split_dns = {p->domains, 2},
		.backup_servers = {p->backups, 2},
		.banner = str("welcome"),
		.save_password = true,
		.children = &p->child,
		.child_count = 1};
	p->leases[0] = (struct lease){.pool = &p->pool4, .addr = addr("10.1.0.7"), .prefix_len = 32};
	p->leases[1] = (struct lease){.pool = &p->pool6, .addr = addr("2001:db8:77::7"), .prefix_len = 128};
}

// A request for these types, each empty; count 0: a push.
static void tell(struct policy *p, const uint16_t *types, size_t count, bool unity, uint8_t leases,
	struct ikev1_cfg *out)
{
	struct ikev1_cfg request = {.type = IKEV1_CFG_REQUEST, .count = (uint8_t)count};
	struct ikev1_asked asked;
	struct wire_builder b;
	struct ikev1_message m;
	for (size_t i = 0; i < count; i++)
		request.attrs[i].type = types[i];
	ikev1_asked_read(&request, &asked);
	struct ikev1_told told = {.conn = &p->conn,
		.leases = p->leases,
		.lease_count = leases,
		.asked = count ? &asked : NULL,
		.unity = unity,
		.expiry_s = 3600};
	wire_build_begin(&b, out_bytes, sizeof(out_bytes));
	ikev1_open_cfg(&b, IKEV1_CFG_REPLY, 1);
	ikev1_put_told(&b, &told);
	wire_close(&b);
	assert_int_equal(ikev1_message_parse(wire_build_done(&b), b.first, &m), WIRE_OK);
	assert_int_equal(ikev1_cfg_parse(m.attributes, out), WIRE_OK);
}

static const struct ikev1_attr *need(const struct ikev1_cfg *c, uint16_t type)
{
	const struct ikev1_attr *a = ikev1_cfg_find(c, type);
	assert_non_null(a);
	return a;
}

#define expect_bytes(c, type, bytes)                                         \
	do {                                                                 \
		const struct ikev1_attr *at_ = need(c, type);                \
		assert_false(at_->basic);                                    \
		assert_int_equal(at_->value.len, sizeof(bytes) - 1);         \
		assert_memory_equal(at_->value.p, bytes, sizeof(bytes) - 1); \
	} while (0)

// What vpnc asks for, and how strictly it reads the answer: addresses of four bytes, PFS as TV,
// SPLIT_INCLUDE of entries of 14 bytes.
static void as_vpnc_asks(void **state)
{
	static const uint16_t types[] = {IKEV1_CFG_IP4_ADDRESS, IKEV1_CFG_IP4_NETMASK,
		IKEV1_CFG_IP4_DNS, IKEV1_CFG_IP4_NBNS, IKEV1_CFG_UNITY_DEFAULT_DOMAIN,
		IKEV1_CFG_UNITY_FW_TYPE, IKEV1_CFG_UNITY_PFS, IKEV1_CFG_UNITY_BANNER,
		IKEV1_CFG_UNITY_SAVE_PASSWORD, IKEV1_CFG_UNITY_SPLIT_INCLUDE,
		IKEV1_CFG_UNITY_SPLIT_DNS, IKEV1_CFG_UNITY_DDNS_HOSTNAME,
		IKEV1_CFG_APPLICATION_VERSION};
	static struct policy p;
	static struct ikev1_cfg c;
	policy_init(&p);
	p.pool4.dns_count = 1;
	tell(&p, types, sizeof(types) / sizeof(types[0]), true, 1, &c);
	expect_bytes(&c, IKEV1_CFG_IP4_ADDRESS, "\x0a\x01\x00\x07");
	expect_bytes(&c, IKEV1_CFG_IP4_NETMASK, "\xff\xff\xff\x00");
	expect_bytes(&c, IKEV1_CFG_IP4_DNS, "\x09\x09\x09\x09");
	expect_bytes(&c, IKEV1_CFG_IP4_NBNS, "\x0a\x00\x00\x05");
	expect_bytes(&c, IKEV1_CFG_UNITY_DEFAULT_DOMAIN, "corp.example");
	expect_bytes(&c, IKEV1_CFG_UNITY_BANNER, "welcome");
	expect_bytes(&c, IKEV1_CFG_UNITY_SPLIT_DNS, "corp.example,lab.example");
	expect_bytes(&c, IKEV1_CFG_UNITY_BACKUP_SERVERS, "gw2.example,192.0.2.9");
	expect_bytes(&c, IKEV1_CFG_UNITY_SPLIT_INCLUDE,
		"\x0a\x63\x00\x00\xff\xff\xff\x00\0\0\0\0\0\0"
		"\x0a\x00\x00\x00\xff\x80\x00\x00\0\0\0\0\0\0");
	expect_bytes(&c, IKEV1_CFG_UNITY_LOCAL_LAN, "\xc0\xa8\x01\x00\xff\xff\xff\x00\0\0\0\0\0\0");
	const struct ikev1_attr *pfs = need(&c, IKEV1_CFG_UNITY_PFS);
	assert_true(pfs->basic);
	assert_memory_equal(pfs->value.p, "\x00\x01", 2);
	const struct ikev1_attr *save = need(&c, IKEV1_CFG_UNITY_SAVE_PASSWORD);
	assert_true(save->basic);
	assert_memory_equal(save->value.p, "\x00\x01", 2);
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_FW_TYPE));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_DDNS_HOSTNAME));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_IP4_SUBNET));
}

// Cisco's attributes are for who knows them, or asks for that very one.
static void unity_only_where_wanted(void **state)
{
	static const uint16_t plain[] = {IKEV1_CFG_IP4_ADDRESS};
	static const uint16_t banner[] = {IKEV1_CFG_IP4_ADDRESS, IKEV1_CFG_UNITY_BANNER};
	static struct policy p;
	static struct ikev1_cfg c;
	policy_init(&p);
	tell(&p, plain, 1, false, 1, &c);
	for (uint8_t i = 0; i < c.count; i++)
		assert_true(c.attrs[i].type < IKEV1_CFG_UNITY_BANNER);
	tell(&p, banner, 2, false, 1, &c);
	expect_bytes(&c, IKEV1_CFG_UNITY_BANNER, "welcome");
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_PFS));
	tell(&p, NULL, 0, true, 1, &c);
	need(&c, IKEV1_CFG_UNITY_BANNER);
	p.conn.banner = str("");
	p.conn.split_dns.count = p.conn.split_include_count = 0;
	tell(&p, NULL, 0, true, 1, &c);
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_BANNER));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_SPLIT_DNS));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_UNITY_SPLIT_INCLUDE));
}

static void answers_where_asked(void **state)
{
	static const uint16_t types[] = {IKEV1_CFG_IP4_ADDRESS, IKEV1_CFG_IP6_ADDRESS,
		IKEV1_CFG_IP4_SUBNET, IKEV1_CFG_IP6_SUBNET, IKEV1_CFG_IP4_DHCP,
		IKEV1_CFG_SUPPORTED_ATTRIBUTES, IKEV1_CFG_ADDRESS_EXPIRY,
		IKEV1_CFG_APPLICATION_VERSION};
	static struct policy p;
	static struct ikev1_cfg c;
	policy_init(&p);
	tell(&p, types, sizeof(types) / sizeof(types[0]), false, 2, &c);
	expect_bytes(&c, IKEV1_CFG_IP6_ADDRESS, "\x20\x01\x0d\xb8\x00\x77\0\0\0\0\0\0\0\0\0\x07");
	expect_bytes(&c, IKEV1_CFG_IP6_DNS, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x53");
	expect_bytes(&c, IKEV1_CFG_IP4_SUBNET, "\x0a\x63\x00\x00\xff\xff\xff\x00");
	expect_bytes(&c, IKEV1_CFG_IP6_SUBNET, "\x20\x01\x0d\xb8\x00\x99\0\0\0\0\0\0\0\0\0\0\x30");
	expect_bytes(&c, IKEV1_CFG_IP4_DHCP, "\x0a\x00\x00\x06");
	expect_bytes(&c, IKEV1_CFG_ADDRESS_EXPIRY, "\x00\x00\x0e\x10");
	expect_bytes(&c, IKEV1_CFG_APPLICATION_VERSION, "sallyport");
	const struct ikev1_attr *a = need(&c, IKEV1_CFG_SUPPORTED_ATTRIBUTES);
	assert_int_equal(a->value.len % 2, 0);
	assert_memory_equal(a->value.p, "\x00\x01\x00\x02", 4);
	tell(&p, NULL, 0, false, 2, &c);
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_IP4_SUBNET));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_IP4_DHCP));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_ADDRESS_EXPIRY));
	assert_null(ikev1_cfg_find(&c, IKEV1_CFG_APPLICATION_VERSION));
	need(&c, IKEV1_CFG_IP4_DNS);
}

// Without a lease there is nothing to tell of its pool.
static void nothing_leased(void **state)
{
	static const uint16_t types[] = {
		IKEV1_CFG_IP4_ADDRESS, IKEV1_CFG_IP4_DNS, IKEV1_CFG_ADDRESS_EXPIRY};
	static struct policy p;
	static struct ikev1_cfg c;
	policy_init(&p);
	tell(&p, types, 3, false, 0, &c);
	assert_int_equal(c.count, 0);
}

static void wishes(void **state)
{
	static const uint8_t v4[4] = {10, 1, 0, 3}, zero[4], other[4] = {10, 1, 0, 4},
			     v6[16] = {0x20};
	static const struct {
		struct ikev1_attr attrs[2];
		struct ip_addr v4, v6;
	} cases[] = {
		{{{IKEV1_CFG_IP4_ADDRESS, false, {v4, 4}}}, {IP_V4, {10, 1, 0, 3}}, {0}},
		{{{IKEV1_CFG_IP4_ADDRESS, false, {v4, 4}},
			 {IKEV1_CFG_IP4_ADDRESS, false, {other, 4}}},
			{IP_V4, {10, 1, 0, 3}}, {0}},
		{{{IKEV1_CFG_IP4_ADDRESS, false, {NULL, 0}}}, {0}, {0}},
		{{{IKEV1_CFG_IP4_ADDRESS, false, {zero, 4}}}, {0}, {0}},
		{{{IKEV1_CFG_IP4_ADDRESS, false, {v6, 16}}}, {0}, {0}},
		{{{IKEV1_CFG_IP4_ADDRESS, true, {v4, 2}}}, {0}, {0}},
		{{{IKEV1_CFG_IP6_ADDRESS, false, {v6, 16}}}, {0}, {IP_V6, {0x20}}},
		{{{IKEV1_CFG_IP6_ADDRESS, false, {v4, 4}}}, {0}, {0}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ikev1_cfg c = {.count = cases[i].attrs[1].type ? 2 : 1};
		struct ikev1_asked asked;
		memcpy(c.attrs, cases[i].attrs, sizeof(cases[i].attrs));
		ikev1_asked_read(&c, &asked);
		assert_true(ip_eq(&asked.hint_v4, &cases[i].v4));
		assert_true(ip_eq(&asked.hint_v6, &cases[i].v6));
		assert_true(ikev1_asked_for(&asked, cases[i].attrs[0].type));
		assert_false(ikev1_asked_for(&asked, IKEV1_CFG_UNITY_PFS));
		assert_false(ikev1_asked_for(&asked, 0x7fff));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_vpnc_asks),
		cmocka_unit_test(unity_only_where_wanted),
		cmocka_unit_test(answers_where_asked),
		cmocka_unit_test(nothing_leased),
		cmocka_unit_test(wishes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
