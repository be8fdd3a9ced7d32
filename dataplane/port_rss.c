// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/port.h"

#include "base/log.h"

#include <rte_flow.h>

LOG_SUBSYSTEM("port");

#define UDP_TYPES (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define IP_TYPES                                                                                   \
	(RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_FRAG_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_TCP |                 \
		RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV4_OTHER | RTE_ETH_RSS_IPV6 | \
		RTE_ETH_RSS_FRAG_IPV6 | RTE_ETH_RSS_NONFRAG_IPV6_TCP |                             \
		RTE_ETH_RSS_NONFRAG_IPV6_UDP | RTE_ETH_RSS_NONFRAG_IPV6_OTHER)

// Microsoft's verification key, repeated to the longest that devices take. A known key keeps the
// shards of a pool even: contiguous ranges split into equal parts with it.
static const uint8_t default_key[DP_RSS_KEY_MAX] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30,
	0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac,
	0x01, 0xfa, 0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d};

enum spread { SPREAD_NONE, SPREAD_DST, SPREAD_UDP, SPREAD_SPI };

static bool offers_esp(const struct rte_eth_dev_info *info)
{
	return info->flow_type_rss_offloads & RTE_ETH_RSS_ESP;
}

static enum spread wanted(const struct dp_port *p, const struct rte_eth_dev_info *info)
{
	if (p->cfg->rss == CFG_RSS_OFF)
		return SPREAD_NONE;
	if (p->role == CFG_INSIDE)
		return SPREAD_DST;
	if (p->cfg->rss == CFG_RSS_SPI)
		return SPREAD_SPI;
	// Most clients stand behind a NAT: UDP first.
	if (p->cfg->rss == CFG_RSS_UDP || (info->flow_type_rss_offloads & UDP_TYPES))
		return SPREAD_UDP;
	return offers_esp(info) ? SPREAD_SPI : SPREAD_UDP;
}

static uint64_t types_of(enum spread s)
{
	switch (s) {
	case SPREAD_DST:
		return IP_TYPES | RTE_ETH_RSS_L3_DST_ONLY;
	case SPREAD_UDP:
		return UDP_TYPES;
	case SPREAD_SPI:
		return RTE_ETH_RSS_ESP;
	case SPREAD_NONE:
		break;
	}
	return 0;
}

void dp_port_rss_request(const struct dp *d, const struct dp_port *p,
	const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t types = types_of(wanted(p, info)) & info->flow_type_rss_offloads;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_NONE;
	conf->rx_adv_conf.rss_conf = (struct rte_eth_rss_conf){0};
	if (p->device_rx < 2 || types == 0 || info->hash_key_size > DP_RSS_KEY_MAX)
		return;
	conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	conf->rx_adv_conf.rss_conf.rss_hf = types;
	if (info->hash_key_size) {
		// DPDK takes the key without const and does not write to it.
		conf->rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)default_key;
		conf->rx_adv_conf.rss_conf.rss_key_len = info->hash_key_size;
	}
}

static int add_flow(const struct dp_port *p, const struct rte_flow_item *pattern, uint64_t types)
{
	struct rte_flow_attr attr = {.ingress = 1};
	uint16_t queues[DP_WORKERS_MAX];
	for (uint16_t q = 0; q < p->device_rx; q++)
		queues[q] = q;
	struct rte_flow_action_rss rss = {
		.types = types,
		.queue = queues,
		.queue_num = p->device_rx,
	};
	struct rte_flow_action actions[] = {
		{.type = RTE_FLOW_ACTION_TYPE_RSS, .conf = &rss},
		{.type = RTE_FLOW_ACTION_TYPE_END},
	};
	struct rte_flow_error why;
	if (rte_flow_validate(p->port_id, &attr, pattern, actions, &why))
		return -1;
	return rte_flow_create(p->port_id, &attr, pattern, actions, &why) ? 0 : -1;
}

// What flags do not reach, rules may: hashing over the destination alone, or over the SPI. True if
// both families are covered.
static bool spread_by_flow(const struct dp_port *p, enum spread s)
{
	static const enum rte_flow_item_type ip[] = {
		RTE_FLOW_ITEM_TYPE_IPV4, RTE_FLOW_ITEM_TYPE_IPV6};
	static const uint64_t dst_types[] = {RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_L3_DST_ONLY,
		RTE_ETH_RSS_IPV6 | RTE_ETH_RSS_L3_DST_ONLY};
	for (size_t i = 0; i < RTE_DIM(ip); i++) {
		struct rte_flow_item pattern[4] = {
			{.type = RTE_FLOW_ITEM_TYPE_ETH}, {.type = ip[i]}};
		pattern[2].type = s == SPREAD_SPI ? RTE_FLOW_ITEM_TYPE_ESP : RTE_FLOW_ITEM_TYPE_END;
		pattern[3].type = RTE_FLOW_ITEM_TYPE_END;
		if (add_flow(p, pattern, s == SPREAD_SPI ? RTE_ETH_RSS_ESP : dst_types[i]))
			return false;
	}
	return true;
}

// Round robin over the queues, then read back what the device made of it.
static bool table(struct dp_port *p, const struct rte_eth_dev_info *info)
{
	struct rte_eth_rss_reta_entry64 reta[DP_RETA_MAX / RTE_ETH_RETA_GROUP_SIZE] = {0};
	uint16_t size = info->reta_size;
	if (size == 0 || size > DP_RETA_MAX || (size & (size - 1)))
		return false;
	for (uint16_t i = 0; i < size; i++) {
		reta[i / RTE_ETH_RETA_GROUP_SIZE].mask = UINT64_MAX;
		reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE] =
			i % p->device_rx;
	}
	(void)rte_eth_dev_rss_reta_update(p->port_id, reta, size);
	if (rte_eth_dev_rss_reta_query(p->port_id, reta, size))
		return false;
	for (uint16_t i = 0; i < size; i++) {
		uint16_t q = reta[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
		if (q >= p->device_rx)
			return false;
		p->reta[i] = q;
	}
	p->reta_size = size;
	return true;
}

static bool key(struct dp_port *p, uint64_t *types)
{
	struct rte_eth_rss_conf conf = {.rss_key = p->rss_key, .rss_key_len = DP_RSS_KEY_MAX};
	if (rte_eth_dev_rss_hash_conf_get(p->port_id, &conf))
		return false;
	*types = conf.rss_hf;
	p->rss_key_len = conf.rss_key_len;
	return p->rss_key_len >= 40; // what an IPv6 tuple with ports needs
}

void dp_port_rss_learn(const struct dp *d, struct dp_port *p, const struct rte_eth_dev_info *info)
{
	enum spread s = wanted(p, info);
	uint64_t types = 0;
	p->rss = p->rss_spi = false;
	if (p->device_rx < 2 || s == SPREAD_NONE || !key(p, &types) || !table(p, info))
		return;
	if (s == SPREAD_UDP)
		p->rss = types & UDP_TYPES;
	else if (s == SPREAD_DST)
		p->rss = (types & RTE_ETH_RSS_L3_DST_ONLY) || spread_by_flow(p, s);
	else
		p->rss = (types & RTE_ETH_RSS_ESP) || spread_by_flow(p, s);
	p->rss_spi = p->rss && s == SPREAD_SPI;
	if (!p->rss)
		log_notice("port %s: %u queues, but the NIC cannot spread as wanted; workers hand "
			   "packets over",
			p->cfg->name, p->device_rx);
}
