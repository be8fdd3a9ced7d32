// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A NIC for tests: an ethdev over net_ring whose receive side hashes as hardware does (Toeplitz
// over what its mode says, then a redirection table) and puts each packet into that queue's ring,
// with mbuf->hash.rss set. No PMD on a development machine spreads by SPI or by the destination
// alone; this one does, and it can also be told to lie.
//
// Use: EAL is up; nic_new(); the configuration's device is nic_device(); after dp_start()
// nic_describe() tells the predictor what a driver would have. One thread feeds and drains.
#pragma once

#include "dataplane/dp.h"

#define NIC_QUEUES_MAX 8
#define NIC_RETA_SIZE  128

enum nic_hash {
	NIC_HASH_NONE, // everything to queue 0
	NIC_HASH_DST,  // destination address
	NIC_HASH_UDP,  // UDP over IP: both addresses and ports; anything else to queue 0
	NIC_HASH_SPI,  // ESP: the SPI; anything else to queue 0
};

struct nic;

// queues: receive and transmit, each; priv: bytes of private area behind each mbuf. NULL: no
// memory.
struct nic *nic_new(const char *name, unsigned queues, enum nic_hash mode, uint16_t priv);
// After its port was closed, and all its mbufs came back.
void nic_free(struct nic *n);
// Pools of NICs that are gone are kept for those to come. For who has operations of his own for them, at the end.
void nic_pools_free(void);
const char *nic_device(const struct nic *n);
// What the NIC really hashes: rss, key and table of p.
void nic_describe(const struct nic *n, struct dp_port *p);
// From now on all packets go to this queue, whatever they hash to; -1: honest again.
void nic_force_queue(struct nic *n, int queue);

// Take net_ring's bursts over with functions of the fake's own, which a sanitizer sees into. Before
// other threads use the port; it counts nothing from then on.
void nic_instrument(struct nic *n);

// A frame arrives; copied. The queue that it went to, or -1 (ring full, no mbuf).
int nic_input(struct nic *n, const void *frame, size_t len);
// One that a device left in these buffers, without a hash; taken.
int nic_input_mbuf(struct nic *n, struct rte_mbuf *m);
// The next frame that was sent, or NULL; *queue (may be NULL) tells by which. The caller frees it.
struct rte_mbuf *nic_output(struct nic *n, unsigned *queue);
// Its mbufs that are anywhere but in its pool.
unsigned nic_in_use(const struct nic *n);

// Toeplitz, bit by bit, as the specification has it: the fake's own, so that it is an oracle for
// the predictor. key: len + 4 bytes at least.
uint32_t nic_toeplitz(const uint8_t *key, const uint8_t *input, size_t len);
