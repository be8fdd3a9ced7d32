// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "app/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Records as "line:field|field\n", errors as "line!".
static char *read_all(const char *text, size_t len)
{
	struct csv c = {.in = fmemopen((void *)(uintptr_t)text, len, "r")};
	struct csv_record *r = malloc(sizeof(*r));
	const char *why;
	char *out = NULL;
	size_t out_len;
	FILE *f = open_memstream(&out, &out_len);
	for (int rc; (rc = csv_read(&c, r, &why)) != 0;) {
		fprintf(f, "%u%s", r->line, rc < 0 ? "!" : ":");
		if (rc < 0)
			assert_non_null(why);
		for (size_t i = 0; rc > 0 && i < r->count; i++)
			fprintf(f, "%s%s", i ? "|" : "", r->fields[i]);
		fputc('\n', f);
	}
	fclose(f);
	fclose(c.in);
	free(r);
	return out;
}

static void records(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{"\n", ""},
		{"a", "1:a\n"},
		{"a,b\nc,d\n", "1:a|b\n2:c|d\n"},
		{"a,b\r\n\r\nc,\r\n", "1:a|b\n3:c|\n"},
		{",,\n", "1:||\n"},
		{"\"a,b\",\"c\"\"d\"\n", "1:a,b|c\"d\n"},
		{"\"two\nlines\",x\ny\n", "1:two\nlines|x\n3:y\n"},
		{"\"\"\n", "1:\n"},
		{"a\rb\n", "1:a\rb\n"},
		{"a\"b,c\nd\n", "1!\n2:d\n"},
		{"\"a\"b,c\nd\n", "1!\n2:d\n"},
		{"x\n\"a", "1:x\n2!\n"},
		{"1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17\nx\n", "1!\n2:x\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = read_all(rows[i].text, strlen(rows[i].text));
		assert_string_equal(got, rows[i].want);
		free(got);
	}
}

// Not cut there, as if the rest were not there; and what a spreadsheet writes before UTF-8 is no text.
static void zero_bytes_and_marks(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *want;
	} rows[] = {
		{"al\0ce,b\nc\n", 10, "1!\n2:c\n"},
		{"\"al\0ce\",b\nc\n", 12, "1!\n2:c\n"},
		{"\0", 1, "1!\n"},
		{"\xef\xbb\xbfpool,b\n\xef\xbb\xbfx\n", 15, "1:pool|b\n2:\xef\xbb\xbfx\n"},
		{"\xef\xbb", 2, "1:\xef\xbb\n"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = read_all(rows[i].text, rows[i].len);
		assert_string_equal(got, rows[i].want);
		free(got);
	}
}

static void a_long_line_is_refused(void **state)
{
	size_t len = 2 * CSV_RECORD_MAX;
	char *text = malloc(len + 4);
	(void)state;
	for (int quote = 0; quote < 2; quote++) {
		memset(text, 'a', len);
		text[0] = quote ? '"' : 'a';
		memcpy(text + len, "\nb\n", 4);
		char *got = read_all(text, len + 3);
		assert_string_equal(got, "1!\n2:b\n");
		free(got);
	}
	free(text);
}

static void what_is_written_is_read(void **state)
{
	static const char *const fields[] = {"", "a", "a,b", "\"", "a\nb", "x\r", "\"\",\"", " y "};
	size_t count = sizeof(fields) / sizeof(fields[0]), len;
	char *text = NULL;
	const char *why;
	struct csv_record *r = malloc(sizeof(*r));
	FILE *f = open_memstream(&text, &len);
	(void)state;
	for (size_t i = 0; i < count; i++)
		csv_write(f, fields[i], i + 1 == count);
	fclose(f);
	struct csv c = {.in = fmemopen(text, len, "r")};
	assert_int_equal(csv_read(&c, r, &why), 1);
	assert_int_equal(r->count, count);
	for (size_t i = 0; i < count; i++)
		assert_string_equal(r->fields[i], fields[i]);
	assert_int_equal(csv_read(&c, r, &why), 0);
	fclose(c.in);
	free(text);
	free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(records),
		cmocka_unit_test(zero_bytes_and_marks),
		cmocka_unit_test(a_long_line_is_refused),
		cmocka_unit_test(what_is_written_is_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
