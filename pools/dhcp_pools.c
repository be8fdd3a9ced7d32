// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What from_dhcp says, copied: a snapshot of the configuration may go. And the relays' sockets.
#include "pools/dhcp_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct dhcp_pool *dhcp_pool_find(const struct dhcp *d, const char *name)
{
	for (size_t i = 0; i < d->pool_count; i++)
		if (strcmp(d->pools[i]->name, name) == 0)
			return d->pools[i];
	return NULL;
}

bool dhcp_pool_server(const struct dhcp_pool *p, uint32_t addr)
{
	for (size_t i = 0; i < p->server_count; i++)
		if (p->servers[i] == addr)
			return true;
	return false;
}

static const struct dhcp_relay *relay_find(const struct dhcp *d, uint32_t addr)
{
	for (size_t i = 0; i < d->relay_count; i++)
		if (d->relays[i].addr == addr)
			return &d->relays[i];
	return NULL;
}

static int relay_open(struct dhcp *d, const struct cfg_pool *p, FILE *errors)
{
	char text[IP_TEXT_MAX];
	uint32_t addr = ip_to_v4(&p->from_dhcp.relay);
	if (relay_find(d, addr))
		return 0;
	struct dhcp_relay *more = realloc(d->relays, (d->relay_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->relays = more;
	int s = d->net.open(d->net.ctx, &p->from_dhcp.relay);
	if (s >= 0)
		d->relays[d->relay_count++] = (struct dhcp_relay){addr, s};
	else if (errors)
		fprintf(errors, "pool \"%s\": from_dhcp.relay: cannot use %s port %u: %s\n",
			p->name, ip_text(&p->from_dhcp.relay, text), DHCP_PORT, strerror(-s));
	return s < 0 ? s : 0;
}

static bool wanted(const struct cfg_pool *p)
{
	return p->from_dhcp.server_count > 0;
}

// Room for every pool of the snapshot, so that taking them over cannot fail.
static int make_room(struct dhcp *d, const struct cfg *c)
{
	struct dhcp_pool **more =
		realloc(d->pools, (d->pool_count + c->pool_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	d->pools = more;
	for (size_t i = 0; i < c->pool_count; i++) {
		if (!wanted(&c->pools[i]) || dhcp_pool_find(d, c->pools[i].name))
			continue;
		struct dhcp_pool *p = calloc(1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		p->retired = true; // until taken over
		p->name = strdup(c->pools[i].name);
		if (!p->name) {
			free(p);
			return -ENOMEM;
		}
		d->pools[d->pool_count++] = p;
	}
	return 0;
}

static void take_over(struct dhcp *d, const struct cfg_pool *from)
{
	struct dhcp_pool *p = dhcp_pool_find(d, from->name);
	p->relay = ip_to_v4(&from->from_dhcp.relay);
	p->link = ip_to_v4(&from->from_dhcp.subnet);
	p->timeout_ns = from->from_dhcp.timeout_s * NS_PER_S;
	p->socket = relay_find(d, p->relay)->socket;
	p->retired = false;
	p->server_count = 0;
	for (size_t i = 0; i < from->from_dhcp.server_count && i < DHCP_SERVERS_MAX; i++)
		p->servers[p->server_count++] = ip_to_v4(&from->from_dhcp.servers[i]);
}

// Sockets that no pool uses any longer, or not yet because another could not be opened.
static void close_unused(struct dhcp *d)
{
	size_t kept = 0;
	for (size_t i = 0; i < d->relay_count; i++) {
		bool used = false;
		for (size_t k = 0; k < d->pool_count; k++)
			used |= d->pools[k]->server_count &&
				d->pools[k]->relay == d->relays[i].addr;
		if (used)
			d->relays[kept++] = d->relays[i];
		else
			d->net.close(d->net.ctx, d->relays[i].socket);
	}
	d->relay_count = kept;
}

int dhcp_reload(struct dhcp *d, const struct cfg *c, FILE *errors)
{
	int rc = make_room(d, c);
	for (size_t i = 0; rc != -ENOMEM && i < c->pool_count; i++)
		if (wanted(&c->pools[i])) {
			int failed = relay_open(d, &c->pools[i], errors);
			rc = rc && failed != -ENOMEM ? rc : failed;
		}
	if (rc == 0) {
		for (size_t i = 0; i < d->pool_count; i++)
			d->pools[i]->retired = true;
		for (size_t i = 0; i < c->pool_count; i++)
			if (wanted(&c->pools[i]))
				take_over(d, &c->pools[i]);
	}
	close_unused(d);
	return rc;
}

void dhcp_pools_free(struct dhcp *d)
{
	for (size_t i = 0; i < d->relay_count; i++)
		d->net.close(d->net.ctx, d->relays[i].socket);
	for (size_t i = 0; i < d->pool_count; i++) {
		free(d->pools[i]->name);
		free(d->pools[i]);
	}
	free(d->relays);
	free(d->pools);
}
