// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Flows that must change workers, one for each cause: made alike for the stepped and the threaded
// test. Two workers; the outside NIC spreads by UDP ports, the inside one by destination.
#pragma once

#include "tests/dataplane/esp_oracle.h"
#include "tests/dataplane/fixture.h"

#define HC_PAYLOAD 100

// A client behind NAT: its encapsulated ESP and its inner address.
struct hc_client {
	const char *peer; // outer address
	uint16_t peer_port;
	bool marked; // on port 500, behind a marker
	char inner[IP_TEXT_MAX];
	unsigned owner;
	uint32_t window; // of replay; 0: 4096
	uint32_t tunnel;
	struct sa_spec in, out;
	uint64_t seq; // last used
};

// The queue that the outside NIC gives the client's packets to, by its present port.
unsigned hc_uplink_queue(const struct hc_client *c);
// A port from which its packets come to this queue.
uint16_t hc_port_for(const char *peer, unsigned queue, uint16_t above);
// An inner address of 10.1.0.0/16 that the inside NIC gives to this queue; the n-th.
void hc_inner_for(char text[static IP_TEXT_MAX], unsigned queue, unsigned n);

// Tunnel and both SAs (AES-GCM) on the owner; remote_ts is ts, or the inner address where NULL.
void hc_client_add(struct hc_client *c, const char *ts);
// Both SAs of another child, which the client uses from now on; towards it by sa_switch() of
// c->in.child.
void hc_child_add(struct hc_client *c, const char *ts);
// The next ESP packet from the client, carrying src to dst; into buf, with UDP or not. Returns the
// outer packet's length.
size_t hc_packet(struct hc_client *c, const char *src, const char *dst, uint8_t *buf);
// The same, into the outside NIC.
void hc_send(struct hc_client *c, const char *src, const char *dst);
// A clear packet of the inside host to a client, into the inside NIC.
void hc_reply(const char *dst);
// Handed over for this reason, all workers.
uint64_t hc_count(enum dp_handoff cause);
