// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Between the store of leases and the pools, at the start and while the headend runs.
#include "app/daemon.h"

#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

LOG_SUBSYSTEM("app");

#define TICKETS_PER_TURN 256

int leases_open(struct daemon *d)
{
	const struct cfg_main *m = &d->cfg->main;
	int cores[64];
	d->leases_fd = -1;
	if (m->lease_store == CFG_LEASES_MEMORY) {
		log_notice("leases are kept in memory: after a restart addresses are given anew");
		return 0;
	}
	d->leases_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (d->leases_fd < 0)
		return -errno;
	for (uint16_t i = 0; i < m->helper_count; i++)
		cores[i] = m->helper_cores[i];
	struct lease_store_params params = {.dir = m->state_dir,
		.wake_fd = d->leases_fd,
		.cores = cores,
		.core_count = m->helper_count};
	int rc = lease_store_open(&params, stderr, &d->leases);
	if (rc) {
		close(d->leases_fd);
		return rc;
	}
	lease_store_journal(d->leases, &d->journal);
	return 0;
}

void leases_close(struct daemon *d)
{
	if (!d->leases)
		return;
	lease_store_close(d->leases);
	close(d->leases_fd);
}

static int restore(void *ctx, const struct lease_row *row)
{
	struct daemon *d = ctx;
	d->leases_read++;
	return pools_restore(d->pools, row);
}

static uint64_t restored(const struct daemon *d)
{
	struct pool_stats s;
	uint64_t n = 0;
	for (size_t i = 0; pools_stats(d->pools, i, &s); i++)
		n += s.restored;
	return n;
}

int leases_load(struct daemon *d)
{
	if (!d->leases)
		return 0;
	uint64_t from_ns = clock_now_ns(&clock_system);
	int rc = lease_store_load(d->leases, restore, d);
	uint64_t took_ms = (clock_now_ns(&clock_system) - from_ns) / NS_PER_MS;
	if (rc)
		log_error(
			"leases cannot be read from %s: %s", d->cfg->main.state_dir, strerror(-rc));
	else
		log_notice("%" PRIu64 " leases restored in %" PRIu64 " ms", restored(d), took_ms);
	// The configuration has changed, perhaps by mistake.
	if (rc == 0 && restored(d) < d->leases_read)
		log_warning("%" PRIu64 " leases of the last life are forgotten: as configured "
			    "now, no pool gives out their addresses",
			d->leases_read - restored(d));
	return rc;
}

// Each ticket may be a client's who is answered now, and after a disk that hung there are thousands.
unsigned leases_turn(struct daemon *d)
{
	struct lease_settled *s = &d->settled;
	if (!d->leases || (!d->leases_due && d->settled_to == s->ticket))
		return 0;
	if (d->settled_to == s->ticket && !lease_store_settled(d->leases, s)) {
		d->leases_due = false;
		return 0;
	}
	uint64_t left = s->ticket - d->settled_to;
	d->settled_to += left < TICKETS_PER_TURN ? left : TICKETS_PER_TURN;
	pools_settled(d->pools, d->settled_to, s->durable);
	return 1;
}
