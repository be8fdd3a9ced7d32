// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/lease_life.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define CONFIG(last)                                                                    \
	"pools = ( { name = \"a\"; ranges = [ \"10.0.0.1-10.0.0." last "\" ]; linger_s" \
	" = 300; }, { name = \"b\"; ranges = [ \"10.0.1.1-10.0.1.16\" ]; linger_s = 300; } );\n"
static const char *const configs[2] = {CONFIG("48"), CONFIG("32")};

uint64_t life_draw(uint64_t *state) // splitmix64
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ull;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

unsigned life_pick(struct life *l, unsigned n)
{
	return (unsigned)(life_draw(&l->random) % n);
}

static void say(struct life *l, struct report r)
{
	r.now_s = l->now_s;
	l->say(l, &r);
}

void life_need(struct life *l, int rc)
{
	if (rc == 0)
		return;
	say(l, (struct report){.kind = R_FAILED, .addr = (uint32_t)-rc});
	l->failed(l);
}

static void say_addr(struct life *l, enum report_kind kind, const struct ip_addr *a)
{
	say(l, (struct report){.kind = kind, .addr = ip_to_v4(a)});
}

static uint64_t life_now(void *ctx)
{
	return ((struct life *)ctx)->now_s * NS_PER_S;
}

static uint16_t worker_of(void *ctx, const struct ip_addr *a)
{
	return a->bytes[3] & 1;
}

static struct pool_owner owner_of(int n, char name[16])
{
	snprintf(name, 16, "o%d", n);
	return (struct pool_owner){.user = n ? name : NULL, .name = name, .anonymous = n == 0};
}

// -- what became of a request

static void release(struct life *l, struct held *h)
{
	say_addr(l, R_RELEASE, &h->lease.addr);
	l->source.release(l->source.ctx, &h->lease);
	say_addr(l, R_RELEASED, &h->lease.addr);
	h->owner = NOBODY;
}

// Used at once, given back at once, or forgotten; what is shared is always used.
static void begin(struct life *l, uint32_t token, const struct lease *lease, bool shared)
{
	int owner = l->owner_of[token % TOKENS];
	struct held *h = l->held;
	unsigned what = shared ? 9 : life_pick(l, 10);
	while (h < l->held + GRANTS_MAX && h->owner != NOBODY)
		h++;
	// Another request of his may be about the very same.
	if (what == 0 && l->waiting[owner] == 0 && !l->adopts[token % TOKENS]) {
		say_addr(l, R_FORGET, &lease->addr);
		l->forgot_s[owner] = l->now_s;
		return;
	}
	struct held full;
	h = h == l->held + GRANTS_MAX ? &full : h;
	*h = (struct held){.lease = *lease, .owner = owner};
	if (what > 1 && h != &full) {
		bool ok = l->source.renew(l->source.ctx, lease, 1 + l->tokens);
		say_addr(l, ok ? R_ACTIVE : R_STALE, &lease->addr);
		life_need(l, ok ? 0 : -ESTALE);
	} else {
		release(l, h);
	}
}

static bool holds(const struct life *l, int owner, const struct ip_addr *a)
{
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner == owner && owner > 0 && ip_eq(&l->held[i].lease.addr, a))
			return true;
	return false;
}

static void answer(struct life *l, uint32_t token, enum address_status s, const struct lease *lease)
{
	int owner = l->owner_of[token % TOKENS];
	l->asked--;
	l->waiting[owner]--;
	if (s == ADDRESS_OK) {
		say(l, (struct report){.kind = R_GRANT,
			       .token = token,
			       .addr = ip_to_v4(&lease->addr),
			       .adopted = lease->adopted});
		begin(l, token, lease, holds(l, owner, &lease->addr));
	} else {
		bool ended = s == ADDRESS_FAILED && lease && lease->addr.family;
		say(l, (struct report){.kind = ended ? R_ENDED : R_REFUSED,
			       .token = token,
			       .addr = ended ? ip_to_v4(&lease->addr) : 0});
	}
}

static void done(void *user, uint64_t token, enum address_status s, const struct lease *lease)
{
	answer(user, (uint32_t)token, s, lease);
}

static void revoked(void *user, const struct ip_addr *addr)
{
	struct life *l = user;
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner != NOBODY && ip_eq(&l->held[i].lease.addr, addr))
			l->held[i].ending = true;
}

// -- what it does

// A live lease that he may share; what he forgot may be the one that he would get.
static bool may_adopt(const struct life *l, int owner, unsigned pool)
{
	if (l->now_s < l->forgot_s[owner] + OFFER_S + 1)
		return false;
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner == owner &&
			strcmp(l->held[i].lease.pool->name, pool ? "b" : "a") == 0)
			return true;
	return false;
}

static void ask(struct life *l)
{
	char name[16];
	struct lease lease = {0};
	int owner = life_pick(l, 8) ? (int)(1 + life_pick(l, OWNERS - 1)) : 0;
	unsigned pool = life_pick(l, 4) == 0, way = life_pick(l, 10);
	struct report r = {.kind = R_ASK,
		.token = ++l->tokens,
		.owner = owner,
		.pool = (uint8_t)pool,
		.addr = way < 4 ? model_addr(life_pick(l, ADDRESSES)) : 0,
		.exact = way == 0,
		.adopt = way > 6 && owner && may_adopt(l, owner, pool)};
	struct address_request rq = {
		.pool = &l->cfgs[l->small]->pools[pool],
		.owner = owner_of(owner, name),
		.exact = r.exact,
		.adopt = r.adopt,
		.worker = (uint16_t)life_pick(l, 2),
		.token = r.token,
	};
	if (r.addr)
		rq.want = ip_from_v4(r.addr);
	l->owner_of[r.token % TOKENS] = owner;
	l->adopts[r.token % TOKENS] = r.adopt;
	l->asked++;
	l->waiting[owner]++;
	say(l, r);
	enum address_status s = l->source.acquire(l->source.ctx, &rq, &lease);
	if (s != ADDRESS_PENDING)
		answer(l, r.token, s, s == ADDRESS_OK ? &lease : NULL);
}

static void let_go(struct life *l)
{
	struct held *h = &l->held[life_pick(l, GRANTS_MAX)];
	if (h->owner != NOBODY)
		release(l, h);
}

static void pass_time(struct life *l)
{
	l->now_s += 1 + life_pick(l, 20);
	say(l, (struct report){.kind = R_TIME});
	pools_tick(l->pools, l->now_s * NS_PER_S);
	say(l, (struct report){.kind = R_TIMED});
}

static void clear(struct life *l)
{
	struct lease_clearing c = {.addr = ip_from_v4(model_addr(life_pick(l, ADDRESSES)))};
	say_addr(l, R_CLEAR, &c.addr);
	pools_clear(l->pools, &c);
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		if (l->held[i].owner != NOBODY && l->held[i].ending)
			release(l, &l->held[i]);
	say_addr(l, R_CLEARED, &c.addr);
}

static void reload(struct life *l)
{
	l->small = !l->small;
	// The time of an offer may begin anew.
	for (unsigned i = 0; i < OWNERS; i++)
		if (l->now_s <= l->forgot_s[i] + OFFER_S)
			l->forgot_s[i] = l->now_s;
	say(l, (struct report){.kind = R_RELOAD, .small = l->small});
	life_need(l, pools_reload(l->pools, l->cfgs[l->small]));
}

void life_operate(struct life *l)
{
	unsigned what = life_pick(l, 1000);
	if (what < 500 && l->asked < ASKS_MAX)
		ask(l);
	else if (what < 900)
		let_go(l);
	else if (what < 960)
		pass_time(l);
	else if (what < 990)
		clear(l);
	else if (what < 993)
		reload(l);
	else
		usleep(life_pick(l, 500));
	l->settle(l, false);
	if (l->asked >= ASKS_MAX)
		l->settle(l, true);
}

static int say_row(void *ctx, const struct lease_row *row)
{
	int owner = row->anonymous ? 0 : atoi(row->name + 1);
	say(ctx, (struct report){.kind = R_ROW,
			 .addr = ip_to_v4(&row->addr),
			 .owner = owner,
			 .origin = (uint8_t)row->origin});
	return 0;
}

static int restore(void *ctx, const struct lease_row *row)
{
	return pools_restore(((struct life *)ctx)->pools, row);
}

void life_init(struct life *l, uint64_t seed)
{
	l->random = seed;
	l->now_s = 1000 + life_pick(l, 100000);
	l->small = life_pick(l, 2);
	for (unsigned i = 0; i < GRANTS_MAX; i++)
		l->held[i].owner = NOBODY;
}

void life_open(struct life *l,
	int (*load)(void *ctx, int (*row)(void *, const struct lease_row *), void *user), void *ctx)
{
	for (unsigned i = 0; i < 2; i++)
		life_need(l, cfg_load_text("pools", configs[i], NULL, &l->cfgs[i]));
	life_need(l, load(ctx, say_row, l));
	say(l, (struct report){.kind = R_READY, .small = l->small});
	l->clock = (struct clock_source){.now_ns = life_now, .ctx = l};
	struct pools_seams seams = {.clock = &l->clock,
		.random = &random_system,
		.workers = 2,
		.worker_of = worker_of,
		.ctx = l,
		.journal = &l->journal};
	life_need(l, pools_new(l->cfgs[l->small], &seams, &l->pools));
	pools_source(l->pools, &l->source);
	l->source.done = done;
	l->source.revoked = revoked;
	l->source.user = l;
	life_need(l, load(ctx, restore, l));
}

void life_close(struct life *l)
{
	pools_free(l->pools);
	cfg_free(l->cfgs[0]);
	cfg_free(l->cfgs[1]);
}
