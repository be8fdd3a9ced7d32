// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An SA payload's body behind a byte of options, and what is chosen from it. What was chosen, echoed
// and chosen from again, is the same.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static struct proposal mine[2][3];

__attribute__((constructor)) static void set_up(void)
{
	static const char *const texts[2][3] = {
		{"aes128gcm16-aes256gcm16-prfsha256-x25519-ecp256",
			"aes256-aes128-sha256-sha1-modp2048", "chacha20poly1305-prfsha512-x448"},
		{"aes128gcm16-x25519-ecp256", "aes256-aes128-sha256-sha1-modp2048", "null-sha256"},
	};
	for (int esp = 0; esp < 2; esp++)
		for (int i = 0; i < 3; i++)
			CHECK(proposal_parse(
				      texts[esp][i], esp, &mine[esp][i], (char[96]){0}, 96) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_proposals offer, echo;
	struct wire_choice c, again;
	struct ike_message m;
	struct wire_builder b;
	uint8_t buf[256];
	if (size == 0 || wire_sa_parse((struct view){data + 1, size - 1}, &offer) != WIRE_OK)
		return 0;
	bool esp = data[0] & 1;
	struct wire_sa_policy policy = {
		.protocol = esp ? IKEV2_PROTOCOL_ESP : IKEV2_PROTOCOL_IKE,
		.spi_len = esp           ? 4
			   : data[0] & 2 ? 8
					 : 0,
		.prefer_mine = data[0] & 4,
		.esn = data[0] & 8,
		.pfs = data[0] >> 4 & 3,
		.ke_group = data[0] & 64 ? DH_ECP_256 : 0,
	};
	(void)!wire_check_choice(mine[esp], 3, &policy, &offer, &c);
	if (wire_select(mine[esp], 3, &policy, &offer, &c) != WIRE_OK)
		return 0;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_build_choice(&b, &c, UINT64_MAX);
	CHECK(wire_message_parse(wire_build_done(&b), b.first, &m) == WIRE_OK);
	CHECK(wire_sa_parse(m.sa, &echo) == WIRE_OK);
	CHECK(wire_select(mine[esp], 3, &policy, &echo, &again) == WIRE_OK);
	CHECK(memcmp(&c.suite, &again.suite, sizeof(c.suite)) == 0 && c.number == again.number);
	return 0;
}
