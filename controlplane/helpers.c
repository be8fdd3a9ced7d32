// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The crypto helpers: threads that take jobs from one queue and put them into another.
#include "controlplane/controlplane.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

LOG_SUBSYSTEM("ike");

#define JOBS_MAX 4096 // submitted and not yet begun

struct job_list {
	struct ike_job *head;
	struct ike_job **tail; // where the next one is linked
};

struct ike_helpers {
	pthread_mutex_t lock; // held for moves of pointers alone
	pthread_cond_t work;
	struct job_list todo;
	struct job_list done;
	size_t waiting; // in todo
	bool stopping;
	int wake_fd;
	pthread_t *threads;
	size_t thread_count;
};

static void list_init(struct job_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void list_put(struct job_list *l, struct ike_job *job)
{
	job->next = NULL;
	*l->tail = job;
	l->tail = &job->next;
}

static struct ike_job *list_get(struct job_list *l)
{
	struct ike_job *job = l->head;
	if (job) {
		l->head = job->next;
		if (!l->head)
			l->tail = &l->head;
		job->next = NULL;
	}
	return job;
}

static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t n;
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	// EAGAIN: the counter is at its limit, so that whoever reads it is awake anyway.
}

static void *helper_main(void *arg)
{
	struct ike_helpers *h = arg;
	pthread_mutex_lock(&h->lock);
	for (;;) {
		while (!h->todo.head && !h->stopping)
			pthread_cond_wait(&h->work, &h->lock);
		if (h->stopping)
			break;
		struct ike_job *job = list_get(&h->todo);
		h->waiting--;
		pthread_mutex_unlock(&h->lock);
		job->run(job);
		pthread_mutex_lock(&h->lock);
		list_put(&h->done, job);
		pthread_mutex_unlock(&h->lock);
		wake(h->wake_fd);
		pthread_mutex_lock(&h->lock);
	}
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

// core NULL: where the caller runs.
static int helper_create(struct ike_helpers *h, const uint16_t *core)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	if (core) {
		cpu_set_t set;
		CPU_ZERO(&set);
		if (*core < CPU_SETSIZE)
			CPU_SET(*core, &set);
		rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	}
	if (rc == 0)
		rc = pthread_create(&h->threads[h->thread_count], &attr, helper_main, h);
	pthread_attr_destroy(&attr);
	return -rc;
}

static int helper_start(struct ike_helpers *h, const uint16_t *core)
{
	int rc = helper_create(h, core);
	// A core that is not there costs speed, as it does for workers.
	if (rc == -EINVAL && core) {
		log_warning(
			"there is no CPU %u here for a crypto helper: it shares another", *core);
		rc = helper_create(h, NULL);
	}
	if (rc == 0)
		pthread_setname_np(h->threads[h->thread_count++], "ike-helper");
	return rc;
}

int ike_helpers_new(const uint16_t *cores, size_t count, int wake_fd, struct ike_helpers **out)
{
	size_t threads = count ? count : 1;
	*out = NULL;
	struct ike_helpers *h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->threads = calloc(threads, sizeof(*h->threads));
	if (!h->threads) {
		free(h);
		return -ENOMEM;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->work, NULL);
	list_init(&h->todo);
	list_init(&h->done);
	h->wake_fd = wake_fd;
	for (size_t i = 0; i < threads; i++) {
		int rc = helper_start(h, count ? &cores[i] : NULL);
		if (rc != 0) {
			ike_helpers_free(h);
			return rc;
		}
	}
	*out = h;
	return 0;
}

static int submit(void *ctx, struct ike_job *job)
{
	struct ike_helpers *h = ctx;
	int rc = -EAGAIN;
	pthread_mutex_lock(&h->lock);
	if (h->waiting < JOBS_MAX && !h->stopping) {
		list_put(&h->todo, job);
		h->waiting++;
		rc = 0;
	}
	pthread_mutex_unlock(&h->lock);
	if (rc == 0)
		pthread_cond_signal(&h->work);
	return rc;
}

struct ike_jobs ike_helpers_jobs(struct ike_helpers *h)
{
	return (struct ike_jobs){.ctx = h, .submit = submit};
}

struct ike_job *ike_helpers_done(struct ike_helpers *h)
{
	pthread_mutex_lock(&h->lock);
	struct ike_job *job = list_get(&h->done);
	// After the stop nobody else takes what has not begun.
	if (!job && h->stopping) {
		job = list_get(&h->todo);
		h->waiting -= job != NULL;
	}
	pthread_mutex_unlock(&h->lock);
	return job;
}

void ike_helpers_stop(struct ike_helpers *h)
{
	pthread_mutex_lock(&h->lock);
	h->stopping = true;
	pthread_mutex_unlock(&h->lock);
	pthread_cond_broadcast(&h->work);
	for (size_t i = 0; i < h->thread_count; i++)
		pthread_join(h->threads[i], NULL);
	h->thread_count = 0;
}

void ike_helpers_free(struct ike_helpers *h)
{
	if (!h)
		return;
	ike_helpers_stop(h);
	pthread_cond_destroy(&h->work);
	pthread_mutex_destroy(&h->lock);
	free(h->threads);
	free(h);
}
