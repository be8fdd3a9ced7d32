// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The worker's loop: rx -> classify -> esp_in | esp_out | punt -> tx, over bursts.
#include "dataplane/frag.h"
#include "dataplane/gather.h"
#include "dataplane/warm.h"

#include "base/secret.h"

#include <rte_ethdev.h>
#include <rte_interrupts.h>
#include <rte_malloc.h>
#include <rte_pause.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
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
	w->id = w->given = id;
	w->lcore = lcore;
	w->layout = *l;
	w->ids = (struct dp_ids){id, dp_id_step(d->cfg->main.worker_count)};
	w->spi_first = dp_spi_make(l, id, 0, 0) >> l->nonce_bits;
	w->neigh_gen = 1;
	w->warm.w = w;
	w->own_v4 = UINT64_MAX;
	w->socket = socket;
	w->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	TAILQ_INIT(&w->pending);
	dp_hold_init(&w->hold);
	for (unsigned i = 0; i < DP_PORTS_MAX; i++)
		w->watch[i].left = DP_RSS_WATCH;
	w->keep_ns = dp_ports_keep_first(w);
	w->uplink_cause = calloc(l->slots, sizeof(*w->uplink_cause));
	w->family = calloc(l->tunnels + DP_SHARED, sizeof(*w->family));
	w->mark = calloc(l->tunnels + DP_SHARED, sizeof(*w->mark));
	w->ways = calloc(l->tunnels + DP_SHARED, sizeof(*w->ways));
	w->now_ns = clock_now_ns(d->seams.clock);
	w->gather_due_ns = UINT64_MAX;
	w->frag_id = (uint32_t)random_u64(d->seams.random); // RFC 7739

	int rc = w->wake_fd < 0 || !w->uplink_cause || !w->family || !w->mark || !w->ways ? -ENOMEM
											  : 0;
	rc = rc ? rc : dp_slab_init(&w->in, l->slots, dp_sa_stride());
	rc = rc ? rc : dp_slab_init(&w->out, l->slots, dp_sa_stride());
	rc = rc ? rc : dp_slab_init(&w->tunnels, l->tunnels + DP_SHARED, sizeof(struct dp_tunnel));
	rc = rc                              ? rc
	     : d->cfg->main.worker_count > 1 ? dp_crypto_init_apart(&w->crypto, d->seams.random)
					     : dp_crypto_init(&w->crypto, d->seams.random);
	w->crypto.warm = &w->warm;
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
		rte_pktmbuf_free_bulk(w->handoff[i].m, w->handoff[i].n);
	dp_hold_free(&w->hold);
	gather_free(w->gather);
	dp_worker_rings_free(w);
	dp_crypto_fini(&w->crypto);
	dp_slab_fini(&w->in);
	dp_slab_fini(&w->out);
	dp_slab_fini(&w->tunnels);
	free((void *)(uintptr_t)w->uplink_cause);
	free((void *)(uintptr_t)w->family);
	free((void *)(uintptr_t)w->mark);
	free(w->ways);
	if (w->wake_fd >= 0)
		close(w->wake_fd);
	secret_wipe(w, sizeof(*w));
	rte_free(w);
}

// ---- One round ----

void dp_run_stages(struct dp_worker *w)
{
	if (w->esp_in.n) {
		dp_esp_in(w);
		dp_stage_end(w, DP_STAGE_ESP_IN);
	}
	if (w->route.n) {
		dp_route_stage(w);
		dp_stage_end(w, DP_STAGE_ROUTE);
	}
	if (w->esp_out.n) {
		dp_esp_out(w);
		dp_stage_end(w, DP_STAGE_ESP_OUT);
	}
}

static void take(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n)
{
	dp_add(&w->stats.rx_packets, n);
	if (unlikely(w->trace))
		dp_trace_rx(w, port, m, n);
	// By a device of several ports: dp_vlan_rx() does.
	if (unlikely(w->watch[port->index].left) && !port->vlans &&
		atomic_load_explicit(&port->rss, memory_order_relaxed))
		dp_rss_watch(w, port, m, n);
	dp_classify_burst(w, port, m, n, w->warm.found);
	dp_stage_end(w, DP_STAGE_CLASSIFY);
	dp_run_stages(w);
}

// A full burst has most likely more behind it: they are received before it is worked on, so that their
// memory arrives meanwhile. All that has been received is sent before the poll ends.
static unsigned rx(struct dp_worker *w, const struct dp_port *port)
{
	struct rte_mbuf *m[2][DP_BURST];
	unsigned all = 0, turn = 0;
	uint16_t n = rte_eth_rx_burst(port->port_id, w->id, m[0], DP_BURST), next;
	dp_stage_end(w, DP_STAGE_RX);
	if (n == 0)
		return 0;
	dp_warm_begin(&w->warm, m[0], n, port->role == CFG_OUTSIDE);
	for (; n; n = next, turn ^= 1) {
		dp_warm_end(&w->warm);
		all += n;
		next = 0;
		if (n == DP_BURST && all < DP_BURSTS * DP_BURST)
			next = rte_eth_rx_burst(port->port_id, w->id, m[turn ^ 1], DP_BURST);
		dp_stage_end(w, DP_STAGE_RX);
		dp_warm_begin(&w->warm, m[turn ^ 1], next, port->role == CFG_OUTSIDE);
		take(w, port, m[turn], n);
	}
	return all;
}

static void wake_control(struct dp_worker *w)
{
	w->tell = false;
	if (atomic_exchange(&w->dp->wake_armed, false))
		(void)eventfd_write(w->dp->wake_fd, 1);
}

// A poll is as long as it is since the end of the last one: a single look at the clock.
static void clock_begin(struct dp_worker *w)
{
	struct dp_watch *c = &w->clock;
	c->on = (++c->polls & (DP_SAMPLE - 1)) == 0;
	if (likely(!c->on))
		return;
	memset(c->cycles, 0, sizeof(c->cycles));
	c->mark = rte_rdtsc();
}

static void add_stages(struct dp_worker *w, unsigned packets)
{
	dp_stage_end(w, DP_STAGE_OTHER);
	for (unsigned i = 0; i < DP_STAGES; i++)
		dp_add(&w->stats.stage_cycles[i], w->clock.cycles[i]);
	dp_add(&w->stats.stage_packets, packets);
}

static void clock_end(struct dp_worker *w, unsigned packets)
{
	struct dp_watch *c = &w->clock;
	struct dp_stats *s = &w->stats;
	uint64_t now = rte_rdtsc(), cycles = c->end ? now - c->end : 0;
	c->end = now;
	if (packets == 0) {
		dp_add(&s->idle_cycles, cycles);
		return;
	}
	dp_add(&s->busy_cycles, cycles);
	dp_add(&s->busy_polls, 1);
	dp_add(&s->busy_packets, packets);
	if (unlikely(c->on))
		add_stages(w, packets);
}

// Ports with a queue of this worker's and without tags.
static void plain_ports(struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->port_count; i++) {
		const struct dp_port *p = &w->dp->ports[i];
		bool plain = w->id < p->tx_queues && !p->vlans;
		w->tx[i].below = plain ? RTE_DIM(w->tx[i].m) - 1 : 0;
	}
}

// Where the destinations of most packets stand; while the poll lasts no range is freed. Where there is
// none, one that holds nothing but 0.0.0.0, of which no tunnel is.
static void first_flat(struct dp_worker *w)
{
	static const _Atomic uint64_t none;
	const struct dp_dst_ranges *all = dp_dst_ranges(w->dp->dst);
	w->warm.flat = all->flat_count ? all->flat[0] : (struct dp_dst_flat){0, 0, &none};
}

unsigned dp_worker_poll_once(struct dp_worker *w)
{
	unsigned packets = 0;
	dp_trace_begin(w);
	clock_begin(w);
	unsigned n = dp_msg_poll(w);
	dp_pend_flush(w);
	w->now_ns = clock_now_ns(w->dp->seams.clock);
	plain_ports(w);
	first_flat(w);
	w->version = atomic_load_explicit(&dp_dst_head(w->dp->dst)->version, memory_order_acquire);
	w->straight = !w->trace && !w->dp->bypass;
	dp_handoff_begin(w);
	dp_stage_end(w, DP_STAGE_OTHER);
	if (unlikely(w->now_ns >= w->keep_ns))
		dp_ports_keep(w);
	for (uint16_t i = 0; i < w->dp->port_count; i++)
		if (w->id < w->dp->ports[i].rx_queues)
			packets += rx(w, &w->dp->ports[i]);
	// What the messages had to tell has left this core by now: waiting for it costs nothing.
	if (unlikely(w->tell))
		wake_control(w);
	dp_stage_end(w, DP_STAGE_OTHER);
	packets += dp_handoff_poll(w);
	n += packets + dp_hold_expire(w);
	if (unlikely(w->now_ns >= w->gather_due_ns))
		n += dp_frag_expire(w);
	dp_handoff_flush(w);
	dp_stage_end(w, DP_STAGE_OTHER);
	dp_tx_flush(w);
	dp_stage_end(w, DP_STAGE_TX);
	dp_pend_flush(w);
	if (unlikely(w->tell))
		wake_control(w);
	dp_add(&w->stats.polls, 1);
	if (n == 0)
		dp_add(&w->stats.idle_polls, 1);
	clock_end(w, packets);
	atomic_store_explicit(&w->passes,
		atomic_load_explicit(&w->passes, memory_order_relaxed) + 1, memory_order_release);
	return n;
}

// ---- Idle ----

// What can wake a sleeping worker beside its eventfd: the receive queues whose PMD has interrupts,
// in one epoll instance.
struct idle {
	int epoll;
	uint32_t changes;                          // of the ports, when it was made
	uint64_t max_ns;                           // longest sleep
	const struct dp_port *armed[DP_PORTS_MAX]; // ports whose queue is armed before each sleep
	unsigned armed_count;
};

static int queue_event(const struct idle *idle, const struct dp_port *p, uint16_t queue, int op)
{
	return rte_eth_dev_rx_intr_ctl_q(p->port_id, queue, idle->epoll, op, NULL);
}

// Queue w->id of the port exists and has a descriptor.
static bool can_wake(const struct idle *idle, const struct dp_worker *w, const struct dp_port *p)
{
	return idle->epoll >= 0 && w->id < p->rx_queues && (p->rx_interrupt || p->rx_readable);
}

// Where any queue cannot wake us for certain, sleeps are short. (net_tap hears of a packet by a
// signal of its own, which may come after its descriptor became readable.)
static void idle_init(struct idle *idle, const struct dp_worker *w)
{
	*idle = (struct idle){.epoll = epoll_create1(EPOLL_CLOEXEC),
		.changes = atomic_load(&w->dp->port_changes),
		.max_ns = DP_SLEEP_MAX_NS};
	for (uint16_t i = 0; i < w->dp->port_count; i++) {
		const struct dp_port *p = &w->dp->ports[i];
		bool wakes = can_wake(idle, w, p) &&
			     queue_event(idle, p, w->id, RTE_INTR_EVENT_ADD) == 0;
		if (wakes && p->rx_interrupt)
			idle->armed[idle->armed_count++] = p;
		else if (w->id < p->rx_queues)
			idle->max_ns = DP_SLEEP_BLIND_NS;
	}
}

static void idle_fini(struct idle *idle, const struct dp_worker *w)
{
	for (uint16_t i = 0; i < w->dp->port_count; i++)
		if (can_wake(idle, w, &w->dp->ports[i]))
			(void)queue_event(idle, &w->dp->ports[i], w->id, RTE_INTR_EVENT_DEL);
	if (idle->epoll >= 0)
		close(idle->epoll);
}

static void arm(struct idle *idle, const struct dp_worker *w)
{
	for (unsigned i = 0; i < idle->armed_count; i++)
		(void)rte_eth_dev_rx_intr_enable(idle->armed[i]->port_id, w->id);
}

static void disarm(struct idle *idle, const struct dp_worker *w)
{
	for (unsigned i = 0; i < idle->armed_count; i++)
		(void)rte_eth_dev_rx_intr_disable(idle->armed[i]->port_id, w->id);
}

static void wait_for_work(struct dp_worker *w, struct idle *idle, uint64_t ns)
{
	struct pollfd fds[2] = {
		{.fd = w->wake_fd, .events = POLLIN}, {.fd = idle->epoll, .events = POLLIN}};
	struct timespec ts = {0, (long)ns};
	struct rte_epoll_event seen[DP_PORTS_MAX];
	eventfd_t v;
	dp_add(&w->stats.sleeps, 1);
	ppoll(fds, RTE_DIM(fds), &ts, NULL);
	if (fds[0].revents & POLLIN)
		(void)eventfd_read(w->wake_fd, &v);
	if (fds[1].revents & POLLIN) // EAL takes each queue's event off its descriptor
		(void)rte_epoll_wait(idle->epoll, seen, DP_PORTS_MAX, 0);
}

// One sleep. What came before the queues were armed, or before others could see that we sleep,
// raises no event: so everything is polled once more in between. Returns what that moved.
static unsigned nap(struct dp_worker *w, struct idle *idle, uint64_t ns)
{
	if (idle->changes != atomic_load(&w->dp->port_changes)) {
		idle_fini(idle, w);
		idle_init(idle, w);
	}
	atomic_store(&w->sleeping, true);
	arm(idle, w);
	unsigned n = dp_worker_poll_once(w);
	if (n == 0 && !atomic_load_explicit(&w->stop, memory_order_acquire))
		wait_for_work(w, idle, ns);
	disarm(idle, w);
	atomic_store(&w->sleeping, false);
	return n;
}

static uint64_t longer(const struct idle *idle, uint64_t ns)
{
	return ns * 2 > idle->max_ns ? idle->max_ns : ns * 2;
}

// What the control thread gave us before it said stop still leaves: IKEv1's DELETE has no answer that
// anybody would have waited for.
static void send_rest(struct dp_worker *w)
{
	for (unsigned i = 0; i < DP_INJECT_RING && !rte_ring_empty(w->inject_ring); i++)
		dp_worker_poll_once(w);
}

int dp_worker_main(void *worker)
{
	struct dp_worker *w = worker;
	bool may_sleep = w->dp->cfg->main.idle == CFG_IDLE_SLEEP;
	unsigned empty = 0;
	uint64_t ns = DP_SLEEP_MIN_NS;
	struct idle idle = {.epoll = -1};

	if (may_sleep)
		idle_init(&idle, w);
	while (!atomic_load_explicit(&w->stop, memory_order_acquire)) {
		bool tired = may_sleep && empty >= DP_IDLE_POLLS;
		if (tired ? nap(w, &idle, ns) : dp_worker_poll_once(w)) {
			empty = 0;
			ns = DP_SLEEP_MIN_NS;
		} else if (tired) {
			ns = longer(&idle, ns);
		} else {
			empty++;
			rte_pause();
		}
	}
	send_rest(w);
	idle_fini(&idle, w);
	return 0;
}
