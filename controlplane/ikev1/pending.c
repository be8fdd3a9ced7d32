// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Handlers that are not written yet refuse. Weak: each gives way to its own file.
#include "controlplane/ikev1/quick.h"

#define WEAK __attribute__((weak))

#define REFUSES(name)                                                \
	WEAK enum ike_verdict name(struct ike_exchange *x)           \
	{                                                            \
		return ike_fail_fatal(x, IKE_REASON_WRONG_STATE, 0); \
	}

REFUSES(ikev1_transaction_request)

WEAK void ikev1_phase1_over(struct ike_exchange *x, void *unused)
{
	ike_sa_close(x->sa, IKE_REASON_WRONG_STATE);
}

WEAK void ikev1_login_free(struct ike_sa *sa)
{
}

WEAK bool ikev1_login_implied(struct ike_sa *sa)
{
	return false;
}

WEAK void ikev1_config_free(struct ike_sa *sa)
{
}

WEAK void ikev1_config_quick(struct ike_sa *sa, const struct ip_addr *claimed)
{
}

WEAK bool ikev1_reclaimable(const struct ike_session *s, const struct ip_addr *claimed)
{
	return false;
}

WEAK enum ike_verdict ikev1_reclaim(
	struct ike_exchange *x, const struct ip_addr *claimed, int next_step)
{
	return IKE_DONE;
}

WEAK bool ikev1_reclaimed(struct ike_exchange *x, const struct ip_addr *claimed)
{
	return false;
}
