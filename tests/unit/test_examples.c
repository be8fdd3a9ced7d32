// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The files of docs/examples load, and say what they are meant to say.
#include "tests/cmocka_all.h"

#include "config/config.h"

#include <dirent.h>
#include <stdlib.h>

// Every example, with all that is said about it.
static const struct {
	const char *name;
	const char *messages;
} examples[] = {
	{"ios-mode-configuration.conf", ""},
	{"ezvpn.conf", "warning: aggressive: whoever can send a packet gets a reply from which the "
		       "pre-shared key can be guessed off line\n"},
	{"responder-only.conf", ""},
	{"branch.conf", ""},
	{"hub-two-branches.conf", ""},
	{"vlan-bond.conf", ""},
};

#define COUNT (sizeof(examples) / sizeof(examples[0]))

static const char *directory(void)
{
	const char *dir = getenv("SALLYPORT_EXAMPLES");
	return dir ? dir : "docs/examples";
}

// Without "path:line: ".
static char *without_place(const char *messages, const char *path)
{
	char *out = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&out, &len);
	for (const char *p = messages; *p;) {
		size_t n = strcspn(p, "\n");
		assert_memory_equal(p, path, strlen(path));
		const char *text = strstr(p, ": ") + 2;
		fprintf(f, "%.*s\n", (int)(p + n - text), text);
		p += n + (p[n] == '\n');
	}
	fclose(f);
	return out;
}

static struct cfg *load(const char *name, const char *want)
{
	char path[512], *messages = NULL;
	size_t len = 0;
	struct cfg *c = NULL;
	FILE *out = open_memstream(&messages, &len);
	snprintf(path, sizeof(path), "%s/%s", directory(), name);
	int rc = cfg_load(path, out, &c);
	fclose(out);
	char *got = without_place(messages, path);
	assert_string_equal(got, want);
	assert_int_equal(rc, 0);
	free(got);
	free(messages);
	return c;
}

static void each_loads(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++)
		cfg_free(load(examples[i].name, examples[i].messages));
}

static void each_is_known(void **state)
{
	size_t seen = 0;
	DIR *dir = opendir(directory());
	(void)state;
	assert_non_null(dir);
	for (struct dirent *d = readdir(dir); d; d = readdir(dir)) {
		bool known = d->d_name[0] == '.';
		for (size_t i = 0; i < COUNT; i++)
			if (strcmp(d->d_name, examples[i].name) == 0) {
				known = true;
				seen++;
			}
		if (!known)
			fail_msg("%s is not in the table", d->d_name);
	}
	closedir(dir);
	assert_int_equal(seen, COUNT);
}

static void assert_selectors(const struct selector *s, size_t count, const char *text)
{
	char buf[SELECTOR_TEXT_MAX];
	assert_int_equal(count, 1);
	assert_string_equal(selector_text(s, buf), text);
}

// As the reference's output of "show running-config" says.
static void ios_example_says_what_the_router_did(void **state)
{
	struct cfg *c = load(examples[0].name, examples[0].messages);
	const struct cfg_connection *n = &c->connections[0];
	char lo[IP_TEXT_MAX], hi[IP_TEXT_MAX], prefix[IP_TEXT_MAX * 2];
	(void)state;
	assert_int_equal(c->connection_count, 1);
	assert_int_equal(c->pool_count, 1);
	assert_string_equal(c->pools[0].name, "ire");
	assert_string_equal(ip_text(&c->pools[0].ranges[0].lo, lo), "171.72.1.1");
	assert_string_equal(ip_text(&c->pools[0].ranges[0].hi, hi), "171.72.1.254");
	assert_string_equal(ip_prefix_text(&c->ports[0].addresses[0], prefix), "172.21.230.34/27");
	assert_true(n->ikev1 && !n->ikev2 && !n->aggressive && n->responder_only);
	assert_true(n->mode_config_initiate && n->mode_config_respond);
	assert_int_equal(n->pool_count, 1);
	assert_ptr_equal(n->pools[0], &c->pools[0]);
	assert_int_equal(n->remote.user_auth, CFG_USER_NONE);
	assert_int_equal(n->child_count, 1);
	assert_selectors(
		n->children[0].local_ts, n->children[0].local_ts_count, "172.21.230.34/32");
	assert_int_equal(n->children[0].remote_ts_count, 0);
	assert_int_equal(n->children[0].esp_proposals[0].encr[0].id, ENCR_DES);
	assert_int_equal(n->children[0].esp_proposals[0].integ[0], INTEG_HMAC_MD5_96);
	assert_int_equal(n->ike_proposals[0].encr[0].id, ENCR_DES);
	assert_int_equal(n->ike_proposals[0].integ[0], INTEG_HMAC_SHA1_96);
	assert_int_equal(n->ike_proposals[0].dh[0], DH_MODP_768);
	cfg_free(c);
}

static void ezvpn_example_splits_and_greets(void **state)
{
	struct cfg *c = load(examples[1].name, examples[1].messages);
	const struct cfg_connection *n = &c->connections[0];
	(void)state;
	assert_true(n->ikev1 && n->aggressive);
	assert_int_equal(n->remote.user_auth, CFG_USER_XAUTH);
	assert_string_equal(n->remote.id, c->psks[0].id);
	assert_true(n->mode_config_respond && !n->mode_config_initiate);
	assert_int_equal(n->split_include_count, 1);
	assert_non_null(n->banner);
	assert_null(proposal_legacy(&n->ike_proposals[0], 0));
	assert_null(proposal_legacy(&n->children[0].esp_proposals[0], 0));
	cfg_free(c);
}

static void responder_only_example_begins_nothing(void **state)
{
	struct cfg *c = load(examples[2].name, examples[2].messages);
	const struct cfg_connection *n = &c->connections[0];
	(void)state;
	assert_int_equal(c->connection_count, 1);
	assert_true(n->responder_only && n->tunnel_interface && n->ikev1 && !n->ikev2);
	assert_int_equal(n->initiate, CFG_INITIATE_NONE);
	assert_selectors(n->children[0].local_ts, n->children[0].local_ts_count, "0.0.0.0/0");
	assert_selectors(n->children[0].remote_ts, n->children[0].remote_ts_count, "0.0.0.0/0");
	assert_int_equal(n->children[0].esp_proposals[0].encr[0].id, ENCR_3DES);
	assert_int_equal(n->children[0].esp_proposals[0].integ[0], INTEG_HMAC_SHA1_96);
	assert_true(n->lifetime.child_hard_bytes == 4608000ull * 1024);
	cfg_free(c);
}

static void branch_example_asks_for_its_address(void **state)
{
	struct cfg *c = load(examples[3].name, examples[3].messages);
	const struct cfg_connection *n = &c->connections[0];
	char text[IP_TEXT_MAX];
	(void)state;
	assert_int_equal(n->initiate, CFG_INITIATE_START);
	assert_int_equal(n->remote.address_count, 2);
	assert_true(n->request_v4 && !n->request_v6 && n->mobike);
	assert_string_equal(ip_text(&n->request_hint_v4, text), "10.99.8.7");
	cfg_free(c);
}

// No address has two ways.
static void hub_example_routes_to_both_branches(void **state)
{
	struct cfg *c = load(examples[4].name, examples[4].messages);
	const struct cfg_connection *seven = &c->connections[0], *eight = &c->connections[1];
	(void)state;
	assert_int_equal(c->connection_count, 2);
	assert_int_equal(seven->initiate, CFG_INITIATE_ON_DEMAND);
	assert_int_equal(eight->initiate, CFG_INITIATE_NONE);
	assert_true(seven->tunnel_interface && eight->tunnel_interface);
	assert_true(seven->children[0].per_resource && !eight->children[0].per_resource);
	assert_int_equal(seven->tunnel_route_count, 2);
	assert_int_equal(eight->tunnel_route_count, 1);
	for (size_t i = 0; i < seven->tunnel_route_count; i++)
		assert_false(ip_prefix_contains(
			&seven->tunnel_routes[i], &eight->tunnel_routes[0].addr));
	cfg_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_loads),
		cmocka_unit_test(each_is_known),
		cmocka_unit_test(ios_example_says_what_the_router_did),
		cmocka_unit_test(ezvpn_example_splits_and_greets),
		cmocka_unit_test(responder_only_example_begins_nothing),
		cmocka_unit_test(branch_example_asks_for_its_address),
		cmocka_unit_test(hub_example_routes_to_both_branches),
	};
	return cmocka_run_group_tests_name("examples", tests, NULL, NULL);
}
