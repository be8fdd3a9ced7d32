// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Fragments at a worker: steps of eight octets. Whatever comes, each packet is in one place at a time,
// caps hold, and what is whole has no holes.
#include "dataplane/gather.h"
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

static unsigned live;

static void release(void *packet)
{
	live--;
	free(packet);
}

static void check_result(const struct gather_result *r)
{
	uint32_t at = 0;
	CHECK(r->count <= GATHER_PARTS + 1);
	for (unsigned i = 0; i < r->count; i++) {
		if (r->verdict == GATHER_WHOLE)
			CHECK(r->parts[i].at == at);
		at += r->parts[i].len;
		release(r->parts[i].packet);
	}
	if (r->verdict == GATHER_WHOLE)
		CHECK(at == r->total && at > 0);
	if (r->verdict == GATHER_WAITS)
		CHECK(r->count == 0);
}

// What an octet of flags means.
#define MORE    1
#define FOREIGN 2
#define BYTES   4 // lengths are not in eights

static void step(struct gather *g, struct rd *r, uint64_t *now)
{
	static struct gather_result result;
	uint8_t source, id, flags, skip;
	uint16_t at, len;
	struct gather_key k;
	if (!rd_u8(r, &source) || !rd_u8(r, &id) || !rd_u16(r, &at) || !rd_u16(r, &len) ||
		!rd_u8(r, &flags) || !rd_u8(r, &skip))
		return;
	memset(&k, 0, sizeof(k));
	k.src = ip_from_v4(source);
	k.id = id;
	struct gather_part part = {.packet = malloc(1),
		.at = at & 0xfff8u,
		.len = flags & BYTES ? len : len & 0xfff8u};
	CHECK(part.packet);
	live++;
	enum dp_drop why = gather_add(
		g, &k, &part, flags & MORE, (flags & FOREIGN) && part.at == 0, *now, &result);
	if (why == DP_DROP_NONE)
		check_result(&result);
	else
		release(part.packet);
	CHECK(live == gather_held(g) && live <= GATHER_HELD);
	CHECK(gather_datagrams(g) <= GATHER_DATAGRAMS);
	*now += (uint64_t)skip << 24;
	(void)gather_expire(g, *now);
	CHECK(gather_next_ns(g) > *now);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t key[16] = {1};
	struct rd r = rd_of(data, size);
	struct gather *g;
	uint64_t now = 1;
	CHECK(gather_new(key, release, &g) == 0);
	while (!rd_empty(&r) && rd_left(&r) >= 8)
		step(g, &r, &now);
	gather_free(g);
	CHECK(live == 0);
	return 0;
}
