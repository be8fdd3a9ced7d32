// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The contract between the two planes: what the control plane asks of the workers (the SA sink),
// what they report back (SA events), and the datagrams that pass between them. Everything here is
// plain data and is used on the control thread; how it crosses to a worker is the data plane's.
//
// Names of things:
//   tunnel  one peer's traffic: outer addresses, owner worker, destinations. Unchanged by rekeying.
//   child   a pair of ESP SAs, named by our inbound SPI. Belongs to one tunnel for life.
#pragma once

#include "base/addr.h"
#include "base/algs.h"

#define SA_SELECTORS_MAX 16 // traffic selectors of one side of one child SA
#define SA_ENCR_KEY_MAX  36 // key and salt, bytes
#define SA_INTEG_KEY_MAX 64
#define TUNNEL_NONE      0u

enum sa_dir { SA_IN, SA_OUT };

enum sa_df { SA_DF_COPY, SA_DF_SET, SA_DF_CLEAR };

// RFC 4301 3.2: transport mode protects what two hosts say to each other, without a second IP header.
enum sa_mode { SA_TUNNEL, SA_TRANSPORT };

// What is too large for the path: inner packets in fragments that are each encrypted, or one ESP packet
// in fragments (RFC 4301 8.2; a peer has to put them together).
enum sa_fragment { SA_FRAGMENT_BEFORE, SA_FRAGMENT_AFTER };

#define SA_MSS_AUTO 1 // as the tunnel's path MTU allows

// A session's share; both 0: no limit.
struct sa_rate {
	uint64_t bytes_per_s; // of inner packets
	uint64_t burst_bytes;
};

// What a tunnel's packets get on their way beside encryption. All zero: the plain case.
struct tunnel_treatment {
	enum sa_fragment fragment;
	uint16_t mtu_max; // outer packets, bytes; 0: the port's
	uint16_t mss;     // ceiling of the MSS in TCP's SYN, both ways, bytes; 0: off; SA_MSS_AUTO
	bool dscp_set;    // outer DSCP is this one, else the inner one is copied (RFC 2983)
	uint8_t dscp;
	bool ecn_off; // outer packets are Not-ECT (RFC 6040 4.1, compatibility mode)
	struct sa_rate rate_in, rate_out;
	uint16_t policy; // access list: its connection's index in the configuration + 1; 0: none
	bool apart;      // what comes out of this tunnel enters no other one, and the reverse
};

// Where a datagram came from or leaves: the port by its index in the configuration, the receive
// queue's worker (the worker hint for a new NAT-T client).
struct sa_origin {
	uint16_t port;
	uint16_t worker;
};

// ESP in UDP between a tunnel's two ports. MARKER: as the first drafts of NAT-T had it, on port 500,
// with eight zero bytes (where IKE has its first SPI) before the ESP header.
enum sa_encap { SA_ENCAP_NONE, SA_ENCAP_UDP, SA_ENCAP_UDP_MARKER };

// A tunnel's outer side.
struct tunnel_path {
	struct endpoint local;
	struct endpoint remote;
	enum sa_encap encap;
	uint16_t port; // outside port, index in the configuration
};

struct tunnel_spec {
	uint16_t worker; // owner of all its SAs, both directions
	struct tunnel_path path;
	enum sa_df df;
	struct tunnel_treatment treat;
	// Kept by the data plane for its reports, opaque to it.
	uint64_t session;
	// Inbound: a packet's source must lead back into this very tunnel by the routes, or into one of its
	// family (tunnel_family()).
	bool reverse_path;
	// Outbound packets that find no SA in use are kept, the first 16 of a tunnel (256 of a worker) for
	// 10 s, and leave in order with the sa_switch() to the first SA whose selectors hold them;
	// SA_EVENT_NO_CHILD tells of them.
	bool hold;
	// RFC 9611: every worker has a copy of the tunnel and encrypts with the SAs of its own (an SA is
	// its SPI's worker's); one that has none for a packet gives it to the tunnel's worker, which
	// therefore should always have one.
	bool per_worker;
};

// One direction of a child SA. Keys are copied and expanded by the sink; the caller wipes its own.
struct sa_spec {
	uint32_t tunnel;
	uint32_t child; // our inbound SPI, host order, in both directions
	uint32_t spi;   // on the wire, host order: equals child for SA_IN, the peer's for SA_OUT
	enum sa_dir dir;
	enum sa_mode mode;
	struct proposal_encr encr;
	uint16_t integ; // INTEG_NONE with AEAD
	bool esn;
	uint8_t encr_key[SA_ENCR_KEY_MAX]; // key, then salt
	uint8_t encr_key_len;
	uint8_t integ_key[SA_INTEG_KEY_MAX];
	uint8_t integ_key_len;
	// SA_OUT: traffic flow confidentiality (RFC 4303 2.7): inner packets are padded up to a multiple of
	// so many bytes, or to the path's MTU if that comes first; UINT16_MAX: all to the MTU; 0: none.
	uint16_t tfc;
	uint16_t replay_window; // packets, 32 to 4096; 0: off (SA_IN)
	uint64_t seq; // last sequence number used (SA_OUT) or highest seen (SA_IN); 0: new
	// Limits over the SA's life, 0: none. A soft one is reported once (also when half of the sequence
	// numbers are used), before the hard one even where it lies behind it; at a hard one the SA stops.
	uint64_t soft_bytes, hard_bytes;
	uint64_t soft_packets, hard_packets;
	// From our view: an inbound packet's destination matches ts_local, its source ts_remote.
	struct selector ts_local[SA_SELECTORS_MAX];
	struct selector ts_remote[SA_SELECTORS_MAX];
	uint8_t ts_local_count, ts_remote_count;
	// SA_IN in transport mode, in UDP: the addresses of its packets as the peer sees them, which its
	// checksums of TCP and UDP are about (RFC 3948 3.1.2). Family 0: not known; they are made anew.
	struct ip_addr peer_source, peer_destination;
};

// Written by the owner worker alone, read on the control thread.
struct sa_counters {
	uint64_t packets;
	uint64_t bytes;                                               // inner packets' bytes
	uint64_t seq;                                                 // last used or highest seen
	uint64_t auth_failed, replayed, selector_mismatch, malformed; // SA_IN
	uint64_t policed;      // dropped because its tunnel's rate is exceeded (tunnel_treatment)
	uint64_t last_used_ns; // monotonic; 0: never. As fresh as the worker's last poll.
};

enum sa_event_type {
	SA_EVENT_INSTALLED,  // the inbound SA can receive: a reply that reveals its SPI may leave
	SA_EVENT_RETURNED,   // a deleted SA is back, with its final counters
	SA_EVENT_FIRST_IN,   // first valid packet on an inbound SA
	SA_EVENT_SOFT_LIMIT, // bytes, packets, or the sequence number nears its end
	SA_EVENT_HARD_LIMIT, // the SA has stopped
	SA_EVENT_PEER_MOVED, // an authenticated packet with the highest sequence number so far came
	// from .remote; the control plane decides (said again each second while it lasts)
	SA_EVENT_NO_CHILD, // a packet for a tunnel without a usable outbound SA (at once, then
			   // rate-limited)
};

struct sa_event {
	enum sa_event_type type;
	enum sa_dir dir;
	uint32_t child;
	uint32_t tunnel;
	uint64_t session;
	struct sa_counters counters; // SA_EVENT_RETURNED
	struct endpoint remote;      // SA_EVENT_PEER_MOVED
};

// The SA sink: a seam, implemented by the data plane and by a recorder in the engine's tests.
// Control thread only; nothing blocks: what finds a ring full is queued per worker, in order.
// Functions return 0 or -errno.
struct sa_sink {
	void *ctx;
	uint16_t workers;
	// The worker that the NIC gives the inner address's packets to (RSS over the destination), or
	// a spread by a hash where there is no RSS. < workers.
	uint16_t (*worker_of)(void *ctx, const struct ip_addr *inner);
	// Reserve an inbound SPI of this worker, for native ESP from path->remote such that the NIC
	// steers it there. -ENOSPC: no slot. spi_release() only for one that was never installed.
	int (*spi_reserve)(
		void *ctx, uint16_t worker, const struct tunnel_path *path, uint32_t *spi);
	void (*spi_release)(void *ctx, uint32_t spi);
	// -ENOSPC: no slot (of per_worker ones there are 4096 in all).
	int (*tunnel_add)(void *ctx, const struct tunnel_spec *spec, uint32_t *tunnel);
	// Its SAs are deleted with it, if any are left, and its routes withdrawn.
	void (*tunnel_del)(void *ctx, uint32_t tunnel);
	// Packets to this destination belong to the tunnel: an assigned address (full length) or the
	// peer's side of a selector. -EEXIST: another tunnel has it. Also answers ARP and ND for it.
	int (*route_add)(void *ctx, uint32_t tunnel, const struct ip_prefix *dst);
	void (*route_del)(void *ctx, uint32_t tunnel, const struct ip_prefix *dst);
	// The route goes from one tunnel, which has it (-ENOENT), to another one that has not: at once, so
	// that no packet finds none of them.
	int (*route_move)(void *ctx, uint32_t from, uint32_t to, const struct ip_prefix *dst);
	// Tunnels of one number are a family: between them routes move while packets are on their way in
	// each of them. 0, as at first: of none. In force for what comes by an SA that is added, and by a
	// route that is added or moved, from now on.
	void (*tunnel_family)(void *ctx, uint32_t tunnel, uint64_t family);
	void (*tunnel_move)(void *ctx, uint32_t tunnel, const struct tunnel_path *path);
	// The path MTU for outer packets, between what each path carries and what its port and mtu_max
	// allow; a lower one is given up after ten minutes. The data plane does the same by itself with
	// what ICMP says.
	void (*tunnel_pmtu)(void *ctx, uint32_t tunnel, uint16_t outer_mtu);
	// The one in force; 0: no such tunnel.
	uint16_t (*tunnel_mtu)(void *ctx, uint32_t tunnel);
	// SA_IN: SA_EVENT_INSTALLED follows. SA_OUT: used only after sa_switch(). The SPI is one of the
	// tunnel's worker, or with per_worker of any (-EINVAL).
	int (*sa_add)(void *ctx, const struct sa_spec *spec);
	// The child's outbound SA is the tunnel's newest: it is taken first where selectors match.
	void (*sa_switch)(void *ctx, uint32_t child);
	// SA_EVENT_RETURNED follows for each direction that was installed; the SPI is then free again.
	void (*sa_del)(void *ctx, uint32_t child, enum sa_dir dir);
	// Counters as of now; false if there is no such SA.
	bool (*sa_stats)(void *ctx, uint32_t child, enum sa_dir dir, struct sa_counters *out);
	// IKE datagrams for this SPI of ours come from now on by the way of the established, which
	// strangers cannot fill; or (known false) no longer. Each SPI once, then once withdrawn.
	void (*ike_spi)(void *ctx, uint64_t spi, bool known);
	// True while rings are backed up: new sessions are to wait.
	bool (*congested)(void *ctx);
};

#define DATAGRAM_MAX 65535

// One UDP datagram of IKE, either way. bytes is borrowed for the call and begins with the IKE
// header: the non-ESP marker of port 4500 is stripped and added by the data plane. Or, out, a NAT
// keepalive: one byte of 0xff.
struct ike_datagram {
	struct endpoint local;
	struct endpoint remote;
	struct sa_origin origin; // in: where it came from; out: where to send it (port only)
	struct view bytes;
};
