// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools and lease store together: as many clients as a restart brings wait for leases at once, and as
// soon as one has a durable one, the next comes.
#include "perf/pool_bench.h"

#include "pools/store.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define WAITING 4096 // clients
#define WORKERS 4
#define WARM_NS (NS_PER_S / 2)
#define RUN_NS  (3 * NS_PER_S)

struct durable {
	struct cfg *cfg;
	struct pools *pools;
	struct address_source source;
	struct lease_store *store;
	struct lease_journal journal;
	int wake_fd;
	unsigned long begun, granted, failed;
};

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

static uint16_t worker_of(void *ctx, const struct ip_addr *a)
{
	return (uint16_t)(((uint32_t)a->bytes[3] * 0x9e3779b1u) >> 30);
}

static void granted(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct durable *d = user;
	if (s == ADDRESS_OK && d->source.renew(d->source.ctx, l, token))
		d->granted++;
	else
		d->failed++;
}

static void revoked(void *user, const struct ip_addr *addr)
{
	((struct durable *)user)->failed++;
}

static void ask(struct durable *d)
{
	char user[32];
	struct lease l;
	snprintf(user, sizeof(user), "user%lu@example.org", d->begun);
	struct address_request rq = {
		.pool = &d->cfg->pools[0],
		.owner = {.user = user, .name = user},
		.worker = (uint16_t)(d->begun % WORKERS),
		.token = ++d->begun,
	};
	enum address_status s = d->source.acquire(d->source.ctx, &rq, &l);
	if (s != ADDRESS_PENDING) // durable already: there is no such lease
		d->failed++;
}

static void settled(struct durable *d)
{
	struct lease_settled s;
	struct pollfd p = {.fd = d->wake_fd, .events = POLLIN};
	uint64_t n;
	if (poll(&p, 1, 1000) == 1 && read(d->wake_fd, &n, sizeof(n)) < 0)
		d->failed++;
	while (lease_store_settled(d->store, &s))
		pools_settled(d->pools, s.ticket, s.durable);
}

// The closed loop, for so long. Granted leases a second.
static double run(struct durable *d, uint64_t for_ns)
{
	uint64_t start = now_ns(), end = start;
	unsigned long before = d->granted;
	while (end - start < for_ns && d->failed == 0) {
		while (d->begun - d->granted < WAITING && d->failed == 0)
			ask(d);
		settled(d);
		end = now_ns();
	}
	return (double)(d->granted - before) / ((double)(end - start) / (double)NS_PER_S);
}

static bool all_durable(const struct durable *d)
{
	struct pool_stats st;
	return d->failed == 0 && pools_stats(d->pools, 0, &st) && st.memory_only == 0;
}

static int open_all(struct durable *d, const char *dir)
{
	struct lease_store_params p = {.dir = dir, .wake_fd = d->wake_fd};
	int rc = lease_store_open(&p, stderr, &d->store);
	if (rc)
		return rc;
	lease_store_journal(d->store, &d->journal);
	struct pools_seams seams = {
		.clock = &clock_system,
		.random = &random_system,
		.workers = WORKERS,
		.worker_of = worker_of,
		.journal = &d->journal,
	};
	rc = pools_new(d->cfg, &seams, &d->pools);
	if (rc)
		return rc;
	pools_source(d->pools, &d->source);
	d->source.done = granted;
	d->source.revoked = revoked;
	d->source.user = d;
	return 0;
}

static void remove_store(const char *dir)
{
	static const char *const names[] = {"leases.db", "leases.db-wal", "leases.mark"};
	char path[512];
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

double bench_durable(const char *parent)
{
	static const char pool[] =
		"pools = ( { name = \"bench\"; ranges = [ \"10.0.0.0/8\" ]; } );\n";
	struct durable d = {.wake_fd = -1};
	double rate = -1;
	char dir[256];
	snprintf(dir, sizeof(dir), "%s/pool_bench.XXXXXX", parent);
	if (cfg_load_text("bench", pool, NULL, &d.cfg) != 0)
		return rate;
	d.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (d.wake_fd < 0 || !mkdtemp(dir)) {
		fprintf(stderr, "pool_bench: %s: %s\n", parent, strerror(errno));
		goto out;
	}
	if (open_all(&d, dir) == 0) {
		run(&d, WARM_NS);
		rate = run(&d, RUN_NS);
		rate = all_durable(&d) ? rate : -1;
	}
	if (d.pools)
		pools_free(d.pools);
	lease_store_close(d.store);
	remove_store(dir);
out:
	if (d.wake_fd >= 0)
		close(d.wake_fd);
	cfg_free(d.cfg);
	return rate;
}
