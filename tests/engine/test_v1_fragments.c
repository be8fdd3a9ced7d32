// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Fragments of IKEv1 (payload 132): nobody authenticates them, so whatever order, number, size and
// count they come in must be bounded. The kin of CVE-2016-1287, CVE-2013-6076, CVE-2016-10396 and of
// Cisco's fragment floods.
#include "controlplane/ikev1/ikev1.h"
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include <stdlib.h>

#define PEER "198.51.100.2"

// The bench's IKEv2 pair lends its gateway; the IKEv1 SA is made by hand.
static struct ike_sa *bare_sa(struct bench_node *gw, uint64_t spi_i)
{
	struct ike_engine *e = gw->engine;
	ike_enter(e);
	struct ike_sa *sa = ike_sa_new(e, IKE_MAJOR_1, false);
	assert_non_null(sa);
	sa->spi_i = spi_i;
	sa->local = bench_at("192.0.2.1", IKE_PORT);
	sa->remote = bench_at(PEER, IKE_PORT);
	sa->conn = &e->p.cfg->connections[0];
	sa->v1->peer_fragments = true;
	ike_sa_state_set(sa, IKE_SA_PHASE1);
	ike_leave(e);
	return sa;
}

static size_t header(const struct ike_sa *sa, uint8_t next, uint32_t length, struct wr *w)
{
	struct ike_header h = {.spi_i = sa->spi_i,
		.spi_r = sa->spi_r,
		.next_payload = next,
		.major = IKE_MAJOR_1,
		.exchange = IKEV1_EXCHANGE_MAIN,
		.length = length};
	wire_header_build(w, &h);
	return w->len;
}

static void inject(struct bench *b, const void *bytes, size_t len)
{
	struct endpoint from = bench_at(PEER, IKE_PORT), to = bench_at("192.0.2.1", IKE_PORT);
	bench_inject(b, &from, &to, bytes, len);
	bench_settle(b);
	bench_run(b, 2);
}

static void put(struct bench *b, const struct ike_sa *sa, const struct ikev1_fragment *f)
{
	static uint8_t buf[DATAGRAM_MAX];
	struct wr w = wr_of(buf, sizeof(buf));
	header(sa, IKEV1_PAYLOAD_FRAGMENT, (uint32_t)(IKE_HEADER_LEN + 8 + f->content.len), &w);
	wr_u16(&w, 0);
	wr_u16(&w, (uint16_t)(8 + f->content.len));
	wr_u16(&w, f->id);
	wr_u8(&w, f->number);
	wr_u8(&w, f->last);
	wr_view(&w, f->content);
	inject(b, buf, w.len);
}

static struct bench_pair pair(void)
{
	struct bench_pair p = bench_pair_new(BENCH_GATEWAY, BENCH_CLIENT);
	p.gw->engine->ikev1 = true;
	return p;
}

struct step {
	uint16_t id;
	uint8_t number;
	bool last;
	uint16_t len;
};

struct sequence {
	const char *what;
	struct step steps[6];
	const char *counter; // goes up by one in all
	size_t held;         // bytes that stay
};

// What a whole message holds is noise here: it is put together, then found wanting.
static const struct sequence sequences[] = {
	{"in order", {{1, 1, false, 40}, {1, 2, true, 40}}, "ike_reassembled", 0},
	{"in reverse", {{1, 3, true, 9}, {1, 2, false, 40}, {1, 1, false, 40}}, "ike_reassembled",
		0},
	{"alone and last", {{1, 1, true, 60}}, "ike_reassembled", 0},
	{"number 0", {{1, 0, false, 40}}, "ike_fragment_bad", 0},
	{"number 0, last", {{1, 0, true, 40}}, "ike_fragment_bad", 0},
	{"beyond the limit", {{1, 65, false, 40}}, "ike_fragment_limit", 0},
	{"255", {{1, 255, true, 40}}, "ike_fragment_limit", 0},
	{"at the limit", {{1, 64, true, 40}}, NULL, 40},
	{"twice", {{1, 1, false, 40}, {1, 1, false, 44}}, "ike_fragment_repeated", 40},
	{"two last ones", {{1, 3, true, 8}, {1, 2, true, 8}}, "ike_fragment_total", 8},
	{"behind the last", {{1, 2, true, 8}, {1, 3, false, 8}}, "ike_fragment_total", 8},
	{"last before another", {{1, 5, false, 8}, {1, 4, true, 8}}, "ike_fragment_total", 8},
	{"another id begins anew", {{1, 1, false, 40}, {2, 2, false, 24}}, NULL, 24},
	{"empty content", {{1, 1, true, 0}}, "ike_fragment_bad", 0},
};

static void sequences_of_fragments(void **state)
{
	static const uint8_t noise[64] = {1};
	for (size_t i = 0; i < sizeof(sequences) / sizeof(sequences[0]); i++) {
		const struct sequence *s = &sequences[i];
		struct bench_pair p = pair();
		struct ike_sa *sa = bare_sa(p.gw, 0x1111 + i);
		print_message("# %s\n", s->what);
		for (const struct step *t = s->steps; t->id; t++)
			put(p.b, sa,
				&(struct ikev1_fragment){
					t->id, t->number, t->last, {noise, t->len}});
		if (s->counter)
			bench_expect(p.gw, s->counter, 1);
		assert_int_equal(p.gw->engine->fragment_bytes, s->held);
		ike_enter(p.gw->engine);
		ike_sa_close(sa, IKE_REASON_CLOSED);
		ike_leave(p.gw->engine);
		assert_int_equal(p.gw->engine->fragment_bytes, 0);
		bench_free(p.b);
	}
}

// A payload shorter than its own header (CVE-2016-1287), and lengths that lead outside.
static void lengths(void **state)
{
	static const uint16_t lens[] = {0, 1, 3, 4, 5, 7, 9, 100, 65535};
	struct bench_pair p = pair();
	struct ike_sa *sa = bare_sa(p.gw, 0x2222);
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		uint8_t buf[64];
		struct wr w = wr_of(buf, sizeof(buf));
		header(sa, IKEV1_PAYLOAD_FRAGMENT, IKE_HEADER_LEN + 8, &w);
		wr_u16(&w, 0);
		wr_u16(&w, lens[i]);
		wr_u32(&w, 0x00010101);
		inject(p.b, buf, w.len);
		bench_expect(p.gw, "ike_fragment_bad", i + 1);
	}
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	bench_free(p.b);
}

static void not_agreed(void **state)
{
	static const uint8_t part[40] = {1};
	struct bench_pair p = pair();
	struct ike_sa *sa = bare_sa(p.gw, 0x9999);
	sa->v1->peer_fragments = false;
	put(p.b, sa, &(struct ikev1_fragment){1, 1, false, {part, sizeof(part)}});
	bench_expect(p.gw, "ike_fragment_not_agreed", 1);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	bench_free(p.b);
}

// What is put together must be one message of this ISAKMP SA and no fragment again.
static void wrong_insides(void **state)
{
	struct bench_pair p = pair();
	struct ike_sa *sa = bare_sa(p.gw, 0x3333), *other = bare_sa(p.gw, 0x4444);
	uint8_t buf[128];
	struct {
		const struct ike_sa *of;
		uint8_t next;
		uint32_t length;
		const char *counter;
	} cases[] = {
		{sa, IKEV1_PAYLOAD_FRAGMENT, IKE_HEADER_LEN, "ike_fragment_bad"},
		{other, IKEV1_PAYLOAD_SA, IKE_HEADER_LEN, "ike_fragment_bad"},
		{sa, IKEV1_PAYLOAD_SA, IKE_HEADER_LEN + 1, "ike_fragment_bad"},
		{sa, IKEV1_PAYLOAD_SA, 0, "ike_fragment_bad"},
		{sa, IKEV1_PAYLOAD_SA, IKE_HEADER_LEN, "ikev1_out_of_turn"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct wr w = wr_of(buf, sizeof(buf));
		uint64_t before = bench_counter(p.gw, cases[i].counter);
		header(cases[i].of, cases[i].next, cases[i].length, &w);
		put(p.b, sa, &(struct ikev1_fragment){(uint16_t)(i + 1), 1, true, wr_done(&w)});
		bench_expect(p.gw, cases[i].counter, before + 1);
	}
	bench_free(p.b);
}

static void one_message_is_bounded(void **state)
{
	static const uint8_t part[2000] = {1};
	struct bench_pair p = pair();
	struct ike_sa *sa = bare_sa(p.gw, 0x5555);
	for (uint8_t i = 1; i <= 40; i++)
		put(p.b, sa, &(struct ikev1_fragment){1, i, false, {part, sizeof(part)}});
	bench_expect(p.gw, "ike_fragment_limit", 40 - IKE_FRAGMENT_BYTES_MAX / sizeof(part));
	assert_true(p.gw->engine->fragment_bytes <= IKE_FRAGMENT_BYTES_MAX);
	bench_run(p.b, 32000);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	bench_free(p.b);
}

// Strangers together have half of all bytes; the other half stays for those who are known.
static void all_messages_are_bounded(void **state)
{
	static const uint8_t part[60000] = {1};
	struct bench_pair p = pair();
	size_t fit = IKE_FRAGMENTS_ALL_MAX / 2 / sizeof(part);
	for (size_t i = 0; i < fit + 10; i++) {
		struct ike_sa *sa = bare_sa(p.gw, 0x6000 + i);
		sa->half_open = true;
		ike_half_open_count(p.gw->engine, IKE_MAJOR_1, 0, 1);
		put(p.b, sa, &(struct ikev1_fragment){1, 1, false, {part, sizeof(part)}});
	}
	bench_expect(p.gw, "ike_fragment_limit", 10);
	assert_int_equal(p.gw->engine->fragment_bytes, fit * sizeof(part));
	struct ike_sa *known = bare_sa(p.gw, 0x7777);
	put(p.b, known, &(struct ikev1_fragment){1, 1, false, {part, sizeof(part)}});
	assert_int_equal(p.gw->engine->fragment_bytes, (fit + 1) * sizeof(part));
	bench_run(p.b, 32000);
	assert_int_equal(p.gw->engine->fragment_bytes, 0);
	bench_free(p.b);
}

// What leaves in fragments is put together by the other side's code to the same bytes.
static void cut_and_joined(void **state)
{
	static const size_t sizes[] = {1, 1251, 1252, 1253, 1254, 2500, 5000, 20000};
	struct bench_pair p = pair();
	struct ike_sa *sa = bare_sa(p.gw, 0x8888);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint8_t *data;
		struct view whole = {NULL, 0};
		struct ike_sent *s = ike_sent_new(1, sizes[i] + IKE_HEADER_LEN, &data);
		assert_non_null(s);
		for (size_t k = 0; k < sizes[i] + IKE_HEADER_LEN; k++)
			data[k] = (uint8_t)(k * 7 + k / 251);
		uint8_t *copy = malloc(sizes[i] + IKE_HEADER_LEN);
		assert_non_null(copy);
		memcpy(copy, data, sizes[i] + IKE_HEADER_LEN);
		s->datagrams[0] = (struct view){data, sizes[i] + IKE_HEADER_LEN};
		ike_enter(p.gw->engine);
		s = ikev1_fragments_out(sa, s);
		assert_non_null(s);
		// 1280 bytes of IP packet less the IPv4 and UDP headers
		for (uint16_t k = 0; k < s->count; k++)
			assert_true(s->datagrams[k].len <= 1252);
		assert_int_equal(s->count > 1, sizes[i] + IKE_HEADER_LEN > 1252);
		for (uint16_t k = s->count; s->count > 1 && k-- > 0;) {
			struct ike_datagram d = {.bytes = s->datagrams[k]};
			assert_null(whole.p);
			whole = ikev1_fragment_in(sa, &d);
		}
		ike_leave(p.gw->engine);
		if (s->count > 1) {
			assert_int_equal(whole.len, sizes[i] + IKE_HEADER_LEN);
			assert_memory_equal(whole.p, copy, whole.len);
		}
		free((void *)(uintptr_t)whole.p);
		free(copy);
		ike_sent_free(s);
	}
	bench_free(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sequences_of_fragments),
		cmocka_unit_test(lengths),
		cmocka_unit_test(not_agreed),
		cmocka_unit_test(wrong_insides),
		cmocka_unit_test(one_message_is_bounded),
		cmocka_unit_test(all_messages_are_bounded),
		cmocka_unit_test(cut_and_joined),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
