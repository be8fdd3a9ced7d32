// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Writes the corpus of fuzz_engine anew: engine_seeds tests/fuzz/corpus/engine. Each file is a
// program as fuzz_engine.c describes it.
#include "tests/engine/bench.h"
#include "tests/engine/configs.h"

#include <stdio.h>
#include <stdlib.h>

enum { NONE, HALF_OPEN, RESPONDER, INITIATOR };
enum { RAW, RAW_SPIS, REQUEST, RESPONSE, FRAGMENT, TIME, OPERATOR, SINK };
enum { AUTH, CREATE_CHILD, INFORMATIONAL };

static uint8_t program[4096], chain[2048];
static struct wr out;
static struct wire_builder b;
static const struct wire_sa_policy esp = {
	.protocol = IKEV2_PROTOCOL_ESP, .spi_len = 4, .pfs = WIRE_PFS_OPTIONAL};
static const struct wire_sa_policy ike = {
	.protocol = IKEV2_PROTOCOL_IKE, .spi_len = 8, .pfs = WIRE_PFS_REQUIRED};

static void begin(uint8_t start)
{
	out = wr_of(program, sizeof(program));
	wr_u8(&out, start);
}

static struct wire_builder *payloads(void)
{
	wire_build_begin(&b, chain, sizeof(chain));
	return &b;
}

static void sealed(uint8_t op, uint8_t exchange)
{
	struct view v = wire_build_done(&b);
	wr_u8(&out, op);
	wr_u8(&out, exchange);
	wr_u8(&out, 0);
	wr_u8(&out, b.first);
	wr_u16(&out, (uint16_t)v.len);
	wr_view(&out, v);
}

static void two(uint8_t op, uint8_t value)
{
	wr_u8(&out, op);
	wr_u8(&out, value);
}

static void save(const char *dir, const char *name)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	FILE *f = fopen(path, "wb");
	if (!f || fwrite(program, 1, out.len, f) != out.len || fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static struct proposal proposal(const char *text, bool is_esp)
{
	struct proposal p;
	char why[128];
	if (proposal_parse(text, is_esp, &p, why, sizeof(why)) < 0)
		abort();
	return p;
}

static void selectors(void)
{
	struct ip_range all, lan;
	if (ip_range_parse("0.0.0.0/0", &all) < 0 || ip_range_parse("10.99.0.0/24", &lan) < 0)
		abort();
	struct selector i = selector_of_range(&all), r = selector_of_range(&lan);
	wire_put_ts(&b, IKEV2_PAYLOAD_TSI, &i, 1);
	wire_put_ts(&b, IKEV2_PAYLOAD_TSR, &r, 1);
}

static void child_request(uint32_t spi, bool pfs, uint32_t rekeyed)
{
	static const uint8_t nonce[32] = {7}, ke[32] = {9};
	struct proposal p = proposal(pfs ? "aes128gcm16-x25519" : "aes128gcm16", true);
	payloads();
	if (rekeyed)
		wire_put_notify_esp(&b, IKEV2_NOTIFY_REKEY_SA, rekeyed, (struct view){NULL, 0});
	wire_build_sa(&b, &p, 1, &esp, spi);
	wire_put_nonce(&b, (struct view){nonce, 32});
	if (pfs)
		wire_put_ke(&b, DH_X25519, (struct view){ke, 32});
	selectors();
	sealed(REQUEST, CREATE_CHILD);
}

static void auth_request(void)
{
	static const uint8_t proof[32] = {1};
	struct wire_id id = {IKEV2_ID_FQDN, {(const uint8_t *)"c.x", 3}};
	struct proposal p = proposal("aes128gcm16", true);
	payloads();
	wire_put_id(&b, IKEV2_PAYLOAD_IDI, &id);
	wire_put_notify(&b, IKEV2_NOTIFY_INITIAL_CONTACT, (struct view){NULL, 0});
	wire_put_auth(&b, IKEV2_AUTH_SHARED_KEY, (struct view){proof, 32});
	wire_open_cp(&b, IKEV2_CP_REQUEST);
	wire_cp_put(&b, IKEV2_CP_INTERNAL_IP4_ADDRESS, (struct view){NULL, 0});
	wire_cp_put(&b, IKEV2_CP_INTERNAL_IP4_DNS, (struct view){NULL, 0});
	wire_close(&b);
	wire_build_sa(&b, &p, 1, &esp, 0x11223344);
	selectors();
	sealed(REQUEST, AUTH);
}

static void rekey_ike_request(void)
{
	static const uint8_t nonce[32] = {7}, ke[32] = {9};
	struct proposal p = proposal("aes128gcm16-prfsha256-x25519", false);
	payloads();
	wire_build_sa(&b, &p, 1, &ike, 0x99aabbccddeeff00ull);
	wire_put_nonce(&b, (struct view){nonce, 32});
	wire_put_ke(&b, DH_X25519, (struct view){ke, 32});
	sealed(REQUEST, CREATE_CHILD);
}

static void child_delete(uint32_t spi)
{
	payloads();
	wire_put_delete_esp(&b, &spi, 1);
	sealed(REQUEST, INFORMATIONAL);
}

static void init_request(void)
{
	static const uint8_t nonce[32] = {7}, ke[32] = {9}, hash[20] = {3};
	struct proposal p = proposal("aes128gcm16-prfsha256-x25519", false);
	struct wire_sa_policy policy = ike;
	struct ike_header h = {.spi_i = 0x4242,
		.major = IKE_MAJOR_2,
		.exchange = IKEV2_EXCHANGE_IKE_SA_INIT,
		.flags = IKE_FLAG_INITIATOR};
	policy.spi_len = 0;
	wire_build_message(&b, chain, sizeof(chain), &h);
	wire_build_sa(&b, &p, 1, &policy, 0);
	wire_put_ke(&b, DH_X25519, (struct view){ke, 32});
	wire_put_nonce(&b, (struct view){nonce, 32});
	wire_put_notify(&b, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP, (struct view){hash, 20});
	wire_put_notify(&b, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP, (struct view){hash, 20});
	wire_put_notify(&b, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, (struct view){NULL, 0});
	wire_put_notify(&b, IKEV2_NOTIFY_SIGNATURE_HASH_ALGORITHMS,
		(struct view){(const uint8_t *)"\0\2", 2});
	struct view v = wire_build_done(&b);
	wr_u8(&out, RAW);
	wr_u8(&out, 0);
	wr_u16(&out, (uint16_t)v.len);
	wr_view(&out, v);
}

static void empty(uint8_t op)
{
	payloads();
	sealed(op, INFORMATIONAL);
}

int main(int argc, char **argv)
{
	const char *dir = argc > 1 ? argv[1] : "tests/fuzz/corpus/engine";
	begin(NONE);
	init_request();
	init_request();
	two(TIME, 255);
	save(dir, "init");
	begin(HALF_OPEN);
	auth_request();
	save(dir, "auth");
	for (uint8_t role = RESPONDER; role <= INITIATOR; role++) {
		const char *suffix = role == RESPONDER ? "r" : "i";
		char name[32];
		begin(role);
		child_request(0x11223344, false, 0);
		two(TIME, 1);
		child_request(0x11223345, true, 0x11223344);
		child_delete(0x11223344);
		two(OPERATOR, 2);
		empty(RESPONSE);
		snprintf(name, sizeof(name), "child_%s", suffix);
		save(dir, name);
		begin(role);
		rekey_ike_request();
		payloads();
		wire_put_delete_ike(&b);
		sealed(REQUEST, INFORMATIONAL);
		two(TIME, 241);
		snprintf(name, sizeof(name), "rekey_%s", suffix);
		save(dir, name);
		begin(role);
		two(SINK, 1);
		child_request(0x11223344, false, 0);
		two(TIME, 250);
		two(OPERATOR, 0);
		empty(RESPONSE);
		two(OPERATOR, 5);
		empty(RESPONSE);
		snprintf(name, sizeof(name), "probe_%s", suffix);
		save(dir, name);
		for (uint8_t what = 1; what < 5; what++) {
			begin(role);
			child_request(0x11223344, false, 0);
			two(TIME, 1);
			two(OPERATOR, what);
			two(TIME, 1);
			rekey_ike_request();
			b.first ? sealed(RESPONSE, CREATE_CHILD) : (void)0;
			snprintf(name, sizeof(name), "operator%u_%s", what, suffix);
			save(dir, name);
		}
	}
	return 0;
}
