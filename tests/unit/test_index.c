// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Which key and which connection, and that finding them costs the same however many there are.
#include "controlplane/index.h"
#include "tests/cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

static struct view body_of(const char *text, struct ike_id *id)
{
	assert_int_equal(ike_id_from_text(text, id), 0);
	return ike_id_view(id);
}

static struct ip_addr address(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

static struct ip_prefix prefix(const char *text)
{
	struct ip_prefix p;
	assert_int_equal(ip_prefix_parse(text, false, &p), 0);
	return p;
}

// ---- pre-shared keys ----

static struct cfg_psk psks[] = {
	{.id = (char[]){"*"}},
	{.id = (char[]){"*.example"}},
	{.address_count = 1}, // 198.51.100.0/24
	{.id = (char[]){"A.example"}},
	{.id = (char[]){"C=CH, CN=One"}},
	{.id = (char[]){"user@Example"}},
	{.id = (char[]){"192.0.2.9"}},
	{.id = (char[]){"192.0.2.0/24"}},
	{.id = (char[]){"group"}},
	{.id = (char[]){"*@corp.example"}},
	{.address_count = 1}, // 198.51.100.128/25
	{.id = (char[]){"*.b.example"}},
	{.id = (char[]){"a.example"}}, // again: the first counts
	{.id = (char[]){"2001:db8::/32"}},
};
#define PSKS (sizeof(psks) / sizeof(psks[0]))

static const struct {
	const char *id, *peer;
	int key; // of psks, -1: none
	bool bound;
} psk_rows[] = {
	{"a.example", "198.51.100.7", 3, true},
	{"A.EXAMPLE", "203.0.113.7", 3, true},
	{"b.example", "198.51.100.7", 2, false}, // the address before the pattern
	{"b.example", "198.51.100.200", 10, false},
	{"b.example", "203.0.113.7", 1, false},
	{"x.b.example", "203.0.113.7", 11, false},
	{"b.org", "203.0.113.7", 0, false},
	{NULL, "203.0.113.7", 0, false},
	{NULL, "198.51.100.7", 2, false},
	{"C=CH, CN=one", "203.0.113.7", 4, true}, // X.509 compares without case
	{"C=CH, CN=two", "203.0.113.7", 0, false},
	{"user@EXAMPLE", "203.0.113.7", 5, true},
	{"USER@example", "203.0.113.7", 0, false},
	{"who@corp.example", "203.0.113.7", 9, false},
	{"192.0.2.9", "203.0.113.7", 6, true},
	{"192.0.2.8", "203.0.113.7", 7, false},
	{"2001:db8::1", "203.0.113.7", 13, false},
	{"keyid:group", "203.0.113.7", 8, true},
	{"keyid:grou", "203.0.113.7", 0, false},
	{"group", "203.0.113.7", 8, true},
};

static void key_for_each(void **state)
{
	struct ip_prefix net = prefix("198.51.100.0/24"), half = prefix("198.51.100.128/25");
	struct cfg cfg = {.psks = psks, .psk_count = PSKS};
	struct ike_index *ix;
	struct ike_id id;
	psks[2].addresses = &net;
	psks[10].addresses = &half;
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	for (size_t i = 0; i < sizeof(psk_rows) / sizeof(psk_rows[0]); i++) {
		bool bound;
		struct ip_addr peer = address(psk_rows[i].peer);
		struct view body = {NULL, 0};
		if (psk_rows[i].id)
			body = body_of(psk_rows[i].id, &id);
		const struct cfg_psk *k = ike_psk_find(ix, body, &peer, &bound);
		if (k != &psks[psk_rows[i].key] || bound != psk_rows[i].bound)
			fail_msg("%s: key %d", psk_rows[i].id, k ? (int)(k - psks) : -1);
	}
	ike_index_free(ix);
	// Without the wildcard a stranger finds nothing.
	cfg = (struct cfg){.psks = psks + 1, .psk_count = PSKS - 1};
	struct ip_addr stranger = address("203.0.113.7");
	bool bound = true;
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	assert_null(ike_psk_find(ix, body_of("b.org", &id), &stranger, &bound));
	assert_false(bound);
	assert_null(ike_psk_find(ix, (struct view){(const uint8_t *)"\2", 1}, &stranger, &bound));
	ike_index_free(ix);
}

// Entries compared for one look-up of each kind among n keys: exact, by address, none at all.
static uint64_t looked_at_keys(size_t n)
{
	struct cfg_psk *many = calloc(n, sizeof(*many));
	struct ip_prefix *nets = calloc(n, sizeof(*nets));
	struct cfg cfg = {.psks = many, .psk_count = n};
	struct ike_index *ix;
	struct ike_id id;
	char name[64];
	bool bound;
	for (size_t i = 0; i < n; i++) {
		static const char *const forms[] = {
			"host%zu.example", "u%zu@example", "*.d%zu.example", "C=CH, CN=n%zu"};
		snprintf(name, sizeof(name), forms[i % 4], i);
		many[i].id = strdup(name);
		nets[i] = (struct ip_prefix){ip_from_v4(0x0a000000 + (uint32_t)i), 32};
		many[i].addresses = &nets[i];
		many[i].address_count = 1;
	}
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	struct ip_addr known = nets[n - 1].addr, stranger = address("203.0.113.7");
	snprintf(name, sizeof(name), "host%zu.example", (n - 1) / 4 * 4);
	assert_non_null(ike_psk_find(ix, body_of(name, &id), &stranger, &bound));
	assert_true(bound);
	assert_ptr_equal(ike_psk_find(ix, body_of("x.org", &id), &known, &bound), &many[n - 1]);
	assert_null(ike_psk_find(ix, body_of("x.example", &id), &stranger, &bound));
	assert_null(ike_psk_find(ix, body_of("C=CH, CN=x", &id), &stranger, &bound));
	uint64_t looked = ix->looked;
	ike_index_free(ix);
	for (size_t i = 0; i < n; i++)
		free(many[i].id);
	free(many);
	free(nets);
	return looked;
}

static void keys_cost_the_same(void **state)
{
	assert_int_equal(looked_at_keys(20000), looked_at_keys(10));
}

// ---- connections ----

static bool refuse_all(void *ctx, const struct cfg_connection *c)
{
	(*(unsigned *)ctx)++;
	return false;
}

// n connections for n sites by name, half of them for one address each. How many a request that
// fits none, and an identity that is known, have to look at.
static uint64_t looked_at_connections(size_t n, unsigned *asked)
{
	struct cfg_connection *many = calloc(n, sizeof(*many));
	struct ip_prefix *nets = calloc(n, sizeof(*nets));
	struct cfg cfg = {.connections = many, .connection_count = n};
	struct proposal proposals[2] = {{.encr_count = 1}, {.encr_count = 2}};
	struct ike_index *ix;
	struct ike_id id;
	char name[64];
	bool seen;
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "site%zu.example", i);
		many[i].ikev2 = true;
		many[i].remote.id = strdup(name);
		many[i].ike_proposals = &proposals[i / 2 % 2];
		many[i].ike_proposal_count = 1;
		nets[i] = (struct ip_prefix){ip_from_v4(0x0a000000 + (uint32_t)i), 32};
		many[i].remote.addresses = &nets[i];
		many[i].remote.address_count = i % 2;
	}
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	struct endpoint from = {.addr = nets[n - 1].addr, .port = 500};
	*asked = 0;
	assert_null(ike_connection_first(ix, &from.addr, refuse_all, asked, &seen));
	assert_true(seen);
	snprintf(name, sizeof(name), "site%zu.example", n - 1);
	struct view body = body_of(name, &id);
	struct ike_match m = {.remote = &from, .remote_id = &body, .auth = -1};
	assert_ptr_equal(ike_connection_match(ix, &m), &many[n - 1]);
	uint64_t looked = ix->looked;
	ike_index_free(ix);
	for (size_t i = 0; i < n; i++)
		free(many[i].remote.id);
	free(many);
	free(nets);
	return looked;
}

static void connections_cost_the_same(void **state)
{
	unsigned few, many;
	assert_int_equal(looked_at_connections(1000, &many), looked_at_connections(10, &few));
	// The one of the address, and one for each of the two proposals of those for any address.
	assert_int_equal(few, 3);
	assert_int_equal(many, 3);
}

static char any_text[] = "*", a_text[] = "a.example", other_text[] = "other.pem";

// Of connections that IKEv1's first message cannot tell apart one is asked; methods, modes and what
// users must show do tell. IKEv2 has the proposals alone.
static void versions_and_methods(void **state)
{
	static struct proposal proposal = {.encr_count = 1};
	static struct cfg_connection c[] = {
		{.ikev2 = true},
		{.ikev1 = true},
		{.ikev1 = true, .aggressive = true},
		{.ikev1 = true, .remote.user_auth = CFG_USER_XAUTH},
		{.ikev1 = true, .ikev2 = true, .remote.user_auth = CFG_USER_XAUTH},
		{.ikev1 = true, .remote.auth = CFG_AUTH_CERT, .local.auth = CFG_AUTH_CERT},
		{.ikev1 = true, .aggressive = true},
		{.ikev1 = true,
			.remote.auth = CFG_AUTH_CERT,
			.local.auth = CFG_AUTH_CERT,
			.local.cert = other_text},
		{.ikev1 = true, .remote.auth = CFG_AUTH_NONE, .local.auth = CFG_AUTH_CERT},
		// What aggressive mode's answer shows tells too, and main mode's shows it to no stranger.
		{.ikev1 = true, .aggressive = true, .local.id = a_text},
		{.ikev1 = true, .aggressive = true, .fragment_size = 1280},
		{.ikev1 = true, .aggressive = true, .local.id = a_text},
		{.ikev1 = true, .local.id = a_text, .fragment_size = 1280},
	};
	struct cfg cfg = {.connections = c, .connection_count = sizeof(c) / sizeof(c[0])};
	struct ip_addr from = address("203.0.113.7");
	struct ike_index *ix;
	unsigned asked = 0;
	bool seen;
	for (size_t i = 0; i < cfg.connection_count; i++) {
		c[i].remote.id = any_text;
		c[i].ike_proposals = &proposal;
		c[i].ike_proposal_count = 1;
	}
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	assert_null(ikev1_connection_first(ix, &from, refuse_all, &asked, &seen));
	assert_true(seen);
	assert_int_equal(asked, 8);
	asked = 0;
	assert_null(ike_connection_first(ix, &from, refuse_all, &asked, &seen));
	assert_int_equal(asked, 1);
	ike_index_free(ix);
	cfg.connection_count = 1;
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	assert_null(ikev1_connection_first(ix, &from, refuse_all, &asked, &seen));
	assert_false(seen);
	ike_index_free(ix);
}

static bool is_aggressive(void *ctx, const struct cfg_connection *c)
{
	return c->aggressive;
}

static void match_by_version(void **state)
{
	static struct proposal proposal = {.encr_count = 1};
	static struct cfg_connection c[] = {{.ikev2 = true}, {.ikev1 = true},
		{.ikev1 = true, .ikev2 = true, .aggressive = true}};
	struct cfg cfg = {.connections = c, .connection_count = 3};
	struct endpoint from = {.addr = address("203.0.113.7"), .port = 500};
	struct ike_index *ix;
	struct ike_id id;
	struct view body = body_of("a.example", &id);
	for (int exact = 0; exact < 2; exact++) {
		struct ike_match m = {.remote = &from, .remote_id = &body, .auth = -1};
		for (size_t i = 0; i < 3; i++) {
			c[i].remote.id = exact ? a_text : any_text;
			c[i].ike_proposals = &proposal;
			c[i].ike_proposal_count = 1;
		}
		assert_int_equal(ike_index_new(&cfg, &ix), 0);
		assert_ptr_equal(ike_connection_match(ix, &m), &c[0]);
		m.ikev1 = true;
		assert_ptr_equal(ike_connection_match(ix, &m), &c[1]);
		m.accept = is_aggressive;
		assert_ptr_equal(ike_connection_match(ix, &m), &c[2]);
		ike_index_free(ix);
	}
}

// ---- IKEv1's keys ----

static struct cfg_psk v1_psks[] = {
	{.id = (char[]){"*"}},
	{.address_count = 1}, // 198.51.100.2/32
	{.id = (char[]){"192.0.2.9"}},
	{.address_count = 1}, // 198.51.100.0/24
	{.id = (char[]){"a.example"}},
	{.address_count = 2},                              // 203.0.113.1/32 and .2/32
	{.id = (char[]){"b.example"}, .address_count = 1}, // 203.0.113.3/32
	{.id = (char[]){"192.0.2.0/24"}},
};

static const struct {
	const char *peer, *id;
	int key;
	bool serves, proves;
} v1_rows[] = {
	{"198.51.100.2", "198.51.100.2", 1, true, true},
	{"198.51.100.2", "198.51.100.7", 1, true, false},
	{"198.51.100.2", "c.example", 1, true, false},
	{"198.51.100.2", "a.example", 1, false, false}, // that one has a key of its own
	{"198.51.100.7", "198.51.100.7", 3, true, false},
	{"192.0.2.9", "192.0.2.9", 2, true, true},
	{"192.0.2.9", "c.example", 2, true, false},
	{"192.0.2.9", "a.example", 2, false, false},
	{"192.0.2.8", "192.0.2.8", 7, true, false},
	{"203.0.113.1", "203.0.113.1", 5, true, false}, // two may have it
	{"203.0.113.3", "b.example", 6, true, true},
	{"203.0.113.3", "203.0.113.3", 6, true, false},
	{"203.0.113.9", "c.example", 0, true, false},
	{"203.0.113.9", "a.example", 0, false, false},
	{"203.0.113.9", "192.0.2.8", 0, false, false},      // a key of fewer is meant for it
	{"203.0.113.3", "keyid:b.example", 6, true, false}, // a group's name
	{"192.0.2.9", "keyid:192.0.2.9", 2, true, false},
	{"203.0.113.9", "keyid:a.example", 0, false, false},
};

static void key_of_an_address(void **state)
{
	struct ip_prefix nets[] = {prefix("198.51.100.2/32"), prefix("198.51.100.0/24"),
		prefix("203.0.113.3/32"), prefix("203.0.113.1/32"), prefix("203.0.113.2/32")};
	struct cfg cfg = {.psks = v1_psks, .psk_count = sizeof(v1_psks) / sizeof(v1_psks[0])};
	struct ike_index *ix;
	struct ike_id id;
	v1_psks[1].addresses = &nets[0];
	v1_psks[3].addresses = &nets[1];
	v1_psks[5].addresses = &nets[3];
	v1_psks[6].addresses = &nets[2];
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	for (size_t i = 0; i < sizeof(v1_rows) / sizeof(v1_rows[0]); i++) {
		struct ip_addr peer = address(v1_rows[i].peer);
		struct view body = body_of(v1_rows[i].id, &id);
		const struct cfg_psk *k = ike_psk_of_address(ix, &peer);
		assert_non_null(k);
		if (k != &v1_psks[v1_rows[i].key] ||
			ike_psk_serves(ix, k, body, &peer) != v1_rows[i].serves ||
			ike_psk_proves(k, body) != v1_rows[i].proves)
			fail_msg("%s as %s: key %d", v1_rows[i].peer, v1_rows[i].id,
				(int)(k - v1_psks));
	}
	ike_index_free(ix);
	cfg.psk_count = 0;
	struct ip_addr peer = address("203.0.113.9");
	assert_int_equal(ike_index_new(&cfg, &ix), 0);
	assert_null(ike_psk_of_address(ix, &peer));
	ike_index_free(ix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(key_for_each),
		cmocka_unit_test(keys_cost_the_same),
		cmocka_unit_test(connections_cost_the_same),
		cmocka_unit_test(versions_and_methods),
		cmocka_unit_test(match_by_version),
		cmocka_unit_test(key_of_an_address),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
