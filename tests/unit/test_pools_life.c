// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A million random operations on four pools with a journal, a giver, reloads and crashes. The model
// knows who has what and why it may be so; which free address is given is test_pools_model's matter.
// SEED repeats a run.
#include "tests/unit/pools_life.h"

#include <inttypes.h>

enum { OPERATIONS = 1000000 };

static void pass_time(struct life *m)
{
	if (rnd(m, 3) == 0)
		m->f.now_ns += rnd(m, 900) * NS_PER_MS;
	if (rnd(m, 20000) == 0)
		m->f.now_ns += 4000 * NS_PER_S;
	life_expire(m);
	pools_tick(m->f.pools, m->f.now_ns);
}

static void do_acquire(struct life *m)
{
	struct request_of_life *q = &m->requests[++m->token % REQUESTS];
	if (q->open)
		return; // a giver has not answered it yet
	*q = (struct request_of_life){.owner = (int)rnd(m, OWNERS + 1),
		.pool = (int)rnd(m, POOLS),
		.exact = rnd(m, 8) == 0,
		.adopt = rnd(m, 2),
		.want = rnd(m, 3) ? NOBODY : (int)rnd(m, ADDRESSES),
		.address = NOBODY,
		.open = true};
	if (q->exact && q->want == NOBODY)
		q->want = (int)rnd(m, ADDRESSES);
	if (q->exact && (q->want >= FIRST_PREFIX) != (q->pool == 2))
		q->exact = false;
	life_acquire(m, q);
}

static struct session *any_session(struct life *m)
{
	return m->session_count ? &m->sessions[rnd(m, m->session_count)] : NULL;
}

static void do_renew(struct life *m)
{
	struct session *s = any_session(m);
	if (!s)
		return;
	struct address *a = &m->a[s->address];
	bool ok = m->f.source.renew(m->f.source.ctx, &s->lease, 77);
	assert_int_equal(ok, !a->revoked);
	if (!ok) {
		life_drop_session(m, s);
		return;
	}
	a->state = LEASE_ACTIVE;
	a->was_active = true;
}

static void do_release(struct life *m)
{
	struct session *s = any_session(m);
	if (!s)
		return;
	struct lease l = s->lease;
	life_drop_session(m, s);
	m->f.source.release(m->f.source.ctx, &l);
	// Once more does nothing.
	if (rnd(m, 10) == 0)
		m->f.source.release(m->f.source.ctx, &l);
}

static void do_clear(struct life *m)
{
	int i = (int)rnd(m, ADDRESSES);
	struct address *a = &m->a[i];
	struct lease_clearing c = {.addr = a->addr};
	bool idle = a->used && (a->state == LEASE_LINGERING || a->state == LEASE_QUARANTINED);
	bool live = a->used && !idle && !a->revoked;
	if (idle)
		life_free(m, a);
	m->clears++;
	assert_int_equal(pools_clear(m->f.pools, &c), idle || live);
}

// The server answers somebody: with an address, a no, nothing, or what it should not.
static void do_given(struct life *m)
{
	if (m->asked_count == 0)
		return;
	unsigned k = (unsigned)rnd(m, m->asked_count);
	uint64_t id = m->asked[k].id, token = m->asked[k].token;
	m->asked[k] = m->asked[--m->asked_count];
	struct request_of_life *q = &m->requests[token % REQUESTS];
	unsigned refusals = m->refusals;
	int i = rnd(m, 10) ? FIRST_DHCP + (int)rnd(m, 32) : (int)rnd(m, FIRST_PREFIX);
	uint8_t extra[3] = {1, 2, 3};
	enum address_status s = rnd(m, 8) == 0   ? ADDRESS_EXHAUSTED
				: rnd(m, 8) == 0 ? ADDRESS_FAILED
						 : ADDRESS_OK;
	struct address *a = &m->a[i];
	// What a server took back it may give again.
	if (s == ADDRESS_OK && i >= FIRST_DHCP && i < FIRST_AAA && a->lost &&
		a->state == LEASE_QUARANTINED)
		life_free(m, a);
	bool good = s == ADDRESS_OK && life_free_for(m, i, 3, q->owner);
	m->current = token;
	m->giver.given(m->giver.user, id, s, &m->a[i].addr, (struct view){extra, sizeof(extra)});
	assert_int_equal(m->refusals - refusals, s == ADDRESS_OK && !good);
	if (!good)
		assert_false(q->open);
	if (good) {
		assert_int_equal(m->a[i].owner, q->owner);
		m->a[i].origin = LEASE_OF_DHCP;
		m->given++;
	}
}

static void do_server(struct life *m)
{
	struct address *a = &m->a[FIRST_DHCP + (int)rnd(m, 32)];
	if (!a->used || a->origin != LEASE_OF_DHCP)
		return;
	if (rnd(m, 4)) {
		m->giver.changed(m->giver.user, &a->addr, (struct view){(const uint8_t *)"x", 1});
		return;
	}
	m->lost++;
	if (a->state == LEASE_LINGERING || (a->state == LEASE_QUARANTINED && !a->lost))
		life_quarantine(m, a);
	a->lost = true;
	a->of_last_life = false; // an hour, whose it ever was
	m->giver.lost(m->giver.user, &a->addr);
}

static void one_operation(struct life *m, unsigned i)
{
	unsigned come = i / 3000 % 2 ? 45 : 28, what = (unsigned)rnd(m, 1000);
	pass_time(m);
	if (what / 10 < come)
		do_acquire(m);
	else if (what / 10 < come + 17)
		do_renew(m);
	else if (what < 880)
		do_release(m);
	else if (what < 920)
		do_given(m);
	else if (what < 930)
		do_server(m);
	else if (what < 940)
		do_clear(m);
	else if (what < 998)
		life_settle(m, rnd(m, 6) != 0);
	else if (what == 998)
		life_reload(m, (int)rnd(m, VARIANTS));
	else if (rnd(m, 4) == 0)
		life_crash(m);
}

static void nothing_is_given_twice_or_lost(void **state)
{
	struct life *m = calloc(1, sizeof(*m));
	const char *given = getenv("SEED");
	(void)state;
	assert_non_null(m);
	m->seed = given ? strtoull(given, NULL, 0) : random_u64(&random_system);
	m->seed += m->seed == 0;
	print_message("# SEED=0x%" PRIx64 "\n", m->seed);
	life_init(m);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		one_operation(m, i);
		if (i % 500 == 0)
			life_compare(m);
	}
	life_compare(m);
	print_message("# granted %u, adopted %u, refused %u, exhausted %u, ended while waiting %u, "
		      "given %u, lost %u, reloads %u (%u refused), crashes %u, restored %u\n",
		m->granted, m->adopted, m->refused, m->exhausted, m->ended_waiting, m->given,
		m->lost, m->reloads, m->reloads_refused, m->crashes, m->restored);
	assert_true(m->granted > 100000 && m->adopted > 10000 && m->refused > 1000);
	assert_true(m->exhausted > 1000 && m->ended_waiting > 100 && m->given > 1000);
	assert_true(m->lost > 100 && m->reloads > 500 && m->crashes > 100 && m->restored > 1000);
	life_fini(m);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_given_twice_or_lost),
	};
	return cmocka_run_group_tests_name("pools_life", tests, NULL, NULL);
}
