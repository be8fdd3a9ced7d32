// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A gateway and a client that moves.
#pragma once

#include "controlplane/exchange.h"
#include "controlplane/ikev2/mobike.h"
#include "tests/engine/configs.h"
#include "tests/engine/bench.h"

#include <errno.h>

#define GW_1     "192.0.2.1"
#define GW_2     "192.0.2.99"
#define CLIENT_1 "198.51.100.2"
#define CLIENT_2 "203.0.113.5"
#define CLIENT_3 "203.0.113.6"
#define INSIDE   "10.5.0.2" // an address of the client behind a NAT
#define OUTSIDE  "203.0.113.9"

static inline const struct tunnel_path *path_of(struct bench_node *n)
{
	struct bench_tunnel *t = LIST_FIRST(&n->sink.tunnels);
	assert_non_null(t);
	return &t->spec.path;
}

static inline bool is_at(const struct endpoint *ep, const char *addr)
{
	struct endpoint want = bench_at(addr, ep->port);
	return endpoint_eq(ep, &want);
}

static inline void expect_path_at(
	struct bench_node *n, const char *local, const char *remote, int line)
{
	const struct tunnel_path *t = path_of(n);
	char l[EP_TEXT_MAX], r[EP_TEXT_MAX];
	if (!is_at(&t->local, local) || !is_at(&t->remote, remote))
		fail_msg("line %d: %s's tunnel is from %s to %s", line, n->name,
			endpoint_text(&t->local, l), endpoint_text(&t->remote, r));
	assert_int_equal(t->local.port, IKE_NAT_T_PORT);
}
#define expect_path(n, local, remote) expect_path_at(n, local, remote, __LINE__)

static inline struct bench_pair mobike_pair(void)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_address_add(p.client, CLIENT_2);
	bench_address_add(p.client, CLIENT_3);
	bench_address_add(p.client, INSIDE);
	bench_nat_add(p.b, INSIDE, OUTSIDE);
	return p;
}

static inline struct bench_pair mobike_up(void)
{
	struct bench_pair p = mobike_pair();
	bench_pair_up(&p);
	bench_run(p.b, 50);
	assert_true(bench_session(p.gw).mobike && bench_session(p.client).mobike);
	return p;
}

static inline int move_node(struct bench_node *n, const char *to)
{
	struct sa_origin origin = {0};
	struct endpoint local = bench_at(to, 0);
	return ike_move(n->engine, bench_session(n).id, &origin, &local);
}

static inline bool traffic(struct bench_pair *p)
{
	return bench_traffic(p->client, p->gw, CLIENT_1, "10.99.0.7") &&
	       bench_traffic(p->gw, p->client, "10.99.0.7", CLIENT_1);
}

// Everything is still there.
static inline void expect_one_session(struct bench_pair *p)
{
	assert_int_equal(bench_session_count(p->gw), 1);
	assert_int_equal(bench_session_count(p->client), 1);
	assert_true(traffic(p));
}
