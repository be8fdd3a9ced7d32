// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One direction of a child SA as a worker uses it, the tunnel it belongs to, and the layout of the
// ids that name them.
//
// Memory of one direction, with intel-ipsec-mb 1.3: 128 bytes hot, 1024 key schedule (1280 with 2.0),
// 384 cold, so some 1.6 KiB; selectors beyond two a side and windows above 128 packets (up
// to 1 KiB) are allocated beside it. Slabs grow by DP_CHUNK SAs as they are needed.
#pragma once

#include "dataplane/dp.h"

#include <intel-ipsec-mb.h>
#include <rte_meter.h>

#include <sys/queue.h>

#define DP_CHUNK       64 // SAs or tunnels allocated at once
#define DP_CHUNK_SHIFT 6
#define DP_NODE_BITS   3
#define DP_NONCE_MIN   8 // bits
#define DP_HOT_WORDS   4 // replay words in the hot part: windows up to 192
#define DP_TS_INLINE   2 // selectors a side without an allocation
#define DP_TUNNEL_SAS \
	64 // children of one tunnel at one worker: 16, each doubled by a rekey, and room
#define DP_SHARED 4096 // tunnels that every worker has a copy of

// ---- Ids ----

// Inbound SPI: node | worker | slot | nonce, from the top bit down. Slot 0 is never used, so with
// a nonce of at least 8 bits no SPI is below 256 (RFC 4303 2.1 reserves 1 to 255).
struct dp_layout {
	uint32_t node;
	uint8_t worker_bits, slot_bits, nonce_bits;
	uint32_t slots; // of SAs per worker, slot 0 included
	// Of its own tunnels. DP_SHARED slots behind them are the same for all workers, and have a copy
	// of the tunnel in each.
	uint32_t tunnels;
};

// From the number of workers and the sessions of the whole headend. Pure.
struct dp_layout dp_layout_make(uint32_t node, uint32_t workers, uint32_t max_sessions);

static inline uint32_t dp_spi_slot(const struct dp_layout *l, uint32_t spi)
{
	return spi >> l->nonce_bits & ((1u << l->slot_bits) - 1);
}

static inline uint32_t dp_spi_worker(const struct dp_layout *l, uint32_t spi)
{
	return spi >> (l->nonce_bits + l->slot_bits) & ((1u << l->worker_bits) - 1);
}

static inline uint32_t dp_spi_node(uint32_t spi)
{
	return spi >> (32 - DP_NODE_BITS);
}

static inline uint32_t dp_spi_make(
	const struct dp_layout *l, uint32_t worker, uint32_t slot, uint32_t nonce)
{
	// With one worker its field has no bits.
	return l->node << (32 - DP_NODE_BITS) | worker << (l->slot_bits + l->nonce_bits) |
	       slot << l->nonce_bits | (nonce & ((1u << l->nonce_bits) - 1));
}

// Tunnel id: generation (6 bits) | worker (6) | slot (20); slot 0 is never used. Inside, an index
// (worker | slot) and a full generation stand for it.
#define DP_TUNNEL_SLOT_BITS  20
#define DP_TUNNEL_INDEX_BITS 26

static inline uint32_t dp_tunnel_index(uint32_t worker, uint32_t slot)
{
	return worker << DP_TUNNEL_SLOT_BITS | slot;
}

static inline uint32_t dp_tunnel_id(uint32_t index, uint32_t generation)
{
	return generation << DP_TUNNEL_INDEX_BITS | index;
}

static inline uint32_t dp_tunnel_worker(uint32_t index)
{
	return index >> DP_TUNNEL_SLOT_BITS & (DP_WORKERS_MAX - 1);
}

static inline uint32_t dp_tunnel_slot(uint32_t index)
{
	return index & ((1u << DP_TUNNEL_SLOT_BITS) - 1);
}

// The worker in the index owns it: where there is no other way, packets go there.
static inline bool dp_tunnel_shared(const struct dp_layout *l, uint32_t index)
{
	return dp_tunnel_slot(index) >= l->tunnels;
}

// ---- Counters: one writer, relaxed readers ----

typedef _Atomic uint64_t dp_counter_t;

static inline uint64_t dp_get(const dp_counter_t *c)
{
	return atomic_load_explicit(c, memory_order_relaxed);
}

static inline void dp_set(dp_counter_t *c, uint64_t v)
{
	atomic_store_explicit(c, v, memory_order_relaxed);
}

static inline void dp_add(dp_counter_t *c, uint64_t n)
{
	dp_set(c, dp_get(c) + n);
}

// ---- SA ----

enum dp_sa_flag {
	DP_SA_ESN = 1,
	DP_SA_STOPPED = 2,    // hard limit
	DP_SA_SOFT_TOLD = 4,  // soft limit was reported
	DP_SA_FAST_V4 = 8,    // IPv4 packets: one prefix a side, any protocol
	DP_SA_INSTALLED = 16, // the worker has it
	DP_SA_OUT = 32,
	DP_SA_FIRST_TOLD = 64, // SA_IN: a packet has been accepted
	DP_SA_TRANSPORT = 128, // transport mode (transport.h)
};

// What happened and has not been told yet (bits by enum sa_event_type), for an SA or a tunnel.
struct dp_pending {
	TAILQ_ENTRY(dp_pending) link;
	uint8_t bits; // not 0: linked
	bool is_tunnel;
};
TAILQ_HEAD(dp_pending_list, dp_pending);

// Like struct selector, for comparing bytes from a packet. lo and hi in network order.
struct dp_ts {
	uint8_t lo[16], hi[16];
	uint8_t family, proto; // proto 0: any
	uint16_t port_lo, port_hi;
};

// What an SA's packets need that most do not: a test of one byte stands for all of it.
enum dp_sa_special {
	DP_SPECIAL_TREAT = 1,   // the tunnel's treat bits (treat.h)
	DP_SPECIAL_REVERSE = 2, // SA_IN: DP_TUNNEL_REVERSE_PATH
	DP_SPECIAL_TRANSPORT = 4,
	// SA_IN alone: what keeps packets from the quickest way (esp_in.c).
	DP_SPECIAL_FIRST = 8,      // none has been accepted
	DP_SPECIAL_STOPPED = 16,   // DP_SA_STOPPED
	DP_SPECIAL_SUITE = 32,     // not AES-GCM with an ICV of 16 bytes
	DP_SPECIAL_WINDOW = 64,    // none, or beyond the hot words
	DP_SPECIAL_SELECTORS = 128 // not DP_SA_FAST_V4
};
// What keeps packets from being treated as most are.
#define DP_SPECIAL_TREATED (DP_SPECIAL_TREAT | DP_SPECIAL_REVERSE | DP_SPECIAL_TRANSPORT)

// Bits of an IPv4 header's first eight bytes, as a load gives them: where TOS and the flags begin.
#define DP_TOS_BIT  8
#define DP_FLAG_BIT 48
#define DP_DF_BIT   54
#define DP_OUTER_DF 0x40 // DF in the seventh byte of an IPv4 header

#define DP_HOP_OTHER 0x80000000u // in hop_gen: its packets are not all written in one go (wrap.h)

// What an outbound packet needs of its tunnel; the worker copies it as the SA comes into use, and
// when the tunnel moves (dp_sa_set_path()).
struct dp_sa_out {
	uint32_t tunnel_slot;
	// While it is the worker's neigh_gen, DP_HOP_OTHER aside, hop is where the next hop stands.
	uint32_t hop_gen;
	// An outer IPv4 header as it stands in the packet. The first eight bytes: what is kept of the inner
	// header's, TOS and DF; and what is put there, with length and id zero; 0: the outer header is not
	// written from here but from the tunnel's hdr.
	uint64_t keep, first;
	// TTL, protocol, checksum 0, source; destination, ports, without UDP 0.
	uint64_t head[2];
	uint16_t sum; // of head's words, as a load of 16 bits gives them
	uint16_t mtu;
	uint16_t hop; // in the worker's neighs
	uint8_t port;
	uint8_t lead; // bytes from the outer header to the inner packet
};

// Hot part: two cache lines, both prefetched. The worker writes what changes; the rest is written
// by the control thread before the add, while spi is 0.
struct dp_sa {
	// In network order. SA_IN: our SPI while it is published, else 0 (written by the worker alone).
	// SA_OUT: the peer's.
	uint32_t spi;
	uint32_t salt;        // as its four bytes stand in the key
	uint8_t cipher, auth; // rows of the suites' table
	uint8_t flags;        // enum dp_sa_flag
	uint8_t special;      // enum dp_sa_special, by the worker
	uint8_t iv_len;
	uint8_t icv_len;
	uint8_t align;  // of the plaintext with its trailer, bytes; a power of two
	uint8_t around; // bytes of ESP header, IV and ICV
	dp_counter_t seq;
	dp_counter_t packets, bytes;
	// The next limit, soft or hard, whichever comes first.
	uint64_t next_packets, next_bytes;
	dp_counter_t last_used_ns;
	// second line
	// DP_SA_FAST_V4: what source and destination of an inner packet are, and which of their bits count,
	// as the eight bytes stand in the packet.
	uint64_t ts_net, ts_mask;
	union {
		struct {                      // SA_IN
			uint32_t tunnel_slot; // of SA_OUT, too
			uint16_t window;      // 0: off
			uint16_t word_mask;
			// Where the newest packets come from while they do not move, which is where ours go: IPv4
			// source, and both ports as they stand in the packet; 0: plain ESP. peer_v4 0: IPv6.
			uint32_t peer_v4, peer_ports;
			union {
				uint64_t replay[DP_HOT_WORDS];
				uint64_t *wide; // windows above the hot words'
			};
		};
		struct dp_sa_out out; // SA_OUT
	};
};
static_assert(sizeof(struct dp_sa) <= 128, "the hot part is two cache lines");
static_assert(offsetof(struct dp_sa, ts_net) == 64, "what each packet changes is the first line");

static_assert(offsetof(struct dp_sa, tunnel_slot) == offsetof(struct dp_sa, out.tunnel_slot),
	"both directions have it");

// SA_IN
static inline uint64_t *dp_sa_replay(struct dp_sa *sa)
{
	return sa->word_mask < DP_HOT_WORDS ? sa->replay : sa->wide;
}

struct dp_sa_cold {
	LIST_ENTRY(dp_sa_cold) of_tunnel; // SA_IN, installed
	struct dp_sa **out_at;            // SA_OUT: what points here, NULL: not in use
	struct dp_sa *out_next;           // SA_OUT: the tunnel's next newest one in use
	uint32_t child;
	uint32_t slot;
	uint32_t tunnel_index, generation;
	struct dp_pending pending;
	dp_counter_t auth_failed, replayed, selector_mismatch, malformed, policed;
	uint64_t soft_bytes, hard_bytes, soft_packets, hard_packets;
	struct endpoint moved_to; // last one told
	uint64_t moved_ns;        // when
	uint16_t tfc;             // as in struct sa_spec
	uint32_t tfc_inverse;     // 2^32 / tfc, rounded up: instead of a division
	uint8_t local_count, remote_count;
	bool peer_sum_known;
	uint16_t peer_sum; // ones' complement sum of the addresses in the peer's checksums
	struct dp_ts *ts;  // local ones, then remote ones
	struct dp_ts ts_inline[2 * DP_TS_INLINE];
};

// ---- Tunnel ----

#define DP_OUTER_MAX 56 // IPv6, UDP, marker

// What a tunnel's packets get beside encryption (treat.h), each bit for both directions.
enum dp_treat {
	DP_TREAT_POLICY = 1, // access list (policy.c)
	DP_TREAT_POLICE = 2, // rate (police.c)
	DP_TREAT_MSS = 4,    // TCP's MSS (mss.c)
	DP_TREAT_TFC = 16,   // out only: one of its SAs pads (tfc.c)
};

// A tunnel's share of one direction at one worker (police.c); time in nanoseconds.
struct dp_police {
	bool on;
	struct rte_meter_srtcm_profile profile;
	struct rte_meter_srtcm meter;
};

enum dp_tunnel_flag { DP_TUNNEL_HOLD = 1, DP_TUNNEL_REVERSE_PATH = 2 };

// Written by its worker alone, by messages; a shared one is there once for each worker, under the same
// index, with that worker's SAs. hdr is the outer IP header (with UDP's, and a marker)
// with lengths, TOS, id and checksum left zero; sum is its partial checksum.
struct dp_tunnel {
	uint32_t generation; // 0: not in use
	uint32_t index;
	struct endpoint remote;
	struct dp_sa *out; // the newest one in use
	LIST_HEAD(, dp_sa_cold) in;
	uint8_t outer_family;
	uint8_t hdr_len; // bytes of hdr in use
	uint8_t df;      // enum sa_df
	uint8_t udp_at;  // the UDP header's offset in hdr; 0: plain ESP
	uint8_t flags;   // enum dp_tunnel_flag
	uint8_t held;    // packets in its worker's struct dp_hold
	// Outer TOS: what is kept of the inner one, and what is added (treat.h).
	uint8_t tos_keep, tos_set;
	uint16_t mtu;  // outer
	uint16_t port; // index
	uint32_t sum;
	uint8_t hdr[DP_OUTER_MAX];
	struct ip_addr next_hop;
	struct endpoint local;
	uint64_t session;
	struct dp_pending pending;
	uint64_t no_child_ns; // last told; 0: not since an SA came into use
	struct tunnel_treatment treatment;
	uint16_t treat;             // bits, enum dp_treat
	struct dp_police police[2]; // DP_TREAT_POLICE; by enum sa_dir
} __attribute__((aligned(64)));
static_assert(sizeof(struct dp_tunnel) % 64 == 0, "tunnels begin at a cache line");

// Of the worker's own tunnels, and its copies of shared ones: what leads an outbound packet to its
// SA without the tunnel's lines. 8 bytes each, so that those of 60,000 stay in the second cache.
struct dp_way {
	// The newest outbound SA in use, whose address is a multiple of DP_LINES and less than 2^48, and the
	// tunnel's generation as far as there is room for it; 0: none. Who asks has found the tunnel's
	// generation a message ago at most, not 8 million tunnels.
	uint64_t v;
};
#define DP_WAY_BITS 23 // of the generation

// ---- Slabs ----

// Where an SA's key schedule and its cold part lie. What packets need lies together: in as few pages as
// can be, of 4 KiB where a host has no larger ones for its guest.
#define DP_SA_KEYS 128
#define DP_SA_COLD (DP_SA_KEYS + RTE_CACHE_LINE_ROUNDUP(sizeof(struct gcm_key_data)))
#define DP_SA_SIZE (DP_SA_COLD + sizeof(struct dp_sa_cold))

static inline struct dp_sa_cold *dp_sa_cold(struct dp_sa *sa)
{
	return (struct dp_sa_cold *)(void *)((uint8_t *)sa + DP_SA_COLD);
}

static inline void *dp_sa_keys(struct dp_sa *sa)
{
	return (uint8_t *)sa + DP_SA_KEYS;
}

static inline struct dp_sa *dp_sa_of_cold(struct dp_sa_cold *c)
{
	return (struct dp_sa *)(void *)((uint8_t *)c - DP_SA_COLD);
}

#define DP_LINES 128 // bytes: two cache lines, which the processor fetches together

static inline struct dp_way dp_way_make(struct dp_sa *sa, uint32_t generation)
{
	uint64_t at = (uint64_t)(uintptr_t)sa / DP_LINES;
	return (struct dp_way){
		sa ? at << DP_WAY_BITS | (generation & ((1u << DP_WAY_BITS) - 1)) : 0};
}

// NULL: none, whatever tunnel it is.
static inline struct dp_sa *dp_way_any(struct dp_way way)
{
	return (struct dp_sa *)(uintptr_t)((way.v >> DP_WAY_BITS) * DP_LINES);
}

// NULL: none, or it is another tunnel's.
static inline struct dp_sa *dp_way_sa(struct dp_way way, uint32_t generation)
{
	return likely(((way.v ^ generation) << (64 - DP_WAY_BITS)) == 0) ? dp_way_any(way) : NULL;
}

// Bytes of one SA, from the library's structures: an odd multiple of DP_LINES, so that the hot parts of
// many SAs spread over all sets of a cache instead of a fourth or an eighth.
size_t dp_sa_stride(void);

// A worker's view of a slab: chunks appear with the first message that needs them.
struct dp_slab {
	uint8_t **chunks; // slots / DP_CHUNK pointers, NULL: not there
	size_t stride;
	uint32_t slots;
};

MUST_USE int dp_slab_init(struct dp_slab *s, uint32_t slots, size_t stride);
void dp_slab_fini(struct dp_slab *s);

// NULL where no chunk is. slot < slots.
static inline void *dp_slab_at(const struct dp_slab *s, uint32_t slot)
{
	uint8_t *chunk = s->chunks[slot >> DP_CHUNK_SHIFT];
	return chunk ? chunk + (slot & (DP_CHUNK - 1)) * s->stride : NULL;
}

// Control thread: memory for a chunk, zeroed, aligned to DP_LINES, on this socket, excluded from core
// dumps; on hugepages where EAL has them. NULL: none. Wiped when freed.
void *dp_chunk_new(size_t stride, int socket);
void dp_chunk_free(void *chunk, size_t stride);
