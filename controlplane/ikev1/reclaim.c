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

void ikev1_claimed(struct ike_exchange *x)
{
	struct ikev1_quick *q = x->state;
	struct ike_session *s = x->sa->session;
	// Another exchange was faster.
	if (!s || s->closing || s->lease_count || !q->claim->lease_count)
		return;
	ike_addresses_give(q->claim, s);
	ike_session_leased(s);
	if (!s->lease_count)
		return;
	s->mode_config = "none";
	ike_count(s->engine, IKE_REASON_V1_RECLAIMED);
}

void ikev1_claim_free(struct ikev1_quick *q)
{
	if (q->claim)
		ike_addresses_release(q->claim);
	free(q->claim);
	q->claim = NULL;
}
