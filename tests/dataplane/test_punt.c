// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Whole packets through the control thread's side: what workers punt goes in, what is injected,
// handed to IKE or told to the workers is recorded here in their place.
#include "tests/cmocka_all.h"

#include "dataplane/punt.h"
#include "tests/dataplane/packets.h"

#include <rte_eal.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define VIEW(a) ((struct view){a, sizeof(a)})

enum way { WAY_FRAME, WAY_INNER };

struct sent {
	enum way way;
	uint16_t port;
	enum cfg_role side;
	size_t len;
	uint8_t bytes[DP_PACKET_MAX];
};

static struct sent sent[64];
static unsigned sent_count;
static struct dp_neigh published[16];
static unsigned published_count;
static struct ike_datagram got;
static uint8_t got_bytes[DATAGRAM_MAX];
static unsigned got_count;
static struct ip_addr client;
static uint64_t fake_now = 1000 * NS_PER_S;

static void record(enum way way, uint16_t port, enum cfg_role side, struct rte_mbuf *m)
{
	struct sent *s = &sent[sent_count++ % 64];
	*s = (struct sent){.way = way, .port = port, .side = side, .len = m->data_len};
	assert_int_equal(m->nb_segs, 1);
	assert_true(m->data_len <= sizeof(s->bytes));
	memcpy(s->bytes, rte_pktmbuf_mtod(m, void *), m->data_len);
	rte_pktmbuf_free(m);
}

// ---- In place of the workers' side ----

struct rte_mbuf *dp_ctl_alloc(struct dp *d, size_t len)
{
	struct rte_mbuf *m =
		len <= DP_PACKET_MAX ? rte_pktmbuf_alloc(d->punt_pool[DP_RING_REST]) : NULL;
	if (m)
		memset(dp_meta(m), 0, sizeof(struct dp_meta));
	return m;
}

void dp_inject(struct dp *d, uint16_t port, struct rte_mbuf *m)
{
	record(WAY_FRAME, port, 0, m);
}

void dp_inject_inner(struct dp *d, enum cfg_role side, struct rte_mbuf *m)
{
	record(WAY_INNER, 0, side, m);
}

void dp_neigh_publish(struct dp *d, const struct dp_neigh *n)
{
	published[published_count++ % 16] = *n;
}

bool dp_dst_is_outer(const struct dp *d, const struct ip_addr *a)
{
	(void)d;
	return false;
}

bool dp_dst_in_use(const struct dp *d, const struct ip_addr *a)
{
	return ip_eq(a, &client);
}

bool dp_dst_guarded(const struct dp *d, const struct ip_addr *a)
{
	return dp_dst_in_use(d, a);
}

void dp_trace_control_drop(struct dp *d, struct rte_mbuf *m, enum dp_drop why)
{
	fail_msg("no trace runs");
}

static struct pkt_quote reported;
static unsigned report_count;

void dp_pmtu_report(struct dp *d, const struct pkt_quote *q)
{
	reported = *q;
	report_count++;
}

// ---- Seams ----

static void ike_input(void *ctx, const struct ike_datagram *dg)
{
	got = *dg;
	memcpy(got_bytes, dg->bytes.p, dg->bytes.len);
	got.bytes.p = got_bytes;
	got_count++;
}

static uint64_t now_ns(void *ctx)
{
	return fake_now;
}

static const struct clock_source fake_clock = {.now_ns = now_ns};

static struct dp dp;
static struct cfg cfg;
static struct cfg_port ports[2];
static struct ip_prefix outside_addrs[2], inside_addrs[2];
static struct ip_addr gateways[1];
static struct rte_mempool *pool;

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static int setup(void **state)
{
	static const uint8_t macs[2][6] = {{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}};
	assert_int_equal(ip_prefix_parse("192.0.2.1/24", true, &outside_addrs[0]), 0);
	assert_int_equal(ip_prefix_parse("2001:db8:1::1/64", true, &outside_addrs[1]), 0);
	assert_int_equal(ip_prefix_parse("10.99.0.1/24", true, &inside_addrs[0]), 0);
	assert_int_equal(ip_prefix_parse("2001:db8:99::1/64", true, &inside_addrs[1]), 0);
	gateways[0] = addr("192.0.2.254");
	ports[0] = (struct cfg_port){.name = "outside",
		.role = CFG_OUTSIDE,
		.addresses = outside_addrs,
		.address_count = 2,
		.gateways = gateways,
		.gateway_count = 1};
	ports[1] = (struct cfg_port){.name = "inside",
		.role = CFG_INSIDE,
		.addresses = inside_addrs,
		.address_count = 2,
		.proxy_arp = true};
	cfg = (struct cfg){.ports = ports, .port_count = 2};
	memset(&dp, 0, sizeof(dp));
	dp.cfg = &cfg;
	dp.seams = (struct dp_seams){
		.ike_input = ike_input, .clock = &fake_clock, .random = &random_system};
	dp.port_count = 2;
	for (uint16_t i = 0; i < 2; i++) {
		dp.ports[i] = (struct dp_port){
			.index = i, .cfg = &ports[i], .role = ports[i].role, .mtu = 1500};
		memcpy(dp.ports[i].mac.addr_bytes, macs[i], 6);
	}
	dp.punt_pool[DP_RING_REST] = pool;
	dp.now_ns = fake_now;
	sent_count = published_count = got_count = 0;
	client = (struct ip_addr){0};
	assert_int_equal(dp_routes_build(&cfg, &dp.routes), 0);
	assert_int_equal(dp_local_init(&dp), 0);
	return 0;
}

static int teardown(void **state)
{
	dp_local_fini(&dp);
	dp_routes_free(&dp.routes);
	assert_int_equal(rte_mempool_in_use_count(pool), 0); // nothing lost, whatever happened
	return 0;
}

static struct rte_mbuf *buf(const void *bytes, size_t len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	assert_non_null(m);
	memset(dp_meta(m), 0, sizeof(struct dp_meta));
	memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
	return m;
}

static void punt(enum dp_punt_class kind, uint16_t port, uint32_t tunnel, struct view v)
{
	struct rte_mbuf *m = buf(v.p, v.len);
	dp_meta(m)->kind = (uint8_t)kind;
	dp_meta(m)->port = port;
	dp_meta(m)->tunnel = tunnel;
	dp_meta(m)->worker = 1;
	dp_meta(m)->mtu = 1400;
	dp_punt_input(&dp, m);
}

static uint8_t framed[2048];

// An IP packet with an Ethernet header from the neighbour.
static struct view frame(struct view ip)
{
	static const uint8_t head[12] = {2, 0, 0, 0, 1, 1, 2, 0, 0, 0, 0, 0xaa};
	memcpy(framed, head, 12);
	framed[12] = ip.p[0] >> 4 == 4 ? 0x08 : 0x86;
	framed[13] = ip.p[0] >> 4 == 4 ? 0x00 : 0xdd;
	memcpy(framed + 14, ip.p, ip.len);
	return (struct view){framed, ip.len + 14};
}

static void check_sent(unsigned i, enum way way, uint16_t port, struct view wanted)
{
	assert_true(sent_count > i);
	assert_int_equal(sent[i].way, way);
	assert_int_equal(sent[i].port, port);
	assert_int_equal(sent[i].len, wanted.len);
	assert_memory_equal(sent[i].bytes, wanted.p, wanted.len);
}

// ---- Tests ----

static void arp_and_nd(void **state)
{
	punt(DP_PUNT_ARP, 0, 0, VIEW(arp_request));
	check_sent(0, WAY_FRAME, 0, VIEW(arp_reply_wanted));
	punt(DP_PUNT_ND, 0, 0, VIEW(ns));
	check_sent(1, WAY_FRAME, 0, VIEW(na_wanted));
	punt(DP_PUNT_ND, 0, 0, VIEW(dad));
	check_sent(2, WAY_FRAME, 0, VIEW(dad_wanted));
	// The same questions on the other port are not for it.
	punt(DP_PUNT_ARP, 1, 0, VIEW(arp_request));
	punt(DP_PUNT_ND, 1, 0, VIEW(ns));
	assert_int_equal(sent_count, 3);
	assert_int_equal(dp.drops[DP_DROP_arp_foreign], 2);
	// And a proxy answers for what a tunnel has.
	client = addr("192.0.2.1");
	punt(DP_PUNT_ARP, 1, 0, VIEW(arp_request));
	assert_int_equal(sent_count, 4);
	assert_int_equal(sent[3].port, 1);
	// Neighbour discovery out of a tunnel is none.
	punt(DP_PUNT_LOCAL, 1, 7, (struct view){ns + 14, sizeof(ns) - 14});
	assert_int_equal(sent_count, 4);
	assert_int_equal(dp.drops[DP_DROP_nd], 1);
}

static void echo(void **state)
{
	punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(echo4)));
	check_sent(0, WAY_INNER, 0, VIEW(echo4_wanted));
	assert_int_equal(sent[0].side, CFG_OUTSIDE);
	punt(DP_PUNT_LOCAL, 1, 7, VIEW(echo6)); // from inside a tunnel
	check_sent(1, WAY_INNER, 0, VIEW(echo6_wanted));
	assert_int_equal(sent[1].side, CFG_INSIDE);
	uint8_t bad[sizeof(echo4)];
	memcpy(bad, echo4, sizeof(bad));
	bad[sizeof(bad) - 1] ^= 1;
	punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(bad)));
	assert_int_equal(dp.drops[DP_DROP_icmp_checksum], 1);
	punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(echo4_wanted)));
	assert_int_equal(dp.drops[DP_DROP_icmp], 1);
	punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(quote4)));
	assert_int_equal(report_count, 1);
	assert_true(reported.spi == 0xc0ffee01 && reported.seq_set && reported.seq == 5 &&
		    reported.mtu == 1400 && reported.total == 1500);
	punt(DP_PUNT_LOCAL, 1, 0, frame(VIEW(quote4))); // from the inside nobody can know
	punt(DP_PUNT_LOCAL, 1, 7, VIEW(quote4));
	assert_int_equal(dp.drops[DP_DROP_icmp_error], 2);
	assert_int_equal(report_count, 1);
	punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(tcp4)));
	assert_int_equal(dp.drops[DP_DROP_local_proto], 1);
	assert_int_equal(sent_count, 2);
	// A flood finds the limit, and it is counted.
	for (unsigned i = 0; i < 3000; i++)
		punt(DP_PUNT_LOCAL, 0, 0, frame(VIEW(echo4)));
	assert_int_equal(dp.drops[DP_DROP_rate_limited], 3000 - (1000 - 2));
}

static void ike_in(void **state)
{
	punt(DP_PUNT_IKE_NEW, 0, 0, frame(VIEW(ike500)));
	assert_int_equal(got_count, 1);
	struct ip_addr peer = addr("198.51.100.7"), own = addr("192.0.2.1");
	assert_true(ip_eq(&got.remote.addr, &peer) && ip_eq(&got.local.addr, &own));
	assert_int_equal(got.remote.port, 500);
	assert_int_equal(got.origin.port, 0);
	assert_int_equal(got.origin.worker, 1);
	assert_int_equal(got.bytes.len, 28);
	assert_int_equal(got_bytes[27], 27);
	punt(DP_PUNT_IKE_KNOWN, 0, 0, frame(VIEW(ike4500v6)));
	assert_int_equal(got_count, 2);
	assert_int_equal(got.bytes.len, 28); // without the marker
	assert_int_equal(got_bytes[0], 0);
	assert_int_equal(got_bytes[1], 1);
	// Out of a tunnel there is no IKE.
	punt(DP_PUNT_LOCAL, 1, 7, VIEW(ike500));
	assert_int_equal(got_count, 2);
	assert_int_equal(dp.drops[DP_DROP_local_proto], 1);
}

// A UDP datagram to 192.0.2.1 with the payload, in one packet or in two fragments.
static size_t udp_to(uint16_t port, uint8_t *out, const void *payload, size_t len)
{
	struct endpoint src = {addr("198.51.100.7"), port}, dst = {addr("192.0.2.1"), port};
	struct wr w = wr_of(out, 2048);
	struct pkt_ip_head h = {.src = src.addr, .dst = dst.addr, .proto = 17, .ttl = 64};
	pkt_build_ip(&w, &h, 8 + len);
	pkt_build_udp(&w, &src, &dst, (struct view){0}, (struct view){payload, len});
	assert_false(w.overflow);
	return w.len;
}

static size_t udp4500(uint8_t *out, const void *payload, size_t len)
{
	return udp_to(4500, out, payload, len);
}

static void odd_payloads(void **state)
{
	static const uint8_t ff[40] = {0xff, 0xff, 0xff, 0xff}, zero[40];
	static const struct {
		const uint8_t *p;
		size_t len;
		enum dp_drop why;
	} cases[] = {
		{ff, 1, DP_DROP_keepalive},
		{ff, 0, DP_DROP_ike_short},
		{ff, 2, DP_DROP_ike_short},
		{ff, 3, DP_DROP_ike_short},
		{ff, 40, DP_DROP_ike_marker},
		{zero, 4, DP_DROP_ike_short},
		{zero, 31, DP_DROP_ike_short},
	};
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint8_t packet[2048];
		uint64_t before = dp.drops[cases[i].why];
		size_t len = udp4500(packet, cases[i].p, cases[i].len);
		punt(DP_PUNT_IKE_NEW, 0, 0, frame((struct view){packet, len}));
		assert_int_equal(dp.drops[cases[i].why], before + 1);
	}
	assert_int_equal(got_count, 0);
}

// Cut an IPv4 packet behind the given payload offset.
static void punt_in_two(const uint8_t *packet, size_t len, size_t at, bool swapped)
{
	for (unsigned i = 0; i < 2; i++) {
		bool first = (i == 0) != swapped;
		size_t from = first ? 0 : at, n = first ? at : len - 20 - at;
		uint8_t f[2048];
		memcpy(f, packet, 20);
		memcpy(f + 20, packet + 20 + from, n);
		f[2] = (uint8_t)((20 + n) >> 8);
		f[3] = (uint8_t)(20 + n);
		f[6] = (uint8_t)((first ? 0x20 : 0) | from / 8 >> 8);
		f[7] = (uint8_t)(from / 8);
		f[10] = f[11] = 0;
		uint16_t sum = pkt_sum_fold(pkt_sum(0, f, 20));
		f[10] = (uint8_t)(sum >> 8);
		f[11] = (uint8_t)sum;
		punt(DP_PUNT_FRAGMENT, 0, 0, frame((struct view){f, 20 + n}));
	}
}

static void fragments(void **state)
{
	uint8_t payload[1000] = {0}, packet[2048];
	for (size_t i = 4; i < sizeof(payload); i++)
		payload[i] = (uint8_t)i;
	size_t len = udp4500(packet, payload, sizeof(payload));
	punt_in_two(packet, len, 512, false);
	assert_int_equal(got_count, 1);
	assert_int_equal(got.bytes.len, 996);
	assert_memory_equal(got_bytes, payload + 4, 996);
	punt_in_two(packet, len, 64, true);
	assert_int_equal(got_count, 2);
	// ESP is put together at the workers, and has no business here.
	payload[0] = 0xc0;
	len = udp4500(packet, payload, sizeof(payload));
	punt_in_two(packet, len, 512, false);
	assert_int_equal(got_count, 2);
	assert_int_equal(dp.drops[DP_DROP_ike_marker], 1);
	packet[9] = IP_PROTO_ESP;
	punt_in_two(packet, len, 512, false);
	assert_int_equal(dp.drops[DP_DROP_outer_fragment], 2);
	packet[9] = IP_PROTO_UDP;
	// Half a datagram is forgotten in time.
	punt(DP_PUNT_FRAGMENT, 0, 0, frame((struct view){packet, len}));
	uint8_t half[2048];
	memcpy(half, packet, len);
	half[6] = 0x20;
	half[10] = half[11] = 0;
	uint16_t sum = pkt_sum_fold(pkt_sum(0, half, 20));
	half[10] = (uint8_t)(sum >> 8);
	half[11] = (uint8_t)sum;
	punt(DP_PUNT_FRAGMENT, 0, 0, frame((struct view){half, len}));
	assert_int_equal(dp_local_next_ns(&dp), fake_now + reasm_limits_default.timeout_ns);
	assert_int_equal(dp_local_tick(&dp, fake_now + reasm_limits_default.timeout_ns), 1);
	assert_int_equal(dp.drops[DP_DROP_fragment_timeout], 1);
}

static bool punt_part(void *ctx, const struct ike_io_packet *p)
{
	uint8_t f[2048];
	memcpy(f, p->head.p, p->head.len);
	memcpy(f + p->head.len, p->body.p, p->body.len);
	punt(DP_PUNT_LOCAL, 1, *(uint32_t *)ctx, (struct view){f, p->head.len + p->body.len});
	return true;
}

// A request of 3000 bytes in fragments through a tunnel, and the reply's, put together here.
static void large_echo_of(const char *host, const char *gateway)
{
	static uint8_t body[3000], whole[DATAGRAM_MAX], reply[4096];
	uint32_t tunnel = 7;
	size_t len = 0, ip_len;
	for (size_t i = 0; i < sizeof(body); i++)
		body[i] = (uint8_t)(i * 5);
	struct pkt_ip_head h = {.src = addr(host), .dst = addr(gateway), .ttl = 64};
	bool v4 = h.src.family == IP_V4;
	h.proto = v4 ? IP_PROTO_ICMP : IP_PROTO_ICMPV6;
	struct pkt_icmp icmp = {.type = v4 ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST,
		.rest = 0x12340007,
		.body = VIEW(body)};
	struct wr w = wr_of(whole, sizeof(whole));
	pkt_build_icmp(&w, &h, &icmp);
	ip_len = v4 ? IPV4_HDR_LEN : IPV6_HDR_LEN;
	unsigned before = sent_count;
	assert_int_equal(ike_io_cut(&h, (struct view){whole + ip_len, w.len - ip_len}, 1400, 99,
				 punt_part, &tunnel),
		DP_DROP_NONE);
	assert_int_equal(sent_count, before + 3);
	struct pkt_ip ip;
	for (unsigned i = before; i < sent_count; i++) {
		assert_int_equal(sent[i].way, WAY_INNER);
		assert_true(sent[i].len <= 1280);
		struct view v = {sent[i].bytes, sent[i].len};
		assert_int_equal(pkt_parse_ip(v, &ip), DP_DROP_NONE);
		assert_true(ip.fragment && ip.offset == len && ip.more == (i + 1 < sent_count));
		memcpy(reply + len, ip.payload.p, ip.payload.len);
		len += ip.payload.len;
	}
	assert_true(ip_eq(&ip.src, &h.dst) && ip_eq(&ip.dst, &h.src));
	ip.fragment = false;
	ip.payload = (struct view){reply, len};
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(icmp.type, v4 ? ICMP_ECHO_REPLY : ICMP6_ECHO_REPLY);
	assert_int_equal(icmp.rest, 0x12340007);
	assert_int_equal(icmp.body.len, sizeof(body));
	assert_memory_equal(icmp.body.p, body, sizeof(body));
}

static void large_echo(void **state)
{
	large_echo_of("192.0.2.7", "192.0.2.1");
	large_echo_of("2001:db8:1::7", "2001:db8:1::1");
	// From the outside in clear only IKE and ESP are put together.
	uint8_t part[sizeof(echo4)];
	memcpy(part, echo4, sizeof(part));
	part[6] = 0x20;
	part[10] = part[11] = 0;
	uint16_t sum = pkt_sum_fold(pkt_sum(0, part, 20));
	part[10] = (uint8_t)(sum >> 8);
	part[11] = (uint8_t)sum;
	punt(DP_PUNT_FRAGMENT, 0, 0, frame(VIEW(part)));
	assert_int_equal(dp.drops[DP_DROP_outer_fragment], 1);
}

// The neighbour's ARP reply to our question, made out of the vector.
static struct view arp_answer(const char *from)
{
	static uint8_t reply[sizeof(arp_request)];
	struct ip_addr a = addr(from);
	memcpy(reply, arp_request, sizeof(reply));
	memcpy(reply, (const uint8_t[]){2, 0, 0, 0, 1, 1}, 6);
	reply[21] = 2;
	memcpy(reply + 28, a.bytes, 4);
	memcpy(reply + 32, (const uint8_t[]){2, 0, 0, 0, 1, 1, 192, 0, 2, 1}, 10);
	return VIEW(reply);
}

static void unresolved(void **state)
{
	struct rte_mbuf *m = buf(tcp4, sizeof(tcp4));
	*dp_meta(m) = (struct dp_meta){
		.kind = DP_PUNT_UNRESOLVED, .port = 0, .next_hop = addr("192.0.2.7")};
	dp_punt_input(&dp, m);
	assert_int_equal(sent_count, 1); // who has 192.0.2.7, tell 192.0.2.1
	struct pkt_eth eth;
	struct pkt_arp arp;
	assert_int_equal(
		pkt_parse_eth((struct view){sent[0].bytes, sent[0].len}, &eth), DP_DROP_NONE);
	assert_int_equal(eth.dst.bytes[0], 0xff);
	assert_int_equal(pkt_parse_arp(eth.payload, &arp), DP_DROP_NONE);
	struct ip_addr target = addr("192.0.2.7"), source = addr("192.0.2.1");
	assert_true(ip_eq(&arp.target, &target) && ip_eq(&arp.sender, &source));
	punt(DP_PUNT_ARP, 0, 0, arp_answer("192.0.2.7"));
	assert_int_equal(published_count, 1);
	assert_true(published[0].valid && ip_eq(&published[0].addr, &target));
	assert_int_equal(published[0].mac.addr_bytes[5], 0xaa);
	assert_int_equal(sent_count, 2);
	assert_int_equal(sent[1].len, sizeof(tcp4) + 14);
	assert_memory_equal(sent[1].bytes,
		((const uint8_t[]){2, 0, 0, 0, 0, 0xaa, 2, 0, 0, 0, 1, 1, 8, 0}), 14);
	assert_memory_equal(sent[1].bytes + 14, tcp4, sizeof(tcp4));
	// An answer that nobody asked for teaches nothing.
	punt(DP_PUNT_ARP, 0, 0, arp_answer("192.0.2.8"));
	assert_int_equal(published_count, 1);
	assert_int_equal(dp.drops[DP_DROP_arp_unasked], 1);
	// Nor does another host's claim to our own address.
	punt(DP_PUNT_ARP, 0, 0, arp_answer("192.0.2.1"));
	assert_int_equal(published_count, 1);
	assert_int_equal(dp.drops[DP_DROP_arp_foreign], 1);
}

static void unresolved_v6(void **state)
{
	struct rte_mbuf *m = buf(echo6, sizeof(echo6));
	*dp_meta(m) = (struct dp_meta){
		.kind = DP_PUNT_UNRESOLVED, .port = 0, .next_hop = addr("2001:db8:1::7")};
	dp_punt_input(&dp, m);
	assert_int_equal(sent_count, 1);
	struct pkt_eth eth;
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_nd nd;
	struct view f = {sent[0].bytes, sent[0].len};
	assert_int_equal(pkt_parse_eth(f, &eth), DP_DROP_NONE);
	assert_memory_equal(eth.dst.bytes, ((const uint8_t[]){0x33, 0x33, 0xff, 0, 0, 7}), 6);
	assert_int_equal(pkt_parse_ip(eth.payload, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_nd(&ip, &icmp, &nd), DP_DROP_NONE);
	assert_true(nd.mac_set);
	// The asker's own source option answers, for we wanted to know (RFC 4861 7.2.3).
	punt(DP_PUNT_ND, 0, 0, VIEW(ns));
	assert_int_equal(published_count, 1);
	assert_int_equal(sent_count, 3); // the packet that waited, and our advertisement
	assert_int_equal(sent[1].bytes[12], 0x86);
}

static struct ike_datagram datagram(size_t len)
{
	static uint8_t bytes[4000];
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	return (struct ike_datagram){
		.local = {addr("192.0.2.1"), 500},
		.remote = {addr("198.51.100.7"), 500},
		.bytes = {bytes, len},
	};
}

static void ike_out(void **state)
{
	struct ike_datagram dg = datagram(3000);
	dp_send(&dp, &dg);
	assert_int_equal(sent_count, 1); // ARP for the gateway
	assert_int_equal(dp.local ? neigh_usage(dp.local->neigh).waiting : 0, 3);
	punt(DP_PUNT_ARP, 0, 0, arp_answer("192.0.2.254"));
	assert_int_equal(sent_count, 4);
	// What arrives at the other end is one datagram.
	for (unsigned i = 1; i < 4; i++) {
		assert_true(sent[i].len <= 1500 + 14);
		assert_int_equal(sent[i].bytes[5], 0xaa);
	}
	dg.bytes.len = 28;
	dp_send(&dp, &dg);
	assert_int_equal(sent_count, 5);
	assert_int_equal(sent[4].len, 14 + 20 + 8 + 28);
	// No way there.
	dg.remote.addr = addr("2001:db8:2::1");
	dg.local.addr = addr("2001:db8:1::1");
	dp_send(&dp, &dg);
	assert_int_equal(dp.drops[DP_DROP_no_route], 1);
	dg.origin.port = 9;
	dp_send(&dp, &dg);
	assert_int_equal(dp.drops[DP_DROP_no_route], 2);
}

static void too_big(void **state)
{
	punt(DP_PUNT_TOO_BIG, 1, 0, VIEW(tcp4));
	check_sent(0, WAY_INNER, 0, VIEW(too_big4_wanted));
	punt(DP_PUNT_TTL, 1, 7, VIEW(tcp4));
	assert_int_equal(sent_count, 2);
	assert_int_equal(sent[1].bytes[20], ICMP_TIME_EXCEEDED);
	// One sender gets so many and no more.
	for (unsigned i = 0; i < 100; i++)
		punt(DP_PUNT_TOO_BIG, 1, 0, VIEW(tcp4));
	assert_int_equal(sent_count, 10);
	assert_int_equal(dp.drops[DP_DROP_rate_limited], 92);
	// About what we sent ourselves there is nobody to tell.
	punt(DP_PUNT_TOO_BIG, 1, 0, VIEW(echo4_wanted));
	assert_int_equal(sent_count, 10);
	assert_int_equal(dp.drops[DP_DROP_too_big], 0); // the worker has counted it
}

// 64 and more segments of one byte.
static void chains(void **state)
{
	struct view f = frame(VIEW(echo4));
	struct rte_mbuf *head = buf(f.p, 1);
	for (size_t i = 1; i < f.len; i++)
		assert_int_equal(rte_pktmbuf_chain(head, buf(f.p + i, 1)), 0);
	dp_meta(head)->kind = DP_PUNT_LOCAL;
	dp_punt_input(&dp, head);
	check_sent(0, WAY_INNER, 0, VIEW(echo4_wanted));
	// One that cannot be made linear: its first segment has no room left.
	uint8_t full[DP_PACKET_MAX] = {0};
	head = buf(full, DP_PACKET_MAX);
	(void)rte_pktmbuf_append(head, rte_pktmbuf_tailroom(head));
	assert_int_equal(rte_pktmbuf_chain(head, buf(f.p, 1)), 0);
	dp_punt_input(&dp, head);
	assert_int_equal(dp.drops[DP_DROP_chained], 1);
}

static void announce(void **state)
{
	struct ip_addr there = addr("10.99.0.77"), elsewhere = addr("171.72.1.1");
	dp_local_announce(&dp, &there);
	assert_int_equal(sent_count, 1);
	assert_int_equal(sent[0].port, 1);
	dp_local_announce(&dp, &elsewhere); // nobody there looks for it on the link
	assert_int_equal(sent_count, 1);
}

// ---- Own addresses, where a port comes back ----

static void ticks(uint64_t span)
{
	for (uint64_t end = fake_now + span; fake_now < end; fake_now += 10 * NS_PER_MS) {
		dp.now_ns = fake_now;
		dp_local_tick(&dp, fake_now);
	}
}

static void port_up(uint16_t port, bool up)
{
	atomic_store(&dp.ports[port].link, up);
	dp.ports[port].tx_queues = up;
}

// A gratuitous ARP request of 192.0.2.1, then an advertisement of 2001:db8:1::1, both to all.
static void check_announced(unsigned i, const uint8_t *mac)
{
	static const uint8_t arp[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1}, ip4[] = {192, 0, 2, 1};
	const uint8_t *a = sent[i].bytes, *n = sent[i + 1].bytes;
	assert_int_equal(sent[i].port, 0);
	assert_memory_equal(a, "\xff\xff\xff\xff\xff\xff", 6);
	assert_memory_equal(a + 6, mac, 6);
	assert_memory_equal(a + 12, arp, sizeof(arp));
	assert_memory_equal(a + 22, mac, 6);
	assert_memory_equal(a + 28, ip4, 4);
	assert_memory_equal(a + 38, ip4, 4);
	assert_int_equal(sent[i + 1].port, 0);
	assert_memory_equal(n, "\x33\x33\0\0\0\1", 6);
	assert_int_equal(n[54], ICMP6_NA);
	assert_int_equal(n[58], 0xa0); // router, override, not solicited
	assert_memory_equal(n + 62, addr("2001:db8:1::1").bytes, 16);
	assert_memory_equal(n + 80, mac, 6);
}

static void announces_when_back(void **state)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 1, 1}, other[6] = {2, 0, 0, 0, 1, 9};
	ticks(3 * NS_PER_S);
	assert_int_equal(sent_count, 0); // no link
	port_up(0, true);
	ticks(10 * NS_PER_MS);
	assert_int_equal(sent_count, 2);
	check_announced(0, mac);
	ticks(900 * NS_PER_MS);
	assert_int_equal(sent_count, 2);
	assert_true(dp_local_next_ns(&dp) <= fake_now + 100 * NS_PER_MS);
	ticks(10 * NS_PER_S);
	assert_int_equal(sent_count, 6); // three times, and then no more
	check_announced(4, mac);
	// A new MAC under a link that never seemed to go.
	memcpy(dp.ports[0].mac.addr_bytes, other, 6);
	ticks(10 * NS_PER_S);
	assert_int_equal(sent_count, 12);
	check_announced(10, other);
}

// A link that comes and goes all the time: no more than one a second. One that goes ends it.
static void announces_within_bounds(void **state)
{
	for (unsigned i = 0; i < 200; i++) {
		port_up(0, i % 2 == 0);
		ticks(10 * NS_PER_MS);
	}
	assert_true(sent_count >= 2 && sent_count <= 2 * 2);
	port_up(0, false);
	unsigned before = sent_count;
	ticks(5 * NS_PER_S);
	assert_int_equal(sent_count, before);
	assert_int_equal(dp_announce_next_ns(&dp), DP_NONE_NS);
	// All ports at the start; the one without link when it has one.
	sent_count = 0;
	port_up(1, true);
	ticks(4 * NS_PER_S);
	sent_count = 0;
	dp_announce_all(&dp);
	ticks(5 * NS_PER_S);
	assert_int_equal(sent_count, 6);
	assert_int_equal(sent[0].port, 1);
	port_up(0, true);
	ticks(5 * NS_PER_S);
	assert_int_equal(sent_count, 12);
	check_announced(6, dp.ports[0].mac.addr_bytes);
}

// Random damage to good packets, of every class: no crash, no buffer lost, and each packet is
// answered, handed on, kept or counted.
static void damage(void **state)
{
	const struct view good[] = {VIEW(arp_request), VIEW(ns), VIEW(dad), VIEW(na_wanted)};
	const struct view ips[] = {VIEW(echo4), VIEW(echo6), VIEW(ike500), VIEW(ike4500v6),
		VIEW(quote4), VIEW(quote6), VIEW(ext6), VIEW(rh6), VIEW(tcp4)};
	uint32_t x = 12345;
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t p[512];
		x = x * 1664525 + 1013904223;
		unsigned r = x >> 8;
		struct view v =
			r % 3 == 0 ? good[r / 3 % RTE_DIM(good)] : frame(ips[r / 3 % RTE_DIM(ips)]);
		size_t len = v.len;
		memcpy(p, v.p, len);
		for (unsigned k = 0; k < r % 4; k++) {
			x = x * 1664525 + 1013904223;
			p[(x >> 8) % len] = (uint8_t)(x >> 16);
		}
		if (r % 5 == 0)
			len = (x >> 12) % (len + 1);
		bool inner = r % 7 == 0 && len > 14;
		punt((enum dp_punt_class)(r % DP_PUNT_CLASSES), (uint16_t)(r % 3), inner ? 7 : 0,
			inner ? (struct view){p + 14, len - 14} : (struct view){p, len});
		dp.now_ns = fake_now += NS_PER_MS;
		dp_local_tick(&dp, fake_now);
	}
	uint64_t dropped = 0;
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		dropped += dp.drops[i];
	assert_true(dropped > 10000 && sent_count > 100 && got_count > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arp_and_nd, setup, teardown),
		cmocka_unit_test_setup_teardown(echo, setup, teardown),
		cmocka_unit_test_setup_teardown(ike_in, setup, teardown),
		cmocka_unit_test_setup_teardown(odd_payloads, setup, teardown),
		cmocka_unit_test_setup_teardown(fragments, setup, teardown),
		cmocka_unit_test_setup_teardown(large_echo, setup, teardown),
		cmocka_unit_test_setup_teardown(unresolved, setup, teardown),
		cmocka_unit_test_setup_teardown(unresolved_v6, setup, teardown),
		cmocka_unit_test_setup_teardown(ike_out, setup, teardown),
		cmocka_unit_test_setup_teardown(too_big, setup, teardown),
		cmocka_unit_test_setup_teardown(chains, setup, teardown),
		cmocka_unit_test_setup_teardown(announce, setup, teardown),
		cmocka_unit_test_setup_teardown(announces_when_back, setup, teardown),
		cmocka_unit_test_setup_teardown(announces_within_bounds, setup, teardown),
		cmocka_unit_test_setup_teardown(damage, setup, teardown),
	};
	char prefix[64];
	snprintf(prefix, sizeof(prefix), "--file-prefix=dpports_punt_%d", (int)getpid());
	char *argv[] = {"test_punt", "--no-huge", "--no-shconf", "--no-pci", "--no-telemetry",
		"-m64", "-l0", "--log-level=lib.*:error", prefix};
	if (rte_eal_init(RTE_DIM(argv), argv) < 0)
		return 99;
	pool = rte_pktmbuf_pool_create("punt", 511, 0,
		RTE_ALIGN_CEIL(sizeof(struct dp_meta), RTE_MBUF_PRIV_ALIGN),
		DP_PACKET_MAX + 256 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
	int failed = pool ? cmocka_run_group_tests(tests, NULL, NULL) : 99;
	rte_eal_cleanup();
	return failed;
}
