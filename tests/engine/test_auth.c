// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/engine/pki.h"

// ---- pre-shared keys -------------------------------------------------------------------------

static const struct side defaults;

static struct ike_session *session_of(struct bench_node *n)
{
	return ike_session_by_id(n->engine, bench_session(n).id);
}

static void psk_of_this_identity_proves_it(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	assert_string_equal(s.remote_id, "client@example");
	assert_string_equal(s.connection, "c");
	assert_int_equal(s.state, IKE_SESSION_ESTABLISHED);
	assert_false(session_of(p.gw)->anonymous);
	assert_false(session_of(p.client)->anonymous);
	assert_int_equal(s.inner_count, 1);
	assert_true(pair_traffic(&p));
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	s = bench_session(p.gw);
	assert_int_equal(s.packets_in, 1);
	assert_int_equal(s.packets_out, 1);
	struct bench_node *gw = p.gw;
	assert_int_equal(ike_delete_session(p.client->engine, 1), 0);
	bench_run(p.b, 500);
	assert_int_equal(pool_in_use(gw, 0), 0);
	bench_free(p.b);
}

static void psk_of_a_group_proves_nothing(void **state)
{
	struct side s = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&s, &s);
	assert_true(pair_up(&p));
	assert_true(session_of(p.gw)->anonymous);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

static void psk_by_address_proves_nothing(void **state)
{
	struct side s = {.credentials =
				 "psk = ( { addresses = [ \"198.51.100.0/24\", \"192.0.2.1\" ];"
				 " secret = \"found by the address\"; } );"};
	struct pair p = pair_new(&s, &s);
	assert_true(pair_up(&p));
	assert_true(session_of(p.gw)->anonymous);
	assert_true(pair_traffic(&p));
	pair_down(&p);
}

// Nothing of the peer is left at the gateway, and no address is held.
static void expect_refused(struct pair *p, const char *reason)
{
	assert_false(pair_up(p));
	bench_expect(p->gw, reason, 1);
	bench_expect(p->client, "ike_auth_refused", 1);
	assert_true(bench_empty(p->gw));
	bench_run(p->b, 2000);
	assert_true(bench_empty(p->client));
	struct pool_stats st;
	for (size_t i = 0; pools_stats(p->gw->pools, i, &st); i++)
		assert_int_equal(st.allocated, 0); // not even for a moment
	bench_free(p->b);
}

static void wrong_psk(void **state)
{
	struct side c = {
		.credentials = "psk = ( { id = \"*\"; secret = \"not the same secret\"; } );"};
	struct pair p = pair_new(&defaults, &c);
	expect_refused(&p, "ike_bad_psk");
}

static void no_psk_for_the_peer(void **state)
{
	struct side gw = {
		.credentials =
			"psk = ( { id = \"other@example\"; secret = \"of another peer\"; } );"};
	struct pair p = pair_new(&gw, &defaults);
	expect_refused(&p, "ike_no_psk");
}

static void identity_of_no_connection(void **state)
{
	struct side gw = {
		.remote = "id = \"*.other.example\"; auth = \"psk\";", .credentials = PSK_GROUP};
	struct side c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	expect_refused(&p, "ike_no_peer");
}

static void idr_of_nobody(void **state)
{
	struct side c = {
		.remote = "id = \"elsewhere.example\"; auth = \"psk\";", .credentials = PSK_GROUP};
	struct side gw = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	expect_refused(&p, "ike_no_peer");
}

// ---- addresses -------------------------------------------------------------------------------

#define BOTH      POOL4 ", " POOL6
#define BOTH_MORE "mode_config = [ \"respond\" ]; pools = [ \"p4\", \"p6\" ];"
#define BOTH_CHILD                                                                  \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; " \
	"esp_proposals = [ \"aes256gcm16\", \"aes128-sha256\" ]; }"
#define BOTH_CLIENT_CHILD                                              \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = " \
	"[ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; esp_proposals = [ \"aes128-sha256\" ]; }"

static const struct side both_gw = {.pools = BOTH, .more = BOTH_MORE, .children = BOTH_CHILD};
static const struct side both_client = {.children = BOTH_CLIENT_CHILD};

static void addresses_of_both_families(void **state)
{
	char text[IP_TEXT_MAX];
	struct pair p = pair_new(&both_gw, &both_client);
	p.client->cfg->connections[0].request_v6 = true;
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.client);
	assert_int_equal(s.inner_count, 2);
	assert_int_equal(s.inner[0].family, IP_V4);
	assert_int_equal(s.inner[1].family, IP_V6);
	assert_true(pair_traffic(&p));
	ip_text(&s.inner[1], text);
	assert_true(bench_traffic(p.client, p.gw, text, "2001:db8:99::7"));
	assert_true(bench_traffic(p.gw, p.client, "2001:db8:99::7", text));
	s = bench_session(p.gw);
	assert_int_equal(s.child_count, 1);
	assert_int_equal(s.children[0].ts_remote_count, 2);
	assert_int_equal(s.children[0].esp.encr.id, ENCR_AES_CBC);
	assert_int_equal(s.children[0].esp.integ, INTEG_HMAC_SHA2_256_128);
	pair_down(&p);
}

static void wanted_address_is_granted(void **state)
{
	struct pair p = pair_new(&defaults, &defaults);
	assert_int_equal(ip_parse("10.1.0.5", &p.client->cfg->connections[0].request_hint_v4), 0);
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	assert_true(ip_eq(&s.inner[0], &p.client->cfg->connections[0].request_hint_v4));
	pair_down(&p);
}

#define ONE4 "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; }"

static void exhausted_pool_leaves_the_ike_sa(void **state)
{
	struct side gw = {.pools = ONE4, .credentials = PSK_GROUP};
	struct side c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	assert_true(pair_up(&p));
	struct bench_node *o = side_add(p.b, "other", "198.51.100.3", &c, false);
	o->cfg->connections[0].request_v4 = true;
	assert_true(bench_connect(o, p.gw, "c") > 0);
	bench_run(p.b, 500);
	// RFC 7296 3.15.4: the IKE SA stands, without a child SA.
	bench_expect(p.gw, "ike_pool_exhausted", 1);
	bench_expect(o, "ike_child_refused", 1);
	assert_int_equal(bench_session_count(p.gw), 2);
	assert_int_equal(bench_session(o).child_count, 0);
	assert_int_equal(pool_in_use(p.gw, 0), 1);
	// Nothing comes of it: it is ended.
	bench_run(p.b, (IKE_CHILDLESS_S + 2) * 1000);
	assert_int_equal(bench_session_count(p.gw), 1);
	assert_true(bench_empty(o));
	assert_true(pair_traffic(&p));
	bench_free(p.b);
}

static void one_family_is_enough(void **state)
{
	struct side gw = {.pools = ONE4 ", " POOL6,
		.more = BOTH_MORE,
		.children = BOTH_CHILD,
		.credentials = PSK_GROUP};
	struct side c = {.children = BOTH_CLIENT_CHILD, .credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	assert_true(pair_up(&p));
	struct bench_node *o = side_add(p.b, "other", "198.51.100.3", &c, false);
	o->cfg->connections[0].request_v4 = true;
	o->cfg->connections[0].request_v6 = true;
	assert_true(bench_connect(o, p.gw, "c") > 0);
	assert_true(bench_run_until(p.b, bench_established, o, 1000));
	struct ike_session_info s = bench_session(o);
	assert_int_equal(s.inner_count, 1);
	assert_int_equal(s.inner[0].family, IP_V6);
	assert_int_equal(s.child_count, 1);
	bench_free(p.b);
}

static void second_pool_of_a_family(void **state)
{
	struct side gw = {.pools = ONE4 ", { name = \"q4\"; ranges = [ \"10.2.0.1-10.2.0.9\" ]; }",
		.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\", \"q4\" ];",
		.credentials = PSK_GROUP};
	struct side c = {.credentials = PSK_GROUP};
	struct pair p = pair_new(&gw, &c);
	assert_true(pair_up(&p));
	struct bench_node *o = side_add(p.b, "other", "198.51.100.3", &c, false);
	o->cfg->connections[0].request_v4 = true;
	assert_true(bench_connect(o, p.gw, "c") > 0);
	assert_true(bench_run_until(p.b, bench_established, o, 1000));
	assert_int_equal(ip_to_v4(&bench_session(o).inner[0]) >> 16, 0x0a02);
	bench_free(p.b);
}

static void address_is_required(void **state)
{
	struct side gw = {.more = "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; "
				  "address_required = true;"};
	struct pair p = pair_new(&gw, &defaults);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_cp_required", 1);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	pair_down(&p);
}

// Without an address the peer's side is its outer one.
static void cp_is_ignored_without_respond(void **state)
{
	struct side gw = {.more = "mode_config = [ ];", .pools = ""};
	struct pair p = pair_new(&gw, &defaults);
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	assert_int_equal(s.inner_count, 0);
	assert_int_equal(s.child_count, 1);
	assert_int_equal(bench_counter(p.client, "ike_no_address"), 1);
	assert_int_equal(bench_session(p.client).child_count, 0);
	pair_down(&p);
}

static void outer_address_without_a_lease(void **state)
{
	struct side gw = {.more = "mode_config = [ ];", .pools = ""};
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"198.51.100.2/32\" ];"
				     " remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	assert_true(bench_traffic(p.client, p.gw, "198.51.100.2", "10.99.0.9"));
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.9", "198.51.100.2"));
	assert_false(bench_traffic(p.client, p.gw, "198.51.100.3", "10.99.0.9"));
	pair_down(&p);
}

static void site_to_site(void **state)
{
	struct side gw = {.more = "",
		.pools = "",
		.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
			    " remote_ts = [ \"10.7.0.0/16\", \"10.8.1.0/24\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {
		.children = "{ name = \"lan\"; local_ts = [ \"10.7.1.0/24\", \"10.8.0.0/16\" ];"
			    " remote_ts = [ \"10.99.0.0/16\" ];"
			    " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	struct ike_session_info s = bench_session(p.gw);
	char text[SELECTOR_TEXT_MAX];
	assert_int_equal(s.children[0].ts_remote_count, 2);
	assert_string_equal(selector_text(&s.children[0].ts_remote[0], text), "10.7.1.0/24");
	assert_string_equal(selector_text(&s.children[0].ts_remote[1], text), "10.8.1.0/24");
	assert_string_equal(selector_text(&s.children[0].ts_local[0], text), "10.99.0.0/24");
	assert_true(bench_traffic(p.client, p.gw, "10.7.1.9", "10.99.0.9"));
	assert_true(bench_traffic(p.gw, p.client, "10.99.0.9", "10.8.1.9"));
	pair_down(&p);
}

static void addresses_of_a_pool_are_not_claimed(void **state)
{
	struct side gw = {.children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ];"
				      " remote_ts = [ \"10.0.0.0/8\" ];"
				      " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct side c = {.children = "{ name = \"lan\"; local_ts = [ \"10.1.0.3/32\" ];"
				     " remote_ts = [ \"10.99.0.0/24\" ];"
				     " esp_proposals = [ \"aes128gcm16\" ]; }"};
	struct pair p = pair_new(&gw, &c);
	p.client->cfg->connections[0].request_v4 = false;
	assert_true(pair_up(&p));
	bench_expect(p.gw, "ike_ts_pool", 1);
	assert_int_equal(bench_session(p.gw).child_count, 0);
	pair_down(&p);
}

// The reply's attributes, read back by the parser.
static void cp_reply_holds_what_the_pool_says(void **state)
{
	struct side gw = {
		.pools = "{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; dns = [ \"9.9.9.9\","
			 " \"2001:db8::53\" ]; nbns = [ \"10.99.0.2\" ];"
			 " netmask = \"255.255.255.255\"; }"};
	struct pair p = pair_new(&gw, &defaults);
	const struct cfg_connection *conn = &p.gw->cfg->connections[0];
	struct lease l = {.pool = conn->pools[0], .prefix_len = 32};
	uint8_t buf[512];
	struct wire_builder b;
	struct wire_cp cp;
	struct wire_payload pl;
	struct ike_cp_state st = {.asked_types = 1u << IKEV2_CP_APPLICATION_VERSION};
	assert_int_equal(ip_parse("10.1.0.4", &l.addr), 0);
	for (int version = 0; version < 2; version++) {
		wire_build_begin(&b, buf, sizeof(buf));
		ike_cp_reply(&b, &st, conn, &l, 1);
		struct wire_chain chain = wire_chain_of(wire_build_done(&b), b.first);
		assert_int_equal(wire_chain_next(&chain, &pl), WIRE_OK);
		assert_int_equal(pl.type, IKEV2_PAYLOAD_CP);
		assert_int_equal(wire_cp_parse(pl.body, &cp), WIRE_OK);
		assert_int_equal(cp.type, IKEV2_CP_REPLY);
		assert_true(
			ip_eq(&wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_ADDRESS)->addr, &l.addr));
		assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_NETMASK));
		assert_int_equal(
			ip_to_v4(&wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_DNS)->addr), 0x09090909);
		assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP6_DNS));
		assert_non_null(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_NBNS));
		assert_int_equal(wire_cp_find(&cp, IKEV2_CP_INTERNAL_IP4_SUBNET)->prefix_bits, 24);
		assert_int_equal(
			wire_cp_find(&cp, IKEV2_CP_APPLICATION_VERSION) != NULL, version == 0);
		st.asked_types = 0;
	}
	bench_free(p.b);
}

// ---- certificates ----------------------------------------------------------------------------

static void certificates_of_every_kind(void **state)
{
	static const enum test_key kinds[] = {
		KEY_RSA, KEY_RSA_PSS, KEY_P256, KEY_P384, KEY_P521, KEY_ED25519, KEY_ED448};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pki_issue("gw", "DNS:gw.example", kinds[i], CA, 0, 0);
		pki_issue("client", "email:client@example", kinds[i], CA, 0, 0);
		struct pair p = cert_pair("gw", "client");
		assert_true(pair_up(&p));
		assert_false(session_of(p.gw)->anonymous);
		assert_true(pair_traffic(&p));
		pair_down(&p);
	}
}

// A peer that knows nothing of RFC 7427 gets, and sends, the methods of RFC 7296 and 4754.
static void certificates_by_the_older_methods(void **state)
{
	static const enum test_key kinds[] = {KEY_RSA, KEY_P256, KEY_P384, KEY_P521};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		pki_issue("gw", "DNS:gw.example", kinds[i], CA, 0, 0);
		pki_issue("client", "email:client@example", kinds[i], CA, 0, 0);
		struct pair p = cert_pair("gw", "client");
		struct ike_sa *sa;
		// Before the client's keys are there: it has not signed yet.
		p.client->job_delay_ns = 50 * NS_PER_MS;
		assert_true(bench_connect(p.client, p.gw, "c") > 0);
		bench_run(p.b, 80);
		LIST_FOREACH (sa, &p.gw->engine->all_sas, all)
			sa->peer_hashes = 0;
		LIST_FOREACH (sa, &p.client->engine->all_sas, all)
			sa->peer_hashes = 0;
		assert_true(bench_run_until(p.b, bench_established, p.client, 5000));
		bench_run(p.b, 20);
		assert_true(bench_established(p.gw));
		bench_free(p.b);
	}
}

static void mixed_methods(void **state)
{
	pki_issue("gw", "DNS:gw.example", KEY_P256, CA, 0, 0);
	char *g = cert_credentials("gw", "ca.pem", PSK_BOUND);
	char *c = NULL;
	assert_true(asprintf(&c, "ca = [ \"%s\" ]; " PSK_BOUND, pki_path("ca.pem")) > 0);
	struct side gw = {.credentials = g, .local = CERT_LOCAL_GW};
	struct side client = {.credentials = c, .remote = CERT_REMOTE};
	struct pair p = pair_new(&gw, &client);
	assert_true(pair_up(&p));
	assert_true(pair_traffic(&p));
	pair_down(&p);
	free(g);
	free(c);
}

static void expect_cert_refused(const char *san, int ca, time_t from, time_t to, const char *reason)
{
	pki_issue("gw", "DNS:gw.example", KEY_P256, CA, 0, 0);
	pki_issue("client", san, KEY_P256, ca, from, to);
	struct pair p = cert_pair("gw", "client");
	expect_refused(&p, reason);
}

static void certificate_of_another_ca(void **state)
{
	expect_cert_refused("email:client@example", OTHER_CA, 0, 0, "ike_cert_untrusted");
}

static void certificate_of_another_name(void **state)
{
	pki_issue("gw", "DNS:gw.example", KEY_P256, CA, 0, 0);
	pki_issue("client", "email:other@example", KEY_P256, CA, 0, 0);
	char *g = cert_credentials("gw", "ca.pem", "");
	char *c = cert_credentials("client", "ca.pem", "");
	char *local = NULL;
	assert_true(asprintf(&local, CERT_LOCAL " cert = \"%s\";", pki_path("client.pem")) > 0);
	struct side gw = {.credentials = g, .local = CERT_LOCAL_GW, .remote = CERT_REMOTE_GW};
	struct side client = {.credentials = c, .local = local, .remote = CERT_REMOTE};
	struct pair p = pair_new(&gw, &client);
	expect_refused(&p, "ike_cert_name");
	free(g);
	free(c);
	free(local);
}

static void certificate_that_has_expired(void **state)
{
	time_t now = time(NULL);
	expect_cert_refused("email:client@example", CA, now - 7200, now - 3600, "ike_cert_expired");
}

static void certificate_of_tomorrow(void **state)
{
	time_t now = time(NULL);
	expect_cert_refused(
		"email:client@example", CA, now + 40000, now + 80000, "ike_cert_expired");
}

static void psk_where_a_certificate_is_asked_for(void **state)
{
	pki_issue("gw", "DNS:gw.example", KEY_P256, CA, 0, 0);
	char *g = cert_credentials("gw", "ca.pem", PSK_BOUND);
	struct side gw = {.credentials = g, .remote = CERT_REMOTE_GW};
	struct pair p = pair_new(&gw, &defaults);
	expect_refused(&p, "ike_no_peer");
	free(g);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(psk_of_this_identity_proves_it),
		T(psk_of_a_group_proves_nothing),
		T(psk_by_address_proves_nothing),
		T(wrong_psk),
		T(no_psk_for_the_peer),
		T(identity_of_no_connection),
		T(idr_of_nobody),
		T(addresses_of_both_families),
		T(wanted_address_is_granted),
		T(exhausted_pool_leaves_the_ike_sa),
		T(one_family_is_enough),
		T(second_pool_of_a_family),
		T(address_is_required),
		T(cp_is_ignored_without_respond),
		T(outer_address_without_a_lease),
		T(site_to_site),
		T(addresses_of_a_pool_are_not_claimed),
		T(cp_reply_holds_what_the_pool_says),
		T(certificates_of_every_kind),
		T(certificates_by_the_older_methods),
		T(mixed_methods),
		T(certificate_of_another_ca),
		T(certificate_of_another_name),
		T(certificate_that_has_expired),
		T(certificate_of_tomorrow),
		T(psk_where_a_certificate_is_asked_for),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
