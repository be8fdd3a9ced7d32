// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The running headend: what is started in order and stopped in reverse, and the control loop.
#pragma once

#include "app/mgmt.h"
#include "pools/dhcp.h"
#include "pools/store.h"

// Ranges that workers guard though no pool has them any longer, and all others.
struct guard {
	struct dp_pool_range *ranges;
	size_t count; // 0: the pools' alone
};

struct daemon {
	const char *config_path;
	struct cfg *cfg;
	struct ike_credentials *credentials;
	struct secret qcd_secret;
	struct dp *dp;
	struct lease_store *leases;   // NULL: they are in memory alone
	struct lease_journal journal; // its
	uint64_t leases_read;         // of the last life
	bool leases_due;              // something may have settled
	struct lease_settled settled; // what the store said last
	uint64_t settled_to;          // the ticket up to which the pools know of it
	struct dhcp *dhcp;
	bool dhcp_ready; // its descriptor is readable
	struct pools *pools;
	struct address_source addresses;
	struct guard guard;
	bool reloading;     // between the first and the last step of a reload
	uint64_t shrink_ns; // when guard is looked at
	struct ike_helpers *helpers;
	struct ike_engine *engine;
	struct mgmt *mgmt;
	int signal_fd;
	int helper_fd; // eventfd: a helper has finished a job
	int mgmt_fd;   // eventfd: the management thread asks something
	int leases_fd; // eventfd: the lease writer has something; -1: none
	int epoll_fd;
	uint64_t started_ns;
	uint64_t pools_tick_ns;                          // when pools_tick() is due
	size_t ike_counters, dp_counters, dhcp_counters; // how many there are; 0: not yet asked
	bool stopping;
	uint64_t stop_ns; // the latest moment to wait for answers to DELETE
};

// Start everything; what had begun is undone where a later step fails. 0 or -errno, logged.
MUST_USE int daemon_start(struct daemon *d, const char *config_path);
// Stop everything that was started, in reverse.
void daemon_stop(struct daemon *d);

// The control thread's loop: returns after SIGTERM or SIGINT, once peers were told or time is up.
void daemon_run(struct daemon *d);

// The store of leases (leases.c): open and close it, restore what it has, take what has settled.
MUST_USE int leases_open(struct daemon *d);
void leases_close(struct daemon *d);
MUST_USE int leases_load(struct daemon *d);
unsigned leases_turn(struct daemon *d);

// As in struct mgmt_provider (reload.c); and what guards old ranges goes when it can.
void reload_read(void *ctx, struct mgmt_reload *r);
bool reload_apply(void *ctx, struct mgmt_reload *r);
void reload_tick(struct daemon *d, uint64_t now_ns);

// What the management thread may ask.
struct mgmt_provider daemon_provider(struct daemon *d);
