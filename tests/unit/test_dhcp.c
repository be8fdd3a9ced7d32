// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The life of DHCP leases, from the first question to the end, over a network that the test owns.
#include "tests/unit/dhcp_fixture.h"

#include "base/log.h"

#define ADDR2 0x0a010006u

static const struct reply offer1 = {2, ADDR1, .lease = 3600};
static const struct reply ack1 = {5, ADDR1, .lease = 3600};
static const struct reply nak1 = {.type = 6};

static void says(const struct sent *s, uint8_t type, const char *to)
{
	assert_int_equal(s->type, type);
	assert_int_equal(s->to, v4(to));
}

// RFC 2131 table 5, and what a relay adds.
static void asks_every_server(void **state)
{
	struct fixture *f = *state;
	static const uint8_t link[] = {5, 4, 10, 1, 0, 1};
	size_t len;
	assert_int_equal(ask_for(f, "alice", 7, ADDR1), 0);
	assert_int_equal(f->sent_count, 2);
	says(&f->sent[0], 1, SERVER1);
	says(&f->sent[1], 1, SERVER2);
	const struct sent *s = &f->sent[0];
	assert_memory_equal(s->bytes, f->sent[1].bytes, s->len);
	assert_memory_equal(s->bytes, "\x01\x01\x06\x01", 4); // BOOTREQUEST, Ethernet, one hop
	assert_memory_equal(s->bytes + 8, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(u32_at(s->bytes + 24), v4(RELAY));
	assert_int_equal(s->bytes[28] & 3, 2); // of one station, locally administered
	assert_int_equal(option_u32(s, 50), ADDR1);
	assert_null(option_of(s, 54, &len));
	assert_memory_equal(option_of(s, 12, &len), "alice", 5);
	assert_int_equal(len, 5);
	const uint8_t *id = option_of(s, 61, &len);
	assert_int_equal(len, 23);
	assert_memory_equal(id, "\xff\0\0\0\0\0\x04", 7); // RFC 4361, IAID 0, DUID-UUID
	assert_memory_equal(option_of(s, 82, &len), link, 6);
	assert_int_equal(len, 6);
	assert_int_equal(counter(f, "dhcp_asking"), 1);
}

static void names_that_are_no_labels_stay_here(void **state)
{
	static const char *const names[] = {"a@example", "-a", "a-", "c1.example", "a b",
		"\xc3\xa4", "0123456789012345678901234567890123456789012345678901234567890123"};
	struct fixture *f = *state;
	size_t len;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(ask_for(f, names[i], i, 0), 0);
		assert_null(option_of(last_sent(f), 12, &len));
		assert_null(option_of(last_sent(f), 50, &len));
	}
}

static void takes_the_first_offer(void **state)
{
	struct fixture *f = *state;
	struct sent discover, request;
	size_t len;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	discover = f->sent[0];
	f->sent_count = 0;
	answer(f, &discover, &(struct reply){2, ADDR1, .lease = 3600, .from = SERVER2});
	assert_int_equal(f->sent_count, 2); // the other learns that it was not chosen
	says(&f->sent[0], 3, SERVER1);
	says(&f->sent[1], 3, SERVER2);
	request = f->sent[0];
	assert_int_equal(option_u32(&request, 54), v4(SERVER2));
	assert_int_equal(option_u32(&request, 50), ADDR1);
	assert_int_equal(u32_at(request.bytes + 12), 0); // ciaddr
	assert_memory_equal(request.bytes + 4, discover.bytes + 4, 4);
	assert_non_null(option_of(&request, 82, &len));

	answer(f, &discover, &offer1);
	assert_int_equal(counter(f, "dhcp_offers_late"), 1);
	answer(f, &request, &ack1); // of a server that was not chosen
	answer(f, &request, &nak1);
	assert_int_equal(counter(f, "dhcp_bad_server_id"), 2);
	assert_int_equal(f->given_count, 0);
	answer(f, &request, &(struct reply){5, ADDR1, .lease = 3600, .from = SERVER2});
	assert_int_equal(f->given_count, 1);
	assert_int_equal(f->given[0].status, ADDRESS_OK);
	assert_int_equal(f->given[0].addr, ADDR1);
	assert_int_equal(f->given[0].token, 7);
	assert_in_range(f->extra_len, 1, LEASE_EXTRA_MAX);
	assert_int_equal(counter(f, "dhcp_leases"), 1);
	assert_int_equal(counter(f, "dhcp_asking"), 0);
	answer(f, &request, &(struct reply){5, ADDR1, .lease = 3600, .from = SERVER2});
	assert_int_equal(counter(f, "dhcp_bad_xid"), 1); // it came twice
	assert_int_equal(f->given_count, 1);
}

// T1, T2 and the end, nobody answers.
static void renews_rebinds_and_loses(void **state)
{
	struct fixture *f = *state;
	size_t len;
	get_lease(f, "alice", ADDR1, 3600);
	f->sent_count = 0;
	pass_s(f, 1570); // at most an eighth earlier than 1800
	assert_int_equal(f->sent_count, 0);
	pass_s(f, 231);
	assert_in_range(f->sent_count, 1, 2);
	const struct sent *s = &f->sent[0];
	says(s, 3, SERVER1);
	assert_int_equal(u32_at(s->bytes + 12), ADDR1);
	assert_int_equal(u32_at(s->bytes + 24), v4(RELAY));
	assert_null(option_of(s, 50, &len));
	assert_null(option_of(s, 54, &len));
	assert_non_null(option_of(s, 82, &len));
	pass_s(f, 3149 - 1801);
	size_t renewals = f->sent_count;
	assert_in_range(renewals, 3, 10);
	for (size_t i = 0; i < renewals; i++)
		says(&f->sent[i], 3, SERVER1);
	pass_s(f, 2);
	assert_int_equal(f->sent_count, renewals + 2);
	says(&f->sent[renewals], 3, SERVER1);
	says(&f->sent[renewals + 1], 3, SERVER2);
	pass_s(f, 3599 - 3151);
	assert_int_equal(f->lost, 0);
	assert_true(f->sent_count > renewals + 4);
	pass_s(f, 2);
	assert_int_equal(f->lost, 1);
	assert_int_equal(f->lost_addr, ADDR1);
	assert_int_equal(counter(f, "dhcp_leases"), 0);
	assert_int_equal(dhcp_next_ns(f->d), UINT64_MAX);
	f->giver->give_back(f->giver->ctx, &(struct ip_addr){.family = IP_V4}); // nothing happens
	assert_int_equal(counter(f, "dhcp_released"), 0);
}

static void lives_as_long_as_it_is_renewed(void **state)
{
	struct fixture *f = *state;
	get_lease(f, "alice", ADDR1, 60);
	for (unsigned i = 0; i < 20; i++) {
		f->sent_count = 0;
		while (!f->sent_count)
			pass_ms(f, 1);
		says(last_sent(f), 3, SERVER1);
		struct sent q = *last_sent(f);
		answer(f, &q, &(struct reply){5, ADDR1, .lease = 60});
		assert_int_equal(f->changed, i + 1);
	}
	assert_true(f->now_ns - 1000 * NS_PER_S > 500 * NS_PER_S);
	assert_int_equal(counter(f, "dhcp_renewed"), 20);
	assert_int_equal(f->lost, 0);
}

// What another server than the lease's says of it when all are asked.
static void only_its_server_takes_it_back(void **state)
{
	struct fixture *f = *state;
	get_lease(f, "alice", ADDR1, 800);
	f->sent_count = 0;
	pass_s(f, 750); // rebinding since 700
	struct sent q = *last_sent(f);
	answer(f, &q, &(struct reply){.type = 6, .from = SERVER2});
	assert_int_equal(counter(f, "dhcp_naks_of_others"), 1);
	assert_int_equal(f->lost, 0);
	answer(f, &q,
		&(struct reply){5, ADDR1, .lease = 800, .from = SERVER2}); // its partner has it
	assert_int_equal(f->changed, 1);
	f->sent_count = 0;
	pass_s(f, 401);
	says(&f->sent[0], 3, SERVER2);
	q = *last_sent(f);
	answer(f, &q, &(struct reply){.type = 6, .from = SERVER2});
	assert_int_equal(f->lost, 1);
	assert_int_equal(counter(f, "dhcp_leases"), 0);
}

static void is_patient_for_its_time(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	pass_ms(f, 2999);
	assert_int_equal(f->given_count, 0);
	assert_in_range(f->sent_count, 6, 8); // to two servers
	for (size_t i = 0; i < f->sent_count; i++)
		assert_memory_equal(f->sent[i].bytes + 4, f->sent[0].bytes + 4, 4);
	pass_ms(f, 2);
	assert_int_equal(f->given_count, 1);
	assert_int_equal(f->given[0].status, ADDRESS_FAILED);
	assert_int_equal(f->given[0].token, 7);
	assert_int_equal(counter(f, "dhcp_silent"), 1);
	assert_int_equal(counter(f, "dhcp_asking"), 0);
	size_t count = f->sent_count;
	pass_ms(f, 5000);
	assert_int_equal(f->sent_count, count);
}

// An offer, and then nothing: within the same time.
static void is_patient_in_all(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	pass_ms(f, 2000);
	answer(f, &f->sent[0], &offer1);
	pass_ms(f, 1001);
	assert_int_equal(f->given_count, 1);
	assert_int_equal(f->given[0].status, ADDRESS_FAILED);
	assert_int_equal(counter(f, "dhcp_leases"), 0);
}

static void a_no_is_a_no_in_the_end(void **state)
{
	struct fixture *f = *state;
	size_t len;
	assert_int_equal(ask_for(f, "alice", 7, ADDR1), 0);
	for (int i = 0; i < 3; i++) {
		struct sent q = *last_sent(f);
		assert_int_equal(q.type, 1);
		assert_int_equal(option_of(&q, 50, &len) != NULL, i == 0);
		answer(f, &q, &offer1);
		q = *last_sent(f);
		assert_int_equal(q.type, 3);
		assert_int_equal(f->given_count, 0);
		answer(f, &q, &nak1);
	}
	assert_int_equal(f->given_count, 1);
	assert_int_equal(f->given[0].status, ADDRESS_EXHAUSTED);
	assert_int_equal(counter(f, "dhcp_refused"), 1);
	assert_int_equal(counter(f, "dhcp_naks"), 3);
}

static void never_the_address_of_another(void **state)
{
	struct fixture *f = *state;
	get_lease(f, "alice", ADDR1, 3600);
	assert_int_equal(ask_for(f, "bob", 8, 0), 0);
	struct sent q = *last_sent(f);
	answer(f, &q, &offer1);
	assert_int_equal(counter(f, "dhcp_bad_taken"), 1);
	assert_int_equal(last_sent(f)->type, 1);
	pass_ms(f, 3001);
	assert_int_equal(f->given_count, 2);
	assert_int_equal(f->given[1].status, ADDRESS_EXHAUSTED);

	// Both were offered it, and one was first.
	assert_int_equal(ask_for(f, "carol", 9, 0), 0);
	struct sent carol = *last_sent(f);
	assert_int_equal(ask_for(f, "dave", 10, 0), 0);
	struct sent dave = *last_sent(f);
	answer(f, &carol, &(struct reply){2, ADDR2, .lease = 60});
	carol = *last_sent(f);
	answer(f, &dave, &(struct reply){2, ADDR2, .lease = 60});
	dave = *last_sent(f);
	answer(f, &carol, &(struct reply){5, ADDR2, .lease = 60});
	answer(f, &dave, &(struct reply){5, ADDR2, .lease = 60});
	assert_int_equal(f->given_count, 3);
	assert_int_equal(f->given[2].token, 9);
	assert_int_equal(last_sent(f)->type, 1); // dave asks for another
}

static void gives_back_and_refuses(void **state)
{
	struct fixture *f = *state;
	struct ip_addr a = ip_from_v4(ADDR1);
	size_t len;
	get_lease(f, "alice", ADDR1, 3600);
	f->sent_count = 0;
	f->giver->give_back(f->giver->ctx, &a);
	assert_int_equal(f->sent_count, 1);
	says(last_sent(f), 7, SERVER1);
	assert_int_equal(u32_at(last_sent(f)->bytes + 12), ADDR1);
	assert_int_equal(option_u32(last_sent(f), 54), v4(SERVER1));
	assert_null(option_of(last_sent(f), 50, &len));
	assert_null(option_of(last_sent(f), 55, &len));
	assert_null(option_of(last_sent(f), 12, &len));
	assert_non_null(option_of(last_sent(f), 61, &len));
	assert_int_equal(counter(f, "dhcp_leases"), 0);
	f->giver->give_back(f->giver->ctx, &a);
	assert_int_equal(f->sent_count, 1);

	get_lease(f, "alice", ADDR1, 3600);
	f->sent_count = 0;
	f->giver->refuse(f->giver->ctx, &a);
	assert_int_equal(f->sent_count, 1);
	says(last_sent(f), 4, SERVER1);
	assert_int_equal(u32_at(last_sent(f)->bytes + 12), 0);
	assert_int_equal(option_u32(last_sent(f), 50), ADDR1);
	assert_int_equal(option_u32(last_sent(f), 54), v4(SERVER1));
	assert_int_equal(counter(f, "dhcp_released"), 1);
	assert_int_equal(counter(f, "dhcp_declined"), 1);
	assert_int_equal(dhcp_next_ns(f->d), UINT64_MAX);
}

// The same client each time he comes, and one more client for each further address.
static void an_owner_is_a_client_per_lease(void **state)
{
	struct fixture *f = *state;
	uint8_t first[23], chaddr[6];
	size_t len;
	get_lease(f, "alice", ADDR1, 3600);
	memcpy(first, option_of(last_sent(f), 61, &len), 23);
	memcpy(chaddr, last_sent(f)->bytes + 28, 6);
	get_lease(f, "alice", ADDR2, 3600);
	const uint8_t *second = option_of(last_sent(f), 61, &len);
	assert_memory_equal(second, "\xff\0\0\0\1", 5);
	assert_memory_equal(second + 5, first + 5, 18);
	assert_memory_not_equal(last_sent(f)->bytes + 28, chaddr, 6);
	f->giver->give_back(f->giver->ctx, &(struct ip_addr){IP_V4, {10, 1, 0, 5}});
	assert_int_equal(ask_for(f, "alice", 1, 0), 0);
	assert_memory_equal(option_of(last_sent(f), 61, &len), first, 23);
	assert_memory_equal(last_sent(f)->bytes + 28, chaddr, 6);
	assert_int_equal(ask_for(f, "bob", 1, 0), 0);
	assert_memory_not_equal(option_of(last_sent(f), 61, &len) + 5, first + 5, 18);
}

// More than are counted one by one.
static void an_owner_with_a_hundred_addresses(void **state)
{
	struct fixture *f = *state;
	static uint8_t ids[100][23];
	size_t len;
	for (uint32_t i = 0; i < 100; i++) {
		get_lease(f, "alice", 0x0a010100u + i, 3600);
		memcpy(ids[i], option_of(last_sent(f), 61, &len), 23);
		for (uint32_t k = 0; k < i; k++)
			assert_memory_not_equal(ids[i], ids[k], 23);
	}
	for (uint32_t i = 0; i < 100; i++) {
		struct ip_addr a = ip_from_v4(0x0a010100u + i);
		f->giver->give_back(f->giver->ctx, &a);
	}
	get_lease(f, "alice", ADDR1, 3600);
	assert_memory_equal(option_of(last_sent(f), 61, &len), ids[0], 23);
}

static void asks_for_some_thousand_at_once(void **state)
{
	struct fixture *f = *state;
	char owner[32];
	for (unsigned i = 0; i < DHCP_ASKING_MAX; i++) {
		snprintf(owner, sizeof(owner), "user%u", i);
		f->sent_count = 0;
		assert_int_equal(ask_for(f, owner, i, 0), 0);
	}
	assert_int_equal(ask_for(f, "late", 1, 0), -EAGAIN);
	assert_int_equal(counter(f, "dhcp_too_many"), 1);
	answer(f, last_sent(f), &offer1);
	assert_int_equal(ask_for(f, "late", 1, 0), -EAGAIN);
	answer(f, last_sent(f), &ack1);
	assert_int_equal(f->given_count, 1);
	assert_int_equal(ask_for(f, "late", 1, 0), 0);
	for (int ms = 0; ms < 3001; ms++) {
		f->sent_count = 0;
		pass_ms(f, 1);
	}
	assert_int_equal(counter(f, "dhcp_asking"), 0);
	assert_int_equal(f->given_count, 1 + DHCP_ASKING_MAX);
	assert_int_equal(counter(f, "dhcp_silent"), DHCP_ASKING_MAX);
}

static void no_two_questions_have_one_id(void **state)
{
	struct fixture *f = *state;
	char owner[32];
	f->repeat = true;
	for (unsigned i = 0; i < 500; i++) {
		snprintf(owner, sizeof(owner), "user%u", i);
		assert_int_equal(ask_for(f, owner, i, 0), 0);
	}
	for (size_t i = 0; i < f->sent_count; i += 2)
		for (size_t k = 0; k < i; k += 2)
			assert_memory_not_equal(f->sent[i].bytes + 4, f->sent[k].bytes + 4, 4);
}

// Leases of one moment are not renewed in one moment.
static void renewals_are_spread(void **state)
{
	struct fixture *f = *state;
	unsigned busiest = 0, all = 0;
	for (uint32_t i = 0; i < 2000; i++) {
		char owner[32];
		snprintf(owner, sizeof(owner), "user%u", i);
		get_lease(f, owner, 0x0a010100u + i, 3600);
		f->sent_count = 0;
	}
	for (int s = 0; s < 1810; s++) {
		pass_s(f, 1);
		busiest = f->sent_count > busiest ? (unsigned)f->sent_count : busiest;
		all += (unsigned)f->sent_count;
		f->sent_count = 0;
	}
	assert_int_equal(all, 2000);
	assert_in_range(busiest, 1, 40); // 2000 over 225 seconds
}

// Lease, T1 and T2 as told; how long until the first renewal (at least, at most) and until all servers
// are asked.
static void times_are_sane(void **state)
{
	static const struct {
		uint32_t lease, t1, t2;
		uint64_t renew_lo, renew_hi, rebind;
	} cases[] = {
		{800, 0, 0, 350, 400, 700}, {800, 200, 600, 175, 200, 600},
		{800, 1, 600, 52, 60, 600},     // not each second
		{800, 700, 600, 350, 400, 600}, // T1 behind T2
		{800, 100, 900, 87, 100, 700},  // T2 behind the end
		{800, 0xffffffff, 0xffffffff, 350, 400, 700}, {80, 1, 2, 1, 2, 2},
		{8, 0, 0, 3, 4, 7}, {4294967294u, 100, 300, 87, 100, 300}, // 136 years
	};
	struct fixture *f = *state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reply r = {.yiaddr = ADDR1,
			.lease = cases[i].lease,
			.t1 = cases[i].t1,
			.t2 = cases[i].t2};
		uint64_t ms = 0, renew_ms, rebind_ms = cases[i].rebind * 1000;
		assert_int_equal(ask_for(f, "alice", 1, 0), 0);
		r.type = 2;
		answer(f, last_sent(f), &r);
		r.type = 5;
		answer(f, last_sent(f), &r);
		for (f->sent_count = 0; !f->sent_count; ms++)
			pass_ms(f, 1);
		renew_ms = ms;
		assert_in_range(renew_ms, cases[i].renew_lo * 1000, cases[i].renew_hi * 1000 + 2);
		while (last_sent(f)->to != v4(SERVER2)) {
			pass_ms(f, 1);
			ms++;
		}
		assert_in_range(ms, rebind_ms, rebind_ms + 2);
		f->giver->give_back(f->giver->ctx, &(struct ip_addr){IP_V4, {10, 1, 0, 5}});
	}
}

static void a_lease_without_end(void **state)
{
	struct fixture *f = *state;
	get_lease(f, "alice", ADDR1, 0xffffffff);
	assert_int_equal(dhcp_next_ns(f->d), UINT64_MAX);
	assert_int_equal(counter(f, "dhcp_leases"), 1);
}

// A control thread that was late, or a machine that slept.
static void late_timers(void **state)
{
	static const struct {
		uint64_t s;
		unsigned sent, lost;
	} cases[] = {{3000, 1, 0}, {3200, 2, 0}, {3700, 0, 1}};
	struct fixture *f = *state;
	for (size_t i = 0; i < 3; i++) {
		f->lost = 0;
		get_lease(f, "alice", ADDR1, 3600);
		f->sent_count = 0;
		f->now_ns += cases[i].s * NS_PER_S;
		dhcp_tick(f->d, f->now_ns);
		assert_int_equal(f->sent_count, cases[i].sent);
		assert_int_equal(f->lost, cases[i].lost);
		f->giver->give_back(f->giver->ctx, &(struct ip_addr){IP_V4, {10, 1, 0, 5}});
	}
}

static void what_cannot_be_sent_is_sent_again(void **state)
{
	struct fixture *f = *state;
	f->fail_send = -ENETUNREACH;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	assert_int_equal(counter(f, "dhcp_send_failed"), 2);
	f->fail_send = 0;
	pass_ms(f, 700);
	answer(f, last_sent(f), &offer1);
	answer(f, last_sent(f), &ack1);
	assert_int_equal(f->given_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asks_every_server),
		TEST(names_that_are_no_labels_stay_here),
		TEST(takes_the_first_offer),
		TEST(renews_rebinds_and_loses),
		TEST(lives_as_long_as_it_is_renewed),
		TEST(only_its_server_takes_it_back),
		TEST(is_patient_for_its_time),
		TEST(is_patient_in_all),
		TEST(a_no_is_a_no_in_the_end),
		TEST(never_the_address_of_another),
		TEST(gives_back_and_refuses),
		TEST(an_owner_is_a_client_per_lease),
		TEST(an_owner_with_a_hundred_addresses),
		TEST(asks_for_some_thousand_at_once),
		TEST(no_two_questions_have_one_id),
		TEST(renewals_are_spread),
		TEST(times_are_sane),
		TEST(a_lease_without_end),
		TEST(late_timers),
		TEST(what_cannot_be_sent_is_sent_again),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
