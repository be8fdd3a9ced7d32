// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mbufs in shapes that are allowed but rare, and rings, pools and ports at their end: what does not fit is
// dropped by name, and nothing is read or written outside of it.
#include "dataplane/warm.h"

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
	struct rte_mbuf *burst[2] = {m};
	dp_warm_begin(&w->warm, burst, 1, port == FX_OUTSIDE);
	dp_warm_end(&w->warm);
	dp_classify_burst(w, &fx.dp->ports[port], burst, 1, w->warm.found);
	dp_run_stages(w);
	dp_tx_flush(w);
	if (fx.owner)
		fx_run();
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

// What the library refuses to encrypt does not leave in clear.
static void crypto_that_is_refused(void **state)
{
	(void)state;
	uint8_t p[256];
	struct sa_spec cin, cout;
	uint32_t t = fx_tunnel(0, "10.1.0.3", PEER, 0);
	fx_child(t, 0, ENCR_AES_CBC, 128, INTEG_HMAC_SHA2_256_128, "10.1.0.3", &cin, &cout);
	struct dp_worker *w = fx.dp->workers[fx.owner];
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
		WITH(foreign_frames),
		WITH(punt_rings_are_bounded),
		WITH(punt_ring_of_known_ike_is_bounded),
		WITH(punt_ring_of_the_rest_is_bounded),
		WITH(inject_ring_is_bounded),
		WITH(a_worker_that_ends_sends_the_rest),
		WITH(ports_that_do_not_send),
		WITH(control_thread_without_buffers),
		WITH(crypto_that_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
