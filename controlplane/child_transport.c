// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Transport mode (RFC 7296 1.3.1, 2.23.1): child SAs between the two outer addresses.
#include "controlplane/session.h"

// What the configuration has for one side, cut to the outer address.
static void at_address(
	const struct selector *ts, size_t count, const struct ip_addr *addr, struct wire_ts *out)
{
	memset(out, 0, sizeof(*out));
	if (count == 0)
		out->items[out->count++] = selector_of_addr(addr);
	for (size_t i = 0; i < count && out->count < SA_SELECTORS_MAX; i++) {
		if (ts[i].range.lo.family != addr->family || !ip_range_contains(&ts[i].range, addr))
			continue;
		struct selector *s = &out->items[out->count++];
		*s = ts[i];
		s->range = (struct ip_range){*addr, *addr};
	}
}

bool ike_transport_selectors(const struct cfg_child *conf, const struct ike_peer_side *peer,
	struct wire_ts *local, struct wire_ts *remote)
{
	at_address(conf->local_ts, conf->local_ts_count, peer->own, local);
	at_address(conf->remote_ts, conf->remote_ts_count, peer->outer, remote);
	return local->count && remote->count && peer->own->family == peer->outer->family;
}

// RFC 7296 2.23.1: the selectors of a side "MUST have exactly one IP address". Those of others are left
// alone: they are narrowed to what we see.
static const struct ip_addr *one_address(const struct wire_ts *ts)
{
	for (uint8_t i = 0; i < ts->count; i++)
		if (!ip_eq(&ts->items[i].range.lo, &ts->items[i].range.hi) ||
			!ip_eq(&ts->items[i].range.lo, &ts->items[0].range.lo))
			return NULL;
	return ts->count ? &ts->items[0].range.lo : NULL;
}

static void replace(struct wire_ts *ts, bool nat, const struct ip_addr *addr)
{
	if (!nat || !one_address(ts) || one_address(ts)->family != addr->family)
		return;
	for (uint8_t i = 0; i < ts->count; i++)
		ts->items[i].range = (struct ip_range){*addr, *addr};
}

void ike_transport_translate(const struct ike_sa *sa, struct wire_ts *local, struct wire_ts *remote,
	struct ike_seen_addrs *seen)
{
	const struct ip_addr *peer = one_address(remote), *own = one_address(local);
	*seen = (struct ike_seen_addrs){0};
	if (!sa->nat_local && !sa->nat_remote)
		return;
	if (peer && own)
		*seen = (struct ike_seen_addrs){.peer = *peer, .own = *own};
	replace(local, sa->nat_local, &sa->local.addr);
	replace(remote, sa->nat_remote, &sa->remote.addr);
}

void ike_transport_plan(const struct ike_sa *sa, struct ike_child_plan *plan)
{
	struct wire_ts local = {.count = plan->ts_local_count};
	struct wire_ts remote = {.count = plan->ts_remote_count};
	plan->seen = (struct ike_seen_addrs){0};
	if (plan->mode != SA_TRANSPORT)
		return;
	memcpy(local.items, plan->ts_local, sizeof(local.items));
	memcpy(remote.items, plan->ts_remote, sizeof(remote.items));
	ike_transport_translate(sa, &local, &remote, &plan->seen);
	memcpy(plan->ts_local, local.items, sizeof(local.items));
	memcpy(plan->ts_remote, remote.items, sizeof(remote.items));
}

enum ike_reason ike_transport_settle(
	const struct cfg_child *conf, enum sa_mode offered, bool agreed, enum sa_mode *mode)
{
	*mode = agreed ? SA_TRANSPORT : SA_TUNNEL;
	if (agreed && offered != SA_TRANSPORT)
		return IKE_REASON_PROPOSAL_ALTERED;
	return !agreed && conf->mode == CFG_MODE_TRANSPORT ? IKE_REASON_NOT_TRANSPORT
							   : IKE_REASON_NONE;
}

// Padding for traffic flow confidentiality cannot be told from the payload there: it has no length of its
// own (RFC 4303 2.7).
void ike_transport_put(struct wire_builder *b, enum sa_mode mode)
{
	const struct view nothing = {NULL, 0};
	if (mode != SA_TRANSPORT)
		return;
	wire_put_notify(b, IKEV2_NOTIFY_USE_TRANSPORT_MODE, nothing);
	wire_put_notify(b, IKEV2_NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED, nothing);
}

static bool is_stale(const struct ike_child *c, const struct ike_sa *sa)
{
	bool ends = c->state != IKE_CHILD_DELETING && c->state != IKE_CHILD_REKEYED;
	return c->mode == SA_TRANSPORT && ends &&
	       !(ip_eq(&c->ts_remote[0].range.lo, &sa->remote.addr) &&
		       ip_eq(&c->ts_local[0].range.lo, &sa->local.addr));
}

// Its packets have the address in their only header. The peer asks for a new one.
void ike_transport_moved(struct ike_session *s)
{
	struct ike_child *c, *next;
	for (c = LIST_FIRST(&s->children); c; c = next) {
		next = LIST_NEXT(c, link);
		if (!is_stale(c, s->sa))
			continue;
		ike_count(s->engine, IKE_REASON_TRANSPORT_MOVED);
		(void)ike_child_delete(c);
	}
}
