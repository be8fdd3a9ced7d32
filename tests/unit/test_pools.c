// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/pools_fixture.h"

#include "base/sanitize.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define TWO   "{ name = \"p\"; ranges = [ \"192.0.2.1-192.0.2.2\" ]; linger_s = 300; }"
#define OFFER 300 // seconds, with the default of half_open_timeout_s

static enum address_status ask(struct fixture *f, struct address_request *rq, struct lease *l)
{
	return f->source.acquire(f->source.ctx, rq, l);
}

static struct lease get(struct fixture *f, const char *user)
{
	struct address_request rq = request_of(f, user);
	struct lease l = {0};
	assert_int_equal(ask(f, &rq, &l), ADDRESS_OK);
	return l;
}

static struct lease get_active(struct fixture *f, const char *user)
{
	struct lease l = get(f, user);
	assert_true(f->source.renew(f->source.ctx, &l, 1));
	return l;
}

static void drop(struct fixture *f, const struct lease *l)
{
	f->source.release(f->source.ctx, l);
}

static struct pool_stats stats(struct fixture *f)
{
	struct pool_stats s;
	assert_true(pools_stats(f->pools, 0, &s));
	if (s.size != UINT64_MAX)
		assert_int_equal(s.size, s.free + s.in_use + s.lingering + s.reserved);
	return s;
}

static void assert_addr(const struct lease *l, const char *text)
{
	char buf[IP_TEXT_MAX];
	assert_string_equal(ip_text(&l->addr, buf), text);
}

static void an_owner_comes_back_to_the_same_address(void **state)
{
	struct fixture f;
	fixture_init(&f, TWO, 1);
	struct lease a = get_active(&f, "anna"), b = get_active(&f, "bert");
	assert_addr(&a, "192.0.2.1");
	assert_addr(&b, "192.0.2.2");
	drop(&f, &a);
	assert_int_equal(stats(&f).lingering, 1);
	fixture_wait(&f, 299);
	struct lease again = get(&f, "anna");
	assert_addr(&again, "192.0.2.1");
	assert_true(again.adopted);
	assert_true(again.fence != a.fence);
	assert_int_equal(stats(&f).adopted, 1);
	// A login that fails after that does not cost the owner the address.
	drop(&f, &again);
	assert_int_equal(stats(&f).lingering, 1);
	fixture_wait(&f, 300);
	assert_int_equal(stats(&f).lingering, 0);
	assert_int_equal(stats(&f).free, 1);
	struct lease other = get(&f, "carl");
	assert_addr(&other, "192.0.2.1");
	assert_false(other.adopted);
	fixture_fini(&f);
}

static void exhausted_is_refused_and_never_shared(void **state)
{
	struct fixture f;
	struct lease l = {0};
	fixture_init(&f, TWO, 1);
	struct lease a = get_active(&f, "anna");
	get_active(&f, "bert");
	struct address_request rq = request_of(&f, "carl");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	rq.want = a.addr;
	rq.adopt = true; // not his to adopt
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	assert_int_equal(stats(&f).exhausted, 2);
	// Kept for its owner while it lingers.
	drop(&f, &a);
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	// Afterwards it is had, even if nobody called pools_tick().
	f.now_ns += 300 * NS_PER_S;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.1");
	assert_int_equal(stats(&f).high_water, 2);
	fixture_fini(&f);
}

static void an_anonymous_peer_has_no_claims(void **state)
{
	struct fixture f;
	fixture_init(&f,
		"{ name = \"p\"; ranges = [ \"192.0.2.1-192.0.2.3\" ];"
		" reserve = ( { owner = \"group\"; address = \"192.0.2.1\"; } ); }",
		1);
	struct address_request rq = request_of(&f, NULL);
	struct lease l, m;
	rq.owner.name = "group";
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.2"); // not the reserved one
	assert_true(f.source.renew(f.source.ctx, &l, 1));
	rq.adopt = true;
	rq.want = l.addr;
	assert_int_equal(ask(&f, &rq, &m), ADDRESS_OK);
	assert_addr(&m, "192.0.2.3");
	drop(&f, &l);
	assert_int_equal(stats(&f).lingering, 0);
	assert_int_equal(stats(&f).free, 1);
	rq.want = ip_of("192.0.2.1");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.2");
	fixture_fini(&f);
}

static void a_lease_is_shared_by_reference_only_if_adopted(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"192.0.2.0/28\" ]; }", 1);
	struct address_request rq = request_of(&f, "anna");
	struct lease a = get_active(&f, "anna"), b, c;
	rq.want = a.addr;
	assert_int_equal(ask(&f, &rq, &b), ADDRESS_OK);
	assert_false(ip_eq(&b.addr, &a.addr));
	rq.adopt = true;
	assert_int_equal(ask(&f, &rq, &c), ADDRESS_OK);
	assert_true(ip_eq(&c.addr, &a.addr));
	assert_true(c.adopted);
	struct lease_info info;
	uint64_t cursor = 0;
	assert_true(pools_lease_next(f.pools, 0, &cursor, &info));
	assert_int_equal(info.references, 2);
	assert_int_equal(info.state, LEASE_ACTIVE);
	assert_string_equal(info.owner, "anna");
	drop(&f, &a);
	drop(&f, &a); // a second release of the same grant
	assert_int_equal(stats(&f).stale, 1);
	assert_int_equal(stats(&f).in_use, 2);
	drop(&f, &c);
	assert_int_equal(stats(&f).in_use, 1);
	assert_int_equal(stats(&f).lingering, 1);
	fixture_fini(&f);
}

// Nobody makes one lease's list of grants long: who ends one looks for it there.
static void so_many_share_a_lease_and_no_more(void **state)
{
	enum { SHARED = 64, MORE = 100 };
	struct fixture f;
	struct lease leases[1 + SHARED + MORE] = {0};
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"192.0.2.0/24\" ]; }", 1);
	struct address_request rq = request_of(&f, "anna");
	leases[0] = get_active(&f, "anna");
	rq.want = leases[0].addr;
	rq.adopt = true;
	size_t shared = 1, own = 0;
	for (size_t i = 1; i < sizeof(leases) / sizeof(leases[0]); i++) {
		assert_int_equal(ask(&f, &rq, &leases[i]), ADDRESS_OK);
		*(ip_eq(&leases[i].addr, &leases[0].addr) ? &shared : &own) += 1;
	}
	assert_int_equal(shared, SHARED);
	assert_int_equal(own, 1 + MORE);
	rq.exact = true;
	struct lease other;
	assert_int_equal(ask(&f, &rq, &other), ADDRESS_EXHAUSTED);
	assert_int_equal(stats(&f).refused, 1);
	drop(&f, &leases[1]);
	assert_int_equal(ask(&f, &rq, &leases[1]), ADDRESS_OK);
	for (size_t i = 0; i < sizeof(leases) / sizeof(leases[0]); i++)
		drop(&f, &leases[i]);
	assert_int_equal(stats(&f).in_use, 0);
	assert_int_equal(stats(&f).stale, 0);
	fixture_fini(&f);
}

// Wrong, late or repeated, it changes nothing.
static void an_expected_release_is_but_a_hint(void **state)
{
	static const uint64_t wrong[] = {0, 1, (1u << 28) - 1, 1ull << 28, UINT64_MAX};
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"192.0.2.0/28\" ]; }", 1);
	struct lease a = get_active(&f, "anna"), gone = get_active(&f, "bert");
	drop(&f, &gone);
	struct pool_stats before = stats(&f), after;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		f.source.expect_release(f.source.ctx, &(struct lease){.fence = wrong[i]});
	for (unsigned i = 0; i < 3; i++) {
		f.source.expect_release(f.source.ctx, &gone);
		f.source.expect_release(f.source.ctx, &a);
	}
	after = stats(&f);
	assert_memory_equal(&after, &before, sizeof(before));
	assert_true(f.source.renew(f.source.ctx, &a, 1));
	struct lease back = get(&f, "bert");
	assert_true(ip_eq(&back.addr, &gone.addr));
	drop(&f, &a);
	f.source.expect_release(f.source.ctx, &a);
	assert_int_equal(stats(&f).lingering, 1);
	assert_int_equal(stats(&f).stale, 0);
	fixture_fini(&f);
}

static void a_late_release_does_not_touch_the_next_owner(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"192.0.2.7\" ]; linger_s = 0; }", 1);
	struct lease a = get_active(&f, "anna");
	drop(&f, &a);
	struct lease b = get(&f, "bert");
	assert_addr(&b, "192.0.2.7");
	drop(&f, &a);
	assert_false(f.source.renew(f.source.ctx, &a, 1));
	struct lease_info info;
	uint64_t cursor = 0;
	assert_true(pools_lease_next(f.pools, 0, &cursor, &info));
	assert_string_equal(info.owner, "bert");
	assert_int_equal(info.state, LEASE_OFFERED);
	assert_int_equal(stats(&f).stale, 2);
	fixture_fini(&f);
}

static void an_offer_ends_by_itself(void **state)
{
	struct fixture f;
	fixture_init(&f, TWO, 1);
	struct lease a = get(&f, "anna");
	get_active(&f, "bert");
	fixture_wait(&f, OFFER - 1);
	assert_int_equal(stats(&f).in_use, 2);
	fixture_wait(&f, 1);
	assert_int_equal(stats(&f).in_use, 1);
	assert_int_equal(stats(&f).lingering, 0); // it was never in use
	assert_int_equal(stats(&f).expired, 1);
	assert_false(f.source.renew(f.source.ctx, &a, 1));
	drop(&f, &a);
	assert_int_equal(stats(&f).stale, 2);
	fixture_wait(&f, 10000); // what is active stays
	assert_int_equal(stats(&f).in_use, 1);
	fixture_fini(&f);
}

static void reserved_addresses_are_their_owners(void **state)
{
	struct fixture f;
	fixture_init(&f,
		"{ name = \"p\"; ranges = [ \"192.0.2.1-192.0.2.3\" ]; linger_s = 0;"
		" reserve = ( { owner = \"anna\"; address = \"192.0.2.3\"; },"
		"             { owner = \"gw.example\"; address = \"192.0.2.1\"; } ); }",
		1);
	assert_int_equal(stats(&f).reserved, 2);
	struct address_request rq = request_of(&f, "bert");
	struct lease l;
	rq.want = ip_of("192.0.2.3");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.2");
	rq.want = ip_of("192.0.2.1");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	struct lease anna = get_active(&f, "anna");
	assert_addr(&anna, "192.0.2.3");
	drop(&f, &anna);
	anna = get(&f, "anna");
	assert_addr(&anna, "192.0.2.3");
	rq = request_of(&f, "carl");
	rq.owner.name = "gw.example"; // by the identity's text
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.1");
	assert_int_equal(stats(&f).reserved, 0);
	fixture_fini(&f);
}

static void a_wish_is_granted_if_it_may_be(void **state)
{
	struct fixture f;
	fixture_init(&f,
		"{ name = \"p\"; ranges = [ \"10.1.0.0/16\", \"10.9.0.5\" ]; exclude = [ \"10.1.7.0/24\" ]; }",
		4);
	static const struct {
		const char *want;
		bool had;
	} cases[] = {
		{"10.1.3.4", true}, {"10.1.3.4", false},                         // by now in use
		{"10.1.7.9", false},                                             // excluded
		{"10.2.0.0", false},                                             // outside
		{"10.9.0.5", true}, {"10.9.0.6", false}, {"2001:db8::1", false}, // another family
		{"a01:304::", false}, // the same first bytes
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address_request rq = request_of(&f, NULL);
		struct lease l;
		rq.want = ip_of(cases[i].want);
		rq.worker = 2;
		assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
		assert_int_equal(ip_eq(&l.addr, &rq.want), cases[i].had);
		assert_int_equal(l.worker, fixture_worker_of(&f, &l.addr));
	}
	assert_int_equal(stats(&f).size, 65536 - 256 + 1);
	fixture_fini(&f);
}

static void owners_differ_by_user_and_identity(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"192.0.2.0/24\" ]; }", 1);
	static const struct {
		const char *user;
		const char *identity;
	} owners[] = {{"ab", "c"}, {"a", "bc"}, {NULL, "abc"}, {"abc", NULL}, {"", "abc"}};
	enum { N = sizeof(owners) / sizeof(owners[0]) };
	struct lease first[N];
	for (size_t round = 0; round < 2; round++)
		for (size_t i = 0; i < N; i++) {
			struct address_request rq = request_of(&f, owners[i].user);
			struct lease l;
			rq.owner.anonymous = false;
			if (owners[i].identity)
				rq.owner.identity =
					(struct view){(const uint8_t *)owners[i].identity,
						strlen(owners[i].identity)};
			assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
			assert_int_equal(l.adopted, round == 1);
			if (round)
				assert_true(ip_eq(&l.addr, &first[i].addr));
			first[i] = l;
			assert_true(f.source.renew(f.source.ctx, &l, 1));
			if (round == 0 && i == N - 1)
				for (size_t k = 0; k < N; k++)
					drop(&f, &first[k]);
		}
	static uint8_t long_identity[POOL_OWNER_MAX + 1];
	struct address_request rq = request_of(&f, NULL);
	struct lease l;
	rq.owner = (struct pool_owner){.identity = {long_identity, sizeof(long_identity)}};
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_FAILED);
	assert_int_equal(stats(&f).failed, 1);
	fixture_fini(&f);
}

// Addresses for all records are reserved at the start, as many as the process may have.
static void little_address_space_is_enough(void **state)
{
#if WITH_ASAN
	skip(); // its own tables are larger
#else
	const struct rlimit two_gib = {(rlim_t)2 << 30, (rlim_t)2 << 30},
			    small = {1 << 20, 1 << 20};
	pid_t pid = fork(); // the limit ends with the child
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture f;
		struct pools *none;
		if (setrlimit(RLIMIT_AS, &two_gib))
			_exit(1);
		fixture_init(&f, TWO, 1);
		struct address_request rq = request_of(&f, "anna");
		struct lease l;
		if (ask(&f, &rq, &l) != ADDRESS_OK || setrlimit(RLIMIT_AS, &small))
			_exit(2);
		struct pools_seams seams = {
			.clock = &f.clock, .random = &random_system, .workers = 1};
		_exit(pools_new(f.cfg, &seams, &none) == -ENOMEM ? 0 : 3);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
#endif
}

static void a_shard_that_is_used_up_borrows(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"10.0.0.0/24\" ]; linger_s = 0; }", 4);
	unsigned of_shard[4] = {0}, borrowed = 0;
	for (unsigned i = 0; i < 256; i++) {
		struct ip_addr a = ip_from_v4(0x0a000000 + i);
		of_shard[fixture_worker_of(&f, &a)]++;
	}
	for (unsigned i = 0; i < 256; i++) {
		struct address_request rq = request_of(&f, NULL);
		struct lease l;
		rq.worker = 1;
		assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
		assert_int_equal(l.worker, fixture_worker_of(&f, &l.addr));
		assert_int_equal(l.worker == 1, i < of_shard[1]);
		borrowed += l.worker != 1;
	}
	assert_int_equal(borrowed, 256 - of_shard[1]);
	assert_int_equal(stats(&f).borrowed, borrowed);
	struct address_request rq = request_of(&f, NULL);
	struct lease l;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	fixture_fini(&f);
}

// Cost is counted in hashes, not in time.
static void a_slash_8_is_hashed_when_needed(void **state)
{
	struct fixture f;
	fixture_init(&f,
		"{ name = \"p\"; ranges = [ \"10.0.0.0/8\" ]; exclude = [ \"10.0.0.0/9\" ]; }", 8);
	assert_int_equal(f.hashes, 0);
	assert_int_equal(stats(&f).size, 1 << 23);
	for (unsigned i = 0; i < 4000; i++) {
		struct address_request rq = request_of(&f, NULL);
		struct lease l;
		uint64_t before = f.hashes;
		rq.worker = (uint16_t)(i % 8);
		assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
		assert_true(f.hashes - before <= 4 * 4096 + 4);
		assert_int_equal(l.worker, rq.worker);
		assert_true(ip_to_v4(&l.addr) >= 0x0a800000);
	}
	assert_true(f.hashes <= 3 * 4096 + 8000);
	fixture_fini(&f);
}

static void sparse_ranges_are_drawn_at_random(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"2001:db8:77::/64\" ]; linger_s = 0; }", 4);
	struct ip_range all = {ip_of("2001:db8:77::"), ip_of("2001:db8:77::ffff:ffff:ffff:ffff")};
	assert_int_equal(stats(&f).size, UINT64_MAX);
	enum { N = 5000 };
	struct lease *leases = calloc(N, sizeof(*leases));
	unsigned high = 0;
	for (unsigned i = 0; i < N; i++) {
		struct address_request rq = request_of(&f, NULL);
		rq.worker = (uint16_t)(i % 4);
		assert_int_equal(ask(&f, &rq, &leases[i]), ADDRESS_OK);
		assert_true(ip_range_contains(&all, &leases[i].addr));
		assert_int_equal(leases[i].worker, rq.worker);
		high += leases[i].addr.bytes[8] >> 7;
	}
	assert_in_range(high, N / 2 - 300, N / 2 + 300); // over eight standard deviations
	assert_int_equal(stats(&f).in_use, N);
	struct address_request rq = request_of(&f, "anna");
	struct lease l;
	rq.want = leases[7].addr;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_false(ip_eq(&l.addr, &rq.want));
	drop(&f, &leases[7]);
	rq = request_of(&f, "bert");
	rq.want = leases[7].addr;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_true(ip_eq(&l.addr, &rq.want));
	free(leases);
	fixture_fini(&f);
}

static void a_huge_range_that_is_all_excluded_ends(void **state)
{
	struct fixture f;
	fixture_init(&f,
		"{ name = \"p\"; ranges = [ \"2001:db8::/64\" ]; exclude = [ \"2001:db8::/64\" ]; }",
		2);
	struct address_request rq = request_of(&f, NULL);
	struct lease l;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	fixture_fini(&f);
}

static void many_small_ranges_are_one_pool(void **state)
{
	char text[4096];
	size_t n = (size_t)snprintf(text, sizeof(text), "{ name = \"p\"; ranges = [ ");
	for (unsigned i = 100; i-- > 0;)
		n += (size_t)snprintf(
			text + n, sizeof(text) - n, "\"10.%u.0.1\"%s", i, i ? "," : "");
	snprintf(text + n, sizeof(text) - n, " ]; linger_s = 0; }");
	struct fixture f;
	fixture_init(&f, text, 1);
	for (unsigned round = 0; round < 2; round++) {
		struct lease l[100];
		for (unsigned i = 0; i < 100; i++) {
			l[i] = get(&f, NULL);
			assert_int_equal(ip_to_v4(&l[i].addr), 0x0a000001 + (i << 16));
		}
		for (unsigned i = 0; i < 100; i++)
			drop(&f, &l[i]);
	}
	fixture_fini(&f);
}

static void a_walk_survives_changes(void **state)
{
	struct fixture f;
	fixture_init(&f, "{ name = \"p\"; ranges = [ \"10.0.0.0/16\" ]; linger_s = 0; }", 1);
	enum { N = 1000 };
	struct lease leases[N];
	for (unsigned i = 0; i < N; i++)
		leases[i] = get(&f, NULL);
	struct lease_info info;
	uint64_t cursor = 0;
	unsigned seen = 0;
	while (pools_lease_next(f.pools, 0, &cursor, &info)) {
		assert_int_equal(info.until_ns, f.now_ns + OFFER * NS_PER_S);
		if (seen++ % 2 == 0)
			drop(&f, &leases[seen - 1]);
	}
	assert_int_equal(seen, N);
	assert_int_equal(stats(&f).in_use, N / 2);
	assert_false(pools_lease_next(f.pools, 1, &(uint64_t){0}, &info));
	fixture_fini(&f);
}

static void bad_seams_are_refused(void **state)
{
	struct fixture f;
	struct pools *p;
	fixture_init(&f, TWO, 1);
	struct pools_seams s = {.clock = &f.clock, .random = &random_system, .workers = 0};
	assert_int_equal(pools_new(f.cfg, &s, &p), -EINVAL);
	s.workers = 2;
	assert_int_equal(pools_new(f.cfg, &s, &p), -EINVAL);
	struct address_request rq = request_of(&f, "anna");
	struct cfg_pool foreign = f.cfg->pools[0];
	struct lease l;
	rq.pool = &foreign;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_FAILED);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_owner_comes_back_to_the_same_address),
		cmocka_unit_test(exhausted_is_refused_and_never_shared),
		cmocka_unit_test(an_anonymous_peer_has_no_claims),
		cmocka_unit_test(a_lease_is_shared_by_reference_only_if_adopted),
		cmocka_unit_test(so_many_share_a_lease_and_no_more),
		cmocka_unit_test(an_expected_release_is_but_a_hint),
		cmocka_unit_test(a_late_release_does_not_touch_the_next_owner),
		cmocka_unit_test(an_offer_ends_by_itself),
		cmocka_unit_test(reserved_addresses_are_their_owners),
		cmocka_unit_test(a_wish_is_granted_if_it_may_be),
		cmocka_unit_test(owners_differ_by_user_and_identity),
		cmocka_unit_test(a_shard_that_is_used_up_borrows),
		cmocka_unit_test(a_slash_8_is_hashed_when_needed),
		cmocka_unit_test(sparse_ranges_are_drawn_at_random),
		cmocka_unit_test(a_huge_range_that_is_all_excluded_ends),
		cmocka_unit_test(many_small_ranges_are_one_pool),
		cmocka_unit_test(a_walk_survives_changes),
		cmocka_unit_test(little_address_space_is_enough),
		cmocka_unit_test(bad_seams_are_refused),
	};
	return cmocka_run_group_tests_name("pools", tests, NULL, NULL);
}
