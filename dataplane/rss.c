// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/rss.h"

#include "base/log.h"
#include "dataplane/port.h"
#include "dataplane/worker.h"

#include <rte_thash.h>

#include <inttypes.h>

LOG_SUBSYSTEM("rss");

#define LEARN_TRIES   3
#define LEARN_SAMPLES 8 // packets of different hash, at least
#define JUDGE_WRONG   8 // packets on another queue than predicted, and an eighth: it is no accident

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

// What the port hashes of a frame, if that is known.
static bool hashed(const struct dp_port *p, struct rte_mbuf *m, struct tuple *t)
{
	const uint8_t *packet = dp_data(m) + RTE_ETHER_HDR_LEN;
	struct ip_info ip;
	*t = (struct tuple){.count = 0};
	if (m->data_len <= RTE_ETHER_HDR_LEN ||
		ip_parse_packet(packet, m->data_len - RTE_ETHER_HDR_LEN, false, &ip) !=
			DP_DROP_NONE)
		return false;
	bool plain = !ip.fragment && !ip.extended && ip.upper + 4u <= ip.total;
	struct endpoint src = {.addr = ip_from_bytes(ip.family, ip.src)};
	struct endpoint dst = {.addr = ip_from_bytes(ip.family, ip.dst)};
	if (p->role == CFG_INSIDE) {
		add_addr(t, &dst.addr);
		return true;
	}
	if (!plain || ip.proto != (p->rss_spi ? PROTO_ESP : PROTO_UDP))
		return false;
	if (p->rss_spi) {
		t->words[t->count++] = get_be32(packet + ip.upper);
		return true;
	}
	ip_ports(packet, &ip, &src.port, &dst.port);
	add_addr(t, &src.addr);
	add_addr(t, &dst.addr);
	t->words[t->count++] = (uint32_t)src.port << 16 | dst.port;
	return true;
}

static void keep_sample(struct dp_rss_watch *watch, const struct dp_worker *w,
	const struct tuple *t, const struct rte_mbuf *m)
{
	uint16_t n = atomic_load_explicit(&watch->sample_count, memory_order_relaxed);
	if (!(m->ol_flags & RTE_MBUF_F_RX_RSS_HASH) || n == DP_RSS_SAMPLES)
		return;
	for (uint16_t i = 0; i < n; i++)
		if (watch->samples[i].hash == m->hash.rss)
			return;
	struct rss_sample *s = &watch->samples[n];
	*s = (struct rss_sample){
		.hash = m->hash.rss, .len = (uint8_t)(t->count * 4), .queue = w->id};
	for (uint32_t i = 0; i < t->count; i++)
		set_be32(s->input + 4 * i, t->words[i]);
	atomic_store_explicit(&watch->sample_count, n + 1, memory_order_release);
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
		struct tuple t;
		if (!port->rss || !is_ip || !hashed(port, m[i], &t))
			continue;
		watch->left--;
		uint32_t hash = rte_softrss(t.words, t.count, port->rss_key);
		dp_add(queue_of(port, hash) == w->id ? &watch->right : &watch->wrong, 1);
		keep_sample(watch, w, &t, m[i]);
	}
}

// Look again, at as many packets.
static void watch_anew(struct dp *d, uint16_t port)
{
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++)
		atomic_store(&d->workers[w]->watch[port].left, DP_RSS_WATCH);
}

// Every sample went where the table says for the hash that the NIC delivered.
static bool by_table(const struct dp *d, const struct dp_port *p)
{
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
		const struct dp_rss_watch *watch = &d->workers[w]->watch[p->index];
		uint16_t n = atomic_load_explicit(&watch->sample_count, memory_order_acquire);
		for (uint16_t i = 0; i < n; i++)
			if (queue_of(p, watch->samples[i].hash) != watch->samples[i].queue)
				return false;
	}
	return true;
}

// The key that makes what was hashed what was delivered. False: none does, or too little was seen.
static bool learn(struct dp *d, struct dp_port *p)
{
	struct rss_system s;
	unsigned samples = 0;
	rss_system_init(&s);
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
		const struct dp_rss_watch *watch = &d->workers[w]->watch[p->index];
		uint16_t n = atomic_load_explicit(&watch->sample_count, memory_order_acquire);
		samples += n;
		for (uint16_t i = 0; i < n; i++)
			if (!rss_system_add(&s, &watch->samples[i]))
				return false;
	}
	if (samples < LEARN_SAMPLES || !by_table(d, p))
		return false;
	rss_system_solve(&s, p->rss_key);
	return true;
}

static void distrust(struct dp_port *p, const struct dp_rss_seen *seen)
{
	p->rss = false;
	log_warning("port %s: %" PRIu64 " of %" PRIu64
		    " packets came on another queue than the NIC's key and table say: "
		    "its spread is not predicted any more, expect packets handed "
		    "between workers",
		p->cfg->name, seen->wrong, seen->right + seen->wrong);
}

static struct dp_rss_seen seen_by_all(const struct dp *d, uint16_t port)
{
	struct dp_rss_seen s = {0};
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
		s.right += dp_get(&d->workers[w]->watch[port].right);
		s.wrong += dp_get(&d->workers[w]->watch[port].wrong);
	}
	return s;
}

// Workers read the key while the port is predicted: so it is written at the next look, a second after
// they were told that it is not.
static void try_to_learn(struct dp *d, struct dp_port *p, struct dp_ports_one *one)
{
	one->rss_learning = false;
	if (!learn(d, p))
		return;
	log_notice("port %s: the NIC hashes with another key, which was learned from the hashes "
		   "that it delivered: its spread is predicted again",
		p->cfg->name);
	one->rss_base = seen_by_all(d, p->index);
	one->rss_learned++;
	p->rss = true;
	watch_anew(d, p->index);
}

void rss_judge(struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct dp_port *p = &d->ports[i];
		struct dp_ports_one *one = &d->port_state->one[i];
		if (one->rss_learning)
			try_to_learn(d, p, one);
		struct dp_rss_seen seen = seen_by_all(d, i);
		seen.right -= one->rss_base.right;
		seen.wrong -= one->rss_base.wrong;
		// A few may come from before the table was written.
		if (!p->rss || seen.wrong < JUDGE_WRONG || seen.wrong * JUDGE_WRONG < seen.right)
			continue;
		distrust(p, &seen);
		one->rss_learning = one->rss_learned < LEARN_TRIES;
	}
}
