// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "config/options.h"

#include <limits.h>

#define ARRAY(type, pointer, number)                             \
	.array = true, .offset = offsetof(struct type, pointer), \
	.count_offset = offsetof(struct type, number)
#define LIST(type, element, pointer, number)              \
	.kind = OPT_LIST, .size = sizeof(struct element), \
	.offset = offsetof(struct type, pointer), .count_offset = offsetof(struct type, number)
#define AT(type, field) .offset = offsetof(struct type, field)
#define NAME            .kind = OPT_STRING, .min = 1, .max = 63
#define TEXT            .kind = OPT_STRING, .min = 1, .max = 255
#define BYTES_MAX       ((uint64_t)1 << 62)

static const struct opt_word lease_store_words[] = {{"embedded", CFG_LEASES_EMBEDDED, false},
	{"memory", CFG_LEASES_MEMORY, false}, {NULL, 0, false}};
static const struct opt_word idle_words[] = {
	{"poll", CFG_IDLE_POLL, false}, {"sleep", CFG_IDLE_SLEEP, false}, {NULL, 0, false}};
static const struct opt_word hugepages_words[] = {{"auto", CFG_HUGEPAGES_AUTO, false},
	{"required", CFG_HUGEPAGES_REQUIRED, false}, {"off", CFG_HUGEPAGES_OFF, false},
	{NULL, 0, false}};
static const struct opt_word role_words[] = {
	{"outside", CFG_OUTSIDE, false}, {"inside", CFG_INSIDE, false}, {NULL, 0, false}};
static const struct opt_word rss_words[] = {{"auto", CFG_RSS_AUTO, false},
	{"udp", CFG_RSS_UDP, false}, {"spi", CFG_RSS_SPI, false}, {"off", CFG_RSS_OFF, false},
	{NULL, 0, false}};
static const struct opt_word version_words[] = {
	{"1", offsetof(struct cfg_connection, ikev1), false},
	{"2", offsetof(struct cfg_connection, ikev2), false}, {NULL, 0, false}};
static const struct opt_word legacy_words[] = {{"des", 0, false}, {"3des", 0, false},
	{"md5", 0, false}, {"modp768", 0, false}, {"modp1024", 0, false}, {"modp1536", 0, false},
	{NULL, 0, false}};
static const struct opt_word auth_words[] = {{"psk", CFG_AUTH_PSK, false},
	{"cert", CFG_AUTH_CERT, false}, {"none", CFG_AUTH_NONE, false}, {NULL, 0, false}};
static const struct opt_word user_auth_words[] = {{"none", CFG_USER_NONE, false},
	{"xauth", CFG_USER_XAUTH, false}, {"eap-mschapv2", CFG_USER_EAP_MSCHAPV2, true},
	{"eap-tls", CFG_USER_EAP_TLS, true}, {"radius", CFG_USER_RADIUS, true}, {NULL, 0, false}};
static const struct opt_word mode_config_words[] = {
	{"initiate", offsetof(struct cfg_connection, mode_config_initiate), false},
	{"respond", offsetof(struct cfg_connection, mode_config_respond), false}, {NULL, 0, false}};
static const struct opt_word push_words[] = {{"after_status", CFG_PUSH_AFTER_STATUS, false},
	{"before_status", CFG_PUSH_BEFORE_STATUS, false}, {NULL, 0, false}};
static const struct opt_word unique_words[] = {{"replace", CFG_UNIQUE_REPLACE, false},
	{"keep", CFG_UNIQUE_KEEP, false}, {"no", CFG_UNIQUE_NO, false}, {NULL, 0, false}};
static const struct opt_word initiate_words[] = {{"none", CFG_INITIATE_NONE, false},
	{"start", CFG_INITIATE_START, false}, {"on_demand", CFG_INITIATE_ON_DEMAND, false},
	{NULL, 0, false}};
static const struct opt_word pfs_words[] = {{"optional", CFG_PFS_OPTIONAL, false},
	{"required", CFG_PFS_REQUIRED, false}, {"no", CFG_PFS_NO, false}, {NULL, 0, false}};
static const struct opt_word fragment_words[] = {{"before", CFG_FRAGMENT_BEFORE, false},
	{"after", CFG_FRAGMENT_AFTER, false}, {NULL, 0, false}};
static const struct opt_word mode_words[] = {{"tunnel", CFG_MODE_TUNNEL, false},
	{"transport", CFG_MODE_TRANSPORT, false}, {"any", CFG_MODE_ANY, false}, {NULL, 0, false}};
static const struct opt_word df_words[] = {{"copy", CFG_DF_COPY, false}, {"set", CFG_DF_SET, false},
	{"clear", CFG_DF_CLEAR, false}, {NULL, 0, false}};
static const struct opt_word action_words[] = {{"protect", CFG_PROTECT, false},
	{"bypass", CFG_BYPASS, false}, {"discard", CFG_DISCARD, false}, {NULL, 0, false}};
static const struct opt_word direction_words[] = {{"in", CFG_IN, false}, {"out", CFG_OUT, false},
	{"both", CFG_BOTH, false}, {NULL, 0, false}};
// Words of numbers.
static const struct opt_word mss_words[] = {
	{"off", CFG_MSS_OFF, false}, {"auto", CFG_MSS_AUTO, false}, {NULL, 0, false}};
static const struct opt_word dscp_words[] = {{"copy", CFG_DSCP_COPY, false}, {NULL, 0, false}};
static const struct opt_word tfc_words[] = {
	{"off", CFG_TFC_OFF, false}, {"mtu", CFG_TFC_MTU, false}, {NULL, 0, false}};

const struct option opt_table[] = {
	{"main", OPT_GROUP, .help = "The process: its processors, memory and directories."},
	{"main.workers", OPT_U16, .array = true, .fixed = 64, .min_items = 1, .max_items = 64,
		.max = 127, AT(cfg, main.workers),
		.count_offset = offsetof(struct cfg, main.worker_count), .def = "1",
		.help = "Logical cores that poll the ports, one worker each."},
	{"main.control_core", OPT_U16, .max = 127, AT(cfg, main.control_core), .def = "0",
		.help = "Logical core of the control and management threads."},
	{"main.helper_cores", OPT_U16, .array = true, .fixed = 64, .min_items = 1, .max_items = 64,
		.max = 127, AT(cfg, main.helper_cores),
		.count_offset = offsetof(struct cfg, main.helper_count), .def = "0",
		.help = "Logical cores of the helper threads: Diffie-Hellman, signatures."},
	{"main.idle", OPT_ENUM, .words = idle_words, AT(cfg, main.idle), .def = "poll",
		.help = "What a worker does that has nothing to do: poll on, or sleep until a packet "
			"arrives (virtual machines, shared processors)."},
	{"main.hugepages", OPT_ENUM, .words = hugepages_words, AT(cfg, main.hugepages),
		.def = "auto",
		.help = "Whether hugepages are used; auto requires them once a port is a PCI device."},
	{"main.memory_mb", OPT_U32, .min = 64, .max = 1048576, AT(cfg, main.memory_mb),
		.def = "512",
		.help = "Memory that DPDK gets, in MiB: packet buffers, rings, SAs, tunnels, policies; what these "
			"need is checked at start. Without hugepages, buffers take twice as much. Not in "
			"it, but in the process's own memory, are the map of inner addresses (8 bytes for "
			"each address of a pool, where it is used), tables of more than 16 routes (their "
			"size is logged at start), fragments that wait at the control thread (8 MiB at "
			"most), a packet trace (21 MiB at most), all of IKE, and, where there are several "
			"workers and intel-ipsec-mb is older than 1.4, a copy of that library of 13 MB for "
			"each worker."},
	{"main.node_id", OPT_U32, .max = 7, AT(cfg, main.node_id), .def = "0",
		.help = "Number of this headend among several; it is part of every SPI."},
	{"main.max_sessions", OPT_U32, .min = 1, .max = 1048576, AT(cfg, main.max_sessions),
		.def = "16384", .help = "Sessions of the whole headend; sizes the SA tables."},
	{"main.cookie_threshold", OPT_U32, .max = 1048576, AT(cfg, main.cookie_threshold),
		.def = "100",
		.help = "Half-open IKE SAs from which a cookie is asked for (RFC 7296 2.6); 0 always asks."},
	{"main.half_open_max", OPT_U32, .min = 1, .max = 1048576, AT(cfg, main.half_open_max),
		.def = "4096", .help = "Half-open IKE SAs above which new ones are dropped."},
	{"main.half_open_timeout_s", OPT_U32, .min = 1, .max = 600,
		AT(cfg, main.half_open_timeout_s), .def = "30",
		.help = "Seconds until an IKE SA that was not authenticated is forgotten."},
	{"main.half_open_max_ikev1", OPT_U32, .min = 1, .max = 1048576,
		AT(cfg, main.half_open_max_ikev1), .def = "512",
		.help = "Half-open IKEv1 SAs above which new ones are dropped; IKEv1 has no cookie that "
			"proves an address first."},
	{"main.quick_crash_detection", OPT_BOOL, AT(cfg, main.quick_crash_detection), .def = "true",
		.help = "Give IKEv2 peers a token by which they believe a restarted gateway that it "
			"has forgotten them (RFC 6290), and believe theirs."},
	{"main.lease_store", OPT_ENUM, .words = lease_store_words, AT(cfg, main.lease_store),
		.def = "embedded",
		.help = "Where leases are kept: embedded, on disk in state_dir, where they survive a "
			"restart; or memory, where they do not."},
	{"main.state_dir", OPT_PATH, AT(cfg, main.state_dir), .def = "/var/lib/sallyport",
		.help = "Directory of what must survive a restart: the leases, and qcd.secret, from "
			"which the tokens of quick_crash_detection are made."},
	{"main.run_dir", OPT_PATH, AT(cfg, main.run_dir), .def = "/run/sallyport",
		.help = "Directory of the management socket, control.sock."},

	{"ports", LIST(cfg, cfg_port, ports, port_count), .help = "The network ports."},
	{"ports[].name", NAME, .required = true, AT(cfg_port, name), .help = "Unique name."},
	{"ports[].role", OPT_ENUM, .required = true, .words = role_words, AT(cfg_port, role),
		.help = "outside carries IKE and ESP, inside clear traffic."},
	{"ports[].device", TEXT, .required = true, AT(cfg_port, device),
		.help = "DPDK device: a PCI address, or a virtual device with its arguments. Several "
			"ports may share one, each with a vlan of its own; what belongs to the device "
			"stands at the first of them."},
	{"ports[].vlan", OPT_U16, .min = 1, .max = 4094, AT(cfg_port, vlan),
		.help = "802.1Q VLAN of the port's frames, both ways; untagged without."},
	{"ports[].members", TEXT, ARRAY(cfg_port, members.items, members.count), .min_items = 1,
		.max_items = 8,
		.help = "The devices that a bond consists of (net_bonding0,mode=4), as in device."},
	{"ports[].mac", OPT_MAC, AT(cfg_port, mac),
		.count_offset = offsetof(struct cfg_port, mac_set),
		.help = "Ethernet address instead of the device's own."},
	{"ports[].addresses", OPT_IF_ADDR, ARRAY(cfg_port, addresses, address_count),
		.help = "The gateway's own addresses, each with its network's prefix length."},
	{"ports[].gateways", OPT_ADDR, ARRAY(cfg_port, gateways, gateway_count),
		.help = "Default routers, one per family."},
	{"ports[].routes", LIST(cfg_port, cfg_route, routes, route_count),
		.help = "Networks behind other routers of this port."},
	{"ports[].routes[].prefix", OPT_PREFIX, .required = true, AT(cfg_route, prefix),
		.help = "The network."},
	{"ports[].routes[].via", OPT_ADDR, .required = true, AT(cfg_route, via),
		.help = "Its router, in a network of the port."},
	{"ports[].mtu", OPT_U16, .min = 576, .max = 9216, AT(cfg_port, mtu), .def = "1500",
		.help = "Largest IP packet in bytes; at least 1280 with IPv6 addresses."},
	{"ports[].rss", OPT_ENUM, .words = rss_words, AT(cfg_port, rss), .def = "auto",
		.help = "How the device spreads packets over the workers."},
	{"ports[].rx_descriptors", OPT_U16, .min = 32, .max = 32768, AT(cfg_port, rx_descriptors),
		.def = "1024", .help = "Receive descriptors per queue."},
	{"ports[].tx_descriptors", OPT_U16, .min = 32, .max = 32768, AT(cfg_port, tx_descriptors),
		.def = "1024", .help = "Transmit descriptors per queue."},
	{"ports[].promiscuous", OPT_BOOL, AT(cfg_port, promiscuous), .def = "false",
		.help = "Receive frames for other Ethernet addresses too."},
	{"ports[].checksum_offload", OPT_BOOL, AT(cfg_port, checksum_offload), .def = "true",
		.help = "Let the device compute checksums where it can."},
	{"ports[].proxy_arp", OPT_BOOL, AT(cfg_port, proxy_arp), .def = "false",
		.help = "Answer ARP and neighbour discovery for the inner addresses in use."},
	{"ports[].exception", OPT_STRING, .min = 1, .max = 15, AT(cfg_port, exception),
		.help = "Name of a kernel interface (TAP) that is made for what the gateway has no "
			"use for, and whose frames leave by this port: SSH, routing daemons."},
	{"ports[].exception_rate", OPT_U32, .min = 1, .max = 1000000, AT(cfg_port, exception_rate),
		.def = "10000",
		.help = "Packets a second that exception gets; the rest is dropped."},

	{"pools", LIST(cfg, cfg_pool, pools, pool_count), .help = "Address pools."},
	{"pools[].name", NAME, .required = true, AT(cfg_pool, name), .help = "Unique name."},
	{"pools[].ranges", OPT_RANGE, .required = true, ARRAY(cfg_pool, ranges, range_count),
		.min_items = 1,
		.help = "What is given out, all of one family: \"lo-hi\", a prefix or one address."},
	{"pools[].exclude", OPT_RANGE, ARRAY(cfg_pool, excludes, exclude_count), .max_items = 65536,
		.help = "Addresses of the ranges that are never given out."},
	{"pools[].dns", OPT_ADDR, ARRAY(cfg_pool, dns, dns_count), .max_items = 8,
		.help = "Name servers, told to the client."},
	{"pools[].nbns", OPT_ADDR, ARRAY(cfg_pool, nbns, nbns_count), .max_items = 8,
		.help = "NetBIOS name servers (IPv4), told to the client."},
	{"pools[].dhcp", OPT_ADDR, ARRAY(cfg_pool, dhcp, dhcp_count), .max_items = 8,
		.help = "DHCP servers, told to an IKEv1 client that asks."},
	{"pools[].domain", OPT_STRING, .min = 1, .max = 253, AT(cfg_pool, domain),
		.help = "Domain name, told to the client."},
	{"pools[].netmask", OPT_ADDR, AT(cfg_pool, netmask),
		.help = "Netmask of the inner IPv4 address, told to the client; nothing is told without."},
	{"pools[].linger_s", OPT_U32, .max = 31536000, AT(cfg_pool, linger_s), .def = "300",
		.help = "Seconds that an address is kept for its owner after the session has ended."},
	{"pools[].quarantine_s", OPT_U32, .max = 86400, AT(cfg_pool, quarantine_s), .def = "0",
		.help = "Seconds in which an address that does not linger is given to nobody after its "
			"session has ended."},
	{"pools[].prefix_length", OPT_U16, .max = 128, AT(cfg_pool, prefix_len), .def = "0",
		.help = "Give out networks of this prefix length instead of single addresses, to sites: "
			"by INTERNAL_IP6_PREFIX (RFC 5739), in IPv4 by the traffic selectors alone."},
	{"pools[].groups", TEXT, ARRAY(cfg_pool, groups.items, groups.count), .max_items = 64,
		.help = "Only for users of one of these groups; without, for everybody."},
	{"pools[].from_dhcp", OPT_GROUP,
		.help = "Let a DHCP server (RFC 2131) choose each address; it must lie in the ranges. "
			"The gateway is the relay agent, and asks for each lease as a client of its own, "
			"whose client identifier (RFC 4361) stays with the lease's owner. Leases are "
			"renewed as long as a session has them and given back after linger_s."},
	{"pools[].from_dhcp.servers", OPT_ADDR,
		ARRAY(cfg_pool, from_dhcp.servers, from_dhcp.server_count), .max_items = 8,
		.help = "The servers, all asked at once. Answers from elsewhere do not count."},
	{"pools[].from_dhcp.relay", OPT_ADDR, AT(cfg_pool, from_dhcp.relay),
		.help = "The gateway's own address on the management side that the servers answer to "
			"(giaddr). The kernel has it; its UDP port 67 must be free. Required with servers."},
	{"pools[].from_dhcp.subnet", OPT_ADDR, AT(cfg_pool, from_dhcp.subnet),
		.help = "An address of the subnet that the servers choose from, if it is not the relay's "
			"(link selection, RFC 3527)."},
	{"pools[].from_dhcp.timeout_s", OPT_U32, .min = 1, .max = 10,
		AT(cfg_pool, from_dhcp.timeout_s), .def = "3",
		.help = "Seconds for the servers' answers; then the connection's next pool is asked. A "
			"server that pings an address before it offers it may need them itself (dnsmasq "
			"takes three without no-ping)."},
	{"pools[].reserve", LIST(cfg_pool, cfg_reservation, reservations, reservation_count),
		.help = "Addresses that are kept for one owner for ever."},
	{"pools[].reserve[].owner", TEXT, .required = true, AT(cfg_reservation, owner),
		.help = "User name or IKE identity."},
	{"pools[].reserve[].address", OPT_ADDR, .required = true, AT(cfg_reservation, address),
		.help = "An address of the ranges."},

	{"credentials", OPT_GROUP, .help = "Secrets, users and certificates."},
	{"credentials.psk", LIST(cfg, cfg_psk, psks, psk_count), .help = "Pre-shared keys."},
	{"credentials.psk[].id", TEXT, AT(cfg_psk, id),
		.help = "The peer's IKE identity; \"*\" is any, whose identity then is a mere claim. "
			"So is, in IKEv1, an identity of type KEY_ID (a group's name, as Cisco's "
			"clients send it), which the same text fits: many have its key."},
	{"credentials.psk[].addresses", OPT_PREFIX, ARRAY(cfg_psk, addresses, address_count),
		.help = "The peer's outer addresses."},
	{"credentials.psk[].secret", OPT_SECRET, .min = 1, .max = 4096, AT(cfg_psk, secret),
		.help = "The key as text."},
	{"credentials.psk[].secret_file", OPT_SECRET_FILE, .min = 1, .max = PATH_MAX,
		AT(cfg_psk, secret),
		.help = "A file that holds the key; a newline at its end does not count."},
	{"credentials.users", LIST(cfg, cfg_user, users, user_count), .help = "Local users."},
	{"credentials.users[].name", TEXT, .required = true, AT(cfg_user, name),
		.help = "User name."},
	{"credentials.users[].password", OPT_SECRET, .required = true, .min = 1, .max = 1024,
		AT(cfg_user, password), .help = "Password as text."},
	{"credentials.users[].groups", TEXT, ARRAY(cfg_user, groups.items, groups.count),
		.help = "Groups that the user belongs to."},
	{"credentials.certificates", LIST(cfg, cfg_certificate, certificates, certificate_count),
		.help = "The gateway's own certificates."},
	{"credentials.certificates[].cert", OPT_PATH, .required = true, AT(cfg_certificate, cert),
		.help = "PEM file: the certificate, behind it the chain up to the CA."},
	{"credentials.certificates[].key", OPT_PATH, .required = true, AT(cfg_certificate, key),
		.help = "PEM file with its private key."},
	{"credentials.ca", OPT_PATH, ARRAY(cfg, ca.items, ca.count),
		.help = "PEM files with the CA certificates that peers are checked against."},

	{"connections", LIST(cfg, cfg_connection, connections, connection_count),
		.help = "Who may connect, and how, at most 65,535. The most specific match is taken."},
	{"connections[].name", NAME, .required = true, AT(cfg_connection, name),
		.help = "Unique name."},
	{"connections[].ike_versions", OPT_FLAGS, .array = true, .number = true, .min_items = 1,
		.max_items = 2, .words = version_words, .def = "2", .help = "Versions of IKE."},
	{"connections[].ike_proposals", OPT_IKE_PROPOSAL,
		ARRAY(cfg_connection, ike_proposals, ike_proposal_count), .min_items = 1,
		.def = "aes128gcm16-aes256gcm16-prfsha256-prfsha384-x25519-ecp256-ecp384-modp2048 "
		       "aes128-aes256-sha256-sha384-x25519-ecp256-ecp384-modp2048",
		.help = "Cipher, integrity, PRF and group keywords joined by \"-\", in order of "
			"preference; several of one kind are alternatives."},
	{"connections[].legacy", OPT_FLAGS, .array = true, .max_items = 8, .words = legacy_words,
		.offset = OPT_NOWHERE,
		.help = "Weak algorithms that proposals of this connection may name."},
	{"connections[].aggressive", OPT_BOOL, AT(cfg_connection, aggressive), .def = "false",
		.help = "IKEv1 aggressive mode: answered, and used as initiator. With a pre-shared key "
			"everybody who can send a packet gets a reply that the key can be guessed from "
			"off line."},
	{"connections[].local", OPT_GROUP, .required = true, .help = "The gateway's side."},
	{"connections[].local.id", TEXT, .required = true, AT(cfg_connection, local.id),
		.help = "Own IKE identity: a name, mail address, IP address or distinguished name."},
	{"connections[].local.auth", OPT_ENUM, .required = true, .words = auth_words,
		AT(cfg_connection, local.auth),
		.help = "How the gateway proves it; none where it is a hybrid client, whom "
			"local.user alone names."},
	{"connections[].local.cert", OPT_PATH, AT(cfg_connection, local.cert),
		.help = "Which of credentials.certificates to show; without, the first that fits."},
	{"connections[].local.user", TEXT, AT(cfg_connection, local.user),
		.help = "User name that the gateway gives as XAUTH client (IKEv1)."},
	{"connections[].local.password", OPT_SECRET, .min = 1, .max = 1024,
		AT(cfg_connection, local.password), .help = "Password of local.user."},
	{"connections[].remote", OPT_GROUP, .required = true, .help = "The peer's side."},
	{"connections[].remote.id", TEXT, AT(cfg_connection, remote.id), .def = "*",
		.help = "The peer's IKE identity; \"*\" is any, \"*.example\" any that ends so."},
	{"connections[].remote.auth", OPT_ENUM, .required = true, .words = auth_words,
		AT(cfg_connection, remote.auth),
		.help = "How the peer proves it; none where user_auth alone proves who it is (with "
			"xauth: hybrid authentication)."},
	{"connections[].remote.user_auth", OPT_ENUM, .later = LATER_CHECK, .words = user_auth_words,
		AT(cfg_connection, remote.user_auth), .def = "none",
		.help = "How the user behind the peer is authenticated: by credentials.users."},
	{"connections[].remote.addresses", OPT_PREFIX,
		ARRAY(cfg_connection, remote.addresses, remote.address_count),
		.help = "The peer's outer addresses; none is any."},
	{"connections[].mode_config", OPT_FLAGS, .array = true, .max_items = 2,
		.words = mode_config_words,
		.help = "respond answers a client that asks for its inner address; initiate pushes it "
			"(IKEv1)."},
	{"connections[].push", OPT_ENUM, .words = push_words, AT(cfg_connection, push),
		.def = "after_status",
		.help = "When a pushed address is sent, seen from XAUTH's status."},
	{"connections[].push_delay_ms", OPT_U32, .max = 10000, AT(cfg_connection, push_delay_ms),
		.def = "500",
		.help = "Milliseconds that a push waits for the client to ask by itself, with both "
			"directions in mode_config."},
	{"connections[].address_required", OPT_BOOL, AT(cfg_connection, address_required),
		.def = "false", .help = "Refuse a peer that takes no inner address."},
	{"connections[].pools", NAME, .array = true, .max_items = 64, .offset = OPT_NOWHERE,
		.help = "Pools that the inner address is drawn from, in order; one address per family."},
	{"connections[].request_addresses", OPT_ADDR, .array = true, .max_items = 2,
		.offset = OPT_NOWHERE,
		.help = "As initiator, ask the peer for an inner address: one entry a family, "
			"\"0.0.0.0\" or \"::\" for any address, another for the one that is "
			"wished for."},
	{"connections[].request_prefix", OPT_BOOL, AT(cfg_connection, request_prefix),
		.def = "false",
		.help = "As initiator of IKEv2, ask the peer for an IPv6 network (RFC 5739)."},
	{"connections[].request_push", OPT_BOOL, AT(cfg_connection, request_push), .def = "false",
		.help = "As initiator of IKEv1, wait for the inner address that the peer pushes "
			"instead of asking for one."},
	{"connections[].responder_only", OPT_BOOL, AT(cfg_connection, responder_only),
		.def = "false",
		.help = "Answer every negotiation, begin none: no IKE SA, no child SA, no rekeying, no "
			"re-authentication. Dead peer detection and deletes still go out."},
	{"connections[].unique", OPT_ENUM, .words = unique_words, AT(cfg_connection, unique),
		.def = "replace",
		.help = "What a second session of the same user and identity does to the first: replace "
			"it, keep it and be refused, or stand beside it."},
	{"connections[].max_sessions", OPT_U32, .max = 1048576, AT(cfg_connection, max_sessions),
		.def = "0", .help = "Sessions per user; 0 sets no limit."},
	{"connections[].initiate", OPT_ENUM, .words = initiate_words, AT(cfg_connection, initiate),
		.def = "none",
		.help = "Whether the gateway connects by itself: at start, and again whenever the "
			"session has ended, or when the first packet for the peer comes, which waits. "
			"The addresses of remote.addresses are tried in turn."},
	{"connections[].tunnel_interface", OPT_GROUP,
		.count_offset = offsetof(struct cfg_connection, tunnel_interface),
		.help = "Routes instead of selectors decide what enters the tunnel, and what may come "
			"out of it; the children's selectors are any to any."},
	{"connections[].tunnel_interface.routes", OPT_PREFIX,
		ARRAY(cfg_connection, tunnel_routes, tunnel_route_count), .max_items = 4096,
		.help = "Networks behind the peer. The inner address that a client was given is one "
			"without being named."},
	{"connections[].mobike", OPT_BOOL, AT(cfg_connection, mobike), .def = "true",
		.help = "Let an IKEv2 peer change its address within a session (RFC 4555)."},
	{"connections[].lifetime", OPT_GROUP, .help = "How long keys live."},
	{"connections[].lifetime.ike_rekey_s", OPT_U32, .max = 31536000,
		AT(cfg_connection, lifetime.ike_rekey_s), .def = "14400",
		.help = "Seconds until the gateway rekeys an IKE SA (IKEv1: makes it anew), less a part "
			"that is drawn by lot; 0 is never."},
	{"connections[].lifetime.ike_hard_s", OPT_U32, .min = 1, .max = 31536000,
		AT(cfg_connection, lifetime.ike_hard_s), .def = "86400",
		.help = "Seconds until an IKE SA that was not rekeyed is deleted."},
	{"connections[].lifetime.child_rekey_s", OPT_U32, .max = 31536000,
		AT(cfg_connection, lifetime.child_rekey_s), .def = "3600",
		.help = "Seconds until the gateway rekeys a child SA, less a part that is drawn by lot; "
			"0 is never."},
	{"connections[].lifetime.child_hard_s", OPT_U32, .min = 1, .max = 31536000,
		AT(cfg_connection, lifetime.child_hard_s), .def = "86400",
		.help = "Seconds until a child SA that was not rekeyed is deleted."},
	{"connections[].lifetime.child_rekey_bytes", OPT_U64, .max = BYTES_MAX,
		AT(cfg_connection, lifetime.child_rekey_bytes), .def = "0",
		.help = "Bytes, in either direction, after which the gateway rekeys a child SA; 0 is "
			"never."},
	{"connections[].lifetime.child_hard_bytes", OPT_U64, .max = BYTES_MAX,
		AT(cfg_connection, lifetime.child_hard_bytes), .def = "0",
		.help = "Bytes after which a child SA that was not rekeyed is deleted; 0 is a quarter "
			"above child_rekey_bytes, or never where that is 0."},
	{"connections[].lifetime.child_rekey_packets", OPT_U64, .max = BYTES_MAX,
		AT(cfg_connection, lifetime.child_rekey_packets), .def = "0",
		.help = "Packets, in either direction, after which the gateway rekeys a child SA; 0 is "
			"never but before its sequence numbers end."},
	{"connections[].lifetime.child_hard_packets", OPT_U64, .max = BYTES_MAX,
		AT(cfg_connection, lifetime.child_hard_packets), .def = "0",
		.help = "Packets after which a child SA that was not rekeyed is deleted; 0 is a quarter "
			"above child_rekey_packets, or never where that is 0."},
	{"connections[].lifetime.reauth_s", OPT_U32, .max = 31536000,
		AT(cfg_connection, lifetime.reauth_s), .def = "0",
		.help = "Seconds until an IKEv2 peer must have authenticated anew; a peer that "
			"connected is told (RFC 4478), one that the gateway connected to is connected "
			"to again. 0 is never."},
	{"connections[].dpd", OPT_GROUP, .help = "Dead peer detection."},
	{"connections[].dpd.delay_s", OPT_U32, .max = 86400, AT(cfg_connection, dpd.delay_s),
		.def = "30",
		.help = "Seconds of silence after which the peer is asked; 0 is never."},
	{"connections[].dpd.timeout_s", OPT_U32, .min = 1, .max = 86400,
		AT(cfg_connection, dpd.timeout_s), .def = "150",
		.help = "Seconds without an answer after which the session ends."},
	{"connections[].idle_s", OPT_U32, .or_zero = true, .min = 10, .max = 31536000,
		AT(cfg_connection, idle_s), .def = "0",
		.help = "Seconds without a packet in either direction after which the session is ended "
			"with a DELETE to the peer; 0 is never. A client that authenticates anew by itself is not idle."},
	{"connections[].mss", OPT_U16, .min = 536, .max = 9156, .words = mss_words,
		AT(cfg_connection, mss), .def = "off",
		.help = "Largest MSS that TCP's SYN and SYN/ACK may show, in both directions; auto is "
			"what fits into the tunnel's path MTU. It is never raised, and never below "
			"536 (IPv6: 1220)."},
	{"connections[].dscp", OPT_U16, .max = 63, .words = dscp_words, AT(cfg_connection, dscp),
		.def = "copy",
		.help = "The outer header's DSCP: the inner one's, or this one for all packets. What "
			"comes out of a tunnel keeps its own."},
	{"connections[].ecn", OPT_BOOL, AT(cfg_connection, ecn), .def = "true",
		.help = "Copy the ECN field to the outer header (RFC 6040, normal mode); false leaves "
			"it Not-ECT (compatibility mode), for peers that do not copy it back."},
	{"connections[].rate_in_kbit_s", OPT_U32, .max = 1000000000,
		AT(cfg_connection, rate_in_kbit_s), .def = "0",
		.help = "Inner packets that one session may send, in 1000 bits per second; what is "
			"above is dropped. 0 sets no limit. With per_resource each worker has an equal "
			"share."},
	{"connections[].rate_out_kbit_s", OPT_U32, .max = 1000000000,
		AT(cfg_connection, rate_out_kbit_s), .def = "0",
		.help = "The same for what it is sent."},
	{"connections[].rate_burst_bytes", OPT_U32, .or_zero = true, .min = 10000,
		.max = 1000000000, AT(cfg_connection, rate_burst_bytes), .def = "0",
		.help = "Bytes that may pass at once within the rates; 0 is a tenth of a second's, but "
			"not less than 65536."},
	{"connections[].policy", LIST(cfg_connection, cfg_rule, policy, policy_count),
		.max_items = 1024,
		.help = "What may pass, beside the children's selectors; the first rule that matches a "
			"packet decides, and protect where none does."},
	{"connections[].policy[].action", OPT_ENUM, .required = true, .words = action_words,
		AT(cfg_rule, action),
		.help = "protect: through the tunnel, as far as selectors allow it. discard: not at "
			"all. bypass: in clear by an outside port, both ways or one; its remote "
			"networks must be named and routed outside. It holds before a tunnel is there, "
			"and while one is, for the destinations of a tunnel of this connection; what "
			"comes out of a tunnel never leaves in clear."},
	{"connections[].policy[].direction", OPT_ENUM, .words = direction_words,
		AT(cfg_rule, direction), .def = "both",
		.help = "out: towards the peer; in: from it."},
	{"connections[].policy[].local", OPT_SELECTOR, ARRAY(cfg_rule, local, local_count),
		.max_items = 64,
		.help = "The gateway's side of the packet, any without; as in local_ts, with protocol "
			"and port (\"0.0.0.0/0[tcp/80-443]\"). A later fragment hides its ports: a rule "
			"with ports that discards takes it as well, another one does not match it."},
	{"connections[].policy[].remote", OPT_SELECTOR, ARRAY(cfg_rule, remote, remote_count),
		.max_items = 64, .help = "The peer's side, in the same way."},
	{"connections[].client_to_client", OPT_BOOL, AT(cfg_connection, client_to_client),
		.def = "true",
		.help = "Whether what comes out of one peer's tunnel may enter another's; both "
			"connections must allow it. Tunnels of one owner are not apart."},
	{"connections[].childless", OPT_BOOL, AT(cfg_connection, childless), .def = "false",
		.help = "Allow an IKE SA without a first child SA (RFC 6023)."},
	{"connections[].fragment_size", OPT_U16, .or_zero = true, .min = 576, .max = 9216,
		AT(cfg_connection, fragment_size), .def = "1280",
		.help = "Bytes of the IP packet that one IKE fragment fills (RFC 7383, in IKEv1 Cisco's "
			"fragments); 0 turns fragmentation off."},
	{"connections[].split_include", OPT_PREFIX,
		ARRAY(cfg_connection, split_include, split_include_count), .max_items = 64,
		.help = "Networks that an IKEv1 client sends through the tunnel, IPv6 ones only where "
			"it asks for IP6_SUBNET; IKEv2 takes them from local_ts."},
	{"connections[].local_lan", OPT_PREFIX, ARRAY(cfg_connection, local_lan, local_lan_count),
		.max_items = 64,
		.help = "Networks (IPv4) that an IKEv1 client may go on reaching directly."},
	{"connections[].split_dns", OPT_STRING, .min = 1, .max = 253,
		ARRAY(cfg_connection, split_dns.items, split_dns.count), .max_items = 64,
		.help = "Domains that an IKEv1 client resolves with the pools' name servers."},
	{"connections[].backup_servers", OPT_STRING, .min = 1, .max = 253,
		ARRAY(cfg_connection, backup_servers.items, backup_servers.count), .max_items = 10,
		.help = "Names or addresses of other gateways, told to an IKEv1 client."},
	{"connections[].banner", OPT_STRING, .max = 1024, AT(cfg_connection, banner),
		.help = "Text that an IKEv1 client shows after login."},
	{"connections[].save_password", OPT_BOOL, AT(cfg_connection, save_password), .def = "false",
		.help = "Tell an IKEv1 client that it may store the password."},
	{"connections[].children", .required = true,
		LIST(cfg_connection, cfg_child, children, child_count), .min_items = 1,
		.help = "The traffic: one child SA each."},
	{"connections[].children[].name", NAME, .required = true, AT(cfg_child, name),
		.help = "Unique name in its connection."},
	{"connections[].children[].mode", OPT_ENUM, .words = mode_words, AT(cfg_child, mode),
		.def = "tunnel",
		.help = "transport protects what the gateway's own outer address and the peer's say to "
			"each other, without a second IP header, as L2TP and GRE over IPsec want it; a "
			"peer that wants a tunnel is refused. any prefers transport and takes a tunnel."},
	{"connections[].children[].local_ts", OPT_SELECTOR,
		ARRAY(cfg_child, local_ts, local_ts_count), .max_items = 64,
		.help = "Traffic selectors behind the gateway: a prefix, \"lo-hi\" or one address, and "
			"\"[proto]\", \"[proto/port]\" or \"[proto/lo-hi]\" behind it. Required in "
			"tunnel mode; in transport mode its outer address, whose protocols and ports "
			"0.0.0.0/0 or ::/0 may name."},
	{"connections[].children[].remote_ts", OPT_SELECTOR,
		ARRAY(cfg_child, remote_ts, remote_ts_count), .max_items = 64,
		.help = "Traffic selectors behind the peer; without, its assigned address, in transport mode "
			"its outer one. Addresses of "
			"pools are never the peer's: one that asks for a part of a pool is refused, "
			"and from a selector around whole pools they are left out."},
	{"connections[].children[].esp_proposals", OPT_ESP_PROPOSAL,
		ARRAY(cfg_child, esp_proposals, esp_proposal_count), .min_items = 1,
		.def = "aes128gcm16 aes256gcm16 aes128-sha256",
		.help = "Cipher and integrity keywords joined by \"-\", with groups for PFS, in order of "
			"preference."},
	{"connections[].children[].pfs", OPT_ENUM, .words = pfs_words, AT(cfg_child, pfs),
		.def = "optional",
		.help = "Whether rekeying a child SA needs a fresh key exchange."},
	{"connections[].children[].replay_window", OPT_U16, .min = 32, .max = 4096,
		AT(cfg_child, replay_window), .def = "128",
		.help = "Packets of the anti-replay window, rounded up to a power of two."},
	{"connections[].children[].esn", OPT_BOOL, AT(cfg_child, esn), .def = "true",
		.help = "Prefer extended sequence numbers; a peer without them is accepted."},
	{"connections[].children[].df", OPT_ENUM, .words = df_words, AT(cfg_child, df),
		.def = "copy",
		.help = "The outer IPv4 header's DF bit: the inner one's, set or clear. With \"clear\" an "
			"inner packet that may not be fragmented and does not fit is encrypted whole, "
			"and its ESP packet leaves in fragments; else its sender is told (ICMP)."},
	{"connections[].children[].fragment", OPT_ENUM, .words = fragment_words,
		AT(cfg_child, fragment), .def = "before",
		.help = "How inner packets leave that are too large for the path and may be fragmented "
			"(IPv4 without DF): cut before encryption, so that each part is a packet of its "
			"own for the peer, or after it, so that the peer has to put the ESP packet "
			"together. Of a tunnel's children the first one's counts."},
	{"connections[].children[].mtu", OPT_U16, .or_zero = true, .min = 576, .max = 9216,
		AT(cfg_child, mtu), .def = "0",
		.help = "Most bytes of an outer packet (over IPv6 never below 1280); 0: the port's MTU. "
			"What routers report (ICMP) lowers it for ten minutes."},
	{"connections[].children[].tfc", OPT_U16, .min = 16, .max = 8192, .words = tfc_words,
		AT(cfg_child, tfc), .def = "off",
		.help = "Traffic flow confidentiality: inner packets are padded to a multiple of so many "
			"bytes, or to the path's MTU if that comes first; mtu pads all to the MTU. An "
			"IKEv2 peer that takes no such padding says so and gets none; IKEv1 cannot."},
	{"connections[].children[].per_resource", OPT_BOOL, AT(cfg_child, per_resource),
		.def = "false",
		.help = "One child SA for each worker (RFC 9611), so that one peer's traffic uses all "
			"of them; site to site with a peer that speaks it."},
};
const size_t opt_count = sizeof(opt_table) / sizeof(opt_table[0]);
