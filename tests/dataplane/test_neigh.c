// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/clock.h"
#include "dataplane/neigh.h"

#include <stdlib.h>

static const uint8_t key[16] = {9};
static const struct pkt_mac mac_a = {{2, 0, 0, 0, 0, 0xaa}}, mac_b = {{2, 0, 0, 0, 0, 0xbb}};

// What the table did to the world.
struct record {
	unsigned probes, unicast_probes, published, withdrawn, sent, dropped;
	enum dp_drop why;
	struct pkt_mac mac;
	int order[64]; // packets in the order in which they were sent
};

static void on_probe(
	void *ctx, uint16_t port, const struct ip_addr *target, const struct pkt_mac *mac)
{
	struct record *r = ctx;
	r->probes++;
	r->unicast_probes += mac != NULL;
}

static void on_publish(
	void *ctx, uint16_t port, const struct ip_addr *addr, const struct pkt_mac *mac)
{
	struct record *r = ctx;
	if (mac) {
		r->published++;
		r->mac = *mac;
	} else
		r->withdrawn++;
}

static void on_send(void *ctx, uint16_t port, const struct pkt_mac *mac, void *packet)
{
	struct record *r = ctx;
	r->order[r->sent++ % 64] = *(int *)packet;
	r->mac = *mac;
	free(packet);
}

static void on_drop(void *ctx, enum dp_drop why, void *packet)
{
	struct record *r = ctx;
	r->dropped++;
	r->why = why;
	free(packet);
}

struct fixture {
	struct neigh_table *t;
	struct record r;
	uint64_t now;
	struct ip_addr hop;
};

static void begin(struct fixture *f, const struct neigh_limits *l)
{
	*f = (struct fixture){.now = NS_PER_S, .hop = ip_from_v4(0x0a000001)};
	struct neigh_seams s = {&f->r, on_probe, on_publish, on_send, on_drop};
	assert_int_equal(neigh_new(l ? l : &neigh_limits_default, &s, key, f->now, &f->t), 0);
}

// In memory of its own, so that the sanitizer sees one lost or freed twice.
static void send_to(struct fixture *f, const struct ip_addr *hop, int number)
{
	int *packet = malloc(sizeof(*packet));
	*packet = number;
	neigh_send(f->t, 0, hop, packet, f->now);
}

static void wait(struct fixture *f, uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 10) {
		f->now += 10 * NS_PER_MS;
		neigh_tick(f->t, f->now);
	}
}

static enum dp_drop answer(struct fixture *f, const struct pkt_mac *mac)
{
	struct neigh_news news = {
		.addr = f->hop,
		.mac_set = true,
		.mac = *mac,
		.override = true,
		.confirmed = true,
	};
	return neigh_learn(f->t, &news, f->now);
}

static void resolves(void **state)
{
	struct fixture f;
	struct pkt_mac mac;
	begin(&f, NULL);
	for (int i = 0; i < 3; i++)
		send_to(&f, &f.hop, i);
	assert_int_equal(f.r.probes, 1);
	assert_int_equal(f.r.sent, 0);
	assert_false(neigh_lookup(f.t, 0, &f.hop, &mac));
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	assert_int_equal(f.r.published, 1);
	assert_int_equal(f.r.sent, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(f.r.order[i], i);
	assert_true(neigh_lookup(f.t, 0, &f.hop, &mac));
	assert_memory_equal(&mac, &mac_a, 6);
	assert_false(neigh_lookup(f.t, 1, &f.hop, &mac)); // another link
	send_to(&f, &f.hop, 3);
	assert_int_equal(f.r.sent, 4);
	assert_int_equal(f.r.probes, 1);
	assert_int_equal(neigh_usage(f.t).waiting, 0);
	neigh_free(f.t);
	assert_int_equal(f.r.withdrawn, 1);
}

static void silence(void **state)
{
	struct fixture f;
	begin(&f, NULL);
	send_to(&f, &f.hop, 0);
	wait(&f, 2900);
	assert_int_equal(f.r.probes, 3);
	assert_int_equal(f.r.dropped, 0);
	wait(&f, 200);
	assert_int_equal(f.r.dropped, 1);
	assert_int_equal(f.r.why, DP_DROP_neighbour);
	// For a while nothing is asked again, however many packets come.
	for (int i = 0; i < 100; i++)
		send_to(&f, &f.hop, i);
	assert_int_equal(f.r.probes, 3);
	assert_int_equal(f.r.dropped, 101);
	wait(&f, 3100);
	assert_int_equal(neigh_usage(f.t).entries, 0);
	assert_int_equal(neigh_usage(f.t).unresolved, 0);
	send_to(&f, &f.hop, 0);
	assert_int_equal(f.r.probes, 4);
	// A late answer still counts.
	wait(&f, 3500);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	send_to(&f, &f.hop, 7);
	assert_int_equal(f.r.order[0], 7);
	neigh_free(f.t);
}

static void refreshes(void **state)
{
	struct fixture f;
	begin(&f, NULL);
	send_to(&f, &f.hop, 0);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	wait(&f, 30100);
	assert_int_equal(f.r.unicast_probes, 1);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	assert_int_equal(f.r.published, 1); // nothing new for the workers
	wait(&f, 30100);
	assert_int_equal(f.r.unicast_probes, 2);
	// Silence: three unicast, three broadcast questions; in use all the while, then withdrawn.
	wait(&f, 5500);
	assert_int_equal(f.r.unicast_probes, 4);
	assert_int_equal(f.r.probes, 1 + 1 + 6);
	assert_int_equal(f.r.withdrawn, 0);
	wait(&f, 1000);
	assert_int_equal(f.r.withdrawn, 1);
	assert_int_equal(neigh_usage(f.t).entries, 0);
	neigh_free(f.t);
}

static void only_what_was_asked(void **state)
{
	struct fixture f;
	struct pkt_mac group = {{1, 0, 0x5e, 0, 0, 1}}, zero = {{0}};
	begin(&f, NULL);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_arp_unasked);
	assert_int_equal(neigh_usage(f.t).entries, 0);
	send_to(&f, &f.hop, 0);
	assert_int_equal(answer(&f, &group), DP_DROP_arp);
	assert_int_equal(answer(&f, &zero), DP_DROP_arp);
	assert_int_equal(f.r.published, 0);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	// It moves: gratuitous ARP of a failover.
	struct neigh_news news = {.addr = f.hop, .mac_set = true, .mac = mac_b, .override = true};
	assert_int_equal(neigh_learn(f.t, &news, f.now), DP_DROP_NONE);
	assert_int_equal(f.r.published, 2);
	assert_memory_equal(&f.r.mac, &mac_b, 6);
	// Without the override flag what is known stays, and is verified.
	news.mac = mac_a;
	news.override = false;
	unsigned probes = f.r.probes;
	assert_int_equal(neigh_learn(f.t, &news, f.now), DP_DROP_NONE);
	assert_int_equal(f.r.published, 2);
	assert_int_equal(f.r.probes, probes + 1);
	neigh_free(f.t);
}

static void advertisement_without_option(void **state)
{
	struct fixture f;
	begin(&f, NULL);
	struct neigh_news news = {.confirmed = true, .override = true};
	f.hop = (struct ip_addr){.family = IP_V6, .bytes = {0x20, 1, 0xd, 0xb8, [15] = 9}};
	news.addr = f.hop;
	send_to(&f, &f.hop, 0);
	assert_int_equal(neigh_learn(f.t, &news, f.now), DP_DROP_nd);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	wait(&f, 30100);
	// It confirms what is known.
	assert_int_equal(neigh_learn(f.t, &news, f.now), DP_DROP_NONE);
	unsigned probes = f.r.probes;
	wait(&f, 29000);
	assert_int_equal(f.r.probes, probes);
	neigh_free(f.t);
}

static void bounded(void **state)
{
	struct fixture f;
	struct neigh_limits l = neigh_limits_default;
	l.unresolved = 8;
	l.waiting = 40;
	begin(&f, &l);
	// One entry keeps the latest 16.
	for (int i = 0; i < 20; i++)
		send_to(&f, &f.hop, i);
	assert_int_equal(f.r.dropped, 4);
	assert_int_equal(f.r.why, DP_DROP_neighbour_queue);
	assert_int_equal(neigh_usage(f.t).waiting, 16);
	// A scan of the subnet finds the table's end.
	for (uint32_t i = 2; i < 200; i++) {
		struct ip_addr a = ip_from_v4(0x0a000000 + i);
		send_to(&f, &a, 0);
	}
	assert_int_equal(neigh_usage(f.t).entries, 8);
	assert_int_equal(f.r.why, DP_DROP_neighbour_table);
	struct ip_addr second = ip_from_v4(0x0a000002), third = ip_from_v4(0x0a000003);
	for (int i = 0; i < 15; i++) {
		send_to(&f, &second, i);
		send_to(&f, &third, i);
	}
	assert_int_equal(neigh_usage(f.t).waiting, 40);
	assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	assert_int_equal(f.r.order[0], 4); // the oldest four gave way
	assert_int_equal(f.r.sent, 16);
	wait(&f, 7000);
	assert_int_equal(neigh_usage(f.t).entries, 1);
	assert_int_equal(neigh_usage(f.t).waiting, 0);
	neigh_free(f.t);
}

static void full_table_lets_idle_ones_go(void **state)
{
	struct fixture f;
	struct neigh_limits l = neigh_limits_default;
	l.entries = 4;
	l.idle_ns = 60 * NS_PER_S;
	begin(&f, &l);
	for (uint32_t i = 1; i <= 4; i++) {
		f.hop = ip_from_v4(0x0a000000 + i);
		send_to(&f, &f.hop, 0);
		assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	}
	// All keep answering; only the first is still wanted.
	for (unsigned s = 0; s < 100; s++) {
		wait(&f, 1000);
		for (uint32_t i = 1; i <= 4; i++) {
			f.hop = ip_from_v4(0x0a000000 + i);
			struct pkt_mac mac;
			if (neigh_lookup(f.t, 0, &f.hop, &mac) && s % 10 == 0)
				assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
		}
		f.hop = ip_from_v4(0x0a000001);
		if (s % 10 == 0)
			send_to(&f, &f.hop, 0);
	}
	assert_int_equal(neigh_usage(f.t).entries, 4);
	wait(&f, 40000);
	assert_true(neigh_usage(f.t).entries < 4);
	neigh_free(f.t);
}

// A new next hop is not kept waiting for ten minutes by others that were asked for long ago.
static void full_table_makes_room(void **state)
{
	struct fixture f;
	struct pkt_mac mac;
	struct neigh_limits l = neigh_limits_default;
	l.entries = 4;
	begin(&f, &l);
	for (uint32_t i = 1; i <= 4; i++) {
		f.hop = ip_from_v4(0x0a000000 + i);
		send_to(&f, &f.hop, 0);
		assert_int_equal(answer(&f, &mac_a), DP_DROP_NONE);
	}
	struct ip_addr first = ip_from_v4(0x0a000001), second = ip_from_v4(0x0a000002);
	f.hop = ip_from_v4(0x0a000009);
	send_to(&f, &f.hop, 0); // all have just been asked for
	assert_int_equal(f.r.why, DP_DROP_neighbour_table);
	wait(&f, 11000);
	send_to(&f, &first, 0);
	send_to(&f, &f.hop, 0);
	assert_int_equal(answer(&f, &mac_b), DP_DROP_NONE);
	assert_true(neigh_lookup(f.t, 0, &f.hop, &mac));
	assert_true(neigh_lookup(f.t, 0, &first, &mac));
	assert_false(neigh_lookup(f.t, 0, &second, &mac));
	assert_int_equal(neigh_usage(f.t).entries, 4);
	neigh_free(f.t);
}

// The workers are told once more of what may be used by this port, and of nothing else.
static void told_again(void **state)
{
	struct fixture f;
	begin(&f, NULL);
	for (uint32_t i = 1; i <= 3; i++) {
		f.hop = ip_from_v4(0x0a000000 + i);
		send_to(&f, &f.hop, 0);
		if (i < 3)
			assert_int_equal(answer(&f, i == 1 ? &mac_a : &mac_b), DP_DROP_NONE);
	}
	assert_int_equal(f.r.published, 2);
	neigh_again(f.t, 1);
	assert_int_equal(f.r.published, 2);
	neigh_again(f.t, 0);
	assert_int_equal(f.r.published, 4);
	assert_int_equal(f.r.withdrawn, 0);
	neigh_free(f.t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(resolves),
		cmocka_unit_test(silence),
		cmocka_unit_test(refreshes),
		cmocka_unit_test(only_what_was_asked),
		cmocka_unit_test(advertisement_without_option),
		cmocka_unit_test(bounded),
		cmocka_unit_test(full_table_lets_idle_ones_go),
		cmocka_unit_test(full_table_makes_room),
		cmocka_unit_test(told_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
