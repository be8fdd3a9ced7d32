// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/grace.h"

#include "dataplane/trace.h"

// Requests are numbered; one period at a time runs, for all that were asked for before it began.
static uint64_t ask(void *ctx)
{
	struct dp *d = ctx;
	return ++d->grace.asked;
}

static bool reached(void *ctx, uint64_t n)
{
	const struct dp *d = ctx;
	return d->grace.done >= n;
}

void dp_grace_init(struct dp *d)
{
	dp_dst_set_grace(d->dst, &(struct dp_grace){.ctx = d, .passed = ask, .reached = reached});
}

static uint64_t passes(const struct dp_worker *w)
{
	return atomic_load_explicit(&w->passes, memory_order_acquire);
}

static void begin(struct dp *d)
{
	d->grace.running = d->grace.asked;
	for (uint16_t i = 0; i < d->worker_count; i++)
		d->grace.from[i] = passes(d->workers[i]);
}

static bool all_passed(const struct dp *d)
{
	for (uint16_t i = 0; i < d->worker_count; i++)
		if (passes(d->workers[i]) == d->grace.from[i])
			return false;
	return true;
}

void dp_grace_tick(struct dp *d)
{
	if (d->grace.asked == d->grace.done)
		return;
	if (d->grace.running == d->grace.done)
		begin(d);
	else if (all_passed(d))
		d->grace.done = d->grace.running;
	dp_dst_tick(d->dst);
	dp_trace_tick(d);
}
