// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Pools and leases as JSON, and what a reload or an import has come to.
#include "app/mgmt_rows.h"

#include <errno.h>
#include <string.h>

static json_t *ranges(const struct mgmt_pool_row *r)
{
	json_t *a = json_array();
	for (size_t i = 0; i < r->range_count; i++)
		json_array_append_new(
			a, json_pack("{so so}", "begin", mgmt_address(&r->ranges[i].lo), "end",
				   mgmt_address(&r->ranges[i].hi)));
	return a;
}

json_t *mgmt_pool(const struct mgmt_pool_row *r)
{
	const struct pool_stats *p = &r->stats;
	const struct {
		const char *key;
		uint64_t value;
	} numbers[] = {
		{"size", p->size},
		{"free", p->free},
		{"in_use", p->in_use},
		{"lingering", p->lingering},
		{"quarantined", p->quarantined},
		{"reserved", p->reserved},
		{"high_water", p->high_water},
		{"outside", p->outside},
		{"allocated", p->allocated},
		{"released", p->released},
		{"exhausted", p->exhausted},
		{"borrowed", p->borrowed},
		{"adopted", p->adopted},
		{"refused", p->refused},
		{"expired", p->expired},
		{"stale", p->stale},
		{"failed", p->failed},
		{"memory_only", p->memory_only},
		{"restored", p->restored},
		{"giver_silent", p->giver_silent},
		{"giver_refused", p->giver_refused},
		{"giver_bad", p->giver_bad},
	};
	json_t *j = json_pack("{so so}", "name", mgmt_name(p->name), "ranges", ranges(r));
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		json_object_set_new(j, numbers[i].key, mgmt_number(numbers[i].value));
	return j;
}

static const char *origin_name(enum lease_origin o)
{
	switch (o) {
	case LEASE_OF_POOL:
		return "pool";
	case LEASE_OF_AAA:
		return "aaa";
	case LEASE_OF_DHCP:
		return "dhcp";
	}
	return "";
}

static uint64_t age(const struct lease_info *l, uint64_t now_ns)
{
	return now_ns > l->since_ns ? (now_ns - l->since_ns) / NS_PER_S : 0;
}

json_t *mgmt_lease_short(const struct mgmt_lease_row *r, uint64_t now_ns, uint64_t unix_s)
{
	const struct lease_info *l = &r->info;
	uint64_t age_s = age(l, now_ns);
	return json_pack("[o i s o o s o]", mgmt_address(&l->addr), l->prefix_len,
		mgmt_lease_state(l->state), mgmt_name(l->owner), mgmt_hexadecimal(l->key),
		origin_name(l->origin), mgmt_number(unix_s > age_s ? unix_s - age_s : 0));
}

json_t *mgmt_lease(const struct mgmt_lease_row *r, uint64_t now_ns, uint64_t unix_s)
{
	const struct lease_info *l = &r->info;
	uint64_t age_s = age(l, now_ns);
	uint64_t left_s = l->until_ns > now_ns ? (l->until_ns - now_ns) / NS_PER_S : 0;
	json_t *j = json_pack("{so si ss so so}", "address", mgmt_address(&l->addr),
		"prefix_length", l->prefix_len, "state", mgmt_lease_state(l->state), "owner",
		mgmt_name(l->owner), "session", l->session ? mgmt_number(l->session) : json_null());
	json_object_set_new(j, "since_s", mgmt_number(age_s));
	json_object_set_new(j, "until_s", l->until_ns ? mgmt_number(left_s) : json_null());
	json_object_set_new(j, "since", mgmt_number(unix_s > age_s ? unix_s - age_s : 0));
	json_object_set_new(j, "until", l->until_ns ? mgmt_number(unix_s + left_s) : json_null());
	json_object_set_new(j, "origin", json_string(origin_name(l->origin)));
	json_object_set_new(j, "anonymous", json_boolean(l->anonymous));
	json_object_set_new(j, "reserved", json_boolean(l->reserved));
	return j;
}

static const char *import_why(int rc)
{
	switch (rc) {
	case -EEXIST:
		return "somebody else has the address, or it is reserved for somebody else";
	case -ERANGE:
		return "no pool gives out this address";
	case -ENOENT:
		return "no such pool";
	case -EOPNOTSUPP:
		return "the pool's addresses come from a DHCP server, which would not know of it";
	case -EINVAL:
		return "it is not what the pool gives out, a single address or a network of its length";
	case -ENOMEM:
		return "no memory";
	}
	return "refused";
}

json_t *mgmt_imported(const struct mgmt_call *c)
{
	json_t *refused = json_array();
	size_t n = 0;
	for (size_t i = 0; i < c->import_count; i++)
		if (c->imports[i].verdict == 0)
			n++;
		else
			json_array_append_new(refused,
				json_pack("[is]", (int)i, import_why(c->imports[i].verdict)));
	return json_pack("{so so}", "imported", mgmt_number(n), "refused", refused);
}

static json_t *lines(const char *text)
{
	json_t *a = json_array();
	for (const char *p = text; p && *p;) {
		size_t n = strcspn(p, "\n");
		json_t *line = json_stringn(p, n);
		json_array_append_new(a, line ? line : json_string("?"));
		p += n + (p[n] == '\n');
	}
	return a;
}

json_t *mgmt_reload_reply(const struct mgmt_reload *r)
{
	json_t *changes = json_array();
	for (size_t i = 0; i < r->change_count; i++)
		json_array_append_new(changes, json_pack("{ss sb}", "option", r->changes[i].path,
						       "live", r->changes[i].live));
	json_t *j = json_pack("{sb so so so}", "reloaded", !r->error && !r->check, "changes",
		changes, "more_changes", mgmt_number(r->more), "messages", lines(r->messages));
	if (r->error)
		json_object_set_new(j, "error", json_string(r->error));
	return j;
}
