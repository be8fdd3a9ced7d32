// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets: made once for a row, with all that OpenSSL has to do for those that are to be decrypted;
// then copied into buffers, round by round, outside the clock.
#include "perf/bench.h"

#include "tests/dataplane/esp_oracle.h"

#include <rte_jhash.h>

#include <stdlib.h>

#define ETH      RTE_ETHER_HDR_LEN
#define NUMBER   28         // of the packet, four bytes behind the UDP header
#define HOST     0x0a630005 // 10.99.0.5, on the inside
#define GATEWAY  0xc0000201 // 192.0.2.1
#define CLIENTS  0x0a010001 // 10.1.0.1 on
#define PEERS    0xc6120001 // 198.18.0.1 on
#define OVERHEAD 128        // bytes around an inner packet, at most
#define UNIT     64

uint32_t bench_outer_of(uint32_t tunnel)
{
	return PEERS + tunnel;
}

uint32_t bench_inner_of(uint32_t tunnel)
{
	return CLIENTS + tunnel;
}

// ---- Order ----

static uint32_t lane_tunnels(const struct bench_lane *l)
{
	const struct bench *b = l->b;
	return (b->tunnel_count - l->id + b->lane_count - 1) / b->lane_count;
}

// Exponent 1: the n-th of the tunnels has 1/n of the first one's packets.
static void make_zipf(struct bench_lane *l)
{
	uint32_t n = lane_tunnels(l);
	double sum = 0, at = 0;
	l->zipf = malloc(n * sizeof(*l->zipf));
	if (!l->zipf)
		bench_die("no memory");
	for (uint32_t i = 0; i < n; i++)
		sum += 1.0 / (i + 1);
	for (uint32_t i = 0; i < n; i++) {
		at += 1.0 / (i + 1);
		l->zipf[i] = (uint32_t)(at / sum * UINT32_MAX);
	}
}

static uint32_t draw_zipf(struct bench_lane *l)
{
	uint32_t x = bench_draw(&l->random, UINT32_MAX), lo = 0, hi = lane_tunnels(l) - 1;
	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;
		if (l->zipf[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static uint32_t choose(struct bench_lane *l, unsigned i)
{
	uint32_t n = lane_tunnels(l), nth;
	if (l->b->o.order == BENCH_ROUNDROBIN)
		nth = i % n;
	else if (l->b->o.order == BENCH_ZIPF)
		nth = draw_zipf(l);
	else
		nth = bench_draw(&l->random, n);
	return l->id + nth * l->b->lane_count;
}

static unsigned size_of(unsigned size, unsigned i)
{
	static const uint16_t imix[12] = {64, 576, 64, 64, 576, 64, 1500, 64, 576, 64, 64, 576};
	return size == BENCH_IMIX ? imix[i % 12] : size;
}

// ---- Making packets ----

static void ip_head(uint8_t *p, unsigned len, uint8_t proto, uint32_t src, uint32_t dst)
{
	memset(p, 0, IP4_HDR);
	p[0] = 0x45;
	set_be16(p + 2, (uint16_t)len);
	p[8] = 64;
	p[9] = proto;
	set_be32(p + 12, src);
	set_be32(p + 16, dst);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// The n-th packet as its sender made it.
static void inner_packet(const struct bench_store *s, unsigned n, uint8_t *p)
{
	const struct bench_packet *k = &s->packets[n];
	bool out = s->direction == BENCH_OUT;
	uint32_t client = bench_inner_of(k->tunnel);
	ip_head(p, k->inner_len, PROTO_UDP, out ? HOST : client, out ? client : HOST);
	set_be32(p + 20, 0x10001000);
	set_be32(p + 24, (uint32_t)(k->inner_len - IP4_HDR) << 16);
	memset(p + NUMBER, (int)n, k->inner_len - NUMBER);
	set_be32(p + NUMBER, n);
}

static unsigned outer_packet(struct bench_lane *l, unsigned n, uint8_t *p)
{
	struct bench_packet *k = &l->store.packets[n];
	struct sa_spec spec = bench_spec(l->b, k->tunnel, SA_IN);
	uint8_t inner[BENCH_SIZE_MAX];
	inner_packet(&l->store, n, inner);
	k->seq = ++l->b->tunnels[k->tunnel].seq;
	size_t len = oracle_wrap(&spec, k->seq, inner, k->inner_len, 4, p + IP4_HDR);
	len += IP4_HDR;
	ip_head(p, (unsigned)len, PROTO_ESP, bench_outer_of(k->tunnel), GATEWAY);
	return (unsigned)len;
}

static void make_packet(struct bench_lane *l, unsigned n)
{
	struct bench_store *s = &l->store;
	struct bench_packet *k = &s->packets[n];
	bool out = s->direction == BENCH_OUT;
	uint8_t *p = s->bytes + (size_t)k->at * UNIT;
	memcpy(p, l->b->dp->ports[out ? BENCH_INSIDE : BENCH_OUTSIDE].mac.addr_bytes, 6);
	memset(p + 6, 2, 6);
	set_be16(p + 12, RTE_ETHER_TYPE_IPV4);
	if (out)
		inner_packet(s, n, p + ETH);
	k->len = (uint16_t)(ETH + (out ? k->inner_len : outer_packet(l, n, p + ETH)));
	k->hash = rte_jhash_2words(k->tunnel, out, 0);
}

void bench_store_free(struct bench_lane *l)
{
	free(l->store.bytes);
	free(l->store.packets);
	free(l->zipf);
	l->store = (struct bench_store){0};
	l->zipf = NULL;
}

void bench_store_fill(struct bench_lane *l, enum bench_direction d, unsigned size, unsigned count)
{
	struct bench_store *s = &l->store;
	size_t at = 0;
	bench_store_free(l);
	if (l->b->o.order == BENCH_ZIPF)
		make_zipf(l);
	s->direction = d;
	s->count = count;
	s->packets = calloc(count, sizeof(*s->packets));
	for (unsigned i = 0; s->packets && i < count; i++) {
		struct bench_packet *k = &s->packets[i];
		k->at = (uint32_t)(at / UNIT);
		k->inner_len = (uint16_t)size_of(size, i);
		k->tunnel = choose(l, i);
		s->inner_bytes += k->inner_len;
		at += RTE_ALIGN_CEIL((size_t)k->inner_len + (d == BENCH_IN ? OVERHEAD : ETH), UNIT);
	}
	s->bytes = s->packets ? aligned_alloc(UNIT, at) : NULL;
	if (!s->bytes)
		bench_die("no memory for %u packets", count);
	for (unsigned i = 0; i < count; i++)
		make_packet(l, i);
}

// ---- Into buffers ----

// What a PMD writes, which is the buffer's first line, and the frame.
static void nic_write(struct rte_mbuf *m, const struct bench_store *s, const struct bench_packet *k,
	uint16_t port_id)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	rte_mbuf_refcnt_set(m, 1);
	m->nb_segs = 1;
	m->port = port_id;
	m->ol_flags = RTE_MBUF_F_RX_RSS_HASH | RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	m->packet_type = RTE_PTYPE_L2_ETHER | RTE_PTYPE_L3_IPV4_EXT_UNKNOWN;
	m->pkt_len = m->data_len = k->len;
	m->vlan_tci = 0;
	m->hash.rss = k->hash;
	memcpy(dp_data(m), bench_frame(s, k), k->len);
}

void bench_write_one(
	const struct bench_lane *from, struct rte_mbuf *m, const struct bench_packet *k)
{
	const struct bench_store *s = &from->store;
	int port = s->direction == BENCH_OUT ? BENCH_INSIDE : BENCH_OUTSIDE;
	nic_write(m, s, k, from->b->dp->ports[port].port_id);
}

void bench_write(struct bench_lane *l, const struct bench_lane *from, unsigned slice)
{
	for (unsigned i = 0; i < BENCH_ROUND; i++)
		bench_write_one(from, l->mbufs[i], &from->store.packets[slice * BENCH_ROUND + i]);
}

// ---- What must come out ----

// After a hop: TTL and with it the checksum.
static void expected_inner(const struct bench_store *s, unsigned n, uint8_t *p)
{
	inner_packet(s, n, p);
	p[8]--;
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// The number of a packet of the slice that is this one.
static bool find(const struct bench_lane *l, unsigned slice, const uint8_t *inner, uint32_t *n)
{
	*n = get_be32(inner + NUMBER);
	return *n / BENCH_ROUND == slice;
}

static bool right_inner(const struct bench_lane *l, unsigned slice, struct rte_mbuf *m)
{
	uint8_t want[BENCH_SIZE_MAX];
	uint32_t n;
	if (m->data_len < ETH + BENCH_SIZE_MIN || !find(l, slice, dp_data(m) + ETH, &n))
		return false;
	uint16_t len = l->store.packets[n].inner_len;
	expected_inner(&l->store, n, want);
	return m->data_len == ETH + len && memcmp(dp_data(m) + ETH, want, len) == 0;
}

static bool right_outer(const struct bench_lane *l, unsigned slice, struct rte_mbuf *m)
{
	uint8_t want[BENCH_SIZE_MAX], got[BENCH_SIZE_MAX + OVERHEAD];
	const uint8_t *p = dp_data(m) + ETH;
	uint32_t n, tunnel = get_be32(p + 16) - PEERS;
	if (m->data_len < ETH + IP4_HDR + BENCH_SIZE_MIN || tunnel >= l->b->tunnel_count)
		return false;
	struct sa_spec spec = bench_spec(l->b, tunnel, SA_OUT);
	size_t len = oracle_open(&spec, 0, p + IP4_HDR, m->data_len - ETH - IP4_HDR, got);
	if (len < BENCH_SIZE_MIN || !find(l, slice, got, &n))
		return false;
	const struct bench_packet *k = &l->store.packets[n];
	expected_inner(&l->store, n, want);
	return k->tunnel == tunnel && len >= k->inner_len + 2u &&
	       memcmp(got, want, k->inner_len) == 0 && got[len - 1] == 4;
}

bool bench_sample_right(const struct bench_lane *l, unsigned slice, struct rte_mbuf *m)
{
	return l->store.direction == BENCH_OUT ? right_outer(l, slice, m)
					       : right_inner(l, slice, m);
}
