// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The ESP path against the crypto library alone; bench.h says of what parts it is made, and
// docs/performance.md how figures come about.
#include "perf/bench.h"

#include "base/log.h"

#include <stdlib.h>

static bool cycles(struct bench *b, enum bench_direction d, unsigned size)
{
	struct bench_row row;
	if (!bench_measure(b, d, size, &row))
		return false;
	if (b->o.json)
		bench_json_row(&row);
	else
		bench_text_row(&row);
	return true;
}

static bool rows(struct bench *b)
{
	static bool (*const measure[])(struct bench *, enum bench_direction, unsigned) = {
		[BENCH_CYCLES] = cycles,
		[BENCH_HANDOFF] = bench_handoff,
		[BENCH_UPDATES] = bench_updates,
		[BENCH_LATENCY] = bench_latency,
	};
	bool ok = true;
	for (unsigned i = 0; i < b->o.sizes.n; i++) {
		for (int d = BENCH_IN; d <= BENCH_OUT; d++) {
			if (!b->o.direction[d])
				continue;
			b->direction = (enum bench_direction)d;
			b->size = b->o.sizes.v[i];
			ok = measure[b->o.mode](b, b->direction, b->size) && ok;
		}
	}
	return ok;
}

static bool tables(struct bench *b)
{
	bool ok = true;
	for (unsigned i = 0; i < b->o.suite_count; i++) {
		struct bench_suite suite;
		bench_suite_parse(b->o.suites[i], &suite);
		for (unsigned k = 0; k < b->o.tunnels.n; k++) {
			bench_gateway_start(b, &suite, b->o.tunnels.v[k]);
			ok = rows(b) && ok;
			bench_gateway_stop(b);
		}
	}
	return ok;
}

int main(int argc, char **argv)
{
	static struct bench b;
	log_set_level(LOG_WARNING);
	bench_options_parse(argc, argv, &b.o);
	bench_eal_start(&b);
	if (b.o.json)
		bench_json_begin();
	bool ok = tables(&b);
	if (b.o.json)
		bench_json_end();
	return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}
