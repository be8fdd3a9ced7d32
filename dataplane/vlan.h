// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// 802.1Q: several ports on one device. Tags are taken off before anything else looks at a frame,
// and put on as the last thing.
#pragma once

#include "dataplane/worker.h"

static inline bool dp_vlan_type(uint16_t ethertype)
{
	return ethertype == RTE_ETHER_TYPE_VLAN || ethertype == RTE_ETHER_TYPE_QINQ;
}

// The port that a frame belongs to, its tag taken off; NULL: *why. port: any of its device. At least
// an Ethernet header long, one segment.
const struct dp_port *dp_vlan_rx(
	struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m, enum dp_drop *why);
// Tag a finished frame for a port that has p->vlans. False: no room.
MUST_USE bool dp_vlan_tx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m);
// An untagged frame looks as though it had come by this port.
void dp_vlan_mark(const struct dp_port *port, struct rte_mbuf *m);
