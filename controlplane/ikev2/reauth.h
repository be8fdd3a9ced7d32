// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Re-authentication (RFC 4478): the side that began the first IKE SA begins a new one, and the session
// goes over to it.
#pragma once

#include "controlplane/ikev2/extension.h"

extern const struct ikev2_extension ikev2_reauth;

// Now. 0; -EBUSY: it is under way, or the IKE SA is not established; -ENOTSUP: the peer has begun this
// session; -ENOMEM.
MUST_USE int ikev2_reauthenticate(struct ike_sa *sa);
