// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Log lines to stderr, by a thread of their own once log_start() ran, so that no caller blocks.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_DEBUG };

// Lines above this level are not formatted. Default LOG_NOTICE. Set before threads start.
void log_set_level(enum log_level level);
enum log_level log_level_get(void);

// From here on lines are queued (at most 1 MiB) and written by one thread; what finds no room is
// counted and reported. log_stop() writes what is queued. Without log_start() lines are written
// by the caller. 0 or -errno.
int log_start(void);
void log_stop(void);

__attribute__((format(printf, 3, 4))) void log_line(
	enum log_level level, const char *subsystem, const char *format, ...);

// One limiter a cause that outsiders can provoke: at most burst lines each interval, and the next
// line after a pause says how many were suppressed.
struct log_limit {
	uint64_t interval_ns;
	uint32_t burst;
	// private
	uint64_t window_start_ns;
	uint32_t used;
	uint32_t suppressed;
};

#define LOG_LIMIT_DEFAULT                                 \
	{                                                 \
		.interval_ns = 5000000000ull, .burst = 10 \
	}

// True if a line may be written at now_ns; *suppressed gets how many were not since the last.
// Same thread for one limiter.
bool log_limit_pass(struct log_limit *l, uint64_t now_ns, uint32_t *suppressed);

// Each file that logs says LOG_SUBSYSTEM("ike") once; %s of peer data goes through log_printable().
#define LOG_SUBSYSTEM(name) static const char *const log_subsystem = name

#define log_error(...)   log_line(LOG_ERROR, log_subsystem, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, log_subsystem, __VA_ARGS__)
#define log_notice(...)  log_line(LOG_NOTICE, log_subsystem, __VA_ARGS__)
#define log_debug(...)                                                   \
	do {                                                             \
		if (log_level_get() >= LOG_DEBUG)                        \
			log_line(LOG_DEBUG, log_subsystem, __VA_ARGS__); \
	} while (0)

// Copy bytes from outside into buf as printable ASCII, anything else as \xHH, cut to fit.
const char *log_printable(const void *bytes, size_t len, char *buf, size_t cap);
