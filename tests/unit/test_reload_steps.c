// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A reload's steps on the control thread (app/reload.c), with workers that know new ranges when the test says.
#include "tests/unit/pools_fixture.h"

#include "app/daemon.h"

#include <errno.h>

static struct {
	unsigned sets;
	bool known;
	int dhcp;
	struct ip_range ranges[8]; // that the workers guard
	size_t count;
} fake;

int dp_set_pools(struct dp *d, const struct dp_pool_range *r, size_t count)
{
	assert_true(count <= sizeof(fake.ranges) / sizeof(fake.ranges[0]));
	fake.sets++;
	for (size_t i = 0; i < count; i++)
		fake.ranges[i] = r[i].range;
	fake.count = count;
	return 0;
}

bool dp_pools_known(const struct dp *d)
{
	return fake.known;
}

int dhcp_reload(struct dhcp *d, const struct cfg *c, FILE *errors)
{
	return fake.dhcp;
}

static bool guarded(const char *address)
{
	struct ip_addr a = ip_of(address);
	for (size_t i = 0; i < fake.count; i++)
		if (ip_range_contains(&fake.ranges[i], &a))
			return true;
	return false;
}

// Long after the time when an old guard may go.
static void tick(struct daemon *d)
{
	reload_tick(d, clock_now_ns(&clock_system) + 100 * NS_PER_S);
	d->shrink_ns = 0;
}

struct steps {
	struct fixture f;
	struct daemon d;
	struct mgmt_reload r;
};

static void steps_init(struct steps *s, const char *from, const char *to)
{
	char text[256];
	memset(&fake, 0, sizeof(fake));
	memset(s, 0, sizeof(*s));
	fixture_init(&s->f, from, 1);
	s->d.cfg = s->f.cfg;
	s->d.pools = s->f.pools;
	snprintf(text, sizeof(text), "pools = ( %s );\n", to);
	assert_int_equal(cfg_load_text("other", text, NULL, &s->r.cfg), 0);
}

static void steps_fini(struct steps *s)
{
	free(s->d.guard.ranges);
	fixture_fini(&s->f);
	cfg_free(s->r.cfg);
}

#define OLD "{ name = \"p\"; ranges = [ \"10.0.0.0/16\" ]; linger_s = 0; }"
#define NEW "{ name = \"p\"; ranges = [ \"10.9.0.0/16\" ]; linger_s = 0; }"

static void new_ranges_are_guarded_however_long_it_takes(void **state)
{
	struct steps s;
	struct lease l;
	steps_init(&s, OLD, NEW);
	assert_false(reload_apply(&s.d, &s.r));
	assert_false(reload_apply(&s.d, &s.r)); // the workers do not know of it yet
	fake.known = true;
	tick(&s.d);
	assert_int_equal(fake.sets, 1);
	assert_true(guarded("10.0.0.1") && guarded("10.9.0.1"));
	while (!reload_apply(&s.d, &s.r))
		assert_true(guarded("10.9.0.1"));
	assert_null(s.r.error);
	struct address_request rq = request_of(&s.f, "anna");
	assert_int_equal(s.f.source.acquire(s.f.source.ctx, &rq, &l), ADDRESS_OK);
	assert_true(guarded("10.9.0.1"));
	tick(&s.d);
	assert_true(guarded("10.9.0.1"));
	assert_false(guarded("10.0.0.1")); // nobody is there
	tick(&s.d);
	assert_int_equal(fake.sets, 2);
	steps_fini(&s);
}

static void old_ranges_are_guarded_as_long_as_leases_live_there(void **state)
{
	enum { N = 10000 };
	struct steps s;
	static struct lease l[N];
	steps_init(&s, OLD, NEW);
	fake.known = true;
	struct address_request rq = request_of(&s.f, NULL);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(s.f.source.acquire(s.f.source.ctx, &rq, &l[i]), ADDRESS_OK);
	for (unsigned i = 0; i + 1 < N; i++)
		s.f.source.release(s.f.source.ctx, &l[i]);
	// The last one is counted in the last step.
	unsigned steps = 1;
	for (; !reload_apply(&s.d, &s.r); steps++)
		tick(&s.d);
	assert_in_range(steps, 2 + N / 4096, 20);
	tick(&s.d);
	assert_true(guarded("10.0.0.1") && guarded("10.9.0.1"));
	s.f.source.release(s.f.source.ctx, &l[N - 1]);
	tick(&s.d);
	assert_true(!guarded("10.0.0.1") && guarded("10.9.0.1"));
	steps_fini(&s);
}

static void what_is_refused_leaves_the_old_guard(void **state)
{
	struct steps s;
	steps_init(&s, OLD, NEW);
	fake.known = true;
	fake.dhcp = -EADDRNOTAVAIL;
	while (!reload_apply(&s.d, &s.r))
		;
	assert_non_null(s.r.error);
	assert_true(guarded("10.0.0.1"));
	tick(&s.d);
	assert_true(guarded("10.0.0.1") && !guarded("10.9.0.1"));
	struct steps again;
	steps_fini(&s);
	steps_init(&again, OLD, NEW);
	again.d.stopping = true;
	assert_true(reload_apply(&again.d, &again.r));
	assert_non_null(again.r.error);
	assert_int_equal(fake.sets, 0);
	steps_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new_ranges_are_guarded_however_long_it_takes),
		cmocka_unit_test(old_ranges_are_guarded_as_long_as_leases_live_there),
		cmocka_unit_test(what_is_refused_leaves_the_old_guard),
	};
	return cmocka_run_group_tests_name("reload_steps", tests, NULL, NULL);
}
