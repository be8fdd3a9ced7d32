// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Is there at every moment a child SA for a destination's packets, and does it still exist where they
// arrive: watched step by step, without sending any.
#pragma once

#include "tests/engine/bench.h"

struct carried {
	struct bench_node *from, *to;
	const char *dst;
	// what was found
	uint64_t lost; // steps without
	uint32_t spi, before;
	uint64_t before_until_ns;
};

static inline bool carried_arrives(struct bench_node *to, uint32_t spi)
{
	struct bench_sa *sa = bench_sink_find(&to->sink, spi, SA_IN);
	return sa && sa->installed;
}

// The outbound SPI that a packet to dst takes now; 0: none.
static inline uint32_t carried_by(struct bench_node *n, const struct ip_addr *dst)
{
	struct bench_tunnel *t;
	struct bench_sa *sa, *best = NULL;
	LIST_FOREACH (t, &n->sink.tunnels, link) {
		bool leads = false;
		for (unsigned i = 0; i < t->route_count; i++)
			leads |= ip_prefix_contains(&t->routes[i], dst);
		if (!leads)
			continue;
		LIST_FOREACH (sa, &n->sink.sas, link)
			if (sa->spec.tunnel == t->id && sa->spec.dir == SA_OUT && sa->switched &&
				selector_matches(&sa->spec.ts_remote[0], dst, 0, 0) &&
				(!best || sa->order > best->order))
				best = sa;
	}
	return best ? best->spec.spi : 0;
}

static inline void carried_look(struct carried *c)
{
	struct ip_addr dst;
	uint64_t now = c->from->bench->now_ns;
	assert_int_equal(ip_parse(c->dst, &dst), 0);
	uint32_t spi = carried_by(c->from, &dst);
	if (spi != c->spi) {
		c->before = c->spi;
		c->before_until_ns = now;
		c->spi = spi;
	}
	bool good = spi && carried_arrives(c->to, spi);
	if (c->before && now < c->before_until_ns + BENCH_LATENCY) // still on the wire
		good &= carried_arrives(c->to, c->before);
	if (!good && c->lost++ == 0)
		print_error("# %s to %s: lost at %llu ms (%08x, before %08x)\n", c->from->name,
			c->dst, (unsigned long long)(now / NS_PER_MS), spi, c->before);
}

struct carried_set {
	struct carried *items;
	unsigned count;
};

static inline bool carried_step(void *arg)
{
	struct carried_set *s = arg;
	for (unsigned i = 0; i < s->count; i++)
		carried_look(&s->items[i]);
	return false;
}

static inline void carried_run(struct bench *b, struct carried_set *s, uint64_t ms)
{
	(void)bench_run_until(b, carried_step, s, ms);
}
