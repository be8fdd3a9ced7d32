// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A client that claims an address in quick mode without having asked for it.
#include "controlplane/ikev1/login.h"

static const struct cfg_pool *pool_of(const struct cfg_connection *conn, const struct ip_addr *addr)
{
	for (size_t i = 0; i < conn->pool_count; i++)
		for (size_t k = 0; k < conn->pools[i]->range_count; k++)
			if (ip_range_contains(&conn->pools[i]->ranges[k], addr))
				return conn->pools[i];
	return NULL;
}

bool ikev1_reclaimable(const struct ike_session *s, const struct ip_addr *claimed)
{
	const struct cfg_connection *conn = s->conn;
	return s->lease_count == 0 && !s->anonymous &&
	       (conn->mode_config_respond || conn->mode_config_initiate) && pool_of(conn, claimed);
}

enum ike_verdict ikev1_reclaim(struct ike_exchange *x, const struct ip_addr *claimed, int next_step)
{
	struct ike_session *s = x->sa->session;
	struct ike_peer peer = ike_session_peer(s);
	struct address_request rq = {
		.pool = pool_of(s->conn, claimed),
		.owner = ike_pool_owner(&peer),
		.want = *claimed,
		.worker = s->worker,
		.adopt = ike_session_holder(s->engine, &peer, claimed) != NULL,
	};
	return ike_wait_address(x, &rq, next_step);
}

bool ikev1_reclaimed(struct ike_exchange *x, const struct ip_addr *claimed)
{
	struct ike_session *s = x->sa->session;
	bool granted = x->got == IKE_GOT_ADDRESS && x->lease_held &&
		       ip_eq(&x->lease.addr, claimed) && s && s->lease_count == 0;
	if (!granted) // another one, which the engine gives back
		return false;
	ike_lease_add(s, &x->lease);
	x->lease_held = false;
	ike_session_leased(s);
	if (!s->lease_count)
		return false;
	s->mode_config = "none";
	ike_count(s->engine, IKE_REASON_V1_RECLAIMED);
	return true;
}
