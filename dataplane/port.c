// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/port.h"

#include "base/log.h"
#include "dataplane/eal.h"

#include <rte_dev.h>
#include <rte_errno.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

LOG_SUBSYSTEM("port");

#define LINK_POLL_NS NS_PER_S

static int on_event(uint16_t port_id, enum rte_eth_event_type type, void *arg, void *ret)
{
	struct dp_ports_one *one = arg;
	if (type == RTE_ETH_EVENT_INTR_RMV)
		atomic_store_explicit(&one->removed, true, memory_order_release);
	atomic_store_explicit(&one->event, true, memory_order_release);
	return 0;
}

// "net_tap0,iface=x" -> "net_tap0"; a PCI address names its device with its domain, which the
// configuration may leave out.
static void device_name(const struct cfg_port *c, char name[static RTE_DEV_NAME_MAX_LEN])
{
	int len = (int)strcspn(c->device, ",");
	bool short_form = c->pci && strchr(c->device, ':') == strrchr(c->device, ':');
	snprintf(name, RTE_DEV_NAME_MAX_LEN, "%s%.*s", short_form ? "0000:" : "", len, c->device);
}

static int probe(struct dp_ports_one *one, struct dp_port *p)
{
	char name[RTE_DEV_NAME_MAX_LEN];
	device_name(p->cfg, name);
	if (rte_eth_dev_get_port_by_name(name, &p->port_id) == 0)
		return 0;
	int rc = rte_dev_probe(p->cfg->device);
	if (rc) {
		log_error("port %s: no device %s: %s", p->cfg->name, p->cfg->device, strerror(-rc));
		return rc;
	}
	one->probed = true;
	rc = rte_eth_dev_get_port_by_name(name, &p->port_id);
	if (rc)
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
	uint64_t rx = RTE_ETH_RX_OFFLOAD_RSS_HASH;
	if (p->cfg->checksum_offload)
		rx |= RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
	conf->rxmode.offloads = rx & info->rx_offload_capa;
	p->rx_ip_checksum = conf->rxmode.offloads & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
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
	conf.intr_conf.rxq = d->cfg->main.idle == CFG_IDLE_SLEEP;
	for (;;) {
		dp_port_rss_request(d, p, info, &conf);
		int rc = rte_eth_dev_configure(p->port_id, p->rx_queues, p->tx_queues, &conf);
		if (rc == 0)
			return 0;
		if (conf.intr_conf.rxq || conf.intr_conf.lsc) {
			conf.intr_conf.rxq = conf.intr_conf.lsc = 0;
			one->lsc = false;
		} else if (p->rx_queues > 1 || p->tx_queues > 1) {
			log_warning("port %s: %u queues refused (%s), one is used", p->cfg->name,
				p->rx_queues, strerror(-rc));
			p->rx_queues = p->tx_queues = 1;
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
	for (uint16_t q = 0; q < p->rx_queues && rc == 0; q++)
		rc = rte_eth_rx_queue_setup(
			p->port_id, q, rx, socket, &rxconf, pool_of(d, p->socket));
	for (uint16_t q = 0; q < p->tx_queues && rc == 0; q++)
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
	for (uint16_t q = 0; q < p->rx_queues; q++) {
		if (rte_eth_dev_rx_intr_enable(p->port_id, q))
			return false;
		rte_eth_dev_rx_intr_disable(p->port_id, q);
	}
	return true;
}

static void read_link(struct dp_port *p, bool always_log)
{
	struct rte_eth_link link = {0};
	if (rte_eth_link_get_nowait(p->port_id, &link))
		return;
	bool up = link.link_status == RTE_ETH_LINK_UP;
	bool was = atomic_exchange_explicit(&p->link, up, memory_order_release);
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

static int start(struct dp *d, struct dp_ports_one *one, struct dp_port *p)
{
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->port_id, &info);
	if (rc)
		return rc;
	one->opened = true;
	p->socket = rte_eth_dev_socket_id(p->port_id);
	p->mtu = clamp_mtu(p, &info);
	p->rx_queues = at_most(d->worker_count, info.max_rx_queues);
	p->tx_queues = at_most(d->worker_count, info.max_tx_queues);
	if (p->rx_queues == 0 || p->tx_queues == 0)
		return -ENODEV;
	rc = configure(d, one, p, &info);
	if (rc)
		return rc;
	rc = setup_queues(d, p, &info);
	if (rc)
		return rc;
	rte_eth_dev_callback_register(p->port_id, RTE_ETH_EVENT_INTR_LSC, on_event, one);
	rte_eth_dev_callback_register(p->port_id, RTE_ETH_EVENT_INTR_RMV, on_event, one);
	rc = rte_eth_dev_start(p->port_id);
	if (rc)
		return rc;
	set_modes(p);
	p->rx_interrupt = interrupts_work(d, p);
	p->rx_readable =
		d->cfg->main.idle == CFG_IDLE_SLEEP && strcmp(info.driver_name, "net_tap") == 0;
	dp_port_rss_learn(d, p, &info);
	warn_sockets(d, p);
	read_link(p, true);
	log_notice("port %s: %s, %u+%u queues, MTU %u, RSS %s", p->cfg->name, info.driver_name,
		p->rx_queues, p->tx_queues, p->mtu,
		!p->rss                 ? "none"
		: p->role == CFG_INSIDE ? "by destination"
		: p->rss_spi            ? "by SPI"
					: "by UDP ports");
	return 0;
}

int dp_ports_start(struct dp *d)
{
	d->port_state = calloc(1, sizeof(*d->port_state));
	if (!d->port_state)
		return -ENOMEM;
	d->port_count = 0;
	// virtio_user writes to its peer's socket, also when that has gone.
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < d->cfg->port_count; i++) {
		if (i == DP_PORTS_MAX) {
			log_error("more than %d ports", DP_PORTS_MAX);
			return -E2BIG;
		}
		struct dp_port *p = &d->ports[i];
		struct dp_ports_one *one = &d->port_state->one[i];
		p->index = one->index = (uint16_t)i;
		p->cfg = &d->cfg->ports[i];
		p->role = p->cfg->role;
		one->dp = d;
		int rc = probe(one, p);
		d->port_count++;
		if (rc == 0) {
			rc = start(d, one, p);
			if (rc)
				log_error(
					"port %s: does not start: %s", p->cfg->name, strerror(-rc));
		}
		if (rc)
			return rc;
	}
	return 0;
}

static void stop(struct dp_port *p, struct dp_ports_one *one)
{
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
}

void dp_ports_stop(struct dp *d)
{
	if (!d->port_state)
		return;
	for (uint16_t i = 0; i < d->port_count; i++)
		stop(&d->ports[i], &d->port_state->one[i]);
	d->port_count = 0;
	free(d->port_state);
	d->port_state = NULL;
}

static unsigned tick_one(struct dp_port *p, struct dp_ports_one *one, bool ask)
{
	if (atomic_load_explicit(&one->removed, memory_order_acquire)) {
		if (one->removed_logged)
			return 0;
		one->removed_logged = true;
		atomic_store_explicit(&p->link, false, memory_order_release);
		log_error("port %s: the device has been removed", p->cfg->name);
		return 1;
	}
	if (atomic_exchange_explicit(&one->event, false, memory_order_acquire)) {
		read_link(p, false);
		return 1;
	}
	if (ask && !one->lsc)
		read_link(p, false);
	return 0;
}

unsigned dp_ports_tick(struct dp *d, uint64_t now_ns)
{
	unsigned done = 0;
	bool ask = now_ns >= d->port_state->link_poll_ns;
	if (ask)
		d->port_state->link_poll_ns = now_ns + LINK_POLL_NS;
	for (uint16_t i = 0; i < d->port_count; i++)
		done += tick_one(&d->ports[i], &d->port_state->one[i], ask);
	return done;
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

bool dp_port_info(struct dp *d, size_t i, struct dp_port_info *out)
{
	struct rte_eth_dev_info info;
	struct rte_eth_link link = {0};
	if (i >= d->port_count)
		return false;
	const struct dp_port *p = &d->ports[i];
	*out = (struct dp_port_info){
		.name = p->cfg->name,
		.driver = "",
		.link = atomic_load_explicit(&p->link, memory_order_acquire),
		.mtu = p->mtu,
		.socket = p->socket,
		.queues = p->rx_queues,
	};
	memcpy(out->mac, p->mac.addr_bytes, 6);
	if (atomic_load_explicit(&d->port_state->one[i].removed, memory_order_acquire))
		return true;
	if (rte_eth_dev_info_get(p->port_id, &info) == 0)
		out->driver = info.driver_name;
	if (rte_eth_link_get_nowait(p->port_id, &link) == 0 && link.link_status &&
		link.link_speed != RTE_ETH_SPEED_NUM_UNKNOWN)
		out->speed_mbps = link.link_speed;
	read_stats(p, out);
	return true;
}
