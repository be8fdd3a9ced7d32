// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A reload: the change itself (reload.c), and what is done of it afterwards, in steps (reload_steps.c). Private to
// pools/.
#pragma once

#include "pools/hot.h"

// A record, free or not, that will live in another place.
struct move {
	struct record *from, *to;
};

struct reload {
	struct pools *all;
	const struct cfg *cfg;
	struct pool *pools;         // spaces alone
	const struct segment **map; // the new one, and once that is in place the old one
	size_t map_count;
	struct move *moves;
	size_t count, room;
	bool grows;          // a loose lease's address may have come into a range
	uint32_t leave;      // blocks that no range has any longer
	uint32_t at, blocks; // that were settled, and all
	uint32_t back;       // no block before has come back and is not settled
};

void reload_free(struct reload *rl);
// The queue that a record is in.
struct queue *reload_queue_of(struct pools *all, const struct record *r);
void reload_rehome(const struct reload *rl, struct record *r);
