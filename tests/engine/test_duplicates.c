// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Two sites that call each other at the same moment: of the two IKE SAs one stays, the same one on both
// sides, with the routes, the children and what was counted; there is a child SA at every moment.
#include "tests/engine/carried.h"

#include <stdio.h>
#include <stdlib.h>

#define EAST "192.0.2.1"
#define WEST "198.51.100.2"

struct sites {
	struct bench *b;
	struct bench_node *east, *west;
	struct carried items[2];
	struct carried_set set;
};

static struct bench_node *site(struct bench *b, bool east, const char *more)
{
	char *text;
	assert_true(
		asprintf(&text,
			"credentials: { psk = ( { id = \"east.example\"; secret = \"between them\"; }, "
			"{ id = \"west.example\"; secret = \"between them\"; } ); };\n"
			"connections = ( { name = \"site\"; ike_versions = [ 2 ]; "
			"ike_proposals = [ \"aes128gcm16-prfsha256-x25519\" ]; "
			"local = { id = \"%s.example\"; auth = \"psk\"; }; "
			"remote = { id = \"%s.example\"; auth = \"psk\"; }; %s "
			"children = ( { name = \"lan\"; local_ts = [ \"%s\" ]; remote_ts = [ \"%s\" ]; "
			"esp_proposals = [ \"aes128gcm16\" ]; } ); } );",
			east ? "east" : "west", east ? "west" : "east", more,
			east ? "10.1.0.0/24" : "10.2.0.0/24",
			east ? "10.2.0.0/24" : "10.1.0.0/24") > 0);
	struct bench_node *n = bench_add(b, east ? "east" : "west", east ? EAST : WEST, text);
	free(text);
	return n;
}

static struct sites *sites_on(struct bench *b, const char *more)
{
	struct sites *s = calloc(1, sizeof(*s));
	assert_non_null(s);
	s->b = b;
	log_set_level(getenv("BENCH_LOG") ? LOG_DEBUG : LOG_ERROR);
	s->east = site(b, true, more);
	s->west = site(b, false, more);
	s->items[0] = (struct carried){.from = s->east, .to = s->west, .dst = "10.2.0.7"};
	s->items[1] = (struct carried){.from = s->west, .to = s->east, .dst = "10.1.0.7"};
	s->set = (struct carried_set){s->items, 2};
	return s;
}

static void sites_free(struct sites *s)
{
	bench_free(s->b);
	free(s);
}

static bool carries(struct bench_node *from, struct bench_node *to, const char *text)
{
	struct ip_addr dst;
	assert_int_equal(ip_parse(text, &dst), 0);
	uint32_t spi = carried_by(from, &dst);
	return spi && carried_arrives(to, spi);
}

static bool both_carry(void *arg)
{
	struct sites *s = arg;
	return carries(s->east, s->west, "10.2.0.7") && carries(s->west, s->east, "10.1.0.7");
}

static bool traffic(struct sites *s)
{
	return bench_traffic(s->east, s->west, "10.1.0.7", "10.2.0.7") &&
	       bench_traffic(s->west, s->east, "10.2.0.7", "10.1.0.7");
}

static void watch(struct sites *s, uint64_t ms)
{
	carried_run(s->b, &s->set, ms);
	assert_int_equal(s->items[0].lost, 0);
	assert_int_equal(s->items[1].lost, 0);
}

// One session, the same one, with one child.
static void agreed(struct sites *s)
{
	assert_int_equal(bench_session_count(s->east), 1);
	assert_int_equal(bench_session_count(s->west), 1);
	struct ike_session_info e = bench_session(s->east), w = bench_session(s->west);
	assert_int_equal(e.spi_i, w.spi_i);
	assert_int_equal(e.spi_r, w.spi_r);
	assert_int_equal(e.state, IKE_SESSION_ESTABLISHED);
	assert_int_equal(w.state, IKE_SESSION_ESTABLISHED);
	assert_int_equal(e.child_count, 1);
	assert_int_equal(w.child_count, 1);
	assert_int_equal(s->east->engine->child_count, 1);
	assert_int_equal(s->west->engine->child_count, 1);
	assert_true(traffic(s));
}

// One calls some time after the other one.
static void both_call(struct sites *s, bool east_first, uint64_t later_ms)
{
	struct bench_node *first = east_first ? s->east : s->west;
	struct bench_node *second = east_first ? s->west : s->east;
	assert_true(bench_connect(first, second, "site") > 0);
	bench_run(s->b, later_ms);
	assert_true(bench_connect(second, first, "site") > 0);
}

static const char *const policies[] = {
	"unique = \"replace\";", "unique = \"keep\";", "unique = \"no\";"};

static void at_the_same_moment(void **state)
{
	for (int row = 0; row < 3 * 2 * 4; row++) {
		struct sites *s =
			sites_on(bench_new_seeded(1000 + (uint64_t)row), policies[row / 8]);
		uint64_t packets = 0;
		both_call(s, row & 1, (uint64_t)(row / 2 % 4));
		assert_true(bench_run_until(s->b, both_carry, s, 2000));
		watch(s, 20);
		for (int i = 0; i < 50; i++) {
			assert_true(traffic(s));
			packets++;
			watch(s, 100);
		}
		watch(s, 30000);
		agreed(s);
		packets++;
		bench_expect(s->east, "ike_duplicate", 1);
		bench_expect(s->west, "ike_duplicate", 1);
		bench_expect(s->east, "ike_initial_contact", 0);
		bench_expect(s->west, "ike_initial_contact", 0);
		assert_int_equal(bench_session(s->east).packets_in, packets);
		assert_int_equal(bench_session(s->east).packets_out, packets);
		assert_int_equal(bench_session(s->west).packets_in, packets);
		sites_free(s);
	}
}

// Messages are lost, doubled and late, so that the two sides do not see the same order of things.
static void over_a_bad_wire(void **state)
{
	for (uint64_t seed = 1; seed <= 120; seed++) {
		struct sites *s = sites_on(bench_new_seeded(seed), policies[seed % 3]);
		bench_lossy(s->b, 25, 10, 25);
		both_call(s, seed & 1, seed % 7 * seed % 11);
		if (!bench_run_until(s->b, both_carry, s, 60000))
			fail_msg("seed %llu: none is there", (unsigned long long)seed);
		bench_lossy(s->b, 0, 0, 0);
		bench_run(s->b, 90000);
		agreed(s);
		sites_free(s);
	}
}

// The peer has a policy of its own, and has deleted the one that we would keep: the other one stays.
static void peer_deletes_the_other(void **state)
{
	for (int row = 0; row < 4; row++) {
		struct sites *s = sites_on(bench_new_seeded(77 + (uint64_t)row), policies[row / 2]);
		both_call(s, true, 0);
		assert_true(bench_run_until(s->b, both_carry, s, 2000));
		bench_run(s->b, 100);
		struct bench_node *n = row & 1 ? s->east : s->west;
		struct ike_session_info i, keep = {0};
		for (uint64_t at = 0; ike_session_next(n->engine, at, &i); at = i.id)
			if (i.state != IKE_SESSION_DELETING)
				keep = i;
		assert_int_not_equal(keep.id, 0);
		assert_int_equal(ike_delete_session(n->engine, keep.id), 0);
		bench_run(s->b, 60000);
		agreed(s);
		bench_expect(s->east, "ike_revived", 1);
		bench_expect(s->west, "ike_revived", 1);
		assert_int_not_equal(bench_session(n).spi_i, keep.spi_i);
		sites_free(s);
	}
}

// One after the other: the younger one stays, whatever the policy is.
static void one_after_the_other(void **state)
{
	for (int row = 0; row < 6; row++) {
		struct sites *s = sites_on(bench_new(), policies[row / 2]);
		both_call(s, row & 1, 3000);
		struct bench_node *second = row & 1 ? s->west : s->east;
		bench_run(s->b, 5);
		watch(s, 100);
		assert_int_equal(bench_session_count(second), 2);
		watch(s, (IKE_REAUTH_GRACE_S + 2) * 1000);
		agreed(s);
		assert_true(bench_session(second).initiator);
		bench_expect(s->east, "ike_duplicate", 0);
		sites_free(s);
	}
}

static void peer_has_restarted(void **state)
{
	struct sites *s = sites_on(bench_new(), policies[0]);
	assert_true(bench_connect(s->east, s->west, "site") > 0);
	bench_run(s->b, 1000);
	bench_kill(s->west);
	bench_start(s->west);
	assert_true(bench_connect(s->west, s->east, "site") > 0);
	bench_run(s->b, 1000);
	bench_expect(s->east, "ike_initial_contact", 1);
	agreed(s);
	sites_free(s);
}

#define T(f) cmocka_unit_test(f)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(at_the_same_moment),
		T(over_a_bad_wire),
		T(peer_deletes_the_other),
		T(one_after_the_other),
		T(peer_has_restarted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
