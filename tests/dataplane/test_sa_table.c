// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// SPIs, the sink and its rings, the destination map, and two workers that hand packets over.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/sink_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define PEER  "198.51.100.7"
#define INNER "10.1.0.2"
#define HOST  "10.99.0.5"

static const struct sa_sink *sink(void)
{
	return &fx.dp->sa_sink;
}

static int start_one(void **state)
{
	(void)state;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	return 0;
}

static int start_two(void **state)
{
	(void)state;
	fx_start(2, NIC_HASH_SPI, NIC_HASH_DST);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

// ---- SPIs ----

static void layout(void **state)
{
	(void)state;
	static const struct {
		uint32_t workers, sessions;
		uint8_t worker_bits, slot_bits, nonce_bits;
	} rows[] = {
		{1, 100000, 0, 19, 10},
		{64, 500000, 6, 15, 8},
		{1, 10, 0, 11, 18},
		{2, 1000, 1, 13, 15},
		{64, 4096, 6, 14, 9},
		{3, 1000000, 2, 19, 8},
		{1, 10000000, 0, 20, 9},
	};
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		struct dp_layout l = dp_layout_make(5, rows[i].workers, rows[i].sessions);
		assert_int_equal(l.worker_bits, rows[i].worker_bits);
		assert_int_equal(l.slot_bits, rows[i].slot_bits);
		assert_int_equal(l.nonce_bits, rows[i].nonce_bits);
		for (uint32_t w = 0; w < rows[i].workers; w++) {
			uint32_t spi = dp_spi_make(&l, w, l.slots - 1, 0xffffffff);
			assert_int_equal(dp_spi_worker(&l, spi), w);
			assert_int_equal(dp_spi_slot(&l, spi), l.slots - 1);
			assert_int_equal(dp_spi_node(spi), 5);
			l.node = 0;
			assert_true(dp_spi_make(&l, w, 1, 0) >= 256);
			l.node = 5;
		}
	}
}

static void spis_are_reserved_and_released(void **state)
{
	(void)state;
	uint32_t n = fx.dp->workers[0]->layout.slots - 1, spi, other = 0;
	struct tunnel_path path = fx_path(PEER, 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
		assert_true(spi >= 256);
		if (i == n / 2)
			other = spi;
	}
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), -ENOSPC);
	sink()->spi_release(sink()->ctx, other);
	sink()->spi_release(sink()->ctx, other); // no effect
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
	// The same slot, told apart by its nonce but once in a quarter of a million.
	assert_int_equal(dp_spi_slot(&fx.dp->workers[0]->layout, spi),
		dp_spi_slot(&fx.dp->workers[0]->layout, other));
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), -ENOSPC);
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 1, &path, &spi), -EINVAL);
}

// With a NIC that hashes the SPI, native ESP comes to the worker that owns the SA.
static void spis_steer_the_nic(void **state)
{
	(void)state;
	uint8_t p[256], esp[512];
	struct sa_spec in, out;
	char inner[32];
	for (unsigned i = 0; i < 32; i++) {
		snprintf(inner, sizeof(inner), "10.1.2.%u", i);
		uint32_t t = fx_tunnel(i & 1, inner, PEER, 0);
		fx_child(t, i & 1, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
		size_t n = fx_ipv4(p, inner, HOST, PROTO_UDP, 8);
		fx_input_esp(PEER, 0, 0, esp, oracle_wrap(&in, 1, p, n, 4, esp));
		fx_run();
		assert_true(fx_output(FX_INSIDE, p, sizeof(p)) > 0);
	}
	for (unsigned w = 0; w < 2; w++) {
		assert_int_equal(dp_get(&fx.dp->workers[w]->stats.esp_in_packets), 16);
		assert_int_equal(dp_get(&fx.dp->workers[w]->stats.handoff_in), 0);
	}
}

// ---- The sink ----

static void install_and_return(void **state)
{
	(void)state;
	struct sa_spec in, out;
	struct sa_counters c;
	uint32_t t = fx_tunnel(0, INNER, PEER, 4500);
	fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, INNER, &in, &out);
	const struct sa_event *ev = fx_event(SA_EVENT_INSTALLED);
	assert_non_null(ev);
	assert_int_equal(ev->child, in.child);
	assert_int_equal(ev->tunnel, t);
	assert_int_equal(fx_event_count(SA_EVENT_INSTALLED), 1);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.sas), 2);
	assert_int_equal(sink()->sa_add(sink()->ctx, &in), -EEXIST);

	uint8_t p[256], esp[512];
	size_t n = fx_ipv4(p, INNER, HOST, PROTO_UDP, 72);
	for (unsigned i = 1; i <= 3; i++) {
		fx_input_esp(PEER, 4500, 0, esp, oracle_wrap(&in, i, p, n, 4, esp));
		fx_run();
	}
	assert_int_equal(fx_event_count(SA_EVENT_FIRST_IN), 1);
	struct dp_sa *sa =
		dp_slab_at(&fx.dp->workers[0]->in, dp_spi_slot(&fx.dp->workers[0]->layout, in.spi));
	sink()->sa_del(sink()->ctx, in.child, SA_IN);
	sink()->sa_del(sink()->ctx, in.child, SA_IN); // no effect
	fx_run();
	ev = fx_event(SA_EVENT_RETURNED);
	assert_non_null(ev);
	assert_int_equal(ev->dir, SA_IN);
	assert_int_equal(ev->counters.packets, 3);
	assert_int_equal(ev->counters.bytes, 276);
	assert_int_equal(ev->counters.seq, 3);
	assert_int_equal(ev->counters.last_used_ns, fx.now_ns);
	assert_false(sink()->sa_stats(sink()->ctx, in.child, SA_IN, &c));
	assert_true(sink()->sa_stats(sink()->ctx, in.child, SA_OUT, &c));
	// Keys do not outlive the SA.
	const uint8_t *bytes = (const uint8_t *)sa;
	for (size_t i = 0; i < dp_sa_stride(); i++)
		assert_int_equal(bytes[i], 0);
	// A tunnel takes its SAs and routes with it.
	struct ip_addr inner = fx_ip(INNER);
	assert_true(dp_dst_in_use(fx.dp, &inner));
	sink()->tunnel_del(sink()->ctx, t);
	assert_false(dp_dst_in_use(fx.dp, &inner));
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_RETURNED), 2);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.sas), 0);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.tunnels), 0);
	struct ip_prefix dst = fx_prefix(INNER);
	assert_int_equal(sink()->route_add(sink()->ctx, t, &dst), -ENOENT);
}

static void bad_specs_are_refused(void **state)
{
	(void)state;
	uint32_t t = fx_tunnel(0, INNER, PEER, 4500), spi;
	struct tunnel_path path = fx_path(PEER, 4500);
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
	struct sa_spec good = fx_spec(t, SA_IN, ENCR_AES_CBC, 128, INTEG_HMAC_SHA1_96, INNER), s;
	good.child = good.spi = spi;
	s = good;
	s.child++;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -ENOENT);
	s = good;
	s.tunnel ^= 1;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -ENOENT);
	s = good;
	s.spi++;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -EINVAL);
	s = good;
	s.encr_key_len++;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -EINVAL);
	s = good;
	s.integ_key_len--;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -EINVAL);
	s = good;
	s.integ = INTEG_NONE; // encryption without integrity
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -ENOTSUP);
	s = good;
	s.encr.id = 99;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -ENOTSUP);
	s = good;
	s.replay_window = 4097;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -EINVAL);
	s = good;
	s.ts_local_count = SA_SELECTORS_MAX + 1;
	assert_int_equal(sink()->sa_add(sink()->ctx, &s), -EINVAL);
	assert_int_equal(sink()->sa_add(sink()->ctx, &good), 0);
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_INSTALLED), 1);
}

// The sa ring full: queued in order, congested, nothing lost. Also the return ring's room.
static void full_rings_lose_nothing(void **state)
{
	(void)state;
	unsigned n = 800;
	static uint32_t tunnels[800];
	struct tunnel_path path = fx_path(PEER, 4500);
	for (unsigned i = 0; i < n; i++) {
		struct tunnel_spec spec = {.path = path};
		assert_int_equal(sink()->tunnel_add(sink()->ctx, &spec, &tunnels[i]), 0);
		for (int dir = SA_IN; dir <= SA_OUT; dir++) {
			struct sa_spec s = fx_spec(
				tunnels[i], (enum sa_dir)dir, ENCR_AES_GCM_16, 128, 0, INNER);
			if (dir == SA_IN) {
				uint32_t spi;
				assert_int_equal(
					sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
				s.child = s.spi = spi;
				assert_int_equal(sink()->sa_add(sink()->ctx, &s), 0);
			}
		}
	}
	assert_true(sink()->congested(sink()->ctx));
	assert_true(dp_next_ns(fx.dp) != UINT64_MAX);
	assert_null(fx_event(SA_EVENT_INSTALLED));
	fx_run();
	assert_false(sink()->congested(sink()->ctx));
	assert_int_equal(fx_event_count(SA_EVENT_INSTALLED), n);
	// More deletes than the return ring holds, while the control thread does not look.
	for (unsigned i = 0; i < n; i++)
		sink()->tunnel_del(sink()->ctx, tunnels[i]);
	for (unsigned i = 0; i < 100; i++)
		fx_step(0);
	assert_true(dp_get(&fx.dp->workers[0]->stats.sas) > 0);
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_RETURNED), n);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.sas), 0);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.tunnels), 0);
}

static void *no_memory(size_t size)
{
	(void)size;
	return NULL;
}

// Without memory what begins is refused; what ends something goes through, in order.
static void without_memory_nothing_is_lost(void **state)
{
	(void)state;
	struct dp_sink *s = fx.dp->sink;
	struct tunnel_path path = fx_path(PEER, 4500);
	struct tunnel_spec spec = {.path = path};
	struct sa_spec out;
	uint32_t tunnels[200], spi, none;
	unsigned n = RTE_DIM(tunnels);
	for (unsigned i = 0; i < n; i++) {
		assert_int_equal(sink()->tunnel_add(sink()->ctx, &spec, &tunnels[i]), 0);
		assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
		out = fx_spec(tunnels[i], SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
		out.child = spi;
		out.spi = FX_PEER_SPI;
		assert_int_equal(sink()->sa_add(sink()->ctx, &out), 0);
	}
	fx_run();
	s->alloc = no_memory;
	while (s->workers[0].spare_count >= s->workers[0].promised + 2)
		assert_int_equal(sink()->tunnel_add(sink()->ctx, &spec, &none), 0);
	assert_int_equal(sink()->tunnel_add(sink()->ctx, &spec, &none), -ENOMEM);
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
	out = fx_spec(tunnels[0], SA_OUT, ENCR_AES_GCM_16, 128, 0, INNER);
	out.child = spi;
	out.spi = FX_PEER_SPI;
	assert_int_equal(sink()->sa_add(sink()->ctx, &out), -ENOMEM);
	sink()->spi_release(sink()->ctx, spi);
	// The ring is full, so that each of these needs a place in the queue.
	struct dp_msg filler = {.type = DP_MSG_TUNNEL_MTU};
	while (rte_ring_sp_enqueue_elem(fx.dp->workers[0]->sa_ring, &filler, DP_MSG_HEAD) == 0)
		;
	sink()->tunnel_move(sink()->ctx, tunnels[0], &path); // refused, not fatal
	for (unsigned i = 0; i < n; i++)
		sink()->tunnel_del(sink()->ctx, tunnels[i]);
	assert_true(dp_sink_waiting(fx.dp));
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_RETURNED), n);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.sas), 0);
	s->alloc = malloc;
	assert_int_equal(sink()->tunnel_add(sink()->ctx, &spec, &none), 0);
}

// The worker's copy of the neighbours over many comings and goings.
static void neighbours_come_and_go(void **state)
{
	(void)state;
	struct dp_worker *w = fx.dp->workers[0];
	uint32_t before = w->neigh_count;
	for (uint32_t round = 0; round < 5; round++) {
		struct dp_neigh n = {.port = 1, .valid = true};
		for (uint32_t i = 0; i < 16384; i++) {
			n.addr = ip_from_v4(0x0b000000 + round * 16384 + i);
			set_be32(n.mac.addr_bytes, i);
			dp_neigh_apply(w, &n);
		}
		assert_int_equal(w->neigh_count, before + 16384);
		n.valid = false;
		for (uint32_t i = 0; i < 16384; i += 2) { // those between stay findable
			n.addr = ip_from_v4(0x0b000000 + round * 16384 + i);
			dp_neigh_apply(w, &n);
		}
		for (uint32_t i = 0; i < 16384; i++) {
			struct ip_addr a = ip_from_v4(0x0b000000 + round * 16384 + i);
			const struct dp_neigh *found = dp_neigh_find(w, 1, &a);
			assert_int_equal(found != NULL, i & 1);
			assert_true(!found || get_be32(found->mac.addr_bytes) == i);
		}
		for (uint32_t i = 1; i < 16384; i += 2) {
			n.addr = ip_from_v4(0x0b000000 + round * 16384 + i);
			dp_neigh_apply(w, &n);
		}
		assert_int_equal(w->neigh_count, before);
	}
}

// The event ring full: what is to be told stays with its SA until there is room.
static void events_wait_for_room(void **state)
{
	(void)state;
	struct dp_worker *w = fx.dp->workers[0];
	struct sa_event filler = {.type = SA_EVENT_NO_CHILD};
	struct sa_spec in, out;
	uint32_t t = fx_tunnel(0, INNER, PEER, 4500);
	while (rte_ring_sp_enqueue_elem(w->event_ring, &filler, sizeof(filler)) == 0)
		;
	struct tunnel_path path = fx_path(PEER, 4500);
	uint32_t spi;
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 0, &path, &spi), 0);
	in = fx_spec(t, SA_IN, ENCR_AES_GCM_16, 128, 0, INNER);
	in.child = in.spi = spi;
	assert_int_equal(sink()->sa_add(sink()->ctx, &in), 0);
	for (int i = 0; i < 5; i++)
		fx_step(0);
	assert_false(TAILQ_EMPTY(&w->pending));
	fx_run();
	assert_int_equal(fx_event_count(SA_EVENT_INSTALLED), 1);
	assert_true(TAILQ_EMPTY(&w->pending));
	(void)out;
}

// ---- Destinations ----

static uint32_t found(const char *addr)
{
	struct ip_addr a = fx_ip(addr);
	struct dp_dst_entry e = {0};
	enum dp_dst_result r = dp_dst_lookup(fx.dp->dst, a.family, a.bytes, &e);
	if (r == DP_DST_POOL)
		return UINT32_MAX;
	return r == DP_DST_TUNNEL ? e.index : 0;
}

static int add(const char *prefix, uint32_t index)
{
	struct ip_prefix p = fx_prefix(prefix);
	return dp_dst_add(fx.dp->dst, &p, &(struct dp_dst_entry){.index = index, .generation = 1});
}

static void del(const char *prefix, uint32_t index)
{
	struct ip_prefix p = fx_prefix(prefix);
	dp_dst_del(fx.dp->dst, &p, index, 1);
}

static void longest_destination_wins(void **state)
{
	(void)state;
	assert_int_equal(add("172.16.0.0/12", 1), 0);
	assert_int_equal(add("172.16.5.0/24", 2), 0);
	assert_int_equal(add("172.16.5.7/32", 3), 0);
	assert_int_equal(add("0.0.0.0/0", 4), 0);
	assert_int_equal(add("2001:db8:9::/48", 5), 0);
	assert_int_equal(add("2001:db8:9:1::/64", 6), 0);
	assert_int_equal(add("2001:db8:9:1::5/128", 7), 0);
	assert_int_equal(add("10.1.0.5/32", 8), 0); // in a pool: flat array
	assert_int_equal(add("2001:db8::/32", 10), 0);
	static const struct {
		const char *addr;
		uint32_t index;
	} rows[] = {{"172.16.5.7", 3}, {"172.16.5.8", 2}, {"172.31.255.255", 1}, {"172.32.0.0", 4},
		{"8.8.8.8", 4}, {"2001:db8:9:1::5", 7}, {"2001:db8:9:1::6", 6},
		{"2001:db8:9:2::6", 5}, {"2001:db8:a::", 10}, {"2001:db9::", 0},
		{"10.1.0.5",
			8}, // what follows lies in pools, which a prefix around them does not get
		{"10.1.0.6", UINT32_MAX}, {"2001:db8:77::1", UINT32_MAX}};
	for (size_t i = 0; i < RTE_DIM(rows); i++)
		assert_int_equal(found(rows[i].addr), rows[i].index);
	assert_int_equal(add("172.16.5.0/24", 9), -EEXIST);
	assert_int_equal(add("10.1.0.5/32", 9), -EEXIST);
	assert_int_equal(add("172.16.5.0/24", 2), 0);
	del("172.16.5.0/24", 9); // another's: no effect
	assert_int_equal(found("172.16.5.8"), 2);
	del("172.16.5.0/24", 2);
	assert_int_equal(found("172.16.5.8"), 1);
	del("0.0.0.0/0", 4);
	assert_int_equal(found("10.1.0.6"), UINT32_MAX);
	assert_int_equal(found("8.8.8.8"), 0);
	del("10.1.0.5/32", 8);
	assert_int_equal(found("10.1.0.5"), UINT32_MAX);
}

// Growth and rebuilding: many times the first size, with removals in between.
static void many_destinations(void **state)
{
	(void)state;
	char text[64];
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 1; i <= 20000; i++) {
			snprintf(text, sizeof(text), "2001:db8:77::%x:%x/128", i >> 12, i & 0xfff);
			assert_int_equal(add(text, i), 0);
			if (i % 100 == 0)
				fx_run();
		}
		for (uint32_t i = 1; i <= 20000; i += 77) {
			snprintf(text, sizeof(text), "2001:db8:77::%x:%x", i >> 12, i & 0xfff);
			assert_int_equal(found(text), i);
		}
		for (uint32_t i = 1; i <= 20000; i++) {
			snprintf(text, sizeof(text), "2001:db8:77::%x:%x/128", i >> 12, i & 0xfff);
			del(text, i);
		}
		assert_int_equal(found("2001:db8:77::1:1"), UINT32_MAX);
	}
}

// ---- Two workers ----

static uint64_t handed(enum dp_handoff cause)
{
	return dp_get(&fx.dp->workers[0]->stats.handoff_out[cause]) +
	       dp_get(&fx.dp->workers[1]->stats.handoff_out[cause]);
}

// An address that the inside NIC gives to that worker.
static void inner_of(unsigned worker, unsigned skip, char *text)
{
	for (unsigned i = 1; i < 250; i++) {
		snprintf(text, 32, "10.1.3.%u", i);
		struct ip_addr a = fx_ip(text);
		if (sink()->worker_of(sink()->ctx, &a) == worker && skip-- == 0)
			return;
	}
	fail();
}

static void ping(const char *inner, const struct sa_spec *in, uint64_t seq)
{
	uint8_t p[256], esp[512];
	size_t n = fx_ipv4(p, inner, HOST, PROTO_UDP, 8);
	fx_input_esp(PEER, 0, 0, esp, oracle_wrap(in, seq, p, n, 4, esp));
	fx_run();
	assert_true(fx_output(FX_INSIDE, p, sizeof(p)) > 0);
}

static void pong(const char *inner)
{
	uint8_t p[512];
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, inner, PROTO_UDP, 8));
	fx_run();
	assert_true(fx_output(FX_OUTSIDE, p, sizeof(p)) > 0);
}

static void predicted_traffic_is_not_handed_over(void **state)
{
	(void)state;
	struct sa_spec in, out;
	char inner[32];
	for (unsigned w = 0; w < 2; w++) {
		inner_of(w, 0, inner);
		uint32_t t = fx_tunnel(w, inner, PEER, 0);
		fx_child(t, w, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
		ping(inner, &in, 1);
		pong(inner);
	}
	for (int c = 0; c < DP_HANDOFF_CAUSES; c++)
		assert_int_equal(handed((enum dp_handoff)c), 0);
}

static void every_cause_of_hand_off(void **state)
{
	(void)state;
	struct sa_spec in, out, in2, out2;
	char inner[32], other[32];
	inner_of(1, 0, inner);
	uint32_t t = fx_tunnel(1, inner, PEER, 0);
	fx_child(t, 1, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);

	// The NIC does not do what was predicted, either way.
	nic_force_queue(fx.nic[FX_OUTSIDE], 0);
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	ping(inner, &in, 1);
	assert_int_equal(handed(DP_HANDOFF_MISPREDICTED), 1);
	pong(inner);
	assert_int_equal(handed(DP_HANDOFF_MISPREDICTED), 2);

	// The peer moves.
	struct tunnel_path path = fx_path(PEER, 0);
	sink()->tunnel_move(sink()->ctx, t, &path);
	ping(inner, &in, 2);
	assert_int_equal(handed(DP_HANDOFF_ROAMING), 1);
	nic_force_queue(fx.nic[FX_OUTSIDE], -1);
	nic_force_queue(fx.nic[FX_INSIDE], -1);

	// A returning client keeps its address, which is of the other worker's shard.
	inner_of(0, 1, other);
	uint32_t t2 = fx_tunnel(1, other, PEER, 0);
	fx_child(t2, 1, ENCR_AES_GCM_16, 128, 0, other, &in2, &out2);
	pong(other);
	assert_int_equal(handed(DP_HANDOFF_STICKY), 1);

	// A network behind a peer.
	struct ip_prefix net = fx_prefix("172.20.0.0/24");
	assert_int_equal(sink()->route_add(sink()->ctx, t, &net), 0);
	struct sa_spec wide = fx_spec(t, SA_OUT, ENCR_AES_GCM_16, 128, 0, "172.20.0.0/24");
	uint32_t spi;
	assert_int_equal(sink()->spi_reserve(sink()->ctx, 1, &path, &spi), 0);
	wide.child = spi;
	wide.spi = FX_PEER_SPI;
	assert_int_equal(sink()->sa_add(sink()->ctx, &wide), 0);
	sink()->sa_switch(sink()->ctx, spi);
	fx_run();
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	pong("172.20.0.9");
	nic_force_queue(fx.nic[FX_INSIDE], -1);
	assert_int_equal(handed(DP_HANDOFF_PREFIX), 1);
	assert_int_equal(fx_drops(DP_DROP_handoff_full), 0);
}

// A tunnel that goes while its packet is between two workers.
static void stale_generations_are_dropped(void **state)
{
	(void)state;
	struct sa_spec in, out;
	uint8_t p[512];
	char inner[32];
	inner_of(1, 0, inner);
	uint32_t t = fx_tunnel(1, inner, PEER, 0);
	fx_child(t, 1, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, inner, PROTO_UDP, 8));
	fx_step(0); // it lies in the hand-off ring
	sink()->tunnel_del(sink()->ctx, t);
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, p, sizeof(p)), 0);
	assert_int_equal(fx_drops(DP_DROP_stale_tunnel), 1);
}

static void a_full_hand_off_ring_drops(void **state)
{
	(void)state;
	struct sa_spec in, out;
	uint8_t p[512];
	char inner[32];
	inner_of(1, 0, inner);
	uint32_t t = fx_tunnel(1, inner, PEER, 0);
	fx_child(t, 1, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	for (unsigned i = 0; i < 1100; i++) {
		fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, inner, PROTO_UDP, 8));
		fx_step(0);
	}
	assert_int_equal(fx_drops(DP_DROP_handoff_full), 1100 - 1024);
	assert_int_equal(handed(DP_HANDOFF_MISPREDICTED), 1024);
}

static void counters_have_names(void **state)
{
	(void)state;
	const char *name, *help;
	uint64_t value;
	size_t n = 0;
	bool runt = false;
	fx_input(FX_OUTSIDE, (const uint8_t[]){0}, 0);
	fx_run();
	for (; dp_counter(fx.dp, n, &name, &value, &help); n++) {
		assert_true(strncmp(name, "dp_", 3) == 0 && help[0]);
		if (strcmp(name, "dp_drop_runt") == 0)
			runt = value == 1;
	}
	assert_true(runt);
	assert_true(n > DP_DROP_COUNT);
	struct dp_worker_info info;
	assert_true(dp_worker_info(fx.dp, 0, &info));
	assert_int_equal(info.drops, 1);
	assert_int_equal(info.rx_packets, 1);
	assert_false(dp_worker_info(fx.dp, 1, &info));
}

// The first lines of a chunk's SAs begin at all pairs of lines that a page has, none twice as often as
// another.
static void sas_spread_over_sets(void **state)
{
	(void)state;
	uint8_t *chunk = dp_chunk_new(dp_sa_stride(), SOCKET_ID_ANY);
	unsigned seen[4096 / DP_LINES] = {0};
	assert_non_null(chunk);
	for (size_t i = 0; i < DP_CHUNK; i++) {
		uintptr_t at = (uintptr_t)chunk + i * dp_sa_stride();
		assert_int_equal(at % DP_LINES, 0);
		seen[at % 4096 / DP_LINES]++;
	}
	for (size_t i = 0; i < sizeof(seen) / sizeof(seen[0]); i++)
		assert_int_equal(seen[i], DP_CHUNK / (4096 / DP_LINES));
	dp_chunk_free(chunk, dp_sa_stride());
}

int main(void)
{
	fx_eal();
#define ONE(f) cmocka_unit_test_setup_teardown(f, start_one, stop)
#define TWO(f) cmocka_unit_test_setup_teardown(f, start_two, stop)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layout),
		ONE(spis_are_reserved_and_released),
		TWO(spis_steer_the_nic),
		ONE(install_and_return),
		ONE(sas_spread_over_sets),
		ONE(bad_specs_are_refused),
		ONE(full_rings_lose_nothing),
		ONE(without_memory_nothing_is_lost),
		ONE(neighbours_come_and_go),
		ONE(events_wait_for_room),
		ONE(longest_destination_wins),
		ONE(many_destinations),
		TWO(predicted_traffic_is_not_handed_over),
		TWO(every_cause_of_hand_off),
		TWO(stale_generations_are_dropped),
		TWO(a_full_hand_off_ring_drops),
		ONE(counters_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
