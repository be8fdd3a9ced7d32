// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets that are too large for the path or for the inside port: cut before encryption or after it,
// or their sender is told. What the peer puts together again is what was sent.
#include "dataplane/reasm.h"
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#define HOST4  "10.99.0.5"
#define HOST6  "2001:db8:99::5"
#define INNER4 "10.1.0.2"
#define INNER6 "2001:db8:77::2"
#define PEER4  "198.51.100.7"
#define PEER6  "2001:db8:5::1"

enum outcome { WHOLE, BEFORE, AFTER, TOLD };

static struct reasm *outer_reasm, *inner_reasm;

static int start(void **state)
{
	static const uint8_t key[16] = {1};
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	assert_int_equal(reasm_new(&reasm_limits_default, key, &outer_reasm), 0);
	assert_int_equal(reasm_new(&reasm_limits_default, key, &inner_reasm), 0);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	assert_int_equal(reasm_usage(outer_reasm).datagrams, 0);
	assert_int_equal(reasm_usage(inner_reasm).datagrams, 0);
	reasm_free(outer_reasm);
	reasm_free(inner_reasm);
	fx_stop();
	return 0;
}

static uint64_t stat(const dp_counter_t *c)
{
	return dp_get(c);
}

static void set_frag(uint8_t *p, uint16_t frag)
{
	set_be16(p + 6, frag);
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// An inner packet of so many bytes from the host.
static size_t inner_packet(uint8_t *p, bool v6, size_t len, bool df)
{
	if (v6)
		return fx_ipv6(p, HOST6, INNER6, PROTO_UDP, len - IP6_HDR);
	fx_ipv4(p, HOST4, INNER4, PROTO_UDP, len - IP4_HDR);
	set_be16(p + 4, 0x1234);
	set_frag(p, df ? 0x4000 : 0);
	return len;
}

// ---- The peer ----

struct peer {
	struct sa_spec sa;
	uint16_t mtu;                  // of the path: nothing may be larger
	unsigned packets, fragments;   // that came by the path; of them fragments
	unsigned esp, inner_fragments; // ESP packets, and fragments in them
	uint8_t whole[16384];          // the last whole inner packet's payload
	size_t whole_len;
	bool complete;
};

static void peer_inner(struct peer *peer, const uint8_t *p, size_t len)
{
	struct pkt_ip ip, whole;
	bool done = true;
	assert_int_equal(pkt_parse_ip((struct view){p, len}, &ip), DP_DROP_NONE);
	whole = ip;
	if (ip.fragment) {
		peer->inner_fragments++;
		assert_int_equal(
			reasm_input(inner_reasm, &ip, fx.now_ns, &done, &whole), DP_DROP_NONE);
	}
	if (!done)
		return;
	peer->complete = true;
	peer->whole_len = whole.payload.len;
	memcpy(peer->whole, whole.payload.p, whole.payload.len);
}

static void peer_esp(struct peer *peer, const struct pkt_ip *ip)
{
	static uint8_t text[16384];
	struct view esp = ip->payload;
	if (ip->proto == PROTO_UDP) {
		assert_int_equal(get_be16(esp.p + 4), esp.len);
		esp.p += UDP_HDR;
		esp.len -= UDP_HDR;
	}
	peer->esp++;
	size_t n = oracle_open(&peer->sa, 0, esp.p, esp.len, text);
	assert_true(n > 2);
	peer_inner(peer, text, n - 2 - text[n - 2]);
}

static void peer_takes_all(struct peer *peer)
{
	static uint8_t got[16384];
	size_t n;
	while ((n = fx_output(FX_OUTSIDE, got, sizeof(got)))) {
		struct pkt_ip ip, whole;
		bool done = true;
		assert_int_equal(pkt_parse_ip((struct view){got, n}, &ip), DP_DROP_NONE);
		assert_int_equal(ip.whole.len, n);
		assert_in_range(n, 1, peer->mtu);
		peer->packets++;
		whole = ip;
		if (ip.fragment) {
			peer->fragments++;
			assert_false(ip.df);
			assert_int_equal(reasm_input(outer_reasm, &ip, fx.now_ns, &done, &whole),
				DP_DROP_NONE);
		}
		if (done)
			peer_esp(peer, &whole);
	}
}

// ---- Into a tunnel ----

struct way {
	bool v6_inner, v6_outer, udp;
	enum sa_fragment fragment;
	enum sa_df df;
	uint16_t mtu; // of the path
	uint16_t tfc;
};

static struct peer make(const struct way *way)
{
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_spec spec = {
		.path = fx_path(way->v6_outer ? PEER6 : PEER4, way->udp ? 61000 : 0),
		.df = way->df,
		.treat = {.fragment = way->fragment}};
	const char *inner = way->v6_inner ? INNER6 : INNER4;
	struct peer peer = {.mtu = way->mtu};
	uint32_t spi, t = fx_tunnel_of(&spec, inner);
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)fx.owner, &spec.path, &spi), 0);
	peer.sa = fx_spec(t, SA_OUT, ENCR_AES_GCM_16, 128, 0, inner);
	peer.sa.child = spi;
	peer.sa.spi = FX_PEER_SPI;
	peer.sa.tfc = way->tfc;
	assert_int_equal(s->sa_add(s->ctx, &peer.sa), 0);
	s->sa_switch(s->ctx, spi);
	s->tunnel_pmtu(s->ctx, t, way->mtu);
	fx_run();
	return peer;
}

static size_t overhead(const struct way *way)
{
	return (way->v6_outer ? IP6_HDR : IP4_HDR) + (way->udp ? UDP_HDR : 0) + 8 + 8 + 16;
}

static size_t inner_mtu(const struct way *way)
{
	return (way->mtu - overhead(way)) / 4 * 4 - 2;
}

static void is_told(const struct way *way, size_t before)
{
	uint8_t got[2048];
	struct rte_mbuf *m;
	size_t n = 0;
	while ((m = nic_output(fx.nic[FX_INSIDE], NULL))) { // fx_output() leaves ICMPv6 out
		n = m->data_len - 14u;
		memcpy(got, rte_pktmbuf_mtod_offset(m, uint8_t *, 14), n);
		rte_pktmbuf_free(m);
	}
	struct pkt_ip ip;
	struct pkt_icmp icmp;
	assert_int_equal(fx_drops(DP_DROP_too_big), before + 1);
	assert_int_equal(pkt_parse_ip((struct view){got, n}, &ip), DP_DROP_NONE);
	assert_int_equal(pkt_parse_icmp(&ip, &icmp), DP_DROP_NONE);
	assert_int_equal(icmp.type, way->v6_inner ? ICMP6_TOO_BIG : ICMP_UNREACHABLE);
	size_t fits = inner_mtu(way);
	assert_int_equal(icmp.rest, way->v6_inner && fits < 1280 ? 1280 : fits);
}

static void send(const struct way *way, struct peer *peer, size_t len, bool df, enum outcome want)
{
	static uint8_t p[16384];
	const struct dp_stats *st = &fx.dp->workers[fx.owner]->stats;
	uint64_t b = stat(&st->cut_before), a = stat(&st->cut_after);
	uint64_t big = fx_drops(DP_DROP_too_big);
	size_t n = inner_packet(p, way->v6_inner, len, df);
	size_t head = way->v6_inner ? IP6_HDR : IP4_HDR;
	peer->complete = false;
	peer->packets = peer->fragments = peer->esp = peer->inner_fragments = 0;
	fx_input(FX_INSIDE, p, n);
	fx_run();
	peer_takes_all(peer);
	assert_int_equal(peer->complete, want != TOLD);
	assert_int_equal(stat(&st->cut_before) - b, want == BEFORE);
	assert_int_equal(stat(&st->cut_after) - a, want == AFTER);
	assert_int_equal(peer->fragments > 1, want == AFTER);
	assert_int_equal(peer->inner_fragments > 1, want == BEFORE);
	if (want == TOLD) {
		is_told(way, big);
		return;
	}
	assert_int_equal(fx_drops(DP_DROP_too_big), big);
	assert_int_equal(peer->whole_len, n - head);
	assert_memory_equal(peer->whole, p + head, n - head);
}

// Each policy, family and encapsulation, below, at and above what fits.
static void policies(void **state)
{
	static const struct {
		bool v6, df;
		enum sa_df policy;
		enum sa_fragment fragment;
		enum outcome big; // what does not fit
	} rows[] = {
		{false, false, SA_DF_COPY, SA_FRAGMENT_BEFORE, BEFORE},
		{false, false, SA_DF_SET, SA_FRAGMENT_BEFORE, BEFORE},
		{false, false, SA_DF_CLEAR, SA_FRAGMENT_BEFORE, BEFORE},
		{false, false, SA_DF_COPY, SA_FRAGMENT_AFTER, AFTER},
		{false, false, SA_DF_SET, SA_FRAGMENT_AFTER, BEFORE},
		{false, false, SA_DF_CLEAR, SA_FRAGMENT_AFTER, AFTER},
		{false, true, SA_DF_COPY, SA_FRAGMENT_BEFORE, TOLD},
		{false, true, SA_DF_COPY, SA_FRAGMENT_AFTER, TOLD},
		{false, true, SA_DF_SET, SA_FRAGMENT_AFTER, TOLD},
		{false, true, SA_DF_CLEAR, SA_FRAGMENT_BEFORE, AFTER},
		{false, true, SA_DF_CLEAR, SA_FRAGMENT_AFTER, AFTER},
		{true, true, SA_DF_COPY, SA_FRAGMENT_BEFORE, TOLD},
		{true, true, SA_DF_COPY, SA_FRAGMENT_AFTER, TOLD},
		{true, true, SA_DF_CLEAR, SA_FRAGMENT_AFTER, TOLD},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		for (unsigned k = 0; k < 4; k++) {
			struct way way = {.v6_inner = rows[i].v6,
				.v6_outer = k & 1,
				.udp = k & 2,
				.fragment = rows[i].fragment,
				.df = rows[i].policy,
				.mtu = 1400};
			start(state);
			struct peer peer = make(&way);
			size_t most = inner_mtu(&way);
			send(&way, &peer, most, rows[i].df, WHOLE);
			assert_int_equal(peer.packets, 1);
			send(&way, &peer, most + 1, rows[i].df, rows[i].big);
			send(&way, &peer, 1500, rows[i].df, rows[i].big);
			stop(state);
		}
	}
}

// RFC 2473 7.1: a path that leaves less than 1280 bytes to IPv6.
static void ipv6_through_narrow_paths(void **state)
{
	static const uint16_t mtus[] = {576, 1006, 1280, 1300};
	for (size_t i = 0; i < RTE_DIM(mtus); i++) {
		for (unsigned k = 0; k < 4; k++) {
			struct way way = {
				.v6_inner = true, .v6_outer = k & 1, .udp = k & 2, .mtu = mtus[i]};
			if (way.v6_outer && way.mtu < 1280)
				continue;
			start(state);
			struct peer peer = make(&way);
			send(&way, &peer, inner_mtu(&way), true, WHOLE);
			send(&way, &peer, inner_mtu(&way) + 1, true, AFTER);
			send(&way, &peer, 1280, true, AFTER);
			send(&way, &peer, 1281, true, TOLD);
			stop(state);
		}
	}
}

// Down to the least path and up to the largest packet; the parts are as large as can be.
static void ipv4_through_narrow_paths(void **state)
{
	static const struct {
		uint16_t mtu, len;
		unsigned parts; // by ESP over UDP, IPv4
	} rows[] = {{576, 515, 2}, {576, 516, 2}, {576, 1500, 4}, {1000, 1500, 2}, {1499, 1500, 2}};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct way way = {.udp = true, .mtu = rows[i].mtu};
		start(state);
		struct peer peer = make(&way);
		send(&way, &peer, rows[i].len, false, BEFORE);
		assert_int_equal(peer.packets, rows[i].parts);
		stop(state);
	}
}

// Row 92: jumbo frames, whole and in parts, by each encapsulation.
static void jumbo_packets(void **state)
{
	static const uint16_t mtus[] = {9000, 4000, 1500, 576};
	fx_mtu = 9000;
	for (size_t i = 0; i < RTE_DIM(mtus); i++) {
		for (unsigned k = 0; k < 4; k++) {
			struct way way = {.v6_outer = k & 1, .udp = k & 2, .mtu = mtus[i]};
			if (way.v6_outer && way.mtu < 1280)
				continue;
			for (unsigned after = 0; after < 2; after++) {
				way.fragment = after ? SA_FRAGMENT_AFTER : SA_FRAGMENT_BEFORE;
				start(state);
				struct peer peer = make(&way);
				send(&way, &peer, inner_mtu(&way), false, WHOLE);
				send(&way, &peer, 9000, false, after ? AFTER : BEFORE);
				stop(state);
			}
		}
	}
	fx_mtu = 1500;
}

// Fragments of hosts are cut like anything else, and come together as one.
static void fragments_are_cut_again(void **state)
{
	static uint8_t p[4096];
	struct way way = {.mtu = 700};
	(void)state;
	struct peer peer = make(&way);
	for (unsigned k = 0; k < 2; k++) {
		fx_ipv4(p, HOST4, INNER4, PROTO_UDP, k ? 1001 : 1360);
		set_be16(p + 4, 77);
		set_frag(p, k ? 1360 / 8 : 0x2000);
		fx_input(FX_INSIDE, p, IP4_HDR + (k ? 1001 : 1360));
		fx_run();
		peer_takes_all(&peer);
		assert_int_equal(peer.complete, k == 1);
	}
	assert_int_equal(peer.whole_len, 1360 + 1001);
	assert_int_equal(stat(&fx.dp->workers[fx.owner]->stats.cut_before), 2);
	// One that would reach behind the end of what an IPv4 packet can be.
	fx_ipv4(p, HOST4, INNER4, PROTO_UDP, 1400);
	set_frag(p, 0x1fff);
	fx_input(FX_INSIDE, p, IP4_HDR + 1400);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_fragment_bad), 1);
}

// What comes in one burst leaves whole, in order within itself, and each once.
static void bursts(void **state)
{
	static uint8_t p[4096];
	struct way way = {.mtu = 600};
	(void)state;
	struct peer peer = make(&way);
	for (unsigned i = 0; i < DP_BURST; i++) {
		size_t n = inner_packet(p, false, i % 2 ? 1500 : 100, false);
		set_be16(p + 4, (uint16_t)i);
		set_frag(p, 0);
		fx_input(FX_INSIDE, p, n);
	}
	fx_step(0);
	fx_run();
	peer_takes_all(&peer);
	assert_int_equal(peer.esp, DP_BURST / 2 * (1 + 3));
	assert_int_equal(stat(&fx.dp->workers[fx.owner]->stats.cut_before), DP_BURST / 2);
	assert_int_equal(fx.dp->workers[fx.owner]->big.n, 0);
}

// Ports in selectors are no hindrance: the parts leave by the SA that was chosen for the whole.
static void parts_follow_the_whole(void **state)
{
	static uint8_t p[4096];
	struct way way = {.mtu = 900};
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path(PEER4, 0);
	uint32_t spi;
	(void)state;
	struct peer peer = make(&way);
	s->sa_del(s->ctx, peer.sa.child, SA_OUT);
	fx_run();
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)fx.owner, &path, &spi), 0);
	peer.sa.child = spi;
	peer.sa.ts_remote[0].proto = PROTO_UDP;
	peer.sa.ts_remote[0].port_lo = peer.sa.ts_remote[0].port_hi = 53;
	assert_int_equal(s->sa_add(s->ctx, &peer.sa), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
	size_t n = inner_packet(p, false, 1400, false);
	set_be16(p + IP4_HDR + 2, 53);
	fx_input(FX_INSIDE, p, n);
	fx_run();
	peer_takes_all(&peer);
	assert_true(peer.complete && peer.inner_fragments == 2);
}

// Each part is padded: what the last one's length would tell is hidden.
static void parts_are_padded(void **state)
{
	uint8_t got[2048];
	static uint8_t p[4096];
	struct way way = {.mtu = 1000, .tfc = UINT16_MAX};
	(void)state;
	make(&way);
	fx_input(FX_INSIDE, p, inner_packet(p, false, 1100, false));
	fx_run();
	size_t first = fx_output(FX_OUTSIDE, got, sizeof(got));
	size_t second = fx_output(FX_OUTSIDE, got, sizeof(got));
	assert_in_range(first, 997, 1000);
	assert_int_equal(second, first);
	assert_int_equal(fx_output(FX_OUTSIDE, got, sizeof(got)), 0);
}

// Without buffers the whole packet is dropped, by name, and nothing is lost.
static void without_buffers(void **state)
{
	static struct rte_mbuf *all[65536];
	static uint8_t p[4096];
	struct way way = {.mtu = 600};
	unsigned n = 0;
	(void)state;
	struct peer peer = make(&way);
	struct rte_mempool *pool = fx.dp->rx_pool[0];
	while (n < RTE_DIM(all) && (all[n] = rte_pktmbuf_alloc(pool)))
		n++;
	assert_in_range(n, 2, RTE_DIM(all) - 1);
	for (unsigned spare = 0; spare < 3; spare++) { // of the two that it takes
		unsigned left = n - spare;
		rte_pktmbuf_free_bulk(all + left, spare);
		fx_input(FX_INSIDE, p, inner_packet(p, false, 1500, false));
		fx_run();
		peer_takes_all(&peer);
		assert_int_equal(fx_drops(DP_DROP_fragment_no_mbuf), spare < 2 ? spare + 1 : 2);
		assert_int_equal(peer.complete, spare == 2);
		for (unsigned i = left; i < n; i++)
			assert_non_null(all[i] = rte_pktmbuf_alloc(pool));
		assert_null(rte_pktmbuf_alloc(pool));
	}
	rte_pktmbuf_free_bulk(all, n);
}

// A hard limit that the first part reaches holds for the others.
static void a_limit_within_a_packet(void **state)
{
	static uint8_t p[4096];
	struct way way = {.mtu = 600};
	struct sa_spec spec;
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct tunnel_path path = fx_path(PEER4, 0);
	uint32_t spi;
	(void)state;
	struct peer peer = make(&way);
	spec = peer.sa;
	assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)fx.owner, &path, &spi), 0);
	spec.child = spi;
	spec.hard_packets = 2;
	assert_int_equal(s->sa_add(s->ctx, &spec), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();
	fx_input(FX_INSIDE, p, inner_packet(p, false, 1500, false));
	fx_run();
	peer_takes_all(&peer);
	assert_int_equal(peer.esp, 2);
	assert_int_equal(fx_drops(DP_DROP_esp_stopped), 1);
	fx.now_ns += 60 * NS_PER_S;
	reasm_expire(inner_reasm, fx.now_ns);
}

// ---- To the inside ----

static void to_the_inside(void **state)
{
	static const struct {
		bool v6, df;
		size_t len;
		enum outcome want;
	} rows[] = {{false, false, 600, WHOLE}, {false, true, 600, WHOLE},
		{false, false, 601, BEFORE}, {false, false, 1400, BEFORE}, {false, true, 601, TOLD},
		{true, true, 600, WHOLE}, {true, true, 1300, TOLD}};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		static uint8_t p[4096], got[4096];
		const char *inner = rows[i].v6 ? INNER6 : INNER4;
		struct pkt_ip ip, whole = {0};
		bool done = false;
		unsigned parts = 0;
		size_t n;
		start(state);
		EC_MAKE(inner, PEER4, 4500, 0);
		fx.dp->ports[FX_INSIDE].mtu = 600;
		if (rows[i].v6)
			n = fx_ipv6(p, INNER6, HOST6, PROTO_UDP, rows[i].len - IP6_HDR);
		else
			n = fx_ipv4(p, INNER4, HOST4, PROTO_UDP, rows[i].len - IP4_HDR);
		if (!rows[i].v6)
			set_frag(p, rows[i].df ? 0x4000 : 0);
		ec_esp_in(1, p, n, rows[i].v6 ? PROTO_IPV6 : 4);
		while ((n = fx_output(FX_INSIDE, got, sizeof(got)))) {
			assert_in_range(n, 1, 600);
			assert_int_equal(pkt_parse_ip((struct view){got, n}, &ip), DP_DROP_NONE);
			assert_int_equal(ip.ttl, 63);
			parts++;
			whole = ip;
			done = !ip.fragment;
			if (ip.fragment)
				assert_int_equal(
					reasm_input(inner_reasm, &ip, fx.now_ns, &done, &whole),
					DP_DROP_NONE);
		}
		assert_int_equal(done, rows[i].want != TOLD);
		assert_int_equal(parts > 1, rows[i].want == BEFORE);
		assert_int_equal(fx_drops(DP_DROP_too_big), rows[i].want == TOLD);
		assert_int_equal(
			stat(&fx.dp->workers[fx.owner]->stats.cut_clear), rows[i].want == BEFORE);
		if (done) {
			size_t head = rows[i].v6 ? IP6_HDR : IP4_HDR;
			assert_int_equal(whole.payload.len, rows[i].len - head);
			assert_memory_equal(whole.payload.p, p + head, whole.payload.len);
		} else { // through the tunnel, to the one who sent it
			assert_true(fx_output(FX_OUTSIDE, got, sizeof(got)) > 0);
		}
		stop(state);
	}
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(policies),
		cmocka_unit_test(ipv6_through_narrow_paths),
		cmocka_unit_test(ipv4_through_narrow_paths),
		cmocka_unit_test(jumbo_packets),
		WITH(fragments_are_cut_again),
		WITH(bursts),
		WITH(parts_follow_the_whole),
		WITH(parts_are_padded),
		WITH(without_buffers),
		WITH(a_limit_within_a_packet),
		cmocka_unit_test(to_the_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
