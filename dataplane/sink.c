// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA sink: tunnels, routes, and the messages that carry all of it to the workers, in order.
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
	if (rte_ring_sp_enqueue_elem(wc->w->sa_ring, &copy, sizeof(copy)))
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

// ---- Tunnels ----

struct tunnel_ctl *sink_tunnel(
	struct dp_sink *s, uint32_t id, struct worker_ctl **wc, uint32_t *index)
{
	*index = id & ((1u << DP_TUNNEL_INDEX_BITS) - 1);
	uint32_t worker = dp_tunnel_worker(*index), slot = dp_tunnel_slot(*index);
	if (worker >= s->dp->worker_count || slot == 0 ||
		slot >= s->workers[worker].w->layout.slots)
		return NULL;
	*wc = &s->workers[worker];
	struct tunnel_ctl *t = &(*wc)->tunnels[slot];
	return t->used && dp_tunnel_id(*index, t->generation) == id ? t : NULL;
}

// The next hop of the outer packets: by the routes of their port, else the peer itself.
static struct ip_addr next_hop(const struct dp *d, const struct tunnel_path *p)
{
	const struct dp_route *r = dp_route_lookup_port(
		&d->routes, CFG_OUTSIDE, p->port, p->remote.addr.family, p->remote.addr.bytes);
	return r && r->via.family ? r->via : p->remote.addr;
}

static bool path_ok(const struct dp *d, const struct tunnel_path *p)
{
	uint8_t f = p->remote.addr.family;
	return p->port < d->port_count && (f == IP_V4 || f == IP_V6) && p->local.addr.family == f;
}

static uint8_t tunnel_flags(const struct tunnel_spec *spec)
{
	return (uint8_t)((spec->hold ? DP_TUNNEL_HOLD : 0) |
			 (spec->reverse_path ? DP_TUNNEL_REVERSE_PATH : 0));
}

static int tunnel_add(void *ctx, const struct tunnel_spec *spec, uint32_t *id)
{
	struct dp_sink *s = ctx;
	uint32_t slot, index;
	if (spec->worker >= s->dp->worker_count || !path_ok(s->dp, &spec->path))
		return -EINVAL;
	struct worker_ctl *wc = &s->workers[spec->worker];
	if (!fifo_get(&wc->free_tunnels, &slot))
		return -ENOSPC;
	uint8_t **chunk = &wc->tunnel_chunks[slot >> DP_CHUNK_SHIFT];
	if (!*chunk)
		*chunk = dp_chunk_new(sizeof(struct dp_tunnel), wc->w->socket);
	// This message, and one day the delete.
	if (!*chunk || sink_promise(s, wc, 2)) {
		fifo_put(&wc->free_tunnels, slot);
		return -ENOMEM;
	}
	struct tunnel_ctl *t = &wc->tunnels[slot];
	// Never 0, whose low bits with index 0 would be TUNNEL_NONE.
	t->generation = t->generation == UINT32_MAX ? 1 : t->generation + 1;
	t->used = true;
	t->path = spec->path;
	t->session = spec->session;
	t->mtu = s->dp->ports[spec->path.port].mtu;
	index = dp_tunnel_index(spec->worker, slot);
	sink_send_promised(wc, &(struct dp_msg){.type = DP_MSG_TUNNEL_ADD,
				       .tunnel = index,
				       .generation = t->generation,
				       .df = (uint8_t)spec->df,
				       .flags = tunnel_flags(spec),
				       .mtu = t->mtu,
				       .chunk = *chunk,
				       .path = spec->path,
				       .next_hop = next_hop(s->dp, &spec->path),
				       .session = spec->session});
	*id = dp_tunnel_id(index, t->generation);
	return 0;
}

static void tunnel_del(void *ctx, uint32_t id)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	struct child_ctl *c;
	struct route_ctl *r;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting)
		return;
	t->deleting = true;
	while ((r = SLIST_FIRST(&t->routes))) {
		SLIST_REMOVE_HEAD(&t->routes, link);
		dp_dst_del(s->dp->dst, &r->prefix, index, t->generation);
		free(r);
	}
	LIST_FOREACH (c, &t->children, link) {
		sink_sa_del(s, c->spi, SA_IN);
		sink_sa_del(s, c->spi, SA_OUT);
	}
	sink_send_promised(wc,
		&(struct dp_msg){
			.type = DP_MSG_TUNNEL_DEL, .tunnel = index, .generation = t->generation});
}

// All SAs of the tunnel came back before it did.
static void tunnel_returned(struct worker_ctl *wc, const struct dp_return *r)
{
	struct tunnel_ctl *t = &wc->tunnels[dp_tunnel_slot(r->tunnel)];
	t->used = false;
	t->deleting = false;
	fifo_put(&wc->free_tunnels, dp_tunnel_slot(r->tunnel));
}

// Without memory, which is logged, the worker goes on as before.
static void send_path(struct dp_sink *s, struct worker_ctl *wc, const struct tunnel_ctl *t,
	uint32_t index, enum dp_msg_type type)
{
	(void)dp_sink_send(s->dp, wc->w->id,
		&(struct dp_msg){.type = (uint8_t)type,
			.tunnel = index,
			.generation = t->generation,
			.mtu = t->mtu,
			.path = t->path,
			.next_hop = next_hop(s->dp, &t->path),
			.session = t->session});
}

// What still comes by the NIC's old choice of queue is handed over as roaming.
static void tunnel_move(void *ctx, uint32_t id, const struct tunnel_path *path)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	struct child_ctl *c;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting || !path_ok(s->dp, path))
		return;
	t->path = *path;
	t->mtu = s->dp->ports[path->port].mtu;
	LIST_FOREACH (c, &t->children, link)
		atomic_store_explicit(&wc->w->uplink_cause[c - wc->children], DP_HANDOFF_ROAMING,
			memory_order_relaxed);
	send_path(s, wc, t, index, DP_MSG_TUNNEL_MOVE);
}

static void tunnel_pmtu(void *ctx, uint32_t id, uint16_t outer_mtu)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting)
		return;
	// A forged report does not choke a tunnel: RFC 791, RFC 8200 5.
	uint16_t least = t->path.remote.addr.family == IP_V4 ? 576 : 1280;
	uint16_t most = s->dp->ports[t->path.port].mtu;
	t->mtu = RTE_MIN(RTE_MAX(outer_mtu, least), most);
	send_path(s, wc, t, index, DP_MSG_TUNNEL_MTU);
}

// ---- Routes ----

static struct route_ctl *route_find(struct tunnel_ctl *t, const struct ip_prefix *p)
{
	struct route_ctl *r;
	SLIST_FOREACH (r, &t->routes, link)
		if (r->prefix.bits == p->bits && ip_eq(&r->prefix.addr, &p->addr))
			return r;
	return NULL;
}

// Why packets to it would come to a worker that does not own the tunnel.
static enum dp_handoff downlink_cause(
	const struct dp *d, const struct worker_ctl *wc, const struct ip_prefix *p)
{
	if (p->bits != ip_bits(p->addr.family))
		return DP_HANDOFF_PREFIX;
	return dp_rss_worker_of_inner(d, &p->addr) == wc->w->id ? DP_HANDOFF_MISPREDICTED
								: DP_HANDOFF_STICKY;
}

static int route_add(void *ctx, uint32_t id, const struct ip_prefix *dst)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting)
		return -ENOENT;
	struct route_ctl *r = route_find(t, dst);
	if (r) {
		r->refs++;
		return 0;
	}
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	struct dp_dst_entry e = {.index = index,
		.generation = t->generation,
		.cause = (uint8_t)downlink_cause(s->dp, wc, dst)};
	int rc = dp_dst_add(s->dp->dst, dst, &e);
	if (rc) {
		free(r);
		return rc;
	}
	r->prefix = *dst;
	r->refs = 1;
	SLIST_INSERT_HEAD(&t->routes, r, link);
	if (dst->bits == ip_bits(dst->addr.family))
		dp_local_announce(s->dp, &dst->addr);
	return 0;
}

static void route_del(void *ctx, uint32_t id, const struct ip_prefix *dst)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	struct route_ctl *r = t ? route_find(t, dst) : NULL;
	if (!r || --r->refs)
		return;
	SLIST_REMOVE(&t->routes, r, route_ctl, link);
	dp_dst_del(s->dp->dst, dst, index, t->generation);
	free(r);
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
			tunnel_returned(wc, &r);
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

// Slot 0 is not used.
static int fifo_init(struct slot_fifo *f, uint32_t slots)
{
	f->slots = calloc(slots, sizeof(*f->slots));
	f->size = slots;
	if (!f->slots)
		return -ENOMEM;
	for (uint32_t i = 1; i < slots; i++)
		fifo_put(f, i);
	return 0;
}

static int worker_init(struct worker_ctl *wc, struct dp_worker *w)
{
	uint32_t slots = w->layout.slots, chunks = slots / DP_CHUNK;
	wc->w = w;
	STAILQ_INIT(&wc->queue);
	STAILQ_INIT(&wc->spare);
	wc->children = calloc(slots, sizeof(*wc->children));
	wc->tunnels = calloc(slots, sizeof(*wc->tunnels));
	wc->chunks[SA_IN] = calloc(chunks, sizeof(uint8_t *));
	wc->chunks[SA_OUT] = calloc(chunks, sizeof(uint8_t *));
	wc->tunnel_chunks = calloc(chunks, sizeof(uint8_t *));
	if (!wc->children || !wc->tunnels || !wc->chunks[SA_IN] || !wc->chunks[SA_OUT] ||
		!wc->tunnel_chunks)
		return -ENOMEM;
	int rc = fifo_init(&wc->free_children, slots);
	return rc ? rc : fifo_init(&wc->free_tunnels, slots);
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
		.tunnel_add = tunnel_add,
		.tunnel_del = tunnel_del,
		.route_add = route_add,
		.route_del = route_del,
		.tunnel_move = tunnel_move,
		.tunnel_pmtu = tunnel_pmtu,
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

static void routes_free(struct worker_ctl *wc)
{
	for (uint32_t i = 0; wc->tunnels && i < wc->w->layout.slots; i++) {
		struct route_ctl *r;
		while ((r = SLIST_FIRST(&wc->tunnels[i].routes))) {
			SLIST_REMOVE_HEAD(&wc->tunnels[i].routes, link);
			free(r);
		}
	}
}

static void worker_fini(struct worker_ctl *wc)
{
	struct queued_msg *q;
	uint32_t chunks = wc->w->layout.slots / DP_CHUNK;
	children_wipe(wc);
	chunks_free(wc->chunks[SA_IN], chunks, dp_sa_stride());
	chunks_free(wc->chunks[SA_OUT], chunks, dp_sa_stride());
	chunks_free(wc->tunnel_chunks, chunks, sizeof(struct dp_tunnel));
	routes_free(wc);
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
	dp_crypto_fini(&d->sink->crypto);
	free(d->sink);
	d->sink = NULL;
}
