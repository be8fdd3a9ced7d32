// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// pool_bench [--leases N] [--workers N] [--range PREFIX] [--json]: what it costs to give out and
// take back N addresses of one pool, each to an owner of its own.
#include "pools/pools.h"

#include <errno.h>
#include <malloc.h>
#include <stdlib.h>

struct bench {
	unsigned long leases;
	unsigned long workers;
	const char *range;
	bool json;
};

static uint16_t worker_of(void *ctx, const struct ip_addr *a)
{
	const struct bench *b = ctx;
	uint64_t h = 0;
	for (size_t i = 0; i < 16; i++)
		h = (h ^ a->bytes[i]) * 0x9e3779b97f4a7c15ull;
	return (uint16_t)((h >> 40) % b->workers);
}

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

static int usage(void)
{
	fputs("usage: pool_bench [--leases N] [--workers N] [--range PREFIX] [--json]\n", stderr);
	return 2;
}

static bool number(const char *text, unsigned long max, unsigned long *out)
{
	char *end;
	unsigned long v = text ? strtoul(text, &end, 10) : 0;
	if (!text || *end || v == 0 || v > max)
		return false;
	*out = v;
	return true;
}

static bool parse_args(int argc, char **argv, struct bench *b)
{
	for (int i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		if (strcmp(argv[i], "--json") == 0) {
			b->json = true;
			continue;
		}
		if (strcmp(argv[i], "--leases") == 0) {
			if (!number(value, 1ul << 24, &b->leases))
				return false;
		} else if (strcmp(argv[i], "--workers") == 0) {
			if (!number(value, 64, &b->workers))
				return false;
		} else if (strcmp(argv[i], "--range") == 0 && value) {
			b->range = value;
		} else {
			return false;
		}
		i++;
	}
	return true;
}

struct result {
	uint64_t load_ns, alloc_ns, free_ns, bytes;
};

static size_t heap(void)
{
	struct mallinfo2 m = mallinfo2();
	return m.uordblks + m.hblkhd;
}

// Every lease is acquired, renewed and released once; acquire and renew count as allocation.
static int run(
	const struct bench *b, const struct cfg *cfg, struct lease *leases, struct result *out)
{
	struct pools_seams seams = {
		.clock = &clock_system,
		.random = &random_system,
		.workers = (uint16_t)b->workers,
		.worker_of = worker_of,
		.ctx = (void *)(uintptr_t)b,
	};
	struct address_source source;
	struct pools *pools;
	uint64_t start = now_ns();
	int rc = pools_new(cfg, &seams, &pools);
	if (rc)
		return rc;
	out->load_ns = now_ns() - start;
	pools_source(pools, &source);
	size_t before = heap();
	start = now_ns();
	for (unsigned long i = 0; rc == 0 && i < b->leases; i++) {
		char user[32];
		snprintf(user, sizeof(user), "user%lu", i);
		struct address_request rq = {
			.pool = &cfg->pools[0],
			.owner = {.user = user, .name = user},
			.worker = (uint16_t)(i % b->workers),
		};
		if (source.acquire(source.ctx, &rq, &leases[i]) != ADDRESS_OK)
			rc = -ENOSPC;
		else if (!source.renew(source.ctx, &leases[i], 1))
			rc = -ESTALE;
	}
	out->alloc_ns = now_ns() - start;
	out->bytes = heap() - before;
	start = now_ns();
	for (unsigned long i = 0; rc == 0 && i < b->leases; i++)
		source.release(source.ctx, &leases[i]);
	out->free_ns = now_ns() - start;
	pools_free(pools);
	return rc;
}

static void report(const struct bench *b, const struct result *r)
{
	double n = (double)b->leases;
	double ops = 2 * n / ((double)(r->alloc_ns + r->free_ns) / (double)NS_PER_S);
	const char *format =
		b->json ? "{\"leases\": %lu, \"ops_per_s\": %.0f, \"ns_per_alloc\": %.1f, "
			  "\"ns_per_free\": %.1f, \"bytes_per_lease\": %.1f, "
			  "\"load_ms\": %.3f, \"workers\": %lu}\n"
			: "leases           %12lu\n"
			  "operations/s     %12.0f\n"
			  "ns/allocation    %12.1f\n"
			  "ns/release       %12.1f\n"
			  "bytes/lease      %12.1f\n"
			  "load, ms         %12.3f\n"
			  "workers          %12lu\n";
	printf(format, b->leases, ops, (double)r->alloc_ns / n, (double)r->free_ns / n,
		(double)r->bytes / n, (double)r->load_ns / (double)NS_PER_MS, b->workers);
}

int main(int argc, char **argv)
{
	struct bench b = {.leases = 100000, .workers = 4, .range = "10.0.0.0/8"};
	struct result r = {0};
	struct cfg *cfg;
	char text[256];
	if (!parse_args(argc, argv, &b))
		return usage();
	snprintf(text, sizeof(text),
		"pools = ( { name = \"bench\"; ranges = [ \"%s\" ]; linger_s = 0; } );\n", b.range);
	if (cfg_load_text("bench", text, NULL, &cfg) != 0)
		return usage();
	struct lease *leases = calloc(b.leases, sizeof(*leases));
	int rc = leases ? run(&b, cfg, leases, &r) : -ENOMEM;
	if (rc)
		fprintf(stderr, "pool_bench: %s\n", strerror(-rc));
	else
		report(&b, &r);
	free(leases);
	cfg_free(cfg);
	return rc != 0;
}
