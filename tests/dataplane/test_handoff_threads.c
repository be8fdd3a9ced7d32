// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two workers on threads of their own, the control thread in a third: flows of every hand-off
// cause at once, while tunnels come, move and go. Runs under ThreadSanitizer too, for which
// everything that passes packets between threads is compiled here: the rings (inline), the NIC's
// bursts (nic_instrument()) and the buffer pools' free list (the "locked" mempool).
#include "tests/cmocka_all.h"

#include "tests/dataplane/handoff_cases.h"

#include <rte_lcore.h>
#include <rte_mbuf_pool_ops.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#define HOST    "10.99.0.5"
#define WORKERS 2
#define ROUNDS  300
#define TIME_NS (60 * NS_PER_S)

// How full a ring is may be asked by any thread: DPDK reads its two aligned words without an atomic
// operation. Nothing else is suppressed.
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
	return "race:^rte_ring_count$\nrace:^rte_ring_empty$\n";
}

// ---- A mempool whose free list is a stack under a mutex ----

struct locked_stack {
	pthread_mutex_t lock;
	unsigned count;
	void *items[];
};

static int locked_alloc(struct rte_mempool *mp)
{
	struct locked_stack *s = calloc(1, sizeof(*s) + mp->size * sizeof(void *));
	if (!s)
		return -ENOMEM;
	pthread_mutex_init(&s->lock, NULL);
	mp->pool_data = s;
	return 0;
}

static void locked_free(struct rte_mempool *mp)
{
	struct locked_stack *s = mp->pool_data;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int locked_put(struct rte_mempool *mp, void *const *items, unsigned n)
{
	struct locked_stack *s = mp->pool_data;
	pthread_mutex_lock(&s->lock);
	memcpy(s->items + s->count, items, n * sizeof(void *));
	s->count += n;
	pthread_mutex_unlock(&s->lock);
	return 0;
}

static int locked_get(struct rte_mempool *mp, void **items, unsigned n)
{
	struct locked_stack *s = mp->pool_data;
	int rc = -ENOBUFS;
	pthread_mutex_lock(&s->lock);
	if (s->count >= n) {
		s->count -= n;
		memcpy(items, s->items + s->count, n * sizeof(void *));
		rc = 0;
	}
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static unsigned locked_count(const struct rte_mempool *mp)
{
	struct locked_stack *s = mp->pool_data;
	pthread_mutex_lock(&s->lock);
	unsigned n = s->count;
	pthread_mutex_unlock(&s->lock);
	return n;
}

static const struct rte_mempool_ops locked_ops = {
	.name = "locked",
	.alloc = locked_alloc,
	.free = locked_free,
	.enqueue = locked_put,
	.dequeue = locked_get,
	.get_count = locked_count,
};

// ---- Workers ----

static pthread_t threads[WORKERS];

static void *worker_thread(void *worker)
{
	if (rte_thread_register())
		return (void *)1;
	int rc = dp_worker_main(worker);
	rte_thread_unregister();
	return (void *)(intptr_t)rc;
}

static void workers_start(void)
{
	for (unsigned i = 0; i < WORKERS; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, worker_thread, fx.dp->workers[i]), 0);
}

static void workers_stop(void)
{
	for (unsigned i = 0; i < WORKERS; i++) {
		void *rc;
		atomic_store(&fx.dp->workers[i]->stop, true);
		dp_worker_wake(fx.dp->workers[i]);
		assert_int_equal(pthread_join(threads[i], &rc), 0);
		assert_null(rc);
	}
}

// ---- The control thread, with what leaves by both ports counted ----

static uint64_t out_packets[2];

static void turn(void)
{
	uint8_t p[2048];
	dp_poll(fx.dp, fx.now_ns);
	for (int port = 0; port < 2; port++)
		while (fx_output(port, p, sizeof(p)))
			out_packets[port]++;
	sched_yield();
}

static uint64_t dropped(void)
{
	uint64_t n = 0;
	for (unsigned why = 0; why < DP_DROP_COUNT; why++)
		n += fx_drops((enum dp_drop)why);
	return n;
}

static void until(uint64_t total)
{
	uint64_t end = clock_now_ns(&clock_system) + TIME_NS;
	while (out_packets[0] + out_packets[1] + dropped() < total) {
		assert_true(clock_now_ns(&clock_system) < end);
		turn();
	}
}

static void settle(void)
{
	for (unsigned i = 0; i < 200; i++) {
		turn();
		usleep(100);
	}
}

static int setup(void **state)
{
	out_packets[0] = out_packets[1] = 0;
	fx_start(WORKERS, NIC_HASH_UDP, NIC_HASH_DST);
	fx.cfg.main.idle = *state ? CFG_IDLE_SLEEP : CFG_IDLE_POLL;
	nic_instrument(fx.nic[FX_OUTSIDE]);
	nic_instrument(fx.nic[FX_INSIDE]);
	workers_start();
	return 0;
}

static int teardown(void **state)
{
	workers_stop();
	fx_stop();
	return 0;
}

static struct hc_client make(const char *peer, unsigned queue, unsigned shard, unsigned owner)
{
	static unsigned n;
	struct hc_client c = {.peer = peer, .owner = owner};
	c.peer_port = hc_port_for(peer, queue, 20000);
	hc_inner_for(c.inner, shard, n++);
	return c;
}

static void send_fragments(struct hc_client *c, uint16_t id)
{
	uint8_t whole[1024], part[1024];
	size_t len = hc_packet(c, c->inner, HOST, whole), cut = 64;
	for (unsigned i = 0; i < 2; i++) {
		size_t n = i ? len - IP4_HDR - cut : cut;
		memcpy(part, whole, IP4_HDR);
		memcpy(part + IP4_HDR, whole + IP4_HDR + (i ? cut : 0), n);
		set_be16(part + 2, (uint16_t)(IP4_HDR + n));
		set_be16(part + 4, id);
		set_be16(part + 6, i ? (uint16_t)(cut / 8) : 0x2000);
		set_be16(part + 10, 0);
		set_be16(part + 10, (uint16_t)~ip_fold(ip_sum(part, IP4_HDR)));
		fx_input(FX_OUTSIDE, part, IP4_HDR + n);
	}
}

static void every_cause(void **state)
{
	struct hc_client straight = make("198.51.100.7", 0, 0, 0);
	struct hc_client sticky = make("198.51.100.8", 1, 0, 0);
	struct hc_client mover = make("198.51.100.9", 1, 1, 1);
	struct hc_client site = {.peer = "198.51.100.10", .owner = 0};
	site.peer_port = hc_port_for(site.peer, 0, 20000);
	const struct sa_sink *sink = &fx.dp->sa_sink;
	uint64_t sent = 0;
	hc_client_add(&straight, NULL);
	hc_client_add(&sticky, NULL);
	hc_client_add(&mover, NULL);
	hc_client_add(&site, "10.7.0.0/24");
	settle();
	for (unsigned i = 0; i < ROUNDS; i++) {
		char site_host[IP_TEXT_MAX];
		struct ip_addr a = ip_from_v4(0x0a070001 + i % 200);
		hc_send(&straight, straight.inner, HOST);
		hc_send(&straight, straight.inner, mover.inner); // client to client
		hc_send(&sticky, sticky.inner, HOST);
		hc_send(&mover, mover.inner, HOST);
		hc_reply(straight.inner);
		hc_reply(mover.inner);
		hc_reply(ip_text(&a, site_host));
		send_fragments(&mover, (uint16_t)i);
		sent += 8;
		if (i % 50 == 25) { // the peer's NAT gives it another port
			mover.peer_port = hc_port_for(mover.peer, i / 50 % 2, mover.peer_port);
			struct tunnel_path path = fx_path(mover.peer, mover.peer_port);
			sink->tunnel_move(sink->ctx, mover.tunnel, &path);
		}
		until(sent < 64 ? 0 : sent - 64); // a window, so that no ring is full
	}
	until(sent);
	settle();
	assert_int_equal(dropped(), 0);
	assert_int_equal(out_packets[FX_INSIDE] + out_packets[FX_OUTSIDE], sent);
	assert_int_equal(hc_count(DP_HANDOFF_STICKY), ROUNDS);
	assert_int_equal(hc_count(DP_HANDOFF_CLIENT), ROUNDS);
	assert_in_range(hc_count(DP_HANDOFF_FRAGMENT), ROUNDS, 2 * ROUNDS);
	assert_in_range(hc_count(DP_HANDOFF_PREFIX), 1, ROUNDS - 1);
	assert_in_range(hc_count(DP_HANDOFF_ROAMING), 1, ROUNDS - 1);
	assert_int_equal(hc_count(DP_HANDOFF_MISPREDICTED), 0);
}

static void lying_nic(void **state)
{
	struct hc_client c[2] = {make("198.51.100.7", 0, 0, 0), make("198.51.100.8", 1, 1, 1)};
	uint64_t sent = 0;
	for (unsigned k = 0; k < 2; k++)
		hc_client_add(&c[k], NULL);
	settle();
	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned k = 0; k < 2; k++) {
			nic_force_queue(fx.nic[FX_OUTSIDE], (int)!k);
			nic_force_queue(fx.nic[FX_INSIDE], (int)!k);
			hc_send(&c[k], c[k].inner, HOST);
			hc_reply(c[k].inner);
			sent += 2;
			until(sent < 64 ? 0 : sent - 64);
		}
	until(sent);
	settle();
	assert_int_equal(dropped(), 0);
	assert_int_equal(hc_count(DP_HANDOFF_MISPREDICTED), sent);
}

static bool installed(uint32_t child)
{
	for (unsigned i = fx.event_count; i-- > 0;)
		if (fx.events[i].type == SA_EVENT_INSTALLED && fx.events[i].child == child)
			return true;
	return false;
}

static uint64_t ping_pong(struct hc_client *c)
{
	hc_send(c, c->inner, HOST);
	hc_reply(c->inner);
	return 2;
}

// What is sent meanwhile goes by the old child's SAs.
static uint32_t rekey(struct hc_client *c, uint64_t *sent)
{
	struct hc_client next = *c;
	uint64_t end = clock_now_ns(&clock_system) + TIME_NS;
	hc_child_add(&next, NULL);
	while (!installed(next.in.child)) {
		assert_true(clock_now_ns(&clock_system) < end);
		*sent += ping_pong(c);
		turn();
		until(*sent < 64 ? 0 : *sent - 64);
	}
	const struct sa_sink *sink = &fx.dp->sa_sink;
	uint32_t old = c->in.child;
	sink->sa_switch(sink->ctx, next.in.child);
	sink->sa_del(sink->ctx, old, SA_OUT);
	*c = next;
	return old;
}

// Child SAs come and go every few milliseconds, and nothing that is on its way is lost: not where it
// arrives at its worker, nor where it is handed over.
static void rekeying(void **state)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	struct hc_client c[2] = {make("198.51.100.7", 0, 1, 0), make("198.51.100.8", 0, 1, 1)};
	uint32_t old[2] = {0};
	uint64_t sent = 0;
	for (unsigned k = 0; k < 2; k++)
		hc_client_add(&c[k], NULL);
	settle();
	for (unsigned i = 0; i < ROUNDS; i++)
		for (unsigned k = 0; k < 2; k++) {
			sent += ping_pong(&c[k]);
			until(sent < 64 ? 0 : sent - 64);
			if (i % 4 == 0)
				old[k] = rekey(&c[k], &sent);
			if (i % 4 != 3)
				continue;
			until(sent); // what the peer sent by it has come
			sink->sa_del(sink->ctx, old[k], SA_IN);
		}
	until(sent);
	settle();
	assert_int_equal(dropped(), 0);
	assert_int_equal(out_packets[FX_INSIDE] + out_packets[FX_OUTSIDE], sent);
	assert_int_equal(fx_event_count(SA_EVENT_RETURNED), ROUNDS / 4 * 2 * 2);
	assert_true(hc_count(DP_HANDOFF_STICKY) > ROUNDS);
}

// A peer that re-authenticates has two tunnels, and its address goes from one to the other: at no moment
// does it belong to none.
static void routes_change_hands(void **state)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	struct hc_client c[2] = {make("198.51.100.7", 0, 0, 0), make("198.51.100.7", 1, 0, 1)};
	struct ip_prefix dst[2] = {fx_prefix(c[0].inner), fx_prefix("172.20.0.0/16")};
	uint64_t sent = 0;
	memcpy(c[1].inner, "10.1.200.1", sizeof("10.1.200.1"));
	for (unsigned k = 0; k < 2; k++)
		hc_client_add(&c[k], k ? c[1].inner : c[0].inner);
	settle();
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		uint32_t from = c[i % 2].tunnel, to = c[!(i % 2)].tunnel;
		if (i % 8 == 0) {
			hc_reply(c[0].inner);
			sent++;
		}
		assert_int_equal(sink->route_move(sink->ctx, from, to, &dst[0]), 0);
		assert_int_equal(sink->route_move(sink->ctx, from, to, &dst[0]), -ENOENT);
		assert_int_equal(sink->route_move(sink->ctx, from, to, &dst[1]), -ENOENT);
		until(sent < 64 ? 0 : sent - 64);
	}
	until(sent);
	settle();
	// c[1] has no selector for the address: what counts is that each found one of the tunnels.
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), 0);
	assert_int_equal(out_packets[FX_OUTSIDE] + fx_drops(DP_DROP_no_selector), sent);
	assert_in_range(fx_drops(DP_DROP_no_selector), 1, sent - 1);
	// The one that has it takes it along when it ends.
	sink->tunnel_del(sink->ctx, c[1].tunnel);
	settle();
	struct ip_addr a = fx_ip(c[0].inner);
	assert_true(dp_dst_in_use(fx.dp, &a));
	sink->tunnel_del(sink->ctx, c[0].tunnel);
	settle();
	assert_false(dp_dst_in_use(fx.dp, &a));
}

// The pools' ranges change under the workers' eyes: what a client has goes on, and what nobody has never
// leaves in clear.
static void pools_change_under_traffic(void **state)
{
	static const char *const texts[] = {"10.1.0.0/16", "10.1.0.0/17", "10.0.0.0/8"};
	struct hc_client c = make("198.51.100.7", 0, 0, 0);
	struct dp_pool_range r = {.bits = 32};
	uint64_t sent = 0, lost = 0;
	hc_client_add(&c, c.inner);
	settle();
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		assert_int_equal(ip_range_parse(texts[i % RTE_DIM(texts)], &r.range), 0);
		assert_in_range(dp_set_pools(fx.dp, &r, 1), 0, 1);
		if (i % 8 == 0) {
			hc_reply(c.inner);
			hc_reply("10.1.0.250");
			sent++;
			lost++;
		}
		until(sent < 64 ? 0 : sent - 64);
	}
	until(sent);
	settle();
	assert_int_equal(out_packets[FX_OUTSIDE], sent);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), lost);
	assert_int_equal(dropped(), lost);
}

// What comes out of each of a family's tunnels leads back into it, whichever has the route at the
// moment, and each worker sees another one's tunnel.
static void family_while_routes_move(void **state)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	struct hc_client c[2] = {make("198.51.100.7", 0, 0, 0), make("198.51.100.8", 1, 0, 1)};
	struct ip_prefix dst = fx_prefix(c[0].inner);
	uint64_t sent = 0;
	for (unsigned k = 0; k < 2; k++) {
		struct tunnel_spec spec = {.worker = (uint16_t)k,
			.path = fx_path(c[k].peer, c[k].peer_port),
			.reverse_path = true};
		c[k].tunnel = fx_tunnel_of(&spec, k ? "10.1.200.1" : c[0].inner);
		sink->tunnel_family(sink->ctx, c[k].tunnel, 7);
		hc_child_add(&c[k], "10.1.0.0/16");
	}
	settle();
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		if (i % 8 == 0)
			for (unsigned k = 0; k < 2; k++, sent++)
				hc_send(&c[k], c[0].inner, HOST);
		assert_int_equal(
			sink->route_move(sink->ctx, c[i % 2].tunnel, c[!(i % 2)].tunnel, &dst), 0);
		until(sent < 64 ? 0 : sent - 64);
	}
	until(sent);
	assert_int_equal(dropped(), 0);
	assert_int_equal(out_packets[FX_INSIDE], sent);
	// The other one is a stranger from now on.
	sink->tunnel_family(sink->ctx, c[1].tunnel, 8);
	for (unsigned k = 0; k < 2; k++)
		hc_send(&c[k], c[0].inner, HOST);
	until(sent + 2);
	assert_int_equal(fx_drops(DP_DROP_reverse_path), 1);
	assert_int_equal(out_packets[FX_INSIDE], sent + 1);
}

// Tunnels begin and end while packets for them are on their way between the workers.
static void coming_and_going(void **state)
{
	const struct sa_sink *sink = &fx.dp->sa_sink;
	uint64_t sent = 0;
	for (unsigned i = 0; i < 60; i++) {
		struct hc_client c = make("198.51.100.7", i % 2, i / 2 % 2, i / 4 % 2);
		hc_client_add(&c, NULL);
		for (unsigned k = 0; k < 20; k++) {
			hc_send(&c, c.inner, HOST);
			hc_reply(c.inner);
			sent += 2;
			if (k % 4 == 0)
				turn();
		}
		sink->tunnel_del(sink->ctx, c.tunnel);
		until(sent < 256 ? 0 : sent - 256);
	}
	until(sent);
	settle();
	// Each was delivered or dropped by name, and once.
	assert_int_equal(out_packets[0] + out_packets[1] + dropped(), sent);
	assert_int_equal(fx_event_count(SA_EVENT_RETURNED), 120);
}

static int pools_free(void **state)
{
	nic_pools_free();
	return 0;
}

int main(void)
{
	static int sleeping = 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(every_cause, setup, teardown),
		cmocka_unit_test_prestate_setup_teardown(every_cause, setup, teardown, &sleeping),
		cmocka_unit_test_setup_teardown(lying_nic, setup, teardown),
		cmocka_unit_test_setup_teardown(rekeying, setup, teardown),
		cmocka_unit_test_setup_teardown(pools_change_under_traffic, setup, teardown),
		cmocka_unit_test_setup_teardown(routes_change_hands, setup, teardown),
		cmocka_unit_test_setup_teardown(family_while_routes_move, setup, teardown),
		cmocka_unit_test_setup_teardown(coming_and_going, setup, teardown),
	};
	fx_eal();
	if (rte_mempool_register_ops(&locked_ops) < 0 ||
		rte_mbuf_set_user_mempool_ops("locked") != 0)
		return 99;
	return cmocka_run_group_tests(tests, NULL, pools_free);
}
