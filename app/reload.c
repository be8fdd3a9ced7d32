// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools that change while the headend runs. The file is read on the management thread. On the control
// thread the workers get to know the new ranges beside the old ones first; once all of them do, pools and
// engine change in one turn, after which the leases outside the new ranges are counted, some in each turn.
// The old ranges stay guarded as long as leases live in them.
#include "app/daemon.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

LOG_SUBSYSTEM("app");

enum { GUARD, WAIT, COUNT };

#define SHRINK_RETRY_NS NS_PER_S

// ---- Management thread ----

static void difference(void *ctx, const char *path, bool live)
{
	struct mgmt_reload *r = ctx;
	if (r->change_count == MGMT_CHANGES_MAX) {
		r->more++;
		return;
	}
	struct mgmt_change *c = &r->changes[r->change_count++];
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->live = live;
}

static void log_read(const struct mgmt_reload *r)
{
	for (size_t i = 0; i < r->change_count; i++)
		if (!r->changes[i].live)
			log_warning("reload: %s: changed, needs a restart", r->changes[i].path);
	if (r->error)
		log_warning("reload: %s", r->error);
	else if (!r->change_count)
		log_notice("reload: nothing has changed");
}

void reload_read(void *ctx, struct mgmt_reload *r)
{
	struct daemon *d = ctx;
	size_t len;
	FILE *out = open_memstream(&r->messages, &len);
	if (!out) {
		r->error = "no memory";
		return;
	}
	int rc = cfg_load(d->config_path, out, &r->cfg);
	fclose(out);
	if (rc)
		r->error = "the file has mistakes, nothing is changed";
	else
		r->fixed = cfg_compare(d->cfg, r->cfg, difference, r);
	if (r->fixed)
		r->error = "nothing is changed: pools alone can be reloaded";
	if (!r->check)
		log_read(r);
}

// ---- Control thread ----

static int by_range(const void *a, const void *b)
{
	const struct dp_pool_range *x = a, *y = b;
	int order = ip_cmp(&x->range.lo, &y->range.lo);
	order = order ? order : ip_cmp(&x->range.hi, &y->range.hi);
	return order ? order : (x->bits > y->bits) - (x->bits < y->bits);
}

static size_t range_count(const struct cfg *c)
{
	size_t n = 0;
	for (size_t i = 0; c && i < c->pool_count; i++)
		n += c->pools[i].range_count;
	return n;
}

static void add_ranges(struct guard *g, const struct cfg *c)
{
	for (size_t i = 0; c && i < c->pool_count; i++)
		for (size_t k = 0; k < c->pools[i].range_count; k++)
			g->ranges[g->count++] = dp_pool_range(&c->pools[i], k);
}

// Thousands, with and without each other: each once.
static void unite(struct guard *g)
{
	size_t n = 0;
	qsort(g->ranges, g->count, sizeof(*g->ranges), by_range);
	for (size_t i = 0; i < g->count; i++)
		if (n == 0 || by_range(&g->ranges[n - 1], &g->ranges[i]) != 0)
			g->ranges[n++] = g->ranges[i];
	g->count = n;
}

// The ranges of one snapshot or two, and those of an older guard.
static bool guard_make(
	struct guard *g, const struct cfg *a, const struct cfg *b, const struct guard *old)
{
	size_t most = range_count(a) + range_count(b) + (old ? old->count : 0);
	*g = (struct guard){.ranges = calloc(most + 1, sizeof(*g->ranges))};
	if (!g->ranges)
		return false;
	add_ranges(g, a);
	add_ranges(g, b);
	for (size_t i = 0; old && i < old->count; i++)
		g->ranges[g->count++] = old->ranges[i];
	unite(g);
	return true;
}

static void guard_take(struct daemon *d, struct guard *g)
{
	free(d->guard.ranges);
	d->guard = *g;
	d->shrink_ns = clock_now_ns(&clock_system) + SHRINK_RETRY_NS;
}

static bool begin(struct daemon *d, struct mgmt_reload *r)
{
	struct guard g;
	if (!guard_make(&g, d->cfg, r->cfg, &d->guard) ||
		dp_set_pools(d->dp, g.ranges, g.count) < 0) {
		free(g.ranges);
		r->error = "no memory";
		return false;
	}
	guard_take(d, &g);
	d->reloading = true;
	return true;
}

#define CUT                                                                                  \
	"a new range has a part of a network that somebody has, or networks where somebody " \
	"has an address: nothing is changed"

static const char *change_pools(struct daemon *d)
{
	int rc = dhcp_reload(d->dhcp, d->cfg, stderr);
	if (rc)
		log_error("reload: DHCP: %s", strerror(-rc));
	else if ((rc = pools_reload(d->pools, d->cfg)) == -EINVAL)
		return CUT;
	if (rc == 0)
		return NULL;
	return rc == -ENOMEM ? "no memory, nothing is changed" : "refused, nothing is changed";
}

static const char *switch_over(struct daemon *d, struct cfg *other)
{
	cfg_swap_pools(d->cfg, other);
	const char *why = change_pools(d);
	if (!why)
		return NULL;
	cfg_swap_pools(d->cfg, other);
	// What it has, it can have.
	if (dhcp_reload(d->dhcp, d->cfg, stderr))
		log_error("reload: DHCP servers are not what they were");
	return why;
}

// True: there is more to do.
static bool change(struct daemon *d, struct mgmt_reload *r)
{
	r->error = switch_over(d, r->cfg);
	if (r->error)
		log_warning("reload: %s", r->error);
	else
		log_notice("reload: pools have changed (%zu options)", r->change_count + r->more);
	return !r->error;
}

// One step; true: there is another one.
static bool step(struct daemon *d, struct mgmt_reload *r)
{
	switch (r->step) {
	case GUARD:
		r->step = WAIT;
		return begin(d, r);
	case WAIT:
		if (!dp_pools_known(d->dp))
			return true;
		r->step = COUNT;
		return change(d, r);
	default:
		return pools_reload_goes_on(d->pools);
	}
}

bool reload_apply(void *ctx, struct mgmt_reload *r)
{
	struct daemon *d = ctx;
	if (d->stopping && r->step != COUNT) {
		r->error = "the headend stops";
		return true;
	}
	bool more = step(d, r);
	d->reloading = d->reloading && more;
	return !more;
}

// Addresses that AAA has chosen outside all ranges were never guarded by one.
static bool leases_left(const struct daemon *d)
{
	struct pool_stats s;
	for (size_t i = 0; pools_stats(d->pools, i, &s); i++)
		if (s.left)
			return true;
	return false;
}

void reload_tick(struct daemon *d, uint64_t now_ns)
{
	struct guard g;
	// Between two steps of a reload the new ranges are of no configuration yet, the old ones' leases not counted.
	if (!d->guard.count || d->reloading || now_ns < d->shrink_ns)
		return;
	d->shrink_ns = now_ns + SHRINK_RETRY_NS;
	if (!dp_pools_known(d->dp) || leases_left(d) || !guard_make(&g, d->cfg, NULL, NULL))
		return;
	// Where tunnels still have addresses in there, once more.
	if (dp_set_pools(d->dp, g.ranges, g.count) == 0) {
		free(d->guard.ranges);
		d->guard = (struct guard){0};
	}
	free(g.ranges);
}
