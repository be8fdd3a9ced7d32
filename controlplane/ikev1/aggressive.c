// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Aggressive mode (RFC 2409 5), both roles, three messages. The responder shows a hash of the
// pre-shared key to whoever asks, and to a guess at it: so it is answered only where the
// configuration says so, and alike whether the identity is known or not.
#include "controlplane/ikev1/phase1.h"

#include "controlplane/handshake.h"
#include "controlplane/index.h"

#define NONCE_SHORT   16 // bytes: where the longer one would make the answer larger than the question
#define HASHES_MORE   128 // bytes by which an answer without certificates may be the larger one
#define SIGNATURE_LEN 256 // bytes, about

static enum ike_verdict bad_ke(struct ike_exchange *x, enum ike_reason why)
{
	return ike_fail_fatal(x, why, 0);
}

// ---- responder: the third message ----------------------------------------------------------------

static enum ike_verdict third_request(struct ike_exchange *x)
{
	enum ike_verdict v;
	if (x->step == IKEV1_VERIFIED) {
		v = ikev1_proof_verified(x);
	} else {
		ikev1_read_vendors(x);
		ikev1_read_contact(x);
		ikev1_natt_detect(x);
		v = ikev1_proof_verify(x);
	}
	return v == IKE_DONE ? ikev1_authenticated(x) : v;
}

// ---- responder: the second message ---------------------------------------------------------------

static void put_second(struct ike_exchange *x, size_t room)
{
	ikev1_put_id(x);
	if (ikev1_signs(x->sa->v1->auth, true))
		ikev1_put_certreqs(x);
	ikev1_put_proof(x);
	ikev1_natt_put(x);
	ikev1_put_vendors(x, room);
}

// As put_second() will make it, without what may be left out.
static size_t second_len(struct ike_exchange *x)
{
	static const uint8_t zeros[1024];
	const struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	struct wire_builder *b = &x->out.b;
	uint16_t prf = ikev1_hash_prf(sa->v1->auth, sa->suite.prf);
	p->proof.len = ikev1_signs(sa->v1->auth, false) ? SIGNATURE_LEN : alg_prf(prf)->len;
	ikev1_build_choice(b, &p->choice, 0);
	ikev1_put_ke(b, (struct view){zeros, alg_dh(sa->suite.dh)->public_len});
	ikev1_put_nonce(b, (struct view){zeros, p->nonce_len});
	put_second(x, 0);
	size_t len = IKE_HEADER_LEN + b->w.len;
	wire_build_begin(b, b->w.base, b->w.cap);
	return len;
}

bool ikev1_larger_reply(struct ike_sa *sa)
{
	struct ike_engine *e = sa->engine;
	uint32_t suppressed;
	return sa->initiator || sa->state > IKE_SA_PHASE1 ||
	       sa->v1->mode != IKEV1_EXCHANGE_AGGRESSIVE ||
	       log_limit_pass(&e->larger_replies, e->now_ns, &suppressed);
}

// VU#419128: the address has proven nothing. The answer is no larger than the question, as far as
// that can be; certificates do not fit, and the hashes of a peer with little else to say (SHA-2 with
// one transform and two vendor IDs) may not by some bytes. Of those that are larger only some leave
// in a while, whoever asks.
static bool may_answer(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	if (second_len(x) <= x->from_len)
		return true;
	p->nonce_len = NONCE_SHORT;
	size_t len = second_len(x);
	if (len <= x->from_len)
		return true;
	bool signs = ikev1_signs(x->sa->v1->auth, false);
	return (signs || len - x->from_len <= HASHES_MORE) && ikev1_larger_reply(x->sa);
}

static enum ike_verdict second_reply(struct ike_exchange *x)
{
	put_second(x, x->from_len);
	ike_next_state(x, IKE_SA_PHASE1);
	ikev1_send_as(x, IKEV1_FORM_AGGRESSIVE_2);
	ikev1_expect(x, third_request, IKEV1_FORM_AGGRESSIVE_3);
	return IKE_DONE;
}

static enum ike_verdict second_make(struct ike_exchange *x)
{
	const struct ikev1_phase1 *p = ikev1_phase1_of(x);
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	ikev1_build_choice(&x->out.b, &p->choice, 0);
	if (!ikev1_own_ke(x, ike_dh_public(IKE_JOB_AS(ike_dh_job, x->job)->dh)))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	enum ike_verdict v = ikev1_take_shared(x);
	if (v == IKE_DONE)
		v = ikev1_proof_make(x);
	return v == IKE_DONE ? second_reply(x) : v;
}

// ---- responder: the first message ----------------------------------------------------------------

static enum ike_verdict first_checked(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	ikev1_read_vendors(x);
	ikev1_read_certreqs(x);
	sa->v1->natt = ikev1_natt_best(sa->v1->vendors, &p->natt);
	if (p->stranger)
		ike_count(sa->engine, IKE_REASON_V1_NO_GROUP);
	enum ike_reason why = ikev1_proof_self(x);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, 0);
	if (!may_answer(x))
		return ike_fail_fatal(x, IKE_REASON_NO_REPLY_AMPLIFY, 0);
	struct ike_dh_job *job = ike_dh_job_respond(sa->suite.dh, secret_view(&sa->v1->ke_i));
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}

static enum ike_verdict first_request(struct ike_exchange *x)
{
	uint16_t notify;
	if (!ikev1_phase1_new(x))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	if (!ikev1_take_id(x))
		return ike_fail_fatal(x, IKE_REASON_BAD_ID, 0);
	enum ike_reason why = ikev1_choose_aggressive(x, &notify);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, notify);
	why = ikev1_take_ke(x);
	return why == IKE_REASON_NONE ? first_checked(x) : bad_ke(x, why);
}

enum ike_verdict ikev1_aggressive_request(struct ike_exchange *x)
{
	enum ike_verdict v;
	switch (x->step) {
	case IKEV1_DH:
		return second_make(x);
	case IKEV1_SIGNED:
		v = ikev1_proof_signed(x);
		return v == IKE_DONE ? second_reply(x) : v;
	default:
		return first_request(x);
	}
}

// ---- initiator -------------------------------------------------------------------------------------

static void third_again(struct wheel_timer *t, void *arg)
{
	struct ike_sa *sa = arg;
	struct ike_engine *e = sa->engine;
	struct ikev1_sa *v1 = sa->v1;
	struct ike_datagram to = ike_sa_path(sa);
	if (!v1->phase1_done.sent || v1->third_tries >= IKEV1_TRIES)
		return;
	ike_count(e, IKE_REASON_RETRANSMITTED);
	ike_sent_send(e, v1->phase1_done.sent, &to);
	wheel_set(&e->wheel, &v1->third, e->now_ns + (IKE_RETRANSMIT_BASE_NS << v1->third_tries++),
		third_again, sa);
}

// Who calls has the time to say it again, and a responder that has not heard it says nothing.
static void third_watch(struct ike_exchange *x, void *unused)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	sa->v1->third_tries = 1;
	wheel_set(&e->wheel, &sa->v1->third, e->now_ns + IKE_RETRANSMIT_BASE_NS, third_again, sa);
}

static enum ike_verdict third_put(struct ike_exchange *x)
{
	ikev1_put_proof(x);
	ikev1_natt_put(x);
	ikev1_put_contact(x);
	ikev1_send_as(x, IKEV1_FORM_AGGRESSIVE_3);
	if (ike_effect_add(x, third_watch, NULL, NULL) < 0)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	return ikev1_authenticated(x);
}

static enum ike_verdict third_make(struct ike_exchange *x)
{
	// NAT-D covers the ports that the message will have.
	ikev1_natt_float(x, NULL);
	enum ike_reason why = ikev1_proof_self(x);
	if (why != IKE_REASON_NONE)
		return ikev1_refuse(x, why);
	enum ike_verdict v = ikev1_proof_make(x);
	return v == IKE_DONE ? third_put(x) : v;
}

static enum ike_verdict second_keys(struct ike_exchange *x)
{
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	enum ike_verdict v = ikev1_take_shared(x);
	if (v == IKE_DONE)
		v = ikev1_proof_verify(x);
	return v == IKE_DONE ? third_make(x) : v;
}

static enum ike_reason second_take(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	enum ikev1_vendor vid;
	enum ike_reason why = ikev1_take_choice(x);
	if (why == IKE_REASON_NONE && sa->suite.dh != p->offer.group)
		why = IKE_REASON_PROPOSAL_ALTERED;
	if (why == IKE_REASON_NONE)
		why = ikev1_take_ke(x);
	if (why != IKE_REASON_NONE)
		return why;
	if (!ikev1_take_id(x))
		return IKE_REASON_BAD_ID;
	if (sa->conn->remote.id &&
		ike_id_fit(sa->conn->remote.id, ike_id_view(&sa->v1->peer.id)) == 0)
		return IKE_REASON_NO_PEER;
	ikev1_read_vendors(x);
	ikev1_read_certreqs(x);
	sa->v1->natt = ikev1_natt_best(sa->v1->vendors, &vid);
	ikev1_natt_detect(x);
	ikev1_find_psk(x);
	return p->stranger ? IKE_REASON_NO_PSK : IKE_REASON_NONE;
}

static enum ike_verdict second_answer(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	enum ike_verdict v;
	switch (x->step) {
	case IKEV1_DH:
		return second_keys(x);
	case IKEV1_VERIFIED:
		v = ikev1_proof_verified(x);
		return v == IKE_DONE ? third_make(x) : v;
	case IKEV1_SIGNED:
		v = ikev1_proof_signed(x);
		return v == IKE_DONE ? third_put(x) : v;
	}
	enum ike_reason why = second_take(x);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, 0);
	struct ike_dh_job *job = ike_dh_job_derive(p->dh, secret_view(&x->sa->v1->ke_r));
	p->dh = NULL;
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}

static enum ike_verdict first_put(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	const struct cfg_connection *conn = x->sa->conn;
	enum ike_reason why = ike_dh_reason(x);
	if (why != IKE_REASON_NONE)
		return bad_ke(x, why);
	p->dh = ike_dh_job_take(IKE_JOB_AS(ike_dh_job, x->job));
	x->sa->v1->auth = p->offer.auths[0]; // our identity may be that of the certificate
	why = ikev1_proof_self(x);
	if (why != IKE_REASON_NONE)
		return ike_fail_fatal(x, why, 0);
	if (!ikev1_put_offer(x) || !ikev1_own_ke(x, ike_dh_public(p->dh)))
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	ikev1_put_id(x);
	if (conn->remote.auth == CFG_AUTH_CERT)
		ikev1_put_certreqs(x);
	ikev1_offer_vendors(x);
	ike_next_state(x, IKE_SA_PHASE1);
	ikev1_send_as(x, IKEV1_FORM_AGGRESSIVE_1);
	ikev1_expect(x, second_answer, IKEV1_FORM_AGGRESSIVE_2);
	return IKE_DONE;
}

enum ike_verdict ikev1_aggressive_build(struct ike_exchange *x)
{
	struct ikev1_phase1 *p = ikev1_phase1_of(x);
	if (x->step == IKEV1_DH)
		return first_put(x);
	p = ikev1_phase1_new(x);
	if (!p)
		return ike_fail_fatal(x, IKE_REASON_NO_MEMORY, 0);
	if (!ikev1_set_offer(x))
		return ike_fail_fatal(x, IKE_REASON_NO_OWN_CERT, 0);
	struct ike_dh_job *job = ike_dh_job_generate(p->offer.group);
	return ike_wait_job(x, job ? &job->base.job : NULL, IKEV1_DH);
}
