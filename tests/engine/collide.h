// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The collision matrix: what happens when both ends of a tunnel begin something at the same moment,
// and a message of it is lost, late, doubled, or all of them are.
//
// Each case is a run of its own: two engines, up; both sides begin; time passes until retransmissions,
// graces and DPD are over. Then both ends have to agree, nothing may be left over, what lives has to
// work, and no inner packet may have been lost meanwhile.
#pragma once

#include "tests/engine/bench.h"

enum collide_action {
	COLLIDE_NOTHING,
	COLLIDE_CHILD_REKEY,
	COLLIDE_IKE_REKEY,
	COLLIDE_CHILD_DELETE,
	COLLIDE_IKE_DELETE,
	COLLIDE_REAUTH,
	COLLIDE_ACTIONS,
};

// Two machines, "a" (192.0.2.1) and "c" (198.51.100.2, which connects). Their configurations are read
// once for thousands of runs.
struct collide_world {
	const char *name;
	const char *text[2]; // of the configurations; the connection is "c"
	bool ikev1;
	bool leases;    // the first pool of a gives c its address
	bool one_sided; // only c can re-authenticate, and that is how IKEv1 rekeys
	bool lively; // nobody has to begin anything: short lifetimes on both sides do, for minutes
	struct cfg *cfg[2];
	struct ike_credentials *credentials[2];
};

struct collide_run {
	struct collide_world *world;
	enum collide_action action[2]; // of a and of c
	uint64_t seed;
	unsigned
		number; // of the packet that has another fate, from the start of the actions on; 0: none
	enum bench_fate fate;
	bool random;      // losses, order, delays and what begins first: by the seed
	uint64_t packets; // out: sent in the first seconds
};

// False: something is wrong; it was printed with what brings it back.
bool collide_run(struct collide_run *r);

// One cmocka test for each pair of actions of each world, as main(). rounds: random runs of each pair,
// unless the environment's BENCH_ROUNDS says how many; COLLIDE_TESTS names those to run ("site:
// reauth*"), COLLIDE_RUN one run of each ("3 lost", "random").
int collide_main(
	const char *name, struct collide_world *const *worlds, size_t count, unsigned rounds);
