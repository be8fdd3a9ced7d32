// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/cmocka_all.h"

#include "base/clock.h"
#include "dataplane/reasm.h"

static const uint8_t key[16] = {1, 2, 3};

static struct reasm *make(const struct reasm_limits *l)
{
	struct reasm *r;
	assert_int_equal(reasm_new(l ? l : &reasm_limits_default, key, &r), 0);
	return r;
}

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

struct frag {
	uint32_t offset, len;
	bool more;
};

static enum dp_drop feed_as(struct reasm *r, uint8_t family, uint8_t last_octet, uint32_t id,
	struct frag f, uint64_t now, bool *done, struct pkt_ip *whole)
{
	uint8_t bytes[4096], addr[16] = {10, 0, 0, last_octet, 0, 0, 0, 1};
	for (size_t i = 0; i < f.len; i++)
		bytes[i] = pattern(f.offset + i);
	struct pkt_ip ip = {
		.family = family,
		.proto = IP_PROTO_UDP,
		.fragment = true,
		.more = f.more,
		.offset = (uint16_t)f.offset,
		.id = id,
		.src = ip_from_bytes(family, addr),
		.dst = ip_from_bytes(family, (const uint8_t[16]){10, 0, 0, 254}),
		.head = {bytes, family == IP_V4 ? 20 : 40},
		.payload = {bytes, f.len},
	};
	return reasm_input(r, &ip, now, done, whole);
}

static enum dp_drop feed(struct reasm *r, struct frag f, bool *done, struct pkt_ip *whole)
{
	return feed_as(r, IP_V4, 1, 77, f, 1, done, whole);
}

static void check_whole(const struct pkt_ip *whole, size_t len)
{
	assert_int_equal(whole->payload.len, len);
	assert_false(whole->fragment);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(whole->payload.p[i], pattern(i));
}

// Three fragments in each of the six orders, for both families.
static void any_order(void **state)
{
	static const struct frag f[3] = {{0, 1480, true}, {1480, 1480, true}, {2960, 40, false}};
	static const uint8_t order[6][3] = {
		{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	for (size_t o = 0; o < 12; o++) {
		struct reasm *r = make(NULL);
		struct pkt_ip whole;
		bool done;
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(feed_as(r, o < 6 ? IP_V4 : IP_V6, 1, 9, f[order[o % 6][i]],
						 1, &done, &whole),
				DP_DROP_NONE);
			assert_int_equal(done, i == 2);
		}
		check_whole(&whole, 3000);
		assert_int_equal(reasm_usage(r).datagrams, 0);
		assert_int_equal(reasm_usage(r).bytes, 0);
		reasm_free(r);
	}
}

struct collision {
	const char *what;
	struct frag first[3];
	uint8_t first_count;
	struct frag last;
	enum dp_drop why;
	uint8_t left; // datagrams afterwards
};

static void collisions(void **state)
{
	static const struct collision cases[] = {
		{"head overlaps", {{0, 64, true}}, 1, {56, 64, true}, DP_DROP_fragment_overlap, 0},
		{"tail overlaps", {{64, 64, true}}, 1, {8, 64, true}, DP_DROP_fragment_overlap, 0},
		{"within", {{0, 64, true}}, 1, {8, 8, true}, DP_DROP_fragment_overlap, 0},
		{"around", {{64, 8, true}}, 1, {0, 512, true}, DP_DROP_fragment_overlap, 0},
		{"exact duplicate", {{0, 64, true}}, 1, {0, 64, true}, DP_DROP_fragment_duplicate,
			1},
		{"beyond the end", {{64, 8, false}}, 1, {72, 8, true}, DP_DROP_fragment_bad, 0},
		{"second end", {{64, 8, false}}, 1, {128, 8, false}, DP_DROP_fragment_bad, 0},
		{"end before what is there", {{64, 8, true}}, 1, {8, 8, false},
			DP_DROP_fragment_bad, 0},
		{"odd length", {{0, 64, true}}, 1, {64, 13, true}, DP_DROP_fragment_bad, 0},
		{"empty", {{0, 64, true}}, 1, {64, 0, false}, DP_DROP_fragment_bad, 0},
		{"ping of death", {{0, 64, true}}, 1, {65528, 64, false}, DP_DROP_fragment_bad, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct collision *c = &cases[i];
		struct reasm *r = make(NULL);
		struct pkt_ip whole;
		bool done;
		print_message("# %s\n", c->what);
		for (size_t k = 0; k < c->first_count; k++)
			assert_int_equal(feed(r, c->first[k], &done, &whole), DP_DROP_NONE);
		assert_int_equal(feed(r, c->last, &done, &whole), c->why);
		assert_false(done);
		assert_int_equal(reasm_usage(r).datagrams, c->left);
		reasm_free(r);
	}
}

// Same id, other source or family: never mixed.
static void not_mixed(void **state)
{
	struct reasm *r = make(NULL);
	struct pkt_ip whole;
	bool done;
	assert_int_equal(feed_as(r, IP_V4, 1, 5, (struct frag){0, 64, true}, 1, &done, &whole),
		DP_DROP_NONE);
	assert_int_equal(feed_as(r, IP_V4, 2, 5, (struct frag){64, 8, false}, 1, &done, &whole),
		DP_DROP_NONE);
	assert_false(done);
	assert_int_equal(feed_as(r, IP_V4, 1, 6, (struct frag){64, 8, false}, 1, &done, &whole),
		DP_DROP_NONE);
	assert_false(done);
	assert_int_equal(reasm_usage(r).datagrams, 3);
	reasm_free(r);
}

static void timeout(void **state)
{
	struct reasm *r = make(NULL);
	struct pkt_ip whole;
	bool done;
	uint64_t t = reasm_limits_default.timeout_ns;
	assert_int_equal(reasm_next_ns(r), UINT64_MAX);
	assert_int_equal(feed_as(r, IP_V4, 1, 1, (struct frag){0, 64, true}, 100, &done, &whole),
		DP_DROP_NONE);
	// A later fragment does not prolong it.
	assert_int_equal(feed_as(r, IP_V4, 1, 1, (struct frag){64, 64, true}, t, &done, &whole),
		DP_DROP_NONE);
	assert_int_equal(reasm_next_ns(r), 100 + t);
	assert_int_equal(reasm_expire(r, 99 + t), 0);
	assert_int_equal(reasm_expire(r, 100 + t), 1);
	assert_int_equal(reasm_usage(r).bytes, 0);
	reasm_free(r);
}

static void caps(void **state)
{
	struct reasm_limits l = reasm_limits_default;
	struct pkt_ip whole;
	bool done;
	l.datagrams = 10;
	l.per_source = 4;
	l.bytes = 4096;
	l.fragments = 3;
	struct reasm *r = make(&l);
	for (uint32_t id = 0; id < 6; id++)
		assert_int_equal(
			feed_as(r, IP_V4, 1, id, (struct frag){0, 8, true}, 1, &done, &whole),
			id < 4 ? DP_DROP_NONE : DP_DROP_fragment_limit);
	// Another source is not hurt, until all are.
	for (uint8_t source = 2; source < 10; source++)
		assert_int_equal(
			feed_as(r, IP_V4, source, 1, (struct frag){0, 8, true}, 1, &done, &whole),
			source < 8 ? DP_DROP_NONE : DP_DROP_fragment_limit);
	assert_int_equal(reasm_usage(r).datagrams, 10);
	// The fourth fragment of one datagram takes it away.
	for (uint32_t n = 1; n < 4; n++)
		assert_int_equal(
			feed_as(r, IP_V4, 1, 0, (struct frag){n * 8, 8, true}, 1, &done, &whole),
			n < 3 ? DP_DROP_NONE : DP_DROP_fragment_limit);
	assert_int_equal(reasm_usage(r).datagrams, 9);
	assert_int_equal(feed_as(r, IP_V4, 20, 1, (struct frag){0, 4096, true}, 1, &done, &whole),
		DP_DROP_fragment_limit);
	assert_int_equal(reasm_usage(r).datagrams, 9);
	reasm_free(r);
}

static void largest(void **state)
{
	struct reasm *r = make(NULL);
	struct pkt_ip whole;
	bool done = false;
	uint32_t total = 65512, offset = 0;
	while (offset < total) {
		uint32_t len = total - offset > 4000 ? 4000 : total - offset;
		assert_int_equal(
			feed(r, (struct frag){offset, len, offset + len < total}, &done, &whole),
			DP_DROP_NONE);
		offset += len;
	}
	assert_true(done);
	check_whole(&whole, total);
	reasm_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_order),
		cmocka_unit_test(collisions),
		cmocka_unit_test(not_mixed),
		cmocka_unit_test(timeout),
		cmocka_unit_test(caps),
		cmocka_unit_test(largest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
