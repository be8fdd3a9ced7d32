// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A DHCP server's answer.
#include "pools/dhcp_wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dhcp_answer a;
	if (dhcp_parse((struct view){data, size}, &a) != DHCP_OK)
		return 0;
	CHECK(size > 240 && data[0] == 2);
	CHECK(a.type == DHCP_OFFER || a.type == DHCP_ACK || a.type == DHCP_NAK);
	CHECK(a.has_client_id || !a.same_client_id_len);
	return 0;
}
