// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Leases on the control thread's side: shown, cleared and taken in by portions. There may be millions: a
// portion looks at so many and no more, and a walk goes on by a cursor that stays good whatever happens
// in between.
#include "app/mgmt_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const char *text_of(const struct lease_info *l)
{
	return l->owner ? l->owner : "";
}

static bool matches(const struct mgmt_call *c, const struct lease_info *l)
{
	if (c->state != LEASE_STATE_ANY && (enum lease_state)c->state != l->state)
		return false;
	if (c->address.family && !ip_eq(&c->address, &l->addr))
		return false;
	return !c->user[0] || strcmp(c->user, text_of(l)) == 0;
}

// The pool of that name, or of that number where all are meant; false: none.
static bool find_pool(struct mgmt_call *c, const struct mgmt_provider *p, struct pool_stats *out)
{
	if (!c->pool[0])
		return p->pool(p->ctx, c->pool_index, out);
	for (size_t i = 0; p->pool(p->ctx, i, out); i++)
		if (strcmp(out->name, c->pool) == 0) {
			c->pool_index = i;
			return true;
		}
	return false;
}

// What the pools' strings and keys point to lives until their next call.
static bool keep(struct mgmt_lease_row *row, const struct lease_info *l, bool key)
{
	size_t name = strlen(text_of(l)) + 1, len = key ? l->key.len : 0;
	char *text = malloc(name + len);
	if (!text)
		return false;
	memcpy(text, text_of(l), name);
	if (len)
		memcpy(text + name, l->key.p, len);
	row->info = *l;
	row->text = text;
	row->info.owner = text;
	row->info.key = (struct view){(const uint8_t *)text + name, len};
	return true;
}

static bool full(const struct mgmt_call *c)
{
	return c->limit && c->shown == c->limit;
}

// The next lease of this portion; false: the portion is over, or with c->end all.
static bool next_lease(struct mgmt_call *c, const struct mgmt_provider *p, struct lease_walk *w,
	struct lease_info *out)
{
	bool found = p->lease_next(p->ctx, c->pool_index, w, out);
	c->cursor = w->cursor;
	c->end = !found && w->end;
	return found;
}

void mgmt_leases_answer(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct pool_stats pool;
	struct lease_info l;
	struct lease_walk w = {.cursor = c->cursor, .looks = RECORDS_PER_LOOK};
	c->end = true;
	c->why = find_pool(c, p, &pool) ? NULL : "no such pool";
	if (c->why)
		return;
	for (unsigned looked = 0; looked < LEASES_PER_LOOK && c->count < LEASES_PER_PORTION;
		looked++) {
		if (full(c)) {
			c->paged = c->end = true;
			return;
		}
		if (!next_lease(c, p, &w, &l))
			return;
		if (!matches(c, &l))
			continue;
		if (!keep(&c->rows.leases[c->count], &l, c->keys)) {
			c->failed = c->end = true;
			return;
		}
		c->count++;
		c->shown++;
	}
	c->end = false;
}

// Of a whole pool those that somebody uses go only if this is said.
static bool spared(const struct mgmt_call *c, const struct lease_info *l)
{
	bool used = l->state == LEASE_OFFERED || l->state == LEASE_ACTIVE;
	return used && !c->all && !c->user[0] && !c->address.family;
}

static void clear_one(struct mgmt_call *c, const struct mgmt_provider *p, const char *pool,
	const struct ip_addr *a)
{
	struct lease_clearing clearing = {.pool = pool, .addr = *a};
	c->cleared += p->lease_clear(p->ctx, &clearing);
}

// An address alone is found at once, whatever pool it is of.
static void clear_address(struct mgmt_call *c, const struct mgmt_provider *p)
{
	clear_one(c, p, c->pool[0] ? c->pool : NULL, &c->address);
	c->why = c->cleared ? NULL : "nobody has this address";
}

static void next_pool(struct mgmt_call *c)
{
	c->end = c->pool[0] != '\0';
	c->pool_index++;
	c->cursor = 0;
}

void mgmt_leases_clear(struct mgmt_call *c, const struct mgmt_provider *p)
{
	struct pool_stats pool;
	struct lease_info l;
	struct lease_walk w = {.cursor = c->cursor, .looks = RECORDS_PER_LOOK};
	c->end = true;
	if (c->address.family && !c->user[0]) {
		clear_address(c, p);
		return;
	}
	if (!find_pool(c, p, &pool)) {
		c->why = c->pool[0] ? "no such pool" : NULL;
		return;
	}
	unsigned cleared = 0;
	for (unsigned looked = 0; looked < LEASES_PER_LOOK && cleared < LEASES_PER_PORTION;
		looked++) {
		if (!next_lease(c, p, &w, &l)) {
			if (c->end)
				next_pool(c);
			return;
		}
		if (!matches(c, &l) || spared(c, &l))
			continue;
		struct ip_addr a = l.addr;
		clear_one(c, p, pool.name, &a);
		cleared++;
	}
	c->end = false;
}

void mgmt_leases_import(struct mgmt_call *c, const struct mgmt_provider *p)
{
	for (size_t i = 0; i < c->import_count; i++)
		c->imports[i].verdict = p->lease_import(p->ctx, &c->imports[i].row, c->check);
	c->end = true;
}
