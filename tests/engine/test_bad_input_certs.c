// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a peer that is to authenticate by certificate can send instead of one that is good.
#include "tests/engine/pki.h"

static const struct view empty = {NULL, 0};

static enum bench_fate drop_auth(struct bench *b, struct bench_packet *p, void *arg)
{
	return bench_header(p).exchange == IKEV2_EXCHANGE_IKE_AUTH ? BENCH_DROP : BENCH_PASS;
}

// A client whose IKE_AUTH never arrives: the test writes its own under the same keys.
static struct pair held_before_auth(void)
{
	pki_issue("gw", "DNS:gw.example", KEY_P256, CA, 0, 0);
	pki_issue("client", "email:client@example", KEY_P256, CA, 0, 0);
	struct pair p = cert_pair("gw", "client");
	bench_filter_add(p.b, drop_auth, NULL);
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 20);
	bench_filters_clear(p.b);
	assert_int_equal(LIST_FIRST(&p.client->engine->all_sas)->state, IKE_SA_AUTH_SENT);
	return p;
}

static void send_auth(struct pair *p, uint8_t encoding, struct view cert)
{
	// RFC 7427: the AlgorithmIdentifier of ECDSA with SHA-256, then a signature of nothing.
	static const uint8_t signature[] = {12, 0x30, 10, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3,
		2, 0x30, 6, 2, 1, 1, 2, 1, 1};
	const struct cfg_child *child = &p->client->cfg->connections[0].children[0];
	struct wire_sa_policy policy = ike_child_policy(child, true, DH_NONE);
	struct ike_id id;
	uint8_t buf[4096];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	assert_int_equal(ike_id_from_text("client@example", &id), 0);
	wire_put_raw(&b, IKEV2_PAYLOAD_IDI, ike_id_view(&id));
	if (cert.p)
		wire_put_cert(&b, encoding, cert);
	wire_put_auth(&b, IKE_AUTH_SIGNATURE, (struct view){signature, sizeof(signature)});
	wire_build_sa(&b, child->esp_proposals, child->esp_proposal_count, &policy, 0x1234);
	wire_put_ts(&b, IKEV2_PAYLOAD_TSI, child->local_ts, (uint8_t)child->local_ts_count);
	wire_put_ts(&b, IKEV2_PAYLOAD_TSR, child->remote_ts, (uint8_t)child->remote_ts_count);
	bench_send_sealed(p->client, LIST_FIRST(&p->client->engine->all_sas),
		IKEV2_EXCHANGE_IKE_AUTH, 1, false, &b);
	bench_run(p->b, 50);
}

// The peer is told, the state goes, and an honest one is served.
static void refused(struct pair *p, const char *reason)
{
	bench_expect(p->gw, reason, 1);
	bench_expect(p->gw, "ike_established", 0);
	assert_int_equal(p->gw->engine->sa_count, 0);
	bench_expect(p->client, "ike_auth_refused", 1);
	assert_true(pair_up(p));
	pair_down(p);
}

static void no_certificate(void **state)
{
	struct pair p = held_before_auth();
	send_auth(&p, IKEV2_CERT_X509_SIGNATURE, empty);
	refused(&p, "ike_no_cert");
}

// Row 57: a URL is not fetched, and not taken for a certificate.
static void hash_and_url(void **state)
{
	static const char url[] = "01234567890123456789http://198.51.100.2/huge.der";
	static const uint8_t encodings[] = {
		IKEV2_CERT_HASH_AND_URL_X509, IKEV2_CERT_HASH_AND_URL_BUNDLE};
	for (size_t i = 0; i < 2; i++) {
		struct pair p = held_before_auth();
		send_auth(&p, encodings[i], (struct view){(const uint8_t *)url, sizeof(url) - 1});
		refused(&p, "ike_no_cert");
	}
}

static void certificate_of_rubbish(void **state)
{
	static const uint8_t rubbish[] = {0x30, 0x82, 0x7f, 0xff, 0x02, 0x01, 0x02};
	struct pair p = held_before_auth();
	send_auth(&p, IKEV2_CERT_X509_SIGNATURE, (struct view){rubbish, sizeof(rubbish)});
	refused(&p, "ike_cert_invalid");
}

// Another's certificate is public: without its key it proves nothing.
static void signature_by_another_key(void **state)
{
	struct pair p = held_before_auth();
	const struct ike_certificate *c =
		ike_credentials_find(p.client->credentials, NULL, empty, "client@example");
	assert_non_null(c);
	send_auth(&p, IKEV2_CERT_X509_SIGNATURE, c->leaf);
	refused(&p, "ike_bad_signature");
}

static struct pair gateway_pair(enum test_key kind, const char *local, const char *remote)
{
	pki_issue("gw", "DNS:gw.example", kind, CA, 0, 0);
	char *g = cert_credentials("gw", "ca.pem", PSK_GROUP), *c = NULL;
	assert_true(asprintf(&c, "ca = [ \"%s\" ]; " PSK_GROUP, pki_path("ca.pem")) > 0);
	struct side gw = {.credentials = g, .local = local};
	struct side client = {.credentials = c, .remote = remote};
	struct pair p = pair_new(&gw, &client);
	free(g);
	free(c);
	return p;
}

static void no_certificate_of_ours(void **state)
{
	struct pair p =
		gateway_pair(KEY_P256, "id = \"other.example\"; auth = \"cert\";", CERT_REMOTE_GW);
	assert_false(pair_up(&p));
	bench_expect(p.gw, "ike_no_own_cert", 1);
	bench_expect(p.client, "ike_auth_refused", 1);
	assert_true(bench_empty(p.gw));
	assert_int_equal(pool_in_use(p.gw, 0), 0);
	bench_free(p.b);
}

// The response with our certificate is larger than its request: a copy of the request from an address
// that is not the peer's gets nothing.
static void repeat_from_elsewhere(void **state)
{
	struct pair p = gateway_pair(KEY_P256, CERT_LOCAL_GW, CERT_REMOTE);
	bench_keep(p.b, 3); // IKE_SA_INIT, its response, IKE_AUTH
	assert_true(pair_up(&p));
	uint64_t sent = p.gw->sent;
	bench_replay(p.b);
	bench_run(p.b, 50);
	bench_expect(p.gw, "ike_repeated_request", 1);
	assert_true(p.gw->sent > sent);
	sent = p.gw->sent;
	struct endpoint elsewhere = p.b->kept->from;
	elsewhere.addr.bytes[3] ^= 0x55;
	bench_inject(p.b, &elsewhere, &p.b->kept->to, p.b->kept->bytes, p.b->kept->len);
	bench_run(p.b, 50);
	bench_expect(p.gw, "ike_repeated_elsewhere", 1);
	bench_expect(p.gw, "ike_repeated_request", 1);
	assert_int_equal(p.gw->sent, sent);
	bench_free(p.b);
}

// Ed25519 has no method of its own for a peer without SIGNATURE_HASH_ALGORITHMS.
static void our_key_has_no_method(void **state)
{
	struct pair p = gateway_pair(KEY_ED25519, CERT_LOCAL_GW, CERT_REMOTE);
	struct ike_sa *sa;
	p.client->job_delay_ns = 50 * NS_PER_MS;
	assert_true(bench_connect(p.client, p.gw, "c") > 0);
	bench_run(p.b, 80);
	LIST_FOREACH (sa, &p.gw->engine->all_sas, all)
		sa->peer_hashes = 0;
	bench_run(p.b, 1000);
	bench_expect(p.gw, "ike_own_auth", 1);
	bench_expect(p.client, "ike_auth_refused", 1);
	assert_true(bench_empty(p.gw));
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_certificate),
		cmocka_unit_test(hash_and_url),
		cmocka_unit_test(certificate_of_rubbish),
		cmocka_unit_test(signature_by_another_key),
		cmocka_unit_test(no_certificate_of_ours),
		cmocka_unit_test(repeat_from_elsewhere),
		cmocka_unit_test(our_key_has_no_method),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
