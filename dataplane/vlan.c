// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/vlan.h"

#define TAG_LEN     4
#define TYPE_AT     12 // offset of the ethertype, or of the tag's
#define VID_MASK    0x0fff
#define TYPE_9100   0x9100 // outer tags before 802.1ad
#define RX_STRIPPED (RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED)

static bool second_tag(const struct rte_mbuf *m, const uint8_t *p)
{
	uint16_t type = get_be16(p + TYPE_AT);
	return dp_vlan_type(type) || type == TYPE_9100 ||
	       (m->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED);
}

// The frame's VLAN, its tag taken off. IEEE 802.1Q 9.6: VID 0 says that the tag carries a priority
// alone.
static enum dp_drop untag(struct rte_mbuf *m, uint16_t *vlan)
{
	uint8_t *p = dp_data(m);
	*vlan = 0;
	if (m->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) {
		*vlan = m->vlan_tci & VID_MASK;
	} else if (get_be16(p + TYPE_AT) == RTE_ETHER_TYPE_VLAN) {
		if (m->data_len < RTE_ETHER_HDR_LEN + TAG_LEN)
			return DP_DROP_runt;
		*vlan = get_be16(p + TYPE_AT + 2) & VID_MASK;
		memmove(p + TAG_LEN, p, TYPE_AT);
		p = (uint8_t *)rte_pktmbuf_adj(m, TAG_LEN);
	}
	return second_tag(m, p) ? DP_DROP_vlan_qinq : DP_DROP_NONE;
}

const struct dp_port *dp_vlan_rx(
	struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m, enum dp_drop *why)
{
	uint16_t vlan;
	*why = untag(m, &vlan);
	if (*why != DP_DROP_NONE)
		return NULL;
	m->ol_flags &= ~RX_STRIPPED;
	if (!port->vlans) {
		*why = vlan ? DP_DROP_vlan_unknown : DP_DROP_NONE;
		return vlan ? NULL : port;
	}
	if (port->vlans[vlan] == 0) {
		*why = DP_DROP_vlan_unknown;
		return NULL;
	}
	port = &w->dp->ports[port->vlans[vlan] - 1];
	dp_meta(m)->port = port->index;
	struct dp_port_count *count = &w->port_count[port->index];
	dp_add(&count->rx_packets, 1);
	dp_add(&count->rx_bytes, m->pkt_len);
	if (unlikely(w->watch[port->index].left))
		dp_rss_watch(w, port, &m, 1);
	return port;
}

bool dp_vlan_tx(struct dp_worker *w, const struct dp_port *port, struct rte_mbuf *m)
{
	struct dp_port_count *count = &w->port_count[port->index];
	dp_add(&count->tx_packets, 1);
	dp_add(&count->tx_bytes, m->pkt_len);
	if (port->vlan == 0)
		return true;
	if (port->vlan_insert) {
		m->vlan_tci = port->vlan;
		m->ol_flags |= RTE_MBUF_F_TX_VLAN;
		return true;
	}
	uint8_t *p = (uint8_t *)rte_pktmbuf_prepend(m, TAG_LEN);
	if (!p)
		return false;
	memmove(p, p + TAG_LEN, TYPE_AT);
	set_be16(p + TYPE_AT, RTE_ETHER_TYPE_VLAN);
	set_be16(p + TYPE_AT + 2, port->vlan);
	return true;
}

void dp_vlan_mark(const struct dp_port *port, struct rte_mbuf *m)
{
	m->vlan_tci = port->vlan;
	m->ol_flags |= RX_STRIPPED;
}
