// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Where in the configuration an identity or an address stands. Made once, when the engine begins:
// what a peer that is not authenticated can ask for costs the same with ten and with many thousand
// pre-shared keys or connections. A hash finds the candidates; whether one fits is decided by the
// configuration's own text (ike_id_fit()) and prefixes.
#pragma once

#include "controlplane/session.h"

#define IKE_INDEX_BITS 129 // lengths of IPv6 prefixes

struct ike_index_entry {
	uint64_t hash;
	uint32_t item; // index in the configuration's array
};

struct ike_table {
	struct ike_index_entry *entries; // by hash, then item
	size_t count, cap;
	// What is in use at all: lengths of suffix patterns, and of prefixes by family (IPv6: [1]).
	bool suffix[IKE_ID_BODY_MAX + 1];
	bool net[2][IKE_INDEX_BITS];  // patterns on identities
	bool addr[2][IKE_INDEX_BITS]; // outer addresses
	bool no_memory;
};

struct ike_index {
	const struct cfg *cfg; // borrowed
	struct ike_table psks;
	struct ike_table connections;
	// By connection: hashes of local.id, to tell quickly that another one is asked for.
	uint64_t (*local)[2];
	bool certificates; // some connection's peers authenticate by certificate
	uint64_t looked;   // entries that were compared, over all look-ups
};

// 0 or -ENOMEM.
MUST_USE int ike_index_new(const struct cfg *cfg, struct ike_index **out);
void ike_index_free(struct ike_index *ix); // NULL is fine

// The PSK for a peer: bound to this very ID, else by address (the longest prefix), else by a pattern
// (the longest), else the wildcard; of equal ones the first of the configuration. *bound: the first
// kind, which proves the identity. NULL: none. body may be empty (initiator: not yet known).
const struct cfg_psk *ike_psk_find(
	struct ike_index *ix, struct view body, const struct ip_addr *peer, bool *bound);

// IKEv1's main mode must know the key before the identity: bound to the address as an ID, else by
// address, else by a pattern that holds the address, else the wildcard. NULL: none.
const struct cfg_psk *ike_psk_of_address(struct ike_index *ix, const struct ip_addr *peer);
// In IKEv1: who has this key is who the identity says: it is bound to this very ID, or to one single
// address that is the ID. Never for a KEY_ID, which names a group that shares the key.
bool ike_psk_proves(const struct cfg_psk *k, struct view body);
// May who was found to have k go by this identity: false where another key is meant for it.
bool ike_psk_serves(struct ike_index *ix, const struct cfg_psk *k, struct view body,
	const struct ip_addr *peer);

// What else a connection must be or allow.
typedef bool (*ike_accept)(void *ctx, const struct cfg_connection *c);

struct ike_match {
	const struct endpoint *remote;
	const struct view *remote_id; // ID payload bodies
	const struct view *local_id;  // NULL: not said
	const struct suite *suite;    // of the IKE SA; NULL: any
	int auth;                     // enum cfg_auth of the peer, or -1
	bool ikev1;                   // else IKEv2: connections that have this version
	ike_accept accept;            // NULL: any
	void *ctx;
};
// The connection for a peer whose identity is known: the most specific match of identity, then of
// address, then the first. NULL: none.
const struct cfg_connection *ike_connection_match(struct ike_index *ix, const struct ike_match *m);

// Before the identity is known: the connections that this address may use, the longest prefix first,
// until accept() takes one. Of several that differ in nothing that IKE_SA_INIT could tell (the same
// address, the same ike_proposals) it sees the first alone. NULL: none was taken; *seen: some fitted
// the address.
const struct cfg_connection *ike_connection_first(struct ike_index *ix,
	const struct ip_addr *remote, ike_accept accept, void *ctx, bool *seen);
// The same among the connections that have IKEv1, where modes and methods count too, and in aggressive
// mode all that its answer shows. An accept() that never says true sees one of each kind.
const struct cfg_connection *ikev1_connection_first(struct ike_index *ix,
	const struct ip_addr *remote, ike_accept accept, void *ctx, bool *seen);
// One of such a kind: what an offer is refused by one it is refused by the other.
bool ikev1_connections_alike(const struct cfg_connection *a, const struct cfg_connection *b);
