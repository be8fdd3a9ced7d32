// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools whose addresses a DHCP server chooses: from the request of a session to the lease's end.
#include "tests/unit/dhcp_fixture.h"

#include "base/log.h"
#include "pools/pools.h"

#define ADDR1   0x0a010005u // 10.1.0.5
#define OUTSIDE 0x0a020005u
#define ROWS    16

struct joint {
	struct fixture f;
	struct pools *pools;
	struct address_source source;
	struct lease_journal journal;
	uint64_t ticket;
	struct lease_row row; // the last one put
	uint8_t key[64], extra[LEASE_EXTRA_MAX];
	unsigned puts, drops;
	unsigned done, revoked;
	enum address_status status;
	struct lease lease;
};

static uint16_t one_worker(void *ctx, const struct ip_addr *a)
{
	(void)ctx;
	(void)a;
	return 0;
}

static uint64_t put(void *ctx, const struct lease_row *row)
{
	struct joint *j = ctx;
	assert_int_equal(row->origin, LEASE_OF_DHCP);
	assert_true(row->owner.len <= sizeof(j->key) && row->extra.len <= sizeof(j->extra));
	j->row = *row;
	if (row->owner.len)
		memcpy(j->key, row->owner.p, row->owner.len);
	memcpy(j->extra, row->extra.p, row->extra.len);
	j->row.owner.p = j->key;
	j->row.extra.p = j->extra;
	j->row.name = "alice";
	j->puts++;
	return ++j->ticket;
}

static uint64_t drop(void *ctx, const struct ip_addr *addr)
{
	struct joint *j = ctx;
	(void)addr;
	j->drops++;
	return ++j->ticket;
}

static void on_done(void *user, uint64_t token, enum address_status s, const struct lease *l)
{
	struct joint *j = user;
	assert_int_equal(token, 77);
	j->done++;
	j->status = s;
	j->lease = *l;
}

static void on_revoked(void *user, const struct ip_addr *addr)
{
	struct joint *j = user;
	assert_int_equal(ip_to_v4(addr), ADDR1);
	j->revoked++;
}

static void attach(struct joint *j)
{
	j->journal = (struct lease_journal){j, put, drop};
	struct pools_seams seams = {
		.clock = &j->f.clock,
		.random = &random_system,
		.workers = 1,
		.worker_of = one_worker,
		.journal = &j->journal,
		.giver = dhcp_giver(j->f.d),
	};
	assert_int_equal(pools_new(j->f.cfg, &seams, &j->pools), 0);
	pools_source(j->pools, &j->source);
	j->source.done = on_done;
	j->source.revoked = on_revoked;
	j->source.user = j;
}

static struct joint joint;

static int begin(void **state)
{
	*state = &joint;
	joint = (struct joint){0};
	fixture_init(&joint.f,
		"{ name = \"p\"; ranges = [ \"10.1.0.0/16\" ]; linger_s = 30;\n"
		"from_dhcp: { servers = [ \"" SERVER1 "\" ]; relay = \"" RELAY "\"; }; }");
	attach(&joint);
	return 0;
}

static int finish(void **state)
{
	struct joint *j = *state;
	pools_free(j->pools);
	fixture_fini(&j->f);
	return 0;
}

static void acquire(struct joint *j)
{
	struct address_request rq = {
		.pool = &j->f.cfg->pools[0],
		.owner = {.user = "alice", .name = "alice"},
		.token = 77,
	};
	struct lease l;
	assert_int_equal(j->source.acquire(j->source.ctx, &rq, &l), ADDRESS_PENDING);
}

static void offer(struct joint *j, uint32_t addr, uint32_t lease_s)
{
	const struct sent *q = last_sent(&j->f);
	assert_int_equal(q->type, 1);
	answer(&j->f, q, &(struct reply){2, addr, .lease = lease_s});
	q = last_sent(&j->f);
	assert_int_equal(q->type, 3);
	answer(&j->f, q, &(struct reply){5, addr, .lease = lease_s});
}

// A session with the address, durable.
static void login(struct joint *j, uint32_t lease_s)
{
	unsigned done = j->done;
	acquire(j);
	offer(j, ADDR1, lease_s);
	assert_int_equal(j->done, done); // not before the row is durable
	pools_settled(j->pools, j->ticket, true);
	assert_int_equal(j->done, done + 1);
	assert_int_equal(j->status, ADDRESS_OK);
	assert_int_equal(ip_to_v4(&j->lease.addr), ADDR1);
	assert_true(j->source.renew(j->source.ctx, &j->lease, 5));
}

static void wait_s(struct joint *j, uint64_t s)
{
	pass_s(&j->f, s);
	pools_tick(j->pools, j->f.now_ns);
}

static void lease_of_a_session(void **state)
{
	struct joint *j = *state;
	login(j, 100);
	assert_int_equal(j->puts, 1);
	wait_s(j, 51);
	answer(&j->f, last_sent(&j->f), &(struct reply){5, ADDR1, .lease = 100});
	assert_int_equal(j->puts, 2); // its end has moved
	j->source.release(j->source.ctx, &j->lease);
	wait_s(j, 20);
	assert_int_equal(counter(&j->f, "dhcp_released"), 0); // it lingers
	wait_s(j, 12);
	assert_int_equal(last_sent(&j->f)->type, 7);
	assert_int_equal(counter(&j->f, "dhcp_released"), 1);
	assert_int_equal(j->drops, 1);
}

static void an_address_from_outside(void **state)
{
	struct joint *j = *state;
	struct pool_stats s;
	acquire(j);
	offer(j, OUTSIDE, 100);
	assert_int_equal(j->done, 1);
	assert_int_not_equal(j->status, ADDRESS_OK);
	assert_int_equal(last_sent(&j->f)->type, 4); // DECLINE
	assert_int_equal(counter(&j->f, "dhcp_leases"), 0);
	assert_true(pools_stats(j->pools, 0, &s));
	assert_int_equal(s.giver_bad, 1);
	assert_int_equal(j->puts, 0);
}

static void a_silent_server(void **state)
{
	struct joint *j = *state;
	struct pool_stats s;
	acquire(j);
	wait_s(j, 4);
	assert_int_equal(j->done, 1);
	assert_int_equal(j->status, ADDRESS_FAILED);
	assert_true(pools_stats(j->pools, 0, &s));
	assert_int_equal(s.giver_silent, 1);
}

// The server was away and the lease ended; it is back, and gives the same client the same address.
static void lost_and_given_again(void **state)
{
	struct joint *j = *state;
	login(j, 100);
	wait_s(j, 101);
	assert_int_equal(j->revoked, 1);
	j->source.release(j->source.ctx, &j->lease);
	login(j, 100);
	assert_int_equal(counter(&j->f, "dhcp_declined"), 0);
	assert_int_equal(counter(&j->f, "dhcp_released"), 0);
}

// But as long as the old session has it, nobody gets it.
static void lost_and_still_in_use(void **state)
{
	struct joint *j = *state;
	login(j, 100);
	wait_s(j, 101);
	acquire(j);
	offer(j, ADDR1, 100);
	assert_int_not_equal(j->status, ADDRESS_OK);
	assert_int_equal(counter(&j->f, "dhcp_declined"), 1);
}

static void restart(struct joint *j)
{
	pools_free(j->pools);
	fixture_stop(&j->f);
	fixture_start(&j->f);
	attach(j);
	j->row.pool = "p";
	assert_int_equal(pools_restore(j->pools, &j->row), 0);
}

static void over_a_restart(void **state)
{
	struct joint *j = *state;
	struct address_request rq = {.owner = {.user = "alice", .name = "alice"}, .token = 77};
	struct lease l;
	login(j, 100);
	restart(j);
	assert_int_equal(counter(&j->f, "dhcp_resumed"), 1);
	wait_s(j, 1);
	assert_int_equal(last_sent(&j->f)->type, 3);
	answer(&j->f, last_sent(&j->f), &(struct reply){5, ADDR1, .lease = 100});
	assert_int_equal(counter(&j->f, "dhcp_confirmed"), 1);
	rq.pool = &j->f.cfg->pools[0];
	assert_int_equal(j->source.acquire(j->source.ctx, &rq, &l), ADDRESS_OK);
	assert_int_equal(ip_to_v4(&l.addr), ADDR1);
	assert_int_equal(counter(&j->f, "dhcp_asked"), 0);
}

// Nobody can come back for it, and its server says no: it may be given to another client of ours.
static void of_nobody_over_a_restart(void **state)
{
	struct joint *j = *state;
	struct pool_stats s;
	login(j, 100);
	j->row.anonymous = true;
	j->row.owner.len = 0;
	restart(j);
	wait_s(j, 1);
	answer(&j->f, last_sent(&j->f), &(struct reply){.type = 6});
	assert_int_equal(counter(&j->f, "dhcp_lost"), 1);
	wait_s(j, 60);
	assert_true(pools_stats(j->pools, 0, &s));
	assert_int_equal(s.quarantined, 1); // by then it is nobody's for an hour
	login(j, 100);
	assert_int_equal(counter(&j->f, "dhcp_declined"), 0);
	assert_int_equal(j->revoked, 0);
}

// What the server does not know of it may give to anybody.
static void the_server_knows_all_of_them(void **state)
{
	static const uint8_t alice[] = {0, 6, 'a', 'l', 'i', 'c', 'e'};
	struct joint *j = *state;
	struct pool_stats s;
	struct lease_row row = {.addr = ip_from_v4(ADDR1),
		.prefix_len = 32,
		.pool = "p",
		.owner = {alice, sizeof(alice)},
		.name = "alice"};
	assert_int_equal(pools_restore(j->pools, &row), 0);
	assert_int_equal(j->drops, 1);
	assert_int_equal(pools_import(j->pools, &row, true), -EOPNOTSUPP);
	assert_int_equal(pools_import(j->pools, &row, false), -EOPNOTSUPP);
	assert_true(pools_stats(j->pools, 0, &s));
	assert_int_equal(s.lingering, 0);
	assert_int_equal(j->puts, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lease_of_a_session),
		TEST(an_address_from_outside),
		TEST(a_silent_server),
		TEST(lost_and_given_again),
		TEST(lost_and_still_in_use),
		TEST(over_a_restart),
		TEST(of_nobody_over_a_restart),
		TEST(the_server_knows_all_of_them),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
