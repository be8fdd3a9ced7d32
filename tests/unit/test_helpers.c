// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "controlplane/controlplane.h"
#include "controlplane/crypto/crypto.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define JOBS 20000

struct counted {
	struct ike_job job;
	unsigned runs; // by the helper, read after the job came back
	pthread_t by;
};

static struct counted jobs[JOBS];
static atomic_bool gate;  // open: jobs may go on
static atomic_bool waits; // a job stands before it

static void count_run(struct ike_job *job)
{
	struct counted *c = (struct counted *)(void *)job;
	c->runs++;
	c->by = pthread_self();
}

static void gate_run(struct ike_job *job)
{
	atomic_store(&waits, true);
	while (!atomic_load(&gate))
		usleep(100);
	count_run(job);
}

static void jobs_reset(void (*run)(struct ike_job *))
{
	memset(jobs, 0, sizeof(jobs));
	for (size_t i = 0; i < JOBS; i++) {
		jobs[i].job.run = run;
		jobs[i].job.token = i;
	}
}

// The next finished job, waited for by the event descriptor; fails after ten seconds.
static struct ike_job *next_done(struct ike_helpers *h, int fd)
{
	struct ike_job *job;
	while (!(job = ike_helpers_done(h))) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		uint64_t n;
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_int_equal(read(fd, &n, sizeof(n)), sizeof(n));
	}
	return job;
}

// All jobs come back, once each, having run once, on two threads, through a queue that refuses
// when it is full.
static void all_come_back(void **state)
{
	static const uint16_t cores[] = {0, 0};
	int fd = eventfd(0, EFD_NONBLOCK);
	struct ike_helpers *h;
	assert_int_equal(ike_helpers_new(cores, 2, fd, &h), 0);
	struct ike_jobs seam = ike_helpers_jobs(h);
	jobs_reset(count_run);
	size_t sent = 0, back = 0;
	static bool seen[JOBS];
	memset(seen, 0, sizeof(seen));
	while (back < JOBS) {
		while (sent < JOBS && seam.submit(seam.ctx, &jobs[sent].job) == 0)
			sent++;
		struct ike_job *job = next_done(h, fd);
		assert_false(seen[job->token]);
		assert_ptr_equal(job, &jobs[job->token].job);
		assert_int_equal(jobs[job->token].runs, 1);
		assert_false(pthread_equal(jobs[job->token].by, pthread_self()));
		assert_null(job->next);
		seen[job->token] = true;
		back++;
	}
	assert_null(ike_helpers_done(h));
	ike_helpers_stop(h);
	assert_null(ike_helpers_done(h));
	ike_helpers_free(h);
	close(fd);
}

// 4096 wait, the next one is refused and stays its owner's; after the stop those that had not
// begun come back unrun.
static void full_and_stopped(void **state)
{
	int fd = eventfd(0, EFD_NONBLOCK);
	struct ike_helpers *h;
	atomic_store(&gate, false);
	assert_int_equal(ike_helpers_new(NULL, 0, fd, &h), 0);
	struct ike_jobs seam = ike_helpers_jobs(h);
	jobs_reset(gate_run);
	// One runs, so that the queue is empty.
	assert_int_equal(seam.submit(seam.ctx, &jobs[0].job), 0);
	while (!atomic_load(&waits))
		usleep(100);
	size_t sent = 1;
	while (seam.submit(seam.ctx, &jobs[sent].job) == 0)
		sent++;
	assert_int_equal(sent, 1 + 4096);
	assert_int_equal(seam.submit(seam.ctx, &jobs[sent].job), -EAGAIN);
	atomic_store(&gate, true);
	ike_helpers_stop(h);
	assert_int_equal(seam.submit(seam.ctx, &jobs[JOBS - 1].job), -EAGAIN);
	size_t back = 0, unrun = 0;
	struct ike_job *job;
	while ((job = ike_helpers_done(h))) {
		back++;
		unrun += jobs[job->token].runs == 0;
	}
	assert_int_equal(back, sent);
	assert_true(unrun > 0);
	ike_helpers_stop(h);
	ike_helpers_free(h);
	ike_helpers_free(NULL);
	close(fd);
}

// A core that is not there: the helpers work all the same, as the workers do.
static void no_such_core(void **state)
{
	static const uint16_t cores[] = {CPU_SETSIZE - 1, 65535};
	int fd = eventfd(0, EFD_NONBLOCK);
	struct ike_helpers *h;
	assert_int_equal(ike_helpers_new(cores, 2, fd, &h), 0);
	struct ike_jobs seam = ike_helpers_jobs(h);
	jobs_reset(count_run);
	assert_int_equal(seam.submit(seam.ctx, &jobs[0].job), 0);
	assert_ptr_equal(next_done(h, fd), &jobs[0].job);
	ike_helpers_stop(h);
	ike_helpers_free(h);
	close(fd);
}

// Two threads with the library's per-thread contexts: DH of two sides.
static void real_jobs(void **state)
{
	enum { PAIRS = 64 };
	int fd = eventfd(0, EFD_NONBLOCK);
	struct ike_helpers *h;
	static const uint16_t cores[] = {0, 0};
	struct ike_dh *own = ike_dh_new(DH_X25519);
	assert_int_equal(ike_dh_generate(own), IKE_CRYPTO_OK);
	assert_int_equal(ike_helpers_new(cores, 2, fd, &h), 0);
	struct ike_jobs seam = ike_helpers_jobs(h);
	for (int i = 0; i < PAIRS; i++) {
		struct ike_dh_job *j = ike_dh_job_respond(DH_X25519, ike_dh_public(own));
		assert_int_equal(seam.submit(seam.ctx, &j->base.job), 0);
	}
	for (int i = 0; i < PAIRS; i++) {
		struct ike_dh_job *j = IKE_JOB_AS(ike_dh_job, next_done(h, fd));
		struct secret s;
		assert_int_equal(j->base.error, IKE_CRYPTO_OK);
		assert_int_equal(ike_dh_derive(own, ike_dh_public(j->dh), &s), IKE_CRYPTO_OK);
		assert_true(view_eq(secret_view(&s), secret_view(&j->shared)));
		secret_fini(&s);
		ike_job_free(&j->base.job);
	}
	ike_helpers_free(h);
	ike_dh_free(own);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_come_back),
		cmocka_unit_test(full_and_stopped),
		cmocka_unit_test(no_such_core),
		cmocka_unit_test(real_jobs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
