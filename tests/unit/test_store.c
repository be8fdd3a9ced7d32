// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/store_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

static void rows_come_back(void **state)
{
	struct store_case c;
	struct row_map m;
	uint64_t last = 0, ticket;
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	case_load(&c, &m);
	assert_int_equal(m.rows, 0);
	for (uint32_t n = 0; n < 1000; n++) {
		ticket = put_version(&c.j, n, n + 1);
		assert_true(ticket > last);
		last = ticket;
	}
	for (uint32_t n = 0; n < 1000; n += 10) {
		ticket = drop_row(&c.j, n);
		assert_true(ticket > last);
		last = ticket;
	}
	assert_true(case_wait(&c, last));
	for (int round = 0; round < 2; round++) {
		case_close(&c);
		assert_int_equal(case_reopen(&c), 0);
		case_load(&c, &m);
		assert_int_equal(m.rows, 900);
		for (uint32_t n = 0; n < 1000; n++)
			assert_int_equal(m.version[n], n % 10 ? n + 1 : 0);
	}
	case_fini(&c);
}

// The longest of everything, and what is too long.
static void rows_of_any_size(void **state)
{
	static uint8_t owner[POOL_OWNER_MAX + 5], extra[LEASE_EXTRA_MAX + 1];
	static char name[POOL_OWNER_MAX + 1];
	struct store_case c;
	struct lease_row row = {.addr = ip_from_v4(0x0a000001),
		.prefix_len = 28,
		.pool = "",
		.owner = {owner, POOL_OWNER_MAX + 4},
		.name = name,
		.extra = {extra, LEASE_EXTRA_MAX}};
	memset(name, 'n', POOL_OWNER_MAX);
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	assert_true(case_wait(&c, c.j.put(c.j.ctx, &row)));
	row.owner.len++;
	assert_int_equal(c.j.put(c.j.ctx, &row), 0);
	row.owner.len = 0;
	row.extra.len++;
	assert_int_equal(c.j.put(c.j.ctx, &row), 0);
	case_close(&c);
	// One that fills more than its page, with and without SQLite.
	struct row_map m = {0};
	struct lease_salvage found;
	struct lease_salvage_to to = {row_note, &m, stderr};
	assert_int_equal(lease_store_salvage(c.dir, &to, &found), 0);
	assert_int_equal(found.readable, 1);
	assert_int_equal(found.unreadable, 0);
	assert_int_equal(case_reopen(&c), 0);
	assert_int_equal(lease_store_load(c.s, row_note, &m), 0);
	assert_int_equal(m.rows, 2);
	case_fini(&c);
}

static int stop_at_two(void *ctx, const struct lease_row *row)
{
	return ++*(int *)ctx == 2 ? 42 : 0;
}

static void a_load_can_be_stopped(void **state)
{
	struct store_case c;
	int calls = 0;
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	for (uint32_t n = 0; n < 9; n++)
		put_version(&c.j, n, 1);
	case_close(&c);
	assert_int_equal(case_reopen(&c), 0);
	assert_int_equal(lease_store_load(c.s, stop_at_two, &calls), 42);
	assert_int_equal(calls, 2);
	case_fini(&c);
}

static int drop_and_put(void *ctx, const struct lease_row *row)
{
	struct store_case *s = ctx;
	struct lease_row other = *row;
	s->j.drop(s->j.ctx, &row->addr);
	other.addr.bytes[1] ^= 0x80;
	return s->j.put(s->j.ctx, &other) ? 0 : -ENOMEM;
}

// What no pool has any longer is dropped while the rest is still being read.
static void rows_change_while_they_are_read(void **state)
{
	struct store_case s;
	struct row_map m = {0};
	case_init(&s);
	assert_int_equal(case_reopen(&s), 0);
	for (uint32_t n = 0; n < 3000; n++)
		put_version(&s.j, n, 1);
	case_close(&s);
	for (int round = 0; round < 6; round++) {
		assert_int_equal(case_reopen(&s), 0);
		assert_int_equal(lease_store_load(s.s, drop_and_put, &s), 0);
		assert_true(case_wait(&s, put_version(&s.j, 3000, 1)));
		assert_true(case_wait(&s, drop_row(&s.j, 3000)));
		case_close(&s);
	}
	assert_int_equal(case_reopen(&s), 0);
	case_load(&s, &m);
	assert_int_equal(m.rows, 3000);
	case_fini(&s);
}

// One wish an address: the last one.
static void the_last_wish_counts(void **state)
{
	struct store_case c;
	struct row_map m;
	struct lease_store_stats st;
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	for (uint32_t v = 1; v <= 500; v++) {
		put_version(&c.j, 1, v);
		drop_row(&c.j, 2);
		put_version(&c.j, 2, v);
		put_version(&c.j, 3, v);
		drop_row(&c.j, 3);
		lease_store_stats(c.s, &st);
		assert_true(st.waiting <= 3 * 3);
	}
	case_close(&c);
	assert_int_equal(case_reopen(&c), 0);
	case_load(&c, &m);
	assert_int_equal(m.rows, 2);
	assert_int_equal(m.version[1], 500);
	assert_int_equal(m.version[2], 500);
	lease_store_stats(c.s, &st);
	assert_int_equal(st.rows, 2);
	case_fini(&c);
}

// Tickets are settled in order, each once, and durable means that the row is in the file.
static void tickets_settle_in_order(void **state)
{
	struct store_case c;
	struct lease_settled r = {0};
	uint64_t last = 0, told = 0;
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	for (uint32_t i = 0; i < 20000; i++) {
		last = put_version(&c.j, i % 1000, i + 1);
		if (!lease_store_settled(c.s, &r))
			continue;
		assert_true(r.durable);
		assert_true(r.ticket > told);
		assert_true(r.ticket <= last);
		told = r.ticket;
	}
	while (told < last) {
		r = case_settled(&c);
		assert_true(r.durable && r.ticket > told && r.ticket <= last);
		told = r.ticket;
	}
	assert_false(lease_store_settled(c.s, &r));
	case_fini(&c);
}

static void random_batches_equal_a_map(void **state)
{
	static uint32_t want[ROWS_MAX];
	uint64_t seed = new_seed(), last = 0;
	struct store_case c;
	struct row_map m;
	memset(want, 0, sizeof(want));
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	for (uint32_t batch = 1; batch <= 1000; batch++) {
		for (uint64_t k = draw(&seed) % 16 + 1; k; k--) {
			uint32_t n = (uint32_t)(draw(&seed) % 600);
			bool put = draw(&seed) % 3 != 0;
			last = put ? put_version(&c.j, n, batch) : drop_row(&c.j, n);
			want[n] = put ? batch : 0;
		}
		if (batch % 4 == 0)
			assert_true(case_wait(&c, last));
		if (batch % 100)
			continue;
		case_close(&c);
		assert_int_equal(case_reopen(&c), 0);
		case_load(&c, &m);
		assert_memory_equal(m.version, want, sizeof(want));
	}
	case_fini(&c);
}

static void one_process_alone(void **state)
{
	struct store_case c;
	struct lease_store *second;
	char errors[1024];
	int status;
	case_init(&c);
	assert_int_equal(case_reopen(&c), 0);
	assert_int_equal(open_dir(c.dir, -1, errors, sizeof(errors), &second), -EBUSY);
	assert_non_null(strstr(errors, "another sallyportd"));
	assert_true(case_wait(&c, put_version(&c.j, 1, 1)));
	case_close(&c);
	// A lock of a process that was killed is no lock.
	int ready[2];
	char byte;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		if (case_reopen(&c) == 0 && write(ready[1], "x", 1) == 1)
			pause();
		_exit(1);
	}
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(case_reopen(&c), -EBUSY);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(case_reopen(&c), 0);
	close(ready[0]);
	close(ready[1]);
	case_fini(&c);
}

static void nobody_else_reads(void **state)
{
	static const char *const files[] = {"leases.db", "leases.db-wal", "leases.mark"};
	struct store_case c;
	struct stat st;
	char path[128], dir[64];
	case_init(&c);
	assert_int_equal(rmdir(c.dir), 0);
	snprintf(dir, sizeof(dir), "%s", c.dir);
	mode_t before = umask(0);
	assert_int_equal(case_reopen(&c), 0);
	assert_true(case_wait(&c, put_version(&c.j, 1, 1)));
	umask(before);
	assert_int_equal(stat(dir, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 0777, 0600);
	}
	case_fini(&c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(rows_come_back),
	cmocka_unit_test(rows_of_any_size),
	cmocka_unit_test(a_load_can_be_stopped),
	cmocka_unit_test(rows_change_while_they_are_read),
	cmocka_unit_test(the_last_wish_counts),
	cmocka_unit_test(tickets_settle_in_order),
	cmocka_unit_test(random_batches_equal_a_map),
	cmocka_unit_test(one_process_alone),
	cmocka_unit_test(nobody_else_reads),
};

int main(void)
{
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
