// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// NAT detection (RFC 7296 2.23): each side tells the other, as a hash, from where to where it believes
// to send. Control thread.
#pragma once

#include "controlplane/engine.h"

#define IKEV2_NAT_HASH_LEN 20

// Appends both notifies for a message from path->local to path->remote. spi_r: 0 in a request of
// IKE_SA_INIT. False: the crypto library failed.
MUST_USE bool ikev2_nat_put(
	struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path);

// What the notifies of a message say that has come by path->remote to path->local. Where one is not
// there nothing is known of that side.
struct ikev2_nat {
	bool source, destination; // the peer has sent the notify
	bool remote, local;       // a NAT is in front of the peer, of us
};
struct ikev2_nat ikev2_nat_read(
	const struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path);
// The same into x->sa, as far as it is known.
void ikev2_nat_detect(struct ike_exchange *x, uint64_t spi_r, const struct ike_datagram *path);
