// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What is not the gateway's on a port is the kernel's, where the port has an interface for it (a TAP,
// ports[].exception): SSH, a routing daemon. Workers choose and count (exception.c), within a share
// that cannot starve ESP; the control thread, which alone makes system calls, reads and writes the
// TAP (exception_tap.c).
//
//   to the kernel    frames for our MAC or a group's that would be dropped as no business of ours:
//                    clear packets on an outside port, other protocols and ports on own addresses,
//                    groups (OSPF), other ethertypes; copies of ARP and neighbour discovery
//   from the kernel  leaves by the port, as it is; but what is for a client goes into its tunnel,
//                    or is dropped
#pragma once

#include "dataplane/ip.h"
#include "dataplane/worker.h"

#define DP_EXCEPTION_SHARE_NS (10 * NS_PER_MS)

// ---- Workers (exception.c) ----

// Packets that a worker takes for the kernel in each DP_EXCEPTION_SHARE_NS, of a rate a second.
static inline uint32_t dp_exception_share(uint32_t rate, uint16_t workers)
{
	uint64_t share = (uint64_t)rate * DP_EXCEPTION_SHARE_NS / NS_PER_S / workers;
	return share ? (uint32_t)share : 1;
}

// An IP packet for an own address of a port that has an exception: it is the kernel's, not what the
// control thread answers itself (ICMP, fragments, IKE).
bool dp_exception_wants(const struct ip_info *ip, const uint8_t *packet);
// A frame that is about to be dropped. True: taken, for the kernel or because the share is used up.
bool dp_exception_take(struct dp_worker *w, struct rte_mbuf *m, enum dp_drop why);

// ---- Control thread (exception_tap.c) ----

struct dp_exceptions;

// The TAPs that the configuration names; ports have been started. 0 or -errno after logging.
MUST_USE int dp_exceptions_init(struct dp *d);
void dp_exceptions_fini(struct dp *d);
// A frame that a worker took, the port's in meta. Borrowed.
void dp_exception_write(struct dp *d, uint16_t port, struct view frame);
// The control thread has looked at a packet (data as in struct dp_meta) and, why, has not found it to
// be its own, or has and the kernel wants it too. True: the kernel has it, nothing was dropped.
bool dp_exception_offer(
	struct dp *d, const struct dp_meta *meta, struct view bytes, enum dp_drop why);
// Frames from the kernel, bounded; how many.
unsigned dp_exceptions_poll(struct dp *d, uint64_t now_ns);
uint64_t dp_exceptions_next_ns(const struct dp *d);
// Readable when d->wake_fd or a TAP is; -1: there is none.
int dp_exceptions_fd(const struct dp *d);
