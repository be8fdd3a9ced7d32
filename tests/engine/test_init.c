// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE_SA_INIT, both roles.
#include "controlplane/exchange.h"
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include <stdio.h>

static void establishes(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	bench_expect(p.gw, "ike_established", 1);
	bench_expect(p.client, "ike_retransmitted", 0);
	struct ike_session_info s = bench_session(p.gw);
	assert_int_equal(s.remote.port, 4500); // RFC 4555 3.3
	assert_false(s.nat);
	assert_int_equal(s.child_count, 1);
	// What authentication alone needed is gone.
	assert_int_equal(p.gw_sa->init_i.len + p.gw_sa->init_r.len + p.gw_sa->nonce_i.len, 0);
	assert_true(bench_traffic(p.client, p.gw, "198.51.100.2", "10.99.0.7"));
	bench_run(p.b, 100);
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.7", "198.51.100.2"));
	bench_free(p.b);
}

static void every_group_and_suite(void **state)
{
	static const char *const proposals[] = {"\"aes128gcm16-prfsha256-x25519\"",
		"\"aes256gcm16-prfsha384-x448\"", "\"aes128-sha1-modp2048\"",
		"\"aes256-sha256-ecp256\"", "\"aes192-sha384-ecp384\"", "\"aes256-sha512-ecp521\"",
		"\"aes128ctr-sha256-modp3072\"", "\"chacha20poly1305-prfsha512-modp4096\""};
	for (size_t i = 0; i < sizeof(proposals) / sizeof(proposals[0]); i++) {
		char gw[4096], client[4096];
		snprintf(gw, sizeof(gw), BENCH_GATEWAY_WITH("%s", ""), proposals[i]);
		snprintf(client, sizeof(client), BENCH_CLIENT_WITH("%s", ""), proposals[i]);
		struct bench_pair p = bench_pair_new(gw, client);
		bench_pair_up(&p);
		bench_free(p.b);
	}
}

// The gateway wants a group that the client offers second: one more round, the same IKE SA.
static void invalid_ke(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY_WITH("\"aes128-sha256-ecp256\"", ""),
		BENCH_CLIENT_WITH("\"aes128-sha256-x25519-ecp256\"", ""));
	bench_pair_up(&p);
	bench_expect(p.gw, "ike_invalid_ke", 1);
	bench_expect(p.gw, "ike_established", 1);
	assert_int_equal(p.gw_sa->suite.dh, DH_ECP_256);
	assert_int_equal(p.gw->jobs_run, 1); // no DH for the refused group
	bench_free(p.b);
}

static bool gone(void *node)
{
	return bench_empty(node);
}

static void no_proposal(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY_WITH("\"aes256-sha384-ecp384\"", ""),
		BENCH_CLIENT_WITH("\"aes128-sha256-x25519\"", ""));
	assert_true(bench_connect(p.client, p.gw, "home") > 0);
	assert_true(bench_run_until(p.b, gone, p.client, 4000));
	bench_expect(p.gw, "ike_no_proposal", IKE_REFUSED_TRIES);
	bench_expect(p.client, "ike_init_refused", IKE_REFUSED_TRIES);
	assert_true(bench_empty(p.gw));
	// CVE-2023-30570: the refusal names no SPI of ours.
	assert_int_equal(bench_header(p.b->last).spi_r, 0);
	bench_free(p.b);
}

#define TWO_CONNECTIONS                                                                       \
	BENCH_PSK                                                                             \
	"connections = ( { name = \"strong\"; ike_versions = [ 2 ];"                          \
	" ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\" ];"                              \
	" local = { id = \"gw.example\"; auth = \"psk\"; };"                                  \
	" remote = { id = \"*\"; auth = \"psk\"; addresses = [ \"198.51.100.0/24\" ]; };"     \
	" children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"                    \
	" esp_proposals = [ \"aes128gcm16\" ]; } ); },"                                       \
	" { name = \"others\"; ike_versions = [ 2 ]; ike_proposals = [ " BENCH_PROPOSAL " ];" \
	" local = { id = \"gw.example\"; auth = \"psk\"; };"                                  \
	" remote = { id = \"*\"; auth = \"psk\"; };"                                          \
	" children = ( { name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"                    \
	" esp_proposals = [ \"aes128gcm16\" ]; } ); } );\n"

// The connection with the best address does not know the proposal; the other one does.
static void other_connection(void **state)
{
	struct bench_pair p = bench_pair_new(TWO_CONNECTIONS, BENCH_CLIENT);
	bench_pair_up(&p);
	assert_string_equal(bench_session(p.gw).connection, "others");
	bench_free(p.b);
}

// Before the gateway's own answer one comes that anybody could have sent.
static enum bench_fate forge_refusal(struct bench *b, struct bench_packet *p, void *arg)
{
	uint8_t buf[128];
	struct wire_builder w;
	struct ike_header h = bench_header(p);
	const uint16_t *notify = arg;
	if (h.exchange != IKEV2_EXCHANGE_IKE_SA_INIT || !ike_header_response(&h) || !*notify)
		return BENCH_PASS;
	h.spi_r = 0;
	wire_build_message(&w, buf, sizeof(buf), &h);
	wire_put_notify(&w, *notify, (struct view){NULL, 0});
	struct view v = wire_build_done(&w);
	memcpy(p->bytes, v.p, v.len);
	p->len = v.len;
	*(uint16_t *)arg = 0;
	return BENCH_PASS;
}

static void forged_refusals(void **state)
{
	static const uint16_t notifies[] = {IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN,
		IKEV2_NOTIFY_INVALID_SYNTAX, IKEV2_NOTIFY_INVALID_MAJOR_VERSION,
		IKEV2_NOTIFY_AUTHENTICATION_FAILED};
	for (size_t i = 0; i < 4; i++) {
		uint16_t notify = notifies[i];
		struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
		bench_filter_add(p.b, forge_refusal, &notify);
		bench_pair_up(&p);
		bench_expect(p.client, "ike_init_refused", 1);
		bench_expect(p.gw, "ike_established", 1);
		bench_free(p.b);
	}
}

// Half-open IKE SAs keep the request: its size is bounded.
static void request_of_great_length(void **state)
{
	static uint8_t buf[IKE_INIT_BYTES_MAX + 1], zeros[IKE_INIT_BYTES_MAX];
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct endpoint gw = bench_at("192.0.2.1", 500), from = bench_at("198.51.100.2", 500);
	struct ike_header h = {.spi_i = 7,
		.major = IKE_MAJOR_2,
		.exchange = IKEV2_EXCHANGE_IKE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR};
	for (size_t n = 0; n < 2; n++) {
		struct wire_builder w;
		wire_build_message(&w, buf, sizeof(buf), &h);
		wire_put_vendor(&w, (struct view){zeros, sizeof(buf) - IKE_HEADER_LEN - 5 + n});
		struct view v = wire_build_done(&w);
		assert_int_equal(v.len, IKE_INIT_BYTES_MAX + n);
		bench_inject(p.b, &from, &gw, v.p, v.len);
		bench_run(p.b, 20);
		bench_expect(p.gw, "ike_init_too_long", n);
	}
	bench_free(p.b);
}

static enum bench_fate note_childless(struct bench *b, struct bench_packet *p, void *arg)
{
	struct ike_message m;
	struct ike_header h = bench_header(p);
	struct view payloads = {p->bytes + IKE_HEADER_LEN, p->len - IKE_HEADER_LEN};
	if (h.exchange != IKEV2_EXCHANGE_IKE_SA_INIT || !ike_header_response(&h))
		return BENCH_PASS;
	assert_int_equal(wire_message_parse(payloads, h.next_payload, &m), WIRE_OK);
	*(bool *)arg = wire_notify_find(&m, IKEV2_NOTIFY_CHILDLESS_IKEV2_SUPPORTED) != NULL;
	return BENCH_PASS;
}

// RFC 6023 3: a peer may only leave out the child SA where we announced that it may.
static void childless_is_announced(void **state)
{
	for (int i = 0; i < 2; i++) {
		bool announced = !i;
		struct bench_pair p =
			bench_pair_new(i ? BENCH_GATEWAY_WITH(BENCH_PROPOSAL, " childless = true;")
					 : BENCH_GATEWAY,
				BENCH_CLIENT);
		bench_filter_add(p.b, note_childless, &announced);
		bench_pair_up(&p);
		assert_int_equal(announced, i);
		bench_free(p.b);
	}
}

static void behind_nat(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_nat_add(p.b, "198.51.100.2", "203.0.113.9");
	bench_pair_up(&p);
	struct ike_session_info s = bench_session(p.gw);
	assert_true(s.nat);
	assert_int_equal(s.local.port, 4500);
	assert_int_equal(s.remote.port, p.b->nats[0].ports[1][1]);
	assert_true(LIST_FIRST(&p.gw->sink.tunnels)->spec.path.encap);
	// The NAT forgets its mappings; the client's next request shows the new one.
	bench_nat_forget(p.b);
	bench_run(p.b, 20000); // the client's keepalives change nothing by themselves
	assert_int_equal(ikev2_probe(p.client_sa), 0);
	ike_tick(p.client->engine);
	assert_true(bench_run_until(p.b, bench_quiet, p.client, 2000));
	assert_int_equal(bench_session(p.gw).remote.port, p.b->nats[0].ports[0][1]);
	assert_true(bench_counter(p.gw, "ike_keepalive") >= 1);
	bench_free(p.b);
}

static void port_4500_from_the_start(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	assert_true(bench_connect_from(p.client, p.gw, "home", 4500, 4500) > 0);
	assert_true(bench_run_until(p.b, bench_established, p.client, 3000));
	assert_int_equal(bench_session(p.gw).local.port, 4500);
	assert_int_equal(bench_session(p.gw).remote.port, 4500);
	// Without a NAT the kernel of such a peer need not take ESP in UDP (RFC 7296 2.23).
	assert_false(LIST_FIRST(&p.gw->sink.tunnels)->spec.path.encap);
	bench_free(p.b);
}

// A repeated IKE_SA_INIT gets the same answer without a second DH.
static void repeated_init(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_keep(p.b, 1);
	p.client->deaf = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 100);
	uint64_t sent = p.gw->sent;
	assert_int_equal(p.gw->jobs_run, 1);
	bench_replay(p.b);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_repeated_request", 1);
	assert_int_equal(p.gw->sent, sent + 1);
	assert_int_equal(p.gw->jobs_run, 1);
	// The same SPI and source with other bytes is not that request.
	p.b->kept->bytes[p.b->kept->len - 1] ^= 1;
	bench_replay(p.b);
	bench_run(p.b, 100);
	bench_expect(p.gw, "ike_init_conflict", 1);
	assert_int_equal(p.gw->sent, sent + 1);
	bench_free(p.b);
}

// While the crypto helper works, repeats are ignored; if it never answers, nothing stays.
static void job_never_ends(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct ike_status st;
	p.gw->hold_jobs = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 2000);
	assert_true(bench_counter(p.gw, "ike_repeated_pending") >= 2);
	ike_status(p.gw->engine, &st);
	assert_int_equal(st.half_open, 1);
	assert_int_equal(st.jobs_pending, 1);
	assert_int_equal(p.gw->sent, 0);
	p.client->deaf = true;
	bench_run(p.b, 8500);
	bench_expect(p.gw, "ike_job_timeout", 1);
	p.gw->hold_jobs = false;
	bench_run(p.b, 100);
	assert_true(bench_counter(p.gw, "ike_late_result") >= 1);
	bench_free(p.b);
}

static void no_room_for_jobs(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	p.gw->fail_jobs = 1;
	bench_pair_up(&p); // the repeated request finds room
	bench_expect(p.gw, "ike_job_queue_full", 1);
	bench_free(p.b);
}

static void waits_while_congested(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	p.gw->sink.congested = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 1000);
	assert_true(bench_counter(p.gw, "ike_congested") >= 2);
	assert_int_equal(p.gw->sent, 0);
	p.gw->sink.congested = false;
	assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
	bench_free(p.b);
}

static void half_open_ends(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	struct ike_status st;
	p.client->deaf = true;
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 1000);
	ike_status(p.gw->engine, &st);
	assert_int_equal(st.half_open, 1);
	bench_run(p.b, 70000);
	bench_expect(p.client, "ike_peer_dead", 1);
	assert_true(bench_empty(p.client));
	bench_run(p.b, 35000);
	assert_true(bench_empty(p.gw));
	assert_true(bench_counter(p.gw, "ike_half_open_timeout") >= 1);
	bench_free(p.b);
}

// Over a bad wire every attempt ends in an established session on both sides.
static void lossy(void **state)
{
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct bench *b = bench_new_seeded(seed);
		struct bench_node *gw = bench_add(b, "gw", "192.0.2.1", BENCH_GATEWAY);
		struct bench_node *client = bench_add(b, "client", "198.51.100.2", BENCH_CLIENT);
		bench_lossy(b, 25, 20, 30);
		gw->job_delay_ns = 20 * NS_PER_MS;
		bench_connect(client, gw, "home");
		if (!bench_run_until(b, bench_established, client, 120000))
			fail_msg("not established with seed %llu", (unsigned long long)seed);
		bench_run(b, 2000);
		assert_true(bench_established(gw));
		assert_int_equal(bench_session_count(gw), 1);
		assert_true(bench_traffic(client, gw, "198.51.100.2", "10.99.0.7"));
		bench_free(b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(establishes),
		cmocka_unit_test(every_group_and_suite),
		cmocka_unit_test(invalid_ke),
		cmocka_unit_test(no_proposal),
		cmocka_unit_test(other_connection),
		cmocka_unit_test(forged_refusals),
		cmocka_unit_test(request_of_great_length),
		cmocka_unit_test(childless_is_announced),
		cmocka_unit_test(behind_nat),
		cmocka_unit_test(port_4500_from_the_start),
		cmocka_unit_test(repeated_init),
		cmocka_unit_test(job_never_ends),
		cmocka_unit_test(no_room_for_jobs),
		cmocka_unit_test(waits_while_congested),
		cmocka_unit_test(half_open_ends),
		cmocka_unit_test(lossy),
	};
	return cmocka_run_group_tests_name("engine_init", tests, NULL, NULL);
}
