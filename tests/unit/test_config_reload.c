// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a reload finds changed, and what it takes up.
#include "tests/cmocka_all.h"

#include "config/loader.h"

#include <errno.h>
#include <stdlib.h>

struct texts {
	const char *main, *port, *pool, *pools, *psk, *user, *local, *remote, *connection, *child;
};

static const struct texts base = {
	.main = "",
	.port = "",
	.pool = "ranges = [ \"10.0.0.0/24\" ];",
	.pools = "",
	.psk = "id = \"*\"; secret = \"correct horse battery staple\";",
	.user = "name = \"u\"; password = \"p\";",
	.local = "auth = \"psk\";",
	.remote = "auth = \"psk\";",
	.connection = "",
	.child = "local_ts = [ \"10.9.0.0/16\" ];",
};

static struct cfg *load(const struct texts *t)
{
	char *text;
	struct cfg *c = NULL;
	const struct texts *b = &base;
#define PART(part) (t->part ? t->part : b->part)
	assert_true(
		asprintf(&text,
			"main: { %s };\n"
			"ports = ( { name = \"o\"; role = \"outside\"; device = \"net_tap0\"; %s } );\n"
			"pools = ( { name = \"a\"; %s }, { name = \"b\"; ranges = [ \"10.1.0.0/24\" ]; } %s );\n"
			"credentials: { psk = ( { %s } ); users = ( { %s } ); };\n"
			"connections = ( { name = \"c\"; ike_versions = [ 1, 2 ]; local = { id = \"gw\"; %s };"
			" remote = { %s }; children = ( { name = \"k\"; %s } ); %s } );\n",
			PART(main), PART(port), PART(pool), PART(pools), PART(psk), PART(user),
			PART(local), PART(remote), PART(child), PART(connection)) > 0);
	int rc = cfg_load_text("f", text, NULL, &c);
	assert_int_equal(rc, 0);
	free(text);
	return c;
}

static void put(void *ctx, const char *path, bool live)
{
	fprintf(ctx, "%s%s\n", path, live ? "" : " !");
}

#define RESPOND "mode_config = [ \"respond\" ]; "

static const struct {
	struct texts a, b;
	const char *want; // "!": needs a restart
} rows[] = {
	{{0}, {0}, ""},
	{{.main = "workers = [ 1, 2 ];"}, {.main = "workers = [ 1, 3 ];"}, "main.workers !\n"},
	{{.main = "idle = \"poll\";"}, {.main = "idle = \"sleep\";"}, "main.idle !\n"},
	{{.main = "quick_crash_detection = false;"}, {0}, "main.quick_crash_detection !\n"},
	{{.main = "state_dir = \"/a\";"}, {.main = "state_dir = \"/b\";"}, "main.state_dir !\n"},
	{{.port = "mac = \"02:00:00:00:00:01\";"}, {.port = "mac = \"02:00:00:00:00:02\";"},
		"ports[0].mac !\n"},
	{{.port = "mac = \"02:00:00:00:00:01\";"}, {0}, "ports[0].mac !\n"},
	{{.port = "addresses = [ \"192.0.2.1/24\" ];"},
		{.port = "addresses = [ \"192.0.2.1/25\" ];"}, "ports[0].addresses !\n"},
	{{.port = "addresses = [ \"192.0.2.1/24\" ]; routes = ( { prefix = \"10.8.0.0/16\"; via = "
		  "\"192.0.2.2\"; } );"},
		{.port = "addresses = [ \"192.0.2.1/24\" ]; routes = ( { prefix = \"10.8.0.0/16\"; "
			 "via = \"192.0.2.3\"; } );"},
		"ports[0].routes[0].via !\n"},
	{{.port = "exception = \"ssh0\"; mtu = 1400;"}, {0},
		"ports[0].mtu !\nports[0].exception !\n"},
	{{0}, {.pool = "ranges = [ \"10.0.0.0/25\" ]; linger_s = 5;"},
		"pools[0].ranges\npools[0].linger_s\n"},
	{{0},
		{.pool = "ranges = [ \"10.0.0.0/24\" ]; exclude = [ \"10.0.0.1\" ]; domain = \"x\"; "
			 "reserve = ( { owner = \"u\"; address = \"10.0.0.2\"; } ); dns = [ "
			 "\"10.0.0.9\" ];"},
		"pools[0].exclude\npools[0].dns\npools[0].domain\npools[0].reserve\n"},
	{{.pool = "ranges = [ \"10.0.0.0/24\" ]; reserve = ( { owner = \"u\"; address = \"10.0.0.2\"; } );"},
		{.pool = "ranges = [ \"10.0.0.0/24\" ]; reserve = ( { owner = \"v\"; address = "
			 "\"10.0.0.2\"; } );"},
		"pools[0].reserve[0].owner\n"},
	{{.pool = "ranges = [ \"10.0.0.0/24\" ]; groups = [ \"x\" ];"},
		{.pool = "ranges = [ \"10.0.0.0/24\" ]; groups = [ \"y\" ];"}, "pools[0].groups\n"},
	{{0}, {.pool = "ranges = [ \"10.0.0.0/24\" ]; prefix_length = 28;"},
		"pools[0].prefix_length !\n"},
	{{0}, {.pool = "ranges = [ \"2001:db8::/64\" ];"},
		"pools[0].ranges\npools[0].ranges (family) !\n"},
	{{0}, {.pools = ", { name = \"d\"; ranges = [ \"10.2.0.0/24\" ]; }"}, "pools !\n"},
	{{.pools = ", { name = \"d\"; ranges = [ \"10.2.0.0/24\" ]; }"},
		{.pools = ", { name = \"e\"; ranges = [ \"10.2.0.0/24\" ]; }"},
		"pools[2].name !\n"},
	{{0}, {.psk = "id = \"*\"; secret = \"correct horse battery stable\";"},
		"credentials.psk[0].secret !\n"},
	{{0}, {.user = "name = \"u\"; password = \"pp\";"}, "credentials.users[0].password !\n"},
	{{0}, {.user = "name = \"u\"; password = \"p\"; groups = [ \"x\" ];"},
		"credentials.users[0].groups !\n"},
	{{0}, {.remote = "auth = \"psk\"; id = \"peer\";"}, "connections[0].remote.id !\n"},
	{{0}, {.connection = "mss = 1200;"}, "connections[0].mss !\n"},
	{{.connection = "ike_proposals = [ \"aes128-sha256-modp2048\" ];"},
		{.connection = "ike_proposals = [ \"aes256-sha256-modp2048\" ];"},
		"connections[0].ike_proposals !\n"},
	{{.connection = RESPOND "pools = [ \"a\", \"b\" ];"},
		{.connection = RESPOND "pools = [ \"b\", \"a\" ];"}, "connections[0].pools !\n"},
	{{.connection = RESPOND "pools = [ \"a\" ];"},
		{.connection = "mode_config = [ \"initiate\" ]; pools = [ \"a\" ];"},
		"connections[0].mode_config !\n"},
	{{.connection = "request_addresses = [ \"0.0.0.0\" ];"},
		{.connection = "request_addresses = [ \"10.0.0.7\" ];"},
		"connections[0].request_addresses !\n"},
	{{0}, {.child = "local_ts = [ \"10.9.0.0/16[6/80]\" ];"},
		"connections[0].children[0].local_ts !\n"},
	{{0}, {.connection = "lifetime = { ike_rekey_s = 700; };"},
		"connections[0].lifetime.ike_rekey_s !\n"},
	{{.connection = "policy = ( { action = \"discard\"; remote = [ \"10.7.0.0/16\" ]; } );"},
		{.connection = "policy = ( { action = \"discard\"; remote = [ \"10.6.0.0/16\" ]; } );"},
		"connections[0].policy[0].remote !\n"},
};

static void differences(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int turned = 0; turned < 2; turned++) {
			struct cfg *a = load(&rows[i].a), *b = load(&rows[i].b);
			char *got = NULL;
			size_t len, fixed = 0;
			FILE *out = open_memstream(&got, &len);
			size_t n =
				turned ? cfg_compare(b, a, put, out) : cfg_compare(a, b, put, out);
			fclose(out);
			for (const char *p = rows[i].want; (p = strchr(p, '!')); p++)
				fixed++;
			if (strcmp(got, rows[i].want) != 0)
				print_message("case %zu\n", i);
			assert_string_equal(got, rows[i].want);
			assert_int_equal(n, fixed);
			free(got);
			cfg_free(a);
			cfg_free(b);
		}
}

// No option is forgotten: each that is kept has a place to be compared at.
static void every_option_is_seen(void **state)
{
	static const char *const checks_alone[] = {"connections[].legacy"};
	(void)state;
	for (size_t i = 0; i < opt_count; i++) {
		const struct option *o = &opt_table[i];
		bool resolved = strcmp(o->path, "connections[].pools") == 0 ||
				strcmp(o->path, "connections[].request_addresses") == 0;
		if (o->offset == OPT_NOWHERE && !resolved)
			assert_string_equal(o->path, checks_alone[0]);
	}
}

static void pools_are_taken_up(void **state)
{
	struct texts more = {.pool = "ranges = [ \"10.0.0.0/23\" ]; domain = \"x.example\";"};
	struct cfg *a = load(&(struct texts){0}), *b = load(&more);
	const struct cfg_pool *p = &a->pools[0];
	const char *name = p->name;
	size_t n = 0;
	char *got = NULL;
	FILE *out = open_memstream(&got, &n);
	(void)state;
	cfg_swap_pools(a, b);
	assert_ptr_equal(p->name, name);
	assert_string_equal(p->domain, "x.example");
	assert_int_equal(p->ranges[0].hi.bytes[2], 1);
	assert_null(b->pools[0].domain);
	struct cfg *c = load(&more);
	assert_int_equal(cfg_compare(a, c, put, out), 0);
	fclose(out);
	assert_string_equal(got, "");
	free(got);
	cfg_free(a);
	cfg_free(b);
	cfg_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences),
		cmocka_unit_test(every_option_is_seen),
		cmocka_unit_test(pools_are_taken_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
