// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Destination -> tunnel. The control thread is the single writer; workers read without a lock and
// see each entry whole, as 64 bits.
//   pools' ranges     flat arrays (all of IPv4's, IPv6's up to 2^20 addresses); where they change, a
//                     list of them is built beside and swapped
//   other addresses   an open-addressing hash, also of pools that give out prefixes; and what lies in a
//                     pool's range of IPv4 but is an own address or of 169.254/16
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

// The flat arrays of IPv4, sorted: what the workers look at first.
struct dp_dst_flat {
	uint32_t lo, hi; // host order
	const _Atomic uint64_t *values;
};

struct dp_dst_ranges {
	size_t flat_count;
	struct dp_dst_flat flat[];
};

struct dp_dst_head {
	_Atomic(const struct dp_dst_ranges *) ranges;
	// Changes with every entry outside the flat arrays, and with the ranges.
	_Atomic uint32_t version;
};

static inline const struct dp_dst_head *dp_dst_head(const struct dp_dst *d)
{
	return (const struct dp_dst_head *)(const void *)d;
}

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

// What workers remember of addresses outside the flat arrays (struct dp_exit) holds no longer.
static inline void dp_dst_changed(struct dp_dst *d)
{
	struct dp_dst_head *head = (struct dp_dst_head *)(void *)d;
	atomic_fetch_add_explicit(&head->version, 1, memory_order_release);
}

// The pools' ranges from now on. A range that is none of them any longer goes, unless a tunnel has an
// address of it: returns how many such parts stay (ask again later), or -ENOMEM and nothing is changed.
// Workers see them when the grace period that *seen gets the number of is over. Addresses of tunnels
// stay what they are.
MUST_USE int dp_dst_set_pools(
	struct dp_dst *d, const struct dp_pool_range *r, size_t count, uint64_t *seen);

// -EEXIST: another tunnel, or an inside port, has exactly this; -ENOMEM. The same tunnel again is fine.
MUST_USE int dp_dst_add(struct dp_dst *d, const struct ip_prefix *p, const struct dp_dst_entry *e);
// Removes it if it is this tunnel's.
void dp_dst_del(struct dp_dst *d, const struct ip_prefix *p, uint32_t index, uint32_t generation);
// It becomes e's in one step if it is this tunnel's, else -ENOENT.
MUST_USE int dp_dst_move(struct dp_dst *d, const struct ip_prefix *p, uint32_t index,
	uint32_t generation, const struct dp_dst_entry *e);
// Free what is past its grace.
void dp_dst_tick(struct dp_dst *d);

// The place of an address (host order) in a flat array, or NULL. Few arrays; most often one.
static inline const _Atomic uint64_t *dp_dst_flat_in(const struct dp_dst_ranges *all, uint32_t a)
{
	size_t lo = 0, hi = all->flat_count;
	while (lo < hi) {
		size_t mid = (lo + hi) / 2;
		const struct dp_dst_flat *r = &all->flat[mid];
		if (a < r->lo)
			hi = mid;
		else if (a > r->hi)
			lo = mid + 1;
		else
			return &r->values[a - r->lo];
	}
	return NULL;
}

static inline const struct dp_dst_ranges *dp_dst_ranges(const struct dp_dst *d)
{
	return atomic_load_explicit(&dp_dst_head(d)->ranges, memory_order_acquire);
}

static inline const _Atomic uint64_t *dp_dst_flat_v4(const struct dp_dst *d, uint32_t a)
{
	return dp_dst_flat_in(dp_dst_ranges(d), a);
}

enum dp_dst_result { DP_DST_NONE, DP_DST_TUNNEL, DP_DST_POOL };

// addr: 4 or 16 bytes. DP_DST_NONE: it goes in clear, if there is a route. DP_DST_POOL: an address of a pool that no tunnel has, be it within a prefix of
// one. Any thread.
enum dp_dst_result dp_dst_lookup(
	const struct dp_dst *d, uint8_t family, const uint8_t *addr, struct dp_dst_entry *out);

// What stands in a flat array, not 0: a tunnel.
static inline void dp_dst_entry_of(uint64_t v, struct dp_dst_entry *out)
{
	out->index = (uint32_t)v & ((1u << DP_TUNNEL_INDEX_BITS) - 1);
	out->cause = (uint8_t)((uint32_t)v >> DP_TUNNEL_INDEX_BITS);
	out->generation = (uint32_t)(v >> 32);
}
