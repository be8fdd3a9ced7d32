// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The library alone: between what sets it up (bench_bound.c) and the loops that are timed
// (bench_bound_run.c).
#pragma once

#include "perf/bench.h"

enum bound_kind { BOUND_GCM, BOUND_CHACHA, BOUND_SPLIT };

struct bound_split {
	uint8_t enc[16 * 15] __attribute__((aligned(16)));
	uint8_t dec[16 * 15] __attribute__((aligned(16)));
	uint8_t inner[64] __attribute__((aligned(16)));
	uint8_t outer[64] __attribute__((aligned(16)));
};

struct bound_op {
	const uint8_t *key;
	uint8_t *text;
	uint32_t len, seq;
	uint8_t iv[16], aad[16];
	uint8_t tag[64]; // a line of its own
} __attribute__((aligned(64)));

struct bench_bound {
	const struct bench_suite *suite;
	const struct bench_lane *lane;
	IMB_MGR *mgr;
	enum bound_kind kind;
	IMB_CIPHER_MODE mode;
	IMB_HASH_ALG hash;
	size_t stride; // of keys
	uint32_t count;
	uint8_t *keys[BENCH_DISTANCES];
	struct gcm_context_data gcm;
	struct chacha20_poly1305_context_data chacha;
	struct bound_op ops[BENCH_ROUND] __attribute__((aligned(64)));
};
