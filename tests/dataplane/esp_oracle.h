// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP by OpenSSL alone: the second opinion on every suite.
#pragma once

#include "base/sa_msg.h"

// Build ESP with the spec's keys: plaintext is the payload with its whole trailer (padding, pad
// length, next header). iv NULL: the sequence number's, or a random one for CBC. Returns bytes
// written to out, which holds len + 64 at least.
size_t oracle_seal(const struct sa_spec *s, uint64_t seq, const uint8_t *plain, size_t len,
	const uint8_t *iv, uint8_t *out);

// The same with padding 1, 2, 3, ... and next header for an inner packet.
size_t oracle_wrap(const struct sa_spec *s, uint64_t seq, const uint8_t *inner, size_t len,
	uint8_t next, uint8_t *out);

// Verify and decrypt; returns bytes of plaintext with trailer, or 0: not authentic. seq_hi: the
// high half of the sequence number, with ESN.
size_t oracle_open(
	const struct sa_spec *s, uint32_t seq_hi, const uint8_t *esp, size_t len, uint8_t *out);

// Bytes of IV and of ICV.
size_t oracle_iv_len(const struct sa_spec *s);
size_t oracle_icv_len(const struct sa_spec *s);
