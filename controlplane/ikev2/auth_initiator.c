// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKE_AUTH as initiator (RFC 7296 1.2).
#include "controlplane/handshake.h"
#include "controlplane/ikev2/create_child.h"
#include "controlplane/ikev2/extension.h"
#include "controlplane/ikev2/proof.h"
#include "controlplane/ikev2/resource.h"
#include "controlplane/succession.h"

#include <stdlib.h>

enum step { BEGIN, SIGNED, VERIFIED };

struct auth {
	struct ike_engine *engine;
	struct ike_proof proof;
	struct ike_child_terms terms;
	struct ike_child_plan plan;
	struct wire_ts offered_local, offered_remote;
	enum sa_mode offered_mode;
	uint32_t spi_in; // of the child that is being made
};

static void auth_free(void *arg)
{
	struct auth *a = arg;
	struct ike_child *c = a->spi_in ? ike_child_by_spi_in(a->engine, a->spi_in) : NULL;
	if (c && !c->joined && c->state != IKE_CHILD_GONE)
		ike_child_drop(c);
	free(a);
}

static enum ike_verdict refuse(struct ike_exchange *x, enum ike_reason why)
{
	return ike_fail_fatal(x, why, 0);
}

// ---- request ---------------------------------------------------------------------------------

static bool wants_address(const struct cfg_connection *conn)
{
	return conn->request_v4 || conn->request_v6 || conn->request_prefix;
}

// The address or, prefix, the network that we have, where a session is to be followed; else the configured one.
static const struct ip_addr *hint(
	const struct ike_session *s, const struct ip_addr *configured, uint8_t family, bool prefix)
{
	const struct ike_session *old =
		s->follows ? ike_session_by_id(s->engine, s->follows) : NULL;
	for (uint8_t i = 0; old && i < old->assigned_count; i++)
		if (old->assigned[i].family == family && !old->assigned_bits[i] == !prefix)
			return &old->assigned[i];
	return configured;
}

static void put_cp(struct wire_builder *b, const struct ike_session *s)
{
	static const struct ip_addr any;
	const struct cfg_connection *conn = s->conn;
	const struct ip_addr *v4 = hint(s, &conn->request_hint_v4, IP_V4, false);
	const struct ip_addr *v6 = hint(s, &conn->request_hint_v6, IP_V6, false);
	const struct ip_addr *net = hint(s, &any, IP_V6, true);
	const struct view nothing = {NULL, 0};
	wire_open_cp(b, IKEV2_CP_REQUEST);
	if (conn->request_v4)
		wire_cp_put_addr(b, IKEV2_CP_INTERNAL_IP4_ADDRESS, v4->family ? v4 : &any);
	if (conn->request_v6 && v6->family)
		wire_cp_put_prefix(b, IKEV2_CP_INTERNAL_IP6_ADDRESS, &(struct ip_prefix){*v6, 128});
	else if (conn->request_v6)
		wire_cp_put(b, IKEV2_CP_INTERNAL_IP6_ADDRESS, nothing);
	if (conn->request_prefix && net->family)
		wire_cp_put_prefix(b, IKEV2_CP_INTERNAL_IP6_PREFIX, &(struct ip_prefix){*net, 128});
	else if (conn->request_prefix)
		wire_cp_put(b, IKEV2_CP_INTERNAL_IP6_PREFIX, nothing);
	wire_cp_put(b, IKEV2_CP_INTERNAL_IP4_DNS, nothing);
	wire_close(b);
}

static struct selector any_of(uint8_t family)
{
	struct ip_range r = {{.family = family}, {.family = family}};
	memset(r.hi.bytes, 0xff, ip_len(family));
	return selector_of_range(&r);
}

// With an address to come our own side is open, and the responder narrows it.
// RFC 6023 3: only where the responder has said so. All child SAs then come by CREATE_CHILD_SA, each
// with a key exchange of its own; an address is asked for together with a child SA.
static bool childless(const struct ike_sa *sa)
{
	return sa->conn->childless && sa->peer_childless && !wants_address(sa->conn);
}

static void set_offer(struct auth *a, const struct ike_sa *sa)
{
	struct ike_peer_side peer = ike_peer_side(NULL, sa);
	a->offered_mode =
		ike_child_offer(sa->first_child, &peer, &a->offered_local, &a->offered_remote);
	if (!wants_address(sa->conn))
		return;
	a->offered_local.count = 0;
	if (sa->conn->request_v4)
		a->offered_local.items[a->offered_local.count++] = any_of(IP_V4);
	if (sa->conn->request_v6 || sa->conn->request_prefix)
		a->offered_local.items[a->offered_local.count++] = any_of(IP_V6);
}

static void put_child(struct ike_exchange *x, uint32_t spi)
{
	struct auth *a = x->state;
	const struct cfg_child *conf = x->sa->first_child;
	struct wire_sa_policy policy = ike_child_policy(conf, true, DH_NONE);
	struct wire_builder *b = &x->out.b;
	ike_transport_put(b, a->offered_mode);
	wire_build_sa(b, conf->esp_proposals, conf->esp_proposal_count, &policy, spi);
	wire_put_ts(b, IKEV2_PAYLOAD_TSI, a->offered_local.items, a->offered_local.count);
	wire_put_ts(b, IKEV2_PAYLOAD_TSR, a->offered_remote.items, a->offered_remote.count);
	if (conf->per_resource)
		ike_resource_put(b);
}

static enum ike_verdict put_request(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_sa *sa = x->sa;
	struct wire_builder *b = &x->out.b;
	enum ike_reason why = IKE_REASON_NO_MEMORY;
	ike_proof_put_id(x, &a->proof);
	ike_proof_put_certs(x, &a->proof);
	if (sa->conn->remote.auth == CFG_AUTH_CERT)
		wire_put_certreq(b, IKEV2_CERT_X509_SIGNATURE,
			ike_credentials_certreq(a->engine->p.credentials));
	if (a->proof.peer.len)
		wire_put_raw(b, IKEV2_PAYLOAD_IDR, ike_id_view(&a->proof.peer));
	ike_proof_put_auth(x, &a->proof);
	if (ike_session_only(sa->session))
		wire_put_notify(b, IKEV2_NOTIFY_INITIAL_CONTACT, (struct view){NULL, 0});
	if (wants_address(sa->conn))
		put_cp(b, sa->session);
	if (sa->first_child) {
		struct ike_child *c = ike_child_new(sa->session, &why);
		if (!c)
			return refuse(x, why);
		a->spi_in = c->spi_in;
		set_offer(a, sa);
		put_child(x, c->spi_in);
	}
	ikev2_auth_put(x);
	ike_next_state(x, IKE_SA_AUTH_SENT);
	return IKE_DONE;
}

static enum ike_verdict begin(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct auth *a = sa->session ? calloc(1, sizeof(*a)) : NULL;
	if (!a)
		return refuse(x, IKE_REASON_NO_MEMORY);
	a->engine = sa->engine;
	x->state = a;
	x->state_free = auth_free;
	a->proof.conn = sa->conn;
	if (childless(sa))
		sa->first_child = NULL;
	// A pattern names nobody in particular: then IDr is left to the responder.
	const char *id = sa->conn->remote.id;
	if (id && !strchr(id, '*') && ike_id_from_text(id, &a->proof.peer) < 0)
		return refuse(x, IKE_REASON_BAD_ID);
	enum ike_verdict v = ike_proof_make(x, &a->proof, SIGNED);
	return v == IKE_DONE ? put_request(x) : v;
}

enum ike_verdict ikev2_auth_build(struct ike_exchange *x)
{
	struct auth *a = x->state;
	if (x->step == BEGIN)
		return begin(x);
	enum ike_verdict v = ike_proof_signed(x, &a->proof);
	return v == IKE_DONE ? put_request(x) : v;
}

// ---- response --------------------------------------------------------------------------------

static enum ike_reason take_addresses(struct ike_exchange *x)
{
	struct ike_session *s = x->sa->session;
	struct wire_cp cp;
	if (!x->in.cp.p)
		return IKE_REASON_NO_ADDRESS;
	if (wire_cp_parse(x->in.cp, &cp) != WIRE_OK || cp.type != IKEV2_CP_REPLY)
		return IKE_REASON_MALFORMED;
	for (uint8_t i = 0; i < cp.count && s->assigned_count < IKE_LEASES_MAX; i++) {
		const struct wire_cp_attr *at = &cp.attrs[i];
		bool prefix = at->type == IKEV2_CP_INTERNAL_IP6_PREFIX;
		if (!at->valid || !at->addr.family ||
			(at->type != IKEV2_CP_INTERNAL_IP4_ADDRESS &&
				at->type != IKEV2_CP_INTERNAL_IP6_ADDRESS && !prefix))
			continue;
		s->assigned_bits[s->assigned_count] = prefix ? at->prefix_bits : 0;
		s->assigned[s->assigned_count++] = at->addr;
	}
	return s->assigned_count ? IKE_REASON_NONE : IKE_REASON_NO_ADDRESS;
}

static enum ike_reason check_child(struct ike_exchange *x)
{
	struct auth *a = x->state;
	const struct cfg_child *conf = x->sa->first_child;
	struct wire_sa_policy policy = ike_child_policy(conf, true, DH_NONE);
	if (!x->in.sa.p || !x->in.ts_i.p || !x->in.ts_r.p)
		return IKE_REASON_CHILD_REFUSED;
	if (ike_child_terms_parse(&x->in, &a->terms) != IKE_REASON_NONE)
		return IKE_REASON_MALFORMED;
	if (wire_check_choice(conf->esp_proposals, conf->esp_proposal_count, &policy, &a->terms.sa,
		    &a->plan.choice) != WIRE_OK ||
		(uint32_t)a->plan.choice.spi == 0)
		return IKE_REASON_PROPOSAL_ALTERED;
	enum ike_reason why =
		ike_transport_settle(conf, a->offered_mode, a->terms.transport, &a->plan.mode);
	if (why != IKE_REASON_NONE)
		return why;
	if (a->plan.mode == SA_TRANSPORT)
		ike_transport_translate(x->sa, &a->terms.ts_i, &a->terms.ts_r, &a->plan.seen);
	if (!ike_selectors_within(&a->terms.ts_i, &a->offered_local) ||
		!ike_selectors_within(&a->terms.ts_r, &a->offered_remote))
		return IKE_REASON_TS;
	a->plan.conf = conf;
	ike_plan_from_answer(&a->plan, &a->terms);
	a->terms.nonce_i = secret_view(&x->sa->nonce_i);
	a->terms.nonce_r = secret_view(&x->sa->nonce_r);
	return IKE_REASON_NONE;
}

static enum ike_reason make_child(struct ike_exchange *x)
{
	struct auth *a = x->state;
	enum ike_reason why = wants_address(x->sa->conn) ? take_addresses(x) : IKE_REASON_NONE;
	if (why == IKE_REASON_NONE || why == IKE_REASON_NO_ADDRESS) {
		enum ike_reason child = check_child(x);
		why = child != IKE_REASON_NONE ? child : why;
	}
	if (why != IKE_REASON_NONE)
		return why;
	struct ike_child *c = ike_child_by_spi_in(a->engine, a->spi_in);
	if (!c || c->state == IKE_CHILD_GONE)
		return IKE_REASON_CHILD_UNKNOWN;
	ike_child_set(c, &a->plan, (uint32_t)a->plan.choice.spi);
	why = ike_child_install(c, &a->terms, true);
	if (why != IKE_REASON_NONE)
		return why;
	c->switch_at_install = true;
	ike_child_join(c, NULL);
	if (c->conf->per_resource && ike_resource_named(&x->in))
		ike_resources_agreed(x->sa->session, true);
	return IKE_REASON_NONE;
}

// The child SA may have failed alone (RFC 7296 1.2): the IKE SA stands, and ends later if nothing
// comes of it.
static enum ike_verdict finish(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct ike_sa *sa = x->sa;
	struct ike_session *s = sa->session;
	struct ike_peer peer = {.id = ike_id_view(&a->proof.peer),
		.text = a->proof.text,
		.proven = a->proof.proven};
	if (!s || ike_session_identify(s, &peer) < 0)
		return refuse(x, IKE_REASON_NO_MEMORY);
	if (sa->first_child)
		ike_session_child_asked(s, sa->first_child);
	enum ike_reason why = sa->first_child ? make_child(x) : IKE_REASON_NONE;
	if (why != IKE_REASON_NONE) {
		ike_refused(a->engine, sa, &sa->remote, why);
		if (wire_notify_find(&x->in, IKEV2_NOTIFY_TEMPORARY_FAILURE))
			ike_child_anew(s, sa->first_child, false);
		else
			ike_session_child_refused(s, sa->first_child);
	}
	ikev2_auth_read(x);
	ike_sa_established(sa);
	// RFC 7296 1.3.1: "If this is unacceptable to the initiator, the initiator MUST delete the SA."
	if (why == IKE_REASON_NOT_TRANSPORT)
		(void)ikev2_disown_child(
			sa, a->spi_in); // without memory the peer's lifetime ends it
	ike_session_established(s);
	ike_session_watch(s);
	ike_session_follow(s);
	ike_duplicates_settle(s);
	ike_session_begin_children(s);
	return IKE_DONE;
}

static enum ike_verdict check_response(struct ike_exchange *x)
{
	struct auth *a = x->state;
	struct view body = x->in.id_r;
	struct wire_id id;
	if (!x->in.auth.p || !body.p) {
		// A responder that refuses keeps nothing.
		x->peer_ended = wire_notify_error(&x->in) != NULL;
		return refuse(x, IKE_REASON_AUTH_REFUSED);
	}
	if (body.len > sizeof(a->proof.peer.body) || wire_id_parse(body, &id) != WIRE_OK)
		return refuse(x, IKE_REASON_BAD_ID);
	memcpy(a->proof.peer.body, body.p, body.len);
	a->proof.peer.len = body.len;
	ike_id_text(body, a->proof.text);
	if (x->sa->conn->remote.id && ike_id_fit(x->sa->conn->remote.id, body) == 0)
		return refuse(x, IKE_REASON_NO_PEER);
	enum ike_verdict v = ike_proof_verify(x, &a->proof, VERIFIED);
	return v == IKE_DONE ? finish(x) : v;
}

enum ike_verdict ikev2_auth_response(struct ike_exchange *x)
{
	struct auth *a = x->state;
	if (x->step != VERIFIED)
		return check_response(x);
	enum ike_verdict v = ike_proof_verified(x, &a->proof);
	return v == IKE_DONE ? finish(x) : v;
}
