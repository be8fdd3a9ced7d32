// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A sequence of fragments, each a length octet and that many eighths of an IP packet's bytes. What
// comes out whole is as long as its parts, and what is held never exceeds the limits.
#include "dataplane/reasm.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static volatile uint32_t touched; // every byte is read, so that the sanitizer looks at it

static void must(bool ok)
{
	if (!ok)
		abort();
}

static const struct reasm_limits limits = {
	.datagrams = 8,
	.per_source = 4,
	.bytes = 4096,
	.datagram_bytes = 3000,
	.fragments = 6,
	.timeout_ns = 20,
};

static struct reasm *reasm; // empty before and after each input

__attribute__((constructor)) static void set_up(void)
{
	static const uint8_t key[16] = {1};
	must(reasm_new(&limits, key, &reasm) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct rd r = rd_of(data, len);
	struct view packet;
	uint64_t now = 0;
	uint8_t eighths;
	while (rd_u8(&r, &eighths) && rd_bytes(&r, eighths * 8u, &packet)) {
		struct pkt_ip ip, whole;
		bool done;
		reasm_expire(reasm, now++);
		if (pkt_parse_ip(packet, &ip) != DP_DROP_NONE || !ip.fragment)
			continue;
		if (reasm_input(reasm, &ip, now, &done, &whole) == DP_DROP_NONE && done) {
			must(whole.payload.len <= limits.datagram_bytes && !whole.fragment);
			touched = pkt_sum(0, whole.payload.p, whole.payload.len);
		}
		must(reasm_usage(reasm).datagrams <= limits.datagrams);
		must(reasm_usage(reasm).bytes <= limits.bytes);
	}
	reasm_expire(reasm, UINT64_MAX);
	must(reasm_usage(reasm).datagrams == 0 && reasm_usage(reasm).bytes == 0);
	return 0;
}
