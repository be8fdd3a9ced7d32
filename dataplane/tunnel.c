// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A tunnel's outer header, and the worker's copy of the neighbours.
#include "dataplane/worker.h"

#define OUTER_TTL 64

static void outer_v4(struct dp_tunnel *t, const struct tunnel_path *p)
{
	uint8_t *h = t->hdr;
	h[0] = 0x45;
	h[8] = OUTER_TTL;
	h[9] = p->encap ? PROTO_UDP : PROTO_ESP;
	memcpy(h + 12, p->local.addr.bytes, 4);
	memcpy(h + 16, p->remote.addr.bytes, 4);
	t->sum = ip_sum(h, IP4_HDR);
	t->hdr_len = IP4_HDR;
}

static void outer_v6(struct dp_tunnel *t, const struct tunnel_path *p)
{
	uint8_t *h = t->hdr;
	h[0] = 0x60;
	h[6] = p->encap ? PROTO_UDP : PROTO_ESP;
	h[7] = OUTER_TTL;
	memcpy(h + 8, p->local.addr.bytes, 16);
	memcpy(h + 24, p->remote.addr.bytes, 16);
	t->hdr_len = IP6_HDR;
}

// RFC 3948 2.1: the UDP checksum of ESP in UDP over IPv4 is sent as zero (IPv6: udp6.h). So is the
// marker of its drafts.
void dp_tunnel_set_path(struct dp_tunnel *t, const struct tunnel_path *p)
{
	memset(t->hdr, 0, sizeof(t->hdr));
	t->sum = 0;
	t->local = p->local;
	t->remote = p->remote;
	t->port = p->port;
	t->udp_at = 0;
	t->outer_family = p->remote.addr.family;
	if (t->outer_family == IP_V6)
		outer_v6(t, p);
	else
		outer_v4(t, p);
	if (p->encap) {
		t->udp_at = t->hdr_len;
		set_be16(t->hdr + t->udp_at, p->local.port);
		set_be16(t->hdr + t->udp_at + 2, p->remote.port);
		t->hdr_len += UDP_HDR;
	}
	if (p->encap == SA_ENCAP_UDP_MARKER)
		t->hdr_len += NON_IKE_MARKER;
}

void dp_sa_set_hop(const struct dp_worker *w, struct dp_sa *sa, const struct dp_tunnel *t)
{
	const struct dp_neigh *n = dp_neigh_find(w, t->port, &t->next_hop);
	bool plain = (sa->flags & (DP_SA_STOPPED | DP_SA_FAST_V4)) == DP_SA_FAST_V4 &&
		     !sa->special && sa->out.first;
	sa->out.hop_gen = (n ? w->neigh_gen : 0) | (plain ? 0 : DP_HOP_OTHER);
	sa->out.hop = n ? (uint16_t)(n - w->neighs) : 0;
}

void dp_sa_set_peer(struct dp_sa *sa, const struct dp_tunnel *t)
{
	uint8_t ports[4] = {0};
	sa->peer_v4 = 0;
	if (t->outer_family != IP_V4)
		return;
	memcpy(&sa->peer_v4, t->remote.addr.bytes, sizeof(sa->peer_v4));
	if (t->udp_at) {
		set_be16(ports, t->remote.port);
		set_be16(ports + 2, t->local.port);
	}
	memcpy(&sa->peer_ports, ports, sizeof(ports));
}

static uint64_t marks(uint8_t tos, uint8_t flags)
{
	return (uint64_t)tos << DP_TOS_BIT | (uint64_t)flags << DP_FLAG_BIT;
}

static void set_head(struct dp_sa_out *o, const struct dp_tunnel *t)
{
	uint16_t sum = rte_cpu_to_be_16(ip_fold(ip_sum(t->hdr + 8, IP4_HDR - 8)));
	o->keep = marks(t->tos_keep, t->df == SA_DF_COPY ? DP_OUTER_DF : 0);
	o->first = t->hdr[0] | marks(t->tos_set, t->df == SA_DF_SET ? DP_OUTER_DF : 0);
	memcpy(&o->head[0], t->hdr + 8, 8);
	memcpy(&o->head[1], t->hdr + 16, 8); // without UDP its upper half is zero
	o->sum = sum;
}

void dp_sa_set_path(const struct dp_worker *w, struct dp_sa *sa, const struct dp_tunnel *t)
{
	struct dp_sa_out *o = &sa->out;
	bool marker = t->udp_at && t->hdr_len > t->udp_at + UDP_HDR;
	o->mtu = t->mtu;
	o->port = (uint8_t)t->port;
	o->lead = (uint8_t)(t->hdr_len + ESP_HDR_LEN + sa->iv_len);
	o->first = 0;
	if (t->outer_family == IP_V4 && !marker && !(sa->flags & DP_SA_TRANSPORT))
		set_head(o, t);
	dp_sa_set_hop(w, sa, t);
}

void dp_way_set(struct dp_worker *w, const struct dp_tunnel *t)
{
	struct dp_way *way = &w->ways[dp_tunnel_slot(t->index)];
	*way = dp_way_make(t->out, t->generation);
}

// ---- Neighbours ----

static uint32_t neigh_hash(uint16_t port, const struct ip_addr *a)
{
	uint64_t hi, lo;
	memcpy(&hi, a->bytes, 8);
	memcpy(&lo, a->bytes + 8, 8);
	uint64_t h = (hi ^ port) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 31 ^ lo) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 40) & (DP_NEIGH_SLOTS - 1);
}

static uint32_t neigh_next(uint32_t i)
{
	return (i + 1) & (DP_NEIGH_SLOTS - 1);
}

// Where the entry is, or the empty slot where it would stand; a quarter is always empty.
static uint32_t neigh_slot(const struct dp_worker *w, uint16_t port, const struct ip_addr *a)
{
	uint32_t i = neigh_hash(port, a);
	while (w->neighs[i].addr.family &&
		!(w->neighs[i].port == port && ip_eq(&w->neighs[i].addr, a)))
		i = neigh_next(i);
	return i;
}

// What stands behind and could not be found any more moves up.
static void neigh_remove(struct dp_worker *w, uint32_t hole)
{
	for (uint32_t i = neigh_next(hole); w->neighs[i].addr.family; i = neigh_next(i)) {
		uint32_t home = neigh_hash(w->neighs[i].port, &w->neighs[i].addr);
		if (((i - home) & (DP_NEIGH_SLOTS - 1)) < ((i - hole) & (DP_NEIGH_SLOTS - 1)))
			continue;
		w->neighs[hole] = w->neighs[i];
		hole = i;
	}
	memset(&w->neighs[hole], 0, sizeof(w->neighs[hole]));
	w->neigh_count--;
	w->neigh_gen = w->neigh_gen + 1 == DP_HOP_OTHER ? 1 : w->neigh_gen + 1;
}

static void write_eth(const struct dp_worker *w, struct dp_neigh *n)
{
	const struct dp_port *port = &w->dp->ports[n->port];
	memcpy(n->eth, n->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	memcpy(n->eth + RTE_ETHER_ADDR_LEN, port->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	set_be16(n->eth + 2 * RTE_ETHER_ADDR_LEN,
		n->addr.family == IP_V4 ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
}

// A full table leaves its packets to the control thread, which resolves each anew: slow, not wrong.
void dp_neigh_apply(struct dp_worker *w, const struct dp_neigh *n)
{
	uint32_t i = neigh_slot(w, n->port, &n->addr);
	bool known = w->neighs[i].addr.family != 0;
	if (!n->valid) {
		if (known)
			neigh_remove(w, i);
		return;
	}
	if (!known && w->neigh_count >= DP_NEIGH_SLOTS / 4 * 3)
		return;
	w->neigh_count += !known;
	w->neighs[i] = *n;
	write_eth(w, &w->neighs[i]);
}

const struct dp_neigh *dp_neigh_find(
	const struct dp_worker *w, uint16_t port, const struct ip_addr *a)
{
	const struct dp_neigh *n = &w->neighs[neigh_slot(w, port, a)];
	return n->addr.family ? n : NULL;
}
