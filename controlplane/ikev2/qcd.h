// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Quick crash detection (RFC 6290): each side gives the other a token that only it can make, from a
// secret that survives a restart. Shown in clear, it says that the IKE SA is no more. Without a secret
// there is none of this.
#pragma once

#include "controlplane/exchange.h"
#include "controlplane/ikev2/extension.h"

extern const struct ikev2_extension ikev2_qcd;

// A protected request (d, h) for an IKE SA that is not here: if its SPI was one of ours, the peer is
// shown the token. Rate-limited, and never larger than the request.
void ikev2_qcd_show(struct ike_engine *e, const struct ike_datagram *d, const struct ike_header *h);
// A message without protection for this IKE SA: if it holds the peer's token, the IKE SA ends without a
// word. False: it holds no token.
bool ikev2_qcd_shown(struct ike_sa *sa, const struct ike_header *h, const struct ike_message *m);
