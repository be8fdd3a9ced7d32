// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1 phase 1 between two engines: every mode with every method, NAT and its variants, loss.
#include "controlplane/ikev1/phase1.h"
#include "tests/engine/v1_pair.h"

static bool over_at(struct bench_node *n)
{
	struct ike_sa *sa = v1_any_sa(n);
	return sa && sa->state >= IKE_SA_LOGIN && sa->state <= IKE_SA_ESTABLISHED;
}

static bool phase1_over(void *arg)
{
	struct v1 *v = arg;
	return over_at(v->gw) && over_at(v->client);
}

static void need_phase1(struct v1 *v)
{
	v1_connect(v);
	if (bench_run_until(v->b, phase1_over, v, 16000))
		return;
	v1_print(v->w);
	fail_msg("no phase 1");
}

// ---- modes and methods ---------------------------------------------------------------------------

static const struct row {
	struct v1_setup setup;
	uint16_t auth;
	bool proven, proven_gw; // the client by the gateway, and the reverse
} rows[] = {
	{{.method = V1_PSK}, IKEV1_AUTH_PSK, false, false},
	{{.method = V1_PSK, .xauth = true}, IKEV1_AUTH_XAUTH_INIT_PSK, false, false},
	{{.method = V1_PSK, .aggressive = true}, IKEV1_AUTH_PSK, true, true},
	{{.method = V1_PSK, .aggressive = true, .xauth = true}, IKEV1_AUTH_XAUTH_INIT_PSK, true,
		true},
	{{.method = V1_RSA}, IKEV1_AUTH_RSA, true, true},
	{{.method = V1_RSA, .xauth = true}, IKEV1_AUTH_XAUTH_INIT_RSA, true, true},
	{{.method = V1_RSA, .aggressive = true}, IKEV1_AUTH_RSA, true, true},
	{{.method = V1_ECDSA}, IKEV1_AUTH_ECDSA_256, true, true},
	{{.method = V1_ECDSA, .xauth = true}, IKEV1_AUTH_ECDSA_256, true, true},
	{{.method = V1_ECDSA, .aggressive = true}, IKEV1_AUTH_ECDSA_256, true, true},
	{{.method = V1_HYBRID}, IKEV1_AUTH_HYBRID_INIT_RSA, false, true},
	{{.method = V1_HYBRID, .aggressive = true}, IKEV1_AUTH_HYBRID_INIT_RSA, false, true},
};

static void every_method(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct v1 v = v1_new(&r->setup);
		need_phase1(&v);
		struct ike_sa *g = v1_any_sa(v.gw), *c = v1_any_sa(v.client);
		assert_int_equal(g->v1->auth, r->auth);
		assert_int_equal(c->v1->auth, r->auth);
		assert_int_equal(g->v1->peer.proven, r->proven);
		assert_int_equal(c->v1->peer.proven, r->proven_gw);
		assert_string_equal(c->v1->peer.text, "gw.example");
		assert_int_equal(g->v1->user_auth, v1_asks_user(&r->setup));
		assert_memory_equal(g->v1->keys.encr.p, c->v1->keys.encr.p, c->v1->keys.encr.len);
		assert_memory_equal(g->v1->iv, c->v1->iv, 16);
		// The login and the first child SA stand on it.
		assert_true(bench_run_until(v.b, v1_is_up, &v, 10000));
		assert_true(v1_traffic(&v));
		v1_down(&v);
	}
}

// ---- loss and repeats ------------------------------------------------------------------------------

// Each message of phase 1 is lost once, in both modes.
static void each_message_lost(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		for (unsigned n = 1; n <= (aggressive ? 3u : 6u); n++) {
			struct v1_setup s = {.aggressive = aggressive};
			struct v1 v = v1_new(&s);
			struct bench_node *from = n % 2 ? v.client : v.gw;
			uint8_t exchange =
				aggressive ? IKEV1_EXCHANGE_AGGRESSIVE : IKEV1_EXCHANGE_MAIN;
			v1_drop(v.w, from, exchange, (n + 1) / 2);
			need_phase1(&v);
			// Only the client has said anything twice by itself.
			assert_int_equal(bench_counter(v.gw, "ike_retransmitted"), 0);
			assert_true(bench_counter(v.client, "ike_retransmitted") >= 1);
			assert_true(bench_run_until(v.b, v1_is_up, &v, 10000));
			v1_down(&v);
		}
	}
}

static void everything_twice(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&rows[i].setup);
		bench_lossy(v.b, 0, 100, 0);
		need_phase1(&v);
		assert_int_equal(v1_sa_count(v.gw), 1);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 10000));
		v1_free(&v);
	}
}

static void lossy_wire(void **state)
{
	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct v1_setup s = {.aggressive = seed % 2, .method = seed % 3 ? V1_PSK : V1_RSA};
		struct v1 v = v1_new(&s);
		v.b->random = v.b->seed = seed;
		bench_lossy(v.b, 15, 15, 15);
		need_phase1(&v);
		v1_free(&v);
	}
}

// ---- NAT -------------------------------------------------------------------------------------------

static bool find_bytes(struct bench_packet *p, struct view what, uint8_t **at)
{
	*at = memmem(p->bytes, p->len, what.p, what.len);
	return *at;
}

// The client announces one variant alone: the others' vendor IDs become unknown ones.
static enum bench_fate only_variant(struct bench *b, struct bench_packet *p, void *arg)
{
	enum ikev1_vendor keep = *(const enum ikev1_vendor *)arg;
	uint8_t *at;
	for (enum ikev1_vendor vid = IKEV1_VID_NATT_RFC3947; vid <= IKEV1_VID_NATT_00; vid++)
		if (vid != keep && find_bytes(p, ikev1_vendor_bytes(vid), &at))
			memset(at, 0xee, ikev1_vendor_bytes(vid).len);
	return BENCH_PASS;
}

static const struct {
	enum ikev1_vendor vid;
	enum ikev1_natt natt;
	uint16_t port;
	uint8_t payload;
} variants[] = {
	{IKEV1_VID_NATT_RFC3947, IKEV1_NATT_RFC3947, 4500, IKEV1_PAYLOAD_NAT_D},
	{IKEV1_VID_NATT_03, IKEV1_NATT_DRAFT_02, 4500, IKEV1_PAYLOAD_NAT_D_DRAFT},
	{IKEV1_VID_NATT_02N, IKEV1_NATT_DRAFT_02, 4500, IKEV1_PAYLOAD_NAT_D_DRAFT},
	{IKEV1_VID_NATT_02, IKEV1_NATT_DRAFT_02, 4500, IKEV1_PAYLOAD_NAT_D_DRAFT},
	{IKEV1_VID_NATT_00, IKEV1_NATT_DRAFT_00, 500, IKEV1_PAYLOAD_NAT_D_DRAFT},
	{IKEV1_VID_UNKNOWN, IKEV1_NATT_NONE, 500, 0},
};

static void one_variant(size_t i, bool aggressive, bool nat)
{
	struct v1_setup s = {.aggressive = aggressive, .nat = nat};
	enum ikev1_vendor keep = variants[i].vid;
	uint8_t exchange = aggressive ? IKEV1_EXCHANGE_AGGRESSIVE : IKEV1_EXCHANGE_MAIN;
	struct v1 v = v1_new(&s);
	bench_filter_add(v.b, only_variant, &keep);
	need_phase1(&v);
	struct ike_sa *g = v1_any_sa(v.gw), *c = v1_any_sa(v.client);
	bool seen = nat && variants[i].natt != IKEV1_NATT_NONE;
	assert_int_equal(g->v1->natt, variants[i].natt);
	assert_int_equal(c->v1->natt, variants[i].natt);
	assert_int_equal(g->nat_remote, seen);
	assert_int_equal(c->nat_local, seen);
	assert_false(g->nat_local || c->nat_remote);
	assert_int_equal(c->local.port, nat ? variants[i].port : 500);
	assert_int_equal(g->local.port, nat ? variants[i].port : 500);
	assert_true(endpoint_eq(&g->local, &c->remote));
	// The answer names one variant, that one.
	const struct v1_message *first = v1_nth(v.w, v.gw, exchange, 1);
	uint32_t said = 0;
	for (uint8_t k = 0; k < first->m.vendor_count; k++)
		said |= 1u << ikev1_vendor_of(first->m.vendors[k]);
	said &= (1u << (IKEV1_VID_NATT_00 + 1)) - (1u << IKEV1_VID_NATT_RFC3947);
	assert_int_equal(said, variants[i].payload ? 1u << keep : 0);
	const struct v1_message *natd = v1_nth(v.w, v.gw, exchange, aggressive ? 1 : 2);
	assert_int_equal(natd->m.natd_count, variants[i].payload ? 2 : 0);
	assert_int_equal(natd->m.count[variants[i].payload], variants[i].payload ? 2 : 0);
	v1_free(&v);
}

static void every_variant(void **state)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		for (int nat = 0; nat < 2; nat++)
			for (int aggressive = 0; aggressive < 2; aggressive++)
				one_variant(i, aggressive, nat);
}

static void best_variant(void **state)
{
	enum ikev1_vendor vid;
	uint32_t all = 0;
	for (unsigned v = IKEV1_VID_NATT_00; v >= IKEV1_VID_NATT_RFC3947; v--) {
		all |= 1u << v;
		(void)ikev1_natt_best(all, &vid);
		assert_int_equal(vid, v);
	}
	assert_int_equal(ikev1_natt_best(1u << IKEV1_VID_DPD, &vid), IKEV1_NATT_NONE);
	assert_int_equal(vid, IKEV1_VID_UNKNOWN);
}

// ---- who the peer is -------------------------------------------------------------------------------

static const struct {
	const char *psk, *id; // of the gateway's credentials; of the client
	bool proven;
} claims[] = {
	{"addresses = [ \"198.51.100.2/32\" ];", "198.51.100.2", true},
	{"addresses = [ \"198.51.100.2/32\" ];", "198.51.100.3", false},
	{"addresses = [ \"198.51.100.2/32\" ];", "client@example", false},
	{"addresses = [ \"198.51.100.0/24\" ];", "198.51.100.2", false},
	{"addresses = [ \"198.51.100.2/32\", \"198.51.100.3/32\" ];", "198.51.100.2", false},
	{"id = \"198.51.100.2\";", "198.51.100.2", true},
	{"id = \"*\";", "client@example", false},
	{"id = \"client@example\"; addresses = [ \"198.51.100.0/24\" ];", "client@example", true},
	{"id = \"hq\"; addresses = [ \"198.51.100.0/24\" ];", "hq", true},
	{"id = \"hq\"; addresses = [ \"198.51.100.0/24\" ];", "keyid:hq", false},
	{"id = \"keyid:hq\"; addresses = [ \"198.51.100.2/32\" ];", "keyid:hq", false},
};

static void claimed_or_proven(void **state)
{
	for (size_t i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
		char credentials[256], local[128];
		snprintf(credentials, sizeof(credentials),
			"psk = ( { %s secret = \"a secret of them both\"; } );", claims[i].psk);
		snprintf(local, sizeof(local), "id = \"%s\"; auth = \"psk\";", claims[i].id);
		struct v1_setup s = {.gw_credentials = credentials, .client_local = local};
		struct v1 v = v1_new(&s);
		need_phase1(&v);
		assert_string_equal(v1_any_sa(v.gw)->v1->peer.text, claims[i].id);
		if (v1_any_sa(v.gw)->v1->peer.proven != claims[i].proven)
			fail_msg("%s for %s", claims[i].psk, claims[i].id);
		v1_free(&v);
	}
}

// Who has a key of the many may not go by an identity that has one of its own.
static void key_of_another(void **state)
{
	struct v1_setup s = {
		.gw_credentials = "psk = ( { id = \"*\"; secret = \"a secret of them both\"; }, "
				  "{ id = \"client@example\"; secret = \"mine, mine alone\"; } );"};
	struct v1 v = v1_new(&s);
	v1_refused(&v, "ike_no_psk");
}

static void what_is_noted(void **state)
{
	struct v1_setup s = {
		.client_more = "lifetime: { ike_hard_s = 108000; ike_rekey_s = 72000; };",
		.gw_more = "lifetime: { ike_hard_s = 7200; ike_rekey_s = 3600; };"};
	struct v1 v = v1_new(&s);
	need_phase1(&v);
	struct ikev1_sa *g = v1_any_sa(v.gw)->v1, *c = v1_any_sa(v.client)->v1;
	assert_true(g->initial_contact);
	assert_true(g->life_cut);
	assert_int_equal(g->life_s, 2 * 3600);
	assert_false(c->life_cut);
	assert_true(g->peer_dpd && c->peer_dpd);
	assert_true(g->peer_fragments && c->peer_fragments);
	assert_false(g->peer_xauth);
	v1_free(&v);
}

static void nobody_to_call(void **state)
{
	struct v1_setup s = {.xauth = true};
	struct v1 v = v1_new(&s);
	struct sa_origin origin = {0};
	struct endpoint local = bench_at(GW_ADDR, 500), remote = bench_at(CLIENT_ADDR, 500);
	assert_int_equal(ike_initiate(v.gw->engine, "c", &origin, &local, &remote), 0);
	v1_free(&v);
}

// Another order of proposals, and several of them: the first that both have.
static void several_proposals(void **state)
{
	static const struct {
		const char *gw, *client;
		uint16_t dh, bits;
	} cells[] = {
		{"\"aes256-sha384-ecp384\", \"aes128-sha256-ecp256\"",
			"\"aes128-sha256-ecp256\", \"aes256-sha384-ecp384\"", DH_ECP_256, 128},
		{"\"aes128-aes256-sha256-sha1-modp2048-ecp256\"", "\"aes256-sha1-modp2048\"",
			DH_MODP_2048, 256},
	};
	for (size_t i = 0; i < sizeof(cells) / sizeof(cells[0]); i++) {
		struct v1_setup s = {.ike = cells[i].gw, .client_ike = cells[i].client};
		struct v1 v = v1_new(&s);
		need_phase1(&v);
		assert_int_equal(v1_any_sa(v.gw)->suite.dh, cells[i].dh);
		assert_int_equal(v1_any_sa(v.client)->suite.encr.key_bits, cells[i].bits);
		v1_free(&v);
	}
}

// The gateway has a certificate of each CA for its name, and the client trusts one: it says so.
static void certificate_that_is_asked_for(void **state)
{
	for (int aggressive = 0; aggressive < 2; aggressive++) {
		char gw[1024], client[512];
		struct v1_setup s = {.method = V1_RSA, .aggressive = aggressive};
		pki_issue("gw1", "DNS:gw.example", KEY_RSA, CA, 0, 0);
		pki_issue("gw2", "DNS:gw.example", KEY_RSA, OTHER_CA, 0, 0);
		snprintf(gw, sizeof(gw),
			"certificates = ( { cert = \"%s\"; key = \"%s\"; }, "
			"{ cert = \"%s\"; key = \"%s\"; } ); ca = [ \"%s\" ];",
			pki_path("gw1.pem"), pki_path("gw1.key"), pki_path("gw2.pem"),
			pki_path("gw2.key"), pki_path("ca.pem"));
		snprintf(client, sizeof(client),
			"certificates = ( { cert = \"%s\"; key = \"%s\"; } ); ca = [ \"%s\" ];",
			pki_path("client.pem"), pki_path("client.key"), pki_path("other.pem"));
		s.gw_credentials = gw;
		s.client_credentials = client;
		struct v1 v = v1_new(&s);
		need_phase1(&v);
		assert_true(v1_any_sa(v.client)->v1->peer.proven);
		v1_free(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_method),
		cmocka_unit_test(each_message_lost),
		cmocka_unit_test(everything_twice),
		cmocka_unit_test(lossy_wire),
		cmocka_unit_test(every_variant),
		cmocka_unit_test(best_variant),
		cmocka_unit_test(claimed_or_proven),
		cmocka_unit_test(key_of_another),
		cmocka_unit_test(what_is_noted),
		cmocka_unit_test(nobody_to_call),
		cmocka_unit_test(several_proposals),
		cmocka_unit_test(certificate_that_is_asked_for),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
