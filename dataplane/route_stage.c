// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Where an IP packet goes: to the gateway, into a tunnel (this worker's or another's), or to the
// inside. A destination that belongs to a pool or tunnel never leaves in clear.
#include "dataplane/fast.h"
#include "dataplane/frag.h"
#include "dataplane/policy.h"

static const uint8_t *dst_of(const struct dp_inner *r)
{
	return r->ip + (r->family == IP_V4 ? 16 : 24);
}

static uint32_t came_from(const struct dp_inner *r)
{
	return r->from ? dp_sa_tunnel_id(r->from) : TUNNEL_NONE;
}

// The control thread, or another worker, gets the packet: what it needs to know.
static struct dp_meta *describe(const struct dp_worker *w, const struct dp_inner *r)
{
	struct dp_meta *meta = dp_meta_begin(w, r->m, r->port);
	meta->tunnel = came_from(r);
	r->m->l2_len = 0;
	r->m->l3_len = r->upper;
	return meta;
}

static __rte_noinline void hop_limit(struct dp_worker *w, const struct dp_inner *r)
{
	dp_add(&w->stats.drops[DP_DROP_ttl], 1);
	(void)describe(w, r);
	dp_punt(w, r->m, DP_PUNT_TTL);
}

// The packets that the gateway makes itself do not pass a hop in it. False: the packet has gone to
// the control thread, which tells its source.
static inline bool pass_hop(struct dp_worker *w, const struct dp_inner *r)
{
	if (unlikely(r->made))
		return true;
	if (likely(r->ip[r->family == IP_V4 ? 8 : 7] > 1)) {
		ip_hop(r->ip, r->family);
		return true;
	}
	hop_limit(w, r);
	return false;
}

static __rte_noinline void to_owner(
	struct dp_worker *w, const struct dp_inner *r, const struct dp_dst_entry *e)
{
	struct dp_meta *meta = describe(w, r);
	meta->to = e->index;
	meta->generation = e->generation;
	dp_handoff(w, (uint16_t)dp_tunnel_worker(e->index), r->m, DP_CARRY_INNER,
		r->from ? DP_HANDOFF_CLIENT : e->cause);
}

static inline void into_tunnel(
	struct dp_worker *w, const struct dp_inner *r, const struct dp_dst_entry *e)
{
	if (!pass_hop(w, r))
		return;
	if (unlikely(dp_tunnel_worker(e->index) != w->id &&
		     !dp_tunnel_shared(&w->layout, e->index))) {
		to_owner(w, r, e);
		return;
	}
	rte_prefetch0(&w->ways[dp_tunnel_slot(e->index)]);
	struct esp_op *op = dp_ops_add(&w->esp_out);
	op->m = r->m;
	op->esp = r->ip;
	op->len = r->len;
	op->upper = r->upper;
	op->to = e->index;
	op->generation = e->generation;
	op->from = came_from(r);
	op->port = r->port;
}

// ---- In clear ----

static __rte_noinline void too_big(
	struct dp_worker *w, const struct dp_inner *r, const struct dp_port *port)
{
	describe(w, r)->mtu = port->mtu;
	dp_add(&w->stats.drops[DP_DROP_too_big], 1);
	dp_punt(w, r->m, DP_PUNT_TOO_BIG);
}

static struct dp_exit6 *exit_slot_v6(struct dp_worker *w, const uint8_t *dst)
{
	uint64_t h = (dp_load64(dst) ^ dp_load64(dst + 8)) * 0x9e3779b97f4a7c15ull;
	return &w->exits6[h >> (64 - DP_EXIT_BITS)];
}

static bool leave_v6(struct dp_worker *w, const struct dp_inner *r)
{
	const uint8_t *dst = dst_of(r);
	const struct dp_exit6 *x = exit_slot_v6(w, dst);
	if (unlikely(x->hi != dp_load64(dst) || x->lo != dp_load64(dst + 8) ||
		     dp_load64(&x->out.gen) != dp_exit_state(w) || r->len > x->out.mtu))
		return false;
	if (likely(pass_hop(w, r)))
		dp_tx_eth(w, x->out.port, x->out.hop, r->m, r->ip, r->len);
	return true;
}

static inline bool leave_v4(struct dp_worker *w, const struct dp_inner *r)
{
	const struct dp_exit *x = dp_exit_v4(w, dp_exit_state(w), r->ip, r->len);
	if (unlikely(!x))
		return false;
	dp_hop_v4(r->ip);
	dp_tx_eth(w, x->port, x->hop, r->m, r->ip, r->len);
	return true;
}

// What other packets found out not long ago: it is no address of the gateway, in no pool and no
// tunnel, and its next hop is known. False: it has to be looked up.
static inline bool leave_again(struct dp_worker *w, const struct dp_inner *r)
{
	return likely(r->family == IP_V4) ? leave_v4(w, r) : leave_v6(w, r);
}

static void remember(struct dp_worker *w, const struct dp_inner *r, const struct dp_port *port,
	const struct dp_neigh *n)
{
	const uint8_t *dst = dst_of(r);
	struct dp_exit x = {.gen = w->neigh_gen,
		.version = w->version,
		.hop = n,
		.tx = &w->tx[port->index],
		.port = port->index,
		.mtu = port->mtu};
	if (r->family == IP_V4) {
		x.v4 = dp_load32(dst);
		*dp_exit_slot(w, x.v4) = x;
		return;
	}
	*exit_slot_v6(w, dst) =
		(struct dp_exit6){.out = x, .hi = dp_load64(dst), .lo = dp_load64(dst + 8)};
}

void dp_route_clear(struct dp_worker *w, const struct dp_inner *r, enum cfg_role side)
{
	const uint8_t *dst = dst_of(r);
	const struct dp_route *route = dp_route_lookup(&w->dp->routes, side, r->family, dst);
	if (!route) {
		dp_drop(w, r->m, DP_DROP_no_route);
		return;
	}
	const struct dp_port *port = &w->dp->ports[route->port];
	bool big = r->len > port->mtu;
	if (big && !dp_frag_may(r->ip)) {
		too_big(w, r, port);
		return;
	}
	struct ip_addr hop = route->via.family ? route->via : ip_from_bytes(r->family, dst);
	if (!pass_hop(w, r))
		return;
	const struct dp_neigh *n = dp_neigh_find(w, port->index, &hop);
	if (n && !r->made && side == CFG_INSIDE)
		remember(w, r, port, n);
	(void)describe(w, r);
	if (big)
		dp_frag_clear(w, port, &hop, r->m);
	else
		dp_tx_ip(w, port, &hop, r->family, r->m);
}

// ---- Which of them ----

// What came out of a tunnel may be for the gateway's own addresses.
static bool for_gateway(struct dp_worker *w, const struct dp_inner *r)
{
	if (!r->from)
		return false;
	const uint8_t *dst = dst_of(r);
	if (dp_local_lookup(&w->dp->routes, r->family, dst)) {
		(void)describe(w, r);
		dp_punt(w, r->m, DP_PUNT_LOCAL);
		return true;
	}
	if (ip_bad_destination(r->family, dst)) {
		dp_drop(w, r->m, DP_DROP_ip_destination);
		return true;
	}
	return false;
}

static __rte_noinline void look_up(struct dp_worker *w, const struct dp_inner *r)
{
	struct dp_dst_entry e;
	if (for_gateway(w, r))
		return;
	switch (dp_dst_lookup(w->dp->dst, r->family, dst_of(r), &e)) {
	case DP_DST_TUNNEL:
		if (unlikely(r->from) && dp_policy_apart(w, r->from, &e))
			dp_drop(w, r->m, DP_DROP_clients_apart);
		else
			into_tunnel(w, r, &e);
		break;
	case DP_DST_POOL:
		dp_drop(w, r->m, DP_DROP_no_tunnel);
		break;
	case DP_DST_NONE:
		dp_route_clear(w, r, r->made ? (enum cfg_role)r->side : CFG_INSIDE);
		break;
	}
}

// A client's address, in what came in by an inside port: nothing else can be meant.
static inline bool to_client(struct dp_worker *w, const struct dp_inner *r)
{
	if (!r->flat || unlikely(r->from))
		return false;
	uint64_t v = atomic_load_explicit(r->flat, memory_order_acquire);
	if (unlikely(!v))
		return false;
	struct dp_dst_entry e;
	dp_dst_entry_of(v, &e);
	into_tunnel(w, r, &e);
	return true;
}

void dp_route_stage(struct dp_worker *w)
{
	if (unlikely(w->dp->bypass))
		dp_policy_bypass(w);
	for (unsigned i = 0; i < w->route.n; i++) {
		const struct dp_inner *r = &w->route.p[i];
		if (to_client(w, r))
			continue;
		if (r->flat || unlikely(r->made) || !leave_again(w, r))
			look_up(w, r);
	}
	w->route.n = 0;
}
