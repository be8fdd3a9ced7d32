// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools that are nearly used up: nobody is refused as long as an address is free.
#include "tests/unit/pools_fixture.h"

#include "base/sanitize.h"

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

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

enum { EXCLUDED_NETS = 512, NETS_OF_BLOCK = 16 };

// Exclusions that lie beside each other; or the first address of each block is left out and somebody's.
static void print_unusable(FILE *to, bool reserve)
{
	fprintf(to, "{ name = \"p\"; ranges = [ \"10.0.0.0/14\" ]; exclude = [ ");
	for (unsigned i = 0; i < EXCLUDED_NETS; i++)
		fprintf(to, "%s\"10.%u.%u.%u-10.%u.%u.255\"", i ? ", " : "", i >> 8, i & 255,
			reserve && i % NETS_OF_BLOCK == 0, i >> 8, i & 255);
	fprintf(to, " ]; reserve = ( ");
	for (unsigned i = 0; reserve && i < EXCLUDED_NETS; i += NETS_OF_BLOCK)
		fprintf(to, "%s{ owner = \"o%u\"; address = \"10.%u.%u.0\"; }", i ? ", " : "", i,
			i >> 8, i & 255);
	fprintf(to, " ); }");
}

// Whatever lies before them: addresses that are free are found by the first who asks.
static void free_addresses_behind_unusable_ones_are_found(void **state)
{
	for (unsigned k = 0; k < 2; k++) {
		struct fixture f;
		char *text;
		size_t len;
		FILE *to = open_memstream(&text, &len);
		assert_non_null(to);
		print_unusable(to, k);
		fclose(to);
		fixture_init(&f, text, 2);
		struct lease l = get(&f, NULL);
		assert_true(ip_to_v4(&l.addr) >= 0x0a000000 + 256 * EXCLUDED_NETS);
		assert_true(f.hashes <= 4 * 4096 + 8);
		fixture_fini(&f);
		free(text);
	}
}

// More blocks than there is memory for: what was released before is had all the same.
static void without_memory_released_addresses_are_given(void **state)
{
#if WITH_ASAN
	skip(); // its own tables are larger
#else
	enum { RANGES = 4000 };
	const struct rlimit little = {(rlim_t)400 << 20, (rlim_t)400 << 20};
	pid_t pid = fork(); // the limit ends with the child
	assert_true(pid >= 0);
	if (pid == 0) {
		struct fixture f;
		struct lease l[RANGES];
		unsigned n = 0;
		char *text = calloc(1, 24 * RANGES + 100), *at = text;
		at += sprintf(at, "{ name = \"p\"; linger_s = 0; ranges = [ ");
		for (unsigned i = 0; i < RANGES; i++)
			at += sprintf(at, "%s\"10.%u.%u.1\"", i ? ", " : "", i >> 4, i << 4 & 255);
		strcpy(at, " ]; }");
		if (setrlimit(RLIMIT_AS, &little))
			_exit(1);
		fixture_init(&f, text, 1);
		struct address_request rq = request_of(&f, NULL);
		while (n < RANGES && ask(&f, &rq, &l[n]) == ADDRESS_OK)
			n++;
		if (n == RANGES)
			_exit(2);
		drop(&f, &l[n / 2]);
		if (ask(&f, &rq, &l[n]) != ADDRESS_OK || !ip_eq(&l[n].addr, &l[n / 2].addr))
			_exit(3);
		_exit(ask(&f, &rq, &l[n]) == ADDRESS_FAILED ? 0 : 4);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
#endif
}

// What is due but frees nothing by its end does not stand before what does, however much it is.
static void nobody_is_refused_for_what_is_due(void **state)
{
	enum { N = 100 };
	struct fixture f;
	struct lease l;
	fixture_init(
		&f, "{ name = \"p\"; ranges = [ \"192.0.2.1-192.0.2.101\" ]; linger_s = 300; }", 1);
	struct lease last = get_active(&f, "last");
	char user[16];
	for (unsigned i = 0; i < N; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		l = get_active(&f, user);
		drop(&f, &l);
		get(&f, user); // offered again, and abandoned
	}
	drop(&f, &last);
	// Offers that begin to linger, and one that ends to.
	f.now_ns += 300 * NS_PER_S;
	struct address_request rq = request_of(&f, "carl");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_addr(&l, "192.0.2.1");
	assert_int_equal(stats(&f).exhausted, 0);
	assert_int_equal(stats(&f).lingering, N);
	rq = request_of(&f, "dora");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	assert_int_equal(stats(&f).exhausted, 1);
	fixture_fini(&f);
}

// The same where his own offers are among what is due.
static void ones_own_offer_that_is_due_is_had_again(void **state)
{
	enum { N = 40 };
	struct fixture f;
	struct lease l, own;
	char user[16];
	fixture_init(
		&f, "{ name = \"p\"; ranges = [ \"192.0.2.1-192.0.2.40\" ]; linger_s = 300; }", 1);
	for (unsigned i = 0; i < N; i++) {
		snprintf(user, sizeof(user), "user%u", i);
		l = get_active(&f, user);
		drop(&f, &l);
		own = get(&f, user);
	}
	f.now_ns += 300 * NS_PER_S;
	struct address_request rq = request_of(&f, user);
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	assert_true(ip_eq(&l.addr, &own.addr) && l.adopted);
	assert_false(f.source.renew(f.source.ctx, &own, 1));
	assert_true(f.source.renew(f.source.ctx, &l, 1));
	// What AAA has decided is had in the moment when it is free.
	rq = request_of(&f, "aaa");
	rq.exact = true;
	rq.want = ip_of("192.0.2.30");
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_EXHAUSTED);
	fixture_wait(&f, 1);
	f.now_ns += 299 * NS_PER_S;
	assert_int_equal(ask(&f, &rq, &l), ADDRESS_OK);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(free_addresses_behind_unusable_ones_are_found),
		cmocka_unit_test(without_memory_released_addresses_are_given),
		cmocka_unit_test(nobody_is_refused_for_what_is_due),
		cmocka_unit_test(ones_own_offer_that_is_due_is_had_again),
	};
	return cmocka_run_group_tests_name("pools_full", tests, NULL, NULL);
}
