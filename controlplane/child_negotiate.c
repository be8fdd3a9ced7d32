// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What a child SA is to be: selectors, proposal, and the destinations that follow from them.
#include "controlplane/session.h"

__extension__ typedef unsigned __int128 u128;

// ---- ranges to prefixes ----------------------------------------------------------------------

static u128 to_number(const struct ip_addr *a)
{
	u128 v = 0;
	for (size_t i = 0; i < ip_len(a->family); i++)
		v = v << 8 | a->bytes[i];
	return v;
}

static struct ip_addr to_addr(uint8_t family, u128 v)
{
	uint8_t bytes[16];
	size_t len = ip_len(family);
	for (size_t i = len; i-- > 0; v >>= 8)
		bytes[i] = (uint8_t)v;
	return ip_from_bytes(family, bytes);
}

// The largest prefix that begins at lo and ends at hi or before: its host bits.
static unsigned host_bits(u128 lo, u128 hi, unsigned width)
{
	unsigned n = 0;
	while (n < width && !(lo >> n & 1)) {
		u128 last = lo | (((u128)1 << n << 1) - 1);
		if (last > hi)
			break;
		n++;
	}
	return n;
}

static bool range_prefixes(const struct ip_range *r, struct ip_prefix *out, uint8_t *count)
{
	uint8_t family = r->lo.family;
	unsigned width = ip_bits(family);
	u128 lo = to_number(&r->lo), hi = to_number(&r->hi);
	for (;;) {
		if (*count == IKE_ROUTES_MAX)
			return false;
		unsigned n = host_bits(lo, hi, width);
		out[(*count)++] = (struct ip_prefix){to_addr(family, lo), (uint8_t)(width - n)};
		u128 last = n < 128 ? lo + (((u128)1 << n) - 1) : hi;
		if (last >= hi)
			return true;
		lo = last + 1;
	}
}

bool ike_selectors_prefixes(const struct selector *ts, uint8_t n,
	struct ip_prefix out[static IKE_ROUTES_MAX], uint8_t *count)
{
	*count = 0;
	for (uint8_t i = 0; i < n; i++)
		if (!range_prefixes(&ts[i].range, out, count))
			return false;
	return true;
}

// ---- selectors -------------------------------------------------------------------------------

struct pieces {
	struct selector items[SA_SELECTORS_MAX];
	uint8_t count;
};

static bool piece_add(struct pieces *to, const struct selector *s, const struct ip_addr *lo,
	const struct ip_addr *hi)
{
	if (to->count == SA_SELECTORS_MAX)
		return false;
	struct selector *piece = &to->items[to->count++];
	*piece = *s;
	piece->range = (struct ip_range){*lo, *hi};
	return true;
}

// The parts of a selector before and behind a range that it overlaps.
static bool piece_cut(struct pieces *to, const struct selector *s, const struct ip_range *pool)
{
	uint8_t family = s->range.lo.family;
	if (ip_cmp(&s->range.lo, &pool->lo) < 0) {
		struct ip_addr before = to_addr(family, to_number(&pool->lo) - 1);
		if (!piece_add(to, s, &s->range.lo, &before))
			return false;
	}
	if (ip_cmp(&s->range.hi, &pool->hi) > 0) {
		struct ip_addr behind = to_addr(family, to_number(&pool->hi) + 1);
		if (!piece_add(to, s, &behind, &s->range.hi))
			return false;
	}
	return true;
}

static bool pieces_without(struct pieces *from, const struct ip_range *pool)
{
	struct pieces left = {.count = 0};
	for (uint8_t i = 0; i < from->count; i++) {
		const struct selector *s = &from->items[i];
		bool whole = !ip_range_overlaps(&s->range, pool);
		if (whole ? !piece_add(&left, s, &s->range.lo, &s->range.hi)
			  : !piece_cut(&left, s, pool))
			return false;
	}
	*from = left;
	return true;
}

static bool range_within(const struct ip_range *a, const struct ip_range *b)
{
	return ip_range_contains(b, &a->lo) && ip_range_contains(b, &a->hi);
}

// One selector without the pools. One that claims a part of a pool is refused, and so is one that is
// nothing but pools.
static bool without_pools(const struct cfg *cfg, const struct selector *ts, struct pieces *left)
{
	*left = (struct pieces){.items = {*ts}, .count = 1};
	for (size_t i = 0; i < cfg->pool_count; i++)
		for (size_t k = 0; k < cfg->pools[i].range_count; k++) {
			const struct ip_range *pool = &cfg->pools[i].ranges[k];
			if (!ip_range_overlaps(&ts->range, pool))
				continue;
			if (!range_within(pool, &ts->range) || !pieces_without(left, pool))
				return false;
		}
	return left->count > 0;
}

bool ike_selectors_without_pools(const struct cfg *cfg, const struct selector *ts, uint8_t n,
	struct selector out[static SA_SELECTORS_MAX], uint8_t *count)
{
	*count = 0;
	for (uint8_t i = 0; i < n; i++) {
		struct pieces left;
		if (!without_pools(cfg, &ts[i], &left) || left.count > SA_SELECTORS_MAX - *count)
			return false;
		memcpy(out + *count, left.items, left.count * sizeof(*out));
		*count += left.count;
	}
	return true;
}

static void remote_policy(
	const struct cfg_child *conf, const struct ike_peer_side *peer, struct wire_ts *out)
{
	memset(out, 0, sizeof(*out));
	for (uint8_t i = 0; !conf->tunnel_interface && i < peer->lease_count; i++)
		out->items[out->count++] = ike_lease_selector(&peer->leases[i]);
	if (out->count)
		return;
	for (size_t i = 0; i < conf->remote_ts_count && out->count < SA_SELECTORS_MAX; i++)
		out->items[out->count++] = conf->remote_ts[i];
	if (!out->count)
		out->items[out->count++] = selector_of_addr(peer->outer);
}

static void local_policy(
	const struct cfg_child *conf, const struct ike_peer_side *peer, struct wire_ts *out)
{
	memset(out, 0, sizeof(*out));
	for (size_t i = 0; i < conf->local_ts_count && out->count < SA_SELECTORS_MAX; i++)
		out->items[out->count++] = conf->local_ts[i];
	if (!out->count)
		out->items[out->count++] = selector_of_addr(peer->own);
}

enum sa_mode ike_child_offer(const struct cfg_child *conf, const struct ike_peer_side *peer,
	struct wire_ts *local, struct wire_ts *remote)
{
	if (conf->mode != CFG_MODE_TUNNEL && ike_transport_selectors(conf, peer, local, remote))
		return SA_TRANSPORT;
	local_policy(conf, peer, local);
	remote_policy(conf, peer, remote);
	return SA_TUNNEL;
}

struct ike_peer_side ike_peer_side(const struct ike_session *s, const struct ike_sa *sa)
{
	return (struct ike_peer_side){
		s ? s->leases : NULL, s ? s->lease_count : 0, &sa->remote.addr, &sa->local.addr};
}

// What the policy has of that mode, and what the peer wants by it.
static bool both_sides(const struct ike_child_ask *ask, const struct cfg_child *conf,
	struct ike_child_plan *plan, struct wire_ts *policy, struct wire_ts *wanted)
{
	if (plan->mode == SA_TRANSPORT) {
		ike_transport_translate(ask->sa, &wanted[0], &wanted[1], &plan->seen);
		return ike_transport_selectors(conf, &ask->peer, &policy[0], &policy[1]);
	}
	local_policy(conf, &ask->peer, &policy[0]);
	remote_policy(conf, &ask->peer, &policy[1]);
	return true;
}

static enum ike_reason narrow(const struct ike_child_ask *ask, const struct cfg_child *conf,
	const struct ike_child_terms *t, struct ike_child_plan *plan)
{
	struct wire_ts policy[2], wanted[2] = {t->ts_r, t->ts_i};
	if (!both_sides(ask, conf, plan, policy, wanted))
		return IKE_REASON_TS;
	if (wire_ts_narrow(wanted[0].items, wanted[0].count, policy[0].items, policy[0].count,
		    plan->ts_local, &plan->ts_local_count) != WIRE_OK)
		return IKE_REASON_TS;
	if (wire_ts_narrow(wanted[1].items, wanted[1].count, policy[1].items, policy[1].count,
		    plan->ts_remote, &plan->ts_remote_count) != WIRE_OK)
		return IKE_REASON_TS;
	struct selector allowed[SA_SELECTORS_MAX];
	uint8_t n;
	if (!ask->peer.lease_count && !conf->tunnel_interface &&
		!ike_selectors_without_pools(
			ask->cfg, plan->ts_remote, plan->ts_remote_count, allowed, &n))
		return IKE_REASON_TS_POOL;
	return IKE_REASON_NONE;
}

// ---- proposals -------------------------------------------------------------------------------

struct wire_sa_policy ike_child_policy(const struct cfg_child *conf, bool in_auth, uint16_t group)
{
	return (struct wire_sa_policy){
		.protocol = IKEV2_PROTOCOL_ESP,
		.spi_len = 4,
		.prefer_mine = true,
		.esn = conf->esn,
		.pfs = in_auth                         ? WIRE_PFS_IGNORE
		       : conf->pfs == CFG_PFS_REQUIRED ? WIRE_PFS_REQUIRED
		       : conf->pfs == CFG_PFS_NO       ? WIRE_PFS_NO
						       : WIRE_PFS_OPTIONAL,
		.ke_group = group,
	};
}

static enum ike_reason decide_mode(const struct ike_child_ask *ask, const struct cfg_child *conf,
	const struct ike_child_terms *t, enum sa_mode mode, struct ike_child_plan *plan)
{
	plan->mode = mode;
	plan->seen = (struct ike_seen_addrs){0};
	enum ike_reason why = narrow(ask, conf, t, plan);
	if (why != IKE_REASON_NONE)
		return why;
	struct wire_sa_policy policy = ike_child_policy(conf, ask->in_auth, ask->ke_group);
	bool chosen = ask->choose ? ask->choose(ask->ctx, conf, plan)
				  : wire_select(conf->esp_proposals, conf->esp_proposal_count,
					    &policy, &t->sa, &plan->choice) == WIRE_OK;
	if (!chosen || (uint32_t)plan->choice.spi == 0)
		return IKE_REASON_NO_ESP_PROPOSAL;
	plan->conf = conf;
	return IKE_REASON_NONE;
}

// RFC 7296 1.3.1: "If the responder declines the request, the Child SA will be established in tunnel
// mode."
static enum ike_reason decide_one(const struct ike_child_ask *ask, const struct cfg_child *conf,
	const struct ike_child_terms *t, struct ike_child_plan *plan)
{
	enum ike_reason why = IKE_REASON_NOT_TRANSPORT;
	if (t->transport && conf->mode != CFG_MODE_TUNNEL)
		why = decide_mode(ask, conf, t, SA_TRANSPORT, plan);
	if (why != IKE_REASON_NONE && conf->mode != CFG_MODE_TRANSPORT)
		why = decide_mode(ask, conf, t, SA_TUNNEL, plan);
	return why;
}

// A child whose selectors fit tells more about what is wrong than one whose do not.
static bool tells_more(enum ike_reason a, enum ike_reason b)
{
	return b == IKE_REASON_TS || b == IKE_REASON_NOT_TRANSPORT ||
	       (b == IKE_REASON_TS_POOL && a == IKE_REASON_NO_ESP_PROPOSAL);
}

enum ike_reason ike_child_decide(const struct ike_child_ask *ask,
	const struct ike_child_terms *terms, struct ike_child_plan *plan, uint16_t *notify)
{
	enum ike_reason why = IKE_REASON_TS;
	for (size_t i = 0; i < ask->conn->child_count; i++) {
		const struct cfg_child *conf = &ask->conn->children[i];
		if (ask->only && ask->only != conf)
			continue;
		enum ike_reason r = decide_one(ask, conf, terms, plan);
		if (r == IKE_REASON_NONE)
			return r;
		if (tells_more(r, why))
			why = r;
	}
	bool proposal = why == IKE_REASON_NO_ESP_PROPOSAL || why == IKE_REASON_NOT_TRANSPORT;
	*notify = proposal ? IKEV2_NOTIFY_NO_PROPOSAL_CHOSEN : IKEV2_NOTIFY_TS_UNACCEPTABLE;
	return why;
}

enum ike_reason ike_child_terms_parse(const struct ike_message *m, struct ike_child_terms *out)
{
	memset(out, 0, sizeof(*out));
	if (wire_sa_parse(m->sa, &out->sa) != WIRE_OK ||
		wire_ts_parse(m->ts_i, &out->ts_i) != WIRE_OK ||
		wire_ts_parse(m->ts_r, &out->ts_r) != WIRE_OK)
		return IKE_REASON_MALFORMED;
	// RFC 7296 1.3.1: "the sending endpoint will not accept packets that contain Traffic Flow
	// Confidentiality (TFC) padding over the Child SA being negotiated". We do, and never say it.
	out->no_tfc = wire_notify_find(m, IKEV2_NOTIFY_ESP_TFC_PADDING_NOT_SUPPORTED);
	out->transport = wire_notify_find(m, IKEV2_NOTIFY_USE_TRANSPORT_MODE) != NULL;
	return IKE_REASON_NONE;
}

struct ip_prefix ike_session_assigned(const struct ike_session *s, uint8_t i)
{
	uint8_t bits = s->assigned_bits[i];
	return (struct ip_prefix){
		s->assigned[i], bits ? bits : (uint8_t)ip_bits(s->assigned[i].family)};
}

void ike_session_own_side(const struct ike_session *s, struct wire_ts *local)
{
	if (!s->assigned_count)
		return;
	local->count = 0;
	for (uint8_t i = 0; i < s->assigned_count; i++) {
		struct ip_prefix p = ike_session_assigned(s, i);
		struct ip_range r = ip_prefix_range(&p);
		local->items[local->count++] = selector_of_range(&r);
	}
}

bool ike_selectors_within(const struct wire_ts *answer, const struct wire_ts *offer)
{
	for (uint8_t i = 0; i < answer->count; i++) {
		bool within = false;
		for (uint8_t k = 0; k < offer->count && !within; k++)
			within = selector_within(&answer->items[i], &offer->items[k]);
		if (!within)
			return false;
	}
	return answer->count > 0;
}

void ike_plan_from_answer(struct ike_child_plan *plan, const struct ike_child_terms *t)
{
	memcpy(plan->ts_local, t->ts_i.items, sizeof(plan->ts_local));
	memcpy(plan->ts_remote, t->ts_r.items, sizeof(plan->ts_remote));
	plan->ts_local_count = t->ts_i.count;
	plan->ts_remote_count = t->ts_r.count;
}
