// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Many connections that let packets by in clear: one list finds the connection, whichever it is.
#include "config/config.h"
#include "config/loader.h"
#include "dataplane/policy.h"
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define MANY 1024

static struct cfg_connection connections[MANY];
static struct cfg_rule rules[MANY];
static struct selector remote[MANY];

// Each lets by what is for its own site, and one in three the same as all of its kind.
static void set_connections(struct cfg *c)
{
	for (size_t i = 0; i < MANY; i++) {
		char text[40];
		if (i % 3)
			snprintf(text, sizeof(text), "203.%zu.%zu.0/24[icmp]", i / 200, i % 200);
		else
			snprintf(text, sizeof(text), "203.0.113.0/24[udp]");
		assert_int_equal(selector_parse(text, &remote[i]), 0);
		rules[i] = (struct cfg_rule){.action = CFG_BYPASS,
			.direction = CFG_BOTH,
			.remote = &remote[i],
			.remote_count = 1};
		connections[i] = (struct cfg_connection){
			.index = (uint16_t)i, .policy = &rules[i], .policy_count = 1};
	}
	c->connections = connections;
	c->connection_count = MANY;
}

static bool lets_in(const char *src, uint8_t proto)
{
	uint8_t p[256];
	struct ip_info ip;
	size_t n = fx_ipv4(p, src, EC_HOST, proto, 48);
	assert_int_equal(ip_parse_packet(p, (uint32_t)n, false, &ip), DP_DROP_NONE);
	uint64_t begin = rte_rdtsc();
	bool yes = dp_policy_lets_in(fx.dp->workers[0], p, &ip);
	for (int i = 0; i < 99; i++)
		assert_int_equal(dp_policy_lets_in(fx.dp->workers[0], p, &ip), yes);
	print_message("# %s: %llu cycles\n", src, (unsigned long long)(rte_rdtsc() - begin) / 100);
	return yes;
}

static void many_that_bypass(void **state)
{
	static const struct {
		const char *src;
		uint8_t proto;
		bool passes;
	} rows[] = {
		{"203.0.113.9", PROTO_UDP, true},
		{"203.0.113.9", PROTO_TCP, false},
		{"203.0.1.9", PROTO_ICMP, true},  // of connection 1
		{"203.0.3.9", PROTO_ICMP, false}, // of none
		{"203.5.22.9", PROTO_ICMP, true}, // of 1022
		{"203.5.22.9", PROTO_UDP, false},
		{"198.18.0.9", PROTO_ICMP, false},
	};
	struct dp_policies *own = fx.dp->policies, *many;
	bool bypass = fx.dp->bypass;
	struct cfg c = fx.cfg;
	(void)state;
	set_connections(&c);
	assert_int_equal(dp_policy_new(&c, &many), 0);
	fx.dp->policies = many;
	fx.dp->bypass = dp_policy_clear(many);
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		assert_int_equal(lets_in(rows[i].src, rows[i].proto), rows[i].passes);
	fx.dp->policies = own;
	fx.dp->bypass = bypass;
	dp_policy_free(many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(many_that_bypass, ec_start_one, ec_stop),
	};
	fx_eal();
	return cmocka_run_group_tests_name("policy_many", tests, NULL, NULL);
}
