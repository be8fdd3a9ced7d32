// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "dataplane/pkt.h"
#include "tests/dataplane/packets.h"

#include <stdlib.h>

#define VIEW(a) ((struct view){a, sizeof(a)})

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static void ipv4_and_udp(void **state)
{
	struct pkt_ip ip;
	struct pkt_udp udp;
	struct ip_addr src = addr("198.51.100.7"), dst = addr("192.0.2.1");
	assert_int_equal(pkt_parse_ip(VIEW(ike500), &ip), DP_DROP_NONE);
	assert_true(ip_eq(&ip.src, &src) && ip_eq(&ip.dst, &dst));
	assert_int_equal(ip.proto, IP_PROTO_UDP);
	assert_int_equal(ip.ttl, 64);
	assert_false(ip.fragment || ip.options || ip.df);
	assert_int_equal(pkt_parse_udp(&ip, &udp), DP_DROP_NONE);
	assert_int_equal(udp.src_port, 500);
	assert_int_equal(udp.payload.len, 28);
	assert_int_equal(udp.payload.p[27], 27);
}

static void ipv6_extensions(void **state)
{
	struct pkt_ip ip;
	struct pkt_udp udp;
	assert_int_equal(pkt_parse_ip(VIEW(ext6), &ip), DP_DROP_NONE);
	assert_true(ip.options);
	assert_int_equal(ip.proto, IP_PROTO_UDP);
	assert_int_equal(ip.head.len, IPV6_HDR_LEN + 16);
	assert_int_equal(pkt_parse_udp(&ip, &udp), DP_DROP_NONE);
	assert_int_equal(udp.payload.len, 2);
	assert_int_equal(pkt_parse_ip(VIEW(rh6), &ip), DP_DROP_ip_extensions);
}

// Every prefix of a good packet is refused, and reads nothing behind its end (sanitizers watch the
// exact-size copy).
static void every_truncation(void **state)
{
	const struct view all[] = {
		VIEW(ike500), VIEW(ike4500v6), VIEW(ext6), VIEW(echo4), VIEW(echo6)};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		for (size_t len = 0; len < all[i].len; len++) {
			uint8_t *copy = malloc(len + !len);
			struct pkt_ip ip;
			memcpy(copy, all[i].p, len);
			assert_int_not_equal(
				pkt_parse_ip((struct view){copy, len}, &ip), DP_DROP_NONE);
			free(copy);
		}
}

static void flipped_bits(void **state)
{
	uint8_t p[sizeof(ike500)];
	unsigned accepted = 0;
	for (size_t bit = 0; bit < sizeof(p) * 8; bit++) {
		struct pkt_ip ip;
		struct pkt_udp udp;
		memcpy(p, ike500, sizeof(p));
		p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (pkt_parse_ip(VIEW(p), &ip) == DP_DROP_NONE &&
			pkt_parse_udp(&ip, &udp) == DP_DROP_NONE)
			accepted++;
	}
	// Two checksums cover every bit: no single one can be wrong unnoticed.
	assert_int_equal(accepted, 0);
}

struct patch_case {
	const char *what;
	struct view base;
	size_t at;
	uint8_t value;
	bool fix; // IPv4 header checksum made right again
	enum dp_drop ip, upper;
};

static void patched(void **state)
{
	static const struct patch_case cases[] = {
		{"version 5", VIEW(ike500), 0, 0x55, false, DP_DROP_ip_header, 0},
		{"IHL 4", VIEW(ike500), 0, 0x44, false, DP_DROP_ip_header, 0},
		{"total below header", VIEW(ike500), 3, 19, true, DP_DROP_ip_header, 0},
		{"total beyond frame", VIEW(ike500), 3, 57, true, DP_DROP_ip_truncated, 0},
		{"checksum", VIEW(ike500), 10, 0xff, false, DP_DROP_ip_checksum, 0},
		{"udp length short", VIEW(ike500), 25, 7, false, DP_DROP_NONE, DP_DROP_udp},
		{"udp length long", VIEW(ike500), 25, 37, false, DP_DROP_NONE, DP_DROP_udp},
		{"udp checksum", VIEW(ike500), 26, 0x55, false, DP_DROP_NONE, DP_DROP_udp_checksum},
		{"udp payload", VIEW(ike500), 30, 0x55, false, DP_DROP_NONE, DP_DROP_udp_checksum},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct patch_case *c = &cases[i];
		uint8_t p[128];
		struct pkt_ip ip;
		struct pkt_udp udp;
		memcpy(p, c->base.p, c->base.len);
		p[c->at] = c->value;
		if (c->fix) {
			p[10] = p[11] = 0;
			uint16_t sum = pkt_sum_fold(pkt_sum(0, p, 20));
			p[10] = (uint8_t)(sum >> 8);
			p[11] = (uint8_t)sum;
		}
		print_message("# %s\n", c->what);
		assert_int_equal(pkt_parse_ip((struct view){p, c->base.len}, &ip), c->ip);
		if (c->ip == DP_DROP_NONE)
			assert_int_equal(pkt_parse_udp(&ip, &udp), c->upper);
	}
}

static void udp_without_checksum(void **state)
{
	uint8_t v4[sizeof(ike500)], v6[sizeof(ike4500v6)];
	struct pkt_ip ip;
	struct pkt_udp udp;
	memcpy(v4, ike500, sizeof(v4));
	v4[26] = v4[27] = 0;
	assert_int_equal(pkt_parse_ip(VIEW(v4), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_udp(&ip, &udp), DP_DROP_NONE);
	memcpy(v6, ike4500v6, sizeof(v6));
	v6[46] = v6[47] = 0;
	assert_int_equal(pkt_parse_ip(VIEW(v6), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_udp(&ip, &udp), DP_DROP_udp_checksum);
}

static void many_extension_headers(void **state)
{
	uint8_t p[IPV6_HDR_LEN + 8 * 12] = {0x60};
	struct pkt_ip ip;
	p[5] = 8 * 12;
	p[6] = 60;
	for (unsigned i = 0; i < 12; i++)
		p[IPV6_HDR_LEN + 8 * i] = 60;
	assert_int_equal(pkt_parse_ip(VIEW(p), &ip), DP_DROP_ip_extensions);
}

static void quotes(void **state)
{
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_quote q;
	struct ip_addr peer = addr("198.51.100.7");
	assert_int_equal(pkt_parse_ip(VIEW(quote4), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_quote(&ip, &icmp, &q), DP_DROP_NONE);
	assert_true(q.too_big && q.mtu == 1400 && q.spi == 0xc0ffee01 && ip_eq(&q.dst, &peer));
	assert_true(q.seq_set && q.seq == 5 && q.total == 1500);
	assert_int_equal(pkt_parse_ip(VIEW(quote6), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_quote(&ip, &icmp, &q), DP_DROP_NONE);
	assert_true(q.too_big && q.mtu == 1300 && q.spi == 0xc0ffee02 && q.src_port == 4500);
	assert_true(q.seq_set && q.seq == 5 && q.total == 1440);
	assert_int_equal(pkt_parse_ip(VIEW(echo4), &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(pkt_parse_quote(&ip, &icmp, &q), DP_DROP_icmp);
	ip.fragment = true;
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_icmp_fragment);
}

// What an error quotes of ESP in UDP, whole or cut short.
static void quoted_spis(void **state)
{
	static const struct {
		uint16_t port;
		uint64_t first; // eight bytes behind the UDP header
		size_t len;     // of the quote behind that header
		uint32_t spi;
		bool seq; // and the sequence number, 1
	} rows[] = {
		{4500, 0xc0ffee0200000001, 8, 0xc0ffee02, true},
		{4500, 0xc0ffee0200000001, 7, 0xc0ffee02, false},
		{4500, 0xc0ffee0200000001, 4, 0xc0ffee02, false},
		{4500, 0xc0ffee0200000001, 3, 0, false},
		{500, 0, 12, 0xabcdef01, false},
		{500, 0, 16, 0xabcdef01, true},
		{500, 0, 11, 0, false},
		{500, 0, 8, 0, false},
		{500, 1, 16, 0, false}, // IKE
		{501, 0, 16, 0, false},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t body[64];
		struct wr w = wr_of(body, sizeof(body));
		struct pkt_ip_head h = {.src = addr("192.0.2.1"),
			.dst = addr("198.51.100.7"),
			.proto = IP_PROTO_UDP,
			.ttl = 1};
		pkt_build_ip(&w, &h, 200);
		wr_u16(&w, rows[i].port);
		wr_u16(&w, 61000);
		wr_u32(&w, 0);
		wr_u64(&w, rows[i].first);
		wr_u64(&w, 0xabcdef0100000001);
		struct pkt_ip ip = {.family = IP_V4};
		struct pkt_icmp icmp = {.type = ICMP_UNREACHABLE,
			.code = ICMP_FRAG_NEEDED,
			.body = {body, IPV4_HDR_LEN + UDP_HDR_LEN + rows[i].len}};
		struct pkt_quote q;
		assert_false(w.overflow);
		assert_int_equal(pkt_parse_quote(&ip, &icmp, &q), DP_DROP_NONE);
		assert_int_equal(q.src_port, rows[i].port);
		assert_int_equal(q.spi, rows[i].spi);
		assert_int_equal(q.seq_set, rows[i].seq);
		assert_true(!q.seq_set || q.seq == 1);
	}
}

// Of our own IPv6 fragments (frag.c) the first one shows what it carries.
static void quoted_ipv6_fragments(void **state)
{
	static const struct {
		uint16_t offset; // as in the header
		uint8_t next;
		enum dp_drop why;
	} rows[] = {{1, IP_PROTO_ESP, DP_DROP_NONE}, {0, IP_PROTO_ESP, DP_DROP_NONE},
		{9, IP_PROTO_ESP, DP_DROP_icmp_malformed},
		{0xfff9, IP_PROTO_ESP, DP_DROP_icmp_malformed}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t body[96];
		struct wr w = wr_of(body, sizeof(body));
		struct pkt_ip_head h = {.src = addr("2001:db8:1::1"),
			.dst = addr("2001:db8:5::1"),
			.proto = IPV6_FRAGMENT,
			.ttl = 1};
		pkt_build_ip(&w, &h, 1460);
		wr_u8(&w, rows[i].next);
		wr_u8(&w, 0);
		wr_u16(&w, rows[i].offset);
		wr_u32(&w, 77);
		wr_u32(&w, 0xc0ffee01);
		wr_u32(&w, 9);
		struct pkt_ip ip = {.family = IP_V6};
		struct pkt_icmp icmp = {.type = ICMP6_TOO_BIG, .rest = 1400, .body = {body, w.len}};
		struct pkt_quote q;
		assert_int_equal(pkt_parse_quote(&ip, &icmp, &q), rows[i].why);
		if (rows[i].why == DP_DROP_NONE)
			assert_true(q.proto == IP_PROTO_ESP && q.spi == 0xc0ffee01 && q.seq == 9 &&
				    q.total == 1500);
	}
}

static void arp_forms(void **state)
{
	static const struct {
		size_t at; // in the ARP message
		uint8_t value;
	} bad[] = {{1, 6}, {2, 0x86}, {4, 8}, {5, 16}, {7, 3}, {7, 0}};
	struct pkt_eth eth;
	struct pkt_arp arp;
	assert_int_equal(pkt_parse_eth(VIEW(arp_request), &eth), DP_DROP_NONE);
	assert_int_equal(pkt_parse_arp(eth.payload, &arp), DP_DROP_NONE);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t p[28];
		memcpy(p, eth.payload.p, sizeof(p));
		p[bad[i].at] = bad[i].value;
		assert_int_equal(pkt_parse_arp(VIEW(p), &arp), DP_DROP_arp);
	}
	for (size_t len = 0; len < 28; len++)
		assert_int_equal(
			pkt_parse_arp((struct view){eth.payload.p, len}, &arp), DP_DROP_arp);
}

// A neighbour solicitation with one field changed and its checksum made right.
static enum dp_drop nd_with(const uint8_t *frame, size_t len, size_t at, uint8_t value)
{
	uint8_t p[128];
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	struct pkt_nd nd;
	memcpy(p, frame + ETH_HDR_LEN, len -= ETH_HDR_LEN);
	p[at] = value;
	p[42] = p[43] = 0;
	struct ip_addr src = ip_from_bytes(IP_V6, p + 8), dst = ip_from_bytes(IP_V6, p + 24);
	uint32_t n = (uint32_t)len - 40;
	uint16_t sum = pkt_sum_fold(pkt_sum(pkt_sum_pseudo(&src, &dst, 58, n), p + 40, n));
	p[42] = (uint8_t)(sum >> 8);
	p[43] = (uint8_t)sum;
	assert_int_equal(pkt_parse_ip((struct view){p, len}, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	return pkt_parse_nd(&ip, &icmp, &nd);
}

static void nd_validity(void **state)
{
	assert_int_equal(nd_with(ns, sizeof(ns), 7, 255), DP_DROP_NONE);
	assert_int_equal(nd_with(ns, sizeof(ns), 7, 254), DP_DROP_nd);   // hop limit
	assert_int_equal(nd_with(ns, sizeof(ns), 41, 1), DP_DROP_nd);    // code
	assert_int_equal(nd_with(ns, sizeof(ns), 48, 0xff), DP_DROP_nd); // multicast target
	assert_int_equal(nd_with(ns, sizeof(ns), 65, 0), DP_DROP_nd);    // option of length 0
	assert_int_equal(nd_with(ns, sizeof(ns), 65, 2), DP_DROP_nd);    // beyond the end
	assert_int_equal(nd_with(dad, sizeof(dad), 7, 255), DP_DROP_NONE);
	assert_int_equal(nd_with(dad, sizeof(dad), 39, 2), DP_DROP_nd); // :: to another group
	assert_int_equal(nd_with(na_wanted, sizeof(na_wanted), 7, 255), DP_DROP_NONE);
	assert_int_equal(nd_with(na_wanted, sizeof(na_wanted), 24, 0xff), DP_DROP_nd);
}

static void sums(void **state)
{
	// RFC 1071 3: the example's words sum to ddf2.
	static const uint8_t words[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};
	assert_int_equal(pkt_sum_fold(pkt_sum(0, words, sizeof(words))), (uint16_t)~0xddf2);
	assert_int_equal(pkt_sum_fold(pkt_sum(0, words, 1)), 0xffff);
	assert_int_equal(pkt_sum_fold(pkt_sum(0, words + 2, 1)), (uint16_t)~0xf200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ipv4_and_udp),
		cmocka_unit_test(ipv6_extensions),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(flipped_bits),
		cmocka_unit_test(patched),
		cmocka_unit_test(udp_without_checksum),
		cmocka_unit_test(many_extension_headers),
		cmocka_unit_test(quotes),
		cmocka_unit_test(quoted_spis),
		cmocka_unit_test(quoted_ipv6_fragments),
		cmocka_unit_test(arp_forms),
		cmocka_unit_test(nd_validity),
		cmocka_unit_test(sums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
