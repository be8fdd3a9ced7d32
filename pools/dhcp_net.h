// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// How DHCP messages leave and arrive: a seam.
#pragma once

#include "base/addr.h"

#define DHCP_DATAGRAM_MAX 2048 // bytes; a longer one is cut, and then its len says so

struct dhcp_datagram {
	int socket;
	struct endpoint from;
	size_t len; // as sent
	uint8_t bytes[DHCP_DATAGRAM_MAX];
};

struct dhcp_net {
	void *ctx;
	// A socket at port 67 of this address; >= 0 or -errno.
	int (*open)(void *ctx, const struct ip_addr *at);
	void (*close)(void *ctx, int socket);
	// To port 67. Never blocks. 0 or -errno.
	int (*send)(void *ctx, int socket, const struct ip_addr *to, struct view message);
	// The next datagram of any socket. 0; -EAGAIN: none; another error of one socket.
	int (*receive)(void *ctx, struct dhcp_datagram *out);
	// Readable when receive() has something.
	int (*fd)(void *ctx);
	void (*free)(void *ctx); // may be NULL
};

// Kernel UDP sockets. 0 or -errno.
MUST_USE int dhcp_net_kernel(struct dhcp_net *out);
