// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases that come at another time than the first child SA: they stay their session's, and lead to
// its tunnel, as long as it lasts.
#include "tests/cmocka_all.h"

#include "controlplane/ikev1/login.h"
#include "tests/engine/v1_pair.h"
#include "tests/engine/v1_say.h"

#define POOL_OF_ONE  "{ name = \"p4\"; ranges = [ \"10.1.0.1\" ]; linger_s = 0; }"
#define POOL6_OF_ONE "{ name = \"p6\"; ranges = [ \"2001:db8:77::1\" ]; linger_s = 0; }"
#define RESPOND4     "mode_config = [ \"respond\" ]; pools = [ \"p4\" ]; dpd = { delay_s = 0; };"
#define RESPOND46 \
	"mode_config = [ \"respond\" ]; pools = [ \"p4\", \"p6\" ]; dpd = { delay_s = 0; };"
#define PUSH4  "mode_config = [ \"initiate\" ]; pools = [ \"p4\" ]; dpd = { delay_s = 0; };"
#define NO_DPD "dpd = { delay_s = 0; };"
#define CHILD46_GW                                                                  \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\", \"2001:db8:99::/64\" ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"
#define CHILD46_CLIENT                                                   \
	V1_CHILD_CLIENT ", { name = \"lan6\"; local_ts = [ \"::/0\" ]; " \
			"remote_ts = [ \"2001:db8:99::/64\" ]; esp_proposals = [ " V1_ESP " ]; }"

static struct v1_setup setup_of(const char *pools, const char *gw_more)
{
	return (struct v1_setup){.xauth = true,
		.config = V1_NONE,
		.pools = pools,
		.gw_more = gw_more,
		.client_more = NO_DPD};
}

// The client asks for an address whatever it has.
static void ask(struct v1 *v, uint16_t type)
{
	struct v1_say *s = v1_say_begin(v, v->client, v1_sa(v->client));
	ikev1_open_cfg(&s->b, IKEV1_CFG_REQUEST, 5);
	ikev1_put_attr(&s->b, type, (struct view){NULL, 0});
	wire_close(&s->b);
	v1_say_as(s, &(struct v1_made){.exchange = IKEV1_EXCHANGE_TRANSACTION});
}

static void add_child(struct v1 *v, size_t i)
{
	struct cfg_child *conf = &v->client->cfg->connections[0].children[i];
	ike_enter(v->client->engine);
	assert_int_equal(ikev1_add_child(v1_sa(v->client), conf), 0);
	ike_leave(v->client->engine);
	bench_run(v->b, 1000);
}

// One more child SA, which the client asks for as the owner of this address.
static void try_child(struct v1 *v, size_t i, const char *addr)
{
	struct cfg_child *conf = &v->client->cfg->connections[0].children[i];
	struct ip_addr a;
	struct ike_session *s = v1_sa(v->client)->session;
	assert_int_equal(ip_parse(addr, &a), 0);
	conf->local_ts[0] = selector_of_addr(&a);
	if (s->assigned_count > 0) // it uses nothing but what it was told
		s->assigned[s->assigned_count++] = a;
	add_child(v, i);
}

static void child_for(struct v1 *v, size_t i, const char *addr)
{
	unsigned before = v1_child_count(v->gw);
	try_child(v, i, addr);
	assert_int_equal(v1_child_count(v->gw), before + 1);
}

// Which tunnel packets to this address take; NULL: none.
static const struct bench_tunnel *tunnel_to(struct bench_node *n, const char *addr)
{
	struct bench_tunnel *t;
	struct ip_addr a;
	assert_int_equal(ip_parse(addr, &a), 0);
	LIST_FOREACH (t, &n->sink.tunnels, link)
		for (unsigned i = 0; i < t->route_count; i++)
			if (t->routes[i].bits == ip_bits(a.family) && ip_eq(&t->routes[i].addr, &a))
				return t;
	return NULL;
}

// A packet of a host behind the gateway reaches the client: there are a route and an SA for it.
static bool downlink(struct v1 *v, const char *host, const char *addr)
{
	const struct bench_tunnel *t = tunnel_to(v->gw, addr);
	return t && t->spec.session == bench_session(v->gw).id &&
	       bench_traffic(v->gw, v->client, host, addr);
}

static size_t holders(struct bench_node *n, const char *addr)
{
	struct ike_session_info i;
	struct ip_addr a;
	size_t count = 0;
	assert_int_equal(ip_parse(addr, &a), 0);
	for (uint64_t id = 0; ike_session_next(n->engine, id, &i); id = i.id)
		for (uint8_t k = 0; k < i.inner_count; k++)
			count += ip_eq(&i.inner[k], &a);
	return count;
}

// A long while later, somebody else asks for an address: this one has one owner all the same.
static void expect_one_owner(struct v1 *v, const char *addr)
{
	struct v1_setup other = v->setup;
	struct pool_stats st;
	bench_run(v->b, 400000);
	for (size_t i = 0; i < v->gw->cfg->pool_count; i++) {
		assert_true(pools_stats(v->gw->pools, i, &st));
		assert_int_equal(st.expired, 0);
	}
	other.user = "user2";
	other.password = "another one";
	struct bench_node *n = v1_add_client(v->b, "other", "198.51.100.3", &other);
	n->cfg->connections[0].request_v4 = true;
	n->cfg->connections[0].request_v6 = v->gw->cfg->pool_count > 1;
	bench_connect(n, v->gw, "c");
	bench_run(v->b, 5000);
	assert_int_equal(holders(v->gw, addr), 1);
	struct ike_session_info first = bench_session(v->gw);
	assert_string_equal(first.user, V1_USER);
	assert_true(first.inner_count > 0);
	assert_true(bench_counter(v->gw, "ike_pool_exhausted") > 0 || v->gw->cfg->pool_count > 1);
	for (size_t i = 0; i < v->gw->cfg->pool_count; i++)
		assert_int_equal(pool_in_use(v->gw, i), 1);
}

// ---- the sequences -------------------------------------------------------------------------------

// It has a child SA for its outer address, then asks, and makes another one for what it got.
static void request_behind_a_child(void **state)
{
	struct v1_setup s = setup_of(POOL_OF_ONE, RESPOND4);
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	assert_true(downlink(&v, "10.99.0.7", CLIENT_ADDR));
	ask(&v, IKEV1_CFG_IP4_ADDRESS);
	assert_int_equal(holders(v.gw, "10.1.0.1"), 1);
	child_for(&v, 0, "10.1.0.1");
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	assert_true(downlink(&v, "10.99.0.7", CLIENT_ADDR));
	expect_one_owner(&v, "10.1.0.1");
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	v1_free(&v);
}

// The same without another child SA: it is his as long as the session lasts.
static void request_behind_the_only_child(void **state)
{
	struct v1_setup s = setup_of(POOL_OF_ONE, RESPOND4);
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	ask(&v, IKEV1_CFG_IP4_ADDRESS);
	assert_int_equal(holders(v.gw, "10.1.0.1"), 1);
	expect_one_owner(&v, "10.1.0.1");
	v1_free(&v);
}

// As above, and it claims the address in quick mode instead of asking.
static void reclaim_behind_a_child(void **state)
{
	struct v1_setup s = setup_of(POOL_OF_ONE, RESPOND4);
	struct v1 v = v1_new(&s);
	v1_need_up(&v);
	child_for(&v, 0, "10.1.0.1");
	bench_expect(v.gw, "ikev1_reclaimed", 1);
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	expect_one_owner(&v, "10.1.0.1");
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	v1_free(&v);
}

// An address and a child SA of IPv4, then those of IPv6.
static void later_family(void **state)
{
	struct v1_setup s = setup_of(POOL_OF_ONE "," POOL6_OF_ONE, RESPOND46);
	s.gw_children = CHILD46_GW;
	s.client_children = CHILD46_CLIENT;
	struct v1 v = v1_new(&s);
	struct cfg_connection *c = &v.client->cfg->connections[0];
	c->request_v4 = true;
	c->child_count = 1; // the second one comes later
	v1_need_up(&v);
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	ask(&v, IKEV1_CFG_IP6_ADDRESS);
	assert_int_equal(holders(v.gw, "2001:db8:77::1"), 1);
	child_for(&v, 1, "2001:db8:77::1");
	assert_true(downlink(&v, "2001:db8:99::7", "2001:db8:77::1"));
	expect_one_owner(&v, "2001:db8:77::1");
	assert_true(downlink(&v, "2001:db8:99::7", "2001:db8:77::1"));
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	assert_int_equal(ike_delete_session(v.gw->engine, bench_session(v.gw).id), 0);
	bench_run(v.b, 100);
	assert_null(tunnel_to(v.gw, "10.1.0.1"));
	assert_null(tunnel_to(v.gw, "2001:db8:77::1"));
	c->child_count = 2;
	v1_free(&v);
}

// Sessions that need no child SA, with each way to get an address.
static void childless(void **state)
{
	static const struct {
		const char *gw_more;
		enum v1_config config;
		bool before_status;
	} rows[] = {
		{RESPOND4 "childless = true;", V1_PULL, false},
		{PUSH4 "childless = true;", V1_PUSH, false},
		{PUSH4 "childless = true;", V1_PUSH, true},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct v1_setup s = setup_of(POOL_OF_ONE, rows[i].gw_more);
		s.keep_childless = true;
		s.before_status = rows[i].before_status;
		s.client_more = NO_DPD "childless = true;";
		struct v1 v = v1_new(&s);
		struct cfg_connection *c = &v.client->cfg->connections[0];
		c->child_count = 0;
		c->request_v4 = rows[i].config == V1_PULL;
		c->request_push = rows[i].config == V1_PUSH;
		v1_connect(&v);
		bench_run(v.b, 3000);
		assert_int_equal(v1_child_count(v.gw), 0);
		assert_int_equal(holders(v.gw, "10.1.0.1"), 1);
		expect_one_owner(&v, "10.1.0.1");
		assert_int_equal(v1_child_count(v.gw), 0);
		c->child_count = 1;
		v1_free(&v);
	}
}

// ---- a lease whose grant has ended -----------------------------------------------------------------

static bool renew_none(void *ctx, const struct lease *l, uint64_t session)
{
	return false;
}

// It is not used: neither child SAs nor routes are left, and the client, which cannot be told
// otherwise, loses its session. rows: the first child SA; a lease behind it; no child SA at all.
static void lost(void **state)
{
	for (int row = 0; row < 3; row++) {
		struct v1_setup s =
			setup_of(POOL_OF_ONE, row == 2 ? RESPOND4 "childless = true;" : RESPOND4);
		s.keep_childless = row == 2;
		if (row == 2)
			s.client_more = NO_DPD "childless = true;";
		struct v1 v = v1_new(&s);
		struct cfg_connection *c = &v.client->cfg->connections[0];
		c->request_v4 = row != 1;
		c->child_count = row != 2;
		v.gw->addresses.renew = renew_none;
		if (row == 1) {
			v1_need_up(&v);
			ask(&v, IKEV1_CFG_IP4_ADDRESS);
		} else {
			v1_connect(&v);
		}
		bench_run(v.b, 1000);
		bench_expect(v.gw, "ike_lease_lost", 1);
		assert_int_equal(holders(v.gw, "10.1.0.1"), 0);
		assert_null(tunnel_to(v.gw, "10.1.0.1"));
		assert_true(v1_are_empty(&v));
		c->child_count = 1;
		// Nothing has been released, for there was nothing; the pool takes it back by itself.
		assert_int_equal(pool_in_use(v.gw, 0), 1);
		bench_run(v.b, 310000);
		assert_int_equal(pool_in_use(v.gw, 0), 0);
		v1_free(&v);
	}
}

// The routes of leases are all there or none of those that are new, and those of before stay.
static void route_refused(void **state)
{
	struct v1_setup s = setup_of(POOL_OF_ONE "," POOL6_OF_ONE, RESPOND46);
	s.gw_children = CHILD46_GW;
	s.client_children = CHILD46_CLIENT;
	struct v1 v = v1_new(&s);
	struct cfg_connection *c = &v.client->cfg->connections[0];
	c->request_v4 = true;
	c->child_count = 1;
	v1_need_up(&v);
	ask(&v, IKEV1_CFG_IP6_ADDRESS);
	v.gw->sink.fail_route = 1;
	try_child(&v, 1, "2001:db8:77::1");
	assert_int_equal(v1_child_count(v.gw), 1);
	assert_null(tunnel_to(v.gw, "2001:db8:77::1"));
	assert_true(downlink(&v, "10.99.0.7", "10.1.0.1"));
	c->child_count = 2;
	v1_free(&v);
}

// ---- a lease between the messages of a child SA ------------------------------------------------------

// Its selectors were agreed on when the client had no address: with the one that came meanwhile it
// still may not send as others of the pool.
static void wide_child_and_a_lease(void **state)
{
	struct v1_setup s = setup_of(POOL4, RESPOND4);
	s.keep_childless = true;
	s.gw_children = "{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ "
			"\"0.0.0.0/0\" ]; esp_proposals = [ \"aes128-sha256-ecp256\" ]; }";
	s.client_children =
		"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; "
		"esp_proposals = [ \"aes128-sha256-ecp256\" ]; }";
	struct v1 v = v1_new(&s);
	v.client->cfg->connections[0].child_count = 0;
	v1_need_up(&v);
	v.client->cfg->connections[0].child_count = 1;
	v.gw->hold_jobs = true;
	add_child(&v, 0);
	ask(&v, IKEV1_CFG_IP4_ADDRESS);
	assert_int_equal(holders(v.gw, "10.1.0.1"), 1);
	v.gw->hold_jobs = false;
	bench_run(v.b, 1000);
	assert_int_equal(v1_child_count(v.gw), 1);
	assert_true(bench_traffic(v.client, v.gw, "10.2.0.1", "10.99.0.7"));
	assert_false(bench_traffic(v.client, v.gw, "10.1.0.3", "10.99.0.7"));
	v1_free(&v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_behind_a_child),
		cmocka_unit_test(request_behind_the_only_child),
		cmocka_unit_test(reclaim_behind_a_child),
		cmocka_unit_test(later_family),
		cmocka_unit_test(childless),
		cmocka_unit_test(lost),
		cmocka_unit_test(route_refused),
		cmocka_unit_test(wide_child_and_a_lease),
	};
	return cmocka_run_group_tests(tests, pki_setup, pki_teardown);
}
