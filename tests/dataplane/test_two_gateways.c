// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two whole gateways, IKE engines over data planes of two workers each, wired together: per-resource child
// SAs (RFC 9611) come up by themselves, both workers of both carry the one peer's traffic, through rekeying
// too, and no packet changes workers. And transport mode, by which the gateways themselves speak.
#include "tests/cmocka_all.h"

#include "controlplane/controlplane.h"
#include "tests/dataplane/pair.h"

#include <stdio.h>
#include <stdlib.h>

#define EACH (PAIR_HOSTS * PAIR_HOSTS / 4)

static const char *const own_id[2] = {"a.example", "b.example"};
static const char *const net[2] = {"10.99.0.0/24", "10.98.0.0/24"};

struct gateway {
	unsigned side;
	struct cfg *cfg;
	struct ike_credentials *credentials;
	struct pools *pools;
	struct address_source addresses;
	struct ike_engine *engine;
	struct ike_job *jobs;
};

static struct gateway gateways[2];
static bool transport; // what their only child is
static unsigned version;

static uint64_t now(void *ctx)
{
	(void)ctx;
	return pair.now_ns;
}

static const struct clock_source bench_clock = {.now_ns = now};

// ---- what the application does ------------------------------------------------------------------

static void hear(void *control, const struct ike_datagram *d)
{
	ike_input(((struct gateway *)control)->engine, d);
}

static void learn(void *control, const struct sa_event *ev)
{
	ike_sa_event(((struct gateway *)control)->engine, ev);
}

static void say(void *ctx, const struct ike_datagram *d)
{
	dp_send(pair.side[((struct gateway *)ctx)->side].dp, d);
}

static int submit(void *ctx, struct ike_job *job)
{
	struct gateway *g = ctx;
	job->next = g->jobs;
	g->jobs = job;
	return 0;
}

static unsigned work(void *control)
{
	struct gateway *g = control;
	struct ike_job *job = g->jobs;
	if (!job)
		return 0;
	g->jobs = job->next;
	job->run(job);
	ike_job_done(g->engine, job);
	return 1;
}

static void pass(uint64_t ms)
{
	for (; ms > 0; ms--) {
		pair.now_ns += NS_PER_MS;
		for (unsigned i = 0; i < 2; i++)
			if (ike_next_ns(gateways[i].engine) <= pair.now_ns)
				ike_tick(gateways[i].engine);
		pair_run();
	}
}

// ---- life -----------------------------------------------------------------------------------------

static char *child_of(unsigned side)
{
	char *text;
	if (transport)
		return strdup("mode = \"transport\"; esp_proposals = [ \"aes128-sha256\" ];");
	assert_true(asprintf(&text,
			    "local_ts = [ \"%s\" ]; remote_ts = [ \"%s\" ]; "
			    "esp_proposals = [ \"aes128gcm16\" ]; per_resource = true;",
			    net[side], net[!side]) > 0);
	return text;
}

static struct cfg *config_of(unsigned side)
{
	struct cfg *cfg = NULL;
	char *text, *child = child_of(side);
	assert_true(
		asprintf(&text,
			"ports = ( { name = \"outside\"; role = \"outside\"; device = \"net_null0\"; "
			"addresses = [ \"192.0.2.%u/24\" ]; }, { name = \"inside\"; role = \"inside\"; "
			"device = \"net_null1\"; addresses = [ \"%s\" ]; } );\n"
			"credentials: { psk = ( { id = \"%s\"; addresses = [ \"192.0.2.%u\" ]; secret = \"a secret of both gateways\"; } ); };\n"
			"connections = ( { name = \"site\"; ike_versions = [ %u ]; "
			"ike_proposals = [ \"aes128-sha256-ecp256\" ]; "
			"local = { id = \"%s\"; auth = \"psk\"; }; "
			"remote = { id = \"%s\"; auth = \"psk\"; }; "
			"children = ( { name = \"net\"; %s } ); } );\n",
			side + 1, side ? "10.98.0.254/24" : "10.99.0.254/24", own_id[!side],
			2 - side, version, own_id[side], own_id[!side], child) > 0);
	free(child);
	assert_int_equal(cfg_load_text("two-gateways", text, stderr, &cfg), 0);
	free(text);
	return cfg;
}

static void gateway_start(unsigned side)
{
	struct gateway *g = &gateways[side];
	const struct sa_sink *sink = dp_sink(pair.side[side].dp);
	*g = (struct gateway){.side = side, .cfg = config_of(side)};
	assert_int_equal(ike_credentials_new(g->cfg, stderr, &g->credentials), 0);
	struct pools_seams seams = {.clock = &bench_clock,
		.random = &random_system,
		.workers = sink->workers,
		.worker_of = sink->worker_of,
		.ctx = sink->ctx};
	assert_int_equal(pools_new(g->cfg, &seams, &g->pools), 0);
	pools_source(g->pools, &g->addresses);
	struct ike_params p = {.cfg = g->cfg,
		.credentials = g->credentials,
		.clock = &bench_clock,
		.random = &random_system,
		.transport = {g, say},
		.jobs = {g, submit},
		.addresses = &g->addresses,
		.sink = sink};
	assert_int_equal(ike_engine_new(&p, &g->engine), 0);
	struct pair_side *s = &pair.side[side];
	s->control = g;
	s->ike = hear;
	s->event = learn;
	s->work = work;
}

static int start_both(void)
{
	pair_start(2, NIC_HASH_SPI, NIC_HASH_DST);
	gateway_start(0);
	gateway_start(1);
	return 0;
}

static int start(void **state)
{
	transport = false;
	version = 2;
	return start_both();
}

static int start_transport_v1(void **state)
{
	transport = true;
	version = 1;
	return start_both();
}

static int start_transport_v2(void **state)
{
	transport = true;
	version = 2;
	return start_both();
}
static int stop(void **state)
{
	pair_run();
	for (unsigned side = 0; side < 2; side++) {
		struct gateway *g = &gateways[side];
		pair.side[side].ike = NULL;
		pair.side[side].event = NULL;
		pair.side[side].work = NULL;
		ike_engine_free(g->engine);
		pools_free(g->pools);
		ike_credentials_free(g->credentials);
		cfg_free(g->cfg);
	}
	pair_run();
	pair_stop();
	return 0;
}

static void connect_them(void)
{
	struct sa_origin origin = {.port = FX_OUTSIDE};
	struct endpoint local = {fx_ip("192.0.2.1"), IKE_UDP_PORT};
	struct endpoint remote = {fx_ip("192.0.2.2"), IKE_UDP_PORT};
	assert_true(ike_initiate(gateways[0].engine, "site", &origin, &local, &remote) > 0);
	pass(3000);
}

static struct ike_session_info session_of(unsigned side)
{
	struct ike_session_info s;
	assert_true(ike_session_next(gateways[side].engine, 0, &s));
	return s;
}

static void expect_one_each(void)
{
	for (unsigned side = 0; side < 2; side++) {
		struct ike_session_info s = session_of(side);
		assert_int_equal(s.child_count, 2);
		assert_int_equal(s.children[0].worker + s.children[1].worker, 1);
	}
}

static uint64_t esp_out(unsigned side, unsigned worker)
{
	return dp_get(&pair.side[side].dp->workers[worker]->stats.esp_out_packets);
}

// Flows between many hosts, both ways.
static void traffic(void)
{
	uint64_t before[2] = {pair.side[0].received, pair.side[1].received};
	uint64_t out[2][2];
	unsigned sent = 0;
	for (unsigned i = 0; i < 4; i++)
		out[i / 2][i % 2] = esp_out(i / 2, i % 2);
	for (unsigned from = 1; from <= PAIR_HOSTS; from += 2)
		for (unsigned to = 1; to <= PAIR_HOSTS; to += 2, sent++) {
			pair_send(0, from, to);
			pair_send(1, from, to);
			if (sent % 32 == 0)
				pair_run();
		}
	pair_run();
	assert_int_equal(pair.side[0].received - before[0], EACH);
	assert_int_equal(pair.side[1].received - before[1], EACH);
	for (unsigned i = 0; i < 4; i++)
		assert_true(esp_out(i / 2, i % 2) - out[i / 2][i % 2] > EACH / 4);
}

// ---- tests ------------------------------------------------------------------------------------------

static void both_workers_of_both(void **state)
{
	connect_them();
	expect_one_each();
	traffic();
	assert_int_equal(pair_handoffs(), 0);
}

static void through_rekeying(void **state)
{
	connect_them();
	for (unsigned i = 0; i < 6; i++) {
		unsigned side = i & 1;
		struct ike_session_info s = session_of(side);
		uint32_t spi = s.children[i / 2 % 2].spi_in;
		assert_int_equal(ike_rekey_child(gateways[side].engine, s.id, spi), 0);
		traffic(); // its messages pass in between
		pass(10 * 1000);
		expect_one_each();
		traffic();
	}
	assert_int_equal(pair_handoffs(), 0);
}

// ---- transport mode ---------------------------------------------------------------------------------

// A side's own echo request to the other side's outer address.
static void ask(unsigned side, uint16_t number)
{
	uint8_t p[128];
	const char *own[2] = {"192.0.2.1", "192.0.2.2"};
	struct dp *dp = pair.side[side].dp;
	size_t n = fx_ipv4(p, own[side], own[!side], PROTO_ICMP, 64);
	p[IP4_HDR] = ICMP_ECHO_REQUEST;
	p[IP4_HDR + 1] = 0;
	set_be16(p + IP4_HDR + 2, 0);
	set_be16(p + IP4_HDR + 6, number);
	set_be16(p + IP4_HDR + 2, pkt_sum_fold(pkt_sum(0, p + IP4_HDR, 64)));
	struct rte_mbuf *m = dp_ctl_alloc(dp, n);
	assert_non_null(m);
	memcpy(rte_pktmbuf_append(m, (uint16_t)n), p, n);
	dp_inject_inner(dp, CFG_OUTSIDE, m);
	pair_run();
}

static uint64_t esp_in(unsigned side)
{
	return dp_get(&pair.side[side].dp->workers[0]->stats.esp_in_packets) +
	       dp_get(&pair.side[side].dp->workers[1]->stats.esp_in_packets);
}

// Each asks, and the other one's answer comes back: to nobody who waits for it, which is counted.
static void ask_both(void)
{
	for (unsigned side = 0; side < 2; side++) {
		uint64_t in[2] = {esp_in(0), esp_in(1)};
		uint64_t heard = pair.side[side].dp->drops[DP_DROP_icmp];
		for (uint16_t i = 0; i < 20; i++)
			ask(side, i);
		assert_int_equal(esp_in(0) - in[0], 20);
		assert_int_equal(esp_in(1) - in[1], 20);
		assert_int_equal(pair.side[side].dp->drops[DP_DROP_icmp] - heard, 20);
	}
}

static void the_gateways_themselves(void **state)
{
	connect_them();
	ask_both();
	for (unsigned i = 0; i < 4; i++) {
		unsigned side = i & 1;
		struct ike_session_info s = session_of(side);
		uint32_t old = s.children[0].spi_in;
		assert_int_equal(s.children[0].mode, SA_TRANSPORT);
		assert_int_equal(ike_rekey_child(gateways[side].engine, s.id, old), 0);
		pass(15 * 1000);
		s = session_of(side);
		assert_int_not_equal(s.children[0].spi_in, old);
		assert_int_equal(s.children[0].mode, SA_TRANSPORT);
		ask_both();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(both_workers_of_both, start, stop),
		cmocka_unit_test_setup_teardown(through_rekeying, start, stop),
		{"the_gateways_themselves, IKEv2", the_gateways_themselves, start_transport_v2,
			stop, NULL},
		{"the_gateways_themselves, IKEv1", the_gateways_themselves, start_transport_v1,
			stop, NULL},
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
