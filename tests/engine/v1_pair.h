// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A gateway and a client that speak IKEv1 on one bench, and a listener between them.
//
//	struct v1 v = v1_new(&(struct v1_setup){.aggressive = true, .xauth = true});
//	assert_true(v1_up(&v));
//	assert_true(v1_traffic(&v));
//	assert_non_null(v1_nth_cfg(v.w, v.gw, IKEV1_CFG_REPLY, IKEV1_CFG_IP4_ADDRESS, 1));
//	v1_down(&v);
//
// The default: main mode with a PSK by address, the client pulls an address, one child. Tests with
// certificates run between pki_setup and pki_teardown.
#pragma once

#include "tests/engine/pki.h"
#include "tests/engine/v1_watch.h"

#include <string.h>

#define V1_USER     "user1"
#define V1_PASSWORD "a password"
#define V1_GROUP    "group.example"

#define V1_IKE "\"aes128-sha256-ecp256\""
#define V1_ESP "\"aes128-sha256\""
#define V1_CHILD_GW \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ " V1_ESP " ]; }"
#define V1_CHILD_CLIENT                                                                      \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"
// Site to site: 10.7.0.0/16 is the client's.
#define V1_SITE_GW                                                                             \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; remote_ts = [ \"10.7.0.0/16\" ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"
#define V1_SITE_CLIENT                                                                         \
	"{ name = \"lan\"; local_ts = [ \"10.7.0.0/16\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ " V1_ESP " ]; }"

enum v1_method { V1_PSK, V1_RSA, V1_ECDSA, V1_HYBRID };

// What the gateway's mode_config says, and what the client does: it asks (PULL, BOTH), waits for a
// SET (PUSH, BOTH_WAIT), or neither (NONE).
enum v1_config { V1_PULL, V1_PUSH, V1_BOTH, V1_BOTH_WAIT, V1_NONE };

struct v1_setup {
	bool aggressive;
	bool xauth; // HYBRID always
	enum v1_method method;
	enum v1_config config;
	bool before_status;          // push = "before_status"
	bool site;                   // site to site: no mode_config, no pools
	bool nat;                    // the client stands behind one
	bool certs_there;            // those that v1_issue() made before serve again
	bool keep_childless;         // v1_up() does not wait for a child SA
	const char *user, *password; // NULL: those that are right; "": the client has none
	// NULL: as above
	const char *gw_more, *client_more; // further options of the connection
	const char *gw_children, *client_children;
	const char *ike, *client_ike;
	const char *pools;
	const char *gw_credentials, *client_credentials;
	const char *gw_local, *gw_remote, *client_local, *client_remote;
};

struct v1 {
	struct bench *b;
	struct bench_node *gw, *client;
	struct v1_watch *w;
	struct v1_setup setup;
};

// ---- configurations ----

static inline bool v1_asks_user(const struct v1_setup *s)
{
	return s->xauth || s->method == V1_HYBRID;
}

#define V1_USERS                                                                        \
	"users = ( { name = \"" V1_USER "\"; password = \"" V1_PASSWORD "\"; groups = " \
	"[ \"staff\" ]; }, { name = \"user2\"; password = \"another one\"; } );"

// To be freed.
static inline char *v1_gw_credentials(const struct v1_setup *s)
{
	const char *users = v1_asks_user(s) ? V1_USERS : "";
	char *text;
	if (s->method != V1_PSK)
		return cert_credentials("gw", "ca.pem", users);
	const char *psk = s->aggressive
				  ? "id = \"" V1_GROUP "\";"
				  : "addresses = [ \"198.51.100.0/24\", \"203.0.113.9/32\" ];";
	assert_true(asprintf(&text, "psk = ( { %s secret = \"a secret of them both\"; } ); %s", psk,
			    users) > 0);
	return text;
}

static inline char *v1_client_credentials(const struct v1_setup *s)
{
	char *text;
	if (s->method == V1_HYBRID) {
		assert_true(asprintf(&text, "ca = [ \"%s\" ];", pki_path("ca.pem")) > 0);
		return text;
	}
	if (s->method != V1_PSK)
		return cert_credentials("client", "ca.pem", "");
	const char *psk =
		s->aggressive ? "id = \"gw.example\";" : "addresses = [ \"" GW_ADDR "/32\" ];";
	assert_true(
		asprintf(&text, "psk = ( { %s secret = \"a secret of them both\"; } );", psk) > 0);
	return text;
}

static inline char *v1_gw_more(const struct v1_setup *s)
{
	static const char *const config[] = {
		[V1_PULL] = "mode_config = [ \"respond\" ];",
		[V1_PUSH] = "mode_config = [ \"initiate\" ];",
		[V1_BOTH] = "mode_config = [ \"initiate\", \"respond\" ];",
		[V1_BOTH_WAIT] = "mode_config = [ \"initiate\", \"respond\" ];",
		[V1_NONE] = "",
	};
	bool pools = !s->site && s->config != V1_NONE;
	char *text;
	assert_true(asprintf(&text, "%s %s %s %s %s", s->site ? "" : config[s->config],
			    pools ? "pools = [ \"p4\" ];" : "",
			    s->before_status ? "push = \"before_status\";" : "",
			    s->aggressive ? "aggressive = true;" : "",
			    s->gw_more ? s->gw_more : "") > 0);
	return text;
}

static inline char *v1_client_more(const struct v1_setup *s)
{
	char *text;
	assert_true(asprintf(&text, "%s %s", s->aggressive ? "aggressive = true;" : "",
			    s->client_more ? s->client_more : "") > 0);
	return text;
}

static inline char *v1_remote_of_gw(const struct v1_setup *s)
{
	static const char *const auth[] = {"psk", "cert", "cert", "none"};
	char *text;
	assert_true(asprintf(&text, "id = \"*\"; auth = \"%s\"; %s", auth[s->method],
			    v1_asks_user(s) ? "user_auth = \"xauth\";" : "") > 0);
	return text;
}

static inline struct bench_node *v1_add_gw(
	struct bench *b, const char *name, const char *addr, const struct v1_setup *s)
{
	char *credentials = v1_gw_credentials(s), *more = v1_gw_more(s);
	char *remote = v1_remote_of_gw(s);
	struct side gw = {.versions = "1",
		.credentials = s->gw_credentials ? s->gw_credentials : credentials,
		.pools = s->pools                          ? s->pools
			 : s->site || s->config == V1_NONE ? ""
							   : POOL4,
		.ike = s->ike ? s->ike : V1_IKE,
		.local = s->gw_local           ? s->gw_local
			 : s->method == V1_PSK ? "id = \"gw.example\"; auth = \"psk\";"
					       : CERT_LOCAL_GW,
		.remote = s->gw_remote ? s->gw_remote : remote,
		.more = more,
		.children = s->gw_children ? s->gw_children
			    : s->site      ? V1_SITE_GW
					   : V1_CHILD_GW};
	struct bench_node *n = side_add(b, name, addr, &gw, true);
	free(credentials);
	free(more);
	free(remote);
	return n;
}

// What the loaded snapshot of a client says beyond the options of its file.
static inline void v1_client_options(struct bench_node *n, const struct v1_setup *s)
{
	struct cfg_connection *c = &n->cfg->connections[0];
	c->request_v4 = !s->site && (s->config == V1_PULL || s->config == V1_BOTH);
	c->request_push = !s->site && (s->config == V1_PUSH || s->config == V1_BOTH_WAIT);
}

// To be freed.
static inline char *v1_client_local(const struct v1_setup *s)
{
	static const char *const own[] = {
		[V1_PSK] = "id = \"client@example\"; auth = \"psk\";",
		[V1_RSA] = CERT_LOCAL,
		[V1_ECDSA] = CERT_LOCAL,
		[V1_HYBRID] = "id = \"client@example\"; auth = \"none\";",
	};
	const char *user = s->user ? s->user : V1_USER;
	const char *password = s->password ? s->password : V1_PASSWORD;
	const char *text = s->client_local                        ? s->client_local
			   : s->method == V1_PSK && s->aggressive ? "id = \"" V1_GROUP
								    "\"; auth = \"psk\";"
								  : own[s->method];
	char *all;
	if (!v1_asks_user(s) || !user[0])
		user = NULL;
	assert_true(asprintf(&all, "%s%s%s%s%s%s", text, user ? " user = \"" : "", user ? user : "",
			    user ? "\"; password = \"" : "", user ? password : "",
			    user ? "\";" : "") > 0);
	return all;
}

static inline struct bench_node *v1_add_client(
	struct bench *b, const char *name, const char *addr, const struct v1_setup *s)
{
	char *credentials = v1_client_credentials(s), *more = v1_client_more(s);
	char *local = v1_client_local(s);
	struct side client = {.versions = "1",
		.credentials = s->client_credentials ? s->client_credentials : credentials,
		.ike = s->client_ike ? s->client_ike
		       : s->ike      ? s->ike
				     : V1_IKE,
		.local = local,
		.remote = s->client_remote      ? s->client_remote
			  : s->method == V1_PSK ? "id = \"gw.example\"; auth = \"psk\";"
						: CERT_REMOTE,
		.more = more,
		.children = s->client_children ? s->client_children
			    : s->site          ? V1_SITE_CLIENT
					       : V1_CHILD_CLIENT};
	struct bench_node *n = side_add(b, name, addr, &client, false);
	free(credentials);
	free(more);
	free(local);
	v1_client_options(n, s);
	return n;
}

static inline void v1_issue(const struct v1_setup *s)
{
	enum test_key kind = s->method == V1_ECDSA ? KEY_P256 : KEY_RSA;
	if (s->method == V1_PSK)
		return;
	pki_issue("gw", "DNS:gw.example", kind, CA, 0, 0);
	pki_issue("client", "email:client@example", kind, CA, 0, 0);
}

static inline struct v1 v1_new(const struct v1_setup *s)
{
	struct v1 v = {.b = bench_new(), .setup = *s};
	if (!s->certs_there)
		v1_issue(s);
	if (s->nat)
		bench_nat_add(v.b, CLIENT_ADDR, "203.0.113.9");
	v.w = v1_watch_new(v.b);
	v.gw = v1_add_gw(v.b, "gw", GW_ADDR, s);
	v.client = v1_add_client(v.b, "client", CLIENT_ADDR, s);
	return v;
}

// ---- conditions; arg is a struct v1 or a node ----

static inline unsigned v1_child_count(struct bench_node *n)
{
	struct ike_session_info info;
	unsigned children = 0;
	for (uint64_t id = 0; ike_session_next(n->engine, id, &info); id = info.id)
		children += info.child_count;
	return children;
}

static inline bool v1_is_up(void *arg)
{
	struct v1 *v = arg;
	bool children = v->setup.keep_childless ||
			(v1_child_count(v->client) > 0 && v1_child_count(v->gw) > 0);
	return children && bench_established(v->client) && bench_established(v->gw) &&
	       bench_quiet(v->client) && bench_quiet(v->gw);
}

static inline bool v1_are_empty(void *arg)
{
	struct v1 *v = arg;
	return bench_empty(v->client) && bench_empty(v->gw);
}

// ---- what happens ----

static inline void v1_connect(struct v1 *v)
{
	assert_true(bench_connect(v->client, v->gw, "c") > 0);
}

// The client connects: both sides have an established session and a child SA within max_ms.
static inline bool v1_up_within(struct v1 *v, uint64_t max_ms)
{
	v1_connect(v);
	return bench_run_until(v->b, v1_is_up, v, max_ms);
}

static inline bool v1_up(struct v1 *v)
{
	return v1_up_within(v, 5000);
}

// Fails the test with the whole conversation printed.
#define v1_need_up(v)                                                  \
	do {                                                           \
		if (!v1_up(v)) {                                       \
			v1_print((v)->w);                              \
			fail_msg("%s:%d: not up", __FILE__, __LINE__); \
		}                                                      \
	} while (0)

// The ISAKMP SA of the node's first session; the newest one of all; NULL: none.
static inline struct ike_sa *v1_sa(struct bench_node *n)
{
	return bench_sa_of(n, bench_session(n).id);
}

static inline struct ike_sa *v1_any_sa(struct bench_node *n)
{
	struct ike_sa *sa;
	LIST_FOREACH (sa, &n->engine->all_sas, all) {
		if (ikev1_is(sa))
			return sa;
	}
	return NULL;
}

static inline unsigned v1_sa_count(struct bench_node *n)
{
	struct ike_sa *sa;
	unsigned count = 0;
	LIST_FOREACH (sa, &n->engine->all_sas, all)
		count += ikev1_is(sa);
	return count;
}

// The client's address as both sides have it; false: they do not agree, or there is none.
static inline bool v1_lease(struct v1 *v, char text[IP_TEXT_MAX])
{
	struct ike_session_info c = bench_session(v->client), g = bench_session(v->gw);
	if (c.inner_count == 0 || g.inner_count == 0 || !ip_eq(&c.inner[0], &g.inner[0]))
		return false;
	ip_text(&c.inner[0], text);
	return true;
}

// One inner packet each way between the client (its lease, or 10.7.1.9 of the site) and a host
// behind the gateway.
static inline bool v1_traffic(struct v1 *v)
{
	char inner[IP_TEXT_MAX] = "10.7.1.9";
	if (!v->setup.site && v->setup.config != V1_NONE && !v1_lease(v, inner))
		return false;
	if (!v->setup.site && v->setup.config == V1_NONE)
		strcpy(inner, CLIENT_ADDR);
	return bench_traffic(v->client, v->gw, inner, "10.99.0.7") &&
	       bench_traffic(v->gw, v->client, "10.99.0.7", inner);
}

static inline void v1_free(struct v1 *v)
{
	bench_free(v->b);
	v1_watch_free(v->w);
}

// The client ends its session; nothing is left on either side, no address is held.
static inline void v1_down(struct v1 *v)
{
	assert_int_equal(ike_delete_session(v->client->engine, bench_session(v->client).id), 0);
	assert_true(bench_run_until(v->b, v1_are_empty, v, 2000));
	if (v->gw->cfg->pool_count)
		assert_int_equal(pool_in_use(v->gw, 0), 0);
	v1_free(v);
}

// The client is refused with this counter at the gateway, and nothing is left of it there once its
// half-open time and its retransmissions are over.
static inline void v1_refused(struct v1 *v, const char *counter)
{
	assert_false(v1_up_within(v, 20000));
	if (bench_counter(v->gw, counter) == 0) {
		v1_print(v->w);
		bench_expect(v->gw, counter, 1);
	}
	bench_run(v->b, 150000);
	assert_true(v1_are_empty(v));
	if (v->gw->cfg->pool_count)
		assert_int_equal(pool_in_use(v->gw, 0), 0);
	v1_free(v);
}
