// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Many child SAs of one tunnel: each packet leaves by the newest whose selectors hold it, whatever
// is rekeyed or deleted beside it.
#include "tests/cmocka_all.h"
#include "tests/dataplane/fixture.h"

#include <errno.h>
#include <stdio.h>

#define PEER     "198.51.100.7"
#define HOST     "10.99.0.5"
#define CHILDREN 16 // what the control plane allows a session

static uint32_t tunnel;

// Child k of generation g: its own network behind the peer, and a peer's SPI that tells it.
static uint32_t peer_spi(unsigned k, unsigned g)
{
	return 0xc0de0000u + g * 256 + k;
}

static const struct sa_sink *sink(void)
{
	return &fx.dp->sa_sink;
}

static void network_of(unsigned k, char *text, size_t cap, const char *form)
{
	snprintf(text, cap, form, k);
}

static int start(void **state)
{
	(void)state;
	char text[32];
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	tunnel = fx_tunnel(0, "172.20.0.0/24", PEER, 4500);
	for (unsigned k = 1; k < CHILDREN; k++) {
		network_of(k, text, sizeof(text), "172.20.%u.0/24");
		struct ip_prefix p = fx_prefix(text);
		assert_int_equal(sink()->route_add(sink()->ctx, tunnel, &p), 0);
	}
	return 0;
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

static int add(unsigned k, unsigned g, uint32_t *spi)
{
	struct tunnel_path path = fx_path(PEER, 4500);
	char ts[32];
	network_of(k, ts, sizeof(ts), "172.20.%u.0/24");
	assert_int_equal(sink()->spi_reserve(sink()->ctx, (uint16_t)fx.owner, &path, spi), 0);
	struct sa_spec s = fx_spec(tunnel, SA_OUT, ENCR_AES_GCM_16, 128, 0, ts);
	s.child = *spi;
	s.spi = peer_spi(k, g);
	return sink()->sa_add(sink()->ctx, &s);
}

static uint32_t child(unsigned k, unsigned g)
{
	uint32_t spi;
	assert_int_equal(add(k, g, &spi), 0);
	sink()->sa_switch(sink()->ctx, spi);
	fx_run();
	return spi;
}

static void del(uint32_t spi)
{
	sink()->sa_del(sink()->ctx, spi, SA_OUT);
	fx_run();
}

// The peer's SPI that a packet to network k leaves with; 0: it does not leave.
static uint32_t leaves_by(unsigned k)
{
	uint8_t p[512];
	char dst[32];
	network_of(k, dst, sizeof(dst), "172.20.%u.9");
	fx_input(FX_INSIDE, p, fx_ipv4(p, HOST, dst, PROTO_UDP, 8));
	fx_run();
	return fx_output(FX_OUTSIDE, p, sizeof(p)) ? get_be32(p + IP4_HDR + UDP_HDR) : 0;
}

// Steps that visit 0 to 15 in another order for each odd stride.
static unsigned nth(unsigned i, unsigned stride)
{
	return (i * stride + 3) % CHILDREN;
}

static void rekeyed_and_deleted_in_any_order(void **state)
{
	(void)state;
	for (unsigned stride = 1; stride < CHILDREN; stride += 2) {
		uint32_t old[CHILDREN], new[CHILDREN];
		for (unsigned k = 0; k < CHILDREN; k++)
			old[k] = child(k, 0);
		for (unsigned k = 0; k < CHILDREN; k++)
			assert_int_equal(leaves_by(k), peer_spi(k, 0));
		for (unsigned i = 0; i < CHILDREN; i++)
			new[nth(i, stride)] = child(nth(i, stride), 1);
		for (unsigned k = 0; k < CHILDREN; k++)
			assert_int_equal(leaves_by(k), peer_spi(k, 1));
		for (unsigned i = 0; i < CHILDREN; i++) {
			del(old[nth(i, stride)]);
			for (unsigned k = 0; k < CHILDREN; k++)
				assert_int_equal(leaves_by(k), peer_spi(k, 1));
		}
		for (unsigned i = 0; i < CHILDREN; i++) {
			del(new[nth(CHILDREN - 1 - i, stride)]);
			assert_int_equal(leaves_by(nth(CHILDREN - 1 - i, stride)), 0);
		}
	}
	assert_int_equal(dp_get(&fx.dp->workers[fx.owner]->stats.sas), 0);
	assert_int_equal(fx_drops(DP_DROP_no_selector),
		8 * (CHILDREN - 1)); // the last delete of a round leaves no child at all
	assert_int_equal(fx_drops(DP_DROP_no_child), 8);
}

// The peer deletes the new one: the old one, which still lives, takes over.
static void falls_back_to_the_next_newest(void **state)
{
	(void)state;
	uint32_t first = child(5, 0), other = child(6, 0), second = child(5, 1),
		 third = child(5, 2);
	assert_int_equal(leaves_by(5), peer_spi(5, 2));
	del(third);
	assert_int_equal(leaves_by(5), peer_spi(5, 1));
	del(other);
	assert_int_equal(leaves_by(5), peer_spi(5, 1));
	assert_int_equal(leaves_by(6), 0);
	// Switched to once more, an older one is the newest.
	sink()->sa_switch(sink()->ctx, first);
	assert_int_equal(leaves_by(5), peer_spi(5, 0));
	del(second);
	assert_int_equal(leaves_by(5), peer_spi(5, 0));
	del(first);
	assert_int_equal(leaves_by(5), 0);
}

static void more_than_a_tunnel_may_have_are_refused(void **state)
{
	(void)state;
	uint32_t spi, last = 0;
	for (unsigned i = 0; i < DP_TUNNEL_SAS; i++)
		last = child(i % CHILDREN, i / CHILDREN);
	assert_int_equal(add(0, 9, &spi), -ENOSPC);
	sink()->spi_release(sink()->ctx, spi);
	assert_int_equal(leaves_by(0), peer_spi(0, DP_TUNNEL_SAS / CHILDREN - 1));
	del(last);
	child(0, 9);
	assert_int_equal(leaves_by(0), peer_spi(0, 9));
	sink()->tunnel_del(sink()->ctx, tunnel);
	fx_run();
	assert_int_equal(dp_get(&fx.dp->workers[fx.owner]->stats.sas), 0);
	assert_int_equal(dp_get(&fx.dp->workers[fx.owner]->stats.tunnels), 0);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		WITH(rekeyed_and_deleted_in_any_order),
		WITH(falls_back_to_the_next_newest),
		WITH(more_than_a_tunnel_may_have_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
