// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Make before break: child SAs are rekeyed every few milliseconds under traffic in both directions,
// between two data planes of two workers each, whose turns come in any order; no packet is lost.
#include "tests/cmocka_all.h"

#include "tests/dataplane/pair.h"

#include <stdio.h>

#define ROUNDS   3000
#define ROUND_NS 50000ull  // 50 us
#define ALL      8         // rounds after which everybody has had a turn
#define LINGER   (6 * ALL) // rounds that an old inbound SA stays: what is on its way takes fewer

static uint32_t seed;

static unsigned drawn(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 17;
	seed ^= seed << 5;
	return seed % n;
}

// One child's life: the side that begins a rekey switches once its inbound SA is there, the other one
// at the first packet, or when the old one is deleted.
enum step { USED, ADDED, SWITCHED, DELETED };

struct life {
	struct pair_child now, next;
	enum step step;
	unsigned since; // round
	unsigned initiator;
	unsigned rekeys;
	bool installed[2];
};

static void add_next(struct life *l, unsigned round)
{
	if (round - l->since < 20 + drawn(20))
		return;
	l->next = pair_child_new(l->now.worker[0], l->now.worker[1]);
	l->initiator = drawn(2);
	l->installed[0] = l->installed[1] = false;
	l->step = ADDED;
}

static void switch_first(struct life *l, unsigned round)
{
	for (unsigned side = 0; side < 2; side++)
		l->installed[side] |= pair_told(&l->next, side, SA_EVENT_INSTALLED);
	// The other side's answer, or request, has told that it has its inbound SA.
	if (!l->installed[0] || !l->installed[1])
		return;
	pair_switch(&l->next, l->initiator);
	l->since = round;
	l->step = SWITCHED;
}

static void switch_other(struct life *l, unsigned round)
{
	unsigned other = !l->initiator;
	if (!pair_told(&l->next, other, SA_EVENT_FIRST_IN) && round - l->since < 10)
		return;
	pair_switch(&l->next, other);
	for (unsigned side = 0; side < 2; side++)
		pair_del(&l->now, side, SA_OUT);
	l->since = round;
	l->step = DELETED;
}

static void end_old(struct life *l, unsigned round)
{
	if (round - l->since < LINGER)
		return;
	for (unsigned side = 0; side < 2; side++)
		pair_del(&l->now, side, SA_IN);
	l->now = l->next;
	l->rekeys++;
	l->since = round;
	l->step = USED;
}

static void live(struct life *l, unsigned round)
{
	static void (*const steps[])(struct life *, unsigned) = {
		[USED] = add_next,
		[ADDED] = switch_first,
		[SWITCHED] = switch_other,
		[DELETED] = end_old,
	};
	steps[l->step](l, round);
}

static void everybody(void)
{
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned w = 0; w < 2; w++)
			pair_step(side, w);
		pair_poll(side);
	}
	(void)pair_wires();
}

// Some packets, and some turns.
static void some(void)
{
	for (unsigned n = drawn(4); n > 0; n--)
		pair_send(drawn(2), 1 + drawn(PAIR_HOSTS), 1 + drawn(PAIR_HOSTS));
	for (unsigned n = drawn(8); n > 0; n--)
		switch (drawn(4)) {
		case 0:
			(void)pair_wires();
			break;
		case 1:
			pair_poll(drawn(2));
			break;
		default:
			pair_step(drawn(2), drawn(2));
		}
}

static void nothing_is_missing(void)
{
	pair_tell_drops();
	for (unsigned side = 0; side < 2; side++) {
		const struct pair_side *s = &pair.side[side], *o = &pair.side[!side];
		assert_true(s->sent > ROUNDS / 2);
		assert_int_equal(s->sent, o->received);
		// Each was counted by one SA at each end.
		assert_int_equal(s->returned_packets[SA_OUT], s->sent);
		assert_int_equal(o->returned_packets[SA_IN], s->sent);
		assert_int_equal(s->events[SA_EVENT_NO_CHILD], 0);
	}
	assert_int_equal(pair_drops(), 0);
}

static void run(uint32_t from, bool per_worker)
{
	struct tunnel_spec spec = {.session = 77, .per_worker = per_worker};
	struct life lives[2];
	seed = from;
	pair_start(2, NIC_HASH_SPI, NIC_HASH_DST);
	pair_tunnels(&spec, 0);
	memset(lives, 0, sizeof(lives));
	// Of a tunnel that one worker has, two children with the same selectors.
	for (unsigned k = 0; k < 2; k++)
		lives[k].now = pair_child_up(per_worker ? k : 0, per_worker ? k : 0);
	for (unsigned round = 0; round < ROUNDS; round++, pair.now_ns += ROUND_NS) {
		some();
		if (round % ALL == 0)
			everybody();
		for (unsigned k = 0; k < 2; k++)
			live(&lives[k], round);
	}
	pair_run();
	for (unsigned side = 0; side < 2; side++) {
		const struct sa_sink *s = &pair.side[side].dp->sa_sink;
		s->tunnel_del(s->ctx, pair.side[side].tunnel);
	}
	pair_run();
	printf("# seed %u: %u and %u rekeys in %u ms, %llu packets\n", from, lives[0].rekeys,
		lives[1].rekeys, (unsigned)(ROUNDS * ROUND_NS / NS_PER_MS),
		(unsigned long long)(pair.side[0].sent + pair.side[1].sent));
	assert_true(lives[0].rekeys > 20 && lives[1].rekeys > 20);
	nothing_is_missing();
	uint64_t prefix =
		pair_handoffs_by(0, DP_HANDOFF_PREFIX) + pair_handoffs_by(1, DP_HANDOFF_PREFIX);
	assert_int_equal(pair_handoffs(), prefix);
	assert_int_equal(prefix > 0, !per_worker);
	pair_stop();
}

// Where packets change workers: those on their way between them see the SA of when they arrive.
static void one_worker_has_the_tunnel(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 8; i++)
		run(i * 7919, false);
}

static void each_worker_has_its_own_sas(void **state)
{
	(void)state;
	for (uint32_t i = 1; i <= 8; i++)
		run(i * 104729, true);
}

// What a failed run leaves.
static int stop(void **state)
{
	(void)state;
	if (pair.side[0].dp)
		pair_stop();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(one_worker_has_the_tunnel, stop),
		cmocka_unit_test_teardown(each_worker_has_its_own_sas, stop),
	};
	fx_eal();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
