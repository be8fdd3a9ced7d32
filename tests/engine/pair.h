// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A gateway and a client on one bench, and the configurations that tests put together for them.
#pragma once

#include <stdio.h>
#include <stdlib.h>

#include "tests/engine/bench.h"

#define GW_ADDR     "192.0.2.1"
#define CLIENT_ADDR "198.51.100.2"

struct pair {
	struct bench *b;
	struct bench_node *gw, *client;
};

// What one side's configuration says; NULL or "": the default.
struct side {
	const char *versions;       // inside ike_versions = [ ]
	const char *credentials;    // inside credentials: { }
	const char *pools;          // inside pools = ( )
	const char *ike;            // ike_proposals' items
	const char *local, *remote; // inside the braces
	const char *more;           // options of the connection
	const char *children;       // inside children = ( )
};

#define PSK_BOUND                                                                     \
	"psk = ( { id = \"client@example\"; secret = \"a secret of the client\"; }, " \
	"{ id = \"gw.example\"; secret = \"a secret of the client\"; } );"
#define PSK_GROUP "psk = ( { id = \"*\"; secret = \"a secret of everybody\"; } );"

#define POOL4 \
	"{ name = \"p4\"; ranges = [ \"10.1.0.1-10.1.0.6\" ]; dns = [ \"9.9.9.9\" ]; linger_s = 60; }"
#define POOL6 \
	"{ name = \"p6\"; ranges = [ \"2001:db8:77::1-2001:db8:77::6\" ]; dns = [ \"2001:db8::53\" ]; }"

#define CHILD_GW \
	"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; esp_proposals = [ \"aes128gcm16\" ]; }"
#define CHILD_CLIENT                                                                         \
	"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; " \
	"esp_proposals = [ \"aes128gcm16\" ]; }"

static inline const char *side_or(const char *text, const char *other)
{
	return text ? text : other;
}

// The connection is "c" on both sides. The caller frees it.
static inline char *side_text(const struct side *s, bool gateway)
{
	char *text;
	const char *pools = side_or(s->pools, gateway ? POOL4 : "");
	assert_true(asprintf(&text,
			    "credentials: { %s };\n%s%s%s"
			    "connections = ( { name = \"c\"; ike_versions = [ %s ];\n"
			    "ike_proposals = [ %s ];\nlocal = { %s };\nremote = { %s };\n%s\n"
			    "children = ( %s ); } );\n",
			    side_or(s->credentials, PSK_BOUND), pools[0] ? "pools = ( " : "", pools,
			    pools[0] ? " );\n" : "", side_or(s->versions, "2"),
			    side_or(s->ike, "\"aes128gcm16-prfsha256-x25519\""),
			    side_or(s->local, gateway ? "id = \"gw.example\"; auth = \"psk\";"
						      : "id = \"client@example\"; auth = \"psk\";"),
			    side_or(s->remote, gateway ? "id = \"*\"; auth = \"psk\";"
						       : "id = \"gw.example\"; auth = \"psk\";"),
			    side_or(s->more,
				    gateway ? "mode_config = [ \"respond\" ]; pools = [ \"p4\" ];"
					    : ""),
			    side_or(s->children, gateway ? CHILD_GW : CHILD_CLIENT)) > 0);
	return text;
}

static inline struct bench_node *side_add(
	struct bench *b, const char *name, const char *addr, const struct side *s, bool gateway)
{
	char *text = side_text(s, gateway);
	struct bench_node *n = bench_add(b, name, addr, text);
	free(text);
	return n;
}

// The client asks for an IPv4 address unless its side says otherwise afterwards.
static inline struct pair pair_on(struct bench *b, const struct side *gw, const struct side *client)
{
	struct pair p = {.b = b};
	p.gw = side_add(b, "gw", GW_ADDR, gw, true);
	p.client = side_add(b, "client", CLIENT_ADDR, client, false);
	p.client->cfg->connections[0].request_v4 = true;
	return p;
}

static inline struct pair pair_new(const struct side *gw, const struct side *client)
{
	return pair_on(bench_new(), gw, client);
}

static inline bool pair_up(struct pair *p)
{
	assert_true(bench_connect(p->client, p->gw, "c") > 0);
	bool up = bench_run_until(p->b, bench_established, p->client, 5000);
	bench_run(p->b, 20);
	return up && bench_established(p->gw);
}

static inline uint64_t pool_in_use(struct bench_node *n, size_t pool)
{
	struct pool_stats st;
	assert_true(pools_stats(n->pools, pool, &st));
	return st.in_use;
}

// One inner packet each way between the client's address and a host behind the gateway.
static inline bool pair_traffic(struct pair *p)
{
	char inner[IP_TEXT_MAX];
	struct ike_session_info s = bench_session(p->client);
	if (s.inner_count == 0)
		return false;
	ip_text(&s.inner[0], inner);
	return bench_traffic(p->client, p->gw, inner, "10.99.0.7") &&
	       bench_traffic(p->gw, p->client, "10.99.0.7", inner);
}

// The client ends its session; both sides are empty afterwards.
static inline void pair_down(struct pair *p)
{
	assert_int_equal(ike_delete_session(p->client->engine, bench_session(p->client).id), 0);
	bench_run(p->b, 500);
	assert_true(bench_empty(p->client));
	assert_true(bench_empty(p->gw));
	bench_free(p->b);
}
