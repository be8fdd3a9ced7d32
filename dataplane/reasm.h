// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Reassembly of outer fragments for the control thread: IKE datagrams that a peer or a router cut.
// Hard caps on datagrams, on bytes and on one source's share. Control thread; no DPDK.
#pragma once

#include "dataplane/pkt.h"

struct reasm;

struct reasm_limits {
	uint32_t datagrams;      // being put together, in all
	uint32_t per_source;     // the same, of one source address
	uint32_t bytes;          // of payload held, in all
	uint32_t datagram_bytes; // largest result
	uint16_t fragments;      // of one datagram
	uint64_t timeout_ns;     // from its first fragment; RFC 8200 4.5: 60 s at most
};

extern const struct reasm_limits reasm_limits_default;

// key: an unpredictable 16-byte hash key, copied. 0 or -ENOMEM.
MUST_USE int reasm_new(
	const struct reasm_limits *l, const uint8_t key[static 16], struct reasm **out);
void reasm_free(struct reasm *r);

// Take one fragment (ip->fragment is true); the bytes are copied. DP_DROP_NONE and *done: *whole is
// the packet as one, its payload borrowed until the next call and head that of this fragment.
// DP_DROP_NONE and not *done: more is awaited. Otherwise the fragment, and with fragment_overlap
// and fragment_bad its whole datagram, is gone (RFC 5722 4: "... MUST be silently discarded").
MUST_USE enum dp_drop reasm_input(struct reasm *r, const struct pkt_ip *ip, uint64_t now_ns,
	bool *done, struct pkt_ip *whole);

// Drops what is overdue; returns how many datagrams. reasm_input() does not do it by itself.
unsigned reasm_expire(struct reasm *r, uint64_t now_ns);
// When reasm_expire() has something to do at the earliest; UINT64_MAX: never.
uint64_t reasm_next_ns(const struct reasm *r);

struct reasm_usage {
	uint32_t datagrams, bytes;
};
struct reasm_usage reasm_usage(const struct reasm *r);
