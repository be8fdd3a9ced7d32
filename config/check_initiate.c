// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of what a connection begins: whom it calls, when, and what it asks for then.
#include "config/loader.h"

static const char *initiate_text(const struct cfg_connection *n)
{
	static const char *const names[] = {[CFG_INITIATE_NONE] = "none",
		[CFG_INITIATE_START] = "start",
		[CFG_INITIATE_ON_DEMAND] = "on_demand"};
	return names[n->initiate];
}

// Nobody can be called from an address of another family.
static bool family_is_ours(const struct cfg *c, uint8_t family)
{
	bool outside = false;
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		outside = outside || p->role == CFG_OUTSIDE;
		for (size_t k = 0; p->role == CFG_OUTSIDE && k < p->address_count; k++)
			if (p->addresses[k].addr.family == family)
				return true;
	}
	return !outside; // which has its own error
}

// Who is called has an address, not a network.
static void check_peers(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *list = member(member(s, "remote"), "addresses");
	char text[IP_TEXT_MAX];
	if (!list || config_setting_length(list) == 0)
		diag_error(&l->diags, place(s, "initiate"),
			"initiate: \"%s\" needs remote.addresses, nobody is known to be called",
			initiate_text(n));
	for (size_t i = 0; i < n->remote.address_count; i++) {
		const struct ip_prefix *p = &n->remote.addresses[i];
		uint8_t family = p->addr.family;
		if (family && p->bits != ip_bits(family))
			diag_error(&l->diags, element(list, i),
				"remote.addresses: %s is no single address, which initiate needs",
				ip_prefix_text(p, text));
		else if (family && !family_is_ours(l->cfg, family))
			diag_error(&l->diags, element(list, i),
				"remote.addresses: no outside port has an address to call %s from",
				ip_text(&p->addr, text));
	}
}

// The first packet must find its way to the peer that is not there yet.
static void check_on_demand(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	bool routed = n->tunnel_interface && n->tunnel_route_count;
	for (size_t i = 0; i < n->child_count; i++)
		routed = routed || (!n->tunnel_interface && n->children[i].remote_ts_count);
	if (n->initiate == CFG_INITIATE_ON_DEMAND && !routed)
		diag_error(&l->diags, place(s, "initiate"),
			"initiate: \"on_demand\" needs %s, nothing would ask for it",
			n->tunnel_interface ? "tunnel_interface.routes" : "remote_ts of a child");
}

static void check_calling(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	if (n->initiate == CFG_INITIATE_NONE)
		return;
	if (n->responder_only)
		diag_error(&l->diags, place(s, "initiate"),
			"initiate: \"%s\" contradicts responder_only", initiate_text(n));
	if (n->remote.user_auth != CFG_USER_NONE)
		diag_error(&l->diags, place(s, "initiate"),
			"initiate: \"%s\" contradicts remote.user_auth, who logs in is never "
			"called",
			initiate_text(n));
	check_peers(l, n, s);
	check_on_demand(l, n, s);
	if (n->initiate == CFG_INITIATE_START && n->dpd.delay_s == 0)
		diag_warning(&l->diags, place(member(s, "dpd"), "delay_s"),
			"dpd.delay_s: 0 never sees that the peer has gone, and so never connects "
			"again");
}

// One address a family; the unspecified one is any.
static void read_wish(struct loader *l, struct cfg_connection *n, const config_setting_t *at)
{
	struct ip_addr a = {0}, zero = {0};
	const char *text = text_of(at);
	if (!text || ip_parse(text, &a) != 0)
		return; // said already
	bool v6 = a.family == IP_V6;
	bool *request = v6 ? &n->request_v6 : &n->request_v4;
	if (*request)
		diag_error(&l->diags, at, "request_addresses: more than one of a family");
	*request = true;
	zero.family = a.family;
	if (!ip_eq(&a, &zero))
		*(v6 ? &n->request_hint_v6 : &n->request_hint_v4) = a;
}

static void check_client(struct loader *l, const struct cfg_connection *n,
	const config_setting_t *at, const char *name)
{
	if (n->responder_only)
		diag_error(&l->diags, at, "%s: is an initiator's, responder_only is set", name);
	else if (n->mode_config_respond || n->mode_config_initiate)
		diag_error(&l->diags, at,
			"%s: mode_config gives addresses on this connection, it cannot ask for "
			"them too",
			name);
	else if (n->remote.user_auth != CFG_USER_NONE)
		diag_error(&l->diags, at, "%s: is an initiator's, and who logs in is never called",
			name);
}

void check_initiate(struct loader *l, struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "request_addresses");
	for (size_t i = 0; element(list, i); i++)
		read_wish(l, n, element(list, i));
	check_calling(l, n, s);
	if (n->request_v4 || n->request_v6)
		check_client(l, n, list, "request_addresses");
	if (n->request_prefix && !n->ikev2)
		diag_error(&l->diags, place(s, "request_prefix"),
			"request_prefix: is IKEv2's, ike_versions lists 1 alone");
	else if (n->request_prefix)
		check_client(l, n, place(s, "request_prefix"), "request_prefix");
	if (!n->request_push)
		return;
	if (!n->ikev1)
		diag_error(&l->diags, place(s, "request_push"),
			"request_push: is IKEv1's, ike_versions lists 2 alone");
	else
		check_client(l, n, place(s, "request_push"), "request_push");
	if (list && !n->ikev2 && (n->request_v4 || n->request_v6))
		diag_warning(&l->diags, list,
			"request_addresses: not used, request_push waits without asking");
}
