// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "config/config.h"

#include <stdlib.h>

static void free_strings(struct cfg_strings *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->items[i]);
	free(s->items);
}

static void free_port(struct cfg_port *p)
{
	free(p->name);
	free(p->device);
	free_strings(&p->members);
	free(p->exception);
	free(p->addresses);
	free(p->gateways);
	free(p->routes);
}

static void free_pool(struct cfg_pool *p)
{
	free(p->name);
	free(p->ranges);
	free(p->excludes);
	free(p->dns);
	free(p->nbns);
	free(p->dhcp);
	free(p->domain);
	free_strings(&p->groups);
	free(p->from_dhcp.servers);
	for (size_t i = 0; i < p->reservation_count; i++)
		free(p->reservations[i].owner);
	free(p->reservations);
}

static void free_credentials(struct cfg *c)
{
	for (size_t i = 0; i < c->psk_count; i++) {
		free(c->psks[i].id);
		free(c->psks[i].addresses);
		secret_fini(&c->psks[i].secret);
	}
	free(c->psks);
	for (size_t i = 0; i < c->user_count; i++) {
		free(c->users[i].name);
		secret_fini(&c->users[i].password);
		free_strings(&c->users[i].groups);
	}
	free(c->users);
	for (size_t i = 0; i < c->certificate_count; i++) {
		free(c->certificates[i].cert);
		free(c->certificates[i].key);
	}
	free(c->certificates);
	free_strings(&c->ca);
}

static void free_connection(struct cfg_connection *n)
{
	free(n->name);
	free(n->ike_proposals);
	free(n->local.id);
	free(n->local.cert);
	free(n->local.user);
	secret_fini(&n->local.password);
	free(n->remote.id);
	free(n->remote.addresses);
	free(n->pools);
	free(n->tunnel_routes);
	for (size_t i = 0; i < n->policy_count; i++) {
		free(n->policy[i].local);
		free(n->policy[i].remote);
	}
	free(n->policy);
	free(n->split_include);
	free(n->banner);
	free_strings(&n->split_dns);
	free(n->local_lan);
	free_strings(&n->backup_servers);
	for (size_t i = 0; i < n->child_count; i++) {
		free(n->children[i].name);
		free(n->children[i].local_ts);
		free(n->children[i].remote_ts);
		free(n->children[i].esp_proposals);
	}
	free(n->children);
}

void cfg_free(struct cfg *c)
{
	if (!c)
		return;
	free(c->main.state_dir);
	free(c->main.run_dir);
	for (size_t i = 0; i < c->port_count; i++)
		free_port(&c->ports[i]);
	free(c->ports);
	for (size_t i = 0; i < c->pool_count; i++)
		free_pool(&c->pools[i]);
	free(c->pools);
	free_credentials(c);
	for (size_t i = 0; i < c->connection_count; i++)
		free_connection(&c->connections[i]);
	free(c->connections);
	free(c);
}
