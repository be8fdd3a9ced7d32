// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Transport mode, RFC 4303 3.1.1: the packet keeps its IP header, and ESP (in UDP, where the tunnel
// has it) comes between that and the payload. Such packets pass between this gateway's own address
// and the peer's: made here, for here, or forwarded between the two (RFC 4301 4.1: GRE, L2TP).
// The one test of DP_SA_TRANSPORT that each direction pays leads here.
#pragma once

#include "dataplane/worker.h"

// Outbound, where a tunnel's SA gets its header and trailer: op->m begins at the IP header. The header
// is moved to where it will stand and finished; op->esp, text_len and seq are set. What lies before
// the data stays so until dp_transport_uncover(). limit: of the packet as it leaves, bytes.
MUST_USE enum dp_drop dp_transport_wrap(
	struct dp_worker *w, struct esp_op *op, const struct dp_tunnel *t, uint32_t limit);
// Encrypted: the data begins at the IP header and ends behind the ICV.
void dp_transport_uncover(struct esp_op *op, const struct dp_tunnel *t);

// Inbound: the IP header is put back before the len decrypted bytes of protocol next, and repaired;
// so are, behind a NAT, checksums above it (RFC 3948 3.1.2). Then all that a tunnel's inner packet
// must be. op->esp moves, so that the packet begins where a tunnel's would.
MUST_USE enum dp_drop dp_transport_restore(
	struct esp_op *op, uint8_t next, uint32_t len, struct ip_info *ip);

// A clear packet for the gateway, from an address to which the gateway speaks in ESP only (RFC 4301
// 5.2): it is refused, unless it is an ICMP error, which may come from a device on the way that has
// the same address (a NAT).
bool dp_transport_guards(
	const struct dp_worker *w, const uint8_t *packet, const struct ip_info *ip);
