// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the data plane is told to do with a connection's packets: from the configuration, and TFC padding
// only where the peer takes it (RFC 7296 1.3.1).
#include "tests/engine/pair.h"
#include "tests/engine/v1_say.h"

#include "controlplane/session.h"

#define SPI         0x7700 // of the client, in what is written by hand
#define MODE_CONFIG "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
#define CHILD_TFC                                                                                  \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ \"aes128gcm16\" ]; " \
	"esn = false; tfc = %s; }"

static const struct side defaults;

static void from_the_configuration(void **state)
{
	static const struct {
		const char *more;
		struct tunnel_treatment want;
	} rows[] = {
		{"", {0}},
		{"mss = \"auto\"; dscp = \"copy\"; ecn = true;", {.mss = SA_MSS_AUTO}},
		{"mss = 1300; dscp = 46;", {.mss = 1300, .dscp_set = true, .dscp = 46}},
		{"mss = \"off\"; dscp = 0; ecn = false;", {.dscp_set = true, .ecn_off = true}},
		{"rate_in_kbit_s = 8;", {.rate_in = {1000, 65536}}},
		{"rate_out_kbit_s = 8000;", {.rate_out = {1000000, 100000}}},
		{"rate_in_kbit_s = 1000000000; rate_out_kbit_s = 1; rate_burst_bytes = 20000;",
			{.rate_in = {125000000000ull, 20000}, .rate_out = {125, 20000}}},
		{"rate_burst_bytes = 20000;", {0}},
		{"policy = ( { action = \"discard\"; remote = [ \"0.0.0.0/0[tcp/25]\" ]; } );",
			{.policy = 1}},
		{"client_to_client = false;", {.apart = true}},
		{"client_to_client = true; policy = ( );", {0}},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *more;
		assert_true(asprintf(&more, MODE_CONFIG "%s", rows[i].more) > 0);
		struct side gw = {.more = more};
		struct pair p = pair_new(&gw, &defaults);
		assert_true(pair_up(&p));
		const struct tunnel_treatment *t = &LIST_FIRST(&p.gw->sink.tunnels)->spec.treat;
		const struct tunnel_treatment *want = &rows[i].want;
		assert_int_equal(t->mss, want->mss);
		assert_int_equal(t->policy, want->policy);
		assert_int_equal(t->apart, want->apart);
		assert_int_equal(t->dscp_set, want->dscp_set);
		assert_int_equal(t->dscp, want->dscp);
		assert_int_equal(t->ecn_off, want->ecn_off);
		assert_int_equal(t->rate_in.bytes_per_s, want->rate_in.bytes_per_s);
		assert_int_equal(t->rate_in.burst_bytes, want->rate_in.burst_bytes);
		assert_int_equal(t->rate_out.bytes_per_s, want->rate_out.bytes_per_s);
		assert_int_equal(t->rate_out.burst_bytes, want->rate_out.burst_bytes);
		pair_down(&p);
		free(more);
	}
}

// ---- TFC ----

static struct pair tfc_pair(const char *tfc)
{
	char *child;
	assert_true(asprintf(&child, CHILD_TFC, tfc) > 0);
	struct side gw = {.children = child};
	struct side client = {.children = "{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; "
					  "remote_ts = [ \"10.99.0.0/24\" ]; "
					  "esp_proposals = [ \"aes128gcm16\" ]; esn = false; }"};
	struct pair p = pair_new(&gw, &client);
	free(child);
	return p;
}

// Of the outbound SA with this SPI, or the only one (0); inbound there is none.
static uint16_t tfc_by(struct bench_node *n, uint32_t spi)
{
	const struct bench_sa *sa, *out = NULL;
	LIST_FOREACH (sa, &n->sink.sas, link)
		if (sa->spec.dir == SA_IN)
			assert_int_equal(sa->spec.tfc, 0);
		else if (!spi || sa->spec.spi == spi)
			out = sa;
	assert_non_null(out);
	return out->spec.tfc;
}

static uint16_t tfc_of(struct bench_node *n)
{
	return tfc_by(n, 0);
}

static void padded_as_configured(void **state)
{
	static const struct {
		const char *tfc;
		uint16_t want;
	} rows[] = {{"\"off\"", 0}, {"512", 512}, {"\"mtu\"", UINT16_MAX}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pair p = tfc_pair(rows[i].tfc);
		assert_true(pair_up(&p));
		assert_int_equal(tfc_of(p.gw), rows[i].want);
		assert_int_equal(tfc_of(p.client), 0);
		pair_down(&p);
	}
}

static void ikev1_by_configuration_alone(void **state)
{
	struct v1_setup setup = {.gw_children =
					 "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "
					 "esp_proposals = [ " V1_ESP " ]; tfc = 256; }"};
	struct v1 v = v1_new(&setup);
	v1_need_up(&v);
	assert_int_equal(tfc_of(v.gw), 256);
	assert_int_equal(tfc_of(v.client), 0);
	v1_down(&v);
}

static void put_no_tfc(struct wire_builder *b)
{
	wire_put_notify(b, IKEV2_NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED, (struct view){NULL, 0});
}

// SA, nonce and selectors of a child as the client would say them; the gateway's side is its remote one.
static void put_child(struct wire_builder *b, const struct pair *p, bool auth, bool response)
{
	static const uint8_t nonce[32] = {1};
	const struct cfg_child *child = &p->client->cfg->connections[0].children[0];
	struct wire_sa_policy policy = ike_child_policy(child, true, DH_NONE);
	struct ike_session *s = LIST_FIRST(&p->client->engine->all_sas)->session;
	struct selector inner = child->local_ts[0];
	if (s->assigned_count)
		inner = selector_of_addr(&s->assigned[0]);
	wire_build_sa(b, child->esp_proposals, child->esp_proposal_count, &policy, SPI);
	if (!auth)
		wire_put_nonce(b, (struct view){nonce, sizeof(nonce)});
	wire_put_ts(b, response ? IKEV2_PAYLOAD_TSR : IKEV2_PAYLOAD_TSI, &inner, 1);
	wire_put_ts(b, response ? IKEV2_PAYLOAD_TSI : IKEV2_PAYLOAD_TSR, child->remote_ts, 1);
}

// The client asks for one more child SA, or rekeys the first.
static void as_responder(void **state)
{
	for (unsigned rekey = 0; rekey < 2; rekey++)
		for (unsigned refuses = 0; refuses < 2; refuses++) {
			uint8_t buf[4096];
			struct wire_builder b;
			struct pair p = tfc_pair("512");
			assert_true(pair_up(&p));
			struct ike_sa *gw = bench_sa_of(p.gw, bench_session(p.gw).id);
			struct ike_sa *client = bench_sa_of(p.client, bench_session(p.client).id);
			wire_build_begin(&b, buf, sizeof(buf));
			if (rekey)
				wire_put_notify_esp(&b, IKEV2_NOTIFY_REKEY_SA,
					bench_session(p.client).children[0].spi_in,
					(struct view){NULL, 0});
			put_child(&b, &p, false, false);
			if (refuses)
				put_no_tfc(&b);
			bench_send_sealed(p.client, client, IKEV2_EXCHANGE_CREATE_CHILD_SA,
				gw->next_in, false, &b);
			bench_run(p.b, 50);
			bench_expect(p.gw, rekey ? "ike_child_rekeyed" : "ike_child_created",
				rekey ? 1 : 2);
			assert_int_equal(tfc_by(p.gw, SPI), refuses ? 0 : 512);
			bench_free(p.b);
		}
}

struct gone {
	uint8_t exchange;
	bool response;
};

static enum bench_fate drop_these(struct bench *b, struct bench_packet *p, void *arg)
{
	const struct gone *g = arg;
	struct ike_header h = bench_header(p);
	bool from_client = ip_eq(&p->from.addr, &b->nodes[1]->addr);
	return from_client && h.exchange == g->exchange && ike_header_response(&h) == g->response
		       ? BENCH_DROP
		       : BENCH_PASS;
}

// We rekey, and the response is written by hand.
static void as_initiator(void **state)
{
	for (unsigned refuses = 0; refuses < 2; refuses++) {
		uint8_t buf[4096];
		struct wire_builder b;
		struct gone g = {IKEV2_EXCHANGE_CREATE_CHILD_SA, true};
		struct pair p = tfc_pair("512");
		assert_true(pair_up(&p));
		struct ike_session_info s = bench_session(p.gw);
		struct ike_sa *gw = bench_sa_of(p.gw, s.id);
		struct ike_sa *client = bench_sa_of(p.client, bench_session(p.client).id);
		uint32_t id = gw->next_out;
		bench_filter_add(p.b, drop_these, &g);
		assert_int_equal(ike_rekey_child(p.gw->engine, s.id, s.children[0].spi_in), 0);
		bench_run(p.b, 50);
		bench_filters_clear(p.b);
		wire_build_begin(&b, buf, sizeof(buf));
		put_child(&b, &p, false, true);
		if (refuses)
			put_no_tfc(&b);
		bench_send_sealed(p.client, client, IKEV2_EXCHANGE_CREATE_CHILD_SA, id, true, &b);
		bench_run(p.b, 50);
		bench_expect(p.gw, "ike_child_rekeyed", 1);
		assert_int_equal(tfc_by(p.gw, SPI), refuses ? 0 : 512);
		bench_free(p.b);
	}
}

// The first child SA, in IKE_AUTH.
static void in_ike_auth(void **state)
{
	for (unsigned refuses = 0; refuses < 2; refuses++) {
		uint8_t buf[4096], mac[IKE_PRF_MAX];
		struct wire_builder b;
		struct ike_id id;
		struct gone g = {IKEV2_EXCHANGE_IKE_AUTH, false};
		struct pair p = tfc_pair("512");
		bench_filter_add(p.b, drop_these, &g);
		assert_true(bench_connect(p.client, p.gw, "c") > 0);
		bench_run(p.b, 20);
		bench_filters_clear(p.b);
		struct ike_sa *sa = LIST_FIRST(&p.client->engine->all_sas);
		assert_int_equal(ike_id_from_text("client@example", &id), 0);
		struct ike_auth_input in = {.prf = sa->suite.prf,
			.sk_p = sa->keys.sk_pi,
			.message = secret_view(&sa->init_i),
			.nonce = secret_view(&sa->nonce_r),
			.id_body = ike_id_view(&id)};
		assert_int_equal(
			ike_auth_psk(&in, secret_view(&p.client->cfg->psks[0].secret), mac), 0);
		wire_build_begin(&b, buf, sizeof(buf));
		wire_put_raw(&b, IKEV2_PAYLOAD_IDI, ike_id_view(&id));
		wire_put_auth(&b, IKE_AUTH_PSK, (struct view){mac, alg_prf(in.prf)->len});
		wire_open_cp(&b, IKEV2_CP_REQUEST);
		wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP4_ADDRESS, &(struct ip_addr){0});
		wire_close(&b);
		put_child(&b, &p, true, false);
		if (refuses)
			put_no_tfc(&b);
		bench_send_sealed(p.client, sa, IKEV2_EXCHANGE_IKE_AUTH, 1, false, &b);
		bench_run(p.b, 50);
		assert_true(bench_established(p.gw));
		assert_int_equal(tfc_by(p.gw, SPI), refuses ? 0 : 512);
		bench_free(p.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(from_the_configuration),
		cmocka_unit_test(padded_as_configured),
		cmocka_unit_test(ikev1_by_configuration_alone),
		cmocka_unit_test(as_responder),
		cmocka_unit_test(as_initiator),
		cmocka_unit_test(in_ike_auth),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
