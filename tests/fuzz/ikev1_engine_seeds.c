// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Writes the corpus of fuzz_ikev1_engine anew: ikev1_engine_seeds tests/fuzz/corpus/ikev1_engine.
// Each file is a program as fuzz_ikev1_engine.c describes it.
#include "controlplane/wire/ikev1.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = 0, KEYS = 13, LOGIN = 15 };
enum { RAW, RAW_SPIS, RECORDED, SEALED, FRAGMENT, TIME, SINK };
enum { TRANSACTION, MAIN, AGGRESSIVE, INFORMATIONAL, QUICK };
enum { PHASE_1 = 0x00, GIVEN = 0x10, NEW = 0x20, HASHED = 0x01 };

static uint8_t program[4096], chain[2048];
static struct wr out;
static struct wire_builder b;

static void begin(uint8_t start)
{
	out = wr_of(program, sizeof(program));
	wr_u8(&out, start);
}

static void two(uint8_t op, uint8_t value)
{
	wr_u8(&out, op);
	wr_u8(&out, value);
}

static struct wire_builder *payloads(void)
{
	wire_build_begin(&b, chain, sizeof(chain));
	return &b;
}

static void sealed(uint8_t exchange, uint8_t how)
{
	struct view v = wire_build_done(&b);
	two(SEALED, exchange);
	wr_u8(&out, how);
	wr_u8(&out, b.first);
	wr_u16(&out, (uint16_t)v.len);
	wr_view(&out, v);
}

static void recorded(uint8_t which)
{
	two(RECORDED, 0);
	wr_u8(&out, which);
}

// The last step makes the sum of all bytes one that DH is done for.
static void save(const char *dir, const char *name)
{
	char path[512];
	unsigned sum = TIME;
	for (size_t i = 0; i < out.len; i++)
		sum += program[i];
	two(TIME, (uint8_t)(8 - sum % 8));
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(program, 1, out.len, f) != out.len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static struct view text(const char *s)
{
	return (struct view){(const uint8_t *)s, strlen(s)};
}

static void xauth_reply(const char *password)
{
	ikev1_open_cfg(payloads(), IKEV1_CFG_REPLY, 0);
	ikev1_put_attr_basic(&b, IKEV1_CFG_XAUTH_TYPE, 0);
	ikev1_put_attr(&b, IKEV1_CFG_XAUTH_USER_NAME, text("u"));
	ikev1_put_attr(&b, IKEV1_CFG_XAUTH_USER_PASSWORD, text(password));
	wire_close(&b);
	sealed(TRANSACTION, GIVEN | HASHED);
}

static void xauth_ack(void)
{
	ikev1_open_cfg(payloads(), IKEV1_CFG_ACK, 0);
	ikev1_put_attr_basic(&b, IKEV1_CFG_XAUTH_STATUS, 1);
	wire_close(&b);
	sealed(TRANSACTION, GIVEN | HASHED);
}

static void config_request(void)
{
	static const uint16_t types[] = {IKEV1_CFG_IP4_ADDRESS, IKEV1_CFG_IP4_NETMASK,
		IKEV1_CFG_IP4_DNS, IKEV1_CFG_IP6_ADDRESS, IKEV1_CFG_APPLICATION_VERSION,
		IKEV1_CFG_SUPPORTED_ATTRIBUTES, IKEV1_CFG_UNITY_BANNER,
		IKEV1_CFG_UNITY_SPLIT_INCLUDE};
	ikev1_open_cfg(payloads(), IKEV1_CFG_REQUEST, 20);
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		ikev1_put_attr(&b, types[i], text(""));
	wire_close(&b);
	sealed(TRANSACTION, NEW | HASHED);
}

static void quick(void)
{
	static const uint8_t nonce[20] = {7}, id_i[] = {1, 0, 0, 0, 10, 1, 0, 1},
			     id_r[] = {4, 0, 0, 0, 10, 99, 0, 0, 255, 255, 255, 0};
	struct proposal p;
	char why[128];
	if (proposal_parse("aes128-sha256", true, &p, why, sizeof(why)) < 0)
		abort();
	struct ikev1_esp_offer offer = {
		.mine = &p, .count = 1, .encap = IKEV1_ENCAP_TUNNEL, .spi = 0x11223344};
	ikev1_build_esp(payloads(), &offer);
	ikev1_put_nonce(&b, (struct view){nonce, sizeof(nonce)});
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, (struct view){id_i, sizeof(id_i)});
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, (struct view){id_r, sizeof(id_r)});
	sealed(QUICK, NEW | 0x40 | HASHED);
}

static void notify(uint16_t type, uint8_t how)
{
	static const uint8_t spi[16] = {1}, data[4] = {0, 0, 0, 1};
	struct ikev1_notification n = {.doi = IKEV1_DOI_IPSEC,
		.protocol = IKEV1_PROTOCOL_ISAKMP,
		.type = type,
		.spi = {spi, sizeof(spi)},
		.data = {data, sizeof(data)}};
	ikev1_put_notify(payloads(), &n);
	sealed(INFORMATIONAL, how);
}

static void proof(uint8_t exchange)
{
	static const uint8_t id[] = {2, 0, 0, 0, 'c', '.', 'x'}, hash[32] = {1};
	payloads();
	if (exchange == MAIN)
		wire_put_raw(&b, IKEV1_PAYLOAD_ID, (struct view){id, sizeof(id)});
	wire_put_raw(&b, IKEV1_PAYLOAD_HASH, (struct view){hash, sizeof(hash)});
	sealed(exchange, PHASE_1);
}

static void fragment(uint8_t number, uint8_t flags, const char *bytes)
{
	two(FRAGMENT, 0);
	wr_u8(&out, number);
	wr_u8(&out, flags);
	wr_u16(&out, (uint16_t)strlen(bytes));
	wr_view(&out, text(bytes));
}

static void before_keys(const char *dir)
{
	begin(NONE);
	recorded(0);
	recorded(1);
	proof(MAIN);
	two(TIME, 250);
	save(dir, "main");
	begin(NONE);
	recorded(2);
	recorded(2);
	proof(AGGRESSIVE);
	two(TIME, 250);
	save(dir, "aggressive");
	begin(NONE);
	recorded(0);
	fragment(1, 0x02, "the first part");
	fragment(2, 0x03, "the second one");
	save(dir, "fragments");
}

static void after_keys(const char *dir)
{
	begin(KEYS);
	proof(MAIN);
	notify(IKEV1_NOTIFY_INITIAL_CONTACT, NEW | HASHED);
	save(dir, "main_proof");
	begin(KEYS);
	config_request();
	quick();
	save(dir, "too_early");
	begin(KEYS);
	fragment(1, 0x80, "0123456789abcdef");
	fragment(2, 0x81, "0123456789abcdef");
	save(dir, "fragments_sealed");
	begin(LOGIN);
	xauth_reply("p");
	xauth_ack();
	config_request();
	quick();
	save(dir, "login");
	begin(LOGIN);
	xauth_reply("q");
	xauth_reply("p");
	quick();
	save(dir, "second_try");
	begin(LOGIN);
	notify(IKEV1_NOTIFY_INITIAL_CONTACT, NEW | HASHED);
	notify(IKEV1_NOTIFY_R_U_THERE, NEW | 0x40 | HASHED);
	ikev1_put_delete_isakmp(payloads(), 0x1234567890abcdefull, 1);
	sealed(INFORMATIONAL, NEW | 0x80 | HASHED);
	save(dir, "informational");
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "tests/fuzz/corpus/ikev1_engine";
	before_keys(dir);
	after_keys(dir);
	return 0;
}
