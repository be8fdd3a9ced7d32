// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/local.h"

#include "base/clock.h"

#define ND_OPT_TARGET  2
#define NA_ROUTER      0x80000000u
#define NA_SOLICITED   0x40000000u
#define NA_OVERRIDE    0x20000000u
#define IPV4_MTU_LEAST 68 // RFC 791 3.2: "Every internet module must be able to forward" so much
#define ICMP4_QUOTE    (IPV4_MTU_MIN - IPV4_HDR_LEN - 8) // RFC 1812 4.3.2.3: 576 bytes in all
#define ICMP6_QUOTE    (IPV6_MTU_MIN - IPV6_HDR_LEN - 8) // RFC 4443 3.2: the minimum MTU

enum claim { CLAIM_NONE, CLAIM_OWN, CLAIM_PROXY };

static enum claim claim(const struct local_port *p, const struct ip_addr *a)
{
	for (size_t i = 0; i < p->address_count; i++)
		if (ip_eq(&p->addresses[i].addr, a))
			return CLAIM_OWN;
	return p->proxy && p->in_use(p->ctx, a) ? CLAIM_PROXY : CLAIM_NONE;
}

enum dp_drop local_arp(const struct local_port *p, const struct pkt_arp *arp, struct wr *frame)
{
	static const struct ip_addr unspecified = {.family = IP_V4};
	bool is_probe = ip_eq(&arp->sender, &unspecified); // RFC 5227
	if (!pkt_mac_usable(&arp->sender_mac) || (!is_probe && !pkt_is_unicast(&arp->sender)))
		return DP_DROP_arp;
	if (arp->op != ARP_REQUEST)
		return DP_DROP_NONE;
	if (ip_eq(&arp->sender, &arp->target)) // an announcement asks for nothing
		return DP_DROP_NONE;
	if (claim(p, &arp->target) == CLAIM_NONE)
		return DP_DROP_arp_foreign;
	struct pkt_arp reply = {
		.op = ARP_REPLY,
		.sender_mac = p->mac,
		.sender = arp->target,
		.target_mac = arp->sender_mac,
		.target = arp->sender,
	};
	pkt_build_arp(frame, &arp->sender_mac, &reply);
	return DP_DROP_NONE;
}

static struct ip_addr all_nodes(void)
{
	return (struct ip_addr){.family = IP_V6, .bytes = {0xff, 0x02, [15] = 1}};
}

static void build_na(struct wr *frame, const struct local_port *p, const struct pkt_mac *to,
	const struct pkt_ip_head *h, uint32_t flags, const struct ip_addr *target)
{
	uint8_t body[24];
	memcpy(body, target->bytes, 16);
	body[16] = ND_OPT_TARGET;
	body[17] = 1;
	memcpy(body + 18, p->mac.bytes, 6);
	struct pkt_icmp icmp = {.type = ICMP6_NA, .rest = flags, .body = {body, sizeof(body)}};
	pkt_build_eth(frame, to, &p->mac, ETH_TYPE_IPV6);
	pkt_build_icmp(frame, h, &icmp);
}

enum dp_drop local_nd(const struct local_port *p, const struct pkt_mac *eth_src,
	const struct pkt_ip *ip, const struct pkt_nd *nd, struct wr *frame)
{
	static const struct ip_addr unspecified = {.family = IP_V6};
	if (nd->type != ICMP6_NS)
		return DP_DROP_NONE;
	enum claim c = claim(p, &nd->target);
	if (c == CLAIM_NONE)
		return DP_DROP_arp_foreign;
	bool dad = ip_eq(&ip->src, &unspecified);
	struct ip_addr group = all_nodes();
	struct pkt_mac group_mac = pkt_group_mac(&group);
	const struct pkt_mac *to = dad ? &group_mac : nd->mac_set ? &nd->mac : eth_src;
	if (!dad && !pkt_mac_usable(to))
		return DP_DROP_nd;
	// RFC 4861 7.2.4: to all nodes and not "solicited" if the asker has no address;
	// 7.2.8: "proxy advertisements ... SHOULD NOT have the Override bit set".
	uint32_t flags = NA_ROUTER | (dad ? 0 : NA_SOLICITED) | (c == CLAIM_OWN ? NA_OVERRIDE : 0);
	struct pkt_ip_head h = {
		.src = nd->target,
		.dst = dad ? group : ip->src,
		.proto = IP_PROTO_ICMPV6,
		.ttl = 255,
	};
	build_na(frame, p, to, &h, flags, &nd->target);
	return DP_DROP_NONE;
}

void local_announce(const struct local_port *p, const struct ip_addr *addr, struct wr *frame)
{
	if (addr->family == IP_V4) {
		struct pkt_arp arp = {
			.op = ARP_REQUEST,
			.sender_mac = p->mac,
			.sender = *addr,
			.target = *addr,
		};
		pkt_build_arp(frame, NULL, &arp);
		return;
	}
	struct ip_addr group = all_nodes();
	struct pkt_mac to = pkt_group_mac(&group);
	struct pkt_ip_head h = {.src = *addr, .dst = group, .proto = IP_PROTO_ICMPV6, .ttl = 255};
	build_na(frame, p, &to, &h, NA_ROUTER | NA_OVERRIDE, addr);
}

enum dp_drop local_echo(const struct pkt_ip *ip, const struct pkt_icmp *icmp, struct wr *packet)
{
	uint8_t request = ip->family == IP_V4 ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST;
	uint8_t reply = ip->family == IP_V4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY;
	if (icmp->type != request || icmp->code != 0)
		return DP_DROP_icmp;
	if (!pkt_is_unicast(&ip->src) || !pkt_is_unicast(&ip->dst))
		return DP_DROP_ip_source;
	struct pkt_ip_head h = {
		.src = ip->dst,
		.dst = ip->src,
		.proto = ip->proto,
		.ttl = LOCAL_TTL,
		.tos = ip->tos,
	};
	struct pkt_icmp answer = {.type = reply, .rest = icmp->rest, .body = icmp->body};
	pkt_build_icmp(packet, &h, &answer);
	return DP_DROP_NONE;
}

static bool deserves_error(const struct pkt_ip *about)
{
	if (about->offset != 0 || !pkt_is_unicast(&about->src) || !pkt_is_unicast(&about->dst))
		return false;
	uint8_t type = about->payload.len ? about->payload.p[0] : 0;
	if (about->family == IP_V4 && about->proto == IP_PROTO_ICMP)
		return about->payload.len && (type == ICMP_ECHO_REQUEST || type == ICMP_ECHO_REPLY);
	if (about->family == IP_V6 && about->proto == IP_PROTO_ICMPV6)
		return about->payload.len && type >= 128;
	return true;
}

enum dp_drop local_icmp_error(enum local_error what, uint16_t mtu, const struct ip_addr *src,
	const struct pkt_ip *about, struct wr *packet)
{
	if (src->family != about->family || !deserves_error(about))
		return DP_DROP_icmp;
	bool v4 = about->family == IP_V4;
	uint16_t least = v4 ? IPV4_MTU_LEAST : IPV6_MTU_MIN;
	size_t quote = v4 ? ICMP4_QUOTE : ICMP6_QUOTE;
	struct pkt_ip_head h = {
		.src = *src,
		.dst = about->src,
		.proto = v4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6,
		.ttl = LOCAL_TTL,
	};
	struct pkt_icmp icmp = {.body = about->whole};
	if (icmp.body.len > quote)
		icmp.body.len = quote;
	if (what == LOCAL_TOO_BIG) {
		icmp.type = v4 ? ICMP_UNREACHABLE : ICMP6_TOO_BIG;
		icmp.code = v4 ? ICMP_FRAG_NEEDED : 0;
		icmp.rest = mtu < least ? least : mtu;
	} else {
		icmp.type = v4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED;
	}
	pkt_build_icmp(packet, &h, &icmp);
	return DP_DROP_NONE;
}

bool local_rate_pass(struct local_rate *r, uint64_t now_ns)
{
	uint64_t one = NS_PER_S / r->per_s, most = one * r->burst;
	uint64_t gained = now_ns - r->last_ns;
	if (r->last_ns == 0 || gained > most)
		gained = most;
	r->last_ns = now_ns;
	r->credit_ns += gained;
	if (r->credit_ns > most)
		r->credit_ns = most;
	if (r->credit_ns < one)
		return false;
	r->credit_ns -= one;
	return true;
}
