// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A client: its identifiers, its places in the tables, and what is remembered of it over a restart.
#include "pools/dhcp_internal.h"

#include <openssl/evp.h>

#include <errno.h>
#include <stdlib.h>

#define EXTRA_VERSION  1
#define IAID_RANDOM    0x80000000u // beyond the 64 that are counted
#define LOCAL_MAC_MASK 0xfcu
#define LOCAL_MAC_BITS 0x02u // locally administered, of one station

static uint64_t hash_u32(const struct dhcp *d, uint32_t v)
{
	return siphash(d->key, &v, sizeof(v));
}

// ---- holders

static struct dhcp_holder *holder_find(const struct dhcp *d, const uint8_t *uuid, uint64_t hash)
{
	for (struct htab_node *n = htab_first(&d->holders, hash); n; n = htab_next(n)) {
		struct dhcp_holder *h = container_of(n, struct dhcp_holder, by_uuid);
		if (memcmp(h->uuid, uuid, DHCP_UUID_LEN) == 0)
			return h;
	}
	return NULL;
}

static struct dhcp_holder *holder_get(struct dhcp *d, const struct dhcp_holder *who)
{
	uint64_t hash = siphash(d->key, who->uuid, DHCP_UUID_LEN);
	struct dhcp_holder *h = holder_find(d, who->uuid, hash);
	if (!h) {
		h = calloc(1, sizeof(*h));
		if (!h)
			return NULL;
		memcpy(h->uuid, who->uuid, DHCP_UUID_LEN);
		memcpy(h->mac, who->mac, DHCP_CHADDR_LEN);
		htab_insert(&d->holders, &h->by_uuid, hash);
	}
	h->leases++;
	return h;
}

static void holder_put(struct dhcp *d, struct dhcp_holder *h)
{
	if (--h->leases)
		return;
	htab_remove(&d->holders, &h->by_uuid);
	free(h);
}

// The lowest one that is free, so that an owner who comes back is the same client again.
static uint32_t iaid_take(struct dhcp *d, struct dhcp_holder *h)
{
	if (h->iaids == UINT64_MAX)
		return (uint32_t)random_u64(&d->random) | IAID_RANDOM;
	uint32_t i = (uint32_t)__builtin_ctzll(~h->iaids);
	h->iaids |= 1ull << i;
	return i;
}

// RFC 2131 section 4.2: a client identifier "MUST be unique". The same owner behind another gateway or
// in another subnet is another client: the address is chosen for one place.
static bool identify(const struct dhcp_pool *p, struct view owner, struct dhcp_holder *out)
{
	static const char label[] = "sallyport DHCP client";
	uint8_t bytes[sizeof(label) + 8 + POOL_OWNER_MAX + 64], digest[EVP_MAX_MD_SIZE];
	struct wr w = wr_of(bytes, sizeof(bytes));
	wr_bytes(&w, label, sizeof(label));
	wr_u32(&w, p->relay);
	wr_u32(&w, p->link);
	wr_view(&w, owner);
	if (w.overflow || EVP_Digest(bytes, w.len, digest, NULL, EVP_sha256(), NULL) != 1)
		return false;
	memcpy(out->uuid, digest, DHCP_UUID_LEN);
	out->uuid[6] = (uint8_t)((out->uuid[6] & 0x0f) | 0x80); // RFC 9562 section 5.8: version 8
	out->uuid[8] = (uint8_t)((out->uuid[8] & 0x3f) | 0x80);
	memcpy(out->mac, digest + DHCP_UUID_LEN, DHCP_CHADDR_LEN);
	return true;
}

// ---- life

struct dhcp_client *dhcp_client_new(
	struct dhcp *d, struct dhcp_pool *p, const struct dhcp_holder *who)
{
	struct dhcp_client *c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->d = d;
	c->pool = p;
	c->holder = holder_get(d, who);
	if (c->holder)
		return c;
	free(c);
	return NULL;
}

struct dhcp_client *dhcp_client_of_owner(struct dhcp *d, struct dhcp_pool *p, struct view owner)
{
	struct dhcp_holder who = {0};
	struct dhcp_client *c = identify(p, owner, &who) ? dhcp_client_new(d, p, &who) : NULL;
	if (c)
		c->iaid = iaid_take(d, c->holder);
	return c;
}

void dhcp_client_free(struct dhcp_client *c)
{
	wheel_cancel(&c->d->wheel, &c->timer);
	dhcp_client_close(c);
	if (c->has)
		htab_remove(&c->d->by_addr, &c->by_addr);
	if (c->iaid < 64)
		c->holder->iaids &= ~(1ull << c->iaid);
	holder_put(c->d, c->holder);
	free(c->host);
	free(c);
}

void dhcp_client_open(struct dhcp_client *c)
{
	struct dhcp *d = c->d;
	dhcp_client_close(c);
	do
		c->xid = (uint32_t)random_u64(&d->random);
	while (dhcp_client_by_xid(d, c->xid));
	htab_insert(&d->by_xid, &c->by_xid, hash_u32(d, c->xid));
	c->open = true;
}

void dhcp_client_close(struct dhcp_client *c)
{
	if (c->open)
		htab_remove(&c->d->by_xid, &c->by_xid);
	c->open = false;
}

struct dhcp_client *dhcp_client_by_xid(const struct dhcp *d, uint32_t xid)
{
	for (struct htab_node *n = htab_first(&d->by_xid, hash_u32(d, xid)); n; n = htab_next(n)) {
		struct dhcp_client *c = container_of(n, struct dhcp_client, by_xid);
		if (c->xid == xid)
			return c;
	}
	return NULL;
}

struct dhcp_client *dhcp_client_by_addr(const struct dhcp *d, uint32_t addr)
{
	for (struct htab_node *n = htab_first(&d->by_addr, hash_u32(d, addr)); n;
		n = htab_next(n)) {
		struct dhcp_client *c = container_of(n, struct dhcp_client, by_addr);
		if (c->addr == addr)
			return c;
	}
	return NULL;
}

void dhcp_client_hold(struct dhcp_client *c, uint32_t addr)
{
	c->addr = addr;
	c->has = true;
	htab_insert(&c->d->by_addr, &c->by_addr, hash_u32(c->d, addr));
}

void dhcp_client_ids(const struct dhcp_client *c, struct dhcp_question *q)
{
	memcpy(q->chaddr, c->holder->mac, DHCP_CHADDR_LEN);
	for (int i = 0; i < 4; i++)
		q->chaddr[2 + i] ^= (uint8_t)(c->iaid >> (24 - 8 * i));
	q->chaddr[0] = (uint8_t)((q->chaddr[0] & LOCAL_MAC_MASK) | LOCAL_MAC_BITS);
	dhcp_client_id(c->holder->uuid, c->iaid, q->client_id);
}

// ---- over a restart

void dhcp_client_pack(const struct dhcp_client *c, struct wr *w)
{
	wr_u8(w, EXTRA_VERSION);
	wr_u32(w, c->iaid);
	wr_u32(w, c->server);
	wr_u32(w, c->server_id);
	wr_u32(w, c->lease_s);
	wr_u64(w, (uint64_t)c->end_wall_s);
	wr_bytes(w, c->holder->uuid, DHCP_UUID_LEN);
	wr_bytes(w, c->holder->mac, DHCP_CHADDR_LEN);
}

static bool unpack(struct view extra, struct dhcp_client *c, struct dhcp_holder *who)
{
	struct rd r = rd_view(extra);
	uint8_t version;
	uint64_t end;
	if (!rd_u8(&r, &version) || version != EXTRA_VERSION || !rd_u32(&r, &c->iaid) ||
		!rd_u32(&r, &c->server) || !rd_u32(&r, &c->server_id) || !rd_u32(&r, &c->lease_s) ||
		!rd_u64(&r, &end) || !rd_copy(&r, who->uuid, DHCP_UUID_LEN) ||
		!rd_copy(&r, who->mac, DHCP_CHADDR_LEN) || !rd_empty(&r))
		return false;
	c->end_wall_s = (int64_t)end;
	return c->end_wall_s >= 0 && c->lease_s > 0;
}

int dhcp_client_unpack(struct dhcp *d, struct dhcp_pool *p, const struct ip_addr *addr,
	struct view extra, struct dhcp_client **out)
{
	struct dhcp_client kept = {0};
	struct dhcp_holder who = {0};
	uint32_t v4 = ip_to_v4(addr);
	if (!v4 || dhcp_client_by_addr(d, v4) || !unpack(extra, &kept, &who))
		return -EINVAL;
	struct dhcp_client *c = dhcp_client_new(d, p, &who);
	if (!c)
		return -ENOMEM;
	c->iaid = IAID_RANDOM; // none of those that are counted
	if (kept.iaid < 64 && c->holder->iaids >> kept.iaid & 1) {
		dhcp_client_free(c);
		return -EINVAL;
	}
	c->iaid = kept.iaid;
	c->server = kept.server;
	c->server_id = kept.server_id;
	c->lease_s = kept.lease_s;
	c->end_wall_s = kept.end_wall_s;
	c->state = DHCP_WAITING;
	if (c->iaid < 64)
		c->holder->iaids |= 1ull << c->iaid;
	dhcp_client_hold(c, v4);
	*out = c;
	return 0;
}
