// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Many tunnels, traffic both ways, on a NIC that hashes the SPI outside and the destination inside:
// none of it changes workers. And with a wrong key in the predictor: it is noticed, told, and learned.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define CLIENTS 24 // twice of them fit into FX_MAX_SAS
#define PACKETS 4

static uint64_t handed(void)
{
	uint64_t n = 0;
	for (unsigned w = 0; w < fx.dp->worker_count; w++)
		for (unsigned c = 0; c < DP_HANDOFF_CAUSES; c++)
			n += dp_get(&fx.dp->workers[w]->stats.handoff_out[c]);
	return n;
}

static unsigned drain(int port)
{
	uint8_t p[2048];
	unsigned n = 0;
	while (fx_output(port, p, sizeof(p)))
		n++;
	return n;
}

// Clients whose addresses and SPIs are chosen as the predictor says; packets in both directions, all of
// which arrive. Returns how many workers had to hand over.
static uint64_t clients(unsigned first, unsigned *owners)
{
	uint64_t before = handed();
	*owners = 0;
	for (unsigned i = first; i < first + CLIENTS; i++) {
		struct sa_spec in, out;
		char inner[32];
		uint8_t p[256], esp[512];
		snprintf(inner, sizeof(inner), "10.1.%u.%u", (i * 37) & 255, (i * 101 + 1) & 255);
		struct ip_addr a = fx_ip(inner);
		unsigned owner = dp_rss_worker_of_inner(fx.dp, &a);
		*owners |= 1u << owner;
		uint32_t t = fx_tunnel(owner, inner, "198.51.100.7", 0);
		fx_child(t, owner, ENCR_AES_GCM_16, 128, 0, inner, &in, &out);
		for (unsigned k = 1; k <= PACKETS; k++) {
			size_t n = fx_ipv4(p, inner, "10.99.0.5", PROTO_UDP, 32);
			n = oracle_wrap(&in, k, p, n, 4, esp);
			fx_input_esp("198.51.100.7", 0, 0, esp, n);
			n = fx_ipv4(p, "10.99.0.5", inner, PROTO_UDP, 32);
			fx_input(FX_INSIDE, p, n);
		}
		fx_run();
	}
	assert_int_equal(drain(FX_INSIDE), CLIENTS * PACKETS);
	assert_int_equal(drain(FX_OUTSIDE), CLIENTS * PACKETS);
	return handed() - before;
}

static void seconds(unsigned n)
{
	while (n--) {
		fx.now_ns += NS_PER_S + 1;
		fx_run();
	}
}

static void nothing_changes_workers(void **state)
{
	(void)state;
	for (unsigned workers = 2; workers <= 4; workers++) {
		unsigned owners;
		struct dp_port_info info;
		fx_start(workers, NIC_HASH_SPI, NIC_HASH_DST);
		assert_int_equal(clients(0, &owners), 0);
		assert_int_equal(clients(CLIENTS, &owners), 0);
		assert_int_equal(owners, (1u << workers) - 1);
		for (int i = 0; i < 2; i++) {
			assert_true(dp_port_info(fx.dp, (size_t)i, &info));
			assert_int_equal(info.rss_wrong, 0);
			assert_true(info.rss_right >= 2 * CLIENTS);
			assert_string_equal(info.rss, i ? "by destination" : "by SPI");
		}
		seconds(2);
		assert_true(fx.dp->ports[FX_OUTSIDE].rss && fx.dp->ports[FX_INSIDE].rss);
		fx_stop();
	}
}

static void a_wrong_key_is_learned(void **state)
{
	(void)state;
	for (unsigned workers = 2; workers <= 4; workers++) {
		unsigned owners;
		struct dp_port_info info;
		fx_start(workers, NIC_HASH_SPI, NIC_HASH_DST);
		for (int i = 0; i < 2; i++)
			for (unsigned k = 0; k < DP_RSS_KEY_MAX; k++)
				fx.dp->ports[i].rss_key[k] ^= (uint8_t)(0x5a + k * 29);
		assert_true(clients(0, &owners) > 0);
		seconds(1);
		for (int i = 0; i < 2; i++) {
			assert_false(fx.dp->ports[i].rss);
			assert_true(dp_port_info(fx.dp, (size_t)i, &info));
			assert_string_equal(info.rss, "none");
			assert_true(info.rss_wrong >= 8);
		}
		seconds(1);
		for (int i = 0; i < 2; i++) {
			assert_true(fx.dp->ports[i].rss);
			assert_true(dp_port_info(fx.dp, (size_t)i, &info));
			assert_string_equal(info.rss, "by a learned key");
		}
		assert_int_equal(clients(CLIENTS, &owners), 0);
		seconds(2);
		assert_true(fx.dp->ports[FX_OUTSIDE].rss && fx.dp->ports[FX_INSIDE].rss);
		fx_stop();
	}
}

// A NIC that puts everything into one queue has no key that explains it: it is not predicted any more,
// and all packets arrive by hand-over.
static void no_key_to_learn(void **state)
{
	unsigned owners;
	(void)state;
	fx_start(2, NIC_HASH_SPI, NIC_HASH_DST);
	nic_force_queue(fx.nic[FX_OUTSIDE], 1);
	nic_force_queue(fx.nic[FX_INSIDE], 0);
	assert_true(clients(0, &owners) > 0);
	seconds(4);
	assert_false(fx.dp->ports[FX_OUTSIDE].rss);
	assert_false(fx.dp->ports[FX_INSIDE].rss);
	assert_true(clients(CLIENTS, &owners) > 0);
	fx_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_changes_workers),
		cmocka_unit_test(a_wrong_key_is_learned),
		cmocka_unit_test(no_key_to_learn),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
