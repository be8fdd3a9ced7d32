// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The data plane as the application sees it: ports, workers, the SA sink, punt and inject.
// All functions: control thread (which is EAL's main lcore), unless said otherwise.
#pragma once

#include "base/clock.h"
#include "base/sa_msg.h"
#include "config/config.h"

struct dp;

struct dp_seams {
	void *ctx;
	// An IKE datagram for one of our addresses. Called from dp_poll().
	void (*ike_input)(void *ctx, const struct ike_datagram *d);
	// Called from dp_poll().
	void (*sa_event)(void *ctx, const struct sa_event *ev);
	const struct clock_source *clock;
	const struct random_source *random;
};

// EAL, mempools, ports, workers: all running when it returns. Once per process (EAL). 0 or -errno
// after the problem was logged. The snapshot outlives the data plane.
MUST_USE int dp_start(const struct cfg *c, const struct dp_seams *s, struct dp **out);
// Workers end, SAs are wiped, ports close.
void dp_stop(struct dp *d);

const struct sa_sink *dp_sink(struct dp *d);

// Send by one of our ports: builds UDP, IP and Ethernet around the bytes (with the non-ESP marker
// where the local port is 4500), fragments above the MTU, resolves the next hop.
void dp_send(struct dp *d, const struct ike_datagram *dg);

// Fetch what workers have for the control thread, bounded; ARP, ND and ICMP are handled within.
// Returns how many things were done: not 0 means call again soon.
unsigned dp_poll(struct dp *d, uint64_t now_ns);
// Absolute time at which dp_poll() wants to be called though nothing arrived (neighbour timers,
// queued SA messages); UINT64_MAX: never.
uint64_t dp_next_ns(const struct dp *d);
// A descriptor that becomes readable when a worker, or the kernel by an exception interface, has
// something for dp_poll(); not to be read. Armed by dp_arm(): call that, poll once more, then sleep on
// the descriptor.
int dp_wake_fd(struct dp *d);
void dp_arm(struct dp *d);

// A range whose addresses never leave in clear.
struct dp_pool_range {
	struct ip_range range;
	uint8_t bits; // of what is given out of it: 32 or 128, or those of a prefix
};
static inline struct dp_pool_range dp_pool_range(const struct cfg_pool *p, size_t i)
{
	uint8_t whole = (uint8_t)ip_bits(p->ranges[i].lo.family);
	uint8_t bits = p->prefix_len ? (uint8_t)p->prefix_len : whole;
	return (struct dp_pool_range){p->ranges[i], bits};
}

// The pools' ranges from now on; the workers know them when dp_pools_known(). A range that is left out
// goes, but for the addresses that tunnels have: returns how many parts of it stay for these, to be
// asked again when they may have ended. -ENOMEM: nothing is changed.
MUST_USE int dp_set_pools(struct dp *d, const struct dp_pool_range *r, size_t count);
bool dp_pools_known(const struct dp *d);

struct dp_port_info {
	const char *name, *driver;
	bool link;
	uint32_t speed_mbps; // 0: unknown
	uint8_t mac[6];
	uint16_t mtu;
	int socket;
	uint16_t queues;
	uint16_t vlan;        // 0: untagged
	char *const *members; // of a bond, borrowed
	size_t member_count;
	const char *exception;                 // the kernel's interface, or NULL
	uint64_t exception_to, exception_from; // frames that it got and sent
	bool removed;                          // the device has gone, and is waited for
	uint32_t removals;                     // so often
	const char *rss;                       // how the device spreads packets, in words
	uint64_t rss_right, rss_wrong; // of its first packets: came where predicted, elsewhere
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, missed, errors, no_mbuf;
};

// Port i in the configuration's order; false past the last.
bool dp_port_info(struct dp *d, size_t i, struct dp_port_info *out);

// Why a packet came to a worker that does not own its tunnel.
enum dp_handoff {
	DP_HANDOFF_MISPREDICTED,
	DP_HANDOFF_STICKY,
	DP_HANDOFF_ROAMING,
	DP_HANDOFF_PREFIX,
	DP_HANDOFF_FRAGMENT,
	DP_HANDOFF_CLIENT, // decrypted here for another worker's client
	DP_HANDOFF_TX,     // no transmit queue of its own on that port
	DP_HANDOFF_CAUSES,
};

extern const char *const dp_handoff_name[DP_HANDOFF_CAUSES];

// Where a worker's cycles go. OTHER: messages, rings to other workers and to the control thread, clock.
enum dp_stage {
	DP_STAGE_RX, // the driver's receive function
	DP_STAGE_CLASSIFY,
	DP_STAGE_ESP_IN,
	DP_STAGE_ROUTE,
	DP_STAGE_ESP_OUT,
	DP_STAGE_TX, // the driver's send function
	DP_STAGE_OTHER,
	DP_STAGES,
};

extern const char *const dp_stage_name[DP_STAGES];

struct dp_worker_info {
	uint16_t id, lcore;
	int socket;
	uint64_t polls, idle_polls, sleeps;
	uint64_t rx_packets, tx_packets, drops, punts;
	uint64_t esp_in_packets, esp_out_packets;
	uint64_t handoff_out[DP_HANDOFF_CAUSES]; // given to other workers
	uint64_t handoff_in;
	// Of all polls that moved packets: TSC cycles and packets (received, taken from other workers or
	// from the control thread); and the cycles of all other polls.
	uint64_t busy_cycles, busy_polls, busy_packets, idle_cycles;
	// Of one in DP_SAMPLE of them: cycles by stage, and packets.
	uint64_t stage_cycles[DP_STAGES], stage_packets;
	uint32_t tunnels, sas;
};

bool dp_worker_info(struct dp *d, size_t i, struct dp_worker_info *out);

// ---- Packet trace ----

enum dp_trace_stage {
	DP_TRACE_RX,
	DP_TRACE_DECRYPTED,
	DP_TRACE_TO_ENCRYPT,
	DP_TRACE_HANDOFF, // to another worker
	DP_TRACE_TAKEN,   // by it
	DP_TRACE_HELD,    // until its tunnel has an SA
	DP_TRACE_PUNT,    // to the control thread
	DP_TRACE_TX,
	DP_TRACE_DROP,
	DP_TRACE_STAGES,
};

extern const char *const dp_trace_stage_name[DP_TRACE_STAGES];

#define DP_TRACE_PACKETS_MAX 10000
#define DP_TRACE_SNAP        128 // bytes kept of each packet and stage

struct trace_filter;

struct dp_trace_spec {
	struct trace_filter *filter; // on the heap; taken, whatever comes back
	uint32_t packets; // 1 to DP_TRACE_PACKETS_MAX: so many are traced, then it is over
	bool whole;       // packets are kept whole, 16 MiB of them in all
};

// 0, -EBUSY: one runs; -EINVAL, -ENOMEM. What an earlier trace holds is given up.
MUST_USE int dp_trace_start(struct dp *d, const struct dp_trace_spec *spec);
// It stays to be looked at. How many packets it has; -ENOENT: none runs.
int dp_trace_stop(struct dp *d);

struct dp_trace_row {
	uint64_t unix_ns;
	uint32_t packet; // 1, 2, ... in the order in which they were chosen
	enum dp_trace_stage stage;
	uint16_t worker;
	const char *port;  // that it came in or leaves by, or NULL
	const char *why;   // drop: its name; hand-off, punt: the cause; else NULL
	uint64_t session;  // TO_ENCRYPT, DECRYPTED: the tunnel's owner's, as in tunnel_spec
	bool framed;       // bytes begin with the Ethernet header, else with the IP header
	uint32_t len;      // of the whole packet
	struct view bytes; // borrowed until the next dp_trace_start()
};

// Row i in the order in which stages were passed; false past the last.
bool dp_trace_row(const struct dp *d, size_t i, struct dp_trace_row *out);

// Counter i, summed over workers, by its name ("dp_drop_runt", ...); false past the last.
bool dp_counter(
	const struct dp *d, size_t i, const char **name, uint64_t *value, const char **help);
