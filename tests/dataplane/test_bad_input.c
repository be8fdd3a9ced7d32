// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Frames and packets that no honest host sends, and mbufs in shapes that are allowed but rare: each
// is dropped by name or handled, and nothing is read or written outside of it.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define PEER  "198.51.100.7"
#define INNER "10.1.0.2"
#define HOST  "10.99.0.5"

static struct sa_spec in, out;

static int start(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	uint32_t t = fx_tunnel(0, INNER, PEER, 0);
	fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, INNER, &in, &out);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

static struct rte_mbuf *mbuf(void)
{
	for (size_t i = 0; i < RTE_DIM(fx.dp->rx_pool); i++)
		if (fx.dp->rx_pool[i])
			return rte_pktmbuf_alloc(fx.dp->rx_pool[i]);
	return NULL;
}

// Through the worker without the NIC, which would copy it.
static void direct(int port, struct rte_mbuf *m)
{
	struct dp_worker *w = fx.dp->workers[0];
	dp_classify(w, &fx.dp->ports[port], &m, 1, DP_HANDOFF_MISPREDICTED);
	dp_run_stages(w);
	dp_tx_flush(w);
}

static size_t inside_frame(uint8_t *frame, size_t payload)
{
	size_t n = fx_ipv4(frame + 14, HOST, INNER, PROTO_UDP, payload);
	memcpy(frame, fx.dp->ports[FX_INSIDE].mac.addr_bytes, 6);
	set_be16(frame + 12, RTE_ETHER_TYPE_IPV4);
	return n + 14;
}

static bool left_encrypted(void)
{
	uint8_t buf[4096];
	return fx_output(FX_OUTSIDE, buf, sizeof(buf)) > 0;
}

// Row 93: a packet in segments of one byte.
static void a_chain_of_single_bytes(void **state)
{
	(void)state;
	uint8_t frame[256];
	size_t n = inside_frame(frame, 22);
	struct rte_mbuf *head = NULL;
	for (size_t i = 0; i < n; i++) {
		struct rte_mbuf *m = mbuf();
		*rte_pktmbuf_append(m, 1) = (char)frame[i];
		if (!head)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	assert_int_equal(head->nb_segs, n);
	direct(FX_INSIDE, head);
	assert_true(left_encrypted());
}

static void a_chain_too_long_for_one_segment(void **state)
{
	(void)state;
	struct rte_mbuf *head = NULL;
	for (int i = 0; i < 3; i++) {
		struct rte_mbuf *m = mbuf();
		memset(rte_pktmbuf_append(m, 1400), 0, 1400);
		if (!head)
			head = m;
		else
			assert_int_equal(rte_pktmbuf_chain(head, m), 0);
	}
	direct(FX_INSIDE, head);
	assert_int_equal(fx_drops(DP_DROP_chained), 1);
}

// Row 85: nothing is written past the mbuf's ends.
static void no_room_for_encapsulation(void **state)
{
	(void)state;
	uint8_t frame[2048];
	size_t n = inside_frame(frame, 1000);
	for (int k = 0; k < 2; k++) {
		struct rte_mbuf *m = mbuf();
		m->data_off = k ? (uint16_t)(m->buf_len - n - 8) : 4;
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), frame, n);
		direct(FX_INSIDE, m);
		assert_int_equal(fx_drops(DP_DROP_no_room), k + 1);
		assert_false(left_encrypted());
	}
}

// Every length of a frame cut short.
static void cut_frames(void **state)
{
	(void)state;
	uint8_t frame[256];
	size_t n = inside_frame(frame, 40);
	for (size_t len = 0; len < n; len++) {
		struct rte_mbuf *m = mbuf();
		memcpy(rte_pktmbuf_append(m, (uint16_t)len), frame, len);
		direct(FX_INSIDE, m);
	}
	assert_false(left_encrypted());
	assert_int_equal(fx_drops(DP_DROP_runt), 14 + 20);
	assert_int_equal(fx_drops(DP_DROP_ip_header), 40);
}

static void one(int port, const uint8_t *packet, size_t len, enum dp_drop why)
{
	uint64_t before = fx_drops(why);
	fx_input(port, packet, len);
	fx_run();
	assert_int_equal(fx_drops(why), before + 1);
	assert_false(left_encrypted());
}

static void fix_sum(uint8_t *p)
{
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// Row 92, clear side.
static void clear_ipv4_headers(void **state)
{
	(void)state;
	uint8_t p[256];
	size_t n = fx_ipv4(p, HOST, INNER, PROTO_UDP, 40);
	p[0] = 0x44;
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	p[0] = 0x46;
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, 24)));
	one(FX_INSIDE, p, n, DP_DROP_ip_options);
	p[0] = 0x55;
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	n = fx_ipv4(p, HOST, INNER, PROTO_UDP, 40);
	set_be16(p + 2, (uint16_t)(n + 1));
	fix_sum(p);
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	set_be16(p + 2, 19);
	fix_sum(p);
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	fx_ipv4(p, HOST, INNER, PROTO_UDP, 40);
	p[11] ^= 1;
	one(FX_INSIDE, p, n, DP_DROP_ip_checksum);
	fx_ipv4(p, HOST, INNER, PROTO_UDP, 40);
	p[8] = 1;
	fix_sum(p);
	one(FX_INSIDE, p, n, DP_DROP_ttl);
	p[8] = 0;
	fix_sum(p);
	one(FX_INSIDE, p, n, DP_DROP_ttl);
	static const char *const sources[] = {
		"0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255"};
	for (size_t i = 0; i < RTE_DIM(sources); i++) {
		n = fx_ipv4(p, sources[i], INNER, PROTO_UDP, 8);
		one(FX_INSIDE, p, n, DP_DROP_ip_source);
	}
	static const char *const targets[] = {"0.0.0.0", "127.0.0.1", "239.1.1.1", "169.254.1.1"};
	for (size_t i = 0; i < RTE_DIM(targets); i++) {
		n = fx_ipv4(p, HOST, targets[i], PROTO_UDP, 8);
		one(FX_INSIDE, p, n, DP_DROP_ip_destination);
	}
}

// IPv6 extension headers: followed, bounded, never past the packet.
static void ipv6_extension_headers(void **state)
{
	(void)state;
	static const char *const src = "2001:db8:99::5", *const dst = "2001:db8:77::1";
	uint8_t p[512];
	size_t n = fx_ipv6(p, src, dst, 0, 160);
	// A chain of hop-by-hop headers without an end.
	memset(p + IP6_HDR, 0, 160);
	one(FX_INSIDE, p, n, DP_DROP_ip_options);
	// One that points behind the packet.
	p[IP6_HDR + 1] = 255;
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	// Routing header of type 0.
	p[6] = 43;
	p[IP6_HDR] = PROTO_UDP;
	p[IP6_HDR + 1] = 0;
	p[IP6_HDR + 2] = 0;
	one(FX_INSIDE, p, n, DP_DROP_ip_options);
	// A header of which only half is there.
	n = fx_ipv6(p, src, dst, 60, 4);
	one(FX_INSIDE, p, n, DP_DROP_ip_header);
	// A fragment that a second fragment header would make whole again.
	n = fx_ipv6(p, src, dst, 44, 40);
	memset(p + IP6_HDR, 0, 16);
	p[IP6_HDR] = 44;
	p[IP6_HDR + 3] = 1;
	p[IP6_HDR + 8] = PROTO_UDP;
	one(FX_INSIDE, p, n, DP_DROP_ip_options);
	// A good one passes on: the pool's address has no tunnel.
	n = fx_ipv6(p, src, dst, 60, 24);
	memset(p + IP6_HDR, 0, 8);
	p[IP6_HDR] = PROTO_UDP;
	one(FX_INSIDE, p, n, DP_DROP_no_tunnel);
	// Outside, ESP does not stand behind such headers.
	n = fx_ipv6(p, "2001:db8:5::1", "2001:db8:1::1", 60, 64);
	memset(p + IP6_HDR, 0, 8);
	p[IP6_HDR] = PROTO_ESP;
	one(FX_OUTSIDE, p, n, DP_DROP_ip_options);
}

// Row 84: fragments inside the tunnel are the hosts' business.
static void inner_fragments_pass(void **state)
{
	(void)state;
	uint8_t p[256], esp[512], got[512];
	for (unsigned k = 0; k < 2; k++) {
		size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
		set_be16(p + 6, k ? 0x0005 : 0x2000);
		fix_sum(p);
		fx_input_esp(PEER, 0, 0, esp, oracle_wrap(&in, k + 1, p, n, 4, esp));
		fx_run();
		assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), n);
	}
}

// Row 84: ESP in fragments goes nowhere but to reassembly, on the control thread.
static void outer_fragments_are_not_decrypted(void **state)
{
	(void)state;
	uint8_t p[512], esp[512], got[512];
	size_t n = oracle_wrap(&in, 1, p, fx_ipv4(p, INNER, HOST, PROTO_UDP, 40), 4, esp);
	size_t len = fx_ipv4(p, PEER, "192.0.2.1", PROTO_ESP, n);
	memcpy(p + IP4_HDR, esp, n);
	set_be16(p + 6, 0x2000);
	fix_sum(p);
	fx_input(FX_OUTSIDE, p, len);
	fx_step(0);
	assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)), 0);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.punts), 1);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.esp_in_packets), 0);
	fx_run();
}

// Other hosts' frames, other protocols.
static void foreign_frames(void **state)
{
	(void)state;
	uint8_t frame[128] = {0};
	size_t n = inside_frame(frame, 20);
	frame[5] ^= 1;
	assert_true(nic_input(fx.nic[FX_INSIDE], frame, n) >= 0);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_not_for_us), 1);
	frame[5] ^= 1;
	set_be16(frame + 12, 0x88cc);
	assert_true(nic_input(fx.nic[FX_INSIDE], frame, n) >= 0);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ethertype), 1);
	// IPv6 in a frame that says IPv4.
	set_be16(frame + 12, RTE_ETHER_TYPE_IPV4);
	fx_ipv6(frame + 14, "2001:db8::1", "2001:db8::2", PROTO_UDP, 8);
	assert_true(nic_input(fx.nic[FX_INSIDE], frame, 14 + 48) >= 0);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ip_header), 1);
	// Broadcast is not routed.
	n = inside_frame(frame, 20);
	memset(frame, 0xff, 6);
	assert_true(nic_input(fx.nic[FX_INSIDE], frame, n) >= 0);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ip_destination), 1);
	assert_false(left_encrypted());
}

// A punt ring that nobody empties: counted drops, and ESP goes on.
static void punt_rings_are_bounded(void **state)
{
	(void)state;
	uint8_t ike[64] = {0}, p[512], esp[512];
	ike[4] = 1;     // initiator's SPI, behind the non-ESP marker
	ike[23] = 0x08; // from the original initiator
	for (unsigned i = 0; i < DP_PUNT_RING + 10; i++) {
		fx_input_esp(PEER, 4500, 0, ike, sizeof(ike));
		fx_step(0);
	}
	assert_int_equal(fx_drops(DP_DROP_punt_ike_new_full), 10);
	assert_int_equal(fx_drops(DP_DROP_punt_ike_full), 0);
	ike[12] = 1; // responder's SPI, which is known: the other ring
	fx.dp->sa_sink.ike_spi(fx.dp->sa_sink.ctx, 1ull << 56, true);
	fx_input_esp(PEER, 4500, 0, ike, sizeof(ike));
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 40);
	fx_input_esp(PEER, 0, 0, esp, oracle_wrap(&in, 1, p, n, 4, esp));
	fx_step(0);
	assert_int_equal(fx_drops(DP_DROP_punt_ike_full), 0);
	assert_true(fx_output(FX_INSIDE, p, sizeof(p)) > 0);
	fx_run();
	assert_int_equal(fx.ike_count, DP_PUNT_RING + 1);
}

static void punt_ring_of_known_ike_is_bounded(void **state)
{
	(void)state;
	uint8_t ike[64] = {[4] = 1, [12] = 1, [23] = 0x08}; // from the original initiator
	fx.dp->sa_sink.ike_spi(fx.dp->sa_sink.ctx, 1ull << 56, true);
	for (unsigned i = 0; i < DP_PUNT_RING + 5; i++) {
		fx_input_esp(PEER, 4500, 0, ike, sizeof(ike));
		fx_step(0);
	}
	assert_int_equal(fx_drops(DP_DROP_punt_ike_full), 5);
	assert_int_equal(fx_drops(DP_DROP_punt_ike_new_full), 0);
}

static void punt_ring_of_the_rest_is_bounded(void **state)
{
	(void)state;
	uint8_t p[128];
	size_t n = fx_ipv4(p, HOST, "10.99.0.1", PROTO_TCP, 40);
	for (unsigned i = 0; i < DP_PUNT_RING + 7; i++) {
		fx_input(FX_INSIDE, p, n);
		fx_step(0);
	}
	assert_int_equal(fx_drops(DP_DROP_punt_full), 7);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_local_proto), DP_PUNT_RING);
}

static struct rte_mbuf *ctl_frame(void)
{
	struct rte_mbuf *m = dp_ctl_alloc(fx.dp, 64);
	if (m)
		memset(rte_pktmbuf_append(m, 64), 0, 64);
	return m;
}

static void inject_ring_is_bounded(void **state)
{
	(void)state;
	for (unsigned i = 0; i < DP_INJECT_RING + 3; i++)
		dp_inject(fx.dp, FX_OUTSIDE, ctl_frame());
	assert_int_equal(fx_drops(DP_DROP_inject_full), 3);
	fx_run();
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.tx_packets), DP_INJECT_RING);
}

// What was given to a worker before it is told to end still leaves.
static void a_worker_that_ends_sends_the_rest(void **state)
{
	(void)state;
	struct dp_worker *w = fx.dp->workers[0];
	for (unsigned i = 0; i < 3 * DP_BURST; i++)
		dp_inject(fx.dp, FX_OUTSIDE, ctl_frame());
	atomic_store(&w->stop, true);
	assert_int_equal(dp_worker_main(w), 0);
	assert_int_equal(dp_get(&w->stats.tx_packets), 3 * DP_BURST);
	atomic_store(&w->stop, false);
}

// A NIC that takes no more, and a port that has no queue at all.
static void ports_that_do_not_send(void **state)
{
	(void)state;
	unsigned sent = 0;
	while (fx_drops(DP_DROP_tx_full) == 0 && sent < 100000) {
		dp_inject(fx.dp, FX_OUTSIDE, ctl_frame());
		fx_run();
		sent++;
	}
	assert_int_equal(fx_drops(DP_DROP_tx_full), 1);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.tx_packets), sent - 1);
	fx.dp->ports[FX_OUTSIDE].tx_queues = 0;
	dp_inject(fx.dp, FX_OUTSIDE, ctl_frame());
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_port_down), 1);
	fx.dp->ports[FX_OUTSIDE].tx_queues = 1;
}

static void control_thread_without_buffers(void **state)
{
	(void)state;
	static struct rte_mbuf *all[16384];
	static const uint8_t message[64];
	unsigned n = 0;
	struct ike_datagram dg = {.local = {fx_ip("192.0.2.1"), 500},
		.remote = {fx_ip(PEER), 500},
		.bytes = {message, sizeof(message)}};
	while (n < RTE_DIM(all) && (all[n] = ctl_frame()))
		n++;
	assert_in_range(n, 1, RTE_DIM(all) - 1);
	dp_send(fx.dp, &dg);
	assert_int_equal(fx_drops(DP_DROP_no_mbuf), 1);
	// A worker's copy for the control thread comes from the same pool.
	uint8_t p[128];
	one(FX_INSIDE, p, fx_ipv4(p, HOST, "10.99.0.1", PROTO_TCP, 40), DP_DROP_punt_full);
	rte_pktmbuf_free_bulk(all, n);
	dp_send(fx.dp, &dg);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_no_mbuf), 1);
}

static void icmp_for_the_gateway(void **state)
{
	(void)state;
	uint8_t p[128];
	one(FX_INSIDE, p, fx_ipv4(p, HOST, "10.99.0.1", PROTO_ICMP, 7), DP_DROP_icmp_malformed);
	one(FX_INSIDE, p, fx_ipv4(p, HOST, "10.99.0.1", PROTO_ICMP, 8), DP_DROP_icmp_checksum);
	// In fragments, from the outside.
	size_t n = fx_ipv4(p, PEER, "192.0.2.1", PROTO_ICMP, 64);
	set_be16(p + 6, 0x2000);
	fix_sum(p);
	one(FX_OUTSIDE, p, n, DP_DROP_outer_fragment);
}

// What the library refuses to encrypt does not leave in clear.
static void crypto_that_is_refused(void **state)
{
	(void)state;
	uint8_t p[256];
	struct sa_spec cin, cout;
	uint32_t t = fx_tunnel(0, "10.1.0.3", PEER, 0);
	fx_child(t, 0, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128, "10.1.0.3", &cin, &cout);
	struct dp_worker *w = fx.dp->workers[0];
	struct dp_sa *sa = dp_slab_at(&w->out, dp_spi_slot(&w->layout, cout.child));
	assert_non_null(sa);
	sa->align = 4; // which is no whole number of CBC's blocks
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, "10.1.0.3", PROTO_UDP, 44));
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_crypto), 1);
	assert_false(left_encrypted());
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		WITH(a_chain_of_single_bytes),
		WITH(a_chain_too_long_for_one_segment),
		WITH(no_room_for_encapsulation),
		WITH(cut_frames),
		WITH(clear_ipv4_headers),
		WITH(ipv6_extension_headers),
		WITH(inner_fragments_pass),
		WITH(outer_fragments_are_not_decrypted),
		WITH(foreign_frames),
		WITH(punt_rings_are_bounded),
		WITH(punt_ring_of_known_ike_is_bounded),
		WITH(punt_ring_of_the_rest_is_bounded),
		WITH(inject_ring_is_bounded),
		WITH(a_worker_that_ends_sends_the_rest),
		WITH(ports_that_do_not_send),
		WITH(control_thread_without_buffers),
		WITH(icmp_for_the_gateway),
		WITH(crypto_that_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
