// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/qcd_secret.h"

#include "base/log.h"
#include "tests/cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char top[] = "/tmp/qcd_secret_XXXXXX", dir[64], path[96];

static int setup(void **state)
{
	log_set_level(LOG_ERROR);
	if (!mkdtemp(top))
		return -1;
	snprintf(dir, sizeof(dir), "%s/state", top);
	snprintf(path, sizeof(path), "%s/" QCD_SECRET_FILE, dir);
	return 0;
}

static int teardown(void **state)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", top);
	return system(command);
}

static int clean(void **state)
{
	char stale[112];
	snprintf(stale, sizeof(stale), "%s.new", path);
	unlink(stale);
	unlink(path);
	rmdir(path);
	rmdir(dir);
	return 0;
}

static int load(struct secret *s)
{
	*s = (struct secret){0};
	return qcd_secret_load(dir, &random_system, s);
}

static void put_file(size_t len, mode_t mode)
{
	char bytes[64] = {7};
	mkdir(dir, 0700);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void made_once_and_kept(void **state)
{
	struct secret a, b;
	struct stat st;
	uint8_t zeros[QCD_SECRET_LEN] = {0};
	assert_int_equal(load(&a), 0);
	assert_int_equal(a.len, QCD_SECRET_LEN);
	assert_false(secret_equal(a.bytes, zeros, sizeof(zeros)));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(st.st_size, QCD_SECRET_LEN);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	assert_int_equal(load(&b), 0);
	assert_true(secret_equal(a.bytes, b.bytes, QCD_SECRET_LEN));
	secret_fini(&a);
	secret_fini(&b);
}

// What a crash in the middle has left behind is no secret, and does not stand in the way.
static void half_written(void **state)
{
	char stale[112];
	struct secret s;
	snprintf(stale, sizeof(stale), "%s.new", path);
	assert_int_equal(mkdir(dir, 0700), 0);
	FILE *f = fopen(stale, "w");
	assert_non_null(f);
	fputs("half", f);
	fclose(f);
	assert_int_equal(load(&s), 0);
	assert_int_equal(s.len, QCD_SECRET_LEN);
	assert_int_equal(access(stale, F_OK), -1);
	secret_fini(&s);
}

static void refused(void **state)
{
	static const struct {
		size_t len;
		mode_t mode;
		int rc;
	} rows[] = {{32, 0600, 0}, {32, 0400, 0}, {31, 0600, -EINVAL}, {33, 0600, -EINVAL},
		{0, 0600, -EINVAL}, {32, 0640, -EPERM}, {32, 0604, -EPERM}, {32, 0666, -EPERM}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret s;
		put_file(rows[i].len, rows[i].mode);
		assert_int_equal(load(&s), rows[i].rc);
		assert_int_equal(s.len, rows[i].rc ? 0 : QCD_SECRET_LEN);
		secret_fini(&s);
		unlink(path);
	}
}

static void not_a_file(void **state)
{
	struct secret s;
	char target[96];
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(load(&s), -EPERM);
	rmdir(path);
	snprintf(target, sizeof(target), "%s/elsewhere", top);
	int fd = open(target, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, target, 32), 32);
	close(fd);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(load(&s), -ELOOP);
	assert_int_equal(qcd_secret_load("/proc/nothing/here", &random_system, &s), -ENOENT);
	assert_int_equal(s.len, 0);
}

#define T(f) cmocka_unit_test_teardown(f, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(made_once_and_kept),
		T(half_written),
		T(refused),
		T(not_a_file),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
