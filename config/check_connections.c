// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of the connections: what they refer to, and which options contradict each other.
#include "config/loader.h"

#include <stdlib.h>

static const char *connection_name(const void *connections, size_t i)
{
	return ((const struct cfg_connection *)connections)[i].name;
}

static const char *child_name(const void *children, size_t i)
{
	return ((const struct cfg_child *)children)[i].name;
}

const char *text_of(const config_setting_t *s)
{
	return s && config_setting_type(s) == CONFIG_TYPE_STRING ? config_setting_get_string(s)
								 : NULL;
}

static const struct cfg_pool *find_pool(const struct cfg *c, const char *name)
{
	for (size_t i = 0; i < c->pool_count; i++)
		if (same_text(c->pools[i].name, name))
			return &c->pools[i];
	return NULL;
}

static void no_such_pool(struct loader *l, const config_setting_t *at, const char *name)
{
	const char *near = NULL;
	for (size_t i = 0; i < l->cfg->pool_count && !near; i++)
		if (l->cfg->pools[i].name && diag_near(name, l->cfg->pools[i].name))
			near = l->cfg->pools[i].name;
	diag_error(&l->diags, at, "pools: no pool \"%s\"%s%s%s", name,
		near ? ", did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

static void resolve_pools(struct loader *l, struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *names = member(s, "pools");
	size_t count =
		names && config_setting_is_aggregate(names) && !config_setting_is_group(names)
			? (size_t)config_setting_length(names)
			: 0;
	if (count == 0) {
		if (n->mode_config_respond || n->mode_config_initiate)
			diag_error(&l->diags, place(s, "mode_config"),
				"mode_config: %s needs pools",
				n->mode_config_respond ? "respond" : "initiate");
		return;
	}
	bool used = false; // networks are given without it, by the selectors
	n->pools = calloc(count, sizeof(struct cfg_pool *));
	if (!n->pools) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const char *name = text_of(element(names, i));
		const struct cfg_pool *p = name ? find_pool(l->cfg, name) : NULL;
		if (name && *name && !p)
			no_such_pool(l, element(names, i), name);
		for (size_t k = 0; p && k < n->pool_count; k++)
			if (n->pools[k] == p)
				diag_error(&l->diags, element(names, i),
					"pools: \"%s\" is named twice", name);
		if (p)
			n->pools[n->pool_count++] = p;
		used |= p && p->prefix_len;
	}
	if (!used && n->mode_config_respond + n->mode_config_initiate == 0)
		diag_warning(&l->diags, names, "pools: not used, mode_config is empty");
}

// Whether the n-th weak algorithm of p stands in legacy, or was before in p.
static bool legacy_settled(const config_setting_t *legacy, const struct proposal *p, size_t n)
{
	const char *weak = proposal_legacy(p, n);
	for (size_t k = 0; element(legacy, k); k++)
		if (same_text(text_of(element(legacy, k)), weak))
			return true;
	for (size_t k = 0; k < n; k++)
		if (same_text(proposal_legacy(p, k), weak))
			return true;
	return false;
}

static void check_legacy(struct loader *l, const config_setting_t *connection,
	const config_setting_t *names, const char *label, const struct proposal *p, size_t count)
{
	const config_setting_t *legacy = member(connection, "legacy");
	for (size_t i = 0; names && i < count; i++)
		for (size_t k = 0; proposal_legacy(&p[i], k); k++)
			if (!legacy_settled(legacy, &p[i], k))
				diag_error(&l->diags, element(names, i),
					"%s: \"%s\" is weak and refused unless legacy names it",
					label, proposal_legacy(&p[i], k));
}

// Deliberate perhaps, but its name does not say it to everybody.
static void check_readable(
	struct loader *l, const config_setting_t *names, const struct proposal *p, size_t count)
{
	for (size_t i = 0; names && i < count; i++)
		if (p[i].encr_count && !alg_encr_conceals(p[i].encr[0].id))
			diag_warning(&l->diags, element(names, i),
				"esp_proposals: \"%s\" does not encrypt: everybody on the way can read "
				"the packets",
				alg_encr(p[i].encr[0].id, p[i].encr[0].key_bits)->keyword);
}

static const char *user_auth_text(const struct cfg_connection *n)
{
	static const char *const names[] = {
		[CFG_USER_NONE] = "none",
		[CFG_USER_XAUTH] = "xauth",
		[CFG_USER_EAP_MSCHAPV2] = "eap-mschapv2",
		[CFG_USER_EAP_TLS] = "eap-tls",
		[CFG_USER_RADIUS] = "radius",
	};
	return names[n->remote.user_auth];
}

static void check_user_auth(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *remote = member(s, "remote"), *at = place(remote, "user_auth");
	enum cfg_user_auth a = n->remote.user_auth;
	bool eap = a == CFG_USER_EAP_MSCHAPV2 || a == CFG_USER_EAP_TLS;
	if (a == CFG_USER_XAUTH && n->ikev2)
		diag_error(&l->diags, at, "user_auth: \"xauth\" is IKEv1's, ike_versions lists 2");
	else if (eap && n->ikev1)
		diag_error(&l->diags, at, "user_auth: \"%s\" is IKEv2's, ike_versions lists 1",
			user_auth_text(n));
	else if (a == CFG_USER_XAUTH && l->cfg->user_count == 0)
		diag_error(&l->diags, at,
			"user_auth: \"xauth\" needs credentials.users, nobody could log in");
	else if (a != CFG_USER_NONE && a != CFG_USER_XAUTH)
		diag_error(&l->diags, at, "not supported yet: user_auth \"%s\"", user_auth_text(n));
	if (n->remote.auth == CFG_AUTH_NONE && a == CFG_USER_NONE && member(remote, "auth"))
		diag_error(&l->diags, place(remote, "auth"),
			"auth: \"none\" needs a user_auth that proves who the peer is");
}

// "*" is any, "*suffix" any that ends so.
static bool id_may_match(const char *pattern, const char *id)
{
	if (pattern[0] != '*')
		return strcmp(pattern, id) == 0;
	size_t suffix = strlen(pattern + 1), len = strlen(id);
	return len >= suffix && strcmp(id + len - suffix, pattern + 1) == 0;
}

static bool addresses_meet(const struct cfg_psk *p, const struct cfg_connection *n)
{
	if (n->remote.address_count == 0)
		return true;
	for (size_t i = 0; i < p->address_count; i++)
		for (size_t k = 0; k < n->remote.address_count; k++) {
			struct ip_range a = ip_prefix_range(&p->addresses[i]);
			struct ip_range b = ip_prefix_range(&n->remote.addresses[k]);
			if (ip_range_overlaps(&a, &b))
				return true;
		}
	return false;
}

bool psk_may_match(const struct cfg_psk *p, const struct cfg_connection *n)
{
	const char *id = n->remote.id ? n->remote.id : "*";
	if (p->id && (strcmp(p->id, "*") == 0 || id_may_match(id, p->id)))
		return true;
	return p->address_count && addresses_meet(p, n);
}

static void check_local_cert(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *local)
{
	const char *path = n->local.cert;
	bool found = false;
	for (size_t i = 0; path && i < l->cfg->certificate_count; i++)
		found = found || same_text(l->cfg->certificates[i].cert, path);
	if (path && !found)
		diag_error(&l->diags, place(local, "cert"),
			"local.cert: \"%s\" is not one of credentials.certificates", path);
}

static void check_auth(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *local = member(s, "local"), *remote = member(s, "remote");
	bool local_psk = member(local, "auth") && n->local.auth == CFG_AUTH_PSK;
	bool remote_psk = member(remote, "auth") && n->remote.auth == CFG_AUTH_PSK;
	bool found = false;
	for (size_t i = 0; i < l->cfg->psk_count; i++)
		found = found || psk_may_match(&l->cfg->psks[i], n);
	if ((local_psk || remote_psk) && !found)
		diag_error(&l->diags, remote_psk ? place(remote, "auth") : place(local, "auth"),
			"auth: no entry of credentials.psk fits this peer");
	if (n->local.auth == CFG_AUTH_CERT && l->cfg->certificate_count == 0)
		diag_error(&l->diags, place(local, "auth"),
			"local.auth: \"cert\" needs credentials.certificates");
	if (n->remote.auth == CFG_AUTH_CERT && l->cfg->ca.count == 0)
		diag_error(&l->diags, place(remote, "auth"),
			"remote.auth: \"cert\" needs credentials.ca");
	check_local_cert(l, n, local);
}

// RFC 9611 spreads a tunnel between two gateways; a client's one address has no use for it.
static void check_per_resource(struct loader *l, const struct cfg_connection *n,
	const struct cfg_child *c, const config_setting_t *s)
{
	bool client = n->mode_config_respond || n->mode_config_initiate || n->pool_count ||
		      n->request_v4 || n->request_v6 || n->request_prefix || n->request_push;
	if (!c->per_resource)
		return;
	if (!n->ikev2)
		diag_error(&l->diags, place(s, "per_resource"),
			"per_resource: is IKEv2's, ike_versions lists 1 alone");
	else if (client)
		diag_error(&l->diags, place(s, "per_resource"),
			"per_resource: is for two sites, this connection has inner addresses to "
			"give or ask for");
}

static void check_children(struct loader *l, struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "children");
	check_unique(
		l, &(struct named){list, n->children, n->child_count, child_name, "name", "child"});
	for (size_t i = 0; i < n->child_count; i++) {
		struct cfg_child *c = &n->children[i];
		uint16_t window = 32;
		check_per_resource(l, n, c, element(list, i));
		check_legacy(l, s, member(element(list, i), "esp_proposals"), "esp_proposals",
			c->esp_proposals, c->esp_proposal_count);
		check_readable(l, member(element(list, i), "esp_proposals"), c->esp_proposals,
			c->esp_proposal_count);
		while (window < c->replay_window)
			window = (uint16_t)(window * 2);
		c->replay_window = window;
		c->tunnel_interface = n->tunnel_interface;
	}
}

static void check_sessions(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	if (n->max_sessions && n->unique != CFG_UNIQUE_NO)
		diag_warning(&l->diags, member(s, "max_sessions"),
			"max_sessions: not used, unique leaves a user one session");
}

// A connection's number, and that number plus 1, which stands for its policy, have 16 bits.
#define CONNECTIONS_MAX 65535u

void check_connections(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *list = member(root, "connections");
	if (!list)
		diag_warning(&l->diags, NULL, "no connections: every peer is refused");
	if (l->cfg->connection_count > CONNECTIONS_MAX)
		diag_error(&l->diags, list, "connections: there are %zu, at most %u can be",
			l->cfg->connection_count, CONNECTIONS_MAX);
	check_unique(l, &(struct named){list, l->cfg->connections, l->cfg->connection_count,
				connection_name, "name", "connection"});
	for (size_t i = 0; i < l->cfg->connection_count; i++) {
		struct cfg_connection *n = &l->cfg->connections[i];
		const config_setting_t *s = element(list, i);
		n->index = (uint16_t)i;
		if (!s || !config_setting_is_group(s))
			continue;
		resolve_pools(l, n, s);
		check_legacy(l, s, member(s, "ike_proposals"), "ike_proposals", n->ike_proposals,
			n->ike_proposal_count);
		check_user_auth(l, n, s);
		check_sessions(l, n, s);
		check_initiate(l, n, s);
		check_tunnel_interface(l, n, s);
		check_transport(l, n, s);
		check_auth(l, n, s);
		check_ikev1(l, n, s);
		check_lifetimes(l, n, s);
		check_children(l, n, s);
		check_treatment(l, n, s);
		check_policy(l, n, s);
	}
	check_tunnel_routes(l, list);
}
