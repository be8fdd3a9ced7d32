// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The quick way in, which an SA's packets take from the second one on: what is decided there, and what it
// must leave to the long way. Each case stands in a burst between packets that are good in every way.
#include "dataplane/warm.h"

#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_cases.h"

#include <rte_ethdev.h>

#define ANY_OTHER "10.1.0.3" // not the child's
#define FORWARDED 0          // no case is dropped for the first of the reasons

struct row {
	const char *name;
	uint8_t payload;      // bytes of the inner packet behind its header and UDP's
	uint8_t tfc;          // zeroes behind the inner packet
	uint8_t pad;          // bytes; what is written there is 1, 2, ...
	uint8_t at, flip;     // of the plaintext's end: the byte so far from it is another
	uint8_t head, change; // the same of the inner header
	uint8_t tos, inner_tos;
	const char *src;
	uint8_t outer_port; // not 0: plain ESP
	enum dp_drop why;   // or FORWARDED
};

static const struct row rows[] = {
	{"no padding", .payload = 6},
	{"one byte", .payload = 5, .pad = 1},
	{"two", .payload = 4, .pad = 2},
	{"three", .payload = 3, .pad = 3},
	{"seven", .payload = 3, .pad = 7},
	{"fourteen", .payload = 4, .pad = 14},
	{"without UDP", .payload = 6, .outer_port = 1},
	{"behind it zeroes (TFC)", .payload = 6, .tfc = 8},
	{"wrong padding", .payload = 3, .pad = 3, .at = 5, .flip = 1, .why = DP_DROP_esp_padding},
	{"wrong last padding", .payload = 5, .pad = 1, .at = 3, .flip = 2,
		.why = DP_DROP_esp_padding},
	{"more padding than text", .payload = 6, .at = 2, .flip = 255, .why = DP_DROP_esp_padding},
	{"one byte of padding that is not there", .payload = 6, .at = 2, .flip = 1,
		.why = DP_DROP_esp_padding},
	{"next header IPv6", .payload = 6, .at = 1, .flip = 4 ^ PROTO_IPV6,
		.why = DP_DROP_esp_inner},
	{"next header none", .payload = 6, .at = 1, .flip = 4 ^ PROTO_NONE,
		.why = DP_DROP_esp_dummy},
	{"next header UDP", .payload = 6, .at = 1, .flip = 4 ^ PROTO_UDP,
		.why = DP_DROP_esp_next_header},
	{"checksum", .payload = 6, .head = 10, .change = 1, .why = DP_DROP_ip_checksum},
	{"version", .payload = 6, .head = 0, .change = 0x20, .why = DP_DROP_esp_inner},
	{"longer than the text", .payload = 6, .head = 3, .change = 0x80, .why = DP_DROP_esp_inner},
	{"shorter than a header", .payload = 6, .head = 3, .change = 0x31,
		.why = DP_DROP_esp_inner},
	{"not the SA's", .payload = 6, .src = ANY_OTHER, .why = DP_DROP_selector},
	{"ECN alike", .payload = 6, .tos = 2, .inner_tos = 2},
	{"congestion outside", .payload = 6, .tos = 3, .inner_tos = 2},
	{"congestion that cannot be told", .payload = 6, .tos = 3, .inner_tos = 0,
		.why = DP_DROP_esp_ecn},
};

static void seal_and_send(const struct row *r, const struct sa_spec *spec, uint64_t seq)
{
	uint8_t plain[256] = {0}, esp[512];
	const char *src = r->src ? r->src : EC_INNER;
	size_t n = fx_ipv4(plain, src, EC_HOST, PROTO_UDP, r->payload);
	if (r->inner_tos) {
		ip_set_ecn(plain, IP_V4, r->inner_tos);
	}
	plain[r->head] ^= r->change;
	n += r->tfc;
	for (uint8_t i = 1; i <= r->pad; i++)
		plain[n++] = i;
	plain[n++] = r->pad;
	plain[n++] = 4;
	if (r->at)
		plain[n - r->at] ^= r->flip;
	size_t len = oracle_seal(spec, seq, plain, n, NULL, esp);
	fx_input_esp(EC_PEER, r->outer_port ? 0 : 4500, r->tos, esp, len);
}

static const struct row good = {.payload = 6};

static void table(void **state)
{
	(void)state;
	uint64_t seq = 1;
	ec_ping_in(seq++);
	assert_int_equal(ec_inside_packets(), 1);
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		const struct row *r = &rows[i];
		uint64_t before = fx_drops(r->why);
		seal_and_send(&good, &ec.in, seq++);
		seal_and_send(r, &ec.in, seq++);
		seal_and_send(&good, &ec.in, seq++);
		fx_run();
		size_t drops = fx_drops(r->why) - before, left = ec_inside_packets();
		if (drops != (r->why != FORWARDED) || left != 3 - drops)
			fail_msg("%s: %zu left, %zu dropped", r->name, left, drops);
	}
}

// Of a burst: the same number twice, an old one, one out of order, one that skips words of the window.
static void replays_in_a_burst(void **state)
{
	(void)state;
	static const struct {
		uint64_t seq;
		bool passes;
	} burst[] = {{10, true}, {11, true}, {11, false}, {9, true}, {9, false}, {300, true},
		{12, false}, {290, true}, {301, true}};
	size_t pass = 0;
	ec_ping_in(1);
	(void)ec_inside_packets();
	for (size_t i = 0; i < RTE_DIM(burst); i++) {
		seal_and_send(&good, &ec.in, burst[i].seq);
		pass += burst[i].passes;
	}
	fx_run();
	assert_int_equal(ec_inside_packets(), pass);
	assert_int_equal(fx_drops(DP_DROP_esp_replay), RTE_DIM(burst) - pass);
}

// One that is not authentic moves nothing, and those around it pass.
static void forged_in_a_burst(void **state)
{
	(void)state;
	struct sa_spec forged = ec.in;
	forged.encr_key[0] ^= 1;
	ec_ping_in(1);
	(void)ec_inside_packets();
	seal_and_send(&good, &ec.in, 2);
	seal_and_send(&good, &forged, 1000);
	seal_and_send(&good, &ec.in, 3);
	fx_run();
	assert_int_equal(ec_inside_packets(), 2);
	assert_int_equal(fx_drops(DP_DROP_esp_auth), 1);
	seal_and_send(&good, &ec.in, 4);
	fx_run();
	assert_int_equal(ec_inside_packets(), 1);
}

// The hard limit holds for the packet behind the one that reaches it.
static void limit_in_a_burst(void **state)
{
	(void)state;
	struct sa_spec spec = ec.in;
	spec.hard_packets = 4;
	struct sa_spec in = ec_child_with(spec, SA_IN);
	for (uint64_t seq = 1; seq <= 6; seq++) {
		seal_and_send(&good, &in, seq);
		if (seq == 1)
			fx_run();
	}
	fx_run();
	assert_int_equal(ec_inside_packets(), 4);
	assert_int_equal(fx_drops(DP_DROP_esp_stopped), 2);
}

static size_t ready_of(const struct sa_spec *spec, uint64_t seq)
{
	struct dp_worker *w = fx.dp->workers[fx.owner];
	struct rte_mbuf *burst[3];
	seal_and_send(&good, spec, seq);
	seal_and_send(&good, spec, seq + 1);
	assert_int_equal(rte_eth_rx_burst(fx.dp->ports[FX_OUTSIDE].port_id, 0, burst, 2), 2);
	dp_warm_begin(&w->warm, burst, 2, true);
	dp_warm_end(&w->warm);
	dp_classify_burst(w, &fx.dp->ports[FX_OUTSIDE], burst, 2, w->warm.found);
	size_t ready = w->esp_in.ready;
	dp_run_stages(w);
	dp_tx_flush(w);
	return ready;
}

// Which SAs are plain.
static void plain_from_the_second_packet_on(void **state)
{
	(void)state;
	assert_int_equal(ready_of(&ec.in, 1), 0);
	assert_int_equal(ready_of(&ec.in, 3), 2);
	assert_int_equal(ec_inside_packets(), 4);
	struct sa_spec spec = ec.in, in;
	const struct ip_range range = {fx_ip("10.1.0.1"), fx_ip("10.1.0.2")};
	spec.ts_remote[0] = selector_of_range(&range); // no prefix
	in = ec_child_with(spec, SA_IN);
	assert_int_equal(ready_of(&in, 1), 0);
	assert_int_equal(ready_of(&in, 3), 0);
	spec = ec.in;
	spec.replay_window = 1024;
	in = ec_child_with(spec, SA_IN);
	assert_int_equal(ready_of(&in, 1), 0);
	assert_int_equal(ready_of(&in, 3), 0);
	assert_int_equal(ec_inside_packets(), 8);
}

// A range that is no prefix is as sharp as one that is.
static void selectors_of_a_range(void **state)
{
	(void)state;
	static const struct {
		const char *src;
		bool passes;
	} of[] = {{"10.1.0.1", false}, {"10.1.0.2", true}, {"10.1.0.4", true}, {"10.1.0.5", false}};
	struct sa_spec spec = ec.in;
	const struct ip_range range = {fx_ip("10.1.0.2"), fx_ip("10.1.0.4")};
	spec.ts_remote[0] = selector_of_range(&range);
	struct sa_spec in = ec_child_with(spec, SA_IN);
	for (size_t i = 0; i < RTE_DIM(of); i++) {
		struct row r = {.payload = 6, .src = of[i].src};
		seal_and_send(&r, &in, i + 1);
		fx_run();
		assert_int_equal(ec_inside_packets(), of[i].passes);
	}
	assert_int_equal(fx_drops(DP_DROP_selector), 2);
}

// ---- Buffers that are not the mbufs' own ----

static unsigned given_back;

static void on_free(void *addr, void *ctx)
{
	(void)addr;
	(void)ctx;
	given_back++;
}

// The same frame in memory that has been attached to another mbuf, as some drivers receive it.
static struct rte_mbuf *attached(struct rte_mbuf *m, uint8_t *buf, uint16_t len)
{
	struct rte_mbuf *x = rte_pktmbuf_alloc(m->pool);
	assert_non_null(x);
	struct rte_mbuf_ext_shared_info *info =
		rte_pktmbuf_ext_shinfo_init_helper(buf, &len, on_free, NULL);
	rte_pktmbuf_attach_extbuf(x, buf, RTE_BAD_IOVA, len, info);
	rte_pktmbuf_reset_headroom(x);
	memcpy(rte_pktmbuf_append(x, m->data_len), dp_data(m), m->data_len);
	rte_pktmbuf_free(m);
	return x;
}

// Quick and long way, in and out: each buffer is given back once its packet has been sent.
static void foreign_buffers_are_given_back(void **state)
{
	static uint8_t buf[2][2048] __attribute__((aligned(64)));
	struct dp_worker *w = fx.dp->workers[0];
	uint8_t p[128];
	(void)state;
	ec_ping_in(1);
	(void)ec_inside_packets();
	for (unsigned i = 0; i < 8; i++) {
		unsigned port = i & 1;
		const struct dp_port *in = &fx.dp->ports[port];
		struct rte_mbuf *m[2];
		given_back = 0;
		fx.dp->bypass = i & 2; // then there is no quick way
		fx_step(0);
		if (port == FX_INSIDE)
			fx_input(port, p, fx_ipv4(p, EC_HOST, EC_INNER, PROTO_UDP, 40));
		else
			seal_and_send(&good, &ec.in, 2 + i);
		assert_int_equal(rte_eth_rx_burst(in->port_id, 0, m, 1), 1);
		m[0] = attached(m[0], buf[port], sizeof(buf[port]));
		dp_warm_begin(&w->warm, m, 1, port == FX_OUTSIDE);
		dp_warm_end(&w->warm);
		dp_classify_burst(w, in, m, 1, w->warm.found);
		dp_run_stages(w);
		dp_tx_flush(w);
		assert_true(
			fx_output(port == FX_INSIDE ? FX_OUTSIDE : FX_INSIDE, p, sizeof(p)) > 0);
		assert_int_equal(given_back, 1);
	}
}

#define WITH(f) cmocka_unit_test_setup_teardown(f, ec_start, ec_stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(table),
		WITH(replays_in_a_burst),
		WITH(forged_in_a_burst),
		WITH(limit_in_a_burst),
		WITH(plain_from_the_second_packet_on),
		WITH(selectors_of_a_range),
		WITH(foreign_buffers_are_given_back),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
