// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Handlers that are not written yet refuse. Weak: each gives way to its own file.
#include "controlplane/ikev1/ikev1.h"

#include <errno.h>

#define WEAK __attribute__((weak))

#define REFUSES(name)                                                \
	WEAK enum ike_verdict name(struct ike_exchange *x)           \
	{                                                            \
		return ike_fail_fatal(x, IKE_REASON_WRONG_STATE, 0); \
	}

REFUSES(ikev1_main_request)
REFUSES(ikev1_main_build)
REFUSES(ikev1_aggressive_request)
REFUSES(ikev1_aggressive_build)
REFUSES(ikev1_quick_request)
REFUSES(ikev1_informational)

WEAK int ikev1_add_child(struct ike_sa *sa, const struct cfg_child *conf)
{
	return -ENOTSUP;
}

WEAK int ikev1_rekey_child(struct ike_sa *sa, struct ike_child *child)
{
	return -ENOTSUP;
}

WEAK int ikev1_delete_child(struct ike_sa *sa, struct ike_child *child)
{
	return -ENOTSUP;
}

WEAK int ikev1_delete_sa(struct ike_sa *sa)
{
	ike_sa_close(sa, IKE_REASON_CLOSED);
	return 0;
}

WEAK int ikev1_probe(struct ike_sa *sa)
{
	return -ENOTSUP;
}

WEAK void ikev1_sa_expire(struct ike_sa *sa, enum ike_reason why, bool tell)
{
	ike_sa_close(sa, why);
}
