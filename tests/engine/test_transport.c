// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Transport mode as both IKE versions negotiate it, in both roles, with a NAT and without: what is
// agreed on, what reaches the data plane, and what is refused.
#include "tests/engine/pair.h"

#define NAT_ADDR "203.0.113.9"

#define PSK_ANY                                                                         \
	"psk = ( { id = \"*\"; addresses = [ \"192.0.2.0/24\", \"198.51.100.0/24\", \"" \
	"203.0.113.0/24\" ]; secret = \"a secret of everybody\"; } );"

static int version; // that is tested

// One child each, with these options.
static struct pair transport_pair(const char *gw, const char *client, bool nat)
{
	char *kids[2];
	const char *esp = version == 1 ? "aes128-sha256" : "aes128gcm16";
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	for (int i = 0; i < 2; i++)
		assert_true(
			asprintf(&kids[i], "{ name = \"l2tp\"; esp_proposals = [ \"%s\" ]; %s }",
				esp, i ? client : gw) > 0);
	struct side s[2];
	for (int i = 0; i < 2; i++)
		s[i] = (struct side){.versions = version == 1 ? "1" : "2",
			.ike = version == 1 ? "\"aes128-sha256-ecp256\"" : NULL,
			.credentials = PSK_ANY,
			.pools = "",
			.more = "",
			.children = kids[i]};
	struct pair p = {.b = bench_new()};
	p.gw = side_add(p.b, "gw", GW_ADDR, &s[0], true);
	p.client = side_add(p.b, "client", CLIENT_ADDR, &s[1], false);
	free(kids[0]);
	free(kids[1]);
	if (nat)
		bench_nat_add(p.b, CLIENT_ADDR, NAT_ADDR);
	return p;
}

static bool has_child(void *node)
{
	struct bench_node *n = node;
	return bench_established(n) && bench_session(n).child_count > 0;
}

static bool children_up(struct pair *p)
{
	assert_true(bench_connect(p->client, p->gw, "c") > 0);
	bool up = bench_run_until(p->b, has_child, p->client, 5000);
	bench_run(p->b, 50);
	return up && has_child(p->gw);
}

static void expect_selector(
	const struct selector *s, const char *addr, uint8_t proto, uint16_t port)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(addr, &a), 0);
	assert_true(ip_eq(&s->range.lo, &a) && ip_eq(&s->range.hi, &a));
	assert_int_equal(s->proto, proto);
	assert_int_equal(s->port_lo, port);
	assert_int_equal(s->port_hi, port ? port : UINT16_MAX);
}

static void expect_addr(const struct ip_addr *a, const char *text)
{
	struct ip_addr want = {0};
	if (text)
		assert_int_equal(ip_parse(text, &want), 0);
	assert_true(text ? ip_eq(a, &want) : a->family == 0);
}

// What the data plane of n has of its child.
static void expect_sas(struct bench_node *n, enum sa_mode mode, const char *own, const char *peer,
	const char *seen_peer, const char *seen_own)
{
	struct ike_session_info s = bench_session(n);
	// IKEv1 keeps one that was rekeyed for a while, behind its successor.
	assert_in_range(s.child_count, 1, version == 1 ? 4 : 1);
	assert_int_equal(s.children[0].mode, mode);
	for (int dir = SA_IN; dir <= SA_OUT; dir++) {
		const struct bench_sa *sa =
			bench_sink_find(&n->sink, s.children[0].spi_in, (enum sa_dir)dir);
		assert_non_null(sa);
		assert_int_equal(sa->spec.mode, mode);
		assert_int_equal(sa->spec.ts_local_count, 1);
		assert_int_equal(sa->spec.ts_remote_count, 1);
		expect_selector(&sa->spec.ts_local[0], own, 0, 0);
		expect_selector(&sa->spec.ts_remote[0], peer, 0, 0);
		expect_addr(&sa->spec.peer_source, seen_peer);
		expect_addr(&sa->spec.peer_destination, seen_own);
	}
	struct ip_addr to;
	assert_int_equal(ip_parse(peer, &to), 0);
	assert_int_not_equal(bench_sink_route(&n->sink, &to), TUNNEL_NONE);
}

static void expect_both(struct pair *p, enum sa_mode mode, bool nat)
{
	bool seen = nat && mode == SA_TRANSPORT;
	expect_sas(p->gw, mode, GW_ADDR, nat ? NAT_ADDR : CLIENT_ADDR, seen ? CLIENT_ADDR : NULL,
		seen ? GW_ADDR : NULL);
	expect_sas(p->client, mode, CLIENT_ADDR, GW_ADDR, seen ? GW_ADDR : NULL,
		seen ? NAT_ADDR : NULL);
	if (!nat) {
		assert_true(bench_traffic(p->client, p->gw, CLIENT_ADDR, GW_ADDR));
		assert_true(bench_traffic(p->gw, p->client, GW_ADDR, CLIENT_ADDR));
	}
}

// ---- what is agreed on -------------------------------------------------------------------------

#define TUNNEL_GW     "local_ts = [ \"192.0.2.1\" ];"
#define TUNNEL_CLIENT "local_ts = [ \"198.51.100.2\" ];"
#define TRANSPORT     "mode = \"transport\";"
#define ANY           "mode = \"any\";"

struct row {
	const char *what, *gw, *client;
	bool nat;
	enum sa_mode mode;
	// Refused: by whom it is counted, in IKEv2 and IKEv1
	const char *gw_counter[2], *client_counter;
};

static const struct row rows[] = {
	{"both", TRANSPORT, TRANSPORT, false, SA_TRANSPORT, {0}, 0},
	{"both, behind a NAT", TRANSPORT, TRANSPORT, true, SA_TRANSPORT, {0}, 0},
	{"either", ANY, ANY, false, SA_TRANSPORT, {0}, 0},
	{"either, behind a NAT", ANY, ANY, true, SA_TRANSPORT, {0}, 0},
	{"gateway only that", TRANSPORT, ANY, false, SA_TRANSPORT, {0}, 0},
	{"client only that", ANY, TRANSPORT, true, SA_TRANSPORT, {0}, 0},
	{"selectors around the addresses",
		TRANSPORT "local_ts = [ \"0.0.0.0/0\", \"::/0\" ]; remote_ts = [ \"0.0.0.0/0\" ];",
		TRANSPORT "local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"192.0.2.1\" ];", false,
		SA_TRANSPORT, {0}, 0},
	{"declined, and a tunnel will do", TUNNEL_GW, ANY, false, SA_TUNNEL, {0}, 0},
	{"not asked for, and a tunnel will do", ANY, TUNNEL_CLIENT, false, SA_TUNNEL, {0}, 0},
	{"declined", TUNNEL_GW, TRANSPORT, false, SA_TUNNEL, {NULL, "ike_no_esp_proposal"},
		"ike_not_transport"},
	{"not asked for", TRANSPORT, TUNNEL_CLIENT, false, SA_TUNNEL,
		{"ike_not_transport", "ike_not_transport"}, NULL},
};

static void refused(struct pair *p, const struct row *r)
{
	const char *gw = r->gw_counter[version == 1];
	assert_true(bench_connect(p->client, p->gw, "c") > 0);
	bench_run(p->b, 2000);
	if (gw)
		bench_expect(p->gw, gw, 1);
	if (r->client_counter && version == 2)
		bench_expect(p->client, r->client_counter, 1);
	// RFC 7296 1.3.1: what the responder has made is deleted.
	assert_int_equal(bench_session(p->gw).child_count, 0);
	assert_int_equal(bench_session(p->client).child_count, 0);
}

static void rekey(struct pair *p, struct bench_node *by)
{
	struct ike_session_info s = bench_session(by);
	uint32_t old = s.children[0].spi_in;
	assert_int_equal(ike_rekey_child(by->engine, s.id, old), 0);
	bench_run(p->b, 15000);
	assert_int_not_equal(bench_session(by).children[0].spi_in, old);
}

static void negotiate(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		print_message("# IKEv%d: %s\n", version, r->what);
		struct pair p = transport_pair(r->gw, r->client, r->nat);
		if (r->gw_counter[0] || r->gw_counter[1]) {
			refused(&p, r);
		} else {
			assert_true(children_up(&p));
			expect_both(&p, r->mode, r->nat);
			rekey(&p, p.client);
			expect_both(&p, r->mode, r->nat);
			rekey(&p, p.gw);
			expect_both(&p, r->mode, r->nat);
			rekey(&p, p.client);
			expect_both(&p, r->mode, r->nat);
		}
		bench_free(p.b);
	}
}

static void ikev2(void **state)
{
	version = 2;
	negotiate();
}

static void ikev1(void **state)
{
	version = 1;
	negotiate();
}

// ---- protocols and ports -----------------------------------------------------------------------

// L2TP: the client's port is any, the gateway's is its own.
static void only_some_ports(void **state)
{
	for (version = 1; version <= 2; version++) {
		struct pair p = transport_pair(TRANSPORT "local_ts = [ \"0.0.0.0/0[udp/1701]\" ]; "
							 "remote_ts = [ \"0.0.0.0/0[udp]\" ];",
			TRANSPORT "local_ts = [ \"0.0.0.0/0[udp/1701]\" ]; "
				  "remote_ts = [ \"192.0.2.1[udp/1701]\" ];",
			true);
		assert_true(children_up(&p));
		struct ike_session_info s = bench_session(p.gw);
		assert_int_equal(s.child_count, 1);
		expect_selector(&s.children[0].ts_local[0], GW_ADDR, 17, 1701);
		expect_selector(&s.children[0].ts_remote[0], NAT_ADDR, 17, 1701);
		bench_free(p.b);
	}
}

// Selectors that leave the outer addresses out are none for transport mode.
static void other_addresses(void **state)
{
	for (version = 1; version <= 2; version++) {
		struct pair p = transport_pair(
			TRANSPORT "remote_ts = [ \"198.51.100.77\" ];", TRANSPORT, false);
		assert_true(bench_connect(p.client, p.gw, "c") > 0);
		bench_run(p.b, 2000);
		bench_expect(p.gw, "ike_ts", 1);
		assert_int_equal(bench_session(p.gw).child_count, 0);
		bench_free(p.b);
	}
}

// ---- addresses that are taken, or change -------------------------------------------------------

// RFC 3948 5.2: of two clients behind one NAT packets alone do not tell which one is meant: the second
// is refused.
static void two_behind_one_nat(void **state)
{
	for (version = 1; version <= 2; version++) {
		struct pair p = transport_pair(TRANSPORT, TRANSPORT, true);
		struct side second = {.versions = version == 1 ? "1" : "2",
			.ike = version == 1 ? "\"aes128-sha256-ecp256\"" : NULL,
			.credentials = PSK_ANY,
			.pools = "",
			.more = "",
			.local = "id = \"other@example\"; auth = \"psk\";",
			.children = version == 1 ? "{ name = \"l2tp\"; mode = \"transport\"; "
						   "esp_proposals = [ \"aes128-sha256\" ]; }"
						 : "{ name = \"l2tp\"; mode = \"transport\"; "
						   "esp_proposals = [ \"aes128gcm16\" ]; }"};
		struct bench_node *other = side_add(p.b, "other", "198.51.100.3", &second, false);
		bench_nat_add(p.b, "198.51.100.3", NAT_ADDR);
		assert_true(children_up(&p));
		assert_true(bench_connect(other, p.gw, "c") > 0);
		bench_run(p.b, 2000);
		bench_expect(p.gw, "ike_route_taken", 1);
		expect_both(&p, SA_TRANSPORT, true);
		bench_free(p.b);
	}
}

// The NAT gets another address: what was agreed on for the old one ends. Another port is no matter.
static void the_address_changes(void **state)
{
	for (version = 1; version <= 2; version++) {
		struct pair p = transport_pair(TRANSPORT, TRANSPORT, true);
		assert_true(children_up(&p));
		assert_false(bench_session(p.gw).mobike);
		bench_nat_forget(p.b);
		bench_run(p.b, 60000);
		expect_both(&p, SA_TRANSPORT, true);
		assert_int_equal(ip_parse("203.0.113.10", &p.b->nats[0].outside), 0);
		bench_nat_forget(p.b);
		struct ike_session_info s = bench_session(p.client);
		assert_int_equal(ike_probe(p.client->engine, s.id), 0);
		bench_run(p.b, 2000);
		bench_expect(p.gw, "ike_transport_moved", 1);
		s = bench_session(p.gw);
		for (unsigned i = 0; i < s.child_count; i++)
			expect_selector(&s.children[i].ts_remote[0], "203.0.113.10", 0, 0);
		bench_free(p.b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ikev2),
		cmocka_unit_test(ikev1),
		cmocka_unit_test(only_some_ports),
		cmocka_unit_test(other_addresses),
		cmocka_unit_test(two_behind_one_nat),
		cmocka_unit_test(the_address_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
