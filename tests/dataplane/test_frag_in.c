// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Outer packets in fragments: ESP is put together at a worker and decrypted by its SA's, IKE reaches
// the control thread, and nothing else does.
#include "dataplane/gather.h"
#include "dataplane/ike_io.h"
#include "tests/cmocka_all.h"
#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define HOST "10.99.0.5"

static const struct kind {
	const char *inner, *peer, *gateway;
	uint16_t port; // the peer's; 0: plain ESP
	bool marker;   // port 500
} kinds[] = {
	{"10.1.0.2", "198.51.100.7", "192.0.2.1", 0, false},
	{"10.1.0.3", "198.51.100.8", "192.0.2.1", 61000, false},
	{"10.1.0.4", "2001:db8:5::1", "2001:db8:1::1", 0, false},
	{"10.1.0.5", "2001:db8:5::2", "2001:db8:1::1", 61000, false},
	{"10.1.0.6", "198.51.100.9", "192.0.2.1", 61000, true},
};

static struct sa_spec in[RTE_DIM(kinds)], out[RTE_DIM(kinds)];
static uint32_t next_id;

static int start_with(unsigned workers)
{
	fx_start(workers, NIC_HASH_NONE, NIC_HASH_NONE);
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		unsigned worker = i % workers;
		uint32_t t =
			kinds[i].marker
				? fx_tunnel_on(worker, kinds[i].inner,
					  (struct tunnel_path[]){
						  fx_path_marked(kinds[i].peer, kinds[i].port)})
				: fx_tunnel(worker, kinds[i].inner, kinds[i].peer, kinds[i].port);
		fx_child(t, worker, ENCR_AES_GCM_16, 128, 0, kinds[i].inner, &in[i], &out[i]);
	}
	return 0;
}

static int start(void **state)
{
	(void)state;
	return start_with(1);
}

static int start_three(void **state)
{
	(void)state;
	return start_with(3);
}

static int stop(void **state)
{
	(void)state;
	fx_stop();
	return 0;
}

// ---- Packets in parts ----

struct parts {
	unsigned count;
	struct {
		uint8_t bytes[2048];
		size_t len;
	} at[64];
};

static bool keep(void *ctx, const struct ike_io_packet *p)
{
	struct parts *parts = ctx;
	assert_true(parts->count < 64);
	uint8_t *to = parts->at[parts->count].bytes;
	memcpy(to, p->head.p, p->head.len);
	memcpy(to + p->head.len, p->body.p, p->body.len);
	parts->at[parts->count++].len = p->head.len + p->body.len;
	return true;
}

static struct parts cut(const struct kind *k, uint8_t proto, struct view payload, uint16_t mtu)
{
	struct parts parts = {0};
	struct pkt_ip_head h = {
		.src = fx_ip(k->peer), .dst = fx_ip(k->gateway), .proto = proto, .ttl = 60};
	assert_int_equal(ike_io_cut(&h, payload, mtu, ++next_id, keep, &parts), DP_DROP_NONE);
	return parts;
}

// What the peer sends: UDP and marker as the kind has them, then esp.
static size_t encapsulate(const struct kind *k, const uint8_t *esp, size_t len, uint8_t *to)
{
	size_t at = k->port ? UDP_HDR : 0;
	if (k->marker) {
		memset(to + at, 0, NON_IKE_MARKER);
		at += NON_IKE_MARKER;
	}
	memcpy(to + at, esp, len);
	if (k->port) {
		set_be16(to, k->port);
		set_be16(to + 2, k->marker ? 500 : 4500);
		set_be16(to + 4, (uint16_t)(at + len));
		set_be16(to + 6, 0);
	}
	return at + len;
}

static struct parts esp_parts(size_t i, uint64_t seq, size_t inner_len, uint16_t mtu)
{
	static uint8_t inner[16384], esp[16384], payload[16384];
	size_t n = fx_ipv4(inner, kinds[i].inner, HOST, PROTO_UDP, inner_len - IP4_HDR);
	n = oracle_wrap(&in[i], seq, inner, n, 4, esp);
	n = encapsulate(&kinds[i], esp, n, payload);
	return cut(
		&kinds[i], kinds[i].port ? PROTO_UDP : PROTO_ESP, (struct view){payload, n}, mtu);
}

static void feed(const struct parts *p, unsigned i)
{
	fx_input(FX_OUTSIDE, p->at[i].bytes, p->at[i].len);
	fx_run();
}

static size_t decrypted(void)
{
	static uint8_t got[16384];
	return fx_output(FX_INSIDE, got, sizeof(got));
}

static uint64_t joined(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		n += dp_get(&fx.dp->workers[i]->stats.joined);
	return n;
}

static uint64_t by_fragment(void)
{
	uint64_t n = 0;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		n += dp_get(&fx.dp->workers[i]->stats.handoff_out[DP_HANDOFF_FRAGMENT]);
	return n;
}

static unsigned waiting(void)
{
	unsigned n = 0;
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		if (fx.dp->workers[i]->gather)
			n += gather_held(fx.dp->workers[i]->gather);
	return n;
}

// ---- Tests ----

static void every_encapsulation(void **state)
{
	(void)state;
	static const uint16_t mtus[] = {1400, 1000, 600, 200};
	uint64_t seq = 0;
	assert_null(fx.dp->workers[0]->gather);
	for (size_t m = 0; m < RTE_DIM(mtus); m++) {
		for (size_t i = 0; i < RTE_DIM(kinds); i++) {
			struct parts p = esp_parts(i, ++seq, 1450, mtus[m]);
			assert_true(p.count > 1);
			for (unsigned backwards = 0; backwards < 2; backwards++) {
				p = esp_parts(i, ++seq, 1450, mtus[m]);
				for (unsigned k = 0; k < p.count; k++) {
					assert_int_equal(decrypted(), 0);
					feed(&p, backwards ? p.count - 1 - k : k);
				}
				assert_int_equal(decrypted(), 1450);
				assert_int_equal(waiting(), 0);
			}
		}
	}
	assert_int_equal(joined(), RTE_DIM(mtus) * RTE_DIM(kinds) * 2);
	assert_int_equal(fx.ike_count, 0);
}

// Each fragment by whatever queue: they meet, and the packet goes to its SA's worker.
static void across_workers(void **state)
{
	(void)state;
	uint64_t seq = 0;
	for (unsigned round = 0; round < 30; round++) {
		for (size_t i = 0; i < RTE_DIM(kinds); i++) {
			struct parts p = esp_parts(i, ++seq, 1450, 700);
			for (unsigned k = 0; k < p.count; k++) {
				nic_force_queue(fx.nic[FX_OUTSIDE], (int)((round + k) % 3));
				feed(&p, k);
			}
			assert_int_equal(decrypted(), 1450);
		}
	}
	assert_int_equal(waiting(), 0);
	assert_int_equal(joined(), 30 * RTE_DIM(kinds));
	assert_true(by_fragment() > 0);
	for (unsigned c = 0; c < DP_HANDOFF_CAUSES; c++)
		for (unsigned w = 0; w < 3 && c != DP_HANDOFF_FRAGMENT; w++)
			assert_int_equal(dp_get(&fx.dp->workers[w]->stats.handoff_out[c]), 0);
	assert_true(dp_get(&fx.dp->workers[1]->stats.joined) > 0);
	assert_true(dp_get(&fx.dp->workers[2]->stats.joined) > 0);
}

// IKE, as large as can be, in any order; the workers keep nothing of it.
static void ike_reaches_the_control_thread(void **state)
{
	(void)state;
	static const size_t sizes[] = {100, 3000, 20000};
	static uint8_t payload[32768];
	struct kind from = kinds[1];
	for (size_t s = 0; s < RTE_DIM(sizes); s++) {
		for (unsigned backwards = 0; backwards < 2; backwards++) {
			struct endpoint src = {fx_ip(from.peer), 61000},
					dst = {fx_ip(from.gateway), 4500};
			static const uint8_t marker[4];
			static uint8_t bytes[32768];
			struct wr w = wr_of(payload, sizeof(payload));
			unsigned before = fx.ike_count;
			memset(bytes, 0x5a, sizeof(bytes));
			pkt_build_udp(&w, &src, &dst, (struct view){marker, 4},
				(struct view){bytes, sizes[s]});
			struct parts p = cut(&from, PROTO_UDP, (struct view){payload, w.len},
				sizes[s] > 1000 ? 1400 : 96);
			for (unsigned k = 0; k < p.count; k++)
				feed(&p, backwards ? p.count - 1 - k : k);
			assert_int_equal(fx.ike_count, before + 1);
			assert_int_equal(waiting(), 0);
		}
	}
	assert_int_equal(joined(), 0);
	for (unsigned i = 0; i < fx.dp->worker_count; i++)
		if (fx.dp->workers[i]->gather)
			assert_int_equal(gather_datagrams(fx.dp->workers[i]->gather), 0);
}

static void set_v4(uint8_t *p, uint8_t tos)
{
	p[1] = tos;
	set_be16(p + 10, 0);
	set_be16(p + 10, (uint16_t)~ip_fold(ip_sum(p, IP4_HDR)));
}

// RFC 3168 5.3.
static void congestion_on_one_fragment(void **state)
{
	(void)state;
	static const struct {
		uint8_t first, second;
		bool passes;
		uint8_t inner; // sent with ECT(0)
	} rows[] = {{ECN_ECT0, ECN_ECT0, true, ECN_ECT0}, {ECN_ECT0, ECN_CE, true, ECN_CE},
		{ECN_CE, ECN_ECT0, true, ECN_CE}, {ECN_NOT_ECT, ECN_CE, false, 0}};
	uint8_t got[4096], inner[4096], esp[4096];
	for (size_t i = 0; i < RTE_DIM(rows); i++) {
		size_t n = fx_ipv4(inner, kinds[0].inner, HOST, PROTO_UDP, 1000);
		set_v4(inner, ECN_ECT0);
		n = oracle_wrap(&in[0], i + 1, inner, n, 4, esp);
		struct parts p = cut(&kinds[0], PROTO_ESP, (struct view){esp, n}, 700);
		set_v4(p.at[0].bytes, rows[i].first);
		set_v4(p.at[1].bytes, rows[i].second);
		feed(&p, 0);
		feed(&p, 1);
		assert_int_equal(fx_output(FX_INSIDE, got, sizeof(got)) > 0, rows[i].passes);
		if (rows[i].passes)
			assert_int_equal(got[1] & ECN_MASK, rows[i].inner);
		assert_int_equal(fx_drops(DP_DROP_esp_ecn), !rows[i].passes);
	}
}

// What never comes whole is dropped after a while, without a leak.
static void the_rest_never_comes(void **state)
{
	(void)state;
	struct parts p = esp_parts(0, 1, 1450, 600);
	for (unsigned k = 0; k + 1 < p.count; k++)
		feed(&p, k);
	assert_int_equal(waiting(), p.count - 1);
	fx.now_ns += GATHER_NS - 1;
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_fragment_timeout), 0);
	fx.now_ns += 1;
	fx_run();
	assert_int_equal(fx_drops(DP_DROP_fragment_timeout), 1);
	assert_int_equal(waiting(), 0);
	feed(&p, p.count - 1); // too late
	assert_int_equal(decrypted(), 0);
}

// Row 84: an overlap ends the datagram; a flood of one source leaves the others' in peace.
static void hostile_fragments(void **state)
{
	(void)state;
	struct parts p = esp_parts(0, 1, 1450, 600), good = esp_parts(1, 1, 1450, 600);
	feed(&p, 0);
	uint8_t *f = p.at[1].bytes;
	set_be16(f + 6, get_be16(f + 6) - 1); // eight bytes earlier
	set_v4(f, 0);
	feed(&p, 1);
	assert_int_equal(fx_drops(DP_DROP_fragment_overlap), 1);
	assert_int_equal(waiting(), 0);
	for (unsigned i = 0; i < 1000; i++) {
		p = esp_parts(0, 2 + i, 1450, 600);
		feed(&p, 0);
	}
	// Each worker puts together what the fragments' hash gives it.
	assert_int_equal(
		fx_drops(DP_DROP_fragment_limit), 1000 - GATHER_SOURCE * fx.dp->worker_count);
	for (unsigned k = 0; k < good.count; k++)
		feed(&good, k);
	assert_int_equal(decrypted(), 1450);
}

// Where ports take jumbo frames, so does what puts them together.
static void jumbo_packets(void **state)
{
	fx_mtu = 9000;
	start(state);
	for (size_t i = 0; i < RTE_DIM(kinds); i++) {
		struct parts p = esp_parts(i, 1, 8900, 1400);
		assert_in_range(p.count, 7, GATHER_PARTS);
		for (unsigned k = 0; k < p.count; k++)
			feed(&p, k);
		assert_int_equal(decrypted(), 8900);
	}
	stop(state);
	fx_mtu = 1500;
}

// A peer that encrypts before it looks at the size. What comes out is cut for the inside.
static void larger_than_the_mtu(void **state)
{
	(void)state;
	static const size_t sizes[] = {1501, 1600, 3000, 9000};
	for (unsigned s = 0; s < RTE_DIM(sizes); s++) {
		struct parts p = esp_parts(0, s + 1, sizes[s], 1400);
		size_t got = 0, frames = 0;
		for (unsigned k = 0; k < p.count; k++)
			feed(&p, k);
		for (size_t n; (n = decrypted()) > 0; frames++)
			got += n - IP4_HDR;
		assert_int_equal(got, sizes[s] - IP4_HDR);
		assert_int_equal(frames, (got + 1479) / 1480);
		assert_int_equal(joined(), s + 1);
	}
	assert_int_equal(waiting(), 0);
}

// A whole packet that no buffer holds.
static void too_large_together(void **state)
{
	(void)state;
	struct parts p = esp_parts(0, 1, 12000, 1400);
	for (unsigned k = 0; k < p.count; k++)
		feed(&p, k);
	assert_int_equal(fx_drops(DP_DROP_outer_fragment), 1);
	assert_int_equal(decrypted(), 0);
	assert_int_equal(waiting(), 0);
}

int main(void)
{
	fx_eal();
#define WITH(f)  cmocka_unit_test_setup_teardown(f, start, stop)
#define THREE(f) cmocka_unit_test_setup_teardown(f, start_three, stop)
	const struct CMUnitTest tests[] = {
		WITH(every_encapsulation),
		THREE(across_workers),
		WITH(ike_reaches_the_control_thread),
		THREE(ike_reaches_the_control_thread),
		WITH(congestion_on_one_fragment),
		WITH(the_rest_never_comes),
		WITH(hostile_fragments),
		cmocka_unit_test(jumbo_packets),
		WITH(larger_than_the_mtu),
		WITH(too_large_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
