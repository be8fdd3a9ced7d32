// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Main mode (RFC 2409 5), both roles: two messages for the suite, two for the keys, two for who is
// who. DH begins with the third message, when the peer has shown that it is where it says.
#include "controlplane/ikev1/phase1.h"

#include "controlplane/handshake.h"
#include "controlplane/index.h"

static enum ike_verdict bad_ke(struct ike_exchange *x, enum ike_reason why)
{
	bool theirs = why == IKE_REASON_BAD_KE || why == IKE_REASON_BAD_NONCE;
	return ike_fail_fatal(
		x, why, theirs && !x->initiator ? IKEV1_NOTIFY_INVALID_KEY_INFORMATION : 0);
}

// ---- responder: messages 5 and 6 -----------------------------------------------------------------

static enum ike_verdict put_auth(struct ike_exchange *x)
{
	ikev1_put_id(x);
	ikev1_put_proof(x);
	ikev1_put_settles(x);
	ikev1_send_as(x, IKEV1_FORM_AUTH);
	return IKE_DONE;
}

static enum ike_verdict auth_reply(struct ike_exchange *x)
{
	put_auth(x);
	return ikev1_authenticated(x);
}

static enum ike_verdict auth_own(struct ike_exchange *x)
{
	enum ike_reason why = ikev1_proof_self(x);
	if (why != IKE_REASON_NONE)
		return ikev1_refuse(x, why);
	enum ike_verdict v = ikev1_proof_make(x);
	return v == IKE_DONE ? auth_reply(x) : v;
}

// The key was found by address: one that is meant for this identity would have been another.
static bool key_serves(const struct ike_exchange *x)
{
	const struct ike_sa *sa = x->sa;
	return !sa->v1->psk || ike_psk_serves(sa->engine->index, sa->v1->psk,
				       ike_id_view(&sa->v1->peer.id), &x->from.remote.addr);
}

static enum ike_verdict auth_begin(struct ike_exchange *x)
{
	if (!ikev1_take_id(x))
		return ikev1_refuse(x, IKE_REASON_BAD_ID);
	ikev1_read_vendors(x);
	ikev1_read_certreqs(x);
	ikev1_read_contact(x);
	if (!ikev1_choose_by_id(x))
		return ikev1_refuse(x, IKE_REASON_NO_PEER);
	if (!key_serves(x))
		return ikev1_refuse(x, IKE_REASON_NO_PSK);
	enum ike_verdict v = ikev1_proof_verify(x);
	return v == IKE_DONE ? auth_own(x) : v;
}

static enum ike_verdict auth_request(struct ike_exchange *x)
{
	enum ike_verdict v;
	switch (x->step) {
	case IKEV1_VERIFIED:
		v = ikev1_proof_verified(x);
		return v == IKE_DONE ? auth_own(x) : v;
	case IKEV1_SIGNED:
		v = ikev1_proof_signed(x);
		return v == IKE_DONE ? auth_reply(x) : v;
	default:
		return auth_begin(x);
	}
}

// ---- responder: messages 3 and 4 -----------------------------------------------------------------

static enum ike_verdict ke_reply(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	if (!ikev1_own_ke(x, ike_dh_public(IKE_JOB_AS(ike_dh_job, x->job)->dh)))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_natt_put(x);
	if (ikev1_signs(sa->v1->auth, true))
		ikev1_put_certreqs(x);
	ikev1_find_psk(x);
	ikev1_send_as(x, IKEV1_FORM_KE);
	ikev1_expect(x, auth_request, IKEV1_FORM_AUTH);
	return ikev1_take_shared(x);
}

static enum ike_verdict ke_request(struct ike_exchange *x)
{
	if (x->step == IKEV1_DH)
		return ke_reply(x);
	enum ike_reason why = ikev1_take_ke(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	ikev1_read_vendors(x);
	ikev1_read_certreqs(x);
	ikev1_natt_detect(x);
	struct ike_dh_job *job = ike_dh_job_respond(x->sa->suite.dh, secret_view(&x->sa->v1->ke_i));
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}

// ---- responder: messages 1 and 2 -----------------------------------------------------------------

enum ike_verdict ikev1_main_request(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_new(x);
	uint16_t notify;
	if (!p)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	enum ike_reason why = ikev1_choose(x, &notify);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, notify);
	ikev1_read_vendors(x);
	sa->v1->natt = ikev1_natt_best(sa->v1->vendors, &p->natt);
	ikev1_build_choice(&x->out.b, &p->choice, 0);
	ikev1_put_vendors(x, x->from_len);
	// VU#419128: an address that has not answered yet gets no more than it sent.
	if (IKE_HEADER_LEN + x->out.b.w.len > x->from_len)
		return ike_fail_fatal(x, IKE_REASON_NO_REPLY_AMPLIFY, 0);
	ike_next_state(x, IKE_SA_PHASE1);
	ikev1_send_as(x, IKEV1_FORM_SA);
	ikev1_expect(x, ke_request, IKEV1_FORM_KE);
	return IKE_DONE;
}

// ---- initiator: messages 5 and 6 -----------------------------------------------------------------

static enum ike_verdict auth_answer(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	enum ike_verdict v;
	if (x->step == IKEV1_VERIFIED) {
		v = ikev1_proof_verified(x);
		return v == IKE_DONE ? ikev1_authenticated(x) : v;
	}
	if (!ikev1_take_id(x))
		return ikev1_refuse(x, IKE_REASON_BAD_ID);
	if (sa->conn->remote.id &&
		ike_id_fit(sa->conn->remote.id, ike_id_view(&sa->v1->peer.id)) == 0)
		return ikev1_refuse(x, IKE_REASON_NO_PEER);
	ikev1_read_vendors(x);
	v = ikev1_proof_verify(x);
	return v == IKE_DONE ? ikev1_authenticated(x) : v;
}

static enum ike_verdict auth_put(struct ike_exchange *x)
{
	put_auth(x);
	ikev1_put_contact(x);
	ikev1_expect(x, auth_answer, IKEV1_FORM_AUTH);
	if (ike_effect_add(x, ikev1_natt_float, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return IKE_DONE;
}

static enum ike_verdict auth_build(struct ike_exchange *x)
{
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	ikev1_find_psk(x);
	if (ikev1_phase1_of(x)->stranger)
		return ikev1_refuse(x, IKE_REASON_NO_PSK);
	enum ike_verdict v = ikev1_take_shared(x);
	if (v != IKE_DONE)
		return v;
	why = ikev1_proof_self(x);
	if (why != IKE_REASON_NONE)
		return ikev1_refuse(x, why);
	v = ikev1_proof_make(x);
	return v == IKE_DONE ? auth_put(x) : v;
}

// ---- initiator: messages 3 and 4 -----------------------------------------------------------------

static enum ike_verdict ke_answer(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	enum ike_verdict v;
	if (x->step == IKEV1_DH)
		return auth_build(x);
	if (x->step == IKEV1_SIGNED) {
		v = ikev1_proof_signed(x);
		return v == IKE_DONE ? auth_put(x) : v;
	}
	enum ike_reason why = ikev1_take_ke(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	ikev1_read_vendors(x);
	ikev1_read_certreqs(x);
	ikev1_natt_detect(x);
	struct ike_dh_job *job = ike_dh_job_derive(p->dh, secret_view(&x->sa->v1->ke_r));
	p->dh = NULL;
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}

static enum ike_verdict ke_put(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	p->dh = ike_dh_job_take(IKE_JOB_AS(ike_dh_job, x->job));
	if (!ikev1_own_ke(x, ike_dh_public(p->dh)))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_natt_put(x);
	if (ikev1_signs(x->sa->v1->auth, false))
		ikev1_put_certreqs(x);
	ikev1_send_as(x, IKEV1_FORM_KE);
	ikev1_expect(x, ke_answer, IKEV1_FORM_KE);
	return IKE_DONE;
}

// ---- initiator: messages 1 and 2 -----------------------------------------------------------------

static enum ike_verdict sa_answer(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	enum ikev1_vendor vid;
	if (x->step == IKEV1_DH)
		return ke_put(x);
	enum ike_reason why = ikev1_take_choice(x);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, 0);
	ikev1_read_vendors(x);
	sa->v1->natt = ikev1_natt_best(sa->v1->vendors, &vid);
	struct ike_dh_job *job = ike_dh_job_generate(sa->suite.dh);
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}

enum ike_verdict ikev1_main_build(struct ike_exchange *x)
{
	if (!ikev1_phase1_new(x))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	if (!ikev1_set_offer(x))
		return ike_fail_fatal(x, IKE_REASON_NO_OWN_CERT, 0);
	if (!ikev1_put_offer(x))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_offer_vendors(x);
	ike_next_state(x, IKE_SA_PHASE1);
	ikev1_send_as(x, IKEV1_FORM_SA);
	ikev1_expect(x, sa_answer, IKEV1_FORM_SA);
	return IKE_DONE;
}
