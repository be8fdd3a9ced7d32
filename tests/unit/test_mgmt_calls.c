// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is asked for: sessions that end, begin, or get new keys.
#include "tests/unit/mgmt_fixture.h"

static void test_clear(void **state)
{
	struct fake *f = *state;
	json_t *j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\","
			       "\"value\":1}\n");
	check_json(j, "{\"cleared\":1}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ID);
	assert_int_equal(f->clear_id, 1);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"user\","
		       "\"value\":\"user1\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_USER);
	assert_string_equal(f->clear_user, "user1");
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"address\","
		       "\"value\":\"2001:db8::1\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ADDRESS);
	assert_int_equal(f->clear_address.family, IP_V6);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"all\"}\n");
	check_json(j, "{\"cleared\":3}");
	assert_int_equal(f->clear_by, IKE_CLEAR_ALL);
	json_decref(j);

	j = request(f, "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\","
		       "\"value\":99}\n");
	check_json(j, "{\"error\":\"no such session\"}");
	json_decref(j);
}

static void test_initiate(void **state)
{
	struct fake *f = *state;
	struct ip_addr want;
	json_t *j = request(f, "{\"command\":\"initiate\",\"connection\":\"branch\","
			       "\"address\":\"198.51.100.7\"}\n");
	check_json(j, "{\"initiated\":42}");
	assert_int_equal(ip_parse("198.51.100.7", &want), 0);
	assert_true(ip_eq(&f->initiated, &want));
	json_decref(j);
	j = request(f, "{\"command\":\"initiate\",\"connection\":\"other\","
		       "\"address\":\"198.51.100.7\"}\n");
	check_json(j, "{\"error\":\"nobody knows it\"}");
	json_decref(j);
}

static void test_initiate_without_an_address(void **state)
{
	struct fake *f = *state;
	f->initiated.family = IP_V4;
	json_t *j = request(f, "{\"command\":\"initiate\",\"connection\":\"branch\"}\n");
	check_json(j, "{\"initiated\":42}");
	assert_int_equal(f->initiated.family, 0);
	json_decref(j);
}

static void test_rekey(void **state)
{
	struct fake *f = *state;
	json_t *j = request(f, "{\"command\":\"rekey\",\"session\":7,\"spi\":\"0xC0ffee\"}\n");
	check_json(j, "{\"rekeying\":7}");
	assert_int_equal(f->session, 7);
	assert_int_equal(f->child, 0xc0ffee);
	json_decref(j);
	j = request(f, "{\"command\":\"rekey\",\"session\":8}\n");
	check_json(j, "{\"rekeying\":8}");
	assert_int_equal(f->session, 8);
	assert_int_equal(f->child, 0);
	json_decref(j);
	j = request(f, "{\"command\":\"reauthenticate\",\"session\":9}\n");
	check_json(j, "{\"reauthenticating\":9}");
	assert_int_equal(f->session, 9);
	json_decref(j);
}

static void test_trace(void **state)
{
	struct fake *f = *state;
	json_t *j = request(f, "{\"command\":\"trace\",\"what\":\"start\",\"match\":\"udp\","
			       "\"count\":5,\"whole\":true}\n");
	check_json(j, "{\"tracing\":5}");
	assert_int_equal(f->trace.packets, 5);
	assert_true(f->trace.whole);
	json_decref(j);
	j = request(f, "{\"command\":\"trace\",\"what\":\"stop\"}\n");
	check_json(j, "{\"traced\":12}");
	json_decref(j);
	j = request(f, "{\"command\":\"trace\",\"what\":\"show\",\"bytes\":true}\n");
	check_json(j, "{\"trace\":[{\"packet\":1,\"worker\":0,\"time_ns\":1000,\"stage\":\"rx\","
		      "\"length\":60,\"port\":\"outside\",\"why\":null,\"session\":0,"
		      "\"captured\":3,\"framed\":false,\"summary\":\"no IP header\","
		      "\"bytes\":\"4500ab\"},{\"packet\":1,\"worker\":0,\"time_ns\":1001,"
		      "\"stage\":\"drop\",\"length\":60,\"port\":null,\"why\":\"dp_drop_runt\","
		      "\"session\":0,\"captured\":3,\"framed\":false,"
		      "\"summary\":\"no IP header\",\"bytes\":\"4500ab\"}]}");
	json_decref(j);
}

static void test_trace_refusals(void **state)
{
	static const struct {
		int verdict;
		const char *request, *want;
	} rows[] = {
		{-EBUSY, "{\"command\":\"trace\",\"what\":\"start\"}\n",
			"a trace runs already: stop it first"},
		{-ENOENT, "{\"command\":\"trace\",\"what\":\"stop\"}\n", "no trace runs"},
		{0, "{\"command\":\"trace\",\"what\":\"start\",\"count\":0}\n",
			"a trace is of 1 to 10000 packets"},
		{0, "{\"command\":\"trace\",\"what\":\"start\",\"match\":7}\n",
			"match what? an expression as in pcap-filter(7)"},
		{0, "{\"command\":\"trace\"}\n", "trace: start, stop or show"},
	};
	struct fake *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->verdict = rows[i].verdict;
		json_t *j = request(f, rows[i].request);
		assert_string_equal(json_string_value(json_object_get(j, "error")), rows[i].want);
		json_decref(j);
	}
	json_t *j =
		request(f, "{\"command\":\"trace\",\"what\":\"start\",\"match\":\"host and\"}\n");
	assert_non_null(strstr(json_string_value(json_object_get(j, "error")), "not a filter"));
	json_decref(j);
}

static void test_refusals_say_why(void **state)
{
	static const struct {
		int verdict;
		const char *request, *want;
	} rows[] = {
		{-EPERM, "{\"command\":\"rekey\",\"session\":7}\n", "the connection only responds"},
		{-EBUSY, "{\"command\":\"rekey\",\"session\":7}\n",
			"the session is busy with another exchange, try again"},
		{-ENOENT, "{\"command\":\"rekey\",\"session\":7}\n",
			"no such session, or it is not established"},
		{-ENOENT, "{\"command\":\"rekey\",\"session\":7,\"spi\":\"0x1\"}\n",
			"no such session, or it has no child SA with this SPI"},
		{-ENOTSUP, "{\"command\":\"reauthenticate\",\"session\":7}\n",
			"this is for the peer to begin"},
		{-ENOMEM, "{\"command\":\"reauthenticate\",\"session\":7}\n", "no memory"},
		{-EIO, "{\"command\":\"reauthenticate\",\"session\":7}\n", "refused"},
	};
	struct fake *f = *state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		f->verdict = rows[i].verdict;
		json_t *j = request(f, rows[i].request);
		assert_string_equal(json_string_value(json_object_get(j, "error")), rows[i].want);
		json_decref(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_clear),
		TEST(test_initiate),
		TEST(test_initiate_without_an_address),
		TEST(test_rekey),
		TEST(test_refusals_say_why),
		TEST(test_trace),
		TEST(test_trace_refusals),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
