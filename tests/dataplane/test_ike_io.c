// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "dataplane/ike_io.h"
#include "dataplane/reasm.h"
#include "tests/dataplane/packets.h"

#define VIEW(a) ((struct view){a, sizeof(a)})

static uint8_t scratch[DATAGRAM_MAX];

static void unwrap(void **state)
{
	static const uint8_t keepalive[] = {0xff}, zero1[] = {0};
	static const uint8_t esp[40] = {0xc0, 0xff, 0xee, 1}, marked[40] = {0}, spi[40] = {[7] = 1};
	static const struct {
		uint16_t port;
		const uint8_t *p;
		size_t len;
		enum dp_drop why;
		size_t ike_len;
	} cases[] = {
		{4500, keepalive, 1, DP_DROP_keepalive, 0},
		{4500, zero1, 1, DP_DROP_ike_short, 0},
		{4500, zero1, 0, DP_DROP_ike_short, 0},
		{4500, esp, 3, DP_DROP_ike_short, 0},
		{4500, esp, 40, DP_DROP_ike_marker, 0},
		{4500, marked, 4, DP_DROP_ike_short, 0},
		{4500, marked, 31, DP_DROP_ike_short, 0},
		{4500, marked, 32, DP_DROP_NONE, 28},
		{4500, marked, 40, DP_DROP_NONE, 36},
		{500, spi, 27, DP_DROP_ike_short, 0},
		{500, spi, 28, DP_DROP_NONE, 28},
		{500, zero1, 1, DP_DROP_ike_short, 0},
		{500, keepalive, 1, DP_DROP_keepalive, 0},
		// ESP behind eight zero bytes.
		{500, marked, 8, DP_DROP_ike_short, 0},
		{500, marked, 15, DP_DROP_ike_short, 0},
		{500, marked, 16, DP_DROP_ike_marker, 0},
		{500, marked, 40, DP_DROP_ike_marker, 0},
		{501, marked, 40, DP_DROP_local_proto, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct view ike = {0};
		enum dp_drop why =
			ike_io_unwrap(cases[i].port, (struct view){cases[i].p, cases[i].len}, &ike);
		assert_int_equal(why, cases[i].why);
		assert_int_equal(ike.len, cases[i].ike_len);
	}
}

struct emitted {
	uint8_t bytes[64][1600];
	size_t len[64];
	unsigned count;
};

static bool emit(void *ctx, const struct ike_io_packet *p)
{
	struct emitted *e = ctx;
	assert_true(e->count < 64 && p->head.len + p->body.len <= sizeof(e->bytes[0]));
	memcpy(e->bytes[e->count], p->head.p, p->head.len);
	memcpy(e->bytes[e->count] + p->head.len, p->body.p, p->body.len);
	e->len[e->count++] = p->head.len + p->body.len;
	return true;
}

static struct endpoint ep(const char *text, uint16_t port)
{
	struct endpoint e = {.port = port};
	assert_int_equal(ip_parse(text, &e.addr), 0);
	return e;
}

static struct emitted out;

// Against scapy's packets, with the directions turned.
static void as_scapy(void **state)
{
	uint8_t ike[28];
	for (uint8_t i = 0; i < 28; i++)
		ike[i] = i;
	struct ike_datagram d = {
		.local = ep("198.51.100.7", 500),
		.remote = ep("192.0.2.1", 500),
		.bytes = VIEW(ike),
	};
	out.count = 0;
	assert_int_equal(ike_io_build(&d, 1500, 0, scratch, emit, &out), DP_DROP_NONE);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.len[0], sizeof(ike500));
	assert_memory_equal(out.bytes[0], ike500, sizeof(ike500));
	d.local = ep("2001:db8:2::7", 4500);
	d.remote = ep("2001:db8:1::1", 4500);
	out.count = 0;
	assert_int_equal(ike_io_build(&d, 1500, 0, scratch, emit, &out), DP_DROP_NONE);
	assert_int_equal(out.len[0], sizeof(ike4500v6));
	assert_memory_equal(out.bytes[0], ike4500v6, sizeof(ike4500v6));
}

// RFC 3948 2.3, on either port: nothing but the byte.
static void keepalives(void **state)
{
	static const uint8_t ff[] = {0xff};
	for (uint16_t port = 500; port <= 4500; port += 4000) {
		struct ike_datagram d = {
			.local = ep("192.0.2.1", port),
			.remote = ep("198.51.100.7", 61000),
			.bytes = VIEW(ff),
		};
		struct pkt_ip ip;
		struct pkt_udp udp;
		out.count = 0;
		assert_int_equal(ike_io_build(&d, 1500, 0, scratch, emit, &out), DP_DROP_NONE);
		assert_int_equal(out.count, 1);
		assert_int_equal(
			pkt_parse_ip((struct view){out.bytes[0], out.len[0]}, &ip), DP_DROP_NONE);
		assert_int_equal(pkt_parse_udp(&ip, &udp), DP_DROP_NONE);
		assert_int_equal(udp.src_port, port);
		assert_int_equal(udp.payload.len, 1);
		assert_int_equal(udp.payload.p[0], 0xff);
	}
}

// What is cut is within the MTU, has good checksums, and becomes the same datagram again.
static void cut(const char *local, const char *remote, size_t len, uint16_t mtu)
{
	static uint8_t ike[65535];
	static const uint8_t key[16];
	struct reasm *r;
	struct pkt_ip ip, whole;
	struct pkt_udp udp;
	struct view back;
	bool done = false;
	for (size_t i = 0; i < len; i++)
		ike[i] = (uint8_t)(i * 13);
	struct ike_datagram d = {
		.local = ep(local, 4500), .remote = ep(remote, 500), .bytes = {ike, len}};
	assert_int_equal(reasm_new(&reasm_limits_default, key, &r), 0);
	out.count = 0;
	assert_int_equal(ike_io_build(&d, mtu, 0x1234abcd, scratch, emit, &out), DP_DROP_NONE);
	assert_true(out.count > 1);
	for (unsigned i = 0; i < out.count; i++) {
		assert_true(out.len[i] <= mtu);
		assert_false(done);
		assert_int_equal(
			pkt_parse_ip((struct view){out.bytes[i], out.len[i]}, &ip), DP_DROP_NONE);
		assert_true(ip.fragment && !ip.df);
		assert_int_equal(reasm_input(r, &ip, 1, &done, &whole), DP_DROP_NONE);
	}
	assert_true(done);
	assert_int_equal(pkt_parse_udp(&whole, &udp), DP_DROP_NONE);
	assert_int_equal(udp.src_port, 4500);
	assert_int_equal(ike_io_unwrap(4500, udp.payload, &back), DP_DROP_NONE);
	assert_int_equal(back.len, len);
	assert_memory_equal(back.p, ike, len);
	reasm_free(r);
}

static void fragments(void **state)
{
	static const uint16_t mtus[] = {576, 1280, 1281, 1499, 1500};
	for (size_t i = 0; i < sizeof(mtus) / sizeof(mtus[0]); i++)
		for (size_t len = 1500; len < 1540; len++) {
			cut("192.0.2.1", "198.51.100.7", len, mtus[i]);
			cut("2001:db8:1::1", "2001:db8:2::7", len, mtus[i]);
		}
	cut("192.0.2.1", "198.51.100.7", 65000, 1500);
	cut("2001:db8:1::1", "2001:db8:2::7", 65000, 1500);
}

static void refused(void **state)
{
	static uint8_t ike[65535];
	struct ike_datagram d = {.local = ep("192.0.2.1", 500),
		.remote = ep("198.51.100.7", 500),
		.bytes = {ike, 65535 - 8 - 19}};
	out.count = 0;
	assert_int_equal(ike_io_build(&d, 1500, 1, scratch, emit, &out), DP_DROP_too_big);
	d.remote = ep("2001:db8:1::1", 500);
	d.bytes.len = 100;
	assert_int_equal(ike_io_build(&d, 1500, 1, scratch, emit, &out), DP_DROP_udp);
	assert_int_equal(out.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unwrap),
		cmocka_unit_test(as_scapy),
		cmocka_unit_test(keepalives),
		cmocka_unit_test(fragments),
		cmocka_unit_test(refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
