// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A frame as the control thread takes it: Ethernet, ARP, IP, UDP, ICMP, neighbour discovery, and
// the answers. What is answered must itself be good.
#include "dataplane/local.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

static bool in_use(void *ctx, const struct ip_addr *a)
{
	return a->bytes[3] & 1;
}

static const struct ip_prefix own[2] = {
	{{IP_V4, {192, 0, 2, 1}}, 24},
	{{IP_V6, {0x20, 0x01, 0x0d, 0xb8, 0, 1, [15] = 1}}, 64},
};

static const struct local_port port = {
	.mac = {{2, 0, 0, 0, 1, 1}},
	.addresses = own,
	.address_count = 2,
	.proxy = true,
	.in_use = in_use,
};

static void check_frame(const struct wr *w)
{
	struct pkt_eth eth;
	struct pkt_arp arp;
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	must(!w->overflow);
	if (w->len == 0)
		return;
	must(pkt_parse_eth((struct view){w->base, w->len}, &eth) == DP_DROP_NONE);
	if (eth.type == ETH_TYPE_ARP)
		must(pkt_parse_arp(eth.payload, &arp) == DP_DROP_NONE);
	else
		must(pkt_parse_ip(eth.payload, &ip) == DP_DROP_NONE &&
			pkt_parse_icmp(&ip, &icmp) == DP_DROP_NONE);
}

static void check_packet(const struct wr *w)
{
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	must(!w->overflow);
	must(pkt_parse_ip((struct view){w->base, w->len}, &ip) == DP_DROP_NONE);
	must(pkt_parse_icmp(&ip, &icmp) == DP_DROP_NONE);
}

static void take_icmp(const struct pkt_eth *eth, const struct pkt_ip *ip)
{
	static uint8_t buf[65600];
	struct wr w = wr_of(buf, sizeof(buf));
	struct pkt_icmp icmp;
	struct pkt_nd nd;
	struct pkt_quote quote;
	if (pkt_parse_icmp(ip, &icmp) != DP_DROP_NONE)
		return;
	if (pkt_parse_quote(ip, &icmp, &quote) == DP_DROP_NONE) {
		must(!quote.seq_set || quote.spi);
		must(!quote.spi || quote.proto == IP_PROTO_ESP || quote.proto == IP_PROTO_UDP);
		must(quote.src.family == ip->family && quote.dst.family == ip->family);
	}
	if (local_echo(ip, &icmp, &w) == DP_DROP_NONE)
		check_packet(&w);
	w.len = 0;
	if (pkt_parse_nd(ip, &icmp, &nd) == DP_DROP_NONE &&
		local_nd(&port, &eth->src, ip, &nd, &w) == DP_DROP_NONE)
		check_frame(&w);
}

static void take_ip(const struct pkt_eth *eth)
{
	static uint8_t buf[IPV6_MTU_MIN];
	struct wr w = wr_of(buf, sizeof(buf));
	struct pkt_ip ip;
	struct pkt_udp udp;
	if (pkt_parse_ip(eth->payload, &ip) != DP_DROP_NONE)
		return;
	must(ip.whole.len <= eth->payload.len && ip.payload.len <= ip.whole.len);
	must(ip.payload.p + ip.payload.len <= eth->payload.p + eth->payload.len);
	if (ip.proto == IP_PROTO_UDP && !ip.fragment && pkt_parse_udp(&ip, &udp) == DP_DROP_NONE)
		must(udp.payload.len <= ip.payload.len);
	if (ip.proto == (ip.family == IP_V4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6))
		take_icmp(eth, &ip);
	if (local_icmp_error(LOCAL_TOO_BIG, ip.ttl, &own[ip.family == IP_V6].addr, &ip, &w) ==
		DP_DROP_NONE)
		check_packet(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct pkt_eth eth;
	struct pkt_arp arp;
	if (pkt_parse_eth((struct view){data, len}, &eth) != DP_DROP_NONE)
		return 0;
	if (pkt_parse_arp(eth.payload, &arp) == DP_DROP_NONE &&
		local_arp(&port, &arp, &w) == DP_DROP_NONE)
		check_frame(&w);
	take_ip(&eth);
	return 0;
}
