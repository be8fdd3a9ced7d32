// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Where an IP packet goes: to the gateway, into a tunnel (this worker's or another's), or to the
// inside. A destination that belongs to a pool or tunnel never leaves in clear.
#include "dataplane/frag.h"

static const uint8_t *dst_of(const uint8_t *p)
{
	return p + (p[0] >> 4 == 4 ? 16 : 24);
}

static uint8_t ttl_of(const uint8_t *p)
{
	return p[0] >> 4 == 4 ? p[8] : p[7];
}

// The packets that the gateway makes itself do not pass a hop in it.
static bool made_here(struct rte_mbuf *m)
{
	return dp_meta(m)->kind == DP_CARRY_ROUTE;
}

// False: the packet has gone to the control thread, which tells its source.
static bool pass_hop(struct dp_worker *w, struct rte_mbuf *m, uint8_t family)
{
	if (made_here(m))
		return true;
	if (ttl_of(dp_data(m)) > 1) {
		ip_hop(dp_data(m), family);
		return true;
	}
	dp_add(&w->stats.drops[DP_DROP_ttl], 1);
	dp_punt(w, m, DP_PUNT_TTL);
	return false;
}

static void into_tunnel(
	struct dp_worker *w, struct rte_mbuf *m, uint8_t family, const struct dp_dst_entry *e)
{
	struct dp_meta *meta = dp_meta(m);
	uint32_t owner = dp_tunnel_worker(e->index);
	if (!pass_hop(w, m, family))
		return;
	meta->to = e->index;
	meta->generation = e->generation;
	if (owner == w->id || dp_tunnel_shared(&w->layout, e->index)) {
		dp_batch_add(&w->esp_out, m);
		return;
	}
	enum dp_handoff cause = meta->tunnel != TUNNEL_NONE ? DP_HANDOFF_CLIENT : e->cause;
	dp_handoff(w, (uint16_t)owner, m, DP_CARRY_INNER, cause);
}

static void in_clear(struct dp_worker *w, struct rte_mbuf *m, uint8_t family)
{
	enum cfg_role side = made_here(m) ? (enum cfg_role)dp_meta(m)->cause : CFG_INSIDE;
	const uint8_t *dst = dst_of(dp_data(m));
	const struct dp_route *r = dp_route_lookup(&w->dp->routes, side, family, dst);
	if (!r) {
		dp_drop(w, m, DP_DROP_no_route);
		return;
	}
	const struct dp_port *port = &w->dp->ports[r->port];
	bool big = m->data_len > port->mtu;
	if (unlikely(big) && !dp_frag_may(dp_data(m))) {
		dp_meta(m)->mtu = port->mtu;
		dp_add(&w->stats.drops[DP_DROP_too_big], 1);
		dp_punt(w, m, DP_PUNT_TOO_BIG);
		return;
	}
	struct ip_addr hop = r->via.family ? r->via : ip_from_bytes(family, dst);
	if (!pass_hop(w, m, family))
		return;
	if (likely(!big))
		dp_tx_ip(w, port, &hop, family, m);
	else
		dp_frag_clear(w, port, &hop, m);
}

// What came out of a tunnel may be for the gateway's own addresses.
static bool for_gateway(struct dp_worker *w, struct rte_mbuf *m, uint8_t family)
{
	if (dp_meta(m)->tunnel == TUNNEL_NONE || made_here(m))
		return false;
	const uint8_t *dst = dst_of(dp_data(m));
	if (dp_local_lookup(&w->dp->routes, family, dst)) {
		dp_punt(w, m, DP_PUNT_LOCAL);
		return true;
	}
	if (ip_bad_destination(family, dst)) {
		dp_drop(w, m, DP_DROP_ip_destination);
		return true;
	}
	return false;
}

static void route_one(struct dp_worker *w, struct rte_mbuf *m)
{
	uint8_t family = dp_data(m)[0] >> 4;
	struct dp_dst_entry e;
	if (for_gateway(w, m, family))
		return;
	switch (dp_dst_lookup(w->dp->dst, family, dst_of(dp_data(m)), &e)) {
	case DP_DST_TUNNEL:
		into_tunnel(w, m, family, &e);
		break;
	case DP_DST_POOL:
		dp_drop(w, m, DP_DROP_no_tunnel);
		break;
	case DP_DST_NONE:
		in_clear(w, m, family);
		break;
	}
}

void dp_route_stage(struct dp_worker *w)
{
	for (unsigned i = 0; i < w->route.n; i++)
		route_one(w, w->route.m[i]);
	w->route.n = 0;
}
