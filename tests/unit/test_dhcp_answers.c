// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Answers as they should not be: each is counted by its reason, and nothing moves.
#include "tests/unit/dhcp_fixture.h"

#include "base/log.h"
#include "pools/dhcp_wire.h"

// Where the options of make_reply() stand: type 240, server id 243, lease time 249.
struct fault {
	const char *counter;
	size_t at; // of what is overwritten
	size_t len;
	const char *with;
	size_t cut; // 0: the whole message
};

static const struct fault faults[] = {
	{"dhcp_bad_length", 0, 0, "", 1},
	{"dhcp_bad_length", 0, 0, "", 239},
	{"dhcp_bad_header", 0, 1, "\1", 0},           // a request
	{"dhcp_bad_header", 1, 1, "\6", 0},           // no Ethernet
	{"dhcp_bad_header", 2, 1, "\x10", 0},         // hlen
	{"dhcp_bad_cookie", 236, 1, "\0", 0},         //
	{"dhcp_bad_options", 0, 0, "", 240},          // none, not even END
	{"dhcp_bad_options", 0, 0, "", 241},          // no length
	{"dhcp_bad_options", 0, 0, "", 242},          // no value
	{"dhcp_bad_options", 0, 0, "", 243},          // no END
	{"dhcp_bad_options", 241, 1, "\xff", 0},      // runs over the end
	{"dhcp_bad_options", 249, 1, "\x36", 0},      // server id twice: 8 bytes
	{"dhcp_bad_options", 249, 3, "\x33\2\0", 0},  // a lease time of 2 bytes
	{"dhcp_bad_options", 240, 3, "\x34\1\0", 0},  // overload of nothing
	{"dhcp_bad_options", 240, 3, "\x34\1\4", 0},  // overload of what is not
	{"dhcp_bad_options", 240, 3, "\x34\1\1", 0},  // file without END
	{"dhcp_bad_options", 240, 3, "\x34\1\2", 0},  // sname without END
	{"dhcp_bad_type", 242, 1, "\1", 0},           // DISCOVER
	{"dhcp_bad_type", 242, 1, "\3", 0},           // REQUEST
	{"dhcp_bad_type", 242, 1, "\0", 0},           //
	{"dhcp_bad_type", 242, 1, "\x12", 0},         //
	{"dhcp_bad_type", 240, 3, "\0\0\0", 0},       // none
	{"dhcp_bad_type", 240, 1, "\xff", 0},         // no options at all
	{"dhcp_bad_xid", 4, 1, "\xfe", 0},            //
	{"dhcp_bad_relay", 24, 4, "\0\0\0\0", 0},     //
	{"dhcp_bad_relay", 24, 4, "\xc0\0\2\x08", 0}, //
	{"dhcp_bad_chaddr", 33, 1, "\xee", 0},        //
	{"dhcp_bad_server_id", 243, 1, "\xfe", 0},    // none
	{"dhcp_bad_server_id", 245, 4, "\0\0\0\0", 0},
	{"dhcp_bad_time", 251, 4, "\0\0\0\0", 0},
	{"dhcp_bad_time", 251, 4, "\0\0\0\1", 0},
	{"dhcp_bad_time", 249, 1, "\xfe", 0}, // none
	{"dhcp_bad_address", 16, 4, "\0\0\0\0", 0},
	{"dhcp_bad_address", 16, 4, "\x7f\0\0\1", 0},
	{"dhcp_bad_address", 16, 4, "\xe0\0\0\1", 0},
	{"dhcp_bad_address", 16, 4, "\xff\xff\xff\xff", 0},
	{"dhcp_bad_client_id", 265, 1, "\1", 0},
};

static void spoil(struct dhcp_datagram *m, const struct fault *x)
{
	memcpy(m->bytes + x->at, x->with, x->len);
	if (x->cut)
		m->len = x->cut;
}

static uint64_t total(const struct fixture *f)
{
	const char *name;
	uint64_t value, sum = 0;
	for (size_t i = 0; dhcp_counter(f->d, i, &name, &value, NULL); i++)
		sum += value;
	return sum;
}

// The reason is counted, the message received, and there is no other trace.
static void ignored(struct fixture *f, const struct dhcp_datagram *m, const char *reason)
{
	uint64_t all = total(f), before = counter(f, reason), given = f->given_count;
	size_t sent = f->sent_count;
	deliver(f, m);
	if (counter(f, reason) != before + 1)
		print_message("# %s was not counted\n", reason);
	assert_int_equal(counter(f, reason), before + 1);
	assert_int_equal(total(f), all + 2);
	assert_int_equal(f->sent_count, sent);
	assert_int_equal(f->given_count, given);
	assert_int_equal(f->lost + f->changed, 0);
}

static void bad_offers(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram good, m;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	make_reply(last_sent(f), &(struct reply){2, ADDR1, .lease = 3600}, &good);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		m = good;
		spoil(&m, &faults[i]);
		ignored(f, &m, faults[i].counter);
	}
	deliver(f, &good);
	assert_int_equal(last_sent(f)->type, 3);
}

static void bad_acks(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram good, m;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	answer(f, last_sent(f), &(struct reply){2, ADDR1, .lease = 3600});
	make_reply(last_sent(f), &(struct reply){5, ADDR1, .lease = 3600}, &good);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		m = good;
		spoil(&m, &faults[i]);
		if (strcmp(faults[i].counter, "dhcp_bad_time") != 0) // as a no, it is asked anew
			ignored(f, &m, faults[i].counter);
	}
	m = good;
	m.bytes[19] ^= 1;
	ignored(f, &m, "dhcp_bad_address"); // another than was offered
	deliver(f, &good);
	assert_int_equal(f->given_count, 1);
}

// From elsewhere; and what does not fit the question.
static void strangers(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram good, m;
	struct ip_addr elsewhere = ip_from_v4(v4("192.0.2.3"));
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	make_reply(last_sent(f), &(struct reply){2, ADDR1, .lease = 3600}, &good);
	m = good;
	m.from.addr = elsewhere;
	ignored(f, &m, "dhcp_bad_source");
	m = good;
	m.from.port = 68;
	ignored(f, &m, "dhcp_bad_source");
	m = good;
	m.socket = 1;
	ignored(f, &m, "dhcp_bad_relay");
	m = good;
	m.len = DHCP_DATAGRAM_MAX + 1;
	ignored(f, &m, "dhcp_bad_length");
	m = good;
	m.bytes[242] = 5; // ACK before the offer
	ignored(f, &m, "dhcp_unexpected");
	m.bytes[242] = 6;
	ignored(f, &m, "dhcp_unexpected");
	deliver(f, &good);
	assert_int_equal(f->given_count, 0);
	assert_int_equal(last_sent(f)->type, 3);
}

// Once it is bound no answer finds it; in renewal each fault is as before.
static void bad_renewals(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram good, m;
	get_lease(f, "alice", ADDR1, 3600);
	make_reply(last_sent(f), &(struct reply){.type = 6}, &m);
	ignored(f, &m, "dhcp_bad_xid");
	for (f->sent_count = 0; !f->sent_count;)
		pass_ms(f, 1);
	make_reply(last_sent(f), &(struct reply){5, ADDR1, .lease = 3600}, &good);
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		m = good;
		spoil(&m, &faults[i]);
		ignored(f, &m, faults[i].counter);
	}
	m = good;
	m.bytes[242] = 2;
	ignored(f, &m, "dhcp_unexpected");
	m = good;
	m.bytes[242] = 6;
	m.from.addr = ip_from_v4(v4("192.0.2.3"));
	ignored(f, &m, "dhcp_bad_source"); // nobody else takes it away
	deliver(f, &good);
	assert_int_equal(f->changed, 1);
}

// A server of old that returns no client identifier is understood.
static void no_client_id(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram m;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	make_reply(last_sent(f), &(struct reply){2, ADDR1, .lease = 3600}, &m);
	m.len -= 26;
	m.bytes[m.len++] = 255;
	deliver(f, &m);
	assert_int_equal(counter(f, "dhcp_offers"), 1);
}

static void floods_take_turns(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram m;
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	make_reply(last_sent(f), &(struct reply){2, ADDR1, .lease = 3600}, &m);
	m.bytes[4] ^= 1;
	f->queue[0] = m;
	f->flood = true;
	f->queued = 1;
	assert_int_equal(dhcp_turn(f->d), 64);
	assert_int_equal(counter(f, "dhcp_bad_xid"), 64);
	f->flood = false;
	assert_int_equal(dhcp_turn(f->d), 1);
	assert_int_equal(dhcp_turn(f->d), 0);
}

// Cut at any byte, any byte changed: nothing that is not so already happens to another lease.
static void any_cut_any_byte(void **state)
{
	struct fixture *f = *state;
	struct dhcp_datagram good, m;
	struct dhcp_answer a;
	get_lease(f, "bob", ADDR1 + 1, 3600);
	assert_int_equal(ask_for(f, "alice", 7, 0), 0);
	make_reply(last_sent(f), &(struct reply){2, ADDR1, .lease = 3600}, &good);
	for (size_t cut = 0; cut < good.len; cut++) {
		assert_int_not_equal(dhcp_parse((struct view){good.bytes, cut}, &a), DHCP_OK);
		m = good;
		m.len = cut;
		deliver(f, &m);
	}
	assert_int_equal(last_sent(f)->type, 1);
	assert_int_equal(counter(f, "dhcp_offers"), 1);
	for (size_t i = 0; i < good.len; i++)
		for (unsigned bit = 0; bit < 8; bit++) {
			m = good;
			m.bytes[i] ^= (uint8_t)(1u << bit);
			deliver(f, &m);
		}
	assert_int_equal(counter(f, "dhcp_leases"), 1);
	assert_int_equal(f->lost + f->changed, 0);
	assert_int_equal(f->given_count, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_begin, fixture_finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(bad_offers),
		TEST(bad_acks),
		TEST(strangers),
		TEST(bad_renewals),
		TEST(no_client_id),
		TEST(floods_take_turns),
		TEST(any_cut_any_byte),
	};
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
