// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The control thread's side of packets: punt.c takes what workers hand over, egress.c sends.
#pragma once

#include "base/log.h"
#include "dataplane/dp.h"
#include "dataplane/ike_io.h"
#include "dataplane/local.h"
#include "dataplane/neigh.h"
#include "dataplane/reasm.h"

#define RATE_SLOTS 256

struct dp_local_state {
	struct neigh_table *neigh;
	struct reasm *reasm;       // outer fragments
	struct reasm *inner_reasm; // those of hosts: decrypted, or from an inside port
	uint8_t key[16];
	uint32_t ip_id;                 // of the next fragmented datagram
	struct local_rate resolve_rate; // ARP and ND answers
	struct local_rate echo_rate;
	struct local_rate announce_rate;
	struct local_rate error_rate[RATE_SLOTS]; // ICMP errors, by a hash of who gets them
	struct log_limit conflict_log;
	struct rte_ether_addr mac[DP_PORTS_MAX]; // the ports', as workers know them
	uint8_t scratch[DATAGRAM_MAX];
};

// egress.c: the seams of neigh.c, over dp_inject() and dp_neigh_publish().
struct neigh_seams dp_neigh_seams(struct dp *d);

// A buffer of ours with room for cap bytes at w; dp_buf_end() cuts it to what was written, and
// frees it and returns NULL where nothing was or it did not fit.
struct rte_mbuf *dp_buf_begin(struct dp *d, size_t cap, struct wr *w);
struct rte_mbuf *dp_buf_end(struct rte_mbuf *m, const struct wr *w);
// One with the packet in it, or NULL; counted.
struct rte_mbuf *dp_buf_of(struct dp *d, const struct ike_io_packet *p);
