// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases over a restart, with clocks that were set meanwhile; and over a reload.
#include "tests/unit/dhcp_fixture.h"

#include "base/log.h"

static int resume(struct fixture *f, uint32_t addr, struct view extra)
{
	struct ip_addr a = ip_from_v4(addr);
	return f->giver->resume(f->giver->ctx, &f->cfg->pools[0], &a,
		(struct view){(const uint8_t *)"alice", 5}, extra);
}

// A lease of an hour, then the process ends and another begins.
static void restart(struct fixture *f, uint32_t lease_s)
{
	get_lease(f, "alice", ADDR1, lease_s);
	fixture_stop(f);
	fixture_start(f);
	f->sent_count = 0;
}

static void confirms_what_was(void **state)
{
	struct fixture *f = *state;
	uint8_t id[23], chaddr[6];
	size_t len;
	get_lease(f, "alice", ADDR1, 3600);
	memcpy(id, option_of(last_sent(f), 61, &len), 23);
	memcpy(chaddr, last_sent(f)->bytes + 28, 6);
	fixture_stop(f);
	assert_int_not_equal(last_sent(f)->type, 7); // not released
	f->wall_s += 600;
	f->now_ns = 5 * NS_PER_S; // another boot
	fixture_start(f);
	f->sent_count = 0;
	assert_int_equal(resume(f, ADDR1, (struct view){f->extra, f->extra_len}), 0);
	assert_int_equal(f->sent_count, 0);
	pass_ms(f, 2);
	assert_int_equal(f->sent_count, 2); // INIT-REBOOT, everywhere
	struct sent q = *last_sent(f);
	assert_int_equal(q.type, 3);
	assert_int_equal(option_u32(&q, 50), ADDR1);
	assert_null(option_of(&q, 54, &len));
	assert_int_equal(u32_at(q.bytes + 12), 0);
	assert_memory_equal(option_of(&q, 61, &len), id, 23);
	assert_memory_equal(q.bytes + 28, chaddr, 6);
	assert_memory_equal(option_of(&q, 12, &len), "alice", 5);
	answer(f, &q, &(struct reply){.type = 6, .from = SERVER2}); // never heard of it
	assert_int_equal(f->lost, 0);
	answer(f, &q, &(struct reply){5, ADDR1, .lease = 3600});
	assert_int_equal(f->changed, 1);
	assert_int_equal(counter(f, "dhcp_confirmed"), 1);
	f->sent_count = 0;
	pass_s(f, 1801);
	assert_int_equal(f->sent[0].to, v4(SERVER1));
	assert_int_equal(f->sent[0].type, 3);

	// The same owner is the same client, and this is his first lease.
	assert_int_equal(ask_for(f, "alice", 1, 0), 0);
	const uint8_t *second = option_of(last_sent(f), 61, &len);
	assert_memory_equal(second, "\xff\0\0\0\1", 5);
	assert_memory_equal(second + 5, id + 5, 18);
}

// A name that finds no room is not said after a restart; all else is as before.
static void a_long_name(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"abcdefghijklmnopqrstuvw", "abcdefghijklmnopqrstuvwx"};
	for (size_t i = 0; i < 2; i++) {
		size_t len;
		get_lease(f, names[i], ADDR1 + (uint32_t)i, 3600);
		assert_non_null(option_of(last_sent(f), 12, &len));
		assert_int_equal(f->extra_len, i == 0 ? LEASE_EXTRA_MAX : 41);
		fixture_stop(f);
		fixture_start(f);
		assert_int_equal(
			resume(f, ADDR1 + (uint32_t)i, (struct view){f->extra, f->extra_len}), 0);
		pass_ms(f, 2);
		assert_int_equal(last_sent(f)->type, 3);
		assert_int_equal(option_of(last_sent(f), 12, &len) != NULL, i == 0);
	}
}

static void a_no_ends_it(void **state)
{
	struct fixture *f = *state;
	restart(f, 3600);
	assert_int_equal(resume(f, ADDR1, (struct view){f->extra, f->extra_len}), 0);
	pass_ms(f, 2);
	answer(f, last_sent(f), &(struct reply){.type = 6});
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->lost_addr, ADDR1);
}

// How far the wall clock has moved since; how long the lease lives if nobody answers.
static void clocks_that_were_set(void **state)
{
	static const struct {
		int64_t step_s;
		uint64_t least_s, most_s;
	} cases[] = {
		{0, 3599, 3601},
		{600, 2999, 3001},
		{3590, 9, 11},
		{3599, 2, 4}, // not less than the servers get to answer
		{3600, 2, 4},
		{100000000, 2, 4},
		{-100, 3599, 3601}, // not more than the whole
		{-1000000000, 3599, 3601},
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t wall = f->wall_s;
		f->lost = 0;
		restart(f, 3600);
		f->wall_s += cases[i].step_s;
		assert_int_equal(resume(f, ADDR1, (struct view){f->extra, f->extra_len}), 0);
		pass_s(f, cases[i].least_s);
		assert_int_equal(f->lost, 0);
		assert_true(f->sent_count >= 4); // it was asked again
		pass_s(f, cases[i].most_s - cases[i].least_s);
		assert_int_equal(f->lost, 1);
		f->wall_s = wall;
	}
}

static void a_lease_without_end_is_asked_for_too(void **state)
{
	struct fixture *f = *state;
	restart(f, 0xffffffff);
	assert_int_equal(resume(f, ADDR1, (struct view){f->extra, f->extra_len}), 0);
	pass_s(f, 7200);
	assert_int_equal(f->lost, 0);
	assert_true(
		f->sent_count > 100 && f->sent_count < 300); // each 64 to 80 seconds, two servers
	answer(f, last_sent(f), &(struct reply){5, ADDR1, .lease = 0xffffffff});
	assert_int_equal(dhcp_next_ns(f->d), UINT64_MAX);
}

static void gives_back_before_it_is_confirmed(void **state)
{
	struct fixture *f = *state;
	struct ip_addr a = ip_from_v4(ADDR1);
	restart(f, 3600);
	assert_int_equal(resume(f, ADDR1, (struct view){f->extra, f->extra_len}), 0);
	f->giver->give_back(f->giver->ctx, &a);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(last_sent(f)->type, 7);
	assert_int_equal(option_u32(last_sent(f), 54), v4(SERVER1));
	pass_ms(f, 5000);
	assert_int_equal(f->sent_count, 1);
}

// What stands before the name.
#define FIXED 41

static void what_does_not_read(void **state)
{
	struct fixture *f = *state;
	uint8_t extra[LEASE_EXTRA_MAX + 1] = {0};
	restart(f, 3600);
	memcpy(extra, f->extra, f->extra_len);
	assert_int_equal(f->extra_len, FIXED + 5); // "alice"
	for (size_t len = 0; len < FIXED; len++)
		assert_int_equal(resume(f, ADDR1, (struct view){extra, len}), -EINVAL);
	for (size_t len = f->extra_len + 1; len < sizeof(extra); len++)
		assert_int_equal(resume(f, ADDR1, (struct view){extra, len}), -EINVAL); // NUL in it
	extra[FIXED] = '-';
	assert_int_equal(resume(f, ADDR1, (struct view){extra, f->extra_len}), -EINVAL);
	extra[FIXED] = 'a';
	extra[0] ^= 1; // version
	assert_int_equal(resume(f, ADDR1, (struct view){extra, f->extra_len}), -EINVAL);
	extra[0] ^= 1;
	assert_int_equal(resume(f, ADDR1, (struct view){extra, f->extra_len}), 0);
	assert_int_equal(resume(f, ADDR1, (struct view){extra, f->extra_len}), -EINVAL); // there
	assert_int_equal(
		resume(f, ADDR1 + 1, (struct view){extra, f->extra_len}), -EINVAL); // same id
	assert_int_equal(resume(f, 0, (struct view){extra, f->extra_len}), -EINVAL);
	assert_int_equal(counter(f, "dhcp_leases"), 1);
	assert_int_equal(counter(f, "dhcp_resumed"), 1);
}

// A thousand a second, so that logins have the servers for themselves.
static void many_are_confirmed_in_turn(void **state)
{
	struct fixture *f = *state;
	static uint8_t extras[1000][LEASE_EXTRA_MAX];
	static size_t lens[1000];
	char owner[32];
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(owner, sizeof(owner), "user%u", i);
		get_lease(f, owner, 0x0a010100u + i, 3600);
		memcpy(extras[i], f->extra, f->extra_len);
		lens[i] = f->extra_len;
	}
	fixture_stop(f);
	fixture_start(f);
	f->sent_count = 0;
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(resume(f, 0x0a010100u + i, (struct view){extras[i], lens[i]}), 0);
	for (unsigned ms = 0; ms < 1000; ms++) {
		f->sent_count = 0;
		pass_ms(f, 1);
		assert_in_range(f->sent_count, 0, 16); // two servers, and a few for the second time
	}
	assert_int_equal(counter(f, "dhcp_leases"), 1000);
	assert_true(counter(f, "dhcp_sent") >= 1996);
}

// ---- reload

#define POOL(servers, relay)                                                              \
	"{ name = \"p\"; ranges = [ \"10.1.0.0/16\" ]; from_dhcp: { servers = [ " servers \
	" ]; relay = \"" relay "\"; timeout_s = 1; }; }"

static int reload(struct fixture *f, const char *pools)
{
	struct cfg *next = config_of(pools);
	int rc = dhcp_reload(f->d, next, NULL);
	if (rc) {
		cfg_free(next);
		return rc;
	}
	cfg_free(f->cfg);
	f->cfg = next;
	return 0;
}

static void another_server(void **state)
{
	struct fixture *f = *state;
	size_t len;
	get_lease(f, "alice", ADDR1, 800);
	assert_int_equal(reload(f, POOL("\"192.0.2.2\"", RELAY)), 0);
	f->sent_count = 0;
	pass_s(f, 401);
	assert_int_equal(f->sent_count, 1); // its own is none any longer: the others are asked
	assert_int_equal(last_sent(f)->to, v4(SERVER2));
	assert_null(option_of(last_sent(f), 82, &len));
	answer(f, last_sent(f), &(struct reply){5, ADDR1, .lease = 800, .from = SERVER2});
	assert_int_equal(f->changed, 1);
	assert_int_equal(f->closed, 0);
	f->sent_count = 0;
	assert_int_equal(ask_for(f, "bob", 1, 0), 0);
	assert_int_equal(f->sent_count, 1);
	pass_ms(f, 1001);
	assert_int_equal(f->given[f->given_count - 1].status, ADDRESS_FAILED);
}

static void another_relay(void **state)
{
	struct fixture *f = *state;
	get_lease(f, "alice", ADDR1, 800);
	f->fail_open = -EADDRNOTAVAIL;
	assert_int_equal(reload(f, POOL("\"192.0.2.1\"", "192.0.2.10")), -EADDRNOTAVAIL);
	assert_int_equal(f->closed, 0);
	f->fail_open = 0;
	f->sent_count = 0;
	pass_s(f, 401);
	assert_int_equal(u32_at(last_sent(f)->bytes + 24), v4(RELAY)); // as it was
	assert_int_equal(reload(f, POOL("\"192.0.2.1\"", "192.0.2.10")), 0);
	assert_int_equal(f->closed, 1);
	f->sent_count = 0;
	pass_s(f, 300);
	assert_true(f->sent_count > 0);
	assert_int_equal(u32_at(last_sent(f)->bytes + 24), v4("192.0.2.10"));
	answer(f, last_sent(f), &(struct reply){5, ADDR1, .lease = 800});
	assert_int_equal(f->changed, 1);
}

static void no_longer_and_again(void **state)
{
	struct fixture *f = *state;
	struct ip_addr a = ip_from_v4(ADDR1);
	get_lease(f, "alice", ADDR1, 800);
	assert_int_equal(reload(f, "{ name = \"p\"; ranges = [ \"10.1.0.0/16\" ]; }"), 0);
	assert_int_equal(ask_for(f, "bob", 1, 0), -EINVAL);
	f->sent_count = 0;
	pass_s(f, 401);
	answer(f, last_sent(f), &(struct reply){5, ADDR1, .lease = 800});
	assert_int_equal(f->changed, 1);
	f->giver->give_back(f->giver->ctx, &a);
	assert_int_equal(last_sent(f)->type, 7);
	assert_int_equal(reload(f, POOL_TEXT), 0);
	get_lease(f, "bob", ADDR1, 800);
}

// Two pools, one relay: one socket. And what cannot be had is named.
static void relays_are_shared(void **state)
{
	struct fixture *f = *state;
	struct dhcp_seams seams = {.clock = &f->clock, .random = &f->random, .net = &f->net};
	struct cfg *two = config_of(POOL("\"192.0.2.1\"",
		RELAY) ", " //
		       "{ name = \"q\"; ranges = [ \"10.2.0.0/16\" ]; from_dhcp: { servers = [ \"192.0.2.2\" "
		       "]; relay = \"" RELAY "\"; }; }");
	char *text = NULL;
	size_t len;
	fixture_stop(f);
	f->sockets = f->closed = 0;
	assert_int_equal(dhcp_new(two, &seams, NULL, &f->d), 0);
	assert_int_equal(f->sockets, 1);
	fixture_stop(f);
	assert_int_equal(f->closed, 1);
	f->fail_open = -EADDRNOTAVAIL;
	FILE *errors = open_memstream(&text, &len);
	assert_int_equal(dhcp_new(two, &seams, errors, &f->d), -EADDRNOTAVAIL);
	fclose(errors);
	assert_string_equal(text,
		"pool \"p\": from_dhcp.relay: cannot use 192.0.2.9 port 67: Cannot assign requested "
		"address\n"
		"pool \"q\": from_dhcp.relay: cannot use 192.0.2.9 port 67: Cannot assign requested "
		"address\n");
	free(text);
	cfg_free(two);
	f->d = NULL;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(confirms_what_was),
		TEST(a_long_name),
		TEST(a_no_ends_it),
		TEST(clocks_that_were_set),
		TEST(a_lease_without_end_is_asked_for_too),
		TEST(gives_back_before_it_is_confirmed),
		TEST(what_does_not_read),
		TEST(many_are_confirmed_in_turn),
		TEST(another_server),
		TEST(another_relay),
		TEST(no_longer_and_again),
		TEST(relays_are_shared),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
