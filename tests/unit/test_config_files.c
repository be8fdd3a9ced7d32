// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Configuration that comes from files: includes, secrets, paths, what cannot be read.
#include "tests/cmocka_all.h"

#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
	char dir[64];
	char path[128];
};

static void write_file(struct scratch *s, const char *name, const char *text, mode_t mode)
{
	snprintf(s->path, sizeof(s->path), "%s/%s", s->dir, name);
	FILE *f = fopen(s->path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(s->path, mode), 0);
}

static int make_scratch(void **state)
{
	static struct scratch s;
	snprintf(s.dir, sizeof(s.dir), "/tmp/sallyport-config-XXXXXX");
	*state = &s;
	return mkdtemp(s.dir) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	static const char *const names[] = {"main.conf", "part.conf", "s", "cert.pem"};
	struct scratch *s = *state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(s->path, sizeof(s->path), "%s/%s", s->dir, names[i]);
		unlink(s->path);
	}
	return rmdir(s->dir);
}

static char *messages(const char *path, int *rc, struct cfg **c)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	*rc = cfg_load(path, out, c);
	fclose(out);
	return text;
}

static void an_included_file_is_named(void **state)
{
	struct scratch *s = *state;
	struct cfg *c;
	char want[512];
	int rc;
	write_file(s, "part.conf", "\n\nmain: { idle = \"pol\"; };\n", 0600);
	write_file(s, "main.conf", "# the main file\n@include \"part.conf\"\nprots = 1;\n", 0600);
	char *got = messages(s->path, &rc, &c);
	snprintf(want, sizeof(want),
		"%s/main.conf:1: warning: no ports: nothing can be received\n"
		"%s/main.conf:1: warning: no connections: every peer is refused\n"
		"%s/main.conf:3: error: unknown option \"prots\", did you mean \"ports\"?\n"
		"%s/part.conf:3: error: main.idle: \"pol\" is not one of \"poll\", \"sleep\"\n",
		s->dir, s->dir, s->dir, s->dir);
	assert_string_equal(got, want);
	assert_int_equal(rc, -EINVAL);
	free(got);
}

static void secret_files_and_relative_paths(void **state)
{
	struct scratch *s = *state;
	struct cfg *c;
	char want[512];
	int rc;
	write_file(s, "s", "a secret that stands in a file\n", 0604);
	write_file(s, "cert.pem", "", 0644);
	write_file(s, "main.conf",
		"ports = ( { name = \"o\"; role = \"outside\"; device = \"net_tap0\"; } ); connections = ( );\n"
		"credentials: { certificates = ( { cert = \"cert.pem\"; key = \"cert.pem\"; } );\n"
		"psk = ( { id = \"a\"; secret_file = \"s\"; } ); };\n",
		0600);
	char *got = messages(s->path, &rc, &c);
	snprintf(want, sizeof(want),
		"%s:2: warning: key: \"%s/cert.pem\" is open to all users\n"
		"%s:3: warning: secret_file: \"%s/s\" is open to all users\n",
		s->path, s->dir, s->path, s->dir);
	assert_string_equal(got, want);
	assert_int_equal(rc, 0);
	assert_int_equal(c->psks[0].secret.len, 30);
	assert_memory_equal(c->psks[0].secret.bytes, "a secret that stands in a file", 30);
	snprintf(want, sizeof(want), "%s/cert.pem", s->dir);
	assert_string_equal(c->certificates[0].cert, want);
	cfg_free(c);
	free(got);
}

static void unreadable_files_are_errors(void **state)
{
	struct scratch *s = *state;
	struct cfg *c;
	char want[256];
	int rc;
	char *got = messages("/nonexistent/x.conf", &rc, &c);
	assert_string_equal(
		got, "/nonexistent/x.conf:1: error: cannot read: No such file or directory\n");
	assert_int_equal(rc, -EINVAL);
	free(got);
	got = messages(s->dir, &rc, &c);
	snprintf(want, sizeof(want), "%s:1: error: cannot read: Is a directory\n", s->dir);
	assert_string_equal(got, want);
	assert_int_equal(rc, -EINVAL);
	free(got);
}

// libconfig's scanner would end the process.
static void an_included_directory_is_an_error(void **state)
{
	struct scratch *s = *state;
	struct cfg *c;
	char want[1024];
	int rc;
	write_file(s, "part.conf", "\n  @include \".\"\n", 0600);
	write_file(s, "main.conf",
		"\n@include \"part.conf\"\n@include \"..\"\n@include \"main.conf\"\n", 0600);
	char *got = messages(s->path, &rc, &c);
	snprintf(want, sizeof(want),
		"%s:2: error: @include: \"%s/part.conf\" is a directory, or includes one\n"
		"%s:3: error: @include: \"%s/..\" is a directory, or includes one\n"
		"%s:4: error: @include: \"%s/main.conf\" is a directory, or includes one\n",
		s->path, s->dir, s->path, s->dir, s->path, s->dir);
	assert_string_equal(got, want);
	assert_int_equal(rc, -EINVAL);
	free(got);
}

static void a_large_file_is_read_whole(void **state)
{
	struct scratch *s = *state;
	enum { N = 3000 };
	char *text = malloc(N * 80), *p = text;
	struct cfg *c;
	int rc;
	p += sprintf(p, "credentials: { users = (\n");
	for (int i = 0; i < N; i++)
		p += sprintf(
			p, "{ name = \"user%d\"; password = \"x\"; }%s\n", i, i < N - 1 ? "," : "");
	strcpy(p, "); };\n");
	write_file(s, "main.conf", text, 0600);
	free(messages(s->path, &rc, &c));
	assert_int_equal(rc, 0);
	assert_int_equal(c->user_count, N);
	cfg_free(c);
	free(text);
}

static void text_alone_touches_no_file(void **state)
{
	struct cfg *c;
	assert_int_equal(cfg_load_text_alone("t", "@include \"/etc/passwd\"\n", NULL, &c), -EINVAL);
	assert_int_equal(
		cfg_load_text_alone("t", "credentials: { ca = [ \"/nonexistent\" ]; };", NULL, &c),
		0);
	cfg_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_included_file_is_named, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(
			secret_files_and_relative_paths, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(
			unreadable_files_are_errors, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(
			an_included_directory_is_an_error, make_scratch, remove_scratch),
		cmocka_unit_test_setup_teardown(
			a_large_file_is_read_whole, make_scratch, remove_scratch),
		cmocka_unit_test(text_alone_touches_no_file),
	};
	return cmocka_run_group_tests_name("config_files", tests, NULL, NULL);
}
