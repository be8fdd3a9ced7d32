// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/fakes/nic.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <stdio.h>
#include <stdlib.h>

#define RING_SIZE 1024
#define MBUFS     4095

struct nic {
	char device[64];
	struct rte_ring *rx[NIC_QUEUES_MAX], *tx[NIC_QUEUES_MAX];
	unsigned queues;
	unsigned drained; // the transmit queue that is looked at next
	enum nic_hash mode;
	int forced;
	uint8_t key[DP_RSS_KEY_MAX];
	uint16_t reta[NIC_RETA_SIZE];
	struct rte_mempool *pool;
};

// net_ring's queue begins with its ring.
static uint16_t burst_rx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	struct rte_ring *r = *(struct rte_ring **)queue;
	return (uint16_t)rte_ring_dequeue_burst(r, (void **)m, n, NULL);
}

static uint16_t burst_tx(void *queue, struct rte_mbuf **m, uint16_t n)
{
	struct rte_ring *r = *(struct rte_ring **)queue;
	return (uint16_t)rte_ring_enqueue_burst(r, (void **)m, n, NULL);
}

void nic_instrument(struct nic *n)
{
	uint16_t port_id;
	if (rte_eth_dev_get_port_by_name(n->device, &port_id))
		return;
	rte_eth_fp_ops[port_id].rx_pkt_burst = burst_rx;
	rte_eth_fp_ops[port_id].tx_pkt_burst = burst_tx;
}

uint32_t nic_toeplitz(const uint8_t *key, const uint8_t *input, size_t len)
{
	uint32_t hash = 0;
	for (size_t bit = 0; bit < len * 8; bit++) {
		if (!(input[bit / 8] & 0x80 >> bit % 8))
			continue;
		// The 32 bits of the key that begin at this bit.
		for (size_t i = 0; i < 32; i++) {
			size_t k = bit + i;
			hash ^= (uint32_t)(key[k / 8] >> (7 - k % 8) & 1) << (31 - i);
		}
	}
	return hash;
}

static void make_key(struct nic *n, const char *name)
{
	// Any key does; two NICs have different ones.
	uint32_t x = 0x12345678;
	for (; *name; name++)
		x = x * 31 + (uint8_t)*name;
	for (size_t i = 0; i < sizeof(n->key); i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		n->key[i] = (uint8_t)(x >> 11);
	}
}

// Pools of NICs that are gone, for those to come: to make one takes longer than most tests.
static struct rte_mempool *spare[4];

static struct rte_mempool *pool_get(const char *name, uint16_t priv)
{
	char text[RTE_MEMPOOL_NAMESIZE];
	for (unsigned i = 0; i < RTE_DIM(spare); i++) {
		struct rte_mempool *p = spare[i];
		if (p && rte_pktmbuf_priv_size(p) == priv) {
			spare[i] = NULL;
			return p;
		}
	}
	snprintf(text, sizeof(text), "nic_%s", name);
	return rte_pktmbuf_pool_create(
		text, MBUFS, 0, priv, DP_PACKET_MAX + RTE_PKTMBUF_HEADROOM + 256, SOCKET_ID_ANY);
}

static void pool_put(struct rte_mempool *p)
{
	for (unsigned i = 0; p && rte_mempool_full(p) && i < RTE_DIM(spare); i++) {
		if (!spare[i]) {
			spare[i] = p;
			return;
		}
	}
	rte_mempool_free(p);
}

void nic_pools_free(void)
{
	for (unsigned i = 0; i < RTE_DIM(spare); i++) {
		rte_mempool_free(spare[i]);
		spare[i] = NULL;
	}
}

struct nic *nic_new(const char *name, unsigned queues, enum nic_hash mode, uint16_t priv)
{
	struct nic *n = calloc(1, sizeof(*n));
	char text[RTE_RING_NAMESIZE];
	if (!n || queues > NIC_QUEUES_MAX) {
		free(n);
		return NULL;
	}
	n->queues = queues;
	n->mode = mode;
	n->forced = -1;
	make_key(n, name);
	for (unsigned i = 0; i < NIC_RETA_SIZE; i++)
		n->reta[i] = (uint16_t)(i % queues);
	n->pool = pool_get(name, RTE_ALIGN_CEIL(priv, RTE_MBUF_PRIV_ALIGN));
	for (unsigned q = 0; q < queues; q++) {
		snprintf(text, sizeof(text), "nic_%s_rx%u", name, q);
		n->rx[q] = rte_ring_create(text, RING_SIZE, SOCKET_ID_ANY, 0);
		snprintf(text, sizeof(text), "nic_%s_tx%u", name, q);
		n->tx[q] = rte_ring_create(text, RING_SIZE, SOCKET_ID_ANY, 0);
		if (!n->rx[q] || !n->tx[q]) {
			nic_free(n);
			return NULL;
		}
	}
	snprintf(n->device, sizeof(n->device), "net_ring_%s", name);
	if (!n->pool || rte_eth_from_rings(name, n->rx, queues, n->tx, queues, 0) < 0) {
		nic_free(n);
		return NULL;
	}
	return n;
}

static void drain(struct rte_ring *ring)
{
	void *m;
	while (ring && rte_ring_dequeue(ring, &m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(ring);
}

void nic_free(struct nic *n)
{
	for (unsigned q = 0; q < n->queues; q++) {
		drain(n->rx[q]);
		drain(n->tx[q]);
	}
	pool_put(n->pool);
	free(n);
}

unsigned nic_in_use(const struct nic *n)
{
	return rte_mempool_in_use_count(n->pool);
}

const char *nic_device(const struct nic *n)
{
	return n->device;
}

void nic_describe(const struct nic *n, struct dp_port *p)
{
	p->rss = n->mode != NIC_HASH_NONE;
	p->rss_spi = n->mode == NIC_HASH_SPI;
	memcpy(p->rss_key, n->key, sizeof(n->key));
	p->rss_key_len = sizeof(n->key);
	p->reta_size = NIC_RETA_SIZE;
	memcpy(p->reta, n->reta, sizeof(n->reta));
}

void nic_force_queue(struct nic *n, int queue)
{
	n->forced = queue;
}

struct headers {
	bool v6;
	uint8_t proto;
	bool fragment;
	const uint8_t *addrs, *upper; // source address; behind the IP header
	size_t upper_len;
};

static bool find_headers(const uint8_t *frame, size_t len, struct headers *h)
{
	if (len < 34)
		return false;
	unsigned type = frame[12] << 8u | frame[13];
	const uint8_t *ip = frame + 14;
	size_t head = 20;
	*h = (struct headers){.v6 = type == 0x86dd};
	if (h->v6) {
		head = 40;
		if (len < 54)
			return false;
		h->proto = ip[6];
		h->fragment = ip[6] == 44;
		h->addrs = ip + 8;
	} else if (type == 0x0800) {
		head = (ip[0] & 15) * 4u;
		h->proto = ip[9];
		h->fragment = (ip[6] & 0x3f) || ip[7];
		h->addrs = ip + 12;
	} else
		return false;
	if (len < 14 + head)
		return false;
	h->upper = ip + head;
	h->upper_len = len - 14 - head;
	return true;
}

// The hash of the modes; false: none, queue 0.
static bool hash_of(const struct nic *n, const uint8_t *frame, size_t len, uint32_t *hash)
{
	struct headers h;
	uint8_t input[36];
	if (!find_headers(frame, len, &h))
		return false;
	size_t addr_len = h.v6 ? 16 : 4;
	switch (n->mode) {
	case NIC_HASH_DST:
		*hash = nic_toeplitz(n->key, h.addrs + addr_len, addr_len);
		return true;
	case NIC_HASH_UDP:
		if (h.proto != 17 || h.fragment || h.upper_len < 4)
			return false;
		memcpy(input, h.addrs, 2 * addr_len);
		memcpy(input + 2 * addr_len, h.upper, 4);
		*hash = nic_toeplitz(n->key, input, 2 * addr_len + 4);
		return true;
	case NIC_HASH_SPI:
		if (h.proto != 50 || h.fragment || h.upper_len < 4)
			return false;
		*hash = nic_toeplitz(n->key, h.upper, 4);
		return true;
	case NIC_HASH_NONE:
		break;
	}
	return false;
}

static int arrives(struct nic *n, unsigned queue, struct rte_mbuf *m)
{
	if (n->forced >= 0)
		queue = (unsigned)n->forced;
	if (rte_ring_enqueue(n->rx[queue], m)) {
		rte_pktmbuf_free(m);
		return -1;
	}
	return (int)queue;
}

int nic_input(struct nic *n, const void *frame, size_t len)
{
	uint32_t hash = 0;
	unsigned queue = 0;
	struct rte_mbuf *m = rte_pktmbuf_alloc(n->pool);
	char *p = m && len <= UINT16_MAX ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;
	if (!p) {
		rte_pktmbuf_free(m);
		return -1;
	}
	memcpy(p, frame, len);
	if (hash_of(n, frame, len, &hash)) {
		m->hash.rss = hash;
		m->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
		queue = n->reta[hash % NIC_RETA_SIZE];
	}
	return arrives(n, queue, m);
}

int nic_input_mbuf(struct nic *n, struct rte_mbuf *m)
{
	return arrives(n, 0, m);
}

struct rte_mbuf *nic_output(struct nic *n, unsigned *queue)
{
	for (unsigned i = 0; i < n->queues; i++) {
		void *m;
		unsigned q = n->drained++ % n->queues;
		if (rte_ring_dequeue(n->tx[q], &m) == 0) {
			if (queue)
				*queue = q;
			return m;
		}
	}
	return NULL;
}
