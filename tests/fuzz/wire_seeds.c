// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Writes the seeds of the wire targets: wire_seeds DIR, which holds a folder for each target.
#include "controlplane/wire/wire.h"
#include "tests/unit/wire_recorded.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TEXT(s)                                     \
	(struct view)                               \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}

static const char *top;
static uint8_t buf[8192];

static void save(const char *target, const char *name, int option, struct view v)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", top, target);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s", top, target, name);
	FILE *f = fopen(path, "wb");
	if (!f || (option >= 0 && fputc(option, f) == EOF) || fwrite(v.p, 1, v.len, f) != v.len ||
		fclose(f) != 0) {
		perror(path);
		exit(1);
	}
}

static struct proposal proposal_of(const char *text, bool esp)
{
	struct proposal p;
	char why[96];
	if (proposal_parse(text, esp, &p, why, sizeof(why)) != 0) {
		fprintf(stderr, "%s: %s\n", text, why);
		exit(1);
	}
	return p;
}

static struct view body_of(struct wire_builder *b)
{
	struct wire_chain c = wire_chain_of(wire_build_done(b), b->first);
	struct wire_payload p;
	if (wire_chain_next(&c, &p) != WIRE_OK)
		exit(1);
	return p.body;
}

static struct ike_header header(uint8_t exchange, bool response)
{
	return (struct ike_header){.spi_i = 0x0102030405060708,
		.spi_r = exchange == IKEV2_EXCHANGE_IKE_SA_INIT && !response ? 0 : 1,
		.major = 2,
		.exchange = exchange,
		.flags = response ? IKE_FLAG_RESPONSE : IKE_FLAG_INITIATOR};
}

static void begin(struct wire_builder *b, uint8_t exchange, bool response)
{
	struct ike_header h = header(exchange, response);
	wire_build_message(b, buf, sizeof(buf), &h);
}

static const struct view none = {(const uint8_t *)"", 0};

static void sa_init(struct wire_builder *b)
{
	struct proposal p = proposal_of("aes128gcm16-prfsha256-x25519", false);
	struct wire_sa_policy policy = {.protocol = IKEV2_PROTOCOL_IKE};
	wire_build_sa(b, &p, 1, &policy, 0);
	wire_put_ke(b, DH_X25519, TEXT("0123456789abcdef0123456789abcdef"));
	wire_put_nonce(b, TEXT("0123456789abcdef0123456789abcdef"));
	wire_put_notify(b, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP, TEXT("0123456789abcdef0123"));
	wire_put_notify(b, IKEV2_NOTIFY_IKEV2_FRAGMENTATION_SUPPORTED, none);
	wire_put_notify(b, IKEV2_NOTIFY_SIGNATURE_HASH_ALGORITHMS, TEXT("\0\2\0\3\0\4"));
	wire_put_vendor(b, TEXT("vendor"));
}

static const struct selector any_v4 = {{{IP_V4, {0}}, {IP_V4, {255, 255, 255, 255}}}, 0, 0, 65535};

static void auth(struct wire_builder *b, bool response)
{
	struct proposal p = proposal_of("aes128gcm16", true);
	struct wire_sa_policy policy = {.protocol = IKEV2_PROTOCOL_ESP, .spi_len = 4};
	struct wire_id id = {IKEV2_ID_FQDN, TEXT("client.example.org")};
	wire_put_id(b, response ? IKEV2_PAYLOAD_IDR : IKEV2_PAYLOAD_IDI, &id);
	wire_put_cert(b, IKEV2_CERT_X509_SIGNATURE, TEXT("certificate"));
	if (!response)
		wire_put_certreq(b, IKEV2_CERT_X509_SIGNATURE, TEXT("0123456789abcdef0123"));
	wire_put_auth(b, IKEV2_AUTH_SHARED_KEY, TEXT("0123456789abcdef0123456789abcdef"));
	wire_open_cp(b, response ? IKEV2_CP_REPLY : IKEV2_CP_REQUEST);
	wire_cp_put(b, IKEV2_CP_INTERNAL_IP4_ADDRESS, none);
	wire_close(b);
	wire_build_sa(b, &p, 1, &policy, 0xc0ffee01);
	wire_put_ts(b, IKEV2_PAYLOAD_TSI, &any_v4, 1);
	wire_put_ts(b, IKEV2_PAYLOAD_TSR, &any_v4, 1);
}

static void messages(void)
{
	static const char *const t = "wire_message";
	struct wire_builder b;
	begin(&b, IKEV2_EXCHANGE_IKE_SA_INIT, false);
	sa_init(&b);
	save(t, "sa_init_request", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_IKE_SA_INIT, true);
	wire_put_notify(&b, IKEV2_NOTIFY_COOKIE, TEXT("0123456789abcdef"));
	save(t, "sa_init_cookie", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_IKE_AUTH, false);
	auth(&b, false);
	save(t, "auth_request", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_IKE_AUTH, true);
	auth(&b, true);
	save(t, "auth_response", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_IKE_AUTH, false);
	wire_put_eap(&b, TEXT("\2\1\0\7\1me"));
	save(t, "auth_eap", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_CREATE_CHILD_SA, false);
	wire_put_notify_esp(&b, IKEV2_NOTIFY_REKEY_SA, 0xc0ffee01, none);
	wire_put_nonce(&b, TEXT("0123456789abcdef"));
	save(t, "child_rekey", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_INFORMATIONAL, false);
	wire_put_delete_esp(&b, (uint32_t[]){0xc0ffee01, 0xc0ffee02}, 2);
	wire_put_delete_ike(&b);
	save(t, "delete", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_INFORMATIONAL, false);
	memset(wire_put_sk(&b, IKEV2_PAYLOAD_NOTIFY, 40), 0x55, 40);
	save(t, "sk", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_IKE_AUTH, false);
	memset(wire_put_skf(&b, IKEV2_PAYLOAD_IDI, 1, 2, 40), 0x55, 40);
	save(t, "skf", -1, wire_build_done(&b));
	begin(&b, IKEV2_EXCHANGE_INFORMATIONAL, true);
	wire_put_raw(&b, 99, TEXT("unknown"));
	save(t, "unknown", -1, wire_build_done(&b));
}

// A recorded datagram as it is; recorded inside parts behind a header of ours.
static void recordings(void)
{
	for (size_t i = 0; i < sizeof(recorded) / sizeof(recorded[0]); i++) {
		const struct recorded *r = &recorded[i];
		struct view bytes = {r->bytes, r->len};
		struct wire_builder b;
		char name[64];
		snprintf(name, sizeof(name), "recorded_%s", r->name);
		if (r->first) {
			begin(&b, r->exchange, r->response);
			wr_patch_u8(&b.w, b.next_mark, r->first);
			wr_view(&b.w, bytes);
			bytes = wire_build_done(&b);
		}
		save("wire_message", name, -1, bytes);
	}
}

static void proposals(void)
{
	static const struct {
		const char *name, *texts[3];
		size_t count;
		bool esp;
		uint8_t spi_len, pfs, option;
	} seeds[] = {
		{"ike", {"aes128gcm16-prfsha256-x25519", "aes256-sha256-modp2048"}, 2, false, 0, 0,
			4},
		{"ike_rekey", {"aes256-aes128-sha256-sha1-modp2048-ecp256"}, 1, false, 8, 0, 2},
		{"ike_chacha", {"chacha20poly1305-prfsha512-x448"}, 1, false, 0, 0, 0},
		{"esp", {"aes128gcm16", "aes256-sha256"}, 2, true, 4, WIRE_PFS_NO, 5},
		{"esp_pfs", {"aes128gcm16-x25519-ecp256"}, 1, true, 4, WIRE_PFS_OPTIONAL, 0x6d},
		{"esp_null", {"null-sha256"}, 1, true, 4, WIRE_PFS_NO, 1},
	};
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		struct proposal mine[3];
		struct wire_builder b;
		for (size_t j = 0; j < seeds[i].count; j++)
			mine[j] = proposal_of(seeds[i].texts[j], seeds[i].esp);
		struct wire_sa_policy policy = {
			.protocol = seeds[i].esp ? IKEV2_PROTOCOL_ESP : IKEV2_PROTOCOL_IKE,
			.spi_len = seeds[i].spi_len,
			.pfs = seeds[i].pfs,
			.esn = true};
		wire_build_begin(&b, buf, sizeof(buf));
		wire_build_sa(&b, mine, seeds[i].count, &policy, 0xc0ffee01c0ffee02);
		save("wire_sa", seeds[i].name, seeds[i].option, body_of(&b));
	}
}

static void selectors(void)
{
	static const struct {
		const char *name, *ranges[3];
		uint8_t proto;
		uint16_t lo, hi;
	} seeds[] = {
		{"any", {"0.0.0.0/0", "::/0"}, 0, 0, 65535},
		{"packet", {"192.0.2.11", "192.0.2.0/24"}, 17, 53, 53},
		{"ranges", {"10.1.0.0/16", "10.1.2.0/24", "2001:db8::1-2001:db8::9"}, 6, 0, 65535},
		{"opaque", {"10.0.0.0/8"}, 6, 65535, 0},
	};
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++) {
		struct selector ts[3];
		struct wire_builder b;
		uint8_t n = 0;
		for (; n < 3 && seeds[i].ranges[n]; n++) {
			struct ip_range r;
			if (ip_range_parse(seeds[i].ranges[n], &r) != 0)
				exit(1);
			ts[n] = (struct selector){r, seeds[i].proto, seeds[i].lo, seeds[i].hi};
		}
		wire_build_begin(&b, buf, sizeof(buf));
		wire_put_ts(&b, IKEV2_PAYLOAD_TSI, ts, n);
		save("wire_ts", seeds[i].name, -1, body_of(&b));
	}
}

static void configurations(void)
{
	static const uint16_t asked[] = {1, 2, 3, 4, 7, 8, 10, 13, 14, 15, 25, 23456};
	struct ip_addr v4 = ip_from_v4(0x0a000001), v6 = {IP_V6, {0x20, 1, 0xd, 0xb8}};
	struct ip_prefix subnet = {ip_from_v4(0x0a000000), 8}, p6 = {v6, 64};
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	wire_open_cp(&b, IKEV2_CP_REQUEST);
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++)
		wire_cp_put(&b, asked[i], none);
	wire_close(&b);
	save("wire_cp", "request", -1, body_of(&b));
	wire_build_begin(&b, buf, sizeof(buf));
	wire_open_cp(&b, IKEV2_CP_REPLY);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP4_ADDRESS, &v4);
	wire_cp_put_addr(&b, IKEV2_CP_INTERNAL_IP6_DNS, &v6);
	wire_cp_put_prefix(&b, IKEV2_CP_INTERNAL_IP4_SUBNET, &subnet);
	wire_cp_put_prefix(&b, IKEV2_CP_INTERNAL_IP6_ADDRESS, &p6);
	wire_cp_put(&b, IKEV2_CP_INTERNAL_DNS_DOMAIN, TEXT("example.org"));
	wire_close(&b);
	save("wire_cp", "reply", -1, body_of(&b));
}

static void payloads(void)
{
	static const struct {
		const char *name;
		int option;
		struct view body;
	} seeds[] = {
		{"id_fqdn", 0, {(const uint8_t *)"\2\0\0\0vpn.example.org", 19}},
		{"id_mail", 0, {(const uint8_t *)"\3\0\0\0a@example.org", 17}},
		{"id_v4", 0, {(const uint8_t *)"\1\0\0\0\12\1\2\3", 8}},
		{"id_v6", 0, {(const uint8_t *)"\5\0\0\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1", 20}},
		{"id_key", 0, {(const uint8_t *)"\13\0\0\0x\\\377", 7}},
		{"auth_psk", 1,
			{(const uint8_t *)"\2\0\0\0"
					  "0123456789abcdef",
				20}},
		{"auth_signature", 1, {(const uint8_t *)"\16\0\0\0\2\60\0sig", 10}},
		{"delete_esp", 2, {(const uint8_t *)"\3\4\0\2\1\2\3\4\5\6\7\10", 12}},
		{"delete_ike", 2, {(const uint8_t *)"\1\0\0\0", 4}},
		{"cert", 3, {(const uint8_t *)"\4\60\202", 3}},
		{"ke", 4,
			{(const uint8_t *)"\0\37\0\0"
					  "01234567",
				12}},
		{"notify_rekey", 5, {(const uint8_t *)"\3\4\100\11\1\2\3\4", 8}},
		{"notify_cookie", 5, {(const uint8_t *)"\0\0\100\6cookie", 10}},
		{"nonce", 6, {(const uint8_t *)"0123456789abcdef", 16}},
		{"eap", 7, {(const uint8_t *)"\1\1\0\5\1", 5}},
	};
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		save("wire_payloads", seeds[i].name, seeds[i].option, seeds[i].body);
}

static void encrypted(void)
{
	// Behind an 8 byte IV a notify, no padding, a 16 byte ICV; then as fragment 1 of 2.
	static const uint8_t sk[] = "01234567\0\0\0\10\0\0\100\0\0"
				    "0123456789abcdef";
	static const uint8_t skf[] = "\0\1\0\2"
				     "01234567\0\0\0\10\0\0\100\0\0"
				     "0123456789abcdef";
	static const uint8_t cbc[] = "0123456789abcdef\0\0\0\10\0\0\100\0abcdefg\7"
				     "0123456789ab";
	uint8_t notify = IKEV2_PAYLOAD_NOTIFY << 2 & 0xff;
	save("wire_sk", "aead", notify | 2, (struct view){sk, sizeof(sk) - 1});
	save("wire_sk", "fragment", notify | 2, (struct view){skf, sizeof(skf) - 1});
	save("wire_sk", "cbc", notify | 1, (struct view){cbc, sizeof(cbc) - 1});
}

static void directions(void)
{
	save("wire_build", "each", 255, TEXT("\0\3abc\1\3abc\2\3abc\3\3abc\4\0\5\3abc\6\0\7\3abc"));
	save("wire_build", "narrow", 4,
		TEXT("\0\20"
		     "0123456789abcdef\1\20"
		     "0123456789abcdef"));
	save("wire_build", "empty", 10, none);
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: wire_seeds DIR\n");
		return 2;
	}
	top = argv[1];
	messages();
	recordings();
	proposals();
	selectors();
	configurations();
	payloads();
	encrypted();
	directions();
	return 0;
}
