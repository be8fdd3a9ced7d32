// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the data plane tells of child SAs.
#include "controlplane/ikev2/mobike.h"
#include "controlplane/session.h"
#include "controlplane/starter.h"

LOG_SUBSYSTEM("child");

static void on_installed(struct ike_child *c)
{
	struct ike_session *s = c->session;
	c->installed_ns = c->engine->now_ns;
	ike_session_keep_leases(s);
	if (c->state == IKE_CHILD_ACTIVE)
		ike_routes_take(s, false);
	if (c->state != IKE_CHILD_INSTALLING)
		return;
	c->state = IKE_CHILD_READY;
	if (c->switch_at_install)
		ike_child_switch(c);
}

static void on_first_in(struct ike_child *c)
{
	if (c->state == IKE_CHILD_READY)
		ike_child_switch(c);
	if (c->state == IKE_CHILD_ACTIVE)
		ike_routes_take(c->session, true);
}

// RFC 7296 2.23: the peer's mapping in its NAT may change; a peer that has none does not move.
static void on_moved(struct ike_engine *e, const struct sa_event *ev)
{
	char from[EP_TEXT_MAX], to[EP_TEXT_MAX];
	struct ike_child *c = ike_child_by_spi_in(e, ev->child);
	struct ike_session *s = c ? c->session : NULL;
	// One that was replaced carries nothing new: who kept its last packets back must not move the
	// peer with them.
	if (!s || !s->sa->nat_remote || c->state > IKE_CHILD_ACTIVE)
		return;
	if (s->sa->mobike) {
		ikev2_mobike_esp_from(s, &ev->remote);
		return;
	}
	if (endpoint_eq(&s->sa->remote, &ev->remote))
		return;
	log_notice("%llu: peer moved from %s to %s", (unsigned long long)s->id,
		endpoint_text(&s->sa->remote, from), endpoint_text(&ev->remote, to));
	ike_count(e, IKE_REASON_PEER_MOVED);
	s->sa->remote = ev->remote;
	ike_session_moved(s);
}

void ike_child_event(struct ike_engine *e, const struct sa_event *ev)
{
	if (ev->type == SA_EVENT_PEER_MOVED) {
		on_moved(e, ev);
		return;
	}
	if (ev->type == SA_EVENT_NO_CHILD) {
		ike_starter_wanted(e, ev);
		return;
	}
	struct ike_child *c = ike_child_by_spi_in(e, ev->child);
	if (!c)
		return;
	if (ev->type == SA_EVENT_RETURNED)
		ike_child_returned(c, ev);
	else if (!c->joined || !c->session)
		return;
	else if (ev->type == SA_EVENT_INSTALLED)
		on_installed(c);
	else if (ev->type == SA_EVENT_FIRST_IN)
		on_first_in(c);
	else if (ev->type == SA_EVENT_SOFT_LIMIT)
		ike_child_soft_reached(c);
	else if (ev->type == SA_EVENT_HARD_LIMIT)
		ike_child_expired(c);
}
