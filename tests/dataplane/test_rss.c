// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The predictor against Microsoft's RSS verification suite ("Verifying the RSS Hash Calculation"),
// and against the fake NIC's own arithmetic. No EAL.
#include "tests/cmocka_all.h"

#include "dataplane/port.h"
#include "dataplane/rss.h"
#include "dataplane/rss_learn.h"
#include "tests/fakes/nic.h"

_Alignas(4) static const uint8_t ms_key[DP_RSS_KEY_MAX] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e,
	0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b,
	0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe,
	0xac, 0x01, 0xfa};

static struct ip_addr addr(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static void microsoft_vectors(void **state)
{
	static const struct {
		const char *dst;
		uint16_t dst_port;
		const char *src;
		uint16_t src_port;
		uint32_t addrs, ports;
	} v[] = {
		{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x323e8fc2, 0x51ccc178},
		{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xd718262a, 0xc626b0ea},
		{"12.22.207.184", 38024, "24.19.198.95", 12898, 0xd2d0a5de, 0x5c2b394a},
		{"209.142.163.6", 2217, "38.27.205.30", 48228, 0x82989176, 0xafc7327f},
		{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x5d1809c5, 0x10e828a2},
		{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x2cc18cd5, 0x40207d3d},
		{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0x0f0c461c, 0xdde51bbf},
		{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251,
			0x4b61e985, 0x02d1feef},
	};
	for (size_t i = 0; i < RTE_DIM(v); i++) {
		struct endpoint src = {addr(v[i].src), v[i].src_port};
		struct endpoint dst = {addr(v[i].dst), v[i].dst_port};
		assert_int_equal(rss_hash_addrs(ms_key, &src.addr, &dst.addr), v[i].addrs);
		assert_int_equal(rss_hash_ports(ms_key, &src, &dst), v[i].ports);
	}
}

static void against_the_fake(void **state)
{
	uint32_t x = 1;
	for (unsigned i = 0; i < 2000; i++) {
		uint8_t b[16];
		for (size_t k = 0; k < 16; k++)
			b[k] = (uint8_t)((x = x * 1664525 + 1013904223) >> 24);
		struct ip_addr v4 = ip_from_bytes(IP_V4, b), v6 = ip_from_bytes(IP_V6, b);
		uint32_t spi =
			(uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
		assert_int_equal(rss_hash_dst(ms_key, &v4), nic_toeplitz(ms_key, b, 4));
		assert_int_equal(rss_hash_dst(ms_key, &v6), nic_toeplitz(ms_key, b, 16));
		assert_int_equal(rss_hash_spi(ms_key, spi), nic_toeplitz(ms_key, b, 4));
	}
}

// ---- The key out of hashes ----

static uint8_t next_byte(uint32_t *x)
{
	*x = *x * 1664525 + 1013904223;
	return (uint8_t)(*x >> 24);
}

static struct rss_sample sample_of(const uint8_t *key, uint8_t len, uint32_t *x)
{
	struct rss_sample s = {.len = len};
	for (unsigned i = 0; i < len; i++)
		s.input[i] = next_byte(x);
	s.hash = nic_toeplitz(key, s.input, len);
	return s;
}

// From packets of each length alone, and of both families together.
static void a_key_is_learned(void **state)
{
	static const struct {
		uint8_t len[2];
		unsigned samples;
	} cases[] = {{{4, 4}, 40}, {{16, 16}, 64}, {{12, 12}, 64}, {{36, 36}, 100}, {{4, 16}, 80}};
	static struct rss_system s;
	for (size_t c = 0; c < RTE_DIM(cases); c++) {
		uint8_t real[DP_RSS_KEY_MAX], key[DP_RSS_KEY_MAX];
		uint32_t x = 42 + (uint32_t)c;
		for (size_t i = 0; i < sizeof(real); i++)
			real[i] = next_byte(&x);
		memcpy(key, ms_key, sizeof(key));
		rss_system_init(&s);
		for (unsigned i = 0; i < cases[c].samples; i++) {
			struct rss_sample p = sample_of(real, cases[c].len[i % 2], &x);
			assert_true(rss_system_add(&s, &p));
		}
		rss_system_solve(&s, key);
		for (unsigned i = 0; i < 500; i++) {
			struct rss_sample p = sample_of(real, cases[c].len[i % 2], &x);
			assert_int_equal(nic_toeplitz(key, p.input, p.len), p.hash);
		}
		// What no packet tells stays as it was.
		unsigned reach = RTE_MAX(cases[c].len[0], cases[c].len[1]) + 4;
		assert_memory_equal(key + reach, ms_key + reach, sizeof(key) - reach);
	}
}

// A NIC that hashes more than we believe, or nothing at all, has no such key.
static void no_key_fits(void **state)
{
	static struct rss_system s;
	uint32_t x = 7;
	unsigned i;
	rss_system_init(&s);
	for (i = 0; i < 100; i++) {
		struct rss_sample p = sample_of(ms_key, 8, &x);
		memmove(p.input, p.input + 4, 4); // source and destination were hashed
		p.len = 4;
		if (!rss_system_add(&s, &p))
			break;
	}
	assert_true(i < 100);
	rss_system_init(&s);
	for (i = 0; i < 100; i++) {
		struct rss_sample p = {.len = 4, .hash = 0x1234567 * i, .input = {10, 1, 0, 7}};
		if (!rss_system_add(&s, &p))
			break;
	}
	assert_int_equal(i, 1);
}

static struct cfg_port port_cfg[2] = {{.name = "outside"}, {.name = "inside"}};

static void setup(struct dp *d, struct dp_ports *state, uint16_t workers, uint16_t reta_size)
{
	memset(d, 0, sizeof(*d));
	memset(state, 0, sizeof(*state));
	d->port_state = state;
	d->port_count = 2;
	d->worker_count = workers;
	for (uint16_t i = 0; i < 2; i++) {
		struct dp_port *p = &d->ports[i];
		p->cfg = &port_cfg[i];
		p->role = i == 0 ? CFG_OUTSIDE : CFG_INSIDE;
		p->rss = true;
		memcpy(p->rss_key, ms_key, sizeof(ms_key));
		p->reta_size = reta_size;
		for (uint16_t k = 0; k < reta_size; k++)
			p->reta[k] = k % workers;
	}
}

static struct dp d;
static struct dp_ports ports;

// A /24 over 16 queues: 16 addresses each, as Toeplitz is linear.
static void even_shards(void **state)
{
	unsigned count[16] = {0};
	setup(&d, &ports, 16, 512);
	for (uint32_t i = 0; i < 256; i++) {
		struct ip_addr a = ip_from_v4(0x0a010200 + i);
		count[dp_rss_worker_of_inner(&d, &a)]++;
	}
	for (unsigned w = 0; w < 16; w++)
		assert_int_equal(count[w], 16);
}

static void spread_without_rss(void **state)
{
	unsigned count[3] = {0};
	setup(&d, &ports, 3, 128);
	d.ports[1].rss = false;
	for (uint32_t i = 0; i < 3000; i++) {
		struct ip_addr a = ip_from_v4(0xab480000 + i);
		uint16_t w = dp_rss_worker_of_inner(&d, &a);
		assert_true(w < 3);
		count[w]++;
	}
	for (unsigned w = 0; w < 3; w++)
		assert_in_range(count[w], 850, 1150);
}

static void spi_and_ports(void **state)
{
	setup(&d, &ports, 4, 128);
	struct tunnel_path path = {
		.local = {addr("192.0.2.1"), 4500}, .remote = {addr("198.51.100.7"), 4500}};
	unsigned seen = 0;
	// By UDP ports: native ESP is not predictable; encapsulated ESP goes where IKE went.
	assert_int_equal(dp_rss_worker_of_spi(&d, &path, 7), -1);
	path.encap = SA_ENCAP_UDP;
	int worker = dp_rss_worker_of_spi(&d, &path, 7);
	assert_in_range(worker, 0, 3);
	assert_int_equal(dp_rss_worker_of_spi(&d, &path, 8), worker);
	path.encap = SA_ENCAP_UDP_MARKER; // port 500: another hash
	for (path.remote.port = 500; path.remote.port < 600; path.remote.port++) {
		path.local.port = 500;
		uint32_t hash = rss_hash_ports(ms_key, &path.remote, &path.local);
		assert_int_equal(dp_rss_worker_of_spi(&d, &path, 7), hash % 128 % 4);
	}
	// By SPI: all workers can be reached by choosing one.
	path.encap = SA_ENCAP_NONE;
	d.ports[0].rss_spi = true;
	for (uint32_t spi = 1000; spi < 1064; spi++)
		seen |= 1u << dp_rss_worker_of_spi(&d, &path, spi);
	assert_int_equal(seen, 15);
	path.encap = SA_ENCAP_UDP;
	assert_int_equal(dp_rss_worker_of_spi(&d, &path, 7), -1);
	path.port = 9;
	assert_int_equal(dp_rss_worker_of_spi(&d, &path, 7), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(microsoft_vectors),
		cmocka_unit_test(against_the_fake),
		cmocka_unit_test(even_shards),
		cmocka_unit_test(spread_without_rss),
		cmocka_unit_test(spi_and_ports),
		cmocka_unit_test(a_key_is_learned),
		cmocka_unit_test(no_key_fits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
