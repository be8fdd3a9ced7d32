// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The MSS option in TCP's SYN and SYN/ACK is lowered to what fits into the tunnel, so that connections
// work where ICMP is filtered on the way.
#include "dataplane/mss.h"

#define TCP_SYN     2
#define OPT_END     0
#define OPT_NOP     1
#define OPT_MSS     2
#define OPT_MSS_LEN 4

// RFC 1624: of one that begins at an odd place in the segment the bytes stand the other way round in
// the checksum's words.
static void put_mss(uint8_t *tcp, uint32_t at, uint16_t mss)
{
	uint16_t old = get_be16(tcp + at), now = mss;
	set_be16(tcp + at, mss);
	if (at & 1) {
		old = __builtin_bswap16(old);
		now = __builtin_bswap16(now);
	}
	ip_sum_fix(tcp + 16, old, now);
}

// The options from at to end; one that reaches beyond ends it.
static bool clamp_options(uint8_t *tcp, uint32_t at, uint32_t end, uint16_t ceiling)
{
	bool lowered = false;
	while (at < end && tcp[at] != OPT_END) {
		if (tcp[at] == OPT_NOP) {
			at++;
			continue;
		}
		if (end - at < 2 || tcp[at + 1] < 2 || tcp[at + 1] > end - at)
			break;
		if (tcp[at] == OPT_MSS && tcp[at + 1] == OPT_MSS_LEN &&
			get_be16(tcp + at + 2) > ceiling) {
			put_mss(tcp, at + 2, ceiling);
			lowered = true;
		}
		at += tcp[at + 1];
	}
	return lowered;
}

bool mss_clamp(uint8_t *p, const struct ip_info *ip, uint16_t ceiling)
{
	uint8_t *tcp = p + ip->upper;
	if (ip->proto != PROTO_TCP || ip->fragment || ip->upper + TCP_HDR > ip->total)
		return false;
	uint32_t len = (tcp[12] >> 4) * 4u;
	if (!(tcp[13] & TCP_SYN) || len <= TCP_HDR || ip->upper + len > ip->total)
		return false;
	return clamp_options(tcp, TCP_HDR, len, ceiling);
}
