// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "app/daemon.h"

#include "app/qcd_secret.h"

#include "base/log.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

LOG_SUBSYSTEM("app");

// Keys live in this process: no core dump, no tracer of the same user.
static int harden(struct daemon *d)
{
	struct rlimit none = {0, 0};
	if (setrlimit(RLIMIT_CORE, &none) || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}

// Blocked before the first thread exists, so that every thread inherits it and signals arrive
// at the control thread's descriptor alone.
static int open_signals(struct daemon *d)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	signal(SIGPIPE, SIG_IGN);
	int rc = pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (rc)
		return -rc;
	d->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return d->signal_fd < 0 ? -errno : 0;
}

static void close_signals(struct daemon *d)
{
	close(d->signal_fd);
}

static int load_config(struct daemon *d)
{
	return cfg_load(d->config_path, stderr, &d->cfg);
}

static void drop_config(struct daemon *d)
{
	cfg_free(d->cfg);
}

static int load_credentials(struct daemon *d)
{
	return ike_credentials_new(d->cfg, stderr, &d->credentials);
}

static void drop_credentials(struct daemon *d)
{
	ike_credentials_free(d->credentials);
}

// Without it peers learn of a crash by themselves, later.
static int load_qcd_secret(struct daemon *d)
{
	if (d->cfg->main.quick_crash_detection &&
		qcd_secret_load(d->cfg->main.state_dir, &random_system, &d->qcd_secret) < 0)
		log_notice("no tokens of quick crash detection are made");
	return 0;
}

static void drop_qcd_secret(struct daemon *d)
{
	secret_fini(&d->qcd_secret);
}

static int start_log(struct daemon *d)
{
	return log_start();
}

static void stop_log(struct daemon *d)
{
	log_stop();
}

static void ike_input_from_port(void *ctx, const struct ike_datagram *dg)
{
	struct daemon *d = ctx;
	ike_input(d->engine, dg);
}

static void sa_event_from_worker(void *ctx, const struct sa_event *ev)
{
	struct daemon *d = ctx;
	ike_sa_event(d->engine, ev);
}

static int start_dataplane(struct daemon *d)
{
	struct dp_seams seams = {
		.ctx = d,
		.ike_input = ike_input_from_port,
		.sa_event = sa_event_from_worker,
		.clock = &clock_system,
		.random = &random_system,
	};
	return dp_start(d->cfg, &seams, &d->dp);
}

static void stop_dataplane(struct daemon *d)
{
	dp_stop(d->dp);
}

static int start_dhcp(struct daemon *d)
{
	struct dhcp_seams seams = {.clock = &clock_system, .random = &random_system};
	return dhcp_new(d->cfg, &seams, stderr, &d->dhcp);
}

static void stop_dhcp(struct daemon *d)
{
	dhcp_free(d->dhcp);
}

static int start_pools(struct daemon *d)
{
	const struct sa_sink *sink = dp_sink(d->dp);
	struct pools_seams seams = {
		.clock = &clock_coarse,
		.random = &random_system,
		.workers = sink->workers,
		.worker_of = sink->worker_of,
		.ctx = sink->ctx,
		.journal = d->leases ? &d->journal : NULL,
		.giver = dhcp_giver(d->dhcp),
	};
	int rc = pools_new(d->cfg, &seams, &d->pools);
	if (rc)
		return rc;
	pools_source(d->pools, &d->addresses);
	rc = leases_load(d);
	if (rc)
		pools_free(d->pools);
	return rc;
}

static void stop_pools(struct daemon *d)
{
	pools_free(d->pools);
	free(d->guard.ranges);
}

static int open_events(struct daemon *d)
{
	d->helper_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->mgmt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	d->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int fds[] = {d->helper_fd, d->mgmt_fd, d->signal_fd, dp_wake_fd(d->dp), dhcp_fd(d->dhcp),
		d->leases_fd};
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.fd = fds[i]};
		if (fds[i] < 0)
			continue;
		if (epoll_ctl(d->epoll_fd, EPOLL_CTL_ADD, fds[i], &ev))
			return -errno;
	}
	return 0;
}

static void close_events(struct daemon *d)
{
	close(d->epoll_fd);
	close(d->mgmt_fd);
	close(d->helper_fd);
}

static int start_helpers(struct daemon *d)
{
	return ike_helpers_new(
		d->cfg->main.helper_cores, d->cfg->main.helper_count, d->helper_fd, &d->helpers);
}

static void stop_helpers(struct daemon *d)
{
	ike_helpers_free(d->helpers);
}

static void send_datagram(void *ctx, const struct ike_datagram *dg)
{
	struct daemon *d = ctx;
	dp_send(d->dp, dg);
}

static int start_engine(struct daemon *d)
{
	struct ike_params params = {
		.cfg = d->cfg,
		.credentials = d->credentials,
		.clock = &clock_system,
		.random = &random_system,
		.transport = {d, send_datagram},
		.jobs = ike_helpers_jobs(d->helpers),
		.addresses = &d->addresses,
		.sink = dp_sink(d->dp),
		.qcd_secret = secret_view(&d->qcd_secret),
	};
	return ike_engine_new(&params, &d->engine);
}

// Jobs belong to the engine's exchanges: all come home before it goes.
static void stop_engine(struct daemon *d)
{
	struct ike_job *job;
	ike_helpers_stop(d->helpers);
	while ((job = ike_helpers_done(d->helpers)))
		ike_job_done(d->engine, job);
	ike_engine_free(d->engine);
}

static int start_mgmt(struct daemon *d)
{
	struct mgmt_provider provider = daemon_provider(d);
	return mgmt_new(d->cfg->main.run_dir, &provider, d->mgmt_fd, &d->mgmt);
}

static int start_connections(struct daemon *d)
{
	ike_start(d->engine);
	return 0;
}

static void stop_mgmt(struct daemon *d)
{
	mgmt_free(d->mgmt);
}

static const struct stage {
	const char *name;
	int (*up)(struct daemon *d);
	void (*down)(struct daemon *d); // NULL: nothing to undo
} stages[] = {
	{"process limits", harden, NULL},
	{"signals", open_signals, close_signals},
	{"configuration", load_config, drop_config},
	{"credentials", load_credentials, drop_credentials},
	{"log", start_log, stop_log},
	{"secret of crash detection", load_qcd_secret, drop_qcd_secret},
	{"lease store", leases_open, leases_close},
	{"data plane", start_dataplane, stop_dataplane},
	{"DHCP client", start_dhcp, stop_dhcp},
	{"pools", start_pools, stop_pools},
	{"events", open_events, close_events},
	{"crypto helpers", start_helpers, stop_helpers},
	{"IKE engine", start_engine, stop_engine},
	{"management socket", start_mgmt, stop_mgmt},
	{"connections", start_connections, NULL},
};

#define STAGES (sizeof(stages) / sizeof(stages[0]))

static void undo(struct daemon *d, size_t count)
{
	while (count--)
		if (stages[count].down)
			stages[count].down(d);
}

int daemon_start(struct daemon *d, const char *config_path)
{
	*d = (struct daemon){.config_path = config_path};
	for (size_t i = 0; i < STAGES; i++) {
		int rc = stages[i].up(d);
		if (rc == 0)
			continue;
		log_error("%s: cannot start: %s", stages[i].name, strerror(-rc));
		undo(d, i);
		return rc;
	}
	d->started_ns = clock_now_ns(&clock_system);
	return 0;
}

void daemon_stop(struct daemon *d)
{
	undo(d, STAGES);
}
