// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/exception.h"

#include "dataplane/ike_io.h"

bool dp_exception_wants(const struct ip_info *ip, const uint8_t *packet)
{
	uint16_t src, dst;
	if (ip->fragment || ip->proto == PROTO_ICMP || ip->proto == PROTO_ICMP6 ||
		ip->proto == PROTO_ESP)
		return false;
	if (ip->proto != PROTO_UDP || ip->extended)
		return true;
	if (ip->total - ip->upper < UDP_HDR)
		return false;
	ip_ports(packet, ip, &src, &dst);
	return dst != IKE_PORT && dst != IKE_NATT_PORT;
}

// Not for us, but well-formed: what is malformed, forged or refused by policy stays a drop.
static bool for_the_kernel(enum dp_drop why)
{
	return why == DP_DROP_outside_clear || why == DP_DROP_local_proto ||
	       why == DP_DROP_ip_destination || why == DP_DROP_ip_options ||
	       why == DP_DROP_outer_fragment || why == DP_DROP_ethertype;
}

bool dp_exception_take(struct dp_worker *w, struct rte_mbuf *m, enum dp_drop why)
{
	const struct dp_port *port = &w->dp->ports[dp_meta(m)->port];
	struct dp_exception_share *share = &w->exception[port->index];
	if (port->exception_share == 0 || !for_the_kernel(why))
		return false;
	if (w->now_ns - share->from_ns >= DP_EXCEPTION_SHARE_NS) {
		share->from_ns = w->now_ns;
		share->left = port->exception_share;
	}
	if (share->left == 0) {
		dp_drop(w, m, DP_DROP_exception_rate);
		return true;
	}
	share->left--;
	dp_punt(w, m, DP_PUNT_EXCEPTION);
	return true;
}
