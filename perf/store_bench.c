// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// store_bench [--dir DIR] [--rows N]: the lease store alone, with N rows in it. How fast it is filled;
// how long one lease waits that comes alone, at random addresses; how many a second are durable with
// 4,096 waiting, at random addresses, which is the worst there is; how long a start takes; and what
// salvage takes.
#include "pools/store.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAITING 4096
#define LONE    2000

struct bench {
	char dir[256];
	unsigned long rows;
	int wake_fd;
	struct lease_store *store;
	struct lease_journal journal;
	uint64_t random;
	uint64_t told;
	unsigned long counted, not_durable;
};

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

static uint64_t draw(struct bench *b)
{
	b->random ^= b->random << 13;
	b->random ^= b->random >> 7;
	b->random ^= b->random << 17;
	return b->random;
}

static uint64_t put(struct bench *b, uint32_t n)
{
	char name[48];
	int len = snprintf(name, sizeof(name), "user%u@example.org", n);
	struct lease_row row = {
		.addr = ip_from_v4(0x0a000000u + n),
		.prefix_len = 32,
		.pool = "bench",
		.owner = {(const uint8_t *)name, (size_t)len},
		.name = name,
	};
	return b->journal.put(b->journal.ctx, &row);
}

static void wait_for(struct bench *b, uint64_t ticket)
{
	struct lease_settled s;
	struct pollfd p = {.fd = b->wake_fd, .events = POLLIN};
	uint64_t n;
	while (b->told < ticket) {
		if (poll(&p, 1, 1000) == 1 && read(b->wake_fd, &n, sizeof(n)) < 0)
			continue;
		while (lease_store_settled(b->store, &s)) {
			b->told = s.ticket;
			b->not_durable += !s.durable;
		}
	}
}

// A closed loop: at most WAITING are not durable. Rows a second.
static double loop(struct bench *b, unsigned long rows, bool in_order)
{
	uint64_t start = now_ns(), last = b->told;
	for (unsigned long i = 0; i < rows; i++) {
		last = put(b, (uint32_t)(in_order ? i : draw(b) % (2 * b->rows)));
		if (last > WAITING)
			wait_for(b, last - WAITING);
	}
	wait_for(b, last);
	return (double)rows / ((double)(now_ns() - start) / (double)NS_PER_S);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return (x > y) - (x < y);
}

static void report(const char *what, uint64_t took[LONE])
{
	qsort(took, LONE, sizeof(*took), compare_u64);
	printf("%s: us: median %.0f, 99%% %.0f, 99.9%% %.0f, longest %.0f\n", what,
		(double)took[LONE / 2] / 1e3, (double)took[LONE * 99 / 100] / 1e3,
		(double)took[LONE * 999 / 1000] / 1e3, (double)took[LONE - 1] / 1e3);
}

static void lone(struct bench *b, bool in_order)
{
	static uint64_t took[LONE];
	for (uint32_t i = 0; i < LONE; i++) {
		usleep(500);
		uint64_t start = now_ns();
		uint64_t n = in_order ? b->rows + i : draw(b) % (2 * b->rows);
		wait_for(b, put(b, (uint32_t)n));
		took[i] = now_ns() - start;
	}
	report(in_order ? "one alone, in order" : "one alone, at random", took);
}

// What one fdatasync() costs here and now, of three pages behind each other as a log has them.
static int bare_sync(struct bench *b)
{
	static uint64_t took[LONE];
	static const uint8_t pages[3 * 4096];
	char path[300];
	snprintf(path, sizeof(path), "%s/bare", b->dir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	int rc = fd < 0 ? -errno : 0;
	for (uint32_t i = 0; rc == 0 && i < LONE; i++) {
		usleep(500);
		uint64_t start = now_ns();
		off_t at = (off_t)(i % 100 * sizeof(pages)); // as a log, it begins anew
		if (pwrite(fd, pages, sizeof(pages), at) < 0 || fdatasync(fd) != 0)
			rc = -errno;
		took[i] = now_ns() - start;
	}
	if (fd >= 0)
		close(fd);
	unlink(path);
	if (rc == 0)
		report("a bare fdatasync", took);
	return rc;
}

static int open_store(struct bench *b)
{
	struct lease_store_params p = {.dir = b->dir, .wake_fd = b->wake_fd};
	int rc = lease_store_open(&p, stderr, &b->store);
	if (rc == 0)
		lease_store_journal(b->store, &b->journal);
	b->told = 0;
	return rc;
}

static int count(void *ctx, const struct lease_row *row)
{
	((struct bench *)ctx)->counted++;
	return 0;
}

static double ms_since(uint64_t start)
{
	return (double)(now_ns() - start) / 1e6;
}

static int restart(struct bench *b)
{
	struct lease_salvage found;
	struct lease_salvage_to to = {count, b, stderr};
	struct lease_store_stats st;
	uint64_t start = now_ns();
	lease_store_close(b->store);
	b->store = NULL;
	printf("closed in %.0f ms\n", ms_since(start));
	start = now_ns();
	int rc = lease_store_salvage(b->dir, &to, &found);
	printf("salvage: %lu rows in %.0f ms\n", b->counted, ms_since(start));
	start = now_ns();
	if (rc == 0)
		rc = open_store(b);
	double opened = ms_since(start);
	b->counted = 0;
	if (rc == 0)
		rc = lease_store_load(b->store, count, b);
	if (rc)
		return rc;
	lease_store_stats(b->store, &st);
	printf("start: %lu rows, %.1f MB: checked in %.0f ms, read in %.0f ms\n", b->counted,
		(double)st.bytes / 1e6, opened, ms_since(start) - opened);
	return 0;
}

static int run(struct bench *b)
{
	int rc = open_store(b);
	if (rc)
		return rc;
	printf("filled in order: %.0f rows/s\n", loop(b, b->rows, true));
	rc = bare_sync(b);
	if (rc)
		return rc;
	lone(b, true);
	lone(b, false);
	printf("%d waiting, in order: %.0f rows/s\n", WAITING, loop(b, 200000, true));
	printf("%d waiting, at random: %.0f rows/s\n", WAITING, loop(b, 100000, false));
	if (b->not_durable)
		printf("not durable: %lu\n", b->not_durable);
	return restart(b);
}

static void remove_store(const struct bench *b)
{
	static const char *const names[] = {"leases.db", "leases.db-wal", "leases.mark"};
	char path[512];
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", b->dir, names[i]);
		unlink(path);
	}
	rmdir(b->dir);
}

int main(int argc, char **argv)
{
	struct bench b = {.rows = 1000000, .random = 88172645463325252ull};
	const char *dir = ".";
	bool good = argc % 2 == 1;
	for (int i = 1; good && i < argc; i += 2) {
		if (strcmp(argv[i], "--dir") == 0)
			dir = argv[i + 1];
		else if (strcmp(argv[i], "--rows") == 0)
			b.rows = strtoul(argv[i + 1], NULL, 10);
		else
			good = false;
	}
	if (!good || b.rows == 0 || b.rows > 1ul << 22) {
		fputs("usage: store_bench [--dir DIR] [--rows N]\n", stderr);
		return 2;
	}
	snprintf(b.dir, sizeof(b.dir), "%s/store_bench.XXXXXX", dir);
	b.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (b.wake_fd < 0 || !mkdtemp(b.dir)) {
		perror("store_bench");
		return 1;
	}
	int rc = run(&b);
	if (rc)
		fprintf(stderr, "store_bench: %s\n", strerror(-rc));
	lease_store_close(b.store);
	remove_store(&b);
	return rc != 0;
}
