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

// RFC 3948 2.1: the UDP checksum of ESP in UDP is sent as zero.
void dp_tunnel_set_path(struct dp_tunnel *t, const struct tunnel_path *p)
{
	memset(t->hdr, 0, sizeof(t->hdr));
	t->sum = 0;
	t->local = p->local;
	t->remote = p->remote;
	t->port = p->port;
	t->encap = p->encap;
	t->outer_family = p->remote.addr.family;
	if (t->outer_family == IP_V6)
		outer_v6(t, p);
	else
		outer_v4(t, p);
	if (p->encap) {
		set_be16(t->hdr + t->hdr_len, p->local.port);
		set_be16(t->hdr + t->hdr_len + 2, p->remote.port);
		t->hdr_len += UDP_HDR;
	}
}

// ---- Neighbours ----

static uint32_t neigh_hash(uint16_t port, const struct ip_addr *a)
{
	uint64_t hi, lo;
	memcpy(&hi, a->bytes, 8);
	memcpy(&lo, a->bytes + 8, 8);
	uint64_t h = (hi ^ port) * 0x9e3779b97f4a7c15ull;
	h = (h ^ h >> 31 ^ lo) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 40);
}

// The entry, or the place where it could stand: of one withdrawn, or never used. NULL: full.
static struct dp_neigh *neigh_place(struct dp_worker *w, uint16_t port, const struct ip_addr *a)
{
	struct dp_neigh *room = NULL;
	for (uint32_t i = neigh_hash(port, a), n = 0; n < DP_NEIGH_SLOTS; i++, n++) {
		struct dp_neigh *e = &w->neighs[i % DP_NEIGH_SLOTS];
		if (e->addr.family == 0)
			return room ? room : e;
		if (e->port == port && ip_eq(&e->addr, a))
			return e;
		if (!e->valid && !room)
			room = e;
	}
	return room;
}

// A full table leaves its packets to the control thread, which resolves each anew: slow, not wrong.
void dp_neigh_apply(struct dp_worker *w, const struct dp_neigh *n)
{
	struct dp_neigh *e = neigh_place(w, n->port, &n->addr);
	if (!e)
		return;
	bool known = e->addr.family && e->port == n->port && ip_eq(&e->addr, &n->addr);
	if (!n->valid && !known)
		return;
	if (e->addr.family == 0) {
		// A quarter stays free, so that a search for what is not there ends soon.
		if (w->neigh_used >= DP_NEIGH_SLOTS / 4 * 3)
			return;
		w->neigh_used++;
	}
	*e = *n;
}

const struct dp_neigh *dp_neigh_find(
	const struct dp_worker *w, uint16_t port, const struct ip_addr *a)
{
	for (uint32_t i = neigh_hash(port, a), n = 0; n < DP_NEIGH_SLOTS; i++, n++) {
		const struct dp_neigh *e = &w->neighs[i % DP_NEIGH_SLOTS];
		if (e->addr.family == 0)
			return NULL;
		if (e->port == port && ip_eq(&e->addr, a))
			return e->valid ? e : NULL;
	}
	return NULL;
}
