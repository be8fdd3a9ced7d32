// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Writes the seeds of the ikev1_* targets: ikev1_seeds DIR, which holds a folder for each target.
#include "tests/unit/ikev1_cases.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define TEXT(s)                                     \
	(struct view)                               \
	{                                           \
		(const uint8_t *)(s), sizeof(s) - 1 \
	}
#define BYTES(array)                 \
	(struct view)                \
	{                            \
		array, sizeof(array) \
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

static void begin(struct wire_builder *b, uint8_t exchange)
{
	struct ike_header h = {.spi_i = 0x0102030405060708, .major = 1, .exchange = exchange};
	wire_build_message(b, buf, sizeof(buf), &h);
}

static void put_hash(struct wire_builder *b)
{
	wire_put_raw(b, IKEV1_PAYLOAD_HASH, TEXT("0123456789abcdef0123"));
}

static void save_message(const char *name, struct wire_builder *b)
{
	save("ikev1_message", name, -1, wire_build_done(b));
}

static void main_mode(void)
{
	struct wire_builder b;
	begin(&b, IKEV1_EXCHANGE_MAIN);
	wire_put_raw(&b, IKEV1_PAYLOAD_SA, BYTES(strongswan_phase1_sa));
	ikev1_put_vendor(&b, ikev1_vendor_bytes(IKEV1_VID_XAUTH));
	ikev1_put_vendor(&b, ikev1_vendor_bytes(IKEV1_VID_NATT_RFC3947));
	save_message("main_sa", &b);
	begin(&b, IKEV1_EXCHANGE_MAIN);
	ikev1_put_ke(&b, TEXT("0123456789abcdef0123456789abcdef"));
	ikev1_put_nonce(&b, TEXT("0123456789abcdef"));
	ikev1_put_certreq(&b, TEXT("name"));
	ikev1_put_natd(&b, false, TEXT("0123456789abcdef0123"));
	ikev1_put_natd(&b, true, TEXT("0123456789abcdef0123"));
	save_message("main_ke", &b);
	begin(&b, IKEV1_EXCHANGE_MAIN);
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, TEXT("\2\0\0\0vpn.example.org"));
	ikev1_put_cert(&b, TEXT("certificate"));
	wire_put_raw(&b, IKEV1_PAYLOAD_SIG, TEXT("signature"));
	wr_zero(&b.w, 5); // padding
	save_message("main_auth", &b);
}

static void aggressive_mode(void)
{
	struct wire_builder b;
	begin(&b, IKEV1_EXCHANGE_AGGRESSIVE);
	wire_put_raw(&b, IKEV1_PAYLOAD_SA, BYTES(vpnc_phase1_sa));
	ikev1_put_ke(&b, TEXT("0123456789abcdef0123456789abcdef"));
	ikev1_put_nonce(&b, TEXT("0123456789abcdef0123"));
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, TEXT("\13\21\1\364hq"));
	for (int v = IKEV1_VID_XAUTH; v <= IKEV1_VID_NATT_00; v++)
		ikev1_put_vendor(&b, ikev1_vendor_bytes((enum ikev1_vendor)v));
	save_message("aggressive_1", &b);
	begin(&b, IKEV1_EXCHANGE_AGGRESSIVE);
	put_hash(&b);
	ikev1_put_notify(
		&b, &(struct ikev1_notification){IKEV1_DOI_IPSEC, IKEV1_PROTOCOL_ISAKMP,
			    IKEV1_NOTIFY_INITIAL_CONTACT, TEXT("0123456789abcdef"), {NULL, 0}});
	ikev1_put_natd(&b, true, TEXT("0123456789abcdef0123"));
	save_message("aggressive_3", &b);
}

static void later_exchanges(void)
{
	struct wire_builder b;
	begin(&b, IKEV1_EXCHANGE_QUICK);
	put_hash(&b);
	wire_put_raw(&b, IKEV1_PAYLOAD_SA, BYTES(vpnc_quick_sa));
	ikev1_put_nonce(&b, TEXT("0123456789abcdef"));
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, TEXT("\1\0\0\0\12\0\0\1"));
	wire_put_raw(&b, IKEV1_PAYLOAD_ID, TEXT("\4\0\0\0\0\0\0\0\0\0\0\0"));
	save_message("quick_1", &b);
	begin(&b, IKEV1_EXCHANGE_TRANSACTION);
	put_hash(&b);
	wire_put_raw(&b, IKEV1_PAYLOAD_ATTRIBUTES, BYTES(vpnc_cfg_request));
	save_message("transaction", &b);
	begin(&b, IKEV1_EXCHANGE_INFORMATIONAL);
	put_hash(&b);
	ikev1_put_delete_esp(&b, (uint32_t[]){0xc0ffee01, 0xc0ffee02}, 2);
	ikev1_put_delete_isakmp(&b, 1, 2);
	save_message("deletes", &b);
	begin(&b, IKEV1_EXCHANGE_INFORMATIONAL);
	ikev1_put_notify(&b, &(struct ikev1_notification){IKEV1_DOI_IPSEC, IKEV1_PROTOCOL_ISAKMP,
				     IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN, {NULL, 0}, {NULL, 0}});
	save_message("clear", &b);
	begin(&b, IKEV1_EXCHANGE_MAIN);
	wire_put_raw(&b, IKEV1_PAYLOAD_FRAGMENT, TEXT("\0\1\1\1part"));
	save_message("fragment", &b);
	begin(&b, IKEV1_EXCHANGE_MAIN);
	wire_put_raw(&b, 33, TEXT("unknown"));
	wire_put_raw(&b, 200, TEXT("private"));
	save_message("unknown", &b);
}

// Options: 1 ESP, 4 ESN, 8 and 16 the PFS policy, 32 a KE of ecp256, 64 UDP encapsulation.
static void proposals(void)
{
	static const char *const t = "ikev1_sa";
	save(t, "vpnc_phase1", 0, BYTES(vpnc_phase1_sa));
	save(t, "vpnc_phase1_psk", 2, BYTES(vpnc_phase1_sa));
	save(t, "vpnc_quick", 1 | WIRE_PFS_OPTIONAL << 3 | 64, BYTES(vpnc_quick_sa));
	save(t, "strongswan_phase1", 0, BYTES(strongswan_phase1_sa));
	save(t, "strongswan_quick", 1 | 4 | WIRE_PFS_OPTIONAL << 3 | 32,
		BYTES(strongswan_quick_sa));
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

// The offers that the target compares an answer with hold these.
static void answers(void)
{
	struct proposal ike = proposal_of("aes256-sha256-modp2048", false);
	struct proposal esp = proposal_of("aes256-sha256", true);
	struct ikev1_ike_offer ike_offer = {.mine = &ike,
		.count = 1,
		.auths = {IKEV1_AUTH_PSK},
		.auth_count = 1,
		.life_s = 3600};
	struct ikev1_esp_offer esp_offer = {
		.mine = &esp, .count = 1, .encap = IKEV1_ENCAP_TUNNEL, .life_s = 60, .spi = 7};
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_ike(&b, &ike_offer);
	struct view payload = wire_build_done(&b);
	save("ikev1_sa", "answer_ike", 0, (struct view){payload.p + 4, payload.len - 4});
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_esp(&b, &esp_offer);
	payload = wire_build_done(&b);
	save("ikev1_sa", "answer_esp", 1, (struct view){payload.p + 4, payload.len - 4});
}

static void payloads(void)
{
	static const struct {
		const char *name;
		int option;
		struct view body;
	} seeds[] = {
#define SEED(name, option, text)                                  \
	{                                                         \
		name, option,                                     \
		{                                                 \
			(const uint8_t *)(text), sizeof(text) - 1 \
		}                                                 \
	}
		SEED("id_key", 0, "\13\21\1\364hq"),
		SEED("id_fqdn", 0, "\2\0\0\0vpn.example.org"),
		SEED("selector_host", 1, "\1\0\0\0\12\0\0\1"),
		SEED("selector_port", 1, "\1\21\6\245\12\0\0\1"),
		SEED("selector_subnet", 1, "\4\0\0\0\12\1\0\0\377\377\0\0"),
		SEED("selector_range", 1, "\7\0\0\0\12\0\0\1\12\0\0\11"),
		SEED("selector_v6", 1, "\5\0\0\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"),
		SEED("selector_v6_subnet", 1,
			"\6\0\0\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\0"
			"\377\377\377\377\0\0\0\0\0\0\0\0\0\0\0\0"),
		SEED("selector_v6_range", 1,
			"\10\0\0\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\1"
			"\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\11"),
		SEED("notify_dpd", 2, "\0\0\0\1\1\20\215\0500123456789abcdef\0\0\0\1"),
		SEED("delete_esp", 3, "\0\0\0\1\3\4\0\2\1\2\3\4\5\6\7\10"),
		SEED("delete_isakmp", 3,
			"\0\0\0\1\1\20\0\1"
			"0123456789abcdef"),
		SEED("fragment", 4, "\0\1\1\1part"),
		SEED("life_phase1", 14, "\200\13\0\1\200\14\16\20"),
		SEED("life_phase2", 5, "\200\1\0\1\0\2\0\4\0\1\121\200"),
		SEED("natoa", 7, "\1\0\0\0\12\0\0\7"),
		SEED("natoa_v6", 7, "\5\0\0\0\40\1\15\270\0\0\0\0\0\0\0\0\0\0\0\7"),
		SEED("nonce", 8, "0123456789abcdef"),
	};
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		save("ikev1_payloads", seeds[i].name, seeds[i].option, seeds[i].body);
	for (int v = IKEV1_VID_XAUTH; v <= IKEV1_VID_NATT_00; v++) {
		char name[32];
		snprintf(name, sizeof(name), "vendor_%d", v);
		save("ikev1_payloads", name, 6, ikev1_vendor_bytes((enum ikev1_vendor)v));
	}
}

static void configurations(void)
{
	struct ip_prefix nets[] = {{ip_from_v4(0x0a010000), 16}, {ip_from_v4(0), 0}};
	save("ikev1_cfg", "vpnc_request", -1, BYTES(vpnc_cfg_request));
	save("ikev1_cfg", "xauth_request", -1,
		TEXT("\1\0\0\7\300\210\0\0\100\211\0\0\100\212\0\0"));
	save("ikev1_cfg", "xauth_reply", -1, TEXT("\2\0\0\7\100\211\0\3joe\100\212\0\6secret"));
	save("ikev1_cfg", "xauth_status", -1, TEXT("\3\0\0\10\300\217\0\1"));
	save("ikev1_cfg", "ack_values", -1, TEXT("\4\0\0\11\0\1\0\4\12\0\0\1\300\217\0\1"));
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_open_cfg(&b, IKEV1_CFG_REPLY, 20);
	ikev1_put_attr(&b, IKEV1_CFG_IP4_ADDRESS, TEXT("\12\0\0\1"));
	ikev1_put_attr(&b, IKEV1_CFG_IP6_ADDRESS, TEXT("0123456789abcdef\200"));
	ikev1_put_attr(&b, IKEV1_CFG_UNITY_BANNER, TEXT("welcome"));
	ikev1_put_attr_basic(&b, IKEV1_CFG_UNITY_PFS, 1);
	ikev1_put_unity_nets(&b, IKEV1_CFG_UNITY_SPLIT_INCLUDE, nets, 2);
	wire_close(&b);
	struct view payload = wire_build_done(&b);
	save("ikev1_cfg", "reply", -1, (struct view){payload.p + 4, payload.len - 4});
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: ikev1_seeds DIR\n");
		return 2;
	}
	top = argv[1];
	main_mode();
	aggressive_mode();
	later_exchanges();
	proposals();
	answers();
	payloads();
	configurations();
	return 0;
}
