// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// TCP's MSS option. Pure: no DPDK.
#pragma once

#include "dataplane/ip.h"

#define TCP_HDR      20
#define MSS_FLOOR_V4 536  // RFC 9293 3.7.1: what is assumed without the option
#define MSS_FLOOR_V6 1220 // the same

// Lower the MSS option of a SYN to ceiling, if it is above; nothing else is touched. The packet's
// headers have been checked (ip_parse_packet()). True: it was lowered.
bool mss_clamp(uint8_t *p, const struct ip_info *ip, uint16_t ceiling);
