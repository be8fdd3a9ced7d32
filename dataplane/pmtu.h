// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The path MTU of each tunnel (RFC 1191, RFC 8201; RFC 4301 8.2): which ICMP messages about our ESP
// packets are believed, and for how long. Control thread.
#pragma once

#include "base/clock.h"

#include <stdbool.h>

struct pkt_quote;
struct dp;

// What becomes of an ICMP "too big" that quotes ESP: counter ("dp_pmtu_<name>") and text.
#define DP_PMTUS(X)                                                                               \
	X(lowered, "ICMP too big believed: path MTU of a tunnel lowered")                         \
	X(raised, "path MTUs that were raised again, ten minutes after they were lowered")        \
	X(refused_short, "ICMP too big without an ESP header: cannot be checked")                 \
	X(refused_rate, "ICMP too big above the rate limit")                                      \
	X(refused_sa, "ICMP too big that quotes no packet of a live outbound SA")                 \
	X(refused_sequence, "ICMP too big that quotes a sequence number not sent lately")         \
	X(refused_below_minimum, "ICMPv6 too big below 1280 bytes (RFC 8201 4: must be ignored)") \
	X(refused_not_lower, "ICMP too big that is not below the path MTU in use")

enum dp_pmtu {
#define X(name, text) DP_PMTU_##name,
	DP_PMTUS(X)
#undef X
		DP_PMTU_COUNT
};

extern const char *const dp_pmtu_name[DP_PMTU_COUNT];
extern const char *const dp_pmtu_text[DP_PMTU_COUNT];

#define DP_PMTU_NS (600 * NS_PER_S) // as RFC 1191 6.3 recommends
// Packets between the one that was too big and its report; 0.1 s at 10 Mpps.
#define DP_PMTU_SEQ (1u << 20)

// An ICMP too big about a packet that may be ours; counted in d->pmtu.
void dp_pmtu_report(struct dp *d, const struct pkt_quote *q);
// Raise what is due; returns how many.
unsigned dp_pmtu_tick(struct dp *d, uint64_t now_ns);
// When dp_pmtu_tick() has something to do; UINT64_MAX: never.
uint64_t dp_pmtu_next_ns(const struct dp *d);

// The next hop's MTU that a router leaves out (RFC 1191 5): the next plateau below the size of the
// packet that it could not send. Pure.
uint16_t dp_pmtu_plateau(uint32_t total);
