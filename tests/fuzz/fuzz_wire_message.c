// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A whole datagram: header, chain, rules.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ike_message m;
	struct ike_header h;
	uint8_t culprit;
	if (wire_header_parse((struct view){data, size}, &h) != WIRE_OK)
		return 0;
	CHECK(h.length >= IKE_HEADER_LEN);
	CHECK(h.major == IKE_MAJOR_1 ? h.length <= size : h.length == size);
	struct view rest = {data + IKE_HEADER_LEN, size - IKE_HEADER_LEN};
	enum wire_error e = wire_message_parse(rest, h.next_payload, &m);
	CHECK(e == WIRE_OK || wire_error_notify(e) != 0);
	if (e != WIRE_OK)
		return 0;
	for (unsigned exchange = 33; exchange < 44; exchange++)
		for (int response = 0; response < 2; response++)
			if (wire_rules_check(&m, (uint8_t)exchange, response, &culprit) == WIRE_OK)
				CHECK(culprit == 0);
	if (wire_rules_check_outer(&m) == WIRE_OK)
		CHECK(m.sk.p || m.skf.p);
	return 0;
}
