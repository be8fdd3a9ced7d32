// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the files of ports share. Control thread.
#pragma once

#include "dataplane/dp.h"

#include <rte_dev.h>
#include <rte_ethdev.h>

enum dp_device_state {
	DP_DEVICE_USED,
	DP_DEVICE_LEAVING, // its ports have no queues any more, workers may not have seen it yet
	DP_DEVICE_GONE,    // closed; looked for now and then
};

// Packets that came to the predicted queue, or to another.
struct dp_rss_seen {
	uint64_t right, wrong;
};

// Of the port that has a device; the others of it use nothing here but what begins with
// rss or exception.
struct dp_ports_one {
	struct dp *dp;
	uint16_t index;
	bool opened;         // rte_eth_dev_close() is ours to call
	bool probed;         // so is removing the device
	uint8_t members;     // and removing these members of a bond, a bit each
	atomic_bool event;   // link changed; set by EAL's interrupt thread
	atomic_bool removed; // the device has gone
	bool lsc;            // link events come; otherwise the link is asked for
	int fd;              // hangs up when the kernel's interface has gone; -1: none
	uint8_t state;       // enum dp_device_state
	uint32_t removals;
	uint64_t retry_ns;              // GONE: when it is looked for next
	uint64_t polls[DP_WORKERS_MAX]; // LEAVING: of each worker when that began
	uint8_t vlans[DP_VLANS];        // dp_port.vlans
	bool rss_learning; // the spread was wrong: the key is looked for at the next judgement
	uint8_t rss_learned;
	struct dp_rss_seen rss_base;           // what was seen before the present key
	uint64_t exception_to, exception_from; // frames that the kernel got and sent
};

struct dp_ports {
	struct dp_ports_one one[DP_PORTS_MAX];
	uint64_t link_poll_ns; // when links without events are asked next
};

// ---- port.c ----

// Probe, configure and start a device, and give its ports their queues. 0 or -errno; tell: log why.
MUST_USE int dp_device_start(struct dp *d, uint16_t port, bool tell);
// Close it. Its ports have no queues.
void dp_device_stop(struct dp *d, uint16_t port);
// The queues of all its ports: the device's, or none.
void dp_device_publish(struct dp *d, uint16_t port, bool use);
void dp_port_read_link(struct dp *d, struct dp_port *p, bool always_log);

// ---- Bonds (port_bond.c) ----

#define DP_DEVICE_MAX 1024 // bytes of a device with its arguments

bool dp_bond_is(const char *device);
// 802.3ad: the bond speaks LACP.
bool dp_bond_lacp(const char *device);
// The device as DPDK is to be asked for it: with its members, under the key that this version knows.
// False: too long.
MUST_USE bool dp_bond_device(const struct cfg_port *c, char out[static DP_DEVICE_MAX]);
// Probe the members. 0 or -errno.
MUST_USE int dp_bond_members_probe(struct dp_ports_one *one, const struct cfg_port *c, bool tell);
void dp_bond_members_remove(struct dp_ports_one *one, const struct cfg_port *c);
// No more queues than each member has.
void dp_bond_queues(const struct cfg_port *c, uint16_t *rx, uint16_t *tx);
// "net_tap0,iface=x" -> "net_tap0"; a PCI address with its domain, which the configuration may leave
// out.
void dp_device_name(const char *device, bool pci, char name[static RTE_DEV_NAME_MAX_LEN]);

// ---- How the NIC spreads (port_rss.c) ----

// What to ask of the NIC in rte_eth_dev_configure() for a port of several queues.
void dp_port_rss_request(const struct dp *d, const struct dp_port *p,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf);
// After the start: flow rules where flags do not do, the table written and read back. Fills the
// rss fields of p; rss stays false where the spread is not known.
void dp_port_rss_learn(const struct dp *d, struct dp_port *p, const struct rte_eth_dev_info *info);
// ---- Events (port_events.c) ----

// Links, devices that go and return; how many things were done.
unsigned dp_ports_tick(struct dp *d, uint64_t now_ns);
