// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Several ports on one device: outside untagged and in VLAN 10, inside untagged and in VLAN 20 and
// 30, one and two workers.
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#include "dataplane/vlan.h"

#define OUT10 2
#define IN20  3
#define IN30  4

static const uint8_t peer_mac[6] = {2, 0, 0, 0, 9, 9};

static void sub_port(int i, int device, uint16_t vlan, const char *name, struct ip_prefix *address,
	const char *text)
{
	*address = fx_prefix(text);
	fx.ports[i] = (struct cfg_port){
		.name = (char *)(uintptr_t)name,
		.role = fx.ports[device].role,
		.device = fx.ports[device].device,
		.shares = &fx.ports[device],
		.vlan = vlan,
		.addresses = address,
		.address_count = 1,
		.mtu = 1500,
	};
}

static void prepare(void)
{
	static struct ip_prefix addresses[3];
	sub_port(OUT10, FX_OUTSIDE, 10, "out10", &addresses[0], "203.0.113.1/24");
	sub_port(IN20, FX_INSIDE, 20, "in20", &addresses[1], "10.20.0.1/24");
	sub_port(IN30, FX_INSIDE, 30, "in30", &addresses[2], "10.30.0.1/24");
	fx.cfg.port_count = 5;
}

static void know(uint16_t port, const char *addr)
{
	struct dp_neigh n = {.addr = fx_ip(addr), .port = port, .valid = true};
	memcpy(n.mac.addr_bytes, peer_mac, 6);
	dp_neigh_publish(fx.dp, &n);
}

static int start(unsigned workers)
{
	fx_prepare = prepare;
	fx_start(workers, NIC_HASH_UDP, NIC_HASH_DST);
	know(OUT10, "203.0.113.9");
	know(IN20, "10.20.0.5");
	know(IN30, "10.30.0.5");
	fx_run();
	return 0;
}

static int start_one(void **state)
{
	(void)state;
	return start(1);
}

static int start_two(void **state)
{
	(void)state;
	return start(2);
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

// ---- Frames ----

// MACs, tags (types and TCIs as they stand on the wire), ethertype and packet.
static size_t frame_of(uint8_t *f, int device, const uint8_t *tags, size_t tags_len, uint16_t type,
	const uint8_t *packet, size_t len)
{
	memcpy(f, fx.dp->ports[device].mac.addr_bytes, 6);
	memcpy(f + 6, peer_mac, 6);
	if (tags_len)
		memcpy(f + 12, tags, tags_len);
	set_be16(f + 12 + tags_len, type);
	memcpy(f + 14 + tags_len, packet, len);
	return 14 + tags_len + len;
}

static void tagged(int device, uint16_t vlan, const uint8_t *packet, size_t len)
{
	uint8_t f[2048], tag[4] = {0x81, 0, (uint8_t)(vlan >> 8), (uint8_t)vlan};
	size_t n = frame_of(f, device, tag, sizeof(tag), RTE_ETHER_TYPE_IPV4, packet, len);
	assert_true(nic_input(fx.nic[device], f, n) >= 0);
}

// The next IPv4 packet that leaves, and its VLAN; 0: untagged, -1: none.
static int next_out(int device, uint8_t *packet, size_t *len)
{
	struct rte_mbuf *m;
	while ((m = nic_output(fx.nic[device], NULL))) {
		const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
		bool tag = get_be16(p + 12) == RTE_ETHER_TYPE_VLAN;
		int vlan = tag ? get_be16(p + 14) : 0;
		size_t head = tag ? 18 : 14;
		bool ip = get_be16(p + head - 2) == RTE_ETHER_TYPE_IPV4;
		*len = rte_pktmbuf_data_len(m) - head;
		if (ip)
			memcpy(packet, p + head, *len);
		rte_pktmbuf_free(m);
		if (ip)
			return vlan;
	}
	return -1;
}

static size_t echo(uint8_t *p, const char *from, const char *to)
{
	size_t len = fx_ipv4(p, from, to, PROTO_ICMP, 16);
	memset(p + IP4_HDR, 0, 8);
	p[IP4_HDR] = 8;
	set_be16(p + IP4_HDR + 2, (uint16_t)~ip_fold(ip_sum(p + IP4_HDR, 16)));
	return len;
}

static uint64_t all_drops(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < DP_DROP_COUNT; i++)
		n += fx_drops((enum dp_drop)i);
	return n;
}

// ---- Tests ----

// An echo to each port's address comes back by the same VLAN.
static void each_vlan_answers(void **state)
{
	static const struct {
		int device;
		uint16_t vlan; // on the wire, priority included
		const char *from, *to;
		int back;
	} cases[] = {
		{FX_OUTSIDE, 10, "203.0.113.9", "203.0.113.1", 10},
		{FX_OUTSIDE, 10 | 5 << 13, "203.0.113.9", "203.0.113.1", 10},
		{FX_OUTSIDE, 0, "192.0.2.254", "192.0.2.1", 0},
		{FX_OUTSIDE, 7 << 13, "192.0.2.254", "192.0.2.1", 0}, // a priority alone
		{FX_INSIDE, 20, "10.20.0.5", "10.20.0.1", 20},
		{FX_INSIDE, 30, "10.30.0.5", "10.30.0.1", 30},
		{FX_INSIDE, 0, "10.99.0.5", "10.99.0.1", 0},
	};
	uint8_t p[256], out[2048];
	size_t len;
	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		size_t n = echo(p, cases[i].from, cases[i].to);
		if (cases[i].vlan)
			tagged(cases[i].device, cases[i].vlan, p, n);
		else
			fx_input(cases[i].device, p, n);
		fx_run();
		assert_int_equal(next_out(cases[i].device, out, &len), cases[i].back);
		assert_int_equal(len, n);
		assert_memory_equal(out + 12, p + 16, 4);
		assert_memory_equal(out + 16, p + 12, 4);
	}
	assert_int_equal(all_drops(), 0);
}

// Who asks for a port's address in its VLAN is answered there, and nowhere else.
static void arp_stays_in_its_vlan(void **state)
{
	uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 9, 9, 10, 20, 0, 77, 0, 0, 0, 0, 0,
		0, 10, 20, 0, 1};
	static const uint16_t vlans[] = {30, 20};
	uint8_t f[64];
	(void)state;
	for (size_t i = 0; i < RTE_DIM(vlans); i++) {
		uint8_t tag[4] = {0x81, 0, 0, (uint8_t)vlans[i]};
		size_t n = frame_of(f, FX_INSIDE, tag, 4, RTE_ETHER_TYPE_ARP, arp, sizeof(arp));
		memset(f, 0xff, 6);
		assert_true(nic_input(fx.nic[FX_INSIDE], f, n) >= 0);
		fx_run();
		struct rte_mbuf *m = nic_output(fx.nic[FX_INSIDE], NULL);
		assert_int_equal(m != NULL, vlans[i] == 20);
		if (!m)
			continue;
		const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);
		assert_int_equal(get_be32(p + 12), 0x81000014);
		assert_int_equal(get_be16(p + 16), RTE_ETHER_TYPE_ARP);
		assert_int_equal(get_be16(p + 18 + 6), 2);
		assert_memory_equal(p + 18 + 8, fx.dp->ports[FX_INSIDE].mac.addr_bytes, 6);
		rte_pktmbuf_free(m);
	}
	assert_int_equal(fx_drops(DP_DROP_arp_foreign), 1);
}

// A tunnel by the outside's VLAN, to and from a host in the inside's.
static void esp_between_vlans(void **state)
{
	struct tunnel_path path = {.local = {fx_ip("203.0.113.1"), 0},
		.remote = {fx_ip("203.0.113.9"), 0},
		.port = OUT10};
	uint8_t p[256], esp[512], out[2048], plain[512];
	size_t len;
	struct sa_spec in, outward;
	(void)state;
	uint32_t t = fx_tunnel_on(0, "10.1.0.2", &path);
	const struct sa_sink *s = &fx.dp->sa_sink;
	struct ip_range local;
	uint32_t spi;
	assert_int_equal(ip_range_parse("10.0.0.0/8", &local), 0);
	assert_int_equal(s->spi_reserve(s->ctx, 0, &path, &spi), 0);
	in = fx_spec(t, SA_IN, ENCR_AES_GCM_16, 128, 0, "10.1.0.2");
	outward = fx_spec(t, SA_OUT, ENCR_AES_GCM_16, 128, 0, "10.1.0.2");
	in.ts_local[0] = outward.ts_local[0] = selector_of_range(&local);
	in.child = in.spi = outward.child = spi;
	outward.spi = FX_PEER_SPI;
	assert_int_equal(s->sa_add(s->ctx, &in), 0);
	assert_int_equal(s->sa_add(s->ctx, &outward), 0);
	s->sa_switch(s->ctx, spi);
	fx_run();

	for (unsigned i = 1; i <= 3; i++) {
		size_t n = fx_ipv4(p, "10.1.0.2", "10.20.0.5", PROTO_UDP, 16);
		n = oracle_wrap(&in, i, p, n, 4, esp);
		uint8_t outer[512];
		size_t at = fx_ipv4(outer, "203.0.113.9", "203.0.113.1", PROTO_ESP, n) - n;
		memcpy(outer + at, esp, n);
		tagged(FX_OUTSIDE, 10, outer, at + n);
		fx_run();
		assert_int_equal(next_out(FX_INSIDE, out, &len), 20);
		assert_memory_equal(out + 12, p + 12, 8);

		n = fx_ipv4(p, "10.30.0.5", "10.1.0.2", PROTO_UDP, 16);
		tagged(FX_INSIDE, 30, p, n);
		fx_run();
		assert_int_equal(next_out(FX_OUTSIDE, out, &len), 10);
		assert_int_equal(out[9], PROTO_ESP);
		assert_true(oracle_open(&outward, 0, out + IP4_HDR, len - IP4_HDR, plain) > n);
	}
	assert_int_equal(all_drops(), 0);
}

// What has a wrong tag moves its own counter and nothing else.
static void refused(void **state)
{
	static const struct {
		uint8_t tags[8];
		size_t tags_len;
		uint16_t type;
		enum dp_drop why;
	} cases[] = {
		{{0x81, 0, 0, 11}, 4, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_unknown},
		{{0x81, 0, 0x0f, 0xff}, 4, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_unknown},
		{{0x81, 0, 0, 20}, 4, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_unknown}, // the inside's
		{{0x81, 0, 0, 10, 0x81, 0, 0, 10}, 8, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_qinq},
		{{0x81, 0, 0, 0, 0x81, 0, 0, 10}, 8, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_qinq},
		{{0x88, 0xa8, 0, 10, 0x81, 0, 0, 10}, 8, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_qinq},
		{{0x91, 0, 0, 10, 0x81, 0, 0, 10}, 8, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_qinq},
		{{0x88, 0xa8, 0, 10}, 4, RTE_ETHER_TYPE_IPV4, DP_DROP_vlan_qinq},
		{{0x81, 0, 0, 10}, 4, 0x88cc, DP_DROP_ethertype},
	};
	uint8_t p[64], f[128];
	(void)state;
	size_t n = echo(p, "203.0.113.9", "203.0.113.1");
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		uint64_t before = fx_drops(cases[i].why), all = all_drops();
		size_t len = frame_of(
			f, FX_OUTSIDE, cases[i].tags, cases[i].tags_len, cases[i].type, p, n);
		assert_true(nic_input(fx.nic[FX_OUTSIDE], f, len) >= 0);
		fx_run();
		assert_int_equal(fx_drops(cases[i].why), before + 1);
		assert_int_equal(all_drops(), all + 1);
		assert_null(nic_output(fx.nic[FX_OUTSIDE], NULL));
	}
	// A tag, and the frame ends.
	uint64_t before = fx_drops(DP_DROP_runt);
	for (size_t len = 14; len < 18; len++) {
		(void)frame_of(f, FX_OUTSIDE, cases[0].tags, 4, RTE_ETHER_TYPE_IPV4, p, n);
		assert_true(nic_input(fx.nic[FX_OUTSIDE], f, len) >= 0);
	}
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_runt), before + 4);
}

// The device took the tag off.
static void stripped_by_the_device(void **state)
{
	static const struct {
		uint16_t tci;
		const char *from, *to;
		int back; // -1: refused
		enum dp_drop why;
	} cases[] = {
		{10 | 3 << 13, "203.0.113.9", "203.0.113.1", 10, DP_DROP_NONE},
		{0, "192.0.2.254", "192.0.2.1", 0, DP_DROP_NONE},
		{11, "192.0.2.254", "192.0.2.1", -1, DP_DROP_vlan_unknown},
	};
	uint8_t p[64], f[128], out[2048];
	size_t len;
	(void)state;
	for (size_t i = 0; i < RTE_DIM(cases); i++) {
		size_t n = echo(p, cases[i].from, cases[i].to);
		n = frame_of(f, FX_OUTSIDE, NULL, 0, RTE_ETHER_TYPE_IPV4, p, n);
		struct rte_mbuf *m = dp_ctl_alloc(fx.dp, n);
		assert_non_null(m);
		memcpy(rte_pktmbuf_append(m, (uint16_t)n), f, n);
		m->vlan_tci = cases[i].tci;
		m->ol_flags = RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
		dp_classify(fx.dp->workers[0], &fx.dp->ports[FX_OUTSIDE], &m, 1, 0);
		fx_run();
		assert_int_equal(next_out(FX_OUTSIDE, out, &len), cases[i].back);
		if (cases[i].back < 0)
			assert_int_equal(fx_drops(cases[i].why), 1);
	}
}

// A device that inserts the tag gets it beside the frame.
static void inserted_by_the_device(void **state)
{
	uint8_t p[64];
	(void)state;
	fx.dp->ports[OUT10].vlan_insert = true;
	tagged(FX_OUTSIDE, 10, p, echo(p, "203.0.113.9", "203.0.113.1"));
	fx_run();
	struct rte_mbuf *m = nic_output(fx.nic[FX_OUTSIDE], NULL);
	assert_non_null(m);
	assert_true(m->ol_flags & RTE_MBUF_F_TX_VLAN);
	assert_int_equal(m->vlan_tci, 10);
	assert_int_equal(get_be16(rte_pktmbuf_mtod(m, uint8_t *) + 12), RTE_ETHER_TYPE_IPV4);
	rte_pktmbuf_free(m);
}

// The device counts for all of its ports, the workers for each.
static void counted_apart(void **state)
{
	struct dp_port_info info;
	uint8_t p[64];
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		tagged(FX_INSIDE, 20, p, echo(p, "10.20.0.5", "10.20.0.1"));
	fx_input(FX_INSIDE, p, echo(p, "10.99.0.5", "10.99.0.1"));
	fx_run();
	assert_true(dp_port_info(fx.dp, IN20, &info));
	assert_int_equal(info.vlan, 20);
	assert_int_equal(info.rx_packets, 3);
	assert_int_equal(info.tx_packets, 3);
	assert_int_equal(info.rx_bytes, 3 * (14 + 36));
	assert_true(dp_port_info(fx.dp, FX_INSIDE, &info));
	assert_int_equal(info.vlan, 0);
	assert_int_equal(info.rx_packets, 1);
	assert_true(dp_port_info(fx.dp, IN30, &info));
	assert_int_equal(info.rx_packets, 0);
	assert_true(info.link);
}

// ---- A device all of whose ports are tagged, one that has a single untagged port ----

static void prepare_tagged(void)
{
	fx.ports[FX_OUTSIDE].vlan = 4094;
}

static void no_untagged_port(void **state)
{
	uint8_t p[64], out[2048];
	size_t len, n;
	(void)state;
	fx_prepare = prepare_tagged;
	fx_start(1, NIC_HASH_NONE, NIC_HASH_NONE);
	n = echo(p, "192.0.2.254", "192.0.2.1");
	tagged(FX_OUTSIDE, 4094, p, n);
	fx_run();
	assert_int_equal(next_out(FX_OUTSIDE, out, &len), 4094);
	fx_input(FX_OUTSIDE, p, n);
	tagged(FX_OUTSIDE, 3 << 13, p, n);
	fx_run();
	assert_int_equal(next_out(FX_OUTSIDE, out, &len), -1);
	assert_int_equal(fx_drops(DP_DROP_vlan_unknown), 2);
	// The device of the inside has one port without a tag: a priority is taken, a VLAN is not.
	n = echo(p, "10.99.0.5", "10.99.0.1");
	tagged(FX_INSIDE, 5 << 13, p, n);
	fx_run();
	assert_int_equal(next_out(FX_INSIDE, out, &len), 0);
	tagged(FX_INSIDE, 4094, p, n);
	fx_run();
	assert_int_equal(next_out(FX_INSIDE, out, &len), -1);
	assert_int_equal(fx_drops(DP_DROP_vlan_unknown), 3);
	fx_stop();
}

// What was put together out of fragments here is classified once more as its VLAN's.
static void whole_out_of_fragments(void **state)
{
	uint8_t p[64];
	(void)state;
	for (unsigned k = 0; k < 2; k++) {
		size_t n = fx_ipv4(p, "203.0.113.9", "203.0.113.1", PROTO_ESP, k ? 8 : 16);
		set_be16(p + 6, k ? 2 : 0x2000);
		set_be16(p + 10, 0);
		set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
		tagged(FX_OUTSIDE, 10, p, n);
	}
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_esp_no_sa), 1);
	assert_int_equal(all_drops(), 1);
}

#define BOTH(test)                                              \
	cmocka_unit_test_setup_teardown(test, start_one, stop), \
		cmocka_unit_test_setup_teardown(test, start_two, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(each_vlan_answers),
		BOTH(arp_stays_in_its_vlan),
		BOTH(esp_between_vlans),
		BOTH(refused),
		BOTH(stripped_by_the_device),
		BOTH(inserted_by_the_device),
		BOTH(counted_apart),
		BOTH(whole_out_of_fragments),
		cmocka_unit_test(no_untagged_port),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
