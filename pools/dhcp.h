// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// A DHCP server (RFC 2131) that chooses a pool's addresses: one client for each lease, behind the
// gateway as its relay. Kernel UDP sockets; control thread; nothing blocks, and a message or a timer
// costs the same whatever the number of leases.
#pragma once

#include <stdio.h>

#include "base/clock.h"
#include "pools/giver.h"

#define DHCP_ASKING_MAX 4096 // addresses asked for at once; -EAGAIN beyond

struct dhcp;
struct dhcp_net; // pools/dhcp_net.h

struct dhcp_seams {
	const struct clock_source *clock; // and random: outlive the struct dhcp
	const struct random_source *random;
	const struct dhcp_net
		*net; // NULL: kernel sockets; copied, freed with d or if dhcp_new() fails
};

// For all pools of the snapshot that have from_dhcp, which may be none; it may be freed afterwards.
// Binds port 67 of each relay address (CAP_NET_BIND_SERVICE); one that cannot be bound is named in
// errors, a line each, and is an error. 0 or -errno.
MUST_USE int dhcp_new(
	const struct cfg *c, const struct dhcp_seams *s, FILE *errors, struct dhcp **out);
// The servers are told nothing: leases outlive the process. NULL is fine.
void dhcp_free(struct dhcp *d);

// For pools_seams.giver; lives as long as d. given, changed, lost and user are set by the pools, and
// called from dhcp_turn() and dhcp_tick() alone.
struct address_giver *dhcp_giver(struct dhcp *d);

// Readable when dhcp_turn() has something to do; the same for the life of d.
int dhcp_fd(const struct dhcp *d);
// Takes at most 64 datagrams; returns how many it took.
unsigned dhcp_turn(struct dhcp *d);
// A moment not later than the next timer, monotonic; UINT64_MAX: none.
uint64_t dhcp_next_ns(const struct dhcp *d);
void dhcp_tick(struct dhcp *d, uint64_t now_ns);

// The pools of another snapshot with pools of the same names: servers, relays, subnets and times from
// now on, for live leases too. A pool that has no from_dhcp any longer keeps its leases with the
// servers that gave them. Before pools_reload(). 0, or as dhcp_new(), and nothing is changed.
MUST_USE int dhcp_reload(struct dhcp *d, const struct cfg *c, FILE *errors);

// Counter i by its name ("dhcp_offers", ...); false past the last. Help text may be NULL.
bool dhcp_counter(
	const struct dhcp *d, size_t i, const char **name, uint64_t *value, const char **help);
