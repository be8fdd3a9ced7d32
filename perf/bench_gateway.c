// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A data plane as sallyportd starts it, with a full table of tunnels: clients of a pool, each at an
// address of its own behind the outside gateway, with one child, its selectors, window and limits.
#include "perf/bench.h"

#include "dataplane/eal.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLAY_WINDOW 128
#define LIMIT_PACKETS (1ull << 44)
#define LIMIT_BYTES   (1ull << 54)
#define SETTLE_EVERY  128  // tunnels
#define KEYS_MAX      1536 // bytes of one tunnel's keys for the library

static void on_event(void *ctx, const struct sa_event *ev)
{
	(void)ctx;
	(void)ev;
}

static void on_ike(void *ctx, const struct ike_datagram *d)
{
	(void)ctx;
	(void)d;
}

static char *text(const char *s)
{
	char *copy = strdup(s);
	if (!copy)
		bench_die("no memory");
	return copy;
}

static struct ip_prefix prefix(const char *s)
{
	struct ip_prefix p;
	if (ip_prefix_parse(s, true, &p))
		bench_die("%s", s);
	return p;
}

static struct ip_range range(const char *s)
{
	struct ip_range r;
	if (ip_range_parse(s, &r))
		bench_die("%s", s);
	return r;
}

// ---- Configuration ----

static unsigned most(const struct bench_list *l)
{
	unsigned m = 0;
	for (unsigned i = 0; i < l->n; i++)
		m = RTE_MAX(m, l->v[i]);
	return m;
}

static void port_cfg(struct bench *b, int i, const char *name, enum cfg_role role,
	const char *device, const char *address)
{
	unsigned mtu = RTE_MAX(most(&b->o.sizes), 1500u) + 100;
	b->addresses[i] = prefix(address);
	b->ports[i] = (struct cfg_port){.name = text(name),
		.role = role,
		.device = text(device),
		.addresses = &b->addresses[i],
		.address_count = 1,
		.mtu = (uint16_t)mtu,
		// The rounds' buffers come from the gateway's own pool.
		.rx_descriptors = BENCH_ROUND,
		.tx_descriptors = BENCH_ROUND};
}

// The n-th CPU that we may use, from the last one: interrupts are mostly taken by the first.
static uint16_t cpu(unsigned n)
{
	cpu_set_t allowed;
	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return 0;
	for (int i = CPU_SETSIZE - 1; i >= 0; i--)
		if (CPU_ISSET(i, &allowed) && n-- == 0)
			return (uint16_t)i;
	bench_die("not enough CPUs");
}

static void configure(struct bench *b)
{
	port_cfg(b, BENCH_OUTSIDE, "outside", CFG_OUTSIDE, "net_null0", "192.0.2.1/24");
	port_cfg(b, BENCH_INSIDE, "inside", CFG_INSIDE, "net_null1", "10.99.0.1/24");
	b->gateway = prefix("192.0.2.254").addr;
	b->ports[BENCH_OUTSIDE].gateways = &b->gateway;
	b->ports[BENCH_OUTSIDE].gateway_count = 1;
	b->range = range("10.1.0.0/16");
	b->pool = (struct cfg_pool){.name = text("p"), .ranges = &b->range, .range_count = 1};
	b->cfg = (struct cfg){
		.main = {.worker_count = (uint16_t)b->lane_count,
			.hugepages = CFG_HUGEPAGES_AUTO,
			// A second CPU for a mode that has work beside the worker.
			.control_core = cpu(b->o.mode >= BENCH_UPDATES ? 1 : 0),
			.max_sessions = most(&b->o.tunnels),
			.run_dir = text("/run/sallyport-bench")},
		.ports = b->ports,
		.port_count = 2,
		.pools = &b->pool,
		.pool_count = 1,
	};
	// Else lane 0 runs on the main thread, whose CPU its worker's lcore shares; it sleeps.
	for (unsigned i = 0; i < b->lane_count; i++)
		b->cfg.main.workers[i] = cpu(i);
}

// Tunnels, keys of the library alone, and the rounds' buffers.
static uint32_t memory_mb(const struct bench *b)
{
	uint64_t bytes = dp_memory_fixed(&b->cfg, 1) + dp_memory_sessions(&b->cfg) * 2 +
			 (uint64_t)b->cfg.main.max_sessions * BENCH_DISTANCES * KEYS_MAX;
	return (uint32_t)(bytes >> 20) + 128;
}

void bench_eal_start(struct bench *b)
{
	b->lane_count = b->o.workers;
	configure(b);
	b->cfg.main.memory_mb = memory_mb(b);
	if (dp_eal_start(&b->cfg))
		bench_die("DPDK does not start");
	if (!rte_eal_has_hugepages())
		fprintf(stderr,
			"esp_bench: %u MB of hugepages are not free: figures with many tunnels will "
			"be far too high\n",
			b->cfg.main.memory_mb);
}

// ---- Tunnels ----

void bench_settle(struct bench *b)
{
	unsigned quiet = 0;
	for (unsigned i = 0; i < b->lane_count; i++)
		bench_ports_idle(b->lanes[i]);
	while (quiet < 2) {
		unsigned n = dp_poll(b->dp, clock_now_ns(&clock_system));
		for (unsigned i = 0; i < b->lane_count; i++)
			n += dp_worker_poll_once(b->dp->workers[i]);
		quiet = n ? 0 : quiet + 1;
	}
}

uint64_t bench_lost(struct bench *b)
{
	struct dp_worker_info info;
	uint64_t n = 0;
	for (size_t i = 0; dp_worker_info(b->dp, i, &info); i++)
		n += info.drops + info.punts;
	return n;
}

static void neighbour(struct bench *b, uint16_t port, const char *addr)
{
	struct dp_neigh n = {.addr = prefix(addr).addr,
		.port = port,
		.valid = true,
		.mac = {{2, 0, 0, 0, 0, 9}}};
	dp_neigh_publish(b->dp, &n);
}

static struct sa_spec spec_of(
	const struct bench *b, const struct bench_tunnel *t, uint32_t tunnel, enum sa_dir dir)
{
	const struct bench_suite *s = &b->suite;
	struct sa_spec spec = {.tunnel = t->id,
		.child = t->spi,
		.spi = dir == SA_IN ? t->spi : BENCH_PEER_SPI + tunnel,
		.dir = dir,
		.encr = s->encr,
		.integ = s->integ,
		.encr_key_len = s->encr_key_len,
		.integ_key_len = s->integ_key_len,
		.replay_window = REPLAY_WINDOW,
		.esn = true,
		.hard_packets = LIMIT_PACKETS,
		.hard_bytes = LIMIT_BYTES,
		.soft_packets = LIMIT_PACKETS / 2,
		.soft_bytes = LIMIT_BYTES / 2};
	memcpy(spec.encr_key, t->key, s->encr_key_len);
	memcpy(spec.integ_key, t->integ_key, s->integ_key_len);
	return spec;
}

struct sa_spec bench_spec(const struct bench *b, uint32_t tunnel, enum sa_dir dir)
{
	return spec_of(b, &b->tunnels[tunnel], tunnel, dir);
}

static void selectors(struct sa_spec *spec, uint32_t tunnel)
{
	struct ip_addr inner = ip_from_v4(bench_inner_of(tunnel));
	struct ip_range host = {inner, inner}, lan = range("10.99.0.0/24");
	spec->ts_local[0] = selector_of_range(&lan);
	spec->ts_remote[0] = selector_of_range(&host);
	spec->ts_local_count = spec->ts_remote_count = 1;
}

static struct tunnel_path path_of(const struct bench *b, uint32_t tunnel)
{
	return (struct tunnel_path){.local = {b->addresses[BENCH_OUTSIDE].addr, 0},
		.remote = {ip_from_v4(bench_outer_of(tunnel)), 0},
		.encap = SA_ENCAP_NONE,
		.port = BENCH_OUTSIDE};
}

void bench_child_add(struct bench *b, uint32_t tunnel, struct bench_tunnel *t)
{
	const struct sa_sink *s = dp_sink(b->dp);
	struct tunnel_path path = path_of(b, tunnel);
	uint16_t worker = (uint16_t)(tunnel % b->lane_count);
	if (s->spi_reserve(s->ctx, worker, &path, &t->spi))
		bench_die("no SPI for tunnel %u", tunnel);
	random_fill(&random_system, t->key, sizeof(t->key));
	random_fill(&random_system, t->integ_key, sizeof(t->integ_key));
	for (int dir = SA_IN; dir <= SA_OUT; dir++) {
		struct sa_spec spec = spec_of(b, t, tunnel, (enum sa_dir)dir);
		selectors(&spec, tunnel);
		int rc = s->sa_add(s->ctx, &spec);
		if (rc)
			bench_die("SA of tunnel %u: %s", tunnel, strerror(-rc));
	}
	s->sa_switch(s->ctx, t->spi);
}

static void tunnel_add(struct bench *b, uint32_t i)
{
	const struct sa_sink *s = dp_sink(b->dp);
	struct tunnel_spec spec = {
		.worker = (uint16_t)(i % b->lane_count), .path = path_of(b, i), .session = i + 1};
	struct ip_prefix dst = {ip_from_v4(bench_inner_of(i)), 32};
	if (s->tunnel_add(s->ctx, &spec, &b->tunnels[i].id) ||
		s->route_add(s->ctx, b->tunnels[i].id, &dst))
		bench_die("tunnel %u", i);
	bench_child_add(b, i, &b->tunnels[i]);
}

// ---- Lanes ----

static struct rte_mbuf *buffer(struct bench *b)
{
	for (size_t i = 0; i < RTE_DIM(b->dp->rx_pool); i++)
		if (b->dp->rx_pool[i])
			return rte_pktmbuf_alloc(b->dp->rx_pool[i]);
	return NULL;
}

static struct bench_lane *lane_new(struct bench *b, unsigned id)
{
	struct bench_lane *l = aligned_alloc(64, RTE_ALIGN_CEIL(sizeof(*l), 64));
	if (!l)
		bench_die("no memory");
	memset(l, 0, sizeof(*l));
	l->b = b;
	l->id = id;
	l->w = b->dp->workers[id];
	l->random = 0x9e3779b97f4a7c15ull + id;
	for (unsigned i = 0; i < BENCH_ROUND; i++) {
		l->mbufs[i] = buffer(b);
		if (!l->mbufs[i])
			bench_die("no buffers");
	}
	return l;
}

static void lane_free(struct bench_lane *l)
{
	bench_bound_free(l->bound);
	bench_store_free(l);
	rte_pktmbuf_free_bulk(l->mbufs, BENCH_ROUND);
	free(l);
}

void bench_gateway_start(struct bench *b, const struct bench_suite *suite, unsigned tunnels)
{
	struct dp_seams seams = {.ike_input = on_ike,
		.sa_event = on_event,
		.clock = &clock_system,
		.random = &random_system};
	b->suite = *suite;
	b->tunnel_count = tunnels;
	b->tunnels = calloc(tunnels, sizeof(*b->tunnels));
	if (!b->tunnels || dp_new(&b->cfg, &seams, &b->dp))
		bench_die("the data plane does not start");
	for (unsigned i = 0; i < b->lane_count; i++)
		b->lanes[i] = lane_new(b, i);
	bench_ports_take(b);
	neighbour(b, BENCH_OUTSIDE, "192.0.2.254");
	neighbour(b, BENCH_INSIDE, "10.99.0.5");
	for (unsigned i = 0; i < tunnels; i++) {
		tunnel_add(b, i);
		if (i % SETTLE_EVERY == SETTLE_EVERY - 1)
			bench_settle(b);
	}
	bench_settle(b);
	for (unsigned i = 0; i < b->lane_count; i++)
		b->lanes[i]->bound = bench_bound_new(b->lanes[i]);
}

void bench_gateway_stop(struct bench *b)
{
	bench_settle(b);
	for (unsigned i = 0; i < b->lane_count; i++)
		lane_free(b->lanes[i]);
	dp_free(b->dp);
	free(b->tunnels);
}
