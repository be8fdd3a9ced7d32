// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026 The sallyport authors
#include "dataplane/neigh.h"

#include "base/clock.h"
#include "base/htab.h"
#include "base/wheel.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/queue.h>

// INCOMPLETE: asked, no answer yet, packets wait. REACHABLE: in use. PROBE: in use while it is asked
// again. FAILED: silent; packets for it are dropped until the entry goes.
enum neigh_state { NEIGH_INCOMPLETE, NEIGH_REACHABLE, NEIGH_PROBE, NEIGH_FAILED };

struct neigh {
	struct htab_node node;
	struct wheel_timer timer;
	TAILQ_ENTRY(neigh) link; // by wanted_ns
	struct neigh_table *table;
	struct ip_addr addr;
	uint16_t port;
	uint8_t state;
	uint8_t waiting;
	uint8_t first; // oldest packet's place in queue
	uint32_t tries;
	struct pkt_mac mac;
	uint64_t wanted_ns; // last time that a packet came for it
	void *queue[NEIGH_WAITING_MAX];
};

struct neigh_table {
	struct neigh_limits limits;
	struct neigh_seams seams;
	uint8_t key[16];
	struct htab entries;
	TAILQ_HEAD(, neigh) by_use; // longest unasked first
	struct wheel wheel;
	struct neigh_usage usage;
	uint64_t now_ns;
};

const struct neigh_limits neigh_limits_default = {
	.entries = 16384,
	.unresolved = 1024,
	.waiting = 4096,
	.tries = 3,
	.retry_ns = NS_PER_S,
	.reachable_ns = 30 * NS_PER_S,
	.unreachable_ns = 3 * NS_PER_S,
	.idle_ns = 600 * NS_PER_S,
	.spare_ns = 10 * NS_PER_S,
};

static void on_timer(struct wheel_timer *w, void *arg);

int neigh_new(const struct neigh_limits *l, const struct neigh_seams *s,
	const uint8_t key[static 16], uint64_t now_ns, struct neigh_table **out)
{
	struct neigh_table *t = calloc(1, sizeof(*t));
	if (!t)
		return -ENOMEM;
	t->limits = *l;
	t->seams = *s;
	t->now_ns = now_ns;
	memcpy(t->key, key, sizeof(t->key));
	TAILQ_INIT(&t->by_use);
	wheel_init(&t->wheel, now_ns);
	if (htab_init(&t->entries, 64)) {
		free(t);
		return -ENOMEM;
	}
	*out = t;
	return 0;
}

static uint64_t entry_hash(const struct neigh_table *t, uint16_t port, const struct ip_addr *addr)
{
	uint8_t k[sizeof(*addr) + 2];
	memcpy(k, addr, sizeof(*addr));
	memcpy(k + sizeof(*addr), &port, 2);
	return siphash(t->key, k, sizeof(k));
}

static struct neigh *find(
	const struct neigh_table *t, uint64_t hash, uint16_t port, const struct ip_addr *addr)
{
	for (struct htab_node *h = htab_first(&t->entries, hash); h; h = htab_next(h)) {
		struct neigh *n = container_of(h, struct neigh, node);
		if (n->port == port && ip_eq(&n->addr, addr))
			return n;
	}
	return NULL;
}

static bool usable(const struct neigh *n)
{
	return n->state == NEIGH_REACHABLE || n->state == NEIGH_PROBE;
}

static void *take_oldest(struct neigh *n)
{
	void *p = n->queue[n->first];
	n->first = (uint8_t)((n->first + 1) % NEIGH_WAITING_MAX);
	n->waiting--;
	n->table->usage.waiting--;
	return p;
}

static void drop_waiting(struct neigh *n, enum dp_drop why)
{
	struct neigh_table *t = n->table;
	while (n->waiting)
		t->seams.drop(t->seams.ctx, why, take_oldest(n));
}

static void set_state(struct neigh *n, enum neigh_state s)
{
	if (!usable(n))
		n->table->usage.unresolved--;
	n->state = (uint8_t)s;
	if (!usable(n))
		n->table->usage.unresolved++;
}

static void forget(struct neigh *n)
{
	struct neigh_table *t = n->table;
	drop_waiting(n, DP_DROP_neighbour);
	if (usable(n))
		t->seams.publish(t->seams.ctx, n->port, &n->addr, NULL);
	else
		t->usage.unresolved--;
	wheel_cancel(&t->wheel, &n->timer);
	htab_remove(&t->entries, &n->node);
	TAILQ_REMOVE(&t->by_use, n, link);
	t->usage.entries--;
	free(n);
}

void neigh_free(struct neigh_table *t)
{
	if (!t)
		return;
	size_t cursor = 0;
	struct htab_node *h = htab_walk(&t->entries, &cursor, NULL);
	while (h) {
		struct htab_node *next = htab_walk(&t->entries, &cursor, h);
		forget(container_of(h, struct neigh, node));
		h = next;
	}
	htab_fini(&t->entries);
	free(t);
}

static void arm(struct neigh *n, uint64_t delay_ns)
{
	struct neigh_table *t = n->table;
	wheel_set(&t->wheel, &n->timer, t->now_ns + delay_ns, on_timer, n);
}

// While an entry is used its own MAC is asked first, and then everybody.
static void probe(struct neigh *n)
{
	struct neigh_table *t = n->table;
	bool unicast = n->state == NEIGH_PROBE && n->tries < t->limits.tries;
	n->tries++;
	arm(n, t->limits.retry_ns);
	t->seams.probe(t->seams.ctx, n->port, &n->addr, unicast ? &n->mac : NULL);
}

static bool let_go(const struct neigh *n)
{
	const struct neigh_table *t = n->table;
	return t->usage.entries > t->limits.entries / 4 * 3 &&
	       t->now_ns - n->wanted_ns > t->limits.idle_ns;
}

static void on_timer(struct wheel_timer *w, void *arg)
{
	struct neigh *n = arg;
	const struct neigh_limits *l = &n->table->limits;
	switch ((enum neigh_state)n->state) {
	case NEIGH_INCOMPLETE:
		if (n->tries < l->tries) {
			probe(n);
			return;
		}
		drop_waiting(n, DP_DROP_neighbour);
		set_state(n, NEIGH_FAILED);
		arm(n, l->unreachable_ns);
		return;
	case NEIGH_REACHABLE:
		if (let_go(n)) {
			forget(n);
			return;
		}
		set_state(n, NEIGH_PROBE);
		n->tries = 0;
		probe(n);
		return;
	case NEIGH_PROBE:
		if (n->tries < 2 * l->tries)
			probe(n);
		else
			forget(n);
		return;
	case NEIGH_FAILED:
		forget(n);
		return;
	}
}

// A full table makes room for a new entry.
static bool make_room(struct neigh_table *t)
{
	struct neigh *oldest = TAILQ_FIRST(&t->by_use);
	if (t->usage.entries < t->limits.entries)
		return true;
	if (!oldest || oldest->waiting || t->now_ns - oldest->wanted_ns <= t->limits.spare_ns)
		return false;
	forget(oldest);
	return true;
}

static struct neigh *create(
	struct neigh_table *t, uint64_t hash, uint16_t port, const struct ip_addr *addr)
{
	if (t->usage.unresolved >= t->limits.unresolved || !make_room(t))
		return NULL;
	struct neigh *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->table = t;
	n->addr = *addr;
	n->port = port;
	n->state = NEIGH_INCOMPLETE;
	htab_insert(&t->entries, &n->node, hash);
	TAILQ_INSERT_TAIL(&t->by_use, n, link);
	t->usage.entries++;
	t->usage.unresolved++;
	return n;
}

static void enqueue(struct neigh *n, void *packet)
{
	struct neigh_table *t = n->table;
	// RFC 4861 7.2.2: the oldest gives way.
	if (n->waiting == NEIGH_WAITING_MAX)
		t->seams.drop(t->seams.ctx, DP_DROP_neighbour_queue, take_oldest(n));
	if (t->usage.waiting >= t->limits.waiting) {
		t->seams.drop(t->seams.ctx, DP_DROP_neighbour_queue, packet);
		return;
	}
	n->queue[(n->first + n->waiting) % NEIGH_WAITING_MAX] = packet;
	n->waiting++;
	t->usage.waiting++;
}

void neigh_send(struct neigh_table *t, uint16_t port, const struct ip_addr *addr, void *packet,
	uint64_t now_ns)
{
	t->now_ns = now_ns;
	uint64_t hash = entry_hash(t, port, addr);
	struct neigh *n = find(t, hash, port, addr);
	bool fresh = !n;
	if (!n)
		n = create(t, hash, port, addr);
	if (!n) {
		t->seams.drop(t->seams.ctx, DP_DROP_neighbour_table, packet);
		return;
	}
	n->wanted_ns = now_ns;
	TAILQ_REMOVE(&t->by_use, n, link);
	TAILQ_INSERT_TAIL(&t->by_use, n, link);
	if (n->state == NEIGH_FAILED) {
		t->seams.drop(t->seams.ctx, DP_DROP_neighbour, packet);
		return;
	}
	if (usable(n)) {
		t->seams.send(t->seams.ctx, port, &n->mac, packet);
		return;
	}
	enqueue(n, packet);
	if (fresh)
		probe(n);
}

static void settle(struct neigh *n, const struct neigh_news *news)
{
	struct neigh_table *t = n->table;
	bool was_usable = usable(n);
	bool changed = news->mac_set && memcmp(&n->mac, &news->mac, sizeof(n->mac)) != 0;
	if (news->mac_set)
		n->mac = news->mac;
	set_state(n, NEIGH_REACHABLE);
	n->tries = 0;
	if (!was_usable || changed)
		t->seams.publish(t->seams.ctx, n->port, &n->addr, &n->mac);
	arm(n, t->limits.reachable_ns);
	while (n->waiting)
		t->seams.send(t->seams.ctx, n->port, &n->mac, take_oldest(n));
}

enum dp_drop neigh_learn(struct neigh_table *t, const struct neigh_news *news, uint64_t now_ns)
{
	t->now_ns = now_ns;
	struct neigh *n = find(t, entry_hash(t, news->port, &news->addr), news->port, &news->addr);
	if (!n)
		return DP_DROP_arp_unasked;
	if (news->mac_set && !pkt_mac_usable(&news->mac))
		return news->addr.family == IP_V4 ? DP_DROP_arp : DP_DROP_nd;
	if (!usable(n)) {
		// RFC 4861 7.2.5: without the address option there is nothing to learn.
		if (!news->mac_set)
			return DP_DROP_nd;
		settle(n, news);
		return DP_DROP_NONE;
	}
	bool differs = news->mac_set && memcmp(&n->mac, &news->mac, sizeof(n->mac)) != 0;
	if (differs && !news->override) {
		// RFC 4861 7.2.5: the cached address stays, and is verified.
		if (n->state == NEIGH_REACHABLE) {
			set_state(n, NEIGH_PROBE);
			n->tries = 0;
			probe(n);
		}
		return DP_DROP_NONE;
	}
	if (differs || news->confirmed)
		settle(n, news);
	return DP_DROP_NONE;
}

void neigh_again(struct neigh_table *t, uint16_t port)
{
	struct neigh *n;
	TAILQ_FOREACH (n, &t->by_use, link)
		if (n->port == port && usable(n))
			t->seams.publish(t->seams.ctx, port, &n->addr, &n->mac);
}

void neigh_tick(struct neigh_table *t, uint64_t now_ns)
{
	t->now_ns = now_ns;
	wheel_advance(&t->wheel, now_ns);
}

uint64_t neigh_next_ns(const struct neigh_table *t)
{
	return wheel_next_ns(&t->wheel);
}

bool neigh_lookup(
	const struct neigh_table *t, uint16_t port, const struct ip_addr *addr, struct pkt_mac *mac)
{
	const struct neigh *n = find(t, entry_hash(t, port, addr), port, addr);
	if (!n || !usable(n))
		return false;
	*mac = n->mac;
	return true;
}

struct neigh_usage neigh_usage(const struct neigh_table *t)
{
	return t->usage;
}
