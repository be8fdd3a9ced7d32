// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "perf/bench.h"

#include <stdio.h>

static unsigned printed;

void bench_json_begin(void)
{
	printf("[");
}

static void stages(const struct bench_row *r)
{
	printf("\"stages\":{");
	for (unsigned i = 0; i < r->stage_count; i++)
		printf("%s\"%s\":%.1f", i ? "," : "", r->stages[i].name, r->stages[i].cycles);
	printf("}");
}

static const char *direction(const struct bench_row *r)
{
	return r->direction == BENCH_OUT ? "out" : "in";
}

const char *bench_size_text(unsigned size, const char *quote, char buf[static 16])
{
	if (size == BENCH_IMIX)
		snprintf(buf, 16, "%simix%s", quote, quote);
	else
		snprintf(buf, 16, "%u", size);
	return buf;
}

static void head(const struct bench_row *r)
{
	char buf[16];
	printf("%s\n {\"direction\":\"%s\",\"suite\":\"%s\",\"size\":%s,\"tunnels\":%u,"
	       "\"workers\":%u,\"order\":\"%s\",",
		printed++ ? "," : "", direction(r), r->suite, bench_size_text(r->size, "\"", buf),
		r->tunnels, r->workers, bench_order_name[r->order]);
}

void bench_json_head(const struct bench *b)
{
	struct bench_row r = {.direction = b->direction,
		.suite = b->suite.name,
		.size = b->size,
		.tunnels = b->tunnel_count,
		.workers = b->lane_count,
		.order = b->o.order};
	head(&r);
}

void bench_json_row(const struct bench_row *r)
{
	head(r);
	printf("\"gateway_cycles\":%.1f,\"crypto_cycles\":%.1f,\"ratio\":%.4f,\"mpps\":%.4f,"
	       "\"gbps\":%.4f,",
		r->gateway, r->bound, r->bound / r->gateway, r->mpps, r->gbps);
	stages(r);
	printf("}");
	fflush(stdout);
}

void bench_json_end(void)
{
	printf("\n]\n");
}

void bench_text_row(const struct bench_row *r)
{
	char buf[16], disturbed[32] = "";
	if (r->disturbed > 0)
		snprintf(disturbed, sizeof(disturbed), " (%.0f %% of runs disturbed)",
			r->disturbed * 100);
	printf("%-3s %s %4s B %5u tunnels: gateway %6.1f cycles/packet, crypto %6.1f (one key %.1f), "
	       "ratio %.3f, %.2f Mpps, %.2f Gbit/s%s\n",
		direction(r), r->suite, bench_size_text(r->size, "", buf), r->tunnels, r->gateway,
		r->bound, r->one_key > 0 ? r->one_key : r->bound, r->bound / r->gateway, r->mpps,
		r->gbps, disturbed);
	for (unsigned i = 0; i < r->stage_count; i++)
		printf("      %-10s %6.1f\n", r->stages[i].name, r->stages[i].cycles);
	fflush(stdout);
}
