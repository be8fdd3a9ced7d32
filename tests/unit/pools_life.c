// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/pools_life.h"

#include <errno.h>

#define OFFER_S 300

// What changes from one to the other: a and b grow, shrink, and hand a range to each other.
static const char *const variant_text[VARIANTS] = {
	"{ name = \"a\"; ranges = [ \"10.0.0.0/26\" ]; exclude = [ \"10.0.0.5\" ]; linger_s = 20;"
	"  reserve = ( { owner = \"user3\"; address = \"10.0.0.9\"; } ); },"
	"{ name = \"b\"; ranges = [ \"10.1.1.0/27\" ]; linger_s = 20; quarantine_s = 10; },",
	"{ name = \"a\"; ranges = [ \"10.0.0.0/27\" ]; linger_s = 20;"
	"  reserve = ( { owner = \"user4\"; address = \"10.0.0.10\"; } ); },"
	"{ name = \"b\"; ranges = [ \"10.1.1.0/27\", \"10.0.0.32/27\" ]; linger_s = 20;"
	"  quarantine_s = 10; },",
	"{ name = \"a\"; ranges = [ \"10.0.0.0/25\" ]; exclude = [ \"10.0.0.16/28\" ]; linger_s = 20; },"
	"{ name = \"b\"; ranges = [ \"10.1.1.8-10.1.1.15\" ]; linger_s = 20; quarantine_s = 10;"
	"  reserve = ( { owner = \"user5\"; address = \"10.1.1.9\"; } ); },",
	"{ name = \"a\"; ranges = [ \"10.1.1.0/27\" ]; linger_s = 20; },"
	"{ name = \"b\"; ranges = [ \"10.0.0.0/26\" ]; linger_s = 20; quarantine_s = 10; },",
	// None of the second ones, then none of the first.
	"{ name = \"a\"; ranges = [ \"10.0.0.0/26\" ]; exclude = [ \"10.0.0.5\" ]; linger_s = 20; },"
	"{ name = \"b\"; ranges = [ \"10.0.0.64/27\" ]; linger_s = 20; quarantine_s = 10; },",
	"{ name = \"a\"; ranges = [ \"10.1.1.0/28\" ]; linger_s = 20; },"
	"{ name = \"b\"; ranges = [ \"10.1.1.16/28\" ]; linger_s = 20; quarantine_s = 10; },",
};
static const char rest_text[] =
	"{ name = \"s\"; ranges = [ \"2001:db8::/59\", \"2001:db8:0:20::/60\" ]; prefix_length = 64;"
	"  linger_s = 0; quarantine_s = 15; },"
	"{ name = \"d\"; ranges = [ \"10.0.3.0/27\" ]; linger_s = 20;"
	"  from_dhcp = { servers = [ \"192.0.2.1\" ]; relay = \"192.0.2.2\"; }; }";

static struct ip_addr address_at(int i)
{
	struct ip_addr a = {.family = IP_V6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};
	uint32_t n = (uint32_t)i;
	if (i < FIRST_B)
		return ip_from_v4(0x0a000000 + n);
	if (i < FIRST_DHCP)
		return ip_from_v4(0x0a010100 + n - FIRST_B);
	if (i < FIRST_AAA)
		return ip_from_v4(0x0a000300 + n - FIRST_DHCP);
	if (i < FIRST_PREFIX)
		return ip_from_v4(0xac100000 + n - FIRST_AAA);
	a.bytes[7] = (uint8_t)(n - FIRST_PREFIX);
	return a;
}

static int index_of(const struct life *m, const struct ip_addr *a)
{
	for (int i = 0; i < ADDRESSES; i++)
		if (ip_eq(&m->a[i].addr, a))
			return i;
	fail_msg("an address of nowhere");
	return NOBODY;
}

// ---- what the configuration says, read in the simplest way

static const struct cfg_pool *pool_cfg(const struct life *m, int pool)
{
	return &m->variants[m->variant]->pools[pool];
}

static bool in_any(const struct ip_range *r, size_t n, const struct ip_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (ip_range_contains(&r[i], a))
			return true;
	return false;
}

static int pool_with(const struct life *m, const struct ip_addr *a)
{
	for (int p = 0; p < POOLS; p++)
		if (in_any(pool_cfg(m, p)->ranges, pool_cfg(m, p)->range_count, a))
			return p;
	return NOBODY;
}

static bool excluded(const struct life *m, int pool, const struct ip_addr *a)
{
	return in_any(pool_cfg(m, pool)->excludes, pool_cfg(m, pool)->exclude_count, a);
}

static const char *reserved_for(const struct life *m, int pool, const struct ip_addr *a)
{
	const struct cfg_pool *p = pool_cfg(m, pool);
	for (size_t i = 0; i < p->reservation_count; i++)
		if (ip_eq(&p->reservations[i].address, a))
			return p->reservations[i].owner;
	return NULL;
}

static const char *name_of(int owner, char buf[static 16])
{
	snprintf(buf, 16, owner == OWNERS ? "anyone" : "user%d", owner);
	return buf;
}

static bool may_have(const struct life *m, int pool, const struct ip_addr *a, int owner)
{
	char name[16];
	const char *r = reserved_for(m, pool, a);
	return !r || (owner != OWNERS && strcmp(r, name_of(owner, name)) == 0);
}

bool life_free_for(const struct life *m, int address, int pool, int owner)
{
	const struct address *a = &m->a[address];
	return !a->used && pool_with(m, &a->addr) == pool && !excluded(m, pool, &a->addr) &&
	       may_have(m, pool, &a->addr, owner);
}

// ---- leases

void life_free(struct life *m, struct address *a)
{
	*a = (struct address){.addr = a->addr};
}

void life_quarantine(struct life *m, struct address *a)
{
	a->state = LEASE_QUARANTINED;
	a->revoked = true;
	a->since_ns = m->f.now_ns;
}

static void end_lease(struct life *m, struct address *a)
{
	const struct cfg_pool *p = pool_cfg(m, a->pool);
	if (a->lost) {
		life_quarantine(m, a);
	} else if (a->revoked || !a->was_active) {
		life_free(m, a);
	} else if (a->owner != OWNERS && p->linger_s) {
		a->state = LEASE_LINGERING;
		a->since_ns = m->f.now_ns;
	} else if (p->quarantine_s) {
		life_quarantine(m, a);
	} else {
		life_free(m, a);
	}
}

void life_drop_session(struct life *m, struct session *s)
{
	struct address *a = &m->a[s->address];
	*s = m->sessions[--m->session_count];
	if (--a->grants == 0)
		end_lease(m, a);
}

static void forget_sessions(struct life *m, int address)
{
	for (unsigned i = 0; i < m->session_count;)
		if (m->sessions[i].address == address)
			m->sessions[i] = m->sessions[--m->session_count];
		else
			i++;
}

// Times are the pool's that has the address now.
static uint64_t span_of(const struct life *m, const struct address *a)
{
	const struct cfg_pool *p = pool_cfg(m, a->pool);
	if (a->state == LEASE_OFFERED)
		return OFFER_S;
	if (a->state == LEASE_LINGERING || a->of_last_life)
		return p->linger_s;
	return a->lost ? 3600 : p->quarantine_s;
}

void life_expire(struct life *m)
{
	for (int i = 0; i < ADDRESSES; i++) {
		struct address *a = &m->a[i];
		uint64_t span = span_of(m, a);
		if (!a->used || a->state == LEASE_ACTIVE ||
			a->since_ns + span * NS_PER_S > m->f.now_ns)
			continue;
		if (a->state != LEASE_OFFERED) {
			life_free(m, a);
			continue;
		}
		forget_sessions(m, i);
		a->grants = 0;
		end_lease(m, a);
	}
}

// A grant has come, at once or with done().
static void granted(struct life *m, struct request_of_life *q, const struct lease *l, bool durable)
{
	int i = index_of(m, &l->addr);
	struct address *a = &m->a[i];
	q->open = false;
	m->granted++;
	assert_true(m->session_count < SESSIONS);
	m->sessions[m->session_count++] = (struct session){*l, i};
	assert_int_equal(l->prefix_len, i < FIRST_PREFIX ? 32 : 64);
	// Never two owners.
	assert_true(a->used);
	assert_int_equal(a->owner, q->owner);
	assert_true(!durable || !a->row || m->disk[i].there);
	a->acknowledged = a->acknowledged || durable;
	if (q->address == i)
		return; // counted when its row was written
	assert_true(l->adopted && q->owner != OWNERS && !a->revoked);
	assert_true(a->state == LEASE_LINGERING || q->adopt);
	m->adopted++;
	a->grants++;
	if (a->state == LEASE_ACTIVE)
		return;
	a->state = LEASE_OFFERED;
	a->since_ns = m->f.now_ns;
}

static void done(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct life *m = user;
	struct request_of_life *q = &m->requests[token % REQUESTS];
	struct address *a = q->address == NOBODY ? NULL : &m->a[q->address];
	assert_true(q->open);
	if (s == ADDRESS_OK) {
		granted(m, q, l, m->settled != 0);
		return;
	}
	q->open = false;
	if (!a)
		return; // the giver's no
	m->ended_waiting++;
	// None: its time was over before, and it is in quarantine, for its server had given it away.
	if (a->used && a->revoked && !a->acknowledged && a->grants && --a->grants == 0)
		end_lease(m, a);
}

// The holder may be quick or slow.
static void revoked(void *user, const struct ip_addr *addr)
{
	struct life *m = user;
	int at = index_of(m, addr);
	m->a[at].revoked = true;
	if (rnd(m, 2))
		return;
	for (unsigned i = 0; i < m->session_count;)
		if (m->sessions[i].address == at) {
			struct lease l = m->sessions[i].lease;
			life_drop_session(m, &m->sessions[i]);
			m->f.source.release(m->f.source.ctx, &l);
		} else {
			i++;
		}
}

// Why somebody gets nothing.
static void check_refused(struct life *m, const struct request_of_life *q)
{
	for (int i = 0; i < ADDRESSES; i++) {
		const struct address *a = &m->a[i];
		bool his = a->used && a->owner == q->owner && q->owner != OWNERS && !a->revoked &&
			   a->pool == q->pool;
		assert_false(life_free_for(m, i, q->pool, q->owner));
		assert_false(his && (a->state == LEASE_LINGERING || q->adopt));
	}
	m->exhausted++;
}

static void check_exact_refused(struct life *m, const struct request_of_life *q)
{
	const struct address *a = &m->a[q->want];
	int pool = pool_with(m, &a->addr);
	bool his = a->used && a->owner == q->owner && q->owner != OWNERS && !a->revoked &&
		   (pool != NOBODY || a->pool == q->pool);
	m->refused++;
	if (a->used)
		assert_false(his && (a->state == LEASE_LINGERING || q->adopt));
	else
		assert_true(pool != NOBODY && !may_have(m, pool, &a->addr, q->owner));
}

static void settle_to(struct life *m, uint64_t ticket, bool durable);

void life_acquire(struct life *m, struct request_of_life *q)
{
	char name[16];
	struct address_request rq = {
		.pool = pool_cfg(m, q->pool),
		.owner = {.name = name_of(q->owner, name), .anonymous = q->owner == OWNERS},
		.worker = (uint16_t)rnd(m, m->f.workers),
		.exact = q->exact,
		.adopt = q->adopt,
		.token = m->token,
	};
	struct lease l;
	if (q->want != NOBODY)
		rq.want = m->a[q->want].addr;
	if (q->owner != OWNERS)
		rq.owner.user = name;
	m->current = m->token;
	unsigned asked = m->asked_count;
	enum address_status s = m->f.source.acquire(m->f.source.ctx, &rq, &l);
	assert_int_not_equal(s, ADDRESS_FAILED);
	if (q->exact && (s == ADDRESS_OK || s == ADDRESS_PENDING) && q->address != NOBODY)
		m->a[q->address].origin = LEASE_OF_AAA;
	if (q->exact && s == ADDRESS_OK)
		assert_true(ip_eq(&l.addr, &rq.want));
	if (s == ADDRESS_OK) {
		assert_true(q->address == NOBODY || !m->a[q->address].row); // else it must wait
		granted(m, q, &l, false);
	} else if (s == ADDRESS_EXHAUSTED) {
		q->open = false;
		if (q->exact)
			check_exact_refused(m, q);
		else
			check_refused(m, q);
	} else if (q->address == NOBODY && m->asked_count == asked) {
		settle_to(m, m->ticket, true); // one more grant of a lease whose row is on its way
		assert_false(q->open);
	}
}

// ---- journal, disk, giver

static uint64_t note(struct life *m, struct change c)
{
	assert_true(m->change_count < CHANGES);
	c.ticket = ++m->ticket;
	m->changes[m->change_count++] = c;
	return c.ticket;
}

static int owner_of(const struct lease_row *row)
{
	return row->anonymous ? OWNERS : atoi(row->name + 4);
}

static uint64_t journal_put(void *ctx, const struct lease_row *row)
{
	struct life *m = ctx;
	int i = index_of(m, &row->addr);
	struct address *a = &m->a[i];
	bool taken = a->used || m->puts++ % 61 != 0; // now and then there is no memory
	if (a->used) {
		assert_int_equal(a->origin, LEASE_OF_DHCP); // a change of the giver's
		assert_true(a->owner == NOBODY || a->owner == owner_of(row));
	} else {
		int pool = pool_with(m, &a->addr);
		struct request_of_life *q = &m->requests[m->current % REQUESTS];
		*a = (struct address){.addr = a->addr,
			.used = true,
			.owner = owner_of(row),
			.pool = pool == NOBODY ? q->pool : pool,
			.state = LEASE_OFFERED,
			.since_ns = m->f.now_ns,
			.grants = 1};
		assert_int_equal(a->owner, q->owner);
		assert_true(q->exact || life_free_for(m, i, q->pool, q->owner) ||
			    pool_with(m, &a->addr) == q->pool);
		q->address = i;
		assert_int_equal(row->prefix_len, i < FIRST_PREFIX ? 32 : 64);
	}
	a->row = a->row || taken;
	if (!taken)
		return 0;
	return note(m, (struct change){.address = i,
			       .owner = owner_of(row),
			       .put = true,
			       .origin = row->origin,
			       .pool = a->pool});
}

static uint64_t journal_drop(void *ctx, const struct ip_addr *addr)
{
	struct life *m = ctx;
	return note(m, (struct change){.address = index_of(m, addr)});
}

static void to_disk(struct life *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		const struct change *c = &m->changes[i];
		m->disk[c->address] = (struct row_of_life){c->put, c->owner, c->origin, c->pool};
	}
	m->change_count -= n;
	memmove(m->changes, m->changes + n, m->change_count * sizeof(*m->changes));
}

static void settle_to(struct life *m, uint64_t ticket, bool durable)
{
	unsigned n = 0;
	while (n < m->change_count && m->changes[n].ticket <= ticket)
		n++;
	if (durable)
		to_disk(m, n);
	m->settled = durable;
	pools_settled(m->f.pools, ticket, durable);
	m->settled = 0;
}

void life_settle(struct life *m, bool durable)
{
	settle_to(m, m->ticket - (m->change_count && rnd(m, 2) ? rnd(m, m->change_count) : 0),
		durable);
}

static int giver_ask(void *ctx, const struct giver_request *rq)
{
	struct life *m = ctx;
	assert_true(rq->owner.len > 0);
	m->asked[m->asked_count].id = rq->token;
	m->asked[m->asked_count++].token = m->current;
	return 0;
}

static int giver_resume(void *ctx, const struct cfg_pool *pool, const struct ip_addr *addr,
	struct view owner, struct view extra)
{
	return extra.len ? 0 : -EINVAL;
}

static void giver_give_back(void *ctx, const struct ip_addr *addr)
{
}

static void giver_refuse(void *ctx, const struct ip_addr *addr)
{
	((struct life *)ctx)->refusals++;
}

// ---- configurations and lives

static void start(struct life *m)
{
	struct pools_seams seams = {
		.clock = &m->f.clock,
		.random = &random_system,
		.workers = m->f.workers,
		.worker_of = fixture_worker_of,
		.ctx = &m->f,
		.journal = &m->journal,
		.giver = &m->giver,
	};
	assert_int_equal(pools_new(m->variants[m->variant], &seams, &m->f.pools), 0);
	pools_source(m->f.pools, &m->f.source);
	m->f.source.done = done;
	m->f.source.revoked = revoked;
	m->f.source.user = m;
}

void life_init(struct life *m)
{
	for (int v = 0; v < VARIANTS; v++) {
		char text[2048];
		snprintf(text, sizeof(text), "pools = ( %s%s );\n", variant_text[v], rest_text);
		assert_int_equal(cfg_load_text("life", text, NULL, &m->variants[v]), 0);
	}
	m->f.now_ns = 1000 * NS_PER_S;
	m->f.workers = 3;
	m->f.clock = (struct clock_source){.now_ns = fixture_now, .ctx = &m->f};
	m->journal = (struct lease_journal){.ctx = m, .put = journal_put, .drop = journal_drop};
	m->giver = (struct address_giver){.ctx = m,
		.ask = giver_ask,
		.resume = giver_resume,
		.give_back = giver_give_back,
		.refuse = giver_refuse};
	for (int i = 0; i < ADDRESSES; i++)
		m->a[i].addr = address_at(i);
	start(m);
}

void life_fini(struct life *m)
{
	pools_free(m->f.pools);
	for (int v = 0; v < VARIANTS; v++)
		cfg_free(m->variants[v]);
}

void life_reload(struct life *m, int variant)
{
	assert_int_equal(pools_reload(m->f.pools, m->variants[variant]), 0);
	for (uint64_t n = rnd(m, 4); n && pools_reload_goes_on(m->f.pools); n--)
		;
	m->variant = variant;
	m->reloads++;
	for (int i = 0; i < ADDRESSES; i++) {
		struct address *a = &m->a[i];
		int pool = pool_with(m, &a->addr);
		if (!a->used || pool == NOBODY || pool == a->pool)
			continue;
		a->pool = pool;
		if (a->state != LEASE_ACTIVE)
			a->since_ns = m->f.now_ns;
	}
}

static void restore(struct life *m, int i)
{
	const struct row_of_life *row = &m->disk[i];
	struct address *a = &m->a[i];
	char name[16];
	struct lease_row r = {
		.addr = a->addr,
		.prefix_len = i < FIRST_PREFIX ? 32 : 64,
		.origin = row->origin,
		.anonymous = row->owner == OWNERS,
		.pool = pool_cfg(m, row->pool)->name,
		.name = name_of(row->owner, name),
		.extra = {(const uint8_t *)"x", 1},
	};
	uint8_t key[32] = {0, (uint8_t)(strlen(name) + 1)};
	memcpy(key + 2, name, strlen(name));
	if (!r.anonymous)
		r.owner = (struct view){key, 2 + strlen(name)};
	assert_int_equal(pools_restore(m->f.pools, &r), 0);
	int pool = pool_with(m, &a->addr);
	if (pool == NOBODY && row->origin != LEASE_OF_AAA)
		return;
	*a = (struct address){.addr = a->addr,
		.used = true,
		.owner = row->owner,
		.pool = pool == NOBODY ? row->pool : pool,
		.origin = row->origin,
		.was_active = true,
		.row = true,
		.acknowledged = true,
		.of_last_life = r.anonymous,
		.state = r.anonymous ? LEASE_QUARANTINED : LEASE_LINGERING,
		.revoked = r.anonymous,
		.since_ns = m->f.now_ns};
	if (a->origin == LEASE_OF_DHCP && a->pool != 3)
		a->origin = LEASE_OF_POOL;
	m->restored++;
}

void life_crash(struct life *m)
{
	to_disk(m, m->change_count ? (unsigned)rnd(m, m->change_count) : 0);
	for (int i = 0; i < ADDRESSES; i++) {
		// What was acknowledged is on the disk.
		if (m->a[i].used && m->a[i].acknowledged)
			assert_true(m->disk[i].there);
		if (m->a[i].used && m->a[i].acknowledged && m->a[i].owner != NOBODY)
			assert_int_equal(m->disk[i].owner, m->a[i].owner);
	}
	pools_free(m->f.pools);
	m->session_count = m->asked_count = m->change_count = 0;
	memset(m->requests, 0, sizeof(m->requests));
	for (int i = 0; i < ADDRESSES; i++)
		life_free(m, &m->a[i]);
	start(m);
	for (int i = 0; i < ADDRESSES; i++)
		if (m->disk[i].there)
			restore(m, i);
	m->crashes++;
}

static void compare_pool(struct life *m, int p)
{
	struct pool_stats s;
	struct lease_info info;
	uint64_t cursor = 0, of_state[4] = {0}, outside = 0, leases = 0;
	for (int i = 0; i < ADDRESSES; i++) {
		const struct address *a = &m->a[i];
		bool in = pool_with(m, &a->addr) == p && !excluded(m, p, &a->addr);
		if (!a->used || a->pool != p)
			continue;
		leases++;
		outside += !in;
		of_state[a->state == LEASE_OFFERED ? LEASE_ACTIVE : a->state] += in;
	}
	while (pools_lease_next(m->f.pools, (size_t)p, &cursor, &info)) {
		const struct address *a = &m->a[index_of(m, &info.addr)];
		char name[16];
		assert_true(a->used && a->pool == p);
		assert_int_equal(info.state, a->state);
		assert_int_equal(info.references, a->grants);
		assert_int_equal(info.origin, a->origin);
		assert_string_equal(info.owner, name_of(a->owner, name));
		leases--;
	}
	assert_int_equal(leases, 0);
	assert_true(pools_stats(m->f.pools, (size_t)p, &s));
	assert_int_equal(s.in_use, of_state[LEASE_ACTIVE]);
	assert_int_equal(s.lingering, of_state[LEASE_LINGERING]);
	assert_int_equal(s.quarantined, of_state[LEASE_QUARANTINED]);
	assert_int_equal(s.outside, outside);
	assert_int_equal(s.size, s.free + s.in_use + s.lingering + s.quarantined + s.reserved);
	assert_true(s.size < 1000 && s.free <= s.size);
}

void life_compare(struct life *m)
{
	while (m->change_count)
		life_settle(m, true);
	while (pools_reload_goes_on(m->f.pools))
		;
	for (int p = 0; p < POOLS; p++)
		compare_pool(m, p);
	// The disk has a row of each lease that is not in memory alone, and no other.
	for (int i = 0; i < ADDRESSES; i++)
		assert_int_equal(m->disk[i].there, m->a[i].used && m->a[i].row);
}
