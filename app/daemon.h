// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The running headend: what is started in order and stopped in reverse, and the control loop.
#pragma once

#include "app/mgmt.h"

struct daemon {
	const char *config_path;
	struct cfg *cfg;
	struct ike_credentials *credentials;
	struct secret qcd_secret;
	struct dp *dp;
	struct pools *pools;
	struct address_source addresses;
	struct ike_helpers *helpers;
	struct ike_engine *engine;
	struct mgmt *mgmt;
	int signal_fd;
	int helper_fd; // eventfd: a helper has finished a job
	int mgmt_fd;   // eventfd: the management thread asks something
	int epoll_fd;
	uint64_t started_ns;
	uint64_t pools_tick_ns;           // when pools_tick() is due
	size_t ike_counters, dp_counters; // how many there are; 0: not yet asked
	bool stopping;
	uint64_t stop_ns; // the latest moment to wait for answers to DELETE
};

// Start everything; what had begun is undone where a later step fails. 0 or -errno, logged.
MUST_USE int daemon_start(struct daemon *d, const char *config_path);
// Stop everything that was started, in reverse.
void daemon_stop(struct daemon *d);

// The control thread's loop: returns after SIGTERM or SIGINT, once peers were told or time is up.
void daemon_run(struct daemon *d);

// What the management thread may ask.
struct mgmt_provider daemon_provider(struct daemon *d);
