// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The UDP payload of ports 500 and 4500; and what is sent, cut by any MTU, becomes the same again.
#include "dataplane/ike_io.h"
#include "dataplane/reasm.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void must(bool ok)
{
	if (!ok)
		abort();
}

struct back {
	struct reasm *reasm;
	uint16_t mtu;
	bool done;
	struct pkt_ip whole;
	uint8_t packet[65600];
};

static struct back back;

__attribute__((constructor)) static void set_up(void)
{
	static const uint8_t key[16] = {1};
	struct reasm_limits limits = reasm_limits_default;
	limits.fragments = 200;
	must(reasm_new(&limits, key, &back.reasm) == 0);
}

static bool emit(void *ctx, const struct ike_io_packet *p)
{
	struct pkt_ip ip;
	size_t len = p->head.len + p->body.len;
	must(len <= back.mtu && !back.done);
	memcpy(back.packet, p->head.p, p->head.len);
	memcpy(back.packet + p->head.len, p->body.p, p->body.len);
	must(pkt_parse_ip((struct view){back.packet, len}, &ip) == DP_DROP_NONE);
	if (ip.fragment) {
		must(reasm_input(back.reasm, &ip, 1, &back.done, &back.whole) == DP_DROP_NONE);
	} else {
		back.whole = ip;
		back.done = true;
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static uint8_t scratch[DATAGRAM_MAX];
	struct view ike, again;
	struct pkt_udp udp;
	if (len < 4)
		return 0;
	uint16_t local_port = data[0] & 1 ? IKE_PORT : IKE_NATT_PORT;
	uint8_t family = data[0] & 2 ? IP_V4 : IP_V6;
	back.mtu = (uint16_t)(IPV4_MTU_MIN + data[1] * 8 + data[2]);
	if (ike_io_unwrap(local_port, (struct view){data + 3, len - 3}, &ike) != DP_DROP_NONE)
		return 0;
	must(ike.len >= IKE_HEADER_LEN && ike.len <= len);
	back.done = false;
	struct ike_datagram dg = {.bytes = ike};
	dg.local = (struct endpoint){{family, {0x20, 1, [15] = 1}}, local_port};
	dg.remote = (struct endpoint){{family, {0x20, 2, [15] = 2}}, 1};
	if (family == IP_V4)
		dg.local.addr.bytes[15] = dg.remote.addr.bytes[15] = 0;
	must(ike_io_build(&dg, back.mtu, 7, scratch, emit, NULL) == DP_DROP_NONE && back.done);
	back.whole.src = dg.local.addr;
	must(pkt_parse_udp(&back.whole, &udp) == DP_DROP_NONE);
	must(ike_io_unwrap(local_port, udp.payload, &again) == DP_DROP_NONE);
	must(again.len == ike.len && memcmp(again.p, ike.p, ike.len) == 0);
	must(reasm_usage(back.reasm).datagrams == 0); // one table serves all inputs
	return 0;
}
