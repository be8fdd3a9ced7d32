// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The ESP path against the crypto library alone; bench.h says of what parts it is made, and
// docs/performance.md how figures come about.
#include "perf/bench.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

static enum bench_outcome cycles(struct bench *b)
{
	struct bench_row row;
	enum bench_outcome got = bench_measure(b, &row);
	if (got != BENCH_FINE)
		return got;
	if (b->o.json)
		bench_json_row(&row);
	else
		bench_text_row(&row);
	return BENCH_FINE;
}

static enum bench_outcome worse(enum bench_outcome a, enum bench_outcome b)
{
	if (a == BENCH_LOST || b == BENCH_LOST)
		return BENCH_LOST;
	return a == BENCH_FINE ? b : a;
}

// Half of the time is for repetitions too; a row that begins in the last quarter might not end in it.
static void set_times(struct bench *b)
{
	uint64_t now = clock_now_ns(&clock_system), all = b->o.seconds * NS_PER_S;
	b->hurry_ns = all ? now + all / 2 : UINT64_MAX;
	b->late_ns = all ? now + all / 4 * 3 : UINT64_MAX;
}

bool bench_hurries(const struct bench *b)
{
	return clock_now_ns(&clock_system) >= b->hurry_ns;
}

static bool is_late(const struct bench *b)
{
	return clock_now_ns(&clock_system) >= b->late_ns;
}

static enum bench_outcome left_out(struct bench *b, unsigned n)
{
	b->left_out += n;
	return BENCH_LATE;
}

static unsigned directions(const struct bench *b)
{
	return b->o.direction[BENCH_IN] + b->o.direction[BENCH_OUT];
}

static enum bench_outcome rows(struct bench *b)
{
	static enum bench_outcome (*const measure[])(struct bench *) = {
		[BENCH_CYCLES] = cycles,
		[BENCH_HANDOFF] = bench_handoff,
		[BENCH_SCALE] = bench_scale,
		[BENCH_UPDATES] = bench_updates,
		[BENCH_LATENCY] = bench_latency,
	};
	enum bench_outcome all = BENCH_FINE;
	for (unsigned i = 0; i < b->o.sizes.n; i++) {
		for (int d = BENCH_IN; d <= BENCH_OUT; d++) {
			if (!b->o.direction[d])
				continue;
			b->direction = (enum bench_direction)d;
			b->size = b->o.sizes.v[i];
			all = worse(all, is_late(b) ? left_out(b, 1) : measure[b->o.mode](b));
		}
	}
	return all;
}

static enum bench_outcome tables(struct bench *b)
{
	enum bench_outcome all = BENCH_FINE;
	for (unsigned i = 0; i < b->o.suite_count; i++) {
		struct bench_suite suite;
		bench_suite_parse(b->o.suites[i], &suite);
		for (unsigned k = 0; k < b->o.tunnels.n; k++) {
			if (is_late(b)) {
				all = worse(all, left_out(b, b->o.sizes.n * directions(b)));
				continue;
			}
			bench_gateway_start(b, &suite, b->o.tunnels.v[k]);
			if (b->o.direction[BENCH_IN])
				bench_introduce(b);
			all = worse(all, rows(b));
			bench_gateway_stop(b);
		}
	}
	return all;
}

int main(int argc, char **argv)
{
	static struct bench b;
	log_set_level(LOG_WARNING);
	bench_options_parse(argc, argv, &b.o);
	set_times(&b);
	bench_eal_start(&b);
	if (b.o.json)
		bench_json_begin();
	enum bench_outcome all = tables(&b);
	if (b.o.json)
		bench_json_end();
	if (b.left_out)
		fprintf(stderr, "esp_bench: %u seconds are over: %u rows are left out\n",
			b.o.seconds, b.left_out);
	return (int)all;
}
