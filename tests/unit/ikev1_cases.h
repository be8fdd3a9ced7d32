// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What IKEv1 peers send, byte by byte, for the tests of controlplane/wire/ikev1.h and its fuzz
// targets' seeds.
#pragma once

#include "controlplane/wire/ikev1.h"

// SA payload of vpnc's first message in aggressive mode (RFC 2408 3.4 to 3.6): one proposal without
// SPI, XAUTH and plain PSK, key length first, a life of 2147483 s as a variable attribute.
static const uint8_t vpnc_phase1_sa[] = {
	0, 0, 0, 1, 0, 0, 0, 1,                           // IPsec DOI, SIT_IDENTITY_ONLY
	0, 0, 0, 160, 1, 1, 0, 4,                         // proposal 1: ISAKMP, 4 transforms
	3, 0, 0, 40, 0, 1, 0, 0,                          // transform 0: KEY_IKE
	0x80, 14, 1, 0, 0x80, 1, 0, 7, 0x80, 2, 0, 2,     // 256 bits, AES, SHA1
	0x80, 4, 0, 2, 0x80, 3, 0xfd, 0xe9,               // group 2, XAUTHInitPreShared
	0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0x20, 0xc4, 0x9b, // seconds, 2147483
	3, 0, 0, 40, 1, 1, 0, 0,                          //
	0x80, 14, 0, 128, 0x80, 1, 0, 7, 0x80, 2, 0, 1,   // 128 bits, AES, MD5
	0x80, 4, 0, 2, 0x80, 3, 0xfd, 0xe9,               //
	0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0x20, 0xc4, 0x9b, //
	3, 0, 0, 36, 2, 1, 0, 0,                          //
	0x80, 1, 0, 5, 0x80, 2, 0, 2,                     // 3DES, SHA1
	0x80, 4, 0, 2, 0x80, 3, 0xfd, 0xe9,               //
	0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0x20, 0xc4, 0x9b, //
	0, 0, 0, 36, 3, 1, 0, 0,                          //
	0x80, 1, 0, 1, 0x80, 2, 0, 1,                     // DES, MD5
	0x80, 4, 0, 2, 0x80, 3, 0, 1,                     // group 2, PSK
	0x80, 11, 0, 1, 0, 12, 0, 4, 0, 0x20, 0xc4, 0x9b, //
};

// SA payload of vpnc's quick mode through a NAT: one proposal a cipher, all with one SPI.
static const uint8_t vpnc_quick_sa[] = {
	0, 0, 0, 1, 0, 0, 0, 1,                          //
	2, 0, 0, 44, 1, 3, 4, 1, 0xc0, 0xff, 0xee, 0x01, // proposal 1: ESP
	0, 0, 0, 32, 0, 12, 0, 0,                        // AES
	0x80, 6, 1, 0, 0x80, 4, 0, 3, 0x80, 5, 0, 2,     // 256 bits, UDP tunnel, HMAC-SHA
	0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0x20, 0xc4, 0x9b,  // seconds, 2147483
	0, 0, 0, 40, 2, 3, 4, 1, 0xc0, 0xff, 0xee, 0x01, //
	0, 0, 0, 28, 0, 3, 0, 0,                         // 3DES
	0x80, 4, 0, 3, 0x80, 5, 0, 1,                    // UDP tunnel, HMAC-MD5
	0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0x20, 0xc4, 0x9b,  //
};

// SA payload of strongSwan's main mode: proposal 0, its transforms from 1 on, a life in two bytes.
static const uint8_t strongswan_phase1_sa[] = {
	0, 0, 0, 1, 0, 0, 0, 1,                         //
	0, 0, 0, 80, 0, 1, 0, 2,                        // proposal 0
	3, 0, 0, 36, 1, 1, 0, 0,                        //
	0x80, 1, 0, 7, 0x80, 14, 0, 128, 0x80, 2, 0, 4, // AES, 128 bits, SHA2-256
	0x80, 4, 0, 14, 0x80, 3, 0, 1,                  // group 14, PSK
	0x80, 11, 0, 1, 0x80, 12, 0x38, 0x40,           // seconds, 14400
	0, 0, 0, 36, 2, 1, 0, 0,                        //
	0x80, 1, 0, 7, 0x80, 14, 1, 0, 0x80, 2, 0, 5,   // AES, 256 bits, SHA2-384
	0x80, 4, 0, 20, 0x80, 3, 0, 1,                  // group 20
	0x80, 11, 0, 1, 0x80, 12, 0x38, 0x40,           //
};

// The same's quick mode: ESP with AES-GCM and ESN, PFS.
static const uint8_t strongswan_quick_sa[] = {
	0, 0, 0, 1, 0, 0, 0, 1,                          //
	0, 0, 0, 84, 1, 3, 4, 2, 0xc1, 0xc2, 0xc3, 0xc4, //
	3, 0, 0, 36, 1, 20, 0, 0,                        // AES-GCM, ICV of 16
	0x80, 6, 0, 128, 0x80, 3, 0, 19, 0x80, 4, 0, 1,  // 128 bits, group 19, tunnel
	0x80, 1, 0, 1, 0x80, 2, 0x0e, 0x10,              // seconds, 3600
	0x80, 1, 0, 2, 0x80, 2, 0x10, 0x00,              // kilobytes, 4096
	0, 0, 0, 36, 2, 20, 0, 0,                        //
	0x80, 6, 0, 128, 0x80, 3, 0, 19, 0x80, 4, 0, 1,  //
	0x80, 11, 0, 1,                                  // 64-bit sequence numbers
	0x80, 1, 0, 1, 0, 2, 0, 4, 0, 0, 0x0e, 0x10,     // 3600 as a variable attribute
};

// The configuration that vpnc asks for; the version and the host's name hold values.
static const uint8_t vpnc_cfg_request[] = {
	1, 0, 0, 20,                                    // REQUEST, identifier 20
	0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, // address, netmask, DNS, NBNS
	0x70, 2, 0, 0, 0xf0, 8, 0, 0,                   // domain; firewall type as TV
	0x70, 7, 0, 0, 0x70, 0, 0, 0, 0x70, 1, 0, 0,    // PFS, banner, save password
	0x70, 4, 0, 0, 0x70, 3, 0, 0,                   // split include, split DNS
	0x70, 10, 0, 4, 'h', 'o', 's', 't',             // host name
	0, 7, 0, 10, 'C', 'i', 's', 'c', 'o', ' ', 'S', 'y', 's', 't', // version
};

// A basic attribute; the rest of phase 1's: SHA1, PSK, modp2048.
#define B(type, value) 0x80, type, (value) >> 8, (value)&0xff
#define IKE_REST       B(2, 2), B(3, 1), B(4, 14)

// An SA payload of one proposal and one transform with these attributes.
static inline struct view one_transform(uint8_t *buf, bool phase1, uint8_t id, struct view attrs)
{
	uint8_t spi_len = phase1 ? 0 : 4;
	uint8_t t_len = (uint8_t)(8 + attrs.len), p_len = (uint8_t)(8 + spi_len + t_len);
	struct wr w = wr_of(buf, 256);
	wr_bytes(&w, (uint8_t[]){0, 0, 0, 1, 0, 0, 0, 1}, 8);
	wr_bytes(&w, (uint8_t[]){0, 0, 0, p_len, 1, phase1 ? 1 : 3, spi_len, 1}, 8);
	wr_bytes(&w, (uint8_t[]){1, 2, 3, 4}, spi_len);
	wr_bytes(&w, (uint8_t[]){0, 0, 0, t_len, 1, id, 0, 0}, 8);
	wr_view(&w, attrs);
	return wr_done(&w);
}
