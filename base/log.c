// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES  1024
#define QUEUE_MAX_BYTES (1u << 20)

static const char *const level_text[] = {"error", "warning", "notice", "debug"};

// The only process-wide state of the project: stderr is one for all.
static struct {
	enum log_level level;
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	bool running;
	bool stopping;
	char *queue; // lines that wait, back to back
	char *spare; // the buffer that the thread writes from
	size_t queued;
	uint32_t lost;
} state = {
	.level = LOG_NOTICE, .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void write_all(const char *p, size_t len)
{
	while (len) {
		ssize_t n = write(STDERR_FILENO, p, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; // nobody reads: nothing better to do with a log line
		p += n;
		len -= (size_t)n;
	}
}

void log_set_level(enum log_level level)
{
	state.level = level;
}

enum log_level log_level_get(void)
{
	return state.level;
}

static void *writer(void *arg)
{
	(void)arg;
	pthread_mutex_lock(&state.lock);
	while (!state.stopping || state.queued) {
		if (!state.queued) {
			pthread_cond_wait(&state.more, &state.lock);
			continue;
		}
		char *out = state.queue;
		size_t len = state.queued;
		uint32_t lost = state.lost;
		state.queue = state.spare;
		state.spare = out;
		state.queued = 0;
		state.lost = 0;
		pthread_mutex_unlock(&state.lock);
		write_all(out, len);
		if (lost) {
			char text[64];
			int n = snprintf(text, sizeof(text), "warning log: %u lines lost\n", lost);
			write_all(text, (size_t)n);
		}
		pthread_mutex_lock(&state.lock);
	}
	pthread_mutex_unlock(&state.lock);
	return NULL;
}

int log_start(void)
{
	state.queue = malloc(QUEUE_MAX_BYTES);
	state.spare = malloc(QUEUE_MAX_BYTES);
	state.stopping = false;
	if (!state.queue || !state.spare)
		goto fail;
	int rc = pthread_create(&state.thread, NULL, writer, NULL);
	if (rc == 0) {
		state.running = true;
		return 0;
	}
fail:
	free(state.queue);
	free(state.spare);
	state.queue = state.spare = NULL;
	return -ENOMEM;
}

void log_stop(void)
{
	if (!state.running)
		return;
	pthread_mutex_lock(&state.lock);
	state.stopping = true;
	pthread_cond_signal(&state.more);
	pthread_mutex_unlock(&state.lock);
	pthread_join(state.thread, NULL);
	state.running = false;
	free(state.queue);
	free(state.spare);
	state.queue = state.spare = NULL;
}

void log_line(enum log_level level, const char *subsystem, const char *format, ...)
{
	if (level > state.level)
		return;
	char line[LINE_MAX_BYTES];
	struct timespec ts;
	struct tm tm;
	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	size_t n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", &tm);
	n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03ldZ %s %s: ", ts.tv_nsec / 1000000,
		level_text[level], subsystem);
	va_list ap;
	va_start(ap, format);
	int m = vsnprintf(line + n, sizeof(line) - n - 1, format, ap);
	va_end(ap);
	if (m > 0)
		n += (size_t)m < sizeof(line) - n - 1 ? (size_t)m : sizeof(line) - n - 2;
	line[n++] = '\n';

	pthread_mutex_lock(&state.lock);
	if (!state.running) {
		pthread_mutex_unlock(&state.lock);
		write_all(line, n);
		return;
	}
	if (QUEUE_MAX_BYTES - state.queued >= n) {
		memcpy(state.queue + state.queued, line, n);
		state.queued += n;
		pthread_cond_signal(&state.more);
	} else {
		state.lost++;
	}
	pthread_mutex_unlock(&state.lock);
}

bool log_limit_pass(struct log_limit *l, uint64_t now_ns, uint32_t *suppressed)
{
	if (l->window_start_ns == 0 || now_ns - l->window_start_ns >= l->interval_ns) {
		l->window_start_ns = now_ns ? now_ns : 1;
		l->used = 0;
	}
	if (l->used >= l->burst) {
		l->suppressed++;
		return false;
	}
	l->used++;
	*suppressed = l->suppressed;
	l->suppressed = 0;
	return true;
}

const char *log_printable(const void *bytes, size_t len, char *buf, size_t cap)
{
	const unsigned char *p = bytes;
	size_t n = 0;
	if (cap == 0)
		return "";
	for (size_t i = 0; i < len; i++) {
		bool plain = p[i] >= 0x20 && p[i] < 0x7f && p[i] != '\\';
		size_t need = plain ? 1 : 4;
		if (n + need + 1 > cap)
			break;
		if (plain)
			buf[n++] = (char)p[i];
		else
			n += (size_t)snprintf(buf + n, cap - n, "\\x%02x", p[i]);
	}
	buf[n] = '\0';
	return buf;
}
