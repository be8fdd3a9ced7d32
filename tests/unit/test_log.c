// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/log.h"
#include "base/secret.h"

#include <stdio.h>
#include <unistd.h>

LOG_SUBSYSTEM("test");

// Run fn with stderr in a file; what it wrote comes back in buf.
static size_t captured(void (*fn)(void), char *buf, size_t cap)
{
	FILE *f = tmpfile();
	int saved = dup(STDERR_FILENO);
	assert_non_null(f);
	dup2(fileno(f), STDERR_FILENO);
	fn();
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(f);
	size_t n = fread(buf, 1, cap - 1, f);
	buf[n] = '\0';
	fclose(f);
	return n;
}

static void three_levels(void)
{
	log_error("first %d", 1);
	log_notice("second");
	log_debug("hidden");
}

static void through_the_thread(void)
{
	assert_int_equal(log_start(), 0);
	for (int i = 0; i < 1000; i++)
		log_notice("line %d", i);
	log_stop();
}

static void long_line(void)
{
	char text[4096];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_error("%s", text);
}

static void lines_and_levels(void **state)
{
	static char buf[1 << 20];
	(void)state;
	captured(three_levels, buf, sizeof(buf));
	assert_non_null(strstr(buf, "error test: first 1\n"));
	assert_non_null(strstr(buf, "notice test: second\n"));
	assert_null(strstr(buf, "hidden"));
	captured(through_the_thread, buf, sizeof(buf));
	char *at = buf;
	for (int i = 0; i < 1000; i++) {
		char want[32];
		snprintf(want, sizeof(want), "line %d\n", i);
		at = strstr(at, want);
		assert_non_null(at);
	}
	size_t n = captured(long_line, buf, sizeof(buf));
	assert_in_range(n, 512, 1024);
	assert_int_equal(buf[n - 1], '\n');
}

static void limiter(void **state)
{
	struct log_limit l = {.interval_ns = 1000, .burst = 2};
	uint32_t suppressed = 99;
	(void)state;
	assert_true(log_limit_pass(&l, 5, &suppressed));
	assert_int_equal(suppressed, 0);
	assert_true(log_limit_pass(&l, 6, &suppressed));
	for (int i = 0; i < 7; i++)
		assert_false(log_limit_pass(&l, 500, &suppressed));
	assert_true(log_limit_pass(&l, 1005, &suppressed));
	assert_int_equal(suppressed, 7);
}

static void printable(void **state)
{
	char buf[16];
	(void)state;
	assert_string_equal(log_printable("a\n\\b", 4, buf, sizeof(buf)), "a\\x0a\\x5cb");
	assert_string_equal(log_printable("\x1b[31m%n", 7, buf, 6), "\\x1b[");
	assert_string_equal(log_printable("", 0, buf, sizeof(buf)), "");
}

static void secrets(void **state)
{
	struct secret a, b = {0};
	(void)state;
	assert_int_equal(secret_copy(&a, "key", 3), 0);
	assert_true(secret_equal(a.bytes, "key", 3));
	assert_false(secret_equal(a.bytes, "kez", 3));
	secret_move(&b, &a);
	assert_null(a.bytes);
	assert_int_equal(b.len, 3);
	secret_fini(&b);
	secret_fini(&b);
	assert_int_equal(b.len, 0);
	uint8_t gone[4] = {1, 2, 3, 4};
	secret_wipe(gone, sizeof(gone));
	assert_int_equal(gone[0] | gone[1] | gone[2] | gone[3], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_levels),
		cmocka_unit_test(limiter),
		cmocka_unit_test(printable),
		cmocka_unit_test(secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
