// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An address source that answers later, as one behind a server does.
#pragma once

#include "tests/engine/bench.h"

struct slow_source {
	struct bench_node *node;
	struct address_source inner; // the pools'
	struct address_request rq;   // the last one
	unsigned asked;
	bool pending;
};

static inline enum address_status slow_acquire(
	void *ctx, const struct address_request *rq, struct lease *out)
{
	struct slow_source *s = ctx;
	s->rq = *rq;
	s->asked++;
	s->pending = true;
	return ADDRESS_PENDING;
}

static inline bool slow_renew(void *ctx, const struct lease *l, uint64_t session)
{
	struct slow_source *s = ctx;
	return s->inner.renew(s->inner.ctx, l, session);
}

static inline void slow_release(void *ctx, const struct lease *l)
{
	struct slow_source *s = ctx;
	s->inner.release(s->inner.ctx, l);
}

// Stands before the node's pools from now on.
static inline void slow_init(struct slow_source *s, struct bench_node *n)
{
	*s = (struct slow_source){.node = n, .inner = n->addresses};
	n->addresses.ctx = s;
	n->addresses.acquire = slow_acquire;
	n->addresses.renew = slow_renew;
	n->addresses.release = slow_release;
	n->addresses.expect_release = NULL;
}

// OK: what the pools say to a user of that name; NULL: to an anonymous one. The request's strings belong to
// the exchange, which may have gone.
static inline void slow_answer_for(
	struct slow_source *s, enum address_status status, const char *user)
{
	struct lease l = {0};
	assert_true(s->pending);
	s->pending = false;
	s->rq.owner = (struct pool_owner){.user = user, .name = user, .anonymous = !user};
	if (status == ADDRESS_OK)
		status = s->inner.acquire(s->inner.ctx, &s->rq, &l);
	s->node->addresses.done(s->node->addresses.user, s->rq.token, status, &l);
}

static inline void slow_answer(struct slow_source *s, enum address_status status)
{
	slow_answer_for(s, status, NULL);
}
