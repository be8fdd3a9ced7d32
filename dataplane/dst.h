// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Destination -> tunnel. The control thread is the single writer; workers read without a lock and
// see each entry whole, as 64 bits.
//   pools' ranges     flat arrays (all of IPv4's, IPv6's up to 2^20 addresses)
//   other addresses   an open-addressing hash
//   shorter prefixes  the same hash, keyed by masked address and length; the lengths in use are
//                     tried longest first
//   inside ports'     the same hash, that a tunnel's prefix around them does not take what is the
//   networks, routes  inside's own; probed only while a tunnel has a prefix
// An add or delete costs the control thread a microsecond. (Building an rte_fib beside for every
// change would take it some 400 ms for the 128 MiB of its table; a lookup there is cheaper, but only
// networks behind a peer come this way.)
// A hash that fills is rebuilt beside and swapped; the old one is freed once every worker has
// passed a poll.
#pragma once

#include "dataplane/sa.h"

#define DP_DST_DENSE_V6 (1u << 20)

// What an entry says. index: dp_tunnel_index(); cause: why a packet that a worker hands to the
// tunnel's owner came to the wrong one (enum dp_handoff).
struct dp_dst_entry {
	uint32_t index; // 0: no tunnel
	uint32_t generation;
	uint8_t cause;
};

// Pools' ranges, and what lies behind the inside ports. 0 or -errno.
MUST_USE int dp_dst_new(const struct cfg *c, struct dp_dst **out);
void dp_dst_free(struct dp_dst *d);

// Control thread. passed(ctx) hands out numbers that grow, and reached(ctx, n) tells whether every
// worker has passed a poll since n was handed out.
struct dp_grace {
	void *ctx;
	uint64_t (*passed)(void *ctx);
	bool (*reached)(void *ctx, uint64_t n);
};
void dp_dst_set_grace(struct dp_dst *d, const struct dp_grace *g);

// -EEXIST: another tunnel, or an inside port, has exactly this; -ENOMEM. The same tunnel again is fine.
MUST_USE int dp_dst_add(struct dp_dst *d, const struct ip_prefix *p, const struct dp_dst_entry *e);
// Removes it if it is this tunnel's.
void dp_dst_del(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation);
// It becomes e's in one step if it is this tunnel's, else -ENOENT.
MUST_USE int dp_dst_move(struct dp_dst *d, const struct ip_prefix *p, uint32_t index,
	uint32_t generation, const struct dp_dst_entry *e);
// Free what is past its grace.
void dp_dst_tick(struct dp_dst *d);

enum dp_dst_result { DP_DST_NONE, DP_DST_TUNNEL, DP_DST_POOL };

// addr: 4 or 16 bytes. DP_DST_NONE: it goes in clear, if there is a route. DP_DST_POOL: an address of a pool that no tunnel has, be it within a prefix of
// one. Any thread.
enum dp_dst_result dp_dst_lookup(
	const struct dp_dst *d, uint8_t family, const uint8_t *addr, struct dp_dst_entry *out);
