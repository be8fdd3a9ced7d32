// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases with rows: who waits for what, what comes back, what is refused.
#include "tests/unit/pools_fixture.h"

#include "pools/journal.h"

#include <errno.h>

#define TWO_POOLS                                                                     \
	"{ name = \"p\"; ranges = [ \"192.0.2.0/29\" ]; exclude = [ \"192.0.2.0\" ];" \
	"  reserve = ( { owner = \"anna\"; address = \"192.0.2.7\"; } ); },"          \
	"{ name = \"q\"; ranges = [ \"198.51.100.0/30\" ]; linger_s = 0; quarantine_s = 60; }"

struct kept {
	struct fixture f;
	struct lease_journal journal;
	uint64_t ticket; // of the last put or drop; 0 next: not taken
	bool full;
	unsigned puts, drops, done, failed, revoked;
	struct lease last;
};

static uint64_t put(void *ctx, const struct lease_row *row)
{
	struct kept *k = ctx;
	k->puts++;
	assert_true(strlen(row->pool) == 1);
	return k->full ? 0 : ++k->ticket;
}

static uint64_t drop(void *ctx, const struct ip_addr *addr)
{
	struct kept *k = ctx;
	k->drops++;
	return ++k->ticket;
}

static void done(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct kept *k = user;
	assert_int_equal(token, 5);
	k->done += s == ADDRESS_OK;
	k->failed += s == ADDRESS_FAILED;
	k->last = *l;
}

static void revoked(void *user, const struct ip_addr *addr)
{
	((struct kept *)user)->revoked++;
}

static void kept_init(struct kept *k, const char *text)
{
	*k = (struct kept){0};
	fixture_init(&k->f, text, 2);
	pools_free(k->f.pools);
	k->journal = (struct lease_journal){.ctx = k, .put = put, .drop = drop};
	struct pools_seams seams = {.clock = &k->f.clock,
		.random = &random_system,
		.workers = 2,
		.worker_of = fixture_worker_of,
		.ctx = &k->f,
		.journal = &k->journal};
	assert_int_equal(pools_new(k->f.cfg, &seams, &k->f.pools), 0);
	pools_source(k->f.pools, &k->f.source);
	k->f.source.done = done;
	k->f.source.revoked = revoked;
	k->f.source.user = k;
}

static struct pool_stats stats(struct kept *k, size_t pool)
{
	struct pool_stats s;
	assert_true(pools_stats(k->f.pools, pool, &s));
	assert_int_equal(s.size, s.free + s.in_use + s.lingering + s.quarantined + s.reserved);
	return s;
}

static enum address_status ask(struct kept *k, const char *user, const char *exact, struct lease *l)
{
	struct address_request rq = request_of(&k->f, user);
	rq.token = 5;
	rq.exact = exact;
	if (exact)
		rq.want = ip_of(exact);
	return k->f.source.acquire(k->f.source.ctx, &rq, l);
}

static void a_grant_waits_for_its_row(void **state)
{
	struct kept k;
	struct lease l = {0};
	kept_init(&k, TWO_POOLS);
	assert_int_equal(ask(&k, "bert", NULL, &l), ADDRESS_PENDING);
	pools_settled(k.f.pools, k.ticket - 1, true);
	assert_int_equal(k.done, 0);
	pools_settled(k.f.pools, k.ticket, true);
	pools_settled(k.f.pools, k.ticket, true);
	assert_int_equal(k.done, 1);
	assert_true(k.f.source.renew(k.f.source.ctx, &k.last, 9));
	// Back from lingering costs no row, and no wait.
	k.f.source.release(k.f.source.ctx, &k.last);
	assert_int_equal(ask(&k, "bert", NULL, &l), ADDRESS_OK);
	assert_true(l.adopted);
	assert_int_equal(k.puts, 1);
	// An offer that ends while it waits is answered all the same, and its row goes.
	assert_int_equal(ask(&k, "carl", NULL, &l), ADDRESS_PENDING);
	fixture_wait(&k.f, 301);
	assert_int_equal(k.drops, 1);
	pools_settled(k.f.pools, k.ticket, true);
	assert_int_equal(k.failed, 1);
	// What is cleared while it waits is granted to nobody, and nobody's at once.
	assert_int_equal(ask(&k, "dora", NULL, &l), ADDRESS_PENDING);
	assert_int_equal(pools_clear(k.f.pools, &(struct lease_clearing){.owner = "dora"}), 1);
	assert_int_equal(stats(&k, 0).in_use, 1);
	pools_settled(k.f.pools, k.ticket, true);
	assert_int_equal(k.failed, 2);
	assert_int_equal(k.drops, 2);
	assert_int_equal(stats(&k, 0).in_use, 0);
	fixture_fini(&k.f);
}

static void without_a_disk_leases_are_in_memory(void **state)
{
	struct kept k;
	struct lease l = {0};
	kept_init(&k, TWO_POOLS);
	assert_int_equal(ask(&k, "bert", NULL, &l), ADDRESS_PENDING);
	pools_settled(k.f.pools, k.ticket, false);
	assert_int_equal(k.done, 1);
	assert_int_equal(stats(&k, 0).memory_only, 1);
	k.full = true; // not even taken
	assert_int_equal(ask(&k, "carl", NULL, &l), ADDRESS_OK);
	assert_int_equal(stats(&k, 0).memory_only, 2);
	k.f.source.release(k.f.source.ctx, &l);
	assert_int_equal(k.drops, 0);
	fixture_fini(&k.f);
}

static void an_exact_address_is_had_or_refused(void **state)
{
	static const struct {
		const char *user, *want;
		enum address_status status;
		size_t pool;
	} cases[] = {
		{"bert", "203.0.113.9", ADDRESS_OK, 0}, // of no pool: of the request's
		{"carl", "203.0.113.9", ADDRESS_EXHAUSTED, 0},
		{NULL, "203.0.113.9", ADDRESS_EXHAUSTED, 0},
		{"bert", "203.0.113.9", ADDRESS_EXHAUSTED, 0}, // live, and not to be shared
		{"bert", "192.0.2.0", ADDRESS_OK, 0},          // excluded
		{"bert", "192.0.2.7", ADDRESS_EXHAUSTED, 0},   // anna's
		{"anna", "192.0.2.7", ADDRESS_OK, 0},
		{"carl", "198.51.100.2", ADDRESS_OK, 1}, // another pool's
		{NULL, "192.0.2.3", ADDRESS_OK, 0},
		{"dora", "2001:db8::7", ADDRESS_OK, 0},
	};
	struct kept k;
	kept_init(&k, TWO_POOLS);
	k.full = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lease l = {0};
		uint64_t refused = stats(&k, 0).refused;
		assert_int_equal(ask(&k, cases[i].user, cases[i].want, &l), cases[i].status);
		assert_int_equal(
			stats(&k, 0).refused - refused, cases[i].status == ADDRESS_EXHAUSTED);
		if (cases[i].status != ADDRESS_OK)
			continue;
		assert_ptr_equal(l.pool, &k.f.cfg->pools[cases[i].pool]);
		assert_int_equal(l.prefix_len, ip_bits(l.addr.family));
	}
	assert_int_equal(stats(&k, 0).outside, 3);
	assert_int_equal(stats(&k, 0).in_use, 2);
	assert_int_equal(stats(&k, 1).in_use, 1);
	fixture_fini(&k.f);
}

static void reload_to(struct kept *k, const char *pools, struct cfg **out)
{
	char *text;
	assert_true(asprintf(&text, "pools = ( %s );\n", pools) > 0);
	assert_int_equal(cfg_load_text("other", text, NULL, out), 0);
	free(text);
	assert_int_equal(pools_reload(k->f.pools, *out), 0);
	while (pools_reload_goes_on(k->f.pools))
		;
}

// What AAA has chosen outside was never in a range; what a reload takes out of one, be it excluded there, is
// counted as left, as long as it lives there.
static void what_a_reload_leaves_is_told_from_what_was_outside(void **state)
{
	struct kept k;
	struct cfg *cfgs[3];
	struct lease aaa = {0}, excluded = {0}, drawn = {0}, exact = {0};
	kept_init(&k, TWO_POOLS);
	k.full = true;
	assert_int_equal(ask(&k, "bert", "203.0.113.9", &aaa), ADDRESS_OK);
	assert_int_equal(ask(&k, "bert", "192.0.2.0", &excluded), ADDRESS_OK);
	assert_int_equal(ask(&k, "carl", NULL, &drawn), ADDRESS_OK);
	assert_int_equal(ask(&k, "dora", "192.0.2.6", &exact), ADDRESS_OK);
	assert_int_equal(stats(&k, 0).outside, 2);
	assert_int_equal(stats(&k, 0).left, 0);
	const char *elsewhere = "{ name = \"p\"; ranges = [ \"192.0.2.128/29\" ]; },"
				"{ name = \"q\"; ranges = [ \"198.51.100.0/30\" ]; }";
	reload_to(&k, elsewhere, &cfgs[0]);
	assert_int_equal(stats(&k, 0).outside, 4);
	assert_int_equal(stats(&k, 0).left, 3);
	reload_to(&k, elsewhere, &cfgs[1]);
	assert_int_equal(stats(&k, 0).left, 3);
	k.f.source.release(k.f.source.ctx, &drawn);
	assert_int_equal(stats(&k, 0).left, 2);
	reload_to(&k, TWO_POOLS, &cfgs[2]);
	assert_int_equal(stats(&k, 0).left, 0);
	assert_int_equal(stats(&k, 0).outside, 2);
	k.f.source.release(k.f.source.ctx, &exact);
	k.f.source.release(k.f.source.ctx, &excluded);
	k.f.source.release(k.f.source.ctx, &aaa);
	assert_int_equal(stats(&k, 0).outside, 0);
	assert_int_equal(stats(&k, 0).left, 0);
	fixture_fini(&k.f);
	for (size_t i = 0; i < 3; i++)
		cfg_free(cfgs[i]);
}

// Of a network that a reload has left outside all ranges, and of one inside, no address is another's.
static void an_exact_address_is_in_nobodys_network(void **state)
{
	static const struct {
		const char *want;
		enum address_status status;
	} cases[] = {
		{"203.0.113.0", ADDRESS_EXHAUSTED},
		{"203.0.113.15", ADDRESS_EXHAUSTED},
		{"203.0.113.16", ADDRESS_OK},
		{"203.0.113.34", ADDRESS_EXHAUSTED}, // not the beginning of a network
		{"203.0.113.48", ADDRESS_EXHAUSTED}, // and that is not an address
		{"203.0.113.48", ADDRESS_EXHAUSTED},
	};
	struct kept k;
	struct cfg *c;
	struct lease net = {0}, l = {0};
	kept_init(&k, "{ name = \"p\"; ranges = [ \"203.0.113.0/28\" ]; prefix_length = 28; },"
		      "{ name = \"q\"; ranges = [ \"198.51.100.0/30\" ]; }");
	k.full = true;
	assert_int_equal(ask(&k, "bert", NULL, &net), ADDRESS_OK);
	assert_int_equal(net.prefix_len, 28);
	assert_int_equal(cfg_load_text("other",
				 "pools = ( { name = \"p\"; ranges = [ \"203.0.113.32/27\" ]; "
				 "prefix_length = 28; },"
				 "{ name = \"q\"; ranges = [ \"198.51.100.0/30\" ]; } );",
				 NULL, &c),
		0);
	assert_int_equal(pools_reload(k.f.pools, c), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address_request rq = request_of(&k.f, "carl");
		rq.pool = &c->pools[1];
		rq.exact = true;
		rq.want = ip_of(cases[i].want);
		assert_int_equal(k.f.source.acquire(k.f.source.ctx, &rq, &l), cases[i].status);
	}
	assert_true(k.f.source.renew(k.f.source.ctx, &net, 1));
	pools_free(k.f.pools);
	cfg_free(c);
	cfg_free(k.f.cfg);
}

#define NETWORKS                                                                             \
	"{ name = \"a\"; ranges = [ \"10.0.0.0/22\" ]; prefix_length = 24; linger_s = 0; }," \
	"{ name = \"b\"; ranges = [ \"10.1.0.0/24\" ]; prefix_length = 28; linger_s = 0; }," \
	"{ name = \"c\"; ranges = [ \"2001:db8:100::/54\" ]; prefix_length = 56; linger_s = 0; },"

enum { A, B, C, ONE, RANGE };

static enum address_status exactly(
	struct kept *k, const char *user, unsigned pool, const char *want, struct lease *l)
{
	struct address_request rq = request_of(&k->f, user);
	rq.pool = &k->f.cfg->pools[pool];
	rq.exact = true;
	rq.want = ip_of(want);
	return k->f.source.acquire(k->f.source.ctx, &rq, l);
}

// Outside all ranges, where AAA alone gives: of two that overlap, whichever is the larger, the second is
// refused until the first is nobody's. So it is where a reload has taken the first one's range away.
static void networks_outside_hold_nobodys_address(void **state)
{
	static const struct {
		unsigned first_of;
		const char *first;
		unsigned second_of;
		const char *second;
		bool overlaps;
	} cases[] = {
		{ONE, "192.0.2.77", B, "192.0.2.64", true},
		{ONE, "192.0.2.64", B, "192.0.2.64", true},
		{ONE, "192.0.2.79", B, "192.0.2.64", true},
		{ONE, "192.0.2.80", B, "192.0.2.64", false},
		{ONE, "192.0.2.63", B, "192.0.2.64", false},
		{ONE, "192.0.2.255", A, "192.0.2.0", true},
		{B, "192.0.2.64", ONE, "192.0.2.77", true},
		{B, "192.0.2.64", ONE, "192.0.2.80", false},
		{B, "192.0.2.64", A, "192.0.2.0", true},
		{B, "192.0.2.64", A, "192.0.3.0", false},
		{A, "192.0.2.0", B, "192.0.2.240", true},
		{A, "192.0.2.0", B, "192.0.3.0", false},
		{ONE, "2001:db8:300:5::7", C, "2001:db8:300::", true},
		{ONE, "2001:db8:300:100::", C, "2001:db8:300::", false},
		{C, "2001:db8:300::", ONE, "2001:db8:300:5::7", true},
		{ONE, "192.0.2.77", C, "2001:db8:300::", false},
		{RANGE, "198.51.100.2", B, "198.51.100.0", true},
		{RANGE, "198.51.100.2", A, "198.51.100.0", true},
		{RANGE, "198.51.100.2", B, "198.51.100.16", false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kept k;
		struct cfg *c;
		struct lease first = {0}, second = {0};
		kept_init(&k, NETWORKS "{ name = \"d\"; ranges = [ \"10.2.0.0/24\", "
				       "\"198.51.100.0/30\" ]; linger_s = 0; }");
		k.full = true;
		unsigned of = cases[i].first_of == RANGE ? ONE : cases[i].first_of;
		assert_int_equal(exactly(&k, "anna", of, cases[i].first, &first), ADDRESS_OK);
		assert_true(k.f.source.renew(k.f.source.ctx, &first, 1));
		assert_int_equal(
			cfg_load_text("other",
				"pools = ( " NETWORKS
				"{ name = \"d\"; ranges = [ \"10.2.0.0/24\" ]; linger_s = 0; } );",
				NULL, &c),
			0);
		if (cases[i].first_of == RANGE)
			assert_int_equal(pools_reload(k.f.pools, c), 0);
		enum address_status s =
			exactly(&k, "bert", cases[i].second_of, cases[i].second, &second);
		assert_int_equal(s, cases[i].overlaps ? ADDRESS_EXHAUSTED : ADDRESS_OK);
		assert_int_equal(stats(&k, cases[i].second_of).refused, cases[i].overlaps);
		k.f.source.release(k.f.source.ctx, &first);
		if (s != ADDRESS_OK)
			assert_int_equal(
				exactly(&k, "bert", cases[i].second_of, cases[i].second, &second),
				ADDRESS_OK);
		pools_free(k.f.pools);
		cfg_free(c);
		cfg_free(k.f.cfg);
	}
}

// Leases in sparse ranges have their places wherever the ranges go: out of all, into another pool's, and back.
static void sparse_ranges_come_and_go(void **state)
{
	enum { LEASES = 5000 };
	static struct lease leases[LEASES];
	static const char *const configs[] = {
		"{ name = \"p\"; ranges = [ \"2001:db8:1::/64\" ]; }, { name = \"q\"; ranges = [ \"2001:db8:2::/64\" ]; }",
		"{ name = \"p\"; ranges = [ \"2001:db8:7::/64\" ]; }, { name = \"q\"; ranges = [ \"2001:db8:2::/64\" ]; }",
		"{ name = \"p\"; ranges = [ \"2001:db8:7::/64\" ]; }, { name = \"q\"; ranges = [ \"2001:db8::/46\" ]; }",
		"{ name = \"p\"; ranges = [ \"2001:db8::/47\" ]; }, { name = \"q\"; ranges = [ \"2001:db8:2::/64\" ]; }",
	};
	static const struct {
		unsigned to, in_use[2], outside;
	} steps[] = {{1, {0, 0}, LEASES}, {2, {0, LEASES}, 0}, {3, {LEASES, 0}, 0},
		{1, {0, 0}, LEASES}, {0, {LEASES, 0}, 0}};
	struct kept k;
	struct cfg *cfgs[5];
	struct lease l;
	kept_init(&k, configs[0]);
	k.full = true;
	for (unsigned i = 0; i < LEASES; i++) {
		char user[16];
		snprintf(user, sizeof(user), "user%u", i);
		assert_int_equal(ask(&k, user, NULL, &leases[i]), ADDRESS_OK);
		assert_true(k.f.source.renew(k.f.source.ctx, &leases[i], 1));
	}
	for (size_t s = 0; s < 5; s++) {
		char text[512];
		snprintf(text, sizeof(text), "pools = ( %s );", configs[steps[s].to]);
		assert_int_equal(cfg_load_text("other", text, NULL, &cfgs[s]), 0);
		assert_int_equal(pools_reload(k.f.pools, cfgs[s]), 0);
		for (unsigned i = 0; i < LEASES; i += 3) {
			struct address_request rq = request_of(&k.f, "thief");
			rq.pool = &cfgs[s]->pools[0];
			rq.exact = true;
			rq.want = leases[i].addr;
			assert_int_equal(
				k.f.source.acquire(k.f.source.ctx, &rq, &l), ADDRESS_EXHAUSTED);
			assert_true(k.f.source.renew(k.f.source.ctx, &leases[i], 2));
			if (i == LEASES / 2)
				(void)pools_reload_goes_on(k.f.pools);
		}
		while (pools_reload_goes_on(k.f.pools))
			;
		struct pool_stats p[2];
		for (size_t i = 0; i < 2; i++) {
			assert_true(pools_stats(k.f.pools, i, &p[i]));
			assert_int_equal(p[i].in_use, steps[s].in_use[i]);
		}
		assert_int_equal(p[0].outside + p[1].outside, steps[s].outside);
	}
	for (unsigned i = 0; i < LEASES; i++)
		k.f.source.release(k.f.source.ctx, &leases[i]);
	struct address_request rq = request_of(&k.f, "user7");
	rq.pool = &cfgs[4]->pools[0];
	assert_int_equal(k.f.source.acquire(k.f.source.ctx, &rq, &l), ADDRESS_OK);
	assert_true(l.adopted && ip_eq(&l.addr, &leases[7].addr));
	pools_free(k.f.pools);
	for (size_t s = 0; s < 5; s++)
		cfg_free(cfgs[s]);
	cfg_free(k.f.cfg);
}

static void what_is_cleared_does_not_linger(void **state)
{
	struct kept k;
	struct lease a = {0}, b = {0};
	kept_init(&k, TWO_POOLS);
	k.full = true;
	assert_int_equal(ask(&k, "bert", NULL, &a), ADDRESS_OK);
	assert_true(k.f.source.renew(k.f.source.ctx, &a, 1));
	assert_int_equal(ask(&k, "carl", NULL, &b), ADDRESS_OK);
	assert_true(k.f.source.renew(k.f.source.ctx, &b, 2));
	k.f.source.release(k.f.source.ctx, &b);
	struct lease_clearing of_carl = {.owner = "carl", .pool = "p"}, other = {.pool = "q"};
	assert_int_equal(pools_clear(k.f.pools, &other), 0);
	assert_int_equal(pools_clear(k.f.pools, &of_carl), 1);
	assert_int_equal(stats(&k, 0).lingering, 0);
	assert_int_equal(k.revoked, 0);
	assert_int_equal(pools_clear(k.f.pools, &(struct lease_clearing){0}), 1);
	assert_int_equal(pools_clear(k.f.pools, &(struct lease_clearing){0}), 0); // told once
	assert_int_equal(k.revoked, 1);
	k.f.source.release(k.f.source.ctx, &a);
	assert_int_equal(stats(&k, 0).lingering, 0);
	assert_int_equal(stats(&k, 0).in_use, 0);
	fixture_fini(&k.f);
}

static void an_import_is_a_lingering_lease(void **state)
{
	static const uint8_t bert[] = {0, 5, 'b', 'e', 'r', 't'},
			     carl[] = {0, 5, 'c', 'a', 'r', 'l'};
	static const struct {
		const char *addr, *name;
		const uint8_t *key;
		int rc;
	} cases[] = {
		{"192.0.2.3", "bert", bert, 0},
		{"192.0.2.3", "bert", bert, 0},
		{"192.0.2.3", "carl", carl, -EEXIST},
		{"192.0.2.7", "carl", carl, -EEXIST},
		{"192.0.2.0", "carl", carl, -ERANGE},
		{"203.0.113.1", "carl", carl, -ERANGE},
		{"192.0.2.4", "carl", NULL, -EINVAL},
	};
	struct kept k;
	struct lease l = {0};
	kept_init(&k, TWO_POOLS);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lease_row row = {.addr = ip_of(cases[i].addr),
			.prefix_len = 32,
			.name = cases[i].name,
			.owner = {cases[i].key, cases[i].key ? 6 : 0}};
		assert_int_equal(pools_import(k.f.pools, &row, true), cases[i].rc);
		assert_int_equal(pools_import(k.f.pools, &row, false), cases[i].rc);
	}
	assert_int_equal(k.puts, 1);
	assert_int_equal(stats(&k, 0).memory_only, 0);
	assert_int_equal(ask(&k, "bert", NULL, &l), ADDRESS_OK);
	assert_true(l.adopted);
	// What the disk does not take is said.
	struct lease_row row = {.addr = ip_of("192.0.2.5"), .prefix_len = 32, .owner = {carl, 6}};
	k.full = true;
	assert_int_equal(pools_import(k.f.pools, &row, false), 0);
	assert_int_equal(stats(&k, 0).memory_only, 1);
	fixture_fini(&k.f);
}

// A tick that ends a million leases would stop everything else.
static void a_tick_ends_so_many_at_once(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"10.0.0.0/16\" ]; linger_s = 5; }", 1);
	for (unsigned i = 0; i < 40000; i++) {
		char user[16];
		struct lease l;
		snprintf(user, sizeof(user), "user%u", i);
		struct address_request rq = request_of(&f, user);
		assert_int_equal(f.source.acquire(f.source.ctx, &rq, &l), ADDRESS_OK);
		assert_true(f.source.renew(f.source.ctx, &l, 1));
		f.source.release(f.source.ctx, &l);
	}
	struct pool_stats s = {.lingering = 40000};
	unsigned ticks = 0;
	for (fixture_wait(&f, 6); s.lingering; pools_tick(f.pools, f.now_ns)) {
		uint64_t before = s.lingering;
		assert_true(pools_stats(f.pools, 0, &s));
		assert_true(before - s.lingering <= 20000);
		ticks++;
	}
	assert_in_range(ticks, 2, 8);
	fixture_fini(&f);
}

static void another_set_of_pools_is_refused(void **state)
{
	static const char *const texts[] = {
		"pools = ( { name = \"p\"; ranges = [ \"192.0.2.0/29\" ]; } );",
		"pools = ( { name = \"q\"; ranges = [ \"192.0.2.0/29\" ]; },"
		"          { name = \"p\"; ranges = [ \"198.51.100.0/30\" ]; } );",
		// A lease of a single address lies in it.
		"pools = ( { name = \"p\"; ranges = [ \"192.0.2.0/28\" ]; prefix_length = 30; },"
		"          { name = \"q\"; ranges = [ \"198.51.100.0/30\" ]; } );",
	};
	struct kept k;
	struct lease l = {0};
	kept_init(&k, TWO_POOLS);
	k.full = true;
	assert_int_equal(ask(&k, "bert", NULL, &l), ADDRESS_OK);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct cfg *c;
		assert_int_equal(cfg_load_text("other", texts[i], NULL, &c), 0);
		assert_int_equal(pools_reload(k.f.pools, c), -EINVAL);
		cfg_free(c);
		assert_int_equal(stats(&k, 0).in_use, 1);
	}
	assert_true(k.f.source.renew(k.f.source.ctx, &l, 1));
	fixture_fini(&k.f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_grant_waits_for_its_row),
		cmocka_unit_test(without_a_disk_leases_are_in_memory),
		cmocka_unit_test(an_exact_address_is_had_or_refused),
		cmocka_unit_test(what_a_reload_leaves_is_told_from_what_was_outside),
		cmocka_unit_test(an_exact_address_is_in_nobodys_network),
		cmocka_unit_test(networks_outside_hold_nobodys_address),
		cmocka_unit_test(sparse_ranges_come_and_go),
		cmocka_unit_test(what_is_cleared_does_not_linger),
		cmocka_unit_test(an_import_is_a_lingering_lease),
		cmocka_unit_test(a_tick_ends_so_many_at_once),
		cmocka_unit_test(another_set_of_pools_is_refused),
	};
	return cmocka_run_group_tests_name("pools_kept", tests, NULL, NULL);
}
