// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/port.h"

#include "base/log.h"
#include "dataplane/eal.h"
#include "dataplane/exception.h"

#include <rte_dev.h>
#include <rte_errno.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>

LOG_SUBSYSTEM("port");

static int on_event(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct dp_ports_one *one = arg;
	if (type == RTE_ETH_EVENT_INTR_RMV)
		atomic_store_explicit(&one->removed, true, memory_order_release);
	atomic_store_explicit(&one->event, true, memory_order_release);
	if (one->dp->wake_fd > 0)
		(void)eventfd_write(one->dp->wake_fd, 1);
	return 0;
}

static int probe(struct dp_ports_one *one, struct dp_port *p, bool tell)
{
	char name[RTE_DEV_NAME_MAX_LEN], device[DP_DEVICE_MAX];
	dp_device_name(p->cfg->device, p->cfg->pci, name);
	if (rte_eth_dev_get_port_by_name(name, &p->port_id) == 0)
		return 0;
	int rc = dp_bond_members_probe(one, p->cfg, tell);
	if (rc)
		return rc;
	rc = dp_bond_device(p->cfg, device) ? rte_dev_probe(device) : -ENAMETOOLONG;
	if (rc) {
		if (tell)
			log_error("port %s: no device %s: %s", p->cfg->name, p->cfg->device,
				strerror(-rc));
		return rc;
	}
	one->probed = true;
	rc = rte_eth_dev_get_port_by_name(name, &p->port_id);
	if (rc && tell)
		log_error("port %s: %s is not a network device", p->cfg->name, p->cfg->device);
	return rc;
}

static uint16_t at_most(uint16_t a, uint16_t b)
{
	return a < b ? a : b;
}

static uint16_t clamp_mtu(const struct dp_port *p, const struct rte_eth_dev_info *info)
{
	uint16_t mtu = p->cfg->mtu;
	if (info->max_mtu && mtu > info->max_mtu) {
		log_warning("port %s: MTU %u is above the device's %u", p->cfg->name, mtu,
			info->max_mtu);
		mtu = info->max_mtu;
	}
	if (mtu < info->min_mtu)
		mtu = info->min_mtu;
	return mtu;
}

static void offloads(
	struct dp_port *p, const struct rte_eth_dev_info *info, struct rte_eth_conf *conf)
{
	uint64_t rx = RTE_ETH_RX_OFFLOAD_RSS_HASH, tx = 0;
	if (p->cfg->checksum_offload)
		rx |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	if (p->vlans) {
		rx |= RTE_ETH_RX_OFFLOAD_VLAN_STRIP;
		tx |= RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
	}
	conf->rxmode.offloads = rx & info->rx_offload_capa;
	conf->txmode.offloads = tx & info->tx_offload_capa;
	p->rx_ip_checksum = conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	p->vlan_insert = conf->txmode.offloads & RTE_ETH_TX_OFFLOAD_VLAN_INSERT;
}

static bool is_tap(const struct rte_eth_dev_info *info)
{
	return strcmp(info->driver_name, "net_tap") == 0;
}

// With what the device refuses left out step by step: interrupts, then more than one queue.
static int configure(const struct dp *d, struct dp_ports_one *one, struct dp_port *p,
	const struct rte_eth_dev_info *info)
{
	struct rte_eth_conf conf = {.rxmode.mtu = p->mtu};
	offloads(p, info, &conf);
	one->lsc = *info->dev_flags & RTE_ETH_DEV_INTR_LSC;
	conf.intr_conf.lsc = one->lsc;
	conf.intr_conf.rmv = (*info->dev_flags & RTE_ETH_DEV_INTR_RMV) != 0;
	// Of a TAP its descriptors are wanted too: they tell when its interface has gone.
	conf.intr_conf.rxq = d->cfg->main.idle == CFG_IDLE_SLEEP || is_tap(info);
	for (;;) {
		dp_port_rss_request(d, p, info, &conf);
		int rc = rte_eth_dev_configure(p->port_id, p->device_rx, p->device_tx, &conf);
		if (rc == 0)
			return 0;
		if (conf.intr_conf.rxq || conf.intr_conf.lsc) {
			conf.intr_conf.rxq = conf.intr_conf.lsc = 0;
			one->lsc = false;
		} else if (p->device_rx > 1 || p->device_tx > 1) {
			log_warning("port %s: %u queues refused (%s), one is used", p->cfg->name,
				p->device_rx, strerror(-rc));
			p->device_rx = p->device_tx = 1;
		} else {
			log_error("port %s: cannot be configured: %s", p->cfg->name, strerror(-rc));
			return rc;
		}
	}
}

static struct rte_mempool *pool_of(const struct dp *d, int socket)
{
	if (socket >= 0 && (size_t)socket < RTE_DIM(d->rx_pool) && d->rx_pool[socket])
		return d->rx_pool[socket];
	for (size_t i = 0; i < RTE_DIM(d->rx_pool); i++)
		if (d->rx_pool[i])
			return d->rx_pool[i];
	return NULL;
}

static int setup_queues(const struct dp *d, struct dp_port *p, const struct rte_eth_dev_info *info)
{
	uint16_t rx = p->cfg->rx_descriptors, tx = p->cfg->tx_descriptors;
	unsigned socket = p->socket < 0 ? (unsigned)SOCKET_ID_ANY : (unsigned)p->socket;
	struct rte_eth_rxconf rxconf = info->default_rxconf;
	int rc = rte_eth_dev_adjust_nb_rx_tx_desc(p->port_id, &rx, &tx);
	if (rc)
		return rc;
	if (rx != p->cfg->rx_descriptors || tx != p->cfg->tx_descriptors)
		log_notice("port %s: descriptors set to the device's limits, rx %u tx %u",
			p->cfg->name, rx, tx);
	for (uint16_t q = 0; q < p->device_rx && rc == 0; q++)
		rc = rte_eth_rx_queue_setup(
			p->port_id, q, rx, socket, &rxconf, pool_of(d, p->socket));
	for (uint16_t q = 0; q < p->device_tx && rc == 0; q++)
		rc = rte_eth_tx_queue_setup(p->port_id, q, tx, socket, NULL);
	return rc;
}

// The device's own address unless the configuration names one. A device that cannot take it
// receives promiscuously and the gateway answers by the wanted one all the same.
static void set_mac(struct dp_port *p)
{
	rte_eth_macaddr_get(p->port_id, &p->mac);
	if (!p->cfg->mac_set || memcmp(p->mac.addr_bytes, p->cfg->mac, 6) == 0)
		return;
	memcpy(p->mac.addr_bytes, p->cfg->mac, 6);
	int rc = rte_eth_dev_default_mac_addr_set(p->port_id, &p->mac);
	if (rc == 0)
		return;
	log_notice("port %s: the device keeps its own MAC (%s), so it receives promiscuously",
		p->cfg->name, strerror(-rc));
	rc = rte_eth_promiscuous_enable(p->port_id);
	if (rc && rc != -ENOTSUP)
		log_warning("port %s: not promiscuous: %s", p->cfg->name, strerror(-rc));
}

static void set_modes(struct dp_port *p)
{
	int rc = rte_eth_dev_set_mtu(p->port_id, p->mtu);
	if (rc && rc != -ENOTSUP)
		log_warning("port %s: MTU %u refused: %s", p->cfg->name, p->mtu, strerror(-rc));
	set_mac(p);
	if (p->cfg->promiscuous) {
		rc = rte_eth_promiscuous_enable(p->port_id);
		if (rc)
			log_warning("port %s: not promiscuous: %s", p->cfg->name, strerror(-rc));
	}
	// Neighbour solicitations come to groups of each address.
	rc = rte_eth_allmulticast_enable(p->port_id);
	if (rc && rc != -ENOTSUP)
		log_warning("port %s: multicast may be missed: %s", p->cfg->name, strerror(-rc));
}

static bool interrupts_work(const struct dp *d, const struct dp_port *p)
{
	if (d->cfg->main.idle != CFG_IDLE_SLEEP)
		return false;
	for (uint16_t q = 0; q < p->device_rx; q++) {
		if (rte_eth_dev_rx_intr_enable(p->port_id, q))
			return false;
		rte_eth_dev_rx_intr_disable(p->port_id, q);
	}
	return true;
}

static void set_link(struct dp *d, uint16_t port, bool up)
{
	for (uint16_t i = 0; i < d->port_count; i++)
		if (d->ports[i].device == port)
			atomic_store_explicit(&d->ports[i].link, up, memory_order_release);
}

void dp_port_read_link(struct dp *d, struct dp_port *p, bool always_log)
{
	struct rte_eth_link link = {0};
	if (rte_eth_link_get_nowait(p->port_id, &link))
		return;
	bool up = link.link_status == RTE_ETH_LINK_UP;
	bool was = atomic_load_explicit(&p->link, memory_order_acquire);
	set_link(d, p->index, up);
	if (up == was && !always_log)
		return;
	if (up && link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		log_notice("port %s: link up, %u Mbit/s", p->cfg->name, link.link_speed);
	else
		log_notice("port %s: link %s", p->cfg->name, up ? "up" : "down");
}

static void warn_sockets(const struct dp *d, const struct dp_port *p)
{
	for (uint16_t w = 0; w < d->worker_count; w++) {
		unsigned socket = rte_lcore_to_socket_id(DP_LCORE(w));
		if (p->socket >= 0 && socket != (unsigned)p->socket) {
			log_warning("port %s is on socket %d, worker %u on socket %u: slower",
				p->cfg->name, p->socket, w, socket);
			return;
		}
	}
}

static const char *spread_text(const struct dp_port *p)
{
	if (!p->rss)
		return "none";
	if (p->role == CFG_INSIDE)
		return "by destination";
	return p->rss_spi ? "by SPI" : "by UDP ports";
}

// Before its first configuration a bond knows nothing of what its members can do.
static int bond_info(struct dp_port *p, struct rte_eth_dev_info *info)
{
	struct rte_eth_conf plain = {0};
	int rc = rte_eth_dev_configure(p->port_id, 1, 1, &plain);
	return rc ? rc : rte_eth_dev_info_get(p->port_id, info);
}

static int find_limits(struct dp *d, struct dp_port *p, struct rte_eth_dev_info *info)
{
	int rc = rte_eth_dev_info_get(p->port_id, info);
	if (rc == 0 && dp_bond_is(p->cfg->device))
		rc = bond_info(p, info);
	if (rc)
		return rc;
	p->socket = rte_eth_dev_socket_id(p->port_id);
	p->mtu = clamp_mtu(p, info);
	p->device_rx = at_most(d->worker_count, info->max_rx_queues);
	p->device_tx = at_most(d->worker_count, info->max_tx_queues);
	dp_bond_queues(p->cfg, &p->device_rx, &p->device_tx);
	return p->device_rx && p->device_tx ? 0 : -ENODEV;
}

static void learn_more(struct dp *d, struct dp_ports_one *one, struct dp_port *p,
	const struct rte_eth_dev_info *info)
{
	set_modes(p);
	p->rx_interrupt = interrupts_work(d, p);
	p->rx_readable = d->cfg->main.idle == CFG_IDLE_SLEEP && is_tap(info);
	p->lacp = dp_bond_lacp(p->cfg->device);
	one->fd = is_tap(info) ? rte_eth_dev_rx_intr_ctl_q_get_fd(p->port_id, 0) : -1;
	dp_port_rss_learn(d, p, info);
	warn_sockets(d, p);
	dp_port_read_link(d, p, true);
	log_notice("port %s: %s, %u+%u queues, MTU %u, RSS %s", p->cfg->name, info->driver_name,
		p->device_rx, p->device_tx, p->mtu, spread_text(p));
}

static int start(struct dp *d, struct dp_ports_one *one, struct dp_port *p)
{
	struct rte_eth_dev_info info;
	one->opened = true;
	int rc = find_limits(d, p, &info);
	rc = rc ? rc : configure(d, one, p, &info);
	rc = rc ? rc : setup_queues(d, p, &info);
	if (rc)
		return rc;
	rte_eth_dev_callback_register(p->port_id, RTE_ETH_EVENT_INTR_LSC, on_event, one);
	rte_eth_dev_callback_register(p->port_id, RTE_ETH_EVENT_INTR_RMV, on_event, one);
	rc = rte_eth_dev_start(p->port_id);
	if (rc == 0)
		learn_more(d, one, p, &info);
	return rc;
}

int dp_device_start(struct dp *d, uint16_t port, bool tell)
{
	struct dp_port *p = &d->ports[port];
	struct dp_ports_one *one = &d->port_state->one[port];
	int rc = probe(one, p, tell);
	if (rc)
		return rc;
	rc = start(d, one, p);
	if (rc && tell)
		log_error("port %s: does not start: %s", p->cfg->name, strerror(-rc));
	if (rc == 0)
		dp_device_publish(d, port, true);
	return rc;
}

// What the ports of one device have in common is the device's.
static void take_over(struct dp_port *p, const struct dp_port *device)
{
	p->port_id = device->port_id;
	p->mac = device->mac;
	p->mtu = at_most(p->cfg->mtu, device->mtu);
	p->socket = device->socket;
	p->device_rx = device->device_rx;
	p->device_tx = device->device_tx;
	p->rx_ip_checksum = device->rx_ip_checksum;
	p->vlan_insert = device->vlan_insert;
	p->rss = p->role == device->role && device->rss;
	p->rss_spi = device->rss_spi;
	memcpy(p->rss_key, device->rss_key, sizeof(p->rss_key));
	p->rss_key_len = device->rss_key_len;
	p->reta_size = device->reta_size;
	memcpy(p->reta, device->reta, sizeof(p->reta));
}

// The queues come last, or go first: a worker that sees them may use the rest.
void dp_device_publish(struct dp *d, uint16_t port, bool use)
{
	struct dp_port *device = &d->ports[port];
	bool up = atomic_load_explicit(&device->link, memory_order_acquire);
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct dp_port *p = &d->ports[i];
		if (p->device != port)
			continue;
		if (use && p != device)
			take_over(p, device);
		atomic_store_explicit(&p->link, use && up, memory_order_release);
		p->tx_queues = use ? p->device_tx : 0;
		p->rx_queues = use && p == device ? p->device_rx : 0;
	}
	atomic_fetch_add(&d->port_changes, 1);
	if (use && d->dst) // its MTU may be another one
		dp_dst_changed(d->dst);
}

static uint16_t device_of(const struct cfg *c, size_t i)
{
	const struct cfg_port *first = c->ports[i].shares;
	return (uint16_t)(first ? (size_t)(first - c->ports) : i);
}

static void init_port(struct dp *d, uint16_t i)
{
	struct dp_port *p = &d->ports[i];
	struct dp_ports_one *one = &d->port_state->one[i];
	p->cfg = &d->cfg->ports[i];
	p->index = one->index = i;
	p->role = p->cfg->role;
	p->device = device_of(d->cfg, i);
	p->vlan = p->cfg->vlan;
	if (p->cfg->exception)
		p->exception_share = dp_exception_share(p->cfg->exception_rate, d->worker_count);
	one->dp = d;
	one->fd = -1;
	uint8_t *vlans = d->port_state->one[p->device].vlans;
	if (p->vlan == 0 && p->device == i) {
		vlans[0] = (uint8_t)(i + 1);
		return;
	}
	// A second port, or a tag: now each frame of the device is looked at.
	vlans[p->vlan % DP_VLANS] = (uint8_t)(i + 1);
	p->vlans = d->ports[p->device].vlans = vlans;
}
static_assert(DP_PORTS_MAX < UINT8_MAX, "a port's number fits into dp_ports_one.vlans");

int dp_ports_start(struct dp *d)
{
	d->port_state = calloc(1, sizeof(*d->port_state));
	if (!d->port_state)
		return -ENOMEM;
	d->port_count = 0;
	if (d->cfg->port_count > DP_PORTS_MAX) {
		log_error("more than %d ports", DP_PORTS_MAX);
		return -E2BIG;
	}
	// virtio_user writes to its peer's socket, also when that has gone.
	signal(SIGPIPE, SIG_IGN);
	for (; d->port_count < d->cfg->port_count; d->port_count++)
		init_port(d, d->port_count);
	for (uint16_t i = 0; i < d->port_count; i++) {
		int rc = d->ports[i].device == i ? dp_device_start(d, i, true) : 0;
		if (rc)
			return rc;
	}
	return 0;
}

void dp_device_stop(struct dp *d, uint16_t port)
{
	struct dp_port *p = &d->ports[port];
	struct dp_ports_one *one = &d->port_state->one[port];
	struct rte_eth_dev_info info;
	if (!one->opened || !rte_eth_dev_is_valid_port(p->port_id))
		return;
	bool known = rte_eth_dev_info_get(p->port_id, &info) == 0;
	rte_eth_dev_callback_unregister(p->port_id, RTE_ETH_EVENT_INTR_LSC, on_event, one);
	rte_eth_dev_callback_unregister(p->port_id, RTE_ETH_EVENT_INTR_RMV, on_event, one);
	int rc = rte_eth_dev_stop(p->port_id);
	if (rc)
		log_warning("port %s: stop: %s", p->cfg->name, strerror(-rc));
	rte_eth_dev_close(p->port_id);
	// A vdev made by us goes with us (its TAP interface with it).
	if (known && one->probed && info.device && rte_dev_remove(info.device))
		log_warning("port %s: device stays", p->cfg->name);
	dp_bond_members_remove(one, p->cfg);
	one->opened = one->probed = false;
	one->fd = -1;
}

void dp_ports_stop(struct dp *d)
{
	if (!d->port_state)
		return;
	for (uint16_t i = 0; i < d->port_count; i++)
		if (d->ports[i].device == i)
			dp_device_stop(d, i);
	d->port_count = 0;
	free(d->port_state);
	d->port_state = NULL;
}
static void read_stats(const struct dp_port *p, struct dp_port_info *out)
{
	struct rte_eth_stats s;
	if (rte_eth_stats_get(p->port_id, &s))
		return;
	out->rx_packets = s.ipackets;
	out->tx_packets = s.opackets;
	out->rx_bytes = s.ibytes;
	out->tx_bytes = s.obytes;
	out->missed = s.imissed;
	out->errors = s.ierrors + s.oerrors;
	out->no_mbuf = s.rx_nombuf;
}

// Where ports share a device, the workers count what each has.
static void read_shared(const struct dp *d, const struct dp_port *p, struct dp_port_info *out)
{
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
		const struct dp_port_count *c = &d->workers[w]->port_count[p->index];
		out->rx_packets += dp_get(&c->rx_packets);
		out->tx_packets += dp_get(&c->tx_packets);
		out->rx_bytes += dp_get(&c->rx_bytes);
		out->tx_bytes += dp_get(&c->tx_bytes);
	}
}

static void read_device(const struct dp_port *p, struct dp_port_info *out)
{
	struct rte_eth_dev_info info;
	struct rte_eth_link link = {0};
	if (rte_eth_dev_info_get(p->port_id, &info) == 0)
		out->driver = info.driver_name;
	if (rte_eth_link_get_nowait(p->port_id, &link) == 0 && link.link_status &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		out->speed_mbps = link.link_speed;
	if (!p->vlans)
		read_stats(p, out);
}

static void read_spread(const struct dp *d, const struct dp_port *p, struct dp_port_info *out)
{
	bool learned = d->port_state->one[p->index].rss_learned && p->rss;
	out->rss = learned ? "by a learned key" : spread_text(p);
	for (uint16_t w = 0; w < d->worker_count && d->workers[w]; w++) {
		out->rss_right += dp_get(&d->workers[w]->watch[p->index].right);
		out->rss_wrong += dp_get(&d->workers[w]->watch[p->index].wrong);
	}
}

bool dp_port_info(struct dp *d, size_t i, struct dp_port_info *out)
{
	if (i >= d->port_count)
		return false;
	const struct dp_port *p = &d->ports[i];
	const struct dp_ports_one *one = &d->port_state->one[p->device];
	*out = (struct dp_port_info){
		.name = p->cfg->name,
		.driver = "",
		.link = atomic_load_explicit(&p->link, memory_order_acquire),
		.removed = one->state != DP_DEVICE_USED,
		.removals = one->removals,
		.vlan = p->vlan,
		.members = p->cfg->members.items,
		.member_count = p->cfg->members.count,
		.exception = p->cfg->exception,
		.exception_to = d->port_state->one[i].exception_to,
		.exception_from = d->port_state->one[i].exception_from,
		.mtu = p->mtu,
		.socket = p->socket,
		.queues = p->device_rx,
	};
	memcpy(out->mac, p->mac.addr_bytes, 6);
	if (one->state != DP_DEVICE_GONE)
		read_device(p, out);
	if (p->vlans)
		read_shared(d, p, out);
	read_spread(d, p, out);
	return true;
}
