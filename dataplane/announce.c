// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
//
// What the gateway says unasked: where an address is now. Neighbours that know another MAC of it, or a
// switch another port, would send into the void until they ask again.
#include "dataplane/punt.h"

// RFC 4861 7.2.6: "a node MAY send up to MAX_NEIGHBOR_ADVERTISEMENT [three] unsolicited Neighbor
// Advertisement messages", "separated by at least RetransTimer seconds" (10: one second). RFC 5227
// 2.3 wants two announcements of an IPv4 address, two seconds apart at most.
#define TIMES    3
#define APART_NS NS_PER_S

static void announce(struct dp *d, uint16_t port, const struct ip_addr *a)
{
	struct local_port l = dp_local_port(d, port);
	uint8_t frame[128];
	struct wr text = wr_of(frame, sizeof(frame)), w;
	local_announce(&l, a, &text);
	struct rte_mbuf *m = dp_buf_begin(d, text.len, &w);
	if (!m)
		return;
	wr_bytes(&w, text.base, text.len);
	m = dp_buf_end(m, &w);
	if (m)
		dp_inject(d, port, m);
}

// ---- Own addresses ----

static bool usable(const struct dp_port *p)
{
	return atomic_load_explicit(&p->link, memory_order_acquire) &&
	       atomic_load_explicit(&p->tx_queues, memory_order_acquire);
}

void dp_announce_init(struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct dp_announcing *a = &d->local->announcing[i];
		*a = (struct dp_announcing){.up = usable(&d->ports[i]), .mac = d->ports[i].mac};
	}
}

void dp_announce_all(struct dp *d)
{
	for (uint16_t i = 0; i < d->port_count; i++)
		d->local->announcing[i].left = TIMES;
}

// A link that comes and goes is answered at its return, but no sooner than a second after the last
// time.
static void see(struct dp_announcing *a, const struct dp_port *p)
{
	bool up = usable(p);
	if (up && (!a->up || !rte_is_same_ether_addr(&a->mac, &p->mac))) {
		a->mac = p->mac;
		a->left = TIMES;
	}
	a->up = up;
}

unsigned dp_announce_tick(struct dp *d, uint64_t now_ns)
{
	unsigned done = 0;
	for (uint16_t i = 0; i < d->port_count; i++) {
		struct dp_announcing *a = &d->local->announcing[i];
		const struct cfg_port *c = d->ports[i].cfg;
		see(a, &d->ports[i]);
		if (!a->up || a->left == 0 || now_ns < a->next_ns)
			continue;
		for (size_t k = 0; k < c->address_count; k++)
			announce(d, i, &c->addresses[k].addr);
		a->left--;
		a->next_ns = now_ns + APART_NS;
		done++;
	}
	return done;
}

uint64_t dp_announce_next_ns(const struct dp *d)
{
	uint64_t at = DP_NONE_NS;
	for (uint16_t i = 0; i < d->port_count; i++) {
		const struct dp_announcing *a = &d->local->announcing[i];
		if (a->up && a->left)
			at = RTE_MIN(at, a->next_ns);
	}
	return at;
}

// ---- Addresses of clients ----

static bool in_subnet(const struct dp *d, uint16_t port, const struct ip_addr *a)
{
	for (uint16_t i = 0; i < d->routes.local_count; i++)
		if (d->routes.locals[i].port == port &&
			ip_prefix_contains(&d->routes.locals[i].subnet, a))
			return true;
	return false;
}

// Only neighbours that believe the address to be on their link have it in a cache.
void dp_local_announce(struct dp *d, const struct ip_addr *a)
{
	for (uint16_t i = 0; i < d->port_count; i++) {
		const struct dp_port *p = &d->ports[i];
		if (p->role != CFG_INSIDE || !p->cfg->proxy_arp || !in_subnet(d, i, a))
			continue;
		if (!local_rate_pass(&d->local->announce_rate, clock_now_ns(d->seams.clock))) {
			dp_count_drop(d, DP_DROP_rate_limited);
			return;
		}
		announce(d, i, a);
	}
}
