// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A million random operations on a pool, each predicted by a model that is arrays and loops.
// SEED repeats a run.
#include "tests/unit/pools_fixture.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
	OPERATIONS = 1000000,
	WORKERS = 4,
	OWNERS = 40, // owner OWNERS is the anonymous peer
	ADDRESSES = 112,
	GRANTS = 512,
	LINGER_S = 20,
	OFFER_S = 300,
	FREE = -1,
};

static const char pool_text[] =
	"{ name = \"p\"; ranges = [ \"10.0.0.1-10.0.0.80\", \"10.0.9.0/27\" ];"
	"  exclude = [ \"10.0.0.7\", \"10.0.0.20-10.0.0.24\" ]; linger_s = 20;"
	"  reserve = ( { owner = \"user3\"; address = \"10.0.0.2\"; },"
	"              { owner = \"user5\"; address = \"10.0.9.31\"; } ); }";

struct m_addr {
	struct ip_addr addr;
	uint16_t shard;
	bool usable;
	int reserved_for; // owner or FREE
	int state;        // FREE or enum lease_state
	int owner;
	bool was_active, fresh;
	uint64_t since_ns;
	uint64_t queued; // order of entry into the state
	uint64_t gone;   // order of release
	unsigned grants;
};

struct m_grant {
	struct lease lease;
	int addr;
};

struct model {
	struct fixture f;
	uint64_t seed, order;
	struct m_addr a[ADDRESSES];
	struct m_grant grants[GRANTS];
	unsigned grant_count;
	struct lease ended[64]; // of late
	unsigned ended_count;
	uint64_t exhausted, stale, expired, adopted, borrowed;
};

static uint64_t rnd(struct model *m, uint64_t n)
{
	// xorshift64*
	m->seed ^= m->seed >> 12;
	m->seed ^= m->seed << 25;
	m->seed ^= m->seed >> 27;
	return (m->seed * 0x2545f4914f6cdd1dull >> 33) % n;
}

static int index_of(const struct model *m, const struct ip_addr *a)
{
	for (int i = 0; i < ADDRESSES; i++)
		if (ip_eq(&m->a[i].addr, a))
			return i;
	return FREE;
}

static void model_init(struct model *m)
{
	fixture_init(&m->f, pool_text, WORKERS);
	for (unsigned i = 0; i < ADDRESSES; i++) {
		uint32_t v = i < 80 ? 0x0a000001 + i : 0x0a000900 + i - 80;
		bool excluded = v == 0x0a000007 || (v >= 0x0a000014 && v <= 0x0a000018);
		m->a[i] = (struct m_addr){.addr = ip_from_v4(v),
			.usable = !excluded,
			.state = FREE,
			.fresh = true,
			.reserved_for = v == 0x0a000002   ? 3
					: v == 0x0a00091f ? 5
							  : FREE};
		m->a[i].shard = fixture_worker_of(&m->f, &m->a[i].addr);
	}
}

static bool open_to_all(const struct m_addr *a)
{
	return a->usable && a->reserved_for == FREE && a->state == FREE;
}

static void end_grants(struct model *m, int addr)
{
	for (unsigned i = 0; i < m->grant_count;)
		if (m->grants[i].addr == addr) {
			m->ended[m->ended_count++ % 64] = m->grants[i].lease;
			m->grants[i] = m->grants[--m->grant_count];
		} else {
			i++;
		}
	m->a[addr].grants = 0;
}

static void set_free(struct model *m, struct m_addr *a)
{
	a->state = FREE;
	a->gone = ++m->order;
}

static void end_lease(struct model *m, struct m_addr *a)
{
	if (!a->was_active || a->owner == OWNERS) {
		set_free(m, a);
		return;
	}
	a->state = LEASE_LINGERING;
	a->since_ns = m->f.now_ns;
	a->queued = ++m->order;
}

// The first that entered this state and has been in it too long.
static int overdue(const struct model *m, int state, uint64_t seconds)
{
	int found = FREE;
	for (int i = 0; i < ADDRESSES; i++)
		if (m->a[i].state == state &&
			m->a[i].since_ns + seconds * NS_PER_S <= m->f.now_ns &&
			(found == FREE || m->a[i].queued < m->a[found].queued))
			found = i;
	return found;
}

static void pass_time(struct model *m)
{
	if (rnd(m, 4) == 0)
		m->f.now_ns += rnd(m, 1500) * NS_PER_MS;
	for (int i; (i = overdue(m, LEASE_OFFERED, OFFER_S)) != FREE;) {
		m->expired++;
		end_grants(m, i);
		end_lease(m, &m->a[i]);
	}
	for (int i; (i = overdue(m, LEASE_LINGERING, LINGER_S)) != FREE;)
		set_free(m, &m->a[i]);
	pools_tick(m->f.pools, m->f.now_ns);
}

// The address that a shard gives next: its lowest never used one, else the one released first.
static int next_of_shard(const struct model *m, unsigned shard)
{
	int oldest = FREE;
	for (int i = 0; i < ADDRESSES; i++) {
		const struct m_addr *a = &m->a[i];
		if (!open_to_all(a) || a->shard != shard)
			continue;
		if (a->fresh)
			return i;
		if (oldest == FREE || a->gone < m->a[oldest].gone)
			oldest = i;
	}
	return oldest;
}

static int next_of_any(const struct model *m, unsigned shard)
{
	unsigned count[WORKERS] = {0}, most = 0;
	int found = next_of_shard(m, shard);
	if (found != FREE)
		return found;
	for (int i = 0; i < ADDRESSES; i++)
		count[m->a[i].shard] += open_to_all(&m->a[i]);
	for (unsigned w = 0; w < WORKERS; w++)
		if (count[w] > count[most])
			most = w;
	return next_of_shard(m, most);
}

struct claim {
	bool live, lingering; // the owner has one that this request may be given
	bool wanted;          // and it is the wanted one
};

static struct claim claim_of(const struct model *m, int owner, bool adopt, int want)
{
	struct claim c = {false, false, false};
	for (int i = 0; i < ADDRESSES && owner != OWNERS; i++) {
		const struct m_addr *a = &m->a[i];
		if (a->state == FREE || a->owner != owner)
			continue;
		c.lingering = c.lingering || a->state == LEASE_LINGERING;
		c.live = c.live || (adopt && a->state != LEASE_LINGERING);
	}
	if (want != FREE && owner != OWNERS && m->a[want].owner == owner)
		c.wanted = c.live ? m->a[want].state == LEASE_OFFERED ||
					    m->a[want].state == LEASE_ACTIVE
				  : c.lingering && m->a[want].state == LEASE_LINGERING;
	return c;
}

// What must be granted where the owner has nothing: exactly one address, or none.
static int predict_new(const struct model *m, int owner, int want, unsigned worker)
{
	for (int i = 0; i < ADDRESSES && owner != OWNERS; i++)
		if (m->a[i].reserved_for == owner && m->a[i].state == FREE)
			return i;
	if (want != FREE && open_to_all(&m->a[want]))
		return want;
	return next_of_any(m, worker);
}

static void note_grant(struct model *m, int i, int owner, const struct lease *l)
{
	struct m_addr *a = &m->a[i];
	if (a->state == FREE) {
		a->was_active = false;
		a->owner = owner;
		a->fresh = false;
	}
	if (a->state != LEASE_ACTIVE) {
		a->state = LEASE_OFFERED;
		a->since_ns = m->f.now_ns;
		a->queued = ++m->order;
	}
	a->grants++;
	assert_true(m->grant_count < GRANTS);
	m->grants[m->grant_count++] = (struct m_grant){*l, i};
}

static void do_acquire(struct model *m)
{
	// The first one is for anything: which block is hashed first says where the lowest address is.
	bool first = m->order == 0;
	int owner = first ? OWNERS : (int)rnd(m, OWNERS + 1);
	int want = first || rnd(m, 3) ? FREE : (int)rnd(m, ADDRESSES);
	char name[16];
	snprintf(name, sizeof(name), "user%d", owner);
	struct address_request rq = request_of(&m->f, owner == OWNERS ? NULL : name);
	rq.worker = (uint16_t)rnd(m, WORKERS);
	rq.adopt = rnd(m, 2) && m->grant_count < GRANTS - 1;
	if (want != FREE)
		rq.want = m->a[want].addr;
	struct claim c = claim_of(m, owner, rq.adopt, want);
	struct lease l;
	enum address_status s = m->f.source.acquire(m->f.source.ctx, &rq, &l);
	int exact = c.live || c.lingering ? (c.wanted ? want : FREE)
					  : predict_new(m, owner, want, rq.worker);
	if (!c.live && !c.lingering && exact == FREE) {
		assert_int_equal(s, ADDRESS_EXHAUSTED);
		m->exhausted++;
		return;
	}
	assert_int_equal(s, ADDRESS_OK);
	int i = index_of(m, &l.addr);
	assert_true(i != FREE && m->a[i].usable);
	bool drawn = !c.live && !c.lingering && exact != want && m->a[exact].reserved_for == FREE;
	// Of those that were never used the lowest is drawn, but of the blocks that were hashed by then: one
	// that was asked for has had its own hashed out of turn.
	if (drawn && m->a[exact].fresh)
		assert_true(m->a[i].fresh && m->a[i].reserved_for == FREE &&
			    m->a[i].shard == m->a[exact].shard);
	else if (exact != FREE)
		assert_int_equal(i, exact);
	if (c.live || c.lingering) {
		// Never two owners: what is held already is the same owner's, in the right state.
		assert_int_equal(m->a[i].owner, owner);
		assert_true(c.live ? m->a[i].state == LEASE_OFFERED || m->a[i].state == LEASE_ACTIVE
				   : m->a[i].state == LEASE_LINGERING);
	} else {
		assert_int_equal(m->a[i].state, FREE);
		m->borrowed += l.worker != rq.worker && i != want && m->a[i].reserved_for == FREE;
	}
	assert_int_equal(l.adopted, c.live || c.lingering);
	assert_int_equal(l.worker, m->a[i].shard);
	m->adopted += l.adopted;
	note_grant(m, i, owner, &l);
}

static void do_renew(struct model *m)
{
	if (m->grant_count == 0)
		return;
	struct m_grant *g = &m->grants[rnd(m, m->grant_count)];
	assert_true(m->f.source.renew(m->f.source.ctx, &g->lease, 1));
	m->a[g->addr].state = LEASE_ACTIVE;
	m->a[g->addr].was_active = true;
}

static void do_release(struct model *m)
{
	if (m->grant_count == 0)
		return;
	struct m_grant *g = &m->grants[rnd(m, m->grant_count)];
	struct m_addr *a = &m->a[g->addr];
	m->f.source.release(m->f.source.ctx, &g->lease);
	m->ended[m->ended_count++ % 64] = g->lease;
	*g = m->grants[--m->grant_count];
	if (--a->grants == 0)
		end_lease(m, a);
}

static void do_stale(struct model *m)
{
	if (m->ended_count == 0)
		return;
	const struct lease *l = &m->ended[rnd(m, m->ended_count < 64 ? m->ended_count : 64)];
	if (rnd(m, 2))
		m->f.source.release(m->f.source.ctx, l);
	else
		assert_false(m->f.source.renew(m->f.source.ctx, l, 1));
	m->stale++;
}

static void compare(const struct model *m)
{
	struct pool_stats s;
	struct lease_info info;
	uint64_t cursor = 0, leases = 0, in_use = 0, lingering = 0, total = 0, reserved = 0;
	for (int i = 0; i < ADDRESSES; i++) {
		in_use += m->a[i].state == LEASE_OFFERED || m->a[i].state == LEASE_ACTIVE;
		lingering += m->a[i].state == LEASE_LINGERING;
		total += m->a[i].usable;
		reserved += m->a[i].reserved_for != FREE && m->a[i].state == FREE;
	}
	while (pools_lease_next(m->f.pools, 0, &cursor, &info)) {
		char name[16];
		const struct m_addr *a = &m->a[index_of(m, &info.addr)];
		snprintf(name, sizeof(name), a->owner == OWNERS ? "anyone" : "user%d", a->owner);
		assert_int_equal(info.state, a->state);
		assert_int_equal(info.references, a->grants);
		assert_string_equal(info.owner, name);
		leases++;
	}
	assert_int_equal(leases, in_use + lingering);
	assert_true(pools_stats(m->f.pools, 0, &s));
	assert_int_equal(s.size, total);
	assert_int_equal(s.in_use, in_use);
	assert_int_equal(s.lingering, lingering);
	assert_int_equal(s.reserved, reserved);
	assert_int_equal(s.free, total - in_use - lingering - reserved);
	assert_int_equal(s.exhausted, m->exhausted);
	assert_int_equal(s.stale, m->stale);
	assert_int_equal(s.expired, m->expired);
	assert_int_equal(s.adopted, m->adopted);
	assert_int_equal(s.borrowed, m->borrowed);
}

static void a_million_operations_follow_the_model(void **state)
{
	struct model *m = calloc(1, sizeof(*m));
	const char *given = getenv("SEED");
	(void)state;
	m->seed = given ? strtoull(given, NULL, 0) : random_u64(&random_system);
	m->seed += m->seed == 0;
	print_message("# SEED=0x%" PRIx64 "\n", m->seed);
	model_init(m);
	for (unsigned i = 0; i < OPERATIONS; i++) {
		pass_time(m);
		// Waves: now more come, now more go, so that the pool runs full and empty.
		unsigned come = i / 2000 % 2 ? 55 : 25, what = (unsigned)rnd(m, 100);
		if (what < come)
			do_acquire(m);
		else if (what < come + 15)
			do_renew(m);
		else if (what < 95)
			do_release(m);
		else
			do_stale(m);
		if (i % 500 == 0)
			compare(m);
	}
	compare(m);
	// Every path was taken.
	assert_true(m->exhausted > 1000 && m->stale > 1000 && m->expired > 100);
	assert_true(m->adopted > 1000 && m->borrowed > 100);
	print_message("# exhausted %" PRIu64 ", stale %" PRIu64 ", expired %" PRIu64
		      ", adopted %" PRIu64 ", borrowed %" PRIu64 "\n",
		m->exhausted, m->stale, m->expired, m->adopted, m->borrowed);
	fixture_fini(&m->f);
	free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_million_operations_follow_the_model),
	};
	return cmocka_run_group_tests_name("pools_model", tests, NULL, NULL);
}
