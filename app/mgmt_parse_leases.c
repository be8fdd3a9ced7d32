// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Requests about leases.
#include "app/mgmt_parse.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KEY_MAX (POOL_OWNER_MAX + 4)

static const char *const states[] = {
	[LEASE_OFFERED] = "offered",
	[LEASE_ACTIVE] = "active",
	[LEASE_LINGERING] = "lingering",
	[LEASE_QUARANTINED] = "quarantined",
};

#define STATES (sizeof(states) / sizeof(states[0]))

const char *mgmt_lease_state(enum lease_state s)
{
	return (size_t)s < STATES ? states[s] : "";
}

// A string that fits, or none at all, which leaves `to` empty.
static bool take_text(const json_t *j, const char *key, char *to, size_t cap)
{
	const json_t *value = json_object_get(j, key);
	const char *text = json_string_value(value);
	if (!value)
		return true;
	if (!text || !*text || strlen(text) >= cap)
		return false;
	memcpy(to, text, strlen(text) + 1);
	return true;
}

static bool take_number(const json_t *j, const char *key, uint64_t *to)
{
	const json_t *value = json_object_get(j, key);
	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*to = (uint64_t)json_integer_value(value);
	return true;
}

static bool take_state(const json_t *j, int *to)
{
	const json_t *value = json_object_get(j, "state");
	const char *text = json_string_value(value);
	*to = LEASE_STATE_ANY;
	for (size_t i = 0; text && i < STATES; i++)
		if (strcmp(text, states[i]) == 0)
			*to = (int)i;
	return !value || *to != LEASE_STATE_ANY;
}

int mgmt_parse_leases(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	c->what = MGMT_LEASES;
	c->keys = json_is_true(json_object_get(j, "keys"));
	if (!take_text(j, "pool", c->pool, sizeof(c->pool)) || !c->pool[0])
		return mgmt_refuse(why, cap, "leases of which pool?");
	if (!take_state(j, &c->state))
		return mgmt_refuse(
			why, cap, "a state is offered, active, lingering or quarantined");
	if (!take_text(j, "owner", c->user, sizeof(c->user)))
		return mgmt_refuse(why, cap, "an owner is a name");
	if (!take_number(j, "limit", &c->limit) || !take_number(j, "cursor", &c->cursor))
		return mgmt_refuse(why, cap, "limit and cursor are numbers");
	return 0;
}

int mgmt_parse_clear_lease(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const json_t *address = json_object_get(j, "address");
	const char *text = json_string_value(address);
	c->what = MGMT_CLEAR_LEASES;
	c->state = LEASE_STATE_ANY;
	c->all = json_is_true(json_object_get(j, "all"));
	if (address && (!text || ip_parse(text, &c->address)))
		return mgmt_refuse(why, cap, "not an IP address");
	if (!take_text(j, "owner", c->user, sizeof(c->user)) ||
		!take_text(j, "pool", c->pool, sizeof(c->pool)))
		return mgmt_refuse(why, cap, "owner and pool are names");
	if (!address && !c->user[0] && !c->pool[0])
		return mgmt_refuse(why, cap, "clear which lease? by address, owner or pool");
	return 0;
}

// ---- Import ----

static int digit(char ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

static bool unhex(const char *text, uint8_t *to, size_t *len)
{
	size_t n = strlen(text);
	if (n == 0 || n % 2 || n / 2 > KEY_MAX)
		return false;
	for (size_t i = 0; i < n; i += 2) {
		int hi = digit(text[i]), lo = digit(text[i + 1]);
		if (hi < 0 || lo < 0)
			return false;
		to[i / 2] = (uint8_t)(hi << 4 | lo);
	}
	*len = n / 2;
	return true;
}

// The strings and the key of one row.
struct room {
	char pool[64];
	char owner[POOL_OWNER_MAX + 1];
	uint8_t key[KEY_MAX];
};

static bool import_row(const json_t *j, struct mgmt_import *to, struct room *room)
{
	const char *pool = json_string_value(json_array_get(j, 0));
	const char *address = json_string_value(json_array_get(j, 1));
	json_int_t bits = json_integer_value(json_array_get(j, 2));
	const char *owner = json_string_value(json_array_get(j, 3));
	const char *key = json_string_value(json_array_get(j, 4));
	struct lease_row *r = &to->row;
	size_t key_len;
	if (!pool || !address || !owner || !key || strlen(pool) >= sizeof(room->pool) ||
		strlen(owner) >= sizeof(room->owner) || ip_parse(address, &r->addr) ||
		!unhex(key, room->key, &key_len))
		return false;
	unsigned whole = ip_bits(r->addr.family);
	if (bits < 0 || bits > (json_int_t)whole)
		return false;
	memcpy(room->pool, pool, strlen(pool) + 1);
	memcpy(room->owner, owner, strlen(owner) + 1);
	r->prefix_len = (uint8_t)(bits ? bits : whole);
	r->pool = *pool ? room->pool : NULL;
	r->name = room->owner;
	r->owner = (struct view){room->key, key_len};
	return true;
}

int mgmt_parse_import(const json_t *j, struct mgmt_call *c, char *why, size_t cap)
{
	const json_t *list = json_object_get(j, "leases");
	size_t n = json_array_size(list);
	c->what = MGMT_IMPORT;
	c->check = json_is_true(json_object_get(j, "check"));
	if (n == 0 || n > IMPORTS_MAX)
		return mgmt_refuse(why, cap, "import 1 to 128 leases at a time");
	c->imports = calloc(n, sizeof(*c->imports) + sizeof(struct room));
	if (!c->imports)
		return mgmt_refuse(why, cap, "no memory");
	struct room *room = (struct room *)(void *)(c->imports + n);
	for (size_t i = 0; i < n; i++)
		if (!import_row(json_array_get(list, i), &c->imports[i], &room[i])) {
			free(c->imports);
			c->imports = NULL;
			snprintf(why, cap, "lease %zu of the request does not read", i);
			return -EINVAL;
		}
	c->import_count = n;
	return 0;
}
