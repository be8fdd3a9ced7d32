// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Failed logins, counted by user and by source address, so that passwords cannot be tried at line
// rate. The table is bounded: when it is full the entry whose window began first makes
// room, so that a spray over many names locks out nobody else. Entries go when their window is over.
// Control thread.
#pragma once

#include "base/wheel.h"
#include "base/addr.h"

#define IKE_THROTTLE_WINDOW_S 60
#define IKE_THROTTLE_USER     10   // failures of one user in a window, from which on he is refused
#define IKE_THROTTLE_SOURCE   30   // of one source: several users may stand behind one NAT
#define IKE_THROTTLE_MAX      8192 // entries

struct ike_throttle;

// wheel and key (of the hash) outlive it. NULL: no memory.
struct ike_throttle *ike_throttle_new(struct wheel *wheel, const uint8_t key[static 16]);
void ike_throttle_free(struct ike_throttle *t); // NULL is fine

// Has this user, or this source (an IPv4 address, an IPv6 /64), failed too often of late.
bool ike_throttled(
	struct ike_throttle *t, struct view user, const struct ip_addr *source, uint64_t now_ns);
// One more failure. Without memory it is not counted.
void ike_throttle_failed(
	struct ike_throttle *t, struct view user, const struct ip_addr *source, uint64_t now_ns);
// He has shown that he knows his password.
void ike_throttle_forget(struct ike_throttle *t, struct view user);
size_t ike_throttle_count(const struct ike_throttle *t); // entries
