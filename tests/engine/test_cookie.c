// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Cookies, half-open limits, no amplification (RFC 7296 2.6).
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#define FLOOD_MAIN                                           \
	"main: { cookie_threshold = 10; half_open_max = 40;" \
	" half_open_timeout_s = 5; };\n"
#define FLOOD_GATEWAY FLOOD_MAIN BENCH_GATEWAY

// A fresh IKE_SA_INIT of one source: the real one with another SPI.
static void flood_one(struct bench_pair *p, uint32_t source, uint64_t spi)
{
	struct endpoint from = {ip_from_v4(source), 500}, to = {p->gw->addr, 500};
	struct wr w = wr_of(p->b->kept->bytes, 8);
	wr_u64(&w, spi);
	bench_inject(p->b, &from, &to, p->b->kept->bytes, p->b->kept->len);
	bench_run(p->b, 3);
}

// A pair whose first IKE_SA_INIT is kept, and got lost.
static struct bench_pair flood_pair(void)
{
	struct bench_pair p = bench_pair_new(FLOOD_GATEWAY, BENCH_CLIENT);
	bench_keep(p.b, 1);
	p.gw->deaf = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 10);
	p.gw->deaf = false;
	return p;
}

static uint64_t half_open(struct bench_node *n)
{
	struct ike_status st;
	ike_status(n->engine, &st);
	return st.half_open;
}

static bool cookies(struct bench_node *n)
{
	struct ike_status st;
	ike_status(n->engine, &st);
	return st.cookies;
}

static void flood(struct bench_pair *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		flood_one(p, 0x0a000001 + i, 0x1111000000000000ull + i);
}

static void threshold_and_calm(void **state)
{
	struct bench_pair p = flood_pair();
	assert_false(cookies(p.gw));
	flood(&p, 10);
	assert_int_equal(half_open(p.gw), 10);
	uint32_t jobs = p.gw->jobs_run;
	flood_one(&p, 0x0b000001, 7);
	assert_true(cookies(p.gw));
	bench_expect(p.gw, "ike_cookie_sent", 1);
	// No state, no DH, an answer that is smaller than the question.
	assert_int_equal(half_open(p.gw), 10);
	assert_int_equal(p.gw->jobs_run, jobs);
	assert_int_equal(bench_header(p.b->last).spi_r, 0);
	assert_true(p.b->last->len < p.b->kept->len);
	// The honest client gets through, by the cookie.
	bench_pair_up(&p);
	assert_true(p.gw_sa->cookie_proved);
	// The half-open ones have ended, but cookies stay for ten seconds: no flapping.
	bench_run(p.b, 6000);
	assert_int_equal(half_open(p.gw), 0);
	assert_true(cookies(p.gw));
	bench_run(p.b, 10000);
	assert_false(cookies(p.gw));
	bench_free(p.b);
}

static void hard_cap(void **state)
{
	struct bench_pair p = bench_pair_new(
		"main: { cookie_threshold = 100; half_open_max = 20; half_open_timeout_s = 5; };\n" BENCH_GATEWAY,
		BENCH_CLIENT);
	bench_keep(p.b, 1);
	p.gw->deaf = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 10);
	p.gw->deaf = false;
	flood(&p, 30);
	assert_int_equal(half_open(p.gw), 20);
	bench_expect(p.gw, "ike_half_open_full", 10);
	// CVE-2020-3230: when the flood stops, it is over.
	assert_true(bench_run_until(p.b, bench_established, p.client, 60000));
	bench_free(p.b);
}

// One source does not get more than its share without a cookie, and a NATed site does with one.
static void per_source(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_keep(p.b, 1);
	p.gw->deaf = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 10);
	p.gw->deaf = false;
	uint32_t site = ip_to_v4(&p.client->addr);
	for (unsigned i = 0; i < 30; i++)
		flood_one(&p, site, 0x2222000000000000ull + i);
	assert_int_equal(half_open(p.gw), 8);
	bench_expect(p.gw, "ike_cookie_sent", 22);
	assert_false(cookies(p.gw)); // of others nothing is asked
	assert_true(bench_run_until(p.b, bench_established, p.client, 10000));
	bench_free(p.b);
}

static struct bench_packet demand;

static enum bench_fate catch_demand(struct bench *b, struct bench_packet *p, void *arg)
{
	struct bench_node *gw = arg;
	if (ip_eq(&p->from.addr, &gw->addr))
		memcpy(&demand, p, offsetof(struct bench_packet, bytes) + p->len);
	return BENCH_PASS;
}

// The kept request with a cookie in front.
static size_t with_cookie(
	const struct bench_packet *p, const uint8_t *cookie, size_t len, uint8_t *out)
{
	struct ike_header h = bench_header(p);
	struct wr w = wr_of(out, DATAGRAM_MAX);
	uint8_t first = h.next_payload;
	h.next_payload = IKEV2_PAYLOAD_NOTIFY;
	h.length += (uint32_t)(8 + len);
	wire_header_build(&w, &h);
	wr_u8(&w, first);
	wr_u8(&w, 0);
	wr_u16(&w, (uint16_t)(8 + len));
	wr_u16(&w, 0);
	wr_u16(&w, IKEV2_NOTIFY_COOKIE);
	wr_bytes(&w, cookie, len);
	wr_bytes(&w, p->bytes + IKE_HEADER_LEN, p->len - IKE_HEADER_LEN);
	assert_false(w.overflow);
	return w.len;
}

static const uint8_t *cookie_in(const struct bench_packet *p, size_t *len)
{
	*len = p->len - IKE_HEADER_LEN - 8;
	return p->bytes + IKE_HEADER_LEN + 8;
}

static void mangled_cookies(void **state)
{
	struct bench_pair p = flood_pair();
	uint8_t msg[DATAGRAM_MAX], bad[80] = {0};
	struct endpoint from = {ip_from_v4(0x0c000001), 500}, to = {p.gw->addr, 500};
	size_t len;
	flood(&p, 10);
	bench_filter_add(p.b, catch_demand, p.gw);
	flood_one(&p, 0x0c000001, 9);
	const uint8_t *cookie = cookie_in(&demand, &len);
	assert_in_range(len, 1, 64);
	memcpy(bad, cookie, len);
	for (size_t i = 0; i < len; i++) {
		bad[i] ^= 0x40;
		size_t n = with_cookie(p.b->kept, bad, len, msg);
		bench_inject(p.b, &from, &to, msg, n);
		bad[i] ^= 0x40;
	}
	bench_run(p.b, 10);
	assert_int_equal(half_open(p.gw), 10);
	bench_expect(p.gw, "ike_cookie_bad", len);
	// Of another source, of another port, empty, too long, cut short.
	size_t n = with_cookie(p.b->kept, bad, len, msg);
	struct endpoint other = {ip_from_v4(0x0c000002), 500}, port = {from.addr, 501};
	bench_inject(p.b, &other, &to, msg, n);
	bench_inject(p.b, &port, &to, msg, n);
	bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, bad, 0, msg));
	bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, bad, len - 1, msg));
	bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, bad, 65, msg));
	bench_run(p.b, 10);
	assert_int_equal(half_open(p.gw), 10);
	bench_expect(p.gw, "ike_cookie_too_long", 1);
	// And the good one.
	bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, bad, len, msg));
	bench_run(p.b, 10);
	assert_int_equal(half_open(p.gw), 11);
	bench_free(p.b);
}

// A cookie outlives one rotation of the secret, not two.
static void rotation(void **state)
{
	static const uint64_t wait_ms[] = {1000, 59000, 61000, 121000, 600000};
	static const bool good[] = {true, true, true, false, false};
	for (int i = 0; i < 5; i++) {
		struct bench_pair p = bench_pair_new(
			"main: { cookie_threshold = 0; half_open_timeout_s = 600; };\n" BENCH_GATEWAY,
			BENCH_CLIENT);
		uint8_t msg[DATAGRAM_MAX], cookie[64];
		size_t len;
		struct endpoint from = {p.client->addr, 500}, to = {p.gw->addr, 500};
		bench_filter_add(p.b, catch_demand, p.gw);
		bench_keep(p.b, 1);
		bench_connect(p.client, p.gw, "home");
		p.client->deaf = true;
		bench_run(p.b, 10);
		memcpy(cookie, cookie_in(&demand, &len), 64);
		bench_kill(p.client);
		bench_run(p.b, wait_ms[i]);
		bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, cookie, len, msg));
		bench_run(p.b, 10);
		assert_int_equal(half_open(p.gw), good[i] ? 1 : 0);
		bench_free(p.b);
	}
}

static void cookie_that_nobody_asked_for(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	uint8_t msg[DATAGRAM_MAX], cookie[64] = {1, 2, 3};
	struct endpoint from = {p.client->addr, 500}, to = {p.gw->addr, 500};
	p.gw->deaf = true;
	bench_keep(p.b, 1);
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 10);
	p.gw->deaf = false;
	bench_kill(p.client);
	bench_inject(p.b, &from, &to, msg, with_cookie(p.b->kept, cookie, sizeof(cookie), msg));
	bench_run(p.b, 10);
	assert_int_equal(half_open(p.gw), 1);
	bench_free(p.b);
}

static enum bench_fate count_bytes(struct bench *b, struct bench_packet *p, void *arg)
{
	uint64_t *n = arg;
	struct bench_node *gw = b->nodes[0];
	n[ip_eq(&p->from.addr, &gw->addr) ? 1 : 0] += p->len;
	return BENCH_PASS;
}

// A small request: one proposal, the shortest nonce, no notifies. Its answer would be larger, so
// the path has to be proven first.
static void never_more_than_received(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	uint8_t small[512], zeros[64] = {9};
	uint64_t bytes[2] = {0};
	struct wire_builder b;
	struct ike_header h = {.spi_i = 5,
		.major = 2,
		.exchange = IKEV2_EXCHANGE_IKE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR};
	struct wire_sa_policy policy = {.protocol = IKEV2_PROTOCOL_IKE, .pfs = WIRE_PFS_REQUIRED};
	const struct cfg_connection *c = &p.gw->cfg->connections[0];
	struct endpoint from = {p.client->addr, 500}, to = {p.gw->addr, 500};
	wire_build_message(&b, small, sizeof(small), &h);
	wire_build_sa(&b, c->ike_proposals, 1, &policy, 0);
	wire_put_ke(&b, DH_X25519, (struct view){zeros, 32});
	wire_put_nonce(&b, (struct view){zeros, 16});
	struct view v = wire_build_done(&b);
	bench_filter_add(p.b, count_bytes, bytes);
	bench_inject(p.b, &from, &to, v.p, v.len);
	bench_run(p.b, 10);
	bench_expect(p.gw, "ike_cookie_sent", 1);
	assert_int_equal(half_open(p.gw), 0);
	assert_true(bytes[1] > 0 && bytes[1] <= bytes[0]);
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threshold_and_calm),
		cmocka_unit_test(hard_cap),
		cmocka_unit_test(per_source),
		cmocka_unit_test(mangled_cookies),
		cmocka_unit_test(rotation),
		cmocka_unit_test(cookie_that_nobody_asked_for),
		cmocka_unit_test(never_more_than_received),
	};
	return cmocka_run_group_tests_name("engine_cookie", tests, NULL, NULL);
}
