// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A traffic selector payload's body, narrowed. What comes out lies within the offer and the policy.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static struct selector policy[3];

__attribute__((constructor)) static void set_up(void)
{
	static const char *const ranges[] = {
		"10.0.0.0/8", "192.0.2.10-192.0.2.77", "2001:db8::/32"};
	for (int i = 0; i < 3; i++) {
		struct ip_range r;
		CHECK(ip_range_parse(ranges[i], &r) == 0);
		policy[i] = selector_of_range(&r);
	}
	policy[1].proto = 17;
	policy[1].port_lo = 53;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_ts ts;
	struct selector out[SA_SELECTORS_MAX], again[SA_SELECTORS_MAX];
	uint8_t count, count_again;
	if (wire_ts_parse((struct view){data, size}, &ts) != WIRE_OK)
		return 0;
	CHECK(ts.count <= SA_SELECTORS_MAX);
	if (wire_ts_narrow(ts.items, ts.count, policy, 3, out, &count) != WIRE_OK)
		return 0;
	CHECK(count > 0 && count <= SA_SELECTORS_MAX);
	for (uint8_t i = 0; i < count; i++) {
		bool in_policy = false, in_offer = false;
		for (uint8_t j = 0; j < 3; j++)
			in_policy |= selector_within(&out[i], &policy[j]);
		for (uint8_t j = 0; j < ts.count; j++)
			in_offer |= selector_within(&out[i], &ts.items[j]);
		CHECK(in_policy && in_offer);
	}
	CHECK(wire_ts_narrow(out, count, policy, 3, again, &count_again) == WIRE_OK);
	CHECK(count_again == count && memcmp(out, again, count * sizeof(out[0])) == 0);
	return 0;
}
