// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Transport mode in the small: what the configuration may say, the selectors that follow, what a NAT
// makes of the peer's, and IKEv1's encapsulation modes and NAT-OA.
#include "tests/cmocka_all.h"

#include "config/config.h"
#include "controlplane/session.h"
#include "controlplane/wire/ikev1.h"

#include <errno.h>
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct ip_addr ip(const char *text)
{
	struct ip_addr a;
	assert_int_equal(ip_parse(text, &a), 0);
	return a;
}

// ---- configuration -----------------------------------------------------------------------------

// The child stands on line 6, the connection's own options on line 5.
#define CONFIG(more, child)                                                                     \
	"ports = ( { name = \"o\"; role = \"outside\"; device = \"net_tap0\"; "                 \
	"addresses = [ \"192.0.2.1/24\" ]; } );\n"                                              \
	"pools = ( { name = \"p\"; ranges = [ \"10.1.0.0/24\" ]; } );\n"                        \
	"credentials: { psk = ( { id = \"peer\"; secret = \"a secret of them both\"; } ); };\n" \
	"connections = ( { name = \"c\"; local = { id = \"gw\"; auth = \"psk\"; };\n" more      \
	" children = (\n{ name = \"k\"; " child " } ); } );\n"
#define PEER "remote = { id = \"peer\"; auth = \"psk\"; addresses = [ \"198.51.100.7\" ]; };"

static void what_may_be_configured(void **state)
{
	static const struct {
		const char *text, *said; // "": nothing
	} rows[] = {
		{CONFIG(PEER, "mode = \"transport\";"), ""},
		{CONFIG(PEER, "mode = \"any\";"), ""},
		{CONFIG(PEER, "mode = \"transport\"; local_ts = [ \"0.0.0.0/0[udp/1701]\" ];"), ""},
		{CONFIG(PEER, "mode = \"transport\"; local_ts = [ \"192.0.2.1[gre]\" ]; "
			      "remote_ts = [ \"198.51.100.7[gre]\" ];"),
			""},
		{CONFIG(PEER, "mode = \"any\"; local_ts = [ \"10.9.0.0/16\" ];"), ""},
		{CONFIG(PEER, "mode = \"tunnel\";"),
			"f:6: error: missing required option \"local_ts\" in "
			"connections[].children[]\n"},
		{CONFIG(PEER, "local_ts = [ ];"),
			"f:6: error: missing required option \"local_ts\" in "
			"connections[].children[]\n"},
		{CONFIG(PEER, "mode = \"tunel\"; local_ts = [ \"10.9.0.0/16\" ];"),
			"f:6: error: mode: \"tunel\" is not one of \"tunnel\", \"transport\", \"any\"\n"},
		{CONFIG(PEER, "mode = \"transport\"; local_ts = [ \"10.9.0.0/16\" ];"),
			"f:6: error: local_ts: 10.9.0.0/16, but in transport mode one address, or "
			"0.0.0.0/0 or ::/0 for the outer one\n"},
		{CONFIG(PEER, "mode = \"transport\"; local_ts = [ \"192.0.2.2\" ];"),
			"f:6: error: local_ts: 192.0.2.2/32 is no address of an outside port, as "
			"transport mode needs\n"},
		{CONFIG(PEER "mode_config = [ \"respond\" ]; pools = [ \"p\" ];",
			 "mode = \"transport\";"),
			"f:6: error: mode: transport mode knows no inner addresses, this "
			"connection has some to give or ask for\n"},
		{CONFIG(PEER "tunnel_interface: { };",
			 "mode = \"any\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"0.0.0.0/0\" "
			 "];"),
			"f:6: error: mode: tunnel_interface has tunnels only\n"},
		{CONFIG(PEER "initiate = \"on_demand\";",
			 "mode = \"transport\"; remote_ts = [ \"0.0.0.0/0\" ];"),
			"f:6: error: remote_ts: with initiate \"on_demand\" transport mode needs "
			"the peer's address\n"},
		{CONFIG(PEER "mobike = true;", "mode = \"transport\";"),
			"f:5: warning: mobike: not used, a child is to be in transport mode\n"},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		char *said = NULL;
		size_t len = 0;
		FILE *out = open_memstream(&said, &len);
		struct cfg *c = NULL;
		int rc = cfg_load_text("f", rows[i].text, out, &c);
		fclose(out);
		assert_string_equal(said, rows[i].said);
		assert_int_equal(rc, strstr(rows[i].said, "error") ? -EINVAL : 0);
		if (c && c->connections[0].children[0].mode != CFG_MODE_TUNNEL)
			assert_false(c->connections[0].mobike);
		cfg_free(c);
		free(said);
	}
}

// ---- selectors ---------------------------------------------------------------------------------

static struct selector selector(const char *range, uint8_t proto)
{
	struct ip_range r;
	assert_int_equal(ip_range_parse(range, &r), 0);
	struct selector s = selector_of_range(&r);
	s.proto = proto;
	return s;
}

static void selectors_at_the_outer_addresses(void **state)
{
	static const struct {
		const char *local[2]; // of the configuration
		uint8_t proto[2];
		const char *own, *peer;
		unsigned count; // of our side; 0: none fits
	} rows[] = {
		{{NULL}, {0}, "192.0.2.1", "198.51.100.7", 1},
		{{"0.0.0.0/0"}, {17}, "192.0.2.1", "198.51.100.7", 1},
		{{"192.0.2.1", "0.0.0.0/0"}, {17, 47}, "192.0.2.1", "198.51.100.7", 2},
		{{"192.0.2.1", "::/0"}, {17, 47}, "2001:db8::1", "2001:db8::7", 1},
		{{"192.0.2.2"}, {0}, "192.0.2.1", "198.51.100.7", 0},
		{{"::/0"}, {0}, "192.0.2.1", "198.51.100.7", 0},
		{{NULL}, {0}, "192.0.2.1", "2001:db8::7", 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip_addr own = ip(rows[i].own), peer = ip(rows[i].peer);
		struct ike_peer_side side = {NULL, 0, &peer, &own};
		struct selector ts[2];
		struct cfg_child conf = {.mode = CFG_MODE_TRANSPORT, .local_ts = ts};
		for (; conf.local_ts_count < 2 && rows[i].local[conf.local_ts_count];
			conf.local_ts_count++)
			ts[conf.local_ts_count] = selector(rows[i].local[conf.local_ts_count],
				rows[i].proto[conf.local_ts_count]);
		struct wire_ts local, remote;
		bool fits = ike_transport_selectors(&conf, &side, &local, &remote);
		assert_int_equal(fits, rows[i].count > 0);
		if (!fits)
			continue;
		assert_int_equal(local.count, rows[i].count);
		for (uint8_t k = 0; k < local.count; k++) {
			assert_true(ip_eq(&local.items[k].range.lo, &own));
			assert_true(ip_eq(&local.items[k].range.hi, &own));
		}
		assert_true(ip_eq(&remote.items[0].range.lo, &peer));
	}
}

// RFC 7296 2.23.1.
static void what_a_nat_has_changed(void **state)
{
	static const struct {
		const char *local, *remote; // as the peer wrote them
		bool nat_local, nat_remote;
		const char *local_after, *remote_after;
		bool seen;
	} rows[] = {
		{"192.0.2.1", "10.0.0.7", false, true, "192.0.2.1", "203.0.113.9", true},
		{"198.51.100.1", "203.0.113.9", true, false, "192.0.2.1", "203.0.113.9", true},
		{"198.51.100.1", "10.0.0.7", true, true, "192.0.2.1", "203.0.113.9", true},
		{"192.0.2.1", "10.0.0.7", false, false, "192.0.2.1", "10.0.0.7", false},
		{"0.0.0.0/0", "10.0.0.7", false, true, "0.0.0.0/0", "203.0.113.9", false},
		{"192.0.2.1", "10.0.0.0/24", false, true, "192.0.2.1", "10.0.0.0/24", false},
		{"192.0.2.1", "2001:db8::7", false, true, "192.0.2.1", "2001:db8::7", true},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ike_sa sa = {.nat_local = rows[i].nat_local,
			.nat_remote = rows[i].nat_remote,
			.local.addr = ip("192.0.2.1"),
			.remote.addr = ip("203.0.113.9")};
		struct wire_ts local = {.items = {selector(rows[i].local, 17)}, .count = 1};
		struct wire_ts remote = {.items = {selector(rows[i].remote, 17)}, .count = 1};
		struct selector after[2] = {
			selector(rows[i].local_after, 17), selector(rows[i].remote_after, 17)};
		struct ike_seen_addrs seen;
		ike_transport_translate(&sa, &local, &remote, &seen);
		assert_true(ike_selectors_equal(local.items, 1, &after[0], 1));
		assert_true(ike_selectors_equal(remote.items, 1, &after[1], 1));
		assert_int_equal(seen.peer.family != 0, rows[i].seen);
		if (rows[i].seen) {
			struct ip_addr own = ip(rows[i].local), peer = ip(rows[i].remote);
			assert_true(ip_eq(&seen.own, &own) && ip_eq(&seen.peer, &peer));
		}
	}
}

static void the_responders_word(void **state)
{
	static const struct {
		enum cfg_mode conf;
		enum sa_mode offered;
		bool agreed;
		enum ike_reason why;
		enum sa_mode mode;
	} rows[] = {
		{CFG_MODE_TRANSPORT, SA_TRANSPORT, true, IKE_REASON_NONE, SA_TRANSPORT},
		{CFG_MODE_TRANSPORT, SA_TRANSPORT, false, IKE_REASON_NOT_TRANSPORT, 0},
		{CFG_MODE_TRANSPORT, SA_TUNNEL, false, IKE_REASON_NOT_TRANSPORT, 0},
		{CFG_MODE_ANY, SA_TRANSPORT, false, IKE_REASON_NONE, SA_TUNNEL},
		{CFG_MODE_ANY, SA_TRANSPORT, true, IKE_REASON_NONE, SA_TRANSPORT},
		{CFG_MODE_TUNNEL, SA_TUNNEL, false, IKE_REASON_NONE, SA_TUNNEL},
		{CFG_MODE_TUNNEL, SA_TUNNEL, true, IKE_REASON_PROPOSAL_ALTERED, 0},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct cfg_child conf = {.mode = rows[i].conf};
		enum sa_mode mode;
		assert_int_equal(
			ike_transport_settle(&conf, rows[i].offered, rows[i].agreed, &mode),
			rows[i].why);
		if (rows[i].why == IKE_REASON_NONE)
			assert_int_equal(mode, rows[i].mode);
	}
}

// ---- IKEv1 -------------------------------------------------------------------------------------

static void natoa(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
		const char *addr; // NULL: malformed
	} rows[] = {
		{{1, 0, 0, 0, 10, 0, 0, 7}, 8, "10.0.0.7"},
		{{1, 9, 9, 9, 10, 0, 0, 7}, 8, "10.0.0.7"},
		{{5, 0, 0, 0, 0x20, 1, 0xd, 0xb8, [19] = 7}, 20, "2001:db8::7"},
		{{1, 0, 0, 0, 10, 0, 0, 7}, 7, NULL},
		{{1, 0, 0, 0, 10, 0, 0, 7}, 9, NULL},
		{{5, 0, 0, 0, 0x20, 1, 0xd, 0xb8}, 8, NULL},
		{{4, 0, 0, 0, 10, 0, 0, 7, 255, 255, 255, 255}, 12, NULL},
		{{0}, 8, NULL},
		{{1, 0, 0}, 3, NULL},
		{{0}, 0, NULL},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ip_addr got, want;
		enum wire_error e =
			ikev1_natoa_parse((struct view){rows[i].bytes, rows[i].len}, &got);
		assert_int_equal(e, rows[i].addr ? WIRE_OK : WIRE_MALFORMED_ID);
		if (!rows[i].addr)
			continue;
		want = ip(rows[i].addr);
		assert_true(ip_eq(&got, &want));
		uint8_t buf[64];
		struct wire_builder b;
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_put_natoa(&b, i & 1, &want);
		struct view done = wire_build_done(&b);
		assert_int_equal(b.first, i & 1 ? 131 : 21);
		assert_int_equal(done.len, 4 + rows[i].len);
		assert_int_equal(
			ikev1_natoa_parse((struct view){done.p + 4, done.len - 4}, &got), WIRE_OK);
		assert_true(ip_eq(&got, &want));
	}
}

static struct proposal esp_proposal(const char *text)
{
	struct proposal p;
	char why[128];
	assert_int_equal(proposal_parse(text, true, &p, why, sizeof(why)), 0);
	return p;
}

// Each mode is chosen where it was asked for, and where a NAT is or is not.
static void encapsulation_modes(void **state)
{
	static const uint16_t encaps[] = {IKEV1_ENCAP_TUNNEL, IKEV1_ENCAP_TRANSPORT,
		IKEV1_ENCAP_UDP_TUNNEL, IKEV1_ENCAP_UDP_TRANSPORT, IKEV1_ENCAP_UDP_TUNNEL_DRAFT,
		IKEV1_ENCAP_UDP_TRANSPORT_DRAFT};
	struct proposal mine = esp_proposal("aes128-sha256");
	for (size_t i = 0; i < 4 * COUNT(encaps); i++) {
		uint16_t encap = encaps[i / 4];
		bool transport = encap % 2 == 0, udp = encap > IKEV1_ENCAP_TRANSPORT;
		struct ikev1_esp_policy policy = {.encap_udp = i & 1, .transport = i & 2};
		struct ikev1_esp_offer offer = {
			.mine = &mine, .count = 1, .encap = encap, .spi = 0xc0ffee01};
		static struct ikev1_sa_offer parsed;
		struct ikev1_choice c;
		struct wire_builder b;
		uint8_t buf[512];
		wire_build_begin(&b, buf, sizeof(buf));
		ikev1_build_esp(&b, &offer);
		struct view body = wire_build_done(&b);
		assert_int_equal(
			ikev1_sa_parse((struct view){body.p + 4, body.len - 4}, false, &parsed),
			WIRE_OK);
		bool fits = transport == policy.transport && udp == policy.encap_udp;
		assert_int_equal(ikev1_encap_transport(encap), transport);
		assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c),
			fits ? WIRE_OK : WIRE_NO_PROPOSAL);
	}
}

// Either mode is offered, the preferred one first; the answer may be any of them and no third one.
static void an_offer_of_both(void **state)
{
	struct proposal mine = esp_proposal("aes128-sha256");
	struct ikev1_esp_offer offer = {.mine = &mine,
		.count = 1,
		.encap = IKEV1_ENCAP_TRANSPORT,
		.encap_else = IKEV1_ENCAP_TUNNEL,
		.spi = 0xc0ffee01};
	static struct ikev1_sa_offer parsed, answer;
	uint8_t buf[512], buf2[512];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_build_esp(&b, &offer);
	struct view body = wire_build_done(&b);
	assert_int_equal(
		ikev1_sa_parse((struct view){body.p + 4, body.len - 4}, false, &parsed), WIRE_OK);
	assert_int_equal(parsed.transform_count, 2);
	assert_int_equal(parsed.transforms[0].encap, IKEV1_ENCAP_TRANSPORT);
	assert_int_equal(parsed.transforms[1].encap, IKEV1_ENCAP_TUNNEL);
	for (int i = 0; i < 4; i++) {
		struct ikev1_esp_policy policy = {.transport = i & 1};
		struct ikev1_choice c, checked;
		assert_int_equal(ikev1_select_esp(&mine, 1, &policy, &parsed, &c), WIRE_OK);
		wire_build_begin(&b, buf2, sizeof(buf2));
		ikev1_build_choice(&b, &c, 0x11223344);
		body = wire_build_done(&b);
		assert_int_equal(
			ikev1_sa_parse((struct view){body.p + 4, body.len - 4}, false, &answer),
			WIRE_OK);
		offer.encap_else = i < 2 ? IKEV1_ENCAP_TUNNEL : 0;
		assert_int_equal(ikev1_check_esp(&offer, &answer, &checked),
			i < 2 || policy.transport ? WIRE_OK : WIRE_BAD_CHOICE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_may_be_configured),
		cmocka_unit_test(selectors_at_the_outer_addresses),
		cmocka_unit_test(what_a_nat_has_changed),
		cmocka_unit_test(the_responders_word),
		cmocka_unit_test(natoa),
		cmocka_unit_test(encapsulation_modes),
		cmocka_unit_test(an_offer_of_both),
	};
	return cmocka_run_group_tests_name("transport_mode", tests, NULL, NULL);
}
