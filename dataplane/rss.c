// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/rss.h"

#include "base/log.h"
#include "dataplane/worker.h"

#include <rte_thash.h>

#include <inttypes.h>

LOG_SUBSYSTEM("rss");

#define JUDGE_WRONG 8 // packets on another queue than predicted, and an eighth: it is no accident

struct tuple {
	uint32_t words[10]; // host order, as rte_softrss() takes them
	uint32_t count;
};

static void add_addr(struct tuple *t, const struct ip_addr *a)
{
	for (size_t i = 0; i < ip_len(a->family); i += 4)
		t->words[t->count++] = (uint32_t)a->bytes[i] << 24 |
				       (uint32_t)a->bytes[i + 1] << 16 |
				       (uint32_t)a->bytes[i + 2] << 8 | a->bytes[i + 3];
}

uint32_t rss_hash_dst(const uint8_t *key, const struct ip_addr *dst)
{
	struct tuple t = {.count = 0};
	add_addr(&t, dst);
	return rte_softrss(t.words, t.count, key);
}

uint32_t rss_hash_addrs(const uint8_t *key, const struct ip_addr *src, const struct ip_addr *dst)
{
	struct tuple t = {.count = 0};
	add_addr(&t, src);
	add_addr(&t, dst);
	return rte_softrss(t.words, t.count, key);
}

uint32_t rss_hash_ports(const uint8_t *key, const struct endpoint *src, const struct endpoint *dst)
{
	struct tuple t = {.count = 0};
	add_addr(&t, &src->addr);
	add_addr(&t, &dst->addr);
	t.words[t.count++] = (uint32_t)src->port << 16 | dst->port;
	return rte_softrss(t.words, t.count, key);
}

uint32_t rss_hash_spi(const uint8_t *key, uint32_t spi)
{
	return rte_softrss(&spi, 1, key);
}

// The queue of a hash value; p->rss is true.
static uint16_t queue_of(const struct dp_port *p, uint32_t hash)
{
	return p->reta[hash & (p->reta_size - 1u)];
}

// The queue that the port gives a packet to, or -1 where that is not known. ports: a UDP packet
// that is no fragment.
static int predict(
	const struct dp_port *p, bool ports, const struct endpoint *src, const struct endpoint *dst)
{
	if (!p->rss)
		return -1;
	if (p->role == CFG_INSIDE)
		return queue_of(p, rss_hash_dst(p->rss_key, &dst->addr));
	if (p->rss_spi || !ports)
		return -1;
	return queue_of(p, rss_hash_ports(p->rss_key, src, dst));
}

// A spread of addresses where no NIC decides: an avalanche over all their bytes, so that
// neighbouring addresses differ in the high bits that choose the worker.
static uint32_t mix(const struct ip_addr *a)
{
	uint64_t h = 0x9e3779b97f4a7c15;
	for (size_t i = 0; i < ip_len(a->family); i++) {
		h = (h ^ a->bytes[i]) * 0xff51afd7ed558ccd;
		h ^= h >> 32;
	}
	return (uint32_t)(h >> 16);
}

static const struct dp_port *inside_with_rss(const struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++)
		if (d->ports[i].role == CFG_INSIDE && d->ports[i].rss)
			return &d->ports[i];
	return NULL;
}

uint16_t dp_rss_worker_of_inner(const struct dp *d, const struct ip_addr *inner)
{
	const struct dp_port *p = inside_with_rss(d);
	if (p)
		return queue_of(p, rss_hash_dst(p->rss_key, inner));
	return (uint16_t)((uint64_t)mix(inner) * d->worker_count >> 32);
}

int dp_rss_worker_of_spi(const struct dp *d, const struct tunnel_path *path, uint32_t spi)
{
	if (path->port >= d->port_count)
		return -1;
	const struct dp_port *p = &d->ports[path->port];
	if (path->encap)
		return predict(p, true, &path->remote, &path->local);
	return p->rss && p->rss_spi ? queue_of(p, rss_hash_spi(p->rss_key, spi)) : -1;
}

// The queue that this frame should have come to, or -1.
static int predict_frame(const struct dp_port *p, struct rte_mbuf *m)
{
	const uint8_t *packet = dp_data(m) + RTE_ETHER_HDR_LEN;
	struct ip_info ip;
	if (m->data_len <= RTE_ETHER_HDR_LEN ||
		ip_parse_packet(packet, m->data_len - RTE_ETHER_HDR_LEN, false, &ip) !=
			DP_DROP_NONE)
		return -1;
	bool plain = !ip.fragment && !ip.extended && ip.upper + 4u <= ip.total;
	if (plain && ip.proto == PROTO_ESP && p->rss && p->rss_spi)
		return queue_of(p, rss_hash_spi(p->rss_key, get_be32(packet + ip.upper)));
	struct endpoint src = {.addr = ip_from_bytes(ip.family, ip.src)};
	struct endpoint dst = {.addr = ip_from_bytes(ip.family, ip.dst)};
	bool ports = plain && ip.proto == PROTO_UDP;
	if (ports)
		ip_ports(packet, &ip, &src.port, &dst.port);
	return predict(p, ports, &src, &dst);
}

void dp_rss_watch(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n)
{
	struct dp_rss_watch *watch = &w->watch[port->index];
	if (++watch->bursts == UINT16_MAX)
		watch->left = 0;
	for (unsigned i = 0; i < n && watch->left; i++) {
		uint16_t type =
			m[i]->data_len >= RTE_ETHER_HDR_LEN ? get_be16(dp_data(m[i]) + 12) : 0;
		bool is_ip = type == RTE_ETHER_TYPE_IPV4 || type == RTE_ETHER_TYPE_IPV6;
		int predicted = is_ip ? predict_frame(port, m[i]) : -1;
		if (predicted < 0)
			continue;
		watch->left--;
		dp_add(predicted == w->id ? &watch->right : &watch->wrong, 1);
	}
}

void rss_judge(struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct dp_port *p = &d->ports[i];
		uint64_t right = 0, wrong = 0;
		for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
			right += dp_get(&d->workers[w]->watch[i].right);
			wrong += dp_get(&d->workers[w]->watch[i].wrong);
		}
		// A few may come from before the table was written.
		if (!p->rss || wrong < JUDGE_WRONG || wrong * JUDGE_WRONG < right)
			continue;
		p->rss = false;
		log_warning("port %s: %" PRIu64 " of %" PRIu64
			    " packets came on another queue than the NIC's key and table say: "
			    "its spread is not predicted any more, expect packets handed "
			    "between workers",
			p->cfg->name, wrong, right + wrong);
	}
}
