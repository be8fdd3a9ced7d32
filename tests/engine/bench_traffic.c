// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Inner packets that go on and on between two nodes of the bench, and those of them that are lost.
#include "tests/engine/bench.h"

void bench_traffic_watch(struct bench *b, struct bench_node *a, const char *a_inner,
	struct bench_node *c, const char *c_inner)
{
	b->traffic = (struct bench_traffic){.node = {a, c}};
	if (!a)
		return;
	assert_int_equal(ip_parse(a_inner, &b->traffic.inner[0]), 0);
	assert_int_equal(ip_parse(c_inner, &b->traffic.inner[1]), 0);
}

static struct bench_sa *outbound(
	struct bench_sink *s, const struct ip_addr *src, const struct ip_addr *dst)
{
	struct bench_sa *sa, *newest = NULL;
	uint32_t tunnel = bench_sink_route(s, dst);
	LIST_FOREACH (sa, &s->sas, link) {
		if (sa->spec.dir == SA_OUT && sa->spec.tunnel == tunnel && sa->switched &&
			(!newest || sa->order > newest->order) && bench_sink_matches(sa, src, dst))
			newest = sa;
	}
	return newest;
}

static struct bench_sa *inbound(struct bench_node *n, uint32_t spi)
{
	struct bench_sa *sa = n->engine ? bench_sink_find(&n->sink, spi, SA_IN) : NULL;
	return sa && sa->installed ? sa : NULL;
}

static void lost(struct bench *b, unsigned from, uint32_t spi, uint64_t sent_ns)
{
	struct bench_traffic *t = &b->traffic;
	if (t->lost++ > 0)
		return;
	t->lost_ns = sent_ns;
	t->lost_spi = spi;
	t->lost_from = from;
}

static void send_from(struct bench *b, unsigned i)
{
	struct bench_traffic *t = &b->traffic;
	struct bench_node *n = t->node[i], *peer = t->node[!i];
	struct bench_sa *out = n->engine ? outbound(&n->sink, &t->inner[i], &t->inner[!i]) : NULL;
	t->sent++;
	if (!out) {
		lost(b, i, 0, b->now_ns);
		return;
	}
	// Both sides have it: then with the same keys, and for the same packets.
	struct bench_sa *in = inbound(peer, out->spec.spi);
	if (in && (!bench_sink_fit(&in->spec, &out->spec) ||
			  !bench_sink_matches(in, &t->inner[!i], &t->inner[i])))
		fail_msg("%s and %s differ in SA %08x", n->name, peer->name, out->spec.spi);
	if (!t->silent) {
		out->counters.packets++;
		out->counters.last_used_ns = b->now_ns;
	}
	static struct bench_packet p; // large, and its bytes are not used
	p.esp = out->spec.spi;
	p.from.addr = n->addr;
	p.to.addr = peer->addr;
	p.number = b->now_ns;
	bench_enqueue(b, &p, b->now_ns + BENCH_LATENCY);
}

void bench_traffic_send(struct bench *b)
{
	if (!b->traffic.node[0])
		return;
	send_from(b, 0);
	send_from(b, 1);
}

void bench_traffic_arrive(struct bench *b, const struct bench_packet *p)
{
	struct bench_traffic *t = &b->traffic;
	struct bench_node *n = bench_node_at(b, &p->to.addr);
	struct bench_sa *in = inbound(n, p->esp);
	unsigned from = n == t->node[0];
	if (!in || !bench_sink_leads_back(&n->sink, in, &t->inner[from]))
		lost(b, from, p->esp, p->number);
	if (in && !t->silent)
		bench_sink_received(&n->sink, in);
}

bool bench_traffic_first(struct bench *b)
{
	struct bench_packet *p;
	STAILQ_FOREACH (p, &b->packets, link) {
		if (!p->esp || p->due_ns > b->now_ns)
			continue;
		struct bench_sa *in = inbound(bench_node_at(b, &p->to.addr), p->esp);
		if (in && !in->used && !b->traffic.silent)
			return true;
	}
	return false;
}
