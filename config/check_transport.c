// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of transport mode: it is between the two outer addresses and nothing else.
#include "config/loader.h"

static bool everything(const struct ip_range *r)
{
	struct ip_prefix p;
	return ip_range_is_prefix(r, &p) && p.bits == 0;
}

static bool is_outside(const struct cfg *c, const struct ip_addr *a)
{
	bool outside = false;
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		outside = outside || p->role == CFG_OUTSIDE;
		for (size_t k = 0; p->role == CFG_OUTSIDE && k < p->address_count; k++)
			if (ip_eq(&p->addresses[k].addr, a))
				return true;
	}
	return !outside; // which has its own error
}

// One address, or all of them for whichever it will be.
static void check_side(struct loader *l, const config_setting_t *child, const char *option,
	const struct selector *ts, size_t count)
{
	bool local = strcmp(option, "local_ts") == 0;
	char text[SELECTOR_TEXT_MAX];
	for (size_t i = 0; i < count; i++) {
		const struct ip_range *r = &ts[i].range;
		const config_setting_t *at = element(member(child, option), i);
		bool one = ip_eq(&r->lo, &r->hi);
		if (!r->lo.family || everything(r))
			continue;
		if (!one)
			diag_error(&l->diags, at,
				"%s: %s, but in transport mode one address, or 0.0.0.0/0 or ::/0 "
				"for the outer one",
				option, selector_text(&ts[i], text));
		else if (local && !is_outside(l->cfg, &r->lo))
			diag_error(&l->diags, at,
				"local_ts: %s is no address of an outside port, as transport mode "
				"needs",
				selector_text(&ts[i], text));
	}
}

static void check_child(struct loader *l, const struct cfg_connection *n, const struct cfg_child *c,
	const config_setting_t *s)
{
	bool inner = n->mode_config_respond || n->mode_config_initiate || n->pool_count ||
		     n->request_v4 || n->request_v6 || n->request_prefix || n->request_push;
	const config_setting_t *at = place(s, "mode");
	if (c->mode == CFG_MODE_TUNNEL) {
		if (c->local_ts_count == 0 && !element(member(s, "local_ts"), 0))
			diag_error(&l->diags, s,
				"missing required option \"local_ts\" in connections[].children[]");
		return;
	}
	if (n->tunnel_interface)
		diag_error(&l->diags, at, "mode: tunnel_interface has tunnels only");
	else if (inner)
		diag_error(&l->diags, at,
			"mode: transport mode knows no inner addresses, this connection has some "
			"to give or ask for");
	if (c->mode != CFG_MODE_TRANSPORT)
		return;
	check_side(l, s, "local_ts", c->local_ts, c->local_ts_count);
	check_side(l, s, "remote_ts", c->remote_ts, c->remote_ts_count);
}

// A packet for anybody would ask for the peer.
static void check_waiting(struct loader *l, const struct cfg_child *c, const config_setting_t *s)
{
	for (size_t i = 0; i < c->remote_ts_count; i++)
		if (c->remote_ts[i].range.lo.family && everything(&c->remote_ts[i].range))
			diag_error(&l->diags, element(member(s, "remote_ts"), i),
				"remote_ts: with initiate \"on_demand\" transport mode needs the "
				"peer's address");
}

void check_transport(struct loader *l, struct cfg_connection *n, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "children");
	bool transport = false;
	for (size_t i = 0; i < n->child_count; i++) {
		const struct cfg_child *c = &n->children[i];
		check_child(l, n, c, element(list, i));
		transport = transport || c->mode != CFG_MODE_TUNNEL;
		if (c->mode != CFG_MODE_TUNNEL && n->initiate == CFG_INITIATE_ON_DEMAND)
			check_waiting(l, c, element(list, i));
	}
	// RFC 4555 1.2: of tunnel mode; the addresses of transport mode's packets cannot change.
	if (transport && n->mobike && member(s, "mobike"))
		diag_warning(&l->diags, member(s, "mobike"),
			"mobike: not used, a child is to be in transport mode");
	if (transport)
		n->mobike = false;
}
