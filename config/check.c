// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks over several options: processors, ports, credentials.
#include "config/loader.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void check_main(struct loader *l, const config_setting_t *root)
{
	const struct cfg_main *m = &l->cfg->main;
	const config_setting_t *group = member(root, "main"), *workers = member(group, "workers");
	for (size_t i = 0; workers && i < m->worker_count; i++) {
		for (size_t k = 0; k < i; k++)
			if (m->workers[i] == m->workers[k]) {
				diag_error(&l->diags, element(workers, i),
					"main.workers: lcore %u is named twice", m->workers[i]);
				break;
			}
		if (m->idle == CFG_IDLE_POLL && m->workers[i] == m->control_core)
			diag_warning(&l->diags, element(workers, i),
				"main.workers: lcore %u polls without a pause, and is control_core",
				m->workers[i]);
	}
	if (member(group, "state_dir"))
		diag_warning(&l->diags, place(group, "state_dir"),
			m->quick_crash_detection
				? "main.state_dir: qcd.secret survives a restart there, leases do not"
				: "main.state_dir: not used, quick_crash_detection is false");
	if (m->half_open_max && m->cookie_threshold > m->half_open_max)
		diag_warning(&l->diags, place(group, "cookie_threshold"),
			"main.cookie_threshold: %u is never reached, half_open_max is %u",
			m->cookie_threshold, m->half_open_max);
}

bool same_text(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

struct numbered {
	const char *name;
	size_t i;
};

static int by_name(const void *a, const void *b)
{
	const struct numbered *x = a, *y = b;
	int c = strcmp(x->name, y->name);
	return c ? c : (x->i > y->i) - (x->i < y->i);
}

void check_unique(struct loader *l, const struct named *n)
{
	struct numbered *names = calloc(n->count + 1, sizeof(*names));
	size_t count = 0;
	if (!names) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < n->count; i++) {
		const char *name = n->name(n->elements, i);
		if (name)
			names[count++] = (struct numbered){name, i};
	}
	qsort(names, count, sizeof(*names), by_name);
	for (size_t i = 1; i < count; i++)
		if (strcmp(names[i].name, names[i - 1].name) == 0)
			diag_error(&l->diags, place(element(n->list, names[i].i), n->option),
				"%s \"%s\" is defined twice", n->what, names[i].name);
	free(names);
}

static const char *port_name(const void *ports, size_t i)
{
	return ((const struct cfg_port *)ports)[i].name;
}

static const char *port_device(const void *ports, size_t i)
{
	return ((const struct cfg_port *)ports)[i].device;
}

static const char *user_name(const void *users, size_t i)
{
	return ((const struct cfg_user *)users)[i].name;
}

// A key found by identity alone.
static const char *psk_id(const void *psks, size_t i)
{
	const struct cfg_psk *p = (const struct cfg_psk *)psks + i;
	return p->address_count ? NULL : p->id;
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

static void check_port(struct loader *l, const config_setting_t *list, size_t i)
{
	struct cfg_port *p = &l->cfg->ports[i];
	const config_setting_t *s = element(list, i);
	p->pci = p->device && is_pci(p->device);
	for (size_t k = 0; k < i; k++) {
		const struct cfg_port *other = &l->cfg->ports[k];
		if (p->mac_set && other->mac_set && memcmp(p->mac, other->mac, 6) == 0)
			diag_error(&l->diags, place(s, "mac"), "mac: another port has it");
	}
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
	check_unique(l, &(struct named){list, l->cfg->ports, n, port_device, "device", "device"});
	for (size_t i = 0; i < n; i++) {
		check_port(l, list, i);
		outside = outside || l->cfg->ports[i].role == CFG_OUTSIDE;
	}
	if (!outside)
		diag_error(&l->diags, list, "ports: none has role \"outside\"");
}

static void check_psk(struct loader *l, const config_setting_t *list, size_t i)
{
	const struct cfg_psk *p = &l->cfg->psks[i];
	const config_setting_t *s = element(list, i);
	const config_setting_t *text = member(s, "secret"), *file = member(s, "secret_file");
	if (text && file)
		diag_error(&l->diags, file, "psk: secret and secret_file exclude each other");
	else if (s && !text && !file)
		diag_error(&l->diags, s, "psk: needs secret or secret_file");
	if (s && !member(s, "id") && !member(s, "addresses"))
		diag_error(&l->diags, s, "psk: needs id or addresses");
	if (p->id && strcmp(p->id, "*") == 0)
		diag_warning(&l->diags, place(s, "id"),
			"psk: \"*\" lets whoever knows the secret in under any name");
	if (p->secret.len && p->secret.len < 20)
		diag_warning(&l->diags, text ? text : file,
			"psk: shorter than 20 characters, it can be guessed off line");
}

static void check_file(
	struct loader *l, const config_setting_t *at, const char *label, const char *path)
{
	if (path && !l->no_files && access(path, R_OK) != 0)
		diag_error(
			&l->diags, at, "%s: cannot read \"%s\": %s", label, path, strerror(errno));
}

static void check_key(struct loader *l, const config_setting_t *at, const char *path)
{
	struct stat st;
	check_file(l, at, "key", path);
	if (path && !l->no_files && stat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		(st.st_mode & (S_IROTH | S_IWOTH)))
		diag_warning(&l->diags, at, "key: \"%s\" is open to all users", path);
}

void check_credentials(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *s = member(root, "credentials");
	const config_setting_t *psk = member(s, "psk"), *users = member(s, "users");
	const config_setting_t *certs = member(s, "certificates"), *ca = member(s, "ca");
	for (size_t i = 0; i < l->cfg->psk_count; i++)
		check_psk(l, psk, i);
	check_unique(l, &(struct named){psk, l->cfg->psks, l->cfg->psk_count, psk_id, "id", "psk"});
	check_unique(l, &(struct named){users, l->cfg->users, l->cfg->user_count, user_name, "name",
				"user"});
	for (size_t i = 0; i < l->cfg->certificate_count; i++) {
		const config_setting_t *e = element(certs, i);
		check_file(l, place(e, "cert"), "cert", l->cfg->certificates[i].cert);
		check_key(l, place(e, "key"), l->cfg->certificates[i].key);
	}
	for (size_t i = 0; i < l->cfg->ca.count; i++)
		check_file(l, element(ca, i), "ca", l->cfg->ca.items[i]);
}
