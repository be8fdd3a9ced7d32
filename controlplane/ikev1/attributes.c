// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Mode Configuration's attributes (draft-dukes-ike-mode-cfg-02 3.3 and Cisco's Unity): what a request
// asks for, and what a client is told.
#include "controlplane/ikev1/login.h"

#define APPLICATION_VERSION "sallyport"

// All that we can tell; the private ones last. SUPPORTED_ATTRIBUTES names them.
static const uint16_t known[] = {
	IKEV1_CFG_IP4_ADDRESS,
	IKEV1_CFG_IP4_NETMASK,
	IKEV1_CFG_IP4_DNS,
	IKEV1_CFG_IP4_NBNS,
	IKEV1_CFG_ADDRESS_EXPIRY,
	IKEV1_CFG_IP4_DHCP,
	IKEV1_CFG_APPLICATION_VERSION,
	IKEV1_CFG_IP6_ADDRESS,
	IKEV1_CFG_IP6_DNS,
	IKEV1_CFG_IP6_NBNS,
	IKEV1_CFG_IP6_DHCP,
	IKEV1_CFG_IP4_SUBNET,
	IKEV1_CFG_SUPPORTED_ATTRIBUTES,
	IKEV1_CFG_IP6_SUBNET,
	IKEV1_CFG_UNITY_BANNER,
	IKEV1_CFG_UNITY_SAVE_PASSWORD,
	IKEV1_CFG_UNITY_DEFAULT_DOMAIN,
	IKEV1_CFG_UNITY_SPLIT_DNS,
	IKEV1_CFG_UNITY_SPLIT_INCLUDE,
	IKEV1_CFG_UNITY_LOCAL_LAN,
	IKEV1_CFG_UNITY_PFS,
	IKEV1_CFG_UNITY_BACKUP_SERVERS,
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))
_Static_assert(KNOWN_COUNT <= 64, "one bit each");

// ---- a request -------------------------------------------------------------------------------

static uint64_t bit_of(uint16_t type)
{
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		if (known[i] == type)
			return 1ull << i;
	return 0;
}

bool ikev1_asked_for(const struct ikev1_asked *a, uint16_t type)
{
	return a && (a->types & bit_of(type));
}

// One address a family: of several wishes the first counts. An address of zeros, as an empty one or
// one of a wrong length, leaves the choice to us.
static void read_hint(const struct ikev1_attr *a, uint8_t family, struct ip_addr *hint)
{
	const struct ip_addr any = {.family = family};
	struct ip_addr addr;
	if (ikev1_attr_address(a, family, &addr) && !ip_eq(&addr, &any))
		*hint = addr;
}

void ikev1_asked_read(const struct ikev1_cfg *cfg, struct ikev1_asked *out)
{
	*out = (struct ikev1_asked){0};
	for (uint8_t i = 0; i < cfg->count; i++) {
		const struct ikev1_attr *a = &cfg->attrs[i];
		uint64_t bit = bit_of(a->type);
		if (out->types & bit)
			continue;
		out->types |= bit;
		if (a->type == IKEV1_CFG_IP4_ADDRESS)
			read_hint(a, IP_V4, &out->hint_v4);
		else if (a->type == IKEV1_CFG_IP6_ADDRESS)
			read_hint(a, IP_V6, &out->hint_v6);
	}
}

// ---- addresses and what goes with them ---------------------------------------------------------

static void put_addr(struct wire_builder *b, uint16_t type, const struct ip_addr *a)
{
	ikev1_put_attr(b, type, (struct view){a->bytes, ip_len(a->family)});
}

// The draft's IP6_ADDRESS is of 16 bytes; some peers put a prefix length behind, all take this.
static void put_lease(struct wire_builder *b, const struct lease *l)
{
	bool v6 = l->addr.family == IP_V6;
	if (ike_lease_is_prefix(l))
		return; // quick mode says it
	put_addr(b, v6 ? IKEV1_CFG_IP6_ADDRESS : IKEV1_CFG_IP4_ADDRESS, &l->addr);
	if (!v6 && l->pool->netmask.family == IP_V4)
		put_addr(b, IKEV1_CFG_IP4_NETMASK, &l->pool->netmask);
}

// An attribute for each server.
static void put_servers(struct wire_builder *b, const struct ip_addr *servers, size_t count,
	uint16_t v4, uint16_t v6)
{
	for (size_t i = 0; i < count; i++)
		put_addr(b, servers[i].family == IP_V6 ? v6 : v4, &servers[i]);
}

static bool first_of_pool(const struct ikev1_told *t, uint8_t i)
{
	for (uint8_t k = 0; k < i; k++)
		if (t->leases[k].pool == t->leases[i].pool)
			return false;
	return true;
}

// Clients that forget to ask for servers use them all the same.
static void put_pools(struct wire_builder *b, const struct ikev1_told *t)
{
	for (uint8_t i = 0; i < t->lease_count; i++)
		put_lease(b, &t->leases[i]);
	for (uint8_t i = 0; i < t->lease_count; i++) {
		const struct cfg_pool *p = t->leases[i].pool;
		if (!first_of_pool(t, i))
			continue;
		put_servers(b, p->dns, p->dns_count, IKEV1_CFG_IP4_DNS, IKEV1_CFG_IP6_DNS);
		put_servers(b, p->nbns, p->nbns_count, IKEV1_CFG_IP4_NBNS, IKEV1_CFG_IP6_NBNS);
		if (ikev1_asked_for(t->asked, IKEV1_CFG_IP4_DHCP) ||
			ikev1_asked_for(t->asked, IKEV1_CFG_IP6_DHCP))
			put_servers(
				b, p->dhcp, p->dhcp_count, IKEV1_CFG_IP4_DHCP, IKEV1_CFG_IP6_DHCP);
	}
}

// Network and mask, network and prefix length: draft-dukes-ike-mode-cfg-02 3.3.
static void put_subnet(struct wire_builder *b, const struct ip_prefix *p)
{
	uint8_t value[17];
	size_t len = ip_len(p->addr.family);
	memcpy(value, p->addr.bytes, len);
	if (p->addr.family == IP_V6) {
		value[len] = p->bits;
		ikev1_put_attr(b, IKEV1_CFG_IP6_SUBNET, (struct view){value, len + 1});
		return;
	}
	struct ip_addr mask = ip_from_v4(p->bits ? UINT32_MAX << (32 - p->bits) : 0);
	memcpy(value + len, mask.bytes, len);
	ikev1_put_attr(b, IKEV1_CFG_IP4_SUBNET, (struct view){value, 2 * len});
}

static void put_text(struct wire_builder *b, uint16_t type, const char *text)
{
	ikev1_put_attr(b, type, (struct view){(const uint8_t *)text, strlen(text)});
}

static void put_supported(struct wire_builder *b)
{
	uint8_t list[2 * KNOWN_COUNT];
	struct wr w = wr_of(list, sizeof(list));
	for (size_t i = 0; i < KNOWN_COUNT; i++)
		wr_u16(&w, known[i]);
	ikev1_put_attr(b, IKEV1_CFG_SUPPORTED_ATTRIBUTES, wr_done(&w));
}

// What is said to those alone who ask for it.
static void put_answers(struct wire_builder *b, const struct ikev1_told *t)
{
	const struct cfg_connection *conn = t->conn;
	bool v4 = ikev1_asked_for(t->asked, IKEV1_CFG_IP4_SUBNET);
	bool v6 = ikev1_asked_for(t->asked, IKEV1_CFG_IP6_SUBNET);
	for (size_t i = 0; i < conn->split_include_count; i++)
		if (conn->split_include[i].addr.family == IP_V6 ? v6 : v4)
			put_subnet(b, &conn->split_include[i]);
	if (ikev1_asked_for(t->asked, IKEV1_CFG_APPLICATION_VERSION))
		put_text(b, IKEV1_CFG_APPLICATION_VERSION, APPLICATION_VERSION);
	if (ikev1_asked_for(t->asked, IKEV1_CFG_SUPPORTED_ATTRIBUTES))
		put_supported(b);
	if (t->expiry_s && t->lease_count && ikev1_asked_for(t->asked, IKEV1_CFG_ADDRESS_EXPIRY)) {
		uint8_t value[4];
		struct wr w = wr_of(value, sizeof(value));
		wr_u32(&w, t->expiry_s);
		ikev1_put_attr(b, IKEV1_CFG_ADDRESS_EXPIRY, wr_done(&w));
	}
}

// ---- Unity -----------------------------------------------------------------------------------

// A list of names is one attribute, with commas between them.
static void put_names(struct wire_builder *b, uint16_t type, const struct cfg_strings *names)
{
	uint8_t text[2048];
	struct wr w = wr_of(text, sizeof(text));
	for (size_t i = 0; i < names->count; i++) {
		size_t len = strlen(names->items[i]);
		if (w.cap - w.len < len + 1)
			break; // what fits is of use
		if (i > 0)
			wr_u8(&w, ',');
		wr_bytes(&w, names->items[i], len);
	}
	if (w.len)
		ikev1_put_attr(b, type, wr_done(&w));
}

static const char *domain_of(const struct ikev1_told *t)
{
	for (uint8_t i = 0; i < t->lease_count; i++)
		if (t->leases[i].pool->domain)
			return t->leases[i].pool->domain;
	return NULL;
}

static bool pfs_required(const struct cfg_connection *conn)
{
	return conn->child_count && conn->children[0].pfs == CFG_PFS_REQUIRED;
}

// Only to who announced Unity, or asks for this very attribute.
static bool wants(const struct ikev1_told *t, uint16_t type)
{
	return t->unity || ikev1_asked_for(t->asked, type);
}

static void put_unity(struct wire_builder *b, const struct ikev1_told *t)
{
	const struct cfg_connection *conn = t->conn;
	const char *domain = domain_of(t);
	if (conn->banner && conn->banner[0] && wants(t, IKEV1_CFG_UNITY_BANNER))
		put_text(b, IKEV1_CFG_UNITY_BANNER, conn->banner);
	if (wants(t, IKEV1_CFG_UNITY_SAVE_PASSWORD))
		ikev1_put_attr_basic(b, IKEV1_CFG_UNITY_SAVE_PASSWORD, conn->save_password);
	if (domain && wants(t, IKEV1_CFG_UNITY_DEFAULT_DOMAIN))
		put_text(b, IKEV1_CFG_UNITY_DEFAULT_DOMAIN, domain);
	if (wants(t, IKEV1_CFG_UNITY_SPLIT_DNS))
		put_names(b, IKEV1_CFG_UNITY_SPLIT_DNS, &conn->split_dns);
	if (wants(t, IKEV1_CFG_UNITY_SPLIT_INCLUDE))
		ikev1_put_unity_nets(b, IKEV1_CFG_UNITY_SPLIT_INCLUDE, conn->split_include,
			conn->split_include_count);
	if (wants(t, IKEV1_CFG_UNITY_LOCAL_LAN))
		ikev1_put_unity_nets(
			b, IKEV1_CFG_UNITY_LOCAL_LAN, conn->local_lan, conn->local_lan_count);
	if (wants(t, IKEV1_CFG_UNITY_PFS))
		ikev1_put_attr_basic(b, IKEV1_CFG_UNITY_PFS, pfs_required(conn));
	if (wants(t, IKEV1_CFG_UNITY_BACKUP_SERVERS))
		put_names(b, IKEV1_CFG_UNITY_BACKUP_SERVERS, &conn->backup_servers);
}

void ikev1_put_told(struct wire_builder *b, const struct ikev1_told *t)
{
	put_pools(b, t);
	put_answers(b, t);
	put_unity(b, t);
}
