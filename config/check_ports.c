// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Ports: addresses and next hops, and the device that several ports may share.
#include "config/loader.h"

#include <ctype.h>

static const char *port_name(const void *ports, size_t i)
{
	return ((const struct cfg_port *)ports)[i].name;
}

// [domain:]bus:device.function
static bool is_pci(const char *device)
{
	static const char *const shapes[] = {"xxxx:xx:xx.x", "xx:xx.x"};
	for (size_t i = 0; i < 2; i++) {
		const char *s = shapes[i], *d = device;
		while (*s && (*s == 'x' ? isxdigit((unsigned char)*d) : *d == *s)) {
			s++;
			d++;
		}
		if (!*s && (!*d || *d == ','))
			return true;
	}
	return false;
}

static bool on_port(const struct cfg_port *p, const struct ip_addr *a)
{
	for (size_t i = 0; i < p->address_count; i++) {
		struct ip_range net = ip_prefix_range(&p->addresses[i]);
		if (ip_range_contains(&net, a))
			return true;
	}
	return false;
}

static void check_next_hop(struct loader *l, const config_setting_t *at, const char *label,
	const struct cfg_port *p, const struct ip_addr *a)
{
	char text[IP_TEXT_MAX];
	if (a->family && !on_port(p, a))
		diag_error(&l->diags, at, "%s: %s is in no network of this port", label,
			ip_text(a, text));
}

static void check_gateways(struct loader *l, const struct cfg_port *p, const config_setting_t *s)
{
	const config_setting_t *gateways = member(s, "gateways"), *routes = member(s, "routes");
	bool seen[IP_V6 + 1] = {false};
	for (size_t i = 0; i < p->gateway_count; i++) {
		const struct ip_addr *a = &p->gateways[i];
		check_next_hop(l, element(gateways, i), "gateways", p, a);
		if (a->family && seen[a->family])
			diag_error(&l->diags, element(gateways, i),
				"gateways: more than one of a family");
		seen[a->family] = true;
	}
	for (size_t i = 0; i < p->route_count; i++) {
		const config_setting_t *r = element(routes, i);
		check_next_hop(l, place(r, "via"), "via", p, &p->routes[i].via);
		if (p->routes[i].via.family && p->routes[i].prefix.addr.family &&
			p->routes[i].via.family != p->routes[i].prefix.addr.family)
			diag_error(&l->diags, place(r, "via"),
				"via: prefix and router are of different families");
	}
}

static void check_addresses(struct loader *l, size_t port, const config_setting_t *s)
{
	const struct cfg_port *p = &l->cfg->ports[port];
	const config_setting_t *addresses = member(s, "addresses");
	char text[IP_TEXT_MAX];
	bool v6 = false;
	for (size_t i = 0; i < p->address_count; i++) {
		const struct ip_addr *a = &p->addresses[i].addr;
		v6 = v6 || a->family == IP_V6;
		for (size_t q = 0; q <= port; q++)
			for (size_t k = 0; k < (q < port ? l->cfg->ports[q].address_count : i); k++)
				if (a->family && ip_eq(a, &l->cfg->ports[q].addresses[k].addr))
					diag_error(&l->diags, element(addresses, i),
						"addresses: %s is given twice", ip_text(a, text));
	}
	// RFC 8200 5: every link of IPv6 carries 1280 octets.
	if (v6 && p->mtu && p->mtu < 1280)
		diag_error(&l->diags, place(s, "mtu"), "mtu: IPv6 needs at least 1280, got %u",
			p->mtu);
}

// ---- The device ----

// Without its arguments and a PCI address' domain 0000; *len bytes.
static const char *device_name(const char *device, size_t *len)
{
	// The domain that a PCI address may leave out.
	static const char domain[] = "0000:";
	if (is_pci(device) && strncmp(device, domain, sizeof(domain) - 1) == 0)
		device += sizeof(domain) - 1;
	*len = strcspn(device, ",");
	return device;
}

static bool same_device(const struct cfg_port *a, const struct cfg_port *b)
{
	size_t m, n;
	if (!a->device || !b->device)
		return false;
	const char *x = device_name(a->device, &m), *y = device_name(b->device, &n);
	return m == n && memcmp(x, y, n) == 0;
}

// The first port of the device, of those before port i, or NULL.
static const struct cfg_port *first_of_device(const struct cfg *c, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (same_device(&c->ports[k], &c->ports[i]))
			return &c->ports[k];
	return NULL;
}

static void check_vlan(struct loader *l, size_t i, const config_setting_t *s)
{
	const struct cfg_port *p = &l->cfg->ports[i];
	for (size_t k = 0; k < i; k++) {
		const struct cfg_port *other = &l->cfg->ports[k];
		if (!same_device(other, p) || other->vlan != p->vlan)
			continue;
		if (p->vlan)
			diag_error(&l->diags, place(s, "vlan"),
				"vlan: port \"%s\" has VLAN %u of this device",
				other->name ? other->name : "", p->vlan);
		else
			diag_error(&l->diags, place(s, "device"), "device \"%s\" is defined twice",
				p->device);
		return;
	}
}

// What is asked of a device is said once.
static void check_shared(struct loader *l, size_t i, const config_setting_t *s)
{
	static const char *const of_device[] = {"mac", "members", "rss", "rx_descriptors",
		"tx_descriptors", "promiscuous", "checksum_offload"};
	const struct cfg_port *p = &l->cfg->ports[i], *first = p->shares;
	if (!first)
		return;
	const char *name = first->name ? first->name : "";
	for (size_t k = 0; k < sizeof(of_device) / sizeof(*of_device); k++)
		if (member(s, of_device[k]))
			diag_error(&l->diags, place(s, of_device[k]),
				"%s: belongs to the device, which port \"%s\" names first",
				of_device[k], name);
	if (strchr(p->device, ',') && strcmp(p->device, first->device) != 0)
		diag_error(&l->diags, place(s, "device"),
			"device: port \"%s\" names it with other arguments", name);
	if (p->mtu > first->mtu)
		diag_error(&l->diags, place(s, "mtu"),
			"mtu: above %u of port \"%s\", which has the device", first->mtu, name);
}

static void check_members(struct loader *l, struct cfg_port *p, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "members");
	if (p->members.count && p->device && strncmp(p->device, "net_bonding", 11) != 0)
		diag_error(&l->diags, list, "members: device is no bond (net_bonding0,mode=4)");
	for (size_t i = 0; i < p->members.count; i++) {
		struct cfg_port m = {.device = p->members.items[i]};
		if (m.device && is_pci(m.device))
			p->pci_members |= (uint8_t)(1u << i);
		for (size_t k = 0; k < i; k++)
			if (same_device(&m, &(struct cfg_port){.device = p->members.items[k]}))
				diag_error(&l->diags, element(list, i),
					"members: \"%s\" is named twice", m.device);
		for (size_t q = 0; q < l->cfg->port_count; q++)
			if (same_device(&m, &l->cfg->ports[q]))
				diag_error(&l->diags, element(list, i),
					"members: \"%s\" is the device of port \"%s\"", m.device,
					l->cfg->ports[q].name ? l->cfg->ports[q].name : "");
	}
}

// A name that the kernel takes for an interface, and no other port has.
static void check_exception(struct loader *l, size_t i, const config_setting_t *s)
{
	const struct cfg_port *p = &l->cfg->ports[i];
	if (!p->exception) {
		if (member(s, "exception_rate"))
			diag_warning(&l->diags, place(s, "exception_rate"),
				"exception_rate: not used without exception");
		return;
	}
	if (strpbrk(p->exception, "/:% \t\n") || strcmp(p->exception, ".") == 0 ||
		strcmp(p->exception, "..") == 0)
		diag_error(&l->diags, place(s, "exception"),
			"exception: \"%s\" cannot be an interface's name", p->exception);
	for (size_t k = 0; k < i; k++)
		if (same_text(p->exception, l->cfg->ports[k].exception))
			diag_error(&l->diags, place(s, "exception"),
				"exception: \"%s\" belongs to port \"%s\" already", p->exception,
				l->cfg->ports[k].name ? l->cfg->ports[k].name : "");
}

static void check_port(struct loader *l, const config_setting_t *list, size_t i)
{
	struct cfg_port *p = &l->cfg->ports[i];
	const config_setting_t *s = element(list, i);
	p->pci = p->device && is_pci(p->device);
	for (size_t k = 0; k < i; k++) {
		const struct cfg_port *other = &l->cfg->ports[k];
		if (p->mac_set && other->mac_set && !same_device(p, other) &&
			memcmp(p->mac, other->mac, 6) == 0)
			diag_error(&l->diags, place(s, "mac"), "mac: another port has it");
	}
	p->shares = first_of_device(l->cfg, i);
	check_vlan(l, i, s);
	check_shared(l, i, s);
	check_members(l, p, s);
	check_exception(l, i, s);
	check_addresses(l, i, s);
	check_gateways(l, p, s);
}

void check_ports(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *list = member(root, "ports");
	bool outside = false;
	if (!list) {
		diag_warning(&l->diags, NULL, "no ports: nothing can be received");
		return;
	}
	size_t n = l->cfg->port_count;
	check_unique(l, &(struct named){list, l->cfg->ports, n, port_name, "name", "port"});
	for (size_t i = 0; i < n; i++) {
		check_port(l, list, i);
		outside = outside || l->cfg->ports[i].role == CFG_OUTSIDE;
	}
	if (!outside)
		diag_error(&l->diags, list, "ports: none has role \"outside\"");
}
