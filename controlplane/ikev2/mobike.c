// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "controlplane/ikev2/mobike.h"

#include "controlplane/exchange.h"
#include "controlplane/ikev2/extension.h"
#include "controlplane/owners.h"

#include <stdlib.h>

LOG_SUBSYSTEM("mobike");

static const struct view nothing = {NULL, 0};

// ---- paths -----------------------------------------------------------------------------------------

bool ikev2_mobike_same_path(const struct ike_datagram *a, const struct ike_datagram *b)
{
	return endpoint_eq(&a->local, &b->local) && endpoint_eq(&a->remote, &b->remote);
}

void ikev2_mobike_path_set(struct ike_sa *sa, const struct ike_datagram *path)
{
	char from[EP_TEXT_MAX], to[EP_TEXT_MAX], local[EP_TEXT_MAX];
	struct ike_datagram old = ike_sa_path(sa);
	sa->origin = path->origin;
	if (ikev2_mobike_same_path(&old, path))
		return;
	sa->local = path->local;
	sa->remote = path->remote;
	sa->floated = path->local.port == IKE_NAT_T_PORT;
	if (sa->session && sa->session->sa == sa)
		ike_owner_moved(sa->session); // before ESP does
	ike_count(sa->engine, IKE_REASON_PEER_MOVED);
	log_notice("%llu: peer %s now at %s, from %s",
		sa->session ? (unsigned long long)sa->session->id : 0ull,
		endpoint_text(&old.remote, from), endpoint_text(&sa->remote, to),
		endpoint_text(&sa->local, local));
}

void ikev2_mobike_follow(struct ike_sa *sa)
{
	sa->mobike->esp.addr.family = 0;
	if (sa->session && sa->session->sa == sa)
		ike_session_moved(sa->session);
}

static bool peer_known(const struct ike_mobike *m, const struct ip_addr *a)
{
	for (uint8_t i = 0; i < m->peer_count; i++)
		if (ip_eq(&m->peers[i], a))
			return true;
	return false;
}

void ikev2_mobike_heard(struct ike_sa *sa, const struct ike_datagram *d)
{
	struct ike_mobike *m = sa->mobike;
	struct ike_datagram path = {.local = d->local, .remote = d->remote, .origin = d->origin};
	struct ike_datagram own = ike_sa_path(sa);
	if (ikev2_mobike_same_path(&path, &own)) {
		sa->origin = d->origin;
		m->probing = false;
		m->seen.remote.addr.family = 0;
	} else if (m->probing && peer_known(m, &d->remote.addr)) {
		ikev2_mobike_go(sa, &path, false);
	} else {
		m->seen = path;
	}
}

struct endpoint ikev2_mobike_remote(const struct ike_sa *sa)
{
	return sa->mobike->esp.addr.family ? sa->mobike->esp : sa->remote;
}

// RFC 4555 3.8: "The host not behind a NAT MUST NOT use these dynamic updates for IKEv2 packets, but
// MAY use them for ESP packets."
void ikev2_mobike_esp_from(struct ike_session *s, const struct endpoint *from)
{
	const struct sa_sink *sink = s->engine->p.sink;
	struct ike_sa *sa = s->sa;
	struct ike_mobike *m = sa->mobike;
	struct endpoint now = ikev2_mobike_remote(sa);
	// ESP does not get past the check of an address.
	bool unproven = m->checking && ip_eq(&from->addr, &sa->remote.addr);
	if (unproven || s->tunnel == TUNNEL_NONE || endpoint_eq(&now, from))
		return;
	struct tunnel_path path = ike_path(sa);
	path.remote = m->esp = *from;
	m->seen = ike_sa_path(sa);
	m->seen.remote = *from;
	ike_count(s->engine, IKE_REASON_PEER_MOVED);
	sink->tunnel_move(sink->ctx, s->tunnel, &path);
}

// ---- the peer's addresses --------------------------------------------------------------------------

// Unicast, and nobody's own.
bool ikev2_mobike_usable(const struct ip_addr *a)
{
	static const uint8_t zeros[16];
	const uint8_t *b = a->bytes;
	if (a->family == IP_V4)
		return b[0] != 0 && b[0] != 127 && b[0] < 224;
	return a->family == IP_V6 && b[0] != 0xff && memcmp(b, zeros, 15) != 0;
}

static void address_add(struct ike_sa *sa, const struct ip_addr *a)
{
	struct ike_mobike *m = sa->mobike;
	if (peer_known(m, a))
		return;
	if (m->peer_count == IKE_MOBIKE_ADDRESSES || !ikev2_mobike_usable(a))
		ike_count(sa->engine, IKE_REASON_MOBIKE_ADDRESS);
	else
		m->peers[m->peer_count++] = *a;
}

static bool lists_addresses(const struct ike_message *in)
{
	return wire_notify_find(in, IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS) ||
	       wire_notify_find(in, IKEV2_NOTIFY_ADDITIONAL_IP6_ADDRESS) ||
	       wire_notify_find(in, IKEV2_NOTIFY_NO_ADDITIONAL_ADDRESSES);
}

// The list replaces the one before. current: where the peer is.
static void addresses_read(
	struct ike_sa *sa, const struct ike_message *in, const struct ip_addr *current)
{
	struct ike_mobike *m = sa->mobike;
	m->peer_count = 0;
	m->peers[m->peer_count++] = *current;
	for (uint8_t i = 0; i < in->notify_count; i++) {
		const struct wire_notify *n = &in->notifies[i];
		bool v4 = n->type == IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS;
		if (!v4 && n->type != IKEV2_NOTIFY_ADDITIONAL_IP6_ADDRESS)
			continue;
		uint8_t family = v4 ? IP_V4 : IP_V6;
		struct ip_addr a = {0};
		if (n->data.len == ip_len(family))
			a = ip_from_bytes(family, n->data.p);
		address_add(sa, &a);
	}
}

// ---- IKE_AUTH --------------------------------------------------------------------------------------

// Each outside address but the one in use.
static void put_addresses(struct ike_exchange *x)
{
	const struct cfg *cfg = x->sa->engine->p.cfg;
	unsigned told = 0;
	for (size_t i = 0; i < cfg->port_count; i++) {
		const struct cfg_port *p = &cfg->ports[i];
		for (size_t k = 0; p->role == CFG_OUTSIDE && k < p->address_count; k++) {
			const struct ip_addr *a = &p->addresses[k].addr;
			if (ip_eq(a, &x->sa->local.addr) || told++ >= IKE_MOBIKE_ADDRESSES)
				continue;
			wire_put_notify(&x->out.b,
				a->family == IP_V4 ? IKEV2_NOTIFY_ADDITIONAL_IP4_ADDRESS
						   : IKEV2_NOTIFY_ADDITIONAL_IP6_ADDRESS,
				(struct view){a->bytes, ip_len(a->family)});
		}
	}
}

static void auth_put(struct ike_exchange *x)
{
	const struct ike_sa *sa = x->sa;
	if (!sa->conn->mobike || (!x->initiator && !sa->mobike))
		return;
	wire_put_notify(&x->out.b, IKEV2_NOTIFY_MOBIKE_SUPPORTED, nothing);
	// One that only responds stands behind the one address that its peers know.
	if (!sa->conn->responder_only)
		put_addresses(x);
}

// RFC 4555 4.2.1: MOBIKE_SUPPORTED's data "MUST be ignored when this notification is received".
static void auth_read(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (!sa->conn->mobike || sa->mobike ||
		!wire_notify_find(&x->in, IKEV2_NOTIFY_MOBIKE_SUPPORTED))
		return;
	struct ike_mobike *m = calloc(1, sizeof(*m));
	if (!m) {
		ike_count(sa->engine, IKE_REASON_NO_MEMORY);
		return;
	}
	sa->mobike = m;
	m->initiator = sa->initiator;
	m->proven = sa->remote.addr;
	m->good = ike_sa_path(sa);
	addresses_read(sa, &x->in, &sa->remote.addr);
}

// ---- return routability, RFC 4555 3.7 --------------------------------------------------------------

struct check {
	struct endpoint to;
	uint8_t cookie[IKE_MOBIKE_COOKIE_LEN];
};

static void check_begin(struct ike_sa *sa);

void ikev2_mobike_cookie_put(struct ike_exchange *x, uint8_t cookie[static IKE_MOBIKE_COOKIE_LEN])
{
	random_fill(x->sa->engine->p.random, cookie, IKE_MOBIKE_COOKIE_LEN);
	wire_put_notify(
		&x->out.b, IKEV2_NOTIFY_COOKIE2, (struct view){cookie, IKE_MOBIKE_COOKIE_LEN});
}

bool ikev2_mobike_cookie_back(
	const struct ike_exchange *x, const uint8_t cookie[static IKE_MOBIKE_COOKIE_LEN])
{
	const struct wire_notify *n = wire_notify_find(&x->in, IKEV2_NOTIFY_COOKIE2);
	return n && n->data.len == IKE_MOBIKE_COOKIE_LEN &&
	       secret_equal(n->data.p, cookie, IKE_MOBIKE_COOKIE_LEN);
}

static enum ike_verdict check_build(struct ike_exchange *x)
{
	struct check *c = calloc(1, sizeof(*c));
	x->state = c;
	x->state_free = free;
	if (!c)
		return ike_fail(x, IKE_REASON_NO_MEMORY, 0);
	c->to = x->sa->remote;
	ikev2_mobike_cookie_put(x, c->cookie);
	ike_count(x->sa->engine, IKE_REASON_MOBIKE_CHECK);
	return IKE_DONE;
}

static enum ike_verdict check_response(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_mobike *m = sa->mobike;
	const struct check *c = x->state;
	// "If the values do not match, the IKE_SA MUST be closed."
	if (!ikev2_mobike_cookie_back(x, c->cookie))
		return ike_fail_fatal(x, IKE_REASON_MOBIKE_COOKIE, 0);
	if (!m) // the IKE SA was rekeyed meanwhile: its successor asks for itself
		return IKE_DONE;
	m->checking = false;
	// "If the same INFORMATIONAL request has been sent to several different addresses [...] a new
	// INFORMATIONAL request needs to be sent to check return routability."
	if (!endpoint_eq(&c->to, &sa->remote)) {
		if (!ip_eq(&m->proven, &sa->remote.addr))
			check_begin(sa);
		return IKE_DONE;
	}
	m->proven = sa->remote.addr;
	ikev2_mobike_follow(sa);
	return IKE_DONE;
}

static void check_failed(struct ike_sa *sa, struct ike_task *t)
{
	if (sa->mobike)
		sa->mobike->checking = false;
}

static void check_begin(struct ike_sa *sa)
{
	struct ike_task t = {.name = "return routability",
		.type = IKEV2_EXCHANGE_INFORMATIONAL,
		.build = check_build,
		.response = check_response,
		.failed = check_failed,
		.first = true,
		.probe = true};
	if (!sa->mobike->checking)
		sa->mobike->checking = ike_task_add(sa, &t) == 0;
}

bool ikev2_mobike_check_under_way(const struct ike_sa *sa)
{
	const struct ike_exchange *x = sa->out_progress;
	return x && x->task && x->task->build == check_build;
}

// ---- requests of the peer --------------------------------------------------------------------------

// RFC 4555 4.2.5: "MUST be between 8 and 64 octets in length (inclusive)". 3.7: "the recipient of an
// INFORMATIONAL request MUST copy the notification as-is to the response". False: malformed.
static bool echo_cookie(struct ike_exchange *x)
{
	const struct wire_notify *n = wire_notify_find(&x->in, IKEV2_NOTIFY_COOKIE2);
	if (n && (n->data.len < 8 || n->data.len > 64))
		return false;
	if (n)
		wire_put_notify(&x->out.b, IKEV2_NOTIFY_COOKIE2, n->data);
	return true;
}

// RFC 4555 3.9, 4.2.6: addresses and ports as the peer sent them have to be those that have come here.
bool ikev2_mobike_no_nat(const struct ike_exchange *x, const struct cfg_connection *conn)
{
	const struct wire_notify *n = wire_notify_find(&x->in, IKEV2_NOTIFY_NO_NATS_ALLOWED);
	const struct ike_datagram *path = &x->from;
	uint8_t want[2 * 16 + 4];
	if (!conn->mobike || !n)
		return true;
	size_t len = ip_len(path->remote.addr.family);
	struct wr w = wr_of(want, sizeof(want));
	wr_bytes(&w, path->remote.addr.bytes, len);
	wr_bytes(&w, path->local.addr.bytes, len);
	wr_u16(&w, path->remote.port);
	wr_u16(&w, path->local.port);
	return view_eq(n->data, wr_done(&w));
}

// A rekeyed IKE SA has no state of MOBIKE any more, and may still have to answer the rekeying. Nobody moves
// before the end of IKE_AUTH.
uint8_t ikev2_mobike_answers(const struct ike_exchange *x)
{
	const struct ike_sa *sa = x->sa;
	bool moves = sa->mobike || (sa->state == IKE_SA_REKEYED && sa->conn->mobike);
	bool later = x->type != IKEV2_EXCHANGE_IKE_SA_INIT && x->type != IKEV2_EXCHANGE_IKE_AUTH;
	return moves && later ? IKE_MOBIKE_ANSWERS : 0;
}

// More changes than anybody's roaming makes.
static bool too_many(struct ike_sa *sa)
{
	struct ike_mobike *m = sa->mobike;
	uint64_t now = sa->engine->now_ns;
	if (m->moves == 0 || now - m->window_ns > IKE_MOBIKE_WINDOW_S * NS_PER_S) {
		m->window_ns = now;
		m->moves = 0;
	}
	return ++m->moves > IKE_MOBIKE_MOVES;
}

static bool address_allowed(const struct cfg_connection *conn, const struct ip_addr *a)
{
	bool allowed = conn->remote.address_count == 0;
	for (size_t i = 0; i < conn->remote.address_count && !allowed; i++)
		allowed = ip_prefix_contains(&conn->remote.addresses[i], a);
	return allowed && ikev2_mobike_usable(a);
}

// Only the initiator moves an IKE SA (RFC 4555 1.3).
static enum ike_reason update_refused(const struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (sa->mobike->initiator || !address_allowed(sa->conn, &x->from.remote.addr))
		return IKE_REASON_MOBIKE_UNACCEPTABLE;
	return too_many(sa) ? IKE_REASON_MOBIKE_RATE : IKE_REASON_NONE;
}

// By RFC 4555 3.7 the tunnel follows when the peer has been found there.
static void moved(struct ike_sa *sa)
{
	struct ike_mobike *m = sa->mobike;
	m->seen.remote.addr.family = 0;
	if (ip_eq(&m->proven, &sa->remote.addr))
		ikev2_mobike_follow(sa);
	else
		check_begin(sa);
}

// RFC 4555 3.5: "Updates the IP addresses in the IKE_SA with the values from the IP header".
static void apply_update(struct ike_exchange *x, void *arg)
{
	struct ike_sa *sa = x->sa;
	struct ike_datagram old = ike_sa_path(sa);
	ike_count(sa->engine, IKE_REASON_MOBIKE_UPDATE);
	ikev2_nat_detect(x, sa->spi_r, &x->from);
	ikev2_mobike_path_set(sa, &x->from);
	ike_sa_keepalive(sa);
	moved(sa);
	if (!ikev2_mobike_same_path(&old, &x->from))
		ike_request_again(sa);
}

// RFC 4555 3.6: as responder the list is all that the peer says. As initiator a list that comes from
// another of the peer's addresses says that it is not to be reached at the old one any more.
static void apply_addresses(struct ike_exchange *x, void *arg)
{
	struct ike_sa *sa = x->sa;
	addresses_read(sa, &x->in, &x->from.remote.addr);
	if (sa->mobike->initiator && !ip_eq(&x->from.remote.addr, &sa->remote.addr))
		ikev2_mobike_go(sa, &x->from, true);
}

// The notifies that change something.
static enum ike_verdict changes(struct ike_exchange *x)
{
	bool update = wire_notify_find(&x->in, IKEV2_NOTIFY_UPDATE_SA_ADDRESSES) != NULL;
	enum ike_reason why = update ? update_refused(x) : IKE_REASON_NONE;
	if (why != IKE_REASON_NONE) {
		ike_refused(x->sa->engine, x->sa, &x->from.remote, why);
		wire_put_notify(&x->out.b, IKEV2_NOTIFY_UNACCEPTABLE_ADDRESSES, nothing);
		return IKE_DONE;
	}
	if ((lists_addresses(&x->in) && ike_effect_add(x, apply_addresses, NULL, NULL) < 0) ||
		(update && ike_effect_add(x, apply_update, NULL, NULL) < 0))
		return ike_fail(x, IKE_REASON_NO_MEMORY, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	return IKE_DONE;
}

// An IKE SA that was rekeyed answers as before; only its successor moves.
static enum ike_verdict informational(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	if (!sa->conn->mobike)
		return IKE_DONE;
	if (!echo_cookie(x))
		return ike_fail_fatal(x, IKE_REASON_MALFORMED, IKEV2_NOTIFY_INVALID_SYNTAX);
	if (!ikev2_mobike_no_nat(x, sa->conn)) {
		ike_refused(sa->engine, sa, &x->from.remote, IKE_REASON_MOBIKE_NAT);
		wire_put_notify(&x->out.b, IKEV2_NOTIFY_UNEXPECTED_NAT_DETECTED, nothing);
		return IKE_DONE;
	}
	// RFC 4555 3.8: "if the request includes them, the responder MUST also include them in the
	// response".
	if (wire_notify_find(&x->in, IKEV2_NOTIFY_NAT_DETECTION_SOURCE_IP) &&
		wire_notify_find(&x->in, IKEV2_NOTIFY_NAT_DETECTION_DESTINATION_IP) &&
		!ikev2_nat_put(x, sa->spi_r, &x->from))
		return ike_fail(x, IKE_REASON_CRYPTO, IKEV2_NOTIFY_TEMPORARY_FAILURE);
	return sa->mobike ? changes(x) : IKE_DONE;
}

// ---- life ------------------------------------------------------------------------------------------

// Of two simultaneous rekeyings the peer may use one before the session is there: then the peer is where
// that one has heard it. Else where the old one has it, also since the new one was made.
static void inherit(struct ike_sa *sa, struct ike_sa *old)
{
	struct ike_datagram now = ike_sa_path(sa), before = ike_sa_path(old);
	bool ahead =
		sa->last_heard_ns > old->last_heard_ns && !ikev2_mobike_same_path(&now, &before);
	if (!ahead) {
		sa->local = old->local;
		sa->remote = old->remote;
		sa->origin = old->origin;
		sa->floated = old->floated;
		sa->nat_local = old->nat_local;
		sa->nat_remote = old->nat_remote;
	}
	if (!old->mobike) {
		if (ahead && sa->session)
			ike_session_moved(sa->session);
		return;
	}
	free(sa->mobike);
	sa->mobike = old->mobike;
	old->mobike = NULL;
	if (ahead)
		moved(sa);
	// What the old one has under way cannot end here: it is done anew.
	if (ikev2_mobike_check_under_way(old)) {
		sa->mobike->checking = false;
		check_begin(sa);
	}
	if (ikev2_mobike_update_under_way(old)) {
		sa->mobike->updating = false;
		ikev2_mobike_update(sa);
	}
}

static void release(struct ike_sa *sa)
{
	free(sa->mobike);
	sa->mobike = NULL;
}

const struct ikev2_extension ikev2_mobike_extension = {
	.name = "mobike",
	.auth_put = auth_put,
	.auth_read = auth_read,
	.inherit = inherit,
	.informational = informational,
	.probe_put = ikev2_mobike_probe_put,
	.probe_read = ikev2_mobike_probe_read,
	.release = release,
};
