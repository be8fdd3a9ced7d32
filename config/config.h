// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// The configuration: an immutable snapshot of one file, or a list of everything wrong with it.
#pragma once

#include <stdio.h>

#include "base/addr.h"
#include "base/algs.h"
#include "base/secret.h"

struct cfg_strings {
	char **items;
	size_t count;
};

enum cfg_idle { CFG_IDLE_POLL, CFG_IDLE_SLEEP };
enum cfg_lease_store { CFG_LEASES_EMBEDDED, CFG_LEASES_MEMORY };
enum cfg_hugepages { CFG_HUGEPAGES_AUTO, CFG_HUGEPAGES_REQUIRED, CFG_HUGEPAGES_OFF };

struct cfg_main {
	uint16_t workers[64]; // lcore ids
	uint16_t worker_count;
	uint16_t control_core;
	uint16_t helper_cores[64];
	uint16_t helper_count;
	enum cfg_idle idle;
	enum cfg_hugepages hugepages;
	uint32_t memory_mb;
	uint32_t node_id;
	uint32_t max_sessions; // of the whole headend: sizes the SA tables
	// IKE's protection against floods
	uint32_t cookie_threshold; // half-open IKE SAs from which a cookie is asked for
	uint32_t half_open_max;    // hard cap
	uint32_t half_open_timeout_s;
	uint32_t half_open_max_ikev1; // IKEv1 has no cookie: a cap of its own
	bool quick_crash_detection;   // RFC 6290
	enum cfg_lease_store lease_store;
	char *state_dir;
	char *run_dir;
};

enum cfg_role { CFG_OUTSIDE, CFG_INSIDE };
enum cfg_rss { CFG_RSS_AUTO, CFG_RSS_UDP, CFG_RSS_SPI, CFG_RSS_OFF };

struct cfg_route {
	struct ip_prefix prefix;
	struct ip_addr via;
};

struct cfg_port {
	char *name;
	enum cfg_role role;
	char *device;                  // vdev name with arguments, or a PCI address
	bool pci;                      // device is a PCI address
	const struct cfg_port *shares; // the port that names its device first, or NULL; borrowed
	uint16_t vlan;                 // 802.1Q id of its frames; 0: untagged
	struct cfg_strings members;    // devices of a bond
	uint8_t pci_members;           // bit i: member i is a PCI address
	bool mac_set;
	uint8_t mac[6];
	struct ip_prefix *addresses; // host bits kept
	size_t address_count;
	struct ip_addr *gateways;
	size_t gateway_count;
	struct cfg_route *routes;
	size_t route_count;
	uint16_t mtu;
	enum cfg_rss rss;
	uint16_t rx_descriptors, tx_descriptors;
	bool promiscuous, checksum_offload, proxy_arp;
	char *exception;         // the kernel's interface for what is not ours, or NULL
	uint32_t exception_rate; // packets a second that it gets
};

struct cfg_reservation {
	char *owner; // user name or IKE identity
	struct ip_addr address;
};

struct cfg_pool {
	char *name;
	struct ip_range *ranges;
	size_t range_count;
	struct ip_range *excludes;
	size_t exclude_count;
	struct ip_addr *dns;
	size_t dns_count;
	struct ip_addr *nbns;
	size_t nbns_count;
	struct ip_addr *dhcp; // servers, told to IKEv1 clients that ask
	size_t dhcp_count;
	char *domain;           // or NULL
	struct ip_addr netmask; // family 0: none
	uint32_t linger_s;
	uint32_t quarantine_s;
	uint16_t prefix_len;       // of what is given out; 0: single addresses
	struct cfg_strings groups; // none: for everybody
	struct cfg_reservation *reservations;
	size_t reservation_count;
	struct {
		struct ip_addr *servers; // none: the pool chooses by itself
		size_t server_count;
		struct ip_addr relay;  // giaddr
		struct ip_addr subnet; // RFC 3527 link selection; family 0: none
		uint32_t timeout_s;
	} from_dhcp;
};

struct cfg_psk {
	char *id; // or NULL; "*" matches any
	struct ip_prefix *addresses;
	size_t address_count;
	struct secret secret;
};

struct cfg_user {
	char *name;
	struct secret password;
	struct cfg_strings groups;
};

struct cfg_certificate {
	char *cert; // path of a PEM file, chain behind the leaf
	char *key;  // path of a PEM file
};

enum cfg_auth { CFG_AUTH_PSK, CFG_AUTH_CERT, CFG_AUTH_NONE };
enum cfg_user_auth {
	CFG_USER_NONE,
	CFG_USER_XAUTH,
	CFG_USER_EAP_MSCHAPV2,
	CFG_USER_EAP_TLS,
	CFG_USER_RADIUS,
};
enum cfg_push { CFG_PUSH_AFTER_STATUS, CFG_PUSH_BEFORE_STATUS };
enum cfg_unique { CFG_UNIQUE_REPLACE, CFG_UNIQUE_KEEP, CFG_UNIQUE_NO };
enum cfg_pfs { CFG_PFS_OPTIONAL, CFG_PFS_REQUIRED, CFG_PFS_NO };
enum cfg_df { CFG_DF_COPY, CFG_DF_SET, CFG_DF_CLEAR };
enum cfg_fragment { CFG_FRAGMENT_BEFORE, CFG_FRAGMENT_AFTER };
enum cfg_initiate { CFG_INITIATE_NONE, CFG_INITIATE_START, CFG_INITIATE_ON_DEMAND };

enum { CFG_MSS_OFF = 0, CFG_MSS_AUTO = 1 };    // cfg_connection.mss, else bytes
enum { CFG_TFC_OFF = 0, CFG_TFC_MTU = 65535 }; // cfg_child.tfc, else bytes
enum { CFG_DSCP_COPY = 64 };                   // cfg_connection.dscp, else the DSCP
// Transport mode where the peer agrees: required, or (any) preferred.
enum cfg_mode { CFG_MODE_TUNNEL, CFG_MODE_TRANSPORT, CFG_MODE_ANY };

struct cfg_child {
	char *name;
	enum cfg_mode mode;
	struct selector *local_ts; // none (transport mode): our outer address
	size_t local_ts_count;
	struct selector *remote_ts; // none: the peer's assigned address, else its outer one
	size_t remote_ts_count;
	struct proposal *esp_proposals;
	size_t esp_proposal_count;
	enum cfg_pfs pfs;
	uint16_t replay_window;
	bool esn;
	enum cfg_df df;
	uint16_t tfc; // traffic flow confidentiality
	enum cfg_fragment fragment;
	uint16_t mtu;          // ceiling of outer packets, bytes; 0: the port's
	bool per_resource;     // RFC 9611: one child SA for each worker
	bool tunnel_interface; // its connection's
};

enum cfg_action { CFG_PROTECT, CFG_BYPASS, CFG_DISCARD };
enum cfg_direction { CFG_IN = 1, CFG_OUT = 2, CFG_BOTH = 3 };

#define CFG_POLICY_ENTRIES 4096 // of a connection and family: pairs of prefixes

// What happens to packets between these; no selector: any.
struct cfg_rule {
	enum cfg_action action;
	enum cfg_direction direction;
	struct selector *local;
	size_t local_count;
	struct selector *remote;
	size_t remote_count;
};

struct cfg_lifetime {
	uint32_t ike_rekey_s, ike_hard_s, child_rekey_s, child_hard_s, reauth_s;
	uint64_t child_rekey_bytes, child_rekey_packets;
	uint64_t child_hard_bytes, child_hard_packets; // 0: a quarter above the soft one, if any
};

struct cfg_connection {
	char *name;
	bool ikev1, ikev2;
	struct proposal *ike_proposals;
	size_t ike_proposal_count;
	struct {
		char *id; // own identity as text: FQDN, mail address, IP address, DN
		enum cfg_auth auth;
		char *cert; // path of the certificate to present, or NULL: the first that fits
		// As XAUTH client; user NULL: none. auth NONE with it: hybrid.
		char *user;
		struct secret password;
	} local;
	struct {
		char *id; // "*" matches any; "*.example" a suffix
		enum cfg_auth auth;
		enum cfg_user_auth user_auth;
		struct ip_prefix *addresses; // none: any
		size_t address_count;
	} remote;
	bool aggressive; // IKEv1 aggressive mode: answered, and used as initiator
	bool mode_config_initiate, mode_config_respond;
	enum cfg_push push;
	uint32_t push_delay_ms; // how long a push waits for a request, with both directions
	bool address_required;
	// As initiator: ask the peer for addresses (request_addresses).
	bool request_v4, request_v6;
	bool request_prefix;                             // an IPv6 network
	struct ip_addr request_hint_v4, request_hint_v6; // this one; family 0: any
	bool request_push;                               // IKEv1: wait for a SET instead of asking
	const struct cfg_pool **pools; // in order; borrowed from the same snapshot
	size_t pool_count;
	bool responder_only;
	enum cfg_unique unique;
	uint32_t max_sessions;
	enum cfg_initiate initiate;
	// Any-to-any selectors; routes decide what enters. With leases the assigned address is a route too.
	bool tunnel_interface;
	struct ip_prefix *tunnel_routes;
	size_t tunnel_route_count;
	bool mobike;
	struct cfg_lifetime lifetime;
	struct {
		uint32_t delay_s, timeout_s;
	} dpd;
	uint32_t idle_s; // 0: never
	uint16_t mss, dscp;
	bool ecn;                                 // normal mode of RFC 6040
	uint32_t rate_in_kbit_s, rate_out_kbit_s; // of each session; 0: no limit
	uint32_t rate_burst_bytes;                // 0: by the rate
	struct cfg_rule *policy;                  // the first that matches; none: protect
	size_t policy_count;
	uint16_t index; // in the configuration
	bool client_to_client;
	bool childless;
	uint16_t fragment_size; // bytes of an IKE fragment's IP packet; 0: fragmentation off
	struct ip_prefix *split_include;
	size_t split_include_count;
	char *banner; // or NULL
	bool save_password;
	struct cfg_strings split_dns; // domains
	struct ip_prefix *local_lan;  // that a client may go on reaching directly
	size_t local_lan_count;
	struct cfg_strings backup_servers; // names or addresses
	struct cfg_child *children;
	size_t child_count;
};

struct cfg {
	struct cfg_main main;
	struct cfg_port *ports;
	size_t port_count;
	struct cfg_pool *pools;
	size_t pool_count;
	struct cfg_psk *psks;
	size_t psk_count;
	struct cfg_user *users;
	size_t user_count;
	struct cfg_certificate *certificates;
	size_t certificate_count;
	struct cfg_strings ca; // paths of PEM files
	struct cfg_connection *connections;
	size_t connection_count;
};

// Read and check a file. On success *out is the snapshot, owned by the caller. Otherwise -EINVAL
// (or -ENOMEM) and every mistake is one "file:line: error: ..." line on errors; warnings go there
// too, in both cases. errors may be NULL. Any thread; touches no other state.
MUST_USE int cfg_load(const char *path, FILE *errors, struct cfg **out);

// The same for text in memory; name stands for the file's in messages, relative paths are taken
// from the working directory.
MUST_USE int cfg_load_text(const char *name, const char *text, FILE *errors, struct cfg **out);

// Calls found for every option that differs between two snapshots, by its place ("connections[3].mss",
// borrowed for the call). live: a running headend takes it up, which pools' options are as long as there
// are as many pools, with the same names in the same order. Returns how many are not. Any thread.
typedef void (*cfg_difference)(void *ctx, const char *path, bool live);
size_t cfg_compare(
	const struct cfg *running, const struct cfg *other, cfg_difference found, void *ctx);
// Where cfg_compare() said 0: each pool of one gets what the other's has, but for its name. Whoever
// points to a struct cfg_pool sees the new contents; what was borrowed from the old ones is other's.
void cfg_swap_pools(struct cfg *running, struct cfg *other);

// Releases all, wiping secrets. NULL is fine.
void cfg_free(struct cfg *c);

// The reference of every option (path, type, range, default, help) as the man page's source.
void cfg_print_reference(FILE *out);
