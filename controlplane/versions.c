// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the engine wants of an IKE SA whatever its version is.
#include "controlplane/ikev1/ikev1.h"
#include "controlplane/ikev2/reauth.h"

#include <errno.h>

int ike_sa_delete(struct ike_sa *sa)
{
	return ikev1_is(sa) ? ikev1_delete_sa(sa) : ikev2_delete_ike_sa(sa);
}

int ike_sa_probe(struct ike_sa *sa)
{
	return ikev1_is(sa) ? ikev1_probe(sa) : ikev2_probe(sa);
}

int ike_child_delete(struct ike_child *child)
{
	struct ike_sa *sa = child->session->sa;
	return ikev1_is(sa) ? ikev1_delete_child(sa, child) : ikev2_delete_child(sa, child);
}

// IKEv1 has no such exchange: phase 1 is run again.
int ike_sa_rekey(struct ike_sa *sa)
{
	return ikev1_is(sa) ? ikev1_reauthenticate(sa) : ikev2_rekey_ike(sa);
}

int ike_sa_reauthenticate(struct ike_sa *sa)
{
	return ikev1_is(sa) ? ikev1_reauthenticate(sa) : ikev2_reauthenticate(sa);
}

int ike_child_rekey(struct ike_child *child)
{
	struct ike_sa *sa = child->session->sa;
	return ikev1_is(sa) ? ikev1_rekey_child(sa, child) : ikev2_rekey_child(sa, child);
}

int ike_child_add(struct ike_sa *sa, const struct cfg_child *conf)
{
	return ikev1_is(sa) ? ikev1_add_child(sa, conf) : ikev2_add_child(sa, conf);
}
