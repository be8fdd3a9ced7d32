// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/punt.h"

#define FRAME_MAX 128 // bytes: the largest ARP or ND frame

struct rte_mbuf *dp_buf_begin(struct dp *d, size_t cap, struct wr *w)
{
	struct rte_mbuf *m = dp_ctl_alloc(d, cap);
	void *p = m && cap <= UINT16_MAX ? rte_pktmbuf_append(m, (uint16_t)cap) : NULL;
	if (!p) {
		rte_pktmbuf_free(m);
		dp_count_drop(d, DP_DROP_no_mbuf);
		return NULL;
	}
	*w = wr_of(p, cap);
	return m;
}

struct rte_mbuf *dp_buf_end(struct rte_mbuf *m, const struct wr *w)
{
	if (w->overflow || w->len == 0) {
		rte_pktmbuf_free(m);
		return NULL;
	}
	(void)rte_pktmbuf_trim(m, (uint16_t)(w->cap - w->len));
	return m;
}

struct rte_mbuf *dp_buf_of(struct dp *d, const struct ike_io_packet *p)
{
	struct wr w;
	struct rte_mbuf *m = dp_buf_begin(d, p->head.len + p->body.len, &w);
	if (!m)
		return NULL;
	wr_view(&w, p->head);
	wr_view(&w, p->body);
	return dp_buf_end(m, &w);
}

static struct pkt_mac mac_of(const struct dp *d, uint16_t port)
{
	struct pkt_mac m;
	memcpy(m.bytes, d->ports[port].mac.addr_bytes, sizeof(m.bytes));
	return m;
}

// The address that a question is asked from: of the target's subnet, else any of its family.
static const struct ip_addr *source_for(
	const struct dp *d, uint16_t port, const struct ip_addr *target)
{
	const struct ip_addr *any = NULL;
	for (uint16_t i = 0; i < d->routes.local_count; i++) {
		const struct dp_local *l = &d->routes.locals[i];
		if (l->port != port || l->addr.family != target->family)
			continue;
		if (ip_prefix_contains(&l->subnet, target))
			return &l->addr;
		any = any ? any : &l->addr;
	}
	return any;
}

static void on_probe(
	void *ctx, uint16_t port, const struct ip_addr *target, const struct pkt_mac *mac)
{
	struct dp *d = ctx;
	const struct ip_addr *source = source_for(d, port, target);
	struct pkt_mac own = mac_of(d, port);
	struct wr w;
	struct rte_mbuf *m = source ? dp_buf_begin(d, FRAME_MAX, &w) : NULL;
	if (!m)
		return;
	if (target->family == IP_V4) {
		struct pkt_arp arp = {
			.op = ARP_REQUEST,
			.sender_mac = own,
			.sender = *source,
			.target = *target,
		};
		pkt_build_arp(&w, mac, &arp);
	} else {
		pkt_build_ns(&w, &own, source, mac, target);
	}
	m = dp_buf_end(m, &w);
	if (m)
		dp_inject(d, port, m);
}

static void on_publish(
	void *ctx, uint16_t port, const struct ip_addr *addr, const struct pkt_mac *mac)
{
	struct dp_neigh n = {.addr = *addr, .port = port, .valid = mac != NULL};
	if (mac)
		memcpy(n.mac.addr_bytes, mac->bytes, sizeof(mac->bytes));
	dp_neigh_publish(ctx, &n);
}

static void on_send(void *ctx, uint16_t port, const struct pkt_mac *mac, void *packet)
{
	struct dp *d = ctx;
	struct rte_mbuf *m = packet;
	struct pkt_mac own = mac_of(d, port);
	uint8_t version = rte_pktmbuf_data_len(m) ? *rte_pktmbuf_mtod(m, uint8_t *) >> 4 : 0;
	void *head = rte_pktmbuf_prepend(m, ETH_HDR_LEN);
	if (!head) {
		dp_count_drop(d, DP_DROP_no_room);
		rte_pktmbuf_free(m);
		return;
	}
	struct wr w = wr_of(head, ETH_HDR_LEN);
	pkt_build_eth(&w, mac, &own, version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
	dp_inject(d, port, m);
}

static void on_drop(void *ctx, enum dp_drop why, void *packet)
{
	dp_control_drop(ctx, packet, why);
}

struct neigh_seams dp_neigh_seams(struct dp *d)
{
	return (struct neigh_seams){
		.ctx = d,
		.probe = on_probe,
		.publish = on_publish,
		.send = on_send,
		.drop = on_drop,
	};
}

static void send_via(
	struct dp *d, uint16_t port, const struct ip_addr *next_hop, struct rte_mbuf *m)
{
	neigh_send(d->local->neigh, port, next_hop, m, clock_now_ns(d->seams.clock));
}

struct sending {
	struct dp *dp;
	uint16_t port;
	const struct ip_addr *next_hop;
};

static bool emit(void *ctx, const struct ike_io_packet *p)
{
	const struct sending *s = ctx;
	struct rte_mbuf *m = dp_buf_of(s->dp, p);
	if (m)
		send_via(s->dp, s->port, s->next_hop, m);
	return m != NULL;
}

// The way back by the port that the peer came in by, if that has a route, else any.
static const struct dp_route *route_to(const struct dp *d, const struct ike_datagram *dg)
{
	const struct ip_addr *to = &dg->remote.addr;
	const struct dp_route *r = NULL;
	if (ip_len(to->family) == 0 || dg->origin.port >= d->port_count)
		return NULL;
	enum cfg_role side = d->ports[dg->origin.port].role;
	r = dp_route_lookup_port(&d->routes, side, dg->origin.port, to->family, to->bytes);
	return r ? r : dp_route_lookup(&d->routes, side, to->family, to->bytes);
}

// RFC 6864 4.2: a tunnel's packets in UDP have the same ends and protocol, and numbers of their workers.
uint32_t dp_ip_id(struct dp *d)
{
	uint32_t step = dp_id_step(d->worker_count);
	d->local->ip_id += step;
	return (d->local->ip_id & ~(step - 1)) | d->worker_count;
}

void dp_send(struct dp *d, const struct ike_datagram *dg)
{
	const struct dp_route *r = route_to(d, dg);
	if (!r) {
		dp_count_drop(d, DP_DROP_no_route);
		return;
	}
	struct sending s = {d, r->port, r->via.family ? &r->via : &dg->remote.addr};
	enum dp_drop why =
		ike_io_build(dg, d->ports[r->port].mtu, dp_ip_id(d), d->local->scratch, emit, &s);
	if (why != DP_DROP_NONE)
		dp_count_drop(d, why);
}
