// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of pools whose addresses a DHCP server chooses.
#include "config/loader.h"

static bool is_host(const struct ip_addr *a)
{
	uint8_t first = a->bytes[0];
	return a->family == IP_V4 && first != 0 && first < 224;
}

static bool given_out(const struct cfg_pool *p, const struct ip_addr *a)
{
	for (size_t i = 0; i < p->exclude_count; i++)
		if (ip_range_contains(&p->excludes[i], a))
			return false;
	for (size_t i = 0; i < p->range_count; i++)
		if (ip_range_contains(&p->ranges[i], a))
			return true;
	return false;
}

// An address of the network that serves the pools cannot be a client's.
static void check_apart(
	struct loader *l, const struct ip_addr *a, const config_setting_t *at, const char *option)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < l->cfg->pool_count; i++)
		if (given_out(&l->cfg->pools[i], a))
			diag_error(&l->diags, at,
				"from_dhcp.%s: %s lies in the ranges of pool \"%s\"", option,
				ip_text(a, text),
				l->cfg->pools[i].name ? l->cfg->pools[i].name : "");
}

static void check_servers(struct loader *l, const struct cfg_pool *p, const config_setting_t *list)
{
	const struct ip_addr *servers = p->from_dhcp.servers;
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < p->from_dhcp.server_count; i++) {
		const config_setting_t *at = element(list, i);
		if (!servers[i].family) // no address, and said to be none
			continue;
		if (!is_host(&servers[i]))
			diag_error(&l->diags, at,
				"from_dhcp.servers: %s is not the IPv4 address of a server",
				ip_text(&servers[i], text));
		for (size_t k = 0; k < i; k++)
			if (ip_eq(&servers[i], &servers[k])) {
				diag_error(&l->diags, at, "from_dhcp.servers: %s is named twice",
					ip_text(&servers[i], text));
				break;
			}
		check_apart(l, &servers[i], at, "servers");
	}
}

// A socket of the kernel's is to have it; what arrives at a port of ours reaches the kernel only by
// its exception interface.
static void check_relay(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	const struct ip_addr *relay = &p->from_dhcp.relay;
	char text[IP_TEXT_MAX];
	if (!relay->family) {
		if (!member(s, "relay"))
			diag_error(&l->diags, s,
				"from_dhcp.relay: is missing, the servers answer to it");
		return;
	}
	if (!is_host(relay))
		diag_error(&l->diags, place(s, "relay"),
			"from_dhcp.relay: %s is not an IPv4 address of the gateway",
			ip_text(relay, text));
	check_apart(l, relay, place(s, "relay"), "relay");
	for (size_t i = 0; i < l->cfg->port_count; i++)
		for (size_t k = 0; k < l->cfg->ports[i].address_count; k++)
			if (ip_eq(&l->cfg->ports[i].addresses[k].addr, relay) &&
				!l->cfg->ports[i].exception)
				diag_error(&l->diags, place(s, "relay"),
					"from_dhcp.relay: %s is the address of port \"%s\", which has "
					"no exception interface: the kernel would get no answer",
					ip_text(relay, text),
					l->cfg->ports[i].name ? l->cfg->ports[i].name : "");
}

// What the pool would do by itself.
static void check_contradictions(
	struct loader *l, const struct cfg_pool *p, const config_setting_t *pool)
{
	if (p->range_count && p->ranges[0].lo.family == IP_V6)
		diag_error(&l->diags, place(pool, "from_dhcp"), "from_dhcp: is for IPv4 pools");
	if (p->reservation_count)
		diag_error(&l->diags, place(pool, "reserve"),
			"reserve: contradicts from_dhcp, reservations are the server's");
}

static bool shares_server(const struct cfg_pool *a, const struct cfg_pool *b)
{
	for (size_t i = 0; i < a->from_dhcp.server_count; i++)
		for (size_t k = 0; k < b->from_dhcp.server_count; k++)
			if (ip_eq(&a->from_dhcp.servers[i], &b->from_dhcp.servers[k]))
				return true;
	return false;
}

// A server tells requests apart by their subnet, which without link selection is the relay's.
static void check_subnets(struct loader *l, size_t index, const config_setting_t *s)
{
	const struct cfg_pool *p = &l->cfg->pools[index];
	for (size_t i = 0; i < index; i++) {
		const struct cfg_pool *q = &l->cfg->pools[i];
		if (ip_eq(&p->from_dhcp.relay, &q->from_dhcp.relay) &&
			ip_eq(&p->from_dhcp.subnet, &q->from_dhcp.subnet) && shares_server(p, q))
			diag_error(&l->diags, place(s, "subnet"),
				"from_dhcp.subnet: the servers cannot tell this pool from \"%s\"",
				q->name ? q->name : "");
	}
}

static bool is_none(const struct ip_addr *subnet)
{
	return subnet->family && !is_host(subnet);
}

void check_dhcp(struct loader *l, size_t index, const config_setting_t *pool)
{
	const struct cfg_pool *p = &l->cfg->pools[index];
	const config_setting_t *s = member(pool, "from_dhcp");
	char text[IP_TEXT_MAX];
	if (!s)
		return;
	if (p->from_dhcp.server_count == 0) {
		if (!member(s, "servers") || config_setting_length(member(s, "servers")) == 0)
			diag_error(&l->diags, place(s, "servers"), "from_dhcp.servers: names none");
		return;
	}
	check_servers(l, p, member(s, "servers"));
	check_relay(l, p, s);
	check_contradictions(l, p, pool);
	if (is_none(&p->from_dhcp.subnet))
		diag_error(&l->diags, place(s, "subnet"),
			"from_dhcp.subnet: %s is not an IPv4 address of a subnet",
			ip_text(&p->from_dhcp.subnet, text));
	check_subnets(l, index, s);
}
