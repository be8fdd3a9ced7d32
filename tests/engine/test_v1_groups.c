// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Groups that share a key (aggressive mode, KEY_ID): who has it is nobody in particular, and nobody
// learns which groups there are. Row numbers are those of the bad-input catalogue.
#include "tests/engine/v1_first.h"

// ---- enumeration -----------------------------------------------------------------------------------

static void same_shape(const struct v1_message *a, const struct v1_message *b)
{
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->h.flags, b->h.flags);
	assert_memory_equal(a->m.count, b->m.count, sizeof(a->m.count));
	assert_int_equal(a->m.hash.len, b->m.hash.len);
	assert_memory_equal(a->m.sa.p, b->m.sa.p, a->m.sa.len);
	assert_memory_equal(a->m.ids[0].p, b->m.ids[0].p, a->m.ids[0].len);
}

// Row 46: ike-scan tells no known group from an unknown one. Names of equal length, since what was
// asked bounds what is answered.
static void unknown_group(void **state)
{
	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	uint8_t keys[2][IKEV1_STRANGER_KEY];
	struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
		.auth = IKEV1_AUTH_XAUTH_INIT_PSK,
		.id = "group.examplf",
		.vendors = true};
	struct v1 w = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
	send_first(&v, &f);
	f.id = V1_GROUP;
	send_first(&w, &f);
	same_shape(reply_of(&v), reply_of(&w));
	bench_expect(v.gw, "ikev1_no_group", 1);
	bench_expect(w.gw, "ikev1_no_group", 0);
	assert_int_equal(v.gw->jobs_run, w.gw->jobs_run);
	v1_free(&w);
	// The key is another each time: not one that could be known.
	for (int i = 0; i < 2; i++) {
		const struct ikev1_phase1 *p = LIST_FIRST(&v1_any_sa(v.gw)->v1->exchanges)->state;
		assert_true(p->stranger);
		memcpy(keys[i], p->stranger_key, IKEV1_STRANGER_KEY);
		f.id = "group.examplf";
		send_first(&v, &f);
	}
	assert_memory_not_equal(keys[0], keys[1], IKEV1_STRANGER_KEY);
	v1_free(&v);
}

// Where the connections' answers differ an unknown name gets that of one of them: not always the
// first's, so that another one's says nothing, and for the same name always the same.
static struct bench_node *two_groups(struct v1 *v)
{
	static const char text[] =
		"credentials: { psk = ( { id = \"group.a\"; secret = \"a secret of group a\"; }, "
		"{ id = \"group.b\"; secret = \"a secret of group b\"; }, "
		"{ id = \"group.c\"; secret = \"a secret of group c\"; } ); };\n"
		"connections = (\n"
		"{ name = \"a\"; ike_versions = [ 1 ]; aggressive = true; ike_proposals = [ " V1_IKE
		" ]; local = { id = \"gw-a.example\"; auth = \"psk\"; }; remote = { id = \"*\"; "
		"auth = \"psk\"; }; children = ( " V1_CHILD_GW " ); },\n"
		"{ name = \"b\"; ike_versions = [ 1 ]; aggressive = true; ike_proposals = [ " V1_IKE
		" ]; local = { id = \"gw-b.example\"; auth = \"psk\"; }; remote = { id = "
		"\"group.b\"; auth = \"psk\"; }; children = ( " V1_CHILD_GW " ); },\n"
		// Its own proposal alone fits its group.
		"{ name = \"c\"; ike_versions = [ 1 ]; aggressive = true; ike_proposals = [ "
		"\"aes256-sha256-ecp256\" ]; local = { id = \"gw-c.example\"; auth = \"psk\"; }; "
		"remote = { id = \"group.c\"; auth = \"psk\"; }; children = ( " V1_CHILD_GW
		" ); },\n"
		"{ name = \"main\"; ike_versions = [ 1 ]; ike_proposals = [ " V1_IKE
		" ]; local = { id = \"gw-m.example\"; auth = \"psk\"; }; remote = { id = \"*\"; "
		"auth = \"psk\"; }; children = ( " V1_CHILD_GW " ); } );\n";
	*v = (struct v1){.b = bench_new()};
	v->w = v1_watch_new(v->b);
	v->gw = bench_add(v->b, "gw", GW_ADDR, text);
	return v->gw;
}

// 'a' to 'm': of whose local.id the answer is; '-': none.
static char answered_by(struct v1 *v, const char *id, const char *ike)
{
	struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
		.auth = IKEV1_AUTH_PSK,
		.id = id,
		.ike = ike,
		.vendors = true};
	send_first(v, &f);
	const struct v1_message *m = reply_of(v);
	bench_run(v->b, 35000); // the half-open one goes
	return m && m->m.ids[0].len == 4 + strlen("gw-a.example") ? (char)m->m.ids[0].p[4 + 3]
								  : '-';
}

static void unknown_groups_spread(void **state)
{
	struct v1 v;
	unsigned by[128] = {0};
	two_groups(&v);
	assert_int_equal(answered_by(&v, "group.a", NULL), 'a');
	assert_int_equal(answered_by(&v, "group.b", NULL), 'b');
	assert_int_equal(answered_by(&v, "keyid:group.b", NULL), 'b');
	assert_int_equal(answered_by(&v, "group.c", "aes256-aes128-sha256-ecp256"), 'c');
	bench_expect(v.gw, "ikev1_no_group", 0);
	for (int i = 0; i < 24; i++) {
		char name[16], upper[16];
		snprintf(name, sizeof(name), "group.x%d", i);
		snprintf(upper, sizeof(upper), "GROUP.X%d", i);
		char first = answered_by(&v, name, NULL);
		by[(unsigned char)first]++;
		assert_int_equal(answered_by(&v, name, NULL), first);
		assert_int_equal(answered_by(&v, upper, NULL), first);
	}
	// Each of the two that the offer fits at least once, c and main mode's never.
	assert_true(by['a'] > 0 && by['b'] > 0);
	assert_int_equal(by['a'] + by['b'], 24);
	bench_expect(v.gw, "ikev1_no_group", 72);
	v1_free(&v);
}

// A third message with whatever hash fails alike for a known group and an unknown one.
static void unknown_group_to_the_end(void **state)
{
	static const char *const ids[] = {"group.examplf", V1_GROUP};
	size_t lens[2];
	for (int i = 0; i < 2; i++) {
		struct v1 v = v1_new(&(struct v1_setup){.aggressive = true});
		struct first f = {.exchange = IKEV1_EXCHANGE_AGGRESSIVE,
			.auth = IKEV1_AUTH_PSK,
			.id = ids[i],
			.vendors = true};
		uint8_t hash[32] = {1}, bytes[256];
		struct wire_builder b;
		send_first(&v, &f);
		struct ike_header h = reply_of(&v)->h;
		wire_build_message(&b, bytes, sizeof(bytes), &h);
		wire_put_raw(&b, IKEV1_PAYLOAD_HASH, (struct view){hash, sizeof(hash)});
		struct view all = wire_build_done(&b);
		struct endpoint from = bench_at(STRANGER, 500), to = bench_at(GW_ADDR, 500);
		bench_inject(v.b, &from, &to, all.p, all.len);
		bench_run(v.b, 50);
		bench_expect(v.gw, "ikev1_bad_hash_auth", 1);
		assert_int_equal(sas(&v), 0);
		lens[i] = v1_nth(v.w, v.gw, IKEV1_EXCHANGE_INFORMATIONAL, 1)->len;
		v1_free(&v);
	}
	assert_int_equal(lens[0], lens[1]);
}

// ---- members ---------------------------------------------------------------------------------------

// Everybody of a group has its key: a second client, which says that all before it is gone, from
// behind the same NAT, takes nothing of the first one's, and what is reserved for the group's name is
// nobody's. With XAUTH each user has his own address again.
#define GROUP        "keyid:" V1_GROUP
#define GROUP_CLIENT "id = \"" GROUP "\"; auth = \"psk\";"
#define RESERVED                                                                           \
	"{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; linger_s = 60; reserve = ( " \
	"{ owner = \"" GROUP "\"; address = \"10.1.0.5\"; }, { owner = \"" V1_GROUP        \
	"\"; address = \"10.1.0.6\"; } ); }"

static bool v1_gw_two(void *arg)
{
	struct v1 *v = arg;
	struct ike_status st;
	ike_status(v->gw->engine, &st);
	return st.sessions == 2 && st.children == 2;
}

static void group_of_two(const struct v1_setup *setup, const char *password)
{
	struct v1_setup s = *setup;
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	assert_int_equal(v1_any_sa(v.gw)->v1->peer.proven, false);
	struct ike_session_info first = bench_session(v.gw);
	s.user = "user2";
	s.password = password;
	bench_nat_add(v.b, "198.51.100.3", "203.0.113.9");
	struct bench_node *other = v1_add_client(v.b, "other", "198.51.100.3", &s);
	assert_true(bench_connect(other, v.gw, "c") > 0);
	assert_true(bench_run_until(v.b, v1_gw_two, &v, 5000));
	bench_run(v.b, 100);
	assert_true(v1_any_sa(v.gw)->v1->initial_contact);
	bench_expect(v.gw, "ike_initial_contact", 0);
	bench_expect(v.gw, "ikev1_reauthenticated", 0);
	struct ike_session_info a = bench_session(v.client), b = bench_session(other);
	assert_int_equal(bench_session(v.gw).id, first.id);
	assert_int_equal(a.inner_count, 1);
	assert_int_equal(b.inner_count, 1);
	assert_false(ip_eq(&a.inner[0], &b.inner[0]));
	assert_true(a.inner[0].bytes[3] < 5 && b.inner[0].bytes[3] < 5);
	assert_int_equal(pool_in_use(v.gw, 0), 2);
	assert_true(v1_traffic(&v));
	if (!v1_asks_user(&s)) {
		v1_free(&v);
		return;
	}
	// Both leave, and come back the other way round.
	assert_int_equal(ike_delete_session(v.client->engine, a.id), 0);
	assert_int_equal(ike_delete_session(other->engine, b.id), 0);
	bench_run(v.b, 500);
	assert_int_equal(pool_in_use(v.gw, 0), 0);
	assert_true(bench_connect(other, v.gw, "c") > 0);
	bench_run(v.b, 1000);
	assert_true(bench_connect(v.client, v.gw, "c") > 0);
	assert_true(bench_run_until(v.b, v1_gw_two, &v, 5000));
	bench_run(v.b, 100);
	struct ike_session_info c = bench_session(v.client), d = bench_session(other);
	assert_true(ip_eq(&c.inner[0], &a.inner[0]) && ip_eq(&d.inner[0], &b.inner[0]));
	v1_free(&v);
}

static void group_key_names_nobody(void **state)
{
	struct v1_setup s = {
		.aggressive = true, .nat = true, .pools = RESERVED, .client_local = GROUP_CLIENT};
	group_of_two(&s, NULL);
	s.xauth = true;
	group_of_two(&s, "another one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown_group),
		cmocka_unit_test(unknown_groups_spread),
		cmocka_unit_test(unknown_group_to_the_end),
		cmocka_unit_test(group_key_names_nobody),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
