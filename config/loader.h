// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the parts of the loader share. Private to config/ and its tests.
#pragma once

#include "config/diag.h"
#include "config/options.h"

struct loader {
	const char *dir; // relative paths start here; NULL: the working directory
	bool no_files; // touch no file: no @include, no secret_file, no test whether a path exists
	struct diags diags;
	struct cfg *cfg;
};

// One value as text into *slot (opt_size() bytes, zeroed). False and an error at `at` if it is none.
bool value_parse(struct loader *l, const struct option *o, const config_setting_t *at,
	const char *text, void *slot);
// Number in range, into *slot.
bool value_number(struct loader *l, const struct option *o, const config_setting_t *at,
	long long number, void *slot);
// Releases what a value owns.
void value_fini(const struct option *o, void *slot);

// "prefix", "lo-hi" or one address, with "[proto]", "[proto/port]" or "[proto/lo-hi]" behind it.
MUST_USE int selector_parse(const char *text, struct selector *out);

// The whole stream as a string of *cap bytes, which the caller wipes and frees; NULL and errno.
char *file_slurp(FILE *in, size_t *cap);
// No @include of text leads to a directory.
bool includes_fit(struct loader *l, const char *text);

// What one line alone cannot show. Each setting may be NULL (left out in the file).
void check_main(struct loader *l, const config_setting_t *root);
void check_ports(struct loader *l, const config_setting_t *root);
void check_pools(struct loader *l, const config_setting_t *root);
// Of pool `index`: what it says of DHCP servers.
void check_dhcp(struct loader *l, size_t index, const config_setting_t *pool);
void check_credentials(struct loader *l, const config_setting_t *root);
void check_connections(struct loader *l, const config_setting_t *root);
// Of one connection: what only IKEv1 has, and what it has not.
void check_ikev1(struct loader *l, const struct cfg_connection *n, const config_setting_t *s);
// What it begins, and asks for as initiator; fills in the latter.
void check_initiate(struct loader *l, struct cfg_connection *n, const config_setting_t *s);
// Its selectors, where routes decide instead.
void check_tunnel_interface(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s);
// Whether its children can be in the mode that they are to be in.
void check_transport(struct loader *l, struct cfg_connection *n, const config_setting_t *s);
// How long its keys live; settles defaults.
void check_lifetimes(struct loader *l, struct cfg_connection *n, const config_setting_t *s);
// What its packets get beside encryption.
void check_treatment(struct loader *l, const struct cfg_connection *n, const config_setting_t *s);
// What may pass it.
void check_policy(struct loader *l, const struct cfg_connection *n, const config_setting_t *s);
// The routes of all connections in this list.
void check_tunnel_routes(struct loader *l, const config_setting_t *list);

// Whether an entry of credentials.psk can belong to a peer of the connection.
bool psk_may_match(const struct cfg_psk *p, const struct cfg_connection *n);

// What a string option says, or NULL.
const char *text_of(const config_setting_t *s);

// Member or element, NULL if s is NULL, of another type, or too short.
config_setting_t *member(const config_setting_t *s, const char *name);
config_setting_t *element(const config_setting_t *s, size_t i);
// member(), or the group itself where the option was left out: a place to complain at.
const config_setting_t *place(const config_setting_t *s, const char *name);

// An error at the option of each of list's n elements whose name an earlier element has; name() may
// return NULL.
typedef const char *(*name_of)(const void *elements, size_t i);
struct named {
	const config_setting_t *list;
	const void *elements;
	size_t count;
	name_of name;
	const char *option; // where to complain
	const char *what;   // "pool"
};
void check_unique(struct loader *l, const struct named *n);
bool same_text(const char *a, const char *b);

// As cfg_load_text(), touching no file; "@include" is an error. For tests with hostile text.
MUST_USE int cfg_load_text_alone(
	const char *name, const char *text, FILE *errors, struct cfg **out);
