// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/ike_io.h"

#include "dataplane/ip.h"

#define IKE_TTL    64
#define MARKER_LEN 4

static const uint8_t non_esp_marker[MARKER_LEN];

// RFC 3948 2.3: one byte of 0xFF.
static bool is_keepalive(struct view payload)
{
	return payload.len == 1 && payload.p[0] == 0xff;
}

enum dp_drop ike_io_unwrap(uint16_t local_port, struct view payload, struct view *ike)
{
	static const uint8_t non_ike_marker[NON_IKE_MARKER];
	struct rd r = rd_view(payload);
	if (local_port != IKE_NATT_PORT && local_port != IKE_PORT)
		return DP_DROP_local_proto;
	if (is_keepalive(payload))
		return DP_DROP_keepalive;
	if (local_port == IKE_NATT_PORT) {
		uint32_t marker;
		if (!rd_u32(&r, &marker))
			return DP_DROP_ike_short;
		if (marker != 0)
			return DP_DROP_ike_marker;
	} else if (payload.len >= NON_IKE_MARKER + ESP_HDR_LEN &&
		   memcmp(payload.p, non_ike_marker, NON_IKE_MARKER) == 0) {
		return DP_DROP_ike_marker;
	}
	if (rd_left(&r) < IKE_HEADER_LEN)
		return DP_DROP_ike_short;
	*ike = rd_rest(&r);
	return DP_DROP_NONE;
}

struct cut {
	const struct pkt_ip_head *head;
	struct view payload;
	size_t room; // payload bytes of a fragment but the last, a multiple of 8
	uint32_t id;
};

static void put_u16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

// IPv4: offset and flag go into the header that build_ip made, whose checksum is made anew.
static void head_ipv4(struct wr *w, const struct cut *c, size_t offset, size_t len, bool more)
{
	pkt_build_ip(w, c->head, len);
	if (w->overflow)
		return;
	put_u16(w->base + 4, (uint16_t)c->id);
	put_u16(w->base + 6, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	put_u16(w->base + 10, 0);
	put_u16(w->base + 10, pkt_sum_fold(pkt_sum(0, w->base, IPV4_HDR_LEN)));
}

static void head_ipv6(struct wr *w, const struct cut *c, size_t offset, size_t len, bool more)
{
	struct pkt_ip_head h = *c->head;
	h.proto = IPV6_FRAGMENT;
	pkt_build_ip(w, &h, IPV6_FRAG_LEN + len);
	wr_u8(w, c->head->proto);
	wr_u8(w, 0);
	wr_u16(w, (uint16_t)(offset | (more ? 1 : 0)));
	wr_u32(w, c->id);
}

static enum dp_drop emit_fragments(
	const struct cut *c, bool (*emit)(void *, const struct ike_io_packet *), void *ctx)
{
	for (size_t offset = 0; offset < c->payload.len;) {
		uint8_t head[IPV6_HDR_LEN + IPV6_FRAG_LEN];
		struct wr w = wr_of(head, sizeof(head));
		size_t left = c->payload.len - offset;
		bool more = left > c->room;
		size_t len = more ? c->room : left;
		if (c->head->src.family == IP_V4)
			head_ipv4(&w, c, offset, len, more);
		else
			head_ipv6(&w, c, offset, len, more);
		if (w.overflow)
			return DP_DROP_too_big;
		struct ike_io_packet p = {{head, w.len}, {c->payload.p + offset, len}};
		if (!emit(ctx, &p))
			return DP_DROP_NONE;
		offset += len;
	}
	return DP_DROP_NONE;
}

enum dp_drop ike_io_cut(const struct pkt_ip_head *h, struct view payload, uint16_t mtu, uint32_t id,
	bool (*emit)(void *, const struct ike_io_packet *), void *ctx)
{
	bool v4 = h->src.family == IP_V4;
	size_t overhead = v4 ? IPV4_HDR_LEN : IPV6_HDR_LEN + IPV6_FRAG_LEN;
	if (mtu < overhead + 8 || (v4 && overhead + payload.len > UINT16_MAX))
		return DP_DROP_too_big;
	struct cut c = {h, payload, (mtu - overhead) & ~(size_t)7, id};
	return emit_fragments(&c, emit, ctx);
}

enum dp_drop ike_io_build(const struct ike_datagram *dg, uint16_t mtu, uint32_t id,
	uint8_t scratch[static DATAGRAM_MAX], bool (*emit)(void *, const struct ike_io_packet *),
	void *ctx)
{
	uint8_t family = dg->local.addr.family;
	if (family != dg->remote.addr.family || ip_len(family) == 0)
		return DP_DROP_udp;
	struct wr u = wr_of(scratch, DATAGRAM_MAX);
	// RFC 3948 2.3: a keepalive is one byte and nothing else.
	bool marked = dg->local.port == IKE_NATT_PORT && !is_keepalive(dg->bytes);
	struct view marker = {non_esp_marker, marked ? MARKER_LEN : 0};
	pkt_build_udp(&u, &dg->local, &dg->remote, marker, dg->bytes);
	if (u.overflow)
		return DP_DROP_too_big;
	struct pkt_ip_head h = {
		.src = dg->local.addr,
		.dst = dg->remote.addr,
		.proto = IP_PROTO_UDP,
		.ttl = IKE_TTL,
		.id = (uint16_t)id,
	};
	size_t head_len = family == IP_V4 ? IPV4_HDR_LEN : IPV6_HDR_LEN;
	if (family == IP_V4 && head_len + u.len > UINT16_MAX)
		return DP_DROP_too_big; // cannot be put together again
	if (head_len + u.len <= mtu) {
		uint8_t head[IPV6_HDR_LEN];
		struct wr w = wr_of(head, sizeof(head));
		pkt_build_ip(&w, &h, u.len);
		struct ike_io_packet p = {{head, w.len}, {scratch, u.len}};
		emit(ctx, &p);
		return DP_DROP_NONE;
	}
	return ike_io_cut(&h, (struct view){scratch, u.len}, mtu, id, emit, ctx);
}
