// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick mode, both roles against each other: proposals, PFS, IDs and what is installed for them,
// encapsulation, limits, lifetimes.
#include "tests/engine/v1_quick.h"

#define GW_CHILD(ts, more, esp) \
	"{ name = \"lan\"; local_ts = [ " ts " ]; " more " esp_proposals = [ " esp " ]; }"
#define CLIENT_CHILD(name, remote, more, esp)                                                    \
	"{ name = \"" name "\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ " remote " ]; " more \
	" esp_proposals = [ " esp " ]; }"
#define LAN "\"10.99.0.0/24\""

// ---- what is agreed on -------------------------------------------------------------------------

static void suites(void **state)
{
	static const struct {
		const char *what, *gw_more, *gw_esp, *client_more, *client_esp;
		bool works;
		uint16_t dh;
		bool esn;
		const char *counter; // at the gateway, of a refusal
	} rows[] = {
		{"plain", "", "\"aes128-sha256\"", "", "\"aes128-sha256\"", true, DH_NONE, true,
			NULL},
		{"aead", "", "\"aes256gcm16\"", "", "\"aes256gcm16\"", true, DH_NONE, true, NULL},
		{"one of several", "", "\"aes128gcm16\", \"aes256-sha1\"", "",
			"\"aes192-sha256\", \"aes256-sha1\"", true, DH_NONE, true, NULL},
		{"pfs", "", "\"aes128-sha256-ecp256\"", "", "\"aes128-sha256-ecp256\"", true,
			DH_ECP_256, true, NULL},
		{"pfs modp", "", "\"aes128-sha256-modp2048\"", "", "\"aes128-sha256-modp2048\"",
			true, DH_MODP_2048, true, NULL},
		{"pfs wanted", "pfs = \"required\";", "\"aes128-sha256-ecp256\"",
			"pfs = \"required\";", "\"aes128-sha256-ecp256\"", true, DH_ECP_256, true,
			NULL},
		{"pfs missing", "pfs = \"required\";", "\"aes128-sha256-ecp256\"", "pfs = \"no\";",
			"\"aes128-sha256-ecp256\"", false, 0, false, "ike_no_esp_proposal"},
		{"pfs optional", "pfs = \"optional\";", "\"aes128-sha256-ecp256\"", "pfs = \"no\";",
			"\"aes128-sha256-ecp256\"", true, DH_NONE, true, NULL},
		{"pfs unwanted", "pfs = \"no\";", "\"aes128-sha256\"", "",
			"\"aes128-sha256-ecp256\"", false, 0, false, "ike_no_esp_proposal"},
		{"other group", "", "\"aes128-sha256-ecp384\"", "", "\"aes128-sha256-ecp256\"",
			false, 0, false, "ike_no_esp_proposal"},
		{"esn", "esn = true;", "\"aes128-sha256\"", "esn = true;", "\"aes128-sha256\"",
			true, DH_NONE, true, NULL},
		{"esn here", "esn = true;", "\"aes128-sha256\"", "esn = false;",
			"\"aes128-sha256\"", true, DH_NONE, false, NULL},
		{"esn there", "esn = false;", "\"aes128-sha256\"", "esn = true;",
			"\"aes128-sha256\"", true, DH_NONE, false, NULL},
		{"nothing in common", "", "\"aes128-sha256\"", "", "\"aes256-sha512\"", false, 0,
			false, "ike_no_esp_proposal"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *gw, *client;
		print_message("# %s\n", rows[i].what);
		assert_true(asprintf(&gw, GW_CHILD(LAN, "%s", "%s"), rows[i].gw_more,
				    rows[i].gw_esp) > 0);
		assert_true(asprintf(&client, CLIENT_CHILD("lan", LAN, "%s", "%s"),
				    rows[i].client_more, rows[i].client_esp) > 0);
		struct v1 v =
			v1_new(&(struct v1_setup){.gw_children = gw, .client_children = client});
		free(gw);
		free(client);
		if (rows[i].works) {
			struct v1_ready r = v1_ready_child(&v);
			v1_expect_fit(&r);
			assert_int_equal(v1_child_of(r.gw_session, 0)->suite.dh, rows[i].dh);
			assert_int_equal(v1_child_of(r.gw_session, 0)->suite.esn, rows[i].esn);
			assert_true(v1_traffic(&v));
		} else {
			struct v1_ready r = v1_ready(&v);
			assert_int_equal(v1_ready_add(&v, &r, 0), 0);
			bench_run(v.b, 2000);
			bench_expect(v.gw, rows[i].counter, 1);
			// The refusal ends the client's attempt at once.
			bench_expect(v.client, "ike_child_refused", 1);
			assert_true(bench_quiet(v.client));
			assert_int_equal(v.gw->engine->child_count, 0);
			assert_int_equal(v.client->engine->child_count, 0);
		}
		v1_down(&v);
	}
}

// ---- IDs ---------------------------------------------------------------------------------------

static void expect_id(const struct v1_message *m, unsigned i, const char *lo, const char *hi)
{
	struct selector s;
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];
	assert_true(m && m->opened && m->m.id_count == 2);
	assert_int_equal(ikev1_id_selector(m->m.ids[i], &s), WIRE_OK);
	assert_string_equal(ip_text(&s.range.lo, a), lo);
	assert_string_equal(ip_text(&s.range.hi, b), hi);
}

static void expect_range(const struct selector *s, const char *lo, const char *hi)
{
	char a[IP_TEXT_MAX], b[IP_TEXT_MAX];
	assert_string_equal(ip_text(&s->range.lo, a), lo);
	assert_string_equal(ip_text(&s->range.hi, b), hi);
}

// What vpnc and racoon do: everything is asked for and comes back, each side narrows by itself.
static void ids_are_echoed_and_narrowed(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.gw_children = GW_CHILD("\"10.99.0.0/24\", \"10.98.0.0/16\"", "", V1_ESP),
		.client_children = CLIENT_CHILD("all", "\"0.0.0.0/0\"", "", V1_ESP)});
	struct v1_ready r = v1_ready_child(&v);
	const struct v1_message *one = v1_quick(&v, v.client, 1), *two = v1_quick(&v, v.gw, 1);
	char lease[IP_TEXT_MAX];
	assert_true(v1_lease(&v, lease));
	expect_id(two, 0, lease, lease);
	expect_id(two, 1, "0.0.0.0", "255.255.255.255");
	assert_true(view_eq(one->m.ids[0], two->m.ids[0]));
	assert_true(view_eq(one->m.ids[1], two->m.ids[1]));
	struct ike_child *g = v1_child_of(r.gw_session, 0);
	assert_int_equal(g->ts_local_count, 2);
	expect_range(&g->ts_local[0], "10.99.0.0", "10.99.0.255");
	expect_range(&g->ts_local[1], "10.98.0.0", "10.98.255.255");
	assert_int_equal(g->ts_remote_count, 1);
	expect_range(&g->ts_remote[0], lease, lease);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

// A client that asks for any address on its side has its own installed, not everybody's.
static void wide_idci_is_narrowed_to_the_lease(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready(&v);
	char lease[IP_TEXT_MAX];
	ip_text(&r.client_session->assigned[0], lease);
	r.client_session->assigned_count = 0; // it offers local_ts, 0.0.0.0/0
	assert_int_equal(v1_ready_add(&v, &r, 0), 0);
	assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
	expect_id(v1_quick(&v, v.gw, 1), 0, "0.0.0.0", "255.255.255.255");
	struct ike_child *g = v1_child_of(r.gw_session, 0);
	assert_int_equal(g->ts_remote_count, 1);
	expect_range(&g->ts_remote[0], lease, lease);
	v1_down(&v);
}

struct claim {
	const char *what;
	const char *pools, *gw_more; // NULL: a pool, from which the client has an address
	const char *remote_ts;       // the gateway's, or NULL
	const char *own;             // what the client claims, or NULL: what it has
	bool works;
	const char *lo, *hi; // installed at the gateway
	const char *counter;
};

static void claims(void **state)
{
	static const struct claim rows[] = {
		{"its lease", NULL, NULL, NULL, NULL, true, NULL, NULL, NULL},
		{"another lease", NULL, NULL, NULL, "10.1.0.6", false, NULL, NULL, "ike_ts"},
		{"a LAN in spite of a lease", NULL, NULL, "\"10.7.0.0/16\"", "10.7.1.0/24", false,
			NULL, NULL, "ike_ts"},
		{"a LAN within remote_ts", "", "", "\"10.7.0.0/16\"", "10.7.1.0/24", true,
			"10.7.1.0", "10.7.1.255", NULL},
		{"a LAN around remote_ts", "", "", "\"10.7.0.0/16\"", "10.0.0.0/8", true,
			"10.7.0.0", "10.7.255.255", NULL},
		{"a LAN elsewhere", "", "", "\"10.7.0.0/16\"", "10.8.1.0/24", false, NULL, NULL,
			"ike_ts"},
		{"its outer address", "", "", NULL, CLIENT_ADDR, true, CLIENT_ADDR, CLIENT_ADDR,
			NULL},
		{"another outer address", "", "", NULL, "198.51.100.3", false, NULL, NULL,
			"ike_ts"},
		{"an address of a pool without a lease", POOL4, "", NULL, "10.1.0.3", false, NULL,
			NULL, "ike_ts"},
		{"an address of a pool within remote_ts", POOL4, "", "\"10.0.0.0/8\"", "10.1.0.3",
			false, NULL, NULL, "ike_ts_pool"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct claim *c = &rows[i];
		char *gw, *client, lease[IP_TEXT_MAX];
		print_message("# %s\n", c->what);
		assert_true(
			asprintf(&gw,
				"{ name = \"lan\"; local_ts = [ " LAN " ]; %s %s %s "
				"esp_proposals = [ " V1_ESP " ]; }",
				c->remote_ts ? "remote_ts = [" : "",
				c->remote_ts ? c->remote_ts : "", c->remote_ts ? "];" : "") > 0);
		assert_true(asprintf(&client,
				    "{ name = \"lan\"; local_ts = [ \"%s\" ]; remote_ts = [ " LAN
				    " ]; esp_proposals = [ " V1_ESP " ]; }",
				    c->own ? c->own : "0.0.0.0/0") > 0);
		struct v1 v = v1_new(&(struct v1_setup){.config = c->pools ? V1_NONE : V1_PULL,
			.pools = c->pools,
			.gw_more = c->gw_more,
			.gw_children = gw,
			.client_children = client});
		free(gw);
		free(client);
		struct v1_ready r = v1_ready(&v);
		if (!c->pools)
			ip_text(&r.gw_session->leases[0].addr, lease);
		if (c->own)
			r.client_session->assigned_count = 0;
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 2000);
		if (c->works) {
			struct ike_child *child = v1_child_of(r.gw_session, 0);
			assert_non_null(child);
			expect_range(
				&child->ts_remote[0], c->lo ? c->lo : lease, c->hi ? c->hi : lease);
		} else {
			bench_expect(v.gw, c->counter, 1);
			assert_non_null(
				v1_nth_notify(v.w, v.gw, IKEV1_NOTIFY_INVALID_ID_INFORMATION, 1));
			assert_int_equal(v.gw->engine->child_count, 0);
			bench_expect(v.client, "ike_child_refused", 1);
		}
		v1_down(&v);
	}
}

// As Apple's clients: one for each network behind the gateway.
static void several_children(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.gw_children = GW_CHILD("\"10.99.0.0/24\", \"10.98.0.0/16\"", "", V1_ESP),
		.client_children = CLIENT_CHILD("a", "\"10.99.0.0/24\"", "",
			V1_ESP) ", " CLIENT_CHILD("b", "\"10.98.0.0/16\"", "", V1_ESP)});
	struct v1_ready r = v1_ready_child(&v);
	char lease[IP_TEXT_MAX];
	assert_true(v1_lease(&v, lease));
	assert_int_equal(v1_ready_add(&v, &r, 1), 0);
	bench_run(v.b, 500);
	assert_int_equal(r.gw_session->child_count, 2);
	assert_true(bench_traffic(v.client, v.gw, lease, "10.99.0.9"));
	assert_true(bench_traffic(v.client, v.gw, lease, "10.98.0.9"));
	assert_true(bench_traffic(v.gw, v.client, "10.98.0.9", lease));
	bench_expect(v.gw, "ike_child_rekeyed", 0);
	v1_down(&v);
}

static void no_more_children_than_the_limit(void **state)
{
	char nets[1024] = "", children[8192] = "";
	for (int i = 0; i <= IKE_CHILDREN_MAX; i++) {
		char *one;
		assert_true(
			asprintf(&one, "%s" CLIENT_CHILD("n%d", "\"10.98.%d.0/24\"", "", V1_ESP),
				i ? ", " : "", i, i) > 0);
		strcat(children, one);
		free(one);
	}
	strcpy(nets, GW_CHILD("\"10.98.0.0/16\"", "", V1_ESP));
	struct v1 v = v1_new(&(struct v1_setup){.gw_children = nets, .client_children = children});
	struct v1_ready r = v1_ready(&v);
	for (int i = 0; i <= IKE_CHILDREN_MAX; i++) {
		assert_int_equal(v1_ready_add(&v, &r, (size_t)i), 0);
		bench_run(v.b, 1000);
	}
	assert_int_equal(r.gw_session->child_count, IKE_CHILDREN_MAX);
	bench_expect(v.gw, "ike_child_limit", 1);
	v1_down(&v);
}

// Rekeyed over and over: those that are replaced count as well.
static void no_endless_rekeying(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){0});
	struct v1_ready r = v1_ready_child(&v);
	for (int i = 0; i < 2 * IKE_CHILDREN_MAX + 3; i++) {
		ike_enter(v.client->engine);
		assert_int_equal(ikev1_rekey_child(r.client, v1_child_of(r.client_session, 0)), 0);
		ike_leave(v.client->engine);
		bench_run(v.b, 30);
	}
	assert_int_equal(r.gw_session->child_count, 2 * IKE_CHILDREN_MAX);
	bench_expect(v.gw, "ike_child_limit", 4);
	assert_true(v1_traffic(&v));
	v1_down(&v);
}

static void too_many_requests(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){
		.client_children = CLIENT_CHILD("lan", LAN, "", "\"aes256-sha512\"")});
	struct v1_ready r = v1_ready(&v);
	for (int i = 0; i < IKE_REKEY_BURST + 3; i++) {
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		bench_run(v.b, 10);
	}
	bench_expect(v.gw, "ike_no_esp_proposal", IKE_REKEY_BURST);
	bench_run(v.b, 1000);
	assert_true(bench_counter(v.gw, "ike_rekey_rate") > 0);
	v1_down(&v);
}

// ---- lifetimes ---------------------------------------------------------------------------------

static enum bench_fate lose_informational(struct v1_watch *w, const struct v1_message *m, void *arg)
{
	return m->h.exchange == IKEV1_EXCHANGE_INFORMATIONAL ? BENCH_DROP : BENCH_PASS;
}

static void responder_lifetime(void **state)
{
	static const struct {
		unsigned gw_s, client_s;
		bool told;
	} rows[] = {{600, 3600, true}, {3600, 600, false}, {900, 900, false}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *gw, *client;
		const char *format = "dpd: { delay_s = 0; }; "
				     "lifetime: { child_hard_s = %u; child_rekey_s = 0; };";
		assert_true(asprintf(&gw, format, rows[i].gw_s) > 0);
		assert_true(asprintf(&client, format, rows[i].client_s) > 0);
		struct v1 v = v1_new(&(struct v1_setup){.gw_more = gw, .client_more = client});
		free(gw);
		free(client);
		struct v1_ready r = v1_ready_child(&v);
		const struct v1_message *two = v1_quick(&v, v.gw, 1);
		const struct ikev1_notification *n =
			ikev1_notify_find(&two->m, IKEV1_NOTIFY_RESPONDER_LIFETIME);
		struct ikev1_lifetime life;
		unsigned least = rows[i].gw_s < rows[i].client_s ? rows[i].gw_s : rows[i].client_s;
		assert_int_equal(n != NULL, rows[i].told);
		if (n) {
			assert_int_equal(n->protocol, IKEV1_PROTOCOL_ESP);
			assert_int_equal(n->spi.len, 4);
			assert_true(ikev1_lifetime_parse(n->data, false, &life));
			assert_int_equal(life.seconds, rows[i].gw_s);
			assert_int_equal(life.kilobytes, 0);
		}
		// Each side ends it by itself when the lesser of both lifetimes is over.
		v1_filter_add(v.w, lose_informational, NULL);
		bench_run(v.b, (uint64_t)least * 1000 - 1000);
		assert_int_equal(r.gw_session->child_count, 1);
		assert_int_equal(r.client_session->child_count, 1);
		bench_run(v.b, 2000);
		assert_int_equal(r.gw_session->child_count, 0);
		assert_int_equal(r.client_session->child_count, 0);
		v1_filters_clear(v.w);
		v1_down(&v);
	}
}

// ---- NAT ---------------------------------------------------------------------------------------

static void encapsulation(void **state)
{
	static const struct {
		enum ikev1_natt natt;
		uint16_t mode;
		enum sa_encap encap;
	} rows[] = {{IKEV1_NATT_RFC3947, IKEV1_ENCAP_UDP_TUNNEL, SA_ENCAP_UDP},
		{IKEV1_NATT_DRAFT_02, IKEV1_ENCAP_UDP_TUNNEL_DRAFT, SA_ENCAP_UDP},
		{IKEV1_NATT_DRAFT_00, IKEV1_ENCAP_UDP_TUNNEL_DRAFT, SA_ENCAP_UDP_MARKER},
		{IKEV1_NATT_NONE, IKEV1_ENCAP_TUNNEL, SA_ENCAP_NONE}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1 v = v1_new(&(struct v1_setup){0});
		struct v1_ready r = v1_ready(&v);
		struct ikev1_sa_offer offer;
		r.gw->v1->natt = r.client->v1->natt = rows[i].natt;
		r.gw->nat_remote = r.client->nat_local = rows[i].natt != IKEV1_NATT_NONE;
		assert_int_equal(v1_ready_add(&v, &r, 0), 0);
		assert_true(bench_run_until(v.b, v1_is_up, &v, 5000));
		for (int k = 0; k < 2; k++) {
			const struct v1_message *m = v1_quick(&v, k ? v.gw : v.client, 1);
			assert_int_equal(ikev1_sa_parse(m->m.sa, false, &offer), WIRE_OK);
			assert_int_equal(offer.transforms[0].encap, rows[i].mode);
		}
		assert_int_equal(LIST_FIRST(&v.gw->sink.tunnels)->spec.path.encap, rows[i].encap);
		assert_int_equal(
			LIST_FIRST(&v.client->sink.tunnels)->spec.path.encap, rows[i].encap);
		v1_down(&v);
	}
}

// What the initiator may send is told in kilobytes, where the gateway's limit is the lesser one.
static void lifetimes_in_bytes(void **state)
{
	static const struct {
		const char *more;
		uint64_t told_kb, hard_bytes;
	} rows[] = {
		{"child_hard_bytes = 10485760;", 10240, 10485760},
		{"child_rekey_bytes = 4194304;", 5120, 5242881}, // and a quarter
		{"child_rekey_bytes = 0;", 0, 0},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *gw;
		assert_true(asprintf(&gw, "responder_only = true; lifetime: { %s };",
				    rows[i].more) > 0);
		struct v1 v = v1_new(&(struct v1_setup){
			.gw_more = gw, .client_more = "lifetime: { child_rekey_bytes = 0; };"});
		free(gw);
		struct v1_ready r = v1_ready_child(&v);
		const struct ikev1_notification *n = ikev1_notify_find(
			&v1_quick(&v, v.gw, 1)->m, IKEV1_NOTIFY_RESPONDER_LIFETIME);
		struct ikev1_lifetime life = {0};
		uint64_t bytes = rows[i].told_kb * 1024;
		assert_true(!n || ikev1_lifetime_parse(n->data, false, &life));
		assert_int_equal(life.kilobytes, rows[i].told_kb);
		const struct sa_spec *spec = &bench_sink_find(
			&v.client->sink, v1_child_of(r.client_session, 0)->spi_in, SA_OUT)
						      ->spec;
		assert_int_equal(spec->hard_bytes, bytes);
		assert_int_equal(spec->soft_bytes, bytes / 10 * 9);
		assert_int_equal(
			bench_sink_find(&v.gw->sink, v1_child_of(r.gw_session, 0)->spi_in, SA_IN)
				->spec.hard_bytes,
			rows[i].hard_bytes);
		v1_down(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suites),
		cmocka_unit_test(ids_are_echoed_and_narrowed),
		cmocka_unit_test(wide_idci_is_narrowed_to_the_lease),
		cmocka_unit_test(claims),
		cmocka_unit_test(several_children),
		cmocka_unit_test(no_more_children_than_the_limit),
		cmocka_unit_test(no_endless_rekeying),
		cmocka_unit_test(too_many_requests),
		cmocka_unit_test(responder_lifetime),
		cmocka_unit_test(lifetimes_in_bytes),
		cmocka_unit_test(encapsulation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
