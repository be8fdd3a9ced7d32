// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Informational exchanges (RFC 2408 4.8, RFC 2407 4.6.3), both ways: DELETE, and the notifies that
// mean something here. What arrives in clear never comes this far.
#include "controlplane/admission.h"
#include "controlplane/exchange.h"
#include "controlplane/ikev1/quick.h"

#include <errno.h>

LOG_SUBSYSTEM("ike");

#define LIFE_MIN_S 10 // of an ISAKMP SA, whatever the peer says

// ---- DELETE of the peer ------------------------------------------------------------------------

// The peer names its inbound SPI, which we send to; some (vpnc) name both of a pair. Ours alone is not
// taken for one: another pair of the peer's may have the same number on its side.
static unsigned delete_children(struct ike_session *s, const struct ikev1_delete *d)
{
	unsigned n = 0;
	for (uint16_t i = 0; s && i < d->count; i++) {
		uint32_t spi = ikev1_delete_spi(d, i);
		struct ike_child *c = spi ? ike_child_by_spi_out(s, spi) : NULL;
		if (!c)
			continue;
		ike_count(s->engine, IKE_REASON_CHILD_DELETED);
		ike_child_drop(c);
		n++;
	}
	return n;
}

// RFC 2408 3.15: the SPI of an ISAKMP SA is "the [...] cookie pair". Another one's is not this one's
// business: peers name SAs that are long gone.
static bool names_this(const struct ike_sa *sa, const struct ikev1_delete *d)
{
	struct rd r = rd_view(d->spis);
	uint64_t i, k;
	if (d->spi_len != 16)
		return false;
	while (rd_u64(&r, &i) && rd_u64(&r, &k))
		if (i == sa->spi_i && k == sa->spi_r)
			return true;
	return false;
}

static void grace_over(struct wheel_timer *t, void *arg)
{
	ikev1_sa_expire(arg, IKE_REASON_DELETED_BY_PEER, false);
}

// The children are the peer's to delete; where their DELETE comes behind this one it has still to be
// read.
// vpnc has re-authenticated and deletes the ISAKMP SA before this one, but names this one. Who leaves
// deletes its child SAs first.
static bool means_the_old_one(const struct ike_sa *sa)
{
	const struct ikev1_sa *v1 = sa->v1;
	return v1->peer_unity && v1->took_over_ns &&
	       sa->engine->now_ns - v1->took_over_ns < IKE_REAUTH_GRACE_S * NS_PER_S &&
	       ikev1_children_in_use(sa->session);
}

static void isakmp_deleted(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	struct ike_engine *e = sa->engine;
	if (sa->state == IKE_SA_ESTABLISHED && sa->session && means_the_old_one(sa)) {
		ike_refused(e, sa, &x->from.remote, IKE_REASON_V1_DELETE_UNKNOWN);
		sa->v1->took_over_ns = 0; // once
		return;
	}
	ike_count(e, IKE_REASON_DELETED_BY_PEER);
	struct ike_sa *spare = ikev1_spare_of(sa);
	if (spare && ikev1_children_in_use(sa->session) && ikev1_revive(spare)) {
		sa->v1->deleted = true;
		x->out.close_sa = true;
		x->out.close_reason = IKE_REASON_DELETED_BY_PEER;
		return;
	}
	if (sa->state == IKE_SA_ESTABLISHED && sa->session && ikev1_children_in_use(sa->session)) {
		sa->v1->deleted = true;
		ikev1_dpd_stop(sa);
		wheel_set(&e->wheel, &sa->life, e->now_ns + IKEV1_DELETE_GRACE_S * NS_PER_S,
			grace_over, sa);
		return;
	}
	x->out.close_sa = true;
	x->out.close_reason = IKE_REASON_DELETED_BY_PEER;
}

// Who leaves deletes the child SAs first; the other DELETE may be lost.
static void still_there(struct ike_sa *sa)
{
	if (sa->state == IKE_SA_ESTABLISHED && ike_sa_probe(sa) == -ENOTSUP)
		ike_session_watch(sa->session);
}

static void deletes(struct ike_exchange *x)
{
	struct ike_sa *sa = x->sa;
	unsigned children = 0, known = 0;
	bool isakmp = false;
	for (uint8_t i = 0; i < x->in1.delete_count; i++) {
		const struct ikev1_delete *d = &x->in1.deletes[i];
		if (d->protocol == IKEV1_PROTOCOL_ESP && d->spi_len == 4)
			children += delete_children(sa->session, d);
		else if (d->protocol == IKEV1_PROTOCOL_ISAKMP)
			isakmp |= names_this(sa, d);
	}
	known = children + isakmp;
	if (!known)
		ike_refused(sa->engine, sa, &x->from.remote, IKE_REASON_V1_DELETE_UNKNOWN);
	if (children && sa->session && !sa->session->child_count && !isakmp)
		still_there(sa);
	// In whatever order they stand in the message, the children went first.
	if (isakmp)
		isakmp_deleted(x);
	else if (children && sa->v1->deleted && !ikev1_children_in_use(sa->session)) {
		x->out.close_sa = true;
		x->out.close_reason = IKE_REASON_DELETED_BY_PEER;
	}
}

// ---- notifies ----------------------------------------------------------------------------------

// Our quick mode that waits for its answer.
static struct ike_exchange *pending_quick(const struct ike_sa *sa)
{
	struct ike_exchange *x;
	LIST_FOREACH (x, &sa->v1->exchanges, v1.link)
		if (x->task && x->type == IKEV1_EXCHANGE_QUICK && x->phase == IKE_PHASE_SENT)
			return x;
	return NULL;
}

// RFC 2408 3.14: the SPI is that of the SA that is spoken of; many peers leave it out.
static bool speaks_of(const struct ike_exchange *quick, const struct ikev1_notification *n)
{
	const struct ikev1_quick *q = quick->state;
	struct rd r = rd_view(n->spi);
	uint32_t spi;
	if (n->spi.len != 4)
		return true;
	return rd_u32(&r, &spi) && spi == q->spi_in;
}

// A refusal of what we have begun comes with a message id of its own.
static void error_notify(struct ike_exchange *x, const struct ikev1_notification *n)
{
	struct ike_sa *sa = x->sa;
	struct ike_exchange *quick = pending_quick(sa);
	char text[IKE_SA_TEXT_MAX];
	log_debug("%s the peer says %s (%u)", ike_sa_text(sa, text), ikev1_notify_name(n->type),
		n->type);
	if (n->type == IKEV1_NOTIFY_AUTHENTICATION_FAILED && sa->state == IKE_SA_LOGIN) {
		ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_AUTH_REFUSED);
		x->out.close_sa = true;
		x->out.close_reason = IKE_REASON_AUTH_REFUSED;
		return;
	}
	if (!quick || n->type == IKEV1_NOTIFY_INVALID_SPI || !speaks_of(quick, n)) {
		ike_count(sa->engine, IKE_REASON_V1_NOTIFY_IGNORED);
		return;
	}
	ike_refused(sa->engine, sa, &sa->remote, IKE_REASON_CHILD_REFUSED);
	ikev1_quick_refused(quick);
}

// Once: what is repeated much later must not end younger sessions.
static void initial_contact(struct ike_sa *sa)
{
	if (sa->v1->initial_contact) {
		ike_count(sa->engine, IKE_REASON_V1_NOTIFY_IGNORED);
		return;
	}
	sa->v1->initial_contact = true;
	if (sa->state == IKE_SA_ESTABLISHED && sa->session)
		ike_supersede(sa->session, true);
}

// Of the child SA that we have begun. What it may carry can no longer be changed.
static bool child_lifetime(struct ike_sa *sa, const struct ikev1_notification *n)
{
	struct rd r = rd_view(n->spi);
	uint32_t spi;
	struct ikev1_lifetime life;
	struct ike_child *c = NULL;
	if (n->protocol == IKEV1_PROTOCOL_ESP && sa->session && rd_u32(&r, &spi) && rd_empty(&r))
		c = ike_child_by_spi_out(sa->session, spi);
	if (!c || !ikev1_lifetime_parse(n->data, false, &life))
		return false;
	ike_child_shorten(c, life.seconds);
	return true;
}

// Of the ISAKMP SA, that we have begun too: until then there has to be another one.
static bool isakmp_lifetime(struct ike_sa *sa, const struct ikev1_notification *n)
{
	struct ikev1_sa *v1 = sa->v1;
	uint8_t cookies[16];
	struct ikev1_lifetime life;
	bool this = n->spi.len == 0 || view_eq(n->spi, ikev1_cookies(sa, cookies));
	if (n->protocol != IKEV1_PROTOCOL_ISAKMP || !sa->initiator || !this ||
		(sa->state != IKE_SA_LOGIN && sa->state != IKE_SA_ESTABLISHED) ||
		!ikev1_lifetime_parse(n->data, true, &life) || !life.seconds)
		return false;
	if (life.seconds < LIFE_MIN_S)
		life.seconds = LIFE_MIN_S;
	if (v1->life_s && v1->life_s <= life.seconds)
		return true;
	v1->life_s = (uint32_t)(life.seconds < UINT32_MAX ? life.seconds : UINT32_MAX);
	if (sa->state == IKE_SA_ESTABLISHED && !v1->deleted)
		ike_sa_shortened(sa);
	return true;
}

// RFC 2407 4.6.3.1, in an exchange of its own.
static void responder_lifetime(struct ike_sa *sa, const struct ikev1_notification *n)
{
	if (!child_lifetime(sa, n) && !isakmp_lifetime(sa, n))
		ike_count(sa->engine, IKE_REASON_V1_NOTIFY_IGNORED);
}

static void notify(struct ike_exchange *x, const struct ikev1_notification *n)
{
	switch (n->type) {
	case IKEV1_NOTIFY_R_U_THERE:
	case IKEV1_NOTIFY_R_U_THERE_ACK:
		ikev1_dpd_notify(x, n);
		break;
	case IKEV1_NOTIFY_INITIAL_CONTACT:
		initial_contact(x->sa);
		break;
	case IKEV1_NOTIFY_RESPONDER_LIFETIME:
		responder_lifetime(x->sa, n);
		break;
	default:
		if (n->type <= IKEV1_NOTIFY_ERROR_MAX)
			error_notify(x, n);
		else
			ike_count(x->sa->engine, IKE_REASON_V1_NOTIFY_IGNORED);
	}
}

// Everything is named by numbers and looked up as its turn comes: what one payload has ended the
// next does not find (CVE-2023-38712). The ISAKMP SA itself goes last.
enum ike_verdict ikev1_informational(struct ike_exchange *x)
{
	for (uint8_t i = 0; i < x->in1.notify_count; i++)
		notify(x, &x->in1.notifies[i]);
	if (x->in1.delete_count)
		deletes(x);
	return IKE_DONE;
}

// ---- DELETE of ours ----------------------------------------------------------------------------

int ikev1_tell_children_deleted(struct ike_sa *sa, const uint32_t *spis, uint16_t count)
{
	uint8_t buf[32 + IKEV1_TOLD_MAX * sizeof(*spis)];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_delete_esp(&b, spis, count);
	return ikev1_inform(sa, &b);
}

void ikev1_tell_deleted(struct ike_sa *sa)
{
	uint8_t buf[64];
	struct wire_builder b;
	wire_build_begin(&b, buf, sizeof(buf));
	ikev1_put_delete_isakmp(&b, sa->spi_i, sa->spi_r);
	(void)ikev1_inform(sa, &b); // it ends in any case
}

static void tell_children_deleted(struct ike_sa *sa)
{
	uint32_t spis[IKEV1_TOLD_MAX];
	uint16_t n = 0;
	struct ike_child *c;
	if (!sa->session)
		return;
	LIST_FOREACH (c, &sa->session->children, link)
		if (n < IKEV1_TOLD_MAX)
			spis[n++] = c->spi_in;
	if (n)
		(void)ikev1_tell_children_deleted(sa, spis, n);
}

// Two messages: some peers (SonicWall) take no two DELETE payloads in one. Cisco's clients (vpnc)
// begin a new quick mode when they hear that their ESP SA is gone, and wait for its answer: they learn
// first that the ISAKMP SA is.
static void tell_all_deleted(struct ike_sa *sa)
{
	if (sa->v1->peer_unity)
		ikev1_tell_deleted(sa);
	tell_children_deleted(sa);
	if (!sa->v1->peer_unity)
		ikev1_tell_deleted(sa);
	tell_children_deleted(sa); // one is lost: the child SAs would live on over there
}

int ikev1_delete_sa(struct ike_sa *sa)
{
	if (sa->state == IKE_SA_DEAD)
		return -EALREADY;
	if (sa->has_keys && sa->state >= IKE_SA_LOGIN && !sa->v1->deleted)
		tell_all_deleted(sa);
	ike_count(sa->engine, IKE_REASON_CLOSED);
	ike_sa_close(sa, IKE_REASON_CLOSED);
	return 0;
}
