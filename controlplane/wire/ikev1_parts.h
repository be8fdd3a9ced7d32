// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the files of IKEv1's wire share among themselves.
#pragma once

#include "controlplane/wire/ikev1.h"

// One attribute, RFC 2408 3.3, of an SA payload or an ATTRIBUTES payload.
MUST_USE bool ikev1_attr_read(struct rd *r, struct ikev1_attr *out);
// A value of 1 to 8 bytes in either form.
MUST_USE bool ikev1_attr_value(const struct ikev1_attr *a, uint64_t *out);

// The registries of algorithms in which IKEv1 has numbers of its own.
enum ikev1_registry {
	IKEV1_REG_IKE_ENCR,
	IKEV1_REG_IKE_HASH,       // the PRF is the HMAC of the hash
	IKEV1_REG_IKE_HASH_INTEG, // the same number as the suite's integrity, for its text
	IKEV1_REG_ESP_ENCR,       // transform ids
	IKEV1_REG_ESP_AUTH,
};

// The wire's number to the id of base/algs.h, and back. 0: there is none.
uint16_t ikev1_alg_id(enum ikev1_registry registry, uint64_t number);
uint16_t ikev1_alg_number(enum ikev1_registry registry, uint16_t id);
