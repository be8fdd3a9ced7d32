// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The configuration payload as responder (RFC 7296 3.15): what is asked for, and the reply.
#include "controlplane/addresses.h"

#define APPLICATION_VERSION "sallyport"

static bool is_any(const struct ip_addr *a)
{
	struct ip_addr any = {.family = a->family};
	return ip_eq(a, &any);
}

// RFC 5739 6.1: a client that comes again shows the link ID that it was given: our prefix, as we write it.
static void read_link(const struct wire_cp_attr *a, struct ike_cp_state *out)
{
	struct rd r = rd_view(a->value);
	struct view id;
	out->link = out->want_prefix = true;
	if (!rd_bytes(&r, WIRE_CP_IID_LEN, &out->link_client))
		return;
	if (rd_bytes(&r, 16, &id) && !out->hint_prefix.family)
		out->hint_prefix = ip_from_bytes(IP_V6, id.p);
}

static void read_prefix(const struct wire_cp_attr *a, struct ike_cp_state *out)
{
	out->want_prefix = true;
	if (a->addr.family == IP_V6 && !is_any(&a->addr) && !out->hint_prefix.family)
		out->hint_prefix = a->addr;
}

void ike_cp_read(const struct wire_cp *cp, struct ike_cp_state *out)
{
	memset(out, 0, sizeof(*out));
	out->asked = true;
	for (uint8_t i = 0; i < cp->count; i++) {
		const struct wire_cp_attr *a = &cp->attrs[i];
		if (!a->valid)
			continue;
		if (a->type < 32)
			out->asked_types |= 1u << a->type;
		// One address a family; of several wishes the first counts. RFC 7296 3.15.1: an
		// address of zeros, as an empty one, leaves the choice to us.
		if (a->type == IKEV2_CP_INTERNAL_IP4_ADDRESS && !out->want_v4) {
			out->want_v4 = true;
			if (ip_to_v4(&a->addr))
				out->hint_v4 = a->addr;
		} else if (a->type == IKEV2_CP_INTERNAL_IP6_ADDRESS && !out->want_v6) {
			out->want_v6 = true;
			if (a->addr.family == IP_V6 && !is_any(&a->addr))
				out->hint_v6 = a->addr;
		} else if (a->type == IKEV2_CP_INTERNAL_IP6_PREFIX) {
			read_prefix(a, out);
		} else if (a->type == IKEV2_CP_INTERNAL_IP6_LINK && !out->link) {
			read_link(a, out);
		}
	}
}

// RFC 5739 6.1: "IKEv2 Link ID" is "treated as an opaque octet string by the client". Ours is the prefix, so
// that it is known again without being kept; whose it is, the pools know.
static void put_link(
	struct wire_builder *b, const struct ike_cp_state *cp, const struct ip_prefix *p)
{
	// RFC 5739 4.1: another one than the client's.
	static const uint8_t ours[2][WIRE_CP_IID_LEN] = {
		{0, 0, 0, 0, 0, 0, 0, 1}, {0, 0, 0, 0, 0, 0, 0, 2}};
	bool same = view_eq(cp->link_client, (struct view){ours[0], WIRE_CP_IID_LEN});
	uint8_t value[WIRE_CP_IID_LEN + 16];
	memcpy(value, ours[same], WIRE_CP_IID_LEN);
	memcpy(value + WIRE_CP_IID_LEN, p->addr.bytes, 16);
	wire_cp_put(b, IKEV2_CP_INTERNAL_IP6_LINK, (struct view){value, sizeof(value)});
}

// An IPv4 network has no attribute: the traffic selectors tell.
static void put_prefix(struct wire_builder *b, const struct ike_cp_state *cp, const struct lease *l)
{
	struct ip_prefix p = ike_lease_prefix(l);
	if (p.addr.family != IP_V6)
		return;
	if (cp->link)
		put_link(b, cp, &p);
	wire_cp_put_prefix(b, IKEV2_CP_INTERNAL_IP6_PREFIX, &p);
}

static void put_lease(struct wire_builder *b, const struct lease *l)
{
	if (l->addr.family == IP_V6) {
		struct ip_prefix p = {l->addr, 128};
		wire_cp_put_prefix(b, IKEV2_CP_INTERNAL_IP6_ADDRESS, &p);
		return;
	}
	wire_cp_put_addr(b, IKEV2_CP_INTERNAL_IP4_ADDRESS, &l->addr);
	if (l->pool->netmask.family == IP_V4)
		wire_cp_put_addr(b, IKEV2_CP_INTERNAL_IP4_NETMASK, &l->pool->netmask);
}

// DNS servers of a family stand with whatever pool names them, asked for or not: clients that
// forget to ask use them all the same.
static void put_servers(struct wire_builder *b, const struct cfg_pool *pool)
{
	for (size_t i = 0; i < pool->dns_count; i++)
		wire_cp_put_addr(b,
			pool->dns[i].family == IP_V6 ? IKEV2_CP_INTERNAL_IP6_DNS
						     : IKEV2_CP_INTERNAL_IP4_DNS,
			&pool->dns[i]);
	for (size_t i = 0; i < pool->nbns_count; i++)
		if (pool->nbns[i].family == IP_V4)
			wire_cp_put_addr(b, IKEV2_CP_INTERNAL_IP4_NBNS, &pool->nbns[i]);
}

static bool asked(const struct ike_cp_state *cp, unsigned type)
{
	return cp->asked_types & 1u << type;
}

static void put_text(struct wire_builder *b, uint16_t type, const char *text)
{
	wire_cp_put(b, type, (struct view){(const uint8_t *)text, strlen(text)});
}

static bool family_leased(uint8_t family, const struct lease *leases, uint8_t count)
{
	for (uint8_t i = 0; i < count; i++)
		if (leases[i].addr.family == family)
			return true;
	return false;
}

static void put_subnets(struct wire_builder *b, const struct cfg_connection *conn,
	const struct lease *leases, uint8_t count)
{
	for (size_t i = 0; i < conn->child_count; i++)
		for (size_t k = 0; k < conn->children[i].local_ts_count; k++) {
			struct ip_prefix p;
			const struct ip_range *r = &conn->children[i].local_ts[k].range;
			if (!ip_range_is_prefix(r, &p) || p.bits == 0 ||
				!family_leased(p.addr.family, leases, count))
				continue;
			wire_cp_put_prefix(b,
				p.addr.family == IP_V6 ? IKEV2_CP_INTERNAL_IP6_SUBNET
						       : IKEV2_CP_INTERNAL_IP4_SUBNET,
				&p);
		}
}

void ike_cp_reply(struct wire_builder *b, const struct ike_cp_state *cp,
	const struct cfg_connection *conn, const struct lease *leases, uint8_t count)
{
	wire_open_cp(b, IKEV2_CP_REPLY);
	for (uint8_t i = 0; i < count; i++) {
		if (ike_lease_is_prefix(&leases[i]))
			put_prefix(b, cp, &leases[i]);
		else
			put_lease(b, &leases[i]);
	}
	for (uint8_t i = 0; i < count; i++) {
		const struct cfg_pool *pool = leases[i].pool;
		if (i > 0 && pool == leases[i - 1].pool)
			continue;
		put_servers(b, pool);
		// RFC 8598 3.1: only to a client that asked for it.
		if (pool->domain && asked(cp, IKEV2_CP_INTERNAL_DNS_DOMAIN))
			put_text(b, IKEV2_CP_INTERNAL_DNS_DOMAIN, pool->domain);
	}
	put_subnets(b, conn, leases, count);
	if (asked(cp, IKEV2_CP_APPLICATION_VERSION))
		put_text(b, IKEV2_CP_APPLICATION_VERSION, APPLICATION_VERSION);
	wire_close(b);
}
