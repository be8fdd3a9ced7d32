// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases and reloads by the management socket.
#include "tests/unit/mgmt_fixture.h"

#define SHOW "{\"command\":\"show\",\"what\":\"leases\","

static void a_row_says_all(void **state)
{
	struct fake *f = *state;
	f->leases = 2;
	json_t *j = request(f, SHOW "\"pool\":\"ire\"}\n");
	json_t *list = json_object_get(j, "leases");
	assert_int_equal(json_array_size(list), 2);
	for (size_t i = 0; i < 2; i++) {
		json_t *row = json_array_get(list, i);
		assert_true(json_integer_value(json_object_get(row, "since")) > 1000000000);
		json_object_del(row, "since");
		json_object_del(row, "until");
	}
	check_json(json_array_get(list, 0),
		"{\"address\":\"10.0.0.0\",\"prefix_length\":32,\"state\":\"lingering\",\"owner\":\"b,1\","
		"\"session\":null,\"since_s\":9,\"until_s\":60,\"origin\":\"pool\",\"anonymous\":false,"
		"\"reserved\":false}");
	check_json(json_array_get(list, 1),
		"{\"address\":\"10.0.0.1\",\"prefix_length\":32,\"state\":\"active\",\"owner\":\"a\","
		"\"session\":7,\"since_s\":9,\"until_s\":null,\"origin\":\"pool\",\"anonymous\":false,"
		"\"reserved\":false}");
	json_decref(j);
}

static void an_export_has_the_keys(void **state)
{
	struct fake *f = *state;
	f->leases = 5;
	json_t *j = request(f, SHOW "\"pool\":\"ire\",\"keys\":true}\n");
	json_t *list = json_object_get(j, "leases");
	for (size_t i = 0; i < 5; i++)
		json_array_remove(json_array_get(list, i), 6); // since
	check_json(json_array_get(list, 0),
		"[\"10.0.0.0\",32,\"lingering\",\"b,1\",\"000261\",\"pool\"]");
	check_json(json_array_get(list, 4), "[\"10.0.0.4\",32,\"active\",\"\",\"\",\"pool\"]");
	json_decref(j);
}

// However many there are, the control thread looks at a few in a turn.
static void many_are_shown_by_portions(void **state)
{
	struct fake *f = *state;
	static const struct {
		const char *filter;
		size_t want;
	} rows[] = {{"", 10000}, {",\"state\":\"lingering\"", 3334}, {",\"state\":\"offered\"", 0},
		{",\"owner\":\"b,1\"", 2667}, {",\"owner\":\"b,1\",\"state\":\"active\"", 0}};
	f->leases = 10000;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), SHOW "\"pool\":\"ire\"%s}\n", rows[i].filter);
		json_t *j = request(f, text);
		assert_int_equal(json_array_size(json_object_get(j, "leases")), rows[i].want);
		assert_null(json_object_get(j, "next"));
		json_decref(j);
	}
	assert_in_range(f->longest, 1, 512);
}

// A pool may have been full once: places count, not leases.
static void places_without_leases_are_passed_by_portions(void **state)
{
	struct fake *f = *state;
	f->leases = 100;
	f->gap = 5000;
	json_t *j = request(f, SHOW "\"pool\":\"ire\"}\n");
	assert_int_equal(json_array_size(json_object_get(j, "leases")), 100);
	json_decref(j);
	assert_in_range(f->most_places, 5000, 8192);
	f->most_places = 0;
	j = request(
		f, "{\"command\":\"clear\",\"what\":\"lease\",\"pool\":\"ire\",\"all\":true}\n");
	json_decref(j);
	assert_int_equal(f->cleared, 100);
	assert_in_range(f->most_places, 5000, 8192);
}

static void pages_are_turned(void **state)
{
	struct fake *f = *state;
	json_int_t cursor = 0;
	size_t got = 0;
	f->leases = 1000;
	for (bool more = true; more; got++) {
		char text[256];
		snprintf(text, sizeof(text),
			SHOW "\"pool\":\"ire\",\"limit\":300,\"cursor\":%lld}\n",
			(long long)cursor);
		json_t *j = request(f, text), *next = json_object_get(j, "next");
		json_t *first = json_array_get(json_object_get(j, "leases"), 0);
		struct ip_addr a;
		assert_int_equal(
			ip_parse(json_string_value(json_object_get(first, "address")), &a), 0);
		assert_int_equal(ip_to_v4(&a) - 0x0a000000, got * 300);
		more = next != NULL;
		cursor = json_integer_value(next);
		json_decref(j);
	}
	assert_int_equal(got, 4);
}

static void wrong_requests(void **state)
{
	static const char *const texts[] = {SHOW "\"pool\":\"\"}\n", SHOW "\"pool\":7}\n",
		"{\"command\":\"show\",\"what\":\"leases\"}\n", SHOW "\"pool\":\"nobody\"}\n",
		SHOW "\"pool\":\"ire\",\"state\":\"free\"}\n",
		SHOW "\"pool\":\"ire\",\"limit\":-1}\n",
		SHOW "\"pool\":\"ire\",\"cursor\":\"x\"}\n",
		"{\"command\":\"clear\",\"what\":\"lease\"}\n",
		"{\"command\":\"clear\",\"what\":\"lease\",\"all\":true}\n",
		"{\"command\":\"clear\",\"what\":\"lease\",\"address\":\"x\"}\n",
		"{\"command\":\"clear\",\"what\":\"lease\",\"address\":\"10.0.0.250\"}\n",
		"{\"command\":\"clear\",\"what\":\"lease\",\"pool\":\"nobody\"}\n",
		"{\"command\":\"import\",\"leases\":[]}\n", "{\"command\":\"import\"}\n",
		"{\"command\":\"import\",\"leases\":[[]]}\n",
		"{\"command\":\"import\",\"leases\":[[\"\",\"10.0.0.1\",33,\"a\",\"00\"]]}\n",
		"{\"command\":\"import\",\"leases\":[[\"\",\"10.0.0.1\",32,\"a\",\"0\"]]}\n",
		"{\"command\":\"import\",\"leases\":[[\"\",\"10.0.0.1\",32,\"a\",\"zz\"]]}\n",
		"{\"command\":\"import\",\"leases\":[[\"\",\"10.0.0.1\",32,\"a\",\"\"]]}\n"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		json_t *j = request(*state, texts[i]);
		assert_non_null(json_object_get(j, "error"));
		json_decref(j);
	}
	assert_int_equal(((struct fake *)*state)->imported, 0);
}

static void leases_are_cleared(void **state)
{
	struct fake *f = *state;
	static const struct {
		const char *what, *pool;
		unsigned want;
	} rows[] = {
		{"\"address\":\"10.0.0.7\"", "-", 1},
		{"\"address\":\"10.0.0.7\",\"pool\":\"ire\"", "ire", 1},
		{"\"pool\":\"ire\"", "ire", 334}, // those that linger
		{"\"pool\":\"ire\",\"all\":true", "ire", 1000},
		{"\"owner\":\"b,1\"", "ire", 267},
		{"\"owner\":\"a\",\"pool\":\"ire\"", "ire", 533},
		{"\"owner\":\"a\",\"pool\":\"ire6\"", "", 0},
	};
	f->leases = 1000;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[256], want[64];
		f->cleared = 0;
		f->cleared_pool[0] = '\0';
		snprintf(text, sizeof(text), "{\"command\":\"clear\",\"what\":\"lease\",%s}\n",
			rows[i].what);
		json_t *j = request(f, text);
		assert_string_equal(f->cleared_pool, rows[i].pool);
		assert_int_equal(f->cleared, rows[i].want);
		// One or another had gone by itself.
		snprintf(want, sizeof(want), "%lld",
			(long long)json_integer_value(json_object_get(j, "cleared")));
		assert_in_range(atoi(want), rows[i].want - rows[i].want / 50, rows[i].want);
		json_decref(j);
	}
	assert_in_range(f->longest, 1, 512);
}

static void leases_are_imported(void **state)
{
	struct fake *f = *state;
	const char *list =
		"[[\"ire\",\"10.0.0.1\",32,\"a\",\"0002FF\"],[\"\",\"10.9.9.9\",0,\"b\",\"00\"],"
		"[\"\",\"10.0.0.3\",0,\"\\u0001\\\"x\",\"0a0b\"]]";
	for (int check = 1; check >= 0; check--) {
		char text[512];
		snprintf(text, sizeof(text),
			"{\"command\":\"import\",\"check\":%s,\"leases\":%s}\n",
			check ? "true" : "false", list);
		json_t *j = request(f, text);
		check_json(j,
			"{\"imported\":2,\"refused\":[[1,\"somebody else has the address, or it is "
			"reserved for somebody else\"]]}");
		json_decref(j);
		assert_int_equal(f->imported, check ? 0 : 2);
		assert_string_equal(f->import_name, "\x01\"x 0a0b /0 -");
	}
}

static void a_reload_takes_its_turns(void **state)
{
	struct fake *f = *state;
	f->reload_turns = 5;
	json_t *j = request(f, "{\"command\":\"reload\"}\n");
	check_json(j,
		"{\"reloaded\":true,\"changes\":[{\"option\":\"pools[0].ranges\",\"live\":true}],"
		"\"more_changes\":0,\"messages\":[\"f:1: warning: nothing\",\"f:2: warning: more\"]}");
	json_decref(j);
	assert_int_equal(atomic_load(&f->reloads), 1);
	j = request(f, "{\"command\":\"reload\",\"check\":true}\n");
	check_json(json_object_get(j, "reloaded"), "false");
	assert_null(json_object_get(j, "error"));
	json_decref(j);
	assert_int_equal(atomic_load(&f->reloads), 1);
	f->reload_error = "nothing is changed";
	j = request(f, "{\"command\":\"reload\"}\n");
	check_json(json_object_get(j, "error"), "\"nothing is changed\"");
	check_json(json_object_get(j, "changes"),
		"[{\"option\":\"pools[0].ranges\",\"live\":true},{\"option\":\"main.idle\",\"live\":false}]");
	json_decref(j);
	assert_int_equal(atomic_load(&f->reloads), 1);
}

static void wait_for(const atomic_uint *n, unsigned want)
{
	for (int i = 0; i < 500 && atomic_load(n) != want; i++)
		usleep(10000);
	assert_int_equal(atomic_load(n), want);
}

// One at a time; who goes away meanwhile does not stop it.
static void one_reload_at_a_time(void **state)
{
	struct fake *f = *state;
	f->reload_turns = 3;
	atomic_store(&f->paused, true);
	int fd = dial(f);
	say(fd, "{\"command\":\"reload\"}\n");
	usleep(50000);
	json_t *j = request(f, "{\"command\":\"reload\"}\n");
	check_json(json_object_get(j, "error"), "\"another reload is under way\"");
	json_decref(j);
	mgmt_reload(f->mgmt); // waits for its turn
	close(fd);
	assert_int_equal(atomic_load(&f->reloads), 0);
	atomic_store(&f->paused, false);
	wait_for(&f->reloads, 2);
	mgmt_reload(f->mgmt);
	wait_for(&f->reloads, 3);
}

static void the_store_is_seen(void **state)
{
	struct fake *f = *state;
	json_t *j = show(f, "status"), *s = json_object_get(j, "status");
	check_json(json_object_get(s, "lease_store"), "\"memory\"");
	assert_null(json_object_get(s, "lease_rows"));
	json_decref(j);
	f->leases = 1;
	j = show(f, "status");
	s = json_object_get(j, "status");
	check_json(json_object_get(s, "lease_store"), "\"embedded\"");
	check_json(json_object_get(s, "lease_rows"), "1");
	check_json(json_object_get(s, "lease_commit_us"), "7");
	check_json(json_object_get(s, "lease_degraded"), "false");
	assert_null(json_object_get(s, "warning"));
	json_decref(j);
	f->leases = 2;
	j = show(f, "status");
	check_json(json_object_get(json_object_get(j, "status"), "warning"),
		"\"leases cannot be written to disk: 5 wait in memory and would be lost with the process\"");
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_row_says_all),
		TEST(an_export_has_the_keys),
		TEST(many_are_shown_by_portions),
		TEST(places_without_leases_are_passed_by_portions),
		TEST(pages_are_turned),
		TEST(wrong_requests),
		TEST(leases_are_cleared),
		TEST(leases_are_imported),
		TEST(a_reload_takes_its_turns),
		TEST(one_reload_at_a_time),
		TEST(the_store_is_seen),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
