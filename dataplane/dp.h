// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The data plane's private structures, shared by its files. Who may touch what:
//   struct dp        the control thread, once workers run; workers read what is immutable
//   struct dp_worker its worker (worker.h); the control thread reads counters, relaxed
//   rings            the only way between the two
#pragma once

#include "base/clock.h"
#include "base/sa_msg.h"
#include "config/config.h"
#include "dataplane/dataplane.h"
#include "dataplane/drops.h"
#include "dataplane/ike_filter.h"
#include "dataplane/pmtu.h"

#include <rte_cycles.h>
#include <rte_ether.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <stdatomic.h>

// rte_cycles.h has an int of the same name, in which products of seconds overflow.
#undef NS_PER_S
#define NS_PER_S 1000000000ull

#define DP_BURST       32 // packets a receive burst
#define DP_WORKERS_MAX 64
#define DP_PORTS_MAX   16
#define DP_MEMBERS_MAX 8   // of a bond
#define DP_ADDRS_MAX   64  // own addresses of all ports
#define DP_ADDR_SLOTS  256 // of their hash
#define DP_RSS_KEY_MAX 52
#define DP_RETA_MAX    2048
#define DP_PUNT_POLL   64   // packets a dp_poll() takes from one worker and ring
#define DP_PACKET_MAX  9216 // bytes of an IP packet
#define DP_NONE_NS     UINT64_MAX

// ---- Ports (port.c) ----

#define DP_VLANS 4096

// A logical port: a device, or one VLAN of it. Filled by dp_ports_start(); workers read it.
// Immutable but for link and rss, and for the queues: a device that is removed has none until it
// has come back, and nothing but link changes while it has some.
struct dp_port {
	uint16_t index;   // in the configuration
	uint16_t port_id; // ethdev
	uint16_t
		device; // index of the port that has the ethdev: itself, unless it shares another's
	uint16_t vlan;  // of its frames; 0: untagged
	bool vlan_insert; // the device inserts the tag
	// Where the device carries tagged ports: index + 1 of the port by VLAN, [0] for untagged
	// frames. NULL: one port, untagged.
	const uint8_t *vlans;
	const struct cfg_port *cfg;
	enum cfg_role role;
	struct rte_ether_addr mac;
	uint16_t mtu; // bytes of an IP packet
	int socket;
	// Worker w polls receive queue w where w < rx_queues, and sends on queue w where
	// w < tx_queues; the others hand finished frames to one of those (dp_port_sender()).
	// A port that shares another's device is not polled: rx_queues is 0.
	_Atomic uint16_t rx_queues, tx_queues;
	uint16_t device_rx, device_tx; // what the device has, in use or not
	uint32_t exception_share; // packets for the kernel, of each worker (exception.h); 0: none
	bool lacp;           // a bond that wants to be asked to send every 100 ms, with nothing too
	bool rx_ip_checksum; // the NIC checks IPv4 header checksums (RTE_MBUF_F_RX_IP_CKSUM_*)
	bool rx_interrupt; // queues can be armed to wake a sleeping worker (rte_eth_dev_rx_intr_*)
	bool rx_readable;  // a queue is a descriptor that a packet makes readable: nothing to arm
	atomic_bool link;
	// How the NIC spreads packets, for the predictor (rss.c).
	atomic_bool rss; // false: everything on queue 0 or as the peer pleases
	bool rss_spi;
	uint8_t rss_key[DP_RSS_KEY_MAX] __attribute__((aligned(4)));
	uint8_t rss_key_len;
	uint16_t reta_size; // power of two
	uint16_t reta[DP_RETA_MAX];
};

// ---- Routes (route.c), compiled at start, immutable: what a lookup returned stays true ----

struct dp_route {
	struct ip_prefix prefix;
	uint16_t port;      // index in dp.ports
	struct ip_addr via; // family 0: on link, the destination itself is the next hop
};

struct dp_local {
	struct ip_addr addr;
	struct ip_prefix subnet;
	uint16_t port;
};

#define DP_ROUTES_LINEAR 16 // so many are looked at one after the other (route.c)

struct dp_lpm; // lpm.h

struct dp_route_table {
	// Per side (enum cfg_role) and family (0: IPv4, 1: IPv6): longest prefix first.
	const struct dp_route *routes[2][2];
	uint32_t route_count[2][2];
	// Where there are more than DP_ROUTES_LINEAR: of a side, and of each of its ports where it has
	// several.
	struct dp_lpm *lpm[2][2];
	struct dp_lpm *port_lpm[DP_PORTS_MAX][2];
	struct dp_local locals[DP_ADDRS_MAX]; // own addresses of all ports
	uint16_t local_count;
	uint8_t local_slots
		[DP_ADDR_SLOTS]; // index in locals + 1, 0: empty; by a hash of the address
};

// Of the last four bytes of an address (host order), in which a host's own ones differ.
static inline unsigned dp_local_hash(uint32_t last)
{
	return last * 0x9e3779b1u >> 24;
}
static_assert(DP_ADDR_SLOTS == 256 && DP_ADDRS_MAX < DP_ADDR_SLOTS, "eight bits of hash");

// addr: 4 or 16 bytes, network order. NULL: no route. Any thread.
const struct dp_route *dp_route_lookup(
	const struct dp_route_table *t, enum cfg_role side, uint8_t family, const uint8_t *addr);
// The same among the routes of one port.
const struct dp_route *dp_route_lookup_port(const struct dp_route_table *t, enum cfg_role side,
	uint16_t port, uint8_t family, const uint8_t *addr);
// The own address, or NULL. Any thread.
const struct dp_local *dp_local_lookup(
	const struct dp_route_table *t, uint8_t family, const uint8_t *addr);
// 0 or -errno after logging. Control thread, before workers run.
MUST_USE int dp_routes_build(const struct cfg *c, struct dp_route_table *t);
void dp_routes_free(struct dp_route_table *t);

// ---- Neighbours ----

// What a worker knows of a next hop; the control thread (neigh.c) is the only one that decides.
struct dp_neigh {
	struct ip_addr addr;
	uint16_t port;
	bool valid; // mac may be used; false withdraws the entry
	struct rte_ether_addr mac;
	uint8_t eth[RTE_ETHER_HDR_LEN]; // what stands before a packet to it; by the worker
};

// ---- What travels in an mbuf's private area ----

enum dp_punt_class {
	DP_PUNT_IKE_KNOWN, // IKE for an SPI of ours that is known: its own ring
	DP_PUNT_IKE_NEW,   // all other IKE, new or forged: its own ring
	// the rest share one
	DP_PUNT_ARP,
	DP_PUNT_ND,         // ICMPv6 neighbour discovery (also router messages)
	DP_PUNT_LOCAL,      // IP packet for one of our addresses; tunnel says if it was decrypted
	DP_PUNT_FRAGMENT,   // fragment of an IP packet for one of our addresses (outer: not of ESP)
	DP_PUNT_UNRESOLVED, // ready to send, next_hop and port set; begins with room for Ethernet
	DP_PUNT_TOO_BIG,    // inner packet, mtu set: ICMP to its source
	DP_PUNT_TTL,        // inner packet whose TTL ran out: ICMP to its source
	DP_PUNT_EXCEPTION,  // a frame for the kernel (exception.h): its own ring
	DP_PUNT_CLASSES,
};

enum dp_punt_ring {
	DP_RING_IKE_KNOWN,
	DP_RING_IKE_NEW,
	DP_RING_REST,
	DP_RING_EXCEPTION,
	DP_PUNT_RINGS,
};

// Behind every mbuf of our pools (rte_mbuf_to_priv). For a punted packet, data begins at the
// Ethernet header for ARP, ND, IKE, LOCAL and FRAGMENT of packets that came in clear; at the IP
// header (l2_len = 0) for decrypted ones (tunnel not TUNNEL_NONE), UNRESOLVED, TOO_BIG and TTL.
// m->l2_len and m->l3_len (IPv4 options or extension headers up to the upper protocol included)
// are set in all IP cases. For IKE, the UDP header has been checked against the packet's length.
struct dp_meta {
	uint8_t kind; // enum dp_punt_class, or between workers enum dp_carry (handoff.h)
	uint8_t cause;
	uint16_t port;   // came in by, index; UNRESOLVED: leaves by
	uint16_t worker; // that received or decrypted it
	uint16_t mtu;    // TOO_BIG: largest inner packet that fits, bytes
	uint32_t tunnel; // decrypted from, or TUNNEL_NONE; TOO_BIG, TTL: inner packet came from it
	uint32_t to;     // index of the tunnel that it goes into (sa.h), with its generation
	uint32_t generation;
	struct ip_addr next_hop; // UNRESOLVED
};

static inline struct dp_meta *dp_meta(struct rte_mbuf *m)
{
	return (struct dp_meta *)rte_mbuf_to_priv(m);
}

// ---- The whole ----

struct dp_worker;      // worker.h
struct dp_dst;         // dst.h
struct dp_policies;    // policy.h
struct dp_sink;        // sink.h
struct dp_exceptions;  // exception_tap.c: the kernel's interfaces
struct dp_ports;       // port.c: private state of the control side of ports
struct dp_local_state; // punt.c: neighbours, reassembly, rate limits

struct dp {
	const struct cfg *cfg;
	struct dp_seams seams;
	struct dp_port ports[DP_PORTS_MAX];
	uint16_t port_count;
	_Atomic uint32_t port_changes; // of ports' queues: who waits for them looks anew
	struct dp_worker *workers[DP_WORKERS_MAX];
	uint16_t worker_count;
	struct dp_route_table routes;
	struct dp_dst *dst;
	struct dp_policies *policies;
	bool bypass; // some connection lets packets by in clear (policy.h)
	struct dp_sink *sink;
	struct sa_sink sa_sink;
	// Grace periods (grace.c): numbers of the last one asked for, running and done, and the
	// workers' polls when the running one began.
	struct {
		uint64_t asked, running, done;
		uint64_t from[DP_WORKERS_MAX];
	} grace;
	uint64_t pools_seen; // the grace period after which workers know the pools' ranges
	// Receive buffers, one pool a socket (index: socket id, NULL where none).
	struct rte_mempool *rx_pool[8];
	// For whole packets out of fragments (frag_in.c) that a receive buffer does not hold.
	struct rte_mempool *join_pool;
	// Copies for each punt ring: none can take another's buffers. That of the rest also holds
	// what the control thread sends.
	struct rte_mempool *punt_pool[DP_PUNT_RINGS];
	// Our IKE SPIs whose datagrams go into the ring for known ones. Written by the control
	// thread, read by workers.
	struct ike_filter known_spis;
	// The trace that runs, read by workers; that one or the last one; those that workers may still see.
	_Atomic(struct dp_trace *) trace;
	struct dp_trace *last_trace, *retired_traces;
	uint8_t frag_key[16]; // of the hash by which outer fragments meet (frag_in.c)
	int wake_fd;          // eventfd
	uint64_t now_ns;      // of the running dp_poll()
	// Workers look at it: in a line that the control thread writes nothing else to.
	atomic_bool wake_armed __rte_cache_aligned;
	// Drops on the control thread.
	uint64_t drops[DP_DROP_COUNT] __rte_cache_aligned;
	uint64_t pmtu[DP_PMTU_COUNT]; // what became of ICMP too big about ESP
	// Owned by helper files of the control side; set up by their _init.
	struct dp_ports *port_state;
	struct dp_local_state *local;
	struct dp_exceptions *exceptions; // NULL: no port has one
};

// All of dp_start() but EAL and the lcores: whoever calls it steps the workers (worker.h). 0 or
// -errno.
MUST_USE int dp_new(const struct cfg *c, const struct dp_seams *s, struct dp **out);
void dp_free(struct dp *d);

void dp_trace_control_drop(struct dp *d, struct rte_mbuf *m, enum dp_drop why);

static inline void dp_count_drop(struct dp *d, enum dp_drop why)
{
	d->drops[why]++;
}

// Frees a packet that a worker gave to the control thread, and says why.
static inline void dp_control_drop(struct dp *d, struct rte_mbuf *m, enum dp_drop why)
{
	if (unlikely(atomic_load_explicit(&d->trace, memory_order_relaxed) != NULL))
		dp_trace_control_drop(d, m, why);
	dp_count_drop(d, why);
	rte_pktmbuf_free(m);
}

// ---- Offered by the core to ports, neigh, punt, local ----

// Ids of outer IPv4 packets that may be cut on their way: whoever makes some has those that leave his own rest by
// this power of two, worker i the rest i and the control thread the rest that is their number.
static inline uint16_t dp_id_step(unsigned workers)
{
	return (uint16_t)(1u << (32 - __builtin_clz(workers | 1)));
}

// A buffer for a packet of up to len bytes, with 128 bytes of headroom, meta zeroed; NULL: none.
struct rte_mbuf *dp_ctl_alloc(struct dp *d, size_t len);
// Send a finished Ethernet frame by a port. Takes the mbuf in any case (full ring: counted drop).
void dp_inject(struct dp *d, uint16_t port, struct rte_mbuf *m);
// Route an IP packet (data begins at the IP header) like one that the gateway makes: into a tunnel
// where the destination belongs to one, else out of the inside or outside port that its route
// names (side: where no tunnel has it). Takes the mbuf.
void dp_inject_inner(struct dp *d, enum cfg_role side, struct rte_mbuf *m);
// Tell all workers about a next hop (in order, queued where a ring is full; lost, and logged, only
// without memory).
void dp_neigh_publish(struct dp *d, const struct dp_neigh *n);
// True if the address belongs to a tunnel now (ARP and ND are answered for it).
bool dp_dst_in_use(const struct dp *d, const struct ip_addr *a);
// ... or to a pool: it never leaves in clear.
bool dp_dst_guarded(const struct dp *d, const struct ip_addr *a);
// True if it belongs to a tunnel as its outer address: what goes there goes in transport mode.
bool dp_dst_is_outer(const struct dp *d, const struct ip_addr *a);

// ---- Offered by ports, neigh, punt, local to the core ----

// Probe (vdevs by rte_dev_probe(); PCI devices were allowed on EAL's command line), configure with
// one queue pair a worker where the PMD has them, fill d->ports, start. 0 or -errno after logging.
MUST_USE int dp_ports_start(struct dp *d);
void dp_ports_stop(struct dp *d);
// Neighbour, reassembly and rate-limit state. 0 or -errno.
MUST_USE int dp_local_init(struct dp *d);
void dp_local_fini(struct dp *d);
// One punted packet; takes the mbuf. Called from dp_poll().
void dp_punt_input(struct dp *d, struct rte_mbuf *m);
// Neighbour timers, reassembly timeouts, port events; returns how many things were done.
unsigned dp_local_tick(struct dp *d, uint64_t now_ns);
uint64_t dp_local_next_ns(const struct dp *d);
// Somebody uses this next hop or address from now on or no longer: announce it (gratuitous ARP,
// unsolicited NA) on the inside ports with proxy_arp. Called by the sink for full-length routes.
void dp_local_announce(struct dp *d, const struct ip_addr *a);
// Say on every port which addresses are ours, once its link is up. A port that comes back, or has
// another MAC, does so by itself.
void dp_announce_all(struct dp *d);
// The worker that the inside ports' NIC gives packets for this destination; without RSS a spread by
// hash. Any thread.
uint16_t dp_rss_worker_of_inner(const struct dp *d, const struct ip_addr *inner);
// The worker whose queue this ESP packet would come to by NIC hashing, or -1: not predictable.
int dp_rss_worker_of_spi(const struct dp *d, const struct tunnel_path *path, uint32_t spi);
