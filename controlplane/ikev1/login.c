// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The login: from phase 1's end to the session. Who needs a password is asked for one (xauth.c), who
// is known is authorized, and then the session begins, or an older one of the same owner goes on
// with the new ISAKMP SA.
#include "controlplane/ikev1/login.h"

#include <stdlib.h>

LOG_SUBSYSTEM("ike");

#define ID_EXACT 3 // of ike_id_fit()

enum step { BEGIN, AUTHORIZED };

static bool is_server(const struct ike_sa *sa)
{
	return sa->v1->user_auth && !sa->initiator;
}

struct ike_peer ikev1_login_peer(const struct ike_sa *sa)
{
	const struct ikev1_sa *v1 = sa->v1;
	const struct cfg_user *user = v1->login ? v1->login->user : NULL;
	struct ike_peer peer = {.id = ike_id_view(&v1->peer.id),
		.text = v1->peer.text,
		.proven = v1->peer.proven,
		.user = user ? user->name : NULL};
	// The ID that comes with a shared key names the group that shares it.
	if (user && user->groups.count)
		peer.group = user->groups.items[0];
	else if (v1->psk && v1->psk->id && v1->peer.text[0] && (user || !v1->peer.proven))
		peer.group = v1->peer.text;
	if (user && user->groups.count)
		peer.groups = &user->groups;
	// Under a key for any ID the name is a mere claim.
	peer.in_group = v1->psk && v1->psk->id && ike_id_fit(v1->psk->id, peer.id) == ID_EXACT;
	ike_peer_groups(sa->engine, &peer);
	return peer;
}

static struct ike_admission admission_of(struct ike_sa *sa)
{
	return (struct ike_admission){.sa = sa,
		.conn = sa->conn,
		.peer = ikev1_login_peer(sa),
		.initial_contact = sa->v1->initial_contact};
}

void ikev1_login_free(struct ike_sa *sa)
{
	if (sa->v1->login)
		free(sa->v1->login->addresses);
	free(sa->v1->login);
	sa->v1->login = NULL;
}

void ikev1_login_end(struct ike_exchange *x, void *unused)
{
	(void)ike_sa_delete(x->sa);
}

// ---- the session -------------------------------------------------------------------------------

// What AAA said is asked for in exchanges to come; of a login anew it is what counts from now on.
static void take_addresses(struct ike_sa *sa, struct ike_session *s)
{
	struct ikev1_login *l = sa->v1->login;
	if (!l || sa->initiator)
		return;
	free(s->aaa);
	s->aaa = l->addresses;
	l->addresses = NULL;
}

static struct ike_session *make_session(struct ike_sa *sa, enum ike_reason *why)
{
	struct ike_admission a = admission_of(sa);
	struct ike_datagram path = ike_sa_path(sa);
	*why = ike_admit(&a);
	if (*why != IKE_REASON_NONE)
		return NULL;
	*why = IKE_REASON_NO_MEMORY;
	struct ike_session *s = ike_session_admit(&a, ike_worker_hint(sa, &path));
	if (s)
		take_addresses(sa, s);
	return s;
}

// As initiator there is one from the beginning, and with a push before the status since then.
static struct ike_session *session_of(struct ike_sa *sa, enum ike_reason *why)
{
	struct ike_peer peer = ikev1_login_peer(sa);
	struct ike_session *s = sa->session;
	if (!s)
		return make_session(sa, why);
	*why = IKE_REASON_NO_MEMORY;
	return s->identity_text || ike_session_identify(s, &peer) == 0 ? s : NULL;
}

uint32_t ikev1_life_left(const struct ike_sa *sa)
{
	uint64_t due_ns = sa->life.due_ms * NS_PER_MS;
	if (!sa->life.set || due_ns <= sa->engine->now_ns)
		return 0;
	uint32_t left = (uint32_t)((due_ns - sa->engine->now_ns) / NS_PER_S);
	// of the announced lifetime, without the grace behind it
	uint32_t grace =
		ike_sa_grace_s((uint32_t)((due_ns - sa->established_ns) / NS_PER_S / 11 * 10));
	return left > grace ? left - grace : 1;
}

// RFC 2407 4.6.3.1: "When present, the Notification Payload MUST have the following format" of a
// lifetime that is shorter than what was agreed on. vpnc needs one where nothing else is said: behind
// aggressive mode and a re-authentication it waits for one more packet, and leaves without it.
static void tell_lifetime(struct ike_sa *sa, bool again)
{
	const struct ikev1_sa *v1 = sa->v1;
	uint8_t cookies[16], data[32];
	uint32_t left = ikev1_life_left(sa);
	bool waits = again || (v1->mode == IKEV1_EXCHANGE_AGGRESSIVE && !v1->user_auth);
	if (sa->initiator || !(waits || v1->life_cut))
		return;
	struct ikev1_lifetime life = {.seconds = left ? left : IKEV1_LIFE_SAID_S};
	size_t len = ikev1_lifetime_data(data, sizeof(data), true, &life);
	struct ikev1_notification n = {.doi = IKEV1_DOI_IPSEC,
		.protocol = IKEV1_PROTOCOL_ISAKMP,
		.type = IKEV1_NOTIFY_RESPONDER_LIFETIME,
		.spi = ikev1_cookies(sa, cookies),
		.data = {data, len}};
	ikev1_notify(sa, &n);
}

// The session that goes on with it. One that has a session with addresses of its own, by a push before
// the status, keeps that.
static struct ike_session *before_of(const struct ike_sa *sa)
{
	return sa->session && !sa->initiator ? NULL : ikev1_session_before(sa);
}

// Of two that were begun at the same time it may be the other one that counts; the child SA that this
// one was begun for is then made by that.
static void login_again(struct ike_sa *sa, struct ike_session *s)
{
	const struct cfg_child *first = sa->first_child;
	take_addresses(sa, s);
	struct ike_sa *now = ikev1_take_over(sa, s);
	ikev1_phase1_forget(sa);
	ikev1_login_free(sa);
	if (now == sa) {
		tell_lifetime(sa, true);
		ikev1_config_begin(sa);
	} else if (first && !now->first_child) {
		now->first_child = first;
		ikev1_client_child(now);
	}
}

void ikev1_login_over(struct ike_sa *sa)
{
	bool initial_contact = sa->v1->initial_contact;
	enum ike_reason why = IKE_REASON_NONE;
	struct ike_session *before = before_of(sa);
	if (before) {
		login_again(sa, before);
		return;
	}
	// What it was to follow has gone.
	struct ike_session *s = sa->reauth_session ? NULL : session_of(sa, &why);
	if (!s) {
		ike_refused(sa->engine, sa, &sa->remote, why ? why : IKE_REASON_WRONG_STATE);
		(void)ike_sa_delete(sa);
		return;
	}
	ike_sa_established(sa);
	ikev1_phase1_forget(sa);
	ikev1_login_free(sa);
	if (!s->mode_config) // a push before the status has said it
		s->mode_config = "none";
	ike_session_established(s);
	if (!sa->initiator)
		ike_supersede(s, initial_contact);
	ike_session_watch(s);
	tell_lifetime(sa, false);
	ikev1_config_begin(sa);
}

bool ikev1_login_accepted(const struct ike_sa *sa)
{
	return sa->state == IKE_SA_LOGIN && sa->v1->login && sa->v1->login->accepted;
}

bool ikev1_login_implied(struct ike_sa *sa)
{
	if (!ikev1_login_accepted(sa))
		return false;
	if (ikev1_xauth_is_status(sa->out_progress))
		ike_exchange_end(sa->out_progress);
	ikev1_login_over(sa);
	return sa->state == IKE_SA_ESTABLISHED;
}

// ---- authorization -----------------------------------------------------------------------------

void ikev1_login_apply(struct ike_exchange *x, void *unused)
{
	ikev1_login_over(x->sa);
}

// Of the push before the status or the status itself.
static void apply_accepted(struct ike_exchange *x, void *unused)
{
	struct ike_sa *sa = x->sa;
	enum ike_reason why = IKE_REASON_NO_MEMORY;
	bool ok;
	if (ikev1_push_first(sa) && !ikev1_session_before(sa))
		ok = make_session(sa, &why) && ikev1_push(sa);
	else
		ok = ikev1_xauth_status(sa, true);
	if (!ok) {
		ike_refused(sa->engine, sa, &sa->remote, why);
		(void)ike_sa_delete(sa);
	}
}

// An XAUTH client is told by the status.
static enum ike_verdict refuse(struct ike_exchange *x, enum ike_reason why)
{
	if (!is_server(x->sa) || ike_effect_add(x, ikev1_xauth_fail, NULL, NULL) < 0)
		return ike_fail_fatal(x, why, IKEV1_NOTIFY_AUTHENTICATION_FAILED);
	ike_refused(x->sa->engine, x->sa, &x->sa->remote, why);
	return IKE_DONE;
}

// Who takes over his own session needs no room.
static enum ike_reason admit(struct ike_sa *sa)
{
	struct ike_admission a = admission_of(sa);
	return ikev1_session_before(sa) ? IKE_REASON_NONE : ike_admit(&a);
}

static enum ike_verdict authorized(struct ike_exchange *x)
{
	if (x->got == IKE_GOT_TIMEOUT)
		return refuse(x, IKE_REASON_AAA_TIMEOUT);
	if (x->aaa_status != IKE_AAA_ACCEPT)
		return refuse(x, IKE_REASON_AAA_REJECTED);
	enum ike_reason why = admit(x->sa);
	if (why != IKE_REASON_NONE)
		return refuse(x, why);
	struct ikev1_login *l = x->sa->v1->login;
	bool oom = !l;
	if (l && !l->addresses)
		l->addresses = ike_aaa_keep(&x->aaa_addresses, &oom);
	if (oom)
		return refuse(x, IKE_REASON_NO_MEMORY);
	if (ike_effect_add(x, is_server(x->sa) ? apply_accepted : ikev1_login_apply, NULL, NULL) <
		0)
		return refuse(x, IKE_REASON_NO_MEMORY);
	return IKE_DONE;
}

static enum ike_verdict authorize(struct ike_exchange *x)
{
	struct ike_peer peer = ikev1_login_peer(x->sa);
	struct ike_aaa_request rq = {.connection = x->sa->conn,
		.user = peer.user,
		.identity = peer.text,
		.remote = x->sa->remote};
	if (x->step == AUTHORIZED)
		return authorized(x);
	enum ike_reason why = admit(x->sa);
	if (why != IKE_REASON_NONE)
		return refuse(x, why);
	enum ike_verdict v = ike_wait_aaa(x, &rq, AUTHORIZED);
	return v == IKE_DONE ? authorized(x) : v;
}

bool ikev1_login_authorize(struct ike_sa *sa)
{
	struct ike_task t = {
		.name = "login", .type = IKEV1_EXCHANGE_TRANSACTION, .build = authorize};
	return ike_task_add(sa, &t) == 0;
}

// ---- the beginning -----------------------------------------------------------------------------

static void login_timeout(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_V1_LOGIN_TIMEOUT);
	ike_sa_close(sa, IKE_REASON_V1_LOGIN_TIMEOUT);
}

static bool begin(struct ike_sa *sa)
{
	sa->v1->login = calloc(1, sizeof(*sa->v1->login));
	if (!sa->v1->login)
		return false;
	sa->v1->login->identifier = (uint16_t)random_u64(sa->engine->p.random);
	if (is_server(sa))
		return ikev1_xauth_ask(sa);
	if (!sa->initiator)
		return ikev1_login_authorize(sa);
	// As XAUTH client: the gateway asks. Else whom we called is authenticated, and that is all.
	if (!sa->v1->user_auth)
		ikev1_login_over(sa);
	return true;
}

// What was agreed on, and what the peer is by its vendor IDs.
static void log_phase1(const struct ike_sa *sa)
{
	const struct ikev1_sa *v1 = sa->v1;
	char text[IKE_SA_TEXT_MAX], vendors[256] = "";
	size_t len = 0;
	for (int v = IKEV1_VID_UNKNOWN + 1; v < IKEV1_VID_COUNT && len < sizeof(vendors); v++)
		if (v1->vendors & 1u << v)
			len += (size_t)snprintf(vendors + len, sizeof(vendors) - len, ", %s",
				ikev1_vendor_name((enum ikev1_vendor)v));
	log_debug("%s %s mode over, method %s%s", ike_sa_text(sa, text),
		ikev1_exchange_name(v1->mode), ikev1_auth_name(v1->auth), vendors);
}

void ikev1_phase1_over(struct ike_exchange *x, void *unused)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	ike_count(e, IKE_REASON_V1_PHASE1);
	log_phase1(sa);
	ike_sa_state_set(sa, IKE_SA_LOGIN);
	ike_sa_spi_known(sa);
	wheel_set(&e->wheel, &sa->life, e->now_ns + IKEV1_LOGIN_S * NS_PER_S, login_timeout, sa);
	if (!begin(sa)) {
		ike_refused(e, sa, &sa->remote, IKE_REASON_NO_MEMORY);
		ike_sa_close(sa, IKE_REASON_NO_MEMORY);
	}
}
