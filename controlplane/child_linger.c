// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The inbound SAs of child SAs that were replaced, for some seconds after their DELETE.
#include "controlplane/session.h"

#define LINGERING_MAX 24 // of one session: the data plane's room for a tunnel is bounded

static void linger_end(struct ike_child *c)
{
	struct ike_session *s = ike_session_by_id(c->engine, c->session_id);
	const struct sa_sink *sink = c->engine->p.sink;
	wheel_cancel(&c->engine->wheel, &c->hard);
	LIST_REMOVE(c, link);
	if (s)
		s->lingering_count--;
	sink->sa_del(sink->ctx, c->spi_in, SA_IN);
}

static void linger_fire(struct wheel_timer *t, void *arg)
{
	linger_end(arg);
}

void ike_children_linger_end(struct ike_session *s)
{
	struct ike_child *c;
	while ((c = LIST_FIRST(&s->lingering)))
		linger_end(c);
}

bool ike_child_linger(struct ike_child *c, struct ike_session *s)
{
	struct ike_engine *e = c->engine;
	if (!(c->installed & 1u << SA_IN) || s->lingering_count >= LINGERING_MAX)
		return false;
	LIST_INSERT_HEAD(&s->lingering, c, link);
	s->lingering_count++;
	e->child_count--;
	c->lingering = true;
	wheel_set(&e->wheel, &c->hard, e->now_ns + IKE_LINGER_S * NS_PER_S, linger_fire, c);
	return true;
}
