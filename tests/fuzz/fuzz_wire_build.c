// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The input directs the builder; what it builds is parsed and is what was asked for. A buffer that
// the input makes too small gives no message, never half a one.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

struct asked {
	uint8_t types[WIRE_PAYLOADS_MAX];
	uint8_t count;
};

static void put(struct wire_builder *b, uint8_t what, struct view data, struct asked *asked)
{
	struct wire_id id = {IKEV2_ID_KEY_ID, data};
	struct selector any = {.range = {ip_from_v4(0), ip_from_v4(UINT32_MAX)}, .port_hi = 65535};
	struct ip_prefix prefix = {ip_from_v4(0x0a000000), 8};
	switch (what % 8) {
	case 0:
		wire_put_ke(b, what, data);
		break;
	case 1:
		wire_put_id(b, IKEV2_PAYLOAD_IDI, &id);
		break;
	case 2:
		wire_put_auth(b, what, data);
		break;
	case 3:
		wire_put_notify_esp(b, IKEV2_NOTIFY_REKEY_SA, what, data);
		break;
	case 4:
		wire_put_ts(b, IKEV2_PAYLOAD_TSI, &any, 1);
		break;
	case 5:
		wire_open_cp(b, IKEV2_CP_REPLY);
		wire_cp_put(b, what, data);
		wire_cp_put_prefix(b, IKEV2_CP_INTERNAL_IP4_SUBNET, &prefix);
		wire_close(b);
		break;
	case 6:
		wire_put_delete_esp(b, (uint32_t[]){what, 2}, 2);
		break;
	default:
		wire_put_cert(b, what, data);
	}
	static const uint8_t types[] = {34, 35, 39, 41, 44, 47, 42, 37};
	asked->types[asked->count++] = types[what % 8];
}

static void compare(struct view msg, const struct asked *asked)
{
	static struct ike_message m;
	struct ike_header h;
	CHECK(wire_header_parse(msg, &h) == WIRE_OK);
	struct view rest = {msg.p + IKE_HEADER_LEN, msg.len - IKE_HEADER_LEN};
	CHECK(wire_message_parse(rest, h.next_payload, &m) == WIRE_OK);
	CHECK(m.payload_count == asked->count);
	struct wire_chain c = wire_chain_of(rest, h.next_payload);
	for (uint8_t i = 0; i < asked->count; i++) {
		struct wire_payload p;
		CHECK(wire_chain_next(&c, &p) == WIRE_OK && p.type == asked->types[i]);
	}
	CHECK(c.next == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t buf[4096];
	struct rd r = rd_of(data, size);
	struct asked asked = {.count = 0};
	struct wire_builder b;
	struct ike_header h = {.spi_i = 1, .spi_r = 2, .major = 2, .exchange = 35};
	uint8_t cap, what, len;
	struct view v;
	if (!rd_u8(&r, &cap))
		return 0;
	wire_build_message(&b, buf, (size_t)cap * 16, &h);
	while (asked.count < WIRE_PAYLOADS_MAX && rd_u8(&r, &what) && rd_u8(&r, &len) &&
		rd_bytes(&r, len, &v))
		put(&b, what, v, &asked);
	struct view msg = wire_build_done(&b);
	CHECK(msg.len <= (size_t)cap * 16);
	if (msg.p)
		compare(msg, &asked);
	return 0;
}
