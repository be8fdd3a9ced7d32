// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The SA sink: tunnels, their copies at the workers, and their routes.
#include "dataplane/policy.h"
#include "dataplane/sink_state.h"

#include <errno.h>
#include <stdlib.h>

// ---- Where they are ----

struct tunnel_ctl *sink_tunnel_at(struct dp_sink *s, uint32_t index)
{
	uint32_t slot = dp_tunnel_slot(index);
	if (dp_tunnel_shared(sink_layout(s), index))
		return &s->shared[slot - sink_layout(s)->tunnels].tunnel;
	return &s->workers[dp_tunnel_worker(index)].tunnels[slot];
}

uint32_t *sink_child_count(struct dp_sink *s, uint32_t index, uint16_t worker)
{
	uint32_t slot = dp_tunnel_slot(index);
	if (dp_tunnel_shared(sink_layout(s), index))
		return &s->shared[slot - sink_layout(s)->tunnels].child_count[worker];
	return &sink_tunnel_at(s, index)->child_count;
}

struct tunnel_ctl *sink_tunnel(
	struct dp_sink *s, uint32_t id, struct worker_ctl **wc, uint32_t *index)
{
	*index = id & ((1u << DP_TUNNEL_INDEX_BITS) - 1);
	uint32_t worker = dp_tunnel_worker(*index), slot = dp_tunnel_slot(*index);
	if (worker >= s->dp->worker_count || slot == 0 ||
		slot >= sink_layout(s)->tunnels + DP_SHARED)
		return NULL;
	*wc = &s->workers[worker];
	struct tunnel_ctl *t = sink_tunnel_at(s, *index);
	bool same = t->index == *index && dp_tunnel_id(*index, t->generation) == id;
	return t->used && same ? t : NULL;
}

// The workers that have the tunnel: all, or its own.
struct copies {
	uint16_t first, end;
};

static struct copies copies_of(const struct dp_sink *s, uint32_t index)
{
	uint16_t worker = (uint16_t)dp_tunnel_worker(index);
	if (dp_tunnel_shared(sink_layout(s), index))
		return (struct copies){0, s->dp->worker_count};
	return (struct copies){worker, worker + 1};
}

static struct slot_fifo *free_slots(struct dp_sink *s, bool shared, uint16_t worker)
{
	return shared ? &s->free_shared : &s->workers[worker].free_tunnels;
}

static uint8_t **tunnel_chunk(struct worker_ctl *wc, uint32_t index)
{
	return &wc->tunnel_chunks[dp_tunnel_slot(index) >> DP_CHUNK_SHIFT];
}

static int worker_room(struct dp_sink *s, struct worker_ctl *wc, uint32_t index)
{
	uint8_t **chunk = tunnel_chunk(wc, index);
	if (!*chunk)
		*chunk = dp_chunk_new(sizeof(struct dp_tunnel), wc->w->socket);
	// The add, and one day the delete.
	return *chunk ? sink_promise(s, wc, 2) : -ENOMEM;
}

// At all workers that are to have the tunnel, or at none.
static int tunnel_room(struct dp_sink *s, uint32_t index)
{
	struct copies c = copies_of(s, index);
	for (uint16_t i = c.first; i < c.end; i++) {
		int rc = worker_room(s, &s->workers[i], index);
		if (rc == 0)
			continue;
		while (i-- > c.first)
			sink_promise_drop(&s->workers[i], 2);
		return rc;
	}
	return 0;
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

static void send_add(struct dp_sink *s, const struct tunnel_ctl *t, const struct tunnel_spec *spec)
{
	struct copies c = copies_of(s, t->index);
	for (uint16_t i = c.first; i < c.end; i++)
		sink_send_promised(
			&s->workers[i], &(struct dp_msg){.type = DP_MSG_TUNNEL_ADD,
						.tunnel = t->index,
						.generation = t->generation,
						.df = (uint8_t)spec->df,
						.flags = tunnel_flags(spec),
						.mtu = t->mtu,
						.chunk = *tunnel_chunk(&s->workers[i], t->index),
						.path = spec->path,
						.next_hop = next_hop(s->dp, &spec->path),
						.session = spec->session,
						.treat = spec->treat});
}

int sink_tunnel_add(void *ctx, const struct tunnel_spec *spec, uint32_t *id)
{
	struct dp_sink *s = ctx;
	uint32_t slot, index;
	if (spec->worker >= s->dp->worker_count || !path_ok(s->dp, &spec->path))
		return -EINVAL;
	// Of one worker there are no copies to have.
	bool shared = spec->per_worker && s->dp->worker_count > 1;
	struct slot_fifo *free = free_slots(s, shared, spec->worker);
	if (!fifo_get(free, &slot))
		return -ENOSPC;
	index = dp_tunnel_index(spec->worker, slot);
	int rc = tunnel_room(s, index);
	if (rc) {
		fifo_put(free, slot);
		return rc;
	}
	struct tunnel_ctl *t = sink_tunnel_at(s, index);
	t->index = index;
	// Never 0, whose low bits with index 0 would be TUNNEL_NONE.
	t->generation = t->generation == UINT32_MAX ? 1 : t->generation + 1;
	t->used = true;
	t->moved = false;
	t->copies = shared ? s->dp->worker_count : 1;
	t->path = spec->path;
	t->session = spec->session;
	t->mtu_max = spec->treat.mtu_max;
	sink_mtu_reset(s, t);
	// Seen with its first route.
	atomic_store_explicit(
		dp_tunnel_mark(s->dp, index), dp_policy_mark(&spec->treat), memory_order_relaxed);
	send_add(s, t, spec);
	*id = dp_tunnel_id(index, t->generation);
	return 0;
}

void sink_tunnel_del(void *ctx, uint32_t id)
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
	sink_mtu_reset(s, t); // it ages no longer
	while ((r = SLIST_FIRST(&t->routes))) {
		SLIST_REMOVE_HEAD(&t->routes, link);
		dp_dst_del(s->dp->dst, &r->prefix, index, t->generation);
		free(r);
	}
	LIST_FOREACH (c, &t->children, link) {
		sink_sa_del(s, c->spi, SA_IN);
		sink_sa_del(s, c->spi, SA_OUT);
	}
	struct copies copies = copies_of(s, index);
	for (uint16_t i = copies.first; i < copies.end; i++)
		sink_send_promised(&s->workers[i], &(struct dp_msg){.type = DP_MSG_TUNNEL_DEL,
							   .tunnel = index,
							   .generation = t->generation});
}

void sink_tunnel_family(void *ctx, uint32_t id, uint64_t family)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (t && !t->deleting)
		atomic_store_explicit(dp_tunnel_family(s->dp, index), family, memory_order_release);
}

// All SAs that a worker has of the tunnel came back before its copy did. The last copy frees the slot.
void sink_tunnel_returned(struct dp_sink *s, const struct dp_return *r)
{
	struct tunnel_ctl *t = sink_tunnel_at(s, r->tunnel);
	if (--t->copies)
		return;
	t->used = false;
	t->deleting = false;
	atomic_store_explicit(dp_tunnel_family(s->dp, r->tunnel), 0, memory_order_relaxed);
	fifo_put(free_slots(s, dp_tunnel_shared(sink_layout(s), r->tunnel),
			 (uint16_t)dp_tunnel_worker(r->tunnel)),
		dp_tunnel_slot(r->tunnel));
}

// Without memory, which is logged, a worker goes on as before.
static void send_path(struct dp_sink *s, const struct tunnel_ctl *t, enum dp_msg_type type)
{
	struct copies c = copies_of(s, t->index);
	for (uint16_t i = c.first; i < c.end; i++)
		(void)dp_sink_send(s->dp, i,
			&(struct dp_msg){.type = (uint8_t)type,
				.tunnel = t->index,
				.generation = t->generation,
				.mtu = t->mtu,
				.path = t->path,
				.next_hop = next_hop(s->dp, &t->path),
				.session = t->session});
}

// From now on what comes to another worker does so because the peer moved: by its new place or, for a
// moment, still by the old one.
void sink_tunnel_move(void *ctx, uint32_t id, const struct tunnel_path *path)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	struct child_ctl *c;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting || !path_ok(s->dp, path))
		return;
	LIST_FOREACH (c, &t->children, link) {
		sink_set_cause(s, c->spi, DP_HANDOFF_ROAMING);
		sink_peer_forget(s, c);
	}
	t->path = *path;
	t->moved = true;
	LIST_FOREACH (c, &t->children, link)
		sink_peer_learn(s, c);
	sink_mtu_reset(s, t);
	send_path(s, t, DP_MSG_TUNNEL_MOVE);
}

void sink_mtu_send(struct dp_sink *s, const struct tunnel_ctl *t)
{
	send_path(s, t, DP_MSG_TUNNEL_MTU);
}

void sink_tunnel_pmtu(void *ctx, uint32_t id, uint16_t outer_mtu)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *t = sink_tunnel(s, id, &wc, &index);
	if (!t || t->deleting)
		return;
	sink_mtu_set(s, t, outer_mtu);
	sink_mtu_send(s, t);
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

// With the reason why packets to it would come to a worker that does not own the tunnel.
static struct dp_dst_entry entry_for(
	const struct dp_sink *s, const struct tunnel_ctl *t, const struct ip_prefix *p)
{
	struct dp_dst_entry e = {
		.index = t->index, .generation = t->generation, .cause = DP_HANDOFF_PREFIX};
	if (p->bits == ip_bits(p->addr.family))
		e.cause = dp_rss_worker_of_inner(s->dp, &p->addr) == dp_tunnel_worker(t->index)
				  ? DP_HANDOFF_MISPREDICTED
				  : DP_HANDOFF_STICKY;
	return e;
}

int sink_route_add(void *ctx, uint32_t id, const struct ip_prefix *dst)
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
	struct dp_dst_entry e = entry_for(s, t, dst);
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

void sink_route_del(void *ctx, uint32_t id, const struct ip_prefix *dst)
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

int sink_route_move(void *ctx, uint32_t from, uint32_t to, const struct ip_prefix *dst)
{
	struct dp_sink *s = ctx;
	struct worker_ctl *wc;
	uint32_t index;
	struct tunnel_ctl *o = sink_tunnel(s, from, &wc, &index);
	struct tunnel_ctl *t = sink_tunnel(s, to, &wc, &index);
	struct route_ctl *r = o ? route_find(o, dst) : NULL;
	if (!r || !t || t->deleting)
		return -ENOENT;
	struct dp_dst_entry e = entry_for(s, t, dst);
	int rc = dp_dst_move(s->dp->dst, dst, o->index, o->generation, &e);
	if (rc)
		return rc;
	SLIST_REMOVE(&o->routes, r, route_ctl, link);
	SLIST_INSERT_HEAD(&t->routes, r, link);
	return 0;
}

bool dp_dst_is_outer(const struct dp *d, const struct ip_addr *a)
{
	struct dp_dst_entry e;
	if (dp_dst_lookup(d->dst, a->family, a->bytes, &e) != DP_DST_TUNNEL)
		return false;
	const struct tunnel_ctl *t = sink_tunnel_at(d->sink, e.index);
	return t->used && ip_eq(&t->path.remote.addr, a);
}
