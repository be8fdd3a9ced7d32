// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An IKEv1 SA payload's body behind a byte of options, and what is chosen from it. What was chosen,
// echoed and chosen from again, is the same, and is one of ours.
#include "controlplane/wire/ikev1.h"
#include "tests/fuzz/fuzz.h"

static struct proposal mine[2][3];
static struct ikev1_sa_offer offer, echo;

__attribute__((constructor)) static void set_up(void)
{
	static const char *const texts[2][3] = {
		{"aes256-aes128-sha256-sha1-modp2048-ecp256", "aes128-3des-sha1-md5-modp1024",
			"des-sha512-x25519"},
		{"aes128gcm16-aes256gcm16-ecp256", "aes256-aes128-sha256-sha1-modp2048", "des-md5"},
	};
	for (int esp = 0; esp < 2; esp++)
		for (int i = 0; i < 3; i++)
			CHECK(proposal_parse(
				      texts[esp][i], esp, &mine[esp][i], (char[96]){0}, 96) == 0);
}

static bool auth_ok(void *ctx, uint16_t auth)
{
	return !*(bool *)ctx || auth == IKEV1_AUTH_PSK;
}

static enum wire_error choose(uint8_t options, struct ikev1_sa_offer *from, struct ikev1_choice *c)
{
	bool strict = options & 2;
	struct ikev1_esp_policy policy = {
		.esn = options & 4,
		.pfs = options >> 3 & 3,
		.ke_group = options & 32 ? DH_ECP_256 : DH_NONE,
		.encap_udp = options & 64,
	};
	return options & 1 ? ikev1_select_esp(mine[1], 3, &policy, from, c)
			   : ikev1_select_ike(mine[0], 3, from, auth_ok, &strict, c);
}

static bool same(const struct suite *a, const struct suite *b)
{
	return a->encr.id == b->encr.id && a->encr.key_bits == b->encr.key_bits &&
	       a->prf == b->prf && a->integ == b->integ && a->dh == b->dh && a->esn == b->esn;
}

static void check_answer(uint8_t options)
{
	struct ikev1_choice c;
	struct ikev1_ike_offer ike = {.mine = mine[0],
		.count = 3,
		.auths = {IKEV1_AUTH_PSK},
		.auth_count = 1,
		.life_s = 3600};
	struct ikev1_esp_offer esp = {
		.mine = mine[1], .count = 3, .encap = IKEV1_ENCAP_TUNNEL, .life_s = 3600, .spi = 1};
	enum wire_error e =
		options & 1 ? ikev1_check_esp(&esp, &offer, &c) : ikev1_check_ike(&ike, &offer, &c);
	CHECK(e == WIRE_BAD_CHOICE || (e == WIRE_OK && c.mine < 3 && c.transform.life_s <= 3600));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ikev1_choice c, again;
	struct ikev1_message m;
	struct wire_builder b;
	static uint8_t buf[65536];
	if (size == 0)
		return 0;
	bool phase1 = !(data[0] & 1);
	if (ikev1_sa_parse((struct view){data + 1, size - 1}, phase1, &offer) != WIRE_OK)
		return 0;
	check_answer(data[0]);
	if (choose(data[0], &offer, &c) != WIRE_OK)
		return 0;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_choice(&b, &c, UINT32_MAX);
	CHECK(ikev1_message_parse(wire_build_done(&b), b.first, &m) == WIRE_OK);
	CHECK(ikev1_sa_parse(m.sa, phase1, &echo) == WIRE_OK);
	CHECK(choose(data[0], &echo, &again) == WIRE_OK);
	CHECK(same(&c.transform.suite, &again.transform.suite));
	CHECK(view_eq(c.transform.attrs, again.transform.attrs) && c.mine == again.mine);
	CHECK(c.proposal.number == again.proposal.number);
	return 0;
}
