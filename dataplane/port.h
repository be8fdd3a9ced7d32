// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// Ports between port.c (start, stop, events, figures) and port_rss.c (how the NIC spreads). Control
// thread.
#pragma once

#include "dataplane/dp.h"

#include <rte_ethdev.h>

struct dp_ports_one {
	struct dp *dp;
	uint16_t index;
	bool opened;         // rte_eth_dev_close() is ours to call
	bool probed;         // so is removing the device
	atomic_bool event;   // link changed; set by EAL's interrupt thread
	atomic_bool removed; // the device has gone
	bool removed_logged;
	bool lsc; // link events come; otherwise the link is asked for
};

struct dp_ports {
	struct dp_ports_one one[DP_PORTS_MAX];
	uint64_t link_poll_ns; // when links without events are asked next
};

// What to ask of the NIC in rte_eth_dev_configure() for a port of several queues.
void dp_port_rss_request(const struct dp *d, const struct dp_port *p,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf);
// After the start: flow rules where flags do not do, the table written and read back. Fills the
// rss fields of p; rss stays false where the spread is not known.
void dp_port_rss_learn(const struct dp *d, struct dp_port *p, const struct rte_eth_dev_info *info);
// Events and links; how many things were done.
unsigned dp_ports_tick(struct dp *d, uint64_t now_ns);
