// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What lives while a reload is counted out: leases outside the new ranges, in the same places, looked at a few
// in each step.
#include "tests/unit/pools_fixture.h"

#include "pools/journal.h"

#include <errno.h>

enum { N = 20000, BLOCK = 4096 };

#define HERE  "{ name = \"p\"; ranges = [ \"10.0.0.0/16\" ]; exclude = [ \"10.0.3.0/24\" ]; }"
#define THERE "{ name = \"p\"; ranges = [ \"10.7.0.0/24\" ]; }"

struct moved {
	struct fixture f;
	struct cfg *cfgs[8];
	unsigned count;
	struct lease leases[N];
	const struct cfg_pool *pool; // who asks names it; NULL: the first one
};

static struct moved moved;

static void reload(struct moved *m, const char *pools)
{
	char text[512];
	snprintf(text, sizeof(text), "pools = ( %s );\n", pools);
	assert_int_equal(cfg_load_text("other", text, NULL, &m->cfgs[m->count]), 0);
	assert_int_equal(pools_reload(m->f.pools, m->cfgs[m->count++]), 0);
}

static unsigned count_out(struct moved *m)
{
	unsigned steps = 1;
	while (pools_reload_goes_on(m->f.pools))
		steps++;
	return steps;
}

static enum address_status ask(struct moved *m, unsigned user, struct lease *l)
{
	char name[16];
	snprintf(name, sizeof(name), "user%u", user);
	struct address_request rq = request_of(&m->f, name);
	rq.worker = (uint16_t)(user % m->f.workers);
	rq.pool = m->pool ? m->pool : rq.pool;
	return m->f.source.acquire(m->f.source.ctx, &rq, l);
}

static bool use(struct moved *m, const struct lease *l)
{
	return m->f.source.renew(m->f.source.ctx, l, 1);
}

static void release(struct moved *m, const struct lease *l)
{
	m->f.source.release(m->f.source.ctx, l);
}

static struct pool_stats stats(struct moved *m)
{
	struct pool_stats s;
	assert_true(pools_stats(m->f.pools, 0, &s));
	return s;
}

// Of five leases one each is free again, lingering, offered, and two are in use.
static void moved_init(struct moved *m)
{
	memset(m, 0, sizeof(*m));
	fixture_init(&m->f, HERE, 3);
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(ask(m, i, &m->leases[i]), ADDRESS_OK);
		if (i % 5 && i % 5 != 2)
			assert_true(use(m, &m->leases[i]));
	}
	for (unsigned i = 0; i < N; i++)
		if (i % 5 < 2)
			release(m, &m->leases[i]);
	assert_int_equal(stats(m).in_use, N / 5 * 3);
	assert_int_equal(stats(m).lingering, N / 5);
}

static void moved_fini(struct moved *m)
{
	fixture_fini(&m->f);
	for (unsigned i = 0; i < m->count; i++)
		cfg_free(m->cfgs[i]);
}

static void what_is_outside_is_counted_by_portions(void **state)
{
	struct moved *m = &moved;
	moved_init(m);
	reload(m, THERE);
	assert_true(stats(m).free <= stats(m).size);
	assert_int_equal(stats(m).left, 0);
	assert_true(count_out(m) > N / BLOCK);
	assert_int_equal(stats(m).outside, N / 5 * 4);
	assert_int_equal(stats(m).left, N / 5 * 4);
	assert_int_equal(stats(m).free, 256);
	// And back: each in its place, as if nothing had been.
	reload(m, HERE);
	count_out(m);
	assert_int_equal(stats(m).outside, 0);
	assert_int_equal(stats(m).left, 0);
	assert_int_equal(stats(m).in_use, N / 5 * 3);
	assert_int_equal(stats(m).free, stats(m).size - N / 5 * 4);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(use(m, &m->leases[i]), i % 5 >= 2);
	moved_fini(m);
}

// Before the first step after the change, and after some.
static void leases_live_on_wherever_it_is(void **state)
{
	for (unsigned steps = 0; steps < 4; steps++) {
		struct moved *m = &moved;
		struct lease l;
		moved_init(m);
		reload(m, THERE);
		for (unsigned i = 0; i < steps; i++)
			assert_true(pools_reload_goes_on(m->f.pools));
		for (unsigned i = 0; i < N; i += 97) {
			switch (i % 5) {
			case 0: // had one once
				break;
			case 1: // comes back
				assert_int_equal(ask(m, i, &l), ADDRESS_OK);
				assert_true(l.adopted && ip_eq(&l.addr, &m->leases[i].addr));
				m->leases[i] = l;
				break;
			case 2:
				assert_true(use(m, &m->leases[i]));
				break;
			default: // goes, and comes back
				release(m, &m->leases[i]);
				assert_int_equal(ask(m, i, &l), ADDRESS_OK);
				assert_true(l.adopted && ip_eq(&l.addr, &m->leases[i].addr));
				release(m, &l);
			}
		}
		count_out(m);
		assert_int_equal(stats(m).outside, N / 5 * 4);
		// What was offered ends, or lingers first; so do those that came back.
		fixture_wait(&m->f, 300);
		fixture_wait(&m->f, 86400);
		fixture_wait(&m->f, 86400);
		assert_int_equal(stats(m).outside, stats(m).left);
		unsigned active = 0;
		for (unsigned i = 0; i < N; i++)
			active += i % 5 > 2 ? i % 97 != 0 : i % 5 == 2 && i % 97 == 0;
		assert_int_equal(stats(m).outside, active);
		moved_fini(m);
	}
}

// Who is new has an address of the new ranges, as many as there are, and nobody one of the old ones.
static void new_ones_are_of_the_new_ranges(void **state)
{
	struct moved *m = &moved;
	struct lease l;
	struct ip_range there = {ip_of("10.7.0.0"), ip_of("10.7.0.255")};
	moved_init(m);
	reload(m, THERE);
	for (unsigned i = 0; i < 256; i++) {
		assert_int_equal(ask(m, N + i, &l), ADDRESS_OK);
		assert_true(ip_range_contains(&there, &l.addr));
	}
	assert_int_equal(ask(m, N + 256, &l), ADDRESS_EXHAUSTED);
	// One that goes from outside the ranges is no address for anybody.
	for (unsigned i = 3; i < N; i += 5) {
		struct lease_clearing c = {.addr = m->leases[i].addr};
		assert_int_equal(pools_clear(m->f.pools, &c), 1);
		release(m, &m->leases[i]);
	}
	assert_int_equal(ask(m, N + 256, &l), ADDRESS_EXHAUSTED);
	count_out(m);
	assert_int_equal(stats(m).outside, N / 5 * 3);
	assert_int_equal(stats(m).free, 0);
	moved_fini(m);
}

// Ten reloads without a pause between them, some ranges staying, and each address is given once.
static void reloads_follow_each_other_at_once(void **state)
{
	static uint8_t held[65536 + 256];
	struct moved *m = &moved;
	struct lease l;
	moved_init(m);
	memset(held, 0, sizeof(held));
	reload(m, THERE);
	reload(m, "{ name = \"p\"; ranges = [ \"10.0.0.0/19\" ]; }");
	(void)pools_reload_goes_on(m->f.pools);
	reload(m, THERE);
	reload(m, "{ name = \"p\"; ranges = [ \"10.7.0.0/24\", \"10.0.32.0/20\" ]; }");
	(void)pools_reload_goes_on(m->f.pools);
	reload(m, "{ name = \"p\"; ranges = [ \"10.7.0.0/24\", \"10.0.0.0/16\" ]; }");
	for (unsigned i = 0; i < N; i++)
		if (i % 5)
			held[ip_to_v4(&m->leases[i].addr) & 0xffff]++;
	unsigned given = 0;
	for (; ask(m, N + given, &l) == ADDRESS_OK; given++) {
		bool there = ip_to_v4(&l.addr) >> 8 == 0x0a0700;
		held[(ip_to_v4(&l.addr) & 0xffff) + (there ? 65536 : 0)]++;
	}
	for (unsigned i = 0; i < sizeof(held); i++)
		assert_int_equal(held[i], 1);
	assert_int_equal(given, 65536 + 256 - N / 5 * 4);
	moved_fini(m);
}

// Its leases stay in their places, and what counts them is looked at by portions.
static void what_comes_back_is_not_moved(void **state)
{
	struct moved *m = &moved;
	moved_init(m);
	reload(m, THERE);
	count_out(m);
	uint64_t hashes = m->f.hashes;
	reload(m, HERE);
	assert_int_equal(m->f.hashes, hashes);
	assert_int_equal(stats(m).outside, N / 5 * 4);
	uint64_t before = N / 5 * 4;
	unsigned steps = 0;
	for (; pools_reload_goes_on(m->f.pools); steps++) {
		assert_true(before - stats(m).outside <= BLOCK);
		before = stats(m).outside;
	}
	assert_true(steps >= N / BLOCK);
	assert_int_equal(stats(m).outside, 0);
	assert_int_equal(stats(m).in_use, N / 5 * 3);
	assert_int_equal(stats(m).lingering, N / 5);
	moved_fini(m);
}

static const struct back {
	const char *pools, *lo, *hi;
	const char *not_lo, *not_hi; // excluded, or reserved for zoe
} back[] = {
	{HERE, "10.0.0.0", "10.0.255.255", "10.0.3.0", "10.0.3.255"},
	{"{ name = \"p\"; ranges = [ \"10.0.0.0/16\" ]; exclude = [ \"10.0.16.0/22\" ]; }",
		"10.0.0.0", "10.0.255.255", "10.0.16.0", "10.0.19.255"},
	{"{ name = \"p\"; ranges = [ \"10.0.0.0/15\" ]; reserve = ( { owner = \"zoe\"; "
	 "address = \"10.0.5.5\"; } ); }",
		"10.0.0.0", "10.1.255.255", "10.0.5.5", "10.0.5.5"},
	// A part of a block moves.
	{"{ name = \"p\"; ranges = [ \"10.0.1.0-10.0.42.7\" ]; }", "10.0.1.0", "10.0.42.7",
		"0.0.0.0", "0.0.0.0"},
};

static bool given_by(const struct back *b, const struct ip_addr *a)
{
	struct ip_range range = {ip_of(b->lo), ip_of(b->hi)};
	struct ip_range not = {ip_of(b->not_lo), ip_of(b->not_hi)};
	return ip_range_contains(&range, a) && !ip_range_contains(&not, a);
}

static enum address_status ask_for(
	struct moved *m, const char *user, const struct ip_addr *a, bool exact, struct lease *l)
{
	struct address_request rq = request_of(&m->f, user);
	rq.want = *a;
	rq.exact = exact;
	return m->f.source.acquire(m->f.source.ctx, &rq, l);
}

// Nobody gets what somebody has or may come back to, asked for or drawn, and all the rest is given once.
static void expect_one_owner_each(struct moved *m, const struct back *b)
{
	static uint8_t held[2 * 65536];
	struct lease l;
	size_t rest = 0;
	memset(held, 0, sizeof(held));
	for (unsigned i = 0; i < N; i++)
		if (i % 5)
			held[ip_to_v4(&m->leases[i].addr) & 0x1ffff]++;
	for (unsigned i = 0; i < N; i += 7) {
		if (i % 5 == 0)
			continue;
		assert_int_equal(
			ask_for(m, "thief", &m->leases[i].addr, true, &l), ADDRESS_EXHAUSTED);
		if (i % 35 == 1) {
			assert_int_equal(ask(m, i, &l), ADDRESS_OK);
			assert_true(l.adopted && ip_eq(&l.addr, &m->leases[i].addr));
		}
	}
	for (uint32_t i = 0; i < sizeof(held); i++) {
		struct ip_addr a = ip_from_v4(0x0a000000 | i);
		rest += !held[i] && given_by(b, &a);
	}
	for (; ask_for(m, NULL, &m->leases[rest % N].addr, false, &l) == ADDRESS_OK; rest--) {
		assert_true(given_by(b, &l.addr) && rest > 0);
		assert_int_equal(held[ip_to_v4(&l.addr) & 0x1ffff]++, 0);
	}
	assert_int_equal(rest, 0);
}

static void what_comes_back_is_whose_it_was(void **state)
{
	for (size_t i = 0; i < sizeof(back) / sizeof(back[0]); i++)
		for (unsigned steps = 0; steps < 9; steps += 4) {
			struct moved *m = &moved;
			moved_init(m);
			reload(m, THERE);
			for (unsigned k = 0; k < steps; k++)
				(void)pools_reload_goes_on(m->f.pools);
			reload(m, back[i].pools);
			for (unsigned k = 0; k < steps; k++)
				(void)pools_reload_goes_on(m->f.pools);
			// Some leave meanwhile, and linger.
			for (unsigned k = 3; k < N; k += 5 * 11)
				release(m, &m->leases[k]);
			expect_one_owner_each(m, &back[i]);
			count_out(m);
			struct pool_stats s = stats(m);
			assert_int_equal(s.free, 0);
			unsigned in = 0;
			for (unsigned k = 0; k < N; k++)
				in += k % 5 && given_by(&back[i], &m->leases[k].addr);
			assert_int_equal(s.in_use + s.lingering + s.reserved, s.size);
			assert_true(s.outside <= N / 5 * 4 - in);
			moved_fini(m);
		}
}

// 10.0.0.0/15 and THERE.
static uint32_t place_of(const struct ip_addr *a)
{
	uint32_t v = ip_to_v4(a);
	return v >> 8 == 0x0a0700 ? 2 * 65536 + (v & 255) : v & 0x1ffff;
}

// Who has a lease has the same one whenever he comes, in a range or outside, until it is cleared; and nobody
// else has it.
static void ranges_come_and_go_at_random(void **state)
{
	enum { USERS = 9000, OPS = 300000, CONFIGS = 5 };
	static uint32_t holder[2 * 65536 + 256]; // by address; user + 1
	static bool live[USERS];
	struct moved *m = &moved;
	struct cfg *cfgs[CONFIGS];
	uint64_t seed, x;
	random_fill(&random_system, &seed, sizeof(seed));
	x = seed |= 1;
	printf("# SEED=%#llx\n", (unsigned long long)seed);
	memset(m, 0, sizeof(*m));
	memset(holder, 0, sizeof(holder));
	memset(live, 0, sizeof(live));
	fixture_init(&m->f, HERE, 3);
	for (unsigned i = 0; i < CONFIGS; i++) {
		char text[512];
		snprintf(text, sizeof(text), "pools = ( %s );\n", i ? back[i - 1].pools : THERE);
		assert_int_equal(cfg_load_text("other", text, NULL, &cfgs[i]), 0);
	}
	for (unsigned op = 0; op < OPS; op++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		unsigned user = (unsigned)(x >> 32) % USERS;
		struct lease *l = &m->leases[user];
		if (x % 8192 == 0) {
			struct cfg *c = cfgs[(x >> 20) % CONFIGS];
			assert_int_equal(pools_reload(m->f.pools, c), 0);
			m->pool = c->pools;
		} else if (x % 1024 == 1) {
			(void)pools_reload_goes_on(m->f.pools);
		} else if (live[user]) {
			release(m, l);
			live[user] = false;
		} else if (l->addr.family && x % 8 == 2) {
			struct lease_clearing c = {.addr = l->addr};
			assert_int_equal(pools_clear(m->f.pools, &c), 1);
			holder[place_of(&l->addr)] = 0;
			*l = (struct lease){0};
		} else {
			struct ip_addr had = l->addr;
			enum address_status s = ask(m, user, l);
			if (s == ADDRESS_EXHAUSTED && !had.family)
				continue; // THERE is small
			assert_int_equal(s, ADDRESS_OK);
			assert_true(use(m, l));
			assert_true(!had.family || ip_eq(&l->addr, &had));
			uint32_t *h = &holder[place_of(&l->addr)];
			assert_true(!*h || *h == user + 1);
			*h = user + 1;
			live[user] = true;
		}
	}
	moved_fini(m);
	for (unsigned i = 0; i < CONFIGS; i++)
		cfg_free(cfgs[i]);
}

// Of somebody's network that has no place in a block nothing becomes single addresses.
static void a_network_is_not_cut_by_another_pools_range(void **state)
{
	static const char *const other[] = {"2001:db8:0:5::1000/120", "2001:db8:0:5::/120"};
	for (size_t i = 0; i < 2; i++) {
		struct moved *m = &moved;
		struct lease l;
		char text[512];
		memset(m, 0, sizeof(*m));
		fixture_init(&m->f,
			"{ name = \"p\"; ranges = [ \"2001:db8::/32\" ]; prefix_length = 64; },"
			"{ name = \"q\"; ranges = [ \"2001:db9::/120\" ]; }",
			1);
		struct address_request rq = request_of(&m->f, "anna");
		rq.want = ip_of("2001:db8:0:5::");
		assert_int_equal(m->f.source.acquire(m->f.source.ctx, &rq, &l), ADDRESS_OK);
		assert_true(ip_eq(&l.addr, &rq.want));
		snprintf(text, sizeof(text),
			"pools = ( { name = \"p\"; ranges = [ \"2001:dba::/32\" ];"
			" prefix_length = 64; }, { name = \"q\"; ranges = [ \"%s\" ]; } );\n",
			other[i]);
		assert_int_equal(cfg_load_text("other", text, NULL, &m->cfgs[m->count]), 0);
		assert_int_equal(pools_reload(m->f.pools, m->cfgs[m->count++]), -EINVAL);
		assert_true(use(m, &l));
		moved_fini(m);
	}
}

static void a_look_passes_so_many_places(void **state)
{
	struct moved *m = &moved;
	struct lease_info info;
	moved_init(m);
	for (unsigned i = 0; i + 1 < N; i++)
		if (i % 5 > 1) {
			struct lease_clearing c = {.addr = m->leases[i].addr};
			assert_int_equal(pools_clear(m->f.pools, &c), 1);
			release(m, &m->leases[i]);
		}
	pools_clear(m->f.pools, &(struct lease_clearing){0});
	struct lease_walk w = {.looks = 100};
	unsigned looks = 0, found = 0;
	for (; !w.end; w.looks = 100, looks++) {
		uint64_t from = w.cursor;
		found += pools_lease_look(m->f.pools, 0, &w, &info);
		assert_true(w.cursor - from <= 100 * (uint64_t)BLOCK && w.looks < 100);
	}
	assert_int_equal(found, 1);
	assert_true(looks > N / 100);
	moved_fini(m);
}

// ---- a request that waits for its row meanwhile

static struct {
	struct lease_journal journal;
	uint64_t ticket;
	unsigned done;
	struct lease lease;
} waiting;

static uint64_t put(void *ctx, const struct lease_row *row)
{
	return ++waiting.ticket;
}

static uint64_t drop(void *ctx, const struct ip_addr *addr)
{
	return ++waiting.ticket;
}

static void done(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	assert_int_equal(s, ADDRESS_OK);
	waiting.done++;
	waiting.lease = *l;
}

#define TWO(first, second)                                           \
	"{ name = \"p\"; ranges = [ " first " ]; linger_s = 300; }," \
	"{ name = \"q\"; ranges = [ " second " ]; linger_s = 300; }"

static void waiting_init(struct moved *m)
{
	memset(m, 0, sizeof(*m));
	memset(&waiting, 0, sizeof(waiting));
	fixture_init(&m->f, TWO("\"192.0.2.0/30\"", "\"198.51.100.0/30\""), 1);
	pools_free(m->f.pools);
	waiting.journal = (struct lease_journal){.put = put, .drop = drop};
	struct pools_seams seams = {.clock = &m->f.clock,
		.random = &random_system,
		.workers = 1,
		.journal = &waiting.journal};
	assert_int_equal(pools_new(m->f.cfg, &seams, &m->f.pools), 0);
	pools_source(m->f.pools, &m->f.source);
	m->f.source.done = done;
}

// AAA gave it from q, outside; while the row is on its way p grows over it, or loses its range.
static void a_grant_that_waits_is_answered_after_a_reload(void **state)
{
	static const struct {
		const char *want, *pools;
		size_t of; // afterwards
		bool outside;
	} rows[] = {
		{"192.0.2.9", TWO("\"192.0.2.0/28\"", "\"198.51.100.0/30\""), 0, false},
		{"192.0.2.9", TWO("\"192.0.2.4/30\"", "\"198.51.100.0/30\""), 1, true},
		{"192.0.2.1", TWO("\"10.9.0.0/24\"", "\"198.51.100.0/30\""), 0, true},
		{"192.0.2.1", TWO("\"198.51.100.0/30\"", "\"192.0.2.0/30\""), 1, false},
	};
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		struct moved *m = &moved;
		struct lease l, other;
		waiting_init(m);
		struct address_request rq = request_of(&m->f, "anna");
		rq.pool = &m->f.cfg->pools[1];
		rq.exact = true;
		rq.want = ip_of(rows[i / 2].want);
		assert_int_equal(m->f.source.acquire(m->f.source.ctx, &rq, &l), ADDRESS_PENDING);
		m->f.now_ns += 200 * NS_PER_S;
		reload(m, rows[i / 2].pools);
		if (i % 2)
			count_out(m);
		pools_settled(m->f.pools, waiting.ticket, true);
		assert_int_equal(waiting.done, 1);
		assert_true(ip_eq(&waiting.lease.addr, &rq.want));
		count_out(m);
		struct pool_stats s;
		assert_true(pools_stats(m->f.pools, rows[i / 2].of, &s));
		assert_int_equal(s.outside, rows[i / 2].outside);
		assert_int_equal(s.in_use, !rows[i / 2].outside);
		assert_true(use(m, &waiting.lease));
		rq = request_of(&m->f, "bert");
		rq.pool = &m->cfgs[0]->pools[1];
		rq.exact = true;
		rq.want = waiting.lease.addr;
		assert_int_equal(
			m->f.source.acquire(m->f.source.ctx, &rq, &other), ADDRESS_EXHAUSTED);
		moved_fini(m);
	}
}

// The time of an offer that comes into another pool's queue begins anew, and what an operator clears of it
// ends then, not before.
static void an_offer_that_waited_is_one_from_the_reload_on(void **state)
{
	struct moved *m = &moved;
	struct lease l;
	waiting_init(m);
	struct address_request rq = request_of(&m->f, "anna");
	rq.pool = &m->f.cfg->pools[1];
	rq.exact = true;
	rq.want = ip_of("192.0.2.9");
	assert_int_equal(m->f.source.acquire(m->f.source.ctx, &rq, &l), ADDRESS_PENDING);
	fixture_wait(&m->f, 200);
	reload(m, TWO("\"192.0.2.0/28\"", "\"198.51.100.0/30\""));
	fixture_wait(&m->f, 10);
	pools_settled(m->f.pools, waiting.ticket, true);
	assert_int_equal(waiting.done, 1);
	fixture_wait(&m->f, 100);
	struct lease_clearing c = {.addr = rq.want};
	assert_int_equal(pools_clear(m->f.pools, &c), 1);
	rq = request_of(&m->f, "bert");
	rq.pool = &m->cfgs[0]->pools[0];
	rq.exact = true;
	rq.want = c.addr;
	fixture_wait(&m->f, 189); // 499 seconds after the request, 299 after the reload
	assert_int_equal(m->f.source.acquire(m->f.source.ctx, &rq, &l), ADDRESS_EXHAUSTED);
	fixture_wait(&m->f, 1);
	assert_int_equal(m->f.source.acquire(m->f.source.ctx, &rq, &l), ADDRESS_PENDING);
	moved_fini(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_outside_is_counted_by_portions),
		cmocka_unit_test(leases_live_on_wherever_it_is),
		cmocka_unit_test(new_ones_are_of_the_new_ranges),
		cmocka_unit_test(reloads_follow_each_other_at_once),
		cmocka_unit_test(what_comes_back_is_not_moved),
		cmocka_unit_test(what_comes_back_is_whose_it_was),
		cmocka_unit_test(ranges_come_and_go_at_random),
		cmocka_unit_test(a_network_is_not_cut_by_another_pools_range),
		cmocka_unit_test(a_look_passes_so_many_places),
		cmocka_unit_test(a_grant_that_waits_is_answered_after_a_reload),
		cmocka_unit_test(an_offer_that_waited_is_one_from_the_reload_on),
	};
	return cmocka_run_group_tests_name("pools_reload", tests, NULL, NULL);
}
