// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What main and aggressive mode share (RFC 2409 5): connection, suite, keys, identities, vendor IDs.
#include "controlplane/ikev1/phase1.h"

#include "controlplane/handshake.h"
#include "controlplane/index.h"

#include <stdlib.h>

LOG_SUBSYSTEM("ike");

// ---- the exchange's state ------------------------------------------------------------------------

static void phase1_free(void *state)
{
	struct ikev1_phase1 *p = state;
	ike_dh_free(p->dh);
	secret_wipe(p, sizeof(*p));
	free(p);
}

struct ikev1_phase1 *ikev1_phase1_new(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->nonce_len = IKE_NONCE_LEN;
	x->state = p;
	x->state_free = phase1_free;
	x->sa->v1->mode = x->type;
	return p;
}

enum ike_verdict ikev1_refuse(struct ike_exchange *x, enum ike_reason why)
{
	// So that the peer can read it: phase 1's last block is that of the message that is refused.
	memcpy(x->sa->v1->iv, x->v1.iv_in, sizeof(x->sa->v1->iv));
	return ike_fail_fatal(x, why, x->initiator ? 0 : IKEV1_NOTIFY_AUTHENTICATION_FAILED);
}

// ---- connection and suite, as responder ------------------------------------------------------------

struct pick {
	struct ike_exchange *x;
	const struct ikev1_sa_offer *offer;
	uint32_t methods; // of the connection that is looked at
	bool method_refused;
	enum ike_reason why;                   // of all connections, the one that says most
	const struct cfg_connection *refused;  // the last one that was
	const struct cfg_connection *heaviest; // of those that the offer fits
	uint64_t weight;
	uint16_t refused_method; // the first such; 0: none
};

static bool auth_ok(void *ctx, uint16_t auth)
{
	struct pick *k = ctx;
	bool ok = ikev1_method_among(k->methods, auth);
	k->method_refused |= !ok;
	if (!ok && !k->refused_method)
		k->refused_method = auth;
	return ok;
}

static void note(struct pick *k, enum ike_reason why)
{
	static const enum ike_reason order[] = {IKE_REASON_V1_NOT_CONFIGURED,
		IKE_REASON_NO_PROPOSAL, IKE_REASON_V1_AUTH_METHOD, IKE_REASON_V1_NO_AGGRESSIVE};
	bool later = false;
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (later && order[i] == why)
			k->why = why;
		later |= order[i] == k->why;
	}
}

static bool accepts(void *ctx, const struct cfg_connection *c)
{
	struct pick *k = ctx;
	struct ikev1_choice *choice = &ikev1_phase1_of(k->x)->choice;
	k->methods = ikev1_methods_ok(k->x->sa->engine->p.credentials, c);
	k->method_refused = false;
	enum wire_error err = ikev1_select_ike(
		c->ike_proposals, c->ike_proposal_count, k->offer, auth_ok, k, choice);
	if (err != WIRE_OK || !ike_suite_supported(&choice->transform.suite))
		note(k, k->method_refused ? IKE_REASON_V1_AUTH_METHOD : IKE_REASON_NO_PROPOSAL);
	else if (k->x->type == IKEV1_EXCHANGE_AGGRESSIVE && !c->aggressive)
		note(k, IKE_REASON_V1_NO_AGGRESSIVE);
	else
		return true;
	k->refused = c;
	return false;
}

static enum ike_reason nobody(const struct pick *k)
{
	char text[IKE_SA_TEXT_MAX];
	if (k->why == IKE_REASON_V1_AUTH_METHOD)
		log_debug("%s method %s (%u) fits no connection", ike_sa_text(k->x->sa, text),
			ikev1_auth_name(k->refused_method), k->refused_method);
	return k->why;
}

// The connection, and what accepts() last chose of the offer.
static enum ike_reason settle(struct ike_exchange *x, const struct cfg_connection *conn)
{
	struct ike_sa *sa = x->sa;
	const struct ikev1_choice *choice = &ikev1_phase1_of(x)->choice;
	sa->conn = conn;
	sa->suite = choice->transform.suite;
	sa->v1->auth = choice->transform.auth;
	secret_fini(&sa->v1->sa_i);
	return secret_copy(&sa->v1->sa_i, x->in1.sa.p, x->in1.sa.len) < 0 ? IKE_REASON_NO_MEMORY
									  : IKE_REASON_NONE;
}

enum ike_reason ikev1_choose(struct ike_exchange *x, uint16_t *notify)
{
	struct ikev1_sa_offer offer;
	struct pick k = {.x = x, .offer = &offer, .why = IKE_REASON_V1_NOT_CONFIGURED};
	bool seen;
	*notify = 0;
	if (ikev1_sa_parse(x->in1.sa, true, &offer) != WIRE_OK)
		return IKE_REASON_MALFORMED;
	const struct cfg_connection *conn = ikev1_connection_first(
		x->sa->engine->index, &x->from.remote.addr, accepts, &k, &seen);
	if (conn)
		return settle(x, conn);
	*notify = IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN;
	return nobody(&k);
}

// Of all connections that the offer fits the one that weighs most for this identity, under the
// engine's secret key: nobody can tell beforehand which it will be, and it stays the same one.
static bool weigh(void *ctx, const struct cfg_connection *c)
{
	struct pick *k = ctx;
	const struct ike_sa *sa = k->x->sa;
	const uint8_t *key = sa->engine->hash_key;
	if (!accepts(k, c))
		return false;
	uint64_t parts[2] = {ike_id_hash(key, ike_id_view(&sa->v1->peer.id)),
		siphash(key, c->name, strlen(c->name))};
	uint64_t weight = siphash(key, parts, sizeof(parts));
	if (!k->heaviest || weight > k->weight) {
		k->heaviest = c;
		k->weight = weight;
	}
	return false;
}

static bool accepts_named(void *ctx, const struct cfg_connection *c)
{
	struct pick *k = ctx;
	return c->aggressive && !(k->refused && ikev1_connections_alike(k->refused, c)) &&
	       accepts(k, c);
}

static const struct cfg_connection *named(struct pick *k)
{
	const struct ike_exchange *x = k->x;
	struct view id = ike_id_view(&x->sa->v1->peer.id);
	struct ike_match m = {.remote = &x->from.remote,
		.remote_id = &id,
		.auth = -1,
		.ikev1 = true,
		.accept = accepts_named,
		.ctx = k};
	return ike_connection_match(x->sa->engine->index, &m);
}

enum ike_reason ikev1_choose_aggressive(struct ike_exchange *x, uint16_t *notify)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct ikev1_sa_offer offer;
	struct pick k = {.x = x, .offer = &offer, .why = IKE_REASON_V1_NOT_CONFIGURED};
	bool seen;
	*notify = 0;
	if (ikev1_sa_parse(x->in1.sa, true, &offer) != WIRE_OK)
		return IKE_REASON_MALFORMED;
	(void)ikev1_connection_first(x->sa->engine->index, &x->from.remote.addr, weigh, &k, &seen);
	if (!k.heaviest) {
		*notify = IKEV1_NOTIFY_NO_PROPOSAL_CHOSEN;
		return nobody(&k);
	}
	const struct cfg_connection *conn = named(&k);
	p->stranger = !conn;
	enum ike_reason why = IKE_REASON_NONE;
	if (conn)
		why = settle(x, conn);
	if (conn && why == IKE_REASON_NONE)
		ikev1_find_psk(x);
	if (!p->stranger || why != IKE_REASON_NONE)
		return why;
	if (!accepts(&k, k.heaviest))
		return IKE_REASON_NO_PROPOSAL;
	why = settle(x, k.heaviest);
	ikev1_find_psk(x);
	return why;
}

// ---- identity ------------------------------------------------------------------------------------

bool ikev1_take_id(struct ike_exchange *x)
{
	struct ikev1_peer *peer = &x->sa->v1->peer;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct view body = x->in1.ids[0];
	struct wr w = wr_of(peer->id.body, sizeof(peer->id.body));
	struct wire_id id;
	if (!body.p || body.len > sizeof(p->peer.body) || ikev1_id_parse(body, &id) != WIRE_OK)
		return false;
	memcpy(p->peer.body, body.p, body.len);
	p->peer.len = body.len;
	wire_id_body(&w, &id);
	peer->id.len = wr_done(&w).len;
	ike_id_text(ike_id_view(&peer->id), peer->text);
	return peer->id.len > 0;
}

static bool agreed(void *ctx, const struct cfg_connection *c)
{
	const struct ike_exchange *x = ctx;
	return ikev1_method_ok(x->sa->engine->p.credentials, c, x->sa->v1->auth);
}

bool ikev1_choose_by_id(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct view id = ike_id_view(&sa->v1->peer.id);
	struct ike_match m = {.remote = &x->from.remote,
		.remote_id = &id,
		.suite = &sa->suite,
		.auth = -1,
		.ikev1 = true,
		.accept = agreed,
		.ctx = x};
	const struct cfg_connection *conn = ike_connection_match(sa->engine->index, &m);
	if (conn)
		sa->conn = conn;
	return conn;
}

// ---- the offer, as initiator -----------------------------------------------------------------------

bool ikev1_set_offer(struct ike_exchange *x)
{
	const struct cfg_connection *conn = x->sa->conn;
	struct ikev1_ike_offer *o = &ikev1_phase1_of(x)->offer;
	o->mine = conn->ike_proposals;
	o->count = conn->ike_proposal_count;
	o->auth_count = ikev1_methods_to_offer(x, o->auths);
	o->life_s = conn->lifetime.ike_hard_s;
	if (x->type == IKEV1_EXCHANGE_AGGRESSIVE && o->count)
		o->group = o->mine[0].dh[0];
	return o->auth_count && o->count;
}

bool ikev1_put_offer(struct ike_exchange *x)
{
	struct wr *w = &x->out.b.w;
	size_t before = w->len + IKEV1_GENERIC_LEN;
	struct secret *sa_i = &x->sa->v1->sa_i;
	ikev1_build_ike(&x->out.b, &ikev1_phase1_of(x)->offer);
	secret_fini(sa_i);
	return !w->overflow && w->len > before &&
	       secret_copy(sa_i, w->base + before, w->len - before) == 0;
}

enum ike_reason ikev1_take_choice(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct ikev1_sa_offer answer;
	if (ikev1_sa_parse(x->in1.sa, true, &answer) != WIRE_OK)
		return IKE_REASON_MALFORMED;
	if (ikev1_check_ike(&p->offer, &answer, &p->choice) != WIRE_OK ||
		!ike_suite_supported(&p->choice.transform.suite))
		return IKE_REASON_PROPOSAL_ALTERED;
	sa->suite = p->choice.transform.suite;
	sa->v1->auth = p->choice.transform.auth;
	return IKE_REASON_NONE;
}

// ---- keys ------------------------------------------------------------------------------------------

enum ike_reason ikev1_take_ke(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct view nonce, ke = x->in1.ke;
	bool i = sa->initiator; // the peer is the responder then
	struct secret *keep_ke = i ? &sa->v1->ke_r : &sa->v1->ke_i;
	struct secret *keep_nonce = i ? &sa->nonce_r : &sa->nonce_i;
	if (ikev1_nonce_parse(x->in1.nonce, &nonce) != WIRE_OK)
		return IKE_REASON_BAD_NONCE;
	if (ke.len != alg_dh(sa->suite.dh)->public_len)
		return IKE_REASON_BAD_KE;
	secret_fini(keep_ke);
	secret_fini(keep_nonce);
	if (secret_copy(keep_ke, ke.p, ke.len) < 0 ||
		secret_copy(keep_nonce, nonce.p, nonce.len) < 0)
		return IKE_REASON_NO_MEMORY;
	return IKE_REASON_NONE;
}

bool ikev1_own_ke(struct ike_exchange *x, struct view public_value)
{
	struct ike_sa *sa = x->sa;
	struct secret *ke = sa->initiator ? &sa->v1->ke_i : &sa->v1->ke_r;
	struct secret *nonce = sa->initiator ? &sa->nonce_i : &sa->nonce_r;
	secret_fini(ke);
	if (!ike_nonce_draw(sa, nonce, ikev1_phase1_of(x)->nonce_len) ||
		secret_copy(ke, public_value.p, public_value.len) < 0)
		return false;
	ikev1_put_ke(&x->out.b, public_value);
	ikev1_put_nonce(&x->out.b, secret_view(nonce));
	return true;
}

static enum ike_crypto_error derive(struct ike_exchange *x, struct view shared)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_sa *v1 = sa->v1;
	const struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct ikev1_keys_input in = {.suite = &sa->suite,
		.shared = shared,
		.ni = secret_view(&sa->nonce_i),
		.nr = secret_view(&sa->nonce_r),
		.spi_i = sa->spi_i,
		.spi_r = sa->spi_r};
	if (ikev1_uses_psk(v1->auth))
		in.psk = v1->psk ? secret_view(&v1->psk->secret)
				 : (struct view){p->stranger_key, sizeof(p->stranger_key)};
	ikev1_keys_fini(&v1->keys);
	enum ike_crypto_error err = ikev1_keys_derive(&in, &v1->keys);
	if (err != IKE_CRYPTO_OK)
		return err;
	return ikev1_iv_phase1(&sa->suite, secret_view(&v1->ke_i), secret_view(&v1->ke_r), v1->iv);
}

enum ike_verdict ikev1_take_shared(struct ike_exchange *x)
{
	struct ike_dh_job *job = IKE_JOB_AS(ike_dh_job, x->job);
	if (derive(x, secret_view(&job->shared)) != IKE_CRYPTO_OK)
		return ike_fail_fatal(x, IKE_REASON_CRYPTO, 0);
	// The message that brought the keys was in clear: the next encrypted one begins with this IV.
	memcpy(x->v1.iv, x->sa->v1->iv, sizeof(x->v1.iv));
	memcpy(x->v1.iv_in, x->sa->v1->iv, sizeof(x->v1.iv_in));
	x->sa->has_keys = true;
	return IKE_DONE;
}

// Who was called; NULL: a pattern that names nobody in particular.
static struct view called(const struct cfg_connection *conn, struct ike_id *buf)
{
	const char *text = conn->remote.id;
	if (!text || strchr(text, '*') || ike_id_from_text(text, buf) < 0)
		return (struct view){NULL, 0};
	return ike_id_view(buf);
}

// As responder main mode has nothing but the address to go by.
static const struct cfg_psk *find_psk(const struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_index *ix = sa->engine->index;
	struct ike_id buf;
	bool bound;
	if (sa->reauth_session && sa->v1->psk) // the key that the peer had before
		return sa->v1->psk;
	if (!sa->initiator && sa->v1->mode == IKEV1_EXCHANGE_MAIN)
		return ike_psk_of_address(ix, &x->from.remote.addr);
	if (!sa->initiator)
		return ike_psk_find(
			ix, ike_id_view(&sa->v1->peer.id), &x->from.remote.addr, &bound);
	struct view id = called(sa->conn, &buf);
	return id.p ? ike_psk_find(ix, id, &sa->remote.addr, &bound)
		    : ike_psk_of_address(ix, &sa->remote.addr);
}

void ikev1_find_psk(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	if (!ikev1_uses_psk(sa->v1->auth))
		return;
	if (!p->stranger)
		sa->v1->psk = find_psk(x);
	p->stranger = !sa->v1->psk;
	if (p->stranger)
		random_fill(sa->engine->p.random, p->stranger_key, sizeof(p->stranger_key));
}

// ---- vendor IDs --------------------------------------------------------------------------------------

static bool takes_fragments(const struct ike_sa *sa)
{
	return sa->v1->vendors & 1u << IKEV1_VID_FRAGMENTATION && sa->conn->fragment_size > 0;
}

void ikev1_read_vendors(struct ike_exchange *x)
{
	struct ikev1_sa *v1 = x->sa->v1;
	for (uint8_t i = 0; i < x->in1.vendor_count; i++)
		v1->vendors |= 1u << ikev1_vendor_of(x->in1.vendors[i]);
	v1->peer_xauth = v1->vendors & 1u << IKEV1_VID_XAUTH;
	v1->peer_unity = v1->vendors & 1u << IKEV1_VID_UNITY;
	v1->peer_dpd = v1->vendors & 1u << IKEV1_VID_DPD;
	v1->peer_settles = v1->vendors & 1u << IKEV1_VID_SALLYPORT;
	v1->peer_fragments =
		v1->vendors & 1u << IKEV1_VID_FRAGMENTATION && x->sa->conn->fragment_size > 0;
}

static void put_if_room(struct ike_exchange *x, enum ikev1_vendor v, size_t room)
{
	struct view id = ikev1_vendor_bytes(v);
	if (IKE_HEADER_LEN + x->out.b.w.len + IKEV1_GENERIC_LEN + id.len <= room)
		ikev1_put_vendor(&x->out.b, id);
}

void ikev1_put_vendors(struct ike_exchange *x, size_t room)
{
	const struct ikev1_sa *v1 = x->sa->v1;
	const struct ikev1_phase1 *p = ikev1_phase1_of(x);
	if (p->natt != IKEV1_VID_UNKNOWN)
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(p->natt));
	if (x->sa->conn->remote.user_auth == CFG_USER_XAUTH)
		put_if_room(x, IKEV1_VID_XAUTH, room);
	if (v1->peer_dpd)
		put_if_room(x, IKEV1_VID_DPD, room);
	if (v1->peer_fragments)
		put_if_room(x, IKEV1_VID_FRAGMENTATION, room);
	if (v1->peer_unity)
		put_if_room(x, IKEV1_VID_UNITY, room);
}

void ikev1_offer_vendors(struct ike_exchange *x)
{
	const struct cfg_connection *conn = x->sa->conn;
	static const enum ikev1_vendor always[] = {IKEV1_VID_DPD, IKEV1_VID_NATT_RFC3947,
		IKEV1_VID_NATT_03, IKEV1_VID_NATT_02N, IKEV1_VID_NATT_02, IKEV1_VID_NATT_00};
	for (size_t i = 0; i < sizeof(always) / sizeof(always[0]); i++)
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(always[i]));
	if (conn->local.user) {
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(IKEV1_VID_XAUTH));
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(IKEV1_VID_UNITY));
	}
	if (conn->fragment_size)
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(IKEV1_VID_FRAGMENTATION));
}

// Main mode's last messages, which are encrypted: that duplicates are settled as reauth.c says. Only
// between sites: clients are never called.
void ikev1_put_settles(struct ike_exchange *x)
{
	const struct ike_sa *sa = x->sa;
	bool site = sa->conn->remote.user_auth == CFG_USER_NONE && !sa->conn->local.user;
	if (site && (sa->initiator || sa->v1->peer_settles))
		ikev1_put_vendor(&x->out.b, ikev1_vendor_bytes(IKEV1_VID_SALLYPORT));
}

// ---- the end -------------------------------------------------------------------------------------------

void ikev1_read_contact(struct ike_exchange *x)
{
	x->sa->v1->initial_contact |=
		ikev1_notify_find(&x->in1, IKEV1_NOTIFY_INITIAL_CONTACT) != NULL;
}

void ikev1_put_contact(struct ike_exchange *x)
{
	uint8_t cookies[16];
	struct ikev1_notification n = {.doi = IKEV1_DOI_IPSEC,
		.protocol = IKEV1_PROTOCOL_ISAKMP,
		.type = IKEV1_NOTIFY_INITIAL_CONTACT,
		.spi = ikev1_cookies(x->sa, cookies)};
	if (x->sa->session && !x->sa->reauth_session && ike_session_only(x->sa->session))
		ikev1_put_notify(&x->out.b, &n);
}

enum ike_verdict ikev1_authenticated(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_sa *v1 = sa->v1;
	uint64_t life = ikev1_phase1_of(x)->choice.transform.life_s;
	uint32_t ours = sa->conn->lifetime.ike_hard_s;
	v1->life_cut = ours && (life > ours || life == 0);
	v1->life_s = v1->life_cut ? ours : (uint32_t)(life < UINT32_MAX ? life : UINT32_MAX);
	v1->user_auth = sa->initiator ? sa->conn->local.user != NULL
				      : sa->conn->remote.user_auth == CFG_USER_XAUTH;
	v1->peer_fragments = takes_fragments(sa);
	if (ike_effect_add(x, ikev1_phase1_over, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}
