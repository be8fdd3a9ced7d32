// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What differs between two snapshots, by the table of options, and how the running one takes up what it
// can.
#include "config/loader.h"

#include <stdlib.h>

#define PATH_TEXT_MAX 160

struct compare {
	cfg_difference found;
	void *ctx;
	size_t fixed; // of the differences, those that need a restart
	char path[PATH_TEXT_MAX];
	size_t len; // of the group that is looked at
};

// What a running headend cannot change of a pool: leases point to it by its name, and are of its kind.
static bool live(const struct option *o)
{
	static const char *const kept[] = {"pools[].name", "pools[].prefix_length"};
	if (strncmp(o->path, "pools[].", 8) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (strcmp(o->path, kept[i]) == 0)
			return false;
	return true;
}

static void report_as(struct compare *c, const char *name, bool is_live)
{
	size_t len = c->len;
	snprintf(c->path + len, sizeof(c->path) - len, "%s%s", len ? "." : "", name);
	c->fixed += !is_live;
	c->found(c->ctx, c->path, is_live);
	c->path[len] = '\0';
}

static const char *leaf_name(const struct option *o)
{
	const char *dot = strrchr(o->path, '.');
	return dot ? dot + 1 : o->path;
}

static void report(struct compare *c, const struct option *o)
{
	report_as(c, leaf_name(o), live(o));
}

static bool same_secret(const struct secret *a, const struct secret *b)
{
	return a->len == b->len && (a->len == 0 || secret_equal(a->bytes, b->bytes, a->len));
}

static bool same_selector(const struct selector *a, const struct selector *b)
{
	return ip_eq(&a->range.lo, &b->range.lo) && ip_eq(&a->range.hi, &b->range.hi) &&
	       a->proto == b->proto && a->port_lo == b->port_lo && a->port_hi == b->port_hi;
}

static bool same_string(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_value(const struct option *o, const void *a, const void *b)
{
	switch (o->kind) {
	case OPT_STRING:
	case OPT_PATH:
		return same_string(*(char *const *)a, *(char *const *)b);
	case OPT_SECRET:
	case OPT_SECRET_FILE:
		return same_secret(a, b);
	case OPT_SELECTOR:
		return same_selector(a, b);
	case OPT_IKE_PROPOSAL:
	case OPT_ESP_PROPOSAL:
		// Up to its last member: what fills the struct up is anything.
		return memcmp(a, b, offsetof(struct proposal, aead) + sizeof(bool)) == 0;
	default:
		return memcmp(a, b, opt_size(o)) == 0;
	}
}

static const uint8_t *items_of(const struct option *o, const void *object, size_t *count)
{
	const uint8_t *base = object, *items;
	if (o->fixed) {
		uint16_t n;
		memcpy(&n, base + o->count_offset, sizeof(n));
		*count = n;
		return base + o->offset;
	}
	memcpy(&items, base + o->offset, sizeof(items));
	memcpy(count, base + o->count_offset, sizeof(*count));
	return items;
}

static bool same_array(const struct option *o, const void *a, const void *b)
{
	size_t n, m, size = opt_size(o);
	const uint8_t *x = items_of(o, a, &n), *y = items_of(o, b, &m);
	for (size_t i = 0; n == m && i < n; i++)
		if (!same_value(o, x + i * size, y + i * size))
			return false;
	return n == m;
}

static bool same_flags(const struct option *o, const void *a, const void *b)
{
	for (const struct opt_word *w = o->words; o->offset != OPT_NOWHERE && w->word; w++)
		if (*((const bool *)a + w->value) != *((const bool *)b + w->value))
			return false;
	return true;
}

// What is kept as something else.
static bool same_resolved(const struct option *o, const void *a, const void *b)
{
	const struct cfg_connection *x = a, *y = b;
	if (strcmp(o->path, "connections[].pools") == 0) {
		for (size_t i = 0; x->pool_count == y->pool_count && i < x->pool_count; i++)
			if (!same_string(x->pools[i]->name, y->pools[i]->name))
				return false;
		return x->pool_count == y->pool_count;
	}
	if (strcmp(o->path, "connections[].request_addresses") == 0)
		return x->request_v4 == y->request_v4 && x->request_v6 == y->request_v6 &&
		       ip_eq(&x->request_hint_v4, &y->request_hint_v4) &&
		       ip_eq(&x->request_hint_v6, &y->request_hint_v6);
	return true; // for the checks alone
}

// A bool says that a group or an Ethernet address is there.
static bool same_presence(const struct option *o, const void *a, const void *b)
{
	size_t at = o->count_offset;
	if (at == 0 || (o->kind != OPT_GROUP && o->kind != OPT_MAC))
		return true;
	return *((const bool *)a + at) == *((const bool *)b + at);
}

static void walk(struct compare *c, const char *group, const void *a, const void *b);

static void walk_list(struct compare *c, const struct option *o, const void *a, const void *b)
{
	char group[128];
	size_t n, m, len = c->len;
	const uint8_t *x = items_of(o, a, &n), *y = items_of(o, b, &m);
	if (n != m) {
		report(c, o);
		return;
	}
	snprintf(group, sizeof(group), "%s[]", o->path);
	for (size_t i = 0; i < n; i++) {
		int w = snprintf(c->path + len, sizeof(c->path) - len, "%s%s[%zu]", len ? "." : "",
			leaf_name(o), i);
		c->len = len + (size_t)w;
		walk(c, group, x + i * o->size, y + i * o->size);
	}
	c->len = len;
}

static void walk_group(struct compare *c, const struct option *o, const void *a, const void *b)
{
	size_t len = c->len;
	if (!same_presence(o, a, b)) {
		report(c, o);
		return;
	}
	int w = snprintf(
		c->path + len, sizeof(c->path) - len, "%s%s", len ? "." : "", leaf_name(o));
	c->len = len + (size_t)w;
	walk(c, o->path, a, b);
	c->len = len;
}

static bool same_option(const struct option *o, const void *a, const void *b)
{
	if (o->kind == OPT_FLAGS)
		return same_flags(o, a, b);
	if (o->offset == OPT_NOWHERE)
		return same_resolved(o, a, b);
	if (o->array)
		return same_array(o, a, b);
	return same_presence(o, a, b) &&
	       same_value(o, (const uint8_t *)a + o->offset, (const uint8_t *)b + o->offset);
}

static void walk(struct compare *c, const char *group, const void *a, const void *b)
{
	size_t before = OPT_NOWHERE;
	for (const struct option *o = opt_next(group, NULL); o; o = opt_next(group, o)) {
		// Two options may say one thing, as a secret and its file do.
		bool again = o->kind == OPT_SECRET_FILE && o->offset == before;
		before = o->offset;
		if (again)
			continue;
		if (o->kind == OPT_GROUP)
			walk_group(c, o, a, b);
		else if (o->kind == OPT_LIST)
			walk_list(c, o, a, b);
		else if (!same_option(o, a, b))
			report(c, o);
	}
}

// The kind of addresses that a pool gives out, and whether by itself: said where it has changed.
static void check_kinds(struct compare *c, const struct cfg *a, const struct cfg *b)
{
	for (size_t i = 0; a->pool_count == b->pool_count && i < a->pool_count; i++) {
		const struct cfg_pool *x = &a->pools[i], *y = &b->pools[i];
		c->len = (size_t)snprintf(c->path, sizeof(c->path), "pools[%zu]", i);
		if (x->ranges[0].lo.family != y->ranges[0].lo.family)
			report_as(c, "ranges (family)", false);
		if (!x->from_dhcp.server_count != !y->from_dhcp.server_count)
			report_as(c, "from_dhcp (whether there is one)", false);
	}
}

size_t cfg_compare(
	const struct cfg *running, const struct cfg *other, cfg_difference found, void *ctx)
{
	struct compare c = {.found = found, .ctx = ctx};
	walk(&c, "", running, other);
	check_kinds(&c, running, other);
	return c.fixed;
}

void cfg_swap_pools(struct cfg *running, struct cfg *other)
{
	for (size_t i = 0; i < running->pool_count; i++) {
		struct cfg_pool *a = &running->pools[i], *b = &other->pools[i];
		struct cfg_pool was = *a;
		*a = *b;
		*b = was;
		// Others may be reading the name: it stays where it is.
		b->name = a->name;
		a->name = was.name;
	}
}
