// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which of IKE's punt rings a datagram comes into, and that a flood of the others keeps none of
// the established from the control thread.
#include "tests/cmocka_all.h"
#include "tests/dataplane/fixture.h"

#define PEER      "198.51.100.7"
#define OURS      0x1a2b3c4d5e6f7081ull
#define THEIRS    0x2b3c4d5e6f708192ull
#define V1        0x10
#define V2        0x20
#define INITIATOR 0x08
#define RESPONSE  0x20
#define FLOOD     10000

static int start(void **state)
{
	(void)state;
	fx_start(2, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

static void known(uint64_t spi, bool yes)
{
	fx.dp->sa_sink.ike_spi(fx.dp->sa_sink.ctx, spi, yes);
}

static void set_be64(uint8_t *p, uint64_t v)
{
	for (unsigned i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

// An INFORMATIONAL's header, from the peer to the outside port.
static void ike_of(uint8_t version, uint16_t port, uint64_t spi_i, uint64_t spi_r, uint8_t flags)
{
	uint8_t p[IP4_HDR + UDP_HDR + 4 + 28], *u = p + IP4_HDR, *h = u + UDP_HDR;
	size_t marker = port == 4500 ? 4 : 0;
	size_t len = fx_ipv4(p, PEER, "192.0.2.1", PROTO_UDP, UDP_HDR + marker + 28);
	memset(u, 0, len - IP4_HDR);
	set_be16(u, port);
	set_be16(u + 2, port);
	set_be16(u + 4, (uint16_t)(len - IP4_HDR));
	h += marker;
	set_be64(h, spi_i);
	set_be64(h + 8, spi_r);
	h[17] = version;
	h[18] = version == V1 ? 5 : 37;
	h[19] = flags;
	h[27] = 28;
	fx_input(FX_OUTSIDE, p, len);
}

static void ike(uint16_t port, uint64_t spi_i, uint64_t spi_r, uint8_t flags)
{
	ike_of(V2, port, spi_i, spi_r, flags);
}

static unsigned waiting(unsigned worker, enum dp_punt_ring ring)
{
	return rte_ring_count(fx.dp->workers[worker]->punt_ring[ring]);
}

static void expect(unsigned in_known, unsigned in_new, unsigned unknown)
{
	fx_step(0);
	assert_int_equal(waiting(0, DP_RING_IKE_KNOWN), in_known);
	assert_int_equal(waiting(0, DP_RING_IKE_NEW), in_new);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.ike_unknown), unknown);
	fx.ike_count = 0;
	fx_run();
	assert_int_equal(fx.ike_count, in_known + in_new);
}

static void by_spi(void **state)
{
	(void)state;
	ike(500, THEIRS, OURS, INITIATOR); // not known yet
	expect(0, 1, 1);
	known(OURS, true);
	for (uint16_t port = 500; port <= 4500; port += 4000) {
		ike(port, THEIRS, OURS, INITIATOR); // we are the original responder
		expect(1, 0, 1);
		ike(port, THEIRS, OURS, INITIATOR | RESPONSE);
		expect(1, 0, 1);
		ike(port, OURS, THEIRS, RESPONSE); // the original initiator
		expect(1, 0, 1);
		ike(port, OURS, THEIRS, 0);
		expect(1, 0, 1);
		ike(port, OURS, 0, RESPONSE); // a cookie for us
		expect(1, 0, 1);
	}
	ike(500, THEIRS, 0, INITIATOR); // a first message
	expect(0, 1, 1);
	ike(500, OURS, THEIRS, INITIATOR); // ours in the other's place
	expect(0, 1, 2);
	ike(500, THEIRS, OURS, RESPONSE);
	expect(0, 1, 3);
	ike(4500, THEIRS, OURS ^ 1, INITIATOR); // forged
	expect(0, 1, 4);
	ike(4500, THEIRS, OURS ^ 1ull << 40, INITIATOR);
	expect(0, 1, 5);
	known(OURS, false);
	ike(500, THEIRS, OURS, INITIATOR);
	expect(0, 1, 6);
}

// IKEv1: either cookie may be ours, and the flags (encryption, commit, authentication only) say
// nothing about it.
static void by_cookie(void **state)
{
	(void)state;
	static const struct {
		uint64_t i, r;
		unsigned known, unknown;
	} rows[] = {
		{THEIRS, OURS, 1, 0},     // we are the responder
		{OURS, THEIRS, 1, 0},     // the initiator
		{OURS, OURS, 1, 0},       // a reflection, for the engine to refuse
		{THEIRS, 0, 0, 0},        // a first message
		{OURS, 0, 0, 0},          // the same
		{THEIRS, OURS ^ 1, 0, 1}, // forged
		{OURS ^ 1, THEIRS, 0, 1}, {0, THEIRS, 0, 0}, // no cookie at all
	};
	known(OURS, true);
	unsigned unknown = 0;
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		for (unsigned flags = 0; flags < 16; flags++) {
			ike_of(V1, 4500, rows[i].i, rows[i].r, (uint8_t)flags);
			expect(rows[i].known, !rows[i].known, unknown += rows[i].unknown);
			if (rows[i].i == 0)
				continue; // on port 500 eight zero bytes are another thing
			ike_of(V1 | 1, 500, rows[i].i, rows[i].r, (uint8_t)flags);
			expect(rows[i].known, !rows[i].known, unknown += rows[i].unknown);
		}
	known(OURS, false);
	ike_of(V1, 500, THEIRS, OURS, 0);
	expect(0, 1, ++unknown);
	ike_of(V1, 500, OURS, THEIRS, 0);
	expect(0, 1, ++unknown);
}

static void counter(void **state)
{
	(void)state;
	const char *name, *help;
	uint64_t value;
	ike(500, THEIRS, OURS, INITIATOR);
	fx_run();
	for (size_t i = 0; dp_counter(fx.dp, i, &name, &value, &help); i++)
		if (strcmp(name, "dp_ike_unknown") == 0) {
			assert_int_equal(value, 1);
			return;
		}
	fail_msg("no counter");
}

// Both workers' rings of new IKE, and of the rest, run over while control does not look.
static void flood(unsigned packets)
{
	uint8_t p[2048];
	for (unsigned i = 0; i < packets; i++) {
		nic_force_queue(fx.nic[FX_OUTSIDE], (int)(i % 2));
		ike(i & 4 ? 500 : 4500, THEIRS + i, i & 2 ? 0x9e3779b97f4a7c15ull * (i + 1) : 0,
			INITIATOR);
		if (i / 2 % 2) // ICMP for the gateway
			fx_input(FX_OUTSIDE, p, fx_ipv4(p, PEER, "192.0.2.1", PROTO_ICMP, 64));
		if (i % 16 == 15) {
			fx_step(0);
			fx_step(1);
		}
	}
	fx_step(0);
	fx_step(1);
}

static void known_in_flood(void **state)
{
	(void)state;
	known(OURS, true);
	flood(FLOOD);
	assert_int_equal(fx_drops(DP_DROP_punt_ike_new_full), FLOOD - 2 * DP_PUNT_RING);
	assert_true(fx_drops(DP_DROP_punt_full) > 0);
	// So many as a ring holds still get in, at each worker, into buffers of their own.
	for (unsigned i = 0; i < 2 * DP_PUNT_RING; i++) {
		nic_force_queue(fx.nic[FX_OUTSIDE], (int)(i % 2));
		ike(4500, THEIRS, OURS, INITIATOR);
		if (i % 16 == 15) {
			fx_step(0);
			fx_step(1);
		}
	}
	for (unsigned worker = 0; worker < 2; worker++) {
		assert_int_equal(waiting(worker, DP_RING_IKE_KNOWN), DP_PUNT_RING);
		assert_int_equal(waiting(worker, DP_RING_IKE_NEW), DP_PUNT_RING);
		assert_int_equal(waiting(worker, DP_RING_REST), DP_PUNT_RING);
	}
	assert_int_equal(fx_drops(DP_DROP_punt_ike_full), 0);
	assert_int_equal(fx_drops(DP_DROP_no_mbuf), 0);
	// And control can still send.
	struct rte_mbuf *m = dp_ctl_alloc(fx.dp, 100);
	assert_non_null(m);
	rte_pktmbuf_free(m);
}

// A poll takes so many of each ring and no more, the established first.
static void shares_of_a_poll(void **state)
{
	(void)state;
	known(OURS, true);
	flood(8 * DP_PUNT_RING);
	ike(4500, THEIRS, OURS, INITIATOR);
	fx_step(0);
	fx_step(1);
	fx.ike_count = 0;
	dp_poll(fx.dp, fx.now_ns);
	assert_int_equal(fx.ike_count, 1 + 2 * DP_PUNT_POLL);
	assert_true(fx.ike_spi_r[0] == OURS);
	for (unsigned worker = 0; worker < 2; worker++) {
		assert_int_equal(waiting(worker, DP_RING_IKE_KNOWN), 0);
		assert_int_equal(waiting(worker, DP_RING_IKE_NEW), DP_PUNT_RING - DP_PUNT_POLL);
		assert_int_equal(waiting(worker, DP_RING_REST), DP_PUNT_RING - DP_PUNT_POLL);
	}
}

// A known peer that speaks at any time of a long flood is heard at the next poll.
static void known_all_along(void **state)
{
	(void)state;
	known(OURS, true);
	unsigned heard = 0;
	for (unsigned round = 0; round < FLOOD / 500; round++) {
		flood(500);
		nic_force_queue(fx.nic[FX_OUTSIDE], (int)(round % 2));
		ike(4500, THEIRS, OURS, INITIATOR);
		fx_step(round % 2);
		fx.ike_count = 0;
		dp_poll(fx.dp, fx.now_ns);
		heard += fx.ike_spi_r[0] == OURS;
	}
	assert_int_equal(heard, FLOOD / 500);
	assert_true(fx_drops(DP_DROP_punt_ike_new_full) > 0);
	assert_int_equal(fx_drops(DP_DROP_punt_ike_full), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(by_spi, start, stop),
		cmocka_unit_test_setup_teardown(by_cookie, start, stop),
		cmocka_unit_test_setup_teardown(counter, start, stop),
		cmocka_unit_test_setup_teardown(known_in_flood, start, stop),
		cmocka_unit_test_setup_teardown(shares_of_a_poll, start, stop),
		cmocka_unit_test_setup_teardown(known_all_along, start, stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
