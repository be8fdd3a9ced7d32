// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The management socket itself: who may connect, requests that are none, clients that misbehave.
#include "tests/unit/mgmt_fixture.h"

#include <time.h>

static void test_modes(void **state)
{
	struct fake *f = *state;
	char path[96];
	struct stat st;
	assert_int_equal(stat(f->dir, &st), 0);
	assert_int_equal(st.st_mode & 0027, 0);
	snprintf(path, sizeof(path), "%s/" MGMT_SOCKET, f->dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void test_one_process_a_directory(void **state)
{
	struct fake *f = *state;
	struct mgmt_provider p = {.clock = &fake_clock};
	struct mgmt *second = NULL;
	assert_int_equal(mgmt_new(f->dir, &p, f->wake_fd, &second), -EBUSY);
	assert_null(second);
	json_decref(show(f, "status")); // the first one's socket is still there
}

static void test_bad_requests(void **state)
{
	static const char *const bad[] = {
		"\n",
		"nonsense\n",
		"[]\n",
		"5\n",
		"{}\n",
		"{\"command\":5}\n",
		"{\"command\":\"reboot\"}\n",
		"{\"command\":\"show\"}\n",
		"{\"command\":\"show\",\"what\":\"everything\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\"}\n",
		"{\"command\":\"clear\",\"what\":\"pool\",\"by\":\"all\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\",\"value\":\"1\"}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"id\",\"value\":-1}\n",
		"{\"command\":\"clear\",\"what\":\"session\",\"by\":\"user\",\"value\":\"\"}\n",
		("{\"command\":\"clear\",\"what\":\"session\",\"by\":\"address\","
		 "\"value\":\"10.0.0.0/8\"}\n"),
		"{\"command\":\"initiate\"}\n",
		"{\"command\":\"initiate\",\"connection\":\"\",\"address\":\"192.0.2.1\"}\n",
		"{\"command\":\"initiate\",\"connection\":\"c\",\"address\":\"somewhere\"}\n",
		"{\"command\":\"initiate\",\"connection\":\"c\",\"address\":5}\n",
		"{\"command\":\"rekey\"}\n",
		"{\"command\":\"rekey\",\"session\":0}\n",
		"{\"command\":\"rekey\",\"session\":\"1\"}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":1}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":\"0x\"}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":\"\"}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":\"0x0\"}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":\"0x1g\"}\n",
		"{\"command\":\"rekey\",\"session\":1,\"spi\":\"0x123456789\"}\n",
		"{\"command\":\"reauthenticate\",\"session\":-1}\n",
	};
	struct fake *f = *state;
	int fd = dial(f);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		say(fd, bad[i]);
		json_t *j = hear(fd); // the connection stays usable
		assert_non_null(json_object_get(j, "error"));
		json_decref(j);
	}
	close(fd);
	const char *name;
	uint64_t value;
	assert_true(mgmt_counter(f->mgmt, 1, &name, &value));
	assert_string_equal(name, "mgmt_bad_requests");
	assert_int_equal(value, sizeof(bad) / sizeof(bad[0]));
	assert_false(mgmt_counter(f->mgmt, 4, &name, &value));
}

static void test_request_too_long(void **state)
{
	char text[MGMT_REQUEST_MAX + 1];
	memset(text, ' ', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	int fd = dial(*state);
	say(fd, text);
	json_t *j = hear(fd);
	check_json(j, "{\"error\":\"the request is too long\"}");
	json_decref(j);
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0); // and it is closed
	close(fd);
}

static void test_several_requests_in_one_write(void **state)
{
	int fd = dial(*state);
	say(fd, "{\"command\":\"show\",\"what\":\"status\"}\n"
		"{\"command\":\"show\",\"what\":\"pools\"}\n{\"command\":\"show\"");
	json_t *j = hear(fd);
	assert_non_null(json_object_get(j, "status"));
	json_decref(j);
	j = hear(fd);
	assert_non_null(json_object_get(j, "pools"));
	json_decref(j);
	say(fd, ",\"what\":\"ports\"}\n");
	j = hear(fd);
	assert_non_null(json_object_get(j, "ports"));
	json_decref(j);
	close(fd);
}

static void test_half_closed_client_gets_its_reply(void **state)
{
	int fd = dial(*state);
	say(fd, "{\"command\":\"show\",\"what\":\"status\"}\n");
	shutdown(fd, SHUT_WR);
	json_t *j = hear(fd);
	assert_non_null(json_object_get(j, "status"));
	json_decref(j);
	char byte;
	assert_int_equal(recv(fd, &byte, 1, 0), 0);
	close(fd);
}

// A client that asks for a long list and reads nothing costs a bounded number of portions, and
// others are served meanwhile.
static void test_client_that_never_reads(void **state)
{
	struct fake *f = *state;
	f->sessions = 100000;
	int deaf = dial(f);
	say(deaf, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
	unsigned before = 0;
	for (int i = 0; i < 50; i++) {
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		unsigned now = atomic_load(&f->portions);
		if (now == before && now)
			break;
		before = now;
	}
	assert_true(atomic_load(&f->portions) < 100);
	json_decref(show(f, "status"));
	close(deaf);
	json_decref(show(f, "status"));
}

static void test_clients_are_bounded(void **state)
{
	struct fake *f = *state;
	int fds[MGMT_CLIENTS_MAX];
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++) {
		fds[i] = dial(f);
		say(fds[i], "{\"command\":\"show\",\"what\":\"status\"}\n");
		json_decref(hear(fds[i]));
	}
	int extra = dial(f);
	char byte;
	assert_int_equal(recv(extra, &byte, 1, 0), 0);
	close(extra);
	for (size_t i = 0; i < MGMT_CLIENTS_MAX; i++)
		close(fds[i]);
	json_t *j = NULL;
	for (int i = 0; i < 20 && !j; i++) {
		int fd = dial(f);
		if (send(fd, "{\"command\":\"show\",\"what\":\"status\"}\n", 36, MSG_NOSIGNAL) > 0)
			j = hear(fd);
		close(fd);
	}
	assert_non_null(j);
	json_decref(j);
}

// The client goes while the control thread has its question: nothing leaks, nothing is used twice.
static void test_client_goes_with_a_call_in_flight(void **state)
{
	struct fake *f = *state;
	atomic_store(&f->paused, true);
	for (int i = 0; i < 4; i++) {
		int fd = dial(f);
		say(fd, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
		nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
		close(fd);
	}
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	atomic_store(&f->paused, false);
	json_decref(show(f, "status"));
}

static void test_stop_with_a_call_in_flight(void **state)
{
	struct fake *f = *state;
	atomic_store(&f->paused, true);
	int fd = dial(f);
	say(fd, "{\"command\":\"show\",\"what\":\"sessions\"}\n");
	nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_one_process_a_directory),
		TEST(test_bad_requests),
		TEST(test_request_too_long),
		TEST(test_several_requests_in_one_write),
		TEST(test_half_closed_client_gets_its_reply),
		TEST(test_client_that_never_reads),
		TEST(test_clients_are_bounded),
		TEST(test_client_goes_with_a_call_in_flight),
		TEST(test_stop_with_a_call_in_flight),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
