// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The lease store's two sides: the control thread, which leaves its wishes in a queue, and the lease
// writer, which takes the queue whole and makes a transaction of it.
#include "pools/store_parts.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

LOG_SUBSYSTEM("leases");

#define CHUNK_MAX      8192  // rows a transaction: after a long outage nobody waits for all of it
#define LOG_PAGES_IDLE 256   // of the log, copied back when nothing waits
#define LOG_PAGES_MAX  16384 // copied back whatever waits
#define RETRY_MIN_NS   (1 * NS_PER_S)
#define RETRY_MAX_NS   (8 * NS_PER_S)
#define RESULTS        16

struct lease_store {
	pthread_mutex_t lock; // held for moves of pointers alone
	pthread_cond_t work;
	pthread_t thread;
	bool started, stopping;
	// Under the lock:
	bool loading;           // the database is the control thread's
	struct store_queue *in; // what the control thread leaves
	uint64_t ticket;        // the last one given out
	uint64_t told;          // the last one that was settled
	uint64_t
		waiting_since; // when ticket waiting_for came, which is not settled; 0: there is none
	uint64_t waiting_for;
	struct lease_settled results[RESULTS];
	size_t result_count;
	// The writer's:
	struct store_queue *taken, *rest; // just taken over; still to be written
	struct store_files files;
	uint64_t retry_at, retry_ns; // 0: the last transaction went well
	struct log_limit limit;
	int wake_fd;
	struct store_queue queues[3];
	// Read by anybody:
	_Atomic uint64_t rows, bytes, commits, written, failed, waiting_in, waiting_rest;
	_Atomic uint64_t commit_ns, commit_max_ns;
	atomic_bool degraded;
};

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

static void wake(int fd)
{
	uint64_t one = 1;
	ssize_t n;
	if (fd < 0)
		return;
	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	// EAGAIN: the counter is at its limit, so that whoever reads it is awake anyway.
}

// Control thread: into the queue and on.
static uint64_t submit(struct lease_store *s, const struct ip_addr *addr, struct store_body *body)
{
	struct store_op *op = malloc(sizeof(*op));
	if (!op) {
		free(body);
		return 0;
	}
	*op = (struct store_op){.addr = *addr, .body = body};
	uint64_t now = now_ns();
	pthread_mutex_lock(&s->lock);
	uint64_t ticket = op->first = ++s->ticket;
	if (!s->waiting_since) {
		s->waiting_since = now;
		s->waiting_for = ticket;
	}
	struct store_op *unused = store_queue_put(s->in, op);
	atomic_store_explicit(&s->waiting_in, s->in->count, memory_order_relaxed);
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
	store_op_free(unused);
	return ticket;
}

static uint64_t journal_put(void *ctx, const struct lease_row *row)
{
	uint8_t bytes[STORE_BODY_MAX];
	struct lease_row dated = *row;
	dated.written_s = (int64_t)clock_system.wall_s(clock_system.ctx);
	size_t len = store_row_encode(&dated, bytes);
	struct store_body *body = len ? malloc(sizeof(*body) + len) : NULL;
	if (!body)
		return 0;
	body->len = len;
	memcpy(body->bytes, bytes, len);
	return submit(ctx, &row->addr, body);
}

static uint64_t journal_drop(void *ctx, const struct ip_addr *addr)
{
	return submit(ctx, addr, NULL);
}

void lease_store_journal(struct lease_store *s, struct lease_journal *out)
{
	*out = (struct lease_journal){.ctx = s, .put = journal_put, .drop = journal_drop};
}

// With the lock. More results than anybody picks up are one, and then not durable is the safe word.
static void settle(struct lease_store *s, uint64_t ticket, bool durable)
{
	if (ticket <= s->told)
		return;
	struct lease_settled *last = s->result_count ? &s->results[s->result_count - 1] : NULL;
	if (last && (last->durable == durable || s->result_count == RESULTS))
		*last = (struct lease_settled){ticket, last->durable && durable};
	else
		s->results[s->result_count++] = (struct lease_settled){ticket, durable};
	s->told = ticket;
	if (s->told >= s->waiting_for) {
		s->waiting_since = s->told == s->ticket ? 0 : now_ns();
		s->waiting_for = s->ticket;
	}
}

bool lease_store_settled(struct lease_store *s, struct lease_settled *out)
{
	pthread_mutex_lock(&s->lock);
	if (s->waiting_since && now_ns() - s->waiting_since > LEASE_STORE_PATIENCE_NS)
		settle(s, s->ticket, false);
	bool any = s->result_count > 0;
	if (any) {
		*out = s->results[0];
		s->result_count--;
		memmove(s->results, s->results + 1, s->result_count * sizeof(*s->results));
	}
	pthread_mutex_unlock(&s->lock);
	return any;
}

static void settle_and_wake(struct lease_store *s, uint64_t ticket, bool durable)
{
	pthread_mutex_lock(&s->lock);
	settle(s, ticket, durable);
	pthread_mutex_unlock(&s->lock);
	wake(s->wake_fd);
}

// What was just taken over goes behind what is still to be written.
static void merge(struct lease_store *s)
{
	if (!s->rest->count) {
		struct store_queue *empty = s->rest;
		s->rest = s->taken;
		s->taken = empty;
	}
	while (s->taken->count)
		store_op_free(store_queue_put(s->rest, store_queue_pop(s->taken)));
	atomic_store_explicit(&s->waiting_rest, s->rest->count, memory_order_relaxed);
}

static uint64_t file_bytes(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
}

static void note_size(struct lease_store *s)
{
	atomic_store(&s->bytes, file_bytes(s->files.paths.db) + file_bytes(s->files.paths.log));
	atomic_store(&s->rows, s->files.db.rows);
}

static void note_failure(struct lease_store *s, int rc)
{
	uint32_t suppressed = 0;
	uint64_t now = now_ns();
	atomic_fetch_add(&s->failed, 1);
	if (log_limit_pass(&s->limit, now, &suppressed))
		log_error("%s cannot be written (%s): leases in memory only, and lost if this "
			  "process ends: %zu; it is tried until it works",
			s->files.paths.db, strerror(-rc), s->rest->count);
	s->retry_ns = s->retry_ns ? s->retry_ns * 2 : RETRY_MIN_NS;
	if (s->retry_ns > RETRY_MAX_NS)
		s->retry_ns = RETRY_MAX_NS;
	s->retry_at = now + s->retry_ns;
	atomic_store(&s->degraded, true);
}

static void note_success(struct lease_store *s, size_t count, uint64_t took_ns)
{
	if (s->retry_ns)
		log_notice("%s is written again", s->files.paths.db);
	s->retry_ns = s->retry_at = 0;
	atomic_store(&s->degraded, false);
	atomic_store(&s->commit_ns, took_ns);
	if (took_ns > atomic_load(&s->commit_max_ns))
		atomic_store(&s->commit_max_ns, took_ns);
	atomic_fetch_add(&s->commits, 1);
	atomic_fetch_add(&s->written, count);
	atomic_store(&s->rows, s->files.db.rows);
}

static void write_mark(struct lease_store *s)
{
	struct mark_text t = {.txn = s->files.db.txn};
	memcpy(t.id, s->files.db.id, sizeof(t.id));
	// One that is older than the truth says less and harms nothing.
	if (store_mark_write(&s->files.mark, &t, false) != 0)
		log_debug("%s: not written", s->files.paths.mark);
}

// The oldest rows, as one transaction. Tickets up to last stand for what the queue holds.
static int write_some(struct lease_store *s, uint64_t last)
{
	size_t count = s->rest->count < CHUNK_MAX ? s->rest->count : CHUNK_MAX;
	uint64_t start = now_ns();
	int rc = store_db_write(&s->files.db, s->rest->head, count);
	if (rc) {
		note_failure(s, rc);
		settle_and_wake(s, last, false);
		return rc;
	}
	write_mark(s);
	for (size_t i = 0; i < count; i++)
		store_op_free(store_queue_pop(s->rest));
	note_success(s, count, now_ns() - start);
	atomic_store_explicit(&s->waiting_rest, s->rest->count, memory_order_relaxed);
	settle_and_wake(s, s->rest->head ? s->rest->head->first - 1 : last, true);
	return 0;
}

// The log back into the file, in which its pages are once each.
static void tidy(struct lease_store *s, bool idle)
{
	if (s->files.db.log_pages < (idle ? LOG_PAGES_IDLE : LOG_PAGES_MAX))
		return;
	int rc = store_db_checkpoint(&s->files.db);
	if (rc) // the log grows meanwhile; the next commit tells if there is no room for it
		log_debug("%s: checkpoint: %s", s->files.paths.db, strerror(-rc));
	note_size(s);
}

// With the lock. Until there is something to write, or the time has come to try again.
static void wait_for_work(struct lease_store *s)
{
	while (s->loading || (!s->in->count && !s->stopping)) {
		if (s->loading || !s->rest->count) {
			pthread_cond_wait(&s->work, &s->lock);
			continue;
		}
		if (now_ns() >= s->retry_at)
			return;
		struct timespec t = {.tv_sec = (time_t)(s->retry_at / NS_PER_S),
			.tv_nsec = (long)(s->retry_at % NS_PER_S)};
		pthread_cond_timedwait(&s->work, &s->lock, &t);
	}
}

static void *writer_main(void *arg)
{
	struct lease_store *s = arg;
	pthread_mutex_lock(&s->lock);
	for (bool last_try = false; !last_try;) {
		wait_for_work(s);
		struct store_queue *in = s->in;
		s->in = s->taken;
		s->taken = in;
		atomic_store_explicit(&s->waiting_in, 0, memory_order_relaxed);
		uint64_t last = s->ticket;
		bool stopping = s->stopping;
		pthread_mutex_unlock(&s->lock);
		merge(s);
		if (s->rest->count && (stopping || now_ns() >= s->retry_at))
			last_try = write_some(s, last) != 0 && stopping;
		else if (s->rest->count)
			settle_and_wake(s, last, false); // nobody waits for the next try
		pthread_mutex_lock(&s->lock);
		bool idle = !s->in->count && !s->rest->count;
		last_try = last_try || (stopping && idle);
		pthread_mutex_unlock(&s->lock);
		tidy(s, idle);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

static int create_writer(struct lease_store *s, const int *cores, size_t count)
{
	pthread_attr_t attr;
	cpu_set_t set;
	int rc = pthread_attr_init(&attr);
	if (rc != 0)
		return -rc;
	CPU_ZERO(&set);
	for (size_t i = 0; i < count; i++)
		if (cores[i] >= 0 && cores[i] < CPU_SETSIZE)
			CPU_SET((size_t)cores[i], &set);
	if (count)
		rc = pthread_attr_setaffinity_np(&attr, sizeof(set), &set);
	if (rc == 0)
		rc = pthread_create(&s->thread, &attr, writer_main, s);
	pthread_attr_destroy(&attr);
	return -rc;
}

// No signal is the writer's, and a limit of the file size (SIGXFSZ) is an error like a full disk.
static void block_signals(sigset_t *before)
{
	sigset_t all;
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, before);
}

static int start_writer(struct lease_store *s, const struct lease_store_params *p)
{
	sigset_t before;
	block_signals(&before);
	int rc = create_writer(s, p->cores, p->core_count);
	if (rc == -EINVAL && p->core_count) {
		log_warning("there is no such CPU here for the lease writer: it shares another");
		rc = create_writer(s, NULL, 0);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->started = rc == 0;
	if (s->started)
		pthread_setname_np(s->thread, "lease-writer");
	return rc;
}

static struct lease_store *store_new(const struct lease_store_params *p)
{
	pthread_condattr_t attr;
	struct lease_store *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->files.mark.lock_fd = -1;
	s->wake_fd = p->wake_fd;
	s->limit = (struct log_limit){.interval_ns = 60 * NS_PER_S, .burst = 1};
	pthread_mutex_init(&s->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->work, &attr);
	pthread_condattr_destroy(&attr);
	s->in = &s->queues[0];
	s->taken = &s->queues[1];
	s->rest = &s->queues[2];
	for (size_t i = 0; i < 3; i++) {
		if (store_queue_init(&s->queues[i]) != 0) {
			lease_store_close(s);
			return NULL;
		}
	}
	return s;
}

int lease_store_open(const struct lease_store_params *p, FILE *errors, struct lease_store **out)
{
	*out = NULL;
	struct lease_store *s = store_new(p);
	if (!s)
		return -ENOMEM;
	sigset_t before;
	block_signals(&before);
	int rc = store_files_open(p->dir, errors, &s->files);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc == 0) {
		note_size(s);
		rc = start_writer(s, p);
		if (rc)
			fprintf(errors, "lease writer: %s\n", strerror(-rc));
	}
	if (rc) {
		lease_store_close(s);
		return rc;
	}
	*out = s;
	return 0;
}

static int load(struct store_db *d, int (*row)(void *ctx, const struct lease_row *row), void *ctx)
{
	sqlite3_stmt *all = NULL;
	struct lease_row r;
	int result = 0;
	int rc = sqlite3_prepare_v2(d->db, "SELECT " STORE_COLUMNS " FROM lease", -1, &all, NULL);
	while (rc == SQLITE_OK && result == 0 && (rc = sqlite3_step(all)) == SQLITE_ROW) {
		result = store_db_row(all, &r, NULL) ? row(ctx, &r) : -EUCLEAN;
		rc = SQLITE_OK;
	}
	sqlite3_finalize(all);
	return result ? result : store_errno(d->db, rc);
}

static void set_loading(struct lease_store *s, bool loading)
{
	pthread_mutex_lock(&s->lock);
	s->loading = loading;
	pthread_cond_signal(&s->work);
	pthread_mutex_unlock(&s->lock);
}

// row() may drop rows that no pool has any longer: the writer begins when all were read.
int lease_store_load(
	struct lease_store *s, int (*row)(void *ctx, const struct lease_row *row), void *ctx)
{
	set_loading(s, true);
	int rc = load(&s->files.db, row, ctx);
	set_loading(s, false);
	return rc;
}

void lease_store_close(struct lease_store *s)
{
	if (!s)
		return;
	if (s->started) {
		pthread_mutex_lock(&s->lock);
		s->stopping = true;
		pthread_cond_signal(&s->work);
		pthread_mutex_unlock(&s->lock);
		pthread_join(s->thread, NULL);
		if (s->rest->count)
			log_error("%s: %zu leases could not be written and are lost",
				s->files.paths.db, s->rest->count);
	}
	store_files_close(&s->files);
	for (size_t i = 0; i < 3; i++)
		store_queue_fini(&s->queues[i]);
	pthread_cond_destroy(&s->work);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void lease_store_stats(const struct lease_store *s, struct lease_store_stats *out)
{
	*out = (struct lease_store_stats){
		.rows = atomic_load(&s->rows),
		.bytes = atomic_load(&s->bytes),
		.commits = atomic_load(&s->commits),
		.written = atomic_load(&s->written),
		.failed_commits = atomic_load(&s->failed),
		.waiting = atomic_load(&s->waiting_in) + atomic_load(&s->waiting_rest),
		.commit_ns = atomic_load(&s->commit_ns),
		.commit_max_ns = atomic_load(&s->commit_max_ns),
		.degraded = atomic_load(&s->degraded),
	};
}
