// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Options wherever RFC 2131 and RFC 3396 allow them to stand, and what a message of ours looks like.
#include "tests/cmocka_all.h"

#include "pools/dhcp_wire.h"

#include <stdlib.h>

#define SNAME 44
#define FILE_ 108

// An answer with these options; sname and file get theirs where they are not NULL.
struct written {
	const char *options, *file, *sname; // "code length value ..." as hex, blanks between
	enum dhcp_error error;
	struct dhcp_answer want; // type, server_id, lease_s, t1_s, t2_s
};

static size_t hex(const char *text, uint8_t *out)
{
	size_t n = 0;
	char *end;
	for (const char *p = text; *p; p = end) {
		out[n++] = (uint8_t)strtoul(p, &end, 16);
		while (*end == ' ')
			end++;
	}
	return n;
}

#define ACK    "35 1 5 "
#define SERVER "36 4 a 0 0 1 "
#define LEASE  "33 4 0 0 e 10 "
#define END    "ff"

static const struct written cases[] = {
	{ACK SERVER LEASE END, NULL, NULL, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	{"35 1 2 " SERVER LEASE "3a 4 0 0 0 9 3b 4 0 0 0 b " END, NULL, NULL, DHCP_OK,
		{DHCP_OFFER, .server_id = 0x0a000001, .lease_s = 3600, .t1_s = 9, .t2_s = 11}},
	{"35 1 6 " END, NULL, NULL, DHCP_OK, {.type = DHCP_NAK}},
	// order, padding, what nobody knows, and what stands behind the end
	{"0 0 " LEASE "0 fe 3 1 2 3 " SERVER "0 fd 0 " ACK END " 35 1 1 36 99", NULL, NULL, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	// RFC 3396: in pieces
	{"36 2 a 0 33 1 0 " ACK "36 0 33 3 0 e 10 36 2 0 1 " END, NULL, NULL, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	{ACK ACK SERVER LEASE END, NULL, NULL, DHCP_BAD_TYPE, {0}},
	{ACK SERVER SERVER LEASE END, NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	// RFC 2131 section 4.1: in file, in sname, in both and over all three
	{ACK "34 1 1 " END, SERVER LEASE END, NULL, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	{ACK "34 1 2 " END, NULL, SERVER LEASE END, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	{"34 1 3 36 1 a " END, ACK "36 1 0 " END, LEASE "36 2 0 1 " END, DHCP_OK,
		{DHCP_ACK, .server_id = 0x0a000001, .lease_s = 3600}},
	{ACK END, SERVER END, LEASE END, DHCP_OK, {.type = DHCP_ACK}}, // not said to be options
	// file cannot say that sname holds options too
	{ACK "34 1 1 " END, "34 1 2 " SERVER END, LEASE END, DHCP_OK,
		{.type = DHCP_ACK, .server_id = 0x0a000001}},
	{ACK "34 1 3 " END, SERVER END, "36 ff 1", DHCP_BAD_OPTIONS, {0}},
	{ACK "34 2 1 1 " END, SERVER END, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK "34 1 4 " END, SERVER END, SERVER END, DHCP_BAD_OPTIONS, {0}},
	{SERVER LEASE END, NULL, NULL, DHCP_BAD_TYPE, {0}},
	{"35 0 " END, NULL, NULL, DHCP_BAD_TYPE, {0}},
	{"35 2 5 5 " END, NULL, NULL, DHCP_BAD_TYPE, {0}},
	{ACK "36 3 a 0 0 " END, NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK "3a 5 0 0 0 0 1 " END, NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK "3b 1 0 " END, NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK, NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK "36", NULL, NULL, DHCP_BAD_OPTIONS, {0}},
	{ACK "36 4 1 2 3", NULL, NULL, DHCP_BAD_OPTIONS, {0}},
};

static size_t write_case(const struct written *w, uint8_t *m)
{
	static const uint8_t header[] = {2, 1, 6, 0, 0xde, 0xad, 0xbe, 0xef};
	static const uint8_t cookie[] = {99, 130, 83, 99};
	memset(m, 0, 240);
	memcpy(m, header, sizeof(header));
	memcpy(m + 236, cookie, 4);
	if (w->file)
		hex(w->file, m + FILE_);
	if (w->sname)
		hex(w->sname, m + SNAME);
	return 240 + hex(w->options, m + 240);
}

static void options_wherever_they_stand(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct dhcp_answer *want = &cases[i].want;
		uint8_t m[1024];
		struct dhcp_answer a;
		size_t len = write_case(&cases[i], m);
		uint8_t *exact = malloc(len); // so that a sanitizer sees what reads beyond
		assert_non_null(exact);
		memcpy(exact, m, len);
		enum dhcp_error e = dhcp_parse((struct view){exact, len}, &a);
		free(exact);
		if (e != cases[i].error)
			print_message("# case %zu\n", i);
		assert_int_equal(e, cases[i].error);
		if (e != DHCP_OK)
			continue;
		assert_int_equal(a.xid, 0xdeadbeef);
		assert_int_equal(a.type, want->type);
		assert_int_equal(a.server_id, want->server_id);
		assert_int_equal(a.lease_s, want->lease_s);
		assert_int_equal(a.t1_s, want->t1_s);
		assert_int_equal(a.t2_s, want->t2_s);
	}
}

static void client_ids(void **state)
{
	static const struct {
		const char *options;
		bool has, fits;
	} ids[] = {
		{ACK END, false, false},
		{ACK "3d 0 " END, false, false},
		{ACK "3d 1 7 " END, true, false},
		{ACK "3d 17 1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12 13 14 15 16 17 " END, true,
			true},
		{ACK "3d 16 1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12 13 14 15 16 3d 1 17 " END, true,
			true},
		{ACK "3d 18 1 2 3 4 5 6 7 8 9 a b c d e f 10 11 12 13 14 15 16 17 18 " END, true,
			false},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		uint8_t m[1024];
		struct dhcp_answer a;
		size_t len = write_case(&(struct written){.options = ids[i].options}, m);
		assert_int_equal(dhcp_parse((struct view){m, len}, &a), DHCP_OK);
		assert_int_equal(a.has_client_id, ids[i].has);
		assert_int_equal(a.same_client_id_len, ids[i].fits);
		for (uint8_t k = 0; ids[i].fits && k < 23; k++)
			assert_int_equal(a.client_id[k], k + 1);
	}
}

// The largest one, byte by byte in its options.
static void builds(void **state)
{
	static const uint8_t options[] = "\x35\1\3"
					 "\x3d\x17\xff\0\0\0\x09\0\4ABCDEFGHIJKLMNOP"
					 "\x32\4\x0a\0\0\2"
					 "\x36\4\x0a\0\0\1"
					 "\x37\4\x33\x36\x3a\x3b"
					 "\x39\2\5\xc0"
					 "\x0c\5"
					 "alice"
					 "\x52\6\5\4\x0a\1\0\1\xff";
	struct dhcp_question q = {
		.type = DHCP_REQUEST,
		.xid = 0x01020304,
		.secs = 0x0506,
		.ciaddr = 0x0a000002,
		.giaddr = 0xc0000209,
		.requested = 0x0a000002,
		.server_id = 0x0a000001,
		.link = 0x0a010001,
		.chaddr = {2, 3, 4, 5, 6, 7},
		.host = "alice",
	};
	uint8_t m[DHCP_BUILT_MAX];
	(void)state;
	dhcp_client_id((const uint8_t *)"ABCDEFGHIJKLMNOP", 9, q.client_id);
	struct wr w = wr_of(m, sizeof(m));
	assert_true(dhcp_build(&q, &w));
	assert_memory_equal(
		m, "\1\1\6\1\1\2\3\4\5\6\0\0\x0a\0\0\2\0\0\0\0\0\0\0\0\xc0\0\2\x09", 28);
	assert_memory_equal(m + 28, "\2\3\4\5\6\7\0\0", 8);
	assert_memory_equal(m + 236, "\x63\x82\x53\x63", 4);
	assert_memory_equal(m + 240, options, sizeof(options) - 1);
	assert_int_equal(w.len, 240 + sizeof(options) - 1 > 300 ? 240 + sizeof(options) - 1 : 300);
	for (size_t cap = 0; cap < w.len; cap++) {
		struct wr less = wr_of(m, cap);
		assert_false(dhcp_build(&q, &less));
	}
	char host[80];
	memset(host, 'a', sizeof(host));
	q.host = host; // not longer than it may be, whatever is handed in
	w = wr_of(m, sizeof(m));
	assert_true(dhcp_build(&q, &w));
	assert_true(w.len <= DHCP_BUILT_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_wherever_they_stand),
		cmocka_unit_test(client_ids),
		cmocka_unit_test(builds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
