// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A data plane that only records, and holds the engine to the contract of sa_msg.h.
#include "tests/engine/bench.h"

#include "controlplane/exchange.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t sa_hash(uint32_t child, enum sa_dir dir)
{
	return (uint64_t)child << 1 | (dir == SA_IN);
}

struct bench_sa *bench_sink_find(struct bench_sink *s, uint32_t child, enum sa_dir dir)
{
	struct htab_node *n = htab_first(&s->sa_table, sa_hash(child, dir));
	return n ? container_of(n, struct bench_sa, node) : NULL;
}

static struct bench_tunnel *tunnel_find(struct bench_sink *s, uint32_t id)
{
	struct htab_node *n = htab_first(&s->tunnel_table, id);
	return n ? container_of(n, struct bench_tunnel, node) : NULL;
}

static struct bench_spi *spi_find(struct bench_sink *s, uint32_t spi)
{
	struct htab_node *n = htab_first(&s->spis, spi);
	return n ? container_of(n, struct bench_spi, node) : NULL;
}

static uint64_t route_hash(const struct ip_prefix *dst)
{
	static const uint8_t key[16];
	return siphash13(key, dst->addr.bytes, sizeof(dst->addr.bytes)) ^ dst->bits;
}

static struct bench_route *route_find(struct bench_sink *s, const struct ip_prefix *dst)
{
	struct htab_node *n = htab_first(&s->routes, route_hash(dst));
	for (; n; n = htab_next(n)) {
		struct bench_route *r = container_of(n, struct bench_route, node);
		if (ip_prefix_eq(&r->dst, dst))
			return r;
	}
	return NULL;
}

static uint16_t worker_of(void *ctx, const struct ip_addr *inner)
{
	unsigned sum = 0;
	for (size_t i = 0; i < sizeof(inner->bytes); i++)
		sum += inner->bytes[i];
	return (uint16_t)(sum % BENCH_WORKERS);
}

// Of this worker; by number, so that runs repeat, but as if by chance: no two nodes have the same.
static uint32_t spi_make(struct bench_sink *s, uint16_t worker)
{
	uint64_t z = ++s->next_spi + ((uint64_t)s->node->addr.bytes[0] << 32);
	z = (z ^ z >> 31) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	uint32_t spi = 0x10000000u | ((uint32_t)(z >> 33) & 0x0fffffffu);
	return spi - spi % BENCH_WORKERS + worker;
}

static int spi_reserve(void *ctx, uint16_t worker, const struct tunnel_path *path, uint32_t *spi)
{
	struct bench_sink *s = ctx;
	assert_true(worker < BENCH_WORKERS);
	if (s->fail_spi > 0 && s->fail_spi--)
		return -ENOSPC;
	struct bench_spi *p = calloc(1, sizeof(*p));
	assert_non_null(p);
	do
		p->spi = spi_make(s, worker);
	while (spi_find(s, p->spi));
	p->worker = worker;
	htab_insert(&s->spis, &p->node, p->spi);
	*spi = p->spi;
	return 0;
}

static void spi_drop(struct bench_sink *s, struct bench_spi *p)
{
	htab_remove(&s->spis, &p->node);
	free(p);
}

static void spi_release(void *ctx, uint32_t spi)
{
	struct bench_spi *p = spi_find(ctx, spi);
	assert_non_null(p);
	assert_false(p->added); // an installed one is freed with its SAs
	spi_drop(ctx, p);
}

static int tunnel_add(void *ctx, const struct tunnel_spec *spec, uint32_t *tunnel)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	assert_true(spec->worker < BENCH_WORKERS);
	t->id = ++s->next_tunnel;
	t->spec = *spec;
	LIST_INSERT_HEAD(&s->tunnels, t, link);
	htab_insert(&s->tunnel_table, &t->node, t->id);
	s->tunnel_count++;
	*tunnel = t->id;
	return 0;
}

void bench_sink_event(struct bench_sink *s, const struct sa_event *ev)
{
	struct bench_event *e = calloc(1, sizeof(*e));
	assert_non_null(e);
	e->ev = *ev;
	e->due_ns = s->node->bench->now_ns;
	if (ev->type == SA_EVENT_INSTALLED)
		e->due_ns += s->hold_installs ? 3600 * NS_PER_S : s->install_delay_ns;
	STAILQ_INSERT_TAIL(&s->events, e, link);
}

static void sa_return(struct bench_sink *s, struct bench_sa *sa)
{
	struct bench_tunnel *t = tunnel_find(s, sa->spec.tunnel);
	struct sa_event ev = {.type = SA_EVENT_RETURNED,
		.dir = sa->spec.dir,
		.child = sa->spec.child,
		.tunnel = sa->spec.tunnel,
		.session = t ? t->spec.session : 0,
		.counters = sa->counters};
	bench_sink_event(s, &ev);
	LIST_REMOVE(sa, link);
	htab_remove(&s->sa_table, &sa->node);
	secret_wipe(&sa->spec, sizeof(sa->spec));
	free(sa);
	s->dels++;
}

static void sa_del(void *ctx, uint32_t child, enum sa_dir dir)
{
	struct bench_sink *s = ctx;
	struct bench_sa *sa = bench_sink_find(s, child, dir);
	assert_non_null(sa); // a delete without an add, or a second one
	sa_return(s, sa);
	struct bench_spi *p = spi_find(s, child);
	if (p && !bench_sink_find(s, child, SA_IN) && !bench_sink_find(s, child, SA_OUT))
		spi_drop(s, p);
}

static void route_drop(struct bench_sink *s, const struct ip_prefix *dst)
{
	struct bench_route *r = route_find(s, dst);
	htab_remove(&s->routes, &r->node);
	free(r);
}

static void tunnel_del(void *ctx, uint32_t tunnel)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *t = tunnel_find(s, tunnel);
	struct bench_sa *sa, *next;
	assert_non_null(t);
	for (sa = LIST_FIRST(&s->sas); sa; sa = next) {
		next = LIST_NEXT(sa, link);
		if (sa->spec.tunnel == tunnel)
			sa_del(s, sa->spec.child, sa->spec.dir);
	}
	for (unsigned i = 0; i < t->route_count; i++)
		route_drop(s, &t->routes[i]);
	LIST_REMOVE(t, link);
	htab_remove(&s->tunnel_table, &t->node);
	free(t);
	s->tunnel_count--;
}

static void route_put(struct bench_sink *s, struct bench_tunnel *t, const struct ip_prefix *dst)
{
	struct bench_route *r = calloc(1, sizeof(*r));
	assert_non_null(r);
	assert_true(t->route_count < sizeof(t->routes) / sizeof(t->routes[0]));
	t->routes[t->route_count++] = *dst;
	r->dst = *dst;
	r->tunnel = t->id;
	htab_insert(&s->routes, &r->node, route_hash(dst));
}

static int route_add(void *ctx, uint32_t tunnel, const struct ip_prefix *dst)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *mine = tunnel_find(s, tunnel);
	assert_non_null(mine);
	if (s->fail_route > 0 && s->fail_route--)
		return -ENOSPC;
	const struct bench_route *there = route_find(s, dst);
	if (there) {
		assert_int_not_equal(there->tunnel, tunnel); // the same one twice
		return -EEXIST;
	}
	route_put(s, mine, dst);
	return 0;
}

static void route_del(void *ctx, uint32_t tunnel, const struct ip_prefix *dst)
{
	struct bench_tunnel *t = tunnel_find(ctx, tunnel);
	assert_non_null(t);
	for (unsigned i = 0; i < t->route_count; i++)
		if (ip_prefix_eq(&t->routes[i], dst)) {
			t->routes[i] = t->routes[--t->route_count];
			route_drop(ctx, dst);
			return;
		}
	fail_msg("route_del of a route that is not there");
}

static int route_move(void *ctx, uint32_t from, uint32_t to, const struct ip_prefix *dst)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *t = tunnel_find(s, to);
	assert_non_null(t);
	assert_int_not_equal(from, to);
	if (s->fail_route > 0 && s->fail_route--)
		return -ENOENT;
	route_del(s, from, dst);
	route_put(s, t, dst);
	return 0;
}

static void tunnel_family(void *ctx, uint32_t tunnel, uint64_t family)
{
	struct bench_tunnel *t = tunnel_find(ctx, tunnel);
	assert_non_null(t);
	t->family = family;
}

static void tunnel_move(void *ctx, uint32_t tunnel, const struct tunnel_path *path)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *t = tunnel_find(s, tunnel);
	assert_non_null(t);
	t->spec.path = *path;
	t->moves++;
	s->moves++;
}

static void tunnel_pmtu(void *ctx, uint32_t tunnel, uint16_t outer_mtu)
{
	assert_non_null(tunnel_find(ctx, tunnel));
}

static uint16_t tunnel_mtu(void *ctx, uint32_t tunnel)
{
	assert_non_null(tunnel_find(ctx, tunnel));
	return 1500;
}

static int sa_add(void *ctx, const struct sa_spec *spec)
{
	struct bench_sink *s = ctx;
	struct bench_tunnel *t = tunnel_find(s, spec->tunnel);
	struct bench_spi *p = spi_find(s, spec->child);
	assert_non_null(t);
	assert_non_null(p); // never reserved, or released
	assert_true(t->spec.per_worker || p->worker == t->spec.worker);
	assert_null(bench_sink_find(s, spec->child, spec->dir)); // twice
	assert_true(spec->dir == SA_OUT || spec->spi == spec->child);
	assert_true(spec->ts_local_count > 0 && spec->ts_remote_count > 0);
	if (s->fail_add > 0 && s->fail_add--)
		return -ENOSPC;
	struct bench_sa *sa = calloc(1, sizeof(*sa));
	assert_non_null(sa);
	sa->spec = *spec;
	LIST_INSERT_HEAD(&s->sas, sa, link);
	htab_insert(&s->sa_table, &sa->node, sa_hash(spec->child, spec->dir));
	p->added = true;
	s->adds++;
	if (spec->dir == SA_IN) {
		struct sa_event ev = {.type = SA_EVENT_INSTALLED,
			.dir = SA_IN,
			.child = spec->child,
			.tunnel = spec->tunnel,
			.session = t->spec.session};
		bench_sink_event(s, &ev);
	}
	return 0;
}

static void sa_switch(void *ctx, uint32_t child)
{
	struct bench_sink *s = ctx;
	struct bench_sa *sa = bench_sink_find(s, child, SA_OUT);
	assert_non_null(sa);
	sa->switched = true;
	sa->order = ++s->next_order;
	s->switches++;
}

static bool sa_stats(void *ctx, uint32_t child, enum sa_dir dir, struct sa_counters *out)
{
	struct bench_sa *sa = bench_sink_find(ctx, child, dir);
	if (sa)
		*out = sa->counters;
	return sa != NULL;
}

static struct bench_ike_spi *ike_spi_find(struct bench_sink *s, uint64_t spi)
{
	struct htab_node *n = htab_first(&s->ike_spis, spi);
	return n ? container_of(n, struct bench_ike_spi, node) : NULL;
}

static void ike_spi_drop(struct bench_sink *s, struct bench_ike_spi *p)
{
	htab_remove(&s->ike_spis, &p->node);
	free(p);
}

static void ike_spi(void *ctx, uint64_t spi, bool known)
{
	struct bench_sink *s = ctx;
	struct bench_ike_spi *p = ike_spi_find(s, spi);
	assert_true(spi != 0);
	if (!known) {
		assert_non_null(p); // withdrawn without having been known, or a second time
		ike_spi_drop(s, p);
		return;
	}
	assert_null(p); // twice
	p = calloc(1, sizeof(*p));
	assert_non_null(p);
	p->spi = spi;
	htab_insert(&s->ike_spis, &p->node, spi);
}

bool bench_sink_knows(struct bench_sink *s, uint64_t spi)
{
	return ike_spi_find(s, spi) != NULL;
}

void bench_sink_check_spi(struct bench_sink *s, const struct ike_sa *sa)
{
	// IKEv1's peer is proven from phase 1's end on, and somebody may be typing a password.
	bool wanted = (sa->initiator || sa->state >= IKE_SA_LOGIN) && sa->state != IKE_SA_EXPIRED;
	// One that has ended stays as it was.
	if (sa->state != IKE_SA_DEAD && bench_sink_knows(s, ike_sa_our_spi(sa)) != wanted)
		fail_msg("%s: SPI %016llx of state %d is%s known", s->node->name,
			(unsigned long long)ike_sa_our_spi(sa), sa->state, wanted ? " not" : "");
}

static bool congested(void *ctx)
{
	struct bench_sink *s = ctx;
	return s->congested;
}

#define TABLES(s)                                                                            \
	{                                                                                    \
		&(s)->sa_table, &(s)->tunnel_table, &(s)->spis, &(s)->routes, &(s)->ike_spis \
	}
#define TABLE_COUNT 5

void bench_sink_init(struct bench_sink *s, struct bench_node *n)
{
	*s = (struct bench_sink){.node = n};
	s->sink = (struct sa_sink){.ctx = s,
		.workers = BENCH_WORKERS,
		.worker_of = worker_of,
		.spi_reserve = spi_reserve,
		.spi_release = spi_release,
		.tunnel_add = tunnel_add,
		.tunnel_del = tunnel_del,
		.route_add = route_add,
		.route_del = route_del,
		.route_move = route_move,
		.tunnel_family = tunnel_family,
		.tunnel_move = tunnel_move,
		.tunnel_pmtu = tunnel_pmtu,
		.tunnel_mtu = tunnel_mtu,
		.sa_add = sa_add,
		.sa_switch = sa_switch,
		.sa_del = sa_del,
		.sa_stats = sa_stats,
		.ike_spi = ike_spi,
		.congested = congested};
	LIST_INIT(&s->sas);
	LIST_INIT(&s->tunnels);
	STAILQ_INIT(&s->events);
	struct htab *tables[] = TABLES(s);
	for (unsigned i = 0; i < TABLE_COUNT; i++)
		assert_int_equal(htab_init(tables[i], 64), 0);
}

static void drop_all(struct htab *t, size_t node_at)
{
	size_t cursor = 0;
	struct htab_node *n = htab_walk(t, &cursor, NULL), *next;
	for (; n; n = next) {
		next = htab_walk(t, &cursor, n);
		htab_remove(t, n);
		free((char *)n - node_at);
	}
}

void bench_sink_fini(struct bench_sink *s, bool check)
{
	struct htab *tables[] = TABLES(s);
	struct bench_event *e;
	if (check) {
		assert_true(LIST_EMPTY(&s->sas));
		assert_true(LIST_EMPTY(&s->tunnels));
		assert_int_equal(s->spis.count, 0);
		assert_int_equal(s->ike_spis.count, 0);
	}
	while ((e = STAILQ_FIRST(&s->events))) {
		STAILQ_REMOVE_HEAD(&s->events, link);
		free(e);
	}
	drop_all(&s->sa_table, offsetof(struct bench_sa, node));
	drop_all(&s->tunnel_table, offsetof(struct bench_tunnel, node));
	drop_all(&s->spis, offsetof(struct bench_spi, node));
	drop_all(&s->routes, offsetof(struct bench_route, node));
	drop_all(&s->ike_spis, offsetof(struct bench_ike_spi, node));
	for (unsigned i = 0; i < TABLE_COUNT; i++)
		htab_fini(tables[i]);
}

uint64_t bench_sink_next(const struct bench_sink *s)
{
	const struct bench_event *e;
	uint64_t next = UINT64_MAX;
	STAILQ_FOREACH (e, &s->events, link) {
		if (e->due_ns < next)
			next = e->due_ns;
	}
	return next;
}

bool bench_sink_deliver(struct bench_sink *s)
{
	struct bench_event *e;
	STAILQ_FOREACH (e, &s->events, link) {
		if (e->due_ns <= s->node->bench->now_ns)
			break;
	}
	if (!e)
		return false;
	STAILQ_REMOVE(&s->events, e, bench_event, link);
	struct bench_sa *sa = bench_sink_find(s, e->ev.child, SA_IN);
	if (e->ev.type == SA_EVENT_INSTALLED && sa)
		sa->installed = true;
	if (e->ev.type != SA_EVENT_INSTALLED || sa)
		ike_sa_event(s->node->engine, &e->ev);
	free(e);
	return true;
}

void bench_sink_check_reply(struct bench_sink *s, const struct endpoint *to)
{
	struct bench_sa *sa;
	if (s->node->bench->allow_reply_before_install)
		return;
	LIST_FOREACH (sa, &s->sas, link) {
		struct bench_tunnel *t = tunnel_find(s, sa->spec.tunnel);
		if (sa->spec.dir == SA_IN && !sa->installed && t &&
			ip_eq(&t->spec.path.remote.addr, &to->addr))
			fail_msg("%s: a reply left before the inbound SA %08x could receive",
				s->node->name, sa->spec.spi);
	}
}

// ---- inner packets ----

static bool matches(const struct selector *ts, uint8_t n, const struct ip_addr *a)
{
	for (uint8_t i = 0; i < n; i++)
		if (ip_range_contains(&ts[i].range, a))
			return true;
	return false;
}

bool bench_sink_matches(
	const struct bench_sa *sa, const struct ip_addr *local, const struct ip_addr *remote)
{
	return matches(sa->spec.ts_local, sa->spec.ts_local_count, local) &&
	       matches(sa->spec.ts_remote, sa->spec.ts_remote_count, remote);
}

// The tunnel that the routes name: the longest prefix wins.
uint32_t bench_sink_route(const struct bench_sink *s, const struct ip_addr *dst)
{
	const struct bench_tunnel *t;
	uint32_t best = TUNNEL_NONE;
	int bits = -1;
	LIST_FOREACH (t, &s->tunnels, link) {
		for (unsigned i = 0; i < t->route_count; i++)
			if (t->routes[i].bits > bits && ip_prefix_contains(&t->routes[i], dst)) {
				bits = t->routes[i].bits;
				best = t->id;
			}
	}
	return best;
}

bool bench_sink_leads_back(
	struct bench_sink *s, const struct bench_sa *in, const struct ip_addr *remote)
{
	const struct bench_tunnel *t = tunnel_find(s, in->spec.tunnel);
	if (!t->spec.reverse_path)
		return true;
	const struct bench_tunnel *back = tunnel_find(s, bench_sink_route(s, remote));
	return back && (back == t || (back->family && back->family == t->family));
}

bool bench_sink_fit(const struct sa_spec *a, const struct sa_spec *b)
{
	return a->encr.id == b->encr.id && a->encr.key_bits == b->encr.key_bits &&
	       a->integ == b->integ && a->esn == b->esn && a->encr_key_len == b->encr_key_len &&
	       a->integ_key_len == b->integ_key_len && a->encr_key_len + a->integ_key_len > 0 &&
	       memcmp(a->encr_key, b->encr_key, a->encr_key_len) == 0 &&
	       memcmp(a->integ_key, b->integ_key, a->integ_key_len) == 0;
}

void bench_sink_received(struct bench_sink *s, struct bench_sa *in)
{
	in->counters.packets++;
	in->counters.last_used_ns = s->node->bench->now_ns;
	if (in->used)
		return;
	struct bench_tunnel *t = tunnel_find(s, in->spec.tunnel);
	struct sa_event ev = {.type = SA_EVENT_FIRST_IN,
		.dir = SA_IN,
		.child = in->spec.child,
		.tunnel = in->spec.tunnel,
		.session = t->spec.session};
	in->used = true;
	bench_sink_event(s, &ev);
}

bool bench_traffic(struct bench_node *a, struct bench_node *b, const char *src, const char *dst)
{
	struct ip_addr from, to;
	struct bench_sa *sa, *out = NULL, *in = NULL;
	assert_int_equal(ip_parse(src, &from), 0);
	assert_int_equal(ip_parse(dst, &to), 0);
	LIST_FOREACH (sa, &a->sink.sas, link) {
		if (sa->spec.dir == SA_OUT && sa->switched && (!out || sa->order > out->order) &&
			bench_sink_matches(sa, &from, &to))
			out = sa;
	}
	if (!out)
		return false;
	LIST_FOREACH (sa, &b->sink.sas, link) {
		if (sa->spec.dir == SA_IN && sa->spec.spi == out->spec.spi && sa->installed &&
			bench_sink_fit(&sa->spec, &out->spec))
			in = sa;
	}
	if (!in || !bench_sink_matches(in, &to, &from))
		return false;
	// What does not lead back is looked at after it was authenticated.
	bool back = bench_sink_leads_back(&b->sink, in, &from);
	out->counters.packets++;
	out->counters.last_used_ns = a->bench->now_ns;
	bench_sink_received(&b->sink, in);
	return back;
}
