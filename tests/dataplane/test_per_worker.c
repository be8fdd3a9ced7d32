// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// RFC 9611: one tunnel, child SAs for each worker. Two data planes of two workers each carry one
// peer's traffic on both, and no packet changes workers.
#include "tests/cmocka_all.h"

#include "dataplane/sink_state.h"
#include "tests/dataplane/pair.h"

#include <errno.h>

#define EACH (PAIR_HOSTS * PAIR_HOSTS / 4)

static const struct tunnel_spec per_worker = {
	.session = 77, .per_worker = true, .hold = true, .reverse_path = true};

static int start(void **state)
{
	(void)state;
	pair_start(2, NIC_HASH_SPI, NIC_HASH_DST);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	pair_stop();
	return 0;
}

// Flows between many hosts, both ways.
static void traffic(void)
{
	uint64_t before[2] = {pair.side[0].received, pair.side[1].received};
	unsigned sent = 0;
	for (unsigned from = 1; from <= PAIR_HOSTS; from += 2)
		for (unsigned to = 1; to <= PAIR_HOSTS; to += 2, sent++) {
			pair_send(0, from, to);
			pair_send(1, from, to);
			if (sent % 32 == 0)
				pair_run();
		}
	pair_run();
	assert_int_equal(sent, EACH);
	assert_int_equal(pair.side[0].received - before[0], EACH);
	assert_int_equal(pair.side[1].received - before[1], EACH);
}

static uint64_t esp_out(unsigned side, unsigned worker)
{
	return dp_get(&pair.side[side].dp->workers[worker]->stats.esp_out_packets);
}

static uint64_t esp_in(unsigned side, unsigned worker)
{
	return dp_get(&pair.side[side].dp->workers[worker]->stats.esp_in_packets);
}

static void both_workers_carry_one_peer(void **state)
{
	(void)state;
	pair_tunnels(&per_worker, 0);
	struct pair_child c[2] = {pair_child_up(0, 0), pair_child_up(1, 1)};
	traffic();
	assert_int_equal(pair_handoffs(), 0);
	assert_int_equal(pair_drops(), 0);
	for (unsigned side = 0; side < 2; side++) {
		uint64_t packets[2] = {0};
		for (unsigned w = 0; w < 2; w++) {
			const struct sa_sink *s = &pair.side[side].dp->sa_sink;
			struct sa_counters in, out;
			assert_true(s->sa_stats(s->ctx, c[w].spi[side], SA_IN, &in));
			assert_true(s->sa_stats(s->ctx, c[w].spi[side], SA_OUT, &out));
			assert_true(out.packets > EACH / 4);
			assert_int_equal(out.packets, esp_out(side, w));
			assert_int_equal(in.packets, esp_in(side, w));
			assert_int_equal(in.packets, esp_out(!side, w));
			packets[0] += in.packets;
			packets[1] += out.packets;
		}
		assert_int_equal(packets[0], EACH);
		assert_int_equal(packets[1], EACH);
	}
}

// Which of its workers a peer uses is its own matter.
static void workers_need_not_correspond(void **state)
{
	(void)state;
	pair_tunnels(&per_worker, 1);
	(void)pair_child_up(0, 1);
	(void)pair_child_up(1, 0);
	traffic();
	assert_int_equal(pair_handoffs(), 0);
	assert_int_equal(pair_drops(), 0);
	for (unsigned w = 0; w < 2; w++)
		assert_int_equal(esp_in(1, !w), esp_out(0, w));
}

// A worker without an SA of its own gives what it has to the tunnel's, and only that.
static void until_a_worker_has_its_own(void **state)
{
	(void)state;
	pair_tunnels(&per_worker, 1);
	(void)pair_child_up(1, 1);
	traffic();
	uint64_t prefix[2] = {
		pair_handoffs_by(0, DP_HANDOFF_PREFIX), pair_handoffs_by(1, DP_HANDOFF_PREFIX)};
	assert_true(prefix[0] > EACH / 4 && prefix[1] > EACH / 4);
	assert_int_equal(pair_handoffs(), prefix[0] + prefix[1]);
	for (unsigned side = 0; side < 2; side++) {
		assert_int_equal(esp_out(side, 1), EACH);
		assert_int_equal(esp_out(side, 0), 0);
	}
	struct pair_child own = pair_child_up(0, 0);
	traffic();
	assert_int_equal(pair_handoffs(), prefix[0] + prefix[1]);
	assert_int_equal(esp_out(0, 0), prefix[0]);
	// Its SA goes: as before.
	for (unsigned side = 0; side < 2; side++)
		pair_del(&own, side, SA_OUT);
	pair_run();
	traffic();
	assert_int_equal(pair_handoffs(), 2 * (prefix[0] + prefix[1]));
	assert_int_equal(esp_out(0, 0), prefix[0]);
	assert_int_equal(pair_drops(), 0);
}

// Before any SA: all of it waits at the tunnel's worker.
static void held_at_the_tunnels_worker(void **state)
{
	(void)state;
	pair_tunnels(&per_worker, 1);
	for (unsigned i = 1; i <= 12; i++)
		pair_send(0, 1, i);
	pair_run();
	assert_int_equal(pair.side[0].events[SA_EVENT_NO_CHILD], 1);
	assert_int_equal(pair.side[1].received, 0);
	(void)pair_child_up(0, 0);
	pair_run();
	assert_int_equal(pair.side[1].received, 0);
	(void)pair_child_up(1, 1);
	pair_run();
	assert_int_equal(pair.side[1].received, 12);
	assert_int_equal(pair_drops(), 0);
}

// What each worker's copy says of the tunnel.
static const struct dp_tunnel *copy(unsigned side, unsigned worker)
{
	uint32_t index = pair.side[side].tunnel & ((1u << DP_TUNNEL_INDEX_BITS) - 1);
	struct dp_worker *w = pair.side[side].dp->workers[worker];
	const struct dp_tunnel *t = dp_slab_at(&w->tunnels, dp_tunnel_slot(index));
	return t && t->generation ? t : NULL;
}

static void every_copy_follows(void **state)
{
	(void)state;
	const struct sa_sink *s = &pair.side[0].dp->sa_sink;
	pair_tunnels(&per_worker, 1);
	pair_run();
	assert_int_equal(dp_get(&pair.side[0].dp->workers[0]->stats.tunnels), 0);
	assert_int_equal(dp_get(&pair.side[0].dp->workers[1]->stats.tunnels), 1);
	struct tunnel_path path = {.local = {fx_ip("192.0.2.1"), 4500},
		.remote = {fx_ip("192.0.2.77"), 4501},
		.encap = SA_ENCAP_UDP};
	s->tunnel_move(s->ctx, pair.side[0].tunnel, &path);
	s->tunnel_pmtu(s->ctx, pair.side[0].tunnel, 1300);
	pair_run();
	for (unsigned w = 0; w < 2; w++) {
		assert_true(endpoint_eq(&copy(0, w)->remote, &path.remote));
		assert_int_equal(copy(0, w)->mtu, 1300);
		assert_true(copy(0, w)->udp_at > 0);
	}
}

static unsigned free_shared(void)
{
	return pair.side[0].dp->sink->free_shared.count;
}

// Its slot is free once all workers have given their copies back, and not before.
static void gone_when_all_have_given_it_back(void **state)
{
	(void)state;
	const struct sa_sink *s = &pair.side[0].dp->sa_sink;
	unsigned before = free_shared();
	pair_tunnels(&per_worker, 0);
	(void)pair_child_up(0, 0);
	(void)pair_child_up(1, 1);
	traffic();
	assert_int_equal(free_shared(), before - 1);
	for (unsigned last = 0; last < 2; last++) {
		uint32_t id = pair.side[0].tunnel;
		unsigned returned = pair.side[0].events[SA_EVENT_RETURNED];
		s->tunnel_del(s->ctx, id);
		pair_step(0, !last);
		pair_poll(0);
		assert_null(copy(0, !last));
		assert_non_null(copy(0, last));
		assert_int_equal(free_shared(), before - 1);
		assert_int_equal(pair.side[0].events[SA_EVENT_RETURNED], returned + 2);
		pair_step(0, last);
		pair_poll(0);
		assert_int_equal(free_shared(), before);
		assert_int_equal(pair.side[0].events[SA_EVENT_RETURNED], returned + 4);
		struct ip_prefix dst = fx_prefix("10.98.0.0/24");
		assert_int_equal(s->route_add(s->ctx, id, &dst), -ENOENT);
		for (unsigned w = 0; w < 2; w++) {
			assert_int_equal(dp_get(&pair.side[0].dp->workers[w]->stats.tunnels), 0);
			assert_int_equal(dp_get(&pair.side[0].dp->workers[w]->stats.sas), 0);
			assert_int_equal(pair.side[0].dp->sink->workers[w].returning, 0);
			assert_int_equal(pair.side[0].dp->sink->workers[w].promised, 0);
		}
		// Once more, with the other worker the last.
		const struct sa_sink *o = &pair.side[1].dp->sa_sink;
		o->tunnel_del(o->ctx, pair.side[1].tunnel);
		pair_run();
		pair_tunnels(&per_worker, 0);
		(void)pair_child_up(0, 0);
		(void)pair_child_up(1, 1);
		traffic();
	}
	assert_int_equal(pair_handoffs(), 0);
}

// Memory ends at each point: nothing of the tunnel is left, and nothing is promised to a worker.
static int failing_after;

static void *failing(size_t n)
{
	return failing_after-- > 0 ? malloc(n) : NULL;
}

static void all_copies_or_none(void **state)
{
	(void)state;
	struct dp_sink *k = pair.side[0].dp->sink;
	struct tunnel_spec spec = per_worker;
	unsigned before = free_shared(), refused = 0;
	uint32_t id;
	spec.path = (struct tunnel_path){
		.local = {fx_ip("192.0.2.1"), 0}, .remote = {fx_ip("192.0.2.2"), 0}};
	k->alloc = failing;
	for (int n = 0;; n++) {
		failing_after = n;
		int rc = k->dp->sa_sink.tunnel_add(k, &spec, &id);
		if (rc == 0)
			break;
		assert_int_equal(rc, -ENOMEM);
		refused++;
		assert_int_equal(free_shared(), before);
		for (unsigned w = 0; w < 2; w++)
			assert_int_equal(k->workers[w].promised, 0);
	}
	assert_true(refused > 0);
	k->alloc = malloc;
	pair_run();
	k->dp->sa_sink.tunnel_del(k, id);
	pair_run();
	assert_int_equal(free_shared(), before);
}

// Only such a tunnel has SAs of other workers, and each worker no more than it can look through.
static void whose_sas_it_takes(void **state)
{
	(void)state;
	const struct sa_sink *s = &pair.side[0].dp->sa_sink;
	struct tunnel_path path = {
		.local = {fx_ip("192.0.2.1"), 0}, .remote = {fx_ip("192.0.2.2"), 0}};
	struct tunnel_spec plain = {.worker = 0, .path = path}, spread = plain;
	uint32_t one, all, spi;
	spread.per_worker = true;
	assert_int_equal(s->tunnel_add(s->ctx, &plain, &one), 0);
	assert_int_equal(s->tunnel_add(s->ctx, &spread, &all), 0);
	assert_int_equal(s->spi_reserve(s->ctx, 1, &path, &spi), 0);
	struct sa_spec sa = fx_spec(one, SA_IN, ENCR_AES_GCM_16, 128, 0, "10.98.0.0/24");
	sa.child = sa.spi = spi;
	assert_int_equal(s->sa_add(s->ctx, &sa), -EINVAL);
	sa.tunnel = all;
	assert_int_equal(s->sa_add(s->ctx, &sa), 0);
	for (unsigned w = 0; w < 2; w++)
		for (unsigned i = w; i <= DP_TUNNEL_SAS; i++) {
			assert_int_equal(s->spi_reserve(s->ctx, (uint16_t)w, &path, &spi), 0);
			sa.child = sa.spi = spi;
			assert_int_equal(s->sa_add(s->ctx, &sa), i < DP_TUNNEL_SAS ? 0 : -ENOSPC);
			pair_run();
		}
	// The same slot under another worker's number is no tunnel.
	sa.tunnel = all ^ 1u << DP_TUNNEL_SLOT_BITS;
	assert_int_equal(s->spi_reserve(s->ctx, 1, &path, &spi), 0);
	sa.child = sa.spi = spi;
	assert_int_equal(s->sa_add(s->ctx, &sa), -ENOENT);
	s->tunnel_del(s->ctx, all);
	pair_run();
	for (unsigned w = 0; w < 2; w++)
		assert_int_equal(dp_get(&pair.side[0].dp->workers[w]->stats.sas), 0);
}

// The route is known before a worker has heard of the tunnel.
static void a_copy_still_on_its_way(void **state)
{
	(void)state;
	pair_tunnels(&per_worker, 1);
	for (unsigned i = 1; i <= 12; i++)
		pair_send(0, 1, i);
	// Worker 1 polls its messages; worker 0 has not, as far as its packets can tell.
	pair_step(0, 1);
	struct dp_worker *w = pair.side[0].dp->workers[0];
	uint32_t index = pair.side[0].tunnel & ((1u << DP_TUNNEL_INDEX_BITS) - 1);
	pair_step(0, 0);
	struct dp_tunnel *t = dp_slab_at(&w->tunnels, dp_tunnel_slot(index));
	uint32_t generation = t->generation;
	t->generation = 0;
	for (unsigned i = 1; i <= 4; i++)
		pair_send(0, 2, i);
	pair_step(0, 0);
	t->generation = generation;
	pair_run();
	(void)pair_child_up(1, 1);
	pair_run();
	assert_int_equal(pair.side[1].received, 16);
	assert_int_equal(pair_drops(), 0);
}

int main(void)
{
	fx_eal();
#define WITH(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		WITH(both_workers_carry_one_peer),
		WITH(workers_need_not_correspond),
		WITH(until_a_worker_has_its_own),
		WITH(held_at_the_tunnels_worker),
		WITH(every_copy_follows),
		WITH(gone_when_all_have_given_it_back),
		WITH(all_copies_or_none),
		WITH(whose_sas_it_takes),
		WITH(a_copy_still_on_its_way),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
