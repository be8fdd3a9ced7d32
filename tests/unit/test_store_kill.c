// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// SIGKILL at any moment, fifty times over one store: what was acknowledged is there.
#include "tests/unit/store_fixture.h"

#include <signal.h>
#include <sys/wait.h>

#define ROUNDS 50
#define ROWS   1000
#define WISHES 16

// What the child says: what it is about to wish, and then that it is durable.
struct word {
	uint32_t durable; // 0: about to
	struct {
		uint32_t n, version;
	} wishes[WISHES];
};

static struct store_case c;
static uint32_t want[ROWS_MAX];

static void live(int fd, uint64_t seed, uint32_t version)
{
	if (case_reopen(&c) != 0)
		_exit(1);
	for (;; version++) {
		struct word w = {0};
		uint64_t ticket = 0;
		if (version % 8 == 0) { // an end and a start are moments, too
			case_close(&c);
			if (case_reopen(&c) != 0)
				_exit(1);
		}
		for (size_t i = 0; i < WISHES; i++) {
			w.wishes[i].n = (uint32_t)(draw(&seed) % (ROWS / WISHES) * WISHES + i);
			w.wishes[i].version = draw(&seed) % 4 ? version : 0;
		}
		if (write(fd, &w, sizeof(w)) != sizeof(w))
			_exit(2);
		for (size_t i = 0; i < WISHES; i++)
			ticket = w.wishes[i].version ? put_version(&c.j, w.wishes[i].n, version)
						     : drop_row(&c.j, w.wishes[i].n);
		if (!case_wait(&c, ticket))
			_exit(3);
		w.durable = 1;
		if (write(fd, &w, sizeof(w)) != sizeof(w))
			_exit(2);
	}
}

// Until so many are acknowledged, or there is no more; open: what was last wished, and whether that
// was acknowledged.
static unsigned hear(int fd, uint64_t acknowledgements, struct word *open)
{
	struct word w;
	unsigned heard = 0;
	while (heard < acknowledgements && read(fd, &w, sizeof(w)) == sizeof(w)) {
		*open = w;
		if (!w.durable)
			continue;
		heard++;
		for (size_t i = 0; i < WISHES; i++)
			want[w.wishes[i].n] = w.wishes[i].version;
	}
	return heard;
}

// Rows that were wished last may be as before or as wished.
static void verify(const struct word *open)
{
	static struct row_map m;
	assert_int_equal(case_reopen(&c), 0);
	case_load(&c, &m);
	case_close(&c);
	for (size_t i = 0; !open->durable && i < WISHES; i++) {
		uint32_t n = open->wishes[i].n;
		if (m.version[n] == open->wishes[i].version)
			want[n] = m.version[n];
	}
	assert_memory_equal(m.version, want, sizeof(want));
}

static void killed_fifty_times(void **state)
{
	uint64_t seed = new_seed();
	unsigned acknowledged = 0;
	case_init(&c);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		int fds[2], status;
		assert_int_equal(pipe(fds), 0);
		fflush(NULL);
		pid_t child = fork();
		if (child == 0) {
			close(fds[0]);
			live(fds[1], seed + round + 1, round * 1000000 + 1);
		}
		close(fds[1]);
		struct word open = {.durable = 1};
		acknowledged += hear(fds[0], draw(&seed) % 20, &open);
		usleep((useconds_t)(draw(&seed) % 4000));
		kill(child, SIGKILL);
		acknowledged += hear(fds[0], UINT64_MAX, &open);
		close(fds[0]);
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFSIGNALED(status));
		verify(&open);
	}
	printf("# %u batches acknowledged in %d lives\n", acknowledged, ROUNDS);
	assert_true(acknowledged > ROUNDS);
	case_fini(&c);
}

static const struct CMUnitTest tests[] = {
	cmocka_unit_test(killed_fifty_times),
};

int main(void)
{
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
