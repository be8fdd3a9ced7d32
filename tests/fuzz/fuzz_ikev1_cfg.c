// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// An IKEv1 ATTRIBUTES payload's body. What was read, written and read again, is the same.
#include "controlplane/wire/ikev1.h"
#include "tests/fuzz/fuzz.h"

static void put(struct wire_builder *b, const struct ikev1_attr *a)
{
	if (a->basic)
		ikev1_put_attr_basic(b, a->type, (uint16_t)(a->value.p[0] << 8 | a->value.p[1]));
	else
		ikev1_put_attr(b, a->type, a->value);
}

static void check_attr(const struct ikev1_cfg *cfg, const struct ikev1_attr *a)
{
	uint32_t number;
	struct ip_addr addr;
	CHECK(a->type < 0x8000 && (!a->basic || a->value.len == 2));
	CHECK(ikev1_cfg_find(cfg, a->type) != NULL);
	if (ikev1_attr_number(a, &number))
		CHECK(a->value.len == 4 || number <= UINT16_MAX);
	if (ikev1_attr_address(a, IP_V4, &addr))
		CHECK(addr.family == IP_V4 && a->value.len == 4);
	if (ikev1_attr_address(a, IP_V6, &addr))
		CHECK(addr.family == IP_V6 && a->value.len >= 16);
	(void)ikev1_cfg_attribute_name(a->type);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ikev1_cfg cfg, again;
	static struct ikev1_message m;
	static uint8_t buf[65540];
	struct wire_builder b;
	if (size > 65531 || ikev1_cfg_parse((struct view){data, size}, &cfg) != WIRE_OK)
		return 0;
	CHECK(cfg.count <= IKEV1_ATTRS_MAX && (!cfg.skipped || cfg.count == IKEV1_ATTRS_MAX));
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, cfg.type, cfg.identifier);
	for (uint8_t i = 0; i < cfg.count; i++) {
		check_attr(&cfg, &cfg.attrs[i]);
		put(&b, &cfg.attrs[i]);
	}
	wire_close(&b);
	CHECK(ikev1_message_parse(wire_build_done(&b), b.first, &m) == WIRE_OK);
	CHECK(ikev1_cfg_parse(m.attributes, &again) == WIRE_OK);
	CHECK(again.type == cfg.type && again.identifier == cfg.identifier);
	CHECK(again.count == cfg.count && again.skipped == 0);
	for (uint8_t i = 0; i < cfg.count; i++)
		CHECK(again.attrs[i].type == cfg.attrs[i].type &&
			again.attrs[i].basic == cfg.attrs[i].basic &&
			view_eq(again.attrs[i].value, cfg.attrs[i].value));
	return 0;
}
