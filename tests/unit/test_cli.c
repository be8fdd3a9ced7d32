// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "app/cli.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <pthread.h>

// A line of words as the compact request, or as the message on failure.
static char *request_of(const char *text)
{
	char line[256], *words[CLI_WORDS_MAX], *message = NULL;
	size_t len;
	snprintf(line, sizeof(line), "%s", text);
	int count = cli_split(line, words);
	assert_true(count >= 0);
	FILE *errors = open_memstream(&message, &len);
	json_t *j = cli_request(words, (size_t)count, errors);
	fclose(errors);
	if (!j)
		return message;
	free(message);
	char *s = json_dumps(j, JSON_COMPACT);
	json_decref(j);
	return s;
}

static void test_requests(void **state)
{
	static const struct {
		const char *line, *want;
	} cases[] = {
		{"show sessions", "{\"command\":\"show\",\"what\":\"sessions\"}"},
		{"  show\tsa  # why not", "{\"command\":\"show\",\"what\":\"sa\"}"},
		{"clear session 17", "{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\","
				     "\"value\":17}"},
		{"clear session user a\"b", "{\"command\":\"clear\",\"what\":\"session\","
					    "\"by\":\"user\",\"value\":\"a\\\"b\"}"},
		{"clear session address 2001:db8::1",
			"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"address\","
			"\"value\":\"2001:db8::1\"}"},
		{"clear session all",
			"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"all\"}"},
		{"initiate branch 198.51.100.7",
			"{\"command\":\"initiate\",\"connection\":\"branch\","
			"\"address\":\"198.51.100.7\"}"},
		{"initiate branch", "{\"command\":\"initiate\",\"connection\":\"branch\"}"},
		{"rekey 5", "{\"command\":\"rekey\",\"session\":5}"},
		{"rekey 5 0a0b0C0d",
			"{\"command\":\"rekey\",\"session\":5,\"spi\":\"0x0a0b0C0d\"}"},
		{"rekey 5 0x1", "{\"command\":\"rekey\",\"session\":5,\"spi\":\"0x1\"}"},
		{"reauthenticate 12", "{\"command\":\"reauthenticate\",\"session\":12}"},
		{"trace start", "{\"command\":\"trace\",\"what\":\"start\"}"},
		{"trace start --match host 10.1.0.5 and udp --count 20 --whole",
			"{\"command\":\"trace\",\"what\":\"start\","
			"\"match\":\"host 10.1.0.5 and udp\",\"count\":20,\"whole\":true}"},
		{"trace stop", "{\"command\":\"trace\",\"what\":\"stop\"}"},
		{"trace show", "{\"command\":\"trace\",\"what\":\"show\"}"},
		{"trace save a.pcapng", "{\"command\":\"trace\",\"what\":\"save\","
					"\"bytes\":true,\"file\":\"a.pcapng\"}"},
		{"show connections", "{\"command\":\"show\",\"what\":\"connections\"}"},
		{"show pools", "{\"command\":\"show\",\"what\":\"pools\"}"},
		{"show pools leases", NULL},
		{"show pools ire leases",
			"{\"command\":\"show\",\"what\":\"leases\",\"pool\":\"ire\"}"},
		{"show pools leases leases --owner a@b --state active",
			"{\"command\":\"show\",\"what\":\"leases\",\"owner\":\"a@b\","
			"\"state\":\"active\",\"pool\":\"leases\"}"},
		{"show pools ire leases --state", NULL},
		{"show pools ire leases --limit 5", NULL},
		{"clear lease 10.0.0.5", "{\"command\":\"clear\",\"what\":\"lease\","
					 "\"address\":\"10.0.0.5\"}"},
		{"clear lease --pool ire --all", "{\"command\":\"clear\",\"what\":\"lease\","
						 "\"pool\":\"ire\",\"all\":true}"},
		{"clear lease --owner", NULL},
		{"clear lease 10.0.0.5 10.0.0.6", NULL},
		{"reload", "{\"command\":\"reload\"}"},
		{"reload --check", "{\"command\":\"reload\",\"check\":true}"},
		{"reload now", NULL},
		{"leases", NULL},
		{"leases export", "{\"command\":\"leases\",\"what\":\"export\"}"},
		{"leases export --file a.db",
			"{\"command\":\"leases\",\"what\":\"export\",\"file\":\"a.db\"}"},
		{"leases import", NULL},
		{"leases import a.csv --keep-going",
			"{\"command\":\"leases\",\"what\":\"import\",\"keep_going\":true,"
			"\"file\":\"a.csv\"}"},
		{"show sessions detail",
			"{\"command\":\"show\",\"what\":\"sessions\",\"detail\":true}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char *got = request_of(cases[i].line);
		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else
			assert_non_null(strstr(got, "sallyport: "));
		free(got);
	}
}

static void test_wrong_commands(void **state)
{
	static const char *const lines[] = {"show", "show everything", "show sessions now",
		"clear session", "clear session -4", "clear session 0", "clear session 5x",
		"clear session 99999999999999999999", "clear session user", "initiate",
		"initiate a b c", "rekey", "rekey x", "rekey 5 0x", "rekey 5 123456789",
		"rekey 5 0x1 2", "rekey 5 spi", "reauthenticate", "reauthenticate 0", "reboot"};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *got = request_of(lines[i]);
		assert_non_null(strstr(got, "sallyport: "));
		free(got);
	}
}

static void test_too_many_words(void **state)
{
	char line[2 * CLI_WORDS_MAX + 3] = "", *words[CLI_WORDS_MAX];
	for (int i = 0; i < CLI_WORDS_MAX; i++)
		strcat(line, "a ");
	assert_int_equal(cli_split(line, words), CLI_WORDS_MAX);
	memset(line, 'a', sizeof(line) - 1);
	for (int i = 1; i < 2 * CLI_WORDS_MAX; i += 2)
		line[i] = ' ';
	line[sizeof(line) - 1] = '\0';
	assert_int_equal(cli_split(line, words), -1);
}

static void join(void *ctx, const char *word)
{
	strcat(ctx, word);
	strcat(ctx, " ");
}

static void test_completion(void **state)
{
	static const struct {
		size_t done;
		const char *words[4], *prefix, *want;
	} cases[] = {
		{0, {NULL}, "", "show clear initiate rekey reauthenticate reload leases trace "},
		{0, {NULL}, "s", "show "},
		{0, {NULL}, "re", "rekey reauthenticate reload "},
		{1, {"show"}, "s", "sessions sa status "},
		{2, {"show", "sessions"}, "", "detail "},
		{2, {"show", "workers"}, "", "detail "},
		{1, {"clear"}, "", "session lease "},
		{2, {"clear", "lease"}, "--", "--owner --pool --all "},
		{1, {"leases"}, "", "export import "},
		{1, {"reload"}, "", "--check "},
		{3, {"show", "pools", "ire"}, "", "leases "},
		{4, {"show", "pools", "ire", "leases"}, "--o", "--owner "},
		{4, {"show", "pools", "ire", "other"}, "", ""},
		{2, {"clear", "session"}, "", "user address all "},
		{1, {"initiate"}, "", ""},
		{1, {"nothing"}, "", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char got[256] = "", words[4][16];
		char *list[4] = {words[0], words[1], words[2], words[3]};
		for (size_t k = 0; k < cases[i].done; k++)
			snprintf(words[k], sizeof(words[k]), "%s", cases[i].words[k]);
		cli_complete(list, cases[i].done, cases[i].prefix, join, got);
		assert_string_equal(got, cases[i].want);
	}
}

static char *printed_as(const char *reply, bool detail)
{
	char *text = NULL;
	size_t len;
	json_t *j = json_loads(reply, 0, NULL);
	assert_non_null(j);
	FILE *out = open_memstream(&text, &len);
	cli_print(j, detail, out);
	fclose(out);
	json_decref(j);
	return text;
}

static char *printed(const char *reply)
{
	return printed_as(reply, false);
}

// Packet by packet, whatever order the stages of several came in.
static void test_trace_is_told_by_packets(void **state)
{
	static const char row[] = "{\"packet\":%d,\"worker\":%d,\"time_ns\":%d,\"stage\":\"%s\","
				  "\"length\":100,\"port\":%s,\"why\":%s,\"session\":%d,"
				  "\"summary\":\"a > b\"}%s";
	char reply[2048] = "{\"trace\":[";
	size_t n = strlen(reply);
	n += (size_t)snprintf(
		reply + n, sizeof(reply) - n, row, 1, 0, 5000, "rx", "\"out\"", "null", 0, ",");
	n += (size_t)snprintf(
		reply + n, sizeof(reply) - n, row, 2, 0, 6000, "rx", "\"out\"", "null", 0, ",");
	n += (size_t)snprintf(
		reply + n, sizeof(reply) - n, row, 1, 1, 9000, "decrypted", "null", "null", 7, ",");
	n += (size_t)snprintf(reply + n, sizeof(reply) - n, row, 2, 0, 6000, "drop", "null",
		"\"dp_drop_runt\"", 0, "]}");
	char *got = printed(reply);
	const char *first = strstr(got, "packet 1  "), *second = strstr(got, "packet 2  ");
	assert_true(first && second && first < second);
	const char *decrypted = strstr(got, "decrypted"), *drop = strstr(got, "dp_drop_runt");
	assert_true(decrypted && decrypted < second && drop > second);
	assert_non_null(strstr(got, "+     4 us  worker 1  decrypted"));
	assert_non_null(strstr(got, "session 7"));
	free(got);
	got = printed("{\"trace\":[]}");
	assert_string_equal(got, "no packet has been traced\n");
	free(got);
}

static void test_tables_are_aligned(void **state)
{
	char *got = printed(
		"{\"pools\":[{\"name\":\"ire\",\"size\":254,\"free\":250,\"in_use\":3,"
		"\"lingering\":1,\"quarantined\":0,\"reserved\":5,\"high_water\":4,"
		"\"exhausted\":0,\"ranges\":[{\"begin\":\"10.0.0.0\",\"end\":"
		"\"10.0.0.9\"},{\"begin\":\"10.0.1.0\",\"end\":\"10.0.1.255\"}]},"
		"{\"name\":\"a-longer-name\",\"free\":9223372036854775807,\"in_use\":2,"
		"\"lingering\":0,\"quarantined\":0,\"reserved\":0,\"high_water\":2,"
		"\"exhausted\":12,\"ranges\":[{\"begin\":\"2001:db8::\",\"end\":\"2001:db8::"
		"ffff\"}]}]}");
	assert_string_equal(got,
		"POOL           BEGIN       END             FREE  IN USE  LINGERING  QUARANTINED  RESERVED  HIGH WATER  EXHAUSTED\n"
		"ire            10.0.0.0    10.0.0.9         250       3          1            0         5           4          0\n"
		"               10.0.1.0    10.0.1.255                                                                           \n"
		"a-longer-name  2001:db8::  2001:db8::ffff  many       2          0            0         0           2         12\n");
	free(got);
}

static void test_changes_are_told(void **state)
{
	char *got =
		printed("{\"reloaded\":false,\"changes\":[{\"option\":\"pools[0].dns\",\"live\":"
			"true},{\"option\":\"main.idle\",\"live\":false}],\"more_changes\":3,"
			"\"messages\":[\"f:1: warning: x\"],\"error\":\"refused\"}");
	assert_string_equal(got, "f:1: warning: x\npools[0].dns: changed\n"
				 "main.idle: changed, needs a restart\nand 3 more\n");
	free(got);
	got = printed("{\"reloaded\":true,\"changes\":[],\"messages\":[]}");
	assert_string_equal(got, "nothing has changed\n");
	free(got);
	got = printed(
		"{\"reloaded\":true,\"changes\":[{\"option\":\"pools[0].dns\",\"live\":true}],"
		"\"messages\":[]}");
	assert_string_equal(got, "pools[0].dns: changed\nreloaded\n");
	free(got);
	got = printed(
		"{\"reloaded\":false,\"changes\":[{\"option\":\"pools[0].dns\",\"live\":true}],"
		"\"messages\":[]}");
	assert_string_equal(got, "pools[0].dns: changed\ncan be reloaded\n");
	free(got);
}

static void test_peers_cannot_move_the_cursor(void **state)
{
	char *got = printed("{\"sessions\":[{\"id\":1,\"remote_id\":\"a\\u001b[2Jb\","
			    "\"inner_addrs\":[\"171.72.1.7\",\"2001:db8::1\"],"
			    "\"established_s\":3661,\"bytes_in\":123456789}]}");
	assert_null(strchr(got, '\033'));
	assert_non_null(strstr(got, "a?[2Jb"));
	assert_non_null(strstr(got, "171.72.1.7,2001:db8::1"));
	assert_non_null(strstr(got, "1h01m"));
	assert_non_null(strstr(got, "118 M"));
	free(got);
}

static void test_legacy_suites_are_marked(void **state)
{
	char *got = printed("{\"sessions\":[{\"id\":1,\"ike_version\":1,\"user\":\"user1\","
			    "\"group\":\"staff\",\"mode_config\":\"push\","
			    "\"ike\":\"des-md5-modp768\",\"legacy\":true},"
			    "{\"id\":2,\"ike_version\":2,\"ike\":\"aes128-sha256-modp2048\","
			    "\"legacy\":false}]}");
	assert_non_null(strstr(got, "user1  staff"));
	assert_non_null(strstr(got, "push"));
	assert_non_null(strstr(got, "des-md5-modp768 (legacy)\n"));
	assert_non_null(strstr(got, "aes128-sha256-modp2048\n"));
	free(got);
	got = printed("{\"sas\":[{\"session\":1,\"esp\":\"des-md5\",\"legacy\":true}]}");
	assert_non_null(strstr(got, "  des-md5 (legacy)  "));
	free(got);
}

static void test_connections_and_their_tries(void **state)
{
	char *got =
		printed("{\"connections\":[{\"name\":\"branch\",\"ike_versions\":[1,2],"
			"\"role\":\"start\",\"state\":\"retry\",\"peer_addr\":\"192.0.2.7\","
			"\"sessions\":0,\"held\":2,\"attempts\":3,\"next_try_in_s\":8,"
			"\"last_error\":\"no answer\"},{\"name\":\"c\",\"ike_versions\":[2],"
			"\"role\":\"responder-only\",\"state\":\"-\",\"next_try_in_s\":null}]}");
	assert_string_equal(got,
		"CONNECTION  V    ROLE            STATE  PEER       SESSIONS  RULES  ASKED  "
		"ATTEMPTS  NEXT TRY  LAST ERROR\n"
		"branch      1,2  start           retry  192.0.2.7         0      0      2  "
		"       3     0m08s  no answer\n"
		"c           2    responder-only  -      -                 0      0      0  "
		"       0         -  -\n");
	free(got);
}

static void test_roles_and_lifetimes(void **state)
{
	static const char reply[] =
		"{\"sessions\":[{\"id\":1,\"role\":\"responder\",\"responder_only\":true,"
		"\"rekey_in_s\":null,\"expires_in_s\":61,\"inner_addrs\":[],"
		"\"child_sas\":[{\"spi_in\":\"0x00000001\",\"ts_local\":[\"a\",\"b\"]}]},"
		"{\"id\":2,\"role\":\"initiator\",\"remote_id\":\"\\u001b[2J\"}]}";
	char *got = printed(reply);
	assert_non_null(strstr(got, "responder-only"));
	assert_non_null(strstr(got, "initiator"));
	assert_non_null(strstr(got, "     -    1m01s"));
	free(got);
	got = printed_as(reply, true);
	assert_string_equal(got, "id               1\n"
				 "role             responder\n"
				 "responder_only   true\n"
				 "rekey_in_s       -\n"
				 "expires_in_s     61\n"
				 "inner_addrs      -\n"
				 "child_sas 1\n"
				 "    spi_in           0x00000001\n"
				 "    ts_local         a,b\n"
				 "\n"
				 "id               2\n"
				 "role             initiator\n"
				 "remote_id        ?[2J\n");
	free(got);
}

static void test_what_is_not_there_yet_is_a_hyphen(void **state)
{
	char *got = printed("{\"sas\":[{\"session\":1,\"name\":\"\",\"esp\":\"\",\"ts_local\":[],"
			    "\"ts_remote\":[]}]}");
	const char *row = strchr(got, '\n');
	assert_non_null(row);
	// CHILD, REMOTE, both SPIs, ESP, MODE, the four times and counts that are null, the selectors
	assert_string_equal(row,
		"\n      1  -      -       -       -        -    -     0    -      -        -    0   "
		"     0         0         0        0  -      -\n");
	free(got);
}

static void test_counters_leave_out_zeros(void **state)
{
	char *got = printed("{\"counters\":{\"a\":0,\"dp_drop_runt\":7,\"b\":0}}");
	assert_null(strstr(got, "a  "));
	assert_non_null(strstr(got, "dp_drop_runt"));
	assert_non_null(strstr(got, "(2 more are zero)"));
	free(got);
}

struct server {
	int fd;
	const char *reply;
};

// Answers one request with a fixed text and hangs up.
static void *serve(void *arg)
{
	struct server *s = arg;
	char request[256];
	int fd = accept(s->fd, NULL, NULL);
	ssize_t n = recv(fd, request, sizeof(request), 0);
	if (n > 0 && send(fd, s->reply, strlen(s->reply), MSG_NOSIGNAL) < 0)
		abort();
	close(fd);
	return NULL;
}

static json_t *ask_server(const char *reply)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct server s = {socket(AF_UNIX, SOCK_STREAM, 0), reply};
	pthread_t thread;
	snprintf(sun.sun_path, sizeof(sun.sun_path), "/tmp/sallyport-test-cli-%d", getpid());
	assert_int_equal(bind(s.fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	assert_int_equal(listen(s.fd, 1), 0);
	pthread_create(&thread, NULL, serve, &s);
	FILE *errors = fopen("/dev/null", "w");
	json_t *request = json_pack("{ss}", "command", "show");
	json_t *j = cli_ask(sun.sun_path, request, errors);
	json_decref(request);
	fclose(errors);
	pthread_join(thread, NULL);
	close(s.fd);
	unlink(sun.sun_path);
	return j;
}

static void test_ask(void **state)
{
	json_t *j = ask_server("{\"cleared\":3}\n");
	assert_int_equal(json_integer_value(json_object_get(j, "cleared")), 3);
	json_decref(j);
	assert_null(ask_server("{\"cleared\":"));
	assert_null(ask_server("[1]\n"));
	assert_null(ask_server(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_wrong_commands),
		cmocka_unit_test(test_too_many_words),
		cmocka_unit_test(test_completion),
		cmocka_unit_test(test_tables_are_aligned),
		cmocka_unit_test(test_changes_are_told),
		cmocka_unit_test(test_trace_is_told_by_packets),
		cmocka_unit_test(test_peers_cannot_move_the_cursor),
		cmocka_unit_test(test_legacy_suites_are_marked),
		cmocka_unit_test(test_connections_and_their_tries),
		cmocka_unit_test(test_roles_and_lifetimes),
		cmocka_unit_test(test_what_is_not_there_yet_is_a_hyphen),
		cmocka_unit_test(test_counters_leave_out_zeros),
		cmocka_unit_test(test_ask),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
