// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A disk that is full, broken, slow or gone for a while: clients are told at once, and nothing that
// was written or wished is lost.
#include "tests/unit/store_fixture.h"
#include "tests/unit/store_vfs.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

static struct store_case c;

static int setup(void **state)
{
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	assert_true(case_wait(&c, put_version(&c.j, 1, 1)));
	return 0;
}

static int teardown(void **state)
{
	atomic_store(&disk.write_error, 0);
	atomic_store(&disk.sync_error, 0);
	atomic_store(&disk.sync_delay_us, 0);
	case_fini(&c);
	return 0;
}

static uint64_t ms(void)
{
	return clock_now_ns(&clock_system) / NS_PER_MS;
}

static void wait_healthy(void)
{
	struct lease_store_stats st;
	uint64_t start = ms();
	do {
		usleep(20000);
		lease_store_stats(c.s, &st);
		assert_true(ms() - start < 15000);
	} while (st.degraded || st.waiting);
}

static void expect(const uint32_t *version, size_t rows)
{
	struct row_map m;
	case_close(&c);
	assert_int_equal(case_reopen(&c), 0);
	case_load(&c, &m);
	for (size_t n = 0; n < rows; n++)
		assert_int_equal(m.version[n], version[n]);
}

// While it lasts every ticket is settled at once, as not durable; afterwards all is written.
static void outage(atomic_int *fault, int error)
{
	uint32_t want[40] = {0, 1};
	struct lease_store_stats st;
	atomic_store(fault, error);
	uint64_t start = ms();
	for (uint32_t n = 2; n < 40; n++) {
		assert_false(case_wait(&c, put_version(&c.j, n, n)));
		want[n] = n;
	}
	assert_true(ms() - start < 5000); // not one try each
	assert_false(case_wait(&c, drop_row(&c.j, 1)));
	want[1] = 0;
	lease_store_stats(c.s, &st);
	assert_true(st.degraded);
	assert_true(st.failed_commits > 0);
	assert_int_equal(st.waiting, 39);
	assert_int_equal(st.rows, 1);
	atomic_store(fault, 0);
	wait_healthy();
	assert_true(case_wait(&c, put_version(&c.j, 2, 77)));
	want[2] = 77;
	expect(want, 40);
}

static void full_disk(void **state)
{
	outage(&disk.write_error, SQLITE_FULL);
}

static void writes_fail(void **state)
{
	outage(&disk.write_error, SQLITE_IOERR_WRITE);
}

static void syncs_fail(void **state)
{
	outage(&disk.sync_error, SQLITE_IOERR_FSYNC);
}

// Nobody waits for a disk that says neither yes nor no.
static void a_disk_that_hangs(void **state)
{
	struct lease_settled r;
	atomic_store(&disk.sync_delay_us, 3500000);
	uint64_t ticket = put_version(&c.j, 2, 1), start = ms();
	while (!lease_store_settled(c.s, &r)) {
		usleep(10000);
		assert_true(ms() - start < 3400);
	}
	assert_false(r.durable);
	assert_int_equal(r.ticket, ticket);
	atomic_store(&disk.sync_delay_us, 0);
	wait_healthy();
	// What it said at last is of no interest; the row is there.
	assert_true(case_wait(&c, put_version(&c.j, 3, 1)));
	assert_false(lease_store_settled(c.s, &r));
	expect((const uint32_t[]){0, 1, 1, 1}, 4);
}

// However long it lasts: one entry an address.
static void a_long_outage_is_bounded(void **state)
{
	struct lease_store_stats st;
	uint64_t start = ms();
	uint32_t version = 1, want[50] = {0};
	atomic_store(&disk.write_error, SQLITE_FULL);
	assert_false(case_wait(&c, put_version(&c.j, 0, 1)));
	while (ms() - start < 1500) {
		for (uint32_t n = 0; n < 50; n++, version++) {
			want[n] = n % 3 ? version : 0;
			if (n % 3)
				put_version(&c.j, n, version);
			else
				drop_row(&c.j, n);
		}
		lease_store_stats(c.s, &st);
		assert_true(st.waiting <= 100);
	}
	assert_true(version > 1000);
	assert_true(st.failed_commits <= 4); // tried again every second or more, not for each row
	atomic_store(&disk.write_error, 0);
	wait_healthy();
	expect(want, 50);
}

static int count_rows(void *ctx, const struct lease_row *row)
{
	++*(unsigned *)ctx;
	return 0;
}

// What came together is written in several transactions, in order; nobody waits for all of it.
static void a_backlog_is_written_in_parts(void **state)
{
	enum { MANY = 30000 };
	struct row_text t;
	struct lease_row row;
	struct lease_store_stats before, after;
	uint64_t last = 0, told = 0;
	unsigned parts = 0, rows = 0;
	uint64_t start = clock_now_ns(&clock_system);
	atomic_store(&disk.sync_delay_us, 300000); // while the first one is being written
	row_make(2, 1, &t, &row);
	lease_store_stats(c.s, &before);
	for (uint32_t n = 0; n < MANY; n++) {
		row.addr = ip_from_v4(0xac100000u + n);
		last = c.j.put(c.j.ctx, &row);
	}
	atomic_store(&disk.sync_delay_us, 0);
	while (told < last) {
		struct lease_settled r = case_settled(&c);
		assert_true(r.durable || patience_over(start));
		assert_true(r.ticket > told && r.ticket <= last);
		told = r.ticket;
		parts++;
	}
	wait_healthy();
	lease_store_stats(c.s, &after);
	assert_int_equal(after.written - before.written, MANY);
	assert_true(after.commits - before.commits >= 4);
	assert_int_equal(after.rows, MANY + 1);
	printf("# %d rows in %u transactions, %u settlements\n", MANY,
		(unsigned)(after.commits - before.commits), parts);
	case_close(&c);
	assert_int_equal(case_reopen(&c), 0);
	assert_int_equal(lease_store_load(c.s, count_rows, &rows), 0);
	assert_int_equal(rows, MANY + 1);
}

// An end in the middle of it: what was acknowledged is there.
static void closed_while_full(void **state)
{
	atomic_store(&disk.write_error, SQLITE_FULL);
	assert_false(case_wait(&c, put_version(&c.j, 2, 1)));
	log_set_level((enum log_level) - 1);
	case_close(&c);
	log_set_level(LOG_ERROR);
	atomic_store(&disk.write_error, 0);
	assert_int_equal(case_reopen(&c), 0);
	expect((const uint32_t[]){0, 1, 0}, 3);
	// And closed in time, all is.
	atomic_store(&disk.write_error, SQLITE_FULL);
	assert_false(case_wait(&c, put_version(&c.j, 2, 1)));
	atomic_store(&disk.write_error, 0);
	expect((const uint32_t[]){0, 1, 1}, 3);
}

// Rows until one is not durable; all before it were.
static uint32_t fill_until_full(uint32_t begin, uint32_t end)
{
	for (uint32_t n = begin; n < end; n++)
		if (!case_wait(&c, put_version(&c.j, n, 5)))
			return n;
	return 0;
}

static bool all_there(uint32_t end)
{
	static struct row_map m;
	case_close(&c);
	if (case_reopen(&c) != 0)
		return false;
	case_load(&c, &m);
	for (uint32_t n = 2; n < end; n++)
		if (m.version[n] != 5)
			return false;
	return m.rows == end - 1;
}

// A limit of the file's size is an error like another, and its signal kills nobody.
static int beyond_limit(void)
{
	struct rlimit before, small = {200000, RLIM_INFINITY};
	if (getrlimit(RLIMIT_FSIZE, &before) != 0)
		return 1;
	small.rlim_max = before.rlim_max;
	case_init(&c);
	if (case_reopen(&c) != 0 || !case_wait(&c, put_version(&c.j, 1, 1)) ||
		setrlimit(RLIMIT_FSIZE, &small) != 0)
		return 2;
	uint32_t last = fill_until_full(2, ROWS_MAX);
	if (!last || case_wait(&c, put_version(&c.j, last + 1, 5)))
		return 3;
	if (setrlimit(RLIMIT_FSIZE, &before) != 0)
		return 4;
	wait_healthy();
	int rc = all_there(last + 2) ? 0 : 5;
	case_fini(&c);
	return rc;
}

static bool small_tmpfs(void)
{
	if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
		return false;
	case_init(&c);
	return mount("tmpfs", c.dir, "tmpfs", 0, "size=300k,mode=0700") == 0;
}

// It grows, and what waited is written.
static int then_grown(uint32_t end)
{
	if (mount("tmpfs", c.dir, "tmpfs", MS_REMOUNT, "size=20m") != 0)
		return 4;
	wait_healthy();
	int rc = all_there(end) ? 0 : 5;
	case_close(&c);
	umount(c.dir);
	case_fini(&c);
	return rc;
}

// A file system that is really full, with the store's own files in it, and then grows.
static int full_tmpfs(void)
{
	if (!small_tmpfs())
		return 77;
	if (case_reopen(&c) != 0 || !case_wait(&c, put_version(&c.j, 1, 1)))
		return 2;
	uint32_t last = fill_until_full(2, ROWS_MAX);
	if (!last || case_wait(&c, put_version(&c.j, last + 1, 5)))
		return 3;
	return then_grown(last + 2);
}

static bool fill_up(void)
{
	static const char zeroes[4096];
	char path[PATH_MAX + 16];
	snprintf(path, sizeof(path), "%s/ballast", c.dir);
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	while (fd >= 0 && write(fd, zeroes, sizeof(zeroes)) > 0)
		;
	return fd >= 0 && close(fd) == 0;
}

// The headend starts on it, too: it has its leases, and gives new ones from memory.
static int full_at_start(void)
{
	static struct row_map m;
	if (!small_tmpfs())
		return 77;
	if (case_reopen(&c) != 0)
		return 2;
	for (uint32_t n = 1; n < 20; n++)
		if (!case_wait(&c, put_version(&c.j, n, 5)))
			return 2;
	case_close(&c);
	if (!fill_up() || case_reopen(&c) != 0)
		return 3;
	case_load(&c, &m);
	if (m.rows != 19 || case_wait(&c, put_version(&c.j, 20, 5)))
		return 6;
	return then_grown(21);
}

static int in_child(int (*run)(void))
{
	int status;
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		log_set_level((enum log_level) - 1); // a line into a file would meet the limit too
		_exit(run());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void file_size_limit(void **state)
{
	assert_int_equal(in_child(beyond_limit), 0);
}

static void full_file_system(void **state)
{
	int rc = in_child(full_tmpfs);
	if (rc == 77)
		skip();
	assert_int_equal(rc, 0);
	assert_int_equal(in_child(full_at_start), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static const struct CMUnitTest tests[] = {
	CASE(full_disk),
	CASE(writes_fail),
	CASE(syncs_fail),
	CASE(a_disk_that_hangs),
	CASE(a_long_outage_is_bounded),
	CASE(a_backlog_is_written_in_parts),
	CASE(closed_while_full),
	cmocka_unit_test(file_size_limit),
	cmocka_unit_test(full_file_system),
};

int main(void)
{
	log_set_level((enum log_level) - 1); // its errors are what is wanted here
	disk_register();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
