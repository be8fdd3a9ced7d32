// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Transport mode: packets between the gateway's own address and the peer, of both families, plain and
// in UDP, with one worker and with two; what a NAT did to them; and what must not pass.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define NATT_PORT 41234

// By family: IPv4, IPv6.
static const char *const peers[2] = {"198.51.100.7", "2001:db8:2::7"};
static const char *const ours[2] = {"192.0.2.1", "2001:db8:1::1"};

// What is being tested: a child SA in transport mode with this peer.
static struct tr {
	bool v6;
	enum sa_encap encap;
	unsigned owner;
	uint32_t tunnel;
	struct sa_spec in, out;
	uint64_t seq;
} tr;

static struct tunnel_path path_of(void)
{
	return tr.encap == SA_ENCAP_UDP_MARKER ? fx_path_marked(peers[tr.v6], 500)
	       : tr.encap == SA_ENCAP_UDP      ? fx_path(peers[tr.v6], NATT_PORT)
					       : fx_path(peers[tr.v6], 0);
}

static size_t head_len(void)
{
	return tr.v6 ? IP6_HDR : IP4_HDR;
}

static uint8_t icmp_proto(void)
{
	return tr.v6 ? PROTO_ICMP6 : PROTO_ICMP;
}

static struct sa_spec spec_of(enum sa_dir dir, const struct alg_encr *e, uint16_t integ)
{
	struct sa_spec s =
		fx_spec(tr.tunnel, dir, e->id, e->fixed_key ? 0 : e->key_bits, integ, peers[tr.v6]);
	struct ip_addr own = fx_ip(ours[tr.v6]);
	s.mode = SA_TRANSPORT;
	s.ts_local[0] = selector_of_addr(&own);
	return s;
}

// Both directions from these specs, which have no SPIs yet.
static void install(void)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = path_of();
	uint32_t spi;
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)tr.owner, &path, &spi), 0);
	tr.in.child = tr.in.spi = tr.out.child = spi;
	tr.out.spi = FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &tr.in), 0);
	assert_int_equal(s->sa_add(s->ctx, &tr.out), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
	tr.seq = 0;
}

static void begin_as(bool v6, enum sa_encap encap, unsigned workers, unsigned owner)
{
	tr = (struct tr){.v6 = v6, .encap = encap, .owner = owner};
	fx_start(workers, NIC_HASH_NONE, NIC_HASH_NONE);
	struct tunnel_path path = path_of();
	tr.tunnel = fx_tunnel_on(owner, peers[v6], &path);
	tr.in = spec_of(SA_IN, alg_encr(ENCR_AES_GCM_16, 128), 0);
	tr.out = spec_of(SA_OUT, alg_encr(ENCR_AES_GCM_16, 128), 0);
}

static void begin(bool v6, enum sa_encap encap)
{
	begin_as(v6, encap, 1, 0);
	install();
}

// ---- What goes in and out ----

static void input(const uint8_t *esp, size_t len)
{
	if (tr.encap == SA_ENCAP_UDP_MARKER)
		fx_input_marked(peers[tr.v6], 500, esp, len);
	else
		fx_input_esp(peers[tr.v6], tr.encap ? NATT_PORT : 0, 0, esp, len);
}

// The peer sends a packet of this protocol.
static void peer_sends(uint8_t proto, const uint8_t *payload, size_t len)
{
	uint8_t esp[4096];
	input(esp, oracle_wrap(&tr.in, ++tr.seq, payload, len, proto, esp));
}

// The IP packet that reached the gateway itself; 0: none.
static size_t delivered(uint8_t *p)
{
	struct rte_mbuf *m;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		for (unsigned k = 0; k < fx.dp->worker_count; k++)
			fx_step(k);
	for (unsigned i = 0; i < fx.dp->worker_count; i++) {
		if (rte_ring_dequeue(fx.dp->workers[i]->punt_ring[DP_RING_REST], (void **)&m))
			continue;
		assert_int_equal(dp_meta(m)->kind, DP_PUNT_LOCAL);
		assert_int_not_equal(dp_meta(m)->tunnel, TUNNEL_NONE);
		size_t len = m->data_len;
		memcpy(p, dp_data(m), len);
		rte_pktmbuf_free(m);
		return len;
	}
	return 0;
}

// The gateway sends this packet: in front of the router of its worker, so that nothing else looks at it.
static void gateway_sends(const uint8_t *p, size_t len)
{
	struct rte_mbuf *m = dp_ctl_alloc(fx.dp, len);
	assert_non_null(m);
	uint8_t *to = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	assert_non_null(to);
	memcpy(to, p, len);
	dp_meta(m)->kind = DP_CARRY_ROUTE;
	dp_route_made(fx.dp->workers[tr.owner], m);
	dp_run_stages(fx.dp->workers[tr.owner]);
	fx_run();
}

static size_t packet(uint8_t *p, bool to_peer, uint8_t proto, size_t payload)
{
	const char *src = to_peer ? ours[tr.v6] : peers[tr.v6];
	const char *dst = to_peer ? peers[tr.v6] : ours[tr.v6];
	return tr.v6 ? fx_ipv6(p, src, dst, proto, payload) : fx_ipv4(p, src, dst, proto, payload);
}

// What left: a header of head bytes, encapsulation, ESP whose text is opened into plain. Returns its
// length without the trailer; *next as the trailer has it.
static size_t sealed(const uint8_t *p, size_t len, size_t head, uint8_t *plain, uint8_t *next)
{
	struct tunnel_path path = path_of();
	size_t at = head;
	if (tr.v6)
		assert_int_equal(get_be16(p + 4) + IP6_HDR, len);
	else
		assert_int_equal(get_be16(p + 2), len);
	if (!tr.v6)
		assert_int_equal(ip_fold(ip_sum(p, (uint32_t)head)), 0xffff);
	if (tr.encap) {
		assert_int_equal(get_be16(p + at), path.local.port);
		assert_int_equal(get_be16(p + at + 2), path.remote.port);
		assert_int_equal(get_be16(p + at + 4), len - at);
		fx_udp_sum_ok(p, at, len);
		at += UDP_HDR;
	}
	if (tr.encap == SA_ENCAP_UDP_MARKER) {
		assert_int_equal(get_be64(p + at), 0);
		at += NON_IKE_MARKER;
	}
	assert_int_equal(get_be32(p + at), FX_PEER_SPI);
	size_t text = oracle_open(&tr.out, 0, p + at, len - at, plain);
	assert_true(text >= 2);
	*next = plain[text - 1];
	size_t pad = plain[text - 2];
	assert_true(pad + 2 <= text);
	for (size_t i = 0; i < pad; i++)
		assert_int_equal(plain[text - 2 - pad + i], i + 1);
	return text - 2 - pad;
}

static void nothing_dropped(void)
{
	for (unsigned why = 0; why < DP_DROP_COUNT; why++)
		assert_int_equal(fx_drops(why), 0);
}

// ---- Every combination ----

static uint16_t sum_of(const uint8_t *p, const uint8_t *payload, size_t len, uint8_t proto)
{
	struct ip_addr src = ip_from_bytes(tr.v6 ? IP_V6 : IP_V4, p + (tr.v6 ? 8 : 12));
	struct ip_addr dst = ip_from_bytes(tr.v6 ? IP_V6 : IP_V4, p + (tr.v6 ? 24 : 16));
	bool pseudo = proto != PROTO_ICMP;
	return pkt_sum_fold(pkt_sum(
		pseudo ? pkt_sum_pseudo(&src, &dst, proto, (uint32_t)len) : 0, payload, len));
}

// An echo request of the peer, and the gateway's answer.
static void ping(size_t size)
{
	uint8_t p[2048], got[2048], plain[2048], next;
	size_t n = packet(p, false, icmp_proto(), 8 + size);
	uint8_t *icmp = p + head_len();
	icmp[0] = tr.v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
	icmp[1] = 0;
	set_be16(icmp + 2, 0);
	set_be16(icmp + 2, sum_of(p, icmp, 8 + size, icmp_proto()));
	peer_sends(icmp_proto(), icmp, 8 + size);
	fx_run();
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(len > n);
	assert_int_equal(got[tr.v6 ? 6 : 9], tr.encap ? PROTO_UDP : PROTO_ESP);
	assert_int_equal(sealed(got, len, head_len(), plain, &next), 8 + size);
	assert_int_equal(next, icmp_proto());
	assert_int_equal(plain[0], tr.v6 ? ICMP6_ECHO_REPLY : ICMP_ECHO_REPLY);
	assert_int_equal(sum_of(got, plain, 8 + size, icmp_proto()), 0);
	assert_memory_equal(plain + 4, icmp + 4, 4 + size);
	struct ip_addr to = fx_ip(peers[tr.v6]), from = fx_ip(ours[tr.v6]);
	size_t alen = ip_len(to.family);
	assert_memory_equal(got + head_len() - alen, to.bytes, alen);
	assert_memory_equal(got + head_len() - 2 * alen, from.bytes, alen);
}

static void every_combination(void **state)
{
	(void)state;
	static const size_t sizes[] = {0, 1, 2, 3, 56, 57, 500, 1000, 1200, 1380};
	for (unsigned i = 0; i < 18; i++) {
		unsigned workers = i / 6 ? 2 : 1, owner = i / 6 == 2;
		begin_as(i & 1, (enum sa_encap)(i / 2 % 3), workers, owner);
		install();
		for (size_t k = 0; k < RTE_DIM(sizes); k++)
			ping(sizes[k]);
		nothing_dropped();
		fx_stop();
	}
}

static void every_suite(void **state)
{
	(void)state;
	static const struct {
		uint16_t encr, bits, integ;
		bool esn;
	} rows[] = {{ENCR_AES_GCM_16, 256, 0, true}, {ENCR_CHACHA20_POLY1305, 256, 0, false},
		{ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96, false},
		{ENCR_AES_CBC, 256, INTEG_HMAC_SHA2_256_128, true},
		{ENCR_AES_CTR, 128, INTEG_HMAC_SHA2_512_256, false},
		{ENCR_NULL, 0, INTEG_HMAC_SHA2_256_128, true}};
	for (size_t i = 0; i < 2 * RTE_DIM(rows); i++) {
		const struct alg_encr *e = alg_encr(rows[i / 2].encr, rows[i / 2].bits);
		assert_non_null(e);
		begin_as(i & 1, SA_ENCAP_NONE, 1, 0);
		tr.in = spec_of(SA_IN, e, rows[i / 2].integ);
		tr.out = spec_of(SA_OUT, e, rows[i / 2].integ);
		tr.in.esn = tr.out.esn = rows[i / 2].esn;
		install();
		for (size_t size = 0; size < 40; size++)
			ping(size);
		nothing_dropped();
		fx_stop();
	}
}

// ---- The header ----

// Inbound: as it came, with the payload's protocol and length.
static void the_header_is_restored(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		begin(i & 1, (enum sa_encap)(i / 2));
		uint8_t want[256], got[2048];
		for (size_t size = 8; size < 40; size++) {
			size_t n = packet(want, false, PROTO_SCTP, size);
			peer_sends(PROTO_SCTP, want + head_len(), size);
			assert_int_equal(delivered(got), n);
			assert_memory_equal(got, want, n);
		}
		nothing_dropped();
		fx_stop();
	}
}

// Outbound: what a router reads stays in front, what the peer reads is encrypted (RFC 4303 3.1.1).
struct chain {
	const char *what;
	uint8_t headers[8]; // extension headers, in order, then PROTO_UDP
	unsigned in_front;  // so many of them
};

static const struct chain chains[] = {
	{"none", {PROTO_UDP}, 0},
	{"hop by hop", {IPV6_HOP_BY_HOP, PROTO_UDP}, 1},
	{"destination options", {IPV6_DST_OPTS, PROTO_UDP}, 0},
	{"routing", {IPV6_ROUTING, PROTO_UDP}, 1},
	{"options of the routing header's hops", {IPV6_DST_OPTS, IPV6_ROUTING, PROTO_UDP}, 2},
	{"atomic fragment", {IPV6_FRAGMENT, PROTO_UDP}, 1},
	{"all",
		{IPV6_HOP_BY_HOP, IPV6_DST_OPTS, IPV6_ROUTING, IPV6_FRAGMENT, IPV6_DST_OPTS,
			PROTO_UDP},
		4},
};

static void extension_headers(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * RTE_DIM(chains); i++) {
		const struct chain *c = &chains[i / 2];
		begin(true, i & 1 ? SA_ENCAP_UDP : SA_ENCAP_NONE);
		uint8_t p[256], got[512], plain[512], next;
		size_t n = packet(p, true, c->headers[0], 100), at = IP6_HDR, last = 6, k = 0;
		memset(p + at, 0, 60);
		for (; c->headers[k] != PROTO_UDP; k++, at += 8) {
			p[at] = c->headers[k + 1];
			if (c->headers[k] == IPV6_ROUTING)
				p[at + 2] = 4; // none left to visit
			else if (c->headers[k] != IPV6_FRAGMENT)
				p[at + 2] = 1; // PadN
			if (k < c->in_front)
				last = at;
		}
		size_t front = IP6_HDR + 8 * c->in_front;
		gateway_sends(p, n);
		size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
		assert_true(len > n);
		assert_int_equal(sealed(got, len, front, plain, &next), n - front);
		assert_memory_equal(plain, p + front, n - front);
		assert_int_equal(next, c->headers[c->in_front]);
		assert_int_equal(got[last], tr.encap ? PROTO_UDP : PROTO_ESP);
		got[last] = p[last];
		memcpy(got + 4, p + 4, 2);
		assert_memory_equal(got, p, front);
		fx_stop();
	}
}

static void ipv4_options(void **state)
{
	(void)state;
	begin(false, SA_ENCAP_NONE);
	uint8_t p[256], got[512], plain[512], next;
	size_t n = packet(p, true, PROTO_UDP, 40);
	p[0] = 0x47;
	memcpy(p + IP4_HDR, "\x94\x04\0\0\x01\x01\x01\0", 8); // router alert, padding
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, 28)));
	gateway_sends(p, n);
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_int_equal(sealed(got, len, 28, plain, &next), n - 28);
	assert_int_equal(next, PROTO_UDP);
	assert_memory_equal(got + 12, p + 12, 16);
	assert_memory_equal(plain, p + 28, n - 28);
	fx_stop();
}

// ---- What is not sent ----

static void refused_out(const uint8_t *p, size_t len, enum dp_drop why)
{
	uint8_t got[4096];
	uint64_t before = fx_drops(why);
	gateway_sends(p, len);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
	assert_int_equal(fx_drops(why), before + 1);
}

// RFC 4303 3.3.4: whole datagrams only. And nothing leaves whose header is not the tunnel's.
static void what_is_not_sent(void **state)
{
	(void)state;
	uint8_t p[4096];
	begin(false, SA_ENCAP_NONE);
	size_t n = packet(p, true, PROTO_UDP, 64);
	set_be16(p + 6, 0x2000);
	refused_out(p, n, DP_DROP_transport_fragment);
	set_be16(p + 6, 1);
	refused_out(p, n, DP_DROP_transport_fragment);
	n = fx_ipv4(p, "10.99.0.1", peers[0], PROTO_UDP, 64);
	refused_out(p, n, DP_DROP_no_selector);
	n = packet(p, true, PROTO_UDP, 64);
	set_be16(p + 2, (uint16_t)(n + 1));
	refused_out(p, n, DP_DROP_ip_header);
	n = packet(p, true, PROTO_UDP, 64);
	p[0] = 0x4f; // options up to byte 60
	refused_out(p, 24, DP_DROP_ip_header);
	p[0] = 0x44;
	refused_out(p, n, DP_DROP_ip_header);
	fx_stop();
	begin(true, SA_ENCAP_NONE);
	n = packet(p, true, IPV6_FRAGMENT, 64);
	memset(p + IP6_HDR, 0, 8);
	p[IP6_HDR] = PROTO_UDP;
	p[IP6_HDR + 3] = 1;
	tr.out.ts_local[0].proto = 0;
	refused_out(p, n, DP_DROP_transport_fragment);
	n = packet(p, true, IPV6_DST_OPTS, 64);
	memset(p + IP6_HDR, 0, 64);
	p[IP6_HDR + 1] = 8; // 72 bytes
	refused_out(p, n, DP_DROP_no_selector);
	n = packet(p, true, PROTO_UDP, 64);
	set_be16(p + 4, 63);
	refused_out(p, n, DP_DROP_ip_header);
	fx_stop();
}

// A selector of another local address lets the packet choose the SA, whose header it has not.
static void the_header_must_be_the_tunnels(void **state)
{
	(void)state;
	uint8_t p[256];
	struct ip_range all;
	assert_int_equal(ip_range_parse("0.0.0.0/0", &all), 0);
	begin_as(false, SA_ENCAP_NONE, 1, 0);
	tr.out.ts_local[0] = selector_of_range(&all);
	install();
	refused_out(p, fx_ipv4(p, "10.99.0.1", peers[0], PROTO_UDP, 64), DP_DROP_no_selector);
	struct ip_prefix other = fx_prefix("198.51.100.9");
	const struct sa_sink *s = &fx.dp->sa_sink;
	assert_int_equal(s->route_add(s->ctx, tr.tunnel, &other), 0);
	refused_out(p, fx_ipv4(p, ours[0], "198.51.100.9", PROTO_UDP, 64), DP_DROP_no_selector);
	fx_stop();
}

static void the_largest_packet(void **state)
{
	(void)state;
	static const size_t encaps[3] = {0, 8, 16};
	for (unsigned i = 0; i < 6; i++) {
		uint8_t p[2048], got[2048];
		begin(i & 1, (enum sa_encap)(i / 2));
		size_t room = 1500 - head_len() - encaps[i / 2] - 16 - 16;
		size_t most = room / 4 * 4 - 2;
		gateway_sends(p, packet(p, true, PROTO_UDP, most));
		assert_in_range(fx_output(FX_OUTSIDE, got, sizeof(got)), 1497, 1500);
		// RFC 4303 3.3.4: it is fragmented after ESP, if it may be.
		size_t n = packet(p, true, PROTO_UDP, most + 1);
		gateway_sends(p, n);
		assert_in_range(fx_output(FX_OUTSIDE, got, sizeof(got)), 1480, 1500);
		assert_in_range(fx_output(FX_OUTSIDE, got, sizeof(got)), 21, 100);
		assert_int_equal(fx_drops(DP_DROP_too_big), 0);
		if (i & 1) {
			fx_stop();
			continue;
		}
		n = packet(p, true, PROTO_UDP, most + 1);
		p[6] = 0x40;
		set_be16(p + 10, 0);
		set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
		gateway_sends(p, n);
		assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
		assert_int_equal(fx_drops(DP_DROP_too_big), 1);
		fx_stop();
	}
}

// ---- Behind a NAT ----

// The peer believes to be 192.168.1.7 and us at 203.0.113.1: its checksums are about those.
static const char *const seen_src[2] = {"192.168.1.7", "fd00::7"};
static const char *const seen_dst[2] = {"203.0.113.1", "fd01::1"};

static size_t sum_place(uint8_t proto)
{
	return proto == PROTO_TCP ? 16 : proto == PROTO_UDP ? 6 : 2;
}

static size_t peers_payload(uint8_t *buf, uint8_t proto, size_t size)
{
	struct ip_addr src = fx_ip(seen_src[tr.v6]), dst = fx_ip(seen_dst[tr.v6]);
	for (size_t i = 0; i < size; i++)
		buf[i] = (uint8_t)(i * 31 + size);
	set_be16(buf + sum_place(proto), 0);
	uint32_t sum = pkt_sum_pseudo(&src, &dst, proto, (uint32_t)size);
	uint16_t check = pkt_sum_fold(pkt_sum(sum, buf, size));
	set_be16(buf + sum_place(proto), check || proto != PROTO_UDP ? check : 0xffff);
	return size;
}

// RFC 3948 3.1.2: by the difference where the peer's view is known, anew where not.
static void checksums_behind_a_nat(void **state)
{
	(void)state;
	static const uint8_t protos[] = {PROTO_TCP, PROTO_UDP, PROTO_ICMP6};
	for (unsigned i = 0; i < 4; i++) {
		begin_as(i & 1, SA_ENCAP_UDP, 1, 0);
		if (i / 2) {
			tr.in.peer_source = fx_ip(seen_src[tr.v6]);
			tr.in.peer_destination = fx_ip(seen_dst[tr.v6]);
		}
		install();
		for (size_t k = 0; k < 40 * RTE_DIM(protos); k++) {
			uint8_t proto = protos[k % RTE_DIM(protos)], payload[256], got[512];
			if (proto == PROTO_ICMP6 && !tr.v6)
				continue;
			size_t n = peers_payload(payload, proto, 20 + k);
			peer_sends(proto, payload, n);
			size_t len = delivered(got);
			assert_int_equal(len, head_len() + n);
			assert_int_equal(sum_of(got, got + head_len(), n, proto), 0);
			assert_int_not_equal(get_be16(got + head_len() + sum_place(proto)),
				get_be16(payload + sum_place(proto)));
		}
		fx_stop();
	}
}

// What has no checksum gets none, what is cut off before it is left alone, and by plain ESP, on whose
// way no NAT can be, everything stays as it is.
static void checksums_that_stay(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint8_t payload[64] = {1, 2, 3, 4, 5, 6}, got[256];
		begin(false, i ? SA_ENCAP_UDP : SA_ENCAP_NONE);
		static const size_t sizes[2][3] = {{8, 17, 7}, {8, 17, 7}};
		static const uint8_t protos[3] = {PROTO_UDP, PROTO_TCP, PROTO_UDP};
		for (unsigned k = 0; k < 3; k++) {
			peer_sends(protos[k], payload, sizes[i][k]);
			assert_int_equal(delivered(got), IP4_HDR + sizes[i][k]);
			assert_memory_equal(got + IP4_HDR, payload, sizes[i][k]);
		}
		fx_stop();
	}
	uint8_t payload[64] = {[6] = 0x12, [7] = 0x34, [20] = 9}, got[256];
	begin(false, SA_ENCAP_NONE);
	peer_sends(PROTO_UDP, payload, 32);
	assert_int_equal(delivered(got), 52);
	assert_memory_equal(got + IP4_HDR, payload, 32);
	fx_stop();
}

// ---- Hostile ----

struct hostile {
	const char *what;
	bool v6;
	uint8_t proto;
	size_t len;
	uint8_t bytes[96];
	enum dp_drop why; // DP_DROP_NONE: it arrives as it is, and nothing looks into it
};

static const struct hostile hostiles[] = {
	{"dummy", false, PROTO_NONE, 8, {0}, DP_DROP_esp_dummy},
	{"nothing", false, PROTO_TCP, 0, {0}, DP_DROP_NONE},
	{"nothing, IPv6", true, PROTO_TCP, 0, {0}, DP_DROP_NONE},
	{"ESP inside", false, PROTO_ESP, 32, {0xc0, 0xff, 0xee, 1, 0, 0, 0, 1}, DP_DROP_NONE},
	{"IP inside", false, 4, 28, {0x45, 0, 0, 28, [12] = 10, 99, 0, 5, 10, 1, 0, 2},
		DP_DROP_NONE},
	{"IKE inside", false, PROTO_UDP, 40, {1, 0xf4, 1, 0xf4, 0, 40}, DP_DROP_NONE},
	{"fragment inside", true, IPV6_FRAGMENT, 24, {PROTO_UDP, 0, 0, 1},
		DP_DROP_transport_fragment},
	{"later fragment inside", true, IPV6_FRAGMENT, 24, {PROTO_UDP, 0, 0, 8},
		DP_DROP_transport_fragment},
	{"half a fragment header", true, IPV6_FRAGMENT, 4, {PROTO_UDP}, DP_DROP_esp_inner},
	{"options longer than the packet", true, IPV6_DST_OPTS, 16, {PROTO_UDP, 200},
		DP_DROP_esp_inner},
	{"source route", true, IPV6_ROUTING, 24, {PROTO_UDP, 2, 0, 1}, DP_DROP_ip_options},
	{"a chain without end", true, IPV6_DST_OPTS, 96,
		{60, 0, [8] = 60, [16] = 60, [24] = 60, [32] = 60, [40] = 60, [48] = 60, [56] = 60,
			[64] = 60, [72] = 60, [80] = 60, [88] = 60},
		DP_DROP_ip_options},
};

static void hostile_contents(void **state)
{
	(void)state;
	for (size_t i = 0; i < RTE_DIM(hostiles); i++) {
		const struct hostile *h = &hostiles[i];
		uint8_t got[2048];
		begin(h->v6, SA_ENCAP_NONE);
		peer_sends(h->proto, h->bytes, h->len);
		size_t len = delivered(got);
		assert_int_equal(len, h->why == DP_DROP_NONE ? head_len() + h->len : 0);
		for (unsigned why = 0; why < DP_DROP_COUNT; why++)
			assert_int_equal(fx_drops(why), why == h->why);
		assert_int_equal(fx.ike_count, 0);
		fx_stop();
	}
}

// RFC 4301 5.2: the selectors are compared with the restored packet.
static void selectors_hold(void **state)
{
	(void)state;
	uint8_t payload[64] = {0}, p[256], got[256];
	begin_as(false, SA_ENCAP_NONE, 1, 0);
	for (int i = 0; i < 2; i++) {
		struct sa_spec *s = i ? &tr.out : &tr.in;
		s->ts_local[0].proto = PROTO_UDP; // L2TP
		s->ts_local[0].port_lo = s->ts_local[0].port_hi = 1701;
		s->ts_remote[0].proto = PROTO_UDP;
	}
	install();
	set_be16(payload + 2, 1701);
	peer_sends(PROTO_UDP, payload, 16);
	assert_int_equal(delivered(got), 36);
	peer_sends(PROTO_TCP, payload, 20);
	set_be16(payload + 2, 1702);
	peer_sends(PROTO_UDP, payload, 16);
	assert_int_equal(delivered(got), 0);
	assert_int_equal(fx_drops(DP_DROP_selector), 2);
	// From another address: authentic, and the header says where it is from.
	uint8_t esp[256];
	set_be16(payload + 2, 1701);
	size_t n = oracle_wrap(&tr.in, ++tr.seq, payload, 16, PROTO_UDP, esp);
	fx_input_esp("198.51.100.66", 0, 0, esp, n);
	assert_int_equal(delivered(got), 0);
	assert_int_equal(fx_drops(DP_DROP_selector), 3);
	n = packet(p, true, PROTO_UDP, 16);
	refused_out(p, n, DP_DROP_no_selector);
	set_be16(p + IP4_HDR, 1701);
	gateway_sends(p, n);
	assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
	fx_stop();
}

// ---- In clear ----

static void clear_packets_are_refused(void **state)
{
	(void)state;
	for (unsigned v6 = 0; v6 < 2; v6++) {
		uint8_t p[256], got[256];
		begin(v6, SA_ENCAP_NONE);
		size_t n = packet(p, false, PROTO_UDP, 32);
		set_be16(p + head_len() + 2, 1701);
		set_be16(p + head_len() + 4, 32);
		fx_input(FX_OUTSIDE, p, n);
		n = packet(p, false, icmp_proto(), 32);
		p[head_len()] = v6 ? ICMP6_ECHO_REQUEST : ICMP_ECHO_REQUEST;
		fx_input(FX_OUTSIDE, p, n);
		fx_input(FX_OUTSIDE, p, packet(p, false, PROTO_TCP, 32));
		fx_run();
		assert_int_equal(fx_drops(DP_DROP_clear_refused), 3);
		// Errors on the way, and IKE, are not the peer's alone.
		n = packet(p, false, icmp_proto(), 32);
		p[head_len()] = v6 ? ICMP6_TOO_BIG : ICMP_UNREACHABLE;
		fx_input(FX_OUTSIDE, p, n);
		fx_run();
		assert_int_equal(fx_drops(DP_DROP_clear_refused), 3);
		assert_int_equal(fx_drops(DP_DROP_icmp_checksum), 1);
		assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
		fx_stop();
	}
}

// ---- Beside a tunnel ----

// One session has both: the selectors choose, and each packet gets its own mode.
static void both_modes_of_one_peer(void **state)
{
	(void)state;
	struct sa_spec in, out;
	uint8_t p[256], got[512], plain[512], next;
	begin(false, SA_ENCAP_UDP);
	struct ip_prefix inner = fx_prefix("10.1.0.2");
	const struct sa_sink *s = &fx.dp->sa_sink;
	assert_int_equal(s->route_add(s->ctx, tr.tunnel, &inner), 0);
	fx_child(tr.tunnel, 0, ENCR_AES_GCM_16, 128, 0, "10.1.0.2", &in, &out);
	ping(56);
	size_t n = fx_ipv4(p, "10.99.0.5", "10.1.0.2", PROTO_UDP, 64);
	fx_input(FX_INSIDE, p, n);
	fx_run();
	size_t len = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_true(oracle_open(&out, 0, got + 28, len - 28, plain) > n);
	assert_int_equal(plain[0], 0x45);
	struct sa_counters c;
	assert_true(s->sa_stats(s->ctx, tr.out.child, SA_OUT, &c));
	assert_int_equal(c.packets, 1);
	assert_int_equal(c.bytes, 84);
	assert_true(s->sa_stats(s->ctx, tr.in.child, SA_IN, &c));
	assert_int_equal(c.bytes, 84);
	// A tunnel's packet by the transport SA is none of its protocols' payload: it is IP in IP.
	peer_sends(4, p, n);
	assert_int_equal(delivered(got), IP4_HDR + n);
	(void)next;
	fx_stop();
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination),
		cmocka_unit_test(every_suite),
		cmocka_unit_test(the_header_is_restored),
		cmocka_unit_test(extension_headers),
		cmocka_unit_test(ipv4_options),
		cmocka_unit_test(what_is_not_sent),
		cmocka_unit_test(the_header_must_be_the_tunnels),
		cmocka_unit_test(the_largest_packet),
		cmocka_unit_test(checksums_behind_a_nat),
		cmocka_unit_test(checksums_that_stay),
		cmocka_unit_test(hostile_contents),
		cmocka_unit_test(selectors_hold),
		cmocka_unit_test(clear_packets_are_refused),
		cmocka_unit_test(both_modes_of_one_peer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
