// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/clock.h"
#include "dataplane/local.h"
#include "tests/dataplane/packets.h"

#define VIEW(a) ((struct view){a, sizeof(a)})

static struct ip_addr client; // the inner address that a tunnel has

static bool in_use(void *ctx, const struct ip_addr *a)
{
	return ip_eq(a, &client);
}

static struct ip_prefix own[2];

static struct local_port port(bool proxy)
{
	assert_int_equal(ip_prefix_parse("192.0.2.1/24", true, &own[0]), 0);
	assert_int_equal(ip_prefix_parse("2001:db8:1::1/64", true, &own[1]), 0);
	return (struct local_port){
		.mac = {{0x02, 0, 0, 0, 1, 1}},
		.addresses = own,
		.address_count = 2,
		.proxy = proxy,
		.in_use = in_use,
	};
}

static void check(const struct wr *w, struct view wanted)
{
	assert_false(w->overflow);
	assert_int_equal(w->len, wanted.len);
	assert_memory_equal(w->base, wanted.p, wanted.len);
}

static enum dp_drop ask_arp(const struct local_port *p, const struct pkt_arp *arp, struct wr *w)
{
	w->len = 0;
	return local_arp(p, arp, w);
}

static void arp(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct local_port p = port(false);
	struct pkt_eth eth;
	struct pkt_arp a;
	assert_int_equal(pkt_parse_eth(VIEW(arp_request), &eth), DP_DROP_NONE);
	assert_int_equal(pkt_parse_arp(eth.payload, &a), DP_DROP_NONE);
	assert_int_equal(ask_arp(&p, &a, &w), DP_DROP_NONE);
	check(&w, VIEW(arp_reply_wanted));

	struct pkt_arp probe = a, foreign = a, reply = a, group = a, source = a, gratuitous = a;
	probe.sender = ip_from_v4(0);
	assert_int_equal(ask_arp(&p, &probe, &w), DP_DROP_NONE);
	assert_int_equal(w.len, sizeof(arp_reply_wanted));
	foreign.target = ip_from_v4(0xc0000209);
	assert_int_equal(ask_arp(&p, &foreign, &w), DP_DROP_arp_foreign);
	reply.op = ARP_REPLY;
	assert_int_equal(ask_arp(&p, &reply, &w), DP_DROP_NONE);
	assert_int_equal(w.len, 0);
	gratuitous.target = gratuitous.sender;
	assert_int_equal(ask_arp(&p, &gratuitous, &w), DP_DROP_NONE);
	assert_int_equal(w.len, 0);
	group.sender_mac.bytes[0] = 0x01;
	assert_int_equal(ask_arp(&p, &group, &w), DP_DROP_arp);
	source.sender = ip_from_v4(0xe0000001);
	assert_int_equal(ask_arp(&p, &source, &w), DP_DROP_arp);
}

static void proxy_arp(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct local_port off = port(false), on = port(true);
	struct pkt_arp a = {
		.op = ARP_REQUEST,
		.sender_mac = {{2, 0, 0, 0, 0, 0xaa}},
		.sender = ip_from_v4(0xc0000207),
		.target = ip_from_v4(0xc0000232),
	};
	client = ip_from_v4(0xc0000232);
	assert_int_equal(ask_arp(&off, &a, &w), DP_DROP_arp_foreign);
	assert_int_equal(ask_arp(&on, &a, &w), DP_DROP_NONE);
	assert_int_equal(w.len, 42);
	a.target = ip_from_v4(0xc0000233); // of no tunnel
	assert_int_equal(ask_arp(&on, &a, &w), DP_DROP_arp_foreign);
}

static enum dp_drop solicit(const struct local_port *p, struct view frame, struct wr *w)
{
	struct pkt_eth eth;
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_nd nd;
	w->len = 0;
	assert_int_equal(pkt_parse_eth(frame, &eth), DP_DROP_NONE);
	assert_int_equal(pkt_parse_ip(eth.payload, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_nd(&ip, &icmp, &nd), DP_DROP_NONE);
	return local_nd(p, &eth.src, &ip, &nd, w);
}

static void nd(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct local_port p = port(false);
	assert_int_equal(solicit(&p, VIEW(ns), &w), DP_DROP_NONE);
	check(&w, VIEW(na_wanted));
	assert_int_equal(solicit(&p, VIEW(dad), &w), DP_DROP_NONE);
	check(&w, VIEW(dad_wanted));
	own[1].addr.bytes[15] = 2;
	assert_int_equal(solicit(&p, VIEW(ns), &w), DP_DROP_arp_foreign);
}

static void proxy_nd(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct local_port on = port(true);
	client = own[1].addr;
	own[1].addr.bytes[15] = 2;
	assert_int_equal(solicit(&on, VIEW(ns), &w), DP_DROP_NONE);
	assert_int_equal(w.len, sizeof(na_wanted));
	assert_int_equal(buf[58] & 0x20, 0);    // no override in a proxy's answer
	assert_int_equal(buf[58] & 0x40, 0x40); // solicited
}

static enum dp_drop echo(struct view packet, struct wr *w)
{
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	w->len = 0;
	assert_int_equal(pkt_parse_ip(packet, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	return local_echo(&ip, &icmp, w);
}

static void echoes(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	assert_int_equal(echo(VIEW(echo4), &w), DP_DROP_NONE);
	check(&w, VIEW(echo4_wanted));
	assert_int_equal(echo(VIEW(echo6), &w), DP_DROP_NONE);
	check(&w, VIEW(echo6_wanted));
	// A reply is no request.
	assert_int_equal(echo(VIEW(echo4_wanted), &w), DP_DROP_icmp);
	assert_int_equal(echo(VIEW(echo6_wanted), &w), DP_DROP_icmp);
	// A wrong checksum is not answered.
	uint8_t bad[sizeof(echo4)];
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	memcpy(bad, echo4, sizeof(bad));
	bad[30] ^= 1;
	assert_int_equal(pkt_parse_ip(VIEW(bad), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_icmp_checksum);
}

static void errors(void **state)
{
	uint8_t buf[1300];
	struct wr w = wr_of(buf, sizeof(buf));
	struct pkt_ip ip;
	struct ip_addr src = ip_from_v4(0x0a630001);
	assert_int_equal(pkt_parse_ip(VIEW(tcp4), &ip), DP_DROP_NONE);
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 1400, &src, &ip, &w), DP_DROP_NONE);
	check(&w, VIEW(too_big4_wanted));
	w.len = 0;
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 522, &src, &ip, &w), DP_DROP_NONE);
	assert_int_equal(buf[26] << 8 | buf[27], 522); // what a path of 576 leaves
	w.len = 0;
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 67, &src, &ip, &w), DP_DROP_NONE);
	assert_int_equal(buf[26] << 8 | buf[27], 68); // never less
	w.len = 0;
	assert_int_equal(local_icmp_error(LOCAL_TIME_EXCEEDED, 0, &src, &ip, &w), DP_DROP_NONE);
	assert_int_equal(buf[20], ICMP_TIME_EXCEEDED);
	// About errors, later fragments and groups: none.
	struct pkt_ip about = ip;
	about.offset = 8;
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 1400, &src, &about, &w), DP_DROP_icmp);
	about = ip;
	about.src = ip_from_v4(0xe0000001);
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 1400, &src, &about, &w), DP_DROP_icmp);
	assert_int_equal(pkt_parse_ip(VIEW(quote4), &ip), DP_DROP_NONE);
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 1400, &src, &ip, &w), DP_DROP_icmp);
	struct ip_addr src6 = own[1].addr;
	assert_int_equal(pkt_parse_ip(VIEW(quote6), &ip), DP_DROP_NONE);
	assert_int_equal(local_icmp_error(LOCAL_TOO_BIG, 1400, &src6, &ip, &w), DP_DROP_icmp);
}

static void error_about_a_long_packet(void **state)
{
	uint8_t buf[1300], big[4000] = {0x60};
	struct wr w = wr_of(buf, sizeof(buf));
	struct pkt_ip ip, back;
	struct pkt_icmp icmp;
	struct local_port p = port(false);
	big[4] = (sizeof(big) - 40) >> 8;
	big[5] = (uint8_t)(sizeof(big) - 40);
	big[6] = 6;
	big[7] = 64;
	memcpy(big + 8, own[1].addr.bytes, 16);
	memcpy(big + 24, own[1].addr.bytes, 16);
	assert_int_equal(pkt_parse_ip(VIEW(big), &ip), DP_DROP_NONE);
	assert_int_equal(
		local_icmp_error(LOCAL_TOO_BIG, 900, &p.addresses[1].addr, &ip, &w), DP_DROP_NONE);
	assert_int_equal(w.len, IPV6_MTU_MIN);
	assert_int_equal(pkt_parse_ip((struct view){buf, w.len}, &back), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&back, &icmp), DP_DROP_NONE);
	assert_int_equal(icmp.rest, IPV6_MTU_MIN);
}

static void announce(void **state)
{
	uint8_t buf[128];
	struct wr w = wr_of(buf, sizeof(buf));
	struct local_port p = port(true);
	struct pkt_eth eth;
	struct pkt_arp a;
	struct ip_addr addr = ip_from_v4(0xc0000232);
	local_announce(&p, &addr, &w);
	assert_int_equal(pkt_parse_eth((struct view){buf, w.len}, &eth), DP_DROP_NONE);
	assert_int_equal(eth.dst.bytes[0], 0xff);
	assert_int_equal(pkt_parse_arp(eth.payload, &a), DP_DROP_NONE);
	assert_true(ip_eq(&a.sender, &addr) && ip_eq(&a.target, &addr));
	w.len = 0;
	local_announce(&p, &own[1].addr, &w);
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_nd n;
	assert_int_equal(pkt_parse_eth((struct view){buf, w.len}, &eth), DP_DROP_NONE);
	assert_int_equal(pkt_parse_ip(eth.payload, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_nd(&ip, &icmp, &n), DP_DROP_NONE);
	assert_true(n.override && !n.solicited && n.mac_set);
	assert_memory_equal(n.mac.bytes, p.mac.bytes, 6);
}

static void rate(void **state)
{
	struct local_rate r = {.per_s = 100, .burst = 10};
	uint64_t now = 5 * NS_PER_S;
	unsigned passed = 0;
	for (unsigned i = 0; i < 50; i++)
		passed += local_rate_pass(&r, now);
	assert_int_equal(passed, 10);
	passed = 0;
	for (unsigned i = 0; i < 1000; i++) // one second, a try each millisecond
		passed += local_rate_pass(&r, now += NS_PER_MS);
	assert_int_equal(passed, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp),
		cmocka_unit_test(proxy_arp),
		cmocka_unit_test(nd),
		cmocka_unit_test(proxy_nd),
		cmocka_unit_test(echoes),
		cmocka_unit_test(errors),
		cmocka_unit_test(error_about_a_long_packet),
		cmocka_unit_test(announce),
		cmocka_unit_test(rate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
