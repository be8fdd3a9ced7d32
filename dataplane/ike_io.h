// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE datagrams to and from UDP: the non-ESP marker of port 4500 (RFC 3948), and IP packets with
// fragmentation for what is sent. Pure; no DPDK.
#pragma once

#include "base/sa_msg.h"
#include "dataplane/pkt.h"

#define IKE_PORT       500
#define IKE_NATT_PORT  4500
#define IKE_HEADER_LEN 28 // bytes, RFC 7296 3.1

// The IKE message within a UDP payload that came to local_port. keepalive: consumed; ike_marker:
// ESP or nothing known (on port 500 ESP stands behind eight zero bytes, as the first drafts of NAT-T
// had it); ike_short.
MUST_USE enum dp_drop ike_io_unwrap(uint16_t local_port, struct view payload, struct view *ike);

struct ike_io_packet {
	struct view head; // IP header, and IPv6 fragment header
	struct view body;
};

// Build the IP packets of a datagram, none above mtu bytes, and hand each to emit (false: stop).
// scratch holds the UDP datagram: DATAGRAM_MAX bytes. id: IP id of the fragments, not used lately
// for the same peer. too_big: does not fit in one UDP datagram; udp: families differ.
MUST_USE enum dp_drop ike_io_build(const struct ike_datagram *dg, uint16_t mtu, uint32_t id,
	uint8_t scratch[static DATAGRAM_MAX], bool (*emit)(void *, const struct ike_io_packet *),
	void *ctx);

// The same for any payload behind an IP header: always as fragments.
MUST_USE enum dp_drop ike_io_cut(const struct pkt_ip_head *h, struct view payload, uint16_t mtu,
	uint32_t id, bool (*emit)(void *, const struct ike_io_packet *), void *ctx);
