// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Tunnel mode in every combination of address families and encapsulations, with one worker and with
// two, where each packet arrives at the tunnel's worker and at the other one.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include <stdio.h>

#define SIZES 5

// By family: IPv4, IPv6.
static const char *const peers[2] = {"198.51.100.7", "2001:db8:2::7"};
static const char *const inners[2] = {"10.1.0.2", "2001:db8:77::2"};
static const char *const hosts[2] = {"10.99.0.5", "2001:db8:99::5"};

struct combination {
	bool outer6, inner6;
	enum sa_encap encap;
	unsigned workers, owner;
};

static struct tunnel_path path_of(const struct combination *c)
{
	const char *peer = peers[c->outer6];
	return c->encap == SA_ENCAP_UDP_MARKER ? fx_path_marked(peer, 500)
	       : c->encap == SA_ENCAP_UDP      ? fx_path(peer, 41234)
					       : fx_path(peer, 0);
}

static size_t inner_packet(uint8_t *p, const struct combination *c, bool inbound, size_t payload)
{
	const char *a = inners[c->inner6], *b = hosts[c->inner6];
	const char *src = inbound ? a : b, *dst = inbound ? b : a;
	return c->inner6 ? fx_ipv6(p, src, dst, PROTO_UDP, payload)
			 : fx_ipv4(p, src, dst, PROTO_UDP, payload);
}

static void child(const struct combination *c, struct sa_spec *in, struct sa_spec *out)
{
	struct tunnel_path path = path_of(c);
	uint32_t t = fx_tunnel_on(c->owner, inners[c->inner6], &path);
	fx_child(t, c->owner, ENCR_AES_GCM_16, 128, 0, inners[c->inner6], in, out);
}

// Where ESP begins in what left; everything before it is looked at.
static size_t outer_ok(const struct combination *c, const uint8_t *p, size_t len)
{
	size_t at = c->outer6 ? IP6_HDR : IP4_HDR;
	struct tunnel_path path = path_of(c);
	size_t n = ip_len(path.remote.addr.family);
	assert_memory_equal(p + at - 2 * n, path.local.addr.bytes, n);
	assert_memory_equal(p + at - n, path.remote.addr.bytes, n);
	assert_int_equal(c->outer6 ? get_be16(p + 4) + IP6_HDR : get_be16(p + 2), len);
	assert_int_equal(p[c->outer6 ? 6 : 9], c->encap ? PROTO_UDP : PROTO_ESP);
	if (!c->outer6)
		assert_int_equal(ip_fold(ip_sum(p, IP4_HDR)), 0xffff);
	if (!c->encap)
		return at;
	assert_int_equal(get_be16(p + at), path.local.port);
	assert_int_equal(get_be16(p + at + 2), path.remote.port);
	assert_int_equal(get_be16(p + at + 4), len - at);
	fx_udp_sum_ok(p, at, len);
	at += UDP_HDR;
	if (c->encap == SA_ENCAP_UDP_MARKER)
		assert_int_equal(get_be64(p + at), 0);
	return at + (c->encap == SA_ENCAP_UDP_MARKER ? NON_IKE_MARKER : 0);
}

static void out_one(
	const struct combination *c, const struct sa_spec *spec, uint64_t seq, size_t payload)
{
	uint8_t p[2048], got[2048], plain[2048];
	size_t n = inner_packet(p, c, false, payload);
	fx_input(FX_INSIDE, p, n);
	fx_run();
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > n);
	size_t at = outer_ok(c, got, len);
	assert_int_equal(get_be32(got + at), FX_PEER_SPI);
	assert_int_equal(get_be32(got + at + 4), seq);
	size_t text = oracle_open(spec, 0, got + at, len - at, plain);
	assert_true(text > n);
	ip_hop(p, p[0] >> 4);
	assert_memory_equal(plain, p, n);
	assert_int_equal(plain[text - 1], c->inner6 ? PROTO_IPV6 : 4);
}

static void input_esp(const struct combination *c, const uint8_t *esp, size_t len)
{
	if (c->encap == SA_ENCAP_UDP_MARKER)
		fx_input_marked(peers[c->outer6], 500, esp, len);
	else
		fx_input_esp(peers[c->outer6], c->encap ? 41234 : 0, 0, esp, len);
}

static void in_one(
	const struct combination *c, const struct sa_spec *spec, uint64_t seq, size_t payload)
{
	uint8_t p[2048], esp[2048], got[2048];
	size_t n = inner_packet(p, c, true, payload);
	input_esp(c, esp, oracle_wrap(spec, seq, p, n, c->inner6 ? PROTO_IPV6 : 4, esp));
	fx_run();
	assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), n);
	ip_hop(p, p[0] >> 4);
	assert_memory_equal(got, p, n);
}

static void both_ways(const struct combination *c)
{
	static const size_t sizes[SIZES] = {8, 9, 63, 512, 1300};
	struct sa_spec in, out;
	fx_start(c->workers, NIC_HASH_NONE, NIC_HASH_NONE);
	child(c, &in, &out);
	for (unsigned i = 0; i < SIZES; i++) {
		in_one(c, &in, i + 1, sizes[i]);
		out_one(c, &out, i + 1, sizes[i]);
	}
	for (unsigned why = 0; why < DP_DROP_COUNT; why++)
		assert_int_equal(fx_drops(why), 0);
	fx_stop();
}

static void every_combination(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 36; i++) {
		struct combination c = {
			.outer6 = i & 1,
			.inner6 = i & 2,
			.encap = (enum sa_encap)(i / 4 % 3),
			.workers = i / 12 ? 2 : 1,
			.owner = i / 12 == 2,
		};
		both_ways(&c);
	}
}

// ---- UDP's checksum ----

// RFC 3948 2.1: "receivers MUST NOT depend on the UDP checksum being a zero value". It is not looked at: what it covers the ICV covers, and a NAT that has not
// repaired it does no harm.
static void checksums_of_udp(void **state)
{
	(void)state;
	enum { ZERO, GOOD, BAD, KINDS };
	for (unsigned i = 0; i < 2 * KINDS; i++) {
		struct combination c = {.outer6 = i & 1, .encap = SA_ENCAP_UDP, .workers = 1};
		struct sa_spec in, out;
		uint8_t esp[512], p[512], got[512], inner[128];
		fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
		child(&c, &in, &out);
		size_t n = inner_packet(inner, &c, true, 64);
		size_t len = oracle_wrap(&in, 1, inner, n, 4, esp) + UDP_HDR;
		size_t at = c.outer6 ? IP6_HDR : IP4_HDR;
		const char *ours = c.outer6 ? "2001:db8:1::1" : "192.0.2.1";
		(void)(c.outer6 ? fx_ipv6(p, peers[1], ours, PROTO_UDP, len)
				: fx_ipv4(p, peers[0], ours, PROTO_UDP, len));
		struct ip_addr src = fx_ip(peers[c.outer6]), dst = fx_ip(ours);
		set_be16(p + at, 41234);
		set_be16(p + at + 2, 4500);
		set_be16(p + at + 4, (uint16_t)len);
		set_be16(p + at + 6, 0);
		memcpy(p + at + UDP_HDR, esp, len - UDP_HDR);
		uint32_t sum = pkt_sum_pseudo(&src, &dst, PROTO_UDP, (uint32_t)len);
		if (i / 2 != ZERO)
			set_be16(p + at + 6, pkt_sum_fold(pkt_sum(sum, p + at, len)));
		if (i / 2 == BAD)
			p[at + 6] ^= 0x55;
		fx_input(FX_OUTSIDE, p, at + len);
		fx_run();
		assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), n);
		// What damages the packet itself is counted where it is found.
		p[at + len - 1] ^= 1;
		p[at + UDP_HDR + 7] = 2; // the next number
		fx_input(FX_OUTSIDE, p, at + len);
		fx_run();
		assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), 0);
		assert_int_equal(fx_drops(DP_DROP_esp_auth), 1);
		fx_stop();
	}
}

// ---- Size ----

// The largest inner packet of each combination fills the path's MTU; one byte more is told.
static void the_largest_packet(void **state)
{
	(void)state;
	static const size_t encaps[3] = {0, 8, 16};
	for (unsigned i = 0; i < 12; i++) {
		struct combination c = {
			.outer6 = i & 1, .inner6 = i & 2, .encap = i / 4, .workers = 1};
		struct sa_spec in, out;
		uint8_t p[2048], got[2048];
		fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
		child(&c, &in, &out);
		// Outer header, encapsulation, ESP and IV, ICV; whole words, of them two bytes trailer.
		size_t room = 1500 - (c.outer6 ? 40u : 20u) - encaps[i / 4] - 16 - 16;
		size_t most = room / 4 * 4 - 2, head = c.inner6 ? 40 : 20;
		for (unsigned more = 0; more < 2; more++) {
			size_t n = inner_packet(p, &c, false, most - head + more);
			if (!c.inner6) { // not to be cut
				p[6] = 0x40;
				set_be16(p + 10, 0);
				set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
			}
			fx_input(FX_INSIDE, p, n);
		}
		fx_run();
		assert_in_range(fx_output(FX_OUTSIDE, got, sizeof(got)), 1497, 1500);
		assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
		assert_int_equal(fx_drops(DP_DROP_too_big), 1);
		fx_stop();
	}
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination),
		cmocka_unit_test(checksums_of_udp),
		cmocka_unit_test(the_largest_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
