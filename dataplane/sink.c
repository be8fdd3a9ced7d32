// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA sink: the messages that carry all of it to the workers, in order, and what comes back.
#include "dataplane/sink_state.h"

#include "base/log.h"

#include <rte_malloc.h>

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

LOG_SUBSYSTEM("dataplane");

// ---- Messages ----

static bool is_delete(const struct dp_msg *msg)
{
	return msg->type == DP_MSG_SA_DEL || msg->type == DP_MSG_TUNNEL_DEL;
}

// A delete goes only while there is room for what comes back.
static bool try_send(struct worker_ctl *wc, const struct dp_msg *msg)
{
	struct dp_msg copy = *msg;
	bool del = is_delete(msg);
	if (del && wc->returning == DP_RETURN_RING)
		return false;
	// What of it is in the second ring is there before the worker sees it in the first, which is as long.
	if (rte_ring_full(wc->w->sa_ring))
		return false;
	if (dp_msg_has_rest(msg) &&
		rte_ring_sp_enqueue_elem(wc->w->sa_rest_ring, dp_msg_rest(&copy), DP_MSG_REST))
		return false;
	if (rte_ring_sp_enqueue_elem(wc->w->sa_ring, &copy, DP_MSG_HEAD))
		return false;
	wc->returning += del;
	return true;
}

// A few spare ones beyond what is promised stay, so that a busy queue allocates nothing.
static void node_put(struct worker_ctl *wc, struct queued_msg *q)
{
	if (wc->spare_count >= wc->promised + SINK_SPARE) {
		free(q);
		return;
	}
	STAILQ_INSERT_HEAD(&wc->spare, q, link);
	wc->spare_count++;
}

static struct queued_msg *node_take(struct worker_ctl *wc)
{
	struct queued_msg *q = STAILQ_FIRST(&wc->spare);
	STAILQ_REMOVE_HEAD(&wc->spare, link);
	wc->spare_count--;
	return q;
}

static unsigned drain(struct worker_ctl *wc)
{
	struct queued_msg *q;
	unsigned n = 0;
	while ((q = STAILQ_FIRST(&wc->queue)) && try_send(wc, &q->msg)) {
		STAILQ_REMOVE_HEAD(&wc->queue, link);
		wc->queued--;
		node_put(wc, q);
		n++;
	}
	if (n)
		dp_worker_wake(wc->w);
	return n;
}

int sink_promise(struct dp_sink *s, struct worker_ctl *wc, unsigned n)
{
	while (wc->spare_count < wc->promised + n) {
		struct queued_msg *q = s->alloc(sizeof(*q));
		if (!q)
			return -ENOMEM;
		STAILQ_INSERT_HEAD(&wc->spare, q, link);
		wc->spare_count++;
	}
	wc->promised += n;
	return 0;
}

void sink_promise_drop(struct worker_ctl *wc, unsigned n)
{
	wc->promised -= n;
}

void sink_send_promised(struct worker_ctl *wc, const struct dp_msg *msg)
{
	wc->promised--;
	if (STAILQ_EMPTY(&wc->queue) && try_send(wc, msg)) {
		dp_worker_wake(wc->w);
		return;
	}
	struct queued_msg *q = node_take(wc);
	q->msg = *msg;
	STAILQ_INSERT_TAIL(&wc->queue, q, link);
	wc->queued++;
}

int dp_sink_send(struct dp *d, uint16_t worker, const struct dp_msg *msg)
{
	struct worker_ctl *wc = &d->sink->workers[worker];
	int rc = sink_promise(d->sink, wc, 1);
	if (rc) {
		log_error("worker %u: no memory for a message", worker);
		return rc;
	}
	sink_send_promised(wc, msg);
	return 0;
}

bool dp_sink_waiting(const struct dp *d)
{
	for (uint16_t i = 0; i < d->worker_count; i++)
		if (d->sink->workers[i].queued)
			return true;
	return false;
}

static bool congested(void *ctx)
{
	const struct dp_sink *s = ctx;
	for (uint16_t i = 0; i < s->dp->worker_count; i++)
		if (s->workers[i].queued >= SINK_CONGESTED)
			return true;
	return false;
}

// ---- IKE SPIs ----

// One that finds no room is served from the ring of new ones.
static void ike_spi(void *ctx, uint64_t spi, bool known)
{
	static struct log_limit full = LOG_LIMIT_DEFAULT;
	struct dp_sink *s = ctx;
	uint32_t suppressed;
	if (!known)
		(void)ike_filter_remove(&s->dp->known_spis, spi);
	else if (!ike_filter_add(&s->dp->known_spis, spi) &&
		 log_limit_pass(&full, clock_now_ns(s->dp->seams.clock), &suppressed))
		log_warning("IKE SPI %016" PRIx64 " is not protected from floods: its bucket is "
			    "full (%u more suppressed)",
			spi, suppressed);
}

static uint16_t worker_of(void *ctx, const struct ip_addr *inner)
{
	const struct dp_sink *s = ctx;
	return dp_rss_worker_of_inner(s->dp, inner);
}

// ---- Poll ----

static unsigned take_returns(struct dp_sink *s, struct worker_ctl *wc)
{
	struct dp_return r;
	unsigned n = 0;
	while (n < DP_PUNT_POLL &&
		rte_ring_sc_dequeue_elem(wc->w->return_ring, &r, sizeof(r)) == 0) {
		wc->returning--;
		n++;
		if (r.sa)
			sink_sa_returned(s, wc, r.sa);
		else
			sink_tunnel_returned(s, &r);
	}
	return n;
}

static unsigned take_events(struct dp_sink *s, struct worker_ctl *wc)
{
	struct sa_event ev;
	unsigned n = 0;
	while (n < DP_PUNT_POLL &&
		rte_ring_sc_dequeue_elem(wc->w->event_ring, &ev, sizeof(ev)) == 0) {
		s->dp->seams.sa_event(s->dp->seams.ctx, &ev);
		n++;
	}
	return n;
}

// Events first, and all of them: what an SA had to say comes before its return.
unsigned dp_sink_poll(struct dp *d)
{
	unsigned n = 0;
	for (uint16_t i = 0; i < d->worker_count; i++) {
		struct worker_ctl *wc = &d->sink->workers[i];
		unsigned events = take_events(d->sink, wc);
		if (events < DP_PUNT_POLL)
			n += take_returns(d->sink, wc);
		n += events;
		n += drain(wc);
	}
	return n;
}

// ---- Life ----

static int fifo_init(struct slot_fifo *f, uint32_t first, uint32_t end)
{
	f->size = end - first;
	f->slots = calloc(f->size, sizeof(*f->slots));
	if (!f->slots)
		return -ENOMEM;
	for (uint32_t i = first; i < end; i++)
		fifo_put(f, i);
	return 0;
}

static int worker_init(struct worker_ctl *wc, struct dp_worker *w)
{
	uint32_t slots = w->layout.slots, chunks = slots / DP_CHUNK, tunnels = w->layout.tunnels;
	wc->w = w;
	STAILQ_INIT(&wc->queue);
	STAILQ_INIT(&wc->spare);
	wc->children = calloc(slots, sizeof(*wc->children));
	wc->tunnels = calloc(tunnels, sizeof(*wc->tunnels));
	wc->chunks[SA_IN] = calloc(chunks, sizeof(uint8_t *));
	wc->chunks[SA_OUT] = calloc(chunks, sizeof(uint8_t *));
	wc->tunnel_chunks = calloc((tunnels + DP_SHARED) / DP_CHUNK, sizeof(uint8_t *));
	if (!wc->children || !wc->tunnels || !wc->chunks[SA_IN] || !wc->chunks[SA_OUT] ||
		!wc->tunnel_chunks)
		return -ENOMEM;
	// Slot 0 is not used.
	int rc = fifo_init(&wc->free_children, 1, slots);
	return rc ? rc : fifo_init(&wc->free_tunnels, 1, tunnels);
}

static int shared_init(struct dp_sink *s)
{
	uint32_t first = sink_layout(s)->tunnels;
	s->shared = calloc(DP_SHARED, sizeof(*s->shared));
	return s->shared ? fifo_init(&s->free_shared, first, first + DP_SHARED) : -ENOMEM;
}

int dp_sink_init(struct dp *d)
{
	struct dp_sink *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->dp = d;
	s->alloc = malloc;
	d->sink = s;
	int rc = dp_crypto_init(&s->crypto, d->seams.random);
	for (uint16_t i = 0; i < d->worker_count && !rc; i++)
		rc = worker_init(&s->workers[i], d->workers[i]);
	rc = rc ? rc : shared_init(s);
	rc = rc ? rc : sink_pmtu_init(s);
	if (rc) {
		dp_sink_fini(d);
		return rc;
	}
	d->sa_sink = (struct sa_sink){
		.ctx = s,
		.workers = d->worker_count,
		.worker_of = worker_of,
		.spi_reserve = sink_spi_reserve,
		.spi_release = sink_spi_release,
		.tunnel_add = sink_tunnel_add,
		.tunnel_del = sink_tunnel_del,
		.route_add = sink_route_add,
		.route_del = sink_route_del,
		.route_move = sink_route_move,
		.tunnel_family = sink_tunnel_family,
		.tunnel_move = sink_tunnel_move,
		.tunnel_pmtu = sink_tunnel_pmtu,
		.tunnel_mtu = sink_tunnel_mtu,
		.sa_add = sink_sa_add,
		.sa_switch = sink_sa_switch,
		.sa_del = sink_sa_del,
		.sa_stats = sink_sa_stats,
		.ike_spi = ike_spi,
		.congested = congested,
	};
	return 0;
}

static void children_wipe(struct worker_ctl *wc)
{
	for (uint32_t i = 0; wc->children && i < wc->w->layout.slots; i++)
		for (int dir = SA_IN; dir <= SA_OUT; dir++)
			if (wc->children[i].sa[dir])
				sink_sa_wipe(wc->children[i].sa[dir]);
}

static void chunks_free(uint8_t **chunks, uint32_t n, size_t stride)
{
	for (uint32_t i = 0; chunks && i < n; i++)
		dp_chunk_free(chunks[i], stride);
	free(chunks);
}

static void routes_free(struct tunnel_ctl *t)
{
	struct route_ctl *r;
	while ((r = SLIST_FIRST(&t->routes))) {
		SLIST_REMOVE_HEAD(&t->routes, link);
		free(r);
	}
}

static void worker_fini(struct worker_ctl *wc)
{
	struct queued_msg *q;
	uint32_t chunks = wc->w->layout.slots / DP_CHUNK, tunnels = wc->w->layout.tunnels;
	children_wipe(wc);
	chunks_free(wc->chunks[SA_IN], chunks, dp_sa_stride());
	chunks_free(wc->chunks[SA_OUT], chunks, dp_sa_stride());
	chunks_free(wc->tunnel_chunks, (tunnels + DP_SHARED) / DP_CHUNK, sizeof(struct dp_tunnel));
	for (uint32_t i = 0; wc->tunnels && i < tunnels; i++)
		routes_free(&wc->tunnels[i]);
	STAILQ_CONCAT(&wc->spare, &wc->queue);
	while ((q = STAILQ_FIRST(&wc->spare))) {
		STAILQ_REMOVE_HEAD(&wc->spare, link);
		free(q);
	}
	free(wc->children);
	free(wc->tunnels);
	free(wc->free_children.slots);
	free(wc->free_tunnels.slots);
}

void dp_sink_fini(struct dp *d)
{
	if (!d->sink)
		return;
	for (uint16_t i = 0; i < d->worker_count; i++)
		if (d->sink->workers[i].w)
			worker_fini(&d->sink->workers[i]);
	for (uint32_t i = 0; d->sink->shared && i < DP_SHARED; i++)
		routes_free(&d->sink->shared[i].tunnel);
	free(d->sink->shared);
	free(d->sink->free_shared.slots);
	htab_fini(&d->sink->peers);
	dp_crypto_fini(&d->sink->crypto);
	free(d->sink);
	d->sink = NULL;
}
