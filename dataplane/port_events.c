// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What happens to ports while they run: links, and devices that are removed and come back.
#include "dataplane/port.h"

#include "base/log.h"
#include "dataplane/worker.h"

#include <poll.h>

LOG_SUBSYSTEM("port");

#define LINK_POLL_NS   NS_PER_S
#define RETURN_POLL_NS (2 * NS_PER_S)

// A TAP whose interface was deleted is told by its descriptor alone.
static bool lost(const struct dp_ports_one *one)
{
	struct pollfd p = {.fd = one->fd};
	return one->fd >= 0 && poll(&p, 1, 0) == 1 && (p.revents & (POLLERR | POLLHUP));
}

static uint64_t polls_of(const struct dp_worker *w)
{
	return w ? atomic_load_explicit(&w->passes, memory_order_acquire) : 0;
}

static void leave(struct dp *d, struct dp_port *p, struct dp_ports_one *one)
{
	dp_device_publish(d, p->index, false);
	one->state = DP_DEVICE_LEAVING;
	one->removals++;
	for (uint16_t i = 0; i < d->worker_count; i++)
		one->polls[i] = polls_of(d->workers[i]);
	log_error("port %s: the device has been removed; what is for it is dropped until it "
		  "returns",
		p->cfg->name);
}

// A poll may have begun before the queues went, and a worker waits for their descriptors between two:
// after the second nobody uses them.
static bool left(const struct dp *d, const struct dp_ports_one *one)
{
	for (uint16_t i = 0; i < d->worker_count; i++)
		if (d->workers[i] && polls_of(d->workers[i]) < one->polls[i] + 2)
			return false;
	return true;
}

static void close_device(struct dp *d, struct dp_port *p, struct dp_ports_one *one, uint64_t now_ns)
{
	dp_device_stop(d, p->index);
	one->state = DP_DEVICE_GONE;
	one->retry_ns = now_ns + RETURN_POLL_NS;
}

static unsigned look_for(struct dp *d, struct dp_port *p, struct dp_ports_one *one, uint64_t now_ns)
{
	if (now_ns < one->retry_ns)
		return 0;
	one->retry_ns = now_ns + RETURN_POLL_NS;
	atomic_store(&one->removed, false);
	if (dp_device_start(d, p->index, false)) {
		dp_device_stop(d, p->index);
		return 0;
	}
	one->state = DP_DEVICE_USED;
	log_notice("port %s: the device has returned", p->cfg->name);
	return 1;
}

static unsigned look_at(struct dp *d, struct dp_port *p, struct dp_ports_one *one, bool ask)
{
	bool event = atomic_exchange_explicit(&one->event, false, memory_order_acquire);
	if (!event && !ask)
		return 0;
	if (atomic_load_explicit(&one->removed, memory_order_acquire) || lost(one)) {
		leave(d, p, one);
		return 1;
	}
	if (event || !one->lsc)
		dp_port_read_link(d, p, false);
	return event;
}

static unsigned tick_one(
	struct dp *d, struct dp_port *p, struct dp_ports_one *one, uint64_t now_ns, bool ask)
{
	switch ((enum dp_device_state)one->state) {
	case DP_DEVICE_USED:
		return look_at(d, p, one, ask);
	case DP_DEVICE_LEAVING:
		if (left(d, one))
			close_device(d, p, one, now_ns);
		return 0;
	case DP_DEVICE_GONE:
		return look_for(d, p, one, now_ns);
	}
	return 0;
}

unsigned dp_ports_tick(struct dp *d, uint64_t now_ns)
{
	unsigned done = 0;
	bool ask = now_ns >= d->port_state->link_poll_ns;
	if (ask)
		d->port_state->link_poll_ns = now_ns + LINK_POLL_NS;
	for (uint16_t i = 0; i < d->port_count; i++)
		if (d->ports[i].device == i)
			done += tick_one(d, &d->ports[i], &d->port_state->one[i], now_ns, ask);
	return done;
}
