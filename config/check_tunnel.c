// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of tunnel interfaces: selectors that leave the choice to the routes, and routes that lead
// to one peer each.
#include "config/loader.h"

#include <stdlib.h>

// The family of a selector of everything, or 0.
static uint8_t any_family(const struct selector *s)
{
	struct ip_prefix p;
	if (s->proto || s->port_lo != 0 || s->port_hi != UINT16_MAX)
		return 0;
	return ip_range_is_prefix(&s->range, &p) && p.bits == 0 ? p.addr.family : 0;
}

// Complains of each selector that is none of everything; which families there are.
static unsigned any_families(struct loader *l, const config_setting_t *child, const char *option,
	const struct selector *s, size_t count)
{
	char text[SELECTOR_TEXT_MAX];
	unsigned families = 0;
	for (size_t i = 0; i < count; i++) {
		uint8_t family = any_family(&s[i]);
		families |= 1u << family;
		if (s[i].range.lo.family && !family)
			diag_error(&l->diags, element(member(child, option), i),
				"%s: %s, but with tunnel_interface everything: 0.0.0.0/0 or ::/0",
				option, selector_text(&s[i], text));
	}
	return families;
}

// Whether one peer alone can be meant.
static bool one_peer(const struct cfg_connection *n)
{
	bool single = n->remote.address_count > 0;
	for (size_t i = 0; i < n->remote.address_count; i++) {
		const struct ip_prefix *p = &n->remote.addresses[i];
		single = single && p->bits == ip_bits(p->addr.family);
	}
	return single || (n->remote.id && n->remote.id[0] != '*');
}

void check_tunnel_interface(
	struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	bool gives = n->mode_config_respond || n->mode_config_initiate;
	for (size_t i = 0; n->tunnel_interface && i < n->child_count; i++) {
		const struct cfg_child *c = &n->children[i];
		const config_setting_t *at = element(member(s, "children"), i);
		unsigned ours = any_families(l, at, "local_ts", c->local_ts, c->local_ts_count);
		unsigned theirs =
			any_families(l, at, "remote_ts", c->remote_ts, c->remote_ts_count);
		bool bad = (ours | theirs) & 1;
		if (c->remote_ts_count == 0 && !gives && !member(at, "remote_ts"))
			diag_error(&l->diags, at,
				"remote_ts: left out, but with tunnel_interface everything: "
				"0.0.0.0/0 or ::/0");
		else if (c->remote_ts_count && !bad && ours != theirs)
			diag_error(&l->diags, place(at, "remote_ts"),
				"remote_ts: not the families of local_ts, tunnel_interface needs "
				"the same");
	}
	if (n->tunnel_route_count && !one_peer(n))
		diag_warning(&l->diags, member(member(s, "tunnel_interface"), "routes"),
			"tunnel_interface.routes: every peer that fits remote.id may take them, "
			"and the last one has them");
}

// ---- routes ------------------------------------------------------------------------------------

struct placed_route {
	const struct ip_prefix *prefix;
	size_t connection, index;
};

static int by_prefix(const void *a, const void *b)
{
	const struct placed_route *x = a, *y = b;
	int c = ip_cmp(&x->prefix->addr, &y->prefix->addr);
	if (c == 0)
		c = (x->prefix->bits > y->prefix->bits) - (x->prefix->bits < y->prefix->bits);
	if (c == 0)
		c = (x->connection > y->connection) - (x->connection < y->connection);
	return c ? c : (x->index > y->index) - (x->index < y->index);
}

static const config_setting_t *route_place(
	const config_setting_t *list, const struct placed_route *r)
{
	const config_setting_t *group = member(element(list, r->connection), "tunnel_interface");
	return element(member(group, "routes"), r->index);
}

// a stands before b in the file.
static void report_twice(struct loader *l, const config_setting_t *list,
	const struct placed_route *a, const struct placed_route *b)
{
	char text[IP_TEXT_MAX];
	const config_setting_t *first = route_place(list, a);
	const char *name = l->cfg->connections[a->connection].name;
	ip_prefix_text(b->prefix, text);
	if (a->connection == b->connection)
		diag_error(&l->diags, route_place(list, b),
			"tunnel_interface.routes: %s is named twice", text);
	else
		diag_error(&l->diags, route_place(list, b),
			"tunnel_interface.routes: %s leads to connection \"%s\" already, line %u",
			text, name ? name : "", first ? config_setting_source_line(first) : 1);
}

// What belongs to a pool is never the peer's, assigned or not.
static void check_pools_free(
	struct loader *l, const config_setting_t *list, const struct placed_route *r)
{
	char text[IP_TEXT_MAX];
	struct ip_range net = ip_prefix_range(r->prefix);
	for (size_t i = 0; i < l->cfg->pool_count; i++) {
		const struct cfg_pool *p = &l->cfg->pools[i];
		for (size_t k = 0; k < p->range_count; k++)
			if (p->ranges[k].lo.family && ip_range_overlaps(&net, &p->ranges[k])) {
				diag_error(&l->diags, route_place(list, r),
					"tunnel_interface.routes: %s overlaps the ranges of pool "
					"\"%s\"",
					ip_prefix_text(r->prefix, text), p->name ? p->name : "");
				break;
			}
	}
}

static bool same_net(const struct ip_prefix *a, const struct ip_prefix *b)
{
	struct ip_range x = ip_prefix_range(a), y = ip_prefix_range(b);
	return ip_eq(&x.lo, &y.lo) && ip_eq(&x.hi, &y.hi);
}

// A longer or a shorter prefix is no contradiction; this one would be, and the inside has it.
static void check_inside(
	struct loader *l, const config_setting_t *list, const struct placed_route *r)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < l->cfg->port_count; i++) {
		const struct cfg_port *p = &l->cfg->ports[i];
		bool same = false;
		for (size_t k = 0; p->role == CFG_INSIDE && k < p->address_count; k++)
			same = same || same_net(&p->addresses[k], r->prefix);
		for (size_t k = 0; p->role == CFG_INSIDE && k < p->route_count; k++)
			same = same ||
			       (r->prefix->bits && same_net(&p->routes[k].prefix, r->prefix));
		if (same)
			diag_error(&l->diags, route_place(list, r),
				"tunnel_interface.routes: %s lies behind port \"%s\" already",
				ip_prefix_text(r->prefix, text), p->name ? p->name : "");
	}
}

void check_tunnel_routes(struct loader *l, const config_setting_t *list)
{
	size_t n = 0, total = 0;
	for (size_t i = 0; i < l->cfg->connection_count; i++)
		total += l->cfg->connections[i].tunnel_route_count;
	struct placed_route *all = calloc(total + 1, sizeof(*all));
	if (!all) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < l->cfg->connection_count; i++) {
		const struct cfg_connection *c = &l->cfg->connections[i];
		for (size_t k = 0; k < c->tunnel_route_count; k++)
			if (c->tunnel_routes[k].addr.family)
				all[n++] = (struct placed_route){&c->tunnel_routes[k], i, k};
	}
	qsort(all, n, sizeof(*all), by_prefix);
	for (size_t i = 0; i < n; i++) {
		bool twice = i && all[i].prefix->bits == all[i - 1].prefix->bits &&
			     ip_eq(&all[i].prefix->addr, &all[i - 1].prefix->addr);
		if (twice)
			report_twice(l, list, &all[i - 1], &all[i]);
		check_pools_free(l, list, &all[i]);
		check_inside(l, list, &all[i]);
	}
	free(all);
}
