// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two gateways that speak IKEv1 and know each other: either may begin everything.
#pragma once

#include "tests/engine/v1_quick.h"

#define SITES_PSK(id, address) \
	"psk = ( { id = \"" id "\"; addresses = [ \"" address "/32\" ]; secret = \"of both\"; } );"

static inline struct v1 sites_with(const struct v1_setup *more)
{
	struct v1_setup s = *more;
	s.site = true;
	s.gw_credentials = SITES_PSK("client@example", CLIENT_ADDR);
	s.client_credentials = SITES_PSK("gw.example", GW_ADDR);
	s.gw_remote = "id = \"client@example\"; auth = \"psk\";";
	return v1_new(&s);
}

static inline struct v1 sites_new(const char *gw_more, const char *client_more)
{
	return sites_with(&(struct v1_setup){.gw_more = gw_more, .client_more = client_more});
}

static inline struct ike_session *site_session(struct bench_node *n)
{
	return ike_session_by_id(n->engine, bench_session(n).id);
}

// Those in use; *timed: those that we shall rekey.
static inline unsigned site_children(struct bench_node *n, unsigned *timed)
{
	struct ike_child *c;
	unsigned active = 0;
	*timed = 0;
	LIST_FOREACH (c, &site_session(n)->children, link) {
		active += c->state == IKE_CHILD_ACTIVE;
		*timed += c->soft.set;
	}
	return active;
}

static inline struct ike_child *site_child(struct bench_node *n)
{
	struct ike_child *c;
	LIST_FOREACH (c, &site_session(n)->children, link)
		if (c->state == IKE_CHILD_ACTIVE)
			return c;
	return NULL;
}

// One session, one ISAKMP SA, one child SA, the same ones at both.
static inline void sites_agree(struct v1 *v)
{
	struct bench_node *nodes[] = {v->gw, v->client};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(bench_session_count(nodes[i]), 1);
		assert_int_equal(v1_sa_count(nodes[i]), 1);
		assert_int_equal(v1_sa(nodes[i])->state, IKE_SA_ESTABLISHED);
		assert_int_equal(site_session(nodes[i])->child_count, 1);
	}
	assert_true(v1_sa(v->gw)->spi_i == v1_sa(v->client)->spi_i);
	assert_true(v1_sa(v->gw)->spi_r == v1_sa(v->client)->spi_r);
	assert_int_equal(site_child(v->gw)->spi_in, site_child(v->client)->spi_out);
	assert_int_equal(site_child(v->gw)->spi_out, site_child(v->client)->spi_in);
	assert_true(v1_traffic(v));
}
