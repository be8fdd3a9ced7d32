// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Checks of the address pools, within each and across all.
#include "config/loader.h"

#include <stdlib.h>

#define RANGE_TEXT_MAX (2 * IP_TEXT_MAX)

static const char *range_text(const struct ip_range *r, char buf[static RANGE_TEXT_MAX])
{
	char lo[IP_TEXT_MAX], hi[IP_TEXT_MAX];
	struct ip_prefix p;
	if (ip_range_is_prefix(r, &p))
		return ip_prefix_text(&p, buf);
	snprintf(buf, RANGE_TEXT_MAX, "%s-%s", ip_text(&r->lo, lo), ip_text(&r->hi, hi));
	return buf;
}

static const char *pool_name(const void *pools, size_t i)
{
	return ((const struct cfg_pool *)pools)[i].name;
}

static const char *reservation_owner(const void *reservations, size_t i)
{
	return ((const struct cfg_reservation *)reservations)[i].owner;
}

static bool in_ranges(const struct ip_range *ranges, size_t n, const struct ip_addr *a)
{
	for (size_t i = 0; i < n; i++)
		if (ip_range_contains(&ranges[i], a))
			return true;
	return false;
}

static void check_family(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	uint8_t family = 0;
	for (size_t i = 0; i < p->range_count; i++) {
		uint8_t f = p->ranges[i].lo.family;
		if (f && family && f != family) {
			diag_error(&l->diags, element(member(s, "ranges"), i),
				"ranges: one pool holds addresses of one family");
			break;
		}
		family = f ? f : family;
	}
	for (size_t i = 0; i < p->nbns_count; i++)
		if (p->nbns[i].family == IP_V6)
			diag_error(&l->diags, element(member(s, "nbns"), i),
				"nbns: must be an IPv4 address");
	if (p->netmask.family && (p->netmask.family != IP_V4 || family == IP_V6))
		diag_error(&l->diags, place(s, "netmask"), "netmask: is for IPv4 pools");
	else if (p->netmask.family) {
		uint32_t host = ~ip_to_v4(&p->netmask);
		if (host & (host + 1))
			diag_error(
				&l->diags, place(s, "netmask"), "netmask: bits are not contiguous");
	}
}

static void check_excludes(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	char text[RANGE_TEXT_MAX];
	for (size_t i = 0; i < p->exclude_count; i++) {
		const struct ip_range *e = &p->excludes[i];
		if (e->lo.family && !(in_ranges(p->ranges, p->range_count, &e->lo) &&
					    in_ranges(p->ranges, p->range_count, &e->hi)))
			diag_error(&l->diags, element(member(s, "exclude"), i),
				"exclude: %s lies outside the ranges", range_text(e, text));
	}
}

static int by_address(const void *a, const void *b)
{
	const struct cfg_reservation *const *x = a, *const *y = b;
	int c = ip_cmp(&(*x)->address, &(*y)->address);
	return c ? c : (*x > *y) - (*x < *y);
}

static void check_reserved_twice(
	struct loader *l, const struct cfg_pool *p, const config_setting_t *list)
{
	size_t n = p->reservation_count;
	const struct cfg_reservation **order = calloc(n + 1, sizeof(struct cfg_reservation *));
	char text[IP_TEXT_MAX];
	if (!order) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < n; i++)
		order[i] = &p->reservations[i];
	qsort(order, n, sizeof(struct cfg_reservation *), by_address);
	for (size_t i = 1; i < n; i++)
		if (order[i]->address.family && ip_eq(&order[i]->address, &order[i - 1]->address))
			diag_error(&l->diags,
				place(element(list, (size_t)(order[i] - p->reservations)),
					"address"),
				"reserve: %s is reserved twice", ip_text(&order[i]->address, text));
	free(order);
}

static void check_reservations(
	struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "reserve");
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < p->reservation_count; i++) {
		const struct ip_addr *a = &p->reservations[i].address;
		const config_setting_t *at = place(element(list, i), "address");
		if (a->family && !in_ranges(p->ranges, p->range_count, a))
			diag_error(&l->diags, at, "reserve: %s lies outside the ranges",
				ip_text(a, text));
		else if (a->family && in_ranges(p->excludes, p->exclude_count, a))
			diag_error(&l->diags, at, "reserve: %s is excluded", ip_text(a, text));
	}
	check_reserved_twice(l, p, list);
	check_unique(l, &(struct named){list, p->reservations, p->reservation_count,
				reservation_owner, "owner", "reservation for"});
}

// The gateway's own addresses are nobody else's.
static void check_own(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	char text[IP_TEXT_MAX];
	for (size_t i = 0; i < l->cfg->port_count; i++)
		for (size_t k = 0; k < l->cfg->ports[i].address_count; k++) {
			const struct ip_addr *a = &l->cfg->ports[i].addresses[k].addr;
			if (a->family && in_ranges(p->ranges, p->range_count, a) &&
				!in_ranges(p->excludes, p->exclude_count, a))
				diag_error(&l->diags, place(s, "ranges"),
					"ranges: hold the gateway's own address %s, exclude it",
					ip_text(a, text));
		}
}

// Whether the bits behind the first `bits` are all 0, or all 1.
static bool rest_is(const struct ip_addr *a, unsigned bits, bool ones)
{
	for (unsigned i = bits; i < ip_bits(a->family); i++)
		if ((a->bytes[i / 8] >> (7 - i % 8) & 1) != ones)
			return false;
	return true;
}

static void check_whole(struct loader *l, const struct cfg_pool *p, const config_setting_t *list,
	const struct ip_range *ranges, size_t count)
{
	char text[RANGE_TEXT_MAX];
	for (size_t i = 0; i < count; i++) {
		const struct ip_range *r = &ranges[i];
		if (r->lo.family && !(rest_is(&r->lo, p->prefix_len, false) &&
					    rest_is(&r->hi, p->prefix_len, true)))
			diag_error(&l->diags, element(list, i),
				"%s: %s is not made of whole /%u networks",
				ranges == p->ranges ? "ranges" : "exclude", range_text(r, text),
				p->prefix_len);
	}
}

// What is given out are networks: ranges, exclusions and reservations are made of these.
static void check_prefixes(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	char text[IP_TEXT_MAX];
	uint8_t family = p->range_count ? p->ranges[0].lo.family : 0;
	if (p->prefix_len == 0 || family == 0)
		return;
	if (p->prefix_len >= ip_bits(family)) {
		diag_error(&l->diags, place(s, "prefix_length"),
			"prefix_length: %u is no network of IPv%u, at most %u", p->prefix_len,
			family, ip_bits(family) - 1);
		return;
	}
	check_whole(l, p, member(s, "ranges"), p->ranges, p->range_count);
	check_whole(l, p, member(s, "exclude"), p->excludes, p->exclude_count);
	for (size_t i = 0; i < p->reservation_count; i++) {
		const struct ip_addr *a = &p->reservations[i].address;
		if (a->family && !rest_is(a, p->prefix_len, false))
			diag_error(&l->diags, place(element(member(s, "reserve"), i), "address"),
				"reserve: %s is not the first address of a /%u", ip_text(a, text),
				p->prefix_len);
	}
	if (p->netmask.family)
		diag_warning(&l->diags, place(s, "netmask"),
			"netmask: not used, networks are given out");
}

static bool somebody_in(const struct cfg *c, const char *group)
{
	for (size_t i = 0; i < c->user_count; i++)
		for (size_t k = 0; k < c->users[i].groups.count; k++)
			if (same_text(c->users[i].groups.items[k], group))
				return true;
	return false;
}

static void check_groups(struct loader *l, const struct cfg_pool *p, const config_setting_t *s)
{
	const config_setting_t *list = member(s, "groups");
	for (size_t i = 0; i < p->groups.count; i++) {
		const char *group = p->groups.items[i];
		if (group && !somebody_in(l->cfg, group))
			diag_warning(&l->diags, element(list, i),
				"groups: nobody of credentials.users is in \"%s\"", group);
		for (size_t k = 0; k < i; k++)
			if (same_text(p->groups.items[k], group))
				diag_error(&l->diags, element(list, i),
					"groups: \"%s\" is named twice", group);
	}
}

struct placed_range {
	const struct ip_range *range;
	size_t pool, index;
};

static int by_low_end(const void *a, const void *b)
{
	const struct placed_range *x = a, *y = b;
	int c = ip_cmp(&x->range->lo, &y->range->lo);
	if (c)
		return c;
	return x->pool != y->pool ? (x->pool > y->pool ? 1 : -1)
				  : (x->index > y->index) - (x->index < y->index);
}

// Which of two overlapping ranges stands later in the file.
static void report_overlap(struct loader *l, const config_setting_t *pools,
	const struct placed_range *a, const struct placed_range *b)
{
	char late[RANGE_TEXT_MAX], early[RANGE_TEXT_MAX];
	if (a->pool > b->pool || (a->pool == b->pool && a->index > b->index)) {
		const struct placed_range *swap = a;
		a = b;
		b = swap;
	}
	const char *name = l->cfg->pools[a->pool].name;
	diag_error(&l->diags, element(place(element(pools, b->pool), "ranges"), b->index),
		"ranges: %s overlaps %s of pool \"%s\"", range_text(b->range, late),
		range_text(a->range, early), name ? name : "");
}

static void check_overlaps(struct loader *l, const config_setting_t *pools)
{
	size_t n = 0, total = 0;
	for (size_t i = 0; i < l->cfg->pool_count; i++)
		total += l->cfg->pools[i].range_count;
	struct placed_range *all = calloc(total + 1, sizeof(*all));
	if (!all) {
		l->diags.oom = true;
		return;
	}
	for (size_t i = 0; i < l->cfg->pool_count; i++)
		for (size_t k = 0; k < l->cfg->pools[i].range_count; k++)
			if (l->cfg->pools[i].ranges[k].lo.family)
				all[n++] = (struct placed_range){&l->cfg->pools[i].ranges[k], i, k};
	qsort(all, n, sizeof(*all), by_low_end);
	size_t widest = 0; // of those before, the one that reaches furthest
	for (size_t i = 1; i < n; i++) {
		if (ip_range_overlaps(all[widest].range, all[i].range))
			report_overlap(l, pools, &all[widest], &all[i]);
		if (ip_cmp(&all[i].range->hi, &all[widest].range->hi) > 0)
			widest = i;
	}
	free(all);
}

void check_pools(struct loader *l, const config_setting_t *root)
{
	const config_setting_t *list = member(root, "pools");
	check_unique(l, &(struct named){list, l->cfg->pools, l->cfg->pool_count, pool_name, "name",
				"pool"});
	for (size_t i = 0; i < l->cfg->pool_count; i++) {
		const struct cfg_pool *p = &l->cfg->pools[i];
		const config_setting_t *s = element(list, i);
		check_family(l, p, s);
		check_excludes(l, p, s);
		check_reservations(l, p, s);
		check_own(l, p, s);
		check_prefixes(l, p, s);
		check_groups(l, p, s);
		check_dhcp(l, i, s);
	}
	check_overlaps(l, list);
}
