// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools over the real store in a process that is killed again and again, while leases come and go. It says on a pipe what it is about to do and what it was answered; here
// a model (crash_model.h) listens, kills it at a point drawn by lot, starts it again and compares what
// came back. SEED=N repeats a run, LEASE_CRASH_S=N makes it longer.
#include "tests/unit/lease_life.h"

#include "base/htab.h"
#include "pools/store.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECONDS 12

// ---- the process that is killed ----------------------------------------------------------------

struct process {
	struct life life;
	int out, wake;
	struct lease_store *store;
};

static void say(struct life *l, const struct report *r)
{
	const struct process *p = container_of(l, struct process, life);
	if (write(p->out, r, sizeof(*r)) != sizeof(*r))
		_exit(2);
}

static void failed(struct life *l)
{
	_exit(3);
}

static void wait_for_store(struct process *p)
{
	struct pollfd fd = {p->wake, POLLIN, 0};
	uint64_t n;
	life_need(&p->life, poll(&fd, 1, 10000) == 1 ? 0 : -ETIMEDOUT);
	life_need(&p->life, read(p->wake, &n, sizeof(n)) == sizeof(n) ? 0 : -errno);
}

static void settle(struct life *l, bool wait)
{
	struct process *p = container_of(l, struct process, life);
	struct lease_settled s;
	if (wait)
		wait_for_store(p);
	while (lease_store_settled(p->store, &s)) {
		life_need(l, s.durable ? 0 : -EIO);
		pools_settled(l->pools, s.ticket, s.durable);
	}
}

static int load(void *ctx, int (*row)(void *, const struct lease_row *), void *user)
{
	return lease_store_load(ctx, row, user);
}

// So many operations, unless somebody kills it; then it ends in order.
static _Noreturn void live(const char *dir, int out, uint64_t seed, unsigned ops)
{
	static struct process p;
	p = (struct process){.life = {.say = say, .failed = failed, .settle = settle},
		.out = out,
		.wake = eventfd(0, EFD_NONBLOCK)};
	struct lease_store_params params = {.dir = dir, .wake_fd = p.wake};
	life_init(&p.life, seed);
	life_need(&p.life, lease_store_open(&params, stderr, &p.store));
	lease_store_journal(p.store, &p.life.journal);
	life_open(&p.life, load, p.store);
	for (unsigned n = 0; n < ops; n++)
		life_operate(&p.life);
	while (p.life.asked)
		settle(&p.life, true);
	life_close(&p.life);
	lease_store_close(p.store);
	_exit(0);
}

// ---- the one who kills and compares ------------------------------------------------------------

struct crash {
	uint64_t random, reports, kills, ends;
	char dir[64];
	struct model model;
};

static void print_seed(const struct crash *c, uint64_t seed)
{
	printf("# SEED=%llu: %llu reports of %llu lives, %llu killed; %llu grants, %llu refusals; %llu rows "
	       "came back, %llu had to\n",
		(unsigned long long)seed, (unsigned long long)c->reports,
		(unsigned long long)c->model.lives, (unsigned long long)c->kills,
		(unsigned long long)c->model.grants, (unsigned long long)c->model.refusals,
		(unsigned long long)c->model.rows, (unsigned long long)c->model.kept);
	fflush(stdout);
}

// Listens until the process has said `most` things or the time is over, kills it, and hears the rest.
static void listen_and_kill(struct crash *c, int in, pid_t pid, uint64_t most, int wait_ms)
{
	struct report r;
	struct pollfd p = {in, POLLIN, 0};
	for (uint64_t n = 0; n < most; n++) {
		if (wait_ms >= 0 && poll(&p, 1, wait_ms) != 1)
			break;
		if (read(in, &r, sizeof(r)) != sizeof(r))
			break;
		c->reports++;
		model_take(&c->model, &r);
	}
	kill(pid, SIGKILL);
	while (read(in, &r, sizeof(r)) == sizeof(r)) {
		c->reports++;
		model_take(&c->model, &r);
	}
}

static void one_life(struct crash *c)
{
	static struct model before;
	int fds[2], status;
	uint64_t seed = life_draw(&c->random), lot = life_draw(&c->random) % 8;
	// Early, while it opens the store; anywhere; or never.
	uint64_t most = lot == 0   ? life_draw(&c->random) % 8
			: lot == 7 ? UINT64_MAX
				   : life_draw(&c->random) % 4000;
	unsigned ops = lot == 7 ? 1 + (unsigned)(life_draw(&c->random) % 2000) : UINT32_MAX;
	assert_int_equal(pipe(fds), 0);
	before = c->model;
	c->model.ready = false;
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(fds[0]);
		live(c->dir, fds[1], seed, ops);
	}
	close(fds[1]);
	listen_and_kill(c, fds[0], pid, most, -1);
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	bool closed = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	if (!closed && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL))
		fail_msg("the process ended by itself, status %d", status);
	c->kills += !closed;
	c->ends += closed;
	if (!c->model.ready) // it had changed nothing
		c->model = before;
	if (closed)
		model_closed(&c->model);
}

static uint64_t env_number(const char *name, uint64_t other)
{
	const char *text = getenv(name);
	return text ? strtoull(text, NULL, 0) : other;
}

static struct crash crash;
static uint64_t seed_used;

static void nothing_is_lost_or_shared(void **state)
{
	struct crash *c = &crash;
	uint64_t seconds = env_number("LEASE_CRASH_S", SECONDS);
	seed_used = env_number("SEED", random_u64(&random_system) % 1000000);
	c->random = seed_used;
	snprintf(c->dir, sizeof(c->dir), "/tmp/lease-crash.XXXXXX");
	assert_non_null(mkdtemp(c->dir));
	model_init(&c->model);
	uint64_t end = clock_now_ns(&clock_system) + seconds * NS_PER_S;
	// A busy machine has few lives a second.
	while (clock_now_ns(&clock_system) < end || c->kills < 6)
		one_life(c);
	assert_true(c->kills > 5 && c->model.kept > 0);
	assert_true(c->model.grants > 100);
}

static int tidy(void **state)
{
	char command[128];
	print_seed(&crash, seed_used);
	snprintf(command, sizeof(command), "rm -rf '%s'", crash.dir);
	return crash.dir[0] ? system(command) : 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(nothing_is_lost_or_shared, tidy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
