// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Frames as most of them are, inline: to their port's own MAC, IPv4 without options, in one segment.
#pragma once

#include "dataplane/fast.h"
#include "dataplane/ike_io.h"

#include <rte_vect.h>

// head: what the first 16 bytes of a frame to this port's own MAC are that holds IPv4 without options.
struct dp_port_view {
	const struct dp_port *port;
	__m128i head;
	__m128i seen; // in the same way of an mbuf from its data_off on: one segment, checksum is good
	uint16_t index;
};

static inline struct dp_port_view dp_port_view_of(const struct dp_port *port)
{
	uint8_t head[16] = {[12] = 0x08, [13] = 0x00, [14] = 0x45};
	struct dp_port_view v = {.port = port, .index = port->index};
	memcpy(head, port->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
	memcpy(&v.head, head, sizeof(head));
	v.seen = _mm_set_epi64x(RTE_MBUF_F_RX_IP_CKSUM_GOOD, 1ull << 32);
	return v;
}

static inline bool dp_plain_head(const struct dp_port_view *v, const uint8_t *p)
{
	const __m128i matters =
		_mm_setr_epi8(-1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, -1, -1, -1, 0);
	__m128i head = _mm_loadu_si128((const __m128i *)(const void *)p);
	return _mm_testz_si128(_mm_xor_si128(head, v->head), matters);
}

static_assert(
	offsetof(struct rte_mbuf, nb_segs) == offsetof(struct rte_mbuf, data_off) + 4 &&
		offsetof(struct rte_mbuf, ol_flags) == offsetof(struct rte_mbuf, data_off) + 8,
	"16 bytes have both");

static inline bool dp_plain_mbuf(const struct dp_port_view *v, const struct rte_mbuf *m)
{
	const __m128i matters =
		_mm_set_epi64x(RTE_MBUF_F_RX_IP_CKSUM_MASK, (long long)0xffffull << 32);
	__m128i is = _mm_loadu_si128((const __m128i *)(const void *)&m->data_off);
	return _mm_testz_si128(_mm_xor_si128(is, v->seen), matters);
}

static inline bool dp_checksum_seen(const struct rte_mbuf *m)
{
	return (m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD;
}

// RFC 1122 3.2.1.3: addresses that begin so are nobody's, neither as source nor as destination.
extern const uint8_t dp_nobodys[256];

// ESP: len bytes, behind upper bytes of an outer IPv4 header, and UDP's.
struct dp_sealed {
	struct rte_mbuf *m;
	uint8_t *esp;
	int len, upper;
};

// Of the second eight bytes of an IPv4 header, as they are loaded: more fragments, or an offset; the protocol.
#define DP_NOT_WHOLE    0xff3f0000ull
#define DP_PROTO_BIT    40
#define DP_WHOLE_AND_IS (DP_NOT_WHOLE | 0xffull << DP_PROTO_BIT)

// A frame with ESP, plain or behind UDP's port 4500, to that of the gateway's addresses which was sent to last.
// What p says fits in the frame, but len may be too little, and below zero. False: nothing is decided.
static inline bool dp_sealed_v4(const struct dp_worker *w, const struct dp_port_view *v,
	struct rte_mbuf *m, struct dp_sealed *p)
{
	uint8_t *eth = dp_data(m), *ip = eth + RTE_ETHER_HDR_LEN;
	int total = get_be16(ip + 2), len = total - IP4_HDR, upper = IP4_HDR;
	if (unlikely(m->nb_segs != 1) || unlikely(!dp_plain_head(v, eth)) ||
		unlikely(total + RTE_ETHER_HDR_LEN > m->data_len) ||
		unlikely(!dp_checksum_seen(m) && !dp_v4_sum_ok(ip)))
		return false;
	if (unlikely(dp_load32(ip + 16) != w->own_v4))
		return false;
	uint64_t is = dp_load64(ip + 4) & DP_WHOLE_AND_IS;
	if (is == (uint64_t)PROTO_UDP << DP_PROTO_BIT) {
		len = get_be16(ip + IP4_HDR + 4);
		if (unlikely(len > total - IP4_HDR) ||
			unlikely(get_be16(ip + IP4_HDR + 2) != IKE_NATT_PORT))
			return false;
		len -= UDP_HDR;
		upper += UDP_HDR;
	} else if (unlikely(is != (uint64_t)PROTO_ESP << DP_PROTO_BIT)) {
		return false;
	}
	*p = (struct dp_sealed){.m = m, .esp = ip + upper, .len = len, .upper = upper};
	return true;
}

// Frames from the first on that are plain and belong to the worker which was given the last one: they are given
// to it, too. Returns how many; 0 as well while somebody wants to see each one. found: of the burst.
unsigned dp_give_sealed(
	struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m, unsigned n);
unsigned dp_give_clear(struct dp_worker *w, const struct dp_port_view *v, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found);
