// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// INFORMATIONAL: liveness, DELETE of the IKE SA, the end of everything (RFC 7296 1.4, 2.4).
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#define DPD         " dpd = { delay_s = 10; timeout_s = 40; };"
#define DPD_GATEWAY BENCH_GATEWAY_WITH(BENCH_PROPOSAL, DPD)

static void probes_when_idle(void **state)
{
	struct bench_pair p = bench_pair_new(
		DPD_GATEWAY, BENCH_CLIENT_WITH(BENCH_PROPOSAL, " dpd = { delay_s = 0; };"));
	bench_pair_up(&p);
	bench_run(p.b, 9000);
	bench_expect(p.gw, "ike_probe_sent", 0);
	bench_run(p.b, 2000);
	bench_expect(p.gw, "ike_probe_sent", 1);
	bench_run(p.b, 30000);
	assert_in_range(bench_counter(p.gw, "ike_probe_sent"), 3, 4);
	bench_expect(p.client, "ike_probe_sent", 0);
	assert_true(bench_established(p.gw));
	bench_free(p.b);
}

// ESP from the peer is as good as a message.
static void traffic_is_life(void **state)
{
	struct bench_pair p = bench_pair_new(DPD_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	for (int i = 0; i < 12; i++) {
		assert_true(bench_traffic(p.client, p.gw, "198.51.100.2", "10.99.0.7"));
		bench_run(p.b, 5000);
	}
	bench_expect(p.gw, "ike_probe_sent", 0);
	bench_free(p.b);
}

static void dead_peer(void **state)
{
	struct bench_pair p = bench_pair_new(DPD_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	bench_kill(p.client);
	bench_run(p.b, 38000);
	assert_false(bench_empty(p.gw)); // not before the timeout
	bench_run(p.b, 3000);
	assert_true(bench_empty(p.gw));
	bench_expect(p.gw, "ike_peer_dead", 1);
	bench_free(p.b);
}

// A link that is down for less than the timeout costs nothing.
static void link_flap(void **state)
{
	struct bench_pair p = bench_pair_new(DPD_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	p.client->deaf = true;
	bench_run(p.b, 35000);
	p.client->deaf = false;
	bench_run(p.b, 10000);
	assert_true(bench_established(p.gw));
	bench_expect(p.gw, "ike_peer_dead", 0);
	bench_free(p.b);
}

static void delete_by(struct bench_pair *p, struct bench_node *from)
{
	bench_pair_up(p);
	assert_int_equal(ike_delete_session(from->engine, bench_session(from).id), 0);
	bench_run(p->b, 200);
	assert_true(bench_empty(p->gw));
	assert_true(bench_empty(p->client));
	bench_expect(from, "ike_deleted", 1);
	bench_free(p->b);
}

static void deletes(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	delete_by(&p, p.gw);
	p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	delete_by(&p, p.client);
}

static void deletes_cross(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	assert_int_equal(ike_delete_session(p.gw->engine, bench_session(p.gw).id), 0);
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	assert_true(bench_run_until(p.b, bench_empty, p.gw, 500));
	assert_true(bench_run_until(p.b, bench_empty, p.client, 500));
	bench_free(p.b);
}

static enum bench_fate lose_first_answer(struct bench *b, struct bench_packet *p, void *arg)
{
	unsigned *left = arg;
	struct ike_header h = bench_header(p);
	if (*left && ike_header_response(&h)) {
		(*left)--;
		return BENCH_DROP;
	}
	return BENCH_PASS;
}

// The answer to a DELETE gets lost: the repeated one is answered although the IKE SA has ended, and
// its keys are gone.
static void lost_answer_to_delete(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	unsigned losses = 2;
	bench_pair_up(&p);
	struct ike_sa *old = p.gw_sa;
	bench_filter_add(p.b, lose_first_answer, &losses);
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	assert_true(bench_empty(p.gw));
	assert_int_equal(old->state, IKE_SA_DEAD);
	assert_null(old->keys.block.bytes);
	assert_false(old->has_keys);
	bench_run(p.b, 3000);
	assert_true(bench_empty(p.client));
	bench_expect(p.client, "ike_deleted", 1);
	bench_expect(p.gw, "ike_repeated_request", 2);
	assert_int_equal(p.gw->engine->kept_dead, 1);
	bench_run(p.b, 31000);
	assert_int_equal(p.gw->engine->kept_dead, 0);
	bench_free(p.b);
}

static void hard_lifetime(void **state)
{
	struct bench_pair p = bench_pair_new(
		BENCH_GATEWAY_WITH(BENCH_PROPOSAL,
			" responder_only = true; lifetime = { ike_hard_s = 300; child_hard_s = 250; };"
			" dpd = { delay_s = 0; };"),
		BENCH_CLIENT_WITH(BENCH_PROPOSAL, " dpd = { delay_s = 0; };"));
	bench_pair_up(&p);
	bench_run(p.b, 240000);
	assert_true(bench_established(p.gw));
	bench_run(p.b, 61000);
	assert_true(bench_empty(p.gw));
	assert_true(bench_empty(p.client));
	bench_free(p.b);
}

static void shutdown_tells_peers(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	assert_false(ike_drained(p.gw->engine));
	ike_shutdown(p.gw->engine, p.b->now_ns + 5 * NS_PER_S);
	assert_false(ike_drained(p.gw->engine));
	bench_run(p.b, 200);
	assert_true(ike_drained(p.gw->engine));
	assert_true(bench_empty(p.client));
	// Nobody new.
	bench_connect(p.client, p.gw, "home");
	bench_run(p.b, 200);
	bench_expect(p.gw, "ike_shutting_down", 1);
	bench_free(p.b);
}

static void shutdown_does_not_wait_for_ever(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	p.client->deaf = true;
	ike_shutdown(p.gw->engine, p.b->now_ns + 3 * NS_PER_S);
	bench_run(p.b, 2900);
	assert_false(ike_drained(p.gw->engine));
	bench_run(p.b, 200);
	assert_true(ike_drained(p.gw->engine));
	bench_free(p.b);
}

// The bytes of a key that are looked for, masked: they must not themselves be found. The last ones:
// an allocator writes over the first ones of what was freed.
struct needle {
	uint8_t masked[16];
};

static struct needle needle_of(struct view key)
{
	struct needle n;
	assert_true(key.len >= sizeof(n.masked));
	for (size_t i = 0; i < sizeof(n.masked); i++)
		n.masked[i] = key.p[key.len - sizeof(n.masked) + i] ^ 0xa5;
	return n;
}

static bool is_at(const struct needle *n, const uint8_t *p)
{
	for (size_t i = 0; i < sizeof(n->masked); i++)
		if ((p[i] ^ 0xa5) != n->masked[i])
			return false;
	return true;
}

static unsigned count_in(int mem, off_t from, off_t end, const struct needle *n, size_t count)
{
	static uint8_t buf[1 << 20];
	unsigned found = 0;
	while (from < end) {
		size_t want = end - from < (off_t)sizeof(buf) ? (size_t)(end - from) : sizeof(buf);
		ssize_t got = pread(mem, buf, want, from);
		if (got < (ssize_t)sizeof(n->masked))
			break;
		for (size_t i = 0; i + sizeof(n->masked) <= (size_t)got; i++)
			for (size_t k = 0; k < count; k++)
				found += is_at(&n[k], buf + i);
		from += got == (ssize_t)sizeof(buf) ? got - (ssize_t)sizeof(n->masked) + 1 : got;
	}
	secret_wipe(buf, sizeof(buf));
	return found;
}

// How often one of them stands in the memory of this process, freed memory and stack included. Read
// by way of the kernel, since a sanitizer lets nobody look at what was freed. The sanitizer's own
// tables, which are larger than anything here, hold no bytes of ours.
static unsigned count_in_memory(const struct needle *n, size_t count)
{
	char line[512];
	unsigned long from, end;
	unsigned found = 0;
	int mem = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	FILE *maps = fopen("/proc/self/maps", "re");
	assert_true(mem >= 0);
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		if (strstr(line, " rw") && sscanf(line, "%lx-%lx", &from, &end) == 2 &&
			end - from < 1ul << 28)
			found += count_in(mem, (off_t)from, (off_t)end, n, count);
	fclose(maps);
	close(mem);
	return found;
}

// When the IKE SA has gone on both sides, none of its keys is left anywhere in the process, also not
// while one of them is kept to repeat its last reply. Only a context of the crypto library holds a
// key until it gets the next one (crypto/evp.c), hence the second session.
static void keys_are_wiped(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	bench_pair_up(&p);
	struct ike_sa *sa = p.gw_sa;
	const struct ike_keys *k = &sa->keys;
	// Of SK_e the AES key, without the salt: so it stands in a key schedule too.
	const struct needle n[] = {needle_of(k->sk_d), needle_of((struct view){k->sk_ei.p, 16}),
		needle_of((struct view){k->sk_er.p, 16}), needle_of(k->sk_pi), needle_of(k->sk_pr)};
	for (size_t i = 0; i < 5; i++)
		assert_true(count_in_memory(&n[i], 1) >= 2); // both sides have it
	assert_int_equal(ike_delete_session(p.client->engine, bench_session(p.client).id), 0);
	bench_run(p.b, 100);
	static const struct ike_crypt none;
	assert_int_equal(p.gw->engine->kept_dead, 1);
	assert_memory_equal(&sa->crypt, &none, sizeof(none));
	assert_null(sa->keys.block.bytes);
	bench_pair_up(&p);
	assert_int_equal(p.gw->engine->kept_dead, 1);
	for (size_t i = 0; i < 5; i++)
		if (count_in_memory(&n[i], 1))
			fail_msg("key %zu is still in memory", i);
	bench_free(p.b);
}

// Deleting, connecting and deleting again leaves nothing behind.
static void many_times(void **state)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	for (int i = 0; i < 50; i++) {
		bench_pair_up(&p);
		assert_int_equal(
			ike_delete_session(i % 2 ? p.gw->engine : p.client->engine,
				i % 2 ? bench_session(p.gw).id : bench_session(p.client).id),
			0);
		bench_run(p.b, 100);
		assert_true(bench_empty(p.gw));
		assert_true(bench_empty(p.client));
	}
	bench_run(p.b, 40000);
	assert_int_equal(p.gw->engine->sas_by_spi.count, 0);
	assert_int_equal(p.gw->engine->wheel.armed, 0);
	assert_int_equal(p.gw->engine->waiting.count + p.gw->engine->installing.count, 0);
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probes_when_idle),
		cmocka_unit_test(traffic_is_life),
		cmocka_unit_test(dead_peer),
		cmocka_unit_test(link_flap),
		cmocka_unit_test(deletes),
		cmocka_unit_test(deletes_cross),
		cmocka_unit_test(lost_answer_to_delete),
		cmocka_unit_test(hard_lifetime),
		cmocka_unit_test(shutdown_tells_peers),
		cmocka_unit_test(shutdown_does_not_wait_for_ever),
		cmocka_unit_test(keys_are_wiped),
		cmocka_unit_test(many_times),
	};
	return cmocka_run_group_tests_name("engine_dpd_delete", tests, NULL, NULL);
}
