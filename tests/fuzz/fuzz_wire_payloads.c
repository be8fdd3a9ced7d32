// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The bodies of the smaller payloads, by the first byte: its payload type modulo their number.
#include "controlplane/wire/wire.h"
#include "tests/fuzz/fuzz.h"

static void check_id(struct view body)
{
	static const char *const patterns[] = {
		"*", "*.example.org", "*@example.org", "10.0.0.0/8", "keyid:x", "vpn.example.org"};
	struct wire_id id;
	char text[64];
	if (wire_id_parse(body, &id) != WIRE_OK)
		return;
	wire_id_text(&id, text, sizeof(text));
	for (const char *c = text; *c; c++)
		CHECK(*c > ' ' && *c < 0x7f);
	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		(void)wire_id_match(patterns[i], &id);
	CHECK(wire_id_match("*", &id));
}

static void check_auth(struct view body)
{
	struct wire_auth a;
	if (wire_auth_parse(body, &a) == WIRE_OK)
		CHECK(a.signature.len > 0 && a.algorithm.len + a.signature.len <= a.data.len);
}

static void check_delete(struct view body)
{
	struct wire_delete d;
	if (wire_delete_parse(body, &d) == WIRE_OK)
		for (unsigned i = 0; i < d.count && i < 100; i++)
			(void)wire_delete_spi(&d, (uint16_t)i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct wire_cert cert;
	struct wire_ke ke;
	struct wire_notify n;
	struct view v;
	if (size == 0)
		return 0;
	struct view body = {data + 1, size - 1};
	switch (data[0] % 8) {
	case 0:
		check_id(body);
		break;
	case 1:
		check_auth(body);
		break;
	case 2:
		check_delete(body);
		break;
	case 3:
		(void)!wire_cert_parse(body, &cert);
		(void)!wire_certreq_parse(body, &cert);
		break;
	case 4:
		(void)!wire_ke_parse(body, &ke);
		break;
	case 5:
		if (wire_notify_parse(body, &n) == WIRE_OK)
			CHECK(n.spi.len + n.data.len + 4 == body.len);
		break;
	case 6:
		(void)!wire_nonce_parse(body, &v);
		break;
	default:
		(void)!wire_eap_parse(body, &v);
	}
	return 0;
}
