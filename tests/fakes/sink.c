// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/fakes/sink.h"

#include <stdlib.h>
#include <string.h>

struct fake_sink_event {
	STAILQ_ENTRY(fake_sink_event) link;
	struct sa_event ev;
};

static uint16_t worker_of(void *ctx, const struct ip_addr *inner)
{
	return 0;
}

static int spi_reserve(void *ctx, uint16_t worker, const struct tunnel_path *path, uint32_t *spi)
{
	struct fake_sink *s = ctx;
	*spi = 0x10000000u + s->next_spi++;
	return 0;
}

static void spi_release(void *ctx, uint32_t spi)
{
}

static int tunnel_add(void *ctx, const struct tunnel_spec *spec, uint32_t *tunnel)
{
	struct fake_sink *s = ctx;
	*tunnel = ++s->next_tunnel;
	return 0;
}

static void tunnel_del(void *ctx, uint32_t tunnel)
{
}

static int route_add(void *ctx, uint32_t tunnel, const struct ip_prefix *dst)
{
	return 0;
}

static void route_del(void *ctx, uint32_t tunnel, const struct ip_prefix *dst)
{
}

static int route_move(void *ctx, uint32_t from, uint32_t to, const struct ip_prefix *dst)
{
	return 0;
}

static void tunnel_family(void *ctx, uint32_t tunnel, uint64_t family)
{
}

static void tunnel_move(void *ctx, uint32_t tunnel, const struct tunnel_path *path)
{
}

static void tunnel_pmtu(void *ctx, uint32_t tunnel, uint16_t mtu)
{
}

static uint16_t tunnel_mtu(void *ctx, uint32_t tunnel)
{
	return 1500;
}

// Without memory the event is lost, and what waits for it ends by its time limit.
static void event(struct fake_sink *s, enum sa_event_type type, uint32_t child, enum sa_dir dir)
{
	struct fake_sink_event *e = calloc(1, sizeof(*e));
	if (!e)
		return;
	e->ev = (struct sa_event){.type = type, .dir = dir, .child = child};
	STAILQ_INSERT_TAIL(&s->events, e, link);
}

static int sa_add(void *ctx, const struct sa_spec *spec)
{
	if (spec->dir == SA_IN)
		event(ctx, SA_EVENT_INSTALLED, spec->child, SA_IN);
	return 0;
}

static void sa_switch(void *ctx, uint32_t child)
{
}

static void sa_del(void *ctx, uint32_t child, enum sa_dir dir)
{
	event(ctx, SA_EVENT_RETURNED, child, dir);
}

static bool sa_stats(void *ctx, uint32_t child, enum sa_dir dir, struct sa_counters *out)
{
	memset(out, 0, sizeof(*out));
	return true;
}

static void ike_spi(void *ctx, uint64_t spi, bool known)
{
}

static bool congested(void *ctx)
{
	return false;
}

void fake_sink_init(struct fake_sink *s)
{
	*s = (struct fake_sink){
		.sink = {.ctx = s,
			.workers = 1,
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
			.congested = congested},
	};
	STAILQ_INIT(&s->events);
}

bool fake_sink_event(struct fake_sink *s, struct sa_event *out)
{
	struct fake_sink_event *e = STAILQ_FIRST(&s->events);
	if (!e)
		return false;
	STAILQ_REMOVE_HEAD(&s->events, link);
	*out = e->ev;
	free(e);
	return true;
}

void fake_sink_fini(struct fake_sink *s)
{
	struct sa_event ev;
	while (fake_sink_event(s, &ev))
		;
}
