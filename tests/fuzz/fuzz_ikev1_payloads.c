// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bodies of IKEv1's smaller payloads, by the first byte modulo their number.
#include "controlplane/wire/ikev1.h"
#include "tests/fuzz/fuzz.h"

static void check_id(struct view body)
{
	struct wire_id id;
	char text[64];
	if (ikev1_id_parse(body, &id) != WIRE_OK)
		return;
	CHECK(id.data.len > 0);
	wire_id_text(&id, text, sizeof(text));
	for (const char *c = text; *c; c++)
		CHECK(*c > ' ' && *c < 0x7f);
}

// A selector said and read again is itself.
static void check_selector(struct view body)
{
	uint8_t buf[64];
	struct wr w = wr_of(buf, sizeof(buf));
	struct selector s, again;
	if (ikev1_id_selector(body, &s) != WIRE_OK)
		return;
	CHECK(ip_cmp(&s.range.lo, &s.range.hi) <= 0 && s.port_lo <= s.port_hi);
	CHECK(ikev1_selector_id(&w, &s));
	CHECK(ikev1_id_selector(wr_done(&w), &again) == WIRE_OK);
	CHECK(memcmp(&s.range, &again.range, sizeof(s.range)) == 0 && s.proto == again.proto);
	CHECK(s.port_lo == again.port_lo && s.port_hi == again.port_hi);
}

static void check_information(uint8_t type, struct view body)
{
	static uint8_t buf[65540];
	static struct ikev1_message m;
	struct wire_builder b;
	if (body.len > 65531)
		return;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_put_raw(&b, type, body);
	if (ikev1_message_parse(wire_build_done(&b), b.first, &m) != WIRE_OK)
		return;
	if (type == IKEV1_PAYLOAD_NOTIFY)
		CHECK(m.notifies[0].spi.len + m.notifies[0].data.len + 8 == body.len);
	else
		CHECK(m.deletes[0].spis.len + 8 == body.len);
	for (unsigned i = 0; m.delete_count && i <= m.deletes[0].count && i < 100; i++)
		(void)ikev1_delete_spi(&m.deletes[0], (uint16_t)i);
}

static void check_fragment(struct view body)
{
	struct ikev1_fragment f;
	if (ikev1_fragment_parse(body, &f) == WIRE_OK)
		CHECK(f.number >= 1 && f.number <= IKEV1_FRAGMENTS_MAX && f.content.len > 0 &&
			f.content.len + 4 == body.len);
}

static void check_lifetime(struct view data, bool phase1)
{
	struct ikev1_lifetime life, again;
	uint8_t buf[32];
	if (!ikev1_lifetime_parse(data, phase1, &life) || life.seconds > UINT32_MAX ||
		life.kilobytes > UINT32_MAX || (!life.seconds && !life.kilobytes))
		return;
	size_t len = ikev1_lifetime_data(buf, sizeof(buf), phase1, &life);
	CHECK(ikev1_lifetime_parse((struct view){buf, len}, phase1, &again) &&
		life.seconds == again.seconds && life.kilobytes == again.kilobytes);
}

// An address said and read again is itself.
static void check_natoa(struct view body)
{
	uint8_t buf[64];
	struct wire_builder b;
	struct ip_addr a, again;
	if (ikev1_natoa_parse(body, &a) != WIRE_OK)
		return;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_natoa(&b, body.p[1] & 1, &a);
	struct view done = wire_build_done(&b);
	CHECK(done.len == body.len + IKE_PAYLOAD_HDR);
	done = (struct view){done.p + IKE_PAYLOAD_HDR, body.len};
	CHECK(ikev1_natoa_parse(done, &again) == WIRE_OK && ip_eq(&a, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct view nonce;
	if (size == 0)
		return 0;
	struct view body = {data + 1, size - 1};
	switch (data[0] % 9) {
	case 0:
		check_id(body);
		break;
	case 1:
		check_selector(body);
		break;
	case 2:
		check_information(IKEV1_PAYLOAD_NOTIFY, body);
		break;
	case 3:
		check_information(IKEV1_PAYLOAD_DELETE, body);
		break;
	case 4:
		check_fragment(body);
		break;
	case 5:
		check_lifetime(body, data[0] & 8);
		break;
	case 6:
		CHECK(ikev1_vendor_of(body) < IKEV1_VID_COUNT);
		break;
	case 7:
		check_natoa(body);
		break;
	default:
		if (ikev1_nonce_parse(body, &nonce) == WIRE_OK)
			CHECK(nonce.len >= IKEV1_NONCE_MIN && nonce.len <= IKEV1_NONCE_MAX);
	}
	return 0;
}
