// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The control thread's loop: a bounded piece of everything each turn; sleep when nothing was there.
#include "app/daemon.h"

#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

LOG_SUBSYSTEM("app");

#define JOBS_PER_TURN    64
#define POOLS_TICK_NS    NS_PER_S
#define SHUTDOWN_WAIT_NS (3 * NS_PER_S) // for the last peer's answer
#define EVENTS_MAX       8

static void drain_eventfd(int fd)
{
	uint64_t n;
	if (read(fd, &n, sizeof(n)) < 0 && errno != EAGAIN)
		log_warning("eventfd: %s", strerror(errno));
}

static void begin_stop(struct daemon *d, uint64_t now_ns)
{
	if (d->stopping) {
		log_notice("stopping at once");
		d->stop_ns = now_ns;
		return;
	}
	log_notice("stopping: telling the peers");
	struct ike_status st;
	ike_status(d->engine, &st);
	d->stopping = true;
	d->stop_ns = now_ns + SHUTDOWN_WAIT_NS + st.ike_sas * (NS_PER_S / IKE_ENDS_PER_S);
	ike_shutdown(d->engine, d->stop_ns);
}

static unsigned take_signals(struct daemon *d, uint64_t now_ns)
{
	struct signalfd_siginfo info;
	unsigned done = 0;
	while (read(d->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		done++;
		if (info.ssi_signo == SIGHUP)
			mgmt_reload(d->mgmt);
		else
			begin_stop(d, now_ns);
	}
	return done;
}

static unsigned take_jobs(struct daemon *d)
{
	unsigned done = 0;
	struct ike_job *job;
	while (done < JOBS_PER_TURN && (job = ike_helpers_done(d->helpers))) {
		ike_job_done(d->engine, job);
		done++;
	}
	return done;
}

static unsigned take_dhcp(struct daemon *d)
{
	unsigned done = d->dhcp_ready ? dhcp_turn(d->dhcp) : 0;
	d->dhcp_ready = done > 0;
	return done;
}

static void tick(struct daemon *d, uint64_t now_ns)
{
	if (ike_next_ns(d->engine) <= now_ns)
		ike_tick(d->engine);
	if (dhcp_next_ns(d->dhcp) <= now_ns)
		dhcp_tick(d->dhcp, now_ns);
	if (d->pools_tick_ns <= now_ns) {
		pools_tick(d->pools, now_ns);
		reload_tick(d, now_ns);
		d->leases_due = true; // a disk that does not answer is found out so
		d->pools_tick_ns = now_ns + POOLS_TICK_NS;
	}
}

// One bounded turn; how many things were done.
static unsigned turn(struct daemon *d)
{
	uint64_t now_ns = clock_now_ns(&clock_system);
	unsigned done = dp_poll(d->dp, now_ns);
	done += take_jobs(d);
	done += leases_turn(d);
	done += take_dhcp(d);
	done += mgmt_turn(d->mgmt);
	tick(d, now_ns);
	return done;
}

static uint64_t min_ns(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

// Milliseconds until something is due, rounded up; at most a second.
static int wait_ms(const struct daemon *d)
{
	uint64_t now_ns = clock_now_ns(&clock_system);
	uint64_t next_ns = min_ns(d->pools_tick_ns, ike_next_ns(d->engine));
	next_ns = min_ns(next_ns, dp_next_ns(d->dp));
	next_ns = min_ns(next_ns, dhcp_next_ns(d->dhcp));
	if (d->stopping)
		next_ns = min_ns(next_ns, d->stop_ns);
	if (next_ns <= now_ns)
		return 0;
	return (int)((min_ns(next_ns - now_ns, NS_PER_S) + NS_PER_MS - 1) / NS_PER_MS);
}

// What arrives after an eventfd was drained makes it readable again, so draining comes first.
static void drain_events(struct daemon *d, const struct epoll_event *events, int count)
{
	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd;
		d->leases_due = d->leases_due || fd == d->leases_fd;
		d->dhcp_ready = d->dhcp_ready || fd == dhcp_fd(d->dhcp);
		if (fd == d->signal_fd)
			take_signals(d, clock_now_ns(&clock_system));
		else if (fd != dhcp_fd(d->dhcp) &&
			 fd != dp_wake_fd(d->dp)) // dp_arm() drains its own
			drain_eventfd(fd);
	}
}

static bool finished(const struct daemon *d)
{
	return d->stopping && (ike_drained(d->engine) || clock_now_ns(&clock_system) >= d->stop_ns);
}

void daemon_run(struct daemon *d)
{
	struct epoll_event events[EVENTS_MAX];
	while (!finished(d)) {
		int timeout = 0;
		if (turn(d) == 0) {
			// A worker that finds the wake-up armed writes the descriptor; what it put
			// down just before is found by the second look.
			dp_arm(d->dp);
			if (turn(d) == 0)
				timeout = wait_ms(d);
		}
		int n = epoll_wait(d->epoll_fd, events, EVENTS_MAX, timeout);
		drain_events(d, events, n);
	}
	// What the last turn gave to the workers leaves before they end.
	for (int i = 0; i < 16 && turn(d); i++)
		;
}
