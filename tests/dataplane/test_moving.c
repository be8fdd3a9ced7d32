// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Peers whose outer address or port changes: who may say so, how often it is told, and what that does
// to the workers and the counters.
#include "tests/cmocka_all.h"

#include "tests/dataplane/handoff_cases.h"

#include <stdio.h>

#define HOST "10.99.0.5"
#define PEER "198.51.100.7"

static int start(void **state)
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

static const struct sa_sink *sink(void)
{
	return &fx.dp->sa_sink;
}

// A client whose packets come to its own worker, and its address too.
static struct hc_client client(unsigned worker)
{
	struct hc_client c = {.peer = PEER, .owner = worker};
	c.peer_port = hc_port_for(PEER, worker, 20000);
	hc_inner_for(c.inner, worker, 0);
	hc_client_add(&c, NULL);
	fx_run();
	return c;
}

static void move_to(const struct hc_client *c)
{
	struct tunnel_path path = fx_path(c->peer, c->peer_port);
	sink()->tunnel_move(sink()->ctx, c->tunnel, &path);
	fx_run();
}

static void only(enum dp_handoff cause, uint64_t times)
{
	for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++)
		assert_int_equal(hc_count((enum dp_handoff)i), i == cause ? times : 0);
}

static void up(struct hc_client *c)
{
	uint8_t p[2048];
	hc_send(c, c->inner, HOST);
	fx_run();
	assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), IP4_HDR + HC_PAYLOAD);
}

// ---- Causes ----

// The inbound SA of another child of the client's tunnel, by this SPI.
static void rekey(struct hc_client *c, uint32_t spi)
{
	c->in = fx_spec(c->tunnel, SA_IN, ENCR_AES_GCM_16, 128, 0, c->inner);
	struct ip_prefix all = {.addr.family = IP_V4};
	struct ip_range range = ip_prefix_range(&all);
	c->in.ts_local[0] = selector_of_range(&range);
	c->in.child = c->in.spi = spi;
	c->seq = 0;
	assert_int_equal(sink()->sa_add(sink()->ctx, &c->in), 0);
	fx_run();
}

static uint32_t reserve(const struct hc_client *c)
{
	struct tunnel_path path = fx_path(c->peer, c->peer_port);
	uint32_t spi;
	assert_int_equal(sink()->spi_reserve(sink()->ctx, (uint16_t)c->owner, &path, &spi), 0);
	return spi;
}

static void causes_follow(void **state)
{
	(void)state;
	struct hc_client c = client(0);
	up(&c);
	only(DP_HANDOFF_CAUSES, 0);
	uint32_t before = reserve(&c);
	c.peer_port = hc_port_for(PEER, 1, 30000);
	move_to(&c);
	up(&c);
	only(DP_HANDOFF_ROAMING, 1);
	// Rekeyed: with an SPI from before the move, and with one from after it.
	rekey(&c, before);
	up(&c);
	only(DP_HANDOFF_ROAMING, 2);
	rekey(&c, reserve(&c));
	up(&c);
	only(DP_HANDOFF_ROAMING, 3);
	// Back at a place of its worker's; what is late still comes by the old one.
	struct hc_client late = c;
	c.peer_port = hc_port_for(PEER, 0, 31000);
	move_to(&c);
	up(&c);
	only(DP_HANDOFF_ROAMING, 3);
	late.seq = c.seq;
	up(&late);
	only(DP_HANDOFF_ROAMING, 4);
	// An SA that has been here only: a wrong queue is the NIC's fault.
	rekey(&c, reserve(&c));
	nic_force_queue(fx.nic[FX_OUTSIDE], 1);
	up(&c);
	assert_int_equal(hc_count(DP_HANDOFF_ROAMING), 4);
	assert_int_equal(hc_count(DP_HANDOFF_MISPREDICTED), 1);
}

// A client that never moved has another cause.
static void not_all_is_roaming(void **state)
{
	(void)state;
	struct hc_client c = {.peer = PEER, .owner = 0};
	c.peer_port = hc_port_for(PEER, 1, 20000);
	hc_inner_for(c.inner, 0, 0);
	hc_client_add(&c, NULL);
	fx_run();
	up(&c);
	rekey(&c, reserve(&c));
	up(&c);
	only(DP_HANDOFF_STICKY, 2);
}

// ---- Who may say so ----

static unsigned told(void)
{
	return fx_event_count(SA_EVENT_PEER_MOVED);
}

static void inner_packet(const char *from, uint16_t port, const struct sa_spec *sa, uint64_t seq)
{
	uint8_t p[128], esp[512];
	size_t len = fx_ipv4(p, "10.1.0.2", HOST, PROTO_UDP, 8);
	fx_input_esp(from, port, 0, esp, oracle_wrap(sa, seq, p, len, 4, esp));
	fx_run();
}

static void tell_places(const char *home, const char *away)
{
	static const uint16_t windows[] = {0, 64, 1024};
	for (size_t i = 0; i < RTE_DIM(windows); i++) {
		struct sa_spec in, out;
		uint32_t t = fx_tunnel(0, "10.1.0.2", home, 4500);
		fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, "10.1.0.2", &in, &out);
		sink()->sa_del(sink()->ctx, in.child, SA_IN);
		fx_run();
		struct tunnel_path path = fx_path(home, 4500);
		assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &in.spi), 0);
		in.child = in.spi;
		in.replay_window = windows[i];
		assert_int_equal(sink()->sa_add(sink()->ctx, &in), 0);
		fx_run();
		unsigned before = told();
		inner_packet(away, 7000, &in, 1); // the very first
		assert_int_equal(told(), before + 1);
		const struct sa_event *ev = fx_event(SA_EVENT_PEER_MOVED);
		struct endpoint at = {fx_ip(away), 7000};
		assert_true(endpoint_eq(&ev->remote, &at));
		assert_int_equal(ev->child, in.child);
		assert_int_equal(ev->tunnel, t);
		inner_packet(home, 4500, &in, 10);
		fx.now_ns += 2 * NS_PER_S;
		inner_packet(away, 7000, &in, 9);  // late
		inner_packet(away, 7000, &in, 10); // replayed; without a window it passes
		assert_int_equal(told(), before + 1);
		inner_packet(away, 7000, &in, 11);
		assert_int_equal(told(), before + 2);
		sink()->tunnel_del(sink()->ctx, t);
		fx_run();
	}
}

static void the_newest_alone(void **state)
{
	(void)state;
	tell_places("198.51.100.7", "203.0.113.9");
	tell_places("2001:db8:5::7", "2001:db8:5::8");
	tell_places("2001:db8:5::7", "203.0.113.9");
}

// Told again while it lasts, and not more often than so.
static void said_again_while_it_lasts(void **state)
{
	(void)state;
	struct hc_client c = client(0);
	up(&c);
	uint16_t home = c.peer_port;
	c.peer_port = hc_port_for(PEER, 0, 30000);
	for (unsigned i = 0; i < 30; i++, fx.now_ns += DP_MOVED_NS / 10)
		up(&c);
	assert_int_equal(told(), 3);
	// Where it has been led to, there is nothing to tell.
	move_to(&c);
	for (unsigned i = 0; i < 30; i++, fx.now_ns += DP_MOVED_NS / 10)
		up(&c);
	assert_int_equal(told(), 3);
	// And at once when it moves on, or back.
	c.peer_port = home;
	up(&c);
	assert_int_equal(told(), 4);
	assert_int_equal(fx_event(SA_EVENT_PEER_MOVED)->remote.port, home);
}

// A peer that changes with each packet does not keep the control plane busy.
static void not_with_each_packet(void **state)
{
	(void)state;
	struct hc_client c = client(0);
	for (unsigned i = 0; i < 1000; i++, fx.now_ns += NS_PER_MS) {
		c.peer_port = (uint16_t)(30000 + i);
		up(&c);
	}
	assert_in_range(told(), 9, 11);
}

// ---- A NAT that gives the client another port in mid-traffic ----

// What the control plane does.
static unsigned follow(unsigned seen)
{
	for (; seen < fx.event_count; seen++) {
		const struct sa_event *ev = &fx.events[seen];
		if (ev->type != SA_EVENT_PEER_MOVED)
			continue;
		struct tunnel_path path = fx_path(PEER, ev->remote.port);
		sink()->tunnel_move(sink()->ctx, ev->tunnel, &path);
	}
	return seen;
}

static void nat_rebinds_in_mid_traffic(void **state)
{
	(void)state;
	struct hc_client c = client(0);
	unsigned seen = fx.event_count, ups = 0, downs = 0, stale = 0, moves = 0;
	uint8_t p[2048], plain[2048];
	size_t len;
	for (unsigned i = 0; i < 2000; i++, fx.now_ns += NS_PER_MS) {
		if (i % 200 == 199) {
			c.peer_port = hc_port_for(PEER, ++moves % 2, (uint16_t)(20000 + i * 7));
		}
		hc_send(&c, c.inner, HOST);
		hc_reply(c.inner);
		fx_step(i % 2); // the other has its packets a round later
		dp_poll(fx.dp, fx.now_ns);
		seen = follow(seen);
		while ((len = fx_output(FX_OUTSIDE, p, sizeof(p)))) {
			size_t at = IP4_HDR + UDP_HDR;
			assert_true(oracle_open(&c.out, 0, p + at, len - at, plain) > 0);
			downs++;
			stale += get_be16(p + IP4_HDR + 2) != c.peer_port;
		}
		while (fx_output(FX_INSIDE, p, sizeof(p)))
			ups++;
	}
	fx_run();
	while (fx_output(FX_OUTSIDE, p, sizeof(p)))
		downs++;
	while (fx_output(FX_INSIDE, p, sizeof(p)))
		ups++;
	assert_int_equal(ups, 2000);
	assert_int_equal(downs, 2000);
	for (unsigned why = 0; why < DP_DROP_COUNT; why++)
		assert_int_equal(fx_drops((enum dp_drop)why), 0);
	assert_int_equal(told(), moves);
	// What still went to the old port is what was on its way, and no more.
	assert_in_range(stale, 0, moves * 4);
	// The queue was another one for half of the time: counted as what it is, but for the first
	// packets, by which it is found out.
	assert_in_range(hc_count(DP_HANDOFF_ROAMING), 2000 / 2 - 200 - moves * 4, 2000 / 2 + 200);
	assert_in_range(hc_count(DP_HANDOFF_MISPREDICTED), 0, 4);
	assert_int_equal(hc_count(DP_HANDOFF_STICKY), 0);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		WITH(causes_follow),
		WITH(not_all_is_roaming),
		WITH(the_newest_alone),
		WITH(said_again_while_it_lasts),
		WITH(not_with_each_packet),
		WITH(nat_rebinds_in_mid_traffic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
