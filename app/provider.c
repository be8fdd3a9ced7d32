// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the management thread may ask of the headend. Control thread.
#include "app/daemon.h"

#include <errno.h>
#include <stddef.h>

static bool session_next(void *ctx, uint64_t after, struct ike_session_info *out)
{
	struct daemon *d = ctx;
	return ike_session_next(d->engine, after, out);
}

static bool connection(void *ctx, size_t i, struct ike_connection_info *out)
{
	struct daemon *d = ctx;
	return ike_connection_get(d->engine, i, out);
}

static bool pool(void *ctx, size_t i, struct pool_stats *out)
{
	struct daemon *d = ctx;
	return pools_stats(d->pools, i, out);
}

static bool port(void *ctx, size_t i, struct dp_port_info *out)
{
	struct daemon *d = ctx;
	return dp_port_info(d->dp, i, out);
}

static bool worker(void *ctx, size_t i, struct dp_worker_info *out)
{
	struct daemon *d = ctx;
	return dp_worker_info(d->dp, i, out);
}

static bool pool_range(void *ctx, size_t i, size_t k, struct ip_range *out)
{
	struct daemon *d = ctx;
	if (i >= d->cfg->pool_count || k >= d->cfg->pools[i].range_count)
		return false;
	*out = d->cfg->pools[i].ranges[k];
	return true;
}

static bool lease_next(void *ctx, size_t i, struct lease_walk *w, struct lease_info *out)
{
	struct daemon *d = ctx;
	return pools_lease_look(d->pools, i, w, out);
}

static size_t lease_clear(void *ctx, const struct lease_clearing *c)
{
	struct daemon *d = ctx;
	return pools_clear(d->pools, c);
}

// What the pool with this address gives out: 0 if there is none.
static uint8_t unit_of(const struct cfg *c, const struct ip_addr *a)
{
	for (size_t i = 0; i < c->pool_count; i++)
		for (size_t k = 0; k < c->pools[i].range_count; k++)
			if (ip_range_contains(&c->pools[i].ranges[k], a))
				return dp_pool_range(&c->pools[i], k).bits;
	return 0;
}

static int lease_import(void *ctx, const struct lease_row *row, bool check)
{
	struct daemon *d = ctx;
	struct lease_row r = *row;
	uint8_t unit = unit_of(d->cfg, &r.addr);
	if (unit && r.prefix_len && r.prefix_len != unit)
		return -EINVAL;
	r.prefix_len = unit ? unit : (uint8_t)ip_bits(r.addr.family);
	return pools_import(d->pools, &r, check);
}

static const struct pool_counter {
	const char *name;
	size_t at; // in struct pool_stats
} pool_counters[] = {
#define COUNTER(field)                                             \
	{                                                          \
		"pool_" #field, offsetof(struct pool_stats, field) \
	}
	COUNTER(allocated),
	COUNTER(released),
	COUNTER(exhausted),
	COUNTER(borrowed),
	COUNTER(adopted),
	COUNTER(expired),
	COUNTER(stale),
	COUNTER(failed),
	COUNTER(refused),
	COUNTER(memory_only),
	COUNTER(restored),
	COUNTER(giver_silent),
	COUNTER(giver_refused),
	COUNTER(giver_bad),
#undef COUNTER
};

#define POOL_COUNTERS (sizeof(pool_counters) / sizeof(pool_counters[0]))

// The pools' own counters, summed over all of them.
static bool pools_counter(const struct pools *p, size_t i, const char **name, uint64_t *value)
{
	struct pool_stats s;
	if (i >= POOL_COUNTERS)
		return false;
	*name = pool_counters[i].name;
	*value = 0;
	for (size_t k = 0; pools_stats(p, k, &s); k++)
		*value += *(const uint64_t *)(const void *)((const char *)&s + pool_counters[i].at);
	return true;
}

#define STORE_COUNTERS 4

static bool store_counter(const struct daemon *d, size_t i, const char **name, uint64_t *value)
{
	static const char *const names[STORE_COUNTERS] = {"lease_store_commits",
		"lease_store_writes", "lease_store_failed_commits", "lease_store_waiting"};
	struct lease_store_stats s = {0};
	if (d->leases)
		lease_store_stats(d->leases, &s);
	uint64_t values[STORE_COUNTERS] = {s.commits, s.written, s.failed_commits, s.waiting};
	*name = names[i];
	*value = values[i];
	return true;
}

static size_t count_of_ike(const struct ike_engine *e)
{
	size_t n = 0;
	const char *name, *help;
	uint64_t value;
	while (ike_counter(e, n, &name, &value, &help))
		n++;
	return n;
}

static size_t count_of_dp(const struct dp *d)
{
	size_t n = 0;
	const char *name, *help;
	uint64_t value;
	while (dp_counter(d, n, &name, &value, &help))
		n++;
	return n;
}

static size_t count_of_dhcp(const struct dhcp *d)
{
	size_t n = 0;
	const char *name, *help;
	uint64_t value;
	while (dhcp_counter(d, n, &name, &value, &help))
		n++;
	return n;
}

// One list behind one index: IKE, data plane, pools, store, DHCP, management.
static bool counter(void *ctx, size_t i, const char **name, uint64_t *value)
{
	struct daemon *d = ctx;
	const char *help;
	if (!d->ike_counters) {
		d->ike_counters = count_of_ike(d->engine);
		d->dp_counters = count_of_dp(d->dp);
		d->dhcp_counters = count_of_dhcp(d->dhcp);
	}
	if (i < d->ike_counters)
		return ike_counter(d->engine, i, name, value, &help);
	i -= d->ike_counters;
	if (i < d->dp_counters)
		return dp_counter(d->dp, i, name, value, &help);
	i -= d->dp_counters;
	if (i < POOL_COUNTERS)
		return pools_counter(d->pools, i, name, value);
	i -= POOL_COUNTERS;
	if (i < STORE_COUNTERS)
		return store_counter(d, i, name, value);
	i -= STORE_COUNTERS;
	if (i < d->dhcp_counters)
		return dhcp_counter(d->dhcp, i, name, value, &help);
	return mgmt_counter(d->mgmt, i - d->dhcp_counters, name, value);
}

static void status(void *ctx, struct mgmt_status *out)
{
	struct daemon *d = ctx;
	const struct sa_sink *sink = dp_sink(d->dp);
	*out = (struct mgmt_status){
		.workers = sink->workers,
		.node_id = d->cfg->main.node_id,
		.started_ns = d->started_ns,
		.congested = sink->congested(sink->ctx),
		.stopping = d->stopping,
	};
	ike_status(d->engine, &out->ike);
	out->leases_stored = d->leases != NULL;
	if (d->leases)
		lease_store_stats(d->leases, &out->leases);
}

static size_t clear(void *ctx, struct ike_clearing *c)
{
	struct daemon *d = ctx;
	return ike_clear(d->engine, c);
}

static const struct cfg_connection *find_connection(const struct cfg *cfg, const char *name)
{
	for (size_t i = 0; i < cfg->connection_count; i++)
		if (strcmp(cfg->connections[i].name, name) == 0)
			return &cfg->connections[i];
	return NULL;
}

static uint64_t initiate_to(
	struct daemon *d, const char *name, const struct ip_addr *peer, const char **why)
{
	struct sa_origin origin;
	struct endpoint local, remote = {*peer, IKE_UDP_PORT};
	const struct cfg_connection *conn = find_connection(d->cfg, name);
	*why = "no such connection";
	if (!conn)
		return 0;
	*why = "the connection only responds";
	if (conn->responder_only)
		return 0;
	*why = "the connection asks its peers for a user, and who logs in is never called";
	if (conn->remote.user_auth != CFG_USER_NONE)
		return 0;
	*why = "no outside port has an address of that family";
	if (!ike_local_for(d->cfg, peer, &origin, &local))
		return 0;
	*why = d->stopping ? "the headend stops" : "no memory";
	return ike_initiate(d->engine, name, &origin, &local, &remote);
}

static uint64_t initiate(void *ctx, const char *name, const struct ip_addr *peer, const char **why)
{
	struct daemon *d = ctx;
	return peer ? initiate_to(d, name, peer, why) : ike_connect(d->engine, name, why);
}

static int rekey(void *ctx, uint64_t session, uint32_t child)
{
	struct daemon *d = ctx;
	return child ? ike_rekey_child(d->engine, session, child)
		     : ike_rekey_ike(d->engine, session);
}

static int reauthenticate(void *ctx, uint64_t session)
{
	struct daemon *d = ctx;
	return ike_reauthenticate(d->engine, session);
}

static int trace_start(void *ctx, const struct dp_trace_spec *spec)
{
	struct daemon *d = ctx;
	return dp_trace_start(d->dp, spec);
}

static int trace_stop(void *ctx)
{
	struct daemon *d = ctx;
	return dp_trace_stop(d->dp);
}

static bool trace_row(void *ctx, size_t i, struct dp_trace_row *out)
{
	struct daemon *d = ctx;
	return dp_trace_row(d->dp, i, out);
}

struct mgmt_provider daemon_provider(struct daemon *d)
{
	return (struct mgmt_provider){
		.ctx = d,
		.session_next = session_next,
		.connection = connection,
		.pool = pool,
		.pool_range = pool_range,
		.lease_next = lease_next,
		.lease_clear = lease_clear,
		.lease_import = lease_import,
		.reload_read = reload_read,
		.reload_apply = reload_apply,
		.port = port,
		.worker = worker,
		.counter = counter,
		.status = status,
		.clear = clear,
		.initiate = initiate,
		.rekey = rekey,
		.reauthenticate = reauthenticate,
		.trace_start = trace_start,
		.trace_stop = trace_stop,
		.trace_row = trace_row,
		.handoff_names = dp_handoff_name,
		.clock = &clock_system,
	};
}
