// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// DHCP messages (RFC 2131, options of RFC 2132), to and from bytes. Pure. Addresses in host order;
// 0 is none.
#pragma once

#include "base/cursor.h"

#define DHCP_PORT       67
#define DHCP_CHADDR_LEN 6
#define DHCP_ID_LEN     23 // a client identifier as RFC 4361 section 6.1 forms it, from a 16 byte UUID
#define DHCP_UUID_LEN   16
#define DHCP_HOST_MAX   63          // bytes of a host name
#define DHCP_BUILT_MAX  512         // no message of ours is longer
#define DHCP_INFINITE   0xffffffffu // a lease's time without end

enum dhcp_type {
	DHCP_DISCOVER = 1,
	DHCP_OFFER = 2,
	DHCP_REQUEST = 3,
	DHCP_DECLINE = 4,
	DHCP_ACK = 5,
	DHCP_NAK = 6,
	DHCP_RELEASE = 7,
};

// A client's message as its relay agent sends it on.
struct dhcp_question {
	enum dhcp_type type;
	uint32_t xid;
	uint16_t secs;
	uint32_t ciaddr, giaddr;
	uint32_t requested; // option 50
	uint32_t server_id; // option 54
	uint32_t link;      // RFC 3527 link selection
	uint8_t chaddr[DHCP_CHADDR_LEN];
	uint8_t client_id[DHCP_ID_LEN];
	const char *host; // NULL: none
};

// False: it does not fit.
MUST_USE bool dhcp_build(const struct dhcp_question *q, struct wr *w);

struct dhcp_answer {
	enum dhcp_type type; // OFFER, ACK or NAK
	uint32_t xid;
	uint32_t yiaddr, giaddr;
	uint32_t server_id;
	uint32_t lease_s;    // 0: not told
	uint32_t t1_s, t2_s; // 0: not told
	uint8_t chaddr[DHCP_CHADDR_LEN];
	bool has_client_id;
	bool same_client_id_len;
	uint8_t client_id[DHCP_ID_LEN]; // if its length is this
};

enum dhcp_error {
	DHCP_OK,
	DHCP_BAD_LENGTH,  // shorter than a message without options
	DHCP_BAD_HEADER,  // no reply to an Ethernet client
	DHCP_BAD_COOKIE,  // no options
	DHCP_BAD_OPTIONS, // one runs over the end, has a wrong length, or the end is missing
	DHCP_BAD_TYPE,    // not what a server says
};

MUST_USE enum dhcp_error dhcp_parse(struct view message, struct dhcp_answer *out);

// RFC 4361 section 6.1 with a DUID-UUID (RFC 6355).
void dhcp_client_id(
	const uint8_t uuid[static DHCP_UUID_LEN], uint32_t iaid, uint8_t out[static DHCP_ID_LEN]);
// A label of RFC 1123 section 2.1, as a host name.
bool dhcp_host_name(const char *name);
