// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which packets a trace is about: an expression as tcpdump takes it (pcap-filter(7)), compiled for
// frames and for IP packets without a frame. Needs no DPDK.
#pragma once

#include "base/cursor.h"

#include <pcap/pcap.h>

struct trace_filter {
	struct bpf_program frame, packet;
	bool all; // no expression: every packet
};

// Any thread: addresses, ports and protocols are numbers (tcp, udp, icmp, ... excepted), so that no
// resolver is asked. 0, or -EINVAL and a sentence in why[cap].
MUST_USE int trace_filter_compile(
	const char *expression, struct trace_filter *out, char *why, size_t cap);
void trace_filter_free(struct trace_filter *f);

// framed: bytes begin with the Ethernet header, else with the IP header. len: of the whole packet.
bool trace_filter_match(const struct trace_filter *f, bool framed, struct view bytes, uint32_t len);

// One line about a packet: addresses, protocol, ports or SPI and sequence number. Always ends with a
// NUL; never fails.
void trace_summary(bool framed, struct view bytes, char *text, size_t cap);
