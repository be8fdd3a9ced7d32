// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Every reason for which the data plane drops a packet: one list gives the enum, the counter's
// name ("dp_drop_<name>") and its text. Add a reason here and nowhere else.
#pragma once

#define DP_DROPS(X)                                                                               \
	X(runt, "frame or packet shorter than its headers")                                       \
	X(chained, "packet in several segments that could not be made linear")                    \
	X(ethertype, "neither IPv4, IPv6 nor ARP")                                                \
	X(vlan_unknown,                                                                           \
		"frame of a VLAN that no port has, or untagged where all ports are tagged")       \
	X(vlan_qinq, "more than one VLAN tag")                                                    \
	X(not_for_us, "Ethernet destination is another host's")                                   \
	X(ip_header, "bad IP version, header length or total length")                             \
	X(ip_checksum, "bad IPv4 header checksum")                                                \
	X(ip_options, "IPv4 options or IPv6 extension headers where none are accepted")           \
	X(ip_source, "source address that no host can have")                                      \
	X(ip_destination, "destination that is never forwarded (multicast, broadcast, loopback)") \
	X(ttl, "TTL or hop limit exceeded")                                                       \
	X(outside_clear, "clear packet on an outside port that is not for the gateway")           \
	X(outer_fragment, "outer fragment that cannot be reassembled")                            \
	X(udp, "bad UDP length or port")                                                          \
	X(keepalive, "NAT-T keepalive, consumed")                                                 \
	X(esp_runt, "ESP packet too short or not a whole number of blocks")                       \
	X(esp_no_sa, "ESP packet with an unknown SPI")                                            \
	X(esp_stopped, "SA has reached its hard limit")                                           \
	X(esp_replay, "sequence number seen before, too old or zero")                             \
	X(esp_auth, "integrity check failed")                                                     \
	X(esp_padding, "bad padding or pad length after decryption")                              \
	X(esp_next_header, "next header is neither IPv4, IPv6 nor none")                          \
	X(esp_dummy, "dummy packet (next header 59), consumed")                                   \
	X(esp_inner, "decrypted packet is not a valid IP packet")                                 \
	X(esp_ecn, "congestion mark on a packet whose inner header does not allow it (RFC 6040)") \
	X(policed_in, "decrypted packet above its session's rate_in")                             \
	X(policed_out, "packet for a peer above its session's rate_out")                          \
	X(selector, "decrypted packet outside its SA's selectors (also a false inner source)")    \
	X(no_child, "destination belongs to a tunnel without a usable outbound SA")               \
	X(no_selector, "no child SA of the tunnel has selectors for the packet")                  \
	X(hold_full, "no room for another packet that waits for its tunnel's SA")                 \
	X(hold_timeout, "packet waited in vain for its tunnel's SA")                              \
	X(reverse_path, "decrypted packet whose source is not routed into its tunnel")            \
	X(transport_fragment,                                                                     \
		"fragment in transport mode, which is for whole datagrams (RFC 4303)")            \
	X(clear_refused, "clear packet from an address that is to speak in ESP (transport mode)") \
	X(no_tunnel, "destination belongs to a pool but to no client")                            \
	X(stale_tunnel, "tunnel has gone while the packet was on its way")                        \
	X(seq_end, "outbound sequence numbers are used up")                                       \
	X(too_big, "larger than the path's MTU after encapsulation")                              \
	X(no_room, "no head or tail room for encapsulation")                                      \
	X(crypto, "crypto library refused the operation")                                         \
	X(no_route, "no route to the destination")                                                \
	X(neighbour, "next hop could not be resolved")                                            \
	X(neighbour_queue, "too many packets wait for the next hop")                              \
	X(punt_full, "punt ring or its memory pool was full")                                     \
	X(punt_ike_full, "punt ring of IKE for known SPIs was full")                              \
	X(punt_ike_new_full, "punt ring of IKE for new or unknown SPIs was full")                 \
	X(inject_full, "inject ring was full")                                                    \
	X(handoff_full, "hand-off ring was full")                                                 \
	X(tx_full, "transmit queue was full")                                                     \
	X(port_down, "port is not usable")                                                        \
	X(arp, "malformed ARP")                                                                   \
	X(nd, "neighbour discovery that RFC 4861 7.1 says to discard")                            \
	X(icmp, "ICMP for the gateway that it does not answer")                                   \
	X(local_proto, "protocol or port for the gateway that nothing listens on")                \
	X(ike_short, "IKE datagram shorter than its header")                                      \
	X(ip_truncated, "IP packet longer than what carried it")                                  \
	X(ip_extensions,                                                                          \
		"too many IPv6 extension headers, or a routing header with segments left")        \
	X(udp_checksum, "bad UDP checksum")                                                       \
	X(icmp_malformed, "ICMP message shorter than its form")                                   \
	X(icmp_checksum, "bad ICMP checksum")                                                     \
	X(icmp_fragment, "ICMP message in fragments")                                             \
	X(icmp_error, "ICMP error for the gateway, read and not acted on")                        \
	X(arp_foreign, "ARP or neighbour solicitation for an address that is not answered here")  \
	X(arp_unasked, "ARP or neighbour answer that nobody asked for")                           \
	X(ike_marker, "ESP or something unknown where IKE was expected (port 500 or 4500)")       \
	X(fragment_overlap, "overlapping fragments: the whole datagram is gone (RFC 5722)")       \
	X(fragment_bad, "fragment of impossible place or size")                                   \
	X(fragment_duplicate, "fragment that has come before")                                    \
	X(fragment_limit, "fragments above the share of a source, of a datagram or of all")       \
	X(fragment_timeout, "datagrams whose other fragments never came")                         \
	X(fragment_no_mbuf, "no buffer for the fragments of a packet that is too big")            \
	X(neighbour_table, "no room for another next hop")                                        \
	X(no_mbuf, "packet memory of the control thread was empty")                               \
	X(exception_rate, "packet for the kernel above the port's exception_rate")                \
	X(exception_full, "packet for the kernel, whose ring or interface was full or not there") \
	X(rate_limited, "answer suppressed by a rate limit")

enum dp_drop {
#define X(name, text) DP_DROP_##name,
	DP_DROPS(X)
#undef X
		DP_DROP_COUNT,
	DP_DROP_NONE = DP_DROP_COUNT, // nothing was dropped
};

// Names and texts in the order of the enum; "dp_drop_<name>".
extern const char *const dp_drop_name[DP_DROP_COUNT];
extern const char *const dp_drop_text[DP_DROP_COUNT];
