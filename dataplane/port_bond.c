// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// DPDK's bonding driver: its arguments, and the members that it is made of.
#include "dataplane/port.h"

#include "base/log.h"

#include <rte_version.h>

#include <errno.h>
#include <stdio.h>

LOG_SUBSYSTEM("port");

// DPDK 23.11 renamed the argument.
#if RTE_VERSION >= RTE_VERSION_NUM(23, 11, 0, 0)
#define MEMBER_KEY "member="
#define OTHER_KEY  "slave="
#else
#define MEMBER_KEY "slave="
#define OTHER_KEY  "member="
#endif

bool dp_bond_is(const char *device)
{
	return strncmp(device, "net_bonding", strlen("net_bonding")) == 0;
}

bool dp_bond_lacp(const char *device)
{
	if (!dp_bond_is(device))
		return false;
	for (const char *p = strchr(device, ','); p; p = strchr(p + 1, ','))
		if (strncmp(p + 1, "mode=4", 6) == 0 && (p[7] == ',' || p[7] == 0))
			return true;
	return false;
}

void dp_device_name(const char *device, bool pci, char name[static RTE_DEV_NAME_MAX_LEN])
{
	int len = (int)strcspn(device, ",");
	bool short_form = pci && strchr(device, ':') == strrchr(device, ':');
	snprintf(name, RTE_DEV_NAME_MAX_LEN, "%s%.*s", short_form ? "0000:" : "", len, device);
}

static bool is_pci(const struct cfg_port *c, size_t member)
{
	return c->pci_members >> member & 1;
}

struct text {
	char *p;
	size_t len, cap;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
	va_list ap;
	va_start(ap, format);
	int n = vsnprintf(t->p + t->len, t->cap - t->len, format, ap);
	va_end(ap);
	t->len = n < 0 || t->len + (size_t)n >= t->cap ? t->cap - 1 : t->len + (size_t)n;
}

bool dp_bond_device(const struct cfg_port *c, char out[static DP_DEVICE_MAX])
{
	struct text t = {.p = out, .cap = DP_DEVICE_MAX};
	bool bond = dp_bond_is(c->device);
	for (const char *p = c->device; *p;) {
		size_t n = strcspn(p, ",");
		bool other = bond && strncmp(p, OTHER_KEY, strlen(OTHER_KEY)) == 0;
		size_t skip = other ? strlen(OTHER_KEY) : 0;
		put(&t, "%s%s%.*s", p == c->device ? "" : ",", other ? MEMBER_KEY : "",
			(int)(n - skip), p + skip);
		p += n + (p[n] == ',');
	}
	for (size_t i = 0; i < c->members.count; i++) {
		char name[RTE_DEV_NAME_MAX_LEN];
		dp_device_name(c->members.items[i], is_pci(c, i), name);
		put(&t, "," MEMBER_KEY "%s", name);
	}
	return t.len < t.cap - 1;
}

// In 24.11 net_tap reads its receive queues, which are no longer there, as a bond lets go of it, and the
// process ends.
static bool member_allowed(const char *device)
{
#if RTE_VERSION >= RTE_VERSION_NUM(24, 11, 0, 0)
	return strncmp(device, "net_tap", strlen("net_tap")) != 0;
#else
	return device != NULL;
#endif
}

int dp_bond_members_probe(struct dp_ports_one *one, const struct cfg_port *c, bool tell)
{
	for (size_t i = 0; i < c->members.count; i++) {
		char name[RTE_DEV_NAME_MAX_LEN];
		uint16_t port_id;
		if (!member_allowed(c->members.items[i])) {
			if (tell)
				log_error("port %s: with %s a TAP cannot be a bond's member",
					c->name, rte_version());
			return -ENOTSUP;
		}
		dp_device_name(c->members.items[i], is_pci(c, i), name);
		if (rte_eth_dev_get_port_by_name(name, &port_id) == 0)
			continue;
		int rc = rte_dev_probe(c->members.items[i]);
		if (rc) {
			if (tell)
				log_error("port %s: no member %s: %s", c->name, c->members.items[i],
					strerror(-rc));
			return rc;
		}
		one->members |= (uint8_t)(1u << i);
	}
	return 0;
}

void dp_bond_members_remove(struct dp_ports_one *one, const struct cfg_port *c)
{
	for (size_t i = 0; i < c->members.count; i++) {
		char name[RTE_DEV_NAME_MAX_LEN];
		uint16_t port_id;
		struct rte_eth_dev_info info;
		if (!(one->members >> i & 1))
			continue;
		dp_device_name(c->members.items[i], is_pci(c, i), name);
		if (rte_eth_dev_get_port_by_name(name, &port_id) == 0 &&
			rte_eth_dev_info_get(port_id, &info) == 0) {
			rte_eth_dev_stop(port_id);
			rte_eth_dev_close(port_id);
			rte_dev_remove(info.device);
		}
	}
	one->members = 0;
}

// Before it is configured a bond itself knows no limit.
void dp_bond_queues(const struct cfg_port *c, uint16_t *rx, uint16_t *tx)
{
	for (size_t i = 0; i < c->members.count; i++) {
		char name[RTE_DEV_NAME_MAX_LEN];
		uint16_t port_id;
		struct rte_eth_dev_info info;
		dp_device_name(c->members.items[i], is_pci(c, i), name);
		if (rte_eth_dev_get_port_by_name(name, &port_id) ||
			rte_eth_dev_info_get(port_id, &info))
			continue;
		*rx = RTE_MIN(*rx, info.max_rx_queues);
		*tx = RTE_MIN(*tx, info.max_tx_queues);
	}
}
