// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the tests of quick mode look at.
#pragma once

#include "tests/engine/v1_ready.h"

static inline struct ike_child *v1_child_of(struct ike_session *s, unsigned n) // newest first
{
	struct ike_child *c;
	LIST_FOREACH (c, &s->children, link)
		if (n-- == 0)
			return c;
	return NULL;
}

static inline const struct v1_message *v1_quick(struct v1 *v, struct bench_node *from, unsigned n)
{
	return v1_nth(v->w, from, IKEV1_EXCHANGE_QUICK, n);
}

static inline void v1_expect_fit(struct v1_ready *r)
{
	struct ike_child *g = v1_child_of(r->gw_session, 0), *c = v1_child_of(r->client_session, 0);
	assert_non_null(g);
	assert_non_null(c);
	assert_int_equal(g->spi_in, c->spi_out);
	assert_int_equal(g->spi_out, c->spi_in);
	assert_int_equal(g->suite.dh, c->suite.dh);
	assert_int_equal(g->suite.esn, c->suite.esn);
	assert_int_equal(g->state, IKE_CHILD_ACTIVE);
	assert_int_equal(c->state, IKE_CHILD_ACTIVE);
}
