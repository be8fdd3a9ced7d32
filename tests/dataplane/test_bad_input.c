// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Malformed and boundary packets, one row each (rows 78 to 93 of the catalogue of bad input by their
// numbers): its named counter moves by one, every other counter and the state of every SA stay as they
// were, and nothing leaves but what the row says. Mbufs in odd shapes: test_bounds.c; path MTU:
// test_pmtu.c; fragments: test_frag_in.c; sequence numbers at their end: test_limits.c.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define INNER  "10.1.0.2"
#define INNER6 "2001:db8:77::2"
#define HOST   "10.99.0.5"
#define HOST6  "2001:db8:99::5"
#define DONE   100 // the last sequence number that has come in before a row
#define NEXT   (DONE + 1)

// A tunnel by each encapsulation; the last one carries IPv6.
static const struct side {
	const char *peer, *gateway, *inner, *host;
	uint16_t port; // the peer's; 0: plain ESP
} sides[] = {
	{"198.51.100.7", "192.0.2.1", INNER, HOST, 0},
	{"198.51.100.8", "192.0.2.1", "10.1.0.3", HOST, 61000},
	{"2001:db8:5::1", "2001:db8:1::1", "10.1.0.4", HOST, 0},
	{"2001:db8:5::2", "2001:db8:1::1", INNER6, HOST6, 61000},
};
#define SIDES RTE_DIM(sides)

enum { P4 = 1, U4 = 2, P6 = 4, U6 = 8, ALL = 15, PLAIN = P4 | P6, UDP = U4 | U6, IN4 = 7, IN6 = 8 };

static struct sa_spec in[SIDES], out[SIDES];
static struct {
	uint8_t bytes[4096];
	size_t len;
	int port;
} pk; // the packet of a row

static bool v6(const char *address)
{
	return strchr(address, ':') != NULL;
}

// ---- Making packets ----

static void fix_sum(uint8_t *p)
{
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

static size_t ip_packet(uint8_t *p, const char *src, const char *dst, uint8_t proto, size_t payload)
{
	return v6(src) ? fx_ipv6(p, src, dst, proto, payload)
		       : fx_ipv4(p, src, dst, proto, payload);
}

static size_t upper_of(const struct side *s)
{
	return (v6(s->peer) ? IP6_HDR : IP4_HDR) + (s->port ? UDP_HDR : 0u);
}

// Outer headers of side s around so many bytes at payload.
static void outside(size_t i, const void *payload, size_t len)
{
	const struct side *s = &sides[i];
	size_t udp = s->port ? UDP_HDR : 0;
	pk.port = FX_OUTSIDE;
	pk.len = ip_packet(pk.bytes, s->peer, s->gateway, udp ? PROTO_UDP : PROTO_ESP, len + udp);
	uint8_t *u = pk.bytes + pk.len - len - udp;
	if (udp) {
		set_be16(u, s->port);
		set_be16(u + 2, 4500);
		set_be16(u + 4, (uint16_t)(len + udp));
		set_be16(u + 6, 0);
	}
	memcpy(u + udp, payload, len);
}

static uint8_t *esp_at(size_t i)
{
	return pk.bytes + upper_of(&sides[i]);
}

// Good ESP around an inner packet.
static void esp_of(size_t i, uint64_t seq, const uint8_t *inner, size_t len, uint8_t next)
{
	uint8_t esp[4096];
	outside(i, esp, oracle_wrap(&in[i], seq, inner, len, next, esp));
}

static uint8_t next_of(size_t i)
{
	return v6(sides[i].inner) ? PROTO_IPV6 : 4;
}

static size_t inner_of(size_t i, uint8_t *p)
{
	return ip_packet(p, sides[i].inner, sides[i].host, PROTO_UDP, 40);
}

static void good_esp(size_t i, uint64_t seq)
{
	uint8_t p[256];
	esp_of(i, seq, p, inner_of(i, p), next_of(i));
}

// Good ESP around a plaintext with its trailer as it is.
static void sealed(size_t i, const uint8_t *text, size_t len)
{
	uint8_t esp[4096];
	outside(i, esp, oracle_seal(&in[i], NEXT, text, len, NULL, esp));
}

// A clear packet of the side's host to its client.
static void clear(size_t i, uint8_t proto, size_t payload)
{
	pk.port = FX_INSIDE;
	pk.len = ip_packet(pk.bytes, sides[i].host, sides[i].inner, proto, payload);
}

// ---- Rows: what is wrong. arg: of the row ----

typedef void make_t(size_t side, int arg);

static void short_esp(size_t i, int len)
{
	uint8_t esp[64] = {0};
	set_be32(esp, in[i].spi);
	set_be32(esp + 4, NEXT);
	outside(i, esp, (size_t)len);
}

static void odd_blocks(size_t i, int more)
{
	uint8_t esp[512] = {0};
	good_esp(i, NEXT);
	size_t n = pk.len - upper_of(&sides[i]);
	memcpy(esp, esp_at(i), n);
	outside(i, esp, n + (size_t)more);
}

static void flipped(size_t i, int at)
{
	good_esp(i, NEXT);
	pk.bytes[at < 0 ? pk.len - (size_t)-at : upper_of(&sides[i]) + (size_t)at] ^= 1;
}

static void numbered(size_t i, int seq)
{
	good_esp(i, (uint64_t)seq);
}

// The far future with an ICV that is not right: the window must stay.
static void far_future(size_t i, int arg)
{
	good_esp(i, 0xfffffff0u);
	pk.bytes[pk.len - 1] ^= 1;
}

static void bad_padding(size_t i, int arg)
{
	uint8_t text[128];
	size_t n = inner_of(i, text), pad = 8 + (62 - n % 4) % 4;
	for (size_t k = 0; k < pad; k++)
		text[n + k] = (uint8_t)(k + 1);
	text[n + pad] = arg == 0 ? 255 : (uint8_t)pad; // more than there is
	if (arg == 1)
		text[n + 2] ^= 1;
	text[n + pad + 1] = next_of(i);
	sealed(i, text, (n + pad + 2) & ~(size_t)3);
}

// Nothing but padding: 1, 2, and this pad length.
static void tiny_padding(size_t i, int pad)
{
	const uint8_t text[4] = {1, 2, (uint8_t)pad, next_of(i)};
	sealed(i, text, sizeof(text));
}

static void next_header(size_t i, int next)
{
	uint8_t p[256];
	size_t n = inner_of(i, p);
	esp_of(i, NEXT, p, n, (uint8_t)next);
}

static void empty_inner(size_t i, int arg)
{
	uint8_t none[1] = {0};
	esp_of(i, NEXT, none, 0, next_of(i));
}

static void false_source(size_t i, int arg)
{
	uint8_t p[256];
	const char *src = v6(sides[i].inner) ? "2001:db8:77::99" : "10.1.0.99";
	size_t n = ip_packet(p, src, sides[i].host, PROTO_UDP, 40);
	esp_of(i, NEXT, p, n, next_of(i));
}

static void false_destination(size_t i, int arg)
{
	uint8_t p[256];
	const char *dst = v6(sides[i].inner) ? "2001:db8:98::5" : "10.98.0.5";
	size_t n = ip_packet(p, sides[i].inner, dst, PROTO_UDP, 40);
	esp_of(i, NEXT, p, n, next_of(i));
}

// An inner packet with one octet changed (and the checksum right, unless that one is it).
static void inner_octet(size_t i, int arg)
{
	uint8_t p[256];
	size_t n = inner_of(i, p);
	p[arg >> 8] = (uint8_t)arg;
	if (next_of(i) == 4 && arg >> 8 != 10)
		fix_sum(p);
	esp_of(i, NEXT, p, n, next_of(i));
}

static void inner_options(size_t i, int arg)
{
	uint8_t p[256];
	size_t n = inner_of(i, p);
	p[0] = 0x46;
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, 24)));
	esp_of(i, NEXT, p, n, next_of(i));
}

static void inner_cut(size_t i, int len)
{
	uint8_t p[256];
	inner_of(i, p);
	esp_of(i, NEXT, p, (size_t)len, next_of(i));
}

static void congested(size_t i, int arg)
{
	good_esp(i, NEXT);
	if (v6(sides[i].peer)) {
		ip_set_ecn(pk.bytes, IP_V6, ECN_CE);
		return;
	}
	pk.bytes[1] = ECN_CE;
	fix_sum(pk.bytes);
}

static void udp_payload(size_t i, int arg)
{
	static const uint8_t bytes[4][20] = {{0xff}, {1, 2, 3}, {0}, {0, 0, 0, 0, 1, 2, 3, 4}};
	static const size_t lens[4] = {1, 3, 4, 20};
	outside(i, bytes[arg], lens[arg]);
}

static void udp_length(size_t i, int len)
{
	good_esp(i, NEXT);
	set_be16(pk.bytes + upper_of(&sides[i]) - 4, (uint16_t)len);
}

static void unknown_spi(size_t i, int arg)
{
	good_esp(i, NEXT);
	set_be32(esp_at(i), arg == 0 ? 0 : arg == 1 ? in[i].spi ^ 1 : 0xffffffffu);
}

static void outer_octet(size_t i, int arg)
{
	good_esp(i, NEXT);
	pk.bytes[arg >> 8] = (uint8_t)arg;
	if (!v6(sides[i].peer) && arg >> 8 != 10)
		fix_sum(pk.bytes);
}

// To so many octets, or by so many.
static void truncated(size_t i, int len)
{
	good_esp(i, NEXT);
	pk.len = len < 0 ? pk.len - (size_t)-len : (size_t)len;
}

static void outer_flip(size_t i, int at)
{
	good_esp(i, NEXT);
	pk.bytes[at] ^= 1;
}

static void outer_octet_options(size_t i, int arg)
{
	good_esp(i, NEXT);
	pk.bytes[0] = 0x46;
	set_be16(pk.bytes + 10, 0);
	set_be16(pk.bytes + 10, (uint16_t)~ip_fold(ip_sum(pk.bytes, 24)));
}

// By another port or address, and not authentic: the peer has not moved.
static void moved_forged(size_t i, int address)
{
	flipped(i, -1);
	if (!address) {
		pk.bytes[upper_of(&sides[i]) - UDP_HDR] ^= 1;
		return;
	}
	pk.bytes[v6(sides[i].peer) ? 23 : 15] ^= 0x40;
	if (!v6(sides[i].peer))
		fix_sum(pk.bytes);
}

// ESP behind a destination options header.
static void outer_extension(size_t i, int arg)
{
	pk.port = FX_OUTSIDE;
	pk.len = fx_ipv6(pk.bytes, sides[i].peer, sides[i].gateway, IPV6_DST_OPTS, 64);
	memset(pk.bytes + IP6_HDR, 0, 8);
	pk.bytes[IP6_HDR] = PROTO_ESP;
}

// The last fragment of a datagram that would be larger than any.
static void outer_fragment(size_t i, int field)
{
	const struct side *s = &sides[i];
	pk.port = FX_OUTSIDE;
	if (v6(s->peer)) {
		pk.len = fx_ipv6(pk.bytes, s->peer, s->gateway, IPV6_FRAGMENT, 40);
		memset(pk.bytes + IP6_HDR, 0, 8);
		pk.bytes[IP6_HDR] = PROTO_ESP;
		set_be16(pk.bytes + IP6_HDR + 2,
			(uint16_t)((field & 0x1fff) << 3 | (field & 0x2000 ? 1 : 0)));
		return;
	}
	pk.len = fx_ipv4(pk.bytes, s->peer, s->gateway, PROTO_ESP, field & 0x2000 ? 12 : 40);
	set_be16(pk.bytes + 6, (uint16_t)field);
	fix_sum(pk.bytes);
}

static void outer_fragment_of(size_t i, int proto)
{
	pk.port = FX_OUTSIDE;
	pk.len = fx_ipv4(pk.bytes, sides[i].peer, sides[i].gateway, (uint8_t)proto, 64);
	set_be16(pk.bytes + 6, 0x2000);
	fix_sum(pk.bytes);
}

static void outer_fragment_behind(size_t i, int arg)
{
	outer_extension(i, 0);
	uint8_t *x = pk.bytes + IP6_HDR;
	x[0] = IPV6_FRAGMENT;
	memset(x + 8, 0, 8);
	x[8] = PROTO_ESP;
	x[11] = 1; // others follow
}

// ICMP too big that quotes nothing of ours.
static void too_big(size_t i, int mtu, uint8_t proto)
{
	uint8_t q[64];
	bool six = v6(sides[i].peer);
	struct wr w = wr_of(pk.bytes, sizeof(pk.bytes));
	struct pkt_ip_head h = {.src = fx_ip(sides[i].peer),
		.dst = fx_ip(sides[i].gateway),
		.proto = six ? IP_PROTO_ICMPV6 : IP_PROTO_ICMP,
		.ttl = 60};
	size_t n = ip_packet(q, sides[i].gateway, sides[i].peer, proto, 16);
	struct pkt_icmp icmp = {.type = six ? ICMP6_TOO_BIG : ICMP_UNREACHABLE,
		.code = six ? 0 : ICMP_FRAG_NEEDED,
		.rest = (uint32_t)mtu,
		.body = {q, n}};
	pkt_build_icmp(&w, &h, &icmp);
	pk.len = w.len;
	pk.port = FX_OUTSIDE;
}

static void too_big_tcp(size_t i, int mtu)
{
	too_big(i, mtu, PROTO_TCP);
}

static void too_big_esp(size_t i, int mtu)
{
	too_big(i, mtu, PROTO_ESP);
}

static void clear_octet(size_t i, int arg)
{
	clear(i, PROTO_UDP, 40);
	pk.bytes[arg >> 8] = (uint8_t)arg;
	if (next_of(i) == 4 && arg >> 8 != 10)
		fix_sum(pk.bytes);
}

static void options(size_t i, int arg)
{
	clear(i, PROTO_UDP, 40);
	pk.bytes[0] = 0x46;
	set_be16(pk.bytes + 10, 0);
	set_be16(pk.bytes + 10, (uint16_t)~ip_fold(ip_sum(pk.bytes, 24)));
}

static void total_length(size_t i, int more)
{
	clear(i, PROTO_UDP, 40);
	set_be16(pk.bytes + (next_of(i) == 4 ? 2 : 4),
		(uint16_t)((next_of(i) == 4 ? 60 : 40) + more));
	if (next_of(i) == 4)
		fix_sum(pk.bytes);
}

#define TO 4

// From or (TO) to an address that is no host's.
static void clear_odd(size_t i, int arg)
{
	static const char *const v4s[] = {"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255",
		"0.0.0.0", "127.0.0.1", "239.1.1.1", "169.254.1.1"};
	static const char *const v6s[] = {
		"::", "::1", "ff02::1", "ff0e::1", "::", "::1", "ff0e::1", "fe80::1"};
	const char *odd = next_of(i) == 4 ? v4s[arg] : v6s[arg];
	pk.port = FX_INSIDE;
	pk.len = ip_packet(pk.bytes, arg < TO ? odd : sides[i].host,
		arg < TO ? sides[i].inner : odd, PROTO_UDP, 40);
}

// IPv6 extension headers: an endless chain, one that points behind the packet, a routing header of type
// 0, half a header, two fragment headers.
static void extensions(size_t i, int arg)
{
	uint8_t *x = pk.bytes + IP6_HDR;
	clear(i, 0, arg == 3 ? 4 : 160);
	memset(x, 0, pk.len - IP6_HDR);
	if (arg == 1)
		x[1] = 255;
	if (arg == 2)
		pk.bytes[6] = IPV6_ROUTING, x[0] = PROTO_UDP;
	if (arg == 3)
		pk.bytes[6] = IPV6_DST_OPTS;
	if (arg == 4)
		pk.bytes[6] = x[0] = IPV6_FRAGMENT, x[3] = 1, x[8] = PROTO_UDP;
}

static void no_tunnel(size_t i, int arg)
{
	pk.port = FX_INSIDE;
	pk.len = ip_packet(pk.bytes, sides[i].host,
		v6(sides[i].inner) ? "2001:db8:77::77" : "10.1.9.9", PROTO_UDP, 40);
}

static void no_selector(size_t i, int arg)
{
	pk.port = FX_INSIDE;
	pk.len = ip_packet(pk.bytes, v6(sides[i].inner) ? "2001:db8:98::5" : "10.98.0.5",
		sides[i].inner, PROTO_UDP, 40);
}

static void clear_outside(size_t i, int arg)
{
	clear(i, PROTO_UDP, 40);
	pk.port = FX_OUTSIDE;
}

static void icmp_for_gateway(size_t i, int len)
{
	pk.port = FX_INSIDE;
	pk.len = ip_packet(pk.bytes, sides[i].host,
		v6(sides[i].host) ? "2001:db8:99::1" : "10.99.0.1",
		v6(sides[i].host) ? PROTO_ICMP6 : PROTO_ICMP, (size_t)len);
}

#include "tests/dataplane/bad_input_rows.inc"

// ---- What must not change ----

struct snapshot {
	uint64_t drops[DP_DROP_COUNT], pmtu[DP_PMTU_COUNT];
	struct sa_counters sa[SIDES][2];
	uint16_t mtu[SIDES];
};

static uint32_t tunnels[SIDES];

static struct snapshot look(void)
{
	struct snapshot s;
	const struct sa_sink *sink = &fx.dp->sa_sink;
	memset(&s, 0, sizeof(s));
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		s.drops[i] = fx_drops((enum dp_drop)i);
	memcpy(s.pmtu, fx.dp->pmtu, sizeof(s.pmtu));
	for (size_t i = 0; i < SIDES; i++) {
		for (int dir = SA_IN; dir <= SA_OUT; dir++)
			assert_true(sink->sa_stats(
				sink->ctx, in[i].child, (enum sa_dir)dir, &s.sa[i][dir]));
		s.mtu[i] = sink->tunnel_mtu(sink->ctx, tunnels[i]);
	}
	return s;
}

// What an authentic packet that is refused later may move: its number and what is counted by it.
static void allow(struct snapshot *want, const struct snapshot *now, size_t i, enum touches touches)
{
	struct sa_counters *w = &want->sa[i][SA_IN];
	const struct sa_counters *n = &now->sa[i][SA_IN];
	w->auth_failed += touches == AUTH_FAILED;
	w->replayed += touches == REPLAYED;
	w->malformed += touches == MALFORMED || touches == AUTHENTIC_MALFORMED;
	w->selector_mismatch += touches == AUTHENTIC_SELECTOR;
	if (touches < AUTHENTIC)
		return;
	assert_int_equal(n->seq, touches == LATE ? DONE : NEXT);
	if (touches >= ACCEPTED)
		w->bytes = n->bytes;
	assert_int_equal(n->packets, w->packets + 1);
	w->seq = n->seq;
	w->packets = n->packets;
	w->last_used_ns = n->last_used_ns;
}

static bool left_by(int port)
{
	uint8_t got[4096];
	return fx_output(port, got, sizeof(got)) > 0;
}

static void run_row(const struct row *row, size_t i)
{
	struct snapshot before = look();
	row->make(i, row->arg);
	fx_input(pk.port, pk.bytes, pk.len);
	fx_run();
	struct snapshot now = look(), want = before;
	if (row->drop != DP_DROP_NONE)
		want.drops[row->drop]++;
	if (row->pmtu)
		want.pmtu[row->pmtu - 1]++;
	allow(&want, &now, i, row->touches);
	for (unsigned d = 0; d < DP_DROP_COUNT; d++)
		if (now.drops[d] != want.drops[d])
			fail_msg("row %s, side %zu: %s is %u, want %u", row->what, i,
				dp_drop_name[d], (unsigned)(now.drops[d] - before.drops[d]),
				(unsigned)(want.drops[d] - before.drops[d]));
	if (memcmp(&now.sa, &want.sa, sizeof(now.sa)) != 0)
		fail_msg("row %s, side %zu: an SA has changed", row->what, i);
	assert_memory_equal(&now.pmtu, &want.pmtu, sizeof(now.pmtu));
	assert_memory_equal(&now.mtu, &want.mtu, sizeof(now.mtu));
	if (left_by(FX_OUTSIDE))
		fail_msg("row %s, side %zu: something left outside", row->what, i);
	if (left_by(FX_INSIDE) != (row->answered || row->touches >= ACCEPTED))
		fail_msg("row %s, side %zu: inside", row->what, i);
	assert_int_equal(fx.ike_count, 0);
	assert_null(fx_event(SA_EVENT_PEER_MOVED));
}

static int start(void)
{
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	for (size_t i = 0; i < SIDES; i++) {
		tunnels[i] = fx_tunnel(0, sides[i].inner, sides[i].peer, sides[i].port);
		fx_child(tunnels[i], 0, ENCR_AES_GCM_16, 128, 0, sides[i].inner, &in[i], &out[i]);
		for (unsigned seq = DONE - 2; seq <= DONE; seq++) {
			good_esp(i, seq);
			fx_input(pk.port, pk.bytes, pk.len);
			fx_run();
		}
		while (left_by(FX_INSIDE))
			;
	}
	return 0;
}

static void each_row(void **state)
{
	(void)state;
	unsigned runs = 0;
	for (size_t r = 0; r < RTE_DIM(rows); r++) {
		for (size_t i = 0; i < SIDES; i++) {
			if (!(rows[r].sides & 1u << i))
				continue;
			start();
			run_row(&rows[r], i);
			fx_stop();
			runs++;
		}
	}
	print_message("# %zu rows, %u packets\n", RTE_DIM(rows), runs);
	assert_true(RTE_DIM(rows) >= 60);
}

int main(void)
{
	fx_eal();
	const struct CMUnitTest tests[] = {cmocka_unit_test(each_row)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
