// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "tests/unit/ikev1_cases.h"
#include "tests/unit/wire_cases.h"

#define VIEW(array)                  \
	(struct view)                \
	{                            \
		array, sizeof(array) \
	}

static struct ikev1_sa_offer parsed;

static enum wire_error parse_ike(struct view body)
{
	return ikev1_sa_parse(body, true, &parsed);
}

static enum wire_error parse_esp(struct view body)
{
	return ikev1_sa_parse(body, false, &parsed);
}

static bool any_auth(void *ctx, uint16_t auth)
{
	(void)ctx;
	(void)auth;
	return true;
}

static bool this_auth(void *ctx, uint16_t auth)
{
	return *(const uint16_t *)ctx == auth;
}

// ---- What peers send ----

static void vpnc_phase1(void **state)
{
	// The second transform alone, as it came.
	static const uint8_t answer[] = {1, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 48, 1, 1, 0,
		1, 0, 0, 0, 40, 1, 1, 0, 0, 0x80, 14, 0, 128, 0x80, 1, 0, 7, 0x80, 2, 0, 1, 0x80, 4,
		0, 2, 0x80, 3, 0xfd, 0xe9, 0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0x20, 0xc4, 0x9b};
	struct proposal mine[] = {
		proposal_of("des-md5-modp1024", false), proposal_of("aes128-md5-modp1024", false)};
	struct ikev1_choice c;
	struct wire_builder b;
	uint8_t buf[128];
	uint16_t psk = IKEV1_AUTH_PSK;
	(void)state;
	struct view body = exact_copy(VIEW(vpnc_phase1_sa));
	assert_int_equal(parse_ike(body), WIRE_OK);
	assert_true(parsed.count == 1 && parsed.transform_count == 4);
	for (uint8_t i = 0; i < 4; i++) {
		assert_false(parsed.transforms[i].unusable);
		assert_true(parsed.transforms[i].life_s == 2147483);
		assert_int_equal(parsed.transforms[i].number, i);
	}
	assert_int_equal(parsed.transforms[0].auth, IKEV1_AUTH_XAUTH_INIT_PSK);
	assert_int_equal(parsed.transforms[0].suite.encr.key_bits, 256);
	assert_int_equal(parsed.transforms[2].suite.encr.id, ENCR_3DES);

	// The peer's order counts, not ours.
	assert_int_equal(ikev1_select_ike(mine, 2, &parsed, any_auth, NULL, &c), WIRE_OK);
	assert_int_equal(c.mine, 1);
	assert_int_equal(c.transform.number, 1);
	assert_int_equal(c.transform.suite.prf, PRF_HMAC_MD5);
	assert_int_equal(c.transform.suite.integ, INTEG_HMAC_MD5_96);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_choice(&b, &c, 0);
	struct view out = wire_build_done(&b);
	assert_int_equal(out.len, sizeof(answer));
	assert_memory_equal(out.p + 1, answer + 1, sizeof(answer) - 1);

	assert_int_equal(ikev1_select_ike(mine, 2, &parsed, this_auth, &psk, &c), WIRE_OK);
	assert_true(c.mine == 0 && c.transform.number == 3);
	psk = IKEV1_AUTH_RSA_ENCRYPTION; // CVE-2018-0131: not ours, so not there
	assert_int_equal(ikev1_select_ike(mine, 2, &parsed, this_auth, &psk, &c), WIRE_NO_PROPOSAL);
	free_view(body);
}

static void vpnc_quick(void **state)
{
	struct proposal mine[] = {proposal_of("3des-md5", true), proposal_of("aes256-sha1", true)};
	struct ikev1_esp_policy policy = {.encap_udp = true};
	struct ikev1_choice c;
	struct wire_builder b;
	uint8_t buf[128];
	(void)state;
	assert_int_equal(parse_esp(VIEW(vpnc_quick_sa)), WIRE_OK);
	assert_int_equal(parsed.count, 2);
	assert_int_equal(ikev1_select_esp(mine, 2, &policy, &parsed, &c), WIRE_OK);
	assert_true(c.mine == 1 && c.proposal.number == 1 && c.proposal.spi == 0xc0ffee01);
	assert_int_equal(ikev1_select_esp(mine, 1, &policy, &parsed, &c), WIRE_OK);
	assert_true(c.proposal.number == 2 && c.transform.suite.integ == INTEG_HMAC_MD5_96);
	assert_true(c.transform.encap == IKEV1_ENCAP_UDP_TUNNEL && c.transform.life_s == 2147483);

	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_choice(&b, &c, 0x11223344);
	assert_int_equal(parse_esp(first_body(&b)), WIRE_OK);
	assert_true(parsed.count == 1 && parsed.items[0].number == 2);
	assert_true(parsed.items[0].spi == 0x11223344);
	assert_true(view_eq(parsed.transforms[0].attrs, c.transform.attrs));
}

static void strongswan_offers(void **state)
{
	struct proposal ike = proposal_of("aes256-sha384-ecp384", false);
	struct proposal esp = proposal_of("aes128gcm16-ecp256", true);
	struct ikev1_esp_policy policy = {
		.esn = true, .pfs = WIRE_PFS_REQUIRED, .ke_group = DH_ECP_256};
	struct ikev1_choice c;
	(void)state;
	assert_int_equal(parse_ike(VIEW(strongswan_phase1_sa)), WIRE_OK);
	assert_int_equal(ikev1_select_ike(&ike, 1, &parsed, any_auth, NULL, &c), WIRE_OK);
	assert_true(c.proposal.number == 0 && c.transform.number == 2);
	assert_true(c.transform.suite.dh == DH_ECP_384 && c.transform.life_s == 14400);

	assert_int_equal(parse_esp(VIEW(strongswan_quick_sa)), WIRE_OK);
	assert_true(parsed.transforms[0].life_s == 3600 && parsed.transforms[0].life_kb == 4096);
	assert_int_equal(ikev1_select_esp(&esp, 1, &policy, &parsed, &c), WIRE_OK);
	assert_true(c.transform.number == 2 && c.transform.suite.esn); // preferred
	assert_int_equal(c.transform.suite.integ, INTEG_NONE);
	policy.esn = false;
	assert_int_equal(ikev1_select_esp(&esp, 1, &policy, &parsed, &c), WIRE_OK);
	assert_true(c.transform.number == 1 && !c.transform.suite.esn);
}

// ---- Attributes ----

struct attr_case {
	uint8_t id, attrs[32];
	size_t len;
	bool usable;
	uint16_t key_bits;
};

static void check_attrs(const struct attr_case *cases, size_t n, bool phase1)
{
	for (size_t i = 0; i < n; i++) {
		uint8_t buf[256];
		struct view attrs = {cases[i].attrs, cases[i].len};
		struct view body = exact_copy(one_transform(buf, phase1, cases[i].id, attrs));
		assert_int_equal(ikev1_sa_parse(body, phase1, &parsed), WIRE_OK);
		assert_int_equal(parsed.transforms[0].unusable, !cases[i].usable);
		if (cases[i].usable)
			assert_int_equal(
				parsed.transforms[0].suite.encr.key_bits, cases[i].key_bits);
		assert_true(view_eq(parsed.transforms[0].attrs, attrs));
		free_view(body);
	}
}

static void ike_attributes(void **state)
{
	static const struct attr_case cases[] = {
		{1, {B(1, 7), IKE_REST}, 16, true, 128}, // AES without a length
		{1, {B(1, 7), B(14, 192), IKE_REST}, 20, true, 192},
		{1, {B(14, 256), B(1, 7), IKE_REST}, 20, true, 256}, // before the cipher
		{1, {B(1, 7), B(14, 0), IKE_REST}, 20, false, 0},
		{1, {B(1, 7), B(14, 129), IKE_REST}, 20, false, 0},
		{1, {B(1, 5), IKE_REST}, 16, true, 192},
		{1, {B(1, 5), B(14, 192), IKE_REST}, 20, true, 192},
		{1, {B(1, 5), B(14, 168), IKE_REST}, 20, false, 0},
		{1, {B(1, 1), IKE_REST}, 16, true, 64},
		{1, {B(1, 3), IKE_REST}, 16, false, 0},           // Blowfish
		{1, {B(1, 7), B(1, 7), IKE_REST}, 20, false, 0},  // twice
		{1, {B(1, 7), IKE_REST, B(13, 1)}, 20, false, 0}, // a PRF
		{1, {B(1, 7), IKE_REST, B(5, 1)}, 20, true, 128}, // group type MODP
		{1, {B(1, 7), IKE_REST, B(5, 9)}, 20, false, 0},
		{1, {B(1, 7), IKE_REST, B(6, 9)}, 20, false, 0}, // a prime of its own
		{1, {B(1, 7), IKE_REST, B(99, 9)}, 20, false, 0},
		{1, {B(1, 7), IKE_REST, 0xff, 0xff, 0, 1}, 20, false, 0},
		{1, {B(1, 7), B(2, 3), B(3, 1), B(4, 14)}, 16, false, 0}, // TIGER
		{1, {B(1, 7), B(2, 2), B(3, 1), B(4, 999)}, 16, false, 0},
		{1, {B(1, 7), B(2, 2), B(3, 1)}, 12, false, 0},  // no group
		{1, {B(1, 7), B(2, 2), B(4, 14)}, 12, false, 0}, // no method
		{1, {B(1, 7), B(3, 1), B(4, 14)}, 12, false, 0}, // no hash
		{1, {IKE_REST}, 12, false, 0},
		{1, {0}, 0, false, 0},
		{2, {B(1, 7), IKE_REST}, 16, false, 0}, // no KEY_IKE
		// Values as variable attributes
		{1, {0, 1, 0, 2, 0, 7, IKE_REST}, 18, true, 128},
		{1, {0, 1, 0, 1, 7, IKE_REST}, 17, true, 128},
		{1, {0, 1, 0, 0, IKE_REST}, 16, false, 0},
		{1, {0, 1, 0, 4, 0, 1, 0, 7, IKE_REST}, 20, false, 0},
		{1, {0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 7, IKE_REST}, 25, false, 0},
		// Life
		{1, {B(1, 7), IKE_REST, B(11, 1), B(12, 60)}, 24, true, 128},
		{1, {B(1, 7), IKE_REST, B(11, 1)}, 20, false, 0},
		{1, {B(1, 7), IKE_REST, B(12, 60)}, 20, false, 0},
		{1, {B(1, 7), IKE_REST, B(12, 60), B(11, 1)}, 24, false, 0},
		{1, {B(1, 7), IKE_REST, B(11, 3), B(12, 60)}, 24, false, 0},
		{1, {B(1, 7), IKE_REST, B(11, 1), B(11, 2), B(12, 60)}, 28, false, 0},
		{1, {B(1, 7), IKE_REST, B(11, 1), B(12, 60), B(12, 60)}, 28, false, 0},
		{1, {B(1, 7), IKE_REST, B(11, 2), B(12, 60), B(11, 1), B(12, 60)}, 32, true, 128},
		{1, {B(1, 7), IKE_REST, B(11, 1), B(12, 60), B(11, 1), B(12, 60)}, 32, false, 0},
	};
	(void)state;
	check_attrs(cases, COUNT(cases), true);
}

static void esp_attributes(void **state)
{
	static const struct attr_case cases[] = {
		{12, {B(4, 1), B(5, 2)}, 8, true, 128}, // AES without a length
		{12, {B(4, 1), B(5, 5), B(6, 256)}, 12, true, 256},
		{12, {B(4, 1)}, 4, false, 0},                     // no authentication
		{12, {B(5, 9), B(4, 1)}, 8, true, 128},           // AES-XCBC
		{12, {B(5, 8), B(4, 1)}, 8, false, 0},            // HMAC-RIPEMD
		{12, {B(4, 1), B(5, 2), B(7, 10)}, 12, false, 0}, // rounds
		{12, {B(4, 1), B(5, 2), B(8, 1)}, 12, false, 0},
		{12, {B(4, 1), B(5, 2), B(5, 2)}, 12, false, 0},
		{12, {B(4, 1), B(5, 2), B(11, 1)}, 12, true, 128},
		{12, {B(4, 1), B(5, 2), B(11, 0)}, 12, false, 0},
		{12, {B(4, 1), B(5, 2), B(3, 14)}, 12, true, 128},
		{12, {B(4, 1), B(5, 2), B(3, 23)}, 12, false, 0},
		{12, {B(4, 1), B(5, 2), 0xfd, 1, 0, 0}, 12, false, 0}, // SECCTX
		{2, {B(4, 1), B(5, 1)}, 8, true, 64},                  // DES, MD5: the reference
		{3, {B(4, 1), B(5, 1)}, 8, true, 192},
		{11, {B(4, 1), B(5, 2)}, 8, true, 0},
		{11, {B(4, 1)}, 4, false, 0},
		{20, {B(4, 1), B(6, 128)}, 8, true, 128},
		{20, {B(4, 1), B(6, 128), B(5, 2)}, 12, false, 0}, // RFC 4106 8
		{18, {B(4, 1), B(6, 256)}, 8, true, 256},
		{14, {B(4, 1), B(6, 128)}, 8, true, 128}, // AES-CCM
		{15, {B(4, 1), B(6, 256), B(11, 1)}, 12, true, 256},
		{16, {B(4, 1)}, 4, true, 128},
		{16, {B(4, 1), B(6, 192)}, 8, false, 0},
		{16, {B(4, 1), B(6, 128), B(5, 2)}, 12, false, 0},
		{23, {B(4, 1), B(6, 192)}, 8, true, 192}, // AES-GMAC
		{23, {B(4, 1), B(6, 192), B(5, 11)}, 12, false, 0},
		{21, {B(4, 1), B(6, 128)}, 8, false, 0}, // its number in IKEv2
		{13, {B(4, 1), B(5, 7), B(6, 192)}, 12, true, 192},
		{7, {B(4, 1), B(5, 2)}, 8, false, 0}, // Blowfish
		{28, {B(4, 1)}, 4, false, 0},         // IKEv2's ChaCha20-Poly1305
		{0, {B(4, 1), B(5, 2)}, 8, false, 0},
	};
	(void)state;
	check_attrs(cases, COUNT(cases), false);
}

// ---- Policy ----

static void encapsulation(void **state)
{
	static const struct {
		uint16_t encap;
		bool plain, udp;
	} cases[] = {
		{IKEV1_ENCAP_TUNNEL, true, false},
		{IKEV1_ENCAP_TRANSPORT, false, false},
		{IKEV1_ENCAP_UDP_TUNNEL, false, true},
		{IKEV1_ENCAP_UDP_TRANSPORT, false, false},
		{IKEV1_ENCAP_UDP_TUNNEL_DRAFT, false, true},
		{IKEV1_ENCAP_UDP_TRANSPORT_DRAFT, false, false},
		{0, false, false},
		{5, false, false},
	};
	struct proposal mine = proposal_of("aes128-sha1", true);
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[256], hi = (uint8_t)(cases[i].encap >> 8), lo = (uint8_t)cases[i].encap;
		struct ikev1_choice c;
		struct ikev1_esp_policy policy = {0};
		struct view attrs = V(0x80, 5, 0, 2, 0x80, 4, hi, lo);
		assert_int_equal(parse_esp(one_transform(buf, false, 12, attrs)), WIRE_OK);
		assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c),
			cases[i].plain ? WIRE_OK : WIRE_NO_PROPOSAL);
		policy.encap_udp = true;
		assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c),
			cases[i].udp ? WIRE_OK : WIRE_NO_PROPOSAL);
	}
	// Left out: "host-dependent" (RFC 2407 4.5).
	uint8_t buf[256];
	struct ikev1_choice c;
	struct ikev1_esp_policy policy = {0};
	assert_int_equal(parse_esp(one_transform(buf, false, 12, V(0x80, 5, 0, 2))), WIRE_OK);
	assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c), WIRE_NO_PROPOSAL);
}

static void forward_secrecy(void **state)
{
	static const struct {
		uint16_t group, ke_group;
		enum wire_pfs pfs;
		bool fits;
	} cases[] = {
		{0, 0, WIRE_PFS_NO, true}, {0, 0, WIRE_PFS_OPTIONAL, true},
		{0, 0, WIRE_PFS_REQUIRED, false}, {14, 14, WIRE_PFS_NO, false},
		{14, 14, WIRE_PFS_OPTIONAL, true}, {14, 14, WIRE_PFS_REQUIRED, true},
		{14, 0, WIRE_PFS_OPTIONAL, false}, // no KE
		{14, 0, WIRE_PFS_NO, false}, {14, 19, WIRE_PFS_OPTIONAL, false},
		{0, 14, WIRE_PFS_OPTIONAL, false},  // a KE that no transform explains
		{15, 15, WIRE_PFS_REQUIRED, false}, // not ours
	};
	struct proposal mine = proposal_of("aes128-sha1-modp2048-ecp256", true);
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t buf[256];
		struct ikev1_choice c;
		struct ikev1_esp_policy policy = {
			.pfs = cases[i].pfs, .ke_group = cases[i].ke_group};
		struct view attrs =
			V(0x80, 5, 0, 2, 0x80, 4, 0, 1, 0x80, 3, 0, (uint8_t)cases[i].group);
		attrs.len = cases[i].group ? 12 : 8;
		assert_int_equal(parse_esp(one_transform(buf, false, 12, attrs)), WIRE_OK);
		assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c),
			cases[i].fits ? WIRE_OK : WIRE_NO_PROPOSAL);
	}
}

// An AEAD proposal is for IKEv2's phase 1 alone.
static void no_aead_phase1(void **state)
{
	struct proposal mine = proposal_of("aes128gcm16-prfsha256-modp2048", false);
	struct ikev1_ike_offer offer = {
		.mine = &mine, .count = 1, .auths = {IKEV1_AUTH_PSK}, .auth_count = 1};
	struct ikev1_choice c;
	struct wire_builder b;
	uint8_t buf[256];
	(void)state;
	assert_int_equal(parse_ike(VIEW(strongswan_phase1_sa)), WIRE_OK);
	assert_int_equal(ikev1_select_ike(&mine, 1, &parsed, any_auth, NULL, &c), WIRE_NO_PROPOSAL);
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_ike(&b, &offer);
	assert_null(wire_build_done(&b).p);
}

// ---- Bad input ----

// Catalogue rows 4 and 31: no length inside is taken on trust.
static void lengths(void **state)
{
	struct view ike = VIEW(vpnc_phase1_sa), esp = VIEW(vpnc_quick_sa);
	static const uint8_t ike_at[] = {10, 18, 46 + 12, 46 + 12 + 40};
	static const uint8_t esp_at[] = {10, 22, 54, 66};
	(void)state;
	refuse_truncated(ike, ike.len, parse_ike, WIRE_MALFORMED_SA);
	refuse_truncated(esp, esp.len, parse_esp, WIRE_MALFORMED_SA);
	for (size_t i = 0; i < COUNT(ike_at); i++)
		refuse_lengths(ike, ike_at[i], parse_ike);
	for (size_t i = 0; i < COUNT(esp_at); i++)
		refuse_lengths(esp, esp_at[i], parse_esp);
	for (size_t cut = 0; cut < 8; cut++)
		assert_int_equal(parse_ike((struct view){ike.p, cut}), WIRE_MALFORMED_SA);
}

static void malformed(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum wire_error error;
	} cases[] = {
		{0, 0xff, WIRE_MALFORMED_SA}, // row 26: a DOI that nobody assigned
		{3, 0, WIRE_MALFORMED_SA},
		{7, 3, WIRE_MALFORMED_SA}, // SIT_SECRECY: labels would follow
		{4, 0x80, WIRE_MALFORMED_SA},
		{8, 2, WIRE_MALFORMED_SA}, // one more proposal than there is
		{8, 9, WIRE_MALFORMED_SA}, {15, 0, WIRE_MALFORMED_SA}, // transforms
		{15, 1, WIRE_MALFORMED_SA}, {15, 3, WIRE_MALFORMED_SA},
		{15, 129, WIRE_TOO_MANY_TRANSFORMS}, {15, 255, WIRE_TOO_MANY_TRANSFORMS},
		{14, 1, WIRE_MALFORMED_SA}, // an SPI that eats the first transform's byte
		{14, 255, WIRE_MALFORMED_SA},
		{16, 0, WIRE_MALFORMED_SA}, // the last transform too soon
		{16, 2, WIRE_MALFORMED_SA}, {52, 3, WIRE_MALFORMED_SA},
		{24, 0x00,
			WIRE_MALFORMED_SA}, // an attribute of 7 bytes behind a type of 1: past the end
	};
	uint8_t bytes[sizeof(strongswan_phase1_sa)];
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		memcpy(bytes, strongswan_phase1_sa, sizeof(bytes));
		bytes[cases[i].at] = cases[i].value;
		struct view v = exact_copy(VIEW(bytes));
		assert_int_equal(parse_ike(v), cases[i].error);
		free_view(v);
	}
}

// Proposals that cannot be taken, of a message that can.
static void unusable_proposals(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		bool first, second;
	} cases[] = {
		{12, 1, false, false},
		{12, 2, true, true},  // one number: both together
		{13, 2, true, false}, // AH
		{13, 4, true, false}, // IPComp
		{13, 1, true, false},
		{57, 2, false, true},
	};
	uint8_t bytes[sizeof(vpnc_quick_sa)];
	struct proposal mine[] = {proposal_of("aes256-sha1", true), proposal_of("3des-md5", true)};
	struct ikev1_esp_policy policy = {.encap_udp = true};
	struct ikev1_choice c;
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		memcpy(bytes, vpnc_quick_sa, sizeof(bytes));
		bytes[cases[i].at] = cases[i].value;
		assert_int_equal(parse_esp(VIEW(bytes)), WIRE_OK);
		assert_int_equal(parsed.items[0].unusable, cases[i].first);
		assert_int_equal(parsed.items[1].unusable, cases[i].second);
		enum wire_error e = ikev1_select_esp(mine, 2, &policy, &parsed, &c);
		assert_int_equal(e, cases[i].first && cases[i].second ? WIRE_NO_PROPOSAL : WIRE_OK);
		if (e == WIRE_OK)
			assert_int_equal(c.mine, cases[i].first ? 1 : 0);
	}
	memcpy(bytes, vpnc_quick_sa, sizeof(bytes));
	memset(bytes + 16, 0, 4); // an SPI of zero
	assert_int_equal(parse_esp(VIEW(bytes)), WIRE_OK);
	assert_true(parsed.items[0].unusable && !parsed.items[1].unusable);
}

// RFC 2408 3.5: cookies as the SPI of a phase 1 proposal are not looked at; no answer has them.
static void phase1_spi(void **state)
{
	struct proposal mine = proposal_of("aes128-sha1-modp2048", false);
	uint8_t bytes[8 + 8 + 17 + 24];
	struct ikev1_choice c;
	struct wire_builder b;
	uint8_t buf[64];
	(void)state;
	for (uint8_t len = 0; len <= 17; len++) {
		struct wr w = wr_of(bytes, sizeof(bytes));
		wr_bytes(&w, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1}, 8);
		wr_bytes(&w, (uint8_t[]){0, 0, 0, (uint8_t)(32 + len), 7, 1, len, 1}, 8);
		wr_zero(&w, len);
		wr_bytes(&w, (uint8_t[]){0, 0, 0, 24, 5, 1, 0, 0, B(1, 7), IKE_REST}, 24);
		assert_int_equal(parse_ike(wr_done(&w)), WIRE_OK);
		assert_int_equal(parsed.items[0].unusable, len > 16);
		if (len > 16)
			continue;
		assert_int_equal(ikev1_select_ike(&mine, 1, &parsed, any_auth, NULL, &c), WIRE_OK);
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_build_choice(&b, &c, 0);
		assert_int_equal(parse_ike(first_body(&b)), WIRE_OK);
		assert_true(parsed.items[0].spi_len == 0 && parsed.items[0].number == 7);
		assert_int_equal(parsed.transforms[0].number, 5);
	}
}

static void limits(void **state)
{
	static uint8_t bytes[8 + 40 * 64];
	(void)state;
	for (unsigned n = IKEV1_PROPOSALS_MAX; n <= IKEV1_PROPOSALS_MAX + 1; n++)
		for (unsigned each = 4; each <= 5; each++) {
			struct wr w = wr_of(bytes, sizeof(bytes));
			wr_bytes(&w, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1}, 8);
			for (unsigned i = 0; i < n; i++) {
				uint8_t len = (uint8_t)(12 + 8 * each);
				wr_bytes(&w,
					(uint8_t[]){i + 1 < n ? 2 : 0, 0, 0, len, (uint8_t)i, 3, 4,
						(uint8_t)each, 1, 2, 3, 4},
					12);
				for (unsigned j = 0; j < each; j++)
					wr_bytes(&w,
						(uint8_t[]){j + 1 < each ? 3 : 0, 0, 0, 8,
							(uint8_t)j, 12, 0, 0},
						8);
			}
			struct view v = exact_copy(wr_done(&w));
			assert_int_equal(parse_esp(v), each == 5 ? WIRE_TOO_MANY_TRANSFORMS
						       : n > IKEV1_PROPOSALS_MAX
							       ? WIRE_TOO_MANY_PROPOSALS
							       : WIRE_OK);
			free_view(v);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vpnc_phase1),
		cmocka_unit_test(vpnc_quick),
		cmocka_unit_test(strongswan_offers),
		cmocka_unit_test(ike_attributes),
		cmocka_unit_test(esp_attributes),
		cmocka_unit_test(encapsulation),
		cmocka_unit_test(forward_secrecy),
		cmocka_unit_test(no_aead_phase1),
		cmocka_unit_test(lengths),
		cmocka_unit_test(malformed),
		cmocka_unit_test(unusable_proposals),
		cmocka_unit_test(phase1_spi),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
