// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A client that claims an address or a network in quick mode without having asked for it.
#include "controlplane/ikev1/quick.h"

#include "controlplane/ikev1/login.h"

#include <stdlib.h>

// After a restart of the gateway a client may go on with the address that it had: its owner gets it.
static bool claims_address(const struct ike_addresses *a, const struct ike_session *s,
	const struct ip_range *r, enum ike_address_kind kind)
{
	const struct cfg_connection *conn = s->conn;
	return ip_eq(&r->lo, &r->hi) && s->lease_count == 0 && !s->anonymous &&
	       (conn->mode_config_respond || conn->mode_config_initiate) &&
	       ike_pool_holding(a, kind, &r->lo);
}

// A site has no attribute to ask for a network by. It names its own, or a part of it, or leaves the choice
// to us by naming more.
bool ikev1_claim(struct ike_exchange *x, const struct ip_range *client)
{
	struct ikev1_quick *q = x->state;
	bool v6 = client->lo.family == IP_V6;
	enum ike_address_kind addr = v6 ? IKE_ADDRESS_V6 : IKE_ADDRESS_V4;
	enum ike_address_kind net = v6 ? IKE_PREFIX_V6 : IKE_PREFIX_V4;
	const struct ike_session *s = x->sa->session;
	struct ike_addresses a = ikev1_addresses(x->sa);
	const struct cfg_pool *nets = ike_pool_within(&a, net, client);
	if (claims_address(&a, s, client, addr)) {
		a.want[addr] = a.claim[addr] = true;
		a.hint[addr] = client->lo;
	} else if (nets && s->lease_count == 0) {
		a.want[net] = true;
		a.claim[net] = ike_pool_one_network(nets, client);
		a.hint[net] = a.claim[net] ? client->lo : (struct ip_addr){0};
	} else {
		return false;
	}
	q->claim = malloc(sizeof(*q->claim)); // without memory it has what it has
	if (q->claim)
		*q->claim = a;
	return q->claim;
}

// What a push has drawn, or waits for, for a client that goes on with the address that it had: it may be that
// one, and while it is held nobody else gets it, not even he.
bool ikev1_claim_pushed(struct ike_exchange *x, int next_step)
{
	struct ikev1_quick *q = x->state;
	struct ike_exchange *push = ikev1_push_waits(x->sa);
	struct ike_addresses *pushed = push ? push->state : NULL, *claim = q->claim;
	const struct ip_range *r = &q->terms.ts_i.items[0].range;
	uint8_t kind = r->lo.family == IP_V6 ? IKE_ADDRESS_V6 : IKE_ADDRESS_V4;
	if (!push || !claim->want[kind])
		return false;
	if (pushed->kind == kind) {
		claim->kind = kind;
		claim->exact = pushed->exact;
		ike_wait_move(push, x, next_step);
		return true;
	}
	for (uint8_t i = 0; i < pushed->lease_count && claim->want[kind]; i++)
		if (ip_eq(&pushed->leases[i].addr, &r->lo)) {
			claim->leases[claim->lease_count++] = pushed->leases[i];
			pushed->leases[i] = pushed->leases[--pushed->lease_count];
			claim->want[kind] = false;
		}
	return false;
}

enum ike_reason ikev1_claimed(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = x->sa->session;
	// Another exchange was faster.
	if (!s || s->closing || s->lease_count)
		return IKE_REASON_NONE;
	if (!q->claim->lease_count) {
		bool address = q->claim->want[IKE_ADDRESS_V4] || q->claim->want[IKE_ADDRESS_V6];
		return address ? IKE_REASON_NONE : q->claim->refusal;
	}
	ike_addresses_give(q->claim, s);
	ike_session_leased(s);
	if (s->lease_count) {
		s->mode_config = "none";
		ike_count(s->engine, IKE_REASON_V1_RECLAIMED);
	}
	return IKE_REASON_NONE;
}

void ikev1_claim_free(struct ikev1_quick *q)
{
	if (q->claim)
		ike_addresses_release(q->claim);
	free(q->claim);
	q->claim = NULL;
}
