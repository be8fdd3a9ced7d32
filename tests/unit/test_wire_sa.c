// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/wire_cases.h"

static struct wire_proposals parsed;

static enum wire_error parse(struct view body)
{
	return wire_sa_parse(body, &parsed);
}

// The example of RFC 7296 3.3: two ESP proposals, AES-CBC with two integrity algorithms and ESN or
// not, and AES-GCM with an 8 octet ICV.
static const uint8_t rfc_example[] = {
	2, 0, 0, 80, 1, 3, 4, 7, 0x05, 0x23, 0x57, 0xbb, // proposal 1: 7 transforms
	3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 0, 128,      //
	3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 0, 192,      //
	3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0,        //
	3, 0, 0, 8, 3, 0, 0, 2,                          // AUTH_HMAC_SHA1_96
	3, 0, 0, 8, 3, 0, 0, 5,                          // AUTH_AES_XCBC_96
	3, 0, 0, 8, 5, 0, 0, 1,                          // ESNs
	0, 0, 0, 8, 5, 0, 0, 0,                          // no ESNs
	0, 0, 0, 64, 2, 3, 4, 5, 0x35, 0xa1, 0xd6, 0xf2, // proposal 2: 5 transforms
	3, 0, 0, 12, 1, 0, 0, 18, 0x80, 14, 0, 128,      //
	3, 0, 0, 12, 1, 0, 0, 18, 0x80, 14, 0, 192,      //
	3, 0, 0, 12, 1, 0, 0, 18, 0x80, 14, 1, 0,        //
	3, 0, 0, 8, 5, 0, 0, 1,                          //
	0, 0, 0, 8, 5, 0, 0, 0,                          //
};

static const struct wire_sa_policy esp_auth = {
	.protocol = IKEV2_PROTOCOL_ESP, .spi_len = 4, .prefer_mine = true, .pfs = WIRE_PFS_IGNORE};
static const struct wire_sa_policy ike_initial = {
	.protocol = IKEV2_PROTOCOL_IKE, .prefer_mine = true};

static void rfc_proposals(void **state)
{
	struct wire_choice c;
	struct wire_sa_policy policy = esp_auth;
	(void)state;
	struct view body = {rfc_example, sizeof(rfc_example)};
	assert_int_equal(parse(body), WIRE_OK);
	assert_int_equal(parsed.count, 2);
	assert_int_equal(parsed.transform_count, 12);
	assert_true(parsed.items[0].spi == 0x052357bb && parsed.items[1].spi == 0x35a1d6f2);
	assert_int_equal(parsed.transforms[2].key_bits, 256);

	struct proposal mine[] = {
		proposal_of("aes256gcm8", true), proposal_of("aes192-aes128-sha1", true)};
	assert_int_equal(wire_select(mine, 2, &policy, &parsed, &c), WIRE_OK);
	assert_int_equal(c.number, 2);
	assert_int_equal(c.mine, 0);
	assert_true(c.spi == 0x35a1d6f2 && c.spi_len == 4);
	assert_true(c.suite.encr.id == ENCR_AES_GCM_8 && c.suite.encr.key_bits == 256);
	assert_false(c.suite.esn);
	policy.prefer_mine = false;
	policy.esn = true;
	assert_int_equal(wire_select(mine, 2, &policy, &parsed, &c), WIRE_OK);
	assert_int_equal(c.number, 1);
	assert_int_equal(c.mine, 1);
	assert_int_equal(c.suite.encr.key_bits, 128); // the peer's order
	assert_int_equal(c.suite.integ, INTEG_HMAC_SHA1_96);
	assert_true(c.suite.esn);
}

static void zero_spi(void **state)
{
	uint8_t body[sizeof(rfc_example)];
	struct proposal mine = proposal_of("aes192-sha1", true);
	struct wire_choice c;
	(void)state;
	memcpy(body, rfc_example, sizeof(body));
	assert_int_equal(parse((struct view){body, sizeof(body)}), WIRE_OK);
	assert_int_equal(wire_select(&mine, 1, &esp_auth, &parsed, &c), WIRE_OK);
	memset(body + 8, 0, 4);
	assert_int_equal(parse((struct view){body, sizeof(body)}), WIRE_OK);
	assert_int_equal(wire_select(&mine, 1, &esp_auth, &parsed, &c), WIRE_NO_PROPOSAL);
}

static void damage(void **state)
{
	static const size_t lengths[] = {2, 14, 26, 38, 50, 58, 66, 74, 82, 94};
	static const struct {
		size_t at;
		uint8_t value;
	} bytes[] = {
		{0, 0}, {0, 1}, {0, 3}, {0, 255},         // more proposals
		{80, 2}, {80, 3},                         // none behind the last
		{12, 0}, {12, 2}, {72, 3},                // more transforms
		{7, 0}, {7, 6}, {7, 8},                   // their number
		{6, 0}, {6, 3}, {6, 5}, {6, 8}, {6, 255}, // SPI size
		{20, 0}, // a key length of two bytes is a TLV of 128 now, and too long
	};
	(void)state;
	struct view good = {rfc_example, sizeof(rfc_example)};
	refuse_truncated(good, good.len, parse, WIRE_MALFORMED_SA);
	for (size_t i = 0; i < COUNT(lengths); i++)
		refuse_lengths(good, lengths[i], parse);
	for (size_t i = 0; i < COUNT(bytes); i++) {
		struct view bad = exact_copy(good);
		((uint8_t *)(uintptr_t)bad.p)[bytes[i].at] = bytes[i].value;
		assert_int_equal(parse(bad), WIRE_MALFORMED_SA);
		free_view(bad);
	}
}

#define KEYLEN(bits) (0x10000u | (bits)) // the attribute with this value
#define TWICE        0x20000u            // the attribute again
#define STRANGE      0x40000u            // an unknown attribute

struct transform_case {
	uint8_t type;
	uint16_t id;
	uint32_t attributes;
};

struct proposal_case {
	uint8_t number, protocol, spi_len;
	struct transform_case transforms[10]; // until type 0
};

static void put_transform(struct wr *w, const struct transform_case *t, bool last)
{
	size_t start = wr_mark(w);
	wr_u8(w, last ? 0 : 3);
	wr_u8(w, 0xaa); // reserved
	wr_u16(w, 0);
	wr_u8(w, t->type);
	wr_u8(w, 0xbb); // reserved
	wr_u16(w, t->id);
	for (int i = 0; i < (t->attributes & TWICE ? 2 : 1); i++)
		if (t->attributes & 0x10000) {
			wr_u16(w, 0x800e);
			wr_u16(w, (uint16_t)t->attributes);
		}
	if (t->attributes & STRANGE) {
		wr_u16(w, 0x4711);
		wr_u16(w, 3);
		wr_zero(w, 3);
	}
	wr_patch_u16(w, start + 2, (uint16_t)(wr_mark(w) - start));
}

// Writes SA bodies without the code under test.
static void put_proposal(struct wr *w, const struct proposal_case *p, bool last)
{
	size_t start = wr_mark(w);
	uint8_t n = 0;
	while (n < COUNT(p->transforms) && p->transforms[n].type)
		n++;
	wr_u8(w, last ? 0 : 2);
	wr_u8(w, 0xcc);
	wr_u16(w, 0);
	wr_u8(w, p->number);
	wr_u8(w, p->protocol);
	wr_u8(w, p->spi_len);
	wr_u8(w, n);
	for (uint8_t i = 0; i < p->spi_len; i++)
		wr_u8(w, (uint8_t)(0x40 + i));
	for (uint8_t i = 0; i < n; i++)
		put_transform(w, &p->transforms[i], i + 1 == n);
	wr_patch_u16(w, start + 2, (uint16_t)(wr_mark(w) - start));
}

static void parse_case(const struct proposal_case *p, size_t count)
{
	uint8_t buf[2048];
	struct wr w = wr_of(buf, sizeof(buf));
	for (size_t i = 0; i < count; i++)
		put_proposal(&w, &p[i], i + 1 == count);
	struct view body = exact_copy(wr_done(&w));
	assert_int_equal(parse(body), WIRE_OK);
	free_view(body);
}

#define E(id, bits)                              \
	{                                        \
		TRANSFORM_ENCR, id, KEYLEN(bits) \
	}
#define PRF(id)                      \
	{                            \
		TRANSFORM_PRF, id, 0 \
	}
#define INTEG(id)                      \
	{                              \
		TRANSFORM_INTEG, id, 0 \
	}
#define DH(id)                      \
	{                           \
		TRANSFORM_DH, id, 0 \
	}
#define ESN(id)                      \
	{                            \
		TRANSFORM_ESN, id, 0 \
	}

// Each is one proposal of the peer against our one; suite NULL: refused.
static const struct {
	const char *mine;
	struct proposal_case peer;
	const char *suite;
} ike_choice_cases[] = {
	{"aes128gcm16-prfsha256-x25519", {1, 1, 0, {E(20, 128), PRF(5), DH(31)}},
		"aes128gcm16-prfsha256-x25519"},
	// INTEG NONE with an AEAD (RFC 7296 3.3.2), or one that is real
	{"aes128gcm16-prfsha256-x25519", {1, 1, 0, {E(20, 128), PRF(5), INTEG(0), DH(31)}},
		"aes128gcm16-prfsha256-x25519"},
	{"aes128gcm16-prfsha256-x25519", {1, 1, 0, {E(20, 128), PRF(5), INTEG(12), DH(31)}}, NULL},
	{"aes128-sha256-modp2048", {3, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"}, // numbers begin where they like
	// row 9: no group; NONE as the group
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(0)}}, NULL},
	// each mandatory type in turn
	{"aes128-sha256-modp2048", {1, 1, 0, {PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(0), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {{0}}}, NULL},
	// row 6: private and unknown groups
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(1025)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(1025), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"},
	// types that do not belong, or are not known: RFC 7296 3.3.6
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(14), ESN(0)}},
		NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(14), {6, 35, 0}}},
		NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), PRF(5), INTEG(12), DH(14), {241, 1, 0}}},
		NULL},
	// row 51: key length absent, 0, wrong, twice; unknown attribute; on a PRF
	{"aes128-sha256-modp2048", {1, 1, 0, {{1, 12, 0}, PRF(5), INTEG(12), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"},
	{"aes128-sha256-modp2048", {1, 1, 0, {{1, 12, KEYLEN(0)}, PRF(5), INTEG(12), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"},
	{"aes256-sha256-modp2048", {1, 1, 0, {{1, 12, 0}, PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {{1, 12, KEYLEN(127)}, PRF(5), INTEG(12), DH(14)}},
		NULL},
	{"aes128-sha256-modp2048",
		{1, 1, 0, {{1, 12, KEYLEN(128) | TWICE}, PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048",
		{1, 1, 0, {{1, 12, KEYLEN(128) | TWICE}, E(12, 128), PRF(5), INTEG(12), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"}, // only the transform is spoilt
	{"aes128-sha256-modp2048",
		{1, 1, 0, {{1, 12, KEYLEN(128) | STRANGE}, PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 0, {E(12, 128), {2, 5, KEYLEN(256)}, INTEG(12), DH(14)}},
		NULL},
	{"3des-sha1-modp2048", {1, 1, 0, {{1, 3, 0}, PRF(2), INTEG(2), DH(14)}},
		"3des-sha1-prfsha1-modp2048"},
	{"3des-sha1-modp2048", {1, 1, 0, {E(3, 128), PRF(2), INTEG(2), DH(14)}}, NULL},
	{"chacha20poly1305-prfsha256-x25519", {1, 1, 0, {{1, 28, 0}, PRF(5), DH(31)}},
		"chacha20poly1305-prfsha256-x25519"},
	{"chacha20poly1305-prfsha256-x25519", {1, 1, 0, {E(28, 256), PRF(5), DH(31)}},
		"chacha20poly1305-prfsha256-x25519"},
	// another protocol, an SPI where none may be
	{"aes128-sha256-modp2048", {1, 3, 0, {E(12, 128), PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 8, {E(12, 128), PRF(5), INTEG(12), DH(14)}}, NULL},
	{"aes128-sha256-modp2048", {1, 1, 5, {E(12, 128), PRF(5), INTEG(12), DH(14)}}, NULL},
	// our order, over the peer's
	{"aes256-aes128-sha512-sha256-x25519-modp2048",
		{1, 1, 0,
			{E(12, 128), E(12, 256), PRF(5), PRF(7), INTEG(12), INTEG(14), DH(14),
				DH(31)}},
		"aes256-sha512-prfsha512-x25519"},
	// AEAD and others mixed in one proposal: only the others can be meant with INTEG
	{"aes128-sha256-modp2048", {1, 1, 0, {E(20, 128), E(12, 128), PRF(5), INTEG(12), DH(14)}},
		"aes128-sha256-prfsha256-modp2048"},
};

static void ike_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ike_choice_cases); i++) {
		struct proposal mine = proposal_of(ike_choice_cases[i].mine, false);
		struct wire_choice c;
		char text[SUITE_TEXT_MAX];
		parse_case(&ike_choice_cases[i].peer, 1);
		enum wire_error e = wire_select(&mine, 1, &ike_initial, &parsed, &c);
		if ((e == WIRE_OK) != (ike_choice_cases[i].suite != NULL))
			print_error("case %zu\n", i);
		assert_int_equal(e, ike_choice_cases[i].suite ? WIRE_OK : WIRE_NO_PROPOSAL);
		if (!ike_choice_cases[i].suite)
			continue;
		assert_int_equal(c.number, ike_choice_cases[i].peer.number);
		// suite_text() orders by cipher, integrity, PRF, group.
		assert_string_equal(suite_text(&c.suite, text), ike_choice_cases[i].suite);
	}
}

static const struct {
	const char *mine;
	enum wire_pfs pfs;
	bool esn;
	struct transform_case peer[8];
	const char *suite;
} esp_choice_cases[] = {
	{"aes128gcm16", WIRE_PFS_IGNORE, false, {E(20, 128), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16", WIRE_PFS_IGNORE, false, {E(20, 128)}, "aes128gcm16"},
	{"aes128gcm16", WIRE_PFS_IGNORE, true, {E(20, 128), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16", WIRE_PFS_IGNORE, false, {E(20, 128), ESN(1)}, "aes128gcm16-esn"},
	{"aes128gcm16", WIRE_PFS_IGNORE, false, {E(20, 128), ESN(1), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16", WIRE_PFS_IGNORE, true, {E(20, 128), ESN(0), ESN(1)}, "aes128gcm16-esn"},
	{"aes128gcm16", WIRE_PFS_IGNORE, true, {E(20, 128), ESN(2)}, NULL},
	{"aes128gcm16", WIRE_PFS_IGNORE, true, {E(20, 128), PRF(5), ESN(0)}, NULL},
	// AES-CCM with 192 bits, which nobody can configure
	{"aes256ccm16-aes128ccm16", WIRE_PFS_IGNORE, false, {E(16, 192), ESN(0)}, NULL},
	{"aes256ccm16-aes128ccm16", WIRE_PFS_IGNORE, false, {E(14, 192), E(15, 192), ESN(0)}, NULL},
	{"aes256ccm16-aes128ccm16", WIRE_PFS_IGNORE, false, {E(16, 192), E(16, 128), ESN(0)},
		"aes128ccm16"},
	// row 62: nothing that would be keyed or authenticated
	{"aes128-sha256", WIRE_PFS_IGNORE, true, {E(12, 128), ESN(0)}, NULL},
	{"aes128-sha256", WIRE_PFS_IGNORE, true, {E(12, 128), INTEG(0), ESN(0)}, NULL},
	{"aes128gcm16", WIRE_PFS_IGNORE, true, {{1, 21, KEYLEN(128)}, ESN(0)}, NULL},
	// groups, in IKE_AUTH and later
	{"aes128gcm16-x25519", WIRE_PFS_IGNORE, false, {E(20, 128), DH(31), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_IGNORE, false, {E(20, 128), DH(0), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_NO, false, {E(20, 128), DH(31), ESN(0)}, NULL},
	{"aes128gcm16-x25519", WIRE_PFS_NO, false, {E(20, 128), DH(31), DH(0), ESN(0)},
		"aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_NO, false, {E(20, 128), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_OPTIONAL, false, {E(20, 128), ESN(0)}, "aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_OPTIONAL, false, {E(20, 128), DH(0), DH(31), ESN(0)},
		"aes128gcm16-x25519"},
	{"aes128gcm16-x25519", WIRE_PFS_OPTIONAL, false, {E(20, 128), DH(14), DH(0), ESN(0)},
		"aes128gcm16"},
	{"aes128gcm16-x25519", WIRE_PFS_OPTIONAL, false, {E(20, 128), DH(14), ESN(0)}, NULL},
	{"aes128gcm16-x25519", WIRE_PFS_REQUIRED, false, {E(20, 128), DH(31), ESN(0)},
		"aes128gcm16-x25519"},
	{"aes128gcm16-x25519", WIRE_PFS_REQUIRED, false, {E(20, 128), DH(0), ESN(0)}, NULL},
	{"aes128gcm16-x25519", WIRE_PFS_REQUIRED, false, {E(20, 128), ESN(0)}, NULL},
	{"aes128gcm16", WIRE_PFS_REQUIRED, false, {E(20, 128), DH(31), ESN(0)}, NULL},
};

static void esp_choice(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(esp_choice_cases); i++) {
		struct proposal mine = proposal_of(esp_choice_cases[i].mine, true);
		struct proposal_case peer = {7, 3, 4, {{0}}};
		struct wire_sa_policy policy = esp_auth;
		struct wire_choice c;
		char text[SUITE_TEXT_MAX];
		policy.pfs = esp_choice_cases[i].pfs;
		policy.esn = esp_choice_cases[i].esn;
		memcpy(peer.transforms, esp_choice_cases[i].peer, sizeof(esp_choice_cases[i].peer));
		parse_case(&peer, 1);
		enum wire_error e = wire_select(&mine, 1, &policy, &parsed, &c);
		if ((e == WIRE_OK) != (esp_choice_cases[i].suite != NULL))
			print_error("case %zu\n", i);
		assert_int_equal(e, esp_choice_cases[i].suite ? WIRE_OK : WIRE_NO_PROPOSAL);
		if (esp_choice_cases[i].suite) {
			assert_string_equal(suite_text(&c.suite, text), esp_choice_cases[i].suite);
			assert_true(c.spi == 0x40414243);
		}
	}
}

static void group_of_the_ke_payload(void **state)
{
	static const struct proposal_case peer = {1, 1, 0, {E(20, 128), PRF(5), DH(31), DH(14)}};
	struct proposal mine = proposal_of("aes128gcm16-prfsha256-x25519-modp2048", false);
	struct wire_sa_policy policy = ike_initial;
	struct wire_choice c;
	(void)state;
	parse_case(&peer, 1);
	assert_int_equal(wire_select(&mine, 1, &policy, &parsed, &c), WIRE_OK);
	assert_int_equal(c.suite.dh, DH_X25519);
	policy.ke_group = DH_MODP_2048;
	assert_int_equal(wire_select(&mine, 1, &policy, &parsed, &c), WIRE_OK);
	assert_int_equal(c.suite.dh, DH_MODP_2048);
	policy.ke_group = DH_ECP_256; // not offered: no matter
	assert_int_equal(wire_select(&mine, 1, &policy, &parsed, &c), WIRE_OK);
	assert_int_equal(c.suite.dh, DH_X25519);
}

// What we offer is chosen from by ourselves as the peer, echoed, and found to be what we offered.
static void negotiation(void **state)
{
	static const struct {
		const char *mine[2];
		bool esp;
		enum wire_pfs pfs;
		uint8_t spi_len;
	} cases[] = {
		{{"aes256gcm16-prfsha384-ecp384", "aes128-sha1-modp2048"}, false, WIRE_PFS_NO, 0},
		{{"3des-sha1-modp2048", "chacha20poly1305-prfsha512-x448"}, false, WIRE_PFS_NO, 8},
		{{"aes128gcm16", "aes256ctr-sha512"}, true, WIRE_PFS_IGNORE, 4},
		{{"aes128gcm16-x25519", "aes256-sha256-ecp256"}, true, WIRE_PFS_REQUIRED, 4},
		{{"aes128gcm16-x25519", "aes256-sha256"}, true, WIRE_PFS_OPTIONAL, 4},
		{{"null-sha256", "aes256-sha256"}, true, WIRE_PFS_NO, 4},
	};
	uint8_t offer_buf[1024], answer_buf[256];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		for (int other = 0; other < 2; other++) {
			struct proposal mine[] = {proposal_of(cases[i].mine[0], cases[i].esp),
				proposal_of(cases[i].mine[1], cases[i].esp)};
			struct wire_sa_policy policy = {
				.protocol = cases[i].esp ? IKEV2_PROTOCOL_ESP : IKEV2_PROTOCOL_IKE,
				.spi_len = cases[i].spi_len,
				.esn = other,
				.pfs = cases[i].pfs};
			struct wire_builder b;
			struct wire_choice c, mirrored;
			wire_build_begin(&b, offer_buf, sizeof(offer_buf));
			wire_build_sa(&b, mine, 2, &policy, 0x1112131415161718);
			assert_int_equal(parse(first_body(&b)), WIRE_OK);
			assert_int_equal(
				wire_select(&mine[other], 1, &policy, &parsed, &c), WIRE_OK);
			assert_int_equal(c.number, other + 1);
			if (c.spi_len)
				assert_true(c.spi ==
					    (c.spi_len == 4 ? 0x15161718 : 0x1112131415161718));
			wire_build_begin(&b, answer_buf, sizeof(answer_buf));
			wire_build_choice(&b, &c, 0x2122232425262728);
			assert_int_equal(parse(first_body(&b)), WIRE_OK);
			assert_int_equal(
				wire_check_choice(mine, 2, &policy, &parsed, &mirrored), WIRE_OK);
			assert_int_equal(mirrored.mine, other);
			assert_memory_equal(&mirrored.suite, &c.suite, sizeof(c.suite));
		}
}

static void refused_answers(void **state)
{
	static const struct {
		struct proposal_case answer[2];
		size_t count;
		bool good;
	} cases[] = {
		{{{1, 1, 0, {E(20, 128), PRF(5), DH(31)}}}, 1, true},
		{{{2, 1, 0, {E(12, 256), PRF(5), INTEG(12), DH(14)}}}, 1, true},
		{{{1, 1, 0, {E(20, 128), PRF(5), DH(31)}}, {2, 1, 0, {E(12, 256)}}}, 2, false},
		{{{0, 1, 0, {E(20, 128), PRF(5), DH(31)}}}, 1, false},
		{{{3, 1, 0, {E(20, 128), PRF(5), DH(31)}}}, 1, false},
		{{{2, 1, 0, {E(20, 128), PRF(5), DH(31)}}}, 1, false}, // of another proposal
		{{{1, 1, 0, {E(20, 256), PRF(5), DH(31)}}}, 1, false},
		{{{1, 1, 0, {{1, 20, 0}, PRF(5), DH(31)}}}, 1, true},
		{{{1, 1, 0, {E(20, 128), PRF(5), DH(14)}}}, 1, false},
		{{{1, 1, 0, {E(20, 128), PRF(5), DH(31), DH(31)}}}, 1, false},
		{{{1, 1, 0, {E(20, 128), E(20, 128), PRF(5), DH(31)}}}, 1, false},
		{{{1, 1, 0, {E(20, 128), PRF(5)}}}, 1, false},
		{{{1, 3, 0, {E(20, 128), PRF(5), DH(31)}}}, 1, false},
		{{{1, 1, 8, {E(20, 128), PRF(5), DH(31)}}}, 1, false},
	};
	struct proposal mine[] = {proposal_of("aes128gcm16-prfsha256-x25519", false),
		proposal_of("aes256-sha256-modp2048", false)};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct wire_choice c;
		parse_case(cases[i].answer, cases[i].count);
		enum wire_error e = wire_check_choice(mine, 2, &ike_initial, &parsed, &c);
		if ((e == WIRE_OK) != cases[i].good)
			print_error("case %zu\n", i);
		assert_int_equal(e, cases[i].good ? WIRE_OK : WIRE_BAD_CHOICE);
	}
	// ESN that was not offered.
	struct proposal esp = proposal_of("aes128gcm16", true);
	struct wire_choice c;
	parse_case(&(struct proposal_case){1, 3, 4, {E(20, 128), ESN(1)}}, 1);
	assert_int_equal(wire_check_choice(&esp, 1, &esp_auth, &parsed, &c), WIRE_BAD_CHOICE);
	parse_case(&(struct proposal_case){1, 3, 4, {E(20, 128), ESN(0)}}, 1);
	assert_int_equal(wire_check_choice(&esp, 1, &esp_auth, &parsed, &c), WIRE_OK);
}

static void limits(void **state)
{
	uint8_t buf[8192];
	(void)state;
	for (unsigned n = WIRE_PROPOSALS_MAX; n <= WIRE_PROPOSALS_MAX + 1; n++) {
		struct wr w = wr_of(buf, sizeof(buf));
		struct proposal_case p = {1, 1, 0, {DH(14)}};
		for (unsigned i = 0; i < n; i++)
			put_proposal(&w, &p, i + 1 == n);
		assert_int_equal(parse(wr_done(&w)),
			n == WIRE_PROPOSALS_MAX ? WIRE_OK : WIRE_TOO_MANY_PROPOSALS);
	}
	// 128 transforms in 16 proposals of 8, then one more.
	for (unsigned more = 0; more < 2; more++) {
		struct wr w = wr_of(buf, sizeof(buf));
		struct proposal_case p = {
			1, 1, 0, {DH(1), DH(2), DH(3), DH(4), DH(5), DH(6), DH(7), DH(8)}};
		struct proposal_case one = {2, 1, 0, {DH(14)}};
		for (unsigned i = 0; i < 16; i++)
			put_proposal(&w, &p, i == 15 && !more);
		if (more)
			put_proposal(&w, &one, true);
		assert_int_equal(parse(wr_done(&w)), more ? WIRE_TOO_MANY_TRANSFORMS : WIRE_OK);
	}
	// 255 transforms announced.
	assert_int_equal(parse(V(0, 0, 0, 16, 1, 1, 0, 255, 0, 0, 0, 8, 4, 0, 0, 14)),
		WIRE_TOO_MANY_TRANSFORMS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_proposals),
		cmocka_unit_test(zero_spi),
		cmocka_unit_test(damage),
		cmocka_unit_test(ike_choice),
		cmocka_unit_test(esp_choice),
		cmocka_unit_test(group_of_the_ke_payload),
		cmocka_unit_test(negotiation),
		cmocka_unit_test(refused_answers),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
