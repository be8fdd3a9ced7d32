// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP's suites by both versions of IKE: which one two lists agree on, and that both data planes are given
// keys of its lengths, the same ones.
#include "tests/engine/v1_pair.h"

#define LEGACY "legacy = [ \"des\", \"3des\", \"md5\" ];"

struct row {
	const char *gw, *client;     // esp_proposals' items
	const char *v1, *v2;         // what either version agrees on; NULL: nothing
	uint8_t encr_key, integ_key; // bytes of v2's; salt included
};

#define SAME(text, encr, integ)                                                       \
	{                                                                             \
		"\"" text "\"", "\"" text "\"", text "-esn", text "-esn", encr, integ \
	}

static const struct row rows[] = {
	SAME("aes128gcm16", 20, 0),
	SAME("aes192gcm16", 28, 0),
	SAME("aes256gcm16", 36, 0),
	SAME("aes128gcm12", 20, 0),
	SAME("aes192gcm12", 28, 0),
	SAME("aes256gcm12", 36, 0),
	SAME("aes128gcm8", 20, 0),
	SAME("aes192gcm8", 28, 0),
	SAME("aes256gcm8", 36, 0),
	SAME("aes128ccm16", 19, 0),
	SAME("aes256ccm16", 35, 0),
	SAME("aes128ccm12", 19, 0),
	SAME("aes256ccm12", 35, 0),
	SAME("aes128ccm8", 19, 0),
	SAME("aes256ccm8", 35, 0),
	SAME("aes128gmac", 20, 0),
	SAME("aes192gmac", 28, 0),
	SAME("aes256gmac", 36, 0),
	SAME("aes128-sha1", 16, 20),
	SAME("aes192-sha256", 24, 32),
	SAME("aes256-sha384", 32, 48),
	SAME("aes128-sha512", 16, 64),
	SAME("aes256-aesxcbc", 32, 16),
	SAME("aes128ctr-sha1", 20, 20),
	SAME("aes192ctr-sha384", 28, 48),
	SAME("aes256ctr-sha512", 36, 64),
	SAME("aes128ctr-aesxcbc", 20, 16),
	SAME("null-sha1", 0, 20),
	SAME("null-sha256", 0, 32),
	SAME("null-sha384", 0, 48),
	SAME("null-sha512", 0, 64),
	SAME("null-md5", 0, 16),
	SAME("null-aesxcbc", 0, 16),
	SAME("3des-sha1", 24, 20),
	SAME("3des-md5", 24, 16),
	SAME("des-md5", 8, 16),
	SAME("des-aesxcbc", 8, 16),
	// IKEv2 alone has numbers for these.
	{"\"chacha20poly1305\", \"aes128gcm16\"", "\"chacha20poly1305\", \"aes128gcm16\"",
		"aes128gcm16-esn", "chacha20poly1305-esn", 36, 0},
	{"\"aes256-aescmac-sha1\"", "\"aes256-aescmac-sha1\"", "aes256-sha1-esn",
		"aes256-aescmac-esn", 32, 16},
	{"\"null-aescmac-aesxcbc\"", "\"null-aescmac-aesxcbc\"", "null-aesxcbc-esn",
		"null-aescmac-esn", 0, 16},
	// Other spellings.
	{"\"aes128ccm64\"", "\"aes128ccm8\"", "aes128ccm8-esn", "aes128ccm8-esn", 19, 0},
	{"\"aes256gcm96\"", "\"aes256gcm12\"", "aes256gcm12-esn", "aes256gcm12-esn", 36, 0},
	// The client's order by IKEv1, the gateway's by IKEv2.
	{"\"aes128gcm16\", \"aes128ccm16-aes256ccm16\", \"aes128-aesxcbc\"",
		"\"aes256gmac\", \"aes256ccm16-aes128ccm16\", \"aes128gcm16\"", "aes256ccm16-esn",
		"aes128gcm16-esn", 20, 0},
	{"\"aes128-aes256-sha512-aesxcbc\"", "\"aes256ctr-sha256\", \"aes256-aesxcbc-sha512\"",
		"aes256-aesxcbc-esn", "aes256-sha512-esn", 32, 64},
	// The lengths of key and ICV are part of it, and GMAC is not GCM.
	{"\"aes128ccm16\"", "\"aes256ccm16\"", NULL, NULL, 0, 0},
	{"\"aes128ccm16\"", "\"aes128ccm8\"", NULL, NULL, 0, 0},
	{"\"aes128gcm16\"", "\"aes128gmac\"", NULL, NULL, 0, 0},
	{"\"aes128gmac\"", "\"aes192gmac\"", NULL, NULL, 0, 0},
	{"\"aes128-sha256\"", "\"null-sha256\"", NULL, NULL, 0, 0},
	{"\"aes128-aesxcbc\"", "\"aes128-sha1\"", NULL, NULL, 0, 0},
};

static void children(const struct row *r, char gw[static 256], char client[static 256])
{
	snprintf(gw, 256,
		"{ name = \"lan\"; local_ts = [ \"10.99.0.0/24\" ]; "
		"esp_proposals = [ %s ]; }",
		r->gw);
	snprintf(client, 256,
		"{ name = \"lan\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"10.99.0.0/24\" ]; "
		"esp_proposals = [ %s ]; }",
		r->client);
}

static const struct sa_spec *only_sa(struct bench_node *n, enum sa_dir dir)
{
	struct bench_sa *sa;
	const struct sa_spec *found = NULL;
	LIST_FOREACH (sa, &n->sink.sas, link) {
		if (sa->spec.dir != dir)
			continue;
		assert_null(found);
		found = &sa->spec;
	}
	return found;
}

static void same_keys(const struct sa_spec *in, const struct sa_spec *out, const char *suite)
{
	char text[SUITE_TEXT_MAX];
	assert_non_null(in);
	assert_non_null(out);
	struct suite s = {.encr = in->encr, .integ = in->integ, .esn = in->esn};
	assert_string_equal(suite_text(&s, text), suite);
	assert_true(in->spi == out->spi && in->esn == out->esn && in->integ == out->integ);
	assert_int_equal(in->encr.id, out->encr.id);
	assert_int_equal(in->encr_key_len, out->encr_key_len);
	assert_int_equal(in->integ_key_len, out->integ_key_len);
	assert_memory_equal(in->encr_key, out->encr_key, in->encr_key_len);
	assert_memory_equal(in->integ_key, out->integ_key, in->integ_key_len);
}

static void check_sas(struct bench_node *gw, struct bench_node *client, const char *suite)
{
	const struct sa_spec *in = only_sa(gw, SA_IN);
	if (!suite) {
		assert_null(in);
		assert_null(only_sa(client, SA_OUT));
		return;
	}
	same_keys(in, only_sa(client, SA_OUT), suite);
	same_keys(only_sa(client, SA_IN), only_sa(gw, SA_OUT), suite);
}

static void check_lengths(struct bench_node *gw, const struct row *r)
{
	const struct sa_spec *in = only_sa(gw, SA_IN);
	if (!in)
		return;
	assert_int_equal(in->encr_key_len, r->encr_key);
	assert_int_equal(in->integ_key_len, r->integ_key);
}

static void by_ikev2(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char gw_child[256], client_child[256];
		children(&rows[i], gw_child, client_child);
		struct side gw = {.children = gw_child,
			.more = LEGACY "mode_config = [ \"respond\" ]; pools = [ \"p4\" ];"};
		struct side client = {.children = client_child, .more = LEGACY};
		struct pair p = pair_new(&gw, &client);
		print_message("# %s, %s\n", rows[i].gw, rows[i].client);
		bool up = pair_up(&p);
		check_sas(p.gw, p.client, rows[i].v2);
		check_lengths(p.gw, &rows[i]);
		assert_int_equal(up && pair_traffic(&p), rows[i].v2 != NULL);
		bench_free(p.b);
	}
}

static void by_ikev1(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char gw_child[256], client_child[256];
		children(&rows[i], gw_child, client_child);
		struct v1_setup s = {.gw_children = gw_child,
			.client_children = client_child,
			.gw_more = LEGACY,
			.client_more = LEGACY};
		struct v1 v = v1_new(&s);
		print_message("# %s, %s\n", rows[i].gw, rows[i].client);
		bool up = v1_up_within(&v, rows[i].v1 ? 5000 : 1000);
		assert_int_equal(up, rows[i].v1 != NULL);
		check_sas(v.gw, v.client, rows[i].v1);
		if (rows[i].v1 && strcmp(rows[i].v1, rows[i].v2) == 0)
			check_lengths(v.gw, &rows[i]);
		v1_free(&v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_ikev2),
		cmocka_unit_test(by_ikev1),
	};
	return cmocka_run_group_tests_name("suites", tests, NULL, NULL);
}
