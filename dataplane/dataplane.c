// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Start and stop, the control thread's poll, and what it hands to workers.
#include "dataplane/dataplane.h"

#include "base/log.h"
#include "dataplane/eal.h"
#include "dataplane/exception.h"
#include "dataplane/grace.h"
#include "dataplane/policy.h"
#include "dataplane/sink.h"
#include "dataplane/trace.h"
#include "dataplane/vlan.h"

#include <rte_eal.h>
#include <rte_launch.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

LOG_SUBSYSTEM("dataplane");

#define RETRY_NS NS_PER_MS // until queued messages are tried again

// ---- Start and stop ----

static int workers_new(struct dp *d)
{
	const struct cfg_main *m = &d->cfg->main;
	struct dp_layout l = dp_layout_make(m->node_id, m->worker_count, m->max_sessions);
	// A child of each session, doubled while it is rekeyed.
	if ((uint64_t)l.slots * m->worker_count < 2ull * m->max_sessions)
		log_warning("max_sessions is %u, but %u workers have room for %" PRIu64
			    " child SAs in all: less than two a session",
			m->max_sessions, m->worker_count, (uint64_t)l.slots * m->worker_count);
	for (uint16_t i = 0; i < m->worker_count; i++) {
		int rc = dp_worker_new(d, i, (uint16_t)DP_LCORE(i), &l, &d->workers[i]);
		if (rc) {
			log_error("worker %u does not start: %s", i, strerror(-rc));
			return rc;
		}
	}
	return dp_handoff_init(d);
}

static int parts_new(struct dp *d)
{
	int rc = dp_pools_new(d);
	rc = rc ? rc : dp_routes_build(d->cfg, &d->routes);
	rc = rc ? rc : dp_dst_new(d->cfg, &d->dst);
	rc = rc ? rc : dp_policy_new(d->cfg, &d->policies);
	d->bypass = rc == 0 && dp_policy_clear(d->policies);
	rc = rc ? rc : ike_filter_init(&d->known_spis, d->cfg->main.max_sessions);
	rc = rc ? rc : dp_ports_start(d);
	rc = rc ? rc : workers_new(d);
	rc = rc ? rc : dp_sink_init(d);
	rc = rc ? rc : dp_local_init(d);
	if (rc)
		return rc;
	dp_grace_init(d);
	d->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return d->wake_fd < 0 ? -errno : dp_exceptions_init(d);
}

void dp_free(struct dp *d)
{
	if (!d)
		return;
	dp_exceptions_fini(d);
	dp_local_fini(d);
	dp_trace_fini(d);
	dp_ports_stop(d);
	dp_sink_fini(d);
	for (uint16_t i = 0; i < d->worker_count; i++)
		dp_worker_free(d->workers[i]);
	ike_filter_fini(&d->known_spis);
	dp_policy_free(d->policies);
	dp_dst_free(d->dst);
	dp_routes_free(&d->routes);
	dp_pools_free(d);
	if (d->wake_fd >= 0)
		close(d->wake_fd);
	free(d);
}

static int launch(struct dp *d)
{
	for (uint16_t i = 0; i < d->worker_count; i++) {
		int rc = rte_eal_remote_launch(dp_worker_main, d->workers[i], d->workers[i]->lcore);
		if (rc)
			return rc;
	}
	return 0;
}

static void end_workers(struct dp *d)
{
	for (uint16_t i = 0; i < d->worker_count; i++) {
		if (!d->workers[i])
			continue;
		atomic_store(&d->workers[i]->stop, true);
		dp_worker_wake(d->workers[i]);
		rte_eal_wait_lcore(d->workers[i]->lcore);
	}
}

int dp_new(const struct cfg *c, const struct dp_seams *s, struct dp **out)
{
	struct dp *d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	d->cfg = c;
	d->seams = *s;
	d->worker_count = c->main.worker_count;
	d->wake_fd = -1;
	random_fill(s->random, d->frag_key, sizeof(d->frag_key));
	int rc = parts_new(d);
	if (rc) {
		dp_free(d);
		return rc;
	}
	*out = d;
	return 0;
}

int dp_start(const struct cfg *c, const struct dp_seams *s, struct dp **out)
{
	struct dp *d = NULL;
	if (c->main.worker_count == 0 || c->main.worker_count > DP_WORKERS_MAX ||
		c->port_count > DP_PORTS_MAX)
		return -EINVAL;
	int rc = dp_eal_start(c);
	if (rc)
		return rc;
	rc = dp_memory_check(c);
	rc = rc ? rc : dp_new(c, s, &d);
	rc = rc ? rc : launch(d);
	if (rc) {
		if (d)
			end_workers(d);
		dp_free(d);
		rte_eal_cleanup();
		return rc;
	}
	dp_announce_all(d);
	*out = d;
	return 0;
}

void dp_stop(struct dp *d)
{
	if (!d)
		return;
	end_workers(d);
	dp_free(d);
	rte_eal_cleanup();
}

const struct sa_sink *dp_sink(struct dp *d)
{
	return &d->sa_sink;
}

// ---- Poll ----

static unsigned take_punts(struct dp *d, struct rte_ring *r)
{
	struct rte_mbuf *m[DP_PUNT_POLL];
	unsigned n = rte_ring_sc_dequeue_burst(r, (void **)m, DP_PUNT_POLL, NULL);
	for (unsigned i = 0; i < n; i++)
		dp_punt_input(d, m[i]);
	return n;
}

// The established first, of all workers; each ring has its bound, so that none keeps the others
// waiting: between two looks at the known SPIs at most DP_PUNT_POLL of each other ring are done.
unsigned dp_poll(struct dp *d, uint64_t now_ns)
{
	d->now_ns = now_ns;
	unsigned n = dp_sink_poll(d);
	for (unsigned ring = 0; ring < DP_PUNT_RINGS; ring++)
		for (uint16_t i = 0; i < d->worker_count; i++)
			n += take_punts(d, d->workers[i]->punt_ring[ring]);
	n += dp_local_tick(d, now_ns);
	n += dp_exceptions_poll(d, now_ns);
	n += dp_pmtu_tick(d, now_ns);
	n += dp_trace_ready(d);
	dp_grace_tick(d);
	return n;
}

uint64_t dp_next_ns(const struct dp *d)
{
	uint64_t at = RTE_MIN(dp_local_next_ns(d), dp_pmtu_next_ns(d));
	at = RTE_MIN(at, dp_exceptions_next_ns(d));
	if (!dp_sink_waiting(d) && dp_pools_known(d))
		return at;
	return RTE_MIN(at, d->now_ns + RETRY_NS);
}

int dp_wake_fd(struct dp *d)
{
	int fd = dp_exceptions_fd(d);
	return fd < 0 ? d->wake_fd : fd;
}

void dp_arm(struct dp *d)
{
	eventfd_t v;
	(void)eventfd_read(d->wake_fd, &v);
	atomic_exchange(&d->wake_armed, true);
}

// ---- From control to workers ----

struct rte_mbuf *dp_ctl_alloc(struct dp *d, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(d->punt_pool[DP_RING_REST]);
	if (!m)
		return NULL;
	if (len > rte_pktmbuf_tailroom(m)) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	memset(dp_meta(m), 0, sizeof(struct dp_meta));
	return m;
}

static void inject(struct dp *d, uint16_t worker, struct rte_mbuf *m)
{
	struct dp_worker *w = d->workers[worker];
	if (rte_ring_sp_enqueue(w->inject_ring, m)) {
		dp_count_drop(d, DP_DROP_inject_full);
		rte_pktmbuf_free(m);
		return;
	}
	dp_worker_wake(w);
}

void dp_inject(struct dp *d, uint16_t port, struct rte_mbuf *m)
{
	uint16_t worker = dp_meta(m)->worker;
	if (worker >= d->worker_count || worker >= d->ports[port].tx_queues)
		worker = 0;
	dp_meta(m)->kind = DP_CARRY_FRAME;
	dp_meta(m)->port = port;
	inject(d, worker, m);
}

void dp_inject_inner(struct dp *d, enum cfg_role side, struct rte_mbuf *m)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *);
	struct dp_dst_entry e;
	struct ip_info ip;
	uint16_t worker = 0;
	enum dp_drop why = ip_parse_packet(p, m->data_len, false, &ip);
	if (why != DP_DROP_NONE) {
		dp_count_drop(d, why);
		rte_pktmbuf_free(m);
		return;
	}
	if (dp_dst_lookup(d->dst, ip.family, ip.dst, &e) == DP_DST_TUNNEL)
		worker = (uint16_t)dp_tunnel_worker(e.index);
	m->l2_len = 0;
	m->l3_len = ip.upper;
	memset(dp_meta(m), 0, sizeof(struct dp_meta));
	dp_meta(m)->kind = DP_CARRY_ROUTE;
	dp_meta(m)->cause = (uint8_t)side;
	inject(d, worker, m);
}

void dp_neigh_publish(struct dp *d, const struct dp_neigh *n)
{
	struct dp_msg msg = {.type = DP_MSG_NEIGH, .neigh = *n};
	for (uint16_t i = 0; i < d->worker_count; i++)
		(void)dp_sink_send(d, i, &msg);
}

bool dp_dst_in_use(const struct dp *d, const struct ip_addr *a)
{
	struct dp_dst_entry e;
	return dp_dst_lookup(d->dst, a->family, a->bytes, &e) == DP_DST_TUNNEL;
}

bool dp_dst_guarded(const struct dp *d, const struct ip_addr *a)
{
	struct dp_dst_entry e;
	return dp_dst_lookup(d->dst, a->family, a->bytes, &e) != DP_DST_NONE;
}

int dp_set_pools(struct dp *d, const struct dp_pool_range *r, size_t count)
{
	int rc = dp_dst_set_pools(d->dst, r, count, &d->pools_seen);
	for (uint16_t i = 0; rc >= 0 && i < d->worker_count; i++)
		dp_worker_wake(d->workers[i]);
	return rc;
}

bool dp_pools_known(const struct dp *d)
{
	return d->grace.done >= d->pools_seen;
}
