// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The key that a NIC really hashes with, out of hashes that it delivered with packets. A Toeplitz hash
// is linear in the key: bit j of it is the sum (mod 2) of key bits i + j over all bits i of the input
// that are set. So each packet gives 32 equations, and some tens of packets the part of the key that
// matters.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RSS_KEY_BITS  416                            // 52 bytes
#define RSS_INPUT_MAX 36                             // bytes: IPv6 addresses and ports
#define RSS_ROW       ((RSS_KEY_BITS + 1 + 63) / 64) // the last bit is the right-hand side

struct rss_sample {
	uint8_t input[RSS_INPUT_MAX]; // wire order
	uint8_t len;                  // bytes, a multiple of 4
	uint16_t queue;               // that it came to
	uint32_t hash;                // as delivered
};

struct rss_system {
	uint64_t rows[RSS_KEY_BITS][RSS_ROW]; // the equation that begins with this key bit; or 0
	unsigned rank;
};

void rss_system_init(struct rss_system *s);
// False: it contradicts what others said, so this NIC hashes something else, or otherwise.
bool rss_system_add(struct rss_system *s, const struct rss_sample *x);
// Put what is known into the key; other bits stay as they are.
void rss_system_solve(const struct rss_system *s, uint8_t key[RSS_KEY_BITS / 8]);
