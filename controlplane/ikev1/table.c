// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// IKEv1's state table: which exchange the peer may begin in which state, and who takes its first
// message. What has no row is dropped, or kept until phase 1 or the login is over.
#include "controlplane/ikev1/ikev1.h"

static const struct ikev1_row rows[] = {
	{IKE_SA_NEW, IKEV1_EXCHANGE_MAIN, IKEV1_FORM_SA, ikev1_main_request},
	{IKE_SA_NEW, IKEV1_EXCHANGE_AGGRESSIVE, IKEV1_FORM_AGGRESSIVE_1, ikev1_aggressive_request},

	// Nothing but the login itself, and what says that the peer lives, goes or begins anew.
	{IKE_SA_LOGIN, IKEV1_EXCHANGE_TRANSACTION, IKEV1_FORM_TRANSACTION,
		ikev1_transaction_request},
	{IKE_SA_LOGIN, IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_FORM_INFORMATIONAL, ikev1_informational},

	{IKE_SA_ESTABLISHED, IKEV1_EXCHANGE_TRANSACTION, IKEV1_FORM_TRANSACTION,
		ikev1_transaction_request},
	{IKE_SA_ESTABLISHED, IKEV1_EXCHANGE_QUICK, IKEV1_FORM_QUICK_1, ikev1_quick_request},
	{IKE_SA_ESTABLISHED, IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_FORM_INFORMATIONAL,
		ikev1_informational},

	// Its session has gone to a younger ISAKMP SA.
	// The peer goes on with it all the same.
	{IKE_SA_REKEYED, IKEV1_EXCHANGE_QUICK, IKEV1_FORM_QUICK_1, ikev1_quick_request},
	{IKE_SA_REKEYED, IKEV1_EXCHANGE_INFORMATIONAL, IKEV1_FORM_INFORMATIONAL,
		ikev1_informational},
};

const struct ikev1_row *ikev1_row_find(const struct ike_sa *sa, uint8_t exchange)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (rows[i].state == sa->state && rows[i].exchange == exchange)
			return &rows[i];
	return NULL;
}
