// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Seeded mistakes, each with every line that must be said about it and no other.
#include "tests/cmocka_all.h"

#include "config/config.h"
#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>

#define PSK \
	"credentials: { psk = ( { id = \"*\"; secret = \"correct horse battery staple\"; } ); };\n"
#define LOCAL  "local = { id = \"gw\"; auth = \"psk\"; };\n"
#define REMOTE "remote = { auth = \"psk\"; };\n"
#define KIDS   "children = ( { name = \"k\"; local_ts = [ \"10.0.0.0/8\" ]; } );\n"
#define P1     "pools = ( { name = \"pool1\"; ranges = [ \"10.0.0.0/24\" ]; } );\n"

// The body stands on line 2, 2, 2, 3, 6 and 6.
#define MAIN(body) "main: {\n" body "\n};\n"
#define PORT(body) \
	"ports = ( { name = \"o\"; role = \"outside\"; device = \"net_tap0\";\n" body "\n} );\n"
#define POOL(body)        "pools = ( { name = \"p\"; ranges = [ \"10.0.0.0/24\" ];\n" body "\n} );\n"
#define CREDENTIALS(body) "credentials:\n{\n" body "\n};\n"
#define CONNECTION(body)  PSK "connections = ( { name = \"c\";\n" LOCAL REMOTE KIDS body "\n} );\n"
#define CHILD(body)                                          \
	PSK "connections = ( { name = \"c\";\n" LOCAL REMOTE \
	    "children = ( { name = \"k\"; local_ts = [ \"10.0.0.0/8\" ];\n" body "\n} ); } );\n"

#define USERS "users = ( { name = \"u\"; password = \"p\"; } );\n"
#define KEYS                                                                                          \
	"credentials: { psk = ( { id = \"*\"; secret = \"correct horse battery staple\"; } ); " USERS \
	"};\n"
// An IKEv1 connection: credentials on lines 1 and 2, local on 4, remote on 5, body on 7.
#define V1(local, remote, body)                                                               \
	KEYS "connections = ( { name = \"c\"; ike_versions = [ 1 ];\n" local remote KIDS body \
	     "\n} );\n"
#define XAUTH  "remote = { auth = \"psk\"; user_auth = \"xauth\"; };\n"
#define HYBRID "remote = { auth = \"none\"; user_auth = \"xauth\"; };\n"
#define CERTS                                                                                \
	"credentials: { certificates = ( { cert = \"/dev/null\"; key = \"/dev/zero\"; } ); " \
	"ca = [ \"/dev/null\" ]; " USERS "};\n"
#define V1CERT(local, remote, body)                                                            \
	CERTS "connections = ( { name = \"c\"; ike_versions = [ 1 ];\n" local remote KIDS body \
	      "\n} );\n"
#define BY_CERT "local = { id = \"gw\"; auth = \"cert\"; };\n"
#define CHILD1(body)                                                                \
	KEYS "connections = ( { name = \"c\"; ike_versions = [ 1 ];\n" LOCAL REMOTE \
	     "children = ( { name = \"k\"; local_ts = [ \"10.0.0.0/8\" ];\n" body "\n} ); } );\n"

// A peer with an address: remote on line 4, children on line 5, body on 6.
#define SITE(address, children, body)                                                        \
	PSK "connections = ( { name = \"c\";\n" LOCAL                                        \
	    "remote = { auth = \"psk\"; addresses = [ \"" address "\" ]; };\n" children body \
	    "\n} );\n"
#define ANY_TO_ANY_CHILD \
	"name = \"k\"; local_ts = [ \"0.0.0.0/0\" ]; remote_ts = [ \"0.0.0.0/0\" ];"
#define ANY_TO_ANY "children = ( { " ANY_TO_ANY_CHILD " } );\n"
#define INSIDE                                                                                          \
	"ports = ( { name = \"o\"; role = \"outside\"; device = \"net_tap0\"; },\n"                     \
	"{ name = \"i\"; role = \"inside\"; device = \"net_tap1\"; addresses = [ \"10.99.0.1/24\" ];\n" \
	"routes = ( { prefix = \"10.98.0.0/16\"; via = \"10.99.0.254\"; },\n"                           \
	"{ prefix = \"0.0.0.0/0\"; via = \"10.99.0.254\"; } ); } );\n"
// An outside port on line 2, an inside one from line 3 on.
#define TWO_PORTS(outside, inside)                                                               \
	"ports = (\n{ name = \"o\"; role = \"outside\"; device = \"net_tap0,iface=x\"; " outside \
	" },\n{ name = \"i\"; role = \"inside\"; " inside " } );\n"
#define FANNED \
	"children = ( { name = \"k\"; local_ts = [ \"10.0.0.0/8\" ];\nper_resource = true; } );\n"

struct mistake {
	const char *text;
	const char *errors; // "line: message", one a line
};

static const struct mistake mistakes[] = {
#include "tests/unit/config_mistakes.inc"
};

// What the loader prints, without warnings.
static char *errors_of(const char *text, int *rc, const char *want)
{
	char *all = NULL, *kept = calloc(1, 1);
	size_t len = 0, used = 0;
	FILE *out = open_memstream(&all, &len);
	struct cfg *c = NULL;
	*rc = cfg_load_text("f", text, out, &c);
	fclose(out);
	cfg_free(c);
	char *save = NULL;
	for (char *l = strtok_r(all, "\n", &save); l; l = strtok_r(NULL, "\n", &save))
		if (strstr(l, want)) {
			size_t n = strlen(l);
			kept = realloc(kept, used + n + 2);
			used += (size_t)sprintf(kept + used, "%s\n", l);
		}
	free(all);
	return kept;
}

// "2: text" becomes "f:2: error: text".
static char *expected_lines(const char *errors, const char *kind)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	for (const char *p = errors; *p;) {
		size_t n = strcspn(p, "\n"), line = strcspn(p, ":");
		fprintf(f, "f:%.*s: %s:%.*s\n", (int)line, p, kind, (int)(n - line - 1),
			p + line + 1);
		p += n + (p[n] == '\n');
	}
	fclose(f);
	return out;
}

static void each_mistake_is_named_with_its_line(void **state)
{
	unsigned wrong = 0;
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(mistakes[0]); i++) {
		int rc;
		char *got = errors_of(mistakes[i].text, &rc, ": error: ");
		char *want = expected_lines(mistakes[i].errors, "error");
		if (rc != -EINVAL || strcmp(got, want) != 0) {
			print_message("case %zu, rc %d\n%s--- expected\n%s--- got\n%s", i, rc,
				mistakes[i].text, want, got);
			wrong++;
		}
		free(got);
		free(want);
	}
	print_message("# %zu mistakes\n", sizeof(mistakes) / sizeof(mistakes[0]));
	assert_int_equal(wrong, 0);
}

// All of them in one file give all the lines, in the order of the lines.
static void all_are_reported_at_once(void **state)
{
	static const char text[] = "main: {\n"
				   "  workers = [ 1, 1 ];\n"
				   "  idel = \"poll\";\n"
				   "  node_id = 9;\n"
				   "};\n"
				   "pools = ( { name = \"a\"; ranges = [ \"10.0.0.0/24\" ]; },\n"
				   "  { name = \"a\"; ranges = [ \"10.0.0.9\" ]; } );\n"
				   "connections = ( { name = \"c\"; ike_versions = [ 1 ];\n"
				   "  pools = [ \"b\" ]; mode_config = [ \"respond\" ];\n"
				   "  local = { auth = \"cert\"; };\n"
				   "} );\n";
	static const char want[] =
		"f:2: error: main.workers: lcore 1 is named twice\n"
		"f:3: error: unknown option \"idel\" in main, did you mean \"idle\"?\n"
		"f:4: error: main.node_id: 9 is out of range (0 to 7)\n"
		"f:7: error: pool \"a\" is defined twice\n"
		"f:7: error: ranges: 10.0.0.9/32 overlaps 10.0.0.0/24 of pool \"a\"\n"
		"f:8: error: missing required option \"remote\" in connections[]\n"
		"f:8: error: missing required option \"children\" in connections[]\n"
		"f:9: error: pools: no pool \"b\"\n"
		"f:10: error: missing required option \"local.id\" in connections[].local\n"
		"f:10: error: local.auth: \"cert\" needs credentials.certificates\n";
	int rc;
	(void)state;
	char *got = errors_of(text, &rc, ": error: ");
	assert_string_equal(got, want);
	assert_int_equal(rc, -EINVAL);
	free(got);
}

#define ANY_NAME "1: psk: \"*\" lets whoever knows the secret in under any name\n"
#define V1ID(psk, rest)                              \
	"credentials: { psk = ( { " psk " } ); };\n" \
	"connections = ( { name = \"c\"; ike_versions = [ 1 ];\n" LOCAL rest KIDS "} );\n"
#define TOLD                                                                         \
	"split_include = [ \"10.0.0.0/8\" ];\nlocal_lan = [ \"192.168.0.0/16\" ];\n" \
	"split_dns = [ \"corp.example\" ];\nbackup_servers = [ \"192.0.2.3\" ];\n"   \
	"banner = \"hello\";\nsave_password = true;\n"

static const struct mistake warnings[] = {
	{"", "1: no ports: nothing can be received\n"
	     "1: no connections: every peer is refused\n"},
	{PORT("") "credentials: { psk = (\n{ id = \"a\"; secret = \"short\"; } ); };\n"
		  "connections = ( );\n",
		"5: psk: shorter than 20 characters, it can be guessed off line\n"},
	{PORT("") "credentials: { psk = (\n{ id = \"*\"; secret = \"long enough to be good\"; }"
		  " ); };\nconnections = ( );\n",
		"5: psk: \"*\" lets whoever knows the secret in under any name\n"},
	{MAIN("state_dir = \"/srv/state\";") PORT("") "connections = ( );\n", ""},
	{KEYS POOL("netmask = \"255.255.0.0\"; prefix_length = 28;\ngroups = [ \"staff\" ];")
			PORT("") "connections = ( );\n",
		ANY_NAME "4: netmask: not used, networks are given out\n"
			 "5: groups: nobody of credentials.users is in \"staff\"\n"},
	{MAIN("quick_crash_detection = false;\nlease_store = \"memory\";\nstate_dir = \"/srv/state\";")
			PORT("") "connections = ( );\n",
		"4: main.state_dir: not used, leases are in memory and quick_crash_detection is "
		"false\n"},
	{CONNECTION("lifetime = { ike_rekey_s = 600; child_rekey_s = 300;\n"
		    "child_rekey_bytes = 9L; child_hard_packets = 8; };") PORT(""),
		ANY_NAME},
	{CONNECTION("lifetime = { ike_rekey_s = 600; reauth_s = 500; };") PORT(""),
		ANY_NAME "6: lifetime.ike_rekey_s: not reached, reauth_s is 500\n"},
	{CONNECTION("responder_only = true;\nlifetime = { ike_rekey_s = 600; reauth_s = 500; };")
			PORT(""),
		ANY_NAME "7: lifetime.ike_rekey_s: not used, responder_only never rekeys\n"},
	{CONNECTION("rate_burst_bytes = 20000;\nidle_s = 60; mss = 600;") PORT(""),
		ANY_NAME "6: rate_burst_bytes: not used without rate_in_kbit_s or "
			 "rate_out_kbit_s\n"},
	{SITE("198.51.100.7",
		 "children = ( { name = \"k\"; local_ts = [ \"2001:db8::/32\" ]; "
		 "remote_ts = [ \"2001:db9::/32\" ]; } );\n",
		 "idle_s = 60; initiate = \"start\";\nmss = 1219; rate_in_kbit_s = 1; "
		 "rate_burst_bytes = 20000;") PORT("addresses = [ \"192.0.2.1/24\" ];"),
		ANY_NAME "6: idle_s: with initiate \"start\" the gateway connects again at "
			 "once\n7: mss: of IPv6's TCP it is 1220 at least\n"},
	{CHILD1("tfc = \"mtu\";") PORT(""),
		ANY_NAME "7: tfc: an IKEv1 peer cannot say that it takes no such padding\n"},
	{SITE("198.51.100.7", "children = ( { name = \"k\"; mode = \"transport\"; tfc = 64; } );\n",
		 "") PORT(""),
		ANY_NAME "5: tfc: not used in transport mode\n"},
	{CONNECTION("responder_only = true;\nlifetime = { ike_rekey_s = 0;\n"
		    "child_rekey_s = 300; child_rekey_bytes = 9L; };") PORT(""),
		ANY_NAME "8: lifetime.child_rekey_s: not used, responder_only never rekeys\n"},
	{CHILD("esp_proposals = [ \"aes256gcm16\", \"null-sha256-aescmac\",\n"
	       "\"aes128gmac\" ];") PORT(""),
		ANY_NAME "6: esp_proposals: \"null\" does not encrypt: everybody on the way can "
			 "read the packets\n7: esp_proposals: \"aes128gmac\" does not encrypt: "
			 "everybody on the way can read the packets\n"},
	{CONNECTION("max_sessions = 3;") PORT(""),
		ANY_NAME "6: max_sessions: not used, unique leaves a user one session\n"},
	{CONNECTION("unique = \"keep\";\nmax_sessions = 3;") PORT(""),
		ANY_NAME "7: max_sessions: not used, unique leaves a user one session\n"},
	{CONNECTION("unique = \"no\";\nmax_sessions = 3;") PORT(""), ANY_NAME},
	{CONNECTION("lifetime = { ike_rekey_s = 0; ike_hard_s = 500;\nreauth_s = 500; };") PORT(""),
		ANY_NAME
		"7: lifetime.reauth_s: not reached unless the peer rekeys, ike_hard_s is 500\n"},
	{V1(LOCAL, REMOTE, "lifetime = { reauth_s = 3600; };") PORT(""), ANY_NAME
		"7: lifetime.reauth_s: not used, an IKEv1 peer authenticates anew whenever phase "
		"1 ends by ike_rekey_s or ike_hard_s\n"},
	{V1(LOCAL, REMOTE, "mobike = true;") PORT(""),
		ANY_NAME "7: mobike: not used, ike_versions lists 1 alone\n"},
	{V1(LOCAL, REMOTE, "mobike = false;") PORT(""), ANY_NAME},
	{SITE("198.51.100.7", KIDS, "initiate = \"start\";\ndpd = { delay_s = 0; };")
			PORT("addresses = [ \"192.0.2.1/24\" ];"),
		ANY_NAME
		"7: dpd.delay_s: 0 never sees that the peer has gone, and so never connects "
		"again\n"},
	{SITE("198.51.100.0/24", ANY_TO_ANY,
		 "tunnel_interface = { routes = [ \"10.7.0.0/16\" ]; };") PORT(""),
		ANY_NAME
		"6: tunnel_interface.routes: every peer that fits remote.id may take them, "
		"and the last one has them\n"},
	{V1(LOCAL, REMOTE, "request_push = true; request_addresses = [ \"0.0.0.0\" ];") PORT(""),
		ANY_NAME "7: request_addresses: not used, request_push waits without asking\n"},
	{PORT("addresses = [ \"192.0.2.1/24\" ];") SITE("198.51.100.7\", \"198.51.100.8",
		 ANY_TO_ANY,
		 "initiate = \"on_demand\"; tunnel_interface = { routes = [ \"::/0\" ]; };\n"
		 "request_addresses = [ \"0.0.0.0\", \"2001:db8::9\" ];"),
		"4: psk: \"*\" lets whoever knows the secret in under any name\n"},
	{MAIN("workers = [ 1, 0 ]; cookie_threshold = 9; half_open_max = 8;")
			PORT("") "connections = ( );",
		"2: main.workers: lcore 0 polls without a pause, and is control_core\n"
		"2: main.cookie_threshold: 9 is never reached, half_open_max is 8\n"},
	{MAIN("workers = [ 0 ]; idle = \"sleep\";") PORT("") "connections = ( );", ""},
	{P1 CONNECTION("pools = [ \"pool1\" ];") PORT(""),
		"2: psk: \"*\" lets whoever knows the secret in under any name\n"
		"7: pools: not used, mode_config is empty\n"},
	{V1(LOCAL, XAUTH, "aggressive = true;") PORT(""),
		ANY_NAME "7: aggressive: whoever can send a packet gets a reply from which "
			 "the pre-shared key can be guessed off line\n"},
	{P1 V1(LOCAL, REMOTE,
		 "aggressive = true; pools = [ \"pool1\" ];\nmode_config = [ \"respond\" ];")
			PORT(""),
		"2: psk: \"*\" lets whoever knows the secret in under any name\n"
		"8: aggressive: whoever can send a packet gets a reply from which "
		"the pre-shared key can be guessed off line\n"
		"8: aggressive: without remote.user_auth every holder of a group's key is "
		"anonymous, and keeps no address between sessions\n"},
	{P1 V1(LOCAL, XAUTH,
		 "aggressive = true; pools = [ \"pool1\" ];\nmode_config = [ \"respond\" ];")
			PORT(""),
		"2: psk: \"*\" lets whoever knows the secret in under any name\n"
		"8: aggressive: whoever can send a packet gets a reply from which "
		"the pre-shared key can be guessed off line\n"},
	{V1CERT(BY_CERT, "remote = { auth = \"cert\"; };\n", "aggressive = true;") PORT(""), ""},
	{V1CERT(BY_CERT, HYBRID, "aggressive = true;") PORT(""), ""},
	{V1CERT("local = { id = \"c\"; auth = \"none\"; user = \"u\"; password = \"p\"; };\n",
		 "remote = { auth = \"cert\"; };\n", "") PORT(""),
		""},
	{V1("local = { id = \"gw\"; auth = \"psk\";\nuser = \"u\"; password = \"p\"; };\n", XAUTH,
		 "") PORT(""),
		ANY_NAME "5: local.user: not used, the peer is the one that logs in\n"},
	{V1ID("id = \"group\"; secret = \"short\";", REMOTE) PORT(""),
		"1: psk: shorter than 20 characters, it can be guessed off line\n"
		"4: remote.auth: main mode finds a key by the peer's address, and no fitting "
		"entry of credentials.psk has addresses\n"},
	{V1ID("id = \"group\"; secret = \"correct horse battery staple\";",
		 REMOTE "aggressive = true;\n") PORT(""),
		"5: aggressive: whoever can send a packet gets a reply from which the "
		"pre-shared key can be guessed off line\n"},
	{V1ID("id = \"198.51.100.7\"; secret = \"correct horse battery staple\";", REMOTE) PORT(""),
		""},
	{V1ID("id = \"198.51.100.0/24\"; secret = \"correct horse battery staple\";", REMOTE)
			PORT(""),
		""},
	{V1ID("addresses = [ \"0.0.0.0/0\" ]; secret = \"correct horse battery staple\";", REMOTE)
			PORT(""),
		""},
	{CONNECTION(TOLD) PORT(""), ANY_NAME
		"6: split_include: only IKEv1 clients are told, ike_versions lists 2 alone\n"
		"7: local_lan: only IKEv1 clients are told, ike_versions lists 2 alone\n"
		"8: split_dns: only IKEv1 clients are told, ike_versions lists 2 alone\n"
		"9: backup_servers: only IKEv1 clients are told, ike_versions lists 2 alone\n"
		"10: banner: only IKEv1 clients are told, ike_versions lists 2 alone\n"
		"11: save_password: only IKEv1 clients are told, ike_versions lists 2 alone\n"},
	{V1(LOCAL, REMOTE, "banner = \"hello\"; push = \"after_status\"; push_delay_ms = 1;")
			PORT(""),
		ANY_NAME "7: push: not used, mode_config lists no initiate\n"
			 "7: push_delay_ms: not used, mode_config lists not both directions\n"
			 "7: banner: not used, mode_config is empty\n"},
	{P1 V1(LOCAL, REMOTE,
		 "pools = [ \"pool1\" ]; mode_config = [ \"initiate\", \"respond\" ];\n" TOLD
		 "push = \"after_status\"; push_delay_ms = 0;\n") PORT(""),
		"2: psk: \"*\" lets whoever knows the secret in under any name\n"},
	{CONNECTION(
		 "policy = ( { action = \"protect\"; local = [ \"10.0.0.0/8\" ]; },\n"
		 "{ action = \"discard\"; direction = \"in\"; local = [ \"10.1.0.0/16[tcp]\" ]; },\n"
		 "{ action = \"discard\"; local = [ \"10.0.0.0/7\" ]; direction = \"out\"; },\n"
		 "{ action = \"discard\"; local = [ \"11.0.0.0/8[udp/53]\" ]; } );") PORT(""),
		ANY_NAME "7: policy: rule 2 is never reached, rule 1 comes before it\n"},
};

static void warnings_do_not_refuse(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		int rc;
		char *got = errors_of(warnings[i].text, &rc, "");
		char *want = expected_lines(warnings[i].errors, "warning");
		assert_string_equal(got, want);
		assert_int_equal(rc, 0);
		free(got);
		free(want);
	}
}

static bool too_many(size_t connections)
{
	static struct cfg_connection all[65536];
	static char names[65536][8];
	struct cfg c = {.connections = all, .connection_count = connections};
	struct loader l = {.cfg = &c};
	config_t none;
	config_init(&none);
	assert_true(config_read_string(&none, "connections = ( );"));
	for (size_t i = 0; i < connections; i++) {
		all[i].name = names[i];
		snprintf(names[i], sizeof(names[i]), "%zu", i);
	}
	check_connections(&l, config_root_setting(&none));
	bool found = l.diags.errors > 0;
	diag_fini(&l.diags);
	config_destroy(&none);
	return found;
}

static void as_many_connections_as_have_numbers(void **state)
{
	(void)state;
	assert_false(too_many(65535));
	assert_true(too_many(65536));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_many_connections_as_have_numbers),
		cmocka_unit_test(each_mistake_is_named_with_its_line),
		cmocka_unit_test(all_are_reported_at_once),
		cmocka_unit_test(warnings_do_not_refuse),
	};
	return cmocka_run_group_tests_name("config_mistakes", tests, NULL, NULL);
}
