// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The outside port is a bond by LACP of two members, whose other ends are a bond of the same kind: the
// switch's place. Nobody sends but LACP itself, and later the switch a question.
#include "tests/cmocka_all.h"
#include "tests/dataplane/fixture.h"

#include <rte_dev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_version.h>

#include <stdio.h>
#include <unistd.h>

#define MEMBERS 2
#define WAIT_NS (30 * NS_PER_S)

#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#define SWITCH "net_bonding_switch,mode=4,member=net_ring_sw0,member=net_ring_sw1"
#else
#define SWITCH "net_bonding_switch,mode=4,slave=net_ring_sw0,slave=net_ring_sw1"
#endif

static struct rte_mempool *pool;
static uint16_t switch_id;

static uint64_t now(void)
{
	return clock_now_ns(&clock_system);
}

// Two cables, each of two rings.
static void make_cables(void)
{
	for (unsigned i = 0; i < MEMBERS; i++) {
		char name[32];
		struct rte_ring *r[2];
		for (unsigned way = 0; way < 2; way++) {
			snprintf(name, sizeof(name), "cable%u%u", i, way);
			r[way] = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
			assert_non_null(r[way]);
		}
		snprintf(name, sizeof(name), "gw%u", i);
		assert_true(rte_eth_from_rings(name, &r[0], 1, &r[1], 1, 0) >= 0);
		snprintf(name, sizeof(name), "sw%u", i);
		assert_true(rte_eth_from_rings(name, &r[1], 1, &r[0], 1, 0) >= 0);
	}
}

static void make_switch(void)
{
	struct rte_eth_conf conf = {0};
	pool = rte_pktmbuf_pool_create("switch", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, 0);
	assert_non_null(pool);
	assert_int_equal(rte_dev_probe(SWITCH), 0);
	assert_int_equal(rte_eth_dev_get_port_by_name("net_bonding_switch", &switch_id), 0);
	assert_int_equal(rte_eth_dev_configure(switch_id, 1, 1, &conf), 0);
	assert_int_equal(rte_eth_rx_queue_setup(switch_id, 0, 256, 0, NULL, pool), 0);
	assert_int_equal(rte_eth_tx_queue_setup(switch_id, 0, 256, 0, NULL), 0);
	assert_int_equal(rte_eth_dev_start(switch_id), 0);
	assert_int_equal(rte_eth_promiscuous_enable(switch_id), 0);
}

static void prepare(void)
{
	static char device[] = "net_bonding_gw,mode=4", one[] = "net_ring_gw0",
		    two[] = "net_ring_gw1";
	static char *members[] = {one, two};
	fx.ports[FX_OUTSIDE].device = device;
	fx.ports[FX_OUTSIDE].members = (struct cfg_strings){members, MEMBERS};
}

// One round of both sides; what the switch got is counted if it is an ARP answer.
static unsigned round_of_both(void)
{
	struct rte_mbuf *m[32];
	unsigned answers = 0;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		fx_step(i);
	(void)dp_poll(fx.dp, fx.now_ns);
	uint16_t n = rte_eth_rx_burst(switch_id, 0, m, 32);
	for (uint16_t i = 0; i < n; i++) {
		const uint8_t *p = rte_pktmbuf_mtod(m[i], uint8_t *);
		answers += get_be16(p + 12) == RTE_ETHER_TYPE_ARP && get_be16(p + 20) == 2;
	}
	rte_pktmbuf_free_bulk(m, n);
	(void)rte_eth_tx_burst(switch_id, 0, m, 0);
	return answers;
}

static bool ask(void)
{
	static const uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 9, 9, 8, 6,
		0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 9, 9, 192, 0, 2, 33, 0, 0, 0, 0, 0, 0, 192, 0,
		2, 1};
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, sizeof(arp)), arp, sizeof(arp));
	if (rte_eth_tx_burst(switch_id, 0, &m, 1) == 1)
		return true;
	rte_pktmbuf_free(m); // no member distributes yet
	return false;
}

// LACP comes up though the gateway has nothing to send, with workers that have a queue and one that has
// none; then a question is answered through the bond.
static void comes_up_idle(void **state)
{
	uint64_t end = now() + WAIT_NS;
	unsigned answers = 0;
	struct dp_port_info info;
	(void)state;
	assert_int_equal(fx.dp->ports[FX_OUTSIDE].rx_queues, 1); // as many as a member has
	assert_int_equal(fx.dp->workers[0]->keep_ns <= fx.now_ns + NS_PER_S, true);
	assert_true(fx.dp->workers[1]->keep_ns == DP_NONE_NS);
	while (answers == 0 && now() < end) {
		fx.now_ns += 5 * NS_PER_MS;
		if (fx.now_ns / (5 * NS_PER_MS) % 40 == 0)
			(void)ask();
		answers += round_of_both();
		usleep(5000);
	}
	assert_true(answers > 0);
	assert_true(dp_port_info(fx.dp, FX_OUTSIDE, &info));
	assert_string_equal(info.driver, "net_bonding");
	assert_int_equal(info.member_count, MEMBERS);
	assert_true(info.link);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_up_idle),
	};
	fx_eal();
	make_cables();
	make_switch();
	fx_prepare = prepare;
	fx_start(2, NIC_HASH_NONE, NIC_HASH_NONE);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	fx_stop();
	rte_eth_dev_stop(switch_id);
	rte_eth_dev_close(switch_id);
	return failed;
}
