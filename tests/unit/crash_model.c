// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/crash_model.h"

uint32_t model_addr(unsigned i)
{
	if (i < A_SIZE)
		return A_FIRST + i;
	return i < A_SIZE + B_SIZE ? B_FIRST + i - A_SIZE : AAA_FIRST + i - A_SIZE - B_SIZE;
}

unsigned model_index(uint32_t addr)
{
	for (unsigned i = 0; i < ADDRESSES; i++)
		if (model_addr(i) == addr)
			return i;
	fail_msg("address %08x is of no pool", addr);
	return 0;
}

// The pool of address i has it in its ranges.
static bool inside(bool small, unsigned i)
{
	return i < (small ? A_SMALLER : A_SIZE) || (i >= A_SIZE && i < A_SIZE + B_SIZE);
}

static unsigned pool_of(unsigned i)
{
	return i >= A_SIZE;
}

// Nobody else may have it now.
static bool is_taken(const struct model_lease *l)
{
	return l->owner != NOBODY && (l->holders > 0 || !l->gone);
}

static bool lingers(const struct model_lease *l)
{
	return l->owner > 0 && l->holders == 0 && !l->gone;
}

void model_init(struct model *m)
{
	memset(m, 0, sizeof(*m));
	for (unsigned i = 0; i < ADDRESSES; i++)
		m->leases[i].owner = NOBODY;
}

static const char *const kinds[] = {"row", "ready", "ask", "grant", "refused", "ended", "active",
	"stale", "forget", "release", "released", "time", "timed", "clear", "cleared", "reload",
	"failed"};

static bool is_about(const struct model *m, const struct report *r, uint32_t addr)
{
	const struct model_ask *a = &m->asks[r->token % TOKENS];
	return r->addr == addr || r->kind == R_READY || r->kind == R_RELOAD ||
	       (r->kind == R_ASK && a->r.token == r->token && a->granted == addr);
}

void model_story(const struct model *m, uint32_t addr)
{
	uint64_t n = m->number > STORY ? m->number - STORY : 0;
	for (; n < m->number; n++) {
		const struct report *r = &m->story[n % STORY];
		if (is_about(m, r, addr))
			print_message("# %llu: %s %08x token %u owner %d at %llu s%s%s%s%s\n",
				(unsigned long long)n + 1, kinds[r->kind], r->addr, r->token,
				r->owner, (unsigned long long)r->now_s, r->exact ? ", exact" : "",
				r->adopt ? ", adopt" : "", r->adopted ? ", adopted" : "",
				r->small ? ", small" : "");
	}
}

#define FAIL(m, addr, ...)             \
	do {                           \
		model_story(m, addr);  \
		fail_msg(__VA_ARGS__); \
	} while (0)

static void set_freed(struct model *m, struct model_lease *l)
{
	l->gone = true;
	l->freed = true;
	l->freed_at = m->number;
	l->holders = 0;
}

// ---- the next life -----------------------------------------------------------------------------

static bool was_asking(const struct model *m, int owner)
{
	for (unsigned i = 0; i < TOKENS; i++)
		if (m->asks[i].pending && m->asks[i].r.owner == owner)
			return true;
	return false;
}

static void take_row(struct model *m, const struct report *r)
{
	unsigned i = model_index(r->addr);
	struct model_lease *l = &m->leases[i];
	bool his = l->owner == r->owner && !(l->freed && l->freed_at < m->durable);
	m->rows++;
	if (l->row)
		FAIL(m, r->addr, "address %08x has two rows", r->addr);
	if (!his && !was_asking(m, r->owner))
		FAIL(m, r->addr, "address %08x came back for owner %d, %s", r->addr, r->owner,
			l->owner == r->owner ? "but it was free for good"
					     : "who never had nor asked for it");
	if (!l->gone && l->owner != NOBODY && l->owner != r->owner)
		FAIL(m, r->addr, "address %08x of owner %d came back for owner %d", r->addr,
			l->owner, r->owner);
	m->kept += !l->gone && l->owner != NOBODY;
	*l = (struct model_lease){.owner = r->owner, .origin = r->origin, .row = true};
}

static void take_ready(struct model *m, const struct report *r)
{
	m->small = r->small;
	m->now_s = r->now_s;
	m->lives++;
	m->ready = true;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct model_lease *l = &m->leases[i];
		bool kept = l->owner != NOBODY && !l->gone;
		if (kept && !l->row)
			FAIL(m, model_addr(i), "address %08x of owner %d was lost", model_addr(i),
				l->owner);
		if (!l->row)
			*l = (struct model_lease){.owner = NOBODY};
		l->row = false;
		l->was_active = true;
		l->until_s = m->now_s + LINGER_S;
		// No pool has it any longer.
		if (l->owner != NOBODY && !inside(m->small, i) && l->origin != LEASE_OF_AAA)
			l->gone = true;
	}
	memset(m->asks, 0, sizeof(m->asks));
	memset(m->pending, 0, sizeof(m->pending));
	m->pending_count = 0;
	m->durable = 0;
}

void model_closed(struct model *m)
{
	m->durable = UINT64_MAX;
}

// ---- asking ------------------------------------------------------------------------------------

static void take_ask(struct model *m, const struct report *r)
{
	struct model_ask *a = &m->asks[r->token % TOKENS];
	assert_false(a->pending);
	*a = (struct model_ask){.pending = true, .r = *r, .at = m->number};
	a->r.small = m->small;
	// What his other requests will get nobody knows yet.
	bool plain = r->owner > 0 && !r->exact && !r->adopt && m->pending[r->owner] == 0;
	for (unsigned i = 0; plain && i < ADDRESSES; i++)
		if (lingers(&m->leases[i]) && m->leases[i].owner == r->owner &&
			inside(m->small, i) && pool_of(i) == r->pool)
			a->must = true;
	m->pending[r->owner]++;
	m->pending_count++;
}

static struct model_ask *answered(struct model *m, const struct report *r)
{
	struct model_ask *a = &m->asks[r->token % TOKENS];
	if (!a->pending || a->r.token != r->token)
		fail_msg("request %u was answered twice", r->token);
	a->pending = false;
	m->pending[a->r.owner]--;
	m->pending_count--;
	return a;
}

static void check_grant(const struct model *m, const struct model_ask *a, unsigned i)
{
	const struct model_lease *l = &m->leases[i];
	int owner = a->r.owner;
	bool his = owner > 0 && l->owner == owner;
	if (is_taken(l) && !his)
		FAIL(m, model_addr(i), "address %08x of owner %d was given to owner %d",
			model_addr(i), l->owner, owner);
	if (l->holders > 0 && (l->gone || !a->r.adopt))
		FAIL(m, model_addr(i),
			"address %08x of a session of owner %d was given to another of his",
			model_addr(i), owner);
	if (a->must && !his)
		FAIL(m, model_addr(i), "owner %d had an address and was given %08x", owner,
			model_addr(i));
	if (a->r.exact && model_addr(i) != a->r.addr)
		fail_msg("%08x was given instead of %08x", model_addr(i), a->r.addr);
	if (!a->r.exact && !his && !inside(a->r.small, i))
		fail_msg("address %08x is outside the ranges", model_addr(i));
}

static void take_grant(struct model *m, const struct report *r)
{
	unsigned i = model_index(r->addr);
	struct model_ask *a = answered(m, r);
	struct model_lease *l = &m->leases[i];
	check_grant(m, a, i);
	m->grants++;
	a->granted = r->addr;
	// It needed a row of its own, which is behind all that was dropped before.
	if (!r->adopted && a->at > m->durable)
		m->durable = a->at;
	bool shared = r->adopted && l->holders > 0 && !l->gone;
	bool was = r->adopted && l->was_active;
	// What waited for its row during a reload is an offer from then on.
	bool late = a->r.exact && a->at < m->reloaded;
	*l = (struct model_lease){.owner = a->r.owner,
		.holders = shared ? l->holders + 1 : 1,
		.active = shared && l->active,
		.was_active = was,
		.origin = r->adopted ? l->origin
				     : (uint8_t)(a->r.exact ? LEASE_OF_AAA : LEASE_OF_POOL),
		.since_s = a->r.now_s,
		.late_s = late ? m->reloaded_s + OFFER_S : 0,
		.until_s = l->until_s};
}

static void take_refusal(struct model *m, const struct report *r)
{
	struct model_ask *a = answered(m, r);
	unsigned free = 0;
	m->refusals++;
	for (unsigned i = 0; a->must && i < ADDRESSES; i++)
		if (m->leases[i].owner == a->r.owner && lingers(&m->leases[i]) &&
			pool_of(i) == a->r.pool)
			FAIL(m, model_addr(i), "owner %d has %08x and was refused", a->r.owner,
				model_addr(i));
	for (unsigned i = 0; i < ADDRESSES; i++)
		free += inside(m->small, i) && pool_of(i) == a->r.pool &&
			(m->leases[i].owner == NOBODY || m->leases[i].freed);
	// What others wait for is not free either; and what was freed after the request does not count.
	if (!a->r.exact && a->at + 1 == m->number && free > m->pending_count)
		fail_msg("owner %d was refused with %u addresses free", a->r.owner, free);
}

// What is cleared, or not used in time, ends before its row is durable.
static void take_ended(struct model *m, const struct report *r)
{
	struct model_ask *a = answered(m, r);
	struct model_lease *l = &m->leases[model_index(r->addr)];
	m->refusals++;
	if (m->cleared < a->at && m->now_s < a->r.now_s + OFFER_S)
		fail_msg("owner %d's request ended by itself", a->r.owner);
	if (is_taken(l))
		FAIL(m, r->addr, "address %08x of owner %d was nearly given to owner %d", r->addr,
			l->owner, a->r.owner);
	*l = (struct model_lease){
		.owner = a->r.owner, .gone = true, .freed = true, .freed_at = m->number};
}

// ---- a lease's life ----------------------------------------------------------------------------

static void take_release(struct model *m, struct model_lease *l)
{
	assert_true(l->holders > 0);
	if (--l->holders > 0)
		return;
	bool stays = l->owner > 0 && (l->active || l->was_active);
	l->was_active = stays;
	l->active = false;
	l->until_s = m->now_s + LINGER_S;
	if (!stays)
		l->gone = true;
}

static void take_time(struct model *m, uint64_t now_s)
{
	m->now_s = now_s;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct model_lease *l = &m->leases[i];
		if (l->owner == NOBODY)
			continue;
		if (l->forgotten && now_s >= l->since_s + OFFER_S) {
			l->forgotten = false;
			l->holders = 0;
			l->until_s = l->since_s + OFFER_S + LINGER_S;
			if (!l->was_active || l->owner == 0)
				l->gone = true;
		}
		if (l->holders == 0 && now_s >= l->until_s)
			l->gone = true;
	}
}

// A forgotten offer ends, and begins to linger, at the tick that finds it.
#define SLACK_S 45

static void take_timed(struct model *m)
{
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct model_lease *l = &m->leases[i];
		if (l->owner != NOBODY && l->gone && !l->freed && l->holders == 0 &&
			m->now_s >= l->until_s + SLACK_S && m->now_s >= l->late_s + SLACK_S)
			set_freed(m, l);
	}
}

// One that AAA gave may lie in another pool's ranges now, where the time of its state begins anew.
static void take_reload(struct model *m, bool small)
{
	m->small = small;
	m->reloaded = m->number;
	m->reloaded_s = m->now_s;
	for (unsigned i = 0; i < ADDRESSES; i++) {
		struct model_lease *l = &m->leases[i];
		if (l->owner == NOBODY || l->origin != LEASE_OF_AAA)
			continue;
		// An offer may end as late as that, and linger then.
		uint64_t late_s = m->now_s + (l->forgotten ? OFFER_S : 0) + LINGER_S;
		if (l->late_s < late_s)
			l->late_s = late_s;
		if (l->forgotten)
			l->gone = true; // a later moment
	}
}

static void take_stale(const struct model *m, const struct report *r)
{
	const struct model_lease *l = &m->leases[model_index(r->addr)];
	if (!l->gone)
		FAIL(m, r->addr, "a grant of %08x ended by itself", r->addr);
}

void model_take(struct model *m, const struct report *r)
{
	bool of_lease = r->kind >= R_ACTIVE && r->kind <= R_CLEARED && r->addr;
	struct model_lease *l = of_lease ? &m->leases[model_index(r->addr)] : NULL;
	m->story[m->number++ % STORY] = *r;
	switch ((enum report_kind)r->kind) {
	case R_ROW:
		take_row(m, r);
		break;
	case R_READY:
		take_ready(m, r);
		break;
	case R_ASK:
		take_ask(m, r);
		break;
	case R_GRANT:
		take_grant(m, r);
		break;
	case R_REFUSED:
		take_refusal(m, r);
		break;
	case R_ENDED:
		take_ended(m, r);
		break;
	case R_ACTIVE:
		l->active = true;
		break;
	case R_STALE:
		take_stale(m, r);
		break;
	case R_FORGET:
		l->forgotten = true;
		break;
	case R_RELEASE:
		take_release(m, l);
		break;
	case R_RELEASED:
		if (l->holders == 0 && l->gone)
			set_freed(m, l);
		break;
	case R_TIME:
		take_time(m, r->now_s);
		break;
	case R_TIMED:
		take_timed(m);
		break;
	case R_CLEAR:
		m->cleared = m->number;
		l->gone = l->owner != NOBODY;
		break;
	case R_CLEARED:
		// An offer that a reload has prolonged ends in its time.
		if (l->owner != NOBODY && l->holders == 0 && m->now_s >= l->late_s)
			set_freed(m, l);
		break;
	case R_RELOAD:
		take_reload(m, r->small);
		break;
	case R_FAILED:
		fail_msg("error %d in the process that is killed", (int)r->addr);
	}
}
