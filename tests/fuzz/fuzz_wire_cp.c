// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A configuration payload's body.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct wire_cp cp;
	if (wire_cp_parse((struct view){data, size}, &cp) != WIRE_OK)
		return 0;
	CHECK(cp.count <= WIRE_CP_ATTRS_MAX);
	for (uint8_t i = 0; i < cp.count; i++) {
		const struct wire_cp_attr *a = &cp.attrs[i];
		CHECK(a->value.p >= data && a->value.p + a->value.len <= data + size);
		CHECK(a->prefix_bits <= ip_bits(a->addr.family));
		if (a->valid)
			CHECK(wire_cp_find(&cp, a->type) != NULL);
	}
	return 0;
}
