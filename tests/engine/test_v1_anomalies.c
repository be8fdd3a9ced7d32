// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Thousands of first messages with one thing wrong, in the manner of the PROTOS suite for ISAKMP:
// every byte of a good message to 0, 1, its neighbours and all ones, every 16-bit field to one more
// and one less, every length cut. None crashes, none gets more than it sent, nothing of them stays.
#include "tests/engine/v1_pair.h"

#include <stdlib.h>

#define LEN_MAX   2048
#define HASH_MORE 128 // aggressive mode: what HASH and NAT-D may be larger

struct first {
	size_t len;
	uint8_t bytes[LEN_MAX];
};

static enum bench_fate keep_first(struct bench *b, struct bench_packet *p, void *arg)
{
	struct first *f = arg;
	if (f->len == 0) {
		assert_true(p->len <= sizeof(f->bytes));
		memcpy(f->bytes, p->bytes, p->len);
		f->len = p->len;
	}
	return BENCH_DROP;
}

// What a real client says first.
static struct first first_of(const struct v1_setup *s)
{
	struct first f = {0};
	struct v1 v = v1_new(s);
	bench_filter_add(v.b, keep_first, &f);
	v1_connect(&v);
	bench_run(v.b, 50);
	assert_true(f.len > IKE_HEADER_LEN);
	bench_filters_clear(v.b);
	v1_free(&v);
	return f;
}

struct trial {
	struct v1 *v;
	size_t more; // bytes that the answer may be larger
	unsigned count, answered;
};

// From one of many addresses, with a cookie of its own unless that is what is wrong.
static void inject(struct trial *t, uint8_t *bytes, size_t len, bool cookie)
{
	struct bench_node *gw = t->v->gw;
	char from_text[32];
	uint64_t before = gw->sent_bytes;
	snprintf(from_text, sizeof(from_text), "198.51.100.%u", 3 + t->count % 250);
	struct endpoint from = bench_at(from_text, (uint16_t)(1024 + t->count % 60000));
	struct endpoint to = bench_at(GW_ADDR, IKE_PORT);
	t->count++;
	for (int i = 0; cookie && i < 4 && len >= 8; i++)
		bytes[i] = (uint8_t)(t->count >> (8 * i) | 1);
	bench_inject(t->v->b, &from, &to, bytes, len);
	bench_run(t->v->b, 2);
	assert_true(gw->sent_bytes - before <= len + t->more);
	t->answered += gw->sent_bytes != before;
	assert_true(gw->engine->half_open_ikev1 <= gw->cfg->main.half_open_max_ikev1);
	if (t->count % 200 == 0) // their time is over
		bench_run(t->v->b, 31000);
}

static void every_byte(struct trial *t, const struct first *f)
{
	for (size_t i = 0; i < f->len; i++) {
		const uint8_t values[] = {0, 1, 0xff, 0xfe, (uint8_t)(f->bytes[i] + 1),
			(uint8_t)(f->bytes[i] - 1), f->bytes[i] ^ 0x80};
		for (size_t k = 0; k < sizeof(values); k++) {
			struct first bad = *f;
			if (values[k] == f->bytes[i])
				continue;
			bad.bytes[i] = values[k];
			inject(t, bad.bytes, bad.len, i >= 8);
		}
	}
}

static void every_word(struct trial *t, const struct first *f)
{
	for (size_t i = 8; i + 2 <= f->len; i++)
		for (int delta = -1; delta <= 1; delta += 2) {
			struct first bad = *f;
			uint16_t word = (uint16_t)((bad.bytes[i] << 8 | bad.bytes[i + 1]) + delta);
			bad.bytes[i] = (uint8_t)(word >> 8);
			bad.bytes[i + 1] = (uint8_t)word;
			inject(t, bad.bytes, bad.len, true);
		}
}

// With the header's length as it was, and as it should be.
static void every_length(struct trial *t, const struct first *f)
{
	for (size_t len = 0; len < f->len; len++)
		for (int honest = 0; honest < 2; honest++) {
			struct first bad = *f;
			if (honest && len >= IKE_HEADER_LEN) {
				bad.bytes[26] = (uint8_t)(len >> 8);
				bad.bytes[27] = (uint8_t)len;
			}
			inject(t, bad.bytes, len, true);
		}
}

static void anomalies(const struct v1_setup *s, size_t more)
{
	struct first f = first_of(s);
	struct v1 v = v1_new(s);
	struct trial t = {.v = &v, .more = more};
	every_byte(&t, &f);
	every_word(&t, &f);
	every_length(&t, &f);
	assert_true(t.count > 2000 && t.answered > 100);
	bench_run(v.b, 31000);
	assert_true(bench_empty(v.gw));
	assert_int_equal(v.gw->engine->half_open_ikev1, 0);
	assert_int_equal(v.gw->engine->fragment_bytes, 0);
	assert_int_equal(v.gw->engine->jobs_pending, 0);
	v1_need_up(&v);
	v1_down(&v);
}

static void main_mode(void **state)
{
	anomalies(&(struct v1_setup){0}, 0);
}

static void aggressive_mode(void **state)
{
	anomalies(&(struct v1_setup){.aggressive = true, .xauth = true}, HASH_MORE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(main_mode),
		cmocka_unit_test(aggressive_mode),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
