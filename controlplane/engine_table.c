// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The IKE SA's state machine: which message is taken in which state, by which handler, and where
// that may lead. What has no row is dropped before authentication, and refused after it.
#include "controlplane/exchange.h"

#define S(name) (1u << IKE_SA_##name)

static const struct ike_row rows[] = {
	// state, exchange, role, response, handler, next
	{IKE_SA_NEW, IKEV2_EXCHANGE_IKE_SA_INIT, 'r', false, ikev2_sa_init_request, S(INIT_DONE)},
	{IKE_SA_INIT_SENT, IKEV2_EXCHANGE_IKE_SA_INIT, 'i', true, NULL, S(INIT_DONE)},
	{IKE_SA_INIT_DONE, IKEV2_EXCHANGE_IKE_AUTH, 'r', false, ikev2_auth_request, S(ESTABLISHED)},
	{IKE_SA_AUTH_SENT, IKEV2_EXCHANGE_IKE_AUTH, 'i', true, NULL, S(ESTABLISHED)},

	{IKE_SA_ESTABLISHED, IKEV2_EXCHANGE_CREATE_CHILD_SA, '*', false, ikev2_create_child_request,
		S(REKEYED)},
	{IKE_SA_ESTABLISHED, IKEV2_EXCHANGE_CREATE_CHILD_SA, '*', true, NULL, S(REKEYED)},
	{IKE_SA_ESTABLISHED, IKEV2_EXCHANGE_INFORMATIONAL, '*', false, ikev2_informational_request,
		0},
	{IKE_SA_ESTABLISHED, IKEV2_EXCHANGE_INFORMATIONAL, '*', true, NULL, 0},

	// RFC 7296 2.25.2: a peer that is asked for a child SA on an IKE SA that it is about to rekey
	// away or to close answers TEMPORARY_FAILURE.
	{IKE_SA_REKEYED, IKEV2_EXCHANGE_CREATE_CHILD_SA, '*', false, ikev2_refuse_request, 0},
	{IKE_SA_REKEYED, IKEV2_EXCHANGE_CREATE_CHILD_SA, '*', true, NULL, 0},
	{IKE_SA_REKEYED, IKEV2_EXCHANGE_INFORMATIONAL, '*', false, ikev2_informational_request, 0},
	{IKE_SA_REKEYED, IKEV2_EXCHANGE_INFORMATIONAL, '*', true, NULL, 0},
	{IKE_SA_DELETING, IKEV2_EXCHANGE_CREATE_CHILD_SA, '*', false, ikev2_refuse_request, 0},
	{IKE_SA_DELETING, IKEV2_EXCHANGE_INFORMATIONAL, '*', false, ikev2_informational_request, 0},
	{IKE_SA_DELETING, IKEV2_EXCHANGE_INFORMATIONAL, '*', true, NULL, 0},
};

// Transitions by messages stand above; these are by our own doing: requests that we build, rekeying
// (a new IKE SA starts established), DELETE.
static const unsigned own_next[] = {
	[IKE_SA_NEW] = S(INIT_SENT) | S(INIT_DONE) | S(PHASE1) | S(ESTABLISHED),
	[IKE_SA_INIT_SENT] = S(INIT_DONE),
	[IKE_SA_INIT_DONE] = S(AUTH_SENT) | S(ESTABLISHED),
	[IKE_SA_AUTH_SENT] = S(ESTABLISHED) | S(DELETING),
	[IKE_SA_PHASE1] = S(LOGIN),
	[IKE_SA_LOGIN] = S(ESTABLISHED),
	[IKE_SA_ESTABLISHED] = S(REKEYED) | S(DELETING) | S(EXPIRED),
	[IKE_SA_REKEYED] = S(DELETING) | S(ESTABLISHED), // back: IKEv1, reauth.c
	[IKE_SA_DELETING] = 0,
	[IKE_SA_EXPIRED] = 0,
	[IKE_SA_DEAD] = 0,
};

const struct ike_row *ike_row_find(const struct ike_sa *sa, uint8_t exchange, bool is_response)
{
	char role = sa->initiator ? 'i' : 'r';
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct ike_row *r = &rows[i];
		if (r->state == sa->state && r->exchange == exchange &&
			r->is_response == is_response && (r->role == '*' || r->role == role))
			return r;
	}
	return NULL;
}

bool ike_transition_allowed(enum ike_sa_state a, enum ike_sa_state b)
{
	if (a == IKE_SA_DEAD)
		return false;
	return b == IKE_SA_DEAD || a == b || (own_next[a] & (1u << b));
}
