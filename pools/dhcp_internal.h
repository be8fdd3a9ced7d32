// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the parts of the DHCP client share. Private to pools/dhcp*.c.
#pragma once

#include "base/htab.h"
#include "base/wheel.h"
#include "pools/dhcp.h"
#include "pools/dhcp_net.h"
#include "pools/dhcp_wire.h"

#define DHCP_SERVERS_MAX 8
#define DHCP_TURN_MAX    64 // datagrams

// X(enumerator, name, help)
#define DHCP_COUNTERS(X)                                                                           \
	X(ASKED, "dhcp_asked", "addresses asked for")                                              \
	X(BOUND, "dhcp_bound", "addresses given by a server")                                      \
	X(SILENT, "dhcp_silent", "addresses asked for, and no answer in time")                     \
	X(REFUSED, "dhcp_refused", "addresses asked for, and the servers said no")                 \
	X(TOO_MANY, "dhcp_too_many", "addresses not asked for, too many questions are open")       \
	X(RENEWED, "dhcp_renewed", "leases extended")                                              \
	X(RESUMED, "dhcp_resumed", "leases of the last life taken up again")                       \
	X(CONFIRMED, "dhcp_confirmed", "leases of the last life that a server confirmed")          \
	X(LOST, "dhcp_lost", "leases that the server took back or did not extend in time")         \
	X(RELEASED, "dhcp_released", "leases given back")                                          \
	X(DECLINED, "dhcp_declined", "leases refused, outside the pool or somebody else's")        \
	X(SENT, "dhcp_sent", "messages sent")                                                      \
	X(SEND_FAILED, "dhcp_send_failed", "messages that could not be sent")                      \
	X(RETRANSMITTED, "dhcp_retransmitted", "messages sent again")                              \
	X(RECEIVED, "dhcp_received", "messages received")                                          \
	X(OFFERS, "dhcp_offers", "DHCPOFFER taken up")                                             \
	X(OFFERS_LATE, "dhcp_offers_late", "DHCPOFFER after another was taken up")                 \
	X(ACKS, "dhcp_acks", "DHCPACK received")                                                   \
	X(NAKS, "dhcp_naks", "DHCPNAK received")                                                   \
	X(NAKS_OF_OTHERS, "dhcp_naks_of_others", "DHCPNAK by another server than the lease's")     \
	X(RECEIVE_FAILED, "dhcp_receive_failed", "error of a socket while receiving")              \
	X(BAD_LENGTH, "dhcp_bad_length", "answer too short or too long")                           \
	X(BAD_HEADER, "dhcp_bad_header", "not a reply to an Ethernet client")                      \
	X(BAD_COOKIE, "dhcp_bad_cookie", "answer without options")                                 \
	X(BAD_OPTIONS, "dhcp_bad_options", "answer with malformed options")                        \
	X(BAD_TYPE, "dhcp_bad_type", "answer without a type that a server may send")               \
	X(BAD_XID, "dhcp_bad_xid", "answer to a question that is not open")                        \
	X(BAD_SOURCE, "dhcp_bad_source", "answer from an address or port that is no server's")     \
	X(BAD_RELAY, "dhcp_bad_relay", "answer for another relay address")                         \
	X(BAD_CHADDR, "dhcp_bad_chaddr", "answer for another hardware address")                    \
	X(BAD_CLIENT_ID, "dhcp_bad_client_id", "answer for another client identifier")             \
	X(BAD_SERVER_ID, "dhcp_bad_server_id", "answer without or with a wrong server identifier") \
	X(BAD_TIME, "dhcp_bad_time", "answer without a usable lease time")                         \
	X(BAD_ADDRESS, "dhcp_bad_address", "answer without a usable address")                      \
	X(BAD_TAKEN, "dhcp_bad_taken", "answer with an address that is another lease's")           \
	X(UNEXPECTED, "dhcp_unexpected", "answer that does not fit what was asked")

#define X(id, name, help) DHCP_C_##id,
enum dhcp_count { DHCP_COUNTERS(X) DHCP_COUNTS };
#undef X

// What from_dhcp of one pool says.
struct dhcp_pool {
	char *name;
	uint32_t servers[DHCP_SERVERS_MAX];
	size_t server_count;
	uint32_t relay, link;
	uint64_t timeout_ns;
	int socket;
	bool retired; // has no from_dhcp any longer
};

// Sockets by relay address: pools may share one.
struct dhcp_relay {
	uint32_t addr;
	int socket;
};

// Who holds leases: the DUID of RFC 4361. An owner's leases differ in their IAID.
struct dhcp_holder {
	struct htab_node by_uuid;
	uint8_t uuid[DHCP_UUID_LEN];
	uint8_t mac[DHCP_CHADDR_LEN];
	uint32_t leases;
	uint64_t iaids; // bit i: IAID i is in use
};

enum dhcp_state {
	DHCP_SELECTING,
	DHCP_REQUESTING,
	DHCP_BOUND,
	DHCP_RENEWING,
	DHCP_REBINDING,
	DHCP_WAITING, // of the last life, its turn to be confirmed comes
	DHCP_REBOOTING,
	DHCP_STATES,
};

struct dhcp_client {
	struct htab_node by_xid;  // while a question is open
	struct htab_node by_addr; // while it has an address: not SELECTING, not REQUESTING
	struct wheel_timer timer;
	struct dhcp *d;
	struct dhcp_pool *pool;
	struct dhcp_holder *holder;
	char *host; // or NULL
	uint64_t token;
	uint64_t begun_ns;  // when this exchange began
	uint64_t sent_ns;   // when the message that is answered was sent
	uint64_t t2_ns;     // when to ask all servers
	uint64_t end_ns;    // of the lease, or of the patience; UINT64_MAX: never
	int64_t end_wall_s; // of the lease
	uint32_t lease_s;
	uint32_t xid, iaid;
	uint32_t addr, want;
	uint32_t server;    // where its answers come from
	uint32_t server_id; // what it calls itself
	uint8_t state;      // enum dhcp_state
	uint8_t tries;
	uint8_t restarts;
	bool open;    // by_xid
	bool has;     // by_addr
	bool refused; // a server said no, or offered what cannot be taken
};

struct dhcp {
	struct clock_source clock;
	struct random_source random;
	struct dhcp_net net;
	struct address_giver giver;
	uint8_t key[16];
	struct wheel wheel;
	struct htab by_xid, by_addr, holders;
	struct dhcp_pool **pools; // they stay where they are
	size_t pool_count;
	struct dhcp_relay *relays;
	size_t relay_count;
	uint32_t asking;
	uint64_t confirm_ns; // when the next lease of the last life may be asked for
	uint64_t counts[DHCP_COUNTS];
};

static inline void dhcp_tally(struct dhcp *d, enum dhcp_count what)
{
	d->counts[what]++;
}

// ---- dhcp_pools.c

// NULL: the pool has no from_dhcp, and never had.
struct dhcp_pool *dhcp_pool_find(const struct dhcp *d, const char *name);
bool dhcp_pool_server(const struct dhcp_pool *p, uint32_t addr);
void dhcp_pools_free(struct dhcp *d);

// ---- dhcp_client.c: what a client is, and what is remembered of it

// For a holder of this UUID and hardware address, in no table but the holders'. NULL: no memory.
struct dhcp_client *dhcp_client_new(
	struct dhcp *d, struct dhcp_pool *p, const struct dhcp_holder *who);
// For an owner; NULL: no memory.
struct dhcp_client *dhcp_client_of_owner(struct dhcp *d, struct dhcp_pool *p, struct view owner);
void dhcp_client_free(struct dhcp_client *c);
// Begins a question: a transaction id of its own. And ends it.
void dhcp_client_open(struct dhcp_client *c);
void dhcp_client_close(struct dhcp_client *c);
struct dhcp_client *dhcp_client_by_xid(const struct dhcp *d, uint32_t xid);
struct dhcp_client *dhcp_client_by_addr(const struct dhcp *d, uint32_t addr);
void dhcp_client_hold(struct dhcp_client *c, uint32_t addr);
void dhcp_client_ids(const struct dhcp_client *c, struct dhcp_question *q);
void dhcp_client_pack(const struct dhcp_client *c, struct wr *w);
// A client in WAITING, its times not set. 0, -EINVAL or -ENOMEM.
MUST_USE int dhcp_client_unpack(struct dhcp *d, struct dhcp_pool *p, const struct ip_addr *addr,
	struct view extra, struct dhcp_client **out);

// ---- dhcp_machine.c

void dhcp_client_ask(struct dhcp_client *c);
void dhcp_client_resume(struct dhcp_client *c);
// An answer whose identity is proven.
void dhcp_client_answer(struct dhcp_client *c, const struct dhcp_answer *a, uint32_t from);
// To the server alone, without an answer.
void dhcp_client_tell(struct dhcp_client *c, enum dhcp_type type);
