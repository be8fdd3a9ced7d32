// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// One worker and one tunnel over NAT-T, for the tests of ESP: what they start with, and what they
// send through it again and again.
#pragma once

#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define EC_PEER  "198.51.100.7"
#define EC_INNER "10.1.0.2"
#define EC_HOST  "10.99.0.5"

struct ec {
	struct sa_spec in, out; // of the child that was made last
	uint32_t tunnel;
};

extern struct ec ec;

// A tunnel that is treated, and its child: the last worker's.
struct ec_way {
	const char *inner, *peer;
	uint16_t port; // of the peer; 0: plain ESP
	struct tunnel_treatment treat;
	uint16_t encr, bits, integ; // AES-GCM-128 if 0
	uint16_t tfc;
	bool per_worker;
};
void ec_make(const struct ec_way *way);
#define EC_WAY(i, p, n, ...)                                                     \
	{                                                                        \
		.inner = (i), .peer = (p), .port = (n), .treat = { __VA_ARGS__ } \
	}
#define EC_MAKE(...) ec_make(&(struct ec_way)EC_WAY(__VA_ARGS__))

// cmocka's setups: one worker or two, no tunnel.
int ec_start_one(void **state);
int ec_start_two(void **state);

// cmocka's setups and teardown: with AES-GCM, with the reference configuration's suite (esp-des
// esp-md5-hmac), without a tunnel.
int ec_start(void **state);
int ec_start_legacy(void **state);
int ec_start_bare(void **state);
int ec_stop(void **state);

// An inner packet from the peer by ec.in; the workers run.
void ec_esp_in(uint64_t seq, const uint8_t *inner, size_t len, uint8_t next);
// A small one, good in every way.
void ec_ping_in(uint64_t seq);
// How many packets left on the inside since last asked.
size_t ec_inside_packets(void);
// The next packet on the inside is this one, a hop on.
void ec_forwarded(const uint8_t *sent, size_t len);
// One direction of a new child of the tunnel, with these limits and selectors.
struct sa_spec ec_child_with(struct sa_spec spec, enum sa_dir dir);
