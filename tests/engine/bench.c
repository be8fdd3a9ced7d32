// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bench: clock, wire, jobs and machines.
#include "tests/engine/bench.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define BENCH_SEED_DEFAULT 20260101
#define START_NS           (1000 * NS_PER_S)
#define STEP_MAX_NS        (50 * NS_PER_MS) // of one look at the condition

struct bench_job {
	STAILQ_ENTRY(bench_job) link;
	struct ike_job *job;
	uint64_t due_ns;
};

// ---- clock and randomness ----

static uint64_t now_ns(void *ctx)
{
	return ((struct bench *)ctx)->now_ns;
}

static time_t wall_s(void *ctx)
{
	return time(NULL); // certificates are made at run time
}

// splitmix64
static uint64_t draw(struct bench *b)
{
	uint64_t z = b->random += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static void fill(void *ctx, void *buf, size_t len)
{
	uint8_t *p = buf;
	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)(draw(ctx) >> 32);
}

static bool chance(struct bench *b, unsigned percent)
{
	return percent && draw(b) % 100 < percent;
}

static LIST_HEAD(, bench) live = LIST_HEAD_INITIALIZER(live);

struct bench *bench_new_seeded(uint64_t seed)
{
	struct bench *b = calloc(1, sizeof(*b));
	assert_non_null(b);
	b->seed = b->random = seed;
	b->now_ns = START_NS;
	b->clock = (struct clock_source){now_ns, wall_s, b};
	b->random_source = (struct random_source){fill, b};
	STAILQ_INIT(&b->packets);
	b->last = malloc(sizeof(*b->last));
	b->kept = malloc(sizeof(*b->kept));
	assert_non_null(b->last);
	assert_non_null(b->kept);
	b->last->number = b->kept->number = 0;
	LIST_INSERT_HEAD(&live, b, live);
	return b;
}

struct bench *bench_new(void)
{
	const char *text = getenv("BENCH_SEED");
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	return bench_new_seeded(text ? strtoull(text, NULL, 0) : BENCH_SEED_DEFAULT);
}

int bench_teardown(void **state)
{
	struct bench *b;
	while ((b = LIST_FIRST(&live))) {
		print_error("bench: seed %llu, %llu ms after the start, %llu packets\n",
			(unsigned long long)b->seed,
			(unsigned long long)(b->now_ns - START_NS) / NS_PER_MS,
			(unsigned long long)b->packet_count);
		LIST_REMOVE(b, live);
	}
	return 0;
}

uint64_t bench_now_ms(const struct bench *b)
{
	return b->now_ns / NS_PER_MS;
}

// ---- the wire ----

struct endpoint bench_at(const char *addr, uint16_t port)
{
	struct endpoint ep = {.port = port};
	assert_int_equal(ip_parse(addr, &ep.addr), 0);
	return ep;
}

struct ike_header bench_header(const struct bench_packet *p)
{
	struct ike_header h = {0};
	if (wire_header_parse((struct view){p->bytes, p->len}, &h) != WIRE_OK)
		return h;
	return h;
}

static bool has_address(const struct bench_node *n, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < n->other_count; i++)
		if (ip_eq(&n->others[i], addr))
			return true;
	return ip_eq(&n->addr, addr);
}

void bench_address_add(struct bench_node *n, const char *addr)
{
	struct cfg_port *p = &n->cfg->ports[0];
	assert_true(n->other_count < sizeof(n->others) / sizeof(n->others[0]));
	struct ip_addr a = n->others[n->other_count++] = bench_at(addr, 0).addr;
	p->addresses = realloc(p->addresses, (p->address_count + 1) * sizeof(*p->addresses));
	assert_non_null(p->addresses);
	p->addresses[p->address_count++] = (struct ip_prefix){a, (uint8_t)ip_bits(a.family)};
}

struct bench_node *bench_node_at(struct bench *b, const struct ip_addr *addr)
{
	for (unsigned i = 0; i < b->node_count; i++)
		if (has_address(b->nodes[i], addr))
			return b->nodes[i];
	return NULL;
}

void bench_filter_add(struct bench *b, bench_filter fn, void *arg)
{
	assert_true(b->filter_count < 8);
	b->filters[b->filter_count].fn = fn;
	b->filters[b->filter_count++].arg = arg;
}

void bench_filters_clear(struct bench *b)
{
	b->filter_count = 0;
}

void bench_lossy(struct bench *b, unsigned loss, unsigned repeat, unsigned reorder)
{
	b->loss = loss;
	b->repeat = repeat;
	b->reorder = reorder;
}

void bench_nat_add(struct bench *b, const char *inside, const char *outside)
{
	struct bench_nat *n = &b->nats[b->nat_count++];
	assert_true(b->nat_count <= 4);
	n->inside = bench_at(inside, 0).addr;
	n->outside = bench_at(outside, 0).addr;
	n->next_port = (uint16_t)(20000 + 1000 * b->nat_count);
}

void bench_nat_forget(struct bench *b)
{
	for (unsigned i = 0; i < b->nat_count; i++)
		b->nats[i].port_count = 0;
}

static void nat_out(struct bench_nat *n, struct bench_packet *p)
{
	unsigned i;
	for (i = 0; i < n->port_count; i++)
		if (n->ports[i][0] == p->from.port)
			break;
	if (i == n->port_count) {
		assert_true(n->port_count++ < 16);
		n->ports[i][0] = p->from.port;
		n->ports[i][1] = n->next_port++;
	}
	p->from = (struct endpoint){n->outside, n->ports[i][1]};
}

// False: no mapping.
static bool nat_in(struct bench_nat *n, struct bench_packet *p)
{
	for (unsigned i = 0; i < n->port_count; i++)
		if (n->ports[i][1] == p->to.port) {
			p->to = (struct endpoint){n->inside, n->ports[i][0]};
			return true;
		}
	return false;
}

// Several nodes may stand behind one outside address.
static bool nat(struct bench *b, struct bench_packet *p)
{
	bool inbound = false;
	for (unsigned i = 0; i < b->nat_count; i++)
		if (ip_eq(&p->from.addr, &b->nats[i].inside))
			nat_out(&b->nats[i], p);
	for (unsigned i = 0; i < b->nat_count; i++) {
		if (!ip_eq(&p->to.addr, &b->nats[i].outside))
			continue;
		inbound = true;
		if (nat_in(&b->nats[i], p))
			return true;
	}
	return !inbound;
}

void bench_enqueue(struct bench *b, const struct bench_packet *p, uint64_t due_ns)
{
	// Only as much as the packet holds: benches with many SAs keep many of them.
	struct bench_packet *q = malloc(offsetof(struct bench_packet, bytes) + p->len + 1);
	assert_non_null(q);
	memcpy(q, p, offsetof(struct bench_packet, bytes) + p->len);
	q->due_ns = due_ns;
	STAILQ_INSERT_TAIL(&b->packets, q, link);
}

static void launch(struct bench *b, struct bench_packet *p)
{
	enum bench_fate fate = BENCH_PASS;
	p->number = ++b->packet_count;
	memcpy(b->last, p, offsetof(struct bench_packet, bytes) + p->len);
	if (p->number == b->keep_number)
		memcpy(b->kept, p, offsetof(struct bench_packet, bytes) + p->len);
	for (unsigned i = 0; i < b->filter_count && fate == BENCH_PASS; i++)
		fate = b->filters[i].fn(b, p, b->filters[i].arg);
	if (fate == BENCH_PASS && chance(b, b->loss))
		fate = BENCH_DROP;
	if (fate == BENCH_PASS && chance(b, b->repeat))
		fate = BENCH_DOUBLE;
	if (fate == BENCH_DROP || !nat(b, p))
		return;
	uint64_t due = b->now_ns + BENCH_LATENCY;
	if (chance(b, b->reorder))
		due += draw(b) % (300 * NS_PER_MS);
	if (fate == BENCH_DELAY)
		due += 2 * NS_PER_S;
	bench_enqueue(b, p, due);
	if (fate == BENCH_DOUBLE)
		bench_enqueue(b, p, due + draw(b) % (20 * NS_PER_MS));
}

void bench_inject(struct bench *b, const struct endpoint *from, const struct endpoint *to,
	const void *bytes, size_t len)
{
	struct bench_packet *p = malloc(sizeof(*p));
	assert_non_null(p);
	assert_true(len <= sizeof(p->bytes));
	p->esp = 0;
	p->from = *from;
	p->to = *to;
	p->len = len;
	if (len)
		memcpy(p->bytes, bytes, len);
	launch(b, p);
	free(p);
}

void bench_keep(struct bench *b, uint64_t n)
{
	b->keep_number = b->packet_count + n;
}

void bench_replay(struct bench *b)
{
	assert_true(b->kept->number != 0);
	bench_inject(b, &b->kept->from, &b->kept->to, b->kept->bytes, b->kept->len);
}

// Whoever speaks, and at the end everyone, is known to the data plane or not, as it should be.
static void check_sender(struct bench_node *n, const struct ike_datagram *d)
{
	struct ike_header h;
	if (wire_header_parse(d->bytes, &h) != WIRE_OK)
		return;
	uint64_t ours = ike_header_initiator(&h) ? h.spi_i : h.spi_r;
	struct ike_sa *sa = ike_sa_find(n->engine, ours);
	if (!sa && h.major == IKE_MAJOR_1) // has no such flag
		sa = ike_sa_find(n->engine, h.spi_i);
	if (sa)
		bench_sink_check_spi(&n->sink, sa);
}

static void check_all(struct bench_node *n)
{
	struct ike_sa *sa;
	LIST_FOREACH (sa, &n->engine->all_sas, all)
		bench_sink_check_spi(&n->sink, sa);
}

static void transport_send(void *ctx, const struct ike_datagram *d)
{
	struct bench_node *n = ctx;
	uint8_t exchange = d->bytes.len >= IKE_HEADER_LEN ? d->bytes.p[18] : 0;
	bool response = d->bytes.len >= IKE_HEADER_LEN && (d->bytes.p[19] & IKE_FLAG_RESPONSE);
	n->sent++;
	n->sent_bytes += d->bytes.len;
	assert_true(has_address(n, &d->local.addr));
	if (response &&
		(exchange == IKEV2_EXCHANGE_IKE_AUTH || exchange == IKEV2_EXCHANGE_CREATE_CHILD_SA))
		bench_sink_check_reply(&n->sink, &d->remote);
	check_sender(n, d);
	bench_inject(n->bench, &d->local, &d->remote, d->bytes.p, d->bytes.len);
}

static void arrive(struct bench *b, struct bench_packet *p)
{
	struct bench_node *n = bench_node_at(b, &p->to.addr);
	if (n && n->engine && !n->deaf) {
		struct ike_datagram d = {.local = p->to,
			.remote = p->from,
			.origin = n->origin,
			.bytes = {p->bytes, p->len}};
		// Exactly as long as it says, so that a sanitizer sees what reads past it.
		uint8_t *copy = malloc(p->len ? p->len : 1);
		assert_non_null(copy);
		memcpy(copy, p->bytes, p->len);
		d.bytes.p = copy;
		ike_input(n->engine, &d);
		free(copy);
	}
}

// ---- jobs ----

static int job_submit(void *ctx, struct ike_job *job)
{
	struct bench_node *n = ctx;
	if (n->fail_jobs > 0 && n->fail_jobs--)
		return -EAGAIN;
	struct bench_job *j = calloc(1, sizeof(*j));
	assert_non_null(j);
	j->job = job;
	j->due_ns = n->bench->now_ns + n->job_delay_ns;
	STAILQ_INSERT_TAIL(&n->jobs, j, link);
	return 0;
}

static bool job_finish(struct bench_node *n, bool force)
{
	struct bench_job *j = STAILQ_FIRST(&n->jobs);
	if (!j || (!force && (n->hold_jobs || j->due_ns > n->bench->now_ns)))
		return false;
	STAILQ_REMOVE_HEAD(&n->jobs, link);
	j->job->run(j->job);
	n->jobs_run++;
	ike_job_done(n->engine, j->job);
	free(j);
	return true;
}

// ---- machines ----

static const char ports[] =
	"ports = ( { name = \"outside\"; role = \"outside\"; device = \"net_null0\";"
	" addresses = [ \"192.0.2.1/24\" ]; },"
	" { name = \"inside\"; role = \"inside\"; device = \"net_null1\";"
	" addresses = [ \"10.99.0.1/24\" ]; } );\n";

struct cfg *bench_config(const char *text)
{
	char *all;
	struct cfg *cfg = NULL;
	const char *main_group = strstr(text, "main:") ? "" : BENCH_MAIN;
	assert_true(asprintf(&all, "%s%s%s", main_group, ports, text) > 0);
	char *said = NULL;
	size_t said_len = 0;
	FILE *errors = open_memstream(&said, &said_len);
	assert_non_null(errors);
	int err = cfg_load_text("bench", all, errors, &cfg);
	fclose(errors);
	if (err < 0)
		fail_msg("configuration refused:\n%s\n%s", said, all);
	free(said);
	free(all);
	return cfg;
}

static uint16_t pool_worker_of(void *ctx, const struct ip_addr *inner)
{
	struct bench_node *n = ctx;
	return n->sink.sink.worker_of(n->sink.sink.ctx, inner);
}

void bench_start(struct bench_node *n)
{
	struct bench *b = n->bench;
	struct pools_seams seams = {.clock = &b->clock,
		.random = &b->random_source,
		.workers = BENCH_WORKERS,
		.worker_of = pool_worker_of,
		.journal = n->journal,
		.ctx = n};
	bench_sink_init(&n->sink, n);
	STAILQ_INIT(&n->jobs);
	assert_int_equal(pools_new(n->cfg, &seams, &n->pools), 0);
	pools_source(n->pools, &n->addresses);
	struct ike_params p = {.cfg = n->cfg,
		.credentials = n->credentials,
		.clock = &b->clock,
		.random = &b->random_source,
		.transport = {n, transport_send},
		.jobs = {n, job_submit},
		.addresses = &n->addresses,
		.sink = &n->sink.sink};
	assert_int_equal(ike_engine_new(&p, &n->engine), 0);
}

struct bench_node *bench_add_shared(
	struct bench *b, const char *name, const char *addr, struct cfg *cfg)
{
	struct bench_node *n = calloc(1, sizeof(*n));
	assert_non_null(n);
	assert_true(b->node_count < BENCH_NODES_MAX);
	b->nodes[b->node_count++] = n;
	n->bench = b;
	n->name = name;
	n->addr = bench_at(addr, 0).addr;
	n->cfg = cfg;
	n->shared = true;
	cfg->ports[0].addresses[0].addr = bench_at(addr, 0).addr;
	bench_start(n);
	return n;
}

struct bench_node *bench_add(
	struct bench *b, const char *name, const char *addr, const char *config_text)
{
	struct cfg *cfg = bench_config(config_text);
	struct ike_credentials *credentials;
	assert_int_equal(ike_credentials_new(cfg, stderr, &credentials), 0);
	struct bench_node *n = bench_add_shared(b, name, addr, cfg);
	n->shared = false;
	n->credentials = credentials;
	n->engine->p.credentials = credentials;
	return n;
}

static void node_stop(struct bench_node *n, bool check)
{
	if (!n->engine)
		return;
	while (job_finish(n, true))
		continue;
	check_all(n);
	ike_engine_free(n->engine);
	n->engine = NULL;
	bench_sink_fini(&n->sink, check);
	struct pool_stats st;
	for (size_t i = 0; check && pools_stats(n->pools, i, &st); i++)
		if (st.in_use)
			fail_msg("%s: pool %s: %llu leases were not given back", n->name, st.name,
				(unsigned long long)st.in_use);
	pools_free(n->pools);
	n->pools = NULL;
}

void bench_kill(struct bench_node *n)
{
	node_stop(n, false);
}

void bench_free(struct bench *b)
{
	struct bench_packet *p;
	for (unsigned i = 0; i < b->node_count; i++) {
		struct bench_node *n = b->nodes[i];
		node_stop(n, true);
		ike_credentials_free(n->credentials);
		if (!n->shared)
			cfg_free(n->cfg);
		free(n);
	}
	while ((p = STAILQ_FIRST(&b->packets))) {
		STAILQ_REMOVE_HEAD(&b->packets, link);
		free(p);
	}
	LIST_REMOVE(b, live);
	free(b->last);
	free(b->kept);
	free(b);
}

uint64_t bench_connect_from(struct bench_node *from, struct bench_node *to, const char *connection,
	uint16_t local_port, uint16_t remote_port)
{
	struct bench *b = from->bench;
	struct endpoint local = {from->addr, local_port};
	struct endpoint remote = {to->addr, remote_port};
	for (unsigned i = 0; i < b->nat_count; i++)
		if (ip_eq(&b->nats[i].inside, &to->addr))
			remote.addr = b->nats[i].outside;
	return ike_initiate(from->engine, connection, &from->origin, &local, &remote);
}

uint64_t bench_connect(struct bench_node *from, struct bench_node *to, const char *connection)
{
	return bench_connect_from(from, to, connection, IKE_PORT, IKE_PORT);
}

// ---- time ----

static bool packet_due(struct bench *b)
{
	struct bench_packet *p;
	STAILQ_FOREACH (p, &b->packets, link) {
		if (p->due_ns <= b->now_ns)
			break;
	}
	if (!p)
		return false;
	STAILQ_REMOVE(&b->packets, p, bench_packet, link);
	if (p->esp)
		bench_traffic_arrive(b, p);
	else
		arrive(b, p);
	b->stirred |= !p->esp;
	free(p);
	return true;
}

// One thing that is due now; false: nothing is.
static bool one_thing(struct bench *b)
{
	for (unsigned i = 0; i < b->node_count; i++) {
		struct bench_node *n = b->nodes[i];
		if (n->engine && (job_finish(n, false) || bench_sink_deliver(&n->sink))) {
			b->stirred = true;
			return true;
		}
	}
	return packet_due(b);
}

static void tick(struct bench *b)
{
	for (unsigned i = 0; i < b->node_count; i++) {
		struct bench_node *n = b->nodes[i];
		if (!n->engine)
			continue;
		ike_tick(n->engine);
		pools_tick(n->pools, b->now_ns);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t next_packet(struct bench *b, bool esp)
{
	uint64_t next = UINT64_MAX;
	struct bench_packet *p;
	STAILQ_FOREACH (p, &b->packets, link) {
		if (!p->esp == !esp)
			next = earlier(next, p->due_ns);
	}
	return next;
}

// Inner packets apart: on their way they move nothing.
static uint64_t next_thing(struct bench *b)
{
	uint64_t next = next_packet(b, false);
	for (unsigned i = 0; i < b->node_count; i++) {
		struct bench_node *n = b->nodes[i];
		if (!n->engine)
			continue;
		struct bench_job *j = STAILQ_FIRST(&n->jobs);
		next = earlier(next, bench_sink_next(&n->sink));
		next = earlier(next, ike_next_ns(n->engine));
		if (j && !n->hold_jobs)
			next = earlier(next, j->due_ns);
	}
	return next;
}

void bench_settle(struct bench *b)
{
	tick(b);
	while (one_thing(b))
		continue;
}

// All that is due; what stirs sends inner packets before and after.
static void all_things(struct bench *b)
{
	for (;;) {
		while (one_thing(b))
			continue;
		if (!b->stirred)
			return;
		b->stirred = false;
		bench_traffic_send(b);
	}
}

static void step(struct bench *b, uint64_t end, bool looking)
{
	uint64_t thing = next_thing(b), inner = next_packet(b, true);
	uint64_t next = earlier(thing, inner);
	if (looking)
		next = earlier(next, b->now_ns + STEP_MAX_NS);
	if (next <= b->now_ns)
		next = b->now_ns + NS_PER_MS;
	b->now_ns = earlier(next, end);
	b->stirred = thing <= b->now_ns;
	if (b->stirred || bench_traffic_first(b))
		bench_traffic_send(b);
	tick(b);
}

bool bench_run_until(struct bench *b, bench_condition done, void *arg, uint64_t max_ms)
{
	uint64_t end = b->now_ns + max_ms * NS_PER_MS;
	b->stirred = true;
	for (;;) {
		all_things(b);
		if (done && done(arg))
			return true;
		if (b->now_ns >= end)
			return false;
		step(b, end, done != NULL);
	}
}

void bench_run(struct bench *b, uint64_t ms)
{
	(void)bench_run_until(b, NULL, NULL, ms);
}
