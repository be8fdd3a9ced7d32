// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/punt.h"

#include "dataplane/exception.h"
#include "dataplane/port.h"
#include "dataplane/rss.h"

#include "base/htab.h"

#include <errno.h>
#include <stdlib.h>

LOG_SUBSYSTEM("punt");

#define FRAME_MAX  128          // bytes: the largest ARP or ND frame
#define ECHO_WHOLE IPV6_MTU_MIN // bytes: larger echo replies leave in fragments of this size

int dp_local_init(struct dp *d)
{
	struct dp_local_state *s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	d->local = s;
	s->resolve_rate = (struct local_rate){.per_s = 5000, .burst = 1000};
	s->echo_rate = (struct local_rate){.per_s = 10000, .burst = 1000};
	s->announce_rate = (struct local_rate){.per_s = 1000, .burst = 1000};
	for (size_t i = 0; i < RATE_SLOTS; i++)
		s->error_rate[i] = (struct local_rate){.per_s = 20, .burst = 10};
	dp_announce_init(d);
	s->conflict_log = (struct log_limit)LOG_LIMIT_DEFAULT;
	random_fill(d->seams.random, s->key, sizeof(s->key));
	random_fill(d->seams.random, &s->ip_id, sizeof(s->ip_id));
	struct neigh_seams seams = dp_neigh_seams(d);
	int rc = neigh_new(
		&neigh_limits_default, &seams, s->key, clock_now_ns(d->seams.clock), &s->neigh);
	if (rc == 0)
		rc = reasm_new(&reasm_limits_default, s->key, &s->reasm);
	if (rc == 0)
		rc = reasm_new(&reasm_limits_default, s->key, &s->inner_reasm);
	if (rc)
		dp_local_fini(d);
	return rc;
}

void dp_local_fini(struct dp *d)
{
	if (!d->local)
		return;
	neigh_free(d->local->neigh);
	reasm_free(d->local->reasm);
	reasm_free(d->local->inner_reasm);
	free(d->local);
	d->local = NULL;
}

static bool inner_in_use(void *ctx, const struct ip_addr *a)
{
	return dp_dst_in_use(ctx, a);
}

struct local_port dp_local_port(struct dp *d, uint16_t port)
{
	const struct dp_port *p = &d->ports[port];
	struct local_port l = {
		.addresses = p->cfg->addresses,
		.address_count = p->cfg->address_count,
		.proxy = p->cfg->proxy_arp,
		.in_use = inner_in_use,
		.ctx = d,
	};
	memcpy(l.mac.bytes, p->mac.addr_bytes, sizeof(l.mac.bytes));
	return l;
}

static bool is_local(const struct dp *d, const struct ip_addr *a)
{
	return dp_local_lookup(&d->routes, a->family, a->bytes) != NULL;
}

// Learn from a neighbour's words. An own address in a neighbour's mouth is a conflict.
static enum dp_drop learn(struct dp *d, const struct neigh_news *news)
{
	uint32_t suppressed;
	char text[IP_TEXT_MAX];
	if (!is_local(d, &news->addr))
		return neigh_learn(d->local->neigh, news, d->now_ns);
	if (log_limit_pass(&d->local->conflict_log, d->now_ns, &suppressed))
		log_warning("port %s: another host claims our address %s (%u more suppressed)",
			d->ports[news->port].cfg->name, ip_text(&news->addr, text), suppressed);
	return DP_DROP_arp_foreign;
}

// Send what local.c wrote, if anything. Questions about others cost neither buffer nor share.
static enum dp_drop answer(struct dp *d, uint16_t port, const struct wr *written)
{
	struct wr w;
	if (written->len == 0)
		return DP_DROP_NONE;
	if (!local_rate_pass(&d->local->resolve_rate, d->now_ns))
		return DP_DROP_rate_limited;
	struct rte_mbuf *m = dp_buf_begin(d, written->len, &w);
	if (!m)
		return DP_DROP_NONE;
	wr_bytes(&w, written->base, written->len);
	m = dp_buf_end(m, &w);
	if (m)
		dp_inject(d, port, m);
	return DP_DROP_NONE;
}

static enum dp_drop punt_arp(struct dp *d, const struct dp_meta *meta, const struct pkt_eth *eth)
{
	struct pkt_arp arp;
	uint8_t frame[FRAME_MAX];
	struct wr w = wr_of(frame, sizeof(frame));
	enum dp_drop why = pkt_parse_arp(eth->payload, &arp);
	if (why != DP_DROP_NONE)
		return why;
	struct neigh_news news = {
		.port = meta->port,
		.addr = arp.sender,
		.mac_set = true,
		.mac = arp.sender_mac,
		.override = true,
		.confirmed = arp.op == ARP_REPLY,
	};
	why = pkt_is_unicast(&arp.sender) ? learn(d, &news) : DP_DROP_NONE;
	if (arp.op == ARP_REPLY)
		return why;
	struct local_port p = dp_local_port(d, meta->port);
	why = local_arp(&p, &arp, &w);
	return why == DP_DROP_NONE ? answer(d, meta->port, &w) : why;
}

static enum dp_drop punt_nd(struct dp *d, const struct dp_meta *meta, const struct pkt_eth *eth,
	const struct pkt_ip *ip, const struct pkt_icmp *icmp)
{
	struct pkt_nd nd;
	uint8_t frame[FRAME_MAX];
	struct wr w = wr_of(frame, sizeof(frame));
	enum dp_drop why = pkt_parse_nd(ip, icmp, &nd);
	if (why != DP_DROP_NONE)
		return why;
	struct neigh_news news = {
		.port = meta->port,
		.addr = nd.type == ICMP6_NA ? nd.target : ip->src,
		.mac_set = nd.mac_set,
		.mac = nd.mac,
		.override = nd.type == ICMP6_NS || nd.override,
		.confirmed = nd.type == ICMP6_NA && nd.solicited,
	};
	if (nd.type == ICMP6_NA)
		return learn(d, &news);
	if (nd.mac_set)
		(void)learn(d, &news); // most askers are nobody whom we want to know
	struct local_port p = dp_local_port(d, meta->port);
	why = local_nd(&p, &eth->src, ip, &nd, &w);
	return why == DP_DROP_NONE ? answer(d, meta->port, &w) : why;
}

struct parts {
	struct dp *dp;
	enum cfg_role side;
};

static bool emit_part(void *ctx, const struct ike_io_packet *p)
{
	const struct parts *s = ctx;
	struct rte_mbuf *m = dp_buf_of(s->dp, p);
	if (m)
		dp_inject_inner(s->dp, s->side, m);
	return m != NULL;
}

// A reply that is too large for one buffer, or for some tunnel.
static enum dp_drop echo_in_parts(
	struct dp *d, enum cfg_role side, const struct pkt_ip *ip, const struct pkt_icmp *icmp)
{
	size_t head_len = ip->family == IP_V4 ? IPV4_HDR_LEN : IPV6_HDR_LEN;
	struct parts parts = {d, side};
	struct pkt_ip_head h = {.src = ip->dst,
		.dst = ip->src,
		.proto = ip->proto,
		.ttl = LOCAL_TTL,
		.tos = ip->tos};
	struct wr w = wr_of(d->local->scratch, sizeof(d->local->scratch));
	enum dp_drop why = local_echo(ip, icmp, &w);
	if (why != DP_DROP_NONE)
		return why;
	if (w.overflow)
		return DP_DROP_too_big;
	struct view payload = {w.base + head_len, w.len - head_len};
	return ike_io_cut(&h, payload, ECHO_WHOLE, dp_ip_id(d), emit_part, &parts);
}

// Only what comes in clear on an outside port can be about the outer packets. Unreachables of other
// kinds end nothing: anybody can send them (RFC 4301 6.1.1).
static enum dp_drop punt_quote(struct dp *d, const struct dp_meta *meta, const struct pkt_eth *eth,
	const struct pkt_quote *quote)
{
	bool esp = quote->proto == IP_PROTO_ESP || quote->proto == IP_PROTO_UDP;
	if (!eth || !quote->too_big || !esp || d->ports[meta->port].role != CFG_OUTSIDE)
		return DP_DROP_icmp_error;
	dp_pmtu_report(d, quote);
	return DP_DROP_NONE;
}

static enum dp_drop punt_icmp(struct dp *d, const struct dp_meta *meta, const struct pkt_eth *eth,
	const struct pkt_ip *ip)
{
	struct pkt_icmp icmp;
	struct pkt_quote quote;
	struct wr w;
	enum dp_drop why = pkt_parse_icmp(ip, &icmp);
	if (why != DP_DROP_NONE)
		return why;
	bool nd = ip->family == IP_V6 && (icmp.type == ICMP6_NS || icmp.type == ICMP6_NA);
	if (nd) // only from the link itself, never out of a tunnel
		return eth ? punt_nd(d, meta, eth, ip, &icmp) : DP_DROP_nd;
	if (pkt_parse_quote(ip, &icmp, &quote) == DP_DROP_NONE)
		return punt_quote(d, meta, eth, &quote);
	if (!is_local(d, &ip->dst))
		return DP_DROP_icmp;
	if (!local_rate_pass(&d->local->echo_rate, d->now_ns))
		return DP_DROP_rate_limited;
	// RFC 4303 3.3.4: transport mode is for whole datagrams.
	bool parts = IPV6_HDR_LEN + 8 + icmp.body.len > ECHO_WHOLE && !dp_dst_is_outer(d, &ip->src);
	if (parts)
		return echo_in_parts(d, eth ? d->ports[meta->port].role : CFG_INSIDE, ip, &icmp);
	struct rte_mbuf *reply = dp_buf_begin(d, IPV6_HDR_LEN + 8 + icmp.body.len, &w);
	if (!reply)
		return DP_DROP_NONE;
	why = local_echo(ip, &icmp, &w);
	reply = dp_buf_end(reply, &w);
	if (reply)
		dp_inject_inner(d, eth ? d->ports[meta->port].role : CFG_INSIDE, reply);
	return why;
}

static enum dp_drop punt_udp(struct dp *d, const struct dp_meta *meta, const struct pkt_ip *ip)
{
	struct pkt_udp udp;
	enum dp_drop why = pkt_parse_udp(ip, &udp);
	if (why != DP_DROP_NONE)
		return why;
	struct ike_datagram dg = {
		.local = {ip->dst, udp.dst_port},
		.remote = {ip->src, udp.src_port},
		.origin = {.port = meta->port, .worker = meta->worker},
	};
	why = ike_io_unwrap(udp.dst_port, udp.payload, &dg.bytes);
	if (why != DP_DROP_NONE)
		return why;
	if (!pkt_is_unicast(&ip->src) || udp.src_port == 0)
		return DP_DROP_ip_source;
	if (!is_local(d, &ip->dst))
		return DP_DROP_not_for_us;
	d->seams.ike_input(d->seams.ctx, &dg);
	return DP_DROP_NONE;
}

static enum dp_drop punt_fragment(struct dp *d, const struct dp_meta *meta,
	const struct pkt_eth *eth, const struct pkt_ip *ip)
{
	struct pkt_ip whole;
	bool done;
	bool icmp = ip->proto == (ip->family == IP_V4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6);
	if (icmp && (!eth || d->ports[meta->port].role == CFG_INSIDE)) {
		enum dp_drop refused =
			reasm_input(d->local->inner_reasm, ip, d->now_ns, &done, &whole);
		return refused == DP_DROP_NONE && done ? punt_icmp(d, meta, eth, &whole) : refused;
	}
	// ESP is put together at the workers (frag_in.c).
	if (!eth || ip->proto != IP_PROTO_UDP)
		return DP_DROP_outer_fragment;
	enum dp_drop why = reasm_input(d->local->reasm, ip, d->now_ns, &done, &whole);
	return why == DP_DROP_NONE && done ? punt_udp(d, meta, &whole) : why;
}

static enum dp_drop punt_ip(
	struct dp *d, const struct dp_meta *meta, const struct pkt_eth *eth, struct view packet)
{
	struct pkt_ip ip;
	enum dp_drop why = pkt_parse_ip(packet, &ip);
	if (why != DP_DROP_NONE)
		return why;
	if (ip.fragment)
		return punt_fragment(d, meta, eth, &ip);
	if (ip.proto == (ip.family == IP_V4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6))
		return punt_icmp(d, meta, eth, &ip);
	if (ip.proto == IP_PROTO_UDP && eth)
		return punt_udp(d, meta, &ip);
	return DP_DROP_local_proto;
}

// The address that an ICMP error to an inner sender comes from: of the port that it is on, else of
// any inside port, else any.
static const struct ip_addr *error_source(
	const struct dp *d, const struct dp_meta *meta, uint8_t family)
{
	const struct ip_addr *best = NULL;
	int best_rank = 0;
	for (uint16_t i = 0; i < d->routes.local_count; i++) {
		const struct dp_local *l = &d->routes.locals[i];
		if (l->addr.family != family)
			continue;
		int rank = 1 + (d->ports[l->port].role == CFG_INSIDE) +
			   (meta->tunnel == TUNNEL_NONE && l->port == meta->port);
		if (rank > best_rank) {
			best = &l->addr;
			best_rank = rank;
		}
	}
	return best;
}

static enum dp_drop punt_error(
	struct dp *d, const struct dp_meta *meta, enum local_error what, struct view packet)
{
	struct pkt_ip about;
	struct wr w;
	enum dp_drop why = pkt_parse_ip(packet, &about);
	if (why != DP_DROP_NONE)
		return why;
	const struct ip_addr *src = error_source(d, meta, about.family);
	// The worker has counted the packet; the gateway tells itself nothing.
	if (!src || is_local(d, &about.src))
		return DP_DROP_NONE;
	uint64_t slot = siphash(d->local->key, &about.src, sizeof(about.src)) % RATE_SLOTS;
	if (!local_rate_pass(&d->local->error_rate[slot], d->now_ns))
		return DP_DROP_rate_limited;
	struct rte_mbuf *m = dp_buf_begin(d, IPV6_MTU_MIN, &w);
	if (!m)
		return DP_DROP_NONE;
	why = local_icmp_error(what, meta->mtu, src, &about, &w);
	m = dp_buf_end(m, &w);
	if (m)
		dp_inject_inner(d, CFG_INSIDE, m);
	return why;
}

static enum dp_drop dispatch(struct dp *d, const struct dp_meta *meta, struct view bytes)
{
	struct pkt_eth eth;
	if (meta->kind == DP_PUNT_TOO_BIG)
		return punt_error(d, meta, LOCAL_TOO_BIG, bytes);
	if (meta->kind == DP_PUNT_TTL)
		return punt_error(d, meta, LOCAL_TIME_EXCEEDED, bytes);
	if (meta->tunnel != TUNNEL_NONE)
		return punt_ip(d, meta, NULL, bytes);
	enum dp_drop why = pkt_parse_eth(bytes, &eth);
	if (why != DP_DROP_NONE)
		return why;
	switch (eth.type) {
	case ETH_TYPE_ARP:
		return punt_arp(d, meta, &eth);
	case ETH_TYPE_IPV4:
	case ETH_TYPE_IPV6:
		return punt_ip(d, meta, &eth, eth.payload);
	default:
		return DP_DROP_ethertype;
	}
}

// What is the kernel's, or of use to it as well, it gets where the port has an interface for it.
static enum dp_drop take(struct dp *d, const struct dp_meta *meta, struct view bytes)
{
	if (meta->kind == DP_PUNT_EXCEPTION) {
		dp_exception_write(d, meta->port, bytes);
		return DP_DROP_NONE;
	}
	enum dp_drop why = dispatch(d, meta, bytes);
	return dp_exception_offer(d, meta, bytes, why) ? DP_DROP_NONE : why;
}

void dp_punt_input(struct dp *d, struct rte_mbuf *m)
{
	const struct dp_meta *meta = dp_meta(m);
	enum dp_drop why;
	if (meta->port >= d->port_count)
		why = DP_DROP_port_down;
	else if (meta->kind == DP_PUNT_UNRESOLVED) {
		neigh_send(d->local->neigh, meta->port, &meta->next_hop, m, d->now_ns);
		return;
	} else if (rte_pktmbuf_linearize(m))
		why = DP_DROP_chained;
	else
		why = take(d, meta,
			(struct view){
				rte_pktmbuf_mtod(m, const uint8_t *), rte_pktmbuf_data_len(m)});
	if (why == DP_DROP_NONE)
		rte_pktmbuf_free(m);
	else
		dp_control_drop(d, m, why);
}

// A device that has returned may have another MAC, as a TAP has that was made anew.
static void see_macs(struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct rte_ether_addr *seen = &d->local->mac[i];
		if (rte_is_same_ether_addr(seen, &d->ports[i].mac))
			continue;
		*seen = d->ports[i].mac;
		neigh_again(d->local->neigh, i);
	}
}

unsigned dp_local_tick(struct dp *d, uint64_t now_ns)
{
	unsigned overdue =
		reasm_expire(d->local->reasm, now_ns) + reasm_expire(d->local->inner_reasm, now_ns);
	d->drops[DP_DROP_fragment_timeout] += overdue;
	neigh_tick(d->local->neigh, now_ns);
	if (d->port_state && now_ns >= d->port_state->link_poll_ns)
		rss_judge(d);
	unsigned ports = d->port_state ? dp_ports_tick(d, now_ns) : 0;
	if (ports)
		see_macs(d);
	return overdue + ports + dp_announce_tick(d, now_ns);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t dp_local_next_ns(const struct dp *d)
{
	uint64_t at = sooner(neigh_next_ns(d->local->neigh), reasm_next_ns(d->local->reasm));
	at = sooner(at, reasm_next_ns(d->local->inner_reasm));
	at = sooner(at, dp_announce_next_ns(d));
	return d->port_state ? sooner(at, d->port_state->link_poll_ns) : at;
}
