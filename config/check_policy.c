// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of a connection's policy: rules that cannot match, or that nothing is left for, and what
// leaves in clear.
#include "config/loader.h"

struct rules {
	struct loader *l;
	const struct cfg_connection *n;
	const config_setting_t *list;
};

static const struct selector any_v4 = {
	.range = {{.family = IP_V4}, {.family = IP_V4, .bytes = {255, 255, 255, 255}}},
	.port_hi = 65535};
static const struct selector any_v6 = {
	.range = {{.family = IP_V6}, {.family = IP_V6,
					     .bytes = {255, 255, 255, 255, 255, 255, 255, 255, 255,
						     255, 255, 255, 255, 255, 255, 255}}},
	.port_hi = 65535};

// The i-th of a side's selectors in this family; a side without any is one of all addresses.
static const struct selector *nth(const struct selector *s, size_t count, size_t i, uint8_t family)
{
	if (count == 0)
		return i ? NULL : family == IP_V4 ? &any_v4 : &any_v6;
	for (size_t k = 0; k < count; k++)
		if (s[k].range.lo.family == family && i-- == 0)
			return &s[k];
	return NULL;
}

static const struct selector *local_of(const struct cfg_rule *r, size_t i, uint8_t family)
{
	return nth(r->local, r->local_count, i, family);
}

static const struct selector *remote_of(const struct cfg_rule *r, size_t i, uint8_t family)
{
	return nth(r->remote, r->remote_count, i, family);
}

static bool protocols_meet(const struct selector *a, const struct selector *b)
{
	return a->proto == 0 || b->proto == 0 || a->proto == b->proto;
}

static unsigned prefixes_of(const struct selector *s)
{
	struct ip_range r = s->range;
	struct ip_prefix p;
	unsigned n = 1;
	while (ip_range_cut(&r, &p))
		n++;
	return n;
}

// Entries of the access list that the rule becomes in this family.
static uint64_t entries_of(const struct cfg_rule *r, uint8_t family)
{
	const struct selector *a, *b;
	uint64_t sum = 0;
	for (size_t i = 0; (a = local_of(r, i, family)); i++)
		for (size_t k = 0; (b = remote_of(r, k, family)); k++)
			if (protocols_meet(a, b))
				sum += (uint64_t)prefixes_of(a) * prefixes_of(b);
	return sum;
}

static bool pair_covered(const struct cfg_rule *by, const struct selector *local,
	const struct selector *remote, uint8_t family)
{
	const struct selector *a, *b;
	for (size_t i = 0; (a = local_of(by, i, family)); i++)
		for (size_t k = 0; (b = remote_of(by, k, family)); k++)
			if (selector_within(local, a) && selector_within(remote, b))
				return true;
	return false;
}

// Every pair of selectors of r lies within one of by's.
static bool covers(const struct cfg_rule *by, const struct cfg_rule *r, uint8_t family)
{
	const struct selector *a, *b;
	for (size_t i = 0; (a = local_of(r, i, family)); i++)
		for (size_t k = 0; (b = remote_of(r, k, family)); k++)
			if (protocols_meet(a, b) && !pair_covered(by, a, b, family))
				return false;
	return true;
}

static void check_reachable(const struct rules *c, size_t i)
{
	const struct cfg_rule *r = &c->n->policy[i];
	for (size_t k = 0; k < i; k++) {
		const struct cfg_rule *by = &c->n->policy[k];
		if ((by->direction & r->direction) == r->direction && covers(by, r, IP_V4) &&
			covers(by, r, IP_V6)) {
			diag_warning(&c->l->diags, element(c->list, i),
				"policy: rule %zu is never reached, rule %zu comes before it",
				i + 1, k + 1);
			return;
		}
	}
}

static bool in_ports(const struct cfg *c, enum cfg_role role, const struct ip_range *r)
{
	for (size_t i = 0; i < c->port_count; i++) {
		const struct cfg_port *p = &c->ports[i];
		for (size_t k = 0; p->role == role && k < p->address_count; k++) {
			struct ip_range net = ip_prefix_range(&p->addresses[k]);
			if (ip_range_overlaps(&net, r))
				return true;
		}
		for (size_t k = 0; p->role == role && k < p->route_count; k++) {
			struct ip_range net = ip_prefix_range(&p->routes[k].prefix);
			if (ip_range_overlaps(&net, r))
				return true;
		}
	}
	return false;
}

static bool has_gateway(const struct cfg *c, uint8_t family)
{
	for (size_t i = 0; i < c->port_count; i++)
		for (size_t k = 0; k < c->ports[i].gateway_count; k++)
			if (c->ports[i].role == CFG_OUTSIDE &&
				c->ports[i].gateways[k].family == family)
				return true;
	return false;
}

static bool in_pools(const struct cfg *c, const struct ip_range *r)
{
	for (size_t i = 0; i < c->pool_count; i++)
		for (size_t k = 0; k < c->pools[i].range_count; k++)
			if (ip_range_overlaps(&c->pools[i].ranges[k], r))
				return true;
	return false;
}

static void check_clear(const struct rules *c, size_t i)
{
	const struct cfg_rule *r = &c->n->policy[i];
	const config_setting_t *s = element(c->list, i), *at = place(s, "remote");
	struct diags *d = &c->l->diags;
	char text[SELECTOR_TEXT_MAX];
	if (r->remote_count == 0)
		diag_error(d, at, "policy: bypass needs the remote networks");
	for (size_t k = 0; k < r->remote_count; k++) {
		const struct ip_range *range = &r->remote[k].range;
		const char *name = selector_text(&r->remote[k], text);
		if (in_ports(c->l->cfg, CFG_INSIDE, range))
			diag_error(d, at, "policy: bypass: %s meets a network of an inside port",
				name);
		else if (in_pools(c->l->cfg, range))
			diag_error(d, at,
				"policy: bypass: %s meets a pool, which is never in clear", name);
		else if (!has_gateway(c->l->cfg, range->lo.family) &&
			 !in_ports(c->l->cfg, CFG_OUTSIDE, range))
			diag_error(
				d, at, "policy: bypass: %s is not routed by an outside port", name);
	}
}

void check_policy(struct loader *l, const struct cfg_connection *n, const config_setting_t *s)
{
	const struct rules c = {l, n, member(s, "policy")};
	uint64_t v4 = 0, v6 = 0;
	for (size_t i = 0; c.list && i < n->policy_count; i++) {
		const struct cfg_rule *r = &n->policy[i];
		uint64_t a = entries_of(r, IP_V4), b = entries_of(r, IP_V6);
		v4 += a;
		v6 += b;
		if (a + b == 0)
			diag_error(&l->diags, element(c.list, i),
				"policy: rule %zu matches nothing: local and remote have no family or "
				"protocol in common",
				i + 1);
		else
			check_reachable(&c, i);
		if (r->action == CFG_BYPASS)
			check_clear(&c, i);
	}
	if (v4 > CFG_POLICY_ENTRIES || v6 > CFG_POLICY_ENTRIES)
		diag_error(&l->diags, c.list,
			"policy: more than %d pairs of prefixes of one family (a range may be many)",
			CFG_POLICY_ENTRIES);
}
