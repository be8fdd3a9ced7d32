// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A worker: what one lcore owns, and the stages that a burst passes in it.
#pragma once

#include "dataplane/dp.h"
#include "dataplane/dst.h"
#include "dataplane/ip.h"
#include "dataplane/rss_learn.h"
#include "dataplane/sa.h"
#include "dataplane/suites.h"

#include <rte_ring.h>

#define DP_MSG_POLL         64   // messages taken a poll
#define DP_BURSTS           8    // received from one port in a poll
#define DP_SA_RING          1024 // messages
#define DP_EVENT_RING       1024
#define DP_RETURN_RING      1024 // also the deletes that may be under way at once
#define DP_PUNT_RING        512
#define DP_INJECT_RING      512
#define DP_HANDOFF_RING     1024
#define DP_HANDOFF_RING_MIN 64                // two bursts
#define DP_HANDOFF_PLACES   4096              // for one taker
#define DP_NEIGH_SLOTS      32768             // power of two, twice the neighbours at least
#define DP_NO_CHILD_NS      NS_PER_S          // between two reports of one tunnel
#define DP_MOVED_NS         NS_PER_S          // until the same place of a peer is told once more
#define DP_MOVED_MIN_NS     (100 * NS_PER_MS) // between two reports of one SA
#define DP_HOLD_TUNNEL      16                // packets of one tunnel that wait for its first SA
#define DP_HOLD_WORKER      256 // of all tunnels of a worker; each has a buffer (eal.c)
#define DP_HOLD_NS          (10 * NS_PER_S)
#define DP_SLEEP_MIN_NS     20000ull
#define DP_SLEEP_MAX_NS     NS_PER_MS
#define DP_SLEEP_BLIND_NS   100000ull // where a queue cannot wake its worker
#define DP_IDLE_POLLS       64        // empty polls before a worker sleeps

// ---- Messages, control -> worker ----

enum dp_msg_type {
	DP_MSG_TUNNEL_ADD,
	DP_MSG_TUNNEL_MOVE,
	DP_MSG_TUNNEL_MTU,
	DP_MSG_TUNNEL_DEL,
	DP_MSG_SA_ADD,
	DP_MSG_SA_SWITCH,
	DP_MSG_SA_DEL,
	DP_MSG_NEIGH,
};

struct dp_msg {
	uint8_t type; // enum dp_msg_type
	uint8_t df;
	uint16_t mtu;
	uint8_t flags;   // enum dp_tunnel_flag
	uint32_t tunnel; // index
	uint32_t generation;
	uint32_t spi; // SA_ADD of SA_IN
	struct dp_sa *sa;
	uint8_t *chunk; // of the slab that the SA or tunnel lies in
	union {
		struct {
			struct tunnel_path path;
			struct ip_addr next_hop;
			uint64_t session;
			struct tunnel_treatment treat;
		};
		struct dp_neigh neigh;
	};
} __attribute__((aligned(8)));

// What all of them have travels by one ring, so that most are less than a line; the rest of the few that have
// one by a second ring, in the same order.
#define DP_MSG_HEAD offsetof(struct dp_msg, path)
#define DP_MSG_REST (sizeof(struct dp_msg) - DP_MSG_HEAD)

static inline bool dp_msg_has_rest(const struct dp_msg *msg)
{
	return msg->type == DP_MSG_TUNNEL_ADD || msg->type == DP_MSG_TUNNEL_MOVE ||
	       msg->type == DP_MSG_NEIGH;
}

static inline void *dp_msg_rest(struct dp_msg *msg)
{
	return (uint8_t *)msg + DP_MSG_HEAD;
}

// A deleted SA, or (sa NULL) a deleted tunnel's index, given back.
struct dp_return {
	struct dp_sa *sa;
	uint32_t tunnel, generation;
};

// ---- What is kept per worker ----

struct dp_batch {
	struct rte_mbuf *m[2 * DP_BURST];
	// below: packets up to which one is put here without a further look, in this poll; towards a port
	// that takes frames as they are all but the last place, which flushes, else none.
	unsigned n, below;
};

// Packets for another worker, and how many of them for which cause.
struct dp_given {
	struct rte_mbuf *m[2 * DP_BURST];
	unsigned n;
	uint32_t by[DP_HANDOFF_CAUSES];
};

// What other workers have given us.
struct dp_taken {
	struct rte_mbuf *m[2][DP_BURST]; // in turn: those at hand, and the next ones
	unsigned turn;
	uint16_t ring, rings; // the one that is read next, how many are left
	uint16_t at, have;    // all: those that have not been worked on yet
	uint64_t busy;        // rings that the last poll found something in, a bit each
	struct rte_mbuf *all[DP_BURSTS * DP_BURST]; // of one ring
};

struct dp_ops {
	unsigned n;
	// The first so many need nothing but their cipher: outbound (wrap.h), or inbound, where they have been
	// checked and have plain SAs (esp_in.c). Outbound the first so many have their SA, and the others
	// have yet to find it.
	unsigned ready, found;
	uint16_t port; // inbound: the one that the ready ones came by, whose ops do not say so
	struct esp_op op[2 * DP_BURST];
};

// An IP packet that is to be routed; the mbuf's data begins at its header.
struct dp_inner {
	struct rte_mbuf *m;
	uint8_t *ip;
	struct dp_sa *from;           // it was decrypted with this one, or NULL
	const _Atomic uint64_t *flat; // where its destination stands in a flat array, or NULL
	uint16_t len, upper;          // bytes: whole; headers before the upper protocol
	uint16_t port;                // came in by, index
	uint8_t family;
	uint8_t made; // by the gateway, for side
	uint8_t side; // enum cfg_role
};

struct dp_inners {
	unsigned n;
	struct dp_inner p[2 * DP_BURST];
};

// How clear packets to an address leave; good for as long as version and gen are the worker's.
struct dp_exit {
	uint32_t gen, version;      // in the worker's order; gen 0: empty
	const struct dp_neigh *hop; // in neighs
	struct dp_batch *tx;
	uint16_t port, mtu; // the port's
	uint32_t v4;        // the address, IPv4's as it stands in the packet
};
struct dp_exit6 {
	struct dp_exit out;
	uint64_t hi, lo; // the address
};
#define DP_EXIT_BITS  8
#define DP_EXIT_SLOTS (1u << DP_EXIT_BITS)

// Packets that wait for their tunnel's first SA.
struct dp_held {
	TAILQ_ENTRY(dp_held) link;
	struct dp_tunnel *tunnel;
	struct rte_mbuf *m;
	uint64_t until_ns;
};

struct dp_hold {
	TAILQ_HEAD(, dp_held) by_age, unused;
	struct dp_held items[DP_HOLD_WORKER];
};

// Packets above their path's MTU that wait for the end of their burst (frag.c), each once.
enum dp_frag_how { DP_FRAG_NOT, DP_FRAG_BEFORE, DP_FRAG_AFTER };

struct dp_bigs {
	struct dp_big {
		struct rte_mbuf *m;
		struct dp_sa *sa;
		uint32_t to, generation, from; // as in struct esp_op
		uint16_t port, upper;
		enum dp_frag_how how;
	} at[2 * DP_BURST];
	unsigned n;
};

struct dp_stats {
	dp_counter_t polls, idle_polls, sleeps;
	dp_counter_t rx_packets, tx_packets, punts, ike_unknown;
	dp_counter_t esp_in_packets, esp_out_packets;
	dp_counter_t cut_before, cut_after, cut_clear; // packets that left in fragments (frag.c)
	dp_counter_t joined;                           // ESP packets that came in fragments
	dp_counter_t ecn_alarms, ecn_suspect;          // ecn.c
	dp_counter_t mss_clamped, tfc_padded;
	dp_counter_t handoff_out[DP_HANDOFF_CAUSES], handoff_in;
	dp_counter_t drops[DP_DROP_COUNT];
	dp_counter_t sas, tunnels;
	// As in struct dp_worker_info.
	dp_counter_t busy_cycles, busy_polls, busy_packets, idle_cycles;
	dp_counter_t stage_cycles[DP_STAGES], stage_packets;
};

#define DP_SAMPLE 64 // one poll of so many is measured by stage

// The clock of the poll that is measured.
struct dp_watch {
	bool on;
	uint32_t polls;
	uint64_t end;  // of the last poll
	uint64_t mark; // of the last stage
	uint64_t cycles[DP_STAGES];
};

// A port's first packets on this worker's queue: did they come where the predictor says?
#define DP_RSS_WATCH 256 // packets of each queue that are looked at

#define DP_RSS_SAMPLES 64

struct dp_rss_watch {
	_Atomic uint16_t left; // the control thread fills it up where it has learned
	uint16_t bursts; // looked at; many of packets that cannot be predicted are enough, too
	dp_counter_t right, wrong;
	// What the NIC hashed and to what, each hash once; those up to sample_count are the control
	// thread's to read.
	struct rss_sample samples[DP_RSS_SAMPLES];
	_Atomic uint16_t sample_count;
};

// Of a port that shares its device with others, whose own counters tell them not apart.
struct dp_port_count {
	dp_counter_t rx_packets, tx_packets, rx_bytes, tx_bytes;
};

struct dp_exception_share {
	uint64_t from_ns;
	uint32_t left;
};

// What a packet's bytes name, if it is plain IPv4: from outside the SA of the slot in its SPI; from the
// inside its destination's place in a flat array, and the newest SA of the tunnel that is named there, if
// this worker has the tunnel; NULL: none.
struct dp_found {
	struct dp_sa *sa;
	const _Atomic uint64_t *flat;
};

// The burst that comes next (warm.h).
struct dp_warm {
	const struct dp_worker *w;
	struct rte_mbuf **m;
	unsigned n, step, end; // packets; of the questions
	unsigned keys,
		had; // packets whose keys have been asked for, a bit each; of the burst before
	bool outside;
	bool taken;              // from other workers (handoff.c)
	struct dp_dst_flat flat; // the first one that there is in this poll
	struct dp_way none;
	const void *at[DP_BURST + 1];
	struct dp_found found[DP_BURST + 1]; // good until the next burst is begun with
};

// Of outer IPv4 packets that may be cut on their way: this worker's numbers are those that leave the same
// rest by step (dp_id_step()).
struct dp_ids {
	uint16_t next, step;
};

struct dp_worker {
	struct dp *dp;
	struct dp_layout layout;
	uint16_t id, lcore;
	int socket;
	struct dp_ids ids;
	uint64_t now_ns;
	uint64_t keep_ns; // when dp_ports_keep() is due
	struct dp_watch clock;
	struct dp_trace *trace; // while a packet trace runs

	struct dp_slab in, out, tunnels;
	struct dp_crypto crypto;
	struct dp_warm warm;
	struct dp_ops esp_in;   // ESP packets for this worker's SAs
	struct dp_inners route; // IP packets for the inside or for a tunnel
	struct dp_ops esp_out;  // IP packets for this worker's tunnels
	struct dp_way *ways;    // by the tunnel's slot
	struct dp_batch tx[DP_PORTS_MAX];
	struct dp_given handoff[DP_WORKERS_MAX];
	uint16_t given; // the last one that was given a packet; at first this one
	struct dp_taken taken;
	struct dp_neigh neighs[DP_NEIGH_SLOTS];
	uint32_t neigh_count;
	uint32_t neigh_gen; // neither 0 nor DP_HOP_OTHER's bit; changes when an entry moves or goes
	uint32_t version;   // of routes and destinations, as of this poll; with neigh_gen one word
	bool straight; // packets need not be looked at one by one between two stages, in this poll
	struct dp_exit exits[DP_EXIT_SLOTS];
	struct dp_exit6 exits6[DP_EXIT_SLOTS];
	uint64_t own_v4;    // the last one of the gateway's addresses that was sent to
	uint32_t spi_first; // an SPI's bits above its nonce, of this worker's slot 0
	struct dp_rss_watch watch[DP_PORTS_MAX];
	struct dp_port_count port_count[DP_PORTS_MAX];
	struct dp_exception_share exception[DP_PORTS_MAX];
	struct dp_hold hold;
	struct dp_bigs big;
	struct gather *gather;  // outer fragments (frag_in.c); NULL until the first one comes
	uint64_t gather_due_ns; // when one is overdue; UINT64_MAX: none
	uint32_t frag_id;       // of the next IPv6 packet that we cut
	struct dp_pending_list pending;
	bool tell; // control has something new

	struct rte_ring *sa_ring, *sa_rest_ring, *event_ring, *return_ring, *inject_ring;
	struct rte_ring *punt_ring[DP_PUNT_RINGS];
	struct rte_ring *handoff_in[DP_WORKERS_MAX]; // from worker i; NULL: itself

	// Why ESP with an inbound SPI would come to another worker (enum dp_handoff), a byte a slot.
	// Written by the control thread, as it hands the SPI out and when the tunnel moves, and by the
	// worker when it sees that the peer has moved. Read by all workers.
	_Atomic uint8_t *uplink_cause;
	// The family of each of its tunnels, a shared one's at the worker that owns it. Written by the
	// control thread, read by all workers.
	_Atomic uint64_t *family;
	// And what policy says of it (policy.h), in the same way.
	_Atomic uint32_t *mark;

	struct dp_stats stats __rte_cache_aligned;

	// Read and written by other threads.
	_Atomic uint64_t passes __rte_cache_aligned; // polls that have ended
	// What who hands packets over looks at: not in the line that each poll writes to.
	atomic_bool sleeping __rte_cache_aligned;
	atomic_bool stop;
	int wake_fd; // eventfd
};

static_assert(offsetof(struct dp_worker, version) == offsetof(struct dp_worker, neigh_gen) + 4 &&
		      offsetof(struct dp_exit, version) == offsetof(struct dp_exit, gen) + 4,
	"both are compared as one word");

void dp_trace_drop(struct dp_worker *w, struct rte_mbuf *m, enum dp_drop why);

static inline void dp_drop(struct dp_worker *w, struct rte_mbuf *m, enum dp_drop why)
{
	if (unlikely(w->trace))
		dp_trace_drop(w, m, why);
	dp_add(&w->stats.drops[why], 1);
	rte_pktmbuf_free(m);
}

static inline void dp_batch_add(struct dp_batch *b, struct rte_mbuf *m)
{
	b->m[b->n++] = m;
}

// This worker's inbound SA, where the SPI may be one's; NULL: none.
static inline struct dp_sa *dp_sa_of_spi(const struct dp_worker *w, uint32_t spi)
{
	uint32_t slot = (spi >> w->layout.nonce_bits) - w->spi_first;
	return likely(slot < w->in.slots) ? dp_slab_at(&w->in, slot) : NULL;
}

static inline bool dp_spi_ours(const struct dp_worker *w, uint32_t spi)
{
	return (spi >> w->layout.nonce_bits) - w->spi_first < w->in.slots;
}

static inline uint8_t *dp_data(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, uint8_t *);
}

static inline void dp_stage_end(struct dp_worker *w, enum dp_stage stage)
{
	if (likely(!w->clock.on))
		return;
	uint64_t now = rte_rdtsc();
	w->clock.cycles[stage] += now - w->clock.mark;
	w->clock.mark = now;
}

// ---- Life (worker.c, rings.c) ----

// Places of the ring from one worker to another: some 4096 for each taker in all, of which every one
// has a receive buffer (eal.c).
static inline unsigned dp_handoff_ring_size(unsigned workers)
{
	unsigned size = DP_HANDOFF_RING;
	while (size > DP_HANDOFF_RING_MIN && size * (workers - 1) > DP_HANDOFF_PLACES)
		size /= 2;
	return size;
}

// All of it but the rings to other workers. 0 or -errno. Control thread.
MUST_USE int dp_worker_new(struct dp *d, uint16_t id, uint16_t lcore, const struct dp_layout *l,
	struct dp_worker **out);
// Hand-off rings of all workers; once all of d->workers exist.
MUST_USE int dp_handoff_init(struct dp *d);
void dp_worker_free(struct dp_worker *w);
// EAL's lcore function: polls until w->stop.
int dp_worker_main(void *worker);
// One round; returns how many packets and messages it moved. The owner thread, or a test.
unsigned dp_worker_poll_once(struct dp_worker *w);

// Rings of the right kind; NULL and rte_errno on failure. name is made unique.
struct rte_ring *dp_ring_new(
	const char *what, unsigned a, unsigned b, unsigned size, size_t element, int socket);
// The other end's line and our own are on their way, and the n places that come next: to be written, or to
// be read.
void dp_ring_warm_put(const struct rte_ring *r, size_t element, unsigned n);
void dp_ring_warm_get(const struct rte_ring *r, size_t element, unsigned n);
void dp_worker_rings_free(struct dp_worker *w);
MUST_USE int dp_worker_rings_new(struct dp_worker *w);

// ---- Stages ----

// rx: frames from a port (at most DP_BURST) -> w->esp_in, w->route, punts, drops. found: the burst's,
// of dp_warm.
void dp_classify_burst(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m,
	unsigned n, const struct dp_found *found);
// The same without, be they as they may. cause: DP_HANDOFF_FRAGMENT where the frame was put together out
// of fragments, else 0.
void dp_classify(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n,
	enum dp_handoff cause);
// ESP behind l2_len and l3_len of the mbuf, to w->esp_in.
void dp_esp_in_add(struct dp_worker *w, struct rte_mbuf *m);
// The IP packet of the mbuf, for the tunnel that its meta names, to w->esp_out.
void dp_esp_out_add(struct dp_worker *w, struct rte_mbuf *m);
// The IP packet of the mbuf, which the gateway made for a side (meta.cause), to w->route.
void dp_route_made(struct dp_worker *w, struct rte_mbuf *m);
// w->esp_in -> decrypted packets in w->route.
void dp_esp_in(struct dp_worker *w);
// w->route -> w->esp_out, other workers, punts, tx.
void dp_route_stage(struct dp_worker *w);
// An IP packet to the port of that side which its route names.
void dp_route_clear(struct dp_worker *w, const struct dp_inner *r, enum cfg_role side);
// w->esp_out -> tx.
void dp_esp_out(struct dp_worker *w);
// All stages over what the batches hold.
void dp_run_stages(struct dp_worker *w);

// An IP packet (data at its header) to its next hop by a port: Ethernet header, tx batch; or punted
// where the next hop is not known.
void dp_tx_ip(struct dp_worker *w, const struct dp_port *port, const struct ip_addr *next_hop,
	uint8_t family, struct rte_mbuf *m);
// The worker that sends for this one by a port of so many transmit queues, one at least.
uint16_t dp_port_sender(uint16_t queues, uint16_t worker);
// A finished frame.
void dp_tx_frame(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m);
void dp_tx_flush(struct dp_worker *w);

// Let bonds send their LACP frames, which leave with a transmit burst, be it empty: every 100 ms at
// least. The first worker does so for all; each bond has its queue.
void dp_ports_keep(struct dp_worker *w);
uint64_t dp_ports_keep_first(const struct dp_worker *w);

// A copy to the control thread, in the punt pool; the packet itself is freed. meta is filled but for
// kind and worker.
void dp_punt(struct dp_worker *w, struct rte_mbuf *m, enum dp_punt_class class);

// Compare the queue of received frames with the predictor's (rss.c), while watch[port].left.
void dp_rss_watch(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf **m, unsigned n);

// ---- Packets that wait (hold.c) ----

void dp_hold_init(struct dp_hold *h);
void dp_hold_free(struct dp_hold *h);
// Keep a packet for the tunnel (DP_TUNNEL_HOLD), behind those that came before; or drop it by name.
// Takes the mbuf.
void dp_hold_packet(struct dp_worker *w, struct dp_tunnel *t, struct rte_mbuf *m);
// The SA has come into use: what it selects leaves by dp_esp_out(), in order. w->esp_out is empty.
void dp_hold_release(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa);
// The tunnel goes.
void dp_hold_drop(struct dp_worker *w, struct dp_tunnel *t);
// Drop the oldest one if its time is over; returns how many that were.
unsigned dp_hold_expire(struct dp_worker *w);

// ---- Hand-off ----

enum dp_carry {
	DP_CARRY_ESP,      // outer frame; l2_len, l3_len set
	DP_CARRY_INNER,    // IP packet for the tunnel meta.to; l3_len set
	DP_CARRY_FRAGMENT, // outer fragment; l2_len, l3_len set
	DP_CARRY_FRAME,    // finished frame for meta.port
	DP_CARRY_ROUTE,    // inject only: IP packet to be routed
};

// meta is filled but for kind and cause.
void dp_handoff(struct dp_worker *w, uint16_t to, struct rte_mbuf *m, enum dp_carry carry,
	enum dp_handoff cause);
// The same of most packets, whose meta and lengths of headers are not: ESP len bytes behind upper of the
// outer IP packet. False: nothing is done, it is no SPI of ours.
bool dp_handoff_esp(struct dp_worker *w, struct rte_mbuf *m, uint16_t port, uint32_t upper,
	uint32_t len, uint32_t spi);
// An IPv4 packet without options, at the mbuf's data, that has passed its hop.
void dp_handoff_inner(
	struct dp_worker *w, struct rte_mbuf *m, uint16_t port, const struct dp_dst_entry *e);
void dp_handoff_flush(struct dp_worker *w);
// A poll begins: what it will take is on its way.
void dp_handoff_begin(struct dp_worker *w);
// What others and the control thread have given us; returns how many.
unsigned dp_handoff_poll(struct dp_worker *w);
// Wake a sleeping worker; any thread, after the enqueue.
void dp_worker_wake(struct dp_worker *w);

// ---- SAs and tunnels (sa_table.c, tunnel.c) ----

unsigned dp_msg_poll(struct dp_worker *w);
void dp_pend(struct dp_worker *w, struct dp_pending *p, enum sa_event_type what);
// Report what pends as far as there is room.
void dp_pend_flush(struct dp_worker *w);
// The control thread is told once, if it sleeps.
void dp_tell_control(struct dp_worker *w);

static inline struct dp_tunnel *dp_tunnel_at(
	const struct dp_worker *w, uint32_t index, uint32_t generation)
{
	uint32_t slot = dp_tunnel_slot(index);
	struct dp_tunnel *t = slot < w->tunnels.slots ? dp_slab_at(&w->tunnels, slot) : NULL;
	return t && t->generation == generation ? t : NULL;
}

static inline _Atomic uint64_t *dp_tunnel_family(const struct dp *d, uint32_t index)
{
	return &d->workers[dp_tunnel_worker(index)]->family[dp_tunnel_slot(index)];
}

static inline _Atomic uint32_t *dp_tunnel_mark(const struct dp *d, uint32_t index)
{
	return &d->workers[dp_tunnel_worker(index)]->mark[dp_tunnel_slot(index)];
}

// The limits that come next, from the SA's counters.
void dp_sa_limits(struct dp_sa *sa);

// No packet more.
static inline void dp_sa_stop(struct dp_sa *sa)
{
	sa->flags |= DP_SA_STOPPED;
	if (sa->flags & DP_SA_OUT)
		sa->out.hop_gen |= DP_HOP_OTHER;
	else
		sa->special |= DP_SPECIAL_STOPPED;
}

// The SA's counters have come to one of its limits.
void dp_sa_limit_reached(struct dp_worker *w, struct dp_sa *sa);
// The number of the packet that is being encrypted; or the SA has come to its end.
enum dp_drop dp_next_seq(struct dp_worker *w, struct dp_sa *sa, uint64_t *seq);
// The IP packet, whose header has been checked, lies within the SA's selectors.
bool dp_sa_selects(struct dp_sa *sa, const uint8_t *packet, uint32_t len);
void dp_tunnel_set_path(struct dp_tunnel *t, const struct tunnel_path *p);
// What an outbound SA has of its tunnel.
void dp_sa_set_path(const struct dp_worker *w, struct dp_sa *sa, const struct dp_tunnel *t);
// Where the tunnel's next hop stands, if it is known.
void dp_sa_set_hop(const struct dp_worker *w, struct dp_sa *sa, const struct dp_tunnel *t);
// Where an inbound SA's packets are expected from: where the tunnel's go.
void dp_sa_set_peer(struct dp_sa *sa, const struct dp_tunnel *t);
// The tunnel's newest outbound SA is another one, or the tunnel came or went.
void dp_way_set(struct dp_worker *w, const struct dp_tunnel *t);
void dp_neigh_apply(struct dp_worker *w, const struct dp_neigh *n);
const struct dp_neigh *dp_neigh_find(
	const struct dp_worker *w, uint16_t port, const struct ip_addr *a);
