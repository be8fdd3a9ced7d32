// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/udp6.h"

#include "dataplane/ip.h"

#include <rte_byteorder.h>
#include <rte_ip.h>

#define UDP_SUM_AT 6

// Sums are of words as they lie in memory.
void dp_udp6_sum(const uint8_t *ip, uint8_t *udp, uint16_t len)
{
	memset(udp + UDP_SUM_AT, 0, 2);
	uint32_t sum = rte_raw_cksum(ip + 8, 32); // both addresses
	sum += rte_raw_cksum(udp, len);
	sum += rte_cpu_to_be_16(len);
	sum += rte_cpu_to_be_16(PROTO_UDP);
	uint16_t folded = (uint16_t)~ip_fold(sum);
	if (folded == 0) // RFC 768: zero stands for none
		folded = UINT16_MAX;
	memcpy(udp + UDP_SUM_AT, &folded, 2);
}
