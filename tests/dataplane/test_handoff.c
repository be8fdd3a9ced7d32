// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two workers on a NIC that hashes: with right predictions nothing changes workers; and each cause
// of a hand-off, forced, is counted under its name, and the packet arrives all the same.
#include "tests/cmocka_all.h"

#include "dataplane/eal.h"
#include "tests/dataplane/handoff_cases.h"

#include <errno.h>
#include <stdlib.h>

#define HOST "10.99.0.5"

static int setup(void **state)
{
	fx_start(2, NIC_HASH_UDP, NIC_HASH_DST);
	return 0;
}

static int teardown(void **state)
{
	fx_stop();
	return 0;
}

// A client whose packets come to queue and whose address belongs to shard, owned by owner.
static struct hc_client make(const char *peer, unsigned queue, unsigned shard, unsigned owner)
{
	static unsigned n;
	struct hc_client c = {.peer = peer, .owner = owner};
	c.peer_port = hc_port_for(peer, queue, 20000);
	hc_inner_for(c.inner, shard, n++);
	return c;
}

static void only(enum dp_handoff cause, uint64_t times)
{
	for (unsigned i = 0; i < DP_HANDOFF_CAUSES; i++)
		assert_int_equal(hc_count((enum dp_handoff)i), i == cause ? times : 0);
}

// The clear packet that left towards the host, and the ESP that left towards the peer.
static void host_gets(const struct hc_client *c)
{
	uint8_t p[2048];
	struct ip_addr src = fx_ip(c->inner);
	assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), IP4_HDR + HC_PAYLOAD);
	assert_memory_equal(p + 12, src.bytes, 4);
	assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), 0);
}

static void peer_gets(const struct hc_client *c)
{
	uint8_t p[2048], plain[2048];
	size_t len = fx_output(FX_OUTSIDE, p, sizeof(p));
	size_t head = IP4_HDR + UDP_HDR + (c->marked ? NON_IKE_MARKER : 0u);
	assert_true(len > head);
	assert_int_equal(get_be16(p + IP4_HDR + 2), c->peer_port);
	assert_int_equal(get_be32(p + head), FX_PEER_SPI);
	assert_true(oracle_open(&c->out, 0, p + head, len - head, plain) > IP4_HDR + HC_PAYLOAD);
	assert_int_equal(fx_output(FX_OUTSIDE, p, sizeof(p)), 0);
}

static void none_when_predicted(void **state)
{
	for (unsigned owner = 0; owner < 2; owner++) {
		struct hc_client c = make("198.51.100.7", owner, owner, owner);
		hc_client_add(&c, NULL);
		fx_run();
		for (unsigned i = 0; i < 20; i++) {
			hc_send(&c, c.inner, HOST);
			hc_reply(c.inner);
			fx_run();
			host_gets(&c);
			peer_gets(&c);
		}
	}
	only(DP_HANDOFF_CAUSES, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(dp_get(&fx.dp->workers[i]->stats.esp_in_packets), 20);
}

// A client on port 500 whose packets come to queue.
static struct hc_client make_marked(unsigned queue, unsigned owner)
{
	struct hc_client c = make("198.51.100.7", queue, owner, owner);
	c.marked = true;
	while (hc_uplink_queue(&c) != queue)
		c.peer_port++;
	return c;
}

static void marked_as_predicted(void **state)
{
	for (unsigned owner = 0; owner < 2; owner++) {
		struct hc_client c = make_marked(owner, owner);
		hc_client_add(&c, NULL);
		fx_run();
		hc_send(&c, c.inner, HOST);
		hc_reply(c.inner);
		fx_run();
		host_gets(&c);
		peer_gets(&c);
	}
	only(DP_HANDOFF_CAUSES, 0);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(dp_get(&fx.dp->workers[i]->stats.esp_in_packets), 1);
}

static void marked_to_the_owner(void **state)
{
	struct hc_client c = make_marked(1, 0);
	hc_client_add(&c, NULL);
	fx_run();
	hc_send(&c, c.inner, HOST);
	fx_run();
	only(DP_HANDOFF_STICKY, 1);
	host_gets(&c);
}

// What stands behind UDP's end is none of ESP, here as at the owner.
static void more_behind_udp(void **state)
{
	uint8_t p[1024] = {0};
	for (unsigned owner = 0; owner < 2; owner++) {
		struct hc_client c = make("198.51.100.7", 1, owner, owner);
		hc_client_add(&c, NULL);
		fx_run();
		size_t len = hc_packet(&c, c.inner, HOST, p) + 3;
		set_be16(p + 2, (uint16_t)len);
		set_be16(p + 10, 0);
		set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
		fx_input(FX_OUTSIDE, p, len);
		fx_run();
		host_gets(&c);
	}
	only(DP_HANDOFF_STICKY, 1);
}

static void mispredicted(void **state)
{
	struct hc_client c = make("198.51.100.7", 0, 0, 0);
	hc_client_add(&c, NULL);
	fx_run();
	nic_force_queue(fx.nic[FX_OUTSIDE], 1); // the NIC lies
	hc_send(&c, c.inner, HOST);
	fx_run();
	only(DP_HANDOFF_MISPREDICTED, 1);
	host_gets(&c);
	nic_force_queue(fx.nic[FX_INSIDE], 1);
	hc_reply(c.inner);
	fx_run();
	only(DP_HANDOFF_MISPREDICTED, 2);
	peer_gets(&c);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.handoff_in), 2);
}

// A returning client has its old address, and with it its old worker; its new UDP ports say other.
static void sticky(void **state)
{
	struct hc_client c = make("198.51.100.7", 1, 0, 0);
	hc_client_add(&c, NULL);
	fx_run();
	hc_send(&c, c.inner, HOST);
	fx_run();
	only(DP_HANDOFF_STICKY, 1);
	host_gets(&c);
	hc_reply(c.inner); // comes where it is encrypted
	fx_run();
	only(DP_HANDOFF_STICKY, 1);
	peer_gets(&c);
	// And the other way about: a borrowed address of the other shard.
	struct hc_client b = make("198.51.100.8", 0, 1, 0);
	hc_client_add(&b, NULL);
	fx_run();
	hc_reply(b.inner);
	fx_run();
	only(DP_HANDOFF_STICKY, 2);
	peer_gets(&b);
}

static void roaming(void **state)
{
	struct hc_client c = make("198.51.100.7", 1, 1, 1);
	hc_client_add(&c, NULL);
	fx_run();
	hc_send(&c, c.inner, HOST);
	fx_run();
	only(DP_HANDOFF_CAUSES, 0);
	host_gets(&c);
	c.peer_port = hc_port_for(c.peer, 0, 30000);
	struct tunnel_path path = fx_path(c.peer, c.peer_port);
	fx.dp->sa_sink.tunnel_move(fx.dp->sa_sink.ctx, c.tunnel, &path);
	fx_run();
	hc_send(&c, c.inner, HOST);
	hc_reply(c.inner);
	fx_run();
	only(DP_HANDOFF_ROAMING, 1);
	host_gets(&c);
	peer_gets(&c);
}

// A network behind a peer: its addresses hash to both workers, its SAs are on one.
static void prefix(void **state)
{
	struct hc_client c = {.peer = "198.51.100.7", .owner = 0};
	char text[IP_TEXT_MAX];
	unsigned to[2] = {0};
	c.peer_port = hc_port_for(c.peer, 0, 20000);
	hc_client_add(&c, "10.7.0.0/24");
	fx_run();
	const struct dp_port *inside = &fx.dp->ports[FX_INSIDE];
	for (unsigned i = 1; i < 33; i++) {
		struct ip_addr a = ip_from_v4(0x0a070000 + i);
		to[inside->reta[nic_toeplitz(inside->rss_key, a.bytes, 4) % NIC_RETA_SIZE]]++;
		hc_reply(ip_text(&a, text));
		fx_run();
		peer_gets(&c);
	}
	assert_true(to[0] > 0 && to[1] > 0);
	only(DP_HANDOFF_PREFIX, to[1]);
}

// ESP whose outer packet came in two fragments: where they meet decides whether they are handed over, or
// the whole is.
static void fragment_of(struct hc_client c)
{
	uint8_t whole[1024], part[1024];
	hc_client_add(&c, NULL);
	fx_run();
	size_t len = hc_packet(&c, c.inner, HOST, whole), cut = 64;
	for (unsigned i = 0; i < 2; i++) {
		size_t n = i ? len - IP4_HDR - cut : cut;
		memcpy(part, whole, IP4_HDR);
		memcpy(part + IP4_HDR, whole + IP4_HDR + (i ? cut : 0), n);
		set_be16(part + 2, (uint16_t)(IP4_HDR + n));
		set_be16(part + 4, 4711);
		set_be16(part + 6, i ? (uint16_t)(cut / 8) : 0x2000);
		set_be16(part + 10, 0);
		set_be16(part + 10, (uint16_t)~ip_fold(ip_sum(part, IP4_HDR)));
		fx_input(FX_OUTSIDE, part, IP4_HDR + n);
	}
	fx_run();
	uint64_t times = hc_count(DP_HANDOFF_FRAGMENT);
	assert_in_range(times, 1, 2);
	only(DP_HANDOFF_FRAGMENT, times);
	host_gets(&c);
}

static void fragment(void **state)
{
	fragment_of(make("198.51.100.7", 1, 1, 1));
}

static void marked_fragment(void **state)
{
	fragment_of(make_marked(1, 1));
}

static void client_to_client(void **state)
{
	struct hc_client a = make("198.51.100.7", 0, 0, 0), b = make("198.51.100.8", 1, 1, 1);
	hc_client_add(&a, NULL);
	hc_client_add(&b, NULL);
	fx_run();
	hc_send(&a, a.inner, b.inner);
	fx_run();
	only(DP_HANDOFF_CLIENT, 1);
	peer_gets(&b);
}

// A port with fewer transmit queues than workers.
static void tx(void **state)
{
	struct hc_client c = make("198.51.100.7", 1, 1, 1);
	hc_client_add(&c, NULL);
	fx_run();
	fx.dp->ports[FX_INSIDE].tx_queues = 1;
	hc_send(&c, c.inner, HOST);
	fx_run();
	only(DP_HANDOFF_TX, 1);
	host_gets(&c);
}

static void senders_have_a_queue(void **state)
{
	(void)state;
	for (uint16_t queues = 1; queues <= DP_WORKERS_MAX; queues++) {
		unsigned load[DP_WORKERS_MAX] = {0}, most = 0;
		for (uint16_t w = 0; w < DP_WORKERS_MAX; w++) {
			uint16_t by = dp_port_sender(queues, w);
			assert_true(by < queues && (w >= queues || by == w));
			most = RTE_MAX(most, ++load[by]);
		}
		assert_true(most <= 2 * (DP_WORKERS_MAX + queues - 1u) / queues);
	}
}

static void one_second(void)
{
	fx.now_ns += NS_PER_S + 1;
	fx_run();
}

// ESP alone, which the control thread never sees, shows that a NIC lies; and only that port's.
static void a_lying_nic_is_found_out(void **state)
{
	struct hc_client c = make("198.51.100.7", 1, 1, 1);
	hc_client_add(&c, NULL);
	fx_run();
	for (unsigned i = 0; i < 500; i++) {
		hc_send(&c, c.inner, HOST);
		fx_run();
		host_gets(&c);
	}
	one_second();
	assert_true(fx.dp->ports[FX_OUTSIDE].rss);
	for (unsigned w = 0; w < 2; w++) // as if the port had just been started
		fx.dp->workers[w]->watch[FX_OUTSIDE] = (struct dp_rss_watch){.left = DP_RSS_WATCH};
	nic_force_queue(fx.nic[FX_OUTSIDE], 0);
	for (unsigned i = 0; i < 20; i++) {
		hc_send(&c, c.inner, HOST);
		fx_run();
		host_gets(&c);
		if (i == 6)
			one_second();
		if (i < 7)
			assert_true(fx.dp->ports[FX_OUTSIDE].rss);
	}
	one_second();
	assert_false(fx.dp->ports[FX_OUTSIDE].rss);
	assert_true(fx.dp->ports[FX_INSIDE].rss);
	struct tunnel_path path = fx_path(c.peer, c.peer_port);
	assert_int_equal(dp_rss_worker_of_spi(fx.dp, &path, 7), -1);
}

// The NIC's ports hashed by destination: replies tell.
static void a_lying_inside_nic_is_found_out(void **state)
{
	struct hc_client c = make("198.51.100.7", 1, 1, 1);
	uint8_t p[2048];
	hc_client_add(&c, NULL);
	fx_run();
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	for (unsigned i = 0; i < 20; i++) {
		hc_reply(c.inner);
		fx_run();
		assert_true(fx_output(FX_OUTSIDE, p, sizeof(p)) > 0);
	}
	one_second();
	assert_false(fx.dp->ports[FX_INSIDE].rss);
	assert_true(fx.dp->ports[FX_OUTSIDE].rss);
}

// What the rings between workers hold has buffers, and 64 workers stay payable.
static void memory_grows_with_workers(void **state)
{
	(void)state;
	struct cfg_port ports[2] = {{.mtu = 1500, .rx_descriptors = 1024, .tx_descriptors = 1024},
		{.mtu = 1500, .rx_descriptors = 1024, .tx_descriptors = 1024}};
	struct cfg c = {.ports = ports, .port_count = 2, .main = {.max_sessions = 50000}};
	for (unsigned n = 1; n <= DP_WORKERS_MAX; n++) {
		uint64_t places = (uint64_t)n * (n - 1) * dp_handoff_ring_size(n);
		c.main.worker_count = (uint16_t)n;
		uint64_t bytes = dp_memory_fixed(&c, 1);
		assert_true(bytes > (places + n * 4096) * (1500 + 14));
		// A page of 4 KiB has room for one buffer.
		assert_true(bytes < (uint64_t)n * (80 << 20) + (80 << 20));
	}
	assert_true(dp_memory_sessions(&c) > 50000ull * 2048);
	c.main.worker_count = 1;
	c.main.memory_mb = 8;
	assert_int_equal(dp_memory_check(&c), -ENOMEM);
	c.main.memory_mb = 1024;
	assert_int_equal(dp_memory_check(&c), 0);
}

// The estimate is of what is taken from DPDK, which is what memory_mb gives it.
static void estimate_is_what_is_taken(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= 3; n++) {
		fx_start(n, NIC_HASH_NONE, NIC_HASH_NONE);
		uint64_t estimate = dp_memory_fixed(&fx.cfg, 1);
		if (fx.eal_bytes > estimate / 100 * 105 || fx.eal_bytes < estimate / 100 * 95)
			fail_msg("%u workers: %lu bytes taken, %lu estimated", n, fx.eal_bytes,
				estimate);
		uint64_t sessions = dp_memory_sessions(&fx.cfg);
		assert_true(sessions >= FX_MAX_SAS * 2 * dp_sa_stride());
		fx_stop();
	}
}

// Each pair of so many workers has its ring.
static void rings_for_all_workers(void **state)
{
	(void)state;
	struct dp d = {.worker_count = DP_WORKERS_MAX};
	struct dp_worker *w = calloc(DP_WORKERS_MAX, sizeof(*w));
	assert_non_null(w);
	for (uint16_t i = 0; i < DP_WORKERS_MAX; i++) {
		w[i].id = i;
		w[i].socket = SOCKET_ID_ANY;
		d.workers[i] = &w[i];
	}
	assert_int_equal(dp_handoff_init(&d), 0);
	for (unsigned i = 0; i < DP_WORKERS_MAX; i++) {
		for (unsigned j = 0; j < DP_WORKERS_MAX; j++) {
			struct rte_ring *r = w[i].handoff_in[j];
			assert_int_equal(r != NULL, i != j);
			if (r)
				assert_int_equal(rte_ring_free_count(r),
					dp_handoff_ring_size(DP_WORKERS_MAX));
		}
		dp_worker_rings_free(&w[i]);
	}
	free(w);
}

// Nobody waits for room: what finds the ring full is dropped, by name, and no buffer is lost.
static void full_ring(void **state)
{
	struct hc_client c = make("198.51.100.7", 0, 0, 0);
	uint8_t p[2048];
	unsigned arrived = 0, sent = 1500;
	hc_client_add(&c, NULL);
	fx_run();
	nic_force_queue(fx.nic[FX_OUTSIDE], 1);
	for (unsigned i = 0; i < sent; i++) {
		hc_send(&c, c.inner, HOST);
		fx_step(1); // and never its owner
	}
	uint64_t dropped = fx_drops(DP_DROP_handoff_full);
	assert_true(dropped > 0);
	fx_run();
	while (fx_output(FX_INSIDE, p, sizeof(p)))
		arrived++;
	// The hand-off ring holds one packet more than the fake NIC's.
	unsigned too_many = (unsigned)fx_drops(DP_DROP_tx_full);
	assert_true(too_many <= 1);
	assert_int_equal(arrived + dropped + too_many, sent);
	only(DP_HANDOFF_MISPREDICTED, arrived + too_many);
}

// ---- Many at once, most of them plain ----

#define MANY 50

// The n-th of a burst: wrong[0] has been tampered with, wrong[1] is the one before once more, wrong[2] is for no
// SA, and wrong[3] is from another client, whose window is too wide to be plain.
static const unsigned wrong[4] = {10, 20, 31, 33};

static void send_nth(struct hc_client *c, struct hc_client *wide, unsigned n)
{
	static uint8_t p[1024];
	static size_t len;
	struct hc_client *from = n == wrong[3] ? wide : c;
	if (n != wrong[1])
		len = hc_packet(from, from->inner, HOST, p);
	if (n == wrong[0])
		p[len - 1] ^= 1;
	if (n == wrong[2])
		p[IP4_HDR + UDP_HDR + 3] ^= 1;
	fx_input(FX_OUTSIDE, p, len);
}

static void many_in(unsigned queue)
{
	struct hc_client c = make("198.51.100.7", 0, 0, 0), wide = make("198.51.100.8", 0, 0, 0);
	uint8_t p[2048];
	c.window = 64;
	hc_client_add(&c, NULL);
	hc_client_add(&wide, NULL);
	fx_run();
	hc_send(&c, c.inner, HOST); // the first of an SA is told to the control thread
	fx_run();
	host_gets(&c);
	nic_force_queue(fx.nic[FX_OUTSIDE], queue);
	for (unsigned i = 0; i < MANY; i++)
		send_nth(&c, &wide, i);
	fx_run();
	for (unsigned i = 0; i < MANY; i++) {
		if (i == wrong[0] || i == wrong[1] || i == wrong[2])
			continue;
		struct ip_addr src = fx_ip(i == wrong[3] ? wide.inner : c.inner);
		assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), IP4_HDR + HC_PAYLOAD);
		assert_memory_equal(p + 12, src.bytes, 4);
	}
	assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), 0);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), 1);
	assert_int_equal(fx_drops(DP_DROP_esp_replay), 1);
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 1);
	only(DP_HANDOFF_MISPREDICTED, queue ? MANY : 0);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.esp_in_packets), 1 + MANY - 3);
	assert_int_equal(dp_get(&fx.dp->workers[0]->stats.handoff_in), queue ? MANY : 0);
}

static void many_in_own(void **state)
{
	many_in(0);
}

static void many_in_handed_over(void **state)
{
	many_in(1);
}

// Packets that come back to the client, with one in between whose hops are over, and one for nobody.
static void many_out(unsigned queue)
{
	struct hc_client c = make("198.51.100.7", 0, 0, 0);
	uint8_t p[2048], plain[2048];
	const size_t head = IP4_HDR + UDP_HDR;
	hc_client_add(&c, NULL);
	fx_run();
	nic_force_queue(fx.nic[FX_INSIDE], queue);
	for (unsigned i = 0; i < MANY; i++) {
		size_t len = fx_ipv4(p, HOST, i == 20 ? "10.1.255.250" : c.inner, PROTO_UDP, i + 8);
		if (i == 10) {
			p[8] = 1;
			set_be16(p + 10, 0);
			set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
		}
		fx_input(FX_INSIDE, p, len);
	}
	fx_run();
	unsigned seq = 0;
	for (unsigned i = 0; i < MANY; i++) {
		if (i == 10 || i == 20)
			continue;
		size_t len = fx_output(FX_OUTSIDE, p, sizeof(p));
		assert_true(len > head);
		assert_int_equal(get_be32(p + head + 4), ++seq);
		assert_true(oracle_open(&c.out, 0, p + head, len - head, plain) >= IP4_HDR + i + 8);
		assert_int_equal(get_be16(plain + 2), IP4_HDR + i + 8);
		assert_int_equal(plain[8], 63);
	}
	assert_int_equal(fx_output(FX_OUTSIDE, p, sizeof(p)), 0);
	only(DP_HANDOFF_MISPREDICTED, queue ? MANY - 2 : 0);
}

static void many_out_own(void **state)
{
	many_out(0);
}

static void many_out_handed_over(void **state)
{
	many_out(1);
}

// The tunnel goes while a packet for it is on its way between the workers.
static void stale(void **state)
{
	struct hc_client c = make("198.51.100.7", 0, 1, 0);
	uint8_t p[2048];
	hc_client_add(&c, NULL);
	fx_run();
	hc_reply(c.inner);
	fx_step(1); // gives it to worker 0
	fx.dp->sa_sink.tunnel_del(fx.dp->sa_sink.ctx, c.tunnel);
	fx_run();
	assert_int_equal(fx_output(FX_OUTSIDE, p, sizeof(p)), 0);
	assert_int_equal(fx_drops(DP_DROP_stale_tunnel), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(none_when_predicted, setup, teardown),
		cmocka_unit_test_setup_teardown(mispredicted, setup, teardown),
		cmocka_unit_test_setup_teardown(sticky, setup, teardown),
		cmocka_unit_test_setup_teardown(roaming, setup, teardown),
		cmocka_unit_test_setup_teardown(prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(fragment, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_as_predicted, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_to_the_owner, setup, teardown),
		cmocka_unit_test_setup_teardown(more_behind_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(marked_fragment, setup, teardown),
		cmocka_unit_test_setup_teardown(client_to_client, setup, teardown),
		cmocka_unit_test_setup_teardown(tx, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lying_nic_is_found_out, setup, teardown),
		cmocka_unit_test_setup_teardown(a_lying_inside_nic_is_found_out, setup, teardown),
		cmocka_unit_test(senders_have_a_queue),
		cmocka_unit_test(memory_grows_with_workers),
		cmocka_unit_test(estimate_is_what_is_taken),
		cmocka_unit_test(rings_for_all_workers),
		cmocka_unit_test_setup_teardown(full_ring, setup, teardown),
		cmocka_unit_test_setup_teardown(stale, setup, teardown),
		cmocka_unit_test_setup_teardown(many_in_own, setup, teardown),
		cmocka_unit_test_setup_teardown(many_in_handed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(many_out_own, setup, teardown),
		cmocka_unit_test_setup_teardown(many_out_handed_over, setup, teardown),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
