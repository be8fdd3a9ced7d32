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

// Own addresses of one port that its link is to hear of (announce.c).
struct dp_announcing {
	bool up; // when last looked at
	struct rte_ether_addr mac;
	uint8_t left;     // so many times still
	uint64_t next_ns; // not before
};

struct dp_local_state {
	struct neigh_table *neigh;
	struct reasm *reasm;       // outer fragments
	struct reasm *inner_reasm; // those of hosts: decrypted, or from an inside port
	uint8_t key[16];
	uint32_t ip_id;                 // of the last datagram (dp_ip_id())
	struct local_rate resolve_rate; // ARP and ND answers
	struct local_rate echo_rate;
	struct local_rate announce_rate;
	struct local_rate error_rate[RATE_SLOTS]; // ICMP errors, by a hash of who gets them
	struct log_limit conflict_log;
	struct rte_ether_addr mac[DP_PORTS_MAX]; // the ports', as workers know them
	struct dp_announcing announcing[DP_PORTS_MAX];
	uint8_t scratch[DATAGRAM_MAX];
};

// egress.c: the id of the next datagram, of which IPv4's header has the low half.
uint32_t dp_ip_id(struct dp *d);

// A port as local.h has it.
struct local_port dp_local_port(struct dp *d, uint16_t port);

// announce.c. What ports there are need no announcement yet (dp_announce_all()).
void dp_announce_init(struct dp *d);
unsigned dp_announce_tick(struct dp *d, uint64_t now_ns);
uint64_t dp_announce_next_ns(const struct dp *d);

// egress.c: the seams of neigh.c, over dp_inject() and dp_neigh_publish().
struct neigh_seams dp_neigh_seams(struct dp *d);

// A buffer of ours with room for cap bytes at w; dp_buf_end() cuts it to what was written, and
// frees it and returns NULL where nothing was or it did not fit.
struct rte_mbuf *dp_buf_begin(struct dp *d, size_t cap, struct wr *w);
struct rte_mbuf *dp_buf_end(struct rte_mbuf *m, const struct wr *w);
// One with the packet in it, or NULL; counted.
struct rte_mbuf *dp_buf_of(struct dp *d, const struct ike_io_packet *p);
