// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the kernel gets by a port's exception interface, and what it sends; in a network namespace of
// the test's own.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/exception.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT "excout"
#define IN  "excin"
#define TCP 6

static bool own_netns;
static int kernel[2];
static uint32_t rate = 100000;

static void prepare(void)
{
	static char out[] = OUT, in[] = IN;
	fx.ports[FX_OUTSIDE].exception = out;
	fx.ports[FX_INSIDE].exception = in;
	fx.ports[FX_OUTSIDE].exception_rate = fx.ports[FX_INSIDE].exception_rate = rate;
}

static int packet_socket(const char *interface)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(0x0003));
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(0x0003),
		.sll_ifindex = (int)if_nametoindex(interface),
	};
	assert_true(fd >= 0 && to.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

static int start(void **state)
{
	(void)state;
	if (!own_netns)
		return 0;
	fx_prepare = prepare;
	fx_start(2, NIC_HASH_NONE, NIC_HASH_NONE);
	kernel[FX_OUTSIDE] = packet_socket(OUT);
	kernel[FX_INSIDE] = packet_socket(IN);
	fx_run();
	return 0;
}

static int stop(void **state)
{
	(void)state;
	if (!own_netns)
		return 0;
	close(kernel[0]);
	close(kernel[1]);
	fx_stop();
	return 0;
}

static void need_netns(void)
{
	if (!own_netns) {
		print_message("# SKIP no network namespace (CAP_SYS_ADMIN)\n");
		skip();
	}
}

// The next frame that the kernel got by the interface, of this ethertype; what it sends itself
// (router solicitations, groups) is passed over.
static size_t kernel_gets(int port, uint16_t type, uint8_t *f, size_t cap)
{
	struct sockaddr_ll from;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(kernel[port], f, cap, 0, (struct sockaddr *)&from, &len);
		if (n < 0)
			return 0;
		if (from.sll_pkttype != PACKET_OUTGOING && n >= 14 && get_be16(f + 12) == type)
			return (size_t)n;
	}
}

static void kernel_sends(int port, const uint8_t *f, size_t len)
{
	assert_int_equal(send(kernel[port], f, len, 0), len);
	for (unsigned i = 0; i < 20; i++) {
		fx_run();
		usleep(100);
	}
}

static uint64_t all_drops(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		n += fx_drops((enum dp_drop)i);
	return n;
}

static size_t ip(uint8_t *p, const char *src, const char *dst, uint8_t proto)
{
	return strchr(dst, ':') ? fx_ipv6(p, src, dst, proto, 32) : fx_ipv4(p, src, dst, proto, 32);
}

// ---- To the kernel ----

static void what_the_kernel_gets(void **state)
{
	static const struct {
		int port;
		const char *src, *dst;
		uint8_t proto;
		bool kernel;
		enum dp_drop why; // if not
	} cases[] = {
		{FX_OUTSIDE, "203.0.113.5", "192.0.2.1", TCP, true, DP_DROP_NONE},
		{FX_OUTSIDE, "203.0.113.5", "192.0.2.77", TCP, true, DP_DROP_NONE},
		{FX_OUTSIDE, "203.0.113.5", "192.0.2.77", PROTO_ICMP, true, DP_DROP_NONE},
		{FX_OUTSIDE, "203.0.113.5", "224.0.0.5", 89, true, DP_DROP_NONE},
		{FX_OUTSIDE, "2001:db8:5::1", "2001:db8:1::1", TCP, true, DP_DROP_NONE},
		{FX_OUTSIDE, "2001:db8:5::1", "2001:db8:1::77", TCP, true, DP_DROP_NONE},
		{FX_OUTSIDE, "203.0.113.5", "192.0.2.1", PROTO_ESP, false, DP_DROP_esp_no_sa},
		{FX_INSIDE, "10.99.0.5", "10.99.0.1", TCP, true, DP_DROP_NONE},
		{FX_INSIDE, "10.99.0.5", "10.99.0.1", 89, true, DP_DROP_NONE},
		{FX_INSIDE, "10.99.0.5", "224.0.0.5", 89, true, DP_DROP_NONE},
		{FX_INSIDE, "10.99.0.5", "10.1.0.9", TCP, false, DP_DROP_no_tunnel},
		{FX_INSIDE, "10.99.0.5", "8.8.8.8", TCP, false, DP_DROP_no_route},
	};
	uint8_t p[256], f[2048];
	need_netns();
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t before = all_drops();
		size_t n = ip(p, cases[i].src, cases[i].dst, cases[i].proto);
		uint16_t type = p[0] >> 4 == 6 ? 0x86dd : 0x0800;
		print_message("# %s, protocol %u\n", cases[i].dst, cases[i].proto);
		fx_input(cases[i].port, p, n);
		fx_run();
		size_t got = kernel_gets(cases[i].port, type, f, sizeof(f));
		assert_int_equal(got, cases[i].kernel ? n + 14 : 0);
		if (got)
			assert_memory_equal(f + 14, p, n);
		assert_int_equal(all_drops(), before + !cases[i].kernel);
		if (!cases[i].kernel)
			assert_true(fx_drops(cases[i].why) > 0);
	}
}

// A bad packet is no business of the kernel's either, nor one for another host.
static void what_it_does_not_get(void **state)
{
	uint8_t p[256], f[2048];
	need_netns();
	size_t n = fx_ipv4(p, "203.0.113.5", "192.0.2.77", TCP, 32);
	p[10] ^= 1;
	fx_input(FX_OUTSIDE, p, n);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_ip_checksum), 1);
	p[10] ^= 1;
	memcpy(f, "\x02\xff\xff\xff\xff\xff\x02\x00\x00\x00\x09\x09\x08\x00", 14);
	memcpy(f + 14, p, n);
	assert_true(nic_input(fx.nic[FX_OUTSIDE], f, n + 14) >= 0);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_not_for_us), 1);
	assert_int_equal(kernel_gets(FX_OUTSIDE, 0x0800, f, sizeof(f)), 0);
}

// Questions and answers on the link are of use to both.
static void arp_goes_to_both(void **state)
{
	uint8_t f[60] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 9, 9, 8, 6, 0, 1, 8, 0, 6,
		4, 0, 1, 2, 0, 0, 0, 9, 9, 192, 0, 2, 33, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1};
	uint8_t got[2048];
	need_netns();
	assert_true(nic_input(fx.nic[FX_OUTSIDE], f, sizeof(f)) >= 0);
	fx_run();
	assert_int_equal(kernel_gets(FX_OUTSIDE, 0x0806, got, sizeof(got)), sizeof(f));
	assert_memory_equal(got, f, sizeof(f));
	struct rte_mbuf *m = nic_output(fx.nic[FX_OUTSIDE], NULL);
	while (m && get_be16(rte_pktmbuf_mtod(m, uint8_t *) + 12) != 0x0806) {
		rte_pktmbuf_free(m);
		m = nic_output(fx.nic[FX_OUTSIDE], NULL);
	}
	assert_non_null(m); // ours answered
	assert_int_equal(get_be16(rte_pktmbuf_mtod(m, uint8_t *) + 20), 2);
	rte_pktmbuf_free(m);
	// An answer to a question of the kernel's: not ours, no drop.
	uint64_t before = all_drops();
	memcpy(f, fx.dp->ports[FX_OUTSIDE].mac.addr_bytes, 6);
	f[21] = 2;
	assert_true(nic_input(fx.nic[FX_OUTSIDE], f, sizeof(f)) >= 0);
	fx_run();
	assert_int_equal(kernel_gets(FX_OUTSIDE, 0x0806, got, sizeof(got)), sizeof(f));
	assert_int_equal(all_drops(), before);
}

// The share of a worker, and no more; IKE goes on.
static void above_the_rate(void **state)
{
	uint8_t p[256], f[2048];
	unsigned got = 0;
	need_netns();
	fx.dp->ports[FX_OUTSIDE].exception_share = 5;
	size_t n = fx_ipv4(p, "203.0.113.5", "192.0.2.1", TCP, 32);
	for (unsigned i = 0; i < 20; i++)
		fx_input(FX_OUTSIDE, p, n);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_exception_rate), 15);
	while (kernel_gets(FX_OUTSIDE, 0x0800, f, sizeof(f)))
		got++;
	assert_int_equal(got, 5);
	fx.now_ns += DP_EXCEPTION_SHARE_NS;
	fx_input(FX_OUTSIDE, p, n);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_exception_rate), 15);
	assert_int_equal(dp_exception_share(10000, 4), 25);
	assert_int_equal(dp_exception_share(1, 64), 1);
}

// ---- From the kernel ----

static void what_the_kernel_sends(void **state)
{
	uint8_t f[256] = {2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 1, 1, 8, 0}, out[2048];
	need_netns();
	size_t n = fx_ipv4(f + 14, "192.0.2.1", "203.0.113.5", TCP, 32);
	kernel_sends(FX_OUTSIDE, f, n + 14);
	assert_int_equal(fx_output(FX_OUTSIDE, out, sizeof(out)), n);
	assert_memory_equal(out, f + 14, n);
	// Nobody's address of a pool does not leave in clear.
	n = fx_ipv4(f + 14, "192.0.2.1", "10.1.0.77", TCP, 32);
	kernel_sends(FX_OUTSIDE, f, n + 14);
	assert_int_equal(fx_output(FX_OUTSIDE, out, sizeof(out)), 0);
	assert_int_equal(fx_drops(DP_DROP_no_tunnel), 1);
}

// A client talks to the kernel by the gateway's inside address, through its tunnel.
static void through_a_tunnel(void **state)
{
	struct sa_spec in, outward;
	uint8_t p[256], esp[512], f[2048], plain[512];
	need_netns();
	uint32_t t = fx_tunnel(0, "10.1.0.2", "198.51.100.7", 0);
	fx_child(t, 0, ENCR_AES_GCM_16, 128, 0, "10.1.0.2", &in, &outward);
	size_t n = fx_ipv4(p, "10.1.0.2", "10.99.0.1", TCP, 32);
	size_t len = oracle_wrap(&in, 1, p, n, 4, esp);
	fx_input_esp("198.51.100.7", 0, 0, esp, len);
	fx_run();
	assert_int_equal(kernel_gets(FX_INSIDE, 0x0800, f, sizeof(f)), n + 14);
	assert_memory_equal(f, fx.dp->ports[FX_INSIDE].mac.addr_bytes, 6);
	assert_memory_equal(f + 14 + 12, p + 12, n - 12);

	// It asks on the link for the client, and is told the way.
	uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 2, 1, 8, 6, 0, 1, 8, 0,
		6, 4, 0, 1, 2, 0, 0, 0, 2, 1, 10, 99, 0, 1, 0, 0, 0, 0, 0, 0, 10, 1, 0, 2};
	uint8_t way[6];
	memcpy(way, f + 6, 6);
	kernel_sends(FX_INSIDE, arp, sizeof(arp));
	assert_true(kernel_gets(FX_INSIDE, 0x0806, f, sizeof(f)) > 0);
	assert_int_equal(get_be16(f + 20), 2);
	assert_memory_equal(f + 22, way, 6);

	memcpy(f, way, 6);
	memcpy(f + 6, fx.dp->ports[FX_INSIDE].mac.addr_bytes, 6);
	set_be16(f + 12, 0x0800);
	n = fx_ipv4(f + 14, "10.99.0.1", "10.1.0.2", TCP, 32);
	kernel_sends(FX_INSIDE, f, n + 14);
	len = fx_output(FX_OUTSIDE, p, sizeof(p));
	assert_true(len > n);
	assert_int_equal(p[9], PROTO_ESP);
	assert_true(oracle_open(&outward, 0, p + IP4_HDR, len - IP4_HDR, plain) >= n);
	assert_memory_equal(plain, f + 14, n);
	assert_int_equal(fx_output(FX_INSIDE, p, sizeof(p)), 0);
}

// Somebody deletes the interface: it is made anew.
static void removed_and_made_anew(void **state)
{
	uint8_t p[256], f[2048];
	struct dp_port_info info;
	need_netns();
	close(kernel[FX_OUTSIDE]);
	assert_int_equal(system("ip link del " OUT), 0);
	fx_run();
	size_t n = fx_ipv4(p, "203.0.113.5", "192.0.2.1", TCP, 32);
	fx_input(FX_OUTSIDE, p, n);
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_exception_full), 1);
	fx.now_ns += 3 * NS_PER_S;
	fx_run();
	kernel[FX_OUTSIDE] = packet_socket(OUT);
	fx_input(FX_OUTSIDE, p, n);
	fx_run();
	assert_int_equal(kernel_gets(FX_OUTSIDE, 0x0800, f, sizeof(f)), n + 14);
	assert_true(dp_port_info(fx.dp, FX_OUTSIDE, &info));
	assert_string_equal(info.exception, OUT);
	assert_true(info.exception_to >= 1);
}

// The control thread's sleep ends when the kernel sends; not while its rate is used up.
static void wakes_the_control_thread(void **state)
{
	uint8_t f[64] = {2, 0, 0, 0, 9, 9, 2, 0, 0, 0, 1, 1, 0x88, 0xb5};
	need_netns();
	while (fx.dp->exceptions && dp_exceptions_poll(fx.dp, fx.now_ns))
		;
	fx_run();
	dp_arm(fx.dp);
	struct pollfd fd = {.fd = dp_wake_fd(fx.dp), .events = POLLIN};
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_int_equal(send(kernel[FX_OUTSIDE], f, sizeof(f), 0), sizeof(f));
	assert_int_equal(poll(&fd, 1, 1000), 1);
	fx_run();
	dp_arm(fx.dp);
	assert_int_equal(poll(&fd, 1, 0), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(what_the_kernel_gets),
		CASE(what_it_does_not_get),
		CASE(arp_goes_to_both),
		CASE(above_the_rate),
		CASE(what_the_kernel_sends),
		CASE(through_a_tunnel),
		CASE(removed_and_made_anew),
		CASE(wakes_the_control_thread),
	};
	own_netns = unshare(CLONE_NEWNET) == 0;
	// Without addresses of its own the kernel says nothing that nobody asked it to.
	own_netns =
		own_netns && system("echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6") == 0;
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
