// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Packets that wait for their tunnel's first SA. One list by age holds those of all tunnels: the
// oldest one's time is all that a poll looks at, and an SA that comes into use goes through the
// whole of it, which is short, only for a tunnel that has packets there.
//
// Where there is no room the newcomer is dropped: what came first is mostly what opens a connection
// (a TCP SYN, a query), and what comes behind it is its repetition.
#include "dataplane/trace.h"

void dp_hold_init(struct dp_hold *h)
{
	TAILQ_INIT(&h->by_age);
	TAILQ_INIT(&h->unused);
	for (unsigned i = 0; i < DP_HOLD_WORKER; i++)
		TAILQ_INSERT_TAIL(&h->unused, &h->items[i], link);
}

static struct rte_mbuf *take_out(struct dp_hold *h, struct dp_held *p)
{
	p->tunnel->held--;
	TAILQ_REMOVE(&h->by_age, p, link);
	TAILQ_INSERT_TAIL(&h->unused, p, link);
	return p->m;
}

void dp_hold_free(struct dp_hold *h)
{
	struct dp_held *p;
	while ((p = TAILQ_FIRST(&h->by_age)))
		rte_pktmbuf_free(take_out(h, p));
}

void dp_hold_packet(struct dp_worker *w, struct dp_tunnel *t, struct rte_mbuf *m)
{
	struct dp_held *p = TAILQ_FIRST(&w->hold.unused);
	if (!p || t->held == DP_HOLD_TUNNEL) {
		dp_drop(w, m, DP_DROP_hold_full);
		return;
	}
	TAILQ_REMOVE(&w->hold.unused, p, link);
	*p = (struct dp_held){.tunnel = t, .m = m, .until_ns = w->now_ns + DP_HOLD_NS};
	TAILQ_INSERT_TAIL(&w->hold.by_age, p, link);
	t->held++;
	if (unlikely(w->trace))
		dp_trace_held(w, m);
}

void dp_hold_release(struct dp_worker *w, struct dp_tunnel *t, struct dp_sa *sa)
{
	struct dp_held *p, *next;
	for (p = t->held ? TAILQ_FIRST(&w->hold.by_age) : NULL; p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->tunnel == t && dp_sa_selects(sa, dp_data(p->m), p->m->data_len))
			dp_esp_out_add(w, take_out(&w->hold, p));
	}
	if (w->esp_out.n)
		dp_esp_out(w);
}

void dp_hold_drop(struct dp_worker *w, struct dp_tunnel *t)
{
	struct dp_held *p, *next;
	for (p = t->held ? TAILQ_FIRST(&w->hold.by_age) : NULL; p; p = next) {
		next = TAILQ_NEXT(p, link);
		if (p->tunnel == t)
			dp_drop(w, take_out(&w->hold, p), DP_DROP_stale_tunnel);
	}
}

unsigned dp_hold_expire(struct dp_worker *w)
{
	struct dp_held *p = TAILQ_FIRST(&w->hold.by_age);
	if (likely(!p || w->now_ns < p->until_ns))
		return 0;
	dp_drop(w, take_out(&w->hold, p), DP_DROP_hold_timeout);
	return 1;
}
