// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Addresses that AAA decides, pools that it names, and pools that are for some groups alone: the same by
// every way in which a client gets its address.
#include "tests/engine/lease_ways.h"

static struct ip_addr ip(const char *text)
{
	struct ip_addr a = {0};
	if (text)
		assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

// ---- what AAA says ---------------------------------------------------------------------------------

static const struct said {
	const char *v4, *pool_v4;
	bool of_peer;
	const char *hint;    // the client's, where it asks
	const char *inner;   // "": refused
	const char *counter; // of the refusal
} rows[] = {
	{.inner = "10.1.0."},
	{.v4 = "10.1.0.4", .inner = "10.1.0.4"},
	{.v4 = "10.1.0.4", .hint = "10.1.0.5", .inner = "10.1.0.4"},
	{.v4 = "10.2.0.3", .inner = "10.2.0.3"},   // in a pool that is not the connection's
	{.v4 = "10.77.0.9", .inner = "10.77.0.9"}, // in none
	{.v4 = "10.1.0.2", .inner = "", .counter = "ike_aaa_address"}, // another one has it
	{.of_peer = true, .hint = "10.1.0.5", .inner = "10.1.0.5"},
	{.of_peer = true, .hint = "10.1.0.2", .inner = "10.1.0."},
	{.pool_v4 = "q4", .inner = "10.2.0."},
	{.pool_v4 = "q4", .v4 = "10.2.0.5", .inner = "10.2.0.5"},
	{.pool_v4 = "no such pool", .inner = "", .counter = "ike_aaa_pool"},
	{.pool_v4 = "p6", .inner = "", .counter = "ike_aaa_pool"},
};

// Somebody else has 10.1.0.2.
static void take_one(struct ways *w, struct lease *l)
{
	struct address_request rq = {.pool = &w->gw->cfg->pools[0],
		.owner = {.user = "other", .name = "other"},
		.want = ip("10.1.0.2")};
	assert_int_equal(w->gw->addresses.acquire(w->gw->addresses.ctx, &rq, l), ADDRESS_OK);
	assert_true(ip_eq(&l->addr, &rq.want));
}

static void expect(struct ways *w, const struct said *r, size_t row, bool asks)
{
	char inner[IP_TEXT_MAX];
	ways_inner(w->gw, inner);
	// Who is pushed to has asked for nothing.
	const char *wanted = !asks && r->of_peer ? "10.1.0." : r->inner;
	if (strncmp(inner, wanted, strlen(wanted)) != 0 || !inner[0] != !r->inner[0])
		fail_msg("row %zu: \"%s\" is not \"%s\"", row, inner, r->inner);
	if (r->counter)
		bench_expect(w->gw, r->counter, 1);
	assert_int_equal(ways_in_use(w), r->inner[0] ? 2 : 1);
}

static void decides(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) * WAYS * 2; i++) {
		const struct said *r = &rows[i / WAYS / 2];
		struct way_setup s = {.way = (enum way)(i / 2 % WAYS), .pools = POOLS3};
		struct fake_aaa aaa = {.later = i & 1, .say = {.v4 = ip(r->v4)}};
		struct lease other;
		aaa.say.v4_of_peer = r->of_peer;
		if (r->pool_v4)
			strcpy(aaa.say.pool_v4, r->pool_v4);
		struct ways w = ways_new(&s);
		fake_aaa_init(&aaa, w.gw);
		take_one(&w, &other);
		if (r->hint)
			w.client->cfg->connections[0].request_hint_v4 = ip(r->hint);
		ways_connect(&w, w.client);
		fake_aaa_answer(&aaa);
		bench_run(w.b, 3000);
		expect(&w, r, i, s.way < WAY_PUSH);
		w.gw->addresses.release(w.gw->addresses.ctx, &other);
		bench_run(w.b, r->inner[0] ? 0 : 100000);
		if (!r->inner[0]) {
			assert_true(bench_empty(w.gw));
			assert_int_equal(ways_in_use(&w), 0);
		}
		ways_free(&w);
	}
}

// What is decided of one family says nothing of the other one.
static void of_one_family(void **state)
{
	static const struct {
		struct ike_aaa_addresses say;
		const char *inner[2];
		const char *counter;
	} cases[] = {
		{{.pool_v4 = "q4"}, {"10.2.0.", "2001:db8:77::"}, NULL},
		{{.pool_v6 = "nowhere"}, {"10.1.0.", NULL}, "ike_aaa_pool"},
		{{.pool_v4 = "nowhere"}, {"2001:db8:77::", NULL}, "ike_aaa_pool"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct way_setup s = {.pools = POOLS3, .names = "\"p4\", \"p6\""};
		struct fake_aaa aaa = {.say = cases[i].say};
		struct ways w = ways_new(&s);
		char text[IP_TEXT_MAX];
		fake_aaa_init(&aaa, w.gw);
		w.client->cfg->connections[0].request_v6 = true;
		ways_connect(&w, w.client);
		struct ike_session_info info = bench_session(w.gw);
		assert_int_equal(info.inner_count, cases[i].inner[1] ? 2 : 1);
		for (size_t k = 0; k < info.inner_count; k++)
			assert_int_equal(strncmp(ip_text(&info.inner[k], text), cases[i].inner[k],
						 strlen(cases[i].inner[k])),
				0);
		if (cases[i].counter)
			bench_expect(w.gw, cases[i].counter, 1);
		ways_free(&w);
	}
}

// A client that re-authenticates, or comes again, keeps the address that AAA names; another device of his
// does not share it with one that goes on.
static void comes_again(void **state)
{
	static const struct {
		const char *more;
		bool elsewhere; // another device
		bool granted;
	} cases[] = {
		{"unique = \"replace\";", false, true},
		{"unique = \"no\";", false, true},
		{"unique = \"replace\";", true, true},
		{"unique = \"no\";", true, false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct way_setup s = {.more = cases[i].more};
		struct fake_aaa aaa = {.say = {.v4 = ip("10.77.0.9")}};
		struct ways w = ways_new(&s);
		fake_aaa_init(&aaa, w.gw);
		ways_connect(&w, w.client);
		struct bench_node *other = w.client;
		if (cases[i].elsewhere) {
			other = way_client(&w, "other", "198.51.100.3", &s);
			// as if it had not been started anew
			assert_true(bench_connect(other, w.gw, "c") > 0);
			bench_run(w.b, 1000);
		} else {
			assert_true(bench_connect(other, w.gw, "c") > 0);
			bench_run(w.b, 1000);
		}
		bench_expect(w.gw, "ike_aaa_address", cases[i].granted ? 0 : 1);
		bench_run(w.b, 100000);
		assert_int_equal(ways_in_use(&w), 1);
		assert_int_equal(bench_session_count(w.gw),
			cases[i].more[10] == 'r' ? 1 : 2 - cases[i].elsewhere);
		ways_free(&w);
	}
}

// ---- groups ----------------------------------------------------------------------------------------

#define POOL_OF(name, net, groups) \
	"{ name = \"" name "\"; ranges = [ \"" net ".1-" net ".6\" ]; groups = [ " groups " ]; }"
#define GROUPED                                            \
	POOL_OF("staff", "10.1.0", "\"other\", \"staff\"") \
	", " POOL_OF("guests", "10.2.0",                   \
		"\"guests\", \"group.example\"") ", { name = \"all\"; ranges = [ \"10.3.0.1-10.3.0.6\" ]; }"

static void users(void **state)
{
	static const struct {
		const char *user, *password, *names, *inner;
	} cases[] = {
		{V1_USER, V1_PASSWORD, "\"guests\", \"staff\", \"all\"", "10.1.0."},
		{V1_USER, V1_PASSWORD, "\"all\", \"staff\"", "10.3.0."},
		{"user2", "another one", "\"guests\", \"staff\", \"all\"", "10.3.0."},
		{"user2", "another one", "\"staff\", \"guests\"", ""},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]) * 3; i++) {
		size_t k = i / 3;
		struct way_setup s = {.way = (enum way)(WAY_PULL + i % 3),
			.xauth = true,
			.pools = GROUPED,
			.names = cases[k].names,
			.user = cases[k].user,
			.password = cases[k].password};
		struct ways w = ways_new(&s);
		char inner[IP_TEXT_MAX];
		ways_connect(&w, w.client);
		bench_run(w.b, 3000);
		ways_inner(w.gw, inner);
		if (strncmp(inner, cases[k].inner, strlen(cases[k].inner)) != 0 ||
			!inner[0] != !cases[k].inner[0])
			fail_msg("row %zu: %s", i, inner);
		bench_expect(w.gw, "ike_pool_group", !cases[k].inner[0]);
		if (inner[0] && k < 2) {
			struct ike_session_info info = bench_session(w.gw);
			assert_int_equal(info.groups->count, 1);
			assert_string_equal(info.groups->items[0], "staff");
		}
		ways_free(&w);
	}
}

// The ID of a group's own key stands for the group, also where it is a KEY_ID, which proves nobody; under a
// key that is anybody's it is a claim.
static void groups_of_keys(void **state)
{
	enum { OWN, KEY_ID, ANYBODYS, ROWS };
	for (int row = 0; row < ROWS; row++) {
		struct v1_setup s = {.aggressive = row != ANYBODYS,
			.config = V1_NONE,
			.pools = GROUPED,
			.gw_more =
				"mode_config = [ \"respond\" ]; pools = [ \"guests\", \"all\" ];",
			.client_local = "id = \"" V1_GROUP "\"; auth = \"psk\";",
			.gw_credentials = row == ANYBODYS
						  ? "psk = ( { id = \"*\"; secret = \"a secret "
						    "of them both\"; } );"
						  : NULL};
		struct v1 v = v1_new(&s);
		char inner[IP_TEXT_MAX];
		v.client->cfg->connections[0].request_v4 = true;
		v1_hold(v.w, v.client, IKEV1_EXCHANGE_TRANSACTION);
		v1_connect(&v);
		bench_run(v.b, 200);
		struct ike_session *gw = v1_sa(v.gw)->session;
		assert_string_equal(gw->identity_text, V1_GROUP);
		assert_int_equal(gw->proven, row != ANYBODYS);
		if (row == KEY_ID)
			gw->proven = false;
		v1_release(v.w);
		bench_run(v.b, 1000);
		assert_int_equal(strncmp(ways_inner(v.gw, inner),
					 row == ANYBODYS ? "10.3.0." : "10.2.0.", 7),
			0);
		gw->proven = row != ANYBODYS;
		v1_free(&v);
	}
}

// IKEv2: a proven identity that is a user's name has his groups.
static void identities(void **state)
{
	for (int proven = 0; proven < 2; proven++) {
		struct way_setup s = {.pools = GROUPED,
			.names = "\"guests\", \"staff\", \"all\"",
			.credentials = proven ? PSK_BOUND
					       "users = ( { name = \"client@example\"; "
					       "password = \"x\"; groups = [ \"staff\" ]; } );"
					      : PSK_GROUP
					       "users = ( { name = \"client@example\"; "
					       "password = \"x\"; groups = [ \"staff\" ]; } );"};
		struct ways w = ways_new(&s);
		char inner[IP_TEXT_MAX];
		ways_connect(&w, w.client);
		assert_int_equal(
			strncmp(ways_inner(w.gw, inner), proven ? "10.1.0." : "10.3.0.", 7), 0);
		ways_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(decides),
		cmocka_unit_test(of_one_family),
		cmocka_unit_test(comes_again),
		cmocka_unit_test(users),
		cmocka_unit_test(groups_of_keys),
		cmocka_unit_test(identities),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
