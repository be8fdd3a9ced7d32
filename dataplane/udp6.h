// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// ESP in UDP over IPv6: the checksum. RFC 3948 2.1 has "the IPv4 UDP Checksum" sent as zero, and says
// nothing of IPv6, where RFC 8200 8.1 holds: "the UDP checksum is not optional". RFC 6935 lets a
// tunnel protocol send zero if its receivers were told to take it; those of ESP were not, and a socket
// of Linux does not.
#pragma once

#include <stdint.h>

// Of a packet that is complete: ip is its IPv6 header, len the length that udp says. Worker.
void dp_udp6_sum(const uint8_t *ip, uint8_t *udp, uint16_t len);
