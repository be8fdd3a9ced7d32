// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is shown, row by row.
#include "tests/unit/mgmt_fixture.h"

static void test_sessions(void **state)
{
	json_t *j = show(*state, "sessions");
	check_json(j,
		"{\"sessions\":[{\"id\":1,\"connection\":\"clients\",\"ike_version\":2,"
		"\"state\":\"established\",\"remote_id\":\"client@example\",\"user\":\"user1\",\"group\":\"staff\",\"mode_config\":\"push\","
		"\"remote_addr\":\"192.0.2.10\",\"remote_port\":40000,\"nat\":true,"
		"\"inner_addrs\":[\"171.72.1.7\",\"2001:db8::1/64\"],\"worker\":1,"
		"\"established_s\":5,\"groups\":[\"staff\",\"of 0\"],\"bytes_in\":300,\"bytes_out\":400,\"packets_in\":3,"
		"\"packets_out\":4,\"policed_in\":5,\"policed_out\":6,\"idle_s\":3,\"ike\":\"aes128gcm16-prfsha256-x25519\",\"legacy\":true,"
		"\"role\":\"initiator\",\"responder_only\":false,\"mobike\":true,"
		"\"rekey_in_s\":60,\"reauth_in_s\":null,\"expires_in_s\":3600,\"path_mtu\":1500,"
		"\"child_sas\":[{\"name\":\"lan\","
		"\"spi_in\":\"0x0a0b0c0d\",\"spi_out\":\"0x00c0ffee\","
		"\"esp\":\"aes128gcm16-esn\",\"mode\":\"tunnel\",\"legacy\":false,\"ts_local\":[\"10.99.0.0/24\"],"
		"\"ts_remote\":[\"171.72.1.7/32\"]}]}]}");
	json_decref(j);
}

static void test_session_states(void **state)
{
	static const struct {
		enum ike_session_state state;
		const char *text;
	} rows[] = {{IKE_SESSION_CONNECTING, "connecting"},
		{IKE_SESSION_ESTABLISHED, "established"}, {IKE_SESSION_REKEYING, "rekeying"},
		{IKE_SESSION_EXPIRED, "expired"}, {IKE_SESSION_DELETING, "deleting"}};
	struct fake *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->state = rows[i].state;
		json_t *j = show(f, "sessions");
		json_t *s = json_array_get(json_object_get(j, "sessions"), 0);
		assert_string_equal(json_string_value(json_object_get(s, "state")), rows[i].text);
		check_json(json_object_get(s, "ike"), f->state == IKE_SESSION_CONNECTING
							      ? "\"\""
							      : "\"aes128gcm16-prfsha256-x25519\"");
		json_decref(j);
	}
}

static void test_no_sessions(void **state)
{
	struct fake *f = *state;
	f->sessions = 0;
	json_t *j = show(f, "sessions");
	check_json(j, "{\"sessions\":[]}");
	json_decref(j);
}

static void test_long_list_comes_in_portions(void **state)
{
	struct fake *f = *state;
	f->sessions = 2000;
	json_t *j = show(f, "sessions");
	json_t *list = json_object_get(j, "sessions");
	assert_int_equal(json_array_size(list), 2000);
	for (size_t i = 0; i < 2000; i++)
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(list, i), "id")), i + 1);
	json_decref(j);
	assert_true(atomic_load(&f->portions) >= 2000 / 128);
}

static void test_roles(void **state)
{
	struct fake *f = *state;
	f->sessions = 2;
	json_t *j = show(f, "sessions");
	json_t *s = json_array_get(json_object_get(j, "sessions"), 1);
	check_json(json_object_get(s, "role"), "\"responder\"");
	check_json(json_object_get(s, "responder_only"), "true");
	check_json(json_object_get(s, "mobike"), "false");
	json_decref(j);
}

static void test_connections(void **state)
{
	json_t *j = show(*state, "connections");
	check_json(j,
		"{\"connections\":[{\"name\":\"clients\",\"ike_versions\":[1,2],"
		"\"role\":\"responder-only\",\"tunnel_interface\":false,\"state\":\"-\","
		"\"peer_addr\":\"\",\"peer_port\":0,\"sessions\":7,\"attempts\":0,"
		"\"next_try_in_s\":null,\"last_error\":\"\",\"held\":0,\"policy_rules\":0,\"client_to_client\":false},"
		"{\"name\":\"branch\",\"ike_versions\":[2],\"role\":\"on-demand\","
		"\"tunnel_interface\":true,\"state\":\"retry\",\"peer_addr\":\"198.51.100.7\","
		"\"peer_port\":500,\"sessions\":0,\"attempts\":3,\"next_try_in_s\":8,"
		"\"last_error\":\"no answer\",\"held\":12,\"policy_rules\":3,\"client_to_client\":true},"
		"{\"name\":\"hub\",\"ike_versions\":[1],\"role\":\"start\","
		"\"tunnel_interface\":false,\"state\":\"up\",\"peer_addr\":\"\",\"peer_port\":0,"
		"\"sessions\":0,\"attempts\":0,\"next_try_in_s\":null,\"last_error\":\"\","
		"\"held\":0,\"policy_rules\":0,\"client_to_client\":false},"
		"{\"name\":\"site\",\"ike_versions\":[2],\"role\":\"responds\","
		"\"tunnel_interface\":false,\"state\":\"-\",\"peer_addr\":\"\",\"peer_port\":0,"
		"\"sessions\":0,\"attempts\":0,\"next_try_in_s\":null,\"last_error\":\"\","
		"\"held\":0,\"policy_rules\":0,\"client_to_client\":false}]}");
	json_decref(j);
}

static void test_sas(void **state)
{
	struct fake *f = *state;
	f->sessions = 1000; // every second one has no child SA
	f->children = 3;
	json_t *j = show(f, "sa");
	json_t *list = json_object_get(j, "sas");
	assert_int_equal(json_array_size(list), 500 * 3);
	json_t *last = json_array_get(list, 1499);
	check_json(json_object_get(last, "session"), "999");
	check_json(json_object_get(last, "spi_in"), "\"0x0a0b0c0d\"");
	check_json(json_object_get(last, "packets_out"), "4");
	check_json(json_object_get(last, "replayed"), "1");
	check_json(json_object_get(last, "esn"), "true");
	check_json(json_object_get(last, "legacy"), "false");
	check_json(json_object_get(last, "installed_s"), "2");
	check_json(json_object_get(last, "rekey_in_s"), "3");
	check_json(json_object_get(last, "expires_in_s"), "0");
	check_json(json_object_get(last, "worker"), "2");
	json_decref(j);
}

static void test_names_that_are_not_utf8(void **state)
{
	struct fake *f = *state;
	f->remote_id = "a\xff\xfe\"b";
	json_t *j = show(f, "sessions");
	json_t *s = json_array_get(json_object_get(j, "sessions"), 0);
	const char *id = json_string_value(json_object_get(s, "remote_id"));
	assert_non_null(id);
	assert_non_null(strstr(id, "\\x"));
	json_decref(j);
}

static void test_pools(void **state)
{
	json_t *j = show(*state, "pools");
	json_t *list = json_object_get(j, "pools");
	assert_int_equal(json_array_size(list), 2);
	json_t *p = json_array_get(list, 0);
	check_json(json_object_get(p, "name"), "\"ire\"");
	check_json(json_object_get(p, "size"), "254");
	check_json(json_object_get(p, "free"), "250");
	check_json(json_object_get(p, "in_use"), "3");
	check_json(json_object_get(p, "lingering"), "1");
	check_json(json_object_get(p, "quarantined"), "2");
	check_json(json_object_get(p, "memory_only"), "3");
	check_json(json_object_get(p, "giver_bad"), "4");
	check_json(json_object_get(p, "ranges"),
		"[{\"begin\":\"10.99.0.0\",\"end\":\"10.99.0.255\"},"
		"{\"begin\":\"171.72.2.0\",\"end\":\"171.72.2.9\"}]");
	check_json(json_object_get(json_array_get(list, 1), "size"), "9223372036854775807");
	json_decref(j);
}

static void test_ports(void **state)
{
	json_t *j = show(*state, "ports");
	check_json(j,
		"{\"ports\":[{\"name\":\"outside\",\"driver\":\"net_tap\",\"link\":true,"
		"\"speed_mbps\":10000,\"mac\":\"02:00:00:00:01:ab\",\"mtu\":1500,"
		"\"socket\":0,\"queues\":2,\"vlan\":10,\"members\":[\"net_tap0\",\"net_tap1\"],"
		"\"removed\":true,\"removals\":3,\"exception\":\"ssh0\",\"exception_to\":11,\"exception_from\":12,"
		"\"rss\":\"by SPI\",\"rss_right\":8,\"rss_wrong\":9,\"rx_packets\":1,\"tx_packets\":2,"
		"\"rx_bytes\":3,\"tx_bytes\":4,\"missed\":5,\"errors\":6,"
		"\"no_mbuf\":7}]}");
	json_decref(j);
}

static void test_workers(void **state)
{
	json_t *j = show(*state, "workers");
	json_t *list = json_object_get(j, "workers");
	assert_int_equal(json_array_size(list), 2);
	check_json(json_object_get(json_array_get(list, 1), "id"), "1");
	check_json(json_object_get(json_array_get(list, 1), "handoff_out"),
		"{\"mispredicted\":0,\"sticky\":9,\"roaming\":0,\"prefix\":0,\"fragment\":0}");
	// Nothing has come to the first one.
	check_json(json_object_get(json_array_get(list, 0), "cycles_per_packet"), "0.0");
	check_json(json_object_get(json_array_get(list, 0), "idle_share"), "0.0");
	check_json(json_object_get(json_array_get(list, 1), "cycles_per_packet"), "250.0");
	check_json(json_object_get(json_array_get(list, 1), "burst_fill"), "1.5");
	check_json(json_object_get(json_array_get(list, 1), "idle_share"), "0.75");
	check_json(json_object_get(json_array_get(list, 1), "stage_cycles"),
		"{\"rx\":0.0,\"classify\":0.0,\"esp_in\":125.0,\"route\":0.0,\"esp_out\":0.0,"
		"\"tx\":0.0,\"other\":0.0}");
	json_decref(j);
}

static void test_counters(void **state)
{
	json_t *j = show(*state, "counters");
	json_t *counters = json_object_get(j, "counters");
	assert_int_equal(json_object_size(counters), 300);
	check_json(json_object_get(counters, "counter_0"), "0");
	check_json(json_object_get(counters, "counter_299"), "2990");
	json_decref(j);
}

static void test_status(void **state)
{
	json_t *j = show(*state, "status");
	json_t *s = json_object_get(j, "status");
	check_json(json_object_get(s, "uptime_s"), "60");
	check_json(json_object_get(s, "sessions"), "7");
	check_json(json_object_get(s, "half_open"), "1");
	check_json(json_object_get(s, "workers"), "2");
	check_json(json_object_get(s, "cookies"), "false");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_sessions),
		TEST(test_session_states),
		TEST(test_no_sessions),
		TEST(test_long_list_comes_in_portions),
		TEST(test_roles),
		TEST(test_connections),
		TEST(test_sas),
		TEST(test_names_that_are_not_utf8),
		TEST(test_pools),
		TEST(test_ports),
		TEST(test_workers),
		TEST(test_counters),
		TEST(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
