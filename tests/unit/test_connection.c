// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/index.h"
#include "tests/cmocka_all.h"

#include <stdio.h>

static const char text[] =
	"main: { };\n"
	"ports = ( { name = \"outside\"; role = \"outside\"; device = \"net_null0\";"
	" addresses = [ \"192.0.2.1/24\" ]; }, { name = \"inside\"; role = \"inside\";"
	" device = \"net_null1\"; addresses = [ \"10.99.0.1/24\" ]; } );\n"
	"credentials: { psk = ( { id = \"*\"; secret = \"a secret of everybody\"; } ); };\n"
	"connections = (\n"
#define ROW(name, proposal, local, remote)                                           \
	"{ name = \"" name "\"; ike_versions = [ 2 ]; ike_proposals = [ \"" proposal \
	"\" ]; local = { id = \"" local                                              \
	"\"; auth = \"psk\"; }; remote = { auth = \"psk\"; " remote                  \
	" }; children = ( { name = \"x\"; local_ts = [ \"10.99.0.0/24\" ];"          \
	" esp_proposals = [ \"aes128gcm16\" ]; } ); }"
	ROW("any", "aes128gcm16-prfsha256-x25519", "gw.example", "id = \"*\";") ",\n" ROW("suffix",
		"aes128gcm16-prfsha256-x25519", "gw.example",
		"id = \"*.example\";") ",\n" ROW("net", "aes128gcm16-prfsha256-x25519",
		"gw.example", "id = \"*\"; addresses = [ \"198.51.100.0/24\" ];") ",\n" ROW("host",
		"aes128gcm16-prfsha256-x25519", "gw.example",
		"id = \"*\"; addresses = [ \"198.51.100.7\" ];") ",\n" ROW("exact",
		"aes256-sha256-modp2048", "gw.example", "id = \"a.example\";") ",\n" ROW("other",
		"aes128gcm16-prfsha256-x25519", "gw2.example", "id = \"b.example\";") ");\n";

static struct cfg *cfg;
static struct ike_index *index_;

static bool any_proposals(void *ctx, const struct cfg_connection *c)
{
	return true;
}

static const char *chosen(const char *addr, const char *remote, const char *local,
	const struct suite *suite, int auth)
{
	struct endpoint from = {.port = 500};
	struct ike_id r, l;
	struct view rv, lv;
	struct ike_match m = {.remote = &from, .suite = suite, .auth = auth};
	assert_int_equal(ip_parse(addr, &from.addr), 0);
	if (remote) {
		assert_int_equal(ike_id_from_text(remote, &r), 0);
		rv = ike_id_view(&r);
		m.remote_id = &rv;
	}
	if (local) {
		assert_int_equal(ike_id_from_text(local, &l), 0);
		lv = ike_id_view(&l);
		m.local_id = &lv;
	}
	bool seen;
	const struct cfg_connection *c =
		remote ? ike_connection_match(index_, &m)
		       : ike_connection_first(index_, &from.addr, any_proposals, NULL, &seen);
	return c ? c->name : "none";
}

static void the_most_specific(void **state)
{
	const struct suite gcm = {
		.encr = {ENCR_AES_GCM_16, 128}, .prf = PRF_HMAC_SHA2_256, .dh = DH_X25519};
	assert_int_equal(cfg_load_text("test", text, stderr, &cfg), 0);
	assert_int_equal(ike_index_new(cfg, &index_), 0);
	// Before the identity is known the address decides.
	assert_string_equal(chosen("203.0.113.1", NULL, NULL, NULL, -1), "any");
	assert_string_equal(chosen("198.51.100.1", NULL, NULL, NULL, -1), "net");
	assert_string_equal(chosen("198.51.100.7", NULL, NULL, NULL, -1), "host");
	// Then the identity, before the address.
	assert_string_equal(chosen("203.0.113.1", "x.org", NULL, NULL, -1), "any");
	assert_string_equal(chosen("198.51.100.7", "x.org", NULL, NULL, -1), "host");
	assert_string_equal(chosen("198.51.100.7", "x.example", NULL, NULL, -1), "suffix");
	assert_string_equal(chosen("198.51.100.7", "a.example", NULL, NULL, -1), "exact");
	// A connection that does not allow the suite in use is no choice.
	assert_string_equal(chosen("198.51.100.7", "a.example", NULL, &gcm, -1), "suffix");
	// The initiator may name who it wants to talk to.
	assert_string_equal(chosen("203.0.113.1", "b.example", NULL, NULL, -1), "other");
	assert_string_equal(chosen("203.0.113.1", "b.example", "gw.example", NULL, -1), "suffix");
	assert_string_equal(chosen("203.0.113.1", "b.example", "gw3.example", NULL, -1), "none");
	// The method must be the connection's.
	assert_string_equal(chosen("203.0.113.1", "x.org", NULL, NULL, CFG_AUTH_PSK), "any");
	assert_string_equal(chosen("203.0.113.1", "x.org", NULL, NULL, CFG_AUTH_CERT), "none");
	ike_index_free(index_);
	cfg_free(cfg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_most_specific)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
