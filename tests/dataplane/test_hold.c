// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets that come before their tunnel's SA: kept within bounds, told at once, sent in order.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include <stdio.h>

#define PEER  "198.51.100.7"
#define INNER "10.1.0.2"
#define HOST  "10.99.0.5"
#define SIZE  (IP4_HDR + 40u)

static struct sa_spec in, out;

static const struct sa_sink *sink(void)
{
	return &fx.dp->sa_sink;
}

static int start(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

static int start_two(void **state)
{
	(void)state;
	fx_start(2, NIC_HASH_UDP, NIC_HASH_DST);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

static uint32_t tunnel(unsigned worker, const char *inner, bool hold)
{
	struct tunnel_spec spec = {.worker = (uint16_t)worker,
		.path = fx_path(PEER, 4500),
		.session = 77,
		.hold = hold};
	return fx_tunnel_of(&spec, inner);
}

static void child(uint32_t t, unsigned worker, const char *inner)
{
	fx_child(t, worker, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
}

// Each packet tells its number.
static void send_numbered(const char *dst, unsigned from, unsigned n)
{
	uint8_t p[SIZE];
	for (unsigned i = from; i < from + n; i++) {
		size_t len = fx_ipv4(p, HOST, dst, PROTO_UDP, SIZE - IP4_HDR);
		set_be16(p + len - 2, (uint16_t)i);
		fx_input(FX_INSIDE, p, len);
		fx_run();
	}
}

// The number of the next packet that left by `out`, or -1.
static int next_out(void)
{
	uint8_t p[512], plain[512];
	size_t at = IP4_HDR + UDP_HDR, len = fx_output(FX_OUTSIDE, p, sizeof(p));
	if (len == 0)
		return -1;
	assert_true(oracle_open(&out, 0, p + at, len - at, plain) > SIZE);
	return get_be16(plain + SIZE - 2);
}

static void kept_and_sent_in_order(void **state)
{
	(void)state;
	uint32_t t = tunnel(0, INNER, true);
	send_numbered(INNER, 1, 1);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 1);
	assert_int_equal(fx_event(SA_EVENT_NO_CHILD)->tunnel, t);
	assert_int_equal(fx_event(SA_EVENT_NO_CHILD)->session, 77);
	send_numbered(INNER, 2, 4);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 1);
	fx.now_ns += DP_NO_CHILD_NS;
	send_numbered(INNER, 6, 1);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 2);
	assert_int_equal(next_out(), -1);
	child(t, 0, INNER);
	send_numbered(INNER, 7, 1);
	for (int i = 1; i <= 7; i++)
		assert_int_equal(next_out(), i);
	assert_int_equal(next_out(), -1);
	struct sa_counters c;
	assert_true(sink()->sa_stats(sink()->ctx, out.child, SA_OUT, &c));
	assert_int_equal(c.packets, 7);
	assert_int_equal(c.seq, 7);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), 0);
	// The SA is lost within a second of the last report: told at once all the same.
	sink()->sa_del(sink()->ctx, out.child, SA_OUT);
	fx_run();
	send_numbered(INNER, 8, 1);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 3);
}

static void not_kept_where_not_asked_for(void **state)
{
	(void)state;
	uint32_t t = tunnel(0, INNER, false);
	send_numbered(INNER, 1, 2);
	assert_int_equal(fx_drops(DP_DROP_no_child), 2);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 1);
	child(t, 0, INNER);
	assert_int_equal(next_out(), -1);
}

// The oldest ones are what is kept.
static void a_tunnel_keeps_so_many(void **state)
{
	(void)state;
	uint32_t t = tunnel(0, INNER, true);
	send_numbered(INNER, 1, DP_HOLD_TUNNEL + 4);
	assert_int_equal(fx_drops(DP_DROP_hold_full), 4);
	child(t, 0, INNER);
	for (int i = 1; i <= DP_HOLD_TUNNEL; i++)
		assert_int_equal(next_out(), i);
	assert_int_equal(next_out(), -1);
}

static void a_worker_keeps_so_many(void **state)
{
	(void)state;
	uint32_t t[DP_HOLD_WORKER / DP_HOLD_TUNNEL + 1];
	char inner[RTE_DIM(t)][IP_TEXT_MAX];
	for (unsigned i = 0; i < RTE_DIM(t); i++) {
		snprintf(inner[i], sizeof(inner[i]), "10.1.3.%u", i + 1);
		t[i] = tunnel(0, inner[i], true);
		send_numbered(inner[i], 1, DP_HOLD_TUNNEL);
	}
	assert_int_equal(fx_drops(DP_DROP_hold_full), DP_HOLD_TUNNEL);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), DP_HOLD_WORKER);
	// One that goes makes room; nobody else's packets leave by an SA.
	child(t[1], 0, inner[1]);
	for (int i = 1; i <= DP_HOLD_TUNNEL; i++)
		assert_int_equal(next_out(), i);
	assert_int_equal(next_out(), -1);
	send_numbered(inner[RTE_DIM(t) - 1], 1, 1);
	assert_int_equal(fx_drops(DP_DROP_hold_full), DP_HOLD_TUNNEL);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), DP_HOLD_WORKER - DP_HOLD_TUNNEL + 1);
}

static void not_longer_than_so_long(void **state)
{
	(void)state;
	uint32_t a = tunnel(0, INNER, true), b = tunnel(0, "10.1.0.3", true);
	send_numbered(INNER, 1, 2);
	fx.now_ns += NS_PER_S;
	send_numbered("10.1.0.3", 1, 1);
	send_numbered(INNER, 3, 1);
	fx.now_ns += DP_HOLD_NS - NS_PER_S - 1;
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_hold_timeout), 0);
	fx.now_ns++;
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_hold_timeout), 2);
	child(a, 0, INNER);
	assert_int_equal(next_out(), 3);
	assert_int_equal(next_out(), -1);
	fx.now_ns += NS_PER_S;
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_hold_timeout), 3);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), 0);
	child(b, 0, "10.1.0.3");
	assert_int_equal(next_out(), -1);
}

static void gone_with_the_tunnel(void **state)
{
	(void)state;
	uint32_t a = tunnel(0, INNER, true), b = tunnel(0, "10.1.0.3", true);
	send_numbered(INNER, 1, 3);
	send_numbered("10.1.0.3", 1, 2);
	send_numbered(INNER, 4, 1);
	sink()->tunnel_del(sink()->ctx, a);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_stale_tunnel), 4);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), 2);
	// Whoever has the address next has nothing of it.
	child(tunnel(0, INNER, true), 0, INNER);
	assert_int_equal(next_out(), -1);
	child(b, 0, "10.1.0.3");
	assert_int_equal(next_out(), 1);
	assert_int_equal(next_out(), 2);
	// What still waits when the worker ends goes back to its pool.
	send_numbered(INNER, 1, 1);
	sink()->sa_del(sink()->ctx, out.child, SA_OUT);
	fx_run();
	send_numbered("10.1.0.3", 3, 1);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), 2);
	dp_hold_free(&fx.dp->workers[fx.owner]->hold);
	uint8_t p[512];
	assert_true(fx_output(FX_OUTSIDE, p, sizeof(p)) > 0);
	assert_int_equal(nic_in_use(fx.nic[FX_INSIDE]), 0);
}

// A stopped SA is no SA, and its successor takes over.
static void behind_a_hard_limit(void **state)
{
	(void)state;
	uint32_t t = tunnel(0, INNER, true), spi;
	struct tunnel_path path = fx_path(PEER, 4500);
	assert_int_equal(sink()->spi_reserve(sink()->ctx, (uint16_t)fx.owner, &path, &spi), 0);
	out = fx_spec(t, SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	out.child = spi;
	out.spi = FX_PEER_SPI;
	out.hard_packets = 2;
	assert_int_equal(sink()->sa_add(sink()->ctx, &out), 0);
	sink()->sa_switch(sink()->ctx, spi);
	send_numbered(INNER, 1, 5);
	assert_int_equal(next_out(), 1);
	assert_int_equal(next_out(), 2);
	assert_int_equal(next_out(), -1);
	assert_int_equal(fx_event_count(SA_EVENT_HARD_LIMIT), 1);
	assert_int_equal(fx_event_count(SA_EVENT_NO_CHILD), 1);
	child(t, 0, INNER);
	for (int i = 3; i <= 5; i++)
		assert_int_equal(next_out(), i);
	assert_int_equal(next_out(), -1);
}

// Of several children each sends what it selects.
static void each_child_its_own(void **state)
{
	(void)state;
	uint32_t t = tunnel(0, "172.20.0.0/24", true);
	struct ip_prefix other = fx_prefix("172.20.1.0/24");
	assert_int_equal(sink()->route_add(sink()->ctx, t, &other), 0);
	for (unsigned i = 1; i <= 3; i++) {
		send_numbered("172.20.0.1", 2 * i, 1);
		send_numbered("172.20.1.1", 2 * i + 1, 1);
	}
	child(t, 0, "172.20.1.0/24");
	for (int i = 1; i <= 3; i++)
		assert_int_equal(next_out(), 2 * i + 1);
	assert_int_equal(next_out(), -1);
	child(t, 0, "172.20.0.0/24");
	for (int i = 1; i <= 3; i++)
		assert_int_equal(next_out(), 2 * i);
	assert_int_equal(next_out(), -1);
	assert_int_equal(fx_drops(DP_DROP_no_selector), 0);
}

// They wait at the tunnel's worker, wherever they came in.
static void those_of_other_workers_too(void **state)
{
	(void)state;
	char dst[IP_TEXT_MAX];
	for (unsigned worker = 0; worker < 2; worker++) {
		snprintf(dst, sizeof(dst), "172.21.%u.0/24", worker);
		char net[IP_TEXT_MAX + 4];
		memcpy(net, dst, sizeof(dst));
		uint32_t t = tunnel(worker, net, true);
		for (unsigned i = 1; i <= 12; i++) {
			snprintf(dst, sizeof(dst), "172.21.%u.%u", worker, i);
			send_numbered(dst, i, 1);
		}
		assert_int_equal(next_out(), -1);
		child(t, worker, net);
		for (int i = 1; i <= 12; i++)
			assert_int_equal(next_out(), i);
		assert_int_equal(dp_get(&fx.dp->workers[worker]->stats.esp_out_packets), 12);
		assert_true(dp_get(&fx.dp->workers[worker]->stats.handoff_in) > 0);
	}
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		WITH(kept_and_sent_in_order),
		WITH(not_kept_where_not_asked_for),
		WITH(a_tunnel_keeps_so_many),
		WITH(a_worker_keeps_so_many),
		WITH(not_longer_than_so_long),
		WITH(gone_with_the_tunnel),
		WITH(behind_a_hard_limit),
		WITH(each_child_its_own),
		cmocka_unit_test_setup_teardown(those_of_other_workers_too, start_two, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
