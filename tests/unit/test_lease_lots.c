// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What test_lease_crash.c does to a process, in this one: rows are durable some time after they were
// asked for, by lot, a life ends between two operations, and what was not durable then is lost. So a
// failure comes again with its SEED=N, and a disk that is away for minutes costs nothing.
#include "tests/unit/lease_life.h"

#include <stdlib.h>

#define RUNS  60
#define LIVES 16
#define KEPT  65536u // writes of one life

struct row {
	bool used;
	struct lease_row row;
	uint8_t key[16];
	char pool[2], name[16];
};

struct write {
	unsigned at;
	struct row before;
};

struct lot {
	struct life life;
	struct model model;
	uint64_t random;
	struct row rows[ADDRESSES];
	struct write writes[KEPT]; // by ticket
	uint64_t ticket, told;
	unsigned slowness;
	uint64_t grants, refusals;
};

static struct lot lot;

static void say(struct life *l, const struct report *r)
{
	model_take(&lot.model, r);
}

static void failed(struct life *l)
{
	abort();
}

// ---- rows that are durable later

static uint64_t keep(struct lot *o, const struct ip_addr *a, const struct lease_row *row)
{
	unsigned i = model_index(ip_to_v4(a));
	struct row *to = &o->rows[i];
	o->writes[++o->ticket % KEPT] = (struct write){i, *to};
	assert_true(o->ticket - o->told < KEPT);
	*to = (struct row){.used = row != NULL};
	if (!row)
		return o->ticket;
	to->row = *row;
	assert_true(row->owner.len <= sizeof(to->key));
	if (row->owner.len)
		memcpy(to->key, row->owner.p, row->owner.len);
	snprintf(to->pool, sizeof(to->pool), "%s", row->pool);
	snprintf(to->name, sizeof(to->name), "%s", row->name);
	return o->ticket;
}

static uint64_t put(void *ctx, const struct lease_row *row)
{
	return keep(ctx, &row->addr, row);
}

static uint64_t drop(void *ctx, const struct ip_addr *addr)
{
	return keep(ctx, addr, NULL);
}

static void settle(struct life *l, bool wait)
{
	if (!wait && life_draw(&lot.random) % lot.slowness)
		return;
	lot.told += life_draw(&lot.random) % (lot.ticket - lot.told + 1);
	pools_settled(l->pools, lot.told, true);
}

static int load(void *ctx, int (*row)(void *, const struct lease_row *), void *user)
{
	struct lot *o = ctx;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct row *r = &o->rows[i];
		r->row.owner.p = r->key;
		r->row.pool = r->pool;
		r->row.name = r->name;
		int rc = r->used ? row(user, &r->row) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

// Some of what nobody was told of is durable all the same.
static void crash(struct lot *o)
{
	uint64_t durable = o->told + life_draw(&o->random) % (o->ticket - o->told + 1);
	for (; o->ticket > durable; o->ticket--) {
		const struct write *w = &o->writes[o->ticket % KEPT];
		o->rows[w->at] = w->before;
	}
	o->told = durable;
}

// ----

static void one_life(struct lot *o)
{
	struct life *l = &o->life;
	*l = (struct life){.say = say, .failed = failed, .settle = settle};
	l->journal = (struct lease_journal){.ctx = o, .put = put, .drop = drop};
	life_init(l, life_draw(&o->random));
	life_open(l, load, o);
	o->slowness = 1u << life_draw(&o->random) % 12;
	for (uint64_t n = life_draw(&o->random) % 6000; n; n--)
		life_operate(l);
	life_close(l);
	crash(o);
}

static void run(uint64_t seed)
{
	lot = (struct lot){.random = seed, .grants = lot.grants, .refusals = lot.refusals};
	printf("# SEED=%llu\n", (unsigned long long)seed);
	fflush(stdout);
	model_init(&lot.model);
	for (unsigned n = 0; n < LIVES; n++)
		one_life(&lot);
	lot.grants += lot.model.grants;
	lot.refusals += lot.model.refusals;
}

static void nothing_is_lost_shared_or_withheld(void **state)
{
	const char *text = getenv("SEED"), *runs = getenv("RUNS");
	uint64_t seed = text ? strtoull(text, NULL, 0) : random_u64(&random_system) % 1000000;
	unsigned count = runs ? (unsigned)atoi(runs) : text ? 1 : RUNS;
	for (unsigned n = 0; n < count; n++)
		run(seed + n);
	printf("# %llu grants, %llu refusals\n", (unsigned long long)lot.grants,
		(unsigned long long)lot.refusals);
	assert_true(lot.grants > 1000 && lot.refusals > 1000);
}

// ---- the model's own idea of what is free ------------------------------------------------------

static struct model model;
static uint64_t now_s;

static void hear(struct report r)
{
	r.now_s = now_s;
	model_take(&model, &r);
}

static void hear_time(uint64_t s)
{
	now_s = s;
	hear((struct report){.kind = R_TIME});
	hear((struct report){.kind = R_TIMED});
}

static void hear_grant(struct report r, uint32_t addr, bool adopted)
{
	r.kind = R_ASK;
	hear(r);
	hear((struct report){.kind = R_GRANT, .token = r.token, .addr = addr, .adopted = adopted});
}

// AAA gave it from pool "b", and it lies in pool "a" since a reload, with an offer that nobody used: the
// pool's time of the offer begins anew with the reload, and that of its lingering at its end.
static void an_offer_prolonged_by_a_reload_is_not_free(void **state)
{
	const uint32_t addr = A_FIRST + A_SIZE - 1;
	uint32_t token = 1;
	model_init(&model);
	now_s = 1000;
	hear((struct report){.kind = R_READY, .small = true});
	struct report exact = {
		.addr = addr, .owner = 7, .pool = 1, .exact = true, .token = token++};
	hear_grant(exact, addr, false);
	hear((struct report){.kind = R_ACTIVE, .addr = addr});
	hear((struct report){.kind = R_RELEASE, .addr = addr});
	hear((struct report){.kind = R_RELEASED, .addr = addr});
	exact.token = token++;
	hear_grant(exact, addr, true);
	hear((struct report){.kind = R_FORGET, .addr = addr});
	hear_time(1200);
	hear((struct report){.kind = R_RELOAD, .small = false});
	for (unsigned i = 0; i < A_SIZE - 1; i++)
		hear_grant((struct report){.token = token++}, A_FIRST + i, false);
	// Offered until 1500, lingering until 1800.
	hear_time(1790);
	hear((struct report){.kind = R_ASK, .token = token, .owner = 8});
	hear((struct report){.kind = R_REFUSED, .token = token++});
	assert_false(model.leases[A_SIZE - 1].freed);
	hear_time(1200 + OFFER_S + LINGER_S + 60);
	assert_true(model.leases[A_SIZE - 1].freed);
}

// AAA gave it from pool "b", and it lies in pool "a" since a reload that came before its row was durable: an
// offer from then on. What an operator clears of it, with nobody who would give it back, ends in its time.
static void an_offer_that_waited_during_a_reload_is_not_free(void **state)
{
	const uint32_t addr = A_FIRST + A_SIZE - 1;
	uint32_t token = 1;
	model_init(&model);
	now_s = 1000;
	hear((struct report){.kind = R_READY, .small = true});
	hear((struct report){
		.kind = R_ASK, .addr = addr, .owner = 7, .pool = 1, .exact = true, .token = token});
	hear_time(1200);
	hear((struct report){.kind = R_RELOAD, .small = false});
	hear_time(1210);
	hear((struct report){.kind = R_GRANT, .token = token++, .addr = addr});
	hear((struct report){.kind = R_FORGET, .addr = addr});
	for (unsigned i = 0; i < A_SIZE - 1; i++)
		hear_grant((struct report){.token = token++}, A_FIRST + i, false);
	hear_time(1310);
	hear((struct report){.kind = R_CLEAR, .addr = addr});
	hear((struct report){.kind = R_CLEARED, .addr = addr});
	hear((struct report){.kind = R_ASK, .token = token, .owner = 8});
	hear((struct report){.kind = R_REFUSED, .token = token++});
	assert_false(model.leases[A_SIZE - 1].freed);
	hear_time(1200 + OFFER_S + LINGER_S + 60);
	assert_true(model.leases[A_SIZE - 1].freed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_offer_prolonged_by_a_reload_is_not_free),
		cmocka_unit_test(an_offer_that_waited_during_a_reload_is_not_free),
		cmocka_unit_test(nothing_is_lost_shared_or_withheld),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
