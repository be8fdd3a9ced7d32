// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The worker's loop: rx -> classify -> esp_in | esp_out | punt -> tx, over bursts.
#include "dataplane/worker.h"

#include "base/secret.h"

#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

// ---- Life ----

int dp_worker_new(struct dp *d, uint16_t id, uint16_t lcore, const struct dp_layout *l,
	struct dp_worker **out)
{
	int socket = (int)rte_lcore_to_socket_id(lcore);
	struct dp_worker *w = rte_zmalloc_socket("sallyport_worker", sizeof(*w), 64, socket);
	if (!w)
		return -ENOMEM;
	w->dp = d;
	w->id = id;
	w->lcore = lcore;
	w->layout = *l;
	w->socket = socket;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	TAILQ_INIT(&w->pending);
	w->uplink_cause = calloc(l->slots, sizeof(*w->uplink_cause));
	w->now_ns = clock_now_ns(d->seams.clock);

	int rc = w->wake_fd < 0 || !w->uplink_cause ? -ENOMEM : 0;
	rc = rc ? rc : dp_slab_init(&w->in, l->slots, dp_sa_stride());
	rc = rc ? rc : dp_slab_init(&w->out, l->slots, dp_sa_stride());
	rc = rc ? rc : dp_slab_init(&w->tunnels, l->slots, sizeof(struct dp_tunnel));
	rc = rc ? rc : dp_crypto_init(&w->crypto, d->seams.random);
	rc = rc ? rc : dp_worker_rings_new(w);
	if (rc) {
		dp_worker_free(w);
		return rc;
	}
	*out = w;
	return 0;
}

static void batch_free(struct dp_batch *b)
{
	rte_pktmbuf_free_bulk(b->m, b->n);
	b->n = 0;
}

void dp_worker_free(struct dp_worker *w)
{
	if (!w)
		return;
	for (unsigned i = 0; i < DP_PORTS_MAX; i++)
		batch_free(&w->tx[i]);
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++)
		batch_free(&w->handoff[i]);
	dp_worker_rings_free(w);
	dp_crypto_fini(&w->crypto);
	dp_slab_fini(&w->in);
	dp_slab_fini(&w->out);
	dp_slab_fini(&w->tunnels);
	free((void *)(uintptr_t)w->uplink_cause);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	secret_wipe(w, sizeof(*w));
	rte_free(w);
}

// ---- One round ----

void dp_run_stages(struct dp_worker *w)
{
	if (w->esp_in.n)
		dp_esp_in(w);
	if (w->route.n)
		dp_route_stage(w);
	if (w->esp_out.n)
		dp_esp_out(w);
}

static unsigned rx(struct dp_worker *w, const struct dp_port *port)
{
	struct rte_mbuf *m[DP_BURST];
	uint16_t n = rte_eth_rx_burst(port->port_id, w->id, m, DP_BURST);
	if (n == 0)
		return 0;
	dp_add(&w->stats.rx_packets, n);
	dp_classify(w, port, m, n, DP_HANDOFF_MISPREDICTED);
	dp_run_stages(w);
	return n;
}

static void wake_control(struct dp_worker *w)
{
	w->tell = false;
	if (atomic_exchange(&w->dp->wake_armed, false))
		(void)eventfd_write(w->dp->wake_fd, 1);
}

unsigned dp_worker_poll_once(struct dp_worker *w)
{
	unsigned n = dp_msg_poll(w);
	w->now_ns = clock_now_ns(w->dp->seams.clock);
	for (uint16_t i = 0; i < w->dp->port_count; i++)
		if (w->id < w->dp->ports[i].rx_queues)
			n += rx(w, &w->dp->ports[i]);
	n += dp_handoff_poll(w);
	dp_handoff_flush(w);
	dp_tx_flush(w);
	dp_pend_flush(w);
	if (w->tell)
		wake_control(w);
	dp_add(&w->stats.polls, 1);
	if (n == 0)
		dp_add(&w->stats.idle_polls, 1);
	atomic_store_explicit(&w->passes,
		atomic_load_explicit(&w->passes, memory_order_relaxed) + 1, memory_order_release);
	return n;
}

// ---- Idle ----

static bool has_work(const struct dp_worker *w)
{
	if (!rte_ring_empty(w->sa_ring) || !rte_ring_empty(w->inject_ring))
		return true;
	for (uint16_t i = 0; i < w->dp->worker_count; i++)
		if (w->handoff_in[i] && !rte_ring_empty(w->handoff_in[i]))
			return true;
	return false;
}

// Descriptors that become readable with a packet, where the PMD has them, and our own.
static nfds_t wait_fds(const struct dp_worker *w, struct pollfd *fds)
{
	nfds_t n = 0;
	fds[n++] = (struct pollfd){.fd = w->wake_fd, .events = POLLIN};
	for (uint16_t i = 0; i < w->dp->port_count; i++) {
		const struct dp_port *p = &w->dp->ports[i];
		if (!p->rx_interrupt || w->id >= p->rx_queues)
			continue;
		int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(p->port_id, w->id);
		if (fd >= 0)
			fds[n++] = (struct pollfd){.fd = fd, .events = POLLIN};
	}
	return n;
}

static void nap(struct dp_worker *w, struct pollfd *fds, nfds_t n, uint64_t ns)
{
	struct timespec ts = {0, (long)ns};
	eventfd_t v;
	atomic_store(&w->sleeping, true);
	if (!has_work(w)) {
		dp_add(&w->stats.sleeps, 1);
		ppoll(fds, n, &ts, NULL);
	}
	atomic_store(&w->sleeping, false);
	if (fds[0].revents & POLLIN)
		(void)eventfd_read(w->wake_fd, &v);
	fds[0].revents = 0;
}

// Longer and longer, up to a millisecond.
static uint64_t next_nap(uint64_t ns)
{
	ns *= 2;
	return ns > DP_SLEEP_MAX_NS ? DP_SLEEP_MAX_NS : ns;
}

int dp_worker_main(void *worker)
{
	struct dp_worker *w = worker;
	struct pollfd fds[DP_PORTS_MAX + 1];
	nfds_t n = wait_fds(w, fds);
	bool may_sleep = w->dp->cfg->main.idle == CFG_IDLE_SLEEP;
	unsigned idle = 0;
	uint64_t ns = DP_SLEEP_MIN_NS;

	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		if (dp_worker_poll_once(w)) {
			idle = 0;
			ns = DP_SLEEP_MIN_NS;
		} else if (!may_sleep || ++idle < DP_IDLE_POLLS) {
			rte_pause();
		} else {
			nap(w, fds, n, ns);
			ns = next_nap(ns);
		}
	}
	return 0;
}
