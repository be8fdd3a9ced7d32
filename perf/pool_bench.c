// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// pool_bench [--leases N] [--workers N] [--range RANGE] [--dir DIR] [--json]: what it costs to give out and
// take back N addresses of one pool, each to an owner of its own ("userN").
//
// The pool is filled once (first), then in rounds emptied and filled again: the leases in the order
// in which they were given (in_order) or in a random one (random), owners in a random order in both.
// Without --range the pool has a few percent more addresses than leases, so that from the third round on, as
// after some weeks of service, none is left that was never used.
// Then steady: the pool stays full, one lease ends and another owner gets one, at random, which is
// what a headend does; its figures are those without a prefix.
// At last pools and lease store together (pool_bench_store.c), on the disk of DIR or of ".".
#include "perf/pool_bench.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE   ((size_t)2 << 20)
#define ROUNDS 3        // the median counts
#define MANY   3000000u // leases, of which one round takes long enough to be steady
#define AHEAD  8 // that many releases earlier the pools hear of one: a session needs longer to end

// Where a session has its lease: one line, as of what it is at work with.
struct holder {
	_Alignas(64) struct lease lease;
};

#define BATCH 64u // between two looks at the clock

// What a session has ready when it asks for an address.
struct asking {
	uint32_t at;
	uint16_t worker;
	char user[16];
};

struct bench {
	unsigned long leases, workers;
	const char *range;
	const char *dir; // for the store
	bool json;
	struct cfg *cfg;
	struct pools *pools;
	struct address_source source;
	struct holder *held;
	uint32_t *order; // leases
	uint32_t *users; // who holds them; the last one of all is always without
	uint64_t seed;
};

// Nanoseconds for one.
struct cost {
	double alloc, free;
};

struct result {
	struct cost first, in_order, random, steady;
	double bytes, load_ms;
};

static uint16_t worker_of(void *ctx, const struct ip_addr *a)
{
	const struct bench *b = ctx;
	uint64_t h;
	memcpy(&h, a->bytes, sizeof(h));
	return (uint16_t)((h * 0x9e3779b97f4a7c15ull >> 40) % b->workers);
}

static uint64_t now_ns(void)
{
	return clock_now_ns(&clock_system);
}

static uint64_t rnd(struct bench *b, uint64_t n)
{
	b->seed = b->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (b->seed >> 33) % n;
}

static void shuffle(struct bench *b, uint32_t *v, unsigned long n)
{
	for (unsigned long i = n; i > 1; i--) {
		unsigned long k = rnd(b, i);
		uint32_t swap = v[i - 1];
		v[i - 1] = v[k];
		v[k] = swap;
	}
}

static int usage(void)
{
	fputs("usage: pool_bench [--leases N] [--workers N] [--range RANGE] [--dir DIR] "
	      "[--json]\n",
		stderr);
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
			if (!number(value, (1ul << 24) - 1, &b->leases) || b->leases < BATCH)
				return false;
		} else if (strcmp(argv[i], "--workers") == 0) {
			if (!number(value, 64, &b->workers))
				return false;
		} else if (strcmp(argv[i], "--range") == 0 && value) {
			b->range = value;
		} else if (strcmp(argv[i], "--dir") == 0 && value) {
			b->dir = value;
		} else {
			return false;
		}
		i++;
	}
	return true;
}

// What the process has in memory, whoever asked for it, but for code, which is read when it first runs.
static double resident(void)
{
	unsigned long size = 0, pages = 0, of_files = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	if (!f || fscanf(f, "%lu %lu %lu", &size, &pages, &of_files) != 3)
		pages = of_files = 0;
	if (f)
		fclose(f);
	return (double)(pages - of_files) * (double)sysconf(_SC_PAGESIZE);
}

// "userN", by hand: what is measured is not printf().
static void user_name(char text[static 16], uint32_t n)
{
	char digits[12];
	size_t len = 0;
	do
		digits[len++] = (char)('0' + n % 10);
	while (n /= 10);
	memcpy(text, "user", 4);
	for (size_t i = 0; i < len; i++)
		text[4 + i] = digits[len - 1 - i];
	text[4 + len] = '\0';
}

static void prepare(struct bench *b, uint32_t at, struct asking *out)
{
	out->at = at;
	out->worker = (uint16_t)(at % b->workers);
	user_name(out->user, b->users[at]);
	__builtin_prefetch(&b->held[at], 1);
}

static int get(struct bench *b, const struct asking *a)
{
	struct lease *l = &b->held[a->at].lease;
	struct address_request rq = {
		.pool = &b->cfg->pools[0],
		.owner = {.user = a->user, .name = a->user},
		.worker = a->worker,
	};
	if (b->source.acquire(b->source.ctx, &rq, l) != ADDRESS_OK)
		return -ENOSPC;
	return b->source.renew(b->source.ctx, l, a->at + 1ull) ? 0 : -ESTALE;
}

static int get_all(struct bench *b, const struct asking *v, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		int rc = get(b, &v[i]);
		if (rc)
			return rc;
	}
	return 0;
}

// As the engine, when a session begins to end.
static void begin_put(struct bench *b, uint32_t at)
{
	b->source.expect_release(b->source.ctx, &b->held[at].lease);
}

static void put(struct bench *b, uint32_t at)
{
	b->source.release(b->source.ctx, &b->held[at].lease);
}

// Their leases are at hand, as a session's are.
static void put_all(struct bench *b, const uint32_t *at, unsigned n)
{
	for (unsigned i = 0; i < n && i < AHEAD; i++)
		begin_put(b, at[i]);
	for (unsigned i = 0; i < n; i++) {
		if (i + AHEAD < n)
			begin_put(b, at[i + AHEAD]);
		put(b, at[i]);
	}
}

static int fill(struct bench *b, double *ns)
{
	struct asking v[BATCH];
	uint64_t sum = 0;
	for (unsigned long done = 0; done < b->leases; done += BATCH) {
		unsigned long left = b->leases - done;
		unsigned n = left < BATCH ? (unsigned)left : BATCH;
		for (unsigned i = 0; i < n; i++)
			prepare(b, (uint32_t)(done + i), &v[i]);
		uint64_t start = now_ns();
		int rc = get_all(b, v, n);
		if (rc)
			return rc;
		sum += now_ns() - start;
	}
	*ns = (double)sum / (double)b->leases;
	return 0;
}

static void empty(struct bench *b, double *ns)
{
	uint64_t start = now_ns();
	for (unsigned long i = 0; i < b->leases; i++) {
		if (i + 2 * AHEAD < b->leases)
			__builtin_prefetch(&b->held[b->order[i + 2 * AHEAD]]);
		if (i + AHEAD < b->leases)
			begin_put(b, b->order[i + AHEAD]);
		put(b, b->order[i]);
	}
	*ns = (double)(now_ns() - start) / (double)b->leases;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double median(double v[static ROUNDS], unsigned n)
{
	qsort(v, n, sizeof(*v), by_value);
	return v[n / 2];
}

static unsigned round_count(const struct bench *b)
{
	return b->leases < MANY ? ROUNDS : 1;
}

static int rounds(struct bench *b, bool random, struct cost *out)
{
	double alloc[ROUNDS], ended[ROUNDS];
	for (unsigned r = 0; r < round_count(b); r++) {
		for (unsigned long i = 0; i < b->leases; i++)
			b->order[i] = (uint32_t)i;
		if (random)
			shuffle(b, b->order, b->leases);
		empty(b, &ended[r]);
		shuffle(b, b->users, b->leases);
		int rc = fill(b, &alloc[r]);
		if (rc)
			return rc;
	}
	*out = (struct cost){median(alloc, round_count(b)), median(ended, round_count(b))};
	return 0;
}

// The owner who had none is the next one of this place, and who had it is without.
static void swap_user(struct bench *b, uint32_t at)
{
	uint32_t user = b->users[at];
	b->users[at] = b->users[b->leases];
	b->users[b->leases] = user;
}

// One goes, another comes: a lease at random is given back, and the owner who had none gets one.
static int steady_round(struct bench *b, struct cost *out)
{
	struct asking v[BATCH];
	uint64_t ns[2] = {0};
	unsigned long n = b->leases < 200000 ? 200000 : b->leases;
	for (unsigned long done = 0; done < n; done += BATCH) {
		const uint32_t *at = b->order + done % (b->leases - b->leases % BATCH);
		for (unsigned i = 0; i < BATCH; i++) {
			swap_user(b, at[i]);
			prepare(b, at[i], &v[i]);
		}
		uint64_t start = now_ns();
		put_all(b, at, BATCH);
		uint64_t middle = now_ns();
		int rc = get_all(b, v, BATCH);
		if (rc)
			return rc;
		ns[0] += now_ns() - middle;
		ns[1] += middle - start;
	}
	*out = (struct cost){(double)ns[0] / (double)n, (double)ns[1] / (double)n};
	return 0;
}

static int steady(struct bench *b, struct cost *out)
{
	double alloc[ROUNDS], ended[ROUNDS];
	for (unsigned r = 0; r < round_count(b); r++) {
		struct cost c;
		shuffle(b, b->order, b->leases);
		int rc = steady_round(b, &c);
		if (rc)
			return rc;
		alloc[r] = c.alloc;
		ended[r] = c.free;
	}
	*out = (struct cost){median(alloc, round_count(b)), median(ended, round_count(b))};
	return 0;
}

static int open_pools(struct bench *b, struct result *r)
{
	struct pools_seams seams = {
		.clock = &clock_coarse, // as the daemon
		.random = &random_system,
		.workers = (uint16_t)b->workers,
		.worker_of = worker_of,
		.ctx = b,
	};
	uint64_t start = now_ns();
	int rc = pools_new(b->cfg, &seams, &b->pools);
	r->load_ms = (double)(now_ns() - start) / (double)NS_PER_MS;
	if (rc == 0)
		pools_source(b->pools, &b->source);
	return rc;
}

static int run(struct bench *b, struct result *r)
{
	b->held = aligned_alloc(HUGE, (b->leases * sizeof(*b->held) + HUGE - 1) / HUGE * HUGE);
	b->order = malloc(b->leases * sizeof(*b->order));
	b->users = malloc((b->leases + 1) * sizeof(*b->users));
	if (!b->held || !b->order || !b->users)
		return -ENOMEM;
	(void)madvise(b->held, b->leases * sizeof(*b->held), MADV_HUGEPAGE);
	memset(b->held, 0xff, b->leases * sizeof(*b->held)); // in memory before it is measured
	for (unsigned long i = 0; i < b->leases; i++)
		b->order[i] = b->users[i] = (uint32_t)i;
	b->users[b->leases] = (uint32_t)b->leases;
	double before = resident();
	int rc = open_pools(b, r);
	if (rc == 0)
		rc = fill(b, &r->first.alloc);
	r->bytes = (resident() - before) / (double)b->leases;
	if (rc == 0)
		rc = rounds(b, false, &r->in_order);
	if (rc == 0)
		rc = rounds(b, true, &r->random);
	if (rc == 0)
		rc = steady(b, &r->steady);
	return rc;
}

static double pairs_per_s(const struct cost *c)
{
	return (double)NS_PER_S / (c->alloc + c->free);
}

static void report_json(const struct bench *b, const struct result *r, double durable)
{
	printf("{\"leases\": %lu, \"ops_per_s\": %.0f, \"ns_per_alloc\": %.1f, "
	       "\"ns_per_free\": %.1f, \"bytes_per_lease\": %.1f, ",
		b->leases, pairs_per_s(&r->steady), r->steady.alloc, r->steady.free, r->bytes);
	if (durable < 0)
		printf("\"durable_allocs_per_s\": null, ");
	else
		printf("\"durable_allocs_per_s\": %.0f, ", durable);
	printf("\"first_ns_per_alloc\": %.1f, \"in_order_ns_per_alloc\": %.1f, "
	       "\"in_order_ns_per_free\": %.1f, \"random_ns_per_alloc\": %.1f, "
	       "\"random_ns_per_free\": %.1f, \"load_ms\": %.3f, \"workers\": %lu}\n",
		r->first.alloc, r->in_order.alloc, r->in_order.free, r->random.alloc,
		r->random.free, r->load_ms, b->workers);
}

static void report_text(const struct bench *b, const struct result *r, double durable)
{
	printf("leases               %12lu\n"
	       "workers              %12lu\n"
	       "load, ms             %12.3f\n"
	       "bytes/lease          %12.1f\n"
	       "pairs/s              %12.0f\n"
	       "ns/allocation, release: steady %.1f %.1f, in order %.1f %.1f, random %.1f %.1f, "
	       "first %.1f\n",
		b->leases, b->workers, r->load_ms, r->bytes, pairs_per_s(&r->steady),
		r->steady.alloc, r->steady.free, r->in_order.alloc, r->in_order.free,
		r->random.alloc, r->random.free, r->first.alloc);
	if (durable >= 0)
		printf("durable allocations/s %11.0f\n", durable);
}

// Of 10.0.0.0/8; each shard has more than its share of the leases.
static const char *range_for(unsigned long leases, char text[static 40])
{
	unsigned long size = leases + leases / 32 + 256;
	unsigned long last = size < 1ul << 24 ? size - 1 : (1ul << 24) - 1;
	snprintf(text, 40, "10.0.0.0-10.%lu.%lu.%lu", last >> 16, last >> 8 & 255, last & 255);
	return text;
}

int main(int argc, char **argv)
{
	struct bench b = {.leases = 100000, .workers = 4, .dir = ".", .seed = 88172645463325252ull};
	struct result r = {0};
	char text[256], range[40];
	if (!parse_args(argc, argv, &b))
		return usage();
	if (!b.range)
		b.range = range_for(b.leases, range);
	snprintf(text, sizeof(text),
		"pools = ( { name = \"bench\"; ranges = [ \"%s\" ]; linger_s = 0; } );\n", b.range);
	if (cfg_load_text("bench", text, NULL, &b.cfg) != 0)
		return usage();
	int rc = run(&b, &r);
	pools_free(b.pools);
	double durable = rc ? -1 : bench_durable(b.dir);
	if (rc)
		fprintf(stderr, "pool_bench: %s\n", strerror(-rc));
	else if (b.json)
		report_json(&b, &r, durable);
	else
		report_text(&b, &r, durable);
	free(b.held);
	free(b.order);
	free(b.users);
	cfg_free(b.cfg);
	return rc != 0;
}
